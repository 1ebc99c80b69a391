"""Words of texts as rows of a tensor, as many of each as the longest text of its batch has. They are made once, of all examples
of a call, and go with the inputs: what follows from them beside the selected tensors, such as a mask, then fits these in any
block of rows."""

import dataclasses
from typing import Any

import tensorflow as tf

from ..graph.traced.heads_and_lookups import ancestors, connected, find_lookups
from ..graph.traced.parsed import MADE_DENSE
from ..graph.traced.trace import Traced
from .outputs import Output
from .place import Place
from .score_function import ScoreFunction

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
    rows = [one.outputs[0] for one in ancestors(looked_up) if one.type in MADE_DENSE]
    return {(WORDS, one.name): one for one in rows if _of_any_number(one) and any(connected(text, [one]) for text in texts)}


def _of_any_number(rows: tf.Tensor) -> bool:
    return bool(rows.shape.rank) and rows.shape[0] is None and None in rows.shape[1:]


def function_with_words(traced: Traced, place: Place, output: Output) -> ScoreFunction:
    """The function to the score, with those words of texts among its inputs that matter beside the selected tensors."""
    words = settled_words(traced, place, output)
    output = dataclasses.replace(output, data={key: one for key, one in output.data.items() if key[0] != WORDS})

    def function(data: dict[Any, tf.Tensor]) -> ScoreFunction:
        # a score's own rows, and such words, are fed as inputs are, and are none of the model's
        fed = dataclasses.replace(traced, inputs=traced.inputs | data) if data else traced
        return ScoreFunction(fed, place, dataclasses.replace(output, data=data))

    found = function(output.data | words)
    needed = {key: tensor for key, tensor in words.items() if key in found.context}
    return found if len(needed) == len(words) else function(output.data | needed)
