"""Integrated gradients to a stated accuracy: the numbers behind one round of refinement. NumPy alone.

A path leads from a baseline to an example. At each of its nodes alpha are known a score o, the vector G = do/dx · (x - x'),
and the slope s = sum(G), the derivative of o along the path. Wanted is the integral I over alpha of dF/dx · (x - x'), where
F = o, or, for a probability, F = sigmoid(o) and o its log-odds: these are smooth where the probability is flat or steep.

Between two nodes (a panel) o is interpolated by the cubic that has both values and slopes, and G by a straight line, so that
I = sum over panels of A·G_left + B·G_right with A, B the integrals of dF/do · (1 - t) and dF/do · t.

Three things tell the error. A jump of G that lies anywhere in a panel gives the panel an error of variance
weight² · jump² / 12, with weight = A + B. F itself at both ends gives the panel's own residual. And the same from every other
node tells how much of that is true of this path: smooth paths are better than jumps.
"""

import dataclasses

import numpy as np

# Standard deviations of the residual: up to which it is handed out, and up to which a path can be done.
HAND_OUT, DONE = 3.0, 2.5
# How little the slopes may tell of a jump of the vector, as a part of its squared L1 norm.
SHRINK = 0.03
# The factor from the spread of jumps to an L1 error that 99 of 100 paths keep, and the least that smoothness may lower it to.
SAFETY, SMOOTHEST = 1.5, 0.5
# How much of what is handed out counts as an error: it goes where jumps are, and that is a guess.
HANDED = 0.5
# The mean of |normal variable| is 0.8 of its deviation; uniform within a panel has a variance of 1/12.
SPREAD = 0.8 / np.sqrt(12)
# What every other node's integral differs by from that of all, as a part of its own estimated error: 0.87 on paths with
# jumps, where chance takes it down to this.
COARSE = 0.58
# Where panels err with the same sign, as those of 1 / alpha do, errors do not cancel by chance: with every other node left out
# they are four times as large (the trapezoid is of second order), so that a third of the difference is left, and a margin.
SYSTEMATIC = 0.4
# A panel is refined by its residual plus this much of its jump; panels below a tenth of the worst wait.
JUMP, WORTH = 0.15, 0.1
# Fewest panels that are halved in a round, and the share of the tolerance that a round aims at.
FEWEST, AIM = 4, 0.9
# A panel narrower than this part of its right end is not halved: alpha has no more digits in float32.
NARROWEST = 1e-6
# And no panel that ends below this: what may lie there is told as an uncertainty (`ends.below`).
LEAST = 1e-30
# Rounding of a score or slope, in units of the dtype's last place. It is no error of the quadrature.
ROUNDING = 32
# Nodes from which every other one tells something.
TELLING = 7
# Log-odds are interpolated by slopes no steeper than this many chords (Fritsch and Carlson 1980, 10.1137/0717021: then no cubic
# overshoots) and this much, by which it may overshoot by 0.9 at most (4/27 of it): a slope that is as steep only at a node
# would else put the whole panel where sigmoid' is nothing.
STEEPEST, OVERSHOOT = 3.0, 6.0
TINY = np.finfo(float).tiny

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2
# The cubic with given values and slopes at both ends, at these nodes.
_HERMITE = np.stack(
    [
        2 * _NODES**3 - 3 * _NODES**2 + 1,
        3 * _NODES**2 - 2 * _NODES**3,
        _NODES**3 - 2 * _NODES**2 + _NODES,
        _NODES**3 - _NODES**2,
    ]
)


@dataclasses.dataclass(frozen=True, eq=False)
class Panels:
    """The panels of several paths, one path after the other.

    Attributes:
        first: (paths,), where the panels of each path begin.
        left: (panels,), the node at the left end of each; the next one is at its right end.
        weight, error: (panels,), A + B, and the panel's own residual beyond rounding, in units of F.
        moves: (panels,), the integral of the slope over the panel, in units of F.
        jump: (panels,), by how much the slope differs from its left to its right end.
        node: (nodes,), the weight of each node's vector in the integral.
        residual: (paths,), F(1) - F(0) less the sum of the integral; `beyond` is the part of it that rounding leaves over.
    """

    first: np.ndarray
    left: np.ndarray
    weight: np.ndarray
    error: np.ndarray
    moves: np.ndarray
    jump: np.ndarray
    node: np.ndarray
    residual: np.ndarray
    beyond: np.ndarray


