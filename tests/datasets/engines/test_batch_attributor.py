"""`ta.BatchAttributor`: the numbers of `attribute`, in the columns of any engine; a bad row loses itself alone."""

import pickle
import threading

import keras
import numpy as np
import pandas
import pytest

import tf_attrib as ta
from tf_attrib.datasets.engines import batch_attributor
from tf_attrib.datasets.engines.loaded import MOST, PerProcess

from ...conftest import assert_refused

X = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
Y = np.arange(20) % 3
IDS = np.array([f"row {i}" for i in range(20)])
FAST = {"method": "gradient_times_input"}


@pytest.fixture(scope="module")
def path(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.keras"
    table.save(path)
    return path


@pytest.fixture
def reads(monkeypatch):
    """Counts how often a model is read, in a process that has read none."""
    monkeypatch.setattr(batch_attributor, "IN_PROCESS", PerProcess())
    count, make = [], ta.Attributor.__init__

    def counting(self, *args, **options):
        count.append(args)
        make(self, *args, **options)

    monkeypatch.setattr(ta.Attributor, "__init__", counting)
    return count


def objects(values):
    found = np.empty(len(values), object)
    for i, value in enumerate(values):
        found[i] = value
    return found


def test_columns_are_those_of_attribute(path, attributor):
    found = ta.BatchAttributor(path, ["x"], "y", target="label", keep=("attributions", "inputs"))({"name": IDS, "x": X, "y": Y})
    result = attributor.attribute(X, Y, seed=0, verbose=False)
    for name in ("attributions", "scores", "baseline_scores", "gap", "error_estimate", "target", "predicted", "status"):
        np.testing.assert_array_equal(found[name], getattr(result, name))
    np.testing.assert_array_equal(found["inputs"], X)
    assert found["name"].tolist() == IDS.tolist()
    assert found["y"].tolist() == Y.tolist()
    assert set(found["reason"]) == {""}


def test_every_setting_changes_what_comes(path):
    batch = {"x": X, "y": Y}
    base = ta.BatchAttributor(path, features=["x"], **FAST)(batch)
    assert base["attributions"].dtype == "float32"
    for change in (
        {"method": "gradient"},
        {"method": "integrated_gradients", "baselines": np.ones((1, 4))},
        {"target": 1},
        {"labels": "y", "target": "label"},
        {"of": "logits"},
        {"at": "hidden"},
        {"method": ta.SmoothGrad("gradient", n_samples=2), "seed": 3},
        {"reduce": "abs()"},
        {"dtype": "float16"},
    ):
        found = ta.BatchAttributor(path, **{"features": ["x"], **FAST} | change)(batch)["attributions"]
        assert found.dtype != "float32" or not np.array_equal(found, base["attributions"]), change
    of_seeds = [ta.BatchAttributor(path, method=ta.SmoothGrad("gradient"), seed=seed)({"x": X}) for seed in (0, 1)]
    assert not np.array_equal(*(one["attributions"] for one in of_seeds))


def test_columns_that_engines_give_are_taken(path, tmp_path, pair):
    expected = ta.BatchAttributor(path, **FAST)({"x": X})
    narrow = {name: X[:, i] for i, name in enumerate("abcd")}
    for batch in ({"x": X.tolist()}, {"x": objects(X)}, {"x": objects(X.tolist())}, narrow, pandas.DataFrame(narrow)):
        found = ta.BatchAttributor(path, **FAST)(batch)
        assert list(found) == list(expected)
        np.testing.assert_allclose(np.stack(found["attributions"]), expected["attributions"], rtol=1e-6)
    turned = ta.BatchAttributor(path, features=list("abcd"), **FAST)({name: narrow[name] for name in "dcba"})
    np.testing.assert_array_equal(turned["attributions"], expected["attributions"])
    any_order = ta.BatchAttributor(path, **FAST)
    for order in ("abcd", "dcba"):  # columns of a later batch may come in another
        given = any_order({name: narrow[name] for name in order})
        np.testing.assert_array_equal(given["attributions"], expected["attributions"])
    pair.save(tmp_path / "pair.keras")
    of_two = ta.BatchAttributor(tmp_path / "pair.keras", of="kind", **FAST)
    found = of_two({"right": X[:, :2], "left": X})
    result = ta.Attributor(pair, of=ta.probability("kind")).attribute({"left": X, "right": X[:, :2]}, **FAST)
    np.testing.assert_allclose(found["attributions/left"], result.attributions["left"], rtol=1e-6)
    np.testing.assert_allclose(found["attributions/right"], result.attributions["right"], rtol=1e-6)


def test_nested_lists_are_arrays_as_pandas_reads_them(cnn, images, tmp_path):
    cnn.save(tmp_path / "cnn.keras")
    pandas.DataFrame({"id": range(5), "image": images.tolist()}).to_parquet(tmp_path / "rows.parquet")
    frame = pandas.read_parquet(tmp_path / "rows.parquet")
    assert np.asarray(frame["image"][0]).dtype == object  # arrays of arrays
    found = ta.BatchAttributor(tmp_path / "cnn.keras", ["image"], **FAST)(frame)
    assert set(found["status"]) == {""}
    expected = ta.Attributor(cnn).attribute(images, **FAST).attributions
    np.testing.assert_allclose(np.array(found["attributions"].tolist()), expected, rtol=1e-5, atol=1e-7)


def test_it_is_sent_as_a_path_and_the_model_is_read_once_in_a_process(path, reads):
    made = ta.BatchAttributor(path, ["x"], **FAST)
    sent = pickle.dumps(made)
    assert not reads
    assert len(sent) < 5_000
    first = made({"id": np.arange(20), "x": X})
    copies = [pickle.loads(pickle.dumps(made)), pickle.loads(sent), ta.BatchAttributor(str(path), ["x"], **FAST)]
    for copy in copies:
        np.testing.assert_array_equal(copy({"id": np.arange(20), "x": X})["attributions"], first["attributions"])
    assert len(reads) == 1
    ta.BatchAttributor(path, target=1, **FAST)({"x": X})
    assert len(reads) == 2


def test_a_model_that_is_written_anew_is_read_anew(table, tmp_path, reads):
    path = tmp_path / "model.keras"
    table.save(path)
    before = ta.BatchAttributor(path, **FAST)({"x": X})
    other = keras.models.clone_model(table)
    other.save(path)
    after = ta.BatchAttributor(path, **FAST)({"x": X})
    assert len(reads) == 2
    np.testing.assert_allclose(after["attributions"], ta.Attributor(other).attribute(X, **FAST).attributions, rtol=1e-6)
    assert not np.allclose(before["attributions"], after["attributions"])


def test_threads_share_one_model(path, reads):
    expected = ta.Attributor(path).attribute(X, verbose=False).attributions
    reads.clear()
    found, attribute = {}, ta.BatchAttributor(path)

    def work(number):
        copy = pickle.loads(pickle.dumps(attribute))
        found[number] = [copy({"x": X})["attributions"] for _ in range(3)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) == 1
    assert len(found) == 4
    for results in found.values():
        for result in results:
            np.testing.assert_array_equal(result, expected)


def test_a_process_keeps_few_models():
    kept = PerProcess()
    for key in "abac":
        kept(key, object)
    assert list(kept._found) == ["a", "c"]
    assert len(kept._found) == MOST


def test_a_bad_row_loses_itself_and_nothing_else(path):
    rows = [x.copy() for x in X]
    rows[3][1], rows[5], rows[8], rows[11] = np.nan, None, X[8, :3], [[1, 2], [3]]
    rows[14] = np.array(["a", "b", "c", "d"])
    found = ta.BatchAttributor(path, ["x"], **FAST)({"id": IDS, "x": objects(rows)})
    bad = {3: "not_finite", 5: "bad_input", 8: "bad_input", 11: "bad_input", 14: "bad_input"}
    assert {i: status for i, status in enumerate(found["status"]) if status} == bad
    assert {i for i, reason in enumerate(found["reason"]) if reason} == set(bad)
    assert "NaN" in found["reason"][3]
    assert "'x' is missing" in found["reason"][5]
    assert "4" in found["reason"][8]
    good = np.setdiff1d(np.arange(20), list(bad))
    clean = ta.BatchAttributor(path, **FAST)({"x": X[good]})
    np.testing.assert_allclose(found["attributions"][good], clean["attributions"], rtol=1e-5, atol=1e-8)
    assert found["attributions"].shape == (20, 4)
    assert np.isnan(found["attributions"][list(bad)]).all()
    assert found["target"][list(bad)].tolist() == [-1] * 5
    assert found["id"].tolist() == IDS.tolist()


@pytest.mark.parametrize("bad", ["x", b"x", 1j])
@pytest.mark.parametrize("of", [list, lambda values: pandas.Series(values, dtype=object)])
def test_a_text_among_numbers_loses_itself_alone(bad, of, path):
    """In a list NumPy makes a text of every number beside one."""
    names = ["a", "b", "c", "d"]
    columns = {name: of([*X[:3, i]]) for i, name in enumerate(names)} | {"b": of([X[0, 1], bad, X[2, 1]])}
    found = ta.BatchAttributor(path, names, **FAST)(columns)
    assert [bool(status) for status in found["reason"]] == [False, True, False]
    assert found["status"][1] == "bad_input"
    assert np.isfinite(found["attributions"][[0, 2]]).all()


@pytest.mark.parametrize("first", [[np.nan] * 4, [1.0, 2.0, 3.0], None])
def test_a_bad_row_that_comes_first_and_alone_has_the_columns_of_others(first, path, reads):
    attribute = ta.BatchAttributor(path, **FAST)
    alone, others = attribute({"x": objects([first])}), attribute({"x": X})
    assert {name: (values.dtype.kind, values.shape[1:]) for name, values in alone.items()} == {
        name: (values.dtype.kind, values.shape[1:]) for name, values in others.items()
    }
    assert np.isnan(alone["attributions"]).all()
    assert alone["reason"][0]


def open_ended():
    """A net that takes sequences of any length, such as say nothing of what zeros would be."""
    inputs = keras.Input((None, 2))
    pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.Dense(3, activation="tanh")(inputs))
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(pooled))


