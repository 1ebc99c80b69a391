"""Instances as an endpoint takes them, JSON, as arrays; and arrays as JSON."""

import base64
import binascii
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.errors import AttributionError
from .fields import shown


def arrays_of(instance: Any, specs: dict[str, tf.TensorSpec]) -> dict[str, np.ndarray]:
    """One instance as an array for each input of the signature, (...) without a batch axis.

    Args:
        instance: an object with a value for each input by its key; of a signature with one input also the value by itself. A
            value is a number, a string, nested lists of them, or {"b64": ...} for bytes.

    Raises:
        AttributionError: inputs that are missing or unknown, or values that do not fit.
    """
    if not isinstance(instance, dict) or set(instance) == {"b64"}:
        if len(specs) > 1:
            listed = ", ".join(map(repr, specs))
            raise AttributionError(f"an instance must be an object with a value for each of {listed}; got {shown(instance)}")
        instance = {next(iter(specs)): instance}
    wrong = sorted(map(str, set(instance) ^ set(specs)))
    if wrong:
        what = "has no value for" if wrong[0] in specs else "has a value for what is no input of the model,"
        raise AttributionError(f"the instance {what} {wrong[0]!r}; the inputs are {', '.join(map(repr, specs))}")
    return {key: _array(instance[key], key, spec) for key, spec in specs.items()}


def as_json(value: Any) -> Any:
    """An array, or what is in one, as numbers, strings and nested lists; bytes that are no text as {"b64": ...}."""
    if isinstance(value, np.ndarray):
        return (
            as_json(value.item())
            if value.ndim == 0
            else [as_json(one) for one in value]
            if value.dtype == object
            else value.tolist()
        )
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(value).decode("ascii")}
    return value.item() if isinstance(value, np.generic) else value


def _array(value: Any, key: str, spec: tf.TensorSpec) -> np.ndarray:
    is_text = spec.dtype == tf.string
    array = _text(value, key) if is_text else _numbers(value, key)
    if spec.shape.rank is not None and not spec.shape[1:].is_compatible_with(array.shape):
        sizes = ", ".join("any" if size is None else str(size) for size in spec.shape[1:])
        raise AttributionError(f"{key!r} must be of shape ({sizes}) in an instance; got {array.shape}")
    # 1 and 1.0 are the same where the model takes floats; whole numbers stay as they are where it does not
    return array.astype(np.float64) if spec.dtype.is_floating and array.dtype.kind in "biu" else array


def _text(value: Any, key: str) -> np.ndarray:
    """Strings and bytes, as an object array of bytes."""

    def decoded(one: Any) -> Any:
        if isinstance(one, list):
            return [decoded(part) for part in one]
        if isinstance(one, dict) and set(one) == {"b64"} and isinstance(one["b64"], str):
            try:
                return base64.b64decode(one["b64"], validate=True)
            except (binascii.Error, ValueError) as error:
                raise AttributionError(f'{key!r} holds {{"b64": ...}} that is not base64: {error}') from error
        if isinstance(one, str):
            return one.encode("utf-8", "surrogatepass")
        raise AttributionError(f'{key!r} is text: strings, {{"b64": ...}}, or lists of them; got {shown(one)}')

    return _rectangular(decoded(value), key, object)


def _numbers(value: Any, key: str) -> np.ndarray:
    def check(one: Any) -> None:
        if isinstance(one, list):
            for part in one:
                check(part)
        elif not isinstance(one, int | float):
            raise AttributionError(f"{key!r} is numbers, or nested lists of them; got {shown(one)}")

    check(value)
    array = _rectangular(value, key, None)
    if array.dtype == object:
        raise AttributionError(f"{key!r} holds a whole number beyond 64 bits")
    return array


def _rectangular(value: Any, key: str, dtype: Any) -> np.ndarray:
    """Nested lists as one array, of bytes without any being cut."""

    def shape(one: Any) -> tuple:
        if not isinstance(one, list):
            return ()
        inner = {shape(part) for part in one}
        if len(inner) > 1:
            raise AttributionError(f"{key!r} is ragged: nested lists must be of the same lengths")
        return (len(one), *(inner.pop() if inner else ()))

    size = shape(value)
    if dtype is None:
        return np.asarray(value)
    array = np.empty(size, object)
    if size == ():
        array[()] = value
    elif array.size:
        array[...] = np.array(value, object)
    return array
