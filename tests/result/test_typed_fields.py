"""What a result is stands in typed fields: words may change, and no number does."""

import dataclasses
import json

import keras
import numpy as np
import pytest

import tf_attrib as ta
from tf_attrib.view.kinds import blocks

from ..conftest import make_plain_cnn, make_recurrent_text

M = ta.metrics
TYPED = ("kind", "steps", "place", "path_at", "baseline_is_zero", "taken_away")
METHODS = {
    "gradient": "gradient",
    "gradient_times_input": "gradient_times_input",
    "integrated_gradients": ta.IntegratedGradients(rule="midpoint", n_steps=8),
    "interior_gradients": ta.InteriorGradients(n_steps=8),
    "occlusion": ta.Occlusion(2),
    "ablation": "ablation",
    "groups": ta.Ablation(np.arange(64).reshape(8, 8)),
    "shapley_sampling": ta.ShapleySampling(max_evaluations=300),
    "kernel_shap": ta.KernelSHAP(max_evaluations=300),
    "lime": ta.LIME(n_samples=100),
    "deeplift": "deeplift",
    "smoothgrad": ta.SmoothGrad("integrated_gradients", 2),
    "vargrad": ta.VarGrad("gradient", 2),
    "grad_cam": "grad_cam",
    "guided_grad_cam": "guided_grad_cam",
    "rise": ta.RISE(20, 3),
    "deconvolution": "deconvolution",
    "guided_backprop": "guided_backprop",
}


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(size=(3, 8, 8, 1)).astype("float32")


@pytest.fixture(scope="module")
def attributor():
    return ta.Attributor(make_plain_cnn())


@pytest.fixture(scope="module")
def results(attributor, images):
    return {name: attributor.attribute(images, 1, method=method, seed=1) for name, method in METHODS.items()}


def reworded(result):
    """The same result with other words, which would say something else of it, if anyone read them."""
    misleading = {
        "method": "Ablation() of GradCam() of InteriorGradients(n_steps=8)",
        "at": "layer of inputs",
        "of": "zeros",
        "unit": "probability² per unit of alpha",
        "attribution_unit": "meters" if result.kind in ("slope", "square") else "meters² per unit of input",
        "baseline": "ones" if result.baseline_is_zero else "zeros_per_row: as they came",
        "notes": ("the path runs at mars; the gap is around it", "'x' left out", "zeros"),
    }
    return dataclasses.replace(result, **misleading)


def numbers(attributor, result):
    """What is measured of a result, or the refusal's kind."""
    found = {
        "kinds": [(block.kind, block.values.shape) for block in blocks(result)],
        "ranked": [[feature.attribution for feature in row] for row in result.top(5)],
    }
    for name, measure in {
        "infidelity": lambda: M.infidelity(attributor, result, samples=4).values,
        "aopc": lambda: M.aopc(attributor, result, steps=3).values,
        "sparseness": lambda: M.sparseness(result).values,
        "summary": lambda: ta.summarise(result).mean,
    }.items():
        try:
            found[name] = measure()
        except ta.AttributionError:
            found[name] = "refused"
    return found


@pytest.mark.parametrize("name", METHODS)
def test_other_words_are_no_other_numbers(attributor, results, name):
    before, after = (numbers(attributor, result) for result in (results[name], reworded(results[name])))
    assert before.keys() == after.keys()
    for what in before:
        np.testing.assert_equal(after[what], before[what], err_msg=what)
    assert isinstance(before["infidelity"], str) == (
        name in ("interior_gradients", "vargrad", "grad_cam", "guided_grad_cam", "rise", "occlusion")
    )


def test_what_each_method_gives(results):
    kinds = {name: result.kind for name, result in results.items()}
    slopes = {"gradient", "interior_gradients", "guided_backprop", "deconvolution"}
    assert {name for name, kind in kinds.items() if kind == "slope"} == slopes
    assert {name for name, kind in kinds.items() if kind == "effect"} == {"occlusion", "ablation", "groups", "lime"}
    assert (kinds["vargrad"], kinds["grad_cam"], kinds["smoothgrad"]) == ("square", "map", "contribution")
    assert (kinds["shapley_sampling"], kinds["kernel_shap"]) == ("contribution", "contribution")
    assert [name for name, result in results.items() if result.steps] == ["interior_gradients"]
    assert not results["interior_gradients"].sum(1).steps
    assert results["interior_gradients"].sum(-1).steps
    assert not results["interior_gradients"].sum((1, -1)).steps
    assert not results["interior_gradients"].sum(-4).steps
    assert {name: result.taken_away for name, result in results.items() if result.taken_away} == {
        "occlusion": "windows",
        "ablation": "positions",
        "groups": "groups",
        "lime": "positions",
    }
    np.testing.assert_array_equal(results["groups"].groups, [64, 64, 64])
    assert (kinds["guided_grad_cam"], kinds["rise"]) == ("map", "expectation")
    assert results["grad_cam"].place == "layer"
    assert {results[name].place for name in ("guided_grad_cam", "rise")} == {"inputs"}
    assert results["gradient"].place == "inputs"


