"""`ta.BatchAttributor`: columns to columns, pickled as path and settings, as an engine uses it."""

import pickle

import numpy as np
import pandas
import pytest

import tf_attrib as ta
from tf_attrib.datasets.engines import batch_attributor
from tf_attrib.datasets.engines.loaded import PerProcess

from ...conftest import assert_refused

X = np.random.default_rng(0).normal(size=(9, 4)).astype("float32")
COLUMNS = {name: X[:, place] for place, name in enumerate("abcd")} | {
    "name": np.array(list("rstuvwxyz")),
    "y": np.arange(9) % 3,
}
FAST = {"features": list("abcd"), "method": "gradient_times_input"}


@pytest.fixture(scope="module")
def path(table, tmp_path_factory):
    file = tmp_path_factory.mktemp("model") / "model.keras"
    table.save(file)
    return file


@pytest.fixture(scope="module")
def expected(attributor):
    return attributor.attribute(X, method="gradient_times_input")


def test_columns_become_columns(path, expected):
    found = ta.BatchAttributor(path, **FAST)(COLUMNS)
    np.testing.assert_allclose(found["attributions"], expected.attributions, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found["scores"], expected.scores, rtol=1e-5)
    assert found["name"].tolist() == COLUMNS["name"].tolist()
    assert found["y"].tolist() == COLUMNS["y"].tolist()
    assert set(found["status"]) == {""}
    assert set(found["reason"]) == {""}
    assert "a" not in found


def test_it_goes_to_another_process_and_reads_the_model_once(path, expected, monkeypatch):
    monkeypatch.setattr(batch_attributor, "IN_PROCESS", PerProcess())
    made = ta.BatchAttributor(path, **FAST)
    made(COLUMNS)
    again = pickle.loads(pickle.dumps(made))
    np.testing.assert_allclose(again(COLUMNS)["attributions"], expected.attributions, rtol=1e-5, atol=1e-7)
    assert again._loaded is made._loaded
    other = ta.BatchAttributor(path, of="logits", **FAST)
    assert not np.allclose(other(COLUMNS)["scores"], expected.scores)
    assert other._loaded is not made._loaded


def test_frames_become_frames_with_lists_in_cells(path, expected):
    frame = pandas.DataFrame({name: values for name, values in COLUMNS.items() if name in ("name", "y")}).assign(x=list(X))
    found = ta.BatchAttributor(path, ["x"], "y", method="gradient_times_input", keep=("attributions", "inputs"))(frame)
    assert isinstance(found, pandas.DataFrame)
    np.testing.assert_allclose(np.stack(found["attributions"]), expected.attributions, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(np.stack(found["inputs"]), X)
    assert isinstance(found["attributions"][0], list)
    assert found["name"].tolist() == COLUMNS["name"].tolist()


def test_labels_are_targets_and_bad_rows_lose_themselves_alone(path, attributor):
    spoiled = {name: values.copy() for name, values in COLUMNS.items()}
    spoiled["b"][4] = np.nan
    found = ta.BatchAttributor(path, labels="y", target="label", **FAST)(spoiled)
    good = np.delete(np.arange(9), 4)
    one = attributor.attribute(X[good], COLUMNS["y"][good], method="gradient_times_input")
    np.testing.assert_allclose(found["attributions"][good], one.attributions, rtol=1e-5, atol=1e-7)
    assert found["target"][good].tolist() == COLUMNS["y"][good].tolist()
    assert found["status"][4] == "not_finite"
    assert "NaN" in found["reason"][4]


def test_a_batch_of_which_nothing_is_good_has_the_same_columns(path):
    good = ta.BatchAttributor(path, **FAST)(COLUMNS)
    bad = ta.BatchAttributor(path, **FAST)(COLUMNS | {"a": np.full(9, np.inf)})
    assert {name: values.dtype.kind for name, values in bad.items()} == {
        name: values.dtype.kind for name, values in good.items()
    }
    assert bad["attributions"].shape == (9, 4)
    assert np.isnan(bad["attributions"]).all()
    assert set(bad["status"]) == {"not_finite"}


def test_what_is_wrong_is_said(path, attributor):
    assert_refused(lambda: ta.BatchAttributor(path, ["a", "q"])(COLUMNS), "'q'", "'a'")
    assert_refused(lambda: ta.BatchAttributor(path, "a"), "list", "'a'")
    assert_refused(lambda: ta.BatchAttributor(path, target="label"), "labels=")
    assert_refused(lambda: ta.BatchAttributor(path, target=9, **FAST)(COLUMNS), "9")
    assert_refused(lambda: ta.BatchAttributor(path, on_error="skip"), "'mark'")
    ta.BatchAttributor(attributor, **FAST)(COLUMNS)
    assert_refused(lambda: pickle.dumps(ta.BatchAttributor(attributor, **FAST)), "model.save(")
