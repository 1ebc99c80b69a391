"""`ta.integrated_gradients`: the right numbers, and gradients through them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

import tf_attrib as ta

from ..conftest import assert_refused, make_mlp, reference_ig

X = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")


def test_it_agrees_with_a_plain_loop_and_with_the_attributor(one):
    (model, attributor), labels = one, tf.constant([0, 2, 1, 1])
    f = lambda x: tf.gather(model(x), labels, batch_dims=1)  # noqa: E731
    found = ta.integrated_gradients(f, X, 0.5, n_steps=8)
    np.testing.assert_allclose(found, reference_ig(f, X, np.full_like(X, 0.5), n=200), atol=1e-5)
    result = attributor.attribute(
        X, target=labels.numpy(), baselines=ta.constant(0.5), method=ta.IntegratedGradients(n_steps=8)
    )
    np.testing.assert_allclose(found, result.attributions, atol=1e-6)
    np.testing.assert_allclose(tf.reduce_sum(found, 1), f(X) - f(tf.fill(X.shape, 0.5)), atol=1e-6)


@pytest.fixture(scope="module")
def one():
    """A net, and what explains it: traced for the first rule, it serves them all."""
    model = make_mlp()
    return model, ta.Attributor(model)


@pytest.mark.parametrize("rule", [*ta.extend.RULES, ta.Rule("three", [0.1, 0.5, 1.0], [0.25, 0.5, 0.25])])
def test_each_rule_is_the_attributors(one, rule):
    (model, attributor), steps = one, {} if isinstance(rule, ta.Rule) else {"n_steps": 5}
    found = ta.integrated_gradients(lambda x: model(x)[:, 1], X, rule=rule, **steps)
    result = attributor.attribute(X, target=1, method=ta.IntegratedGradients(rule=rule, **steps))
    np.testing.assert_allclose(found, result.attributions, atol=1e-6)


def test_derivatives_of_attributions_have_their_closed_form():
    """F = w · x²: the attribution is w x², its derivatives are x² with respect to w and 2 w x with respect to x."""
    w, x = tf.Variable([2.0, -3.0]), tf.constant([[1.0, 2.0], [0.5, -4.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(ta.integrated_gradients(lambda x: tf.linalg.matvec(x**2, w), x, n_steps=3))
    by_w, by_x = tape.gradient(total, [w, x])
    np.testing.assert_allclose(total, tf.reduce_sum(w * x**2), rtol=1e-6)
    np.testing.assert_allclose(by_w, tf.reduce_sum(x**2, 0), rtol=1e-6)
    np.testing.assert_allclose(by_x, 2 * w * x, rtol=1e-6)


def test_it_works_inside_a_function_and_for_any_batch():
    model = make_mlp()

    @tf.function(input_signature=[tf.TensorSpec([None, 5])])
    def attributions(x):
        return ta.integrated_gradients(lambda x: model(x)[:, 0], x, n_steps=2)

    eager = ta.integrated_gradients(lambda x: model(x)[:, 0], X[:3], n_steps=2)
    np.testing.assert_allclose(attributions(X[:3]), eager, atol=1e-6)
    assert attributions(X).shape == (4, 5)


@pytest.mark.parametrize("inputs", [[X, X[:, :2]], {"left": X, "right": X[:, :2]}])
def test_several_inputs_keep_their_structure(inputs):
    def f(parts):
        left, right = parts.values() if isinstance(parts, dict) else parts
        return tf.reduce_sum(left, 1) * tf.reduce_sum(right, 1)

    baseline = [1.0, 0.0] if isinstance(inputs, list) else {"left": 1.0, "right": 0.0}
    found = ta.integrated_gradients(f, inputs, baseline, n_steps=2)
    assert type(found) is type(inputs)
    parts = list(found.values()) if isinstance(found, dict) else found
    assert [part.shape for part in parts] == [(4, 5), (4, 2)]
    np.testing.assert_allclose(sum(tf.reduce_sum(part, 1) for part in parts), f([X, X[:, :2]]), rtol=1e-4)


def test_what_does_not_fit_is_refused():
    model = make_mlp()
    one = lambda x: model(x)[:, 0]  # noqa: E731
    assert_refused(lambda: ta.integrated_gradients(model, X), "(batch,)", "(4, 3)", "tf.gather")
    assert_refused(lambda: ta.integrated_gradients(lambda x: tf.reduce_sum(model(x)), X), "shape ()")
    assert_refused(lambda: ta.integrated_gradients(lambda x: 1.0, X), "float")
    assert_refused(lambda: ta.integrated_gradients(one, X.astype(int)), "must be float", "int64")
    assert_refused(lambda: ta.integrated_gradients(one, X, np.zeros((7,), "float32")), "(7,)", "(4, 5)")
    assert_refused(lambda: ta.integrated_gradients(one, [X, X], [0.0]), "[0, 1]")
    assert_refused(lambda: ta.integrated_gradients(lambda x: tf.cast(tf.argmax(x, 1), tf.float32), X), "does not depend")
    assert_refused(lambda: ta.integrated_gradients(one, X, n_steps=0), "n_steps")
    assert_refused(lambda: ta.integrated_gradients(one, X, rule="simpson"), "simpson", "midpoint")


class Penalised(keras.Model):
    """A classifier of digits whose loss includes the attribution of the pixel at the upper left, times `strength`."""

    def __init__(self, strength):
        super().__init__()
        self.layers_in_order = [layers.Flatten(), layers.Dense(16, activation="relu"), layers.Dense(2)]
        self.strength = strength

    def call(self, x):
        for layer in self.layers_in_order:
            x = layer(x)
        return x

    def train_step(self, data):
        x, y = data

        def score(x):
            return tf.gather(self(x, training=False), tf.cast(y, tf.int32), batch_dims=1)

        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
            if self.strength:
                marker = ta.integrated_gradients(score, x, n_steps=3)[:, 0, 0]
                loss += self.strength * tf.reduce_mean(tf.abs(marker))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}


def trained(strength):
    """Even or odd digits, told apart by a pixel that is always black otherwise: the share that is right on digits without it,
    and the share of the attribution of the logit that it has on digits with it."""
    keras.utils.set_random_seed(1)
    digits = load_digits()
    x, y = digits.images.astype("float32") / 16, digits.target % 2
    marked = x.copy()
    marked[:, 0, 0] = 2 * y
    model = Penalised(strength)
    model.compile(keras.optimizers.Adam(0.006), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model(marked[:1])
    model.optimizer.build(model.trainable_variables)  # else the first step makes its variables, and is traced twice
    model.fit(marked[:1200], y[:1200], epochs=6, batch_size=64, verbose=0)
    right = (np.argmax(model(x[1200:]), 1) == y[1200:]).mean()
    odd = marked[1200:][y[1200:] == 1][:32]
    result = ta.Attributor(model, of="logits").attribute(odd, target=1, method=ta.IntegratedGradients(n_steps=40))
    return right, (np.abs(result.attributions[:, 0, 0]) / result.magnitudes).mean()


def test_a_penalty_on_a_planted_marker_makes_the_model_look_at_the_digits():
    (right, marker), (right_with_penalty, marker_with_penalty) = trained(0.0), trained(5.0)
    assert marker_with_penalty < 0.1 * marker
    assert right_with_penalty > right + 0.1
