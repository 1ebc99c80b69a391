"""Rows in files: Parquet, TFRecord, arrays of NumPy, and folders of images."""

import contextlib
import functools
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ...attributor import Attributor
from ...common import fingerprint
from ...common.errors import AttributionError, nearest, plain
from ...common.images import DROPPED, read_image
from ...selection.frames import Given
from .arrow_columns import as_array, unfit
from .paths import arrow, found, kind_of, names_of, parquet_rows
from .rows import Rows, Stream
from .sources import InMemory, Parts, Source, Unreadable, Wanted, as_ids, as_label_column, parts_of

# Of images names and sizes are compared with those of another run, and of so many, evenly spread, what is in them.
LOOKED_AT = 1000


def from_files(
    attributor: Attributor, pattern: Any, ids: Any, labels: Any, features: Any, read: Callable[[str], np.ndarray]
) -> Source:
    """The rows of the files that a pattern means, in the order of their names.

    Args:
        pattern: a file, a folder of images, a pattern such as "in/*.parquet", or a list of files.
        ids, labels: names of columns, or None.
        features: of Parquet, the columns that are inputs, in order; of TFRecord, what `tf.io.parse_example` takes.
        read: one image from its path.

    Raises:
        AttributionError: no files, of several kinds, or of one that is not read.
    """
    paths = found(pattern)
    kinds = {kind_of(path) for path in paths}
    if len(kinds) > 1:
        raise AttributionError(f"{plain(pattern)} means files of several kinds, {', '.join(sorted(kinds))}: name one kind")
    for name, value in (("ids", ids), ("labels", labels)):
        if value is not None and not isinstance(value, str):
            raise AttributionError(f"{name} of rows in files are the name of a column, got {type(value).__name__}")
    kind = kinds.pop()
    if features is not None and kind not in ("Parquet", "TFRecord"):
        raise AttributionError(f"features= is of Parquet and TFRecord files; these are {kind}: leave it out")
    if kind == "Parquet":
        return ParquetFiles(attributor, paths, ids, labels, features)
    if kind == "TFRecord":
        return RecordFiles(attributor, paths, ids, labels, features)
    if kind == "image":
        folder = None if isinstance(pattern, list) or not Path(pattern).is_dir() else Path(pattern)
        return ImageFiles(folder, paths, ids, labels, read)
    if len(paths) > 1:
        raise AttributionError(f"{plain(pattern)} means {len(paths)} array files: give one, or arrays")
    return InMemory(_loaded(paths[0]), ids, labels)


def _loaded(path: Path) -> Any:
    """An array, or several by name.

    Raises:
        AttributionError: it cannot be read.
    """
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        return loaded if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise AttributionError(
            f"{str(path)!r} cannot be read as np.save and np.savez write numbers and text: {plain(error, 200)}"
        ) from error


class _Files:
    """What files of rows have in common: each is read by itself, and one that cannot be read takes none of the others along."""

    passed: Sequence[int] = ()

    @property
    def counts(self) -> tuple[int, ...] | None:
        """How many rows each file has, where that is known without reading it."""
        return None

    def __init__(
        self, attributor: Attributor, paths: Sequence[Path], ids: str | None, labels: str | None, features: Any
    ) -> None:
        self.names, self._told = tuple(names_of(paths)), repr(features)
        self._attributor, self._paths, self._ids, self._labels = attributor, paths, ids, labels

    def fingerprint(self) -> str:
        return fingerprint.fingerprint([fingerprint.of_files(self._paths), self._ids, self._labels, self._told])

    @contextlib.contextmanager
    def _reading(self, file: int) -> Iterator[None]:
        """What fails to be read is this file."""
        try:
            yield
        except AttributionError:
            raise
        except (OSError, ValueError, tf.errors.OpError) as error:  # errors of Arrow are one of the first two
            raise Unreadable(f"{self.names[file]!r} cannot be read: {plain(getattr(error, 'message', error), 300)}") from error

    def _rows(self, file: int, start: int, columns: dict[str, np.ndarray], lost: dict[int, str] | None = None) -> Rows:
        """Rows that begin at `start`, of columns by name with an entry for each of them that could be read; ids and labels may
        have one for each."""
        for name, value in (("ids", self._ids), ("labels", self._labels)):
            if value is not None and value not in columns:
                raise AttributionError(f"{name}={value!r} is no column of the data; there are: {nearest(value, columns)}")
        inputs = {name: value for name, value in columns.items() if name not in (self._ids, self._labels)}
        if not inputs:
            raise AttributionError("the data have no columns beside ids and labels: name the inputs, features=[...]")
        count = len(next(iter(inputs.values()))) + len(lost or ())
        labels = None if self._labels is None else as_label_column(columns[self._labels])
        ids = self._numbered(file, start, count) if self._ids is None else as_ids(columns[self._ids])
        if lost and len(ids) < count:
            ids = _widened(ids, lost, count)
        if lost and labels is not None and len(labels) < count:
            labels = _widened(labels, lost, count)
        return Rows(ids, as_inputs(self._attributor, inputs), labels, lost or {})

    def _numbered(self, file: int, start: int, count: int) -> np.ndarray:
        """Ids where none are given: the number of the row, of several files behind the name of its file."""
        numbers = np.arange(start, start + count)
        return numbers if len(self.names) == 1 else np.array([f"{self.names[file]}:{number}" for number in numbers])


