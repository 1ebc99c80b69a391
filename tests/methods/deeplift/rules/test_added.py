"""Rules for operations that others add: they hold, are seen by `ta.coverage`, and replace nothing by accident."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tf_attrib.methods.deeplift.rules.added import deeplift_rule
from tf_attrib.methods.deeplift.rules.common import pairs, quotient, unbroadcast
from tf_attrib.methods.deeplift.rules.table import RULES

from ....conftest import assert_refused

X = np.array([[0.5, 2.0, -1.0], [-0.3, -1.5, 0.4]], "float32")
BASELINE = np.array([0.9, 0.4, 0.2], "float32")


@pytest.fixture(autouse=True)
def _as_before():
    yield
    for name in list(RULES.added):
        del RULES[name]


def atan2(operation, upstream):
    """Shapley values of the two
    (and what else there is to say)"""
    a, b = pairs(operation)
    first = (tf.atan2(a[0], b[1]) - tf.atan2(a[1], b[1]) + tf.atan2(a[0], b[0]) - tf.atan2(a[1], b[0])) / 2
    second = (tf.atan2(a[1], b[0]) - tf.atan2(a[1], b[1]) + tf.atan2(a[0], b[0]) - tf.atan2(a[0], b[1])) / 2
    return [unbroadcast(upstream * quotient(part, pair[0] - pair[1]), pair[0]) for part, pair in ((first, a), (second, b))]


def angle(x):
    return 3 * tf.atan2(x[:, 0], x[:, 1]) + x[:, 2] ** 2


def rescaled(operation, upstream):
    (x, reference), at_reference = pairs(operation)[0], tf.nn.relu(pairs(operation)[0][1])
    return upstream * quotient(operation.outputs[0] - at_reference, x - reference)


def test_an_operation_without_a_rule_gets_one_and_coverage_shows_it():
    attributor = ta.Attributor(angle)
    assert "Atan2" in {row.operation for row in ta.coverage(attributor, inputs=X).uncovered}
    assert_refused(lambda: attributor.attribute(X, method="deeplift"), "no rule for", "Atan2")
    assert deeplift_rule("Atan2", source="section 3.5.3")(atan2) is atan2
    (row,) = (one for one in ta.coverage(attributor, inputs=X).rows if one.operation == "Atan2")
    assert (row.rule, row.source) == ("Shapley values of the two", "section 3.5.3")
    result = attributor.attribute(X, baselines=BASELINE, method="deeplift")
    np.testing.assert_allclose(result.gap, 0, atol=1e-5)
    f = lambda a, b: 3 * np.arctan2(a, b)  # noqa: E731
    (a, b), (c, d) = X[:, :2].T.astype(float), BASELINE[:2].astype(float)
    np.testing.assert_allclose(result.attributions[:, 0], (f(a, d) - f(c, d) + f(a, b) - f(c, b)) / 2, rtol=1e-5)


def test_a_rule_that_does_not_add_up_is_seen_in_the_status():
    deeplift_rule("Atan2")(lambda operation, upstream: [2 * one for one in atan2(operation, upstream)])
    result = ta.Attributor(angle).attribute(X, baselines=BASELINE, method="deeplift")
    assert np.abs(result.gap).min() > 0.1
    assert all(result.status)


def test_a_rule_of_the_library_stays_unless_it_is_replaced_on_purpose():
    assert_refused(lambda: deeplift_rule("Relu")(rescaled), "Relu has a rule", "replace=True")
    assert not RULES.added


def test_what_was_compiled_by_the_old_rule_is_not_used():
    attributor = ta.Attributor(lambda x: tf.reduce_sum(tf.nn.relu(x), 1))
    before = attributor.attribute(X, baselines=BASELINE, method="deeplift").attributions
    deeplift_rule("Relu", replace=True)(lambda operation, upstream: 3 * rescaled(operation, upstream))
    tripled = attributor.attribute(X, baselines=BASELINE, method="deeplift").attributions
    np.testing.assert_allclose(tripled, 3 * before, rtol=1e-6)
    del RULES["Relu"]
    np.testing.assert_array_equal(attributor.attribute(X, baselines=BASELINE, method="deeplift").attributions, before)


def test_a_replaced_rule_is_not_passed_over_where_the_library_takes_operations_together():
    """RevealCancel takes a linear operation and its activation together."""
    model = keras.Sequential([keras.Input((3,)), layers.Dense(6, "relu", kernel_initializer="he_normal"), layers.Dense(1)])
    explain = lambda rule: ta.Attributor(model).attribute(X, baselines=BASELINE, method=ta.DeepLift(rule)).attributions  # noqa: E731
    plain, cancelled = explain("rescale"), explain("reveal_cancel")
    assert np.abs(plain - cancelled).max() > 1e-3
    deeplift_rule("Relu", words="mine", replace=True)(rescaled)
    np.testing.assert_allclose(explain("reveal_cancel"), plain, atol=1e-6)
    assert ta.coverage(ta.Attributor(model), ta.DeepLift("reveal_cancel")).rules["Relu"] == "mine"


def test_where_a_rule_does_not_hold_there_is_none():
    deeplift_rule("Atan2", inputs=[0])(atan2)
    assert "its input 1 depends" in ta.coverage(ta.Attributor(angle), inputs=X).uncovered[0].reason


def test_what_is_no_rule_is_refused():
    assert_refused(lambda: deeplift_rule("Atan3"), "types of operations", "'Atan3'")
    assert_refused(lambda: deeplift_rule(), "types of operations")
    assert_refused(lambda: deeplift_rule(atan2), "types of operations")
    assert_refused(lambda: deeplift_rule("Atan2")(3), "a function of the operation", "3")
    assert_refused(lambda: deeplift_rule("Atan2", inputs=[-1]), "a position in inputs", "-1")
    for operation in ("While", "StatelessIf", "PartitionedCall", "ZerosLike"):
        assert_refused(lambda operation=operation: deeplift_rule(operation, replace=True), operation, "takes no rule")
    assert_refused(lambda: RULES.update({"Atan2": atan2}), "deeplift_rule('Atan2')")
    attributor = ta.Attributor(angle)
    for wrong in (lambda operation, g: [g, g, g], lambda operation, g: g):
        deeplift_rule("Atan2")(wrong)
        assert_refused(lambda: attributor.attribute(X, method="deeplift"), "list of 2, a tensor or None for each of its inputs")
