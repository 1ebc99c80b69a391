"""The callback: when it fires, of which classes, what it writes, and what it does about failures."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tf_attrib import watching

from .conftest import assert_refused

RNG = np.random.default_rng(5)
X = RNG.uniform(size=(24, 4)).astype("float32")
Y = RNG.integers(0, 3, 24)


def make(units=3, activation="softmax", loss="sparse_categorical_crossentropy"):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5, activation="tanh", name="hidden"),
                              layers.Dense(units, activation=activation, name="head")])
    model.compile(keras.optimizers.Adam(0.05), loss)
    return model


class Noted(ta.AttributionCallback):
    """Keeps every result, with what it was logged as."""

    def __init__(self, samples, log_dir=None, **more):
        super().__init__(samples, log_dir, **more)
        self.noted = []

    def _evaluate(self, step, prefix, name):
        super()._evaluate(step, prefix, name)
        self.noted.append((step, prefix, self.results))

    @property
    def steps(self):
        return [(step, prefix) for step, prefix, _ in self.noted]


# when

@pytest.mark.parametrize(("freq", "epochs"), [(1, [0, 1, 2, 3, 4]), (2, [0, 2, 4]), (7, [0])])
@pytest.mark.parametrize("validates", [True, False])
def test_it_fires_at_every_so_many_validations_or_epochs(freq, epochs, validates):
    callback = Noted(X[:3], freq=freq)
    make().fit(X, Y, validation_data=(X, Y) if validates else None, epochs=5, verbose=0, callbacks=[callback])
    assert callback.steps == [(epoch, "attribution") for epoch in epochs]


def test_epochs_go_on_where_training_does():
    callback, model = Noted(X[:3]), make()
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[callback])
    model.fit(X, Y, epochs=4, initial_epoch=2, verbose=0, callbacks=[callback])
    assert [step for step, _ in callback.steps] == [0, 1, 2, 3]


def test_each_evaluation_outside_of_training_has_the_iterations_as_its_step():
    callback, model = Noted(X[:3], freq=9), make()
    model.evaluate(X, Y, verbose=0, callbacks=[callback])
    model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    model.evaluate(X, Y, verbose=0, callbacks=[callback])
    assert callback.steps == [(0, "attribution_vs_iterations"), (6, "attribution_vs_iterations")]


def test_an_evaluation_after_a_training_that_was_interrupted_is_none_of_its_epochs():
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt
    callback, model = Noted(X[:3], freq=5), make()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=3, verbose=0, callbacks=[callback, Stop()])
    model.evaluate(X, Y, verbose=0, callbacks=[callback])
    assert callback.steps[-1] == (1, "attribution_vs_iterations")


# of what

def test_it_gives_what_the_attributor_gives():
    model = make()
    callback = Noted(X[:5], method="integrated_gradients", at="hidden", of="logits", target=2, baselines=ta.gaussian(2, 0.1),
                     seed=3, batch_size=4)
    model.evaluate(X, Y, verbose=0, callbacks=[callback])
    expected = ta.Attributor(model, "hidden", "logits").attribute(X[:5], 2, ta.gaussian(2, 0.1), seed=3)
    np.testing.assert_allclose(callback.results.attributions, expected.attributions, atol=1e-6)
    np.testing.assert_allclose(callback.results.baseline_scores, expected.baseline_scores, atol=1e-6)
    assert callback.results.method == expected.method


ONE_HOT = np.eye(3)[Y[:6]]


@pytest.mark.parametrize("labels", [Y[:6], Y[:6, None], ONE_HOT, Y[:6].astype("float32")])
def test_labels_are_what_is_explained(labels):
    callback = Noted((X[:6], labels))
    make().fit(X, Y, epochs=2, verbose=0, callbacks=[callback])
    np.testing.assert_array_equal(callback.results.target, Y[:6])


@pytest.mark.parametrize(("target", "follows"), [(None, False), ("predicted", True)])
def test_the_first_prediction_is_kept_unless_it_is_to_be_followed(target, follows):
    model, callback = make(), Noted(X[:6], target=target)
    head = model.get_layer("head")
    for favourite in (0, 2):
        head.bias.assign(9 * np.eye(3, dtype="float32")[favourite])
        model.evaluate(X, Y, verbose=0, callbacks=[callback])
    assert callback.results.predicted.tolist() == [2] * 6
    assert callback.results.target.tolist() == [2 if follows else 0] * 6


def test_targets_may_be_given():
    callback = Noted((X[:3], Y[:3]), target=[2, 1, 0])
    make().evaluate(X, Y, verbose=0, callbacks=[callback])
    assert callback.results.target.tolist() == [2, 1, 0]


def test_labels_of_a_regression_are_no_classes(tmp_path):
    model = make(1, None, "mse")
    callback = Noted((X[:3], Y[:3]), tmp_path)
    model.evaluate(X, Y.astype("float32"), verbose=0, callbacks=[callback])
    assert callback.results.target is None


@pytest.mark.parametrize("dataset", [
    tf.data.Dataset.from_tensor_slices((X, Y)).batch(5),
    tf.data.Dataset.from_tensor_slices((X, Y, np.ones(24))).batch(3),
    tf.data.Dataset.from_tensor_slices((X, Y)).batch(24)])
def test_the_first_of_a_data_set_are_taken_once(dataset):
    callback = Noted(dataset, n=7)
    make().fit(X, Y, epochs=2, verbose=0, callbacks=[callback])
    np.testing.assert_array_equal(callback.results.inputs, X[:7])
    np.testing.assert_array_equal(callback.results.target, Y[:7])


def test_a_data_set_without_labels_and_of_dicts():
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    model = keras.Model([left, right], layers.Dense(3, activation="softmax")(layers.Add()([left, right])))
    model.compile("sgd", "sparse_categorical_crossentropy")
    inputs = {"left": X, "right": X[::-1].copy()}
    for samples in (tf.data.Dataset.from_tensor_slices(inputs).batch(8), {key: value[:4] for key, value in inputs.items()}):
        callback = Noted(samples, n=4)
        model.evaluate(inputs, Y, verbose=0, callbacks=[callback])
        assert {key: value.shape for key, value in callback.results.attributions.items()} == {"left": (4, 4), "right": (4, 4)}


# files

def test_each_evaluation_is_saved(tmp_path):
    callback, model = Noted((X[:2], Y[:2]), save_dir=tmp_path / "saved"), make()
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[callback])
    model.evaluate(X, Y, verbose=0, callbacks=[callback])
    files = sorted(path.name for path in (tmp_path / "saved").iterdir())
    names = ["epoch-000000", "epoch-000001", "iteration-000002"]
    assert files == sorted(f"{name}{end}" for name in names for end in (".npz", "-sample-0.png", "-sample-1.png"))
    loaded = ta.load(tmp_path / "saved" / "iteration-000002.npz")
    np.testing.assert_array_equal(loaded.attributions, callback.results.attributions)


# nothing is traced twice

class Counting(layers.Layer):
    """Counts how often it is traced or called."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def call(self, x):
        self.calls.append(1)
        return x


