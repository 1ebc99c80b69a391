"""What the tensors of a traced graph are: probability heads, the logits beneath them, embedding lookups."""

import dataclasses
import re
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from ...common.errors import AttributionError, nearest
from .parsed import MADE_DENSE, PARSERS, SPLITTERS, is_flat
from .tables import PASS, SHAPES, TABLES, ancestors, dequantised, gathered, multiplied, passed
from .trace import Call, Traced

# Operations that call a function of the graph's library, as a layer does that holds an export (`TFSMLayer`).
CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
HEADS = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid"}
# Operations that may hand on what a head gives in another shape.
RESHAPED = frozenset({"Reshape", "Squeeze", "StridedSlice"})
# What makes whole numbers, categories or truths of floats.
TO_CATEGORIES = frozenset(
    {"Bucketize", "Cast", "Equal", "Greater", "GreaterEqual", "Less", "LessEqual", "NotEqual"},
)
# What hands numbers on in another shape.
SHAPED = frozenset({"BroadcastTo", "ExpandDims", "Identity", "Reshape", "Squeeze", "StridedSlice", "Tile"})
# Ids that come from here are those of a whole batch: each once, or none at all for an example.
SPARSE = frozenset({"Unique", "UniqueV2", "UniqueWithCounts", "SparseFillEmptyRows"})
# What leads where in the graphs whose operations call a model (`Called.leads`).
LEADS: weakref.WeakKeyDictionary[tf.Graph, Callable[[tf.Tensor, list, list], bool]] = weakref.WeakKeyDictionary()


@dataclasses.dataclass(frozen=True, eq=False)
class TracedHead:
    """What stands at an output: `kind` is softmax, log_softmax, sigmoid or None; `logits` lies beneath it, or is None where
    there is no head or it is inside a call.

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
        sparse: whether the rows are those of a whole batch, each once or one for each value of all examples, so that no axis
            counts examples (feature columns, ragged features).
        ragged: whether they are those of the words of all texts of a batch, one text behind the other.
    """

    name: str
    tensor: tf.Tensor
    indices: tf.Tensor
    inputs: tuple
    table: tuple
    sparse: bool = False
    ragged: bool = False

    @property
    def unique(self) -> bool:
        """Whether the rows are each there once, or none at all."""
        return passed(self.indices).op.type in SPARSE

    def is_called(self, name: str) -> bool:
        """Whether `name` means this lookup: its name, that of its tensor, or of the layer that made the operation."""
        return name in (self.name, self.name.split(":")[0], self.tensor.name, *self.tensor.op.name.split("/")[:-1])


def layer_names(name: str) -> set[str]:
    """What the layer of an operation may be called: a part of its path, with or without the number that an export appends."""
    scopes = name.split("/")
    parts = scopes[:-1] or scopes
    return {name, *parts, *(re.sub(r"_\d+$", "", part) for part in parts)}


def connected(tensor: tf.Tensor, fetches: Iterable[tf.Tensor], stop: Iterable[tf.Tensor] = ()) -> bool:
    """Whether any of `fetches` is computed from `tensor`, other than through a tensor in `stop`."""
    fetches = list(fetches)
    leads = LEADS.get(tensor.graph)
    if leads is not None:
        return leads(tensor, fetches, list(stop))
    return any(tensor.ref() in {i.ref() for i in operation.inputs} for operation in ancestors(fetches, stop)) or any(
        tensor is fetch for fetch in fetches
    )


def leading(named: dict[str, tf.Tensor], fetches: Iterable[tf.Tensor]) -> dict[str, tf.Tensor]:
    """Those of many tensors that are `connected` with `fetches`: the graph is walked through once for all of them."""
    fetches = list(fetches)
    if any(tensor.graph in LEADS for tensor in named.values()):
        return {name: tensor for name, tensor in named.items() if connected(tensor, fetches)}
    behind = {tensor.ref() for tensor in fetches} | {i.ref() for operation in ancestors(fetches) for i in operation.inputs}
    return {name: tensor for name, tensor in named.items() if tensor.ref() in behind}


def find_head(traced: Traced, name: str) -> TracedHead:
    """The probability head at the output `name`, and the logits beneath it."""
    head = head_at(traced.outputs[name])
    if head.kind is None and name in traced.loss_heads:
        return TracedHead(traced.loss_heads[name], head.output, head.output, applied=False)
    return head


def head_at(output: tf.Tensor) -> TracedHead:
    """The probability head that gives `output`, and the logits beneath it."""
    tensor = _as_it_was(passed(output))
    if tensor.op.type in CALLS:
        called = _called(tensor)
        return TracedHead(None if called is None else HEADS.get(called), output, None)
    kind = HEADS.get(tensor.op.type)
    return TracedHead(kind, output, None if kind is None else tensor.op.inputs[0])