def weigh(alpha: np.ndarray, score: np.ndarray, slope: np.ndarray, nodes: np.ndarray, odds: bool, rounding: float) -> Panels:
    """What a round knows from scores and slopes alone.

    Args:
        alpha, score, slope: float64, all nodes of all paths, ascending within a path.
        nodes: (paths,), how many nodes each path has, at least 2.
        odds: whether scores are log-odds of a probability F; else F is the score.
        rounding: the relative precision of scores and slopes.
    """
    left = left_ends(nodes)
    right, first = left + 1, np.cumsum(nodes) - nodes - np.arange(len(nodes))
    value = sigmoid(score) if odds else score
    a, b = _weights(alpha, score, slope, left, odds)
    below, above = a * slope[left], b * slope[right]
    moves = value[right] - value[left]
    blur = rounding * np.abs(score) * (value * (1 - value) if odds else 1)
    blurred = rounding * (np.abs(below) + np.abs(above)) + blur[left] + blur[right]
    error = _beyond(below + above - moves, blurred)
    residual = np.add.reduceat(moves - below - above, first)
    beyond = _beyond(
        residual,
        rounding * np.add.reduceat(np.abs(below) + np.abs(above), first) + blur[left[first]] + blur[np.cumsum(nodes) - 1],
    )
    node = np.zeros(len(alpha))
    node[left] += a
    node[right] += b
    return Panels(first, left, a + b, error, below + above, slope[right] - slope[left], node, residual, beyond)


def left_ends(nodes: np.ndarray) -> np.ndarray:
    """(panels,), the nodes that are not the last of their path, of which each has so many."""
    inner = np.ones(nodes.sum(), bool)
    inner[np.cumsum(nodes) - 1] = False
    return np.flatnonzero(inner)


def sigmoid(odds: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-odds)), without overflow, and with all digits of a small probability."""
    small = np.exp(-np.abs(odds))
    return np.where(odds >= 0, 1, small) / (1 + small)


def steepest(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The slope times the width of a panel beyond which log-odds may go anywhere between those at its ends."""
    return STEEPEST * np.abs(right - left) + OVERSHOOT


def _weights(alpha, score, slope, left, odds) -> tuple[np.ndarray, np.ndarray]:
    """A and B of each panel."""
    width = alpha[left + 1] - alpha[left]
    if not odds:
        return width / 2, width / 2
    most = steepest(score[left], score[left + 1])
    tilts = [np.clip(slope[end] * width, -most, most) for end in (left, left + 1)]
    ends = np.stack([score[left], score[left + 1], *tilts], 1)
    # sigmoid' without the digits that 1 - p has lost where the probability is nearly one
    small = np.exp(-np.abs(ends @ _HERMITE))
    density = small / (1 + small) ** 2 * _WEIGHTS * width[:, None]
    return density @ (1 - _NODES), density @ _NODES


def _beyond(value: np.ndarray, blurred: np.ndarray) -> np.ndarray:
    """The part of `value` that rounding does not explain, with its sign."""
    return np.sign(value) * np.maximum(np.abs(value) - blurred, 0)


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """What the vectors of paths say, (paths,) each, in units of F.

    Attributes:
        norm: the L1 norm of I.
        spread: of the jumps over panels, as an L1 norm.
        moved: how far I is from that by every other node, whose spread is `coarse`.
        jumps: (panels,), the L1 norm of each panel's jump, in units of the score.
    """

    norm: np.ndarray
    spread: np.ndarray
    moved: np.ndarray
    coarse: np.ndarray
    jumps: np.ndarray


def in_units_of_the_score(measured: Measured, panels: Panels) -> Measured:
    """The same of vectors that do not sum to the slope, such as the gradients of a layer along a path at the input: scaled so
    that their integral is as large as what the score moves by, up and down. Errors of the score's own integral then count
    for as large a part of theirs."""
    travelled = np.add.reduceat(np.abs(panels.moves), panels.first)
    known = (measured.norm > 0) & (travelled > 0)
    scale = np.divide(travelled, measured.norm, out=np.ones(len(travelled)), where=known)
    panel = np.repeat(scale, np.diff(panels.first, append=len(panels.weight)))
    return Measured(
        measured.norm * scale, measured.spread * scale, measured.moved * scale, measured.coarse * scale, measured.jumps * panel
    )


