"""Files that are broken or hostile: one clear error or a bounded listing, in a bounded time, with nothing for a terminal."""

import json
import os
import time

import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.common.errors import plain
from tf_attrib.graph.graphdef import scopes
from tf_attrib.graph.saved import file, security

from ...conftest import assert_refused
from ...helpers import exports

EVIL = "\x1b[31mred\x1b]0;title\x07\u202egnp.exe\x9b"
# A search that is bounded ends within some seconds on the slowest machine; one that is not takes longer than the universe.
SECONDS = 60


def assert_both_refused(path, *words):
    """Inspection and the check before loading refuse `path` alike."""
    assert_refused(lambda: ta.inspect(path), *words)
    assert_refused(lambda: security.check(path), *words)
    assert_refused(lambda: security.check(path, allow_unsafe=True), *words)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"hello, this is no proto", "neither"),
        (b"PK\x03\x04" + bytes(200), "neither"),
        (b"\x12" * 1000, "neither"),
        (bytes(1000), "neither"),
        (b"\x07\x91\xe3" + b"\xff" * 500, "neither"),
        (b"\x08\x01", "neither"),
        (b"\x0a\x05\x0a\x03abc", "neither"),
    ],
)
def test_what_is_no_proto(tmp_path, data, words):
    (tmp_path / "model.pb").write_bytes(data)
    assert_both_refused(tmp_path / "model.pb", words)
    (tmp_path / "saved_model.pb").write_bytes(data)
    assert_both_refused(tmp_path, words)


def test_truncated_export(tmp_path):
    folder = exports.v1_model(tmp_path / "v1")
    data = (tmp_path / "v1" / "saved_model.pb").read_bytes()
    for part in (0.2, 0.5, 0.99):
        (tmp_path / "v1" / "saved_model.pb").write_bytes(data[: int(len(data) * part)])
        assert_both_refused(folder, "truncated")


def test_paths_that_are_no_files(tmp_path):
    (tmp_path / "folder.pb").mkdir()
    assert_both_refused(tmp_path / "folder.pb", "without a saved_model.pb")
    os.mkfifo(tmp_path / "pipe.pb")
    assert_both_refused(tmp_path / "pipe.pb", "is not a file")
    assert_both_refused(tmp_path / EVIL, "no model at", "\\x1b")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "saved_model.pbtxt").write_text("")
    assert_both_refused(tmp_path / "text", "as text")
    (tmp_path / "versions" / "7").mkdir(parents=True)
    (tmp_path / "versions" / "7" / "saved_model.pb").write_bytes(b"x")
    assert_both_refused(tmp_path / "versions", "a folder in it does", "7")


def test_more_than_can_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(file, "MAX_NODES", 2000)
    graph = exports.new_graph()
    for i in range(2000):
        exports.add_node(graph, f"n{i}", "NoOp")
    assert_both_refused(exports.write(tmp_path / "many", graph, "x:0"), "2,001 operations", "2,000")
    (tmp_path / "long.pb").write_bytes(b"")
    os.truncate(tmp_path / "long.pb", 2**31 + 5)  # sparse: takes no room
    assert_both_refused(tmp_path / "long.pb", "2.0 GB")
    graph = exports.new_graph()
    exports.add_node(graph, EVIL * 1000, "NoOp")
    assert_both_refused(exports.write(tmp_path / "name", graph, "x:0"), "a name of")


def test_more_operations_than_are_read(tmp_path):
    node = exports.add_node(exports.new_graph(), "aaaaaaa", "NoOp").SerializeToString()
    field = b"\x0a" + bytes([len(node)]) + node
    (tmp_path / "many.pb").write_bytes(b"".join(field.replace(b"aaaaaaa", b"%07d" % i) for i in range(301_000)))
    before = time.monotonic()
    assert_both_refused(tmp_path / "many.pb", "301,000 operations", "up to 300,000")
    assert time.monotonic() - before < SECONDS


def test_functions_in_a_circle(tmp_path):
    graph = exports.new_graph()
    exports.add_function(graph, "f", [("a", ["x"], "g")], "a:output:0")
    exports.add_function(graph, EVIL, [("a", ["x"], "f")], "a:output:0")
    exports.add_function(graph, "g", [("a", ["x"], EVIL)], "a:output:0")
    exports.add_node(graph, "out", "PartitionedCall", ["x"], "f")
    assert_both_refused(exports.write(tmp_path / "circle", graph), "in a circle", "f -> g -> \\x1b[31mred")


def test_a_call_of_itself_and_references_to_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(scopes, "LIMIT", 20_000)
    graph = exports.new_graph()
    exports.add_function(graph, "same", [("a", ["x"], None)], "x")
    exports.add_node(graph, "out", "PartitionedCall", ["out:0"], "same")
    found = ta.inspect(exports.write(tmp_path / "self", graph))
    assert any("stopped" in note for note in found.notes)
    graph = exports.new_graph()
    exports.add_node(graph, "out", "Relu", ["nowhere:7"], T=1)
    assert len(ta.inspect(exports.write(tmp_path / "broken", graph)).tensors) == 1
    assert ta.inspect(exports.write(tmp_path / "output", graph, "nothing:0")).heads == ()


