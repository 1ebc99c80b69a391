"""Integrated gradients to a stated accuracy inside a graph: nested rules, until every example is within its tolerance.

All paths to one example are judged by their mean. Of the mean at one level and at the one before the difference is known, as is
what the integral of the slope misses of the difference of scores, on the whole and cell by cell: the largest of these, and a
part of the difference before, states the error. Measured against the rule of `engine.integral` in benchmarks/accuracy.py.
"""

import dataclasses

import tensorflow as tf

from ..common.types import present
from ..engine.integral.refined import CONVERGED, MAX_EVALUATIONS, Control
from ..engine.row import RowFunction
from . import nested
from .chunk import Chunk, Scoring
from .fixed import Found
from .loops import summed

# TensorFlow's stubs know fewer operators and arguments of tensors than there are.
# pyright: reportOperatorIssue=false, reportArgumentType=false

# Kinks make the error of a level a sum of parts with random signs: the difference from the level before may be small by chance,
# and what slopes miss may cancel. So no level is taken to gain more than this on the one before, and cells count in full.
GAIN = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class _Paths:
    """The paths of a chunk, c examples with k each.

    Attributes:
        begin, width: (c k, panels + 1), where panels begin, and how long they are: the last, behind the end, is none.
        growth: (c k, panels + 1), of panels whose nodes lie evenly in log(alpha) the log of their end over their begin; of
            others
            0.
        nodes: (n + 1,) of one panel; weights: (levels, n + 1).
    """

    begin: tf.Tensor
    width: tf.Tensor
    growth: tf.Tensor
    nodes: tf.Tensor
    weights: tf.Tensor

    @property
    def size(self) -> int:
        """n, the intervals of a panel at the last level."""
        return present(self.nodes.shape[0]) - 1

    def alphas(self, path: tf.Tensor, node: tf.Tensor) -> tf.Tensor:
        """(rows,), where nodes lie, which are numbered through the panels of their path."""
        place, inside = tf.stack([path, node // self.size], 1), tf.gather(self.nodes, node % self.size)
        begin, growth = tf.gather_nd(self.begin, place), tf.gather_nd(self.growth, place)
        return tf.where(growth > 0, begin * tf.exp(growth * inside), begin + tf.gather_nd(self.width, place) * inside)

    def weighed(self, path: tf.Tensor, node: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
        """(rows, levels), what nodes count at each level; where two panels meet, for both."""
        panel, inside = node // self.size, node % self.size
        weights, both = tf.transpose(self.weights), (inside == 0) & (panel > 0)
        own, before = self._speed(path, panel, alpha), self._speed(path, tf.maximum(panel - 1, 0), alpha)
        before = tf.where(both, before, tf.zeros_like(before))
        return own[:, None] * tf.gather(weights, inside) + before[:, None] * weights[-1]

    def _speed(self, path: tf.Tensor, panel: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
        """(rows,), how fast alpha runs through a panel whose own coordinate goes from 0 to 1."""
        place = tf.stack([path, panel], 1)
        growth = tf.gather_nd(self.growth, place)
        return tf.where(growth > 0, alpha * growth, tf.gather_nd(self.width, place))


def refined(chunk: Chunk, row: RowFunction, control: Control, rounding: float, complete: bool) -> Found:
    """The mean over references of the integrals of every example.

    Args:
        rounding: of scores, relative to their magnitude.
        complete: whether what rows give sums to the slope, so that the scores tell what is missing.
    """
    function, count = chunk.function, nested.levels(control.max_evaluations)
    paths = _paths(chunk, count)
    features = [tf.shape(value) for value in chunk.x.values()]
    sizes = [tf.reduce_prod(shape[1:]) for shape in features]
    every = chunk.count * chunk.paths
    along = tf.zeros([every, nested.PANELS * paths.size + 1], function.dtype)
    level, active = tf.constant(1), tf.fill([chunk.count], True)
    sums = [tf.zeros([chunk.count * count, size], function.dtype) for size in sizes]
    error = tf.fill([chunk.count], tf.constant(float("inf"), function.dtype))
    differs = tf.zeros([chunk.count], function.dtype)
    state = [level, active, tf.ones([chunk.count], tf.int32), error, differs, active, along, along, *sums]

    def body(level, active, last, error, differs, finite, scores, slopes, *sums):
        step = _step(paths.size, level)
        first = tf.range(0, nested.PANELS * paths.size + 1, step)
        node = tf.cond(level > 1, lambda: tf.range(step, nested.PANELS * paths.size, 2 * step), lambda: first)
        who = tf.cast(tf.where(active)[:, 0], tf.int32)
        scores, slopes, *sums = _evaluated(chunk, row, paths, who, node, [scores, slopes, *sums])
        good = finite & tf.reduce_all(_by_example(chunk, tf.math.is_finite(scores) & tf.math.is_finite(slopes)), 1)
        found, norm = _differences(sums, chunk.count, count, level)
        wrong, differs = tf.maximum(found, GAIN * differs), found
        if complete:
            wrong = tf.maximum(wrong, _missing(chunk, paths, scores, slopes, level, step, rounding))
        now = tf.where(wrong > 0, wrong / norm, tf.zeros_like(wrong))
        error = tf.where(active & good, now, error)
        last = tf.where(active, level, last)
        return [level + 1, active & good & ~(now <= control.tolerance), last, error, differs, good, scores, slopes, *sums]

    state = tf.while_loop(
        lambda level, active, *_: (level < count) & tf.reduce_any(active),
        body,
        state,
        [tf.TensorShape([]), *(value.shape for value in state[1:])],
        parallel_iterations=1,
    )
    _, _, last, error, _, finite, _, _, *sums = state
    totals = {
        key: tf.reshape(tf.gather(total, tf.range(chunk.count) * count + last), tf.concat([shape[:1], [1], shape[1:]], 0))
        for (key, _), total, shape in zip(chunk.x.items(), sums, features, strict=True)
    }
    error = tf.where(finite, error, tf.constant(float("nan"), error.dtype))
    used = chunk.paths * (nested.PANELS * paths.size // _step(paths.size, last) + 1)
    return Found(totals, used, finite, error, tf.where(error <= control.tolerance, CONVERGED, MAX_EVALUATIONS))


def _step(size: int, level: tf.Tensor) -> tf.Tensor:
    """By how many nodes of the last level those of `level` lie apart."""
    return tf.bitwise.right_shift(tf.fill(tf.shape(level), size // nested.FEWEST), level)


def _paths(chunk: Chunk, levels: int) -> _Paths:
    """The panels of each path, as a scan of its scores places them."""
    dtype, score = chunk.function.dtype, Scoring(chunk.function, chunk.block)
    every, k = chunk.count * chunk.paths, chunk.paths
    ends = tf.reshape(chunk.below, [-1]), tf.repeat(chunk.score, k)

    def scanned(path: tf.Tensor, alphas: tf.Tensor) -> tf.Tensor:
        """(paths, alphas), the scores there."""
        number = tf.shape(alphas)[0]

        def rows(index: tf.Tensor) -> tf.Tensor:
            own = tf.gather(path, index // number)
            row = chunk.row(own // k, own % k, tf.gather(alphas, index % number), index % number)
            return chunk.function.scores(row.point(), row.context, row.target)

        return tf.reshape(score.along(tf.shape(path)[0] * number, rows), [-1, number])

    inner = tf.constant([i / nested.CELLS for i in range(1, nested.CELLS)], dtype)
    scores = tf.concat([ends[0][:, None], scanned(tf.range(every), inner), ends[1][:, None]], 1)
    near = tf.constant(nested.NEAR, dtype)
    moved = tf.abs(scores[:, 1:] - scores[:, :-1])
    sudden = moved[:, 0] > nested.SUDDEN * tf.reduce_sum(moved, 1)
    path = tf.cast(tf.where(sudden)[:, 0], tf.int32)
    even = scores[:, :1] + (scores[:, 1:2] - scores[:, :1]) * near * nested.CELLS
    looked = tf.tensor_scatter_nd_update(even, path[:, None], scanned(path, near))
    alphas = tf.concat([tf.zeros([1], dtype), near, inner, tf.ones([1], dtype)], 0)
    begin = nested.edges(alphas, tf.concat([scores[:, :1], looked, scores[:, 1:]], 1), sudden)
    width = tf.pad(begin[:, 1:] - begin[:, :-1], [[0, 0], [0, 1]])
    # behind a sudden move gradients fall as 1 / alpha does: they are even in its logarithm
    growing = sudden[:, None] & (begin[:, :-1] > 0)
    growth = tf.math.log(begin[:, 1:] / tf.where(growing, begin[:, :-1], begin[:, 1:]))
    nodes, weights = nested.unit(levels)
    return _Paths(begin, width, tf.pad(growth, [[0, 0], [0, 1]]), tf.constant(nodes, dtype), tf.constant(weights, dtype))


def _evaluated(
    chunk: Chunk, row: RowFunction, paths: _Paths, who: tf.Tensor, node: tf.Tensor, before: list[tf.Tensor]
) -> list[tf.Tensor]:
    """Scores and slopes (c k, nodes) along the paths, and sums (c levels, features), with those of `node` of these examples."""
    each, k = tf.shape(node)[0], chunk.paths
    levels = present(paths.weights.shape[0])

    def add(index: tf.Tensor, kept: tf.Tensor, totals: list[tf.Tensor]) -> list[tf.Tensor]:
        at, example = tf.gather(node, index % each), tf.gather(who, index // (each * k))
        which = index // each % k
        path = example * k + which
        alpha = paths.alphas(path, at)
        score, slope, found = row(chunk.function, chunk.row(example, which, alpha, at))
        weight = paths.weighed(path, at, alpha) / tf.cast(k, chunk.function.dtype)
        good = tf.math.is_finite(slope)[:kept]
        # (some examples, levels, rows): products with it sum the rows of each example for each level
        some, own = tf.unique(example[:kept])
        ours = tf.one_hot(own, tf.shape(some)[0], axis=0, dtype=weight.dtype)
        # where an example is not finite its weights may not be either, and 0 times them is for the others still 0
        factors = tf.reshape(tf.math.multiply_no_nan(tf.transpose(weight[:kept])[None], ours[:, None]), [-1, kept])
        places = tf.reshape(some[:, None] * levels + tf.range(levels), [-1, 1])
        spot = tf.stack([path, at], 1)[:kept]
        scores, slopes, *sums = totals
        for i, value in enumerate(found.values()):
            flat = tf.reshape(value, [tf.shape(value)[0], -1])[:kept]
            flat = tf.where(good[:, None], flat, tf.zeros_like(flat))
            sums[i] = tf.tensor_scatter_nd_add(sums[i], places, factors @ flat)
        return [
            tf.tensor_scatter_nd_update(scores, spot, score[:kept]),
            tf.tensor_scatter_nd_update(slopes, spot, slope[:kept]),
            *sums,
        ]

    return summed(tf.shape(who)[0] * k * each, chunk.block, chunk.function.rows, add, before)


def _differences(sums: list[tf.Tensor], count: tf.Tensor, levels: int, level: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """(c,), the L1 norm of what a level differs by from the one before, and that of the level itself."""
    here = tf.range(count) * levels + level
    now, before = [tf.gather(total, here) for total in sums], [tf.gather(total, here - 1) for total in sums]
    moved = [tf.reduce_sum(tf.abs(a - b), 1) for a, b in zip(now, before, strict=True)]
    return tf.add_n(moved), tf.add_n([tf.reduce_sum(tf.abs(one), 1) for one in now])


def _missing(
    chunk: Chunk, paths: _Paths, scores: tf.Tensor, slopes: tf.Tensor, level: tf.Tensor, step: tf.Tensor, rounding: float
) -> tf.Tensor:
    """(c,), by how much the slope misses the score, on the whole and within the cells of this level; the mean over paths.

    What rounding of the scores can explain is none of it.
    """
    number = nested.PANELS * paths.size + 1
    used = tf.range(0, number, step)
    every = tf.range(tf.shape(scores)[0])
    path, node = tf.repeat(every, tf.shape(used)[0]), tf.tile(used, tf.shape(every))
    alphas = paths.alphas(path, node)
    weights = paths.weighed(path, node, alphas)
    shape = tf.shape(every)[0], tf.shape(used)[0]
    alphas, weight = tf.reshape(alphas, shape), tf.reshape(tf.gather(weights, level, axis=1), shape)
    score, slope = tf.gather(scores, used, axis=1), tf.gather(slopes, used, axis=1)
    size = rounding * tf.reduce_max(tf.abs(score), 1)
    rise = score[:, -1] - score[:, 0]
    whole = tf.maximum(tf.abs(tf.reduce_sum(weight * slope, 1) - rise) - size, 0)
    trapezoid = (alphas[:, 1:] - alphas[:, :-1]) * (slope[:, 1:] + slope[:, :-1]) / 2
    cells = tf.maximum(tf.abs(score[:, 1:] - score[:, :-1] - trapezoid) - size[:, None], 0)
    missing = tf.maximum(whole, tf.reduce_sum(cells, 1))
    return tf.reduce_mean(_by_example(chunk, missing), 1)


def _by_example(chunk: Chunk, values: tf.Tensor) -> tf.Tensor:
    """`values` (c k, ...) as (c, all that is an example's)."""
    return tf.reshape(values, [chunk.count, -1])
