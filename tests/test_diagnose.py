"""The doctor: each finding on a model that is built to have exactly that disease, and none on healthy ones."""

import ast
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tf_attrib.doctor import catalogue
from tf_attrib.doctor.compare import cosine, rank_correlation, sign_changes

from .conftest import assert_refused, make_cnn, make_text, spread

WARNINGS = ("error", "warning")


def unwell(report):
    """Names of the errors and warnings."""
    return [one.name for one in report.findings if one.severity in WARNINGS]


def softmax_of(rows, bias=0.0):
    """A model with one Dense layer of given weights (features, classes) and bias."""
    rows = np.asarray(rows, "float32")
    head = layers.Dense(rows.shape[1], activation="softmax", name="head")
    model = keras.Sequential([keras.Input((len(rows),), name="x"), head])
    model.set_weights([rows, np.broadcast_to(np.asarray(bias, "float32"), rows.shape[1:]).copy()])
    return model


def sigmoid_of(weights, bias=0.0):
    model = keras.Sequential([keras.Input((len(weights),), name="x"), layers.Dense(1, activation="sigmoid", name="head")])
    model.set_weights([np.asarray(weights, "float32")[:, None], np.array([bias], "float32")])
    return model


PLAIN = np.array([[2, 1, 0.5], [1, 2, 0.5], [0.7, 0.4, 2.5]], "float32")
DIAGONAL = np.eye(3) * 3


# model


class Dropping(keras.Model):
    def __init__(self):
        super().__init__()
        self.drop, self.head = layers.Dropout(0.5, name="drop"), layers.Dense(3, activation="softmax")

    def call(self, x, training=None):
        return self.head(self.drop(x, training=True))


def test_dropout_in_training_mode():
    model, x = Dropping(), np.ones((4, 12), "float32")
    model(x)
    found = ta.diagnose(ta.Attributor(model), x)["dropout_in_training_mode"]
    assert found.severity == "error"
    assert found.evidence["first_layer"] == "drop"
    assert found.evidence["relative_difference"] > 0.01


class Normalising(keras.Model):
    def __init__(self):
        super().__init__()
        self.norm, self.head = layers.BatchNormalization(name="norm"), layers.Dense(3, activation="softmax")

    def call(self, x, training=None):
        return self.head(self.norm(x, training=True))


def test_batch_normalisation_in_training_mode():
    model = Normalising()
    model(PLAIN)
    report = ta.diagnose(ta.Attributor(model), PLAIN)
    found = report["batch_normalisation_in_training_mode"]
    assert found.severity == "error"
    assert found.evidence["first_layer"] == "norm"
    assert "dropout_in_training_mode" not in report


def test_a_single_example_shows_batch_statistics_too():
    model = Normalising()
    model(PLAIN)
    assert "batch_normalisation_in_training_mode" in ta.diagnose(ta.Attributor(model), PLAIN[:1])


def test_random_numbers_in_a_function():
    report = ta.diagnose(ta.Attributor(lambda x: tf.nn.softmax(x + tf.random.normal(tf.shape(x)))), PLAIN)
    assert report["stochastic_output"].severity == "error"


def test_examples_that_look_at_each_other():
    report = ta.diagnose(ta.Attributor(lambda x: tf.nn.softmax(3 * x - tf.reduce_mean(x, 0))), PLAIN)
    assert report["depends_on_company"].severity == "error"
    assert "stochastic_output" not in report


def two_inputs(join):
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    dense = layers.Dense(3, activation="softmax", use_bias=False)
    model = keras.Model([a, b], dense(join(a, b)))
    dense.set_weights([DIAGONAL.astype("float32")])
    return ta.Attributor(model), [PLAIN, PLAIN[::-1].copy()]


