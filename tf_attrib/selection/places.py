"""The tensors of a traced graph that `at` means; `resolve_at` finds them, and says in words what it chose."""

import dataclasses
from typing import Any

import tensorflow as tf

from ..common.errors import AttributionError, nearest
from ..graph.saved.id_sources import origins
from ..graph.traced.cut import Port, probe_batch_axis
from ..graph.traced.heads_and_lookups import (
    SHAPES,
    Lookup,
    connected,
    find_lookups,
    find_tensor,
    hidden_lookups,
    is_tensor_name,
    quantity,
)
from ..graph.traced.layers import float_outputs, layer_outputs, some_layers
from ..graph.traced.trace import Traced
from .at_and_of import At


@dataclasses.dataclass(frozen=True, eq=False)
class Place:
    """The tensors that `at` selected, by the key they are handed out under, and what to say of them.

    Attributes:
        ports: by key; None is the key of the only one.
        kind: inputs, embeddings or layer.
        words: for people.
        notes: what was chosen for the user.
        left_out: the names of inputs that cannot be attributed to, and are not.
        indices: the token indices, where one lookup was selected whose ids come from text, or which has no batch axis.
        indices_axis: their batch axis.
        stand_ins: keys of the model's inputs by the key of the port that stands for them: integers that are quantities are
            selected behind their cast to float.
    """

    ports: dict[Any, Port]
    kind: str
    words: str
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    indices: tf.Tensor | None = None
    indices_axis: int | None = 0
    stand_ins: dict[Any, Any] = dataclasses.field(default_factory=dict)


def resolve_at(
    traced: Traced, at: At | None, fetches: list[tf.Tensor], names: dict[Any, str], examples: dict[Any, tf.Tensor]
) -> Place:
    """The tensors that `at` means.

    Args:
        traced: the graph.
        at: None means the inputs, and for those that are integers or text the embeddings they index.
        fetches: the tensors explained; what is selected must lead to one of them.
        names: a name for each model input.
        examples: the inputs at hand, on which the batch axis of inner tensors is found.

    Raises:
        AttributionError: nothing of that name, not float, or not connected.
    """
    if at is None:
        return _default(traced, fetches, names, examples)
    if at.kind == "inputs":
        return _inputs(traced, at, fetches, names)
    if at.kind == "embeddings":
        return _embeddings(traced, at, fetches, examples)
    if at.kind == "tensor":
        return _tensor(traced, at, fetches, names, examples)
    return _layer(traced, at, fetches, names, examples)


def _default(traced, fetches, names, examples) -> Place:
    floats = {key: tensor for key, tensor in traced.inputs.items() if tensor.dtype.is_floating and not _only_ids(traced, key)}
    whole = {
        key: tensor for key in traced.inputs if key not in floats and (tensor := quantity(traced, key, fetches)) is not None
    }
    rest = [key for key in traced.inputs if key not in floats and key not in whole]
    if not rest:
        return _inputs(traced, At("inputs"), fetches, names)
    floats |= whole
    lookups = [lookup for lookup in find_lookups(traced) if set(lookup.inputs) & set(rest)]
    if not lookups and not floats:
        kinds = ", ".join(f"{names[key]!r} ({traced.inputs[key].dtype.name})" for key in rest)
        raise AttributionError(
            f"the inputs {kinds} are not float, or used as ids, and no embedding lookup of them was found; "
            "name the layer or the tensor to attribute to, at=ta.layer(name) or ta.tensor(name); quantities "
            "that are cast to float at one place are found by themselves; layers: "
            f"{some_layers(traced)}{_hidden(traced)}"
        )
    ports = {lookup.name: _lookup_port(traced, lookup, examples) for lookup in lookups if connected(lookup.tensor, fetches)}
    ports |= {names[key]: Port(tensor) for key, tensor in floats.items()}
    chosen = ", ".join(repr(lookup.name) for lookup in lookups)
    note = [f"inputs are token ids: attributed at the embeddings {chosen}"] if lookups else []
    left_out = tuple(names[key] for key in rest if not any(key in lookup.inputs for lookup in lookups))
    notes = (*note, *_unused(floats, names, fetches))
    alone = lookups[0] if len(lookups) == 1 and len(ports) == 1 else None
    kind, words = ("embeddings", f"embeddings {chosen}") if lookups else ("inputs", "inputs")
    return Place(_single(ports), kind, words, notes, left_out, *_indices(traced, alone))


