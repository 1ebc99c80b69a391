"""Models whose Python looks at values: branches, NumPy, and functions of Python's with a gradient or without one."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ...conftest import assert_refused

RNG = np.random.default_rng(5)
W = RNG.normal(size=3).astype("float32")
X = RNG.normal(size=(5, 3)).astype("float32")


def linear(x):
    return tf.linalg.matvec(x, W)


def branch(x):
    """Another function on either side, chosen by the sum over all of the batch."""
    return 2 * linear(x) if float(tf.reduce_sum(x)) > 0 else linear(x) ** 2


def branch_by_numpy(x):
    return 2 * linear(x) if np.asarray(x).sum() > 0 else linear(x) ** 2


def slopes(x):
    """The gradients of `branch`, each example by itself."""
    return np.where(x.sum(1, keepdims=True) > 0, 2 * W, 2 * (x @ W)[:, None] * W)


def shapeless(x):
    """tanh(linear(x)) of shape (batch, 1), which a graph knows when it runs and not before."""
    sizes = tf.shape(x)
    return tf.reshape(tf.tanh(linear(x)), tf.boolean_mask(tf.stack([sizes[0], 1]), tf.stack([sizes[0], 1]) > 0))


@pytest.mark.parametrize("function", [branch, branch_by_numpy])
def test_each_example_takes_its_own_branch(function):
    assert (X.sum(1) > 0).any()
    assert (X.sum(1) < 0).any()
    attributor = ta.Attributor(function)
    found = attributor.attribute(X, method="gradient")
    np.testing.assert_allclose(found.attributions, slopes(X), rtol=1e-5)
    np.testing.assert_allclose(found.scores, [float(function(tf.constant(x[None]))[0]) for x in X], rtol=1e-6)
    assert "one example at a time" in found.notes[0]
    assert "could not be traced" in found.eager
    for i in range(len(X)):
        alone = attributor.attribute(X[i : i + 1], method="gradient")
        np.testing.assert_array_equal(alone.attributions, found.attributions[i : i + 1])


def test_a_branch_that_the_first_examples_do_not_take():
    attributor = ta.Attributor(branch_by_numpy)
    attributor.attribute(X[X.sum(1) > 0], method="gradient")
    found = attributor.attribute(X, method="gradient")
    np.testing.assert_allclose(found.attributions, slopes(X), rtol=1e-5)


def test_a_batch_that_its_user_vouches_for_is_still_looked_at():
    together = ta.Attributor(branch, batch_size=4).attribute(X, method="gradient")
    np.testing.assert_allclose(together.attributions, slopes(X), rtol=1e-5)
    assert "reads values" in together.notes[0]
    unseen = ta.Attributor(branch_by_numpy, batch_size=4).attribute(X, method="gradient")
    np.testing.assert_allclose(unseen.attributions, slopes(X), rtol=1e-5)
    assert "in its batch" in unseen.notes[0]

    def row_by_row(x):
        sizes.append(len(x))
        return linear(x) if tf.executing_eagerly() else linear(x)[undefined]  # noqa: F821

    sizes = []
    fine = ta.Attributor(row_by_row, batch_size=4).attribute(X, method="gradient")
    np.testing.assert_allclose(fine.attributions, np.tile(W, (5, 1)), rtol=1e-6)
    assert max(sizes[-3:]) > 1
    ta.Attributor(row_by_row).attribute(X, method="gradient")
    assert max(sizes[-3:]) == 1


def test_the_bottom_of_a_parabola_is_no_lost_gradient():
    def f(x):
        return tf.reduce_sum(x**2, 1) + 0 * float(np.asarray(x).sum())

    for at in (np.zeros((1, 3), "float32"), X):
        found = ta.Attributor(f).attribute(at, method="gradient")
        np.testing.assert_allclose(found.attributions, 2 * at, rtol=1e-6)


def test_eager_false_refuses_and_says_why():
    with pytest.raises(ta.AttributionError, match="could not be traced"):
        ta.Attributor(branch, eager=False).attribute(X)


def test_an_output_whose_axes_are_known_only_when_it_runs():
    found = ta.Attributor(shapeless).attribute(X, method="gradient")
    np.testing.assert_allclose(found.attributions, W / np.cosh(X @ W)[:, None] ** 2, rtol=1e-5)
    assert "axes" in found.eager
    assert_refused(lambda: ta.Attributor(shapeless, eager=False).attribute(X, method="gradient"), "axes", "tf.ensure_shape")
    told = ta.score(lambda outputs: tf.ensure_shape(outputs, [None, 1])[:, 0])
    same = ta.Attributor(shapeless, of=told, eager=False).attribute(X, method="gradient")
    np.testing.assert_allclose(same.attributions, found.attributions, rtol=1e-6)
    assert not same.eager


def shaped(x):
    sizes = tf.shape(x)
    value = tf.reshape(tf.tanh(linear(x)), [sizes[0], tf.size(x) // tf.size(x)])
    value.set_shape([None, 1])
    return value


def test_a_shape_set_by_hand_is_heeded_behind_a_cut():
    found = ta.Attributor(shaped, eager=False).attribute(X, method=ta.IntegratedGradients(tolerance=0.01))
    ends = np.tanh(X @ W)
    np.testing.assert_allclose(found.attributions, X * W * (ends / (X @ W))[:, None], atol=0.01 * np.abs(ends).max())


def lost_numpy(x):
    return tf.reduce_sum(tf.constant(np.sin(x.numpy())), 1)


def returned_numpy(x):
    return np.sin(x.numpy()).sum(1)


def by_numpy_function(x):
    return tf.reduce_sum(tf.ensure_shape(tf.numpy_function(np.sin, [x], tf.float32), x.shape), 1)


def by_py_function(x):
    return tf.reduce_sum(tf.ensure_shape(tf.py_function(lambda v: np.sin(v.numpy()), [x], tf.float32), x.shape), 1)


@pytest.mark.parametrize(
    ("function", "traced"),
    [(lost_numpy, False), (returned_numpy, False), (by_numpy_function, True), (by_py_function, True)],
)
def test_without_a_gradient_there_is_an_error_and_occlusion_works(function, traced):
    attributor = ta.Attributor(function, eager=True if traced else None)  # which call it, and need not be told where it cannot
    for method in ("gradient", "integrated_gradients", ta.SmoothGrad("gradient", n_samples=2)):
        with pytest.raises(ta.AttributionError, match="no gradient"):
            attributor.attribute(X, method=method)
    if traced:
        with pytest.raises(ta.AttributionError, match="no gradient"):
            ta.Attributor(function).attribute(X, method="gradient")
    found = attributor.attribute(X, method="occlusion")
    assert found.eager
    np.testing.assert_allclose(found.attributions, np.sin(X), atol=1e-6)


@tf.custom_gradient
def sine_by_numpy(x):
    return tf.constant(np.sin(x.numpy())), lambda upstream: upstream * tf.constant(np.cos(x.numpy()))


@tf.custom_gradient
def sine_by_function(x):
    sine = tf.numpy_function(np.sin, [x], tf.float32)
    return sine, lambda upstream: upstream * tf.numpy_function(np.cos, [x], tf.float32)


@tf.custom_gradient
def sine_by_py_function(x):
    sine = tf.py_function(lambda v: np.sin(v.numpy()), [x], tf.float32)
    return sine, lambda upstream: upstream * tf.cos(x)


@pytest.mark.parametrize("sine", [sine_by_numpy, sine_by_function, sine_by_py_function])
def test_with_a_gradient_of_its_own_it_is_as_any_other(sine):
    attributor = ta.Attributor(lambda x: tf.reduce_sum(sine(x), 1), eager=True)
    found = attributor.attribute(X, method="gradient")
    np.testing.assert_allclose(found.attributions, np.cos(X), rtol=1e-5)
    assert len(found.notes) == 1  # nothing is missing
    whole = attributor.attribute(X)
    np.testing.assert_allclose(whole.attributions, np.sin(X), atol=0.02)
    assert whole.converged.all()


def test_a_py_function_that_tensorflow_differentiates():
    def f(x):
        return tf.reduce_sum(tf.ensure_shape(tf.py_function(lambda v: tf.sin(v) * v, [x], tf.float32), x.shape), 1)

    found = ta.Attributor(f).attribute(X, method="gradient")
    np.testing.assert_allclose(found.attributions, np.sin(X) + X * np.cos(X), rtol=1e-4, atol=1e-6)
    assert "py_function" in found.eager


def test_a_gradient_that_misses_a_part_says_so():
    def f(x):
        return linear(x) + tf.reduce_sum(tf.constant(x.numpy() ** 2), 1)

    found = ta.Attributor(f).attribute(X, method="gradient")
    np.testing.assert_allclose(found.attributions, np.tile(W, (5, 1)), rtol=1e-6)
    assert any("of how the output moves" in note for note in found.notes)
    whole = ta.Attributor(f).attribute(X, method=ta.IntegratedGradients(n_steps=10))
    assert np.all(np.abs(whole.gap) > 0.1)


def test_one_of_two_inputs_that_is_lost_is_no_zero():
    def f(inputs):
        return linear(inputs["a"]) + tf.reduce_sum(tf.constant(inputs["b"].numpy() ** 2), 1)

    inputs = {"a": X, "b": X[::-1].copy()}
    with pytest.raises(ta.AttributionError, match="Python"):
        ta.Attributor(f).attribute(inputs, method="gradient")
    one = ta.Attributor(f, at=ta.inputs("a")).attribute(inputs, method="gradient")
    np.testing.assert_allclose(one.attributions, np.tile(W, (5, 1)), rtol=1e-6)


def test_a_branch_that_ignores_its_input_has_a_gradient_of_zero():
    def f(x):
        return linear(x) if float(tf.reduce_sum(x)) > 0 else tf.zeros(x.shape[0])

    found = ta.Attributor(f).attribute(X, method="gradient")
    np.testing.assert_allclose(found.attributions, np.where(X.sum(1, keepdims=True) > 0, W, 0), rtol=1e-6)


def test_an_operation_without_a_gradient_is_an_error():
    def f(x):
        return tf.cast(tf.argmax(x, 1), tf.float32) * float(x[0, 0] * 0 + 1)

    with pytest.raises(ta.AttributionError, match="argmax"):
        ta.Attributor(f).attribute(X, method="gradient")


class Gate(layers.Layer):
    def call(self, x):
        return 1.5 * x if np.asarray(x).sum() > 0 else x**2


def gated():
    keras.utils.set_random_seed(4)

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden, self.gate = layers.Dense(4, activation="tanh", name="hidden"), Gate(name="gate")
            self.out = layers.Dense(3, activation="softmax", name="out")

        def call(self, x):
            return self.out(self.gate(self.hidden(x)))

    model = Net()
    model(X)
    return model


def by_hand(model, hidden, target):
    """The gradient of log-odds, no head in the library's hands, at the output of "hidden"."""
    found = []
    for row, wanted in zip(hidden, target, strict=True):
        at = tf.constant(row[None])
        with tf.GradientTape() as tape:
            tape.watch(at)
            score = model.out(1.5 * at if row.sum() > 0 else at**2)[0, wanted]
        found.append(tape.gradient(score, at).numpy()[0])
    return np.array(found)