class Cut(layers.Layer):
    """Hands on the first input and a number of the second that has no gradient."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, pair):
        return pair[0] + self.function(pair[1])


def test_an_input_that_does_not_count():
    report = ta.diagnose(*two_inputs(lambda a, b: Cut(lambda b: 0 * tf.stop_gradient(b))([a, b])))
    found = report["disconnected_input"]
    assert found.severity == "warning"
    assert found.evidence["change_of_output"] == 0
    assert "'a'" in found.remedy or "0" in found.remedy
    assert "gradient_missing" not in report


@pytest.mark.parametrize("function", [tf.round, tf.stop_gradient, lambda b: tf.cast(b > 0.75, tf.float32)])
def test_an_input_whose_gradient_is_cut(function):
    report = ta.diagnose(*two_inputs(lambda a, b: Cut(function)([a, b])))
    found = report["gradient_missing"]
    assert found.severity == "error"
    assert found.evidence["change_of_output"] > 0.01
    assert found.evidence["operations"]


def test_no_gradient_at_all():
    report = ta.diagnose(ta.Attributor(lambda x: tf.cast(tf.argmax(x, 1), tf.float32)), PLAIN)
    assert report["cannot_attribute"].severity == "error"
    assert "occlusion" in report["cannot_attribute"].remedy


def test_integers_beside_floats():
    a, n = keras.Input((3,), name="a"), keras.Input((3,), dtype="int32", name="n")
    model = keras.Model([a, n], layers.Dense(3, activation="softmax")(a + keras.ops.cast(n, "float32")))
    found = ta.diagnose(ta.Attributor(model), [PLAIN, np.ones((3, 3), "int32")])["integer_inputs"]
    assert found.severity == "warning"
    assert found.evidence["inputs"] == {"1": "int32"}


def test_integers_that_are_embedded(ids):
    found = ta.diagnose(ta.Attributor(make_text()), ids)["integer_inputs"]
    assert found.severity == "note"
    assert "words" in found.meaning


def test_not_finite():
    report = ta.diagnose(ta.Attributor(lambda x: tf.reduce_sum(tf.math.log(x - 0.5), 1)), PLAIN + 0.5)
    assert report["not_finite"].severity == "error"
    assert report["not_finite"].examples == (0, 1, 2)
    assert 0 in report["not_finite"].evidence["alphas_of_output"]


def test_a_gradient_that_is_infinite_at_the_baseline_alone():
    found = ta.diagnose(ta.Attributor(lambda x: tf.reduce_sum(tf.sqrt(x), 1)), PLAIN)["infinite_gradient_at_an_end"]
    assert found.severity == "note"
    assert found.evidence == {"entries": 9, "end": "baseline"}


def dead(share):
    """A ReLU layer of 20 units of which `share` are below zero whatever comes."""
    model = keras.Sequential([keras.Input((3,)), layers.Dense(20, activation="relu", name="hidden"),
                              layers.Dense(3, activation="softmax")])
    bias = np.where(np.arange(20) < share * 20, -100, 1).astype("float32")
    kernel, _, *head = model.get_weights()
    model.set_weights([np.abs(kernel), bias, *head])
    return ta.Attributor(model)


def test_dead_units():
    found = ta.diagnose(dead(0.95), PLAIN)["dead_units"]
    assert found.severity == "warning"
    assert found.evidence["by_layer"] == {"hidden": pytest.approx(0.95)}
    assert ta.diagnose(dead(0.25), PLAIN)["dead_units"].severity == "passed"


@tf.custom_gradient
def straight_through(x):
    return tf.round(x), lambda upstream: upstream


@tf.custom_gradient
def twice(x):
    return 2 * x, lambda upstream: 2 * upstream


def test_gradients_of_the_models_own():
    wrong = ta.diagnose(ta.Attributor(lambda x: tf.reduce_sum(straight_through(1.3 * x), 1)), PLAIN)
    assert wrong["custom_gradients"].severity == "warning"
    assert wrong["gap"].severity == "error"
    right = ta.diagnose(ta.Attributor(lambda x: tf.reduce_sum(twice(x), 1)), PLAIN)
    assert right["custom_gradients"].severity == "note"
    assert right["custom_gradients"].evidence["count"] == 1
    assert right.healthy


def float16(scale):
    def model(x):
        half = tf.cast(x, tf.float16) * tf.constant(scale, tf.float16)
        return tf.reduce_sum(tf.cast(half, tf.float32), 1) / scale
    return ta.Attributor(model)


def test_float16_overflow():
    x = PLAIN * 2
    assert ta.diagnose(float16(20000.0), x)["float16_overflow"].severity == "error"
    near = ta.diagnose(float16(10900.0), x)["float16_overflow"]
    assert near.severity == "warning"
    assert near.evidence["largest_magnitude"] == pytest.approx(54500, rel=1e-3)
    assert ta.diagnose(float16(10.0), x)["float16_overflow"].severity == "passed"
    assert "float16_overflow" not in ta.diagnose(ta.Attributor(softmax_of(DIAGONAL)), PLAIN)


# output


def test_a_saturated_head():
    """sigmoid(12 x) at x = 1: slope 12 s (1 - s) against a rise of s - 1/2."""
    found = ta.diagnose(ta.Attributor(sigmoid_of([12.0])), np.ones((1, 1), "float32"), target=1)["saturated_head"]
    s = 1 / (1 + np.exp(-12.0))
    assert found.severity == "note"
    assert found.evidence["median_share"] == pytest.approx(12 * s * (1 - s) / (s - 0.5), rel=1e-2)
    gentle = ta.diagnose(ta.Attributor(sigmoid_of([1.0])), np.ones((1, 1), "float32"), target=1)
    assert gentle["saturated_head"].severity == "passed"


def test_logit_and_probability():
    """What speaks for all classes alike counts in the logit alone."""
    common = np.array([[5, 5, 5], [3, 3, 3], [1, 0, 0], [0, 1, 0]], "float32")
    x = np.array([[1, 2, 2, 0.5]], "float32")
    assert ta.diagnose(ta.Attributor(softmax_of(common)), x)["probability_or_logit"].severity == "note"
    same = ta.diagnose(ta.Attributor(sigmoid_of([1.0, 0.5, -0.7])), PLAIN, target=1)["probability_or_logit"]
    assert same.severity == "passed"
    assert same.evidence["cosine"] == pytest.approx(1, abs=1e-3)


def test_the_logit_explained_is_compared_with_the_probability():
    common = np.array([[5, 5, 5], [3, 3, 3], [1, 0, 0], [0, 1, 0]], "float32")
    report = ta.diagnose(ta.Attributor(softmax_of(common), of="logits"), np.array([[1, 2, 2, 0.5]], "float32"))
    assert 'of="probability"' in report["probability_or_logit"].remedy
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
    attributor = ta.Attributor(softmax_of(DIAGONAL))
    found = ta.diagnose(attributor, PLAIN, target=[0, 1, 0])["target_not_predicted"]
    assert found.severity == "note"
    assert found.examples == (2,)
    assert ta.diagnose(attributor, PLAIN, target=[0, 1, 2])["target_not_predicted"].severity == "passed"


# integral


def test_too_few_evaluations():
    method = ta.IntegratedGradients(0.001, max_evaluations=2)
    found = ta.diagnose(ta.Attributor(softmax_of(DIAGONAL * 3)), PLAIN, method=method)["accuracy"]
    assert found.severity == "warning"
    assert found.evidence["not_converged"] == len(found.examples) > 0
    assert "ta.IntegratedGradients(0.001, 5)" in found.remedy


def test_a_jump_that_no_step_resolves():
    report = ta.diagnose(ta.Attributor(lambda x: tf.sigmoid(1e6 * (tf.reduce_sum(x, 1) - 1.2345)) + 0.1 * x[:, 0]), PLAIN)
    assert report["accuracy"].severity == "warning"


def test_a_model_that_rounds():
    report = ta.diagnose(ta.Attributor(lambda x: tf.reduce_sum(x + tf.round(x), 1)), PLAIN)
    assert report["gap"].severity == "error"
    assert report["gap"].evidence["more_than_gradients_explain"] is True
    assert report["gap"].evidence["largest_gap"] == pytest.approx(-0.5, abs=0.1)


def test_too_few_steps():
    attributor = ta.Attributor(sigmoid_of([20.0, 15.0], bias=-20.0))
    x = np.array([[1.0, 1.5], [2.0, 1.0]], "float32")
    found = ta.diagnose(attributor, x, target=1, default_class=0,
                        method=ta.IntegratedGradients(rule="trapezoid", n_steps=5))["too_few_steps"]
    assert found.severity == "warning"
    steps = found.evidence["steps_that_do"]
    one = x[[found.evidence["example"]]]
    for n_steps, enough in ((steps, True), (steps // 2, False)):
        result = attributor.attribute(one, target=1, method=ta.IntegratedGradients(rule="trapezoid", n_steps=n_steps))
        exact = attributor.attribute(one, target=1, method=ta.IntegratedGradients(0.001))
        error = np.abs(result.attributions - exact.attributions).sum() / exact.magnitudes[0]
        assert (abs(result.relative_gap[0]) <= 0.05 and error <= 0.06) == enough
    assert f"n_steps={steps}" in found.remedy
    enough = ta.diagnose(attributor, x, target=1, default_class=0,
                         method=ta.IntegratedGradients(rule="trapezoid", n_steps=steps * 2))
    assert "too_few_steps" not in enough
    assert enough["accuracy"].severity == "passed"


def test_a_rule_whose_errors_cancel_in_the_sum():
    """The midpoint's slopes are 3/4 and 5/4, the integrals 1 and 1."""
    report = ta.diagnose(ta.Attributor(lambda x: x[:, 0] ** 3 + 2 * x[:, 1] - x[:, 1] ** 3), np.ones((1, 2), "float32"),
                         method=ta.IntegratedGradients(rule="midpoint", n_steps=1))
    assert report["gap"].severity == "passed"
    assert report["accuracy"].severity == "warning"
    assert report["accuracy"].evidence["largest_error"] == pytest.approx(0.25, abs=0.01)


