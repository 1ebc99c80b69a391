"""The standard errors of methods that average draws: against the spread over seeds, and where nothing is left to chance."""

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.engine.integral.draws import Drawn
from tf_attrib.engine.integral.points import SUMS_OF_DRAWS, random_path

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(6, 8)).astype("float32"), RNG.normal(size=8).astype("float32")
X, DATA = RNG.normal(size=(3, 6)).astype("float32"), RNG.normal(size=(50, 6)).astype("float32")
METHODS = {
    "expected_gradients": ta.ExpectedGradients(90),
    "smoothgrad": ta.SmoothGrad(n_samples=40),
    "of integrated gradients": ta.SmoothGrad(ta.IntegratedGradients(n_steps=4), n_samples=40),
    "of deeplift": ta.SmoothGrad("deeplift", n_samples=40),
    "smoothgrad_squared": ta.SmoothGradSquared(n_samples=40),
    "vargrad": ta.VarGrad(n_samples=40),
}


@pytest.fixture(scope="module")
def attributor():
    return ta.Attributor(lambda x: tf.linalg.matvec(tf.tanh(x @ A), B))


def attributed(attributor, method, seed):
    return attributor.attribute(X, baselines=ta.dataset(DATA) if method.needs_data else None, method=method, seed=seed)


@pytest.mark.parametrize("name", METHODS)
def test_they_are_the_spread_over_seeds(attributor, name):
    runs = [attributed(attributor, METHODS[name], seed) for seed in range(40)]
    spread = np.std([run.attributions for run in runs], 0, ddof=1)
    stated = np.sqrt(np.mean([np.square(run.standard_error) for run in runs], 0))
    assert stated.shape == X.shape
    assert 0.8 < np.median(stated / spread) < 1.2
    assert "standard error" in repr(runs[0])


@pytest.mark.parametrize("name", ["expected_gradients", "smoothgrad"])
def test_more_draws_make_them_smaller_and_one_says_nothing(attributor, name):
    few, many, one = (attributed(attributor, type(METHODS[name])(n_samples=n), 0).standard_error for n in (25, 400, 1))
    assert 3 < np.median(few / many) < 5.5
    assert np.isinf(one).all()


def test_where_draws_agree_nothing_is_left_but_rounding():
    linear = ta.Attributor(lambda x: tf.linalg.matvec(x, A[:, 0]))
    for method in (ta.ExpectedGradients(37), ta.SmoothGrad(n_samples=7)):
        result = linear.attribute(
            X, baselines=ta.dataset(np.zeros((1, 6), "float32")) if method.needs_data else None, method=method
        )
        assert np.max(result.standard_error) < 1e-6


def test_blocks_change_nothing(attributor):
    """Sums of which a block holds a part go on in the next."""
    small = ta.Attributor(attributor.model, batch_size=7)
    found, other = (attributed(one, METHODS["expected_gradients"], 3) for one in (attributor, small))
    np.testing.assert_allclose(other.attributions, found.attributions, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(other.standard_error, found.standard_error, rtol=1e-3)


@pytest.mark.parametrize("count", [1, 5, SUMS_OF_DRAWS, 50])
def test_sums_of_draws_are_added_up(count):
    """Against NumPy's mean and deviation of the same sums, however they arrive."""
    draws = RNG.normal(3, 1, size=(2, count, 4)).astype("float32")
    points = random_path(count, 1, np.random.default_rng(0))
    integrator = Drawn([points] * 2, {None: (4,)}, "float32")
    rows = integrator.first()
    for start in range(0, len(rows), 3):
        part = rows[start : start + 3]
        slots, place = np.unique(part.slot, return_inverse=True)
        sums = np.zeros((len(slots), 4), "float32")
        np.add.at(sums, place, draws.reshape(-1, 4)[start : start + 3] * part.weight[:, None].astype("float32"))
        integrator.accept(part, slots, [sums], np.zeros(len(part)), np.zeros(len(part)))
    outcome = integrator.outcome()
    np.testing.assert_allclose(outcome.totals[None][:, 0], draws.mean(1), rtol=1e-5)
    assert outcome.evaluations.tolist() == [count] * 2
    if count == SUMS_OF_DRAWS or count == 5:
        np.testing.assert_allclose(outcome.standard_error[None][:, 0], draws.std(1, ddof=1) / np.sqrt(count), rtol=1e-4)


def test_they_are_kept_summed_and_cut(attributor, tmp_path):
    result = attributed(attributor, METHODS["expected_gradients"], 1)
    result.save(tmp_path / "r.npz")
    np.testing.assert_array_equal(ta.load(tmp_path / "r.npz").standard_error, result.standard_error)
    np.testing.assert_array_equal(result[1:].standard_error, result.standard_error[1:])


def test_a_series_along_the_path_states_none():
    square = ta.Attributor(lambda x: tf.reduce_sum(x**2, 1))
    result = square.attribute(X, method=ta.SmoothGrad(ta.InteriorGradients(n_steps=3), n_samples=5))
    assert result.standard_error is None
    assert result.attributions.shape == (3, 3, 6)
