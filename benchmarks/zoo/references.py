"""Integrals along straight paths in float64, of panels that are halved until they agree, each with what proves it.

The score of a net with norms can move at alpha = 1e-26 as much as at 0.5, and as close to the other end: panels lie evenly in
log(alpha) near the baseline, in log(1 - alpha) near the input, and in alpha between. Each panel is integrated by Gauss-Legendre
nodes and by those of its two halves, and halved until both agree.
"""

import dataclasses
import itertools

import keras
import numpy as np
import tensorflow as tf

from .family import TARGETS, Net, in_float64

# Where panels in log(alpha) begin, from zeros and from elsewhere (alpha has no more digits there), and where they end.
FROM_ZEROS, FROM_ELSEWHERE, NEAR, NEAREST_INPUT = 1e-42, 1e-15, 0.1, 1e-9
# Nodes of a panel, and parts into which the first panels are cut, where gradients are smooth or jump.
ORDER, PIECES = {True: 8, False: 3}, {True: 1, False: 4}
# How far a panel may be from its halves, as a part of the whole's L1 norm: at first, and where that proves nothing. Jumps of
# the gradient converge slowly.
AGREES = {True: (1e-7, 1e-9), False: (3e-5, 6e-6)}
# What is accepted: the sum's gap, relative to the larger of |difference of scores| and L1 norm, and the relative L1 change
# when all panels are halved. Of jumps of the gradient neither can be had in reasonable time.
GAP, CHANGE = {True: 1e-6, False: 1e-3}, {True: 1e-4, False: 1e-3}
# Gradients that a path may take, halvings of a panel, and rows of a block.
MOST_ROWS, DEEPEST, BLOCK = 24_000, 40, 384
LOG, EVEN, LOG_OF_REST = range(3)


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """The integrals of a net's examples against one baseline, for one target, averaged over its draws.

    Attributes:
        vectors: (n, features) float64.
        gap: (n,), sum less difference of scores, relative to the larger of the latter and the L1 norm.
        change: (n,), by how much the vector moved when all panels were halved, relative in L1.
        accepted: (n,) of bool.
    """

    vectors: np.ndarray
    gap: np.ndarray
    change: np.ndarray
    accepted: np.ndarray


