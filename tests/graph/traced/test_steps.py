"""`TimeDistributed`: every step counts, whatever the size of the batch, and a head inside it is one."""

import keras
import numpy as np
import pytest

import tf_attrib as ta

L = keras.layers
IDS = np.int32([[1, 2, 3, 4, 5, 6], [7, 8, 9, 2, 0, 0], [3, 3, 8, 1, 5, 0]])


def embedded(shape, **options):
    ids = keras.Input(shape, dtype="int32")
    vectors = keras.initializers.RandomNormal(stddev=1.0, seed=1)
    return ids, L.Embedding(10, 4, embeddings_initializer=vectors, name="words", **options)(ids)


def of_words(steps):
    keras.utils.set_random_seed(0)
    ids, words = embedded((steps,))
    each = L.TimeDistributed(L.Dense(3, activation="tanh"))(words)
    each = L.TimeDistributed(L.LayerNormalization())(each)
    return keras.Model(ids, L.Dense(3, activation="softmax")(L.GlobalAveragePooling1D()(each)))


def of_sentences(steps):
    """Words of sentences, and sentences of a document; the mask of words is that of each sentence."""
    keras.utils.set_random_seed(0)
    ids, words = embedded((3,), mask_zero=True)
    sentence = keras.Model(ids, L.SimpleRNN(4)(words))
    document = keras.Input((steps, 3), dtype="int32")
    return keras.Model(document, L.Dense(3, activation="softmax")(L.SimpleRNN(4)(L.TimeDistributed(sentence)(document))))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("build", [of_words, of_sentences])
def test_steps_of_any_number_are_all_there(build, batch):
    model, x = build(None), IDS if build is of_words else IDS.reshape(3, 2, 3)
    found = ta.Attributor(model).attribute(x[:batch], 1, method="gradient_times_input")
    np.testing.assert_allclose(found.scores, np.asarray(model(x))[:batch, 1], rtol=1e-5)
    known = ta.Attributor(build(x.shape[1])).attribute(x[:batch], 1, method="gradient_times_input").attributions
    known = known if build is of_words else np.stack(list(known.values()), 1)  # where Keras unrolls steps, each has its lookup
    np.testing.assert_allclose(found.attributions, known, atol=1e-6)
    assert np.abs(found.attributions).max(-1)[x[:batch] != 0].all()


@pytest.mark.parametrize("steps", [None, 6])
def test_a_softmax_of_each_step_is_a_head(steps):
    keras.utils.set_random_seed(0)
    ids, words = embedded((steps,))
    tags = L.TimeDistributed(L.Dense(4, activation="softmax"), name="tags")(L.SimpleRNN(4, return_sequences=True)(words))
    model = keras.Model(ids, tags)
    probabilities = np.asarray(model(IDS))
    found = ta.Attributor(model).attribute(IDS, ta.each_position())
    assert found.unit == "probability"
    np.testing.assert_allclose(found.scores, probabilities.max(-1).reshape(-1), rtol=1e-5)
    logs = ta.Attributor(model, of="log_probability").attribute(IDS, (2, 1))
    np.testing.assert_allclose(logs.scores, np.log(probabilities[:, 2, 1]), rtol=1e-5)
