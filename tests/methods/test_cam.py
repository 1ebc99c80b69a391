"""Class activation maps and guided maps, each held against a second implementation in plain TensorFlow, and closed forms."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ..conftest import assert_refused
from ..helpers.shared import attributor_for

pytestmark = pytest.mark.usefixtures("double")
RNG = np.random.default_rng(17)
IMAGES, TARGETS = RNG.normal(size=(3, 12, 10, 2)), np.array([2, 0, 1])
CAMS = [ta.GradCam, ta.GradCamPlusPlus, ta.LayerCam, ta.ScoreCam]


def seeded(make):
    """A model with the same weights at every call, made once."""

    @functools.cache
    def made():
        keras.utils.set_random_seed(21)
        return make()

    return made


@seeded
def net():
    return keras.Sequential(
        [
            keras.Input((12, 10, 2), name="image"),
            layers.Conv2D(4, 3, activation="relu", name="first"),
            layers.MaxPooling2D(),
            layers.Conv2D(5, 2, activation="relu", name="seen"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, name="head"),
        ]
    )


def activations_and_gradients(model, x, target, name="seen"):
    """Of a layer of a Sequential model, by a tape."""
    names = [layer.name for layer in model.layers]
    value = tf.constant(x)
    for layer in model.layers[: names.index(name) + 1]:
        value = layer(value)
    with tf.GradientTape() as tape:
        tape.watch(value)
        after = value
        for layer in model.layers[names.index(name) + 1 :]:
            after = layer(after)
        score = tf.gather(after, target, batch_dims=1)
    return value.numpy(), tape.gradient(score, value).numpy()


def by_hand(method, a, g):
    """The map of activations and gradients (n, *positions, channels), one example, channel and position after the other."""
    maps = np.zeros(a.shape[:-1])
    for i in range(len(a)):
        for k in range(a.shape[-1]):
            activation, gradient = a[i, ..., k], g[i, ..., k]
            weight = gradient.mean()
            if method is ta.GradCamPlusPlus:
                weight = 0
                for place in np.ndindex(gradient.shape):
                    slope = gradient[place]
                    below = 2 * slope**2 + activation.sum() * slope**3
                    weight += slope**2 / below * max(slope, 0) if below else 0
            maps[i] += (np.maximum(gradient, 0) if method is ta.LayerCam else weight) * activation
    return maps


@pytest.mark.parametrize("method", CAMS[:3])
@pytest.mark.parametrize("layer", ["seen", "first"])
def test_a_map_is_that_of_a_plain_tape(method, layer):
    result = attributor_for(net()).attribute(IMAGES, TARGETS, method=method(layer))
    expected = by_hand(method, *activations_and_gradients(net(), IMAGES, TARGETS, layer))
    np.testing.assert_allclose(result.attributions, expected, atol=1e-12)
    assert np.abs(expected).max() > 1e-3
    assert (result.kind, result.place, result.gap) == ("map", "layer", None)


def test_of_a_linear_head_over_pooled_channels_all_are_known():
    """F = sum over k of w_k · mean A_k + b: class activation mapping (Zhou et al. 2016, arXiv:1512.04150) is sum of w_k A_k."""
    attributor, a = attributor_for(net()), activations_and_gradients(net(), IMAGES, TARGETS)[0]
    kernel, positions = net().get_layer("head").get_weights()[0][:, TARGETS].T, a[0, ..., 0].size
    w = kernel[:, None, None] / positions
    found = {method: attributor.attribute(IMAGES, TARGETS, method=method()).attributions for method in CAMS[:3]}
    np.testing.assert_allclose(found[ta.GradCam], (w * a).sum(-1), atol=1e-12)
    np.testing.assert_allclose(found[ta.LayerCam], (np.maximum(w, 0) * a).sum(-1), atol=1e-12)
    positive = np.maximum(w, 0) * positions / (2 + w * a.sum((1, 2), keepdims=True))
    np.testing.assert_allclose(found[ta.GradCamPlusPlus], (positive * a).sum(-1), atol=1e-12)
    bias = net().get_layer("head").get_weights()[1][TARGETS]
    np.testing.assert_allclose(found[ta.GradCam].sum((1, 2)), attributor.attribute(IMAGES, TARGETS).scores - bias, atol=1e-12)


def test_small_gradients_are_no_zeros():
    """g² of 1e-30 is below the smallest float32: the quotient of powers would be 0 / 0."""
    model = keras.Sequential([keras.Input((4, 4, 1), dtype="float32"), layers.Conv2D(2, 1, dtype="float32", name="seen")])
    model.add(layers.Lambda(lambda y: 1e-30 * tf.reduce_mean(y, (1, 2)), output_shape=(2,), dtype="float32"))
    model.layers[0].set_weights([np.ones((1, 1, 1, 2)), np.zeros(2)])
    x = np.ones((1, 4, 4, 1), "float32")
    found = ta.Attributor(model).attribute(x, 1, method=ta.GradCamPlusPlus("seen")).attributions
    np.testing.assert_allclose(found, 1e-30 / 2, rtol=1e-5)


def test_grad_cam_plus_plus_has_no_pole_where_activations_are_negative():
    """F = w · mean A of one channel that is -1 and 0.5: g Σ A = w · mean A = -2 at w = 8, and the formula would divide by 0."""
    model = keras.Sequential([keras.Input((1, 2, 1)), layers.Conv2D(1, 1, name="seen"), layers.GlobalAveragePooling2D()])
    model.add(layers.Dense(1))
    x, attributor = np.array([-1.0, 0.5]).reshape(1, 1, 2, 1), ta.Attributor(model)
    for w in (7.9, 8.0, 8.1):
        model.set_weights([np.ones((1, 1, 1, 1)), np.zeros(1), np.full((1, 1), w), np.zeros(1)])
        found = attributor.attribute(x, method=ta.GradCamPlusPlus("seen")).attributions
        weight = 2 * (w / 2) / (2 + w / 2 * 0.5)  # of two positions with g = w / 2, and 0.5 as the sum over what is positive
        np.testing.assert_allclose(found, weight * x[..., 0], rtol=1e-12)


def test_units_say_of_what_maps_are():
    """Gradients times activations are in the unit of the score, differences of scores times activations are not."""
    units = {
        method: attributor_for(net()).attribute(IMAGES[:1], 0, method=method).attribution_unit
        for method in ("grad_cam", "grad_cam_plus_plus", "layer_cam", "score_cam", ta.ScoreCam(softmax=True), "rise")
    }
    assert list(units.values()) == ["raw, as gradient × activation"] * 3 + ["raw × activation", "activation", "raw"]


def score_cam_by_hand(model, x, target, baseline, softmax=False):
    a, _ = activations_and_gradients(model, x, target)
    score = lambda images: np.asarray(model(images))[np.arange(len(target)), target]  # noqa: E731
    weights = np.zeros((len(x), a.shape[-1]))
    for k in range(a.shape[-1]):
        mask = tf.image.resize(a[..., k : k + 1], x.shape[1:3]).numpy().astype("float64")
        least, most = mask.min((1, 2), keepdims=True), mask.max((1, 2), keepdims=True)
        mask = (mask - least) / np.where(most > least, most - least, 1)
        weights[:, k] = score(baseline + mask * (x - baseline)) - score(np.broadcast_to(baseline, x.shape))
    weights[a.max((1, 2)) == a.min((1, 2))] = -np.inf if softmax else 0
    if softmax:
        weights = np.exp(weights) / np.exp(weights).sum(1, keepdims=True)
    return (weights[:, None, None] * a).sum(-1)


@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("baseline", [0.0, 0.3])
def test_score_cam_is_that_of_a_plain_loop(softmax, baseline):
    method = ta.ScoreCam(softmax=softmax)
    result = attributor_for(net()).attribute(IMAGES, TARGETS, ta.constant(baseline), method)
    expected = score_cam_by_hand(net(), IMAGES, TARGETS, baseline, softmax)
    np.testing.assert_allclose(result.attributions, expected, atol=2e-6)  # tf.image.resize works in float32
    assert np.abs(expected).max() > 0.01
    assert result.forward_evaluations[0] == 5 + 2
    assert (result.at, result.path_at) == ("layer 'seen'", "inputs")


def test_score_cam_averages_over_baselines():
    baselines = RNG.normal(size=(3, 12, 10, 2))
    found = attributor_for(net()).attribute(IMAGES, TARGETS, ta.several(baselines), ta.ScoreCam()).attributions
    each = [score_cam_by_hand(net(), IMAGES, TARGETS, one) for one in baselines]
    np.testing.assert_allclose(found, np.mean(each, 0), atol=2e-6)


def test_score_cam_of_a_channel_that_is_constant():
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(2, 1, name="seen"), layers.GlobalAveragePooling2D()])
    model.set_weights([np.array([[[[1.0, 0.0]]]]), np.array([0.0, 3.0])])
    found = ta.Attributor(model).attribute(IMAGES[:, :4, :4, :1], 0, method=ta.ScoreCam("seen")).attributions
    a = IMAGES[:, :4, :4, 0]
    mask = (a - a.min((1, 2), keepdims=True)) / np.ptp(a, (1, 2), keepdims=True)
    np.testing.assert_allclose(found, (mask * a).mean((1, 2), keepdims=True) * a, atol=1e-6)


# guided backpropagation, deconvolution, and Grad-CAM times the former


def rectified(rule):
    """ReLU whose gradient is that of the rule."""

    @tf.custom_gradient
    def relu(x):
        passed = tf.ones_like(x) if rule == "deconvolution" else tf.cast(x > 0, x.dtype)
        return tf.nn.relu(x), lambda upstream: tf.nn.relu(upstream) * passed

    return relu


def gradient_by(rule, x, target):
    first, second, head = (net().get_layer(name).get_weights() for name in ("first", "seen", "head"))
    relu, value = rectified(rule), tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(value)
        hidden = relu(tf.nn.conv2d(value, first[0], 1, "VALID") + first[1])
        hidden = relu(tf.nn.conv2d(tf.nn.max_pool2d(hidden, 2, 2, "VALID"), second[0], 1, "VALID") + second[1])
        score = tf.gather(tf.reduce_mean(hidden, (1, 2)) @ head[0] + head[1], target, batch_dims=1)
    return tape.gradient(score, value).numpy()


@pytest.mark.parametrize(("method", "rule"), [("guided_backprop", "guided"), ("deconvolution", "deconvolution")])
def test_gradients_through_rectifiers_are_those_of_custom_gradients(method, rule):
    result = attributor_for(net()).attribute(IMAGES, TARGETS, method=method)
    np.testing.assert_allclose(result.attributions, gradient_by(rule, IMAGES, TARGETS), atol=1e-12)
    assert np.abs(result.attributions).max() > 1e-3
    assert result.attribution_unit.endswith("per unit of input")


def test_deconvolution_and_guided_backpropagation_are_not_the_same():
    """At x < 0 the rectifier is off: only deconvolution hands on what comes from above."""
    attributor = ta.Attributor(lambda x: tf.nn.relu(x) @ tf.constant([[2.0], [-1.0], [3.0]], x.dtype))
    x = np.array([[1.0, 1.0, -1.0]])
    found = {name: attributor.attribute(x, 0, method=name).attributions[0] for name in ("deconvolution", "guided_backprop")}
    np.testing.assert_array_equal(found["deconvolution"], [2, 0, 3])
    np.testing.assert_array_equal(found["guided_backprop"], [2, 0, 0])
    assert "deconvolution" in ta.coverage(attributor, "deconvolution", x).rules["Relu"]


@pytest.mark.parametrize("layer", ["seen", "first"])
def test_guided_grad_cam_is_the_product(layer):
    result = attributor_for(net()).attribute(IMAGES, TARGETS, method=ta.GuidedGradCam(layer))
    coarse = np.maximum(by_hand(ta.GradCam, *activations_and_gradients(net(), IMAGES, TARGETS, layer)), 0)
    fine = tf.image.resize(coarse[..., None], (12, 10)).numpy()
    np.testing.assert_allclose(result.attributions, gradient_by("guided", IMAGES, TARGETS) * fine, atol=1e-8)
    assert np.abs(result.attributions).max() > 1e-5
    assert (result.at, result.place, result.attribution_unit) == ("inputs", "inputs", "raw² per unit of input")
    assert any(f"layer '{layer}'" in note for note in result.notes)


def test_guided_grad_cam_of_a_layer_at_another():
    result = attributor_for(net(), at="first").attribute(IMAGES, TARGETS, method=ta.GuidedGradCam("seen"))
    assert result.attributions.shape == (3, 10, 8, 4)
    assert_refused(
        lambda: attributor_for(net(), at="seen").attribute(IMAGES, TARGETS, method=ta.GuidedGradCam("first")), "does not depend"
    )


# other ways in


@pytest.mark.parametrize(
    "method",
    # what others make of the same gradients is nothing that a call changes
    [
        ta.GradCam,
        *(pytest.param(one, marks=pytest.mark.slow) for one in CAMS[1:3]),
        ta.ScoreCam,
        lambda layer: ta.RISE(8, grid=3),
    ],
)
def test_a_model_that_is_called_gives_the_same(method):
    found, graph = (
        attributor_for(net(), eager=eager).attribute(IMAGES, TARGETS, method=method("seen"), seed=2) for eager in (True, None)
    )
    assert found.eager
    np.testing.assert_allclose(found.attributions, graph.attributions, atol=1e-6)


@pytest.mark.parametrize("method", ["deconvolution", "guided_grad_cam"])
def test_what_needs_a_graph_says_so(method):
    assert_refused(lambda: attributor_for(net(), eager=True).attribute(IMAGES, TARGETS, method=method), "as a graph")


def test_an_exported_model_gives_the_same(tmp_path):
    folder = str(tmp_path / "export")
    net().export(folder, verbose=False)
    attributor = ta.Attributor(folder)
    names = [one.name for one in attributor.work(IMAGES, 0, method="gradient").session._traced.function.graph.get_operations()]
    (seen,) = [name for name in names if name.endswith(("seen_1/Relu", "seen/Relu"))]
    plain = attributor_for(net())
    for method in [
        ta.GradCam,
        ta.ScoreCam,
        ta.GuidedGradCam,
    ]:  # which of its tensors is looked at is all that an export changes
        found = attributor.attribute(IMAGES, TARGETS, method=method(ta.tensor(f"{seen}:0"))).attributions
        np.testing.assert_allclose(found, plain.attribute(IMAGES, TARGETS, method=method()).attributions, atol=1e-6)
        refused = lambda method=method: attributor.attribute(IMAGES, TARGETS, method=method())  # noqa: E731
        assert_refused(refused, f"ta.{method.__name__}(ta.tensor(name))")


@seeded
def with_a_table():
    image, table = keras.Input((12, 10, 2), name="image"), keras.Input((3,), name="table")
    seen = layers.Conv2D(4, 3, activation="relu", name="seen")(image)
    both = layers.Concatenate()([layers.GlobalAveragePooling2D()(seen), table])
    return keras.Model([image, table], layers.Dense(3)(layers.Dense(6, activation="tanh")(both)))


def test_of_several_inputs_one_is_masked():
    attributor, x = attributor_for(with_a_table()), [IMAGES, RNG.normal(size=(3, 3))]
    assert_refused(lambda: attributor.attribute(x, 0, method="score_cam"), "several", "masked=ta.inputs(name)")
    assert_refused(lambda: attributor.attribute(x, 0, method=ta.ScoreCam(masked=ta.inputs("table"))), "masked=", "'table'")
    assert_refused(lambda: attributor.attribute(x, 0, method="guided_grad_cam"), "(3,)", "ta.inputs(name)")
    assert_refused(lambda: attributor.attribute(x, 0, method="rise"), "at=ta.inputs(name)")
    found = attributor.attribute(x, 0, method=ta.ScoreCam(masked=ta.inputs("image"))).attributions
    np.testing.assert_allclose(attributor.attribute(x, 0, method="gradient").scores, with_a_table()(x)[:, 0])
    seen = keras.Model(with_a_table().inputs, with_a_table().get_layer("seen").output)
    a = np.asarray(seen(x))
    weights = np.zeros((3, 4))
    for k in range(4):
        mask = tf.image.resize(a[..., k : k + 1], (12, 10)).numpy()
        mask = (mask - mask.min((1, 2), keepdims=True)) / np.ptp(mask, (1, 2), keepdims=True)
        # the table stays as it is
        weights[:, k] = (with_a_table()([mask * IMAGES, x[1]]) - with_a_table()([0 * IMAGES, x[1]]))[:, 0]
    np.testing.assert_allclose(found, (weights[:, None, None] * a).sum(-1), atol=1e-6)
    at_image = attributor_for(with_a_table(), at=ta.inputs("image"))
    assert at_image.attribute(x, 0, method="guided_grad_cam").attributions.shape == IMAGES.shape


def test_a_score_over_two_classes_has_the_sum_of_their_maps():
    """Grad-CAM and Score-CAM are linear in the score; those that take positive parts are not."""
    both = ta.Attributor(net(), of=ta.score(lambda outputs: 2 * outputs[:, 0] - 3 * outputs[:, 1]))
    for method in CAMS:
        one, two = (attributor_for(net()).attribute(IMAGES, k, method=method()).attributions for k in (0, 1))
        off = np.abs(both.attribute(IMAGES, method=method()).attributions - 2 * one + 3 * two).max()
        assert (off < 1e-6) == method().linear
    assert not ta.ScoreCam(softmax=True).linear


def test_layers_that_will_not_do(table):
    x = RNG.normal(size=(2, 4))
    for method in [*CAMS, ta.GuidedGradCam]:
        name = method.__name__
        assert_refused(lambda method=method: attributor_for(table).attribute(x, 0, method=method()), name, "positions")
        flat = lambda method=method: attributor_for(net()).attribute(IMAGES, 0, method=method("head"))  # noqa: E731
        assert_refused(flat, name, "positions and channels", "'seen'", "(None, 4, 3, 5)")
        assert_refused(lambda method=method: method(7), "at must be")
    assert_refused(lambda: ta.ScoreCam(softmax=1), "softmax must be True or False")
    assert_refused(lambda: ta.ScoreCam(masked=7), "masked= says what is masked")


def test_what_is_drawn_over_noisy_copies():
    found = attributor_for(net()).attribute(IMAGES, TARGETS, method=ta.SmoothGrad("layer_cam", 3), seed=0)
    assert found.attributions.shape == (3, 4, 3)
    for inner in ("score_cam", "rise"):
        assert_refused(lambda inner=inner: ta.SmoothGrad(inner, 3), "must be a method that takes gradients")
