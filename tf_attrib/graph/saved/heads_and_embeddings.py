"""Probability heads and embedding lookups, recognised on the nodes of a graph that was not loaded."""

from typing import Any

from ...common.types import present
from ..graphdef import constants, nodes
from ..graphdef.scopes import Instance, Source
from ..traced.heads_and_lookups import HEADS, PASS
from .computed_tables import VARIABLES, Dequantised, Table, computed, dequantised, of_weights, variable_name
from .contents import Embedding, SavedHead
from .signature import RESHAPES, Reading

# Between a variable and the place where its values are used; "Enter" takes it into a loop of TensorFlow 1.
READS = PASS | {"ReadVariableOp", "Enter", "RefEnter", "Switch", "RefSwitch"}
GATHERS = frozenset({"ResourceGather", "GatherV2", "Gather"})
PRODUCTS = frozenset({"MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum"})
SEGMENTS = {
    "SparseSegmentSum": "sum",
    "SparseSegmentSumWithNumSegments": "sum",
    "SparseSegmentMean": "mean",
    "SparseSegmentMeanWithNumSegments": "mean",
    "SparseSegmentSqrtN": "sqrtn",
    "SparseSegmentSqrtNWithNumSegments": "sqrtn",
    "SegmentSum": "sum",
    "SegmentSumV2": "sum",
    "SegmentMean": "mean",
    "UnsortedSegmentSum": "sum",
}
REDUCTIONS = {"Sum": "sum", "Mean": "mean", "Max": "max"}
# How many operations are looked through for what becomes of the rows, or for the table beneath.
NEAR = 12


def find_heads(reading: Reading) -> list[SavedHead]:
    """The softmax, log-softmax or sigmoid that stands at each output of a signature, if any."""
    found = []
    for output, source in reading.outputs.items():
        tensor, passed = _through(reading, source, PASS | RESHAPES)
        kind = HEADS.get(tensor.instance.operation)
        logits = reading.first(tensor.instance) if kind else None
        if kind is None or logits is None:
            continue
        through = f", through {', '.join(dict.fromkeys(passed))}" if passed else ""
        found.append(
            SavedHead(
                reading.name,
                output,
                kind,
                tensor.name,
                logits.name,
                nodes.shape_of(logits.instance.node, logits.index),
                f"output {output!r} is what {tensor.instance.operation} gives{through}",
            )
        )
    return found


def find_lookups(reading: Reading) -> list[Embedding]:
    """Every lookup of rows of a float table, or of one that floats are made of, that the outputs of a signature depend on."""
    quantised = {
        instance: lookup
        for instance, sources in reading.walked.items()
        if (lookup := dequantised(reading, instance, sources)) is not None
    }
    parts = {part for lookup in quantised.values() for part in lookup.parts}
    found = []
    for instance, sources in reading.walked.items():
        if instance in quantised:
            embedding = _quantised(reading, quantised[instance], present(sources[1]))
        elif instance in parts:
            continue
        elif instance.operation in GATHERS:
            embedding = _gather(reading, instance, sources)
        elif instance.operation in SEGMENTS and instance.operation.startswith("Sparse"):
            embedding = _segments(reading, instance, sources)
        elif instance.operation in PRODUCTS:
            embedding = _one_hot(reading, instance, sources)
        else:
            continue
        if embedding is not None:
            found.append(embedding)
    return found


def _quantised(reading: Reading, lookup: Dequantised, indices: Source) -> Embedding:
    combiner, operation = _combined(reading, lookup.rows)
    pattern = [*lookup.pattern, *([operation] if operation else [])]
    return _embedding(reading, lookup.rows, indices, indices, lookup.table, combiner, pattern, pattern[0])


def _gather(reading: Reading, instance: Instance, sources: list) -> Embedding | None:
    """ResourceGather of a variable; GatherV2 along axis 0 of the value of a variable, or of a constant (frozen)."""
    if len(sources) < 2 or sources[0] is None or sources[1] is None:
        return None
    if "batch_dims" in instance.node.attr and instance.node.attr["batch_dims"].i:
        return None
    if instance.operation == "GatherV2":
        axis = sources[2] if len(sources) > 2 else None
        if axis is None or constants.scalar(_constant(reading, axis)) != 0:
            return None
    indices = sources[1]
    table, passed = table_of(reading, sources[0])
    if table is None and instance.operation != "ResourceGather" and _is_float(reading, sources[0]):
        table = computed(reading, sources[0])
    if table is None or of_weights(reading, indices):
        return None
    behind, _ = _through(reading, indices, PASS)
    unique = behind.instance.operation in ("Unique", "UniqueV2")
    combiner, operation = _combined(reading, Source(instance, 0))
    pattern = [*(["Unique"] if unique else []), *passed, instance.operation, *([operation] if operation else [])]
    # what Unique lists are the ids; its output has each of them once
    fed = reading.first(behind.instance) if unique else indices
    return _embedding(reading, Source(instance, 0), indices, fed or indices, table, combiner, pattern)


def _segments(reading: Reading, instance: Instance, sources: list) -> Embedding | None:
    """SparseSegmentSum and its kin straight on a table; behind a gather they are that gather's combiner."""
    if len(sources) < 2 or sources[0] is None or sources[1] is None:
        return None
    table, passed = table_of(reading, sources[0])
    if table is None:
        return None
    return _embedding(
        reading, Source(instance, 0), sources[1], sources[1], table, SEGMENTS[instance.operation], [*passed, instance.operation]
    )


