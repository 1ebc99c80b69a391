"""One run of `ta.attribute_dataset` as tasks that any worker may do, any of them more than once."""

import inspect
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...attributor import Attributor
from ...common.checks import whole
from ...common.errors import AttributionError, nearest
from ..shards.folder import SHARD
from ..shards.run import attribute_dataset, does
from .batch_attributor import recipe

# What is no setting of the run as a whole.
OWN = ("attributor", "data", "out", "at", "of", "shard", "processes", "devices", "verbose")


class Parts:
    """The tasks of a run, and what does one. It is sent to workers as the path of the model and settings.

    A task that is done again finds its shards and leaves them; one that was cut off goes on behind the last whole shard; one
    that two workers do at once fails for the second, which an engine tries again.

    Attributes:
        count: of tasks.
    """

    def __init__(self, path: str | os.PathLike | Attributor, out: str | os.PathLike, count: int, **settings: Any) -> None:
        """Checks what can be checked without the model.

        Args:
            path: as `ta.BatchAttributor` takes it.
            out: the folder of all shards, which all workers share.
            count: of tasks.
            settings: those of `ta.attribute_dataset`.
        """
        known = [name for name in inspect.signature(attribute_dataset).parameters if name not in OWN]
        unknown = [name for name in settings if name not in (*known, "at", "of")]
        if unknown:
            raise AttributionError(
                f"{unknown[0]!r} is no setting of a run that is shared by workers; there are: {nearest(unknown[0], known, 99)}"
            )
        self.count = whole("parts", count)
        self._make = recipe(path, settings.pop("at", None), settings.pop("of", None))
        self._out, self._settings = str(Path(out).absolute()), settings
        self._attributor: Attributor | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_attributor": None}

    def tasks(self, files: Sequence[str | os.PathLike]) -> list[tuple[list[str], int]]:
        """All tasks of the run over files or patterns of such, in whichever order these come.

        Raises:
            AttributionError: there are none.
        """
        if not files:
            raise AttributionError("there are no files: give paths, or patterns such as 'in/*.parquet'")
        names = sorted({os.path.abspath(os.fspath(one)) for one in files})
        return [(names, part) for part in range(self.count)]

    def __call__(self, task: tuple[list[str], int]) -> list[str]:
        """Does one task, and returns the paths of its shards.

        Raises:
            AttributionError: as `ta.attribute_dataset`.
        """
        files, part = task
        attributor = self._attributor = self._attributor or self._make()
        found = attribute_dataset(attributor, files, self._out, shard=(part, self.count), verbose=False, **self._settings)
        return [str(path) for path in found.paths if _is_of(path, part, self.count)]


def _is_of(path: Path, part: int, count: int) -> bool:
    found = SHARD.fullmatch(path.name)
    return found is not None and does((part, count), int(found[1]), int(found[2]))
