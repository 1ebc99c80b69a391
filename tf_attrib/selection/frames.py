"""Tables with named columns, such as a pandas or polars DataFrame: told by what they can do, and brought to arrays.

A model of one input (n, k) gets its columns side by side; one of several inputs gets each by its name, in whichever order.
"""

import dataclasses
import datetime
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.errors import AttributionError, nearest
from ..common.nested import flatten, is_array, rebuild

# The names of columns that stand side by side in one array, by the user's key of that array.
Names = dict[Any, tuple[str, ...]]
Specs = Mapping[Any, tf.TensorSpec] | None


@dataclasses.dataclass(frozen=True, eq=False)
class Given:
    """Inputs as they were read.

    Attributes:
        arrays: (n, ...) by the user's keys.
        names: of columns that stand side by side in one of them, by the same.
        written: how each of them is written as an array, for errors.
        pictures: whether they came as a list of PIL images.
    """

    arrays: dict[Any, np.ndarray]
    names: Names = dataclasses.field(default_factory=dict)
    written: dict[Any, str] = dataclasses.field(default_factory=dict)
    pictures: bool = False

    def of_examples(self, which: Any) -> "Given":
        """Those of some of the examples: a slice, or indices (m,), which may come more than once."""
        return dataclasses.replace(self, arrays={key: value[which] for key, value in self.arrays.items()})


def is_frame(value: Any) -> bool:
    """Whether `value` is a table with named columns, each of which can become an array; a lazy one is not."""
    shape = getattr(value, "shape", ())
    return (
        hasattr(value, "columns")
        and hasattr(value, "dtypes")
        and hasattr(value, "__getitem__")
        and isinstance(shape, tuple)
        and len(shape) == 2
        and isinstance(shape[0], int)
    )


def is_column(value: Any) -> bool:
    """Whether `value` is one column of such a table."""
    return hasattr(value, "to_numpy") and hasattr(value, "dtype") and len(getattr(value, "shape", ())) == 1


def is_row(value: Any) -> bool:
    """Whether `value` is one row of such a table, with the names of the columns as its index, as `frame.mean()` gives it."""
    return (
        is_column(value)
        and hasattr(value, "to_frame")
        and hasattr(value, "index")
        and len(value) > 0
        and all(isinstance(name, str) for name in value.index)
    )


def holds_frames(value: Any) -> bool:
    """Whether `value` is a table or a row of one, or a dict or list with such in it."""
    if is_frame(value) or is_row(value):
        return True
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return any(holds_frames(part) for part in parts)


def column_names(frame: Any) -> tuple[str, ...]:
    """The names of its columns.

    Raises:
        AttributionError: two are the same, or of several levels.
    """
    names = list(frame.columns)
    written = list(map(str, names))  # 1 and "1" are one name, too
    twice = sorted({name for name in written if written.count(name) > 1})
    if twice or any(isinstance(name, tuple) for name in names):
        which = f"{twice[0]!r} twice" if twice else f"{names[0]!r}, of several levels"
        raise AttributionError(f"the columns of a frame need one name each; there is {which}: frame.columns = [...]")
    return tuple(written)


def take(inputs: Any, which: Any) -> Any:
    """Some of the examples, in the structure that came: frames stay frames, and what was read (`Given`) stays so.

    Args:
        which: a slice, or indices (m,).
    """
    if isinstance(inputs, Given):
        return inputs.of_examples(which)
    if is_array(inputs):
        return _taken(inputs, which)
    return rebuild({key: _taken(leaf, which) for key, leaf in flatten(inputs).items()})


def example_count(inputs: Any) -> int:
    """How many examples there are, in inputs as a user gives them."""
    leaves = inputs.arrays if isinstance(inputs, Given) else flatten(inputs)
    return len(next(iter(leaves.values())))


def _taken(leaf: Any, which: Any) -> Any:
    if hasattr(leaf, "iloc"):
        return leaf.iloc[which]
    return leaf[which] if is_frame(leaf) else np.asarray(leaf)[which]


