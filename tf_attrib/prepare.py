"""Inputs as a user gives them, checked and brought to the names and dtypes of the model."""

from typing import Any

import numpy as np
import tensorflow as tf

from .errors import AttributionError
from .structure import flatten, is_nested_list


def as_arrays(inputs: Any) -> dict[Any, np.ndarray]:
    """The inputs by the user's own keys, as NumPy arrays."""
    if is_nested_list(inputs):
        inputs = _as_array(inputs, None)
    arrays = {key: _as_array(value, key) for key, value in flatten(inputs).items()}
    if not arrays:
        raise AttributionError("no inputs were given")
    return arrays


def _as_array(value: Any, key: Any) -> np.ndarray:
    if isinstance(value, tf.SparseTensor | tf.RaggedTensor):
        kind = "sparse" if isinstance(value, tf.SparseTensor) else "ragged"
        raise AttributionError(f"input{_named(key)} is {kind}: make it dense first, "
                               f"{'tf.sparse.to_dense(x)' if isinstance(value, tf.SparseTensor) else 'x.to_tensor()'}")
    try:
        array = value.numpy() if tf.is_tensor(value) else np.asarray(value)
    except ValueError:
        array = np.empty(0, object)
    if array.dtype == object and not (array.size and all(isinstance(item, str | bytes) for item in array.ravel())):
        raise AttributionError(f"input{_named(key)} is ragged or of mixed kinds: give one array of equal rows (pad sequences)")
    return array


def raw_specs(arrays: dict[Any, np.ndarray], specs: dict[Any, tf.TensorSpec]) -> dict[Any, tf.TensorSpec]:
    """The model's specs, with the shapes at hand for inputs of other shapes: preprocessing may change them."""
    match = matched(arrays, specs)
    return {key: spec if spec.shape[1:].is_compatible_with(arrays[match[key]].shape[1:])
            else tf.TensorSpec([None, *arrays[match[key]].shape[1:]], spec.dtype, spec.name) for key, spec in specs.items()}


def specs_of(arrays: dict[Any, np.ndarray]) -> dict[Any, tf.TensorSpec]:
    """What a model that does not say what it takes is traced on: the inputs' own shapes, any number of examples."""
    for key, array in arrays.items():
        if array.ndim == 0:
            raise AttributionError(f"input{_named(key)} is a single number: the first axis must be the batch")
    return {key: tf.TensorSpec([None, *array.shape[1:]], tf.string if array.dtype.kind in "OSU" else array.dtype)
            for key, array in arrays.items()}


def matched(arrays: dict[Any, np.ndarray], specs: dict[Any, tf.TensorSpec]) -> dict[Any, Any]:
    """For each key of the model's inputs, the user's key: by name, else by position.

    Raises:
        AttributionError: too many, too few, or unknown inputs.
    """
    names = {key: spec.name or str(key) for key, spec in specs.items()}
    given = list(arrays)
    if all(isinstance(key, str) for key in given):
        by_name = {key: name for key, name in names.items() if name in arrays}
        by_name |= {key: key for key in specs if key in arrays}
        if len(by_name) == len(specs) == len(given):
            return by_name
    elif len(given) == len(specs) and not any(isinstance(key, str) for key in given):
        return dict(zip(specs, given, strict=True))
    takes = ", ".join(f"{names[key]!r} {_shown(spec)}" for key, spec in specs.items())
    raise AttributionError(f"the model takes {len(specs)} input(s), {takes}; got {len(given)}: {_shown_keys(arrays)}")


def prepared(arrays: dict[Any, np.ndarray], specs: dict[Any, tf.TensorSpec], match: dict) -> dict[Any, np.ndarray]:
    """The inputs by the model's keys, in the model's dtypes, checked.

    Raises:
        AttributionError: wrong rank or shape, an empty batch, unequal batches, NaN or infinity.
    """
    ready = {key: _prepare(arrays[match[key]], spec, match[key]) for key, spec in specs.items()}
    counts = {len(array) for array in ready.values()}
    if len(counts) > 1:
        raise AttributionError(f"the inputs have different numbers of examples: {_shown_keys(arrays)}")
    if counts == {0}:
        raise AttributionError("the batch is empty: give at least one example")
    return ready


def _prepare(array: np.ndarray, spec: tf.TensorSpec, key: Any) -> np.ndarray:
    wanted = list(spec.shape)
    fits = array.ndim == len(wanted) and all(size in (None, came) for size, came
                                             in zip(wanted[1:], array.shape[1:], strict=True))
    if not fits:
        raise AttributionError(f"input{_named(key)} must be {_shown(spec)}, got {array.dtype} {array.shape}"
                               f"{_hint(array.shape, wanted)}")
    if spec.dtype == tf.string:
        if array.dtype.kind not in "OSU":
            raise AttributionError(f"input{_named(key)} must be text, got {array.dtype}")
        return array
    if array.dtype.kind not in "biuf":
        raise AttributionError(f"input{_named(key)} must be {spec.dtype.name}, got {array.dtype}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(1))
        raise AttributionError(f"input{_named(key)} holds NaN or infinity in example(s) {few(bad)}; "
                               "attribute(..., on_error='mark') marks them and does the others")
    dtype = spec.dtype.as_numpy_dtype
    if spec.dtype.is_integer and array.dtype.kind == "f" and not np.array_equal(array, np.round(array)):
        raise AttributionError(f"input{_named(key)} must be {spec.dtype.name}, got fractions ({array.dtype})")
    with np.errstate(over="ignore"):
        cast = np.ascontiguousarray(array, dtype)
    kept = np.isfinite(cast).all() if array.dtype.kind == "f" and cast.dtype.kind == "f" else \
        np.array_equal(cast, array) or cast.dtype.kind == "f"
    if not kept:
        raise AttributionError(f"input{_named(key)} holds numbers beyond the range of {spec.dtype.name}, which the model takes")
    return cast


def _hint(came: tuple, wanted: list) -> str:
    """Which axis to add, where one is missing."""
    if len(came) != len(wanted) - 1:
        return ""
    if wanted[-1] == 1 and all(size in (None, other) for size, other in zip(wanted[1:-1], came[1:], strict=True)):
        return f"; add the channel axis: inputs[{'..., ' if len(wanted) > 2 else ':, '}None]"
    return "; add the batch axis: inputs[None]"


def few(examples: np.ndarray) -> str:
    """The first of some example numbers, for an error."""
    return ", ".join(str(int(i)) for i in examples[:10]) + (f", ... ({len(examples)} in all)" if len(examples) > 10 else "")


def _named(key: Any) -> str:
    return "" if key is None else f" {key!r}"


def _shown(spec: tf.TensorSpec) -> str:
    sizes = ["batch", *("any" if size is None else str(size) for size in spec.shape[1:])]
    return f"{spec.dtype.name} ({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _shown_keys(arrays: dict) -> str:
    return ", ".join(f"{'' if key is None else repr(key) + ' '}{array.dtype} {array.shape}" for key, array in arrays.items())
