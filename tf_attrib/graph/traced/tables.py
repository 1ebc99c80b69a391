"""Rows of tables, as operations of a graph look them up: by gathering, by products of one-hot rows, from quantised tables."""

from collections.abc import Iterable, Iterator

import tensorflow as tf

# Operations that hand a value on unchanged, but for its dtype.
PASS = frozenset({"Identity", "Cast", "StopGradient"})
# Operations that tell of a tensor's shape, not of its values.
SHAPES = frozenset({"Shape", "ShapeN", "Size", "Rank", "OnesLike", "ZerosLike"})
# Where a table's values are: a variable of either kind, or a constant of a frozen graph.
TABLES = frozenset({"ReadVariableOp", "Const", "VariableV2", "Variable"})
GATHERS = ("GatherV2", "Gather")
# Types of quantised tables. Wider integers are ids that ids are mapped to.
QUANTISED = (tf.int8, tf.uint8)
# By these, rows of a quantised table become the floats that they stand for; sums bring in adapters of low rank.
SCALING = frozenset({"AddV2", "Mul", "RealDiv", "Sub"})


def ancestors(tensors: Iterable[tf.Tensor], stop: Iterable[tf.Tensor] = ()) -> Iterator[tf.Operation]:
    """The operations that `tensors` are computed from, not going past any tensor in `stop`."""
    stopped = {tensor.ref() for tensor in stop}
    waiting = [tensor for tensor in tensors if tensor.ref() not in stopped]
    seen = set()
    while waiting:
        operation = waiting.pop().op
        if operation.name in seen:
            continue
        seen.add(operation.name)
        yield operation
        waiting.extend(tensor for tensor in operation.inputs if tensor.ref() not in stopped)


def passed(tensor: tf.Tensor) -> tf.Tensor:
    """The tensor that `tensor` is a copy of."""
    while tensor.op.type in PASS:
        tensor = tensor.op.inputs[0]
    return tensor


def gathered(operation: tf.Operation, inputs: Iterable[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tuple] | None:
    """The rows, the indices and the table's shape of a lookup by gathering, None for any other operation."""
    if operation.type == "ResourceGather":
        dtype, batch_dims = operation.get_attr("dtype"), operation.get_attr("batch_dims")
        rows = operation.outputs[0]
        return (rows, operation.inputs[1], (None, rows.shape[-1])) if dtype.is_floating and not batch_dims else None
    if operation.type not in GATHERS or not operation.inputs[0].dtype.is_floating:
        return None
    # a Dense layer on three axes gathers too, but from shapes, which are integers
    table = _table(operation, inputs)
    return None if table is None else (operation.outputs[0], operation.inputs[1], tuple(table.shape))


def dequantised(operation: tf.Operation, inputs: Iterable[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tuple, set[str]] | None:
    """The same of a lookup in a table of small integers, which are then cast to floats and scaled by what the same ids look
    up; and the names of the gathers that this takes. None for any other operation."""
    if operation.type not in GATHERS or operation.outputs[0].dtype not in QUANTISED:
        return None
    table = _table(operation, inputs)
    if table is None:
        return None
    rows, parts = operation.outputs[0], {operation.name}
    while (step := _scaled(rows, operation.inputs[1], inputs)) is not None:
        rows, gathers = step
        parts |= gathers
    return (rows, operation.inputs[1], tuple(table.shape), parts) if rows.dtype.is_floating else None


def _scaled(rows: tf.Tensor, ids: tf.Tensor, inputs: Iterable[tf.Tensor]) -> tuple[tf.Tensor, set[str]] | None:
    """What the only user of `rows` makes of them, where that is a cast or takes in what else their ids look up; and the names
    of the gathers that do. What is added to them for a position or a segment is no part of them."""
    users = [user for user in rows.consumers() if user.type not in SHAPES]
    if len(users) != 1 or users[0].type not in PASS | SCALING:
        return None
    others = [tensor for tensor in users[0].inputs if tensor is not rows]
    if not others:
        return users[0].outputs[0], set()
    shapes = [output for one in ancestors(others) if one.type in SHAPES for output in one.outputs]
    found = [one for one in ancestors(others, shapes) if one.type in (*GATHERS, "ResourceGather")]
    if users[0].type == "AddV2":
        found = [one for one in found if _as_given(one.inputs[1]) is _as_given(ids)]
    by_ids = {one.name for one in found if not _reached(one.inputs[0], inputs) and _reached(one.inputs[1], inputs)}
    looked_up = [one.outputs[0] for one in found if one.name in by_ids]
    return (users[0].outputs[0], by_ids) if by_ids and not any(_reached(one, inputs, looked_up) for one in others) else None


def _as_given(ids: tf.Tensor) -> tf.Tensor:
    """The ids before layers brought them to their type, and counted negative ones from the end."""
    while ids.op.type in PASS | {"SelectV2"}:
        ids = ids.op.inputs[-1]
    return ids


def _table(operation: tf.Operation, inputs: Iterable[tf.Tensor]) -> tf.Tensor | None:
    """The table that an operation gathers rows of: weights, or what is computed from them alone (scaled, unpacked, a product
    of two); None where it gathers anything else."""
    table = passed(operation.inputs[0])
    axis = tf.get_static_value(operation.inputs[2]) if operation.type == "GatherV2" else 0
    if axis != 0 or table.shape.rank != 2:
        return None
    if table.op.type in TABLES:
        return table
    weights = any(one.type in TABLES and one.outputs[0].shape.rank == 2 for one in ancestors([table]))
    return table if weights and not _reached(table, inputs) else None


def _reached(tensor: tf.Tensor, inputs: Iterable[tf.Tensor], stop: Iterable[tf.Tensor] = ()) -> bool:
    """Whether `tensor` is computed from any of the model's inputs, other than through a tensor in `stop`; their shapes count
    for nothing."""
    names = {one.op.name for one in inputs}
    shapes = [output for one in ancestors([tensor], stop) if one.type in SHAPES for output in one.outputs]
    return any(one.name in names for one in ancestors([tensor], [*stop, *shapes]))


def multiplied(operation: tf.Operation) -> tuple[tf.Tensor, tf.Tensor, tuple] | None:
    """The same of a lookup by multiplying one-hot rows with a table."""
    if operation.type not in ("MatMul", "BatchMatMulV2") or operation.get_attr(
        "transpose_b" if operation.type == "MatMul" else "adj_y"
    ):
        return None
    table, hot = passed(operation.inputs[1]), operation.inputs[0]
    while hot.op.type in PASS | {"Reshape", "Transpose"}:
        hot = hot.op.inputs[0]
    if table.op.type not in TABLES or table.shape.rank != 2 or hot.op.type != "OneHot":
        return None
    rows = operation.outputs[0]
    users = rows.consumers()
    # with more axes than two, rows are multiplied as one matrix and reshaped again
    rows = users[0].outputs[0] if len(users) == 1 and users[0].type == "Reshape" and users[0].inputs[0] is rows else rows
    return rows, hot.op.inputs[0], tuple(table.shape)
