"""What the places of an encoded vector stand for: words and numbers of a vocabulary, bins, buckets."""

import itertools

import numpy as np
import tensorflow as tf

from ..traced.encodings import Encoding
from ..traced.heads_and_lookups import SHAPES, carries_ids
from ..traced.trace import Traced
from .id_sources import BUCKETS, words_at

# Operations between a category's number and the vector that hand it on.
HANDED_ON = frozenset({"Cast", "Identity", "Reshape", "Squeeze", "ExpandDims"})


def category_names(traced: Traced, encoding: Encoding) -> tuple[str, ...] | None:
    """A name for each place of the last axis; None where no encoder was found, or the size is not known.

    Bins are named by their edges, keys of a table as they are, buckets, also those beside a table, and other numbers by their
    number.
    """
    size = encoding.tensor.shape[-1] if encoding.tensor.shape.rank else None
    if encoding.encoder is None or size is None:
        return None
    numbers = encoding.encoder.inputs[0]
    edges = _edges(numbers)
    if edges is not None and len(edges) + 1 == size:
        return _bins(edges)
    words = words_at(traced, numbers, np.arange(size))
    rest = "bucket {}" if _is_hashed(numbers) else "{}"
    return tuple(rest.format(place) if words is None or words[place] is None else str(words[place]) for place in range(size))


def _behind(numbers: tf.Tensor) -> tf.Operation:
    """The operation that made the numbers, which were then only handed on."""
    while numbers.op.type in HANDED_ON and numbers.op.inputs:
        numbers = numbers.op.inputs[0]
    return numbers.op


def _edges(numbers: tf.Tensor) -> list[float] | None:
    operation = _behind(numbers)
    return list(operation.get_attr("boundaries")) if operation.type == "Bucketize" else None


def _bins(edges: list[float]) -> tuple[str, ...]:
    inner = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(edges)]
    return (f"below {edges[0]:g}", *inner, f"{edges[-1]:g} and above")


def _is_hashed(numbers: tf.Tensor) -> bool:
    """Whether numbers are hash buckets, of one column or of several that were crossed."""
    waiting, seen = [numbers], set()
    while waiting:
        operation = waiting.pop().op
        if operation.name in seen or operation.type in SHAPES:
            continue
        seen.add(operation.name)
        if operation.type in BUCKETS or operation.type in ("SparseCross", "SparseCrossHashed", "SparseCrossV2"):
            return True
        waiting.extend(tensor for tensor in operation.inputs if carries_ids(tensor))
    return False
