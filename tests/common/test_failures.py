"""Errors of TensorFlow as errors of ours."""

import pytest
import tensorflow as tf

from tf_attrib.common.errors import AttributionError
from tf_attrib.common.failures import plain_failures


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating"), "more memory than there is"),
        (MemoryError("728 TiB"), "728 TiB"),
        (tf.errors.InvalidArgumentError(None, None, "at node\nindices[0] = 9 is not in [0, 5)\nmore"), "indices[0] = 9 is not"),
        (tf.errors.InternalError(None, None, ""), "InternalError"),
    ],
)
def test_an_error_of_tensorflow_is_one_line_of_ours(error, words):
    with pytest.raises(AttributionError) as raised, plain_failures():
        raise error
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.__cause__ is error


def test_other_errors_pass():
    with pytest.raises(KeyError), plain_failures():
        raise KeyError("x")
