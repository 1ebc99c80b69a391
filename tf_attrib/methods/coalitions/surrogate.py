"""A linear model fitted to the scores of coalitions near the example. NumPy alone."""

import math

import numpy as np

from .estimators import all_coalitions
from .game import Game


def closeness(sizes: np.ndarray, players: int, width: float) -> np.ndarray:
    """exp(-D² / width²) of coalitions of these sizes, D being the cosine distance from that of all players."""
    return np.exp(-((1 - np.sqrt(sizes / players)) ** 2) / width**2)


class Surrogate:
    """Ridge regression of the score on who is present, weighed by how close a coalition is to the example (Ribeiro et al. 2016,
    arXiv:1602.04938, equation 1 and section 3.3): how many players are absent is drawn evenly from 1 to m, and then which.

    Where there are no more coalitions than draws, each is evaluated once, and weighs what it would in the mean over draws.
    Standard errors are those of a least squares fit whose residuals are of any size (White 1980, 10.2307/1912934).
    """

    least = 1

    def __init__(self, game: Game, draws: int, width: float, ridge: float) -> None:
        self._game, self._draws, self._width, self._ridge = game, draws, width, ridge
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

    def estimate(self) -> tuple[np.ndarray, np.ndarray]:
        game, sizes = self._game, self._present.sum(1)
        m, weight = game.count, closeness(sizes, game.count, self._width)
        if self.exact:
            chance = np.array([1 / (m * math.comb(m, int(size))) for size in range(m)])
            weight = weight * chance[sizes] * self._draws / len(game.below)
        # the example itself is one of the rows, of weight 1, and the intercept is not penalised
        present = np.vstack([np.ones(m), self._present]).astype(float)
        weight, scores = np.append(1.0, weight), np.append(game.score, self._scores)
        middle, mean = weight @ present / weight.sum(), weight @ scores / weight.sum()
        centred, moved = present - middle, scores - mean
        inverse = np.linalg.inv(centred.T @ (weight[:, None] * centred) + self._ridge * np.eye(m))
        found = inverse @ (centred.T @ (weight * moved))
        if self.exact:
            return found, np.zeros(m)
        pull = (centred * (weight * (moved - centred @ found))[:, None]) @ inverse
        return found, np.sqrt((pull**2).sum(0) * len(scores) / max(len(scores) - m - 1, 1))
