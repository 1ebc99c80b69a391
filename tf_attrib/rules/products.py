"""Rules for products, quotients, powers and normalisation. All are exact: contributions sum to Δy but for rounding.

A product of two factors that both vary is split at the midpoint, Δ(ab) = b̄ Δa + ā Δb with ā = (a + a') / 2: the Shapley values
of the two, and the gradient of the path integral. The paper knows no products; this is its summation-to-delta (section 3.1).
"""

from collections.abc import Callable

import tensorflow as tf

from .common import middle, pairs, pulled_back, quotient, unbroadcast
from .elementwise import secant


def multiply(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor]:
    """Elementwise a b: g b̄ and g ā."""
    a, b = pairs(operation)
    return [unbroadcast(upstream * middle(b), a[0]), unbroadcast(upstream * middle(a), b[0])]


def contract(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor]:
    """Products of matrices and Einstein sums of two tensors: the gradient at the midpoint."""
    function = {"MatMul": _matmul, "Einsum": _einsum}.get(operation.type, _batch_matmul)(operation)
    return pulled_back(function, [middle(pair) for pair in pairs(operation)], upstream)


def _matmul(operation: tf.Operation) -> Callable:
    options = {name: operation.get_attr(name) for name in ("transpose_a", "transpose_b")}
    return lambda a, b: tf.raw_ops.MatMul(a=a, b=b, **options)


def _batch_matmul(operation: tf.Operation) -> Callable:
    options = {name: operation.get_attr(name) for name in ("adj_x", "adj_y")}
    return lambda a, b: tf.raw_ops.BatchMatMulV2(x=a, y=b, **options)


def _einsum(operation: tf.Operation) -> Callable:
    equation = operation.get_attr("equation").decode()
    return lambda *factors: tf.raw_ops.Einsum(inputs=list(factors), equation=equation)


def divide(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor]:
    """a / b as the product of a and h = 1 / b: g h̄, and g ā Δh / Δb with Δh / Δb = -1 / (b b')."""
    a, b = pairs(operation)
    zero_is_zero = operation.type in ("DivNoNan", "Xdivy")
    inverse = tuple(quotient(tf.ones_like(value), value) if zero_is_zero else 1 / value for value in b)
    slope = -inverse[0] * inverse[1]
    if zero_is_zero:  # where one of them is zero, so is its inverse
        slope = tf.where(tf.equal(b[0], 0) | tf.equal(b[1], 0), quotient(inverse[0] - inverse[1], b[0] - b[1]), slope)
    half = (inverse[0] + inverse[1]) / 2
    return [unbroadcast(upstream * half, a[0]), unbroadcast(upstream * middle(a) * slope, b[0])]


def times_logarithm(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor]:
    """a log b as the product of a and h = log b; Δh / Δb is 2 / (b + b') where Δb is tiny, off by less than (Δb / b)² / 12."""
    a, b = pairs(operation)
    shift = 1 if operation.type == "Xlog1py" else 0
    logarithms = tuple(tf.math.xlog1py(tf.ones_like(value), value) if shift else tf.math.xlogy(tf.ones_like(value), value)
                       for value in b)
    middling = (b[0] + b[1]) / 2 + shift
    tiny = tf.abs(b[0] - b[1]) <= 3e-4 * tf.abs(middling)
    slope = tf.where(tiny, quotient(tf.ones_like(middling), middling), quotient(logarithms[0] - logarithms[1], b[0] - b[1]))
    half = (logarithms[0] + logarithms[1]) / 2
    # 0 log 0 is 0, and so is its share
    half, slope = (tf.where(tf.math.is_finite(value), value, tf.zeros_like(value)) for value in (half, slope))
    return [unbroadcast(upstream * half, a[0]), unbroadcast(upstream * middle(a) * slope, b[0])]


def squared_difference(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor]:
    """u² with u = a - b: g (u + u'), and the negative of it."""
    a, b = pairs(operation)
    slope = upstream * ((a[0] - b[0]) + (a[1] - b[1]))
    return [unbroadcast(slope, a[0]), unbroadcast(-slope, b[0])]


def product(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
    """The product over axes, one factor at a time from x' to x, first to last and last to first, halved:
    m_i = (prod of x before i · prod of x' behind i + prod of x' before i · prod of x behind i) / 2."""
    (x, reference), (axes, _) = pairs(operation)
    rank = tf.rank(x)
    axes = tf.reshape(tf.where(axes < 0, axes + rank, axes), [-1])
    others = tf.sets.difference(tf.range(rank)[None], axes[None]).values
    order = tf.concat([others, axes], 0)
    kept = tf.gather(tf.shape(x), others)
    last = lambda value: tf.reshape(tf.transpose(value, order), tf.concat([kept, [-1]], 0))  # noqa: E731
    x_last, reference_last = last(x), last(reference)
    before = [tf.math.cumprod(value, -1, exclusive=True) for value in (x_last, reference_last)]
    behind = [tf.math.cumprod(value, -1, exclusive=True, reverse=True) for value in (x_last, reference_last)]
    slope = (before[0] * behind[1] + before[1] * behind[0]) / 2
    slope = slope * tf.reshape(upstream, tf.concat([kept, [1]], 0))
    slope = tf.reshape(slope, tf.gather(tf.shape(x), order))
    return [tf.transpose(slope, tf.math.invert_permutation(order)), None]


def normalise(operation: tf.Operation, upstream: tf.Tensor, *_) -> list[tf.Tensor | None]:
    """Batch normalisation by stored statistics, which is linear: g scale / sqrt(variance + epsilon) for each channel."""
    scale, variance = operation.inputs[1], operation.inputs[4]
    factor = scale * tf.math.rsqrt(variance + operation.get_attr("epsilon"))
    if operation.get_attr("data_format").startswith(b"NC"):
        factor = tf.reshape(factor, [1, -1] + [1] * (operation.inputs[0].shape.rank - 2))
    return [upstream * tf.cast(factor, upstream.dtype), None, None, None, None]


def power(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
    """x to a power that does not vary: the secant, or the gradient's mean where Δx is tiny."""
    return [unbroadcast(secant(operation, upstream)[0], operation.inputs[0])]
