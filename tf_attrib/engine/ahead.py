"""What the rows of a block have in common is computed ahead of them.

What follows from inputs beside the path alone (`graph.traced.beside`) is computed once for each example. Rows of straight paths
begin behind the affine stretch of a model (`graph.traced.stretch`): the ends of paths are brought behind it once, and what rows
give there is summed for each path first, and handed back to the selected tensors once for each sum.
"""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.types import present
from ..graph.traced.beside import Beside
from ..selection.score_function import ScoreFunction
from .integral.integrator import Batch, ranks
from .row import RowFunction, per_row

Tables = dict[Any, tf.Tensor]
# So many rows a path has at least, or its two ends and what is handed back cost as much as they do.
FEWEST = 4


@dataclasses.dataclass(frozen=True, eq=False)
class Ahead:
    """What rows have in common, and is computed once for many of them.

    Attributes:
        function: what they evaluate: the explained function, or what is left of it where what lies `beside` the path is ready.
        beside: what follows from the inputs beside the path alone, once for each example of a block; None: nothing.
        row: the row function behind the affine stretch of `function`, where rows begin there; None where they do not.
    """

    function: ScoreFunction
    beside: Beside | None = None
    row: RowFunction | None = None

    @classmethod
    def of(
        cls, function: ScoreFunction, row: RowFunction, rows: Batch, context: dict[Any, np.ndarray], refines: bool
    ) -> "Ahead":
        """All that pays for such `rows`.

        Args:
            context: the inputs beside the path, (examples, ...) by key.
            refines: whether further rows of the same examples may follow, for which the same is to be run.
        """
        several = refines or bool((np.diff(rows.example) == 0).any())
        beside = function.beside if several and getattr(row, "shares", False) else None
        if beside is not None and not beside.holds_examples(context):
            beside = None
        rest = function if beside is None else function.rest
        return cls(rest, beside, row_behind(rest, row, rows, refines))


def row_behind(function: ScoreFunction, row: RowFunction, rows: Batch, refines: bool) -> RowFunction | None:
    """The row function that gives behind the affine stretch of `function` what `row` is made of; None where there is none, or
    where it does not pay for such `rows`: too few of them on a path, or sums of their own, each of which is handed back."""
    hoisted = getattr(row, "hoisted", None)
    several = (refines and not rows.forward_only) or len(rows) >= FEWEST * (int(rows.path.max()) + 1)
    if hoisted is None or not several or function.behind is None:
        return None
    summed = not (rows.apart or rows.forward_only)
    return hoisted if summed or present(function.stretch).narrows else None


def columns(rows: Batch, slot: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row the number of its path within the block, and that of its path and slot together.

    Args:
        slot: of each row, its number within the block.
    """
    path = rows.path
    return path, ranks(slot * len(rows) + path)


@dataclasses.dataclass(frozen=True, eq=False)
class Hoisted:
    """The rows of a block, that begin behind the stretch of `function`.

    Attributes:
        function: from the selected tensors to scores, with a stretch in front.
        x, reference: the selected tensors at the examples of the block, and those that paths begin at, by key.
        example, slot, path, part: int32 (rows,), of each row its example, its slot, its path, and its path and slot together,
            as numbers within the block.
        index: (rows,) by key, which of the references is that of each row.
    """

    function: ScoreFunction
    x: Tables
    reference: Tables
    example: tf.Tensor
    slot: tf.Tensor
    path: tf.Tensor
    part: tf.Tensor
    index: Tables

    def ends(self) -> tuple[Tables, Tables]:
        """Where each row's path ends and begins behind the stretch, (rows, ...) by key."""
        references = self._references(_first(self.path))
        # both at once: weights are read once, and these are most of what it costs for so few
        both = {key: tf.concat([value, references[key]], 0) for key, value in self.x.items()}
        found = present(self.function.stretch)(both)
        start = tf.shape(next(iter(self.x.values())))[0] + self.path
        return gathered(found, self.example), gathered(found, start)

    def sums(self, integrands: Tables, weight: tf.Tensor) -> list[tf.Tensor]:
        """Sums over the rows of each slot, (slots, ...), of the selected tensors in their order.

        Args:
            integrands: what rows give behind the stretch.
        """
        first = _first(self.part)
        arriving = {
            key: tf.math.unsorted_segment_sum(
                tf.math.multiply_no_nan(value, per_row(weight, value)), self.part, tf.shape(first)[0]
            )
            for key, value in integrands.items()
        }
        example, references = tf.gather(self.example, first), self._references(first)
        x = gathered(self.x, example)
        handed = present(self.function.stretch).transposed(arriving, x)
        slot, slots = tf.gather(self.slot, first), tf.reduce_max(self.slot) + 1
        return [tf.math.unsorted_segment_sum(handed[key] * (value - references[key]), slot, slots) for key, value in x.items()]

    def _references(self, rows: tf.Tensor) -> Tables:
        """Those of some of the rows."""
        return {key: tf.gather(table, tf.gather(self.index[key], rows)) for key, table in self.reference.items()}


def gathered(tables: Tables, rows: tf.Tensor) -> Tables:
    """These entries of each table."""
    return {key: tf.gather(value, rows) for key, value in tables.items()}


def _first(number: tf.Tensor) -> tf.Tensor:
    """The first row that has each number."""
    return tf.math.unsorted_segment_min(tf.range(tf.shape(number)[0]), number, tf.reduce_max(number) + 1)
