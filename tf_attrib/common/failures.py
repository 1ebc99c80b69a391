"""Errors of TensorFlow, and of models inside it, as errors of ours: one line that says what was wrong."""

import contextlib
import functools
import itertools
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from .errors import AttributionError, one_line

MORE_MEMORY = "this takes more memory than there is; give fewer examples, steps or samples at a time, or a smaller batch_size"
# What TensorFlow says where it lacks kernels on a CPU without oneDNN: inside a loop of the model no other way is found.
WITHOUT_ONEDNN = ("grouped convolutions", "do not yet support dilation")
ONEDNN = (
    "TensorFlow has no such convolution on this processor without oneDNN: export TF_ENABLE_ONEDNN_OPTS=1 before it is imported"
)
# How lines of its errors begin that say where in the graph, and nothing of what was wrong.
WHERE = ("Graph execution error", "Detected at node", "<stack traces", "[[{{node")
# In front of the message of an assertion in the graph that is about a user's own code, so that no model is blamed.
OWN = "in own code: "
# Errors of Python functions that TensorFlow called and whose errors it puts into words of its own, by the number that they were
# raised under; the last few.
_RAISED: OrderedDict[int, Exception] = OrderedDict()
_NUMBERS, _MOST = itertools.count(1), 16


@contextlib.contextmanager
def plain_failures() -> Iterator[None]:
    """Errors of TensorFlow as errors of ours, in a `with` or around a function."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise AttributionError(f"{MORE_MEMORY}: {_reason(error)}") from error
    except tf.errors.OpError as error:
        inner = _raised(error)
        if isinstance(inner, AttributionError | KeyboardInterrupt):
            raise inner from None
        own = re.search(f"{OWN}(.+)", str(error.message))
        if own is not None:
            raise AttributionError(own[1].strip()[:300]) from error
        reason = _reason(error) if inner is None else f"{type(inner).__name__}: {one_line(inner, 300)}"
        way_out = f"; {ONEDNN}" if any(words in reason for words in WITHOUT_ONEDNN) else ""
        raise AttributionError(f"the model failed on these inputs: {reason}{way_out}") from inner or error
    except MemoryError as error:
        raise AttributionError(f"{MORE_MEMORY}: {error}") from error


def as_failure(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a function that TensorFlow calls: `plain_failures` gives its errors back as they were raised."""

    @functools.wraps(function)
    def noted(*args: Any) -> Any:
        try:
            return function(*args)
        except Exception as error:
            number = next(_NUMBERS)
            _RAISED[number] = error
            while len(_RAISED) > _MOST:
                _RAISED.popitem(last=False)
            raise RuntimeError(f"raised in Python, number {number}: {error}") from error

    return noted


def _raised(error: tf.errors.OpError) -> Exception | None:
    """The error of a Python function that TensorFlow called, where that is what it reports."""
    number = re.search(r"raised in Python, number (\d+): ", str(error.message))
    return None if number is None else _RAISED.pop(int(number[1]), None)


def _reason(error: tf.errors.OpError) -> str:
    """The one line of a TensorFlow error that says what was wrong."""
    lines = [line.strip() for line in str(error.message).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(WHERE)] or lines
    telling = [line for line in lines if "indices[" in line or "must be" in line or "Incompatible" in line]
    return (telling or lines or [type(error).__name__])[0][:300]
