"""Guided IG: against a second implementation in NumPy, what it is without freedom, and what it says of its accuracy."""

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta

from ..conftest import assert_refused
from ..helpers.shared import attributor_for

RNG = np.random.default_rng(8)
KERNEL, OUT = RNG.normal(size=(9, 12)), RNG.normal(size=12)
X, BELOW = RNG.normal(size=(3, 9)), 0.3 * RNG.normal(size=9)


def score(x):
    return tf.tensordot(tf.nn.softplus(x @ tf.constant(KERNEL, x.dtype)), tf.constant(OUT, x.dtype), 1)


def gradient(x):
    return KERNEL @ (OUT / (1 + np.exp(-x @ KERNEL)))


def plainly(x, below, steps, fraction, most):
    """Feature by feature, in places t along each one's own way from 0 to 1: the cheapest come in until a step has gone its part
    of the L1 distance."""
    way = np.abs(x - below)
    place, found = np.zeros(len(x)), np.zeros(len(x))
    for step in range(1, steps + 1):
        slope = gradient(below + place * (x - below))
        low, high = max(step / steps - most, 0), min(step / steps + most, 1)
        new = np.maximum(place, low)
        while True:
            missing = way @ (1 - new) - way.sum() * (1 - step / steps)
            able = [i for i in range(len(x)) if new[i] < high - 1e-12 and way[i] > 0]
            if missing <= 1e-9 * way.sum() or not able:
                break
            cheapest = sorted(able, key=lambda i: abs(slope[i]))
            number = int(np.floor(fraction * (len(x) - 1)))
            last = abs(slope[cheapest[min(number, len(cheapest) - 1)]])
            chosen = [i for i in able if abs(slope[i]) <= last]
            part = min(1, missing / sum(way[i] * (high - new[i]) for i in chosen))
            for i in chosen:
                new[i] += part * (high - new[i])
        found += slope * (new - place) * (x - below)
        place = new
    return found


@pytest.mark.parametrize(("steps", "fraction", "most"), [(25, 0.25, 0.1), (40, 0.5, 0.02), (10, 0.1, 1.0), (1, 0.25, 0.0)])
def test_it_is_a_plain_second_implementation(double, steps, fraction, most):
    found = attributor_for(score).attribute(X, baselines=BELOW, method=ta.GuidedIG(steps, fraction, most))
    wanted = [plainly(one, BELOW, steps, fraction, most) for one in X]
    np.testing.assert_allclose(found.attributions, wanted, rtol=1e-6, atol=1e-8)


def test_without_freedom_it_is_the_left_sum_of_the_straight_path(double):
    found = attributor_for(score).attribute(X, baselines=BELOW, method=ta.GuidedIG(30, max_distance=0))
    alphas = np.arange(30) / 30
    wanted = [np.mean([gradient(BELOW + alpha * (one - BELOW)) for alpha in alphas], 0) * (one - BELOW) for one in X]
    np.testing.assert_allclose(found.attributions, wanted, rtol=1e-6)


def test_what_it_says_of_its_accuracy():
    found = attributor_for(score).attribute(X.astype("float32"), method=ta.GuidedIG(300))
    assert found.status.tolist() == ["not_estimated"] * 3
    assert found.error_estimate is None
    assert found.converged is None
    assert found.evaluations.tolist() == [300] * 3
    assert "NOT ESTIMATED" in repr(found)
    np.testing.assert_allclose(found.gap, found.attributions.sum(1) - found.difference, atol=1e-5)
    assert np.abs(found.gap).max() < 0.02 * np.abs(found.difference).max()
    few = ta.Attributor(lambda x: tf.reduce_sum(x**4, 1)).attribute(np.ones((1, 3), "float32"), method=ta.GuidedIG(3))
    assert few.status[0] == "too_few_steps"
    assert few.gap[0] < -1
    assert ta.summarise([found]).mean is not None


def test_baselines_tensors_copies_and_equal_features():
    x, attributor = X.astype("float32"), attributor_for(score)
    below = np.stack([BELOW, 0 * BELOW]).astype("float32")
    method = ta.GuidedIG(20)
    alone = [attributor.attribute(x, baselines=one, method=method).attributions for one in below]
    both = attributor.attribute(x, baselines=ta.several(below), method=method)
    np.testing.assert_allclose(both.attributions, np.mean(alone, 0), rtol=1e-4, atol=1e-6)
    assert both.evaluations.tolist() == [40] * 3
    joined = ta.Attributor(lambda parts: score(tf.concat([parts["a"], tf.reshape(parts["b"], [-1, 4])], 1)))
    parts = joined.attribute({"a": x[:, :5], "b": x[:, 5:].reshape(3, 2, 2)}, method=method).attributions
    np.testing.assert_allclose(np.concatenate([parts["a"], parts["b"].reshape(3, 4)], 1), alone[1], rtol=1e-4, atol=1e-6)
    smooth = attributor.attribute(x, baselines=below[0], method=ta.SmoothGrad(method, 4, 1e-6), seed=0)
    np.testing.assert_allclose(smooth.attributions, alone[0], rtol=0.02, atol=1e-3)
    assert smooth.status.tolist() == ["not_estimated"] * 3
    assert smooth.evaluations.tolist() == [80] * 3
    same = attributor.attribute(x, baselines=x, method=method)
    np.testing.assert_array_equal(same.attributions, 0)


def test_what_does_not_fit_is_refused():
    assert_refused(lambda: ta.GuidedIG(0), "n_steps", "0")
    assert_refused(lambda: ta.GuidedIG(fraction=0), "fraction", "0.25")
    assert_refused(lambda: ta.GuidedIG(max_distance=1.5), "max_distance", "1.5")


def test_gradients_that_are_not_finite_end_the_path():
    root = ta.Attributor(lambda x: tf.reduce_sum(tf.sqrt(x), 1))
    assert_refused(lambda: root.attribute(np.ones((1, 3), "float32"), method=ta.GuidedIG(5)), "NaN or infinite", "example(s) 0")
