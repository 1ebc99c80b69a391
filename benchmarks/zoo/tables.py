"""Nets of tables, graphs and points, and scores that are no classes."""

import functools

import numpy as np
from keras import layers, ops
from sklearn.datasets import load_breast_cancer

from .family import Data, Family, constant
from .series import Fixed

COLUMNS, NODES, FEATURES, LEVELS = 10, 10, 6, 8


def patients(seed: int, columns: int = 30) -> Data:
    """Scikit-learn's breast cancer table, standardised, in an order that the seed gives."""
    bunch = load_breast_cancer()
    values = ((bunch.data - bunch.data.mean(0)) / bunch.data.std(0)).astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(values))
    return Data(values[order][:, :columns], bunch.target.astype(np.int32)[order])


def levels(seed: int) -> Data:
    """The same as categories: in which eighth of its column a value lies, with an id of its own for each column."""
    values, labels = patients(seed, COLUMNS)
    rank = values.argsort(0).argsort(0) * LEVELS // len(values)
    return Data((rank + LEVELS * np.arange(COLUMNS)).astype(np.int32), labels)


def graphs(seed: int) -> Data:
    """Features at the nodes of one graph, (n, NODES, FEATURES); the class is whether neighbours agree."""
    values = np.random.default_rng(seed).normal(size=(800, NODES, FEATURES)).astype(np.float32)
    agree = (values * (neighbours() @ values)).sum((1, 2))
    return Data(values, (agree > np.median(agree)).astype(np.int32))


def pairs(seed: int) -> Data:
    """Two vectors, (n, 2, 12), and whether they are alike (1) or not (-1)."""
    rng = np.random.default_rng(seed)
    left, other = rng.normal(size=(2, 800, 12))
    alike = rng.integers(0, 2, 800)
    right = np.where(alike[:, None] > 0, left + 0.3 * other, other)
    return Data(np.stack([left, right], 1).astype(np.float32), (2 * alike - 1).astype(np.float32))


def points(seed: int) -> Data:
    """Points (n, 3) in a cube, and on which side of a rippled surface they lie."""
    values = np.random.default_rng(seed).uniform(-1, 1, (1200, 3)).astype(np.float32)
    return Data(values, (values[:, 2] > 0.5 * np.sin(5 * values[:, 0]) * np.cos(4 * values[:, 1])).astype(np.int32))


def costs(seed: int) -> Data:
    """The table with a cost that is the exponential of a few columns."""
    values, _ = patients(seed)
    return Data(values, np.exp(0.4 * values[:, 0] - 0.3 * values[:, 3] + 0.2 * values[:, 7]).astype(np.float32))


def neighbours() -> np.ndarray:
    """A ring with chords, each row summing to one."""
    near = sum(np.roll(np.eye(NODES), shift, 1) for shift in (1, -1, 4))
    return near / near.sum(1, keepdims=True)


def dense(x, *units, activation="gelu"):
    for size in units:
        x = layers.Dense(size, activation)(x)
    return x


def unit_norm(x):
    return layers.Dense(2)(dense(layers.UnitNormalization()(x), 24, 16))


def unit_norms(x):
    return layers.Dense(2)(layers.UnitNormalization()(dense(layers.UnitNormalization()(x), 24, activation="tanh")))


def norm_first(x):
    return layers.Dense(2)(dense(layers.LayerNormalization(epsilon=1e-6)(x), 24, 16))


class Bells(layers.Layer):
    """Gaussians of the distance to trained centres."""

    def build(self, shape):
        self.centres = self.add_weight(shape=(16, shape[-1]), initializer="random_normal", name="centres")
        self.sharpness = self.add_weight(shape=(16,), initializer="ones", name="sharpness")

    def call(self, x):
        apart = ops.expand_dims(x, 1) - self.centres
        return ops.exp(-self.sharpness * ops.mean(apart * apart, -1))


def siren(x):
    x = ops.sin(10 * layers.Dense(24, kernel_initializer="lecun_uniform")(x))
    return layers.Dense(2)(ops.sin(3 * layers.Dense(24)(x)))


def tab_transformer(x):
    for _ in range(2):
        x = layers.LayerNormalization(epsilon=1e-6)(x + layers.MultiHeadAttention(2, 4)(x, x))
        x = layers.LayerNormalization(epsilon=1e-6)(x + layers.Dense(8)(layers.Dense(32, "gelu")(x)))
    return layers.Dense(1)(dense(layers.Flatten()(x), 32, activation="relu"))


def deep_fm(x):
    """Products of all pairs of embeddings beside an MLP and a linear part."""
    both = 0.5 * (ops.sum(x, 1) ** 2 - ops.sum(x**2, 1))
    flat = layers.Flatten()(x)
    return ops.sum(both, -1, keepdims=True) + layers.Dense(1)(flat) + layers.Dense(1)(dense(flat, 32, activation="relu"))


