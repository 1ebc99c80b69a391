"""What a node of a GraphDef says of itself: references, functions, types and shapes of its outputs. Nothing is run."""

import functools
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

# Of a tensor: None for a size that is not known, and for the whole where not even the number of axes is.
Shape = tuple[int | None, ...] | None
# An attribute of a hostile file may ask for any number of outputs.
MAX_OUTPUTS = 4096


@functools.cache
def definition(operation: str) -> Any | None:
    """The OpDef of an operation type, None where this TensorFlow does not know it."""
    try:
        return _registry().op_def_for_type(operation)
    except Exception:  # TensorFlow's own class for this is private
        return None


@functools.cache
def _registry() -> tf.Graph:
    return tf.Graph()


def split(reference: str) -> tuple[str, str | None, int]:
    """The node, output name and number of a reference: `node`, `node:1`, or in a function `node:output:1`; of `^node` too."""
    name, *rest = reference.removeprefix("^").split(":")
    number = int(rest[-1]) if rest and rest[-1].isdigit() and len(rest[-1]) < 10 else 0
    return name, rest[0] if rest and not rest[0].isdigit() else None, number


def data_inputs(node: Any) -> list[str]:
    """The references of a node's inputs, without control edges."""
    return [reference for reference in node.input if not reference.startswith("^")]


def functions_of(node: Any) -> list[tuple[str, str]]:
    """(attribute, function name) of each function that a node has besides its type: bodies, branches, callees."""
    keys = _function_attributes(node.op)
    if keys is None:
        keys = list(node.attr)
    found = []
    for key in keys:
        if key in node.attr:
            value = node.attr[key]
            if value.WhichOneof("value") == "func":
                found.append((key, value.func.name))
            found.extend((f"{key}_{number}", function.name) for number, function in enumerate(value.list.func))
    return found


@functools.cache
def _function_attributes(operation: str) -> list[str] | None:
    found = definition(operation)
    return None if found is None else [attribute.name for attribute in found.attr if "func" in attribute.type]


def output_number(node: Any, output: str | None, number: int, functions: Mapping[str, Any]) -> int:
    """The position among all outputs of a node of the tensor called `output:number`."""
    if output is None:
        return number
    start = 0
    for name, types in _outputs(node, functions):
        if name == output:
            return start + number
        start += len(types)
    return number


def dtypes(node: Any, functions: Mapping[str, Any]) -> list[int]:
    """The numbers of the data types of a node's outputs."""
    if node.op == "Argument":  # of a function that is looked at alone
        return [node.attr["dtype"].type]
    return [dtype for _, types in _outputs(node, functions) for dtype in types][:MAX_OUTPUTS]


def _outputs(node: Any, functions: Mapping[str, Any]) -> list[tuple[str, list[int]]]:
    function = functions.get(node.op)
    found = function.signature if function is not None else definition(node.op)
    return [] if found is None else [(output.name, _types(node, output, found)) for output in found.output_arg]


def _types(node: Any, output: Any, found: Any) -> list[int]:
    """The types of the tensors that one named output consists of."""
    if output.type_list_attr:
        value = _attribute(node, output.type_list_attr, found)
        return [] if value is None else list(value.list.type)[:MAX_OUTPUTS]
    dtype = output.type
    if output.type_attr:
        value = _attribute(node, output.type_attr, found)
        dtype = 0 if value is None else value.type
    if output.number_attr:
        value = _attribute(node, output.number_attr, found)
        return [dtype] * min(max(0 if value is None else value.i, 0), MAX_OUTPUTS)
    return [dtype]


def _attribute(node: Any, key: str, found: Any) -> Any | None:
    # reading a missing key of a proto's map would insert it
    if key in node.attr:
        return node.attr[key]
    return next((attribute.default_value for attribute in found.attr if attribute.name == key), None)


def type_name(number: int) -> str:
    """The name of a data type by its number in a proto."""
    try:
        return tf.as_dtype(number).base_dtype.name
    except TypeError:
        return "unknown"


@functools.cache
def is_floating(number: int) -> bool:
    """Whether gradients flow through tensors of this type."""
    try:
        return tf.as_dtype(number).base_dtype.is_floating
    except TypeError:
        return False


def is_complex(node: Any, functions: Mapping[str, Any]) -> bool:
    """Whether it takes or gives complex numbers."""
    kinds = [*dtypes(node, functions), *([node.attr["T"].type] if "T" in node.attr else [])]
    return any(tf.as_dtype(kind).is_complex for kind in kinds if kind)


def shape_of(node: Any, number: int = 0) -> Shape:
    """The shape of one of a node's outputs, as far as the file says it."""
    if "_output_shapes" in node.attr:
        shapes = node.attr["_output_shapes"].list.shape
        if number < len(shapes):
            return dimensions(shapes[number])
    if node.op == "Const" and "value" in node.attr:
        return dimensions(node.attr["value"].tensor.tensor_shape)
    if node.op in ("Placeholder", "PlaceholderWithDefault", "VariableV2", "Variable") and "shape" in node.attr:
        return dimensions(node.attr["shape"].shape)
    return None


def dimensions(shape: Any) -> Shape:
    """A TensorShapeProto as a tuple; None where not even the number of axes is known."""
    if shape.unknown_rank or len(shape.dim) > 254:  # TensorFlow allows no more
        return None
    return tuple(None if axis.size < 0 else axis.size for axis in shape.dim)


def text_attribute(node: Any, key: str) -> str:
    """A string attribute, "" where there is none."""
    return node.attr[key].s.decode("utf-8", "replace") if key in node.attr else ""
