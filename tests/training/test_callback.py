"""The callback: when it fires, what it writes, and what it does about failures."""

import contextlib
import logging
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tf_attrib.training import watch

from ..conftest import assert_refused
from ..helpers.callbacks import ONE_HOT_ALL, RNG, Noted, X, Y, make

# when


@pytest.fixture(scope="module")
def noted():
    """A callback for each frequency, which has seen the net already; whoever takes one clears what it noted before."""
    return {freq: Noted(X[:3], freq=freq) for freq in (1, 2, 7)}


def steps_of(noted, freqs, **options):
    """The steps at which callbacks of these frequencies fired in one training that they share."""
    callbacks = [noted[freq] for freq in freqs]
    for callback in callbacks:
        callback.noted.clear()
    make().fit(X, Y, verbose=0, callbacks=callbacks, **options)
    return [callback.steps for callback in callbacks]


@pytest.mark.parametrize("validates", [True, False])
def test_it_fires_at_every_so_many_validations_or_epochs(noted, validates):
    found = steps_of(noted, (1, 2, 7), validation_data=(X, Y) if validates else None, epochs=5)
    assert found == [[(epoch, "attribution") for epoch in epochs] for epochs in ([0, 1, 2, 3, 4], [0, 2, 4], [0])]


def test_epochs_go_on_where_training_does(noted):
    ((*first, _),) = steps_of(noted, (1,), epochs=3)
    assert first == [(0, "attribution"), (1, "attribution")]
    assert steps_of(noted, (1,), epochs=4, initial_epoch=2) == [[(2, "attribution"), (3, "attribution")]]


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


