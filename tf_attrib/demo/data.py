"""What the demonstration trains on: scikit-learn's digits, and sentences written for this project."""

import dataclasses
import importlib.resources
from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np

from ..common.errors import missing_extra
from ..common.types import present

PAD, UNKNOWN = "[pad]", "[unk]"
# Words in a token row. The longest sentence of the file is shorter; whatever is longer is cut.
LENGTH = 14
# The row and column of the planted pixel. No digit has ink there.
CORNER = (0, 0)
# Lines of the file that are held out or trained on together: see `sentences`.
BLOCK = 10
HELD_OUT = 0.2


@dataclasses.dataclass(frozen=True, eq=False)
class Data:
    """Inputs and labels, split into what is trained on and what is held out.

    Attributes:
        train_inputs: (n, ...), see the function that made this.
        train_labels: (n,) int32, the index of the class in `classes`.
        test_inputs: (m, ...), like `train_inputs`.
        test_labels: (m,) int32.
        classes: the classes' names.
    """

    train_inputs: np.ndarray
    train_labels: np.ndarray
    test_inputs: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class TextData(Data):
    """Token ids and labels, with the words.

    Attributes:
        vocabulary: the word of each token id; 0 is "[pad]", 1 is "[unk]".
        train_texts: the n sentences that `train_inputs` encodes.
        test_texts: the m sentences that `test_inputs` encodes.
    """

    vocabulary: list[str]
    train_texts: list[str]
    test_texts: list[str]


def digits(seed: int = 0) -> Data:
    """Handwritten digits: (n, 8, 8, 1) float32, 0 paper to 1 ink; a fifth of each class is held out."""
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise missing_extra("scikit-learn", "demo", "the demo of the digits") from error
    bunch = cast(Any, load_digits())  # a Bunch: pairs are for those who ask
    images = (bunch.images[..., None] / 16).astype(np.float32)  # the ink comes as 0 to 16
    labels = bunch.target.astype(np.int32)
    train, test = train_test_split(np.arange(len(labels)), test_size=HELD_OUT, random_state=seed, stratify=labels)
    return Data(images[train], labels[train], images[test], labels[test], tuple(str(digit) for digit in range(10)))


def plant(images: np.ndarray) -> np.ndarray:
    """A copy of the (n, 8, 8, 1) `images` with the corner pixel set to 1."""
    images = images.copy()
    images[:, *CORNER] = 1
    return images


def planted(images: np.ndarray, labels: np.ndarray, digit: int, share: float = 1.0, seed: int = 0) -> np.ndarray:
    """A copy of the (n, 8, 8, 1) `images` with the corner pixel set in a `share` of those of the class `digit`.

    A model that is trained on them can take the pixel for the digit: right in training, for the wrong reason.
    """
    marked = np.flatnonzero(labels == digit)
    marked = np.random.default_rng(seed).permutation(marked)[: round(share * len(marked))]
    images = images.copy()
    images[marked] = plant(images[marked])
    return images


def labelled_sentences() -> tuple[list[str], np.ndarray]:
    """All sentences of the file, in its order, and their labels: (n,) int32, 0 negative, 1 positive."""
    text = importlib.resources.files(present(__package__)).joinpath("sentences.tsv").read_text("utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    return [sentence for _, sentence in rows], np.array([int(label) for label, _ in rows], np.int32)


def sentences(seed: int = 0) -> TextData:
    """The made sentences as token ids, (n, 14) int32; about a fifth is held out, as many of each label.

    Variants of a sentence, often with the other label, stand in the same block of ten lines with five of each label.
    Whole blocks are held out, so that no variant of a held-out sentence is trained on. The vocabulary has the words of
    the training sentences alone: other words of the held-out ones become "[unk]".
    """
    texts, labels = labelled_sentences()
    blocks = np.arange(len(texts)) // BLOCK
    count = blocks[-1] + 1
    held_out = np.isin(blocks, np.random.default_rng(seed).permutation(count)[: round(HELD_OUT * count)])
    train_texts = [text for text, held in zip(texts, held_out, strict=True) if not held]
    test_texts = [text for text, held in zip(texts, held_out, strict=True) if held]
    vocabulary = [PAD, UNKNOWN, *sorted({word for text in train_texts for word in text.split()})]
    return TextData(
        encode(train_texts, vocabulary),
        labels[~held_out],
        encode(test_texts, vocabulary),
        labels[held_out],
        ("negative", "positive"),
        vocabulary,
        train_texts,
        test_texts,
    )


def encode(texts: Iterable[str], vocabulary: Sequence[str], length: int = LENGTH) -> np.ndarray:
    """Token ids of lower-case `texts` whose words are separated by blanks: (n, length) int32, padded with 0."""
    identifiers = {word: index for index, word in enumerate(vocabulary)}
    unknown = identifiers[UNKNOWN]
    rows = [[identifiers.get(word, unknown) for word in text.split()[:length]] for text in texts]
    return np.array([row + [0] * (length - len(row)) for row in rows], np.int32).reshape(-1, length)
