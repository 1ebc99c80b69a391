"""The small Keras models of the demonstration, and how they are trained."""

import math
from collections.abc import Callable

import keras
import numpy as np
from keras import layers

from .data import LENGTH

DIGIT_EPOCHS = 12
SENTENCE_EPOCHS = 30
BATCH = 32


def digit_model(seed: int = 0) -> keras.Model:
    """An untrained CNN from (n, 8, 8, 1) float32 images to (n, 10) probabilities, with batch normalisation and dropout.

    The planted digits get the same one.
    """
    keras.utils.set_random_seed(seed)
    image = layers.Input((8, 8, 1), name="image")
    x = image
    for filters in (16, 32):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    x = layers.Dense(64, activation="relu")(x)
    x = layers.Dropout(0.3)(x)
    return keras.Model(image, layers.Dense(10, activation="softmax", name="digit")(x), name="digits")


def sentence_model(vocabulary_size: int, seed: int = 0) -> keras.Model:
    """An untrained classifier from (n, 14) int32 token ids to (n, 2) probabilities: negative, positive.

    The convolution over three words is what lets it tell "not bad" from "bad". There is no mask: the padding has a
    trained embedding like any word, which stands for "no word here".
    """
    keras.utils.set_random_seed(seed)
    tokens = layers.Input((LENGTH,), dtype="int32", name="tokens")
    x = layers.Embedding(vocabulary_size, 64, name="embedding")(tokens)
    x = layers.Dropout(0.3, noise_shape=(None, LENGTH, 1))(x)  # drops whole words
    x = layers.Conv1D(128, 3, padding="same", activation="relu")(x)
    x = layers.GlobalMaxPooling1D()(x)
    x = layers.Dropout(0.4)(x)
    return keras.Model(tokens, layers.Dense(2, activation="softmax", name="label")(x), name="sentences")


def train(
    model: keras.Model,
    inputs: np.ndarray,
    labels: np.ndarray,
    epochs: int,
    progress: Callable[[float], None] | None = None,
    seed: int = 0,
) -> keras.Model:
    """Trains `model` in place and returns it.

    Args:
        labels: (n,) integers, the classes.
        epochs: passes over the inputs: `DIGIT_EPOCHS` or `SENTENCE_EPOCHS`.
        progress: called after every epoch with the share that is done, above 0 up to 1.
        seed: of the shuffling and the dropout. It sets the random state of Python, NumPy and TensorFlow.
    """
    keras.utils.set_random_seed(seed)
    # the rate falls to 0, so that the accuracy depends less on where the last steps happen to lead
    rate = keras.optimizers.schedules.CosineDecay(3e-3, epochs * math.ceil(len(inputs) / BATCH))
    adam = keras.optimizers.Adam(rate)  # pyright: ignore[reportArgumentType] (a schedule is a rate)
    model.compile(adam, "sparse_categorical_crossentropy")
    adam.build(model.trainable_variables)  # else its variables are made in the first step, which is then traced twice
    report = (
        []
        if progress is None
        else [keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: progress((epoch + 1) / epochs))]
    )
    model.fit(
        inputs,
        labels,
        batch_size=BATCH,
        epochs=epochs,
        verbose=0,  # pyright: ignore[reportArgumentType] (a number is documented)
        callbacks=report,
    )
    return model


def accuracy(model: keras.Model, inputs: np.ndarray, labels: np.ndarray) -> float:
    """The share of `inputs` whose most probable class is the label."""
    return float(np.mean(probabilities(model, inputs).argmax(-1) == labels))


def probabilities(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """(n, classes). Called in one piece, which small inputs allow: `predict` would trace anew for each model and size."""
    return np.asarray(model(inputs, training=False))
