"""Inputs as a user gives them, checked and brought to the names and dtypes of the model."""

import numbers
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.errors import AttributionError, NotFinite
from ..common.nested import flatten, is_nested_list
from .frames import Given, Specs, as_column, is_column, is_missing, without_frames
from .input_hints import are_pictures, list_hint, shape_hint, written
from .streams import in_memory


def read(inputs: Any, specs: Specs = None, any_width: bool = False) -> Given:
    """Inputs as a user gives them, or as they were read before, as arrays; the arguments are those of `without_frames`."""
    if isinstance(inputs, Given):
        return inputs
    inputs = in_memory(inputs, specs)
    found, names = without_frames(inputs, specs, any_width)
    arrays = as_arrays(found)
    leaves = {None: inputs} if None in arrays and not isinstance(inputs, dict) else flatten(found)
    return Given(arrays, names, {key: written(key, leaf) for key, leaf in leaves.items()}, are_pictures(inputs))


def as_arrays(inputs: Any, what: str = "input") -> dict[Any, np.ndarray]:
    """The inputs by the user's own keys, as NumPy arrays.

    Args:
        what: they are, for errors.
    """
    if inputs is None:
        raise AttributionError(f"no {what}s were given: arrays (batch, ...), or a list or dict of such, as the model takes")
    if is_nested_list(inputs):
        inputs = as_array(inputs, what)
    arrays = {key: as_array(value, f"{what}{_named(key)}") for key, value in flatten(inputs).items()}
    if not arrays:
        raise AttributionError(f"no {what}s were given")
    return arrays


def as_array(value: Any, what: str) -> np.ndarray:
    """One NumPy array of numbers or text.

    Raises:
        AttributionError: it is ragged, sparse, masked, of mixed kinds, or no array; `what` says what it was given as.
    """
    if isinstance(value, tf.SparseTensor | tf.RaggedTensor):
        kind = "sparse" if isinstance(value, tf.SparseTensor) else "ragged"
        raise AttributionError(
            f"{what} is {kind}: make it dense first, "
            + (
                "tf.sparse.to_dense(x)"
                if isinstance(value, tf.SparseTensor)
                else "x.to_tensor(), which pads with 0; x.to_tensor(shape=[None, length]) for a model of one length"
            )
        )
    if hasattr(value, "toarray") and hasattr(value, "nnz"):  # of scipy
        raise AttributionError(f"{what} is sparse: make it dense first, x.toarray()")
    refuse_streams(value, what)
    if is_column(value) and not isinstance(value, np.ndarray) and not tf.is_tensor(value):
        return as_column(value, str(getattr(value, "name", None) or what))
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise AttributionError(
            f"{what} is a masked array, and {int(np.ma.getmaskarray(value).sum())} values are "
            "masked, which no model leaves out: fill them in first, x.filled(0)"
        )
    try:
        whole = tf.is_tensor(value)
        array = value.numpy() if whole else np.asarray(value)  # pyright: ignore[reportAttributeAccessIssue] (a tensor has it)
    except ValueError:
        array = np.empty(0, object)
    if array.dtype == tf.bfloat16.as_numpy_dtype:  # of no kind that NumPy knows
        return array.astype(np.float32)
    if array.dtype != object or (array.size and all(isinstance(item, str | bytes) for item in array.ravel())):
        return array
    if array.size and all(isinstance(item, numbers.Real | np.bool_) for item in array.ravel()):
        return array.astype(np.float64)  # columns of several kinds, such as those of a data frame
    _check_text(array, what)
    wrong = next((item for item in array.ravel() if not isinstance(item, numbers.Real | np.bool_)), value)
    came = (
        "a value is missing in it"
        if type(wrong).__name__ in ("NoneType", "NAType") and array.ndim
        else f"it holds {type(wrong).__name__}"
    )
    raise AttributionError(
        f"{what} is ragged or of mixed kinds ({came}): give one array of numbers in equal rows (pad sequences: "
        "keras.utils.pad_sequences(x, padding='post'))"
    )


