"""Features that every example has: sums by class, and those whose attribution does not heed their value."""

import dataclasses
from typing import Any

import numpy as np

from .sums import Joint, Range

# Attributions this small beside the largest mean magnitude of a feature are rounding.
ROUNDING = 1e-6
UNUSED, CONSTANT, SWITCH = "unused", "constant", "switch"


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureSums:
    """Running sums of one class over its examples so far. All arrays are (features,).

    Attributes:
        examples: how many.
        every: attributions (x) of all examples.
        known: attributions (x) and values (y), of examples in which the value is known.
        active: the same, of those among them in which the attribution is not zero.
        magnitude: sums of the attributions' magnitudes.
        largest: the largest magnitude.
        positive: how many attributions are above zero, of those in `active`.
        values, active_values: between which the feature's values lie, in the examples of `known` and of `active`.
    """

    examples: int
    every: Joint
    known: Joint
    active: Joint
    magnitude: np.ndarray
    largest: np.ndarray
    positive: np.ndarray
    values: Range
    active_values: Range

    @classmethod
    def of(cls, attributions: np.ndarray, values: np.ndarray | None) -> "FeatureSums":
        """Those of one batch.

        Args:
            attributions: (n, features) float64, finite.
            values: (n, features) float64, or None where the features' values are not known.
        """
        known = np.zeros(attributions.shape, bool) if values is None else np.isfinite(values)
        values = np.zeros(attributions.shape) if values is None else np.where(known, values, 0)
        active, magnitudes = known & (attributions != 0), np.abs(attributions)
        every, paired, nonzero = (Joint.of(attributions, values, where) for where in (np.ones_like(known), known, active))
        return cls(
            len(attributions),
            every,
            paired,
            nonzero,
            magnitudes.sum(0),
            magnitudes.max(0, initial=0),
            (active & (attributions > 0)).sum(0),
            Range.of(values, known),
            Range.of(values, active),
        )

    def merged(self, other: "FeatureSums") -> "FeatureSums":
        """Those of both."""
        return FeatureSums(
            self.examples + other.examples,
            self.every.merged(other.every),
            self.known.merged(other.known),
            self.active.merged(other.active),
            self.magnitude + other.magnitude,
            np.maximum(self.largest, other.largest),
            self.positive + other.positive,
            self.values.merged(other.values),
            self.active_values.merged(other.active_values),
        )


@dataclasses.dataclass(frozen=True)
class Degenerate:
    """A feature whose attribution does not heed its value, for one class. What was found is in numbers beside it.

    Over the n examples of the class, with a the feature's attribution and x its value, of which at least two are different:

    - "unused": |a| is never above 1e-6 of the largest mean magnitude that a feature of this class has.
    - "constant": where a is not 0 (it is where the value equals the baseline's, by construction), x takes at least two values,
      a has one sign, and its coefficient of variation, standard deviation over magnitude of the mean, is at most `variation`
      times the lesser of 1 and that of x: same sign and size, whatever the value.
    - "switch": where a is not 0, x takes one value only (a bit that is on), a has one sign, and its coefficient of variation is
      at most `variation`: same sign and size, whatever the other features are.

    "constant" and "switch" need `minimum` examples in which a is not 0, "unused" as many in all.

    Attributes:
        name: of the feature.
        group: the class explained, or what examples are grouped by.
        kind: see above.
        mean: of the attribution where it is not 0 (0 for "unused"), in the unit of the score.
        variation: its coefficient of variation there (0 for "unused").
        examples: in how many examples that is (for "unused": of how many).
    """

    name: str
    group: Any
    kind: str
    mean: float
    variation: float
    examples: int


def degenerate(sums: FeatureSums, group: Any, names: tuple[str, ...], variation: float, minimum: int) -> list[Degenerate]:
    """The features of one class that are degenerate, as `Degenerate` defines it, those of largest attribution first."""
    active = sums.active
    count = active.count.astype(int)
    spread, spread_of_values = _variation(active.x, active.deviation), _variation(active.y, active.deviation_y)
    top = sums.magnitude.max(initial=0) / max(sums.examples, 1)
    unused = (sums.largest <= ROUNDING * top) & (top > 0) & (sums.examples >= minimum)
    steady = (count >= minimum) & ((sums.positive == 0) | (sums.positive == count)) & ~unused
    constant = steady & sums.active_values.differs & (spread <= variation * np.minimum(1, spread_of_values))
    switch = steady & sums.active_values.is_single & (spread <= variation)
    found = []
    for kind, which in ((UNUSED, unused), (CONSTANT, constant), (SWITCH, switch)):
        places = np.flatnonzero(which & sums.values.differs)
        for place in places[np.argsort(-np.abs(active.x[places]), kind="stable")]:
            is_used = kind != UNUSED
            found.append(
                Degenerate(
                    names[place],
                    group,
                    kind,
                    float(active.x[place]) if is_used else 0.0,
                    float(spread[place]) if is_used else 0.0,
                    int(count[place]) if is_used else sums.examples,
                )
            )
    return found


def _variation(mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """The coefficient of variation; infinite where the mean is 0 or there is nothing."""
    size = np.abs(mean)
    return np.divide(deviation, size, out=np.full(len(size), np.inf), where=(size > 0) & np.isfinite(deviation))
