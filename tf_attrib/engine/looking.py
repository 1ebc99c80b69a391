"""Looks whether an example gets the score that it gets alone when it shares a block with others (see `company`)."""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.errors import AttributionError
from ..common.types import Leaves
from ..graph.traced.cut import Port
from ..graph.traced.tf_private import operation_types
from ..selection.outputs import OWN_PAIRS
from .company import companies
from .fetching import Fetching

# So many copies of an example are put into a block of their own, to be looked at in several places; in more of them where a
# model draws at random, and one of two may have drawn the same for a few places.
COPIES, MANY_COPIES = 3, 32
# What operations are called that give something else each time.
DRAWS = ("Random", "Multinomial", "Assign")


class Looking(Fetching):
    """Looks once, before rows share a block, at one of them: as it came, alone, among copies of itself, and far from others."""

    def _values_in_company(
        self, at: Callable[[np.ndarray], dict], example: np.ndarray, inputs: dict, targets: np.ndarray | None
    ) -> np.ndarray:
        """As `_values`, where it is looked at whether rows may share a block."""
        values = self._values(at, example, inputs, targets)
        if self.company.seen:
            return values
        if len(example) < 2 or self.block < 2:
            self._look_twice(at, example, inputs, targets, values)
            return values
        row = int(example.max())  # the last example
        two = np.array([row, 0 if row else 1])
        context = {key: inputs[key][example[two]] for key in self.function.context}
        self._look(at(two), context, None if targets is None else targets[example[two]], values, [values[row]])
        return self._values(at, example, inputs, targets) if self.company.alone else values

    def _look_twice(
        self,
        at: Callable[[np.ndarray], dict],
        example: np.ndarray,
        inputs: dict,
        targets: np.ndarray | None,
        values: np.ndarray,
    ) -> None:
        """Looks, once, whether the first of rows that share no block gets its values again. What a model that is called does in
        Python nobody sees."""
        traced, first = self.function.traced, np.zeros(1, int)
        if self.company.seen_twice:
            return
        self.company.seen_twice = True
        kinds = operation_types(traced.function.graph)
        draws = any(word in kind for kind in kinds for word in DRAWS)
        for _ in range(COPIES if draws else traced.called is not None):
            again = self._values(lambda part: at(first[part]), example[:1], inputs, targets)
            self.company.look_twice(values[:1], again)

    def _look(
        self, at: Leaves, inputs: Leaves, targets: np.ndarray | None, values: np.ndarray | None, here: list[np.ndarray]
    ) -> None:
        """Looks whether rows may share a block, at the first of two rows.

        Args:
            at, inputs, targets: of both, the selected tensors, those beside them, and targets.
            values: of the output for all rows, for how large they are; None: those of the row itself.
            here: those of the row where it was in company.
        """
        kinds = operation_types(self.function.traced.function.graph)
        count = MANY_COPIES if any("Random" in kind for kind in kinds) else COPIES

        def of(rows: Leaves, beside: Leaves) -> np.ndarray:
            every = np.arange(len(next(iter(rows.values()))))
            those = None if targets is None else np.repeat(targets[:1], len(every), 0)
            return self._values(lambda part: {key: value[part] for key, value in rows.items()}, every, beside, those)

        def copies() -> np.ndarray:
            repeated = [
                [{key: np.repeat(one[:1], n, 0) for key, one in both.items()} for both in (at, inputs)] for n in (1, count)
            ]
            found = [of(*those) for those in repeated]
            if found[0].shape[1:] != found[1].shape[1:]:
                raise AttributionError(
                    f"{self.function.output.words} has other axes where more examples share a batch: {found[0].shape} for one, "
                    f"{found[1].shape} for {count}; {OWN_PAIRS}"
                )
            return np.concatenate(found)

        moved = self._among_others(of, at, inputs)
        self.company.look(here, moved, copies, bool(self.function.formats), values)
        self.company.seen = True  # not where it raises: the next call is refused too

    def _among_others(
        self, of: Callable[[Leaves, Leaves], np.ndarray], at: Leaves, inputs: Leaves
    ) -> list[tuple[int, np.ndarray]]:
        """Values of the first of two rows, (classes,), each with its place in a block of rows that are far from it; none where
        the model takes no such rows."""
        one, other = ([{key: value[[i]] for key, value in both.items()} for both in (at, inputs)] for i in (0, 1))
        for all_moved in (True, False):
            blocks = zip(companies(one[0], other[0], all_moved), companies(one[1], other[1], all_moved), strict=True)
            with contextlib.suppress(tf.errors.OpError):
                return [(place, of(rows, beside)[place]) for (place, rows), (_, beside) in blocks]
        return []

    def _look_ahead(self, inner: dict[Any, Port], inputs: Leaves, scored: Callable[[Leaves, Leaves], np.ndarray]) -> None:
        """Looks whether selected tensors that the model computes are those of their own example alone, in whatever company.

        Args:
            inner: these tensors.
            scored: from them and the inputs to the output.
        """
        one, other = ({key: value[[i]] for key, value in inputs.items()} for i in (-1, 0))

        def at(rows: Leaves) -> Leaves:
            return self.in_company().fetch("selected", inner, rows)

        def flat(found: Leaves, row: int) -> np.ndarray:
            return np.concatenate([found[key][row].reshape(-1) for key in inner])

        def copies() -> np.ndarray:
            three = at({key: np.repeat(value, COPIES, 0) for key, value in one.items()})
            return np.stack([flat(alone, 0), *(flat(three, row) for row in range(COPIES))])

        alone, moved = at(one), []
        for all_moved in (True, False):
            with contextlib.suppress(tf.errors.OpError):
                moved = [(place, rows, at(rows)) for place, rows in companies(one, other, all_moved)]
                break
        longer = [found for found in moved if any(found[2][key].shape[1:] != alone[key].shape[1:] for key in inner)]
        for place, rows, found in longer[:1]:
            self.company.look_at_filling(scored(alone, one)[0], scored(found, rows)[place])
        same = [(place, flat(found, place)) for place, _, found in moved if not longer]
        self.company.look([], same, copies, bool(self.function.formats))
        self.company.seen_ahead = True
