"""Files that hold rows: what a path or a pattern means, of which kind they are, and how many rows they say they have."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...common.errors import AttributionError, missing_extra
from ...common.images import IMAGES

PARQUET, RECORDS, ARRAYS = (".parquet", ".pq"), (".tfrecord", ".tfrecords", ".tfrecord.gz", ".tfrecords.gz"), (".npy", ".npz")


def are_paths(data: Any) -> bool:
    """Whether data are files: a path or a pattern, or a list of such."""
    several = isinstance(data, list) and len(data) > 0
    return isinstance(data, str | os.PathLike) or (several and all(isinstance(one, str | os.PathLike) for one in data))


def of_images(pattern: str | os.PathLike | list) -> bool:
    """Whether files are images."""
    return {kind_of(path) for path in found(pattern)} == {"image"}


def rows_in(pattern: str | os.PathLike | list) -> int | None:
    """How many rows files hold, where that is known without reading them."""
    paths = found(pattern)
    kinds = {kind_of(path) for path in paths}
    if kinds == {"Parquet"}:
        return sum(map(parquet_rows, paths))
    return len(paths) if kinds == {"image"} else None


def parquet_rows(path: Path) -> int:
    """How many rows a Parquet file says that it has; 0 of one that cannot be read."""
    try:
        return arrow()[1].read_metadata(path).num_rows
    except (OSError, ValueError):
        return 0


def found(pattern: str | os.PathLike | list) -> list[Path]:
    """The files that a pattern means, sorted; of a folder all images in it; of a list those in it, in their order.

    Raises:
        AttributionError: there are none.
    """
    if isinstance(pattern, list):
        return [path for one in pattern for path in found(one)]
    if Path(pattern).is_dir():
        paths = [
            path for path in Path(pattern).rglob("*") if path.suffix.lower() in IMAGES and not _hidden(path, Path(pattern))
        ]
        sought = "images in the folder"
    else:
        paths = [Path(path) for path in glob.glob(os.fspath(pattern), recursive=True) if Path(path).is_file()]
        sought = "files at"
    if not paths:
        raise AttributionError(f"there are no {sought} {str(pattern)!r}")
    return sorted(paths)


def _hidden(path: Path, folder: Path) -> bool:
    """Whether it is, or lies in, what begins with a dot, as what other programs leave beside images does."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def kind_of(path: Path) -> str:
    """Of which kind a file of rows is, by the end of its name.

    Raises:
        AttributionError: of none that is read.
    """
    for kind, endings in (("Parquet", PARQUET), ("TFRecord", RECORDS), ("array", ARRAYS), ("image", IMAGES)):
        if path.name.lower().endswith(endings):
            return kind
    known = ", ".join((*PARQUET, *RECORDS, *ARRAYS, *IMAGES))
    table = "; pandas.read_csv(path).to_parquet(other) makes one of a table" if path.suffix.lower() in (".csv", ".tsv") else ""
    raise AttributionError(f"{str(path)!r}: rows are read from files that end in {known}{table}")


def names_of(paths: Sequence[Path]) -> list[str]:
    """A name for each file, as short as tells them apart."""
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def arrow() -> tuple[Any, Any]:
    """pyarrow and its module of Parquet.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise missing_extra("pyarrow", "datasets", "reading and writing Parquet") from None
    return pyarrow, pyarrow.parquet
