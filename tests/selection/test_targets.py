"""Targets of outputs with one unit at each position, whose axis is left out of their values."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_attrib as ta

from ..conftest import assert_refused

X = np.random.default_rng(0).normal(size=(2, 6, 3)).astype("float32")
STEPS = ta.IntegratedGradients(n_steps=4)


@pytest.fixture(scope="module")
def attributor():
    """Two layers along a sequence, which give one number at each step, (batch, 6, 1)."""
    keras.utils.set_random_seed(3)
    hidden = layers.Conv1D(4, 3, padding="causal", activation="tanh")
    return ta.Attributor(keras.Sequential([keras.Input((6, 3)), hidden, layers.Dense(1)]))


@pytest.mark.parametrize("target", [(4, 0), [[4, 0], [4, 0]], np.array([[4], [4]]), [4, 4]])
def test_a_position_is_the_same_with_its_unit_and_without(attributor, target):
    found, alone = (attributor.attribute(X, one, method=STEPS) for one in (target, 4))
    np.testing.assert_array_equal(found.attributions, alone.attributions)
    np.testing.assert_allclose(found.scores, attributor.model(X)[:, 4, 0], rtol=1e-5)


def test_a_list_is_one_position_for_each_example(attributor):
    found = attributor.attribute(X, [4, 0], method=STEPS)
    np.testing.assert_allclose(found.scores, np.asarray(attributor.model(X))[[0, 1], [4, 0], 0], rtol=1e-5)


def test_another_unit_and_no_position_are_refused(attributor):
    assert_refused(lambda: attributor.attribute(X, (4, 1)), "another unit than 0", "position from 0 to 5")
    assert_refused(lambda: attributor.attribute(X, (6, 0)), "out of range", "position from 0 to 5")
    assert_refused(lambda: attributor.attribute(X), "6 positions of one unit", "each_position")


def test_places_of_an_image_of_one_unit():
    attributor = ta.Attributor(keras.Sequential([keras.Input((5, 5, 2)), layers.Conv2D(1, 3, padding="same")]))
    images = np.random.default_rng(1).normal(size=(3, 5, 5, 2)).astype("float32")
    for target in ((1, 2), (1, 2, 0), np.full((3, 3), [1, 2, 0])):
        found = attributor.attribute(images, target, method=STEPS)
        np.testing.assert_allclose(found.scores, attributor.model(images)[:, 1, 2, 0], rtol=1e-5, atol=1e-6)
    assert_refused(lambda: attributor.attribute(images, 1), "position below (5, 5)")
