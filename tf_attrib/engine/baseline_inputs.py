"""Baselines that are inputs of the model: pushed forward to the selected tensors, as long as the examples are there; and what
is said where the model makes more of them than that."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..common.errors import AttributionError
from ..common.types import Leaves
from ..selection.references import References
from .company import ALIKE, ALIKE_NARROW
from .compared import Compared
from .session import Session


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


def beside(session: Session, references: References, match: dict[Any, Any], compared: Compared) -> tuple[str, ...]:
    """What is said where the model has another score at the inputs of a baseline than at what they are at the selected tensors,
    as masks, lengths and inputs beside are those of the examples.

    Args:
        match: the user's key for each of the model's.
    """
    function, inputs = session.function, references.inputs
    if inputs is None or not function.context or function.place.kind == "inputs" or function.target_rank > 1:
        return ()
    if not set(function.context) <= set(match):  # a score's own rows are of examples, and of no baseline
        return ()
    own: Leaves = {key: inputs[match[key]] for key in match}
    values = session.values(references.tables, own)
    column = compared.target[:, 0] if function.target_rank else np.zeros(len(compared.scores), int)
    rows = next(iter(references.index.values()))
    scores, here = values[rows, column[:, None]], compared.baseline_scores
    size = np.maximum(np.maximum(np.abs(scores), np.abs(here)), np.abs(compared.scores)[:, None])
    if not np.any(np.abs(scores - here) > (ALIKE_NARROW if function.formats else ALIKE) * size):
        return ()
    return (
        "what the model makes of the baseline's inputs past what is attributed to, such as a mask, a length or another input, "
        f"stays as it is in the examples: the score at the baseline is {_ranged(here)}, and {_ranged(scores)} at these inputs",
    )


def _ranged(values: np.ndarray) -> str:
    low, high = (f"{value:.4g}" for value in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"
