"""Which files of an export its graph reads, and whether they lie within it."""

import contextlib
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2

from ..graphdef import nodes
from ..graphdef.scopes import Scope, Walker
from . import text_and_tables


def assets_of(meta_graph: Any, folder: Path | None) -> dict[str, Path | None]:
    """The file that each asset tensor of a meta graph names, None for one outside of the export's assets folder."""
    return {_whole(asset.tensor_info.name): _inside(folder, asset.filename) for asset in _assets(meta_graph)}


def filled_from_assets(meta_graph: Any, folder: Path | None) -> set[tuple[str, str]]:
    """(function, node) of the operations that fill a table from a file of the export's own, wherever they are called from."""
    walker, assets = Walker(meta_graph.graph_def), assets_of(meta_graph, folder)
    variables = text_and_tables.assigned(walker)
    verdicts: dict[tuple[str, str], list[bool]] = {}

    def judge(scope: Scope, node: Any, place: str, alone: Scope | None = None, bound: frozenset[str] = frozenset()) -> None:
        given = nodes.data_inputs(node)
        source = walker.resolve(scope, given[1]) if len(given) > 1 else None
        origin = text_and_tables.file_source(walker, source, variables) if source is not None else None
        # an asset counts in the graph itself; alone, a function is given the files that the object graph binds to it
        fine = origin is not None and (
            assets.get(origin.name) is not None
            if origin.instance.scope is walker.top
            else origin.instance.scope is alone and origin.instance.node.name in bound
        )
        verdicts.setdefault((place, node.name), []).append(fine)

    for scope, node in text_and_tables.filling_nodes(walker):
        judge(scope, node, scope.body.function.signature.name if scope.body.function else "")
    for name, saved in meta_graph.object_graph_def.concrete_functions.items():
        if name in walker.functions:
            scope = walker.function_scope(name)
            bound = _bound_files(meta_graph, folder, scope, list(saved.bound_inputs))
            for inner, node in _filling_within(walker, scope):
                judge(inner, node, inner.body.function.signature.name, scope, bound)
    return set() if walker.exhausted else {key for key, fine in verdicts.items() if all(fine)}


def _filling_within(walker: Walker, scope: Scope) -> list[tuple[Scope, Any]]:
    """The nodes that fill tables from files in a function and in all that it calls."""
    found, waiting = [], [scope]
    while waiting and not walker.exhausted:
        walker.spend()
        inside = waiting.pop()
        for node in inside.body.nodes.values():
            if node.op in text_and_tables.FILE_FILLS:
                found.append((inside, node))
            if node.op in walker.functions:
                waiting.append(walker.enter(inside, node, "f", node.op))
            waiting.extend(
                walker.enter(inside, node, key, name) for key, name in nodes.functions_of(node) if name in walker.functions
            )
    return found


def _bound_files(meta_graph: Any, folder: Path | None, scope: Scope, bound: list[int]) -> frozenset[str]:
    """The last arguments of a function, which the object graph binds, that are assets inside the export."""
    objects, assets = meta_graph.object_graph_def.nodes, _assets(meta_graph)
    names = list(scope.body.arguments)
    found = set()
    for name, number in zip(reversed(names), reversed(bound), strict=False):
        thing = objects[number] if 0 <= number < len(objects) else None
        if thing is not None and thing.WhichOneof("kind") == "asset":
            position = thing.asset.asset_file_def_index
            if 0 <= position < len(assets) and _inside(folder, assets[position].filename) is not None:
                found.add(name)
    return frozenset(found)


def _assets(meta_graph: Any) -> list[Any]:
    if meta_graph.asset_file_def or "saved_model_assets" not in meta_graph.collection_def:
        return list(meta_graph.asset_file_def)
    found = []
    for packed in meta_graph.collection_def["saved_model_assets"].any_list.value:
        asset = meta_graph_pb2.AssetFileDef()
        with contextlib.suppress(DecodeError):
            if packed.Unpack(asset):
                found.append(asset)
    return found


def _inside(folder: Path | None, name: str) -> Path | None:
    """The file `name` of the export's assets folder, None where that leads out of it: by "..", a root or a link."""
    if folder is None or not name or "\0" in name or ".." in Path(name).parts:
        return None
    try:
        assets = (folder / "assets").resolve()
        file = (assets / name).resolve()
    except (OSError, RuntimeError):  # links in a circle
        return None
    own = assets.parent == folder.resolve() and assets.name == "assets"
    return file if own and file != assets and file.is_relative_to(assets) else None


def _whole(reference: str) -> str:
    return reference if ":" in reference else reference + ":0"
