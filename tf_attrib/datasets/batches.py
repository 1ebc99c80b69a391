"""Data in batches, one at a time: from arrays, from lists or generators of batches, from a `tf.data.Dataset` or `PyDataset`."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from ..attributor import Attributor
from ..common.errors import AttributionError
from ..common.nested import flatten, is_nested_list, rebuild
from ..graph.saved.exported import Exported
from ..selection.frames import example_count, is_frame, take
from ..selection.inputs import as_arrays
from ..selection.streams import gathered

# Examples of one batch where arrays are cut into batches.
BATCH = 256


def batches(attributor: Attributor, dataset: Any) -> Iterator[Any]:
    """Model inputs, batch by batch, in the structure that the model takes.

    Args:
        dataset: an array, a DataFrame, or a dict (or list, of a model with as many inputs) of arrays; else a
            `tf.data.Dataset` or any iterable of batches. A batch that is a tuple is (inputs, labels, ...), as in Keras: its
            inputs are taken.
    """
    if is_whole(attributor, dataset):
        yield from _cut(dataset)
        return
    for element in iterated(dataset):
        yield element[0] if isinstance(element, tuple) else element


def labelled_batches(dataset: Any) -> Iterator[tuple[Any, np.ndarray]]:
    """(inputs, labels), batch by batch; labels are (n,) integers.

    Args:
        dataset: a tuple (inputs, labels) of arrays; else a `tf.data.Dataset` or any iterable of such pairs.

    Raises:
        AttributionError: for what holds no labels.
    """
    if isinstance(dataset, tuple) and len(dataset) == 2 and not isinstance(dataset[0], tuple):
        labels = as_labels(dataset[1])
        start = 0
        for part in _cut(dataset[0], len(labels)):
            count = example_count(part)
            yield part, labels[start : start + count]
            start += count
        return
    for element in iterated(dataset):
        if not isinstance(element, tuple | list) or len(element) not in (2, 3):
            raise AttributionError(
                "misclassified needs labels: a tuple (inputs, labels), or a tf.data.Dataset (or another "
                f"iterable) of such batches; got a batch of type {type(element).__name__}"
            )
        yield element[0], as_labels(element[1])


def as_labels(labels: Any) -> np.ndarray:
    """(n,) int64 from whole numbers, a column of them, or one-hot rows; or a `tf.data.Dataset` of them, or of (inputs, labels).

    Raises:
        AttributionError: for anything else.
    """
    if isinstance(labels, tf.data.Dataset):
        inputs, own = gathered(labels if 0 not in _ranks(labels) else labels.batch(BATCH), of="labels")
        labels = inputs if own is None else own
    array = np.asarray(labels)
    if array.ndim == 2 and array.shape[1] > 1:
        if not np.all(np.isin(array, (0, 1))) or not np.all(array.sum(1) == 1):
            raise AttributionError(
                f"labels of shape {array.shape} must be one-hot, one 1 in each row; else give the classes, (n,)"
            )
        array = array.argmax(1)
    array = array[:, 0] if array.ndim == 2 else array
    is_number = array.ndim == 1 and array.dtype.kind in "biuf"
    # an infinite one is as whole as the numbers beyond int64 are, and becomes another in it
    if not is_number or not np.array_equal(array, np.round(array)) or not (np.abs(array.astype(np.float64)) < 2**53).all():
        raise AttributionError(
            f"labels must be classes, whole numbers of shape (n,), or one-hot (n, classes); got "
            f"{array.dtype} {np.shape(labels)}"
        )
    return array.astype(np.int64)


def _ranks(dataset: tf.data.Dataset) -> list[int | None]:
    return [one.shape.rank for one in tf.nest.flatten(dataset.element_spec)]


def is_whole(attributor: Attributor, dataset: Any) -> bool:
    """Whether `dataset` is the inputs of all examples at once, and no sequence of batches."""
    if isinstance(dataset, list | tuple):
        arrays = not any(isinstance(part, Mapping | tuple) for part in dataset)
        return is_nested_list(dataset) or (arrays and 1 < _inputs_taken(attributor) == len(dataset))
    return isinstance(dataset, Mapping | np.ndarray) or tf.is_tensor(dataset) or is_frame(dataset)


def _inputs_taken(attributor: Attributor) -> int:
    model = attributor.model
    return len(model.specs) if isinstance(model, Exported) else len(getattr(model, "inputs", None) or [None])


def _cut(inputs: Any, expected: int | None = None) -> Iterator[Any]:
    """Slices of `BATCH` examples of inputs, in the same structure."""
    leaves = flatten(inputs)
    arrays = {} if any(map(is_frame, leaves.values())) else as_arrays(inputs)
    counts = {len(leaf) if np.ndim(leaf) else 0 for leaf in (arrays or leaves).values()} | (
        set() if expected is None else {expected}
    )
    if len(counts) > 1:
        raise AttributionError(f"inputs and labels must be of the same number of examples; got {sorted(counts)}")
    for start in range(0, counts.pop(), BATCH):
        yield take(rebuild(arrays) if arrays else inputs, slice(start, start + BATCH))


def iterated(dataset: Any) -> Iterator[Any]:
    """The batches of what gives batches; those of a `keras.utils.PyDataset` by their number.

    Raises:
        AttributionError: it gives none.
    """
    if hasattr(dataset, "on_epoch_end") and hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"):
        return (dataset[number] for number in range(len(dataset)))
    if isinstance(dataset, str | bytes):
        raise AttributionError(f"a dataset is an array, a tf.data.Dataset, or an iterable of batches; got the text {dataset!r}")
    try:
        return iter(dataset)
    except TypeError:
        raise AttributionError(
            f"a dataset is an array, a tf.data.Dataset, or an iterable of batches; got {type(dataset).__name__}"
        ) from None
