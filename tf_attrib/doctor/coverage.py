"""`coverage(attributor, method)`: which operation gets which rule, and which have none, before anything runs."""

import dataclasses
from typing import Any

import numpy as np

from ..attributor import Attributor, as_attributor
from ..common.errors import AttributionError, printed
from ..common.nested import map_leaves, rebuild
from ..common.types import present
from ..engine.method import Method
from ..engine.session import Session
from ..methods import METHODS, as_method
from ..methods.deeplift.marking import Marked
from ..methods.deeplift.multipliers import layer_of, ruled

# What stands in for a size that the model leaves open, such as the length of a sequence.
OPEN = 8


@dataclasses.dataclass(frozen=True)
class Covered:
    """Operations of one type with one rule: how many, and the first of them with its layer."""

    operation: str
    count: int
    rule: str | None
    source: str
    first: str
    layer: str
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Coverage:
    """The rules of a method on the path from the selected tensors to the score; printed, it is a table.

    Attributes:
        method, at, of: words.
        rows: by type of operation and rule, those without a rule first, then the most frequent.
    """

    method: str
    at: str
    of: str
    rows: tuple[Covered, ...]

    @property
    def uncovered(self) -> tuple[Covered, ...]:
        """The rows without a rule: with any of these the method raises."""
        return tuple(row for row in self.rows if row.rule is None)

    @property
    def rules(self) -> dict[str, str | None]:
        """The rule of each type of operation; None where one of the type has none."""
        return {row.operation: row.rule for row in reversed(self.rows)}

    @printed
    def __repr__(self) -> str:
        total, without = sum(row.count for row in self.rows), sum(row.count for row in self.uncovered)
        lines = [
            f"{self.method}: {self.of}, at {self.at}: {total} operations on the path, "
            + (f"{without} WITHOUT A RULE" if without else "each with a rule")
        ]
        table = [("operation", "count", "rule", "first", "layer")]
        table += [
            (row.operation, str(row.count), row.rule or "NONE" + ": " * bool(row.reason) + row.reason, row.first, row.layer)
            for row in self.rows
        ]
        widths = [max(len(row[column]) for row in table) for column in range(4)]
        lines += [
            "  " + "  ".join([*(text.ljust(width) for text, width in zip(row[:4], widths, strict=True)), row[4]]).rstrip()
            for row in table
        ]
        return "\n".join(lines)


def coverage(attributor: Attributor, method: str | Method = "deeplift", inputs: Any = None) -> Coverage:
    """Which rule each operation between the selected tensors and the score gets; nothing is attributed.

    Args:
        attributor: the model with `at` and `of`.
        method: one that has rules: "deeplift", "deepshap", "guided_backprop", "deconvolution", or an instance such as
            `ta.DeepLift("reveal_cancel")`.
        inputs: an example or more; needed where the model does not say what it takes.

    Raises:
        AttributionError: a method that has no rules, or inputs that are needed.
    """
    as_attributor(attributor, "coverage")
    method = as_method(method)
    if method.rules is None:
        known = ", ".join(repr(name) for name in METHODS if METHODS[name].rules is not None)
        raise AttributionError(f"{method!r} has no rules: coverage is of {known}")
    session = _session(attributor, inputs)
    session = method.session_for(session)
    function = session.function
    groups: dict[tuple, list[Marked]] = {}
    for one in ruled(function, method.rules).marked:
        groups.setdefault((one.operation, one.rule, one.source, one.reason), []).append(one)
    rows = [
        Covered(operation, len(found), rule, source, found[0].name, layer_of(function.traced, found[0].name), reason)
        for (operation, rule, source, reason), found in groups.items()
    ]
    rows.sort(key=lambda row: (row.rule is not None, -row.count, row.operation))
    return Coverage(repr(method), function.place.words, function.output.words, tuple(rows))


def _session(attributor: Attributor, inputs: Any) -> Session:
    """The attributor's session for `inputs`, or for zeros of the shape that the model takes."""
    if inputs is None:
        specs = attributor.input_specs
        if specs is None:
            raise AttributionError("this model does not say what it takes: coverage(attributor, method, inputs=examples)")
        inputs = rebuild(
            {
                key: np.full(
                    [size or OPEN for size in spec.shape[1:]],
                    "" if spec.dtype.name == "string" else 0,
                    object if spec.dtype.name == "string" else spec.dtype.as_numpy_dtype,
                )[None]
                for key, spec in specs.items()
            }
        )
        if attributor.of is not None and attributor.of.data is not None:  # a score's own rows want as many examples
            inputs = map_leaves(lambda leaf: np.repeat(leaf, len(present(present(attributor.of).data)), 0), inputs)
    session, _, _ = attributor.prepare(inputs)
    return session
