"""`GenerationAttribution`: what led to each token of a continuation, with the doors through which it is printed and drawn."""

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..attribution import Attribution
from ..common.atomic import write_whole
from ..common.digits import short
from ..common.errors import AttributionError, missing_extra, printed
from ..result.adding_up import are_summed
from ..result.words import summary
from .contrasting import worst
from .joining import sentence_groups, text_of, word_groups
from .parts import REST, WRITTEN, filled, parts_of

if TYPE_CHECKING:
    from ..view.draw import Drawing
    from ..view.generation import Told

# What rows of these units give may be added up over tokens.
ADDED = ("log_probability", "logit")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class GenerationAttribution:
    """What led to each token of a continuation.

    Attributes:
        attribution: an entry for each token that is explained, (rows, columns) in `attribution.attribution_unit`, with scores,
            baseline scores, gap, error estimate and status of each: an `Attribution`, which can be saved and loaded.
        columns: the text of each token (or word, sentence, part) that has a part in it, in their order.
        rows: the text of what each entry explains.
        row_column: (rows,) of int, the column that each entry explains itself; -1 where it is none, or several.
        context: how many columns the model had before the continuation; None where columns are parts.
        read: how many of those an encoder reads.
        probabilities: (rows,) of each token, given all before it; NaN where an entry is several tokens.
        prompt: as text, where it was given as text and what text its tokens stand for is known.
    """

    attribution: Attribution
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    row_column: np.ndarray
    context: int | None
    read: int
    probabilities: np.ndarray
    prompt: str | None = None

    @property
    def attributions(self) -> np.ndarray:
        """(rows, columns): how much each token, word or part raised (or lowered) the score of each that is explained."""
        return self.attribution.attributions

    @property
    def scores(self) -> np.ndarray:
        """(rows,), the score of each token that is explained, in `unit`."""
        return self.attribution.scores

    @property
    def unit(self) -> str:
        """Of the scores: log_probability, logit or probability."""
        return self.attribution.unit

    @property
    def gap(self) -> np.ndarray | None:
        """(rows,), the sum of the attributions less the difference of scores; None where the sum has no such meaning."""
        return self.attribution.gap

    @property
    def status(self) -> np.ndarray | None:
        """(rows,) of str, see `Attribution.status`."""
        return self.attribution.status

    @property
    def error_estimate(self) -> np.ndarray | None:
        """(rows,), the estimated L1 error relative to the L1 norm of each row."""
        return self.attribution.error_estimate

    @property
    def standard_error(self) -> np.ndarray | None:
        """(rows, columns), of attributions that are estimated from draws."""
        return self.attribution.standard_error

    @property
    def continuation(self) -> str:
        """The text that is explained."""
        return text_of(self.rows, self.columns)

    def __len__(self) -> int:
        return len(self.rows)

    @printed
    def __repr__(self) -> str:
        entries = f"{len(self)} entr{'y' if len(self) == 1 else 'ies'} of a continuation"
        lines = [summary(self.attribution, entries)]
        for i, row in enumerate(self.rows[:12]):
            values = self.attributions[i]
            order = np.argsort(-np.abs(np.nan_to_num(values)))[:3]
            best = ", ".join(f"{self.columns[one].strip() or repr(self.columns[one])} {values[one]:+.3g}" for one in order)
            known = "" if np.isnan(self.probabilities[i]) else f" p = {short(self.probabilities[i], 3)}"
            lines.append(f"  {row.strip() or repr(row)!s}{known}: {best}")
        return "\n".join(lines + ([f"  ... {len(self) - 12} more"] if len(self) > 12 else []))

    # other resolutions

    def words(self) -> "GenerationAttribution":
        """Pieces joined to words: attributions to the pieces of a word are summed, and so are the scores of those that are
        explained, where these are logits or log-probabilities."""
        return self._joined(word_groups(self.columns), "words")

    def sentences(self) -> "GenerationAttribution":
        """The same of sentences, each of which ends in ".", "!" or "?" or a new line."""
        return self._joined(sentence_groups(self.columns), "sentences")

    def total(self) -> "GenerationAttribution":
        """The sum over the continuation as one entry: its log-probability, where that of tokens is explained."""
        self._refuse_sums()
        return self._with_rows(np.zeros(len(self), int), "the sum over the continuation")

    def by_segment(self, segments: Any) -> "GenerationAttribution":
        """Attributions summed over parts of the prompt; `segments` as in `ta.attribute_generation`."""
        if self.context is None:
            raise AttributionError("columns are parts already")
        self._refuse_means("parts")
        prompt, segments = filled(self.prompt, segments)
        count = self.read or self.context
        parts = parts_of(segments, prompt, list(self.columns[:count]))
        names, labels = list(parts.names), np.full(len(self.columns), -1)
        labels[:count] = parts.of_token
        for name, which in ((REST, np.arange(len(labels)) < self.context), (WRITTEN, np.arange(len(labels)) >= self.context)):
            missing = which & (labels == -1)
            if missing.any() and (name == REST or self.attributions[:, missing].any()):
                labels[missing] = len(names)
                names.append(name)
        labels[labels < 0] = len(names)
        values = _summed(self.attributions, labels, len(names) + 1)[:, : len(names)]
        return dataclasses.replace(
            self,
            attribution=_with_values(self.attribution, values),
            columns=tuple(names),
            row_column=np.full(len(self), -1),
            context=None,
            read=0,
        )

    def _joined(self, groups: np.ndarray, what: str) -> "GenerationAttribution":
        if self.context is None:
            raise AttributionError(f"columns are parts, and are not joined to {what}")
        # what is in the prompt and what is written are never one, nor what an encoder reads and a decoder
        borders = np.searchsorted(np.unique([self.read, self.context]), np.arange(len(self.columns)), "right")
        _, groups = np.unique(groups * 4 + borders, return_inverse=True)
        count = int(groups.max()) + 1
        self._refuse_means(what)
        columns = tuple(text_of([self.columns[one] for one in np.flatnonzero(groups == i)], self.columns) for i in range(count))
        found = dataclasses.replace(
            self,
            attribution=_with_values(self.attribution, _summed(self.attributions, groups, count)),
            columns=columns,
            row_column=np.where(self.row_column >= 0, groups[self.row_column], -1),
            context=int(groups[: self.context].max(initial=-1)) + 1,
            read=int(groups[: self.read].max(initial=-1)) + 1,
        )
        if self.unit not in ADDED or (found.row_column < 0).any():
            return found
        return found._with_rows(found.row_column, None)

    def _with_rows(self, groups: np.ndarray, name: str | None) -> "GenerationAttribution":
        """Entries of one group added up."""
        values, labels = np.unique(groups, return_inverse=True)
        many = [np.flatnonzero(labels == i) for i in range(len(values))]
        if name is None and all(len(one) == 1 for one in many):
            return self
        rows = tuple(text_of([self.rows[i] for i in one], self.columns) if name is None else name for one in many)
        columns = np.array([self.row_column[one[0]] if name is None else -1 for one in many])
        chance = np.array([np.exp(np.log(self.probabilities[one]).sum()) if name is None else np.nan for one in many])
        return dataclasses.replace(
            self,
            attribution=_added(self.attribution, many),
            rows=rows,
            row_column=columns,
            probabilities=chance,
        )

    def _refuse_sums(self) -> None:
        if self.unit not in ADDED:
            raise AttributionError(
                f"a sum of scores in the unit {self.unit!r} means nothing: of='log_probability', or 'logits'"
            )
        self._refuse_means("a sum")

    def _refuse_means(self, what: str) -> None:
        if not are_summed(self.attribution.kind):
            raise AttributionError(
                f"{self.attribution.method} gives no numbers that add up to those of {what}: give segments= to the call, or "
                "take 'integrated_gradients'"
            )

    # pictures

    def told(self) -> "Told":
        """What pictures show."""
        from ..view.generation import Told

        return Told(
            rows=self.rows,
            columns=self.columns,
            values=np.asarray(self.attributions, np.float64),
            row_column=self.row_column,
            context=len(self.columns) if self.context is None else self.context,
            read=self.read,
            probabilities=self.probabilities,
            result=self.attribution,
            parts=self.context is None,
        )

    def plot(self) -> "Drawing":
        """A map as a matplotlib figure: a row for each token that is explained, with a scale of its own, a column for each that
        has a part in it."""
        from ..view.generation import show

        return show(self.told())

    def to_html(self, path: str | os.PathLike | None = None, overwrite: bool = False) -> str:
        """A page that stands alone: point at a word of the continuation, and the words that led to it colour.

        Args:
            path: where it is written, too.
            overwrite: replace a file that exists.

        Raises:
            AttributionError: the file exists.
        """
        from ..view.generation_page import page

        html = page(self.told())
        if path is not None:
            if Path(path).exists() and not overwrite:
                raise AttributionError(f"{path} exists: choose another name, or overwrite=True to replace it")
            write_whole(Path(path), lambda file: file.write(html.encode()))
        return html

    def _repr_html_(self) -> str:
        from ..view.generation_page import framed

        return framed(self.told())

    def to_dataframe(self) -> Any:
        """A pandas DataFrame: a row for each token that is explained, a column for each that has a part in it."""
        try:
            import pandas
        except ImportError:
            raise missing_extra("pandas", "pandas", "to_dataframe") from None
        names = [f"{number}: {name}" for number, name in enumerate(self.columns)]
        return pandas.DataFrame(self.attributions, index=[f"{i}: {row}" for i, row in enumerate(self.rows)], columns=names)


