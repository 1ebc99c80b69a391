"""Values of constants in a GraphDef, read from the proto without making a tensor: its shape is a file's claim."""

from typing import Any

import numpy as np
import tensorflow as tf

# Where each type's values are in a TensorProto.
FIELDS = {
    "string": "string_val",
    "int32": "int_val",
    "int64": "int64_val",
    "bool": "bool_val",
    "float32": "float_val",
    "float64": "double_val",
    "float16": "half_val",
    "bfloat16": "half_val",
}


def values(node: Any) -> list:
    """The values that the constant `node` holds, in order, strings decoded; a repeated value once; [] for any other node.

    They cannot be more than the file is long, whatever shape it claims.
    """
    if node.op != "Const" or "value" not in node.attr:
        return []
    tensor = node.attr["value"].tensor
    try:
        dtype = tf.as_dtype(tensor.dtype)
    except TypeError:
        return []
    if dtype.name not in FIELDS:
        return []
    if tensor.tensor_content and dtype != tf.string:
        width = np.dtype(dtype.as_numpy_dtype).itemsize
        content = tensor.tensor_content[: len(tensor.tensor_content) // width * width]
        return np.frombuffer(content, dtype.as_numpy_dtype).tolist()
    found = getattr(tensor, FIELDS[dtype.name])
    if FIELDS[dtype.name] == "half_val":  # their bits, as whole numbers
        return np.asarray(found, np.uint16).view(dtype.as_numpy_dtype).tolist()
    return [value.decode("utf-8", "replace") for value in found] if dtype == tf.string else list(found)


def scalar(node: Any | None) -> Any | None:
    """The one value of a constant, None where there is none or more."""
    if node is None or node.op != "Const" or "value" not in node.attr:
        return None
    found = values(node)
    if not found and not node.attr["value"].tensor.tensor_shape.dim:
        return 0  # a proto may leave out a zero
    return found[0] if len(found) == 1 else None
