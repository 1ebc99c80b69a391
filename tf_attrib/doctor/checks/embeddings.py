"""Checks of word embeddings: is zero like no word, have stop words small vectors, which token is padding?"""

import numpy as np

from ...common.tokens import PADDING, is_padding
from .. import remedies
from ..case import Examination
from ..catalogue import finding
from ..report import Finding
from . import operations

# Norms that spread less than this (standard deviation over mean) are held to one length.
ONE_NORM = 0.02
# Stop words whose norm is below this part of the others' are those of the guide's claim.
SMALL = 0.9
STOP_WORDS = frozenset(
    (
        "a",
        "an",
        "the",
        "of",
        "to",
        "in",
        "on",
        "at",
        "for",
        "and",
        "or",
        "is",
        "are",
        "was",
        "were",
        "be",
        "it",
        "its",
        "this",
        "that",
        "these",
        "those",
        "with",
        "as",
        "by",
        "from",
        "has",
        "have",
        "had",
        "i",
        "he",
        "she",
        "they",
        "we",
        "you",
        "his",
        "her",
        "their",
        "but",
        "so",
        "if",
        "then",
        "than",
        "there",
        "here",
    )
)
# Fewer words than this say nothing of norms.
ENOUGH = 3


def padding(case: Examination) -> int | None:
    """The id of the padding token, by its word, or 0 where the layer masks zeros; None where nothing says."""
    ids = [i for i, word in case.words.items() if is_padding(word) and i >= 0]
    if ids:
        return min(ids)
    masked = any(getattr(call.layer, "mask_zero", False) for call in case.session.function.traced.calls)
    return 0 if masked else None


def check_words(case: Examination) -> list[Finding]:
    """Norms of the embeddings, and what they say of a baseline of zeros."""
    found = []
    for key, lookup in operations.selected_lookups(case.session).items():
        own = dict(zip(case.place.ports, case.x, strict=True))[key]
        norms = operations.norms(case, key, lookup)
        if not case.reference(own, 0).any():
            found += _one_norm(case, norms)
        found += _stop_words(case, norms)
    return found


def _one_norm(case: Examination, norms: np.ndarray) -> list[Finding]:
    """A baseline of zeros where every vector has the same length."""
    lengths = norms[norms > 0]
    if len(lengths) < ENOUGH or lengths.std() > ONE_NORM * lengths.mean():
        return []
    token, stop = padding(case), [i for i, word in case.words.items() if word.lower() in STOP_WORDS]
    proposed = (
        f"padding is token {token}"
        if token is not None
        else f"the stop word {case.words[stop[0]]!r} is token {stop[0]}"
        if stop
        else "which token is padding is not known: often 0"
    )
    use = token if token is not None else stop[0] if stop else 0
    return [
        finding(
            "unit_norm_embeddings",
            "warning",
            {"mean_norm": float(lengths.mean()), "spread": float(lengths.std())},
            f"All {len(lengths):,} embeddings have a norm of {lengths.mean():.3g}, so the zero vector is unlike any "
            f"word that the model was trained on; {proposed}.",
            remedies.attribute(case, baselines=remedies.token(case, use)[0]),
        )
    ]


def _stop_words(case: Examination, norms: np.ndarray) -> list[Finding]:
    """The norms of stop words against those of the other words."""
    known = {i: word.lower() for i, word in case.words.items() if 0 <= i < len(norms)}
    stop = [i for i, word in known.items() if word in STOP_WORDS]
    rest = [i for i, word in known.items() if word not in STOP_WORDS | PADDING and not word.startswith(("[", "<"))]
    if min(len(stop), len(rest)) < ENOUGH or not norms[rest].any():
        return []
    mine, others = float(norms[stop].mean()), float(norms[rest].mean())
    evidence = {"stop_words": mine, "other_words": others, "ratio": mine / others, "words_counted": [len(stop), len(rest)]}
    said = (
        f"The embeddings of {len(stop)} stop words have a mean norm of {mine:.3g}, those of {len(rest)} other words "
        f"{others:.3g}"
    )
    if mine < SMALL * others:
        return [
            finding(
                "stop_word_norms",
                "passed",
                evidence,
                f"{said}: words that say little are near zero here, as a baseline of zeros supposes.",
            )
        ]
    token = padding(case)
    use = token if token is not None else stop[0]
    return [
        finding(
            "stop_word_norms",
            "note",
            evidence,
            f"{said}: here zero does not stand for words that say little. Padding or a stop word is the surer baseline.",
            remedies.attribute(case, baselines=remedies.token(case, use)[0]),
        )
    ]
