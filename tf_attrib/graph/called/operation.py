"""A Python function of eager tensors as an operation of a graph, with the gradients that a `tf.GradientTape` takes of it.

`tf.py_function` alone would hand out zeros where a tape finds no gradient, and has no second derivatives, which a
Jacobian-vector product needs (the transpose of the transpose).
"""

import itertools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ...common.failures import as_failure

_TICKETS = itertools.count(1)


class Operation:
    """`run` as an operation.

    Args:
        run: from a list of eager tensors to a list of such.
        specs: TensorSpec of what it gives.
        floats: numbers of the sources that it is differentiated at.
        doubtful: whether zeros, too, may be gradients that were lost: `tf.py_function` hands them out.
        lost: is asked where a tape finds no gradient at some of the floats; from the sources, the numbers of those, and whether
            it found none at all, it raises where that is no zero.
    """

    def __init__(
        self,
        run: Callable[[list[tf.Tensor]], list[tf.Tensor]],
        specs: list[tf.TensorSpec],
        floats: list[int],
        doubtful: bool,
        lost: Callable[[list[tf.Tensor], list[int], bool], None],
    ) -> None:
        self._run, self._specs, self._ends, self._doubtful, self._lost = run, specs, floats, doubtful, lost
        self._floats = [number for number, spec in enumerate(specs) if spec.dtype.is_floating]
        # a forward pass keeps its tape for the backward pass, once such a pass was seen to follow
        self._keeps, self._kept, self._lock = False, None, threading.Lock()

    def __call__(self, sources: list[tf.Tensor]) -> list[tf.Tensor]:
        """What it gives for tensors of the graph at hand."""

        @tf.custom_gradient
        def forward(*given):
            *found, ticket = tf.py_function(self._forward, given, [*(spec.dtype for spec in self._specs), tf.int64])
            for tensor, spec in zip(found, self._specs, strict=True):
                tensor.set_shape(spec.shape)

            def backward(*upstream):
                upstream = [upstream[number] for number in self._floats]
                pulled = self._pulled(list(given), ticket, upstream) if self._ends else []
                at = dict(zip(self._ends, pulled, strict=True))
                return [at.get(number) for number in range(len(given))]

            return found, backward

        found: Any = forward(*sources)
        return list(found)

    def _pulled(self, given: list, ticket: tf.Tensor, upstream: list) -> list[tf.Tensor]:
        """The products of `upstream` with the Jacobian, at those of `given` that are differentiated at."""
        count, floats = len(given), self._ends
        types = [given[number].dtype for number in floats]

        @tf.custom_gradient
        def product(*tensors):
            found = tf.py_function(lambda *values: self._backward(values, count), [ticket, *tensors], types)
            for tensor, number in zip(found, floats, strict=True):
                tensor.set_shape(given[number].shape)

            def forward_mode(*moves):
                where = [*floats, *range(count, len(tensors))]
                second = tf.py_function(
                    lambda *values: self._twice(values, count, where),
                    [*tensors, *moves],
                    [tensors[number].dtype for number in where],
                )
                for tensor, number in zip(second, where, strict=True):
                    tensor.set_shape(tensors[number].shape)
                at = dict(zip(where, second, strict=True))
                return [at.get(number) for number in range(len(tensors))]

            return found, forward_mode

        found: Any = product(*given, *upstream)
        return list(found)

    @as_failure
    def _forward(self, *sources: tf.Tensor) -> list[tf.Tensor]:
        with self._lock:
            # the last tape was not asked for: nobody takes gradients now
            keeps = self._keeps = self._keeps and self._kept is None
            self._kept = None
        if not keeps:
            return [*self._run(list(sources)), tf.constant(0, tf.int64)]
        ticket, tape, found = next(_TICKETS), tf.GradientTape(), []
        with tape:
            tape.watch([sources[number] for number in self._ends])
            found = self._run(list(sources))
        with self._lock:
            self._kept = ticket, tape, sources, found
        return [*found, tf.constant(ticket, tf.int64)]

    @as_failure
    def _backward(self, values: tuple, count: int) -> list[tf.Tensor]:
        floats, ticket = self._ends, int(values[0])
        sources, upstream = list(values[1 : count + 1]), list(values[count + 1 :])
        with self._lock:
            kept, self._kept, self._keeps = self._kept, None, True
        if kept is not None and kept[0] == ticket:
            _, tape, sources, found = kept
        else:
            with tf.GradientTape() as tape:
                tape.watch([sources[number] for number in floats])
                found = self._run(sources)
        slopes = tape.gradient([found[number] for number in self._floats], [sources[number] for number in floats], upstream)
        dense = [None if slope is None else tf.convert_to_tensor(slope) for slope in slopes]
        missing = [number for number, slope in zip(floats, dense, strict=True) if slope is None or self._none(slope)]
        if missing:
            self._lost(list(sources), missing, not any(tf.is_tensor(slope) for slope in dense))
        return _or_zeros(dense, [sources[number] for number in floats])

    def _none(self, slope: tf.Tensor) -> bool:
        return self._doubtful and not np.any(slope.numpy())

    @as_failure
    def _twice(self, values: tuple, count: int, where: list[int]) -> list[tf.Tensor]:
        floats = self._ends
        tensors, moves = list(values[: len(values) - len(floats)]), list(values[len(values) - len(floats) :])
        with tf.GradientTape() as outer:
            outer.watch([tensors[number] for number in where])
            with tf.GradientTape() as inner:
                inner.watch([tensors[number] for number in floats])
                found = self._run(tensors[:count])
                found = [found[number] for number in self._floats]
            ends = [tensors[number] for number in floats]
            slopes: Any = inner.gradient(found, ends, tensors[count:])
        known = [(slope, move) for slope, move in zip(slopes, moves, strict=True) if slope is not None]
        ends = [tensors[number] for number in where]
        if not known:
            return _or_zeros([None] * len(ends), ends)
        return _or_zeros(outer.gradient([slope for slope, _ in known], ends, [move for _, move in known]), ends)


def _or_zeros(slopes: list[Any], like: list[tf.Tensor]) -> list[tf.Tensor]:
    return [
        tf.zeros_like(end) if slope is None else tf.convert_to_tensor(slope) for slope, end in zip(slopes, like, strict=True)
    ]
