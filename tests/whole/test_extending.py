"""The code of docs/extending.md runs as it stands, from top to bottom; each recipe is there with its test."""

import re
from pathlib import Path

import pytest

import tf_attrib as ta
from tf_attrib.doctor.diagnose import ADDED
from tf_attrib.engine.method import KINDS
from tf_attrib.methods.deeplift.rules.table import RULES as OPERATIONS
from tf_attrib.metrics.infidelity import UNFIT
from tf_attrib.result.adding_up import are_summed

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
TABLES = (ta.extend.RULES, ta.extend.METHODS, ta.extend.METRICS, ta.extend.FINDINGS, OPERATIONS, ADDED)


def blocks():
    """The code blocks of the page, each behind as many empty lines as stand above it: errors name the page's own lines."""
    text = PAGE.read_text()
    return [
        "\n" * text[: found.start(1)].count("\n") + found[1]
        for found in re.finditer(r"^```python\n(.*?)^```$", text, re.M | re.S)
    ]


@pytest.fixture
def _as_before():
    yield
    for table in TABLES:
        for name in list(table.added):
            del table[name]


@pytest.mark.usefixtures("_as_before")
def test_the_page_runs_from_top_to_bottom():
    names = {}
    for block in blocks():
        exec(compile(block, str(PAGE), "exec"), names)
    assert "squared_gradient" in ta.METHODS
    assert {"Atan2"} == set(OPERATIONS.added)


def test_each_recipe_has_its_test():
    text = PAGE.read_text()
    recipes = [part for part in re.split(r"^## ", text, flags=re.M)[1:] if not part.startswith("Before")]
    assert len(recipes) == 6
    for recipe in recipes:
        test = re.search(r"^def (test_\w+)\(", recipe, re.M)
        assert test, recipe.splitlines()[0]
        assert f"\n{test[1]}()\n" in recipe
        assert "assert" in recipe


def test_all_that_the_door_opens_to_is_documented():
    for name in ta.extend.__all__:
        thing = getattr(ta.extend, name)
        assert name in ("FINDINGS", "METHODS", "METRICS", "RULES", "RowFunction") or thing.__doc__, name


def test_the_page_names_nothing_that_is_not_there():
    for name in re.findall(r"(?<!/)\bextend\.(\w+)", PAGE.read_text()):
        assert name in ta.extend.__all__, name
    for name in re.findall(r"\bta\.(\w+)", PAGE.read_text()):
        assert name in ta.__all__, name


def test_the_table_of_kinds_is_what_the_library_does():
    rows = re.findall(r'^\| `"(\w+)"` \|[^|]+\|[^|]+\| (\w+) \| ([^|]+) \| ([^|]+) \|$', PAGE.read_text(), re.M)
    assert [kind for kind, *_ in rows] == list(KINDS)
    of = {kind: [method for method in (ta.METHODS[name]() for name in ta.METHODS) if method.kind == kind] for kind in KINDS}
    for kind, in_score_units, pictures, infidelity in rows:
        assert of[kind], kind
        assert {str(method.in_score_units) for method in of[kind]} == {in_score_units}
        assert pictures.startswith("sum" if are_summed(kind) else "mean"), kind
        assert (infidelity == "refuses") == (kind in UNFIT), kind
