"""Files that are written whole or not at all."""

import contextlib
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

# Of a file's name, that are in its temporary one: four bytes each at most, of 255.
LETTERS = 40


def write_whole(path: Path, write: Callable[[BinaryIO], object], durable: bool = False) -> Path:
    """Lets `write` fill a file of a temporary name beside `path`, then renames it; after a failure nothing is left.

    Args:
        durable: whether the file is to be there after a loss of power too: it, and then the name of it, are brought to the
            disk before this returns.
    """
    temporary = beside(path)
    # open to those who may read new files of this process: `tempfile` makes files for their owner alone
    handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "w+b") as file:
            write(file)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        if path.exists():
            os.chmod(temporary, stat.S_IMODE(path.stat().st_mode))  # who may read it does not change with what is in it
        os.replace(temporary, path)
        if durable:
            _sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path


def beside(path: Path) -> Path:
    """A temporary name in the same folder that nothing has: a part of its own is enough for people, and leaves room where names
    may be no longer."""
    return path.with_name(f".{path.name[:LETTERS]}.{secrets.token_hex(8)}.part")


def _sync_folder(folder: Path) -> None:
    """Brings the names in a folder to the disk, where the system can."""
    if os.name == "nt":  # folders cannot be opened there, and renaming is journalled
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems refuse it for folders
            os.fsync(number)
    finally:
        os.close(number)
