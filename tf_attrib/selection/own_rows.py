"""Rows that a score has of its own, beside the inputs: row i goes with example i."""

from typing import Any

import numpy as np
import tensorflow as tf

from ..common.errors import AttributionError
from ..graph.traced.trace import TRACING, Traced
from .at_and_of import Of


def handed(traced: Traced, of: Of) -> tuple[dict, dict]:
    """Placeholders of the graph for a score's own rows, by key, and copies of them: what is fed cannot be fetched."""
    leaves = of.data.leaves if of.data is not None else {}
    with TRACING, traced.function.graph.as_default():
        data = {
            data_key(key): tf.compat.v1.placeholder(leaf_type(leaf), [None, *leaf.shape[1:]]) for key, leaf in leaves.items()
        }
        return data, {key: tf.identity(tensor) for key, tensor in data.items()}


def data_key(key: Any) -> tuple:
    """Under which key a score's own rows go with the inputs."""
    return "data", key


def own_rows(of: Of | None, count: int) -> dict[Any, np.ndarray]:
    """The rows that a score has of its own, by the key under which they go with the inputs."""
    data = None if of is None else of.data
    if data is None:
        return {}
    if len(data) != count:
        raise AttributionError(
            f"ta.score(function, data=...) has {len(data)} rows, and there are {count} examples: row i "
            "goes with example i; for others, attributor.explaining(ta.score(function, data=theirs))"
        )
    return {data_key(key): leaf.astype(leaf_type(leaf).as_numpy_dtype, copy=False) for key, leaf in data.leaves.items()}


def leaf_type(leaf: np.ndarray) -> tf.DType:
    """The dtype that a score's own rows have in the graph: floats as models compute, in float32."""
    return tf.string if leaf.dtype.kind in "OSU" else tf.float32 if leaf.dtype == np.float64 else tf.as_dtype(leaf.dtype)
