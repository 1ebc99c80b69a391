"""Looks whether an example gets the score that it gets alone when it shares a block with others (see `company`)."""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.errors import AttributionError
from ..common.types import Leaves
from ..graph.traced.cut import Port
from ..graph.traced.heads_and_lookups import find_lookups
from ..graph.traced.tf_private import operation_types
from ..selection.settled import WORDS
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
            return np.concatenate([of(*those) for those in repeated])

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
        beside = self.function.output.data
        texts = {key: value for key, value in inputs.items() if key not in beside}
        one, other = ({key: value[[i]] for key, value in texts.items()} for i in (-1, 0))
        # a score's own rows stay those of the example, whatever is beside it
        own_rows = {key: value[[-1]] for key, value in inputs.items() if key in beside and key[0] != WORDS}

        def at(rows: Leaves) -> Leaves:
            return self.in_company().fetch("selected", inner, rows)

        def flat(found: Leaves, row: int) -> np.ndarray:
            return np.concatenate([found[key][row].reshape(-1) for key in inner])

        def copies() -> np.ndarray:
            three = at({key: np.repeat(value, COPIES, 0) for key, value in one.items()})
            return np.stack([flat(alone, 0), *(flat(three, row) for row in range(COPIES))])

        def taken(found: Leaves, rows: Leaves, place: int) -> np.ndarray | None:
            with contextlib.suppress(tf.errors.OpError):
                count = len(next(iter(rows.values())))
                return scored(found, rows | {key: np.repeat(value, count, 0) for key, value in own_rows.items()})[place]
            return None

        alone, moved = at(one), []
        for all_moved in (True, False):
            with contextlib.suppress(tf.errors.OpError):
                rows_of = [(place, self.with_words(rows)) for place, rows in companies(one, other, all_moved)]
                moved = [(place, rows, at(rows)) for place, rows in rows_of]
                break
        longer = [found for found in moved if any(found[2][key].shape[1:] != alone[key].shape[1:] for key in inner)]
        for place, rows, found in longer[:1]:
            own, words = ({key: value[[place]] for key, value in all_of.items()} for all_of in (found, rows))
            filled, in_own_block = taken(found, rows, place), taken(own, words | one, 0)
            self.company.look_at_filling(scored(alone, self.with_words(one) | own_rows)[0], filled, in_own_block)
        same = [(place, flat(found, place)) for place, _, found in moved if not longer]
        self.company.look([], same, copies, bool(self.function.formats))
        self.company.seen_ahead = True

    def check_of_one_length(self, inputs: Leaves) -> None:
        """Raises AttributionError where examples must be of one length, and are not: see `Company.of_one_length`."""
        ports, count = self.function.place.ports, len(next(iter(inputs.values())))
        selected = {port.tensor.ref() for port in ports.values() if port.batch_axis is None}
        ragged = selected and any(one.ragged and one.tensor.ref() in selected for one in find_lookups(self.function.traced))
        if not (ragged or self.company.of_one_length):
            return
        alone = (self.fetch("selected alone", ports, {key: value[[i]] for key, value in inputs.items()}) for i in range(count))
        lengths = [tuple(value.shape[1:] for value in found.values()) for found in alone]
        other = next((i for i, length in enumerate(lengths) if length != lengths[0]), None)
        if other is not None:
            why = (
                "the model looks their words up in ragged rows, of which only the example's own may be fed"
                if ragged
                else "what the model makes of them beside the selected tensors, such as a mask, is as long as the longest of "
                "those that are evaluated together"
            )
            raise AttributionError(
                f"examples 0 and {other} are of different lengths, {lengths[0][0][0]} and {lengths[other][0][0]}, and {why}: "
                "give those of one length together, or one at a time, or have the model's TextVectorization give rows of "
                "output_sequence_length"
            )
