"""Attributions made wrong on purpose are recognised, right ones pass, and what cannot be told is not claimed."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tf_attrib.doctor.numbers.hypotheses import ERRORS

from ...conftest import assert_refused, make_recurrent_text, spread

BASELINE = np.full((6, 6, 3), 0.2, "float32")
POINTS = 51


class Made:
    """A net, inputs, and gradients along the paths by a plain loop, which know nothing of the library."""

    def __init__(self):
        keras.utils.set_random_seed(7)
        self.model = keras.Sequential(
            [
                keras.Input((6, 6, 3)),
                layers.Conv2D(4, 3, activation="tanh"),
                layers.Flatten(),
                layers.Dense(4, activation="softmax", kernel_initializer=spread()),
            ]
        )
        self.slope = tf.function(self.taped, autograph=False)  # eager tapes take ten times as long
        self.x = np.random.default_rng(0).uniform(size=(8, 6, 6, 3)).astype("float32")
        self.target = self.model(self.x).numpy().argmax(1)
        self.scores, self.below = self.at(self.x), self.at(np.tile(BASELINE, (8, 1, 1, 1)))
        alphas = np.linspace(0, 1, POINTS)
        self.path = np.stack([self.gradient(BASELINE + alpha * (self.x - BASELINE)) for alpha in alphas])
        self.mean = ((self.path[1:] + self.path[:-1]) / 2).mean(0)
        self.difference = self.x - BASELINE
        self.right = self.mean * self.difference
        self.attributor = ta.Attributor(self.model)

    def at(self, points):
        return self.model(points).numpy()[np.arange(8), self.target]

    def gradient(self, points):
        return self.slope(tf.constant(points, tf.float32)).numpy()

    def taped(self, points):
        with tf.GradientTape() as tape:
            tape.watch(points)
            scores = tf.gather(self.model(points, training=False), self.target, batch_dims=1)
        return tape.gradient(scores, points)

    @functools.cached_property
    def loss(self):
        """The integrated gradients of the cross-entropy."""
        total = 0
        for alpha in (np.arange(50) + 0.5) / 50:
            point = BASELINE + alpha * self.difference
            total = total - self.gradient(point) / self.at(point).reshape(-1, 1, 1, 1)
        return total / 50 * self.difference


@pytest.fixture(scope="module")
def made():
    return Made()


def from_sums(made, attributions, **more):
    return ta.check_attributions(attributions, made.scores, made.below, **more)


def with_inputs(made, attributions):
    return from_sums(made, attributions, inputs=made.x, baselines=BASELINE)


def with_model(made, attributions, **more):
    return ta.check_attributions(
        attributions, inputs=made.x, baselines=BASELINE, target=made.target, attributor=made.attributor, **more
    )


def verdict(report):
    (first,) = [finding for finding in report if finding.name not in ("not_tested", "scores_differ", "baseline_scores_differ")]
    assert first.topic == "integral"
    return first.name


WAYS = (from_sums, with_inputs, with_model)


@pytest.mark.parametrize("check", WAYS)
def test_right_ones_pass_whatever_is_known(made, check):
    for right in (made.right, made.right.sum(-1)):
        report = check(made, right)
        assert verdict(report) == "complete"
        assert report.healthy
        assert report["complete"].evidence["residuals"]["complete"] < 0.02


def test_results_of_this_library_pass_as_they_are(made, ids):
    for attributor, inputs in ((made.attributor, made.x), (ta.Attributor(make_recurrent_text()), ids)):
        result = attributor.attribute(inputs)
        for report in (
            ta.check_attributions(result),
            ta.check_attributions(result, attributor=attributor),
            ta.check_attributions(result.sum(-1), attributor=attributor),
        ):
            assert verdict(report) == "complete"
    assert verdict(ta.check_attributions(result.mean(-1), attributor=attributor)) == "channels_averaged"


ERRONEOUS = {
    "sign_reversed": (lambda made: -made.right, WAYS),
    "factor_missing": (lambda made: made.mean, WAYS[1:]),
    "factor_is_input": (lambda made: made.mean * made.x, WAYS[1:]),
    "channels_averaged": (lambda made: made.right.mean(-1), WAYS),
    "absolute_values": (lambda made: np.abs(made.right), WAYS),
    "steps_not_averaged": (lambda made: made.path[1:].sum(0) * made.difference, WAYS),
    "weights_do_not_sum_to_one": (lambda made: made.right * 20 / 21, WAYS),
    "scaled_for_display": (lambda made: made.right / np.abs(made.right).max((1, 2, 3), keepdims=True), WAYS),
    "baseline_score_forgotten": (
        lambda made: made.right * (made.scores / (made.scores - made.below))[:, None, None, None],
        WAYS,
    ),
    "loss_explained": (lambda made: made.loss, WAYS),
    "off_by_a_factor": (lambda made: 2.6 * made.right, WAYS),
    "negatives_cut_off": (lambda made: np.maximum(made.right, 0), WAYS[2:]),
    "end_point_left_out": (lambda made: made.path[:-1:5].mean(0) * made.difference, WAYS[2:]),
    "too_few_steps": (lambda made: made.path[10::10].mean(0) * made.difference, WAYS),
    "unexplained": (lambda made: np.random.default_rng(1).normal(size=made.x.shape), WAYS),
}


@pytest.mark.parametrize(("name", "check"), [(name, check) for name, (_, checks) in ERRONEOUS.items() for check in checks])
def test_each_error_is_named(made, name, check):
    report = check(made, ERRONEOUS[name][0](made))
    assert verdict(report) == name
    assert not report.healthy
    assert report[name].remedy


def test_the_numbers_that_an_error_tells(made):
    """3 channels; 51 points summed; 10 steps; weights that sum to 20/21: by hand."""
    assert from_sums(made, made.right.mean(-1))["channels_averaged"].evidence["averaged_over"] == 3
    summed = from_sums(made, made.path.sum(0) * made.difference)["steps_not_averaged"]
    assert summed.evidence["steps"] == pytest.approx(50.5, abs=1)
    left = with_model(made, made.path[:-1:5].mean(0) * made.difference)["end_point_left_out"]
    assert left.evidence["steps"] == 10
    assert left.evidence["residuals"]["end_point_left_out"] < 1e-3
    weights = from_sums(made, made.right * 20 / 21)["weights_do_not_sum_to_one"]
    assert weights.evidence["nodes"] == pytest.approx(21, rel=0.05)


def test_a_trapezoid_divided_by_its_points_is_known_by_its_steps(made):
    """As two libraries have it: sum over 51 points of the means of neighbours, divided by 51; its weights sum to 50/51."""
    wrong = (made.path[1:] + made.path[:-1]).sum(0) / 2 / POINTS * made.difference
    for n_steps in (50, 51):
        report = with_model(made, wrong, n_steps=n_steps)
        assert verdict(report) == "weights_do_not_sum_to_one"
        assert report["weights_do_not_sum_to_one"].evidence["residuals"]["weights_do_not_sum_to_one"] < 1e-4
        assert "50 / 51" in report["weights_do_not_sum_to_one"].meaning
    assert verdict(with_model(made, made.right, n_steps=50)) == "complete"


def test_the_score_at_the_baseline_left_out_of_the_comparison(made):
    """With one baseline for all, sums are off by its score, one for each class: nothing is said against the attributions."""
    for below in (None, 0.0):
        report = ta.check_attributions(made.right, made.scores, below, target=made.target)
        assert verdict(report) == "baseline_score_forgotten"
        assert report.worst == "warning"
    found = report["baseline_score_forgotten"].evidence
    for number, target in enumerate(np.unique(made.target)):
        name = f"baseline_score_{number}" if len(np.unique(made.target)) > 1 else "baseline_score"
        assert found[name] == pytest.approx(made.below[made.target == target][0], abs=2e-3)


def test_one_example_cannot_tell_weights_from_a_gap(made):
    report = from_sums(made, made.right * 20 / 21, tolerance=0.01)
    assert verdict(report) == "weights_do_not_sum_to_one"
    one = ta.check_attributions(made.right[:1] * 20 / 21, made.scores[:1], made.below[:1], tolerance=0.01)
    assert verdict(one) == "too_few_steps"
    assert "would look the same" in one["too_few_steps"].meaning
    assert "weights_do_not_sum_to_one" in one["not_tested"].evidence["reasons"]


def test_the_inputs_tell_the_number_of_channels_so_that_nothing_is_fitted(made):
    """Two examples are then enough."""
    few = slice(2)
    report = ta.check_attributions(made.right[few].mean(-1), made.scores[few], made.below[few], made.x[few], BASELINE)
    assert verdict(report) == "channels_averaged"
    assert "over 3 values" in report["channels_averaged"].meaning
    without = ta.check_attributions(made.right[few].mean(-1), made.scores[few], made.below[few])
    assert verdict(without) == "unexplained"


def test_errors_that_nothing_tells_apart_are_all_named():
    """x - x' is -1 everywhere: a missing factor and a reversed sign are the same numbers."""
    attributions = np.array([[1.0, 2.0], [0.5, -1.0], [2.0, 2.0]])
    inputs, baselines = np.zeros((3, 2)), np.ones(2)
    report = ta.check_attributions(attributions, 5 - attributions.sum(1), 5.0, inputs, baselines)
    assert verdict(report) == "several_fit"
    assert "sign_reversed" in report["several_fit"].meaning
    assert "factor_missing" in report["several_fit"].meaning