def test_layers_heads_and_logits_of_a_keras_model_that_branches():
    model = gated()
    hidden = model.hidden(X).numpy()
    assert len(set(hidden.sum(1) > 0)) == 2
    attributor = ta.Attributor(model, at="hidden")
    found = attributor.attribute(X, method="gradient")
    np.testing.assert_allclose(found.attributions, by_hand(model, hidden, found.target), rtol=1e-4, atol=1e-6)
    assert (found.unit, found.at) == ("probability", "layer 'hidden'")
    logits = attributor.observing(None).explaining("logits").attribute(X, method="gradient")
    kernel, bias = model.out.get_weights()
    gates = np.where(hidden.sum(1, keepdims=True) > 0, 1.5 * hidden, hidden**2)
    expected = (gates @ kernel + bias)[np.arange(5), logits.target]
    np.testing.assert_allclose(logits.scores, expected, rtol=1e-5)
    unit = attributor.observing(None).explaining(ta.layer("gate", unit=1)).attribute(X, method="gradient")
    np.testing.assert_allclose(unit.scores, gates[:, 1], rtol=1e-5)
    paths = attributor.observing("gate").attribute(X, method=ta.Conductance(n_steps=3))
    assert paths.attributions.shape == (5, 4)


def test_a_head_that_another_branch_does_not_have():
    def f(x):
        logits = x @ tf.constant(np.outer(W, [1, -1]).astype("float32"))
        return tf.nn.softmax(logits) if float(tf.reduce_sum(x)) > 0 else tf.abs(logits)

    positive = X[X.sum(1) > 0][:1]
    attributor = ta.Attributor(f)
    assert attributor.attribute(positive, method="gradient").unit == "probability"
    with pytest.raises(ta.AttributionError, match="follows"):
        attributor.attribute(X, method="gradient")
    score = ta.Attributor(f, of=ta.score(lambda outputs: outputs[:, 0])).attribute(X, method="gradient")
    np.testing.assert_allclose(score.scores, [float(f(tf.constant(x[None]))[0, 0]) for x in X], rtol=1e-6)


def letters(texts):
    """A score that Python takes from text: how many letters each of the two columns has, the second counting double."""
    sizes = [[len(text) for text in row] for row in np.asarray(texts)]
    return tf.constant(np.array(sizes) @ [1.0, 2.0], tf.float32)


def thirds(ids):
    return tf.constant([float(sum(i * i for i in row if i % 3 == 0)) for row in ids.numpy().tolist()])


@pytest.mark.parametrize("method", ["occlusion", "ablation", "shapley_sampling", "kernel_shap"])
def test_text_and_integers_that_python_reads_need_no_gradient(method):
    text = np.array([["a", "bcd"], ["efghi", ""]])
    found = ta.Attributor(letters).attribute(text, method=method)
    np.testing.assert_allclose(found.attributions, [[1, 6], [5, 0]], atol=1e-5)
    ids = np.array([[3, 4, 6], [9, 9, 1]], np.int32)
    found = ta.Attributor(thirds).attribute(ids, method=method)
    np.testing.assert_allclose(found.attributions, [[9, 0, 36], [81, 81, 0]], atol=1e-4)
    np.testing.assert_allclose(found.scores, [45, 162])
