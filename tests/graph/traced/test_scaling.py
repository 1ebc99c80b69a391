"""float16 has little range: scores are scaled before every backward pass, so that gradients neither overflow nor underflow."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ...helpers.shared import anew, attributor_for

RNG = np.random.default_rng(0)
X = RNG.uniform(0.1, 1, (3, 4)).astype("float32")


SIZES = np.array([1e-12, 1e9], "float32")


def factors(x):
    """The sum, taken in float16 behind a product there, times each of the sizes."""
    total = tf.reduce_sum(tf.cast(x, tf.float16) * tf.constant([1, 2, 3, 4], tf.float16), 1)
    return tf.cast(total, tf.float32)[:, None] * SIZES


@pytest.mark.parametrize("method", ["integrated_gradients", "deeplift", "guided_backprop", "smoothgrad"])
def test_gradients_of_any_size(method):
    x, target = np.tile(X, (2, 1)), np.repeat([0, 1], len(X))
    result = attributor_for(factors).attribute(x, target, method=method, seed=0, verbose=False)
    expected = SIZES[target][:, None] * np.array([1, 2, 3, 4]) * (x if result.gap is not None else 1)
    np.testing.assert_allclose(result.attributions, expected, rtol=1e-3)
    assert np.abs(result.attributions).min() > 0


@pytest.mark.parametrize("half", [tf.float16, tf.bfloat16])
def test_a_score_that_is_rounded_in_half_precision_is_no_jump(half):
    """Rounding moves the score by as much as a panel does: it is no error of the quadrature, and no path is too narrow."""
    attributor = ta.Attributor(lambda x: tf.cast(tf.reduce_sum(tf.cast(x, half) ** 2, 1), tf.float32))
    result = attributor.attribute(X, method=ta.IntegratedGradients(0.01), verbose=False)
    assert set(result.status) == {"converged"}
    np.testing.assert_allclose(result.attributions, X**2, rtol=0.02)


def by_row(x):
    """A factor of each row's own, from 2e-9 to 5e8."""
    return tf.stop_gradient(tf.exp(20 * x[:, 0])) * tf.cast(tf.reduce_sum(tf.cast(x, tf.float16), 1), tf.float32)


def test_each_row_has_a_scale_of_its_own_and_its_company_changes_no_bit():
    x = np.ones((3, 4), "float32")
    x[:, 0] = -1, 0, 1
    attributor = ta.Attributor(by_row)
    together = attributor.attribute(x, method="gradient", verbose=False).attributions
    np.testing.assert_allclose(together, np.exp(20 * x[:, :1]) * np.ones(4), rtol=1e-3)
    for i in range(3):
        np.testing.assert_array_equal(
            attributor.attribute(x[i : i + 1], method="gradient", verbose=False).attributions[0], together[i]
        )


def test_what_is_not_finite_at_any_scale_is_said_and_zero_stays_zero():
    def scores(x):
        root, dead = tf.sqrt(tf.nn.relu(tf.cast(x, tf.float16) - 1)), tf.nn.relu(tf.cast(x, tf.float16) - 9)
        return tf.cast(tf.stack([tf.reduce_sum(root, 1), tf.reduce_sum(dead, 1)], 1), tf.float32)

    attributor, x = ta.Attributor(scores), np.array([[2.0, 5.0], [1.0, 2.0]], "float32")
    result = attributor.attribute(x, 0, method="gradient", on_error="mark", verbose=False)
    np.testing.assert_allclose(result.attributions[0], [0.5, 0.25], rtol=1e-3)
    assert list(result.status) == ["", "not_finite"]
    assert np.isnan(result.attributions[1]).all()
    assert not attributor.attribute(x[:1], 1, method="gradient", verbose=False).attributions.any()


def image_net(policy):
    """A mean over many positions, so that each pixel's gradient lies below what float16 holds."""
    image, options = keras.Input((96, 96, 3)), {"dtype": policy}
    hidden = layers.Conv2D(4, 3, 2, activation="relu", name="conv", **options)(layers.Rescaling(1 / 255, **options)(image))
    hidden = layers.GlobalAveragePooling2D(**options)(hidden)
    return keras.Model(image, layers.Dense(10, activation="softmax", dtype="float32")(hidden))


@pytest.fixture(scope="module")
def nets():
    keras.utils.set_random_seed(3)
    half, full = image_net("mixed_float16"), image_net("float32")
    full.set_weights(half.get_weights())
    return half, full


