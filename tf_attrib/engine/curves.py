"""Rows along a path of one's own: a curve that leads from the reference to the example, and what gradients give along it.

x(alpha) is the curve of one feature, and dF/dx at x(alpha) times dx/dalpha is what it gives there. Over all features these sum
to the derivative of F(x(alpha)), as on a straight path: what the integral is judged by stays the same, and the total with it.
What changes is what lies between two nodes. A curve may run far within a small part of alpha, or jump, which no gradient tells.
So each is measured before the model is asked (`lengths`): first nodes crowd where it runs far, and one that jumps is refused.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
import tensorflow as tf

from ..common.errors import AttributionError
from ..common.own_code import code_of
from ..selection.score_function import ScoreFunction
from .program import Tables
from .row import Row, per_row, per_row_sum

# From the reference, the example, and alpha (rows, 1, ...) to the points of one tensor, all (rows, ...).
Curve = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]

# Steps in each cell by which a curve is measured, and elements that are held at once.
STEPS, TOGETHER = 16, 2**22
# How far from the reference and the example a curve may end, as a part of their largest value.
OFF = 1e-4
# The part of a curve's length that may lie in one step; and that may be left in one that was halved so many times.
SUDDEN, JUMP, HALVINGS = 0.1, 0.01, 12
# How far a curve may go by its derivative, as a part of its length, and the other way round: nodes tell it roughly.
STILL = 0.5


@dataclasses.dataclass(frozen=True)
class CurveScore:
    """The score at a point of the curve, and nothing else."""

    curve: Curve
    shares: ClassVar[bool] = True

    def __call__(self, function: ScoreFunction, row: Row) -> tuple[tf.Tensor, tf.Tensor, dict]:
        """Score (rows,), zeros (rows,), and no integrands."""
        at = {key: point_of(self.curve, row.reference[key], x, per_row(row.alpha, x)) for key, x in row.x.items()}
        score = function.scores(at, row.context, row.target)
        return score, tf.zeros_like(score), {}


@dataclasses.dataclass(frozen=True)
class CurveIntegrand:
    """The gradient of the score at a point of the curve, times the derivative of the curve there."""

    curve: Curve
    shares: ClassVar[bool] = True

    @property
    def score_only(self) -> CurveScore:
        """What rows of which nothing but the score is wanted are evaluated by."""
        return CurveScore(self.curve)

    def __call__(self, function: ScoreFunction, row: Row) -> tuple[tf.Tensor, tf.Tensor, dict]:
        """Score (rows,), derivative along the curve (rows,), and integrand by key."""
        moved = {key: point_and_velocity(self.curve, row.reference[key], x, per_row(row.alpha, x)) for key, x in row.x.items()}
        score, gradients = function.gradients({key: point for key, (point, _) in moved.items()}, row.context, row.target)
        products = {key: gradient * moved[key][1] for key, gradient in gradients.items()}
        return score, tf.add_n([per_row_sum(product) for product in products.values()]), products


def point_of(curve: Curve, reference: tf.Tensor, x: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
    """The points (rows, ...) of a curve at `alpha` (rows, 1, ...).

    Raises:
        AttributionError: it gives something else.
    """
    with code_of("path(baseline, x, alpha)"):
        point = curve(reference, x, alpha)
    if not tf.is_tensor(point) or point.dtype != x.dtype or not point.shape.is_compatible_with(x.shape):
        shown = f"a tensor {point.dtype.name} {point.shape}" if tf.is_tensor(point) else type(point).__name__
        raise AttributionError(
            f"path(baseline, x, alpha) must return a tensor {x.dtype.name} {x.shape} by operations of TensorFlow, where alpha "
            f"is {alpha.shape}: such as lambda baseline, x, alpha: baseline + alpha**2 * (x - baseline); it returned {shown}"
        )
    return point


def point_and_velocity(curve: Curve, reference: tf.Tensor, x: tf.Tensor, alpha: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The same, and the derivative of the points by alpha, by a Jacobian-vector product."""
    with tf.autodiff.ForwardAccumulator(alpha, tf.ones_like(alpha)) as moving:
        point = point_of(curve, reference, x, alpha)
    velocity = moving.jvp(point)
    if velocity is None:
        raise AttributionError(
            "path(baseline, x, alpha) has no derivative by alpha: its points must follow from alpha by operations that "
            "TensorFlow can differentiate, not by rounding, comparing, or NumPy"
        )
    return point, velocity


