"""Numbers that are merged batch by batch, so that no batch has to be kept: moments, ranges, a sample."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Joint:
    """Means, spreads and the covariance of two columns of numbers, x and y, for each of many features.

    Merged as Chan, Golub & LeVeque 1983 ("Algorithms for computing the sample variance") do, which does not cancel where
    spreads are small beside means. All arrays are (features,) float64.

    Attributes:
        count: how many pairs.
        x, y: their means; 0 where there is no pair.
        xx, yy, xy: sums of squares, and of products, of what is left when the means are taken off.
    """

    count: np.ndarray
    x: np.ndarray
    y: np.ndarray
    xx: np.ndarray
    yy: np.ndarray
    xy: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, where: np.ndarray) -> "Joint":
        """That of one batch: x and y are (n, features), `where` (n, features) of bool says which pairs count."""
        count = where.sum(0).astype(np.float64)
        means = [np.where(where, value, 0).sum(0) / np.maximum(count, 1) for value in (x, y)]
        dx, dy = (np.where(where, value - mean, 0) for value, mean in zip((x, y), means, strict=True))
        return cls(count, *means, xx=(dx * dx).sum(0), yy=(dy * dy).sum(0), xy=(dx * dy).sum(0))

    def merged(self, other: "Joint") -> "Joint":
        """That of both."""
        count = self.count + other.count
        share = other.count / np.maximum(count, 1)
        dx, dy, both = other.x - self.x, other.y - self.y, self.count * share
        return Joint(
            count,
            self.x + dx * share,
            self.y + dy * share,
            self.xx + other.xx + dx * dx * both,
            self.yy + other.yy + dy * dy * both,
            self.xy + other.xy + dx * dy * both,
        )

    @property
    def deviation(self) -> np.ndarray:
        """(features,), the standard deviation of x over the pairs (divided by their number); NaN without any."""
        return _rooted(self.xx, self.count)

    @property
    def deviation_y(self) -> np.ndarray:
        """(features,), the same of y."""
        return _rooted(self.yy, self.count)

    @property
    def correlation(self) -> np.ndarray:
        """(features,), Pearson's correlation of x and y; NaN where one of them does not vary."""
        product = np.sqrt(self.xx) * np.sqrt(self.yy)
        return np.divide(self.xy, product, out=np.full(len(product), np.nan), where=product > 0)


def _rooted(squares: np.ndarray, count: np.ndarray) -> np.ndarray:
    return np.sqrt(np.divide(squares, count, out=np.full(len(squares), np.nan), where=count > 0))


@dataclasses.dataclass(frozen=True, eq=False)
class Range:
    """The lowest and the highest value of each of many features, (features,); NaN where there is none."""

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, where: np.ndarray) -> "Range":
        """That of one batch (n, features), n of at least 1; `where` says which of the values count."""
        values = np.where(where, values, np.nan)
        return cls(np.fmin.reduce(values, 0), np.fmax.reduce(values, 0))

    def merged(self, other: "Range") -> "Range":
        """That of both."""
        return Range(np.fmin(self.low, other.low), np.fmax(self.high, other.high))

    @property
    def differs(self) -> np.ndarray:
        """(features,) of bool, whether there are at least two different values."""
        return self.high > self.low

    @property
    def is_single(self) -> np.ndarray:
        """(features,) of bool, whether there is one value only."""
        return self.high == self.low


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """A uniform sample of examples, without replacement: those to which the smallest of random numbers fell.

    Each example's number is drawn in the order in which examples come, so that the sample does not depend on how they are cut
    into batches.

    Attributes:
        size: how many are kept at most.
        priority: (k,), the random numbers, ascending.
        columns: by name, an array (k, ...) of what is kept of each example.
    """

    size: int
    priority: np.ndarray
    columns: dict[str, np.ndarray]

    @classmethod
    def of(cls, size: int, priority: np.ndarray, columns: dict[str, np.ndarray]) -> "Sample":
        """A sample of one batch (n, ...); what is kept is copied."""
        order = np.argsort(priority, kind="stable")[:size]
        return cls(size, priority[order], {name: column[order] for name, column in columns.items()})

    def merged(self, other: "Sample") -> "Sample":
        """That of both, of this one's size."""
        if len(self.priority) == self.size and not (other.priority < self.priority[-1:]).any():
            return self
        columns = {name: np.concatenate([column, other.columns[name]]) for name, column in self.columns.items()}
        return Sample.of(self.size, np.concatenate([self.priority, other.priority]), columns)
