"""Methods whose rows are known beforehand, inside a graph: sums of rows with fixed weights, over noisy copies where wanted."""

import dataclasses
from typing import Any

import tensorflow as tf

from ..common.types import Features, present
from ..engine.copies import Cloud
from ..engine.integral.points import Points
from ..engine.row import RowFunction, checked, per_row
from .chunk import Chunk
from .loops import summed

# TensorFlow's stubs know fewer operators and arguments of tensors than there are.
# pyright: reportOperatorIssue=false, reportArgumentType=false


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """What came of the rows of a chunk.

    Attributes:
        totals: (c, slots, ...) by key.
        evaluations: int32 (c,), rows of each example.
        finite: bool (c,).
        error_estimate: (c,), relative L1 error, and `status`, string (c,): None where the method states none.
    """

    totals: dict[Any, tf.Tensor]
    evaluations: tf.Tensor
    finite: tf.Tensor
    error_estimate: tf.Tensor | None = None
    status: tf.Tensor | None = None


def fixed(chunk: Chunk, row: RowFunction, points: Points, sums: Features, cloud: Cloud | None, seed: int) -> Found:
    """The sums of the rows at `points` of every example.

    Args:
        sums: shapes of what one row gives, by key; sizes that follow the input are None.
        cloud: of noisy copies over which sums are taken; the noise is that of `seed`, the same for all examples.
    """
    copies = 1 if cloud is None else cloud.n_samples
    separate = cloud is not None and cloud.form != "mean"
    slots = copies if separate else points.slots
    alphas, weights = (tf.constant(values, chunk.function.dtype) for values in (points.alpha, points.weight))
    which, slot = (tf.constant(values, tf.int32) for values in (points.reference, points.slot))
    each = len(points.alpha) * copies
    noise = None if cloud is None else _Noise(chunk, cloud, seed)

    def add(index: tf.Tensor, kept: tf.Tensor, totals: list[tf.Tensor]) -> list[tf.Tensor]:
        example, number = index // each, index % each
        copy, point = number // len(points.alpha), number % len(points.alpha)
        rows = chunk.row(
            example,
            tf.gather(which, point),
            tf.gather(alphas, point),
            point,
            None if noise is None else noise.of(example, copy),
        )
        score, _, found = checked(row, rows, row(chunk.function, rows), sums, chunk.function)
        weight = tf.gather(weights, point) / (1 if separate else copies)
        own = (example * slots + (copy if separate else tf.gather(slot, point)))[:kept, None]
        values = [tf.math.multiply_no_nan(value, per_row(weight, value))[:kept] for value in found.values()]
        good = tf.cast(~tf.math.is_finite(score), tf.int32)[:kept]
        *sums_now, bad = totals
        added = [tf.tensor_scatter_nd_add(total, own, value) for total, value in zip(sums_now, values, strict=True)]
        return [*added, tf.tensor_scatter_nd_add(bad, example[:kept, None], good)]

    shapes = {key: _sizes(chunk, number, shape) for number, (key, shape) in enumerate(sums.items())}
    zeros = [
        tf.ensure_shape(tf.zeros([chunk.count * slots, *shapes[key]], chunk.function.dtype), [None, *shape])
        for key, shape in sums.items()
    ]
    *totals, bad = summed(
        chunk.count * each, chunk.block, chunk.function.rows, add, [*zeros, tf.zeros([chunk.count], tf.int32)]
    )
    parts = {
        key: tf.reshape(total, [chunk.count, slots, *shapes[key]]) for (key, _), total in zip(sums.items(), totals, strict=True)
    }
    if separate:
        parts = {key: _folded(present(cloud).form, value)[:, None] for key, value in parts.items()}
    return Found(parts, tf.fill([chunk.count], each), bad == 0)


def _sizes(chunk: Chunk, number: int, shape: tuple) -> list[Any]:
    """The sizes of what one row gives of the tensor of this number, where they follow the input those at hand."""
    tensors = list(chunk.x.values())
    actual = tf.unstack(tf.shape(tensors[number % len(tensors)]))[1:]
    return [actual[axis] if size is None else size for axis, size in enumerate(shape)]


def _folded(form: str, found: tf.Tensor) -> tf.Tensor:
    """What becomes of the attributions (c, copies, ...) of the copies, as `engine.copies.FORMS` has it."""
    return tf.reduce_mean(tf.square(found), 1) if form == "squared" else tf.math.reduce_variance(found, 1)


class _Noise:
    """Normal noise for each copy, the same for all examples but for its size, which follows the range of each."""

    def __init__(self, chunk: Chunk, cloud: Cloud, seed: int) -> None:
        self._drawn, self._deviation = {}, {}
        for number, (key, x) in enumerate(chunk.x.items()):
            shape = tf.concat([[cloud.n_samples], tf.shape(x)[1:]], 0)
            self._drawn[key] = tf.random.stateless_normal(shape, [seed % 2**31, number], dtype=chunk.function.dtype)
            axes = list(range(1, x.shape.rank))
            self._deviation[key] = cloud.stddev * (tf.reduce_max(x, axes) - tf.reduce_min(x, axes))

    def of(self, example: tf.Tensor, copy: tf.Tensor) -> dict[Any, tf.Tensor]:
        """(rows, ...) by key."""
        return {
            key: tf.gather(drawn, copy) * per_row(tf.gather(self._deviation[key], example), drawn)
            for key, drawn in self._drawn.items()
        }
