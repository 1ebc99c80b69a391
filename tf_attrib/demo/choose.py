"""Which examples the report shows. Every rule is stated on the page: nothing is picked by hand."""

import numpy as np

NEGATIONS = frozenset(["not", "no", "never", "nothing", "nobody", "none", "neither", "hardly", "without", "cannot"])
SENTENCES = 6
# A sentence with more words that the model does not know says little about how it reads.
UNKNOWN_WORDS = 1
# The least probability at which a sentence counts as clearly read one way.
CLEAR = 0.7


def most_confident(probabilities: np.ndarray, labels: np.ndarray, rank: int = 0) -> dict[int, int]:
    """For each class the correct example with the highest probability; `rank` 1 is the second, and so on.

    Args:
        probabilities: (n, classes).
        labels: (n,) integers.

    Returns:
        The example's index by class. A class with too few correct examples is left out.
    """
    correct = probabilities.argmax(-1) == labels
    chosen = {}
    for label in np.unique(labels):
        own = np.flatnonzero(correct & (labels == label))
        if len(own) > rank:
            chosen[int(label)] = int(own[np.argsort(-probabilities[own, label], kind="stable")[rank]])
    return chosen


def misclassified(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The indices of the examples whose most probable class is not the label."""
    return np.flatnonzero(probabilities.argmax(-1) != labels)


def most_divided(*differences: np.ndarray) -> int:
    """The example in which even the smallest of several differences of scores, each (n,), is largest in magnitude."""
    return int(np.min(np.abs(differences), axis=0).argmax())


def most_saturated(gradient_share: np.ndarray) -> int:
    """The example whose gradient at the input accounts for the least of its score."""
    return int(np.abs(gradient_share).argmin())


def is_negation(word: str) -> bool:
    """Whether a lower-case word negates."""
    return word in NEGATIONS or word.endswith("n't")


def sentences(
    words: list[list[str]], labels: np.ndarray, positive: np.ndarray, attributions: np.ndarray, unknown: str
) -> list[int]:
    """Six sentences: read rightly, rightly because of a negation, wrongly with a negation, and wrongly without one.

    Args:
        words: the words of each of the n sentences.
        labels: (n,) integers, 1 for positive.
        positive: (n,) the probability that the model gives to "positive".
        attributions: (n, length) of that probability, one for each word.
        unknown: the word that stands for those the model does not know.

    Returns:
        Indices, in this order: the most confident right ones without a negation, positive and negative; the right ones
        of a clear probability whose negations did most for it, positive and negative; the most confident wrong ones,
        with and without a negation. Where there is none of a kind the most confident of the others takes its place.
    """
    predicted = (positive >= 0.5).astype(int)
    right, confidence = predicted == labels, np.maximum(positive, 1 - positive)
    towards = attributions * np.where(predicted == 1, 1, -1)[:, None]
    negations = [[place for place, word in enumerate(row) if is_negation(word)] for row in words]
    negated = np.array([bool(places) for places in negations])
    effect = np.array([towards[example, places].sum() for example, places in enumerate(negations)])
    known = np.array([row.count(unknown) <= UNKNOWN_WORDS for row in words])
    clear = right & negated & (confidence >= CLEAR)
    kinds = [
        (right & ~negated & (labels == 1), confidence),
        (right & ~negated & (labels == 0), confidence),
        (clear & (labels == 1), effect),
        (clear & (labels == 0), effect),
        (~right & negated, confidence),
        (~right & ~negated, confidence),
    ]
    chosen: list[int] = []
    for kind, order in kinds:
        _add(chosen, [kind & known, kind], order)
    while len(chosen) < min(SENTENCES, len(words)):
        _add(chosen, [known, np.ones_like(known)], confidence)
    return chosen


def _add(chosen: list[int], masks: list[np.ndarray], order: np.ndarray) -> None:
    """Appends the highest in `order` among those of the first mask that has any left."""
    for mask in masks:
        left = np.setdiff1d(np.flatnonzero(mask), chosen)
        if len(left):
            chosen.append(int(left[order[left].argmax()]))
            return
