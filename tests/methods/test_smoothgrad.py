"""Methods averaged over noisy copies: against a plain loop over the very same copies, and against closed forms."""

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.engine.copies import Cloud

from ..conftest import assert_refused, make_cnn
from ..helpers.shared import attributor_for
from ..helpers.small_text import make_pooled_text

SQUARE = np.array([[0.0, 1.0, 2.0]], "float32")


@pytest.fixture(scope="module")
def cnn():
    return make_cnn()


def copies_of(x, method, seed):
    """The noisy copies that the library draws, one example at a time."""
    cloud = Cloud(method.n_samples, method.stddev, "mean")
    return [cloud.copies({None: x}, i, seed)[None] for i in range(len(x))]


def test_the_three_forms_are_those_of_a_plain_loop(cnn, images):
    target, gradients = 2, []
    for copies in copies_of(images, ta.SmoothGrad(n_samples=8, stddev=0.2), seed=5):
        point = tf.constant(copies)
        with tf.GradientTape() as tape:
            tape.watch(point)
            score = cnn(point, training=False)[:, target]
        gradients.append(tape.gradient(score, point).numpy())
    gradients, attributor = np.stack(gradients), attributor_for(cnn)
    expected = {ta.SmoothGrad: gradients.mean(1), ta.SmoothGradSquared: (gradients**2).mean(1), ta.VarGrad: gradients.var(1)}
    for form, values in expected.items():
        result = attributor.attribute(images, target, method=form(n_samples=8, stddev=0.2), seed=5)
        np.testing.assert_allclose(result.attributions, values, atol=1e-4 * np.abs(values).max())
        assert result.evaluations.tolist() == [8] * 5
        np.testing.assert_allclose(result.scores, cnn(images)[:, target], rtol=1e-6)  # of the examples, not of their copies


def test_of_a_square_the_moments_are_known():
    """F = sum of x²: the gradient at x + noise is 2x + 2 noise, whose mean, mean square and variance have closed forms."""
    attributor = ta.Attributor(lambda x: tf.reduce_sum(x**2, 1))
    draws = {"n_samples": 20000, "stddev": 0.1}  # of a range of 2: the noise has a deviation of 0.2
    mean, squared, variance = (
        attributor.attribute(SQUARE, method=form(**draws), seed=0).attributions[0]
        for form in (ta.SmoothGrad, ta.SmoothGradSquared, ta.VarGrad)
    )
    np.testing.assert_allclose(mean, [0, 2, 4], atol=0.012)  # 4 standard errors of 0.4 / sqrt(20000)
    np.testing.assert_allclose(variance, 0.16, rtol=0.05)
    np.testing.assert_allclose(squared, np.array([0, 4, 16]) + 0.16, rtol=0.05)


@pytest.mark.parametrize(
    "inner", ["integrated_gradients", "deeplift", "gradient_times_input", "guided_backprop", ta.IntegratedGradients(n_steps=7)]
)
def test_any_inner_method_is_averaged_over_the_same_copies(cnn, images, inner):
    attributor, smooth = attributor_for(cnn), ta.SmoothGrad(inner, n_samples=3)
    result = attributor.attribute(images[:2], 1, method=smooth, seed=2)
    for i, copies in enumerate(copies_of(images[:2], smooth, seed=2)):
        each = attributor.attribute(copies, 1, method=inner)
        np.testing.assert_allclose(result.attributions[i], each.attributions.mean(0), atol=2e-6)
        assert result.evaluations[i] == each.evaluations.sum()


def test_the_error_of_the_quadrature_is_a_bound(cnn, images):
    attributor, smooth = attributor_for(cnn), ta.SmoothGrad(ta.IntegratedGradients(0.02), n_samples=4)
    result = attributor.attribute(images, 1, method=smooth, seed=2)
    exact = attributor.attribute(images, 1, method=ta.SmoothGrad(ta.IntegratedGradients(n_steps=300), n_samples=4), seed=2)
    error = np.abs(result.attributions - exact.attributions).reshape(5, -1).sum(1) / exact.magnitudes
    assert np.all(error <= result.error_estimate)
    assert result.converged.all()
    assert exact.error_estimate is None
    squared = attributor.attribute(images, 1, method=ta.SmoothGradSquared("integrated_gradients", n_samples=4), seed=2)
    assert squared.error_estimate is None
    assert squared.gap is None  # squares do not sum to a score


