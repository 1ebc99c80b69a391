"""The features of largest magnitude of each example, with their names."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..common.checks import is_whole
from ..common.errors import AttributionError
from ..common.nested import flatten


class Feature(NamedTuple):
    """One ranked feature: its place, its attribution, and its share of the sum of magnitudes over all features."""

    name: Any
    attribution: float
    share: float


def ranked(result: Any, k: int, names: Sequence | None) -> list[list[Feature]]:
    """See `Result.top`."""
    if not is_whole(k, 1):
        raise AttributionError(f"k must be at least 1, a whole number of features, got {k!r}")
    leaves = flatten(result.attributions)
    sizes = [int(np.prod(leaf.shape[1:])) for leaf in leaves.values()]
    if names is not None and len(names) != sum(sizes):
        raise AttributionError(f"{len(names)} names for {sum(sizes)} features; sum over an axis first, or name them all")
    flat = np.concatenate([leaf.reshape(len(result), size) for leaf, size in zip(leaves.values(), sizes, strict=True)], 1)
    norms = np.maximum(result.magnitudes, np.finfo(float).tiny)
    offsets = np.cumsum([0, *sizes])

    def name(example: int, position: int):
        if names is not None:
            return names[position]
        part = int(np.searchsorted(offsets, position, side="right")) - 1
        key, leaf = list(leaves.items())[part]
        index = tuple(int(i) for i in np.unravel_index(position - offsets[part], leaf.shape[1:]))
        if result.tokens is not None and result.tokens.shape == leaf.shape:
            return str(result.tokens[example][index])
        if own := result.name_of(key, index):
            return own
        index = index[0] if len(index) == 1 else index
        return index if key is None else (key, index)

    order = np.argsort(-np.abs(flat), axis=1, kind="stable")[:, :k]
    return [
        [Feature(name(i, int(j)), float(flat[i, j]), float(abs(flat[i, j]) / norms[i])) for j in row]
        for i, row in enumerate(order)
    ]
