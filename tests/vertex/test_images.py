"""Images that are explained by a configuration: XRAI, blurred baselines, smoothed gradients, preprocessing, pictures."""

import base64
import io

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tf_attrib as ta
from tf_attrib.vertex.smoothing import smoothed
from tf_attrib.view.highlight import highlight

from ..conftest import assert_refused
from ..helpers import vertex_models as models
from .test_explainer import GRADIENTS, SHAPLEY, attributions, explainer, total


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    keras.utils.set_random_seed(1)
    return models.images(tmp_path_factory.mktemp("models") / "images")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    keras.utils.set_random_seed(1)
    return models.pictures(tmp_path_factory.mktemp("models") / "pictures")


def photo_metadata(**fields):
    return {
        "inputs": {"photo": {"input_tensor_name": "image", "modality": "image", **fields}},
        "outputs": {"c": {"output_tensor_name": "output_0"}},
    }


def test_xrai_gives_each_pixel_the_mean_of_its_region(images):
    path, _ = images
    photo = np.random.default_rng(2).uniform(size=(12, 12, 3)).astype("float32")
    found = explainer(path, {"xraiAttribution": {"stepCount": 20}}, photo_metadata())
    (one,) = attributions(found.explain([photo.tolist()]))[0]
    values = np.array(one["featureAttributions"]["photo"])
    assert values.shape == (12, 12)
    attributor = ta.Attributor(path, of=ta.output("output_0"))
    result = attributor.attribute(photo[None], method=ta.XRAI(ta.IntegratedGradients(n_steps=20)))
    sums = result.attributions[0].sum(-1)
    for region in np.unique(result.regions[0]):
        inside = result.regions[0] == region
        np.testing.assert_allclose(values[inside], sums[inside].mean(), rtol=1e-4)
    np.testing.assert_allclose(values.sum(), sums.sum(), rtol=1e-4)
    assert any("lowest and highest value" in note for note in found.notes)


def test_a_blurred_baseline(images):
    path, model = images
    photo = np.random.default_rng(3).uniform(size=(12, 12, 3)).astype("float32")
    blurred = GRADIENTS["integratedGradientsAttribution"] | {"blurBaselineConfig": {"maxBlurSigma": 3}}
    found = explainer(path, {"integratedGradientsAttribution": blurred}, photo_metadata())
    (one,) = attributions(found.explain([photo.tolist()]))[0]
    end = ta.blur(3).make(photo[None], None)[0]
    np.testing.assert_allclose(one["baselineOutputValue"], model(end)[0, one["outputIndex"][0]], rtol=1e-5)
    assert np.shape(one["featureAttributions"]["photo"]) == (12, 12, 3)
    assert_refused(
        lambda: explainer(path, {"integratedGradientsAttribution": blurred}, photo_metadata(input_baselines=[0])),
        "blur_baseline",
    )


def test_smoothed_gradients_are_those_of_the_smoothed_score(tmp_path):
    """Of F(x) = sum of x^3 against 0, with the mean of noise e and e^2 known: the integral of 3 (alpha x + e)^2 times x."""
    made = tf.Module()
    made.serve = tf.function(
        lambda x, y: {"score": tf.reduce_sum(x**3, 1) + y[:, 0] ** 2},
        input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x"), tf.TensorSpec([None, 1], tf.float32, name="y")],
    )
    tf.saved_model.save(made, str(tmp_path / "cubes"), signatures={"serving_default": made.serve})
    metadata = {"inputs": {"x": {"input_baselines": [0]}, "y": {}}, "outputs": {"score": {}}}
    smooth = {"noisySampleCount": 400, "featureNoiseSigma": {"noiseSigma": [{"name": "x", "sigma": 0.5}]}}
    parameters = {"integratedGradientsAttribution": {"stepCount": 2, "smoothGradConfig": smooth}}  # exact for a cubic
    instance = {"x": [1.0, -2.0], "y": [3.0]}
    found = explainer(tmp_path / "cubes", parameters, metadata)
    (one,) = attributions(found.explain([instance], details=True))[0]
    x, y = np.array(instance["x"]), instance["y"][0]
    expected = x**3 + 3 * x * 0.25  # by the mean of e^2; the mean of e is 0
    np.testing.assert_allclose(one["featureAttributions"]["x"], expected, atol=3 * 3 * 2 * 0.5 / np.sqrt(400))
    assert not np.allclose(one["featureAttributions"]["x"], x**3, atol=0.1)
    np.testing.assert_allclose(one["featureAttributions"]["y"], [y**2], rtol=1e-5)  # no noise, which is not named
    np.testing.assert_allclose(one["instanceOutputValue"], (x**3).sum() + y**2, rtol=1e-6)
    gap = total(one) - (one["instanceOutputValue"] - one["baselineOutputValue"])
    np.testing.assert_allclose(one["details"]["gap"], gap, rtol=1e-3)
    # one example has the same numbers in any company, and again: of few samples, each of which is drawn by itself
    few = {"integratedGradientsAttribution": {"stepCount": 2, "smoothGradConfig": smooth | {"noisySampleCount": 3}}}
    found = explainer(tmp_path / "cubes", few, metadata)
    alone, two = found.explain([instance]), found.explain([{"x": [0.3, 0.1], "y": [1.0]}, instance])
    (one,), (same,) = attributions(alone)[0], attributions(two)[1]
    np.testing.assert_allclose(same["featureAttributions"]["x"], one["featureAttributions"]["x"], rtol=1e-5)


