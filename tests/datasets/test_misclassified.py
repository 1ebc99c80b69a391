"""The most confident errors, found in a stream and attributed to both classes."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tf_attrib.view import Drawing, diverging
from tf_attrib.view.pairs import pair

from ..conftest import assert_refused, spread


@pytest.fixture(scope="module")
def net():
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax", kernel_initializer=spread()),
        ]
    )


@pytest.fixture(scope="module")
def attributor(net):
    return ta.Attributor(net)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(5).uniform(size=(40, 6, 6, 1)).astype("float32")


@pytest.fixture(scope="module")
def labels():
    return np.random.default_rng(6).integers(0, 3, 40)


@pytest.fixture(scope="module")
def found(attributor, images, labels):
    return ta.misclassified(attributor, (images, labels), 4, classes=("a<b", "cat", "dog"))


def by_hand(net, images, labels, n):
    probabilities = net(images).numpy()
    wrong = np.flatnonzero(probabilities.argmax(1) != labels)
    return wrong, wrong[np.argsort(-probabilities[wrong].max(1), kind="stable")][:n]


def test_they_are_the_most_confident_of_all_errors(net, images, labels, found):
    wrong, expected = by_hand(net, images, labels, 4)
    probabilities = net(images).numpy()[expected]
    np.testing.assert_array_equal(found.indices, expected)
    np.testing.assert_array_equal(found.labels, labels[expected])
    np.testing.assert_array_equal(found.predicted, probabilities.argmax(1))
    np.testing.assert_allclose(found.confidence, probabilities.max(1), rtol=1e-5)
    np.testing.assert_array_equal(found.inputs, images[expected])
    assert (found.errors, found.examples, len(found)) == (len(wrong), 40, 4)


def test_both_classes_are_attributed(attributor, images, found):
    for result, target in ((found.wrong, found.predicted), (found.right, found.labels)):
        expected = attributor.attribute(images[found.indices], target=target)
        np.testing.assert_allclose(result.attributions, expected.attributions, atol=1e-6)
        np.testing.assert_array_equal(result.target, target)
    assert np.all(found.wrong.scores > found.right.scores)


def test_streams_give_the_same(attributor, images, labels, found):
    pairs = tf.data.Dataset.from_tensor_slices((images, labels))
    one_hot = keras.utils.to_categorical(labels)
    weights = np.ones(7)
    for dataset in (
        pairs.batch(7),
        pairs.map(lambda x, y: (x, tf.one_hot(y, 3))).batch(40),
        (images, one_hot),
        (images, labels[:, None]),
        [(images[:11], labels[:11]), (images[11:], labels[11:])],
        ((images[i : i + 7], labels[i : i + 7], weights) for i in range(0, 40, 7)),
    ):
        again = ta.misclassified(attributor, dataset, 4)
        np.testing.assert_array_equal(again.indices, found.indices)
        np.testing.assert_allclose(again.wrong.attributions, found.wrong.attributions, atol=1e-5)
        assert again.errors == found.errors


def test_few_errors_are_all_shown_and_none_is_said(net, attributor, images):
    right = net(images).numpy().argmax(1)
    one_wrong = right.copy()
    one_wrong[17] = (right[17] + 1) % 3
    found = ta.misclassified(attributor, (images, one_wrong))
    assert found.indices.tolist() == [17]
    assert "all of them" in repr(found)
    none = ta.misclassified(attributor, (images, right))
    assert (len(none), none.wrong, none.right) == (0, None, None)
    assert repr(none) == "None of 40 examples is misclassified"
    assert "None of 40" in none._repr_html_()


def test_options_change_the_attributions(net, attributor, images, labels, found):
    white = ta.misclassified(attributor, (images, labels), 4, baselines=ta.constant(1.0))
    assert not np.allclose(white.wrong.attributions, found.wrong.attributions)
    gradient = ta.misclassified(attributor, (images, labels), 2, method="gradient")
    assert gradient.wrong.method == "Gradient()"
    np.testing.assert_array_equal(gradient.indices, found.indices[:2])
    logits = ta.misclassified(ta.Attributor(net, of="logits"), (images, labels), 2)
    assert logits.unit == "logit"
    noise = [
        ta.misclassified(attributor, (images, labels), 1, baselines=ta.gaussian(2, 1.0), seed=seed).wrong.attributions
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(noise[0], noise[1])
    assert not np.allclose(noise[0], noise[2])


def test_the_page_names_every_error_and_escapes(attributor, images, labels, found, tmp_path):
    page = found.save_html(tmp_path / "errors.html").read_text()
    for index in found.indices:
        assert f"Example {index}: " in page
    assert page.count("data:image/png") == 4
    assert "candidates for negatives" in page
    assert "Light green raises the score" in page
    squares = dataclasses.replace(found, wrong=dataclasses.replace(found.wrong, kind="square"))
    assert "the sign is lost" in squares._introduction()[1]
    assert "<script" not in page
    if {0} & {*found.labels.tolist(), *found.predicted.tolist()}:
        assert "a&lt;b" in page
        assert "a<b" not in page
    assert_refused(lambda: found.save_html(tmp_path / "errors.html"), "overwrite=True")
    assert ta.misclassified(attributor, (images, labels), 1)._repr_html_().count("<img") == 1


def test_images_share_one_scale(found):
    (drawing,) = pair(found.wrong, found.right, 0, ("wrong one", "right one"))
    limit = max(np.abs(result.attributions[0]).max() for result in (found.wrong, found.right))
    assert f"±{limit:.3g}" in drawing.caption
    titles = [axes.get_title() for axes in drawing.subfigs[0].axes]
    assert titles[:3] == ["image", "wrong one", "right one"]
    for axes, result in zip(drawing.subfigs[0].axes[1:3], (found.wrong, found.right), strict=True):
        expected = diverging(result.attributions[0], limit=limit).pixels
        np.testing.assert_allclose(axes.images[0].get_array(), expected)


def test_words_with_a_vocabulary():
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            layers.Embedding(20, 4, embeddings_initializer=spread()),
            layers.Flatten(),
            layers.Dense(1, activation="sigmoid", kernel_initializer=spread()),
        ]
    )
    ids = np.random.default_rng(2).integers(1, 20, (30, 6)).astype("int32")
    labels = np.random.default_rng(3).integers(0, 2, 30)
    vocabulary = ["[pad]", *(f"word<{i}" for i in range(1, 20))]
    found = ta.misclassified(ta.Attributor(model), (ids, labels), 3, vocabulary=vocabulary)
    shown = found._repr_html_()
    for token in ids[found.indices].ravel():
        assert f"word&lt;{token}</span>" in shown
    np.testing.assert_allclose(found.wrong.attributions, -found.right.attributions, atol=1e-5)  # two classes, one probability
    assert_refused(lambda: ta.misclassified(ta.Attributor(model), (ids, labels), vocabulary=vocabulary[:5]), "5", "words")


def test_tables_show_names_and_values():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((12,)), layers.Dense(3, activation="softmax", kernel_initializer=spread())])
    x = np.random.default_rng(2).normal(size=(30, 12)).astype("float32")
    found = ta.misclassified(
        ta.Attributor(model), (x, np.random.default_rng(3).integers(0, 3, 30)), 2, names=[f"size {i}" for i in range(12)]
    )
    (drawing,) = pair(found.wrong, found.right, 0, ("wrong", "right"), names=found.names)
    assert isinstance(drawing, Drawing)
    left, right = drawing.subfigs[0].axes
    both = np.maximum(np.abs(found.wrong.attributions[0]), np.abs(found.right.attributions[0]))
    strongest = int(both.argmax())
    assert left.get_yticklabels()[0].get_text().startswith(f"size {strongest} = ")
    assert left.get_xlim() == right.get_xlim()
    np.testing.assert_allclose(
        [axes.patches[0].get_width() for axes in (left, right)],
        [result.attributions[0, strongest] for result in (found.wrong, found.right)],
        rtol=1e-6,
    )


def test_anything_else_is_shown_one_beneath_the_other():
    result = ta.Attributor(lambda x: tf.reduce_sum(x**2, [1, 2])).attribute(np.random.default_rng(0).normal(size=(1, 30, 2)))
    parts = pair(result, result, 0, ("one", "other"))
    assert [part for part in parts if isinstance(part, str)] == ["one", "other"]
    assert sum(isinstance(part, Drawing) for part in parts) == 2


def test_what_cannot_be_done_is_refused(attributor, images, labels):
    check = ta.misclassified
    assert_refused(lambda: check(attributor, (images, labels), 0), "n is how many")
    assert_refused(lambda: check(attributor, images), "labels")
    assert_refused(lambda: check(attributor, (images, labels[:5])), "same number")
    assert_refused(lambda: check(attributor, (images, labels + 1)), "0 to 2")
    assert_refused(lambda: check(attributor, (images, labels + 0.5)), "whole numbers")
    assert_refused(lambda: check(attributor, (images, np.where(labels == 1, np.inf, 0.0))), "whole numbers")
    assert_refused(lambda: check(attributor, (images, np.ones((40, 3)))), "one-hot")
    assert_refused(lambda: check(attributor, (images, labels), classes=("one", "two")), "2 names for 3 classes")
    assert_refused(lambda: check(attributor, (images, labels), classes=("background", *"abc")), "4 names for 3 classes")
    assert_refused(lambda: check(attributor, []), "empty")
    assert_refused(lambda: check(ta.Attributor(lambda x: tf.reduce_sum(x, [1, 2, 3])), (images, labels)), "no classes")
