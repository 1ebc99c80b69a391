"""Sequences of several lengths beside what says so: lengths, masks and row splits are no encodings of what is computed with
them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta

from ..conftest import assert_refused

L = keras.layers
X = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
LENGTHS = np.int32([2, 4])
THERE = np.arange(4) < LENGTHS[:, None]


class Within(L.Layer):
    """Lengths as a mask."""

    def call(self, lengths):
        return tf.sequence_mask(lengths, 4)


def recurrent(kind, layer):
    """A recurrent net over vectors, of which a second input says how many are there."""
    keras.utils.set_random_seed(0)
    x = keras.Input((4, 3), name="x")
    said = keras.Input((), dtype="int32", name="n") if kind == "lengths" else keras.Input((4,), dtype=kind, name="n")
    mask = Within()(said) if kind == "lengths" else keras.ops.cast(said, "bool")
    return keras.Model({"x": x, "n": said}, L.Dense(2, activation="softmax")(layer(x, mask=mask)))


@pytest.mark.parametrize(("kind", "bidirectional"), [("lengths", False), ("bool", True), ("int32", False)])
def test_a_recurrent_layer_is_no_encoding_of_its_mask(kind, bidirectional):
    model = recurrent(kind, L.Bidirectional(L.LSTM(2)) if bidirectional else L.GRU(4))
    inputs = {"x": X, "n": LENGTHS if kind == "lengths" else THERE.astype(kind)}
    attributor = ta.Attributor(model)
    result = attributor.attribute(inputs, 1, method="gradient")
    assert (result.place, result.left_out, result.attributions.shape) == ("inputs", ("n",), X.shape)
    with tf.GradientTape() as tape:
        x = tf.constant(X)
        tape.watch(x)
        score = model({"x": x, "n": tf.constant(inputs["n"])})[:, 1]
    expected = tape.gradient(score, x)
    np.testing.assert_allclose(result.attributions, expected, atol=1e-6)
    assert np.all(result.attributions[0, 2:] == 0)
    assert np.abs(result.attributions[0, :2]).min() > 0


def test_words_in_front_of_a_recurrent_layer_that_has_their_lengths():
    keras.utils.set_random_seed(0)
    ids, lengths = keras.Input((4,), dtype="int32", name="ids"), keras.Input((), dtype="int32", name="lengths")
    words = L.Embedding(9, 3, embeddings_initializer="normal", name="words")(ids)
    model = keras.Model([ids, lengths], L.Dense(2, activation="softmax")(L.GRU(3)(words, mask=Within()(lengths))))
    result = ta.Attributor(model).attribute([np.int32([[3, 4, 0, 0]]), np.int32([2])], 1)
    assert (result.place, result.left_out) == ("embeddings", ("lengths",))
    assert np.all(result.attributions[0, 2:] == 0)
    assert np.abs(result.attributions[0, :2]).sum() > 0


class Mean(L.Layer):
    """Of so many of the words in front."""

    def call(self, words, lengths):
        there = tf.cast(tf.range(4)[None] < lengths[:, None], tf.float32)[..., None]
        return tf.reduce_sum(words * there, 1) / tf.cast(lengths, tf.float32)[:, None]


@pytest.mark.parametrize("words", [True, False])
def test_lengths_stay_as_they_are(words):
    """At the baseline, too, where the mean of no words is 0 / 0; and by methods that take inputs of any type."""
    keras.utils.set_random_seed(0)
    lengths = keras.Input((), dtype="int32", name="lengths")
    given = keras.Input((4,), dtype="int32", name="x") if words else keras.Input((4, 3), name="x")
    vectors = L.Embedding(9, 3, embeddings_initializer="normal", name="words")(given) if words else given
    model = keras.Model([given, lengths], L.Dense(2, activation="softmax")(20 * Mean()(vectors, lengths)))
    inputs = [np.int32([[3, 4, 0, 0], [5, 6, 7, 8]]) if words else X / 20, LENGTHS]
    for method in ("gradient", "occlusion", "integrated_gradients", "shapley_sampling"):
        found = ta.Attributor(model).attribute(inputs, 1, method=method, seed=0)
        assert (found.left_out, found.attributions.shape) == (("lengths",), (2, 4, 3))
        assert not any("as a number" in note for note in found.notes)
        assert np.all(found.attributions[0, 2:] == 0)
    np.testing.assert_allclose(found.baseline_scores, 0.5, atol=1e-6)
    np.testing.assert_allclose(found.totals, np.asarray(model(inputs))[:, 1] - 0.5, atol=1e-5)


def test_an_ordinal_number_of_a_table_is_no_length():
    """Compared with all its values it is encoded, and as a number it is attributed, too."""
    rating = keras.Input((1,), dtype="int32", name="rating")
    steps = keras.ops.cast(keras.ops.greater(rating, keras.ops.arange(5)[None]), "float32")
    both = L.Concatenate()([steps, keras.ops.cast(rating, "float32")])
    result = ta.Attributor(keras.Model(rating, L.Dense(1)(both))).attribute(np.int32([[2], [4]]), method="gradient")
    assert (result.left_out, len(result.attributions)) == ((), 2)
    assert not any("as a number, past" in note for note in result.notes)


def test_lists_of_categories_are_encodings_all_the_same():
    """What goes round a loop as whole numbers, and comes out as floats, is computed from those alone."""
    ids = keras.Input((3,), dtype="int32", name="ids")

    class Each(L.Layer):
        def call(self, ids):
            return tf.map_fn(lambda row: tf.one_hot(row, 4), ids, fn_output_signature=tf.float32)

    model = keras.Model(ids, L.Dense(1)(L.Flatten()(Each()(ids))))
    result = ta.Attributor(model).attribute(np.int32([[0, 3, 1]]), method="gradient")
    assert (result.place, result.left_out, result.attributions.shape) == ("encoded", (), (1, 3, 4))


def text_model(pooled):
    """Texts of any length, whose words are looked up and pooled by their number."""
    keras.utils.set_random_seed(0)
    words = L.TextVectorization(vocabulary=["good", "bad", "food"], ragged=True)
    table = L.Embedding(words.vocabulary_size(), 3, embeddings_initializer="normal", name="table")
    table.build()
    head, last = L.Dense(2, activation="softmax"), L.GRU(3)

    def model(text):
        ragged = words(text)
        vectors, lengths = table(ragged.to_tensor()), ragged.row_lengths()
        if pooled:
            there = tf.sequence_mask(lengths, dtype=tf.float32)[..., None]
            return head(tf.reduce_sum(vectors * there, 1) / tf.cast(lengths, tf.float32)[:, None])
        return head(last(vectors, mask=tf.sequence_mask(lengths)))

    return model


@pytest.mark.parametrize("pooled", [True, False])
def test_how_many_words_a_text_has_is_no_encoding_of_it(pooled):
    attributor = ta.Attributor(text_model(pooled))
    result = attributor.attribute(np.array(["good food", "bad food"]), 1)
    assert (result.place, result.left_out, result.attributions.shape) == ("embeddings", (), (2, 2, 3))
    assert result.tokens.tolist() == [["good", "food"], ["bad", "food"]]
    np.testing.assert_allclose(result.totals, result.difference, atol=1e-5)
    assert np.abs(result.sum(-1).attributions).min() > 1e-6
    # where rows of the shorter text share a block, its lengths make a mask that is too short for what was filled up
    together, alone = (attributor.attribute(np.array(texts), 1) for texts in (["good food", "bad"], ["bad"]))
    np.testing.assert_allclose(together.attributions[1, :1], alone.attributions[0], atol=1e-7)
    np.testing.assert_array_equal(together.attributions[1, 1:], 0)


@pytest.fixture(scope="module")
def of_texts():
    """A mean over words, of which there may be any number."""
    keras.utils.set_random_seed(1)
    text = keras.Input((), dtype="string")
    ids = L.TextVectorization(vocabulary=["good", "bad", "film"])(text)
    words = L.Embedding(8, 3, mask_zero=True, embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0))(ids)
    hidden = L.Dense(4, activation="tanh", name="hidden")(L.GlobalAveragePooling1D()(words))
    return keras.Model(text, L.Dense(2, activation="softmax")(hidden))


TEXTS = np.array(["bad film", "film good film bad", "bad"])


def test_a_scores_own_rows_beside_texts_of_several_lengths(of_texts):
    classes = np.int32([1, 0, 1])
    own = ta.score(lambda outputs, chosen: tf.gather(outputs, chosen, batch_dims=1), data=classes)
    found = ta.Attributor(of_texts, of=own).attribute(TEXTS, method="gradient")
    wanted = ta.Attributor(of_texts).attribute(TEXTS, classes, method="gradient")
    np.testing.assert_allclose(found.attributions, wanted.attributions, atol=1e-6)


def test_a_layer_behind_texts_of_several_lengths(of_texts):
    """Its path runs at the words, beside a mask that the layer's own scores do not need."""
    found = ta.Attributor(of_texts, at="hidden").attribute(TEXTS, 1, method="conductance")
    np.testing.assert_allclose(found.totals, ta.Attributor(of_texts).attribute(TEXTS, 1).difference, atol=2e-3)


