"""Numbers that are to be judged, and how well an error explains them."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class GivenNumbers:
    """The numbers to be judged, in float64, the batch as axis 0.

    Attributes:
        attributions: (n, ...) by key.
        scores, baseline_scores: (n,), `baseline_scores` the mean over baselines; None where they are not known.
        inputs, velocity: x and x - x', (n, ...) by key; None where they are not known, and then `no_velocity` says why.
        targets: (n,) or (n, r), None where they are not known.
        reference: the right attributions (n, ...) by key, None where they are not known.
        exact: gives (rule, n_steps) -> attributions (n, ...) by key by a rule with fixed nodes, where a model is at hand.
        n_steps: how many steps were taken, where that is known.
    """

    attributions: dict[Any, np.ndarray]
    scores: np.ndarray
    baseline_scores: np.ndarray | None = None
    inputs: dict[Any, np.ndarray] | None = None
    velocity: dict[Any, np.ndarray] | None = None
    no_velocity: str = ""
    targets: np.ndarray | None = None
    reference: dict[Any, np.ndarray] | None = None
    exact: Callable[[str, int], dict[Any, np.ndarray]] | None = None
    n_steps: int | None = None

    @property
    def sums(self) -> np.ndarray:
        return sums_of(self.attributions)

    @property
    def difference(self) -> np.ndarray:
        """(n,), what complete attributions sum to; the score alone where the score at the baseline is not known."""
        return self.scores - (0 if self.baseline_scores is None else self.baseline_scores)

    def informative(self) -> np.ndarray:
        """(n,) of bool, the examples whose difference of scores is more than rounding."""
        scale = np.maximum(np.abs(self.scores), np.abs(self.scores - self.difference))
        return np.abs(self.difference) > 1e-3 * scale

    def reduced(self, reduce: Callable) -> dict[Any, np.ndarray] | None:
        """The reference in the shape of the attributions, trailing axes that these lack reduced; None where it cannot be."""
        if self.reference is None:
            return None
        made = {}
        for key, leaf in self.attributions.items():
            whole = self.reference.get(key)
            if whole is None or whole.shape[: leaf.ndim] != leaf.shape:
                return None
            made[key] = reduce(whole, axis=tuple(range(leaf.ndim, whole.ndim))) if whole.ndim > leaf.ndim else whole
        return made


@dataclasses.dataclass(frozen=True)
class Fit:
    """How well an error explains the numbers.

    Attributes:
        name: of the error.
        residual: sum over examples of |left - right| / |right|: 0 where the equation holds.
        words: what the equation says, with its numbers.
        remedy: what to do about it.
        fitted: numbers that were chosen to make it fit, by name. With as many examples as these it always fits.
        elementwise: whether single attributions were compared, and not their sums alone.
        exact: whether with those of the very rule, which are known to rounding; the reference is not.
    """

    name: str
    residual: float
    words: str
    remedy: str
    fitted: dict[str, float] = dataclasses.field(default_factory=dict)
    elementwise: bool = False
    exact: bool = False


def sums_of(leaves: dict[Any, np.ndarray]) -> np.ndarray:
    """(n,), the sum over all features of all tensors."""
    return functools.reduce(np.add, (leaf.reshape(len(leaf), -1).sum(1) for leaf in leaves.values()))


def flat(leaves: dict[Any, np.ndarray]) -> np.ndarray:
    """(n, features), of all tensors side by side."""
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves.values()], 1)


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    """sum |found - expected| / sum |expected|, over examples (and features): no small example decides alone."""
    scale = np.abs(expected).sum()
    return float(np.abs(found - expected).sum() / scale) if scale > 0 else float("inf")