def test_an_evaluation_inside_of_a_training_is_one_of_its_own():
    callback, model = Noted(X[:3]), make()

    class Evaluates(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.evaluate(X[:8], Y[:8], verbose=0, callbacks=[callback])

    model.fit(X, Y, validation_data=(X, Y), batch_size=8, epochs=2, verbose=0, callbacks=[Evaluates(), callback])
    assert callback.steps == [
        (0, "attribution"),
        (3, "attribution_vs_iterations"),
        (1, "attribution"),
        (6, "attribution_vs_iterations"),
    ]


def test_epochs_before_the_first_validation_do_not_count(noted):
    found = steps_of(noted, (2,), validation_data=(X, Y), validation_freq=2, epochs=6)
    assert found == [[(step, "attribution") for step in (0, 1, 5)]]


# files


def test_each_evaluation_is_saved_and_nothing_is_overwritten(tmp_path):
    callback, model = Noted((X[:2], Y[:2]), save_dir=tmp_path / "saved"), make()
    model.fit(X, Y, epochs=1, verbose=0, callbacks=[callback])
    model.evaluate(X, Y, verbose=0, callbacks=[callback])
    files = sorted(path.name for path in (tmp_path / "saved").iterdir())
    names = ["epoch-000000", "iteration-000001"]
    assert files == sorted(f"{name}{end}" for name in names for end in (".npz", "-sample-0.png", "-sample-1.png"))
    loaded = ta.load(tmp_path / "saved" / "iteration-000001.npz")
    np.testing.assert_array_equal(loaded.attributions, callback.results.attributions)
    before = (tmp_path / "saved" / "epoch-000000.npz").read_bytes()
    model.fit(X, Y, epochs=1, verbose=0, callbacks=[callback])
    found = sorted(path.name for path in (tmp_path / "saved").glob("epoch-*.npz"))
    assert found == ["epoch-000000.npz", "epoch-000000_2.npz"]
    assert (tmp_path / "saved" / "epoch-000000.npz").read_bytes() == before


def test_logs_that_were_cleared_are_begun_anew(tmp_path):
    callback, model = Noted(X[:1], tmp_path / "logs"), make()
    for _ in range(2):
        model.fit(X, Y, epochs=1, verbose=0, callbacks=[callback])
        (events,) = (tmp_path / "logs" / "attribution").iterdir()
        assert events.stat().st_size > 1000
        shutil.rmtree(tmp_path / "logs")


@pytest.mark.parametrize("gone", ["logs", "saved"])
def test_what_is_cleared_while_a_model_trains_takes_nothing_else(tmp_path, gone):
    """Epochs behind it went to a file that nobody sees, and without a folder to save in nothing was logged either."""

    class Clears(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                shutil.rmtree(tmp_path / gone)

    callback, model = Noted(X[:1], tmp_path / "logs", save_dir=tmp_path / "saved"), make()
    with contextlib.nullcontext() if gone == "logs" else pytest.warns(RuntimeWarning, match="no folder"):
        model.fit(X, Y, epochs=2, verbose=0, callbacks=[Clears(), callback])
    (events,) = (tmp_path / "logs" / "attribution").iterdir()
    records = [tf.compat.v1.Event.FromString(one.numpy()) for one in tf.data.TFRecordDataset(str(events))]
    assert {one.step for one in records if one.summary.value} == ({1} if gone == "logs" else {0, 1})
    assert (tmp_path / "saved").exists() == (gone == "logs")


def test_maps_of_a_convolution_and_volumes_are_drawn_and_what_cannot_be_is_logged_without_pictures(tmp_path):
    images = RNG.uniform(size=(4, 6, 6, 1)).astype("float32")
    model = keras.Sequential(
        [keras.Input((6, 6, 1)), layers.Conv2D(4, 3, name="conv"), layers.Flatten(), layers.Dense(3, "softmax")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    callback = Noted(images[:2], tmp_path / "maps", at="conv", on_error="raise", save_dir=tmp_path / "saved")
    model.evaluate(images, Y[:4], verbose=0, callbacks=[callback])
    assert callback.results.attributions.shape == (2, 4, 4, 4)
    assert len(list((tmp_path / "saved").glob("*.png"))) == 2
    for shape, pictures in (((3, 3, 3, 2), 2), ((2, 3, 3, 3, 2), 0)):  # of volumes of two channels, and of films of such
        volumes, folder = RNG.uniform(size=(4, *shape)).astype("float32"), tmp_path / str(pictures)
        model = keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(3, "softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
        callback = Noted(volumes[:2], folder, "integrated_gradients", on_error="raise", save_dir=folder / "saved")
        with contextlib.nullcontext() if pictures else pytest.warns(RuntimeWarning, match="without pictures"):
            model.evaluate(volumes, Y[:4], verbose=0, callbacks=[callback])
        assert len(list((folder / "saved").glob("*.png"))) == pictures
        assert callback.scalars["attribution_vs_iterations/share_converged"] == 1


def test_numbers_are_there_without_logs_and_nothing_is_drawn_for_them(monkeypatch):
    monkeypatch.setattr(watch, "drawn", None)  # whoever calls it fails
    callback = Noted(X[:3])
    make().fit(X, Y, epochs=2, verbose=0, callbacks=[callback])
    assert -1 <= callback.scalars["attribution_drift/mean_cosine"] <= 1


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
    model.optimizer.build(model.trainable_variables)  # whose own variables would have the first step traced twice
    callback, seen = Noted(X[:3], method="integrated_gradients"), []
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(len(counting.calls)))
    model.fit(X, Y, validation_data=(X, Y), epochs=4, verbose=0, callbacks=[callback, note])
    assert seen[1] == seen[3]
    first, last = callback.noted[0][2], callback.noted[-1][2]
    assert np.abs(first.attributions - last.attributions).max() > 1e-4  # the weights of today, through the trace of yesterday
    expected = ta.Attributor(model).attribute(X[:3], target=first.target)
    np.testing.assert_allclose(last.attributions, expected.attributions, atol=1e-6)


def test_a_model_that_was_rebuilt_is_noticed():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="softmax", name="head")])
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)  # once, which is no time to be traced for
    callback = Noted(X[:3], target=0, method="gradient_times_input")
    model.evaluate(X, Y, verbose=0, callbacks=[callback])
    model.add(layers.Lambda(lambda p: p * p, name="squared"))
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    model.evaluate(X, Y, verbose=0, callbacks=[callback])
    np.testing.assert_allclose(callback.results.scores, model(X[:3]).numpy()[:, 0], rtol=1e-5)
    other = make()
    other.evaluate(X, Y, verbose=0, callbacks=[callback])
    np.testing.assert_allclose(callback.results.scores, other(X[:3]).numpy()[:, 0], rtol=1e-5)


