"""Masks and finite differences: what the score loses when a part of the input is taken away."""

import dataclasses
import math
from typing import ClassVar

import tensorflow as tf

from ..common.checks import is_whole
from ..common.errors import AttributionError
from ..engine.row import Row, per_row, unravelled
from ..selection.channels_last import WITH_CHANNELS
from ..selection.score_function import ScoreFunction
from .groups import COUNT


@dataclasses.dataclass(frozen=True)
class Windows:
    """All positions of a sliding window over the feature axes of one tensor.

    Attributes:
        features: the tensor's shape without the batch.
        window, stride: per axis.
    """

    features: tuple[int, ...]
    window: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def steps(self) -> tuple[int, ...]:
        """How many positions there are along each axis; the last window ends at the edge."""
        return tuple(
            1 + math.ceil((size - window) / stride)
            for size, window, stride in zip(self.features, self.window, self.stride, strict=True)
        )

    @property
    def count(self) -> int:
        return math.prod(self.steps)

    def mask(self, number: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        """(rows, *features), 1 inside the window of that number, else 0: everywhere, where no window has that number."""
        known = (number >= 0) & (number < self.count)
        mask = tf.reshape(tf.cast(known, dtype), [-1] + [1] * len(self.features))
        if not self.features:
            return mask
        position = unravelled(tf.where(known, number, 0), self.steps)
        for axis, size in enumerate(self.features):
            inside = self._inside(axis, position[axis])
            mask *= tf.reshape(tf.cast(inside, dtype), [-1] + [size if a == axis else 1 for a in range(len(self.features))])
        return mask

    def coverage(self, dtype: tf.DType) -> tf.Tensor:
        """(1, *features), the number of windows over each feature."""
        cover = tf.ones([1] * (1 + len(self.features)), dtype)
        for axis, size in enumerate(self.features):
            along = tf.reduce_sum(tf.cast(self._inside(axis, tf.range(self.steps[axis])), dtype), axis=0)
            cover *= tf.reshape(along, [1] + [size if a == axis else 1 for a in range(len(self.features))])
        return cover

    def _inside(self, axis: int, position: tf.Tensor) -> tf.Tensor:
        """(rows, size of the axis), whether a feature lies in the window at `position` along this axis."""
        start = tf.minimum(position * self.stride[axis], self.features[axis] - self.window[axis])[:, None]
        index = tf.range(self.features[axis])[None]
        return (index >= start) & (index < start + self.window[axis])


def make_windows(features: tuple[int, ...], window: int | tuple[int, ...], stride: int | tuple[int, ...]) -> Windows:
    """Windows over a tensor of shape (batch, *features).

    Args:
        features: as (length,), (length, channels) or (height, width, channels).
        window, stride: an int for every spatial axis, or one for each; a channel axis is always covered whole.

    Raises:
        AttributionError: sizes that do not fit.
    """
    spatial = features[:-1] if len(features) > 1 else features
    sizes = {}
    for name, value in (("window", window), ("stride", stride)):
        each = tuple(value) if isinstance(value, tuple | list) else (value,) * len(spatial)
        if len(each) != len(spatial) or not all(is_whole(v, 1) for v in each):
            raise AttributionError(
                f"{name} must be a whole number of at least 1, or {len(spatial)} of them, for features "
                f"{features}; got {value!r}" + (f": {WITH_CHANNELS}" if len(each) == len(features) == 2 else "")
            )
        sizes[name] = tuple(int(v) for v in each)
    if any(w > size for w, size in zip(sizes["window"], spatial, strict=True)):
        raise AttributionError(f"window {sizes['window']} is larger than the features {spatial}")
    if any(s > w for s, w in zip(sizes["stride"], sizes["window"], strict=True)):
        raise AttributionError(
            f"stride {sizes['stride']} is larger than window {sizes['window']}: features between windows would never be hidden"
        )
    channels = features[len(spatial) :]
    return Windows(tuple(features), sizes["window"] + channels, sizes["stride"] + channels)


@dataclasses.dataclass(frozen=True)
class OcclusionIntegrand:
    """The score less the score with one window replaced by the reference, spread over the window.

    A feature's attribution is the mean over the windows that cover it.

    Attributes:
        windows: those of each tensor; their numbers go through all tensors, one after the other.
    """

    windows: tuple[Windows, ...]
    shares: ClassVar[bool] = True

    def __call__(self, function: ScoreFunction, row: Row) -> tuple[tf.Tensor, tf.Tensor, dict]:
        """Score (rows,), score lost (rows,), and integrand by key."""
        number = tf.math.floormod(row.number, sum(windows.count for windows in self.windows))
        masks, start = {}, 0
        for key, windows in zip(row.x, self.windows, strict=True):
            masks[key] = windows.mask(number - start, function.dtype)
            start += windows.count
        score = function.scores(replaced(row, masks), row.context, row.target)
        lost = row.score - score
        covers = {key: windows.coverage(function.dtype) for key, windows in zip(row.x, self.windows, strict=True)}
        return score, lost, {key: mask / covers[key] * per_row(lost, mask) for key, mask in masks.items()}


def replaced(row: Row, masks: dict) -> dict:
    """The selected tensors of each row, of any type, with the reference where its mask, (rows, ...) by key, is not 0."""
    return {key: tf.where(tf.cast(masks[key], tf.bool), row.reference[key], x) for key, x in row.x.items()}


@dataclasses.dataclass(frozen=True)
class AblationIntegrand:
    """The score less the score with one group of features replaced by the reference, for every feature of that group."""

    shares: ClassVar[bool] = True

    def __call__(self, function: ScoreFunction, row: Row) -> tuple[tf.Tensor, tf.Tensor, dict]:
        """Score (rows,), score lost (rows,), and integrand by key."""
        number = tf.math.floormod(row.number, row.extra[COUNT])
        masks = {
            key: row.extra["group", i] == tf.reshape(number, [-1] + [1] * (x.shape.rank - 1))
            for i, (key, x) in enumerate(row.x.items())
        }
        score = function.scores(replaced(row, masks), row.context, row.target)
        lost = row.score - score
        kept = {key: tf.where(masks[key], per_row(lost, x), tf.zeros(tf.shape(x), lost.dtype)) for key, x in row.x.items()}
        return score, lost, kept
