"""What `compare` gives: a table of means with their intervals, as text, HTML, JSON and a figure."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..common.errors import AttributionError, plain, printed
from .intervals import RESAMPLES, mean_interval
from .metric import Curves, Metric
from .table import heading

if TYPE_CHECKING:
    from ..view.draw import Drawing

LEVEL = 0.95


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Metrics of several methods on the same examples; printed or shown in a notebook, it is a table.

    Attributes:
        table: by method and metric; a metric that has no meaning for a method is left out.
        metrics: their names, in order.
        subject: which examples, of what.
    """

    table: dict[str, dict[str, Metric]]
    metrics: tuple[str, ...]
    subject: str = ""

    def __getitem__(self, method: str) -> dict[str, Metric]:
        """All metrics of a method."""
        return self.table[method]

    @property
    def methods(self) -> tuple[str, ...]:
        """The rows."""
        return tuple(self.table)

    def difference(
        self, metric: str, one: str, other: str = "random", level: float = LEVEL, seed: int = 0
    ) -> tuple[float, float, float]:
        """The mean over examples of one method's values less another's, and the ends of its bootstrap interval.

        The examples are the same, so this tells methods apart where the intervals of their means overlap.
        """
        for name in (one, other):
            if metric not in self.table.get(name, {}):
                raise AttributionError(
                    f"there is no {metric!r} of {name!r}; methods: {list(self.table)}, metrics: {list(self.metrics)}"
                )
        mean, low, high = mean_interval(self.table[one][metric].values - self.table[other][metric].values, level, seed)
        return float(mean), float(low), float(high)

    @printed
    def __repr__(self) -> str:
        header, rows = self._cells()
        widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
        lines = [
            "  ".join(
                cell.ljust(width) if column == 0 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in [header, *rows]
        ]
        return "\n".join(
            [plain(self.subject, 400), *(f"  {line}" for line in lines), *(f"  {line}" for line in self._legend())]
        )

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        header = ["", *(heading(metric) for metric in self.metrics)]
        rows = [[plain(method), *(_cell(found.get(metric)) for metric in self.metrics)] for method, found in self.table.items()]
        return header, rows

    def _legend(self) -> list[str]:
        """What the columns are: name, unit, direction, settings; then notes."""
        lines, notes = [f"mean over examples, and in brackets its {LEVEL:.0%} bootstrap interval ({RESAMPLES} resamples)"], []
        for metric in self.metrics:
            found = [row[metric] for row in self.table.values() if metric in row]
            if found:
                direction = f"{found[0].better} is better" if found[0].better else "neither direction is better"
                parts = [found[0].unit, direction, found[0].settings]
                lines.append(f"{heading(metric)}: {'; '.join(part for part in parts if part)}")
                notes += [f"note: {note}" for one in found for note in one.notes]
        return lines + list(dict.fromkeys(notes))

    def to_json(self) -> str:
        """Every number of every example as JSON; what is not finite is null."""
        table = {method: {metric: value.to_dict() for metric, value in found.items()} for method, found in self.table.items()}
        return json.dumps({"subject": self.subject, "metrics": list(self.metrics), "methods": table}, indent=2, allow_nan=False)

    def plot(self) -> "Drawing":
        """A figure: for each metric the mean of each method with its interval."""
        from ..view.curves import draw_intervals

        parts = []
        for metric in self.metrics:
            rows = {method: found[metric] for method, found in self.table.items() if metric in found}
            if rows:
                ends = np.array([value.interval(LEVEL) for value in rows.values()])
                one = next(iter(rows.values()))
                unit = f"{one.unit}{f'; {one.better} is better' if one.better else ''}"
                parts.append(
                    (
                        heading(metric),
                        list(rows),
                        [value.mean for value in rows.values()],
                        ends[:, 0],
                        ends[:, 1],
                        unit,
                    )
                )
        return draw_intervals(parts, [f"{self.subject}. Dots: means over examples; lines: {LEVEL:.0%} bootstrap intervals."])

    def plot_curves(self, metric: str = "aopc") -> "Drawing":
        """A figure of the curves behind a metric, one for each method, with their bands.

        Figure 5 of Sundararajan et al. 2016 (arXiv:1611.02639) is this, of "aopc".
        """
        from ..view.curves import Line, draw_curves

        rows = {method: one for method, found in self.table.items() if isinstance(one := found.get(metric), Curves)}
        if not rows:
            raise AttributionError(f"{metric!r} has no curves here; metrics with curves: {self._with_curves()}")
        one = next(iter(rows.values()))
        lines = [Line(method, *mean_interval(next(iter(value.curves.values())), LEVEL)) for method, value in rows.items()]
        caption = [
            f"{self.subject}. Bands: {LEVEL:.0%} bootstrap intervals of the mean over examples.",
            f"Settings: {one.settings}.",
        ]
        return draw_curves([(one.name, one.along, lines)], one.axes, caption)

    def _with_curves(self) -> list[str]:
        return [
            metric for metric in self.metrics if any(isinstance(found.get(metric), Curves) for found in self.table.values())
        ]

    def save_html(self, path: str | Path, overwrite: bool = False) -> Path:
        """Writes table and figures as one HTML file that stands alone, whole or not at all. Returns its path."""
        from ..view.page import Section, Table, check_free, write_page

        check_free(path, overwrite)
        header, rows = self._cells()
        sections = [
            Section("Means", [Table(["method", *header[1:]], rows), *self._legend(), self.plot()]),
            *(Section(heading(metric), [self.plot_curves(metric)]) for metric in self._with_curves()),
        ]
        return write_page(path, "Attribution methods compared", sections, [self.subject], overwrite)

    def to_html(self) -> str:
        """The table as escaped HTML, with what its columns are."""
        from ..view.curves import table_and_lines

        return table_and_lines(self.subject, *self._cells(), self._legend())

    def _repr_html_(self) -> str:
        return self.to_html()


def _cell(metric: Metric | None) -> str:
    if metric is None:
        return "-"
    low, high = metric.interval(LEVEL)
    mean = f"{metric.mean:.3g}"
    return mean if np.isnan(low) else f"{mean} [{low:.3g}, {high:.3g}]"
