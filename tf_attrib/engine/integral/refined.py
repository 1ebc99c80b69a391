"""The integrator that refines each path until its error is small enough: see `rounds` for the numbers. NumPy alone."""

import dataclasses

import numpy as np
import numpy.typing as npt

from ...common.types import Features
from . import averaging, ends, placing, rounds, vectors
from .integrator import Batch, Outcome
from .judging import Verdict, judge
from .nodes import Nodes

CONVERGED, MAX_EVALUATIONS, MEMORY = "converged", "max_evaluations", "memory"
TOO_NARROW, NOT_FINITE = "too_narrow", "not_finite"
# The status of an example is the worst of its paths.
WORST = (CONVERGED, MAX_EVALUATIONS, MEMORY, TOO_NARROW, NOT_FINITE)


@dataclasses.dataclass(frozen=True)
class Control:
    """When a path is done: at an estimated relative L1 error of `tolerance`, or after `max_evaluations` gradients."""

    tolerance: float
    max_evaluations: int


class Refined:
    """The integrator to a stated accuracy. All paths proceed in rounds together.

    Paths from several references to one example, and to several copies of it, are judged by their mean: none is taken further
    than that needs. What one example gets does not depend on the others.

    Args:
        control: when an example is done.
        scores, baseline_scores: (n,) and (n, k), F at the input and at each of its references: k paths an example.
        features: shapes of one example by key.
        odds: whether rows give log-odds of a probability.
        memory: bytes that kept gradients may take. At least one path is always kept whole.
        hand_out: whether what rows give sums to the slope, so that a residual tells by how much it is wrong.
        copies: how many examples, one after the other, are copies of one, whose mean is wanted.
        rounding: the relative precision of scores and slopes; default: some units of the last place of `dtype`.
        lengths: (n · k, cells of the scan), of curved paths, see `placing.first_nodes`.
    """

    def __init__(
        self,
        control: Control,
        scores: np.ndarray,
        baseline_scores: np.ndarray,
        features: Features,
        dtype: npt.DTypeLike,
        odds: bool,
        memory: int,
        hand_out: bool = True,
        copies: int = 1,
        rounding: float | None = None,
        lengths: np.ndarray | None = None,
    ) -> None:
        self._lengths = lengths
        self._control, self._odds, self._dtype, self._hand_out = control, odds, np.dtype(dtype), hand_out
        self._rounding = rounds.ROUNDING * float(np.finfo(self._dtype.type).eps) if rounding is None else rounding
        self._examples, self._references = baseline_scores.shape
        self._members = self._references * copies
        self._shapes = {key: tuple(shape) for key, shape in features.items()}
        size, paths = sum(int(np.prod(shape)) for shape in self._shapes.values()), baseline_scores.size
        groups = paths // self._members
        self._scan = np.zeros((paths, placing.CELLS + 1))
        self._scan[:, 0], self._scan[:, -1] = baseline_scores.ravel(), np.repeat(scores, self._references)
        self._total = np.zeros((self._examples, size), self._dtype)
        self._rough = np.zeros((groups if self._members > 1 else 0, size), self._dtype)
        self._tightened = np.ones(groups)
        self._absolute, self._relative, self._residual, self._end_slope = np.zeros((4, paths))
        self._narrow_at = np.full(paths, np.nan)
        self._evaluations, self._status = np.zeros(paths, int), np.full(paths, -1)
        self._clipped, self._probed, self._judged, self._resting = np.zeros((4, paths), bool)
        # out of gradients, and then with an estimate that is not to be believed
        self._limited, self._unsure = np.zeros((2, paths), bool)
        self._integrals: dict[int, vectors.Integral] = {}
        most = control.max_evaluations
        self._room = min(max(memory // max(size * self._dtype.itemsize, 1), most), paths * most)
        self._kept = np.empty((self._room, size), self._dtype)  # memory is taken when a row is first written
        self._used, self._freed = 0, []  # rows from `used` on were never written; those freed are written again
        self._nodes = self._pending = self._asked = Nodes.wanted(np.zeros(0, int), np.zeros(0))
        self._first: list[np.ndarray] = []
        self._next = 0  # the first path that is not yet in flight

    def first(self) -> Batch:
        """The forward-only scan of all paths; their ends are known."""
        inner = np.arange(1, placing.CELLS)
        paths = np.repeat(np.arange(len(self._scan)), len(inner))
        number = np.tile(inner, len(self._scan))
        return self._rows(paths, number / placing.CELLS, number, forward_only=True)

    def accept(self, rows: Batch, slots: np.ndarray, sums: list[np.ndarray], scores: np.ndarray, slopes: np.ndarray) -> None:
        if rows.forward_only:
            self._scan[rows.example * self._references + rows.reference, rows.number] = scores
            return
        kept, start, finite = self._asked.slot[rows.slot], 0, np.ones(len(rows), bool)
        for found in sums:
            part = found.reshape(len(rows), -1)
            self._kept[kept, start : start + part.shape[1]] = part
            start += part.shape[1]
            finite &= np.isfinite(part).all(1) if not self._hand_out else True  # else the slope is their sum, and tells
        self._asked.score[rows.slot], self._asked.slope[rows.slot] = scores, np.where(finite, slopes, np.nan)

    def refine(self) -> Batch | None:
        fresh = np.zeros(len(self._scan), bool)
        if len(self._asked):
            fresh[self._asked.path] = True
            self._nodes, free = (self._nodes + self._asked).beside(self._rounded(np.array([ends.BESIDE]))[0])
            self._freed += free.tolist()
        while fresh.any():
            self._judge(fresh)
            fresh = self._settled()
        self._grant()
        if not len(self._asked):
            return None
        return self._rows(self._asked.path, self._asked.alpha, np.arange(len(self._asked)))

    def _rows(self, paths: np.ndarray, alpha: np.ndarray, number: np.ndarray, forward_only: bool = False) -> Batch:
        example, reference = np.divmod(paths, self._references)
        return Batch(example, reference, alpha, np.ones(len(alpha)), np.arange(len(alpha)), number, forward_only)

    # which nodes are evaluated next

    def _grant(self) -> None:
        """Chooses the nodes that are evaluated now. The oldest path always goes on, and what it may still need stays free, so
        that it ends and makes room; the others, and new paths, share the rest."""
        paths, wanted = np.unique(self._pending.path, return_counts=True)
        free = self._free(paths)
        if free < 0 and self._resting.any():
            self._finish(np.flatnonzero(self._resting))
            free = self._free(paths)
        chosen = np.ones(len(self._pending), bool)
        if wanted[1:].sum() <= free:
            free -= int(wanted[1:].sum())
        else:
            granted = paths[:1].tolist()
            for path, count in zip(paths[1:], wanted[1:], strict=True):
                if count <= free:
                    granted.append(path)
                    free -= count
            chosen = np.isin(self._pending.path, granted)
        asked, self._pending = self._pending[chosen], self._pending[~chosen]
        self._asked = asked + self._started(free, not len(paths))
        self._asked = dataclasses.replace(self._asked, slot=self._slots(len(self._asked)))

    def _free(self, paths: np.ndarray) -> int:
        """Rows that are left beside what the first of `paths` may need."""
        others = self._nodes.path != paths[0] if len(paths) else np.ones(len(self._nodes), bool)
        return self._room - self._control.max_evaluations - int(others.sum())

    def _started(self, free: int, alone: bool) -> Nodes:
        """The first nodes of paths that start now: so many as fit into `free` rows, one at least if there are no others
        (`alone`). Paths whose mean is wanted start together where all of them fit."""
        if not self._first:
            most = self._control.max_evaluations
            found = placing.first_nodes(self._scan, self._odds, most, self._lengths)
            self._first = [self._rounded(nodes) for nodes in found]
        counts = np.array([len(nodes) for nodes in self._first[self._next :]], int)
        new = int(np.searchsorted(np.cumsum(counts), max(free, 0), "right"))
        largest = max(map(len, self._first)) * self._members
        if largest <= self._room - self._control.max_evaluations:
            new -= (self._next + new) % self._members
        new = min(max(new, int(alone)), len(counts))
        started = np.arange(self._next, self._next + new)
        self._next += new
        return Nodes.wanted(np.repeat(started, counts[:new]), np.concatenate([np.zeros(0), *(self._first[i] for i in started)]))

    def _slots(self, count: int) -> np.ndarray:
        """Rows of `kept` that are free."""
        again = self._freed[:count]
        del self._freed[:count]
        self._used += count - len(again)
        return np.concatenate([np.array(again, int), np.arange(self._used - count + len(again), self._used)])

    def _rounded(self, alphas: np.ndarray) -> np.ndarray:
        """`alphas` as the device sees them, so that widths of panels are those that were evaluated."""
        return alphas.astype(self._dtype).astype(np.float64)

    # what becomes of those that were evaluated

    def _judge(self, fresh: np.ndarray) -> None:
        """Judges the paths that `fresh` (paths,) says, and asks for further nodes of those that are not done."""
        nodes = self._nodes[fresh[self._nodes.path]].mended()
        finite = np.logical_and.reduceat(np.isfinite(nodes.score + nodes.slope), nodes.starts)
        if not finite.all():
            paths = nodes.path[nodes.starts]
            nodes = nodes[np.repeat(finite, nodes.counts)]
            self._finish(paths[~finite], NOT_FINITE)
        if len(nodes):
            paths = nodes.path[nodes.starts]
            new, probed = ~self._judged[paths], self._probed[paths]
            found = judge(self._kept, nodes, new, probed, self._odds, self._rounding, self._control.tolerance, self._hand_out)
            self._refine_or_rest(nodes, paths, found)

    def _refine_or_rest(self, nodes: Nodes, paths: np.ndarray, found: Verdict) -> None:
        """The same for `paths`, in the order of their `nodes`."""
        wanted = self._wanted(nodes, paths, found)
        dead = found.dead & (found.count < self._control.max_evaluations)
        self._judged[paths] = True
        enough = (found.absolute <= wanted) & found.explained
        done = enough & found.sure & ~found.hidden & ~dead
        most = np.where(done | dead, 0, self._control.max_evaluations - found.count - self._probed[paths])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(wanted > 0, found.absolute / wanted, np.inf)
        halvings, stuck = found.halvings(enough, ratio, most)
        self._pending = self._pending + nodes.between(halvings).rounded(self._dtype)
        beside = Nodes.wanted(paths[dead], np.full(int(dead.sum()), ends.BESIDE))
        self._pending = self._pending + beside.rounded(self._dtype)
        self._probed[paths[dead]] = True
        limited = ~done & ~dead & (most == 0)
        self._keep(nodes, paths, found, stuck, done | limited | stuck)
        self._limited[paths], self._unsure[paths] = limited, limited & ~(found.sure & ~found.hidden)
        self._finish(paths[stuck], TOO_NARROW)
        self._resting[paths[done | limited]] = True
        if self._members == 1:
            self._finish(paths[done | limited])

    def _wanted(self, nodes: Nodes, paths: np.ndarray, found: Verdict) -> np.ndarray:
        """(paths,), what the integral of each may be wrong by."""
        own = self._control.tolerance * found.norm
        if self._members == 1:
            return own
        new = np.flatnonzero(~self._judged[paths])
        for i in new:
            part = slice(nodes.starts[i], nodes.starts[i] + found.count[i])
            self._rough[paths[i] // self._members] += vectors.nodes_sum(self._kept, nodes.slot[part], found.panels.node[part])
        group = paths // self._members
        seen = self._judged.copy()
        seen[paths] = True
        known = np.all(seen.reshape(-1, self._members), axis=1)
        norm = np.abs(self._rough).sum(1, dtype=np.float64) / self._members
        needed = self._tightened * averaging.allowed(self._control.tolerance, norm, self._members)
        return np.where(known[group], np.minimum(needed[group], averaging.LOOSEST * own), own)

    def _keep(self, nodes: Nodes, paths: np.ndarray, found: Verdict, stuck: np.ndarray, over: np.ndarray) -> None:
        """What is known of the integrals of `paths`, of those that are `over` what they are summed from, too."""
        start, panels = nodes.starts, found.panels
        self._residual[paths], self._absolute[paths], self._relative[paths] = panels.residual, found.absolute, found.error
        # a residual that jumps along the path cannot explain is no error of the quadrature: it is left as a gap
        self._clipped[paths] = stuck | (found.residual.deviations > rounds.HAND_OUT)
        spoken = ~self._clipped[paths] & self._hand_out
        weights, rest = panels.node + np.repeat(spoken, found.count) * found.residual.node, spoken * found.residual.rest
        end = nodes.score[start + found.count - 1]
        steep = rounds.sigmoid(end) * rounds.sigmoid(-end) if self._odds else 1
        self._end_slope[paths] = nodes.slope[start + found.count - 1] * steep
        worst = np.where(found.narrow, np.abs(panels.error) + panels.weight * found.jumps, -1)
        for i in np.flatnonzero(over):
            own = slice(start[i], start[i] + found.count[i])
            between = slice(panels.first[i], panels.first[i] + found.count[i] - 1)
            self._integrals[paths[i]] = vectors.Integral(nodes.slot[own], weights[own], panels.weight[between], rest[i])
            self._narrow_at[paths[i]] = nodes.alpha[own][np.argmax(worst[between])] if stuck[i] else np.nan

    def _settled(self) -> np.ndarray:
        """Ends the paths whose mean is good enough, and those of which nothing better is to be had; (paths,) bool, which of the
        others are to be judged anew by what they may be wrong by now."""
        again = np.zeros(len(self._scan), bool)
        waiting = (self._resting | (self._status >= 0)).reshape(-1, self._members)
        for group in np.flatnonzero(waiting.all(1) & self._resting.reshape(waiting.shape).any(1)):
            members = np.arange(group * self._members, (group + 1) * self._members)
            resting = members[self._resting[members]]
            found = sum(self._integrals[path].of(self._kept) for path in resting) / self._members
            examples = np.unique(members // self._references)
            norm = np.abs(found + self._total[examples].mean(0)).sum(dtype=np.float64)
            error = averaging.error_of_mean(self._absolute[members][None])[0]
            aim, able = self._control.tolerance * norm, resting[~self._limited[resting]]
            fixed = averaging.error_of_mean((self._absolute[members] * ~np.isin(members, able))[None])[0]
            if error <= aim or not fixed <= aim:  # good enough, or never: no refinement takes away what is fixed, or no number
                self._finish(resting)
            else:
                self._tightened[group] *= averaging.AIM * aim / error
                again[able], self._resting[able] = True, False
        return again

    def _finish(self, paths: np.ndarray, status: str | None = None) -> None:
        """Takes paths out of flight; those without a status are as good as they were taken."""
        if not len(paths):
            return
        for path in paths:
            example = path // self._references
            if status != NOT_FINITE:
                self._total[example] += self._integrals.pop(path).of(self._kept) / self._references
            else:
                self._total[example] = np.nan
                self._integrals.pop(path, None)
        reached = np.where(self._limited[paths], WORST.index(MAX_EVALUATIONS), WORST.index(CONVERGED))
        self._status[paths] = reached if status is None else WORST.index(status)
        ended = np.isin(self._nodes.path, paths)
        self._freed += self._nodes.slot[ended].tolist()
        self._evaluations[paths] = (np.bincount(self._nodes.path, minlength=len(self._scan)) + self._probed)[paths]
        self._nodes, self._resting[paths] = self._nodes[~ended], False

    def outcome(self) -> Outcome:
        mean = lambda values: values.reshape(self._examples, -1).mean(1)  # noqa: E731
        totals, start = {}, 0
        for key, shape in self._shapes.items():
            size = int(np.prod(shape))
            totals[key] = self._total[:, start : start + size].reshape(self._examples, 1, *shape)
            start += size
        status, error = self._judged_together()
        evaluations = self._evaluations.reshape(self._examples, -1).sum(1)
        forward = np.full(self._examples, self._references * (placing.CELLS - 1))
        finite = status != WORST.index(NOT_FINITE)
        return Outcome(
            totals,
            evaluations,
            forward,
            finite,
            mean(self._end_slope),
            error_estimate=np.where(finite, error, np.nan),
            status=np.array(WORST)[status],
            residual=mean(self._residual),
            residual_clipped=np.any(self._clipped.reshape(self._examples, -1), axis=1),
            narrow_at=np.fmin.reduce(self._narrow_at.reshape(self._examples, -1), 1),
        )

    def _judged_together(self) -> tuple[np.ndarray, np.ndarray]:
        """The status, as a place in `WORST`, and the relative error of each example: those of the mean that it is a part of."""
        copies = self._members // self._references
        error = averaging.error_of_mean(self._absolute.reshape(-1, self._members))
        with np.errstate(invalid="ignore"):
            norm = np.abs(self._total.reshape(len(error), copies, -1).mean(1)).sum(1, dtype=np.float64)
        # a path alone is stated as it was judged, before its residual was handed out
        relative = (
            np.divide(error, norm, out=np.where(error > 0, np.inf, 0.0), where=norm > 0)
            if self._members > 1
            else self._relative
        )
        worst = self._status.reshape(-1, self._members).max(1)
        if self._members > 1:  # paths that ran out of gradients or room may do for the mean, and those that did not may not
            limited = self._limited.reshape(-1, self._members).any(1)
            short = np.where(limited, WORST.index(MAX_EVALUATIONS), WORST.index(MEMORY))
            unsure = self._unsure.reshape(-1, self._members).any(1)
            reached = np.where((relative <= self._control.tolerance) & ~unsure, WORST.index(CONVERGED), short)
            worst = np.where(worst >= WORST.index(TOO_NARROW), worst, reached)
        worst = np.where(np.isfinite(norm), worst, WORST.index(NOT_FINITE))
        return np.repeat(worst, copies), np.repeat(relative, copies)
