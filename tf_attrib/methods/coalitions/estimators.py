"""Shapley values of one game, exactly or from coalitions that are drawn, with a standard error for each player. NumPy alone."""

import itertools
import math
from typing import Protocol

import numpy as np
import scipy.special

from .estimate import Estimate, estimated
from .game import Game

# A draw that is all there is to say of a player leaves none of its residual to see; its share left is taken to be this.
LEAST_LEFT = 0.1


class Estimator(Protocol):
    """Estimates what each player of a game gets, from the scores of coalitions.

    Attributes:
        least: draws before which nothing can be said.
        first: draws before the first judgement, where so many are allowed: fewer say too little of their own spread.
        cost: coalitions that one draw evaluates.
        exact: whether nothing is left to chance after the first `least` draws.
    """

    least: int
    first: int
    cost: int
    exact: bool

    def draw(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The reference (rows,) and the players present (rows, m), bool, of the coalitions of `count` draws."""
        ...

    def take(self, scores: np.ndarray) -> None:
        """The scores (rows,) of the coalitions drawn last."""
        ...

    def estimate(self) -> Estimate:
        """What each player gets, and how sure that is."""
        ...


def all_coalitions(players: int) -> np.ndarray:
    """(2^m, m) of bool, the coalition of number i being the binary digits of i."""
    return (np.arange(2**players)[:, None] >> np.arange(players) & 1).astype(bool)


class Enumerated:
    """Shapley 1953: the sum over coalitions S without i of |S|! (m - |S| - 1)! / m! (v(S and i) - v(S)), all evaluated."""

    least, first, exact = 1, 1, True

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

    def estimate(self) -> Estimate:
        m, found = self._game.count, np.zeros(self._game.count)
        sizes, numbers = self._coalitions.sum(1), np.arange(len(self._coalitions))
        weight = np.array([1 / (m * math.comb(m - 1, size)) for size in range(m)])
        for i in range(m):
            without = numbers[~self._coalitions[:, i]]
            found[i] = (weight[sizes[without]] * (self._value[without + (1 << i)] - self._value[without])).sum()
        return Estimate(found, np.zeros(m), 0.0)


class Permutations:
    """What each player adds when players come in one after the other, in an order that is drawn, and in its reverse (Castro et
    al. 2009; Mitchell et al. 2022, arXiv:2104.12199, section 4.1). A draw is an order and its reverse for each reference: what
    they give is one of as many independent vectors, whose mean and standard error are wanted."""

    least, first, exact = 2, 12, False

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

    def estimate(self) -> Estimate:
        vectors = np.concatenate(self._vectors)
        count, mean = len(vectors), vectors.mean(0)
        if count == 1:
            return Estimate(mean, np.full(self._game.count, np.inf), math.inf)
        return estimated(mean, (vectors - mean) / math.sqrt(count * (count - 1)), count - 1)


class Regression:
    """The linear function of who is present that fits the scores of coalitions best, under the weights of Shapley values
    (Lundberg & Lee 2017, arXiv:1705.07874, theorem 2), and sums to what the score differs by. Coalitions are drawn by these
    weights, each with its complement (Covert & Lee 2021, arXiv:2012.01536, sections 3.2 and 4.2); references take turns.

    Against one reference, coalitions of a size (and their complements) are all evaluated once where no more of them exist than
    draws of that size are due, smallest first: they are then weighed as they are, and chance is left to the others.

    Standard errors are those of a least squares fit whose residuals are of any size, by pair (White 1980, 10.2307/1912934):
    what is left of a game that is not linear is as random as the coalitions.
    """

    exact = False

    def __init__(self, game: Game, paired: bool) -> None:
        self._game, self._ways = game, 2 if paired else 1
        self.cost, self.least = self._ways, max(16, 2 * game.count)
        # a line may go through fewer without any being off: through 56 in one of thirty games of fourteen players of whom three
        # count together alone, and what was 40% off had an error of 1e-14
        self.first = 128 // self._ways
        sizes = np.arange(1, game.count)
        weights = 1 / (sizes * (game.count - sizes))
        self._sizes, self._chances = sizes, weights / weights.sum()
        self._listed = 0  # coalitions of so few players, and their complements, are all evaluated
        self._present: list[np.ndarray] = []
        self._gains: list[np.ndarray] = []
        self._by_chance: list[np.ndarray] = []
        self._turn: np.ndarray = np.zeros(0, int)

    def draw(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        game, ways = self._game, self._ways
        listed, left = self._listed_now(count * ways)
        drawn = self._drawn(left // ways)
        present = np.concatenate([*listed, drawn])
        start = sum(map(len, self._present)) // ways
        self._turn = (start + np.arange(len(present)) // ways) % len(game.below)
        self._present.append(present)
        self._by_chance.append(np.arange(len(present)) >= len(present) - len(drawn))
        return self._turn, present

    def _listed_now(self, rows: int) -> tuple[list[np.ndarray], int]:
        """Coalitions of sizes that are listed from now on, with their complements, and how many of `rows` are left."""
        m, listed = self._game.count, []
        while len(self._game.below) == 1 and 2 * self._listed < m - 1:
            size, open_chance = self._listed + 1, self._chances[self._open()].sum()
            either = 1 if 2 * size == m else 2
            due = rows * either * self._chances[size - 1] / open_chance
            if either * math.comb(m, size) > due:
                break
            of_size = np.array(list(itertools.combinations(range(m), size)))
            chosen = np.zeros((len(of_size), m), bool)
            np.put_along_axis(chosen, of_size, True, 1)
            listed.append(np.concatenate([chosen, ~chosen][:either]))
            self._listed, rows = size, rows - len(listed[-1])
        return listed, rows

    def _open(self) -> np.ndarray:
        """Which of `_sizes` are drawn."""
        return (self._sizes > self._listed) & (self._sizes < self._game.count - self._listed)

    def _drawn(self, count: int) -> np.ndarray:
        """Coalitions of sizes that are drawn, each with its complement where they come in pairs."""
        m, rng, open_sizes = self._game.count, self._game.rng, self._open()
        if not open_sizes.any():
            return np.zeros((0, m), bool)
        chances = self._chances[open_sizes]
        size = rng.choice(self._sizes[open_sizes], count, p=chances / chances.sum())
        ranks = np.argsort(rng.random((count, m)), 1).argsort(1)
        one = ranks < size[:, None]
        return np.stack([one, ~one][: self._ways], 1).reshape(-1, m)

    def take(self, scores: np.ndarray) -> None:
        self._gains.append(scores - self._game.below[self._turn])

    def estimate(self) -> Estimate:
        present, gains, weight, by_chance = self._weighed()
        m = present.shape[1]
        weighed = present * weight[:, None]
        try:
            inverse = np.linalg.inv(present.T @ weighed)
        except np.linalg.LinAlgError:
            return Estimate(np.full(m, self._game.moves / m), np.full(m, np.inf), math.inf)
        ones = inverse.sum(1)
        free = inverse @ (weighed.T @ gains)
        found = free - ones * (free.sum() - self._game.moves) / ones.sum()
        bound = inverse - np.outer(ones, ones) / ones.sum()
        drawn = present[by_chance]
        each = weighed[by_chance] @ bound
        # what each draw takes of the m - 1 degrees of freedom, and so of its own residual
        taken = np.einsum("ij,ij->i", each, drawn).reshape(-1, self._ways).sum(1)
        each *= (gains[by_chance] - drawn @ found)[:, None]
        pull = each.reshape(-1, self._ways, m).sum(1) / np.maximum(1 - taken, LEAST_LEFT)[:, None]
        if not len(pull):
            return Estimate(found, np.zeros(m), 0.0)
        return estimated(found, pull - pull.mean(0), max(len(pull) - taken.sum(), 1))

    def _weighed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Who is present (rows, m), gains, weights that sum to 1, and which rows chance has drawn. Rows of a size that was
        drawn before it was listed are left out."""
        present, gains = np.concatenate(self._present), np.concatenate(self._gains)
        by_chance, size, m = np.concatenate(self._by_chance), present.sum(1), self._game.count
        heeded = ~by_chance | self._open()[size - 1]
        present, gains, by_chance, size = present[heeded].astype(float), gains[heeded], by_chance[heeded], size[heeded]
        # of a size; whole numbers of that many digits are none that NumPy knows
        each = self._chances * (m + 1) * np.exp(scipy.special.betaln(1 + m - self._sizes, 1 + self._sizes))
        drawn = self._chances[self._open()].sum() / max(by_chance.sum(), 1)
        return present, gains, np.where(by_chance, drawn, each[size - 1]), by_chance
