"""Baselines that are inputs: of another length than the examples, and of another mask."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta

from ..conftest import assert_refused

L = keras.layers
TEXTS = np.array(["a b c", "b", "c c"])


def text_model():
    """The sum of all words, those that fill up included: a vector of ones for each, by its number."""
    words = L.TextVectorization(vocabulary=["a", "b", "c"])
    text = keras.Input((), dtype="string")
    rows = L.Embedding(5, 1, embeddings_initializer=keras.initializers.Constant(np.arange(1.0, 6.0)[:, None]))(words(text))
    return ta.Attributor(keras.Model(text, keras.ops.sum(rows, (1, 2))[:, None]))


@pytest.mark.parametrize(("baseline", "scores"), [(["a"], [5, 5, 5]), ([""], [3, 3, 3]), (["a b", "c", "a"], [8, 7, 5])])
def test_a_text_that_is_shorter_is_filled_up_as_the_model_does_it(baseline, scores):
    """It was an IndexError, and rows of another length were read as if they were of that of the examples."""
    result = text_model().attribute(TEXTS, baselines=ta.at_input(np.array(baseline)), verbose=False)
    np.testing.assert_allclose(result.baseline_scores.ravel(), scores)
    np.testing.assert_allclose(result.totals, np.array([12, 6, 11]) - scores, atol=1e-5)


def test_one_that_is_longer_is_refused():
    for baseline in (["a b c a"], ["a", "a b c a", "b"]):
        call = ta.at_input(np.array(baseline))
        assert_refused(lambda call=call: text_model().attribute(TEXTS, baselines=call), "longer than the examples", "(4, 1)")


def masked():
    ids = keras.Input((3,), dtype="int32", name="ids")
    table = keras.initializers.Constant(np.array([[9.0], [1], [2], [3], [4], [5]]))
    rows = L.Embedding(6, 1, mask_zero=True, embeddings_initializer=table)(ids)
    return ta.Attributor(keras.Model(ids, L.Dense(1, kernel_initializer="ones")(L.GlobalAveragePooling1D()(rows))))


@pytest.mark.parametrize("method", ["integrated_gradients", "deeplift", "expected_gradients"])
def test_a_mask_of_the_baseline_that_is_not_taken_is_said(method):
    """The mean of the baseline's words under the mask of the example is not the model's score there."""
    ids, base = np.array([[1, 2, 3], [2, 2, 0]]), np.array([[4, 0, 0]])
    result = masked().attribute(ids, baselines=ta.at_input(base), method=method, seed=0, verbose=False)
    np.testing.assert_allclose(result.baseline_scores.ravel(), [22 / 3, 6.5], rtol=1e-5)
    told = "the score there is 7.333 where the model gives the whole baseline 4"
    assert told in " ".join(result.notes)
    alike = masked().attribute(ids[:1], baselines=ta.at_input(np.array([[5, 4, 4]])), method=method, seed=0, verbose=False)
    assert "the whole baseline" not in " ".join(alike.notes)


def test_one_draw_of_a_data_set_counts_by_its_own_target():
    ids = keras.Input((2,), dtype="int32", name="ids")
    scale = keras.Input((1,), dtype="int32", name="scale")
    rows = keras.ops.sum(L.Embedding(4, 3)(ids), 1) * keras.ops.cast(keras.ops.sign(scale), "float32")
    attributor = ta.Attributor(keras.Model({"ids": ids, "scale": scale}, rows), at="embeddings")
    x = {"ids": np.array([[1, 2], [3, 3]]), "scale": np.array([[1], [2]])}
    other = {"ids": np.array([[2, 2], [1, 3], [3, 0]]), "scale": np.array([[3], [-1], [-1]])}
    model, result = attributor.model, attributor.attribute(x, [2, 0], ta.dataset(other), verbose=False)
    values = model({key: tf.constant(value) for key, value in other.items()}).numpy()[1:, [2, 0]]
    assert any(f"where the model gives the whole baseline {value:.4g}" in " ".join(result.notes) for value in values.ravel())


def test_a_score_with_rows_of_its_own_has_none_for_a_baseline():
    """They are of examples, and go with these to the baselines, too."""
    own = masked()
    score = ta.score(lambda outputs, data: outputs[:, 0] * data["weight"], data={"weight": np.float32([1, 2])})
    ids, base = np.array([[1, 2, 3], [2, 2, 0]]), np.array([[4, 0, 0]])
    result = ta.Attributor(own.model, of=score).attribute(ids, baselines=ta.at_input(base), verbose=False)
    np.testing.assert_allclose(result.baseline_scores.ravel(), [22 / 3, 13], rtol=1e-5)
