"""Infidelity, max-sensitivity, sparseness and pointing: closed forms, captum and Quantus, and what each refuses."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib import extend
from tf_attrib.metrics.intervals import mean_interval
from tf_attrib.metrics.sparseness import gini

from ..conftest import assert_refused, make_plain_cnn, make_recurrent_text
from .test_fidelity import WEIGHTS, X, small_net

M = ta.metrics
# What captum 0.9.0 was given beside the net of `small_net`.
PERTURBATIONS = np.random.default_rng(3).normal(0, 0.1, (50, 6)).round(2)


@pytest.fixture(scope="module")
def linear():
    return ta.Attributor(lambda x: tf.linalg.matvec(x, WEIGHTS) + 0.7)


@pytest.fixture(scope="module")
def pictures():
    return ta.Attributor(make_plain_cnn())


@pytest.fixture(scope="module")
def bent():
    return ta.Attributor(lambda x: tf.reduce_sum(x**2, 1))


# infidelity


@pytest.mark.parametrize("perturbation", [None, M.Gaussian(0.5), M.NoisyBaseline(0.2), M.Squares(2), M.Squares((1, 3))])
@pytest.mark.parametrize("method", ["gradient", "gradient_times_input", "integrated_gradients", "occlusion", "deeplift"])
def test_of_a_linear_model_it_is_zero(linear, method, perturbation):
    """The gradient, and what is complete divided by x - x', are the slope itself."""
    options = {} if method in ("gradient", "gradient_times_input") else {"baselines": np.full(4, 3, "float32")}
    found = M.infidelity(linear, X, method=method, perturbation=perturbation, samples=20, **options)
    np.testing.assert_allclose(found.values, 0, atol=1e-9)
    assert found.better == "lower"
    assert found.unit == "squared raw"


@pytest.mark.parametrize(
    "method", ["ablation", ta.Ablation(np.arange(4)), ta.SmoothGrad("gradient", 3), "conductance", "internal_influence"]
)
def test_what_a_method_is_in_decides_and_not_its_gap(linear, method):
    """Ablation has no gap, and its attributions are in the unit of the score; of a linear model all of these are exact."""
    found = M.infidelity(linear, linear.attribute(X, method=method, seed=1), samples=20)
    np.testing.assert_allclose(found.values, 0, atol=1e-9)
    np.testing.assert_allclose(M.infidelity(linear, X, method=method, samples=20).values, 0, atol=1e-9)


def test_the_effect_of_a_position_is_shared_out_to_its_channels():
    """Two channels with w · x of 1 and 1: ablation and windows of one position give each 2, and the slope of each is w."""
    attributor = ta.Attributor(lambda x: 2 * tf.reduce_sum(x, [1, 2]))
    x = np.repeat(np.arange(1.0, 5, dtype="float32")[None, :, None], 2, 2)
    for method in ("ablation", ta.Occlusion(1)):
        whole = attributor.attribute(x, method=method)
        for result in (whole, whole.sum(-1)):
            np.testing.assert_allclose(M.infidelity(attributor, result, samples=20).values, 0, atol=1e-8)


def test_the_effect_of_wide_windows_is_measured_but_for_its_scale():
    """Every feature of a window has the whole of it: of equal ones four times what each is worth."""
    attributor = ta.Attributor(lambda x: 2 * tf.reduce_sum(x, [1, 2]))
    x, wide = np.ones((1, 4, 2), "float32"), ta.Occlusion(2, 2)
    noise = M.Gaussian(0.1)
    assert_refused(lambda: M.infidelity(attributor, x, method=wide, perturbation=noise), "whole windows", "normalise=True")
    found = M.infidelity(attributor, x, method=wide, perturbation=noise, samples=20, normalise=True)
    np.testing.assert_allclose(found.values, 0, atol=1e-8)
    two = ta.Attributor(lambda both: tf.reduce_sum(both[0], 1) + tf.reduce_sum(both[1], 1))
    for normalise in (True, False):
        assert_refused(
            lambda given=normalise: M.infidelity(two, [x[..., 0], x[..., 1]], method=wide, normalise=given), "several sizes"
        )


