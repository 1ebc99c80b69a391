"""A traced function without what its operations are marked with for gradients: nobody takes those of an explanation.

TensorFlow writes the gradient of every marked operation into a SavedModel, which fails where that refers to another graph, as
an author's may, or is a rule of this library's.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from ..graph.traced.tf_private import registered

MARK = "_gradient_op_type"
_NUMBERS = itertools.count()


def detached(concrete: Any) -> Callable[..., dict[str, tf.Tensor]]:
    """What `concrete` computes, as a function of as many tensors in the same order, to be traced anew; variables stay live."""
    graph, definition = concrete.graph, concrete.graph.as_graph_def()
    suffix = f"_explain_{next(_NUMBERS)}"
    names = {function.signature.name for function in definition.library.function}
    for node in _nodes(definition):
        node.attr.pop(MARK, None)
        _rename(node, names, suffix)
    for function in definition.library.function:
        function.signature.name += suffix
    del definition.library.gradient[:]
    captured = {inner.name: outer for outer, inner in graph.captures}
    inputs = [tensor.name for tensor in graph.inputs if tensor.name not in captured]
    outputs = concrete.structured_outputs
    fetched = [tensor.name for tensor in outputs.values()]

    def call(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        here = tf.compat.v1.get_default_graph()
        fed = dict(zip(inputs, tensors, strict=True)) | {name: here.capture(outer) for name, outer in captured.items()}
        found = tf.graph_util.import_graph_def(definition, fed, fetched, "explain")
        for value, tensor in zip(found, outputs.values(), strict=True):
            value.set_shape(tensor.shape)
        return dict(zip(outputs, found, strict=True))

    registered(definition, call)
    return call


def _nodes(definition: Any) -> Iterator[Any]:
    yield from definition.node
    for function in definition.library.function:
        yield from function.node_def


def _rename(node: Any, names: set[str], suffix: str) -> None:
    """Has `node` call the functions of other names: two of one name cannot differ."""
    if node.op in names:
        node.op += suffix
    for value in node.attr.values():
        for function in [value.func] if value.WhichOneof("value") == "func" else value.list.func:
            if function.name in names:
                function.name += suffix
