"""One call of `attribute`, ready for the engine."""

import dataclasses
from typing import Any

import numpy as np

from ..common.types import Features, Leaves
from ..selection.frames import Names
from . import program
from .compared import Compared
from .omission import Omitted
from .session import Session


@dataclasses.dataclass(frozen=True, eq=False)
class Work:
    """One call of `attribute`, ready for the engine: inputs by key as the user gave them (`arrays`) and as the model takes them
    (`ready`), the user's key for each of the model's (`match`); and where outputs at several positions are explained, the
    example and the position that each entry is of (`placed`); what was left out, since it is not finite (`omitted`); and the
    names of columns that stand side by side in an input, by the user's key (`names`); and what a reader should know of them
    (`notes`)."""

    session: Session
    arrays: Leaves
    ready: Leaves
    tables: program.Tables
    compared: Compared
    match: dict[Any, Any] = dataclasses.field(default_factory=dict)
    placed: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    omitted: Omitted | None = None
    names: Names = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def of_examples(self, which: np.ndarray) -> "Work":
        """That of some of the examples."""
        arrays, ready, placed = (
            {key: value[which] for key, value in values.items()} for values in (self.arrays, self.ready, self.placed)
        )
        return dataclasses.replace(
            self,
            arrays=arrays,
            ready=ready,
            tables=self.tables.of_examples(which),
            compared=self.compared.of_examples(which),
            placed=placed,
        )

    @property
    def features(self) -> Features:
        """Shapes of one example of the selected tensors, by key."""
        return {key: value.shape[1:] for key, value in self.tables.x.items()}

    @property
    def bytes_beside(self) -> int:
        """Of what rows need of one example beside the selected tensors."""
        return sum(value[:1].nbytes for value in [*self.tables.context.values(), *self.tables.extra.values()])

    def not_finite_alone(self) -> list[str]:
        """The names of the selected tensors, of several, that make a finite score NaN or infinite at their first reference,
        while the others stay as they are."""
        x, references = self.tables.x, self.tables.references
        found = []
        for key in x if len(x) > 1 else ():
            moved = x | {key: references.tables[key][references.index[key][:, 0]]}
            if not np.isfinite(self.session.scores(moved, self.ready, self.compared.target)).all():
                found.append(str(key))
        return found

    def copied(self, which: np.ndarray, x: Leaves, scored: bool) -> "Work":
        """Copies of the examples `which` with other values `x` of the selected tensors.

        Args:
            scored: whether the scores there are wanted; else they are those of the examples themselves.
        """
        tables, compared = dataclasses.replace(self.tables.of_examples(which), x=x), self.compared.of_examples(which)
        needed = {key: value[which] if key in tables.context else value[:1] for key, value in self.ready.items()}
        if scored:
            found = self.session.compared(x, needed, tables.references, compared.target, False)
            tables = dataclasses.replace(tables, score=found.scores)
        return dataclasses.replace(self, arrays={}, ready=needed, tables=tables, compared=compared, placed={})
