"""A result as plain Python, and as pandas, xarray and shap have it: the same numbers, names and values."""

import dataclasses
import json

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tf_attrib.result.columns import columns
from tf_attrib.result.conversions import NOT_ATTRIBUTED
from tf_attrib.result.reductions import with_numbers

from ..conftest import assert_refused, make_recurrent_text, spread
from ..helpers.bins import one_hot_bins

FRAME = pd.DataFrame({"age": [25.0, 45.0, 35.0], "city": ["a", "c", "b"], "rooms": [3, 1, 4]})
WIDE = pd.DataFrame(np.random.default_rng(0).normal(size=(6, 3)), columns=["height", "width", "depth"])


@pytest.fixture(scope="module")
def encoded():
    """A bin, a word and a number, attributed at what they become."""
    age, rooms = (keras.Input((1,), name=name) for name in ("age", "rooms"))
    city = keras.Input((1,), dtype="string", name="city")
    parts = [
        one_hot_bins([30.0, 40.0])(age),
        layers.StringLookup(vocabulary=["a", "b", "c"], output_mode="one_hot")(city),
        rooms,
    ]
    hidden = layers.Dense(4, "tanh", kernel_initializer=spread())(layers.Concatenate()(parts))
    model = keras.Model({"age": age, "city": city, "rooms": rooms}, layers.Dense(1, kernel_initializer=spread())(hidden))
    return ta.Attributor(model).attribute(FRAME, baselines=ta.at_input(FRAME.iloc[[2]]), verbose=False)


@pytest.fixture(scope="module")
def wide():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4, "tanh", kernel_initializer=spread()), layers.Dense(2)])
    return ta.Attributor(model).attribute(WIDE, target=1, baselines=ta.dataset(WIDE), verbose=False)


# columns


def test_columns_hold_sums_names_and_values(encoded):
    found = columns(encoded)
    assert set(found.names) == {"age", "city", "rooms"}
    for name, total in encoded.by_column.items():
        np.testing.assert_allclose(found.attributions[:, found.names.index(name)], total, rtol=1e-6)
    values = {name: found.values[:, place].tolist() for place, name in enumerate(found.names)}
    assert values == {"age": [25.0, 45.0, 35.0], "city": ["a", "c", "b"], "rooms": [3, 1, 4]}
    assert np.isnan(found.numbers[:, found.names.index("city")]).all()
    each = columns(encoded, categories=True)
    assert {"city=a", "age=below 30", "rooms"} < set(each.names)
    np.testing.assert_allclose(each.attributions.sum(1), encoded.totals, rtol=1e-6)


def test_columns_of_arrays_are_named_by_their_places():
    x = {"image": np.ones((2, 2, 2), "float32"), "age": np.ones((2, 1), "float32")}
    ports = {"image": keras.Input((2, 2), name="image"), "age": keras.Input((1,), name="age")}
    flat = layers.Concatenate()([layers.Flatten()(ports["image"]), ports["age"]])
    found = columns(ta.Attributor(keras.Model(ports, layers.Dense(1)(flat))).attribute(x, verbose=False))
    assert found.names == ("image[0, 0]", "image[0, 1]", "image[1, 0]", "image[1, 1]", "age")
    assert found.values.tolist() == [[1.0] * 5] * 2


def test_no_column_takes_the_name_of_another():
    """A column without a name is called by its place; "0" stood for both, and the attribution of one was lost."""
    result = ta.Attribution(np.array([[1.0, 2, 4]]), np.ones(1), feature_names={"": ("", "0", "c")}, place="inputs")
    found = columns(result)
    assert found.names == ("0", "0 (at 1)", "c")
    assert found.attributions.tolist() == [[1, 2, 4]]


def test_an_input_that_is_called_as_a_place_of_another_is_a_column_of_its_own():
    score = lambda given: tf.reduce_sum(given["a"] * [1.0, 10.0], 1) + 100 * given["a[1]"][:, 0]  # noqa: E731
    x = {"a": np.ones((2, 2), "float32"), "a[1]": np.full((2, 1), 2, "float32")}
    table = ta.Attributor(score).attribute(x, method="gradient_times_input", verbose=False).to_dataframe()
    assert table.iloc[0].to_dict() == {"a": 1.0, "a[1]": 10.0, "a[1] (of 'a[1]')": 200.0}


