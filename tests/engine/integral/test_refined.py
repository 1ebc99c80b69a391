"""The rule to a stated accuracy on paths whose integrals are known: NumPy alone, no TensorFlow."""

import subprocess
import sys

import numpy as np
import pytest

from tf_attrib.engine.integral import averaging, placing, rounds
from tf_attrib.engine.integral.refined import Control, Refined

RNG = np.random.default_rng(0)


def integrate(
    paths, tolerance=0.01, most=1025, odds=False, memory=2**24, dtype="float64", block=10**9, references=1, slope=None, copies=1
):
    """Runs the rule on functions alpha (rows,) -> (score (rows,), vectors (rows, features)); returns outcome and rule.

    `slope` is that of the score, where vectors do not sum to it. `references` paths lead to an example, and `copies` examples
    are judged by their mean.
    """
    value = rounds.sigmoid if odds else lambda score: score
    ends = np.array([value(path(np.array([0.0, 1.0]))[0]) for path in paths])
    features = paths[0](np.zeros(1))[1].shape[1]
    examples = len(paths) // references
    rule = Refined(
        Control(tolerance, most),
        ends[::references, 1],
        ends[:, 0].reshape(examples, references),
        {None: (features,)},
        dtype,
        odds,
        memory,
        slope is None,
        copies,
    )
    rows = rule.first()
    while rows is not None:
        for start in range(0, len(rows), block):
            part = rows[start : start + block]
            found = [
                paths[example * references + reference](np.array([alpha]))
                for example, reference, alpha in zip(part.example, part.reference, part.alpha, strict=True)
            ]
            scores = np.array([score[0] for score, _ in found])
            vectors = np.array([vector[0] for _, vector in found], dtype)
            sums = [] if part.forward_only else [vectors]
            slopes = vectors.sum(1) if slope is None else slope(part.alpha)
            rule.accept(part, part.slot, sums, value(scores) if part.forward_only else scores, slopes)
        rows = rule.refine()
    return rule.outcome(), rule


def path_of(score, *vectors):
    """A path from its score and the components of its vector, functions of alpha."""
    return lambda alpha: (score(alpha), np.stack([vector(alpha) + 0 * alpha for vector in vectors], 1))


def ramp(at, weights):
    """Sum over i of weights[i] · relu(alpha - at): the gradient jumps once."""
    return path_of(lambda a: sum(weights) * np.maximum(a - at, 0), *[lambda a, w=w: w * (a > at) for w in weights])


def error(outcome, truth):
    found = outcome.totals[None][:, 0]
    return np.abs(found - truth).sum(1) / np.abs(truth).sum(1)


SMOOTH = path_of(lambda a: np.exp(2 * a) + np.sin(3 * a), lambda a: 2 * np.exp(2 * a), lambda a: 3 * np.cos(3 * a))
JUMPS = sorted(RNG.uniform(size=40))
RELUS = RNG.normal(size=(40, 6))
PIECES = path_of(
    lambda a: sum(w.sum() * np.maximum(a - at, 0) for at, w in zip(JUMPS, RELUS, strict=True)),
    *[lambda a, i=i: sum(w[i] * (a > at) for at, w in zip(JUMPS, RELUS, strict=True)) for i in range(6)],
)
KNOWN = {
    "smooth": (SMOOTH, [np.exp(2) - 1, np.sin(3)]),
    "kinked": (path_of(lambda a: (a - 0.3) * np.abs(a - 0.3) / 2, lambda a: np.abs(a - 0.3)), [(0.3**2 + 0.7**2) / 2]),
    "a jump of the gradient": (ramp(0.377, [3.0, -2.0, 0.5]), 0.623 * np.array([3.0, -2.0, 0.5])),
    "forty jumps": (PIECES, sum((1 - at) * w for at, w in zip(JUMPS, RELUS, strict=True))),
    "a peak of 0.03 of the path": (
        path_of(
            lambda a: np.tanh((a - 0.614) / 0.005),
            lambda a: 1.5 / np.cosh((a - 0.614) / 0.005) ** 2 / 0.005,
            lambda a: -0.5 / np.cosh((a - 0.614) / 0.005) ** 2 / 0.005,
        ),
        [3.0, -1.0],
    ),
    "scores that do not differ, attributions that do": (
        path_of(lambda a: 0 * a, lambda a: 50 * np.exp(a), lambda a: -50 * np.exp(a)),
        [50 * (np.e - 1), -50 * (np.e - 1)],
    ),
    "a square root against zero": (path_of(np.sqrt, lambda a: 0.5 / np.sqrt(np.where(a > 0, a, np.nan))), [1.0]),
    "a normalisation at epsilon 1e-6": (
        path_of(
            lambda a: a / np.sqrt(a**2 + 1e-6), lambda a: 3e-6 * (a**2 + 1e-6) ** -1.5, lambda a: -2e-6 * (a**2 + 1e-6) ** -1.5
        ),
        np.array([3.0, -2.0]) / np.sqrt(1 + 1e-6),
    ),
}


