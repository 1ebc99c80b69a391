"""DeepLIFT's published examples, figure by figure, and small nets against a second implementation in NumPy."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ...helpers.shared import attributor_for

RULES = [ta.DeepLift(), ta.DeepLift("reveal_cancel")]


def dense(units, kernel, bias, activation="relu"):
    """A Dense layer with these numbers."""
    layer = layers.Dense(units, activation=activation)
    layer.build((None, len(kernel)))
    layer.set_weights([np.asarray(kernel, "float32"), np.asarray(bias, "float32")])
    return layer


@functools.cache
def saturated():
    return keras.Sequential([keras.Input((2,)), dense(1, [[-1], [-1]], [1]), dense(1, [[-1]], [1], None)])


@pytest.mark.parametrize("method", RULES)
def test_saturation(method):
    """y = 1 - relu(1 - i1 - i2) is 1 from i1 + i2 = 1 on, where gradients are zero (arXiv:1704.02685, figure 1)."""
    attributor = attributor_for(saturated())
    x = np.array([[1, 1], [0.25, 0.25], [2, 0]], "float32")
    assert np.all(attributor.attribute(x[:1], method="gradient").attributions == 0)
    found = attributor.attribute(x, method=method).attributions
    np.testing.assert_allclose(found, [[0.5, 0.5], [0.25, 0.25], [1, 0]], atol=1e-6)


@functools.cache
def biased():
    return keras.Sequential([keras.Input((1,)), dense(1, [[1]], [-10])])


@pytest.mark.parametrize("method", RULES)
def test_a_threshold_with_a_bias(method):
    """y = relu(x - 10): gradient times input jumps from 0 to 10 at x = 10, DeepLIFT does not (figure 2)."""
    attributor = attributor_for(biased())
    x = np.array([[9.99], [10.01], [15]], "float32")
    jumps = attributor.attribute(x, method="gradient_times_input").attributions[:, 0]
    np.testing.assert_allclose(jumps, [0, 10.01, 15], rtol=1e-6)
    np.testing.assert_allclose(attributor.attribute(x, method=method).attributions[:, 0], [0, 0.01, 5], atol=1e-5)


def minimum_net():
    """i1 - relu(i1 - i2), which is min(i1, i2) (figure 3)."""
    inputs = keras.Input((2,))
    hidden = dense(1, [[1], [-1]], [0])(inputs)
    return keras.Model(inputs, inputs[:, :1] - hidden)


def test_the_minimum_gets_half_each_under_reveal_cancel_and_all_to_one_under_rescale():
    attributor = ta.Attributor(minimum_net())
    x = np.array([[3, 1], [5, 4], [1, 2]], "float32")
    rescale, cancel = (attributor.attribute(x, method=method) for method in RULES)
    np.testing.assert_allclose(rescale.attributions, [[0, 1], [0, 4], [1, 0]], atol=1e-6)
    np.testing.assert_allclose(cancel.attributions, [[0.5, 0.5], [2, 2], [0.5, 0.5]], atol=1e-6)


def test_the_maximum_of_two():
    """max = i1 + relu(i2 - i1) as a net, and as one operation: at (a, b) from (0, 0) both have the Shapley values max / 2."""
    inputs = keras.Input((2,))
    hidden = dense(1, [[-1], [1]], [0])(inputs)
    net = ta.Attributor(keras.Model(inputs, inputs[:, :1] + hidden))
    one = ta.Attributor(lambda x: tf.maximum(x[:, 0], x[:, 1]))
    x = np.array([[3, 1], [1, 4]], "float32")
    shapley = np.array([[2.5, 0.5], [0.5, 3.5]])
    np.testing.assert_allclose(one.attribute(x, method="deeplift").attributions, shapley, atol=1e-6)
    np.testing.assert_allclose(net.attribute(x, method=RULES[1]).attributions, shapley, atol=1e-6)
    np.testing.assert_allclose(net.attribute(x, method="deeplift").attributions, [[3, 0], [0, 4]], atol=1e-6)


# a second implementation, in float64


def relu(x):
    return np.maximum(x, 0)


def secant(x, reference):
    difference = x - reference
    same = difference == 0
    return np.where(same, x > 0, (relu(x) - relu(reference)) / np.where(same, 1, difference))


def cancelled(difference, kernel, a_reference, upstream):
    """RevealCancel and the Linear rule for y = relu(x W + b): multipliers at x."""
    up, down, rises, falls = relu(difference), -relu(-difference), relu(kernel), -relu(-kernel)
    plus, minus = up @ rises + down @ falls, up @ falls + down @ rises
    f = [relu(a_reference + part) for part in (0, plus, minus, plus + minus)]
    y_plus, y_minus = ((f[1] - f[0]) + (f[3] - f[2])) / 2, ((f[2] - f[0]) + (f[3] - f[1])) / 2
    slopes = [
        np.divide(y, a, out=0.5 * (a_reference > 0) + 0.5 * (a_reference + other > 0), where=np.abs(a) > 1e-7)
        for y, a, other in ((y_plus, plus, minus), (y_minus, minus, plus))
    ]
    m_plus, m_minus = (upstream * slope for slope in slopes)
    risen, fallen = m_plus @ rises.T + m_minus @ falls.T, m_plus @ falls.T + m_minus @ rises.T
    return np.where(difference > 0, risen, np.where(difference < 0, fallen, (m_plus + m_minus) @ kernel.T / 2))


def second_implementation(weights, x, reference, unit, rule):
    """Attributions of output `unit` of a ReLU net without activation at its end."""
    layers_, (kernel, _) = [], weights[-1]
    for one, offset in weights[:-1]:
        layers_.append((one, x, reference, x @ one + offset, reference @ one + offset))
        x, reference = relu(layers_[-1][3]), relu(layers_[-1][4])
    multipliers = np.broadcast_to(kernel[:, unit], x.shape)
    for one, inner, below, a, a_reference in reversed(layers_):
        multipliers = (
            cancelled(inner - below, one, a_reference, multipliers)
            if rule == "reveal_cancel"
            else (multipliers * secant(a, a_reference)) @ one.T
        )
    return multipliers * (layers_[0][1] - layers_[0][2])


@pytest.fixture(scope="module")
def deep():
    keras.utils.set_random_seed(11)
    spread = keras.initializers.RandomNormal(stddev=0.7)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            *(layers.Dense(9, "relu", kernel_initializer=spread, bias_initializer=spread) for _ in range(3)),
            layers.Dense(4, kernel_initializer=spread),
        ]
    )
    return model, [[part.astype(float) for part in layer.get_weights()] for layer in model.layers]


@pytest.mark.parametrize("method", RULES)
def test_a_net_of_rectifiers_against_the_second_implementation(deep, method):
    model, weights = deep
    rng = np.random.default_rng(2)
    x, reference = rng.normal(size=(2, 20, 6)).astype("float32")
    reference[:, 2] = x[:, 2]  # a feature that does not differ
    result = attributor_for(model).attribute(x, target=2, baselines=reference, method=method)
    wanted = second_implementation(weights, x.astype(float), reference.astype(float), 2, method.rule)
    np.testing.assert_allclose(result.attributions, wanted, atol=3e-6 * np.abs(wanted).max())
    assert np.all(result.attributions[:, 2] == 0)


def test_the_two_rules_differ(deep):
    model, _ = deep
    x = np.random.default_rng(2).normal(size=(3, 6)).astype("float32")
    one, two = (attributor_for(model).attribute(x, target=2, method=method).attributions for method in RULES)
    assert np.abs(one - two).max() > 0.1


@pytest.mark.parametrize("form", ["conv1d", "conv2d", "normalised", "sequence"])
def test_reveal_cancel_sees_through_bias_normalisation_and_reshapes(form):
    """Each layer is also a Dense one of a larger matrix, found by feeding it unit vectors."""
    keras.utils.set_random_seed(4)
    shape = {"conv1d": (5, 2), "conv2d": (4, 4, 1), "normalised": (4, 4, 1), "sequence": (3, 4)}[form]
    inputs = keras.Input(shape)
    linear = {"conv1d": layers.Conv1D(3, 2), "sequence": layers.Dense(3)}.get(form) or layers.Conv2D(3, 2)
    hidden = linear(inputs)
    if form == "normalised":
        normal = layers.BatchNormalization()
        hidden = normal(hidden)
        rng = np.random.default_rng(0)
        normal.set_weights([np.array([1.5, -0.8, 0.6]), rng.normal(size=3), rng.normal(size=3), rng.uniform(0.5, 2, 3)])
    before = keras.Model(inputs, layers.Flatten()(hidden))
    head = layers.Dense(2)
    model = keras.Model(inputs, head(layers.Flatten()(layers.Activation("relu")(hidden))))
    size = int(np.prod(shape))
    bias = before(np.zeros((1, *shape))).numpy().astype(float)
    kernel = before(np.eye(size, dtype="float32").reshape(size, *shape)).numpy().astype(float) - bias
    weights = [(kernel, bias[0]), tuple(part.astype(float) for part in head.get_weights())]
    x = np.random.default_rng(1).normal(size=(6, *shape)).astype("float32")
    result = ta.Attributor(model).attribute(x, target=1, method=RULES[1])
    wanted = second_implementation(weights, x.reshape(6, size).astype(float), np.zeros((6, size)), 1, "reveal_cancel")
    np.testing.assert_allclose(result.attributions.reshape(6, size), wanted, atol=1e-5 * np.abs(wanted).max())
    rescale = second_implementation(weights, x.reshape(6, size).astype(float), np.zeros((6, size)), 1, "rescale")
    assert np.abs(rescale - wanted).max() > 0.01 * np.abs(wanted).max()
