"""Several places at once, as one: their tensors side by side, none of which may lie behind another."""

import itertools
from typing import Any

import tensorflow as tf

from ..common.errors import AttributionError
from ..graph.traced.heads_and_lookups import connected, find_lookups
from ..graph.traced.trace import Traced
from .at_and_of import At
from .place import Place


def joined(traced: Traced, parts: list[tuple[At, Place]], fetches: list[tf.Tensor], names: dict[Any, str]) -> Place:
    """The place that several together are. Together they are complete where they carry all that leads to the output; a note
    names the inputs that reach it past them.

    Raises:
        AttributionError: two of them are one tensor, or one lies behind another: what passes through both would count twice.
    """
    ports, stand_ins, columns = {}, {}, {}
    keys = {tensor.ref(): key for key, tensor in traced.inputs.items()}
    lookups = {lookup.tensor.ref(): lookup for lookup in find_lookups(traced)}
    for at, place in parts:
        for own, port in place.ports.items():
            source = place.stand_ins.get(own, keys.get(port.tensor.ref()))
            is_input, lookup = port.tensor.ref() in keys or own in place.stand_ins, lookups.get(port.tensor.ref())
            if is_input:
                name = names[source]
            else:
                name = str(own if own is not None else lookup.name if lookup else getattr(at.name, "name", at.name))
            if name in ports and ports[name].tensor is not port.tensor:
                raise AttributionError(
                    f"two of the places at= are called {name!r}: give their tensors, at=[ta.tensor(name), ...]"
                )
            if name in ports or any(other.tensor is port.tensor for other in ports.values()):
                raise AttributionError(f"at= names {place.words} twice: its attributions would count twice; name it once")
            ports[name] = port
            if is_input:
                columns[name] = names[source]
            elif lookup is not None and len(lookup.inputs) == 1:
                columns[name] = names[lookup.inputs[0]]
            if own in place.stand_ins:
                stand_ins[name] = source
    _check_beside(traced, ports, stand_ins)
    kinds = {place.kind for _, place in parts}
    kind = "layer" if "layer" in kinds else "embeddings" if "embeddings" in kinds else "inputs"
    words = "; ".join(place.words for _, place in parts)
    notes = tuple(dict.fromkeys(note for _, place in parts for note in place.notes))
    notes += held([key for key in traced.inputs if key not in columns], traced, ports, fetches, names)
    return Place(ports, kind, words, notes, columns=columns, stand_ins=stand_ins)


def held(keys: list, traced: Traced, ports: dict, fetches: list[tf.Tensor], names: dict[Any, str]) -> tuple[str, ...]:
    """A note for those of the inputs `keys` that reach the output other than through what is selected."""
    tensors = [port.tensor for port in ports.values()]
    past = [names[key] for key in keys if _passes(traced.inputs[key], fetches, tensors)]
    if not past:
        return ()
    which = ", ".join(map(repr, past))
    place = "these places" if len(ports) > 1 else "this place"
    if len(past) > 1:
        return (f"{which} also reach the output past {place}: they stay as they are, and get no attribution",)
    return (f"{which} also reaches the output past {place}: it stays as it is, and gets no attribution",)


def _passes(tensor: tf.Tensor, fetches: list[tf.Tensor], selected: list[tf.Tensor]) -> bool:
    return not any(tensor is one for one in selected) and connected(tensor, fetches, selected)


def _check_beside(traced: Traced, ports: dict, stand_ins: dict) -> None:
    """Raises where one of the tensors is computed from another."""
    for (name, port), (other, behind) in itertools.permutations(ports.items(), 2):
        source = traced.inputs[stand_ins[name]] if name in stand_ins else port.tensor
        if connected(source, [behind.tensor]):
            raise AttributionError(
                f"{other!r} lies behind {name!r}: what passes through both would be counted twice; leave one of them out of at="
            )
