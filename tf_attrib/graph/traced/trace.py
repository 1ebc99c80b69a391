"""A model traced once into a graph in which every layer's output has a name and can be fed."""

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from ...common.errors import AttributionError, one_line
from ...common.nested import flatten, is_array, rebuild
from . import keras_model
from .layer_calls import around_calls, identities
from .steps import all_steps
from .tf_private import let_go_of_bodies, operation_types

# Layers are changed while a model is traced; two traces of models that share a layer must not meet.
# The graph a trace leaves is added to under the same lock.
TRACING = threading.RLock()


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """One call of one layer during the trace.

    Attributes:
        layer: the layer object.
        path: names of the layers around it and its own, joined by "/".
        outputs: its output tensors, by key.
        operations: positions in the graph of the first operation it made and of the one after its last.
    """

    layer: Any
    path: str
    outputs: dict[Any, tf.Tensor]
    operations: range

    @property
    def name(self) -> str:
        return self.layer.name


@dataclasses.dataclass(frozen=True, eq=False)
class Called:
    """What is known of a model that is called when the graph runs, and is not itself in the graph.

    Attributes:
        why: it is not in the graph.
        alone: why rows are evaluated one example at a time; "" where they are not.
        notes: what a reader should know beside.
        lookups: the embedding lookups (`heads_and_lookups.Lookup`).
        kinds: the types of the operations that its outputs were computed by.
        variables, states: floats that it reads while it is called, and what it writes, as (name, variable).
        formats: the half-precision formats that anything in it is in.
        row_bytes: about how many bytes the activations of one row take.
        leads: whether any of `fetches` is computed from a tensor other than through `stop`: leads(tensor, fetches, stop).
        behind: from tensors that are fed, others that are wanted of the graph, and whether heads are to be seen to, to these as
            they follow from those.
    """

    why: str
    alone: str
    notes: tuple[str, ...]
    lookups: tuple
    kinds: tuple[str, ...]
    variables: tuple
    states: tuple
    formats: frozenset[tf.DType]
    row_bytes: int
    leads: Callable[[tf.Tensor, list[tf.Tensor], list[tf.Tensor]], bool]
    behind: Callable[[list[tf.Tensor], list[tf.Tensor], bool], list[tf.Tensor]]


@dataclasses.dataclass(frozen=True, eq=False)
class Traced:
    """What a trace leaves: a function that can be cut anywhere, its inputs, outputs and layer calls.

    `alive` must live as long as the function: variables and tables of a loaded model are gone with it. `called` is None but
    where operations of the graph call the model.
    """

    function: Any
    inputs: dict[Any, tf.Tensor]
    outputs: dict[str, tf.Tensor]
    output_keys: dict[str, Any]
    calls: tuple[Call, ...]
    loss_heads: dict[str, str]
    alive: Any = None
    called: Called | None = None

    @property
    def calls_python(self) -> bool:
        """Whether an operation of the model's calls a Python function."""
        return "EagerPyFunc" in operation_types(self.function.graph)


def trace(model: Callable, specs: dict[Any, tf.TensorSpec], preprocess: Callable | None = None) -> Traced:
    """Traces `model(preprocess(inputs), training=False)`, with variables live and every layer's output recorded.

    Args:
        model: a Keras model or any function of tensors.
        specs: the inputs' TensorSpec by key.
        preprocess: applied to the inputs first, inside the graph.

    Raises:
        AttributionError: the function fails on such inputs, or does not return tensors.
    """
    is_keras = keras_model.is_keras(model)
    model = _inline(model)
    calls: list[Call] = []
    result: dict[str, Any] = {}

    def forward(*arguments):
        inputs = rebuild(dict(zip(specs, arguments, strict=True)))
        inputs = preprocess(inputs) if preprocess else inputs
        result["outputs"] = model(inputs, training=False) if is_keras else model(inputs)
        return [tf.identity(tensor) for tensor in tensors(result["outputs"]).values()]

    signature = [tf.TensorSpec(spec.shape, spec.dtype) for spec in specs.values()]
    with TRACING, _recorded(model, calls) if is_keras else contextlib.nullcontext():
        try:
            function = let_go_of_bodies(tf.compat.v1.wrap_function(forward, signature))
        except AttributionError:
            raise
        except Exception as error:
            raise AttributionError(f"the model could not be traced on inputs of {shown(specs)}: {one_line(error)}") from error
    keys = list(tensors(result["outputs"]))
    outputs = dict(zip(keys, function.structured_outputs, strict=True))
    names = keras_model.output_names(model, outputs)
    named = dict(zip(names, outputs.values(), strict=True))
    return Traced(
        function=function,
        inputs=dict(zip(specs, function.inputs[: len(specs)], strict=True)),
        outputs=named,
        output_keys=dict(zip(names, keys, strict=True)),
        calls=tuple(calls),
        loss_heads=keras_model.loss_heads(model, named) if is_keras else {},
    )


