"""What is attributed to where nothing was asked for: inputs, and those that have no gradient as what they become.

Token ids are attributed to at their embeddings; categories, bins and hashes at the vectors that they are encoded to; integers
that are quantities behind their cast to float.
"""

from typing import Any

import tensorflow as tf

from ..common.errors import AttributionError
from ..graph.saved.category_names import category_names
from ..graph.traced.cut import Port
from ..graph.traced.encodings import Encoding, find_encodings
from ..graph.traced.heads_and_lookups import Lookup, connected, find_lookups, only_ids, quantity
from ..graph.traced.layers import some_layers
from ..graph.traced.masks import is_attention_mask, is_called_mask, is_lengths, is_mask, is_of_positions, masks_others
from ..graph.traced.parsed import AS_THEY_ARE, features_behind, is_read
from ..graph.traced.serialized import is_serialized, read_features, unfixed_features
from ..graph.traced.trace import Traced
from .place import Place, hidden, indices, lookup_port, port, single, unused

# Between the names of columns that were crossed.
CROSSED = " × "


def default_place(
    traced: Traced, fetches: list[tf.Tensor], names: dict[Any, str], examples: dict[Any, tf.Tensor]
) -> Place | None:
    """The place that `at=None` means; None where that is the inputs as they are. The arguments are those of `resolve_at`.

    Raises:
        AttributionError: none of the inputs is float or becomes a float tensor that leads to the output.
    """
    floats = {
        key: tensor
        for key, tensor in traced.inputs.items()
        if tensor.dtype.is_floating and not only_ids(tensor) and not is_attention_mask(traced, key)
    }
    lookups = [
        lookup
        for lookup in find_lookups(traced)
        if set(lookup.inputs) & set(traced.inputs) and connected(lookup.tensor, fetches)
    ]
    masks = {key for key in traced.inputs if key not in floats and is_mask(traced, key, names[key], lookups)}
    whole = {
        key: tensor
        for key in traced.inputs
        if key not in floats and key not in masks and (tensor := quantity(traced, key, fetches)) is not None
    }
    rest = [key for key in traced.inputs if key not in floats and key not in whole]
    encodings = _encodings(traced, floats, [key for key in rest if key not in masks], lookups, fetches)
    if not rest and not encodings and not lookups:
        return None
    floats |= whole
    if not lookups and not floats and not encodings:
        unfixed = _unfixed(unfixed_features(traced, rest, fetches, []))
        kinds = ", ".join(f"{names[key]!r} ({traced.inputs[key].dtype.name})" for key in rest)
        raise AttributionError(
            f"the inputs {kinds} are not float, or used as ids, and no embedding lookup or encoding of them was found; "
            "name the layer or the tensor to attribute to, at=ta.layer(name) or ta.tensor(name); quantities "
            "that are cast to float at one place are found by themselves; layers: "
            f"{some_layers(traced)}{hidden(traced)}{''.join(f'; {sentence}' for sentence in unfixed)}"
        )
    stand_ins = {names[key]: key for key in whole}
    return _place(traced, fetches, names, examples, floats, rest, lookups, encodings, stand_ins)


def embedded(traced: Traced, fetches: list[tf.Tensor], names: dict[Any, str], examples: dict[Any, tf.Tensor]) -> Place | None:
    """The default place, where it is embeddings that carry all that is not float, or numbers that are read out of serialized
    examples, or vectors beside a mask of their positions: there a method that needs no gradient has the words, and can take
    them away by a vector of none. Masks stay as they are: taken away for themselves, they would have a share in what words do.
    None elsewhere: such a method takes the inputs as they are."""
    try:
        place = default_place(traced, fetches, names, examples)
    except AttributionError:
        return None
    if place is None or not all(_is_mask(traced, names, one) for one in place.left_out):
        return None
    # serialized examples can lose nothing that is read out of them, but as what was read
    keys = {name: key for key, name in names.items()}
    vectors = place.left_out and all(
        is_of_positions(traced, keys[one], one) or is_lengths(traced, keys[one]) or is_attention_mask(traced, keys[one])
        for one in place.left_out
    )
    parsed = any(is_serialized(traced, key) for key in traced.inputs)
    if place.kind != "embeddings" and not parsed and not (place.kind == "inputs" and vectors):
        return None
    ports, apart = list(place.ports.values()), {*(names[key] for key in place.stand_ins.values()), *place.left_out}
    ids = [key for key, tensor in traced.inputs.items() if tensor.dtype.is_integer and names[key] not in apart]
    return None if any(_as_number(traced.inputs[key], fetches, ports) for key in ids) else place


def _is_mask(traced: Traced, names: dict[Any, str], name: str) -> bool:
    """Whether an input that nothing float comes of is a mask."""
    key = next(key for key, one in names.items() if one == name)
    return is_called_mask(traced, key, name) or is_attention_mask(traced, key) or is_lengths(traced, key)


def _encodings(traced: Traced, floats: dict, rest: list, lookups: list[Lookup], fetches: list[tf.Tensor]) -> list[Encoding]:
    """The encodings that lead to the output other than through an embedding."""
    looked_up = {key for lookup in lookups for key in lookup.inputs}
    stop, ids = [lookup.tensor for lookup in lookups], [lookup.indices for lookup in lookups]
    found = find_encodings(traced, [*rest, *floats], fetches, [*looked_up, *floats], ids)
    return [
        one
        for one in found
        if connected(one.tensor, fetches, stop)
        and (one.encoder is not None or not masks_others(traced, one.inputs, one.tensor, lookups))
    ]


