"""A result in one `.npz` file: arrays and a line of JSON, no pickle."""

import dataclasses
import json
import math
import os
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from ..common.atomic import write_whole
from ..common.errors import AttributionError, plain
from ..common.nested import flatten, rebuild
from ..common.opening import open_regular, size_of
from .result import PER_EXAMPLE, Result

FORMAT = 1
# Attributions are mostly zeros at times, and pack well; beyond so many bytes they are not to be much more than their file.
MAX_BYTES, EXPANSION = 2**32, 20
Kind = TypeVar("Kind", bound=Result)
STRUCTURED = ("attributions", "positive", "inputs")


def save(result: Result, path: str | os.PathLike, overwrite: bool = False) -> Path:
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


def load(path: str | os.PathLike, kind: type[Kind]) -> Kind:
    """Reads what `save` wrote, as a result of this class.

    Raises:
        AttributionError: not such a file, or truncated.
    """
    try:
        with open_regular(path) as file:
            arrays = _arrays(file)
        header = json.loads(str(arrays.pop("header")))
        version = header["format"]
    except Exception as error:
        raise AttributionError(f"{str(path)!r} is not a saved attribution, or is truncated: {plain(error)}") from None
    if version != FORMAT:
        raise AttributionError(f"{str(path)!r} has format {plain(version)}; this version reads {FORMAT}")
    try:
        return _result(header, arrays, kind)
    except Exception as error:
        raise AttributionError(
            f"{str(path)!r} is no whole saved attribution: {type(error).__name__}: {plain(error)}; save the "
            "result again, result.save(path)"
        ) from None


def _result(header: dict, arrays: dict[str, np.ndarray], kind: type[Kind]) -> Kind:
    """The result that a file holds; any error where it does not hold a whole one."""
    fields: dict[str, Any] = dict(header["words"])
    for name, keys in header["keys"].items():
        fields[name] = rebuild({key: arrays.pop(f"{name}/{number}") for number, key in enumerate(keys)})
    result = kind(**(fields | arrays | {"notes": tuple(fields.get("notes", ()))}))
    for field in dataclasses.fields(kind):
        if field.type is str and not isinstance(getattr(result, field.name), str):
            raise TypeError(f"{field.name} is no text")
    leaves = {name: getattr(result, name) for name in PER_EXAMPLE} | dict(flatten(result.attributions))
    for name, value in leaves.items():
        if value is not None and len(value) != len(result):
            raise ValueError(f"{name or 'attributions'} of {len(value)} examples, scores of {len(result)}")
    return result


def _arrays(file: BinaryIO) -> dict[str, np.ndarray]:
    """The arrays in a file, whose sizes are looked at before any of them is made."""
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            with archive.open(member) as source:
                version = np.lib.format.read_magic(source)
                read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read_header(source)
                if dtype.hasobject or math.prod(shape) * dtype.itemsize != member.file_size - source.tell():
                    raise AttributionError(f"the array {plain(member.filename, 80)!r} is not as large as it says")
        if sum(member.file_size for member in archive.infolist()) > max(MAX_BYTES, EXPANSION * size_of(file)):
            raise AttributionError(f"its arrays would have more than {MAX_BYTES:,} bytes")
    file.seek(0)
    with np.load(file, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _plain(array: Any) -> np.ndarray:
    """`array` in a dtype that needs no pickle: text as fixed-width Unicode."""
    array = np.asarray(array)
    if array.dtype == object:
        return np.asarray(
            [item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in array.ravel()], dtype=str
        ).reshape(array.shape)
    return array
