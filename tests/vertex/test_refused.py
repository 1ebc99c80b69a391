"""Instances and configurations that do not fit: what is wrong is named, and takes nothing else with it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta

from ..conftest import assert_refused
from ..helpers import vertex_models as models
from ..helpers.vertex_models import INSTANCES
from .test_explainer import GRADIENTS, changed, explainer


@pytest.fixture(scope="module")
def columns(tmp_path_factory):
    keras.utils.set_random_seed(0)
    return models.columns(tmp_path_factory.mktemp("models") / "columns")


def test_a_bad_instance_loses_itself_only(columns):
    path, _ = columns
    found = explainer(path, GRADIENTS)
    good = found.explain(INSTANCES)
    bad = [
        INSTANCES[0] | {"numbers": [1.0, 2.0]},
        INSTANCES[0] | {"numbers": [1.0, float("nan"), 2.0]},
        INSTANCES[0] | {"tokens": [1, 2, 3, 99]},
        INSTANCES[0] | {"tokens": ["a", "b", "c", "d"]},
        INSTANCES[0] | {"tokens": [1, 2, 3, 4.5]},
        INSTANCES[0] | {"tokens": [1, 2, 3, 2**40]},
        INSTANCES[0] | {"colour": 1},
        {"numbers": [1.0, 2.0, 3.0]},
        [1.0, 2.0],
        INSTANCES[0] | {"numbers": [[1.0], [2.0, 3.0]]},
        INSTANCES[0] | {"numbers": [1.0, 10**400, 2.0]},
    ]
    mixed = found.explain([INSTANCES[0], *bad, INSTANCES[1]], on_error="mark")
    np.testing.assert_allclose([mixed["predictions"][0], mixed["predictions"][-1]], good["predictions"], rtol=1e-5)
    for one, other in zip([mixed["explanations"][0], mixed["explanations"][-1]], good["explanations"], strict=True):
        for a, b in zip(one["attributions"], other["attributions"], strict=True):
            np.testing.assert_allclose(a["featureAttributions"]["age"], b["featureAttributions"]["age"], rtol=1e-5)
    words = [
        "shape (3)",
        "NaN",
        "",
        "numbers",
        "fractions",
        "range of int32",
        "'colour'",
        "'place'",
        "object",
        "ragged",
        "64 bits",
    ]
    for i, word in enumerate(words, 1):
        assert mixed["predictions"][i] is None
        error = mixed["explanations"][i]["error"]
        assert error.startswith(f"instance {i}: ")
        assert word in error, error
    assert_refused(lambda: found.explain([INSTANCES[0], bad[0]]), "instance 1", "shape (3)")
    with pytest.raises(ta.AttributionError, match=r"^instance 1: input 'numbers' holds NaN or infinity$"):
        found.explain([INSTANCES[0], bad[1]])  # what `attribute` would take for it is no advice to a client
    assert_refused(lambda: found.predict([*INSTANCES, bad[4]]), "instance 2", "fractions")
    assert_refused(lambda: found.predict([bad[5]]), "instance 0", "range of int32")
    assert_refused(lambda: found.predict([bad[6]]), "instance 0", "'colour'")
    assert_refused(lambda: found.explain([]), "at least one")
    assert_refused(lambda: found.explain(INSTANCES, on_error="skip"), "on_error", "'skip'")


@pytest.mark.parametrize(
    ("metadata", "parameters", "words"),
    [
        (changed(place={"input_tensor_name": "plaec"}), GRADIENTS, ["'plaec'", "none of the signature's inputs", "'place'"]),
        (changed(place={"input_tensor_name": "numbers"}), GRADIENTS, ["inputs['table']", "one input", "'numbers'"]),
        (changed(table={"index_feature_mapping": ["a", "b"]}), GRADIENTS, ["2 names", "(batch, 2)", "(None, 3)"]),
        (changed(table={"input_baselines": [[1, 2]]}), GRADIENTS, ["input_baselines", "(2,)", "(3,)"]),
        (changed(place={"input_baselines": ["a"]}), GRADIENTS, ["input_baselines", "'a'", "float32"]),
        (changed(place={"modality": "image"}), GRADIENTS, ["modality image", "(None, 1)"]),
        (changed(), {"xraiAttribution": {"stepCount": 5}}, ["xrai_attribution", "one input", "modality image"]),
        (changed() | {"outputs": {"x": {}}}, GRADIENTS, ["output_tensor_name 'x'", "'output_0'"]),
        (
            changed(),
            {"integratedGradientsAttribution": {"stepCount": 5, "smoothGradConfig": {}}},
            ["smooth_grad_config", "inputs['words']", "encoded tensor"],
        ),
        (
            changed(),
            {"integratedGradientsAttribution": {"stepCount": 5, "blurBaselineConfig": {"maxBlurSigma": 2}}},
            ["blur_baseline_config is for images"],
        ),
    ],
)
def test_what_does_not_fit_the_model_is_named(columns, metadata, parameters, words):
    assert_refused(lambda: explainer(columns[0], parameters, metadata), *words)


def test_ids_without_an_encoded_tensor_are_refused_for_gradients(columns):
    metadata = changed(words={"encoding": "IDENTITY", "encoded_tensor_name": None})
    assert_refused(lambda: explainer(columns[0], GRADIENTS, metadata).explain(INSTANCES), "tokens", "encoded_tensor_name")


def test_an_output_that_is_no_number_is_an_error_of_that_instance(tmp_path):
    made = tf.Module()
    made.serve = tf.function(lambda x: {"y": tf.math.log(x)}, input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    tf.saved_model.save(made, str(tmp_path / "logs"), signatures={"serving_default": made.serve})
    metadata = {"inputs": {"x": {"input_baselines": [1]}}, "outputs": {"y": {}}}
    found = explainer(tmp_path / "logs", GRADIENTS, metadata)
    response = found.explain([[2.0, 3.0], [2.0, -1.0]], on_error="mark")
    (one,) = response["explanations"][0]["attributions"]
    np.testing.assert_allclose(one["featureAttributions"]["x"], [0, np.log(3)], atol=1e-5)
    assert "instance 1: output 'y' is NaN" in response["explanations"][1]["error"]
    assert_refused(lambda: found.predict([[2.0, -1.0]]), "NaN")
