"""Columns of files become the inputs that they are meant as; a value that is missing loses its row alone."""

import keras
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import tensorflow as tf
from PIL import Image

import tf_attrib as ta
from tf_attrib.datasets.shards.source_files import from_files, image_reader

from ...conftest import assert_refused

X = np.random.default_rng(0).normal(size=(12, 4)).astype("float32")


def rows_of(attributor, data, ids=None, labels=None, features=None, batch=5):
    source = from_files(attributor, data, ids, labels, features, image_reader(attributor, (0, 255), False))
    return [
        rows
        for file in range(len(source.names))
        for _, batches in source.parts(file, 10, batch, lambda part: True)
        for rows in batches
    ]


def inputs_of(found):
    return np.concatenate([rows.inputs.arrays[None] if hasattr(rows.inputs, "arrays") else rows.inputs for rows in found])


def write(path, names, x=X, **more):
    pyarrow.parquet.write_table(pyarrow.table({name: x[:, "abcd".index(name)] for name in names} | more), path)


def test_columns_that_come_in_another_order_in_another_file_are_asked_for(attributor, tmp_path):
    write(tmp_path / "1.parquet", "abcd")
    write(tmp_path / "2.parquet", "cabd")
    (tmp_path / "0.parquet").write_bytes(b"no Parquet")
    assert_refused(
        lambda: rows_of(attributor, str(tmp_path / "*.parquet")),
        "'2.parquet'",
        "in which order",
        "features=['a', 'b', 'c', 'd']",
    )
    paths = [str(tmp_path / f"{number}.parquet") for number in (1, 2)]
    np.testing.assert_array_equal(inputs_of(rows_of(attributor, paths, features=list("abcd"))), np.concatenate([X, X]))


@pytest.mark.parametrize("torn", [None, 2])
def test_features_of_records_are_inputs_in_their_own_order(torn, attributor, tmp_path):
    path, names = tmp_path / "x.tfrecord", "badc"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number, row in enumerate(X):
            wanted = names[1:] if number == torn else names
            feature = {name: tf.train.Feature(float_list=tf.train.FloatList(value=[row[names.index(name)]])) for name in wanted}
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    found = rows_of(attributor, path, features={name: tf.io.FixedLenFeature([], tf.float32) for name in names})
    np.testing.assert_array_equal(inputs_of(found), X if torn is None else np.delete(X, torn, 0))


@pytest.mark.parametrize("kind", ["list", "tensor"])
def test_a_list_that_is_missing_or_short_loses_its_row_alone(kind, attributor, tmp_path):
    rows = [
        None if number == 3 else row[:2].tolist() if number == 7 and kind == "list" else row.tolist()
        for number, row in enumerate(X)
    ]
    values = pyarrow.array(rows, pyarrow.list_(pyarrow.float32(), -1 if kind == "list" else 4))
    table = pyarrow.table({"x": values, "name": [f"row {i}" for i in range(12)]})
    try:
        pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    except pyarrow.lib.ArrowNotImplementedError as error:
        pytest.skip(f"pyarrow {pyarrow.__version__} writes no such file: {error}")
    found = ta.attribute_dataset(
        attributor, tmp_path / "x.parquet", tmp_path / "run", ids="name", method="gradient", batch_size=5, verbose=False
    )
    bad = [3, 7] if kind == "list" else [3]
    assert [(one["id"], one["row"], one["status"]) for one in found.failures()] == [(f"row {i}", i, "bad_input") for i in bad]
    assert "missing" in found.failures()[0]["reason"]
    attributions = np.concatenate([np.asarray(one.attributions) for one in found])
    expected = attributor.attribute(X, method="gradient", verbose=False).attributions
    np.testing.assert_allclose(np.delete(attributions, bad, 0), np.delete(expected, bad, 0), rtol=1e-5)
    assert np.isnan(attributions[bad]).all()
    assert found.ids.tolist() == [f"row {i}" for i in range(12)]


def test_lists_none_of_which_is_what_the_model_takes_are_an_error(attributor, tmp_path):
    pyarrow.parquet.write_table(pyarrow.table({"x": X[:, :3].tolist()}), tmp_path / "x.parquet")
    assert_refused(lambda: ta.attribute_dataset(attributor, tmp_path / "x.parquet", tmp_path / "run"), "none of the rows")


