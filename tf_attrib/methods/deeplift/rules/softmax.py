"""Softmax and its logarithm, each row by itself, by Rescale on exp(x - log Σ exp x).

With L(a, b) = (a - b) / (log a - log b), the logarithmic mean: u_j = x_j - log Σ exp x has the multipliers 1 - w and -w with
w_i = L(exp x_i, exp x'_i) / L(Σ exp x, Σ exp x'), and exp u_j has L(p_j, p'_j). None of these exceeds 1, so nothing cancels, as
it would if exp x were divided by its sum.
"""

import tensorflow as tf

from .common import beside, partner


def log_softmax(operation: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    """g_i - w_i Σ g."""
    with beside(operation):
        weights = _weights(operation.inputs[0], partner(operation).inputs[0])
    return upstream - weights * tf.reduce_sum(upstream, -1, keepdims=True)


def softmax(operation: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    """g_i L(p_i, p'_i) - w_i Σ g_j L(p_j, p'_j)."""
    at_reference = partner(operation)
    x, reference = operation.inputs[0], at_reference.inputs[0]
    with beside(operation):
        weights = _weights(x, reference)
        logarithms = [tf.nn.log_softmax(value) for value in (x, reference)]
        mean = _logarithmic_mean(operation.outputs[0], at_reference.outputs[0], *logarithms)
    scaled = upstream * mean
    return scaled - weights * tf.reduce_sum(scaled, -1, keepdims=True)


def _weights(x: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
    """w: the part of Δ log Σ exp x that is due to each element, for each unit of its Δx."""
    sums = [tf.reduce_logsumexp(value, -1, keepdims=True) for value in (x, reference)]
    top = tf.maximum(*sums)
    each = _logarithmic_mean(tf.exp(x - top), tf.exp(reference - top), x, reference)
    return each / _logarithmic_mean(tf.exp(sums[0] - top), tf.exp(sums[1] - top), *sums)


def _logarithmic_mean(a: tf.Tensor, b: tf.Tensor, log_a: tf.Tensor, log_b: tf.Tensor) -> tf.Tensor:
    """L(a, b); the mean of a and b where they are nearly the same, which is off by a part of (log a - log b)² / 12."""
    difference = log_a - log_b
    near = (tf.abs(difference) < 5e-4) | tf.equal(log_a, log_b)
    return tf.where(near, (a + b) / 2, (a - b) / tf.where(near, tf.ones_like(difference), difference))
