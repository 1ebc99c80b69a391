"""Encodings of inputs that have no gradient: bins, hashes, vocabularies and crossings as the float tensors that carry them."""

import dataclasses
from typing import Any

import tensorflow as tf

from ..graphdef.bodies import LOOPS
from .heads_and_lookups import SHAPES, connected, only_ids
from .parsed import PARSERS, dense_features, features_behind
from .tables import PASS
from .trace import Traced

# Operations that put a category into a vector. Behind these an input is a category, whatever else is computed from it; a mask,
# which compares with a number, is none.
ENCODERS = frozenset({"OneHot", "DenseBincount", "RaggedBincount", "SparseBincount", "Bincount"})
# Operations that make lists of tensors.
EMPTY = frozenset({"TensorListReserve", "EmptyTensorList"})
LISTS = EMPTY | {"TensorListFromTensor"}
# By type of operation, its outputs that say where words or letters stand, and how many there are, but not which: they make
# lengths and masks.
WHEREABOUTS = {"StringSplit": (0, 2), "StringSplitV2": (0, 2), "UnicodeDecode": (0,), "UnicodeDecodeWithOffsets": (0, 2)}


@dataclasses.dataclass(frozen=True, eq=False)
class Encoding:
    """A float tensor from which no gradient leads further back.

    Attributes:
        tensor: (batch, ...), such as (batch, categories).
        inputs: keys of the model's inputs that it is computed from: one column, or those that were crossed.
        encoder: the operation that put a category into a vector; None where values were only cast.
        features: the names of the features that it is, or was made of, where those were read out of serialized examples.
    """

    tensor: tf.Tensor
    inputs: tuple
    encoder: tf.Operation | None
    features: tuple[str, ...] = ()


def find_encodings(
    traced: Traced, keys: list, fetches: list[tf.Tensor], encoders_alone: list, ids: list[tf.Tensor]
) -> list[Encoding]:
    """The encodings of the inputs `keys` that the tensors `fetches` are computed from, each once.

    Args:
        encoders_alone: those of the keys whose encodings count only behind an encoder, since they are attributed to elsewhere:
            in front of it as floats, or at their embeddings. What else they become is a mask.
        ids: that are looked up: of serialized examples it is the features which lead there that are attributed to elsewhere.
    """
    found: dict[Any, Encoding] = {}
    for key in keys if traced.called is None else ():  # of a model that is called, operations are not there to be followed
        for tensor, encoder in _boundary(traced, key, key in encoders_alone, ids, fetches):
            if not connected(tensor, fetches):
                continue
            known = found.get(tensor.ref())
            inputs = () if known is None else known.inputs
            # several ways may lead from one input to one encoding
            found[tensor.ref()] = Encoding(tensor, tuple(dict.fromkeys((*inputs, key))), encoder, features_behind(tensor))
    return list(found.values())


def _boundary(
    traced: Traced, key: Any, encoders_alone: bool, ids: list[tf.Tensor], fetches: list[tf.Tensor]
) -> list[tuple[tf.Tensor, tf.Operation | None]]:
    """The first float tensors behind what is not float, each with the encoder that is passed on the way there; and what floats
    that are read out of serialized examples are encoded to.

    Where a category only chooses among floats that other inputs lead to, as in a gather or a `where`, there is none. A float
    that comes to the output by way of integers or conditions alone, as the length that a mask is counted to, is passed by.
    """
    waiting: list[tuple[tf.Tensor, Any, bool]] = [(traced.inputs[key], None, encoders_alone)]
    seen, found = set(), []
    while waiting:
        tensor, encoder, alone = waiting.pop()
        if tensor.ref() in seen:
            continue
        seen.add(tensor.ref())
        is_number = tensor.dtype.is_floating and not only_ids(tensor)
        for user in tensor.consumers():
            if user.type in SHAPES:
                continue
            passed, dense = user if user.type in ENCODERS else encoder, dense_features(user)
            with_floats = any(output.dtype.is_floating or output.dtype == tf.variant for output in user.outputs)
            chosen = with_floats and _chosen(traced, user, tensor)
            for number, output in enumerate(user.outputs):
                # a recurrent layer gives a list of what it computed from floats, of which its mask only chose
                if number in WHEREABOUTS.get(user.type, ()) or (chosen and output.dtype == tf.variant):
                    continue
                only = connected(output, ids) if number in dense else alone
                # cast to float on the way, and back
                if not output.dtype.is_floating or only_ids(output) or _only_counts(output, fetches):
                    waiting.append((output, passed, only))
                    continue
                if user.type in PARSERS:  # a number, which may be put into bins, too, and by these into a lookup
                    waiting.append((output, None, True))
                    only = number not in dense
                if not is_number and (passed is not None or not only) and not chosen:
                    found.append((output, passed))
    return found


def _only_counts(tensor: tf.Tensor, fetches: list[tf.Tensor]) -> bool:
    """Whether a float tensor leads to `fetches`, and none of the ways there is one of numbers all along."""
    waiting, seen, ends = [tensor], {tensor.ref()}, {fetch.ref() for fetch in fetches}
    while waiting:
        one = waiting.pop()
        if one.ref() in ends:
            return False
        for user in one.consumers() if one.op.type not in SHAPES else ():
            for output in user.outputs:
                if not (output.dtype.is_integer or output.dtype.is_bool) and output.ref() not in seen:
                    seen.add(output.ref())
                    waiting.append(output)
    return connected(tensor, fetches)


def _chosen(traced: Traced, operation: tf.Operation, followed: tf.Tensor) -> bool:
    """Whether an operation computes with floats that come from the model's inputs, other than by `followed`: its output is no
    encoding of that. A recurrent layer that has a mask is a loop over lists of them."""
    floats = [tensor for tensor in operation.inputs if tensor is not followed and _of_floats(tensor)]
    return bool(floats) and any(connected(source, floats) for source in traced.inputs.values())


def _of_floats(tensor: tf.Tensor) -> bool:
    """Whether a tensor holds floats that are no ids, or is a list of floats which is not empty yet."""
    if tensor.dtype != tf.variant:
        return tensor.dtype.is_floating and not only_ids(tensor)
    filled = tensor.op.type in LOOPS
    while tensor.op.type in LOOPS | PASS:
        tensor = tensor.op.inputs[tensor.value_index]
    if tensor.op.type not in LISTS:
        return True
    return tensor.op.get_attr("element_dtype").is_floating and (filled or tensor.op.type not in EMPTY)
