"""Columns of a batch as engines hand them over: dense arrays, or one object a row, of which some may be of other shapes."""

import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...common.errors import AttributionError
from ...result.joined import FILLS

Columns = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """The rows of a batch that can share arrays.

    Attributes:
        places: (m,), where they stand in the batch.
        columns: by name, (m, ...); of rows that hold nothing none.
        lost: why none of them can be attributed, or None.
    """

    places: np.ndarray
    columns: Columns
    lost: str | None = None


def as_columns(batch: Any) -> Columns:
    """A batch as arrays (n, ...) by name; those of lists or arrays, one a row, are objects (n,).

    Args:
        batch: a dict of arrays or lists, or a DataFrame.

    Raises:
        AttributionError: no such thing, or of columns that differ in length.
    """
    if hasattr(batch, "columns") and hasattr(batch, "to_numpy"):
        batch = {str(name): batch[name].to_numpy() for name in batch.columns}
    if not isinstance(batch, Mapping) or not batch:
        raise AttributionError(
            f"a batch is a dict of arrays with an entry for each row, {{'x': array}}, or a DataFrame; got "
            f"{type(batch).__name__}"
        )
    found = {str(name): values if isinstance(values, np.ndarray) else _objects(values) for name, values in batch.items()}
    if len({values.shape[:1] for values in found.values()}) != 1 or not all(values.ndim for values in found.values()):
        shapes = ", ".join(f"{name!r} {values.shape}" for name, values in found.items())
        raise AttributionError(f"the columns of a batch have an entry for each row, and these differ: {shapes}")
    return found


def groups(columns: Columns) -> Iterator[Group]:
    """The rows by the shapes of what they hold; those in which something is missing by themselves."""
    count = len(next(iter(columns.values())))
    objects = {name: values for name, values in columns.items() if values.dtype == object}
    kinds: dict[tuple, list[int]] = {}
    for place in range(count) if objects else ():
        kinds.setdefault(tuple(_kind(values[place]) for values in objects.values()), []).append(place)
    for kind, where in (kinds or {(): range(count)}).items():
        places = np.array(where, int)
        absent = [name for name, one in zip(objects, kind, strict=bool(kinds)) if one is None]
        if absent:
            yield Group(places, {}, f"{absent[0]!r} is missing, or holds lists of different lengths")
        else:
            dense = {name: np.stack([_dense(objects[name][place]) for place in places]) for name in objects if count}
            yield Group(places, {name: dense[name] if name in dense else values[places] for name, values in columns.items()})


def scattered(parts: list[tuple[np.ndarray, Columns]], count: int) -> Columns:
    """Columns of `count` rows from those of groups, by their places; what a group does not know is NaN, 0, -1 or ""; a column
    of arrays that differ in shape holds objects."""
    names = dict.fromkeys(name for _, columns in parts for name in columns)
    return {name: _scattered(name, [(where, part[name]) for where, part in parts if name in part], count) for name in names}


def _scattered(name: str, parts: list[tuple[np.ndarray, np.ndarray]], count: int) -> np.ndarray:
    inner = {values.shape[1:] for _, values in parts}
    if len(inner) > 1:
        found = np.empty(count, object)
        for places, values in parts:
            for place, value in zip(places, values, strict=True):
                found[place] = value
        return found
    dtype = np.result_type(*(values.dtype for _, values in parts))
    found = np.full((count, *inner.pop()), nothing(name, dtype), dtype)
    for places, values in parts:
        found[places] = values
    return found


def nothing(name: str, dtype: np.dtype) -> Any:
    """What stands in a column for a value that is not there."""
    return -1 if name in ("target", "predicted") else FILLS[dtype.kind]


def of_elements(elements: Sequence[Any], inputs: Sequence[str] | None = None) -> Columns:
    """Columns from elements each of which is a dict of arrays, or one array, the name of which is then that of the one input;
    what an element does not hold is None. A name that few of them have is of a bad element, and is left out."""
    name = inputs[0] if inputs else ""
    any_dict = any(isinstance(one, Mapping) for one in elements)
    rows = [one if isinstance(one, Mapping) else {} if any_dict else {name: one} for one in elements]
    held = collections.Counter(str(name) for row in rows for name in row)
    names = dict.fromkeys([*(inputs or ()), *(name for name, count in held.items() if 2 * count >= len(rows))])
    return {name: _objects([row.get(name) for row in rows]) for name in names}


def size_of(elements: Sequence[Any]) -> int:
    """How many bytes the values of such elements take."""
    rows = [one.values() if isinstance(one, Mapping) else [one] for one in elements]
    return sum(np.asarray(value).nbytes if _kind(value) else 0 for row in rows for value in row)


def _objects(values: Any) -> np.ndarray:
    """(n,) or (n, ...) from a list; of objects where its entries differ."""
    values = list(values)
    single = all(isinstance(one, bool | int | float | str | np.generic) for one in values)
    # beside a text or a complex number all others would become one
    kinds = {(isinstance(one, str | bytes), isinstance(one, complex | np.complexfloating)) for one in values}
    if single and len(kinds) == 1:
        return np.asarray(values)
    found = np.empty(len(values), object)
    for place, value in enumerate(values):  # all at once they would become one array
        found[place] = value
    return found


def _kind(value: Any) -> tuple | None:
    """The shape of one entry, and whether it is text; None where nothing is in it, or not everywhere."""
    array = _dense(value)
    return None if array.dtype == object else (array.shape, array.dtype.kind in "SU", array.dtype.kind == "c")


def _dense(value: Any) -> np.ndarray:
    """One entry as an array, also where it is arrays of arrays, as pandas reads nested lists; of objects where it is none."""
    try:
        array = np.asarray(value)
        return np.stack([_dense(one) for one in array]) if array.dtype == object and array.size and array.ndim else array
    except ValueError:  # lists of different lengths
        return np.array(None)