def test_noise_moves_both_ends_of_the_path(tmp_path):
    """Of a linear score the gradient is the same everywhere, so that noise changes nothing, and baselines stay averaged."""
    made = tf.Module()
    made.serve = tf.function(
        lambda x: {"y": tf.linalg.matvec(x, [2.0, -3.0])}, input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")]
    )
    tf.saved_model.save(made, str(tmp_path / "line"), signatures={"serving_default": made.serve})
    smooth = {"stepCount": 5, "smoothGradConfig": {"noiseSigma": 2.0}}
    metadata = {"inputs": {"x": {"input_baselines": [0, [1.0, 2.0]]}}, "outputs": {"y": {}}}
    found = explainer(tmp_path / "line", {"integratedGradientsAttribution": smooth}, metadata)
    (one,) = attributions(found.explain([[4.0, 5.0]]))[0]
    np.testing.assert_allclose(one["featureAttributions"]["x"], [2 * (4 - 0.5), -3 * (5 - 1)], rtol=1e-5)
    rows = np.array([[4.0, 5.0], [0.5, 1.0]], "float32")
    np.testing.assert_allclose(found.attribute(rows).attributions, [[7, -12], [0, 0]], atol=1e-4)
    np.testing.assert_allclose(found.attribute({"x": rows}).attributions["x"], [[7, -12], [0, 0]], atol=1e-4)


def test_copies_are_attributed_together_and_are_those_that_are_drawn_one_by_one(monkeypatch):
    """Of the same draws, each against references that moved with it; an example that is marked stays so."""
    attributor = ta.Attributor(lambda x: tf.reduce_sum(x**3, 1))
    x, method, calls = np.float32([[1, 2], [-1, 0.5]]), ta.IntegratedGradients(rule="midpoint", n_steps=3), []
    drawn = np.random.default_rng(5)
    moves = [drawn.normal(0, 0.5, (2,)).astype("float32") for _ in range(4)]
    expected = [
        attributor.attribute(x + move, baselines=ta.constant(1 + move), method=method, verbose=False).attributions
        for move in moves
    ]
    attribute = attributor.attribute
    monkeypatch.setattr(attributor, "attribute", lambda *given, **more: calls.append(given) or attribute(*given, **more))
    found = smoothed(attributor, {None: x}, None, ta.constant(1), method, {None: 0.5}, 4, seed=5, verbose=False)
    np.testing.assert_allclose(found.attributions, np.mean(expected, 0), rtol=1e-5)
    assert len(calls) == 2
    bad = {None: np.float32([[1, 2], [np.nan, 0]])}
    marked = smoothed(attributor, bad, None, ta.constant(1), method, {None: 0.5}, 4, seed=5, on_error="mark")
    np.testing.assert_allclose(marked.attributions[0], found.attributions[0], rtol=1e-5)
    assert marked.status.tolist() == ["", "not_finite"]


def test_bytes_go_through_the_preprocessing_of_the_model(pictures):
    path, model = pictures
    pixels = np.random.default_rng(5).integers(0, 255, (12, 12, 3)).astype("uint8")
    instance = {"bytes_inputs": {"b64": base64.b64encode(tf.io.encode_png(pixels).numpy()).decode()}}
    metadata = photo_metadata()
    metadata["inputs"]["photo"]["input_tensor_name"] = "bytes_inputs"
    found = explainer(path, GRADIENTS, metadata)
    response = found.explain([instance, {"bytes_inputs": {"b64": "AAAA"}}], on_error="mark")
    np.testing.assert_allclose(response["predictions"][0], model(pixels[None] / np.float32(255))[0], rtol=1e-5)
    assert response["predictions"][1] is None
    assert "instance 1" in response["explanations"][1]["error"]
    (one,) = response["explanations"][0]["attributions"]
    expected = ta.Attributor(model).attribute(pixels[None] / np.float32(255), method=ta.IntegratedGradients(n_steps=40))
    np.testing.assert_allclose(one["featureAttributions"]["photo"], expected.attributions[0], atol=1e-6)
    assert any("xai_preprocess" in note for note in found.notes)


