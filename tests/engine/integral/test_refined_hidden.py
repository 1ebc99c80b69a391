"""What a path can hide from the rule to a stated accuracy: structure beside the baseline, and parts that cancel in the sum."""

import math

import numpy as np
import pytest

from tf_attrib.engine.integral import rounds

from .test_refined import error, integrate, path_of


def scale(least, shares, low=0.0):
    """A score that is even in log(alpha) down to `least`, as a stack of normalising layers against zeros makes it."""
    whole = np.log1p(1 / least)
    slope = lambda a: 1 / (a + least) / whole  # noqa: E731
    return path_of(lambda a: low + sum(shares) * np.log1p(a / least) / whole, *[lambda a, s=s: s * slope(a) for s in shares])


@pytest.mark.parametrize("least", [1e-4, 1e-8, 1e-14, 1e-26])
@pytest.mark.parametrize("shares", [(1.0, 0.5), (8.0, -7.0)])
@pytest.mark.parametrize("odds", [False, True])
def test_a_score_on_a_logarithmic_scale_of_alpha(least, shares, odds):
    path = scale(least, [3 * share for share in shares] if odds else shares, low=-1.0 if odds else 0.0)
    for tolerance in (0.05, 0.01):
        outcome, _ = integrate([path], tolerance, odds=odds, dtype="float32")
        ends = 1 / (1 + np.exp(-path(np.array([0.0, 1.0]))[0])) if odds else path(np.array([0.0, 1.0]))[0]
        truth = np.array(shares) / sum(shares) * np.diff(ends)  # every part is its share of the slope everywhere
        assert outcome.status[0] == "converged"
        assert error(outcome, truth[None])[0] <= outcome.error_estimate[0] <= tolerance
        assert outcome.evaluations[0] <= 50 - 15 * np.log10(least)


def test_a_scale_that_float32_cannot_enter_is_said_to_be_too_narrow():
    outcome, _ = integrate([scale(1e-36, (1.0, 0.5))], dtype="float32")
    assert outcome.status[0] == "too_narrow"
    assert outcome.narrow_at[0] < 1e-29
    assert outcome.error_estimate[0] > 0.01
    assert np.isfinite(outcome.totals[None]).all()


def test_units_that_are_off_at_the_baseline_have_their_gradient_beside_it():
    """ReLU'(0) = 0: half of the first panel would be lost, and the sum does not tell, since the parts cancel in it."""
    on = lambda a: (a > 0) * np.exp(-10 * a)  # noqa: E731
    path = path_of(lambda a: a, lambda a: 1.0, lambda a: 300 * on(a), lambda a: -300 * on(a))
    outcome, _ = integrate([path], dtype="float32")
    rest = 30 * (1 - math.exp(-10))
    assert error(outcome, np.array([[1.0, rest, -rest]]))[0] <= 0.01
    assert outcome.status[0] == "converged"


@pytest.mark.parametrize("size", [1e12, 1e25, 1e30])
def test_gradients_whose_squares_overflow(size):
    """A jump of the score beside the baseline: numbers stay finite, and the error is never 0."""
    path = path_of(
        lambda a: np.tanh(size * a),
        lambda a: 2 * size / np.cosh(np.minimum(size * a, 300)) ** 2,
        lambda a: -size / np.cosh(np.minimum(size * a, 300)) ** 2,
    )
    outcome, _ = integrate([path], dtype="float32")
    assert np.isfinite(outcome.totals[None]).all()
    within = error(outcome, np.array([[2.0, -1.0]]))[0] <= 0.01
    assert within if outcome.status[0] == "converged" else outcome.error_estimate[0] > 0.01


def test_a_sum_that_overflows_is_not_finite_and_states_no_error():
    huge = lambda a: 3e38 * (0.9 + 0.1 * a)  # noqa: E731
    outcome, _ = integrate([path_of(lambda a: 0 * a, huge, lambda a: -huge(a))], dtype="float32")
    found = outcome.totals[None]
    assert np.isfinite(found).all() or (outcome.status[0] == "not_finite" and np.isnan(outcome.error_estimate[0]))


