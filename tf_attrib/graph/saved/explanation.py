"""What an export says of its own signature `explain`: a file beside the graph, read without loading anything."""

import json
from pathlib import Path
from typing import Any

from ...common.errors import plain
from ...common.opening import open_regular

# The signature, and where a SavedModel keeps what is not TensorFlow's.
EXPLAIN, EXTRA, DESCRIPTION = "explain", "assets.extra", "tf_attrib.json"
# Descriptions have about 2 kB.
MOST = 2**20


def read_explanation(folder: Path) -> tuple[dict[str, Any] | None, str]:
    """What is said, None where nothing is or it cannot be read; and why it cannot, else ""."""
    path = folder / EXTRA / DESCRIPTION
    if not path.exists():
        return None, ""
    try:
        with open_regular(path) as file:
            data = file.read(MOST + 1)
        if len(data) > MOST:
            raise ValueError(f"more than {MOST:,} bytes")
        found = json.loads(data)
        if not isinstance(found, dict):
            raise ValueError("no JSON object")
    except (OSError, ValueError, RecursionError) as error:
        return None, f"{EXTRA}/{DESCRIPTION}, which describes the signature {EXPLAIN!r}, cannot be read: {plain(error, 100)}"
    return found, ""


def in_words(found: dict[str, Any]) -> list[str]:
    """Lines for people."""
    lines = [
        f"explains  {_of(found, 'of')} by {_of(found, 'method')}",
        f"          at {_of(found, 'at')}"
        + (f", against {_of(found, 'baseline')}" if found.get("baseline") else "")
        + (", or a baseline that comes with the call" if found.get("baseline_input") else ""),
    ]
    if "tolerance" in found:
        most = f"{_of(found, 'max_evaluations')} {'coalitions of an example' if 'exact' in found else 'gradients of each path'}"
        lines.append(f"          to {_of(found, 'tolerance')}, with at most {most}")
    elif "evaluations" in found:
        lines.append(f"          with {_of(found, 'evaluations')} evaluations of an example")
    lines.append(f"          attributions in {_of(found, 'attribution_unit')}; written by tf_attrib {_of(found, 'tf_attrib')}")
    notes = found.get("notes")
    return lines + [f"          note: {plain(note, 300)}" for note in (notes if isinstance(notes, list) else [])[:8]]


def _of(found: dict[str, Any], name: str) -> str:
    return plain(found.get(name, "?"), 200)
