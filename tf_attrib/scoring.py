"""The function that is explained: from the selected tensors to one scalar for each example."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from .errors import AttributionError, nearest
from .graph.cut import Cut, Port
from .graph.gradients import gradients
from .graph.tensors import PASS, Head, ancestors, connected, find_head, find_tensor, head_at, is_tensor_name
from .graph.trace import TRACING, Traced
from .select import Of, Place
from .structure import rebuild


def _indexed(values: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    return tf.gather_nd(values, target, batch_dims=1)


@dataclasses.dataclass(frozen=True, eq=False)
class Output:
    """The output that `of` selected.

    Attributes:
        words: for people, such as "probability at 'digits'".
        unit: probability, logit or raw.
        fetches: the tensors to fetch, by key.
        finish: from the fetched tensors to the values of shape (batch,), (batch, classes) or (batch, ..., classes).
        has_classes: whether the last axis holds classes, of which one is predicted.
        with_target: whether a target selects one of the values.
        choose: from values and targets (rows, r) to one value for each row; default: by indexing.
        log_odds: of a probability whose logits are known, the output that gives its log-odds.
        distribution: whether the values of an example sum to one by construction (softmax, or a sigmoid unit's two classes).
    """

    words: str
    unit: str
    fetches: dict[Any, tf.Tensor]
    finish: Callable[[dict], tf.Tensor]
    has_classes: bool = False
    with_target: bool = True
    choose: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] = _indexed
    log_odds: "Output | None" = None
    distribution: bool = False


def resolve_of(traced: Traced, of: Of | None) -> Output:
    """The output that `of` means; None means the probability head where there is one, else the output as it is.

    Raises:
        AttributionError: several outputs and none named, no such output, or no head where one was asked for.
    """
    if of is not None and of.kind == "score":
        return _scored(traced, of)
    if of is not None and (of.kind == "tensor" or (of.kind == "named" and of.name not in traced.outputs
                                                   and is_tensor_name(of.name))):
        tensor = find_tensor(traced, of.name)
        if not tensor.dtype.is_floating:
            raise AttributionError(f"tensor {tensor.name!r} is {tensor.dtype.name}: explain a float tensor")
        return _raw(head_at(tensor), tensor.name)
    name = _output_name(traced, of)
    head = find_head(traced, name)
    kind = "probability" if of is None or of.kind == "named" else of.kind
    asked = of is not None and of.kind in ("probability", "logits")
    if head.kind is None and asked:
        what = head.output.op.type if head.output.op.type != "Identity" else "no softmax or sigmoid"
        raise AttributionError(f"output {name!r} has no softmax or sigmoid head ({what} stands there), so its {kind} is not "
                               f"known; explain the output itself, of=ta.output({name!r}), or of=ta.score(function)")
    if kind == "output" or head.kind is None:
        return _raw(head, name)
    return _logits(head, name) if kind == "logits" else _probability(head, name)


def _output_name(traced: Traced, of: Of | None) -> str:
    names = list(traced.outputs)
    if of is not None and of.name is not None:
        if of.name not in names:
            listed = {name: tuple(tensor.shape) for name, tensor in traced.outputs.items()}
            raise AttributionError(f"no output is called {of.name!r}; there are: {nearest(of.name, listed)}")
        return of.name
    if len(names) > 1:
        listed = ", ".join(f"{name!r} {tuple(tensor.shape)}" for name, tensor in traced.outputs.items())
        call = f"ta.{of.kind}({names[0]!r})" if of is not None and of.kind != "named" else repr(names[0])
        raise AttributionError(f"the model has {len(names)} outputs, say which is explained, such as of={call}: {listed}")
    return names[0]


def _raw(head: Head, name: str) -> Output:
    if head.kind is not None and head.applied and head.kind != "log_softmax":
        return _probability(head, name)  # the output is the probability

    def finish(values):
        value = values[None]
        return tf.squeeze(value, -1) if value.shape.rank > 1 and value.shape[-1] == 1 else value
    return Output(f"output {name!r}", "raw", {None: head.output}, finish)


def _logits(head: Head, name: str) -> Output:
    def finish(values):
        return _classes(head, values[None], lambda value: -value)
    return Output(f"logit beneath the {head.kind} at {name!r}", "logit", {None: head.logits}, finish, True)


def _probability(head: Head, name: str) -> Output:
    def finish(values):
        value = values[None]
        if not head.applied:
            value = tf.nn.softmax(value) if head.kind == "softmax" else tf.sigmoid(value)
        value = tf.exp(value) if head.kind == "log_softmax" else value
        return _classes(head, value, lambda value: 1 - value)
    words = f"probability at {name!r}" + ("" if head.applied else f" ({head.kind} of the compiled loss)")
    units = head.kind == "sigmoid" and not _is_single(head.output)
    return Output(words, "probability", {None: head.output}, finish, True, log_odds=_log_odds(head, name),
                  distribution=not units)


def _log_odds(head: Head, name: str) -> Output | None:
    """log(p / (1 - p)) of a class, from the logits: that of a sigmoid is the logit itself."""
    if head.logits is None or (head.kind != "sigmoid" and head.logits.shape[-1] in (None, 1)):
        return None

    def choose(values, target):
        found = _indexed(values, target[:, :-1]) if target.shape[-1] > 1 else values
        own = tf.one_hot(target[:, -1], found.shape[-1], on_value=True, off_value=False, dtype=tf.bool)
        rest = tf.reduce_logsumexp(tf.where(own, tf.constant(-np.inf, found.dtype), found), -1)
        return _indexed(values, target) - rest
    found = dataclasses.replace(_logits(head, name), words=f"log-odds at {name!r}", unit="log-odds")
    return found if head.kind == "sigmoid" else dataclasses.replace(found, choose=choose)


def _classes(head: Head, value: tf.Tensor, other: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """`value`, or for a single sigmoid unit both its classes: class 1 has `value`, class 0 `other(value)`."""
    if head.kind != "sigmoid" or not _is_single(value):
        return value
    value = value[:, None] if value.shape.rank == 1 else value
    return tf.concat([other(value), value], -1)


def _is_single(value: tf.Tensor) -> bool:
    """Whether it has one unit for each example, or position."""
    return value.shape.rank == 1 or value.shape[-1] == 1


def _scored(traced: Traced, of: Of) -> Output:
    def finish(values):
        ordered = {traced.output_keys[name]: value for name, value in values.items()}
        value = tf.convert_to_tensor(of.function(rebuild(ordered)))
        if value.shape.rank != 1:
            raise AttributionError(f"ta.score(function) must return one number for each example, shape (batch,); it returned "
                                   f"{tuple(value.shape)}: select a class, such as lambda outputs: outputs[:, 0]")
        return value
    name = getattr(of.function, "__name__", "function")
    return Output(f"ta.score({name})", "raw", dict(traced.outputs), finish, with_target=False)


class ScoreFunction:
    """The model from the selected tensors, and the inputs that still matter, to scores.

    Attributes:
        place, output: what was selected.
        context: keys of the model inputs that are needed beside the selected tensors (masks, other inputs).
        rows: the number of rows that a call must have, or None for any.
        value_shape: of the explained output for one example, None where that follows the input.
        target_rank: how many indices select one value of an example.
        dtype: of paths and scores, float32 unless the model is float64.
    """

    def __init__(self, traced: Traced, place: Place, output: Output):
        self.traced, self.place, self.output = traced, place, output
        selected = [port.tensor for port in place.ports.values()]
        fetched = list(output.fetches.values())
        needed = {i.ref() for operation in ancestors(fetched, selected) for i in operation.inputs}
        needed |= {tensor.ref() for tensor in fetched}
        chosen = {tensor.ref() for tensor in selected}
        self.context = tuple(key for key, tensor in traced.inputs.items()
                             if tensor.ref() in needed and tensor.ref() not in chosen)
        feeds = {("at", key): port for key, port in place.ports.items()}
        feeds |= {("input", key): Port(traced.inputs[key]) for key in self.context}
        self._feeds = feeds
        self._forward = self.cut({key: Port(tensor) for key, tensor in output.fetches.items()})
        self.dtype = tf.float64 if any(tensor.dtype == tf.float64 for tensor in fetched) else tf.float32
        with TRACING, traced.function.graph.as_default():
            self._explained = self._finished(dict(output.fetches))
        if not self._explained.shape.rank:
            raise AttributionError(f"{output.words} must have one entry for each example, shape (batch, ...); it is a single "
                                   "number, shape ()")
        self.value_shape = tuple(self._explained.shape[1:])
        self.target_rank = len(self.value_shape)
        self.rows = self._fixed_rows()

    def _fixed_rows(self) -> int | None:
        sizes = {tensor.shape[0] for tensor in self.traced.inputs.values() if tensor.shape.rank} - {None, 1}
        if any(port.batch_axis is None for port in self.place.ports.values()):
            if sizes:
                raise AttributionError(f"{self.place.words} has no batch axis, and the model takes exactly {min(sizes)} "
                                       "examples at a time: such a tensor needs a model of any batch size, or of 1")
            return 1
        ones = any(tensor.shape[0] == 1 for tensor in self.traced.inputs.values() if tensor.shape.rank)
        return min(sizes) if sizes else 1 if ones else None

    def features(self) -> dict[Any, list]:
        """The static shape of one example of each selected tensor, by key."""
        return {key: [size for axis, size in enumerate(port.tensor.shape) if axis != port.batch_axis]
                for key, port in self.place.ports.items()}

    def cut(self, fetches: dict[Any, Port]) -> Cut:
        """From the selected tensors, fed as ("at", key), and those beside them, ("input", key), to others of the graph."""
        return Cut(self.traced, self._feeds, fetches)

    def activation_bytes(self) -> int:
        """About how many bytes one row's forward activations take, from the shapes in the graph."""
        selected = [port.tensor for port in self.place.ports.values()]
        total = 0
        for operation in ancestors(self.output.fetches.values(), selected):
            for tensor in operation.outputs if operation.type not in PASS else ():
                shape = tensor.shape
                if shape.rank and shape[0] is None and tensor.dtype.is_floating:
                    # the length of a sequence may be unknown: a middling one
                    total += tensor.dtype.size * math.prod(size or 32 for size in shape[1:])
        return total

    @functools.cached_property
    def log_odds(self) -> "ScoreFunction | None":
        """The log-odds of the explained probability, where they are known at the selected tensors."""
        odds = self.output.log_odds
        if odds is None or not all(connected(port.tensor, odds.fetches.values()) for port in self.place.ports.values()
                                   if connected(port.tensor, self.output.fetches.values())):
            return None
        return ScoreFunction(self.traced, self.place, odds)

    def values(self, at: dict, context: dict) -> tf.Tensor:
        """The values of the selected output, (rows,) or (rows, ..., classes), for rows of the selected tensors."""
        return self._finished(self._forward(_fed(at, context)))

    def gradients(self, at: dict, context: dict, target: tf.Tensor) -> tuple[tf.Tensor, dict[Any, tf.Tensor]]:
        """Scores (rows,), and their gradients at the selected tensors by key, for rows of these and of targets."""
        found = self._backward(_fed(at, context) | {"target": target})
        return found.pop("score"), {key: tf.cast(gradient, self.dtype) for (_, key), gradient in found.items()}

    def gradients_now(self, at: dict, context: dict, target: np.ndarray) -> dict[Any, np.ndarray]:
        """The same gradients of arrays as arrays, outside any trace."""
        found = self._backward.evaluate(_fed(at, context) | {"target": target})
        return {key[1]: gradient.astype(self.dtype.as_numpy_dtype) for key, gradient in found.items() if key != "score"}

    @functools.cached_property
    def _backward(self) -> Cut:
        """The cut from the selected tensors to scores and gradients.

        Gradients are taken in the traced graph itself, before the cut: a custom gradient of the model's may refer to
        tensors of that graph, and would be lost or fail in a copy.
        """
        keys, tensors = list(self.place.ports), [port.tensor for port in self.place.ports.values()]
        with TRACING, self.traced.function.graph.as_default():
            target = tf.compat.v1.placeholder(tf.int32, [None, self.target_rank])
            score = self.select(self._explained, target)
            # each tensor is fed, so no gradient flows through one of them to another
            found = gradients(score, tensors, f"{self.output.words} has no gradient at {self.place.words}")
            fetches = {"score": Port(tf.identity(score))}
            for key, gradient, port in zip(keys, found, self.place.ports.values(), strict=True):
                gradient = tf.zeros_like(port.tensor) if gradient is None else tf.convert_to_tensor(gradient)
                fetches["gradient", key] = Port(gradient, port.batch_axis)
        return Cut(self.traced, self._feeds | {"target": Port(target)}, fetches)

    def chosen(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The score in the traced graph, which must be the default, and the placeholder of its target."""
        target = tf.compat.v1.placeholder(tf.int32, [None, self.target_rank])
        return tf.identity(self.select(self._explained, target)), target

    def _finished(self, fetched: dict) -> tf.Tensor:
        return tf.cast(self.output.finish(fetched), self.dtype)

    def select(self, values: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """One value for each row: `target` is (rows, r) indices into `values` of rank r + 1."""
        if values.shape.rank == 1:
            return values
        return self.output.choose(values, target)

    def targets(self, target: Any, shape: tuple, count: int) -> np.ndarray | None:
        """The targets of `count` examples as (count, r) int32, or None for the class that is predicted.

        Args:
            target: None, an int, one for each example (1-D), a tuple (position, ..., class), or an array of those.
            shape: of the selected output's values for one example, such as (10,) or (length, classes).

        Raises:
            AttributionError: a target is needed, has the wrong shape, or is out of range.
        """
        rank = len(shape)
        if rank == 0 or not self.output.with_target:
            if target is not None and np.any(np.asarray(target) != 0):
                raise AttributionError(f"{self.output.words} is one number for each example: leave target out")
            return np.zeros((count, rank), np.int32)
        if target is None:
            return self._no_target(shape)
        try:
            array = np.asarray(target)
        except ValueError:
            raise AttributionError(f"target is a ragged list; {_target_help(shape)}") from None
        if array.dtype.kind not in "iu":
            raise AttributionError(f"target must hold whole numbers, got {array.dtype}; {_target_help(shape)}")
        if rank == 1 and array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if rank == 1 and array.shape in ((), (count,)):
            rows = np.broadcast_to(array.reshape(-1, 1), (count, 1))
        elif rank > 1 and array.shape in ((rank,), (count, rank)):
            rows = np.broadcast_to(array.reshape(-1, rank), (count, rank))
        else:
            raise AttributionError(f"target of shape {array.shape} for {count} examples; {_target_help(shape)}")
        bad = np.argwhere((rows < 0) | (rows >= np.asarray(shape)))
        if len(bad):
            example, axis = (int(i) for i in bad[0])
            raise AttributionError(f"target {rows[example, axis]} of example {example} is out of range: {_target_help(shape)}")
        return np.ascontiguousarray(rows, np.int32)

    def _no_target(self, shape: tuple) -> np.ndarray | None:
        if len(shape) > 1:
            raise AttributionError(f"the output has {shape} values for each example: {_target_help(shape)}")
        if not self.output.has_classes and shape[0] > 1:
            raise AttributionError(f"{self.output.words} has {shape[0]} units and no head of classes, so none is predicted: "
                                   f"{_target_help(shape)}")
        return None


def _fed(at: dict, context: dict) -> dict:
    """Values for the feeds of a cut."""
    return {("at", key): value for key, value in at.items()} | {("input", key): value for key, value in context.items()}


def _target_help(shape: tuple) -> str:
    """How to select one value of an output of `shape` for each example."""
    if len(shape) == 1:
        return f"give a class from 0 to {shape[0] - 1}, as target=0 or one for each example"
    names = "(position, class)" if len(shape) == 2 else f"{len(shape)} indices"
    return (f"give {names} below {shape}, as target=({', '.join('0' for _ in shape)}) or an array "
            f"(batch, {len(shape)})")
