"""`vocabulary(model_or_path)`: the words behind token ids, as a model's lookup layers or hash tables have them.

An export is read, never loaded: its graph, the text files in its assets, and of a mutable table its checkpoint.
"""

import dataclasses
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ...common.errors import AttributionError, nearest, plain
from ...common.tokens import lines_of
from ...common.types import present
from ..graphdef import constants, nodes
from ..graphdef.scopes import Instance, Source, Walker
from ..traced import keras_model
from . import assets, text_and_tables
from .file import is_export, read
from .id_sources import FINDS, RAGGED, UNKNOWN, export_table
from .inspect import MAX_SIGNATURES
from .keras_file import load_model
from .signature import Reading, read_signature, references_of, signatures_of

# Keys of all tables; what a checkpoint claims is checked before any of it is read.
MAX_KEYS = 20_000_000
MAX_TABLES = 1000
# A list for people has few gaps: with more than this many for each key it is a dict.
GAPS = 4
# In the attributes of the operation that fills a table from a file.
LINE_NUMBER = -1
# What the names of operations that look something up end with.
ENDINGS = ("_Lookup", "LookupTableFind", "LookupTableFindV2")

# A table's contents: keys and values in the same order.
Contents = tuple[list, list]


@dataclasses.dataclass(frozen=True)
class Found:
    """A vocabulary: what it may be called, the first name for people, and its tokens by index."""

    names: tuple[str, ...]
    tokens: dict[int, str]


def vocabulary(model_or_path: Any, name: str | None = None) -> list[str] | dict[int, str]:
    """The tokens of a model in the order of their indices: `vocabulary(model)[id]` is the word behind an id.

    Args:
        model_or_path: a Keras model, its `.keras` or `.h5` file, a SavedModel's folder, its `saved_model.pb`, or a frozen
            graph. Exports are read and never loaded.
        name: of a layer or table, where the model has several vocabularies.

    Returns:
        A list, "" at indices without a token, "[UNK]" at the one of unknown words; a dict by index where a list would be
        mostly empty, or indices are negative.

    Raises:
        AttributionError: no vocabulary, several and no name, no such name, or a model that cannot be read.
    """
    shown = repr(plain(getattr(model_or_path, "name", model_or_path)))
    path = Path(model_or_path) if isinstance(model_or_path, str | os.PathLike) else None
    if path is not None and is_export(path):
        found = _merged(_in_export(path))
    else:
        model = model_or_path if path is None else load_model(path)
        if not keras_model.is_keras(model):
            raise AttributionError(f"vocabulary takes a Keras model or a path, got {type(model).__name__}")
        found = _merged(_in_keras(model))
    if not found:
        raise AttributionError(
            f"{shown} has no vocabulary that could be read: no StringLookup, TextVectorization or hash "
            "table with words in it; hash buckets have none, their words are those of each input"
        )
    fitting = [one for one in found if name is None or name in one.names]
    if not fitting:
        raise AttributionError(
            f"no vocabulary is called {plain(name)!r}; there are, with their numbers of tokens: {_listed(found, present(name))}"
        )
    if len(fitting) > 1:
        raise AttributionError(
            f"{shown} has {len(fitting)} vocabularies, say which, such as name={fitting[0].names[0]!r}; "
            f"with their numbers of tokens: {_listed(fitting)}"
        )
    return in_order(fitting[0].tokens)


def _listed(found: list[Found], name: str = "") -> str:
    return nearest(name, {one.names[0]: (len(one.tokens),) for one in found})


def in_order(tokens: dict[int, str]) -> list[str] | dict[int, str]:
    """Tokens as a list by index, or as a sorted dict where that list would be mostly empty."""
    if min(tokens) < 0 or max(tokens) >= GAPS * len(tokens) + 1000:
        return dict(sorted(tokens.items()))
    return [tokens.get(index, "") for index in range(max(tokens) + 1)]


def _merged(found: Iterable[Found]) -> list[Found]:
    """Each vocabulary once, by all of its names: a TextVectorization holds a StringLookup of the same words."""
    merged: list[Found] = []
    for one in found:
        same = next((number for number, other in enumerate(merged) if other.tokens == one.tokens), None)
        if same is None:
            merged.append(one)
        else:
            merged[same] = Found(tuple(dict.fromkeys(merged[same].names + one.names)), one.tokens)
    taken: dict[str, int] = {}
    for one in merged:
        taken[one.names[0]] = taken.get(one.names[0], 0) + 1
    # of two that are called alike, the path tells which
    return [one if taken[one.names[0]] == 1 else Found((one.names[-1], *one.names), one.tokens) for one in merged]


def _by_index(contents: Contents, default: Any = None, padded: bool = False) -> dict[int, str]:
    """Tokens by index, whichever way round the table goes.

    Args:
        contents: keys and values.
        default: what the table gives for a key that it does not have.
        padded: whether sequences are filled up with zeros behind it, so that 0 is not the mark of an unknown word.
    """
    keys, values = contents
    if values and isinstance(values[0], str):
        keys, values = values, keys
    if not all(isinstance(value, int) for value in values):
        return {}
    tokens = {value: str(key) for key, value in zip(keys, values, strict=True)}
    if tokens and isinstance(default, int) and (default > 0 or (default == 0 and not padded)):
        tokens.setdefault(default, UNKNOWN)
    return tokens


