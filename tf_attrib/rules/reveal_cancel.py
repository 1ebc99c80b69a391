"""The RevealCancel rule with the Linear rule beneath it (Shrikumar et al. 2017, arXiv:1704.02685, sections 3.5.3 and 3.5.1).

Behind a linear operation W x are shifts, scales, reshapes and an activation y = f(a). With Δx⁺ = max(Δx, 0), Δx⁻ likewise:

    Δa⁺ = W⁺ Δx⁺ + W⁻ Δx⁻            Δy⁺ = (f(a' + Δa⁺) - f(a') + f(a' + Δa⁺ + Δa⁻) - f(a' + Δa⁻)) / 2
    Δa⁻ = W⁻ Δx⁺ + W⁺ Δx⁻            Δy⁻ = (f(a' + Δa⁻) - f(a') + f(a' + Δa⁺ + Δa⁻) - f(a' + Δa⁺)) / 2
    m⁺ = Δy⁺ / Δa⁺,  m⁻ = Δy⁻ / Δa⁻

and g m⁺, g m⁻ go back along the weights that made Δa⁺ and Δa⁻; to an input that does not differ, half of each. Where Δa⁺ is
none, m⁺ is the limit of that quotient, (f'(a') + f'(a' + Δa⁻)) / 2, and m⁻ likewise: inputs that do not differ are handed it.
The paper's own implementation divides what float32 leaves of a difference over 1e-7 there, which is a few per cent off.
"""

from collections.abc import Callable

import tensorflow as tf

from .common import pairs, partner, pulled_back, quotient, varies

# The attribute of a linear operation that names what follows it, the activation last.
CHAIN = "_tf_attrib_chain"
LINEAR = frozenset({"MatMul", "BatchMatMulV2", "Conv2D", "Conv3D", "DepthwiseConv2dNative"})
RESHAPES = frozenset({"Identity", "Reshape", "Squeeze", "ExpandDims"})
SHIFTS = frozenset({"BiasAdd", "Add", "AddV2"})
SCALES = frozenset({"Mul", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})
ACTIVATIONS = frozenset({"Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Sigmoid", "Tanh", "Softplus", "Softsign"})
# The size up to which Δa⁺ or Δa⁻ counts as none.
NONE = 1e-7


def hand_on(operation: tf.Operation, upstream: tf.Tensor, *_) -> list[tf.Tensor | None]:
    """g as it is, to the input that varies: the linear operation before takes care of scale and activation."""
    return [upstream if varies(pair) else None for pair in pairs(operation)]


def reveal_cancel(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
    """The multipliers at the input of a linear operation, g being that at the output of its activation."""
    x, reference = pairs(operation)[0]
    kernel, difference = operation.inputs[1], x - reference
    linear, names = _linear(operation), [name.decode() for name in operation.get_attr(CHAIN)]
    *between, activation = [operation.graph.get_operation_by_name(name) for name in names]
    up, down = tf.nn.relu(difference), -tf.nn.relu(-difference)
    rises, falls = tf.nn.relu(kernel), -tf.nn.relu(-kernel)
    positive = linear(up, rises) + linear(down, falls)
    negative = linear(up, falls) + linear(down, rises)
    for one in between:
        positive, negative = _scaled(one, *(_shaped(part, one.outputs[0]) for part in (positive, negative)))
    slopes = _slopes(_function(activation), partner(activation).inputs[0], positive, negative)
    for one in reversed(between):
        source = one.inputs[0 if varies(pairs(one)[0]) else 1]
        slopes = [_shaped(part, source) for part in _scaled(one, *slopes)]
    plus, minus = (upstream * _shaped(part, operation.outputs[0]) for part in slopes)
    (by_up, by_down), (other_up, other_down) = (
        [pulled_back(lambda value, weights=weights: linear(value, weights), [x], part)[0] for weights in (rises, falls)]
        for part in (plus, minus))
    # m⁺ along W⁺ and m⁻ along W⁻ belong to what rose, the other two to what fell
    risen, fallen = by_up + other_down, by_down + other_up
    return [tf.where(difference > 0, risen, tf.where(difference < 0, fallen, (risen + fallen) / 2))]


def _slopes(function: Callable, at_reference: tf.Tensor, positive: tf.Tensor, negative: tf.Tensor) -> list[tf.Tensor]:
    """m⁺ and m⁻."""
    points = [at_reference, at_reference + positive, at_reference + negative, at_reference + positive + negative]
    none, plus, minus, both = map(function, points)
    at_none, at_plus, at_minus = (pulled_back(function, [point], tf.ones_like(point))[0] for point in points[:3])
    changes = ((plus - none) + (both - minus)) / 2, ((minus - none) + (both - plus)) / 2
    limits = (at_none + at_minus) / 2, (at_none + at_plus) / 2
    return [tf.where(tf.abs(part) > NONE, quotient(change, part), limit)
            for change, part, limit in zip(changes, (positive, negative), limits, strict=True)]


def _shaped(value: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """`value` in the shape of `like`, which has as many elements in the same order."""
    return tf.reshape(value, tf.shape(like))


def _scaled(operation: tf.Operation, positive: tf.Tensor, negative: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Both parts behind a scale; of slopes: those before it. A negative scale makes the positive part the negative one, which
    needs no exchange, since the rule treats the two alike."""
    if operation.type not in SCALES:
        return positive, negative
    if operation.type == "Mul":
        scale = operation.inputs[1 if varies(pairs(operation)[0]) else 0]
    else:
        scale = operation.inputs[1] * tf.math.rsqrt(operation.inputs[4] + operation.get_attr("epsilon"))
        if operation.get_attr("data_format").startswith(b"NC"):
            scale = tf.reshape(scale, [1, -1] + [1] * (operation.inputs[0].shape.rank - 2))
    scale = tf.cast(scale, positive.dtype)
    return scale * positive, scale * negative


def _linear(operation: tf.Operation) -> Callable:
    """The linear operation as a function of its input and its kernel."""
    if operation.type in ("MatMul", "BatchMatMulV2"):
        first, second = ("a", "b") if operation.type == "MatMul" else ("x", "y")
        names = ("transpose_a", "transpose_b") if operation.type == "MatMul" else ("adj_x", "adj_y")
    else:
        first, second = "input", "filter"
        names = ("strides", "padding", "data_format", "dilations")
        names += () if operation.type == "Conv3D" else ("explicit_paddings",)
    options = {name: operation.get_attr(name) for name in names}
    function = getattr(tf.raw_ops, operation.type)
    return lambda value, kernel: function(**{first: value, second: kernel}, **options)


def _function(activation: tf.Operation) -> Callable:
    """The activation as a function."""
    options = {"alpha": activation.get_attr("alpha")} if activation.type == "LeakyRelu" else {}
    function = getattr(tf.raw_ops, activation.type)
    return lambda value: function(**{_ARGUMENT.get(activation.type, "features"): value}, **options)


_ARGUMENT = {"Sigmoid": "x", "Tanh": "x"}
