"""A quotient is one however it is written: a factor that is an inverse, of a root or not, is known by what computes it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta

RNG = np.random.default_rng(5)
X = RNG.normal(size=(3, 6))
WEIGHTS = tf.constant(RNG.normal(size=6))
GAMMA = tf.constant(RNG.uniform(0.5, 2, 6))
HALF = tf.constant(-0.5, tf.float64)


def inverse_of(root):
    """A normalisation whose inverse of a root is a factor."""
    return lambda x, v: x * root(v)


SPELLINGS = {
    "x rsqrt": inverse_of(tf.math.rsqrt),
    "rsqrt x": lambda x, v: tf.math.rsqrt(v) * x,
    "reciprocal of a root": inverse_of(lambda v: tf.math.reciprocal(tf.sqrt(v))),
    "raw inverse of a root": inverse_of(lambda v: tf.raw_ops.Inv(x=tf.sqrt(v))),
    "root of a reciprocal": inverse_of(lambda v: tf.sqrt(tf.math.reciprocal(v))),
    "one over": inverse_of(lambda v: 1 / tf.sqrt(v)),
    "one over, without NaN": inverse_of(lambda v: tf.math.divide_no_nan(tf.ones_like(v), tf.sqrt(v))),
    "two halves over": lambda x, v: 0.5 * x * (2 / tf.sqrt(v)),
    "power": inverse_of(lambda v: tf.pow(v, -0.5)),
    "power of a constant": inverse_of(lambda v: tf.pow(v, HALF)),
    "power of powers": inverse_of(lambda v: tf.pow(tf.square(v), -0.25)),
    "inverse of a power": inverse_of(lambda v: tf.pow(tf.sqrt(v), -1.0)),
    "logarithm": inverse_of(lambda v: tf.exp(-0.5 * tf.math.log(v))),
    "logarithm of a root": inverse_of(lambda v: tf.exp(-tf.math.log(tf.sqrt(v)))),
    "logarithm, divided": inverse_of(lambda v: tf.exp(1 - tf.math.log(v) / 2) / np.e),
    "keras": inverse_of(keras.ops.rsqrt),
    "keras's power": inverse_of(lambda v: keras.ops.power(v, -0.5)),
    "keras's reciprocal": inverse_of(lambda v: keras.ops.reciprocal(keras.ops.sqrt(v))),
    "keras's division": lambda x, v: keras.ops.divide(x, keras.ops.sqrt(v)),
    "divided by a power": lambda x, v: x / tf.pow(v, 0.5),
    "divided by the inverse of an inverse": lambda x, v: x / tf.math.reciprocal(tf.math.rsqrt(v)),
    "without NaN": lambda x, v: tf.math.divide_no_nan(x, tf.sqrt(v)),
    "multiplied without NaN": lambda x, v: tf.math.multiply_no_nan(x, tf.broadcast_to(tf.math.rsqrt(v), tf.shape(x))),
    "broadcast": lambda x, v: x * tf.broadcast_to(tf.math.rsqrt(v), tf.shape(x)),
    "tiled and turned": lambda x, v: x * tf.transpose(tf.tile(tf.transpose(tf.math.rsqrt(v)), [6, 1])),
    "reshaped": lambda x, v: tf.reshape(tf.reshape(x, [-1, 2, 3]) * tf.math.rsqrt(v)[..., None], [-1, 6]),
    "limited": inverse_of(lambda v: tf.clip_by_value(tf.maximum(tf.math.reciprocal(tf.sqrt(v)), 1e-9), 0, 1e9)),
    "chosen": inverse_of(lambda v: tf.where(True, 1 / tf.sqrt(v), 0.0)),
    "two signs": inverse_of(lambda v: -(-1 / tf.sqrt(v))),
    "scaled before": lambda x, v: x * (tf.math.reciprocal(tf.sqrt(v)) * GAMMA) / GAMMA,
    "einsum": lambda x, v: tf.einsum("bi,b->bi", x, tf.math.reciprocal(tf.sqrt(v))[:, 0]),
    "einsum, turned": lambda x, v: tf.einsum("bj,bi->bi", tf.pow(v, -0.5), x),
    "matrices": lambda x, v: tf.matmul(x[..., None], tf.math.rsqrt(v)[..., None])[..., 0],
    "diagonal": lambda x, v: tf.matmul(tf.linalg.diag(tf.tile(1 / tf.sqrt(v), [1, 6])), x[..., None])[..., 0],
    "loop": lambda x, v: tf.while_loop(
        lambda i, _: i < 1, lambda i, y: (i + 1, y * tf.pow(tf.reduce_mean(y * y, -1, keepdims=True) + 1e-12, -0.5)), (0, x)
    )[1],
}


@pytest.fixture(scope="module")
def lifted():
    """Contributions and gaps of each spelling, and of the quotient itself, all in one trace."""
    forms = SPELLINGS | {"quotient": lambda x, v: x / tf.sqrt(v)}

    def net(x):
        v = tf.reduce_mean(x * x, -1, keepdims=True) + 1e-12
        return tf.reduce_sum(tf.tanh(tf.stack([form(x, v) for form in forms.values()], 1)) * WEIGHTS, -1)

    result = ta.Attributor(net, batch_size=128).attribute(
        np.tile(X, (len(forms), 1)), np.repeat(range(len(forms)), len(X)), method="deeplift"
    )
    parts = (np.split(values, len(forms)) for values in (result.attributions, result.gap))
    return dict(zip(forms, zip(*parts, strict=True), strict=True))


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_normalisation_has_the_same_contributions_however_it_is_written(name, lifted):
    """From zeros 1 / √v is a million at the reference: as a product with it, contributions would be as large, and cancel."""
    (found, gap), (wanted, _) = lifted[name], lifted["quotient"]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-8)
    assert np.abs(gap).max() < 1e-9
    assert np.abs(wanted).sum(1).max() < 20


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_in_every_format(dtype):
    """keras_hub's Gemma: the power is taken in float32, what it multiplies is in the format of the model."""

    def net(x):
        x = tf.cast(x, dtype)
        v = tf.reduce_mean(tf.square(tf.cast(x, tf.float32)), -1, keepdims=True)
        inverse = tf.cast(tf.pow(v + 1e-6, -0.5), dtype)
        return tf.cast(tf.reduce_sum(x * inverse * tf.cast(WEIGHTS, dtype), -1), tf.float32)

    result = ta.Attributor(net).attribute(X.astype("float32"), method="deeplift")
    assert np.abs(result.gap / result.difference).max() < {"float16": 0.01, "bfloat16": 0.1, "float32": 1e-5}[dtype]
    assert result.magnitudes.max() < 20


