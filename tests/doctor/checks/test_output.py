"""The doctor on outputs and on the integral: each disease by hand, and a healthy case beside it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ...conftest import spread
from ...helpers.sick import DIAGONAL, PLAIN, attributor_of, sigmoid_of, softmax_of


def test_a_saturated_head():
    """sigmoid(12 x) at x = 1: slope 12 s (1 - s) against a rise of s - 1/2."""
    found = ta.diagnose(attributor_of(sigmoid_of([12.0])), np.ones((1, 1), "float32"), target=1)["saturated_head"]
    s = 1 / (1 + np.exp(-12.0))
    assert found.severity == "note"
    assert found.evidence["median_share"] == pytest.approx(12 * s * (1 - s) / (s - 0.5), rel=1e-2)
    gentle = ta.diagnose(attributor_of(sigmoid_of([1.0])), np.ones((1, 1), "float32"), target=1)
    assert gentle["saturated_head"].severity == "passed"


def test_logit_and_probability():
    """What speaks for all classes alike counts in the logit alone."""
    common = np.array([[5, 5, 5], [3, 3, 3], [1, 0, 0], [0, 1, 0]], "float32")
    x = np.array([[1, 2, 2, 0.5]], "float32")
    assert ta.diagnose(attributor_of(softmax_of(common)), x)["probability_or_logit"].severity == "note"
    same = ta.diagnose(attributor_of(sigmoid_of([1.0, 0.5, -0.7])), PLAIN, target=1)["probability_or_logit"]
    assert same.severity == "passed"
    assert same.evidence["cosine"] == pytest.approx(1, abs=1e-3)


def test_the_logit_explained_is_compared_with_the_probability():
    common = np.array([[5, 5, 5], [3, 3, 3], [1, 0, 0], [0, 1, 0]], "float32")
    report = ta.diagnose(attributor_of(softmax_of(common), of="logits"), np.array([[1, 2, 2, 0.5]], "float32"))
    assert 'explaining("probability")' in report["probability_or_logit"].remedy
    assert report["baseline_entropy"].evidence["relative"] == pytest.approx(1)


def test_an_output_with_positions():
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    model = keras.Sequential([keras.Input((4, 3)), layers.Dense(3, activation="softmax", kernel_initializer=spread())])
    without = ta.diagnose(ta.Attributor(model), x)["output_has_positions"]
    assert without.severity == "warning"
    values = np.asarray(model(x))[0]
    assert without.evidence["target"] == list(np.unravel_index(values.argmax(), values.shape))
    given = ta.diagnose(ta.Attributor(model), x, target=(2, 1))["output_has_positions"]
    assert given.severity == "note"
    assert given.evidence == {"shape": [4, 3], "target": [2, 1]}


def test_units_without_a_head():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(3, use_bias=False)])
    model.set_weights([DIAGONAL.astype("float32")])
    found = ta.diagnose(ta.Attributor(model), PLAIN)["no_target"]
    assert found.evidence == {"units": 3, "taken": 0}
    assert "no_target" not in ta.diagnose(ta.Attributor(model), PLAIN, target=2)


def test_a_target_that_is_not_predicted():
    attributor = attributor_of(softmax_of(DIAGONAL))
    found = ta.diagnose(attributor, PLAIN, target=[0, 1, 0])["target_not_predicted"]
    assert found.severity == "note"
    assert found.examples == (2,)
    assert ta.diagnose(attributor, PLAIN, target=[0, 1, 2])["target_not_predicted"].severity == "passed"
    named = ta.Attributor(attributor.model, class_names=["cat", "dog", "cup"])
    said = ta.diagnose(named, PLAIN, target=[0, 1, 0])["target_not_predicted"].meaning
    assert "is class 2 (cup) with" in said
    assert "explained is class 0 (cat) with" in said


def test_too_few_evaluations():
    method = ta.IntegratedGradients(0.001, max_evaluations=2)
    found = ta.diagnose(attributor_of(softmax_of(DIAGONAL * 3)), PLAIN, method=method)["accuracy"]
    assert found.severity == "warning"
    assert found.evidence["not_converged"] == len(found.examples) > 0
    assert "ta.IntegratedGradients(0.001, 5)" in found.remedy


def test_a_jump_that_no_step_resolves():
    report = ta.diagnose(ta.Attributor(lambda x: tf.sigmoid(1e9 * (tf.reduce_sum(x, 1) - 1.2345)) + 0.1 * x[:, 0]), PLAIN)
    assert report["accuracy"].severity == "warning"


def test_a_model_that_rounds():
    report = ta.diagnose(ta.Attributor(lambda x: tf.reduce_sum(x + tf.round(x), 1)), PLAIN)
    assert report["gap"].severity == "error"
    assert report["gap"].evidence["more_than_gradients_explain"] is True
    assert report["gap"].evidence["largest_gap"] == pytest.approx(-0.5, abs=0.1)


def test_too_few_steps_of_a_rule_with_its_own_nodes():
    """There are no steps to take more of: what helps is another rule."""
    attributor, x = attributor_of(sigmoid_of([20.0, 15.0], bias=-20.0)), np.array([[1.0, 1.5], [2.0, 1.0]], "float32")
    coarse = ta.IntegratedGradients(rule=ta.Rule("ends", [0.0, 1.0], [0.5, 0.5]))
    assert repr(coarse) == "IntegratedGradients(rule=ends of 2 nodes)"
    found = ta.diagnose(attributor, x, target=1, default_class=0, method=coarse)["too_few_steps"]
    assert found.evidence["steps"] == 2
    assert "steps_that_do_not" not in found.evidence
    assert "finds its steps itself" in found.remedy


def test_too_few_steps():
    attributor = attributor_of(sigmoid_of([20.0, 15.0], bias=-20.0))
    x = np.array([[1.0, 1.5], [2.0, 1.0]], "float32")
    found = ta.diagnose(attributor, x, target=1, default_class=0, method=ta.IntegratedGradients(rule="trapezoid", n_steps=5))[
        "too_few_steps"
    ]
    assert found.severity == "warning"
    steps = found.evidence["steps_that_do"]
    one = x[[found.evidence["example"]]]
    for n_steps, enough in ((steps, True), (steps // 2, False)):
        result = attributor.attribute(one, target=1, method=ta.IntegratedGradients(rule="trapezoid", n_steps=n_steps))
        exact = attributor.attribute(one, target=1, method=ta.IntegratedGradients(0.001))
        error = np.abs(result.attributions - exact.attributions).sum() / exact.magnitudes[0]
        assert (abs(result.relative_gap[0]) <= 0.05 and error <= 0.06) == enough
    assert f"n_steps={steps}" in found.remedy
    enough = ta.diagnose(
        attributor, x, target=1, default_class=0, method=ta.IntegratedGradients(rule="trapezoid", n_steps=steps * 2)
    )
    assert "too_few_steps" not in enough
    assert enough["accuracy"].severity == "passed"


def test_a_rule_whose_errors_cancel_in_the_sum():
    """The midpoint's slopes are 3/4 and 5/4, the integrals 1 and 1."""
    report = ta.diagnose(
        ta.Attributor(lambda x: x[:, 0] ** 3 + 2 * x[:, 1] - x[:, 1] ** 3),
        np.ones((1, 2), "float32"),
        method=ta.IntegratedGradients(rule="midpoint", n_steps=1),
    )
    assert report["gap"].severity == "passed"
    assert report["accuracy"].severity == "warning"
    assert report["accuracy"].evidence["largest_error"] == pytest.approx(0.25, abs=0.01)
