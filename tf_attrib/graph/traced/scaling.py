"""Gradients of float16 models, whose range is narrow: the score is multiplied by a power of two before the backward pass, and
what comes of it divided again, in the dtype of paths (Micikevicius et al. 2018, arXiv:1710.03740, section 3.2).

float16 holds 2^-24 to 65504. A gradient of a pixel's is easily less and then 0, that of a sharp normalisation more and then
infinite, without a word. Every row gets a scale of its own, found by trying, that leaves its largest gradient well inside: it
depends on that row alone, not on its company. A power of two changes no digit of what neither underflows nor overflows.
"""

from collections.abc import Callable

import tensorflow as tf

# The exponents of two that are tried: the first, the steps, and how far they go.
FIRST, STEP, LEAST, MOST = 10, 12, -38, 46
# Large enough is a gradient whose largest magnitude is this, and this is aimed at: 14 to 18 bits above the last that is there.
ENOUGH, AIM = 2.0**-1, 2.0**4
# The search ends where this much more would overflow.
NEAR = 3
# More trials than it ever takes.
TRIALS = 16
NONE = 1000


def scaled(
    backward: Callable[[tf.Tensor], tuple[list[tf.Tensor], list[tf.Tensor]]], rows: tf.Tensor, dtype: tf.DType
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """What `backward` gives, as if there were no overflow and no underflow; rows that overflow at any scale stay not finite.

    Args:
        backward: from a factor of the score (rows,) to tensors that do not depend on it, and to those in proportion to it, each
            (rows, ...).
        rows: how many there are.
        dtype: of the factor, and of what is returned.
    """
    beside, found = backward(first_factor(rows, dtype))
    state = _searched(lambda factor: backward(factor)[1], _first(rows, found, dtype), dtype)
    return beside, state[4:]


def first_factor(rows: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """(rows,), the factor that is tried first."""
    return _power(tf.fill([rows], FIRST), dtype)


def fits(found: list[tf.Tensor]) -> tf.Tensor:
    """Whether, by what came of the first factor, no row needs another."""
    return tf.reduce_all(_first(tf.shape(found[0])[0], found, found[0].dtype)[3])


def factor(backward: Callable[[tf.Tensor], list[tf.Tensor]], rows: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """(rows,), the factor of the score at which what is in proportion to it neither overflows nor underflows.

    The arguments are those of `scaled`.
    """
    state = _searched(backward, _first(rows, backward(first_factor(rows, dtype)), dtype), dtype)
    return _power(tf.where(state[1] == -NONE, FIRST, state[1]), dtype)


def _first(rows: tf.Tensor, found: list[tf.Tensor], dtype: tf.DType) -> list[tf.Tensor]:
    """The state of the search after the first trial: see `_judged`."""
    none = tf.fill([rows], NONE)
    best = [tf.cast(one, dtype) for one in found]
    return _judged([tf.fill([rows], FIRST), -none, none, tf.fill([rows], False), *best], found)


def _searched(backward: Callable[[tf.Tensor], list[tf.Tensor]], state: list[tf.Tensor], dtype: tf.DType) -> list[tf.Tensor]:
    """The state when all rows are done."""
    shapes = [tf.TensorShape([None, *one.shape[1:]]) for one in state]
    return tf.while_loop(
        lambda *state: tf.logical_not(tf.reduce_all(state[3])),
        lambda *state: _judged(list(state), backward(_power(state[0], dtype))),
        state,
        shapes,
        maximum_iterations=TRIALS,
    )


def _judged(state: list[tf.Tensor], found: list[tf.Tensor]) -> list[tf.Tensor]:
    """The state after one more trial: the exponents to try next, the highest that was finite and the lowest that was not, which
    rows are done, and the best of each tensor so far."""
    exponent, low, high, done, *best = state
    features = [tf.reshape(one, [tf.shape(one)[0], -1]) for one in found]
    finite = tf.reduce_all(tf.stack([tf.reduce_all(tf.math.is_finite(one), 1) for one in features]), 0)
    sizes = tf.stack([tf.cast(tf.reduce_max(tf.abs(one), 1), tf.float32) for one in features])
    # a tensor of zeros says nothing beside others, which may be selected for another part of the model
    size = tf.reduce_min(tf.where(sizes > 0, sizes, tf.float32.max), 0)
    known = tf.reduce_any(sizes > 0, 0)
    lost = finite & ~known & (exponent < FIRST)  # only so small that nothing is left of it
    take = tf.logical_not(done) & ((finite & tf.logical_not(lost) & (exponent > low)) | (low == -NONE))
    whole = [tf.cast(one, old.dtype) * _shaped(_power(-exponent, old.dtype), old) for one, old in zip(found, best, strict=True)]
    whole = [tf.where(_shaped(lost, one), tf.constant(float("nan"), one.dtype), one) for one in whole]
    best = [tf.where(_shaped(take, old), new, old) for new, old in zip(whole, best, strict=True)]
    low = tf.where(finite & tf.logical_not(done), tf.maximum(low, exponent), low)
    high = tf.where(finite | done, high, tf.minimum(high, exponent))
    raised = tf.where(known, tf.clip_by_value(tf.math.log(AIM / size) / tf.math.log(2.0), 1, STEP), float(STEP))
    following = tf.where(finite, exponent + tf.cast(raised, tf.int32), exponent - STEP)
    following = tf.where((following >= high) | (following <= low), (low + high) // 2, following)
    ended = (finite & known & (size >= ENOUGH)) | (high - low <= NEAR) | (following > MOST) | (following < LEAST)
    return [tf.where(done | ended, exponent, following), low, high, done | ended, *best]


def _power(exponent: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Two to the power of whole numbers, exactly."""
    return tf.cast(tf.bitcast(tf.bitwise.left_shift(exponent + 127, 23), tf.float32), dtype)


def _shaped(values: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    return tf.reshape(values, [-1] + [1] * (like.shape.rank - 1))
