"""DeepLIFT beside figures of other implementations, which this one shares no code with.

The original: deeplift 0.6.13.0 of the package index, its layers run on tensorflow.compat.v1 of TensorFlow 2.21: Input, Dense
and Conv1D in the mode Linear, ReLU, Sigmoid and Tanh in the mode Rescale or RevealCancel, `get_target_contrib_vars`. Its unit
tests: kundajelab/deeplift, tests/layers (2018). captum 0.9.0 with torch 2.13, in float64:
`DeepLift(model).attribute(x, reference, target=target)`.
"""

import functools

import keras
import numpy as np
import pytest
from keras import layers

import tf_attrib as ta

from ...helpers.shared import attributor_for

RULES = {"rescale": ta.DeepLift(), "reveal_cancel": ta.DeepLift("reveal_cancel")}


def wave(shape, shift):
    """Numbers between -1 and 1 that any language computes alike."""
    return np.sin(shift + 1.7 * np.arange(np.prod(shape))).reshape(shape).astype("float32")


def filled(layer, inputs, shift):
    """`layer` on `inputs`, with a kernel and a bias of waves."""
    outputs = layer(inputs)
    kernel, bias = layer.get_weights()
    layer.set_weights([wave(kernel.shape, shift), wave(bias.shape, shift + 10)])
    return outputs


def net(shape, *stack):
    """A model of layers; those with weights are given with their shift."""
    inputs = outputs = keras.Input(shape)
    for part in stack:
        outputs = filled(part[0], outputs, part[1]) if isinstance(part, tuple) else part(outputs)
    return keras.Model(inputs, outputs)


@functools.cache
def dense_net(first="relu", second="relu"):
    return net((4,), (layers.Dense(6, first), 1), (layers.Dense(5, second), 2), (layers.Dense(3), 3))


X, REFERENCE = wave((2, 4), 4), wave((1, 4), 5)[0]


def lift(model, x, reference, target, rule="rescale"):
    return attributor_for(model).attribute(x, target=target, baselines=reference, method=RULES[rule]).attributions


DENSE = {
    "rescale": [[0.1157404, 0.2254918, -0.0103884, 0.5404668], [-0.0126046, 0.1111894, -0.0337794, 0.2485542]],
    "reveal_cancel": [[0.1184475, 0.3534807, -0.0025391, 0.4019216], [-0.0126076, 0.1115737, -0.0336240, 0.2480176]],
}
SERIES = {
    "rescale": [
        [-0.1519770, 0.5087160],
        [0.0058208, 0.9501427],
        [-0.2795726, 0.3897100],
        [-0.4105332, -0.4611703],
        [-0.3400148, -0.3476385],
        [-0.1790368, -0.1509348],
        [0.0336389, -0.0202768],
    ],
    "reveal_cancel": [
        [-0.1302794, 0.4466693],
        [0.0108316, 0.8707826],
        [-0.1979582, 0.4967723],
        [-0.5063190, -0.2910488],
        [-0.4526569, -0.3986902],
        [-0.1741905, -0.2081516],
        [0.0977699, -0.0166573],
    ],
}
CURVED = {
    ("sigmoid", "rescale"): [[-0.0564119, -0.1720750, 0.0009636, -0.1994928], [0.0044439, -0.0482617, 0.0079691, -0.0789401]],
    ("tanh", "rescale"): [[-0.0790517, 0.0238054, 0.0188213, -0.5519980], [0.0026038, 0.1463662, 0.0806144, -0.2137502]],
    ("sigmoid", "reveal_cancel"): [
        [-0.0565163, -0.1767396, 0.0006888, -0.1944492],
        [0.0045061, -0.0489383, 0.0076923, -0.0780489],
    ],
    ("tanh", "reveal_cancel"): [[-0.0789271, -0.0309286, 0.0147442, -0.4933114], [0.0030994, 0.1399180, 0.0776480, -0.2048310]],
}


@pytest.mark.parametrize("rule", RULES)
def test_dense_layers_as_the_original(rule):
    # where no contribution is positive, the original's RevealCancel divides what float32 leaves of a difference over 1e-7
    np.testing.assert_allclose(lift(dense_net(), X, REFERENCE, 1, rule), DENSE[rule], atol=3e-7 if rule == "rescale" else 2e-3)


@functools.cache
def convolutional_net():
    return net(
        (7, 2),
        (layers.Conv1D(3, 3, activation="relu"), 1),
        (layers.Conv1D(2, 2, activation="relu"), 2),
        layers.Flatten(),
        (layers.Dense(3), 3),
    )


@functools.cache
def curved_net(activation):
    return net((4,), (layers.Dense(6, activation), 1), (layers.Dense(3), 2))


@pytest.mark.parametrize("rule", RULES)
def test_convolutions_as_the_original(rule):
    model = convolutional_net()
    np.testing.assert_allclose(lift(model, wave((1, 7, 2), 4), wave((7, 2), 5), 2, rule)[0], SERIES[rule], atol=5e-7)


