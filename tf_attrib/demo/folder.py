"""Where a report goes: written under a hidden name beside its place, and renamed when it is whole."""

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ..common.errors import AttributionError

# What a report holds: a folder with anything else in it is never replaced.
CONTENTS = {"index.html", "models"}


@contextlib.contextmanager
def new_folder(directory: str | os.PathLike | None, overwrite: bool) -> Iterator[tuple[Path, Callable[[], Path]]]:
    """A hidden folder to write to, and a function that puts it in its place and returns that place.

    Whatever ends the block before the function was called, the hidden folder is removed and nothing else is touched.

    Args:
        directory: the place; None is "report" in the current folder, or the next free "report-2", "report-3", ...
        overwrite: replace a report that is there (with None: the one called "report").

    Raises:
        AttributionError: where the place holds something that may not be replaced.
    """
    free = directory is None and not overwrite
    place = Path("report" if directory is None else directory)
    if not free:
        _check(place, overwrite)
    place.parent.mkdir(parents=True, exist_ok=True)
    hidden = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    # mkdtemp makes folders that no one else may read
    hidden.chmod(0o755)
    try:
        yield hidden, lambda: _next_free(hidden, place) if free else _replace(hidden, place, overwrite)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _next_free(hidden: Path, place: Path) -> Path:
    for number in itertools.count(1):
        candidate = place if number == 1 else place.with_name(f"{place.name}-{number}")
        if not os.path.lexists(candidate):
            hidden.rename(candidate)
            return candidate
    raise AssertionError("unreachable: names do not run out")


def _replace(hidden: Path, place: Path, overwrite: bool) -> Path:
    _check(place, overwrite)  # again: training took a while
    if not os.path.lexists(place):
        hidden.rename(place)
        return place
    old = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    place.rename(old / "old")
    hidden.rename(place)
    shutil.rmtree(old)
    return place


def _check(place: Path, overwrite: bool) -> None:
    """Raises AttributionError unless the place is free, an empty folder, or a report that may be replaced."""
    if not os.path.lexists(place):
        return
    if not place.is_dir() or place.is_symlink():
        raise AttributionError(f"{place} exists and is no folder: choose another name")
    held = {path.name for path in place.iterdir()}
    if held - CONTENTS:
        raise AttributionError(f"{place} holds other files than a report ({min(held - CONTENTS)!r}): choose a new folder")
    if held and not overwrite:
        raise AttributionError(f"{place} exists: choose another folder, or overwrite=True to replace the report")
