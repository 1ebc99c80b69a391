"""A model that is called and not traced, as a graph: operations that call it stand for its outputs, logits and layers.

What `trace` gives, all else is built on: places, outputs, cuts, gradients and blocks of rows do not ask how a graph came about.
"""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import tensorflow as tf

from ...common.errors import AttributionError, one_line, plain
from ..traced import keras_model
from ..traced.heads_and_lookups import LEADS, Lookup
from ..traced.tf_private import let_go_of_bodies
from ..traced.trace import TRACING, Call, Called, Traced, shown
from .losses import MOVE, SHARE, Losses, moved
from .nodes import Nodes
from .record import Record, recorded
from .running import Runner

# Why a model is called, where its user wants it.
ASKED = "eager=True"
# How far an example's output may differ with its company, relative to the largest: sums are taken in another order.
ROUNDING = 1e-4


def call_as_graph(
    model: Callable,
    specs: dict[Any, tf.TensorSpec],
    examples: dict[Any, np.ndarray],
    preprocess: Callable | None,
    why: str,
    together: bool,
) -> Traced:
    """A graph whose operations call `model(preprocess(inputs), training=False)` eagerly.

    Args:
        specs: the inputs' TensorSpec by key; sizes that they leave open become those of the examples, but for the batch.
        examples: the inputs at hand: the model is called on the first few, to know what it does.
        why: the model is not traced; "" where it was asked for.
        together: whether examples may be evaluated together, unless they are seen to depend on each other.

    Raises:
        AttributionError: the model fails on the examples.
    """
    specs = {
        key: tf.TensorSpec(
            cast(Any, [spec.shape[0], *examples[key].shape[1:]] if spec.shape.rank else None), spec.dtype, spec.name
        )
        for key, spec in specs.items()
    }
    is_keras = keras_model.is_keras(model)
    # inside a tf.function nobody sees which states it changes
    model = model if is_keras else getattr(model, "python_function", model)
    runner = Runner(model, tuple(specs), preprocess, is_keras)
    fixed = max((spec.shape[0] or 0 for spec in specs.values() if spec.shape.rank), default=0)
    try:
        runner, one = _first(runner, _copies(examples, specs, fixed or 1))
        two = None if fixed else recorded(runner, _copies(examples, specs, 2))
    except AttributionError:
        raise
    except Exception as error:
        failed = one_line(error)
        if not why:
            raise AttributionError(f"the model could not be called on inputs of {shown(specs)}: {failed}") from error
        raise AttributionError(why if failed in why else f"{why}; called eagerly, it fails too: {failed}") from error
    function = let_go_of_bodies(tf.compat.v1.wrap_function(lambda *tensors: [], list(specs.values())))
    inputs = dict(zip(specs, function.inputs[: len(specs)], strict=True))
    names = keras_model.output_names(model, one.outputs)
    with TRACING:
        nodes = Nodes(runner, function.graph, inputs, one, two, Losses(runner))
        made = [(call, {key: nodes.base(("layer", call.path, call.number, key)) for key in call.outputs}) for call in one.calls]
        calls = tuple(Call(call.layer, call.path, tensors, range(0)) for call, tensors in made)
        outputs = {name: nodes.base(("output", key)) for name, key in zip(names, one.outputs, strict=True)}
        lookups = _lookups(nodes, one)
    LEADS[function.graph] = nodes.leads
    called = Called(
        plain(why) if why else ASKED,
        _alone(runner, one, specs, examples, fixed, together),
        _lost(nodes.losses, one),
        lookups,
        one.kinds(),
        tuple((state.name, state) for state in one.variables(_names(model))),
        tuple((state.name, state) for state in runner.states),
        one.formats(),
        two.activation_bytes() - one.activation_bytes() if two else one.activation_bytes() // (fixed or 1),
        nodes.leads,
        nodes.behind,
    )
    return Traced(
        function=function,
        inputs=inputs,
        outputs=outputs,
        output_keys=dict(zip(names, one.outputs, strict=True)),
        calls=calls,
        loss_heads=keras_model.loss_heads(model, outputs) if is_keras else {},
        alive=nodes,
        called=called,
    )


def _lost(losses: Losses, one: Record) -> tuple[str, ...]:
    """What to say where values go through Python, and the gradient misses some of them."""
    if not one.by_python:
        return ()
    share = losses.accounted(list(one.inputs.values()), [("output", key) for key in one.outputs])
    if share is None or abs(share - 1) <= SHARE:
        return ()
    return (
        "values go through Python on the way (.numpy(), tf.numpy_function, tf.py_function), and the gradient accounts for "
        f"{share:.0%} of how the output moves with the inputs: tf.custom_gradient gives such a function a gradient, and "
        "method='occlusion' needs none",
    )


