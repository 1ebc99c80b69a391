"""A lock on a folder that ends with the process that holds it, whichever way that ends."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from .errors import AttributionError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


@contextlib.contextmanager
def locked(path: Path, words: str, shared: bool = False, wait: bool = False) -> Iterator[None]:
    """Holds the lock `path`, a file that stays.

    Args:
        words: who else would hold it, for the error.
        shared: whether others may hold it too, if they share it (on Windows nobody else).
        wait: whether to wait until nobody else holds it (on Windows ten seconds at most), as is right where it is held briefly.

    Raises:
        AttributionError: another process holds it.
    """
    number = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            _take(number, shared, wait)
        except OSError as error:
            raise AttributionError(f"{words} (the lock is {str(path)!r}; it ends with its process)") from error
        yield
    finally:
        os.close(number)


def _take(number: int, shared: bool, wait: bool) -> None:
    """Raises OSError where another has it."""
    if sys.platform == "win32":
        msvcrt.locking(number, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(number, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
