"""Small models that many tests share, and a quiet TensorFlow."""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from .helpers.seeds import set_seed

tf.random.set_seed = set_seed  # which Keras calls, and so does the fixture below for every test


def pytest_collection_finish():
    """What was imported stays: looking through it again and again is a tenth of the tests' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    gc.enable()


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(7)


def make_cnn():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Conv2D(6, 3, activation="relu", name="conv"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(4, activation="softmax", name="head"),
        ],
        name="cnn",
    )


def make_plain_cnn():
    """A convolution and a head: the least that reads images, where their kind proves nothing."""
    conv, head = layers.Conv2D(6, 3, activation="relu", name="conv"), layers.Dense(4, activation="softmax", name="head")
    return keras.Sequential([keras.Input((8, 8, 1), name="image"), conv, layers.Flatten(), head])


def make_text(mask_zero=True):
    ids = keras.Input((10,), dtype="int32", name="tokens")
    embedded = layers.Embedding(30, 6, mask_zero=mask_zero, name="words", embeddings_initializer=spread())(ids)
    state = layers.LSTM(5, name="lstm")(embedded)
    return keras.Model(ids, layers.Dense(1, activation="sigmoid", name="head", kernel_initializer=spread())(state))


def make_recurrent_text():
    """A recurrent net of tokens with a mask: a loop of few operations, which is traced and cut for every method."""
    ids = keras.Input((10,), dtype="int32", name="tokens")
    embedded = layers.Embedding(30, 6, mask_zero=True, name="words", embeddings_initializer=spread())(ids)
    state = layers.SimpleRNN(5, name="rnn")(embedded)
    return keras.Model(ids, layers.Dense(1, activation="sigmoid", name="head", kernel_initializer=spread())(state))


def make_mlp():
    return keras.Sequential([keras.Input((5,)), layers.Dense(8, activation="tanh"), layers.Dense(3, name="raw")])


def spread():
    """An initialiser wide enough that scores differ from one input to the next."""
    return keras.initializers.RandomNormal(stddev=0.8, seed=3)


@pytest.fixture
def cnn():
    return make_cnn()


@pytest.fixture
def text():
    return make_text()


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(size=(5, 8, 8, 1)).astype("float32")


@pytest.fixture
def ids():
    tokens = np.random.default_rng(1).integers(1, 30, (4, 10)).astype("int32")
    tokens[1, 6:] = 0
    tokens[3, 3:] = 0
    return tokens


def reference_ig(score, x, baseline, n=2000):
    """Integrated gradients by a plain loop, the second implementation that results are compared with (midpoints)."""

    @tf.function(autograph=False)  # eager tapes take ten times as long
    def slope(point):
        with tf.GradientTape() as tape:
            tape.watch(point)
            value = score(point)
        return tape.gradient(value, point)

    total = np.zeros(x.shape, np.float64)
    for alpha in (np.arange(n) + 0.5) / n:
        total += slope(tf.constant(baseline + alpha * (x - baseline), tf.float32)).numpy()
    return total / n * (x - baseline)


@pytest.fixture(scope="module")
def table():
    return keras.Sequential(
        [
            keras.Input((4,), name="x"),
            layers.Dense(5, activation="tanh", name="hidden"),
            layers.Dense(3, activation="softmax", name="head"),
        ],
        name="table",
    )


@pytest.fixture(scope="module")
def attributor(table):
    return ta.Attributor(table)


@pytest.fixture(scope="module")
def words():
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    hidden = layers.Flatten(name="flat")(layers.Embedding(20, 4, name="words")(tokens))
    return keras.Model(tokens, layers.Dense(2, activation="softmax", name="head")(hidden))


@pytest.fixture(scope="module")
def pair():
    left, right = keras.Input((4,), name="left"), keras.Input((2,), name="right")
    one = layers.Dense(2, activation="softmax", name="kind")(layers.Concatenate(name="both")([left, right]))
    return keras.Model([left, right], [one, layers.Dense(1, name="size")(layers.Dense(3, name="aside")(left))])


def assert_refused(call, *words):
    """`call` raises AttributionError, and its text holds every one of `words`."""
    with pytest.raises(ta.AttributionError) as raised:
        call()
    for word in words:
        assert word in str(raised.value)
    assert "\x1b" not in str(raised.value)


@pytest.fixture(scope="module")
def double():
    """Keras in float64 while the module's tests run, whatever was set before."""
    floatx, policy = keras.backend.floatx(), keras.config.dtype_policy()
    keras.backend.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.backend.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


@pytest.fixture(scope="session")
def kit(tmp_path_factory):
    """What the tables of calls that a user gets wrong share."""
    from .helpers.bad_calls import make_kit

    return make_kit(tmp_path_factory.mktemp("calls"))
