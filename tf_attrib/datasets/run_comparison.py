"""`RunComparison`: what `ta.compare_runs` finds, in words, tables and a page."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.checks import whole
from ..common.digits import hundredths
from ..common.errors import plain, printed
from ..common.types import present
from .text import aligned

if TYPE_CHECKING:
    from ..view.draw import Drawing

SHOWN = 10


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class RunComparison:
    """How far two runs over the same examples are apart.

    Attributes:
        ids: (n,), the examples that both have attributions of, in order.
        rank_correlation, cosine: (n,) float, Spearman's rank correlation and the cosine of an example's two attributions, over
            all its features; NaN where one of them is constant, or zero.
        distance: (n,), ‖a - b‖₁ / (‖a‖₁ + ‖b‖₁): 0 where they are the same, 1 where they have nothing in common.
        scores: (2, n), the explained scores in run a and b.
        targets: (2, n), the classes explained; None where the score has none.
        names: of the features; empty where examples differ in shape.
        means, magnitudes: (2, features), mean attribution and mean magnitude in run a and b.
        feature_cosine: (features,), over examples: Σab / √(Σa² Σb²).
        feature_rank_correlation: (features,), Spearman's over a sample of the examples.
        sample: how many examples that sample has.
        only_a, only_b: how many examples one of the runs alone has.
        left_out: how many have attributions that are not finite in one of them.
        by_number: whether the data of the runs differ and the ids of one are the numbers of its rows, 0, 1, ...: then only the
            order of the data says which example is which.
        unit: of the attributions.
        subjects: what each run is of, in words.
        class_names: by number, where they are known.
    """

    ids: np.ndarray
    rank_correlation: np.ndarray
    cosine: np.ndarray
    distance: np.ndarray
    scores: np.ndarray
    targets: np.ndarray | None
    names: tuple[str, ...]
    means: np.ndarray | None
    magnitudes: np.ndarray | None
    feature_cosine: np.ndarray | None
    feature_rank_correlation: np.ndarray | None
    sample: int
    only_a: int
    only_b: int
    left_out: int
    by_number: bool
    unit: str
    subjects: tuple[str, str]
    class_names: dict[int, str]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def changed(self) -> np.ndarray:
        """(n,) of bool, where another class is explained: these attributions are of different scores."""
        return np.zeros(len(self), bool) if self.targets is None else self.targets[0] != self.targets[1]

    def moved(self, k: int = SHOWN) -> list[dict[str, Any]]:
        """The k examples that are furthest apart, as `pandas.DataFrame(rows)` takes them."""
        order = np.argsort(-self.distance, kind="stable")[: whole("k", k)]
        return [
            {
                "id": self.ids[place].item(),
                "distance": float(self.distance[place]),
                "rank_correlation": float(self.rank_correlation[place]),
                "cosine": float(self.cosine[place]),
                "score_a": float(self.scores[0, place]),
                "score_b": float(self.scores[1, place]),
                **(
                    {} if self.targets is None else {f"target_{run}": int(self.targets[i, place]) for i, run in enumerate("ab")}
                ),
            }
            for place in order
        ]

    def _classes(self, place: int) -> dict[str, int]:
        names = () if self.targets is None else ("target_a", "target_b")
        return {name: int(present(self.targets)[run, place]) for run, name in enumerate(names)}

    def by_class(self) -> list[dict[str, Any]]:
        """For each class that run a explains: how many examples, medians of distance, rank correlation and cosine, and the part
        of which run b explains another class."""
        groups = np.zeros(len(self), int) if self.targets is None else self.targets[0]
        found = []
        for group in np.unique(groups):
            own = groups == group
            medians = {name: _median(getattr(self, name)[own]) for name in ("distance", "rank_correlation", "cosine")}
            name = "all examples" if self.targets is None else self.class_names.get(int(group), f"class {group}")
            found.append({"class": name, "examples": int(own.sum()), **medians, "changed": float(self.changed[own].mean())})
        return found

    def by_feature(self, k: int = SHOWN) -> list[dict[str, Any]]:
        """The k features whose mean magnitude changed most, the largest change first; [] where examples differ in shape."""
        if self.means is None or self.magnitudes is None:
            return []
        order = np.argsort(-np.abs(self.magnitudes[1] - self.magnitudes[0]), kind="stable")[: whole("k", k)]
        rank = self.feature_rank_correlation
        return [
            {
                "feature": self.names[place],
                "mean_a": float(self.means[0, place]),
                "mean_b": float(self.means[1, place]),
                "magnitude_a": float(self.magnitudes[0, place]),
                "magnitude_b": float(self.magnitudes[1, place]),
                "cosine": float(present(self.feature_cosine)[place]),
                **({} if rank is None else {"rank_correlation": float(rank[place])}),
            }
            for place in order
        ]

    @printed
    def __repr__(self) -> str:
        lines = self._headlines()
        for title, rows in self._tables(SHOWN):
            lines += [title, *aligned(list(rows[0]), [[_shown(value) for value in row.values()] for row in rows])]
        return "\n".join(lines)

    def _headlines(self) -> list[str]:
        same = len(set(self.subjects)) == 1
        subject = (
            plain(self.subjects[0], 300) if same else f"a: {plain(self.subjects[0], 300)}; b: {plain(self.subjects[1], 300)}"
        )
        lines = [
            f"Comparison of two runs over {len(self):,} examples: {subject}",
            f"  median distance {_median(self.distance):.3g}, rank correlation {_median(self.rank_correlation):.3g}, cosine "
            f"{_median(self.cosine):.3g}; another class is explained in {hundredths(self.changed.mean())}",
        ]
        for count, what in (
            (self.only_a, "in run a alone"),
            (self.only_b, "in run b alone"),
            (self.left_out, "not finite in one of them"),
        ):
            lines += [f"  note: left out: {count:,} {what}"] if count else []
        if self.by_number:
            lines.append(
                "  note: the data of the runs differ, and rows are matched by their number: whether these are the same "
                "examples is not known; ids= names them"
            )
        return lines

    def _tables(self, k: int) -> list[tuple[str, list[dict[str, Any]]]]:
        parts = (
            ("by class: medians", self.by_class()),
            ("features whose mean magnitude changed most", self.by_feature(k)),
            ("examples that moved most", self.moved(k)),
        )
        return [(title, rows) for title, rows in parts if rows]

    def plot(self) -> "Drawing":
        """How many examples are how alike, and the mean attributions of features in both runs, as a matplotlib figure."""
        from ..view.agreement import draw_agreement

        return draw_agreement(self.rank_correlation, self.cosine, self.means, self.unit, [self._headlines()[0] + "."])

    def save_html(self, path: str | Path, overwrite: bool = False) -> Path:
        """Writes figure and tables as one HTML file that stands alone, whole or not at all. Returns its path."""
        from ..view.page import Section, Table, check_free, write_page

        check_free(path, overwrite)
        sections = [Section("How alike they are", [self.plot()])]
        for title, rows in self._tables(3 * SHOWN):
            body = [[_shown(value) for value in row.values()] for row in rows]
            sections.append(Section(title[0].upper() + title[1:], [Table([name.replace("_", " ") for name in rows[0]], body)]))
        return write_page(path, "Two runs compared", sections, self._headlines(), overwrite)

    def to_html(self) -> str:
        """The tables, as escaped HTML."""
        from markupsafe import Markup

        from ..view.curves import table_and_lines

        head = Markup("<p>{}</p>").format(Markup("<br>").join(self._headlines()))
        parts = [
            table_and_lines(title, list(rows[0]), [[_shown(value) for value in row.values()] for row in rows], [])
            for title, rows in self._tables(SHOWN)
        ]
        return "\n".join([head, *parts])

    def _repr_html_(self) -> str:
        return self.to_html()


def _median(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else float("nan")


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else plain(value, 40)
