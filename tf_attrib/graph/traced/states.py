"""What a model keeps from one call to the next, and reads again: the states of a recurrent net that is `stateful`."""

import weakref
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from ...common.errors import AttributionError
from ..graphdef.writes import READS, writes_variable
from .heads_and_lookups import ancestors
from .trace import Traced

# What begins all sequences anew.
RESET = "[layer.reset_states() for layer in model.layers if getattr(layer, 'stateful', False)]"
# The states of each graph by the tensors that are explained of it, looked for once.
_FOUND: weakref.WeakKeyDictionary[Traced, dict[tuple, list]] = weakref.WeakKeyDictionary()


def states(traced: Traced, fetches: tuple[tf.Tensor, ...]) -> list[tuple[str, Any]]:
    """The float variables that `fetches` are computed from and that a call would change, as (name, variable).

    Moving averages of a batch normalisation that trains are changed, but nothing is computed from them; what a generator of
    random numbers keeps is no float; what a graph of TensorFlow 1 initialises and restores does not follow from its inputs.
    """
    if traced.called is not None:
        return [(name, variable) for name, variable in traced.called.states if variable.dtype.is_floating]
    known = _FOUND.setdefault(traced, {})
    key = tuple(tensor.ref() for tensor in fetches)
    if key not in known:
        handles = {inner.ref(): outer for outer, inner in traced.function.graph.captures if outer.dtype == tf.resource}
        variables = {id(variable.handle): variable for variable in traced.function.variables}
        given = {tensor.op.name for tensor in traced.inputs.values()}
        written = {
            operation.inputs[0].ref()
            for operation in traced.function.graph.get_operations()
            if writes_variable(operation.type) and any(one.name in given for one in ancestors([operation.inputs[1]]))
        }
        read = dict.fromkeys(
            operation.inputs[0].ref() for operation in ancestors(fetches) if operation.type == "ReadVariableOp"
        )
        found = [variables.get(id(handles.get(inner))) for inner in read if inner in written]
        known[key] = [(variable.name, variable) for variable in found if variable is not None and variable.dtype.is_floating]
    return known[key]


def deterministic(fetches: Iterable[tf.Tensor]) -> Iterator[tf.Operation]:
    """The operations that `fetches` are computed from, other than by drawing at random: what a generator keeps is written and
    read in one call, and no score is read off it."""
    fetches = list(fetches)
    draws = [output for one in ancestors(fetches) if "Random" in one.type for output in one.outputs]
    return ancestors(fetches, draws)


def reads_what_it_wrote(traced: Traced) -> str:
    """The name of a variable that the outputs are computed from as it is after the model has written it, "" where there is
    none: a part of the graph runs nothing that writes.

    Operations are in the order in which Python made them.
    """
    order = {operation.name: place for place, operation in enumerate(traced.function.graph.get_operations())}
    written: dict[Any, int] = {}
    for operation in traced.function.graph.get_operations():
        if writes_variable(operation.type):
            written.setdefault(operation.inputs[0].ref(), order[operation.name])
    if not written:
        return ""
    for operation in deterministic(traced.outputs.values()):
        if operation.type in READS and order[operation.name] > written.get(operation.inputs[0].ref(), len(order)):
            outer = next((outer for outer, inner in traced.function.graph.captures if inner is operation.inputs[0]), None)
            return next((one.name for one in traced.function.variables if one.handle is outer), operation.name)
    return ""


def check_stateless(function: Any) -> None:
    """Raises AttributionError where rows would go on from states that an earlier batch left, each from that of another example.

    States that are the same in every row, as after a reset, are where every example begins. Nothing is changed here, and a call
    of `attribute` changes none.

    Args:
        function: a `ScoreFunction`.
    """
    left = [name for name, value in _values(function).items() if value.ndim and len(value) > 1 and np.ptp(value, axis=0).any()]
    if left:
        raise AttributionError(
            f"the model goes on from a state that an earlier batch left in {left[0]!r}{_more(left)} (a layer with "
            "stateful=True): rows of a path would go on from states of other examples. Reset it, so that every sequence "
            f"begins anew: {RESET}, or build the model with stateful=False and its weights"
        )


def begins_at_states(function: Any) -> tuple[str, ...]:
    """A note where every example begins at a state that is not 0, such as an earlier call of a model of one row leaves."""
    left = [name for name, value in _values(function).items() if value.ndim and np.any(value)]
    if not left:
        return ()
    return (
        f"every example begins at the state that an earlier call of the model left in {left[0]!r}{_more(left)} (a layer with "
        f"stateful=True); to begin anew: {RESET}",
    )


def _values(function: Any) -> dict[str, np.ndarray]:
    found = states(function.traced, tuple(function.output.fetches.values()))
    return {name: variable.numpy() for name, variable in found}


def _more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
