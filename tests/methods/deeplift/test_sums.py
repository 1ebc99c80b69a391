"""RevealCancel where an activation follows a sum or a difference of two tensors, against its formula in NumPy and float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

RNG = np.random.default_rng(3)
X, REFERENCE = RNG.normal(size=(2, 4, 6))
WEIGHTS = RNG.normal(size=3)


def assert_complete(result, part=1e-12):
    size = np.maximum(np.abs(result.difference), result.magnitudes)
    assert np.abs(result.gap).max() <= part * size.max()
    assert np.abs(result.difference).max() > 0
    assert (result.status == "").all()


def cancelled(u, v, f, derivative, at):
    """Multipliers of f(at + Δu + Δv) for Δu and Δv by RevealCancel, for one number each: section 3.5.3, with Shapley values
    spelled out."""
    plus, minus = max(u, 0) + max(v, 0), min(u, 0) + min(v, 0)
    both = f(at + plus + minus)
    m_plus = (
        ((f(at + plus) - f(at)) + (both - f(at + minus))) / 2 / plus if plus else (derivative(at) + derivative(at + minus)) / 2
    )
    m_minus = (
        ((f(at + minus) - f(at)) + (both - f(at + plus))) / 2 / minus if minus else (derivative(at) + derivative(at + plus)) / 2
    )
    return [m_plus if part > 0 else m_minus if part < 0 else (m_plus + m_minus) / 2 for part in (u, v)]


SUMS = {  # of a and b, and the weight of each
    "difference": (lambda a, b: a - b, (1, -1)),
    "sum": (lambda a, b: a + b, (1, 1)),
    "scaled and shifted": (lambda a, b: 2 * (a - b) - 0.3, (2, -2)),
}


@pytest.mark.parametrize("name", SUMS)
def test_a_sum_in_front_of_an_activation_under_reveal_cancel(name):
    form, weights = SUMS[name]
    attributor = ta.Attributor(lambda x: tf.reduce_sum(tf.tanh(form(x[:, :3], x[:, 3:])) * WEIGHTS, -1))
    x = X.copy()
    x[0, 0], x[1, 3] = REFERENCE[0, 0], REFERENCE[1, 3]  # no difference
    result = attributor.attribute(x, baselines=REFERENCE, method=ta.DeepLift("reveal_cancel"))
    wanted, d = np.zeros_like(X), x - REFERENCE
    for i in range(4):
        for j in range(3):
            at = form(REFERENCE[i, j], REFERENCE[i, 3 + j])
            parts = weights[0] * d[i, j], weights[1] * d[i, 3 + j]
            found = cancelled(*parts, np.tanh, lambda value: 1 - np.tanh(value) ** 2, at)
            wanted[i, j], wanted[i, 3 + j] = (WEIGHTS[j] * slope * part for slope, part in zip(found, parts, strict=True))
    np.testing.assert_allclose(result.attributions, wanted, rtol=1e-9, atol=1e-12)
    assert_complete(result)
    rescale = attributor.attribute(x, baselines=REFERENCE, method="deeplift")
    assert np.abs(rescale.attributions - wanted).max() > 0.01


def test_a_sum_that_is_broadcast_before_its_activation_has_rescale():
    shifts = tf.constant([0.5, -0.2, 0.1], tf.float64)
    attributor = ta.Attributor(lambda x: tf.reduce_sum(tf.nn.relu(x[:, :1] - x[:, 1:2] + shifts), -1))
    found = ta.coverage(attributor, ta.DeepLift("reveal_cancel"), X[:, :2])
    assert found.rules["Relu"] == "Rescale: Δy / Δx"
    results = [
        attributor.attribute(X[:, :2], baselines=REFERENCE[:, :2], method=ta.DeepLift(rule))
        for rule in ("rescale", "reveal_cancel")
    ]
    assert np.array_equal(results[0].attributions, results[1].attributions)
    assert_complete(results[1])


def test_the_minimum_written_with_operations():
    """i1 - relu(i1 - i2) from zeros: half to each under RevealCancel, all to the less one under Rescale (section 3.5.3)."""
    attributor = ta.Attributor(lambda x: x[:, 0] - tf.nn.relu(x[:, 0] - x[:, 1]))
    x = np.array([[3.0, 1.0], [1.0, 3.0], [2.0, 2.0]])
    cancel, rescale = (attributor.attribute(x, method=ta.DeepLift(rule)) for rule in ("reveal_cancel", "rescale"))
    np.testing.assert_allclose(cancel.attributions, [[0.5, 0.5], [0.5, 0.5], [1, 1]], atol=1e-12)
    np.testing.assert_allclose(rescale.attributions[:2], [[0, 1], [1, 0]], atol=1e-12)


def test_a_difference_of_two_layers():
    """relu((A x + a) - (B x + b)): RevealCancel at the difference, and its multipliers back along the weights."""
    keras.utils.set_random_seed(4)
    inputs = keras.Input((6,), dtype="float64")
    options = {"bias_initializer": "random_normal", "dtype": "float64"}
    both = [layers.Dense(5, **options) for _ in range(2)]
    head = layers.Dense(1, **options)
    outputs = layers.ReLU(dtype="float64")(layers.Subtract(dtype="float64")([layer(inputs) for layer in both]))
    attributor = ta.Attributor(keras.Model(inputs, head(outputs)))
    method = ta.DeepLift("reveal_cancel")
    assert ta.coverage(attributor, method).rules["Sub"] == "RevealCancel with the activation behind it"
    result = attributor.attribute(X, baselines=REFERENCE, method=method)
    (kernels, biases), top = zip(*(layer.get_weights() for layer in both), strict=True), head.get_weights()[0][:, 0]
    wanted = np.zeros_like(X)
    for i, (x, reference) in enumerate(zip(X, REFERENCE, strict=True)):
        parts = [(x - reference) @ kernels[0], -(x - reference) @ kernels[1]]
        at = reference @ (kernels[0] - kernels[1]) + biases[0] - biases[1]
        for j in range(5):
            u, v = cancelled(parts[0][j], parts[1][j], lambda value: max(value, 0), lambda value: float(value > 0), at[j])
            wanted[i] += top[j] * (u * kernels[0][:, j] - v * kernels[1][:, j]) * (x - reference)
    np.testing.assert_allclose(result.attributions, wanted, rtol=1e-9, atol=1e-12)
    assert_complete(result)


@pytest.mark.parametrize("layer", ["SimpleRNN", pytest.param("GRU", marks=pytest.mark.slow)])
def test_in_a_loop(layer):
    """tanh(W x + U h) in the body of a loop: complete, and as in the steps one by one, of which the first has no sum."""
    keras.utils.set_random_seed(4)
    recurrent, unrolled = (
        keras.Sequential([keras.Input((5, 3)), getattr(layers, layer)(4, unroll=one), layers.Dense(1)]) for one in (False, True)
    )
    unrolled.set_weights(recurrent.get_weights())
    x, reference = RNG.normal(size=(2, 3, 5, 3)).astype("float32")
    method = ta.DeepLift("reveal_cancel")
    attributor = ta.Attributor(recurrent)
    loop, steps = (one.attribute(x, baselines=reference, method=method) for one in (attributor, ta.Attributor(unrolled)))
    np.testing.assert_allclose(loop.attributions[:, 1:], steps.attributions[:, 1:], atol=1e-6)
    assert_complete(loop, 1e-5)
    assert any(
        row.operation.startswith("Add") and row.rule.startswith("RevealCancel with")
        for row in ta.coverage(attributor, method).rows
    )


def test_a_sum_of_a_variable_and_a_function_of_it_has_rescale():
    """GELU with tanh, of x + 0.04 x³: one variable, though its formula has a sum in front of an activation."""
    attributor = ta.Attributor(lambda x: tf.reduce_sum(tf.nn.gelu(x, approximate=True), -1))
    rows = ta.coverage(attributor, ta.DeepLift("reveal_cancel"), X).rows
    assert all(not row.rule.startswith("RevealCancel") for row in rows)
    result = attributor.attribute(X, baselines=REFERENCE, method=ta.DeepLift("reveal_cancel"))
    assert np.array_equal(result.attributions, attributor.attribute(X, baselines=REFERENCE, method="deeplift").attributions)
