"""A net of tokens with a mask and no loop, for what any net of tokens shows."""

import keras
from keras import layers

from ..conftest import spread


def make_pooled_text():
    """Token ids (batch, 10), of which 0 is masked, to the probability of one class."""
    ids = keras.Input((10,), dtype="int32", name="tokens")
    vectors = layers.Embedding(30, 6, mask_zero=True, name="words", embeddings_initializer=spread())(ids)
    hidden = layers.Dense(5, activation="tanh", kernel_initializer=spread())(vectors)
    mean = layers.GlobalAveragePooling1D()(hidden)
    return keras.Model(ids, layers.Dense(1, activation="sigmoid", name="head", kernel_initializer=spread())(mean))
