"""The integrator of rows that are independent draws: their mean, and from the spread of sums of them its standard error."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from ...common.types import Features
from .integrator import Batch, Fixed, Outcome
from .points import Points


class Drawn(Fixed):
    """Adds up the sums of each example. How far each is off its part of the first is kept as a sum and a sum of squares:
    little is lost to rounding, and no memory is taken for single sums.

    Args:
        points: those of each example, whose slots are sums of about as many draws each.
        features, dtype, forward_only: as `Fixed` takes them.
    """

    def __init__(self, points: list[Points], features: Features, dtype: npt.DTypeLike, forward_only: bool = False) -> None:
        one = [dataclasses.replace(each, slots=1) for each in points]
        super().__init__(one, features, dtype, forward_only)
        self._parts = points[0].slots
        self._shares = np.bincount(points[0].slot, points[0].weight, self._parts).astype(dtype)
        self._squares, self._first = ({key: np.zeros_like(value) for key, value in self._sums.items()} for _ in range(2))
        self._open: tuple[np.ndarray, list[np.ndarray]] = (np.zeros(0, int), [])  # the last sum, of which more may come

    def first(self) -> Batch:
        batch, slots = super().first(), np.concatenate([points.slot for points in self._points])
        return dataclasses.replace(batch, slot=slots + batch.example * self._parts)

    def accept(self, rows: Batch, slots: np.ndarray, sums: list[np.ndarray], scores: np.ndarray, slopes: np.ndarray) -> None:
        super().accept(rows, slots, [], scores, slopes)
        started, held = self._open
        if len(started) and started[0] == slots[0]:
            sums = [np.concatenate([found[:1] + before, found[1:]]) for found, before in zip(sums, held, strict=True)]
        elif len(started):
            self._take(started, held)
        self._open = slots[-1:], [found[-1:].copy() for found in sums]
        self._take(slots[:-1], [found[:-1] for found in sums])

    def _take(self, slots: np.ndarray, sums: list[np.ndarray]) -> None:
        """Adds sums to which no more rows come."""
        if not sums:
            return
        example, part = np.divmod(slots, self._parts)
        share, begins = self._shares[part], part == 0
        for key, found in zip(self._sums, sums, strict=True):
            shares = share.reshape(-1, *[1] * (found.ndim - 1))
            self._first[key][example[begins]] = found[begins] / self._shares[0]
            off = found - shares * self._first[key][example]
            np.add.at(self._sums[key], example, off)
            np.add.at(self._squares[key], example, np.square(off))

    def outcome(self) -> Outcome:
        self._take(*self._open)
        self._open, parts = (np.zeros(0, int), []), self._parts
        errors: dict[Any, np.ndarray] = {}
        for key, off in self._sums.items():
            spread = np.maximum(self._squares[key] - np.square(off) / parts, 0)
            # one draw tells nothing of where others would lie
            errors[key] = np.sqrt(spread * (parts / (parts - 1))) if parts > 1 else np.full_like(spread, np.inf)
            off += self._first[key] * self._shares.sum()
        return dataclasses.replace(super().outcome(), standard_error={key: one[:, None] for key, one in errors.items()})
