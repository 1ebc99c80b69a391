"""Features that a model reads out of serialized `tf.train.Example`s: which operations read them, and what they are called."""

from typing import Any

import tensorflow as tf

from .tables import GATHERS, PASS, SHAPES, ancestors

# Operations that read features out of a `tf.train.Example`.
PARSERS = frozenset({"ParseExample", "ParseExampleV2"})
# Operations that split each text of a batch into words or letters, those of all texts in one list: the second output.
SPLITTERS = frozenset({"StringSplit", "StringSplitV2", "UnicodeDecode", "UnicodeDecodeWithOffsets"})
# What hands numbers on, in another shape or type; and which input it is that is made dense.
AS_THEY_ARE = frozenset(("Cast", "ExpandDims", "Identity", "Reshape", "Squeeze", "StridedSlice"))
MADE_DENSE = {"SparseToDense": 2, "RaggedTensorToTensor": 1}
# Operations that find the number of each word, by the position of the words.
NUMBERED = {"LookupTableFind": 1, "LookupTableFindV2": 1, "StringToHashBucket": 0, "StringToHashBucketFast": 0}


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


def unfixed(operation: tf.Operation) -> dict[int, str]:
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


def features_behind(tensor: tf.Tensor) -> tuple[str, ...]:
    """The names of the features whose values `tensor` is computed from, in the order in which they are read; none where no
    examples are. What only says which values are kept, such as weights that are not 0, is none."""
    waiting, seen, found = [tensor], set(), {}
    while waiting:
        one = waiting.pop()
        if one.ref() in seen or one.op.type in SHAPES:
            continue
        seen.add(one.ref())
        if one.op.type in PARSERS:
            # where values of no fixed number stand, and how many there are, is no feature
            named = dense_features(one.op) | unfixed(one.op)
            if one.value_index in named:
                found[one.op.name, one.value_index] = named[one.value_index]
        elif one.op.type in GATHERS and _is_of_examples(one.op.inputs[0]):
            waiting.append(one.op.inputs[0])
        else:
            waiting.extend(one.op.inputs)
    return tuple(dict.fromkeys(found[place] for place in sorted(found)))


def _is_of_examples(tensor: tf.Tensor) -> bool:
    """Whether anything that is read out of examples leads to `tensor`."""
    return any(operation.type in PARSERS for operation in ancestors([tensor]))


def is_read(tensor: tf.Tensor) -> bool:
    """Whether a tensor is what was read out of examples, in another shape or type at most."""
    while tensor.op.type in AS_THEY_ARE or tensor.op.type in MADE_DENSE:
        tensor = tensor.op.inputs[MADE_DENSE.get(tensor.op.type, 0)]
    return tensor.op.type in PARSERS


def is_flat(ids: tf.Tensor) -> bool:
    """Whether ids are those of all examples in one list, as the values of sparse and ragged features and words are."""
    while ids.shape.rank == 1:
        operation = ids.op
        if operation.type in PARSERS:
            return ids.value_index in unfixed(operation)
        if operation.type in SPLITTERS:
            return ids.value_index == 1
        if operation.type in ("Select", "SelectV2"):
            ids = operation.inputs[2]
        elif operation.type in PASS or operation.type in NUMBERED:
            ids = operation.inputs[NUMBERED.get(operation.type, 0)]
        else:
            return False
    return False


def _as_text(name: Any) -> str:
    name = name.item() if hasattr(name, "item") else name
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
