"""The samples that a callback watches: taken once, with their labels where these came along."""

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.errors import AttributionError
from ..common.nested import flatten, is_nested_list, rebuild
from ..selection.frames import example_count, is_frame
from ..selection.frames import take as taken
from ..selection.inputs import as_arrays
from ..selection.streams import gathered

# How many examples of a data set are watched unless told otherwise.
COUNT = 16


@dataclasses.dataclass(frozen=True, eq=False)
class Samples:
    """What is watched.

    Attributes:
        inputs: (n, ...) as the model takes them: an array, a DataFrame, a list or a dict.
        labels: (n, ...), or a list or dict of such for several outputs, or None.
    """

    inputs: Any
    labels: Any = None

    def __len__(self) -> int:
        return example_count(self.inputs)

    def labels_of(self, name: str | None, names: Sequence[str]) -> np.ndarray | None:
        """The labels of one output.

        Args:
            name: the output; None where the model has one, or none is named.
            names: all outputs, in order.
        """
        if self.labels is None or isinstance(self.labels, np.ndarray):
            return self.labels
        position = names.index(name) if name in names else 0 if len(self.labels) == 1 else None
        if isinstance(self.labels, dict):
            return self.labels.get(name if name is not None else next(iter(self.labels), None) if position == 0 else None)
        return None if position is None or position >= len(self.labels) else self.labels[position]


def classes_of(labels: np.ndarray | None, shape: tuple) -> np.ndarray | None:
    """Labels (n,), (n, 1) or one-hot (n, classes) as classes (n,), or None where they are not such.

    Args:
        shape: of the explained output for one example; classes where it has one axis.

    Raises:
        AttributionError: labels beyond the classes that there are.
    """
    if labels is None or len(shape) != 1 or labels.dtype.kind not in "biuf":
        return None
    if labels.ndim == 2 and labels.shape[1] == shape[0] > 1:
        # a row of probabilities, smoothed ones too; several labels for an example, or values, are no class
        one_hot = (labels >= 0).all() and np.allclose(labels.sum(1), 1, atol=1e-3)
        return labels.argmax(1) if one_hot else None
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.ndim != 1 or not np.array_equal(labels, np.round(labels)):
        return None
    if labels.min() < 0 or labels.max() >= shape[0]:
        raise AttributionError(
            f"labels from {labels.min():g} to {labels.max():g} for an output of {shape[0]} classes: "
            "give the class to explain as target=, or target='predicted'"
        )
    return labels.astype(np.int64)


def each_entry(values: Any, example: np.ndarray | None) -> Any:
    """What is known of each example, for the entries of a result: `example` says whose each is; None: each its own."""
    if values is None or example is None:
        return values
    return values[example] if isinstance(values, np.ndarray) else [values[i] for i in example]


def labels_at(
    labels: np.ndarray | None, example: np.ndarray | None, position: np.ndarray | None, shape: tuple
) -> np.ndarray | None:
    """Labels of the entries of a result: where outputs at several positions are explained, those of the position.

    Args:
        labels: (n, ...); (n, length) or one-hot (n, length, classes) where each position has one.
        example, position: of the entries; None where each example is one.
        shape: of the explained output for one example, (length,) or (length, classes).
    """
    if labels is None or example is None or labels.ndim < 2 or labels.shape[1] != shape[0]:
        return each_entry(labels, example)
    found = labels[example, position]
    one_hot = labels.shape[1:] == tuple(shape) and len(shape) == 2
    classes = classes_of(found, shape[1:]) if one_hot else None
    return found if classes is None else classes


def take(samples: Any, count: int | None = None) -> Samples:
    """The samples that a user gave, copied.

    Args:
        samples: arrays, a DataFrame, a list or dict of them, (x, y), or a batched tf.data.Dataset of x, (x, y) or
            (x, y, weights).
        count: how many examples are taken, the first; default: all of arrays, COUNT of a data set.

    Raises:
        AttributionError: nothing there, or inputs and labels of different lengths.
    """
    if isinstance(samples, tf.data.Dataset):
        inputs, labels = gathered(samples, COUNT if count is None else count, of="samples")
        samples = inputs if labels is None else (inputs, labels)
    if not isinstance(samples, np.ndarray | list | tuple | Mapping) and not hasattr(samples, "__array__"):
        raise AttributionError(
            "samples are arrays, a list or dict of them, a tuple (x, y), or a tf.data.Dataset; got "
            f"{type(samples).__name__}: take one batch of it, such as next(iter(data))"
        )
    if isinstance(samples, tuple) and len(samples) != 2:
        raise AttributionError(f"samples are arrays, a dict, a list of inputs, or a tuple (x, y), not of {len(samples)}")
    x, y = samples if isinstance(samples, tuple) else (samples, None)
    y = np.asarray(y) if is_nested_list(y) else y
    inputs = flatten(x) if any(map(is_frame, flatten(x).values())) else as_arrays(x)
    labels = {} if y is None else {key: np.asarray(value) for key, value in flatten(y).items()}
    if any(value.ndim == 0 for value in labels.values()):
        raise AttributionError("samples are (x, y) with a label for each example; for two inputs give a list [left, right]")
    lengths = {"inputs" if key is None else str(key): len(value) if np.ndim(value) else 0 for key, value in inputs.items()}
    lengths |= {"labels" if key is None else f"labels of {key}": len(value) for key, value in labels.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        shown = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise AttributionError(
            f"samples need as many labels as examples, at least one; got {shown}; for two inputs without "
            "labels give a list [left, right]"
        )
    # what the caller does with these arrays later must not change what is watched
    inputs, labels = (
        {key: copy.deepcopy(taken(value, slice(count))) for key, value in part.items()} for part in (inputs, labels)
    )
    return Samples(rebuild(inputs), rebuild(labels) if labels else None)
