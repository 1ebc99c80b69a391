"""What a graph says of each example beside its attributions: gap, status, and whether anything is not finite."""

from typing import Any

import tensorflow as tf

from ..engine.integral.refined import CONVERGED, NOT_FINITE
from ..result import completeness
from .chunk import Chunk
from .fixed import Found


def judged(
    chunk: Chunk, found: Found, given: list[tf.Tensor], largest: tf.Tensor, sums: bool, short: str | None, exact: bool
) -> dict[str, Any]:
    """`gap` (c,), NaN where attributions are no parts of the score; `error_estimate` (c,), NaN where none is stated; `status`
    (c,), as `Attribution.status` has it, "" where nothing is stated and nothing is wrong.

    Args:
        found: its totals those of attributions alone.
        given: (c, ...), what the call gave for each example: the model's inputs, and baselines.
        largest: (c,), the largest magnitude of the output at the examples and their references.
        sums: whether the attributions of an example sum to something in the unit of the score.
        short: the status of what claims to be complete and is not; None where nothing is claimed.
        exact: whether it is to rounding.
    """
    values = [tf.reshape(value, [tf.shape(value)[0], -1]) for value in found.totals.values()]
    finite = found.finite & tf.math.is_finite(chunk.score) & tf.reduce_all(tf.math.is_finite(chunk.below), 1)
    given = [*chunk.x.values(), *given]  # a rectifier may make a number of what is none
    for value in [*values, *(tf.reshape(one, [tf.shape(one)[0], -1]) for one in given if one.dtype.is_floating)]:
        finite &= tf.reduce_all(tf.math.is_finite(value), 1)
    none = tf.fill(tf.shape(chunk.score), tf.constant(float("nan"), chunk.score.dtype))
    status = tf.fill(tf.shape(chunk.score), "") if found.status is None else found.status
    gap = none
    if sums:
        total = tf.add_n([tf.reduce_sum(tf.cast(value, tf.float64), 1) for value in values])
        size = tf.add_n([tf.reduce_sum(tf.abs(tf.cast(value, tf.float64)), 1) for value in values])
        rise = tf.cast(chunk.score, tf.float64) - tf.reduce_mean(tf.cast(chunk.below, tf.float64), 1)
        gap = tf.cast(total - rise, chunk.score.dtype)
        if short is not None:
            wrong = _status(tf.abs(total - rise), tf.abs(rise), size, tf.cast(largest, tf.float64), exact, short)
            fine = (status == "") | (status == CONVERGED)
            status = tf.where(fine & (wrong != ""), wrong, status)
    return {
        "gap": tf.where(finite, gap, none),
        "error_estimate": none if found.error_estimate is None else tf.where(finite, found.error_estimate, none),
        "status": tf.where(finite, status, NOT_FINITE),
        "finite": finite,
    }


def _status(gap: tf.Tensor, rise: tf.Tensor, size: tf.Tensor, scale: tf.Tensor, exact: bool, short: str) -> tf.Tensor:
    """`result.completeness.judged` of tensors (c,)."""
    c = completeness
    if not exact:
        return tf.where((gap > c.GAP * rise) & (gap > c.SLIGHT * size) & (gap > c.ROUNDING * scale), short, "")
    wrong = (gap > c.MOST_GAP * tf.maximum(rise, size)) & (gap > c.ROUNDING * scale)
    terms = tf.maximum(scale, tf.minimum(size, c.MOST_CANCELLED * scale))
    wrong |= (gap > c.GAP * rise) & (gap > c.ROUNDING * terms)
    return tf.where(wrong, short, tf.where(size > c.MOST_CANCELLED * scale, c.CANCELLING, ""))
