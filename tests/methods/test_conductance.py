"""Methods that look at a layer: conductance, internal influence, Grad-CAM, and single units as what is explained."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ..conftest import assert_refused
from ..helpers.layered import RNG, attributor_of, chained, nets

pytestmark = pytest.mark.usefixtures("double")
FINE = 160
# A loop of few operations in every run, the gates of an LSTM and a GRU by hand.
KINDS = ("mlp", "cnn", "rnn", pytest.param("lstm", marks=pytest.mark.slow))


@functools.cache
def slope_of(kind):
    """The score's gradient of a class behind the layer, compiled: eager mode takes recurrent layers ten times as long."""
    _, front, back, _ = nets(kind)

    @tf.function(autograph=False)
    def node(point, target):
        y = tf.convert_to_tensor(front(point))
        with tf.GradientTape() as tape:
            tape.watch(y)
            score = tf.gather(back(y), target, batch_dims=1)
        return tape.gradient(score, y)

    return node


def along(kind, target, n):
    """Nodes on the path from zeros to the inputs: weights, and the score's gradients at the layer there (n, batch, ...)."""
    *_, x = nets(kind)
    nodes, weights = np.polynomial.legendre.leggauss(n)
    at = [slope_of(kind)(tf.constant(alpha * x), tf.fill([len(x)], target)) for alpha in (nodes + 1) / 2]
    return weights / 2, np.stack(at)


def moved(front, x, alphas, step=1e-5):
    """dy/dalpha by central differences."""
    compiled = tf.function(lambda point: tf.convert_to_tensor(front(point)), autograph=False)
    at = lambda alpha: compiled(tf.constant(alpha * x)).numpy()  # noqa: E731
    return np.stack([(at(alpha + step) - at(alpha - step)) / (2 * step) for alpha in alphas])


@pytest.mark.parametrize("kind", KINDS)
def test_conductance_is_that_of_a_plain_loop_with_finite_differences(kind):
    _, front, _, x = nets(kind)
    result = attributor_of(kind, "seen").attribute(x, target=1, method=ta.Conductance(n_steps=24))
    weights, slopes = along(kind, 1, 24)
    alphas = (np.polynomial.legendre.leggauss(24)[0] + 1) / 2
    expected = np.einsum("n,n...->...", weights, slopes * moved(front, x, alphas))
    np.testing.assert_allclose(result.attributions, expected, atol=1e-8)
    np.testing.assert_allclose(result.attributions.reshape(len(x), -1).sum(1), result.difference, atol=1e-6)
    assert np.abs(result.difference).min() > 1e-4
    np.testing.assert_allclose(result.gap, 0, atol=1e-6)


@pytest.mark.parametrize("kind", [*KINDS[:2], *(pytest.param(one, marks=pytest.mark.slow) for one in ("rnn", "lstm"))])
def test_internal_influence_is_the_mean_gradient_of_a_plain_loop(kind):
    *_, x = nets(kind)
    result = attributor_of(kind, "seen").attribute(x, target=2, method=ta.InternalInfluence(n_steps=24))
    weights, slopes = along(kind, 2, 24)
    np.testing.assert_allclose(result.attributions, np.einsum("n,n...->...", weights, slopes), atol=1e-9)
    assert result.gap is None  # it claims no completeness
    assert np.abs(result.attributions).max() > 1e-4


@pytest.mark.parametrize(
    ("kind", "method"),
    [("mlp", ta.Conductance), ("cnn", ta.InternalInfluence)]  # to the refinement a loop is a score as any other
    + [pytest.param(kind, ta.InternalInfluence, marks=pytest.mark.slow) for kind in ("mlp", "rnn", "lstm")]
    + [pytest.param(kind, ta.Conductance, marks=pytest.mark.slow) for kind in ("cnn", "rnn", "lstm")],
)
def test_the_stated_accuracy_is_kept(kind, method):
    *_, x = nets(kind)
    attributor = attributor_of(kind, "seen")
    exact = attributor.attribute(4 * x, target=1, method=method(n_steps=FINE)).attributions
    axes = tuple(range(1, exact.ndim))
    for tolerance in (0.05, 0.005):
        result = attributor.attribute(4 * x, target=1, method=method(tolerance))
        error = np.abs(result.attributions - exact).sum(axes) / np.abs(exact).sum(axes)
        assert result.converged.all()
        assert np.all(error <= tolerance)
        assert np.all(error <= result.error_estimate)
        assert result.evaluations.max() < FINE


def test_at_the_input_itself_both_are_known():
    """Conductance of the input is integrated gradients; internal influence is these without x - x'."""
    *_, x = nets("mlp")
    attributor = attributor_of("mlp")
    ig = attributor.attribute(x, 0, method=ta.IntegratedGradients(n_steps=50)).attributions
    np.testing.assert_allclose(attributor.attribute(x, 0, method=ta.Conductance(n_steps=50)).attributions, ig, atol=1e-12)
    influence = attributor.attribute(x, 0, method=ta.InternalInfluence(n_steps=50)).attributions
    np.testing.assert_allclose(influence * x, ig, atol=1e-12)


