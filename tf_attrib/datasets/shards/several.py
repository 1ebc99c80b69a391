"""One run by several processes, on processors or one to a GPU."""

import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ...attributor import Attributor
from ...common.checks import is_whole, whole
from ...common.errors import AttributionError, plain
from ...common.progress import progress
from ...common.workers import do_parts
from ...selection.frames import example_count, is_frame
from . import storage
from .folder import AttributionSet
from .paths import are_paths, rows_in

VISIBLE = "CUDA_VISIBLE_DEVICES"


def several(
    attribute_dataset: Callable[..., Any],
    attributor: Attributor | str | os.PathLike,
    data: Any,
    out: str | os.PathLike,
    options: dict[str, Any],
    shard: Any,
    processes: int | None,
    devices: str | Sequence[int] | None,
    verbose: str | bool,
) -> AttributionSet:
    """What `attribute_dataset` does with these arguments, by several processes that share it.

    Raises:
        AttributionError: what cannot be sent to other processes, no GPUs, or what `attribute_dataset` raises.
    """
    if tuple(shard) != (0, 1):
        raise AttributionError("processes= and devices= do all shards; with shard=(k, n) start each process yourself")
    surroundings = _of_devices(devices) if devices is not None else [{}] * whole("processes", processes)
    if processes is not None and processes != len(surroundings):
        raise AttributionError(
            f"processes={processes} for {len(surroundings)} devices: leave processes out, there is one for each"
        )
    if not isinstance(attributor, Attributor):
        attributor = Path(attributor).absolute()
    sent = (attribute_dataset, attributor, data, Path(out).absolute(), options, len(surroundings))
    try:
        packed = pickle.dumps(sent)
    except AttributionError:
        raise
    except Exception as error:  # what cannot be pickled raises what it likes
        raise AttributionError(
            f"this cannot be sent to other processes ({plain(error)}): give paths of files or arrays as data, and functions of "
            "a module; or start each process yourself, shard=(k, n)"
        ) from error
    folder, rows, counts = Path(out), _rows(data), {}

    def done() -> int:
        """How many entries there are by now; a shard that is there does not change."""
        for path in folder.glob("shard-*") if folder.is_dir() else ():
            counts[path] = counts[path] if path in counts else storage.count(path)
        return sum(counts.values())

    left = None if rows is None else rows - done()
    with progress(verbose, lambda: left) as advance:
        do_parts(_part, (packed,), surroundings, done, advance)
    return AttributionSet(folder)


def _part(part: int, packed: bytes) -> None:
    """What one of the processes does."""
    attribute_dataset, attributor, data, out, options, count = pickle.loads(packed)
    attribute_dataset(attributor, data, out, shard=(part, count), verbose=False, **options)


def _rows(data: Any) -> int | None:
    """How many rows there are, where that is known without the model."""
    if are_paths(data):
        return rows_in(data)
    data = data[0] if isinstance(data, tuple) else data
    whole_arrays = isinstance(data, np.ndarray | Mapping) or is_frame(data)
    return example_count(data) if whole_arrays else None


def _of_devices(devices: str | Sequence[int]) -> list[dict[str, str]]:
    """For each GPU what its process sees."""
    there = [name for name in os.environ.get(VISIBLE, "").split(",") if name]
    count = len(tf.config.list_physical_devices("GPU"))
    there = there or [str(number) for number in range(count)]
    if devices == "all":
        if not count:
            raise AttributionError('devices="all" is all GPUs, and there are none: processes=4 shares processors')
        return [{VISIBLE: name} for name in there[:count]]
    if isinstance(devices, str) or not devices or not all(is_whole(one, 0, count - 1) for one in devices):
        raise AttributionError(
            f'devices is "all", or numbers of GPUs of which there are {count}, such as [0, 1]; got {devices!r}'
        )
    return [{VISIBLE: there[one]} for one in devices]
