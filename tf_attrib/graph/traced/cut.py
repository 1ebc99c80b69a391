"""A graph that is cut: some tensors fed, others fetched, variables live, gradients as the model defines them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from .folding import fold
from .grouped import runnable
from .heads_and_lookups import connected, find_lookups
from .tf_private import caller, cut_out, let_go_of_bodies
from .trace import TRACING, Traced


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
        trimmed: whether what is fed may be longer than the model has it (`Trim`): by the key of a fetched gradient, that of
            what it is the gradient at, which has the same shape; None where nothing is.
    """

    def __init__(
        self,
        traced: Traced,
        feeds: dict[Any, Port],
        fetches: dict[Any, Port],
        folded: bool = False,
        trimmed: dict[Any, Any] | None = None,
    ) -> None:
        self.feeds, self.fetches = feeds, fetches
        self._trim = None if trimmed is None else Trim.of(traced, feeds)
        self._like = trimmed or {}
        fed, fetched = ([port.tensor for port in ports.values()] for ports in (feeds, fetches))

        def change(operations: list[tf.Operation], fed: list[tf.Tensor], fetched: list[tf.Tensor]) -> None:
            if folded:
                fold(operations, fed, fetched)
            runnable(operations, fetched)

        self._function = let_go_of_bodies(cut_out(traced.function, fed, fetched, change))

    def __call__(self, values: dict[Any, tf.Tensor]) -> dict[Any, tf.Tensor]:
        given = {key: port.to_graph(values[key]) for key, port in self.feeds.items()}
        fed = given if self._trim is None else self._trim(given, values)
        return self._batch_first(self._restored(self._function(*fed.values()), given))

    def evaluate(self, values: Mapping[Any, np.ndarray | tf.Tensor]) -> dict[Any, np.ndarray]:
        """The same for arrays, outside any trace, at the least cost there is (see `Compiled`); no tape records it."""
        values = {key: tf.convert_to_tensor(values[key]) for key in self.feeds}
        given = {key: port.to_graph(values[key]) for key, port in self.feeds.items()}
        fed = given if self._trim is None else self._trim(given, values)
        found = caller(self._function)([*fed.values(), *self._function.captured_inputs])
        return {key: value.numpy() for key, value in self._batch_first(self._restored(found, given)).items()}

    def _restored(self, fetched: list[tf.Tensor], given: dict[Any, tf.Tensor]) -> list[tf.Tensor]:
        """What was fetched, with zeros where what it is the gradient at was cut."""
        if self._trim is None or not self._trim.cuts:
            return fetched
        found = dict(zip(self.fetches, fetched, strict=True))
        for key, fed in self._like.items():
            if fed in self._trim.cuts:
                missing = tf.shape(given[fed]) - tf.shape(found[key])
                found[key] = tf.pad(found[key], tf.stack([tf.zeros_like(missing), missing], 1))
        return list(found.values())

    def _batch_first(self, fetched: list[tf.Tensor]) -> dict[Any, tf.Tensor]:
        for port, value in zip(self.fetches.values(), fetched, strict=True):
            if not value.shape.is_fully_defined():  # a cut loses what was set by hand, or is behind a loop of v1
                value.set_shape(port.tensor.shape)
        return {key: port.from_graph(value) for (key, port), value in zip(self.fetches.items(), fetched, strict=True)}


class Trim:
    """Rows of the selected tensors, which were filled up to the longest of all examples, as long as the model has them beside
    the inputs of one batch: it makes a mask of these, or the lengths of ragged rows, and both must fit.

    Attributes:
        cuts: the keys of those that may be longer.
    """

    def __init__(self, traced: Traced, ports: dict[Any, Port], inputs: dict[Any, Port]) -> None:
        fed = {port.tensor.ref() for port in inputs.values()}
        self._ports = {key: port for key, port in ports.items() if _has_length(traced, port, fed)}
        self._inputs, self.cuts = inputs, frozenset(self._ports)
        if self.cuts:
            with TRACING, traced.function.graph.as_default():
                shapes = {key: Port(tf.shape(port.tensor), None) for key, port in self._ports.items()}
            self._shapes = Cut(traced, inputs, shapes)

    @classmethod
    def of(cls, traced: Traced, feeds: dict[Any, Port]) -> "Trim":
        """That of the tensors among `feeds`, by the model's inputs among them: without the text that a tensor is made from,
        nothing tells how long it is, and nothing is made that must fit."""
        inputs = {key: port for key, port in feeds.items() if any(port.tensor is one for one in traced.inputs.values())}
        return cls(traced, {key: port for key, port in feeds.items() if key not in inputs}, inputs)

    def __call__(self, fed: dict[Any, tf.Tensor], inputs: Mapping[Any, tf.Tensor]) -> dict[Any, tf.Tensor]:
        """`fed` by key, as the graph wants it, with those that are longer cut.

        Args:
            inputs: of the model by key, batch first.
        """
        if not self.cuts:
            return fed
        found = dict(fed)
        for key, shape in self._shapes({key: inputs[key] for key in self._inputs}).items():
            found[key] = tf.slice(fed[key], tf.zeros_like(shape[0]), tf.minimum(shape[0], tf.shape(fed[key])))
            found[key].set_shape(self._ports[key].tensor.shape)
        return found


def _has_length(traced: Traced, port: Port, fed: set) -> bool:
    """Whether values of inputs that are all fed tell how long a tensor is: text, or any where no axis counts examples. Rows
    each of which is there once are picked by their numbers: what fills them up is picked by none."""
    shape = port.tensor.shape
    if shape.rank is None or all(size is not None for axis, size in enumerate(shape) if axis != port.batch_axis):
        return False
    if port.batch_axis is None and any(one.tensor is port.tensor and one.unique for one in find_lookups(traced)):
        return False
    sources = [one for one in traced.inputs.values() if one is not port.tensor and connected(one, [port.tensor])]
    told = port.batch_axis is None or any(one.dtype == tf.string for one in sources)
    return told and bool(sources) and all(one.ref() in fed for one in sources)


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