def _summed(values: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    found = np.zeros((len(values), count))
    np.add.at(found.T, labels, values.T)
    return found


def _with_values(result: Attribution, values: np.ndarray) -> Attribution:
    """The same with other columns, which sum to the same; standard errors are those of columns, and are gone."""
    from ..result.reductions import with_numbers

    return dataclasses.replace(with_numbers(result, values), tokens=None, inputs=None, place="layer")


def _added(result: Attribution, many: list[np.ndarray]) -> Attribution:
    """Entries added up in groups: absolute errors add up, too, and the worst status holds."""
    first = result[[int(one[0]) for one in many]]
    total = lambda values: np.stack([np.asarray(values)[one].sum(0) for one in many])  # noqa: E731
    found: dict[str, Any] = {"attributions": total(result.attributions)}
    for name in ("scores", "baseline_scores", "gap", "evaluations", "forward_evaluations"):
        value = getattr(result, name)
        found[name] = None if value is None else total(value)
    if result.error_estimate is not None:
        size = np.maximum(np.abs(found["attributions"]).sum(1), np.finfo(float).tiny)
        found["error_estimate"] = total(result.error_estimate * result.magnitudes) / size
    if result.status is not None:
        found["status"] = np.array([worst(result.status[one]) for one in many])
    gone = ("gradient_share", "residual", "residual_clipped", "narrow_at", "standard_error", "format_error")
    gone += ("position", "example", "target", "inputs", "tokens")
    return dataclasses.replace(first, **dict.fromkeys(gone) | found)
