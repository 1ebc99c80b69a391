"""A private copy of a SavedModel: what was checked is what TensorFlow then loads, and nothing beside it is looked at."""

import math
import os
import shutil
import stat
import tempfile
import weakref
from pathlib import Path

import tensorflow as tf

from ...common.errors import AttributionError, plain
from ...common.opening import open_regular

# How much more than the bytes of its checkpoint a model's variables may claim.
FACTOR, ROOM = 2, 2**26
MAX_FILES = 10_000


class ExportCopy:
    """Graph and assets of a SavedModel, copied, beside a link to its variables; gone when it is not used any more.

    Attributes:
        folder: of the copy, a SavedModel itself.
    """

    def __init__(self, folder: Path, allow_unsafe: bool = False) -> None:
        """Copies.

        Args:
            folder: of the SavedModel.
            allow_unsafe: accept variables that claim more than is stored.

        Raises:
            AttributionError: a pipe or device in place of a file; variables that claim more than is stored.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="tf_attrib-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        with open_regular(folder / "saved_model.pb") as graph, open(self.folder / "saved_model.pb", "wb") as copy:
            shutil.copyfileobj(graph, copy)
        if (folder / "assets").is_dir() and not (folder / "assets").is_symlink():
            _check_files(folder / "assets")
            shutil.copytree(folder / "assets", self.folder / "assets", symlinks=True)
        variables = folder / "variables"
        if variables.is_dir():
            _check_files(variables)
            if not allow_unsafe:
                _check_sizes(variables)
            (self.folder / "variables").symlink_to(variables.resolve(), target_is_directory=True)


def _check_files(folder: Path) -> None:
    """Raises AttributionError where a folder holds anything but files, links and folders."""
    found = 0
    for parent, _, names in os.walk(folder):
        found += len(names)
        if found > MAX_FILES:
            raise AttributionError(f"{plain(folder)!r} holds more than {MAX_FILES:,} files")
        for name in names:
            path = Path(parent) / name
            mode = path.stat().st_mode if path.exists() else path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
                raise AttributionError(f"{plain(path)!r} is not a file, but a pipe, socket or device")


def _check_sizes(variables: Path) -> None:
    """Raises AttributionError where a checkpoint claims more than its files can hold: a claim is allocated when it is read."""
    prefix = variables / "variables"
    if not Path(f"{prefix}.index").is_file():
        return
    try:
        checkpoint = tf.train.load_checkpoint(str(prefix))
        shapes, types = checkpoint.get_variable_to_shape_map(), checkpoint.get_variable_to_dtype_map()
    except Exception as error:
        raise AttributionError(f"the variables in {plain(variables)!r} cannot be read: {plain(error)}") from None
    claimed = sum(math.prod(shape) * max(types[name].size or 1, 1) for name, shape in shapes.items())
    stored = sum(path.stat().st_size for path in variables.glob("variables.data-*"))
    if claimed > FACTOR * stored + ROOM:
        raise AttributionError(
            f"the variables in {plain(variables)!r} claim {claimed:,} bytes, and hold {stored:,}; if you "
            "trust whoever made them: Attributor(path, allow_unsafe=True), or --allow-unsafe"
        )
