"""Blur IG: its path against scipy's filter, its integral against a dense sum of differences, what it says and refuses."""

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.methods.blur import Blurred

from ..conftest import assert_refused
from ..helpers.shared import attributor_for

IMAGES = np.random.default_rng(0).uniform(size=(2, 9, 7, 3)).astype("float32")
MODES = {"reflect": "reflect", "zeros": "constant"}


def by_scipy(image, sigma, border):
    return scipy.ndimage.gaussian_filter(image.astype(float), (sigma, sigma, 0), mode=MODES[border], truncate=8)


@pytest.mark.parametrize("border", MODES)
@pytest.mark.parametrize("sigma", [0.3, 0.7, 2.0, 9.0])
def test_the_path_is_what_scipy_blurs(border, sigma):
    alpha = np.float32(1 - np.log1p(sigma) / np.log1p(9.0))
    found = Blurred(9.0, border)(None, tf.constant(IMAGES), tf.fill([2], alpha)).numpy()
    np.testing.assert_allclose(found, [by_scipy(image, sigma, border) for image in IMAGES], atol=2e-6)
    np.testing.assert_allclose(Blurred(9.0, border)(None, tf.constant(IMAGES), tf.ones([2])), IMAGES, atol=1e-6)


def score(x):
    return tf.reduce_sum(tf.tanh(2 * x - 1) * x[:, ::-1], [1, 2, 3]) + tf.reduce_sum(tf.nn.relu(x[..., 0] - 0.4), [1, 2])


def scores(x):
    """And, as another, the sum of squares."""
    return tf.stack([score(x), tf.reduce_sum(x**2, [1, 2, 3])], 1)


def dense(image, sigma, border, steps=500):
    """Sum over steps of dF/dx in the middle times the step of the blurred image: no derivative of the blur, no schedule."""
    sigmas = sigma * np.linspace(1, 0, steps + 1) ** 2
    blurred = np.stack([image.astype(float) if one == 0 else by_scipy(image, one, border) for one in sigmas])
    middle = tf.constant((blurred[1:] + blurred[:-1]) / 2)
    with tf.GradientTape() as tape:
        tape.watch(middle)
        scores = score(middle)
    return (tape.gradient(scores, middle).numpy() * np.diff(blurred, axis=0)).sum(0)


@pytest.mark.parametrize("border", MODES)
def test_what_converged_is_as_accurate_as_it_says(border):
    reference = np.stack([dense(image, 5.0, border) for image in IMAGES])
    for tolerance in (0.05, 0.005):
        found = attributor_for(scores).attribute(IMAGES, 0, method=ta.BlurIG(tolerance, max_sigma=5, border=border))
        error = np.abs(found.attributions - reference).sum((1, 2, 3)) / np.abs(reference).sum((1, 2, 3))
        assert found.converged.all()
        assert (error <= tolerance).all(), error
        assert np.abs(found.gap).max() < 1e-3 * np.abs(found.difference).max()
    below = np.stack([by_scipy(image, 5.0, border) for image in IMAGES])
    np.testing.assert_allclose(found.baseline_scores, score(tf.constant(below)), rtol=1e-5)


def test_what_is_uniform_gets_nothing_but_at_a_border_of_zeros():
    gray, attributor = np.full((1, 9, 7, 3), 0.5, "float32"), attributor_for(scores)
    assert np.abs(attributor.attribute(gray, 1, method="blur_ig").attributions).max() < 1e-6
    assert attributor.attribute(gray, 1, method=ta.BlurIG(border="zeros")).attributions.min() > 0.01


def test_every_argument_changes_the_result_and_the_words_say_so():
    attributor = attributor_for(scores)
    usual = attributor.attribute(IMAGES, 0, method="blur_ig")
    assert usual.method == "BlurIG(tolerance=0.05)"
    assert usual.baseline == "the input blurred, sigma the longest side"
    assert usual.gradient_share is None
    for method, shown in (
        (ta.BlurIG(max_sigma=1), "BlurIG(tolerance=0.05, max_sigma=1)"),
        (ta.BlurIG(border="zeros"), "BlurIG(tolerance=0.05, border='zeros')"),
        (ta.BlurIG(rule="midpoint", n_steps=3), "BlurIG(rule='midpoint', n_steps=3)"),
    ):
        found = attributor.attribute(IMAGES, 0, method=method)
        assert found.method == shown
        assert not np.allclose(found.attributions, usual.attributions, atol=1e-3)


def test_signals_and_positions_of_embeddings_are_blurred_along_one_axis():
    waves = np.random.default_rng(1).normal(size=(2, 12)).astype("float32")
    square = ta.Attributor(lambda x: tf.reduce_sum(tf.reshape(x, [-1, 12]) ** 2, 1))
    found = [square.attribute(x, method=ta.BlurIG(0.01, max_sigma=3)).attributions for x in (waves, waves[..., None])]
    np.testing.assert_allclose(found[0], found[1][..., 0], atol=1e-5)
    below = scipy.ndimage.gaussian_filter1d(waves.astype(float), 3, axis=1, truncate=8)
    np.testing.assert_allclose(found[0].sum(1), (waves**2).sum(1) - (below**2).sum(1), rtol=1e-3)


def test_what_does_not_fit_is_refused():
    attributor = attributor_for(scores)
    assert_refused(lambda: ta.BlurIG(max_sigma=0), "max_sigma", "0")
    assert_refused(lambda: ta.BlurIG(border="wrap"), "'reflect', 'zeros'", "'wrap'")
    assert_refused(lambda: attributor.attribute(IMAGES, method="blur_ig", baselines=ta.zeros()), "takes no baselines")
    assert_refused(lambda: ta.SmoothGrad("blur_ig"), "makes its baseline of the input", "ta.blur(sigma)")


def test_a_table_beside_the_image_is_not_blurred():
    """Its columns were, into each other."""
    given = {"image": IMAGES, "table": np.random.default_rng(1).normal(size=(2, 4)).astype("float32")}

    def both(x):
        return tf.reduce_sum(x["image"] ** 2, [1, 2, 3]) * tf.reduce_sum(x["table"] ** 2, 1)

    told = "'table'", "have none", "at=ta.inputs(name)"
    assert_refused(lambda: ta.Attributor(both).attribute(given, method="blur_ig"), *told)
    found = ta.Attributor(both, at=ta.inputs("image")).attribute(given, method="blur_ig")
    blurred = Blurred(None, "reflect")(None, tf.constant(IMAGES), tf.zeros([2]))
    np.testing.assert_allclose(found.baseline_scores, both({**given, "image": blurred}), rtol=1e-4)
