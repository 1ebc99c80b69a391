"""RISE: masks made a second time, the expectation on a linear model, and standard errors that hold."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tf_attrib.engine.copies import digest

from ..conftest import assert_refused
from ..helpers.shared import attributor_for
from ..helpers.small_text import make_pooled_text

RNG = np.random.default_rng(4)
IMAGES = RNG.normal(size=(3, 11, 9, 2)).astype("float32")
KERNEL = RNG.normal(size=(11, 9, 2)).astype("float32")


def curved(x):
    return tf.tanh(tf.reduce_sum(x * KERNEL, (1, 2, 3))) + 2


def masks_by_hand(x, i, seed, count, grid, probability):
    """(count, height, width), drawn from the same numbers, and enlarged by `tf.image.resize`."""
    rng, (rows, columns) = np.random.default_rng([seed, digest({None: x}, i)]), x.shape[1:3]
    high, wide = -(-rows // grid), -(-columns // grid)
    found = []
    for _ in range(count):
        numbers = rng.random(grid * grid + 2)
        cells = (numbers[: grid * grid] < probability).astype("float32").reshape(grid, grid, 1)
        whole = tf.image.resize(cells, ((grid + 1) * high, (grid + 1) * wide)).numpy()[..., 0]
        down, right = int(numbers[-2] * high), int(numbers[-1] * wide)
        found.append(whole[down : down + rows, right : right + columns])
    return np.stack(found).astype("float64")


@pytest.mark.parametrize(("grid", "probability", "baseline"), [(3, 0.5, 0.0), (4, 0.2, 0.7)])
def test_it_is_a_plain_loop_over_the_same_masks(grid, probability, baseline):
    method = ta.RISE(60, grid, probability)
    result = attributor_for(curved).attribute(IMAGES, None, ta.constant(baseline), method, seed=9)
    for i, x in enumerate(IMAGES):
        masks = masks_by_hand(IMAGES, i, 9, 60, grid, probability)
        scores = curved((baseline + masks[..., None] * (x - baseline)).astype("float32")).numpy()
        rows = scores[:, None, None] * masks
        np.testing.assert_allclose(result.attributions[i, ..., 0], rows.mean(0) / probability, rtol=1e-4)
        error = rows.std(0, ddof=1) / np.sqrt(60) / probability
        np.testing.assert_allclose(result.standard_error[i, ..., 1], error, rtol=1e-3)
    np.testing.assert_array_equal(result.attributions[..., 0], result.attributions[..., 1])  # channels go together
    assert np.ptp(result.attributions) > 0.1


def linear_interpolation(fine, coarse, whole):
    """(fine, coarse): weights of the first `fine` of `whole` positions, by their definition."""
    found = np.zeros((fine, coarse))
    for i in range(fine):
        centre = min(max((i + 0.5) * coarse / whole - 0.5, 0), coarse - 1)
        below = min(int(centre), coarse - 2)
        found[i, below], found[i, below + 1] = 1 - (centre - below), centre - below
    return found


def test_on_a_linear_model_its_expectation_is_known():
    """With a cell for each feature none is shifted, and E[M_i M_j] = p² + p (1 - p) (W W')_ij."""
    slopes, x, p = RNG.normal(size=6), RNG.normal(size=(2, 6)).astype("float32"), 0.4
    attributor = ta.Attributor(lambda x: tf.reduce_sum(x * slopes.astype("float32"), 1))
    result = attributor.attribute(x, method=ta.RISE(20_000, 6, p), seed=1)
    weights = linear_interpolation(6, 6, 7)
    together = p**2 + p * (1 - p) * weights @ weights.T
    expected = (x * slopes) @ together / p
    off = (result.attributions - expected) / result.standard_error
    assert np.abs(off).max() < 4
    assert result.standard_error.max() < 0.03
    assert np.ptp(expected, 1).min() > 0.2


def test_standard_errors_are_those_of_repetitions():
    attributor = attributor_for(curved)
    runs = [attributor.attribute(IMAGES[:1], method=ta.RISE(50, 3), seed=seed) for seed in range(60)]
    spread = np.std([run.attributions for run in runs], axis=0, ddof=1)
    stated = np.mean([run.standard_error for run in runs], axis=0)
    assert 0.9 < np.median(spread / stated) < 1.1
    assert np.all((spread / stated > 0.6) & (spread / stated < 1.5))
    exact = attributor.attribute(IMAGES[:1], method=ta.RISE(20_000, 3), seed=99).attributions
    off = np.abs(np.mean([run.attributions for run in runs], axis=0) - exact)
    assert np.all(off < 5 * stated / np.sqrt(60))


def test_what_no_mask_left_is_not_known():
    """Its number is 0, of no draw: a standard error of 0 called it certain."""
    result = ta.Attributor(curved).attribute(IMAGES[:1], method=ta.RISE(4, grid=5, probability=0.05), seed=1)
    masks = masks_by_hand(IMAGES[:1], 0, 1, 4, 5, 0.05)
    never = ~masks.any(0)
    assert 0 < never.sum() < never.size
    np.testing.assert_array_equal(np.isnan(result.standard_error[0, ..., 0]), never)
    assert not result.attributions[0, never].any()
    assert f"not known of {2 * never.sum()} numbers" in repr(result)


def test_several_baselines_take_turns():
    attributor = attributor_for(curved)
    both = attributor.attribute(IMAGES, None, ta.several([np.zeros((11, 9, 2)), np.ones((11, 9, 2))]), ta.RISE(4000, 3), seed=0)
    each = [attributor.attribute(IMAGES, None, ta.constant(value), ta.RISE(4000, 3), seed=5) for value in (0.0, 1.0)]
    off = both.attributions - (each[0].attributions + each[1].attributions) / 2
    assert np.all(np.abs(off) < 5 * (both.standard_error + each[0].standard_error))
    assert np.abs(each[0].attributions - each[1].attributions).max() > 0.2


def test_how_many_are_drawn_at_once_does_not_matter(monkeypatch):
    whole = attributor_for(curved).attribute(IMAGES, method=ta.RISE(30, 3), seed=3)
    monkeypatch.setattr("tf_attrib.methods.rise.TOGETHER", 3 * 9 * 4)
    parts = ta.Attributor(curved, batch_size=5).attribute(IMAGES, method=ta.RISE(30, 3), seed=3)
    np.testing.assert_allclose(parts.attributions, whole.attributions, rtol=1e-5)
    np.testing.assert_allclose(parts.standard_error, whole.standard_error, rtol=1e-3)
    assert whole.forward_evaluations[0] == 32
    assert not np.allclose(
        attributor_for(curved).attribute(IMAGES, method=ta.RISE(30, 3), seed=4).attributions, whole.attributions
    )


def test_words_are_masked_at_their_embeddings():
    ids = RNG.integers(1, 30, (2, 10)).astype("int32")
    result = ta.Attributor(make_pooled_text()).attribute(ids, method=ta.RISE(200, 5), seed=0)
    assert result.attributions.shape == (2, 10, 6)
    np.testing.assert_array_equal(result.attributions[..., 0], result.attributions[..., 5])
    assert np.all(np.abs(result.attributions) <= 1.5)


def test_targets_of_each_example():
    model = keras.Sequential([keras.Input((11, 9, 2)), layers.GlobalMaxPooling2D(), layers.Dense(3)])
    attributor, method = ta.Attributor(model), ta.RISE(40, 3)
    found = attributor.attribute(IMAGES, [2, 0, 1], method=method, seed=0).attributions
    for i, target in enumerate([2, 0, 1]):
        alone = attributor.attribute(IMAGES[i : i + 1], target, method=method, seed=0).attributions
        np.testing.assert_allclose(found[i : i + 1], alone, rtol=1e-5)


def test_what_is_no_mask_is_refused():
    assert_refused(lambda: ta.RISE(1), "n_masks", "at least 2")
    assert_refused(lambda: ta.RISE(grid=0), "grid", "at least 1")
    assert_refused(lambda: ta.RISE(probability=1), "below 1", "0.5")
    assert_refused(lambda: ta.RISE(probability=0), "probability", "above 0")
    assert_refused(lambda: attributor_for(curved).attribute(IMAGES, method=ta.RISE(10, (3, 3, 3))), "(11, 9)", "2 of them")
    assert_refused(lambda: ta.Attributor(lambda x: x).attribute(IMAGES[:, 0, 0, 0], method="rise"), "(batch,)")


@pytest.mark.parametrize("size", [1, 2])
def test_a_model_of_so_many_examples_at_a_time(size):
    """Where it knows how many rows there are, TensorFlow loses the new axis of a slice of a stack: this failed."""

    def model(size):
        inputs = keras.Input(batch_shape=(size, 11, 9, 2))
        return keras.Model(
            inputs, layers.Dense(1, kernel_initializer=keras.initializers.Constant(0.01))(layers.Flatten()(inputs))
        )

    fixed, free = (ta.Attributor(model(one)).attribute(IMAGES, method=ta.RISE(5), seed=2) for one in (size, None))
    np.testing.assert_allclose(fixed.attributions, free.attributions, atol=1e-6)
