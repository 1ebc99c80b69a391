"""Shards in files: Parquet where pyarrow is installed, else `.npz`; written block by block, so that none is held whole."""

import contextlib
import itertools
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ...common.errors import AttributionError, MissingExtra, plain
from ...common.opening import open_regular
from ...common.types import present
from .blocks import Block
from .paths import arrow

METADATA = "tf_attrib"
# A column of arrays of different shapes, or of texts, is one of lists, beside one of their shapes.
SHAPE = "/shape"


def kind() -> str:
    """How shards are stored here: "parquet", or "npz" where pyarrow is not installed."""
    try:
        arrow()
    except MissingExtra:
        return "npz"
    return "parquet"


def write(file: BinaryIO, blocks: Iterator[Block], how: str) -> None:
    """Writes a shard; the words of its blocks are joined."""
    (_write_parquet if how == "parquet" else _write_npz)(file, blocks)


def read(path: Path, names: Sequence[str] | None = None) -> Iterator[Block]:
    """The blocks of a shard; of some columns alone where they are named.

    Raises:
        AttributionError: it is no shard, or is damaged.
    """
    try:
        yield from (_read_parquet if path.suffix == ".parquet" else _read_npz)(path, names)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        if isinstance(error, AttributionError):
            raise
        raise AttributionError(f"{str(path)!r} is no whole shard: {plain(error, 300)}; delete it and run again") from error


def count(path: Path) -> int:
    """How many entries a shard has."""
    if path.suffix == ".parquet":
        with open_regular(path) as file:
            return arrow()[1].read_metadata(file).num_rows
    return sum(len(block) for block in read(path, ["id"]))


def rows(path: Path) -> int | None:
    """How many rows a shard is of; None where it has entries for positions."""
    blocks = list(read(path, ["id", "example"]))
    return None if any("example" in block.columns for block in blocks) else sum(map(len, blocks))


def _merged(header: dict | None, other: dict | None) -> dict | None:
    """The words of two blocks: those of the first, with the notes and names of classes of both."""
    if header is None or other is None:
        return header or other
    words = dict(header["words"])
    words["notes"] = list(dict.fromkeys((*words.get("notes", ()), *other["words"].get("notes", ()))))
    words["class_names"] = dict(words.get("class_names", {})) | dict(other["words"].get("class_names", {}))
    return {**header, "words": words}


# .npz: one array for each block and column


def _write_npz(file: BinaryIO, blocks: Iterator[Block]) -> None:
    header, number = None, 0
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:

        def put(name: str, array: np.ndarray) -> None:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)

        for number, block in enumerate(blocks, 1):
            header = _merged(header, block.header)
            for name, values in block.columns.items():
                put(f"{number - 1}/{name}", values)
        put(METADATA, np.asarray(json.dumps({"header": header, "blocks": number})))


def _read_npz(path: Path, names: Sequence[str] | None) -> Iterator[Block]:
    with open_regular(path) as file, np.load(file, allow_pickle=False) as stored:
        told = json.loads(str(stored[METADATA]))
        for number in range(told["blocks"]):
            prefix = f"{number}/"
            columns = [name.removeprefix(prefix) for name in stored.files if name.startswith(prefix)]
            wanted = [name for name in columns if names is None or name in names]
            yield Block({name: stored[prefix + name] for name in wanted}, told["header"])


# Parquet: a row group for each block


def _write_parquet(file: BinaryIO, blocks: Iterator[Block]) -> None:
    header, writer, schema = None, None, None
    try:
        for block in blocks:
            header = _merged(header, block.header)
            table = _table(block.columns, set() if schema is None else _lists(schema))
            if schema is not None and table.schema != schema:
                lists = {*_lists(schema), *_apart(table, schema)}
                table = _table(block.columns, lists)
                present(writer).close()
                writer = _written_anew(file, lists)
            writer = writer or _writer(file, table.schema)
            schema = table.schema
            writer.write_table(table)
        if writer is not None:
            writer.add_key_value_metadata({METADATA: json.dumps({"header": header})})
            writer.close()
    except BaseException:
        with contextlib.suppress(Exception):  # else it closes itself later, when the file is no more
            present(writer).close()
        raise


def _writer(file: BinaryIO, schema: Any) -> Any:
    return arrow()[1].ParquetWriter(file, schema, use_dictionary=False)