def without_frames(inputs: Any, specs: Specs, any_width: bool = False, names: Names | None = None) -> tuple[Any, Names]:
    """`inputs` with arrays in place of frames and of columns.

    Args:
        inputs: as a user gives them.
        specs: of the model's inputs; None: it does not say what it takes.
        any_width: whether one input may have another number of columns than the model says, as before preprocessing.
        names: of columns that stood side by side in the examples: those of another frame are put into their order.

    Returns:
        Arrays in the same structure, or a dict by column; the names of columns that stand side by side.

    Raises:
        AttributionError: columns that the model does not take, or cannot.
    """
    names = names or {}
    by_name = {} if specs is None else {str(spec.name or key): spec for key, spec in specs.items()}
    if is_frame(inputs):
        if specs is not None and (len(specs) > 1 or list(by_name) == list(column_names(inputs))):
            arrays = _by_name(inputs, by_name)
            return arrays, {name: (name,) for name in arrays}
        spec = None if specs is None else next(iter(specs.values()))
        # the columns of a model's only input, whatever key the examples had it under
        order = names.get(None, next(iter(names.values())) if len(names) == 1 else None)
        array, found = side_by_side(inputs, spec, any_width, order)
        return array, {None: found}
    if is_array(inputs):
        return inputs, {}
    leaves, found = flatten(inputs), {}
    by_key = dict(zip(leaves, specs.values(), strict=False)) if specs and not isinstance(inputs, Mapping) else {}
    made = {}
    for key, leaf in leaves.items():
        spec = by_name.get(key, (specs or {}).get(key, by_key.get(key)))
        if is_row(leaf) and len(names.get(key, ())) > 1:  # of the columns that the examples have side by side
            leaf = leaf.to_frame().T
        if is_frame(leaf):
            leaf, found[key] = side_by_side(leaf, spec, any_width, names.get(key))
        elif is_column(leaf) and spec is not None and not tf.is_tensor(leaf):
            leaf, found[key] = _as_wanted(as_column(leaf, str(key)), spec, str(key)), (str(key),)
        made[key] = leaf
    return (rebuild(made) if found else inputs), found


def _by_name(frame: Any, specs: Mapping[str, tf.TensorSpec]) -> dict[str, np.ndarray]:
    """Each column as the input of its name, (n,) or (n, 1) as the model wants it."""
    names = column_names(frame)
    missing, extra = [name for name in specs if name not in names], [name for name in names if name not in specs]
    if missing:
        raise AttributionError(
            f"the model takes the input {missing[0]!r}, and the frame has no such column; it has: {nearest(missing[0], names)}"
        )
    if extra:
        raise AttributionError(
            f"the frame has columns that the model does not take: {_listed(extra)}; leave them out: frame[{list(specs)}]"
        )
    return {name: _as_wanted(as_column(frame[name], name), spec, name) for name, spec in specs.items()}


def _as_wanted(values: np.ndarray, spec: tf.TensorSpec, name: str) -> np.ndarray:
    """One column in the rank that an input has."""
    _check_kind(values, spec.dtype, name)
    rank = spec.shape.rank
    if rank is None or rank == 1:
        return values
    if rank == 2 and spec.shape[1] in (None, 1):
        return values[:, None]
    sizes = ", ".join("any" if size is None else str(size) for size in spec.shape[1:])
    raise AttributionError(
        f"a column holds one value for each example, and the input {name!r} is of shape (batch, {sizes}): give a dict, "
        f"{{{name!r}: array, ...}}, with arrays for such inputs"
    )


