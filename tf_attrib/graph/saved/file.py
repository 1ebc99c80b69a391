"""A SavedModel or a frozen graph as it is in its file: found, parsed and bounded. It is never loaded, nothing of it runs."""

import dataclasses
import os
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from ...common.errors import AttributionError, plain
from ...common.opening import open_regular, size_of
from ..graphdef.nodes import functions_of

# A protocol buffer of two gigabytes or more cannot be parsed.
MAX_BYTES = 2**31 - 1
# Large models have some ten thousands of operations, their functions included.
MAX_NODES = 300_000
MAX_NAME = 2000
# tf_keras nests a function for each nested model.
MAX_DEPTH = 100


@dataclasses.dataclass(frozen=True, eq=False)
class Export:
    """A parsed file.

    Attributes:
        path: of the `.pb` file.
        folder: of the SavedModel; None for a frozen graph.
        meta_graphs: all that it holds; one without signatures for a frozen graph.
    """

    path: Path
    folder: Path | None
    meta_graphs: tuple[Any, ...]

    @property
    def operations(self) -> int:
        """How many there are, those of functions included."""
        graphs = [meta_graph.graph_def for meta_graph in self.meta_graphs]
        return sum(len(graph.node) + sum(len(function.node_def) for function in graph.library.function) for graph in graphs)

    @property
    def serving(self) -> Any:
        """The MetaGraphDef for serving, where there are several."""
        serving = [meta_graph for meta_graph in self.meta_graphs if "serve" in meta_graph.meta_info_def.tags]
        return (serving or self.meta_graphs)[0]


def read(path: str | os.PathLike, called: str | os.PathLike | None = None) -> Export:
    """The SavedModel or frozen graph at `path`.

    Args:
        path: the folder of a SavedModel, its `saved_model.pb`, or the `.pb` file of a frozen GraphDef.
        called: what errors call it; default: the file.

    Raises:
        AttributionError: no such file, not a graph, truncated, more than can be read, or functions that call each other in a
            circle.
    """
    path = find(Path(path))
    shown = repr(plain(called or path))
    try:
        with open_regular(path) as file:
            size = size_of(file)
            if size > MAX_BYTES:
                raise AttributionError(
                    f"{shown} has {size / 2**30:.1f} GB; a graph has less than 2 GB, its variables are in other files"
                )
            data = file.read(size)
    except OSError as error:
        raise AttributionError(f"{shown} cannot be read: {error.strerror or error}") from error
    meta_graphs, is_saved_model = _parse(data, shown)
    for meta_graph in meta_graphs:
        _check(meta_graph.graph_def, shown)
    return Export(path, path.parent if is_saved_model else None, meta_graphs)


def is_export(path: Path) -> bool:
    """Whether `path` is for `read` rather than a Keras model file."""
    return path.is_dir() or path.suffix in (".pb", ".pbtxt")


def find(path: Path) -> Path:
    """The file that `path` means."""
    shown = repr(plain(path))
    if path.is_dir():
        inside = path / "saved_model.pb"
        if inside.is_file():
            return inside
        if (path / "saved_model.pbtxt").exists():
            raise AttributionError(f"{shown} holds its graph as text; load it with tf.saved_model.load and save it again")
        versions = sorted(child.name for child in path.iterdir() if (child / "saved_model.pb").is_file())
        hint = f"; a folder in it does: {plain(path / versions[-1])!r}" if versions else ""
        raise AttributionError(f"{shown} is a folder without a saved_model.pb{hint}")
    if not path.exists():
        raise AttributionError(f"there is no model at {shown}")
    if not path.is_file():  # reading a pipe might never end
        raise AttributionError(f"{shown} is not a file")
    return path


def _parse(data: bytes, shown: str) -> tuple[tuple[Any, ...], bool]:
    """The meta graphs in a file, and whether it is a SavedModel; a GraphDef is put into a meta graph of its own."""
    if not data:
        raise AttributionError(f"{shown} is empty")
    reasons = []
    try:
        model = saved_model_pb2.SavedModel.FromString(data)
        # bytes of other kinds may pass for an empty message
        if model.meta_graphs and model.saved_model_schema_version == 1:
            return tuple(model.meta_graphs), True
    except DecodeError as error:
        reasons.append(str(error))
    try:
        graph = graph_pb2.GraphDef.FromString(data)  # pyright: ignore[reportAttributeAccessIssue] (made at run time)
        if graph.node and all(node.op and node.name for node in graph.node):
            return (meta_graph_pb2.MetaGraphDef(graph_def=graph),), False
    except DecodeError as error:
        reasons.append(str(error))
    reason = f" ({plain(reasons[0], 100)})" if reasons else ""
    raise AttributionError(f"{shown} is neither a SavedModel nor a GraphDef, or is truncated{reason}")


def _check(graph: Any, shown: str) -> None:
    """Raises AttributionError where a graph is larger or deeper than any model is."""
    bodies = {"": graph.node} | {function.signature.name: function.node_def for function in graph.library.function}
    count = sum(len(nodes) for nodes in bodies.values())
    if count > MAX_NODES:
        raise AttributionError(f"{shown} has {count:,} operations; graphs of up to {MAX_NODES:,} are read")
    callees: dict[str, set[str]] = {}
    for name, nodes in bodies.items():
        callees[name] = called = set()
        for node in nodes:
            if len(node.name) > MAX_NAME:
                raise AttributionError(
                    f"{shown} has an operation with a name of {len(node.name):,} letters, "
                    f"{plain(node.name, 40)!r}; names of up to {MAX_NAME:,} are read"
                )
            if node.op in bodies:
                called.add(node.op)
            called.update(function for _, function in functions_of(node) if function in bodies)
    depth = _depths(callees, shown)
    if max(depth.values()) > MAX_DEPTH:
        raise AttributionError(f"{shown} has functions nested {max(depth.values())} deep; up to {MAX_DEPTH} are read")


def _depths(callees: dict[str, set[str]], shown: str) -> dict[str, int]:
    """How many functions deep each function goes."""
    depths: dict[str, int] = {}
    for start in callees:
        opened: dict[str, None] = {}  # from `start` to where we are, in order
        waiting = [start]
        while waiting:
            name = waiting[-1]
            if name in depths:
                waiting.pop()
            elif name in opened:  # all that it calls is known by now
                depths[name] = 1 + max((depths[callee] for callee in callees[name]), default=0)
                del opened[name]
            else:
                opened[name] = None
                again = next((callee for callee in callees[name] if callee in opened), None)
                if again is not None:
                    path = list(opened)
                    circle = " -> ".join(plain(part, 60) for part in [*path[path.index(again) :][:5], again])
                    raise AttributionError(f"{shown} has functions that call each other in a circle: {circle}")
                waiting.extend(callee for callee in callees[name] if callee not in depths)
    return depths