def test_names_that_the_graph_around_it_has_taken_find_the_right_partner():
    """Operations called as those that scale float16: `add`, `mul`, and what they would be renamed to."""

    def net(x):
        x = tf.cast(x, tf.float16)
        one = tf.add(x, 1, name="add")
        two = tf.add(one * one, 2, name="add_1")
        return tf.cast(tf.reduce_sum(tf.sqrt(tf.add(two, 3, name="add_2")) * one, -1), tf.float32)

    result = ta.Attributor(net).attribute(np.abs(X).astype("float32"), method="deeplift")
    np.testing.assert_allclose(result.gap, 0, atol=0.01 * np.abs(result.difference).max())


def test_a_product_of_two_inverses_and_their_quotient_by_it():
    """A cosine: from vectors next to zero, both inverses are a million."""

    def cosine(x):
        a, b = x[:, :3], x[:, 3:]
        one, other = (tf.math.reciprocal(tf.norm(part, axis=-1)) for part in (a, b))
        return tf.reduce_sum(a * b, -1) * (one * other)

    below = 1e-6 * np.sign(RNG.normal(size=X.shape))
    result = ta.Attributor(cosine).attribute(X, baselines=below, method="deeplift")
    assert np.abs(result.gap).max() < 1e-9
    assert result.magnitudes.max() < 10


