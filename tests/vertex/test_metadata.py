"""Files of the API and of the SDK: each field is read, or named in an error or a note."""

import copy
import json

import pytest

import tf_attrib as ta
from tf_attrib.vertex.parameters import Noise
from tf_attrib.vertex.specification import load_metadata

from ..conftest import assert_refused
from ..helpers.vertex_models import COLUMN_METADATA

SHAPLEY = {"sampledShapleyAttribution": {"pathCount": 25}}
FULL = {
    "metadata": {
        "inputs": {
            "Photo": {
                "inputTensorName": "image",
                "encoding": "IDENTITY",
                "modality": "image",
                "inputBaselines": [0, [[[1.0]]]],
                "featureValueDomain": {"minValue": 0, "maxValue": 255, "originalMean": 127.5, "originalStddev": 2},
                "visualization": {
                    "type": "PIXELS",
                    "polarity": "BOTH",
                    "colorMap": "VIRIDIS",
                    "clipPercentUpperbound": 99,
                    "clipPercentLowerbound": 30,
                    "overlayType": "GRAYSCALE",
                },
            },
            "Numbers": {"inputTensorName": "n", "encoding": "INDICATOR", "indexFeatureMapping": ["p", "q"], "groupName": "all"},
            "Words": {"encoding": "COMBINED_EMBEDDING", "encodedTensorName": "lookup:0", "encodedBaselines": [0.5]},
        },
        "outputs": {"scores": {"outputTensorName": "output_0", "displayNameMappingKey": "names"}},
    },
    "parameters": {
        "integratedGradientsAttribution": {
            "stepCount": 30,
            "smoothGradConfig": {"noisySampleCount": 5, "noiseSigma": 0.2},
            "blurBaselineConfig": {"maxBlurSigma": 4},
        },
        "topK": -1,
    },
}


def snake(value):
    """The same in the spelling of the SDK, but for names of features."""
    from tf_attrib.vertex.fields import snake_case

    if isinstance(value, list):
        return [snake(one) for one in value]
    return {snake_case(name): snake(one) for name, one in value.items()} if isinstance(value, dict) else value


def as_data(spec):
    return [vars(one) for one in spec.inputs], vars(spec.output), spec.parameters, spec.notes


@pytest.mark.parametrize(
    "spelt", [FULL, snake(FULL), {"explanationSpec": FULL}, {"name": None, "explanation_spec": snake(FULL)}]
)
def test_every_field_is_read_in_both_spellings(spelt):
    if "name" in spelt:
        assert_refused(lambda: ta.vertex.load_metadata({"explanationSpec": FULL, "explanation_spec": FULL}), "twice")
        return
    spec = ta.vertex.load_metadata(spelt)
    photo, numbers, words = spec.inputs
    assert (photo.name, photo.input_tensor_name, photo.modality) == ("Photo", "image", "image")
    assert photo.input_baselines == (0, [[[1.0]]])
    assert vars(photo.domain) == {"min_value": 0, "max_value": 255, "original_mean": 127.5, "original_stddev": 2}
    drawn = photo.visualization
    assert (drawn.type, drawn.polarity, drawn.color_map, drawn.overlay_type) == ("PIXELS", "BOTH", "VIRIDIS", "GRAYSCALE")
    assert (drawn.clip_percent_upperbound, drawn.clip_percent_lowerbound) == (99, 30)
    assert (numbers.encoding, numbers.index_feature_mapping, numbers.group_name) == ("INDICATOR", ("p", "q"), "all")
    assert (words.input_tensor_name, words.encoded_tensor_name, words.encoded_baselines) == ("Words", "lookup:0", (0.5,))
    assert (spec.output.name, spec.output.output_tensor_name) == ("scores", "output_0")
    assert spec.output.display_name_mapping_key == "names"
    parameters = spec.parameters
    assert (parameters.method, parameters.count, parameters.top_k) == ("integrated_gradients_attribution", 30, -1)
    assert (parameters.noise, parameters.blur_sigma) == (Noise(5, 0.2), 4)
    assert spec.notes == ()


