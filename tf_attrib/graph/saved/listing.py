"""An inspection as text, and as plain values for JSON. Names from a file are made fit for a terminal here."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...common.errors import plain
from .explanation import EXPLAIN, in_words

# Of long lists so many entries are shown; JSON has more.
SHOWN = 12
IN_JSON = 1000
KEYS = 5


def listing(inspection: Any) -> str:
    """The report that an inspection prints."""
    lines = [f"{plain(inspection.source)}: {inspection.kind}"]
    told: dict[tuple, str] = {}
    # Keras saves each signature twice, as `serve` and as `serving_default`
    ordered = sorted(inspection.signatures.items(), key=lambda pair: pair[0] != "serving_default")
    for name, signature in _some(ordered, lines, "signatures", ""):
        body, call = _signature(inspection, name, signature), _call(signature)
        same = told.setdefault(tuple(line.replace(f" {call}/", " /") for line in body), name)
        if same == name:
            lines += ["", f"signature {plain(name)}", *body]
            if name == EXPLAIN and inspection.explanation is not None:
                lines += [f"  {line}" for line in in_words(inspection.explanation)]
            lines += _tensors([one for one in inspection.tensors if one.signature == name])
        else:
            lines += ["", f"signature {plain(name)}: the same as {plain(same)}, in {plain(call)}/"]
    lines += ["", *_variables(inspection.variables), *_loading(inspection.loading), *_unsafe(inspection.unsafe_ops)]
    lines += [f"note: {note}" for note in inspection.notes]
    return "\n".join(lines)


def as_plain(inspection: Any) -> dict[str, Any]:
    """Lists, dicts, strings and numbers: each list of findings as {"count": all, "items": the first ones}."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(inspection):
        value = getattr(inspection, field.name)
        if isinstance(value, tuple) and field.name != "notes":
            found[field.name] = {"count": len(value), "items": [_plain_value(one) for one in value[:IN_JSON]]}
        else:
            found[field.name] = _plain_value(value)
    return found


def _plain_value(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: _plain_value(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: _plain_value(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [_plain_value(one) for one in value[:IN_JSON]]
    return str(value) if isinstance(value, Path) else value


def _signature(inspection: Any, name: str, signature: Any) -> list[str]:
    """What is told of one signature, but for its tensors."""
    lines: list[str] = []
    for word, tensors in (("input ", signature.inputs), ("output", signature.outputs)):
        for key, info in _some(tensors.items(), lines, f"{word.strip()}s"):
            lines.append(f"  {word}  {plain(key)}  {info.dtype} {_shape(info.shape)}")
    headed = {head.output for head in inspection.heads if head.signature == name}
    for head in _some([one for one in inspection.heads if one.signature == name], lines, "heads"):
        where = "logits" if head.applied else "the output itself, which is logits,"
        lines += [
            f"  head    {plain(head.output)}: {head.kind}; {where} {_shape(head.shape)} at {plain(head.logits)}",
            f"          {plain(head.reason, 300)}",
        ]
    bare = [key for key in signature.outputs if key not in headed]
    if bare and (name != EXPLAIN or inspection.explanation is None):
        lines.append(f"  no probability head at {', '.join(plain(key) for key in bare[:SHOWN])}")
    for one in _some([one for one in inspection.embeddings if one.signature == name], lines, "embeddings"):
        combined = "not combined" if one.combiner == "none" else f"combined by {one.combiner}"
        lines += [
            f"  embedding  {plain(one.name)}  {_shape(one.shape)} from {plain(one.table)} {_shape(one.table_shape)}, "
            f"{combined}; fed by {', '.join(plain(key) for key in one.inputs) or 'no input'}",
            f"          {plain(one.reason, 300)} ({one.pattern})",
        ]
    for one in _some([one for one in inspection.preprocessing if one.signature == name], lines, "preprocessing operations"):
        fed = f"; fed by {', '.join(plain(key) for key in one.inputs)}" if one.inputs else ""
        lines.append(f"  {one.kind}  {plain(one.reason, 300)}{_keys(one)}{fed}")
    return lines


def _call(signature: Any) -> str:
    """The operation that a signature of TensorFlow 2 is a call of."""
    return next((info.name.split(":")[0] for info in signature.outputs.values()), "")


def _keys(one: Any) -> str:
    if not one.keys:
        return "" if one.count is None or one.kind != "lookup table" else f": {one.count:,} keys"
    shown = ", ".join(repr(plain(key, 40)) for key in one.keys[:KEYS])
    return f": {shown}" + (f", ... ({one.count or len(one.keys):,} keys)" if len(one.keys) > KEYS else "")


def _tensors(tensors: list[Any]) -> list[str]:
    if not tensors:
        return ["  no float tensor depends on the inputs"]
    shown = [one for one in tensors if one.layer] or tensors
    if len(shown) > SHOWN:  # what is near the ends is asked for most
        shown = [*shown[: SHOWN // 2], None, *shown[-SHOWN // 2 :]]
    lines = [f"  {_count(tensors, 'float tensor')} to attribute to:"]
    for one in shown:
        layer = f"  layer {plain(one.layer)}" if one is not None and one.layer else ""
        lines.append("    ..." if one is None else f"    {plain(one.name)}  {_shape(one.shape)}{layer}")
    return lines


def _variables(variables: tuple) -> list[str]:
    if not variables:
        return ["no variables"]
    known = [one for one in variables if one.trainable is not None]
    training = f", {sum(one.trainable for one in known)} trainable" if known else ""
    lines = [f"{_count(variables, 'variable')}{training}"]
    for one in _some(variables, lines, "variables"):
        lines.append(f"  {plain(one.name)}  {one.dtype} {_shape(one.shape)}")
    return lines


def _loading(loading: tuple) -> list[str]:
    if not loading:
        return []
    lines = ["at load time, besides restoring variables:"]
    for one in _some(loading, lines, "initialisers"):
        what = ", ".join(plain(operation, 60) for operation in one.operations[:SHOWN]) or "nothing but constants and handles"
        lines.append(f"  {one.kind} {plain(one.name)}: {what}{', ...' if len(one.operations) > SHOWN else ''}")
    return lines


def _unsafe(unsafe: tuple) -> list[str]:
    if not unsafe:
        return ["nothing in it touches files, processes, Python or other machines, but for its own assets and variables"]
    lines = [f"UNSAFE: {_count(unsafe, 'operation')} reaching out of the graph; load it only if you trust whoever made it"]
    for one in _some(unsafe, lines, "operations"):
        place = f" in the function {plain(one.function)}" if one.function else ""
        lines.append(f"  {plain(one.operation)} {plain(one.name)}{place} {one.reason}{', at load time' if one.at_load else ''}")
    return lines


def _count(items: Any, word: str) -> str:
    return f"{len(items):,} {word}{'' if len(items) == 1 else 's'}"


def _some(items: Iterable, lines: list[str], what: str, indent: str = "  ") -> Iterable:
    """The first of `items`; how many there are is added to `lines` once they have been used."""
    items = list(items)
    yield from items[:SHOWN]
    if len(items) > SHOWN:
        lines.append(f"{indent}... ({len(items):,} {what} in all)")


def _shape(shape: Any) -> str:
    return (
        "(unknown shape)"
        if shape is None
        else "(" + ", ".join("any" if size is None else str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"
    )
