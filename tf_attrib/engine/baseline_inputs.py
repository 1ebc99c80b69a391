"""Baselines that are inputs of the model: pushed forward to the selected tensors, as long as the examples are there."""

from collections.abc import Callable

import numpy as np

from ..common.errors import AttributionError


def pushed(selected: Callable[[dict], dict], values: dict, x: dict, user: dict) -> dict:
    """The selected tensors at the inputs `values` of a baseline, (m, ...) by key, in the shape of those at the examples.

    Args:
        selected: from inputs to the selected tensors.
        x: these at the examples, (n, ...) by key.
        user: the examples' inputs, by the keys of `values`.

    Raises:
        AttributionError: the baseline is longer than the examples.
    """
    found, count = selected(values), len(next(iter(values.values())))
    if all(found[key].shape[1:] == x[key].shape[1:] for key in x):
        return found
    # text that is shorter is filled up in company, as the model does it
    both = {key: np.concatenate([values[key], user[key]]) for key in values}
    found = {key: value[:count] for key, value in selected(both).items()}
    for key, value in found.items():
        if value.shape[1:] != x[key].shape[1:]:
            named = "" if key is None else f" at {str(key)!r}"
            raise AttributionError(
                f"the baseline is longer than the examples: {value.shape[1:]} and {x[key].shape[1:]}{named}; give a baseline "
                "that is no longer, or an example beside that is as long"
            )
    return found
