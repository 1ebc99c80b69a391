"""What a classifier says of a batch with labels: classes and scores, in one forward pass."""

import dataclasses
from typing import Any

import numpy as np

from ..attributor import Attributor
from ..common.errors import AttributionError
from ..engine.compared import check_finite
from ..methods import Gradient
from ..selection.frames import Given


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """The examples of a batch as they were read, their labels and predicted classes (n,), the explained score of the predicted
    ones (n,), its unit, and how many classes there are."""

    given: Given
    labels: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray
    unit: str
    classes: int


def predictions(attributor: Attributor, inputs: Any, labels: np.ndarray, who: str) -> Predictions:
    """What is predicted for `inputs`, whose labels are (n,) classes; `who` asks, for errors.

    Raises:
        AttributionError: no classes, scores that are not finite, or labels that do not fit.
    """
    given = attributor.read(inputs)
    work = attributor.work(given, method=Gradient())  # a forward pass: a gradient needs no baseline
    compared, output = work.compared, work.session.function.output
    check_finite("score", compared.scores[:, None])
    if compared.predicted is None:
        raise AttributionError(
            f"{output.words} has no classes of which one is predicted: {who} needs a classifier, "
            "such as of=ta.probability(output)"
        )
    count = work.session.shape(work.ready)[-1]
    if len(labels) != len(compared.scores):
        raise AttributionError(f"{len(labels)} labels for {len(compared.scores)} inputs: give one for each")
    if labels.min() < 0 or labels.max() >= count:
        raise AttributionError(f"labels are classes from 0 to {count - 1}; got {labels.min()} to {labels.max()}")
    return Predictions(given, labels, compared.predicted.astype(np.int64), compared.scores, output.unit, count)
