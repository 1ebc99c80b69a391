"""Small models with known weights that the tests of the doctor share."""

import functools

import keras
import numpy as np
from keras import layers

import tf_attrib as ta

WARNINGS = ("error", "warning")


def unwell(report):
    """Names of the errors and warnings."""
    return [one.name for one in report.findings if one.severity in WARNINGS]


@functools.cache
def _of_shape(features, units, activation):
    """One model for each shape: its weights are set anew, and what was traced and compiled for it serves again."""
    return keras.Sequential([keras.Input((features,), name="x"), layers.Dense(units, activation=activation, name="head")])


@functools.cache
def attributor_of(model, of=None):
    """The attributor of a model; the weights are those that the model has when it is called."""
    return ta.Attributor(model, of=of)


def averaging_text():
    """A text model that averages its words, and is compiled in no time."""
    return keras.Sequential(
        [
            keras.Input((10,), dtype="int32", name="tokens"),
            layers.Embedding(30, 6, name="words"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(1, activation="sigmoid", name="head"),
        ]
    )


def softmax_of(rows, bias=0.0):
    """A model with one Dense layer of given weights (features, classes) and bias; until the next one of that shape."""
    rows = np.asarray(rows, "float32")
    model = _of_shape(*rows.shape, "softmax")
    model.set_weights([rows, np.broadcast_to(np.asarray(bias, "float32"), rows.shape[1:]).copy()])
    return model


def sigmoid_of(weights, bias=0.0):
    """A model with one sigmoid unit; until the next one of as many features."""
    model = _of_shape(len(weights), 1, "sigmoid")
    model.set_weights([np.asarray(weights, "float32")[:, None], np.array([bias], "float32")])
    return model


PLAIN = np.array([[2, 1, 0.5], [1, 2, 0.5], [0.7, 0.4, 2.5]], "float32")
DIAGONAL = np.eye(3) * 3
