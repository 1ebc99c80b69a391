"""Rules for products, quotients, powers and normalisation. All are exact: contributions sum to Δy but for rounding.

A product of two factors that both vary is split at the midpoint, Δ(ab) = b̄ Δa + ā Δb with ā = (a + a') / 2: the Shapley values
of the two, and the gradient of the path integral. The paper knows no products; this is its summation-to-delta (section 3.1).

A quotient y = a / b is what solves the product y b = a. As a product of a and 1 / b it would sum up as well, but where b is
next to zero at the reference (LayerNormalization of zeros) both parts would be as large as 1 / b and cancel: contributions of a
small transformer would have 16 to 35 times the L1 norm of integrated gradients; as a quotient they have 0.5 to 0.7 of it.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ....common.types import present
from .common import beside, middle, pairs, partner, pulled_back, quotient, unbroadcast
from .elementwise import secant


def multiply(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor]:
    """Elementwise a b: g b̄ and g ā, conjugated where they are complex."""
    a, b = pairs(operation)
    with beside(operation):
        of_a, of_b = tf.math.conj(middle(b)), tf.math.conj(middle(a))
    return [unbroadcast(upstream * of_a, a[0]), unbroadcast(upstream * of_b, b[0])]


def contract(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor]:
    """Products of matrices and Einstein sums of two tensors: the gradient at the midpoint."""
    function = {"MatMul": _matmul, "Einsum": _einsum}.get(operation.type, _batch_matmul)(operation)
    with beside(operation):
        middles = [middle(pair) for pair in pairs(operation)]
    return pulled_back(function, middles, upstream)


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
    """y = a / b as what solves y b = a at the midpoint: Δy = (Δa - ȳ Δb) / b̄, thus g / b̄ and -g ȳ / b̄.

    Where b changes its sign, b̄ may be anything, and y is the product of a and h = 1 / b: g h̄, and g ā Δh / Δb.
    """
    a, b = pairs(operation)
    quotients = operation.outputs[0], partner(operation).outputs[0]
    with beside(operation):
        same_sign = (b[0] > 0) & (b[1] > 0) | (b[0] < 0) & (b[1] < 0)
        inverse = tuple(quotient(tf.ones_like(value), value) for value in b)
        slope = -inverse[0] * inverse[1]
        # of those operations that have 0 where b is 0
        slope = tf.where(tf.equal(b[0], 0) | tf.equal(b[1], 0), quotient(inverse[0] - inverse[1], b[0] - b[1]), slope)
        of_a = tf.where(same_sign, 2 * quotient(tf.ones_like(b[0]), b[0] + b[1]), (inverse[0] + inverse[1]) / 2)
        of_b = tf.where(same_sign, -quotient(quotients[0] + quotients[1], b[0] + b[1]), middle(a) * slope)
    return [unbroadcast(upstream * of_a, a[0]), unbroadcast(upstream * of_b, b[0])]


def divide_by_inverse(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor]:
    """y = a / b where b is itself an inverse: the product of a and h = 1 / b, g h̄, and g ā Δh / Δb."""
    a, b = pairs(operation)
    with beside(operation):
        inverse = quotient(tf.ones_like(b[0]), b[0]), quotient(tf.ones_like(b[1]), b[1])
        of_a, of_b = middle(inverse), -middle(a) * inverse[0] * inverse[1]
    return [unbroadcast(upstream * of_a, a[0]), unbroadcast(upstream * of_b, b[0])]


def normalised(position: int) -> Callable:
    """The rule for y = a r, where r is an inverse: y = a / b with b = 1 / r, as a quotient is shared out.

    With H = 2 r r' / (r + r'), the harmonic mean: g H, and g (y + y') / (r + r'). Were it a product at the midpoint, both
    would be as large as 1 / b where b is next to zero at a reference, and cancel each other. Where r changes its sign there is
    no such b between the two, and it is a product.

    Args:
        position: of r among the inputs.
    """

    def rule(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor]:
        both = pairs(operation)
        a, r = both[1 - position], both[position]
        with beside(operation):
            harmonic, _, same = _shares(r)
            of_a = tf.where(same, harmonic, middle(r))
            outputs = operation.outputs[0], partner(operation).outputs[0]
            of_r = tf.where(same, quotient(outputs[0] + outputs[1], r[0] + r[1]), middle(a))
        found = [unbroadcast(upstream * of_a, a[0]), unbroadcast(upstream * of_r, r[0])]
        return found[::-1] if position == 0 else found

    return rule


def scaled(position: int) -> Callable:
    """The rule of `normalised` for products of matrices and Einstein sums, of which each term is a quotient.

    With H as there, s = r / (r + r'), and h what the operation hands from g and one factor to the other: h(H) for a, and
    s h(a) + (1 - s) h(a') for r.
    """

    def rule(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor]:
        function = {"MatMul": _matmul, "Einsum": _einsum}.get(operation.type, _batch_matmul)(operation)
        both = pairs(operation)
        a, r = both[1 - position], both[position]

        def back(first: tf.Tensor, second: tf.Tensor) -> list[tf.Tensor]:
            found = pulled_back(function, [first, second] if position else [second, first], upstream)
            return found if position else found[::-1]

        with beside(operation):
            harmonic, share, same = _shares(r)
            of_a, share = tf.where(same, harmonic, middle(r)), tf.where(same, share, 0.5 * tf.ones_like(share))
        to_a, at_x = back(a[0], of_a)
        _, at_reference = back(a[1], of_a)
        found = [to_a, share * at_x + (1 - share) * at_reference]
        return found if position else found[::-1]

    return rule


def _shares(r: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """2 r r' / (r + r'), r / (r + r'), and where the two have the same sign."""
    share = quotient(r[0], r[0] + r[1])
    # a product of the two might overflow
    return 2 * share * r[1], share, (r[0] >= 0) & (r[1] >= 0) | (r[0] <= 0) & (r[1] <= 0)


def times_logarithm(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor]:
    """a log b as the product of a and h = log b; Δh / Δb is 2 / (b + b') where Δb is tiny, off by less than (Δb / b)² / 12."""
    a, b = pairs(operation)
    shift = 1 if operation.type == "Xlog1py" else 0
    with beside(operation):
        logarithms = tuple(
            tf.math.xlog1py(tf.ones_like(value), value) if shift else tf.math.xlogy(tf.ones_like(value), value) for value in b
        )
        middling = (b[0] + b[1]) / 2 + shift
        tiny = tf.abs(b[0] - b[1]) <= 3e-4 * tf.abs(middling)
        slope = tf.where(tiny, quotient(tf.ones_like(middling), middling), quotient(logarithms[0] - logarithms[1], b[0] - b[1]))
        half = (logarithms[0] + logarithms[1]) / 2
        # 0 log 0 is 0, and so is its share
        half, slope = (tf.where(tf.math.is_finite(value), value, tf.zeros_like(value)) for value in (half, slope))
        slope = middle(a) * slope
    return [unbroadcast(upstream * half, a[0]), unbroadcast(upstream * slope, b[0])]


def squared_difference(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor]:
    """u² with u = a - b: g (u + u'), and the negative of it."""
    a, b = pairs(operation)
    with beside(operation):
        slope = (a[0] - b[0]) + (a[1] - b[1])
    slope = upstream * slope
    return [unbroadcast(slope, a[0]), unbroadcast(-slope, b[0])]


def product(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
    """The product over axes, one factor at a time from x' to x, first to last and last to first, halved:
    m_i = (prod of x before i · prod of x' behind i + prod of x' before i · prod of x behind i) / 2."""
    (x, reference), (axes, _) = pairs(operation)
    with beside(operation):
        rank = tf.rank(x)
        axes = tf.reshape(tf.where(axes < 0, axes + rank, axes), [-1])
        others = tf.sets.difference(tf.range(rank)[None], axes[None]).values
        order = tf.concat([others, axes], 0)
        kept = tf.gather(tf.shape(x), others)
        x_last, reference_last = (tf.reshape(_transposed(value, order), tf.concat([kept, [-1]], 0)) for value in (x, reference))
        before = [tf.math.cumprod(value, -1, exclusive=True) for value in (x_last, reference_last)]
        behind = [tf.math.cumprod(value, -1, exclusive=True, reverse=True) for value in (x_last, reference_last)]
        slope = (before[0] * behind[1] + before[1] * behind[0]) / 2
    slope = slope * tf.reshape(upstream, tf.concat([kept, [1]], 0))
    slope = tf.reshape(slope, tf.gather(tf.shape(x), order))
    return [_transposed(slope, tf.math.invert_permutation(order)), None]


def cumulative_product(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
    """Products of all factors up to each: of every one as `product` has it.

    With S_i = g_i + x_{i+1} S_{i+1}, what all products from i on make of a factor of one there, and S' of x':
    m_i = (prod of x before i · S'_i + prod of x' before i · S_i) / 2.
    """
    (x, reference), (axis, _) = pairs(operation)
    with beside(operation):
        rank = tf.rank(x)
        axis = tf.where(axis < 0, axis + rank, axis)
        order = tf.concat([tf.range(axis), tf.range(axis + 1, rank), axis[None]], 0)

        def last(value: tf.Tensor) -> tf.Tensor:
            value = _transposed(value, order)
            return tf.reverse(value, [-1]) if operation.get_attr("reverse") else value

        both = [last(value) for value in (x, reference)]
        before = [tf.math.cumprod(value, -1, exclusive=True) for value in both]
    upstream = last(upstream)
    if operation.get_attr("exclusive"):
        upstream = _moved_up(upstream, 1)
    sums = [one * _sums_of_products(upstream, other) for one, other in zip(before, both[::-1], strict=True)]
    slope = (sums[0] + sums[1]) / 2
    slope = tf.reverse(slope, [-1]) if operation.get_attr("reverse") else slope
    return [_transposed(slope, tf.math.invert_permutation(order)), None]


def _transposed(value: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
    return tf.transpose(value, order)  # pyright: ignore[reportArgumentType] (an order may be a tensor, which its stubs do not know)


def _sums_of_products(upstream: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """S_i = g_i + x_{i+1} S_{i+1} along the last axis, in about log2(n) rounds, each of which joins twice as many steps."""

    def join(step: tf.Tensor, total: tf.Tensor, product: tf.Tensor) -> tuple:
        return 2 * step, total + product * _moved_up(total, step), product * _moved_up(product, step)

    start = 1, upstream, _moved_up(factors, 1)
    sizes: Any = None if upstream.shape.rank is None else [None] * upstream.shape.rank  # which the stubs do not know
    dynamic = tf.TensorShape(sizes)
    _, total, _ = tf.while_loop(
        lambda step, *_: step < tf.shape(upstream)[-1], join, start, (tf.TensorShape([]), dynamic, dynamic)
    )
    return total


def _moved_up(value: tf.Tensor, steps: tf.Tensor | int) -> tf.Tensor:
    """Element i is that at i + `steps` of the last axis, and 0 where there is none."""
    steps = tf.minimum(steps, tf.shape(value)[-1])
    behind = tf.concat([tf.zeros([tf.rank(value) - 1], tf.int32), [steps]], 0)
    rest = value[..., steps:]  # pyright: ignore[reportArgumentType] (a slice may begin at a tensor, which the stubs do not know)
    return tf.pad(rest, tf.stack([tf.zeros_like(behind), behind], 1))


def normalise(operation: tf.Operation, upstream: tf.Tensor, *_: tf.Tensor) -> list[tf.Tensor | None]:
    """Batch normalisation by stored statistics, which is linear: g scale / sqrt(variance + epsilon) for each channel."""
    scale, variance = operation.inputs[1], operation.inputs[4]
    factor = scale * tf.math.rsqrt(variance + operation.get_attr("epsilon"))
    if operation.get_attr("data_format").startswith(b"NC"):
        factor = tf.reshape(factor, [1, -1] + [1] * (operation.inputs[0].shape.rank - 2))
    return [upstream * tf.cast(factor, upstream.dtype), None, None, None, None]


def power(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
    """x to a power that does not vary: the secant, or the gradient's mean where Δx is tiny."""
    return [unbroadcast(present(secant(operation, upstream)[0]), operation.inputs[0])]