def test_a_result_of_ones_own_is_a_slope_unless_it_says_otherwise(linear):
    slope = linear.attribute(X, method="gradient")
    own = ta.Attribution(slope.attributions, slope.scores, X)
    np.testing.assert_allclose(M.infidelity(linear, own, samples=20).values, 0, atol=1e-9)
    own = ta.Attribution(slope.attributions * X, slope.scores, X, kind="contribution", baseline_is_zero=True)
    np.testing.assert_allclose(M.infidelity(linear, own, samples=20).values, 0, atol=1e-9)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("vargrad", "squares"),
        ("smoothgrad_squared", "squares"),
        (ta.VarGrad("gradient_times_input", 3), "squares"),
        ("grad_cam", "GradCam("),
        (ta.SmoothGrad("grad_cam", 3), "GradCam("),
        (ta.Ablation(np.arange(64).reshape(8, 8) // 2), "32 groups for 64 features"),
    ],
)
def test_methods_that_say_nothing_of_a_feature_are_refused(pictures, images, method, words):
    attributor = pictures
    for given in (images, attributor.attribute(images, method=method, seed=1)):
        assert_refused(lambda given=given: M.infidelity(attributor, given, method=method, samples=3), "infidelity", words)


def test_conductance_at_a_layer_is_refused_and_influence_is_a_slope(cnn, images):
    """Its baseline is at the input: y - 0 is not y(x) - y(x')."""
    attributor = ta.Attributor(cnn, at="conv")
    for method in ("conductance", ta.SmoothGrad("conductance", 2)):
        result = attributor.attribute(images, method=method, seed=1)
        assert_refused(lambda result=result: M.infidelity(attributor, result), "Conductance", "layer 'conv'", "at inputs")
    result = attributor.attribute(images, method="internal_influence")
    own = ta.Attribution(result.attributions, result.scores, images, target=result.target)
    np.testing.assert_allclose(
        M.infidelity(attributor, result, samples=5).values, M.infidelity(attributor, own, samples=5).values
    )


def test_conductance_where_its_path_is_measures_as_integrated_gradients(ids):
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype("float32")
    for model, x in ((make_recurrent_text(), ids), (make_plain_cnn(), images)):
        attributor = ta.Attributor(model)
        steps = {"n_steps": 6}
        found = [
            M.infidelity(attributor, x, method=method, samples=5).values
            for method in (ta.Conductance(**steps), ta.IntegratedGradients(**steps))
        ]
        np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-9)


def test_of_a_parabola_by_hand(bent):
    """F = sum of x²: F(x) - F(x - I) = 2 x·I - I·I, so the gradient is off by I·I, integrated gradients by x·I - I·I."""
    x, given = np.array([[1.0, -2.0]], "float32"), np.array([[0.5, 0.0], [1.0, 1.0], [0.0, -0.25]])
    of_gradient = M.infidelity(bent, x, method="gradient", perturbation=given)
    np.testing.assert_allclose(of_gradient.values, np.mean(((given**2).sum(1)) ** 2), rtol=1e-5)
    complete = M.infidelity(bent, x, perturbation=given, method=ta.IntegratedGradients(n_steps=5))
    np.testing.assert_allclose(complete.values, np.mean((given @ x[0] - (given**2).sum(1)) ** 2), rtol=1e-5)


def test_gaussian_noise_in_the_limit(bent):
    """E (I·I)² of d normal numbers of variance s² is s⁴ d (d + 2)."""
    x = np.array([[1.0, -2.0, 0.5]], "float32")
    found = M.infidelity(bent, x, method="gradient", perturbation=M.Gaussian(0.5), samples=40000)
    np.testing.assert_allclose(found.values, 0.5**4 * 15, rtol=0.05)


