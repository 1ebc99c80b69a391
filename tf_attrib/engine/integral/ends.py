"""What a path may hide near its baseline. NumPy alone.

Layers that normalise make a score move on a logarithmic scale of alpha: against zeros, a stack of them moves it at an alpha of
1e-26 as much as at 0.1. There the vector grows as 1 / alpha towards the baseline, or there is none at the baseline itself
(units that are off at zero), so that neither end of the first panel tells what lies in it. Three signs of it are looked for.
"""

import dataclasses

import numpy as np

from .rounds import Panels, sigmoid

# If the vector falls as 1 / alpha, a panel from the baseline to alpha holds as much in each factor e of alpha as it has at its
# right end. So many factors may be hidden there.
FACTORS = 12.0
# The power from which on growth towards the baseline counts.
STEEPER = 0.5
# A path whose first node lies closer has seen that it must look so close; what is closer still is then known less well.
CLOSE = 1e-3
# And one whose first node lies closer than this moves on a logarithmic scale: in each factor e of alpha it may turn as often as
# another does on its whole way, with few nodes there. Its error is stated with a margin.
LOGARITHMIC, MARGIN = 1e-6, 1.3
# If the first panel is more than this part of what is to be refined, and the vector grows, it is halved so often at once: down
# to an alpha of 1e-26 there are 86 halvings to go.
MOSTLY, HALVINGS = 0.5, 4
# Where the vector at the baseline is less than this part of what it jumps by up to the next node, it is looked at beside the
# baseline: units that are off at it have no gradient there, and the others' is no measure.
DEAD, BESIDE = 0.5, 1e-30
# log(BESIDE / the least number of float32): the factors e that no node can enter.
BELOW = 18.0
# No path is done whose score moves by this part of its way within a panel without its slopes telling.
UNSEEN = 0.25


def growth(alpha: np.ndarray, start: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(paths,), how many times as much the first panel counts if the vector grows towards the baseline.

    As alpha ** -p it has 1 / (1 - p) times the integral that its right end tells.

    Args:
        alpha: of all nodes, one path after the other; each path has three nodes at least.
        start: (paths,), the first nodes.
        size: (paths, 3), the L1 norms of the vector at the first three nodes.
    """
    with np.errstate(all="ignore"):
        power = np.log(size[:, 1] / size[:, 2]) / np.log(alpha[start + 2] / alpha[start + 1])
    power = np.where(np.isfinite(power), power, 0)
    times = np.where(power > STEEPER, 1 / np.maximum(1 - power, 1 / FACTORS), 1)
    return np.where(alpha[start + 1] < CLOSE, FACTORS, times)


def grown(panels: Panels, times: np.ndarray) -> Panels:
    """The same, where the first panel of each path counts so many `times` as much."""
    weight = panels.weight.copy()
    weight[panels.first] *= times
    return dataclasses.replace(panels, weight=weight)


def dead(first: np.ndarray, second: np.ndarray, alpha: float, allowed: float) -> bool:
    """Whether features that have next to no gradient at the baseline may hide more than is allowed beside it.

    Units that are off at the baseline have no gradient there, and that of the others, such as of another input, is no measure.

    Args:
        first, second: (features,), the vector at the baseline and at the next node.
        alpha: of that node.
        allowed: the L1 error that is.
    """
    jump = np.abs(second - first)
    silent = float(jump[np.abs(first) <= DEAD * jump].sum(dtype=np.float64))
    # most of the vector: it is looked at in any case, since nothing else is known of it
    return silent > 0 and (silent * alpha * FACTORS > allowed or np.abs(first).sum() <= DEAD * jump.sum())


def below(size: np.ndarray, score: np.ndarray, odds: bool) -> np.ndarray:
    """(paths,), what may lie between the baseline and `BESIDE` if the vector there falls as 1 / alpha, in units of F.

    Args:
        size, score: (paths,), the L1 norm of the vector and the score (or log-odds) at `BESIDE`.
    """
    return BELOW * BESIDE * size * (sigmoid(score) * sigmoid(-score) if odds else 1)


def unseen(panels: Panels, narrow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the score says of panels that their slopes do not.

    Args:
        narrow: (panels,), bool, those that cannot be halved.

    Returns:
        (panels,), bool, those that can be halved and whose own residual is more than `UNSEEN` of the score's way; and (paths,),
        the part of the way that lies in panels which cannot.
    """
    way = np.maximum(np.add.reduceat(np.abs(panels.moves - panels.error), panels.first), np.finfo(float).tiny)
    path = np.repeat(np.arange(len(way)), np.diff(panels.first, append=len(narrow)))
    hidden = np.add.reduceat(np.where(narrow, np.abs(panels.error), 0), panels.first) / way
    return ~narrow & (np.abs(panels.error) > UNSEEN * way[path]), hidden
