"""What the tests of the callback share: small data, a net, and a callback that keeps what it made."""

import functools

import keras
import numpy as np
from keras import layers

import tf_attrib as ta

RNG = np.random.default_rng(5)
X = RNG.uniform(size=(24, 4)).astype("float32")
Y = RNG.integers(0, 3, 24)
ONE_HOT_ALL = np.eye(3)[Y]
ONE_HOT = ONE_HOT_ALL[:6]


@functools.cache
def _compiled(units, activation, loss):
    """A net and the values that it and its optimiser begin with: what Keras traced for its training serves every test."""
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, activation="tanh", name="hidden"),
            layers.Dense(units, activation=activation, name="head"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.05), loss)
    model.optimizer.build(model.trainable_variables)
    state = [*model.variables, *model.optimizer.variables]
    return model, state, [variable.numpy() for variable in state]


def make(units=3, activation="softmax", loss="sparse_categorical_crossentropy"):
    """A compiled net that nobody has trained yet; until the next one of the same arguments."""
    model, state, values = _compiled(units, activation, loss)
    for variable, value in zip(state, values, strict=True):
        variable.assign(value)
    return model


class Noted(ta.AttributionCallback):
    """Keeps every result, with what it was logged as; by the quickest of methods, unless told otherwise."""

    def __init__(self, samples, log_dir=None, method="gradient", **more):
        super().__init__(samples, log_dir, method=method, **more)
        self.noted = []

    def _evaluate(self, step, prefix, name):
        super()._evaluate(step, prefix, name)
        self.noted.append((step, prefix, self.results))

    @property
    def steps(self):
        return [(step, prefix) for step, prefix, _ in self.noted]
