"""Targets as a user writes them: which value of an output is explained."""

from typing import Any

import numpy as np

from ..common.errors import AttributionError
from .outputs import Output


def read_targets(output: Output, target: Any, shape: tuple, count: int) -> np.ndarray | None:
    """The targets of `count` examples as (count, r) int32, or None for the class that is predicted.

    Args:
        output: what is explained.
        target: None, an int, one for each example (1-D), a tuple (position, ..., class), or an array of those; where each
            position has one unit, that may be left out.
        shape: of the selected output's values for one example, such as (10,) or (length, classes).

    Raises:
        AttributionError: a target is needed, has the wrong shape, or is out of range.
    """
    rank = len(shape)
    if rank == 0 or not output.with_target:
        if target is not None and np.any(np.asarray(target) != 0):
            raise AttributionError(f"{output.words} is one number for each example: leave target out")
        return np.zeros((count, rank), np.int32)
    if target is None:
        _predicted(output, shape)
        return None
    try:
        array = np.asarray(target)
    except ValueError:
        raise AttributionError(f"target is a ragged list; {_target_help(output, shape)}") from None
    if array.dtype.kind not in "iu":
        raise AttributionError(f"target must hold whole numbers, got {array.dtype}; {_target_help(output, shape)}")
    if output.one_unit and (array.shape == (count, rank + 1) or (isinstance(target, tuple) and array.shape == (rank + 1,))):
        if array[..., -1].any():
            raise AttributionError(f"target {target} asks for another unit than 0: {_target_help(output, shape)}")
        array = array[..., 0] if rank == 1 else array[..., :-1]
    if rank == 1 and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if rank == 1 and array.shape in ((), (count,)):
        rows = np.broadcast_to(array.reshape(-1, 1), (count, 1))
    elif rank > 1 and array.shape in ((rank,), (count, rank)):
        rows = np.broadcast_to(array.reshape(-1, rank), (count, rank))
    else:
        raise AttributionError(f"target of shape {array.shape} for {count} examples; {_target_help(output, shape)}")
    bad = np.argwhere((rows < 0) | (rows >= np.asarray(shape)))
    if len(bad):
        example, axis = (int(i) for i in bad[0])
        raise AttributionError(
            f"target {rows[example, axis]} of example {example} is out of range: {_target_help(output, shape)}"
        )
    return np.ascontiguousarray(rows, np.int32)


def _predicted(output: Output, shape: tuple) -> None:
    """Raises where no class is predicted."""
    if len(shape) > 1:
        raise AttributionError(f"the output has {shape} values for each example: {_target_help(output, shape)}")
    if shape and not output.has_classes and shape[0] > 1:
        found = f"{shape[0]} positions of one unit" if output.one_unit else f"{shape[0]} units"
        raise AttributionError(
            f"{output.words} has {found} and no head of classes, so none is predicted: {_target_help(output, shape)}"
        )


def _target_help(output: Output, shape: tuple) -> str:
    """How to select one value of an output of `shape` for each example."""
    if output.one_unit:
        alone, below = (
            ("0", f"from 0 to {shape[0] - 1}") if len(shape) == 1 else (f"({', '.join('0' for _ in shape)})", f"below {shape}")
        )
        each = ", or target=ta.each_position() for all positions" if len(shape) == 1 else ""
        return f"give a position {below}, as target={alone} or one for each example, with the unit 0 behind it or without{each}"
    if len(shape) == 1:
        return f"give a class from 0 to {shape[0] - 1}, as target=0 or one for each example"
    names = "(position, class)" if len(shape) == 2 else f"{len(shape)} indices"
    each = ", or target=ta.each_position() for all positions" if len(shape) == 2 else ""
    return f"give {names} below {shape}, as target=({', '.join('0' for _ in shape)}) or an array (batch, {len(shape)}){each}"
