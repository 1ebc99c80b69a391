"""The doctor as a whole: what it takes, that it leaves nothing behind, and the table of its findings."""

import ast
from pathlib import Path

import numpy as np
import pytest

import tf_attrib as ta
from tf_attrib.doctor import catalogue
from tf_attrib.doctor.catalogue import finding
from tf_attrib.doctor.checks.compare import sign_changes
from tf_attrib.doctor.diagnose import ADDED, check
from tf_attrib.doctor.entries import Entry
from tf_attrib.doctor.numbers.hypotheses import ERRORS
from tf_attrib.doctor.report import TOPICS

from ..conftest import assert_refused, make_cnn
from ..helpers.sick import DIAGONAL, PLAIN, attributor_of, softmax_of


def test_a_healthy_model_by_hand():
    report = ta.diagnose(attributor_of(softmax_of(DIAGONAL)), PLAIN)
    assert report.healthy
    assert report.worst == "note"
    assert {"repeatable", "baseline_entropy", "gap", "accuracy"} <= {one.name for one in report if one.severity == "passed"}
    assert "necessary and not sufficient" in report["baseline_entropy"].meaning


def test_what_fits_is_refused():
    attributor = attributor_of(softmax_of(DIAGONAL))
    assert_refused(lambda: ta.diagnose(attributor.model, PLAIN), "ta.Attributor(model)")
    assert_refused(lambda: ta.diagnose(attributor, PLAIN, default_class=0.3), "default_class", "0.3")
    assert_refused(lambda: ta.diagnose(attributor, PLAIN, default_class=-1), "default_class")
    assert_refused(lambda: ta.diagnose(attributor, PLAIN, method="occlusion"), "integrated gradients")
    assert_refused(lambda: ta.diagnose(attributor, PLAIN[:, :2]), "must be float32")
    assert_refused(lambda: ta.diagnose(attributor, PLAIN, target=7), "out of range")


def test_nothing_is_left_behind():
    """The attributor gives the same numbers before and after, and the model its own."""
    model = make_cnn()
    attributor, x = ta.Attributor(model), np.random.default_rng(0).uniform(size=(3, 8, 8, 1)).astype("float32")
    before, values = attributor.attribute(x), np.asarray(model(x))
    ta.diagnose(attributor, x)
    np.testing.assert_array_equal(attributor.attribute(x).attributions, before.attributions)
    np.testing.assert_array_equal(np.asarray(model(x)), values)
    assert attributor.of is None


def test_the_same_seed_gives_the_same_report():
    attributor = ta.Attributor(make_cnn())
    x = np.random.default_rng(0).uniform(size=(3, 8, 8, 1)).astype("float32")
    one, two, three = (ta.diagnose(attributor, x, baselines=ta.uniform(2, 0, 1), seed=seed) for seed in (1, 1, 2))
    assert one.to_json() == two.to_json()
    assert one["baseline_score"].evidence != three["baseline_score"].evidence


