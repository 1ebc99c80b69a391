"""Coarse maps made as large as an input, by linear interpolation along each axis."""

import tensorflow as tf


def enlarged(
    maps: tf.Tensor, sizes: tf.Tensor, whole: tf.Tensor | None = None, start: list[tf.Tensor] | None = None
) -> tf.Tensor:
    """`maps` (rows, *positions) over `sizes` positions, (rows, *sizes): the centres of what is coarse and of what is fine lie
    on one scale, and beyond the outermost centre nothing changes.

    Args:
        sizes: int32, one for each axis of positions.
        whole: over how many positions a map reaches, where `sizes` is a part of that; default: `sizes`.
        start: int32 (rows,) for each axis, where that part begins; default: at 0. No stack of them: of `stack[:, axis, None]`
            TensorFlow 2.21 loses the new axis where it knows how many rows there are.
    """
    dtype = maps.dtype
    for axis in range(maps.shape.rank - 1):
        size = tf.cast(tf.shape(maps)[1], dtype)
        fine = tf.range(tf.cast(sizes[axis], dtype)) + 0.5
        if start is not None:
            fine += tf.cast(start[axis][:, None], dtype)
        centre = fine * size / tf.cast((sizes if whole is None else whole)[axis], dtype) - 0.5
        centre = tf.clip_by_value(centre, 0, size - 1)
        weights = tf.nn.relu(1 - tf.abs(tf.expand_dims(centre, -1) - tf.range(size)))
        # the axis done goes to the end: in turn all are in their place again
        maps = tf.tensordot(maps, weights, [[1], [1]]) if start is None else tf.einsum("ri...,roi->r...o", maps, weights)
    return maps
