"""How much memory a forward pass takes for each row, as far as the graph tells."""

import math
from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from ...common.types import present
from .heads_and_lookups import PASS, ancestors
from .tf_private import imported

LOOPS = frozenset({"While", "StatelessWhile"})
# What the condition of a loop is made of that counts, and the types of what it counts by.
COUNTING = frozenset({"Less", "LogicalAnd", "Const", "Identity"})
WHOLE = (tf.int32.as_datatype_enum, tf.int64.as_datatype_enum)
# What leads into a loop of TensorFlow 1, inside of which nothing can be fetched.
FRAMES = frozenset({"Enter", "RefEnter"})


def activations(ends: Iterable[tf.Tensor], selected: list[tf.Tensor]) -> list[tf.Tensor]:
    """The float tensors between `selected` and `ends` that grow with the number of rows."""
    return [
        tensor
        for operation in ancestors(ends, selected)
        if operation.type not in PASS
        for tensor in operation.outputs
        if tensor.dtype.is_floating and tensor.shape.rank != 0 and (tensor.shape.rank is None or tensor.shape[0] is None)
    ]


def static_bytes(ends: list[tf.Tensor], selected: list[tf.Tensor]) -> int | None:
    """How many bytes the activations of one row take; None where the graph does not tell: shapes follow the inputs, or nobody
    knows how often a loop goes round. Of a graph with loops of TensorFlow 1 what the shapes tell."""
    tensors = activations(ends, selected)
    if any(operation.type in FRAMES for operation in ancestors(ends, selected)):
        return sum(
            tensor.dtype.size * math.prod(size or 1 for size in tensor.shape[1:])
            for tensor in tensors
            if tensor.shape.rank is not None
        )
    if any(tensor.shape.rank is None or None in tensor.shape[1:] for tensor in tensors):
        return None
    bodies, passes = _functions(loops := _loops(ends, selected)), 0
    for loop in loops:
        count = _passes(loop, bodies[loop.get_attr("cond").name])
        if count is None:
            return None
        passes += count * _bytes_of_a_pass(bodies[loop.get_attr("body").name])
    return passes + sum(tensor.dtype.size * math.prod(map(present, tensor.shape[1:])) for tensor in tensors)


def inferred_bytes(function: Any, shapes: dict[Any, tuple], ends: list[tf.Tensor], selected: list[tf.Tensor]) -> int | None:
    """The same where shapes follow from those of one example, which TensorFlow infers from them without running anything; None
    where it cannot.

    Args:
        function: the wrapped function that the graph is of.
        shapes: of one example of each input, without its batch, by the input's reference.
    """
    tensors, feeds = activations(ends, selected), [key.deref() for key in shapes]
    if _loops(ends, selected):
        return None
    totals = []
    for rows in (1, 2):  # what two take beyond one: an axis of unknown size may hold rows, positions, or both
        try:
            _, found = imported(function, feeds, [tf.TensorShape([rows, *shape]) for shape in shapes.values()], tensors)
        except (ValueError, tf.errors.OpError):  # a model of another, fixed number of rows
            return None
        if not all(tensor.shape.is_fully_defined() for tensor in found):
            return None
        totals.append(sum(tensor.dtype.size * present(tensor.shape.num_elements()) for tensor in found))
    return totals[1] - totals[0]


def counted_bytes(ends: list[tf.Tensor], selected: list[tf.Tensor], rows: tf.Tensor) -> tf.Tensor:
    """The same of all rows as a tensor; call it with their graph as the default.

    Args:
        rows: int64, how many there are.
    """
    tensors = activations(ends, selected)
    sizes = [tf.raw_ops.Size(input=tensor, out_type=tf.int64) for tensor in tensors]  # few operations: each takes time to make
    found = [tf.reduce_sum(tf.stack(sizes) * [tensor.dtype.size for tensor in tensors])] if tensors else []
    loops = _loops(ends, selected)
    if loops:
        bodies = _functions(loops)
        # the gradient keeps what each pass of a loop computes; the first output of a loop counts these
        found += [
            tf.cast(loop.outputs[0], tf.int64) * rows * _bytes_of_a_pass(bodies[loop.get_attr("body").name]) for loop in loops
        ]
    return tf.add_n(found) if found else tf.constant(0, tf.int64)


def _loops(ends: Iterable[tf.Tensor], selected: list[tf.Tensor]) -> list[tf.Operation]:
    return [
        operation
        for operation in ancestors(ends, selected)
        if operation.type in LOOPS and operation.outputs[0].dtype.is_integer and operation.outputs[0].shape.rank == 0
    ]


def _functions(loops: list[tf.Operation]) -> dict[str, Any]:
    """The functions of their graph by name."""
    library = loops[0].graph.as_graph_def(add_shapes=True).library.function if loops else ()
    return {function.signature.name: function for function in library}


def _passes(loop: tf.Operation, condition: Any) -> int | None:
    """How often at most a loop goes round that counts from one number up to another, both written in the graph, as one over the
    steps of a sequence of known length does; None where it stops for another reason, or the numbers are not known."""
    if {node.op for node in condition.node_def} - COUNTING:
        return None
    numbers = {
        f"{node.name}:output:0": tf.make_ndarray(node.attr["value"].tensor) for node in condition.node_def if node.op == "Const"
    }
    places = {argument.name: place for place, argument in enumerate(condition.signature.input_arg)}
    for node in condition.node_def:
        if node.op == "Less" and node.attr["T"].type in WHOLE and node.input[0] in places and node.input[1] in numbers:
            start = tf.get_static_value(loop.inputs[places[node.input[0]]])
            return None if start is None else max(int(numbers[node.input[1]]) - int(start), 0)
    return None


def _bytes_of_a_pass(body) -> int:
    """The bytes of what one pass of a loop computes for one row."""
    total = 0
    for node in body.node_def:
        for key in ("T", "dtype"):
            kind = tf.as_dtype(node.attr[key].type) if key in node.attr and node.attr[key].type else None
            if kind is None or not kind.is_floating or node.op in PASS or "_output_shapes" not in node.attr:
                continue
            shapes = [tf.TensorShape(shape) for shape in node.attr["_output_shapes"].list.shape]
            total += sum(
                kind.size * math.prod(size or 1 for size in shape[1:]) for shape in shapes if shape.rank and shape[0] is None
            )
            break
    return total
