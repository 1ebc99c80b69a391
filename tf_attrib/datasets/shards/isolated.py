"""Attributing a batch in which some rows may fail: each loses itself and nothing else."""

import dataclasses
from typing import Any

import numpy as np

from ...attribution import Attribution
from ...attributor import Attributor
from ...common.errors import AttributionError, one_line
from ...common.nested import flatten
from ...common.types import present
from ...engine.integral.refined import NOT_FINITE
from ...engine.omission import Omitted, put_back
from ...result.joined import FILLS, joined
from ...selection.frames import Given, example_count, is_frame, take
from .rows import Rows

BAD_INPUT, FAILED = "bad_input", "failed"
LABEL = "label"
# Before anything was attributed, so many rows are tried one at a time: where none of them can be, the settings are wrong.
TRIED = 8


@dataclasses.dataclass(frozen=True)
class Failure:
    """A row that has no attribution.

    Attributes:
        id: of the row.
        row: its number in its file.
        status: "not_finite", "bad_input" (it could not be read, or is nothing that the model takes) or "failed".
        reason: what went wrong.
    """

    id: int | str
    row: int
    status: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Call:
    """How rows are attributed.

    Attributes:
        attributor: by what.
        settings: of its `attribute`: method, baselines, seed.
        target: as `attribute` takes it, or "label".
        on_error: "mark" or "raise".
    """

    attributor: Attributor
    settings: dict[str, Any]
    target: Any = None
    on_error: str = "mark"

    def __call__(self, inputs: Any, labels: np.ndarray | None) -> Attribution:
        target = self._target(labels)
        return self.attributor.attribute(inputs, target, verbose=False, on_error=self.on_error, **self.settings)

    def check(self, inputs: Any, labels: np.ndarray | None) -> None:
        """Raises what one example would."""
        self.attributor.check(inputs, self._target(labels), **self.settings)

    def _target(self, labels: np.ndarray | None) -> Any:
        if not isinstance(self.target, str):
            return self.target
        if labels is None:
            raise AttributionError("target='label' needs the labels of the rows, and the data have none: labels=")
        if labels.dtype.kind == "f":  # where one is missing, others are read as floats too
            if not np.array_equal(labels, np.round(labels)):
                raise AttributionError("target='label' explains classes, whole numbers, and a label is missing or is none")
            return labels.astype(np.int64)
        return labels

    def status_of(self, inputs: Any) -> str:
        """Whether one row that failed is nothing that the model takes."""
        try:
            self.attributor.prepare(inputs)
        except AttributionError:
            return BAD_INPUT
        except Exception:
            return FAILED
        return FAILED


class Isolated:
    """Attributes batch after batch.

    Args:
        call: how.
        settled: whether rows were attributed with these settings before, so that what fails is a row's own.
    """

    def __init__(self, call: Call, settled: bool) -> None:
        self._call, self._settled = call, settled
        self._like: Attribution | None = None  # what a batch of which nothing is left is filled in like
        self._good: tuple[Any, np.ndarray | None] | None = None  # a row that was attributed

    def __call__(self, rows: Rows) -> tuple[Attribution | None, np.ndarray, list[tuple[int, str, str]]]:
        """The result of all rows, for each of its entries the place of its row, and of the rows that failed place, status and
        reason. Nothing that failed has an entry where there is one for each position; the result is None where nobody knows
        yet what it would be like.

        Raises:
            AttributionError: a row fails, and `on_error` is "raise"; or all do before any was attributed.
        """
        failed = [(place, BAD_INPUT, reason) for place, reason in rows.lost.items()]
        if failed and self._call.on_error == "raise":
            raise AttributionError(f"row {rows.ids[failed[0][0]]!r} cannot be read: {failed[0][2]}")
        readable = rows.readable
        if len(readable) and not self._settled:
            self._try(rows, readable)
        done = self._halved(rows, np.arange(len(readable)), failed) if len(readable) else []
        if not done:
            self._check_model(rows, failed)
            return self.nothing(rows, failed), np.arange(len(rows)), failed
        result, which = joined([one for _, one in done]), np.concatenate([part for part, _ in done])
        result = dataclasses.replace(result, notes=(*rows.notes, *result.notes))
        self._like, self._good = result, self._good or self._row(rows, int(done[0][0][0]))
        if result.position is not None:
            return result, self._places(readable, done), failed
        failed += _not_finite(result, readable[which])
        return self._spread(result, readable[which], failed, len(rows)), np.arange(len(rows)), failed

    def _try(self, rows: Rows, readable: np.ndarray) -> None:
        """Raises where none of some rows, evenly spread, can be attributed; those that are not finite do not count."""
        first = None
        for place in np.unique(np.linspace(0, len(readable) - 1, TRIED).astype(int)):
            inputs = take(rows.inputs, slice(place, place + 1))
            if not _is_finite(inputs):
                continue
            try:
                self._call.check(inputs, _labels(rows, readable[[place]]))
            except AttributionError as error:
                first = first or error
            else:
                self._settled = True
                return
        if first is not None:
            raise AttributionError(f"none of the rows that were tried first can be attributed: {first}") from first

    def _row(self, rows: Rows, readable: int) -> tuple[Any, np.ndarray | None]:
        """Inputs and label of one of the rows that could be read."""
        return take(rows.inputs, slice(readable, readable + 1)), _labels(rows, rows.readable[[readable]])

    def _check_model(self, rows: Rows, failed: list[tuple[int, str, str]]) -> None:
        """Raises where a model that failed on all rows of a batch fails on a good one too, one that was attributed before or
        zeros: then it is not the rows that are bad, and they are not to be marked for good."""
        bad = [(place, reason) for place, status, reason in failed if status == FAILED]
        if not bad:
            return
        inputs, labels = self._good or self._row(rows, int(np.searchsorted(rows.readable, bad[0][0])))
        try:
            self._call.check(inputs if self._good else as_zeros(self._call.attributor.read(inputs)), labels)
        except Exception as error:
            raise AttributionError(
                f"the model fails on every row, also on what is known to be good, so that rows are not marked: {bad[0][1]}"
            ) from error

    def _halved(self, rows: Rows, which: np.ndarray, failed: list) -> list[tuple[np.ndarray, Attribution]]:
        """Results of the readable rows `which`; those that fail by themselves are noted."""
        inputs = rows.inputs if len(which) == example_count(rows.inputs) else take(rows.inputs, which)
        places = rows.readable[which]
        try:
            return [(which, self._call(inputs, _labels(rows, places)))]
        except Exception as error:
            if self._call.on_error == "raise":
                raise
            if len(which) == 1:
                failed.append((int(places[0]), self._call.status_of(inputs), one_line(error)))
                return []
        half = len(which) // 2
        return self._halved(rows, which[:half], failed) + self._halved(rows, which[half:], failed)

    def _places(self, readable: np.ndarray, done: list[tuple[np.ndarray, Attribution]]) -> np.ndarray:
        """For each entry of a result for each position the place of its row."""
        return np.concatenate([readable[which][one.example] for which, one in done])

    @property
    def knows(self) -> bool:
        """Whether it is known what a result is like."""
        return self._like is not None

    def learn(self, like: Attribution) -> None:
        """What a batch of which nothing is left is filled in like, until a row is attributed."""
        self._like = like

    def nothing(self, rows: Rows, failed: list[tuple[int, str, str]]) -> Attribution | None:
        """The result of rows all of which failed; None where it is not known yet what it would be like, or has no entries."""
        if self._like is None or self._like.position is not None:
            return None
        return self._spread(self._like[:0], np.zeros(0, int), failed, len(rows))

    def _spread(self, result: Attribution, places: np.ndarray, failed: list, count: int) -> Attribution:
        """The result with an entry for each of `count` rows, given those at `places`, and the statuses of what failed."""
        if len(places) < count:
            good = np.zeros(count, bool)
            good[places] = True
            result = put_back(result, Omitted(good, _wide(result, good), None))
            status = present(result.status).astype("U15")
            for place, words, _ in failed:
                status[place] = words
            result = dataclasses.replace(result, status=status)
        return result