def _apart(table: Any, schema: Any) -> list[str]:
    """The columns of arrays whose shape is another than that of the blocks before.

    Raises:
        AttributionError: blocks that differ in more.
    """
    differ = [name for name in schema.names if name not in table.schema.names or table.schema.field(name) != schema.field(name)]
    if any(name not in table.schema.names or arrow()[0].types.is_primitive(schema.field(name).type) for name in differ):
        raise AttributionError(f"batches of one shard differ in {', '.join(differ)}: {table.schema} and {schema}")
    return differ


def _lists(schema: Any) -> set[str]:
    """The columns that are lists."""
    return {name.removesuffix(SHAPE) for name in schema.names if name.endswith(SHAPE)}


def _written_anew(file: BinaryIO, lists: set[str]) -> Any:
    """A writer of what a file holds, with these columns as lists; what it holds is written already."""
    _, parquet = arrow()
    with tempfile.TemporaryFile() as copy:
        file.seek(0)
        shutil.copyfileobj(file, copy)
        file.seek(0)
        file.truncate()
        before, writer = parquet.ParquetFile(copy), None
        for number in range(before.num_row_groups):
            for columns in _columns(before.read_row_group(number)):
                table = _table(columns, lists)
                writer = writer or _writer(file, table.schema)
                writer.write_table(table)
        return writer


def _table(columns: dict[str, np.ndarray], lists: set[str]) -> Any:
    """The columns of a block as a table of Arrow; those in `lists` are lists."""
    pa, _ = arrow()
    found = {}
    for name, values in columns.items():
        if values.ndim == 1:
            found[name] = pa.array(values)
        elif name in lists or values.dtype.kind not in "iuf":
            flat = values.reshape(len(values), -1)
            ends = np.arange(len(values) + 1, dtype=np.int32) * flat.shape[1]
            found[name] = pa.ListArray.from_arrays(ends, pa.array(flat.ravel()))
            shape = np.tile(np.array(values.shape[1:], np.int32), len(values))
            ends = np.arange(len(values) + 1, dtype=np.int32) * (values.ndim - 1)
            found[name + SHAPE] = pa.ListArray.from_arrays(ends, shape)
        else:
            flat = pa.array(np.ascontiguousarray(values).ravel())
            tensor = pa.fixed_shape_tensor(flat.type, values.shape[1:])
            stored = pa.FixedSizeListArray.from_arrays(flat, int(np.prod(values.shape[1:])))
            found[name] = pa.ExtensionArray.from_storage(tensor, stored)
    return pa.table(found)


def _read_parquet(path: Path, names: Sequence[str] | None) -> Iterator[Block]:
    with open_regular(path) as file:
        opened = arrow()[1].ParquetFile(file)
        header = json.loads((opened.metadata.metadata or {})[METADATA.encode()])["header"]
        wanted = None if names is None else [one for one in opened.schema_arrow.names if one.removesuffix(SHAPE) in names]
        for number in range(opened.num_row_groups):
            for columns in _columns(opened.read_row_group(number, columns=wanted)):
                yield Block(columns, header)


def _columns(table: Any) -> Iterator[dict[str, np.ndarray]]:
    """The columns of a row group as arrays, cut where the shapes of those of lists change."""
    pa, _ = arrow()
    lists = {}
    for name in sorted(_lists(table.schema)):
        shapes = table[name + SHAPE].to_pylist()
        lists[name] = [tuple(shape) for shape in shapes]
    rows = list(zip(*lists.values(), strict=True)) or [()] * table.num_rows
    cuts = [0, *(place for place in range(1, len(rows)) if rows[place] != rows[place - 1]), table.num_rows]
    for start, stop in itertools.pairwise(cuts):
        part, found = table.slice(start, stop - start), {}
        for name in (one for one in table.column_names if not one.endswith(SHAPE)):
            values = pa.concat_arrays(part[name].chunks)
            if name in lists:
                flat = _numpy(values.flatten())
                found[name] = flat.reshape(stop - start, *lists[name][start])
            else:
                is_tensor = isinstance(values, pa.FixedShapeTensorArray)
                found[name] = values.to_numpy_ndarray().copy() if is_tensor else _numpy(values)
        yield found


def _numpy(values: Any) -> np.ndarray:
    """Numbers, or text of fixed width, that may be written to."""
    array = values.to_numpy(zero_copy_only=False)
    return array.astype(str) if array.dtype == object else array.copy()
