"""Integer inputs that are masks of attention: numbers by which positions are taken out of a softmax."""

from typing import Any

import numpy as np
import tensorflow as tf

from .heads_and_lookups import SHAPES
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
# A factor from which on what is added to scores takes positions out: masks have 1e4, 1e9 and more, and no score is as large.
TAKEN_OUT = 1e3


def is_attention_mask(traced: Traced, key: Any) -> bool:
    """Whether an integer input is made into a large number that is added to the scores of attention, as in
    `softmax(scores + (1 - mask) * -1e9)`: between there and not there nothing is meant by such a number."""
    return any(_leads_to_softmax(product) for product in _large(traced.inputs[key]))


def _large(tensor: tf.Tensor) -> list[tf.Tensor]:
    """The products of what a mask becomes with large constants."""
    found = []
    for user in _users(tensor, ON_THE_WAY):
        factors = [tf.get_static_value(one) for one in user.inputs] if user.type == "Mul" else []
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
