"""A small GPT in Keras layers: token ids (batch, length) to logits (batch, length, vocabulary)."""

import functools

import keras
import numpy as np
from keras import layers, ops

import tf_attrib as ta

WORDS, WIDTH, LENGTH = 23, 8, 16


@keras.saving.register_keras_serializable("tests")
class Positions(layers.Layer):
    """Adds a learnt vector to each position, for sequences of at most LENGTH."""

    def build(self, shape):
        self.table = self.add_weight(shape=(LENGTH, WIDTH), initializer=keras.initializers.RandomNormal(stddev=0.3, seed=5))

    def call(self, x):
        return x + self.table[: ops.shape(x)[1]]


def small_gpt(causal=True, masked=False, head=None, length=None, blocks=1, seed=0, dense=True):
    """Blocks of attention; `masked` takes a dict with "padding_mask" beside "token_ids"; `head` None or "softmax"; `dense` says
    whether a block has the layers that treat each token by itself."""
    keras.utils.set_random_seed(seed)
    ids = keras.Input((length,), dtype="int32", name="token_ids")
    mask = keras.Input((length,), dtype="bool", name="padding_mask") if masked else None
    x = layers.Embedding(WORDS, WIDTH, name="tokens", embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0))(ids)
    x = Positions(name="positions")(x)
    for i in range(blocks):
        y = layers.LayerNormalization(name=f"norm_{i}")(x)
        attend = layers.MultiHeadAttention(2, WIDTH // 2, name=f"attention_{i}")
        x = x + attend(y, y, use_causal_mask=causal, attention_mask=None if mask is None else mask[:, None])
        if not dense:
            continue
        y = layers.LayerNormalization(name=f"norm_mlp_{i}")(x)
        x = x + layers.Dense(WIDTH, name=f"down_{i}")(layers.Dense(4 * WIDTH, activation="gelu", name=f"up_{i}")(y))
    x = layers.LayerNormalization(name="final")(x)
    weights = keras.initializers.RandomNormal(stddev=0.6, seed=3)
    logits = layers.Dense(WORDS, activation=head, name="logits", kernel_initializer=weights)(x)
    return keras.Model({"token_ids": ids, "padding_mask": mask} if masked else ids, logits)


@functools.cache
def attributor_of(**options):
    """What is traced and compiled for one test serves the next: nobody may change it."""
    return ta.Attributor(small_gpt(**options))


def lean(**options):
    """The same where what treats each token by itself proves nothing, for it is a third of what is traced."""
    return attributor_of(dense=False, **options)


def from_embeddings(model, embedded):
    """Logits (rows, length, words) for embeddings (rows, length, width), by the layers of the causal model in their order."""
    layer = model.get_layer
    x = layer("positions")(embedded)
    for i in range(sum(one.name.startswith("attention_") for one in model.layers)):
        y = layer(f"norm_{i}")(x)
        x = x + layer(f"attention_{i}")(y, y, use_causal_mask=True)
        if not any(one.name == f"down_{i}" for one in model.layers):
            continue
        x = x + layer(f"down_{i}")(layer(f"up_{i}")(layer(f"norm_mlp_{i}")(x)))
    return layer("logits")(layer("final")(x))


def ids_of(count, seed=0):
    """Token ids (count,)."""
    return np.random.default_rng(seed).integers(1, WORDS, count).astype("int32")
