"""An `Attributor` made from a path goes to other processes as path and settings; one of a model in memory says what to do."""

import copy
import pickle

import numpy as np
import pytest

import tf_attrib as ta

from ..conftest import assert_refused

X = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")


def doubled(x):
    return 2 * x


@pytest.fixture(scope="module")
def files(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    table.save(folder / "model.keras")
    table.export(folder / "export", verbose=False)
    return folder


def pickled(one):
    return pickle.loads(pickle.dumps(one))


@pytest.mark.parametrize(
    ("name", "copied"),
    [("model.keras", pickled), ("export", copy.deepcopy)]
    + [pytest.param(*case, marks=pytest.mark.slow) for case in (("export", pickled), ("model.keras", copy.deepcopy))],
)
def test_one_of_a_path_is_the_same_elsewhere(name, copied, files, monkeypatch):
    monkeypatch.chdir(files)
    settings = {"jit_compile": True, "preprocess": doubled, "memory": 2**20, "eager": False, "class_names": ["a", "b", "c"]}
    settings = {} if name == "export" else settings
    made = ta.Attributor(name, of="logits", batch_size=7, **settings)
    expected = made.attribute(X, method="gradient", verbose=False)
    monkeypatch.chdir(files.parent)  # the path was of another folder
    found = copied(made)
    result = found.attribute(X, method="gradient", verbose=False)
    np.testing.assert_array_equal(result.attributions, expected.attributions)
    assert (result.of, result.class_names) == (expected.of, expected.class_names)
    for setting in ("batch_size", "jit_compile", "preprocess", "memory", "eager"):
        assert getattr(found, setting) == getattr(made, setting)
    elsewhere = copied(made.explaining("probability"))
    assert elsewhere.attribute(X, method="gradient", verbose=False).unit == "probability"


def test_one_of_a_signature_keeps_it(files):
    made = ta.Attributor(files / "export", signature="serve")
    assert pickle.loads(pickle.dumps(made))._opened == {"signature": "serve", "allow_unsafe": False}


def test_one_of_a_model_in_memory_says_what_to_do(attributor):
    for call in (lambda: pickle.dumps(attributor), lambda: copy.deepcopy(attributor)):
        assert_refused(call, "model.save('model.keras')", "ta.Attributor('model.keras')")
    other = copy.copy(attributor)  # a shallow one shares the model
    np.testing.assert_array_equal(other.attribute(X).attributions, attributor.attribute(X).attributions)
