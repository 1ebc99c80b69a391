"""The integrator that refines each path until its error is small enough: see `adaptive` for the numbers. NumPy alone."""

import dataclasses
from typing import Any

import numpy as np

from . import adaptive, measuring
from .integrator import Outcome, Rows

CONVERGED, MAX_EVALUATIONS, TOO_NARROW, NOT_FINITE = "converged", "max_evaluations", "too_narrow", "not_finite"
# The status of an example is the worst of its paths.
WORST = (CONVERGED, MAX_EVALUATIONS, TOO_NARROW, NOT_FINITE)


@dataclasses.dataclass(frozen=True)
class Control:
    """When a path is done: at an estimated relative L1 error of `tolerance`, or after `max_evaluations` gradients."""

    tolerance: float
    max_evaluations: int


@dataclasses.dataclass(frozen=True, eq=False)
class _Nodes:
    """Nodes of paths, ascending by path and alpha: score and slope there, and where the vector is kept."""

    path: np.ndarray
    alpha: np.ndarray
    score: np.ndarray
    slope: np.ndarray
    slot: np.ndarray

    @classmethod
    def wanted(cls, path: np.ndarray, alpha: np.ndarray) -> "_Nodes":
        """Nodes that are yet to be evaluated."""
        return cls(path, alpha, np.zeros(len(path)), np.zeros(len(path)), np.zeros(len(path), int))

    def __len__(self) -> int:
        return len(self.path)

    def __getitem__(self, part) -> "_Nodes":
        return _Nodes(*(value[part] for value in vars(self).values()))

    def __add__(self, other: "_Nodes") -> "_Nodes":
        both = [np.concatenate(pair) for pair in zip(vars(self).values(), vars(other).values(), strict=True)]
        return _Nodes(*both)[np.lexsort((both[1], both[0]))]


def _mended(nodes: _Nodes, first: np.ndarray, count: np.ndarray) -> _Nodes:
    """The same, where the gradient at an end of a path is not finite, with its neighbour's.

    The integral may still exist (a square root against zero): the score at the end tells how wrong the neighbour's is.
    """
    last = first + count - 1
    if np.isfinite(nodes.slope[first]).all() and np.isfinite(nodes.slope[last]).all():
        return nodes
    slope, slot = nodes.slope.copy(), nodes.slot.copy()
    for ends, step in ((first, 1), (last, -1)):
        bad = ends[~np.isfinite(slope[ends])]
        slope[bad], slot[bad] = slope[bad + step], slot[bad + step]
    return dataclasses.replace(nodes, slope=slope, slot=slot)