def test_squares_lie_everywhere_and_have_their_side():
    """What is removed is a square of ones: scores of the sum say how large it was, and where."""
    attributor = ta.Attributor(lambda x: tf.reduce_sum(x, [1, 2, 3]))
    image = np.ones((1, 5, 6, 2), "float32")
    zero = ta.Attribution(np.zeros((1, 5, 6, 2), "float32"), np.full(1, 60.0), image)
    found = M.infidelity(attributor, zero, perturbation=M.Squares(3), samples=300)
    np.testing.assert_allclose(found.values, (3 * 3 * 2) ** 2, rtol=1e-5)
    for corner in (ta.Attributor(lambda x: x[:, 0, 0, 0]), ta.Attributor(lambda x: x[:, 4, 5, 1])):
        own = dataclasses.replace(zero, scores=np.ones(1))
        hits = M.infidelity(corner, own, perturbation=M.Squares(3), samples=4000)
        assert abs(hits.values[0] - 1 / 12) < 0.02  # each corner is under one place of 3 × 4


@pytest.mark.parametrize(
    ("method", "normalise", "expected"),
    [
        ("gradient", False, [0.00015828331126375634, 0.0005790183109084682, 0.0034520904822669795, 0.0013561089862019098]),
        ("gradient", True, [0.00015628345711558966, 0.0005790061883643549, 0.0032003436693134723, 0.001348119897337252]),
        ("ig", False, [0.010846820077095318, 0.014217064685549851, 0.00925563212697016, 0.02046067683102715]),
        ("ig", True, [0.0014803946973823631, 0.014008483987957376, 0.008603026568077156, 0.016669196098144337]),
    ],
)
def test_infidelity_agrees_with_captum(method, normalise, expected):
    """captum 0.9.0, captum.metrics.infidelity(net, perturb, x, attributions, target=2, n_perturb_samples=50,
    normalize=normalise) in float64, torch 2.13.0; perturb gives these perturbations I and x - I; attributions are the
    gradient, or integrated gradients (200 Gauss-Legendre nodes) divided by x."""
    x, attributor = small_net()
    method = ta.IntegratedGradients(n_steps=200) if method == "ig" else method
    found = M.infidelity(attributor, x, target=2, method=method, perturbation=PERTURBATIONS, normalise=normalise)
    np.testing.assert_allclose(found.values, expected, rtol=1e-6)


def test_features_that_equal_their_baseline_are_left_out_and_said(bent):
    x = np.array([[1.0, 0.0, -2.0, 0.0]], "float32")
    found = M.infidelity(bent, x, perturbation=np.ones((1, 4)), method=ta.IntegratedGradients(n_steps=5))
    np.testing.assert_allclose(found.values, (-1 - 2) ** 2, rtol=1e-5)  # x·I - I·I over the first and the third
    assert "50.0% of the features equal their baseline" in repr(found)
    of_gradient = M.infidelity(bent, x, perturbation=np.ones((1, 4)), method="gradient")
    np.testing.assert_allclose(of_gradient.values, 16, rtol=1e-5)
    assert not of_gradient.notes


def test_where_nothing_is_perturbed_nothing_is_measured(bent):
    """0 would be perfect: of an example that is its baseline, and of inputs whose range sets the noise and is none."""
    x, steps = np.array([[1.0, -2.0, 3.0], [0.0, 0.0, 0.0]], "float32"), ta.IntegratedGradients(n_steps=5)
    for perturbation, method in ((None, steps), (M.Squares(2), steps), (M.Squares(2), "gradient")):
        found = M.infidelity(bent, x, method=method, perturbation=perturbation, samples=3)
        np.testing.assert_array_equal(np.isnan(found.values), [False, True])
    constant = np.ones((2, 3), "float32")
    for perturbation in (None, M.NoisyBaseline()):
        assert_refused(lambda given=perturbation: M.infidelity(bent, constant, perturbation=given), "Gaussian(stddev)")
    assert_refused(lambda: M.max_sensitivity(bent, constant, method="gradient"), "give radius=")


