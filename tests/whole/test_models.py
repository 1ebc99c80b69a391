"""The kinds of model that people have: each is explained, and its attributions are checked against the model itself."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import tf_attrib as ta

from ..conftest import make_cnn, make_recurrent_text, reference_ig, spread

RNG = np.random.default_rng(11)
FINE = ta.IntegratedGradients(n_steps=100)


def complete(result, tolerance=1e-3):
    """The sum of all that is returned is the difference of the scores, which is not nothing."""
    difference = result.scores - result.baseline_scores.reshape(len(result), -1).mean(1)
    assert np.abs(difference).max() > 1e-4
    np.testing.assert_allclose(result.totals, difference, atol=tolerance * np.abs(difference).max())
    return result


def two_inputs():
    image, table = keras.Input((8, 8, 1), name="image"), keras.Input((3,), name="table")
    hidden = layers.Concatenate()([layers.Flatten()(layers.Conv2D(3, 3, activation="relu")(image)), table])
    return keras.Model([image, table], layers.Dense(4, activation="softmax", name="head")(hidden))


IMAGES = RNG.uniform(size=(3, 8, 8, 1)).astype("float32")
TABLE = RNG.normal(size=(3, 3)).astype("float32")


def test_several_inputs_as_list_or_dict():
    model = two_inputs()
    as_list = complete(ta.Attributor(model).attribute([IMAGES, TABLE], method=FINE))
    as_dict = ta.Attributor(model).attribute({"table": TABLE, "image": IMAGES}, method=FINE)
    assert isinstance(as_list.attributions, list)
    assert [leaf.shape for leaf in as_list.attributions] == [(3, 8, 8, 1), (3, 3)]
    assert set(as_dict.attributions) == {"image", "table"}
    np.testing.assert_allclose(as_dict.attributions["image"], as_list.attributions[0], atol=1e-7)
    np.testing.assert_allclose(as_dict.attributions["table"], as_list.attributions[1], atol=1e-7)


def test_one_of_several_inputs_by_name():
    result = complete(ta.Attributor(two_inputs(), at=ta.inputs("table")).attribute([IMAGES, TABLE], method=FINE))
    assert result.attributions.shape == (3, 3)


def test_a_baseline_for_each_of_several_inputs():
    model = two_inputs()
    attributor = ta.Attributor(model)
    result = complete(attributor.attribute({"image": IMAGES, "table": TABLE}, 1, {"table": TABLE[0]}, FINE))
    expected = model([0 * IMAGES, np.tile(TABLE[:1], (3, 1))]).numpy()[:, 1]
    np.testing.assert_allclose(result.baseline_scores, expected, rtol=1e-5)
    listed = attributor.attribute([IMAGES, TABLE], 1, [ta.zeros(), TABLE[0]], FINE)
    np.testing.assert_allclose(listed.attributions[1], result.attributions["table"], atol=1e-7)


def test_a_model_of_dict_inputs():
    inputs = {"a": keras.Input((2,), name="a"), "b": keras.Input((3,), name="b")}
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.Concatenate()(list(inputs.values()))))
    result = complete(ta.Attributor(model).attribute({"b": TABLE, "a": TABLE[:, :2]}, method=FINE))
    assert {key: value.shape for key, value in result.attributions.items()} == {"a": (3, 2), "b": (3, 3)}


def test_a_subclassed_model():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = keras.Sequential([layers.Dense(6, activation="tanh", name="hidden"), layers.Dense(5)], name="inner")
            self.head = layers.Dense(3, activation="softmax")

        def call(self, x, training=False):
            return self.head(self.inner(x)) if not training else self.head(0 * self.inner(x))

    model = Net()
    with pytest.raises(ta.AttributionError, match="never built"):
        ta.Attributor(model)
    model(TABLE)
    result = complete(ta.Attributor(model).attribute(TABLE, method=FINE))
    np.testing.assert_allclose(result.scores, model(TABLE).numpy().max(1), rtol=1e-5)
    inner = complete(ta.Attributor(model, at="hidden").attribute(TABLE, method=FINE))
    assert inner.attributions.shape == (3, 6)
    path = ta.Attributor(model, at="inner/hidden").attribute(TABLE, method=FINE)
    np.testing.assert_array_equal(path.attributions, inner.attributions)


def test_a_nested_model_and_a_layer_object():
    backbone = make_cnn()
    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(backbone(inputs)))
    by_name = complete(ta.Attributor(model, at="conv").attribute(IMAGES, method=FINE))
    by_object = ta.Attributor(model, at=ta.layer(backbone.get_layer("conv"))).attribute(IMAGES, method=FINE)
    assert by_name.attributions.shape == (3, 6, 6, 6)
    np.testing.assert_array_equal(by_name.attributions, by_object.attributions)


def test_layers_of_one_name_are_told_apart_by_their_path():
    def part(name):
        return keras.Sequential([keras.Input((3,)), layers.Dense(3, activation="tanh", name="dense")], name=name)

    model = keras.Sequential([keras.Input((3,)), part("first"), part("second"), layers.Dense(2, activation="softmax")])
    with pytest.raises(ta.AttributionError, match=r"first/dense.*second/dense|second/dense.*first/dense"):
        ta.Attributor(model, at="dense").attribute(TABLE)
    complete(ta.Attributor(model, at="second/dense").attribute(TABLE, method=FINE))


def test_a_shared_layer_has_an_output_for_each_call():
    left, right = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    shared = layers.Dense(4, activation="tanh", name="shared")
    model = keras.Model([left, right], layers.Dense(1)(layers.Concatenate()([shared(left), shared(right)])))
    result = complete(ta.Attributor(model, at="shared").attribute([TABLE, TABLE[::-1]], method=FINE))
    assert {key: value.shape for key, value in result.attributions.items()} == {"shared:0": (3, 4), "shared:1": (3, 4)}
    second = ta.Attributor(model, at="shared:1").attribute([TABLE, TABLE[::-1]], method=FINE)
    assert second.attributions.shape == (3, 4)


def test_several_outputs_need_to_be_named():
    inputs = keras.Input((3,))
    kind, size = layers.Dense(2, activation="softmax", name="kind"), layers.Dense(1, name="size")
    model = keras.Model(inputs, [kind(inputs), size(inputs)])
    with pytest.raises(ta.AttributionError, match=r"'kind' \(None, 2\), 'size' \(None, 1\)"):
        ta.Attributor(model)
    kind = complete(ta.Attributor(model, of="kind").attribute(TABLE))
    size = complete(ta.Attributor(model, of=ta.output("size")).attribute(TABLE))
    assert (kind.unit, size.unit) == ("probability", "raw")
    np.testing.assert_allclose(size.scores, model(TABLE)[1].numpy()[:, 0], rtol=1e-5)
    with pytest.raises(ta.AttributionError, match="'kind'"):
        ta.Attributor(model, of="kinds")


def test_tf_keras():
    tf_keras = pytest.importorskip("tf_keras")
    model = tf_keras.Sequential(
        [
            tf_keras.layers.Input((10,), dtype="int32", name="tokens"),
            tf_keras.layers.Embedding(30, 6, mask_zero=True, name="words"),
            tf_keras.layers.SimpleRNN(5, name="rnn"),
            tf_keras.layers.Dense(3, activation="softmax"),
        ]
    )
    tokens = RNG.integers(1, 30, (4, 10)).astype("int32")
    tokens[0, 5:] = 0
    result = complete(ta.Attributor(model).attribute(tokens, method=FINE))
    assert result.attributions.shape == (4, 10, 6)
    assert np.all(result.attributions[0, 5:] == 0)
    assert np.abs(result.attributions[0, :5]).max() > 0
    np.testing.assert_allclose(result.scores, model.predict(tokens, verbose=0).max(1), rtol=1e-5)
    assert complete(ta.Attributor(model, at="rnn").attribute(tokens, method=FINE)).attributions.shape == (4, 5)


def test_a_subclassed_tf_keras_model_without_a_training_argument():
    tf_keras = pytest.importorskip("tf_keras")

    class Net(tf_keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = tf_keras.layers.Dense(4, activation="relu", name="hidden")
            self.out = tf_keras.layers.Dense(1, activation="sigmoid")

        def call(self, x):
            x = self.hidden(x)
            if tf.reduce_sum(x) > -1.0:  # AutoGraph's work
                x = x + 1.0
            return self.out(x)

    model = Net()
    model(TABLE)
    complete(ta.Attributor(model).attribute(TABLE, method=FINE))
    assert complete(ta.Attributor(model, at="hidden").attribute(TABLE, method=FINE)).attributions.shape == (3, 4)


def test_masked_lstm_tokens(text, ids):
    """A well-known library returns zeros here. Padding gets nothing, and all the others their part of the score."""
    result = complete(ta.Attributor(text).attribute(ids, method=FINE))
    assert result.attributions.shape == (4, 10, 6)
    assert np.all(np.abs(result.attributions).sum(2)[ids > 0] > 0)
    assert np.all(result.attributions[ids == 0] == 0)
    assert any("token ids" in note for note in result.notes)
    assert "words" in result.at


def test_token_attributions_against_a_plain_loop(ids):
    text = make_recurrent_text()
    embedding = text.get_layer("words")
    mask = tf.constant(ids[1:2] != 0)

    def score(vectors):
        return text.get_layer("head")(text.get_layer("rnn")(vectors, mask=mask))[:, 0]

    result = ta.Attributor(text).attribute(ids[1:2], target=1, method=ta.IntegratedGradients(rule="midpoint", n_steps=300))
    x = embedding(ids[1:2]).numpy()
    np.testing.assert_allclose(result.attributions, reference_ig(score, x, 0 * x, 300), atol=1e-5)


def test_float_inputs_that_serve_as_ids():
    inputs = keras.Input((10,))
    hidden = layers.GlobalAveragePooling1D()(layers.Embedding(30, 4, name="words", embeddings_initializer=spread())(inputs))
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(hidden))
    result = complete(ta.Attributor(model).attribute(RNG.integers(0, 30, (3, 10)).astype("float32"), method=FINE))
    assert result.attributions.shape == (3, 10, 4)


def test_token_and_table_inputs_together():
    tokens, table = keras.Input((10,), dtype="int32", name="tokens"), keras.Input((3,), name="table")
    words = layers.GlobalAveragePooling1D()(layers.Embedding(30, 4, name="words", embeddings_initializer=spread())(tokens))
    model = keras.Model([tokens, table], layers.Dense(2, activation="softmax")(layers.Concatenate()([words, table])))
    result = complete(ta.Attributor(model).attribute([RNG.integers(0, 30, (3, 10)), TABLE], method=FINE))
    assert {key: value.shape for key, value in result.attributions.items()} == {"words": (3, 10, 4), "table": (3, 3)}


def transformer(length=10):
    tokens = keras.Input((length,), dtype="int32", name="tokens")
    positions = layers.Embedding(length, 8, name="positions", embeddings_initializer=spread())(ops.arange(length))
    x = layers.Embedding(30, 8, name="words", embeddings_initializer=spread())(tokens) + positions
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x))
    return keras.Model(tokens, layers.Dense(3, activation="softmax")(layers.Flatten()(layers.Dense(4)(x))))


def test_a_transformer_with_position_embeddings(ids):
    model = transformer()
    words = complete(ta.Attributor(model).attribute(ids, method=FINE), 0.02)
    assert words.attributions.shape == (4, 10, 8)


def test_a_tensor_without_a_batch_axis_gains_one(ids):
    class Positions(layers.Layer):
        def build(self, shape):
            self.table = layers.Embedding(shape[1], 8, name="positions", embeddings_initializer=spread())

        def call(self, x):
            return x + self.table(ops.arange(ops.shape(x)[1]))

    tokens = keras.Input((10,), dtype="int32")
    x = Positions(name="add")(layers.Embedding(30, 8, name="words", embeddings_initializer=spread())(tokens))
    model = keras.Model(tokens, layers.Dense(3, activation="softmax")(layers.Flatten()(layers.Dense(4, activation="tanh")(x))))
    both = complete(ta.Attributor(model, at=ta.embeddings(positions=True)).attribute(ids[:2], 1, method=FINE))
    assert {key: value.shape for key, value in both.attributions.items()} == {"words": (2, 10, 8), "positions": (2, 10, 8)}
    alone = complete(ta.Attributor(model, at=ta.embeddings("positions")).attribute(ids[:2], 1, method=FINE))
    assert alone.attributions.shape == (2, 10, 8)
    assert not np.allclose(alone.attributions[0], alone.attributions[1])


def test_a_callable_and_one_that_must_know_its_batch():
    weights = tf.Variable(RNG.normal(size=(6, 2)).astype("float32"))
    x = RNG.normal(size=(21, 2, 3)).astype("float32")

    def plain(x):
        return tf.nn.softmax(tf.reshape(x, (-1, 6)) @ weights)

    def fixed(x):
        assert x.shape[0] is not None
        return tf.nn.softmax(tf.reshape(x, (x.shape[0], 6)) @ weights)

    results = [complete(ta.Attributor(f).attribute(x, method=FINE)) for f in (plain, fixed)]
    np.testing.assert_allclose(results[0].attributions, results[1].attributions, atol=1e-6)
    before = results[0].scores
    attributor = ta.Attributor(plain)
    attributor.attribute(x, target=0)
    weights.assign(weights * 2)  # variables are live
    assert not np.allclose(attributor.attribute(x).scores, before)


def test_a_callable_of_a_dict():
    result = complete(
        ta.Attributor(lambda x: tf.reduce_sum(x["a"] * x["b"], 1)).attribute({"a": TABLE, "b": TABLE**2}, method=FINE)
    )
    assert set(result.attributions) == {"a", "b"}


def test_a_fixed_batch_size():
    inputs = keras.Input(batch_shape=(4, 3))
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(inputs))
    x = RNG.normal(size=(6, 3)).astype("float32")
    result = complete(ta.Attributor(model).attribute(x, method=FINE))
    kernel, bias = model.layers[-1].get_weights()
    free = complete(ta.Attributor(lambda x: tf.nn.softmax(x @ kernel + bias)).attribute(x, method=FINE))
    np.testing.assert_allclose(result.attributions, free.attributions, atol=1e-6)


def test_mixed_float16():
    policy = keras.mixed_precision.DTypePolicy("mixed_float16")
    tokens = keras.Input((10,), dtype="int32")
    x = layers.Embedding(30, 6, dtype=policy, name="words", embeddings_initializer=spread())(tokens)
    x = layers.Dense(4, activation="tanh", dtype=policy)(layers.Flatten(dtype=policy)(x))
    model = keras.Model(tokens, layers.Dense(2, activation="softmax", dtype="float32")(x))
    result = complete(ta.Attributor(model).attribute(RNG.integers(0, 30, (3, 10)), method=FINE), tolerance=0.02)
    assert result.attributions.dtype == np.float32


def test_float64():
    x = RNG.normal(size=(3, 4))
    result = ta.Attributor(lambda x: tf.reduce_sum(tf.tanh(x), 1)).attribute(x, method=FINE)
    assert result.attributions.dtype == np.float64
    np.testing.assert_allclose(result.attributions, np.tanh(x), rtol=1e-12)


def test_a_straight_through_gradient_is_respected():
    @tf.custom_gradient
    def hard(x):
        return tf.round(x), lambda upstream: upstream * 3.0

    class Straight(layers.Layer):
        def call(self, x):
            return hard(x)

    model = keras.Sequential([keras.Input((3,)), Straight(), layers.Dense(1, use_bias=False)])
    kernel = model.layers[-1].get_weights()[0][:, 0]
    for explained in (model, lambda x: tf.linalg.matvec(hard(x), kernel)):
        result = ta.Attributor(explained).attribute(TABLE, method="gradient")
        np.testing.assert_allclose(result.attributions, np.tile(3 * kernel, (3, 1)), rtol=1e-5)


def test_preprocess_keeps_raw_pixels():
    model = make_cnn()
    pixels = RNG.integers(0, 256, (2, 8, 8, 1)).astype("uint8")
    result = complete(ta.Attributor(model, preprocess=lambda x: x / 127.5 - 1).attribute(pixels, method=FINE), 0.02)
    np.testing.assert_allclose(result.scores, model(pixels / 127.5 - 1).numpy().max(1), rtol=1e-5)
    np.testing.assert_allclose(result.baseline_scores, model(np.full((1, 8, 8, 1), -1.0)).numpy()[0, result.target], rtol=1e-5)
    assert "black" in result.baseline
    inside = ta.Attributor(model).attribute((pixels / 127.5 - 1).astype("float32"), result.target, method=FINE)
    assert "gray" in inside.baseline


def test_text_in_words():
    vectorise = layers.TextVectorization(output_sequence_length=5, vocabulary=["good", "bad", "film", "a"])
    text = keras.Input((), dtype="string", name="text")
    x = layers.Flatten()(layers.Embedding(6, 4, name="words", embeddings_initializer=spread())(vectorise(text)))
    model = keras.Model(text, layers.Dense(1, activation="sigmoid")(x))
    result = complete(ta.Attributor(model).attribute(np.array(["A good film", "bad bad thing"]), method=FINE))
    assert result.attributions.shape == (2, 5, 4)
    assert result.tokens.tolist() == [["a", "good", "film", "", ""], ["bad", "bad", "[UNK]", "", ""]]


def test_a_quantised_model():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(6, activation="tanh", name="hidden"), layers.Dense(1)])
    model.quantize("int8")
    result = ta.Attributor(model, at="hidden").attribute(RNG.normal(size=(2, 4)).astype("float32"), method="gradient")
    assert result.attributions.shape == (2, 6)
    assert np.abs(result.attributions).max() > 0


def test_nothing_is_retraced():
    model = make_recurrent_text()
    attributor = ta.Attributor(model)
    tokens = RNG.integers(1, 30, (9, 10))
    attributor.attribute(tokens[:2])
    (session,) = attributor._sessions.values()
    traced = [*session._programs.values(), session._forward]
    calls = {"count": 0}
    head = model.get_layer("head")
    original = head.call
    object.__setattr__(head, "call", lambda *a, **k: calls.update(count=calls["count"] + 1) or original(*a, **k))
    attributor.attribute(tokens, target=0)
    attributor.attribute(tokens[:1], target=1)
    attributor.attribute(tokens[:5], baselines=ta.token(1))
    assert calls["count"] == 0
    assert list(attributor._sessions.values()) == [session]
    assert traced == [*session._programs.values(), session._forward]
