"""A linear model fitted to the scores of coalitions near the example. NumPy alone."""

import math

import numpy as np

from ...common.errors import AttributionError
from .estimate import Estimate
from .estimators import all_coalitions
from .game import Game

# Bootstrap samples that errors are taken from where the penalty has corners; sweeps over coefficients, and when they end.
RESAMPLED, SWEEPS, STILL = 60, 10_000, 1e-9


def closeness(sizes: np.ndarray, players: int, width: float) -> np.ndarray:
    """exp(-D² / width²) of coalitions of these sizes, D being the cosine distance from that of all players."""
    return np.exp(-((1 - np.sqrt(sizes / players)) ** 2) / width**2)


def penalised(gram: np.ndarray, moment: np.ndarray, ridge: float, lasso: float) -> np.ndarray:
    """The w that minimises w·Gw - 2 m·w + ridge |w|² + lasso Σ|w|, of G `gram` (m, m) and m `moment` (m,): without `lasso` in
    closed form, else coordinate by coordinate (Friedman et al. 2010, 10.18637/jss.v033.i01, section 2)."""
    found = np.linalg.solve(gram + ridge * np.eye(len(gram)), moment)
    if not lasso:
        return found
    curve = np.diag(gram) + ridge
    for _ in range(SWEEPS):
        before = found.copy()
        for i in range(len(found)):
            pull = moment[i] - gram[i] @ found + gram[i, i] * found[i]
            found[i] = np.sign(pull) * max(abs(pull) - lasso / 2, 0) / curve[i]
        if np.abs(found - before).max() <= STILL * np.abs(found).max():
            break
    return found


def _spread(present: np.ndarray, weight: np.ndarray) -> float:
    """The sum of the eigenvalues of the weighed rows' scatter about their mean."""
    return float(weight @ ((present - weight @ present / weight.sum()) ** 2).sum(1))


class Surrogate:
    """Ridge regression of the score on who is present, weighed by how close a coalition is to the example (Ribeiro et al. 2016,
    arXiv:1602.04938, equation 1 and section 3.3): how many players are absent is drawn evenly from 1 to m, and then which.

    Where there are no more coalitions than draws, each is evaluated once, and weighs what it would in the mean over draws.
    Standard errors are those of a least squares fit whose residuals are of any size (White 1980, 10.2307/1912934); with `lasso`
    (Tibshirani 1996, 10.1111/j.2517-6161.1996.tb02080.x) those of the bootstrap over what was drawn (Efron 1979,
    10.1214/aos/1176344552), since no formula knows of coefficients that are 0.
    """

    least, first = 1, 1

    def __init__(self, game: Game, draws: int, width: float, ridge: float, lasso: float = 0.0) -> None:
        self._game, self._draws, self._width, self._penalties = game, draws, width, (ridge, lasso)
        self.exact = 2**game.count - 1 <= draws
        self.cost = (2**game.count - 1) * len(game.below) if self.exact else 1

    def draw(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        game, references = self._game, len(self._game.below)
        if self.exact:
            inner = all_coalitions(game.count)[:-1]
            self._present = np.tile(inner, (references, 1))
            self._turn = np.repeat(np.arange(references), len(inner))
        else:
            absent = game.rng.integers(1, game.count + 1, count)
            ranks = np.argsort(game.rng.random((count, game.count)), 1).argsort(1)
            self._present, self._turn = ranks >= absent[:, None], np.arange(count) % references
        return self._turn, self._present

    def take(self, scores: np.ndarray) -> None:
        self._scores = scores

    def estimate(self) -> Estimate:
        game, sizes = self._game, self._present.sum(1)
        m, chances = game.count, np.ones(len(sizes))
        if self.exact:
            chance = np.array([1 / (m * math.comb(m, int(size))) for size in range(m)])
            chances = chance[sizes] * self._draws / len(game.below)
        weight = closeness(sizes, m, self._width) * chances
        # the example itself is one of the rows, of weight 1, and the intercept is not penalised
        present = np.vstack([np.ones(m), self._present]).astype(float)
        weight, scores = np.append(1.0, weight), np.append(game.score, self._scores)
        self._check_width(present, weight, np.append(1.0, chances))
        found, centred, moved = self._line(present, weight, scores)
        if self.exact:
            return Estimate(found, np.zeros(m))
        if self._penalties[1]:
            rng = np.random.default_rng(len(scores))  # the same for the same draws
            often = rng.multinomial(len(self._scores), np.full(len(self._scores), 1 / len(self._scores)), RESAMPLED)
            lines = [self._line(present, weight * np.append(1, counts), scores)[0] for counts in often]
            return Estimate(found, np.std(lines, axis=0, ddof=1))
        inverse = np.linalg.inv(centred.T @ (weight[:, None] * centred) + self._penalties[0] * np.eye(m))
        pull = (centred * (weight * (moved - centred @ found))[:, None]) @ inverse
        return Estimate(found, np.sqrt((pull**2).sum(0) * len(scores) / max(len(scores) - m - 1, 1)))

    def _check_width(self, present: np.ndarray, weight: np.ndarray, far: np.ndarray) -> None:
        """Raises AttributionError where the kernel leaves coalitions so little weight that the penalty alone decides; `far`:
        what they would weigh at any distance."""
        m, ridge = self._game.count, self._penalties[0]
        least = m * ridge  # of the sum of eigenvalues: coefficients are less than half of what they are without the penalty
        if _spread(present, weight) < least <= _spread(present, far):
            nearest = 1 - math.sqrt((m - 1) / m)
            raise AttributionError(
                f"kernel_width={self._width:g} is too narrow for an example with {m} features that differ from the baseline: "
                f"the nearest coalitions lie at a distance of {nearest:.2g} and weigh next to nothing, so that ridge={ridge:g} "
                "would draw all coefficients to 0; take a wider kernel"
            )

    def _line(self, present: np.ndarray, weight: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The coefficients (m,) of a line through weighed rows, and the rows and scores less their means."""
        middle, mean = weight @ present / weight.sum(), weight @ scores / weight.sum()
        centred, moved = present - middle, scores - mean
        return (
            penalised(centred.T @ (weight[:, None] * centred), centred.T @ (weight * moved), *self._penalties),
            centred,
            moved,
        )
