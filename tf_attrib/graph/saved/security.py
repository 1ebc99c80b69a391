"""What a SavedModel would do besides computing: at load time, and by operations that reach out of the graph.

Expected, and therefore allowed, are a saver's operations to which only the saver leads, and tables that are filled from a
file in the export's own assets.
"""

import contextlib
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.framework import variable_pb2

from ...common.errors import AttributionError, plain
from ...common.types import present
from ..graphdef import nodes
from . import text_and_tables
from .assets import filled_from_assets
from .contents import Loading, UnsafeOperation
from .file import Export, read
from .operations import LOOPS
from .risky_operations import RESTORES, SAVES, is_cache_in_memory, risk_of
from .signature import references

# Collections and signatures whose operations a loader of TensorFlow 1 or 2 runs.
LOAD_COLLECTIONS = ("saved_model_main_op", "legacy_init_op", "table_initializer")
INIT_SIGNATURE = "__saved_model_init_op"
# Functions of an object that are called when it is loaded; the last one when it is dropped.
LOAD_FUNCTIONS = ("_create_resource", "_initialize", "_destroy_resource")
# Not worth a mention in what runs at load time.
TRIVIAL = frozenset(
    {
        "Const",
        "Identity",
        "NoOp",
        "Placeholder",
        "PlaceholderWithDefault",
        "VarHandleOp",
        "ReadVariableOp",
        "PartitionedCall",
        "StatefulPartitionedCall",
        "VarIsInitializedOp",
        "HashTableV2",
    }
)
# Classes that TensorFlow itself registers.
REGISTERED = frozenset({"tf.StaticHashTable", "tf.TrackableConstant"})
# Bytes of all constants of a graph, which is smaller than 2 GB itself.
MAX_CONSTANTS = 2**32
SHOWN = 5


def check(path: str | os.PathLike, allow_unsafe: bool = False) -> None:
    """Raises AttributionError where a SavedModel or frozen graph holds an operation that reaches out of the graph.

    To be called before such a model is loaded. The file is parsed and nothing of it runs.

    Args:
        path: a SavedModel's folder, its `saved_model.pb`, or a frozen `.pb`.
        allow_unsafe: accept such operations; a file that cannot be read is refused all the same.
    """
    check_export(read(path), path, allow_unsafe)


def check_export(export: Export, path: str | os.PathLike, allow_unsafe: bool = False) -> None:
    """The same of one that was read already, called `path` in the error."""
    found = () if allow_unsafe else unsafe_operations(export)
    if not found:
        return
    kinds: dict[tuple, list[UnsafeOperation]] = {}
    for one in found:
        kinds.setdefault((one.operation, one.at_load, one.reason), []).append(one)
    told = [
        f"{operation} {plain(same[0].name, 80)!r}{f' and {len(same) - 1} more' if len(same) > 1 else ''} {reason}"
        f"{', when it is loaded' if at_load else ''}"
        for (operation, at_load, reason), same in list(kinds.items())[:SHOWN]
    ]
    more = f"; and {len(kinds) - SHOWN} more kinds" if len(kinds) > SHOWN else ""
    raise AttributionError(
        f"{plain(path)!r} is not loaded, since it would reach out of its graph: {'; '.join(told)}{more}; if "
        "you trust whoever made it: Attributor(path, allow_unsafe=True), or --allow-unsafe"
    )


def unsafe_operations(export: Export) -> tuple[UnsafeOperation, ...]:
    """Every operation in a file that reaches out of the graph and is not expected there; those that run at load time first."""
    found = [one for meta_graph in export.meta_graphs for one in _unsafe(meta_graph, export.folder)]
    return tuple(sorted(found, key=lambda one: not one.at_load))


def unsafe_in_graph(meta_graph: Any) -> tuple[UnsafeOperation, ...]:
    """The same of a graph that is in no file."""
    return tuple(_unsafe(meta_graph, None))