def test_few_steps_are_not_taken_for_an_error_of_the_formula():
    """Of 90 right rules on nets with biases, too coarse or not, hardly one looks like anything else by chance."""
    names = []
    for seed in range(6):
        keras.utils.set_random_seed(seed)
        model = keras.Sequential(
            [
                keras.Input((10,)),
                layers.Dense(16, activation="relu", bias_initializer="random_normal", kernel_initializer=spread()),
                layers.Dense(4, activation="softmax", kernel_initializer=spread()),
            ]
        )
        attributor, x = ta.Attributor(model), np.random.default_rng(seed).normal(size=(8, 10)).astype("float32")
        for rule in ("left", "right", "midpoint", "trapezoid", "gauss_legendre"):
            for steps in (4, 16, 64):
                result = attributor.attribute(x, method=ta.IntegratedGradients(rule=rule, n_steps=steps), verbose=False)
                names += [finding.name for finding in ta.check_attributions(result) if finding.name != "not_tested"]
    assert set(names) & {"complete", "too_few_steps"}
    assert len([name for name in names if name not in ("complete", "too_few_steps", "unexplained")]) <= 2


def test_right_numbers_that_lean_towards_a_rule_of_many_steps_are_not_taken_for_it(made):
    """What is left over of a rule beneath the accuracy of what is called right says nothing: only its very numbers do."""
    slope = (made.path[-1] - made.path[0]) * made.difference
    noise = np.random.default_rng(0).normal(size=slope.shape) * np.abs(made.right).mean() * 6e-4
    leaning = made.right + slope / 2 / 1000 + noise
    report = with_model(made, leaning)
    residuals = report.findings[0].evidence["residuals"]
    assert residuals["too_few_steps"] < min(1e-3, residuals["complete"])
    assert verdict(report) == "complete"
    few = made.path[5::5].mean(0) * made.difference  # these are the numbers of 10 steps
    assert verdict(with_model(made, few)) == "too_few_steps"