def test_rows_of_different_shapes_keep_theirs(tmp_path, reads):
    model = open_ended()
    model.save(tmp_path / "model.keras")
    attribute = ta.BatchAttributor(tmp_path / "model.keras", **FAST)
    assert attribute({"x": [[[1.0, 2.0, 3.0]]]})["status"].tolist() == ["bad_input"]  # nothing is known yet
    rows = [np.ones((length, 2), "float32") * length for length in (2, 5, 2, 3)]
    found = attribute({"x": objects(rows)})
    for row, attributions in zip(rows, found["attributions"], strict=True):
        expected = ta.Attributor(model).attribute(row[None], **FAST).attributions[0]
        np.testing.assert_allclose(attributions, expected, rtol=1e-5, atol=1e-7)
    fresh = ta.BatchAttributor(tmp_path / "model.keras", method="gradient")
    assert_refused(lambda: fresh({"x": np.ones((9, 4, 3))}), "none of the first 9 rows")


def test_settings_that_are_wrong_for_every_row_are_raised(path, attributor, reads):
    batch = {"x": X, "y": Y}
    for wrong, words in (
        ({"target": 7}, "7"),
        ({"at": "no_such_layer"}, "no_such_layer"),
        ({"reduce": "sum(3)"}, "sum(3)"),
        ({"baselines": np.zeros((20, 5))}, "baseline"),
        ({"labels": "name"}, "'name'"),
        ({"features": ["z"]}, "'z'"),
    ):
        options = {"features": ["x"], **FAST} | ({"method": "integrated_gradients"} if "baselines" in wrong else {}) | wrong
        assert_refused(lambda options=options: ta.BatchAttributor(path, **options)(batch), words)
    for wrong, words in (
        ({"target": Y}, "labels="),
        ({"target": "label"}, "labels='y'"),
        ({"target": ta.each_position()}, "attribute_dataset"),
        ({"on_error": "skip"}, "'mark'"),
        ({"method": "magic"}, "magic"),
        ({"seed": -1}, "seed"),
        ({"keep": "inputs"}, "keep"),
        ({"features": "x"}, "['x']"),
    ):
        assert_refused(lambda wrong=wrong: ta.BatchAttributor(path, **wrong), words)
    assert_refused(lambda: ta.BatchAttributor(attributor.model), "model.save('model.keras')")
    assert_refused(lambda: ta.BatchAttributor(attributor).of_model(path), "in memory")
    assert_refused(lambda: ta.BatchAttributor(path)({"x": X, "y": Y}), "'x'", "features=[...]")
    assert_refused(lambda: ta.BatchAttributor(path)(X), "dict of arrays", "ndarray")
    assert_refused(lambda: ta.BatchAttributor(path)({"x": X, "y": Y[:3]}), "(20, 4)", "(3,)")
    assert_refused(lambda: ta.BatchAttributor(path, [])({"x": X}), "no column of inputs", "'x'")
    taken = {"x": X, "scores": Y}
    assert_refused(lambda: ta.BatchAttributor(path, ["x"])(taken), "'scores'", "rename it")
    spoiled = X.copy()
    spoiled[4] = np.nan
    assert_refused(lambda: ta.BatchAttributor(path, on_error="raise")({"x": spoiled}), "example(s) 4")
    assert_refused(lambda: ta.BatchAttributor(path, on_error="raise")({"x": objects([X[0], None])}), "cannot be read")


