"""Pipelines of Beam on its local runners: the numbers of `attribute`, whichever way rows are spread; `.ci/beam` runs these."""

import json
import pickle

import numpy as np
import pytest

import tf_attrib as ta

from ..conftest import assert_refused

beam = pytest.importorskip("apache_beam", reason="needs the extra beam: .ci/beam makes an environment of its own for it")

import pyarrow  # noqa: E402
import pyarrow.parquet  # noqa: E402
import tensorflow as tf  # noqa: E402
from apache_beam.ml.inference.base import KeyedModelHandler, ModelMetadata, RunInference  # noqa: E402
from apache_beam.options.pipeline_options import PipelineOptions  # noqa: E402
from apache_beam.testing.util import assert_that  # noqa: E402

from tf_attrib.beam import AttributeShards, AttributionModelHandler  # noqa: E402
from tf_attrib.datasets.shards import storage  # noqa: E402

X = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
FAST = {"method": "gradient_times_input"}
RUN = FAST | {"ids": "id", "batch_size": 8, "shard_size": 10}
RUNNERS = {
    "in memory": ["--runner=DirectRunner"],
    "threads": ["--runner=DirectRunner", "--direct_running_mode=multi_threading", "--direct_num_workers=2"],
    # jobs go to a server, and to workers, as on Flink, Spark or Dataflow
    "portable": ["--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=LOOPBACK"],
    "processes": ["--runner=DirectRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2"],
}


@pytest.fixture(scope="module")
def path(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.keras"
    table.save(path)
    return str(path)


@pytest.fixture(scope="module")
def expected(path):
    return ta.Attributor(path).attribute(X, method="gradient_times_input").attributions


@pytest.fixture(scope="module")
def parquet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parquet")
    for number, rows in enumerate(np.array_split(np.arange(60), 3)):
        pyarrow.parquet.write_table(pyarrow.table({"id": rows, "x": X[rows].tolist()}), folder / f"{number}.parquet")
    return str(folder / "*.parquet")


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    for number, rows in enumerate(np.array_split(np.arange(60), 2)):
        with tf.io.TFRecordWriter(str(folder / f"{number}.tfrecord")) as writer:
            for row in rows:
                features = {
                    "id": tf.train.Feature(int64_list=tf.train.Int64List(value=[row])),
                    "x": tf.train.Feature(float_list=tf.train.FloatList(value=X[row])),
                }
                writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return str(folder / "*.tfrecord")


def parsed(record):
    """A row of a TFRecord file as the handler takes it."""
    features = tf.train.Example.FromString(record).features.feature
    return {"id": features["id"].int64_list.value[0], "x": np.array(features["x"].float_list.value, "float32")}


def row_of(record):
    """One of Parquet likewise."""
    return {"id": record["id"], "x": np.asarray(record["x"], "float32")}


def pipeline(runner):
    return beam.Pipeline(options=PipelineOptions(RUNNERS[runner]))


def as_json(found):
    inference = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in found.inference.items()}
    return json.dumps(inference | {"model": found.model_id})


def read(folder):
    """What pipelines wrote as lines of JSON, by id."""
    lines = [json.loads(line) for one in folder.glob("out*") for line in one.read_text().splitlines()]
    return {line["id"]: line for line in lines}


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("kind", ["parquet", "tfrecord"])
def test_run_inference_gives_each_row_its_attributions(kind, runner, path, parquet, records, expected, tmp_path):
    with pipeline(runner) as p:
        if kind == "parquet":
            rows = p | beam.io.ReadFromParquet(parquet) | beam.Map(row_of)
        else:
            rows = p | beam.io.ReadFromTFRecord(records) | beam.Map(parsed)
        found = rows | RunInference(AttributionModelHandler(path, ["x"], **FAST)) | beam.Map(as_json)
        found | beam.io.WriteToText(str(tmp_path / "out"))
    lines = read(tmp_path)
    assert sorted(lines) == list(range(60))
    # batches of 1 to 512 as Beam makes them: equal to rounding
    np.testing.assert_allclose([lines[i]["attributions"] for i in range(60)], expected, rtol=1e-5, atol=1e-6)
    assert {line["status"] for line in lines.values()} == {""}
    assert {line["model"] for line in lines.values()} == {path}


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("kind", ["parquet", "tfrecord"])
def test_shards_are_those_of_one_process(kind, runner, path, parquet, records, tmp_path):
    features = {"x": tf.io.FixedLenFeature([4], tf.float32), "id": tf.io.FixedLenFeature([], tf.int64)}
    data, settings = (parquet, RUN) if kind == "parquet" else (records, RUN | {"features": features})
    ta.attribute_dataset(path, [data], tmp_path / "alone", verbose=False, **settings)
    with pipeline(runner) as p:
        found = p | beam.Create([data]) | AttributeShards(path, tmp_path / "beam", parts=4, **settings)
        found | beam.io.WriteToText(str(tmp_path / "out"))
    written = {one.name: one.read_bytes() for one in (tmp_path / "beam").glob("shard-*")}
    assert written == {one.name: one.read_bytes() for one in (tmp_path / "alone").glob("shard-*")}
    told = [line for one in tmp_path.glob("out*") for line in one.read_text().splitlines()]
    assert sorted(told) == sorted(str(tmp_path / "beam" / name) for name in written)
    own, other = ({**ta.open(tmp_path / name).manifest} for name in ("alone", "beam"))
    assert own == other


