"""What an inspection finds in real exports, each finding asserted, and that it runs nothing."""

import json
import time

import keras
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tf_attrib.cli import main

from ...conftest import assert_refused, make_recurrent_text
from ...helpers import exports


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def text_export(folders):
    return exports.keras_text(folders / "text")


@pytest.fixture(scope="module")
def columns_export(folders):
    return exports.tf_keras_columns(folders / "columns")


@pytest.fixture(scope="module")
def module_export(folders):
    return exports.module(folders / "module", folders / "vocabulary.txt")


@pytest.fixture(scope="module")
def v1_export(folders):
    return exports.v1_model(folders / "v1", folders / "written-by-v1")


def of(findings, signature="serving_default"):
    return [one for one in findings if one.signature == signature]


def test_keras_export(text_export):
    found = ta.inspect(text_export)
    assert found.kind == f"SavedModel of TensorFlow {tf.__version__}"
    assert sorted(found.signatures) == ["serve", "serving_default"]
    signature = found.signatures["serving_default"]
    assert (signature.inputs["text"].dtype, signature.inputs["text"].shape) == ("string", (None,))
    assert (signature.outputs["output_0"].dtype, signature.outputs["output_0"].shape) == ("float32", (None, 3))
    (head,) = of(found.heads)
    assert (head.kind, head.output, head.shape, head.applied) == ("softmax", "output_0", (None, 3), True)
    assert head.logits.endswith("/BiasAdd:0")
    assert "Softmax" in head.reason
    (embedding,) = of(found.embeddings)  # and not the gathers of the Dense layer on three axes
    assert (embedding.shape, embedding.table_shape, embedding.inputs) == ((None, 8, 4), (6, 4), ("text",))
    assert embedding.table.startswith("table/embeddings")
    assert embedding.pattern == "ReadVariableOp -> GatherV2"
    assert embedding.combiner == "none"
    assert "float variable" in embedding.reason
    kinds = [(one.kind, one.operation) for one in of(found.preprocessing)]
    assert ("text", "StringLower") in kinds
    assert ("lookup table", "LookupTableFindV2") in kinds
    (table,) = [one for one in of(found.preprocessing) if one.kind == "lookup table"]
    assert (table.keys, table.count, table.file, table.inputs) == (("the", "cat", "sat"), 3, None, ("text",))
    assert {one.trainable for one in found.variables} == {True}
    assert len(found.variables) == 5
    assert found.unsafe_ops == ()
    assert any("LookupTableImportV2" in one.operations for one in found.loading)


def test_both_signatures_of_a_keras_export_are_told_once(text_export):
    text = repr(ta.inspect(text_export))
    assert text.count("\nsignature ") == 2
    assert "signature serve: the same as serving_default" in text
    assert text.count("StringLower") == 1
    assert "serving_default" not in repr(ta.inspect(text_export, "serve"))
    assert_refused(lambda: ta.inspect(text_export, "serv"), "no signature is called 'serv'", "'serve'")


def test_tensors_of_an_export_have_the_names_of_the_flat_graph(text_export):
    found = ta.inspect(text_export, "serving_default")
    names = {one.name: one.shape for one in found.tensors}
    (head,), (embedding,) = found.heads, found.embeddings
    assert {head.logits, head.tensor, embedding.tensor} <= set(names)
    assert names[head.logits] == (None, 3)
    call = found.signatures["serving_default"].outputs["output_0"].name.split(":")[0]
    assert head.logits.startswith(f"{call}/StatefulPartitionedCall/")
    # the operation behind the calls is there in the library under the last part of the name
    operation = head.logits.removeprefix(f"{call}/StatefulPartitionedCall/").removesuffix(":0")
    loaded = tf.saved_model.load(text_export)
    wrapper = loaded.signatures["serving_default"].graph
    library = wrapper.as_graph_def().library.function
    assert any(node.name == operation for function in library for node in function.node_def)
    assert list(names).index(embedding.tensor) < list(names).index(head.logits)  # in order of computation


def test_feature_columns(columns_export):
    found = ta.inspect(columns_export)
    lookups = {one.inputs: one for one in found.embeddings}
    assert lookups["color",].pattern == "Unique -> ResourceGather -> SparseSegmentSqrtN"
    assert (lookups["color",].combiner, lookups["color",].table_shape) == ("sqrtn", (10, 4))
    assert (lookups["size",].combiner, lookups["size",].table_shape) == ("mean", (3, 3))
    (buckets,) = [one for one in found.preprocessing if one.kind == "hash buckets"]
    assert (buckets.count, buckets.inputs) == (10, ("color",))
    (table,) = [one for one in found.preprocessing if one.kind == "lookup table"]
    assert (table.keys, table.inputs) == (("s", "m", "l"), ("size",))
    (head,) = found.heads
    assert (head.kind, head.output) == ("sigmoid", "click")
    assert "serving_default_age:0" in {one.name for one in found.tensors}