def test_an_attributor_of_a_path_keeps_its_settings(path):
    found = ta.BatchAttributor(ta.Attributor(path, of="logits", preprocess=doubled), **FAST)({"x": X})
    expected = ta.Attributor(path, of="logits", preprocess=doubled).attribute(X, **FAST)
    np.testing.assert_array_equal(found["attributions"], expected.attributions)


def doubled(x):
    return 2 * x


def test_single_elements_are_rows(path):
    attribute = ta.BatchAttributor(path, ["x"], **FAST)
    elements = [{"id": i, "x": x} for i, x in enumerate(X)]
    elements[2], elements[5], elements[6] = {"id": 2}, None, {"id": 6, "x": X[6], "other": 1}
    found = attribute.of_elements(elements)
    columns = attribute({"id": np.arange(20), "x": X})
    assert [one["id"] for one in found] == [None if i == 5 else i for i in range(20)]
    assert type(found[0]["scores"]) is float
    assert type(found[0]["status"]) is str
    assert [i for i, one in enumerate(found) if one["status"] == "bad_input"] == [2, 5]
    assert "other" not in found[6]
    np.testing.assert_allclose(found[19]["attributions"], columns["attributions"][19], rtol=1e-5, atol=1e-6)
    for features in (None, ["x"]):
        plain = ta.BatchAttributor(path, features, **FAST).of_elements(list(X))
        # threads that are busy elsewhere sum in another order
        np.testing.assert_allclose(plain[4]["attributions"], columns["attributions"][4], rtol=1e-5, atol=1e-6)


