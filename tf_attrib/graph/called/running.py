"""One eager call of a model: layers' outputs replaced on the way, others picked, and states left as they were."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from ...common.errors import AttributionError
from ...common.nested import flatten, rebuild
from ..traced.heads_and_lookups import HEADS, PASS
from ..traced.layer_calls import alike, around_calls, handed_on
from ..traced.tf_private import operations_noted
from ..traced.trace import TRACING, tensors

# What a tensor of a run is called: ("output", key) of the model, ("logits", key) beneath the head of one, ("layer", path,
# number of call, key), and ("ids", path, number), the whole numbers that a layer was called with.
Name = tuple


@dataclasses.dataclass(frozen=True, eq=False)
class State:
    """A variable that the model writes while it is called."""

    name: str
    handle: tf.Tensor
    dtype: tf.DType

    def read(self) -> tf.Tensor:
        """What it holds."""
        return tf.raw_ops.ReadVariableOp(resource=self.handle, dtype=self.dtype)

    def numpy(self) -> np.ndarray:
        """What it holds, as an array."""
        return self.read().numpy()

    def write(self, value: tf.Tensor) -> None:
        """Has it hold `value` again."""
        tf.raw_ops.AssignVariableOp(resource=self.handle, value=value)


@dataclasses.dataclass(frozen=True, eq=False)
class Runner:
    """Calls `model(preprocess(inputs))`, a Keras model with `training=False`.

    Attributes:
        keys: of the inputs, in their order.
        states: what a call is not to change.
    """

    model: Callable
    keys: tuple
    preprocess: Callable | None
    is_keras: bool
    states: tuple[State, ...] = ()

    def called(self, sources: list[tf.Tensor]) -> dict[Any, tf.Tensor]:
        """The outputs by key, nothing replaced and nothing watched."""
        inputs = rebuild(dict(zip(self.keys, sources, strict=True)))
        inputs = self.preprocess(inputs) if self.preprocess else inputs
        found = self.model(inputs, training=False) if self.is_keras else self.model(inputs)
        leaves = {
            key: tf.convert_to_tensor(np.asarray(leaf)) if isinstance(leaf, np.ndarray | np.generic) else leaf
            for key, leaf in flatten(found).items()
        }
        return tensors(leaves if len(leaves) != 1 else rebuild(leaves))

    def run(self, sources: list[tf.Tensor], fed: dict[Name, tf.Tensor], wanted: list[Name]) -> list[tf.Tensor]:
        """The tensors called `wanted`, of a call in which those called in `fed` were replaced.

        Raises:
            AttributionError: the model did not come by one of them this time.
        """
        visit = _Visit(self.model, fed, wanted)
        with self._watched(visit), _heads(wanted) as heads, self.states_kept():
            outputs = self.called(sources)
        found = visit.found | {("output", key): value for key, value in outputs.items()}
        found |= {name: heads.beneath(outputs[name[1]]) for name in wanted if name[0] == "logits" and name[1] in outputs}
        for name in [*wanted, *(name for name in fed if name not in visit.replaced)]:
            if name not in found or found[name] is None:
                raise AttributionError(
                    f"the model came by {_shown(name)} when it was first called, and not with these examples: what it computes "
                    "follows their values; explain its output as it is, of=ta.score(lambda outputs: outputs[:, 0]), at='inputs'"
                )
        return [found[name] for name in wanted]

    @contextlib.contextmanager
    def _watched(self, visit: "_Visit") -> Iterator[None]:
        if not visit.needed:
            yield
            return
        with TRACING, around_calls(self.model, visit.around):
            yield

    @contextlib.contextmanager
    def states_kept(self) -> Iterator[None]:
        """While the context lasts, the model may change its states; then they are as they were."""
        kept = [(state, state.read()) for state in self.states]
        try:
            yield
        finally:
            for state, value in kept:
                state.write(value)


def _shown(name: Name) -> str:
    return {
        "output": "output {1!r}",
        "logits": "the probability head of its output",
        "layer": "call {2} of layer {1!r}",
        "ids": "the ids of layer {1!r}",
    }[name[0]].format(*name)


class _Visit:
    """Layers of one run: what is replaced and what is picked at each call."""

    def __init__(self, model: Any, fed: dict[Name, tf.Tensor], wanted: list[Name]) -> None:
        self._model, self._fed, self._wanted = model, fed, set(wanted)
        self._numbers: dict[str, int] = {}
        self.found: dict[Name, tf.Tensor] = {}
        self.replaced: set[Name] = set()
        self.needed = any(name[0] in ("layer", "ids") for name in [*fed, *wanted])

    def around(self, layer: Any, path: str, run: Callable[[], Any], given: tuple) -> Any:
        if layer is self._model or not tf.executing_eagerly():  # a function of TensorFlow's is being traced
            return run()
        number = self._numbers[path] = self._numbers.get(path, -1) + 1
        outputs = run()
        if ("ids", path, number) in self._wanted:
            self.found["ids", path, number] = tf.convert_to_tensor(given[0])
        if isinstance(outputs, tf.Tensor):
            return self._passed(("layer", path, number, None), outputs)
        if not isinstance(outputs, list | tuple | dict) or hasattr(type(outputs), "_fields"):
            return outputs
        passed = {
            key: self._passed(("layer", path, number, key), value) if isinstance(value, tf.Tensor) else value
            for key, value in flatten(outputs).items()
        }
        return alike(outputs, passed)

    def _passed(self, name: Name, output: tf.Tensor) -> tf.Tensor:
        if name in self._fed:
            self.replaced.add(name)
            output, _ = handed_on(output, tf.identity(tf.cast(self._fed[name], output.dtype)))
        if name in self._wanted:
            self.found[name] = output
        return output


class _Heads:
    """The last operations of a run that may be a head, or hand one on."""

    def __init__(self) -> None:
        # what was noted is kept, so that no other tensor is taken for it
        self._made: dict[int, tuple[str, tf.Tensor, tf.Tensor]] = {}

    def note(self, kind: str, inputs: tuple, outputs: tuple) -> None:
        if kind in HEADS or kind in PASS:
            self._made[id(outputs[0])] = kind, inputs[0], outputs[0]

    def beneath(self, output: tf.Tensor) -> tf.Tensor | None:
        """The logits of the head that gives `output`, where one does."""
        tensor = output
        while id(tensor) in self._made:
            kind, source, _ = self._made[id(tensor)]
            if kind in HEADS:
                return source
            tensor = source
        return None


@contextlib.contextmanager
def _heads(wanted: list[Name]) -> Iterator[_Heads]:
    found = _Heads()
    if not any(name[0] == "logits" for name in wanted):
        yield found
        return
    with operations_noted(found.note):
        yield found