def test_module_with_tables_loop_and_one_hot(module_export):
    found = ta.inspect(module_export)
    heads = {one.output: one for one in found.heads}
    assert list(heads) == ["log"]
    assert heads["log"].kind == "log_softmax"
    assert "no probability head at raw" in repr(found)
    patterns = {one.pattern: one for one in found.embeddings}
    assert set(patterns) == {"ResourceGather -> Sum", "OneHot -> BatchMatMulV2 -> Sum", "ResourceGather"}
    assert patterns["ResourceGather -> Sum"].inputs == patterns["OneHot -> BatchMatMulV2 -> Sum"].inputs == ("tokens",)
    inside = patterns["ResourceGather"]  # in the loop's body, reached through the loop's arguments
    assert (inside.table, inside.addressable, inside.inputs) == ("table", False, ())
    names = {one.name for one in found.tensors}
    assert inside.tensor not in names
    assert {one.tensor for one in found.embeddings if one.addressable} <= names
    tables = {one.file.name if one.file else None: one for one in found.preprocessing if one.kind == "lookup table"}
    assert tables["vocabulary.txt"].keys == ("a", "b", "c")
    assert tables[None].keys == ("x", "y")
    assert {one.name: one.trainable for one in found.variables} == {"table": True, "frozen": False}
    assert any("InitializeTableFromTextFileV2" in one.operations for one in found.loading)


@pytest.mark.parametrize("resource", [True, False])
def test_v1_export(folders, resource):
    folder = exports.v1_model(folders / f"v1-{resource}", resource=resource)
    found = ta.inspect(folder)
    (embedding,), (head,) = found.embeddings, found.heads
    assert embedding.pattern == ("ResourceGather -> Mean" if resource else "VariableV2 -> GatherV2 -> Mean")
    assert (embedding.tensor, embedding.table, embedding.table_shape, embedding.combiner, embedding.inputs) == (
        "lookup:0",
        "words/table",
        (20, 4),
        "mean",
        ("ids",),
    )
    assert (head.tensor, head.logits) == ("probabilities:0", "logits:0")
    assert found.signatures["serving_default"].inputs["ids"].shape == (None, 5)
    assert {one.name: one.trainable for one in found.variables} == {"words/table": True, "weight": True}
    frozen = ta.inspect(f"{folder}/frozen.pb")
    (embedding,), (head,) = frozen.embeddings, frozen.heads
    assert frozen.kind == "frozen graph"
    assert list(frozen.signatures) == ["graph"]
    assert (embedding.pattern, embedding.inputs, embedding.combiner) == ("Const -> GatherV2 -> Mean", ("ids",), "mean")
    assert embedding.table_shape == (20, 4)
    assert head.logits == "logits:0"
    assert frozen.variables == ()


def test_inspecting_runs_nothing(v1_export, folders):
    written = folders / "written-by-v1"
    found = ta.inspect(v1_export)
    assert not written.exists()
    (unsafe,) = found.unsafe_ops
    assert (unsafe.operation, unsafe.at_load) == ("WriteFile", True)
    assert [(one.kind, one.operations) for one in found.loading] == [("main_op", ("WriteFile",))]
    assert "UNSAFE" in repr(found)
    tf.saved_model.load(v1_export)  # which shows that the danger is real
    assert written.exists()


def test_loops_and_queues_of_tensorflow_1(folders):
    v1 = tf.compat.v1
    v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default() as graph:
            queue = v1.FIFOQueue(4, [tf.int32], shapes=[(3,)])
            table = tf.constant([[1.0, 2.0]] * 5, name="table")
            hidden = tf.gather(table, queue.dequeue(name="next"), name="rows")
            _, hidden = tf.while_loop(lambda i, _: i < 2, lambda i, h: (i + 1, h * 2.0), [0, hidden], name="loop")
            tf.nn.softmax(tf.identity(hidden, name="after"), name="probabilities")
    finally:
        v1.enable_control_flow_v2()
    (folders / "queue.pb").write_bytes(graph.as_graph_def().SerializeToString())
    found = ta.inspect(folders / "queue.pb")
    (embedding,) = found.embeddings
    assert (embedding.tensor, embedding.inputs) == ("rows:0", ("next:0",))
    names = {one.name for one in found.tensors}
    assert {"rows:0", "after:0", "probabilities:0"} <= names
    assert "loop/mul:0" not in names


