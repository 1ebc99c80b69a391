"""Nets of tokens, attributed at their embeddings: transformers of several styles, recurrent nets, pooling by attention."""

import numpy as np
from keras import initializers, layers, ops

from .family import Data, Family, constant

LENGTH, WIDTH, HEADS, VOCABULARY, CLASSES, SENTENCES = 12, 16, 2, 200, 4, 1600


def sentences(seed: int) -> Data:
    """Random tokens among which a few of one class's own are the most, (n, LENGTH)."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, VOCABULARY, (SENTENCES, LENGTH))
    labels = rng.integers(0, CLASSES, SENTENCES)
    own = 1 + labels[:, None] + CLASSES * rng.integers(0, 8, ids.shape)
    return Data(np.where(rng.random(ids.shape) < 0.35, own, ids).astype(np.int32), labels.astype(np.int32))


class Positions(layers.Layer):
    """Adds a trained vector for each position."""

    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], initializer="uniform", name="positions")

    def call(self, x):
        return x + self.table


class Attention(layers.Layer):
    """Self-attention without biases, with positions rotated in (LLaMA) or added to the scores by distance (T5)."""

    def __init__(self, rotary: bool):
        super().__init__()
        self.rotary = rotary

    def build(self, shape):
        length, width = shape[1:]
        self.mixing = [self.add_weight(shape=(width, width), initializer="glorot_uniform", name=f"mixing{i}") for i in range(4)]
        if not self.rotary:
            self.distance = self.add_weight(shape=(2 * length - 1, HEADS), initializer="glorot_uniform", name="distance")

    def call(self, x):
        length, width = x.shape[1:]
        query, key, value = (
            ops.transpose(ops.reshape(x @ matrix, (-1, length, HEADS, width // HEADS)), (0, 2, 1, 3))
            for matrix in self.mixing[:3]
        )
        if self.rotary:
            query, key = _rotated(query), _rotated(key)
            scores = query @ ops.swapaxes(key, 2, 3) / np.sqrt(width // HEADS)
        else:
            apart = np.arange(length)[:, None] - np.arange(length) + length - 1
            scores = query @ ops.swapaxes(key, 2, 3) + ops.transpose(ops.take(self.distance, apart, 0), (2, 0, 1))
        mixed = ops.transpose(ops.softmax(scores) @ value, (0, 2, 1, 3))
        return ops.reshape(mixed, (-1, length, width)) @ self.mixing[3]


def _rotated(x):
    """Pairs of features turned by an angle that grows with the position."""
    length, half = x.shape[2], x.shape[3] // 2
    angle = np.arange(length)[:, None] / 1e4 ** (np.arange(half) / half)
    cosine, sine = constant(np.cos(angle), x), constant(np.sin(angle), x)
    left, right = x[..., :half], x[..., half:]
    return ops.concatenate([left * cosine - right * sine, left * sine + right * cosine], -1)


def wide(x):
    return layers.Dense(WIDTH)(layers.Dense(4 * WIDTH, "gelu")(x))


def transformer(blocks: int, pre: bool, epsilon: float, positions: bool):
    """Blocks of attention and feed-forward with LayerNorm before (`pre`) or after each."""

    def normalised(x):
        return layers.LayerNormalization(epsilon=epsilon)(x)

    def build(x):
        x = Positions()(x) if positions else x
        for _ in range(blocks):
            if pre:
                inner = normalised(x)
                x = x + layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(inner, inner)
                x = x + wide(normalised(x))
            else:
                x = normalised(x + layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(x, x))
                x = normalised(x + wide(x))
        x = normalised(x) if pre else x
        return layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(x))

    return build


def rms(blocks: int, rotary: bool, epsilon: float = 1e-6):
    """Bias-free blocks behind RMSNorm, as in LLaMA (rotary positions) or T5 1.1 (distances), with gated feed-forward."""

    def build(x):
        for _ in range(blocks):
            x = x + Attention(rotary)(layers.RMSNormalization(epsilon=epsilon)(x))
            inner = layers.RMSNormalization(epsilon=epsilon)(x)
            gate = layers.Dense(2 * WIDTH, "silu" if rotary else "gelu", use_bias=False)(inner)
            x = x + layers.Dense(WIDTH, use_bias=False)(gate * layers.Dense(2 * WIDTH, use_bias=False)(inner))
        x = layers.RMSNormalization(epsilon=epsilon)(x)
        return layers.Dense(CLASSES, use_bias=False)(layers.GlobalAveragePooling1D()(x))

    return build


def recurrent(layer):
    def build(x):
        x = layers.LayerNormalization()(layer(WIDTH, return_sequences=True)(x))
        return layers.Dense(CLASSES)(layers.LayerNormalization()(layer(WIDTH)(x)))

    return build


def pooled(x):
    """The mean of words by how much attention each gets."""
    attention = layers.Softmax(axis=1)(layers.Dense(1)(layers.Dense(WIDTH, "tanh")(x)))
    return layers.Dense(CLASSES)(layers.LayerNormalization()(ops.sum(attention * x, 1)))


def cold(x):
    """Logits divided by a small temperature."""
    x = layers.GlobalAveragePooling1D()(layers.Dense(WIDTH, "tanh")(x))
    return layers.Dense(CLASSES)(x) / 0.05


def experts(chosen: int = 2, number: int = 6):
    """Each word goes to the few experts that its gate likes best: routes change at once."""

    def build(x):
        x = layers.LayerNormalization()(Positions()(x))
        gate = layers.Dense(number)(x)
        least = ops.top_k(gate, chosen)[0][..., -1:]
        share = ops.softmax(ops.where(gate >= least, gate, ops.full_like(gate, -1e9)))
        outputs = ops.stack([layers.Dense(WIDTH, "gelu")(x) for _ in range(number)], -1)
        x = x + ops.sum(outputs * ops.expand_dims(share, 2), -1)
        return layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(x))

    return build


class Likeness(layers.Layer):
    """Attention by cosines of queries and keys, times a trained sharpness (QK-norm)."""

    def build(self, shape):
        width = shape[-1]
        self.mixing = [self.add_weight(shape=(width, width), initializer="glorot_uniform", name=f"mixing{i}") for i in range(3)]
        self.sharpness = self.add_weight(shape=(), initializer=initializers.Constant(10), name="sharpness")

    def call(self, x):
        query, key, value = (x @ matrix for matrix in self.mixing)
        cosines = ops.normalize(query) @ ops.swapaxes(ops.normalize(key), 1, 2)
        return ops.softmax(self.sharpness * cosines) @ value


def by_cosine(x):
    """Attention by cosines, and logits that are cosines with one trained vector for each class, as in CLIP."""
    for _ in range(2):
        x = x + Likeness()(x)
        x = x + wide(x)
    x = layers.UnitNormalization()(layers.GlobalAveragePooling1D()(x))
    return 10 * layers.Dense(CLASSES, use_bias=False)(x)


class Scan(layers.Layer):
    """A gated state space: a state that fades at a rate which each word sets, as in Mamba."""

    def call(self, x):
        value, rate = ops.split(x, 2, -1)
        keep, state, found = ops.sigmoid(rate + 2), 0, []
        for i in range(x.shape[1]):
            state = keep[:, i] * state + (1 - keep[:, i]) * value[:, i]
            found.append(state)
        return ops.stack(found, 1)


def state_space(x):
    for _ in range(2):
        inner = layers.RMSNormalization(epsilon=1e-5)(x)
        gate = layers.Dense(WIDTH, "silu", use_bias=False)(inner)
        x = x + layers.Dense(WIDTH, use_bias=False)(gate * Scan()(layers.Dense(2 * WIDTH, use_bias=False)(inner)))
    return layers.Dense(CLASSES, use_bias=False)(layers.RMSNormalization(epsilon=1e-5)(x)[:, -1])


def convolutions(x):
    x = layers.Conv1D(24, 3, padding="same", activation="relu")(x)
    return layers.Dense(CLASSES)(layers.GlobalMaxPooling1D()(x))


def families() -> list[Family]:
    def family(name, build, smooth=True, complete=True):
        return Family(name, build, sentences, VOCABULARY, WIDTH, smooth=smooth, complete=complete)

    def named(blocks, pre, epsilon, positions):
        words = f"{'pre' if pre else 'post'}-LN text {blocks} blocks epsilon {epsilon:g}" + positions * " positions"
        return family(words, transformer(blocks, pre, epsilon, positions))

    found = [
        named(blocks, pre, epsilon, positions)
        for blocks, pre, epsilon, positions in (
            (2, False, 1e-3, False),
            (4, False, 1e-3, False),
            (6, False, 1e-3, False),
            (2, False, 1e-6, False),
            (4, False, 1e-5, True),
            (2, True, 1e-3, False),
            (4, True, 1e-5, False),
            (6, True, 1e-6, False),
            (4, True, 1e-6, True),
        )
    ]
    found += [
        named(2, False, 1e-3, False).trained(10),
        named(4, True, 1e-5, False).trained(10),
        named(2, True, 1e-6, True).trained(10),
    ]
    llama, gated = family("LLaMA-style text 3 blocks", rms(3, True)), family("T5-style text 3 blocks", rms(3, False))
    found += [llama, gated, llama.trained(10), gated.trained(10)]
    deeper = family("LLaMA-style text 6 blocks", rms(6, True, 1e-5)), family("T5-style text 6 blocks", rms(6, False))
    found += [*deeper, *(one.trained(10) for one in deeper)]
    lstm, gru = family("LSTM LayerNorm", recurrent(layers.LSTM)), family("GRU LayerNorm", recurrent(layers.GRU))
    attention, mixture = family("attention pooling", pooled), family("mixture of experts", experts(), False, False)
    found += [lstm, gru, lstm.trained(6), attention, attention.trained(10), mixture, mixture.trained(8)]
    cosine, state = family("cosine attention and head", by_cosine), family("state space RMSNorm", state_space)
    found += [cosine, state, cosine.trained(10), state.trained(10)]
    found += [family("temperature softmax", cold).trained(10), family("text CNN", convolutions, False).trained(8)]
    return found
