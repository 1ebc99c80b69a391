"""Names of classes: given once, and shown wherever a class is."""

import json

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.cli import main
from tf_attrib.common.class_names import as_class_names, class_name

from ..conftest import assert_refused

X = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
NAMES = ["cat", "dog", "cup"]


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, activation="softmax")])


def test_what_names_may_be(tmp_path, monkeypatch):
    (tmp_path / "names.txt").write_text("cat\ndog\ncup\n\n", encoding="utf-8")
    for given in (
        NAMES,
        tuple(NAMES),
        np.array(NAMES),
        tmp_path / "names.txt",
        str(tmp_path / "names.txt"),
        pd.Index(NAMES),
        pd.Series(NAMES),
    ):
        found = as_class_names(given)
        assert dict(found.of) == dict(enumerate(NAMES))
        assert found.all
    some = as_class_names({2: "cup"})
    assert dict(some.of) == {2: "cup"}
    assert not some.all
    assert dict(as_class_names(pd.Series(["cup"], [2])).of) == {2: "cup"}
    assert as_class_names(None) is None
    (tmp_path / "models").mkdir()
    index = {str(i): [f"n{i}", f"class_{i}"] for i in range(1000)}
    (tmp_path / "models" / "imagenet_class_index.json").write_text(json.dumps(index), encoding="utf-8")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert as_class_names("imagenet").of[967] == "class 967"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (3, "class_names must be a list"),
        ([], "class_names must be a list"),
        ([1, 2], "class_names must be a list"),
        ({"cat": 0}, "numbers of classes as keys"),
        ({True: "cat"}, "numbers of classes as keys"),
        ("no such file", "cannot be read"),
    ],
)
def test_what_names_may_not_be(given, words):
    assert_refused(lambda: as_class_names(given), words)


def test_files_that_hold_no_names(tmp_path, monkeypatch):
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    (tmp_path / "latin").write_bytes(b"caf\xe9\n")
    assert_refused(lambda: as_class_names(tmp_path / "empty"), "is empty")
    (tmp_path / "gap").write_text("ant\n\ncat\n", encoding="utf-8")
    assert_refused(lambda: as_class_names(tmp_path / "gap"), "line 2 of", "is blank")
    assert_refused(lambda: as_class_names(tmp_path / "latin"), "cannot be read")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert_refused(lambda: as_class_names("imagenet"), "decode_predictions")


def test_a_class_as_people_call_it():
    names = as_class_names({1: "dog"})
    assert [class_name(value, names) for value in (1, np.int64(0), np.array([1.0]), 1.5, b"x", np.nan)] == [
        "dog",
        "0",
        "dog",
        "1.5",
        "x",
        "nan",
    ]


def test_names_are_shown_wherever_the_class_is(model, tmp_path):
    attributor = ta.Attributor(model, class_names=NAMES)
    result = attributor.attribute(X, 1, method="gradient")
    assert result.class_names.items() >= {(1, "dog")}
    assert "(class 1 (dog))" in repr(result)
    assert "class 1 (dog)" in result.plot(example=0).subfigs[0].get_suptitle()
    assert "class 1 (dog)" in result._repr_html_()
    result.save(tmp_path / "result.npz")
    assert ta.load(tmp_path / "result.npz").class_names == result.class_names
    assert (
        ta.summarise(attributor.attribute(X, method="gradient"), by="predicted").class_name(int(result.predicted[0])) in NAMES
    )
    errors = ta.misclassified(attributor, (X, (result.predicted + 1) % 3), n=1)
    assert errors.classes == NAMES
    assert attributor.explaining("logits").attribute(X, 2, method="gradient").class_names[2] == "cup"


def test_numbers_are_the_same_and_some_may_have_no_name(model):
    plain = ta.Attributor(model).attribute(X, 1, method="gradient")
    some = ta.Attributor(model, class_names={2: "cup"}).attribute(X, 1, method="gradient")
    np.testing.assert_array_equal(some.attributions, plain.attributions)
    assert "(class 1)" in repr(some)
    assert plain.class_names == {}


def test_names_of_another_number_of_classes(model):
    for names, words in ((NAMES[:2], "2 names, and there are 3 classes"), ({7: "cup"}, "names class 7")):
        assert_refused(lambda names=names: ta.Attributor(model, class_names=names).attribute(X, method="gradient"), words)
    without_classes = ta.Attributor(lambda x: tf.reduce_sum(x, 1), class_names=NAMES)
    assert without_classes.attribute(X, method="gradient").class_names == {}


def test_on_the_command_line(model, tmp_path, capsys):
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "batch.npy", X)
    (tmp_path / "names.txt").write_text("\n".join(NAMES), encoding="utf-8")
    parts = ["attribute", str(tmp_path / "model.keras"), str(tmp_path / "batch.npy"), "--target", "2", "--method", "gradient"]
    assert main([*parts, "--out", str(tmp_path / "out"), "--class-names", str(tmp_path / "names.txt")]) == 0
    told = capsys.readouterr().out
    assert "(class 2 (cup))" in told
    assert "of class 2 (cup) " in told


def test_the_top_classes_are_those_of_the_models_output(model, tmp_path):
    many = keras.Sequential([keras.Input((5,)), keras.layers.Dense(12, activation="softmax")])
    result = ta.Attributor(many, class_names=[f"kind {i}" for i in range(12)]).attribute(X, method="gradient")
    output = many.predict(X, verbose=0)
    np.testing.assert_array_equal(result.top_classes, np.argsort(-output, 1)[:, :5])
    np.testing.assert_allclose(result.top_scores, -np.sort(-output, 1)[:, :5], rtol=1e-5)
    np.testing.assert_array_equal(result.top_classes[:, 0], result.predicted)
    first, second = result.top_classes[1, :2]
    assert f"top classes of example 1: {first} (kind {first}): {result.top_scores[1, 0]:.4g}, {second} (kind" in repr(result)
    assert ta.Attributor(model).attribute(X, method="gradient").top_classes.shape == (4, 3)
    assert ta.Attributor(lambda x: tf.reduce_sum(x, 1)).attribute(X, method="gradient").top_classes is None


def test_the_top_classes_of_a_broken_example_are_not_told(model):
    broken = X.copy()
    broken[1, 0] = np.nan
    result = ta.Attributor(model).attribute(broken, method="gradient", on_error="mark")
    assert result.top_classes[1].tolist() == [-1, -1, -1]
    assert np.isnan(result.top_scores[1]).all()
    assert "of example 0" in repr(result)
    assert "of example 1:" not in repr(result)
