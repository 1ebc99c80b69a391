"""Integrated gradients along a path that the gradients choose, step by step."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ..common.checks import number, whole
from ..common.errors import AttributionError
from ..common.types import Features
from ..engine.integral import points
from ..engine.integral.integrator import Fixed, Outcome
from ..engine.method import Method
from ..engine.row import Row, RowFunction, per_row_sum
from ..engine.work import Work
from ..result.completeness import NOT_ESTIMATED
from ..selection.score_function import ScoreFunction

# What is left of the way, as a part of it, at which a step has arrived: sums of float32 and float64 tell no less.
ARRIVED = {tf.float32: 1e-6, tf.float64: 1e-9}


@dataclasses.dataclass(frozen=True)
class GuidedIG(Method):
    """Sum over steps of dF/dx at the last point times the step, along a path on which those features come in first whose
    gradient is smallest (Kapishnikov et al. 2021, arXiv:2106.09788), so that steep places pass by fewer of them.

    Each step goes 1 / `n_steps` of the L1 distance. The next point follows from the gradients at the last: there is no path to
    refine, `status` is "not_estimated", and `gap` says by how much the sum misses the difference of scores.

    Attributes:
        n_steps: gradients on each path, one after the other.
        fraction: of all features, those that move at once.
        max_distance: how far a feature may be from where the straight path has it, as a part of its way: 0 is the straight
            path, at 1 each feature goes when it likes.
    """

    n_steps: int = 200
    fraction: float = 0.25
    max_distance: float = 0.02
    linear = False  # which features come in is a matter of the sizes of gradients

    def __post_init__(self) -> None:
        whole("n_steps", self.n_steps)
        if not 0 < number("fraction", self.fraction) <= 1:
            raise AttributionError(f"fraction must be above 0 and at most 1, such as 0.25; got {self.fraction!r}")
        if not 0 <= number("max_distance", self.max_distance) <= 1:
            raise AttributionError(f"max_distance must be from 0 to 1, such as 0.02; got {self.max_distance!r}")

    def integrator(self, work: Work, seed: int | None) -> "Walked":
        count, dtype = len(work.tables.score), work.session.function.dtype.as_numpy_dtype
        each = points.at_references(work.tables.references.count)
        return Walked([each] * count, work.features, dtype, int(self.n_steps))

    def row(self, features: Features, kind: str) -> RowFunction:
        return GuidedSum(int(self.n_steps), float(self.fraction), float(self.max_distance))

    def when_incomplete(self, function: ScoreFunction) -> str | None:
        return "too_few_steps"


class Walked(Fixed):
    """Rows that are whole paths, of so many gradients each."""

    def __init__(self, each: list[points.Points], features: Features, dtype: npt.DTypeLike, steps: int) -> None:
        super().__init__(each, features, dtype, False)
        self._steps = steps

    def outcome(self) -> Outcome:
        found = super().outcome()
        status = np.full(len(found.evaluations), NOT_ESTIMATED)
        return dataclasses.replace(
            found, evaluations=found.evaluations * self._steps, status=status, alphas=None, path_scores=None, path_slopes=None
        )


@dataclasses.dataclass(frozen=True)
class GuidedSum:
    """What a whole guided path sums to, for each row the path from its reference to its example."""

    steps: int
    fraction: float
    max_distance: float

    def __call__(self, function: ScoreFunction, row: Row) -> tuple[tf.Tensor, tf.Tensor, dict]:
        """The score at the example and the sum of the integrand (rows,), and the integrand by key."""
        shapes = {key: tf.shape(x) for key, x in row.x.items()}
        end, start = _flat(row.x), _flat(row.reference)
        walk = _Walk(start, end, self.fraction, self.max_distance, ARRIVED.get(end.dtype, ARRIVED[tf.float32]))
        sizes = [int(np.prod(x.shape[1:])) if x.shape[1:].is_fully_defined() else None for x in row.x.values()]

        def parts(values: tf.Tensor) -> dict[Any, tf.Tensor]:
            split = [values] if len(shapes) == 1 else tf.split(values, sizes, axis=1)
            return {key: tf.reshape(part, shapes[key]) for key, part in zip(shapes, split, strict=True)}

        def step(number: tf.Tensor, at: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            _, gradients = function.gradients(parts(at), row.context, row.target)
            gradient = _flat(gradients)
            new = walk.moved(at, gradient, tf.cast(number + 1, end.dtype) / self.steps)
            return number + 1, new, total + tf.where(new == at, tf.zeros_like(at), (new - at) * gradient)

        _, _, total = tf.while_loop(
            lambda number, at, total: number < self.steps,
            step,
            (tf.constant(0), start, tf.zeros_like(start)),
            shape_invariants=(tf.TensorShape([]), end.shape, end.shape),
        )
        return row.score, per_row_sum(total), parts(total)


@dataclasses.dataclass(frozen=True, eq=False)
class _Walk:
    """The ways of several rows, (rows, features) from `start` to `end`."""

    start: tf.Tensor
    end: tf.Tensor
    fraction: float
    max_distance: float
    arrived: float

    def moved(self, at: tf.Tensor, gradient: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
        """The points that a step from `at` to `alpha` of the L1 distance leads to."""
        whole = tf.reduce_sum(tf.abs(self.end - self.start), 1)
        target = whole * (1 - alpha)
        last = self._straight(tf.minimum(alpha + self.max_distance, 1.0))
        behind = self._straight(tf.maximum(alpha - self.max_distance, 0.0))
        # those that fell behind the band around the straight path are taken into it
        at = tf.where(tf.abs(self.end - at) > tf.abs(self.end - behind), behind, at)
        features = tf.shape(at)[1]
        rank = tf.cast(tf.floor(self.fraction * tf.cast(features - 1, tf.float64)), tf.int32)
        size = tf.abs(gradient)

        def going(at: tf.Tensor, open_rows: tf.Tensor) -> tf.Tensor:
            return tf.reduce_any(open_rows)

        def on(at: tf.Tensor, open_rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            left = tf.reduce_sum(tf.abs(self.end - at), 1)
            open_rows &= left - target > self.arrived * whole
            able = (at != last) & open_rows[:, None]
            infinite = tf.constant(np.inf, size.dtype)
            weight = tf.where(able, size, infinite)
            least = tf.sort(weight, axis=1)[:, rank]
            chosen = able & (weight <= least[:, None])
            way = tf.reduce_sum(tf.where(chosen, tf.abs(last - at), 0), 1)
            part = tf.math.divide_no_nan(left - target, way)[:, None]
            # where all that is chosen does not suffice it goes as far as it may, and others are chosen
            further = tf.where((part > 1) | (way == 0)[:, None], last, at + part * (last - at))
            return tf.where(chosen, further, at), open_rows & tf.reduce_any(chosen, 1) & ~((part[:, 0] <= 1) & (way > 0))

        rows = tf.ones(tf.shape(at)[:1], tf.bool)
        at, _ = tf.while_loop(going, on, (at, rows), shape_invariants=(self.end.shape, tf.TensorShape([None])))
        return at

    def _straight(self, alpha: tf.Tensor) -> tf.Tensor:
        """The point of the straight path, to the last bit at both ends."""
        return (1 - alpha) * self.start + alpha * self.end


def _flat(values: dict[Any, tf.Tensor]) -> tf.Tensor:
    """(rows, features) of all tensors side by side."""
    flat = [
        tf.reshape(value, [tf.shape(value)[0], int(np.prod(value.shape[1:])) if value.shape[1:].is_fully_defined() else -1])
        for value in values.values()
    ]
    return flat[0] if len(flat) == 1 else tf.concat(flat, 1)
