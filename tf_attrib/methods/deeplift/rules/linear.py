"""The Linear rule (Shrikumar et al. 2017, arXiv:1704.02685, section 3.5.1) where one input varies, and nothing for the others.

An operation's own gradient is the same number. It also makes the gradients of kernels, biases and scales, which nobody uses,
and asks at run time for shapes that are known.
"""

import tensorflow as tf

from ....graph.traced.tf_private import own_gradient
from .common import broadcast, partner

CONVOLUTIONS = frozenset({"Conv2D", "DepthwiseConv2dNative"})


def _varying(operation: tf.Operation) -> int:
    """The position of the one input that varies."""
    others = partner(operation).inputs
    return next(number for number, tensor in enumerate(operation.inputs) if tensor.name != others[number].name)


def _alone(operation: tf.Operation, slope: tf.Tensor, position: int) -> list[tf.Tensor | None]:
    return [slope if number == position else None for number in range(len(operation.inputs))]


def shift(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
    """a + b: g."""
    position = _varying(operation)
    if broadcast(operation.inputs[position], operation.inputs[1 - position]):
        return own_gradient(operation, upstream)
    return _alone(operation, upstream, position)


def scale(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
    """a b: g b, conjugated where it is complex."""
    position = _varying(operation)
    if broadcast(operation.inputs[position], operation.inputs[1 - position]):
        return own_gradient(operation, upstream)
    return _alone(operation, upstream * tf.math.conj(operation.inputs[1 - position]), position)


def one_hot(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
    """One value where an index points, another elsewhere: to each the sum of g where it is."""
    indices, depth, *_ = operation.inputs
    axis = operation.get_attr("axis")
    hot = tf.one_hot(indices, depth, True, False, axis=axis, dtype=tf.bool)
    parts = (tf.reduce_sum(tf.where(where, upstream, tf.zeros_like(upstream))) for where in (hot, ~hot))
    return [None, None, *parts]


def convolve(operation: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor | None]:
    """x convolved with a kernel: g with the kernel, transposed."""
    return [convolved_back(operation, upstream, operation.inputs[1]), None]


def convolved_back(operation: tf.Operation, upstream: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """What `upstream` is at the input of a convolution, were its kernel this one."""
    names = ("strides", "padding", "explicit_paddings", "data_format", "dilations")
    options = {name: operation.get_attr(name) for name in names}
    x = operation.inputs[0]
    with x.graph.as_default():
        sizes = tf.shape(x)
    function = {
        "Conv2D": tf.raw_ops.Conv2DBackpropInput,
        "DepthwiseConv2dNative": tf.raw_ops.DepthwiseConv2dNativeBackpropInput,
    }[operation.type]
    back = function(input_sizes=sizes, filter=kernel, out_backprop=upstream, **options)
    return tf.ensure_shape(back, x.shape)


def multiplied_back(operation: tf.Operation, upstream: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """What `upstream` is at the first input of a product of two matrices, were the second this one."""
    first, second = operation.get_attr("transpose_a"), operation.get_attr("transpose_b")
    if first:
        return tf.matmul(kernel, upstream, transpose_a=second, transpose_b=True)
    return tf.matmul(upstream, kernel, transpose_b=not second)
