"""The RevealCancel rule with the Linear rule beneath it (Shrikumar et al. 2017, arXiv:1704.02685, sections 3.5.3 and 3.5.1).

Behind a linear operation W x are shifts, scales, reshapes and an activation y = f(a). With Δx⁺ = max(Δx, 0), Δx⁻ likewise:

    Δa⁺ = W⁺ Δx⁺ + W⁻ Δx⁻            Δy⁺ = (f(a' + Δa⁺) - f(a') + f(a' + Δa⁺ + Δa⁻) - f(a' + Δa⁻)) / 2
    Δa⁻ = W⁻ Δx⁺ + W⁺ Δx⁻            Δy⁻ = (f(a' + Δa⁻) - f(a') + f(a' + Δa⁺ + Δa⁻) - f(a' + Δa⁺)) / 2
    m⁺ = Δy⁺ / Δa⁺,  m⁻ = Δy⁻ / Δa⁻

and g m⁺, g m⁻ go back along the weights that made Δa⁺ and Δa⁻; to an input that does not differ, half of each. Where Δa⁺ is
none, m⁺ is the limit of that quotient, (f'(a') + f'(a' + Δa⁻)) / 2, and m⁻ likewise: inputs that do not differ are handed it.
The paper's own implementation divides what float32 leaves of a difference over 1e-7 there, which is a few per cent off.

A sum or a difference of two tensors that vary is such an operation, with weights of 1 and -1: one part for each of the two,
whatever they were summed up from.
"""

from collections.abc import Callable

import tensorflow as tf

from .common import beside, first_gradient, named, pairs, partner, pulled_back, quotient, unbroadcast, varies
from .linear import CONVOLUTIONS, convolved_back, multiplied_back

# The attribute of a linear operation that names what follows it, the activation last.
CHAIN = "_tf_attrib_chain"
LINEAR = frozenset({"MatMul", "BatchMatMulV2", "Conv2D", "Conv3D", "DepthwiseConv2dNative"})
SUMS = frozenset({"Add", "AddV2", "Sub"})
RESHAPES = frozenset({"Identity", "Reshape", "Squeeze", "ExpandDims"})
SHIFTS = frozenset({"BiasAdd", "Add", "AddV2", "Sub"})
SCALES = frozenset({"Mul", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})
ACTIVATIONS = frozenset({"Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Sigmoid", "Tanh", "Softplus", "Softsign"})
# The size up to which Δa⁺ or Δa⁻ counts as none.
NONE = 1e-7


def hand_on(operation: tf.Operation, upstream: tf.Tensor, *_: tf.Tensor) -> list[tf.Tensor | None]:
    """g as it is, to the input that varies: the linear operation before takes care of scale and activation."""
    return [upstream if varies(pair) else None for pair in pairs(operation)]


def reveal_cancel(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
    """The multipliers at the input of a linear operation, g being that at the output of its activation."""
    if operation.type in SUMS:
        return _of_sum(operation, upstream)
    x, reference = pairs(operation)[0]
    with beside(operation):
        difference, linear = x - reference, _linear(operation)
        (up, down), (rises, falls) = _signs(difference), _signs(operation.inputs[1])
        positive, negative = linear(up, rises) + linear(down, falls), linear(up, falls) + linear(down, rises)
        positive, negative = _multipliers(operation, positive, negative)
    plus, minus = upstream * positive, upstream * negative
    # once more, outside of a body: kernels would be kept for every step
    rises, falls = _signs(operation.inputs[1])
    # m⁺ along W⁺ and m⁻ along W⁻ belong to what rose, the other two to what fell
    risen = _back(operation, plus, rises) + _back(operation, minus, falls)
    fallen = _back(operation, plus, falls) + _back(operation, minus, rises)
    return [_by_sign(difference, risen, fallen)]


def _of_sum(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
    """The multipliers at both terms of a sum or difference."""
    both, weights = pairs(operation), (1, -1 if operation.type == "Sub" else 1)
    with beside(operation):
        differences = [weight * (x - reference) for weight, (x, reference) in zip(weights, both, strict=True)]
        (up, down), (other_up, other_down) = map(_signs, differences)
        found = _multipliers(operation, up + other_up, down + other_down)
        slopes = [weight * _by_sign(difference, *found) for weight, difference in zip(weights, differences, strict=True)]
    return [unbroadcast(upstream * slope, x) for slope, (x, _) in zip(slopes, both, strict=True)]


def _by_sign(difference: tf.Tensor, risen: tf.Tensor, fallen: tf.Tensor) -> tf.Tensor:
    """`risen` where it rose, `fallen` where it fell, half of each where it did neither."""
    return tf.where(difference > 0, risen, tf.where(difference < 0, fallen, (risen + fallen) / 2))


def _signs(value: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Its positive and its negative part."""
    return tf.nn.relu(value), -tf.nn.relu(-value)


def _multipliers(operation: tf.Operation, positive: tf.Tensor, negative: tf.Tensor) -> list[tf.Tensor]:
    """m⁺ and m⁻ at the output of the linear operation, which differs from the reference's by these two parts."""
    names = [name.decode() for name in operation.get_attr(CHAIN)]
    *between, activation = [named(operation, name) for name in names]
    for one in between:
        positive, negative = _scaled(one, *(_shaped(part, one.outputs[0]) for part in (positive, negative)))
    slopes = _slopes(_function(activation), partner(activation).inputs[0], positive, negative)
    for one in reversed(between):
        source = one.inputs[0 if varies(pairs(one)[0]) else 1]
        slopes = [_shaped(part, source) for part in _scaled(one, *slopes)]
    return [_shaped(part, operation.outputs[0]) for part in slopes]


def _back(operation: tf.Operation, upstream: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """What `upstream` is at the input of the linear operation with this kernel."""
    if operation.type in CONVOLUTIONS:
        return convolved_back(operation, upstream, kernel)
    if operation.type == "MatMul":
        return multiplied_back(operation, upstream, kernel)
    return pulled_back(lambda value: _linear(operation)(value, kernel), [operation.inputs[0]], upstream)[0]


def _slopes(function: Callable, at_reference: tf.Tensor, positive: tf.Tensor, negative: tf.Tensor) -> list[tf.Tensor]:
    """m⁺ and m⁻."""
    points = [at_reference, at_reference + positive, at_reference + negative, at_reference + positive + negative]
    none, plus, minus, both = values = [function(point) for point in points]
    at_none, at_plus, at_minus = (first_gradient(value.op, tf.ones_like(value)) for value in values[:3])
    changes = ((plus - none) + (both - minus)) / 2, ((minus - none) + (both - plus)) / 2
    limits = (at_none + at_minus) / 2, (at_none + at_plus) / 2
    return [
        tf.where(tf.abs(part) > NONE, quotient(change, part), limit)
        for change, part, limit in zip(changes, (positive, negative), limits, strict=True)
    ]


def _shaped(value: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """`value` in the shape of `like`, which has as many elements in the same order."""
    sizes = value.shape.as_list() if value.shape.rank is not None else [None, None]
    if like.shape.rank is not None and sizes == like.shape.as_list() and sizes.count(None) < 2:
        return value
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
