"""Shapley values of one game, exactly or from coalitions that are drawn, with a standard error for each player. NumPy alone."""

import math
from typing import Protocol

import numpy as np

from .game import Game


class Estimator(Protocol):
    """Estimates what each player of a game gets, from the scores of coalitions.

    Attributes:
        least: draws before which nothing can be said.
        cost: coalitions that one draw evaluates.
        exact: whether nothing is left to chance after the first `least` draws.
    """

    least: int
    cost: int
    exact: bool

    def draw(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The reference (rows,) and the players present (rows, m), bool, of the coalitions of `count` draws."""
        ...

    def take(self, scores: np.ndarray) -> None:
        """The scores (rows,) of the coalitions drawn last."""
        ...

    def estimate(self) -> tuple[np.ndarray, np.ndarray]:
        """What each player gets, and its standard error, (m,) each, float64."""
        ...


def all_coalitions(players: int) -> np.ndarray:
    """(2^m, m) of bool, the coalition of number i being the binary digits of i."""
    return (np.arange(2**players)[:, None] >> np.arange(players) & 1).astype(bool)


class Enumerated:
    """Shapley 1953: the sum over coalitions S without i of |S|! (m - |S| - 1)! / m! (v(S and i) - v(S)), all evaluated."""

    least, exact = 1, True

    def __init__(self, game: Game) -> None:
        self._game, self._coalitions = game, all_coalitions(game.count)
        self.cost = len(game.below) * max(len(self._coalitions) - 2, 0)

    def draw(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        inner, references = self._coalitions[1:-1], len(self._game.below)
        return np.repeat(np.arange(references), len(inner)), np.tile(inner, (references, 1))

    def take(self, scores: np.ndarray) -> None:
        game = self._game
        inner = scores.reshape(len(game.below), -1).mean(0)
        self._value = np.concatenate([[game.below.mean()], inner, [game.score]])[: len(self._coalitions)]

    def estimate(self) -> tuple[np.ndarray, np.ndarray]:
        m, found = self._game.count, np.zeros(self._game.count)
        sizes, numbers = self._coalitions.sum(1), np.arange(len(self._coalitions))
        weight = np.array([1 / (m * math.comb(m - 1, size)) for size in range(m)])
        for i in range(m):
            without = numbers[~self._coalitions[:, i]]
            found[i] = (weight[sizes[without]] * (self._value[without + (1 << i)] - self._value[without])).sum()
        return found, np.zeros(m)


class Permutations:
    """What each player adds when players come in one after the other, in an order that is drawn, and in its reverse (Castro et
    al. 2009; Mitchell et al. 2022, arXiv:2104.12199, section 4.1). A draw is an order and its reverse for each reference: what
    they give is one of as many independent vectors, whose mean and standard error are wanted."""

    least, exact = 2, False

    def __init__(self, game: Game, antithetic: bool) -> None:
        self._game, self._ways = game, 2 if antithetic else 1
        self._steps = game.count - 1
        self.cost = len(game.below) * self._ways * self._steps
        self._orders: np.ndarray = np.zeros((0, game.count), int)
        self._vectors: list[np.ndarray] = []

    def draw(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        game, references = self._game, len(self._game.below)
        orders = np.stack([game.rng.permutation(game.count) for _ in range(count * references)])
        self._orders = np.stack([orders, orders[:, ::-1]][: self._ways], 1).reshape(-1, game.count)
        ranks = np.argsort(self._orders, 1)
        present = ranks[:, None] < np.arange(1, game.count)[:, None]
        of_order = np.repeat(np.tile(np.arange(references), count), self._ways)
        return np.repeat(of_order, self._steps), present.reshape(-1, game.count)

    def take(self, scores: np.ndarray) -> None:
        game, orders = self._game, self._orders
        below = np.tile(np.repeat(game.below, self._ways), len(orders) // (len(game.below) * self._ways))
        values = np.column_stack([below, scores.reshape(len(orders), self._steps), np.full(len(orders), game.score)])
        added = np.empty(orders.shape)
        np.put_along_axis(added, orders, np.diff(values, axis=1), 1)
        self._vectors.append(added.reshape(-1, len(game.below) * self._ways, game.count).mean(1))

    def estimate(self) -> tuple[np.ndarray, np.ndarray]:
        vectors = np.concatenate(self._vectors)
        return vectors.mean(0), vectors.std(0, ddof=1) / math.sqrt(len(vectors))


class Regression:
    """The linear function of who is present that fits the scores of coalitions best, under the weights of Shapley values
    (Lundberg & Lee 2017, arXiv:1705.07874, theorem 2), and sums to what the score differs by. Coalitions are drawn by these
    weights, each with its complement (Covert & Lee 2021, arXiv:2012.01536, sections 3.2 and 4.2); references take turns.

    Standard errors are those of a least squares fit whose residuals are of any size, by pair (White 1980, 10.2307/1912934):
    what is left of a game that is not linear is as random as the coalitions.
    """

    exact = False

    def __init__(self, game: Game, paired: bool) -> None:
        self._game, self._ways = game, 2 if paired else 1
        self.cost, self.least = self._ways, max(16, 2 * game.count)
        sizes = np.arange(1, game.count)
        weights = 1 / (sizes * (game.count - sizes))
        self._sizes, self._chances = sizes, weights / weights.sum()
        self._present: list[np.ndarray] = []
        self._gains: list[np.ndarray] = []
        self._turn: np.ndarray = np.zeros(0, int)

    def draw(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        game = self._game
        size = game.rng.choice(self._sizes, count, p=self._chances)
        ranks = np.argsort(game.rng.random((count, game.count)), 1).argsort(1)
        one = ranks < size[:, None]
        present = np.stack([one, ~one][: self._ways], 1).reshape(-1, game.count)
        start = sum(map(len, self._present)) // self._ways
        self._turn = np.repeat((start + np.arange(count)) % len(game.below), self._ways)
        self._present.append(present)
        return self._turn, present

    def take(self, scores: np.ndarray) -> None:
        self._gains.append(scores - self._game.below[self._turn])

    def estimate(self) -> tuple[np.ndarray, np.ndarray]:
        present, gains = np.concatenate(self._present).astype(float), np.concatenate(self._gains)
        rows, m = present.shape
        try:
            inverse = np.linalg.inv(present.T @ present / rows)
        except np.linalg.LinAlgError:
            return np.full(m, self._game.moves / m), np.full(m, np.inf)
        ones = inverse.sum(1)
        free = inverse @ (present.T @ gains / rows)
        found = free - ones * (free.sum() - self._game.moves) / ones.sum()
        pull = present * (gains - present @ found)[:, None]
        pull = pull.reshape(-1, self._ways, m).sum(1) @ (inverse - np.outer(ones, ones) / ones.sum())
        pairs = len(pull)
        return found, np.sqrt((pull**2).sum(0) * pairs / max(pairs - m + 1, 1)) / rows
