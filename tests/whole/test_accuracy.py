"""Integrated gradients to a stated accuracy on Keras models: what the result says, and that it is true."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tf_attrib.graph.traced.compiled import Compiled

from ..conftest import assert_refused, make_cnn, make_recurrent_text
from ..helpers.shared import attributor_for

FINE = ta.IntegratedGradients(tolerance=0.01)
FIXED = ta.IntegratedGradients(rule="midpoint", n_steps=1000)


def relative(result, truth):
    """(n,), the L1 distance of two results relative to the norm of the second, over all tensors together."""
    flat = [
        np.concatenate([leaf.reshape(len(one), -1) for leaf in tf.nest.flatten(one.attributions)], 1) for one in (result, truth)
    ]
    return np.abs(flat[0] - flat[1]).sum(1) / np.abs(flat[1]).sum(1)


@pytest.fixture(scope="module")
def digits():
    """A CNN after three epochs, and 30 held-out digits."""
    from tf_attrib.demo import data, models

    found = data.digits()
    model = models.train(models.digit_model(), found.train_inputs, found.train_labels, 3)
    return model, found.test_inputs[:30]


@pytest.fixture(scope="module")
def sentences():
    from tf_attrib.demo import data, models

    found = data.sentences()
    model = models.train(models.sentence_model(len(found.vocabulary)), found.train_inputs, found.train_labels, 6)
    return model, found.test_inputs[:25]


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("digits", "probability"),
        ("sentences", "logits"),
        pytest.param("digits", "logits", marks=pytest.mark.slow),
        pytest.param("sentences", "probability", marks=pytest.mark.slow),
    ],
)
def test_calibration_against_a_converged_reference(name, of, request):
    model, inputs = request.getfixturevalue(name)
    attributor = attributor_for(model, of=of)
    truth = attributor.attribute(inputs, method=FIXED)
    for tolerance in (0.05, 0.01):
        result = attributor.attribute(inputs, method=ta.IntegratedGradients(tolerance))
        assert result.converged.all()
        assert (result.error_estimate <= tolerance).all()
        error = relative(result, truth)
        assert error.max() <= 1.2 * tolerance
        assert (error > tolerance).mean() <= 0.04
        assert error.max() >= 0.1 * tolerance  # an estimate that is far too careful would be as wrong
        assert np.median(result.evaluations) <= {0.05: 40, 0.01: 170}[tolerance]
        np.testing.assert_allclose(result.gap, 0, atol=2e-5 * np.abs(result.difference).max())


def test_it_is_what_integrated_gradients_mean(cnn, images):
    attributor = ta.Attributor(cnn)
    result = attributor.attribute(images)
    assert result.method == "IntegratedGradients(tolerance=0.05)"
    assert result.converged.all()
    assert (result.forward_evaluations == 17).all()
    assert (result.error_estimate <= 0.05).all()
    fixed = attributor.attribute(images, method=ta.IntegratedGradients(n_steps=20))
    assert fixed.method == "IntegratedGradients(rule='gauss_legendre', n_steps=20)"
    assert (fixed.converged, fixed.error_estimate, fixed.residual) == (None, None, None)
    assert set(fixed.status) == {""}


def test_the_arguments_of_the_method():
    for wrong in (0, 1, -0.1, True, "midpoint", None, np.nan):
        assert_refused(lambda wrong=wrong: ta.IntegratedGradients(wrong), "between 0 and 1", repr(wrong))
    assert_refused(lambda: ta.IntegratedGradients("midpoint"), "rule='midpoint'")
    for wrong in (1, 2.5, "many", True):
        assert_refused(lambda wrong=wrong: ta.IntegratedGradients(max_evaluations=wrong), "at least 2", repr(wrong))
    assert_refused(lambda: ta.IntegratedGradients(0.01, rule="left"), "no tolerance")
    assert_refused(lambda: ta.IntegratedGradients(max_evaluations=9, n_steps=5), "leave one or the other out")
    assert repr(ta.IntegratedGradients(0.01, 300)) == "IntegratedGradients(tolerance=0.01, max_evaluations=300)"


def normalised(features, contrast):
    """Digits compared with ten templates after LayerNormalization at epsilon 1e-6, and the templates at a contrast."""
    templates = features / features.std(1, keepdims=True)
    model = keras.Sequential([keras.Input((64,)), layers.LayerNormalization(epsilon=1e-6), layers.Dense(10, name="match")])
    centred = templates - templates.mean(1, keepdims=True)
    model.layers[1].set_weights([centred.T / 64, np.zeros(10)])
    return model, (contrast * templates).astype("float32")


def test_the_showcase():
    """1000 uniform steps are wrong by 26% and by 130%, where at most 65 gradients give 1%."""
    from tf_attrib.demo.data import digits

    found = digits()
    flat = found.train_inputs.reshape(-1, 64)
    model, x = normalised(np.stack([flat[found.train_labels == digit].mean(0) for digit in range(10)]), 2.1)
    attributor, target = ta.Attributor(model), np.arange(10)
    truth = attributor.attribute(x, target, method=ta.IntegratedGradients(rule="gauss_legendre", n_steps=400))
    np.testing.assert_allclose(truth.gap, 0, atol=1e-4)
    wrong = {
        rule: relative(attributor.attribute(x, target, method=ta.IntegratedGradients(rule=rule, n_steps=1000)), truth)
        for rule in ("trapezoid", "left")
    }
    np.testing.assert_allclose(wrong["trapezoid"], 0.26, atol=0.03)
    np.testing.assert_allclose(wrong["left"], 1.3, atol=0.05)
    result = attributor.attribute(x, target, method=FINE)
    assert result.converged.all()
    assert result.evaluations.max() <= 65
    assert relative(result, truth).max() <= 0.01


# where the log-odds come from


def heads():
    """A way to end a model -> whether the logits beneath its probability are known."""
    softmax = lambda z: tf.exp(z) / tf.reduce_sum(tf.exp(z), -1, keepdims=True)  # noqa: E731
    return {
        "softmax": (layers.Dense(3, activation="softmax"), True),
        "sigmoid": (layers.Dense(1, activation="sigmoid"), True),
        "log_softmax": (layers.Dense(3, activation="log_softmax"), True),
        "by hand": (layers.Dense(3, activation=softmax), False),
    }


@pytest.mark.parametrize("name", ["softmax", "sigmoid", "log_softmax", "by hand"])
def test_log_odds_come_from_the_logits_beneath_the_head(name):
    head, known = heads()[name]
    model = keras.Sequential([keras.Input((4,)), layers.Dense(6, activation="relu"), head])
    x = np.random.default_rng(0).normal(size=(4, 4)).astype("float32") * 4
    attributor = ta.Attributor(model, of=None if name == "by hand" else "probability")
    target = 0 if name in ("by hand", "sigmoid") else None
    result = attributor.attribute(x, target, method=FINE)
    (session,) = attributor._sessions.values()
    assert (session.function.log_odds is not None) == known
    assert any("refined on the probability itself" in note for note in result.notes) == (not known)
    assert relative(result, attributor.attribute(x, target, method=FIXED)).max() < 0.012
    assert result.converged.all()


def test_log_odds_of_logits_whose_softmax_is_in_the_loss():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = np.random.default_rng(0).normal(size=(4, 4)).astype("float32") * 4
    attributor = ta.Attributor(model, of="probability")
    result = attributor.attribute(x, method=FINE)
    assert next(iter(attributor._sessions.values())).function.log_odds is not None
    assert relative(result, attributor.attribute(x, method=FIXED)).max() < 0.01


def test_behind_the_logits_the_probability_itself_is_followed():
    inputs = keras.Input((4,))
    probabilities = layers.Softmax(name="soft")(layers.Dense(3, name="logits")(inputs))
    model = keras.Model(inputs, probabilities)
    x = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
    result = ta.Attributor(model, at="soft").attribute(x, method=FINE)
    assert any("refined on the probability itself" in note for note in result.notes)
    np.testing.assert_allclose(np.sort(result.attributions, 1)[:, -1], result.scores, rtol=1e-5)
    at_logits = ta.Attributor(model, at="logits").attribute(x, method=FINE)
    assert not at_logits.notes
    assert at_logits.converged.all()


def test_a_target_at_a_position_of_a_sequence():
    model = keras.Sequential([keras.Input((5, 4)), layers.Dense(6, activation="relu"), layers.Dense(3, activation="softmax")])
    x = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32") * 3
    attributor = ta.Attributor(model)
    result = attributor.attribute(x, (2, 1), method=FINE)
    assert relative(result, attributor.attribute(x, (2, 1), method=FIXED)).max() < 0.01
    assert np.all(result.attributions[:, [0, 1, 3, 4]] == 0)


# where it works


def test_embeddings_layers_several_inputs_and_several_baselines():
    text, cnn = make_recurrent_text(), make_cnn()
    ids = np.random.default_rng(1).integers(1, 30, (4, 10)).astype("int32")
    ids[1, 6:] = 0
    check(ta.Attributor(text), ids)
    images = np.random.default_rng(0).uniform(size=(4, 8, 8, 1)).astype("float32")
    check(ta.Attributor(cnn, at="conv"), images)
    left, right = keras.Input((4,), name="left"), keras.Input((2,), name="right")
    hidden = layers.Dense(8, activation="relu")(layers.Concatenate()([left, 5 * right]))
    rng = np.random.default_rng(2)
    pair = {name: rng.normal(size=(4, size)).astype("float32") for name, size in (("left", 4), ("right", 2))}
    check(ta.Attributor(keras.Model([left, right], layers.Dense(2, activation="softmax")(hidden))), pair)
    attributor = ta.Attributor(cnn)
    single = check(attributor, images, ta.constant(0.5))
    several = check(attributor, images, [ta.constant(0.5), ta.zeros(), ta.uniform(2, 0.0, 1.0)])
    assert (several.forward_evaluations == 1 + 4 * 16).all()
    assert several.evaluations.min() > single.evaluations.max()


def check(attributor, inputs, baselines=None):
    result = attributor.attribute(inputs, 0, baselines, FINE, seed=0)
    truth = attributor.attribute(inputs, 0, baselines, FIXED, seed=0)
    assert result.converged.all()
    assert relative(result, truth).max() < 0.011
    return result


def test_float64_models_go_below_a_ten_thousandth():
    attributor = ta.Attributor(lambda x: tf.reduce_sum(tf.exp(x), 1))
    x = np.array([[1.0, -2.0, 0.5]])
    result = attributor.attribute(x, method=ta.IntegratedGradients(1e-7, max_evaluations=30000))
    np.testing.assert_allclose(result.attributions, np.exp(x) - 1, rtol=3e-7)
    assert not any("float32" in note for note in result.notes)
    rough = attributor.attribute(x.astype("float32"), method=ta.IntegratedGradients(1e-6))
    assert any("float32 carries the error estimate to about 0.0001" in note for note in rough.notes)


# what is said of examples that did not get there


def test_unconverged_examples_are_flagged_everywhere(digits):
    model, inputs = digits
    result = attributor_for(model).attribute(inputs[:3], method=ta.IntegratedGradients(0.01, 12))
    assert list(result.status) == ["max_evaluations"] * 3
    assert not result.converged.any()
    assert "NOT CONVERGED" in repr(result)
    assert "max_evaluations" in repr(result)
    assert "raise max_evaluations" in result.plot().caption
    assert result[0].converged.tolist() == [False]


def test_a_straight_through_model_is_flagged_and_its_residual_never_spread():
    model = ta.Attributor(lambda x: tf.reduce_sum(4 * x + tf.stop_gradient(tf.round(4 * x) - 4 * x), 1))
    result = model.attribute(np.array([[0.4, 0.7]], "float32"), method=FINE)
    assert result.status[0] == "too_narrow"
    assert result.residual_clipped[0]
    np.testing.assert_allclose(result.attributions, [[1.6, 2.8]], rtol=1e-5)
    np.testing.assert_allclose(result.gap, 4.4 - 5, rtol=1e-4)
    np.testing.assert_allclose(result.residual, -result.gap, rtol=1e-4)
    assert "jumps or peaks" in repr(result)


def test_a_nan_marks_its_example_and_no_other():
    @tf.custom_gradient
    def spoiled(x):
        return x, lambda upstream: tf.where(x < 0, np.nan, upstream)

    attributor = ta.Attributor(lambda x: tf.reduce_sum(spoiled(x) ** 2, 1))
    x = np.array([[1.0, 2.0], [3.0, -1.0], [2.0, 2.0]], "float32")
    assert_refused(lambda: attributor.attribute(x), "gradient", "example(s) 1;")
    assert_refused(lambda: attributor.attribute(x, on_error="ignore"), "'raise' or 'mark'", "'ignore'")
    for method in ("integrated_gradients", ta.IntegratedGradients(n_steps=20), "gradient"):
        result = attributor.attribute(x, method=method, on_error="mark")
        assert result.status[1] == "not_finite"
        assert np.isnan(result.attributions[1]).all()
        assert not set(result.status[[0, 2]]) & {"not_finite"}
        np.testing.assert_array_equal(result.attributions[[0, 2]], attributor.attribute(x[[0, 2]], method=method).attributions)
        assert "NOT FINITE" in repr(result)


def test_a_score_that_is_not_finite_is_marked_too():
    attributor = ta.Attributor(lambda x: tf.reduce_sum(tf.math.log(x), 1))
    x = np.array([[1.0], [-1.0], [2.0]], "float32")
    result = attributor.attribute(x, baselines=ta.constant(0.5), on_error="mark")
    assert list(result.status) == ["converged", "not_finite", "converged"]
    np.testing.assert_allclose(result.attributions[[0, 2], 0], np.log([2, 4]), rtol=0.05)


# how it is done


def test_nothing_is_traced_again(cnn, images, monkeypatch):
    made, make = [], Compiled.__init__
    monkeypatch.setattr(Compiled, "__init__", lambda self, *rest: made.append(self) or make(self, *rest))
    attributor = ta.Attributor(cnn)
    for count, target in ((2, None), (5, 1), (1, [3])):
        attributor.attribute(images[:count], target)
    # gradients of the log-odds; the pass that compares input and baseline, which the scan is made by, too
    assert len(made) == 2


def test_memory_of_the_attributor_bounds_what_is_kept(digits):
    model, inputs = digits
    plenty = attributor_for(model).attribute(inputs[:8], method=FINE)
    tight = ta.Attributor(model, memory=1).attribute(inputs[:8], method=FINE)
    np.testing.assert_allclose(tight.attributions, plenty.attributions, rtol=0.05, atol=1e-4)
    for wrong in (0, -5, "1 GB", 1.5):
        assert_refused(lambda wrong=wrong: ta.Attributor(model, memory=wrong), "memory (in bytes)", repr(wrong))


def test_interrupting_leaves_nothing_half_done(cnn, images, monkeypatch):
    attributor = ta.Attributor(cnn)
    before = attributor.attribute(images, method=FINE)
    (session,) = attributor._sessions.values()
    run, calls = session.run, []

    def interrupted(row, tables, integrator, odds, advance, sums):
        def stop(rows):
            calls.append(rows)
            if len(calls) == 3:
                raise KeyboardInterrupt

        return run(row, tables, integrator, odds, stop, sums)

    session.run = interrupted
    with pytest.raises(KeyboardInterrupt):
        attributor.attribute(images, method=FINE)
    session.run = run
    np.testing.assert_array_equal(attributor.attribute(images, method=FINE).attributions, before.attributions)
