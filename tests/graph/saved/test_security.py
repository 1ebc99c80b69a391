"""What is refused before a model is loaded, and what is expected in every SavedModel. Nothing is loaded or run here, but for
one model that shows that the danger is real (test_inspect)."""

import os
import re
import shutil
from pathlib import Path

import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.graph.graphdef.nodes import definition
from tf_attrib.graph.saved import export_copy, risky_operations, security
from tf_attrib.graph.saved.operations import KNOWN

from ...conftest import assert_refused
from ...helpers import exports


def operations(path):
    return [one.operation for one in ta.inspect(path).unsafe_ops]


@pytest.fixture(scope="module")
def module_export(tmp_path_factory):
    folder = tmp_path_factory.mktemp("security")
    return exports.module(folder / "module", folder / "vocabulary.txt")


@pytest.fixture
def table_export(tmp_path):
    return exports.v1_file_table(tmp_path / "table", tmp_path / "vocabulary.txt")


def test_ordinary_exports_pass(module_export, table_export, tmp_path):
    security.check(module_export)  # tables from assets, savers
    security.check(table_export)
    security.check(exports.v1_model(tmp_path / "v1"))
    security.check(tmp_path / "v1" / "frozen.pb")
    assert ta.inspect(table_export).preprocessing[0].keys == ("a", "b")


@pytest.mark.parametrize("legacy", [False, True])
def test_files_written_at_load_time(tmp_path, legacy):
    folder = exports.v1_model(tmp_path / "v1", tmp_path / "written")

    def to_legacy(meta_graph):
        meta_graph.collection_def["legacy_init_op"].CopyFrom(meta_graph.collection_def.pop("saved_model_main_op"))

    if legacy:
        exports.change(folder, to_legacy)
    assert_refused(lambda: security.check(folder), "WriteFile", "writes files", "when it is loaded", "allow_unsafe=True")
    security.check(folder, allow_unsafe=True)
    (found,) = ta.inspect(folder).loading
    assert found.kind == ("legacy_init_op" if legacy else "main_op")
    assert found.operations == ("WriteFile",)
    assert not (tmp_path / "written").exists()


def test_initialisers_of_the_object_graph(tmp_path):
    class Writer(tf.saved_model.experimental.TrackableResource):
        def _create_resource(self):
            return tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)

        def _initialize(self):
            tf.io.write_file(str(tmp_path / "written"), "x")
            return tf.constant(1)

    module = tf.Module()
    module.writer = Writer()
    function = tf.function(lambda x: x + 1.0).get_concrete_function(tf.TensorSpec([None]))
    tf.saved_model.save(module, str(tmp_path / "module"), signatures=function)
    (tmp_path / "written").unlink(missing_ok=True)
    assert_refused(lambda: security.check(tmp_path / "module"), "WriteFile", "when it is loaded")
    assert "initialize" in {one.kind for one in ta.inspect(tmp_path / "module").loading if "WriteFile" in one.operations}
    assert not (tmp_path / "written").exists()


def test_python_and_files_when_called(tmp_path):
    class Reader(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((), tf.string)])
        def read(self, name):
            size = tf.cond(name == "", lambda: tf.constant(0), lambda: tf.strings.length(tf.io.read_file(name)))
            return {"python": tf.numpy_function(lambda x: x, [size], tf.int32), "names": tf.io.matching_files(name)}

    module = Reader()
    tf.saved_model.save(module, str(tmp_path / "reader"), signatures=module.read)
    found = ta.inspect(tmp_path / "reader").unsafe_ops
    kinds = {one.operation: one for one in found}
    assert {"ReadFile", "MatchingFiles"} < set(kinds)
    assert {"PyFunc", "EagerPyFunc", "PyFuncStateless"} & set(kinds)
    assert not any(one.at_load for one in found)
    assert kinds["ReadFile"].function.startswith("cond")  # inside a branch
    assert_refused(lambda: security.check(tmp_path / "reader"), "calls Python", "ReadFile", "MatchingFiles")