def _check_text(array: np.ndarray, what: str) -> None:
    """Raises AttributionError where some of the text is missing."""
    texts = np.array([isinstance(item, str | bytes) for item in array.ravel()], bool)
    if texts.any() and all(is_missing(item) for item in array.ravel()[~texts]):
        rows = np.flatnonzero(~texts.reshape(len(array), -1).all(1))
        raise AttributionError(
            f"text is missing in {what}, example(s) {few(rows)}: say what stands for it, as in training, such as an empty text"
        )


def encoded(text: np.ndarray) -> np.ndarray:
    """Text of any kind as an object array of bytes, which cuts off nothing, and in which the same text is equal."""
    found = [item.encode() if isinstance(item, str) else bytes(item) for item in text.ravel()]
    array = np.empty(len(found), object)
    array[:] = found
    return array.reshape(text.shape)


def refuse_streams(value: Any, what: str) -> None:
    """Raises AttributionError where `value` is a data set, a generator or a function in place of arrays.

    Args:
        what: what it was given as, for the error.
    """
    counted = hasattr(value, "__getitem__") and hasattr(value, "on_epoch_end")  # keras.utils.PyDataset
    function = callable(value) and not hasattr(value, "__array__")
    if counted or function or isinstance(value, tf.data.Dataset | Iterator):
        take = "batches[0]" if counted else "next(batches())" if function else "next(iter(batches))"
        raise AttributionError(
            f"{what} must be arrays (batch, ...), got {type(value).__name__}: take a batch of it, such as "
            f"{take}, and of (x, y) the x"
        )


def raw_specs(arrays: dict[Any, np.ndarray], specs: dict[Any, tf.TensorSpec]) -> dict[Any, tf.TensorSpec]:
    """The model's specs, with the shapes at hand for inputs of other shapes: preprocessing may change them."""
    match = matched(arrays, specs)
    return {
        key: spec
        if spec.shape[1:].is_compatible_with(arrays[match[key]].shape[1:])
        else tf.TensorSpec([None, *arrays[match[key]].shape[1:]], spec.dtype, spec.name)
        for key, spec in specs.items()
    }


def specs_of(arrays: dict[Any, np.ndarray]) -> dict[Any, tf.TensorSpec]:
    """What a model that does not say what it takes is traced on: the inputs' own shapes, any number of examples."""
    for key, array in arrays.items():
        if array.ndim == 0:
            raise AttributionError(f"input{_named(key)} is a single number: the first axis must be the batch")
    return {
        key: tf.TensorSpec([None, *array.shape[1:]], tf.string if array.dtype.kind in "OSU" else array.dtype)
        for key, array in arrays.items()
    }


