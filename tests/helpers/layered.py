"""Models in two parts, up to a layer called "seen" and behind it, for tests of what looks at layers."""

import functools

import keras
import numpy as np
from keras import layers

from .shared import attributor_for

RNG = np.random.default_rng(3)


def attributor_of(kind, at=None):
    """The attributor of one of `nets`."""
    return attributor_for(nets(kind)[0], at=at)


@functools.cache
def nets(kind):
    """A model, the model up to its layer "seen", the model behind it, and inputs at which the path ends.

    Made once and of float64, whoever asks first, so nobody may change them.
    """
    usual = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        return _made(kind)
    finally:
        keras.config.set_dtype_policy(usual)


def _made(kind):
    keras.utils.set_random_seed(11)
    if kind == "mlp":
        shape, front, back = (5,), [layers.Dense(7, activation="tanh", name="seen")], [layers.Dense(6, activation="softplus")]
        x = RNG.normal(size=(4, 5))
    elif kind == "cnn":
        shape = (9, 9, 2)
        front = [
            layers.Conv2D(4, 3, activation="swish"),
            layers.BatchNormalization(),
            layers.AveragePooling2D(2),
            layers.Conv2D(3, 2, activation="elu", name="seen"),
        ]
        back, x = [layers.GlobalAveragePooling2D()], RNG.normal(size=(3, 9, 9, 2))
    elif kind == "rnn":
        shape, front, back = (6, 3), [layers.SimpleRNN(4, return_sequences=True, name="seen")], [layers.SimpleRNN(5)]
        x = RNG.normal(size=(3, 6, 3))
    elif kind == "lstm":
        shape, front, back = (6, 3), [layers.LSTM(4, return_sequences=True, name="seen")], [layers.GRU(5)]
        x = RNG.normal(size=(3, 6, 3))
    else:
        raise ValueError(kind)
    model = keras.Sequential([keras.Input(shape, dtype="float64"), *front, *back, layers.Dense(3, activation="softmax")])
    seen = next(i for i, layer in enumerate(model.layers) if layer.name == "seen") + 1
    front, back = model.layers[:seen], model.layers[seen:]
    return model, chained(front), chained(back), x


def chained(parts):
    def run(value):
        for layer in parts:
            value = layer(value, training=False) if isinstance(layer, layers.BatchNormalization) else layer(value)
        return value

    return run
