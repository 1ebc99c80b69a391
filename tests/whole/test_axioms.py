"""What every method of the table claims, held on small models of several kinds."""

import functools
import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ..conftest import make_cnn, make_mlp, make_recurrent_text

RNG = np.random.default_rng(5)
IMAGES = RNG.uniform(size=(5, 8, 8, 1)).astype("float32")
TOKENS = RNG.integers(1, 30, (5, 10)).astype("int32")
FEATURES = RNG.normal(size=(5, 5)).astype("float32")


MODELS = {"cnn": (make_cnn, IMAGES, None), "text": (make_recurrent_text, TOKENS, None), "mlp": (make_mlp, FEATURES, 1)}
METHODS = {name: method() for name, method in ta.METHODS.items()}
ALL = list(METHODS)


def those(needs_layer=False, **properties):
    """The names of the methods whose properties are these: what a method is exempt from, it says itself. What looks at a layer
    is held on models with positions, in test_cam and test_cam_layouts."""
    properties = {"needs_layer": needs_layer, "needs_images": False} | properties
    return [name for name, method in METHODS.items() if all(getattr(method, key) == value for key, value in properties.items())]


COMPLETE, AT_FEATURES = those(complete=True), those(at_features=True)
LAYERED = those(needs_layer=True)
# Of a table every method is held that takes one, of images and of a loop over tokens one of each way to evaluate rows: a path
# that is refined, fixed nodes, rules of operations, differences of scores, draws. All the others there are marked slow.
TELLING = {
    "cnn": ("integrated_gradients", "deeplift", "occlusion"),
    "text": ("integrated_gradients", "smoothgrad", "deeplift", "shapley_sampling"),
    "mlp": ("integrated_gradients", "guided_ig", "expected_gradients", "kernel_shap", "rise"),
}


def of_kinds(names, telling_alone=False):
    """(kind, method) for all of `names`: what gives a number for each position of a layer, or needs images, of images alone."""
    for kind in MODELS:
        for name in names:
            positions = METHODS[name].needs_layer or METHODS[name].needs_images
            if kind == "cnn" or not positions:
                quick = name in TELLING[kind] or (not telling_alone and (kind == "mlp" or positions))
                yield pytest.param(kind, name, marks=() if quick else pytest.mark.slow)


RUNS = [*of_kinds(ALL)]


@functools.cache
def attributor_of(kind, batch_size=None):
    """One for all tests of a kind of model: what one method compiled must not disturb the next."""
    return ta.Attributor(model_of(kind), batch_size=batch_size)


@functools.cache
def model_of(kind):
    keras.utils.set_random_seed(7)
    model = MODELS[kind][0]()
    STATES[kind] = state_of(model, kind)  # before anything looks at it
    return model


STATES = {}


def state_of(model, kind):
    """What must stay: weights, the names of what each layer has, and the prediction."""
    weights = [weight.copy() for weight in model.get_weights()]
    return weights, {layer.name: set(vars(layer)) for layer in model.layers}, model.predict(MODELS[kind][1], verbose=0)


# Functions of five features that axioms are told of, one score each: a method's rows are traced once for all of them.
FUNCTIONS = {
    "one differs": lambda x: tf.tanh(x[:, 0] + 2 * x[:, 1]) + x[:, 2],
    "a dummy": lambda x: tf.tanh(x[:, 0] * x[:, 2]) + 0 * x[:, 1],
    "first part": lambda x: tf.reduce_sum(tf.nn.relu(tf.tanh(x)), 1),
    "second part": lambda x: x[:, 0] * x[:, 1],
    "weighted sum": lambda x: -2 * tf.reduce_sum(tf.nn.relu(tf.tanh(x)), 1) + 3 * x[:, 0] * x[:, 1],
    "symmetric": lambda x: tf.nn.softplus(x[:, 0] + x[:, 1]) * x[:, 2] + tf.tanh(x[:, 0]) * tf.tanh(x[:, 1]),
}


@functools.cache
def functions():
    return ta.Attributor(lambda x: tf.stack([function(x) for function in FUNCTIONS.values()], 1))


