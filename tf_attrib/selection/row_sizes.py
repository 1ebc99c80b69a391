"""How much memory one row of the selected tensors takes on its way to the score."""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.types import present
from ..graph.traced.activations import counted_bytes, inferred_bytes, static_bytes
from ..graph.traced.cut import Cut, Port
from ..graph.traced.trace import TRACING, Traced


class RowSizes:
    """About how many bytes a row's forward activations take.

    Args:
        selected: the tensors where rows begin.
        scored, whole: the tensors that the score is made of, and the whole output at every position.
        target: (batch, r), which value of the output is the score.
    """

    def __init__(
        self, traced: Traced, selected: list[tf.Tensor], scored: list[tf.Tensor], whole: list[tf.Tensor], target: tf.Tensor
    ) -> None:
        self._traced, self._selected, self._ends, self._target = traced, selected, (scored, whole), target

    def of(self, inputs: dict[Any, np.ndarray]) -> tuple[int, int]:
        """Bytes to the score, and to the whole output.

        Args:
            inputs: those of one example, by the model's keys. Where shapes do not follow from theirs (loops, sequences that a
                model makes itself), the model is run on them to know.
        """
        if self._traced.called is not None:
            return self._traced.called.row_bytes, self._traced.called.row_bytes
        scored, whole = (static_bytes(ends, self._selected) for ends in self._ends)
        if scored is None or whole is None:
            scored, whole = self._inferred(inputs)
        if scored is None or whole is None:
            return self._counted(inputs)
        return scored, whole

    @functools.cached_property
    def known(self) -> int | None:
        """Bytes to the score, where static shapes tell."""
        return None if self._traced.called is not None else static_bytes(self._ends[0], self._selected)

    def _inferred(self, inputs: dict[Any, np.ndarray]) -> tuple[int | None, int | None]:
        shapes: dict[Any, tuple] = {tensor.ref(): inputs[key].shape[1:] for key, tensor in self._traced.inputs.items()}
        shapes[self._target.ref()] = (self._target.shape[1],)
        scored, whole = self._ends
        found = inferred_bytes(self._traced.function, shapes, whole, self._selected)
        return found if scored is whole else inferred_bytes(self._traced.function, shapes, scored, self._selected), found

    def _counted(self, inputs: dict[Any, np.ndarray]) -> tuple[int, int]:
        # what two examples take beyond one: an axis of unknown size may hold rows, positions, or both
        one, two = (
            self._run.evaluate(
                {key: np.repeat(value[:1], count, 0) for key, value in inputs.items()}
                | {"target": np.zeros((count, present(self._target.shape[1])), np.int32)}
            )
            for count in (1, 2)
        )
        found = {number: int(two[number] - one[number]) for number in one}
        return found[0], found[len(found) - 1]

    @functools.cached_property
    def _run(self) -> Cut:
        """The cut from the model's inputs, and "target", to the bytes of all rows."""
        inputs = self._traced.inputs
        with TRACING, self._traced.function.graph.as_default():
            rows = tf.shape(next(iter(inputs.values())), tf.int64)[0]
            scored, whole = self._ends
            totals = [counted_bytes(ends, self._selected, rows) for ends in ([scored] if scored is whole else self._ends)]
        feeds = {key: Port(tensor) for key, tensor in inputs.items()} | {"target": Port(self._target)}
        return Cut(self._traced, feeds, {number: Port(total) for number, total in enumerate(totals)})
