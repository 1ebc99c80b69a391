"""The doctor on models: each disease on a model that is built to have exactly that, and a healthy one beside it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ...helpers.sick import DIAGONAL, PLAIN, attributor_of, averaging_text, softmax_of


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


def largest_of_the_batch(x):
    return tf.nn.softmax(3 * x / tf.reduce_max(tf.abs(x)))


@pytest.mark.parametrize("examples", [PLAIN[:1], np.concatenate([0.5 * PLAIN, PLAIN])])
def test_scores_that_follow_the_largest_value_of_the_batch(examples):
    """The largest stands in both batches that are made of the examples alone."""
    report = ta.diagnose(ta.Attributor(largest_of_the_batch), examples)
    assert report["depends_on_company"].severity == "error"
    assert "repeatable" not in report


def test_a_draw_that_seldom_changes_anything():
    """Two calls on one example are mostly the same; the seed makes them so here."""
    tf.random.set_seed(5)
    report = ta.diagnose(ta.Attributor(lambda x: tf.nn.softmax(tf.nn.dropout(x, 0.03))), PLAIN[:1])
    assert {"stochastic_output", "dropout_in_training_mode"} & {one.name for one in report.findings}


def two_inputs(join, **options):
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    dense = layers.Dense(3, activation="softmax", use_bias=False)
    model = keras.Model([a, b], dense(join(a, b)))
    dense.set_weights([DIAGONAL.astype("float32")])
    return ta.Attributor(model, **options), [PLAIN, PLAIN[::-1].copy()]


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


# a comparison has as little of a gradient as rounding has
@pytest.mark.parametrize(
    "function",
    [pytest.param(tf.round, marks=pytest.mark.slow), tf.stop_gradient, lambda b: tf.cast(b > 0.75, tf.float32)],
)
def test_an_input_whose_gradient_is_cut(function):
    # where nothing is named, the comparison's outcome is attributed to
    report = ta.diagnose(*two_inputs(lambda a, b: Cut(function)([a, b]), at="inputs"))
    found = report["gradient_missing"]
    assert found.severity == "error"
    assert found.evidence["change_of_output"] > 0.01
    assert found.evidence["operations"]


@tf.custom_gradient
def reversed_gradient(x):
    return tf.identity(x), lambda upstream: -upstream


def test_more_gradients_are_no_remedy_where_they_are_not_the_scores_own():
    attributor = ta.Attributor(lambda x: tf.reduce_sum(tf.tanh(reversed_gradient(x)), 1))
    result = attributor.attribute(PLAIN, method=ta.IntegratedGradients(max_evaluations=33))
    assert set(result.status) == {"max_evaluations"}
    np.testing.assert_allclose(result.relative_gap, -2, rtol=1e-3)
    assert "the gradients are not those of the score" in repr(result)
    found = ta.diagnose(attributor, PLAIN, method=ta.IntegratedGradients(max_evaluations=33))["accuracy"]
    assert "More may not help" in found.meaning
    assert "occlusion" in found.remedy


def test_no_gradient_at_all():
    report = ta.diagnose(ta.Attributor(lambda x: tf.cast(tf.argmax(x, 1), tf.float32)), PLAIN)
    assert report["cannot_attribute"].severity == "error"
    assert "occlusion" in report["cannot_attribute"].remedy


def test_integers_beside_floats():
    a, n = keras.Input((3,), name="a"), keras.Input((3,), dtype="int32", name="n")
    chosen = keras.ops.take_along_axis(layers.Dense(3, activation="tanh")(a), n, axis=1)  # it only says which of them
    chooses = keras.Model([a, n], layers.Dense(3, activation="softmax")(chosen))
    found = ta.diagnose(ta.Attributor(chooses), [PLAIN, np.ones((3, 3), "int32")])["integer_inputs"]
    assert found.severity == "warning"
    assert found.evidence["inputs"] == {"1": "int32"}
    assert found.evidence["left_out"] == ["n"]
    added = keras.Model([a, n], layers.Dense(3, activation="softmax")(a + keras.ops.cast(n, "float32")))
    report = ta.diagnose(ta.Attributor(added), [PLAIN, np.ones((3, 3), "int32")])
    assert not [one for one in report.findings if one.name == "integer_inputs"]  # a quantity is attributed to


def test_integers_that_are_embedded(ids):
    found = ta.diagnose(ta.Attributor(averaging_text()), ids)["integer_inputs"]
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
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(20, activation="relu", name="hidden"), layers.Dense(3, activation="softmax")]
    )
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


def test_float16_overflow():
    scale = tf.Variable(1.0)

    def model(x):
        half = tf.cast(x, tf.float16) * tf.cast(scale, tf.float16)
        return tf.reduce_sum(tf.cast(half, tf.float32), 1) / scale

    attributor = ta.Attributor(model)

    def found(value):
        scale.assign(value)
        return ta.diagnose(attributor, PLAIN * 2)["float16_overflow"]

    assert found(20000.0).severity == "error"
    near = found(10900.0)
    assert near.severity == "warning"
    assert near.evidence["largest_magnitude"] == pytest.approx(54500, rel=1e-3)
    assert found(10.0).severity == "passed"
    assert "float16_overflow" not in ta.diagnose(attributor_of(softmax_of(DIAGONAL)), PLAIN)


def test_a_mask_of_floats_that_is_left_out_is_told():
    steps, mask = keras.Input((4, 3), name="steps"), keras.Input((4,), name="mask")
    largest = keras.ops.max(steps + (1 - mask[..., None]) * -1e9, 1)
    attributor = ta.Attributor(keras.Model([steps, mask], layers.Dense(2, activation="softmax")(largest)))
    x = [np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32"), np.float32([[1, 1, 0, 0], [1, 1, 1, 0]])]
    found = ta.diagnose(attributor, x)["integer_inputs"]
    assert (found.severity, found.evidence["left_out"]) == ("warning", ["mask"])