# Keras


def _in_keras(model: Any) -> Iterator[Found]:
    """The vocabularies of the layers of a model."""
    for layer in keras_model.layers(model):
        if hasattr(layer, "get_vocabulary"):
            yield Found((layer.name,), dict(enumerate(str(word) for word in layer.get_vocabulary())))
            continue
        for attribute, value in vars(layer).items():
            if hasattr(value, "resource_handle") and hasattr(value, "lookup"):  # a table of tf.lookup
                keys, values = export_table(value.resource_handle, value.key_dtype, value.value_dtype)
                contents = [_plain(one) for one in keys.tolist()], [_plain(one) for one in values.tolist()]
                default = getattr(value, "default_value", None)
                tokens = _by_index(contents, None if default is None else _plain(np.asarray(default).item()))
                if tokens:
                    yield Found((layer.name, f"{layer.name}/{attribute}"), tokens)


def _plain(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


# Exports


def _in_export(path: Path) -> Iterator[Found]:
    """The vocabularies of the tables that signatures use, or where none does, of all tables."""
    export = read(path)
    meta_graph = export.serving
    walker = Walker(meta_graph.graph_def)
    contents = _table_contents(walker, assets.assets_of(meta_graph, export.folder))
    uses: dict[Instance, tuple[Reading, Instance, list[Source | None]]] = {}
    for name, signature in list(signatures_of(meta_graph, walker).items())[:MAX_SIGNATURES]:
        reading = read_signature(walker, name, *references_of(meta_graph, name, signature))
        for instance, sources in reading.walked.items():
            if instance.operation in FINDS and sources and sources[0] is not None:
                uses.setdefault(sources[0].instance, (reading, instance, sources))
    missing = [handle for handle in uses if not contents.get(handle, ([], []))[0]]
    if missing and export.folder is not None:
        contents |= _from_checkpoint(meta_graph, export.folder, missing)
    for handle in uses or contents:
        reading, instance, sources = uses.get(handle, (None, handle, []))
        default = constants.scalar(sources[2].instance.node) if len(sources) > 2 and sources[2] is not None else None
        padded = reading is not None and any(one.operation in RAGGED for one in reading.walked)
        tokens = _by_index(contents.get(handle, ([], [])), default, padded)
        if tokens:
            yield Found(_names(instance, handle), tokens)


def _names(instance: Instance, handle: Instance) -> tuple[str, ...]:
    """What a table may be called: the layer that looks words up in it, the layers around that, its operation, its path."""
    parts = instance.node.name.split("/")
    while parts and parts[-1].endswith(ENDINGS):
        parts.pop()
    if instance is handle or not parts:
        return handle.node.name, handle.name
    return tuple(plain(name) for name in dict.fromkeys([*reversed(parts), handle.node.name, "/".join(parts)]))


def _table_contents(walker: Walker, assets: dict[str, Path | None]) -> dict[Instance, Contents]:
    """Keys and values of the tables that are filled from constants or from files in the export's assets."""
    found: dict[Instance, Contents] = {}
    variables, left = text_and_tables.assigned(walker), MAX_KEYS
    for scope, node in text_and_tables.filling_nodes(walker):
        sources = [walker.resolve(scope, reference) for reference in nodes.data_inputs(node)]
        if len(sources) < 2 or sources[0] is None or sources[1] is None:
            continue
        if node.op in text_and_tables.FILLS:
            keys = constants.values(sources[1].instance.node)
            values = _values(walker, sources[2] if len(sources) > 2 else None, len(keys))
            contents = (keys, values) if len(values) == len(keys) else ([], [])
        else:
            origin = text_and_tables.file_source(walker, sources[1], variables)
            file = assets.get(origin.name) if origin is not None else None
            types = [
                handle.attr[key].type if key in handle.attr else text_and_tables.STRING
                for handle in [sources[0].instance.node]
                for key in ("key_dtype", "value_dtype")
            ]
            contents = _lines(node, file, *types) if file is not None else ([], [])
        # a hostile file may fill any number of tables from one constant
        left -= len(contents[0])
        if left < 0 or len(found) >= MAX_TABLES:
            raise AttributionError(f"the tables hold more than {MAX_KEYS:,} words, or are more than {MAX_TABLES:,}")
        if contents[0] or sources[0].instance not in found:
            found[sources[0].instance] = contents
    return found


def _values(walker: Walker, source: Source | None, count: int) -> list:
    """The `count` values of a constant, or of a range of numbers."""
    for _ in range(text_and_tables.NEAR):
        if source is None:
            return []
        inner = walker.sources(source.instance)
        if source.instance.operation == "Range":
            numbers = [constants.scalar(one.instance.node) if one is not None else None for one in inner]
            start, _, step = numbers if len(numbers) == 3 else (None, None, None)
            is_known = isinstance(start, int) and isinstance(step, int)
            return [present(start) + present(step) * number for number in range(count)] if is_known else []
        if source.instance.operation not in ("Identity", "Cast"):
            break
        source = next(iter(inner), None)
    if source is None or source.instance.operation != "Const":
        return []
    values = constants.values(source.instance.node) or [0]  # a proto may leave out zeros
    return [*values, *[values[-1]] * (count - len(values))][: max(count, len(values))]


def _lines(node: Any, file: Path, key_type: int, value_type: int) -> Contents:
    """Keys and values of a table that is filled from a text file, one of them the number of the line perhaps."""
    data = file.read_bytes() if file.is_file() and file.stat().st_size <= text_and_tables.MAX_FILE else b""
    if data.count(b"\n") > MAX_KEYS:
        return [], []

    def number(key: str, default: int) -> int:
        return node.attr[key].i if key in node.attr else default

    offset, size = number("offset", 0), number("vocab_size", -1)
    delimiter = nodes.text_attribute(node, "delimiter") or "\t"
    lines = lines_of(data.decode("utf-8", "replace"))
    lines = lines[:size] if size >= 0 else lines

    def column(index: int, dtype: int) -> list:
        if index == LINE_NUMBER:
            return list(range(offset, offset + len(lines)))
        texts = lines if index == text_and_tables.WHOLE_LINE else [_part(line.split(delimiter), index) for line in lines]
        if dtype == text_and_tables.STRING:
            return texts
        return [int(text) if len(text) < 20 and text.removeprefix("-").isdecimal() else None for text in texts]

    keys = column(number("key_index", LINE_NUMBER), key_type)
    values = column(number("value_index", LINE_NUMBER), value_type)
    whole = [(key, value) for key, value in zip(keys, values, strict=True) if key is not None and value is not None]
    return [key for key, _ in whole], [value for _, value in whole]


def _part(parts: list[str], index: int) -> str:
    return parts[index] if 0 <= index < len(parts) else ""


def _from_checkpoint(meta_graph: Any, folder: Path, handles: list[Instance]) -> dict[Instance, Contents]:
    """Keys and values of mutable tables, which a SavedModel has beside its variables."""
    prefix = folder / "variables" / "variables"
    files = list(prefix.parent.glob("variables.*"))
    if not prefix.with_name("variables.index").is_file() or not all(file.is_file() for file in files):
        return {}
    limit = min(MAX_KEYS, sum(file.stat().st_size for file in files))
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        shapes = reader.get_variable_to_shape_map()
        found = {}
        for handle in handles:
            start = next(
                (
                    name
                    for name in _saved_names(meta_graph, handle, shapes)
                    if shapes[name + "-keys"] == shapes.get(name + "-values") != []
                ),
                None,
            )
            if start is not None and np.prod(shapes[start + "-keys"], dtype=float) <= limit:
                keys, values = (reader.get_tensor(start + part).ravel().tolist() for part in ("-keys", "-values"))
                found[handle] = [_plain(key) for key in keys], [_plain(value) for value in values]
        return found
    except Exception as error:  # TensorFlow raises many kinds here
        raise AttributionError(
            f"the checkpoint in {plain(folder)!r}, which holds the words, cannot be read: {plain(error, 200)}"
        ) from error


def _saved_names(meta_graph: Any, handle: Instance, shapes: dict[str, list]) -> Iterator[str]:
    """What a table's keys may be called in the checkpoint, "-keys" left out."""
    names = [name.removesuffix("-keys") for name in shapes if name.endswith("-keys")]
    yield from (name for name in names if name == handle.node.name)  # TensorFlow 1
    numbers = _numbers(meta_graph, handle.node.name)
    yield from (name for name in names if _number_at(meta_graph, name.split("/.ATTRIBUTES/")[0]) in numbers)


def _numbers(meta_graph: Any, node_name: str) -> set[int]:
    """The numbers in the object graph of what a node of the graph stands for."""
    objects, found = meta_graph.object_graph_def, set()
    for node in meta_graph.graph_def.node:
        for _, called in nodes.functions_of(node):
            if called in objects.concrete_functions:
                # the last inputs of a call are what the object graph binds to its function
                bound = objects.concrete_functions[called].bound_inputs
                pairs = zip(reversed(nodes.data_inputs(node)), reversed(bound), strict=False)
                found.update(number for reference, number in pairs if nodes.split(reference)[0] == node_name)
    return found


def _number_at(meta_graph: Any, path: str) -> int | None:
    """The number of the object that a checkpoint calls `path`."""
    objects, number = meta_graph.object_graph_def.nodes, 0
    for part in path.split("/"):
        name = part.replace(".S", "/").replace("..", ".")
        if not 0 <= number < len(objects):
            return None
        number = next((child.node_id for child in objects[number].children if child.local_name == name), -1)
    return number
