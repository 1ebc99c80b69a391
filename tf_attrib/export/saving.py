"""A model written with its explanation: a SavedModel with the signatures that it had, and `explain`."""

import contextlib
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from ..common.atomic import beside
from ..common.errors import AttributionError, one_line, plain
from ..common.nested import flatten, rebuild
from ..graph.saved.explanation import DESCRIPTION, EXPLAIN, EXTRA
from ..graph.saved.exported import Exported
from ..graph.traced import keras_model
from ..graph.traced.cut import Cut, Port
from ..graph.traced.trace import Traced
from .explaining import Explaining

SERVING = "serving_default"
# Operations that make a variable or a table, which must lie outside of a signature.
MADE = frozenset(
    {"Variable", "VariableV2", "VarHandleOp", "HashTable", "HashTableV2", "MutableHashTableV2", "TemporaryVariable"}
)


def save(path: Path, model: Any, explaining: Explaining, description: dict[str, Any]) -> Path:
    """Writes the folder `path` whole, or nothing.

    Args:
        model: as it was explained: a Keras model, what was read of a file, or a function.
        description: what `explain` does, kept beside it.

    Raises:
        AttributionError: there is something at `path`, no folder can be made there, or TensorFlow cannot save the model.
    """
    path = path.expanduser()
    if path.exists():
        raise AttributionError(f"there is something at {str(path)!r} already: name a folder that does not exist")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = beside(path)
        temporary.mkdir()
    except OSError as error:
        raise AttributionError(
            f"{str(path)!r} cannot be made: {one_line(error)}; name a folder beside which one may be written"
        ) from error
    try:
        function = explaining.function()
        root, signatures = _with_signatures(model, explaining)
        try:
            concrete = function.get_concrete_function()
            _check_variables(concrete)
            # those that a function closes over belong to no object that is saved
            watched = [*explaining.plan.function.traced.function.graph.variables, *concrete.graph.variables]
            for signature in signatures.values():
                watched += getattr(signature, "get_concrete_function", lambda signature=signature: signature)().graph.variables
            root.variables_read = list({id(one): one for one in watched}.values())
            with _quiet():  # TensorFlow would say that it wrote to a name which is gone soon
                tf.saved_model.save(root, str(temporary), {**signatures, EXPLAIN: function})
        except AttributionError:
            raise
        except Exception as error:
            raise AttributionError(f"TensorFlow could not save the model with its explanation: {one_line(error)}") from error
        (temporary / EXTRA).mkdir(exist_ok=True)
        (temporary / EXTRA / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return path


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """TensorFlow tells what is wrong, and no news."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _check_variables(concrete: Any) -> None:
    """Raises where the graph would make variables or tables of its own, in place of those of the model."""
    definition = concrete.graph.as_graph_def()
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    made = next((node for node in nodes if node.op in MADE), None)
    if made is not None:
        raise AttributionError(
            f"the model cannot be exported: its graph makes {made.name.rpartition('/')[2]!r} ({made.op}), as graphs of "
            "TensorFlow 1 do, and it would be empty in a signature; save the model with resource variables, "
            "tf.compat.v1.enable_resource_variables(), or freeze it into a .pb and export that"
        )


def _with_signatures(model: Any, explaining: Explaining) -> tuple[Any, dict[str, Callable]]:
    """What is saved, and the signatures that the model has already."""
    traced = explaining.plan.function.traced
    root: Any = tf.Module()
    if isinstance(model, Exported) and getattr(model.alive, "signatures", None):
        root.model = model.alive
        signatures = dict(model.alive.signatures)
        if EXPLAIN in signatures:
            raise AttributionError(
                f"{plain(model.name)} has a signature {EXPLAIN!r} already: export from the model it was made of"
            )
        return root, signatures
    if keras_model.is_keras(model):
        # the model itself is not attached: tf_keras would trace each of its layers, and change them
        root.tables = [layer.lookup_table for layer in keras_model.parts(model) if hasattr(layer, "lookup_table")]
        return root, {SERVING: _of_keras(model, explaining)}
    root.alive = model if isinstance(model, tf.Module) else None
    return root, {SERVING: _of_graph(traced, explaining)}


def _of_keras(model: Any, explaining: Explaining) -> Callable:
    """What a Keras model computes, as its own export has it."""
    inputs = explaining.plan.function.traced.inputs
    specs = [tf.TensorSpec([None, *inputs[key].shape[1:]], inputs[key].dtype, name) for key, name in explaining.names.items()]

    def serving(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        found = flatten(model(rebuild(dict(zip(explaining.names, tensors, strict=True))), training=False))
        return {key if isinstance(key, str) else f"output_{i}": value for i, (key, value) in enumerate(found.items())}

    return tf.function(serving, input_signature=specs)


def _of_graph(traced: Traced, explaining: Explaining) -> Callable:
    """What a traced function computes."""
    specs = [
        tf.TensorSpec([None, *traced.inputs[key].shape[1:]], traced.inputs[key].dtype, name)
        for key, name in explaining.names.items()
    ]
    cut = Cut(
        traced, {key: Port(tensor) for key, tensor in traced.inputs.items()}, {k: Port(t) for k, t in traced.outputs.items()}
    )

    def serving(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        found = cut(dict(zip(explaining.names, tensors, strict=True)))
        return {str(key): value for key, value in found.items()}

    return tf.function(serving, input_signature=specs, autograph=False)
