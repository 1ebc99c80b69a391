"""Examples of different lengths whose lengths the model also makes of the text beside them: ragged rows, and masks of words."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta

RNG = np.random.default_rng(4)
TABLE = RNG.normal(size=(10, 2)).astype("float32")
IDS, AGES = [[1, 2, 3], [4], [2, 2]], np.array([0.3, -0.2, 0.1], "float32")


def serialized(ids, age):
    features = {
        "ids": tf.train.Feature(int64_list=tf.train.Int64List(value=ids)),
        "age": tf.train.Feature(float_list=tf.train.FloatList(value=[age])),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


EXAMPLES = np.array([serialized(*one) for one in zip(IDS, AGES, strict=True)], dtype=object)


def ragged(examples):
    """The mean of the vectors of as many ids as an example has."""
    table = tf.constant(TABLE)
    read = tf.io.parse_example(examples, {"age": tf.io.FixedLenFeature([1], tf.float32), "ids": tf.io.RaggedFeature(tf.int64)})
    return tf.tanh(tf.reduce_sum(tf.reduce_mean(tf.gather(table, read["ids"]), 1), 1) + read["age"][:, 0])


def masked(examples):
    """The same, of ids that are filled up under a mask of what was not."""
    table = tf.constant(TABLE)
    read = tf.io.parse_example(examples, {"age": tf.io.FixedLenFeature([1], tf.float32), "ids": tf.io.RaggedFeature(tf.int64)})
    there = tf.sequence_mask(read["ids"].row_lengths(), dtype=tf.float32)
    rows = tf.reduce_sum(tf.gather(table, read["ids"].to_tensor()) * there[..., None], [1, 2])
    return tf.tanh(rows / tf.reduce_sum(there, 1) + read["age"][:, 0])


def inside(ids, age, kept=None):
    """What is in front of the tanh, in NumPy; of some of the ids, where they are named."""
    return sum(TABLE[one].sum() / len(ids) for place, one in enumerate(ids) if kept is None or place in kept) + age


@pytest.mark.parametrize("method", ["integrated_gradients", "deeplift", "gradient", "occlusion"])
@pytest.mark.parametrize("model", [ragged, masked])
def test_ragged_ids_of_several_lengths(model, method):
    """The batch failed in TensorFlow: rows of one id were as long as those of three, beside the lengths of one."""
    result = ta.Attributor(model).attribute(EXAMPLES, method=method, verbose=False)
    assert result.attributions["age"].shape == (3, 1)
    words = next(value for name, value in result.attributions.items() if name != "age")
    assert words.shape == (3, 3, 2)
    for number, (ids, age) in enumerate(zip(IDS, AGES, strict=True)):
        whole = inside(ids, age)
        if method == "occlusion":
            left = [inside(ids, age, set(range(len(ids))) - {place}) for place in range(len(ids))]
            expected = np.repeat(np.tanh(whole) - np.tanh(left), 2).reshape(-1, 2)
            last = np.tanh(whole) - np.tanh(whole - age)
        elif method == "gradient":
            expected = np.full((len(ids), 2), (1 - np.tanh(whole) ** 2) / len(ids))
            last = 1 - np.tanh(whole) ** 2
        else:  # of a function of a sum, both hand out the difference by shares of the sum
            expected = TABLE[ids] / len(ids) * np.tanh(whole) / whole
            last = age * np.tanh(whole) / whole
        np.testing.assert_allclose(words[number, : len(ids)], expected, rtol=2e-3, atol=1e-5)
        np.testing.assert_array_equal(words[number, len(ids) :], 0)
        np.testing.assert_allclose(result.attributions["age"][number, 0], last, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("method", ["integrated_gradients", "deeplift", "shapley_sampling"])
def test_texts_whose_mask_is_made_of_them(method):
    words = keras.layers.TextVectorization(vocabulary=["a", "b", "c"])
    text = keras.Input((), dtype="string")
    rows = keras.layers.Embedding(5, 3, mask_zero=True, embeddings_initializer="normal")(words(text))
    mean = keras.layers.GlobalAveragePooling1D()(rows)
    attributor = ta.Attributor(keras.Model(text, keras.layers.Dense(1)(keras.layers.Dense(4, "tanh")(mean))))
    texts = np.array(["a b c", "b", "c c"])
    together = attributor.attribute(texts, method=method, seed=0, verbose=False)
    for number, length in enumerate((3, 1, 2)):
        alone = attributor.attribute(texts[number : number + 1], method=method, seed=0, verbose=False)
        np.testing.assert_allclose(together.scores[number], alone.scores[0], rtol=1e-5)
        np.testing.assert_allclose(together.attributions[number, :length], alone.attributions[0], rtol=1e-3, atol=1e-6)
        np.testing.assert_array_equal(together.attributions[number, length:], 0)
