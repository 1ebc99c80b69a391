"""`ta.misclassified`: the most confident errors of a classifier, attributed to the class it says and to the right one.

What the model took for evidence of the wrong class is what a training set lacks examples against: such inputs are candidates
for negatives of that class (the misclassified images of "Attributing a deep network's prediction to its input features",
Sundararajan, Taly, Yan 2017).
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..attribution import Attribution
from ..attributor import Attributor, as_attributor
from ..common.checks import is_whole
from ..common.digits import short
from ..common.errors import AttributionError, printed
from ..common.nested import rebuild
from ..common.types import present
from ..methods import Method, as_method
from ..selection.frames import Given
from .batches import labelled_batches
from .predictions import predictions

TITLE = "The most confident errors"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Misclassified:
    """The most confident errors, the most confident first.

    Attributes:
        indices: (k,), which examples of the dataset they are, in the order in which these came.
        labels, predicted: (k,), the right classes and those that the model says.
        confidence: (k,), the explained score of the predicted class, in `unit`.
        inputs: (k, ...), in the structure of the dataset; None where there is no error.
        wrong, right: results of (k, ...), attributions to the predicted and to the right class; None where there is no error.
        errors, examples: how many of how many examples are misclassified.
        unit: of the confidence: probability or logit.
        classes: names of the classes, or None.
        names: of the features of a table, or None.
        tokens: words of each error, or None.
    """

    indices: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    inputs: Any
    wrong: Attribution | None
    right: Attribution | None
    errors: int
    examples: int
    unit: str
    classes: Sequence[str] | None = None
    names: Sequence[str] | None = None
    tokens: Sequence[Sequence[str]] | None = None

    def __len__(self) -> int:
        return len(self.indices)

    @printed
    def __repr__(self) -> str:
        lines = [self._headline()]
        lines += [
            f"  example {self.indices[i]}: {self._class(self.labels[i])} taken for {self._class(self.predicted[i])}, "
            f"{self.unit} {short(self.confidence[i])} (of {self._class(self.labels[i])} {short(present(self.right).scores[i])})"
            for i in range(len(self))
        ]
        return "\n".join(lines)

    def save_html(self, path: str | Path, overwrite: bool = False) -> Path:
        """Writes the errors, side by side for both classes, as one HTML file that stands alone. Returns its path."""
        from ..view.page import Section, check_free, write_page

        check_free(path, overwrite)
        sections = [Section(title, blocks) for title, blocks in self._parts()]
        return write_page(path, TITLE, sections, self._introduction(), overwrite)

    def _repr_html_(self) -> str:
        from markupsafe import Markup

        from ..view.pairs import fragment

        parts = [Markup("<p><b>{}</b></p>").format(self._headline())]
        return str(Markup("\n").join([*parts, *(fragment(title, blocks) for title, blocks in self._parts())]))

    def _headline(self) -> str:
        if not self.errors:
            return f"None of {self.examples} examples is misclassified"
        shown = "all of them" if len(self) == self.errors else f"the {len(self)} most confident"
        return f"{self.errors} of {self.examples} examples are misclassified ({self.errors / self.examples:.1%}); {shown}:"

    def _introduction(self) -> list[str]:
        from ..view.colour import meaning

        if not self.errors:
            return [self._headline() + "."]
        return [
            self._headline()[:-1] + ", each attributed to the class that the model says and to the right one, on one scale.",
            f"{meaning(present(self.wrong).kind)}; the score is the {self.unit} of a class; against the baseline: "
            f"{present(self.wrong).baseline or 'none'}. "
            "What is green for the wrong class and not for the right one misled the model.",
            "Inputs in which that evidence does not belong to the wrong class are candidates for negatives of that class: more "
            "of their kind, rightly labelled, in training. A label that is itself wrong shows here too.",
        ]

    def _parts(self):
        """A title and blocks for each error, each drawn when it is asked for."""
        from ..view.pairs import pair

        for i in range(len(self)):
            said, is_really = self._class(self.predicted[i]), self._class(self.labels[i])
            yield (
                f"Example {self.indices[i]}: {is_really}, taken for {said}",
                pair(
                    present(self.wrong),
                    present(self.right),
                    i,
                    (f"{said}, which the model says", f"{is_really}, which it is"),
                    tokens=self.tokens,
                    names=self.names,
                ),
            )

    def _class(self, number: int) -> str:
        return f"class {number}" if self.classes is None else str(self.classes[number])


def misclassified(
    attributor: Attributor,
    dataset: Any,
    n: int = 10,
    *,
    baselines: Any = None,
    method: str | Method = "integrated_gradients",
    classes: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    vocabulary: Sequence[str] | None = None,
    seed: int | None = None,
) -> Misclassified:
    """The `n` most confident errors, attributed to the predicted and to the right class.

    Confidence is the explained score of the predicted class: of a default attributor its probability.

    Args:
        attributor: explains an output that has one value for each class.
        dataset: (inputs, labels) as arrays or a DataFrame, or a `tf.data.Dataset` (or another iterable) of such batches. One
            batch and the `n` errors are held, no more. Labels are (batch,) classes, or one-hot.
        n: how many.
        baselines, method, seed: as in `attribute`.
        classes: names of the classes; default: those that the attributor has.
        names: of the features of a table.
        vocabulary: the word of each token id, for models of text that do not hold it.

    Returns:
        A `Misclassified`: numbers, both attributions, `save_html(path)`; a notebook shows the pairs.

    Raises:
        AttributionError: as `attribute`; no classes, labels that do not fit, or an empty dataset.
    """
    as_attributor(attributor, "misclassified")
    if not is_whole(n, 1):
        raise AttributionError(f"n is how many errors are kept, a whole number of at least 1; got {n!r}")
    method, kept, seen, errors, unit = as_method(method), None, 0, 0, "raw"
    for inputs, labels in labelled_batches(dataset):
        found, unit, of_classes = _errors(attributor, inputs, labels, seen)
        if classes is not None and len(classes) != of_classes:  # with one more, such as a background, all names may be shifted
            raise AttributionError(f"classes holds {len(classes)} names for {of_classes} classes: give one for each")
        if classes is None and attributor.class_names is not None:
            classes = [attributor.class_names.of.get(number, f"class {number}") for number in range(of_classes)]
        seen, errors = seen + len(labels), errors + len(found.indices)
        kept = found.strongest(n) if kept is None else kept.joined(found).strongest(n)
    if kept is None:
        raise AttributionError("the dataset is empty: give at least one batch of (inputs, labels)")
    if not len(kept.indices):
        return Misclassified(
            kept.indices, kept.labels, kept.predicted, kept.confidence, None, None, None, 0, seen, unit, classes, names
        )
    inputs = rebuild(kept.given.arrays)
    wrong, right = (
        attributor.attribute(kept.given, target, baselines, method, seed, False) for target in (kept.predicted, kept.labels)
    )
    return Misclassified(
        kept.indices,
        kept.labels,
        kept.predicted,
        kept.confidence,
        inputs,
        wrong,
        right,
        errors,
        seen,
        unit,
        classes,
        names,
        _tokens(kept.given.arrays, vocabulary),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Errors:
    """Misclassified examples: (k,) each, and their inputs."""

    indices: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    given: Given

    def strongest(self, n: int) -> "_Errors":
        order = np.argsort(-self.confidence, kind="stable")[:n]
        return _Errors(
            self.indices[order],
            self.labels[order],
            self.predicted[order],
            self.confidence[order],
            self.given.of_examples(order),
        )

    def joined(self, other: "_Errors") -> "_Errors":
        columns = [
            np.concatenate([getattr(self, name), getattr(other, name)])
            for name in ("indices", "labels", "predicted", "confidence")
        ]
        mine, theirs = self.given.arrays, other.given.arrays
        if self.given.names != other.given.names:
            raise AttributionError("batches of a frame must have the same columns in the same order: frame[columns]")
        if any(array.shape[1:] != theirs[key].shape[1:] for key, array in mine.items()):
            raise AttributionError(
                "batches hold examples of different shapes, such as sequences of unequal lengths: pad them "
                "all to one, dataset.padded_batch(..., padded_shapes=...)"
            )
        arrays = {key: np.concatenate([array, theirs[key]]) for key, array in mine.items()}
        return _Errors(*columns, given=Given(arrays, self.given.names))


def _errors(attributor: Attributor, inputs: Any, labels: np.ndarray, first: int) -> tuple[_Errors, str, int]:
    """The errors of one batch, the unit of the confidence, and how many classes there are."""
    found = predictions(attributor, inputs, labels, "misclassified")
    missed = np.flatnonzero(found.predicted != labels)
    return (
        _Errors(first + missed, labels[missed], found.predicted[missed], found.scores[missed], found.given.of_examples(missed)),
        found.unit,
        found.classes,
    )


def _tokens(arrays: dict, vocabulary: Sequence[str] | None) -> list[list[str]] | None:
    """Words of the only input of token ids, by a vocabulary that the caller knows."""
    if vocabulary is None:
        return None
    ids = [array for array in arrays.values() if array.dtype.kind in "iu" and array.ndim == 2]
    if len(ids) != 1:
        raise AttributionError(f"vocabulary= is for one input of token ids, (n, length); there are {len(ids)}")
    if ids[0].min() < 0 or ids[0].max() >= len(vocabulary):
        raise AttributionError(
            f"token ids run from {ids[0].min()} to {ids[0].max()}, the vocabulary has {len(vocabulary)} words"
        )
    return [[str(vocabulary[token]) for token in row] for row in ids[0]]