def lengths(curve: Curve, tables: Tables, cells: int) -> np.ndarray:
    """(n · k, cells), which part of its length each curve runs in each cell of alpha: of several tensors, that of the one that
    runs furthest there. Nothing of a curve that stays where it is.

    Raises:
        AttributionError: a curve that does not lead from the reference to the example, jumps, or runs on too suddenly.
    """
    references = tables.references
    found = np.zeros((len(tables.score) * references.count, cells))
    for key, x in tables.x.items():
        for path in range(len(found)):
            example, reference = divmod(path, references.count)
            start = references.tables[key][references.index[key][example, reference]]
            found[path] = np.maximum(found[path], _Measured(curve, start, x[example], example).cells(cells))
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class _Measured:
    """The curve of one example from one reference."""

    curve: Curve
    start: np.ndarray
    end: np.ndarray
    example: int

    def cells(self, cells: int) -> np.ndarray:
        """(cells,), which part of its length it runs in each."""
        alphas = np.linspace(0, 1, cells * STEPS + 1)
        steps, speeds, last = [], [], None
        for points, velocity in self._walked(alphas):
            if last is None:
                self._check_end(points[0], self.start, 0, "baseline")
            whole = points if last is None else np.concatenate([last, points])
            steps.append(_l1(np.diff(whole, axis=0)))
            speeds.append(_l1(velocity))
            last = points[-1:]
        assert last is not None
        self._check_end(last[0], self.end, 1, "x")
        step, speed = np.concatenate(steps), np.concatenate(speeds)
        length = step.sum()
        if length <= OFF * max(np.abs(self.start).sum(dtype=np.float64), np.abs(self.end).sum(dtype=np.float64)):
            return np.zeros(cells)
        self._check_run(alphas, step, speed, length)
        return step.reshape(cells, STEPS).sum(1) / length

    def _walked(self, alphas: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Points and derivatives (some, ...) at `alphas`, so many at a time as memory has room for."""
        for part in self._parts(alphas):
            point, velocity = point_and_velocity(self.curve, *self._rows(part))
            yield point.numpy(), tf.convert_to_tensor(velocity).numpy()

    def _parts(self, alphas: np.ndarray) -> list[np.ndarray]:
        together = max(1, TOGETHER // max(self.end.size, 1))
        return np.split(alphas, range(together, len(alphas), together))

    def _rows(self, alphas: np.ndarray) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The baseline, the example and alpha, as a curve takes them."""
        shape = [len(alphas), *self.end.shape]
        alpha = tf.constant(alphas.reshape(-1, *[1] * self.end.ndim), self.end.dtype)
        return tf.broadcast_to(self.start, shape), tf.broadcast_to(self.end, shape), alpha

    def _check_end(self, point: np.ndarray, wanted: np.ndarray, alpha: int, name: str) -> None:
        off = np.abs(point - wanted).max(initial=0)
        if not off <= OFF * max(np.abs(self.start).max(initial=0), np.abs(self.end).max(initial=0)):
            raise AttributionError(
                f"path(baseline, x, alpha) must lead from the baseline, at alpha = 0, to x, at alpha = 1, or attributions do "
                f"not sum to the difference of their scores; at {alpha} it is off {name} by {off:.3g} (example {self.example})"
            )

    def _check_run(self, alphas: np.ndarray, step: np.ndarray, speed: np.ndarray, length: float) -> None:
        if not np.isfinite(length):
            raise AttributionError(f"path(baseline, x, alpha) is NaN or infinite between its ends (example {self.example})")
        most = int(step.argmax())
        where = f"near alpha = {alphas[most]:.3g} (example {self.example})"
        left = self._halved(alphas[most], alphas[most + 1])
        if left > JUMP * length:
            raise AttributionError(f"path(baseline, x, alpha) jumps by {left / length:.0%} of its length {where}")
        if step[most] > SUDDEN * length:
            raise AttributionError(
                f"path(baseline, x, alpha) runs {step[most] / length:.0%} of its length within {alphas[1]:.2g} of alpha, "
                f"{where}: no step would see what lies there. Let alpha go on with the length of the path: "
                "the integral stays the same"
            )
        if not np.isfinite(speed).all():
            raise AttributionError(
                f"the derivative of path(baseline, x, alpha) is not finite at alpha = {alphas[~np.isfinite(speed)][0]:.3g} "
                f"(example {self.example}). Let alpha go on with the length of the path, as alpha**2 in place of alpha: the "
                "integral stays the same"
            )
        travelled = speed.mean()
        if not STILL * length < travelled < length / STILL:
            raise AttributionError(
                f"path(baseline, x, alpha) goes {travelled / length:.2g} times its length by its derivative (example "
                f"{self.example}): it moves in steps, or by operations whose derivative TensorFlow does not know"
            )

    def _halved(self, low: float, high: float) -> float:
        """How far the curve runs in what is left of [low, high], halved towards where it runs further."""
        left = 0.0
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            first, second = self._apart(np.array([low, middle, high]))
            low, high, left = (low, middle, first) if first > second else (middle, high, second)
        return float(left)

    def _apart(self, alphas: np.ndarray) -> np.ndarray:
        """How far each of the points at `alphas` is from the one before."""
        points = [point_of(self.curve, *self._rows(part)).numpy() for part in self._parts(alphas)]
        return _l1(np.diff(np.concatenate(points), axis=0))


def _l1(values: np.ndarray) -> np.ndarray:
    """(rows,), L1 norms."""
    return np.abs(values).reshape(len(values), -1).sum(1, dtype=np.float64)
