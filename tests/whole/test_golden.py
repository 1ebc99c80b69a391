"""Figures of captum 0.9.0 (torch 2.13.0, float64) on the same functions, with the calls that gave them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ..helpers.shared import attributor_for

X = np.array([[0.5, -1.0, 2.0, 0.25], [1.5, 0.3, -0.7, -2.0]])


def weights(*shape):
    """The same numbers on both sides."""
    return np.sin(np.arange(np.prod(shape)) * 1.7 + 0.3).reshape(shape) * 0.8


@pytest.fixture(scope="module")
def net(double):
    """softmax(tanh(x A + a) B + b), as a model with a layer called "seen"."""
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, activation="tanh", name="seen"), layers.Dense(3, activation="softmax")]
    )
    model.set_weights([weights(4, 5), weights(5) * 0.3, weights(5, 3), weights(3) * 0.2])
    return model


def test_conductance(net):
    """LayerConductance(net, net.t).attribute(x, target=1, n_steps=20000, method="riemann_trapezoid"), which converges slowly"""
    captum = [
        [-0.238390171, 0.0660504, -0.172181401, 0.171007037, -0.017196313],
        [0.011322469, -0.060012285, -0.00062679, -0.06751069, 0.012583902],
    ]
    attributor = ta.Attributor(net, at="seen")
    np.testing.assert_allclose(attributor.attribute(X, 1, method=ta.Conductance(n_steps=100)).attributions, captum, atol=1e-5)
    refined = attributor.attribute(X, 1, method=ta.Conductance(0.001)).attributions
    assert np.all(np.abs(refined - captum).sum(1) < 0.001 * np.abs(captum).sum(1))


def test_conductance_of_the_input_through_a_unit(net):
    """NeuronConductance(net, net.t).attribute(x, neuron_selector=2, target=1, n_steps=200, method="gausslegendre")"""
    captum = [[0.025120579, -0.033968717, -0.182280605, 0.018941594], [0.021645843, 0.002927009, 0.018324499, -0.043524131]]
    method = ta.Conductance(through=ta.layer("seen", unit=2), n_steps=100)
    np.testing.assert_allclose(attributor_for(net).attribute(X, 1, method=method).attributions, captum, atol=1e-8)


def test_internal_influence(net):
    """InternalInfluence(net, net.t).attribute(x, target=1, n_steps=200, method="gausslegendre")"""
    captum = [
        [0.236738864, 0.069627358, -0.184103681, -0.208801546, 0.026259007],
        [0.176791304, 0.188188685, -0.034529035, -0.214291099, -0.127465496],
    ]
    result = ta.Attributor(net, at="seen").attribute(X, 1, method=ta.InternalInfluence(n_steps=100))
    np.testing.assert_allclose(result.attributions, captum, atol=1e-8)


def test_ablation(net):
    """FeatureAblation(net).attribute(x, target=1, feature_mask=torch.tensor([[0, 1, 1, 2]]))"""
    captum = [[0.025837031, -0.335868558, -0.335868558, 0.016854297], [0.221651597, 0.050223991, 0.050223991, -0.274322472]]
    result = attributor_for(net).attribute(X, 1, method=ta.Ablation(np.array([0, 1, 1, 2])))
    np.testing.assert_allclose(result.attributions, captum, atol=1e-8)


def test_grad_cam(double):
    """LayerGradCam(net, net.c).attribute(x, target=1, relu_attributions=False), with c a convolution without activation"""
    captum = [
        [-1.973734185e-03, 3.432996743e-05, 8.188766663e-04],
        [-1.606350473e-03, 6.592842961e-04, 2.904491055e-04],
        [-9.519685637e-04, 9.794416487e-04, -4.464338284e-04],
    ]
    image = keras.Input((4, 4, 1))
    seen = layers.Conv2D(2, 2, name="seen")(image)
    pooled = layers.Lambda(lambda y: tf.reduce_mean(tf.tanh(y) ** 2, (1, 2)), output_shape=(2,))(seen)
    model = keras.Model(image, layers.Dense(2)(pooled))
    model.set_weights([weights(2, 2, 1, 2), weights(2) * 0.1, weights(2, 2), np.zeros(2)])
    result = ta.Attributor(model).attribute(weights(1, 4, 4, 1), 1, method="grad_cam")
    assert "seen" in result.at
    np.testing.assert_allclose(result.attributions[0], captum, atol=1e-10)


BASELINES = np.array([[0.2, 0.1, -0.3, 0.4], [-0.5, 0.6, 0.1, 0.0], [1.0, 0.0, 0.0, -1.0]])


@pytest.mark.parametrize("method", [ta.ShapleySampling, ta.KernelSHAP])
def test_shapley_values(net, method):
    """ShapleyValues(net).attribute(x, target=1) of captum 0.9.0 (torch 2.14.1), float32; feature_mask=[[0, 1, 1, 2]] gives each
    feature the whole of its group. The mean over baselines is KernelExplainer(net, BASELINES).shap_values(x) of shap 0.51.0."""
    exact = [[0.064904146, 0.036285687, -0.324490070, 0.032572437], [0.245032251, -0.047074448, 0.005485257, -0.307686299]]
    masked = [[0.066051625, -0.286065072, -0.286065072, 0.029285645], [0.241436899, -0.038668603, -0.038668603, -0.307011515]]
    averaged = [[0.032830572, 0.057288954, -0.288752981, 0.055741623], [0.209996230, -0.015029753, 0.011372634, -0.262746366]]
    attributor = attributor_for(net)
    np.testing.assert_allclose(attributor.attribute(X, 1, method=method()).attributions, exact, atol=1e-7)
    grouped = attributor.attribute(X, 1, method=method(np.array([0, 1, 1, 2]))).attributions
    np.testing.assert_allclose(grouped * [1, 2, 2, 1], masked, atol=1e-7)
    several = attributor.attribute(X, 1, ta.several(BASELINES), method()).attributions
    np.testing.assert_allclose(several, averaged, atol=1e-7)
    drawn = attributor.attribute(X, 1, method=method(exact_up_to=0, tolerance=0.002, max_evaluations=10**6), seed=0)
    assert np.all(np.abs(drawn.attributions - exact) <= 4 * drawn.standard_error + 1e-7)
    assert drawn.standard_error.max() < 1e-3


def test_lime(net):
    """captum 0.9.0, LimeBase(net, SkLearnRidge(alpha=0.01), similarity, perturb, True, lambda z, x: z * x, None) with
    attribute(x, target=1, n_samples=20000). similarity: exp(-D²/0.75²), D = 1 - sqrt(sum(z) / 4). perturb draws how many are
    absent evenly from 1 to 4, and then which (numpy, seed 0): so it is right to about 0.003."""
    captum = [[0.0693082, 0.0424298, -0.3219234, 0.0419002], [0.2483787, -0.0430687, 0.0130349, -0.3002235]]
    found = attributor_for(net).attribute(X, 1, method=ta.LIME(n_samples=20000, kernel_width=0.75, ridge=0.01))
    np.testing.assert_allclose(found.attributions, captum, atol=0.003)
