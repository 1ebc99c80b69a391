"""A tensor with positions, computed at one position of each row alone.

The output of a language model is (batch, length, classes), and one of its positions is explained. The layers that end such a
model treat each position by itself, so that the position can be picked in front of them: the classes of all others, for a
vocabulary by far the largest tensors of the model, are then never computed.
"""

from collections.abc import Callable, Iterable

import tensorflow as tf

# Operations of one tensor that work on each entry, or along the last axis alone.
ALONE = frozenset(
    {
        "Identity",
        "Cast",
        "StopGradient",
        "Softmax",
        "LogSoftmax",
        "Sigmoid",
        "Tanh",
        "Relu",
        "Relu6",
        "Elu",
        "Selu",
        "Softplus",
        "Softsign",
        "Exp",
        "Log",
        "Neg",
        "Square",
        "Sqrt",
        "Rsqrt",
        "Erf",
        "Abs",
    }
)
# Operations that work on each entry, where their other tensor goes along the last axis.
BESIDE = frozenset({"BiasAdd", "Add", "AddV2", "Sub", "Mul", "RealDiv", "Maximum", "Minimum"})


def of_each_row(values: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """What each row of `values` (rows, ...) has at its own indices (rows, r), or at several, (rows, s, r).

    It is `tf.gather_nd` with `batch_dims=1`, which makes seventy operations of what needs ten (TensorFlow 2.21), a quarter of
    the time until a small model's first result.
    """
    row = tf.reshape(tf.range(tf.shape(index)[0]), [-1] + [1] * (index.shape.rank - 1))
    if index.shape.rank > 2:
        row = tf.zeros_like(index[..., :1]) + row
    return tf.gather_nd(values, tf.concat([row, index], -1))


def at_position(tensor: tf.Tensor, position: tf.Tensor, stop: Iterable[tf.Tensor] = ()) -> tf.Tensor:
    """`tensor` (rows, *positions, classes) at one position of each row, (rows, classes), or at several, (rows, s, classes).

    Call it with its graph as the default. Operations are repeated on these positions as far back as they treat each by itself.

    Args:
        position: int (rows, p), an index for each axis of positions; or (rows, s, p).
        stop: tensors that are not gone past: gradients are wanted there.
    """
    stopped = {one.ref() for one in stop}

    def picked(one: tf.Tensor) -> tf.Tensor:
        found = None if one.ref() in stopped else _before(one)
        if found is None:
            return of_each_row(one, position)
        source, again = found
        return again(picked(source))

    return picked(tensor)


def _before(tensor: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]] | None:
    """The tensor of the same positions that `tensor` comes from, and the way from its (rows, features) to those of `tensor`;
    None where that is not known to treat each position by itself."""
    operation, rank = tensor.op, tensor.shape.rank
    inputs = list(operation.inputs)
    if operation.type in ALONE and inputs[0].shape.rank == rank:
        return inputs[0], lambda value: _repeated(operation, [value])
    if operation.type in BESIDE and operation.node_def.attr["data_format"].s != b"NCHW":
        whole = [i for i, one in enumerate(inputs) if one.shape.rank == rank and one.shape[-1] == tensor.shape[-1]]
        beside = [i for i, one in enumerate(inputs) if one.shape.rank in (0, 1)]
        if len(whole) == len(beside) == 1:
            return inputs[whole[0]], lambda value: _repeated(
                operation, [value if i == whole[0] else one for i, one in enumerate(inputs)]
            )
    if operation.type == "Transpose" and _is_identity(inputs[1]):
        return inputs[0], lambda value: value
    if operation.type == "BatchMatMulV2" and inputs[1].shape.rank == 2 and not operation.get_attr("adj_x"):
        return inputs[0], lambda value: tf.matmul(value, inputs[1], transpose_b=operation.get_attr("adj_y"))
    return _dense(tensor)


def _dense(tensor: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]] | None:
    """The same of a matrix product over all positions as the rows of one matrix."""
    product = tensor.op.inputs[0].op if tensor.op.type == "Reshape" else None
    if product is None or product.type != "MatMul" or product.get_attr("transpose_a"):
        return None
    rows, weights = product.inputs
    source = rows.op.inputs[0] if rows.op.type == "Reshape" else None
    turned = product.get_attr("transpose_b")
    if source is None or source.shape.rank != tensor.shape.rank or weights.shape.rank != 2:
        return None
    features, units = reversed(weights.shape.as_list()) if turned else weights.shape.as_list()
    same = source.shape.rank == 3 or (None not in source.shape[1:-1].as_list() and source.shape[1:-1] == tensor.shape[1:-1])
    if not same or features is None or units is None or (source.shape[-1], tensor.shape[-1]) != (features, units):
        return None
    return source, lambda value: tf.matmul(value, weights, transpose_b=turned)


def _is_identity(order: tf.Tensor) -> bool:
    """Whether a transposition leaves all axes where they are."""
    known = tf.get_static_value(order)
    return known is not None and known.tolist() == list(range(len(known)))


def _repeated(operation: tf.Operation, inputs: list[tf.Tensor]) -> tf.Tensor:
    """The output of the same operation of other inputs. Its name has no part of the model's, whose tensors are found by
    theirs."""
    attributes = {name: value for name, value in operation.node_def.attr.items() if not name.startswith("_")}
    made = operation.graph.create_op(
        operation.type, inputs, [output.dtype for output in operation.outputs], attrs=attributes, name="at_position"
    )
    return made.outputs[0]