def test_a_column_that_is_called_as_another_input():
    score = lambda given: tf.reduce_sum(given["table"] * [1.0, 10.0], 1) + 100 * given["x"][:, 0]  # noqa: E731
    inputs = {"table": pd.DataFrame({"x": [1.0], "y": [1.0]}).astype("float32"), "x": np.ones((1, 1), "float32")}
    result = ta.Attributor(score).attribute(inputs, method="gradient_times_input", verbose=False)
    expected = {"table[x]": 1.0, "y": 10.0, "x": 100.0}
    assert {name: part.item() for name, part in result.by_column.items()} == expected
    assert result.to_dataframe().iloc[0].to_dict() == expected


def test_columns_that_were_crossed_have_the_values_of_both():
    sizes = {name: keras.Input((1,), dtype="string", name=name) for name in ("city", "kind")}
    crossed = layers.HashedCrossing(5, output_mode="one_hot")((sizes["city"], sizes["kind"]))
    attributor = ta.Attributor(keras.Model(sizes, layers.Dense(1)(crossed)))
    found = columns(attributor.attribute({"city": np.array([["a"], ["b"]]), "kind": np.array([["x"], ["y"]])}, verbose=False))
    assert found.names == ("city × kind",)
    assert found.values.tolist() == [["a × x"], ["b × y"]]


# plain Python


@pytest.mark.parametrize("name", ["encoded", "wide"])
def test_a_dict_is_json(name, request):
    result = request.getfixturevalue(name)
    found = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    for key, leaf in (result.attributions if name == "encoded" else {None: result.attributions}).items():
        np.testing.assert_allclose(found["attributions"] if key is None else found["attributions"][key], leaf, rtol=1e-6)
    np.testing.assert_allclose(found["baseline_scores"], result.baseline_scores)
    assert found["status"] == result.status.tolist()
    assert found["feature_names"] == {key: list(names) for key, names in result.feature_names.items()}
    assert found["positive"] is None


def test_what_is_not_finite_is_none(wide):
    bad = WIDE.copy()
    bad.iloc[1, 2] = np.nan
    found = ta.Attributor(keras.Sequential([keras.Input((3,)), layers.Dense(1)])).attribute(bad, on_error="mark", verbose=False)
    assert found.to_dict()["attributions"][1] == [None] * 3
    assert found.to_dict()["inputs"][1][2] is None


# pandas


def test_a_frame_in_and_a_frame_out(encoded, wide):
    found = wide.to_dataframe()
    assert list(found.columns) == list(WIDE.columns)
    np.testing.assert_allclose(found, wide.attributions, rtol=1e-6)
    np.testing.assert_allclose(encoded.to_dataframe().sum(axis=1), encoded.totals, rtol=1e-6)
    long = encoded.to_dataframe(long=True)
    assert list(long.columns) == ["example", "feature", "value", "attribution"]
    row = long[(long.example == 1) & (long.feature == "city")]
    assert row.value.tolist() == ["c"]
    np.testing.assert_allclose(row.attribution, encoded.by_column["city"][1:2], rtol=1e-6)
    assert "city=c" in encoded.to_dataframe(categories=True)
    assert_refused(
        lambda: (
            ta.Attributor(lambda x: x[:, 0] ** 2)
            .attribute(np.ones((1, 2), "float32"), method="interior_gradients", verbose=False)
            .to_dataframe()
        ),
        "result.sum(1)",
    )


# xarray


def test_an_xarray_dataset_has_names(encoded, wide):
    xarray = pytest.importorskip("xarray", reason="xarray is not installed: pip install 'tf_attrib[xarray]'")
    found = wide.to_xarray()
    assert isinstance(found, xarray.Dataset)
    np.testing.assert_array_equal(found.attributions.sel(feature="width"), wide.attributions[:, 1])
    np.testing.assert_array_equal(found.inputs.sel(feature="width"), wide.inputs[:, 1])
    assert found.baseline_scores.dims == ("example", "baseline")
    assert found.scores.dims == ("example",)
    assert found.attrs["method"] == wide.method
    several = encoded.to_xarray()
    place = several["attributions:city"].coords["city:axis_2" if "city:axis_2" in several.coords else "city:feature"]
    assert {"a", "b", "c"} <= set(place.values.tolist())
    assert several["inputs:city"].values.ravel().tolist() == ["a", "c", "b"]
    steps = ta.Attributor(lambda x: x[:, 0] ** 2).attribute(
        np.ones((2, 3), "float32"), method=ta.InteriorGradients(n_steps=4), verbose=False
    )
    assert steps.to_xarray().attributions.dims == ("example", "step", "feature")
    assert steps.to_xarray().inputs.dims[:1] == ("example",)
    assert steps.to_xarray().alphas.dims == ("example", "step")
    flat = lambda x: tf.nn.softmax(tf.reshape(x, [-1, 8])[:, :4])  # noqa: E731
    tiled = ta.Attributor(flat).attribute(np.ones((2, 2, 4, 1), "float32"), 0, method=ta.Ablation(ta.tiles((2, 4), 2)))
    assert tiled.to_xarray().regions.dims == ("example", "axis_1", "axis_2")
    assert tiled.to_xarray().top_classes.dims == tiled.to_xarray().top_scores.dims == ("example", "rank")