def loading(meta_graph: Any) -> tuple[Loading, ...]:
    """What runs while a model is loaded, restoring its variables left out."""
    reach, found = Reach(meta_graph.graph_def), []
    for kind, names, functions in _load_roots(meta_graph):
        if kind != "restore":
            operations = reach.operations(*reach.behind(names, functions))
            shown = sorted(set(names) | set(functions))
            found.append(
                Loading(
                    kind,
                    ", ".join(shown[:SHOWN]) + (", ..." if len(shown) > SHOWN else ""),
                    tuple(sorted(operations - TRIVIAL)),
                )
            )
    return tuple(found)


class Reach:
    """What leads to what in one graph: control edges, functions, loops and branches count."""

    def __init__(self, graph: Any) -> None:
        self.nodes = {node.name: node for node in graph.node}
        self.functions = {function.signature.name: function for function in graph.library.function}
        self._calls = {
            name: {called for node in function.node_def for called in self._called(node)}
            for name, function in self.functions.items()
        }

    def behind(self, names: Iterable[str], functions: Iterable[str] = ()) -> tuple[set[str], set[str]]:
        """The nodes of the graph itself, and the functions, that run when these nodes and functions do."""
        seen, waiting = set(), [nodes.split(name)[0] for name in names]
        called = set(functions)
        while waiting:
            name = waiting.pop()
            if name not in seen and name in self.nodes:
                seen.add(name)
                node = self.nodes[name]
                waiting.extend(nodes.split(reference)[0] for reference in node.input)
                called |= self._called(node)
        reached, waiting = set(), list(called)
        while waiting:
            name = waiting.pop()
            if name not in reached and name in self.functions:
                reached.add(name)
                waiting.extend(self._calls[name])
        return seen, reached

    def operations(self, names: set[str], functions: set[str]) -> set[str]:
        """The types of operations among nodes and functions."""
        return {self.nodes[name].op for name in names} | {
            node.op for name in functions for node in self.functions[name].node_def
        }

    def _called(self, node: Any) -> set[str]:
        found = {name for _, name in nodes.functions_of(node) if name in self.functions}
        return found | {node.op} if node.op in self.functions else found


def _unsafe(meta_graph: Any, folder: Path | None) -> list[UnsafeOperation]:
    """The unexpected ones of one meta graph."""
    graph = meta_graph.graph_def
    places = [("", graph.node), *((function.signature.name, function.node_def) for function in graph.library.function)]
    functions = {function.signature.name for function in graph.library.function}
    risky = [
        (place, node, inside)
        for place, inside in places
        for node in inside
        if risk_of(node, functions) is not None or node.op in LOOPS
    ]
    found = [*_foreign_objects(meta_graph), *_large_constants(places)]
    if not risky:  # as in nearly every frozen graph
        return found
    reach = Reach(graph)
    saver = meta_graph.saver_def
    load_roots = _load_roots(meta_graph)
    at_load = reach.behind(
        [name for _, names, _ in load_roots for name in names],
        [function for _, _, functions in load_roots for function in functions],
    )
    outputs = [
        reference
        for key, signature in meta_graph.signature_def.items()
        if key != INIT_SIGNATURE
        for info in signature.outputs.values()
        for reference in references(info)
    ]
    inits = [name for kind, names, _ in load_roots if kind != "restore" for name in names]
    elsewhere = reach.behind([*outputs, *inits], meta_graph.object_graph_def.concrete_functions)
    restored = reach.behind([saver.restore_op_name])
    unfed = reach.behind([*outputs, saver.restore_op_name])

    def reached(by: tuple[set, set], place: str, node: Any) -> bool:
        return place in by[1] if place else node.name in by[0]

    filled = (
        filled_from_assets(meta_graph, folder) if any(node.op in text_and_tables.FILE_FILLS for _, node, _ in risky) else set()
    )
    for place, node, inside in risky:
        if node.op in LOOPS:  # harmless where it is called; nobody waits for an end while a model is loaded
            if reached(at_load, place, node):
                found.append(UnsafeOperation(node.op, node.name, place, "repeats something, without an end perhaps", True))
            continue
        if (
            node.op in SAVES | RESTORES
            and not reached(elsewhere, place, node)
            and not (node.op in SAVES and reached(restored, place, node))
        ):
            continue
        # a loader feeds asset tensors to the initialisers alone: elsewhere the constant in the file is read instead
        if node.op in text_and_tables.FILE_FILLS and (place, node.name) in filled and not reached(unfed, place, node):
            continue
        if is_cache_in_memory(node, inside):
            continue
        found.append(
            UnsafeOperation(node.op, node.name, place, present(risk_of(node, functions)), reached(at_load, place, node))
        )
    return found


