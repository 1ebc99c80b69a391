"""Encodings of inputs that have no gradient: bins, hashes, vocabularies and crossings as the float tensors that carry them."""

import dataclasses
from typing import Any

import tensorflow as tf

from .heads_and_lookups import SHAPES, connected, only_ids
from .trace import Traced

# Operations that put a category into a vector. Behind these an input is a category, whatever else is computed from it; a mask,
# which compares with a number, is none.
ENCODERS = frozenset({"OneHot", "DenseBincount", "RaggedBincount", "SparseBincount", "Bincount"})


@dataclasses.dataclass(frozen=True, eq=False)
class Encoding:
    """A float tensor from which no gradient leads further back.

    Attributes:
        tensor: (batch, ...), such as (batch, categories).
        inputs: keys of the model's inputs that it is computed from: one column, or those that were crossed.
        encoder: the operation that put a category into a vector; None where values were only cast.
    """

    tensor: tf.Tensor
    inputs: tuple
    encoder: tf.Operation | None


def find_encodings(traced: Traced, keys: list, fetches: list[tf.Tensor], encoders_alone: list) -> list[Encoding]:
    """The encodings of the inputs `keys` that the tensors `fetches` are computed from, each once.

    Args:
        encoders_alone: those of the keys whose encodings count only behind an encoder, since they are attributed to elsewhere:
            in front of it as floats, or at their embeddings. What else they become is a mask.
    """
    found: dict[Any, Encoding] = {}
    for key in keys if traced.called is None else ():  # of a model that is called, operations are not there to be followed
        for tensor, encoder in _boundary(traced, key, key in encoders_alone):
            if not connected(tensor, fetches):
                continue
            known = found.get(tensor.ref())
            inputs = () if known is None else known.inputs
            # several ways may lead from one input to one encoding
            found[tensor.ref()] = Encoding(tensor, tuple(dict.fromkeys((*inputs, key))), encoder)
    return list(found.values())


def _boundary(traced: Traced, key: Any, encoders_alone: bool) -> list[tuple[tf.Tensor, tf.Operation | None]]:
    """The first float tensors behind what is not float, each with the encoder that is passed on the way there.

    Where a category only chooses among floats that other inputs lead to, as in a gather or a `where`, there is none.
    """
    waiting, seen, found = [(traced.inputs[key], None)], set(), []
    while waiting:
        tensor, encoder = waiting.pop()
        if tensor.ref() in seen:
            continue
        seen.add(tensor.ref())
        is_number = tensor.dtype.is_floating and not only_ids(tensor)
        for user in tensor.consumers():
            if user.type in SHAPES:
                continue
            passed = user if user.type in ENCODERS else encoder
            for output in user.outputs:
                if not output.dtype.is_floating or only_ids(output):  # cast to float on the way, and back
                    waiting.append((output, passed))
                elif not is_number and (passed is not None or not encoders_alone) and not _chosen(traced, user):
                    found.append((output, passed))
    return found


def _chosen(traced: Traced, operation: tf.Operation) -> bool:
    """Whether an operation computes with floats that come from the model's inputs: its output is no encoding of the others."""
    floats = [tensor for tensor in operation.inputs if tensor.dtype.is_floating and not only_ids(tensor)]
    return bool(floats) and any(connected(source, floats) for source in traced.inputs.values())
