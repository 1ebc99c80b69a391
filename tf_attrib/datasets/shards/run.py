"""`ta.attribute_dataset`: data of any size, attributed shard by shard, each of which is written whole or not at all."""

import contextlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...attributor import Attributor
from ...common.atomic import write_whole
from ...common.checks import is_whole, whole
from ...common.errors import AttributionError, plain
from ...common.locks import locked
from ...common.progress import progress
from ...methods import Method, as_method
from . import manifest, storage
from .blocks import Kept, kept_as
from .folder import SHARD, AttributionSet, failures_path, shard_path, unreadable_path
from .gathering import Gathering
from .isolated import Call, Isolated, as_target, checked_on_error
from .paths import are_paths, of_images
from .rows import Rows
from .several import several
from .source_files import from_files, image_reader
from .sources import Source, Streamed, Unreadable, from_memory_or_stream

# What black and white of images are for a model, unless it is said.
WHITE = (0.0, 255.0)
# What every one of several processes is told.
PASSED_ON = ("method", "target", "baselines", "at", "of", "seed", "batch_size", "shard_size", "keep", "reduce", "dtype")
PASSED_ON += ("on_error", "ids", "labels", "features", "value_range", "resize")


def attribute_dataset(
    attributor: Attributor | str | os.PathLike,
    data: Any,
    out: str | os.PathLike,
    *,
    method: str | Method = "integrated_gradients",
    target: Any = None,
    baselines: Any = None,
    at: Any = None,
    of: Any = None,
    seed: int = 0,
    batch_size: int = 256,
    shard_size: int = 10_000,
    shard: tuple[int, int] = (0, 1),
    keep: Sequence[str] = ("attributions",),
    reduce: str | None = None,
    dtype: str = "float32",
    on_error: str = "mark",
    ids: Any = None,
    labels: Any = None,
    features: Any = None,
    value_range: tuple[float, float] = WHITE,
    resize: bool = False,
    processes: int | None = None,
    devices: str | Sequence[int] | None = None,
    verbose: str | bool = "auto",
) -> AttributionSet:
    """Attributes every row of a data set, and writes shards of results into a folder.

        found = ta.attribute_dataset("model.keras", "in/*.parquet", "run/", ids="id", labels="label")
        found.summarise()

    Called again with the same arguments it does what is missing: shards that are there are whole, and stay. One that is made
    again is the same to the last bit on the same machine, as batches are cut by the number of a row within its shard. Every
    batch is one call of `attribute` with this seed.

    Args:
        attributor: an `Attributor`, or the path of a model.
        data: arrays, a DataFrame, or a list or dict of such, as the model takes them; (inputs, labels); a `tf.data.Dataset`, a
            `keras.utils.PyDataset` or any iterable of batches (inputs, or tuples of inputs, labels, ...), whose order must be
            the same each time; the path of Parquet, TFRecord or array files, "in/*.parquet", or a list of
            them; a folder of images.
        out: the folder; it is made where there is none.
        method, baselines: as `attribute` takes them; baselines are the same for all rows.
        target: None, a class, or a tuple or `ta.each_position()` as `attribute` takes them; or "label": the label of each row.
        at, of: as `Attributor` takes them; default: those of the attributor.
        seed: of random baselines and methods.
        batch_size: rows of one call of `attribute`.
        shard_size: rows of one shard. A shard holds rows of one file only.
        shard: (k, n), which part of all shards is done, k from 0 to n - 1: n processes with one folder do all of them.
        keep: fields of results that are stored beside scores, baseline scores, gap, error estimate, status, target and
            predicted class: "attributions", "inputs", "standard_error", "evaluations", ...
        reduce: "sum(-1)", "mean(axis)", "norm(axis)" or "abs()": what is stored of attributions; default: all of them.
        dtype: of attributions, "float16", "float32" or "float64": wider ones are rounded to it.
        on_error: what becomes of a row that is not finite, cannot be read, or makes the model fail: "mark", which is noted
            in its status and in `failures()`, or "raise". What fails for every row is always raised.
        ids: what rows are called: whole numbers or texts (n,), or the name of a column; of batches that are tuples the place in
            them. Default: the number of the row, of several files behind the name of the file.
        labels: likewise; default: what comes second in a tuple.
        features: the columns of Parquet files that are inputs, in order (default: all but ids and labels); of TFRecord files
            what `tf.io.parse_example` takes.
        value_range: what black and white of image files are for the model.
        resize: whether image files are brought to the size that the model takes.
        processes: how many processes share the work, each of which reads the model anew: the attributor is one of a path, and
            the data can be sent to them (paths, arrays). One that dies is started again, and what it did stays. A script that
            calls this needs `if __name__ == "__main__":`.
        devices: "all", or numbers of GPUs: one process for each, which sees it alone.
        verbose: "auto" shows progress, rate and time left when it takes over two seconds; True always, False never.

    Returns:
        What is in the folder, also of runs before and of other processes.

    Raises:
        AttributionError: arguments that do not fit; a folder that holds shards of another run, that another process writes this
            part of, or to which nothing can be written; a full disk (the shards that are there stay).
    """
    k, n = _share(shard)
    whole("batch_size", batch_size)
    whole("shard_size", shard_size)
    whole("seed", seed, 0)
    checked_on_error(on_error)
    options = {name: value for name, value in locals().items() if name in PASSED_ON}
    kept = kept_as(keep, reduce, dtype)
    if processes is not None or devices is not None:  # the model is not read here: it would take the memory of every GPU
        return several(attribute_dataset, attributor, data, out, options, (k, n), processes, devices, verbose)
    attributor = as_attributor_at(attributor, at, of)
    call = Call(attributor, {"method": as_method(method), "baselines": baselines, "seed": seed}, as_target(target), on_error)
    source = _source(attributor, data, ids, labels, features, value_range, resize, batch_size)
    folder, how = Path(out), storage.kind()
    told = manifest.made(call, kept, source, batch_size, shard_size, how)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AttributionError(f"the folder {str(folder)!r} cannot be made: {plain(error)}") from error
    with _alone(folder, k, n):
        with locked(folder / ".lock-manifest", f"another process begins in {str(folder)!r}", wait=True):
            manifest.settle(folder, told, alone=n == 1)
        run = _Run(folder, how, source, call, kept, (k, n), shard_size, batch_size)
        run.clear()
        left = run.left() if verbose else None
        with progress(verbose, lambda: left) as advance:
            run.all_files(advance)
    return AttributionSet(folder)


