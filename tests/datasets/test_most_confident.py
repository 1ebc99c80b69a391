"""Of each class the examples that are classified correctly with the highest score."""

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

import tf_attrib as ta

from ..conftest import assert_refused, spread

X = np.random.default_rng(5).uniform(size=(300, 6)).astype("float32")


@pytest.fixture(scope="module")
def net():
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((6,)), layers.Dense(4, activation="softmax", kernel_initializer=spread())])


@pytest.fixture(scope="module")
def labels(net):
    found = net(X).numpy().argmax(1)
    return np.where(np.arange(300) % 3 == 0, (found + 1) % 4, found)  # every third is wrong


@pytest.mark.parametrize("per_class", [1, 3])
def test_they_are_the_best_of_those_that_are_right(net, labels, per_class):
    found = ta.most_confident(net, X, labels, per_class=per_class)
    output = net(X).numpy()
    expected = []
    for label in range(4):
        right = [i for i in range(300) if labels[i] == label == output[i].argmax()]
        expected += sorted(right, key=lambda i: -output[i].max())[:per_class]
    assert found.indices.tolist() == expected
    np.testing.assert_array_equal(found.labels, labels[expected])
    np.testing.assert_allclose(found.confidence, output[expected].max(1), rtol=1e-5)
    np.testing.assert_array_equal(found.inputs, X[expected])
    assert (found.unit, len(found)) == ("probability", len(expected))
    assert f"class {found.labels[0]}: example {expected[0]}, probability" in repr(found)


def test_what_is_missing_is_said(net):
    predicted = net(X).numpy().argmax(1)
    one, other = np.unique(predicted)[:2]
    chosen = np.concatenate([np.flatnonzero(predicted == one)[:1], np.flatnonzero(predicted == other)[:2]])
    attributor = ta.Attributor(net, class_names=["a", "b", "c", "d"])
    found = ta.most_confident(attributor, X[chosen], np.full(3, one), per_class=2)
    assert found.indices.tolist() == [0]
    assert found.missing == (one,)
    assert f"fewer than asked for are classified correctly of class {one} ({'abcd'[one]})" in repr(found)
    labels = np.array([one, (predicted[chosen[1]] + 1) % 4, one])
    assert "1 of 2 classes:" in repr(ta.most_confident(net, X[chosen], labels))  # none of the second is right
    assert_refused(lambda: ta.most_confident(net, X[:3], (predicted[:3] + 1) % 4), "none of 3 examples")


def test_scores_that_are_the_same_are_said():
    """A softmax that is sure is 1 to the last bit, of one example as of the next; its logits are not."""
    net = keras.Sequential([keras.Input((2,)), layers.Dense(2, activation="softmax", kernel_initializer="identity")])
    x = np.array([[100, 0], [0, 1], [300, 0], [0, 90], [200, 0]], "float32")
    found = ta.most_confident(net, x, [0, 1, 0, 1, 0])
    assert (found.indices.tolist(), found.tied.tolist()) == ([0, 3], [2, 0])
    assert "class 0: example 0, probability 1 as 2 more\n" in repr(found)
    assert "logits tell them apart" in repr(found)
    assert ta.most_confident(net, x, [0, 1, 0, 1, 0], per_class=2).tied.tolist() == [2, 2, 0, 0]
    by_logits = ta.most_confident(ta.Attributor(net, of="logits"), x, [0, 1, 0, 1, 0])
    assert (by_logits.indices.tolist(), by_logits.tied.tolist()) == ([2, 3], [0, 0])
    assert "the same" not in repr(by_logits)


def test_frames_stay_frames_and_one_hot_labels_do(net, labels):
    frame = pd.DataFrame(X, columns=list("abcdef"))
    found = ta.most_confident(net, frame, np.eye(4)[labels])
    assert isinstance(found.inputs, pd.DataFrame)
    assert found.inputs.index.tolist() == found.indices.tolist() == ta.most_confident(net, X, labels).indices.tolist()
    assert ta.Attributor(net).attribute(found.inputs, method="gradient").predicted.tolist() == found.labels.tolist()


def test_what_does_not_fit_is_refused(net, labels):
    assert_refused(lambda: ta.most_confident(net, X, labels[:7]), "same number of examples")
    assert_refused(lambda: ta.most_confident(net, X, labels + 9), "labels are classes from 0 to 3")
    assert_refused(lambda: ta.most_confident(net, X, labels, per_class=0), "per_class")
    assert_refused(lambda: ta.most_confident(net, X[:0], labels[:0]), "there are none")
    assert_refused(lambda: ta.most_confident(lambda x: x[:, 0], X, labels), "most_confident needs a classifier")
