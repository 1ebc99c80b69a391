"""What decides which rows are evaluated, and takes what they give. NumPy alone: the engine evaluates them.

A rule that does not refine (`Fixed`) has its weights beforehand: rows are summed on the device into few sums a block, and
nothing else is kept. A rule that refines returns further rows from `refine` (see `refined`).
"""

import dataclasses
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ...common.types import Features, Leaves
from .points import Points


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
    """Rows to evaluate, (rows,) each, in ascending order of example and, within it, of slot.

    `forward_only` rows give their scores and nothing else. `present` (rows, ...) says what is there of each row's example: of
    coalitions which groups of features, of masked rows how much of each part.
    """

    example: np.ndarray
    reference: np.ndarray
    alpha: np.ndarray
    weight: np.ndarray
    slot: np.ndarray
    number: np.ndarray
    forward_only: bool = False
    present: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.example)

    @property
    def path(self) -> np.ndarray:
        """(rows,), the number of each row's path: of its example and its reference."""
        return ranks(self.example * (int(self.reference.max()) + 1) + self.reference)

    @property
    def apart(self) -> bool:
        """Whether each row is a sum of its own."""
        return bool((np.diff(self.slot) > 0).all())

    def __getitem__(self, part: np.ndarray | slice) -> "Batch":
        return Batch(
            self.example[part],
            self.reference[part],
            self.alpha[part],
            self.weight[part],
            self.slot[part],
            self.number[part],
            self.forward_only,
            None if self.present is None else self.present[part],
        )


def ranks(values: np.ndarray) -> np.ndarray:
    """(rows,), the rank of each among the distinct ones. Those that ascend, as nearly always, need no sorting."""
    steps = np.diff(values)
    if (steps < 0).any():
        return np.unique(values, return_inverse=True)[1]
    found = np.zeros(len(values), int)
    np.cumsum(steps > 0, out=found[1:])
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """What an integrator found.

    Attributes:
        totals: (n, slots, ...) by key.
        evaluations, forward_evaluations: int (n,), gradient rows and forward-only rows.
        finite: bool (n,), whether all that entered is finite.
        end_slopes: (n,), the derivative of the score along the path at the input, averaged over references.
        alphas, path_scores, path_slopes: (n, rows), where each row lies, its score and slope, where all examples have the
            same rows.
        error_estimate, status, residual, residual_clipped, narrow_at: (n,) each, where the rule states them: see `Attribution`.
        standard_error: of the totals, in their structure, where they are estimated from draws.
    """

    totals: Leaves
    evaluations: np.ndarray
    forward_evaluations: np.ndarray
    finite: np.ndarray
    end_slopes: np.ndarray
    alphas: np.ndarray | None = None
    path_scores: np.ndarray | None = None
    path_slopes: np.ndarray | None = None
    error_estimate: np.ndarray | None = None
    status: np.ndarray | None = None
    residual: np.ndarray | None = None
    residual_clipped: np.ndarray | None = None
    narrow_at: np.ndarray | None = None
    standard_error: Leaves | None = None


class Integrator(Protocol):
    """Decides which rows are evaluated, and takes what they give."""

    def first(self) -> Batch: ...

    def accept(self, rows: Batch, slots: np.ndarray, sums: list[np.ndarray], scores: np.ndarray, slopes: np.ndarray) -> None:
        """The sums over each of `slots`, in the order of the row function's integrands, and score and slope of each row."""
        ...

    def refine(self) -> Batch | None:
        """Further rows, or None when all is done."""
        ...

    def outcome(self) -> Outcome:
        """What came of it, when all is done."""
        ...


class Fixed:
    """The integrator of every rule that does not refine: it adds up the sums of the blocks.

    Args:
        points: those of each example.
        features: shapes of one example by key.
        forward_only: whether rows need no gradient.
    """

    def __init__(self, points: list[Points], features: Features, dtype: npt.DTypeLike, forward_only: bool = False) -> None:
        self._points, self._forward_only, count = points, forward_only, len(points)
        rows, slots = len(points[0].alpha), points[0].slots
        self._sums = {key: np.zeros((count * slots, *shape), dtype) for key, shape in features.items()}
        self._scores, self._slopes = np.zeros((count, rows)), np.zeros((count, rows))
        self._shape = (count, slots)

    @property
    def total(self) -> int:
        """How many rows there are."""
        return self._scores.size

    def first(self) -> Batch:
        count, slots = self._shape
        stack = lambda name: np.concatenate([getattr(points, name) for points in self._points])  # noqa: E731
        rows = self._scores.shape[1]
        example = np.repeat(np.arange(count), rows)
        return Batch(
            example,
            stack("reference"),
            stack("alpha"),
            stack("weight"),
            stack("slot") + example * slots,
            np.tile(np.arange(rows), count),
        )

    def accept(self, rows: Batch, slots: np.ndarray, sums: list[np.ndarray], scores: np.ndarray, slopes: np.ndarray) -> None:
        self._scores[rows.example, rows.number] = scores
        self._slopes[rows.example, rows.number] = slopes
        for total, found in zip(self._sums.values(), sums, strict=bool(sums)):
            total[slots] += found

    def refine(self) -> None:
        return None

    def outcome(self) -> Outcome:
        count, rows = self._scores.shape
        used, none = np.full(count, rows), np.zeros(count, int)
        finite = np.all(np.isfinite(self._scores + self._slopes), axis=1)
        if not finite.all():  # a row of weight 0 is looked at only: an infinite gradient there spoils nothing
            weighed = np.stack([points.weight for points in self._points]) != 0
            finite = np.all(np.isfinite(self._scores + np.where(weighed, self._slopes, 0)), axis=1)
        alphas = np.stack([points.alpha for points in self._points])
        ends = alphas == 1
        with np.errstate(invalid="ignore", divide="ignore"):
            end_slopes = np.where(ends, self._slopes, 0).sum(1) / ends.sum(1)
        totals = {key: total.reshape(*self._shape, *total.shape[1:]) for key, total in self._sums.items()}
        evaluations, forward = (none, used) if self._forward_only else (used, none)
        return Outcome(totals, evaluations, forward, finite, end_slopes, alphas, self._scores, self._slopes)
