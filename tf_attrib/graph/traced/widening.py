"""A flat graph of a half-precision model, computed in float32: the same operations and weights, nothing rounded in between."""

from typing import Any

import numpy as np
import tensorflow as tf

from ..graphdef import nodes
from ..graphdef.flatten import Flat

HALF = (tf.float16.as_datatype_enum, tf.bfloat16.as_datatype_enum)
FLOAT = tf.float32.as_datatype_enum
# Operations whose type is that of a variable, by the name of their output: what they read is widened behind them.
READ = {"ReadVariableOp": "value", "ResourceGather": "output", "ResourceGatherNd": "output"}


def widened(flat: Flat) -> Flat:
    """The same graph with float32 in place of float16 and bfloat16; what it is fed with must be float32 too.

    Gradients that an author wrote are left out: those of the operations hold.
    """
    graph = tf.compat.v1.GraphDef()
    graph.CopyFrom(flat.graph)
    moved = _widen(graph.node, lambda name, output: f"{name}:0")
    for function in graph.library.function:
        for argument in [*function.signature.input_arg, *function.signature.output_arg]:
            argument.type = FLOAT if argument.type in HALF else argument.type
        inside = _widen(function.node_def, lambda name, output: f"{name}:{output}:0")
        for key, reference in function.ret.items():
            function.ret[key] = inside.get(reference, reference)
    return Flat(graph, tuple(moved.get(reference, reference) for reference in flat.references), flat.sources, {})


def wide(value: tf.Tensor) -> tf.Tensor:
    """The same in float32, where it is in a half format."""
    return tf.cast(value, tf.float32) if value.dtype in (tf.float16, tf.bfloat16) else value


def written_by_author(flat: Flat) -> tuple[str, ...]:
    """The operations whose gradient is its author's, and not known to be that of the operations themselves (silu's is)."""
    made = {node.name: node for node in flat.graph.node}
    return tuple(name for name in flat.custom if not _is_silu(made[name], made))


def _is_silu(node: Any, made: dict) -> bool:
    product = made.get(nodes.data_inputs(node)[0].rpartition(":")[0])
    if node.op != "IdentityN" or product is None or product.op != "Mul":
        return False
    factors = [made.get(reference.rpartition(":")[0]) for reference in nodes.data_inputs(product)]
    return any(factor is not None and factor.op == "Sigmoid" for factor in factors)


def _widen(inside: Any, reference: Any) -> dict[str, str]:
    """Widens nodes in place; returns where what is read of half-precision variables is now."""
    moved = {}
    for node in list(inside):
        if "_gradient_op_type" in node.attr:
            del node.attr["_gradient_op_type"]
        if node.op in READ and node.attr["dtype"].type in HALF:
            cast = inside.add()
            cast.name, cast.op = node.name + "/widened", "Cast"
            cast.attr["SrcT"].type, cast.attr["DstT"].type = node.attr["dtype"].type, FLOAT
            old = reference(node.name, READ[node.op])
            moved[old] = reference(cast.name, "y")
            cast.input.append(old)
            continue
        if node.op == "Const" and node.attr["dtype"].type in HALF:
            value = tf.make_ndarray(node.attr["value"].tensor).astype(np.float32)
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        for value in node.attr.values():
            if value.WhichOneof("value") == "type" and value.type in HALF:
                value.type = FLOAT
            for i, kind in enumerate(value.list.type):
                value.list.type[i] = FLOAT if kind in HALF else kind
    for node in inside:
        if not node.name.endswith("/widened"):
            node.input[:] = [moved.get(one, one) for one in node.input]
    return moved