def test_control_edges_count(tmp_path):
    graph = exports.new_graph()
    exports.add_node(graph, "evil", "DeleteFile")
    exports.add_node(graph, "mid", "NoOp", ["^evil"])
    exports.add_node(graph, "out", "Identity", ["x", "^mid"], T=1)
    found = ta.inspect(exports.write(tmp_path / "late", graph))
    assert [(one.operation, one.at_load) for one in found.unsafe_ops] == [("DeleteFile", False)]
    found = ta.inspect(exports.write(tmp_path / "early", graph, saved_model_main_op=["mid"]))
    assert found.unsafe_ops[0].at_load
    assert found.loading[0].operations == ("DeleteFile",)
    unreached = exports.new_graph()
    exports.add_function(unreached, "f", [("a", ["x"], None)], "a:output:0")
    node = unreached.library.function[0].node_def.add()
    node.name, node.op = "evil", "EagerPyFunc"
    assert operations(exports.write(tmp_path / "nowhere", unreached, "x:0")) == ["EagerPyFunc"]


def test_saver_operations_elsewhere_than_in_the_saver(tmp_path):
    folder = exports.v1_model(tmp_path / "v1")
    security.check(folder)

    def in_signature(meta_graph):
        next(node for node in meta_graph.graph_def.node if node.name == "probabilities").input.append("^save/SaveV2")

    assert_refused(lambda: security.check(exports.change(folder, in_signature)), "SaveV2", "writes files")
    folder = exports.v1_model(tmp_path / "restored")

    def in_restore(meta_graph):  # loading restores, and must not save
        next(node for node in meta_graph.graph_def.node if node.name == "save/restore_all").input.append("^save/SaveV2")

    assert_refused(lambda: security.check(exports.change(folder, in_restore)), "SaveV2", "when it is loaded")
    folder = exports.v1_model(tmp_path / "main")

    def in_main_op(meta_graph):
        meta_graph.collection_def["saved_model_main_op"].node_list.value.append("save/restore_all")

    assert_refused(lambda: security.check(exports.change(folder, in_main_op)), "RestoreV2", "reads files")


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/hostname", "a/../../secret.txt", "link.txt", "folder/secret.txt", ""])
def test_tables_from_files_outside_of_the_assets(module_export, table_export, tmp_path, name):
    (tmp_path / "secret.txt").write_text("secret")
    for export in (module_export, table_export):
        copied = tmp_path / f"copy-{len(os.listdir(tmp_path))}"
        copied.mkdir()
        (copied / "assets").mkdir()
        (copied / "assets" / "link.txt").symlink_to(tmp_path / "secret.txt")
        (copied / "assets" / "folder").symlink_to(tmp_path)
        with open(f"{export}/saved_model.pb", "rb") as file:
            (copied / "saved_model.pb").write_bytes(file.read())
        exports.change_asset(copied, filename=name)
        assert operations(copied) == ["InitializeTableFromTextFileV2"]
        assert_refused(lambda copied=copied: security.check(copied), "InitializeTableFromTextFileV2", "reads files")
        tables = [one for one in ta.inspect(copied).preprocessing if one.kind == "lookup table"]
        assert all("secret" not in one.keys for one in tables)  # nor is it read by the inspection


def test_an_assets_folder_that_is_a_link(table_export, tmp_path):
    (tmp_path / "table" / "assets").rename(tmp_path / "elsewhere")
    (tmp_path / "table" / "assets").symlink_to(tmp_path / "elsewhere")
    assert_refused(lambda: security.check(table_export), "InitializeTableFromTextFileV2")


def test_a_table_whose_file_is_not_the_asset(module_export, table_export, tmp_path):
    # TensorFlow 1 feeds another tensor then, and the constant's own value is read
    exports.change_asset(table_export, tensor="ids:0")
    assert operations(table_export) == ["InitializeTableFromTextFileV2"]
    copied = tmp_path / "copy"
    shutil.copytree(module_export, copied)
    security.check(copied)

    def rebound(meta_graph):  # the object graph gives the initialiser something else, while the graph itself looks harmless
        objects = meta_graph.object_graph_def
        constant = next(number for number, node in enumerate(objects.nodes) if node.WhichOneof("kind") == "constant")
        for saved in objects.concrete_functions.values():
            saved.bound_inputs[:] = [
                constant if objects.nodes[number].WhichOneof("kind") == "asset" else number for number in saved.bound_inputs
            ]

    exports.change(copied, rebound)
    assert operations(copied) == ["InitializeTableFromTextFileV2"]


