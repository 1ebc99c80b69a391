"""What the tables of calls that a user gets wrong share: small models, and what a refusal must be."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

RNG = np.random.default_rng(3)
X = RNG.normal(size=(3, 4)).astype("float32")
IMAGES = RNG.uniform(size=(2, 6, 6, 1)).astype("float32")
IDS = RNG.integers(1, 20, (2, 6)).astype("int32")
PIXELS = RNG.integers(0, 255, (2, 3, 3, 3)).astype("uint8")


def make_kit(folder):
    """Models and attributors for all rows, each made and traced once."""
    keras.utils.set_random_seed(7)
    x = keras.Input((4,), name="x")
    hidden = layers.Dense(5, activation="tanh", name="hidden")(x)
    table = keras.Model(x, layers.Dense(3, activation="softmax", name="head")(hidden), name="table")
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    flat = layers.Flatten(name="flat")(layers.Embedding(20, 4, name="words")(tokens))
    words = keras.Model(tokens, layers.Dense(2, activation="softmax", name="head")(flat))
    left, right = keras.Input((4,), name="left"), keras.Input((2,), name="right")
    kind = layers.Dense(2, activation="softmax", name="kind")(layers.Concatenate(name="both")([left, right]))
    pair = keras.Model([left, right], [kind, layers.Dense(1, name="size")(left)])
    image = keras.Sequential(
        [
            keras.Input((6, 6, 1), name="image"),
            layers.Conv2D(2, 3, activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(2, activation="softmax", name="head"),
        ]
    )
    pixels = keras.Input((3, 3, 3), dtype="uint8", name="pixels")
    quantity = keras.Model(pixels, layers.Dense(2, activation="softmax")(layers.Flatten()(layers.Rescaling(1 / 255)(pixels))))
    of = {"table": table, "words": words, "image": image, "quantity": quantity}
    attributors = {name: ta.Attributor(model) for name, model in of.items()}
    kit = types.SimpleNamespace(
        models=types.SimpleNamespace(**of, pair=pair),
        folder=folder,
        pair=ta.Attributor(pair, of="kind"),
        **attributors,
        raw=ta.Attributor(lambda v: v @ tf.ones((4, 3))),
        sequence=ta.Attributor(lambda v: tf.nn.softmax(v)),
        single=ta.Attributor(lambda v: tf.reduce_sum(v, 1)),
        total=ta.Attributor(lambda v: tf.reduce_sum(v, [1, 2, 3])),
    )
    kit.result = kit.table.attribute(X, verbose=False)
    kit.picture = kit.image.attribute(IMAGES, method="gradient", verbose=False)
    kit.interior = kit.table.attribute(X, method=ta.InteriorGradients(3), verbose=False)
    kit.text = kit.words.attribute(IDS, method="gradient", verbose=False)
    kit.writer = tf.summary.create_file_writer(str(folder / "logs"))
    return kit


def refuses(call, kit, parts, error=ta.AttributionError):
    """`call` raises an error of that type and no other, and its one paragraph holds every one of `parts`."""
    with pytest.raises(error) as raised:
        call(kit)
    text = str(raised.value)
    for part in parts:
        assert part in text, f"{part!r} is not in: {text}"
    assert "\x1b" not in text
    assert "Traceback" not in text
    assert len(text) < 1200, text


def cases(table):
    """Rows of (words, call, parts) or (words, call, parts, type of the error) as parameters of a test."""
    names = [row[0] for row in table]
    assert len(set(names)) == len(names)
    return pytest.mark.parametrize("row", table, ids=names)