def test_the_doctor_and_exports_of_texts_of_several_lengths(of_texts, tmp_path):
    report = ta.diagnose(ta.Attributor(of_texts), TEXTS)
    assert "padding" not in " ".join(report["baselines_compared"].evidence["rank_correlation"])
    assert_refused(lambda: ta.Attributor(of_texts).export(tmp_path / "served"), "texts of any number of words")
    of_texts.export(tmp_path / "model", verbose=False)
    found = ta.Attributor(tmp_path / "model").attribute(TEXTS, 1)
    np.testing.assert_allclose(found.attributions, ta.Attributor(of_texts).attribute(TEXTS, 1).attributions, atol=1e-6)


def test_words_in_ragged_rows():
    """Of one word each, too, whose rows look like those of a batch."""
    keras.utils.set_random_seed(0)
    words = L.TextVectorization(vocabulary=["good", "bad", "food"], ragged=True)
    table, head = L.Embedding(words.vocabulary_size(), 3, embeddings_initializer="normal", name="table"), L.Dense(2)
    table.build()
    attributor = ta.Attributor(lambda text: head(tf.reduce_mean(tf.ragged.map_flat_values(table, words(text)), 1)))
    for texts in (["good", "bad"], ["good food bad"], ["good food", "bad food"]):
        result = attributor.attribute(np.array(texts), 1)
        assert result.tokens.tolist() == [text.split() for text in texts]
        weights = head.kernel.numpy()[:, 1]
        vectors = table.embeddings.numpy()[
            [[["good", "bad", "food"].index(word) + 2 for word in text.split()] for text in texts]
        ]
        np.testing.assert_allclose(result.attributions, vectors * weights / len(texts[0].split()), atol=1e-6)
    together, alone = (attributor.attribute(np.array(texts), 1).attributions for texts in (["bad", "good food"], ["bad"]))
    np.testing.assert_allclose(together[0, :1], alone[0], atol=1e-7)
    np.testing.assert_array_equal(together[0, 1:], 0)