@pytest.mark.parametrize("tolerance", [0.05, 0.01])
@pytest.mark.parametrize("name", KNOWN)
def test_known_integrals_to_the_tolerance(name, tolerance):
    path, truth = KNOWN[name]
    outcome, _ = integrate([path], tolerance)
    assert outcome.status[0] == "converged"
    assert error(outcome, np.array([truth]))[0] <= tolerance
    assert outcome.error_estimate[0] <= tolerance
    assert 9 <= outcome.evaluations[0] <= 130
    assert outcome.forward_evaluations[0] == 15


def test_a_constant_function_gets_nothing_and_divides_by_nothing():
    outcome, _ = integrate([path_of(lambda a: 1e6 + 0 * a, lambda a: 0.0, lambda a: 0.0)])
    assert np.array_equal(outcome.totals[None][0, 0], [0, 0])
    assert (outcome.status[0], outcome.error_estimate[0], outcome.evaluations[0]) == ("converged", 0, 11)


def test_smooth_paths_to_a_millionth_in_float64():
    outcome, _ = integrate([SMOOTH], 1e-6, most=20000)
    assert outcome.status[0] == "converged"
    assert error(outcome, np.array([KNOWN["smooth"][1]]))[0] <= 1e-6


@pytest.mark.parametrize("steepness", [0.5, 10, 500])
def test_log_odds_of_a_logistic_path(steepness):
    """A straight line in the logit: F = sigmoid(b (alpha - 0.4)), and each part is its share of the difference."""
    shares = np.array([1.5, -0.75, 0.25])
    path = path_of(lambda a: steepness * (a - 0.4), *[lambda a, share=share: steepness * share for share in shares])
    outcome, _ = integrate([path], odds=True)
    ends = rounds.sigmoid(steepness * np.array([-0.4, 0.6]))
    np.testing.assert_allclose(outcome.totals[None][0, 0], shares * (ends[1] - ends[0]), rtol=1e-3)
    assert outcome.evaluations[0] <= 30
    np.testing.assert_allclose(outcome.end_slopes[0], steepness * ends[1] * (1 - ends[1]), rtol=1e-9, atol=1e-12)


def test_a_probability_far_below_one():
    """The weights of a panel are of size p (1 - p): their squares must not underflow."""
    path = path_of(lambda a: -90 + 8 * a**2, lambda a: 24 * a, lambda a: -8 * a)
    outcome, _ = integrate([path], odds=True)
    difference = np.exp(-82) - np.exp(-90)
    np.testing.assert_allclose(outcome.totals[None][0, 0], [1.5 * difference, -0.5 * difference], rtol=0.02)
    assert outcome.status[0] == "converged"


@pytest.mark.parametrize("at", [0.377, 0.0004])
def test_a_jump_of_the_score_is_flagged_and_never_spread(at):
    """Rounding: the gradient knows nothing of the jump of 2, so the sum is short by it and stays so."""
    outcome, _ = integrate([path_of(lambda a: 3 * a + 2.0 * (a > at), lambda a: 2.0, lambda a: 1.0)])
    assert outcome.status[0] == "too_narrow"
    assert outcome.residual_clipped[0]
    np.testing.assert_allclose(outcome.residual, 2, rtol=1e-4)
    np.testing.assert_allclose(outcome.totals[None][0, 0], [2, 1], rtol=1e-4)
    assert outcome.evaluations[0] < 130


