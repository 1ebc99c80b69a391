"""Results of several batches as one."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..common.nested import flatten, rebuild
from .result import PER_EXAMPLE, AnyResult

LIKE_ATTRIBUTIONS = ("positive", "standard_error")
# What stands where an entry has no value, by the kind of its array.
FILLS = {"f": np.nan, "i": 0, "u": 0, "b": False, "U": "", "O": ""}


def joined(results: Sequence[AnyResult]) -> AnyResult:
    """The entries of results of one model, selection and method, which follow each other, as one result.

    What one of them does not know is filled in with NaN, 0 or ""; words are those of the first, notes, names of classes and
    what is wrong with the scores those of all.
    """
    first = results[0]
    if len(results) == 1:
        return first
    counts = [len(result) for result in results]
    found = {name: _column([getattr(result, name) for result in results], counts) for name in PER_EXAMPLE}
    for name in ("attributions", "inputs", *LIKE_ATTRIBUTIONS):
        found[name] = _leaves([getattr(result, name) for result in results])
    return dataclasses.replace(
        first,
        **found,
        notes=tuple(dict.fromkeys(note for result in results for note in result.notes)),
        left_out=tuple(dict.fromkeys(name for result in results for name in result.left_out)),
        batch_dependence=next((result.batch_dependence for result in results if result.batch_dependence), ""),
        class_names={number: name for result in results for number, name in result.class_names.items()},
    )


def _column(values: Sequence[np.ndarray | None], counts: Sequence[int]) -> np.ndarray | None:
    """One array from those of all results; None where none of them has it."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    # regions of one batch may be more than those of another: there is nothing behind an example's last
    inner = tuple(max(sizes) for sizes in zip(*(value.shape[1:] for value in known), strict=True))
    return np.concatenate([_filled(value, (count, *inner), known[0]) for value, count in zip(values, counts, strict=True)])


def _filled(value: np.ndarray | None, shape: tuple[int, ...], like: np.ndarray) -> np.ndarray:
    if value is not None and value.shape == shape:
        return value
    wide = np.full(shape, FILLS[like.dtype.kind], like.dtype)
    if value is not None:
        wide[tuple(slice(size) for size in value.shape)] = value
    return wide


def _leaves(values: Sequence[Any]) -> Any:
    """One structure from those of all results; None where one of them has none."""
    if any(value is None for value in values):
        return None
    parts = [flatten(value) for value in values]
    return rebuild({key: np.concatenate([part[key] for part in parts]) for key in parts[0]})
