"""Which tensors of a graph are the same for every row: what follows from constants and variables alone."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

# What gives the same for every row where all its inputs do.
SAME = frozenset(
    (
        *("Add", "AddV2", "Maximum", "Minimum", "Mul", "Neg", "RealDiv", "Reciprocal", "Rsqrt", "Sqrt", "Square", "Sub"),
        *("Cast", "ConcatV2", "Const", "ExpandDims", "Identity", "Pack", "Placeholder", "ReadVariableOp", "Reshape", "Squeeze"),
        "Transpose",
    )
)
# What they give, of arrays, and their operation; others are not computed.
NUMBERS: dict[str, Callable[..., Any]] = {
    "Add": lambda op, a, b: a + b,
    "AddV2": lambda op, a, b: a + b,
    "Identity": lambda op, a: a,
    "Mul": lambda op, a, b: a * b,
    "Neg": lambda op, a: -a,
    "RealDiv": lambda op, a, b: a / b,
    "Reciprocal": lambda op, a: 1 / a,
    "Reshape": lambda op, a, shape: a.reshape(shape),
    "Rsqrt": lambda op, a: 1 / np.sqrt(a),
    "Sqrt": lambda op, a: np.sqrt(a),
    "Square": lambda op, a: a * a,
    "Sub": lambda op, a, b: a - b,
    "Cast": lambda op, a: a.astype(op.outputs[0].dtype.as_numpy_dtype),
    "Const": lambda op: tf.make_ndarray(op.get_attr("value")),
    "ExpandDims": lambda op, a, axis: np.expand_dims(a, int(axis)),
    "Transpose": lambda op, a, order: np.transpose(a, order),
}


class Same:
    """Whether tensors are the same for every row: all that does not follow from the tensors `fed`, which differ."""

    def __init__(self, fed: Iterable[tf.Tensor]) -> None:
        self._known: dict = dict.fromkeys((tensor.ref() for tensor in fed), False)
        self._now: dict = {}
        self._outer: dict | None = None

    def __call__(self, tensor: tf.Tensor) -> bool:
        if tensor.ref() not in self._known:
            operation = tensor.op
            self._known[tensor.ref()] = (
                operation.type in SAME and not operation.control_inputs and all(map(self, operation.inputs))
            )
        return self._known[tensor.ref()]

    def now(self, tensor: tf.Tensor) -> np.ndarray | None:
        """What a tensor that is the same for every row is at this time, or None where it is not known: variables may change."""
        if tensor.ref() not in self._now:
            self._now[tensor.ref()] = self._computed(tensor)
        return self._now[tensor.ref()]

    def _computed(self, tensor: tf.Tensor) -> np.ndarray | None:
        operation = tensor.op
        if operation.type in ("Placeholder", "ReadVariableOp"):
            return self._captured(operation)
        if operation.type not in NUMBERS:
            return None
        given = [self.now(one) for one in operation.inputs]
        with np.errstate(all="ignore"):
            return None if any(one is None for one in given) else NUMBERS[operation.type](operation, *given)

    def _captured(self, operation: tf.Operation) -> np.ndarray | None:
        """The value of a variable, or of an array, that the graph captured."""
        reads = operation.type == "ReadVariableOp"
        inner = operation.inputs[0] if reads else operation.outputs[0]
        if self._outer is None:
            self._outer = {one.ref(): outer for outer, one in inner.graph.captures}
        outer = self._outer.get(inner.ref())
        if outer is None or not hasattr(outer, "numpy"):  # a graph's own tensor
            return None
        with tf.init_scope():
            found = tf.raw_ops.ReadVariableOp(resource=outer, dtype=operation.outputs[0].dtype) if reads else outer
            return found.numpy() if found.dtype != tf.resource else None
