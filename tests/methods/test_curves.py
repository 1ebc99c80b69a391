"""Integrated gradients along a path of one's own: the same total, other parts, and an accuracy that holds."""

import functools
import types

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.engine.curves import CurveScore
from tf_attrib.engine.row import Row

from ..conftest import assert_refused

X = np.array([[2.0, 3.0]], "float32")


@functools.cache
def product():
    return ta.Attributor(lambda x: x[:, 0] * x[:, 1])


def straight(baseline, x, alpha):
    return baseline + alpha * (x - baseline)


def second_late(baseline, x, alpha):
    """(alpha x0, alpha² x1)"""
    return baseline + tf.concat([alpha, alpha**2], 1) * (x - baseline)


def one_after_the_other(baseline, x, alpha):
    """The first feature comes in, then the second."""
    return baseline + tf.clip_by_value(tf.concat([2 * alpha, 2 * alpha - 1], 1), 0, 1) * (x - baseline)


def around(baseline, x, alpha):
    """A detour by features' neighbours."""
    return straight(baseline, x, alpha) + tf.sin(np.pi * alpha) * tf.roll(x - baseline, 1, 1)


REFINED, FIXED = {"tolerance": 0.01}, {"rule": "midpoint", "n_steps": 200}


@pytest.mark.parametrize(
    ("path", "expected", "accuracy"),
    [(straight, (3, 3), FIXED), (second_late, (2, 4), FIXED), (one_after_the_other, (0, 6), REFINED)]
    + [
        pytest.param(*case, marks=pytest.mark.slow)
        for case in (
            (straight, (3, 3), REFINED),
            (second_late, (2, 4), REFINED),
            (one_after_the_other, (0, 6), FIXED),
        )
    ],
)
def test_the_total_does_not_depend_on_the_path_and_the_parts_do(path, expected, accuracy):
    """x0 · x1 at (2, 3) against zeros: 6 in all. x1 dx0 and x0 dx1 are ∫ 3 alpha^k · 2 and so on."""
    found = product().attribute(X, method=ta.IntegratedGradients(path=path, **accuracy))
    np.testing.assert_allclose(found.attributions[0], expected, atol=0.02)
    np.testing.assert_allclose(found.attributions.sum(), 6, atol=1e-3)
    np.testing.assert_allclose(found.gap, 0, atol=1e-3)


def test_a_straight_path_is_the_default_to_rounding():
    net = lambda x: tf.reduce_sum(tf.tanh(x[:, :1] * x) + x**3, 1)  # noqa: E731
    x = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")
    attributor = ta.Attributor(net)
    own, usual = (attributor.attribute(x, method=ta.IntegratedGradients(n_steps=9, path=path)) for path in (straight, None))
    np.testing.assert_allclose(own.attributions, usual.attributions, rtol=2e-5, atol=1e-6)
    # the slope at the end of another path is none of the gradient's at the input
    assert own.gradient_share is None
    assert usual.gradient_share is not None
    assert own.method == "IntegratedGradients(rule='gauss_legendre', n_steps=9, path=straight)"


def test_several_baselines_tensors_and_noisy_copies_go_the_path():
    below = np.array([[0.0, 0.0], [1.0, 1.0]], "float32")
    method = ta.IntegratedGradients(0.01, path=one_after_the_other)
    found = product().attribute(X, baselines=ta.several(below), method=method)
    # against (1, 1) the first gives 1 · (2 - 1), then the second 2 · (3 - 1)
    np.testing.assert_allclose(found.attributions[0], [(0 + 1) / 2, (6 + 4) / 2], atol=0.02)
    two = ta.Attributor(lambda inputs: inputs["a"][:, 0] * inputs["b"][:, 0])
    inputs = {"a": np.array([[2.0]], "float32"), "b": np.array([[3.0]], "float32")}
    each = two.attribute(inputs, method=ta.IntegratedGradients(0.01, path=lambda b, x, alpha: b + alpha**2 * (x - b)))
    np.testing.assert_allclose([each.attributions["a"][0, 0], each.attributions["b"][0, 0]], 3, atol=0.02)
    smooth = product().attribute(X, method=ta.SmoothGrad(method, n_samples=3, stddev=1e-4), seed=0)
    np.testing.assert_allclose(smooth.attributions[0], [0, 6], atol=0.03)


BAD = {
    "at 1 it is off x": lambda b, x, alpha: b + 0.9 * alpha * (x - b),
    "at 0 it is off baseline": lambda b, x, alpha: b + (1 + alpha) / 2 * (x - b),
    "no derivative": lambda b, x, alpha: b + tf.round(alpha) * (x - b),
    "must return a tensor": lambda b, x, alpha: 0.5,
    "jumps by 50%": lambda b, x, alpha: b + (alpha + tf.cast(alpha > 0.37, x.dtype)) / 2 * (x - b),
    "no step would see": lambda b, x, alpha: b + tf.sigmoid((alpha - 0.43) * 30_000) * (x - b),
    "not finite at alpha = 0": lambda b, x, alpha: b + tf.sqrt(alpha) * (x - b),
    "moves in steps": lambda b, x, alpha: b + (0.3 * alpha + 0.7 * tf.floor(alpha * 10_000) / 10_000) * (x - b),
    "NaN or infinite between": lambda b, x, alpha: straight(b, x, alpha) + 0 * tf.math.log(tf.abs(alpha - 0.5)),
}