def test_gathers_that_are_no_lookups(folders):
    with tf.Graph().as_default() as graph:
        ids = tf.compat.v1.placeholder(tf.int32, (None, 3), name="ids")
        table = tf.constant([[1.0, 2.0, 0.5]] * 7, name="table")
        kinds = tf.gather(tf.constant([[1, 2], [3, 4]], name="integers"), ids, name="integer")
        columns = tf.gather(table, ids, axis=1, name="columns")
        bias = tf.gather(tf.constant([1.0, 2.0], name="bias"), ids, name="numbers")
        computed = tf.gather(table * tf.cast(tf.shape(ids)[0], tf.float32), ids, name="computed")
        dense = tf.tensordot(tf.gather(table, ids, name="rows"), tf.ones((3, 2)), 1)
        position = tf.gather(table, tf.range(tf.shape(ids)[1]), name="position")
        parts = [tf.reduce_sum(tf.cast(part, tf.float32)) for part in (kinds, columns, bias, computed, dense, position)]
        tf.nn.sigmoid(tf.add_n(parts), name="score")
    assert sum(node.op == "GatherV2" for node in graph.as_graph_def().node) >= 7
    (folders / "gathers.pb").write_bytes(graph.as_graph_def().SerializeToString())
    found = ta.inspect(folders / "gathers.pb")
    lookups = {embedding.tensor: embedding for embedding in found.embeddings}
    assert set(lookups) == {"rows:0", "position:0"}
    assert (lookups["rows:0"].table, lookups["rows:0"].table_shape, lookups["rows:0"].inputs) == ("table", (7, 3), ("ids",))
    assert lookups["position:0"].inputs == ()  # which only the length of an input tells
    assert "position:0" in {one.name for one in found.tensors}


def test_keras_model_in_memory():
    model = make_recurrent_text()
    model.compile(loss=keras.losses.BinaryCrossentropy())
    found = ta.inspect(model)
    (embedding,), (head,) = found.embeddings, found.heads
    assert (embedding.name, embedding.table, embedding.table_shape, embedding.inputs) == (
        "words",
        "words/embeddings",
        (30, 6),
        ("tokens",),
    )
    assert (head.output, head.kind, head.applied) == ("head", "sigmoid", True)
    assert {"words", "rnn", "head"} <= {one.layer for one in found.tensors}
    assert all(one.trainable for one in found.variables)
    assert found.signatures["call"].inputs["tokens"].dtype == "int32"
    raw = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="raw")])
    raw.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    (head,) = ta.inspect(raw).heads
    assert (head.kind, head.applied) == ("softmax", False)


def test_keras_file_and_what_is_no_model(tmp_path, capsys):
    make_recurrent_text().save(tmp_path / "text.keras")
    assert ta.inspect(tmp_path / "text.keras").embeddings[0].name == "words"
    assert_refused(lambda: ta.inspect(print), "takes a path or a Keras model")
    assert_refused(lambda: ta.inspect(tmp_path), "without a saved_model.pb")
    assert_refused(lambda: ta.inspect(tmp_path / "none"), "no model at")


def test_command(text_export, v1_export, capsys):
    assert main(["inspect", text_export, "--signature", "serve"]) == 0
    printed = capsys.readouterr().out
    assert "input   text  string (any,)" in printed
    assert "head    output_0: softmax" in printed
    assert main(["inspect", v1_export, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["embeddings"]["count"] == 1
    assert found["embeddings"]["items"][0]["table_shape"] == [20, 4]
    assert found["unsafe_ops"]["items"][0]["operation"] == "WriteFile"
    assert found["signatures"]["serving_default"]["inputs"]["ids"]["shape"] == [None, 5]
    assert main(["inspect", text_export + "-none"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_thousands_of_operations_take_well_under_a_second(tmp_path):
    graph = exports.new_graph()
    calls = [(f"n{i}", [f"n{i - 1}:output:0" if i else "x"], None) for i in range(5000)]
    exports.add_function(graph, "f", calls, "n4999:output:0")
    exports.add_node(graph, "out", "PartitionedCall", ["x"], "f")
    folder = exports.write(tmp_path / "deep", graph)
    times = []
    for _ in range(3):
        before = time.process_time()
        found = ta.inspect(folder)
        times.append(time.process_time() - before)
    assert [one.name for one in found.tensors][:2] == ["x:0", "out/n0:0"]
    assert len(found.tensors) == 5001
    assert min(times) < 0.8