def _copies(examples: dict, specs: dict, count: int) -> list[tf.Tensor]:
    """The first example so many times."""
    return [tf.constant(np.repeat(examples[key][:1], count, axis=0), spec.dtype) for key, spec in specs.items()]


def _first(runner: Runner, sources: list[tf.Tensor]) -> tuple[Runner, Record]:
    """What the first call does, and a runner that knows of the model's states."""
    record = recorded(runner, sources)
    states = record.states(_names(runner.model))
    runner = dataclasses.replace(runner, states=states)
    record.carried = _carried(runner, record, sources)
    return runner, record


def _names(model: Callable) -> dict[int, str]:
    """The names of a model's variables, by the id of their handle."""
    return {id(keras_model.handle(variable)): variable.name for variable in getattr(model, "variables", ())}


def _carried(runner: Runner, record: Record, sources: list[tf.Tensor]) -> frozenset[int]:
    """The ids of what Python made of the inputs: it differs where these differ."""
    rolled = [tf.reshape(tf.roll(tf.reshape(one, [-1]), 1, 0), one.shape) for one in sources]
    others = [[moved(one, MOVE) for one in sources], rolled]
    found: set[int] = set()
    if any(one.dtype.is_integer or one.dtype.is_bool for one in sources):  # their order may not matter, nor a small move
        others += [list(map(_lower, sources))]
    for other in others:
        with contextlib.suppress(Exception):  # values of another example may not do in this place
            differing = record.differing(recorded(runner, other))
            found |= {id(tensor) for tensor in (record.foreign() if differing is None else differing)}
    return frozenset(found)


def _lower(tensor: tf.Tensor) -> tf.Tensor:
    """Whole numbers less one, so that ids stay within their table, and 1 in place of what would be below 0; booleans turned."""
    if tensor.dtype.is_bool:
        return tf.logical_not(tensor)
    return tf.where(tensor > 0, tensor - 1, tf.ones_like(tensor)) if tensor.dtype.is_integer else tensor


def _alone(runner: Runner, one: Record, specs: dict, examples: dict, fixed: int, together: bool) -> str:
    """Why examples must not be evaluated together, "" where they may be."""
    if not together:
        return "a graph would not look at the values of a batch, and its Python may"
    if one.reads_values:
        return "its Python code reads values of its inputs, which may decide what it computes for a whole batch"
    count = min(max(len(next(iter(examples.values()))), 2), fixed or 3, 3)
    if count < 2:
        return ""
    if len(next(iter(examples.values()))) == 1:  # another one, of the same values
        examples = {key: np.concatenate([value, np.roll(value, 1)]) for key, value in examples.items()}

    def outputs(which: np.ndarray) -> list[np.ndarray]:
        filled = np.append(which, np.full(max(fixed - len(which), 0), which[-1]))
        found = runner.run([tf.constant(examples[key][filled], spec.dtype) for key, spec in specs.items()], {}, names)
        return [value.numpy()[: len(which)] for value in found]

    names = [("output", key) for key in one.outputs]
    whole, again = outputs(np.arange(count)), outputs(np.arange(count))
    if not all(np.array_equal(*pair, equal_nan=True) for pair in zip(whole, again, strict=True)):
        return ""  # it draws random numbers, and tells nothing
    each = [np.concatenate(parts) for parts in zip(*(outputs(np.array([i])) for i in range(count)), strict=True)]
    return "" if all(map(_same, whole, each)) else "what it gives for an example depends on which others are in its batch"


def _same(values: np.ndarray, others: np.ndarray) -> bool:
    if values.shape != others.shape or values.dtype.kind not in "fc":
        return np.array_equal(values, others)
    size = np.abs(values[np.isfinite(values)]).max(initial=0.0)
    rounding = max(ROUNDING, 8 * float(np.finfo(values.dtype).eps)) if values.dtype.kind == "f" else ROUNDING
    return np.allclose(values, others, rtol=rounding, atol=rounding * float(size), equal_nan=True)


def _lookups(nodes: Nodes, one: Record) -> tuple[Lookup, ...]:
    """The layers whose whole output is rows of a float table, gathered by whole numbers."""
    found, names = [], {}
    own = {id(tensor): key for key, tensor in one.inputs.items()}
    for call in one.calls:
        if list(call.outputs) != [None] or call.ids is None:
            continue
        gather = one.gathered(call.outputs[None])
        if gather is None:
            continue
        names[call.layer.name] = names.get(call.layer.name, 0) + 1
        repeat = names[call.layer.name] - 1
        name = call.layer.name if not repeat else f"{call.layer.name}:{repeat}"
        sources = tuple(key for number, key in own.items() if number in one.ids_of(call.ids))
        tensor, ids = (nodes.base((kind, call.path, call.number, *more)) for kind, more in (("layer", (None,)), ("ids", ())))
        found.append(Lookup(name, tensor, ids, sources, gather))
    return tuple(found)