# the report


def test_a_healthy_model_by_hand():
    report = ta.diagnose(ta.Attributor(softmax_of(DIAGONAL)), PLAIN)
    assert report.healthy
    assert report.worst == "note"
    assert {"repeatable", "baseline_entropy", "gap", "accuracy"} <= {one.name for one in report if one.severity == "passed"}
    assert "necessary and not sufficient" in report["baseline_entropy"].meaning


def test_what_fits_is_refused():
    attributor = ta.Attributor(softmax_of(DIAGONAL))
    assert_refused(lambda: ta.diagnose(attributor.model, PLAIN), "ta.Attributor(model)")
    assert_refused(lambda: ta.diagnose(attributor, PLAIN, default_class=0.3), "default_class", "0.3")
    assert_refused(lambda: ta.diagnose(attributor, PLAIN, default_class=-1), "default_class")
    assert_refused(lambda: ta.diagnose(attributor, PLAIN, method="occlusion"), "integrated gradients")
    assert_refused(lambda: ta.diagnose(attributor, PLAIN[:, :2]), "must be float32")
    assert_refused(lambda: ta.diagnose(attributor, PLAIN, target=7), "out of range")


def test_nothing_is_left_behind():
    """The attributor gives the same numbers before and after, and the model its own."""
    model = make_cnn()
    attributor, x = ta.Attributor(model), np.random.default_rng(0).uniform(size=(3, 8, 8, 1)).astype("float32")
    before, values = attributor.attribute(x), np.asarray(model(x))
    ta.diagnose(attributor, x)
    np.testing.assert_array_equal(attributor.attribute(x).attributions, before.attributions)
    np.testing.assert_array_equal(np.asarray(model(x)), values)
    assert attributor.of is None


