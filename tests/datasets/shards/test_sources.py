"""Data of every kind as rows: the same rows, ids and labels, cut by their number within a part."""

import itertools

import keras
import numpy as np
import pandas
import polars
import pyarrow
import pyarrow.parquet
import pytest
import tensorflow as tf
from PIL import Image

import tf_attrib as ta
from tf_attrib.datasets.shards.source_files import as_inputs, from_files, image_reader
from tf_attrib.datasets.shards.sources import Unreadable, from_memory_or_stream
from tf_attrib.selection.frames import Given

from ...conftest import assert_refused

COUNT = 23
X = np.random.default_rng(0).normal(size=(COUNT, 4)).astype("float32")
Y = np.arange(COUNT) % 3
NAMES = np.array([f"row {number}" for number in range(COUNT)])
FRAME = pandas.DataFrame(X, columns=list("abcd"))


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, number):
        return X[5 * number : 5 * number + 5], Y[5 * number : 5 * number + 5]


def records(path, spoil=()):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number, row in enumerate(X):
            x = row[:2] if number in spoil else row
            feature = {
                "x": tf.train.Feature(float_list=tf.train.FloatList(value=x)),
                "y": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(Y[number])])),
                "name": tf.train.Feature(bytes_list=tf.train.BytesList(value=[NAMES[number].encode()])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())


FEATURES = {
    "x": tf.io.FixedLenFeature([4], tf.float32),
    "y": tf.io.FixedLenFeature([], tf.int64),
    "name": tf.io.FixedLenFeature([], tf.string),
}


def arrays(inputs):
    """Inputs of whichever kind as one array."""
    inputs = inputs.arrays[None] if isinstance(inputs, Given) else inputs
    return inputs.to_numpy() if hasattr(inputs, "columns") else np.asarray(inputs)


def all_rows(source, size=10, batch=4, wanted=lambda part: True):
    found = []
    for file in range(len(source.names)):
        for part, batches in source.parts(file, size, batch, wanted):
            found += [(file, part, rows) for rows in batches]
    return found


def of_memory(attributor, data, ids=None, labels=None):
    return from_memory_or_stream(attributor, data, ids, labels, 4)


def of_files(attributor, pattern, ids=None, labels=None, features=None):
    return from_files(attributor, pattern, ids, labels, features, image_reader(attributor, (0, 255), False))


def make(kind, attributor, folder):
    """The rows of X with labels and ids (where the kind of data can have such), in one file."""
    dataset = tf.data.Dataset.from_tensor_slices((X, Y))
    if kind == "arrays":
        return of_memory(attributor, (X, Y), NAMES)
    if kind == "dict":
        return of_memory(attributor, {"x": X, "name": NAMES, "y": Y}, "name", "y")
    if kind == "pandas":
        return of_memory(attributor, FRAME.assign(name=NAMES, y=Y), "name", "y")
    if kind == "polars":
        return of_memory(attributor, polars.from_pandas(FRAME.assign(name=NAMES, y=Y)), "name", "y")
    if kind == "batches":
        return of_memory(attributor, dataset.batch(7))
    if kind == "examples":
        return of_memory(attributor, dataset)
    if kind == "ids in batches":
        return of_memory(attributor, tf.data.Dataset.from_tensor_slices(({"x": X, "name": NAMES}, Y)).batch(3), "name")
    if kind == "ids in a tuple":
        return of_memory(attributor, tf.data.Dataset.from_tensor_slices((X, Y, NAMES)).batch(3), 2)
    if kind == "PyDataset":
        return of_memory(attributor, Batches())
    if kind == "generator":
        return of_memory(attributor, ((X[i : i + 6], Y[i : i + 6]) for i in range(0, COUNT, 6)))
    if kind == "frames":
        return of_memory(attributor, [FRAME.assign(y=Y)[i : i + 6] for i in range(0, COUNT, 6)], None, "y")
    if kind == "Parquet":
        FRAME.assign(y=Y, name=NAMES).to_parquet(folder / "x.parquet", row_group_size=6)
        return of_files(attributor, folder / "*.parquet", "name", "y")
    if kind == "tensors in Parquet":
        tensor = pyarrow.FixedShapeTensorArray.from_numpy_ndarray(X)
        pyarrow.parquet.write_table(pyarrow.table({"x": tensor, "name": NAMES, "y": Y}), folder / "x.parquet")
        return of_files(attributor, folder / "x.parquet", "name", "y")
    if kind == "lists in Parquet":
        pyarrow.parquet.write_table(pyarrow.table({"x": X.tolist(), "name": NAMES, "y": Y}), folder / "x.parquet")
        return of_files(attributor, folder / "x.parquet", "name", "y")
    records(folder / "x.tfrecord")
    return of_files(attributor, str(folder / "*.tfrecord"), "name", "y", FEATURES)


