"""The seven small nets on which accuracy is measured, each trained here from a fixed seed: see `accuracy.py`.

Four are a table's or a text's: an MLP, and a text CNN, an LSTM and a transformer that are attributed at their embeddings. Three
are convolutional, trained so long that they are confident: a plain one, one with residual connections, a depthwise one.
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from tf_attrib.demo import data
from tf_attrib.demo.models import accuracy

SIDE, WIDTH, BATCH = 16, 64, 32


@dataclasses.dataclass(frozen=True, eq=False)
class Net:
    """A trained net and the examples that were held out.

    Attributes:
        model: from inputs to probabilities.
        body: from what is attributed (the inputs, or the embedded tokens) to logits.
        at: which of the two, as `Attributor` takes it.
        inputs: (n, ...), held-out examples as `model` takes them.
        selected: (n, ...) float32, the same as `body` takes them.
        accuracy: of `model` on all held-out examples.
        convolutional: whether it is one of the three that are hard.
    """

    name: str
    model: keras.Model
    body: keras.Model
    at: str
    inputs: np.ndarray
    selected: np.ndarray
    accuracy: float
    convolutional: bool


@functools.cache
def table() -> data.Data:
    """Scikit-learn's breast cancer table, (n, 30) float32, standardised: the baseline of zeros is the mean patient."""
    bunch = load_breast_cancer()
    values = ((bunch.data - bunch.data.mean(0)) / bunch.data.std(0)).astype(np.float32)
    split = train_test_split(values, bunch.target.astype(np.int32), test_size=0.2, random_state=0, stratify=bunch.target)
    return data.Data(split[0], split[2], split[1], split[3], tuple(bunch.target_names))


@functools.cache
def pictures() -> data.Data:
    """Scikit-learn's digits, every pixel repeated: (n, 16, 16, 1) float32."""
    small = data.digits()

    def large(images):
        return images.repeat(SIDE // 8, 1).repeat(SIDE // 8, 2)

    return dataclasses.replace(small, train_inputs=large(small.train_inputs), test_inputs=large(small.test_inputs))


texts = functools.cache(data.sentences)


def mlp(x):
    for units in (64, 32):
        x = layers.Dense(units, activation="relu")(x)
    return layers.Dense(2)(x)


def text_cnn(x):
    x = layers.Dropout(0.3)(x)
    x = layers.Conv1D(128, 3, padding="same", activation="relu")(x)
    x = layers.GlobalMaxPooling1D()(x)
    return layers.Dense(2)(layers.Dropout(0.4)(x))


def lstm(x):
    x = layers.LSTM(WIDTH)(layers.Dropout(0.3)(x))
    return layers.Dense(2)(layers.Dropout(0.3)(x))


class Positions(layers.Layer):
    """Adds a trained vector for each position."""

    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], initializer="uniform", name="positions")

    def call(self, x):
        return x + self.table


def transformer(x):
    x = layers.Dropout(0.2)(Positions()(x))
    for _ in range(2):
        attended = layers.MultiHeadAttention(4, WIDTH // 4, dropout=0.1)(x, x)
        x = layers.LayerNormalization()(x + attended)
        wide = layers.Dense(2 * WIDTH, activation="gelu")(x)
        x = layers.LayerNormalization()(x + layers.Dropout(0.2)(layers.Dense(WIDTH)(wide)))
    return layers.Dense(2)(layers.GlobalAveragePooling1D()(x))


def normalised(x, relu: bool = True):
    x = layers.BatchNormalization()(x)
    return layers.ReLU()(x) if relu else x


def digits_cnn(x):
    for filters in (16, 32, 32):
        x = layers.MaxPooling2D()(normalised(layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)))
    return layers.Dense(10)(layers.Dense(64, activation="relu")(layers.Flatten()(x)))


def residual_net(x):
    x = normalised(layers.Conv2D(16, 3, padding="same", use_bias=False)(x))
    for filters, stride in ((16, 1), (32, 2), (32, 1)):
        inner = normalised(layers.Conv2D(filters, 3, stride, padding="same", use_bias=False)(x))
        inner = normalised(layers.Conv2D(filters, 3, padding="same", use_bias=False)(inner), relu=False)
        short = x if stride == 1 else normalised(layers.Conv2D(filters, 1, stride, use_bias=False)(x), relu=False)
        x = layers.ReLU()(short + inner)
    return layers.Dense(10)(layers.GlobalAveragePooling2D()(x))


def depthwise_net(x):
    x = normalised(layers.Conv2D(16, 3, padding="same", use_bias=False)(x))
    for filters, stride in ((32, 2), (32, 1), (64, 2)):
        x = normalised(layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False)(x))
        x = normalised(layers.Conv2D(filters, 1, use_bias=False)(x))
    return layers.Dense(10)(layers.GlobalAveragePooling2D()(x))


# name: the layers, the data, epochs, whether it is convolutional
NETS: dict[str, tuple[Callable, Callable[[], data.Data], int, bool]] = {
    "MLP": (mlp, table, 30, False),
    "text CNN": (text_cnn, texts, 20, False),
    "LSTM": (lstm, texts, 20, False),
    "transformer": (transformer, texts, 20, False),
    "digits CNN": (digits_cnn, pictures, 30, True),
    "residual net": (residual_net, pictures, 20, True),
    "depthwise net": (depthwise_net, pictures, 30, True),
}


def train(model: keras.Model, found: data.Data, epochs: int) -> None:
    """Trains in place; without XLA, whose compiling takes longer than it saves here."""
    rate = keras.optimizers.schedules.CosineDecay(3e-3, epochs * math.ceil(len(found.train_inputs) / BATCH))
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(found.train_inputs, found.train_labels, batch_size=BATCH, epochs=epochs, verbose=0)


def make(name: str, examples: int) -> Net:
    """Trains the net called `name`, and hands it out with up to `examples` held-out examples, evenly picked."""
    build, load, epochs, convolutional = NETS[name]
    found = load()
    is_text = isinstance(found, data.TextData)
    keras.utils.set_random_seed(0)
    selected = layers.Input((data.LENGTH, WIDTH) if is_text else found.train_inputs.shape[1:])
    body = keras.Model(selected, build(selected))
    inputs = layers.Input(found.train_inputs.shape[1:], dtype="int32" if is_text else "float32")
    embedding = layers.Embedding(len(found.vocabulary), WIDTH) if is_text else None
    model = keras.Model(inputs, layers.Softmax()(body(embedding(inputs) if is_text else inputs)))
    train(model, found, epochs)
    count = min(examples, len(found.test_inputs))
    chosen = found.test_inputs[np.arange(count) * math.floor(len(found.test_inputs) / count)]
    return Net(
        name,
        model,
        body,
        "embeddings" if is_text else "inputs",
        chosen,
        np.array(embedding(chosen)) if is_text else chosen,
        accuracy(model, found.test_inputs, found.test_labels),
        convolutional,
    )
