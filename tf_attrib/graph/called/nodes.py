"""The operations of a graph that call a model: one for each tensor of it that has a name, and what follows from which."""

from typing import Any, cast

import tensorflow as tf

from ..traced.heads_and_lookups import ancestors
from .losses import Losses
from .operation import Operation
from .record import Record
from .running import Name, Runner

_APPLIED = {"Softmax": tf.nn.softmax, "LogSoftmax": tf.nn.log_softmax, "Sigmoid": tf.sigmoid}


class Nodes:
    """Tensors of `graph` by their names in a run of the model.

    Args:
        inputs: of the graph, by key.
        one, two: what the model did with one example, and with two (None: its batch is fixed).
    """

    def __init__(
        self, runner: Runner, graph: tf.Graph, inputs: dict[Any, tf.Tensor], one: Record, two: Record | None, losses: Losses
    ) -> None:
        self._runner, self._graph, self._one, self.losses = runner, graph, one, losses
        self._inputs = inputs
        self._sizes = {} if two is None else {name: tensor.shape for name, tensor in two.names().items()}
        self._names: dict[Any, Name] = {tensor.ref(): ("input", key) for key, tensor in inputs.items()}
        self._found: dict[tuple, tf.Tensor] = {}
        with graph.as_default():
            self._sources = [self._as_called(key, tensor) for key, tensor in inputs.items()]

    def _as_called(self, key: Any, tensor: tf.Tensor) -> tf.Tensor:
        """An input as the model is called with it: floats that serve as ids are seen to, by the cast that the model applies."""
        if not tensor.dtype.is_floating or not self._one.only_ids(key):
            return tensor
        return tf.cast(tf.cast(tensor, tf.int64), tensor.dtype)

    def base(self, name: Name) -> tf.Tensor:
        """The tensor called `name`, as it follows from the inputs."""
        return self._made({}, [name], frozenset(), True)[0]

    def behind(self, fed: list[tf.Tensor], wanted: list[tf.Tensor], heads: bool) -> list[tf.Tensor]:
        """Tensors of the graph as they follow from the inputs and from those that are `fed`, at which they are differentiated.
        What is fed, or does not come from the model, stays as it is.

        Args:
            heads: whether outputs that have a head are what it makes of the logits, in every call.
        """
        refs = {tensor.ref() for tensor in fed}
        layers = {self._names[tensor.ref()]: tensor for tensor in fed if self._names.get(tensor.ref(), ("",))[0] == "layer"}
        ends = frozenset(refs)
        asked = [tensor for tensor in wanted if tensor.ref() not in refs and tensor.ref() in self._names]
        asked = [tensor for tensor in asked if self._names[tensor.ref()][0] != "input"]
        made = self._made(layers, [self._names[tensor.ref()] for tensor in asked], ends, heads)
        found = {tensor.ref(): new for tensor, new in zip(asked, made, strict=True)}
        return [found.get(tensor.ref(), tensor) for tensor in wanted]

    def leads(self, tensor: tf.Tensor, fetches: list[tf.Tensor], stop: list[tf.Tensor]) -> bool:
        """Whether any of `fetches` is computed from `tensor`, other than through a tensor in `stop`."""
        if any(tensor is fetch for fetch in fetches):
            return True
        known = [one for one in stop if one.ref() in self._names]
        reached = [fetch for fetch in fetches if fetch.ref() in self._names]
        for operation in ancestors(fetches, [*stop, *(one for one in reached)]):
            if any(source is tensor for source in operation.inputs):
                return True
            reached += [source for source in operation.inputs if source.ref() in self._names]
        if tensor.ref() not in self._names:
            return False
        source, stopped = (
            self._one.tensor(self._names[tensor.ref()]),
            [self._one.tensor(self._names[one.ref()]) for one in known],
        )
        stopped = [one for one in stopped if one is not source]
        stops = {one.ref() for one in stop}
        return any(id(source) in self._one.behind(self._noted_of(one), stopped) for one in reached if one.ref() not in stops)

    def _noted_of(self, tensor: tf.Tensor) -> tf.Tensor:
        """What a tensor of the graph was when the model was first called."""
        return self._one.tensor(self._names[tensor.ref()])

    def _made(self, layers: dict[Name, tf.Tensor], wanted: list[Name], ends: frozenset, heads: bool) -> list[tf.Tensor]:
        """Tensors by name, as they follow from the inputs and from outputs of `layers`, and are differentiated at `ends`."""
        kind = tuple((name, tensor.ref()) for name, tensor in layers.items()), ends, heads
        missing = [name for name in dict.fromkeys(wanted) if (kind, name) not in self._found]
        if missing:
            # probabilities are what the graph's own operation makes of the logits
            found = {name: self._head(name[1], layers) for name in missing if heads and name[0] == "output"}
            asked = list(dict.fromkeys(("logits", name[1]) if found.get(name) else name for name in missing))
            asked = [name for name in asked if (kind, name) not in self._found]
            with self._graph.as_default():
                for name, tensor in zip(asked, self._called(layers, asked, ends), strict=True) if asked else ():
                    self._noted(kind, name, tensor)
                for name, head in found.items():
                    if head is not None:
                        made = _APPLIED[head[0]](self._found[kind, ("logits", name[1])])
                        self._noted(kind, name, tf.cast(made, self._one.outputs[name[1]].dtype))
        return [self._found[kind, name] for name in wanted]

    def _head(self, key: Any, layers: dict[Name, tf.Tensor]) -> tuple[str, tf.Tensor] | None:
        """The head of an output and its logits, where none of the `layers` that are replaced is between them."""
        head = self._one.head(key)
        if head is None:
            return None
        between = self._one.behind(self._one.outputs[key], [head[1]])
        return None if any(id(self._one.tensor(name)) in between for name in layers) else head

    def _noted(self, kind: tuple, name: Name, tensor: tf.Tensor) -> None:
        self._found[kind, name] = tensor
        self._names[tensor.ref()] = name

    def _called(self, layers: dict[Name, tf.Tensor], wanted: list[Name], ends: frozenset) -> list[tf.Tensor]:
        """One operation that calls the model."""
        sources, count = [*self._sources, *layers.values()], len(self._sources)
        whole = [*self._inputs.values(), *layers.values()]
        floats = [i for i, tensor in enumerate(whole) if tensor.dtype.is_floating and tensor.ref() in ends]

        def run(values: list[tf.Tensor]) -> list[tf.Tensor]:
            return self._runner.run(values[:count], dict(zip(layers, values[count:], strict=True)), wanted)

        def lost(values: list[tf.Tensor], missing: list[int], none: bool) -> None:
            fed = dict(zip(layers, values[count:], strict=True))
            self.losses.judge(values[:count], fed, wanted, missing, none)

        return Operation(run, [self._spec(name) for name in wanted], floats, self._one.by_python, lost)(sources)

    def _spec(self, name: Name) -> tf.TensorSpec:
        """What a tensor looks like for any number of examples."""
        tensor = self._one.tensor(name)
        other = self._sizes.get(name, tensor.shape)
        if other.rank != tensor.shape.rank:
            return tf.TensorSpec(cast(Any, None), tensor.dtype)
        return tf.TensorSpec([a if a == b else None for a, b in zip(tensor.shape, other, strict=True)], tensor.dtype)
