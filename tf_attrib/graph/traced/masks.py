"""Inputs that say which positions are there: masks that take the others out of a softmax, or multiply their vectors by 0."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from .heads_and_lookups import SHAPES, Lookup, connected, find_lookups
from .trace import Traced

# Operations between what is added to the scores of attention and their softmax.
TO_THE_SOFTMAX = frozenset(
    {"AddV2", "Cast", "ExpandDims", "Identity", "Maximum", "Neg", "Reshape", "StridedSlice", "Sub", "Transpose"}
)
# And those that a mask passes before: comparisons, 1 - mask, the masks of two ways as one.
ON_THE_WAY = TO_THE_SOFTMAX | {
    "BroadcastTo",
    "Equal",
    "Greater",
    "LogicalAnd",
    "LogicalNot",
    "Minimum",
    "Mul",
    "NotEqual",
    "Pack",
    "Squeeze",
    "Tile",
}
# Operations by which a mask is spread over the vectors that it multiplies.
SPREADING = frozenset(
    {
        *("BroadcastTo", "Cast", "ExpandDims", "Identity", "Reshape", "Squeeze", "StridedSlice", "Tile"),
        *("Equal", "Greater", "LogicalAnd", "LogicalNot", "NotEqual"),
    }
)
# Operations that hand lengths on, in another shape or type, and that compare them with positions.
HANDED_ON = frozenset({"Cast", "ExpandDims", "Identity", "Reshape", "Squeeze", "StridedSlice"})
COMPARED = frozenset({"Less", "LessEqual", "Greater", "GreaterEqual"})
# A factor from which on what is added to scores takes positions out: masks have 1e4, 1e9 and more, and no score is as large.
TAKEN_OUT = 1e3


def is_mask(traced: Traced, key: Any, name: str, lookups: Iterable[Lookup]) -> bool:
    """Whether an input that is not float is a mask, and no quantity, although it becomes float."""
    called = is_called_mask(traced, key, name) and _multiplies(traced, key, lookups)
    return called or is_attention_mask(traced, key) or is_lengths(traced, key)


def is_called_mask(traced: Traced, key: Any, name: str) -> bool:
    """Whether an input that is not float says so by its type or its name, as `padding_mask` of keras_hub does. By what is done
    with them, counts of words cannot be told from masks."""
    tensor = traced.inputs[key]
    return tensor.dtype == tf.bool or (tensor.dtype.is_integer and "mask" in name.lower())


def is_lengths(traced: Traced, key: Any) -> bool:
    """Whether an integer input says how many positions of a sequence are there: it is compared with the numbers of all
    positions, as in `tf.sequence_mask`. Bins are compared with other numbers, and a table has no positions."""
    tensor = traced.inputs[key]
    vectors = [lookup.tensor for lookup in find_lookups(traced)] + [
        one for one in traced.inputs.values() if one.dtype.is_floating
    ]
    if not any((vector.shape.rank or 0) > 2 for vector in vectors):
        return False
    if not tensor.dtype.is_integer or tensor.shape.rank is None or any(size != 1 for size in tensor.shape[1:]):
        return False
    compared = [user for user in _users(tensor, HANDED_ON) if user.type in COMPARED]
    return any(_counts_up(one) for user in compared for one in user.inputs)


def _counts_up(tensor: tf.Tensor) -> bool:
    """Whether a tensor holds the whole numbers from 0 or 1 on."""
    while tensor.op.type in HANDED_ON:
        tensor = tensor.op.inputs[0]
    if tensor.op.type == "Range":
        return True
    values = tf.get_static_value(tensor) if tensor.op.type == "Const" else None
    return values is not None and values.size > 1 and np.array_equal(values.ravel() - values.ravel()[0], np.arange(values.size))


def is_of_positions(traced: Traced, key: Any, name: str) -> bool:
    """Whether an input that is not float says so, and has a truth for each position of vectors that are another input, such as
    points of a cloud. Flags of a table stand beside columns, which are no vectors."""
    return is_called_mask(traced, key, name) and bool(_beside(traced, key))


def _beside(traced: Traced, key: Any) -> list[tf.Tensor]:
    """The float inputs that are vectors at the positions of another input."""
    positions = traced.inputs[key].shape
    floats = [one for one in traced.inputs.values() if one.dtype.is_floating and one.shape.rank and (positions.rank or 0) > 1]
    return [one for one in floats if one.shape.rank > positions.rank and one.shape[1 : positions.rank] == positions[1:]]


def _multiplies(traced: Traced, key: Any, lookups: Iterable[Lookup]) -> bool:
    """Whether looked-up vectors or those of an input, or what follows from them, are multiplied with an input, as in
    `h * cast(mask)[..., None]`."""
    vectors = [lookup.tensor for lookup in lookups if key not in lookup.inputs] + _beside(traced, key)
    products = [user for user in _users(traced.inputs[key], SPREADING) if user.type == "Mul"]
    return any(connected(vector, product.inputs) for product in products for vector in vectors)


def is_attention_mask(traced: Traced, key: Any) -> bool:
    """Whether an integer input is made into a large number that is added to the scores of attention, or put in their places, as
    in `softmax(scores + (1 - mask) * -1e9)` and `softmax(where(mask == 1, scores, -1e9))`: between there and not there nothing
    is meant by such a number."""
    return any(_leads_to_softmax(product) for product in _large(traced.inputs[key]))


def _large(tensor: tf.Tensor) -> list[tf.Tensor]:
    """The products of what a mask becomes with large constants, and what it chooses between these and others."""
    found = []
    for user in _users(tensor, ON_THE_WAY):
        factors = [tf.get_static_value(one) for one in user.inputs] if user.type in ("Mul", "Select", "SelectV2") else []
        if any(factor is not None and np.max(np.abs(factor), initial=0) >= TAKEN_OUT for factor in factors):
            found.append(user.outputs[0])
    return found


def _leads_to_softmax(tensor: tf.Tensor) -> bool:
    return any(user.type == "Softmax" for user in _users(tensor, TO_THE_SOFTMAX))


def _users(tensor: tf.Tensor, through: frozenset) -> list[tf.Operation]:
    """The operations that take `tensor`, or what those of the kinds `through` make of it."""
    waiting, seen, found = [tensor], set(), []
    while waiting:
        for user in waiting.pop().consumers():
            if user.name in seen or user.type in SHAPES:
                continue
            seen.add(user.name)
            found.append(user)
            waiting += user.outputs if user.type in through else []
    return found
