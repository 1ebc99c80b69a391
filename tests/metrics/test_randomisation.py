"""Randomised layers: which, in which order, how alike attributions stay, and that the model is as it was."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tf_attrib.metrics import randomisation as function

from ..conftest import assert_refused
from ..helpers.shared import attributor_for

M = ta.metrics


@pytest.fixture(scope="module")
def deep():
    """Layers at two levels; a trained net's weights are not all alike."""
    keras.utils.set_random_seed(1)
    inner = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(7, activation="tanh", name="inner_a"),
            layers.Dense(6, activation="tanh", name="inner_b"),
        ],
        name="inner",
    )
    model = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(8, activation="tanh", name="first"),
            inner,
            layers.Dense(3, activation="softmax", name="head"),
        ],
        name="deep",
    )
    for weight in model.weights:
        weight.assign(np.random.default_rng(weight.shape[0]).normal(size=weight.shape))
    return model


@pytest.fixture
def table():
    return np.random.default_rng(0).normal(size=(6, 5)).astype("float32")


def spearman(a, b):
    from scipy.stats import spearmanr

    return [spearmanr(one.ravel(), other.ravel()).statistic for one, other in zip(a, b, strict=True)]


def test_both_modes_against_a_loop(deep, table):
    """The second implementation: copies of the model, shuffled by hand in the same draws."""
    attributor = ta.Attributor(deep)
    found = M.randomisation(attributor, table, method="gradient_times_input", seed=5)
    assert found.layers == ("head", "inner_b", "inner_a", "first")
    original = attributor.attribute(table, method="gradient_times_input")
    kept, by_hand = deep.get_weights(), ta.Attributor(deep)  # whose weights are those of the moment
    named = {layer.name: layer for layer in (deep.layers[2], *deep.layers[1].layers, deep.layers[0])}
    for mode in ("cascading", "independent"):
        for number, name in enumerate(found.layers):
            if mode == "independent":
                deep.set_weights(kept)
            rng = np.random.default_rng([5, number])
            named[name].set_weights([rng.permutation(w.ravel()).reshape(w.shape) for w in named[name].get_weights()])
            other = by_hand.attribute(table, original.target, method="gradient_times_input")
            np.testing.assert_allclose(
                found.curves[mode][:, number], spearman(original.attributions, other.attributions), atol=1e-6
            )
        deep.set_weights(kept)
    np.testing.assert_allclose(found.values, found.curves["cascading"].mean(1))
    np.testing.assert_allclose(found.areas["independent"], found.curves["independent"].mean(1))


def test_the_weights_are_put_back_after_an_exception_too(deep, table, monkeypatch):
    before = deep.get_weights()
    M.randomisation(attributor_for(deep), table, method="gradient")
    assert all(np.array_equal(was, now) for was, now in zip(before, deep.get_weights(), strict=True))
    touched = []

    def fails(*arguments):
        touched.append(not np.array_equal(before[-2], deep.get_weights()[-2]))
        raise KeyboardInterrupt

    monkeypatch.setattr(__import__("sys").modules[function.__module__], "rank_correlation", fails)
    with pytest.raises(KeyboardInterrupt):
        M.randomisation(attributor_for(deep), table, method="gradient")
    assert touched == [True]
    assert all(np.array_equal(was, now) for was, now in zip(before, deep.get_weights(), strict=True))


def test_what_does_not_depend_on_weights_stays_alike(table):
    """Of a linear net the biases move the score, and no attribution: that is a correlation of 1."""
    model = keras.Sequential([keras.Input((5,)), layers.Dense(4, name="hidden"), layers.Dense(1, name="head")])
    model.layers[0].set_weights([np.ones((5, 4), "float32"), np.arange(4, dtype="float32")])
    model.layers[1].set_weights([np.arange(1, 5, dtype="float32")[:, None], np.zeros(1, "float32")])
    alike = M.randomisation(ta.Attributor(model), table, method="gradient_times_input", layers=["hidden"])
    np.testing.assert_allclose(alike.values, 1, atol=1e-6)
    assert not alike.notes
    model.layers[1].set_weights([np.ones((4, 1), "float32"), np.zeros(1, "float32")])
    assert_refused(
        lambda: M.randomisation(ta.Attributor(model), table, method="gradient_times_input"),
        "'head', 'hidden' changes neither scores nor attributions",
    )


class HeadFirst(keras.Model):
    """Its author made the head before the body, and a layer that is never called; a fresh normalisation's weights are alike."""

    def __init__(self):
        super().__init__(name="head_first")
        self.head = layers.Dense(3, activation="softmax", name="head")
        self.spare = layers.Dense(3, name="spare")
        self.norm = layers.LayerNormalization(name="norm")
        self.body = layers.Dense(8, activation="tanh", name="body")
        self.spare.build((None, 3))

    def call(self, x):
        return self.head(self.norm(self.body(x)))


