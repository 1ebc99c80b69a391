"""Single units of a layer: as what is explained, and as what an attribution of the input passes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ..conftest import assert_refused
from ..helpers.layered import RNG, nets

pytestmark = pytest.mark.usefixtures("double")


def test_a_unit_is_explained():
    model, front, _, x = nets("mlp")
    result = ta.Attributor(model, of=ta.layer("seen", unit=3)).attribute(x, method=ta.IntegratedGradients(n_steps=60))
    activation = front(tf.constant(x)).numpy()
    np.testing.assert_allclose(result.scores, activation[:, 3], atol=1e-12)
    np.testing.assert_allclose(
        result.attributions.sum(1), activation[:, 3] - front(tf.zeros((1, 5), "float64")).numpy()[0, 3], atol=1e-9
    )
    assert result.unit == "raw"
    assert result.of == "unit 3 of layer 'seen'"
    by_target = ta.Attributor(model, of=ta.layer("seen")).attribute(x, target=3, method=ta.IntegratedGradients(n_steps=60))
    np.testing.assert_allclose(by_target.attributions, result.attributions, atol=1e-12)
    last = ta.Attributor(model, of=ta.layer("seen", unit=-4)).attribute(x, method="gradient").attributions
    first = ta.Attributor(model, of=ta.layer("seen", unit=3)).attribute(x, method="gradient").attributions
    np.testing.assert_array_equal(last, first)


def test_units_with_positions():
    model, front, _, x = nets("cnn")
    activation = front(tf.constant(x)).numpy()
    one = ta.Attributor(model, of=ta.layer("seen", unit=(1, 0, 2))).attribute(x, method="gradient")
    np.testing.assert_allclose(one.scores, activation[:, 1, 0, 2], atol=1e-12)
    channel = ta.Attributor(model, of=ta.layer("seen", unit=(..., 2))).attribute(x, method="gradient")
    np.testing.assert_allclose(channel.scores, activation[..., 2].sum((1, 2)), atol=1e-12)


def test_units_that_do_not_exist():
    model, *_, x = nets("cnn")
    assert_refused(lambda: ta.Attributor(model, of=ta.layer("seen", unit=2)), "unit=2 of", "(..., channel)")
    assert_refused(lambda: ta.Attributor(model, of=ta.layer("seen", unit=(..., 9))), "out of range")
    assert_refused(lambda: ta.Attributor(model, of=ta.layer("sen", unit=(..., 1))), "no layer is called 'sen'", "seen")
    assert_refused(lambda: ta.layer("seen", unit=1.5), "whole number")
    assert_refused(lambda: ta.layer("seen", unit=(..., 1, ...)), "whole number")
    assert_refused(lambda: ta.Attributor(model, at=ta.layer("seen", unit=2)), "unit", "as `of`")
    assert_refused(lambda: ta.Conductance(through="seen"), "ta.layer(name, unit=...)")
    assert_refused(lambda: ta.Conductance(through=ta.layer("seen"), path="inputs"), "leave path out")
    behind = ta.Attributor(model, at=model.layers[-1].name, of="logits")
    assert_refused(lambda: behind.attribute(x, method=ta.Conductance(through=ta.layer("seen", unit=(..., 1)))), "depend")


def test_a_unit_that_is_off_gets_exactly_nothing(recwarn):
    inputs = keras.Input((2,))
    seen = layers.Dense(2, activation="relu", name="seen")
    model = keras.Model(inputs, layers.Dense(1)(seen(inputs)))
    seen.set_weights([np.array([[1.0, -1], [1, -1]]), np.array([-0.3, -0.5])])  # the second is off wherever inputs are positive
    x = np.array([[1.0, 2.0], [0.5, 0.1]])
    result = ta.Attributor(model).attribute(x, method=ta.Conductance(through=ta.layer("seen", unit=1)))
    assert np.all(result.attributions == 0)
    assert result.converged.all()
    assert result.error_estimate.tolist() == [0, 0]
    assert result.evaluations.max() < 20
    assert not [warning for warning in recwarn if "tf_attrib" in str(warning.filename)]


def test_a_unit_where_the_batch_is_not_axis_zero():
    keras.utils.set_random_seed(4)
    inputs = keras.Input((3, 4))
    turned = layers.Lambda(lambda x: tf.transpose(x, (1, 0, 2)), output_shape=lambda shape: (3, *shape[:1], 4), name="turned")
    hidden = turned(layers.Dense(4, activation="tanh")(inputs))
    back = layers.Lambda(lambda x: tf.transpose(x, (1, 0, 2)), output_shape=(3, 4))(hidden)
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.Flatten()(back)))
    x = RNG.normal(size=(5, 3, 4))
    attributor, method = ta.Attributor(model), ta.Conductance(n_steps=20, through=ta.layer("turned", unit=(2, 1)))
    together = attributor.attribute(x, 1, method=method).attributions
    alone = np.concatenate([attributor.attribute(x[i : i + 1], 1, method=method).attributions for i in range(5)])
    np.testing.assert_allclose(together, alone, atol=1e-12)
    assert np.abs(together).reshape(5, -1).sum(1).min() > 0


def test_another_unit_is_not_traced_anew():
    model, *_, x = nets("mlp")
    attributor = ta.Attributor(model)
    attributor.attribute(x, 1, method=ta.Conductance(through=ta.layer("seen", unit=0)))
    (session,) = attributor._sessions.values()
    operations = len(session.function.traced.function.graph.get_operations())
    for unit in range(1, 7):
        attributor.attribute(x, 1, method=ta.Conductance(through=ta.layer("seen", unit=unit)))
    assert len(session.function.traced.function.graph.get_operations()) == operations
