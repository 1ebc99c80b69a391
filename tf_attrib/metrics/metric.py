"""What a metric gives: a number for each example, their mean with its bootstrap interval, and curves that plot."""

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.errors import AttributionError, printed
from .intervals import mean_interval

if TYPE_CHECKING:
    from ..view.draw import Drawing


# Which values of a metric are the better ones; neither where it is empty.
BETTER = ("higher", "lower", "")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Metric:
    """One metric of one method's attributions.

    Attributes:
        name: what was measured, for people.
        values: (n,), one number for each example; NaN where it has no meaning.
        method: whose attributions.
        unit: of `values`.
        better: "higher", "lower", or "" where neither is better by itself.
        settings: how it was measured, in words.
        notes: sentences that a reader should know.
    """

    name: str
    values: np.ndarray
    method: str
    unit: str
    better: str
    settings: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        if values.ndim != 1 or values.dtype.kind not in "biuf":
            raise AttributionError(
                f"values of the metric {self.name!r} must be one real number for each example, (n,); got {values.dtype} "
                f"{values.shape}"
            )
        if self.better not in BETTER:
            raise AttributionError(
                f"better of the metric {self.name!r} is one of {', '.join(map(repr, BETTER))}; got {self.better!r}"
            )
        for what in ("name", "method", "unit", "settings"):
            if not isinstance(getattr(self, what), str):
                raise AttributionError(f"{what} of a metric is text, for people; got {getattr(self, what)!r}")
        if isinstance(self.notes, str):
            raise AttributionError(f"notes of the metric {self.name!r} is a tuple of sentences; got the text {self.notes!r}")
        object.__setattr__(self, "values", values.astype(np.float64, copy=False))
        object.__setattr__(self, "notes", tuple(self.notes))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        """The mean over examples that have a value."""
        known = self.values[~np.isnan(self.values)]
        return float(known.mean()) if len(known) else float("nan")

    def interval(self, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
        """The percentile bootstrap interval of the mean over examples; NaN for fewer than two."""
        _, low, high = mean_interval(self.values, level, seed)
        return float(low), float(high)

    @printed
    def __repr__(self) -> str:
        low, high = self.interval()
        direction = f"; {self.better} is better" if self.better else ""
        known = int((~np.isnan(self.values)).sum())
        several = f", 95% interval {low:.4g} to {high:.4g}" if np.isfinite(low) else ""
        lines = [
            f"{self.name} of {self.method}: {self.mean:.4g} on average over {known} "
            f"example{'s' if known != 1 else ''}{several} ({self.unit}{direction})"
        ]
        lines += [f"  {line}" for line in self._more()]
        return "\n".join(lines + ([f"  {self.settings}"] if self.settings else []) + [f"  note: {note}" for note in self.notes])

    def _more(self) -> list[str]:
        return []

    def to_dict(self) -> dict[str, Any]:
        """Names and numbers as JSON knows them, of curves the mean and its band; what is not finite is None."""
        low, high = self.interval()
        found = {
            "name": self.name,
            "method": self.method,
            "unit": self.unit,
            "better": self.better,
            "mean": self.mean,
            "interval": [low, high],
            "values": self.values.tolist(),
            "settings": self.settings,
            "notes": list(self.notes),
        }
        return plain(found)

    def to_json(self) -> str:
        """The same as text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Curves(Metric):
    """A metric that comes of curves over the examples.

    Attributes:
        along: (points,), the horizontal axis, or the names of the points.
        curves: by name, (n, points).
        axes: what the horizontal and the vertical axis are.
        areas: by the name of a curve, (n,), what comes of it as `values` does of the first.
    """

    along: Any = ()
    curves: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    axes: tuple[str, str] = ("", "")
    areas: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def plot(self, level: float = 0.95, seed: int = 0) -> "Drawing":
        """The mean of each curve over the examples, with the band of its bootstrap interval at `level`: a figure."""
        from ..view.curves import Line, draw_curves

        lines = [Line(name, *mean_interval(values, level, seed)) for name, values in self.curves.items()]
        return draw_curves([(self.name, self.along, lines)], self.axes, self._caption(level))

    def _caption(self, level: float) -> list[str]:
        count = len(self.values)
        band = f"The band is the bootstrap interval of the mean at {level:.0%}." if count > 1 else ""
        said = f"{self.method}; mean over {count} example{'s' if count != 1 else ''}. {band}"
        return [said.strip(), *([f"Settings: {self.settings}."] if self.settings else []), *(f"{note}." for note in self.notes)]

    def _more(self) -> list[str]:
        return [f"{name}: {np.mean(values[~np.isnan(values)]):.4g}" for name, values in self.areas.items()]

    def to_dict(self) -> dict[str, Any]:
        along = list(self.along) if not isinstance(self.along, np.ndarray) else self.along.tolist()
        return super().to_dict() | plain(
            {
                "along": along,
                "curves": {
                    name: dict(zip(("mean", "low", "high"), (ends.tolist() for ends in mean_interval(values)), strict=True))
                    for name, values in self.curves.items()
                },
                "areas": {name: values.tolist() for name, values in self.areas.items()},
            }
        )


def plain(value: Any) -> Any:
    """`value` with None for every number that is not finite."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value
