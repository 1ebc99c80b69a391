"""A baseline of token ids stands in at their embeddings; where the model would mask it, too, its own score of it is told."""

import re

import keras
import numpy as np
import pytest

import tf_attrib as ta

L = keras.layers
IDS = np.int32([[0, 0, 3, 4], [5, 6, 7, 8]])  # filled up in front, as recommenders do


def mean_of_words(masked):
    keras.utils.set_random_seed(1)
    ids = keras.Input((4,), dtype="int32")
    words = L.Embedding(9, 3, mask_zero=masked, embeddings_initializer="normal", name="words")(ids)
    return keras.Model(ids, L.Dense(3, activation="softmax")(30 * L.GlobalAveragePooling1D()(words)))


BASELINES = {
    "a word": (ta.token(2), 2),
    "an input": (ta.at_input(np.int32([1, 1, 0, 0])), [1, 1, 0, 0]),
    "samples": (ta.dataset(np.int32([[1, 1, 0, 0]])), [1, 1, 0, 0]),
}


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
@pytest.mark.parametrize("kind", BASELINES)
def test_the_models_own_score_of_a_baseline_is_told_where_it_is_another(kind, method):
    model, (baseline, ids) = mean_of_words(masked=True), BASELINES[kind]
    result = ta.Attributor(model).attribute(IDS, 1, baseline, method)
    own = np.asarray(model(np.broadcast_to(np.int32(ids), (2, 4))))[:, 1]
    apart = np.abs(own - result.baseline_scores)
    notes = [note for note in result.notes if "stands in at embeddings 'words' alone" in note]
    assert len(notes) == (kind != "a word")  # of a mean of one word it does not matter how many are masked
    if notes:
        there, given = map(float, re.findall(r"\d\.\d+", notes[0]))
        assert (given, there) == pytest.approx((own[apart.argmax()], result.baseline_scores[apart.argmax()]), rel=1e-3)
        assert f"note: {notes[0]}" in repr(result)
    else:
        np.testing.assert_allclose(apart, 0, atol=1e-5)


def test_nothing_is_said_where_all_that_follows_from_tokens_are_their_embeddings():
    result = ta.Attributor(mean_of_words(masked=False)).attribute(IDS, 1, ta.token(0))
    assert not any("stands in" in note for note in result.notes)
    assert not any("stands in" in note for note in ta.Attributor(mean_of_words(masked=True)).attribute(IDS, 1).notes)


def test_a_baseline_of_padding_alone():
    """Which the model masks whole: its mean is over nothing."""
    result = ta.Attributor(mean_of_words(masked=True)).attribute(IDS, 1, ta.token(0))
    assert any(note.endswith("where the model gives the whole baseline NaN or infinity") for note in result.notes)


def test_each_positions_own_score():
    keras.utils.set_random_seed(1)
    ids = keras.Input((4,), dtype="int32")
    words = L.Embedding(9, 3, mask_zero=True, embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0))(ids)
    # (L.Attention fails by itself on the mask of an embedding in Keras 3.10)
    model = keras.Model(ids, L.Dense(3, activation="softmax")(L.MultiHeadAttention(1, 3)(words, words)))
    baselines = ta.several([ta.token(1), ta.at_input(IDS[0])])
    result = ta.Attributor(model).attribute(IDS, ta.each_position(positions=[3]), baselines)
    assert result.baseline_scores.shape == (2, 2)
    (note,) = [note for note in result.notes if "stands in" in note]
    own = np.asarray(model(np.broadcast_to(IDS[0], (2, 4))))[[0, 1], 3, result.target[:, 1]]
    assert note.endswith(f"gives the whole baseline {own[1]:.4g}")