def test_single_examples_beyond_five_percent_are_listed():
    """The others add up, so that the whole does; the guide's rule is for each."""
    attributions = np.array([[10.0, -2.0], [8.0, 1.0], [0.5, 0.6]])
    report = ta.check_attributions(attributions, [8.0, 9.0, 1.0], 0.0)
    assert report["complete"].severity == "passed"
    assert report["too_few_steps"].examples == (2,)


def test_several_tensors_and_several_baselines(pair):
    attributor = ta.Attributor(pair, of="kind")
    inputs = [np.random.default_rng(0).normal(size=(5, size)).astype("float32") for size in (4, 2)]
    result = attributor.attribute(inputs)
    assert verdict(ta.check_attributions(result.attributions, result.scores, result.baseline_scores, inputs)) == "complete"
    assert (
        verdict(
            ta.check_attributions(
                [-leaf for leaf in result.attributions], attributor=attributor, inputs=inputs, target=result.target
            )
        )
        == "sign_reversed"
    )
    averaged = attributor.attribute(inputs, baselines=[ta.gaussian(3, 1.0), ta.gaussian(3, 1.0)], seed=1)
    report = ta.check_attributions(averaged)
    assert verdict(report) == "complete"


def test_scores_of_another_output_are_told(made):
    report = with_model(made, made.right, scores=made.model(made.x).numpy()[:, 0] + 1)
    assert report["scores_differ"].severity == "warning"
    assert verdict(report) == "complete"
    against_zero = made.attributor.attribute(made.x, target=made.target)
    report = ta.check_attributions(against_zero, attributor=made.attributor, baselines=BASELINE)
    assert report["baseline_scores_differ"].severity == "warning"
    assert "baselines=" in report["baseline_scores_differ"].remedy


