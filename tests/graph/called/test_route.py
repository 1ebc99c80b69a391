"""Which way a model goes: traced for inputs of any size, else for those at hand, else called."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ...conftest import assert_refused

RNG = np.random.default_rng(7)


class Enlarging(layers.Layer):
    """Twice as large, by a layer that branches on the size in Python, as Keras's bilinear UpSampling2D does."""

    def call(self, x):
        height, width = tf.unstack(tf.shape(x)[1:3]) if x.shape[1] is None else x.shape[1:3]
        return tf.image.resize(x, (2 * height, 2 * width)) if height > 1 else x

    def compute_output_shape(self, shape):
        return (shape[0], None, None, shape[3])


class Untraceable(layers.Layer):
    def call(self, x):
        assert np.isfinite(x.numpy()).all()
        return x * 1.0

    def compute_output_shape(self, shape):
        return shape


class TestAModelThatNeedsToKnowTheSizesOfItsInputs:
    """Enlarging layers and others cannot be traced for images of any size, and can be for those at hand."""

    @pytest.fixture(scope="class")
    def model(self):
        keras.utils.set_random_seed(2)
        image = keras.Input((None, None, 3))
        hidden = layers.MaxPooling2D()(layers.Conv2D(3, 3, padding="same", activation="relu")(image))
        return keras.Model(image, layers.Conv2D(2, 1, activation="softmax")(Enlarging()(hidden)))

    @pytest.mark.parametrize("options", [{}, {"eager": False}])
    def test_it_is_traced_for_them(self, model, options):
        attributor = ta.Attributor(model, **options)
        for side in (8, 6, 8):
            images = RNG.uniform(size=(2, side, side, 3)).astype("float32")
            tensor = tf.constant(images)
            with tf.GradientTape() as tape:
                tape.watch(tensor)
                score = model(tensor)[:, 2, 3, 1]
            found = attributor.attribute(images, (2, 3, 1), method="gradient")
            assert not found.eager
            np.testing.assert_allclose(found.attributions, tape.gradient(score, tensor), atol=1e-6)
            lifted = attributor.attribute(images, (2, 3, 1), method="deeplift")
            np.testing.assert_allclose(lifted.totals, score - 0.5, atol=1e-5)

    def test_what_cannot_be_traced_for_any_is_called_or_refused(self):
        model = keras.Sequential([keras.Input((None, 3)), layers.Dense(2), Untraceable()])
        x = RNG.normal(size=(2, 4, 3)).astype("float32")
        found = ta.Attributor(model).attribute(x, (1, 0), method="gradient")
        assert "float32 (batch, None, 3)" in found.eager
        np.testing.assert_allclose(found.attributions[:, 1], np.tile(model.layers[0].kernel[:, 0], (2, 1)), rtol=1e-6)
        assert not found.attributions[:, [0, 2, 3]].any()
        assert_refused(lambda: ta.Attributor(model, eager=False).attribute(x, (1, 0)), "float32 (batch, 4, 3)")
