"""What `summarise` gives: a data set's attributions at a glance, as numbers, text, HTML and figures."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.checks import is_whole
from ..common.errors import AttributionError, nearest, printed
from .features import Degenerate
from .phrase_rules import PhraseRule, measure
from .words import TriggerWord

if TYPE_CHECKING:
    from ..view.draw import Drawing


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class DataSummary:
    """Attributions of many examples, by feature or word and by group (the class explained, unless told otherwise).

    Attributes:
        kind: "features" or "words".
        names: a name for each feature; for words, the words.
        groups: what examples are grouped by, such as classes; (None,) where they are not.
        examples: (groups,), how many examples each group has.
        counts: (groups, features), over how many numbers means are taken: of features examples, of words occurrences.
        mean: (groups, features), the mean attribution, signed, in `unit`; NaN where a word does not occur.
        mean_magnitude: (groups, features), the mean of the magnitudes.
        deviation: (groups, features), the standard deviation (divided by the number of numbers).
        correlation: (groups, features), Pearson's correlation of attribution and value; None for words, and where the features'
            values are not known.
        degenerate: features whose attribution does not heed their value; see `Degenerate`.
        trigger_words: the words that most often are a trigger, the most frequent first; see `TriggerWord`.
        rules: those read off trigger words, the surest first; see `PhraseRule`.
        sample: a uniform sample of examples by column: "index" (k,), "group" (k,) the place in `groups`; of features
            "attributions" (k, features) and, where known, "values"; of words "words" and "attributions" (k,), of each a tuple
            and an array.
        shape: of one example's attributions, where they are one tensor of features.
        attribution_kind: of the numbers, as `kind` of a result.
        unit, subject: of the attributions; what was attributed to what, how.
        class_names: names of the classes by number, of those that are known.
        notes: sentences that a reader should know.
    """

    kind: str
    names: tuple[str, ...]
    groups: tuple[Any, ...]
    examples: np.ndarray
    counts: np.ndarray
    mean: np.ndarray
    mean_magnitude: np.ndarray
    deviation: np.ndarray
    correlation: np.ndarray | None
    degenerate: tuple[Degenerate, ...]
    trigger_words: tuple[TriggerWord, ...]
    rules: tuple[PhraseRule, ...]
    sample: dict[str, np.ndarray]
    shape: tuple[int, ...] | None
    unit: str
    attribution_kind: str
    subject: str
    class_names: Mapping[int, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.examples.sum())

    @property
    def share_by_group(self) -> np.ndarray:
        """(groups, features), the magnitudes summed over a group's examples and divided by the number of all examples, in
        `unit`.

        A word that does not occur in an example counts 0 for it. Summed over groups it is `importance`.
        """
        return np.nan_to_num(self.mean_magnitude) * self.counts / max(len(self), 1)

    @property
    def importance(self) -> np.ndarray:
        """(features,), the mean magnitude over all examples, in `unit`: for features, what shap's bar plot shows."""
        return self.share_by_group.sum(0)

    def top(self, k: int = 10) -> list[int]:
        """The places in `names` of the k features or words of highest importance, highest first."""
        if not is_whole(k, 1):
            raise AttributionError(f"k is how many features or words are shown, a whole number of at least 1; got {k!r}")
        return [int(place) for place in np.argsort(-self.importance, kind="stable")[:k]]

    def place(self, group: Any) -> int:
        """Where a group is in `groups`: by its key, or the name of its class.

        Raises:
            AttributionError: for another.
        """
        found = [place for place, own in enumerate(self.groups) if own == group or self.group_name(place) == group]
        if not found:
            raise AttributionError(
                f"there is no group {group!r}; there are: "
                f"{nearest(str(group), [self.group_name(place) for place in range(len(self.groups))])}"
            )
        return found[0]

    def group_name(self, place: int) -> str:
        """What a group is called."""
        return self.class_name(self.groups[place])

    def class_name(self, key: Any) -> str:
        """What a class is called: its name where there is one; "all examples" for None."""
        if key is None:
            return "all examples"
        if isinstance(key, int | np.integer) and int(key) in self.class_names:
            return self.class_names[int(key)]
        return f"class {key}" if isinstance(key, int | np.integer) else f"target {key}"

    def table(self, k: int = 10) -> list[dict[str, Any]]:
        """Rows of the k most important features or words, one for each group, as `pandas.DataFrame(rows)` takes them."""
        found = []
        for place in self.top(k):
            for group in range(len(self.groups)):
                row = {
                    "name": self.names[place],
                    "group": self.group_name(group),
                    "count": int(self.counts[group, place]),
                    "mean": float(self.mean[group, place]),
                    "mean_magnitude": float(self.mean_magnitude[group, place]),
                    "deviation": float(self.deviation[group, place]),
                }
                if self.correlation is not None:
                    row["correlation"] = float(self.correlation[group, place])
                found.append({**row, "importance": float(self.importance[place])})
        return found

    def rules_on(
        self, words: Sequence[Sequence[str]], classes: Sequence[int], measured_on: str = "labels of other examples"
    ) -> tuple[PhraseRule, ...]:
        """The rules, measured on other examples: those they were read off flatter them.

        Args:
            words: for each example a list of words.
            classes: for each example its class.
            measured_on: what these classes are, for the text.

        Raises:
            AttributionError: not one class for each list of words.
        """
        if len(words) != len(classes):
            raise AttributionError(f"{len(words)} lists of words and {len(classes)} classes: give one for each example")
        return tuple(measure(self.rules, words, classes, measured_on))

    @printed
    def __repr__(self) -> str:
        from .text import lines

        return "\n".join(lines(self))

    def plot(self, kind: str = "auto", *, k: int = 15, group: Any = None) -> "Drawing":
        """A figure.

        Args:
            kind: "beeswarm" (a dot for each sampled example, or each occurrence of a word), "bar" (mean magnitudes, one part
                for each group), "mean" (signed means, a panel for each group), "map" (means of images), "heatmap" (a row for
                each feature and a column for each sampled example), "scatter" (attribution over value, for the six most
                important features); "auto": beeswarm for features with values, maps for images, else bars.
            k: how many features or words, the most important ones; the others are summed up in one row. Not for maps.
            group: one group only, by its key or name; default: all (beeswarm, mean and map: the four with most examples).

        Returns:
            A matplotlib figure, made without pyplot; a notebook shows it by itself.

        Raises:
            AttributionError: no such kind or group, a map of what is no image.
        """
        from .figures import draw_summary

        return draw_summary(self, kind, k, group)

    def save_html(self, path: str | Path, overwrite: bool = False) -> Path:
        """Writes figures, tables, rules and notes as one HTML file that stands alone, whole or not at all. Returns its path."""
        from ..view.page import check_free, write_page
        from .figures import sections

        check_free(path, overwrite)
        introduction = [f"{self.subject}.", *(f"Note: {note}." for note in self.notes)]
        return write_page(path, "Attributions of a data set", sections(self), introduction, overwrite)

    def to_html(self) -> str:
        """The text, and tables of trigger words and rules, as escaped HTML."""
        from .figures import fragment

        return fragment(self)

    def _repr_html_(self) -> str:
        return self.to_html()