def test_spark_is_told_the_types_of_what_comes(path):
    attribute = ta.BatchAttributor(path, ["x"], **FAST)
    frame = pandas.DataFrame({"id": IDS, "x": list(X)})
    found = attribute(frame)
    schema = dict(part.strip("`").split("` ") for part in attribute.spark_schema(frame[:2]).split(", "))
    assert list(schema) == list(found.columns)
    assert (schema["id"], schema["attributions"], schema["target"]) == ("string", "array<float>", "int")
    assert (schema["scores"], schema["reason"]) == ("double" if found["scores"].dtype == "f8" else "float", "string")
    half = ta.BatchAttributor(path, dtype="float16", **FAST)
    assert_refused(lambda: half.spark_schema({"x": X}), "float16", "dtype='float32'")


def test_the_same_of_another_path(path, table, tmp_path):
    other = keras.models.clone_model(table)
    other.save(tmp_path / "other.keras")
    attribute = ta.BatchAttributor(path, target=1, **FAST)
    before = attribute({"x": X})["attributions"]
    expected = ta.Attributor(other).attribute(X, 1, **FAST).attributions
    np.testing.assert_allclose(attribute.of_model(tmp_path / "other.keras")({"x": X})["attributions"], expected, rtol=1e-6)
    np.testing.assert_array_equal(attribute({"x": X})["attributions"], before)