def test_traces_are_kept_while_weights_change():
    counting = Counting()
    model = keras.Sequential([keras.Input((4,)), counting, layers.Dense(3, activation="softmax")])
    model.compile(keras.optimizers.Adam(0.1), "sparse_categorical_crossentropy")
    callback, seen = Noted(X[:3]), []
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(len(counting.calls)))
    model.fit(X, Y, validation_data=(X, Y), epochs=4, verbose=0, callbacks=[callback, note])
    assert seen[1] == seen[3]
    first, last = callback.noted[0][2], callback.noted[-1][2]
    assert np.abs(first.attributions - last.attributions).max() > 1e-4  # the weights of today, through the trace of yesterday
    expected = ta.Attributor(model).attribute(X[:3], target=first.target)
    np.testing.assert_allclose(last.attributions, expected.attributions, atol=1e-6)


def test_a_model_that_was_rebuilt_is_noticed():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="softmax", name="head")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    callback = Noted(X[:3], target=0, method="gradient_times_input")
    model.evaluate(X, Y, verbose=0, callbacks=[callback])
    model.add(layers.Lambda(lambda p: p * p, name="squared"))
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.evaluate(X, Y, verbose=0, callbacks=[callback])
    np.testing.assert_allclose(callback.results.scores, model(X[:3]).numpy()[:, 0], rtol=1e-5)
    other = make()
    other.evaluate(X, Y, verbose=0, callbacks=[callback])
    np.testing.assert_allclose(callback.results.scores, other(X[:3]).numpy()[:, 0], rtol=1e-5)