def test_conductance_through_units_adds_up_both_ways():
    """Over units it is integrated gradients; over inputs the conductance of the unit (the paper's equations 2 and 3)."""
    *_, x = nets("mlp")
    at_input, at_layer = attributor_of("mlp"), attributor_of("mlp", "seen")
    steps = {"n_steps": 50}
    through = [
        at_input.attribute(x, 1, method=ta.Conductance(through=ta.layer("seen", unit=unit), **steps)).attributions
        for unit in range(7)
    ]
    ig = at_input.attribute(x, 1, method=ta.IntegratedGradients(**steps)).attributions
    units = at_layer.attribute(x, 1, method=ta.Conductance(**steps)).attributions
    np.testing.assert_allclose(np.sum(through, 0), ig, atol=1e-12)
    np.testing.assert_allclose(np.stack(through, 1).sum(2), units, atol=1e-12)
    whole = at_input.attribute(x, 1, method=ta.Conductance(through=ta.layer("seen"), **steps)).attributions
    np.testing.assert_allclose(whole, ig, atol=1e-12)


def test_a_channel_is_the_sum_of_its_positions():
    model, *_, x = nets("cnn")
    attributor, steps = attributor_of("cnn"), {"n_steps": 20}
    (rows, columns, _) = keras.Model(model.inputs, model.get_layer("seen").output).output_shape[1:]
    each = [
        attributor.attribute(x, 1, method=ta.Conductance(through=ta.layer("seen", unit=(i, j, 2)), **steps)).attributions
        for i in range(rows)
        for j in range(columns)
    ]
    channel = attributor.attribute(x, 1, method=ta.Conductance(through=ta.layer("seen", unit=(..., 2)), **steps)).attributions
    np.testing.assert_allclose(np.sum(each, 0), channel, atol=1e-12)
    assert np.abs(channel).max() > 1e-6


def test_what_goes_around_a_layer_is_the_gap():
    keras.utils.set_random_seed(5)
    inputs = keras.Input((4,), name="x")
    seen = layers.Dense(4, activation="tanh", name="seen")(inputs)
    model = keras.Model(inputs, layers.Dense(1)(layers.Activation("swish")(layers.Add()([inputs, seen]))))
    x = RNG.normal(size=(3, 4))
    attributor = ta.Attributor(model, at="seen")
    result = attributor.attribute(x, method=ta.Conductance(n_steps=40))
    back = chained(model.layers[-2:])
    nodes, weights = np.polynomial.legendre.leggauss(40)
    expected, alphas = np.zeros((3, 4)), (nodes + 1) / 2
    for alpha, weight, velocity in zip(alphas, weights / 2, moved(model.get_layer("seen"), x, alphas), strict=True):
        y = tf.constant(np.asarray(model.get_layer("seen")(alpha * x)))
        with tf.GradientTape() as tape:
            tape.watch(y)
            score = back(y + alpha * x)[:, 0]
        expected += weight * tape.gradient(score, y).numpy() * velocity
    np.testing.assert_allclose(result.attributions, expected, atol=1e-8)
    assert np.abs(result.gap).min() > 1e-3
    np.testing.assert_allclose(result.gap, expected.sum(1) - result.difference, atol=1e-8)
    assert any("around the layer" in note for note in result.notes)
    refined = attributor.attribute(x, method=ta.Conductance(0.002))
    assert refined.converged.all()
    np.testing.assert_allclose(refined.attributions, expected, atol=0.004 * np.abs(expected).sum(1).max())


