"""Inputs that say which positions are there: masks that take the others out of a softmax or a maximum, or multiply by 0."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from .heads_and_lookups import SHAPES, Lookup, connected, find_lookups
from .parsed import AS_THEY_ARE
from .trace import Traced

# Operations in which a position that a large number was added to does not count.
CHOOSING = frozenset({"Softmax", "LogSoftmax", "Max", "Min"})
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
# Operations that compare lengths with positions.
COMPARED = frozenset({"Less", "LessEqual", "Greater", "GreaterEqual"})
# A factor from which on what is added to scores takes positions out: masks have 1e4, 1e9 and more, and no score is as large.
TAKEN_OUT = 1e3


def is_mask(traced: Traced, key: Any, name: str, lookups: Iterable[Lookup]) -> bool:
    """Whether an input is a mask or a number of positions, and no quantity, although it is or becomes float."""
    if is_attention_mask(traced, key) or is_lengths(traced, key):
        return True
    tensor = traced.inputs[key]
    return is_called_mask(traced, key, name) and (_multiplies(traced, [key], tensor, lookups) or _logarithm(tensor))


def masks_others(traced: Traced, keys: Iterable[Any], tensor: tf.Tensor, lookups: Iterable[Lookup]) -> bool:
    """Whether what a comparison of inputs came to, such as `positions < lengths`, is a mask of what follows from others."""
    return _takes_out(tensor) or _logarithm(tensor) or _multiplies(traced, list(keys), tensor, lookups)


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
    compared = [user for user in _users(tensor, AS_THEY_ARE) if user.type in COMPARED]
    return any(_counts_up(one) for user in compared for one in user.inputs)


def _counts_up(tensor: tf.Tensor) -> bool:
    """Whether a tensor holds the whole numbers from 0 or 1 on."""
    while tensor.op.type in AS_THEY_ARE:
        tensor = tensor.op.inputs[0]
    if tensor.op.type == "Range":
        return True
    values = tf.get_static_value(tensor) if tensor.op.type == "Const" else None
    return values is not None and values.size > 1 and np.array_equal(values.ravel() - values.ravel()[0], np.arange(values.size))


def is_of_positions(traced: Traced, key: Any, name: str) -> bool:
    """Whether an input that is not float says so, and has a truth for each position of vectors that are another input, such as
    points of a cloud. Flags of a table stand beside columns, which are no vectors."""
    return is_called_mask(traced, key, name) and bool(_beside(traced, [key], traced.inputs[key]))


def _beside(traced: Traced, keys: list, tensor: tf.Tensor) -> list[tf.Tensor]:
    """The float inputs other than `keys` that are vectors at the positions of a tensor, with an axis more."""
    sizes = _of_positions(tensor)
    floats = [one for key, one in traced.inputs.items() if key not in keys and one.dtype.is_floating and one.shape.rank]
    return [
        one
        for one in floats
        if len(sizes) > 1 and one.shape.rank > len(sizes) and one.shape[1 : len(sizes)].is_compatible_with(sizes[1:])
    ]


def _of_positions(tensor: tf.Tensor) -> list:
    """The sizes of a mask, without the axes that are there to spread it over vectors; of a flag of an example that is one."""
    sizes = [] if tensor.shape.rank is None else tensor.shape.as_list()
    while sizes and sizes[-1] == 1:
        sizes.pop()
    return sizes


def _multiplies(traced: Traced, keys: list, tensor: tf.Tensor, lookups: Iterable[Lookup]) -> bool:
    """Whether vectors that are looked up or given by an input other than `keys`, or what follows from them, are multiplied by a
    tensor, as in `h * cast(mask)[..., None]`."""
    if len(_of_positions(tensor)) < 2:
        return False
    words = [lookup.tensor for lookup in lookups if not set(keys) & set(lookup.inputs)]
    vectors = words + _beside(traced, keys, tensor)
    products = [user for user in _users(tensor, SPREADING) if user.type == "Mul"]
    return any(connected(vector, product.inputs) for product in products for vector in vectors)


def is_attention_mask(traced: Traced, key: Any) -> bool:
    """Whether an input is made into a large number that is added to the scores of attention, or put in their places, as in
    `softmax(scores + (1 - mask) * -1e9)` and `softmax(where(mask == 1, scores, -1e9))`, or in front of a maximum: between there
    and not there nothing is meant by such a number. Scores follow from other inputs: a number on a scale of thousands that
    alone makes a softmax is none."""
    tensor = traced.inputs[key]
    if not tensor.dtype.is_floating:
        return _takes_out(tensor)
    others = [other for one, other in traced.inputs.items() if one != key]
    return any(connected(other, choice.inputs[:1]) for choice in _choices(tensor) for other in others)


def _takes_out(tensor: tf.Tensor) -> bool:
    return bool(_choices(tensor))


def _choices(tensor: tf.Tensor) -> list[tf.Operation]:
    """The softmaxes and maxima in which positions do not count for the large number that a mask becomes."""
    return [choice for product in _large(tensor) for choice in _chosen(product)]


def _logarithm(tensor: tf.Tensor) -> bool:
    """Whether the logarithm of a mask is added to scores, as in `softmax(scores + log(mask + 1e-9))`."""
    logarithms = [user for user in _users(tensor, ON_THE_WAY) if user.type in ("Log", "Log1p")]
    return any(_chosen(one.outputs[0]) for one in logarithms)


def _large(tensor: tf.Tensor) -> list[tf.Tensor]:
    """The products of what a mask becomes with large constants, and what it chooses between these and others."""
    found = []
    for user in _users(tensor, ON_THE_WAY):
        factors = [tf.get_static_value(one) for one in user.inputs] if user.type in ("Mul", "Select", "SelectV2") else []
        if any(factor is not None and np.max(np.abs(factor), initial=0) >= TAKEN_OUT for factor in factors):
            found.append(user.outputs[0])
    return found


def _chosen(tensor: tf.Tensor) -> list[tf.Operation]:
    return [user for user in _users(tensor, TO_THE_SOFTMAX) if user.type in CHOOSING]


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