def _as_it_was(tensor: tf.Tensor) -> tf.Tensor:
    """The tensor that `tensor` is, reshaped to the shape that it had, which is a layer's way to say what comes out of it, or
    without the axis of a single sigmoid unit."""
    if tensor.op.type not in RESHAPED or tensor.shape.rank is None:
        return tensor
    given = passed(tensor.op.inputs[0])
    if given.op.type == "Sigmoid" and tensor.shape.rank == 1 and given.shape.rank == 2 and given.shape[1] == 1:
        return given if tensor.op.type != "StridedSlice" or _takes_all_rows(tensor.op) else tensor
    same = given.shape.rank == tensor.shape.rank and given.shape[1:].is_fully_defined()
    return given if tensor.op.type == "Reshape" and same and given.shape[1:] == tensor.shape[1:] else tensor


def _takes_all_rows(cut: tf.Operation) -> bool:
    """Whether a `StridedSlice` of two axes leaves the first as it is and takes one entry of the other, as [:, 0] and [..., 0]
    do."""
    strides = tf.get_static_value(cut.inputs[3])
    begins, ends, dots, taken = (cut.get_attr(f"{name}_mask") for name in ("begin", "end", "ellipsis", "shrink_axis"))
    return taken == 2 and strides is not None and (strides == 1).all() and bool(dots & 1 or (begins & 1 and ends & 1))


def _called(tensor: tf.Tensor) -> str | None:
    """The type of the operation inside a call that gives `tensor`, None where it hands on what it was given. No tensor inside
    can be fetched."""
    library = {one.signature.name: one for one in tensor.graph.as_graph_def().library.function}
    node, index = tensor.op.node_def, tensor.value_index
    while node.op in CALLS:
        body = library[node.attr["f"].func.name]
        nodes, reference = {one.name: one for one in body.node_def}, body.ret[body.signature.output_arg[index].name]
        node = nodes.get(reference.partition(":")[0])
        while node is not None and node.op in PASS:
            reference = node.input[0]
            node = nodes.get(reference.partition(":")[0])
        if node is None:
            return None
        index = int(reference.rpartition(":")[2])
    return node.op


def find_lookups(traced: Traced) -> tuple[Lookup, ...]:
    """Every embedding lookup in the graph: a float table's rows, gathered by an integer tensor."""
    if traced.called is not None:
        return traced.called.lookups
    operations = traced.function.graph.get_operations()
    inputs = list(traced.inputs.values())
    quantised = {one.name: lookup for one in operations if (lookup := dequantised(one, inputs)) is not None}
    parts = set().union(*(lookup[3] for lookup in quantised.values())) - set(quantised)
    found, names = [], {}
    for position, operation in enumerate(operations):
        lookup = quantised.get(operation.name) or gathered(operation, inputs) or multiplied(operation)
        if lookup is None or operation.name in parts:
            continue
        rows, indices, table = lookup[:3]
        owner = _owner(traced.calls, position, rows)
        tensor = owner.outputs[None] if owner else rows
        name = owner.name if owner else operation.name
        names[name] = names.get(name, 0) + 1
        # a shared layer's second call is a second lookup
        name = name if names[name] == 1 else f"{name}:{names[name] - 1}"
        sparse = passed(indices).op.type in SPARSE or is_flat(indices)
        ragged = not sparse and _is_ragged(indices)
        found.append(Lookup(name, tensor, indices, _sources(traced, indices), table, sparse, ragged))
    return tuple(found)


def _is_ragged(indices: tf.Tensor) -> bool:
    """Whether ids are those of words that texts were split into, and were put into no rows of one length."""
    split = passed(indices).shape.rank == 1 and any(operation.type in SPLITTERS for operation in ancestors([indices]))
    return split and not any(operation.type in MADE_DENSE for operation in ancestors([indices]))


def hidden_lookups(traced: Traced) -> tuple[str, ...]:
    """Names of lookups inside the body of a loop or a branch, where no tensor can be fed."""
    found = []
    for function in traced.function.graph.as_graph_def().library.function:
        nodes = {node.name: node for node in function.node_def}
        for node in function.node_def:
            if node.op == "ResourceGather":
                found += [node.name] if tf.as_dtype(node.attr["dtype"].type).is_floating else []
            elif node.op == "GatherV2" and tf.as_dtype(node.attr["Tparams"].type).is_floating:
                table = nodes.get(node.input[0].split(":")[0])
                found += [node.name] if table is not None and table.op in TABLES else []
    return tuple(found)