def test_reduced_attributions_are_shared_out_equally():
    """Three channels with the same values: the sum over channels, a third for each, is the slope again."""
    attributor = ta.Attributor(lambda x: 2 * tf.reduce_sum(x, [1, 2]))
    x = np.repeat(np.arange(1.0, 5, dtype="float32")[None, :, None], 3, 2)
    found = M.infidelity(attributor, attributor.attribute(x).sum(-1), samples=20)
    np.testing.assert_allclose(found.values, 0, atol=1e-8)


def test_a_result_against_another_baseline_is_refused(bent):
    result = bent.attribute(X, baselines=ta.constant(0.5))
    assert_refused(lambda: M.infidelity(bent, result), "another baseline", "pass the baselines=")
    assert np.isfinite(M.infidelity(bent, result, baselines=ta.constant(0.5)).values).all()


def test_a_result_of_another_output_or_of_other_inputs_is_refused():
    """Logits are no probabilities, and zeros are the baseline of both."""
    model = lambda x: tf.nn.softmax(x @ tf.constant([[1.0, 0.0], [0.0, 2.0]]))  # noqa: E731
    attributor, x = ta.Attributor(model), np.array([[1.0, 3.0]], "float32")
    for method in ("gradient", "gradient_times_input"):
        logits = ta.Attributor(model, of="logits").attribute(x, 0, method=method)
        assert_refused(lambda given=logits: M.infidelity(attributor, given), "another output", "probability at")
    own = attributor.attribute(x, 0, method="gradient")
    assert_refused(lambda: M.compare(attributor, 2 * x, {"own": own}, "deletion", random=False), "other examples")


def test_neither_blocks_nor_company_change_the_draws(bent):
    other = ta.Attributor(bent.model, batch_size=7)
    for perturbation in (M.Gaussian(1), M.NoisyBaseline(1), M.Squares((1, 2))):
        options = {"method": "gradient", "perturbation": perturbation, "samples": 30}
        whole = M.infidelity(bent, X, seed=3, **options).values
        np.testing.assert_allclose(M.infidelity(other, X, seed=3, **options).values, whole, rtol=1e-5)
        np.testing.assert_allclose(M.infidelity(bent, X[1:], seed=3, **options).values, whole[1:], rtol=1e-5)
        if not isinstance(perturbation, M.Squares):  # of few places each will come up
            assert not np.allclose(M.infidelity(bent, X, seed=4, **options).values, whole)


def test_infidelity_of_words(words):
    ids = np.random.default_rng(0).integers(1, 20, (3, 6))
    found = M.infidelity(ta.Attributor(words), ids, perturbation=M.Squares((1, 3)), samples=40)
    assert np.isfinite(found.values).all()
    assert (found.values > 0).all()


def test_what_infidelity_refuses(bent):
    assert_refused(lambda: M.infidelity(bent, X, perturbation=M.Gaussian), "Squares(side)")
    assert_refused(lambda: M.infidelity(bent, X, perturbation=np.ones((3, 5))), "(samples, *(4,))")
    assert_refused(lambda: M.infidelity(bent, X, perturbation=np.ones((3, 4)), samples=3), "leave samples= out")
    assert_refused(lambda: M.infidelity(bent, X, samples=0), "at least 1")
    assert_refused(lambda: M.Gaussian(0), "above 0")
    assert_refused(lambda: M.Gaussian(np.inf), "finite number above 0", "inf")
    assert_refused(lambda: M.Squares((3, 2)), "(least, greatest)")


