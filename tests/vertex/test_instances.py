"""Instances as JSON, and what in a model a configuration names."""

import base64
import json

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.vertex.explained import explained
from tf_attrib.vertex.instances import arrays_of, as_json
from tf_attrib.vertex.parameters import ExplanationParameters
from tf_attrib.vertex.responses import display_name

from ..conftest import assert_refused
from ..helpers import vertex_models as models
from .test_explainer import GRADIENTS, SHAPLEY, attributions, explainer

TEXT = {"t": tf.TensorSpec([None, None], tf.string, "t")}
NUMBERS = {"x": tf.TensorSpec([None, 2], tf.float32, "x")}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["a", "ü"], [b"a", "ü".encode()]),
        ([{"b64": base64.b64encode(b"\xff\x00").decode()}], [b"\xff\x00"]),
        ([], []),
        (["a\0", "bb"], [b"a\0", b"bb"]),  # nothing is cut off
    ],
)
def test_text_is_bytes(value, expected):
    found = arrays_of({"t": value}, TEXT)["t"]
    assert found.dtype == object
    assert found.tolist() == expected
    assert arrays_of(value, TEXT)["t"].tolist() == expected  # the only input needs no name
    scalar = {"t": tf.TensorSpec([None], tf.string, "t")}
    assert arrays_of({"b64": "AA=="}, scalar)["t"].item() == b"\0"


@pytest.mark.parametrize(
    ("instance", "specs", "words"),
    [
        ({"t": [1]}, TEXT, ["'t' is text", "got 1"]),
        ({"t": [{"b64": "?"}]}, TEXT, ["not base64"]),
        ({"t": [{"b64": 3}]}, TEXT, ["'t' is text"]),
        ({"t": [["a"], "b"]}, TEXT, ["ragged"]),
        ({"t": "a"}, TEXT, ["shape (any)", "got ()"]),
        ({"x": [1, None]}, NUMBERS, ["numbers", "None"]),
        ({"x": [1, "2"]}, NUMBERS, ["numbers", "'2'"]),
        ({"x": [[1], [2]]}, NUMBERS, ["shape (2)", "(2, 1)"]),
        ({"y": [1, 2]}, NUMBERS, ["'x'", "'y'"][:1]),
        ({"x": [1, 2], "y": 1}, NUMBERS, ["no input of the model, 'y'"]),
        ({}, NUMBERS, ["no value for 'x'"]),
    ],
)
def test_what_is_no_instance_is_named(instance, specs, words):
    assert_refused(lambda: arrays_of(instance, specs), *words)


def test_arrays_as_json():
    assert as_json(np.float32(0.5)) == 0.5
    assert as_json(np.array([[1, 2]], "int64")) == [[1, 2]]
    assert as_json(np.array([b"a", "ü".encode(), b"\xff"], object)) == ["a", "ü", {"b64": "/w=="}]
    assert as_json(np.array(b"a", object)) == "a"


def test_which_outputs_are_explained():
    scores = np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]])
    indices = lambda parameters: [one.indices.tolist() for one in explained(scores, parameters)]  # noqa: E731
    assert indices(ExplanationParameters()) == [[[1], [0]]]
    assert indices(ExplanationParameters(top_k=2)) == [[[1], [0]], [[2], [2]]]
    assert indices(ExplanationParameters(output_indices=((0,),))) == [[[0], [0]]]
    (one,) = explained(np.array([3.0, 4.0]), ExplanationParameters(top_k=-1))  # one number each
    assert one.index(0) == ()
    assert one.values(np.array([3.0, 4.0])).tolist() == [3, 4]
    assert one.target is None
    assert_refused(lambda: list(explained(scores, ExplanationParameters(output_indices=((0, 1),)))), "[0, 1]", "(3,)")


def test_display_names():
    assert display_name(["a", "b"], (1,), "names") == "b"
    assert display_name("only", (), "names") == "only"
    assert display_name(["only"], (), "names") == "only"
    assert_refused(lambda: display_name(["a"], (1,), "names"), "names has no name", "[1]")
    assert_refused(lambda: display_name("a", (0,), "names"), "names has no name")
    assert_refused(lambda: display_name([1], (0,), "names"), "must hold a string", "1")


