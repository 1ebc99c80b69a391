"""The rule that refines inside a graph: its nodes and weights, a second implementation in NumPy, and closed forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tests.helpers.exported import explain, relative
from tf_attrib.export import nested
from tf_attrib.export.refining import GAIN


@pytest.mark.parametrize(
    ("n", "weights"), [(2, [1 / 6, 2 / 3, 1 / 6]), (4, [1 / 30, 4 / 15, 2 / 5, 4 / 15, 1 / 30])], ids=["Simpson", "five nodes"]
)
def test_weights_of_clenshaw_and_curtis(n, weights):
    np.testing.assert_allclose(nested.clenshaw_curtis(n), weights, atol=1e-15)


def test_levels_are_nested_and_each_is_a_rule_of_its_degree():
    nodes, weights = nested.unit(5)
    assert (np.diff(nodes) > 0).all()
    for level, own in enumerate(weights):
        used, n = np.flatnonzero(own), 2 << level
        np.testing.assert_array_equal(used, np.arange(n + 1) * (32 // n))
        for power in range(n + 1):
            assert own @ nodes**power == pytest.approx(1 / (power + 1), abs=1e-14)


def test_a_path_never_has_more_nodes_than_it_may():
    for most in (17, 32, 33, 100, 1025, 5000):
        nodes = nested.PANELS * (nested.FEWEST << nested.levels(most) - 1) + 1
        assert nodes <= most < 2 * nodes


def edges(alphas, scores):
    """Where panels begin and end of a path whose score moves evenly enough."""
    moved = np.abs(np.diff(scores))
    measure = np.concatenate([[0], np.cumsum(moved / moved.sum() + np.diff(alphas))]) / 2
    return np.interp(np.arange(5) / 4, measure, alphas)


def second(score, slope, tolerance):
    """The rule for one path, level by level, each anew: the integral of `slope` (nodes, features), its error, and its nodes."""
    grid = np.linspace(0, 1, nested.CELLS + 1)
    ends, before, last, n = edges(grid, score(grid)), None, 0.0, nested.FEWEST
    while True:
        inner, weights = (1 - np.cos(np.pi * np.arange(n + 1) / n)) / 2, nested.clenshaw_curtis(n)
        alphas, width = ends[:-1, None] + np.diff(ends)[:, None] * inner, np.diff(ends)
        slopes, scores = slope(alphas.ravel()).reshape(4, n + 1, -1), score(alphas.ravel()).reshape(4, n + 1)
        found = np.einsum("k,pkf,p->f", weights, slopes, width)
        if before is not None:
            total = slopes.sum(2)
            cells = np.diff(scores, axis=1) - np.diff(alphas, axis=1) * (total[:, 1:] + total[:, :-1]) / 2
            whole = abs(found.sum() - (scores[-1, -1] - scores[0, 0]))
            differs = np.abs(found - before).sum()
            wrong, last = max(differs, GAIN * last, whole, np.abs(cells).sum()), differs
            error = wrong / np.abs(found).sum()
            if error <= tolerance:
                return found, error, 4 * n + 1
        before, n = found, 2 * n


WEIGHTS = np.array([[3.0, -1.0, 0.5], [-2.0, 4.0, 1.0]])


def smooth(x):
    return tf.reduce_sum(tf.tanh(x @ tf.constant(WEIGHTS, x.dtype)) * tf.constant([1.0, 2.0, -1.0], x.dtype), 1)


@pytest.mark.parametrize("tolerance", [*(pytest.param(one, marks=pytest.mark.slow) for one in (0.05, 1e-3)), 1e-6])
def test_against_a_second_implementation(tolerance):
    x, outer = np.array([1.2, 0.7]), np.array([1.0, 2.0, -1.0])

    def score(alphas):
        return np.tanh(alphas[:, None] * (x @ WEIGHTS)) @ outer

    def slope(alphas):
        return ((1 - np.tanh(alphas[:, None] * (x @ WEIGHTS)) ** 2) * outer) @ WEIGHTS.T * x

    attributor = ta.Attributor(smooth)
    found = explain(attributor, x[None].repeat(2, 0), ta.IntegratedGradients(tolerance))(x[None])
    wanted, error, nodes = second(score, slope, tolerance)
    assert found["evaluations"][0] == nodes
    np.testing.assert_allclose(found["attributions"][0], wanted, rtol=1e-9)
    assert found["error_estimate"][0] == pytest.approx(error, rel=1e-4)  # what rounding may explain is left out of it
    exact = (outer * np.tanh(x @ WEIGHTS) / (x @ WEIGHTS)) @ WEIGHTS.T * x  # each unit's gradient is parallel to its weights
    assert relative(found["attributions"][0], exact) <= tolerance


def bound(x):
    """Behind a norm: all that the score moves by lies within 1e-9 of the baseline."""
    return tf.reduce_sum(x[:, 1:] / tf.sqrt(1e-18 + tf.reduce_sum(tf.square(x), 1, keepdims=True)), 1)


def jumps(x):
    """By 3 where no gradient sees it."""
    return tf.reduce_sum(x, 1) + tf.where(x[:, 0] > 0.4, tf.constant(3.0, x.dtype), tf.constant(0.0, x.dtype))


@pytest.fixture(scope="module")
def to_a_hundredth():
    """The signature of both scores, one beside the other."""
    attributor = ta.Attributor(lambda x: tf.stack([bound(x), jumps(x)], 1))
    return explain(attributor, np.ones((2, 3)), ta.IntegratedGradients(0.01))


def test_a_norm_behind_which_the_score_moves_on_the_scale_of_log_alpha(to_a_hundredth):
    x = np.array([[3.0, 1.0, -2.0], [0.5, 2.0, 1.0]])
    found = to_a_hundredth(x, target=[0, 0])
    assert set(found["status"]) == {b"converged"}
    # x_i g_i integrates to closed forms of s = |x| / 1e-9: with r = asinh(s) and t = s / sqrt(1 + s^2)
    norm = np.linalg.norm(x, axis=1)
    s = norm / 1e-9
    own, moved = np.arcsinh(s) / norm, (np.arcsinh(s) - s / np.sqrt(1 + s * s)) / norm**3
    total = x[:, 1:].sum(1)
    wanted = -(x**2) * (total * moved)[:, None]
    wanted[:, 1:] += x[:, 1:] * own[:, None]
    errors = np.abs(found["attributions"] - wanted).sum(1) / np.abs(wanted).sum(1)
    assert (errors <= 0.01).all()


def test_a_jump_that_gradients_do_not_see_is_not_called_converged(to_a_hundredth):
    found = to_a_hundredth(np.ones((2, 3)), target=[1, 1])
    assert set(found["status"]) == {b"max_evaluations"}
    assert (found["error_estimate"] > 0.5).all()


@pytest.fixture(scope="module")
def kinked():
    """A net of many rectifiers, inputs, and what their attributions are."""
    keras.utils.set_random_seed(0)
    weights, biases = (keras.initializers.RandomNormal(0, spread, seed=i) for i, spread in enumerate((0.3, 0.5)))
    hidden = [keras.layers.Dense(24, "relu", kernel_initializer=weights, bias_initializer=biases) for _ in range(3)]
    attributor = ta.Attributor(keras.Sequential([keras.Input((6,)), *hidden, keras.layers.Dense(1)]))
    x = np.random.default_rng(0).normal(size=(60, 6)).astype("float32")
    return attributor, x, attributor.attribute(x, method=ta.IntegratedGradients(rule="midpoint", n_steps=2000)).attributions


@pytest.mark.parametrize("tolerance", [0.05, pytest.param(0.01, marks=pytest.mark.slow)])
def test_what_is_called_converged_behind_many_rectifiers_is_seldom_not(tolerance, kinked):
    """Two levels agree by chance where kinks are many: the difference alone is no error."""
    attributor, x, wanted = kinked
    found = explain(attributor, x, ta.IntegratedGradients(tolerance))(x)
    errors = np.abs(found["attributions"] - wanted).sum(1) / np.abs(wanted).sum(1)
    converged = found["status"] == b"converged"
    assert converged.mean() > 0.7
    assert np.mean(errors[converged] > tolerance) <= 0.02
    assert np.mean(errors > found["error_estimate"]) < 0.2
