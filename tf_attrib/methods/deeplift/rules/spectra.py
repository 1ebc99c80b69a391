"""Rules for complex numbers: magnitudes, and Fourier transforms from and to real numbers.

A multiplier at z = u + i v is m_u + i m_v, as gradients are in TensorFlow: the contribution is the real part of conj(m) Δz.
"""

from collections.abc import Callable

import tensorflow as tf

from .common import beside, pairs, partner, quotient

_FORWARD = {1: tf.signal.rfft, 2: tf.signal.rfft2d, 3: tf.signal.rfft3d}
_BACK = {1: tf.signal.ifft, 2: tf.signal.ifft2d, 3: tf.signal.ifft3d}


def magnitude(operation: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    """|z|, as the root of u² + v²: g (z + z') / (|z| + |z'|)."""
    z, reference = pairs(operation)[0]
    sizes = operation.outputs[0], partner(operation).outputs[0]
    with beside(operation):
        total, slope = z + reference, quotient(tf.ones_like(sizes[0]), sizes[0] + sizes[1])
        slope = total * tf.cast(slope, z.dtype)
    return slope * tf.cast(upstream, z.dtype)


def from_real(axes: int) -> Callable:
    """The transform of real numbers over the last `axes` axes, of which the first half of the last is kept: the sum over the
    frequencies k that are kept of g_k exp(i ω k n), its real part."""

    def rule(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
        x, lengths = operation.inputs
        rest = lengths[-1] - tf.shape(upstream)[-1]
        whole = tf.pad(upstream, _behind(upstream, [rest]))
        found = tf.math.real(_BACK[axes](whole)) * tf.cast(tf.reduce_prod(lengths), x.dtype)
        return [_filled(found, x, axes), None]

    return rule


def to_real(axes: int) -> Callable:
    """The transform back to real numbers, of half a spectrum: that of g, divided by the number of values, and twice where a
    frequency stands for its negative, too."""

    def rule(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
        z, lengths = operation.inputs
        found = _FORWARD[axes](upstream, lengths)
        frequencies = tf.range(tf.shape(found)[-1])
        twice = (frequencies > 0) & (2 * frequencies < lengths[-1])
        weights = tf.where(twice, 2, 1) / tf.reduce_prod(lengths)
        return [_filled(found * tf.cast(weights, z.dtype), z, axes), None]

    return rule


def _filled(value: tf.Tensor, like: tf.Tensor, axes: int) -> tf.Tensor:
    """`value` with zeros behind it where the transform took no more of `like` over its last axes."""
    with like.graph.as_default():
        shape = tf.shape(like)
    return tf.reshape(tf.pad(value, _behind(value, shape[-axes:] - tf.shape(value)[-axes:])), shape)


def _behind(value: tf.Tensor, counts: tf.Tensor | list) -> tf.Tensor:
    """Paddings that put so many zeros behind the last axes of `value`."""
    counts = tf.convert_to_tensor(counts)
    counts = tf.concat([tf.zeros([tf.rank(value) - tf.size(counts)], tf.int32), counts], 0)
    return tf.stack([tf.zeros_like(counts), counts], 1)
