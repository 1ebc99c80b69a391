"""Encodings of inputs that have no gradient: bins, hashes, vocabularies and crossings as the float tensors that carry them; and
the features that are read out of serialized examples."""

import dataclasses
from typing import Any

import tensorflow as tf

from ..graphdef.bodies import LOOPS
from .heads_and_lookups import SHAPES, connected, only_ids
from .tables import PASS
from .trace import Traced

# Operations that put a category into a vector. Behind these an input is a category, whatever else is computed from it; a mask,
# which compares with a number, is none.
ENCODERS = frozenset({"OneHot", "DenseBincount", "RaggedBincount", "SparseBincount", "Bincount"})
# Operations that read features out of a `tf.train.Example`, each of which is an input of its own.
PARSERS = frozenset({"ParseExample", "ParseExampleV2"})
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
        feature: the name of the feature that it is, or was made of, where that was read out of serialized examples.
    """

    tensor: tf.Tensor
    inputs: tuple
    encoder: tf.Operation | None
    feature: str | None = None


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
        for tensor, encoder, feature in _boundary(traced, key, key in encoders_alone, ids):
            if not connected(tensor, fetches):
                continue
            known = found.get(tensor.ref())
            inputs = () if known is None else known.inputs
            # several ways may lead from one input to one encoding
            found[tensor.ref()] = Encoding(tensor, tuple(dict.fromkeys((*inputs, key))), encoder, feature)
    return list(found.values())


def _boundary(
    traced: Traced, key: Any, encoders_alone: bool, ids: list[tf.Tensor]
) -> list[tuple[tf.Tensor, tf.Operation | None, str | None]]:
    """The first float tensors behind what is not float, each with the encoder that is passed on the way there, and the feature
    of serialized examples that it is.

    Where a category only chooses among floats that other inputs lead to, as in a gather or a `where`, there is none.
    """
    waiting: list[tuple[tf.Tensor, Any, str | None, bool]] = [(traced.inputs[key], None, None, encoders_alone)]
    seen, found = set(), []
    while waiting:
        tensor, encoder, feature, alone = waiting.pop()
        if tensor.ref() in seen:
            continue
        seen.add(tensor.ref())
        is_number = tensor.dtype.is_floating and not only_ids(tensor)
        for user in tensor.consumers():
            if user.type in SHAPES:
                continue
            passed = user if user.type in ENCODERS else encoder
            features = _features(user)
            with_floats = any(output.dtype.is_floating or output.dtype == tf.variant for output in user.outputs)
            chosen = with_floats and _chosen(traced, user, tensor)
            for number, output in enumerate(user.outputs):
                own, only = (features[number], connected(output, ids)) if number in features else (feature, alone)
                # a recurrent layer gives a list of what it computed from floats, of which its mask only chose
                if number in WHEREABOUTS.get(user.type, ()) or (chosen and output.dtype == tf.variant):
                    continue
                if not output.dtype.is_floating or only_ids(output):  # cast to float on the way, and back
                    waiting.append((output, passed, own, only))
                elif not is_number and (passed is not None or not only) and not chosen:
                    found.append((output, passed, own))
    return found


def _features(operation: tf.Operation) -> dict[int, str]:
    """The names of the dense features that an operation reads out of serialized examples, by the number of its output."""
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


def unfixed_features(traced: Traced, keys: list, fetches: list[tf.Tensor], stop: list[tf.Tensor]) -> list[str]:
    """The names of the sparse and ragged float features which are read out of the inputs `keys`, that are serialized examples,
    and lead to the output other than through a tensor in `stop`. Their values are of no one example, row by row."""
    parsers = {
        operation.name: operation
        for operation in (traced.inputs[keys[0]].graph.get_operations() if keys and traced.called is None else ())
        if operation.type in PARSERS and any(connected(traced.inputs[key], operation.inputs) for key in keys)
    }
    found = [
        name
        for operation in parsers.values()
        for number, name in _unfixed(operation).items()
        if operation.outputs[number].dtype.is_floating and connected(operation.outputs[number], fetches, stop)
    ]
    return list(dict.fromkeys(found))


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
