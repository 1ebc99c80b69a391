"""A summary in words: lines for a terminal."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..common.errors import plain
from .features import CONSTANT, SWITCH, UNUSED

# How many features, words, rules and examples are shown, and groups as columns.
SHOWN, COLUMNS = 10, 4
DEGENERATE = {
    UNUSED: "the attribution is zero, whatever the value",
    CONSTANT: "same sign and size, whatever the value",
    SWITCH: "same sign and size whenever on, whatever the other features are",
}


def lines(summary: Any) -> list[str]:
    """The whole text of a `DataSummary`."""
    found = [headline(summary)]
    header, rows = top_rows(summary)
    found += ["", *aligned(header, rows), f"  {legend(summary)}"]
    for part in (degenerate_lines(summary), trigger_lines(summary), rule_lines(summary)):
        found += ["", *part] if part else []
    return found + [f"  note: {note}" for note in summary.notes]


def headline(summary: Any) -> str:
    """What was summarised, and how many examples of which groups."""
    groups = [f"{plain(summary.group_name(place))} ({count:,})" for place, count in enumerate(summary.examples)]
    more = f", ... {len(groups)} in all" if len(groups) > SHOWN else ""
    told = "" if summary.groups == (None,) else f"; {', '.join(groups[:SHOWN])}{more}"
    return f"{plain(summary.subject, 400)}{told}"


def top_rows(summary: Any, k: int = SHOWN) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the most important features or words: importance, count, the mean of each group."""
    groups = range(min(len(summary.groups), COLUMNS))
    named = ["mean" if summary.groups == (None,) else f"mean, {plain(summary.group_name(group), 24)}" for group in groups]
    counted = ["occurs"] if summary.kind == "words" else []
    rows = []
    for place in summary.top(k):
        occurs = [f"{int(summary.counts[:, place].sum()):,}"] if counted else []
        means = [_signed(summary.mean[group, place]) for group in groups]
        rows.append([plain(summary.names[place], 40), f"{summary.importance[place]:.3g}", *occurs, *means])
    return ["word" if counted else "feature", "importance", *counted, *named], rows


def legend(summary: Any) -> str:
    """What the columns are."""
    over = "occurrences" if summary.kind == "words" else "examples"
    absent = ", 0 where a word is absent" if summary.kind == "words" else ""
    rest = len(summary.names) - SHOWN
    noun = "words" if summary.kind == "words" else "features"
    more = "" if rest < 1 else f"; {rest:,} more {noun}"
    groups = len(summary.groups) - COLUMNS
    more += f"; {groups} more groups" if groups > 0 else ""
    return f"importance: mean magnitude over all examples{absent}; means are over {over}; unit: {summary.unit}{more}"


def degenerate_lines(summary: Any) -> list[str]:
    """The degenerate features by kind and group."""
    found = []
    for kind, words in DEGENERATE.items():
        for group in dict.fromkeys(one.group for one in summary.degenerate if one.kind == kind):
            own = [one for one in summary.degenerate if one.kind == kind and one.group == group]
            names = [
                plain(one.name, 40)
                + ("" if kind == UNUSED else f" ({one.mean:+.3g} ± {one.variation:.0%} in {one.examples:,})")
                for one in own[:SHOWN]
            ]
            more = f", ... {len(own)} in all" if len(own) > SHOWN else ""
            where = "" if group is None else f", {plain(summary.class_name(group))}"
            found.append(f"  {kind}{where} ({words}): {', '.join(names)}{more}")
    return ["degenerate features", *found] if found else []


def trigger_rows(summary: Any, target: Any, k: int = SHOWN) -> list[list[str]]:
    """Rows of the most frequent trigger words of a class: word, count, present, attribution, an example."""
    own = [one for one in summary.trigger_words if one.target == target][:k]
    return [
        [
            plain(one.word, 40),
            f"{one.count:,}",
            f"{one.present:,}",
            f"{one.attribution:+.3g}",
            plain(one.examples[0].text, 120) if one.examples else "",
        ]
        for one in own
    ]


def targets(summary: Any) -> list:
    """The classes that have trigger words."""
    return sorted(dict.fromkeys(one.target for one in summary.trigger_words), key=str)


def trigger_lines(summary: Any) -> list[str]:
    """The most frequent trigger words of each class."""
    found = []
    for target in targets(summary)[:SHOWN]:
        name = "" if target is None else f" of {plain(summary.class_name(target))}"
        rows = trigger_rows(summary, target)
        found += [
            f"trigger words{name}",
            *aligned(["word", "trigger in", "of", "attribution", "an example"], rows, left=(0, 4)),
        ]
    return found


def rule_lines(summary: Any) -> list[str]:
    """The rules, with what their precision is measured on."""
    if not summary.rules:
        return []
    on = summary.rules[0].measured_on
    more = [f"  ... {len(summary.rules)} in all"] if len(summary.rules) > SHOWN else []
    return [
        f"rules; precision is measured on {plain(on)}, in brackets its 95% Wilson interval",
        *(f"  {plain(rule, 300)}" for rule in summary.rules[:SHOWN]),
        *more,
    ]


def _signed(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:+.3g}"


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Columns side by side; those in `left` begin at the left."""
    table = [header, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
