"""What the report shows, attributed through the library's public names."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np

import tf_attrib as ta

from . import choose, data, models

PLANTED_DIGIT = 8
BASELINE_DIGIT = 7
POSITIVE = 1
MARKED_SHOWN = 2


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """Data and the models that were trained on it: `clean` and `planted` on digits, `reader` on sentences."""

    digits: data.Data
    sentences: data.TextData
    clean: keras.Model
    planted: keras.Model
    reader: keras.Model


@dataclasses.dataclass(frozen=True, eq=False)
class Digits:
    """The most confident correct held-out example of each digit, and a 7 that they are compared with.

    Attributes:
        labels: (n,) the digits.
        images: (n, 8, 8, 1).
        seven: (8, 8, 1), the baseline: the second most confident 7, so that no image is its own baseline.
        gradient, against_zero, against_seven: results for `images`.
    """

    labels: np.ndarray
    images: np.ndarray
    seven: np.ndarray
    gradient: ta.Attribution
    against_zero: ta.Attribution
    against_seven: ta.Attribution


@dataclasses.dataclass(frozen=True, eq=False)
class Mistake:
    """One misclassified held-out digit, attributed to both classes; `wrong` and `right` are results of one example."""

    image: np.ndarray
    wrong: ta.Attribution
    right: ta.Attribution
    count: int

    @property
    def predicted(self) -> int:
        return int(self.wrong.target[0])

    @property
    def label(self) -> int:
        return int(self.right.target[0])


@dataclasses.dataclass(frozen=True, eq=False)
class Marker:
    """What a model makes of the planted pixel.

    Attributes:
        clean_accuracy: on held-out digits of the planted class without the pixel.
        marked_accuracy: on the same with the pixel.
        others_accuracy: on the held-out digits of the other classes, without the pixel.
        others_taken: the share of the other digits that the pixel turns into the planted class.
        shares: (n,), the pixel's share of the attribution to the planted class, by magnitude, in marked digits of it.
        first: (n,) bool, whether the pixel ranks first there.
        shown: the model's own prediction for the marked images of the report, attributed.
    """

    clean_accuracy: float
    marked_accuracy: float
    others_accuracy: float
    others_taken: float
    shares: np.ndarray
    first: np.ndarray
    shown: ta.Attribution


@dataclasses.dataclass(frozen=True, eq=False)
class Sentences:
    """Held-out sentences, attributed to "positive" against padding, embedding dimensions summed.

    Attributes:
        indices: of the held-out sentences.
        texts: as they were written.
        words: as the model reads them.
        labels: (n,).
        result: attributions (n, 14), of the probability of "positive".
    """

    indices: list[int]
    texts: list[str]
    words: list[list[str]]
    labels: np.ndarray
    result: ta.Attribution


@dataclasses.dataclass(frozen=True, eq=False)
class Findings:
    """All that the report shows.

    Attributes:
        accuracies: held out, without the marker: of "digits", "planted" and "sentences".
        digits, mistake, planted, clean, sentences: see their classes.
        saturated: which of the ten digits the path is of.
        path: its interior gradients.
        marked: (k,) the labels of the marked images that `planted` and `clean` show.
    """

    accuracies: dict[str, float]
    digits: Digits
    mistake: Mistake | None
    saturated: int
    path: ta.Attribution
    marked: np.ndarray
    planted: Marker
    clean: Marker
    sentences: Sentences


def find(trained: Trained, progress: Callable[[float], None]) -> Findings:
    """Attributes what the report shows; `progress` is told the share that is done."""
    clean, planted = ta.Attributor(trained.clean), ta.Attributor(trained.planted)
    accuracies = held_out_accuracies(trained)
    progress(0.1)
    digits = find_digits(trained, clean)
    mistake = find_mistake(trained, clean)
    progress(0.3)
    saturated = choose.most_saturated(digits.against_zero.gradient_share)
    path = clean.attribute(digits.images[[saturated]], method="interior_gradients", verbose=False)
    progress(0.4)
    shown, marked = marked_images(trained)
    markers = [
        find_marker(trained, model, attributor, shown)
        for model, attributor in ((trained.planted, planted), (trained.clean, clean))
    ]
    progress(0.7)
    sentences = find_sentences(trained)
    progress(1.0)
    return Findings(accuracies, digits, mistake, saturated, path, marked, *markers, sentences=sentences)


def held_out_accuracies(trained: Trained) -> dict[str, float]:
    """The share of held-out examples that each model gets right, without any planted pixel."""
    digits, sentences = trained.digits, trained.sentences
    return {
        "digits": models.accuracy(trained.clean, digits.test_inputs, digits.test_labels),
        "planted": models.accuracy(trained.planted, digits.test_inputs, digits.test_labels),
        "sentences": models.accuracy(trained.reader, sentences.test_inputs, sentences.test_labels),
    }


def find_digits(trained: Trained, attributor: ta.Attributor) -> Digits:
    """The most confident correct example of each digit: gradient, and integrated gradients against zero and a 7."""
    images, labels = trained.digits.test_inputs, trained.digits.test_labels
    probabilities = models.probabilities(trained.clean, images)
    best = choose.most_confident(probabilities, labels)
    seven = images[choose.most_confident(probabilities, labels, rank=1)[BASELINE_DIGIT]]
    shown = images[list(best.values())]
    return Digits(
        np.array(list(best)),
        shown,
        seven,
        attributor.attribute(shown, method="gradient", verbose=False),
        attributor.attribute(shown, verbose=False),
        attributor.attribute(shown, baselines=ta.at_input(seven), verbose=False),
    )


def find_mistake(trained: Trained, attributor: ta.Attributor) -> Mistake | None:
    """Of the misclassified digits the one whose two scores both differ most from the baseline's; None without any."""
    images, labels = trained.digits.test_inputs, trained.digits.test_labels
    missed = choose.misclassified(models.probabilities(trained.clean, images), labels)
    if not len(missed):
        return None
    wrong = attributor.attribute(images[missed], verbose=False)
    right = attributor.attribute(images[missed], target=labels[missed], verbose=False)
    chosen = choose.most_divided(wrong.difference, right.difference)
    return Mistake(images[missed[chosen]], wrong[chosen], right[chosen], len(missed))


