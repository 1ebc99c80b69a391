"""Rows in blocks that the device has memory for."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import tensorflow as tf

from ..graph.traced.grouped import runs_groups

T = TypeVar("T")

# The size of a block, as bytes of all forward outputs of its rows together. The peak is about a third of it, since most
# are freed early; of language models less than half. Measured on applications and small nets: more rows than this allows are
# no faster.
ACTIVATION_BYTES = 1400 * 2**20
# Without oneDNN they are slower: what a convolution writes is larger than the system keeps at hand for the next, which has to
# ask for its pages anew (`python benchmarks/overhead.py --by-block MobileNetV2`: 1.24 times as long in 50 rows as in 16).
WITHOUT_ONEDNN = 512 * 2**20
# The same as a multiple of what a GPU has left: gradients beside it, and a peak that is higher than on a CPU, have room.
OF_WHAT_IS_LEFT = 1.5


def activation_bytes(memory: int | None = None) -> int:
    """Bytes of all forward outputs that the rows of a block may have together.

    Less where TensorFlow runs on a GPU, was told how much of its memory it may take, and has less left. A GPU without such a
    limit does not say what it has: there a block that is too large is halved, see `in_blocks`.

    Args:
        memory: bytes that a block and what is kept beside it may take together, of which less than half is there at once;
            default: any.
    """
    left = _left_on_gpu()
    most = ACTIVATION_BYTES if runs_groups() else WITHOUT_ONEDNN  # gradients of groups are oneDNN's, or a GPU's
    most = most if memory is None else min(most, memory)
    return most if left is None else min(most, int(OF_WHAT_IS_LEFT * left))


def _left_on_gpu() -> int | None:
    """Bytes that are left of a limit on the first GPU; None without either."""
    devices = tf.config.get_visible_devices("GPU")
    limits = tf.config.get_logical_device_configuration(devices[0]) if devices else None
    if not limits or limits[0].memory_limit is None:
        return None
    used = tf.config.experimental.get_memory_info("GPU:0")["current"]
    return max(int(limits[0].memory_limit * 2**20) - used, 0)


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
