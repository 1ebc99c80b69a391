"""What the tests of the callback share: small data, a net, and a callback that keeps what it made."""

import keras
import numpy as np
from keras import layers

import tf_attrib as ta

RNG = np.random.default_rng(5)
X = RNG.uniform(size=(24, 4)).astype("float32")
Y = RNG.integers(0, 3, 24)
ONE_HOT_ALL = np.eye(3)[Y]
ONE_HOT = ONE_HOT_ALL[:6]


def make(units=3, activation="softmax", loss="sparse_categorical_crossentropy"):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, activation="tanh", name="hidden"),
            layers.Dense(units, activation=activation, name="head"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.05), loss)
    return model


class Noted(ta.AttributionCallback):
    """Keeps every result, with what it was logged as."""

    def __init__(self, samples, log_dir=None, **more):
        super().__init__(samples, log_dir, **more)
        self.noted = []

    def _evaluate(self, step, prefix, name):
        super()._evaluate(step, prefix, name)
        self.noted.append((step, prefix, self.results))

    @property
    def steps(self):
        return [(step, prefix) for step, prefix, _ in self.noted]
