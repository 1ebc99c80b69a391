"""The one loop over blocks of rows: it packs rows, evaluates them on the device, and sums them where they belong.

What is evaluated, and what becomes of it, an integrator decides.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.own_code import code_of
from ..common.types import present
from ..graph.traced.compiled import Compiled
from ..selection.references import References
from ..selection.score_function import ScoreFunction
from .ahead import Ahead, Hoisted, columns, gathered
from .blocks import activation_bytes, in_blocks
from .forward_rows import ForwardRows
from .integral.integrator import Batch, Integrator, ranks
from .row import Row, RowFunction, checked, per_row, varies

MOST_ROWS = 256
# And of rows that begin behind a stretch and are summed there: its weights are read once for a block.
MOST_BEHIND = 1024


@dataclasses.dataclass(frozen=True, eq=False)
class Tables:
    """What rows are made of, on the host: one entry for each example.

    Attributes:
        x: the selected tensors by key, at which paths end.
        context: the model inputs that are needed beside them.
        target, score: (n, r) and (n,).
        references: at which paths begin.
        extra: what else a method's rows need of each example, by name.
    """

    x: dict[Any, np.ndarray]
    context: dict[Any, np.ndarray]
    target: np.ndarray
    score: np.ndarray
    references: References
    extra: dict[Any, np.ndarray] = dataclasses.field(default_factory=dict)

    def of_examples(self, which: np.ndarray) -> "Tables":
        """Those of some of the examples."""

        def only(values: dict) -> dict:
            return {key: value[which] for key, value in values.items()}

        return Tables(
            only(self.x),
            only(self.context),
            self.target[which],
            self.score[which],
            self.references.of_examples(which),
            only(self.extra),
        )


class Program:
    """A row function compiled for blocks of any size (or of the one size that a model can take).

    Args:
        extra: what of `Tables.extra` rows are given, by its name.
        sums: shapes of what one row gives, by key.
        by_xla: whether XLA compiles it: blocks, and their tables, are then padded to powers of 2, so that it has few sizes to
            compile for.
        ahead: what rows have in common; default: nothing.
        memory: bytes that a block and what is kept beside it may take together; default: any.

    Attributes:
        gives_slope: once it has run, whether slopes follow from the rows.
        most: how many rows a block holds whose rows are summed behind a stretch; 0 where they are not, or it is not known.
    """

    def __init__(
        self,
        function: ScoreFunction,
        row: RowFunction,
        extra: dict[Any, np.ndarray] | None = None,
        sums: dict[Any, tuple] | None = None,
        by_xla: bool = False,
        ahead: Ahead | None = None,
        memory: int | None = None,
    ) -> None:
        self._by_xla, self.gives_slope = by_xla, False
        self.function, self._row, self._extra, self._sums = function, row, list(extra or {}), sums
        dtype, inputs, dtypes = function.dtype, function.traced.inputs, function.dtypes
        tables = [tf.TensorSpec([None, *features], dtypes[key]) for key, features in function.features().items()]
        context = [tf.TensorSpec([None, *inputs[key].shape[1:]], inputs[key].dtype) for key in function.context]
        self.ahead = Ahead(function) if ahead is None else ahead
        self._columns = 3 if self.ahead.row is None else 5
        size = None if self.ahead.row is None else present(self.ahead.function.behind).row_sizes.known
        self.most = min(activation_bytes(memory) // size, MOST_BEHIND) if size else 0
        # integers of a row: example, slot, number, its path and part where it is hoisted, a reference for each table, target;
        # floats: alpha, weight, score
        integers = tf.TensorSpec([None, self._columns + len(tables) + function.target_rank], tf.int32)
        more = [tf.TensorSpec([None] * value.ndim, value.dtype) for value in (extra or {}).values()]
        taken = getattr(row, "takes_present", None)
        there = [] if taken is None else [taken]
        self._signature = [tables, tables, context, more, there, integers, tf.TensorSpec([None, 3], dtype)]

        def flat(*tensors):
            return self._block(*tf.nest.pack_sequence_as(self._signature, tensors))

        self._compiled = Compiled(flat, tf.nest.flatten(self._signature), by_xla)

    @property
    def padded(self) -> bool:
        """Whether blocks that are not full cost as much as those that are."""
        return self._by_xla or bool(self.function.rows)

    def __call__(self, tables: Tables, rows: Batch) -> tuple[np.ndarray, list, np.ndarray, np.ndarray]:
        """Slots, their sums in the order of the row function's integrands, and scores and slopes of the rows."""
        count = len(rows)
        size = _power(count) if self._by_xla and not self.function.rows else self.function.rows or count
        if count < size:
            rows = rows[np.minimum(np.arange(size), count - 1)]
            rows.weight[count:] = 0
        first, part = rows.example[0], slice(rows.example[0], rows.example[-1] + 1)
        slot = ranks(rows.slot)
        slots = rows.slot[np.diff(slot, prepend=-1) > 0]
        references, fixed = [], self._columns + len(tables.references.tables)
        integers = np.empty((len(rows), fixed + tables.target.shape[1]), np.int32)
        integers[:, 0], integers[:, 1], integers[:, 2] = rows.example - first, slot, rows.number
        if self.ahead.row is not None:
            integers[:, 3], integers[:, 4] = columns(rows, slot)
        for column, (key, table) in enumerate(tables.references.tables.items(), self._columns):
            used, integers[:, column] = _used(tables.references.index[key], rows, len(table))
            references.append(self._padded(table[used], size))
        integers[:, fixed:] = tables.target[rows.example]
        floats = np.empty((len(rows), 3), self.function.dtype.as_numpy_dtype)
        floats[:, 0], floats[:, 1], floats[:, 2] = rows.alpha, rows.weight, tables.score[rows.example]
        context = [self._padded(tables.context[key][part], size) for key in self.function.context]
        extra = [self._padded(tables.extra[name][part], size) for name in self._extra]
        *sums, scores, slopes = self._compiled(
            *(self._padded(value[part], size) for value in tables.x.values()),
            *references,
            *context,
            *extra,
            *([] if rows.present is None else [rows.present]),
            integers,
            floats,
        )
        return slots, [found[: len(slots)] for found in sums], scores[:count], slopes[:count]

    def _padded(self, table: np.ndarray, size: int) -> np.ndarray:
        """A table as long as its block has rows, so that XLA compiles for one length: its last entry is repeated."""
        missing = max(size, _power(len(table))) - len(table) if self._by_xla else 0
        return np.concatenate([table, np.repeat(table[-1:], missing, 0)]) if missing else table

    def _block(self, x, references, context, extra, there, integers, floats):
        keys, begin = self.function.place.ports, self._columns
        many = begin + len(references)
        # a split and an unstack are a third of the operations that slices are, and as many fewer to trace
        numbers, target = tf.split(integers, [many, self.function.target_rank], axis=1)
        each = tf.unstack(numbers, axis=1)
        example, slot, number, *path_and_part = each[:begin]
        alpha, weight, score = tf.unstack(floats, axis=1)
        x, references = dict(zip(keys, x, strict=True)), dict(zip(keys, references, strict=True))
        index = dict(zip(keys, each[begin:], strict=True))
        straight = None
        if path_and_part:
            path, part = path_and_part
            straight = Hoisted(self.ahead.function, x, references, example, slot, path, part, index)
        at, reference = (
            (gathered(x, example), {key: tf.gather(table, index[key]) for key, table in references.items()})
            if straight is None
            else straight.ends()
        )
        context = dict(zip(self.function.context, context, strict=True))
        context |= {} if self.ahead.beside is None else self.ahead.beside(context)
        row = Row(
            at,
            reference,
            {key: tf.gather(context[key], example) for key in self.ahead.function.context},
            target,
            alpha,
            score,
            number,
            {name: tf.gather(value, example) for name, value in zip(self._extra, extra, strict=True)},
            *there,
        )
        scores, slopes, integrands = self._evaluated(row)
        self.gives_slope = varies(slopes)
        if straight is not None:
            return [*(straight.sums(integrands, weight) if integrands else []), scores, slopes]
        if not integrands:
            return [scores, slopes]
        # XLA must know how many there are before it runs
        slots = tf.shape(slot)[0] if self._by_xla else tf.reduce_max(slot) + 1
        sums = [
            tf.math.unsorted_segment_sum(tf.math.multiply_no_nan(integrand, per_row(weight, integrand)), slot, slots)
            for integrand in integrands.values()
        ]
        return [*sums, scores, slopes]

    def _evaluated(self, row: Row) -> tuple[tf.Tensor, tf.Tensor, dict[Any, tf.Tensor]]:
        """What the row function gives."""
        if self.ahead.row is not None:
            return self.ahead.row(present(self.ahead.function.behind), row)
        with code_of(f"the row function {getattr(self._row, '__name__', type(self._row).__name__)}"):
            found = self._row(self.ahead.function, row)
        # a caller who says no sums takes what the row gives, in its order
        return found if self._sums is None else checked(self._row, row, found, self._sums, self.function)


