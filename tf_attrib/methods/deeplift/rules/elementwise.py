"""The Rescale rule for functions of one variable: m = Δy / Δx (Shrikumar et al. 2017, arXiv:1704.02685, section 3.5.2).

Where Δx is tiny the quotient is rounding error. The paper takes the derivative at x' there; here it is the mean of those at x
and x', which for smooth functions differs from the quotient by a part of Δx² / 12. What "tiny" is depends on the kind of
function.
"""

import tensorflow as tf

from .common import beside, first_gradient, named, pairs, partner, quotient, varies

# Smooth everywhere, on a scale of about one: tiny is an absolute size.
SMOOTH = frozenset(
    {
        "Sigmoid",
        "Tanh",
        "Softplus",
        "Softsign",
        "Erf",
        "Erfc",
        "Exp",
        "Expm1",
        "Sin",
        "Cos",
        "Atan",
        "Sinh",
        "Cosh",
        "Asinh",
        "BesselI0e",
        "BesselI1e",
    }
)
# Smooth on the scale of x itself.
SCALED = frozenset({"Log", "Log1p", "Pow", "Lgamma", "Digamma", "Tan", "Asin", "Acos", "Acosh", "Atanh", "Ndtri", "Erfinv"})
# Pieces of straight lines, whose quotient is exact, and steps.
PIECES = frozenset({"Relu", "Relu6", "LeakyRelu", "Abs", "ClipByValue"})
STEPS = frozenset({"Sign", "Round", "Rint", "Floor", "Ceil"})
# Curved, with a kink at zero.
KINKED = frozenset({"Elu", "Selu"})
# The attribute of what begins an inverse of a root that names the operations behind it, the last of which is a minimum.
LIMIT = "_tf_attrib_limit"
# The relative spacing of numbers.
EPSILON = {tf.float64: 2.0**-52, tf.float32: 2.0**-23, tf.float16: 2.0**-10, tf.bfloat16: 2.0**-7}


def _tiny(x: tf.Tensor, reference: tf.Tensor, kind: frozenset) -> tf.Tensor | float:
    """The size of Δx up to which derivatives stand in for the quotient."""
    # a tenth of where the quotient's rounding error and the error of the derivatives' mean are about the same
    size = 0.1 * EPSILON[x.dtype] ** (1 / 3)
    if kind is SCALED:
        return size * tf.minimum(tf.abs(x), tf.abs(reference))
    # near a kink the derivatives' mean is wrong by the change of slope
    return tf.cast(size if kind is SMOOTH else size / 500, x.dtype)


def secant(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
    """g Δy / Δx; g times the derivative where Δx is tiny."""
    with beside(operation):
        slope = _slope(operation)
    return [upstream * slope] + [None] * (len(operation.inputs) - 1)


def _slope(operation: tf.Operation) -> tf.Tensor:
    at_reference = partner(operation)
    x, reference = operation.inputs[0], at_reference.inputs[0]
    kind = next(kind for kind in (SMOOTH, SCALED, PIECES, STEPS, KINKED) if operation.type in kind)
    difference = x - reference
    slope = quotient(operation.outputs[0] - at_reference.outputs[0], difference)
    if kind is STEPS:
        return slope
    if kind is PIECES:
        return tf.where(tf.equal(difference, 0), _derivative(operation), slope)
    near = (_derivative(operation) + _derivative(at_reference)) / 2
    return tf.where(tf.abs(difference) > _tiny(x, reference, kind), slope, near)


def _derivative(operation: tf.Operation) -> tf.Tensor:
    """The derivative of each element."""
    if operation.type == "Pow":  # its own gradient would be summed where x is broadcast
        x, exponent = operation.inputs
        return exponent * tf.pow(x, exponent - 1)
    return first_gradient(operation, tf.ones_like(operation.outputs[0]))


def square(operation: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    """Δ(x²) / Δx = x + x', conjugated where it is complex."""
    with beside(operation):
        slope = tf.math.conj(operation.inputs[0] + partner(operation).inputs[0])
    return upstream * slope


def square_root(operation: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    """Δ√x / Δx = 1 / (√x + √x')."""
    with beside(operation):
        total = operation.outputs[0] + partner(operation).outputs[0]
    return quotient(upstream, total)


def inverse_square_root(operation: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    """y = 1 / √x: Δy / Δx = -y² y'² / (y + y')."""
    with beside(operation):
        slope = _root_slope(operation.outputs[0], partner(operation).outputs[0])
    return upstream * slope


def _root_slope(y: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
    """-y² y'² / (y + y'), in an order that does not overflow where one of them is large."""
    less, more = tf.minimum(y, reference), tf.maximum(y, reference)
    return -tf.square(less) * more / (1 + less / more)


def limited_root(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
    """z = min(1 / √x, c): Δz / Δx, which is finite where 1 / √x is not; that of y = 1 / √x where neither is limited."""
    *_, root, limit = [operation, *(named(operation, name) for name in operation.get_attr(LIMIT).decode().split())]
    position = next(number for number, pair in enumerate(pairs(operation)) if varies(pair))
    with beside(operation):
        x, reference = pairs(operation)[position]
        y, at_reference, z, below = (one.outputs[0] for one in (root, partner(root), limit, partner(limit)))
        free = tf.equal(z, y) & tf.equal(below, at_reference)
        # the slope of 1 / √x at z and z', and the quotient where a limit is between x and x'
        slope = tf.where(free, _root_slope(z, below), -quotient(z - below, reference - x))
    return [upstream * slope if number == position else None for number in range(len(operation.inputs))]


def inverse(operation: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    """y = 1 / x: Δy / Δx = -y y'."""
    with beside(operation):
        slope = -operation.outputs[0] * partner(operation).outputs[0]
    return upstream * slope


def step(operation: tf.Operation, upstream: tf.Tensor, *_: tf.Tensor) -> list[tf.Tensor | None]:
    """Of a comparison of u with v, as 0 or 1, with u - v beside it: Δy / Δ(u - v); zero where neither changes."""
    at_reference = partner(operation)
    with beside(operation):
        slope = quotient(operation.inputs[0] - at_reference.inputs[0], operation.inputs[1] - at_reference.inputs[1])
    return [None, upstream * slope]
