"""Values of constants as a GraphDef holds them."""

import numpy as np
import pytest
import tensorflow as tf

from tf_attrib.graph.graphdef import constants

DTYPES = ["int32", "int64", "bool", "float32", "float64", "float16", "bfloat16"]


def node(value, dtype=None):
    with tf.Graph().as_default() as graph:
        tf.constant(value, dtype, name="value")
    return graph.as_graph_def().node[0]


def as_fields(value, dtype):
    """The same constant with its values in the field of its type, as TensorFlow writes few of them."""
    made = node(value, dtype)
    tensor = made.attr["value"].tensor
    array = np.atleast_1d(tf.make_ndarray(tensor))
    tensor.tensor_content = b""
    tensor.ClearField(constants.FIELDS[dtype])
    half = constants.FIELDS[dtype] == "half_val"
    getattr(tensor, constants.FIELDS[dtype]).extend((array.view(np.uint16) if half else array).tolist())
    return made


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_from_its_bytes_and_from_its_field(dtype):
    value = np.array([0, 1, 0], bool) if dtype == "bool" else np.array([0, 3, -5])
    written = tf.cast(value, dtype).numpy()
    content = as_fields(written, dtype)
    assert constants.values(content) == written.tolist()
    tensor = content.attr["value"].tensor
    tensor.ClearField(constants.FIELDS[dtype])
    tensor.tensor_content = written.tobytes()
    assert constants.values(content) == written.tolist()


def test_what_is_longer_than_its_values_is_cut_and_no_shape_is_believed():
    made = node(np.arange(4, dtype=np.int32))
    made.attr["value"].tensor.tensor_content += b"\x07"
    made.attr["value"].tensor.tensor_shape.dim[0].size = 2**40
    assert constants.values(made) == [0, 1, 2, 3]


def test_strings_are_decoded_and_what_is_no_text_is_replaced():
    assert constants.values(node([b"a", b"\xff"])) == ["a", "\ufffd"]


def test_what_is_no_constant_or_of_a_type_that_is_not_read_is_empty():
    assert constants.values(node(1 + 2j)) == []
    other = node([1, 2])
    other.attr["value"].tensor.dtype = 10_000
    assert constants.values(other) == []
    other.op = "Identity"
    assert constants.values(other) == []
    assert constants.scalar(other) is None
    assert constants.scalar(None) is None


def test_a_scalar_is_one_value():
    assert constants.scalar(node(7)) == 7
    assert constants.scalar(node([7, 8])) is None
    left_out = node(0)
    left_out.attr["value"].tensor.ClearField("int_val")
    assert constants.scalar(left_out) == 0
