"""Rows whose inputs are masked by a coarse map, enlarged to their positions: x' + H · (x - x') with H from 0 to 1."""

import dataclasses
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from ..common.types import present
from ..engine.row import Row, per_row, unravelled
from ..graph.traced.channels import channels_first
from ..selection.score_function import ScoreFunction
from .upsampling import enlarged


@dataclasses.dataclass(frozen=True)
class Masked:
    """A row under a coarse map of its own.

    Attributes:
        axes: of positions.
    """

    axes: int
    shares: ClassVar[bool] = True

    @property
    def takes_present(self) -> tf.TensorSpec:
        """The coarse map of each row."""
        return tf.TensorSpec([None] * (1 + self.axes), tf.float32)


@dataclasses.dataclass(frozen=True)
class MaskedScore(Masked):
    """The score under the mask of each row, which is scaled to lie between 0 and 1; one that is constant masks nothing."""

    def __call__(self, function: ScoreFunction, row: Row) -> tuple[tf.Tensor, tf.Tensor, dict]:
        """Score (rows,), zeros (rows,), and no integrands."""
        masks = enlarged(tf.cast(present(row.present), function.dtype), positions_of(function, row))
        axes = list(range(1, 1 + self.axes))
        least, most = tf.reduce_min(masks, axes, keepdims=True), tf.reduce_max(masks, axes, keepdims=True)
        masks = tf.where(most > least, (masks - least) / tf.where(most > least, most - least, 1), 1)
        score = function.scores(under(function, row, masks), row.context, row.target)
        return score, tf.zeros_like(score), {}


@dataclasses.dataclass(frozen=True)
class MaskedSums(Masked):
    """The score under the mask of each row times the mask, and its square. Coarse cells are enlarged to one cell more than
    there are positions; where among these a mask begins, the number of the row says."""

    def __call__(self, function: ScoreFunction, row: Row) -> tuple[tf.Tensor, tf.Tensor, dict]:
        """Score (rows,), zeros (rows,), and (rows, *positions) under "sum" and "squares"."""
        cells, sizes = tf.cast(present(row.present), function.dtype), positions_of(function, row)
        number = tf.shape(cells)[1:]
        side = -(-sizes // number)
        start = unravelled(row.number, tf.unstack(side))
        masks = enlarged(cells, sizes, (number + 1) * side, start)
        score = function.scores(under(function, row, masks), row.context, row.target)
        seen = masks * per_row(score, masks)
        return score, tf.zeros_like(score), {"sum": seen, "squares": tf.square(seen)}


def positions_of(function: ScoreFunction, row: Row) -> tf.Tensor:
    """How many positions the one selected tensor has along each axis, int32."""
    (x,) = row.x.values()
    return sizes_of(x, _first(function))


def under(function: ScoreFunction, row: Row, masks: tf.Tensor) -> dict[Any, tf.Tensor]:
    """The one selected tensor under `masks` (rows, *positions), by its key."""
    ((key, x),) = row.x.items()
    laid = masks if x.shape.rank == masks.shape.rank else over_channels(masks, _first(function))
    return {key: row.reference[key] + laid * (x - row.reference[key])}


def positions_in(function: ScoreFunction, x: np.ndarray) -> tuple[int, ...]:
    """The positions of the one selected tensor `x` (n, ...): of (n, features) the features."""
    if x.ndim == 2:
        return tuple(x.shape[1:])
    return tuple(x.shape[2:] if _first(function) else x.shape[1:-1])


def for_each_channel(function: ScoreFunction, values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """`values` (n, *positions) in the shape of the one selected tensor `x`."""
    laid = values if values.ndim == x.ndim else np.expand_dims(values, 1 if _first(function) else -1)
    return np.broadcast_to(laid, x.shape).astype(x.dtype)


def _first(function: ScoreFunction) -> bool:
    (port,) = function.place.ports.values()
    return channels_first(function.traced, port.tensor)


def sizes_of(x: tf.Tensor, first: bool) -> tf.Tensor:
    """How many positions `x`, (rows, ..., channels) or (rows, channels, ...), has along each axis, int32; of (rows, features)
    the features."""
    if x.shape.rank == 2:
        return tf.shape(x)[1:]
    return tf.shape(x)[2:] if first else tf.shape(x)[1:-1]


def over_channels(maps: tf.Tensor, first: bool) -> tf.Tensor:
    """`maps` (rows, *positions) with an axis for the channels."""
    return tf.expand_dims(maps, 1 if first else -1)
