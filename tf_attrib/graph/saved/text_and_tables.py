"""Strings and tables in front of a model, found on a graph that was not loaded: text operations, hash tables, hash buckets."""

import dataclasses
from pathlib import Path
from typing import Any

from ...common.tokens import lines_of
from ..graphdef import constants, nodes
from ..graphdef.scopes import Instance, Scope, Source, Walker
from .contents import Preprocessing
from .signature import Reading

TEXT = frozenset(
    {
        "AsString",
        "ReduceJoin",
        "RegexFullMatch",
        "RegexReplace",
        "StaticRegexFullMatch",
        "StaticRegexReplace",
        "StringFormat",
        "StringJoin",
        "StringLength",
        "StringLower",
        "StringNGrams",
        "StringSplit",
        "StringSplitV2",
        "StringStrip",
        "StringToNumber",
        "StringUpper",
        "Substr",
        "UnicodeDecode",
        "UnicodeDecodeWithOffsets",
        "UnicodeEncode",
        "UnicodeScript",
        "UnicodeTranscode",
    }
)
BUCKETS = frozenset({"StringToHashBucket", "StringToHashBucketFast", "StringToHashBucketStrong"})
PARSING = frozenset(
    {
        "DecodeAndCropJpeg",
        "DecodeBase64",
        "DecodeBmp",
        "DecodeCSV",
        "DecodeCompressed",
        "DecodeGif",
        "DecodeImage",
        "DecodeJpeg",
        "DecodeJSONExample",
        "DecodePaddedRaw",
        "DecodePng",
        "DecodeProtoV2",
        "DecodeRaw",
        "DecodeWav",
        "ParseExample",
        "ParseExampleV2",
        "ParseSequenceExample",
        "ParseSequenceExampleV2",
        "ParseSingleExample",
        "ParseTensor",
    }
)
FINDS = frozenset({"LookupTableFind", "LookupTableFindV2"})
FILLS = frozenset({"LookupTableImport", "LookupTableImportV2", "InitializeTable", "InitializeTableV2"})
FILE_FILLS = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
# Of a table's text file, the whole line is the key.
WHOLE_LINE = -2
MAX_FILE = 2**28
STRING = 7
# How many operations are looked through for the name of a file.
NEAR = 12


@dataclasses.dataclass(frozen=True)
class Contents:
    """What a table is filled with: `count` is None where it is not known."""

    keys: tuple = ()
    count: int | None = None
    file: Path | None = None


def find_preprocessing(reading: Reading, tables: dict[Instance, Contents]) -> list[Preprocessing]:
    """The operations on text and the tables that the outputs of a signature depend on.

    Args:
        reading: the signature.
        tables: what `read_tables` returns.
    """
    found = []
    for instance, sources in reading.walked.items():
        operation, tensor = instance.operation, f"{instance.name}:0"
        given = [source for source in sources if source is not None]
        if operation in TEXT:
            found.append(
                Preprocessing(reading.name, "text", operation, tensor, reading.fed_by(*given), f"{operation} works on strings")
            )
        elif operation in PARSING:
            found.append(
                Preprocessing(
                    reading.name,
                    "parsing",
                    operation,
                    tensor,
                    reading.fed_by(*given),
                    f"{operation} reads values out of strings",
                )
            )
        elif operation in BUCKETS:
            count = instance.node.attr["num_buckets"].i if "num_buckets" in instance.node.attr else None
            found.append(
                Preprocessing(
                    reading.name,
                    "hash buckets",
                    operation,
                    tensor,
                    reading.fed_by(*given),
                    f"{operation} puts each string into one of {count} buckets",
                    count=count,
                )
            )
        elif operation in FINDS and len(given) > 1:
            found.append(_table(reading, instance, given, tables))
    return found


