"""What a language model gives to the tokens of sequences: forward passes, in which all tokens of a sequence share one."""

from typing import Any

import numpy as np

from ..common.errors import AttributionError
from ..common.types import Leaves
from ..engine.session import Session
from ..selection.token_scores import token_score
from .language_model import LanguageModel, Sequence

# Scores that differ by no more, relative to 1 and to themselves, are the same but for rounding: in float32, and in half.
ROUNDING, ROUNDING_HALF = 1e-3, 5e-2


def token_values(
    model: LanguageModel, inputs: Any, position: np.ndarray, token: np.ndarray, of: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """(n, s) float64: the score of each `token` (n, s) at its `position` of the output, in one forward pass of each row; and
    the half-precision formats that the model computes in."""
    session, ready = _prepared(model, inputs, position, token, of)
    found = session.values(session.selected(ready), ready)
    return found[:, : token.shape[1]].astype(np.float64), session.function.formats


def values_at(
    model: LanguageModel, inputs: Any, points: Leaves, position: np.ndarray, token: np.ndarray, of: str
) -> np.ndarray:
    """(m, s) float64: the score of each of `token` (s,) at its `position` (s,), where the tensors that attributions are to are
    `points`, (m, ...) by key, and all else is that of the first row of `inputs`."""
    count = len(next(iter(points.values())))
    given = {key: np.repeat(value[:1], count, 0) for key, value in inputs.items()}
    position, token = (np.repeat(one[None], count, 0) for one in (position, token))
    session, ready = _prepared(model, given, position, token, of)
    return session.values(points, ready)[:, : token.shape[1]].astype(np.float64)


def _prepared(model: LanguageModel, inputs: Any, position: np.ndarray, token: np.ndarray, of: str) -> tuple[Session, Leaves]:
    """The session that gives scores of about so many tokens, and inputs for it."""
    count = token.shape[1]
    filled = 1 << (count - 1).bit_length()  # what is compiled serves sequences of about this many tokens
    position, token = (np.pad(one, ((0, 0), (0, filled - count))) for one in (position, token))
    # one token is scored by what its attribution is of, which is compiled anyway
    weight = np.ones(token.shape) if filled == 1 else None
    session, ready, _ = model.attributor.explaining(token_score(position, token, weight, of)).prepare(inputs)
    return session, ready


def vocabulary_size(model: LanguageModel) -> int | None:
    """How many tokens the model gives logits for, where it says so before it is called."""
    shape = getattr(model.attributor.model, "output_shape", None)
    return shape[-1] if isinstance(shape, tuple) and len(shape) == 3 else None


def causal_scores(model: LanguageModel, sequence: Sequence, of: str) -> np.ndarray:
    """(t,), the scores of the continuation's tokens, each at the position in front of it.

    Raises:
        AttributionError: they follow from tokens behind them, which are not yet written when a token is: others are put in
            their places.
    """
    first, length = sequence.start, len(sequence.written) - 1
    # of inputs of one length what stands behind the last token is looked at, too
    whole = np.pad(sequence.written[:-1], (0, max(0, (model.length or 0) - length)))
    steps = [step for step in sorted({first, (first + length) // 2}) if step < len(whole)]
    rows = np.repeat(whole[None], 1 + len(steps), 0)
    for row, step in zip(rows[1:], steps, strict=True):
        row[step:] = _others(sequence.written, row[step:])
    (scores, *others), formats = _of_continuation(model, sequence, rows, of)
    close = ROUNDING_HALF if formats else ROUNDING
    for step, other in zip(steps, others, strict=True):
        this, that = scores[: step - first + 1], other[: step - first + 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            if of == "probability":  # of many tokens each has a small one
                this, that = np.log(this), np.log(that)
            wrong = np.flatnonzero(np.abs(that - this) > close * (1 + np.abs(this)))
        if len(wrong):
            at = wrong[0]
            raise AttributionError(
                f"the model is not causal: what it gives to token {first + at} follows from tokens behind it: it "
                f"is {scores[at]:.4g}, and {other[at]:.4g} with others in their places. A masked model or a classifier: "
                "ta.Attributor(model, of='log_probability').attribute(ids, target=(position, token))"
            )
    return scores


def log_chances(model: LanguageModel, sequence: Sequence, scores: np.ndarray, of: str) -> np.ndarray:
    """(t,), the log-probabilities of the continuation's tokens, whose scores are known."""
    if of == "logits":
        return _of_continuation(model, sequence, sequence.written[None, :-1], "log_probability")[0][0]
    with np.errstate(divide="ignore"):
        return np.log(scores) if of == "probability" else scores


def _of_continuation(model: LanguageModel, sequence: Sequence, rows: np.ndarray, of: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """(n, t), the scores of the continuation's tokens, given `rows` (n, length or more); and what else `token_values` gives."""
    first, length, count = sequence.start, len(sequence.written) - 1, len(rows)
    inputs = model.inputs(np.repeat(sequence.source[None], count, 0), rows, np.full(count, length))
    position = np.repeat(np.arange(first - 1, length)[None], count, 0)
    return token_values(model, inputs, position, np.repeat(sequence.written[None, first:], count, 0), of)


def _others(ids: np.ndarray, instead_of: np.ndarray) -> np.ndarray:
    """For each token another of `ids`."""
    known = np.unique(ids)
    known = known if len(known) > 1 else np.unique([*known, 0, 1])[:2]
    return known[(np.searchsorted(known, instead_of) + 1) % len(known)]
