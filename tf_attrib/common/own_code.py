"""Code that a user wrote, called by the library."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .errors import AttributionError


@contextlib.contextmanager
def code_of(what: str, given: Iterable[Any] = (), hint: str = "") -> Iterator[None]:
    """While the context lasts, errors name the code that raised them, and arrays that it was given cannot be changed in place.

    The error itself stays behind the new one, with its traceback.

    Args:
        what: it is, such as "the baseline (median)".
        given: what it may read, arrays among it.
        hint: what may help, behind the error.
    """
    kept = [array for array in given if isinstance(array, np.ndarray) and array.flags.writeable]
    for array in kept:
        array.flags.writeable = False
    try:
        yield
    except (AttributionError, MemoryError):
        raise
    except Exception as error:
        said = next(iter(str(error).strip().splitlines()), "")
        raise AttributionError(f"{what} failed with {type(error).__name__}: {said[:300]}{hint}") from error
    finally:
        for array in kept:
            array.flags.writeable = True
