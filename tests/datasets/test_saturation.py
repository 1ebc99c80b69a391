"""The share of inputs and units that are flat near the input, where it is known in closed form."""

import tracemalloc

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from scipy.special import expit

import tf_attrib as ta
from tf_attrib.datasets import saturation as module
from tf_attrib.view import png

from ..conftest import assert_refused, make_cnn, make_recurrent_text


@pytest.fixture(scope="module")
def cnn():
    return make_cnn()


@pytest.fixture(scope="module")
def of_cnn(cnn):
    return ta.Attributor(cnn)


# From 0 to x, min(x, 5) is flat on the last 5% of the path from x = 5 / 0.95 on, and straight up to x = 5.
X = np.linspace(0.1, 10, 100, dtype="float32")[:, None]


def capped(x):
    return tf.minimum(x[:, 0], 5.0)


def test_the_caricature_of_the_blog():
    result = ta.saturation(ta.Attributor(capped), X)
    assert result.saturated.sum() == np.sum(0.95 * X >= 5)
    assert result.share == pytest.approx(0.48)
    np.testing.assert_allclose(result.slopes[X[:, 0] <= 5], 1, rtol=1e-4)
    between = (X[:, 0] > 5) & (0.95 * X[:, 0] < 5)
    expected = (5 - 0.95 * X[between, 0]) / 0.05 / 5
    np.testing.assert_allclose(result.slopes[between], expected, atol=1e-4)
    assert "48 of 100" in repr(result)


def test_a_sigmoid_against_its_formula():
    """Criterion by hand: secant over the last 10%, over that of the whole path; flat below 2%."""
    x = np.linspace(-12, 12, 41, dtype="float32")[:, None]
    result = ta.saturation(ta.Attributor(lambda x: tf.sigmoid(x[:, 0])), x, target=1, near=0.1, flat=0.02)
    ends = expit(x[:, 0].astype(float))
    change = ends - 0.5
    expected = (ends - expit(0.9 * x[:, 0].astype(float))) / 0.1 / np.where(change == 0, np.nan, change)
    np.testing.assert_allclose(result.slopes, expected, atol=1e-4)
    np.testing.assert_array_equal(result.saturated, np.abs(np.nan_to_num(expected, nan=1)) < 0.02)
    assert result.unchanged.tolist() == [value == 0 for value in x[:, 0]]
    assert result.share == result.saturated.sum() / 40
    assert "not counted" in repr(result)


def test_single_units_of_a_layer():
    """Three units: straight, capped at 5, and one that never moves."""
    inputs = keras.Input((1,))
    both = layers.Lambda(lambda x: tf.concat([2 * x, tf.minimum(x, 5.0), 0 * x + 3], 1), name="units")(inputs)
    model = keras.Model(inputs, layers.Dense(1, name="sum", kernel_initializer="ones")(both))
    result = ta.saturation(ta.Attributor(model), X, layer="units")
    flat = 0.95 * X[:, 0] >= 5
    np.testing.assert_allclose(result.per_unit, [0, flat.mean(), np.nan])
    np.testing.assert_allclose(result.unit_shares, flat / 2)
    np.testing.assert_allclose(result.unit_unchanged, 1 / 3)
    assert result.unit_share == pytest.approx(flat.mean() / 2)
    assert result.unit_counts.sum() == 200
    assert result.unit_counts[0] == flat.sum()
    assert result.share == 0  # the sum still rises with the first unit
    assert "24.0% of those that change" in repr(result)


def test_units_against_a_second_model(cnn, images):
    """The layer's values on the path by Keras itself."""
    inner = keras.Model(cnn.inputs, cnn.get_layer("conv").output)
    near = 0.05
    values = [inner(1 - alpha + images * alpha).numpy().reshape(5, -1).astype(float) for alpha in (0, 1 - near, 1)]
    change = values[2] - values[0]
    changed = np.abs(change) > 1e-3 * np.maximum(np.abs(values[0]), np.abs(values[2]))
    slopes = (values[2] - values[1]) / near / np.where(changed, change, np.nan)
    result = ta.saturation(ta.Attributor(cnn, batch_size=4), images, layer=cnn.get_layer("conv"), baselines=ta.constant(1.0))
    flat = np.abs(np.nan_to_num(slopes, nan=np.inf)) < 0.01
    assert 0 < flat.sum() < changed.sum()
    np.testing.assert_allclose(result.unit_shares, flat.sum(1) / changed.sum(1), atol=0.01)
    np.testing.assert_allclose(result.unit_unchanged, 1 - changed.mean(1), atol=0.01)