def _foreign_objects(meta_graph: Any) -> list[UnsafeOperation]:
    """Objects that a loader would make by classes or savers that some library has registered."""
    found = []
    for number, node in enumerate(meta_graph.object_graph_def.nodes):
        names = {node.registered_name, node.registered_saver} - {"", *REGISTERED}
        found += [
            UnsafeOperation(name, f"object {number}", "", "is a class that its author registered", True)
            for name in sorted(names)
        ]
    return found


def _large_constants(places: Iterable[tuple[str, Iterable[Any]]]) -> list[UnsafeOperation]:
    """The constants behind which a graph claims more than it may: one value stands for any number in a file."""
    found, claimed = [], 0
    for place, inside in places:
        for node in inside:
            if node.op == "Const" and "value" in node.attr:
                tensor = node.attr["value"].tensor
                claimed += math.prod(max(size.size, 0) for size in tensor.tensor_shape.dim) * 4
                if claimed > MAX_CONSTANTS + tensor.ByteSize():
                    found.append(UnsafeOperation("Const", node.name, place, f"claims {claimed / 2**30:,.0f} GB", True))
                    claimed = 0
    return found


def _load_roots(meta_graph: Any) -> list[tuple[str, list[str], list[str]]]:
    """(kind, nodes of the graph, functions) of what a loader runs."""
    found = []
    for key in LOAD_COLLECTIONS:
        names = list(meta_graph.collection_def[key].node_list.value) if key in meta_graph.collection_def else []
        if names:
            found.append((key.removeprefix("saved_model_"), names, []))
    if INIT_SIGNATURE in meta_graph.signature_def:
        outputs = meta_graph.signature_def[INIT_SIGNATURE].outputs.values()
        names = [reference for info in outputs for reference in references(info)]
        if not any(names == known for _, known, _ in found):
            found.append(("initialiser", names, []))
    names = [variable.initializer_name for variable in collected_variables(meta_graph, "local_variables")]
    if names:
        found.append(("local variables", names, []))
    objects = meta_graph.object_graph_def.nodes
    children = [
        (child.local_name, child.node_id) for owner in objects for child in owner.children if child.local_name in LOAD_FUNCTIONS
    ]
    for local_name in LOAD_FUNCTIONS:
        functions = [function for name, number in children if name == local_name for function in _functions(objects, number)]
        if functions:
            found.append((local_name.strip("_"), [], functions))
    restores = [
        function
        for owner in objects
        for saveable in owner.saveable_objects.values()
        for function in _functions(objects, saveable.restore_function)
    ]
    found.append(("restore", [meta_graph.saver_def.restore_op_name], restores))
    return found


def collected_variables(meta_graph: Any, collection: str) -> list[Any]:
    """The VariableDefs in a collection of TensorFlow 1."""
    if collection not in meta_graph.collection_def:
        return []
    found = []
    for value in meta_graph.collection_def[collection].bytes_list.value:
        with contextlib.suppress(DecodeError):
            made = variable_pb2.VariableDef  # pyright: ignore[reportAttributeAccessIssue] (made at run time)
            found.append(made.FromString(value))
    return found


def _functions(objects: Any, number: int) -> list[str]:
    """The names of the functions that an object of the object graph is."""
    if not 0 <= number < len(objects):
        return []
    found = objects[number]
    if found.WhichOneof("kind") == "function":
        return list(found.function.concrete_functions)
    if found.WhichOneof("kind") == "bare_concrete_function":
        return [found.bare_concrete_function.concrete_function_name]
    return []