def of_function(name, method, x, exactly=None):
    """The attributions of one of `FUNCTIONS` at rows of the first features; the others are zero, as at the baseline."""
    x = np.pad(np.asarray(x, "float32"), [(0, 0), (0, 5 - len(x[0]))])
    baselines = baselines_for(method, np.zeros((3, 5), "float32"))
    target = [*FUNCTIONS].index(name)
    return functions().attribute(x, target, baselines, exactly or method, seed=0).attributions


def baselines_for(name, inputs):
    return ta.dataset(inputs[:3]) if METHODS[name].needs_data else None


def exact(name):
    """A method to rounding, where by itself it is to a tolerance; and free to go where by itself it is held near a line."""
    if name == "guided_ig":
        return ta.GuidedIG(40, max_distance=1)
    return ta.METHODS[name](n_steps=40) if METHODS[name].control is not None else METHODS[name]


# Draws until something is sure take long in small blocks, and so do segments of images: what is held does not depend on how
# many there are.
FEWER = {
    "shapley_sampling": {"max_evaluations": 400},
    "kernel_shap": {"max_evaluations": 400},
    "lime": {"n_samples": 100},
    "rise": {"n_masks": 40},
    "guided_ig": {"n_steps": 20},
    "blur_ig": {"n_steps": 6},
    "xrai": {"segments": np.arange(64).reshape(8, 8) // 5},
}


def quick(name):
    """A method of few rows, where by itself it is one of many."""
    return ta.METHODS[name](**FEWER[name]) if name in FEWER else name


def attribute(attributor, name, inputs, method=None, **options):
    baselines = baselines_for(name, inputs)
    return attributor.attribute(inputs, method=method or name, baselines=baselines, seed=1, **options)


@functools.cache
def together(kind, name, batch_size=None):
    """The attributions of all examples of a kind of model."""
    _, inputs, target = MODELS[kind]
    return attribute(attributor_of(kind, batch_size), name, inputs, quick(name), target=target).attributions


def test_the_table_has_something_to_hold():
    assert set(COMPLETE) >= {"integrated_gradients"}
    # exemptions are few: a property that slipped would take most methods out
    assert set(LAYERED) == {"grad_cam", "grad_cam_plus_plus", "layer_cam", "score_cam", "guided_grad_cam"}
    assert {*AT_FEATURES, *LAYERED, *those(needs_images=True)} == set(ALL)
    assert len(those(linear=True)) >= len(AT_FEATURES) - 5
    assert len(those(dummies=True)) >= len(AT_FEATURES) - 2
    assert len(those(symmetric=True)) >= len(AT_FEATURES) - 5


@pytest.mark.parametrize(("kind", "method"), [*of_kinds(COMPLETE)])
def test_completeness(kind, method):
    _, inputs, target = MODELS[kind]
    as_usual = method == "blur_ig"  # which is complete as far as its path is followed
    result = attribute(attributor_of(kind), method, inputs, method if as_usual else quick(method), target=target)
    difference = result.difference
    np.testing.assert_allclose(result.attributions.reshape(5, -1).sum(1), difference, atol=2e-3 * np.abs(difference).max())
    np.testing.assert_allclose(result.gap, result.attributions.reshape(5, -1).sum(1) - difference, atol=1e-6)
    assert np.abs(difference).min() > 0


def test_completeness_of_expected_gradients_in_the_limit():
    _, inputs, target = MODELS["mlp"]
    result = attributor_of("mlp").attribute(inputs, target, ta.dataset(inputs), ta.ExpectedGradients(20000), seed=0)
    assert result.baseline_scores.shape == (5, 5)
    difference = result.scores - result.baseline_scores.mean(1)
    assert np.abs(result.gap).max() < 0.05 * np.abs(difference).max()


@pytest.mark.parametrize("method", AT_FEATURES)
def test_sensitivity_to_the_one_feature_that_differs(method):
    """Sensitivity (a): input and baseline differ in one feature, and so do the scores: that feature is not zero."""
    result = of_function("one differs", method, [[0.0, 0.7, 0.0]])
    assert np.abs(result[0, ..., 1]).max() > (0.001 if METHODS[method].kind == "square" else 0.1)


def beside_a_dummy(method):
    return of_function("a dummy", method, np.random.default_rng(6).normal(size=(3, 3)))


@pytest.mark.parametrize("method", those(at_features=True, dummies=True))
def test_a_dummy_feature_gets_nothing(method):
    """Sensitivity (b): the function does not depend on the feature."""
    result = beside_a_dummy(method)
    assert np.all(result[..., 1] == 0)
    assert np.any(result[..., 0] != 0)


@pytest.mark.parametrize("method", those(at_features=True, dummies=False))
def test_those_that_give_a_dummy_something_are_exempt_with_reason(method):
    result = np.abs(beside_a_dummy(method))
    assert 1e-3 * result.max() < result[..., 1].max() < result[..., 0].max()


def off_the_weighted_sum(name):
    """How far the attribution of a weighted sum of functions is from the weighted sum of theirs, and how large it is."""
    parts = ("first part", "second part", "weighted sum")
    one, two, whole = (of_function(part, name, FEATURES, exact(name)) for part in parts)
    return np.abs(whole + 2 * one - 3 * two).max(), np.abs(whole).max()


@pytest.mark.parametrize("method", those(at_features=True, linear=True))
def test_linearity(method):
    """The attribution of a weighted sum of functions is the weighted sum of theirs."""
    off, size = off_the_weighted_sum(method)
    assert off < 2e-5
    assert size > 0.1


@pytest.mark.parametrize("method", those(at_features=True, linear=False))
def test_those_that_are_not_linear_are_exempt_with_reason(method):
    off, size = off_the_weighted_sum(method)
    assert off > 0.01 * size


def of_alike(method):
    """The attributions of features of which the function treats the first two alike, and which are equal."""
    return of_function("symmetric", method, [[0.8, 0.8, -0.3], [0.2, 0.2, 0.5], [-0.5, -0.5, 1.0]])


@pytest.mark.parametrize("method", those(at_features=True, symmetric=True))
def test_symmetry(method):
    """Features that the function treats alike, equal in input and baseline, get the same."""
    result = of_alike(method)
    np.testing.assert_allclose(result[..., 0], result[..., 1], rtol=1e-6)
    assert np.abs(result[..., 0]).max() > 0


@pytest.mark.parametrize("method", those(at_features=True, symmetric=False))
def test_those_that_are_not_symmetric_are_exempt_with_reason(method):
    result = of_alike(method)
    assert np.abs(result[..., 0] - result[..., 1]).max() > 1e-3 * np.abs(result).max()


@functools.cache
def two_of_one_function():
    """Two networks that compute one function: units split in two and permuted, with a dead unit beside them."""
    first = make_mlp()
    one, two = first.layers
    second = keras.Sequential([keras.Input((5,)), layers.Dense(17, activation="tanh"), layers.Dense(3)])
    (kernel, bias), (out, last) = one.get_weights(), two.get_weights()
    order = np.random.default_rng(0).permutation(8)
    second.layers[0].set_weights([np.hstack([kernel[:, order], kernel, np.ones((5, 1))]), np.r_[bias[order], bias, 1.0]])
    second.layers[1].set_weights([np.vstack([out[order] * 0.25, out * 0.75, np.zeros((1, 3))]), last])
    return ta.Attributor(first), ta.Attributor(second)


@pytest.mark.parametrize("method", AT_FEATURES)
def test_implementation_invariance(method):
    results = [attribute(one, method, FEATURES, quick(method), target=2).attributions for one in two_of_one_function()]
    np.testing.assert_allclose(*results, atol=1e-5)


def test_min_of_x_and_five():
    """The paper's counter-example: at 8 the gradient is 0, yet the score moved by 5 from the baseline 0."""
    attributor = ta.Attributor(lambda x: tf.minimum(x[:, 0], 5.0))
    x = np.array([[8.0]], "float32")
    assert attributor.attribute(x, method="gradient").attributions[0, 0] == 0
    result = attributor.attribute(x, method=ta.IntegratedGradients(rule="midpoint", n_steps=800))
    assert abs(result.attributions[0, 0] - 5) < 0.01
    assert result.gradient_share[0] == 0
    assert "saturated" in repr(result)


@pytest.mark.parametrize(("kind", "method"), RUNS)
def test_an_example_does_not_depend_on_its_company(kind, method):
    _, inputs, target = MODELS[kind]
    options = {"method": quick(method), "baselines": baselines_for(method, inputs), "seed": 1, "target": target}
    all_of_them, some = together(kind, method), [4, 0, 2]
    rounding = 1e-6 * max(1, np.abs(all_of_them).max())
    alone = [attributor_of(kind).attribute(inputs[i : i + 1], **options).attributions for i in some]
    np.testing.assert_allclose(np.concatenate(alone), all_of_them[some], atol=rounding)
    fewer = attributor_of(kind).attribute(inputs[some], **options).attributions
    np.testing.assert_allclose(fewer, all_of_them[some], atol=rounding)


# How rows are shared out in blocks does not depend on the method: one of each way to evaluate them tells.
@pytest.mark.parametrize(("kind", "method"), [*of_kinds(ALL, telling_alone=True)])
def test_block_size_changes_rounding_alone(kind, method):
    one = together(kind, method)
    np.testing.assert_allclose(together(kind, method, 3), one, atol=1e-6 * max(1, np.abs(one).max()))


def test_every_argument_of_attribute_changes_some_result(cnn, images, capsys):
    attributor = ta.Attributor(cnn)
    plain = attributor.attribute(images, target=0).attributions
    changes = {
        "inputs": {"inputs": images[::-1], "target": 0},
        "target": {"target": 1},
        "baselines": {"target": 0, "baselines": ta.constant(0.3)},
        "method": {"target": 0, "method": "gradient"},
    }
    for name, options in changes.items():
        assert not np.allclose(plain, attributor.attribute(options.pop("inputs", images), **options).attributions), name
    noise = [attributor.attribute(images, 0, ta.uniform(1, 0.0, 1.0), seed=seed).attributions for seed in (1, 1, 2)]
    assert np.array_equal(noise[0], noise[1])
    assert not np.allclose(noise[0], noise[2])
    capsys.readouterr()
    attributor.attribute(images, 0, verbose=True)
    assert "attributing" in capsys.readouterr().err
    attributor.attribute(images, 0, verbose=False)
    assert capsys.readouterr().err == ""
    named = set(inspect.signature(ta.Attributor.attribute).parameters) - {"self"}
    assert named == {*changes, "seed", "verbose", "on_error"}  # on_error: test_accuracy


def test_every_argument_of_attributor_changes_some_result(cnn, images):
    plain = ta.Attributor(cnn).attribute(images)
    assert ta.Attributor(cnn, at="conv").attribute(images).attributions.shape == (5, 6, 6, 6)
    assert ta.Attributor(cnn, of="logits").attribute(images).unit == "logit"
    doubled = ta.Attributor(cnn, preprocess=lambda x: 2 * x).attribute(images, target=plain.target)
    assert not np.allclose(doubled.attributions, plain.attributions)
    blocks = ta.Attributor(cnn, batch_size=3)
    blocks.attribute(images)
    assert next(iter(blocks._sessions.values())).block == 3
    named = set(inspect.signature(ta.Attributor.__init__).parameters) - {"self"}
    # jit_compile: test_xla; memory: test_accuracy; signature: test_exported; allow_unsafe: test_keras_file;
    # eager: test_eager_routes
    others = {"jit_compile", "memory", "signature", "allow_unsafe", "eager", "class_names"}  # class_names: test_class_names
    assert named == {"model", "at", "of", "batch_size", "preprocess"} | others


@pytest.mark.parametrize(("kind", "method"), RUNS)
def test_the_model_is_left_as_it_was(kind, method):
    together(kind, method)
    weights, attributes, prediction = STATES[kind]
    found, its, now = state_of(model_of(kind), kind)
    for weight, was in zip(found, weights, strict=True):
        assert np.array_equal(weight, was)
    assert attributes == its
    assert np.array_equal(prediction, now)


def test_the_model_is_left_as_it_was_after_an_exception(images):
    class Fails(layers.Layer):
        ready = False

        def call(self, x):
            if self.ready:
                raise RuntimeError("no")
            return x

    fails = Fails()
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(2, 3), fails, layers.Flatten(), layers.Dense(2)])
    fails.ready = True
    with pytest.raises(ta.AttributionError, match="could not be traced"):
        ta.Attributor(model, eager=False)
    with pytest.raises(ta.AttributionError, match="no"):
        ta.Attributor(model).attribute(images)
    assert all("call" not in vars(layer) for layer in model.layers)
