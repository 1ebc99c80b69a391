"""A run that is dealt to workers as tasks: the same shards as one process writes, however often and where a task is done."""

import pickle

import numpy as np
import pandas
import pytest

import tf_attrib as ta
from tf_attrib.datasets.engines.columns import size_of
from tf_attrib.datasets.engines.parts import Parts

from ...conftest import assert_refused

SETTINGS = {"ids": "id", "method": "gradient_times_input", "batch_size": 8, "shard_size": 10}


@pytest.fixture(scope="module")
def path(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.keras"
    table.save(path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("rows"), np.random.default_rng(0)
    for number, count in enumerate((25, 7, 12)):
        frame = pandas.DataFrame(rng.normal(size=(count, 4)).astype("float32"), columns=list("abcd"))
        frame.assign(id=np.arange(count) + 100 * number).to_parquet(folder / f"{number}.parquet")
    return folder / "*.parquet"


def shards(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name.startswith("shard-")}


def test_tasks_write_what_one_process_does(path, files, tmp_path):
    ta.attribute_dataset(path, files, tmp_path / "alone", **SETTINGS)
    parts = Parts(path, tmp_path / "dealt", 3, **SETTINGS)
    tasks = parts.tasks([files])
    assert len(tasks) == 3
    written = [pickle.loads(pickle.dumps(parts))(pickle.loads(pickle.dumps(task))) for task in reversed(tasks)]
    assert shards(tmp_path / "dealt") == shards(tmp_path / "alone")
    assert sorted(one for some in written for one in some) == list(map(str, ta.open(tmp_path / "dealt").paths))
    times = {one: one.stat().st_mtime_ns for one in (tmp_path / "dealt").glob("shard-*")}
    assert parts(tasks[2]) == written[0]  # the same model, once more
    assert {one: one.stat().st_mtime_ns for one in (tmp_path / "dealt").glob("shard-*")} == times
    lost = written[0][0]
    (tmp_path / "dealt" / lost).unlink()
    parts(tasks[2])
    assert shards(tmp_path / "dealt") == shards(tmp_path / "alone")


def test_files_are_numbered_in_one_order(path, files, tmp_path):
    parts = Parts(path, tmp_path, 2, **SETTINGS)
    names = [str(one) for one in files.parent.glob("*.parquet")]
    assert parts.tasks(names) == parts.tasks([*reversed(names), names[0]])


def test_what_cannot_be_a_task_is_refused(path, attributor, tmp_path):
    for name in ("shard", "processes", "verbose", "bath_size"):
        assert_refused(lambda name=name: Parts(path, tmp_path, 2, **{name: 1}), repr(name), "batch_size")
    assert_refused(lambda: Parts(path, tmp_path, 0), "parts")
    assert_refused(lambda: pickle.dumps(Parts(attributor, tmp_path, 2)), "model.save('model.keras')")
    assert_refused(lambda: Parts(path, tmp_path, 2).tasks([]), "'in/*.parquet'")


def test_at_and_of_are_those_of_the_run(path, files, tmp_path):
    found = Parts(ta.Attributor(path, of="logits"), tmp_path / "one", 1, **SETTINGS)
    found(found.tasks([files])[0])
    other = Parts(path, tmp_path / "other", 1, at="hidden", of="logits", **SETTINGS)
    other(other.tasks([files])[0])
    assert ta.open(tmp_path / "one")[0].unit == "logit"
    assert ta.open(tmp_path / "other")[0].attributions.shape == (1, 5)


def test_the_size_of_elements():
    assert size_of([np.zeros(3, "float32"), {"x": np.zeros(2), "id": 1}, {"x": None}]) == 12 + 16 + 8
