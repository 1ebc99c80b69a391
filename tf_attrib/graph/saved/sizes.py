"""Variables are counted while a model is built, before any of them is allocated: a file cannot ask for more than it holds."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from ...common.errors import AttributionError
from ...common.types import present

# A file in float16 makes a model in float32; states and counters are in no file.
FACTOR, ROOM = 4, 2**26


@contextlib.contextmanager
def bounded(stored: int) -> Iterator[None]:
    """Within this, variables of more bytes than a file with weights of `stored` bytes can fill are not created.

    Raises:
        AttributionError: with what was found, to be put behind the name of the file.
    """
    limit, declared, refused = FACTOR * stored + ROOM, 0, []

    def create(next_creator: Any, **given: Any) -> Any:
        nonlocal declared
        declared += _bytes(given)
        if declared > limit:
            refused.append(
                AttributionError(
                    f"declares weights of more than {declared / 2**20:,.0f} MB, and holds {stored / 2**20:,.1f} MB"
                )
            )
            raise refused[0]
        return next_creator(**given)

    try:
        with tf.variable_creator_scope(create):
            yield
    finally:
        if refused:  # Keras may have put it into an error of its own
            raise refused[0]


def _bytes(given: dict[str, Any]) -> int:
    """The bytes of a variable that is about to be created."""
    shape, value = given.get("shape"), given.get("initial_value")
    dtype = given.get("dtype")
    width = tf.as_dtype(dtype).size if dtype is not None else 8
    if shape is not None and tf.TensorShape(shape).is_fully_defined():
        return math.prod(map(present, tf.TensorShape(shape))) * width
    if not callable(value):  # it is there already
        return tf.size(value).numpy() * width if tf.is_tensor(value) else getattr(value, "nbytes", width)
    tensor = _symbolic(value)
    return math.prod(map(present, tensor.shape)) * tensor.dtype.size


def _symbolic(initial_value: Any) -> tf.Tensor:
    """An initial value as a symbol in a graph, where none is computed."""
    try:
        with tf.Graph().as_default():
            return tf.convert_to_tensor(initial_value())
    except Exception:  # it draws from a generator with a state, which a graph of its own does not see
        return tf.function(initial_value).get_concrete_function().outputs[0]