class RefiningRule:
    """The integrator to a stated accuracy. All paths proceed in rounds together; what one path gets does not depend on
    the others.

    Args:
        control: when a path is done.
        scores, baseline_scores: (n,) and (n, k), F at the input and at each of its references: k paths an example.
        features: shapes of one example by key.
        odds: whether rows give log-odds of a probability.
        memory: bytes that kept gradients may take. At least one path is always kept whole.
        hand_out: whether what rows give sums to the slope, so that a residual tells by how much it is wrong.
    """

    def __init__(self, control: Control, scores: np.ndarray, baseline_scores: np.ndarray, features: dict[Any, tuple], dtype,
                 odds: bool, memory: int, hand_out: bool = True):
        self._control, self._odds, self._dtype, self._hand_out = control, odds, np.dtype(dtype), hand_out
        self._rounding = adaptive.ROUNDING * float(np.finfo(self._dtype).eps)
        self._examples, self._references = baseline_scores.shape
        self._shapes = {key: tuple(shape) for key, shape in features.items()}
        size, paths = sum(int(np.prod(shape)) for shape in self._shapes.values()), baseline_scores.size
        self._scan = np.zeros((paths, adaptive.CELLS + 1))
        self._scan[:, 0], self._scan[:, -1] = baseline_scores.ravel(), np.repeat(scores, self._references)
        self._total = np.zeros((self._examples, size), self._dtype)
        self._absolute, self._residual, self._end_slope = np.zeros((3, paths))
        self._evaluations, self._status, self._clipped = np.zeros(paths, int), np.zeros(paths, int), np.zeros(paths, bool)
        most = control.max_evaluations
        self._room = min(max(memory // max(size * self._dtype.itemsize, 1), most), paths * most)
        self._kept = np.empty((self._room, size), self._dtype)  # memory is taken when a row is first written
        self._used, self._freed = 0, []  # rows from `used` on were never written; those freed are written again
        self._nodes = self._pending = self._asked = _Nodes.wanted(np.zeros(0, int), np.zeros(0))
        self._next = 0  # the first path that is not yet in flight

    def first(self) -> Rows:
        """The forward-only scan of all paths; their ends are known."""
        inner = np.arange(1, adaptive.CELLS)
        paths = np.repeat(np.arange(len(self._scan)), len(inner))
        number = np.tile(inner, len(self._scan))
        return self._rows(paths, number / adaptive.CELLS, number, forward_only=True)

    def accept(self, rows, slots, sums, scores, slopes) -> None:
        if rows.forward_only:
            self._scan[rows.example * self._references + rows.reference, rows.number] = scores
            return
        self._asked.score[rows.slot], self._asked.slope[rows.slot] = scores, slopes
        kept, start = self._asked.slot[rows.slot], 0
        for found in sums:
            part = found.reshape(len(rows), -1)
            self._kept[kept, start:start + part.shape[1]] = part
            start += part.shape[1]

    def refine(self) -> Rows | None:
        if len(self._asked):
            self._nodes = self._nodes + self._asked
            arrived = np.zeros(len(self._scan), bool)
            arrived[self._asked.path] = True
            self._judge(arrived[self._nodes.path])
        self._grant()
        if not len(self._asked):
            return None
        return self._rows(self._asked.path, self._asked.alpha, np.arange(len(self._asked)))

    def _rows(self, paths: np.ndarray, alpha: np.ndarray, number: np.ndarray, forward_only: bool = False) -> Rows:
        example, reference = np.divmod(paths, self._references)
        return Rows(example, reference, alpha, np.ones(len(alpha)), np.arange(len(alpha)), number, forward_only)

    def _grant(self) -> None:
        """Chooses the nodes that are evaluated now. The oldest path always goes on, and what it may still need stays free, so
        that it ends and makes room; the others, and new paths, share the rest."""
        held = np.bincount(self._nodes.path, minlength=len(self._scan))
        paths, wanted = np.unique(self._pending.path, return_counts=True)
        free = self._room - self._control.max_evaluations - held[paths[1:]].sum()
        granted = []
        for path, count in zip(paths, wanted, strict=True):
            if path == paths[0] or count <= free:
                granted.append(path)
                free -= 0 if path == paths[0] else count
        chosen = np.isin(self._pending.path, granted)
        asked, self._pending = self._pending[chosen], self._pending[~chosen]
        count = min(adaptive.FIRST_NODES, self._control.max_evaluations)
        new = min(max(free, 0) // count + (0 if len(paths) else 1), len(self._scan) - self._next)
        if new:
            started = np.arange(self._next, self._next + new)
            alphas = self._rounded(adaptive.first_nodes(self._scan[started], count))
            asked = asked + _Nodes.wanted(np.repeat(started, count), alphas.ravel())
            self._next += new
        self._asked = dataclasses.replace(asked, slot=self._slots(len(asked)))

    def _slots(self, count: int) -> np.ndarray:
        """Rows of `kept` that are free."""
        again = self._freed[:count]
        del self._freed[:count]
        self._used += count - len(again)
        return np.concatenate([np.array(again, int), np.arange(self._used - count + len(again), self._used)])

    def _rounded(self, alphas: np.ndarray) -> np.ndarray:
        """`alphas` as the device sees them, so that widths of panels are those that were evaluated."""
        return alphas.astype(self._dtype).astype(np.float64)

    def _judge(self, arrived: np.ndarray) -> None:
        """Ends the paths that are done, among those of the nodes `arrived` (bool), and asks for further nodes of the others."""
        nodes = self._nodes[arrived]
        first = np.flatnonzero(np.diff(nodes.path, prepend=-1))
        paths, count = nodes.path[first], np.diff(first, append=len(nodes))
        nodes = _mended(nodes, first, count)
        finite = np.logical_and.reduceat(np.isfinite(nodes.score + nodes.slope), first)
        if not finite.all():
            self._finish(paths[~finite], NOT_FINITE)
            nodes = nodes[np.repeat(finite, count)]
            paths, count = paths[finite], count[finite]
        if len(paths):
            self._refine_or_finish(nodes, paths, count)

    def _refine_or_finish(self, nodes: _Nodes, paths: np.ndarray, count: np.ndarray) -> None:
        """The same for `paths` of finite `nodes`, of which each has `count`."""
        start = np.cumsum(count) - count
        rank = np.arange(len(nodes)) - np.repeat(start, count)
        others = (rank % 2 == 0) | (rank == np.repeat(count, count) - 1)
        fewer = np.add.reduceat(others, start, dtype=int)
        panels = adaptive.weigh(nodes.alpha, nodes.score, nodes.slope, count, self._odds, self._rounding)
        half = adaptive.weigh(nodes.alpha[others], nodes.score[others], nodes.slope[others], fewer, self._odds, self._rounding)
        measured = measuring.measure(self._kept, nodes.slot, count, panels, others, half)
        measured = measured if self._hand_out else adaptive.in_units_of_the_score(measured, panels)
        residual, error = adaptive.hand_out(panels, measured, count), adaptive.estimate(measured, panels, count)
        # what is nothing everywhere, such as a unit that is off, is known, whatever the score does
        known = (measured.norm + measured.spread == 0) & (not self._hand_out)
        error, deviations = np.where(known, 0, error), np.where(known, 0, np.abs(residual.deviations))
        done = (error <= self._control.tolerance) & (deviations <= adaptive.DONE)
        most = np.where(done, 0, self._control.max_evaluations - count)
        left = adaptive.to_halve(nodes.alpha, count, panels, measured.jumps, error / self._control.tolerance, most)
        going = np.zeros(len(self._scan), bool)
        going[nodes.path[left]] = True
        going = going[paths]
        if len(left):
            middle = self._rounded((nodes.alpha[left] + nodes.alpha[left + 1]) / 2)
            self._pending = self._pending + _Nodes.wanted(nodes.path[left], middle)
        self._residual[paths] = panels.residual
        # a residual that jumps along the path cannot explain is no error of the quadrature: it is left as a gap
        stuck = ~going & ~done & (most > 0)
        self._clipped[paths] = stuck | (deviations > adaptive.HAND_OUT)
        spoken = ~self._clipped[paths] & self._hand_out
        weights, rest = panels.node + np.repeat(spoken, count) * residual.node, spoken * residual.rest
        end = nodes.score[start + count - 1]
        steep = adaptive.sigmoid(end) * adaptive.sigmoid(-end) if self._odds else 1
        self._end_slope[paths] = nodes.slope[start + count - 1] * steep
        for i in np.flatnonzero(~going):
            own = slice(start[i], start[i] + count[i])
            between = slice(panels.first[i], panels.first[i] + count[i] - 1)
            total = measuring.integral(self._kept, nodes.slot[own], weights[own], panels.weight[between], rest[i])
            size = np.abs(total).sum()
            self._absolute[paths[i]] = error[i] * size if size > 0 else error[i]  # infinite: something of which nothing is left
            self._total[paths[i] // self._references] += total / self._references
        for status, ended in ((CONVERGED, done), (TOO_NARROW, stuck), (MAX_EVALUATIONS, ~done & (most == 0))):
            self._finish(paths[ended], status)

    def _finish(self, paths: np.ndarray, status: str) -> None:
        """Takes paths out of flight."""
        if not len(paths):
            return
        ended = np.isin(self._nodes.path, paths)
        self._freed += self._nodes.slot[ended].tolist()
        self._evaluations[paths] = np.bincount(self._nodes.path, minlength=len(self._scan))[paths]
        self._nodes, self._status[paths] = self._nodes[~ended], WORST.index(status)
        if status == NOT_FINITE:
            self._total[paths // self._references] = np.nan

    def outcome(self) -> Outcome:
        mean = lambda values: values.reshape(self._examples, -1).mean(1)  # noqa: E731
        norm = np.abs(self._total).sum(1, dtype=np.float64)
        absolute = mean(self._absolute)
        error = np.divide(absolute, norm, out=np.where(absolute > 0, np.inf, 0.0), where=norm > 0)
        status = self._status.reshape(self._examples, -1).max(1)
        finite = status != WORST.index(NOT_FINITE)
        totals, start = {}, 0
        for key, shape in self._shapes.items():
            size = int(np.prod(shape))
            totals[key] = self._total[:, start:start + size].reshape(self._examples, 1, *shape)
            start += size
        evaluations = self._evaluations.reshape(self._examples, -1).sum(1)
        forward = np.full(self._examples, self._references * (adaptive.CELLS - 1))
        return Outcome(totals, evaluations, forward, finite, mean(self._end_slope),
                       error_estimate=np.where(finite, error, np.nan), status=np.array(WORST)[status],
                       residual=mean(self._residual), residual_clipped=self._clipped.reshape(self._examples, -1).any(1))
