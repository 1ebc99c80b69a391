"""Words of texts as rows of a tensor, as many of each as the longest text of its batch has. They are made once, of all examples
of a call, and go with the inputs: what follows from them beside the selected tensors, such as a mask, then fits these in any
block of rows."""

from typing import Any

import tensorflow as tf

from ..graph.traced.heads_and_lookups import FILLING, ancestors, connected, find_lookups
from ..graph.traced.trace import Traced
from .outputs import Output
from .place import Place

# How the keys of such tensors begin.
WORDS = "words"


def settled_words(traced: Traced, place: Place, output: Output) -> dict[Any, tf.Tensor]:
    """By the key under which they go with the inputs, tensors of words that are looked up, or of their ids, whose number of
    columns follows from the batch."""
    batched = all(port.batch_axis == 0 for port in place.ports.values())
    any_rows = all(tensor.shape.rank and tensor.shape[0] is None for tensor in traced.inputs.values())
    if traced.called is not None or output.behind is not None or not (batched and any_rows):
        return {}
    texts = [tensor for tensor in traced.inputs.values() if tensor.dtype == tf.string and tensor.shape[1:].is_fully_defined()]
    looked_up = [one.indices for one in find_lookups(traced)] if texts else []
    rows = [one.outputs[0] for one in ancestors(looked_up) if one.type in FILLING]
    return {(WORDS, one.name): one for one in rows if _of_any_number(one) and any(connected(text, [one]) for text in texts)}


def _of_any_number(rows: tf.Tensor) -> bool:
    return bool(rows.shape.rank) and rows.shape[0] is None and None in rows.shape[1:]