def estimate(measured: Measured, panels: Panels, nodes: np.ndarray) -> np.ndarray:
    """(paths,), the estimated L1 error of each path's integral, in units of F: what jumps can cause, and what scores tell of
    the panels, one by one with signs that cancel by chance, or all together."""
    usual = COARSE * SPREAD * measured.coarse
    tells = (measured.coarse > 1e-12 * measured.norm) & (nodes >= TELLING)
    factor = np.where(tells, np.clip(measured.moved / np.where(tells, usual, 1), SMOOTHEST, 1), 1)
    told = np.maximum(np.sqrt(np.add.reduceat(panels.error**2, panels.first)), HANDED * np.abs(panels.beyond))
    return np.maximum(factor * SAFETY * SPREAD * measured.spread, SYSTEMATIC * measured.moved) + told


def too_narrow(alpha: np.ndarray, left: np.ndarray) -> np.ndarray:
    """(panels,), bool: which panels are not halved, since alpha has no digits for it."""
    return alpha[left + 1] - alpha[left] <= np.maximum(NARROWEST * alpha[left + 1], LEAST)


def worth(panels: Panels, jumps: np.ndarray) -> np.ndarray:
    """(panels,), how much is to be gained by halving each."""
    return np.abs(panels.error) + JUMP * panels.weight * jumps


def to_halve(
    panels: Panels, nodes: np.ndarray, narrow: np.ndarray, jumps: np.ndarray, ratio: np.ndarray, most: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(panels,), bool, those to halve next; and (paths,), bool, which paths have none since their worst panel is `narrow`.

    Args:
        nodes: (paths,), how many nodes each path has.
        jumps: of each panel, see `Measured`.
        ratio: (paths,), the estimated error as a multiple of what is wanted.
        most: (paths,), no more than this many.
    """
    count = nodes - 1
    path = np.repeat(np.arange(len(nodes)), count)
    gain = worth(panels, jumps)
    worst = np.maximum.reduceat(gain, panels.first)
    stuck = np.logical_or.reduceat(narrow & (gain == worst[path]), panels.first) & (most > 0)
    worthy = np.add.reduceat(gain >= WORTH * worst[path], panels.first, dtype=int)
    wanted = np.clip(np.ceil(count * (AIM * np.minimum(ratio, 1e6) - 1)), FEWEST, np.maximum(FEWEST, count)).astype(int)
    wanted = np.where(stuck, 0, np.minimum(np.maximum(FEWEST, np.minimum(wanted, worthy)), most))
    return largest(gain, panels.first, ~narrow, wanted), stuck


def largest(worth: np.ndarray, first: np.ndarray, able: np.ndarray, count: np.ndarray) -> np.ndarray:
    """(panels,), bool: of each path's `able` panels so many as `count` (paths,) says, those of the largest `worth`."""
    which = np.flatnonzero(able)
    path = np.repeat(np.arange(len(first)), np.diff(first, append=len(worth)))[which]
    order = np.lexsort((-worth[which], path))
    rank = np.arange(len(which)) - np.searchsorted(path, np.arange(len(first)))[path]
    chosen = np.zeros(len(worth), bool)
    chosen[which[order[rank < count[path]]]] = True
    return chosen


@dataclasses.dataclass(frozen=True, eq=False)
class Residual:
    """What becomes of the residual of each path.

    It is handed out as the jumps of the vector go, by the best linear estimate under jumps that lie anywhere in their panels;
    what the slopes tell too little of goes to the features in proportion to their own uncertainty.

    Attributes:
        deviations: (paths,), the residual beyond rounding in standard deviations of what the jumps can cause.
        node: (nodes,), to be added to the weights of nodes.
        rest: (paths,), to be multiplied by the spread of each feature.
    """

    deviations: np.ndarray
    node: np.ndarray
    rest: np.ndarray


def hand_out(panels: Panels, measured: Measured, nodes: np.ndarray) -> Residual:
    """See `Residual`. `nodes` (paths,): how many nodes each path has."""
    told = (panels.weight * panels.jump) ** 2
    whole = told + SHRINK * (panels.weight * measured.jumps) ** 2
    told, whole = np.add.reduceat(told, panels.first), np.maximum(np.add.reduceat(whole, panels.first), TINY)
    deviations = np.where(panels.beyond == 0, 0, panels.beyond / np.sqrt(whole / 12))
    out = np.where((np.abs(deviations) <= HAND_OUT) & (measured.spread > TINY), panels.residual, 0)
    share = panels.weight**2 * panels.jump * np.repeat(out / whole, nodes - 1)
    node = np.zeros(nodes.sum())
    node[panels.left + 1] += share
    node[panels.left] -= share
    return Residual(deviations, node, out * (1 - told / whole) / np.maximum(measured.spread, TINY))
