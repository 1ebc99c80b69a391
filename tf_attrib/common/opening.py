"""A file that was given, opened once: a regular one, never a pipe or device that would block or never end."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from .errors import AttributionError, plain


def open_regular(path: str | os.PathLike) -> BinaryIO:
    """The regular file at `path`, or that a link there leads to, open for reading.

    What is open is what was looked at: it cannot be exchanged in between.

    Raises:
        AttributionError: no such file, not allowed to read it, a folder, a pipe, a socket or a device.
    """
    shown = repr(plain(path))
    try:
        # a pipe without a writer would block, a terminal would become ours
        number = os.open(
            Path(path),
            os.O_RDONLY
            | getattr(os, "O_NONBLOCK", 0)
            | getattr(os, "O_NOCTTY", 0)
            | getattr(os, "O_BINARY", 0)
            | getattr(os, "O_CLOEXEC", 0),
        )
    except (OSError, ValueError) as error:
        raise AttributionError(f"{shown} cannot be read: {plain(getattr(error, 'strerror', None) or error)}") from None
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise AttributionError(f"{shown} is not a file, but a folder, pipe, socket or device")
    return os.fdopen(number, "rb")


def size_of(file: BinaryIO) -> int:
    """The bytes of an open file."""
    return os.fstat(file.fileno()).st_size
