"""How far off estimates from drawn coalitions are, against what they state: games whose values are known."""

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.methods.coalitions.estimate import estimated
from tf_attrib.methods.coalitions.estimators import Enumerated, Permutations, Regression
from tf_attrib.methods.coalitions.game import Game
from tf_attrib.methods.coalitions.sampled import first_draws, further_draws

from ..conftest import assert_refused

RNG = np.random.default_rng(4)
WEIGHTS = RNG.normal(size=(13, 16))


def pairs(there):
    return 0.3 * there.sum(1) + 2 * there[:, 0] * there[:, 1]


def triples(there):
    return there[:, 0] * there[:, 1] * there[:, 2]


def net(there):
    return np.tanh(there @ WEIGHTS[:-1]) @ WEIGHTS[-1]


def game_of(score, players, seed=0):
    ends = score(np.array([np.ones(players), np.zeros(players)]))
    return Game(np.arange(players), float(ends[0]), ends[1:], np.random.default_rng(seed))


def drawn(estimator, score, tolerance):
    """The estimate at which draws stop."""
    count = first_draws(estimator, 10**6)
    draws = 0
    while count:
        estimator.take(score(estimator.draw(count)[1].astype(float)))
        draws += count
        found = estimator.estimate()
        count = further_draws(draws, found.error, tolerance) if found.error > tolerance else 0
    return found


@pytest.mark.parametrize("score", [pairs, triples, net])
@pytest.mark.parametrize(
    "estimator",
    [lambda game: Permutations(game, True), lambda game: Permutations(game, False), lambda game: Regression(game, True)],
    ids=["reversed", "orders", "regression"],
)
def test_what_stops_is_as_accurate_as_it_says(score, estimator):
    """Where two players interact, what both get is off together, and the L1 error is as uncertain as one number."""
    whole = Enumerated(game_of(score, 12))
    whole.take(score(whole.draw(1)[1].astype(float)))
    exact = whole.estimate().found
    found = [drawn(estimator(game_of(score, 12, seed)), score, 0.15) for seed in range(50)]
    off = np.array([np.abs(one.found - exact).sum() for one in found]) / np.abs(exact).sum()
    assert (off > 0.15).mean() <= 0.1
    assert (off < 0.3).all()


@pytest.mark.parametrize("together", [1, 3, 40])
def test_the_stated_error_holds_however_many_go_together(together):
    """In 95 of 100 cases, and not by being much too large: 40 numbers of so many groups."""
    groups = np.arange(40) * together // 40
    deviations = RNG.normal(size=(300, 30, together))[:, :, groups]
    found = [estimated(one.mean(0), (one - one.mean(0)) / np.sqrt(30 * 29), 29) for one in deviations]
    stated, off = np.array([one.wrong for one in found]), np.abs(deviations.mean(1)).sum(1)
    assert (0.01 if together < 40 else 0) <= (off > stated).mean() < 0.08
    assert np.median(stated / off.mean()) < {1: 2.9, 3: 2.2, 40: 1.5}[together]
    np.testing.assert_allclose(found[0].deviation, deviations[0].std(0, ddof=1) / np.sqrt(30))


def test_players_by_the_hundred_are_fitted():
    """Coalitions of half of them are more than an integer of a machine counts."""
    weights = RNG.normal(size=150).astype("float32")
    x = RNG.uniform(1, 2, (1, 150)).astype("float32")
    attributor = ta.Attributor(lambda x: tf.linalg.matvec(x, weights))
    result = attributor.attribute(x, method="kernel_shap", seed=0)
    np.testing.assert_allclose(result.attributions, x * weights, atol=1e-3)
    assert result.converged.all()


def test_a_fit_to_few_pairs_is_not_taken_for_exact():
    """Where three players count together alone, a line may go through the few pairs that come first without any being off."""
    x = (1 + RNG.uniform(0, 1, (100, 14)) / 100).astype("float32")
    weights = np.linspace(0.01, 0.1, 14, dtype="float32")
    attributor = ta.Attributor(lambda x: tf.linalg.matvec(x, weights) + x[:, 0] * x[:, 1] * x[:, 2])
    result = attributor.attribute(x, method=ta.KernelSHAP(tolerance=0.25), seed=0)
    exact = x * weights + np.where(np.arange(14) < 3, x[:, :3].prod(1)[:, None] / 3, 0)
    off = np.abs(result.attributions - exact).sum(1) / np.abs(exact).sum(1)
    assert set(result.status) == {"converged"}
    assert (off / result.error_estimate).max() < 2.5


def test_a_remedy_is_named_that_helps_where_orders_were_counted():
    """Of one order no error is known: the numbers are, and another max_evaluations changes nothing."""
    line = ta.Attributor(lambda x: tf.reduce_prod(1 + x, 1))
    said = repr(line.attribute(np.ones((1, 12), "float32"), method=ta.ShapleySampling(n_permutations=1), seed=0))
    assert "standard errors not known: too few draws" in said
    assert "n_permutations where that was given" in said


@pytest.mark.parametrize("draws", [1000, 10])
def test_a_kernel_that_leaves_everything_to_the_penalty_is_refused(draws):
    """All coefficients were 0, and their standard errors, too."""
    x, weights = np.ones((1, 5), "float32"), np.arange(1, 6).astype("float32")
    linear = ta.Attributor(lambda x: tf.linalg.matvec(x, weights))
    narrow = ta.LIME(n_samples=draws, kernel_width=0.01)
    assert_refused(lambda: linear.attribute(x, method=narrow, verbose=False), "kernel_width=0.01", "0.11", "wider")
    # a strong penalty that was asked for is no matter of the kernel
    strong = linear.attribute(x, method=ta.LIME(n_samples=draws, ridge=1e6), verbose=False)
    assert np.abs(strong.attributions).max() < 0.01
    wide = linear.attribute(x, method=ta.LIME(n_samples=100, kernel_width=0.25), verbose=False)
    np.testing.assert_allclose(wide.attributions[0], weights, rtol=0.02)
