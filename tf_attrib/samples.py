"""The samples that a callback watches: taken once, with their labels where these came along."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from .errors import AttributionError
from .prepare import as_arrays
from .structure import rebuild

# How many examples of a data set are watched unless told otherwise.
COUNT = 16


@dataclasses.dataclass(frozen=True, eq=False)
class Samples:
    """What is watched.

    Attributes:
        inputs: (n, ...) as the model takes them: an array, a list or a dict.
        labels: (n, ...), or None.
    """

    inputs: Any
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(next(iter(as_arrays(self.inputs).values())))

    def targets(self, shape: tuple) -> np.ndarray | None:
        """The labels as classes of an output of `shape` for one example, or None where they are not such.

        Labels of shape (n,), (n, 1), or one-hot (n, classes), are classes where the output has one axis.

        Raises:
            AttributionError: labels beyond the classes that there are.
        """
        if self.labels is None or len(shape) != 1:
            return None
        labels = self.labels
        if labels.ndim == 2 and labels.shape[1] == shape[0] > 1:
            return labels.argmax(1)
        labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
        if labels.ndim != 1 or labels.dtype.kind not in "biuf" or not np.array_equal(labels, np.round(labels)):
            return None
        if labels.min() < 0 or labels.max() >= shape[0]:
            raise AttributionError(f"labels from {labels.min():g} to {labels.max():g} for an output of {shape[0]} classes: "
                                   "give the class to explain as target=, or target='predicted'")
        return labels.astype(np.int64)


def take(samples: Any, count: int = COUNT) -> Samples:
    """The samples that a user gave.

    Args:
        samples: arrays, a list or dict of them, (x, y), or a batched tf.data.Dataset of x, (x, y) or (x, y, weights).
        count: how many examples of a data set are taken; arrays are taken whole.

    Raises:
        AttributionError: nothing there, or inputs and labels of different lengths.
    """
    if isinstance(samples, tf.data.Dataset):
        samples = _first(samples, count)
    x, y = samples if isinstance(samples, tuple) and len(samples) == 2 else (samples, None)
    if isinstance(samples, tuple) and len(samples) != 2:
        raise AttributionError(f"samples are arrays, a dict, a list of inputs, or a tuple (x, y), not of {len(samples)}")
    inputs = as_arrays(x)
    lengths = {key: len(value) if value.ndim else 0 for key, value in inputs.items()}
    labels = None if y is None else np.asarray(y)
    if labels is not None and labels.ndim == 0:
        raise AttributionError("samples are (x, y) with a label for each example; for two inputs give a list [left, right]")
    lengths |= {} if labels is None else {"labels": len(labels)}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        shown = ", ".join(f"{'inputs' if key is None else key}: {length}" for key, length in lengths.items())
        raise AttributionError(f"samples need as many labels as examples, at least one; got {shown}; for two inputs without "
                               "labels give a list [left, right]")
    return Samples(rebuild(inputs), labels)


def _first(dataset: tf.data.Dataset, count: int) -> Any:
    """The first `count` examples of a batched data set."""
    parts, found = [], 0
    for part in dataset:
        part = part[:2] if isinstance(part, tuple) else (part,)
        leaves = tf.nest.flatten(part)
        if any(not leaf.shape.rank for leaf in leaves):
            raise AttributionError("the data set of samples must be batched: dataset.batch(16)")
        parts.append(part)
        found += len(leaves[0])
        if found >= count:
            break
    if not parts:
        raise AttributionError("the data set of samples is empty")
    try:
        joined = tf.nest.map_structure(lambda *leaves: np.concatenate([np.asarray(leaf) for leaf in leaves])[:count], *parts)
    except ValueError as error:
        raise AttributionError(f"the batches of the data set differ in shape (pad them to one length): {error}") from error
    return joined if len(joined) == 2 else joined[0]
