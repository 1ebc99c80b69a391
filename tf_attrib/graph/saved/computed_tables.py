"""Tables that are computed from weights, and tables of small integers, in a graph that was not loaded: what
`graph.traced.tables` finds in one that was."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from ..graphdef import nodes
from ..graphdef.scopes import Instance, Source
from ..traced.heads_and_lookups import PASS, SHAPES
from ..traced.tables import GATHERS, QUANTISED, SCALING
from .signature import ORIGINS, Reading

VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable"})
SMALL = frozenset(dtype.as_datatype_enum for dtype in QUANTISED)
# A table is computed by so many operations at most: a walk that goes on for longer is in the model.
NEAR = 200


class Table(NamedTuple):
    """A table: what its variable or constant is called, (rows, dimension), and what it is in words."""

    name: str
    shape: nodes.Shape
    words: str


class Dequantised(NamedTuple):
    """A lookup in a table of small integers: the rows as the floats that they stand for, the table, the operations that lead
    there, and those that look up what rows are scaled by."""

    rows: Source
    table: Table
    pattern: list[str]
    parts: set[Instance]


def computed(reading: Reading, source: Source) -> Table | None:
    """The table that `source` is, where weights of two axes alone go into it: with an adapter beside it, scaled, unpacked."""
    behind = _behind(reading, [source])
    if behind is None or _from_inputs(reading, behind):
        return None
    weights = [one.instance for one in behind if one.instance.operation in VARIABLES]
    shapes = {one: nodes.dimensions(one.node.attr["shape"].shape) for one in weights if "shape" in one.node.attr}
    wide = [one for one, shape in shapes.items() if shape is not None and len(shape) == 2]
    if not wide:
        return None
    shape = nodes.shape_of(source.instance.node, source.index)
    if shape is not None and len(shape) != 2:
        return None
    chosen = next((one for one in wide if shapes[one] == shape), wide[0])
    name = variable_name(chosen.node)
    words = f"table that is computed from {', '.join(repr(variable_name(one.node)) for one in wide)}"
    return Table(name, shape or shapes[chosen], words)


def dequantised(reading: Reading, instance: Instance, sources: list[Source | None]) -> Dequantised | None:
    """A lookup in a table of small integers that are then cast to floats, and scaled by what the same ids look up."""
    if instance.operation not in GATHERS or len(sources) < 2 or sources[0] is None or sources[1] is None:
        return None
    if not SMALL & set(nodes.dtypes(instance.node, reading.walker.functions)[:1]):
        return None
    table = computed(reading, sources[0])
    if table is None or of_weights(reading, sources[1]):
        return None
    last, passed, parts = Source(instance, 0), [instance.operation], {instance}
    rows, pattern = last, passed
    while (step := _scaled(reading, last)) is not None:
        last, gathers = step
        passed = [*passed, last.instance.operation]
        parts |= gathers
        if last.instance.operation != "Identity":  # which hands the rows on
            rows, pattern = last, passed
    types = nodes.dtypes(rows.instance.node, reading.walker.functions)
    if not types or not nodes.is_floating(types[0]):
        return None
    wide = (nodes.shape_of(rows.instance.node) or (None,))[-1]
    shape = None if table.shape is None else (table.shape[0], wide or table.shape[-1])  # of packed ones a row holds fewer
    kind = nodes.type_name(nodes.dtypes(instance.node, reading.walker.functions)[0])
    words = f"{kind} variable {table.name!r}, made floats by {', '.join(dict.fromkeys(pattern[1:]))},"
    return Dequantised(rows, Table(table.name, shape, words), pattern, parts)


def of_weights(reading: Reading, ids: Source) -> bool:
    """Whether ids are themselves kept in a variable, as the groups of a quantised kernel are: they look up no position."""
    behind = _behind(reading, [ids])
    return behind is not None and any(one.instance.operation in VARIABLES for one in behind)


def variable_name(node: Any) -> str:
    """What a variable's author called it, as far as the file tells."""
    return nodes.text_attribute(node, "shared_name") or node.name


def _scaled(reading: Reading, rows: Source) -> tuple[Source, set[Instance]] | None:
    """What the only user of `rows` makes of them, where that is a cast or takes in what else their ids look up; and the gathers
    that do."""
    users = {user for user, _ in reading.consumers.get(tuple(rows), ()) if user.operation not in SHAPES}
    user = next(iter(users), None)
    if user is None or len(users) != 1 or user.operation not in PASS | SCALING:
        return None
    others = [one for one in reading.sources(user) if one is not None and tuple(one) != tuple(rows)]
    if not others:
        return Source(user, 0), set()
    behind = _behind(reading, others)
    if behind is None:
        return None
    by_ids = {one.instance for one in behind if _looks_up(reading, one.instance)}
    rest = _behind(reading, others, {(one, 0) for one in by_ids})
    return (Source(user, 0), by_ids) if by_ids and rest is not None and not _from_inputs(reading, rest) else None


def _looks_up(reading: Reading, instance: Instance) -> bool:
    """Whether an operation gathers from weights, by ids that an input gives."""
    if instance.operation not in (*GATHERS, "ResourceGather"):
        return False
    table, ids, *_ = reading.sources(instance)
    known = [None if one is None else _behind(reading, [one]) for one in (table, ids)]
    return (
        known[0] is not None
        and known[1] is not None
        and not _from_inputs(reading, known[0])
        and _from_inputs(reading, known[1])
    )


def _behind(reading: Reading, starts: Iterable[Source], stops: Iterable[tuple] = ()) -> list[Source] | None:
    """The tensors that `starts` are computed from, not those whose shapes alone count; None where there are many."""
    stopped, waiting, found = set(stops), list(starts), {}
    while waiting:
        source = waiting.pop()
        if tuple(source) in found or tuple(source) in stopped:
            continue
        reading.walker.spend()
        found[tuple(source)] = source
        if len(found) > NEAR or reading.walker.exhausted:
            return None
        if source.instance.operation not in SHAPES:
            waiting.extend(one for one in reading.sources(source.instance) if one is not None)
    return list(found.values())


def _from_inputs(reading: Reading, behind: list[Source]) -> bool:
    given = {tuple(source) for sources in reading.inputs.values() for source in sources}
    return any(tuple(one) in given or one.instance.operation in ORIGINS for one in behind)
