"""Sums that grow with each result, until they become a summary."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..attribution import Attribution
from ..common.checks import whole
from ..common.errors import AttributionError
from ..common.types import present
from ..result.completeness import NOT_ESTIMATED
from . import reading
from .features import FeatureSums, degenerate
from .phrase_rules import read_off
from .summary import DataSummary
from .sums import Sample
from .words import WordTally

GROUPINGS = ("target", "predicted", "label")
# Bytes that sampled examples may take, and features times groups that are summed up.
SAMPLE_BYTES, MAX_SUMS = 2**26, 2_000_000
SAME = ("unit", "kind", "of", "at", "method")
LABELS, PREDICTIONS = "labels of the same examples", "the model's predictions for the same examples"


@dataclasses.dataclass(frozen=True)
class SummaryOptions:
    """The arguments of `summarise` that are numbers, checked."""

    sample: int
    trigger_share: float
    phrase_length: int
    min_support: int
    min_precision: float
    variation: float
    max_terms: int

    def __post_init__(self) -> None:
        for name, low in (("sample", 0), ("phrase_length", 1), ("min_support", 1), ("max_terms", 1000)):
            whole(name, getattr(self, name), low)
        for name in ("trigger_share", "min_precision"):
            value = getattr(self, name)
            if not isinstance(value, int | float | np.number) or not 0 < value <= 1:
                raise AttributionError(f"{name} is a share above 0 and up to 1 (0.2 for 20%), got {value!r}")
        if not isinstance(self.variation, int | float | np.number) or not self.variation >= 0:
            raise AttributionError(f"variation is a coefficient of variation, a number of at least 0, got {self.variation!r}")


class Running:
    """What is known so far."""

    def __init__(
        self,
        options: SummaryOptions,
        by: str | None,
        key: Any,
        kind: str,
        names: Sequence[str] | None,
        vocabulary: reading.Vocabulary,
        seed: int,
    ) -> None:
        self.vocabulary = vocabulary
        self._options, self._by, self._key, self._kind, self._given_names = options, by, key, kind, names
        self._random = np.random.default_rng(seed)
        self._told: dict[str, str] = {}
        self._named: dict[str, dict[str, tuple[str, ...]]] = {}
        self._seen = self._left_out = self._unfinished = 0
        self._examples: dict[Any, int] = {}
        self._features: dict[Any, FeatureSums] = {}
        self._words: WordTally | None = None
        self._sample: Sample | None = None
        self._shapes: dict[Any, tuple[int, ...]] | None = None
        self._names: tuple[str, ...] = ()
        self._has_values = True
        self._measured_on = ""
        self._class_names: dict[int, str] = {}

    def add(self, result: Attribution, labels: np.ndarray | None) -> None:
        """One result."""
        if not len(result):
            return
        self._check_same(result)
        found, is_words = reading.chosen(result, self._key, self._kind, self.vocabulary.given)
        found = reading.in_order(found, self._shapes)
        if is_words != (self._words is not None) and self._seen:
            raise AttributionError("some results are of words and others are not: summarise them one by one")
        finite = np.all([np.isfinite(block.values.reshape(len(result), -1)).all(1) for block in found], 0)
        if result.status is not None:
            self._unfinished += int((~np.isin(result.status, ("converged", NOT_ESTIMATED, ""))[finite]).sum())
        groups, targets = self._groups(result, labels), _keys(result.target, len(result))
        classes = _keys(result.predicted if labels is None else labels, len(result))
        self._measure_on(labels, result)
        priority = self._random.random(len(result))
        if is_words:
            self._add_words(result, found[0], finite, priority, groups, targets, None if classes[:1] == [None] else classes)
        else:
            self._add_features(reading.features(found), finite, priority, groups)
        for group, keep in zip(groups, finite, strict=True):
            self._examples[group] = self._examples.get(group, 0) + int(keep)
        self._class_names |= result.class_names
        self._left_out += int((~finite).sum())
        self._seen += len(result)

    def _check_same(self, result: Attribution) -> None:
        from ..view.captions import attribution_unit

        for name in SAME:
            own = attribution_unit(result) if name == "unit" else getattr(result, name)
            if self._told.setdefault(name, own) != own:
                raise AttributionError(
                    f"results must be alike to be summed up; their {name!r} differs: {self._told[name]!r} "
                    f"and {own!r}: summarise them one by one"
                )

        reading.check_names(self._named, result)

    def _groups(self, result: Attribution, labels: np.ndarray | None) -> list:
        if self._by == "label" and labels is None:
            raise AttributionError("by='label' needs labels=, a class for each example")
        if self._by == "predicted" and result.predicted is None:
            raise AttributionError(f"{result.of} has no classes of which one is predicted: by='target', or by=None")
        source = {"target": result.target, "predicted": result.predicted, "label": labels, None: None}[self._by]
        return _keys(source, len(result))

    def _measure_on(self, labels: np.ndarray | None, result: Attribution) -> None:
        on = LABELS if labels is not None else PREDICTIONS if result.predicted is not None else "nothing"
        if self._measured_on and self._measured_on != on:
            raise AttributionError(
                "some results have labels (or predicted classes) and others do not: give them for all or none"
            )
        self._measured_on = on

    def _add_words(
        self,
        result: Attribution,
        block: Any,
        finite: np.ndarray,
        priority: np.ndarray,
        groups: list,
        targets: list,
        classes: list | None,
    ) -> None:
        if self._words is None:
            if self._given_names is not None:
                raise AttributionError(
                    "names= are of features, and these attributions are of words: give tokens=, or kind='features'"
                )
            options = self._options
            self._words = WordTally(options.trigger_share, options.phrase_length, options.max_terms)
        batch = self.vocabulary.words(result, block, self._seen)
        kept = np.flatnonzero(finite)
        pick = lambda values: [values[place] for place in kept]  # noqa: E731
        batch = reading.WordBatch(*map(pick, (batch.words, batch.places, batch.values, batch.texts)))
        self._words.add(
            batch, kept + self._seen, priority[kept], pick(groups), pick(targets), None if classes is None else pick(classes)
        )
        self._keep(
            self._options.sample,
            kept,
            priority,
            groups,
            {"words": _objects([tuple(words) for words in batch.words]), "attributions": _objects(batch.values)},
        )

    def _add_features(self, batch: reading.FeatureBatch, finite: np.ndarray, priority: np.ndarray, groups: list) -> None:
        if self._shapes is None:
            self._shapes = batch.shapes
            self._names = reading.feature_names(batch, self._given_names)
        if batch.shapes != self._shapes:
            raise AttributionError(
                f"results of features must have one shape; got {_shown(self._shapes)}, then {_shown(batch.shapes)}"
            )
        self._has_values &= batch.values is not None
        kept = np.flatnonzero(finite)
        present = dict.fromkeys(groups[place] for place in kept)
        different = len(self._features | present)
        if different * len(self._names) > MAX_SUMS:
            raise AttributionError(
                f"{len(self._names):,} features in {different} groups or more are over {MAX_SUMS:,} sums: "
                "sum over axes first, such as result.sum(-1), or take all examples together, by=None"
            )
        for group in present:
            own = np.array([place for place in kept if groups[place] == group])
            sums = FeatureSums.of(batch.attributions[own], None if batch.values is None else batch.values[own])
            self._features[group] = self._features[group].merged(sums) if group in self._features else sums
        columns = {"attributions": batch.attributions[kept]}
        columns |= {"values": np.full(columns["attributions"].shape, np.nan) if batch.values is None else batch.values[kept]}
        size = min(self._options.sample, max(SAMPLE_BYTES // (16 * max(len(self._names), 1)), 1))
        self._keep(size, kept, priority, groups, columns)

    def _keep(self, size: int, kept: np.ndarray, priority: np.ndarray, groups: list, columns: dict[str, np.ndarray]) -> None:
        columns = {"index": kept + self._seen, "group": _objects([groups[place] for place in kept]), **columns}
        one = Sample.of(size, priority[kept], columns)
        self._sample = one if self._sample is None else self._sample.merged(one)

    def finish(self, classes: Sequence[str] | None) -> DataSummary:
        """The summary."""
        groups = tuple(sorted((group for group, count in self._examples.items() if count), key=_order))
        if not groups:
            raise AttributionError(
                "there is nothing to summarise: "
                + (
                    f"none of {self._seen} examples has finite attributions"
                    if self._seen
                    else "results hold no examples (a generator gives its results once only)"
                )
            )
        parts = self._word_parts(groups) if self._words is not None else self._feature_parts(groups)
        _check_classes(classes, (*groups, *(one.target for one in parts["trigger_words"])))
        names = self._class_names if classes is None else dict(enumerate(map(str, classes)))
        parts["rules"] = tuple(dataclasses.replace(rule, name=names.get(rule.target, "")) for rule in parts["rules"])
        place = {group: number for number, group in enumerate(groups)}
        sample = present(self._sample).columns | {
            "group": np.array([place[group] for group in present(self._sample).columns["group"]], np.int64)
        }
        if self._words is None and not self._has_values:
            del sample["values"]
        shape = next(iter(self._shapes.values())) if self._shapes is not None and len(self._shapes) == 1 else None
        told, total = self._told, sum(self._examples.values())
        subject = f"Summary of {total:,} attributions: {told['of']}, at {told['at']}, by {told['method']}"
        examples = np.array([self._examples[group] for group in groups])
        return DataSummary(
            groups=groups,
            examples=examples,
            sample=sample,
            shape=shape,
            unit=told["unit"],
            attribution_kind=told["kind"],
            subject=subject,
            class_names=names,
            **parts,
            notes=(*self._notes(), *self._word_notes(parts["trigger_words"])),
        )

    def _feature_parts(self, groups: tuple) -> dict[str, Any]:
        sums = [self._features[group] for group in groups]
        options, found = self._options, []
        for group, one in zip(groups, sums, strict=True) if self._has_values else ():
            found += degenerate(one, group, self._names, options.variation, options.min_support)
        return {
            "kind": "features",
            "names": self._names,
            "mean": np.stack([one.every.x for one in sums]),
            "deviation": np.stack([one.every.deviation for one in sums]),
            "counts": np.stack([one.every.count.astype(np.int64) for one in sums]),
            "mean_magnitude": np.stack([one.magnitude / one.examples for one in sums]),
            "correlation": np.stack([one.known.correlation for one in sums]) if self._has_values else None,
            "degenerate": tuple(found),
            "trigger_words": (),
            "rules": (),
        }

    def _word_parts(self, groups: tuple) -> dict[str, Any]:
        tally, options = self._words, self._options
        size = len(present(tally).terms)
        places = np.array([place for place, parts in enumerate(present(tally).terms.parts) if not parts], np.int64)
        counts, total, squares, magnitude = (
            np.stack([table.row(group, size)[places] for group in groups])
            for table in (present(tally).occurrences, present(tally).total, present(tally).squares, present(tally).magnitude)
        )
        with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: the word does not occur in this group
            mean = total / counts
            deviation = np.sqrt(np.maximum(squares / counts - mean**2, 0))
            magnitude = magnitude / counts
        rules = (
            read_off(present(tally), options.min_support, options.min_precision, self._measured_on)
            if present(tally).examples_of
            else ()
        )
        return {
            "kind": "words",
            "names": tuple(present(tally).terms.texts[place] for place in places),
            "mean": mean,
            "deviation": deviation,
            "counts": counts.astype(np.int64),
            "mean_magnitude": magnitude,
            "correlation": None,
            "degenerate": (),
            "trigger_words": tuple(present(tally).trigger_words(1)),
            "rules": tuple(rules),
        }

    def _notes(self) -> list[str]:
        notes = []
        if self._left_out:
            notes.append(f"{self._left_out} of {self._seen} examples have attributions that are not finite, and are left out")
        if self._unfinished:
            notes.append(
                f"{self._unfinished} of {self._seen} attributions did not converge, or do not add up "
                "as they should; see the status of the results"
            )
        if self._words is None and not self._has_values:
            notes.append("the values of the features are not known, so that none can be called degenerate")
        return notes

    def _word_notes(self, triggers: Sequence) -> list[str]:
        if self._words is None:
            return []
        notes = []
        if not self._words.examples_of:
            notes.append("neither labels nor predicted classes are known, so that no rules are read off: labels=")
        elif triggers:
            notes.append(
                f"rules need {self._options.min_support} examples and a precision of {self._options.min_precision:g}, "
                "and are flattered by the examples they were read off: summary.rules_on(words, classes) measures them "
                "on others"
            )
        if self._words.short:
            notes.append(
                f"words and phrases were more than fit: the rarest were forgotten, and the counts of others, and what "
                f"is summed over them, may lack up to {self._words.short} examples: raise max_terms"
            )
        return notes


def _keys(values: Any, count: int) -> list:
    """A plain key for each example: an int, a tuple of ints, or None for all."""
    if values is None:
        return [None] * count
    array = np.asarray(values)
    array = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if array.ndim == 2 and not array.shape[1]:
        return [None] * count
    return array.tolist() if array.ndim == 1 else [tuple(row) for row in array.tolist()]


def _order(group: Any) -> tuple:
    return () if group is None else group if isinstance(group, tuple) else (group,)


def _objects(values: Sequence) -> np.ndarray:
    """(n,) of objects, whatever these are."""
    array = np.empty(len(values), object)
    for place, value in enumerate(values):  # arrays of one length would be taken apart by array[:] = values
        array[place] = value
    return array


def _shown(shapes: dict) -> str:
    return ", ".join(str(shape) if key is None else f"{key!r} {shape}" for key, shape in shapes.items())


def _check_classes(classes: Sequence[str] | None, groups: Sequence) -> None:
    numbers = [group for group in groups if isinstance(group, int)]
    if classes is not None and numbers and max(numbers) >= len(classes):
        raise AttributionError(f"classes holds {len(classes)} names, and there is a class {max(numbers)}: give one for each")