def test_noise_is_drawn_for_each_example_alone_and_by_the_seed(cnn, images):
    attributor = attributor_for(cnn)
    smooth = lambda x, seed: attributor.attribute(x, 0, method=ta.SmoothGrad(n_samples=4), seed=seed).attributions  # noqa: E731
    np.testing.assert_allclose(smooth(images, 1)[3:4], smooth(images[3:4], 1), atol=1e-7)
    assert not np.allclose(smooth(images, 1), smooth(images, 2))
    assert not np.allclose(smooth(images, None), smooth(images, None))


def test_copies_are_made_within_the_memory_that_is_given(cnn, images):
    """Two examples of four copies fit into 2 kB; the numbers are the same."""
    size = images[0].nbytes
    small, large = ta.Attributor(cnn, memory=16 * size), ta.Attributor(cnn)
    method = ta.SmoothGrad(n_samples=4)
    np.testing.assert_allclose(
        small.attribute(images, 0, method=method, seed=1).attributions,
        large.attribute(images, 0, method=method, seed=1).attributions,
        atol=1e-7,
    )


def test_units_and_forms_are_stated(cnn, images):
    attributor = attributor_for(cnn)
    units = {
        method: attributor.attribute(images[:1], method=method, seed=0).attribution_unit
        for method in ("smoothgrad", "vargrad", ta.SmoothGrad("deeplift", n_samples=2))
    }
    assert list(units.values()) == ["probability per unit of input", "(probability per unit of input)²", "probability"]


def test_noise_on_embeddings(ids):
    result = ta.Attributor(make_pooled_text()).attribute(ids, method="smoothgrad", seed=0)
    assert result.attributions.shape[:2] == ids.shape
    assert np.all(result.attributions[1, 6:] == 0)  # masked tokens stay without influence


def test_what_cannot_be_averaged_is_refused():
    assert_refused(lambda: ta.SmoothGrad("occlusion"), "gradients", "IntegratedGradients")
    assert_refused(lambda: ta.SmoothGrad(ta.VarGrad()), "gradients")
    assert_refused(lambda: ta.SmoothGrad("gradients"), "no method is called 'gradients'")
    assert_refused(lambda: ta.SmoothGrad(n_samples=0), "n_samples")
    for stddev in (0, -1, True, np.inf):
        assert_refused(lambda stddev=stddev: ta.SmoothGrad(stddev=stddev), "stddev", "0.15")


def test_one_number_has_no_range_and_gets_no_noise():
    """Of a table whose columns are inputs of their own, every copy was the example, and every variance was 0."""
    x = {"age": np.ones((2, 1), "float32"), "fares": np.array([[1.0, 2.0], [3.0, 5.0]], "float32")}
    attributor = ta.Attributor(lambda x: tf.reduce_sum(x["age"] ** 2, 1) + tf.reduce_sum(x["fares"] ** 2, 1))
    result = attributor.attribute(x, method="vargrad", seed=0)
    assert (result.attributions["fares"] > 0).all()
    assert any("no noise is added to 'age'" in note for note in result.notes)
    alone = ta.Attributor(lambda x: tf.reduce_sum(x["age"] ** 2, 1) * tf.reduce_sum(x["fares"], 1), at=ta.inputs("age"))
    assert_refused(lambda: alone.attribute(x, method="vargrad"), "VarGrad", "one number", "side by side", "Gradient()")


def test_an_example_of_one_value_is_said_to_get_no_noise():
    """Its variances are 0, whatever the model."""
    attributor, x = ta.Attributor(lambda x: tf.reduce_sum(x**3, 1)), np.array([[1, 2, 3], [4, 4, 4]], "float32")
    found = attributor.attribute(x, method="vargrad", seed=0)
    assert (found.attributions[0] > 0).all()
    assert (found.attributions[1] == 0).all()
    assert any("no noise is added to example(s) 1, of one value everywhere" in note for note in found.notes)
    assert not attributor.attribute(x[:1], method="vargrad", seed=0).notes


def test_the_variance_of_one_copy_is_refused():
    """It is 0 everywhere, whatever the model."""
    assert_refused(lambda: ta.VarGrad("gradient", 1), "n_samples", "at least 2, got 1")
    assert ta.SmoothGrad("gradient", 1).n_samples == 1