def test_shards_are_read_by_beam(path, parquet, tmp_path, expected):
    with pipeline("in memory") as p:
        shards = p | beam.Create([parquet]) | AttributeShards(path, tmp_path / "run", parts=2, **RUN)
        rows = shards | beam.io.ReadAllFromParquet(columns=["id", "attributions", "scores"])
        (
            rows
            | beam.Map(lambda row: json.dumps({**row, "attributions": list(row["attributions"])}))
            | beam.io.WriteToText(str(tmp_path / "out"))
        )
    lines = read(tmp_path)
    np.testing.assert_allclose([lines[i]["attributions"] for i in range(60)], expected, rtol=1e-5, atol=1e-6)


def test_a_bundle_that_fails_is_tried_again_and_writes_no_other_bytes(path, parquet, tmp_path, monkeypatch):
    ta.attribute_dataset(path, [parquet], tmp_path / "alone", verbose=False, **RUN)
    calls, write = [], storage.write

    def failing(file, blocks, how):
        calls.append(file.name)
        if len(calls) in (2, 5):  # behind a shard that is whole, with half of another on the disk
            file.write(b"half")
            raise OSError("the disk is full")
        write(file, blocks, how)

    monkeypatch.setattr(storage, "write", failing)
    with beam.Pipeline("BundleBasedDirectRunner") as p:  # of the local runners the one that tries a bundle again
        _ = p | beam.Create([parquet]) | AttributeShards(path, tmp_path / "beam", parts=2, **RUN)
    written = {one.name: one.read_bytes() for one in (tmp_path / "beam").glob("shard-*")}
    assert written == {one.name: one.read_bytes() for one in (tmp_path / "alone").glob("shard-*")}
    assert len(calls) == len(written) + 2
    assert not list((tmp_path / "beam").glob(".*.part"))


def test_a_poisoned_row_loses_itself_alone(path, expected):
    elements = [(i, row) for i, row in enumerate(X)]
    elements[3], elements[7], elements[9] = (3, np.full(4, np.nan)), (7, X[7, :2]), (9, None)

    def check(found):
        statuses = {key: one.inference["status"] for key, one in found}
        assert {key: status for key, status in statuses.items() if status} == {
            3: "not_finite",
            7: "bad_input",
            9: "bad_input",
        }
        for key, one in found:
            assert bool(one.inference["reason"]) == (key in (3, 7, 9))
            assert one.inference["attributions"].shape == (4,)
            if key not in (3, 7, 9):
                np.testing.assert_allclose(one.inference["attributions"], expected[key], rtol=1e-5, atol=1e-6)
        assert len(found) == 60

    p = pipeline("in memory")
    handler = KeyedModelHandler(AttributionModelHandler(path, min_batch_size=5, **FAST))
    assert_that(p | beam.Create(elements) | RunInference(handler), check)
    result = p.run()
    result.wait_until_finish()
    counters = {one.key.metric.name: one.committed for one in result.metrics().query()["counters"]}
    assert counters["failed_rows"] == 3
    assert counters["num_inferences"] == 60
    namespaces = {one.key.metric.namespace for one in result.metrics().query()["counters"]}
    assert "BeamML_tf_attrib" in namespaces


def test_a_model_that_processes_share(path, expected):
    def check(found):
        assert len(found) == 60
        for one in found:
            np.testing.assert_allclose(one.inference["attributions"], expected[one.inference["id"]], rtol=1e-5, atol=1e-6)

    handler = AttributionModelHandler(path, ["x"], large_model=True, **FAST)
    assert handler.share_model_across_processes()
    with pipeline("in memory") as p:
        rows = p | beam.Create([{"id": i, "x": row} for i, row in enumerate(X)])
        assert_that(rows | RunInference(handler), check)


def test_a_model_is_replaced_while_rows_come(path, table, tmp_path):
    other = tf.keras.models.clone_model(table)
    other.save(tmp_path / "other.keras")
    newer = ta.Attributor(other).attribute(X[:3], method="gradient_times_input").attributions

    def check(found):
        assert {one.model_id for one in found} == {str(tmp_path / "other.keras")}
        np.testing.assert_allclose([one.inference["attributions"] for one in found], newer, rtol=1e-5, atol=1e-6)

    with pipeline("in memory") as p:
        update = p | "model" >> beam.Create([ModelMetadata(str(tmp_path / "other.keras"), "newer")])
        rows = p | beam.Create(list(X[:3]))
        assert_that(rows | RunInference(AttributionModelHandler(path, **FAST), model_metadata_pcoll=update), check)


def test_what_cannot_be_is_refused_before_anything_runs(path, attributor, tmp_path):
    handler = AttributionModelHandler(path, env_vars={"A": "b"}, max_batch_size=7)
    assert handler.batch_elements_kwargs() == {"max_batch_size": 7}
    assert handler.get_num_bytes([X[0], X[1]]) == 32
    handler.validate_inference_args(None)
    assert_refused(lambda: handler.validate_inference_args({"target": 1}), "AttributionModelHandler(path, target=...)")
    assert_refused(lambda: AttributionModelHandler(path, target="label"), "labels='y'")
    assert_refused(lambda: pickle.dumps(AttributionModelHandler(attributor)), "model.save('model.keras')")
    assert_refused(lambda: AttributeShards(path, tmp_path, shard=(0, 2)), "'shard'")
