"""How alike two attributions of the same examples are: by rank, and by direction."""

import numpy as np

from ..common.errors import AttributionError
from ..common.nested import flatten
from .result import Result


def rank_correlation(one: Result, other: Result) -> np.ndarray:
    """(batch,), Spearman's rank correlation of each example's signed attributions; NaN where one is constant or not finite."""
    return rank_correlation_of(*_rows(one, other))


def rank_correlation_of(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(batch,), Spearman's rank correlation between the rows of two arrays (batch, features)."""
    from scipy.stats import rankdata  # not needed before: the import takes long

    with np.errstate(invalid="ignore"):
        return cosine_of(_centred(rankdata(a, axis=1)), _centred(rankdata(b, axis=1)))


def cosine(one: Result, other: Result) -> np.ndarray:
    """(batch,), the cosine of the angle between each example's attributions; NaN where one is zero or not finite."""
    return cosine_of(*_rows(one, other))


def cosine_of(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(batch,), the cosine between the rows of two arrays (batch, features)."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.divide((a * b).sum(1), norms, out=np.full(len(a), np.nan), where=norms > 0)


def _rows(one: Result, other: Result) -> tuple[np.ndarray, np.ndarray]:
    """Both as (batch, features), over all tensors."""
    leaves = [flatten(result.attributions) for result in (one, other)]
    shapes = [{key: np.shape(leaf) for key, leaf in found.items()} for found in leaves]
    if shapes[0] != shapes[1]:
        raise AttributionError(
            "attributions of the same examples at the same tensors are compared; these are of shapes "
            f"{shapes[0]} and {shapes[1]}"
        )
    # by the keys of the first: the other may have them in another order
    rows = [[np.asarray(found[key], np.float64).reshape(len(found[key]), -1) for key in leaves[0]] for found in leaves]
    return np.concatenate(rows[0], 1), np.concatenate(rows[1], 1)


def _centred(values: np.ndarray) -> np.ndarray:
    return values - values.mean(1, keepdims=True)
