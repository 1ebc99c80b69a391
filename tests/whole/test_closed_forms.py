"""Models whose attributions can be derived by hand, and the two published functions reproduced."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit

import tf_attrib as ta
from tf_attrib.engine.integral.quadrature import Rule

from ..conftest import make_cnn, reference_ig

W = np.array([1.5, -2.0, 0.5, 3.0], "float32")
X = np.array([[0.3, -0.2, 1.1, 0.4], [1.0, 2.0, -1.0, 0.5]], "float32")
B = np.array([0.1, 0.2, -0.3, 0.0], "float32")
FINE = ta.IntegratedGradients(n_steps=64)


def explain(f, x=X, baselines=None, method=FINE):
    return ta.Attributor(f).attribute(np.asarray(x, "float32"), baselines=baselines, method=method)


@pytest.mark.parametrize("rule", ["left", "right", "midpoint", "trapezoid", "gauss_legendre"])
def test_linear(rule):
    """Coefficient times value, whatever the rule and however few its steps."""
    f = lambda x: tf.linalg.matvec(x, W) + 7.0  # noqa: E731
    result = explain(f, baselines=B, method=ta.IntegratedGradients(rule=rule, n_steps=3))
    np.testing.assert_allclose(result.attributions, W * (X - B), rtol=1e-5)
    assert result.gap == pytest.approx(0, abs=1e-5)
    np.testing.assert_allclose(explain(f, method="gradient_times_input").attributions, W * X, rtol=1e-6)
    np.testing.assert_allclose(explain(f, method="gradient").attributions, np.tile(W, (2, 1)))
    np.testing.assert_allclose(explain(f, method=ta.Occlusion(window=1)).attributions, W * X, atol=1e-5)


def test_logistic():
    """A function of one linear combination: each feature gets its share of the linear change."""
    f = lambda x: tf.sigmoid(tf.linalg.matvec(x, W) - 1.0)  # noqa: E731
    result = ta.Attributor(f).attribute(X, target=1, baselines=B, method=FINE)
    share = W * (X - B) / (W * (X - B)).sum(1, keepdims=True)
    change = expit(X @ W - 1.0) - expit(B @ W - 1.0)
    np.testing.assert_allclose(result.attributions, share * change[:, None], rtol=1e-4)


def test_product():
    """x·y from 0: half to each. From b: (x - b_x) times the mean of y along the path."""
    f = lambda x: x[:, 0] * x[:, 1]  # noqa: E731
    x = np.array([[3.0, 5.0]])
    np.testing.assert_allclose(explain(f, x).attributions, [[7.5, 7.5]], rtol=1e-5)
    np.testing.assert_allclose(explain(f, x, np.array([1.0, 2.0])).attributions, [[2 * 3.5, 3 * 2.0]], rtol=1e-5)


def test_max_and_min():
    """Along the straight path from 0 the larger stays the larger."""
    x = np.array([[3.0, 5.0]])
    np.testing.assert_allclose(explain(lambda x: tf.reduce_max(x, 1), x).attributions, [[0, 5]], atol=1e-5)
    np.testing.assert_allclose(explain(lambda x: tf.reduce_min(x, 1), x).attributions, [[3, 0]], atol=1e-5)


def test_softplus():
    x = np.array([[2.0]])
    expected = np.log1p(np.exp(2.0)) - np.log(2)
    np.testing.assert_allclose(explain(lambda x: tf.nn.softplus(x[:, 0]), x).attributions, [[expected]], rtol=1e-5)


def test_interior_gradients_of_a_square():
    """d(x²)/dx at alpha x is 2 alpha x; the score there alpha² x², and its slope along the path 2 alpha x²."""
    result = explain(lambda x: x[:, 0] ** 2, [[3.0]], method=ta.InteriorGradients(4))
    alphas = np.array([0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(result.alphas, [alphas])
    np.testing.assert_allclose(result.attributions[0, :, 0], 2 * alphas * 3, rtol=1e-6)
    np.testing.assert_allclose(result.path_scores[0], alphas**2 * 9, rtol=1e-6)
    np.testing.assert_allclose(result.path_gradients[0], 2 * alphas * 9, rtol=1e-6)


def test_several_baselines_are_averaged_and_each_score_is_kept():
    f = lambda x: x[:, 0] * x[:, 1]  # noqa: E731
    x, first, second = np.array([[3.0, 5.0]]), np.array([0.0, 0.0]), np.array([1.0, 2.0])
    result = explain(f, x, [first, second])
    np.testing.assert_allclose(result.attributions, [[(7.5 + 7) / 2, (7.5 + 6) / 2]], rtol=1e-5)
    np.testing.assert_allclose(result.baseline_scores, [[0, 2]])
    np.testing.assert_allclose(explain(f, x, ta.several(np.stack([first, second]))).attributions, result.attributions)


def test_expected_gradients_of_a_square():
    """E over x' in {0, 1} of the exact path integral: x² - mean of x'²."""
    data = np.array([[0.0], [1.0]], "float32")
    result = explain(lambda x: x[:, 0] ** 2, [[2.0]], ta.dataset(data), ta.ExpectedGradients(40000))
    assert result.attributions[0, 0] == pytest.approx(4 - 0.5, rel=0.03)


def test_occlusion_of_overlapping_windows():
    """A feature gets the mean over the windows that cover it; for a sum these are the window sums."""
    x = np.array([[1.0, 2.0, 4.0]])
    result = explain(lambda x: tf.reduce_sum(x, 1), x, method=ta.Occlusion(window=2, stride=1))
    np.testing.assert_allclose(result.attributions, [[3.0, (3 + 6) / 2, 6.0]], rtol=1e-6)
    filled = explain(lambda x: tf.reduce_sum(x, 1), x, method=ta.Occlusion(window=1, value=1.0))
    np.testing.assert_allclose(filled.attributions, [[0, 1, 3]], atol=1e-6)
    assert filled.baseline_scores[0] == 3


def test_occlusion_of_an_image_matches_a_plain_loop(cnn, images):
    result = ta.Attributor(cnn).attribute(images[:1], target=0, method=ta.Occlusion(window=3, stride=2))
    total, cover = np.zeros((8, 8, 1)), np.zeros((8, 8, 1))
    whole = cnn(images[:1]).numpy()[0, 0]
    for row in (0, 2, 4, 5):
        for column in (0, 2, 4, 5):
            hidden = images[:1].copy()
            hidden[0, row : row + 3, column : column + 3] = 0
            part = (slice(row, row + 3), slice(column, column + 3))
            total[part] += whole - cnn(hidden).numpy()[0, 0]
            cover[part] += 1
    np.testing.assert_allclose(result.attributions[0], total / cover, atol=1e-6)
    assert result.evaluations[0] == 0
    assert result.forward_evaluations[0] >= 16


def test_a_network_against_a_plain_loop(images):
    model = make_cnn()
    result = ta.Attributor(model).attribute(images[:1], target=2, method=ta.IntegratedGradients(rule="midpoint", n_steps=500))
    expected = reference_ig(lambda x: model(x, training=False)[:, 2], images[:1], 0 * images[:1], 500)
    np.testing.assert_allclose(result.attributions, expected, atol=1e-6)


def test_the_blog_posts_function():
    """integrated_gradients(img, label, steps=50): img * mean of the gradients at i/50, i = 1 ... 50."""
    model, image = make_cnn(), np.random.default_rng(2).uniform(size=(8, 8, 1)).astype("float32")
    scaled = tf.constant(np.stack([(float(i) / 50) * image for i in range(1, 51)]))
    with tf.GradientTape() as tape:
        tape.watch(scaled)
        label = model(scaled, training=False)[:, 1]
    published = image * np.average(tape.gradient(label, scaled), axis=0)
    ours = ta.Attributor(model).attribute(image[None], target=1, method=ta.IntegratedGradients(rule="right", n_steps=50))
    np.testing.assert_allclose(ours.attributions[0], published, atol=1e-7)


def test_the_mnist_posts_function_and_its_error():
    """The mean over the m + 1 points 0 ... m: its ends weigh 1/(m + 1) instead of 1/(2m), so it is off by order 1/m."""
    model, image = make_cnn(), np.random.default_rng(2).uniform(size=(8, 8, 1)).astype("float32")
    baseline, m = np.full_like(image, 0.2), 50
    scaled = tf.constant(np.stack([baseline + (float(i) / m) * (image - baseline) for i in range(m + 1)]))
    with tf.GradientTape() as tape:
        tape.watch(scaled)
        label = model(scaled, training=False)[:, 1]
    published = (image - baseline) * np.mean(tape.gradient(label, scaled), axis=0)
    rule = Rule("mean of m + 1 points", np.arange(m + 1) / m, np.full(m + 1, 1 / (m + 1)))
    ours = ta.Attributor(model).attribute(image[None], 1, baseline, ta.IntegratedGradients(rule=rule))
    np.testing.assert_allclose(ours.attributions[0], published, atol=1e-7)
    square = explain(lambda x: x[:, 0] ** 3, [[1.0]], method=ta.IntegratedGradients(rule=rule)).attributions[0, 0]
    assert square - 1 == pytest.approx(0.5 / m, rel=0.05)  # the trapezoid's error here is 0.5 / m²
