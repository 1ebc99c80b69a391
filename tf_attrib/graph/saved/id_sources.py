"""What the ids of an embedding lookup were made from: strings in hash buckets, keys in tables, which are live and asked."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from ..traced.heads_and_lookups import PASS, SHAPES, ancestors, carries_ids, passed
from ..traced.trace import Traced
from .text_and_tables import BUCKETS, FINDS

# Operations that fill sequences of different lengths up.
RAGGED = frozenset({"RaggedTensorToTensor"})
# Operations that compute each id from the one in its place.
ELEMENTWISE = PASS | {"Add", "AddV2", "Sub", "Mul", "FloorMod", "Maximum", "Minimum", "Select", "SelectV2"}
# Operations that compute an id from others: what comes out is in no table that is asked in front of them.
COMPUTING = frozenset(
    (
        *("Add", "AddN", "AddV2", "Cumsum", "MatMul", "Mul", "Neg", "Prod", "Sub", "Sum"),
        *("Div", "FloorDiv", "FloorMod", "Mod", "TruncateDiv", "TruncateMod"),
        *("BitwiseAnd", "BitwiseOr", "BitwiseXor", "LeftShift", "RightShift"),
        *("SparseCross", "SparseCrossHashed", "SparseCrossV2"),
    )
)
# What an unknown word is called, as in Keras.
UNKNOWN = "[UNK]"


@dataclasses.dataclass(frozen=True, eq=False)
class Buckets:
    """Strings in front of a lookup, and the ids that became of them, each in the same place."""

    strings: tf.Tensor
    ids: tf.Tensor


def origins(indices: tf.Tensor) -> list[tf.Operation]:
    """The tables and hash buckets that `indices` come from, those that come last only."""
    return list(dict.fromkeys(operation for operation, _ in _origins(indices)))


def computed(indices: tf.Tensor) -> set[tf.Operation]:
    """Those tables of `origins` whose ids are shifted, crossed or otherwise computed with before they are `indices`."""
    return {operation for operation, is_computed in _origins(indices) if is_computed and operation.type in FINDS}


def _origins(indices: tf.Tensor) -> list[tuple[tf.Operation, bool]]:
    """Each table and hash bucket, and whether ids are computed with on the way; both where several ways lead there."""
    waiting, seen, found = [(indices, False)], set(), []
    while waiting:
        tensor, is_computed = waiting.pop()
        if (tensor.ref(), is_computed) in seen or tensor.op.type in SHAPES or not carries_ids(tensor):
            continue
        seen.add((tensor.ref(), is_computed))
        if tensor.op.type in FINDS | BUCKETS:
            found.append((tensor.op, is_computed))
            continue
        computes = tensor.dtype != tf.bool and tensor.op.type in COMPUTING and not _is_masked(tensor.op)
        waiting.extend((one, is_computed or computes) for one in _chosen(tensor.op))
    return found


def _chosen(operation: tf.Operation) -> list[tf.Tensor]:
    """The inputs of an operation; of a choice that counts ids below 0 from the table's end, as Keras does, the ids alone."""
    given = list(operation.inputs)
    if operation.type not in ("Select", "SelectV2") or given[1].op.type not in ("Add", "AddV2"):
        return given
    return given[2:] if any(one is given[2] for one in given[1].op.inputs) else given


def _is_masked(operation: tf.Operation) -> bool:
    """Whether ids are multiplied by the zeros and ones of a mask."""
    return operation.type == "Mul" and any(passed(one).dtype == tf.bool for one in operation.inputs)


def buckets(indices: tf.Tensor) -> Buckets | None:
    """The strings that hash buckets in front of a lookup are given; None where there are none."""
    operation = next((one for one in origins(indices) if one.type in BUCKETS), None)
    if operation is None:
        return None
    strings, ids = operation.inputs[0], operation.outputs[0]
    between = {one.name for one in ancestors([indices], [ids])}
    while ids is not indices:
        users = [user for user in ids.consumers() if user.name in between and user.type in ELEMENTWISE]
        following = next((user.outputs[0] for user in users if user.outputs[0].dtype != tf.bool), None)
        if following is None:
            break
        ids = following
    # keys that a table knows are looked up beside the buckets; of integers, the strings are made before
    return Buckets(strings, ids)


def words_at(traced: Traced, indices: tf.Tensor, at: np.ndarray) -> np.ndarray | None:
    """The words of the table in front of a lookup at the indices `at`, None for those that it does not have.

    Returns:
        An array of objects in the shape of `at`; None where no table is in front, it cannot be read, or its ids are computed
        with before they are looked up.
    """
    others = computed(indices)
    tables = [(one, _captured(traced, one.inputs[0])) for one in origins(indices) if one.type in FINDS and one not in others]
    tables = [
        (one, handle)
        for one, handle in tables
        if handle is not None and handle.dtype == tf.resource and one.get_attr("Tout").is_integer
    ]
    if not tables:
        return None
    words = np.full(at.shape, None, dtype=object)
    for operation, handle in tables:
        keys, values = export_table(handle, operation.get_attr("Tin"), operation.get_attr("Tout"))
        order = np.argsort(values, kind="stable")
        if len(order):
            place = order[np.searchsorted(values, at, sorter=order).clip(0, len(order) - 1)]
            known = (values[place] == at) & np.equal(words, np.array(None, dtype=object))
            words[known] = [_text(key) for key in keys[place[known]]]
        unknown = _default(traced, operation)
        is_padding = unknown == 0 and any(one.type in RAGGED for one in ancestors([indices]))
        if unknown is not None and unknown >= 0 and not is_padding and unknown not in values:
            words[(at == unknown) & np.equal(words, np.array(None, dtype=object))] = UNKNOWN
    return words


def export_table(handle: Any, key_dtype: tf.DType, value_dtype: tf.DType) -> tuple[np.ndarray, np.ndarray]:
    """Keys and values of a live table."""
    exported = tf.raw_ops.LookupTableExportV2(table_handle=handle, Tkeys=key_dtype, Tvalues=value_dtype)
    return exported.keys.numpy(), exported.values.numpy()


def _captured(traced: Traced, tensor: tf.Tensor) -> tf.Tensor | None:
    """The live object that `tensor` stands for in the graph."""
    tensor = passed(tensor)
    return next((outer for outer, inner in traced.function.graph.captures if inner is tensor), None)


def _default(traced: Traced, operation: tf.Operation) -> int | None:
    """What a table gives for a key that it does not have."""
    tensor = operation.inputs[2]
    value = tf.get_static_value(tensor)
    if value is None:
        outer = _captured(traced, tensor)
        value = outer.numpy() if outer is not None and outer.dtype.is_integer else None
    return int(value) if value is not None and np.size(value) == 1 else None


def _text(key: Any) -> str:
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
