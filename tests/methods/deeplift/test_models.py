"""Completeness of DeepLIFT to 1e-5 of max(|difference of scores|, L1 norm), in float32, on nets of many kinds."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ...conftest import spread
from ...helpers.shared import attributor_for

RNG = np.random.default_rng(6)
IMAGES = RNG.uniform(size=(3, 10, 10, 2)).astype("float32")
SERIES = RNG.normal(size=(3, 7, 4)).astype("float32")
IDS = RNG.integers(1, 30, (3, 8)).astype("int32")
IDS[1, 5:] = 0


def assert_complete(result):
    size = np.maximum(np.abs(result.difference), result.magnitudes)
    assert np.abs(result.difference).min() > 0
    assert np.all(np.abs(result.gap) <= 1e-5 * size), result.gap / size
    assert (result.status == "").all()


def residual():
    inputs = keras.Input((10, 10, 2))
    x = layers.BatchNormalization()(layers.Conv2D(6, 3, padding="same", use_bias=False)(inputs))
    x = layers.ReLU(6.0)(x)
    y = layers.DepthwiseConv2D(3, padding="same")(x)
    y = layers.Activation("silu")(layers.BatchNormalization(axis=-1, scale=False)(y))
    x = layers.MaxPooling2D(3, 2, padding="same")(layers.Add()([x, y]))
    gate = layers.Dense(6, "sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Multiply()([x, gate])
    x = layers.Concatenate()([layers.AveragePooling2D(2)(x), layers.MaxPooling2D(2)(x)])
    return keras.Model(inputs, layers.Dense(4, "softmax")(layers.Flatten()(x)))


shared_residual = functools.cache(residual)


def upscaled():
    inputs = keras.Input((10, 10, 2))
    x = layers.Conv2D(4, 3, dilation_rate=2, activation="elu")(inputs)
    x = layers.Conv2DTranspose(3, 3, strides=2, activation="selu")(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(layers.SeparableConv2D(5, 3, activation="softplus")(x))
    x = layers.GroupNormalization(5)(layers.ZeroPadding2D(1)(x))
    return keras.Model(inputs, layers.Dense(3, "softmax")(layers.GlobalMaxPooling2D()(layers.PReLU()(x))))


def transformer(inputs):
    x = layers.LayerNormalization()(layers.Add()([inputs, layers.MultiHeadAttention(2, 4)(inputs, inputs)]))
    y = layers.Dense(4)(layers.Dense(9, "gelu")(x))
    x = layers.LayerNormalization()(layers.Add()([x, y]))
    return keras.Model(inputs, layers.Dense(3, "softmax")(layers.GlobalAveragePooling1D()(x)))


def recurrent(layer, length=8):
    ids = keras.Input((length,), dtype="int32")
    x = layers.Embedding(30, 5, mask_zero=True, embeddings_initializer=spread())(ids)
    return keras.Model(ids, layers.Dense(3, "softmax", kernel_initializer=spread())(layer(x)))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.second = layers.Dense(6, "hard_sigmoid"), layers.Dense(2)

    def call(self, x, training=False):
        return self.second(tf.reduce_max(self.first(x), 1) / (1 + tf.reduce_sum(x**2, [1, 2])[:, None]))


NETS = {
    "residual": (shared_residual, IMAGES),
    "upscaled": (upscaled, IMAGES),
    "transformer": (lambda: transformer(keras.Input((7, 4))), SERIES),
    "lstm over a series": (lambda: keras.Sequential([keras.Input((7, 4)), layers.LSTM(5), layers.Dense(2, "softmax")]), SERIES),
    "gru": (lambda: recurrent(layers.GRU(5)), IDS),
    "simple": (lambda: recurrent(layers.SimpleRNN(5)), IDS),
    "bidirectional": (
        lambda: recurrent(layers.Bidirectional(layers.GRU(4), backward_layer=layers.SimpleRNN(4, go_backwards=True))),
        IDS,
    ),
    "unrolled": (lambda: recurrent(layers.LSTM(4, unroll=True), 4), IDS[:, 2:6]),
}


# Loops of two kinds are in the bidirectional net; and without a loop steps are operations as any others.
IN_COMPANY = ("gru", "simple", "unrolled")


@pytest.mark.parametrize("name", [pytest.param(one, marks=pytest.mark.slow) if one in IN_COMPANY else one for one in NETS])
def test_completeness(name):
    keras.utils.set_random_seed(9)
    make, inputs = NETS[name]
    attributor = ta.Attributor(make())
    assert ta.coverage(attributor).uncovered == ()
    result = attributor.attribute(inputs, method="deeplift")
    assert_complete(result)
    alone = np.concatenate(
        [attributor.attribute(inputs[i : i + 1], result.target[i], method="deeplift").attributions for i in range(3)]
    )
    np.testing.assert_allclose(result.attributions, alone, atol=2e-5 * np.abs(alone).max())


def test_a_subclassed_model_of_several_operations():
    keras.utils.set_random_seed(9)
    model = Subclassed()
    model(SERIES)
    assert_complete(ta.Attributor(model).attribute(SERIES, 1, method="deeplift"))


@pytest.mark.parametrize("rule", ["rescale", "reveal_cancel"])
def test_at_a_layer_and_of_logits(rule):
    model = shared_residual()
    result = attributor_for(model, at=model.layers[1], of="logits").attribute(IMAGES, 2, method=ta.DeepLift(rule))
    assert result.attributions.shape == (3, 10, 10, 6)
    assert_complete(result)


def test_a_branch_that_does_not_depend_on_the_input():
    flag = tf.Variable(True)

    def model(x):
        factor = tf.cond(flag, lambda: tf.tanh(x) * x, lambda: x)
        return tf.reduce_sum(factor, [1, 2])

    attributor = ta.Attributor(model)
    first = attributor.attribute(SERIES, method="deeplift")
    assert_complete(first)
    flag.assign(False)  # variables stay live
    second = attributor.attribute(SERIES, method="deeplift")
    np.testing.assert_allclose(second.attributions, SERIES, rtol=1e-5)


def test_two_inputs_and_one_that_is_not_selected():
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    both = layers.Dot(1)([layers.Dense(4, "tanh")(left), layers.Dense(4, "relu")(right)])
    model = keras.Model([left, right], both)
    x = {"left": SERIES[:, 0], "right": SERIES[:, 1]}
    result = ta.Attributor(model).attribute(x, method="deeplift")
    for key in ("left", "right"):
        assert np.array_equal(result.positive[key], np.where(x[key] > 0, result.attributions[key], 0))
    assert_complete(result)
    assert_complete(ta.Attributor(model, at=ta.inputs("right")).attribute(x, method="deeplift"))


def test_exports_are_as_the_model(tmp_path):
    """A convolution beside a loop over tokens with a mask."""
    keras.utils.set_random_seed(2)
    image, ids = keras.Input((8, 8, 1), name="image"), keras.Input((8,), dtype="int32", name="ids")
    vectors = layers.Embedding(30, 6, mask_zero=True, embeddings_initializer=spread())(ids)
    seen = layers.Flatten()(layers.Conv2D(6, 3, activation="relu")(image))
    both = layers.Concatenate()([layers.SimpleRNN(5)(vectors), seen])
    model = keras.Model([image, ids], layers.Dense(4, "softmax", kernel_initializer=spread())(both))
    model.export(tmp_path, verbose=False)
    x = {"image": IMAGES[:, :8, :8, :1], "ids": IDS}
    first = ta.Attributor(model).attribute(x, method="deeplift")
    second = ta.Attributor(tmp_path).attribute(x, method="deeplift")
    assert_complete(second)
    for one, other in zip(*(sorted(found.attributions.values(), key=np.ndim) for found in (first, second)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6 * np.abs(one).max())


@pytest.mark.parametrize("cell", ["SimpleRNN", pytest.param("GRU", marks=pytest.mark.slow)])
def test_a_model_of_tf_keras(cell):
    tf_keras = pytest.importorskip("tf_keras")
    tf_keras.utils.set_random_seed(2)
    old = tf_keras.layers
    state = [old.Input((8,), dtype="int32"), old.Embedding(30, 5, mask_zero=True), getattr(old, cell)(4)]
    assert_complete(ta.Attributor(tf_keras.Sequential([*state, old.Dense(3, "softmax")])).attribute(IDS, method="deeplift"))


def test_after_other_gradients_were_taken_in_the_same_graph():
    """Gradients through a loop leave accumulators in it; the paired loop has none of them."""
    kernel = tf.constant(RNG.normal(size=(4, 4)).astype("float32"))

    def looped(x):
        step = lambda i, state: (i + 1, tf.tanh(state @ kernel + x[:, i]))  # noqa: E731
        return tf.while_loop(lambda i, _: i < 7, step, (0, tf.zeros_like(x[:, 0])))[1]

    attributor = ta.Attributor(looped)
    wanted = ta.Attributor(looped).attribute(SERIES, 1, method="deeplift").attributions
    attributor.attribute(SERIES, 1, method="gradient")
    np.testing.assert_allclose(attributor.attribute(SERIES, 1, method="deeplift").attributions, wanted, atol=1e-7)


def test_a_branch_beside_the_path():
    """Its body was not known when it ran: only those that have gradients were made anew."""
    weights = np.float32([2, -1, 3])

    def model(x):
        ids = x["ids"]
        mask = tf.cond(tf.reduce_any(ids > 5), lambda: tf.cast(ids > 5, tf.float32), lambda: tf.cast(ids > 0, tf.float32))
        return tf.tanh(tf.reduce_sum(x["x"] * mask * weights, 1))

    x = {"x": np.float32([[1, 2, 3], [0.5, 0.1, -1]]), "ids": np.array([[1, 0, 2], [0, 1, 1]])}
    inside = x["x"] * (x["ids"] > 0) * weights
    result = ta.Attributor(model, at=ta.inputs("x")).attribute(x, method="deeplift", verbose=False)
    total = inside.sum(1, keepdims=True)
    np.testing.assert_allclose(result.attributions, inside * np.tanh(total) / total, rtol=1e-5)


def test_indicators_of_missing_numbers_are_the_same_at_finite_ones():
    """A table's `where(isnan(x), 0, x)` beside `isnan(x)`: what is attributed is finite, and so is its reference."""
    entry = keras.Input((3,))
    missing = keras.ops.isnan(entry)
    joined = layers.Concatenate()([keras.ops.where(missing, 0.0, entry), keras.ops.cast(missing, "float32")])
    weights = np.float32([2, -1, 3, 5, 7, 11])
    model = keras.Model(entry, keras.ops.tanh(keras.ops.sum(joined * weights, 1, keepdims=True)))
    x = np.float32([[0.1, 0.2, 0.3], [0.5, 0.1, -0.4]])
    result = ta.Attributor(model).attribute(x, method="deeplift", verbose=False)
    parts = x * weights[:3]
    total = parts.sum(1, keepdims=True)
    np.testing.assert_allclose(result.attributions, parts * np.tanh(total) / total, rtol=1e-5)


