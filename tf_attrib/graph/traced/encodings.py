"""Encodings of inputs that have no gradient: bins, hashes, vocabularies and crossings as the float tensors that carry them; and
the features that are read out of serialized examples."""

import dataclasses
from typing import Any

import tensorflow as tf

from .heads_and_lookups import SHAPES, connected, only_ids
from .trace import Traced

# Operations that put a category into a vector. Behind these an input is a category, whatever else is computed from it; a mask,
# which compares with a number, is none.
ENCODERS = frozenset({"OneHot", "DenseBincount", "RaggedBincount", "SparseBincount", "Bincount"})
# Operations that read features out of a `tf.train.Example`, each of which is an input of its own.
PARSERS = frozenset({"ParseExample", "ParseExampleV2"})


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
        for tensor, encoder, feature in _boundary(traced, key, key in encoders_alone, ids, fetches):
            if not connected(tensor, fetches):
                continue
            known = found.get(tensor.ref())
            inputs = () if known is None else known.inputs
            # several ways may lead from one input to one encoding
            found[tensor.ref()] = Encoding(tensor, tuple(dict.fromkeys((*inputs, key))), encoder, feature)
    return list(found.values())


def _boundary(
    traced: Traced, key: Any, encoders_alone: bool, ids: list[tf.Tensor], fetches: list[tf.Tensor]
) -> list[tuple[tf.Tensor, tf.Operation | None, str | None]]:
    """The first float tensors behind what is not float, each with the encoder that is passed on the way there, and the feature
    of serialized examples that it is.

    Where a category only chooses among floats that other inputs lead to, as in a gather or a `where`, there is none. A float
    that comes to the output by way of integers or conditions alone, as the length that a mask is counted to, is passed by.
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
            for number, output in enumerate(user.outputs):
                own, only = (features[number], connected(output, ids)) if number in features else (feature, alone)
                if not output.dtype.is_floating or only_ids(output) or _only_counts(output, fetches):
                    waiting.append((output, passed, own, only))
                elif not is_number and (passed is not None or not only) and not _chosen(traced, user):
                    found.append((output, passed, own))
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


def _chosen(traced: Traced, operation: tf.Operation) -> bool:
    """Whether an operation computes with floats that come from the model's inputs: its output is no encoding of the others."""
    floats = [tensor for tensor in operation.inputs if tensor.dtype.is_floating and not only_ids(tensor)]
    return bool(floats) and any(connected(source, floats) for source in traced.inputs.values())