NAMED = ("arrays", "dict", "pandas", "polars", "ids in batches", "ids in a tuple", "Parquet", "tensors in Parquet")
NAMED += ("lists in Parquet", "TFRecord")
KINDS = (*NAMED, "batches", "examples", "PyDataset", "generator", "frames")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_is_the_same_rows(kind, attributor, tmp_path):
    found = all_rows(make(kind, attributor, tmp_path))
    # parts of ten rows, each cut into batches from its own beginning
    assert [(part, len(rows)) for _, part, rows in found] == [(0, 4), (0, 4), (0, 2), (1, 4), (1, 4), (1, 2), (2, 3)]
    np.testing.assert_array_equal(np.concatenate([arrays(rows.inputs) for _, _, rows in found]), X)
    np.testing.assert_array_equal(np.concatenate([rows.labels for _, _, rows in found]), Y)
    ids = np.concatenate([rows.ids for _, _, rows in found])
    np.testing.assert_array_equal(ids, NAMES if kind in NAMED else np.arange(COUNT))


@pytest.mark.parametrize("kind", KINDS)
def test_parts_that_are_not_wanted_leave_the_others_as_they_are(kind, attributor, tmp_path):
    found = all_rows(make(kind, attributor, tmp_path), wanted=lambda part: part == 1)
    assert [(part, len(rows)) for _, part, rows in found] == [(1, 4), (1, 4), (1, 2)]
    np.testing.assert_array_equal(np.concatenate([arrays(rows.inputs) for _, _, rows in found]), X[10:20])
    np.testing.assert_array_equal(found[-1][2].labels, Y[18:20])


@pytest.mark.parametrize("kind", ["arrays", "pandas", "batches", "Parquet", "TFRecord"])
def test_the_same_data_have_the_same_fingerprint_and_others_another(kind, attributor, tmp_path, monkeypatch):
    (tmp_path / "again").mkdir()
    first, again = (make(kind, attributor, folder).fingerprint() for folder in (tmp_path, tmp_path / "again"))
    assert first == again
    changed = X.copy()
    changed[3, 1] += 1
    monkeypatch.setitem(globals(), "X", changed)
    monkeypatch.setitem(globals(), "FRAME", pandas.DataFrame(changed, columns=list("abcd")))
    assert make(kind, attributor, tmp_path / "again").fingerprint() != first


def test_columns_side_by_side_keep_their_names_and_those_of_several_inputs_go_by_name(attributor, pair, tmp_path):
    rows = all_rows(make("Parquet", attributor, tmp_path))[0][2]
    assert rows.inputs.names == {None: ("a", "b", "c", "d")}
    columns = {"left": X, "right": X[:, :2]}
    found = as_inputs(ta.Attributor(pair, of="kind"), columns)
    assert list(found) == ["left", "right"]
    number = keras.Model(one := keras.Input((1,), name="one"), keras.layers.Dense(1)(one))
    assert as_inputs(ta.Attributor(number), {"one": X[:, 0]}).shape == (COUNT, 1)
    assert_refused(lambda: as_inputs(attributor, {"a": X[:, 0], "b": X}), "'b'", "features=")


def test_several_files_are_rows_of_their_own_and_one_that_is_broken_is_named(attributor, tmp_path):
    for number in range(3):
        FRAME[number * 5 : number * 5 + 5].to_parquet(tmp_path / f"{number}.parquet")
    (tmp_path / "1.parquet").write_bytes(b"PAR1 nothing PAR1")
    source = of_files(attributor, tmp_path / "*.parquet")
    assert source.names == ("0.parquet", "1.parquet", "2.parquet")
    last = [rows for _, batches in source.parts(2, 4, 4, lambda part: True) for rows in batches]
    assert list(itertools.chain.from_iterable(rows.ids for rows in last)) == [f"2.parquet:{row}" for row in range(5)]
    with pytest.raises(Unreadable, match=r"1\.parquet"):
        list(source.parts(1, 4, 4, lambda part: True))


