"""Every finding by name: what is wrong, what is measured, what helps.

`python -m tf_attrib.doctor.catalogue > tf_attrib/doctor/README.md` writes the page of the documentation.
"""

from collections.abc import Iterable
from typing import Any, cast

from ..common.errors import AttributionError, nearest
from ..common.registry import Registry
from .entries import ROWS, Entry
from .numbers.verdicts import VERDICTS
from .report import TOPICS, Finding


def _entry(name: str, entry: Any) -> Entry:
    if not isinstance(entry, Entry) or entry.name != name or entry.topic not in TOPICS:
        raise AttributionError(
            f"FINDINGS[{name!r}] takes ta.extend.Entry({name!r}, topic, disease, evidence, remedy), topic one of "
            f"{', '.join(TOPICS)}; got {entry!r}"
        )
    return entry


# The findings of `diagnose` by name; others add entries for their own.
FINDINGS: Registry[Entry] = Registry("finding", _entry)
FINDINGS.fill({row.name: row for row in ROWS})


def finding(
    name: str,
    severity: str,
    evidence: dict[str, Any],
    meaning: str,
    remedy: str = "",
    examples: Iterable[int] = (),
) -> Finding:
    """A `Finding` whose name is in the table, which says its topic.

    Args:
        severity, evidence, meaning, remedy, examples: as of a `Finding`.

    Raises:
        AttributionError: no finding of that name, no such severity, evidence that is no numbers or words, or examples that are
            no numbers of such.
    """
    if name not in FINDINGS:
        raise AttributionError(
            f"no finding is called {name!r}; there are: {nearest(name, FINDINGS)}, or add an entry to FINDINGS"
        )
    return Finding(name, FINDINGS[name].topic, severity, evidence, meaning, remedy, cast(tuple[int, ...], examples))


def table() -> str:
    """The findings of `diagnose` by topic, and those of `check_attributions`, as Markdown."""
    parts = [_table(topic, [row for row in FINDINGS.values() if row.topic == topic]) for topic in TOPICS]
    return "\n\n".join([*parts, _table("numbers from anywhere", VERDICTS)])


def _table(heading: str, rows: Iterable[Entry]) -> str:
    lines = [f"| {heading} | disease | evidence | remedy |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| `{row.name}` | {row.disease} | {row.evidence} | {row.remedy or '-'} |" for row in rows)])


PAGE = f"""# What the doctor finds

`ta.diagnose(attributor, inputs)` and `tf-attrib diagnose` print these; `report["name"]` is one of them. Each is an *error*
(numbers are wrong), a *warning* (they may mislead), a *note*, or *passed*. The last table is that of `ta.check_attributions`.
`python -m tf_attrib.doctor.catalogue` writes this page to its output.

{table()}
"""


if __name__ == "__main__":
    print(PAGE, end="")
