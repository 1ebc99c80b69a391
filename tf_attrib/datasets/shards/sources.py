"""Data of any kind as rows, by which file they are in and which part of it: from memory, and from what gives batches."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from ...attributor import Attributor
from ...common.errors import AttributionError, nearest
from ...common.fingerprint import fingerprint
from ...common.nested import flatten, is_nested_list, map_leaves
from ...selection.frames import example_count, is_frame, take
from ...selection.streams import batched
from ..batches import as_labels, is_whole, iterated
from .rows import Rows, Stream, counted

Wanted = Callable[[int], bool]
Parts = Iterator[tuple[int, Iterator[Rows]]]


class Unreadable(AttributionError):
    """A file of data, or what is left of it, cannot be read; others can."""


class Source(Protocol):
    """Data as files of rows, of which arrays and streams are one.

    Attributes:
        names: of its files; of what is in none, one name that is empty.
        counts: how many rows each has, where that is known beforehand.
        passed: of a stream, whose fingerprint knows only how it begins, how many rows each part had that was read to its end.
    """

    names: tuple[str, ...]

    @property
    def passed(self) -> Sequence[int]: ...

    @property
    def counts(self) -> tuple[int, ...] | None: ...

    def fingerprint(self) -> str:
        """Tells these data from others."""
        ...

    def parts(self, file: int, size: int, batch: int, wanted: Wanted) -> Parts:
        """Parts of one file, `size` rows each but the last, as batches of `batch` rows each but the last; what is not `wanted`
        is left out.

        Raises:
            Unreadable: this file, from here on.
        """
        ...


class InMemory:
    """Arrays, DataFrames, or a list or dict of them, with an entry for each row."""

    names: tuple[str, ...] = ("",)
    passed: Sequence[int] = ()

    def __init__(self, inputs: Any, ids: Any = None, labels: Any = None) -> None:
        inputs, ids = _pulled(inputs, ids, "ids")
        inputs, labels = _pulled(inputs, labels, "labels")
        self._inputs = inputs
        counts = {len(leaf) if np.ndim(leaf) else 0 for leaf in flatten(inputs).values()}
        if len(counts) != 1 or 0 in counts:
            raise AttributionError(f"data must be as many rows in each array, at least one; got {sorted(counts)}")
        self._count = example_count(inputs)
        self.counts = (self._count,)
        self._ids = np.arange(self._count) if ids is None else as_ids(counted("ids", ids, inputs))
        self._labels = None if labels is None else as_label_column(counted("labels", labels, inputs))

    def fingerprint(self) -> str:
        leaves = [
            {name: leaf[name].to_numpy() for name in leaf.columns} if is_frame(leaf) else np.asarray(leaf)
            for leaf in flatten(self._inputs).values()
        ]
        return fingerprint([list(map(str, flatten(self._inputs))), leaves, self._ids, self._labels])

    def parts(self, file: int, size: int, batch: int, wanted: Wanted) -> Parts:
        for part in filter(wanted, range(-(-self._count // size))):
            yield part, self._batches(part * size, min((part + 1) * size, self._count), batch)

    def _batches(self, start: int, stop: int, batch: int) -> Iterator[Rows]:
        for first in range(start, stop, batch):
            which = slice(first, min(first + batch, stop))
            yield Rows(self._ids[which], take(self._inputs, which), None if self._labels is None else self._labels[which])


class Streamed:
    """What gives batches in an order: a `tf.data.Dataset`, a `keras.utils.PyDataset`, any iterable. It is read from its
    beginning, also where parts of it are done: a part is known by how many rows come before it.

    Attributes:
        first: its first batch.
    """

    names: tuple[str, ...] = ("",)
    counts: tuple[int, ...] | None = None

    def __init__(self, elements: Iterator[Any], ids: str | int | None, labels: str | int | None) -> None:
        self._ids, self._labels, self._seen = ids, labels, 0
        self.passed: list[int] = []
        self._any_labels: bool | None = None  # whether batches have labels
        self._any_frames: bool | None = None  # whether their inputs are named by frames
        first = next(elements, None)
        if first is None:
            raise AttributionError("the data hold no batches (a generator gives its batches once only)")
        self.first = self._read(first)
        self._stream = Stream(itertools.chain([self.first], map(self._read, elements)))

    def fingerprint(self) -> str:
        inputs = map_leaves(lambda leaf: leaf.to_numpy() if is_frame(leaf) else leaf, self.first.inputs)
        return fingerprint(["the first batch", self.first.ids, inputs, self.first.labels])

    def _read(self, element: Any) -> Rows:
        """A batch: inputs, or a tuple of inputs, labels and weights; ids and labels may stand in it by name or by place."""
        parts = element if isinstance(element, tuple) else (element,)
        inputs, found = map_leaves(_as_numpy, np.asarray(parts[0]) if is_nested_list(parts[0]) else parts[0]), {}
        for name, place in (("ids", self._ids), ("labels", self._labels)):
            if isinstance(place, int):
                if not 0 < place < len(parts):
                    raise AttributionError(f"{name}={place} is a place in the tuple of a batch, and this has {len(parts)}")
                found[name] = _as_numpy(parts[place])
            else:
                inputs, found[name] = _pulled(inputs, place, name)
        if self._labels is None and len(parts) > 1 and self._ids != 1:
            found["labels"] = _as_numpy(parts[1])
        has = found["labels"] is not None
        self._any_labels = has if self._any_labels is None else self._any_labels
        if has != self._any_labels:
            raise AttributionError("some batches of the data have labels, and others do not: give them with all or none")
        framed = any(is_frame(leaf) for leaf in flatten(inputs).values())
        self._any_frames = framed if self._any_frames is None else self._any_frames
        if framed != self._any_frames:
            raise AttributionError(
                "some batches of the data are frames, and others are arrays, whose columns have no names: give all as one "
                "or the other"
            )
        count = example_count(inputs)
        ids = np.arange(self._seen, self._seen + count) if found["ids"] is None else counted("ids", found["ids"], inputs)
        labels = None if found["labels"] is None else as_label_column(counted("labels", found["labels"], inputs))
        self._seen += count
        return Rows(as_ids(ids), inputs, labels)

    def parts(self, file: int, size: int, batch: int, wanted: Wanted) -> Parts:
        return parts_of(self._stream, size, batch, wanted, self.passed)


def parts_of(stream: Stream, size: int, batch: int, wanted: Wanted, passed: list[int] | None = None) -> Parts:
    """The parts of a stream, as `Source.parts` gives them. What is not taken of one is read too, to come to the next; how many
    rows it had is then added to `passed`."""
    for part in itertools.count():
        one = _Part(stream, size, batch)
        first = next(one, None)
        if first is None:
            return
        if wanted(part):
            yield part, itertools.chain([first], one)
        for _ in one:
            pass
        if passed is not None:
            passed.append(size - one.left)


class _Part(Iterator[Rows]):
    """The batches of one part of a stream."""

    def __init__(self, stream: Stream, size: int, batch: int) -> None:
        self._stream, self.left, self._batch = stream, size, batch

    def __next__(self) -> Rows:
        rows = self._stream.take(min(self._batch, self.left)) if self.left else None
        if rows is None:
            raise StopIteration
        self.left -= len(rows)
        return rows


def from_memory_or_stream(attributor: Attributor, data: Any, ids: Any, labels: Any, batch: int) -> Source:
    """The rows of data that are no files.

    Args:
        ids, labels: of arrays (n,) each, or the name of a column; of a stream the name of an input in each batch, or its place
            in the tuple that a batch is.
        batch: rows that are taken at once of a `tf.data.Dataset` of single examples.
    """
    if isinstance(data, tuple) and len(data) == 2 and not is_whole(attributor, data) and is_whole(attributor, data[0]):
        if labels is not None:
            raise AttributionError("labels were given twice: beside the inputs, (inputs, labels), and as labels=")
        data, labels = data
    if is_whole(attributor, data):
        return InMemory(data, ids, labels)
    for name, value in (("ids", ids), ("labels", labels)):
        if not isinstance(value, str | int | None) or isinstance(value, bool):
            raise AttributionError(
                f"{name} of data that come in batches are the name of an input in each, or the place in the tuple that a batch "
                f"is; got {type(value).__name__}: put them into the batches, dataset.zip"
            )
    return Streamed(iter(iterated(in_batches(attributor, data, batch))), ids, labels)


def in_batches(attributor: Attributor, data: Any, batch: int) -> Any:
    """`data`; a `tf.data.Dataset` of single examples in batches."""
    if not isinstance(data, tf.data.Dataset):
        return data
    if int(data.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise AttributionError("the tf.data.Dataset never ends: leave repeat() out, or say how many batches, dataset.take(100)")
    scalars = 0 in (one.shape.rank for one in tf.nest.flatten(data.element_spec))
    return data.batch(batch) if scalars else batched(data, (attributor.input_specs or {}).values(), batch)


def _as_numpy(leaf: Any) -> Any:
    if isinstance(leaf, tf.RaggedTensor | tf.SparseTensor):
        raise AttributionError("a batch of the data is ragged or sparse: make it dense, dataset.map(lambda x: x.to_tensor())")
    return leaf if is_frame(leaf) else np.asarray(leaf)


def _pulled(inputs: Any, name: Any, what: str) -> tuple[Any, Any]:
    """`inputs` without the column `name`, and it; where `name` is no text, both as they are."""
    if not isinstance(name, str):
        return inputs, name
    names = list(inputs.columns) if is_frame(inputs) else list(inputs) if isinstance(inputs, Mapping) else []
    if name not in names:
        raise AttributionError(f"{what}={name!r} is no column of the data; there are: {nearest(name, map(str, names))}")
    rest = [one for one in names if one != name]
    if is_frame(inputs):
        return inputs[rest], inputs[name].to_numpy()
    left = {one: inputs[one] for one in rest}
    # one input that is left needs no name
    return left if len(left) > 1 else next(iter(left.values()), left), np.asarray(inputs[name])


def as_ids(values: np.ndarray) -> np.ndarray:
    """(n,) int64 or text.

    Raises:
        AttributionError: others.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if (
        values.ndim == 1
        and values.dtype.kind == "O"
        and len(values)
        and all(isinstance(one, int | np.integer) and not isinstance(one, bool) for one in values)
    ):
        values = np.array(values.tolist())
    if values.ndim == 1 and values.dtype.kind in "iu":
        if len(values) and values.max() > np.iinfo(np.int64).max:
            raise AttributionError(
                f"ids that are numbers must be below 2**63, got {values.max()}: give them as text, ids.astype(str)"
            )
        return values.astype(np.int64)
    if values.ndim == 1 and values.dtype.kind in "OSU":
        absent = [place for place, one in enumerate(values) if one is None or one != one] if values.dtype.kind == "O" else []
        if absent:
            raise AttributionError(
                f"every row needs an id, and there is {values[absent[0]]!r}: leave ids out, to number the rows"
            )
        try:
            return np.array([one.decode() if isinstance(one, bytes) else str(one) for one in values], dtype=str)
        except UnicodeDecodeError as error:
            raise AttributionError(f"ids that are bytes must be text in UTF-8: {error}") from None
    missing = ", in which numbers that are missing are NaN" if values.dtype.kind == "f" and np.isnan(values).any() else ""
    raise AttributionError(f"ids must be whole numbers or text, (n,), got {values.dtype} {values.shape}{missing}")


def as_label_column(values: np.ndarray) -> np.ndarray:
    """(n,) numbers or text; one-hot rows as classes."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2:
        return as_labels(values)
    if values.ndim != 1:
        raise AttributionError(f"labels must be one for each row, (n,), or one-hot (n, classes), got {values.shape}")
    return as_ids(values) if values.dtype.kind in "OSU" else values
