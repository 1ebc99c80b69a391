"""Gradients that a model's author wrote (`tf.custom_gradient`), as a SavedModel keeps them, found again in a flat graph.

Such an operation names its gradient in an attribute. TensorFlow saves the gradient as a function, with what it needs of the
forward pass beside it. Where that is missing the gradient is lost, and an error says so when one is asked for.
"""

import dataclasses
import weakref
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ...common.errors import AttributionError
from ..graphdef.flatten import CUSTOM, Custom, Flattening, add_flat
from ..graphdef.scopes import Scope


@dataclasses.dataclass(frozen=True, eq=False)
class SavedGradient:
    """One gradient of a SavedModel.

    Attributes:
        function: its FunctionDef.
        captured: for each argument behind the upstream gradients, the reference and the name of the function it is in, or
            None in place of that name for the graph itself.
        returned: for each input of the operation, whether it has a gradient.
    """

    function: Any
    captured: tuple[tuple[str, str | None], ...]
    returned: tuple[bool, ...]


def read_gradients(meta_graph: Any, live: dict[int, str]) -> dict[str, SavedGradient]:
    """The gradients in a MetaGraphDef, by the name that operations call them.

    Args:
        live: references in the graph to what a variable, table or constant is there, by its number in the object graph.
    """
    objects, library = meta_graph.object_graph_def, meta_graph.graph_def.library
    functions = {function.signature.name: function for function in library.function}
    found = {}
    for entry in library.registered_gradients:
        function = functions.get(entry.gradient_func)
        if function is None or entry.gradient_func not in objects.concrete_functions:
            continue
        saved = objects.concrete_functions[entry.gradient_func]
        captured = [_captured(objects.nodes[number], live.get(number)) for number in saved.bound_inputs]
        structure = saved.output_signature
        values = structure.list_value.values or structure.tuple_value.values or [structure]
        returned = tuple(value.WhichOneof("kind") != "none_value" for value in values)
        known = tuple(one for one in captured if one is not None)
        if len(known) == len(captured) and sum(returned) == len(function.signature.output_arg):
            found[entry.registered_op_type] = SavedGradient(function, known, returned)
    return found


def _captured(node: Any, live: str | None) -> tuple[str, str | None] | None:
    if node.WhichOneof("kind") == "captured_tensor":
        return node.captured_tensor.name, node.captured_tensor.concrete_function
    if node.WhichOneof("kind") == "constant":
        return node.constant.operation, None
    return None if live is None else (live, None)


def locate(saved: dict[str, SavedGradient]) -> Callable[[str, Scope], list[tuple[Scope, str]] | None]:
    """Finds, for the name of a gradient and the scope of its operation, the tensors that it needs of the forward pass."""

    def captured(gradient: str, scope: Scope) -> list[tuple[Scope, str]] | None:
        if gradient not in saved:
            return None
        around, wanted, outer = {}, saved[gradient].captured, scope
        while outer is not None:
            around[outer.body.function and outer.body.function.signature.name] = outer
            outer = outer.caller and outer.caller[0]
        return (
            [(around[function], reference) for reference, function in wanted]
            if all(function in around for _, function in wanted)
            else None
        )

    return captured


@dataclasses.dataclass(frozen=True, eq=False)
class Gradients:
    """The gradients of their authors in one flat graph.

    Attributes:
        flattening: what flattened it.
        saved: the gradients of the file.
        custom: its operations that have one.
        fed: names of the tensors that were fed in the place of its sources.
        rename: the suffix of its functions.
    """

    flattening: Flattening
    saved: dict[str, SavedGradient]
    custom: dict[str, Custom]
    fed: dict[str, str]
    rename: str

    def gradient(self, operation: tf.Operation, upstream: list[tf.Tensor]) -> list[tf.Tensor | None]:
        """Gradients at the inputs of `operation`, by the function that was saved for it."""
        custom = self.custom.get(operation.name)
        saved = self.saved.get(custom.gradient) if custom else None
        if custom is None or saved is None or custom.captured is None or len(saved.returned) != len(operation.inputs):
            raise _lost(operation)
        tensors = [operation.graph.get_tensor_by_name(self.fed.get(reference, reference)) for reference in custom.captured]
        names = [argument.name for argument in saved.function.signature.input_arg]
        fed = {f"{name}:0": tensor for name, tensor in zip(names, [*upstream, *tensors], strict=True)}
        flat = self.flattening.flat_function(saved.function.signature.name, self.rename)
        returned = iter(add_flat(flat, fed, operation.name + "_gradient"))
        return [next(returned) if has else None for has in saved.returned]


# Of each flat graph that has any; the graph's own tensors are not held here, or it would live for ever.
_KNOWN: "weakref.WeakKeyDictionary[tf.Graph, Gradients]" = weakref.WeakKeyDictionary()


def remember(graph: tf.Graph, gradients: Gradients) -> None:
    """Has `tf.gradients` in `graph` use these."""
    _KNOWN[graph] = gradients


@tf.RegisterGradient(CUSTOM)
def _gradient(operation: tf.Operation, *upstream: tf.Tensor | None):
    known = _KNOWN.get(operation.graph)
    if known is None:  # inside a loop or branch
        raise _lost(operation)
    return known.gradient(
        operation,
        [
            tf.zeros_like(output) if gradient is None else gradient
            for output, gradient in zip(operation.outputs, upstream, strict=True)
        ],
    )


def _lost(operation: tf.Operation) -> AttributionError:
    return AttributionError(
        f"the operation {operation.name!r} has a gradient that its author wrote (tf.custom_gradient); it "
        "was not saved with the graph, or is inside a loop or branch; attribute through the Keras model or "
        "function itself, or to a tensor behind that operation, at=ta.tensor(name), or save the model "
        "again with tf.saved_model.SaveOptions(experimental_custom_gradients=True)"
    )