class _Run:
    """What one process does of a folder."""

    def __init__(
        self,
        folder: Path,
        how: str,
        source: Source,
        call: Call,
        kept: Kept,
        share: tuple[int, int],
        shard_size: int,
        batch_size: int,
    ) -> None:
        self._folder, self._how, self._source, self._kept = folder, how, source, kept
        self._share, self._size, self._batch = share, shard_size, batch_size
        self._raises, self._checked = call.on_error == "raise", 0
        self._names = _names(call.attributor, source)
        self._attribute = Isolated(call, any(folder.glob(f"shard-*.{how}")))

    def _is_own(self, file: int, part: int) -> bool:
        """Whether it is this process that does a part: without knowing how many there are."""
        return does(self._share, file, part)

    def _is_wanted(self, file: int, part: int) -> bool:
        return self._is_own(file, part) and not shard_path(self._folder, file, part, self._how).exists()

    def clear(self) -> None:
        """Removes what a process that was killed left of parts of this one's."""
        for path in self._folder.glob(".*.part"):
            found = re.match(r"\.(?:shard|failures)-(\d+)-(\d+)\.", path.name)
            if found and self._is_own(int(found[1]), int(found[2])):
                path.unlink(missing_ok=True)

    def left(self) -> int | None:
        """How many rows are to be done, where that is known."""
        counts = self._source.counts
        if counts is None:
            return None
        parts = [(file, part) for file, count in enumerate(counts) for part in range(-(-count // self._size))]
        return sum(min(self._size, counts[file] - part * self._size) for file, part in parts if self._is_wanted(file, part))

    def all_files(self, advance: Any) -> None:
        """All parts that are wanted; a file that cannot be read is noted, and the others are done."""
        for file, name in enumerate(self._source.names):
            note = unreadable_path(self._folder, file, *self._share)
            try:
                wanted = lambda part, file=file: self._is_wanted(file, part)  # noqa: E731
                for part, batches in self._source.parts(file, self._size, self._batch, wanted):
                    self._check_passed()
                    self._write(file, part, batches, advance)
                self._check_passed(ended=True)
            except Unreadable as error:
                if self._raises:
                    raise
                text = json.dumps({"file": name, "status": "unreadable", "reason": str(error)})
                self._written(note, lambda file, text=text: file.write(text.encode()))
            else:
                notes = self._folder.glob(f"unreadable-{file:05d}-*.json") if self._share == (0, 1) else [note]
                for note in notes:
                    note.unlink(missing_ok=True)

    def _check_passed(self, ended: bool = False) -> None:
        """Raises where a shard that is there has another number of rows than that part of a stream has now."""
        passed = self._source.passed
        for part in range(self._checked, len(passed)):
            self._check_rows(shard_path(self._folder, 0, part, self._how), passed[part])
        self._checked = len(passed)
        if ended and passed:
            for path in self._folder.glob(f"shard-00000-*.{self._how}"):
                found = SHARD.fullmatch(path.name)
                if found and int(found[2]) >= len(passed):
                    self._check_rows(path, 0)

    def _check_rows(self, path: Path, now: int) -> None:
        there = storage.rows(path) if path.exists() else None
        if there is not None and there != now:
            raise AttributionError(
                f"{str(path)!r} holds {there} rows, and where it was read the data have {now} now: they ended early, or are "
                "others; name another folder, or delete that shard and those behind it"
            )

    def _write(self, file: int, part: int, batches: Iterator[Rows], advance: Any) -> None:
        """One shard; what failed in it is written first, so that where there is a shard there is all about it."""
        path, about = shard_path(self._folder, file, part, self._how), failures_path(self._folder, file, part)
        gathered = Gathering(self._attribute, self._kept, self._names)

        def fill(target: Any) -> None:
            storage.write(target, gathered.blocks(batches, part * self._size, advance), self._how)
            if gathered.failures:
                lines = "".join(json.dumps(vars(failure)) + "\n" for failure in gathered.failures)
                self._written(about, lambda target: target.write(lines.encode()))
            else:  # of a shard that was there once
                about.unlink(missing_ok=True)

        self._written(path, fill)

    def _written(self, path: Path, fill: Any) -> None:
        try:
            write_whole(path, fill, durable=True)
        except OSError as error:
            raise AttributionError(
                f"{str(path)!r} could not be written: {plain(error)}; the shards that are there are whole: make room, and call "
                "it again as it was called"
            ) from error


def _names(attributor: Attributor, source: Source) -> dict[str, tuple[str, ...]]:
    """The columns of the frames that a stream begins with, by key: those of all its batches, also where a run goes on behind
    the shards that were of the first."""
    if not isinstance(source, Streamed):
        return {}
    try:
        return {"" if key is None else str(key): names for key, names in attributor.read(source.first.inputs).names.items()}
    except AttributionError:
        return {}  # a batch that is nothing that the model takes is marked when it is come to


def does(shard: tuple[int, int], file: int, part: int) -> bool:
    """Whether it is the process of `shard`, (k, n), that does one part of one file."""
    k, n = shard
    return (file + part) % n == k


def as_attributor_at(attributor: Any, at: Any, of: Any) -> Attributor:
    """What attributes, at and of what is asked for."""
    if isinstance(attributor, str | os.PathLike):
        return Attributor(attributor, at, of)
    if not isinstance(attributor, Attributor):
        raise AttributionError(
            "attribute_dataset takes an attributor, such as ta.Attributor(model), or the path of a model; got "
            f"{type(attributor).__name__}"
        )
    attributor = attributor if at is None else attributor.observing(at)
    return attributor if of is None else attributor.explaining(of)


def _source(
    attributor: Attributor, data: Any, ids: Any, labels: Any, features: Any, value_range: Any, resize: bool, batch_size: int
) -> Source:
    low, high = value_range if np.shape(value_range) == (2,) else (0, 0)
    if not low < high:
        raise AttributionError(f"value_range is what black and white are, (low, high) with low < high; got {value_range!r}")
    if (resize or (low, high) != WHITE) and not (are_paths(data) and of_images(data)):
        raise AttributionError("value_range= and resize= are of image files; other data are given as the model takes them")
    if are_paths(data):
        return from_files(attributor, data, ids, labels, features, image_reader(attributor, value_range, resize))
    if features is not None:
        raise AttributionError("features= is of files; data in memory and in batches have their inputs as the model takes them")
    return from_memory_or_stream(attributor, data, ids, labels, batch_size)


def _share(shard: Any) -> tuple[int, int]:
    whole_numbers = isinstance(shard, tuple | list) and len(shard) == 2 and all(map(is_whole, shard))
    if not whole_numbers or not 0 <= shard[0] < shard[1]:
        raise AttributionError(f"shard is (k, n), part k of n, from 0 to n - 1, such as (0, 8) to (7, 8); got {shard!r}")
    return int(shard[0]), int(shard[1])


@contextlib.contextmanager
def _alone(folder: Path, k: int, n: int) -> Iterator[None]:
    """While this process writes part k of n: those of other parts of n may too, and nobody who writes all, or parts of another
    number, which hold the same shards."""
    words = f"another process writes {str(folder)!r}"
    with locked(folder / ".lock", f"{words}: wait for it, or give each its part, shard=(0, 2) and shard=(1, 2)", shared=n > 1):
        if n == 1:
            yield
            return
        with contextlib.ExitStack() as held:
            with locked(folder / ".lock-manifest", f"another process begins in {str(folder)!r}", wait=True):
                for path in folder.glob(".lock-*-*"):
                    other = path.name.rpartition("-")[2]
                    if other != str(n):
                        with locked(path, f"{words}, one of {other} parts: give this the same number, shard=(k, {other})"):
                            pass
                own = f"{words}, and the same part of it, shard=({k}, {n}): give each its own"
                held.enter_context(locked(folder / f".lock-{k}-{n}", own))
            yield
