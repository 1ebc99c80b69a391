"""Outputs at every position of a sequence as what is explained: `target=ta.each_position()`."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ..common.errors import AttributionError


@dataclasses.dataclass(frozen=True, eq=False)
class EachPosition:
    """What `each_position` makes."""

    classes: Any = None
    positions: Any = None


def each_position(classes: Any = None, positions: Any = None) -> EachPosition:
    """As `target`: one attribution for each position of a sequence output, (batch, length, classes) or (batch, length).

    The result holds one entry for each example and position, the positions of an example one after the other; its `example` and
    `position` say which. `result.plot()` draws them as a map, output position × input position.

    Args:
        classes: which class is explained at each position, (length,) or (batch, length), such as the tokens that did follow;
            default: the predicted one.
        positions: which positions, whole numbers, negative ones from the end; default: all.
    """
    return EachPosition(classes, positions)


def expanded(
    asked: EachPosition, shape: tuple, predicted: Callable[[], np.ndarray], has_classes: bool, words: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each entry of the result its example, its position, and its target (r,).

    Args:
        asked: what the user asked for.
        shape: of the explained output, (batch, length) or (batch, length, classes).
        predicted: gives the classes that are predicted, (batch, length).
        has_classes: whether the last axis holds classes.
        words: what the output is called.

    Raises:
        AttributionError: the output has no positions, or what was asked for does not fit.
    """
    if len(shape) not in ((3,) if has_classes else (2, 3)):
        raise AttributionError(
            "ta.each_position() needs an output with positions, (batch, length) or (batch, length, classes)"
            f"; {words} is of shape {shape[1:]} for each example"
        )
    count, length = shape[:2]
    positions = _positions(asked.positions, length)
    example, position = np.repeat(np.arange(count), len(positions)), np.tile(positions, count)
    if len(shape) == 2:
        if asked.classes is not None:
            raise AttributionError(f"{words} has one value at each position: leave classes out")
        return example, position, position[:, None].astype(np.int32)
    if asked.classes is None and not has_classes:
        raise AttributionError(
            f"{words} has {shape[2]} units at each position and no head of classes, so none is "
            "predicted: say which, ta.each_position(classes=...)"
        )
    classes = predicted() if asked.classes is None else _classes(asked.classes, shape)
    return example, position, np.stack([position, classes[example, position]], 1).astype(np.int32)


def _positions(asked: Any, length: int) -> np.ndarray:
    if asked is None:
        return np.arange(length)
    found = np.atleast_1d(np.asarray(asked))
    if found.ndim != 1 or found.dtype.kind not in "iu" or not found.size or np.any((found < -length) | (found >= length)):
        raise AttributionError(f"positions must be whole numbers from 0 to {length - 1} (or -{length} to -1), got {asked!r}")
    return np.unique(found % length)


def _classes(asked: Any, shape: tuple) -> np.ndarray:
    count, length, classes = shape
    found = np.asarray(asked)
    if found.dtype.kind not in "iu" or found.shape not in ((length,), (count, length)):
        raise AttributionError(
            f"classes must be whole numbers of shape {(length,)} or {(count, length)}, got {found.dtype} {found.shape}"
        )
    if found.min() < 0 or found.max() >= classes:
        raise AttributionError(f"classes go from 0 to {classes - 1}, got {found.min()} to {found.max()}")
    return np.broadcast_to(found, (count, length))