def _table(reading: Reading, instance: Instance, sources: list[Source], tables: dict[Instance, Contents]) -> Preprocessing:
    handle = sources[0].instance
    contents = tables.get(handle, Contents())
    if contents.file is not None:
        origin = f"filled from the file {contents.file.name!r}"
    else:
        origin = f"filled with {contents.count} constant keys" if contents.count is not None else "of unknown contents"
    return Preprocessing(
        reading.name,
        "lookup table",
        instance.operation,
        f"{instance.name}:0",
        reading.fed_by(sources[1]),
        f"{instance.operation} looks strings or numbers up in {handle.name!r}, {origin}",
        handle.name,
        contents.file,
        contents.keys,
        contents.count,
    )


def read_tables(walker: Walker, assets: dict[str, Path | None]) -> dict[Instance, Contents]:
    """What each table of the graph is filled with when it is initialised.

    Args:
        walker: of the graph.
        assets: by the reference of a tensor in the graph, the file that it names, None for one outside of the export.
    """
    found: dict[Instance, Contents] = {}
    variables = assigned(walker)
    for scope, node in filling_nodes(walker):
        handle, *sources = [walker.resolve(scope, reference) for reference in nodes.data_inputs(node)] or [None]
        if handle is None or not sources or sources[0] is None:
            continue
        if node.op in FILLS:
            keys = constants.values(sources[0].instance.node)
            found[handle.instance] = Contents(tuple(keys), len(keys) if sources[0].instance.operation == "Const" else None)
        else:
            origin = file_source(walker, sources[0], variables)
            file = assets.get(origin.name) if origin is not None else None
            found[handle.instance] = _file_contents(node, file)
    return found


def filling_nodes(walker: Walker) -> list[tuple[Scope, Any]]:
    """The nodes that fill tables, each with every scope that it has within the graph."""
    found = [(walker.top, node) for node in walker.top.body.nodes.values() if node.op in FILLS | FILE_FILLS]
    for name, function in walker.functions.items():
        inside = [node for node in function.node_def if node.op in FILLS | FILE_FILLS]
        if inside:
            found.extend((scope, node) for scope in walker.uses(name) for node in inside)
    return found


def assigned(walker: Walker) -> dict[str, Source | None]:
    """For each variable of the graph that holds a string, what is assigned to it; None where that is not the only use.

    TensorFlow puts the name of an asset into such a variable, for a table's initialiser to read.
    """
    top = walker.top.body.nodes
    names = {
        name
        for name, node in top.items()
        if node.op == "VarHandleOp" and "dtype" in node.attr and node.attr["dtype"].type == STRING
    }
    users: dict[str, list[Any]] = {name: [] for name in names}
    for node in top.values():
        for reference in nodes.data_inputs(node):
            name = nodes.split(reference)[0]
            if name in names and node.op not in ("ReadVariableOp", "VarIsInitializedOp"):
                users[name].append(node)
    return {
        name: walker.resolve(walker.top, nodes.data_inputs(found[0])[-1])
        if len(found) == 1 and found[0].op == "AssignVariableOp"
        else None
        for name, found in users.items()
    }


def file_source(walker: Walker, source: Source, variables: dict[str, Source | None]) -> Source | None:
    """The tensor that a file's name comes from, through a variable in `variables` (`assigned`) perhaps; None if unknown."""
    for _ in range(NEAR):
        node = source.instance.node
        if node.op == "VarHandleOp":
            return variables.get(node.name) if source.instance.scope is walker.top else None
        if node.op not in ("Identity", "ReadVariableOp"):
            return source
        inner = walker.sources(source.instance)
        if not inner or inner[0] is None:
            return None
        source = inner[0]
    return None


def _file_contents(node: Any, file: Path | None) -> Contents:
    """The lines of a table's file, where it is at hand; only files inside the export are ever given."""
    if file is None or not file.is_file() or file.stat().st_size > MAX_FILE:
        return Contents(file=file)
    lines = lines_of(file.read_bytes().decode("utf-8", "replace"))
    whole = "key_index" in node.attr and node.attr["key_index"].i == WHOLE_LINE
    return Contents(tuple(lines) if whole else (), len(lines), file)
