"""The callback's samples: what they may be, which class of them is explained, and that they stay what they were."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tf_attrib.training import tensorboard, watch
from tf_attrib.training.samples import classes_of, labels_at

from ..helpers.callbacks import ONE_HOT, Noted, X, Y, make


def test_it_gives_what_the_attributor_gives():
    model = make()
    callback = Noted(
        X[:5],
        method="integrated_gradients",
        at="hidden",
        of="logits",
        target=2,
        baselines=ta.gaussian(2, 0.1),
        seed=3,
        batch_size=4,
    )
    model.evaluate(X, Y, verbose=0, callbacks=[callback])
    expected = ta.Attributor(model, "hidden", "logits").attribute(X[:5], 2, ta.gaussian(2, 0.1), seed=3)
    np.testing.assert_allclose(callback.results.attributions, expected.attributions, atol=1e-6)
    np.testing.assert_allclose(callback.results.baseline_scores, expected.baseline_scores, atol=1e-6)
    assert callback.results.method == expected.method


def test_a_frame_is_watched_by_the_names_of_its_columns():
    frame = pd.DataFrame(X[:5].copy(), columns=[f"column {number}" for number in range(X.shape[1])], index=np.linspace(3, 4, 5))
    callback = Noted((frame, Y[:5]))
    model = make()
    model.evaluate(X, Y, verbose=0, callbacks=[callback])
    frame.iloc[:] = 0  # what is watched is a copy
    expected = ta.Attributor(model).attribute(X[:5], callback.results.target, method="gradient", verbose=False)
    np.testing.assert_allclose(callback.results.attributions, expected.attributions, atol=1e-6)
    assert callback.results.names_of(None) == tuple(frame.columns)


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


@pytest.mark.parametrize(
    "dataset",
    [
        tf.data.Dataset.from_tensor_slices((X, Y)).batch(5),
        tf.data.Dataset.from_tensor_slices((X, Y, np.ones(24))).batch(3),
        tf.data.Dataset.from_tensor_slices((X, Y)).batch(24),
    ],
)
def test_the_first_of_a_data_set_are_taken_once(dataset):
    callback = Noted(dataset, n=7)
    make().fit(X, Y, epochs=2, verbose=0, callbacks=[callback])
    np.testing.assert_array_equal(callback.results.inputs, X[:7])
    np.testing.assert_array_equal(callback.results.target, Y[:7])


def test_a_data_set_without_labels_and_of_dicts():
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    model = keras.Model([left, right], layers.Dense(3, activation="softmax")(layers.Add()([left, right])))
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    inputs = {"left": X, "right": X[::-1].copy()}
    for samples in (tf.data.Dataset.from_tensor_slices(inputs).batch(8), {key: value[:4] for key, value in inputs.items()}):
        callback = Noted(samples, n=4)
        model.evaluate(inputs, Y, verbose=0, callbacks=[callback])
        assert {key: value.shape for key, value in callback.results.attributions.items()} == {"left": (4, 4), "right": (4, 4)}


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array([[0, 0, 0], [0, 1, 1]]), None),  # several labels for an example
        (np.array([[3.5, 1, 2], [0, 1, 0]]), None),
        (np.array([[0.05, 0.9, 0.05], [0.8, 0.1, 0.1]]), [1, 0]),  # smoothed
        (np.array(["cat", "dog"]), None),
        (np.array([0.5, 1]), None),
        (np.array([[2.0], [0.0]]), [2, 0]),
    ],
)
def test_labels_are_classes_only_where_they_are(labels, classes):
    found = classes_of(labels, (3,))
    assert (found is None) == (classes is None)
    assert found is None or found.tolist() == classes


@pytest.mark.parametrize("labels", [{"kind": Y[:3], "size": X[:3, 0]}, [Y[:3], X[:3, 0]]])
def test_of_several_outputs_the_named_one_has_its_labels(labels):
    x = keras.Input((4,), name="x")
    kind, size = layers.Dense(3, activation="softmax", name="kind")(x), layers.Dense(1, name="size")(x)
    model = keras.Model(x, {"kind": kind, "size": size})
    model.compile("sgd", {"kind": "sparse_categorical_crossentropy", "size": "mse"}, run_eagerly=True)
    callback = Noted((X[:3], labels), of=ta.output("kind"))
    model.evaluate(X, {"kind": Y, "size": X[:, 0]}, verbose=0, callbacks=[callback])
    np.testing.assert_array_equal(callback.results.target, Y[:3])


def test_what_becomes_of_the_arrays_later_changes_nothing():
    x, y = X[:3].copy(), Y[:3].copy()
    callback = Noted((x, y))
    x[:], y[:] = 0, 2
    make().evaluate(X, Y, verbose=0, callbacks=[callback])
    np.testing.assert_array_equal(callback.results.inputs, X[:3])
    np.testing.assert_array_equal(callback.results.target, Y[:3])


def test_n_counts_examples_of_arrays_too():
    callback = Noted((X, Y), n=2)
    make().evaluate(X, Y, verbose=0, callbacks=[callback])
    assert len(callback.results) == 2


# every position

IDS, NEXT = np.random.default_rng(1).integers(0, 9, (2, 3)), np.random.default_rng(2).integers(0, 9, (2, 3))


def make_words(one_hot=False):
    ids = keras.Input((3,), dtype="int32")
    state = layers.SimpleRNN(4, return_sequences=True)(layers.Embedding(9, 2)(ids))
    model = keras.Model(ids, layers.Dense(9, activation="softmax")(state))
    # eagerly: there are two batches, and a function of them would be traced for longer than both take
    model.compile("sgd", "categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy", run_eagerly=True)
    return model


@pytest.mark.parametrize("one_hot", [False, True])
def test_every_position_of_the_samples_is_logged_with_its_label(tmp_path, monkeypatch, one_hot):
    logged, write = [], watch.log_attributions
    monkeypatch.setattr(
        watch, "log_attributions", lambda result, *rest, **told: logged.append((result, told)) or write(result, *rest, **told)
    )
    labels = np.eye(9)[NEXT] if one_hot else NEXT
    tokens = [[f"{i}-{j}" for j in range(3)] for i in range(2)]
    callback = Noted(
        (IDS, labels),
        tmp_path / "logs",
        target=ta.each_position(positions=[0, 2]),
        tokens=tokens,
        save_dir=tmp_path / "files",
        on_error="raise",
        method="gradient",
    )
    make_words(one_hot).fit(IDS, labels, epochs=2, verbose=0, callbacks=[callback])
    assert len(logged) == 2
    for result, told in logged:
        assert result.example.tolist() == [0, 0, 1, 1]
        np.testing.assert_array_equal(told["labels"], NEXT[:, [0, 2]].ravel())
        assert [words[0] for words in told["tokens"]] == [f"{i}-0" for i in (0, 0, 1, 1)]
    assert len(list((tmp_path / "files").glob("*.png"))) == 8
    assert tensorboard._row(callback.results, 3, None, None)[0] == "1, position 2"


def test_labels_that_are_of_no_position_stay_those_of_the_sample():
    example, position = np.array([0, 0, 2]), np.array([1, 3, 0])
    assert labels_at(np.array([5, 6, 7]), example, position, (4,)).tolist() == [5, 5, 7]
    assert labels_at(np.arange(6).reshape(3, 2), example, position, (4, 9)).tolist() == [[0, 1], [0, 1], [4, 5]]
    padded = np.array([[1, -100, 2, 3]] * 3)  # what a loss leaves out is no class
    assert labels_at(padded, example, position, (4, 3)).tolist() == [-100, 3, 1]
    assert labels_at(padded, None, None, (4, 3)) is padded
