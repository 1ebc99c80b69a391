"""Errors of TensorFlow as errors of ours."""

import pytest
import tensorflow as tf

from tf_attrib.common.errors import AttributionError
from tf_attrib.common.failures import as_failure, plain_failures

NO_KERNEL = "Gradients for grouped convolutions are not supported on CPU. Please file a feature request"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating"), "more memory than there is"),
        (MemoryError("728 TiB"), "728 TiB"),
        (tf.errors.InvalidArgumentError(None, None, "at node\nindices[0] = 9 is not in [0, 5)\nmore"), "indices[0] = 9 is not"),
        (tf.errors.InternalError(None, None, ""), "InternalError"),
        (tf.errors.InvalidArgumentError(None, None, NO_KERNEL), "export TF_ENABLE_ONEDNN_OPTS=1"),
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


def test_an_error_of_python_that_tensorflow_called_comes_back_as_it_was_raised():
    @as_failure
    def raising():
        raise KeyError("x")

    for _ in range(20):  # of older ones none is kept
        with pytest.raises(RuntimeError, match="raised in Python, number"):
            raising()
    with pytest.raises(RuntimeError) as raised:
        raising()
    with pytest.raises(AttributionError, match="KeyError: 'x'") as told, plain_failures():
        raise tf.errors.UnknownError(None, None, f"at node\n{raised.value}")
    assert isinstance(told.value.__cause__, KeyError)


def test_an_error_of_ours_passes_through_tensorflow():
    @as_failure
    def raising():
        raise AttributionError("ours")

    with pytest.raises(RuntimeError) as raised:
        raising()
    with pytest.raises(AttributionError, match="ours"), plain_failures():
        raise tf.errors.UnknownError(None, None, str(raised.value))
