"""Methods that need no gradient, on inputs of any type: text, ids, booleans, and several of these beside floats."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ..conftest import assert_refused
from ..helpers.bins import one_hot_bins
from ..helpers.shared import attributor_for
from ..helpers.small_text import make_pooled_text

CITIES = ["ulm", "bonn", "köln"]
X = {
    "age": np.array([[25.0], [45.0], [61.0]], "float32"),
    "city": np.array([["ulm"], ["köln"], ["elsewhere"]]),
    "grade": np.array([[3], [1], [2]], "int32"),
    "income": np.array([[3.0], [-1.0], [0.5]], "float32"),
}
BASE = {"age": 55.0, "city": "bonn", "grade": 1, "income": 0.25}
GIVEN = {name: ta.constant(value) for name, value in BASE.items()}


@pytest.fixture(scope="module")
def model():
    """A table as people encode one: bins, looked up text, whole numbers as categories, and a number."""
    keras.utils.set_random_seed(3)
    kinds = {"age": "float32", "city": "string", "grade": "int32", "income": "float32"}
    given = {name: keras.Input((1,), name=name, dtype=kind) for name, kind in kinds.items()}
    parts = [
        one_hot_bins([30.0, 40.0, 50.0])(given["age"]),
        layers.StringLookup(vocabulary=CITIES, output_mode="one_hot")(given["city"]),
        layers.CategoryEncoding(num_tokens=4, output_mode="one_hot")(given["grade"]),
        given["income"],
    ]
    hidden = layers.Dense(8, activation="tanh")(layers.Concatenate()(parts))
    return keras.Model(given, layers.Dense(3, activation="softmax")(hidden))


def scores(model, x, target):
    found = model({key: tf.constant(value) for key, value in x.items()})
    return np.asarray(found)[:, target].astype(float)


def without(names):
    """The inputs with these replaced by the baseline."""
    return {key: np.full_like(value, BASE[key], dtype=object if key == "city" else None) if key in names else value
            for key, value in X.items()}  # fmt: skip


METHODS = {"ablation": ta.Ablation(), "occlusion": ta.Occlusion(), "wide": ta.Occlusion(window=3)}


@pytest.mark.parametrize(
    ("method", "at"),
    [("ablation", None), ("occlusion", "inputs"), ("wide", None)]
    + [
        pytest.param(*case, marks=pytest.mark.slow)
        for case in (("ablation", "inputs"), ("occlusion", None), ("wide", "inputs"))
    ],
)
def test_a_table_of_all_types_by_hand(model, method, at):
    result = attributor_for(model, at=at).attribute(X, 1, GIVEN, METHODS[method])
    assert list(result.attributions) == list(X)
    assert not result.left_out
    whole = scores(model, X, 1)
    np.testing.assert_allclose(result.scores, whole, atol=1e-6)
    np.testing.assert_allclose(result.baseline_scores, scores(model, without(X), 1), atol=1e-6)
    for name in X:
        lost = whole - scores(model, without([name]), 1)
        np.testing.assert_allclose(result.attributions[name][:, 0], lost, atol=1e-6)
    assert max(np.abs(leaf).max() for leaf in result.attributions.values()) > 0.01


def test_groups_over_columns_of_several_types(model):
    groups = {"age": np.array([0]), "city": np.array([1]), "grade": np.array([1]), "income": np.array([0])}
    result = attributor_for(model).attribute(X, 1, GIVEN, ta.Ablation(groups))
    for names in (("age", "income"), ("city", "grade")):
        lost = scores(model, X, 1) - scores(model, without(names), 1)
        for name in names:
            np.testing.assert_allclose(result.attributions[name][:, 0], lost, atol=1e-6)


@pytest.mark.parametrize("ending", ["export", ".keras"])
def test_files_give_what_the_model_gives(model, tmp_path, ending):
    path = tmp_path / f"table{'' if ending == 'export' else ending}"
    model.export(path, verbose=False) if ending == "export" else model.save(path)
    expected = attributor_for(model).attribute(X, 2, GIVEN, "ablation").attributions
    found = ta.Attributor(path).attribute(X, 2, GIVEN, "ablation").attributions
    for name in X:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-6)
    assert np.abs(expected["city"]).max() > 0.01


def test_one_input_by_name_leaves_the_others_as_they_are(model):
    result = ta.Attributor(model, at=ta.inputs("city")).attribute(X, 1, ta.constant("bonn"), "ablation")
    assert result.attributions.shape == (3, 1)
    np.testing.assert_allclose(result.attributions[:, 0], scores(model, X, 1) - scores(model, without(["city"]), 1), atol=1e-6)


def test_the_default_baseline_is_nothing_of_each_type_and_says_so(model):
    result = attributor_for(model).attribute(X, 1, method="ablation")
    nothing = {"age": np.zeros((3, 1), "float32"), "city": np.full((3, 1), "", object), "grade": np.zeros((3, 1), "int32"),
               "income": np.zeros((3, 1), "float32")}  # fmt: skip
    np.testing.assert_allclose(result.baseline_scores, scores(model, nothing, 1), atol=1e-6)
    assert "'' for text" in result.baseline
    assert "0 for ids" in result.baseline


def test_a_text_longer_than_the_examples_is_not_cut_off():
    lengths = ta.Attributor(lambda s: tf.cast(tf.reduce_sum(tf.strings.length(s, "UTF8_CHAR"), 1), tf.float32))
    words = np.array([["ä", "bb"]])
    found = lengths.attribute(words, baselines=ta.constant("[MASKÖ]"), method="ablation")
    assert found.attributions.tolist() == [[1 - 7, 2 - 7]]
    assert found.tokens.tolist() == [["ä", "bb"]]
    assert found.baseline_scores.tolist() == [14]
    as_bytes = np.array([["ä".encode(), b"bb"]], object)
    assert lengths.attribute(as_bytes, baselines=ta.constant("[MASKÖ]"), method="ablation").attributions.tolist() == [[-6, -5]]


@pytest.mark.parametrize("method", ["ablation", "occlusion"])
def test_booleans_and_examples_without_axes(method):
    chosen = ta.Attributor(lambda x: tf.where(x[:, 0] & ~x[:, 1], 3.0, 1.0))
    flags = np.array([[True, False], [True, True]])
    assert chosen.attribute(flags, method=method).attributions.tolist() == [[2, 0], [0, -2]]
    single = ta.Attributor(lambda x: tf.where(x == "yes", 2.0, 0.5))
    assert single.attribute(np.array(["yes", "no"]), method=method).attributions.tolist() == [1.5, 0]


def test_ids_as_they_are_and_at_their_embeddings(ids):
    model = make_pooled_text()
    raw = ta.Attributor(model, at="inputs").attribute(ids, 1, ta.constant(7), "ablation")
    assert raw.attributions.shape == ids.shape
    for place in range(3):
        other = ids.copy()
        other[:, place] = 7
        lost = np.asarray(model(ids))[:, 0] - np.asarray(model(other))[:, 0]
        np.testing.assert_allclose(raw.attributions[:, place], lost, atol=1e-6)
    # without a word of where, words are still taken away by the zero vector of their embedding
    assert attributor_for(model).attribute(ids, 1, method="ablation").attributions.ndim == 3


def test_typical_is_the_median_and_what_is_most_frequent(model):
    samples = {
        "age": np.array([[20.0], [60.0], [55.0]]),
        "city": np.array([["bonn"], ["ulm"], ["bonn"]]),
        "grade": np.array([[1], [1], [3]]),
        "income": np.array([[9.0], [0.25], [0.0]]),
    }
    found = attributor_for(model).attribute(X, 1, ta.typical(samples), "ablation")
    np.testing.assert_allclose(found.baseline_scores, scores(model, without(X), 1), atol=1e-6)


def test_typical_ids_that_are_stored_as_floats_are_those_of_some_sample():
    table = np.float32([0, 1, 10, 100, 1000, 0, 0, 0, 0, 0])
    score = lambda x: tf.gather(table, tf.cast(x[:, 0], tf.int32)) + x[:, 1]  # noqa: E731
    samples = np.float32([[4, 0.5], [1, 1.0], [4, 2.0], [1, 4.0]])
    x = np.float32([[3, 1.0]])
    found = ta.Attributor(score).attribute(x, baselines=ta.typical(samples), method="ablation")
    np.testing.assert_allclose(found.baseline_scores[0], [1 + 1.5])  # not of id 2
    often = ta.typical(np.array([[4, 0], [4, 0], [1, 0], [4, 0]]))
    np.testing.assert_allclose(ta.Attributor(score).attribute(x, baselines=often, method="ablation").baseline_scores[0], [1000])


def test_several_baselines_of_text_are_averaged(model):
    several = ta.dataset({"age": [[55.0], [20.0]], "city": [["bonn"], ["ulm"]], "grade": [[1], [2]], "income": [[0.25], [1.0]]})
    found = attributor_for(model).attribute(X, 1, several, "ablation").attributions["city"][:, 0]
    whole = scores(model, X, 1)
    each = [scores(model, X | {"city": np.full((3, 1), city, object)}, 1) for city in ("bonn", "ulm")]
    np.testing.assert_allclose(found, whole - np.mean(each, 0), atol=1e-6)


def test_results_of_text_are_kept(model, tmp_path):
    found = attributor_for(model).attribute(X, 1, GIVEN, "ablation")
    again = ta.load(found.save(tmp_path / "kept"))
    np.testing.assert_array_equal(again.attributions["city"], found.attributions["city"])
    assert again.inputs["city"].tolist() == X["city"].tolist()


@pytest.mark.parametrize(
    ("at", "baselines", "method", "words"),
    [
        ("inputs", None, "gradient", ["'city' is string", "no gradient", "method='occlusion'"]),
        (None, ta.constant(3.0), "ablation", ["the tensor is text", "by key"]),
        (None, ta.constant("bonn"), "ablation", ["is text", "by key"]),
        (None, {"grade": ta.constant(1.5)}, "ablation", ["1.5", "int32"]),
        (None, ta.uniform(2, 0.0, 1.0), "ablation", ["ta.uniform", "text", "ta.typical"]),
        (None, None, ta.Occlusion(window=(1, 2)), ["(1, 2)", "2 axes", "one whole number"]),
    ],
)
def test_what_does_not_fit_is_refused(model, at, baselines, method, words):
    assert_refused(lambda: attributor_for(model, at=at).attribute(X, 1, baselines, method), *words)