def test_noise_of_several_tensors_is_of_the_range_of_each():
    """E I^4 of normal noise is 3 stddev^4; columns had a tenth of the range of the pixels beside them, which gave 1.3e6."""
    attributor = ta.Attributor(lambda x: tf.reduce_sum(x["table"] ** 2, 1) + 0 * tf.reduce_sum(x["image"], 1))
    x = {"image": np.array([[0.0, 255.0], [9.0, 3.0]]), "table": np.array([[0.0], [1.0]])}
    found = M.infidelity(attributor, x, method="gradient", samples=20_000)
    np.testing.assert_allclose(found.values, 3 * 0.1**4, rtol=0.1)
    assert "standard deviation 'image' 25.5, 'table' 0.1" in found.settings
    assert (
        "standard deviation 2," in M.infidelity(attributor, x, perturbation=M.Gaussian(2.0), samples=4, normalise=True).settings
    )


def test_perturbations_and_levels_that_are_none(bent):
    assert_refused(lambda: M.infidelity(bent, X, perturbation=np.full((2, 4), np.nan)), "perturbations hold NaN")
    for level in (0, 1, 1.5, np.nan):
        assert_refused(lambda level=level: M.sparseness(bent.attribute(X)).interval(level), "level")


# max-sensitivity


def test_of_a_linear_model_the_gradient_does_not_change(linear):
    found = M.max_sensitivity(linear, X, method="gradient", radius=0.3)
    np.testing.assert_array_equal(found.values, 0)
    assert found.better == "lower"


def test_sensitivity_of_a_parabola(bent):
    """phi = 2x: it changes by 2 |y - x|, in one dimension by up to 2 r; relative to 2 |x|."""
    x = np.array([[0.5], [-2.0]], "float32")
    found = M.max_sensitivity(bent, x, method="gradient", radius=0.1, samples=100, relative=False)
    assert np.all((found.values > 0.195) & (found.values <= 0.2 + 1e-6))
    relative = M.max_sensitivity(bent, x, method="gradient", radius=0.1, samples=100)
    np.testing.assert_allclose(relative.values, found.values / [1, 4], rtol=1e-5)
    more = M.max_sensitivity(bent, x, method="gradient", radius=0.2, samples=100)
    np.testing.assert_allclose(more.values, 2 * relative.values, rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])  # a model of float32 is given float32
