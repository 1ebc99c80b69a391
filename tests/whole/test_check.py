"""`Attributor.check` refuses what `attribute` would, and `predicted` is the model's own class whatever is explained."""

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta

from ..conftest import assert_refused


@pytest.mark.parametrize("of", [None, "logits"])
def test_the_predicted_class_is_told_beside_the_target(cnn, images, of):
    result = ta.Attributor(cnn, of=of).attribute(images, target=[0, 1, 2, 3, 0], method="gradient")
    np.testing.assert_array_equal(result.predicted, cnn(images).numpy().argmax(1))
    np.testing.assert_array_equal(result.target, [0, 1, 2, 3, 0])


def test_a_single_sigmoid_unit_predicts_one_of_two_classes(text, ids):
    head = text.get_layer("head")
    odds = np.log(text(ids).numpy()[:, 0]) - np.log1p(-text(ids).numpy()[:, 0])
    head.bias.assign([-np.median(odds)])  # so that both classes are predicted
    probability = text(ids).numpy()[:, 0]
    result = ta.Attributor(text).attribute(ids, target=0, method="gradient")
    np.testing.assert_array_equal(result.predicted, probability > np.median(probability))


@pytest.mark.parametrize(("function", "target"), [(lambda x: tf.reduce_sum(x, 1), None), (lambda x: x * 2, 1)])
def test_outputs_without_classes_predict_none(function, target):
    result = ta.Attributor(function).attribute(np.ones((2, 4), "float32"), target=target, method="gradient")
    assert result.predicted is None


def test_the_confidence_at_the_baseline_of_a_position_is_not_claimed():
    sequence = ta.Attributor(lambda x: tf.nn.softmax(x))
    x = np.zeros((2, 5, 3), "float32")
    assert sequence.attribute(x, target=(4, 2), method="gradient_times_input").baseline_confidence is None


GOOD = np.random.default_rng(3).uniform(size=(3, 4)).astype("float32")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"inputs": GOOD[:, :3]}, "(3, 3)"),
        ({"inputs": GOOD, "target": [0, 1, 3]}, "out of range"),
        ({"inputs": GOOD, "baselines": np.zeros((7,))}, "(7,)"),
        ({"inputs": GOOD, "method": "integrated"}, "integrated_gradients"),
        ({"inputs": GOOD, "baselines": ta.zeros(), "method": "gradient"}, "takes no baselines"),
        ({"inputs": GOOD, "seed": -1}, "seed"),
    ],
)
def test_check_refuses_what_attribute_refuses(attributor, arguments, word):
    assert_refused(lambda: attributor.check(**arguments), word)
    assert_refused(lambda: attributor.attribute(**arguments), word)


def test_check_finds_a_missing_gradient():
    integers = ta.Attributor(lambda x: tf.cast(tf.argmax(x, 1), tf.float32))
    assert_refused(lambda: integers.check(GOOD), "not differentiable")


def test_check_takes_one_example_of_gradients(table):
    attributor, baselines = ta.Attributor(table), GOOD[::-1]
    first = attributor.check(GOOD, target=[0, 1, 2], baselines=baselines)
    whole = attributor.attribute(GOOD, target=[0, 1, 2], baselines=baselines)
    np.testing.assert_allclose(first.attributions, whole.attributions[:1], atol=1e-6)
    assert len(first) == 1
    assert (first.target, first.predicted) == (0, whole.predicted[0])


def test_check_lets_scores_pass_that_are_not_finite():
    attributor = ta.Attributor(lambda x: tf.reduce_sum(tf.math.log(x - 0.5), 1))
    assert attributor.check(GOOD).status.tolist() == ["not_finite"]
    assert_refused(lambda: attributor.attribute(GOOD), "NaN")
