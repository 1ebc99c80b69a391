"""A graph that is cut: some tensors fed, others fetched, variables live, gradients as the model defines them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from .folding import fold
from .grouped import runnable
from .tf_private import caller, cut_out, let_go_of_bodies
from .trace import Traced


@dataclasses.dataclass(frozen=True, eq=False)
class Port:
    """A tensor of the graph with the axis that counts examples: 0 nearly always, None where it has none."""

    tensor: tf.Tensor
    batch_axis: int | None = 0

    def to_graph(self, value: tf.Tensor) -> tf.Tensor:
        """`value`, batch first, as the graph wants it."""
        value = tf.cast(value, self.tensor.dtype)
        if self.batch_axis is None:
            return value[0]
        return _move_axis(value, 0, self.batch_axis)

    def from_graph(self, value: tf.Tensor) -> tf.Tensor:
        """`value` as the graph gives it, batch first."""
        if self.batch_axis is None:
            return value[None]
        return _move_axis(value, self.batch_axis, 0)


class Cut:
    """A callable from fed to fetched tensors, both batch first. Built once, then called in any trace.

    Args:
        folded: whether factors of channels are multiplied into weights (`folding`), which differs by rounding.
    """

    def __init__(self, traced: Traced, feeds: dict[Any, Port], fetches: dict[Any, Port], folded: bool = False) -> None:
        self.feeds, self.fetches = feeds, fetches
        fed, fetched = ([port.tensor for port in ports.values()] for ports in (feeds, fetches))

        def change(operations: list[tf.Operation], fed: list[tf.Tensor], fetched: list[tf.Tensor]) -> None:
            if folded:
                fold(operations, fed, fetched)
            runnable(operations, fetched)

        self._function = let_go_of_bodies(cut_out(traced.function, fed, fetched, change))

    def __call__(self, values: dict[Any, tf.Tensor]) -> dict[Any, tf.Tensor]:
        fed = [port.to_graph(values[key]) for key, port in self.feeds.items()]
        return self._batch_first(self._function(*fed))

    def evaluate(self, values: Mapping[Any, np.ndarray | tf.Tensor]) -> dict[Any, np.ndarray]:
        """The same for arrays, outside any trace, at the least cost there is (see `Compiled`); no tape records it."""
        fed = [port.to_graph(tf.convert_to_tensor(values[key])) for key, port in self.feeds.items()]
        captured = list(self._function.captured_inputs)
        return {key: value.numpy() for key, value in self._batch_first(caller(self._function)(fed + captured)).items()}

    def _batch_first(self, fetched: list[tf.Tensor]) -> dict[Any, tf.Tensor]:
        for port, value in zip(self.fetches.values(), fetched, strict=True):
            if not value.shape.is_fully_defined():  # a cut loses what was set by hand, or is behind a loop of v1
                value.set_shape(port.tensor.shape)
        return {key: port.from_graph(value) for (key, port), value in zip(self.fetches.items(), fetched, strict=True)}


def probe_batch_axis(traced: Traced, tensor: tf.Tensor, examples: dict[Any, tf.Tensor]) -> int | None:
    """The axis of `tensor` that counts examples, found by giving the graph two and then three copies of one.

    A static shape cannot tell: an unknown axis may be the batch or the length of a sequence.
    """
    cut = Cut(traced, {key: Port(source) for key, source in traced.inputs.items()}, {None: Port(tensor)})
    two, three = (
        cut.evaluate({key: tf.repeat(value[:1], copies, axis=0) for key, value in examples.items()})[None].shape
        for copies in (2, 3)
    )
    axes = [axis for axis, pair in enumerate(zip(two, three, strict=True)) if pair == (2, 3)]
    return axes[0] if axes else None


def _move_axis(value: tf.Tensor, source: int, target: int) -> tf.Tensor:
    if source == target:
        return value
    order = [axis for axis in range(value.shape.rank) if axis != source]
    order.insert(target, source)
    return tf.transpose(value, order)
