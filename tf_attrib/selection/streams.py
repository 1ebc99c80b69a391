"""A `tf.data.Dataset` where arrays are taken: its batches, in their order, as the arrays that they make together."""

from collections.abc import Collection
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.errors import AttributionError

# Examples of one batch where a data set gives them one by one.
BATCH = 256


def in_memory(inputs: Any, specs: Any = None) -> Any:
    """`inputs`; of a data set the inputs of all its examples, read once: one that shuffles gives others the next time.

    Args:
        specs: of the model's inputs by key, where it says them.

    Raises:
        AttributionError: a data set that never ends, or whose batches make no arrays.
    """
    return gathered(inputs, specs=(specs or {}).values())[0] if isinstance(inputs, tf.data.Dataset) else inputs


def gathered(
    dataset: tf.data.Dataset, count: int | None = None, specs: Collection[tf.TensorSpec] = (), of: str = "inputs"
) -> tuple[Any, Any]:
    """Inputs and labels (None where there are none) of all examples of a data set, or of the first `count`.

    Args:
        specs: of the model's inputs, where they are known: a data set of single examples then is one.
        of: what they are, for errors.

    Raises:
        AttributionError: as `in_memory`.
    """
    if count is None and int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise AttributionError(
            f"the data set of {of} never ends: leave repeat() out, or take some batches of it, dataset.take(4)"
        )
    dataset = batched(dataset, specs)
    parts, found = [], 0
    for part in dataset:
        part = part[:2] if isinstance(part, tuple) else (part,)
        leaves = tf.nest.flatten(part)
        if any(isinstance(leaf, tf.RaggedTensor | tf.SparseTensor) for leaf in leaves):
            raise AttributionError(f"the data set of {of} is ragged or sparse: make its batches dense, x.to_tensor()")
        if any(not leaf.shape.rank for leaf in leaves):
            raise AttributionError(f"the data set of {of} must be batched: dataset.batch(16)")
        parts.append(part)
        found += len(leaves[0])
        if count is not None and found >= count:
            break
    if not parts:
        raise AttributionError(f"the data set of {of} is empty")
    try:
        joined = tf.nest.map_structure(lambda *leaves: np.concatenate([np.asarray(leaf) for leaf in leaves])[:count], *parts)
    except ValueError as error:
        raise AttributionError(f"the batches of the data set differ in shape (pad them to one length): {error}") from error
    return joined if len(joined) == 2 else (joined[0], None)


def batched(dataset: tf.data.Dataset, specs: Collection[tf.TensorSpec], size: int = BATCH) -> tf.data.Dataset:
    """`dataset`; one of single examples, as a model with inputs of these specs takes them, in batches of `size`."""
    element = dataset.element_spec
    ranks = [one.shape.rank for one in tf.nest.flatten(element[0] if isinstance(element, tuple) else element)]
    taken = [one.shape.rank for one in specs]
    known = len(taken) == len(ranks) and None not in (*taken, *ranks)
    single = known and all(rank == other - 1 for rank, other in zip(sorted(ranks), sorted(taken), strict=True))
    return dataset.batch(size) if single else dataset