def test_tensors_by_their_names_in_the_graph(tmp_path):
    """As files for TensorFlow 1 name them; here of a model of TensorFlow 1, too."""
    path = models.named(tmp_path / "named")
    outputs = {"p": {"output_tensor_name": "probabilities"}}
    plain = explainer(path, GRADIENTS, {"inputs": {"x": {}}, "outputs": outputs})
    for name in ("serving_default_x:0", "serving_default_x"):
        found = explainer(path, GRADIENTS, {"inputs": {"table": {"input_tensor_name": name}}, "outputs": outputs})
        (one,), (other,) = (each.explain([[1.0, 2.0, 3.0]])["explanations"][0]["attributions"] for each in (found, plain))
        assert one["featureAttributions"] == {"table": other["featureAttributions"]["x"]}
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, 2), name="x")
        y = tf.identity(x[:, 0] * x[:, 1], name="product")
        v1.saved_model.simple_save(session, str(tmp_path / "v1"), {"given": x}, {"found": y})
    metadata = {"inputs": {"pair": {"input_tensor_name": "x:0"}}, "outputs": {"product": {"output_tensor_name": "product:0"}}}
    (one,) = attributions(explainer(tmp_path / "v1", GRADIENTS, metadata).explain([[3.0, 4.0]]))[0]
    np.testing.assert_allclose(one["featureAttributions"]["pair"], [6, 6], rtol=1e-5)
    assert "outputIndex" not in one
    (one,) = attributions(explainer(tmp_path / "v1", SHAPLEY, metadata).explain([[3.0, 4.0]]))[0]
    np.testing.assert_allclose(one["featureAttributions"]["pair"], 12, rtol=1e-5)  # the tensor is one feature


def test_models_and_files_that_cannot_be_configured(tmp_path):
    made = tf.Module()
    made.serve = tf.function(lambda x: {"y": tf.reduce_sum(x)}, [tf.TensorSpec([None, 2], tf.float32, name="x")])
    tf.saved_model.save(made, str(tmp_path / "sum"), signatures={"serving_default": made.serve})
    metadata = {"inputs": {"x": {}}, "outputs": {"y": {}}}
    assert_refused(lambda: explainer(tmp_path / "sum", GRADIENTS, metadata).predict([[1.0, 2.0], [3.0, 4.0]]), "a row for each")
    with tf.Graph().as_default() as graph:
        tf.identity(tf.compat.v1.placeholder(tf.float32, (None, 2), name="x"), name="y")
    (tmp_path / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    assert_refused(lambda: explainer(tmp_path / "graph.pb", GRADIENTS, metadata), "frozen graph")
    assert_refused(lambda: explainer(tmp_path / "sum", GRADIENTS, metadata, signature="other"), "'other'", "serving_default")
    assert_refused(lambda: explainer(tmp_path / "sum", GRADIENTS, metadata, seed=-1), "seed")
    with pytest.raises(ta.AttributionError, match="no file"):
        ta.Attributor.from_explanation_metadata(tmp_path / "sum")
    (tmp_path / "sum" / "explanation_metadata.json").write_text(json.dumps(metadata))
    assert ta.Attributor.from_explanation_metadata(tmp_path / "sum").spec.parameters.tolerance == 0.05


def test_an_instance_gets_the_same_in_any_company(tmp_path):
    """Whole numbers beyond 2**53 lose their last digits in an array with fractions."""

    class Digits(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 1), tf.int64, "id"), tf.TensorSpec((None, 1), tf.float32, "x")])
        def __call__(self, id, x):
            return {"y": x * tf.cast(id % 10, tf.float32)}

    digits = Digits()
    tf.saved_model.save(digits, str(tmp_path / "digits"), digits.__call__)
    found = explainer(tmp_path / "digits", GRADIENTS, {"inputs": {"x": {}}, "outputs": {"y": {"output_tensor_name": "y"}}})
    large, small = {"id": [2**60 + 1], "x": [1]}, {"id": [3.0], "x": [0.5]}
    assert found.predict([large, small])["predictions"] == [[7.0], [1.5]]
    (one,), (other,) = attributions(found.explain([large, small]))
    assert (one["instanceOutputValue"], other["instanceOutputValue"]) == (7, 1.5)
