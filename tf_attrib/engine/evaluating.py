"""Rows of any method, evaluated for one kind of inputs by programs that are compiled once."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..common.types import Leaves, present
from ..selection.references import References
from ..selection.score_function import ScoreFunction
from . import forward_rows, program
from .ahead import Ahead
from .integral.integrator import Batch, Fixed, Integrator, Outcome
from .integral.points import Points, at_input
from .looking import Looking
from .row import RowFunction, ScoreOnly


class Evaluating(Looking):
    """Evaluates row functions wherever an integrator wants it.

    Args:
        by_xla: whether XLA compiles what rows are run by.
    """

    def __init__(self, function: ScoreFunction, batch_size: int | None, memory: int, by_xla: bool = False) -> None:
        super().__init__(function, batch_size, memory)
        self._by_xla = by_xla
        # by row function, whether it is of the log-odds, and what rows have in common (`Ahead`)
        self._programs: dict[tuple[RowFunction, bool, bool, bool], program.Program | forward_rows.ForwardRows] = {}

    @property
    def by_xla(self) -> bool:
        """Whether XLA compiles what rows are run by."""
        return self._by_xla

    def run(
        self,
        row: RowFunction,
        tables: program.Tables,
        integrator: Integrator,
        odds: bool = False,
        advance: Callable[[int], None] = lambda rows: None,
        sums: dict[Any, tuple] | None = None,
    ) -> Outcome:
        """Evaluates `row` wherever the integrator wants it. Nothing is traced twice.

        Args:
            sums: shapes of what one row gives, by key; None: nothing but its score.
            odds: whether rows are those of the log-odds (`ScoreFunction.log_odds`) instead of the score.

        Raises:
            AttributionError: what the row function needs of the graph is not there.
        """
        refines = not isinstance(integrator, Fixed)

        def program_for(rows: Batch) -> program.Program | forward_rows.ForwardRows:
            used, by_odds = (getattr(row, "score_only", ScoreOnly()), False) if rows.forward_only else (row, odds)
            explained = present(self.function.log_odds) if by_odds else self.function
            ahead = Ahead(explained) if self._by_xla else Ahead.of(explained, used, rows, tables.context, refines)
            key = used, by_odds, ahead.beside is not None, ahead.row is not None
            if key not in self._programs:
                shapes = None if rows.forward_only else sums
                self._programs[key] = (
                    forward_rows.ForwardRows(ahead, self._forward)
                    if forward_rows.serves(used, ahead) and not self._by_xla
                    else program.Program(explained, used, tables.extra, shapes, self._by_xla, ahead, self._memory)
                )
            return self._programs[key]

        several = refines or integrator.total > 1
        if several and not self.company.seen and self.block > 1:  # of one example, whose rows are the first that share a block
            two = np.array([len(tables.score) - 1, 0])
            x, context = ({key: value[two] for key, value in values.items()} for values in (tables.x, tables.context))
            self._look(x, context, tables.target[two], None, [])
        most = self.block if several else 1
        block = program.run(program_for, tables, integrator, most, advance, bool(self._batch_size))
        if block < most:  # the device has no memory for more, and a later call need not find that out again
            self._held = program.Stated((block, self._held.rows[1]))
        return integrator.outcome()

    def gives_slope(self, row: RowFunction, odds: bool = False) -> bool:
        """Whether the slopes that `row`, which has run, gives follow from its rows: zeros that stand in for them do not."""
        ran = [one for key, one in self._programs.items() if key[:2] == (row, odds)]
        return all(one.gives_slope for one in ran)  # none where scores alone were wanted

    def path_scores(self, tables: program.Tables, points: Points) -> np.ndarray:
        """(n, rows), the scores at these points of the paths of each example: forward passes alone."""
        rule = Fixed([points] * len(tables.score), {}, self.function.dtype.as_numpy_dtype, forward_only=True)
        return present(self.run(ScoreOnly(), tables, rule).path_scores)

    def scores(self, at: Leaves, inputs: Leaves, target: np.ndarray) -> np.ndarray:
        """(n,), the scores of examples whose selected tensors are `at`, by key.

        Args:
            inputs: the model's inputs of the same examples, by key: those that the score needs beside `at` are read.
            target: (n, r).
        """
        context = {key: inputs[key] for key in self.function.context}
        tables = program.Tables(at, context, target, np.zeros(len(target)), References.unused(at))
        return self.path_scores(tables, at_input())[:, 0]
