"""RISE: the mean score under random masks, at each feature over those that leave it."""

import dataclasses
import math
from collections.abc import Generator

import numpy as np

from ..common.checks import number, whole
from ..common.errors import AttributionError
from ..common.types import Features, Leaves
from ..engine.copies import digest, drawn
from ..engine.integral.integrator import Batch, Integrator, Outcome
from ..engine.method import Method
from ..engine.row import RowFunction
from ..engine.session import Session
from ..engine.work import Work
from ..selection.channels_last import WITH_CHANNELS, width_as_channels
from ..selection.score_function import ScoreFunction
from .masked_rows import MaskedSums, for_each_channel, positions_in

# Entries of the coarse masks that are evaluated together.
TOGETHER = 2**22


@dataclasses.dataclass(frozen=True)
class RISE(Method):
    """The expected score while a feature is seen: the sum of F(x' + M · (x - x')) · M_i over random masks M, divided by their
    number and by the expectation of M_i (Petsiuk et al. 2018, arXiv:1806.07421, equation 6). It needs no gradient.

    Masks are drawn as in the paper's section 3.2: a coarse grid of cells, each seen with a given probability, is enlarged
    linearly to one cell more than the input has along each axis, and shifted by up to a cell at random. Channels and embedding
    dimensions are masked together, and each has the whole number. `result.standard_error` is that of the mean over masks; NaN
    where no mask left a feature to be seen, whose number is then 0.

    Attributes:
        n_masks: forward passes of each example.
        grid: cells along each axis, or one number for each; at most one for each position.
        probability: with which a cell is seen.
    """

    n_masks: int = 4000
    grid: int | tuple[int, ...] = 7
    probability: float = 0.5
    # masks are fractions: what is not float is masked behind where it becomes so, unlike what is forward_only
    kind = "expectation"
    in_score_units = False
    symmetric = False
    dummies = False
    random = True

    def __post_init__(self) -> None:
        whole("n_masks", self.n_masks, 2)
        for cells in self.grid if isinstance(self.grid, tuple | list) else (self.grid,):
            whole("grid (cells, one number for all axes, or one for each)", cells)
        number("probability", self.probability, above=0)
        if self.probability >= 1:
            raise AttributionError(f"probability must be below 1, such as 0.5; got {self.probability!r}: it masks nothing")

    def session_for(self, session: Session) -> Session:
        place = session.function.place
        if len(place.ports) > 1:
            raise AttributionError(
                f"RISE masks one tensor, and {place.words} are several, {', '.join(repr(key) for key in place.ports)}: select "
                "one, at=ta.inputs(name); the others stay as they are"
            )
        return session

    def integrator(self, work: Work, seed: int | None) -> Integrator:
        return RandomMasks(work, drawn(seed), int(self.n_masks), self._cells(work), float(self.probability))

    def sum_shapes(self, features: Features, work: Work) -> Features:
        self._cells(work)
        return features

    def row(self, features: Features, kind: str) -> RowFunction:
        (shape,) = features.values()
        return MaskedSums(max(len(shape) - 1, 1))

    def notes(self, function: ScoreFunction) -> tuple[str, ...]:
        differ = "each number is an expected score: what tells is how they differ, not how far they are from 0"
        return differ, *width_as_channels(function)

    def _cells(self, work: Work) -> tuple[int, ...]:
        """How many cells there are along each axis of positions."""
        (x,) = work.tables.x.values()
        if x.ndim < 2:
            raise AttributionError("RISE masks features, (batch, ...), and the input is one number for each example, (batch,)")
        sizes = positions_in(work.session.function, x)
        given = tuple(self.grid) if isinstance(self.grid, tuple | list) else (self.grid,) * len(sizes)
        if len(given) != len(sizes):
            raise AttributionError(
                f"grid={self.grid!r} for positions {sizes}: give one number, or {len(sizes)} of them"
                + (f"; of images without channels {WITH_CHANNELS}" if len(given) == x.ndim - 1 == 2 else "")
            )
        return tuple(min(int(cells), size) for cells, size in zip(given, sizes, strict=True))


class RandomMasks:
    """Draws masks for each example by itself, and sums the scores under them.

    Args:
        seed: with an example's own values, of what is drawn for it.
        count: masks of each example; references take turns.
        cells: along each axis.
        probability: with which a cell is seen.
    """

    def __init__(self, work: Work, seed: int, count: int, cells: tuple[int, ...], probability: float) -> None:
        self._work, self._count, self._cells, self._probability = work, count, cells, probability
        (self._x,) = work.tables.x.values()
        sizes = positions_in(work.session.function, self._x)
        self._sides = np.array([-(-size // number) for size, number in zip(sizes, cells, strict=True)])
        self._rngs = [np.random.default_rng([seed, digest(work.tables.x, i)]) for i in range(len(self._x))]
        self._sums = np.zeros((2, len(self._x), *sizes))
        self._finite = np.ones(len(self._x), bool)
        self._rounds = self._all_rounds()

    def first(self) -> Batch:
        return next(self._rounds)

    def _all_rounds(self) -> Generator[Batch, None, None]:
        examples, size, references = len(self._x), math.prod(self._cells), self._work.tables.references.count
        together = max(1, TOGETHER // (examples * size))
        for start in range(0, self._count, together):
            number = np.arange(start, min(start + together, self._count))
            # one line of numbers for each mask, so that how many are drawn at once does not matter
            drawn = np.stack([rng.random((len(number), size + len(self._cells))) for rng in self._rngs])
            drawn = drawn.reshape(-1, size + len(self._cells))
            seen = (drawn[:, :size] < self._probability).astype(np.float32)
            places = tuple((drawn[:, size:] * self._sides).astype(int).T)
            begin = np.asarray(np.ravel_multi_index(places, tuple(self._sides)))
            example = np.repeat(np.arange(examples), len(number))
            one = np.ones(len(example))
            turn = np.tile(number % references, examples)
            yield Batch(example, turn, one, one, example, begin, False, seen.reshape(-1, *self._cells))

    def accept(self, rows: Batch, slots: np.ndarray, sums: list[np.ndarray], scores: np.ndarray, slopes: np.ndarray) -> None:
        for total, found in zip(self._sums, sums, strict=True):
            total[slots] += found
        self._finite[rows.example[~np.isfinite(scores)]] = False

    def refine(self) -> Batch | None:
        return next(self._rounds, None)

    def outcome(self) -> Outcome:
        count, (total, squares) = self._count, self._sums
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0) / (count - 1))
        deviation[squares == 0] = np.nan  # no mask left it to be seen: its 0 is of no draw
        used = np.full(len(self._x), count)
        return Outcome(
            self._handed_out(mean / self._probability),
            np.zeros_like(used),
            used,
            self._finite,
            np.full(len(used), np.nan),
            standard_error=self._handed_out(deviation / self._probability),
        )

    def _handed_out(self, values: np.ndarray) -> Leaves:
        """(n, 1, ...) by key, `values` (n, *positions) for every channel."""
        (key,) = self._work.tables.x
        return {key: for_each_channel(self._work.session.function, values, self._x)[:, None]}
