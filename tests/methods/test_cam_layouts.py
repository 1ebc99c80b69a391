"""Class activation maps of signals and volumes, and of layers whose channels come first."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ..helpers.shared import attributor_for
from .test_cam import CAMS, TARGETS, activations_and_gradients, by_hand

pytestmark = pytest.mark.usefixtures("double")
RNG = np.random.default_rng(18)


@functools.cache
def pooled(rank, data_format="channels_last"):
    """The same network over `rank` axes of positions, channels first or last."""
    keras.utils.set_random_seed(5)
    shape, first = (9, 8, 7)[:rank], data_format == "channels_first"
    kind = {1: "1D", 2: "2D", 3: "3D"}[rank]
    return keras.Sequential(
        [
            keras.Input((2, *shape) if first else (*shape, 2)),
            getattr(layers, f"Conv{kind}")(3, 3, data_format=data_format, name="conv"),
            layers.BatchNormalization(axis=1 if first else -1),
            layers.ReLU(name="seen"),
            getattr(layers, f"GlobalAveragePooling{kind}")(data_format=data_format),
            layers.Dense(3),
        ]
    )


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize(
    "method",
    # of a weight for each channel, and one for each place; what a third makes of the same gradients knows no axes either
    [ta.GradCam, pytest.param(ta.GradCamPlusPlus, marks=pytest.mark.slow), ta.LayerCam, ta.ScoreCam, ta.GuidedGradCam],
)
def test_signals_and_volumes(rank, method):
    model, x = pooled(rank), RNG.normal(size=(3, *(9, 8, 7)[:rank], 2))
    found = attributor_for(model).attribute(x, TARGETS, method=method()).attributions
    if method in CAMS[:3]:
        expected = by_hand(method, *activations_and_gradients(model, x, TARGETS))
        np.testing.assert_allclose(found, expected, atol=1e-12)
    elif method is ta.GuidedGradCam:
        assert found.shape == x.shape
        return  # what it is of a signal the next test says
    else:
        assert found.shape == (3, *(7, 6, 5)[:rank])
    assert np.abs(found).max() > 0


def test_a_signal_is_an_image_of_one_row():
    """Along one axis the masks of Score-CAM and the enlarged maps of guided Grad-CAM are those of an image with one row."""
    signal, x = pooled(1), np.random.default_rng(0).normal(size=(12, 9, 2))
    image = keras.Sequential(
        [
            keras.Input((1, 9, 2)),
            layers.Conv2D(3, (1, 3)),
            layers.BatchNormalization(),
            layers.ReLU(name="seen"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )
    image.set_weights([weight[None] if weight.ndim == 3 else weight for weight in signal.get_weights()])
    target = int(signal.layers[-1].get_weights()[0].sum(0).argmax())  # a class with positive weights, whose map is not empty
    for method in ("score_cam", "guided_grad_cam"):
        one = attributor_for(signal).attribute(x, target, method=method).attributions
        two = attributor_for(image).attribute(x[:, None], target, method=method).attributions
        np.testing.assert_allclose(one, two[:, 0], atol=1e-12)
        assert np.abs(one).max() > 1e-4


@functools.cache
def channels_last_and_first():
    keras.config.set_dtype_policy("float32")  # on a CPU no other convolution takes channels first
    try:
        last, first = (pooled.__wrapped__(2, data_format) for data_format in ("channels_last", "channels_first"))
    finally:
        keras.config.set_dtype_policy("float64")
    first.set_weights(last.get_weights())
    try:
        first(np.zeros((1, 2, 9, 8), "float32"))
    except tf.errors.UnimplementedError:
        pytest.skip("this processor convolves channels last alone: TensorFlow takes oneDNN for those with AVX-512 or better")
    return last, first


@pytest.mark.parametrize(
    ("method", "eager"), [*((method, None) for method in (*CAMS, ta.GuidedGradCam)), (ta.GradCam, True), (ta.ScoreCam, True)]
)
def test_channels_in_front_are_channels(method, eager):
    """The same network with its channels first has the same map."""
    last, first = channels_last_and_first()
    x = RNG.normal(size=(3, 9, 8, 2)).astype("float32")
    turned = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    found = attributor_for(first, eager=eager).attribute(turned, TARGETS, method=method()).attributions
    expected = attributor_for(last).attribute(x, TARGETS, method=method()).attributions
    np.testing.assert_allclose(found if found.ndim == 3 else found.transpose(0, 2, 3, 1), expected, atol=1e-6)


def test_channels_that_are_turned_to_the_front():
    """What a transposition makes of a layer is seen where no convolution says it."""
    last = pooled(2)
    image = keras.Input((2, 9, 8))
    seen = last.get_layer("conv")(layers.Permute((2, 3, 1))(image))
    seen = layers.ReLU()(last.layers[1](seen, training=False))
    turned = layers.Permute((3, 1, 2), name="turned")(seen)
    pool = layers.Lambda(lambda y: tf.reduce_mean(y, (2, 3)), output_shape=(3,))(turned)
    model, x = keras.Model(image, last.layers[-1](pool)), RNG.normal(size=(3, 9, 8, 2))
    for method in [ta.GradCam, ta.ScoreCam, ta.GuidedGradCam]:  # of the layer's gradients, its activations, and its size
        found = attributor_for(model).attribute(x.transpose(0, 3, 1, 2), TARGETS, method=method("turned")).attributions
        expected = attributor_for(last).attribute(x, TARGETS, method=method("seen")).attributions
        np.testing.assert_allclose(found if found.ndim == 3 else found.transpose(0, 2, 3, 1), expected, atol=1e-12)


def test_tokens_that_are_mixed_by_transpositions_keep_their_channels():
    """(positions, channels) turned, mixed and turned back, as mixers do, and attention, whose heads are transposed."""
    signal = keras.Input((9, 4))
    mixed = layers.Permute((2, 1))(layers.Conv1D(6, 1)(signal))
    mixed = layers.Permute((2, 1))(layers.Dense(9, activation="relu", name="turned")(mixed))
    seen = layers.Add(name="seen")([mixed, layers.MultiHeadAttention(2, 3)(mixed, mixed)])
    model = keras.Model(signal, layers.Dense(3)(layers.GlobalAveragePooling1D()(seen)))
    attributor, x = attributor_for(model), RNG.normal(size=(3, 9, 4))
    for method in (ta.GradCam, ta.ScoreCam):
        assert attributor.attribute(x, TARGETS, method=method("turned")).attributions.shape == (3, 9)
    assert attributor.attribute(x, TARGETS, method=ta.ScoreCam("seen")).attributions.shape == (3, 9)
    a = np.asarray(keras.Model(signal, seen)(x))
    weight = model.layers[-1].get_weights()[0][:, TARGETS].T[:, None] / 9
    found = attributor.attribute(x, TARGETS, method=ta.GradCam("seen")).attributions
    np.testing.assert_allclose(found, (weight * a).sum(-1), atol=1e-12)
