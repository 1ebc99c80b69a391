"""Is an attribution concentrated on few features?"""

import numpy as np

from ..attribution import Attribution
from ..common.errors import AttributionError
from ..common.nested import flatten
from .metric import Metric


def sparseness(result: Attribution) -> Metric:
    """The Gini index of the magnitudes of an attribution: 0 where all are equal, (d - 1) / d where one of d has all.

    G = 1 - 2 · sum over k of |phi|_(k) / ||phi||_1 · (d - k + 1/2) / d, magnitudes in ascending order. Chalasani et al. 2020
    (arXiv:1810.06583). Neither direction is better by itself: it says how many features an explanation names, not
    whether these are the right ones. Reduce axes first where these are no features, such as `result.sum(-1)` for colours.

    Args:
        result: an attribution of any method.

    Returns:
        A `Metric`: `values` (n,), between 0 and 1; NaN where all attributions are zero or one is not finite.
    """
    if not isinstance(result, Attribution):
        raise AttributionError("sparseness is of a result: sparseness(attributor.attribute(inputs))")
    leaves = flatten(result.attributions).values()
    flat = np.concatenate([np.asarray(leaf, np.float64).reshape(len(result), -1) for leaf in leaves], 1)
    return Metric(
        "sparseness (Gini index)",
        gini(flat),
        result.method,
        "0 to 1",
        "",
        f"{flat.shape[1]} features, reduced by nothing but what the result was",
    )


def gini(values: np.ndarray) -> np.ndarray:
    """(n,), the Gini index of the magnitudes of each row of (n, d); NaN where these are all zero, or not finite."""
    size = values.shape[1]
    magnitudes = np.sort(np.abs(values), axis=1)
    total = magnitudes.sum(1)
    weights = (size - np.arange(1, size + 1) + 0.5) / size
    found = np.full(len(values), np.nan)
    real = np.isfinite(total) & (total > 0)
    found[real] = 1 - 2 * (magnitudes[real] / total[real, None]) @ weights
    return found