def test_a_record_that_does_not_fit_is_lost_by_itself_and_a_torn_file_ends_there(attributor, tmp_path):
    features = {name: FEATURES[name] for name in ("x", "y")}
    records(tmp_path / "x.tfrecord", spoil=(2, 9))
    found = [rows for _, _, rows in all_rows(of_files(attributor, tmp_path / "x.tfrecord", None, "y", features))]
    assert [list(rows.lost) for rows in found] == [[2], [], [1], [], [], [], []]
    assert "Key: x" in found[0].lost[2]
    assert len(found[0]) == 4
    np.testing.assert_array_equal(found[0].inputs, X[[0, 1, 3]])
    assert found[0].labels.tolist() == [0, 1, -1, 0]  # the label of what cannot be read is not known
    torn = (tmp_path / "x.tfrecord").read_bytes()
    (tmp_path / "x.tfrecord").write_bytes(torn[: len(torn) // 2])
    parts, seen = of_files(attributor, tmp_path / "x.tfrecord", None, "y", features).parts(0, 4, 2, lambda part: True), []
    with pytest.raises(Unreadable, match=r"x\.tfrecord"):
        seen.extend(len(rows) for _, batches in parts for rows in batches)
    assert 0 < sum(seen) < COUNT


def test_records_that_are_lost_have_no_id_that_others_could_have(attributor, tmp_path):
    records(tmp_path / "x.tfrecord", spoil=(0, 1))
    of_rows = of_files(attributor, tmp_path / "x.tfrecord", "y", None, {name: FEATURES[name] for name in ("x", "y")})
    assert [rows.ids.tolist() for _, _, rows in all_rows(of_rows, batch=2)][:2] == [[-1, -1], [2, 0]]
    of_rows = of_files(attributor, tmp_path / "x.tfrecord", "name", "y", FEATURES)
    assert [rows.ids.tolist() for _, _, rows in all_rows(of_rows, batch=3)][:1] == [["", "", "row 2"]]


def test_images_are_rows_and_their_folders_classes(tmp_path):
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")])
    attributor = ta.Attributor(model)
    for number in range(6):
        folder = tmp_path / ("cat" if number % 2 else "dog")
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4), (number, 0, 255)).save(folder / f"{number}.png")
    (tmp_path / "cat" / "3.png").write_bytes(b"no image")
    Image.new("RGB", (5, 5)).save(tmp_path / "dog" / "9.png")
    found = [rows for _, _, rows in all_rows(of_files(attributor, tmp_path), batch=4)]
    assert [id for rows in found for id in rows.ids] == [f"cat/{i}.png" for i in (1, 3, 5)] + [
        f"dog/{i}.png" for i in (0, 2, 4, 9)
    ]
    assert np.concatenate([rows.labels for rows in found]).tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert list(found[0].lost) == [1]
    assert "not a readable image" in found[0].lost[1]
    assert "5×5" in found[1].lost[2]
    assert found[0].inputs[:, 0, 0].tolist() == [[1, 0, 255], [5, 0, 255], [0, 0, 255]]


def test_lengths_that_change_are_not_forced_into_one_batch():
    attributor = ta.Attributor(lambda x: tf.reduce_sum(x, 1))
    source = of_memory(attributor, iter([np.ones((5, 2), "float32"), np.ones((5, 3), "float32")]))
    assert [rows.inputs.shape for _, _, rows in all_rows(source)] == [(4, 2), (1, 2), (4, 3), (1, 3)]


def test_data_that_cannot_be_read_say_what_can(attributor, tmp_path):
    assert_refused(lambda: of_memory(attributor, tf.data.Dataset.from_tensors(X).repeat()), "never ends", "take(")
    assert_refused(lambda: of_memory(attributor, iter(())), "no batches")
    assert_refused(lambda: of_memory(attributor, 3), "tf.data.Dataset", "int")
    assert_refused(lambda: of_memory(attributor, {"x": X, "y": Y}, "name"), "'name'", "'y', 'x'")
    assert_refused(lambda: of_memory(attributor, X, np.arange(5)), "ids", "23")
    assert_refused(lambda: of_memory(attributor, X, np.ones((COUNT, 2))), "ids must be whole numbers or text")
    assert_refused(lambda: of_memory(attributor, iter([X]), NAMES), "ids", "place in the tuple")
    assert_refused(lambda: of_memory(attributor, iter([(X, Y)]), 2), "ids=2", "2")
    assert_refused(lambda: of_memory(attributor, (X, Y), None, Y), "labels", "twice")
    assert_refused(lambda: of_files(attributor, tmp_path / "*.parquet"), "no files")
    assert_refused(lambda: of_files(attributor, tmp_path), "no images")
    (tmp_path / "x.csv").write_text("a,b\n")
    assert_refused(lambda: of_files(attributor, tmp_path / "x.csv"), "x.csv", ".parquet")
    FRAME.to_parquet(tmp_path / "x.parquet")
    assert_refused(lambda: of_files(attributor, str(tmp_path / "x.*")), "x.csv")
    assert_refused(lambda: all_rows(of_files(attributor, tmp_path / "x.parquet", features=["a", "e"])), "'e'", "'a'")
    assert_refused(lambda: all_rows(of_files(attributor, tmp_path / "x.parquet", ids="e")), "ids='e'")
    records(tmp_path / "x.tfrecord")
    assert_refused(lambda: of_files(attributor, tmp_path / "x.tfrecord"), "features=", "FixedLenFeature")
    ragged = pyarrow.table({"x": [[1.0], [1.0, 2.0]]})
    pyarrow.parquet.write_table(ragged, tmp_path / "ragged.parquet")
    assert_refused(lambda: all_rows(of_files(attributor, tmp_path / "ragged.parquet")), "'x'", "different lengths")
