"""`ta.summarise`: many attributions at a glance, in one pass, none of which is kept."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..attribution import Attribution
from ..common.errors import AttributionError, nearest
from . import reading
from .batches import as_labels
from .running import GROUPINGS, Running, SummaryOptions
from .summary import DataSummary


def summarise(
    results: Attribution | Iterable,
    *,
    labels: Any = None,
    tokens: Any = None,
    names: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    by: str | None = "target",
    key: Any = None,
    kind: str = "auto",
    ignore: Sequence[str] = (),
    sample: int = 1000,
    trigger_share: float = 0.2,
    phrase_length: int = 2,
    min_support: int = 10,
    min_precision: float = 0.8,
    variation: float = 0.1,
    max_terms: int = 200_000,
    seed: int = 0,
) -> DataSummary:
    """Mean and mean magnitude of attributions per feature or per word, by class; degenerate features; trigger words; rules.

    One result is held at a time, so that a generator over any number of examples will do:

        ta.summarise(attributor.attribute(batch, verbose=0) for batch in batches)
        ta.summarise(((attributor.attribute(x, verbose=0), y) for x, y in data), tokens=ta.vocabulary(model))

    What is kept are sums for each feature (or word) and class, and samples of bounded size. Attributions of integer or text
    inputs (n, length) or (n, length, embedding) are of words, and summed over the embedding; the words of padding do not count.
    Others are of features, several tensors side by side. Examples with attributions that are not finite are left out, and
    counted in a note.

    Args:
        results: an `Attribution`, or any iterable of them (or of pairs of one and its labels), of one model, selection and
            method.
        labels: (n,) the true classes of all examples, in order, or one-hot; for `by="label"`, and what rules are measured on.
        tokens: a vocabulary (a list of words, or a dict by token id), or an iterable with a list of words for each example,
            padding included; default: the words that the results know, else token ids.
        names: of the features; default: key and index.
        classes: names of the classes; default: those that the results have.
        by: what means are grouped by: "target" (the class explained), "predicted", "label", or None for all together.
            Attributions to different classes are of different scores.
        key: of the tensor that is summarised, where the results hold several.
        kind: "features" or "words"; "auto": words for token ids and texts.
        ignore: words that are not counted, beside padding, such as "[CLS]".
        sample: how many examples are kept for the beeswarm, fewer where they would take more than 64 MB.
        trigger_share: a word that carries this share of an example's positive attribution is a trigger; see `TriggerWord`.
        phrase_length: rules may be of phrases of up to this many words.
        min_support, min_precision: what a rule needs; see `Rule`. As many examples are needed to call a feature degenerate.
        variation: the coefficient of variation up to which an attribution counts as constant; see `Degenerate`.
        max_terms: how many words and phrases are counted at most; beyond, the rarest are forgotten, and a note says so.
        seed: of the samples.

    Returns:
        A `DataSummary`.

    Raises:
        AttributionError: no results, results that differ in what was explained, at what, in unit, method or shape; labels or
            words that do not fit; interior gradients; more sums than fit.
    """
    if by is not None and by not in GROUPINGS:
        raise AttributionError(f"by is one of {nearest(str(by), GROUPINGS)}, or None; got {by!r}")
    if kind not in reading.KINDS:
        raise AttributionError(f"kind is one of {nearest(str(kind), reading.KINDS)}; got {kind!r}")
    options = SummaryOptions(sample, trigger_share, phrase_length, min_support, min_precision, variation, max_terms)
    running = Running(options, by, key, kind, names, reading.Vocabulary(tokens, ignore), seed)
    for result, own in _pairs(results, labels):
        running.add(result, own)
        del result  # before the next one is made
    running.vocabulary.finish()
    return running.finish(classes)


def _pairs(results: Any, labels: Any) -> Iterator[tuple[Attribution, np.ndarray | None]]:
    """Each result with its labels."""
    labels = None if labels is None else as_labels(labels)
    start = 0
    results = iter([results] if isinstance(results, Attribution) else _iterable(results))
    for item in results:
        result, own = item if isinstance(item, tuple) and len(item) == 2 else (item, None)
        del item
        if not isinstance(result, Attribution):
            raise AttributionError(
                "summarise takes an Attribution, or an iterable of them (or of pairs of one and its "
                f"labels); got {type(result).__name__} in it"
            )
        count = len(result)
        if own is not None:
            if labels is not None:
                raise AttributionError("labels were given twice: beside the results and as labels=")
            own = as_labels(own)
        elif labels is not None:
            own = labels[start : start + count]
        if own is not None and len(own) != count:
            total = "" if labels is None else f" of {len(labels)} labels in all"
            raise AttributionError(f"{len(own)} labels for {count} examples{total}: give one for each, in the same order")
        start += count
        yield result, own
        del result
    if labels is not None and start != len(labels):
        raise AttributionError(f"{len(labels)} labels for {start} examples: give one for each, in the same order")


def _iterable(results: Any) -> Iterable:
    if isinstance(results, str | bytes) or not hasattr(results, "__iter__"):
        raise AttributionError(
            "summarise takes an Attribution or an iterable of them, such as "
            f"(attributor.attribute(batch) for batch in batches); got {type(results).__name__}"
        )
    return results