def test_a_table_that_a_signature_fills(table_export):
    """Only at load time does TensorFlow 1 put the asset's path in; later the constant in the file is read."""

    def in_signature(meta_graph):
        fill = next(node for node in meta_graph.graph_def.node if node.op == "InitializeTableFromTextFileV2").name
        output = meta_graph.signature_def["serving_default"].outputs["scores"].name.split(":")[0]
        next(node for node in meta_graph.graph_def.node if node.name == output).input.append(f"^{fill}")

    assert operations(exports.change(table_export, in_signature)) == ["InitializeTableFromTextFileV2"]


def test_operations_that_are_harmless_in_one_form(tmp_path):
    def one(name, edit=lambda node, graph: None, inputs=()):
        graph = exports.new_graph()
        edit(exports.add_node(graph, "node", name, inputs), graph)
        return operations(exports.write(tmp_path / "one", graph, "x:0"))

    def to_file(node, graph):
        node.attr["output_stream"].s = b"file:///elsewhere/log"

    def constant(node, graph, value=b""):
        name = exports.add_node(graph, "name", "Const", dtype=7)
        name.attr["value"].tensor.dtype = 7
        name.attr["value"].tensor.string_val.append(value)

    assert one("PrintV2") == []
    assert one("PrintV2", to_file) == ["PrintV2"]
    assert one("CacheDatasetV2", constant, ["x", "name"]) == []
    assert one("CacheDatasetV2", lambda node, graph: constant(node, graph, b"elsewhere"), ["x", "name"]) == ["CacheDatasetV2"]
    assert one("CacheDatasetV2") == ["CacheDatasetV2"]
    assert one("FixedUnigramCandidateSampler") == []
    assert one("LookupTableImportV2") == []
    assert one("IO>ArrowDataset") == ["IO>ArrowDataset"]


def test_what_is_not_known_is_refused(tmp_path):
    for operation in ("OfSomebody", "DecodeProtoV2", "DatasetFromGraph"):  # of a library, by a file, a graph in a text
        graph = exports.new_graph()
        exports.add_node(graph, "odd", operation)
        folder = exports.write(tmp_path / operation, graph, "x:0")
        assert operations(folder) == [operation]
        assert_refused(lambda folder=folder: security.check(folder), operation, "not known to stay inside")
    graph = exports.new_graph()  # a function may be called by its name as a type
    exports.add_function(graph, "mine", [("a", ["x"], None)], "a:output:0")
    exports.add_node(graph, "out", "mine", ["x"])
    assert operations(exports.write(tmp_path / "function", graph)) == []


def test_classes_that_a_library_registers(module_export, tmp_path):
    shutil.copytree(module_export, tmp_path / "copy")

    def edit(meta_graph):
        meta_graph.object_graph_def.nodes[0].registered_name = "Custom.Anything"
        meta_graph.object_graph_def.nodes[0].registered_saver = "Custom.Saver"

    exports.change(tmp_path / "copy", edit)
    assert_refused(lambda: security.check(tmp_path / "copy"), "Custom.Anything", "Custom.Saver", "when it is loaded")


def test_variables_that_claim_more_than_is_stored(module_export, tmp_path, monkeypatch):
    monkeypatch.setattr(export_copy, "FACTOR", 0)
    monkeypatch.setattr(export_copy, "ROOM", 10)
    assert_refused(lambda: export_copy.ExportCopy(Path(module_export)), "claim", "and hold")
    copied = export_copy.ExportCopy(Path(module_export), allow_unsafe=True)
    folder = copied.folder
    assert sorted(path.name for path in folder.iterdir()) == ["assets", "saved_model.pb", "variables"]
    del copied
    assert not folder.exists()
    assert Path(module_export, "variables").is_dir()


def test_every_known_operation_is_registered_and_harmless():
    """An operation with a file name, an address or the like is not among the known ones, or named here as harmless."""
    telling = re.compile(
        r"^(filename|filenames|file_pattern|.*_file|.*_path|path|directory|logdir|db_uri|address|"
        r"debug_urls|ckpt_path|shard_dir|target_workers|destination_prefix|descriptor_source|.*_spec)$"
    )
    named = re.compile("Rpc|Remote|PyFunc|Save(V2|Slices|Dataset)?$|^Restore|^Load|DataService|^Collective|^Send$|^Recv$")
    found = {name: definition(name) for name in KNOWN if definition(name) is not None}
    missed = [
        name
        for name, one in found.items()
        if named.search(name) or any(telling.match(field.name) for field in (*one.input_arg, *one.attr))
    ]
    assert missed == []
    assert len(found) > 1000
    assert not KNOWN & risky_operations.RISKS.keys()
