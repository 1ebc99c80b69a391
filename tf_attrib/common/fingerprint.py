"""What a value is, in a few letters: the same for what is the same in another process, another for what differs."""

import dataclasses
import functools
import hashlib
import os
import types
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# Arrays are looked at whole up to so many bytes; of larger ones so many rows, evenly spread.
WHOLE, ROWS = 2**28, 4096
# Of a file of data its name, its size, and so many bytes at both ends; of a model's file all.
ENDS = 2**16


def fingerprint(value: Any) -> str:
    """16 hexadecimal digits of arrays, numbers, texts, dataclasses, functions (their code, what they hold, and what of their
    module they name), models (their configuration and weights, or variables), and of lists and dicts of such."""
    digest = hashlib.blake2b(digest_size=8)
    _feed(digest, value, {})
    return digest.hexdigest()


def of_files(paths: Iterable[Path], whole: bool = False) -> str:
    """The same of files: their names, sizes and contents; of large ones both ends, unless `whole`."""
    digest = hashlib.blake2b(digest_size=8)
    for path in paths:
        size = path.stat().st_size
        digest.update(f"{path.name}:{size};".encode())
        with open(path, "rb") as file:
            if whole or size <= 2 * ENDS:
                while block := file.read(2**22):
                    digest.update(block)
                continue
            digest.update(file.read(ENDS))
            file.seek(-ENDS, os.SEEK_END)
            digest.update(file.read(ENDS))
    return digest.hexdigest()


def of_model(path: str | os.PathLike) -> str:
    """The same of a model's file, or of all files in its folder."""
    path = Path(path)
    inside = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    return of_files(inside, whole=True)


def _feed(digest: Any, value: Any, seen: dict[int, tuple[int, Any]]) -> None:
    """Adds `value`; what was there before (`seen`, by identity, kept alive as long) is not taken apart again."""
    if isinstance(value, str | bytes | int | float | complex | bool | None | np.generic):
        digest.update(f"{type(value).__name__}:{value!r};".encode())
        return
    if id(value) in seen:
        digest.update(f"again {seen[id(value)][0]};".encode())
        return
    seen[id(value)] = len(seen), value
    if isinstance(value, np.ndarray) or hasattr(value, "__array__"):
        _feed_array(digest, np.asarray(value))
        return
    digest.update(f"{type(value).__module__}.{type(value).__qualname__}(".encode())
    for part in _parts(value):
        _feed(digest, part, seen)
    digest.update(b")")


def _parts(value: Any) -> Iterable[Any]:
    """What a value is made of."""
    if isinstance(value, Mapping):
        return [part for pair in value.items() for part in pair]
    if isinstance(value, Sequence | set | frozenset):
        return sorted(value, key=repr) if isinstance(value, set | frozenset) else value
    if dataclasses.is_dataclass(value):
        return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, types.FunctionType):
        held = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        named = {name: value.__globals__[name] for name in _names(value.__code__) if name in value.__globals__}
        own = [pair for pair in named.items() if _is_own(pair[1], value)]
        return [value.__qualname__, value.__code__, value.__defaults__, value.__kwdefaults__, held, *own]
    if isinstance(value, types.CodeType):
        return [value.co_code, value.co_names, *value.co_consts]
    if hasattr(value, "get_weights") and hasattr(value, "get_config"):
        return [value.get_weights(), _config(value)]
    if hasattr(value, "python_function"):  # of tf.function
        return [value.python_function]
    if isinstance(value, type) or not hasattr(value, "__dict__"):
        return [getattr(value, "__module__", ""), getattr(value, "__qualname__", "")]
    return [*(pair for pair in vars(value).items() if _is_data(pair[1])), *_variables(value)]


def _is_data(value: Any) -> bool:
    """Whether it is numbers or text by itself, as what a function finds outside of it may be."""
    return isinstance(value, str | bytes | bool | int | float | np.ndarray | np.generic) or (
        hasattr(value, "__array__") and not isinstance(value, type)
    )


def _names(code: types.CodeType) -> list[str]:
    """What a function, and those within it, call by name that is none of their own."""
    inner = [name for one in code.co_consts if isinstance(one, types.CodeType) for name in _names(one)]
    return list(dict.fromkeys([*code.co_names, *inner]))


def _is_own(value: Any, function: types.FunctionType) -> bool:
    """Whether what a function names belongs to what it computes: data, models, and functions beside it."""
    if isinstance(value, types.FunctionType):
        return value.__globals__ is function.__globals__
    if isinstance(value, type | types.ModuleType):
        return False
    return _is_data(value) or hasattr(value, "get_weights") or hasattr(value, "python_function") or bool(_variables(value))


def _variables(value: Any) -> Sequence[Any]:
    """Those of a `tf.Module`, wherever in it they are."""
    found = getattr(value, "variables", ())
    return found if isinstance(found, list | tuple) else ()


def _config(model: Any) -> str:
    """What Keras writes of a model; "" of one whose class does not say how it is made."""
    try:
        return model.to_json()
    except Exception:  # whatever a class of the user's own raises here
        return ""


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 -- it raises where nothing is in it yet
    except ValueError:
        return False
    return True


def _feed_array(digest: Any, array: np.ndarray) -> None:
    digest.update(f"{array.dtype.str}{array.shape};".encode())
    if array.dtype == object:
        digest.update(repr([str(item) for item in spread(array).ravel()]).encode())
    else:
        digest.update(np.ascontiguousarray(spread(array)).data if array.size else b"")


def spread(array: np.ndarray) -> np.ndarray:
    """All of an array, or where it is large some of its rows, evenly spread, the first and the last among them."""
    if array.nbytes <= WHOLE or len(array) <= ROWS:
        return array
    return array[np.linspace(0, len(array) - 1, ROWS).astype(int)]
