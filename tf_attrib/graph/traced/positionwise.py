"""A tensor with positions, computed at some positions of each row alone.

The output of a language model is (batch, length, classes), and one of its positions is explained. All that stands behind the
last layer that looks at several positions treats each by itself: the layers that end the model, the sum and the dense layers of
its last block. Positions are picked in front of them: the classes of all others, for a vocabulary by far the largest tensors of
the model, are then never computed.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable

import tensorflow as tf

from ...common.types import present
from .gradients import has_own_gradient
from .heads_and_lookups import ancestors
from .kinds import ALONE, BESIDE, REDUCING


@dataclasses.dataclass(frozen=True, eq=False)
class _Way:
    """How a tensor follows from others of the same positions.

    Attributes:
        sources: those tensors.
        again: from what they are at the picked positions to what it is there.
    """

    sources: tuple[tf.Tensor, ...]
    again: Callable[..., tf.Tensor]


def of_each_row(values: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """What each row of `values` (rows, ...) has at its own indices (rows, r), or at several, (rows, s, r).

    It is `tf.gather_nd` with `batch_dims=1`, which makes seventy operations of what needs ten (TensorFlow 2.21), a quarter of
    the time until a small model's first result. Other numbers of rows of the two are an error of TensorFlow when it runs.
    """
    return tf.gather_nd(values, _with_rows(tf.shape(values)[0], index))


def _with_rows(rows: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Indices (rows, ..., r) with the number of the row before each: `rows` says how many there must be."""
    row = tf.reshape(tf.range(rows, dtype=index.dtype), [-1] + [1] * (present(index.shape.rank) - 1))
    if index.shape.rank > 2:
        row = tf.tile(row, tf.stack([1, tf.shape(index)[1], 1]))
    return tf.concat([row, index], -1)


def at_position(tensor: tf.Tensor, position: tf.Tensor, stop: Iterable[tf.Tensor] = ()) -> tf.Tensor:
    """`tensor` (rows, *positions, classes) at one position of each row, (rows, classes), or at several, (rows, s, classes).

    Call it with its graph as the default. Operations are repeated on these positions as far back as they treat each by itself,
    and as no other needs what they give at all positions.

    Args:
        position: int (rows, p), an index for each axis of positions; or (rows, s, p).
        stop: tensors that are not gone past: gradients are wanted there.
    """
    leading, several = 1 + present(position.shape[-1]), position.shape.rank == 3
    ways, ends = _ways(tensor, {one.ref() for one in stop}, functools.partial(_way, leading=leading, several=several))
    sizes = functools.reduce(tf.maximum, [tf.shape(one)[:leading] for one in ends])
    found = {one.ref(): _gathered(one, position, sizes if len(ends) > 1 else None) for one in ends}
    for one, way in reversed(ways):
        found[one.ref()] = way.again(*(found[source.ref()] for source in way.sources))
    return found[tensor.ref()]


def _ways(tensor: tf.Tensor, stopped: set, way_to: Callable[[tf.Tensor], _Way | None]) -> tuple[list, list[tf.Tensor]]:
    """The tensors that are repeated at positions, with their ways, each before its sources; and those that are picked from.

    A tensor that something else needs at all positions is computed there anyway, and is picked from.
    """
    operations = {operation.name: operation for operation in ancestors([tensor])}
    known = [one for one in tensor.graph.get_operations() if one.name in operations]
    wanted, whole = {tensor.ref()}, set()
    ways: list[tuple[tf.Tensor, _Way]] = []
    ends = []
    for operation in reversed(known):  # whatever needs an operation was made after it
        if any(one.ref() in whole for one in operation.outputs):
            whole |= {one.ref() for one in operation.inputs}
        for one in operation.outputs:
            if one.ref() not in wanted:
                continue
            way = None if one.ref() in stopped | whole else way_to(one)
            if way is None:
                ends.append(one)
                whole |= {source.ref() for source in operation.inputs}
            else:
                ways.append((one, way))
                wanted |= {source.ref() for source in way.sources}
    return ways, ends


def _gathered(tensor: tf.Tensor, position: tf.Tensor, sizes: tf.Tensor | None) -> tf.Tensor:
    """`tensor` at positions. Where its axes of rows and positions are 1 and those of others, `sizes`, are not, one entry is
    that of all."""
    if sizes is None:
        return of_each_row(tensor, position)
    index, own = _with_rows(sizes[0], tf.cast(position, tf.int32)), tf.shape(tensor)[: tf.shape(sizes)[0]]
    return tf.gather_nd(tensor, tf.where((own == 1) & (sizes > 1), 0, index))