# failures

@pytest.mark.parametrize(("arguments", "words"), [
    ({"freq": 0}, ["freq", "0"]), ({"n": 1.5}, ["n must", "1.5"]), ({"on_error": "ignore"}, ["'warn' or 'raise'"]),
    ({"target": "label"}, ["'predicted'"]), ({"method": "saliency"}, ["saliency"]), ({"tokens": [["a"]]}, ["tokens for 1"]),
    ({"samples": (X[:3], Y[:2])}, ["3", "2", "[left, right]"]), ({"samples": (X, Y, Y)}, ["tuple (x, y)"]),
    ({"samples": X[:0]}, ["at least one"]), ({"samples": (X[:3], 1)}, ["a label for each"]),
    ({"samples": tf.data.Dataset.from_tensor_slices(X[:, 0])}, ["batch(16)"]),
    ({"samples": tf.data.Dataset.from_tensor_slices(X).batch(4).take(0)}, ["empty"])])
def test_arguments_that_mean_nothing_are_refused_at_once(arguments, words):
    assert_refused(lambda: ta.AttributionCallback(**{"samples": X[:3], "log_dir": None} | arguments), *words)


@pytest.mark.parametrize(("arguments", "word"), [
    ({"samples": X[:3, :2]}, "(3, 2)"), ({"at": "hiden"}, "hidden"), ({"target": 3}, "out of range"),
    ({"samples": (X[:3], [0, 1, 3])}, "3 classes"), ({"of": "logit"}, "head"), ({"baselines": np.zeros(7)}, "(7,)")])
@pytest.mark.parametrize("validates", [True, False])
def test_what_does_not_fit_the_model_fails_before_the_first_batch(arguments, word, validates):
    model, batches = make(), []
    callback = ta.AttributionCallback(**{"samples": X[:3], "log_dir": None} | arguments)
    note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: batches.append(batch))
    validation = (X, Y) if validates else None
    assert_refused(lambda: model.fit(X, Y, validation_data=validation, verbose=0, callbacks=[callback, note]), word)
    assert not batches


@pytest.mark.parametrize("folder", ["log_dir", "save_dir"])
def test_a_folder_that_cannot_be_written_to_fails_before_the_first_batch(folder, tmp_path):
    (tmp_path / "file").write_text("in the way")
    callback = ta.AttributionCallback(X[:3], **{"log_dir": None} | {folder: tmp_path / "file" / "logs"})
    assert_refused(lambda: make().fit(X, Y, verbose=0, callbacks=[callback]), "cannot be written to", "save_dir=")


def full_disk(*arguments, **more):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("on_error", ["warn", "raise"])
def test_a_full_disk_stops_the_training_only_if_asked_to(on_error, monkeypatch, tmp_path, caplog):
    callback = ta.AttributionCallback(X[:3], tmp_path, on_error=on_error)
    monkeypatch.setattr(watching, "log_attributions", full_disk)
    fit = lambda: make().fit(X, Y, epochs=2, verbose=0, callbacks=[callback])  # noqa: E731
    if on_error == "raise":
        with pytest.raises(OSError, match="No space"):
            fit()
        return
    with caplog.at_level(logging.WARNING), pytest.warns(RuntimeWarning, match="No space left on device; the training goes on"):
        assert len(fit().epoch) == 2
    assert [record.levelname for record in caplog.records if record.name == "tf_attrib"] == ["WARNING"] * 2
    assert callback.results is not None


@pytest.mark.parametrize("on_error", ["warn", "raise"])
def test_scores_that_are_not_numbers_are_told(on_error, tmp_path):
    model = make()
    model.get_layer("head").bias.assign([np.nan, 0, 0])
    callback = Noted(X[:3], tmp_path, target=0, on_error=on_error)
    evaluate = lambda: model.evaluate(X, Y, verbose=0, callbacks=[callback])  # noqa: E731
    if on_error == "raise":
        assert_refused(evaluate, "NaN", "0, 1, 2")
    else:
        with pytest.warns(RuntimeWarning, match="NaN or infinite"):
            evaluate()
        assert (callback.results.status == "not_finite").all()
        assert any((tmp_path / "attribution").iterdir())