@pytest.mark.parametrize(("activation", "rule"), CURVED)
def test_curved_activations_as_the_original(activation, rule):
    model = curved_net(activation)
    np.testing.assert_allclose(lift(model, X, REFERENCE, 1, rule), CURVED[activation, rule], atol=3e-7)


def test_the_figures_of_the_original_unit_tests_of_relu():
    """test_activation.py, test_relu_rescale: multipliers 9/10, 19/20 of w1 and 1/10, 1/20 of w2."""
    layer = layers.Dense(2, "relu")
    model = net((4,), layer)
    kernel = np.array([[1, 2, 3, 4], [-1, -2, -3, -4]], "float32")
    layer.set_weights([kernel.T, np.array([-1, 1], "float32")])
    x = np.array([[1, 1, 1, 1], [2, 2, 2, 2]], "float32")
    for target, scale in ((0, [9 / 10, 19 / 20]), (1, [1 / 10, 1 / 20])):
        multipliers = lift(model, x, np.zeros(4, "float32"), target) / x
        np.testing.assert_allclose(multipliers, np.outer(scale, kernel[target]), rtol=1e-5)


@pytest.mark.parametrize(("stride", "wanted"), [(1, [[-4, -6, -6, -2], [0, 2, 2, 2]]), (2, [[-4, -2, -4, -2], [0, 2, 0, 2]])])
def test_the_figures_of_the_original_unit_tests_of_conv1d(stride, wanted):
    """test_conv1d.py, test_dense_backprop and test_dense_backprop_stride: multipliers of two channels."""
    convolution, dense = layers.Conv1D(2, 2, strides=stride), layers.Dense(1)
    model = net((4, 2), convolution, layers.Flatten(), dense)
    first = np.arange(4, dtype="float32").reshape(2, 2) - 2
    convolution.set_weights([np.stack([first, -first]).transpose(2, 1, 0), np.array([-1, 1], "float32")])
    dense.set_weights([np.tile([[1], [-1]], (dense.kernel.shape[0] // 2, 1)).astype("float32"), np.ones(1, "float32")])
    x = (np.arange(16, dtype="float32").reshape(2, 2, 4) - 8).transpose(0, 2, 1)
    x[x == 0] = 0.5  # there the contribution is 0, whatever the multiplier is
    found = ta.Attributor(model).attribute(x, method="deeplift").attributions / x
    np.testing.assert_allclose(found, np.broadcast_to(np.transpose(wanted), found.shape), atol=1e-5)


def test_the_figures_of_the_original_unit_tests_of_average_pooling():
    """test_pool2d.py, test_backprop_avgpool2d: 2/4 and 3/4 of the number of windows that an element is in."""
    dense = layers.Dense(1)
    model = net((4, 4, 2), layers.AveragePooling2D(2, 1), layers.Flatten(), dense)
    dense.set_weights([np.tile([[2], [3]], (9, 1)).astype("float32"), np.ones(1, "float32")])
    x = wave((2, 4, 4, 2), 1) + 2
    found = ta.Attributor(model).attribute(x, method="deeplift").attributions / x
    windows = np.outer([1, 2, 2, 1], [1, 2, 2, 1]) / 4
    np.testing.assert_allclose(found, np.broadcast_to(np.stack([2 * windows, 3 * windows], -1), found.shape), rtol=1e-5)


def test_smooth_nets_as_captum():
    wanted = [[0.0279031, 0.20970261, 0.00773921, -0.0294422], [-0.00147363, 0.08517684, 0.0274375, -0.04016427]]
    np.testing.assert_allclose(lift(dense_net("tanh", "sigmoid"), X, REFERENCE, 1), wanted, atol=3e-7)


def test_rectifiers_as_captum():
    """To 8 digits what the original gives, too."""
    wanted = [[0.1157404, 0.22549185, -0.01038839, 0.5404668], [-0.01260464, 0.11118939, -0.03377944, 0.24855423]]
    np.testing.assert_allclose(lift(dense_net(), X, REFERENCE, 1), wanted, atol=3e-7)


def test_a_cnn_as_captum():
    wanted = [
        [-0.01378189, 0.08208403, -0.00067823, 0.06415959, 0.00987565, 0.06105024],
        [0.10218718, -0.36014646, -0.2085672, 0.0464222, 0.00892556, 0.03610427],
        [0.16735732, -0.04117275, -0.23950268, 0.0173084, -0.14272539, -0.02833301],
        [0.14077295, -0.07775405, 0.18115015, 0.23800828, 0.04851097, 0.00531351],
        [-0.02274548, 0.02569516, -0.00146878, 0.00701664, -0.02664679, 0.17143483],
        [0.03603252, -0.04438004, 0.01964914, -0.00175482, -0.02261539, -0.00570204],
    ]
    model = net(
        (6, 6, 1),
        (layers.Conv2D(2, 3, activation="relu"), 1),
        (layers.Conv2D(2, 2, activation="relu"), 2),
        layers.AveragePooling2D(2, 1),
        layers.Flatten(),
        (layers.Dense(3), 3),
    )
    found = lift(model, wave((1, 6, 6, 1), 4), wave((6, 6, 1), 5), 2)
    np.testing.assert_allclose(found[0, :, :, 0], wanted, atol=5e-7)
