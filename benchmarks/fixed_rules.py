"""References of integrated gradients by doubled trapezoids, and what rules with fixed nodes give beside them, without the
library."""

import dataclasses
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import nets
import numpy as np
import tensorflow as tf

TARGETS, TOLERANCES = ("probability", "logits"), (0.05, 0.01)
# The reference moves by less than this when its steps are doubled.
CONVERGED = 0.1 * min(TOLERANCES)
# Steps of the grid whose divisors are the trapezoid's candidates; from there on steps are only doubled.
GRID, FIRST, FIXED = 1600, 25, 50
DIVISORS = [n for n in range(2, GRID + 1) if GRID % n == 0]
LEGENDRE = (
    4,
    5,
    6,
    7,
    8,
    10,
    12,
    14,
    16,
    20,
    24,
    28,
    32,
    40,
    FIXED,
    56,
    64,
    80,
    96,
    112,
    128,
    160,
    192,
    224,
    256,
    320,
    384,
    448,
    512,
    640,
    768,
    896,
    1024,
)
# Rows in a block.
BLOCK = 256


class Paths:
    """Straight paths from zeros to examples, and integrals along them by given nodes and weights, without the library."""

    def __init__(self, net: nets.Net, classes: np.ndarray):
        self.selected, self.classes, shape = net.selected, classes.astype(np.int32), net.selected.shape[1:]

        @tf.function(
            input_signature=[tf.TensorSpec([BLOCK, *shape]), tf.TensorSpec([BLOCK]), tf.TensorSpec([BLOCK], tf.int32)],
            autograph=False,
        )
        def block(x, alpha, target):
            rows = x * tf.reshape(alpha, [BLOCK] + [1] * len(shape))
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(rows)
                logits = net.body(rows, training=False)
                logit = tf.gather(logits, target, batch_dims=1)
                others = tf.where(tf.one_hot(target, logits.shape[1]) > 0, tf.constant(-np.inf, logits.dtype), logits)
                odds = logit - tf.reduce_logsumexp(others, 1)
            steep = tf.sigmoid(odds) * tf.sigmoid(-odds)  # of the probability; 1 - p would have lost its digits
            probability = tf.reshape(tape.gradient(odds, rows) * x, [BLOCK, -1]) * steep[:, None]
            return tf.stack([probability, tf.reshape(tape.gradient(logit, rows) * x, [BLOCK, -1])], 1)

        self._block = block

    def integrals(self, examples: np.ndarray, nodes: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Of each of `examples` by several rules with the same nodes: (rules, examples, targets, features), in float64.

        Args:
            nodes: (nodes,), from 0 to 1.
            weights: (rules, nodes).
        """
        count = len(examples) * len(nodes)
        found = np.zeros((len(weights), len(examples), len(TARGETS), int(np.prod(self.selected.shape[1:]))))
        for start in range(0, count, BLOCK):
            which, node = np.divmod(np.minimum(np.arange(start, start + BLOCK), count - 1), len(nodes))
            own = examples[which]
            vectors = self._block(self.selected[own], nodes[node].astype(np.float32), self.classes[own]).numpy()
            real = np.arange(BLOCK) < count - start
            for i in np.unique(which):
                rows = real & (which == i)
                found[:, i] += np.tensordot(weights[:, node[rows]], vectors[rows].astype(np.float64), 1)
        return found


@dataclasses.dataclass(frozen=True, eq=False)
class Fixed:
    """What fixed rules give for a net's examples; arrays are (targets, examples).

    Attributes:
        reference: (targets, examples, features), and `norm`: its L1 norm.
        converged: whether the reference is.
        trapezoid, legendre: errors by number of steps; infinite where a rule with fewer steps was good enough already.
        moves: by number of steps, how far the trapezoid with these is from that with half as many, relative to itself.
    """

    reference: np.ndarray
    norm: np.ndarray
    converged: np.ndarray
    trapezoid: dict[int, np.ndarray]
    legendre: dict[int, np.ndarray]
    moves: dict[int, np.ndarray]

    def errors(self, vectors: np.ndarray, examples=slice(None)) -> np.ndarray:
        """Relative to the reference, of (targets, examples, features)."""
        return np.abs(vectors - self.reference[:, examples]).sum(2) / self.norm[:, examples]

    def best(self, rule: dict[int, np.ndarray], target: int, tolerance: float, more: int = 0) -> np.ndarray:
        """The fewest evaluations that reach the tolerance, infinite where none of the candidates does.

        Args:
            more: evaluations beyond the number of steps.
        """
        fewest = np.full(self.norm.shape[1], np.inf)
        for steps in sorted(rule, reverse=True):
            fewest[rule[steps][target] <= tolerance] = steps + more
        return fewest

    def doubled(self, target: int, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
        """Evaluations until the vector moves by no more than the tolerance: each run anew, and with nodes taken over."""
        spent, kept = np.full((2, self.norm.shape[1]), np.inf)
        ends = [FIRST, *sorted(self.moves)]
        for i in range(len(ends) - 1, 0, -1):
            agrees = self.moves[ends[i]][target] <= tolerance
            spent[agrees], kept[agrees] = sum(ends[: i + 1]) + i + 1, ends[i] + 1
        return spent, kept


def trapezoid(steps: int) -> np.ndarray:
    """The weights of the trapezoid with `steps` steps on the grid: (GRID + 1,)."""
    weights = np.zeros(GRID + 1)
    weights[:: GRID // steps] = 1 / steps
    weights[[0, -1]] /= 2
    return weights


def fixed(net: nets.Net, classes: np.ndarray, most: int, legendre: list[int]) -> Fixed:
    """Runs the fixed rules.

    Args:
        most: steps of the reference, at which it is given up.
        legendre: the numbers of nodes that are tried.
    """
    paths, everyone = Paths(net, classes), np.arange(len(classes))
    grid = [
        paths.integrals(everyone[i : i + 1], np.linspace(0, 1, GRID + 1), np.stack([trapezoid(n) for n in DIVISORS]))
        for i in everyone
    ]
    ladder = dict(zip(DIVISORS, np.concatenate(grid, 1).swapaxes(1, 2), strict=True))
    steps, moves = FIRST, {}
    while steps < GRID:
        steps *= 2
        moves[steps] = _moved(ladder[steps // 2], ladder[steps])
    while steps < most and (pending := np.flatnonzero((moves[steps] > CONVERGED).any(0))).size:
        middles = paths.integrals(pending, (np.arange(steps) + 0.5) / steps, np.full((1, steps), 1 / steps))[0]
        finer = ladder[steps].copy()
        finer[:, pending] = (finer[:, pending] + middles.swapaxes(0, 1)) / 2
        steps *= 2
        ladder[steps], moves[steps] = finer, _moved(ladder[steps // 2], finer)  # those that had converged do not move
    reference = ladder[steps]
    norm = np.maximum(np.abs(reference).sum(2), np.finfo(float).tiny)
    found = Fixed(reference, norm, moves[steps] <= CONVERGED, {}, {}, moves)
    found.trapezoid.update({n: found.errors(vectors) for n, vectors in ladder.items()})
    left = everyone
    for n in legendre:
        nodes, weights = np.polynomial.legendre.leggauss(n)
        errors = np.full(norm.shape, np.inf)
        tried = everyone if n == FIXED else left
        if len(tried):
            vectors = paths.integrals(tried, (nodes + 1) / 2, weights[None] / 2)[0].swapaxes(0, 1)
            errors[:, tried] = found.errors(vectors, tried)
        found.legendre[n] = errors
        left = left[(errors[:, left] > min(TOLERANCES)).any(0)]
    return found


def _moved(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.abs(after - before).sum(2) / np.maximum(np.abs(after).sum(2), np.finfo(float).tiny)
