"""The integrator of methods that evaluate coalitions: it draws for each example until what it gives is sure enough."""

import dataclasses
import math
from collections.abc import Generator

import numpy as np

from ...engine.integral.integrator import Batch, Outcome
from ...engine.integral.refined import CONVERGED, MAX_EVALUATIONS
from ...engine.work import Work
from ...result.completeness import NOT_REPEATABLE
from .estimate import Estimate
from .estimators import Estimator
from .game import Game, handed_out

# How many times the draws so far one round may add.
GROWTH = 1.0
# Entries of the table of who is present that are evaluated together.
TOGETHER = 2**25


@dataclasses.dataclass(eq=False)
class _Example:
    """One example's game, its estimator (None where no one plays), and how many draws were taken."""

    number: int
    game: Game
    estimator: Estimator | None
    draws: int = 0
    evaluations: int = 0
    finite: bool = True
    estimate: Estimate = dataclasses.field(default_factory=lambda: Estimate(np.zeros(0), np.zeros(0), 0.0))

    @property
    def error(self) -> float:
        """The estimated L1 error relative to the L1 norm."""
        return self.estimate.error if self.finite else math.nan


def first_draws(estimator: Estimator, most: int, fixed: int = 0) -> int:
    """How many draws come first, where `most` coalitions are allowed; `fixed` where that is settled."""
    if estimator.exact:
        return estimator.least
    return fixed or min(max(estimator.least, estimator.first), max(most // estimator.cost, estimator.least))


def further_draws(draws: int, error: float, tolerance: float) -> int:
    """How many more draws are due where so many left this error."""
    return max(1, draws // 8, math.ceil(draws * min(GROWTH, 1.1 * (error / tolerance) ** 2 - 1)))


class Sampled:
    """Draws coalitions until the estimated error of each example is at most `tolerance`, or `most` coalitions were evaluated.

    Args:
        games: those of the examples.
        estimators: one for each game; None where no one plays.
        tolerance: None: no error is stated.
        most: coalitions of one example.
        draws: so many are taken; 0: until the error is within the tolerance.
        split: whether features of one group share what it gets (`game.handed_out`).
    """

    def __init__(
        self,
        work: Work,
        games: list[Game],
        estimators: list[Estimator | None],
        tolerance: float | None,
        most: int,
        split: bool,
        draws: int = 0,
    ) -> None:
        self._work, self._tolerance, self._most, self._split, self._draws = work, tolerance, most, split, draws
        self._examples = [_Example(i, *both) for i, both in enumerate(zip(games, estimators, strict=True))]
        self._groups = 1 + max(int(work.tables.extra["group", i].max(initial=0)) for i in range(len(work.tables.x)))
        self._scores = np.zeros(0)
        self._rounds = self._all_rounds()

    def first(self) -> Batch:
        found = self.refine()
        # where no one plays anywhere a row of everyone is evaluated, since something must be
        return self._batch([0], [np.zeros(1, int)], [np.ones((1, self._groups), bool)]) if found is None else found

    def accept(self, rows: Batch, slots: np.ndarray, sums: list[np.ndarray], scores: np.ndarray, slopes: np.ndarray) -> None:
        self._scores[rows.number] = scores

    def refine(self) -> Batch | None:
        return next(self._rounds, None)

    def _all_rounds(self) -> Generator[Batch, None, None]:
        waiting = [one for one in self._examples if one.estimator is not None]
        while waiting:
            yield from self._round([(one, self._wanted(one)) for one in waiting])
            waiting = [one for one in waiting if self._wanted(one) > 0]

    def _wanted(self, one: _Example) -> int:
        """How many draws are taken next: by what this example alone gave so far."""
        estimator = one.estimator
        assert estimator is not None
        if one.draws == 0:
            return first_draws(estimator, self._most, self._draws)
        if estimator.exact or self._draws or self._tolerance is None or not one.finite or one.error <= self._tolerance:
            return 0
        left = min(self._most - one.evaluations, TOGETHER // one.game.count) // estimator.cost
        return min(left, further_draws(one.draws, one.error, self._tolerance))

    def _round(self, wanted: list[tuple[_Example, int]]) -> Generator[Batch, None, None]:
        """Evaluates the draws of several examples, so many coalitions at a time as memory has room for."""
        drawn = []
        for one, count in wanted:
            assert one.estimator is not None
            drawn.append((one, count, *one.estimator.draw(count)))
        most = max(1, TOGETHER // max(self._groups, 1))
        parts = [
            (one, reference[start : start + most], present[start : start + most])
            for one, _, reference, present in drawn
            for start in range(0, len(reference), most)
        ]
        scores: list[np.ndarray] = []
        while parts:
            rows = np.cumsum([len(reference) for _, reference, _ in parts])
            now = parts[: max(1, int(np.searchsorted(rows, most, side="right")))]
            parts = parts[len(now) :]
            yield self._batch(
                [one.number for one, _, _ in now],
                [reference for _, reference, _ in now],
                [self._everyone(one.game, present) for one, _, present in now],
            )
            scores.append(self._scores)
        found = np.split(
            np.concatenate(scores) if scores else np.zeros(0), np.cumsum([len(reference) for _, _, reference, _ in drawn])[:-1]
        )
        for (one, count, _, _), values in zip(drawn, found, strict=True):
            self._take(one, count, values)

    def _take(self, one: _Example, count: int, values: np.ndarray) -> None:
        assert one.estimator is not None
        one.draws, one.evaluations = one.draws + count, one.evaluations + len(values)
        one.finite &= bool(np.isfinite(values).all() and np.isfinite(one.game.moves))
        if one.finite:
            one.estimator.take(values)
            one.estimate = one.estimator.estimate()

    def _everyone(self, game: Game, present: np.ndarray) -> np.ndarray:
        """(rows, groups): those that do not play are present."""
        found = np.ones((len(present), self._groups), bool)
        found[:, game.players] = present
        return found

    def _batch(self, numbers: list[int], references: list[np.ndarray], present: list[np.ndarray]) -> Batch:
        example = np.repeat(numbers, [len(one) for one in references])
        count = len(example)
        self._scores = np.zeros(count)
        one = np.ones(count)
        return Batch(example, np.concatenate(references), one, one, example, np.arange(count), False, np.concatenate(present))

    def outcome(self) -> Outcome:
        dtype, examples = self._work.session.function.dtype.as_numpy_dtype, self._examples
        found, deviation = (
            handed_out(self._work, [self._wide(one, name) for one in examples], self._split, dtype)
            for name in ("found", "deviation")
        )
        evaluations = np.array([one.evaluations for one in examples])
        error = status = None
        if self._tolerance is not None:
            error = np.array([one.error for one in examples])
            status = np.where(error <= self._tolerance, CONVERGED, MAX_EVALUATIONS)
        draws = self._work.session.company.draws
        if draws and status is not None:  # all coalitions may have been met: what each would score again is not known
            status, error = np.full(len(examples), NOT_REPEATABLE), None
        return Outcome(
            found,
            np.zeros(len(examples), int),
            evaluations,
            np.array([one.finite for one in examples]),
            np.full(len(examples), np.nan),
            error_estimate=error,
            status=status,
            standard_error=None if draws else deviation,
        )

    def _wide(self, one: _Example, name: str) -> np.ndarray:
        """What players have under `name`, (groups,): 0 for those that do not play."""
        found, values = np.zeros(self._groups), getattr(one.estimate, name)
        if len(values):
            found[one.game.players] = values
        return found
