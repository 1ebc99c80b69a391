"""What is compared before any row is run: the scores at the examples and at their references, and the targets."""

import dataclasses
from collections.abc import Callable

import numpy as np

from ..common.errors import AttributionError
from ..selection.inputs import few


@dataclasses.dataclass(frozen=True, eq=False)
class Compared:
    """Targets (n, r), scores (n,), and scores and highest values of the output at the references, (n, k).

    `largest` (n,) is the largest magnitude of the output at the example and its references: the scale that its scores are on.
    `distributions` says whether the output's values look like probabilities of classes: in [0, 1], with a sum of one;
    `predicted` (n,) is the class of the highest value, where there is one value for each class; `top_classes` (n, k) are those
    of the k highest values at the example, the highest first, and `top_scores` (n, k) these values.
    """

    target: np.ndarray
    scores: np.ndarray
    baseline_scores: np.ndarray
    highest: np.ndarray
    largest: np.ndarray
    distributions: bool
    predicted: np.ndarray | None = None
    top_classes: np.ndarray | None = None
    top_scores: np.ndarray | None = None

    def of_examples(self, which: np.ndarray) -> "Compared":
        """Those of some of the examples."""
        ranked = (None if one is None else one[which] for one in (self.predicted, self.top_classes, self.top_scores))
        return Compared(
            self.target[which],
            self.scores[which],
            self.baseline_scores[which],
            self.highest[which],
            self.largest[which],
            self.distributions,
            *ranked,
        )


def check_finite(what: str, values: np.ndarray, causes: Callable[[], list[str]] = list) -> None:
    """Raises AttributionError naming the examples whose `values` (n, rows) hold NaN or infinity.

    Args:
        causes: names of the inputs that alone make it so; asked where it is.
    """
    good = np.isfinite(values)
    if not good.all():
        bad = np.flatnonzero(~good.all(1))
        found = ", ".join(map(repr, causes()))
        if found:
            raise AttributionError(
                f"the {what} is NaN or infinite for example(s) {few(bad)}, and is so with {found} alone at the baseline: a "
                "mask or a divisor is no feature, and its zero means nothing; attribute to the other inputs, "
                "at=[ta.inputs(name), ...], or give baselines= with values that the model can take"
            )
        raise AttributionError(
            f"the {what} is NaN or infinite for example(s) {few(bad)}; look at these inputs, at the model's "
            "weights, and for float16 at overflow"
        )


def of_one(values: np.ndarray) -> np.ndarray:
    """(n + n k, 1), the n scores (1 + k, n) at an example and at its k references, those at the example first."""
    return np.concatenate([values[0], values[1:].T.reshape(-1)])[:, None]
