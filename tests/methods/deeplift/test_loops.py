"""Loops whose rounds TensorFlow's gradient would not find: what rules hand down would stop at them."""

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta

from ...conftest import assert_refused

LOGITS = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
LABELS = {"labels": np.int32([[1, 2], [2, 0]]), "many": np.int32([2, 1])}


def spoken(outputs, data):
    """The log-likelihood of what was said."""
    steps = tf.fill([tf.shape(outputs)[0]], tf.shape(outputs)[1])
    return -tf.nn.ctc_loss(data["labels"], outputs, data["many"], steps, logits_time_major=False, blank_index=0)


@pytest.mark.parametrize(
    ("method", "name"), [("deeplift", "DeepLIFT"), ("guided_backprop", "guided backpropagation"), ("deconvolution", "deconv")]
)
def test_the_backward_loop_of_ctc_is_refused_and_not_passed_by_zeros(method, name):
    attributor = ta.Attributor(tf.nn.relu, of=ta.score(spoken, data=LABELS))
    assert_refused(
        lambda: attributor.attribute(LOGITS, method=method), f"{name}", "no rule for While", "count its rounds up", "ctc_loss"
    )


def test_by_its_own_gradient_ctc_is_explained():
    attributor = ta.Attributor(tf.nn.relu, of=ta.score(spoken, data=LABELS))
    result = attributor.attribute(LOGITS, method="gradient")
    with tf.GradientTape() as tape:
        x = tf.constant(LOGITS)
        tape.watch(x)
        score = spoken(tf.nn.relu(x), {key: tf.constant(value) for key, value in LABELS.items()})
    np.testing.assert_allclose(result.attributions, tape.gradient(score, x), atol=1e-6)


def test_loops_that_count_from_above_in_a_variable_of_their_own_are_passed():
    """`tf.while_loop` counts beside what the caller counts by."""

    def down(x):
        return tf.while_loop(lambda i, _: i > 0, lambda i, v: (i - 1, v + tf.nn.relu(x[:, 0] * v)), (3, x[:, 1]))[1]

    x = np.float32([[0.5, 2.0], [-1.0, 3.0]])
    result = ta.Attributor(down).attribute(x, method="deeplift")
    np.testing.assert_allclose(result.totals, result.scores, rtol=1e-5)
    np.testing.assert_allclose(result.scores, [2 * 1.5**3, 3], rtol=1e-6)
