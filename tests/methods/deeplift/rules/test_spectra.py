"""Spectra in front of a model: sounds through short-time Fourier transforms, magnitudes, cepstra, filters of frequencies."""

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta

from ....conftest import assert_refused

RNG = np.random.default_rng(2)
WAVES, OTHERS = RNG.normal(size=(2, 3, 64))
FILTER = RNG.normal(size=33) + 1j * RNG.normal(size=33)


def cepstrum(x, s):
    energies = tf.math.log(tf.square(tf.abs(s)) + 0.1)
    return tf.signal.dct(energies, norm="ortho")


FRONTS = {  # of x and its short-time Fourier transform s
    "magnitude": lambda x, s: tf.abs(s),
    "power": lambda x, s: tf.math.real(s * tf.math.conj(s)),
    "logarithm": lambda x, s: tf.math.log1p(tf.abs(s)),
    "cepstrum": cepstrum,
    "padded": lambda x, s: tf.abs(tf.signal.rfft(x, [100])),
    "filtered": lambda x, s: tf.signal.irfft(tf.signal.rfft(x) * tf.constant(FILTER)),
    "back again": lambda x, s: tf.signal.inverse_stft(s, 16, 8),
    "convolved": lambda x, s: tf.math.real(tf.signal.ifft(tf.square(tf.signal.fft(tf.complex(x, tf.zeros_like(x)))))),
    "plane": lambda x, s: tf.abs(tf.signal.rfft2d(tf.reshape(x, [-1, 8, 8]))),
    "box": lambda x, s: tf.signal.irfft3d(tf.signal.rfft3d(tf.reshape(x, [-1, 4, 4, 4])) * tf.constant(FILTER[:3])),
}
SAME = {  # the same without complex numbers
    "magnitude": lambda x, s: tf.sqrt(tf.math.real(s) ** 2 + tf.math.imag(s) ** 2),
    "power": lambda x, s: tf.math.real(s) ** 2 + tf.math.imag(s) ** 2,
}


def shares(x, s):
    """What a cumulative product lets through, as a renderer of volumes has it."""
    opacity = tf.sigmoid(x)
    return opacity * tf.math.cumprod(1 - opacity + 1e-10, -1, exclusive=True)


PRODUCTS = {
    "shares": shares,
    "last": lambda x, s: tf.math.cumprod(tf.tanh(x[:, :9]), -1)[:, -1:],
    "product": lambda x, s: tf.reduce_prod(tf.tanh(x[:, :9]), -1, keepdims=True),
    "loop": lambda x, s: tf.while_loop(
        lambda i, _: i < 3, lambda i, y: (i + 1, tf.math.cumprod(tf.tanh(y) + 1.1, -1)), (0, x[:, :7])
    )[1],
}


def stacked(fronts, x):
    """(n, fronts), a score of each of them."""
    scores, s = [], tf.signal.stft(x, 16, 8)
    for front in fronts:
        found = tf.reshape(front(x, s), [tf.shape(x)[0], -1])
        scores.append(tf.reduce_sum(tf.tanh(found / 4) * tf.cos(tf.range(tf.cast(tf.shape(found)[1], tf.float64))), 1))
    return tf.stack(scores, 1)


def lifted(*fronts):
    """Of each of these its result, all from one trace."""
    attributor = ta.Attributor(lambda x: stacked(fronts, x), batch_size=64)
    every, below = (np.tile(waves, (len(fronts), 1)) for waves in (WAVES, OTHERS))
    result = attributor.attribute(every, np.repeat(range(len(fronts)), len(WAVES)), below, "deeplift")
    return [result[i : i + len(WAVES)] for i in range(0, len(every), len(WAVES))]


@pytest.fixture(scope="module")
def results():
    fronts = FRONTS | {f"{name} of real numbers": front for name, front in SAME.items()} | PRODUCTS
    return dict(zip(fronts, lifted(*fronts.values()), strict=True))


@pytest.mark.parametrize("name", FRONTS)
def test_contributions_pass_spectra(name, results):
    result = results[name]
    assert np.abs(result.gap).max() < 1e-10
    assert np.abs(result.difference).min() > 1e-3
    if name in SAME:
        same = results[f"{name} of real numbers"]
        np.testing.assert_allclose(result.attributions, same.attributions, rtol=1e-6, atol=1e-9)


def test_what_has_no_rule_for_complex_numbers_is_refused():
    """A rule for real numbers would be wrong, and TensorFlow's gradient is no multiplier."""
    assert_refused(lambda: lifted(lambda x, s: tf.math.real(tf.exp(tf.signal.rfft(x)))), "no rule for Exp", "complex numbers")
    assert_refused(lambda: lifted(lambda x, s: tf.math.angle(tf.signal.rfft(x))), "no rule for Angle")


def test_transmittance_along_a_ray(results):
    """The last of a cumulative product is the product."""
    assert np.abs(results["shares"].gap).max() < 1e-12
    first, second = results["last"].attributions, results["product"].attributions
    np.testing.assert_allclose(first, second, rtol=1e-9, atol=1e-15)
    assert np.abs(second).max() > 0


def test_a_cumulative_product_in_a_loop(results):
    assert np.abs(results["loop"].gap).max() < 1e-10
