"""One attribution for each position of a sequence output."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tf_attrib.view.position_map import map_of

from ..conftest import assert_refused

IDS = np.random.default_rng(0).integers(1, 12, (3, 6)).astype("int32")
STEPS = ta.IntegratedGradients(n_steps=10)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(7)
    return keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            layers.Embedding(12, 5, name="words"),
            layers.SimpleRNN(7, return_sequences=True),
            layers.Dense(12, activation="softmax", name="next"),
        ]
    )


@pytest.fixture(scope="module")
def attributor(model):
    return ta.Attributor(model)


def test_each_position_is_what_it_is_alone(model, attributor):
    result = attributor.attribute(IDS, ta.each_position(), method=STEPS)
    predicted = np.asarray(model(IDS)).argmax(2)
    assert result.attributions.shape == (18, 6, 5)
    assert result.example.tolist() == np.repeat([0, 1, 2], 6).tolist()
    assert result.position.tolist() == list(range(6)) * 3
    np.testing.assert_array_equal(result.target, np.stack([result.position, predicted.ravel()], 1))
    np.testing.assert_array_equal(result.inputs, np.repeat(IDS, 6, 0))
    for entry in (2, 9, 17):
        example, position = result.example[entry], result.position[entry]
        alone = attributor.attribute(IDS[example : example + 1], (position, predicted[example, position]), method=STEPS)
        np.testing.assert_allclose(result.attributions[entry], alone.attributions[0], atol=1e-7)
        np.testing.assert_allclose(result.scores[entry], alone.scores[0], atol=1e-6)
    np.testing.assert_allclose(result.gap, 0, atol=1e-5)


def test_a_word_says_nothing_of_those_before_it(attributor):
    """The model reads from left to right: above the diagonal the map is zero to the last bit."""
    for method in (STEPS, "gradient", "deeplift", "integrated_gradients"):
        result = attributor.attribute(IDS, ta.each_position(), method=method)
        table = result.sum(-1).attributions.reshape(3, 6, 6)
        later = np.triu(np.ones((6, 6), bool), 1)
        assert np.all(table[:, later] == 0)
        assert np.abs(table[:, ~later]).min() > 0


def test_positions_and_classes_of_ones_own(attributor):
    following = np.roll(IDS, -1, 1)
    result = attributor.attribute(IDS, ta.each_position(following, positions=[-2, 1]), method="interior_gradients")
    assert result.attributions.shape == (6, 50, 6, 5)
    np.testing.assert_array_equal(result.target, [[p, following[i, p]] for i in range(3) for p in (1, 4)])
    one = attributor.attribute(IDS, ta.each_position(following[0], positions=3), method=STEPS)
    assert one.target[:, 1].tolist() == [following[0, 3]] * 3


def test_baselines_of_each_example_go_with_it(attributor):
    other = np.random.default_rng(2).normal(size=(3, 6, 5)).astype("float32")
    result = attributor.attribute(IDS, ta.each_position(positions=[5]), baselines=other, method=STEPS)
    alone = attributor.attribute(IDS, result.target, baselines=other, method=STEPS)
    np.testing.assert_allclose(result.attributions, alone.attributions, atol=1e-7)


def test_an_output_of_one_value_a_position():
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((5, 2)), layers.SimpleRNN(3, return_sequences=True), layers.Dense(1), layers.Flatten()]
    )
    x = np.random.default_rng(1).normal(size=(2, 5, 2)).astype("float32")
    result = ta.Attributor(model).attribute(x, ta.each_position(), method=STEPS)
    assert result.attributions.shape == (10, 5, 2)
    np.testing.assert_allclose(result.scores.reshape(2, 5), np.asarray(model(x)), atol=1e-6)


def test_results_are_selected_and_saved_with_their_positions(attributor, tmp_path):
    result = attributor.attribute(IDS, ta.each_position(), method=STEPS)
    part = result[result.example == 1]
    assert part.position.tolist() == list(range(6))
    saved = ta.load(result.save(tmp_path / "map"))
    np.testing.assert_array_equal(saved.position, result.position)


def test_what_does_not_fit_is_refused(attributor, cnn, images):
    assert_refused(lambda: ta.Attributor(cnn).attribute(images, ta.each_position()), "positions", "(4,)")
    assert_refused(lambda: attributor.attribute(IDS, ta.each_position(positions=[6])), "from 0 to 5")
    assert_refused(lambda: attributor.attribute(IDS, ta.each_position(np.full((3, 6), 12))), "from 0 to 11")
    assert_refused(lambda: attributor.attribute(IDS, ta.each_position(np.zeros((2, 6), int))), "(6,)", "(3, 6)")
    one = ta.Attributor(lambda x: tf.reduce_sum(x, 2))
    x = np.ones((1, 3, 2), "float32")
    assert_refused(lambda: one.attribute(x, ta.each_position(np.zeros(3, int))), "leave classes out")


def test_the_map_shows_the_numbers(attributor):
    words = [[f"w{number}" for number in row] for row in IDS]
    result = attributor.attribute(IDS, ta.each_position(positions=[1, 3]), method=STEPS)
    names = [f"<{number}>" for number in range(12)]
    shown = map_of(result, 1, words, names)
    np.testing.assert_allclose(shown.values, result.attributions[2:4].sum(-1), rtol=1e-6)
    assert shown.columns == tuple(words[1])
    assert [row.split(" (")[0] for row in shown.rows] == [f"{p}: <{c}>" for p, c in result.target[2:4]]
    figure = result.plot(tokens=words, names=names, limit=2)
    drawn = figure.subfigs[1].axes[0]
    np.testing.assert_allclose(drawn.images[0].get_array(), shown.values)
    assert [text.get_text() for text in drawn.get_xticklabels()] == words[1]
    assert "1 example more of 3" in figure.caption
    assert "Largest gap" in figure.caption
    assert "<img" in result._repr_html_()
    one = result.plot(example=2, kind="positions")
    assert [text.get_text() for text in one.subfigs[0].axes[0].get_xticklabels()] == [str(number) for number in IDS[2]]


def test_maps_that_cannot_be_drawn(attributor, cnn, images):
    result = attributor.attribute(IDS, ta.each_position(positions=[1]), method=STEPS)
    assert_refused(lambda: result.plot(example=3), "example 3", "0, 1, 2")
    assert_refused(lambda: result.plot(names=["a"]), "names for 1 classes")
    assert_refused(lambda: result.plot(k=3), "k= means nothing")
    assert_refused(lambda: ta.Attributor(cnn).attribute(images, method="gradient").plot(kind="positions"), "each_position")
    assert "example 1, position 1" in result[1:2].to_html()
