"""Features that a model reads out of serialized `tf.train.Example`s, each of which is an input of its own."""

from typing import Any

import tensorflow as tf

from .heads_and_lookups import SHAPES, connected
from .trace import Traced

# Operations that read features out of a `tf.train.Example`.
PARSERS = frozenset({"ParseExample", "ParseExampleV2"})


def is_serialized(traced: Traced, key: Any) -> bool:
    """Whether an input holds serialized examples, out of which features are read."""
    return bool(_parsers(traced, [key]))


def dense_features(operation: tf.Operation) -> dict[int, str]:
    """The names of the features that an operation reads as so many values of each example, by the number of its output."""
    if operation.type not in PARSERS:
        return {}
    if operation.type == "ParseExampleV2":
        sparse = operation.get_attr("num_sparse")
        names = tf.get_static_value(operation.inputs[3])
        names = [] if names is None else list(names)
    else:
        sparse = operation.get_attr("Nsparse")
        keys = operation.inputs[2 + sparse : 2 + sparse + operation.get_attr("Ndense")]
        names = [tf.get_static_value(one) for one in keys]
    told = [f"feature {place}" if name is None else _as_text(name) for place, name in enumerate(names)]
    return {3 * sparse + place: name for place, name in enumerate(told)}


def features_behind(tensor: tf.Tensor) -> tuple[str, ...]:
    """The names of the features whose values `tensor` is computed from, in the order in which they are read; none where no
    examples are."""
    waiting, seen, found = [tensor], set(), {}
    while waiting:
        one = waiting.pop()
        if one.ref() in seen or one.op.type in SHAPES:
            continue
        seen.add(one.ref())
        if one.op.type in PARSERS:
            # where values of no fixed number stand, and how many there are, is no feature
            named = dense_features(one.op) | _unfixed(one.op)
            if one.value_index in named:
                found[one.op.name, one.value_index] = named[one.value_index]
        else:
            waiting.extend(one.op.inputs)
    return tuple(dict.fromkeys(found[place] for place in sorted(found)))


def unfixed_features(traced: Traced, keys: list, fetches: list[tf.Tensor], stop: list[tf.Tensor]) -> list[str]:
    """The names of the sparse and ragged float features which are read out of the inputs `keys`, that are serialized examples,
    and lead to the output other than through a tensor in `stop`. Their values are of no one example, row by row."""
    found = [
        name
        for operation in _parsers(traced, keys)
        for number, name in _unfixed(operation).items()
        if operation.outputs[number].dtype.is_floating and connected(operation.outputs[number], fetches, stop)
    ]
    return list(dict.fromkeys(found))


def _parsers(traced: Traced, keys: list) -> list[tf.Operation]:
    """The operations that read features out of the inputs `keys`."""
    if not keys or traced.called is not None:
        return []
    return [
        operation
        for operation in traced.inputs[keys[0]].graph.get_operations()
        if operation.type in PARSERS and any(connected(traced.inputs[key], [operation.inputs[0]]) for key in keys)
    ]


def _unfixed(operation: tf.Operation) -> dict[int, str]:
    """The names of the sparse and ragged features that an operation reads, by the number of the output with their values."""
    if operation.type == "ParseExampleV2":
        sparse, ragged = (
            list(names) if names is not None else [] for names in map(tf.get_static_value, operation.inputs[2:5:2])
        )
        count, dense = operation.get_attr("num_sparse"), len(operation.get_attr("Tdense"))
        kinds = [(count, sparse, count), (3 * count + dense, ragged, len(operation.get_attr("ragged_value_types")))]
    else:
        count = operation.get_attr("Nsparse")
        kinds = [(count, [tf.get_static_value(one) for one in operation.inputs[2 : 2 + count]], count)]
    return {
        start + place: _as_text(names[place]) if place < len(names) and names[place] is not None else f"feature {place}"
        for start, names, many in kinds
        for place in range(many)
    }


def _as_text(name: Any) -> str:
    name = name.item() if hasattr(name, "item") else name
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