@pytest.mark.parametrize("of", ["keras", "tf_keras"])
def test_a_model_that_was_compiled_again_is_noticed(of):
    of = keras if of == "keras" else pytest.importorskip("tf_keras")
    model = of.Sequential([of.layers.Input((4,)), of.layers.Dense(3, name="head")])
    callback, units = Noted(X[:3], target=0), []
    for loss in (of.losses.SparseCategoricalCrossentropy(from_logits=True), "mse"):
        model.compile("sgd", loss)
        model.evaluate(X, Y if loss != "mse" else ONE_HOT_ALL, verbose=0, callbacks=[callback])
        units.append(callback.results.unit)
    assert units == ["probability", "raw"]


def test_classes_of_one_model_are_not_explained_in_another():
    callback = Noted(X[:4])
    for units, favourite in ((3, 2), (2, 0)):
        model = make(units)
        model.get_layer("head").bias.assign(9 * np.eye(units, dtype="float32")[favourite])
        model.evaluate(X, Y % units, verbose=0, callbacks=[callback])
        assert callback.results.target.tolist() == [favourite] * 4


def test_a_class_is_not_kept_from_scores_that_are_no_numbers():
    model, callback = make(), Noted(X[:3])
    bias = model.get_layer("head").bias
    bias.assign([np.nan, 0, 0])
    with pytest.warns(RuntimeWarning, match="NaN"):
        model.evaluate(X, Y, verbose=0, callbacks=[callback])
    bias.assign([0, 0, 9])
    model.evaluate(X, Y, verbose=0, callbacks=[callback])
    assert callback.results.target.tolist() == [2, 2, 2]


# failures


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"class_names": {"a": 0}}, ["class_names", "keys"]),
        ({"class_names": 3}, ["class_names", "list"]),
        ({"samples": iter([X])}, ["next(iter(data))"]),
        ({"log_dir": b"logs"}, ["log_dir", "b'logs'"]),
        ({"log_dir": ""}, ["log_dir"]),
        ({"freq": 0}, ["freq", "0"]),
        ({"n": 1.5}, ["n must", "1.5"]),
        ({"on_error": "ignore"}, ["'warn' or 'raise'"]),
        ({"target": "label"}, ["'predicted'"]),
        ({"method": "saliency"}, ["saliency"]),
        ({"tokens": [["a"]]}, ["tokens for 1"]),
        ({"samples": (X[:3], Y[:2])}, ["3", "2", "[left, right]"]),
        ({"samples": (X, Y, Y)}, ["tuple (x, y)"]),
        ({"samples": X[:0]}, ["at least one"]),
        ({"samples": (X[:3], 1)}, ["a label for each"]),
        ({"samples": tf.data.Dataset.from_tensor_slices(X[:, 0])}, ["batch(16)"]),
        ({"samples": tf.data.Dataset.from_tensor_slices(X).batch(4).take(0)}, ["empty"]),
    ],
)
def test_arguments_that_mean_nothing_are_refused_at_once(arguments, words):
    assert_refused(lambda: ta.AttributionCallback(**{"samples": X[:3], "log_dir": None} | arguments), *words)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"samples": X[:3, :2]}, "(3, 2)"),
        ({"at": "hiden"}, "hidden"),
        ({"target": 3}, "out of range"),
        ({"samples": (X[:3], [0, 1, 3])}, "3 classes"),
        ({"of": "logit"}, "head"),
        ({"baselines": np.zeros(7)}, "(7,)"),
        ({"samples": np.where(X[:3] < X[1, 0], X[:3], np.nan)}, "of the samples: watch others"),
    ],
)
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
    monkeypatch.setattr(watch, "log_attributions", full_disk)
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
    callback = Noted(X[:3], tmp_path if on_error == "warn" else None, target=0, on_error=on_error)
    evaluate = lambda: model.evaluate(X, Y, verbose=0, callbacks=[callback])  # noqa: E731
    if on_error == "raise":
        assert_refused(evaluate, "NaN", "0, 1, 2")
    else:
        with pytest.warns(RuntimeWarning, match="NaN or infinite"):
            evaluate()
        assert (callback.results.status == "not_finite").all()
        assert any((tmp_path / "attribution").iterdir())
