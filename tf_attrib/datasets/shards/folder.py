"""A folder of shards, read again: `ta.open`."""

import functools
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...attribution import Attribution
from ...common.checks import is_whole
from ...common.digits import count as counted
from ...common.errors import AttributionError, missing_extra, printed
from ...result.joined import FILLS
from ..summarise import summarise
from ..summary import DataSummary
from . import manifest, storage
from .blocks import Block

# Blocks are handed out in batches of so many entries at most.
BATCH = 256
SHARD = re.compile(r"shard-(\d+)-(\d+)\.(parquet|npz)$")


def shard_path(folder: Path, file: int, part: int, how: str) -> Path:
    """Where one part of one file of data is stored."""
    return folder / f"shard-{file:05d}-{part:05d}.{how}"


def failures_path(folder: Path, file: int, part: int) -> Path:
    """Where it is said which of its rows failed, and why, a line of JSON for each."""
    return folder / f"failures-{file:05d}-{part:05d}.jsonl"


def unreadable_path(folder: Path, file: int, k: int, n: int) -> Path:
    """Where the process that does part k of n says that a file of data cannot be read."""
    return folder / f"unreadable-{file:05d}-{k}-{n}.json"


def open(out: str | os.PathLike) -> "AttributionSet":
    """The attributions in a folder that `ta.attribute_dataset` wrote, or is writing: the shards that are whole by now.

    Raises:
        AttributionError: there is no such folder.
    """
    return AttributionSet(Path(out))


class AttributionSet:
    """The attributions of a data set, in a folder of shards; one batch at a time is in memory.

    `found[i]` is one of them as an `Attribution`; `for result in found` gives them in batches, in the order of the data.

    Attributes:
        folder: where they are.
        manifest: what they are of: the method, the model's fingerprint, the data's, and so on.
        paths: of the shards that are whole by now, in order.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.manifest = folder, manifest.read(folder)
        found = [(match, path) for path in folder.iterdir() if (match := SHARD.fullmatch(path.name))]
        # by numbers: names of more than five digits sort otherwise
        self.paths = tuple(path for *_, path in sorted((int(match[1]), int(match[2]), path) for match, path in found))

    @functools.cached_property
    def counts(self) -> tuple[int, ...]:
        """How many entries each shard has."""
        return tuple(map(storage.count, self.paths))

    def __len__(self) -> int:
        return sum(self.counts)

    @printed
    def __repr__(self) -> str:
        statuses = [one["status"] for one in self.failures()]
        failed = "".join(f"; {statuses.count(kind):,} {kind}" for kind in dict.fromkeys(statuses))
        where = f"{counted(len(self), 'row')} in {counted(len(self.paths), 'shard')} of {str(self.folder)!r}"
        return f"AttributionSet of {where}: {self.manifest['method'].rpartition(' [')[0]}{failed}"

    def __iter__(self) -> Iterator[Attribution]:
        return self.batches()

    def __getitem__(self, index: int) -> Attribution:
        """One of them, as a batch of one."""
        if not is_whole(index, -len(self), len(self) - 1):
            raise IndexError(f"entry {index} of {len(self)}")
        index = int(index) % len(self)
        for path, count in zip(self.paths, self.counts, strict=True):
            if index < count:
                return self._entry(path, index)
            index -= count
        raise AssertionError

    def _entry(self, path: Path, index: int) -> Attribution:
        for block in self.blocks([path]):
            if index < len(block):
                return block.result[index]
            index -= len(block)
        raise AssertionError

    def batches(self, size: int = BATCH) -> Iterator[Attribution]:
        """All of them, `size` at most at a time, in the order of the data."""
        return (result for result, _, _ in self.labelled(size))

    def labelled(self, size: int = BATCH) -> Iterator[tuple[Attribution, np.ndarray, np.ndarray | None]]:
        """The same, each with the ids of its entries, and their labels or None."""
        for block in self.blocks(self.paths):
            result, labels = block.result, block.columns.get("label")
            for start in range(0, len(block), size):
                part = slice(start, start + size)
                yield result[part], block.columns["id"][part], None if labels is None else labels[part]

    def blocks(self, paths: Sequence[Path]) -> Iterator[Block]:
        """What is stored, as it is; where all rows of a shard failed, filled in as others are."""
        for path in paths:
            for block in storage.read(path):
                yield block if block.header is not None else self._filled(block)

    def _filled(self, block: Block) -> Block:
        """Rows all of which failed, with NaN for numbers, like those of another shard."""
        like = self._like
        if like is None:
            raise AttributionError(f"no row of {str(self.folder)!r} was attributed: failures() says why")
        columns = {
            name: np.full((len(block), *values.shape[1:]), _nothing(name, values), values.dtype)
            for name, values in like.columns.items()
        }
        return Block(columns | block.columns, like.header)

    @functools.cached_property
    def _like(self) -> Block | None:
        """A block of rows that were attributed."""
        return next((block for path in self.paths for block in storage.read(path) if block.header is not None), None)

    @property
    def ids(self) -> np.ndarray:
        """(n,), what the rows are called, in the order of the data."""
        found = [block.columns["id"] for path in self.paths for block in storage.read(path, ["id"])]
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    def failures(self) -> list[dict[str, Any]]:
        """What has no attribution: id, row (in its file), status and reason of each row, and of files that could not be read
        file, status and reason; as `pandas.DataFrame(failures)` takes them."""
        found = []
        for path in sorted(self.folder.glob("failures-*.jsonl")):
            if any(other.stem == path.stem.replace("failures", "shard") for other in self.paths):
                found += map(json.loads, path.read_text(encoding="utf-8").splitlines())
        notes = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.folder.glob("unreadable-*.json"))]
        return found + list({note["file"]: note for note in notes}.values())  # each process may have met with the file

    def summarise(self, **options: Any) -> DataSummary:
        """`ta.summarise` of all of them, batch by batch, with their labels where they have such; `options` are its own."""
        given = "labels" in options

        def results() -> Iterator[Any]:
            for result, _, labels in self.labelled():
                yield result if labels is None or given or labels.dtype.kind not in "biu" else (result, labels)

        return summarise(results(), **options)

    def to_pandas(self, columns: Sequence[str] | None = None) -> Any:
        """A DataFrame with a row for each entry and a column for each that is stored; arrays are one to a cell.

        Args:
            columns: the names of some; default: all that hold one value for each row: not the attributions.

        Raises:
            MissingExtra: pandas is not installed.
            AttributionError: no such column.
        """
        try:
            import pandas
        except ImportError:
            raise missing_extra("pandas", "pandas", "to_pandas") from None
        parts = []
        for path in self.paths:
            for block in storage.read(path, columns):
                absent = [name for name in columns or () if name not in block.columns and block.header is not None]
                if absent:
                    known = ", ".join(next(storage.read(path)).columns)
                    raise AttributionError(f"nothing is stored under {absent[0]!r}; there are: {known}")
                chosen = {name: values for name, values in block.columns.items() if columns or values.ndim == 1}
                parts.append(
                    pandas.DataFrame({name: values if values.ndim == 1 else list(values) for name, values in chosen.items()})
                )
        return pandas.concat(parts, ignore_index=True) if parts else pandas.DataFrame()


def _nothing(name: str, values: np.ndarray) -> Any:
    """What stands for a value that is not there."""
    return -1 if name in ("target", "predicted", "top_classes") else FILLS[values.dtype.kind]