@pytest.mark.parametrize(
    ("layer", "method"), [("pool", "integrated_gradients"), ("pool", "occlusion"), ("recurrent", "gradient")]
)
def test_masks_of_texts_of_several_lengths_fit_in_any_block(layer, method):
    """Such as that of a text of one word, which stretched over all that it was filled up with."""
    keras.utils.set_random_seed(1)
    text = keras.Input((), dtype="string")
    ids = L.TextVectorization(vocabulary=["good", "bad", "film"])(text)
    words = L.Embedding(8, 3, mask_zero=True, embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0))(ids)
    pooled = L.GlobalAveragePooling1D()(words) if layer == "pool" else L.SimpleRNN(2)(words)
    model = keras.Model(text, L.Dense(1)(L.Dense(4, activation="tanh")(pooled)))
    texts = np.array(["bad film", "film good film bad", "bad"], object)
    attributor = ta.Attributor(model)
    together = attributor.attribute(texts, method=method)
    assert not together.batch_dependence
    np.testing.assert_allclose(together.scores, np.asarray(model(tf.constant(texts)))[:, 0], rtol=1e-5)
    for i, count in enumerate((2, 4, 1)):
        alone = attributor.attribute(texts[[i]], method=method)
        assert alone.attributions.shape[1] == count
        assert np.all(together.attributions[i, count:] == 0)
        np.testing.assert_allclose(together.attributions[i, :count], alone.attributions[0], atol=1e-5)