class _Scores:
    """A net's scores and gradients in float64, in blocks of one size."""

    def __init__(self, net: Net, body: keras.Model):
        head, shape = net.family.head, net.selected.shape[1:]
        self.targets, self._shape = TARGETS[head], shape
        tensor = tf.TensorSpec([BLOCK, *shape], tf.float64)

        @tf.function(input_signature=[tensor, tf.TensorSpec([BLOCK], tf.int32)], autograph=False)
        def block(rows, classes):
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(rows)
                found = body(rows, training=False)
                if head == "softmax":
                    logit = tf.gather(found, classes, batch_dims=1)
                    others = tf.where(tf.one_hot(classes, found.shape[1]) > 0, tf.constant(-np.inf, found.dtype), found)
                    odds = logit - tf.reduce_logsumexp(others, 1)
                else:
                    odds = logit = tf.reshape(found, [BLOCK])
            slope = tape.gradient(odds, rows)
            if head == "score":
                return odds[:, None], slope[:, None]
            steep = tf.reshape(tf.sigmoid(odds) * tf.sigmoid(-odds), [BLOCK] + [1] * len(shape))
            other = tape.gradient(logit, rows) if head == "softmax" else slope
            return tf.stack([tf.sigmoid(odds), logit], 1), tf.stack([slope * steep, other], 1)

        self._block = block

    def __call__(self, points: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores (rows, targets) and gradients (rows, targets, features) of up to `BLOCK` rows."""
        count = len(points)
        more = BLOCK - count
        scores, gradients = self._block(
            np.concatenate([points, np.repeat(points[:1], more, 0)]),
            np.concatenate([classes, np.repeat(classes[:1], more)]).astype(np.int32),
        )
        return scores.numpy()[:count], gradients.numpy()[:count].reshape(count, len(self.targets), -1)


@dataclasses.dataclass(frozen=True, eq=False)
class _Panels:
    """Panels, (panels,) each: of which path, in which coordinate, from where to where in it, and how often they were halved."""

    path: np.ndarray
    kind: np.ndarray
    low: np.ndarray
    high: np.ndarray
    depth: np.ndarray

    def __len__(self) -> int:
        return len(self.path)

    def __getitem__(self, part) -> "_Panels":
        return _Panels(*(value[part] for value in vars(self).values()))

    def halved(self) -> "_Panels":
        """The halves, one after the other."""
        middle = (self.low + self.high) / 2
        pairs = lambda *both: np.stack(both, 1).ravel()  # noqa: E731
        return _Panels(
            np.repeat(self.path, 2),
            np.repeat(self.kind, 2),
            pairs(self.low, middle),
            pairs(middle, self.high),
            np.repeat(self.depth + 1, 2),
        )

    def nodes(self, order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(panels, order) each: alpha, 1 - alpha, and weights in alpha."""
        nodes, weights = np.polynomial.legendre.leggauss(order)
        half = ((self.high - self.low) / 2)[:, None]
        at, kind = self.low[:, None] + half * (nodes + 1), self.kind[:, None]
        small = np.exp(np.where(kind == EVEN, 0, at))
        alpha = np.select([kind == LOG, kind == EVEN], [small, at], 1 - small)
        rest = np.select([kind == LOG, kind == EVEN], [1 - small, 1 - at], small)
        return alpha, rest, half * weights * np.where(kind == EVEN, 1, small)


def _first(paths: int, begin: float, pieces: int) -> _Panels:
    """The same panels for each path."""

    def cut(low, high, widest):
        edges = np.linspace(low, high, int(np.ceil((high - low) / widest * pieces)) + 1)
        return list(itertools.pairwise(edges))

    near = np.log(NEAR)
    cells = [(LOG, *one) for one in cut(np.log(begin), near, 12)] + [(EVEN, *one) for one in cut(NEAR, 1 - NEAR, 0.2)]
    cells += [(LOG_OF_REST, *one) for one in cut(np.log(NEAREST_INPUT), near, 9.5)]
    cells += [(EVEN, 0, begin), (EVEN, 1 - NEAREST_INPUT, 1)]
    kind, low, high = (np.tile(values, paths) for values in np.array(cells).T)
    return _Panels(np.repeat(np.arange(paths), len(cells)), kind.astype(int), low, high, np.zeros(len(kind), int))


def references(net: Net) -> dict[tuple[str, str], Reference]:
    """By target and baseline."""
    scores, found = _Scores(net, in_float64(net)), {}
    for baseline in net.references:
        first, second = AGREES[net.family.smooth]
        by_target = _against(net, scores, baseline, np.arange(len(net.selected)), first)
        left = np.flatnonzero(~np.logical_and.reduce([one.accepted for one in by_target]))
        if len(left):
            again = _against(net, scores, baseline, left, second)
            by_target = [_replaced(old, left, new) for old, new in zip(by_target, again, strict=True)]
        found |= {(target, baseline): one for target, one in zip(scores.targets, by_target, strict=True)}
    return found


def _replaced(old: Reference, examples: np.ndarray, new: Reference) -> Reference:
    found = {name: value.copy() for name, value in vars(old).items()}
    for name, value in vars(new).items():
        found[name][examples] = value
    return Reference(**found)


def _against(net: Net, scores: _Scores, baseline: str, examples: np.ndarray, agrees: float) -> list[Reference]:
    """For each target, those of some examples against one baseline."""
    values, count = net.references[baseline].astype(np.float64), len(examples)
    draws, begin = len(values), FROM_ZEROS if baseline == "zeros" else FROM_ELSEWHERE
    x = np.repeat(net.selected[examples].astype(np.float64), draws, 0)
    classes = np.repeat(np.zeros(count, int) if net.target is None else net.target[examples], draws)
    fine, coarse, moved = _integrals(scores, x, np.concatenate([values] * count), classes, net.family.smooth, begin, agrees)
    mean = [part.reshape(count, draws, *part.shape[1:]).mean(1) for part in (fine, coarse, moved)]
    return [_proven(net, *(part[:, i] for part in mean)) for i in range(len(scores.targets))]


def _proven(net: Net, fine: np.ndarray, coarse: np.ndarray, moved: np.ndarray) -> Reference:
    """Of integrals (n, features) by halves and by whole panels, and differences of scores (n,)."""
    norm = np.abs(fine).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.abs(fine.sum(1) - moved) / np.maximum(norm, np.abs(moved))
        change = np.abs(fine - coarse).sum(1) / norm
    smooth = net.family.smooth
    whole = gap <= GAP[smooth] if net.family.complete else np.isfinite(gap)
    return Reference(fine, gap, change, whole & (change <= CHANGE[smooth]))


def _integrals(
    scores: _Scores, x: np.ndarray, base: np.ndarray, classes: np.ndarray, smooth: bool, begin: float, agrees: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of paths from `base` to `x`, (paths, ...): by halves and by whole panels (paths, targets, features), and by how much the
    scores differ (paths, targets)."""
    away, order = x - base, ORDER[smooth]
    ends = [
        np.concatenate([scores(part[i : i + BLOCK], classes[i : i + BLOCK])[0] for i in range(0, len(x), BLOCK)])
        for part in (x, base)
    ]

    def measured(panels: _Panels) -> np.ndarray:
        found, step = [], BLOCK // order
        for start in range(0, len(panels), step):
            some = panels[start : start + step]
            alpha, rest, weight = some.nodes(order)
            path, shape = np.repeat(some.path, order), (-1,) + (1,) * (x.ndim - 1)
            alpha, rest = alpha.reshape(shape), rest.reshape(shape)
            # the nearer end is what a point is measured from, so that its distance keeps its digits
            points = np.where(alpha < 0.5, base[path] + alpha * away[path], x[path] - rest * away[path])
            gradients = scores(points, classes[path])[1].reshape(len(some), order, len(scores.targets), -1)
            found.append(np.einsum("pn,pntf->ptf", weight, gradients) * away[some.path].reshape(len(some), 1, -1))
        return np.concatenate(found)

    panels = _first(len(x), begin, PIECES[smooth])
    coarse = measured(panels)
    done, done_coarse = np.zeros((2, len(x), *coarse.shape[1:]))
    rows = np.bincount(panels.path, minlength=len(x)) * order
    while len(panels):
        halves = panels.halved()
        values = measured(halves)
        rows += np.bincount(halves.path, minlength=len(x)) * order
        fine = values[::2] + values[1::2]
        known = done.copy()
        np.add.at(known, panels.path, fine)
        norm = np.abs(known).sum(2)[panels.path]
        agree = (np.abs(fine - coarse).sum(2) <= agrees * norm).all(1)
        agree |= (panels.depth >= DEEPEST) | (rows[panels.path] >= MOST_ROWS) | ~np.isfinite(fine).all((1, 2))
        np.add.at(done, panels.path[agree], fine[agree])
        np.add.at(done_coarse, panels.path[agree], coarse[agree])
        again = np.repeat(~agree, 2)
        panels, coarse = halves[again], values[again]
    return done, done_coarse, ends[0] - ends[1]
