"""The demonstration's data: the made sentences, the digits and the planted pixel. Nothing is trained here."""

import collections
import importlib.resources
import itertools
import re
import sys

import numpy as np
import pytest

from tf_attrib.demo import data

NEGATIONS = {"not", "never", "no", "nothing", "nobody", "none", "neither", "hardly", "without", "cannot"}


def is_negated(text: str) -> bool:
    return any(word in NEGATIONS or word.endswith("n't") for word in text.split())


@pytest.fixture(scope="module")
def labelled():
    return data.labelled_sentences()


@pytest.fixture(scope="module")
def digits():
    pytest.importorskip("sklearn")
    return data.digits()


def test_sentences_are_many_distinct_and_well_formed(labelled):
    texts, labels = labelled
    assert len(texts) == len(labels) >= 640
    assert len(set(texts)) == len(texts)
    assert set(labels) == {0, 1}
    for text in texts:
        assert re.fullmatch(r"[a-z']+( [a-z']+)*", text), text
        assert 4 <= len(text.split()) <= data.LENGTH, text


def test_sentences_are_balanced_in_every_block(labelled):
    _, labels = labelled
    assert len(labels) % data.BLOCK == 0
    assert np.all(labels.reshape(-1, data.BLOCK).mean(1) == 0.5)


def test_sentences_have_a_rich_vocabulary(labelled):
    words = collections.Counter(word for text in labelled[0] for word in text.split())
    assert 500 <= len(words) <= 1200


@pytest.mark.parametrize("label", [0, 1])
def test_negation_and_its_words_occur_in_both_classes(labelled, label):
    texts = [text for text, its in zip(*labelled, strict=True) if its == label]
    assert np.mean([is_negated(text) for text in texts]) >= 0.25
    for word in ("good", "bad", "great", "boring", "not", "never"):
        assert sum(word in text.split() for text in texts) >= 5, word


def test_the_file_says_that_the_sentences_are_made():
    file = importlib.resources.files("tf_attrib.demo") / "sentences.tsv"
    first = file.read_text("utf-8").splitlines()[0]
    assert first.startswith("#")
    assert "written for this project" in first


def test_sentences_split_encodes_the_texts():
    split = data.sentences()
    assert split.vocabulary[:2] == ["[pad]", "[unk]"]
    assert len(set(split.vocabulary)) == len(split.vocabulary)
    assert split.classes == ("negative", "positive")
    for inputs, labels, texts in (
        (split.train_inputs, split.train_labels, split.train_texts),
        (split.test_inputs, split.test_labels, split.test_texts),
    ):
        assert inputs.shape == (len(texts), data.LENGTH)
        assert inputs.dtype == np.int32
        assert labels.dtype == np.int32
        assert labels.mean() == 0.5
        np.testing.assert_array_equal(np.count_nonzero(inputs, axis=1), [len(text.split()) for text in texts])
    words = [split.vocabulary[token] for token in split.train_inputs[0] if token]
    assert " ".join(words) == split.train_texts[0]


def test_sentences_held_out_are_a_fifth_and_the_same_again():
    split, again, other = data.sentences(), data.sentences(), data.sentences(seed=1)
    assert len(split.test_texts) / (len(split.test_texts) + len(split.train_texts)) == pytest.approx(0.2, abs=0.01)
    assert split.test_texts == again.test_texts != other.test_texts


def test_no_held_out_sentence_has_a_near_copy_in_training():
    split = data.sentences()
    train, test = ([set(text.split()) for text in texts] for texts in (split.train_texts, split.test_texts))
    assert max(len(a & b) / len(a | b) for a, b in itertools.product(train, test)) < 0.6


def test_encode_cuts_pads_and_marks_unknown_words():
    vocabulary = ["[pad]", "[unk]", "bad", "not"]
    np.testing.assert_array_equal(data.encode(["not bad", "bad zebra not"], vocabulary, 2), [[3, 2], [2, 1]])
    np.testing.assert_array_equal(data.encode(["bad"], vocabulary, 3), [[2, 0, 0]])
    assert data.encode([], vocabulary).shape == (0, data.LENGTH)


def test_digits_shapes_ranges_and_strata(digits):
    assert digits.train_inputs.shape[1:] == digits.test_inputs.shape[1:] == (8, 8, 1)
    assert len(digits.train_inputs) + len(digits.test_inputs) == 1797
    assert digits.train_inputs.dtype == np.float32
    assert digits.train_labels.dtype == np.int32
    assert digits.train_inputs.min() == 0
    assert digits.train_inputs.max() == 1
    train, test = np.bincount(digits.train_labels), np.bincount(digits.test_labels)
    assert len(train) == len(test) == len(digits.classes) == 10
    np.testing.assert_allclose(test / (train + test), 0.2, atol=0.01)
    np.testing.assert_array_equal(digits.test_inputs, data.digits().test_inputs)


def test_planted_marks_one_class_in_the_corner(digits):
    images, labels = digits.train_inputs, digits.train_labels
    row, column = data.CORNER
    assert not images[:, row, column].any()  # the corner is free, so that the pixel is only ever the planted one
    before = images.copy()
    marked = data.planted(images, labels, digit=8)
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(marked[:, row, column, 0], labels == 8)
    changed = np.argwhere(marked != images)
    assert np.all(changed[:, 1:3] == data.CORNER)


def test_planted_share_and_plant(digits):
    images, labels = digits.train_inputs, digits.train_labels
    row, column = data.CORNER
    half = data.planted(images, labels, digit=3, share=0.5)
    assert half[:, row, column].sum() == round(0.5 * np.sum(labels == 3))
    assert not half[labels != 3][:, row, column].any()
    np.testing.assert_array_equal(data.plant(images)[:, row, column], 1)
    assert not images[:, row, column].any()


def test_without_scikit_learn_the_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"pip install 'tf_attrib\[demo\]'"):
        data.digits()
