"""What the tensors of a traced graph are: probability heads, the logits beneath them, embedding lookups."""

import dataclasses
from collections.abc import Iterable, Iterator

import tensorflow as tf

from .trace import Call, Traced

# Operations that hand a value on unchanged, but for its dtype.
PASS = frozenset({"Identity", "Cast", "StopGradient"})
# Operations that tell of a tensor's shape, not of its values.
SHAPES = frozenset({"Shape", "ShapeN", "Size", "Rank"})
HEADS = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid"}


@dataclasses.dataclass(frozen=True, eq=False)
class Head:
    """What stands at an output: `kind` is softmax, log_softmax, sigmoid or None; `logits` lies beneath it or is None.

    `applied` is False where the model returns logits and the activation is in its compiled loss.
    """

    kind: str | None
    output: tf.Tensor
    logits: tf.Tensor | None
    applied: bool = True


@dataclasses.dataclass(frozen=True, eq=False)
class Lookup:
    """An embedding lookup.

    Attributes:
        name: of the layer, where the lookup is one layer's whole work, else of the operation.
        tensor: the looked-up vectors (batch, ..., dimension).
        indices: the integer tensor that selects the rows.
        inputs: keys of the model inputs that the indices come from; empty for positions and other constants.
        table: shape of the table, as (rows, dimension).
    """

    name: str
    tensor: tf.Tensor
    indices: tf.Tensor
    inputs: tuple
    table: tuple


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


def connected(tensor: tf.Tensor, fetches: Iterable[tf.Tensor], stop: Iterable[tf.Tensor] = ()) -> bool:
    """Whether any of `fetches` is computed from `tensor`, other than through a tensor in `stop`."""
    return any(tensor.ref() in {i.ref() for i in operation.inputs} for operation in ancestors(fetches, stop)) or \
        any(tensor is fetch for fetch in fetches)


def find_head(traced: Traced, name: str) -> Head:
    """The probability head at the output `name`, and the logits beneath it."""
    output = traced.outputs[name]
    tensor = passed(output)
    kind = HEADS.get(tensor.op.type)
    if kind is not None:
        return Head(kind, output, tensor.op.inputs[0])
    if name in traced.loss_heads:
        return Head(traced.loss_heads[name], output, output, applied=False)
    return Head(None, output, None)


def passed(tensor: tf.Tensor) -> tf.Tensor:
    """The tensor that `tensor` is a copy of."""
    while tensor.op.type in PASS:
        tensor = tensor.op.inputs[0]
    return tensor


def find_lookups(traced: Traced) -> tuple[Lookup, ...]:
    """Every embedding lookup in the graph: a float table's rows, gathered by an integer tensor."""
    operations = traced.function.graph.get_operations()
    found, names = [], {}
    for position, operation in enumerate(operations):
        table = _table(operation)
        if table is None:
            continue
        gathered, indices = operation.outputs[0], operation.inputs[1]
        owner = _owner(traced.calls, position, gathered)
        tensor = owner.outputs[None] if owner else gathered
        name = owner.name if owner else operation.name
        names[name] = names.get(name, 0) + 1
        # a shared layer's second call is a second lookup
        name = name if names[name] == 1 else f"{name}:{names[name] - 1}"
        found.append(Lookup(name, tensor, indices, _sources(traced, indices), table))
    return tuple(found)


def _table(operation: tf.Operation) -> tuple | None:
    """The shape of the float table that `operation` looks rows up in, or None where it is no lookup."""
    if operation.type == "ResourceGather":
        dtype, batch_dims = operation.get_attr("dtype"), operation.get_attr("batch_dims")
        return (None, operation.outputs[0].shape[-1]) if dtype.is_floating and not batch_dims else None
    if operation.type != "GatherV2" or not operation.inputs[0].dtype.is_floating:
        return None
    table = passed(operation.inputs[0])
    axis = tf.get_static_value(operation.inputs[2])
    # a Dense layer on three axes gathers too, but from shapes, which are integers
    if table.op.type not in ("ReadVariableOp", "Const", "VariableV2") or axis != 0 or table.shape.rank != 2:
        return None
    return tuple(table.shape)


def _owner(calls: Iterable[Call], position: int, gathered: tf.Tensor) -> Call | None:
    """The layer call whose only output is the gathered rows, handed on as they are; the innermost there is."""
    around = [call for call in calls if position in call.operations and list(call.outputs) == [None]]
    fitting = [call for call in around if passed(call.outputs[None]) is gathered]
    return min(fitting, key=lambda call: len(call.operations), default=None)


def _sources(traced: Traced, indices: tf.Tensor) -> tuple:
    """The model inputs whose values, not whose shapes, select the rows."""
    inputs = {tensor.ref(): key for key, tensor in traced.inputs.items()}
    waiting, seen, found = [indices], set(), []
    while waiting:
        tensor = waiting.pop()
        if tensor.ref() in seen:
            continue
        seen.add(tensor.ref())
        if tensor.ref() in inputs:
            found.append(inputs[tensor.ref()])
        elif tensor.op.type not in SHAPES and _carries_ids(tensor):
            waiting.extend(tensor.op.inputs)
    return tuple(key for key in traced.inputs if key in found)


def _carries_ids(tensor: tf.Tensor) -> bool:
    """Whether token ids may come through here: an id that was computed from float activations is none."""
    return not tensor.dtype.is_floating or tensor.op.type in PASS | {"Reshape", "ExpandDims", "Squeeze"}