def test_a_loop_behind_a_stopped_gradient():
    """Nobody takes the gradient of that loop, so that TensorFlow did not know its bodies: "Op type not registered"."""
    kernel = tf.constant(RNG.normal(size=(4, 4)).astype("float32"))
    mean = lambda row: tf.reduce_mean(row, 0)  # noqa: E731

    def stopped(x):
        apart = tf.stop_gradient(tf.map_fn(mean, x))
        return tf.reduce_sum(tf.nn.relu(tf.map_fn(mean, x) @ kernel) * apart, -1)

    x = tf.constant(SERIES)
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = stopped(x)
    apart, active = tf.reduce_mean(x, 1), tf.cast(tf.reduce_mean(x, 1) @ kernel > 0, tf.float32)
    guided = tf.tile((active * tf.nn.relu(apart) @ tf.transpose(kernel) / SERIES.shape[1])[:, None], [1, SERIES.shape[1], 1])
    attributor = ta.Attributor(stopped)
    found = attributor.attribute(SERIES, method="gradient")
    np.testing.assert_allclose(found.attributions, tape.gradient(score, x), atol=1e-6)
    found = attributor.attribute(SERIES, method="guided_backprop")
    np.testing.assert_allclose(found.scores, score, rtol=1e-5)
    np.testing.assert_allclose(found.attributions, guided, atol=1e-6)
    assert np.abs(found.attributions).max() > 0.01