# standard errors


def test_standard_errors_go_along(wide):
    error = np.full(wide.attributions.shape, 0.25)
    result = ta.Attribution(
        **{field.name: getattr(wide, field.name) for field in dataclasses.fields(wide)} | {"standard_error": error}
    )
    assert result.to_dict()["standard_error"] == error.tolist()
    assert result.to_dataframe(long=True).standard_error.tolist() == [0.25] * error.size
    assert "standard_error" not in wide.to_dataframe(long=True)
    pytest.importorskip("xarray", reason="xarray is not installed: pip install 'tf_attrib[xarray]'")
    assert result.to_xarray().standard_error.dims == ("example", "feature")
    assert "standard_error" not in wide.to_xarray()


# shap


@pytest.fixture
def shap():
    return pytest.importorskip("shap", reason="shap is not installed: pip install 'tf_attrib[shap]'")


def test_an_explanation_adds_up_and_has_names_and_values(shap, encoded, wide):
    for result in (encoded, wide):
        found = result.to_shap()
        assert isinstance(found, shap.Explanation)
        np.testing.assert_allclose(found.base_values + found.values.sum(1), result.scores, rtol=1e-4)
    found = encoded.to_shap()
    assert found[0, "city"].data == "a"
    np.testing.assert_allclose(wide.to_shap().data, WIDE, rtol=1e-6)
    assert wide.to_shap().feature_names == list(WIDE.columns)


def test_of_no_examples_there_is_no_explanation(shap, wide, encoded):
    for result in (wide, encoded):
        assert_refused(result[:0].to_shap, "no examples")


def test_what_is_missed_is_a_feature_of_its_own(shap, wide):
    off = with_numbers(wide, wide.attributions * 0.5)
    found = off.to_shap()
    assert found.feature_names == [*WIDE.columns, NOT_ATTRIBUTED]
    np.testing.assert_allclose(found.base_values + found.values.sum(1), off.scores, rtol=1e-5)
    np.testing.assert_allclose(found.values[:, -1], -off.gap, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["gradient", "smoothgrad_squared", "occlusion", "interior_gradients"])
def test_what_does_not_add_up_from_a_baseline_is_refused(method):
    attributor = ta.Attributor(lambda x: x[:, 0] ** 2 + x[:, 1])
    result = attributor.attribute(np.ones((2, 2), "float32"), method=method, verbose=False)
    assert_refused(result.to_shap, "add up from the score at a baseline", "integrated gradients")


def test_images_keep_their_shape_and_words_their_texts(shap):
    image = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(1)])
    x = np.random.default_rng(0).uniform(size=(2, 4, 4, 1)).astype("float32")
    found = ta.Attributor(image).attribute(x, verbose=False).to_shap()
    assert found.values.shape == x.shape
    np.testing.assert_array_equal(found.data, x)
    words = ta.Attributor(make_recurrent_text()).attribute(np.arange(1, 11)[None], method="deeplift", verbose=False)
    found = words.to_shap()
    np.testing.assert_allclose(found.values, words.attributions.sum(-1), rtol=1e-5)
    np.testing.assert_array_equal(found.data, words.tokens if words.tokens is not None else np.arange(1, 11)[None])


@pytest.mark.parametrize("kind", ["waterfall", "beeswarm", "scatter", "force"])
@pytest.mark.parametrize("name", ["encoded", "wide"])
def test_shap_draws_it(shap, name, kind, request):
    found = request.getfixturevalue(name).to_shap()
    if kind == "force":
        shap.plots.force(found[0], matplotlib=True, show=False)
    elif kind == "scatter":
        shap.plots.scatter(found[:, "city" if name == "encoded" else "width"], show=False)
    else:
        getattr(shap.plots, kind)(found[0] if kind == "waterfall" else found, show=False)
    figure = plt.gcf()
    figure.canvas.draw()
    parts = [(*axes.texts, *axes.get_yticklabels(), axes.xaxis.label) for axes in figure.axes]
    texts = " ".join(text.get_text() for part in parts for text in part)
    assert any(name in texts for name in found.feature_names)
    plt.close("all")
