"""A Keras model in memory as a graph like that of an export, in which its variables are nodes again."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from ...common.errors import AttributionError
from ..traced import keras_model
from ..traced.heads_and_lookups import find_lookups, passed
from ..traced.trace import TRACING, Traced, trace
from .contents import TensorInfo

# The name of what a Keras model has in place of a signature.
CALL = "call"


@dataclasses.dataclass(frozen=True, eq=False)
class KerasGraph:
    """A traced Keras model.

    Attributes:
        meta_graph: a MetaGraphDef of its graph.
        inputs, outputs: by name.
        loss_heads: by output, the activation that is in the compiled loss.
        lookups: the layer of each embedding lookup, by operation.
        layers: the path of the layer of each tensor that is one's output.
        trainable: by the name of the variable.
    """

    meta_graph: Any
    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]
    loss_heads: dict[str, str]
    lookups: dict[str, str]
    layers: dict[str, str]
    trainable: dict[str, bool]


def keras_graph(model: Any) -> KerasGraph:
    """Traces a Keras model.

    Raises:
        AttributionError: it was never built, or does not say what its inputs are.
    """
    keras_model.check(model)
    specs = keras_model.input_specs(model)
    if specs is None:
        raise AttributionError(
            f"model {model.name!r} is subclassed and does not say what its inputs are; export it and "
            "inspect that: model.export(path)"
        )
    traced = trace(model, specs)
    with TRACING:  # a definition is written while nothing is added to the graph
        graph = traced.function.graph.as_graph_def(add_shapes=True)
        trainable = _restore_resources(graph, traced.function.graph, _handles(model.trainable_variables))
    layers = {tensor.name: call.path for call in traced.calls for tensor in call.outputs.values()}
    names = {key: spec.name or str("input" if key is None else key) for key, spec in specs.items()}
    return KerasGraph(
        meta_graph_pb2.MetaGraphDef(graph_def=graph),
        {names[key]: _info(tensor) for key, tensor in traced.inputs.items()},
        {name: _info(tensor) for name, tensor in traced.outputs.items()},
        {
            name: kind
            for name, kind in traced.loss_heads.items()
            if passed(traced.outputs[name]).op.type not in ("Softmax", "Sigmoid", "LogSoftmax")
        },
        _lookup_names(traced),
        layers,
        trainable,
    )


def _handles(variables: Iterable[Any]) -> set[int]:
    """The handles of Keras's variables, by id: a variable of TensorFlow within them does not know of a layer that is frozen."""
    inner = (variable if callable(variable.value) else variable.value for variable in variables)
    return {id(variable.handle) for variable in inner}


def _restore_resources(graph: Any, function: Any, trained: set[int]) -> dict[str, bool]:
    """Turns the placeholders of captured variables and tables back into such; returns by name which variables train."""
    variables = {id(variable.handle): variable for variable in function.variables}
    nodes = {node.name: node for node in graph.node}
    trainable = {}
    for outside, inside in function.captures:
        node = nodes.get(inside.op.name)
        if node is None or outside.dtype != tf.resource:
            continue
        variable = variables.get(id(outside))
        if variable is None:
            node.op = "HashTableV2"
            continue
        name = (getattr(variable, "path", None) or variable.name).split(":")[0]
        node.op = "VarHandleOp"
        node.attr["shared_name"].s = name.encode()
        node.attr["dtype"].type = variable.dtype.as_datatype_enum
        node.attr["shape"].shape.CopyFrom(variable.shape.as_proto())
        trainable[name] = id(outside) in trained
    return trainable


def _lookup_names(traced: Traced) -> dict[str, str]:
    found = {}
    for lookup in find_lookups(traced):
        found[passed(lookup.tensor).op.name] = lookup.name
    return found


def _info(tensor: tf.Tensor) -> TensorInfo:
    shape = None if tensor.shape.rank is None else tuple(tensor.shape)
    return TensorInfo(tensor.name, tensor.dtype.base_dtype.name, shape)
