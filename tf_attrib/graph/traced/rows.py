"""Which tensors of a graph have as many rows as others, where shapes leave open how many.

The gradient of `x * y` is summed over the axes along which one of both was repeated. Where shapes say too little, TensorFlow
finds out when it runs: seven operations for each such product, a third of all in the gradient of a transformer.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from ...common.types import present
from .kinds import ALONE, BESIDE, REDUCING

# The derivatives of operations of two tensors at each of them, as TensorFlow computes them.
DERIVATIVES: dict[str, tuple[Callable, Callable]] = {
    "Add": (lambda x, y, upstream: upstream, lambda x, y, upstream: upstream),
    "AddV2": (lambda x, y, upstream: upstream, lambda x, y, upstream: upstream),
    "Sub": (lambda x, y, upstream: upstream, lambda x, y, upstream: -upstream),
    "Mul": (lambda x, y, upstream: upstream * y, lambda x, y, upstream: x * upstream),
    "RealDiv": (lambda x, y, upstream: upstream / y, lambda x, y, upstream: upstream * (-x / y / y)),
    "SquaredDifference": (
        lambda x, y, upstream: 2 * upstream * (x - y),
        lambda x, y, upstream: -(2 * upstream * (x - y)),
    ),
}
# What works on each row alone, whatever is in the row.
EACH = frozenset(
    (
        *ALONE,
        *("AvgPool", "AvgPool3D", "BiasAdd", "Conv2D", "Conv3D", "DepthwiseConv2dNative", "FusedBatchNormV3", "LRN", "MaxPool"),
        *("MaxPool3D", "ResizeBilinear", "ResizeNearestNeighbor"),
    )
)
REDUCED = frozenset({"Mean", "Sum"})
PRODUCTS = frozenset({"BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"})
PADS = frozenset({"MirrorPad", "Pad", "PadV2"})
CHOICES = frozenset({"Select", "SelectV2", "Equal", "Greater", "GreaterEqual", "Less", "LessEqual", "LogicalAnd", "NotEqual"})


class Rows:
    """How many rows tensors have, as a multiple of those of the tensors `fed`; 0 where that is not known.

    Operations are looked at in the order of their graph, in which what they need stands before them.
    """

    def __init__(self, fed: Iterable[tf.Tensor]) -> None:
        self._known = {tensor.ref(): 1 for tensor in fed if tensor.shape.rank and tensor.shape[0] is None}

    def __call__(self, tensor: tf.Tensor) -> int:
        return self._known.get(tensor.ref(), 0)

    def look(self, operation: tf.Operation) -> None:
        """Notes how many rows the outputs of an operation have."""
        several = operation.type == "IdentityN"
        for place, output in enumerate(operation.outputs if several else operation.outputs[:1]):
            if output.shape.rank and output.shape[0] is None:
                found = self(operation.inputs[place]) if several else self._rows(operation, output)
                self._known |= {output.ref(): found} if found else {}

    def tells(self, operation: tf.Operation) -> bool:
        """Whether shapes and rows say all that the gradient of an operation asks for: along which axes it repeats which of its
        inputs, or how many entries it reduces to one."""
        if operation.type not in DERIVATIVES and operation.type not in PRODUCTS | REDUCED:
            return False
        x, y = operation.inputs
        if not x.dtype.is_floating or None in (x.shape.rank, y.shape.rank):
            return False
        if operation.type in REDUCED:
            axes = _axes(y, x)
            return bool(axes) and 0 not in axes and all(x.shape[axis] for axis in axes)
        sizes = _aligned(x, y)[: -2 if operation.type in PRODUCTS else None]
        same = x.shape.rank == y.shape.rank and self(x) == self(y) > 0
        return all(_known(*pair) or (same and axis == 0) for axis, pair in enumerate(sizes))

    def _rows(self, operation: tf.Operation, output: tf.Tensor) -> int:
        kind, inputs = operation.type, list(operation.inputs)
        if kind in EACH:
            return self(inputs[0])
        if kind in BESIDE | CHOICES | PRODUCTS:
            return self._together(inputs, output, 3 if kind in PRODUCTS else 1)
        if kind == "MatMul":
            return 0 if operation.get_attr("transpose_a") else self(inputs[0])
        if kind == "Einsum":
            return self._einsum(operation, inputs)
        if kind == "Reshape":
            return self._reshaped(inputs[0], inputs[1], output)
        if kind == "ConcatV2":
            return self._together(inputs[:-1], output) if _axes(inputs[-1], output) not in (None, [0]) else 0
        if kind in PADS:
            pads = tf.get_static_value(inputs[1])
            return self(inputs[0]) if pads is not None and not pads[0].any() else 0
        if kind == "StridedSlice":
            return self(inputs[0]) if _takes_all_rows(operation) else 0
        if kind == "Squeeze":
            axes = [axis % (inputs[0].shape.rank or 1) for axis in operation.get_attr("squeeze_dims")]
            return self(inputs[0]) if axes and all(axes) else 0
        if kind in REDUCING or kind in ("ExpandDims", "Transpose"):
            return self._kept(kind, inputs, output)
        return 0

    def _together(self, inputs: list[tf.Tensor], output: tf.Tensor, least: int = 1) -> int:
        """Of an operation whose inputs are aligned at their last axes and repeated to fit each other."""
        rank = output.shape.rank
        if rank < least or any(tensor.shape.rank is None for tensor in inputs):
            return 0
        whole = [tensor for tensor in inputs if tensor.shape.rank == rank and tensor.shape[0] != 1]
        found = {self(tensor) for tensor in whole}
        return found.pop() if len(found) == 1 else 0

    def _einsum(self, operation: tf.Operation, inputs: list[tf.Tensor]) -> int:
        given, _, result = operation.get_attr("equation").decode().partition("->")
        if "." in given or not result:
            return 0
        found = {self(tensor) for tensor, axes in zip(inputs, given.split(","), strict=True) if axes[:1] == result[0]}
        elsewhere = any(result[0] in axes[1:] for axes in given.split(","))
        return found.pop() if len(found) == 1 and not elsewhere else 0

    def _reshaped(self, given: tf.Tensor, shape: tf.Tensor, output: tf.Tensor) -> int:
        sizes = [tensor.shape[1:] for tensor in (given, output)]
        if not all(one.is_fully_defined() for one in sizes):
            many, of_rows = (self._entries(shape) or [(0, False)])[0]
            return many if of_rows else 0
        before, after = (math.prod(map(present, one)) for one in sizes)
        many, rest = divmod(self(given) * before, max(after, 1))
        return 0 if rest else many

    def _entries(self, shape: tf.Tensor) -> list[tuple[int, bool]] | None:
        """The entries of a shape that the graph computes: numbers, and whether they are multiples of the rows; None where that
        is not known."""
        value = tf.get_static_value(shape)
        if value is not None:
            return [(int(entry), False) for entry in np.reshape(value, -1)]
        kind, inputs = shape.op.type, list(shape.op.inputs)
        if kind == "Shape":
            first, *others = inputs[0].shape if inputs[0].shape.rank else (None,)
            known = [(size, False) for size in others if size is not None]
            of_rows = first is None and self(inputs[0]) > 0
            if len(known) < len(others) or (first is None and not of_rows):
                return None
            return [(self(inputs[0]), True) if of_rows else (present(first), False), *known]
        if kind not in ("Cast", "ConcatV2", "GatherV2", "Identity", "Pack", "Prod"):
            return None
        parts = [
            self._entries(one) for one in (inputs if kind == "Pack" else inputs[:-1] if kind == "ConcatV2" else inputs[:1])
        ]
        if any(part is None for part in parts):
            return None
        found = [entry for part in parts for entry in present(part)]
        if kind == "GatherV2":
            index = tf.get_static_value(inputs[1])
            return None if index is None else [found[i] for i in np.reshape(index, -1)]
        if kind == "Prod":
            many, axes = sum(of_rows for _, of_rows in found), tf.get_static_value(inputs[1])
            whole = axes is not None and np.size(axes) > 0
            return [(math.prod(number for number, _ in found), many == 1)] if whole and many < 2 else None
        return found

    def _kept(self, kind: str, inputs: list[tf.Tensor], output: tf.Tensor) -> int:
        """Of an operation that takes axes away, adds one, or changes their order."""
        axes = _axes(inputs[1], output if kind == "ExpandDims" else inputs[0])
        if not axes:
            return 0
        moved = axes[0] != 0 if kind == "Transpose" else 0 in axes
        return 0 if moved else self(inputs[0])


def _takes_all_rows(operation: tf.Operation) -> bool:
    """Whether a slice takes the first axis as it is."""
    bits = {name: operation.get_attr(f"{name}_mask") & 1 for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    steps = tf.get_static_value(operation.inputs[3])
    whole = bits["begin"] and bits["end"] and steps is not None and steps[0] == 1
    return bool(whole and not bits["ellipsis"] and not bits["new_axis"] and not bits["shrink_axis"])


def _known(one: int | None, other: int | None) -> bool:
    """Whether two static sizes say which of both is repeated."""
    return 1 in (one, other) or (one is not None and one == other)


def _aligned(x: tf.Tensor, y: tf.Tensor) -> list[tuple[int | None, int | None]]:
    """The static sizes of both along each axis, the last axes together; 1 where one of them has no such axis."""
    most = max(x.shape.rank, y.shape.rank)
    return list(zip(*([1] * (most - one.shape.rank) + one.shape.as_list() for one in (x, y)), strict=True))


def _axes(tensor: tf.Tensor, of: tf.Tensor) -> list[int] | None:
    """Constant axes of another tensor, counted from its first."""
    value, rank = tf.get_static_value(tensor), of.shape.rank
    return None if value is None or rank is None else (np.asarray(value).reshape(-1) % rank).tolist()


def derivative(operation: tf.Operation, upstream: Any) -> list[tf.Tensor | None]:
    """The gradients at the inputs of an operation of which `Rows.tells`; None at those that TensorFlow is told to skip."""
    upstream, inputs = tf.convert_to_tensor(upstream), list(operation.inputs)
    if operation.type in REDUCED:
        return [_spread(operation, upstream), None]
    skipped = getattr(operation, "skip_input_indices", ())
    found: list[tf.Tensor | None] = []
    for place, given in enumerate(inputs):
        if place in skipped:
            found.append(None)
        elif operation.type in PRODUCTS:
            found.append(_summed(_factor(operation, upstream, place), given, operation.outputs[0], 2))
        else:
            found.append(_summed(DERIVATIVES[operation.type][place](*inputs, upstream), given, operation.outputs[0]))
    return found


def _summed(gradient: tf.Tensor, given: tf.Tensor, output: tf.Tensor, last: int = 0) -> tf.Tensor:
    """The gradient summed over the axes along which `given` was repeated: not the `last` ones."""
    sizes = _aligned(given, output)
    repeated = [axis for axis, (own, whole) in enumerate(sizes[: len(sizes) - last]) if own == 1 != whole]
    found, missing = tf.reduce_sum(gradient, repeated, keepdims=True) if repeated else gradient, len(sizes) - given.shape.rank
    return tf.reshape(found, tf.shape(found)[missing:]) if missing else found


def _factor(operation: tf.Operation, upstream: tf.Tensor, place: int) -> tf.Tensor:
    """The gradient of a product of matrices at one of them."""
    x, y = operation.inputs
    turned = [operation.get_attr(name) for name in ("adj_x", "adj_y")]
    if place == 0:
        one, other, both = (upstream, y, (False, not turned[1])), (y, upstream, (turned[1], True)), turned[0]
    else:
        one, other, both = (x, upstream, (not turned[0], False)), (upstream, x, (True, turned[0])), turned[1]
    first, second, (adjoint_a, adjoint_b) = other if both else one
    return tf.matmul(first, second, adjoint_a=adjoint_a, adjoint_b=adjoint_b)


def _spread(operation: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    """The gradient of a sum or mean over known axes."""
    given, axes = operation.inputs[0], sorted(present(_axes(operation.inputs[1], operation.inputs[0])))
    if not operation.get_attr("keep_dims"):
        for axis in axes:
            upstream = tf.expand_dims(upstream, axis)
    if operation.type == "Mean":
        upstream /= tf.constant(math.prod(present(given.shape[axis]) for axis in axes), upstream.dtype)
    return tf.broadcast_to(upstream, tf.shape(given))