def test_of_what_rounding_left_in_place_no_sensitivity_is_known(dtype):
    """phi = 2x of (0.5, 1e4): floats near 1e4 are 1e-3 apart. It was 0, the best there is."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Lambda(lambda x: x**2)])
    found = M.max_sensitivity(ta.Attributor(model), np.array([[0.5], [1e4]], dtype), method="gradient", radius=1e-4)
    np.testing.assert_allclose(found.values, [2e-4, np.nan], rtol=0.2)
    assert any("lost to rounding in 1 example" in note for note in found.notes)


def test_sensitivity_agrees_with_captum():
    """captum 0.9.0, captum.metrics.sensitivity_max(Saliency(net).attribute with abs=False, x, target=2, perturb_radius=0.05,
    n_perturb_samples=4000), torch.manual_seed(0), on the first two inputs of the net: both are greatest values of many draws
    from the same box, which what its corners give bounds."""
    captum = np.array([0.09059979602651844, 0.2532360139886334, 0.1754636002172074, 0.06710765483526797])
    x, attributor = small_net(2)
    found = M.max_sensitivity(attributor, x, target=2, method="gradient", radius=0.05, samples=300).values
    corners = 0.05 * np.array([[0, 0], [1, 1], [1, -1], [-1, 1], [-1, -1]])
    phi = [attributor.attribute(one + corners, 2, method="gradient").attributions for one in x]
    most = np.array([np.linalg.norm(each - each[0], axis=1).max() / np.linalg.norm(each[0]) for each in phi])
    assert np.all(found <= most)
    np.testing.assert_allclose(captum, most, rtol=0.05)
    np.testing.assert_allclose(found, captum, rtol=0.1)


def test_what_sensitivity_refuses(bent, words):
    assert_refused(lambda: M.max_sensitivity(ta.Attributor(words), np.ones((2, 6), int)), "tokens have no small changes")
    assert_refused(lambda: M.max_sensitivity(bent, bent.attribute(X)), "result.inputs")
    for radius in (-1, np.inf):
        assert_refused(lambda radius=radius: M.max_sensitivity(bent, X, radius=radius), "radius", "finite number above 0")
    assert_refused(lambda: M.max_sensitivity(bent, X, samples=0), "at least 1")


def test_ids_that_come_as_floats_are_not_moved():
    """As Keras takes them where no dtype is given: a cast would make another id of one that is moved."""
    table = tf.constant(np.arange(20, dtype="float32")[:, None] ** 2)

    def scored(x):
        return tf.reduce_sum(tf.gather(table, tf.cast(x["ids"], tf.int32)), [1, 2]) * x["size"]

    x = {"ids": np.array([[3, 19], [5, 0]], "float32"), "size": np.array([1, 2], "float32")}
    as_given, whole = (
        M.max_sensitivity(ta.Attributor(scored), given, method="gradient", radius=0.1)
        for given in (x, x | {"ids": x["ids"].astype("int32")})
    )
    assert "'ids'" not in as_given.settings
    np.testing.assert_allclose(as_given.values, whole.values)


def test_the_class_explained_stays_that_of_the_input():
    """Near a border the class of a moved input is another; its attribution would jump."""
    kernel = np.array([[1.0, -1.0]], "float32")
    attributor = ta.Attributor(lambda x: tf.nn.softmax(x @ kernel))
    found = M.max_sensitivity(attributor, np.array([[0.01]], "float32"), method="gradient", radius=0.1, samples=50)
    assert found.values[0] < 0.1


# sparseness


def test_gini_by_formula():
    np.testing.assert_allclose(gini(np.array([[1.0, 1, 1, 1], [0, 0, 0, -5], [1, 2, 3, 4]])), [0, 0.75, 0.25])
    assert np.isnan(gini(np.array([[0.0, 0.0], [1.0, np.nan]]))).all()


def test_gini_is_the_mean_absolute_difference():
    """The second definition: the mean |a_i - a_j| over all pairs, divided by twice the mean."""
    values = np.abs(np.random.default_rng(0).normal(size=(3, 20)))
    pairs = np.abs(values[:, :, None] - values[:, None]).mean((1, 2)) / (2 * values.mean(1))
    np.testing.assert_allclose(gini(values), pairs)


def test_sparseness_agrees_with_quantus():
    """quantus 0.6.0, Sparseness(normalise=False) of integrated gradients (captum 0.9.0, 200 Gauss-Legendre nodes)."""
    x, attributor = small_net()
    found = M.sparseness(attributor.attribute(x, 2, method=ta.IntegratedGradients(n_steps=200)))
    np.testing.assert_allclose(
        found.values, [0.6146688007694788, 0.43867928944890566, 0.44814669664782664, 0.6172201478841999], atol=1e-6
    )
    assert found.better == ""
    assert_refused(lambda: M.sparseness(x), "attributor.attribute")


# pointing


def test_pointing_agrees_with_quantus():
    """quantus 0.6.0, PointingGame(normalise=False, abs=False), features 2 and 5 as the object: misses and hits."""
    x, attributor = small_net()
    mask = np.zeros((4, 6))
    mask[:, [2, 5]] = 1
    found = M.pointing(attributor.attribute(x, 2, method=ta.IntegratedGradients(n_steps=200)), mask)
    np.testing.assert_array_equal(found.values, [0, 1, 0, 1])
    assert found.mean == 0.5
    assert "0.333" in repr(found)  # a third of the places


def test_pointing_by_hand():
    attributions = np.zeros((4, 3, 4, 2), "float32")
    attributions[0, 1, 1] = [3, 1]  # the highest sum
    attributions[0, 2, 2] = [3.5, -1]
    attributions[1, 0, 0, 0] = attributions[1, 2, 3, 0] = 1  # two highest, one within
    attributions[2, 0, 3] = 1
    masks = np.zeros((4, 3, 4))
    masks[0, 1, 1] = masks[1, 0, 0] = masks[2, 0, 2] = 1  # the third is one off, the fourth mask is empty
    result = ta.Attribution(attributions, np.zeros(4))
    np.testing.assert_array_equal(M.pointing(result, masks).values, [1, 0.5, 0, np.nan])
    np.testing.assert_array_equal(M.pointing(result, masks, tolerance=1).values[:3], [1, 0.5, 1])
    assert_refused(lambda: M.pointing(result, masks[:, :2]), "(4, 3, 4)", "got (4, 2, 4)")
    assert_refused(lambda: M.pointing(result, masks, tolerance=-1), "tolerance")
    unknown = masks.copy()
    unknown[1] = np.nan  # not zero, and so everywhere within
    for wrong in (unknown, masks.astype(str)):
        assert_refused(lambda wrong=wrong: M.pointing(result, wrong), "finite numbers or truth values")
    attributions[0, 0, 0] = np.inf
    assert np.isnan(M.pointing(ta.Attribution(attributions, np.zeros(4)), masks).values[0])
    coarse = ta.Attribution(np.ones((4, 2, 3)), np.zeros(4), kind="map", at="layer 'conv'")
    assert_refused(lambda: M.pointing(coarse, masks), "of shape (4, 2, 3), the positions of layer 'conv'", "got (4, 3, 4)")
    gray = ta.Attribution(np.ones((4, 5, 6)), np.zeros(4))
    assert_refused(lambda: M.pointing(gray, masks), "(4, 5), as the attributions", "where they have none (4, 5, 6)")


# methods of others


@dataclasses.dataclass(frozen=True)
class Own(ta.Method):
    """Gradient times input, of no stated baseline."""

    takes_baselines = uses_baseline = False

    def points(self, references, rng, features, kind):
        return extend.points.at_input()

    def row(self, features, kind):
        return extend.GradientIntegrand("input")


class Effect(Own):
    kind = "effect"
    in_score_units = False


class InBits(Effect):
    uses_baseline = True

    def unit(self, of_score):
        return "bit"


def test_what_has_no_baseline_or_another_unit_is_refused_before_it_is_divided_by_x_less_x(linear):
    for method, words in ((Own(), "contributions by x - x'"), (Effect(), "effects by x - x'"), (InBits(), "are in bit")):
        assert_refused(lambda method=method: M.infidelity(linear, X, method=method), "infidelity", words)
        assert_refused(lambda method=method: M.compare(linear, X, [method], ["infidelity"]), words)
        if not isinstance(method, InBits):  # of a result the unit is words, which nobody reads
            given = linear.attribute(X, method=method)
            assert_refused(lambda given=given: M.infidelity(linear, given), words)
            assert_refused(lambda given=given: M.compare(linear, X, {"mine": given}, ["infidelity"]), words)
        assert len(M.compare(linear, X, [method], ["aopc", "sparseness"])[repr(method)]) == 2


# intervals


def test_intervals_are_those_of_scipy():
    from scipy.stats import bootstrap

    values = np.random.default_rng(0).exponential(size=40)
    expected = bootstrap((values,), np.mean, method="percentile", n_resamples=20000, random_state=1).confidence_interval
    mean, low, high = mean_interval(np.append(values, np.nan))
    np.testing.assert_allclose([mean, low, high], [values.mean(), expected.low, expected.high], rtol=0.03)
    assert np.isnan(mean_interval(values[:1])[1:]).all()
    curves = np.stack([values, -values, 2 * values], 1)
    np.testing.assert_allclose(mean_interval(curves)[1], [low, -high, 2 * low])


def test_intervals_hold_the_mean_as_often_as_they_say():
    rng = np.random.default_rng(4)
    held = [low <= 0 <= high for low, high in (mean_interval(rng.normal(size=60), 0.9, seed)[1:] for seed in range(120))]
    assert 0.83 < np.mean(held) < 0.96
