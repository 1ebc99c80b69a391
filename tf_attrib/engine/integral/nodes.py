"""The nodes of paths: where gradients were taken, and what came of them. NumPy alone."""

import dataclasses
import functools

import numpy as np

from . import rounds


@dataclasses.dataclass(frozen=True, eq=False)
class Nodes:
    """Nodes of several paths, ascending by path and alpha: score and slope there, and where the vector is kept.

    Attributes:
        path, slot: (nodes,) of int; alpha, score, slope: (nodes,) of float64.
    """

    path: np.ndarray
    alpha: np.ndarray
    score: np.ndarray
    slope: np.ndarray
    slot: np.ndarray

    @classmethod
    def wanted(cls, path: np.ndarray, alpha: np.ndarray) -> "Nodes":
        """Nodes that are yet to be evaluated."""
        return cls(path, alpha, np.zeros(len(path)), np.zeros(len(path)), np.zeros(len(path), int))

    def __len__(self) -> int:
        return len(self.path)

    def __getitem__(self, part: np.ndarray | slice) -> "Nodes":
        return Nodes(*(value[part] for value in self._columns))

    def __add__(self, other: "Nodes") -> "Nodes":
        if not len(self) or not len(other):
            return self if len(self) else other
        both = [np.concatenate(pair) for pair in zip(self._columns, other._columns, strict=True)]
        return Nodes(*both)[np.lexsort((both[1], both[0]))]

    @property
    def _columns(self) -> tuple[np.ndarray, ...]:
        return self.path, self.alpha, self.score, self.slope, self.slot

    @functools.cached_property
    def starts(self) -> np.ndarray:
        """(paths,), the first node of each path that has any."""
        return np.flatnonzero(np.diff(self.path, prepend=-1))

    @functools.cached_property
    def counts(self) -> np.ndarray:
        """(paths,), how many nodes each of these has."""
        return np.diff(self.starts, append=len(self))

    def between(self, halvings: np.ndarray) -> "Nodes":
        """Nodes that are yet to be evaluated: the middles of panels, and those between them and the left ends.

        Args:
            halvings: (panels,), how many nodes each panel gets, one path after the other.
        """
        left = np.repeat(rounds.left_ends(self.counts), halvings)
        number = np.arange(len(left)) - np.repeat(np.cumsum(halvings) - halvings, halvings)
        width = self.alpha[left + 1] - self.alpha[left]
        order = np.lexsort((-number, left))
        return Nodes.wanted(self.path[left], self.alpha[left] + width * 0.5 ** (number + 1))[order]

    def rounded(self, dtype: np.dtype) -> "Nodes":
        """The same with alphas as the device sees them, so that widths of panels are those that are evaluated."""
        return dataclasses.replace(self, alpha=self.alpha.astype(dtype).astype(np.float64))

    def mended(self) -> "Nodes":
        """The same, where the gradient at an end of a path is not finite, with its neighbour's.

        The integral may still exist (a square root against zero): the score at the end tells how wrong the neighbour's is.
        """
        first, last = self.starts, self.starts + self.counts - 1
        if np.isfinite(self.slope[first]).all() and np.isfinite(self.slope[last]).all():
            return self
        slope, slot = self.slope.copy(), self.slot.copy()
        for ends, step in ((first, 1), (last, -1)):
            bad = ends[~np.isfinite(slope[ends])]
            slope[bad], slot[bad] = slope[bad + step], slot[bad + step]
        return dataclasses.replace(self, slope=slope, slot=slot)

    def beside(self, alpha: float) -> tuple["Nodes", np.ndarray]:
        """The same where paths have nodes at `alpha` next to one at 0: these take the place of those, as of 0. And the slots
        that are free now.

        As nodes of their own they would spoil what every other node tells.
        """
        second = np.flatnonzero((self.alpha[1:] == alpha) & (self.alpha[:-1] == 0) & (self.path[1:] == self.path[:-1])) + 1
        if not len(second):
            return self, np.zeros(0, int)
        slope, slot = self.slope.copy(), self.slot.copy()
        free = slot[second - 1]
        slope[second - 1], slot[second - 1] = slope[second], slot[second]
        return dataclasses.replace(self, slope=slope, slot=slot)[np.delete(np.arange(len(self)), second)], free
