"""What a check found, and the report that a person reads."""

import dataclasses
import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..common.errors import AttributionError, nearest, plain, printed

TOPICS = ("model", "output", "baseline", "integral")
# Worst first: numbers that are wrong, that may mislead, that are worth knowing, that are as they should be.
SEVERITIES = ("error", "warning", "note", "passed")
# Of long evidence, and of many examples, so many are shown; JSON has all.
SHOWN = 6
WIDTH = 110


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        name: a stable identifier such as "baseline_favours_a_class".
        topic: model, output, baseline or integral.
        severity: "error" (numbers are wrong), "warning" (they may mislead), "note" (worth knowing), "passed".
        evidence: what was measured, by name: numbers, words and short arrays, in lists and dicts where there are several.
        meaning: what was found, with its numbers, and what it means.
        remedy: what to type next, "" where nothing needs doing.
        examples: of which examples of the batch this holds, () for all or none in particular; given as numbers or as a mask.
    """

    name: str
    topic: str
    severity: str
    evidence: dict[str, Any]
    meaning: str
    remedy: str = ""
    examples: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for value, known, what in ((self.topic, TOPICS, "topic"), (self.severity, SEVERITIES, "severity")):
            if value not in known:
                raise AttributionError(f"a finding's {what} is one of {', '.join(known)}; got {value!r}")
        if not isinstance(self.evidence, dict):
            raise AttributionError(
                f"the evidence of the finding {self.name!r} is a dict of numbers by name; got {self.evidence!r}"
            )
        evidence = {name: _measured(value, f"{name!r} of the finding {self.name!r}") for name, value in self.evidence.items()}
        object.__setattr__(self, "evidence", evidence)
        object.__setattr__(self, "examples", _numbers(self.name, self.examples))

    @printed
    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> list[str]:
        examples = f" ({_examples(self.examples)})" if self.examples else ""
        lines = textwrap.wrap(
            f"{self.severity.upper()}  {self.name}: {plain(self.meaning, 2000)}{examples}",
            WIDTH,
            subsequent_indent="    ",
            break_long_words=False,
        )
        if self.evidence:
            lines += textwrap.wrap(
                plain(evidence_words(self), 2000),
                WIDTH,
                initial_indent="    ",
                subsequent_indent="    ",
                break_long_words=False,
            )
        # a call is copied and typed: it is not broken into lines
        return [*lines, f"    -> {plain(self.remedy, 2000)}"] if self.remedy else lines


@dataclasses.dataclass(frozen=True)
class Report:
    """Findings, worst first within each topic; printed or shown in a notebook, it is a report.

    Attributes:
        findings: all of them, in the order in which they are shown.
        subject: what was examined, in words.
    """

    findings: tuple[Finding, ...]
    subject: str = ""

    def __post_init__(self) -> None:
        # topics in the order of their worst finding: what spoils the numbers is read first
        worst = {
            topic: min((_rank(one) for one in self.findings if one.topic == topic), default=len(SEVERITIES)) for topic in TOPICS
        }
        ordered = sorted(self.findings, key=lambda one: (worst[one.topic], TOPICS.index(one.topic), _rank(one)))
        object.__setattr__(self, "findings", tuple(ordered))

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __contains__(self, name: str) -> bool:
        return any(one.name == name for one in self.findings)

    def __getitem__(self, name: str) -> Finding:
        """The finding called `name`; the worst of several."""
        found = [one for one in self.findings if one.name == name]
        if not found:
            raise KeyError(f"no finding is called {name!r}; there are: {nearest(name, [one.name for one in self.findings])}")
        return min(found, key=_rank)

    @property
    def worst(self) -> str | None:
        """The worst severity there is; None where there are no findings."""
        return min((one.severity for one in self.findings), key=SEVERITIES.index, default=None)

    @property
    def healthy(self) -> bool:
        """Whether there is neither an error nor a warning."""
        return self.worst not in ("error", "warning")

    @printed
    def __repr__(self) -> str:
        lines = [self._headline()]
        for topic in dict.fromkeys(one.topic for one in self.findings):
            lines += ["", topic]
            lines += [f"  {line}" for one in self.findings if one.topic == topic for line in one._lines()]
        return "\n".join(lines)

    def _headline(self) -> str:
        counts = {severity: sum(one.severity == severity for one in self.findings) for severity in SEVERITIES}
        said = [
            f"{number} {severity}{'s' if number > 1 and severity != 'passed' else ''}"
            for severity, number in counts.items()
            if number
        ]
        return f"{plain(self.subject, 300)}{': ' if self.subject else ''}{', '.join(said) or 'nothing found'}"

    def to_json(self) -> str:
        """The findings as JSON; numbers that are not finite are strings."""
        findings = [
            {field.name: as_plain(getattr(one, field.name)) for field in dataclasses.fields(one)} for one in self.findings
        ]
        return json.dumps(
            {"subject": self.subject, "worst": self.worst, "healthy": self.healthy, "findings": findings},
            indent=2,
            allow_nan=False,
        )

    def save_html(self, path: str | Path, overwrite: bool = False) -> Path:
        """Writes the report as one HTML file that stands alone, whole or not at all. Returns its path."""
        from ..view.page import write_page

        return write_page(path, "Is this attribution to be believed?", self._sections(), [self._headline()], overwrite)

    def _repr_html_(self) -> str:
        from markupsafe import Markup

        parts = [Markup("<p><b>{}</b></p>").format(self._headline())]
        for section in self._sections():
            parts += [Markup("<h4>{}</h4>").format(section.title), *section.blocks]
        return str(Markup("\n").join(parts))

    def _sections(self) -> list:
        from ..view.page import Section

        return [
            Section(topic.capitalize(), [_html(one) for one in self.findings if one.topic == topic])
            for topic in dict.fromkeys(one.topic for one in self.findings)
        ]


def _measured(value: Any, what: str) -> Any:
    """Evidence as a report can keep and write it; tensors as arrays.

    Raises:
        AttributionError: it is neither numbers nor words.
    """
    if value is None or isinstance(value, str | bool | int | float | np.bool_ | np.integer | np.floating):
        return value
    if isinstance(value, dict):
        return {key: _measured(one, what) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_measured(one, what) for one in value]
    array = np.asarray(value) if hasattr(value, "__array__") else np.array(None)
    if array.dtype.kind not in "biufU":
        raise AttributionError(f"the evidence {what} must be numbers or words, in lists, dicts or an array; got {value!r}")
    return array if array.ndim else array.item()


def _numbers(name: str, examples: Any) -> tuple[int, ...]:
    """The numbers of examples; of a mask, those where it is True."""
    try:
        given = np.asarray(list(examples))
    except (TypeError, ValueError):
        given = np.zeros((0, 0))
    if given.ndim == 1 and given.dtype.kind == "b":
        given = np.flatnonzero(given)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise AttributionError(
            f"the examples of the finding {name!r} are whole numbers, such as (0, 3), or a mask (n,); got {examples!r}"
        )
    return tuple(int(i) for i in given)


def _rank(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity)


# ground and text of the label, at a contrast of at least 4.5
COLOURS = {
    "error": ("#b3261e", "#fff"),
    "warning": ("#8a5a00", "#fff"),
    "note": ("#57606a", "#fff"),
    "passed": ("#1a6b35", "#fff"),
}


def _html(finding: Finding):
    """One finding as HTML, everything in it escaped."""
    from markupsafe import Markup

    ground, text = COLOURS[finding.severity]
    examples = f" ({_examples(finding.examples)})" if finding.examples else ""
    parts = [
        Markup('<p><span style="background:{};color:{};border-radius:3px;padding:0 .4em">{}</span> <b>{}</b> {}{}</p>').format(
            ground, text, finding.severity, finding.name.replace("_", " "), finding.meaning, examples
        )
    ]
    if finding.evidence:
        parts.append(Markup('<p style="font-size:.85rem;color:#3b434b">{}</p>').format(evidence_words(finding)))
    if finding.remedy:
        parts.append(Markup('<pre style="white-space:pre-wrap;font-family:monospace">{}</pre>').format(finding.remedy))
    return Markup('<div style="margin:.8rem 0">{}</div>').format(Markup("").join(parts))


def evidence_words(finding: Finding) -> str:
    """The evidence in a line: "entropy 2.1, most possible 2.3"."""
    return ", ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in finding.evidence.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        inner = [f"{key}: {_value(one)}" for key, one in list(value.items())[:SHOWN]]
        return f"{{{', '.join(inner)}{', ...' if len(value) > SHOWN else ''}}}"
    if isinstance(value, np.ndarray | list | tuple):
        values = np.asarray(value).ravel().tolist() if isinstance(value, np.ndarray) else list(value)
        return f"[{', '.join(map(_value, values[:SHOWN]))}{', ...' if len(values) > SHOWN else ''}]"
    return f"{float(value):.4g}" if isinstance(value, float | np.floating) else str(value)


def _examples(examples: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, examples[:SHOWN])) + (f", ... ({len(examples)} in all)" if len(examples) > SHOWN else "")
    return f"example{'s' if len(examples) > 1 else ''} {shown}"


def as_plain(value: Any) -> Any:
    """A value as JSON knows it."""
    if isinstance(value, dict):
        return {str(key): as_plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        return as_plain(value.tolist())
    if isinstance(value, list | tuple):
        return [as_plain(one) for one in value]
    if isinstance(value, np.generic):
        return as_plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value
