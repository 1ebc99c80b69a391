"""The traced model is the model: masks, shared layers, odd outputs, and other threads."""

import threading

import keras
import numpy as np
import pytest
from keras import layers

import tf_attrib as ta

from ...conftest import spread
from ...selection.test_at_and_of import FINE, RNG, X, explained


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_a_mask_leaves_a_nested_model_with_its_vectors(library):
    library = pytest.importorskip(library)

    def tokens():
        return library.layers.Input((6,), dtype="int32")

    inner, outer = tokens(), tokens()
    encoder = library.Model(inner, library.layers.Embedding(20, 4, mask_zero=True, name="words")(inner))
    model = library.Model(outer, library.layers.Dense(2, activation="softmax")(library.layers.SimpleRNN(4)(encoder(outer))))
    model.set_weights([RNG.normal(size=weight.shape) for weight in model.weights])
    ids = RNG.integers(1, 20, (3, 6))
    ids[:, 3:] = 0
    result = ta.Attributor(model).attribute(ids, target=0, method=FINE)
    np.testing.assert_allclose(result.scores, model(ids).numpy()[:, 0], rtol=1e-5)
    assert np.all(result.attributions[:, 3:] == 0)
    assert np.all(np.abs(result.attributions[:, :3]).sum(2) > 0)


def test_masked_float_ids_are_token_ids():
    tokens = keras.Input((6,), name="tokens")
    vectors = layers.Embedding(20, 4, mask_zero=True, name="words", embeddings_initializer=spread())(tokens)
    model = keras.Model(tokens, layers.Dense(2, activation="softmax")(layers.SimpleRNN(4)(vectors)))
    result = ta.Attributor(model).attribute(RNG.integers(1, 20, (3, 6)).astype("float32"), method=FINE)
    assert result.attributions.shape == (3, 6, 4)
    np.testing.assert_allclose(result.totals, result.difference, atol=1e-4)


def test_outputs_of_one_layer_that_feed_each_other():
    """The first call reaches the score through the second alone, which is held at a value of its own."""
    shared = layers.Dense(4, activation="tanh", name="shared", kernel_initializer=spread())
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(1)(shared(shared(inputs))))
    result = ta.Attributor(model, at="shared").attribute(X, method=FINE)
    assert np.abs(result.difference).max() > 0.01
    np.testing.assert_allclose(result.totals, result.difference, atol=1e-4)


def test_a_layer_may_return_a_dict_of_its_own_kind():
    class Named(dict):
        __getattr__ = dict.__getitem__

    class Inner(layers.Layer):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3, name="dense")

        def call(self, x):
            return Named(hidden=self.dense(x))

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner, self.out = Inner(), layers.Dense(2, activation="softmax")

        def call(self, x):
            return self.out(self.inner(x).hidden)

    model = Net()
    expected = model(X)[:, 0]
    np.testing.assert_allclose(explained(model, target=0).scores, expected, rtol=1e-5)


def test_a_prediction_in_another_thread_while_the_model_is_traced():
    """It runs the same layers, and must leave no mark in the trace."""
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="hidden"), layers.Dense(1)])
    seen = []

    def meanwhile(x):
        thread = threading.Thread(target=lambda: seen.append(model(X).numpy()))
        thread.start()
        thread.join()
        return x

    result = ta.Attributor(model, at="hidden", preprocess=meanwhile).attribute(X, method="gradient")
    assert result.attributions.shape == (5, 3)
    np.testing.assert_allclose(seen[0], model(X).numpy(), rtol=1e-5)


def test_layers_of_a_model_that_was_saved_have_their_names(tmp_path):
    """tf_keras leaves a method of its own on every layer that it has saved as a SavedModel."""
    library = pytest.importorskip("tf_keras")
    model = library.Sequential([library.layers.Input((4,)), library.layers.Dense(3, "tanh", name="hidden")])
    before = ta.Attributor(model, at="hidden").attribute(X, target=1, method="gradient")
    model.save(tmp_path / "saved", save_format="tf")
    own = vars(model.get_layer("hidden"))["call"]
    result = ta.Attributor(model, at="hidden").attribute(X, target=1, method="gradient")
    np.testing.assert_array_equal(result.attributions, before.attributions)
    assert vars(model.get_layer("hidden"))["call"] == own


@pytest.mark.parametrize("eager", [None, True])
def test_what_a_model_keeps_for_its_next_call_is_no_output(eager):
    """Beside named tensors, as models of transformers return keys and values, a pair for each layer."""

    def model(x):
        score = 3 * x
        return {"score": score, "kept": ((score, score), (score, score))}

    for of in (None, "score"):
        result = ta.Attributor(model, of=of, eager=eager).attribute(X, target=0, method="gradient")
        np.testing.assert_array_equal(result.attributions[:, 0], 3)
    with pytest.raises(ta.AttributionError, match="it returned tuple"):
        ta.Attributor(lambda x: {"kept": model(x)["kept"]}, eager=eager).attribute(X, target=0)
