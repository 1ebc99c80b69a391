"""Floats that inputs without a gradient become: encodings, and those that only say where something is."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import tf_attrib as ta

RNG = np.random.default_rng(3)
WAVES = RNG.normal(size=(2, 12, 1)).astype("float32")
THERE = np.arange(12) < np.array([[12], [6]])


class OverThose(layers.Layer):
    """Attention over as many steps as a mask counts: behind a convolution the length is computed in floats, and rounded."""

    def call(self, steps, there):
        counted = tf.cast(tf.reduce_sum(tf.cast(there, tf.int32), 1), tf.float32)
        length = tf.cast(tf.floor((counted - 3) / 3) + 1, tf.int32)
        scores = tf.where(tf.range(4)[None] < length[:, None], tf.reduce_sum(steps, -1), -1e9)
        return tf.einsum("bl,blc->bc", tf.nn.softmax(scores), steps)


def test_a_length_that_masks_are_counted_to_is_no_encoding():
    """The path led from the input's length to none, and the score jumped on it: a gap of 139%, and DeepLIFT was refused."""
    keras.utils.set_random_seed(0)
    wave, there = keras.Input((12, 1), name="wave"), keras.Input((12,), dtype="bool", name="there")
    steps = layers.Conv1D(5, 3, strides=3, activation="tanh")(wave)
    model = keras.Model([wave, there], layers.Dense(2, "softmax")(OverThose()(steps, there)))
    attributor, inputs = ta.Attributor(model), {"wave": WAVES, "there": THERE}
    silent = model([np.zeros_like(WAVES), THERE]).numpy()[:, 1]
    for method in (ta.IntegratedGradients(0.01), "deeplift"):
        found = attributor.attribute(inputs, 1, method=method)
        assert found.left_out == ("there",)
        np.testing.assert_allclose(found.totals, model([WAVES, THERE])[:, 1] - silent, atol=1e-5)
        assert not found.attributions[1, 6:].any()
        assert np.abs(found.attributions).max() > 0.01


def test_a_number_that_also_counts_stays_an_encoding():
    number, table = keras.Input((1,), dtype="int32", name="number"), keras.Input((3,), name="table")

    class Both(layers.Layer):
        def call(self, number, table):
            share = tf.cast(number, tf.float32) / 4
            return (
                tf.reduce_sum(table * tf.cast(tf.range(3)[None] < tf.cast(tf.floor(share), tf.int32), tf.float32), 1)
                + share[:, 0]
            )

    model = keras.Model([number, table], Both()(number, table))
    inputs = {"number": np.array([[8], [4]]), "table": np.ones((2, 3), "float32")}
    found = ta.Attributor(model).attribute(inputs, method="gradient")
    np.testing.assert_allclose(found.attributions["table"], [[1, 1, 0], [1, 0, 0]])
    np.testing.assert_allclose(found.attributions["number"], [[0.25], [0.25]])
