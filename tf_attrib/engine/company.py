"""Whether an example gets the score that it gets alone when it shares a block with others: rows are packed into blocks in any
company and order, so that a score that looks at its batch would be attributed by numbers that belong to no example."""

import dataclasses
from collections.abc import Callable

import numpy as np

from ..common.errors import AttributionError
from ..common.types import Leaves

# Another number of rows takes other kernels, whose sums are in another order; two runs of the same rows are nearly alike, and
# so are two of a row in the same place among as many others, whatever these are.
ALIKE, ALIKE_NARROW, SAME, SAME_NARROW = 1e-3, 2e-2, 1e-5, 2e-3
ONE_LENGTH = "give the model's TextVectorization an output_sequence_length, or its Embedding mask_zero=True"


@dataclasses.dataclass(eq=False)
class Company:
    """What is known of it, for all that is compiled of one model and one kind of inputs.

    Attributes:
        batch_size: how many rows share a block, where the model or its user says so.
        seen: whether an example was looked at in company; `seen_ahead`: whether it was in front of the selected tensors.
        seen_twice: whether one that shares no block was evaluated again.
        draws: whether the same rows get other scores when they are evaluated again.
        alone: whether rows are evaluated one at a time, since the score depends on those beside it.
        filled: whether the score depends on how far an example is filled up to the length of others.
        of_one_length: whether rows of a block must be as long as their inputs make it: what else follows from these, such as a
            mask, is as long as the longest of the block, and does not fit what was filled up to a longer one of another.
        words: what a reader should know: that it is so, or that the model draws at random; "" where all is well.
    """

    batch_size: int | None = None
    seen: bool = False
    seen_ahead: bool = False
    seen_twice: bool = False
    draws: bool = False
    alone: bool = False
    filled: bool = False
    of_one_length: bool = False
    words: str = ""

    def look(
        self,
        here: list[np.ndarray],
        moved: list[tuple[int, np.ndarray]],
        copies: Callable[[], np.ndarray],
        narrow: bool,
        values: np.ndarray | None = None,
    ) -> None:
        """Compares one row in company with the same row alone, and in several places of a block of its copies.

        Args:
            here: its values in one company and another, (classes,) each.
            moved: the same in blocks of as many rows as the copies have, which are far from it: each with its place there.
            copies: evaluates them for blocks of that row only, (copies, classes), the first for it alone.
            narrow: whether the model computes in half precision.
            values: those of all rows that came, which tell how large values are; None: those of the copies do.

        Raises:
            AttributionError: rows should be evaluated one at a time, and `batch_size` says otherwise.
        """
        first = copies()
        size = _largest(first if values is None else values)
        apart = max(_apart(one, first[0]) for one in [*here, *first])
        stirred = max((_apart(one, first[1 + place]) for place, one in moved), default=0.0)
        if apart <= (ALIKE_NARROW if narrow else ALIKE) * size and stirred <= (SAME_NARROW if narrow else SAME) * size:
            return
        apart = max(apart, stirred)
        if _apart(first, copies()) > SAME * size:
            self._say_that_it_draws(apart)
            return
        found = f"an example's score depends on the others in its batch, or its place (by {apart:.2g} for one example)"
        if self.batch_size not in (None, 1):
            raise AttributionError(
                f"{found}, so that attributions would depend on which rows share a block of {self.batch_size}: with "
                "Attributor(model, batch_size=1) rows are evaluated one at a time"
            )
        self.words = (
            f"{found}: rows are evaluated one at a time, as a batch of one each; normalisation by the batch makes it so, and "
            "dropout that is on, of which attributions are those of one draw"
        )
        self.alone = True

    def look_twice(self, values: np.ndarray, again: np.ndarray) -> None:
        """Compares the values of a row with those that the very same call gave later."""
        apart = _apart(values, again)
        if apart > SAME * _largest(values):
            self._say_that_it_draws(apart)

    def _say_that_it_draws(self, apart: float) -> None:
        self.draws = True
        self.words = (
            f"the model does not give the same score twice (it differed by {apart:.2g} for one example): it draws at random or "
            "changes a state, and attributions are those of such draws"
        )

    def look_at_filling(self, alone: np.ndarray, filled: np.ndarray | None, in_own_block: np.ndarray | None) -> None:
        """Compares the output for one row alone, where it is filled up to the length of a longer one beside it, and where it is
        filled up as far in a block of its own; None where the model fails on such."""
        size = _largest(alone)
        if filled is None or in_own_block is None or _apart(filled, in_own_block) > ALIKE * size:
            self.of_one_length = True
        if filled is not None and (apart := _apart(alone, filled)) > ALIKE * size:
            self.filled = True
            self.words = (
                f"an example's score depends on how long the others in its batch are (by {apart:.2g} for one example), since "
                "it is filled up to the longest of them, and attributions are those of the examples as they came together: "
                f"{ONE_LENGTH}"
            )


def companies(one: Leaves, other: Leaves, all_moved: bool) -> list[tuple[int, Leaves]]:
    """Blocks of three rows that hold one row, and others far from it, each block with the place of that row.

    What follows from the largest or smallest value of a batch, its median, its first row or its sum is another in each, where
    copies of a row leave all of them as they are.

    Args:
        one, other: (1, ...) by key, that row and another one that the model takes.
        all_moved: whether whole numbers, truths and words are moved too, which a model may have no entry for.
    """
    moved = {key: _far(value, all_moved) for key, value in one.items()}
    above = {key: np.concatenate([moved[key][0], value, other[key]]) for key, value in one.items()}
    below = {key: np.concatenate([value, moved[key][1], moved[key][1]]) for key, value in one.items()}
    return [(1, above), (0, below)]


def _far(value: np.ndarray, all_moved: bool) -> tuple[np.ndarray, np.ndarray]:
    """Values far above these and far below."""
    kind = value.dtype.kind
    if kind == "f":
        span = (1 + 2 * np.abs(value[np.isfinite(value)]).max(initial=0)).astype(value.dtype)
        return value + span, value - span
    if not all_moved:
        return value, value
    if kind in "iu":
        return value + (value < np.iinfo(value.dtype).max), value - (value > 0)
    if kind == "b":
        return np.ones_like(value), np.zeros_like(value)
    if kind in "OSU":
        text = np.array(value, object)
        return text + (b" " if isinstance(text.flat[0], bytes) else " ") + text, value
    return value, value


def _largest(values: np.ndarray) -> float:
    """The largest magnitude of what is finite."""
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference, of what is finite in both; infinity where only one of them is, or their shapes differ."""
    if not np.array_equal(np.isfinite(one), np.isfinite(other)):
        return float("inf")
    finite = np.isfinite(one)
    return float(np.abs(one[finite].astype(float) - other[finite]).max(initial=0.0))