def test_a_score_that_is_not_what_is_served_is_refused(images, monkeypatch):
    """What is attributed is held against the prediction: an output that is explained must be the one that clients see."""
    found = explainer(images[0], GRADIENTS, photo_metadata())
    photo = np.random.default_rng(3).uniform(size=(12, 12, 3)).tolist()
    outputs = type(found)._outputs
    monkeypatch.setattr(type(found), "_outputs", lambda self, inputs: {k: v * 0.9 for k, v in outputs(self, inputs).items()})
    assert_refused(lambda: found.explain([photo]), "as the model serves it")


def test_a_visualization_is_a_picture(images):
    """Of the pixels that raised the score, in the colour that was asked for; the numbers are in the details."""
    photo = np.random.default_rng(3).uniform(size=(12, 12, 3))
    how = {"type": "PIXELS", "colorMap": "RED", "clipPercentLowerbound": 50, "clipPercentUpperbound": 100}
    found = explainer(images[0], GRADIENTS, photo_metadata(visualization=how))
    (one,) = attributions(found.explain([photo.tolist()], details=True))[0]
    picture = one["featureAttributions"]["photo"]
    assert list(picture) == ["b64_jpeg"]
    drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture["b64_jpeg"])))).astype(int)
    assert drawn.shape == (12, 12, 3)
    plain = attributions(explainer(images[0], GRADIENTS, photo_metadata()).explain([photo.tolist()]))[0][0]
    numbers = one["details"]["featureAttributions"]["photo"]
    np.testing.assert_allclose(numbers, plain["featureAttributions"]["photo"], rtol=1e-6)
    sums = np.sum(numbers, -1)
    expected = highlight(photo, sums, scheme="red", percentiles=(50, 100)).astype(int)
    assert np.abs(drawn - expected).mean() < 12  # a JPEG is not exact
    strong, weak = sums > np.quantile(sums, 0.9), sums < np.quantile(sums, 0.3)
    assert drawn[strong][:, 0].mean() > 3 * drawn[weak][:, 0].mean()
    assert drawn[strong][:, 0].mean() > 2 * drawn[strong][:, 1].mean()
    # an image that was normalised is shown as it was: black and white are those of its domain
    domain = {"minValue": 0, "maxValue": 255, "originalMean": 100, "originalStddev": 50}
    shown = photo_metadata(
        visualization=how | {"overlayType": "ORIGINAL", "clipPercentLowerbound": 99.9}, featureValueDomain=domain
    )
    (other,) = attributions(explainer(images[0], GRADIENTS, shown).explain([photo.tolist()]))[0]
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(other["featureAttributions"]["photo"]["b64_jpeg"]))))
    assert abs(seen.mean() - (photo * 50 + 100).mean()) < 10
    xrai = explainer(images[0], {"xraiAttribution": {"stepCount": 5}}, photo_metadata(visualization={}))
    (regions,) = attributions(xrai.explain([photo.tolist()]))[0]
    assert list(regions["featureAttributions"]["photo"]) == ["b64_jpeg"]
    unused = explainer(images[0], SHAPLEY, photo_metadata(visualization=how))
    assert any("visualization is not used" in note for note in unused.notes)


def test_metadata_may_name_what_preprocessing_gives(pictures):
    path, _ = pictures
    metadata = photo_metadata()
    metadata["inputs"]["photo"]["input_tensor_name"] = "numpy_inputs"
    found = explainer(path, GRADIENTS, metadata)
    pixels = np.random.default_rng(5).integers(0, 255, (12, 12, 3)).astype("uint8")
    instance = {"b64": base64.b64encode(tf.io.encode_png(pixels).numpy()).decode()}
    (one,) = attributions(found.explain([instance]))[0]
    assert np.shape(one["featureAttributions"]["photo"]) == (12, 12, 3)
    metadata["inputs"]["photo"]["input_tensor_name"] = "pixels"
    assert_refused(lambda: explainer(path, GRADIENTS, metadata), "'pixels'", "'numpy_inputs'")
    # the signature that is served is explained where it is named: bytes have no gradient
    metadata["inputs"]["photo"] = {"input_tensor_name": "bytes_inputs"}
    served = explainer(path, GRADIENTS, metadata, signature="serving_default")
    assert_refused(lambda: served.explain([instance]), "bytes_inputs", "encoded_tensor_name")
