"""Operations of a graph that are affine in what differs from row to row, and take each example by itself.

Whether an operation is, follows from its type, its attributes and the constants that it is given; of what is not known for
certain it is said that it is not.
"""

import dataclasses
import math
from collections.abc import Callable

import tensorflow as tf

from .gradients import has_own_gradient
from .same import Same

# What an axis of unknown size is taken for, such as the length of a sequence.
UNKNOWN = 32


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a tensor holds examples along its first axis: one after the other.

    Attributes:
        entries: how many entries of that axis each has; None: not known.
        size: how many numbers each has; None: not known.
    """

    entries: int | None
    size: int | None

    @classmethod
    def of(cls, tensor: tf.Tensor, entries: int | None = 1) -> "Layout":
        """That of a tensor in which each example has so many entries."""
        features = tensor.shape[1:].num_elements()
        return cls(entries, None if None in (entries, features) else entries * features)


def layouts(operation: tf.Operation, given: list[Layout | None], same: Same) -> list[Layout] | None:
    """Of what an operation gives, of the first so many outputs; None where it is not known to be affine, example by example.

    Args:
        given: of each of its inputs; None of those that do not differ affinely.
    """
    known = {place: layout for place, layout in enumerate(given) if layout is not None}
    varying = list(known)
    if operation.type not in KNOWN or operation.control_inputs or has_own_gradient(operation):
        return None
    places, holds = KNOWN[operation.type]
    if any(place not in places(operation) for place in varying) or any(one.shape.rank is None for one in operation.inputs):
        return None
    others = [one for place, one in enumerate(operation.inputs) if place not in varying]
    # what a tensor is reshaped to may be read from shapes, and is known by what comes of it
    if operation.type != "Reshape" and not all(map(same, others)):
        return None
    if len({layout.entries for layout in known.values()}) > 1 or not holds(operation, varying):
        return None
    count = 1 if operation.type.startswith("FusedBatchNorm") else len(operation.outputs)
    first = known[varying[0]]
    entries = _entries(operation, first)
    if operation.type == "Reshape":
        return None if first.size is None else [Layout(entries, first.size)]
    return None if entries is None else [Layout.of(output, entries) for output in operation.outputs[:count]]


def multiplications(operation: tf.Operation, layout: Layout) -> int:
    """About how many a linear operation takes for an example."""
    if operation.type not in CONTRACTIONS:
        return 0
    output, weights = operation.outputs[0], operation.inputs[1].shape
    if operation.type not in CONVOLUTIONS:
        weights = weights[-2:]
    first = operation.type in CONVOLUTIONS and operation.get_attr("data_format").startswith(b"NC")
    return (layout.entries or 1) * numbers(output) * (weights.num_elements() or 0) // (output.shape[1 if first else -1] or 1)


def numbers(tensor: tf.Tensor) -> int:
    """About how many an entry of a tensor has."""
    return math.prod(size or UNKNOWN for size in tensor.shape[1:])


def _entries(operation: tf.Operation, given: Layout) -> int | None:
    if operation.type == "Reshape":
        features, first = operation.outputs[0].shape[1:].num_elements(), operation.outputs[0].shape[0]
        whole = given.size is not None and features and first is None and given.size % features == 0
        return given.size // features if whole else None
    if operation.type == "MatMul" and given.entries is None and given.size is not None:
        taken = operation.inputs[1].shape[1 if operation.get_attr("transpose_b") else 0]
        return given.size // taken if taken and given.size % taken == 0 else None
    return given.entries


# What must hold beside that the operands are the same for every row: the first axis stays what it is.


def _always(operation: tf.Operation, varying: list[int]) -> bool:
    return True


def _one(operation: tf.Operation, varying: list[int]) -> bool:
    return len(varying) == 1 and _aligned(operation, varying)


def _aligned(operation: tf.Operation, varying: list[int]) -> bool:
    """Whether what is broadcast has no first axis, or one of size 1."""
    ranks = {operation.inputs[place].shape.rank for place in varying}
    rank = min(ranks)
    others = [one.shape for place, one in enumerate(operation.inputs) if place not in varying]
    return len(ranks) == 1 and all(one.rank < rank or (one.rank == rank and one[0] == 1) for one in others)


def _constant(operation: tf.Operation, place: int) -> list:
    """The numbers in a constant input; [] where they are not known."""
    value = tf.get_static_value(operation.inputs[place])
    return [] if value is None else value.reshape(-1).tolist()


def _axis_at(place: int, of: int = 0) -> Callable[[tf.Operation, list[int]], bool]:
    """Whether the axes that an input tells are known, and the first of the input `of` is none of them."""

    def holds(operation: tf.Operation, varying: list[int]) -> bool:
        axes, rank = _constant(operation, place), operation.inputs[of].shape.rank
        return bool(axes) and not {0, -rank} & set(axes)

    return holds


def _packed(operation: tf.Operation, varying: list[int]) -> bool:
    return _summed(operation, varying) and operation.get_attr("axis") not in (0, -operation.outputs[0].shape.rank)


def _unpacked(operation: tf.Operation, varying: list[int]) -> bool:
    return operation.get_attr("axis") not in (0, -operation.inputs[0].shape.rank)


def _expanded(operation: tf.Operation, varying: list[int]) -> bool:
    axes = _constant(operation, 1)
    return bool(axes) and not {0, -operation.outputs[0].shape.rank} & set(axes)


def _squeezed(operation: tf.Operation, varying: list[int]) -> bool:
    axes = operation.get_attr("squeeze_dims")
    return bool(axes) and not {0, -operation.inputs[0].shape.rank} & set(axes)


def _joined(operation: tf.Operation, varying: list[int]) -> bool:
    ranks = {operation.inputs[place].shape.rank for place in varying}
    return len(varying) == len(operation.inputs) - 1 and len(ranks) == 1 and _axis_at(-1)(operation, varying)


def _summed(operation: tf.Operation, varying: list[int]) -> bool:
    return len(varying) == len(operation.inputs) and _aligned(operation, varying)


def _begins_with_zeros(count: int) -> Callable[[tf.Operation, list[int]], bool]:
    def holds(operation: tf.Operation, varying: list[int]) -> bool:
        found = _constant(operation, 1)[:count]
        return len(found) == count and not any(found)

    return holds


def _sliced(operation: tf.Operation, varying: list[int]) -> bool:
    return _begins_with_zeros(1)(operation, varying) and _constant(operation, 2)[:1] == [-1]


def _strided(operation: tf.Operation, varying: list[int]) -> bool:
    whole = operation.get_attr("begin_mask") & operation.get_attr("end_mask") & 1
    masks = ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    return bool(whole) and not any(operation.get_attr(mask) & 1 for mask in masks) and _constant(operation, 3)[:1] == [1]


def _gathered(operation: tf.Operation, varying: list[int]) -> bool:
    return operation.get_attr("batch_dims") == 0 and _axis_at(2)(operation, varying)


def _product(operation: tf.Operation, varying: list[int]) -> bool:
    return not operation.get_attr("transpose_a")


def _product_of_each(operation: tf.Operation, varying: list[int]) -> bool:
    return not operation.get_attr("adj_x") and operation.inputs[0].shape.rank > 2 and _aligned(operation, varying)


def _at_inference(operation: tf.Operation, varying: list[int]) -> bool:
    return not operation.get_attr("is_training")


def _only(*places: int) -> Callable[[tf.Operation], tuple[int, ...]]:
    return lambda operation: places


def _any(operation: tf.Operation) -> range:
    return range(len(operation.inputs))


FIRST, SECOND, EITHER = _only(0), _only(1), _only(0, 1)
CONVOLUTIONS = frozenset(("Conv2D", "Conv3D", "DepthwiseConv2dNative"))
CONTRACTIONS = CONVOLUTIONS | {"MatMul", "BatchMatMulV2", "BatchMatMul"}
# By type: which inputs may differ from row to row, and what must hold.
KNOWN: dict[str, tuple[Callable, Callable]] = {
    **dict.fromkeys(("Identity", "Neg", "Reshape", "BiasAdd", "AvgPool", "AvgPool3D", *CONVOLUTIONS), (FIRST, _always)),
    **dict.fromkeys(("Mean", "Sum"), (FIRST, _axis_at(1))),
    **dict.fromkeys(("Add", "AddV2", "Sub"), (EITHER, _aligned)),
    **dict.fromkeys(("Pad", "PadV2", "MirrorPad"), (FIRST, _begins_with_zeros(2))),
    **dict.fromkeys(("BatchMatMul", "BatchMatMulV2"), (FIRST, _product_of_each)),
    **dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), (FIRST, _at_inference)),
    "AddN": (_any, _summed),
    "ConcatV2": (_any, _joined),
    "ExpandDims": (FIRST, _expanded),
    "GatherV2": (FIRST, _gathered),
    "MatMul": (FIRST, _product),
    "Mul": (EITHER, _one),
    "Pack": (_any, _packed),
    "RealDiv": (FIRST, _one),
    "Slice": (FIRST, _sliced),
    "Split": (SECOND, _axis_at(0, of=1)),
    "SplitV": (FIRST, _axis_at(2)),
    "Squeeze": (FIRST, _squeezed),
    "StridedSlice": (FIRST, _strided),
    "Transpose": (FIRST, _begins_with_zeros(1)),
    "Unpack": (FIRST, _unpacked),
}
