"""What an inspection finds: small frozen values, printed by `report` and written as JSON as they are."""

import dataclasses
from pathlib import Path

from ..graphdef.nodes import Shape


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """A tensor: `shape` has None for an axis of any size, and is None where nothing is known."""

    name: str
    dtype: str
    shape: Shape


@dataclasses.dataclass(frozen=True)
class FloatTensor:
    """A tensor that attributions can be had at or of: `layer` is the path of the layer that gives it, in a Keras model."""

    signature: str
    name: str
    dtype: str
    shape: Shape
    layer: str | None = None


@dataclasses.dataclass(frozen=True)
class Signature:
    """What a model takes and gives, by the names that a caller uses."""

    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]


@dataclasses.dataclass(frozen=True)
class SavedHead:
    """A probability head.

    Attributes:
        signature, output: where it stands.
        kind: softmax, log_softmax or sigmoid.
        tensor: what the head gives.
        logits: the tensor beneath it.
        shape: of the logits.
        reason: why it is believed to be one.
        applied: False where the model gives logits and the activation is in its compiled loss.
    """

    signature: str
    output: str
    kind: str
    tensor: str
    logits: str
    shape: Shape
    reason: str
    applied: bool = True


@dataclasses.dataclass(frozen=True)
class Embedding:
    """A lookup of rows of a float table.

    Attributes:
        signature: where it is used.
        name: of the layer in a Keras model, else of the operation.
        tensor: the rows that were looked up.
        shape: of that tensor.
        indices: the tensor that selects the rows.
        table: name of the variable or constant.
        table_shape: (rows, dimension).
        inputs: names of the signature's inputs that the indices come from; empty for positions and other constants.
        combiner: what becomes of the rows next: sum, mean, sqrtn, max, or none.
        pattern: the operations that it was recognised by.
        reason: the same in words, with what was followed.
        addressable: False inside a loop or branch, where a tensor cannot be fed from outside.
    """

    signature: str
    name: str
    tensor: str
    shape: Shape
    indices: str
    table: str
    table_shape: Shape
    inputs: tuple[str, ...]
    combiner: str
    pattern: str
    reason: str
    addressable: bool = True


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """An operation on strings, or a table from keys to ids, in front of the model.

    Attributes:
        signature: where it is used.
        kind: text, lookup table, hash buckets or parsing.
        operation: its type.
        tensor: what it gives.
        inputs: names of the signature's inputs that it works on.
        table: name of the table, None for other kinds.
        file: of the table's contents, where they are in a file.
        keys: the table's keys, where they are constants of the graph or the lines of such a file.
        count: number of keys, or of hash buckets; None where unknown.
        reason: why it counts as this kind.
    """

    signature: str
    kind: str
    operation: str
    tensor: str
    inputs: tuple[str, ...]
    reason: str
    table: str | None = None
    file: Path | None = None
    keys: tuple = ()
    count: int | None = None


@dataclasses.dataclass(frozen=True)
class Variable:
    """A variable that the signatures read; `trainable` is None where the file does not say."""

    name: str
    shape: Shape
    dtype: str
    trainable: bool | None = None


@dataclasses.dataclass(frozen=True)
class UnsafeOperation:
    """An operation that reaches out of the graph.

    Attributes:
        operation: its type.
        name: of the node.
        function: the function that it is in, "" for the graph itself.
        reason: what it may do.
        at_load: whether loading the model runs it.
    """

    operation: str
    name: str
    function: str
    reason: str
    at_load: bool


@dataclasses.dataclass(frozen=True)
class Loading:
    """Something that runs while the model is loaded: `operations` are the types that it runs, constants and such left out."""

    kind: str
    name: str
    operations: tuple[str, ...]