@pytest.mark.parametrize("words", BAD)
def test_a_path_whose_numbers_would_be_wrong_is_refused(words):
    for method in (ta.IntegratedGradients(path=BAD[words]), ta.IntegratedGradients(path=BAD[words], n_steps=20)):
        assert_refused(functools.partial(product().attribute, X, method=method), words)


def test_what_is_no_path_and_what_knows_none_is_refused():
    assert_refused(lambda: ta.IntegratedGradients(path="inputs"), "function of (baseline, x, alpha)", "'inputs'")
    assert_refused(lambda: ta.diagnose(product(), X, method=ta.IntegratedGradients(path=straight)), "straight paths")

    def fails(baseline, x, alpha):
        raise ValueError("no such thing")

    assert_refused(
        lambda: product().attribute(X, method=ta.IntegratedGradients(path=fails)), "path(baseline, x, alpha)", "no such thing"
    )


def test_where_a_path_runs_fast_nodes_crowd():
    """A path that goes all its way between 0.41 and 0.46 where features cancel, so that no score tells where to look."""

    def sudden(baseline, x, alpha):
        return baseline + tf.clip_by_value((alpha - 0.41) * 20, 0, 1) * (x - baseline)

    def bump(x):
        """exp(-((x - 0.5) / 0.1)²) of the first feature less the second"""
        return tf.reduce_sum(tf.constant([1.0, -1.0], x.dtype) * tf.math.erf((x - 0.5) / 0.1), 1)

    found = ta.Attributor(bump).attribute(np.ones((1, 2), "float32"), method=ta.IntegratedGradients(0.05, path=sudden))
    assert found.converged[0]
    np.testing.assert_allclose(found.attributions[0], [2, -2], rtol=0.05)


def test_the_scores_that_tell_where_to_look_are_those_of_the_path(monkeypatch):
    seen, usual = [], CurveScore.__call__
    monkeypatch.setattr(CurveScore, "__call__", lambda self, *given: seen.append(self.curve) or usual(self, *given))
    product.__wrapped__().attribute(X, method=ta.IntegratedGradients(path=second_late))  # of which nothing is compiled
    assert seen == [second_late]
    row = Row({None: tf.constant(X)}, {None: tf.zeros([1, 2])}, {}, None, tf.constant([0.5]), None, None)
    function = types.SimpleNamespace(scores=lambda at, context, target: at[None][:, 0] * at[None][:, 1])
    np.testing.assert_allclose(usual(CurveScore(second_late), function, row)[0], [0.5 * 2 * 0.25 * 3])


def net(seed, activation, head):
    """A net of 12 features that computes in the format of what it is given."""
    rng = np.random.default_rng(seed)
    kernels = [rng.normal(size=shape) * 1.6 / np.sqrt(shape[0]) for shape in ((12, 24), (24, 24), (24, 3))]
    biases = [0.3 * rng.normal(size=size) for size in (24, 24, 3)]

    def function(x):
        for i, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
            x = x @ tf.constant(kernel, x.dtype) + tf.constant(bias, x.dtype)
            x = activation(x) if i < 2 else head(x)
        return x

    return function


def powers(baseline, x, alpha):
    """Each feature comes in at its own pace; the derivative is in `dense`."""
    return baseline + alpha ** tf.linspace(tf.cast(1, x.dtype), 4, 12) * (x - baseline)


def dense(function, path, x):
    """The same in float64 by Gauss-Legendre on 500 panels, with derivatives by hand: shares no code with the library."""
    nodes, weights = np.polynomial.legendre.leggauss(4)
    edges = np.linspace(0, 1, 501)
    alpha = (edges[:-1, None] + (nodes[None] + 1) / 2 / 500).reshape(-1, 1)
    if path is powers:
        p = np.linspace(1, 4, 12)
        points, velocity = alpha**p * x, p * alpha ** (p - 1) * x
    else:
        points = alpha * x + np.sin(np.pi * alpha) * np.roll(x, 1)
        velocity = x + np.pi * np.cos(np.pi * alpha) * np.roll(x, 1)
    points = tf.constant(points)
    with tf.GradientTape() as tape:
        tape.watch(points)
        scores = function(points)[:, 1]
    return (np.tile(weights / 1000, 500)[:, None] * tape.gradient(scores, points).numpy() * velocity).sum(0)


NETS = {"logits": (tf.nn.relu, tf.identity), "bent": (tf.nn.relu, tf.nn.softmax), "smooth": (tf.tanh, tf.nn.softmax)}


@pytest.mark.parametrize(
    ("kind", "path", "count"),
    [
        pytest.param("logits", powers, 3, marks=pytest.mark.slow),  # its rectifiers bend in the next, which ends in more
        ("bent", around, 3),
        ("smooth", powers, 3),
        *(pytest.param(kind, path, 8, marks=pytest.mark.slow) for kind in NETS for path in (powers, around)),
    ],
)
def test_what_converged_is_as_accurate_as_it_says(kind, path, count):
    activation, head = NETS[kind]
    function = net(3, activation, head)
    attributor = ta.Attributor(function)
    x = np.random.default_rng(4).normal(size=(count, 12))
    reference = np.stack([dense(function, path, one) for one in x.astype("float32").astype(float)])
    for tolerance in (0.05, 0.01):
        found = attributor.attribute(x.astype("float32"), 1, method=ta.IntegratedGradients(tolerance, path=path))
        error = np.abs(found.attributions - reference).sum(1) / np.abs(reference).sum(1)
        assert found.converged.all()
        assert (error <= tolerance).all(), (error, found.error_estimate)