def test_a_file_of_the_sdk(tmp_path):
    older = {
        "inputs": {
            "photo": {
                "input_tensor_name": "image",
                "input_tensor_dtype": "float32",
                "modality": "image",
                "domain": {"min": 0, "max": 1},
                "visualization": {"type": "pixels", "polarity": "both", "clip_above_percentile": 98, "overlay_multiplier": 0.4},
                "gradient_tensor_names": {"out": "grad:0"},
            }
        },
        "outputs": {"out": {"output_tensor_name": "dense/Softmax:0", "index_name_mapping": ["a", "b"]}},
        "framework": "Tensorflow2",
        "tags": ["explainable_ai_sdk"],
    }
    (tmp_path / "explanation_metadata.json").write_text(json.dumps(older))
    spec = ta.vertex.load_metadata(tmp_path)
    assert as_data(spec)[:2] == as_data(ta.vertex.load_metadata(tmp_path / "explanation_metadata.json"))[:2]
    (photo,) = spec.inputs
    assert (photo.domain.min_value, photo.domain.max_value) == (0, 1)
    assert (photo.visualization.type, photo.visualization.polarity) == ("PIXELS", "BOTH")
    assert photo.visualization.clip_percent_upperbound == 98
    assert spec.output.index_display_name_mapping == ["a", "b"]
    assert spec.parameters.tolerance == 0.05
    for word in ("input_tensor_dtype", "gradient_tensor_names", "overlay_multiplier", "tags", "no parameters"):
        assert sum(word in note for note in spec.notes) == 1, (word, spec.notes)


def test_parameters_of_their_own_file_and_a_tolerance(tmp_path):
    (tmp_path / "parameters.json").write_text(json.dumps(SHAPLEY))
    spec = ta.vertex.load_metadata(COLUMN_METADATA, tmp_path / "parameters.json")
    assert (spec.parameters.method, spec.parameters.count) == ("sampled_shapley_attribution", 25)
    instead = ta.vertex.load_metadata(COLUMN_METADATA, SHAPLEY, tolerance=0.02)
    assert (instead.parameters.count, instead.parameters.tolerance) == (None, 0.02)
    assert any("path_count 25 is not used" in note for note in instead.notes)
    (tmp_path / "explanation_metadata.json").write_text(json.dumps(COLUMN_METADATA))
    (tmp_path / "explanation_parameters.json").write_text(json.dumps(SHAPLEY))
    assert ta.vertex.load_metadata(tmp_path).parameters.count == 25  # beside the metadata
    assert ta.vertex.load_metadata(tmp_path / "explanation_metadata.json").parameters.count is None
    replaced = ta.vertex.load_metadata(FULL, SHAPLEY)
    assert replaced.parameters.is_shapley
    assert any("others were given" in note for note in replaced.notes)
    each = {
        "stepCount": 5,
        "smoothGradConfig": {"featureNoiseSigma": {"noiseSigma": [{"name": "place", "sigma": 2}, {"name": "table"}]}},
    }
    noise = ta.vertex.load_metadata(COLUMN_METADATA, {"integratedGradientsAttribution": each}).parameters.noise
    assert [noise.of(name) for name in ("place", "table", "words")] == [2, 0.1, 0]
    assert noise.samples == 3


def changed(path, value):
    """FULL with another value in one place; `...` takes it away."""
    made = copy.deepcopy(FULL)
    at = made
    for key in path[:-1]:
        at = at[key]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return made


