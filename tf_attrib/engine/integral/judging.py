"""What one round knows of several paths: how wrong their integrals are, and where they must be looked at. NumPy alone."""

import dataclasses

import numpy as np

from . import ends, placing, rounds, vectors
from .nodes import Nodes


@dataclasses.dataclass(frozen=True, eq=False)
class Verdict:
    """Of several paths, one after the other; (paths,) each unless it says otherwise.

    Attributes:
        count: how many nodes each path has.
        panels: its panels, and `jumps` (panels,): the L1 norms of the vector's jumps over them.
        narrow, doubtful: (panels,), bool: those that cannot be halved, and those that must be before the estimate counts.
        absolute, norm: the estimated L1 error of the integral, and its L1 norm.
        residual: what is to be handed out.
        explained: bool, whether the residual is one that jumps can cause; `sure`: whether moreover nothing is doubtful.
        growth: how much more the first panel counts, since the vector grows towards the baseline; 1 where it does not.
        hidden: bool, whether more than the tolerance lies where no node can be placed.
        dead: bool, whether the vector at the baseline says nothing of what is beside it.
    """

    count: np.ndarray
    panels: rounds.Panels
    jumps: np.ndarray
    narrow: np.ndarray
    doubtful: np.ndarray
    absolute: np.ndarray
    norm: np.ndarray
    residual: rounds.Residual
    explained: np.ndarray
    growth: np.ndarray
    hidden: np.ndarray
    dead: np.ndarray

    @property
    def error(self) -> np.ndarray:
        """The estimated error relative to the norm; infinite where something is known of which nothing is left."""
        return np.divide(self.absolute, self.norm, out=np.where(self.absolute > 0, np.inf, 0.0), where=self.norm > 0)

    @property
    def sure(self) -> np.ndarray:
        """(paths,), bool, whether the estimated error is to be believed."""
        return self.explained & ~np.logical_or.reduceat(self.doubtful, self.panels.first)

    def halvings(self, enough: np.ndarray, ratio: np.ndarray, most: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(panels,), how often each is halved next, beginning with its right end's half; and (paths,), bool, which paths cannot
        go on.

        Args:
            enough: (paths,), whether the estimated error is small enough and the residual explained.
            ratio: (paths,), that error as a multiple of what is wanted.
            most: (paths,), no more than this many.
        """
        first = self.panels.first
        usual, stuck = rounds.to_halve(
            self.panels, self.count, self.narrow, self.jumps, ratio, np.where(enough | self.hidden, 0, most)
        )
        left = np.where(self.hidden, 0, most - np.add.reduceat(usual, first, dtype=int))
        chosen = usual | rounds.largest(np.abs(self.panels.error), first, self.doubtful & ~usual, left)
        stuck = (stuck | (self.hidden & (most > 0))) & ~np.logical_or.reduceat(chosen, first)
        worth = rounds.worth(self.panels, self.jumps)
        deep = chosen[first] & (self.growth > 1) & (worth[first] > ends.MOSTLY * np.add.reduceat(worth, first))
        times = (chosen & ~np.repeat(deep, self.count - 1)).astype(int)
        times[first[deep]] = np.minimum(ends.HALVINGS, most[deep])
        return times, stuck


def judge(
    kept: np.ndarray,
    nodes: Nodes,
    new: np.ndarray,
    probed: np.ndarray,
    odds: bool,
    rounding: float,
    tolerance: float,
    hand_out: bool,
) -> Verdict:
    """Judges the paths of finite `nodes`, each of which has two at least.

    Args:
        kept: where the vectors of nodes are.
        new: (paths,), bool, which are judged for the first time: `dead` is looked at in these.
        probed: (paths,), bool, whether the first node stands beside the baseline.
        odds, rounding: see `adaptive.weigh`.
        tolerance: relative to the norm of a path's integral.
        hand_out: whether vectors sum to the slope.
    """
    start, count = nodes.starts, nodes.counts
    rank = np.arange(len(nodes)) - np.repeat(start, count)
    others = (rank % 2 == 0) | (rank == np.repeat(count, count) - 1)
    fewer = np.add.reduceat(others, start, dtype=int)
    size = _sizes(kept, nodes, start)
    panels = rounds.weigh(nodes.alpha, nodes.score, nodes.slope, count, odds, rounding)
    half = rounds.weigh(nodes.alpha[others], nodes.score[others], nodes.slope[others], fewer, odds, rounding)
    left = panels.left
    narrow = rounds.too_narrow(nodes.alpha, left)
    width = nodes.alpha[left + 1] - nodes.alpha[left]
    wide = placing.too_wide(width, panels.weight, panels.first)
    growth = ends.growth(nodes.alpha, start, size) if count.min() > 2 else np.ones(len(count))
    panels = ends.grown(panels, growth)
    raw = vectors.measure(kept, nodes.slot, count, panels, others, half)
    measured = raw if hand_out else rounds.in_units_of_the_score(raw, panels)
    residual, absolute = rounds.hand_out(panels, measured, count), rounds.estimate(measured, panels, count)
    absolute = absolute * np.where(nodes.alpha[start + 1] < ends.LOGARITHMIC, ends.MARGIN, 1)
    if not hand_out:  # back to the units of the vector
        absolute = absolute * np.divide(raw.norm, measured.norm, out=np.ones(len(count)), where=measured.norm > 0)
    # what is nothing everywhere, such as a unit that is off, is known, whatever the score does
    known = (measured.norm + measured.spread == 0) & (not hand_out)
    # log-odds near 0 are known no better than the logits that they are the difference of
    told = known | (np.abs(panels.residual) <= rounds.ROUNDING * rounding * measured.norm)
    unseen, hidden = ends.unseen(panels, narrow)
    below = np.where(probed, ends.below(size[:, 0], nodes.score[start], odds), 0)
    turned = panels.weight * placing.turning(width, measured.jumps, panels.first) * rounds.SPREAD
    turned = turned > placing.TURNED * tolerance * np.repeat(measured.norm, count - 1)
    absolute = absolute + below
    steep = odds & (
        np.maximum(np.abs(nodes.slope[left]), np.abs(nodes.slope[left + 1])) * width
        > rounds.steepest(nodes.score[left], nodes.score[left + 1])
    )
    doubtful = (unseen | wide | ((turned | steep) & ~narrow)) & ~np.repeat(known, count - 1)
    deviations = np.where(told, 0, np.abs(residual.deviations))
    return Verdict(
        count,
        panels,
        measured.jumps,
        narrow,
        doubtful,
        np.where(known, 0, absolute),
        np.where(np.isfinite(raw.norm), raw.norm, 0),
        dataclasses.replace(residual, deviations=deviations),
        deviations <= rounds.DONE,
        growth,
        ((hidden > tolerance) | (below > tolerance * raw.norm)) & ~known,
        _dead(kept, nodes, new & (nodes.alpha[start] == 0), tolerance * raw.norm),
    )


def _dead(kept: np.ndarray, nodes: Nodes, looked_at: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """(paths,), bool, whether the baseline has no say for some of the features (see `ends.dead`) of those `looked_at`."""
    found, slot, alpha = np.zeros(len(allowed), bool), nodes.slot, nodes.alpha
    for i in np.flatnonzero(looked_at):
        first = nodes.starts[i]
        found[i] = ends.dead(kept[slot[first]], kept[slot[first + 1]], float(alpha[first + 1]), float(allowed[i]))
    return found


def _sizes(kept: np.ndarray, nodes: Nodes, start: np.ndarray) -> np.ndarray:
    """(paths, 3), the L1 norms of the vector at the first three nodes; a path of two has the last twice."""
    slots = nodes.slot[np.minimum(start[:, None] + np.arange(3), (start + nodes.counts - 1)[:, None])]
    step = max(vectors.CACHE // slots.shape[1] // kept.shape[1], 1)  # paths, as many as fit the processor's cache
    parts = (kept[slots[first : first + step]] for first in range(0, len(slots), step))
    return np.concatenate([np.abs(part, out=part).sum(-1, dtype=np.float64) for part in parts])