def test_path_and_place_of_a_layer(images):
    attributor = ta.Attributor(make_plain_cnn(), at="conv")
    result = attributor.attribute(images, 1, method=ta.Conductance(rule="midpoint", n_steps=4))
    assert (result.kind, result.place, result.path_at) == ("contribution", "layer", "inputs")
    here = attributor.attribute(images, 1, method=ta.Conductance(path="conv", rule="midpoint", n_steps=4))
    assert here.path_at == ""
    text = ta.Attributor(make_recurrent_text()).attribute(np.arange(10, dtype="int32")[None] % 7, 1, method="gradient")
    assert text.place == "embeddings"


def test_a_baseline_is_zero_by_its_numbers(attributor, images):
    for baselines, zero in ((None, True), (np.zeros((8, 8, 1), "float32"), True), (ta.constant(0.5), False)):
        result = attributor.attribute(images, 1, baselines, ta.IntegratedGradients(rule="midpoint", n_steps=2))
        assert result.baseline_is_zero is zero


@pytest.mark.parametrize("names", [("a", "b"), ("zeros_per_row", "zeros")])
def test_names_of_inputs_say_nothing_of_a_baseline(names):
    """Against ones, integrated gradients of a sum of squares are x² - 1: their infidelity is the same by any names."""
    inputs = [keras.Input((3,), name=name) for name in names]
    score = keras.ops.sum(keras.ops.square(keras.layers.Concatenate()(inputs)), -1, keepdims=True)
    attributor = ta.Attributor(keras.Model(dict(zip(names, inputs, strict=True)), score))
    rng = np.random.default_rng(1)
    x = {name: rng.uniform(2, 3, (2, 3)).astype("float32") for name in names}
    ones = {name: np.ones(3, "float32") for name in names}
    result = attributor.attribute(x, baselines=ones)
    noise = M.Gaussian(0.01)
    found = M.infidelity(attributor, result, baselines=ones, perturbation=noise, samples=50)
    flat = np.concatenate(list(x.values()), 1)
    # phi = x + 1 where the slope is 2 x: the mean square of I · (1 - x) is its sum of squares times the variance of the noise
    np.testing.assert_allclose(found.values, ((1 - flat) ** 2).sum(1) * 0.01**2, rtol=0.5)
    with pytest.raises(ta.AttributionError, match="another baseline"):
        M.infidelity(attributor, result, perturbation=noise, samples=5)


def as_format_1(path):
    """Rewrites a file as an earlier version would have written it."""
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files if name != "groups"}
    header = json.loads(str(arrays.pop("header")))
    header["format"] = 1
    for name in (*TYPED, "left_out"):
        header["words"].pop(name, None)
    np.savez_compressed(path, header=np.asarray(json.dumps(header)), **arrays)


@pytest.mark.parametrize(
    "name", [name for name in METHODS if name not in ("lime", "rise", "guided_grad_cam", "deconvolution")]
)  # newer ones
def test_files_of_format_1_are_read(results, name, tmp_path):
    result = results[name]
    path = result.save(tmp_path / "result.npz")
    assert ta.load(path).kind == result.kind
    as_format_1(path)
    loaded = ta.load(path)
    for field in (*TYPED, "groups"):
        if (name, field) != ("ablation", "groups"):  # every position: their number is that of the shape
            np.testing.assert_equal(getattr(loaded, field), getattr(result, field), err_msg=field)
    assert repr(loaded) == repr(result)


def test_a_layer_s_path_in_files_of_format_1(images, tmp_path):
    result = ta.Attributor(make_plain_cnn(), at="conv").attribute(images, 1, method=ta.Conductance(rule="midpoint", n_steps=4))
    path = result.save(tmp_path / "result.npz")
    as_format_1(path)
    assert ta.load(path).path_at == result.path_at == "inputs"


def test_a_later_format_is_refused(results, tmp_path):
    path = results["gradient"].save(tmp_path / "result.npz")
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    header = json.loads(str(arrays.pop("header"))) | {"format": 3}
    np.savez_compressed(path, header=np.asarray(json.dumps(header)), **arrays)
    with pytest.raises(ta.AttributionError, match="format 3; this version reads 1 to 2"):
        ta.load(path)


def test_inputs_left_out_are_named_first():
    """A row that chooses among computed values: nothing float leads back to it."""
    row, x = keras.Input((1,), dtype="int32", name="row"), keras.Input((3,), name="x")
    chosen = keras.ops.take_along_axis(keras.layers.Dense(4, activation="tanh")(x), row, axis=1)
    model = keras.Model({"row": row, "x": x}, chosen)
    result = ta.Attributor(model).attribute({"row": np.array([[1], [2]], "int32"), "x": np.ones((2, 3), "float32")})
    assert result.left_out == ("row",)
    assert "LEFT OUT: 'row'" in repr(result).splitlines()[1]
    assert result.place == "inputs"