@pytest.fixture(scope="module")
def explained(nets):
    """The attributors of both nets at a layer, or at their inputs."""
    return lambda at=None: [attributor_for(net, at=at) for net in nets]


METHODS = {  # and the layer that they are taken at
    "path": None,
    "deeplift": None,
    "conductance": "conv",
    "internal_influence": "conv",
    "grad_cam": None,
    "grad_cam_plus_plus": None,
    "layer_cam": None,
    "score_cam": None,
    "guided_grad_cam": None,
    "through": None,
}


# What other maps of a layer, and other paths to it, do with gradients is what these do; multipliers are in guided maps, too.
AS_OTHERS = ("deeplift", "internal_influence", "grad_cam", "grad_cam_plus_plus", "layer_cam", "score_cam")


@pytest.mark.parametrize("name", [pytest.param(one, marks=pytest.mark.slow) if one in AS_OTHERS else one for one in METHODS])
def test_every_path_agrees_with_the_same_net_in_float32(name, explained):
    x = RNG.uniform(0, 255, (1, 96, 96, 3)).astype("float32")
    # fixed nodes: a rule that refines need not take the same ones in both formats
    fixed = {
        "through": ta.Conductance(rule="midpoint", n_steps=2, through=ta.layer("conv", unit=(..., 1))),
        "path": ta.IntegratedGradients(rule="midpoint", n_steps=8),
    }
    half, full = (
        attributor.attribute(x, target=0, method=fixed.get(name, name), verbose=False).attributions
        for attributor in explained(METHODS[name])
    )
    assert np.abs(half - full).sum() < 0.02 * np.abs(full).sum()


def test_scaling_traces_nothing_twice(nets):
    attributor = anew(nets[0])
    x = RNG.uniform(0, 255, (2, 96, 96, 3)).astype("float32")
    attributor.attribute(x[:1], target=0, method="gradient", verbose=False)
    (session,) = attributor._sessions.values()
    programs, operations = dict(session._programs), len(session.function.traced.function.graph.get_operations())
    attributor.attribute(x, target=[1, 2], method="gradient", verbose=False)
    assert session._programs == programs
    assert len(session.function.traced.function.graph.get_operations()) == operations


def test_gradients_outside_of_rows_are_scaled_too(explained):
    x = RNG.uniform(0, 255, (2, 96, 96, 3)).astype("float32")
    attributor = explained()[0]
    session, ready, _ = attributor.prepare({None: x})
    found = session.gradients(session.selected(ready), ready, np.zeros((2, 1), np.int32))
    expected = attributor.attribute(x, target=0, method="gradient", verbose=False).attributions
    np.testing.assert_array_equal(next(iter(found.values())), expected)
    assert np.abs(expected).max() < 2.0**-16


def test_a_float32_net_is_not_scaled(explained):
    session, *_ = explained()[1].prepare({None: np.zeros((1, 96, 96, 3), "float32")})
    assert not session.function.narrow
    assert session.function.scale() is None


@pytest.mark.parametrize(
    ("inside", "size"),
    [(False, 1e6), (True, 1e-9)]
    + [pytest.param(*case, marks=pytest.mark.slow) for case in ((False, 1e-9), (False, 1.0), (True, 1e6))],
)
def test_differentiable_attributions_are_scaled_and_stay_differentiable(inside, size):
    weight = tf.Variable(3.0)

    def score(x):
        return size * tf.cast(tf.reduce_sum(tf.cast(x, tf.float16) * tf.cast(weight, tf.float16), 1), tf.float32)

    def loss(x):
        with tf.GradientTape() as tape:
            found = ta.integrated_gradients(score, x, n_steps=2)
            total = tf.reduce_sum(found) / size
        return found, tape.gradient(total, weight)

    found, slope = (tf.function(loss, autograph=False) if inside else loss)(tf.constant(X))
    np.testing.assert_allclose(found, 3 * size * X, rtol=2e-3)
    np.testing.assert_allclose(slope, X.sum(), rtol=2e-3)


def test_a_float32_function_inside_a_graph_is_differentiated_once():
    calls = []

    def score(x):
        calls.append(1)
        return tf.reduce_sum(x**2, 1) * 1e-9

    found = tf.function(lambda x: ta.integrated_gradients(score, x, n_steps=2), autograph=False)(tf.constant(X))
    assert len(calls) == 2
    np.testing.assert_allclose(found, ta.integrated_gradients(score, tf.constant(X), n_steps=2), rtol=1e-6)