def test_a_steep_slope_at_one_node_does_not_hide_a_panel():
    """Log-odds whose slope at the baseline is 1e14: a cubic through it would leave no weight in the first panel."""
    path = path_of(
        lambda a: 2 * a + 1e-3 * np.tanh(1e17 * a), lambda a: 1.0, lambda a: 1 + 1e14 / np.cosh(np.minimum(1e17 * a, 300)) ** 2
    )
    outcome, _ = integrate([path], 0.05, odds=True, dtype="float32")
    half = (1 / (1 + math.exp(-2)) - 0.5) / 2
    assert error(outcome, np.array([[half, half]]))[0] <= 0.05


def unit(rng, features=20):
    """Log-odds, slack or steep and shifted at random, of a vector that is normalised to length one beside a baseline of zeros
    and goes round behind it; and the integral that they have."""
    count = rng.integers(1, 4)
    scales = 10 ** rng.uniform(-12, 0, size=count)
    normed, rest, turns = rng.normal(size=(count, features)), rng.normal(size=features), rng.uniform(1, 6)

    def odds(a):
        return (np.minimum(a[:, None] / scales, 1) @ normed + np.sin(turns * a[:, None]) * rest).sum(1)

    steepness, seen = 10 ** rng.uniform(-1, 2), odds(np.linspace(0, 1, 201))
    size = steepness / np.ptp(seen)
    shift = rng.uniform(seen.min(), seen.max())

    def path(a):
        vectors = ((a[:, None] < scales) / scales) @ normed + turns * np.cos(turns * a[:, None]) * rest
        return (odds(a) - shift) * size, vectors * size

    edges = np.unique(np.concatenate([[0, 1], scales, 10 ** np.linspace(-20, 0, 1500), np.linspace(0, 1, 1500)]))
    total, width = 0, np.diff(edges)
    for node, weight in zip(*np.polynomial.legendre.leggauss(8), strict=True):
        score, vectors = path((edges[:-1] + edges[1:]) / 2 + width / 2 * node)
        total = total + (rounds.sigmoid(score) * rounds.sigmoid(-score) * weight * width / 2) @ vectors
    return path, total


def test_log_odds_that_run_away_within_a_panel_are_looked_at():
    """Steeper than their cubic, they may leave a saturated baseline and return: sigmoid' at the ends gives no weight to it."""
    paths, truth = zip(*[unit(np.random.default_rng([seed, 7])) for seed in range(40, 80)], strict=True)
    outcome, _ = integrate(list(paths), 0.05, odds=True, dtype="float32")
    done = outcome.status == "converged"
    assert done.mean() > 0.9
    wrong = error(outcome, np.array(truth))[done] / 0.05
    assert wrong.max() <= 1.5


BASES = {
    "even": (lambda a: a, lambda a: 1 + 0 * a),
    "late": (lambda a: a**12, lambda a: 12 * a**11),
    "early": (lambda a: 1 - (1 - a) ** 12, lambda a: 12 * (1 - a) ** 11),
}


def bump(base, place, width, part):
    """A path whose score moves as `base` says, and two parts of whose vector have a bump that cancels in the sum."""
    score, slope = base
    hill = lambda a: part / (width * np.sqrt(np.pi)) * np.exp(-(((a - place) / width) ** 2))  # noqa: E731
    area = part / 2 * (math.erf((1 - place) / width) + math.erf(place / width))
    whole = float(score(np.array(1.0)))
    return (
        path_of(score, lambda a: slope(a) / 2 + hill(a), lambda a: slope(a) / 2 - hill(a)),
        [whole / 2 + area, whole / 2 - area],
    )


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("width", [0.05, 0.08, 0.15, 0.25])
@pytest.mark.parametrize("part", [0.5, 0.15])
def test_bumps_of_a_twentieth_of_the_path_are_seen_wherever_they_stand(base, width, part):
    """What the documentation states. Places include the middles of panels, where a bump leaves no jump."""
    paths, truth = zip(*[bump(BASES[base], place, width, part) for place in np.linspace(0.03, 0.97, 48)], strict=True)
    outcome, _ = integrate(list(paths), 0.05, dtype="float32")
    assert set(outcome.status) == {"converged"}
    assert error(outcome, np.array(truth)).max() <= 0.06
    assert outcome.evaluations.mean() < 36
