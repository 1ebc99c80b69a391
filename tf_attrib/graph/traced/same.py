"""Which tensors of a graph are the same for every row: what follows from constants and variables alone."""

from collections.abc import Iterable

import tensorflow as tf

# What gives the same for every row where all its inputs do.
SAME = frozenset(
    (
        *("Add", "AddV2", "Maximum", "Minimum", "Mul", "Neg", "RealDiv", "Reciprocal", "Rsqrt", "Sqrt", "Square", "Sub"),
        *("Cast", "ConcatV2", "Const", "ExpandDims", "Identity", "Pack", "Placeholder", "ReadVariableOp", "Reshape", "Squeeze"),
        "Transpose",
    )
)


class Same:
    """Whether tensors are the same for every row: all that does not follow from the tensors `fed`, which differ."""

    def __init__(self, fed: Iterable[tf.Tensor]) -> None:
        self._known: dict = dict.fromkeys((tensor.ref() for tensor in fed), False)

    def __call__(self, tensor: tf.Tensor) -> bool:
        if tensor.ref() not in self._known:
            operation = tensor.op
            self._known[tensor.ref()] = (
                operation.type in SAME and not operation.control_inputs and all(map(self, operation.inputs))
            )
        return self._known[tensor.ref()]
