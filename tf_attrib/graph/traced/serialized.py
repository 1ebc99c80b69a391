"""Serialized `tf.train.Example`s as inputs: each feature that a model reads out of them is an input of its own."""

from typing import Any

import tensorflow as tf

from .heads_and_lookups import connected
from .parsed import PARSERS, dense_features, unfixed
from .trace import Traced


def is_serialized(traced: Traced, key: Any) -> bool:
    """Whether an input holds serialized examples, out of which features are read."""
    return bool(_parsers(traced, [key]))


def read_features(traced: Traced, keys: list) -> list[tuple[str, tf.Tensor]]:
    """The whole numbers that are read out of the inputs `keys`, as so many of each example, by the names of their features."""
    return [
        (name, operation.outputs[number])
        for operation in _parsers(traced, keys)
        for number, name in dense_features(operation).items()
        if operation.outputs[number].dtype.is_integer
    ]


def unfixed_features(traced: Traced, keys: list, fetches: list[tf.Tensor], stop: list[tf.Tensor]) -> list[str]:
    """The names of the sparse and ragged float features which are read out of the inputs `keys`, that are serialized examples,
    and lead to the output other than through a tensor in `stop`. Their values are of no one example, row by row."""
    found = [
        name
        for operation in _parsers(traced, keys)
        for number, name in unfixed(operation).items()
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
