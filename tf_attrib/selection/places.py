"""The tensors of a traced graph that `at` means; `resolve_at` finds them, and says in words what it chose."""

import dataclasses
from typing import Any

import tensorflow as tf

from ..common.errors import AttributionError, NotFloat, nearest
from ..graph.traced.cut import Port
from ..graph.traced.heads_and_lookups import (
    connected,
    find_lookups,
    find_tensor,
    is_tensor_name,
    quantity,
)
from ..graph.traced.layers import float_outputs, layer_outputs, some_layers
from ..graph.traced.trace import Traced
from .at_and_of import At
from .default_place import default_place, embedded
from .joined_places import held, joined
from .place import Place, hidden, indices, lookup_port, port, single, unused


def resolve_at(
    traced: Traced, at: At | None, fetches: list[tf.Tensor], names: dict[Any, str], examples: dict[Any, tf.Tensor]
) -> Place:
    """The tensors that `at` means.

    Args:
        traced: the graph.
        at: None means the inputs, and for those that have no gradient what they become: see `default_place`. Where a method
            needs none (`At.raw`), token ids are attributed to at their embeddings all the same, and all else as it is given.
        fetches: the tensors explained; what is selected must lead to one of them.
        names: a name for each model input.
        examples: the inputs at hand, on which the batch axis of inner tensors is found.

    Raises:
        AttributionError: nothing of that name, not float, or not connected.
    """
    place = _resolved(traced, at, fetches, names, examples)
    if at is None or at.kind == "places" or at.name is None or place.kind != "inputs":
        return place
    chosen = [*place.stand_ins.values(), *(key for key in traced.inputs if _is_one(traced.inputs[key], place))]
    others = [key for key in traced.inputs if key not in chosen]
    return dataclasses.replace(place, notes=place.notes + held(others, traced, place.ports, fetches, names))


def _is_one(tensor: tf.Tensor, place: Place) -> bool:
    return any(port.tensor is tensor for port in place.ports.values())


def _resolved(
    traced: Traced, at: At | None, fetches: list[tf.Tensor], names: dict[Any, str], examples: dict[Any, tf.Tensor]
) -> Place:
    """The same, without a note on the inputs beside an input that was named."""
    if at is None:
        return default_place(traced, fetches, names, examples) or _inputs(traced, At("inputs"), fetches, names)
    if at.kind == "places":
        each = [dataclasses.replace(part, raw=at.raw) for part in at.name]
        return joined(traced, [(one, _resolved(traced, one, fetches, names, examples)) for one in each], fetches, names)
    if at.kind == "default":
        return embedded(traced, fetches, names, examples) or _inputs(traced, at, fetches, names)
    if at.kind == "inputs":
        return _inputs(traced, at, fetches, names)
    if at.kind == "embeddings":
        return _embeddings(traced, at, fetches, examples)
    if at.kind == "tensor":
        return _tensor(traced, at, fetches, names, examples)
    return _layer(traced, at, fetches, names, examples)


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
            found = quantity(traced, key, fetches)
            if found is None and at.raw:
                continue
            tensors[key] = stand_ins[key] = found
        if tensors[key] is None:
            raise NotFloat(
                f"input {names[key]!r} is {tensor.dtype.name} and has no gradient; attribute to its "
                "embedding: at='embeddings', or to a float tensor behind it: at=ta.layer(name), "
                "at=ta.tensor(name); or by a method that needs none, such as method='occlusion'"
            )
    notes = tuple(unused({key: traced.inputs[key] for key in keys}, names, fetches))
    ports = {key: Port(tensor) for key, tensor in tensors.items()}
    ports = single(ports) if at.name is not None else ports
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
            f"no embedding lookup was found; name the layer: at=ta.layer(name): {some_layers(traced)}{hidden(traced)}"
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
    ports = {lookup.name: lookup_port(traced, lookup, examples) for lookup in chosen}
    words = "embeddings " + ", ".join(repr(name) for name in ports)
    alone = chosen[0] if len(chosen) == 1 else None
    return Place(single(ports), "embeddings", words, (), (), {}, {}, *indices(traced, alone))


def _tensor(traced, at, fetches, names, examples) -> Place:
    tensor = find_tensor(traced, at.name)
    for lookup in find_lookups(traced):
        if lookup.tensor is tensor:
            return _embeddings(traced, At("embeddings", tensor.name), fetches, examples)
    for key, source in traced.inputs.items():
        if source is tensor:
            return _inputs(traced, At("inputs", key, raw=at.raw), fetches, names)
    if not tensor.dtype.is_floating:
        raise NotFloat(
            f"tensor {tensor.name!r} is {tensor.dtype.name} and has no gradient; choose a float tensor "
            "behind it, such as at='embeddings'"
        )
    if not connected(tensor, fetches):
        raise AttributionError(f"the output explained does not depend on tensor {tensor.name!r}; choose one that leads to it")
    return Place({None: port(traced, tensor, examples)}, "layer", f"tensor {tensor.name!r}")


def _layer(traced, at, fetches, names, examples) -> Place:
    found, shown = layer_outputs(traced, at.name), getattr(at.name, "name", at.name)
    if not found and at.name in names.values():
        return _inputs(traced, At("inputs", at.name, raw=at.raw), fetches, names)
    if not found and isinstance(at.name, str) and (not traced.calls or is_tensor_name(at.name)):
        return _tensor(traced, At("tensor", at.name, raw=at.raw), fetches, names, examples)
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
    ports = {name: port(traced, tensor, examples) for name, tensor in last.items()}
    return Place(single(ports), "layer", "layer " + ", ".join(repr(name) for name in ports), notes)
