"""Each rule of DeepLIFT against the formula it states, in NumPy and float64, on the operation alone."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special

import tf_attrib as ta

RNG = np.random.default_rng(3)
X = RNG.normal(size=(4, 6)) * 1.5
REFERENCE = RNG.normal(size=(4, 6))
POSITIVE, ABOVE = np.abs(X) + 0.2, np.abs(REFERENCE) + 0.3
WEIGHTS = RNG.normal(size=6)


def attribute(function, x, reference, weights=WEIGHTS):
    """Multipliers of Σ weights · function(x), and the result."""
    attributor = ta.Attributor(lambda value: tf.reduce_sum(function(value) * tf.constant(weights), -1))
    result = attributor.attribute(x, baselines=reference, method="deeplift")
    assert result.attributions.dtype == np.float64
    return result.attributions / (x - reference), result


def together(functions, x, reference, weights=WEIGHTS):
    """What `attribute` gives of each of several functions, by name, from one trace."""

    def net(value):
        return tf.stack([tf.reduce_sum(function(value) * tf.constant(weights), -1) for function in functions.values()], 1)

    every, below = (np.tile(rows, (len(functions), 1)) for rows in (x, reference))
    attributor = ta.Attributor(net, batch_size=256)
    result = attributor.attribute(every, np.repeat(range(len(functions)), len(x)), below, "deeplift")
    assert result.attributions.dtype == np.float64
    parts = [result[i : i + len(x)] for i in range(0, len(result), len(x))]
    return {name: (part.attributions / (x - reference), part) for name, part in zip(functions, parts, strict=True)}


def assert_complete(result, part=1e-12):
    size = np.maximum(np.abs(result.difference), result.magnitudes)
    assert np.abs(result.gap).max() <= part * size.max()
    assert (result.status == "").all()


def selu(x):
    return np.where(x > 0, 1.0507009873554805 * x, 1.7580993408473766 * np.expm1(x))


UNARY = {
    "relu": (tf.nn.relu, lambda x: np.maximum(x, 0)),
    "relu6": (lambda x: tf.nn.relu6(4 * x), lambda x: np.clip(4 * x, 0, 6)),
    "leaky_relu": (lambda x: tf.nn.leaky_relu(x, 0.25), lambda x: np.where(x > 0, x, 0.25 * x)),
    "elu": (tf.nn.elu, lambda x: np.where(x > 0, x, np.expm1(x))),
    "selu": (tf.nn.selu, selu),
    "sigmoid": (tf.sigmoid, special.expit),
    "tanh": (tf.tanh, np.tanh),
    "softplus": (tf.nn.softplus, lambda x: np.log1p(np.exp(x))),
    "softsign": (tf.nn.softsign, lambda x: x / (1 + np.abs(x))),
    "erf": (tf.math.erf, special.erf),
    "exp": (tf.exp, np.exp),
    "expm1": (tf.math.expm1, np.expm1),
    "square": (tf.square, np.square),
    "abs": (tf.abs, np.abs),
    "sin": (tf.sin, np.sin),
    "sign": (tf.sign, np.sign),
    "round": (tf.round, np.round),
    "step": (lambda x: tf.cast(x > 0.1, tf.float64), lambda x: (x > 0.1) * 1.0),
    "clip": (lambda x: tf.clip_by_value(x, -0.5, 0.7), lambda x: np.clip(x, -0.5, 0.7)),
}
OF_POSITIVE = {
    "log": (tf.math.log, np.log),
    "log1p": (tf.math.log1p, np.log1p),
    "sqrt": (tf.sqrt, np.sqrt),
    "rsqrt": (tf.math.rsqrt, lambda x: x**-0.5),
    "reciprocal": (tf.math.reciprocal, lambda x: 1 / x),
    "power": (lambda x: tf.pow(x, 1.7), lambda x: x**1.7),
    "one over": (lambda x: 2.0 / x, lambda x: 2 / x),
    "lgamma": (tf.math.lgamma, special.gammaln),
}


@pytest.fixture(scope="module")
def secants():
    anywhere, positive = ({name: function for name, (function, _) in of.items()} for of in (UNARY, OF_POSITIVE))
    return together(anywhere, X, REFERENCE) | together(positive, POSITIVE, ABOVE)


@pytest.mark.parametrize("name", [*UNARY, *OF_POSITIVE])
def test_functions_of_one_variable_have_the_slope_of_the_secant(name, secants):
    _, plain = (UNARY | OF_POSITIVE)[name]
    x, reference = (X, REFERENCE) if name in UNARY else (POSITIVE, ABOVE)
    found, result = secants[name]
    np.testing.assert_allclose(found, WEIGHTS * (plain(x) - plain(reference)) / (x - reference), rtol=1e-9, atol=1e-12)
    assert_complete(result)


BENT = ("sigmoid", "tanh", "exp", "softplus", "elu", "log", "power", "rsqrt")


@pytest.fixture(scope="module")
def tangents():
    return together({name: (UNARY | OF_POSITIVE)[name][0] for name in BENT}, ABOVE + 1e-12, ABOVE)


@pytest.mark.parametrize("name", BENT)
def test_tiny_differences_have_the_derivative(name, tangents):
    """The quotient would be rounding error: at a difference of 1e-12 it is off by 1e-4 and more."""
    (found, _), plain, reference = tangents[name], (UNARY | OF_POSITIVE)[name][1], ABOVE
    derivative = (plain(reference + 1e-6) - plain(reference - 1e-6)) / 2e-6
    np.testing.assert_allclose(found, WEIGHTS * derivative, rtol=1e-6)


def test_no_difference_gets_the_gradient():
    """Where a feature equals its reference it gets nothing, and what it is added to does not suffer."""
    x, reference = np.array([[0.5, 2.0]]), np.array([[0.5, -1.0]])
    attributor = ta.Attributor(lambda value: tf.nn.relu(value[:, 0]) * 3 + tf.nn.relu(value[:, 1]))
    assert np.array_equal(attributor.attribute(x, baselines=reference, method="deeplift").attributions, [[0, 2]])


PAIRS = {  # of a and b: function, the same in NumPy, multipliers of a and b
    "product": (lambda a, b: a * b, lambda a, b, r, s: ((b + s) / 2, (a + r) / 2)),
    "quotient": (lambda a, b: a / b, lambda a, b, r, s: (2 / (b + s), -(a / b + r / s) / (b + s))),
    "by a root": (
        lambda a, b: a * tf.math.rsqrt(b),
        lambda a, b, r, s: (2 / (np.sqrt(b) + np.sqrt(s)), -(a / np.sqrt(b) + r / np.sqrt(s)) / (np.sqrt(b) + np.sqrt(s)) ** 2),
    ),
    "by a root, scaled": (
        lambda a, b: -2 * tf.math.rsqrt(b[..., None])[..., 0] * a,
        lambda a, b, r, s: (
            -4 / (np.sqrt(b) + np.sqrt(s)),
            2 * (a / np.sqrt(b) + r / np.sqrt(s)) / (np.sqrt(b) + np.sqrt(s)) ** 2,
        ),
    ),
    "difference squared": (tf.math.squared_difference, lambda a, b, r, s: (a - b + r - s, -(a - b + r - s))),
    "a log b": (tf.math.xlogy, lambda a, b, r, s: ((np.log(b) + np.log(s)) / 2, (a + r) / 2 * np.log(b / s) / (b - s))),
    "maximum": (
        tf.maximum,
        lambda a, b, r, s: tuple(
            part / 2 / d
            for part, d in (
                (np.maximum(a, s) - np.maximum(r, s) + np.maximum(a, b) - np.maximum(r, b), a - r),
                (np.maximum(r, b) - np.maximum(r, s) + np.maximum(a, b) - np.maximum(a, s), b - s),
            )
        ),
    ),
    "minimum": (
        tf.minimum,
        lambda a, b, r, s: tuple(
            part / 2 / d
            for part, d in (
                (np.minimum(a, s) - np.minimum(r, s) + np.minimum(a, b) - np.minimum(r, b), a - r),
                (np.minimum(r, b) - np.minimum(r, s) + np.minimum(a, b) - np.minimum(a, s), b - s),
            )
        ),
    ),
}


@pytest.fixture(scope="module")
def pairs():
    forms = {name: lambda x, form=form: form(x[:, :3], x[:, 3:]) for name, (form, _) in PAIRS.items()}
    return together(forms, POSITIVE, ABOVE, WEIGHTS[:3])


@pytest.mark.parametrize("name", PAIRS)
def test_functions_of_two_variables(name, pairs):
    (found, result), plain = pairs[name], PAIRS[name][1]
    a, b, r, s = POSITIVE[:, :3], POSITIVE[:, 3:], ABOVE[:, :3], ABOVE[:, 3:]
    np.testing.assert_allclose(found, np.hstack([WEIGHTS[:3] * part for part in plain(a, b, r, s)]), rtol=1e-9)
    assert_complete(result)


def test_a_quotient_whose_denominator_changes_its_sign():
    x, reference = np.array([[3.0, 2.0], [3.0, 2.0]]), np.array([[1.0, -2.0], [1.0, -0.5]])
    found, result = attribute(lambda value: value[:, :1] / value[:, 1:], x, reference, np.ones(1))
    (a, b), (r, s) = x.T, reference.T
    np.testing.assert_allclose(found, np.stack([(1 / b + 1 / s) / 2, -(a + r) / 2 / (b * s)], 1), rtol=1e-12, atol=1e-12)
    assert_complete(result)


def test_where_nothing_is_divided_by_nothing():
    """With divide_no_nan 1 / 0 is 0."""
    x, reference = np.array([[3.0, 2.0]]), np.array([[1.0, 0.0]])
    _, result = attribute(lambda value: tf.math.divide_no_nan(value[:, :1], value[:, 1:]), x, reference, np.ones(1))
    assert result.difference == 1.5
    assert_complete(result)


@pytest.mark.parametrize("name", ["LayerNormalization", "GroupNormalization", "RMSNormalization"])
def test_a_reference_without_variance_does_not_make_contributions_large(name):
    """From zeros, 1 / b at the reference is 30 and more: nothing may be of that size that integrated gradients do not know."""
    layer = getattr(keras.layers, name)(dtype="float64", **{"groups": 2} if name == "GroupNormalization" else {})
    layer(X[:1])
    attributor = ta.Attributor(lambda value: tf.reduce_sum(layer(value) * WEIGHTS, -1))
    lifted = attributor.attribute(X, method="deeplift")
    integrated = attributor.attribute(X, method=ta.IntegratedGradients(tolerance=0.01))
    assert_complete(lifted)
    assert (lifted.magnitudes < 2 * integrated.magnitudes).all()
    for one, other in zip(lifted.attributions, integrated.attributions, strict=True):
        assert np.corrcoef(one, other)[0, 1] > 0.85
    rules = {row.rule for row in ta.coverage(attributor, inputs=X).rows}
    assert "quotient written as a product with 1 / b: y b = a, at the midpoint" in rules


def test_a_factor_that_is_broadcast():
    found, result = attribute(lambda x: x[:, :1] * x, X, REFERENCE)
    middle = (X + REFERENCE) / 2
    wanted = WEIGHTS * middle[:, :1]
    wanted[:, 0] += (WEIGHTS * middle).sum(1)
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    assert_complete(result)


MATRICES = {
    "matmul": tf.matmul,
    "einsum": lambda a, b: tf.einsum("bij,bjk->bik", a, b),
    "transposed": lambda a, b: tf.matmul(a, tf.transpose(b, [0, 2, 1]), transpose_b=True),
}


@pytest.fixture(scope="module")
def products():
    def multiplied(x, product):
        return tf.reshape(product(tf.reshape(x[:, :4], [-1, 2, 2]), tf.reshape(x[:, 2:], [-1, 2, 2])), [-1, 4])

    forms = {form: lambda x, product=product: multiplied(x, product) for form, product in MATRICES.items()}
    return together(forms, X, REFERENCE, WEIGHTS[:4])


@pytest.mark.parametrize("form", MATRICES)
def test_products_of_matrices_are_split_at_the_midpoint(form, products):
    found, result = products[form]
    middle, upstream = (X + REFERENCE) / 2, WEIGHTS[:4].reshape(2, 2)
    a, b = middle[:, :4].reshape(-1, 2, 2), middle[:, 2:].reshape(-1, 2, 2)
    wanted = np.zeros_like(X)
    wanted[:, :4] += np.einsum("ik,bjk->bij", upstream, b).reshape(-1, 4)
    wanted[:, 2:] += np.einsum("bij,ik->bjk", a, upstream).reshape(-1, 4)
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    assert_complete(result)


@pytest.mark.parametrize("sign", [1, -1])
def test_an_extreme_is_due_to_the_element_that_rose_or_fell(sign):
    function = tf.reduce_max if sign == 1 else tf.reduce_min
    attributor = ta.Attributor(lambda x: function(x, 1))
    for x, reference, wanted in (
        ([3, 1, 0], [0, 2, 1], [1, 0, 0]),
        ([0, 1, 2], [5, 1, 0], [-3, 0, 0]),
        ([4, 4, 0], [1, 2, 0], [1, 1, 0]),
    ):
        x, reference = sign * np.array([x], float), sign * np.array([reference], float)
        result = attributor.attribute(x, baselines=reference, method="deeplift")
        np.testing.assert_allclose(result.attributions, sign * np.array([wanted], float), atol=1e-12)
        assert_complete(result)


def test_a_product_over_an_axis():
    found, result = attribute(lambda x: tf.reduce_prod(x, -1, keepdims=True), X, REFERENCE, WEIGHTS[:1])
    forward = [np.prod(X[:, :i], 1) * np.prod(REFERENCE[:, i + 1 :], 1) for i in range(6)]
    back = [np.prod(REFERENCE[:, :i], 1) * np.prod(X[:, i + 1 :], 1) for i in range(6)]
    np.testing.assert_allclose(found, WEIGHTS[0] * (np.stack(forward, 1) + np.stack(back, 1)) / 2, rtol=1e-9)
    assert_complete(result)


def mean(a, b):
    """The logarithmic mean."""
    return (a - b) / np.log(a / b)


@pytest.fixture(scope="module")
def softened():
    return together({"softmax": tf.nn.softmax, "log_softmax": tf.nn.log_softmax}, X, REFERENCE)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_row_by_row(name, softened):
    found, result = softened[name]
    share = mean(np.exp(X), np.exp(REFERENCE)) / mean(*(np.exp(v).sum(1, keepdims=True) for v in (X, REFERENCE)))
    scaled = WEIGHTS * np.ones_like(X)
    if name == "softmax":
        scaled = WEIGHTS * mean(special.softmax(X, 1), special.softmax(REFERENCE, 1))
    np.testing.assert_allclose(found, scaled - share * scaled.sum(1, keepdims=True), rtol=1e-7, atol=1e-10)
    assert_complete(result)


@pytest.mark.parametrize("gap", [50.0, 1e3])
def test_softmax_of_logits_far_apart(gap):
    """Divided by sums of different size, exp(50) and more, contributions would cancel to nothing."""
    x = np.array([[gap, 0.0, -1e9]], "float32")
    attributor = ta.Attributor(lambda value: tf.nn.softmax(value)[:, 0])
    result = attributor.attribute(x, baselines=np.array([[0.0, 1.0, -1e9]], "float32"), method="deeplift")
    assert np.isfinite(result.attributions).all()
    assert_complete(result, 2e-7 * gap)  # the rounding of the logits themselves


def test_the_stabiliser_of_a_logarithm_of_sums():
    found, result = attribute(lambda x: tf.reduce_logsumexp(x, -1, keepdims=True), X, REFERENCE, WEIGHTS[:1])
    assert_complete(result)
    assert np.abs(found).max() > 0.01


def test_a_choice_by_a_condition_that_turns():
    """where(x > 0, a, b) with a = 2 x + 3 and b = x: the jump is shared out with the secant of the step."""
    found, result = attribute(lambda x: tf.where(x > 0, 2 * x + 3, x), X, REFERENCE)
    turned = np.where(X > 0, 2 * X + 3, X) - np.where(REFERENCE > 0, 2 * REFERENCE + 3, REFERENCE)
    np.testing.assert_allclose(found, WEIGHTS * turned / (X - REFERENCE), rtol=1e-9)
    assert_complete(result)


def test_a_choice_by_a_condition_that_stays():
    mask = np.array([True, False, True, True, False, False])
    found, _ = attribute(lambda x: tf.where(mask, tf.nn.relu(x), -x), X, REFERENCE)
    secant = (np.maximum(X, 0) - np.maximum(REFERENCE, 0)) / (X - REFERENCE)
    np.testing.assert_allclose(found, WEIGHTS * np.where(mask, secant, -1), rtol=1e-9)


LINEAR = {
    "cumsum": lambda x: tf.cumsum(x, 1, reverse=True),
    "reverse": lambda x: tf.reverse(x, [1]),
    "roll": lambda x: tf.roll(x, 2, 1),
    "gather": lambda x: tf.gather(x, [5, 0, 0, 3, 2, 1], axis=1),
    "tile": lambda x: tf.tile(x[:, :2], [1, 3]),
    "pad": lambda x: tf.pad(x[:, 1:4], [[0, 0], [1, 2]], constant_values=2.0),
    "split": lambda x: tf.concat(tf.split(x, 3, 1)[::-1], 1),
    "stack": lambda x: tf.stack([x, 2 * x], 1)[:, 1],
    "mean": lambda x: x - tf.reduce_mean(x, 1, keepdims=True),
    "stop": lambda x: x + tf.stop_gradient(x),
    "custom": lambda x: backwards(x),
    "scatter": lambda x: tf.transpose(tf.scatter_nd([[0], [3]], tf.transpose(x[:, :2]), [6, tf.shape(x)[0]])),
}


@tf.custom_gradient
def backwards(x):
    """3 x, with a gradient that its author got wrong."""
    return 3 * x, lambda upstream: -upstream


@pytest.fixture(scope="module")
def linear():
    return together(LINEAR, X, REFERENCE)


@pytest.mark.parametrize("name", LINEAR)
def test_linear_operations_are_exact(name, linear):
    function = LINEAR[name]
    with tf.GradientTape() as tape:
        x = tf.constant(X)
        tape.watch(x)
        value = tf.reduce_sum({"stop": lambda x: 2 * x, "custom": lambda x: 3 * x}.get(name, function)(x) * WEIGHTS)
    found, result = linear[name]
    np.testing.assert_allclose(found, tape.gradient(value, x), rtol=1e-9)
    assert_complete(result)


@functools.cache
def of_length_one():
    layer = keras.layers.UnitNormalization(dtype="float64")
    return ta.Attributor(lambda value: tf.reduce_sum(layer(value) * tf.constant(WEIGHTS), -1))


@pytest.mark.parametrize("below", [0.0, 1e-13, 1e-3, 0.5])
def test_a_normalised_vector_whose_reference_has_no_length(below):
    """x min(1 / √s, 10¹²) with s = Σ x²: from zeros 1 / √s is infinite, and its slope with the minimum is not."""
    reference = below * np.sign(REFERENCE)
    result = of_length_one().attribute(X, baselines=reference, method="deeplift")
    found = result.attributions / (X - reference)
    s, before = (X**2).sum(1, keepdims=True), (reference**2).sum(1, keepdims=True)
    limit = np.array([[1e12]])
    r, r_before = s**-0.5, np.minimum(np.divide(1, np.sqrt(before), out=limit.repeat(4, 0), where=before > 0), limit)
    of_s = (r - r_before) / (s - before)
    of_r = (WEIGHTS * (X * r + reference * r_before)).sum(1, keepdims=True) / (r + r_before)
    np.testing.assert_allclose(found, WEIGHTS * 2 * r * r_before / (r + r_before) + of_r * of_s * (X + reference), rtol=1e-9)
    assert_complete(result)
    assert result.magnitudes.max() < 20