def as_target(target: Any) -> Any:
    """A target that holds for all rows, or "label", checked.

    Raises:
        AttributionError: another text, or one for each row.
    """
    if isinstance(target, str) and target != LABEL:
        raise AttributionError(f"target is a class, {LABEL!r} (that of each row), or as attribute takes it; got {target!r}")
    if isinstance(target, np.ndarray | list) or hasattr(target, "__array__"):
        raise AttributionError("a target for each row goes with the data: labels=..., target='label'")
    return target


def checked_on_error(on_error: str) -> str:
    """What becomes of rows that fail, checked."""
    if on_error not in ("mark", "raise"):
        raise AttributionError(f"on_error must be 'mark' or 'raise', got {on_error!r}")
    return on_error


def as_zeros(given: Given) -> Given:
    """Inputs of the same shapes that hold zeros and empty texts."""
    arrays = {key: np.zeros(leaf.shape, _plain(leaf.dtype)) for key, leaf in given.arrays.items()}
    return dataclasses.replace(given, arrays=arrays)


def _plain(dtype: np.dtype) -> np.dtype:
    return np.dtype("U1") if dtype.kind in "OS" else dtype


def _labels(rows: Rows, places: np.ndarray) -> np.ndarray | None:
    return None if rows.labels is None else rows.labels[places]


def _wide(result: Attribution, good: np.ndarray) -> dict[Any, np.ndarray]:
    """The inputs of a result with what means nothing where there are none."""
    found = {}
    for key, leaf in flatten(result.inputs).items():
        leaf = np.asarray(leaf)
        found[key] = np.full((len(good), *leaf.shape[1:]), FILLS.get(leaf.dtype.kind, 0), leaf.dtype)
        found[key][good] = leaf
    return found


def _not_finite(result: Attribution, places: np.ndarray) -> list[tuple[int, str, str]]:
    """The rows that `attribute` marked, and why."""
    if result.status is None:
        return []
    found = []
    for entry in np.flatnonzero(result.status == NOT_FINITE):
        own = _is_finite(take(result.inputs, slice(entry, entry + 1)))
        what = "its score, a gradient, or its baseline is NaN or infinite" if own else "its inputs hold NaN or infinity"
        found.append((int(places[entry]), NOT_FINITE, what))
    return found


def _is_finite(inputs: Any) -> bool:
    """Whether all floats are; columns of a frame of several kinds are looked at one by one."""
    leaves: dict[Any, Any] = inputs.arrays if isinstance(inputs, Given) else flatten(inputs)
    arrays = [leaf[name].to_numpy() for leaf in leaves.values() if is_frame(leaf) for name in leaf.columns]
    arrays += [np.asarray(leaf) for leaf in leaves.values() if not is_frame(leaf)]
    return all(bool(np.isfinite(array).all()) for array in arrays if array.dtype.kind == "f")