def test_a_normalisation_at_epsilon_1e_12_is_ended_by_the_relative_width():
    centre, epsilon = 0.377, 1e-12
    path = path_of(
        lambda a: (a - centre) / np.sqrt((a - centre) ** 2 + epsilon**2),
        lambda a: epsilon**2 * ((a - centre) ** 2 + epsilon**2) ** -1.5,
    )
    outcome, _ = integrate([path])
    assert outcome.status[0] == "too_narrow"
    assert outcome.evaluations[0] < 200


def test_a_narrow_peak_that_cancels_in_the_sum_is_not_seen():
    """The limit that the documentation states: no score tells of it, and no node falls into it."""
    peak = lambda a: np.exp(-(((a - 0.6144) / 0.001) ** 2)) * 400  # noqa: E731
    outcome, _ = integrate([path_of(lambda a: a, lambda a: 1 + peak(a), lambda a: -peak(a))])
    assert outcome.status[0] == "converged"
    assert error(outcome, np.array([[1 + 0.4 * np.sqrt(np.pi), -0.4 * np.sqrt(np.pi)]]))[0] > 0.5


@pytest.mark.parametrize("most", [2, 5, 9, 10, 11, 40])
def test_the_most_evaluations_are_kept_and_flagged(most):
    outcome, _ = integrate([PIECES], 0.001, most)
    assert outcome.evaluations[0] == most
    assert outcome.status[0] == "max_evaluations"
    assert outcome.error_estimate[0] > 0.001


def test_the_residual_before_and_after_it_is_handed_out():
    outcome, _ = integrate([PIECES], 0.05)
    difference = np.diff(PIECES(np.array([0.0, 1.0]))[0])[0]
    assert abs(outcome.residual[0]) > 1e-4
    assert not outcome.residual_clipped[0]
    np.testing.assert_allclose(outcome.totals[None].sum(), difference, rtol=1e-6)


def ensemble(count, seed=3):
    """Paths with jumps in random places: some take many more nodes than others."""
    rng = np.random.default_rng(seed)
    return [ramp(rng.uniform(0.1, 0.9), rng.normal(size=4)) for _ in range(count)]


def test_company_order_and_blocks_change_nothing():
    paths = ensemble(7)
    together, _ = integrate(paths)
    backwards, _ = integrate(paths[::-1], block=5)
    for i, path in enumerate(paths):
        alone, _ = integrate([path])
        for name in ("evaluations", "status"):
            assert getattr(together, name)[i] == getattr(alone, name)[0] == getattr(backwards, name)[-1 - i]
        np.testing.assert_allclose(together.totals[None][i], alone.totals[None][0], rtol=1e-9)
        np.testing.assert_allclose(together.totals[None][i], backwards.totals[None][-1 - i], rtol=1e-9)
    assert len(set(together.evaluations)) > 1


@pytest.mark.parametrize("rows", [1, 45, 100])
def test_memory_bounds_what_is_kept_and_changes_nothing(rows):
    paths, most = ensemble(9), 40
    free, _ = integrate(paths, most=most)
    tight, rule = integrate(paths, most=most, memory=rows * 4 * 8)
    assert rule._used <= max(rows, most)
    np.testing.assert_array_equal(tight.totals[None], free.totals[None])
    np.testing.assert_array_equal(tight.evaluations, free.evaluations)
    assert rule._used < free.evaluations.sum()


def test_several_references_are_averaged_and_a_path_that_cannot_be_followed_counts():
    paths = [SMOOTH, path_of(lambda a: 3 * a + 2.0 * (a > 0.5), lambda a: 2.0, lambda a: 1.0)]
    outcome, _ = integrate(paths, references=2)
    single = [integrate([path])[0] for path in paths]
    np.testing.assert_allclose(outcome.totals[None][0], np.mean([one.totals[None][0] for one in single], 0), rtol=0.01)
    assert outcome.status[0] == "too_narrow"
    np.testing.assert_allclose(outcome.narrow_at, 0.5, atol=0.01)
    assert np.isnan(single[0].narrow_at[0])