def test_inputs_that_are_no_numbers_say_nothing(made):
    report = from_sums(made, made.right, inputs=np.array(["word"] * 8))
    assert verdict(report) == "complete"
    assert "no numbers" in report["not_tested"].evidence["reasons"]["factor_missing"]


def test_what_cannot_be_tested_says_why(made):
    reasons = from_sums(made, made.right)["not_tested"].evidence["reasons"]
    assert set(reasons) <= set(ERRORS)
    assert "inputs=" in reasons["factor_missing"]
    assert "attributor=" in reasons["end_point_left_out"]


def test_nothing_to_explain_and_numbers_that_are_not_finite(made):
    same = ta.check_attributions(np.zeros((2, 3)), [1.0, 1.0], [1.0, 1.0])
    assert [finding.name for finding in same] == ["nothing_to_explain"]
    spoilt = made.right.copy()
    spoilt[3, 0] = np.nan
    report = from_sums(made, spoilt)
    assert report["not_finite"].examples == (3,)
    assert report.worst == "error"


def test_what_does_not_fit_is_refused(made):
    check = ta.check_attributions
    assert_refused(lambda: check(made.right), "scores", "attributor=")
    assert_refused(lambda: check(made.right, made.scores[:3]), "8 examples", "(3,)")
    assert_refused(lambda: check(made.right, made.scores, inputs=made.x[:2]), "same examples")
    assert_refused(lambda: check(made.right, attributor=made.attributor), "inputs=")
    assert_refused(lambda: check(made.right, attributor=made.attributor, inputs=made.x[:2]), "8", "2")
    assert_refused(lambda: check(made.right, made.scores, n_steps=5), "attributor=")
    assert_refused(lambda: with_model(made, made.right, n_steps=0), "n_steps")
    assert_refused(lambda: check(made.right, made.scores, tolerance=2), "tolerance")
    assert_refused(lambda: check(made.attributor.attribute(made.x, method="gradient")), "claims no sum")
    assert_refused(lambda: check(np.zeros(3), made.scores), "(batch, ...)")


def test_the_report_is_readable_and_whole(made, tmp_path):
    report = from_sums(made, made.right.mean(-1))
    assert "channels_averaged" in repr(report)
    assert "averaged_over" in report.to_json()
    assert "<b>channels averaged</b>" in report.save_html(tmp_path / "report.html").read_text()


def test_what_is_found_is_not_said_to_be_untested():
    """With few examples a factor of 3 is known from three channels, and is no number to be fitted."""
    rng = np.random.default_rng(0)
    whole = rng.normal(size=(3, 4, 4, 3))
    found = ta.check_attributions(whole.mean(-1), whole.sum((1, 2, 3)), np.zeros(3), inputs=rng.normal(size=(3, 4, 4, 3)))
    assert found.findings[0].name == "channels_averaged"
    assert "channels_averaged" not in found["not_tested"].evidence["reasons"]
