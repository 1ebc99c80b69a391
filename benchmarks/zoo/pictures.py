"""Nets of pictures, on scikit-learn's digits, 8 × 8 pixels in [0, 1]."""

import functools

import numpy as np
from keras import layers, ops
from sklearn.datasets import load_digits

from .family import Data, Family
from .text import Positions

WIDTH, CLASSES, SIDE = 12, 10, 8


def digits(seed: int) -> Data:
    """In an order that the seed gives, (n, 8, 8, 1)."""
    bunch = load_digits()
    order = np.random.default_rng(seed).permutation(len(bunch.target))
    return Data((bunch.images / 16).astype(np.float32)[order][..., None], bunch.target.astype(np.int32)[order])


def head(x):
    return layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(x))


def patches(x, size=2):
    x = layers.Conv2D(WIDTH, size, size)(x)
    return layers.Reshape((-1, WIDTH))(x)


def vision_transformer(positions: bool, blocks: int = 3):
    def build(x):
        x = patches(x)
        x = Positions()(x) if positions else x
        for _ in range(blocks):
            inner = layers.LayerNormalization(epsilon=1e-6)(x)
            x = x + layers.MultiHeadAttention(2, WIDTH // 2)(inner, inner)
            x = x + layers.Dense(WIDTH)(layers.Dense(2 * WIDTH, "gelu")(layers.LayerNormalization(epsilon=1e-6)(x)))
        return layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(layers.LayerNormalization(epsilon=1e-6)(x)))

    return build


def mixer(x):
    x = patches(x)
    count = x.shape[1]
    for _ in range(3):
        inner = layers.Permute((2, 1))(layers.LayerNormalization(epsilon=1e-6)(x))
        x = x + layers.Permute((2, 1))(layers.Dense(count)(layers.Dense(count, "gelu")(inner)))
        x = x + layers.Dense(WIDTH)(layers.Dense(2 * WIDTH, "gelu")(layers.LayerNormalization(epsilon=1e-6)(x)))
    return layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(layers.LayerNormalization(epsilon=1e-6)(x)))


def convnext(x):
    x = layers.LayerNormalization(epsilon=1e-6)(layers.Conv2D(WIDTH, 2, 2)(x))
    for _ in range(3):
        inner = layers.LayerNormalization(epsilon=1e-6)(layers.DepthwiseConv2D(3, padding="same")(x))
        x = x + layers.Dense(WIDTH)(layers.Dense(2 * WIDTH, "gelu")(inner))
    return layers.Dense(CLASSES)(layers.LayerNormalization(epsilon=1e-6)(layers.GlobalAveragePooling2D()(x)))


def conv(x, filters, size=3, stride=1, activation="relu"):
    x = layers.BatchNormalization()(layers.Conv2D(filters, size, stride, padding="same", use_bias=False)(x))
    return layers.Activation(activation)(x) if activation else x


def unet(x):
    def wide(x, filters):
        return layers.Conv2D(filters, 3, padding="same", activation="relu")(x)

    def joined(coarse, fine, filters):
        return wide(ops.concatenate([layers.UpSampling2D()(coarse), fine], -1), filters)

    fine = wide(x, 6)
    middle = wide(layers.AveragePooling2D(2)(fine), 10)
    coarse = wide(layers.AveragePooling2D(2)(middle), 12)
    fine = joined(joined(coarse, middle, 10), fine, 6)
    return head(layers.Conv2D(CLASSES, 1)(fine))


def resnet(x):
    x = conv(x, 8)
    for filters, stride in ((8, 1), (12, 2)):
        inner = conv(conv(x, filters, 3, stride), filters, activation=None)
        x = layers.ReLU()(inner + (x if stride == 1 else conv(x, filters, 1, stride, None)))
    return head(x)


def squeezed(x, gate):
    """Channels weighed by what a small net makes of their means."""
    means = layers.GlobalAveragePooling2D(keepdims=True)(x)
    return x * layers.Activation(gate)(layers.Conv2D(x.shape[-1], 1)(layers.Conv2D(4, 1, activation="relu")(means)))


def inverted(activation: str, gate: str):
    """Blocks of wide depthwise convolutions with squeeze and excitation, as in EfficientNet and MobileNetV3."""

    def build(x):
        x = conv(x, 8, activation=activation)
        for filters, stride in ((8, 1), (12, 2)):
            inner = conv(x, 16, 1, activation=activation)
            inner = layers.BatchNormalization()(layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False)(inner))
            inner = squeezed(layers.Activation(activation)(inner), gate)
            inner = conv(inner, filters, 1, activation=None)
            x = inner + x if stride == 1 else inner
        return head(conv(x, 24, 1, activation=activation))

    return build


def groups_first(x):
    x = layers.GroupNormalization(1)(x)
    for filters in (8, 12):
        x = layers.Activation("swish")(layers.GroupNormalization(4)(layers.Conv2D(filters, 3, 2, padding="same")(x)))
    return head(x)


def plain(activation: str):
    def build(x):
        for filters in (8, 12):
            x = layers.MaxPooling2D()(layers.Conv2D(filters, 3, padding="same", activation=activation)(x))
        return layers.Dense(CLASSES)(layers.Dense(24, activation)(layers.Flatten()(x)))

    return build


def families() -> list[Family]:
    family = functools.partial(Family, data=digits)
    placed, bare = family("ViT positions", vision_transformer(True)), family("ViT no positions", vision_transformer(False))
    mixed, next_one, u = family("MLP-Mixer", mixer), family("ConvNeXt-like", convnext), family("U-Net", unet, smooth=False)
    residual = family("ResNet", resnet, smooth=False)
    efficient = family("EfficientNet-like", inverted("swish", "sigmoid"), smooth=False)
    mobile = family("hard_sigmoid mobile net", inverted("hard_swish", "hard_sigmoid"), smooth=False)
    grouped, cnn = family("GroupNorm first", groups_first), family("digits CNN", plain("relu"), smooth=False)
    random = [placed, bare, mixed, next_one, u, residual, efficient, mobile, grouped]
    return random + [one.trained(8) for one in (placed, bare, mixed, next_one, residual, efficient, mobile, grouped, cnn)]