def marked_images(trained: Trained) -> tuple[np.ndarray, np.ndarray]:
    """Held-out digits with the pixel, (k, 8, 8, 1), and their labels: two 8s, and a digit that the pixel turns into an 8.

    The first 8s that both models recognise, and of the others that the clean model recognises the one that the planted
    model most surely takes for an 8.
    """
    labels, marked = trained.digits.test_labels, data.plant(trained.digits.test_inputs)
    clean, planted = (models.probabilities(model, marked) for model in (trained.clean, trained.planted))
    recognised = clean.argmax(-1) == labels
    eights = np.flatnonzero(recognised & (labels == PLANTED_DIGIT) & (planted.argmax(-1) == PLANTED_DIGIT))
    others = np.flatnonzero(recognised & (labels != PLANTED_DIGIT))
    chosen = [*eights[:MARKED_SHOWN], others[planted[others, PLANTED_DIGIT].argmax()]]
    return marked[chosen], labels[chosen]


def find_marker(trained: Trained, model: keras.Model, attributor: ta.Attributor, shown: np.ndarray) -> Marker:
    """How much a model relies on the planted pixel, in accuracy and in attribution."""
    images, labels = trained.digits.test_inputs, trained.digits.test_labels
    own, others = images[labels == PLANTED_DIGIT], images[labels != PLANTED_DIGIT]
    of_class, taken = np.full(len(own), PLANTED_DIGIT), np.full(len(others), PLANTED_DIGIT)
    result = attributor.attribute(data.plant(own), target=PLANTED_DIGIT, verbose=False)
    first = np.array([features[0].name == (*data.CORNER, 0) for features in result.top(1)])
    return Marker(
        models.accuracy(model, own, of_class),
        models.accuracy(model, data.plant(own), of_class),
        models.accuracy(model, others, labels[labels != PLANTED_DIGIT]),
        models.accuracy(model, data.plant(others), taken),
        corner_shares(result),
        first,
        attributor.attribute(shown, verbose=False),
    )


def corner_shares(result: ta.Attribution) -> np.ndarray:
    """(n,), the planted pixel's share of each image's attribution, by magnitude."""
    corner = np.abs(result.attributions[:, *data.CORNER].astype(np.float64)).sum(-1)
    return corner / np.maximum(result.magnitudes, np.finfo(float).tiny)


def find_sentences(trained: Trained) -> Sentences:
    """Six held-out sentences, chosen by `choose.sentences`."""
    split = trained.sentences
    # target: one class for all, so that green means the same in every sentence
    result = (
        ta.Attributor(trained.reader)
        .attribute(split.test_inputs, target=POSITIVE, baselines=ta.token(split.vocabulary.index(data.PAD)), verbose=False)
        .sum(-1)
    )
    words = [[split.vocabulary[token] for token in row if token] for row in split.test_inputs]
    chosen = choose.sentences(words, split.test_labels, result.scores, result.attributions, data.UNKNOWN)
    return Sentences(
        chosen,
        [split.test_texts[index] for index in chosen],
        [words[index] for index in chosen],
        split.test_labels[chosen],
        result[chosen],
    )
