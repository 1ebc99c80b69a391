"""Shapley values inside a graph: all coalitions of few players, or orders that are drawn until they are sure enough."""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from ..engine.integral.refined import CONVERGED, MAX_EVALUATIONS
from ..methods.coalitions.estimate import DEVIATIONS, MEAN_DEVIATION, REPLICATES, student
from ..methods.coalitions.estimators import Permutations, all_coalitions
from ..methods.coalitions.game import CoalitionScore
from .chunk import Chunk, Scoring
from .fixed import Found

# TensorFlow's stubs know fewer operators and arguments of tensors than there are.
# pyright: reportOperatorIssue=false, reportArgumentType=false

ROW = CoalitionScore()
# Degrees of freedom up to which Student's factor is looked up, and its first term beyond (Peizer & Pratt 1968).
FEW, BEYOND_FEW = 64, (1.96**2 + 1) / 4


@dataclasses.dataclass(frozen=True, eq=False)
class Game:
    """Who plays, the same in every example.

    Attributes:
        groups: int (...) for each selected tensor, the player that each of its features belongs to.
        players: m.
        tolerance: the estimated L1 error that is aimed at, relative to the L1 norm.
        max_evaluations: coalitions of one example.
        exact: whether all of them are evaluated.
        draws: how many are taken, whatever the error; 0: as many as the tolerance asks for.
        ways: 2 where each order is taken in reverse, too, else 1.
        seed: of the orders, which are the same for all examples.
    """

    groups: list[np.ndarray]
    players: int
    tolerance: float
    max_evaluations: int
    exact: bool
    draws: int
    ways: int
    seed: int


def shapley(chunk: Chunk, game: Game) -> Found:
    """What every feature gets: an equal part of what its player does."""
    values, evaluations, error = _enumerated(chunk, game) if game.exact else _drawn(chunk, game)
    sizes = sum(np.bincount(one.ravel(), minlength=game.players) for one in game.groups)
    share = tf.cast(values, chunk.function.dtype) / tf.constant(np.maximum(sizes, 1), chunk.function.dtype)
    totals = {
        key: tf.reshape(tf.gather(share, one.ravel(), axis=1), [-1, 1, *one.shape])
        for key, one in zip(chunk.x, game.groups, strict=True)
    }
    finite = tf.reduce_all(tf.math.is_finite(values), 1)
    error = tf.cast(tf.where(finite, error, tf.constant(math.nan, tf.float64)), chunk.function.dtype)
    return Found(totals, evaluations, finite, error, tf.where(error <= game.tolerance, CONVERGED, MAX_EVALUATIONS))