def test_the_path_of_token_models_runs_at_the_embeddings():
    keras.utils.set_random_seed(6)
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            layers.Embedding(20, 4, mask_zero=True, name="words"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(5, activation="tanh", name="seen"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    ids = RNG.integers(1, 20, (4, 6)).astype("int32")
    ids[2, 3:] = 0
    attributor = ta.Attributor(model, at="seen")
    result = attributor.attribute(ids, method=ta.Conductance(0.01))
    assert result.attributions.shape == (4, 5)
    assert "the path runs at embeddings 'words'" in result.notes
    np.testing.assert_allclose(result.attributions.sum(1), result.difference, atol=1e-6)
    alone = attributor.attribute(ids[2:3], method=ta.Conductance(0.01))
    np.testing.assert_allclose(alone.attributions[0], result.attributions[2], atol=1e-8)


def test_a_path_in_front_of_the_layer():
    """path= moves the path: between two layers, baselines and completeness are those of the first."""
    model, *_, x = nets("mlp")
    attributor = attributor_of("mlp", model.layers[1].name)
    result = attributor.attribute(x, 0, method=ta.Conductance(n_steps=40, path="seen"))
    start = model.layers[2](model.layers[1](np.zeros((1, 7)))).numpy()[0, 0]
    np.testing.assert_allclose(result.baseline_scores, start, atol=1e-12)
    np.testing.assert_allclose(result.attributions.sum(1), result.scores - start, atol=1e-9)
    assert not np.allclose(result.attributions, attributor.attribute(x, 0, method=ta.Conductance(n_steps=40)).attributions)


def test_straight_through_gradients_are_heeded():
    """A gradient that the model defines itself is used forwards too: rounding that hands its gradient on."""

    @tf.custom_gradient
    def rounded(x):
        return tf.round(4 * x) / 4, lambda upstream: upstream

    keras.utils.set_random_seed(9)
    inputs = keras.Input((3,))
    seen = layers.Lambda(rounded, name="seen", output_shape=(3,))(layers.Dense(3, name="first")(inputs))
    model = keras.Model(inputs, layers.Dense(1)(seen))
    x = RNG.normal(size=(2, 3))
    result = ta.Attributor(model, at="seen").attribute(x, method=ta.Conductance(n_steps=5))
    kernel, last = model.get_layer("first").kernel.numpy(), model.layers[-1].kernel.numpy()[:, 0]
    np.testing.assert_allclose(result.attributions, x @ kernel * last, atol=1e-9)


# Grad-CAM


def test_grad_cam_is_that_of_a_plain_tape():
    model, front, back, x = nets("cnn")
    result = attributor_of("cnn").attribute(x, target=0, method="grad_cam")
    activation = front(tf.constant(x))
    with tf.GradientTape() as tape:
        tape.watch(activation)
        score = back(activation)[:, 0]
    weights = tape.gradient(score, activation).numpy().mean((1, 2), keepdims=True)
    np.testing.assert_allclose(result.attributions, (weights * activation.numpy()).sum(-1), atol=1e-12)
    assert "layer 'seen'" in result.at
    assert result.attributions.min() < 0 < result.attributions.max()  # before the ReLU
    other = attributor_of("cnn").attribute(x, target=0, method=ta.GradCam(model.layers[0]))
    assert other.attributions.shape == (3, 7, 7)
    named = attributor_of("cnn", model.layers[0].name).attribute(x, target=0, method="grad_cam")
    np.testing.assert_array_equal(named.attributions, other.attributions)


@pytest.mark.parametrize(
    ("make", "last"),
    [
        (
            lambda: [
                layers.Conv2D(2, 3, name="a"),
                layers.BatchNormalization(name="b"),
                layers.ReLU(name="c"),
                layers.MaxPooling2D(name="d"),
                layers.Dropout(0.1),
                layers.GlobalAveragePooling2D(),
            ],
            "c",
        ),
        (lambda: [layers.Conv2D(2, 3, name="a"), layers.Flatten(), layers.Dense(4, name="b")], "a"),
        (
            lambda: [
                keras.Sequential([layers.Conv2D(2, 3, name="a"), layers.ReLU(name="b")], name="body"),
                layers.GlobalMaxPooling2D(),
            ],
            "body",
        ),
    ],
)
def test_the_layer_that_grad_cam_takes(make, last):
    model = keras.Sequential([keras.Input((8, 8, 1)), *make(), layers.Dense(3)])
    result = ta.Attributor(model).attribute(RNG.normal(size=(1, 8, 8, 1)), target=1, method="grad_cam")
    assert last in result.at


def test_grad_cam_needs_positions(cnn, images):
    *_, x = nets("mlp")
    assert_refused(lambda: attributor_of("mlp").attribute(x, method="grad_cam"), "positions and channels", "GradCam(layer")
    assert_refused(lambda: ta.Attributor(cnn).attribute(images, method=ta.GradCam(cnn.layers[3])), "(54,)", "GradCam(layer")


# the ends of what can be looked at


def test_the_head_itself_is_looked_at_to_a_stated_accuracy():
    model, *_, x = nets("mlp")
    head = model.layers[-1].name
    result = attributor_of("mlp", head).attribute(x, target=1, method=ta.Conductance(0.01))
    np.testing.assert_allclose(result.attributions[:, 1], result.difference, atol=1e-3)
    np.testing.assert_allclose(result.attributions[:, [0, 2]], 0, atol=1e-12)


def test_several_inputs_keep_their_structure():
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    model = keras.Model([left, right], layers.Dense(2, activation="softmax")(layers.Concatenate()([left, right])))
    x = {"left": RNG.normal(size=(2, 3)), "right": RNG.normal(size=(2, 2))}
    attributor = ta.Attributor(model)
    for method in (ta.IntegratedGradients(n_steps=9), ta.Conductance(n_steps=9), ta.InternalInfluence(n_steps=9)):
        found = attributor.attribute(x, 0, method=method).attributions
        assert set(found) == {"left", "right"}
        assert found["left"].shape == (2, 3)


def test_paths_that_do_not_lead_to_the_layer(cnn):
    model, *_, x = nets("cnn")
    assert_refused(
        lambda: attributor_of("cnn", model.layers[0].name).attribute(x, 1, method=ta.Conductance(path="seen")),
        "path must run in front of",
        "path='seen' does not",
    )
    assert_refused(lambda: ta.Conductance(path=3), "path= says where the path runs")
    sequence = keras.Sequential(
        [keras.Input((5, 2)), layers.SimpleRNN(3, return_sequences=True), layers.Dense(4, activation="softmax")]
    )
    assert_refused(
        lambda: ta.Attributor(sequence).attribute(RNG.normal(size=(1, 5, 2)), (1, 2), method="grad_cam"),
        "positions of its own",
        "GradCam(layer",
    )
