"""Where an example's rows are taken: alphas on the path, with references, weights, and the sums they enter."""

import dataclasses
import functools

import numpy as np

from .quadrature import Rule


@dataclasses.dataclass(frozen=True, eq=False)
class Points:
    """The rows of one example. Row i lies at reference + alpha * (x - reference) and enters the sum `slot` with `weight`.

    Attributes:
        alpha, weight: float64 (rows,).
        reference: int (rows,), which of the example's references.
        slot: int (rows,), ascending: rows of one slot are summed. A row of weight 0 is looked at, not summed.
        slots: how many sums there are.
    """

    alpha: np.ndarray
    weight: np.ndarray
    reference: np.ndarray
    slot: np.ndarray
    slots: int = 1


def at_input() -> Points:
    """The input alone."""
    return Points(np.ones(1), np.ones(1), np.zeros(1, int), np.zeros(1, int))


def at_references(references: int) -> Points:
    """The input paired with each reference, averaged over references."""
    return Points(np.ones(references), np.full(references, 1 / references), np.arange(references), np.zeros(references, int))


@functools.lru_cache(maxsize=32)
def path(rule: Rule, references: int) -> Points:
    """A straight path from each reference by a rule of quadrature, averaged over references.

    Where the input is no node of the rule it is added with weight 0: the gradient there tells of saturation.
    """
    alpha, weight = rule.nodes, rule.weights / references
    if alpha[-1] != 1:
        alpha, weight = np.append(alpha, 1.0), np.append(weight, 0.0)
    rows = len(alpha) * references
    return Points(
        np.tile(alpha, references),
        np.tile(weight, references),
        np.repeat(np.arange(references), len(alpha)),
        np.zeros(rows, int),
    )


def series(n_steps: int) -> Points:
    """n_steps points at equal distances along the path, the input last, none of them summed."""
    alpha = np.arange(1, n_steps + 1) / n_steps
    return Points(alpha, np.ones(n_steps), np.zeros(n_steps, int), np.arange(n_steps), n_steps)


def random_path(n_samples: int, references: int, rng: np.random.Generator) -> Points:
    """n_samples draws of a reference and of an alpha, both uniform, averaged."""
    return Points(
        rng.uniform(size=n_samples),
        np.full(n_samples, 1 / n_samples),
        rng.integers(references, size=n_samples),
        np.zeros(n_samples, int),
    )


def masks(count: int, references: int) -> Points:
    """One row for each of `count` masks and each reference that stands in behind it, averaged over references."""
    rows = count * references
    return Points(np.ones(rows), np.full(rows, 1 / references), np.repeat(np.arange(references), count), np.zeros(rows, int))