def side_by_side(
    frame: Any, spec: tf.TensorSpec | None, any_width: bool = False, order: Sequence[str] | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """(n, k), the columns as one array, and their names.

    Args:
        spec: of the input; None: it is not known, and takes numbers.
        any_width: whether it may have another number of columns.
        order: the names that it must have, in the order that they are wanted in.

    Raises:
        AttributionError: another number of columns, other names, or what is no number.
    """
    names = column_names(frame)
    if order is not None:
        if set(order) != set(names):
            odd = [name for name in order if name not in names] + [name for name in names if name not in order]
            raise AttributionError(
                f"the examples and their baseline must have the same columns; only one of them has {_listed(odd)}"
            )
        names = tuple(order)
    original = dict(zip(column_names(frame), frame.columns, strict=True))
    width = None if spec is None or any_width or spec.shape.rank is None else spec.shape[1:]
    if width is not None and (len(width) != 1 or width[0] not in (None, len(names))):
        wanted = ", ".join("any" if size is None else str(size) for size in width)
        hint = f"; leave some out: frame[[...]], of {_listed(names)}" if len(width) == 1 else ": give an array of that shape"
        raise AttributionError(
            f"the model takes one input of shape (batch, {wanted}), and the frame has {len(names)} columns{hint}"
        )
    if not names:
        raise AttributionError("the frame has no columns: give one with those that the model takes")
    columns = [as_column(frame[original[name]], name) for name in names]
    for name, values in zip(names, columns, strict=True):
        if spec is None and values.dtype.kind not in "biuf":
            raise AttributionError(
                f"column {name!r} holds text, and columns side by side must be numbers; a function of columns by name takes "
                "a dict: {name: frame[name] for name in frame.columns}"
            )
        if spec is not None:
            _check_kind(values, spec.dtype, name)
    return np.stack(columns, axis=1), names


def _check_kind(values: np.ndarray, dtype: tf.DType, name: str) -> None:
    """Raises where a column is of numbers and the model takes text, or the other way round."""
    if dtype == tf.string and values.dtype.kind in "biuf":
        raise AttributionError(
            f"column {name!r} holds {values.dtype}, and the model takes text there: "
            f"frame[{name!r}].astype(str), written as it was in training"
        )
    if dtype != tf.string and values.dtype.kind not in "biuf":
        raise AttributionError(
            f"column {name!r} holds text, and the model takes {dtype.name} there: give the numbers that it was trained on, "
            f"such as the codes of the same categories, frame[{name!r}].map({{'a': 0, 'b': 1}})"
        )


def as_column(series: Any, name: str) -> np.ndarray:
    """(n,) numbers or text, from a column of whichever dtype; numbers that are missing are NaN.

    Raises:
        AttributionError: dates, objects, or missing text; the column and its rows are named.
    """
    values = np.asarray(series.to_numpy())
    if values.dtype.kind in "biufUS":
        return values
    if values.dtype.kind in "Mm":
        raise _date(name, series)
    if values.dtype.kind != "O":
        raise AttributionError(f"column {name!r} is {values.dtype}: a column must hold real numbers or text")
    missing = np.array([is_missing(item) for item in values], bool)
    there = values[~missing]
    if len(there) and all(isinstance(item, str | bytes) for item in there):
        if missing.any():
            raise AttributionError(
                f"text is missing in column {name!r}, row(s) {_rows(missing)}: say what stands for it, "
                f"such as frame[{name!r}].fillna('unknown')"
            )
        return np.asarray([item.decode() if isinstance(item, bytes) else item for item in values], dtype=str)
    if all(isinstance(item, numbers.Real | np.bool_) for item in there):
        if not missing.any():
            return np.asarray(there.tolist())
        found = np.full(len(values), np.nan)
        found[~missing] = there.astype(np.float64)
        return found
    odd = next(item for item in there if not isinstance(item, numbers.Real | np.bool_))
    if isinstance(odd, datetime.date | datetime.time | datetime.timedelta) or type(odd).__name__ == "Period":
        raise _date(name, series)
    kinds = sorted({type(item).__name__ for item in there})
    raise AttributionError(f"column {name!r} must hold numbers or text, and holds {', '.join(kinds)}: make it one of them")


def _date(name: str, series: Any) -> AttributionError:
    return AttributionError(
        f"column {name!r} is {series.dtype}, and a model takes numbers: give what it was trained on, such as "
        f"frame[{name!r}].dt.dayofyear, or the days since a day, (frame[{name!r}] - first).dt.days"
    )


def is_missing(item: Any) -> bool:
    """None, NaN, and what pandas has for a missing value or date."""
    return item is None or type(item).__name__ in ("NAType", "NaTType") or (isinstance(item, float) and item != item)


def _rows(missing: np.ndarray) -> str:
    places = np.flatnonzero(missing)
    return ", ".join(map(str, places[:10])) + (f", ... ({len(places)} in all)" if len(places) > 10 else "")


def _listed(names: Sequence[str], limit: int = 8) -> str:
    return ", ".join(map(repr, names[:limit])) + (f", ... ({len(names)} in all)" if len(names) > limit else "")