@pytest.mark.parametrize("modes", [("cascading",), ("independent",), ("cascading", "independent")])
def test_layers_are_in_the_order_of_their_calls_and_those_that_change_nothing_are_left_out(table, modes):
    """The first that was shuffled was the body, and norm and spare counted as a correlation of 1."""
    model = HeadFirst()
    model(table)
    found = M.randomisation(ta.Attributor(model), table, method="gradient_times_input", modes=modes)
    assert found.layers == ("head", "body")
    assert found.curves[modes[0]].shape == (6, 2)
    np.testing.assert_allclose(found.values, found.curves[modes[0]].mean(1))
    assert "mean over 2 layers" in found.settings
    assert any("'norm', 'spare' changes neither scores nor attributions" in note for note in found.notes)


def test_layers_of_another_output_are_left_out(table):
    given = keras.Input((5,))
    body = layers.Dense(8, activation="tanh", name="body")(given)
    outputs = [
        layers.Dense(3, activation="softmax", name="a")(body),
        layers.Dense(3, name="b")(layers.Dense(4, name="c")(body)),
    ]
    attributor = ta.Attributor(keras.Model(given, outputs), of=ta.output("a"))
    found = M.randomisation(attributor, table, method="gradient")
    assert found.layers == ("a", "body")
    assert_refused(lambda: M.randomisation(attributor, table, method="gradient", layers=["b", "c"]), "'b', 'c' changes neither")


def test_layers_signs_and_modes(deep, table):
    attributor = attributor_for(deep)
    one = M.randomisation(attributor, table, method="gradient", layers=["first"], modes="independent")
    assert one.layers == ("first",)
    assert list(one.curves) == ["independent"]
    assert not one.areas
    magnitudes = M.randomisation(attributor, table, method="gradient", layers=["first"], modes="independent", signed=False)
    assert not np.allclose(one.values, magnitudes.values)
    assert "magnitudes" in repr(magnitudes)
    assert_refused(lambda: M.randomisation(attributor, table, layers=["middle"]), "'middle'", "'head'")
    assert_refused(lambda: M.randomisation(attributor, table, modes="all"), "cascading")


def test_a_result_of_the_trained_model_is_used(deep, table):
    attributor = attributor_for(deep)
    result = attributor.attribute(table, method="gradient")
    given = M.randomisation(attributor, result, method="gradient").values
    np.testing.assert_allclose(given, M.randomisation(attributor, table, method="gradient").values, atol=1e-6)
    assert_refused(lambda: M.randomisation(attributor, result), "pass the method=")


class Positions(keras.Model):
    """A model with weights beside those of its layers."""

    def __init__(self):
        super().__init__(name="positions")
        self.head = layers.Dense(3, name="head")
        self.table = self.add_weight(shape=(9,), initializer="random_normal", name="table")

    def call(self, x):
        return self.head(x * self.table)


def test_weights_of_a_model_s_own_are_shuffled_too():
    model, x = Positions(), np.random.default_rng(0).normal(size=(2, 9)).astype("float32")
    model(x)
    found = M.randomisation(ta.Attributor(model), x, target=0, method="gradient", modes="independent")
    assert found.layers == ("head", "positions")
    assert (found.curves["independent"] < 0.99).all()


def test_other_models_are_refused(table):
    attributor = ta.Attributor(lambda x: tf.reduce_sum(x**2, 1))
    assert_refused(lambda: M.randomisation(attributor, table), "Keras model")
    flat = keras.Sequential([keras.Input((5,)), layers.Activation("softmax")])
    assert_refused(lambda: M.randomisation(ta.Attributor(flat), table), "no layer with weights")


def test_layers_of_tf_keras_and_recurrent_ones(ids):
    tf_keras = pytest.importorskip("tf_keras")
    model = tf_keras.Sequential(
        [
            tf_keras.layers.Input((10,), dtype="int32"),
            tf_keras.layers.Embedding(30, 4, name="words"),
            tf_keras.layers.Bidirectional(tf_keras.layers.SimpleRNN(3), name="both"),
            tf_keras.layers.Dense(2, activation="softmax", name="head"),
        ]
    )
    before = model.get_weights()
    found = M.randomisation(ta.Attributor(model), ids, method="gradient")
    assert found.layers == ("head", "both", "words")
    assert np.isfinite(found.values).all()
    assert all(np.array_equal(was, now) for was, now in zip(before, model.get_weights(), strict=True))


def test_the_plot_names_the_layers(deep, table):
    figure = M.randomisation(attributor_for(deep), table, method="gradient").plot()
    (axes,) = figure.subfigs[0].axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["head", "inner_b", "inner_a", "first"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["cascading", "independent"]


def test_a_model_that_draws_is_said_to():
    class Noisy(layers.Layer):
        def call(self, x):
            return x + tf.random.normal(tf.shape(x))

    model = keras.Sequential([keras.Input((3,)), Noisy(), layers.Dense(4, "tanh"), layers.Dense(2, "softmax")])
    x = np.random.default_rng(0).normal(size=(2, 3)).astype("float32")
    for metric in (M.randomisation, M.max_sensitivity):
        assert any("same score twice" in note for note in metric(ta.Attributor(model), x, method="gradient").notes)
    still = ta.Attributor(keras.Sequential([keras.Input((3,)), *model.layers[1:]]))
    assert not M.max_sensitivity(still, x, method="gradient").notes