def test_a_baseline_of_more_words_is_refused():
    """Four words for two were the baselines of two examples, two words for each."""
    text = keras.Input((), dtype="string")
    ids = L.TextVectorization(vocabulary=["good", "bad", "film", "dull"])(text)
    model = keras.Model(text, L.Dense(1)(L.GlobalMaxPooling1D()(L.Embedding(8, 3, embeddings_initializer="normal")(ids))))
    attributor, texts = ta.Attributor(model), np.array(["good film", "bad film"])
    longer = ta.at_input("good bad film dull")
    assert_refused(lambda: attributor.attribute(texts, baselines=longer), "longer than the examples: (4, 3) and (2, 3)")
    result = attributor.attribute(texts, baselines=ta.at_input("dull dull"))
    np.testing.assert_allclose(result.baseline_scores, np.asarray(model(tf.constant(["dull dull"])))[[0, 0], 0], rtol=1e-5)
    assert_refused(lambda: attributor.attribute(texts, baselines=ta.constant("bad")), "is text", "ta.at_input(text)")
    assert_refused(lambda: attributor.attribute(texts, baselines=ta.token(0)), "integer inputs", "ta.at_input(text)")


def cloud(kind, name="mask"):
    """Points of which some are there, whose features are averaged, or of which the largest count."""
    keras.utils.set_random_seed(0)
    points, there = keras.Input((4, 3), name="points"), keras.Input((4,), dtype="bool", name=name)
    features = L.Dense(5, activation="tanh", use_bias=True, bias_initializer="normal")(points)
    if kind == "mean":
        weights = keras.ops.cast(there, "float32")[..., None]
        pooled = keras.ops.sum(features * weights, 1) / keras.ops.sum(weights, 1)
    else:
        pooled = keras.ops.max(keras.ops.where(there[..., None], features, -1e9), 1)
    return keras.Model({"points": points, name: there}, L.Dense(2, activation="softmax")(3 * pooled))


@pytest.mark.parametrize("kind", ["mean", "max"])
def test_a_mask_of_points_stays_as_it_is(kind):
    """Of none of the points the mean is 0 / 0, and the largest -1e9: no baseline of a cloud."""
    model, inputs = cloud(kind), {"points": X, "mask": THERE}
    result, occluded, shapley = (
        ta.Attributor(model).attribute(inputs, 1, method=method, seed=0)
        for method in ("integrated_gradients", "occlusion", "shapley_sampling")
    )
    at_zeros = np.asarray(model({"points": 0 * X, "mask": THERE}))[:, 1]
    whole = np.asarray(model(inputs))[:, 1]
    for found in (result, occluded, shapley):
        assert (found.place, found.left_out, found.attributions.shape) == ("inputs", ("mask",), X.shape)
        np.testing.assert_allclose(found.baseline_scores, at_zeros, atol=1e-6)
        assert np.all(found.attributions[0, 2:] == 0)
    np.testing.assert_allclose(shapley.totals, whole - at_zeros, atol=1e-5)
    without = [np.asarray(model({"points": X * (np.arange(4) != i)[:, None], "mask": THERE}))[:, 1] for i in range(4)]
    np.testing.assert_allclose(occluded.attributions[..., 0], whole[:, None] - np.stack(without, 1), atol=1e-6)
    if kind == "max":
        given = ta.Attributor(model, at="inputs").attribute(inputs, 1, method="occlusion")
        assert set(given.attributions) == {"points", "mask"}


def test_a_flag_of_a_table_is_no_mask():
    """By methods that take inputs of any type a flag beside columns has its part, and by gradients one that is multiplied."""
    columns, flag = keras.Input((3,), name="columns"), keras.Input((3,), dtype="bool", name="flags")
    model = keras.Model({"columns": columns, "flags": flag}, L.Dense(1)(keras.ops.where(flag, columns, 0.5 * columns)))
    inputs = {"columns": X[:, 0], "flags": np.array([[True, False, True]] * 2)}
    assert set(ta.Attributor(model).attribute(inputs, method="occlusion").attributions) == {"columns", "flags"}
