"""Rows of a data set on their way to the model: inputs, with what says which rows they are."""

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...common.errors import AttributionError
from ...common.nested import flatten, rebuild
from ...common.types import present
from ...selection.frames import Given, example_count, is_frame, take


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """Consecutive rows of a data set.

    Attributes:
        ids: (n,) of int or str.
        inputs: of those that could be read, in order: an array, a DataFrame, or a list or dict of such, as the model takes.
        labels: (n, ...), or None where there are none.
        lost: why a row could not be read, by its place among the ids.
        notes: what is to be said of how they were read.
    """

    ids: np.ndarray
    inputs: Any
    labels: np.ndarray | None = None
    lost: dict[int, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def readable(self) -> np.ndarray:
        """(m,), the places of the rows that `inputs` holds."""
        return np.delete(np.arange(len(self)), list(self.lost)) if self.lost else np.arange(len(self))

    @property
    def kind(self) -> tuple:
        """What rows must have in common to share an array: keys, and the shapes and types of one example. Of two types an array
        takes a third, of numbers and text text, so that rows would depend on what came before or after."""
        leaves: dict[Any, Any] = self.inputs.arrays if isinstance(self.inputs, Given) else flatten(self.inputs)
        return tuple((key, *_kind(leaf)) for key, leaf in leaves.items())

    def cut(self, start: int, stop: int) -> "Rows":
        """Those from `start` up to `stop`; of rows that could all be read."""
        part = slice(start, stop)
        return Rows(self.ids[part], take(self.inputs, part), None if self.labels is None else self.labels[part])


def _kind(leaf: Any) -> tuple:
    """The shape of one example, or the columns of a frame, and their types; texts of any length are of one."""
    if is_frame(leaf):
        return tuple(leaf.columns), tuple(str(leaf[name].dtype) for name in leaf.columns)
    array = np.asarray(leaf)
    return array.shape[1:], "text" if array.dtype.kind in "OSU" else array.dtype.str


def joined(parts: Sequence[Rows]) -> Rows:
    """Rows of one kind that follow each other, all of which could be read."""
    if len(parts) == 1:
        return parts[0]
    leaves = {key: _one([flatten(part.inputs)[key] for part in parts]) for key in flatten(parts[0].inputs)}
    labels = None if parts[0].labels is None else np.concatenate([present(part.labels) for part in parts])
    return Rows(np.concatenate([part.ids for part in parts]), rebuild(leaves), labels)


def _one(leaves: list) -> Any:
    """One array, or one frame by what its own library joins frames with."""
    if is_frame(leaves[0]):
        return sys.modules[type(leaves[0]).__module__.partition(".")[0]].concat(leaves)
    return np.concatenate(leaves)


class Stream:
    """Rows that come one part after the other, of which as many are taken as are wanted."""

    def __init__(self, parts: Iterator[Rows]) -> None:
        self._parts, self._rest = parts, None

    def take(self, most: int) -> Rows | None:
        """The next rows, `most` of them, or fewer at the end and where shapes change; None: there are no more."""
        found: list[Rows] = []
        count = 0
        while count < most:
            rows, self._rest = self._rest if self._rest is not None else next(self._parts, None), None
            if rows is None or (found and rows.kind != found[0].kind):
                self._rest = rows
                break
            if len(rows) > most - count:
                self._rest = rows.cut(most - count, len(rows))
                rows = rows.cut(0, most - count)
            found.append(rows)
            count += len(rows)
        return joined(found) if found else None


def counted(name: str, values: Any, inputs: Any) -> np.ndarray:
    """`values`, (n, ...), one for each example of `inputs`.

    Raises:
        AttributionError: another number.
    """
    array = np.asarray(values)
    count = example_count(inputs)
    if array.ndim == 0 or len(array) != count:
        raise AttributionError(f"{name} must be one for each of {count} examples, got {array.dtype} {array.shape}")
    return array