class ParquetFiles(_Files):
    """Parquet files, by pyarrow; of each only the row groups that are wanted are read."""

    def __init__(
        self, attributor: Attributor, paths: Sequence[Path], ids: str | None, labels: str | None, features: Any
    ) -> None:
        super().__init__(attributor, paths, ids, labels, features)
        arrow()
        if features is not None and (isinstance(features, str | Mapping) or not all(isinstance(one, str) for one in features)):
            raise AttributionError(f"features of Parquet files are names of columns, ['a', 'b'], got {features!r}")
        self._columns = None if features is None else [*features, *(one for one in (ids, labels) if one is not None)]
        if features is None and len(attributor.input_specs or ()) == 1:
            self._check_order()

    def _check_order(self) -> None:
        """Raises where columns that are put side by side are others, or in another order, in one file than in another."""
        orders = {}
        for path, name in zip(self._paths, self.names, strict=True):
            with contextlib.suppress(OSError, ValueError):  # one that cannot be read is noted when it is its turn
                own = [one for one in arrow()[1].read_schema(path).names if one not in (self._ids, self._labels)]
                orders.setdefault(tuple(own), name)
        if len(orders) > 1:
            (one, first), (other, second) = list(orders.items())[:2]
            raise AttributionError(
                f"the columns of {first!r} are {plain(list(one), 200)}, and those of {second!r} {plain(list(other), 200)}: say "
                f"which are the model's input, and in which order, features={plain(list(one), 200)}"
            )

    @property
    def counts(self) -> tuple[int, ...] | None:
        """How many rows each file has; 0 of one that cannot be read."""
        return tuple(map(parquet_rows, self._paths))

    def parts(self, file: int, size: int, batch: int, wanted: Wanted) -> Parts:
        _, parquet = arrow()
        with self._reading(file):
            opened = parquet.ParquetFile(self._paths[file])
        with opened:
            names = opened.schema_arrow.names
            missing = [name for name in self._columns or () if name not in names]
            if missing:
                raise AttributionError(
                    f"{self.names[file]!r} has no column {missing[0]!r}; there are: {nearest(missing[0], names)}"
                )
            for part in filter(wanted, range(-(-opened.metadata.num_rows // size))):
                yield part, self._batches(opened, file, part * size, size, batch)

    def _batches(self, opened: Any, file: int, start: int, size: int, batch: int) -> Iterator[Rows]:
        """The rows from `start` on, of the row groups that they are in."""
        ends = np.cumsum([opened.metadata.row_group(number).num_rows for number in range(opened.metadata.num_row_groups)])
        stop = min(start + size, int(ends[-1]))
        groups = [number for number, end in enumerate(ends) if end > start and (number == 0 or ends[number - 1] < stop)]
        skipped = start - (int(ends[groups[0] - 1]) if groups[0] else 0)
        with self._reading(file):
            table = opened.read_row_groups(groups, columns=self._columns).slice(skipped, stop - start)
        for first in range(0, stop - start, batch):
            part = table.slice(first, batch)
            names = self._columns or part.column_names
            inputs = [name for name in names if name not in (self._ids, self._labels)]
            lost = unfit(self._attributor, part, inputs)
            whole = part.filter([place not in lost for place in range(len(part))]) if lost else part
            columns = {name: as_array((whole if name in inputs else part)[name], name) for name in names}
            yield self._rows(file, start + first, columns, lost)


class RecordFiles(_Files):
    """TFRecord files of `tf.train.Example`; one that does not fit `features` is lost by itself."""

    def __init__(
        self, attributor: Attributor, paths: Sequence[Path], ids: str | None, labels: str | None, features: Any
    ) -> None:
        super().__init__(attributor, paths, ids, labels, features)
        if not isinstance(features, Mapping) or not features:
            raise AttributionError(
                "TFRecord files need features=, what tf.io.parse_example takes, such as "
                f"{{'x': tf.io.FixedLenFeature([4], tf.float32)}}; got {type(features).__name__}"
            )
        self._features = dict(features)

    def parts(self, file: int, size: int, batch: int, wanted: Wanted) -> Parts:
        for part, batches in parts_of(Stream(self._records(file, batch)), size, batch, wanted):
            yield part, self._examples(file, part * size, batches)

    def _records(self, file: int, batch: int) -> Iterator[Rows]:
        path, first = self._paths[file], 0
        with self._reading(file):
            for records in tf.data.TFRecordDataset(str(path), "GZIP" if path.suffix.lower() == ".gz" else "").batch(batch):
                yield Rows(np.arange(first, first + len(records)), records.numpy())
                first += len(records)

    def _examples(self, file: int, first: int, batches: Iterator[Rows]) -> Iterator[Rows]:
        for records in batches:
            columns, lost = self._parsed(tf.constant(records.inputs))
            yield self._rows(file, first, columns, lost)
            first += len(records)

    def _parsed(self, serialized: tf.Tensor) -> tuple[dict[str, np.ndarray], dict[int, str]]:
        """The columns of the records that fit, and why others do not."""
        try:
            return self._dense(serialized), {}
        except tf.errors.OpError:
            good, lost = [], {}
            for place, one in enumerate(tf.unstack(serialized)):
                try:
                    good.append(self._dense(one[None]))
                except tf.errors.OpError as error:
                    lost[place] = f"the record does not fit features=: {plain(error.message, 300)}"
            empty = {name: np.zeros((0, *one.shape), one.dtype.as_numpy_dtype) for name, one in self._features.items()}
            return {name: np.concatenate([one[name] for one in good]) for name in self._features} if good else empty, lost

    def _dense(self, serialized: tf.Tensor) -> dict[str, np.ndarray]:
        """The columns of records all of which fit, in the order of `features`: TensorFlow sorts them by name."""
        parsed = tf.io.parse_example(serialized, self._features)
        for name, value in parsed.items():
            if not isinstance(value, tf.Tensor):
                raise AttributionError(
                    f"the feature {name!r} is sparse or ragged: tf.io.FixedLenFeature(shape, dtype) makes it dense"
                )
        return {name: parsed[name].numpy() for name in self._features}


class ImageFiles:
    """Images, one a file; where they lie in folders, the folder is the class. All together are one file of rows: what cannot be
    read is a row. Folders have the numbers that `keras.utils.image_dataset_from_directory` gives them: those without images
    count, and those within others do not."""

    names: tuple[str, ...] = ("",)
    passed: Sequence[int] = ()

    def __init__(
        self, folder: Path | None, paths: Sequence[Path], ids: Any, labels: Any, read: Callable[..., np.ndarray]
    ) -> None:
        if ids is not None or labels is not None:
            raise AttributionError("images have their paths as ids and their folders as labels: leave ids and labels out")
        self._paths, self._read, self.counts = paths, read, (len(paths),)
        self._ids = np.array([str(path.relative_to(folder)) if folder else path.name for path in paths])
        self._labels = None if folder is None else _classes(folder, paths)

    def fingerprint(self) -> str:
        sizes = [path.stat().st_size for path in self._paths]
        some = [self._paths[place] for place in np.unique(np.linspace(0, len(self._paths) - 1, LOOKED_AT).astype(int))]
        how = getattr(self._read, "keywords", None)  # in another range, or resized, the same files are other inputs
        return fingerprint.fingerprint([self._ids, self._labels, sizes, fingerprint.of_files(some), how])

    def parts(self, file: int, size: int, batch: int, wanted: Wanted) -> Parts:
        for part in filter(wanted, range(-(-len(self._paths) // size))):
            yield part, self._batches(part * size, min((part + 1) * size, len(self._paths)), batch)

    def _batches(self, start: int, stop: int, batch: int) -> Iterator[Rows]:
        for first in range(start, stop, batch):
            which = slice(first, min(first + batch, stop))
            images, lost, dropped = [], {}, set()
            for place, path in enumerate(self._paths[which]):
                try:
                    images.append(self._read(str(path), dropped=dropped))
                except AttributionError as error:
                    lost[place] = str(error)
                if images and images[-1].shape != images[0].shape:
                    raise AttributionError(
                        f"images differ in size, {images[0].shape} and {images[-1].shape} ({str(path)!r}), and the model does "
                        "not say which it takes: bring them to one"
                    )
            inputs = np.stack(images) if images else np.zeros((0, 1, 1, 1), np.float32)
            yield Rows(self._ids[which], inputs, None if self._labels is None else self._labels[which], lost, _notes(dropped))


def _notes(dropped: set[str]) -> tuple[str, ...]:
    """What of some images was left out; without their names, so that a note is one for all batches."""
    return tuple(f"of some images: {words}" for key, words in DROPPED.items() if key in dropped)


def _classes(folder: Path, paths: Sequence[Path]) -> np.ndarray | None:
    """(n,), the number of the folder within `folder` that each image is in; None where one is in none."""
    names = sorted(one.name for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    own = [path.relative_to(folder).parts[0] for path in paths]
    return np.array([names.index(one) for one in own]) if set(own) <= set(names) else None


def image_reader(attributor: Attributor, value_range: tuple[float, float], resize: bool) -> Callable[[str], np.ndarray]:
    """What reads an image from its path, in the size that the model takes."""
    low, high = map(float, value_range)
    return functools.partial(read_image, shape=attributor.input_shape, value_range=(low, high), resize=bool(resize))


def as_inputs(attributor: Attributor, columns: dict[str, np.ndarray]) -> Any:
    """Columns as the model takes them: by the names of its inputs, or side by side, with their names kept, as those of a
    DataFrame are."""
    specs = attributor.input_specs
    names = {} if specs is None else {str(spec.name or key): spec for key, spec in specs.items()}
    if (specs is None or len(specs) > 1) and len(columns) > 1:
        return {name: _in_rank(value, names.get(name)) for name, value in columns.items()}
    if len(columns) == 1:
        return _in_rank(next(iter(columns.values())), next(iter(names.values()), None))
    wide = [name for name, value in columns.items() if value.ndim > 1]
    if wide:
        raise AttributionError(
            f"the model takes one input, and the data have the columns {', '.join(map(repr, columns))}, of which {wide[0]!r} "
            "holds several numbers a row: name the one that is the input, features=[...], ids= and labels="
        )
    odd = [name for name, value in columns.items() if value.dtype.kind in "mM"]
    if odd:
        raise AttributionError(
            f"the column {odd[0]!r} holds {columns[odd[0]].dtype}, which is no number: name the inputs, features=[...], or "
            "make it the numbers that the model was trained on"
        )
    return Given({None: np.stack(list(columns.values()), 1)}, {None: tuple(columns)})


def _in_rank(values: np.ndarray, spec: tf.TensorSpec | None) -> np.ndarray:
    """One number a row as the model wants it, (n,) or (n, 1)."""
    column = spec is not None and spec.shape.rank == 2 and spec.shape[1] in (None, 1)
    return values[:, None] if values.ndim == 1 and column else values


def _widened(values: np.ndarray, lost: Mapping[int, str], count: int) -> np.ndarray:
    """`values` of the rows that could be read, with one that means nothing for the others."""
    wide = np.full((count, *values.shape[1:]), -1 if values.dtype.kind in "iu" else "" if values.dtype.kind == "U" else np.nan)
    wide = wide.astype(values.dtype)
    wide[[place for place in range(count) if place not in lost]] = values
    return wide
