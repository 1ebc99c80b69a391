"""A result in one `.npz` file: arrays and a line of JSON, no pickle."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from .attribution import PER_EXAMPLE, Attribution
from .errors import AttributionError
from .structure import flatten, rebuild
from .whole import write_whole

FORMAT = 1
STRUCTURED = ("attributions", "positive", "inputs")


def save(result: Attribution, path: str | os.PathLike, overwrite: bool = False) -> Path:
    """Writes `result` to `path` (".npz" is added where it is missing), whole or not at all."""
    path = Path(path)
    path = path if path.suffix == ".npz" else path.with_name(path.name + ".npz")
    if path.exists() and not overwrite:
        raise AttributionError(f"{str(path)!r} exists: save(path, overwrite=True) replaces it")
    if not path.parent.is_dir():
        raise AttributionError(f"there is no folder {str(path.parent)!r} to save in")
    arrays, words, keys = {}, {}, {}
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        if field.name in STRUCTURED and value is not None:
            leaves = flatten(value)
            keys[field.name] = list(leaves)
            arrays |= {f"{field.name}/{number}": _plain(leaf) for number, leaf in enumerate(leaves.values())}
        elif isinstance(value, np.ndarray):
            arrays[field.name] = _plain(value)
        elif value is not None:
            words[field.name] = value
    header = json.dumps({"format": FORMAT, "words": words, "keys": keys})
    return write_whole(path, lambda file: np.savez_compressed(file, header=np.asarray(header), **arrays))


def load(path: str | os.PathLike) -> Attribution:
    """Reads what `save` wrote.

    Raises:
        AttributionError: not such a file, or truncated.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(str(arrays.pop("header")))
        version = header["format"]
    except Exception as error:
        raise AttributionError(f"{str(path)!r} is not a saved attribution, or is truncated: {error}") from error
    if version != FORMAT:
        raise AttributionError(f"{str(path)!r} has format {version}; this version reads {FORMAT}")
    try:
        return _result(header, arrays)
    except Exception as error:
        raise AttributionError(f"{str(path)!r} is no whole saved attribution: {type(error).__name__}: {error}; save the result "
                               "again, result.save(path)") from error


def _result(header: dict, arrays: dict[str, np.ndarray]) -> Attribution:
    """The result that a file holds; any error where it does not hold a whole one."""
    fields: dict[str, Any] = dict(header["words"])
    for name, keys in header["keys"].items():
        fields[name] = rebuild({key: arrays.pop(f"{name}/{number}") for number, key in enumerate(keys)})
    result = Attribution(**(fields | arrays | {"notes": tuple(fields.get("notes", ()))}))
    for field in dataclasses.fields(Attribution):
        if field.type is str and not isinstance(getattr(result, field.name), str):
            raise TypeError(f"{field.name} is no text")
    leaves = {name: getattr(result, name) for name in PER_EXAMPLE} | dict(flatten(result.attributions))
    for name, value in leaves.items():
        if value is not None and len(value) != len(result):
            raise ValueError(f"{name or 'attributions'} of {len(value)} examples, scores of {len(result)}")
    return result


def _plain(array: Any) -> np.ndarray:
    """`array` in a dtype that needs no pickle: text as fixed-width Unicode."""
    array = np.asarray(array)
    if array.dtype == object:
        return np.asarray([item.decode("utf-8", "replace") if isinstance(item, bytes) else item
                           for item in array.ravel()], dtype=str).reshape(array.shape)
    return array