@pytest.mark.parametrize(("references", "copies"), [(8, 1), (1, 8), (2, 4)])
@pytest.mark.parametrize("share", [1.0, 0.2])
def test_the_average_is_judged_and_takes_no_more_than_it_needs(references, copies, share):
    """Eight paths with jumps of their own, whose parts in common are all (1) or little (0.2) of each."""
    rng = np.random.default_rng(5)
    paths, truth = [], np.zeros(12)
    for _ in range(8):
        at, jumps = np.sort(rng.uniform(size=30)), rng.normal(size=(30, 12)) + (0.5 if share == 1 else 0)
        paths.append(lambda a, at=at, jumps=jumps: (np.maximum(a[:, None] - at, 0) @ jumps.sum(1), (a[:, None] > at) @ jumps))
        truth += ((1 - at) @ jumps) / 8
    outcome, _ = integrate(paths, references=references, copies=copies)
    mean = outcome.totals[None][:, 0].mean(0)
    assert set(outcome.status) == {"converged"}
    assert len(set(outcome.error_estimate)) == 1  # that of the mean
    assert np.abs(mean - truth).sum() / np.abs(truth).sum() <= outcome.error_estimate[0] <= 0.01
    alone = sum(integrate([path])[0].evaluations[0] for path in paths)
    assert outcome.evaluations.sum() < 0.9 * alone if share == 1 else outcome.evaluations.sum() > alone


def test_errors_of_paths_average_out():
    equal = np.full((1, 16), 0.3)
    assert averaging.error_of_mean(equal[:, :1])[0] == pytest.approx(0.3)
    assert 0.3 / 4 < averaging.error_of_mean(equal)[0] < 0.3 / 2
    for members in (1, 4, 100):
        each = averaging.allowed(0.05, np.array([2.0]), members)
        np.testing.assert_allclose(averaging.error_of_mean(np.full((1, members), each[0])), averaging.AIM * 0.1)


@pytest.mark.parametrize("rows", [40, 90, 200, 4000])
def test_a_status_never_contradicts_the_error_estimate(rows):
    """Whatever fits in memory: paths whose mean is a small part of each of them."""
    rng = np.random.default_rng(1)
    paths = [ramp(rng.uniform(0.1, 0.9), rng.normal(size=4)) for _ in range(12)]
    outcome, rule = integrate(paths, 0.01, most=40, references=6, memory=rows * 4 * 8)
    assert rule._used <= max(rows, 40)
    for status, estimate in zip(outcome.status, outcome.error_estimate, strict=True):
        assert (status == "converged") == (estimate <= 0.01)
        assert status in ("converged", "max_evaluations", "memory")


NEVER = path_of(lambda a: a, lambda a: np.where((a > 0.4) & (a < 0.7), np.nan, 1.0), lambda a: 0 * a)
STEP = path_of(lambda a: 3 * a + 2.0 * (a > 0.5), lambda a: 2.0, lambda a: 1.0)


@pytest.mark.parametrize(
    ("paths", "status", "most"),
    [
        ([SMOOTH, NEVER], "not_finite", 60),
        ([*[SMOOTH] * 7, STEP], "too_narrow", 600),
        ([path_of(lambda a: 0 * a, lambda a: 0 * a, lambda a: 0 * a), STEP], "too_narrow", 130),
    ],
)
def test_what_cannot_be_mended_ends_the_average_and_drives_no_other(paths, status, most):
    outcome, _ = integrate(paths, references=len(paths))
    assert outcome.status.tolist() == [status]
    assert outcome.evaluations[0] <= most


def test_a_doubtful_path_is_no_better_for_company():
    """A bump in a panel that is wider than is allowed, since there are no more gradients: the estimate knows nothing of it."""
    hill = lambda a: np.exp(-(((a - 0.5625) / 0.03) ** 2)) / 0.03 / np.sqrt(np.pi)  # noqa: E731
    path = path_of(lambda a: a, lambda a: 0.5 + hill(a), lambda a: 0.5 - hill(a))
    for references in (1, 2):
        outcome, _ = integrate([path] * references, 0.05, 9, references=references)
        assert outcome.status.tolist() == ["max_evaluations"]


