"""Convolutions in groups, or of dilated kernels, which TensorFlow has only in part on a CPU without oneDNN: not their
gradients, and in groups not fused with a bias or norm behind them, as it rewrites them before it runs a graph.

Keras has XLA compile one in groups, in a function of its own. In a flat graph, and where factors are folded, it stands
among the other operations, and goes back into such a function here.
"""

import functools

import numpy as np
import tensorflow as tf

from .tf_private import fed_with

# By type, which inputs are channels of rows, and weights.
PLACES = {"Conv2D": (0, 1), "Conv3D": (0, 1), "Conv2DBackpropInput": (None, 1), "Conv3DBackpropInputV2": (None, 1)}


def runnable(operations: list[tf.Operation], fetched: list[tf.Tensor]) -> None:
    """Has XLA compile such convolutions, and their transposes, where TensorFlow does not run them by itself, in the graph at
    hand.

    Args:
        fetched: tensors that are handed out; those of such operations are replaced.
    """
    for operation in operations:
        if operation.type in PLACES and _wants_more(operation) and not runs_groups():
            given, instead = operation.outputs[0], _compiled(operation)
            for user in given.consumers():
                for place, source in enumerate(user.inputs):
                    if source is given:
                        fed_with(user, place, instead)
            fetched[:] = [instead if one is given else one for one in fetched]


@functools.cache
def runs_groups() -> bool:
    """Whether the device has gradients of such convolutions."""
    one = np.ones((1, 1, 1, 2), np.float32)
    with tf.init_scope():
        try:
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=one.shape, filter=one, out_backprop=one, strides=[1] * 4, padding="VALID"
            )
        except tf.errors.OpError:
            return False
    return True


def _wants_more(operation: tf.Operation) -> bool:
    """Whether it is known to have several groups, or a dilated kernel."""
    if any(step > 1 for step in operation.get_attr("dilations")):
        return True
    place, weights = PLACES[operation.type]
    rows = operation.outputs[0] if place is None else operation.inputs[place]
    if rows.shape.rank is None or operation.inputs[weights].shape.rank is None:
        return False
    channels = rows.shape[1 if operation.get_attr("data_format").startswith(b"NC") else -1]
    return None not in (channels, operation.inputs[weights].shape[-2]) and channels != operation.inputs[weights].shape[-2]


def _compiled(operation: tf.Operation) -> tf.Tensor:
    """The output of the same operation in a function that XLA compiles."""
    attributes = {name: value for name, value in operation.node_def.attr.items() if not name.startswith("_")}

    @functools.partial(tf.function, autograph=False, jit_compile=True)
    def convolution(*inputs):
        graph, kinds = tf.compat.v1.get_default_graph(), [operation.outputs[0].dtype]
        return graph.create_op(operation.type, list(inputs), kinds, attrs=attributes).outputs[0]

    found = convolution(*operation.inputs)
    found.set_shape(operation.outputs[0].shape)
    return found
