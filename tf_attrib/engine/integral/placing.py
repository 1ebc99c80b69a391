"""Where the first gradients of a path are taken, and how far apart gradients may lie at last. NumPy alone.

A forward-only scan tells where the score moves: there nodes crowd. But attributions that cancel in the sum move no score, so
that everywhere else nodes lie no further apart than what a user may trust to be seen: a bump exp(-((alpha - c) / w)²) of the
gradient with w = 0.05 loses at most 2 exp(-(pi w / 0.1)²) = 17% of its area to a trapezoid whose nodes are 0.1 apart (Poisson's
summation formula), wherever it lies. What counts little for a probability, since sigmoid' is small there, may be wider.
"""

import numpy as np

# Cells of the forward-only scan.
CELLS = 16
EDGES = np.linspace(0, 1, CELLS + 1)
# Panels that crowd where the score moves, as the square root of how much, and panels that are spread evenly whatever it does.
CROWD, EVEN = 6.8, 1.2
# No panel is wider than this part of the path if it holds more than this share of all weights of the integral.
WIDEST, SHARE = 0.1, 0.02
# Nodes are rounded to the device's precision: so much wider is no wider.
SLACK = 1.01
# What the vector may turn by within a panel is looked at if it can cause this part of the error that is allowed.
TURNED = 0.5
# The fewest first panels, for the comparison with every other node.
FEWEST = 8
TINY = np.finfo(float).tiny


def first_nodes(scores: np.ndarray, odds: bool, most: int, lengths: np.ndarray | None = None) -> list[np.ndarray]:
    """Where the first gradients of paths are taken.

    Args:
        scores: float64 (paths, CELLS + 1), F at equal distances, both ends included.
        odds: whether F is a probability whose log-odds are followed: then what lies where it is flat counts little.
        most: no more nodes than these, at least 2.
        lengths: (paths, CELLS), the part of its length that a curved path runs in each cell; None of straight ones. What may be
            missed between nodes lies no further apart on the curve than it may on a straight path.

    Returns:
        Ascending alphas of each path, from 0 to 1.
    """
    moves = np.sqrt(np.abs(np.diff(scores)))
    moves = np.where(np.isfinite(moves), moves, 0)
    panels = CROWD * moves / np.maximum(moves.sum(1, keepdims=True), TINY) + EVEN / CELLS
    steep = scores * (1 - scores) if odds else np.ones_like(scores)
    weight = np.maximum(steep[:, 1:], steep[:, :-1])
    weight = np.where(np.isfinite(weight), weight, 0)
    counts = weight * CELLS * WIDEST > SHARE * weight.sum(1, keepdims=True)
    panels = np.maximum(panels, np.where(counts, 1 / (CELLS * WIDEST), 0))
    if lengths is not None:
        panels = np.maximum(panels, lengths / WIDEST)
    passed = np.zeros(scores.shape)
    np.cumsum(panels, axis=1, out=passed[:, 1:])
    return [_spread(one, most) for one in passed]


def _spread(passed: np.ndarray, most: int) -> np.ndarray:
    """Nodes such that there are about so many panels as have `passed` up to each edge of a cell, (CELLS + 1,)."""
    count = min(max(int(np.ceil(passed[-1] - 1e-6)), FEWEST) + 1, most)
    nodes = np.interp(np.arange(count) * (passed[-1] / (count - 1)), passed, EDGES)
    nodes[0], nodes[-1] = 0, 1
    return nodes


def too_wide(width: np.ndarray, weight: np.ndarray, first: np.ndarray) -> np.ndarray:
    """(panels,), bool: which panels could hide what no node has seen.

    Args:
        width, weight: of the panels of several paths, one path after the other.
        first: (paths,), where the panels of each path begin.
    """
    whole = np.repeat(np.add.reduceat(weight, first), np.diff(first, append=len(weight)))
    return (width > SLACK * WIDEST) & (weight > SHARE * whole)


def turning(width: np.ndarray, jumps: np.ndarray, first: np.ndarray) -> np.ndarray:
    """(panels,), by how much the vector may turn and come back within a panel: what the panels on both sides make one expect
    it to jump by, less what it does.

    A bump that stands in the middle of a panel leaves no jump over it, and steep sides.

    Args:
        width, jumps: of the panels of several paths, one path after the other; jumps are L1 norms.
        first: (paths,), where the panels of each path begin.
    """
    slope = jumps / width
    beside = np.concatenate([slope[:1], slope, slope[-1:]])
    before, after = beside[:-2], beside[2:].copy()
    last = np.append(first[1:], len(width)) - 1
    before[first], after[last] = after[first], before[last]
    return np.maximum(np.minimum(before, after) * width - jumps, 0)