def is_tensor_name(name: str) -> bool:
    """Whether a name is written as that of a tensor, such as "scope/operation:0"."""
    return re.fullmatch(r".+:\d+", name) is not None


def find_tensor(traced: Traced, name: str) -> tf.Tensor:
    """The tensor called `name`: in full, without the ":0", or by the end of its name where that is unambiguous.

    Raises:
        AttributionError: none or several of that name.
    """
    if name in traced.inputs:
        return traced.inputs[name]
    if traced.called is not None:
        raise AttributionError(needs_graph(traced, f"a tensor by its name, {name!r},"))
    operation, _, index = name.partition(":")
    index = int(index) if index.isdigit() else 0
    operations = traced.function.graph.get_operations()
    found = [one for one in operations if one.name == operation] or [
        one for one in operations if one.name.endswith("/" + operation)
    ]
    tensors = [one.outputs[index] for one in found if index < len(one.outputs)]
    if len(tensors) == 1:
        return tensors[0]
    last = operation.split("/")[-1]
    # gradients that were taken in this graph are no part of the model
    floats = {
        tensor.name: _size(tensor)
        for one in operations
        for tensor in one.outputs
        if tensor.dtype.is_floating and not one.name.startswith("gradients")
    }
    # names of a large graph are too many to be compared with each
    alike = {other: size for other, size in floats.items() if last in other.split(":")[0].split("/")} or dict(
        list(floats.items())[-500:]
    )
    if tensors:
        several = {tensor.name: _size(tensor) for tensor in tensors}
        raise AttributionError(f"several tensors are called {name!r}, say which: {nearest(name, several)}")
    raise AttributionError(f"no tensor is called {name!r}; there are: {nearest(name, alike)}")


def needs_graph(traced: Traced, what: str) -> str:
    """The error of what needs the operations of a model that is called and not traced."""
    why = "" if traced.called is None else traced.called.why
    return (
        f"{what} needs the model as a graph, and it is called eagerly ({why}): choose inputs, embeddings or a layer "
        "(at=ta.layer(name)), and a method of gradients or of perturbations, such as 'integrated_gradients' or 'occlusion'"
    )


def _size(tensor: tf.Tensor) -> tuple | None:
    return tuple(tensor.shape) if tensor.shape.rank is not None else None


def _owner(calls: Iterable[Call], position: int, gathered: tf.Tensor) -> Call | None:
    """The layer call whose only output is the gathered rows, handed on as they are; the innermost there is."""
    around = [call for call in calls if position in call.operations and list(call.outputs) == [None]]
    fitting = [call for call in around if passed(call.outputs[None]) is passed(gathered)]
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
        elif tensor.op.type not in SHAPES and (carries_ids(tensor) or tensor.op.type in PARSERS):
            waiting.extend(tensor.op.inputs)
    return tuple(key for key in traced.inputs if key in found)


def quantity(traced: Traced, key: Any, fetches: list[tf.Tensor]) -> tf.Tensor | None:
    """The float tensor that an integer input becomes, where it is a quantity such as the pixels of an image: all that leads
    from it to the output is one cast to float, and nothing is looked up with it. None elsewhere."""
    if traced.inputs[key].dtype.is_floating or any(key in lookup.inputs for lookup in find_lookups(traced)):
        return None
    waiting, found = [traced.inputs[key]], []
    while waiting:
        for user in waiting.pop().consumers():
            if user.type in SHAPES or not any(connected(tensor, fetches) for tensor in user.outputs):
                continue
            if user.type == "Identity":
                waiting += user.outputs
            elif user.type == "Cast" and user.outputs[0].dtype.is_floating:
                found += user.outputs
            else:
                return None
    return found[0] if len(found) == 1 and not only_ids(found[0]) else None


def only_ids(tensor: tf.Tensor) -> bool:
    """Whether a float tensor serves as ids or categories: it is cast to integers, put into bins or compared, no more."""
    # what a user without outputs does, such as keeping a state, leads nowhere
    users = [user for user in tensor.consumers() if user.outputs and user.type not in SHAPES]
    return bool(users) and all(_takes_ids(user) for user in users)


def _takes_ids(user: tf.Operation) -> bool:
    output = user.outputs[0]
    if output.dtype.is_floating:  # handed on, as it is
        return user.type in SHAPED and only_ids(output)
    # a cast to complex numbers keeps the value
    return user.type in TO_CATEGORIES and not output.dtype.is_complex


def carries_ids(tensor: tf.Tensor) -> bool:
    """Whether token ids may come through here: an id that was computed from float activations is none."""
    return not tensor.dtype.is_floating or tensor.op.type in PASS | {"Reshape", "ExpandDims", "Squeeze"}