def test_the_table_lists_every_finding():
    """Names are given to `finding` as plain strings: those in the code and those in the table are the same."""
    used = set()
    for path in sorted(Path(catalogue.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "finding":
                assert isinstance(node.args[0], ast.Constant), f"{path.name}, line {node.lineno}"
                used.add(node.args[0].value)
    assert used == set(catalogue.FINDINGS)
    printed = catalogue.table()
    assert all(f"| `{name}` |" in printed for name in used)


def test_verdicts_on_numbers_are_in_the_table_too():
    """The names that `check_attributions` may give: those of its findings, fits and errors."""
    found, folder = {"scores_differ", "baseline_scores_differ"}, Path(catalogue.__file__).parent / "numbers"
    for path in {*folder.glob("*.py")} - {folder / "verdicts.py"}:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Finding", "Fit", "_against"):
                found |= {one.value for one in node.args[:2] if isinstance(one, ast.Constant)}
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
                first = node.value.elts[0]
                found |= {first.value} if isinstance(first, ast.Constant) else set()
    found |= set(ERRORS) | {"negatives_cut_off"}
    assert found - set(TOPICS) == {row.name for row in catalogue.VERDICTS}


def test_the_page_is_what_the_catalogue_prints():
    page = (Path(catalogue.__file__).parent / "README.md").read_text()
    assert page == catalogue.PAGE


def test_signs_that_change():
    assert sign_changes(np.array([1.0, -1, 1, 0.01]), np.array([1.0, 1, 1, -0.01])) == pytest.approx(1 / 3)


def unsure(case):
    """Examples whose explained score is low."""
    low = np.flatnonzero(case.result.scores < 0.6)
    if not len(low):
        return []
    return [finding("unsure", "note", {"lowest": float(case.result.scores.min())}, "The model is unsure.", examples=low)]


ENTRY = Entry("unsure", "output", "the explained score is low", "the lowest score", "look at other examples")


@pytest.fixture
def _as_before():
    yield
    for table in (catalogue.FINDINGS, ADDED):
        for name in list(table.added):
            del table[name]


@pytest.mark.usefixtures("_as_before")
def test_checks_of_others_are_run_where_they_are_given_or_registered():
    attributor = attributor_of(softmax_of(DIAGONAL))
    assert "unsure" not in ta.diagnose(attributor, PLAIN)
    catalogue.FINDINGS["unsure"] = ENTRY
    scores = attributor.attribute(PLAIN).scores
    low = np.flatnonzero(scores < 0.6)
    report = ta.diagnose(attributor, PLAIN, checks=[unsure])
    assert ("unsure" in report) == bool(len(low))
    strict = lambda case: [finding("unsure", "warning", {}, "never sure", examples=np.arange(case.count))]  # noqa: E731
    report = ta.diagnose(attributor, PLAIN, checks=[strict])
    assert report["unsure"].topic == "output"
    assert report["unsure"].examples == tuple(range(len(PLAIN)))
    assert not report.healthy
    named = ta.diagnose(attributor, PLAIN, checks=[lambda case: [ta.Finding("by_hand", "model", "note", {}, "hm")]])
    assert named["by_hand"].meaning == "hm"

    @check(ENTRY)
    def always(case):
        return strict(case)

    assert "unsure" in ta.diagnose(attributor, PLAIN)
    assert len([one for one in ta.diagnose(attributor, PLAIN, checks=[always]) if one.name == "unsure"]) == 1
    assert "| `unsure` |" in catalogue.table()


@pytest.mark.usefixtures("_as_before")
def test_what_is_no_check_is_refused():
    attributor = attributor_of(softmax_of(DIAGONAL))

    def diagnose(*checks):
        return lambda: ta.diagnose(attributor, PLAIN, checks=list(checks))

    assert_refused(diagnose(3), "a function of a ta.extend.Examination", "3")
    assert_refused(lambda: ta.diagnose(attributor, PLAIN, checks=unsure), "a list of functions")
    assert_refused(diagnose(lambda case: None), "must return a list of findings", "None")
    assert_refused(diagnose(lambda case: [ta.Finding("gap", "integral", "note", {}, "")]), "'gap'", "rename it")
    assert_refused(diagnose(lambda case: [ta.Finding("mine", "model", "note", {}, "", "", (99,))]), "example 99")
    assert_refused(diagnose(lambda case: [finding("unsue", "note", {}, "")]), "no finding is called 'unsue'")
    assert_refused(lambda: catalogue.FINDINGS.update(gap=ENTRY), "has a finding 'gap'")
    assert_refused(lambda: catalogue.FINDINGS.update(other=ENTRY), "FINDINGS['other']", "Entry")
    assert_refused(lambda: check(unsure), "the entries of its findings")
    assert_refused(lambda: check(ENTRY)(3), "a check is a function", "3")
