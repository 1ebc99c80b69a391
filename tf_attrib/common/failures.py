"""Errors of TensorFlow as errors of ours: one line that says what was wrong."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from .errors import AttributionError

MORE_MEMORY = "this takes more memory than there is; give fewer examples, steps or samples at a time, or a smaller batch_size"


@contextlib.contextmanager
def plain_failures() -> Iterator[None]:
    """Errors of TensorFlow as errors of ours, in a `with` or around a function."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise AttributionError(f"{MORE_MEMORY}: {_reason(error)}") from error
    except tf.errors.OpError as error:
        raise AttributionError(f"the model failed on these inputs: {_reason(error)}") from error
    except MemoryError as error:
        raise AttributionError(f"{MORE_MEMORY}: {error}") from error


def _reason(error: tf.errors.OpError) -> str:
    """The one line of a TensorFlow error that says what was wrong."""
    lines = [line.strip() for line in str(error.message).splitlines() if line.strip()]
    telling = [line for line in lines if "indices[" in line or "must be" in line or "Incompatible" in line]
    return (telling or lines or [type(error).__name__])[0][:300]
