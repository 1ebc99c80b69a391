"""Scores of rows on straight paths, by the compiled pass that scores both their ends: a scan compiles nothing of its own."""

from typing import Any

import numpy as np

from ..graph.traced.compiled import Compiled
from ..graph.traced.positionwise import of_each_row
from .ahead import Ahead
from .integral.integrator import Batch
from .row import RowFunction, ScoreOnly


def serves(row: RowFunction, ahead: Ahead) -> bool:
    """Whether that pass tells all that such rows are asked for, its values, of which a target selects one; and nothing of it is
    computed ahead of them."""
    alone = ahead.beside is None and ahead.row is None
    return isinstance(row, ScoreOnly) and alone and ahead.function.output.choose is of_each_row


class ForwardRows:
    """Evaluates rows as a `program.Program` does, on points that NumPy makes.

    Args:
        forward: from rows of the selected tensors, those beside them, and targets where one is needed, to values or scores
            (rows, classes).
    """

    gives_slope, most = False, 0

    def __init__(self, ahead: Ahead, forward: Compiled) -> None:
        self.ahead, self.function, self._forward = ahead, ahead.function, forward
        self.padded = bool(self.function.rows)

    def __call__(self, tables: Any, rows: Batch) -> tuple[np.ndarray, list, np.ndarray, np.ndarray]:
        """Slots, no sums, scores of the rows, and zeros."""
        count, rank = len(rows), self.function.target_rank
        if count < (self.function.rows or 0):
            rows = rows[np.minimum(np.arange(self.function.rows or 0), count - 1)]
        example, references = rows.example, tables.references
        at = [
            _between(references.tables[key][references.index[key][example, rows.reference]], x[example], rows.alpha)
            for key, x in tables.x.items()
        ]
        context = [tables.context[key][example] for key in self.function.context]
        target = tables.target[example]
        (values,) = self._forward(*at, *context, *([target] if rank > 1 else []))
        scores = values[np.arange(len(values)), target[:, 0] if rank == 1 else 0][:count]
        return rows.slot[:count], [], scores, np.zeros_like(scores)


def _between(reference: np.ndarray, x: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """x' + alpha (x - x') of rows (rows, ...), as `Row.point` has it."""
    alpha = alpha.astype(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
    return (1 - alpha) * reference + alpha * x