def matched(arrays: dict[Any, np.ndarray], specs: dict[Any, tf.TensorSpec], images: bool = False) -> dict[Any, Any]:
    """For each key of the model's inputs, the user's key: by name, else by position.

    Args:
        images: whether the arrays came as a list of PIL images.

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
    if len(specs) == 1 and len(given) > 1 and given == list(range(len(given))):
        hint = list_hint(arrays, next(iter(specs.values())), images)
        if hint:
            shape = next(iter(arrays.values())).shape
            raise AttributionError(f"the model takes 1 input, {takes}; got {len(given)} arrays, of shape {shape}, {hint}")
    hint = ""
    if len(specs) == 1 and len(given) == 2 and given == [0, 1] and arrays[0].ndim > 1 == arrays[1].ndim:
        hint = "; of a pair (x, y) give x, and y as target=: attribute(x, target=y)"
    elif len(specs) == len(given) == 1:
        hint = f"; one input needs no name: inputs[{given[0]!r}]"
    raise AttributionError(f"the model takes {len(specs)} input(s), {takes}; got {len(given)}: {_shown_keys(arrays)}{hint}")


def prepared(given: Given, specs: dict[Any, tf.TensorSpec], match: dict) -> dict[Any, np.ndarray]:
    """The inputs by the model's keys, in the model's dtypes, checked.

    Raises:
        AttributionError: wrong rank or shape, an empty batch, unequal batches, NaN or infinity.
    """
    ready = {key: _prepare(given, match[key], spec) for key, spec in specs.items()}
    counts = {len(array) for array in ready.values()}
    if len(counts) > 1:
        raise AttributionError(f"the inputs have different numbers of examples: {_shown_keys(given.arrays)}")
    if counts == {0}:
        raise AttributionError("the batch is empty: give at least one example")
    return ready


def _prepare(given: Given, key: Any, spec: tf.TensorSpec) -> np.ndarray:
    if spec.shape.rank == 0:
        raise AttributionError(
            f"input{_named(key)} of the model is one {spec.dtype.name} for all examples, and rows of several are evaluated "
            "together: give the model that number itself, and save or wrap it without this input"
        )
    array, columns, wanted = given.arrays[key], given.names.get(key), list(spec.shape)
    fits = array.ndim == len(wanted) and all(
        size in (None, came) for size, came in zip(wanted[1:], array.shape[1:], strict=True)
    )
    if not fits:
        hint = shape_hint(array.shape, wanted, array.dtype.kind in "OSU", given.written.get(key, "inputs"))
        raise AttributionError(f"input{_named(key)} must be {_shown(spec)}, got {array.dtype} {array.shape}{hint}")
    if 0 in array.shape[1:]:
        raise AttributionError(f"input{_named(key)} of shape {array.shape} has no features: every axis needs an entry")
    if spec.dtype == tf.string:
        if array.dtype.kind not in "OSU":
            raise AttributionError(f"input{_named(key)} must be text, got {array.dtype}")
        return array
    if spec.dtype.is_complex:
        raise AttributionError(
            f"input{_named(key)} is {spec.dtype.name}: attributions are to real numbers; give its real "
            "and imaginary part as two inputs, Attributor(lambda z: model(tf.complex(z['re'], z['im'])))"
        )
    if array.dtype.kind not in "biuf":
        raise AttributionError(f"input{_named(key)} must be {spec.dtype.name}, got {array.dtype}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(1))
        odd = [] if columns is None else [columns[place] for place in np.flatnonzero(~np.isfinite(array).all(0))]
        where = f", column(s) {', '.join(map(repr, odd[:10]))}" if odd else ""
        raise NotFinite(f"input{_named(key)} holds NaN or infinity", f"in example(s) {few(bad)}{where}")
    dtype = spec.dtype.as_numpy_dtype
    if spec.dtype.is_integer and array.dtype.kind == "f" and not np.array_equal(array, np.round(array)):
        unit = spec.dtype == tf.uint8 and array.min() >= 0 and array.max() <= 1
        hint = f"; images in [0, 1]: np.uint8(255 * {given.written.get(key, 'inputs')})" if unit else ""
        raise AttributionError(f"input{_named(key)} must be {spec.dtype.name}, got fractions ({array.dtype}){hint}")
    if spec.dtype.is_integer and array.dtype.kind == "f" and np.abs(array).max(initial=0) > exactly(array.dtype):
        raise AttributionError(
            f"input{_named(key)} must be {spec.dtype.name}, got whole numbers beyond {exactly(array.dtype):,} as "
            f"{array.dtype}, which has rounded them (a column in which one is missing becomes such): give them as integers"
        )
    with np.errstate(over="ignore"):
        cast = np.ascontiguousarray(array, dtype)
    kept = (
        np.isfinite(cast).all()
        if array.dtype.kind == "f" and spec.dtype.is_floating
        else np.array_equal(cast, array) or spec.dtype.is_floating
    )
    if not kept:
        raise AttributionError(f"input{_named(key)} holds numbers beyond the range of {spec.dtype.name}, which the model takes")
    return cast


def exactly(dtype: np.dtype) -> int:
    """Up to which number a float type holds all whole numbers."""
    return 2 ** (np.finfo(dtype).nmant + 1)


def few(examples: np.ndarray) -> str:
    """The first of some example numbers, for an error."""
    return ", ".join(str(int(i)) for i in examples[:10]) + (f", ... ({len(examples)} in all)" if len(examples) > 10 else "")


def _named(key: Any) -> str:
    return "" if key is None else f" {key!r}"


def _shown(spec: tf.TensorSpec) -> str:
    if spec.shape.rank == 0:
        return f"{spec.dtype.name} ()"
    sizes = ["batch", *("any" if size is None else str(size) for size in spec.shape[1:])]
    return f"{spec.dtype.name} ({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _shown_keys(arrays: dict) -> str:
    return ", ".join(f"{'' if key is None else repr(key) + ' '}{array.dtype} {array.shape}" for key, array in arrays.items())
