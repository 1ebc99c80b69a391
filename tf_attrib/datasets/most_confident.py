"""`ta.most_confident`: of each class the examples that a classifier gets right with the highest score."""

import dataclasses
from typing import Any

import numpy as np

from ..attributor import Attributor
from ..common.checks import whole
from ..common.class_names import ClassNames, numbered
from ..common.digits import short
from ..common.errors import AttributionError, printed
from ..common.nested import flatten, rebuild
from ..selection.frames import is_frame, take
from ..selection.inputs import as_arrays
from .batches import labelled_batches
from .predictions import predictions


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class MostConfident:
    """The most confident correctly classified examples: by class, and in a class the most confident first.

    Attributes:
        indices: (k,), which of the examples they are.
        labels: (k,), their classes.
        confidence: (k,), the explained score of these, in `unit`.
        inputs: (k, ...), in the structure of the inputs.
        missing: the classes, of those among the labels, of which fewer than asked for are classified correctly.
        tied: (k,), how many others of the class are classified correctly with the very same score: the first are taken.
        unit: of the confidence: probability or logit.
        names: of the classes, or None.
    """

    indices: np.ndarray
    labels: np.ndarray
    confidence: np.ndarray
    inputs: Any
    missing: tuple[int, ...]
    tied: np.ndarray
    unit: str
    names: ClassNames | None = None

    def __len__(self) -> int:
        return len(self.indices)

    @printed
    def __repr__(self) -> str:
        classes = len({*map(int, self.labels), *self.missing})
        of = f"{len(np.unique(self.labels))} of {classes} class" + ("es" if classes > 1 else "")
        lines = [f"The most confident correctly classified examples, {len(self)} of {of}:"]
        lines += [
            f"  {self._name(label)}: example {index}, {self.unit} {short(score)}" + (f" as {tied} more" if tied else "")
            for index, label, score, tied in zip(self.indices, self.labels, self.confidence, self.tied, strict=True)
        ]
        if self.tied.any():
            hint = ": logits tell them apart, attributor.explaining('logits')" if self.unit == "probability" else ""
            lines.append(f"  of the same scores the first are taken{hint}")
        if self.missing:
            lines.append(f"  fewer than asked for are classified correctly of {', '.join(map(self._name, self.missing))}")
        return "\n".join(lines)

    def _name(self, number: int) -> str:
        return numbered(number, {} if self.names is None else self.names.of)


def most_confident(attributor: Any, inputs: Any, labels: Any, per_class: int = 1) -> MostConfident:
    """Of each class the `per_class` examples that are classified correctly with the highest score: good ones to look at first.

    Args:
        attributor: an Attributor whose explained output has one value for each class, or a model as it takes one.
        inputs: (n, ...), or a list, dict or DataFrame of such.
        labels: (n,) classes, or one-hot (n, classes).
        per_class: how many of each class.

    Returns:
        A `MostConfident`, such as `found.indices` and `found.inputs` for `attribute`.

    Raises:
        AttributionError: no classes, labels that do not fit, no examples, or none that is classified correctly.
    """
    attributor = attributor if isinstance(attributor, Attributor) else Attributor(attributor)
    whole("per_class", per_class)
    parts = [predictions(attributor, batch, own, "most_confident") for batch, own in labelled_batches((inputs, labels))]
    if not parts:
        raise AttributionError("most_confident needs examples, and there are none")
    known, predicted, scores = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("labels", "predicted", "scores")
    )
    best, tied, missing = [], [], []
    for label in np.unique(known):
        right = np.flatnonzero((known == label) & (predicted == label))
        best.append(right[np.argsort(-scores[right], kind="stable")][:per_class])
        tied += [np.count_nonzero(scores[right] == score) - 1 for score in scores[best[-1]]]
        missing += [int(label)] if len(right) < per_class else []
    indices = np.concatenate(best)
    if not len(indices):
        raise AttributionError(f"none of {len(known)} examples is classified correctly: are the labels those of this model?")
    kept = inputs if any(map(is_frame, flatten(inputs).values())) else rebuild(as_arrays(inputs))
    return MostConfident(
        indices,
        known[indices],
        scores[indices],
        take(kept, indices),
        tuple(missing),
        np.array(tied),
        parts[0].unit,
        attributor.class_names,
    )