def test_the_same_seed_gives_the_same_report():
    attributor = ta.Attributor(make_cnn())
    x = np.random.default_rng(0).uniform(size=(3, 8, 8, 1)).astype("float32")
    one, two, three = (ta.diagnose(attributor, x, baselines=ta.uniform(2, 0, 1), seed=seed) for seed in (1, 1, 2))
    assert one.to_json() == two.to_json()
    assert one["baseline_score"].evidence != three["baseline_score"].evidence


def test_the_table_lists_every_finding():
    """Names are given to `finding` as plain strings: those in the code and those in the table are the same."""
    used = set()
    for path in sorted(Path(catalogue.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "finding":
                assert isinstance(node.args[0], ast.Constant), f"{path.name}, line {node.lineno}"
                used.add(node.args[0].value)
    assert used == set(catalogue.NAMES)
    printed = catalogue.table()
    assert all(f"| `{name}` |" in printed for name in used)


def test_ranks_cosines_and_signs():
    a = np.array([3.0, -1, 2, 0])
    assert rank_correlation(a, 2 * a + 1) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    ties = np.array([1.0, 1, 2, 3])
    scipy_stats = pytest.importorskip("scipy.stats")
    assert rank_correlation(a, ties) == pytest.approx(scipy_stats.spearmanr(a, ties)[0])
    assert rank_correlation(a, np.ones(4)) == 0
    assert cosine(a, 5 * a) == pytest.approx(1)
    assert sign_changes(np.array([1.0, -1, 1, 0.01]), np.array([1.0, 1, 1, -0.01])) == pytest.approx(1 / 3)
