"""Rows in files: Parquet, TFRecord, arrays of NumPy, and folders of images."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ...attributor import Attributor
from ...common import fingerprint
from ...common.errors import AttributionError, nearest, plain
from ...common.images import read_image
from ...selection.frames import Given
from .paths import arrow, found, kind_of, names_of, parquet_rows
from .rows import Rows, Stream
from .sources import InMemory, Parts, Source, Unreadable, Wanted, as_ids, as_label_column, parts_of


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
    loaded = np.load(paths[0], mmap_mode="r", allow_pickle=False)
    return InMemory(loaded if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}, ids, labels)


class _Files:
    """What files of rows have in common: each is read by itself, and one that cannot be read takes none of the others along."""

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
        """Rows that begin at `start`, of columns by name with an entry for each of them that could be read."""
        for name, value in (("ids", self._ids), ("labels", self._labels)):
            if value is not None and value not in columns:
                raise AttributionError(f"{name}={value!r} is no column of the data; there are: {nearest(value, columns)}")
        inputs = {name: value for name, value in columns.items() if name not in (self._ids, self._labels)}
        if not inputs:
            raise AttributionError("the data have no columns beside ids and labels: name the inputs, features=[...]")
        count = len(next(iter(columns.values()))) + len(lost or ())
        labels = None if self._labels is None else as_label_column(columns[self._labels])
        ids = self._numbered(file, start, count) if self._ids is None else as_ids(columns[self._ids])
        if lost and self._ids is not None:
            ids = _widened(ids, lost, count)
        if lost and labels is not None:
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
            yield self._rows(file, start + first, {name: _as_array(part[name], name) for name in part.column_names})


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
            for records in tf.data.TFRecordDataset(str(path), "GZIP" if path.suffix == ".gz" else "").batch(batch):
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
            return _dense(tf.io.parse_example(serialized, self._features)), {}
        except tf.errors.OpError:
            good, lost = [], {}
            for place, one in enumerate(tf.unstack(serialized)):
                try:
                    good.append(_dense(tf.io.parse_example(one[None], self._features)))
                except tf.errors.OpError as error:
                    lost[place] = f"the record does not fit features=: {plain(error.message, 300)}"
            empty = {name: np.zeros((0, *one.shape), one.dtype.as_numpy_dtype) for name, one in self._features.items()}
            return {name: np.concatenate([one[name] for one in good]) for name in self._features} if good else empty, lost


class ImageFiles:
    """Images, one a file; where they lie in folders, the folder is the class, as `keras.utils.image_dataset_from_directory` has
    it. All together are one file of rows: what cannot be read is a row."""

    names: tuple[str, ...] = ("",)

    def __init__(
        self, folder: Path | None, paths: Sequence[Path], ids: Any, labels: Any, read: Callable[[str], np.ndarray]
    ) -> None:
        if ids is not None or labels is not None:
            raise AttributionError("images have their paths as ids and their folders as labels: leave ids and labels out")
        self._paths, self._read, self.counts = paths, read, (len(paths),)
        self._ids = np.array([str(path.relative_to(folder)) if folder else path.name for path in paths])
        classes = sorted({path.parent for path in paths})
        self._labels = np.array([classes.index(path.parent) for path in paths]) if folder and folder not in classes else None

    def fingerprint(self) -> str:
        return fingerprint.fingerprint(
            [(str(one), path.stat().st_size) for one, path in zip(self._ids, self._paths, strict=True)]
        )

    def parts(self, file: int, size: int, batch: int, wanted: Wanted) -> Parts:
        for part in filter(wanted, range(-(-len(self._paths) // size))):
            yield part, self._batches(part * size, min((part + 1) * size, len(self._paths)), batch)

    def _batches(self, start: int, stop: int, batch: int) -> Iterator[Rows]:
        for first in range(start, stop, batch):
            which = slice(first, min(first + batch, stop))
            images, lost = [], {}
            for place, path in enumerate(self._paths[which]):
                try:
                    images.append(self._read(str(path)))
                except AttributionError as error:
                    lost[place] = str(error)
                if images and images[-1].shape != images[0].shape:
                    raise AttributionError(
                        f"images differ in size, {images[0].shape} and {images[-1].shape} ({str(path)!r}), and the model does "
                        "not say which it takes: bring them to one"
                    )
            inputs = np.stack(images) if images else np.zeros((0, 1, 1, 1), np.float32)
            yield Rows(self._ids[which], inputs, None if self._labels is None else self._labels[which], lost)


def image_reader(attributor: Attributor, value_range: tuple[float, float], resize: bool) -> Callable[[str], np.ndarray]:
    """What reads an image from its path, in the size that the model takes."""
    return functools.partial(read_image, shape=attributor.input_shape, value_range=value_range, resize=resize)


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
    return Given({None: np.stack(list(columns.values()), 1)}, {None: tuple(columns)})


def _in_rank(values: np.ndarray, spec: tf.TensorSpec | None) -> np.ndarray:
    """One number a row as the model wants it, (n,) or (n, 1)."""
    column = spec is not None and spec.shape.rank == 2 and spec.shape[1] in (None, 1)
    return values[:, None] if values.ndim == 1 and column else values


def _as_array(column: Any, name: str) -> np.ndarray:
    """(n, ...) from a column of Arrow: numbers, text, lists of one length, tensors."""
    pa, _ = arrow()
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(values, pa.FixedShapeTensorArray):
        if not values.null_count:
            return values.to_numpy_ndarray()
        values = values.storage
    if pa.types.is_fixed_size_list(values.type) or pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        lengths = set(values.value_lengths().drop_null().to_pylist()) if len(values) else {0}
        if len(lengths) != 1 or values.null_count:
            raise AttributionError(f"column {name!r} holds lists of different lengths, {sorted(lengths)[:5]}: pad them to one")
        inner = _as_array(values.flatten(), name)
        return inner.reshape(len(values), lengths.pop(), *inner.shape[1:])
    return values.to_numpy(zero_copy_only=False)


def _dense(columns: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Columns of parsed records as arrays."""
    for name, value in columns.items():
        if not isinstance(value, tf.Tensor):
            raise AttributionError(
                f"the feature {name!r} is sparse or ragged: tf.io.FixedLenFeature(shape, dtype) makes it dense"
            )
    return {name: value.numpy() for name, value in columns.items()}


def _widened(values: np.ndarray, lost: Mapping[int, str], count: int) -> np.ndarray:
    """`values` of the rows that could be read, with one that means nothing for the others."""
    wide = np.full((count, *values.shape[1:]), -1 if values.dtype.kind in "iu" else "" if values.dtype.kind == "U" else np.nan)
    wide = wide.astype(values.dtype)
    wide[[place for place in range(count) if place not in lost]] = values
    return wide