def named_outputs(traced: Traced) -> Iterator[tuple[str, Call, Any, tf.Tensor]]:
    """(name, call, key, tensor) of each recorded output. Names are short where that is unambiguous: `layer`,
    `outer/layer`, with `:1` for the second call and `[1]` for the second of several outputs."""
    owners: dict[str, set] = {}
    for call in traced.calls:
        owners.setdefault(call.name, set()).add(call.path)
    calls: dict[str, int] = {}
    total: dict[str, int] = {}
    for call in traced.calls:
        total[call.path] = total.get(call.path, 0) + 1
    for call in traced.calls:
        short = call.name if len(owners[call.name]) == 1 else call.path
        number = calls.get(call.path, 0)
        calls[call.path] = number + 1
        name = short if total[call.path] == 1 else f"{short}:{number}"
        for key, tensor in call.outputs.items():
            yield (name if key is None else f"{name}[{key}]"), call, key, tensor


def tensors(outputs: Any) -> dict[Any, tf.Tensor]:
    """The output tensors by key; an error for anything that is not a tensor or a flat structure of tensors.

    Beside named tensors, what is itself a structure is left out: keys and values, hidden states and attentions, as models of
    transformers return them, a tensor for each layer.
    """
    leaves = flatten(outputs)
    if all(isinstance(key, str) for key in leaves):
        leaves = {key: value for key, value in leaves.items() if is_array(value)} or leaves
    wrong = [value for value in leaves.values() if not isinstance(value, tf.Tensor)]
    if wrong or not leaves:
        came = type(wrong[0]).__name__ if wrong else "nothing"
        # those of TensorFlow Probability become tensors by a draw, which is not what a prediction is
        drawn = ", a distribution: explain one of its numbers, such as ta.Attributor(lambda x: model(x).mean())"
        of = drawn if wrong and hasattr(wrong[0], "log_prob") else ""
        raise AttributionError(f"the model must return a tensor, or a list or dict of tensors; it returned {came}{of}")
    return leaves


def _recorded(model: Any, calls: list[Call]) -> contextlib.AbstractContextManager[None]:
    """While the context lasts, each layer below `model` passes its output through an identity and notes it."""
    outer = {}

    def around(layer, path, run, given):
        graph = tf.compat.v1.get_default_graph()
        outer.setdefault("graph", graph)
        first = graph.version
        outputs = run()
        if graph is not outer["graph"] or layer is model:  # in a loop's body: cannot be fed from outside
            return outputs
        named, noted = identities(outputs, layer.name)
        calls.append(Call(layer, path, noted, range(first, graph.version)))
        return named

    return around_calls(model, around, lambda call: all_steps(_inline(call)))


def _inline(function: Any) -> Any:
    """The Python function behind a `tf.function`, so that what it computes is part of the one graph and can be found."""
    python = getattr(function, "python_function", None)
    if python is None:
        return function
    try:
        return tf.autograph.to_graph(python)
    except Exception:  # AutoGraph cannot convert everything; such a function stays one opaque operation
        return function


def shown(specs: dict[Any, tf.TensorSpec]) -> str:
    """What a model takes, for errors."""
    sizes = {key: ["any shape"] if spec.shape.rank is None else list(spec.shape) for key, spec in specs.items()}
    named = {key: [one or ("None" if number else "batch") for number, one in enumerate(own)] for key, own in sizes.items()}
    return ", ".join(f"{spec.dtype.name} ({', '.join(map(str, named[key]))})" for key, spec in specs.items())