def test_vectors_that_are_not_finite_where_the_slope_is():
    path = path_of(np.sqrt, lambda a: np.where(a > 0, a, np.inf) ** -0.5)
    outcome, _ = integrate([path], 0.05, slope=lambda a: 1 + 0 * a)
    assert np.isfinite(outcome.totals[None]).all()
    outcome, _ = integrate([path_of(lambda a: a, lambda a: np.where(a > 0.4, np.inf, 1.0))], slope=lambda a: 1 + 0 * a)
    assert outcome.status.tolist() == ["not_finite"]


def test_a_path_that_is_not_finite_spoils_no_other():
    bad = path_of(lambda a: a, lambda a: np.where(a > 0.7, np.nan, 1.0), lambda a: 0.0)
    outcome, _ = integrate([SMOOTH, bad, SMOOTH])
    assert list(outcome.status) == ["converged", "not_finite", "converged"]
    assert outcome.finite.tolist() == [True, False, True]
    assert np.isnan(outcome.totals[None][1]).all()
    np.testing.assert_array_equal(outcome.totals[None][0], integrate([SMOOTH])[0].totals[None][0])


def test_the_first_nodes_are_dense_where_the_score_moves():
    scores = np.array([np.where(np.linspace(0, 1, 17) > 0.8, 1.0, 0.0), np.zeros(17), np.full(17, np.nan)])
    steep, flat, unknown = placing.first_nodes(scores, False, 1000)
    assert ((steep > 0.75) & (steep < 0.9)).sum() >= 6
    np.testing.assert_allclose(flat, np.linspace(0, 1, 11))
    np.testing.assert_allclose(unknown, np.linspace(0, 1, 11))
    for nodes in (steep, flat):
        assert np.diff(nodes).max() < 0.1 + 1e-9
    (few,) = placing.first_nodes(scores[:1], False, 5)
    assert len(few) == 5


def test_where_a_probability_is_flat_nodes_may_lie_further_apart():
    scores = rounds.sigmoid(60 * (np.linspace(0, 1, 17)[None] - 0.2))
    nodes = {odds: placing.first_nodes(scores, odds, 1000)[0] for odds in (False, True)}
    assert np.diff(nodes[False]).max() < 0.1 + 1e-9 < np.diff(nodes[True]).max()
    assert len(nodes[True]) < len(nodes[False])


def test_the_numbers_need_numpy_alone():
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
        "import tf_attrib.engine.integral.refined, tf_attrib.engine.integral.quadrature; print('fine')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "fine"


# vectors that do not sum to the slope of the score


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_vectors_in_units_of_their_own_are_integrated_to_the_tolerance(size):
    """Such as the gradients at a layer: what they sum to says nothing of the score, and their unit is another."""
    path = path_of(
        lambda a: np.exp(2 * a),
        lambda a: size * np.cos(3 * a),
        lambda a: size * 5 * np.exp(-4 * a),
        lambda a: size * (a > 0.41),
    )
    truth = size * np.array([np.sin(3) / 3, 5 * (1 - np.exp(-4)) / 4, 0.59])
    outcome, _ = integrate([path], 0.01, slope=lambda a: 2 * np.exp(2 * a))
    assert outcome.status.tolist() == ["converged"]
    assert error(outcome, truth[None])[0] <= outcome.error_estimate[0] <= 0.01
    assert outcome.evaluations[0] < 150


def test_of_such_vectors_nothing_is_handed_out():
    """The integral is the sum of the panels: the residual of the score's own integral is no part of it."""
    path = path_of(lambda a: np.maximum(a - 0.377, 0), lambda a: 1 + 0 * a)
    outcome, _ = integrate([path], 0.05, slope=lambda a: 1.0 * (a > 0.377))
    np.testing.assert_allclose(outcome.totals[None][0, 0], [1.0], rtol=1e-12)
    assert abs(outcome.residual[0]) > 0


def test_a_score_that_stands_still_says_nothing_of_its_vectors():
    path = path_of(lambda a: 0 * a, lambda a: np.cos(9 * a))
    outcome, _ = integrate([path], 0.01, slope=lambda a: 0 * a)
    assert error(outcome, np.array([[np.sin(9) / 9]]))[0] <= 0.01
