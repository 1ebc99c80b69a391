"""Code of users: what goes wrong in it is said under its name, and never a wrong number."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib import extend
from tf_attrib.doctor.diagnose import ADDED

from ..conftest import assert_refused

X = np.array([[1.0, -2.0], [0.5, 3.0]], "float32")


@pytest.fixture(scope="module")
def cube():
    return ta.Attributor(lambda x: tf.reduce_sum(x**3, 1))


@pytest.fixture(autouse=True)
def left_as_it_was():
    yield
    for table in (extend.METHODS, extend.RULES, extend.METRICS, extend.FINDINGS):
        for name in list(table.added):
            del table[name]
    ADDED.clear()


def raising(*arguments):
    raise KeyError("missing")


# baselines


def in_place(x, rng):
    return np.multiply(x, 0.5, out=x)[:, None]


@pytest.mark.parametrize("at_model_input", [False, True])
def test_a_baseline_cannot_change_the_inputs(cube, at_model_input):
    make = (lambda x, rng: {key: in_place(part, rng)[:, 0] for key, part in x.items()}) if at_model_input else in_place
    inputs = X.copy()
    baseline = ta.Baseline("half", make, shared=False, at_model_input=at_model_input)
    assert_refused(lambda: cube.attribute(inputs, baselines=baseline), "the baseline (half)", "read-only")
    np.testing.assert_array_equal(inputs, X)
    inputs[0, 0] = 7  # and is the caller's again


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (raising, "failed with KeyError"),
        (lambda x: x, "failed with TypeError"),
        (lambda x, rng: [[1.0], [1.0, 2.0]], "must make an array"),
        (lambda x, rng: x * 1j, "must make numbers or strings"),
    ],
)
def test_a_baseline_that_makes_none(cube, make, words):
    assert_refused(lambda: cube.attribute(X, baselines=ta.Baseline("mine", make)), "the baseline (mine)", words)


# rules of quadrature


def test_a_rule_keeps_its_own_copy(cube):
    weights = np.array([1, 4, 1]) / 6
    rule = ta.Rule("mine", np.linspace(0, 1, 3), weights, degree=3)
    weights[:] = 99
    np.testing.assert_allclose(cube.attribute(X, method=ta.IntegratedGradients(rule=rule)).attributions, X**3, rtol=1e-5)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("mine", [0, 1], [0.5, 0.5], 2), "does not integrate a polynomial of degree 2"),
        (("mine", [0, 1], [0.5, 0.5], -1), "degree"),
        (("mine", [0, 1], [0.5, 0.5], "x"), "degree"),
        (("mine", ["a"], [1.0]), "the nodes of the rule 'mine' must be an array of real numbers"),
        (("mine", [0j], [1.0]), "real numbers"),
        (("mine", [0.5, 0.2], [0.5, 0.5]), "go from 0.5 to 0.2, and not all of them ascend"),
        (("mine", [0, 2], [0.5, 0.5]), "go from 0 to 2"),
        ((None, [0.5], [1.0]), "a rule has a name"),
        (("mine", [0, 1], [1.0]), "nodes of shape (2,) and weights of shape (1,)"),
    ],
)
def test_what_is_no_rule(given, words):
    assert_refused(lambda: ta.Rule(*given), words)


def test_a_function_that_makes_no_rule(cube):
    extend.RULES["mine"] = raising
    assert_refused(
        lambda: cube.attribute(X, method=ta.IntegratedGradients(rule="mine", n_steps=3)), "RULES['mine'](3) failed", "KeyError"
    )
    assert_refused(lambda: cube.attribute(X, method=ta.IntegratedGradients(rule=raising)), "RULES['mine'] = it")


@pytest.mark.parametrize("name", list(extend.RULES))
def test_rules_of_the_library_are_of_their_degree(name):
    for n_steps in (1, 4, 9):
        assert len(extend.make_rule(name, n_steps)) >= n_steps


# methods


@dataclasses.dataclass(frozen=True)
class First(ta.Method):
    """Its row function gives one entry for a whole block."""

    part: str = "integrand"

    def points(self, references, rng, features, kind):
        return extend.points.at_references(references)

    def row(self, features, kind):
        return FirstRow(self.part)


@dataclasses.dataclass(frozen=True)
class FirstRow:
    part: str

    def __call__(self, function, row):
        score, gradients = function.gradients(row.point(), row.context, row.target)
        if self.part == "all":
            return score[:1], score[:1], {key: value[:1] for key, value in gradients.items()}
        if self.part == "some":
            gradients = {key: value[:2] for key, value in gradients.items()}
        if self.part == "integrand":
            gradients = {key: value[:1] for key, value in gradients.items()}
        return score, tf.zeros_like(score), gradients


@pytest.mark.parametrize("part", ["integrand", "some", "all"])
def test_one_entry_does_not_pass_for_all_rows(cube, part):
    assert_refused(lambda: cube.attribute(np.tile(X, (2, 1)), method=First(part)), "FirstRow", "one entry for each row")
    with pytest.raises(ta.AttributionError) as raised:
        cube.attribute(np.tile(X, (2, 1)), method=First(part))
    assert "the model failed" not in str(raised.value)


@dataclasses.dataclass(frozen=True)
class AtInput(ta.Method):
    """Gradient times difference, at the input and the first reference alone."""

    def points(self, references, rng, features, kind):
        return extend.points.at_input()

    def row(self, features, kind):
        return extend.GradientIntegrand("difference")


def test_baselines_that_a_method_would_not_use(cube):
    np.testing.assert_allclose(cube.attribute(X, method=AtInput()).attributions, 3 * X**3, rtol=1e-5)
    several = ta.several([ta.zeros(), ta.constant(1.0)])
    assert_refused(lambda: cube.attribute(X, baselines=several, method=AtInput()), "use 1 of 2 baselines", "at_references")


def of_at_input(**said):
    return type("Mine", (AtInput,), {"__module__": __name__, **said})()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"kind": "slopes"}, "the kind of Mine must be one of"),
        ({"complete": "yes"}, "complete of Mine must be True or False"),
        ({"exact": True}, "complete = True"),
        ({"takes_baseline": False}, "takes_baselines is"),
        ({"points": lambda self, *a: raising()}, "points of Mine() failed with KeyError"),
        ({"points": lambda self, references, rng, features, kind: rng.uniform()}, "random = True"),
        ({"row": lambda self, *a: raising()}, "row of Mine() failed with KeyError"),
        ({"row": lambda self, *a: raising}, "the row function raising failed with KeyError"),
        ({"row": lambda self, *a: lambda function, row: (row.alpha, row.alpha)}, "it returned 2 values"),
    ],
)
def test_what_a_method_says_and_does_wrong(cube, said, words):
    assert_refused(lambda: cube.attribute(X, method=of_at_input(**said)), words)


# rules of DeepLIFT


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (lambda operation, upstream: [{}["missing"], upstream], "failed with KeyError: 'missing'"),
        (lambda operation, upstream: [][1], "failed with IndexError"),
        (lambda operation, upstream: [upstream[0], upstream], "of the shape of each input"),
    ],
)
def test_an_error_in_a_rule_is_not_taken_for_a_missing_gradient(rule, words):
    extend.deeplift_rule("Cross")(rule)
    try:
        crossed = ta.Attributor(lambda x: tf.reduce_sum(tf.linalg.cross(x, x[:, ::-1]), 1))
        x = np.ones((1, 3), "float32")
        assert_refused(lambda: crossed.attribute(x, method="deeplift"), "the DeepLIFT rule <lambda> of Cross", words)
    finally:
        from tf_attrib.methods.deeplift.rules import table

        del table.RULES["Cross"]


@pytest.fixture
def crossed():
    """A model whose score passes an operation that the library has no rule for, of two inputs."""
    yield ta.Attributor(lambda x: tf.reduce_sum(tf.linalg.cross(x, x[:, ::-1]), 1))
    from tf_attrib.methods.deeplift.rules import table

    for name in list(table.RULES.added):
        del table.RULES[name]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (lambda operation, upstream: upstream, "it returned a tensor"),
        (lambda operation, upstream: None, "it returned None"),
        (lambda operation, upstream: [upstream], "it returned a list of 1: [a tensor]"),
    ],
)
def test_a_rule_gives_a_list_with_a_part_for_each_input(crossed, rule, words):
    extend.deeplift_rule("Cross")(rule)
    x = np.ones((1, 3), "float32")
    assert_refused(lambda: crossed.attribute(x, method="deeplift"), "rule <lambda> of Cross must return a list of 2", words)


def test_a_rule_that_was_added_is_named_where_it_was_used(crossed):
    @extend.deeplift_rule("Cross")
    def halves(operation, upstream):
        """Half of everything"""
        return [upstream / 2, upstream / 2]

    x = np.array([[1.0, 2.0, 4.0]], "float32")
    found = crossed.attribute(x, method="deeplift")
    assert list(found.status) == ["incomplete"]
    assert "note: by rules that were added with deeplift_rule: Cross (Half of everything)" in str(found)
    plain = ta.Attributor(lambda x: tf.reduce_sum(tf.tanh(x), 1)).attribute(x, method="deeplift")
    assert "deeplift_rule" not in str(plain)


def test_a_rule_for_some_inputs_is_said_to_be_one():
    assert_refused(lambda: extend.deeplift_rule("Pow"), "Pow has a rule, 'Rescale: Δy / Δx', where input 0 alone varies")
    with pytest.raises(ta.AttributionError, match=r"has a rule, '[^']+': replace=True"):
        extend.deeplift_rule("Tanh")


def test_what_deeplift_rule_takes():
    assert_refused(lambda: extend.deeplift_rule("Cross", inputs=0), "list of positions")
    assert_refused(lambda: extend.deeplift_rule("Cross", words=3), "text")


# metrics


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"better": "up"}, "better of the metric 'm' is one of"),
        ({"values": ["a"]}, "one real number for each example"),
        ({"values": [1j]}, "real number"),
        ({"values": [[1.0]]}, "(1, 1)"),
        ({"unit": 3}, "unit of a metric is text"),
        ({"notes": "abc"}, "notes of the metric 'm' is a tuple"),
    ],
)
def test_what_is_no_metric(change, words):
    given = {"name": "m", "values": [1.0], "method": "x", "unit": "", "better": ""} | change
    assert_refused(lambda: extend.Metric(**given), words)


def test_values_of_a_metric_may_be_a_list():
    assert extend.Metric("m", [1, 2], "x", "", "higher", notes=["a"]).mean == 1.5


def test_a_metric_that_fails_or_changes_what_it_measures(cube):
    def emptied(attributor, result):
        result.attributions[:] = 0
        return np.zeros(len(result))

    def failing(attributor, result):
        return raising()

    def imaginary(attributor, result):
        return np.ones(len(result)) * 1j

    for metric, words in ((emptied, "read-only"), (failing, "KeyError"), (imaginary, "must give a number for each example")):
        assert_refused(
            lambda metric=metric: ta.metrics.compare(cube, X, ["gradient"], metrics=[metric]),
            f"the metric '{metric.__name__}'",
            words,
        )


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_what_is_no_number_of_a_metric_is_said(cube):
    def infinite(attributor, result):
        return [1.0, np.inf]

    def nothing(attributor, result):
        return None

    def partial(attributor, result):
        return [1.0, np.nan]

    def measured(metric):
        return ta.metrics.compare(cube, X, ["gradient"], metrics=[metric])

    assert_refused(lambda: measured(infinite), "the metric 'infinite' is infinite for example(s) 1 by Gradient()", "NaN")
    assert_refused(lambda: measured(nothing), "a number for each example, (2,); it gave None")
    assert measured(partial)["gradient"]["partial"].mean == 1
    assert "note: partial has no value for 1 of 2 examples by Gradient()" in str(measured(partial))


def test_a_metric_of_one_array_is_told_that_there_are_several():
    def strongest(attributor, result):
        return np.abs(result.attributions).reshape(len(result), -1).max(1)

    def joined(attributor, result):
        parts = [np.abs(leaf).reshape(len(result), -1) for leaf in tf.nest.flatten(result.attributions)]
        return np.concatenate(parts, 1).max(1)

    two = ta.Attributor(lambda x: tf.reduce_sum(x["a"] * 2 + x["b"], 1))
    x = {"a": X, "b": X}
    assert_refused(
        lambda: ta.metrics.compare(two, x, ["gradient"], [strongest]), "are a dict here", "['a', 'b']", "tf.nest.flatten"
    )
    np.testing.assert_allclose(ta.metrics.compare(two, x, ["gradient"], [joined])["gradient"]["joined"].values, [2, 2])


# findings


def found(cube, check):
    return ta.diagnose(cube, X, checks=[check])


def a_finding(examples=(), evidence=None):
    extend.FINDINGS["mine"] = extend.Entry("mine", "model", "disease", "evidence", "remedy")
    return [extend.finding("mine", "note", {"number": 1} if evidence is None else evidence, "It is so.", "mend it", examples)]


def test_examples_of_a_finding_may_be_a_mask(cube):
    report = found(cube, lambda case: a_finding(np.array([False, True])))
    assert report["mine"].examples == (1,)
    for wrong in ([0.5], 1, np.where(np.array([True, False])), [[0]]):
        assert_refused(lambda wrong=wrong: found(cube, lambda case: a_finding(wrong)), "whole numbers", "mask")
        entry = ("mine", "model", "note", {}, "It is so.", "", wrong)
        assert_refused(lambda entry=entry: ta.Finding(*entry), "whole numbers", "mask")
    assert_refused(lambda: found(cube, lambda case: a_finding(evidence=[1])), "a dict of numbers by name")


def test_evidence_is_what_a_report_can_write(cube):
    given = {
        "tensor": tf.constant(0.5),
        "several": [tf.constant([1, 2]), np.float32(0.25)],
        "by_name": {"a": np.array([True]), 3: None},
        "word": "dense",
    }
    report = found(cube, lambda case: a_finding(evidence=given))
    wanted = {"tensor": 0.5, "several": [[1, 2], 0.25], "by_name": {"a": [True], "3": None}, "word": "dense"}
    (mine,) = (one for one in json.loads(report.to_json())["findings"] if one["name"] == "mine")
    assert mine["evidence"] == wanted
    assert "tensor 0.5" in str(report["mine"])
    for wrong in (object(), 1j, np.array([object()]), {"inner": [{1, 2}]}, cube):
        assert_refused(
            lambda wrong=wrong: a_finding(evidence={"number": wrong}), "'number' of the finding 'mine'", "numbers or"
        )
        assert_refused(lambda wrong=wrong: ta.Finding("mine", "model", "note", {"number": wrong}, "So."), "numbers or words")


def test_a_check_that_fails_or_changes_the_inputs(cube):
    def emptied(case):
        for value in case.x.values():
            value[:] = 0
        return []

    inputs = X.copy()
    assert_refused(lambda: ta.diagnose(cube, inputs, checks=[emptied]), "the check emptied", "read-only")
    np.testing.assert_array_equal(inputs, X)
    assert_refused(lambda: found(cube, lambda case: raising()), "failed with KeyError")


@pytest.mark.parametrize("name", ["check_gap", "check_called", "check_repeatable"])
def test_a_check_is_not_called_as_one_of_the_library_is(name):
    entry = extend.Entry("mine", "model", "disease", "evidence", "remedy")
    own = lambda case: []  # noqa: E731
    own.__name__ = name
    assert_refused(lambda: extend.check(entry)(own), f"the library has a check {name!r}")
    assert "mine" not in extend.FINDINGS


def test_what_is_no_check_adds_no_entry():
    entry = extend.Entry("mine", "model", "disease", "evidence", "remedy")
    assert_refused(lambda: extend.check(entry)(3), "a check is a function")
    assert "mine" not in extend.FINDINGS
    assert_refused(lambda: extend.check(), "one at least")
    assert_refused(lambda: extend.Entry("mine", "model", "disease", "evidence", 5), "remedy of an entry is text")
