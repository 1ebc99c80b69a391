"""What the doctor reads off a model that is called instead of traced."""

import keras
import numpy as np
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.doctor.checks import operations

X = np.ones((2, 3), "float32")


def session_of(model):
    session, _, _ = ta.Attributor(model, eager=True).prepare(X)
    return session


def test_operations_of_a_called_function():
    drawing = session_of(lambda x: tf.reduce_sum(x + tf.random.stateless_normal((3,), (0, 0)), 1))
    assert any("Random" in kind for kind in operations.random_operations(drawing))
    assert operations.custom_gradients(drawing) == []
    assert operations.without_gradient(session_of(lambda x: tf.reduce_sum(tf.round(x) + x, 1))) == ["Round"]
    assert operations.without_gradient(session_of(lambda x: tf.reduce_sum(x, 1))) == []


def test_weights_of_a_called_model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="last")])
    assert operations.weights_not_finite(session_of(model)) == []
    model.layers[-1].kernel.assign([[1.0], [np.nan], [2.0]])
    (name,) = operations.weights_not_finite(session_of(model))
    assert "kernel" in name