def _scores(chunk: Chunk, who: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """(some, k, coalitions), of the coalitions `present` (coalitions, m) of these examples, against each of their
    references."""
    k, each = chunk.paths, tf.shape(present)[0]

    def rows(index: tf.Tensor) -> tf.Tensor:
        example, which, one = tf.gather(who, index // (k * each)), index // each % k, index % each
        here = tf.gather(present, one)
        row = chunk.row(example, which, tf.ones(tf.shape(index), chunk.function.dtype), one, present=here)
        return ROW(chunk.function, row)[0]

    found = Scoring(chunk.function, chunk.block).along(tf.shape(who)[0] * k * each, rows)
    return tf.cast(tf.reshape(found, tf.stack([tf.shape(who)[0], k, each])), tf.float64)


def _enumerated(chunk: Chunk, game: Game) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Values (c, m), evaluations and errors (c,), of all coalitions: Shapley 1953."""
    m, coalitions = game.players, all_coalitions(game.players)
    inner = _scores(chunk, tf.range(chunk.count), tf.constant(coalitions[1:-1]))
    below, full = (tf.cast(value, tf.float64) for value in (tf.reduce_mean(chunk.below, 1), chunk.score))
    every = tf.concat([below[:, None], tf.reduce_mean(inner, 1), full[:, None]], 1)
    sizes, factors = coalitions.sum(1), np.zeros((len(coalitions), m))
    for player in range(m):
        without = np.flatnonzero(~coalitions[:, player])
        weight = np.array([1 / (m * math.comb(m - 1, size)) for size in sizes[without]])
        factors[without + (1 << player), player] += weight
        factors[without, player] -= weight
    return every @ factors, chunk.paths * tf.fill([chunk.count], len(coalitions) - 2), tf.zeros([chunk.count], tf.float64)


def _drawn(chunk: Chunk, game: Game) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The same from orders of players that are drawn (Castro et al. 2009), in rounds, each of which doubles what is known."""
    m, k = game.players, chunk.paths
    cost = k * game.ways * (m - 1)
    most = game.draws or game.max_evaluations // cost
    first = game.draws or Permutations.first
    sums = tf.zeros([chunk.count, 2 + REPLICATES, m], tf.float64), tf.zeros([REPLICATES], tf.float64)
    draws, error = tf.zeros([chunk.count], tf.int32), tf.fill([chunk.count], tf.constant(math.inf, tf.float64))
    active = tf.fill([chunk.count], True)

    def body(done, active, draws, error, *sums):
        more = tf.minimum(tf.maximum(done, first), most - done)
        who = tf.cast(tf.where(active)[:, 0], tf.int32)
        sums = _with_draws(chunk, game, who, done, more, sums)
        now = done + more
        error, draws = tf.where(active, _relative_error(now, *sums), error), tf.where(active, now, draws)
        return now, active & (error > game.tolerance), draws, error, *sums

    state = [tf.constant(0), active, draws, error, *sums]
    _, _, draws, error, sums, _ = tf.while_loop(
        lambda done, active, *_: (done < most) & tf.reduce_any(active),
        body,
        state,
        [value.shape for value in state],
        parallel_iterations=1,
    )
    return sums[:, 0] / tf.cast(draws, tf.float64)[:, None], draws * cost, error


def _relative_error(draws: tf.Tensor, sums: tf.Tensor, multiplied: tf.Tensor) -> tf.Tensor:
    """(c,), as `coalitions.estimate.estimated` states it, from what `_with_draws` has summed up."""
    count = tf.cast(draws, tf.float64)
    mean, more = sums[:, 0] / count, tf.maximum(count - 1, 1)
    deviation = tf.sqrt(tf.maximum(sums[:, 1] / count - mean * mean, 0) / more)
    others = tf.reduce_sum(tf.abs(sums[:, 2:] - multiplied[:, None] * mean[:, None]), 2) / tf.sqrt(count * more)
    spread = tf.math.reduce_std(others, 1) * math.sqrt(REPLICATES / (REPLICATES - 1))
    few = tf.constant([student(freedom) for freedom in range(1, FEW + 1)], tf.float64)
    factor = tf.where(more < FEW, tf.gather(few, tf.cast(tf.minimum(more, FEW), tf.int32) - 1), 1 + BEYOND_FEW / more)
    wrong = factor * (MEAN_DEVIATION * tf.reduce_sum(deviation, 1) + DEVIATIONS * spread)
    wrong = tf.where(draws > 1, wrong, math.inf)  # one order says nothing of how far another would lie from it
    return tf.where(wrong > 0, wrong / tf.reduce_sum(tf.abs(mean), 1), tf.zeros_like(wrong))


def _with_draws(
    chunk: Chunk, game: Game, who: tf.Tensor, first: tf.Tensor, more: tf.Tensor, sums: tuple[tf.Tensor, tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Sums of what players get, of its squares and of its products with multipliers, (c, 2 + REPLICATES, m), and of the
    multipliers, (REPLICATES,), with those of `more` draws for the examples `who`."""
    m = game.players

    def draw(number: tf.Tensor, sums: tf.Tensor, multiplied: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        order = tf.argsort(tf.random.stateless_uniform([m], tf.stack([game.seed % 2**31, number])))
        vectors = []
        for way in range(game.ways):
            ours = order[::-1] if way else order
            rank = tf.argsort(ours)
            inner = _scores(chunk, who, rank[None] < tf.range(1, m)[:, None])
            ends = [tf.cast(tf.gather(value, who), tf.float64) for value in (chunk.below, chunk.score)]
            full = tf.broadcast_to(ends[1][:, None, None], tf.shape(ends[0][..., None]))
            path = tf.concat([ends[0][..., None], inner, full], 2)
            added = path[..., 1:] - path[..., :-1]
            vectors.append(tf.reduce_mean(tf.gather(added, rank, axis=2), 1))
        vector = tf.add_n(vectors) / game.ways
        signs = tf.random.stateless_normal([REPLICATES], tf.stack([game.seed % 2**31, -1 - number]), dtype=tf.float64)
        weighed = tf.concat([vector[:, None], (vector * vector)[:, None], signs[:, None] * vector[:, None]], 1)
        return number + 1, tf.tensor_scatter_nd_add(sums, who[:, None], weighed), multiplied + signs

    shapes = [tf.TensorShape([]), *(value.shape for value in sums)]
    return tf.while_loop(lambda number, *_: number < first + more, draw, [first, *sums], shapes, parallel_iterations=1)[1:]
