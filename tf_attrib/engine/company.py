"""Whether an example gets the score that it gets alone when it shares a block with others: rows are packed into blocks in any
company and order, so that a score that looks at its batch would be attributed by numbers that belong to no example."""

import dataclasses
from collections.abc import Callable

import numpy as np

from ..common.errors import AttributionError

# Another number of rows takes other kernels, whose sums are in another order; two runs of the same rows are nearly alike.
ALIKE, ALIKE_NARROW, SAME = 1e-3, 2e-2, 1e-5


@dataclasses.dataclass(eq=False)
class Company:
    """What is known of it, for all that is compiled of one model and one kind of inputs.

    Attributes:
        batch_size: how many rows share a block, where the model or its user says so.
        seen: whether an example was looked at in company.
        alone: whether rows are evaluated one at a time, since the score depends on those beside it.
        words: what a reader should know: that it is so, or that the model draws at random; "" where all is well.
    """

    batch_size: int | None = None
    seen: bool = False
    alone: bool = False
    words: str = ""

    def look(self, here: list[np.ndarray], copies: Callable[[], np.ndarray], size: float, narrow: bool) -> None:
        """Compares one row of the output in company with the same row alone, and in several places of a block of its copies.

        Args:
            here: its values in one company and another, (classes,) each.
            copies: evaluates them for blocks of that row only, (copies, classes), the first for it alone.
            size: the largest magnitude of the output.
            narrow: whether the model computes in half precision.

        Raises:
            AttributionError: rows should be evaluated one at a time, and `batch_size` says otherwise.
        """
        first = copies()
        apart = max(_apart(one, first[0]) for one in [*here, *first])
        if apart <= (ALIKE_NARROW if narrow else ALIKE) * size:
            self.seen = True
            return
        if _apart(first, copies()) > SAME * size:
            self.words = (
                f"the model does not give the same score twice (it differed by {apart:.2g} for one example): it draws at "
                "random or changes a state, and attributions are those of such draws"
            )
            self.seen = True
            return
        found = f"an example's score depends on the others in its batch, or its place (by {apart:.2g} for one example)"
        if self.batch_size not in (None, 1):
            raise AttributionError(
                f"{found}, so that attributions would depend on which rows share a block of {self.batch_size}: with "
                "Attributor(model, batch_size=1) rows are evaluated one at a time"
            )
        self.words = f"{found}: rows are evaluated one at a time, as a batch of one each"
        self.seen = self.alone = True  # not where it raises: the next call is refused too


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference, of what is finite in both; infinity where only one of them is."""
    finite = np.isfinite(one) & np.isfinite(other)
    if not np.array_equal(np.isfinite(one), np.isfinite(other)):
        return float("inf")
    return float(np.abs(one[finite].astype(float) - other[finite]).max(initial=0.0))