def _unused(tensors: dict, names: dict, fetches: list) -> list[str]:
    """A note for inputs that the output does not depend on: they get zeros."""
    unused = [repr(names[key]) for key, tensor in tensors.items() if not connected(tensor, fetches)]
    return [f"the output does not depend on {', '.join(unused)}: zeros"] if unused else []


def _indices(traced: Traced, lookup: Lookup | None) -> tuple[tf.Tensor | None, int | None]:
    """The token indices of the only lookup, where they say something that the inputs do not, and their batch axis."""
    if lookup is None or not (lookup.sparse or _is_text(traced, lookup)):
        return None, 0
    return lookup.indices, None if lookup.sparse else 0


def _is_text(traced: Traced, lookup: Lookup) -> bool:
    """Whether a lookup's ids come from text, or through a table or hash buckets inside the model."""
    return any(traced.inputs[key].dtype == tf.string for key in lookup.inputs) or bool(origins(lookup.indices))


def _only_ids(traced: Traced, key: Any) -> bool:
    """Whether a float input serves as token ids: it is cast to integers, or put into buckets, and nothing else."""
    tensor = traced.inputs[key]
    # besides the cast, a mask may compare it with 0, and its shape may be asked for
    return bool(tensor.consumers()) and all(
        user.type in SHAPES
        or (
            user.type in ("Cast", "Identity", "Equal", "NotEqual", "Bucketize")
            and not (user.outputs[0].dtype.is_floating or user.outputs[0].dtype.is_complex)
        )
        for user in tensor.consumers()
    )


def _inputs(traced, at, fetches, names) -> Place:
    keys = list(traced.inputs)
    if at.name is not None:
        keys = [key for key in keys if at.name in (key, names[key])]
        if not keys:
            listed = {names[key]: tuple(tensor.shape) for key, tensor in traced.inputs.items()}
            raise AttributionError(f"no input is called {at.name!r}; there are: {nearest(at.name, listed)}")
    if not any(connected(traced.inputs[key], fetches) for key in keys):
        raise AttributionError(
            f"the output does not depend on input {', '.join(repr(names[key]) for key in keys)}; choose "
            "others: at=ta.inputs(name)"
        )
    tensors, stand_ins = {key: traced.inputs[key] for key in keys}, {}
    for key, tensor in tensors.items():
        if not tensor.dtype.is_floating:
            tensors[key] = stand_ins[key] = quantity(traced, key, fetches)
        if tensors[key] is None:
            raise AttributionError(
                f"input {names[key]!r} is {tensor.dtype.name} and has no gradient; attribute to its "
                "embedding: at='embeddings', or to a float tensor behind it: at=ta.layer(name), "
                "at=ta.tensor(name)"
            )
    notes = tuple(_unused({key: traced.inputs[key] for key in keys}, names, fetches))
    ports = {key: Port(tensor) for key, tensor in tensors.items()}
    ports = _single(ports) if at.name is not None else ports
    keys = {None: keys[0]} if at.name is not None else {key: key for key in keys}
    return Place(
        ports,
        "inputs",
        "inputs" if at.name is None else f"input {at.name!r}",
        notes,
        stand_ins={own: key for own, key in keys.items() if key in stand_ins},
    )