@pytest.mark.parametrize("twice", [["x"], ["a:output:0"]])  # side by side, and one behind the other
def test_functions_that_each_call_the_next_one_twice(tmp_path, twice, monkeypatch):
    monkeypatch.setattr(scopes, "LIMIT", 20_000)
    graph = exports.new_graph()
    for i in range(60):
        exports.add_function(graph, f"f{i}", [("a", ["x"], f"f{i + 1}"), ("b", twice, f"f{i + 1}")], "b:output:0")
    exports.add_function(graph, "f60", [("a", ["x"], None)], "a:output:0")
    fill = next(function for function in graph.library.function if function.signature.name == "f60").node_def.add()
    fill.name, fill.op = "fill", "InitializeTableFromTextFileV2"
    fill.input.extend(["x", "x"])
    exports.add_node(graph, "out", "PartitionedCall", ["x"], "f0")
    folder = exports.write(tmp_path / "twice", graph)
    before = time.monotonic()
    found = ta.inspect(folder)
    assert any("stopped" in note for note in found.notes)
    assert [one.operation for one in found.unsafe_ops] == ["InitializeTableFromTextFileV2"]
    assert_refused(lambda: security.check(folder), "InitializeTableFromTextFileV2")
    assert time.monotonic() - before < SECONDS


def test_functions_nested_too_deep(tmp_path):
    graph = exports.new_graph()
    for i in range(3000):
        exports.add_function(graph, f"f{i}", [("a", ["x"], f"f{i + 1}")], "a:output:0")
    exports.add_node(graph, "out", "PartitionedCall", ["x"], "f0")
    assert_both_refused(exports.write(tmp_path / "nested", graph), "nested", "up to 100")


def test_numbers_that_claim_too_much(tmp_path):
    graph = exports.new_graph()
    node = exports.add_node(graph, "out", "Unpack", ["x"], T=1)
    node.attr["num"].i = 10**12
    constant = exports.add_node(graph, "huge", "Const", dtype=1)
    constant.attr["value"].tensor.dtype = 1
    constant.attr["value"].tensor.tensor_shape.dim.add(size=10**12)
    constant.attr["value"].tensor.float_val.append(1.0)
    exports.add_node(graph, "wrong", "Relu", ["out"], T=999)
    assert len(ta.inspect(exports.write(tmp_path / "numbers", graph)).tensors) < 10_000
    assert "unknown" not in repr(ta.inspect(exports.write(tmp_path / "types", graph, "wrong:0")).tensors)


def test_names_never_reach_the_terminal(tmp_path, capsys):
    graph = exports.new_graph()
    exports.add_node(graph, EVIL, "Softmax", ["x"], T=1)
    exports.add_node(graph, EVIL + "file", "WriteFile")
    exports.add_node(graph, EVIL + "odd", EVIL)
    variable = exports.add_node(graph, "v", "VarHandleOp", dtype=1)
    variable.attr["shared_name"].s = EVIL.encode()
    exports.add_node(graph, "sum", "AddV2", [EVIL, "read"], T=1)
    exports.add_node(graph, "read", "ReadVariableOp", ["v"], dtype=1)
    folder = exports.write(tmp_path / "names", graph, "sum:0", saved_model_main_op=[EVIL + "file"])

    def evil(meta_graph):
        meta_graph.meta_info_def.tensorflow_version = EVIL
        signature = meta_graph.signature_def[EVIL]
        signature.inputs[EVIL].name = "x:0"
        signature.outputs[EVIL].name = EVIL + ":0"

    found = ta.inspect(exports.change(folder, evil))
    assert found.heads[0].kind == "softmax"
    assert [one.operation for one in found.unsafe_ops] == ["WriteFile", EVIL]  # what it knows, and what it does not
    for text in (repr(found), found.to_json()):
        assert text.isascii() or text.replace("\n", "").isprintable()
        assert "red" in text
        assert not set(text) & set("\x1b\x07\u202e\x9b")
    assert json.loads(found.to_json())["heads"]["items"][0]["output"] == EVIL
    assert_refused(lambda: security.check(folder), "WriteFile", "red")
    assert "\u202e" not in plain(EVIL)


def test_long_lists_are_counted(tmp_path):
    graph = exports.new_graph()
    for i in range(3000):
        exports.add_node(graph, f"n{i}", "Relu", [f"n{i - 1}" if i else "x"], T=1)
        exports.add_node(graph, f"w{i}", "WriteFile")
    found = ta.inspect(exports.write(tmp_path / "long", graph, "n2999:0"))
    assert len(found.tensors) == 3001
    assert len(repr(found).splitlines()) < 60
    assert "(3,000 operations in all)" in repr(found)
    as_json = json.loads(found.to_json())
    assert as_json["tensors"]["count"] == 3001
    assert len(as_json["tensors"]["items"]) == 1000


def test_shape_of_a_text_too_long():
    assert len(plain("a" * 10_000)) <= 200
    assert plain("a" * 100 + "z") == "a" * 100 + "z"
    assert plain(tf.float32) == "<dtype: 'float32'>"
