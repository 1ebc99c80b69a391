"""Whether what stands in for an input is of its shape and type."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ..common.errors import AttributionError


def fits(
    array: np.ndarray, features: tuple, dtype: npt.DTypeLike, count: int | None = None, several: bool = False
) -> np.ndarray:
    """`array` as (k, *features), checked."""
    leading = array.shape[: array.ndim - len(features)]
    shaped = array.shape[len(leading) :] == tuple(features)
    right = (
        len(leading) == 1
        if several
        else leading == () or (len(leading) == 1 and count in (None, leading[0])) or leading == (1,)
    )
    text = np.dtype(dtype).kind in "OSU"
    if not shaped or not right or array.dtype.kind not in ("OSU" if text else "biuf"):
        wanted = (
            f"({', '.join(['k', *map(str, features)])})"
            if several
            else f"{tuple(features)} for all examples" + (f" or {(count, *features)} for each" if count else "")
        )
        hint = "" if array.ndim or several else "; ta.zeros() or ta.constant(value) give one value everywhere"
        raise AttributionError(f"a baseline must be of shape {wanted}; got {array.dtype} {array.shape}{hint}")
    if np.dtype(dtype).kind in "iu" and not np.array_equal(array, array.astype(dtype)):
        raise AttributionError(f"a baseline for inputs of {np.dtype(dtype)} must hold such numbers, not fractions or others")
    return array.reshape(-1, *features) if text else array.reshape(-1, *features).astype(dtype)


def as_made(words: str, shared: bool | None, made: Any, rows: tuple, features: tuple) -> np.ndarray:
    """What a baseline made, where it is references of the right shape.

    Args:
        words, shared: of the baseline.
        rows: how many there must be along the axes in front, None for any number of at least one.
        features: the shape of one.

    Raises:
        AttributionError: it is not.
    """
    try:
        made = np.asarray(made)
    except ValueError as error:
        raise AttributionError(f"the baseline ({words}) must make an array, and what it made is none: {error}") from None
    if made.dtype.kind not in "biufOSU":
        raise AttributionError(f"the baseline ({words}) must make numbers or strings; it made {made.dtype}")
    ahead = made.shape[: len(rows)]
    fits = len(ahead) == len(rows) and all(
        size > 0 and wanted in (None, size) for size, wanted in zip(ahead, rows, strict=True)
    )
    if not fits or made.shape[len(rows) :] != tuple(features):
        wanted = ", ".join("k" if size is None else str(size) for size in (*rows, *features))
        raise AttributionError(
            f"the baseline ({words}) must make references of shape ({wanted}), where shared={shared}; it made {made.shape}"
        )
    return made


def is_in(value: float, dtype: npt.DTypeLike) -> bool:
    """Whether an integer `dtype` has this number."""
    return value == int(value) and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


def same_keys(leaves: dict, inputs: dict) -> dict:
    """`leaves` under the keys of the model's inputs; one array serves a model of one input."""
    if len(leaves) == len(inputs) == 1:
        return dict(zip(inputs, leaves.values(), strict=True))
    if set(leaves) != set(inputs):
        raise AttributionError(f"the samples have the inputs {list(leaves)}, the model has {list(inputs)}")
    return {key: leaves[key] for key in inputs}
