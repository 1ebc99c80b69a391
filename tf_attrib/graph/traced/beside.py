"""What lies beside the path in a traced graph: it follows from other inputs alone, so that all rows of an example share it.

A tower of another input, an image beside a table, or what is made of a mask, is the same at every point of an example's path.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from ...common.failures import OWN
from .affine import Layout, multiplications
from .cut import Cut, Port
from .gradients import LOOPS
from .heads_and_lookups import SHAPES, ancestors
from .tf_private import operation_types
from .trace import Traced

# Operations whose work is not told by their shapes.
OPAQUE = frozenset(("If", "StatelessIf", "While", "StatelessWhile", "PartitionedCall", "StatefulPartitionedCall"))
# Operations that give as many entries as the values of a batch tell: one for each example of one batch, and not of the next.
COUNTED = frozenset(
    (
        *("Where", "Unique", "UniqueV2", "UniqueWithCounts", "UniqueWithCountsV2", "ListDiff", "DynamicPartition"),
        *("SparseFillEmptyRows", "RaggedRange", "RaggedGather", "SegmentSum", "SegmentMean", "SegmentMax"),
    )
)
# What must be saved of each row, in multiplications.
LEAST = 50_000
OTHER = (
    f"{OWN}what the model makes of the inputs beside the path has one entry for each example of one batch, and not of another: "
    "call it eagerly, ta.Attributor(model, eager=True)"
)
# By how much of the largest value a number may differ in another company.
ROUNDING = 1e-3


class Beside:
    """The part of a graph from the inputs beside the path to the tensors where it meets it.

    Attributes:
        inputs: the tensors where it meets it, by key: what the rest takes as its inputs.
    """

    def __init__(self, traced: Traced, context: dict[Any, Port], ends: list[tf.Tensor]) -> None:
        self.inputs = {("beside", number): tensor for number, tensor in enumerate(ends)}
        self._cut = Cut(traced, context, {key: Port(tensor) for key, tensor in self.inputs.items()})
        self._holds: bool | None = None

    def __call__(self, context: dict[Any, tf.Tensor]) -> dict[Any, tf.Tensor]:
        """Their values by key, (examples, ...), for the inputs beside the path, (examples, ...) by key; an error of TensorFlow
        when it runs, where a batch has another number of entries than the first that was looked at."""
        found, examples = self._cut(context), tf.shape(next(iter(context.values())))[0]
        checks = [tf.debugging.assert_equal(tf.shape(value)[0], examples, message=OTHER) for value in found.values()]
        with tf.control_dependencies(checks):
            return {key: tf.identity(value) for key, value in found.items()}

    def holds_examples(self, some: dict[Any, np.ndarray]) -> bool:
        """Whether each of them has one entry for each example along its first axis, the same in any company and place. Looked
        at once: at the last and the first of `some`, (examples, ...) by key, and at the first, the last, and the first."""
        if self._holds is None:
            two, three = (
                self._cut.evaluate({key: value[which] for key, value in some.items()}) for which in ([-1, 0], [0, -1, 0])
            )
            self._holds = all(
                two[key].ndim > 0
                and (len(two[key]), len(three[key])) == (2, 3)
                and _alike(two[key][[1, 0, 1]], three[key])  # a number of the row is told by its place
                for key in self.inputs
            )
        return self._holds


def ends_beside(
    traced: Traced, selected: list[tf.Tensor], fetches: list[tf.Tensor], context: list[tf.Tensor]
) -> list[tf.Tensor]:
    """The tensors that follow from `context` and not from `selected`, and are taken by what follows from these; [] where it is
    not worth it, or not known that they are the same in every row."""
    kinds = operation_types(traced.function.graph)
    if kinds & (LOOPS | COUNTED) or any("Random" in kind for kind in kinds):
        return []
    between = {operation.name for operation in ancestors(fetches, [*selected, *context])}
    moving, still = {tensor.ref() for tensor in selected}, {tensor.ref() for tensor in context}
    ends: dict[Any, tf.Tensor] = {}
    saved = 0
    for operation in traced.function.graph.get_operations():
        if operation.name not in between:
            continue
        outputs = {tensor.ref() for tensor in operation.outputs}
        held = [tensor for tensor in operation.inputs if tensor.ref() in still]
        if operation.control_inputs or any(tensor.ref() in moving for tensor in operation.inputs):  # by their shapes, too
            moving |= outputs
            ends |= {tensor.ref(): tensor for tensor in held if operation.type not in SHAPES}
        elif held and operation.type not in SHAPES:
            still |= outputs
            saved += _work(operation)
    ends |= {tensor.ref(): tensor for tensor in fetches if tensor.ref() in still}
    inner = [tensor for tensor in ends.values() if not any(tensor is one for one in context)]
    known = all(tensor.shape.rank and tensor.shape[0] is None for tensor in inner)
    return inner if known and saved >= LEAST else []


def _work(operation: tf.Operation) -> int:
    """About how many multiplications an operation takes for an example."""
    return LEAST if operation.type in OPAQUE else multiplications(operation, Layout(1, None))


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape or one.dtype.kind not in "fc":
        return one.shape == other.shape and bool((one == other).all())
    size = float(np.abs(one[np.isfinite(one)]).max(initial=0))
    return bool(np.isclose(one, other, rtol=0, atol=ROUNDING * size, equal_nan=True).all())
