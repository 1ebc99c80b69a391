"""Rules for maxima, minima and choices between tensors. All are exact: contributions sum to Δy but for rounding."""

import tensorflow as tf

from .common import beside, first_gradient, pairs, partner, quotient, unbroadcast, varies


def extreme(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
    """The maximum over axes or a window (minimum: likewise with signs changed).

    Where it rose, y > y', the rise is due to the element that is the maximum at x: it rose at least as much. Where it fell, to
    the one that was the maximum at x'. Each divided by that element's Δx gives a multiplier between 0 and g.
    """
    at_reference = partner(operation)
    x, reference = operation.inputs[0], at_reference.inputs[0]
    y, below = operation.outputs[0], at_reference.outputs[0]
    with beside(operation):
        rise, difference = y - below, x - reference
        at_x = -tf.nn.relu(-rise) if operation.type == "Min" else tf.nn.relu(rise)
        at_other = rise - at_x
    moved = first_gradient(operation, upstream * at_x) + first_gradient(at_reference, upstream * at_other)
    return [quotient(moved, difference)] + [None] * (len(operation.inputs) - 1)


def greater_or_less(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
    """The greater or the less of a and b, as Shapley values: m_a Δa = (f(a, b') - f(a', b') + f(a, b) - f(a', b)) / 2."""
    function = tf.maximum if operation.type == "Maximum" else tf.minimum
    a, b = pairs(operation)
    both, neither = operation.outputs[0], partner(operation).outputs[0]
    with beside(operation):
        first = function(a[0], b[1]) if varies(b) else both
        second = function(a[1], b[0]) if varies(a) else both
        first, second = (first if varies(a) else neither), (second if varies(b) else neither)
        found = [((first - neither) + (both - second)) / 2, ((second - neither) + (both - first)) / 2]
        slopes = [quotient(part, pair[0] - pair[1]) for part, pair in zip(found, (a, b), strict=True)]
    return [
        unbroadcast(upstream * slope, pair[0]) if varies(pair) else None for slope, pair in zip(slopes, (a, b), strict=True)
    ]


def select(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
    """A choice by a condition that is the same at x and x': g where an element was chosen."""
    condition, a, b = operation.inputs
    if operation.type == "Select" and condition.shape.rank != upstream.shape.rank:  # one condition for each row
        condition = tf.reshape(condition, [-1] + [1] * (upstream.shape.rank - 1))
    zero = tf.zeros_like(upstream)
    return [None, unbroadcast(tf.where(condition, upstream, zero), a), unbroadcast(tf.where(condition, zero, upstream), b)]


def select_by_varying(operation: tf.Operation, upstream: tf.Tensor, *_: tf.Tensor) -> list[tf.Tensor | None]:
    """A choice c a + (1 - c) b by a condition that varies, c being 0 or 1, as a product at the midpoint: g c̄ for a, g (1 - c̄)
    for b, and g (ā - b̄) for c. The operation has the chosen values, c, a and b as inputs."""
    _, c, a, b = pairs(operation)
    with beside(operation):
        share = (c[0] + c[1]) / 2
        rest, zero = 1 - share, tf.zeros_like(operation.outputs[0])
        # values that were chosen neither at x nor at x' have no say, and may be infinite
        middling = [tf.where(tf.equal(part, 0), zero, (pair[0] + pair[1]) / 2) for part, pair in ((share, a), (rest, b))]
        for_c = tf.where(tf.not_equal(c[0], c[1]), middling[0] - middling[1], zero)
    return [None, unbroadcast(upstream * for_c, c[0]), unbroadcast(upstream * share, a[0]), unbroadcast(upstream * rest, b[0])]