def _embeddings(traced, at, fetches, examples) -> Place:
    lookups = find_lookups(traced)
    if not lookups:
        raise AttributionError(
            f"no embedding lookup was found; name the layer: at=ta.layer(name): {some_layers(traced)}{_hidden(traced)}"
        )
    if at.name is not None:
        chosen = [lookup for lookup in lookups if lookup.is_called(at.name)]
        if not chosen:
            listed = {lookup.name: tuple(lookup.tensor.shape) for lookup in lookups}
            raise AttributionError(f"no embedding is called {at.name!r}; there are: {nearest(at.name, listed)}")
    else:
        chosen = [lookup for lookup in lookups if lookup.inputs or at.positions]
    chosen = [lookup for lookup in chosen if connected(lookup.tensor, fetches)]
    if not chosen:
        raise AttributionError(
            "no embedding lookup indexed by the model's inputs leads to the output; those by position: "
            f"at=ta.embeddings(positions=True): {[lookup.name for lookup in lookups]}"
        )
    ports = {lookup.name: _lookup_port(traced, lookup, examples) for lookup in chosen}
    words = "embeddings " + ", ".join(repr(name) for name in ports)
    return Place(_single(ports), "embeddings", words, (), (), *_indices(traced, chosen[0] if len(chosen) == 1 else None))


def _hidden(traced: Traced) -> str:
    """What to say of lookups that cannot be selected."""
    hidden = hidden_lookups(traced)
    return (
        f"; the lookup {hidden[0]!r} is inside a loop or a branch, whose tensors cannot be fed: attribute to a float "
        "tensor in front of it or behind it, at=ta.tensor(name)"
        if hidden
        else ""
    )


def _tensor(traced, at, fetches, names, examples) -> Place:
    tensor = find_tensor(traced, at.name)
    for lookup in find_lookups(traced):
        if lookup.tensor is tensor:
            return _embeddings(traced, At("embeddings", tensor.name), fetches, examples)
    for key, source in traced.inputs.items():
        if source is tensor:
            return _inputs(traced, At("inputs", key), fetches, names)
    if not tensor.dtype.is_floating:
        raise AttributionError(
            f"tensor {tensor.name!r} is {tensor.dtype.name} and has no gradient; choose a float tensor "
            "behind it, such as at='embeddings'"
        )
    if not connected(tensor, fetches):
        raise AttributionError(f"the output explained does not depend on tensor {tensor.name!r}; choose one that leads to it")
    return Place({None: _port(traced, tensor, examples)}, "layer", f"tensor {tensor.name!r}")


def _layer(traced, at, fetches, names, examples) -> Place:
    found, shown = layer_outputs(traced, at.name), getattr(at.name, "name", at.name)
    if not found and at.name in names.values():
        return _inputs(traced, At("inputs", at.name), fetches, names)
    if not found and isinstance(at.name, str) and (not traced.calls or is_tensor_name(at.name)):
        return _tensor(traced, At("tensor", at.name), fetches, names, examples)
    floats = float_outputs(traced, at.name)
    leading = {name: tensor for name, tensor in floats.items() if connected(tensor, fetches)}
    if not leading:
        raise AttributionError(
            f"the output explained does not depend on layer {shown!r}; choose one that leads to it: "
            f"{some_layers(traced, shown, fetches)}"
        )
    # of the calls of a shared layer, one may reach the output only through another: that one stands for both
    last = {
        name: tensor
        for name, tensor in leading.items()
        if connected(tensor, fetches, [other for other in leading.values() if other is not tensor])
    }
    notes = tuple(f"{name!r} reaches the output only through the others: left out" for name in leading if name not in last)
    ports = {name: _port(traced, tensor, examples) for name, tensor in last.items()}
    return Place(_single(ports), "layer", "layer " + ", ".join(repr(name) for name in ports), notes)


def _port(traced: Traced, tensor: tf.Tensor, examples: dict) -> Port:
    sizes = {source.shape[0] for source in traced.inputs.values() if source.shape.rank}
    if sizes != {None}:  # a model of fixed batch size cannot be probed with another
        return Port(tensor, 0 if tensor.shape.rank and tensor.shape[0] in sizes else None)
    return Port(tensor, probe_batch_axis(traced, tensor, examples))


def _lookup_port(traced: Traced, lookup: Lookup, examples: dict) -> Port:
    # one example with one id would look like a batch axis
    return Port(lookup.tensor, None) if lookup.sparse else _port(traced, lookup.tensor, examples)


def _single(ports: dict) -> dict:
    """The only tensor needs no name."""
    return {None: next(iter(ports.values()))} if len(ports) == 1 else ports
