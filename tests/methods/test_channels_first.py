"""Images whose channels come first, and methods that take the last axis for channels: they took away rows of colours."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ..conftest import assert_refused

RNG = np.random.default_rng(9)
LAST = RNG.uniform(size=(2, 8, 6, 3)).astype("float32")
FIRST = np.ascontiguousarray(LAST.transpose(0, 3, 1, 2))
REFUSED = [
    ta.Occlusion(window=2),
    ta.Occlusion(),
    ta.Ablation(),
    ta.ShapleySampling(),
    ta.KernelSHAP(),
    ta.LIME(),
    ta.BlurIG(),
    ta.XRAI(segments=np.zeros((8, 6), int)),
    "blur_ig",
]


@functools.cache
def net():
    """Takes images with channels first, and turns them: a CPU's convolutions take channels last."""
    keras.utils.set_random_seed(2)
    image = keras.Input((3, 8, 6))
    seen = layers.Conv2D(4, 3, activation="relu")(layers.Permute((2, 3, 1))(image))
    return keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(seen)))


@pytest.mark.parametrize("method", REFUSED)
def test_refused_where_the_models_operations_tell(method):
    words = "takes the last axis for channels", "has them first,", "np.moveaxis(images, 1, -1)"
    assert_refused(lambda: ta.Attributor(net()).attribute(FIRST, 1, method=method), *words)


def test_a_blurred_baseline_is_refused():
    attributor = ta.Attributor(net())
    for baseline in (ta.blur(1), [ta.blur(1), ta.zeros()]):
        assert_refused(lambda one=baseline: attributor.attribute(FIRST, 1, one), "ta.blur takes the last axis for channels")


@pytest.mark.parametrize("method", [ta.Occlusion(window=2), ta.Occlusion(window=3, stride=1)])
def test_the_call_that_is_told_gives_what_windows_are_worth(method):
    attributor = ta.Attributor(net(), preprocess=lambda x: tf.transpose(x, (0, 3, 1, 2)))
    found = attributor.attribute(LAST, 1, method=method).attributions
    without = FIRST.copy()
    size = method.window
    without[:, :, :size, :size] = 0
    lost = np.asarray(net()(FIRST))[:, 1] - np.asarray(net()(without))[:, 1]
    np.testing.assert_allclose(found[:, 0, 0, 0], lost, atol=1e-6)  # the corner is in one window alone
    assert np.abs(lost).min() > 1e-4


def test_what_asks_for_no_positions_is_not():
    attributor = ta.Attributor(net())
    for method in ("gradient", "deeplift", ta.Ablation(np.arange(3 * 8 * 6).reshape(3, 8, 6)), ta.RISE(8, grid=3)):
        assert np.abs(attributor.attribute(FIRST, 1, method=method, seed=0).attributions).max() > 0


def test_layers_are_told_apart_too():
    image = keras.Input((8, 6, 3))
    turned = layers.Permute((3, 1, 2), name="turned")(layers.Conv2D(4, 3)(image))
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(turned)))
    assert_refused(
        lambda: ta.Attributor(model, at="turned").attribute(LAST, 1, method="occlusion"),
        "layer 'turned'",
        "integrated_gradients",
    )
    assert ta.Attributor(model).attribute(LAST, 1, method="occlusion").attributions.shape == LAST.shape


def test_pixels_of_a_metric_are_refused_and_features_are_not():
    attributor = ta.Attributor(net())
    result = attributor.attribute(FIRST, 1)
    assert_refused(lambda: ta.metrics.deletion(attributor, result), "units='pixels'", "units='features'", "has them first")
    assert len(ta.metrics.deletion(attributor, result, units="features").values) == 2


def test_squares_and_masks_of_a_metric_are_refused():
    """Squares were of rows and colours, over all columns; of what the masks lack the error told axes that they cannot have."""
    attributor = ta.Attributor(net())
    result = attributor.attribute(FIRST, 1)
    squares = ta.metrics.Squares(2)
    assert_refused(lambda: ta.metrics.infidelity(attributor, result, perturbation=squares), "Squares", "has them first")
    masks = np.zeros((2, 8, 6), bool)
    masks[:, :4] = True
    assert_refused(lambda: ta.metrics.pointing(result, masks), "pointing(result.sum(1), masks)", "(2, 8, 6)")
    places = result.attributions.sum(1).reshape(2, -1).argmax(1)
    np.testing.assert_array_equal(ta.metrics.pointing(result.sum(1), masks).values, places < 4 * 6)


def test_groups_and_regions_of_pixels_say_how_they_are_given():
    """The errors asked for (3, 8): colours by rows."""
    attributor, tiles = ta.Attributor(net()), ta.tiles((8, 6), 4)
    refused = "np.broadcast_to(groups, (3, 8, 6))"
    assert_refused(lambda: attributor.attribute(FIRST, 1, method=ta.Ablation(tiles)), refused)
    of_tiles = attributor.attribute(FIRST, 1, method=ta.Ablation(np.broadcast_to(tiles, (3, 8, 6)))).attributions
    without = FIRST * (tiles != 0)
    lost = np.asarray(net()(FIRST))[:, 1] - np.asarray(net()(without))[:, 1]
    np.testing.assert_allclose(of_tiles[:, :, 0, 0], np.stack([lost] * 3, 1), atol=1e-6)
    result = attributor.attribute(FIRST, 1)
    assert_refused(lambda: result.by_region(tiles), "of result.sum(1)")
    np.testing.assert_allclose(result.sum(1).by_region(tiles)[0].values.sum(), result.totals[0], rtol=1e-4)
