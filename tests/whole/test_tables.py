"""Lists of names that must agree: a row of a table has everything that a row has, and no list knows another."""

import inspect
import re
from pathlib import Path

import pytest

import tf_attrib as ta
from tf_attrib.cli import _parser
from tf_attrib.metrics.table import METRICS

from . import test_axioms

README = Path(__file__).parents[2] / "README.md"
ROWS = [name for name in ta.METHODS if name not in ta.METHODS.added]


def lines_of_the_methods():
    """The rows of README's table of methods, found by its header."""
    lines = README.read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if re.match(r"\|\s*method\s*\|", line, re.IGNORECASE))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(line)
    return rows


def help_of(command, option):
    """The help of an option of a command, as it is printed."""
    subparsers = next(action for action in _parser()._actions if action.choices)
    return next(action.help for action in subparsers.choices[command]._actions if option in action.option_strings)


def test_the_readers_see_something():
    assert len(ROWS) >= 16
    assert len(lines_of_the_methods()) >= 10
    assert "gradient" in help_of("attribute", "--method")


@pytest.mark.parametrize("name", ROWS)
def test_a_method_has_a_line_in_the_readme(name):
    spelt = rf'"{name}"|ta\.{ta.METHODS[name].__name__}\b'
    assert any(re.search(spelt, line) for line in lines_of_the_methods()), f"README's table of methods does not name {name}"


@pytest.mark.parametrize("name", ROWS)
def test_a_method_has_a_public_name_and_says_what_it_is(name):
    method = ta.METHODS[name]
    assert method.__name__ in ta.__all__
    assert getattr(ta, method.__name__) is method
    assert re.search(r"arXiv:|\d{4}", inspect.getdoc(method)), "the docstring names its source"


def test_the_axioms_hold_for_every_method():
    """In every run, not only in those that take long."""
    assert {run.values[1] for run in test_axioms.RUNS if not run.marks} == set(ROWS)


def test_the_command_line_lists_every_method():
    said = help_of("attribute", "--method").replace("(default)", "")
    assert [name.strip() for name in said.partition(";")[0].split(",")] == sorted(ROWS, key=said.index)
    assert set(re.findall(r"\w+", said.partition(";")[0])) == set(ROWS)


def test_the_command_line_and_the_docstring_list_every_metric():
    """All but pointing on the command line, which has no masks."""
    metrics = set(METRICS) - set(METRICS.added)
    assert set(re.findall(r"\w+_?\w*", help_of("compare", "--metrics").partition(", with")[0])) - {"of"} == metrics - {
        "pointing"
    }
    assert all(f'"{name}"' in ta.metrics.compare.__doc__ for name in metrics)


def test_the_docstring_of_baselines_lists_every_recipe():
    recipes = {name for name in ta._PUBLIC["selection.baselines"] if name != "Baseline"}
    assert recipes <= set(re.findall(r"ta\.(\w+)", ta.Attributor.attribute.__doc__))