def _one_hot(reading: Reading, instance: Instance, sources: list) -> Embedding | None:
    """A product of OneHot, reshaped or transposed perhaps, with a table."""
    for left, right in ((0, 1), (1, 0)):
        if len(sources) != 2 or sources[left] is None or sources[right] is None:
            return None
        chosen, _ = _through(reading, sources[left], PASS | RESHAPES)
        if chosen.instance.operation != "OneHot":
            continue
        table, _ = table_of(reading, sources[right], RESHAPES)
        indices = reading.first(chosen.instance)
        if table is None or indices is None:
            continue
        rows = Source(instance, 0)
        after = reading.consumers.get(tuple(rows), [])
        if len(after) == 1 and after[0][0].operation == "Reshape" and after[0][1] == 0:
            rows = Source(after[0][0], 0)  # a product of matrices has one axis for batch and positions
        combiner, operation = _combined(reading, rows)
        pattern = ["OneHot", instance.operation, *([operation] if operation else [])]
        return _embedding(reading, rows, indices, indices, table, combiner, pattern)
    return None


def _embedding(reading, rows, indices, fed, table, combiner, pattern, by=None) -> Embedding:
    inputs = reading.fed_by(fed)
    if inputs:
        origin = f"by ids from {', '.join(repr(one) for one in inputs)}"
    else:
        origin = "by ids that no input gives: positions or another constant"
    reason = f"{by or rows.instance.operation} looks up rows of the {table.words} {origin}"
    if combiner != "none":
        reason += f"; {pattern[-1]} combines them"
    scope = rows.instance.scope
    if not scope.addressable or rows.instance in reading.framed:
        reason += "; inside a loop or branch"
    return Embedding(
        reading.name,
        rows.instance.name,
        rows.name,
        nodes.shape_of(rows.instance.node, rows.index),
        indices.name,
        table.name,
        table.shape,
        inputs,
        combiner,
        " -> ".join(pattern),
        reason,
        scope.addressable and rows.instance not in reading.framed,
    )


def table_of(reading: Reading, source: Source, further: frozenset = frozenset()) -> tuple[Table | None, list[str]]:
    """The float table that a tensor is the value of, and the operations in between."""
    base, passed = _through(reading, source, READS | further)
    node = base.instance.node
    if node.op in VARIABLES:
        shape = nodes.dimensions(node.attr["shape"].shape) if "shape" in node.attr else None
        dtype, kind, name = node.attr["dtype"].type if "dtype" in node.attr else 0, "variable", variable_name(node)
    elif node.op == "Const":
        shape, kind, name = nodes.shape_of(node), "constant", base.instance.name
        dtype = node.attr["dtype"].type if "dtype" in node.attr else 0
    else:
        return None, []
    # a Dense layer on three axes gathers too, but from shapes, which are integers
    if not nodes.is_floating(dtype) or (shape is not None and len(shape) < 2):
        return None, []
    reads = [operation for operation in passed if operation == "ReadVariableOp"]
    return Table(name, shape, f"float {kind} {name!r}"), reads or ([node.op] if node.op != "VarHandleOp" else [])


def _is_float(reading: Reading, source: Source) -> bool:
    types = nodes.dtypes(source.instance.node, reading.walker.functions)
    return source.index < len(types) and nodes.is_floating(types[source.index])


def _constant(reading: Reading, source: Source) -> Any:
    return _through(reading, source, PASS | {"Enter"})[0].instance.node


def _through(reading: Reading, source: Source, passing: frozenset) -> tuple[Source, list[str]]:
    """The tensor behind operations of the types `passing`, and the types passed."""
    passed: list[str] = []
    while source.instance.operation in passing and len(passed) < NEAR:
        sources = reading.sources(source.instance)
        position = source.index if source.instance.operation == "IdentityN" else 0
        behind = sources[position] if position < len(sources) else None
        if behind is None:
            break
        passed.append(source.instance.operation)
        source = behind
    return source, passed


def _combined(reading: Reading, rows: Source) -> tuple[str, str | None]:
    """What the rows are combined by, and the operation: looked for among the nearest users of the rows."""
    waiting, seen = [rows], 0
    while waiting and seen < NEAR:
        source = waiting.pop(0)
        seen += 1
        for user, position in reading.consumers.get(tuple(source), ()):
            if position == 0 and user.operation in SEGMENTS:
                return SEGMENTS[user.operation], user.operation
            if position == 0 and user.operation in REDUCTIONS and _over_positions(reading, user):
                divided = any(
                    next_user.operation in ("RealDiv", "Div", "DivNoNan")
                    for next_user, at in reading.consumers.get((user, 0), ())
                    if at == 0
                )
                return "mean" if divided and user.operation == "Sum" else REDUCTIONS[user.operation], user.operation
            if user.operation in PASS or user.operation in ("Mul", "SelectV2"):  # weights, or a mask
                waiting.append(Source(user, 0))
    return "none", None


def _over_positions(reading: Reading, user: Instance) -> bool:
    """Whether a reduction goes over the axis of positions: one over the last axis is of a layer normalisation."""
    sources = reading.sources(user)
    shape = nodes.shape_of(sources[0].instance.node, sources[0].index) if sources and sources[0] is not None else None
    axes = constants.values(_constant(reading, sources[1])) if len(sources) > 1 and sources[1] is not None else []
    if len(axes) != 1:
        return False
    if shape is None:  # a frozen graph does not say
        return axes[0] in (1, -2)
    return len(shape) > 2 and axes[0] % len(shape) != len(shape) - 1
