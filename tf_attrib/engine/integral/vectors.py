"""What a round of refinement needs of the vectors kept for each path. NumPy alone.

Paths of like length are worked on side by side, in blocks of features that fit the processor's cache.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from .rounds import TINY, Measured, Panels

# Features that are worked on at a time at least, and their number times that of nodes: what fits the processor's cache.
COLUMNS, CACHE = 512, 2**18
# Squares below this have lost digits in float32.
LEAST = 1e-24


def measure(
    kept: np.ndarray, slot: np.ndarray, nodes: np.ndarray, panels: Panels, others: np.ndarray, half: Panels
) -> Measured:
    """What a round needs of the vectors of several paths.

    Args:
        kept: (rows, features), where G of each node lies.
        slot: which of these rows is each node's, one path after the other.
        nodes: (paths,), how many nodes each path has.
        panels: of all nodes.
        others: bool, which nodes are left when every other one is, and `half`: the panels between these.
    """
    found = np.zeros((4, len(nodes)))
    jumps = np.zeros(len(panels.weight))
    start, halves = np.cumsum(nodes) - nodes, np.add.reduceat(others, np.cumsum(nodes) - nodes, dtype=int)
    second, other_slot = np.cumsum(halves) - halves, slot[others]
    order = np.argsort(nodes, kind="stable")  # paths of like length together: the shorter ones are padded
    for group in _groups(nodes[order], kept.shape[1]):
        which = order[group]
        fine = _padded(slot, panels, start[which], nodes[which], which)
        less = _padded(other_slot, half, second[which], halves[which], which)
        scale = np.maximum(np.abs(fine.node).max(1), TINY)  # squares of small probabilities would underflow
        every_other = np.minimum(2 * np.arange(less.slot.shape[1]), nodes[which][:, None] - 1)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is not finite, and so is never good enough
            *sums, own = _sums(kept, fine, less, every_other, scale)
        found[:, which] = np.stack(sums) * scale
        jumps[fine.panel[fine.real]] = own[fine.real]
    norm, spread, moved, half_spread = found
    return Measured(norm, spread, moved, half_spread, jumps)


@dataclasses.dataclass(frozen=True, eq=False)
class _Padded:
    """Paths of several lengths side by side, the last node repeated: its weight is 0, and its jump too.

    `slot` and `node` are (paths, nodes); `weight`, `panel` (the flat number) and `real` (no padding) are (paths, nodes - 1).
    """

    slot: np.ndarray
    node: np.ndarray
    weight: np.ndarray
    panel: np.ndarray
    real: np.ndarray


def _padded(slot: np.ndarray, panels: Panels, start: np.ndarray, count: np.ndarray, which: np.ndarray) -> _Padded:
    most = count.max()
    place = np.arange(most)
    flat = start[:, None] + np.minimum(place, count[:, None] - 1)
    node = np.where(place < count[:, None], panels.node[flat], 0)
    real = place[:-1] < count[:, None] - 1
    panel = (start - which)[:, None] + np.minimum(place[:-1], count[:, None] - 2)
    return _Padded(slot[flat], node, np.where(real, panels.weight[panel], 0), panel, real)


def _groups(nodes: np.ndarray, features: int) -> Iterator[slice]:
    """Parts of ascending `nodes`, each as many paths as fit the cache together."""
    start = 0
    for end in range(1, len(nodes) + 1):
        if end == len(nodes) or (end + 1 - start) * nodes[end] * min(features, COLUMNS) > CACHE:
            yield slice(start, end)
            start = end


def _sums(kept: np.ndarray, fine: _Padded, less: _Padded, every_other: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, ...]:
    """Norm, spread, moved and coarse, in units of `scale`, and the L1 norm of each jump.

    `every_other`: which of a path's own nodes those of `less` are.
    """
    kind, scale = kept.dtype, scale[:, None]
    node, weight = (fine.node / scale).astype(kind)[:, None], (fine.weight / scale).astype(kind)[..., None]
    other, other_weight = (less.node / scale).astype(kind)[:, None], (less.weight / scale).astype(kind)[..., None]
    path = np.arange(len(scale))[:, None]

    def block(columns: slice) -> tuple[np.ndarray, ...]:
        part = kept[:, columns][fine.slot]
        total = node @ part
        jump = part[:, 1:] - part[:, :-1]
        np.abs(jump, out=jump)
        jumps = jump @ np.ones(jump.shape[2], kind)
        spread = _roots(jump, weight)
        half = part[path, every_other]
        moved = _l1(total - other @ half)
        return _l1(total), spread, moved, _roots(half[:, 1:] - half[:, :-1], other_weight), jumps

    parts = [block(columns) for columns in _blocks(kept.shape[1], fine.slot.size)]
    return tuple(np.asarray(np.sum([part[i] for part in parts], 0, dtype=np.float64)) for i in range(5))


def _blocks(features: int, nodes: int) -> list[slice]:
    """Parts of the features that fit the cache."""
    step = max(COLUMNS, CACHE // nodes)
    return [slice(start, start + step) for start in range(0, features, step)]


def _l1(vectors: np.ndarray) -> np.ndarray:
    np.abs(vectors, out=vectors)
    return vectors.sum((1, 2))


def _roots(jump: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(paths,), the sum over columns of sqrt(sum over panels of weight² jump²)."""
    jump *= weight
    return np.sqrt(_squares(jump)).sum(1)


def _squares(values: np.ndarray) -> np.ndarray:
    """Sums of squares over the last axis but one, in float64 where they overflow or vanish: layers that normalise have
    gradients of 1e20 and more beside a baseline of zeros."""
    with np.errstate(over="ignore"):
        found = np.einsum("...ij,...ij->...j", values, values)
    if np.isfinite(found).all() and found.max(initial=0) > LEAST:
        return found
    values = values.astype(np.float64)
    return np.einsum("...ij,...ij->...j", values, values)


def integral(kept: np.ndarray, slot: np.ndarray, node: np.ndarray, weight: np.ndarray, rest: float) -> np.ndarray:
    """(features,), a path's integral: the rows `slot` of `kept` by the weights `node`, summed in float64, and `rest` of the
    spread that the panels' `weight` gives."""
    scale = max(weight.max(), TINY)
    small = (weight / scale).astype(kept.dtype)[:, None]

    def block(columns: slice) -> np.ndarray:
        part = kept[:, columns][slot]
        total = node @ part.astype(np.float64)
        if rest:
            jump = part[1:] - part[:-1]
            jump *= small
            total += rest * scale * np.sqrt(_squares(jump))
        return total

    return np.concatenate([block(columns) for columns in _blocks(kept.shape[1], len(slot))])


@dataclasses.dataclass(frozen=True, eq=False)
class Integral:
    """What a path's integral is summed from, see `integral`."""

    slot: np.ndarray
    node: np.ndarray
    weight: np.ndarray
    rest: float

    def of(self, kept: np.ndarray) -> np.ndarray:
        return integral(kept, self.slot, self.node, self.weight, self.rest)


def nodes_sum(kept: np.ndarray, slot: np.ndarray, node: np.ndarray) -> np.ndarray:
    """(features,), the rows `slot` of `kept` by the weights `node`."""
    return node.astype(kept.dtype) @ kept[slot]
