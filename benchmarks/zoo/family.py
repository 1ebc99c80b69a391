"""What a family of nets is, and how one of its nets comes about from a seed.

A family's layers lead from what is attributed (the inputs, or the embedded tokens) to logits or to one score. The same layers
with the same weights are built a second time in float64, from which references are taken.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import tf_attrib as ta

BATCH, RATE, TRAINED_ON = 32, 3e-3, 0.8
TARGETS = {"softmax": ("probability", "logits"), "sigmoid": ("probability", "logits"), "score": ("score",)}
BASELINES = ("zeros", "mean", "noise")
# Noise baselines of an example, over which its attributions are averaged.
DRAWS = 3


class Data(NamedTuple):
    """Inputs (n, ...) float32, or token ids int32, and what nets are trained on: (n,) classes or numbers."""

    inputs: np.ndarray
    labels: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Family:
    """A family of nets.

    Attributes:
        layers: from the symbolic tensor that is attributed to logits (n, classes), one logit (n, 1) or scores (n,).
        data: from a seed to data.
        vocabulary: of token nets, the number of tokens; their embeddings are attributed.
        width: of token nets, the size of an embedding.
        head: what becomes of what `layers` gives: "softmax" or "sigmoid", or it is a "score".
        epochs: of training; 0: random weights.
        loss: what is trained on; None where the head says it.
        smooth: whether gradients are continuous along the path (no ReLU, no maximum).
        complete: whether the score is continuous, so that the integral sums to its difference.
    """

    name: str
    layers: Callable
    data: Callable[[int], Data]
    vocabulary: int | None = None
    width: int = 16
    head: str = "softmax"
    epochs: int = 0
    loss: str | Callable | None = None
    smooth: bool = True
    complete: bool = True

    def trained(self, epochs: int) -> "Family":
        """The same family, trained."""
        return dataclasses.replace(self, name=f"{self.name} trained", epochs=epochs)


@dataclasses.dataclass(frozen=True, eq=False)
class Net:
    """One net of a family and the examples that are explained.

    Attributes:
        model: what the library is given.
        inputs, selected: (n, ...), the examples as `model` takes them, and what is attributed of them.
        target: what `Attributor.attribute` takes: (n,) classes, or None.
        baselines: by name, for the library; `references`: the same as arrays (k, ...).
    """

    family: Family
    seed: int
    model: keras.Model
    inputs: np.ndarray
    selected: np.ndarray
    target: np.ndarray | None
    baselines: dict
    references: dict[str, np.ndarray]

    @property
    def at(self) -> str:
        return "embeddings" if self.family.vocabulary else "inputs"


def make(family: Family, seed: int, examples: int, weights: list[np.ndarray] | None = None) -> Net:
    """A net of `family` with up to `examples` held-out examples.

    Args:
        weights: those that it had before; else they are drawn and trained from the seed.
    """
    found = family.data(seed)
    split = int(len(found.inputs) * TRAINED_ON)
    model = _model(family, found.inputs.shape[1:], seed)
    if weights is not None:
        model.set_weights(weights)
    elif family.epochs:
        _train(model, family, Data(found.inputs[:split], found.labels[:split]))
    inputs = found.inputs[split : split + examples]
    embed = (lambda ids: np.asarray(model.get_layer("embedding")(ids))) if family.vocabulary else (lambda values: values)
    selected, usual = embed(inputs), embed(found.inputs[:split])
    noise = ta.gaussian(DRAWS, float(usual.std()) / 2)
    mean = usual.mean(0)
    references = {
        "zeros": np.zeros_like(selected[:1]),
        "mean": mean[None],
        "noise": noise.make(selected, np.random.default_rng(seed)),
    }
    baselines = {"zeros": ta.zeros(), "mean": mean, "noise": noise}
    return Net(family, seed, model, inputs, selected, _target(family, model, inputs), baselines, references)


def _target(family: Family, model: keras.Model, inputs: np.ndarray) -> np.ndarray | None:
    if family.head == "score":
        return None
    if family.head == "sigmoid":
        return np.ones(len(inputs), int)
    return np.asarray(model(inputs, training=False)).argmax(1)


def _model(family: Family, shape: tuple, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    inputs = layers.Input(shape, dtype="int32" if family.vocabulary else None)
    selected = layers.Embedding(family.vocabulary, family.width, name="embedding")(inputs) if family.vocabulary else inputs
    found = family.layers(selected)
    heads = {"softmax": layers.Softmax(), "sigmoid": layers.Activation("sigmoid")}
    return keras.Model(inputs, heads[family.head](found) if family.head in heads else found)


def _train(model: keras.Model, family: Family, data: Data) -> None:
    """Trains in place; without XLA, whose compiling takes longer than it saves here."""
    losses = {"softmax": "sparse_categorical_crossentropy", "sigmoid": "binary_crossentropy", "score": "mse"}
    rate = keras.optimizers.schedules.CosineDecay(RATE, family.epochs * (len(data.inputs) // BATCH))
    model.compile(keras.optimizers.Adam(rate), family.loss or losses[family.head], jit_compile=False)
    model.fit(data.inputs, data.labels, batch_size=BATCH, epochs=family.epochs, verbose=0)


def in_float64(net: Net) -> keras.Model:
    """From what is attributed to logits or scores, in float64, with the net's weights."""
    before = keras.config.floatx()
    try:
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("float64")
        selected = layers.Input(net.selected.shape[1:])
        body = keras.Model(selected, net.family.layers(selected))
    finally:
        keras.config.set_floatx(before)
        keras.config.set_dtype_policy(before)
    # the embedding's table comes first
    body.set_weights(net.model.get_weights()[1 if net.family.vocabulary else 0 :])
    return body


def constant(values: np.ndarray, like) -> tf.Tensor:
    """`values` in the precision in which a net computes."""
    return tf.constant(values, like.dtype)
