"""What is known of a game's values, and how far off they may be all together. NumPy alone."""

import dataclasses
import functools
import math

import numpy as np
import scipy.stats

# The L1 error that is stated lies so many of its standard deviations above its mean: 95 in 100 are less. The mean is that of
# normal deviations.
DEVIATIONS = 2.0
MEAN_DEVIATION = math.sqrt(2 / math.pi)
# How often something else is drawn, from which the standard deviation of the L1 error is taken, and sums that go into each.
REPLICATES, SUMS = 128, 1024


@dataclasses.dataclass(frozen=True, eq=False)
class Estimate:
    """What coalitions gave.

    Attributes:
        found: float64 (m,), what each player gets.
        deviation: float64 (m,), its standard error.
        wrong: the L1 error that 95 of 100 estimates do not exceed; NaN where none is stated.
    """

    found: np.ndarray
    deviation: np.ndarray
    wrong: float = math.nan

    @property
    def error(self) -> float:
        """`wrong` relative to the L1 norm of what players get."""
        size = np.abs(self.found).sum()
        return 0.0 if self.wrong == 0 else float(self.wrong / size) if size > 0 else math.inf


def estimated(found: np.ndarray, pulls: np.ndarray, freedom: float) -> Estimate:
    """What is known of values whose error is a sum of independent deviations.

    Players that interact go wrong together: where there are two of them the L1 error is as uncertain as one normal deviation,
    where there are a hundred it is close to its mean. So its spread is taken from what other signs and sizes of the same
    deviations give (the multiplier bootstrap: Wu 1986, 10.1214/aos/1176350142, section 7).

    Args:
        found: float64 (m,).
        pulls: float64 (draws, m), centred deviations; the root of the sum of their squares is the standard error.
        freedom: the degrees of freedom of that sum: few of them say little of it (Student 1908).
    """
    deviation = np.sqrt((pulls**2).sum(0))
    sums = np.add.reduceat(pulls, np.arange(0, len(pulls), math.ceil(len(pulls) / SUMS)))
    others = np.abs(_multipliers(len(sums)) @ sums).sum(1)
    wrong = MEAN_DEVIATION * deviation.sum() + DEVIATIONS * others.std(ddof=1)
    return Estimate(found, deviation, float(student(freedom) * wrong))


@functools.lru_cache(maxsize=64)
def _multipliers(count: int) -> np.ndarray:
    """Normal deviates (REPLICATES, count), the same every time: what is stated of the same draws is the same."""
    return np.random.default_rng(0).standard_normal((REPLICATES, count))


def student(freedom: float) -> float:
    """How many times as far as a normal deviation one may lie off whose size is estimated with these degrees of freedom."""
    return float(scipy.stats.t.ppf(0.975, freedom) / scipy.stats.norm.ppf(0.975))
