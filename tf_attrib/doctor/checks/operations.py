"""What the checks of the model ask of its graph: which operations it holds, and how large values get along the paths."""

import weakref
from typing import Any

import numpy as np
import tensorflow as tf

from ...engine.session import Session
from ...graph.traced.cut import Port
from ...graph.traced.heads_and_lookups import Lookup, ancestors, find_lookups, passed
from ...graph.traced.trace import TRACING
from ..case import Examination

# Operations through which no gradient flows, though they compute floats from floats.
STOPS = frozenset(
    {
        "StopGradient",
        "PreventGradient",
        "Round",
        "Rint",
        "Floor",
        "Ceil",
        "Sign",
        "ArgMax",
        "ArgMin",
        "Greater",
        "GreaterEqual",
        "Less",
        "LessEqual",
    }
)
# Calls of functions carry a name for their gradient too.
CALLS = (b"PartitionedCall", b"StatefulPartitionedCall", b"While", b"StatelessWhile", b"If", b"StatelessIf")


def weights_not_finite(session: Session) -> list[str]:
    """Names of the variables that hold NaN or infinity."""
    traced = session.function.traced
    if traced.called is not None:
        return [name for name, variable in traced.called.variables if not np.isfinite(variable.numpy()).all()]
    variables = traced.function.graph.variables
    return [
        variable.name
        for variable in variables
        if variable.dtype.is_floating and not bool(tf.reduce_all(tf.math.is_finite(variable)))
    ]


# What lies between is walked through once for each session, and forgotten with it.
_WALKED: weakref.WeakKeyDictionary[Session, list[tf.Operation]] = weakref.WeakKeyDictionary()


def _between(session: Session) -> list[tf.Operation]:
    """The operations between the selected tensors and the explained output, in the order in which they were made."""
    if session not in _WALKED:
        function = session.function
        selected = [port.tensor for port in function.place.ports.values()]
        found = {operation.name for operation in ancestors(function.output.fetches.values(), selected)}
        made = function.traced.function.graph.get_operations()
        _WALKED[session] = [operation for operation in made if operation.name in found]
    return _WALKED[session]


def has_float16(session: Session) -> bool:
    """Whether anything is computed in half precision, of either kind."""
    return bool(session.function.formats)


def without_gradient(session: Session) -> list[str]:
    """Operations through which no gradient flows."""
    if (called := session.function.traced.called) is not None:
        return [kind for kind in dict.fromkeys(called.kinds) if kind in STOPS]
    return [f"{operation.name!r} ({operation.type})" for operation in _between(session) if operation.type in STOPS]


def random_operations(session: Session) -> list[str]:
    """Operations that draw random numbers on the way to the explained output."""
    if (called := session.function.traced.called) is not None:
        return [kind for kind in dict.fromkeys(called.kinds) if "Random" in kind]
    return [operation.name for operation in ancestors(session.function.output.fetches.values()) if "Random" in operation.type]


def custom_gradients(session: Session) -> list[str]:
    """Names of the operations whose gradient the model defines itself."""
    if session.function.traced.called is not None:
        return []  # it has none in the graph: those that call it, and differentiate it, are ours
    found = []
    for operation in _between(session):
        try:
            kind = operation.get_attr("_gradient_op_type")
        except ValueError:  # it has none, as nearly all
            continue
        if not kind.startswith(CALLS):
            found.append(operation.name)
    return found


def alive_units(case: Examination, at: tuple[dict, dict]) -> dict[str, np.ndarray]:
    """For each ReLU, by its layer's name, (units,) whether a unit (or channel) is above zero at any row of `at`.

    Args:
        at: rows of the selected tensors, and of the model's inputs, as `Examination.path` has them.
    """
    outputs = [operation.outputs[0] for operation in _between(case.session) if operation.type in ("Relu", "Relu6")]
    outputs = [tensor for tensor in outputs if tensor.shape.rank and tensor.shape.rank > 1 and tensor.shape[-1]]
    names = _names(case.session, outputs)

    def highest() -> dict:
        return {
            names[tensor.op.name]: Port(tf.reduce_max(tensor, list(range(tensor.shape.rank - 1))), None) for tensor in outputs
        }

    return {name: value > 0 for name, value in _reduced(case, "alive", outputs, highest, at).items()}


def largest_float16(case: Examination) -> dict[str, float]:
    """The largest magnitude of each float16 tensor along the paths; infinite where it overflows or is NaN."""
    outputs = [
        tensor
        for operation in _between(case.session)
        for tensor in operation.outputs
        if tensor.dtype == tf.float16 and tensor.shape.rank != 0
    ]

    def highest() -> dict:
        sizes = [tf.abs(tf.cast(tensor, tf.float32)) for tensor in outputs]
        sizes = [tf.reduce_max(tf.where(tf.math.is_finite(size), size, np.float32(np.inf))) for size in sizes]
        return {tensor.op.name: Port(size, None) for tensor, size in zip(outputs, sizes, strict=True)}

    return {name: float(value) for name, value in _reduced(case, "float16", outputs, highest, case.path).items()}


def _reduced(case: Examination, name: str, tensors: list[tf.Tensor], make, at: tuple[dict, dict]) -> dict[str, np.ndarray]:
    """The maxima that `make` adds to the graph, over all blocks of rows."""
    if not tensors:
        return {}

    def ports() -> dict:
        with TRACING, case.session.function.traced.function.graph.as_default():
            return make()

    blocks = case.session.within(name, ports, *at)
    return {key: np.max([block[key][0] for block in blocks], axis=0) for key in blocks[0]}


def _names(session: Session, tensors: list[tf.Tensor]) -> dict[str, str]:
    """A name for each tensor's operation: the path of the layer that made it, where it made only this one."""
    traced = session.function.traced
    numbers = {operation.name: number for number, operation in enumerate(traced.function.graph.get_operations())}

    def layer(name: str) -> str:
        around = [call for call in traced.calls if numbers[name] in call.operations]
        return min(around, key=lambda call: len(call.operations)).path if around else name

    layers = {tensor.op.name: layer(tensor.op.name) for tensor in tensors}
    return {name: path if list(layers.values()).count(path) == 1 else name for name, path in layers.items()}


def selected_lookups(session: Session) -> dict:
    """The lookups among the selected tensors whose tables are in the graph, by key of the selection."""
    if session.function.traced.called is not None:
        return {}
    lookups = find_lookups(session.function.traced)
    return {
        key: lookup for key, port in session.function.place.ports.items() for lookup in lookups if lookup.tensor is port.tensor
    }


def norms(case: Examination, key: Any, lookup: Lookup) -> np.ndarray:
    """(rows,), the Euclidean norm of each row of a lookup's table."""

    def ports() -> dict:
        with TRACING, case.session.function.traced.function.graph.as_default():
            return {None: Port(tf.norm(tf.cast(_table(lookup), tf.float32), axis=-1), None)}

    at, inputs = case.path
    one = [{name: value[:1] for name, value in values.items()} for values in (at, inputs)]
    return case.session.within(f"norms of {key}", ports, *one)[0][None][0]


def _table(lookup: Lookup) -> tf.Tensor:
    """The table of a lookup, as a tensor of its graph."""
    rows = passed(lookup.tensor)
    if rows.op.type == "Reshape":
        rows = rows.op.inputs[0]
    if rows.op.type == "ResourceGather":
        return tf.raw_ops.ReadVariableOp(resource=rows.op.inputs[0], dtype=rows.dtype)
    if rows.op.type in ("GatherV2", "Gather"):
        return passed(rows.op.inputs[0])
    return passed(rows.op.inputs[1])  # one-hot rows times the table
