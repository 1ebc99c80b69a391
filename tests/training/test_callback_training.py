"""The callback and the training beside it: nothing of it changes, whatever library, compilation or strategy."""

import contextlib
import functools
import importlib.util
import json
import random
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta

from ..conftest import assert_refused

RNG = np.random.default_rng(6)
X = RNG.uniform(size=(48, 6, 6, 1)).astype("float32")
Y = RNG.integers(0, 3, 48)


def library(name):
    return keras if name == "keras" else pytest.importorskip("tf_keras")


def make(of, **compilation):
    """A net with everything that has a state of its own: dropout, batch normalisation, metrics."""
    layers = of.layers
    # tf_keras draws other numbers at each training where XLA compiles it, with or without callbacks
    noise = [] if of is not keras and compilation.get("jit_compile") else [layers.Dropout(0.4), layers.GaussianNoise(0.1)]
    model = of.Sequential(
        [
            layers.Input((6, 6, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            *noise,
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(of.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"], **compilation)
    return model


def trained(of, callbacks, make=make, **compilation):
    """The weights, losses and metrics of a training, and a draw of each global generator after it."""
    of.utils.set_random_seed(11)
    model = make(of, **compilation)
    history = model.fit(X, Y, validation_data=(X, Y), epochs=2, batch_size=16, verbose=0, callbacks=callbacks)
    evaluated = model.evaluate(X, Y, verbose=0, callbacks=callbacks)
    draws = [random.random(), np.random.random(), float(tf.random.uniform([]))]  # noqa: NPY002 (what others may draw from)
    return [*model.get_weights(), *history.history.values(), evaluated, draws], model


def compare(name, compilation):
    """Trains with and without the callback, and raises where that makes a difference."""
    of = library(name)
    with tempfile.TemporaryDirectory() as folder:
        callback = ta.AttributionCallback((X[:4], Y[:4]), folder, baselines=ta.gaussian(2, 0.1), on_error="raise")
        without, _ = trained(of, [], **compilation)
        beside, model = trained(of, [callback], **compilation)
    assert len(without) == len(beside)
    for one, other in zip(without, beside, strict=True):
        np.testing.assert_array_equal(one, other)
    expected = ta.Attributor(model).attribute(X[:4], Y[:4], ta.gaussian(2, 0.1), seed=0)
    np.testing.assert_allclose(callback.results.attributions, expected.attributions, atol=1e-6)


def two_replicas():
    """Trains on two devices at once with the callback, and raises where its scores are not the model's."""
    keras.utils.set_random_seed(11)
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
    x, y = np.random.default_rng(0).uniform(size=(32, 4)).astype("float32"), np.arange(32) % 3
    callback = ta.AttributionCallback((x[:3], y[:3]), None, on_error="raise")
    model.fit(x, y, validation_data=(x, y), epochs=2, batch_size=8, verbose=0, callbacks=[callback])
    np.testing.assert_allclose(callback.results.scores, model(x[:3]).numpy()[range(3), y[:3]], rtol=1e-5)


ALIKE = {
    f"{name} {compilation}": functools.partial(compare, name, compilation)
    for name in ("keras", "tf_keras")
    for compilation in ({}, {"jit_compile": True}, {"run_eagerly": True})
    if name == "keras" or importlib.util.find_spec("tf_keras")
}


def in_a_process_of_its_own(names):
    """What went wrong by name ("" where nothing did); op determinism and two devices cannot be switched off again."""
    command = f"from tests.training.test_callback_training import tell; tell({names!r})"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def tell(names):
    """In that process: does what the names say, and prints what went wrong."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    tf.config.experimental.enable_op_determinism()
    wrong = dict.fromkeys(names, "")
    for name in names:
        try:
            (ALIKE | {"two replicas": two_replicas})[name]()
        except Exception:
            wrong[name] = traceback.format_exc()
    print(json.dumps(wrong))


def test_two_replicas_are_one_model():
    assert in_a_process_of_its_own(["two replicas"]) == {"two replicas": ""}


# with convolutions, and every way to compile; without, a model that its first batch builds is held to the last bit below
@pytest.mark.slow
@pytest.mark.parametrize("name", ALIKE)
def test_training_is_the_same_however_it_is_compiled(name):
    assert in_a_process_of_its_own([name]) == {name: ""}


# of tf_keras within a strategy, as it trains on several devices; of Keras two replicas above are one model, which is more
@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        ("keras", contextlib.nullcontext),
        ("tf_keras", lambda: tf.distribute.MirroredStrategy(["CPU:0"]).scope()),
        pytest.param("keras", lambda: tf.distribute.MirroredStrategy(["CPU:0"]).scope(), marks=pytest.mark.slow),
        pytest.param("tf_keras", contextlib.nullcontext, marks=pytest.mark.slow),
    ],
    ids=["keras", "tf_keras in a strategy", "keras in a strategy", "tf_keras"],
)
def test_other_callbacks_and_strategies_work_beside_it(name, strategy, tmp_path):
    of = library(name)
    pytest.importorskip("tensorboard")
    with strategy():
        model = make(of)
        # without metrics: what makes variables of its own in the first step has it traced twice
        model.compile(of.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
        model.optimizer.build(model.trainable_variables)
    callbacks = [
        of.callbacks.TensorBoard(tmp_path, histogram_freq=1),
        ta.AttributionCallback((X[:2], Y[:2]), tmp_path, on_error="raise"),
        of.callbacks.EarlyStopping("val_loss", patience=1),
        ta.AttributionCallback(X[:2], None, of="logits"),
        of.callbacks.ModelCheckpoint(str(tmp_path / "model.keras")),
    ]
    model.fit(X, Y, validation_data=(X, Y), epochs=2, batch_size=16, verbose=0, callbacks=callbacks)
    assert callbacks[1].results.unit == "probability"
    np.testing.assert_allclose(callbacks[1].results.scores, model(X[:2]).numpy()[range(2), Y[:2]], rtol=1e-5)
    assert callbacks[3].results.unit == "logit"
    assert {"train", "validation", "attribution"} <= {path.name for path in tmp_path.iterdir()}


def subclassed(of, **compilation):
    class Late(of.Model):
        """Built by its first batch, with everything that has a state of its own, and sums that no threads share."""

        def __init__(self):
            super().__init__()
            self.flat, self.norm = of.layers.Flatten(), of.layers.BatchNormalization()
            self.drop, self.noise = of.layers.Dropout(0.4), of.layers.GaussianNoise(0.1)
            self.head = of.layers.Dense(3, activation="softmax")

        def call(self, x, training=None):
            x = self.norm(self.flat(x), training=training)
            return self.head(self.noise(self.drop(x, training=training), training=training))

    model = Late()
    model.compile(of.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"], **compilation)
    return model


@pytest.mark.parametrize("name", ["keras", "tf_keras"])
def test_a_model_that_its_first_batch_builds_is_trained_the_same_to_the_last_bit(name):
    of = library(name)
    callback = ta.AttributionCallback((X[:4], Y[:4]), None, on_error="raise")
    without, _ = trained(of, [], subclassed)
    beside, _ = trained(of, [callback], subclassed)
    for one, other in zip(without, beside, strict=True):
        np.testing.assert_array_equal(one, other)
    assert callback.results.target.tolist() == Y[:4].tolist()


@pytest.mark.parametrize("name", ["keras", "tf_keras"])
def test_what_does_not_fit_such_a_model_fails_in_its_first_batch(name):
    of, batches = library(name), []
    callback = ta.AttributionCallback(X[:4], None, target=7)
    note = of.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: batches.append(batch))
    model = subclassed(of, run_eagerly=True)
    assert_refused(lambda: model.fit(X, Y, batch_size=8, verbose=0, callbacks=[callback, note]), "out of range")
    assert len(batches) <= 1


class Validated(keras.callbacks.Callback):
    """What the model gives while it is validated."""

    def on_test_batch_end(self, batch, logs=None):
        self.scores = self.model(X[:4]).numpy()[range(4), Y[:4]]


def test_in_front_of_averaged_weights_that_are_put_back_it_sees_those_that_were_validated():
    model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")])
    optimizer = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=True)
    callback, validated = ta.AttributionCallback((X[:4], Y[:4]), None, method="gradient"), Validated()
    callbacks = [callback, keras.callbacks.SwapEMAWeights(), validated]
    model.fit(X, Y, batch_size=48, validation_data=(X, Y), verbose=0, callbacks=callbacks)
    np.testing.assert_allclose(callback.results.scores, validated.scores, rtol=1e-5)


def drawing(of, called):
    """A net that draws in every way, at inference, too; `called`: in Python at each call, where it cannot be traced."""

    class Drawing(of.layers.Layer):
        def __init__(self):
            super().__init__()
            self.drop, self.seeded = of.layers.Dropout(0.2), of.layers.Dropout(0.2, seed=3)

        def call(self, x):
            assert not called or np.isfinite(x.numpy()).all()
            noise = random.random() + np.random.random() + tf.random.normal(tf.shape(x))  # noqa: NPY002
            if of is keras:
                noise += keras.random.normal(tf.shape(x))
            return self.seeded(self.drop(x + 0.1 * noise, training=True), training=True)

    class Net(of.Model):
        def __init__(self):
            super().__init__()
            self.flat, self.draw, self.head = of.layers.Flatten(), Drawing(), of.layers.Dense(3, activation="softmax")

        def call(self, x):
            return self.head(self.draw(self.flat(x)))

    model = Net()
    model.compile(of.optimizers.SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=called)
    model(X[:1])
    return model


@pytest.mark.parametrize("called", [True, False], ids=["called", "traced"])
@pytest.mark.parametrize("name", ["keras", "tf_keras"])
def test_what_a_model_draws_while_it_is_attributed_is_none_of_its_training(name, called):
    def make(of):
        if of is keras:
            keras.utils.clear_session()  # in Keras 3.10 the generator for all goes on where it stood, whatever is seeded
        return drawing(of, called)

    of = library(name)
    callback = ta.AttributionCallback((X[:2], Y[:2]), None, "gradient", on_error="raise")
    without, _ = trained(of, [], make)
    beside, _ = trained(of, [callback], make)
    for one, other in zip(without, beside, strict=True):
        np.testing.assert_array_equal(one, other)
    assert callback.results.target.tolist() == Y[:2].tolist()
