"""Columns of Arrow as arrays, and rows of which there are none."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...attributor import Attributor
from ...common.errors import AttributionError
from ...selection.inputs import exactly
from .paths import arrow


def unfit(attributor: Attributor, table: Any, inputs: Sequence[str]) -> dict[int, str]:
    """Rows in which an input is missing that no NaN can stand for, or a list is not as long as the model takes, while those of
    others are."""
    pa, _ = arrow()
    lost = {}
    for name in inputs:
        column, fixed = table[name].combine_chunks(), _length(attributor, name, len(inputs))
        if isinstance(column.type, pa.BaseExtensionType):
            column = column.storage
        is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
        if is_list or pa.types.is_fixed_size_list(column.type) or _is_text(column.type) or _would_be_rounded(column):
            lost |= dict.fromkeys(np.flatnonzero(column.is_null()).tolist(), f"{name!r} is missing")
        lengths = column.value_lengths().to_pylist() if is_list and fixed is not None else []
        if fixed in lengths:
            told = f"numbers, and the model takes {fixed}"
            lost |= {row: f"{name!r} holds {n} {told}" for row, n in enumerate(lengths) if n not in (None, fixed)}
    return lost


def as_array(column: Any, name: str) -> np.ndarray:
    """(n, ...) from a column of Arrow: numbers, text, lists of one length, tensors."""
    pa, _ = arrow()
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(values, pa.FixedShapeTensorArray):
        if not values.null_count:
            return values.to_numpy_ndarray()
        values = values.storage
    if pa.types.is_fixed_size_list(values.type) or pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        lengths = set(values.value_lengths().drop_null().to_pylist()) if len(values) else {0}
        if len(lengths) != 1 or values.null_count:
            raise AttributionError(f"column {name!r} holds lists of different lengths, {sorted(lengths)[:5]}: pad them to one")
        inner = as_array(values.flatten(), name)
        return inner.reshape(len(values), lengths.pop(), *inner.shape[1:])
    if pa.types.is_boolean(values.type) and values.null_count:
        values = values.cast(pa.int8())  # what is missing becomes NaN
    return values.to_numpy(zero_copy_only=False)


def _would_be_rounded(column: Any) -> bool:
    """Whether a column holds whole numbers so large that they would change where one that is missing makes them floats."""
    if not column.null_count or not arrow()[0].types.is_integer(column.type):
        return False
    values = column.drop_null().to_numpy(zero_copy_only=False)
    return bool(np.abs(values.astype(float)).max(initial=0) >= exactly(np.dtype("float64")))


def _is_text(kind: Any) -> bool:
    types = arrow()[0].types
    return types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind)


def _length(attributor: Attributor, name: str, columns: int) -> int | None:
    """How many entries a list in one of so many columns of inputs must have, where the model says so."""
    specs = attributor.input_specs or {}
    own = [spec for key, spec in specs.items() if (columns == 1 == len(specs)) or str(spec.name or key) == name]
    return own[0].shape[1] if own and (own[0].shape.rank or 0) > 1 else None
