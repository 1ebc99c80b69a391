"""A result as a table: one row for each example, one column for each feature, with its name and its value at the input."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..common.errors import AttributionError
from ..common.nested import flatten
from .adding_up import over_features
from .reductions import named
from .result import Result

# Between the names of columns that were crossed.
CROSSED = " × "
# The field of a result that holds how far each attribution may be off by the draws of its method, where there is one.
STANDARD_ERROR = "standard_error"
# What a name is that of: what a column was encoded as, a column itself, or a place in a tensor.
ENCODED, COLUMN, PLACE = "encoded", "column", "place"


@dataclasses.dataclass(frozen=True, eq=False)
class Columns:
    """Attributions by column.

    Attributes:
        names: of the columns.
        attributions: (n, columns) float64.
        values: (n, columns) objects: the numbers or text of the inputs, None where they are not known.
        errors: (n, columns), standard errors, NaN where they are not known; None where the result has none.
    """

    names: tuple[str, ...]
    attributions: np.ndarray
    values: np.ndarray
    errors: np.ndarray | None = None

    @property
    def numbers(self) -> np.ndarray:
        """(n, columns) float64, the values; NaN where they are text or not known."""
        known = [[_as_float(value) for value in row] for row in self.values]
        return np.array(known, np.float64).reshape(self.values.shape)


def columns(result: Result, categories: bool = False) -> Columns:
    """The columns of a result, in the order of its tensors.

    Args:
        categories: whether each category of what was encoded (and each dimension of what was embedded) is a column of its own;
            else they are summed, and beside the sum stands what was encoded.

    Raises:
        AttributionError: there are steps along a path.
    """
    if result.steps:
        raise AttributionError(
            "interior gradients have steps along a path, and no features alone: sum them first, result.sum(1), or take "
            "integrated gradients"
        )
    found: dict[str, list] = {}
    kinds: dict[str, str] = {}
    for key, leaf in flatten(result.attributions).items():
        errors = _errors_of(result, key, np.shape(leaf))
        for name, kind, part in _parts(result, key, np.asarray(leaf, np.float64), errors, categories):
            before = found.get(name)
            if before is not None and {kind, kinds[name]} in ({ENCODED}, {ENCODED, COLUMN}):
                # two tensors of one column: their errors are not independent
                found[name] = [before[0] + part[0], before[1], np.full(len(result), np.nan)]
            else:  # an input "a[1]" is not the second place of an input "a"
                name = name if before is None else f"{name} (of {named(key)!r})"
                found[name], kinds[name] = part, kind
    attributions, values, errors = (np.stack(parts, axis=1) for parts in zip(*found.values(), strict=True))
    has_errors = getattr(result, STANDARD_ERROR, None) is not None
    return Columns(tuple(found), attributions, values, errors if has_errors else None)


def feature_name(key: Any, index: tuple[int, ...]) -> str:
    """ "3", "age", "age[3]" or "(2, 5)": the place of a feature in words."""
    place = str(index[0]) if len(index) == 1 else str(index)
    if key is None:
        return place
    return str(key) if not index or index == (0,) else f"{key}[{place.strip('()')}]"


def _parts(result: Result, key: Any, leaf: np.ndarray, errors: np.ndarray, categories: bool) -> Iterator[tuple[str, str, list]]:
    """The columns of one tensor: name, what it is the name of, and attributions, values and errors (n,)."""
    said = "" if key is None else str(key)
    own = _input_of(result, key, leaf.shape)
    encoded = said in result.columns and own is None
    if encoded and not categories:
        name = result.columns[said]
        alone = leaf.size == len(leaf)
        total = over_features(leaf, result.kind)
        yield name, ENCODED, [total, _raw(result, name), errors.reshape(len(leaf)) if alone else np.full(len(leaf), np.nan)]
        return
    names: set[str] = set()
    for index in np.ndindex(leaf.shape[1:]):
        told, at = result.name_of(key, index), (slice(None), *index)
        name = told or feature_name(key, index)
        if name in names:  # a column without a name has its place for one, and another may be called so
            name = f"{name} (at {feature_name(None, index)})"
        names.add(name)
        kind = ENCODED if encoded else COLUMN if told or name == said else PLACE
        yield name, kind, [leaf[at], _nothing(len(leaf)) if own is None else _objects(own[at]), errors[at]]


def _errors_of(result: Result, key: Any, shape: tuple) -> np.ndarray:
    known = getattr(result, STANDARD_ERROR, None)
    return np.full(shape, np.nan) if known is None else np.asarray(flatten(known)[key], np.float64)


def _input_of(result: Result, key: Any, shape: tuple) -> np.ndarray | None:
    """The input that has a value for each feature of a tensor, where the result holds one."""
    if result.inputs is None or result.place not in ("inputs", "encoded", ""):
        return None
    inputs = {name: np.asarray(leaf) for name, leaf in flatten(result.inputs).items()}
    if key in inputs:
        return inputs[key] if inputs[key].shape == shape else None
    fitting = [leaf for leaf in inputs.values() if leaf.shape == shape]
    return fitting[0] if len(inputs) == len(fitting) == 1 else None


def _raw(result: Result, name: str) -> np.ndarray:
    """(n,), the values that a column had before it was encoded; of crossed columns those of each."""
    inputs = {} if result.inputs is None else {str(key): np.asarray(leaf) for key, leaf in flatten(result.inputs).items()}
    if list(inputs) == ["None"]:  # an only input needs no name
        inputs = {name: inputs["None"]}
    single = [inputs[part].reshape(-1) for part in name.split(CROSSED) if part in inputs and inputs[part].size == len(result)]
    if len(single) != len(name.split(CROSSED)):
        return _nothing(len(result))
    if len(single) == 1:
        return _objects(single[0])
    return _objects([CROSSED.join(map(as_text, row)) for row in zip(*single, strict=True)])


def as_text(value: Any) -> str:
    """A value of a column as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _nothing(count: int) -> np.ndarray:
    return np.full(count, None, object)


def _objects(values: Any) -> np.ndarray:
    """(n,) of Python's own numbers and text."""
    found = np.empty(len(values), object)
    for place, value in enumerate(np.asarray(values).tolist()):
        found[place] = as_text(value) if isinstance(value, bytes) else value
    return found


def _as_float(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else np.nan
