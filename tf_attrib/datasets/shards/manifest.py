"""What a folder of shards is of: everything that its numbers depend on, so that nothing else is ever put beside them."""

import importlib.metadata
import json
import re
from pathlib import Path
from typing import Any

from ...attributor import Attributor
from ...common.atomic import write_whole
from ...common.errors import AttributionError, plain
from ...common.fingerprint import fingerprint, of_model
from .blocks import Kept
from .isolated import Call
from .sources import Source

FORMAT, NAME = 1, "manifest.json"
PACKAGES = ("tensorflow", "keras", "numpy")


def made(call: Call, kept: Kept, source: Source, batch_size: int, shard_size: int, storage: str) -> dict[str, Any]:
    """The manifest of a run: words for people, and fingerprints of what words do not tell apart."""
    attributor, settings = call.attributor, call.settings
    return {
        "format": FORMAT,
        "versions": {"tf_attrib": _version(), **{name: importlib.metadata.version(name) for name in PACKAGES}},
        "model": _model(attributor),
        "preprocess": None if attributor.preprocess is None else fingerprint(attributor.preprocess),
        "block": attributor.batch_size,
        "eager": attributor.eager,
        "jit_compile": attributor.jit_compile,
        "at": _told(attributor.at),
        "of": _told(attributor.of),
        "method": _told(settings["method"]),
        "target": call.target if isinstance(call.target, str | int | None) else _told(call.target),
        "baselines": None if settings["baselines"] is None else fingerprint(settings["baselines"]),
        "seed": settings["seed"],
        "batch_size": batch_size,
        "shard_size": shard_size,
        "keep": list(kept.keep),
        "reduce": kept.reduce,
        "dtype": kept.dtype,
        "storage": storage,
        "data": source.fingerprint(),
        "files": list(source.names) if len(source.names) <= 20 else len(source.names),
    }


def settle(folder: Path, manifest: dict[str, Any], alone: bool) -> None:
    """Writes the manifest into a folder that has none, or one that no shard was written for.

    Args:
        alone: whether no other process writes there.

    Raises:
        AttributionError: the folder has another, or nothing can be written there.
    """
    path, is_empty = folder / NAME, not any(folder.glob("shard-*"))
    if not path.exists() and not is_empty:
        raise AttributionError(
            f"{str(folder)!r} holds shards and no {NAME}, so that nobody knows which run they are of: name another folder"
        )
    if not path.exists() or (alone and is_empty):
        text = json.dumps(manifest, indent=2)
        try:
            write_whole(path, lambda file: file.write(text.encode()), durable=True)
        except OSError as error:
            raise AttributionError(
                f"{str(folder)!r} is no folder for shards: files are written under another name and renamed when they are "
                f"whole, which failed there: {plain(error)}"
            ) from error
    there = read(folder)  # what another process wrote in between counts
    same = json.loads(json.dumps(manifest))
    differ = [name for name in sorted({*there, *same}) if there.get(name) != same.get(name)]
    if differ:
        told = "; ".join(f"{name}: {plain(there.get(name), 80)}, now {plain(same.get(name), 80)}" for name in differ[:4])
        told += f" and {len(differ) - 4} more" if len(differ) > 4 else ""
        way_out = "delete it, as no shard is in it yet" if is_empty else "call it as it was called"
        raise AttributionError(
            f"{str(folder)!r} holds shards of another run, and they are never mixed: {told}; name another folder, or {way_out}"
        )


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a folder.

    Raises:
        AttributionError: it has none that can be read.
    """
    try:
        found = json.loads((folder / NAME).read_text(encoding="utf-8"))
        version = found["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AttributionError(
            f"{str(folder)!r} is no folder of shards: its {NAME} cannot be read ({plain(error)}); "
            "ta.attribute_dataset(model, data, folder) makes one"
        ) from None
    if version != FORMAT:
        raise AttributionError(f"{str(folder)!r} has format {plain(version)}; this version reads {FORMAT}")
    return found


def _model(attributor: Attributor) -> str:
    return of_model(attributor.path) if attributor.path is not None else fingerprint(attributor.model)


def _told(value: Any) -> str | None:
    """A value in words, and its fingerprint: words need not tell arrays and functions apart."""
    words = re.sub(r" at 0x[0-9a-fA-F]+", "", plain(repr(value), 300))
    return None if value is None else f"{words} [{fingerprint(value)}]"


def _version() -> str:
    from ..._version import __version__

    return __version__