def test_divided_by_an_inverse_is_a_product():
    """x / (1 / v): as x v, half of it is due to each; as a quotient all would be due to v."""
    x, reference = np.array([[3.0, 2.0]]), np.array([[1.0, 1e-6]])
    first, second = (
        ta.Attributor(function).attribute(x, baselines=reference, method="deeplift").attributions
        for function in (lambda x: x[:, 0] / tf.math.reciprocal(x[:, 1]), lambda x: x[:, 0] * x[:, 1])
    )
    np.testing.assert_allclose(first, second, rtol=1e-9)


@pytest.mark.parametrize("form", ["product", "einsum"])
def test_an_inverse_that_changes_its_sign(form):
    """Between them 1 / b has no quotient's b: a product at the midpoint."""
    x, reference = np.array([[3.0, 2.0], [3.0, -2.0]]), np.array([[1.0, -0.5], [1.0, 0.5]])
    function = {
        "product": lambda a, b: a * tf.math.reciprocal(b),
        "einsum": lambda a, b: tf.einsum("bi,bi->bi", a, tf.math.reciprocal(b)),
    }[form]
    result = ta.Attributor(lambda x: function(x[:, :1], x[:, 1:])[:, 0]).attribute(x, baselines=reference, method="deeplift")
    (a, b), (r, s) = x.T, reference.T
    np.testing.assert_allclose(result.attributions, np.stack([(a - r) * (1 / b + 1 / s) / 2, (a + r) / 2 * (1 / b - 1 / s)], 1))


INVERSES = (
    tf.math.rsqrt,
    lambda s: 1 / tf.sqrt(s),
    lambda s: tf.math.reciprocal(tf.sqrt(s)),
    lambda s: tf.pow(s, -0.5),
    lambda s: tf.sqrt(1 / s),
    lambda s: tf.pow(1 / s, 0.5),
)


def test_a_limited_inverse_of_nothing():
    """x min(1 / √s, 10¹²) from zeros, where 1 / √s is infinite: as Keras's UnitNormalization writes it."""

    def net(x):
        s = tf.reduce_sum(x * x, -1, keepdims=True)
        return tf.reduce_sum(tf.stack([x * tf.minimum(inverse(s), 1e12) for inverse in INVERSES], 1) * WEIGHTS, -1)

    each = np.repeat(range(len(INVERSES)), len(X))
    result = ta.Attributor(net, batch_size=128).attribute(np.tile(X, (len(INVERSES), 1)), each, method="deeplift")
    assert np.isfinite(result.attributions).all()
    np.testing.assert_allclose(result.attributions, np.tile(result.attributions[: len(X)], (len(INVERSES), 1)), rtol=1e-9)
    assert np.abs(result.gap).max() < 1e-9


FACTORS = (
    lambda v: tf.pow(v, 0.5),
    tf.sqrt,
    lambda v: tf.exp(-v),
    lambda v: tf.exp(0.5 * tf.math.log(v)),
    lambda v: tf.pow(tf.math.reciprocal(v), -2.0),
)


def test_other_factors_stay_products():
    attributor = ta.Attributor(lambda x: tf.stack([x[:, 0] * factor(x[:, 1]) for factor in FACTORS], 1))
    x, reference = np.tile([[3.0, 2.0]], (len(FACTORS), 1)), np.array([1.0, 0.5])
    result = attributor.attribute(x, np.arange(len(FACTORS)), reference, "deeplift")
    above, below = ([float(factor(tf.constant(value, tf.float64))) for factor in FACTORS] for value in (2.0, 0.5))
    wanted = np.stack([np.add(above, below), 2 * np.subtract(above, below)], 1)
    np.testing.assert_allclose(result.attributions, wanted, rtol=1e-9)
