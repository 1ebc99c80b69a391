"""The nodes and weights of the rule that refines inside a graph: Clenshaw-Curtis on panels, nested from level to level.

A path is cut into `PANELS` panels where its scores move (`edges`), each has the nodes cos(pi k / n) with n doubled from
level to level, so that those of one level are among those of the next (Clenshaw & Curtis 1960, 10.1007/BF01386223; Waldvogel
2006, 10.1007/s10543-006-0045-4, for the weights).
"""

import functools

import numpy as np
import tensorflow as tf

from ..common.types import present

# TensorFlow's stubs know fewer operators and arguments of tensors than there are.
# pyright: reportOperatorIssue=false, reportArgumentType=false

PANELS = 4
# Intervals of a panel at the first level; nodes of a path at the second, where the first judgement is.
FEWEST = 2
FIRST = 2 * FEWEST * PANELS + 1
# Cells of the scan of scores, and what is looked at within its first cell where much of what the score moves by lies there:
# behind normalisations it moves on the scale of log(alpha).
CELLS = 32
NEAR = tuple(2.0**-power for power in range(86, 5, -4))
# Which part of all that a score moves by calls for that look, and which part is where the move begins.
SUDDEN, QUIET = 0.1, 1e-3


def levels(max_evaluations: int) -> int:
    """How many levels there are, so that no path has more nodes than that; there are `FIRST` at least."""
    return ((max_evaluations - 1) // (PANELS * FEWEST)).bit_length()


@functools.cache
def unit(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (n + 1,) in [0, 1] of the last of `count` levels, and weights (levels, n + 1) of each: 0 where a node is not
    its."""
    most = FEWEST << count - 1
    weights = np.zeros((count, most + 1))
    for level in range(count):
        weights[level, :: 1 << count - 1 - level] = clenshaw_curtis(FEWEST << level)
    nodes = (1 - np.cos(np.pi * np.arange(most + 1) / most)) / 2
    nodes[most // 2] = 0.5
    return nodes, weights


def clenshaw_curtis(n: int) -> np.ndarray:
    """The weights (n + 1,) on [0, 1] of the even number of `n` intervals."""
    k, half = np.arange(n + 1), np.arange(1, n // 2 + 1)
    factor = np.where(half == n // 2, 1, 2) / (4 * half**2 - 1)
    inner = 1 - (factor * np.cos(2 * np.pi * np.outer(k, half) / n)).sum(1)
    return inner * np.where((k == 0) | (k == n), 0.5, 1) / n


def edges(alphas: tf.Tensor, scores: tf.Tensor, sudden: tf.Tensor) -> tf.Tensor:
    """Where panels begin and end, (paths, PANELS + 1): each holds as much as the others of what the score moves by, and of
    alpha, and where the score moves suddenly near the baseline, of log(alpha) from there on.

    Args:
        alphas: (nodes,), ascending from 0 to 1.
        scores: (paths, nodes).
        sudden: bool (paths,).
    """
    moved = tf.abs(scores[:, 1:] - scores[:, :-1])
    share = tf.math.divide_no_nan(moved, tf.reduce_sum(moved, 1, keepdims=True))
    even = (alphas[1:] - alphas[:-1])[None]
    below = tf.concat([alphas[1:2], alphas[1:-1]], 0)
    begun = tf.cast(tf.cumsum(share, axis=1) > QUIET, scores.dtype)
    log = begun * tf.math.log(alphas[1:] / below)[None]
    log = tf.math.divide_no_nan(log, tf.reduce_sum(log, 1, keepdims=True))
    parts = tf.cast(sudden, scores.dtype)[:, None]
    measure = tf.pad(tf.cumsum((share + even + parts * log) / (2 + parts), axis=1), [[0, 0], [1, 0]])
    measure = measure / measure[:, -1:]
    wanted = tf.constant(np.arange(1, PANELS) / PANELS, scores.dtype)
    wanted = tf.tile(wanted[None], [tf.shape(scores)[0], 1])
    right = tf.clip_by_value(tf.searchsorted(measure, wanted), 1, present(alphas.shape[0]) - 1)
    low, high = tf.gather(measure, right - 1, batch_dims=1), tf.gather(measure, right, batch_dims=1)
    begin, end = tf.gather(alphas, right - 1), tf.gather(alphas, right)
    part = tf.math.divide_no_nan(wanted - low, high - low)
    growing = begin * tf.pow(end / tf.where(begin > 0, begin, end), part)
    inner = tf.where(sudden[:, None] & (begin > 0), growing, begin + (end - begin) * part)
    return tf.concat([tf.zeros_like(inner[:, :1]), inner, tf.ones_like(inner[:, :1])], 1)