class Pairs(keras.utils.PyDataset):
    """Batches of two."""

    def __init__(self, *arrays):
        super().__init__()
        self._arrays = arrays

    def __len__(self):
        return -(-len(self._arrays[0]) // 2)

    def __getitem__(self, number):
        return tuple(array[2 * number : 2 * number + 2] for array in self._arrays)


def test_all_kinds_of_data_give_the_same(of_cnn, images):
    attributor, labels = of_cnn, np.arange(5)
    whole = ta.saturation(attributor, images)
    pairs = tf.data.Dataset.from_tensor_slices((images, labels)).batch(2)
    for dataset in (
        pairs,
        pairs.map(lambda x, y: x),
        [images[:3], images[3:]],
        (part for part in (images[:1], images[1:])),
        tf.constant(images),
        [(images, labels)],
        Pairs(images, labels),
    ):
        found = ta.saturation(attributor, dataset)
        np.testing.assert_allclose(found.slopes, whole.slopes, rtol=1e-3)
        np.testing.assert_allclose(found.scores, whole.scores, rtol=1e-6)


def test_models_with_several_inputs_and_with_words(pair, ids):
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(300, 4)).astype("float32"), rng.normal(size=(300, 2)).astype("float32")
    attributor = ta.Attributor(pair, of="kind")
    whole = ta.saturation(attributor, [left, right])
    assert len(whole) == 300  # cut into two batches
    batches = ta.saturation(attributor, [{"left": left[:9], "right": right[:9]}, {"left": left[9:], "right": right[9:]}])
    np.testing.assert_allclose(batches.slopes, whole.slopes, rtol=1e-2)
    found = ta.saturation(ta.Attributor(make_recurrent_text()), ids, layer="rnn")
    assert "embeddings" in found.at
    assert found.per_unit.shape == (5,)


def test_target_baselines_and_output_change_the_answer(cnn, of_cnn, images):
    attributor = of_cnn
    first = ta.saturation(attributor, images, target=0)
    assert not np.allclose(first.slopes, ta.saturation(attributor, images, target=1).slopes)
    assert not np.allclose(first.slopes, ta.saturation(attributor, images, target=0, baselines=ta.constant(1.0)).slopes)
    assert not np.allclose(first.slopes, ta.saturation(ta.Attributor(cnn, of="logits"), images, target=0).slopes)
    noise = [ta.saturation(attributor, images, target=0, baselines=ta.gaussian(2, 1.0), seed=seed).slopes for seed in (0, 0, 1)]
    np.testing.assert_array_equal(noise[0], noise[1])
    assert not np.allclose(noise[0], noise[2])


def test_several_baselines_are_averaged():
    """x² from 0 and from 1: means of f(1) - f(0.9) and of f(1) - f(0), by hand."""
    inputs = keras.Input((1,))
    square = layers.Lambda(lambda x: x**2, name="square")(inputs)
    attributor = ta.Attributor(keras.Model(inputs, layers.Dense(1, kernel_initializer="ones")(square)))
    expected = (4 - (1.8**2 + 1.9**2) / 2) / 0.1 / (4 - 0.5)
    result = ta.saturation(attributor, np.array([[2.0]], "float32"), near=0.1, baselines=[np.zeros(1), np.ones(1)])
    assert result.slopes[0] == pytest.approx(expected, rel=1e-4)
    x = np.array([[0.2]], "float32")  # falls from 1 to 0.04, and rises from 0: means by hand
    slope = (0.04 - (0.18**2 + 0.28**2) / 2) / 0.1 / (0.04 - 0.5)
    for flat, share in ((abs(slope) * 0.99, 0), (abs(slope) * 1.01, 1)):
        result = ta.saturation(attributor, x, "square", near=0.1, flat=flat, baselines=[np.zeros(1), np.ones(1)])
        assert result.slopes[0] == pytest.approx(slope, rel=1e-4)
        assert result.unit_share == share


def test_no_more_than_a_batch_is_held():
    """A stream of 200 batches takes little more than one of 20: sums and one number for each input are kept."""
    inputs = keras.Input((64,))
    model = keras.Model(inputs, layers.Dense(1)(layers.Dense(2000, activation="tanh", name="wide")(inputs)))
    attributor = ta.Attributor(model)
    rng = np.random.default_rng(0)

    def peak(count):
        stream = (rng.normal(size=(16, 64)).astype("float32") for _ in range(count))
        tracemalloc.start()
        ta.saturation(attributor, stream, layer="wide")
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    peak(2)
    assert peak(30) < peak(6) + 3e6  # 16 × 2000 units in float64 are 0.26 MB a batch and point


def test_what_cannot_be_done_is_refused(cnn, of_cnn, images):
    attributor = of_cnn
    assert_refused(lambda: ta.saturation(attributor, []), "empty")
    assert_refused(lambda: ta.saturation(attributor, 5), "tf.data.Dataset")
    assert_refused(lambda: ta.saturation(attributor, images, near=1), "near")
    assert_refused(lambda: ta.saturation(attributor, images, flat=0), "flat")
    assert_refused(lambda: ta.saturation(attributor, images, target=[0, 1, 0, 1, 0]), "one class for all")
    assert_refused(lambda: ta.saturation(attributor, images, layer="convv"), "'conv'")
    assert_refused(lambda: ta.saturation(ta.Attributor(cnn, at=cnn.layers[-1]), images, layer="conv"), "does not depend")


def test_the_histogram_counts_what_the_numbers_say(of_cnn, images):
    result = ta.saturation(ta.Attributor(capped), X)
    assert result.counts.sum() == 100
    assert result.counts[0] == result.saturated.sum()
    assert len(result.counts) == len(module.EDGES)
    figure = ta.saturation(of_cnn, images, layer="conv").plot()
    output, units = (part.axes[0] for part in figure.subfigs)
    assert sum(bar.get_height() for bar in output.patches) == 5
    assert units.get_ylabel() == "number of units × inputs"
    assert "straight line" in figure.caption
    assert png(figure).startswith(b"\x89PNG")
