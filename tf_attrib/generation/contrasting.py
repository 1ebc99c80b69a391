"""Why these tokens rather than those (Yin & Neubig 2022, arXiv:2202.10419)."""

import dataclasses

import numpy as np

from ..attribution import Attribution
from ..engine.integral.refined import CONVERGED
from .attributing import Rows
from .language_model import Sequence


def pair(sequence: Sequence, which: np.ndarray, foil: int) -> Rows:
    """One token of the continuation against another in its place, behind the same words: the difference of their scores."""
    count = len(which)
    position = np.repeat(sequence.start + which[:, None] - 1, 2, 1)
    token = np.stack([sequence.written[sequence.start + which], np.full(count, foil)], 1)
    written = np.repeat(sequence.written[None, :-1], count, 0)
    source = np.repeat(sequence.source[None], count, 0)
    weight = np.broadcast_to(np.array([1.0, -1.0], np.float32), (count, 2))
    return Rows(source, written, np.full(count, written.shape[1]), position, token, weight)


def both(sequence: Sequence, other: Sequence) -> Rows:
    """A row for each of two continuations of one context, whose scores are sums over what sets them apart. What both begin with
    belongs to the context; the rest stays as it is, at the baseline too, so that attributions are to the context alone."""
    pair = (sequence, other)
    lengths = np.array([len(one.written) - 1 for one in pair])
    counts = [len(one.written) - one.start for one in pair]
    most, widest = int(lengths.max()), max(counts)
    written = np.stack([np.pad(one.written[:-1], (0, most - len(one.written) + 1)) for one in pair])
    token = np.stack([np.pad(one.written[one.start :], (0, widest - count)) for one, count in zip(pair, counts, strict=True)])
    weight = (np.arange(widest) < np.array(counts)[:, None]).astype(np.float32)
    position = np.minimum(sequence.start - 1 + np.arange(widest), (lengths - 1)[:, None])
    kept = np.broadcast_to(np.arange(most) >= sequence.start, written.shape)
    return Rows(np.stack([sequence.source] * 2), written, lengths, position, token, weight, kept)


def difference(result: Attribution) -> Attribution:
    """The first entry less the second: scores, attributions and gaps subtract, errors add up."""
    values = result.attributions[:1] - result.attributions[1:]
    found: dict = {"attributions": values}
    for name in ("scores", "baseline_scores", "gap"):
        value = getattr(result, name)
        found[name] = None if value is None else value[:1] - value[1:]
    if result.error_estimate is not None:
        wrong = (result.error_estimate * result.magnitudes).sum()
        found["error_estimate"] = np.array([wrong / max(float(np.abs(values).sum()), np.finfo(float).tiny)])
    if result.status is not None:
        found["status"] = np.array([worst(result.status)])
    for name in ("evaluations", "forward_evaluations"):
        value = getattr(result, name)
        found[name] = None if value is None else value.sum(keepdims=True)
    gone = ("gradient_share", "residual", "residual_clipped", "narrow_at", "standard_error", "format_error", "positive")
    return dataclasses.replace(result[:1], **dict.fromkeys(gone) | found)


def worst(status: np.ndarray) -> str:
    """The status of what several entries come to."""
    return next((one for one in status if one not in ("", CONVERGED)), status[0])
