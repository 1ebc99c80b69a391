"""Integrated gradients in float64, over the logarithm of alpha, which prove themselves: their sum against the scores.

Near the baseline a score may move on any scale of alpha (a norm of zeros), so panels lie in u = log(alpha) from 1e-40 up;
each is halved until its two halves agree with it, which finds kinks too.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from .build import Twin

START = math.log(1e-40)
NODES, WEIGHTS = np.polynomial.legendre.leggauss(5)
# The part of a score that its attributions must reach to be told from the rounding of float32.
RESOLVED = 1e-4
# Rows of one evaluation.
BLOCK = 3000


@dataclasses.dataclass(frozen=True)
class Truth:
    """Integrals of several paths.

    Attributes:
        values: float64 (paths, features).
        norm: (paths,), the L1 norm of `values`, or what float32 can tell from zero where that is more.
        disagreement: (paths,), the sum's distance from the difference of scores, relative to `norm`.
        rows: how many gradients it took.
    """

    values: np.ndarray
    norm: np.ndarray
    disagreement: np.ndarray
    rows: int


def integrate(
    slopes: Callable[[np.ndarray, np.ndarray], np.ndarray],
    differences: np.ndarray,
    floor: np.ndarray,
    tolerance: float = 3e-4,
    most: int = 150_000,
) -> Truth:
    """The integral over alpha from 0 to 1 of `slopes`.

    Args:
        slopes: from path numbers (rows,) and alphas (rows,) to float64 (rows, features).
        differences: (paths,), what each integral must sum to.
        floor: (paths,), an L1 norm below which an error is not worth resolving.
        tolerance: of the L1 error relative to the L1 norm, judged panel by panel.
        most: gradients, after which it ends.
    """
    edges = np.concatenate(
        [np.linspace(START, -8, 33)[:-1], np.linspace(-8, -2.5, 12)[:-1], np.log(np.linspace(math.exp(-2.5), 1, 23))]
    )
    count, cells = len(differences), len(edges) - 1
    path, low, high = np.repeat(np.arange(count), cells), np.tile(edges[:-1], count), np.tile(edges[1:], count)
    rows = len(path) * len(NODES)
    value = panels(slopes, path, low, high)
    total = np.zeros((count, value.shape[1]))
    while len(path) and rows < most:
        middle = (low + high) / 2
        halves = (np.repeat(path, 2), np.stack([low, middle], 1).ravel(), np.stack([middle, high], 1).ravel())
        parts = panels(slopes, *halves)
        rows += len(parts) * len(NODES)
        better = parts[0::2] + parts[1::2]
        wrong = np.abs(better - value).sum(1)
        norm = total.copy()
        np.add.at(norm, path, better)
        open_ = wrong > tolerance / 60 * np.maximum(np.abs(norm).sum(1), floor)[path]
        np.add.at(total, path[~open_], better[~open_])
        again = np.repeat(open_, 2)
        path, low, high, value = halves[0][again], halves[1][again], halves[2][again], parts[again]
    np.add.at(total, path, value)
    norm = np.maximum(np.abs(total).sum(1), floor)
    return Truth(total, norm, np.abs(total.sum(1) - differences) / norm, rows)


def panels(slopes: Callable, path: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(panels, features), the Gauss-Legendre sum over each panel in log(alpha)."""
    half = (high - low) / 2
    alphas = np.exp((low + high)[:, None] / 2 + half[:, None] * NODES)
    weights = alphas * WEIGHTS * half[:, None]
    size = max(1, BLOCK // len(NODES))
    found = []
    for start in range(0, len(path), size):
        chosen = slice(start, start + size)
        rows = slopes(np.repeat(path[chosen], len(NODES)), alphas[chosen].ravel())
        found.append(np.einsum("pn,pnf->pf", weights[chosen], rows.reshape(-1, len(NODES), rows.shape[1])))
    return np.concatenate(found)


def flat(values: dict[str, np.ndarray]) -> np.ndarray:
    """(n, features), all inputs side by side."""
    return np.concatenate([np.asarray(value, np.float64).reshape(len(value), -1) for value in values.values()], 1)


def gradient(twin: Twin, points: dict[str, np.ndarray], rows: np.ndarray, target: np.ndarray | None) -> dict[str, np.ndarray]:
    """The gradient of the explained score, by input, by a plain tape."""
    fed = {name: tf.constant(value, tf.float64) for name, value in points.items()}
    with tf.GradientTape() as tape:
        tape.watch(fed)
        score = twin.score(fed, rows, target)
    found = tape.gradient(score, fed, unconnected_gradients="zero")
    return {name: value.numpy() for name, value in found.items()}


def integrated_gradients(
    twin: Twin, x: dict[str, np.ndarray], references: list[dict[str, np.ndarray]], target: np.ndarray | None
) -> Truth:
    """Integrated gradients of each example, the mean over its references."""
    found, floor = [], 0.0
    examples = np.arange(len(next(iter(x.values()))))
    x = {name: value.astype(np.float64) for name, value in x.items()}
    top = twin.score({name: tf.constant(value) for name, value in x.items()}, examples, target).numpy()
    for reference in references:
        below = {name: value.astype(np.float64) for name, value in reference.items()}
        bottom = twin.score({name: tf.constant(value) for name, value in below.items()}, examples, target).numpy()
        ways = {name: x[name] - below[name] for name in x}
        around = flat(ways)

        def slopes(path, alpha, below=below, ways=ways, around=around):
            at = {
                name: below[name][path] + alpha.reshape([-1] + [1] * (way.ndim - 1)) * way[path] for name, way in ways.items()
            }
            return flat(gradient(twin, at, path, target)) * around[path]

        floor = np.maximum(floor, RESOLVED * np.maximum(np.abs(top), np.abs(bottom)) + 1e-30)
        found.append(integrate(slopes, top - bottom, floor))
    values = np.mean([one.values for one in found], 0)
    norm = np.maximum(np.abs(values).sum(1), floor)
    # the mean over references is what is judged: so is its proof
    apart = sum(one.disagreement * one.norm for one in found) / len(found) / norm
    return Truth(values, norm, apart, sum(one.rows for one in found))
