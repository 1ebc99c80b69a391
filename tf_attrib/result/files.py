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
from .packed import is_inexact, packed, unpacked
from .result import PER_EXAMPLE, Result

# Since format 2 what the numbers are stands in fields of their own; of older files it is read off their words, here alone.
FORMAT, OLDEST = 2, 1
# Attributions are mostly zeros at times, and pack well; beyond so many bytes they are not to be much more than their file.
MAX_BYTES, EXPANSION = 2**32, 20
# In format 1: what methods say whose path is at another place than their attributions, before that place.
PATH = "the path runs at "
PLACES = {"input": "inputs", "embedding": "embeddings", "layer": "layer", "tensor": "layer"}
Kind = TypeVar("Kind", bound=Result)
STRUCTURED = ("attributions", "positive", "standard_error", "inputs")


def save(result: Result, path: str | os.PathLike, overwrite: bool = False) -> Path:
    """Writes `result` to `path` (".npz" is added where it is missing), whole or not at all."""
    path = Path(path)
    path = path if path.suffix == ".npz" else path.with_name(path.name + ".npz")
    if path.exists() and not overwrite:
        raise AttributionError(f"{str(path)!r} exists: save(path, overwrite=True) replaces it")
    if not path.parent.is_dir():
        raise AttributionError(f"there is no folder {str(path.parent)!r} to save in")
    header, arrays = parts(result)
    inexact = {name: array for name, array in _given(result).items() if is_inexact(array)}
    header["bytes"] = list(inexact)
    arrays |= {name: packed(array) for name, array in inexact.items()}
    arrays["header"] = np.asarray(json.dumps(header))
    return write_whole(path, lambda file: np.savez_compressed(file, **arrays))  # pyright: ignore[reportArgumentType] (no array is called allow_pickle)


def parts(result: Result) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a result is made of: a header that JSON can hold, and arrays (n, ...) by name, those of structures as "name/0"."""
    words, keys = {}, {}
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        if field.name in STRUCTURED and value is not None:
            keys[field.name] = list(flatten(value))
        elif value is not None and not isinstance(value, np.ndarray):
            words[field.name] = value
    return {"format": FORMAT, "words": words, "keys": keys}, {name: _plain(array) for name, array in _given(result).items()}


def _given(result: Result) -> dict[str, np.ndarray]:
    """The arrays of a result by their name in a file."""
    arrays = {}
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        if field.name in STRUCTURED and value is not None:
            arrays |= {f"{field.name}/{number}": np.asarray(leaf) for number, leaf in enumerate(flatten(value).values())}
        elif isinstance(value, np.ndarray):
            arrays[field.name] = value
    return arrays


def load(path: str | os.PathLike, kind: type[Kind]) -> Kind:
    """Reads what `save` wrote, as a result of this class.

    Raises:
        AttributionError: not such a file, or truncated.
    """
    if not os.path.exists(path):
        raise AttributionError(f"there is no file at {str(path)!r}; result.save(path) writes one")
    try:
        with open_regular(path) as file:
            arrays = _arrays(file)
        header = json.loads(str(arrays.pop("header")))
        version = header["format"]
    except Exception as error:
        raise AttributionError(f"{str(path)!r} is not a saved attribution, or is truncated: {plain(error)}") from None
    if version not in range(OLDEST, FORMAT + 1):
        raise AttributionError(f"{str(path)!r} has format {plain(version)}; this version reads {OLDEST} to {FORMAT}")
    try:
        return from_parts(header, arrays, kind)
    except Exception as error:
        raise AttributionError(
            f"{str(path)!r} is no whole saved attribution: {type(error).__name__}: {plain(error)}; save the "
            "result again, result.save(path)"
        ) from None


def from_parts(header: dict, arrays: dict[str, np.ndarray], kind: type[Kind]) -> Kind:
    """The result that `parts` took apart, or that a file holds; any error where it is not a whole one."""
    arrays = dict(arrays) | {name: unpacked(arrays[name]) for name in header.get("bytes", ())}
    fields: dict[str, Any] = dict(header["words"])
    for name, keys in header["keys"].items():
        fields[name] = rebuild({key: arrays.pop(f"{name}/{number}") for number, key in enumerate(keys)})
    fields |= arrays | {name: tuple(fields.get(name, ())) for name in ("notes", "left_out")}
    if header["format"] == 1:
        fields |= _since_format_2(fields)
    fields |= {
        name: {key: tuple(names) for key, names in fields.get(name, {}).items()} for name in ("categories", "feature_names")
    }
    fields["class_names"] = {int(number): str(name) for number, name in fields.get("class_names", {}).items()}
    result = kind(**fields)
    for field in dataclasses.fields(kind):
        if field.type in (str, bool) and not isinstance(getattr(result, field.name), field.type):
            raise TypeError(f"{field.name} is no {'text' if field.type is str else field.type.__name__}")
    leaves = {name: getattr(result, name) for name in PER_EXAMPLE} | dict(flatten(result.attributions))
    for name, value in leaves.items():
        if value is not None and len(value) != len(result):
            raise ValueError(f"{name or 'attributions'} of {len(value)} examples, scores of {len(result)}")
    return result


def _since_format_2(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that format 1 has not, from what its words say."""
    method, unit, baseline = (str(fields.get(name, "")) for name in ("method", "attribution_unit", "baseline"))
    at = str(fields.get("at", ""))
    if "GradCam(" in method:
        kind = "map"
    elif "²" in unit:
        kind = "square"
    elif "per unit of" in unit:
        kind = "slope"
    elif method.startswith(("Ablation(", "Occlusion(")):
        kind = "effect"
    else:
        kind = "contribution" if fields.get("gap") is not None else ""
    taken = {"Ablation()": "positions", "Occlusion": "windows", "Ablation(": "groups"}
    paths = [str(note).removeprefix(PATH).partition(";")[0] for note in fields["notes"] if str(note).startswith(PATH)]
    return {
        "kind": kind,
        "steps": "InteriorGradients(" in method and fields.get("alphas") is not None,
        "place": next((place for start, place in PLACES.items() if at.startswith(start)), ""),
        "path_at": paths[0] if paths and paths[0] != at else "",
        "baseline_is_zero": baseline == "zeros" or baseline.startswith("zeros:"),
        "taken_away": next((what for start, what in taken.items() if method.startswith(start)), ""),
        "groups": _groups_of_format_1(fields) if method.startswith("Ablation(groups") else None,
    }


def _groups_of_format_1(fields: dict[str, Any]) -> np.ndarray | None:
    """How many groups were taken away, by what it took: one forward pass for each and each baseline."""
    below, passes = fields.get("baseline_scores"), fields.get("forward_evaluations")
    if below is None or passes is None:
        return None
    count = 1 if below.ndim == 1 else below.shape[1]
    return (passes - 1 - count) // count


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
