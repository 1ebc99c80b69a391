"""Nets of time series: 24 steps of three channels, waves of a class's own frequency in noise; and of a longer, single wave."""

import functools

import numpy as np
from keras import layers, ops

from .family import Data, Family, constant

LENGTH, CHANNELS, WIDTH, CLASSES, SERIES = 24, 3, 12, 4, 1000
SAMPLES, FRAME, HOP = 96, 16, 8


def waves(seed: int, length: int = LENGTH, channels: int = CHANNELS) -> Data:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, SERIES)
    time = np.arange(length)[:, None] / length
    phase = rng.uniform(0, 2 * np.pi, (SERIES, 1, channels))
    clean = np.sin(2 * np.pi * (1.5 * labels[:, None, None] + 1) * time + phase)
    return Data((clean + rng.normal(0, 0.5, clean.shape)).astype(np.float32), labels.astype(np.int32))


def transformer(x):
    """Of one projection, epsilon 1e-6 and no positions, as in a well-known example of Keras."""
    x = layers.Dense(WIDTH)(x)
    for _ in range(4):
        inner = layers.LayerNormalization(epsilon=1e-6)(x)
        x = x + layers.MultiHeadAttention(2, WIDTH // 2)(inner, inner)
        inner = layers.Conv1D(WIDTH, 1, activation="gelu")(layers.LayerNormalization(epsilon=1e-6)(x))
        x = x + layers.Conv1D(WIDTH, 1)(inner)
    return layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(x))


def raw_transformer(x):
    """The same where the first norm is on the channels themselves, and norms come after."""
    for _ in range(3):
        inner = layers.LayerNormalization(epsilon=1e-6)(x)
        x = x + layers.MultiHeadAttention(2, 4)(inner, inner)
        inner = layers.Conv1D(8, 1, activation="gelu")(layers.LayerNormalization(epsilon=1e-6)(x))
        x = x + layers.Conv1D(CHANNELS, 1)(inner)
    return layers.Dense(CLASSES)(layers.Dense(16, "gelu")(layers.GlobalAveragePooling1D()(x)))


def wavenet(x):
    x, skips = layers.Conv1D(WIDTH, 1)(x), []
    for dilation in (1, 2, 4, 8):
        gated = [
            layers.Conv1D(WIDTH, 2, padding="causal", dilation_rate=dilation, activation=name)(x)
            for name in ("tanh", "sigmoid")
        ]
        skips.append(layers.Conv1D(WIDTH, 1)(gated[0] * gated[1]))
        x = x + skips[-1]
    return layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(layers.ReLU()(sum(skips[1:], skips[0]))))


def temporal(activation: str):
    """A TCN with LayerNorm."""

    def build(x):
        for dilation in (1, 2, 4):
            inner = layers.Conv1D(WIDTH, 3, padding="causal", dilation_rate=dilation)(x)
            inner = layers.Activation(activation)(layers.LayerNormalization()(inner))
            x = inner if x.shape[-1] != WIDTH else x + inner
        return layers.Dense(CLASSES)(x[:, -1])

    return build


def spectrogram(x):
    """Frames under a window, their power at each frequency by constant sines, and the logarithm of that."""
    frames = ops.stack([x[:, start : start + FRAME, 0] for start in range(0, SAMPLES - FRAME + 1, HOP)], 1)
    angle = 2 * np.pi * np.outer(np.arange(FRAME), np.arange(FRAME // 2 + 1)) / FRAME
    window = np.hanning(FRAME)[:, None]
    power = Fixed(window * np.cos(angle))(frames) ** 2 + Fixed(window * np.sin(angle))(frames) ** 2
    x = layers.Conv1D(WIDTH, 3, activation="swish")(ops.log(power + 1e-6))
    return layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(x))


class Fixed(layers.Layer):
    """Multiplies by a constant matrix."""

    def __init__(self, matrix: np.ndarray):
        super().__init__()
        self.matrix = matrix

    def call(self, x):
        return ops.matmul(x, constant(self.matrix, x))


def recurrent(x):
    x = layers.LayerNormalization()(layers.GRU(WIDTH, return_sequences=True)(x))
    return layers.Dense(CLASSES)(layers.LayerNormalization()(layers.GRU(WIDTH)(x)))


def families() -> list[Family]:
    family = functools.partial(Family, data=waves)
    transformers = family("time-series transformer", transformer), family("time-series transformer raw", raw_transformer)
    gated, kinked = family("WaveNet", wavenet, smooth=False), family("TCN LayerNorm ReLU", temporal("relu"), smooth=False)
    smooth, gru = family("TCN LayerNorm", temporal("gelu")), family("GRU series LayerNorm", recurrent)
    sound = Family("log-spectrogram", spectrogram, functools.partial(waves, length=SAMPLES, channels=1))
    random = [*transformers, gated, kinked, smooth, gru, sound]
    return random + [one.trained(8) for one in (*transformers, gated, smooth, sound)]