def _place(traced, fetches, names, examples, floats, rest, lookups, encodings, stand_ins) -> Place:
    """The place of all that was found, with the column behind each port."""
    ports = {lookup.name: lookup_port(traced, lookup, examples) for lookup in lookups}
    columns: dict[Any, str] = {one.name: _column(names, one.inputs, features_behind(one.indices)) for one in lookups}
    for key, tensor in floats.items():
        ports[names[key]], columns[names[key]] = Port(tensor), names[key]
    categories: dict[Any, tuple[str, ...]] = {}
    encoded, features = {}, {}
    for encoding in encodings:
        column = _column(names, encoding.inputs, encoding.features)
        name = _free(column, ports)
        ports[name], columns[name] = port(traced, encoding.tensor, examples), column
        # a number that was read out of an example is encoded as little as an input that is float
        (features if encoding.encoder is None and is_read(encoding.tensor) else encoded)[name] = column
        if (known := category_names(traced, encoding)) is not None:
            categories[name] = known
    reached = {key for one in [*lookups, *encodings] for key in one.inputs}
    lost = [key for key in rest if key not in reached]
    left_out = tuple(names[key] for key in lost if connected(traced.inputs[key], fetches))
    without = floats | {key: traced.inputs[key] for key in lost if names[key] not in left_out}
    given = [(names[key], traced.inputs[key]) for key in rest if key in reached]
    given += read_features(traced, [key for key in rest if key in reached])
    past = [name for name, tensor in given if _as_number(tensor, fetches, list(ports.values()))]
    notes = _notes(lookups, encoded, features) + tuple(unused(without, names, fetches)) + _past(past)
    notes += _unfixed(unfixed_features(traced, rest, fetches, [one.tensor for one in ports.values()]))
    kind = "encoded" if encoded else "embeddings" if lookups else "encoded" if features else "inputs"
    alone = lookups[0] if len(lookups) == 1 and len(ports) == 1 else None
    if len(ports) == 1:
        columns, categories, stand_ins = single(columns), single(categories), single(stand_ins)
    words = _words(lookups, [names[key] for key in floats], encoded, features)
    return Place(single(ports), kind, words, notes, left_out, columns, categories, *indices(traced, alone), stand_ins)


def _column(names: dict[Any, str], inputs: tuple, features: tuple[str, ...]) -> str:
    """What is called the column behind a lookup or an encoding: of serialized examples it is that of what was read."""
    return CROSSED.join(features or [names[key] for key in inputs])


def _notes(lookups: list[Lookup], encoded: dict[str, str], features: dict[str, str]) -> tuple[str, ...]:
    """What was chosen for the user."""
    notes = []
    if lookups:
        notes.append(f"inputs are token ids: attributed at the embeddings {_listed(one.name for one in lookups)}")
    if encoded:
        notes.append(
            f"{_listed(dict.fromkeys(encoded.values()))} attributed at the encoding, a part for each category; "
            "result.by_column sums them"
        )
    if features:
        notes.append(f"numbers that the model reads out of its input, attributed as they are: {_listed(features.values())}")
    return tuple(notes)


def _as_number(ids: tf.Tensor, fetches: list[tf.Tensor], ports: list[Port]) -> bool:
    """Whether ids that are looked up or encoded also lead to the output as a number, cast to float as they are; what they are
    compared for, such as a mask, is none."""
    stop, waiting, seen = [one.tensor for one in ports], [ids], set()
    while waiting:
        for user in waiting.pop().consumers():
            given = user.outputs[0] if user.outputs else None
            if given is None or user.type not in AS_THEY_ARE or user.name in seen or any(given is one for one in stop):
                continue
            seen.add(user.name)
            if given.dtype.is_integer:
                waiting.append(given)
            elif any(given is one for one in stop):
                continue
            elif given.dtype.is_floating and not only_ids(given) and connected(given, fetches, stop):
                return True
    return False


def _past(names: list[str]) -> tuple[str, ...]:
    """What is said of inputs that reach the output past where they are attributed to."""
    if not names:
        return ()
    which, also = ", ".join(map(repr, names)), "also reaches" if len(names) == 1 else "also reach"
    return (f"{which} {also} the output as a number, past the embeddings and encodings: that stays as it is, unattributed",)


def _unfixed(names: list[str]) -> tuple[str, ...]:
    """What is said of numbers that are read out of serialized examples, as many of an example as there are."""
    if not names:
        return ()
    which, one = ", ".join(map(repr, names)), len(names) == 1
    return (
        f"{which} {'is' if one else 'are'} read out of the examples as sparse or ragged numbers, past what is attributed to: "
        f"{'that stays as it is' if one else 'these stay as they are'}, unattributed; tf.io.FixedLenFeature, or "
        "at=ta.tensor(name) where they are dense, has a part for them",
    )


def _words(lookups: list[Lookup], floats: list[str], encoded: dict[str, str], features: dict[str, str]) -> str:
    """Where attributions are, for people."""
    if not encoded and not features:
        return f"embeddings {_listed(one.name for one in lookups)}" if lookups else "inputs"
    parts = [f"inputs {_listed(floats)}"] if floats else []
    parts += [f"features {_listed(features.values())}"] if features else []
    parts += [f"embeddings {_listed(one.name for one in lookups)}"] if lookups else []
    return "; ".join([*parts, *([f"encodings of {_listed(dict.fromkeys(encoded.values()))}"] if encoded else [])])


def _listed(names: Any) -> str:
    return ", ".join(repr(name) for name in names)


def _free(name: str, taken: dict) -> str:
    """`name`, or with a number where a port has it already."""
    number, found = 1, name
    while found in taken:
        number, found = number + 1, f"{name}:{number}"
    return found
