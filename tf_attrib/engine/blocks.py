"""Rows in blocks that the device has memory for."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import tensorflow as tf

T = TypeVar("T")


def in_blocks(count: int, block: int, evaluate: Callable[[slice], T], least: int = 1) -> Iterator[tuple[slice, T]]:
    """What `evaluate` gives for each block of `count` rows. Where the device has no memory for a block, halves of it are tried,
    and the rows that follow come in such; nothing that is done is done again.

    Args:
        block: how many rows a block holds at most.
        least: so many rows are evaluated even where fewer are asked for, so that fewer need no less memory.

    Raises:
        tf.errors.ResourceExhaustedError: there is no memory for the least of blocks.
    """
    start = 0
    while start < count:
        part = slice(start, min(start + block, count))
        try:
            found = evaluate(part)
        except tf.errors.ResourceExhaustedError:
            if part.stop - part.start <= least:
                raise
            block = max(-(-(part.stop - part.start) // 2), least)
            continue
        yield part, found
        start = part.stop