def test_what_is_missing_in_columns_of_numbers_is_not_a_number(attributor, tmp_path):
    write(tmp_path / "x.parquet", "abc", d=pyarrow.array([True, None, False] * 4))
    found = inputs_of(rows_of(attributor, tmp_path / "x.parquet"))
    np.testing.assert_array_equal(found[:3, 3], [1, np.nan, 0])


def test_arrays_that_cannot_be_read_say_so(attributor, tmp_path):
    (tmp_path / "a.npy").write_bytes(b"junk")
    (tmp_path / "b.npz").write_bytes(b"")
    np.save(tmp_path / "c.npy", np.array([1, "a"], object))
    for name in ("a.npy", "b.npz", "c.npy"):
        assert_refused(lambda name=name: rows_of(attributor, tmp_path / name), name, "np.save")


def test_folders_of_images_are_numbered_as_keras_does(tmp_path):
    for name in ("a", "b/deep", "c", ".hidden"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("b/deep/1.png", "b/2.png", "c/3.png", ".hidden/4.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    model = tf.keras.Sequential([tf.keras.Input((4, 4, 3)), tf.keras.layers.Flatten(), tf.keras.layers.Dense(3)])
    (found,) = rows_of(ta.Attributor(model), tmp_path)
    dataset = tf.keras.utils.image_dataset_from_directory(tmp_path, image_size=(4, 4), shuffle=False, verbose=False)
    assert dataset.class_names == ["a", "b", "c"]
    names = [path.removeprefix(f"{tmp_path}/") for path in dataset.file_paths]
    expected = dict(zip(names, np.concatenate([y for _, y in dataset]).tolist(), strict=True))
    assert (
        dict(zip(found.ids.tolist(), found.labels.tolist(), strict=True))
        == expected
        == {"b/2.png": 1, "b/deep/1.png": 1, "c/3.png": 2}
    )


def test_a_picture_that_was_changed_is_other_data(tmp_path, attributor):
    def told(colour):
        Image.new("RGB", (4, 4), colour).save(tmp_path / "1.bmp")
        return from_files(attributor, tmp_path, None, None, None, lambda path: None).fingerprint()

    assert told("red") == told("red") != told("blue")


def test_a_picture_that_is_read_in_another_way_is_other_data(tmp_path, attributor):
    """A run that went on in another range put shards of other inputs beside those that were there."""
    Image.new("RGB", (4, 4)).save(tmp_path / "1.png")

    def told(value_range, resize):
        return from_files(attributor, tmp_path, None, None, None, image_reader(attributor, value_range, resize)).fingerprint()

    assert told((0, 255), False) == told((0.0, 255.0), False)
    assert len({told((0, 255), False), told((0, 1), False), told((0, 255), True)}) == 3


def test_a_missing_number_rounds_no_other(tmp_path):
    """One that is missing makes a column floats, which hold whole numbers up to 2**53."""
    large, numbers = 2**60 + 1, np.ones(3, "float32")
    key, x = keras.Input((1,), dtype="int64", name="key"), keras.Input((1,), name="x")
    model = keras.Model([key, x], x * keras.ops.cast(key % 10, "float32"))
    attributor = ta.Attributor(model, at=ta.inputs("x"))
    for name, keys in {"flat": [large, None, 3], "nested": [[large], [None], [3]]}.items():
        pyarrow.parquet.write_table(pyarrow.table({"key": keys, "x": numbers}), tmp_path / f"{name}.parquet")
    run = {"method": "gradient", "verbose": False}
    found = ta.attribute_dataset(attributor, tmp_path / "flat.parquet", tmp_path / "flat", **run)
    np.testing.assert_array_equal(found.to_pandas()["scores"], [7, np.nan, 3])
    found = ta.attribute_dataset(attributor, tmp_path / "nested.parquet", tmp_path / "nested", **run)
    np.testing.assert_array_equal(found.to_pandas()["scores"], [np.nan, np.nan, 3])
    assert "has rounded them" in found.failures()[0]["reason"]


def test_dates_are_no_numbers(attributor, tmp_path):
    write(tmp_path / "1.parquet", "bcd", a=np.arange(12).astype("datetime64[s]"))
    assert_refused(lambda: rows_of(attributor, str(tmp_path / "1.parquet")), "'a'", "datetime64", "features=")
