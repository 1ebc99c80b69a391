"""Bootstrap intervals of means over examples."""

import numpy as np

from ..common.checks import number
from ..common.errors import AttributionError

RESAMPLES = 2000
# Resamples that are drawn at a time, so that many examples take bounded memory.
CHUNK = 200


def mean_interval(values: np.ndarray, level: float = 0.95, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean over examples, and the ends of its percentile bootstrap interval (Efron & Tibshirani 1993, chapter 13).

    Args:
        values: (n, ...); examples that hold NaN are left out.
        level: of the interval, between 0 and 1.

    Returns:
        Three arrays (...): mean, low, high. With fewer than two examples the ends are NaN.
    """
    if not number("level", level, above=0) < 1:
        raise AttributionError(f"level must be below 1, such as 0.95; got {level!r}")
    values = np.asarray(values, np.float64)
    shape, rows = values.shape[1:], values.reshape(len(values), -1)
    rows = rows[~np.isnan(rows).any(1)]
    count = len(rows)
    if count < 2:
        mean = rows.mean(0) if count else np.full(rows.shape[1], np.nan)
        return mean.reshape(shape), np.full(shape, np.nan), np.full(shape, np.nan)
    rng, means = np.random.default_rng(seed), []
    for _ in range(0, RESAMPLES, CHUNK):
        weights = rng.multinomial(count, np.full(count, 1 / count), size=CHUNK)
        means.append(weights @ rows / count)
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(np.concatenate(means), [tail, 100 - tail], axis=0)
    return rows.mean(0).reshape(shape), low.reshape(shape), high.reshape(shape)
