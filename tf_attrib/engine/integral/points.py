"""Where an example's rows are taken: alphas on the path, with references, weights, and the sums they enter."""

import dataclasses
import functools
from typing import Any

import numpy as np

from ...common.errors import AttributionError
from .quadrature import Rule


@dataclasses.dataclass(frozen=True, eq=False)
class Points:
    """The rows of one example. Row i lies at reference + alpha * (x - reference) and enters the sum `slot` with `weight`.

    Attributes:
        alpha, weight: float64 (rows,).
        reference: int (rows,), which of the example's references.
        slot: int (rows,), ascending: rows of one slot are summed. A row of weight 0 is looked at, not summed.
        slots: how many sums there are.
        drawn: whether the sums are of independent draws: they are added up, and their spread gives the standard error.
    """

    alpha: np.ndarray
    weight: np.ndarray
    reference: np.ndarray
    slot: np.ndarray
    slots: int = 1
    drawn: bool = False


# In so many sums draws are added up, from whose spread their standard error is estimated, to a fifth of it or so.
SUMS_OF_DRAWS = 16


def at_input() -> Points:
    """The input alone."""
    return Points(np.ones(1), np.ones(1), np.zeros(1, int), np.zeros(1, int))


def at_references(references: int) -> Points:
    """The input paired with each reference, averaged over references."""
    return Points(np.ones(references), np.full(references, 1 / references), np.arange(references), np.zeros(references, int))


@functools.lru_cache(maxsize=32)
def path(rule: Rule, references: int) -> Points:
    """A straight path from each reference by a rule of quadrature, averaged over references.

    Where the input is no node of the rule it is added with weight 0: the gradient there tells of saturation.
    """
    alpha, weight = rule.nodes, rule.weights / references
    if alpha[-1] != 1:
        alpha, weight = np.append(alpha, 1.0), np.append(weight, 0.0)
    rows = len(alpha) * references
    return Points(
        np.tile(alpha, references),
        np.tile(weight, references),
        np.repeat(np.arange(references), len(alpha)),
        np.zeros(rows, int),
    )


def series(n_steps: int) -> Points:
    """n_steps points at equal distances along the path, the input last, none of them summed."""
    alpha = np.arange(1, n_steps + 1) / n_steps
    return Points(alpha, np.ones(n_steps), np.zeros(n_steps, int), np.arange(n_steps), n_steps)


def random_path(n_samples: int, references: int, rng: np.random.Generator) -> Points:
    """n_samples draws of a reference and of an alpha, both uniform, averaged, with a standard error."""
    slots = min(n_samples, SUMS_OF_DRAWS)
    return Points(
        rng.uniform(size=n_samples),
        np.full(n_samples, 1 / n_samples),
        rng.integers(references, size=n_samples),
        np.arange(n_samples) * slots // n_samples,
        slots,
        drawn=True,
    )


def masks(count: int, references: int) -> Points:
    """One row for each of `count` masks and each reference that stands in behind it, averaged over references."""
    rows = count * references
    return Points(np.ones(rows), np.full(rows, 1 / references), np.repeat(np.arange(references), count), np.zeros(rows, int))


def checked(method: str, points: Any, references: int, first: Points | None = None) -> Points:
    """The points of one example, where they are what the engine can sum.

    Args:
        method: whose, for people.
        references: how many the example has.
        first: those of the first example, which all others must have as many rows and sums as.

    Raises:
        AttributionError: they are not.
    """
    if not isinstance(points, Points):
        raise AttributionError(f"{method} must give ta.extend.Points, such as ta.extend.points.at_input(); got {points!r}")
    alpha, weight, reference, slot = (np.asarray(part) for part in (points.alpha, points.weight, points.reference, points.slot))
    wrong = ""
    if alpha.ndim != 1 or not len(alpha) or not alpha.shape == weight.shape == reference.shape == slot.shape:
        shapes = [part.shape for part in (alpha, weight, reference, slot)]
        wrong = f"alpha, weight, reference and slot must be one number for each row, they are of shapes {shapes}"
    elif not np.isfinite(alpha + weight).all():
        wrong = "alpha and weight must be finite"
    elif reference.dtype.kind not in "iu" or reference.min() < 0 or reference.max() >= references:
        wrong = f"reference must be whole numbers from 0 to {references - 1}, got {reference}"
    elif slot.dtype.kind not in "iu" or slot[0] < 0 or slot[-1] >= points.slots or (np.diff(slot) < 0).any():
        wrong = f"slot must be whole numbers that ascend, from 0 to {points.slots - 1}; got {slot}"
    elif first is not None and (len(alpha), points.slots) != (len(first.alpha), first.slots):
        wrong = f"all examples must have as many rows as the first, {len(first.alpha)}; one has {len(alpha)}"
    if wrong:
        raise AttributionError(f"the points of {method}: {wrong}")
    return points