PHOTO, NUMBERS, WORDS = (("metadata", "inputs", name) for name in ("Photo", "Numbers", "Words"))
OUTPUT, PARAMETERS = ("metadata", "outputs", "scores"), ("parameters",)
GRADIENTS = (*PARAMETERS, "integratedGradientsAttribution")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ((*PHOTO, "inputTensorNam"), "x", ["inputs['Photo']", "input_tensor_nam", "'input_tensor_name'"]),
        ((*PHOTO, "encoding"), "ONE_HOT", ["encoding must be one of", "BAG_OF_FEATURES", "ONE_HOT"]),
        ((*PHOTO, "modality"), "sound", ["modality must be one of", "image", "sound"]),
        ((*PHOTO, "inputBaselines"), 0, ["input_baselines must be a list", "got 0"]),
        ((*PHOTO, "indicesTensorName"), "i:0", ["indices_tensor_name", "sparse", "tf.sparse.from_dense"]),
        ((*PHOTO, "encodedBaselines"), [1], ["encoded_baselines", "encoded_tensor_name"]),
        ((*PHOTO, "featureValueDomain"), {"minValue": 3, "maxValue": 1}, ["min_value must be less than", "3 and 1"]),
        ((*PHOTO, "visualization", "colorMap"), "BLUE", ["color_map must be one of", "VIRIDIS", "BLUE"]),
        ((*PHOTO, "visualization", "clipPercentLowerbound"), 99.5, ["clip_percent_lowerbound", "99.5 and 99"]),
        ((*PHOTO, "visualization", "colour"), "RED", ["visualization has a field 'colour'"]),
        ((*NUMBERS, "indexFeatureMapping"), ..., ["INDICATOR needs index_feature_mapping"]),
        ((*NUMBERS, "indexFeatureMapping"), ["p", "p"], ["names 'p' twice"]),
        ((*NUMBERS, "groupName"), "Photo", ["two features are called 'Photo'"]),
        ((*WORDS, "encodedTensorName"), ..., ["COMBINED_EMBEDDING needs encoded_tensor_name"]),
        (("metadata", "inputs"), {}, ["inputs must be an object with at least one feature"]),
        (("metadata", "outputs"), {"a": {}, "b": {}}, ["one output by name", "'a', 'b'"]),
        (("metadata", "latentSpaceSource"), "gs://x", ["latent_space_source", "example-based"]),
        (("metadata", "framework"), "xgboost", ["framework must be one of tensorflow", "xgboost"]),
        (("metadata", "input"), {}, ["field 'input'", "'inputs'"]),
        ((*OUTPUT, "indexDisplayNameMapping"), ["a"], ["names come from one of them"]),
        (
            (*PARAMETERS, "sampledShapleyAttribution"),
            {"pathCount": 3},
            ["one method", "sampled_shapley_attribution and integrated"],
        ),
        ((*PARAMETERS, "examples"), {"neighborCount": 3}, ["examples", "nearest neighbours", "xrai_attribution"]),
        ((*PARAMETERS, "topK"), 0, ["top_k", "at least 1, or -1", "got 0"]),
        ((*PARAMETERS, "outputIndices"), [1], ["top_k and output_indices"]),
        ((*PARAMETERS, "topk"), 2, ["a field 'topk'", "'top_k'"]),
        ((*GRADIENTS, "stepCount"), ..., ["needs step_count"]),
        ((*GRADIENTS, "stepCount"), 2.5, ["step_count must be a whole number", "2.5"]),
        ((*GRADIENTS, "pathCount"), 2, ["a field 'path_count'", "'step_count'"]),
        ((*GRADIENTS, "smoothGradConfig"), {"noiseSigma": -1}, ["noise_sigma must be above 0", "-1"]),
        ((*GRADIENTS, "smoothGradConfig"), {"featureNoiseSigma": {"noiseSigma": [{"name": "photo"}]}}, ["'photo'", "'Photo'"]),
        ((*GRADIENTS, "blurBaselineConfig"), {"maxBlurSigma": -2}, ["max_blur_sigma must be above 0", "-2"]),
        (("parameters",), [], ["parameters must be a JSON object", "[]"]),
    ],
)
def test_what_is_wrong_or_cannot_be_honoured_is_named(path, value, words):
    assert_refused(lambda: ta.vertex.load_metadata(changed(path, value)), *words)


def test_output_indices_and_files_that_are_none(tmp_path):
    def read(indices):
        return ta.vertex.load_metadata(COLUMN_METADATA, SHAPLEY | {"outputIndices": indices}).parameters.output_indices

    assert read([2, 0]) == ((2,), (0,))
    assert read([[0, 1], [1, 1]]) == ((0, 1), (1, 1))
    for wrong in ([-1], [[0], [0, 1]], ["a"], [True]):
        assert_refused(lambda wrong=wrong: read(wrong), "output_indices must be whole numbers")
    for text, words in (("{", ["no JSON"]), ('{"inputs": {}, "inputs": {}}', ["'inputs' is there twice"])):
        (tmp_path / "metadata.json").write_text(text)
        assert_refused(lambda: ta.vertex.load_metadata(tmp_path / "metadata.json"), *words)
    assert_refused(lambda: ta.vertex.load_metadata(tmp_path / "none.json"), "there is no file", "none.json")
    assert_refused(lambda: ta.vertex.load_metadata(7), "JSON file or a dict", "int")
    assert_refused(lambda: ta.vertex.load_metadata(COLUMN_METADATA, {}), "one method", "none of them")


def test_a_file_from_windows_is_read(tmp_path):
    """With the mark of UTF-8 that editors put in front there."""
    (tmp_path / "spec.json").write_text(json.dumps(FULL), encoding="utf-8-sig")
    assert repr(load_metadata(tmp_path / "spec.json").inputs) == repr(load_metadata(FULL).inputs)