def _way(tensor: tf.Tensor, leading: int, several: bool) -> _Way | None:
    """Where `tensor` comes from; None where its operation is not known to treat each position by itself.

    Args:
        leading: how many axes rows and positions have.
        several: whether several positions are picked, which keep an axis.
    """
    operation, rank = tensor.op, tensor.shape.rank
    inputs = list(operation.inputs)
    if rank is None or rank <= leading or has_own_gradient(operation):  # which what is made anew would not have
        return None
    if operation.type in ALONE and inputs[0].shape.rank == rank:
        return _Way((inputs[0],), lambda value: _repeated(operation, [value]))
    if operation.type in BESIDE and (operation.type != "BiasAdd" or operation.get_attr("data_format") != b"NCHW"):
        return _of_two(operation, leading)
    if operation.type in REDUCING and operation.get_attr("keep_dims") and inputs[0].shape.rank == rank:
        axes = tf.get_static_value(inputs[1])
        if axes is None or {int(axis) % rank for axis in axes.reshape(-1)} != {rank - 1}:
            return None
        return _Way((inputs[0],), lambda value: _repeated(operation, [value, tf.constant([-1], inputs[1].dtype)]))
    if operation.type == "Transpose" and _is_identity(inputs[1]):
        return _Way((inputs[0],), lambda value: value)
    if operation.type == "BatchMatMulV2" and inputs[1].shape.rank == 2 and not operation.get_attr("adj_x"):
        return _Way((inputs[0],), lambda value: tf.matmul(value, inputs[1], transpose_b=operation.get_attr("adj_y")))
    if operation.type == "Einsum":
        return _product(operation, leading, several)
    return _dense(tensor)


def _of_two(operation: tf.Operation, leading: int) -> _Way | None:
    """The way of an operation of two tensors: each has the positions, or one of them is the same at all."""
    rank, inputs = present(operation.outputs[0].shape.rank), list(operation.inputs)
    ranks = [one.shape.rank for one in inputs]
    everywhere = [one.shape.rank == rank and one.shape[:leading] == [1] * leading for one in inputs]
    along = [one for one, own, same in zip(inputs, ranks, everywhere, strict=True) if own == rank and not same]
    if not along or any(own is None or rank - leading < own < rank for own in ranks):
        return None

    def again(*values: tf.Tensor) -> tf.Tensor:
        left = list(values)
        given = []
        for one, own, same in zip(inputs, ranks, everywhere, strict=True):
            given.append(tf.squeeze(one, list(range(leading))) if same else left.pop(0) if own == rank else one)
        return _repeated(operation, given)

    return _Way(tuple(along), again)


def _product(operation: tf.Operation, leading: int, several: bool) -> _Way | None:
    """The way of an einsum of weights, which have none of the axes of rows and positions."""
    terms, out = operation.get_attr("equation").decode().split("->")
    left, _, right = terms.partition(",")
    axes = out[:leading]
    if len(operation.inputs) != 2 or "." in terms or left[:leading] != axes or set(axes) & set(right):
        return None
    kept = axes[: 2 if several else 1]
    equation = f"{kept}{left[leading:]},{right}->{kept}{out[leading:]}"
    source, weights = operation.inputs
    return _Way((source,), lambda value: tf.einsum(equation, value, weights))


def _dense(tensor: tf.Tensor) -> _Way | None:
    """The way of a matrix product over all positions as the rows of one matrix."""
    product = tensor.op.inputs[0].op if tensor.op.type == "Reshape" else None
    if product is None or product.type != "MatMul" or product.get_attr("transpose_a"):
        return None
    rows, weights = product.inputs
    source = rows.op.inputs[0] if rows.op.type == "Reshape" else None
    turned = product.get_attr("transpose_b")
    if source is None or source.shape.rank != tensor.shape.rank or weights.shape.rank != 2:
        return None
    features, units = reversed(weights.shape.as_list()) if turned else weights.shape.as_list()
    if has_own_gradient(product) or has_own_gradient(rows.op):
        return None
    # entries of a first axis that are not the rows, such as chunks of a sequence, have other positions
    positions = source.shape[1:-1].as_list()
    same = positions == tensor.shape[1:-1].as_list() and (len(positions) == 1 or None not in positions)
    if not same or features is None or units is None or (source.shape[-1], tensor.shape[-1]) != (features, units):
        return None
    return _Way((source,), lambda value: tf.matmul(value, weights, transpose_b=turned))


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