def _used(index: np.ndarray, rows: Batch, size: int) -> tuple[Any, Any]:
    """Which of a table's `size` references the rows need, and for each row which of those is its own."""
    if size == 1:
        return slice(None), 0
    return np.unique(index[rows.example, rows.reference], return_inverse=True)


def _power(count: int) -> int:
    """The least power of 2 that is not less."""
    return 1 << (count - 1).bit_length()


def run(
    program_for: Callable[[Batch], Program | ForwardRows],
    tables: Tables,
    integrator: Integrator,
    block: int,
    advance: Callable[[int], None],
    asked: bool = True,
) -> int:
    """Evaluates all rows that `integrator` asks for, in blocks of about `block` rows, and hands it what they give. Where the
    device has no memory for a block, its rows go on in halves of it, as do those that follow.

    Args:
        program_for: the program for such rows.
        asked: whether blocks are to hold no more than `block` rows, whatever the program makes of them.

    Returns:
        How many rows a block could hold: `block` or fewer.

    Raises:
        tf.errors.ResourceExhaustedError: there is no memory for a single row.
    """
    rows = integrator.first()
    while rows is not None:
        program, total = program_for(rows), len(rows)
        # even blocks waste nothing: 50 rows in blocks of 32 become 25 and 25
        most = block if asked or rows.apart or block < MOST_ROWS else max(block, program.most)
        size = most if program.padded else -(-total // -(-total // most))
        evaluate = functools.partial(_evaluated, program, tables, rows)
        for part, found in in_blocks(total, size, evaluate, program.function.rows or 1):
            integrator.accept(rows if part == slice(0, total) else rows[part], *found)
            count = part.stop - part.start
            advance(count)
            if count < min(size, total - part.start):  # there was no memory for more
                block = min(block, count)
        rows = integrator.refine()
    return block


def _evaluated(
    program: Program | ForwardRows, tables: Tables, rows: Batch, part: slice
) -> tuple[np.ndarray, list, np.ndarray, np.ndarray]:
    return program(tables, rows if part == slice(0, len(rows)) else rows[part])


def block_rows(function: ScoreFunction, inputs: dict[Any, np.ndarray], memory: int) -> tuple[int, int]:
    """How many rows a block holds unless the user says: as many as are worth it, by the size of the activations.

    Args:
        inputs: those of one example, by the model's keys.
        memory: bytes that a block and what is kept beside it may take together.

    Returns:
        For blocks whose scores are wanted, and for those whose whole output is: that of every position.
    """
    if function.rows:
        return function.rows, function.rows
    most = activation_bytes(memory)
    scored, whole = (min(max(most // max(size, 1), 1), MOST_ROWS) for size in function.row_sizes.of(inputs))
    return scored, whole


class Held:
    """How many rows a block holds of inputs of one kind; it is found out when it is first asked for, since that may take a look
    at the whole graph, and a single row needs to know nothing of it.

    Args:
        function, one, memory: as in `block_rows`.
    """

    def __init__(self, function: ScoreFunction, one: dict[Any, np.ndarray], memory: int) -> None:
        self._function, self._one, self._memory = function, one, memory

    @functools.cached_property
    def rows(self) -> tuple[int, int]:
        """As from `block_rows`."""
        try:
            return block_rows(self._function, self._one, self._memory)
        except tf.errors.InvalidArgumentError:
            return 1, 1  # such as of a sequence too short for any position to score; what else is wrong shows when it runs


@dataclasses.dataclass(frozen=True)
class Stated:
    """The same where it is known: `rows` where scores are wanted, and where the whole output of each row is."""

    rows: tuple[int, int]
