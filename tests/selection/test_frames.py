"""DataFrames go in, and the names of their columns come out: as inputs, as baselines, in everything that takes inputs."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tf_attrib.common.nested import flatten

from ..conftest import assert_refused, spread
from ..helpers.bins import one_hot_bins

COLUMNS = ["age", "income", "member"]
FRAME = pd.DataFrame({"age": [25.0, 45, 61], "income": [3, 1, 2], "member": [True, False, True]})
ARRAY = FRAME.to_numpy().astype("float32")
ROWS = pd.DataFrame({"income": [3, -1], "city": pd.Categorical(["a", "c"]), "age": [25.0, 45.0]})


@pytest.fixture(scope="module")
def plain():
    """Three columns side by side, and two classes."""
    return ta.Attributor(
        keras.Sequential(
            [
                keras.Input((3,), name="row"),
                layers.Dense(4, "tanh", kernel_initializer=spread()),
                layers.Dense(2, "softmax", kernel_initializer=spread()),
            ]
        )
    )


def columns_net(rank=2):
    """A bin, a word and a number, each an input of its own."""
    shape = (1,)[: rank - 1]
    age, income = (keras.Input(shape, name=name) for name in ("age", "income"))
    city = keras.Input(shape, dtype="string", name="city")
    parts = [
        one_hot_bins([30.0, 40.0])(age if rank == 2 else layers.Reshape((1,))(age)),
        layers.StringLookup(vocabulary=["a", "b", "c"], output_mode="one_hot")(city),
        income if rank == 2 else layers.Reshape((1,))(income),
    ]
    hidden = layers.Dense(4, "tanh", kernel_initializer=spread())(layers.Concatenate()(parts))
    head = layers.Dense(1, "sigmoid", kernel_initializer=spread())(hidden)
    return keras.Model({"age": age, "city": city, "income": income}, head)


@pytest.fixture(scope="module")
def by_name():
    return ta.Attributor(columns_net())


def as_arrays(frame):
    """The frame as the model takes it, by hand."""
    return {
        "age": frame["age"].to_numpy("float32")[:, None],
        "city": frame["city"].to_numpy(str)[:, None],
        "income": frame["income"].to_numpy("float32")[:, None],
    }


# one input


def test_columns_stand_side_by_side_in_an_only_input(plain):
    found, expected = (plain.attribute(x, baselines=ta.constant(1), verbose=False) for x in (FRAME, ARRAY))
    np.testing.assert_array_equal(found.attributions, expected.attributions)
    assert found.feature_names == {"": tuple(COLUMNS)}
    assert expected.feature_names == {}
    strongest = COLUMNS[int(np.abs(expected.attributions[0]).argmax())]
    assert found.top(1)[0][0].name == strongest
    np.testing.assert_allclose(found.by_column["income"], expected.attributions[:, 1])
    assert list(found.by_column) == COLUMNS


def test_names_are_kept_in_a_file_and_lost_with_their_axis(plain, tmp_path):
    found = plain.attribute(FRAME, verbose=False)
    loaded = ta.load(found.save(tmp_path / "frame.npz"))
    assert loaded.feature_names == found.feature_names
    assert loaded.top(3) == found.top(3)
    assert found.abs().feature_names
    assert not found.sum(-1).feature_names
    steps = plain.attribute(FRAME, method=ta.InteriorGradients(n_steps=3), verbose=False)
    assert steps.attributions.shape == (3, 3, 3)
    assert [one.name for one in steps.sum(1)[:1].top(3)[0]] != [0, 1, 2]
    assert not steps.sum(2).feature_names  # what is left are steps, and as many


def test_names_are_drawn_listed_and_summed_up(plain):
    found = plain.attribute(FRAME, verbose=False)
    labels = [text.get_text() for axes in _axes(found.plot(example=0)) for text in axes.get_yticklabels()]
    assert [label.split(" = ")[0] for label in labels] == [one.name for one in found.top(10)[0]]
    assert set(ta.summarise(found, by=None).names) == set(COLUMNS)
    assert all(name in found._repr_html_() or "img" in found._repr_html_() for name in COLUMNS)
    from tf_attrib.view.tables import features_html

    assert all(name in features_html(found) for name in COLUMNS)


def _axes(figure):
    return [axes for part in figure.subfigs for axes in part.axes] or figure.axes


def test_whole_numbers_of_a_frame_are_no_words():
    net = keras.Sequential([keras.Input((2,), dtype="int32"), layers.Lambda(lambda x: tf.cast(x, "float32")), layers.Dense(1)])
    found = ta.Attributor(net).attribute(pd.DataFrame({"rooms": [3, 4], "floors": [1, 2]}), verbose=False)
    labels = [text.get_text() for axes in _axes(found.plot(example=0)) for text in axes.get_yticklabels()]
    assert {label.split(" = ")[0] for label in labels} == {"rooms", "floors"}


def test_a_function_gets_the_columns_side_by_side():
    found = ta.Attributor(lambda x: tf.reduce_sum(x * tf.constant([1.0, 2, 3], x.dtype), 1)).attribute(FRAME, verbose=False)
    np.testing.assert_allclose(found.attributions, ARRAY * [1, 2, 3], rtol=1e-5)
    assert found.names_of(None) == tuple(COLUMNS)


def test_a_layer_has_features_of_its_own(plain):
    found = ta.Attributor(plain.model, at=plain.model.layers[0]).attribute(FRAME, verbose=False)
    assert found.names_of(None) == ()
    assert found.top(1)[0][0].name in range(4)


# baselines


BASELINES = {
    "data": (lambda frame: ta.dataset(frame, 2), lambda array: ta.dataset(array, 2)),
    "each its own": (lambda frame: frame.iloc[::-1], lambda array: ta.at_input(array[::-1])),
    "one row": (lambda frame: ta.at_input(frame.iloc[[1]]), lambda array: ta.at_input(array[1])),
    "the mean": (lambda frame: frame.mean(), lambda array: ta.at_input(array.mean(0))),
    "several": (lambda frame: [frame.iloc[[0]], ta.zeros()], lambda array: [ta.at_input(array[0]), ta.zeros()]),
    "several of a frame": (ta.several, ta.several),
    "a list of two": (
        lambda frame: ta.several([frame.iloc[[0]], frame.iloc[[2]]]),
        lambda array: ta.several([ta.at_input(array[0]), ta.at_input(array[2])]),
    ),
}


@pytest.mark.parametrize("order", [COLUMNS, COLUMNS[::-1]], ids=["same order", "another order"])
@pytest.mark.parametrize("name", BASELINES)
def test_baselines_of_a_frame_are_matched_by_name(plain, name, order):
    of_frame, of_array = BASELINES[name]
    found = plain.attribute(FRAME, baselines=of_frame(FRAME[order]), seed=3, verbose=False)
    expected = plain.attribute(ARRAY, baselines=of_array(ARRAY), seed=3, verbose=False)
    np.testing.assert_array_equal(found.baseline_scores, expected.baseline_scores)
    np.testing.assert_array_equal(found.attributions, expected.attributions)


def test_baselines_of_other_columns_are_refused(plain):
    other = FRAME.rename(columns={"income": "rent"})
    assert_refused(lambda: plain.attribute(FRAME, baselines=ta.dataset(other)), "same columns", "'income'", "'rent'")
    assert_refused(lambda: plain.attribute(FRAME, baselines=FRAME.iloc[:2]), "(3,) for all examples", "(3, 3) for each")
    assert_refused(lambda: ta.dataset(FRAME, 4), "from 1 to 3", "got 4")


# several inputs


@pytest.mark.parametrize("order", [["age", "city", "income"], ["income", "city", "age"]])
def test_columns_go_to_the_inputs_of_their_names(by_name, order):
    typical = ROWS.assign(city="b", age=35.0)
    found = by_name.attribute(ROWS[order], target=1, baselines=typical, verbose=False)
    expected = by_name.attribute(as_arrays(ROWS), target=1, baselines=ta.at_input(as_arrays(typical)), verbose=False)
    for key, leaf in expected.attributions.items():
        np.testing.assert_array_equal(found.attributions[key], leaf)
    np.testing.assert_array_equal(found.baseline_scores, expected.baseline_scores)
    names = {one.name for one in found.top(20)[0]}
    assert {"income", "city=a", "age=below 30"} <= names
    assert set(found.by_column) == {"age", "city", "income"}


def test_inputs_of_one_axis_get_columns_of_one_axis():
    found = ta.Attributor(columns_net(rank=1)).attribute(ROWS, target=1, verbose=False)
    assert {key: leaf.shape for key, leaf in found.inputs.items()} == dict.fromkeys(("age", "city", "income"), (2,))
    assert "income" in {one.name for one in found.top(20)[0]}


def test_a_frame_and_columns_within_a_dict():
    image, table = keras.Input((4, 4, 1), name="image"), keras.Input((3,), name="table")
    flat = layers.Concatenate()([layers.Flatten()(image), table])
    attributor = ta.Attributor(keras.Model({"image": image, "table": table}, layers.Dense(1)(flat)))
    pixels = np.random.default_rng(0).uniform(size=(3, 4, 4, 1)).astype("float32")
    found = attributor.attribute({"image": pixels, "table": FRAME}, baselines={"table": FRAME[COLUMNS[::-1]]}, verbose=False)
    assert not found.attributions["table"].any()  # its own rows are its baseline, whatever their order
    assert found.feature_names == {"table": tuple(COLUMNS)}
    assert found.by_column.keys() == {"image", *COLUMNS}
    listed = ta.Attributor(columns_net()).attribute({name: ROWS[name] for name in ROWS}, target=1, verbose=False)
    assert listed.inputs["age"].shape == (2, 1)


# everything that takes inputs


def test_columns_of_two_tables_that_are_called_the_same_are_two():
    """They were added up, and the value of the first stood beside the sum."""
    frames = {name: pd.DataFrame({"age": [1.0, 2.0], "height": [3.0, 4.0]}, dtype="float32") for name in ("mother", "child")}
    attributor = ta.Attributor(lambda x: tf.reduce_sum(x["mother"], 1) + 10 * x["child"][:, 0])
    result = attributor.attribute(frames)
    assert result.by_column.keys() == {"mother[age]", "mother[height]", "child[age]", "child[height]"}
    np.testing.assert_allclose(result.by_column["child[age]"], [10, 20], rtol=1e-5)
    np.testing.assert_allclose(result.to_dataframe()["mother[age]"], [1, 2], rtol=1e-5)
    assert result.top(1)[0][0].name == "child[age]"
    found = ta.feature_permutation(attributor, (frames, np.zeros(2)), seed=0)
    assert found.names == tuple(result.by_column)
    alone = attributor.attribute({"mother": frames["mother"], "child": frames["child"].to_numpy()})
    assert "age" in alone.by_column


def test_diagnose_compare_and_data_sets_take_frames(plain, by_name):
    shuffled = FRAME[COLUMNS[::-1]]
    for attributor, frame, baselines in ((plain, FRAME, shuffled.mean()), (by_name, ROWS, ta.dataset(ROWS))):
        report = ta.diagnose(attributor, frame, target=1, baselines=baselines)
        assert report["accuracy"].severity == "passed"
    table, expected = (
        ta.metrics.compare(plain, x, methods=["gradient", "integrated_gradients"], metrics=["deletion"], baselines=base)
        for x, base in ((FRAME, shuffled.mean()), (ARRAY, ta.at_input(ARRAY.mean(0))))
    )
    for name in ("gradient", "integrated_gradients"):
        np.testing.assert_allclose(table[name]["deletion"].values, expected[name]["deletion"].values)
    labels = 1 - plain.attribute(FRAME, method="gradient", verbose=False).predicted
    wrong, expected = (
        ta.misclassified(plain, (x, labels), baselines=base)
        for x, base in ((FRAME, ta.dataset(shuffled)), (ARRAY, ta.dataset(ARRAY)))
    )
    np.testing.assert_array_equal(wrong.wrong.attributions, expected.wrong.attributions)
    assert wrong.wrong.top(1)[0][0].name in COLUMNS
    np.testing.assert_array_equal(ta.saturation(plain, FRAME).scores, ta.saturation(plain, ARRAY).scores)
    sensitivity = [
        ta.metrics.max_sensitivity(plain, x, radius=0.1, baselines=base).values
        for x, base in ((FRAME.astype(float), shuffled.mean()), (ARRAY, ta.at_input(ARRAY.mean(0))))
    ]
    np.testing.assert_allclose(*sensitivity, rtol=1e-4)


def test_a_result_of_a_frame_keeps_matching_baselines_by_name(plain):
    found, expected = (plain.attribute(x, verbose=False) for x in (FRAME, ARRAY))
    values = [
        ta.metrics.deletion(plain, result, baselines=base).values
        for result, base in ((found, FRAME[COLUMNS[::-1]].mean()), (expected, ta.at_input(ARRAY.mean(0))))
    ]
    np.testing.assert_array_equal(*values)


def test_the_doctor_names_columns_and_categories(plain, by_name):
    rng = np.random.default_rng(0)
    many = pd.DataFrame(rng.normal(50, 1, (40, 3)), columns=COLUMNS)
    many["income"] += 1e4
    report = ta.diagnose(plain, many, target=1, baselines=many.mean() * [3, 1, 1])
    assert "'age'" in report["baseline_outside_the_data"].meaning
    for attributor, frame, more in ((plain, many, {"baselines": many.mean() * [3, 1, 1]}), (by_name, ROWS, {})):
        report = ta.diagnose(attributor, frame, target=1, **more)
        names = {"ta": ta, "np": np, "keras": keras, "attributor": attributor, "inputs": frame, "target": 1, **more}
        for one in report:
            exec(one.remedy, dict(names))  # what is proposed runs as it stands, with a frame for inputs
    found = [one for one in report.findings if one.name == "baseline_outside_the_data"]
    assert {one.evidence["column"] for one in found} == {"age", "city"}
    assert "ta.dataset(inputs" in found[0].remedy
    assert "by_column" in report["integer_inputs"].remedy


# what does not fit


DATES = FRAME.assign(age=pd.date_range("2024-01-01", periods=3))
TWICE = pd.concat([FRAME, FRAME[["age"]]], axis=1)
REFUSED = {
    "a date": (DATES, "'age'", "datetime64", "dt.dayofyear"),
    "a date with a zone": (FRAME.assign(age=pd.date_range("2024-01-01", periods=3, tz="UTC")), "'age'", "UTC", "dt.days"),
    "a period": (FRAME.assign(age=pd.period_range("2024-01", periods=3, freq="M")), "'age'", "period", "dt.dayofyear"),
    "a duration": (FRAME.assign(age=pd.to_timedelta([1, 2, 3])), "'age'", "timedelta", "dt.days"),
    "text": (FRAME.assign(income=["a", "b", "a"]), "'income'", "holds text", "takes float32", ".map("),
    "text that is missing": (FRAME.assign(income=["a", None, "b"]), "text is missing", "'income'", "row(s) 1", "fillna"),
    "objects": (FRAME.assign(income=[[1], [2], [3]]), "'income'", "list"),
    "complex": (FRAME.assign(income=[1j, 2j, 3j]), "'income'", "complex128"),
    "too few": (FRAME[["age", "income"]], "(batch, 3)", "2 columns"),
    "too many": (FRAME.assign(more=1), "(batch, 3)", "4 columns", "'more'"),
    "a name twice": (TWICE, "'age' twice"),
    "a name twice, once as a number": (FRAME.set_axis([1, "1", "age"], axis=1), "'1' twice"),
    "a number that is missing": (FRAME.assign(income=pd.array([1, None, 2], "Int64")), "example(s) 1", "'income'", "on_error"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_columns_that_a_model_cannot_take_are_refused_by_name(plain, name):
    frame, *words = REFUSED[name]
    assert_refused(lambda: plain.attribute(frame), *words)


def test_missing_numbers_are_marked_where_that_is_asked_for(plain):
    frame = FRAME.assign(income=pd.array([3, None, 2], "Int64"), member=pd.array([True, False, None], "boolean"))
    found = plain.attribute(frame, on_error="mark", verbose=False)
    assert found.status.tolist()[1:] == ["not_finite"] * 2
    np.testing.assert_array_equal(found.attributions[0], plain.attribute(FRAME[:1], verbose=False).attributions[0])


def test_columns_and_inputs_of_other_names_are_refused(by_name):
    def refused(frame, *words):
        assert_refused(lambda: by_name.attribute(frame, target=1), *words)

    refused(ROWS.rename(columns={"age": "years"}), "input 'age'", "'years'")
    refused(ROWS.assign(label=1), "does not take", "'label'", "frame[['age', 'city', 'income']]")
    refused(ROWS.assign(city=[1, 2]), "'city' holds int64", "takes text", "astype(str)")
    refused(ROWS.assign(age=["young", "old"]), "'age' holds text", "takes float32")
    image = ta.Attributor(keras.Sequential([keras.Input((2, 2, 1)), layers.Flatten(), layers.Dense(1)]))
    assert_refused(lambda: image.attribute(FRAME), "(batch, 2, 2, 1)", "array of that shape")
    assert_refused(
        lambda: ta.Attributor(lambda x: x["age"]).attribute(ROWS), "'city' holds text", "{name: frame[name] for name in"
    )


def test_a_function_takes_columns_by_name():
    assert_refused(
        lambda: ta.Attributor(lambda x: x["age"] * x["income"]).attribute(FRAME),
        "as one array",
        "{name: frame[name] for name in frame.columns}",
    )
    found = ta.Attributor(lambda x: x["age"] * x["income"]).attribute(
        {name: FRAME[name].astype("float32") for name in ("age", "income")}, verbose=False
    )
    np.testing.assert_allclose(found.scores, FRAME["age"] * FRAME["income"])


DTYPES = {
    "string": pd.array(["a", "c"], "string"),
    "object": np.array(["a", "c"], object),
    "category": pd.Categorical(["a", "c"], ["c", "b", "a"]),
    "bytes": np.array([b"a", b"c"], object),
}


@pytest.mark.parametrize("name", DTYPES)
def test_text_of_whichever_dtype(by_name, name):
    found, expected = (by_name.attribute(x, target=1, verbose=False) for x in (ROWS.assign(city=DTYPES[name]), ROWS))
    np.testing.assert_array_equal(found.attributions["city"], expected.attributions["city"])
    assert found.attributions["city"].any()


# files


def test_exports_and_files_give_the_same(by_name, tmp_path):
    by_name.model.export(tmp_path / "export", verbose=False)
    by_name.model.save(tmp_path / "model.keras")
    expected = by_name.attribute(ROWS, target=1, baselines=ROWS.iloc[::-1], verbose=False)
    for path in ("export", "model.keras"):
        found = ta.Attributor(tmp_path / path).attribute(ROWS, target=1, baselines=ROWS.iloc[::-1], verbose=False)
        assert set(found.by_column) == set(ROWS)
        for name, total in expected.by_column.items():
            np.testing.assert_allclose(found.by_column[name], total, atol=1e-5)
        assert "income" in {one.name for one in found.top(20)[0]}


# other tables than those of pandas


def test_polars_gives_the_same(plain, by_name):
    polars = pytest.importorskip("polars")
    same = polars.DataFrame({name: FRAME[name].to_list() for name in FRAME})
    found, expected = (plain.attribute(x, baselines=ta.dataset(x), verbose=False) for x in (same, FRAME))
    np.testing.assert_array_equal(found.attributions, expected.attributions)
    assert found.feature_names == expected.feature_names
    rows = polars.DataFrame({"income": [3, -1], "city": ["a", "c"], "age": [25.0, 45.0]})
    for cast in (polars.String, polars.Categorical):
        found, expected = (
            by_name.attribute(x, target=1, verbose=False) for x in (rows.with_columns(polars.col("city").cast(cast)), ROWS)
        )
        np.testing.assert_array_equal(found.attributions["city"], expected.attributions["city"])
    assert_refused(
        lambda: by_name.attribute(rows.with_columns(city=polars.lit(None, polars.String)), target=1), "'city'", "takes text"
    )
    dated = same.with_columns(age=polars.date(2024, 1, 1))
    assert_refused(lambda: plain.attribute(dated), "'age'", "Date")
    assert ta.saturation(plain, same).scores.shape == (3,)


# columns in another order, wherever a frame or a row of one can stand

ORDERS = {
    "typical": (False, ta.typical),
    "row": (False, lambda frame: frame.mean()),
    "several": (False, lambda frame: ta.several([ta.at_input(frame.mean()), ta.typical(frame)])),
    "by key: row": (True, lambda frame: {"m": frame.mean()}),
    "by key: frame": (True, lambda frame: {"m": frame}),
    "by key: dataset": (True, lambda frame: {"m": ta.dataset(frame, 6)}),
    "row for a key": (True, lambda frame: frame.mean()),
    "dataset of keys": (True, lambda frame: ta.dataset({"m": frame}, 6)),
    "dataset for a key": (True, lambda frame: ta.dataset(frame.iloc[:2], 2)),
    "at_input of keys": (True, lambda frame: ta.at_input({"m": frame * 0 + frame.mean()})),
    "at_input of a row": (True, lambda frame: ta.at_input({"m": frame.mean()})),
}


@pytest.fixture(scope="module")
def three_columns():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,), name="m"), keras.layers.Dense(5, "tanh"), keras.layers.Dense(1)])
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(6, 3)).astype("float32"), columns=list("abc"))
    return ta.Attributor(model), frame


def of_one(result):
    (leaf,) = flatten(result.attributions).values()
    return leaf


@pytest.mark.parametrize("name", ORDERS)
def test_the_order_of_a_baselines_columns_does_not_matter(three_columns, name):
    (attributor, frame), (by_key, make) = three_columns, ORDERS[name]
    inputs = {"m": frame} if by_key else frame
    first, second = (
        of_one(attributor.attribute(inputs, baselines=make(columns), method="occlusion", seed=0))
        for columns in (frame, frame[["c", "a", "b"]])
    )
    np.testing.assert_array_equal(first, second)
    assert np.abs(first).max() > 0.1 or name == "by key: frame"  # there the baseline is the input itself


def test_a_baseline_whose_names_are_not_those_of_the_columns_is_refused(three_columns):
    attributor, frame = three_columns
    other = frame.rename(columns={"a": "other"})
    for baselines in (ta.typical(other), ta.dataset(other), other.mean()):
        assert_refused(lambda given=baselines: attributor.attribute(frame, baselines=given), "the same columns", "'other'")
    assert_refused(lambda: ta.constant(frame.mean()), "ta.at_input(row)")
    by_number = frame.set_axis([0, 1, 2], axis=1)
    assert_refused(lambda: attributor.attribute(by_number, baselines=by_number[[2, 0, 1]].mean()), ".to_numpy()")
