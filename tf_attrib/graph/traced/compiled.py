"""A function traced once for blocks of any size, called at the least cost there is."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from ...common.errors import AttributionError, one_line
from .tf_private import caller, eager, registered_bodies


class Compiled:
    """`function` of flat tensors, traced for `signature` when it is made.

    It is called by its name: a ConcreteFunction's own binding and checking takes 700 microseconds (TensorFlow 2.21, 2 cores),
    which is more than a small net's forward pass.

    Args:
        by_xla: whether XLA compiles it, for each new set of shapes anew.
    """

    def __init__(self, function: Callable, signature: list[tf.TensorSpec], by_xla: bool = False) -> None:
        traced = tf.function(function, input_signature=signature, autograph=False, jit_compile=by_xla or None)
        self._function, self._by_xla = registered_bodies(traced.get_concrete_function()), by_xla
        self._call = caller(self._function)
        self._captured = list(self._function.captured_inputs)

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """The outputs in a flat list; dtypes must be those of the signature.

        Raises:
            AttributionError: XLA cannot compile it.
        """
        tensors = [eager(array) for array in arrays]
        try:
            return [output.numpy() for output in self._call(tensors + self._captured)]
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
            if not self._by_xla:
                raise
            raise AttributionError(
                f"XLA cannot compile this model: {one_line(error)}; leave jit_compile out: ta.Attributor(model)"
            ) from error
