"""Inputs read from files: images, arrays, and token ids as JSON lines."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..common.checks import is_whole
from ..common.errors import AttributionError
from ..common.images import IMAGES, dropped_words, read_image
from ..common.tokens import lines_of

ARRAYS = (".npy", ".npz")
LINES = (".jsonl", ".json", ".ndjson")
# What people keep tables in.
TABLES = (".csv", ".tsv", ".parquet", ".pq", ".feather", ".xlsx")
# What is read of one file of token ids, and as one id.
MOST_NUMBERS, MOST_ID = 250_000_000, 2**31 - 1


def read_inputs(
    paths: list[str],
    shape: tuple | None,
    value_range: tuple[float, float] = (0.0, 255.0),
    resize: bool = False,
    notes: list[str] | None = None,
) -> Any:
    """One batch from all of `paths`, which must be of one kind.

    Args:
        paths: images (one example each), `.npy` (one example or a batch), `.npz` (a model's inputs by name), or JSON lines
            (a list of token ids a line).
        shape: of one example as the model takes it, None entries for any size; None where the model does not say.
        value_range: what black and white of an image become.
        resize: bring images to the size that the model takes.
        notes: where sentences go about what the inputs are beyond the files, or less: padding, what of images is not read.

    Returns:
        An array (batch, ...), or a dict of arrays from `.npz`.

    Raises:
        AttributionError: a file that is missing, unreadable, or of another kind or shape than the others.
    """
    notes = [] if notes is None else notes
    kinds = {_kind(Path(path)) for path in paths}
    if len(kinds) > 1:
        raise AttributionError(f"the inputs are of several kinds ({', '.join(sorted(kinds))}): give one kind at a time")
    for path in paths:
        if not Path(path).is_file():
            raise AttributionError(f"there is no input file at {path!r}")
    kind = kinds.pop()
    if kind == "image":
        dropped = {path: set() for path in paths}
        batch = _stack([read_image(path, shape, value_range, resize, dropped[path]) for path in paths], paths)
        notes += dropped_words(dropped)
        return batch
    if kind == "token ids":
        return _padded([ids for path in paths for ids in _lines(path, notes)], shape, notes)
    return _arrays(paths, shape)


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    for kind, suffixes in (("image", IMAGES), ("array", ARRAYS), ("token ids", LINES)):
        if suffix in suffixes:
            return kind
    table = "; tables: tf-attrib run reads Parquet (pandas.read_csv(path).to_parquet(other)), and Python data frames"
    raise AttributionError(
        f"{str(path)!r}: inputs are images ({', '.join(IMAGES)}), arrays ({', '.join(ARRAYS)}) or token ids "
        f"({', '.join(LINES)}){table if suffix in TABLES else ''}"
    )


def _stack(examples: list[np.ndarray], paths: list[str]) -> np.ndarray:
    shapes = {example.shape for example in examples}
    if len(shapes) > 1:
        listed = ", ".join(f"{path} {example.shape}" for path, example in zip(paths, examples, strict=True))
        raise AttributionError(f"the images differ in size: {listed}")
    return np.stack(examples)


def _arrays(paths: list[str], shape: tuple | None) -> Any:
    loaded = [_load(path) for path in paths]
    if any(isinstance(arrays, dict) for arrays in loaded):
        if len(loaded) > 1:
            raise AttributionError("one .npz holds all inputs of a model by name: give one .npz, and no other file")
        arrays = loaded[0]
        return next(iter(arrays.values())) if len(arrays) == 1 else arrays
    # one example without a batch axis is a batch of one
    batches = [array[None] if shape is not None and array.ndim == len(shape) else array for array in loaded]
    try:
        return np.concatenate(batches)
    except ValueError as error:
        raise AttributionError(f"the arrays do not fit together: {', '.join(str(array.shape) for array in loaded)}") from error


def _load(path: str) -> Any:
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.ndarray):
            with loaded:
                return {name: loaded[name] for name in loaded.files}
        return loaded
    except Exception as error:
        raise AttributionError(f"{path!r} is not a readable array file without pickle: {error}") from error


def _lines(path: str, notes: list[str]) -> list[list[int]]:
    rows, lines = [], read_lines(path)
    while lines and not lines[-1].strip():
        lines.pop()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            notes.append(f"{path!r}: line {number} is blank, and no example")
            continue
        try:
            ids = json.loads(line)
        except RecursionError:
            raise AttributionError(
                f"{path!r}, line {number}: lists in lists in lists, too deep to be token ids; give one list "
                "of whole numbers a line, such as [12, 7, 0]"
            ) from None
        except ValueError as error:
            raise AttributionError(
                f"{path!r}, line {number}: not JSON: {error}; give one list of token ids a line, such as [12, 7, 0]"
            ) from error
        rows += ids if isinstance(ids, list) and ids and isinstance(ids[0], list) else [ids]
    for ids in rows:
        if not isinstance(ids, list) or not ids or not all(map(is_whole, ids)):
            raise AttributionError(f"{path!r}: each line must be a list of token ids such as [12, 7, 0]; got {repr(ids)[:60]}")
        beyond = next((i for i in ids if not -MOST_ID <= i <= MOST_ID), None)
        if beyond is not None:
            raise AttributionError(f"{path!r}: {str(beyond)[:30]} is beyond the range of token ids, {MOST_ID}")
    return rows


def read_lines(path: str) -> list[str]:
    """The lines of a file in UTF-8, with or without the mark that Windows puts in front.

    Raises:
        AttributionError: there is none, it is a folder, cannot be read, or is in another encoding.
    """
    if not Path(path).is_file():
        raise AttributionError(f"there is no file at {path!r}" + (": it is a folder" if Path(path).is_dir() else ""))
    try:
        return lines_of(Path(path).read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise AttributionError(f"{path!r} is not text in UTF-8 (byte {error.start}): save it as UTF-8") from error
    except OSError as error:
        raise AttributionError(f"{path!r} cannot be read: {error}") from error


def read_labels(path: str) -> np.ndarray:
    """A label for each example: an array file (n,) or (n, ...), or text with a number a line.

    Raises:
        AttributionError: a file that is missing, unreadable, or holds something else.
    """
    if Path(path).suffix.lower() in ARRAYS:
        loaded = _load(path)
        if isinstance(loaded, dict) and len(loaded) != 1:
            raise AttributionError(
                f"{path!r} holds {len(loaded)} arrays, {', '.join(loaded)}: labels are one array, such as .npy"
            )
        return next(iter(loaded.values())) if isinstance(loaded, dict) else loaded
    lines = [line.strip() for line in read_lines(path)]
    while lines and not lines[-1]:
        lines.pop()
    if "" in lines:
        raise AttributionError(
            f"{path!r}: line {lines.index('') + 1} is blank, and labels behind it may be of other examples: a number a line, "
            "the first of the first example"
        )
    try:
        numbers = np.array([float(line) for line in lines])
    except ValueError as error:
        raise AttributionError(
            f"{path!r}: labels are a number a line, classes counted from 0, or an array file; {error}"
        ) from None
    whole = np.isfinite(numbers).all() and (numbers == numbers.round()).all() and (np.abs(numbers) <= MOST_ID).all()
    return numbers.astype(int) if whole else numbers


def _padded(rows: list[list[int]], shape: tuple | None, notes: list[str]) -> np.ndarray:
    """Rows of ids padded with 0 at the end to the length that the model takes, else to the longest; and a note that it did."""
    if not rows:
        raise AttributionError("the file holds no token ids")
    if shape is not None and len(shape) != 1:
        raise AttributionError(f"lines of token ids are (length,) for each example, and the model takes {shape}: give an array")
    longest = max(len(ids) for ids in rows)
    length = (shape[0] if shape else None) or longest
    if longest > length:
        raise AttributionError(f"a line of {longest} token ids for a model that takes {length}: shorten it")
    if len(rows) * length > MOST_NUMBERS:
        raise AttributionError(
            f"{len(rows)} lines, the longest of {longest} token ids, are {len(rows) * length:,} numbers "
            f"when padded, and at most {MOST_NUMBERS:,} are read: give fewer lines at a time"
        )
    shorter = sum(len(ids) < length for ids in rows)
    if shorter:
        lines = f"{shorter} of {len(rows)} lines {'is' if shorter == 1 else 'are'}"
        notes.append(f"{lines} shorter than {length} token ids: padded with 0 at the end")
    padded = np.zeros((len(rows), length), np.int32)
    for row, ids in zip(padded, rows, strict=True):
        row[: len(ids)] = ids
    return padded