def reconstruction(x):
    """How badly an autoencoder reproduces its input."""
    again = layers.Dense(30)(dense(x, 16, 4, 16, activation="tanh"))
    return ops.mean((again - x) ** 2, -1)


def messages(x):
    for _ in range(3):
        told = Fixed(neighbours().T)(layers.Permute((2, 1))(x))
        x = layers.LayerNormalization()(dense(ops.concatenate([x, layers.Permute((2, 1))(told)], -1), 12))
    return layers.Dense(2)(ops.sum(x, 1))


def siamese(x):
    """The cosine between two vectors behind one net."""
    x = layers.UnitNormalization()(layers.Dense(8)(layers.Dense(24, "tanh")(x)))
    return ops.sum(x[:, 0] * x[:, 1], -1)


def exponential(x):
    return ops.exp(layers.Dense(1)(dense(x, 16, activation="tanh")))[:, 0]


def crossed(x):
    """A deep and cross network: products of ever higher degree."""
    start = x
    for _ in range(3):
        x = start * layers.Dense(30)(x) + x
    return layers.Dense(2)(layers.BatchNormalization()(x))


class Listening(layers.Layer):
    """Graph attention: what a node hears of each neighbour goes by a softmax over these."""

    def build(self, shape):
        self.mixing = self.add_weight(shape=(shape[-1], 12), initializer="glorot_uniform", name="mixing")
        self.telling = self.add_weight(shape=(12, 2), initializer="glorot_uniform", name="telling")

    def call(self, x):
        x = x @ self.mixing
        own, other = ops.split(x @ self.telling, 2, -1)
        scores = ops.leaky_relu(own + ops.swapaxes(other, 1, 2)) + constant(np.where(neighbours() > 0, 0, -1e9), x)
        return ops.softmax(scores) @ x


def graph_attention(x):
    x = layers.LayerNormalization()(ops.elu(Listening()(x)))
    return layers.Dense(2)(ops.mean(Listening()(x), 1))


def point_set(x):
    """Deep sets: each node by itself, then the largest of each feature."""
    return layers.Dense(2)(dense(ops.max(dense(x, 24, 24), 1), 16))


class Capsules(layers.Layer):
    """Groups of four whose length is squashed to below one."""

    def call(self, x):
        groups = ops.reshape(x, (-1, x.shape[1] // 4, 4))
        square = ops.sum(groups * groups, -1, keepdims=True)
        return ops.reshape(square / (1 + square) * groups / ops.sqrt(square + 1e-7), (-1, x.shape[1]))


def capsules(x):
    return layers.Dense(2)(Capsules()(layers.Dense(16)(Capsules()(layers.Dense(24)(x)))))


def fourier(x):
    """Sines of the coordinates at fixed random frequencies, and an MLP."""
    angles = Fixed(np.random.default_rng(0).normal(0, 6, (3, 24)))(x)
    return layers.Dense(2)(dense(ops.concatenate([ops.sin(angles), ops.cos(angles)], -1), 24, 24))


def families() -> list[Family]:
    table = functools.partial(Family, data=patients)
    unit, twice, first = (
        table(name, build)
        for name, build in (
            ("UnitNormalization first", unit_norm),
            ("UnitNormalization twice", unit_norms),
            ("LayerNorm first", norm_first),
        )
    )
    bells = table("RBF", lambda x: layers.Dense(2)(Bells()(x)))
    waves = Family("SIREN", siren, points)
    tab = Family("TabTransformer", tab_transformer, levels, COLUMNS * LEVELS, 8, "sigmoid", smooth=False)
    factors = Family("DeepFM", deep_fm, levels, COLUMNS * LEVELS, 8, "sigmoid", smooth=False)
    again = table("autoencoder score", reconstruction, head="score", loss=lambda _, score: ops.mean(score))
    graph, alike = Family("message passing", messages, graphs), Family("siamese cosine", siamese, pairs, head="score")
    grown = Family("exp regression", exponential, costs, head="score")
    cross, squashed = table("deep and cross", crossed), table("capsules", capsules)
    ripples = Family("Fourier features", fourier, points)
    heard, largest = (
        Family(name, build, graphs, smooth=False)
        for name, build in (("graph attention", graph_attention), ("deep sets", point_set))
    )
    random = [unit, twice, first, bells, waves, tab, factors, again, graph, alike, grown, squashed, ripples, heard, largest]
    random += [one.trained(12) for one in (squashed, ripples, heard, largest)]
    return random + [one.trained(12) for one in (unit, first, bells, waves, tab, factors, again, graph, alike, grown, cross)]
