"""`ta.compare_runs`: how far two runs over the same examples are apart, example by example and feature by feature."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..attribution import Attribution
from ..common.checks import whole
from ..common.errors import AttributionError
from ..common.nested import flatten
from ..result.reductions import named
from ..result.similarity import cosine_of, rank_correlation_of
from . import reading
from .run_comparison import RunComparison
from .running import SAMPLE_BYTES
from .shards import storage
from .shards.folder import AttributionSet
from .shards.folder import open as open_set
from .sums import Joint, Sample

# Fewer examples than that say nothing about a rank correlation over examples.
FEWEST = 20


def compare_runs(
    a: AttributionSet | str | os.PathLike,
    b: AttributionSet | str | os.PathLike,
    *,
    names: Sequence[str] | None = None,
    sample: int = 1000,
    seed: int = 0,
) -> RunComparison:
    """Compares two runs over the same examples, such as those of a model before and after it was trained again, in one pass.

        found = ta.compare_runs("run-march/", "run-april/")
        found.save_html("drift.html")

    Examples are matched by id, features by the names of inputs, columns and categories where both runs know these. Where a
    prediction is explained and the model predicts another class, the two attributions are of different scores: `changed` says
    where; `target=` explains one class in both runs.

    Args:
        a, b: what `ta.attribute_dataset` or `ta.open` gave, or folders.
        names: of the features; default: key and index, or the columns' own.
        sample: how many examples rank correlations of features are of, fewer where they would take more than 64 MB.
        seed: of the sample.

    Returns:
        A `RunComparison`.

    Raises:
        AttributionError: runs with no example in common, with these in another order, of other data in which several rows have
            one id, or of attributions of other shapes, units, columns or categories.
    """
    whole("sample", sample)
    runs = [one if isinstance(one, AttributionSet) else open_set(Path(one)) for one in (a, b)]
    ids = [run.ids for run in runs]
    shared = [np.isin(own, other) for own, other in (ids, ids[::-1])]
    common = [own[which] for own, which in zip(ids, shared, strict=True)]
    if not len(common[0]):
        raise AttributionError(f"the runs have no ids in common; ids of a: {ids[0][:3].tolist()}, of b: {ids[1][:3].tolist()}")
    if not np.array_equal(common[0], common[1]):
        raise AttributionError("the runs have the same examples in another order: attribute both from the data in one order")
    other_data = runs[0].manifest["data"] != runs[1].manifest["data"]
    for name, run in zip("ab", runs if other_data else (), strict=False):
        _check_ids(name, run)
    found = _Found(names, sample, seed)
    for own, one, other in _paired(*(_kept(run, which) for run, which in zip(runs, shared, strict=True))):
        found.add(own, one, other)
    numbered = any(own.dtype.kind == "i" and np.array_equal(own, np.arange(len(own))) for own in ids)
    return found.finish(*(int((~which).sum()) for which in shared), by_number=other_data and numbered)


def _check_ids(name: str, run: AttributionSet) -> None:
    """Raises where several rows of a run have one id: in other data nobody knows which of them is which."""
    row_of: dict[Any, tuple[Path, int]] = {}
    for path in run.paths:
        for block in storage.read(path, ["id", "row"]):
            for own, row in zip(block.columns["id"].tolist(), block.columns["row"].tolist(), strict=True):
                if row_of.setdefault(own, (path, row)) != (path, row):
                    raise AttributionError(
                        f"several rows of run {name} have the id {own!r}, and the data of the runs differ, so that it is not "
                        "known which is which: give each row an id of its own, ids="
                    )


def _kept(run: AttributionSet, which: np.ndarray) -> Iterator[tuple[np.ndarray, Attribution]]:
    """Ids and attributions of the entries that both runs have."""
    start = 0
    for result, ids, _ in run.labelled():
        own = np.flatnonzero(which[start : start + len(result)])
        start += len(result)
        if len(own):
            yield ids[own], result[own]


def _paired(
    a: Iterator[tuple[np.ndarray, Attribution]], b: Iterator[tuple[np.ndarray, Attribution]]
) -> Iterator[tuple[np.ndarray, Attribution, Attribution]]:
    """The same entries of both, as many at a time as both have in one piece."""
    one, other = next(a, None), next(b, None)
    while one is not None and other is not None:
        count = min(len(one[0]), len(other[0]))
        yield one[0][:count], one[1][:count], other[1][:count]
        one = (one[0][count:], one[1][count:]) if count < len(one[0]) else next(a, None)
        other = (other[0][count:], other[1][count:]) if count < len(other[0]) else next(b, None)


class _Found:
    """What is known so far."""

    def __init__(self, names: Sequence[str] | None, sample: int, seed: int) -> None:
        self._given, self._size, self._random = names, sample, np.random.default_rng(seed)
        self._parts: dict[str, list[np.ndarray]] = {}
        self._left_out, self._told = 0, None
        self._shapes: Any = None
        self._one_shape = True
        self._names: tuple[str, ...] = ()
        self._joint: Joint | None = None
        self._magnitudes: Any = 0.0
        self._sample: Sample | None = None
        self._class_names: dict[int, str] = {}

    def add(self, ids: np.ndarray, one: Attribution, other: Attribution) -> None:
        """Some examples, in both runs."""
        self._check_alike(one, other)
        rows = [_flat(result, one) for result in (one, other)]
        finite = np.isfinite(rows[0]).all(1) & np.isfinite(rows[1]).all(1)
        self._left_out += int((~finite).sum())
        first, second = (values[finite] for values in rows)
        if not len(first):
            return
        size = np.abs(first).sum(1) + np.abs(second).sum(1)
        self._note(
            ids=ids[finite],
            rank_correlation=rank_correlation_of(first, second),
            cosine=cosine_of(first, second),
            distance=np.divide(np.abs(first - second).sum(1), size, out=np.zeros(len(size)), where=size > 0),
            scores=np.stack([one.scores[finite], other.scores[finite]], 1),
        )
        if one.target is not None and other.target is not None:
            self._note(targets=np.stack([_classes(target[finite]) for target in (one.target, other.target)], 1))
        self._class_names |= one.class_names | other.class_names
        self._add_features(one, first, second)

    def _note(self, **columns: np.ndarray) -> None:
        for name, values in columns.items():
            self._parts.setdefault(name, []).append(values)

    def _check_alike(self, one: Attribution, other: Attribution) -> None:
        from ..view.captions import attribution_unit

        units = attribution_unit(one), attribution_unit(other)
        kinds = [{key: np.shape(leaf)[1:] for key, leaf in flatten(result.attributions).items()} for result in (one, other)]
        if units[0] != units[1] or kinds[0] != kinds[1]:
            raise AttributionError(
                f"runs are compared in one unit and at the same tensors; a has {kinds[0]} in {units[0]}, b {kinds[1]} in "
                f"{units[1]}"
            )
        if self._told is None:
            self._told = units[0], (_subject(one), _subject(other))
            self._shapes = kinds[0]
        self._one_shape &= self._shapes == kinds[0]

    def _add_features(self, result: Attribution, a: np.ndarray, b: np.ndarray) -> None:
        if not self._one_shape:
            return
        if not self._names:
            found, _ = reading.chosen(result, None, "features", False)
            self._names = reading.feature_names(reading.features(found), self._given)
        joint = Joint.of(a, b, np.ones(a.shape, bool))
        self._joint = joint if self._joint is None else self._joint.merged(joint)
        self._magnitudes = self._magnitudes + np.stack([np.abs(a).sum(0), np.abs(b).sum(0)])
        size = min(self._size, max(SAMPLE_BYTES // (16 * a.shape[1]), 1))
        one = Sample.of(size, self._random.random(len(a)), {"a": a, "b": b})
        self._sample = one if self._sample is None else self._sample.merged(one)

    def finish(self, only_a: int, only_b: int, by_number: bool) -> RunComparison:
        """What was found."""
        if not self._parts or self._told is None:
            raise AttributionError(
                f"none of {self._left_out} examples has finite attributions in both runs: failures() says why"
            )
        columns = {name: np.concatenate(parts) for name, parts in self._parts.items()}
        features: dict[str, Any] = dict.fromkeys(("means", "magnitudes", "feature_cosine", "feature_rank_correlation"))
        joint, drawn = self._joint, 0
        if self._one_shape and joint is not None and self._sample is not None:
            drawn = len(self._sample.priority)
            squares = [own + joint.count * mean**2 for own, mean in ((joint.xx, joint.x), (joint.yy, joint.y))]
            norms = np.sqrt(squares[0]) * np.sqrt(squares[1])
            product = joint.xy + joint.count * joint.x * joint.y
            features = {
                "means": np.stack([joint.x, joint.y]),
                "magnitudes": self._magnitudes / joint.count,
                "feature_cosine": np.divide(product, norms, out=np.full(len(norms), np.nan), where=norms > 0),
                "feature_rank_correlation": rank_correlation_of(self._sample.columns["a"].T, self._sample.columns["b"].T)
                if drawn >= FEWEST
                else None,
            }
        return RunComparison(
            **{name: columns[name] for name in ("ids", "rank_correlation", "cosine", "distance")},
            scores=columns["scores"].T,
            targets=columns["targets"].T if "targets" in columns else None,
            names=self._names if self._one_shape else (),
            **features,
            sample=drawn,
            only_a=only_a,
            only_b=only_b,
            left_out=self._left_out,
            by_number=by_number,
            unit=self._told[0],
            subjects=self._told[1],
            class_names=self._class_names,
        )


def _subject(result: Attribution) -> str:
    return f"{result.of}, at {result.at}, by {result.method}"


def _flat(result: Attribution, like: Attribution) -> np.ndarray:
    """(n, features) float64, over all tensors, with the same feature at each place as `like`: a model that was trained again
    may take its inputs, columns and categories in another order."""
    leaves = flatten(result.attributions)
    found = [_placed(np.asarray(leaves[key], np.float64), key, result, like) for key in flatten(like.attributions)]
    return np.concatenate([leaf.reshape(len(result), -1) for leaf in found], 1)


def _placed(leaf: np.ndarray, key: Any, result: Attribution, like: Attribution) -> np.ndarray:
    """One tensor, the places of whose last axis are put into the order in which `like` names them, where both do.

    Raises:
        AttributionError: they name others.
    """
    for what, own, wanted in (
        ("columns", result.names_of(key), like.names_of(key)),
        ("categories", result.categories.get(named(key), ()), like.categories.get(named(key), ())),
    ):
        if not own or not wanted or own == wanted or leaf.shape[-1] != len(own):
            continue
        if sorted(own) != sorted(wanted):
            one, other = (next(iter(sorted({*ones} - {*others})), None) for ones, others in ((wanted, own), (own, wanted)))
            raise AttributionError(
                f"the runs are of other {what}{'' if key is None else f' of {key!r}'}: {one!r} is in a alone, {other!r} in b; "
                "compare sums over them, reduce='sum(-1)' of attribute_dataset"
            )
        place = {name: number for number, name in enumerate(own)}
        leaf = leaf[..., [place[name] for name in wanted]]
    return leaf


def _classes(target: np.ndarray) -> np.ndarray:
    """(n,), the class of each target."""
    return target.reshape(len(target), -1)[:, -1]
