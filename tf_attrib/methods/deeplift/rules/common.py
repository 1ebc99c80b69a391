"""What the rules share: an operation's partner at the reference, and sums over axes that were broadcast.

In a paired graph (`pairing`) what depends on the selected tensors is there twice: the operation `a` at the input, and
`at_reference/a` at the reference. A rule is registered once as a gradient under a name of ours, and operations are marked with
that name; TensorFlow's own gradients are left alone. In formulas x, y are input and output of an operation, x', y' those at the
reference, Δ is their difference, and g the multiplier that arrives from above.
"""

import contextlib
import re
from collections.abc import Callable

import tensorflow as tf

from ....common.types import present
from ....graph.traced.tf_private import own_gradient

# What the names of operations at the reference begin with.
REFERENCE = "at_reference/"
# Flat graphs are added under this scope, numbered where there are several: without it a name that is taken would be changed,
# and another operation's partner be found.
SCOPE = "tf_attrib_flat"


def partner(operation: tf.Operation) -> tf.Operation:
    """The operation that computes at the reference what `operation` computes at the input."""
    return named(operation, REFERENCE + operation.name.removeprefix(_scope(operation)))


def named(operation: tf.Operation, name: str) -> tf.Operation:
    """The operation called `name` in the flat graph that `operation` is of."""
    return operation.graph.get_operation_by_name(_scope(operation) + name)


def _scope(operation: tf.Operation) -> str:
    """The scope that the flat graph was added under, with those around it; inside of its loops and branches there is none."""
    found = re.match(f".*?{SCOPE}[^/]*/", operation.name)
    return found[0] if found else ""


def beside(operation: tf.Operation) -> contextlib.AbstractContextManager:
    """A context in which operations are added beside `operation`, for what does not depend on the multiplier from above.

    Where `operation` is in the body of a loop, gradients are taken in another body, and each tensor that they need of the
    forward pass is kept for every step: the one slope, then, and not x, x', y and y'.
    """
    return operation.graph.as_default()


def pairs(operation: tf.Operation) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """(x, x') for each input of `operation`: one tensor twice where it does not vary."""
    return list(zip(operation.inputs, partner(operation).inputs, strict=True))


def varies(pair: tuple[tf.Tensor, tf.Tensor]) -> bool:
    """Whether the two are different tensors."""
    return pair[0].name != pair[1].name


def middle(pair: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """(x + x') / 2."""
    return (pair[0] + pair[1]) / 2 if varies(pair) else pair[0]


def unbroadcast(value: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """`value` summed over the axes along which `like` was broadcast to its shape."""
    if value.shape.is_fully_defined() and value.shape == like.shape:
        return value
    with like.graph.as_default():
        shape = tf.shape(like)
    axes, _ = tf.raw_ops.BroadcastGradientArgs(s0=shape, s1=tf.shape(value))
    return tf.reshape(tf.reduce_sum(value, axes), shape)


def pulled_back(function: Callable, inputs: list[tf.Tensor], upstream: tf.Tensor) -> list[tf.Tensor]:
    """The gradients of `function`, which is one operation, at `inputs`, times `upstream`.

    `tf.gradients` would walk through the whole graph for it, as often as there are operations.
    """
    return [present(found) for found in own_gradient(function(*inputs).op, upstream)[: len(inputs)]]


def first_gradient(operation: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    """TensorFlow's own gradient at the first input of `operation`, times `upstream`."""
    return present(own_gradient(operation, upstream)[0])


def quotient(numerator: tf.Tensor, denominator: tf.Tensor) -> tf.Tensor:
    """numerator / denominator, and 0 where the denominator is zero."""
    return tf.raw_ops.DivNoNan(x=numerator, y=denominator)


def broadcast(tensor: tf.Tensor, beside: tf.Tensor) -> bool:
    """Whether `tensor` may be broadcast by an operation that takes `beside`, too, as far as their shapes tell."""
    if tensor.shape.rank is None or beside.shape.rank is None or beside.shape.rank > tensor.shape.rank:
        return True
    behind = tensor.shape.as_list()[tensor.shape.rank - beside.shape.rank :]
    return any(
        other != 1 and (other is None or other != size) for size, other in zip(behind, beside.shape.as_list(), strict=True)
    )
