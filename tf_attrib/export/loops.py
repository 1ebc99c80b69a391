"""Loops of a graph over rows, in blocks of bounded size: what the engine's loop does from Python."""

from collections.abc import Callable, Sequence

import tensorflow as tf


def gathered(
    count: tf.Tensor,
    block: int,
    rows: int | None,
    evaluate: Callable[[tf.Tensor], list[tf.Tensor]],
    specs: Sequence[tf.TensorSpec],
) -> list[tf.Tensor]:
    """What `evaluate` gives of `count` rows, (count, ...) each.

    Args:
        block: rows that are evaluated together, at most.
        rows: how many must be, where the model takes no other number: the last row is repeated then.
        evaluate: from numbers of rows, int32 (some,), to what they give.
        specs: of what it gives.
    """
    number, size = _blocks(count, block, rows)
    arrays = [
        tf.TensorArray(spec.dtype, number, infer_shape=False, element_shape=tf.TensorShape([None, *spec.shape[1:]]))
        for spec in specs
    ]

    def body(i: tf.Tensor, *filled: tf.TensorArray) -> tuple:
        index, kept = _block(i, size, count, rows)
        found = evaluate(index)
        return i + 1, *(array.write(i, value[:kept]) for array, value in zip(filled, found, strict=True))

    filled = tf.while_loop(lambda i, *_: i < number, body, [tf.constant(0), *arrays], parallel_iterations=1)[1:]
    found = [array.concat() for array in filled]
    for value, spec in zip(found, specs, strict=True):
        value.set_shape([None, *spec.shape[1:]])
    return found


def summed(
    count: tf.Tensor,
    block: int,
    rows: int | None,
    add: Callable[[tf.Tensor, tf.Tensor, list[tf.Tensor]], list[tf.Tensor]],
    totals: list[tf.Tensor],
) -> list[tf.Tensor]:
    """`totals` after `add(index, kept, totals)` of every block: numbers of its rows, and how many of them are no repetition."""
    number, size = _blocks(count, block, rows)

    def body(i: tf.Tensor, *before: tf.Tensor) -> tuple:
        index, kept = _block(i, size, count, rows)
        return i + 1, *add(index, kept, list(before))

    shapes = [tf.TensorShape([]), *(total.shape for total in totals)]
    return list(tf.while_loop(lambda i, *_: i < number, body, [tf.constant(0), *totals], shapes, parallel_iterations=1)[1:])


def _blocks(count: tf.Tensor, block: int, rows: int | None) -> tuple[tf.Tensor, tf.Tensor]:
    """How many blocks there are, and of how many rows: even ones waste nothing."""
    size = tf.constant(rows or block, tf.int32)
    number = (count + size - 1) // size
    return number, size if rows else (count + tf.maximum(number, 1) - 1) // tf.maximum(number, 1)


def _block(i: tf.Tensor, size: tf.Tensor, count: tf.Tensor, rows: int | None) -> tuple[tf.Tensor, tf.Tensor]:
    start = i * size
    kept = tf.minimum(size, count - start)
    if rows:
        return tf.minimum(tf.range(start, start + rows), count - 1), kept
    return tf.range(start, start + kept), kept
