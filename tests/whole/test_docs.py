"""The pages of the documentation: their code runs from top to bottom, and what they list is what the library has.

A page's blocks share one namespace. HTML comments, which readers do not see, say what is not plain:

    <!-- after: methods/index.md -->    at the top: the page goes on where another one ends
    <!-- python ... -->                 code that is run and not shown
    <!-- skip: why -->                  the next block is not run
    <!-- slow: why -->                  ... is run by `pytest -m slow`
    <!-- real: shap -->                 ... is run by `pytest -m real`, where this package is installed
    <!-- prints -->                     the next block is what the one before has printed, to the letter
"""

import ast
import contextlib
import dataclasses
import functools
import importlib
import importlib.util
import inspect
import io
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

import tf_attrib as ta
from tf_attrib import view
from tf_attrib.doctor.diagnose import ADDED
from tf_attrib.methods.deeplift.rules.table import RULES as OPERATIONS

from ..helpers.bins import one_hot_bins

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
pytestmark = pytest.mark.skipif(not (ROOT / "mkdocs.yml").is_file(), reason="the pages are in a clone of the project")

PAGES = [page for page in (*sorted(DOCS.rglob("*.md")), ROOT / "README.md") if page.is_file()]
PARTS = re.compile(
    r"^<!-- after: (?P<after>\S+) -->$"
    r"|^<!-- python\n(?P<hidden>.*?)^-->$"
    r"|^<!-- (?P<mark>skip|slow|real): (?P<why>[^\n]*) -->$"
    r"|^(?P<prints><!-- prints -->)$"
    r"|^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclasses.dataclass(frozen=True)
class Block:
    """Code of a page: where it stands, how it is marked and why, and what it must print."""

    page: Path
    line: int
    code: str
    mark: str = ""
    why: str = ""
    prints: str | None = None

    def run(self, namespace):
        printed = io.StringIO()
        # lines are counted as in the page, so that a traceback leads there
        compiled = compile("\n" * self.line + self.code, str(self.page), "exec")
        with contextlib.redirect_stdout(printed):
            exec(compiled, namespace)
        if self.prints is not None:
            assert printed.getvalue() == self.prints, f"{self.page}:{self.line} prints something else than the page says"


def parsed(page):
    """The page that this one goes on from, or None, and the blocks of this one."""
    after, blocks, mark, expected = None, [], {}, False
    text = page.read_text("utf-8")
    for part in PARTS.finditer(text):
        line = text.count("\n", 0, part.start()) + 1
        if part["after"]:
            after = DOCS / part["after"]
        elif part["mark"]:
            mark = {"mark": part["mark"], "why": part["why"]}
        elif part["prints"]:
            expected = True
        elif expected:
            blocks[-1], expected = dataclasses.replace(blocks[-1], prints=part["text"]), False
        elif part["hidden"] or part["language"] == "python":
            blocks.append(Block(page, line, part["hidden"] or part["text"], **mark))
            mark = {}
    return after, blocks


def run(page, marks=("",)):
    """What the page's code leaves behind, of the blocks with these marks."""
    after, blocks = parsed(page)
    namespace = {"__name__": "__page__"} if after is None else dict(finished(after))
    for block in blocks:
        if block.mark in marks:
            block.run(namespace)
    return namespace


@functools.cache
def finished(page):
    return run(page)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Pages write to the working folder."""
    monkeypatch.chdir(tmp_path)
    yield
    plt.close("all")
    for table in (ta.extend.RULES, ta.extend.METHODS, ta.extend.METRICS, ta.extend.FINDINGS, OPERATIONS, ADDED):
        for name in list(table.added):  # by the page on extending
            del table[name]


def name(page):
    return str(page.relative_to(ROOT)) if isinstance(page, Path) else "no page"


def marked(mark):
    return [page for page in PAGES if any(block.mark == mark for block in parsed(page)[1])]


CODED = [page for page in PAGES if parsed(page)[1]]


def public(node):
    """What a dotted name that begins with `ta` stands for; None for any other expression."""
    if isinstance(node, ast.Name):
        return ta if node.id == "ta" else None
    owner = public(node.value) if isinstance(node, ast.Attribute) else None
    return None if owner is None else getattr(owner, node.attr)


def unknown(code):
    """Arguments that what is called does not have: of public names, and of the methods of an attributor."""
    found = []
    for node in ast.walk(ast.parse(code)):
        public(node)  # raises of a name that is gone
        if not isinstance(node, ast.Call):
            continue
        called, mine = public(node.func), getattr(node.func, "attr", "") in ("attribute", "attributed", "scores")
        called = getattr(ta.Attributor, node.func.attr, None) if called is None and mine else called
        if callable(called):
            parameters = inspect.signature(called).parameters
            open_ended = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
            found += [] if open_ended else [one.arg for one in node.keywords if one.arg and one.arg not in parameters]
    return found


@pytest.mark.parametrize("page", CODED, ids=name)
def test_a_page_calls_what_there_is(page):
    """In small what running it tells. That takes a minute for all pages: .ci/run does it beside the notebooks."""
    blocks = [block for block in parsed(page)[1] if block.mark in ("", "slow")]  # the others may call other libraries
    assert not [(block.line, one) for block in blocks for one in unknown(block.code)]


def test_what_a_page_would_call_in_vain():
    with pytest.raises(AttributeError, match="Atributor"):
        unknown("ta.Atributor(model)")
    wrong = unknown("ta.Attributor(model, form=1).attribute(x, goal=2)\nta.metrics.deletion(result, step=3)")
    assert sorted(wrong) == ["form", "goal", "step"]


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=() if page.name == "README.md" else pytest.mark.slow) for page in CODED], ids=name
)
def test_the_code_of_a_page_runs(page):
    if "Discretization(" in page.read_text("utf-8"):
        one_hot_bins([0.0])  # skips where Keras cannot build the page's model
    finished(page)


@pytest.mark.slow
@pytest.mark.parametrize("page", marked("slow"), ids=name)
def test_the_slow_code_of_a_page_runs(page):
    run(page, ("", "slow"))


@pytest.mark.real
@pytest.mark.parametrize("page", marked("real"), ids=name)
def test_calls_of_other_libraries_run(page):
    wanted = {block.why for block in parsed(page)[1] if block.mark == "real"}
    missing = sorted(package for package in wanted if importlib.util.find_spec(package) is None)
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    run(page, ("", "real"))


def test_what_the_reader_of_pages_sees(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- after: index.md -->\n<!-- python\na = 1\n-->\ntext\n```python\nprint(a)\n```\n<!-- prints -->\n```text\n1\n```\n"
        "<!-- skip: no such model -->\n```python\nb\n```\n```bash\nc\n```\n"
    )
    after, blocks = parsed(page)
    assert after == DOCS / "index.md"
    assert [(block.line, block.code, block.mark, block.prints) for block in blocks] == [
        (2, "a = 1\n", "", None),
        (6, "print(a)\n", "", "1\n"),
        (14, "b\n", "skip", None),
    ]
    with pytest.raises(AssertionError, match="something else"):
        dataclasses.replace(blocks[1], prints="2\n").run({"a": 1})


def test_nothing_is_skipped_without_a_reason():
    skipped = [block for page in PAGES for block in parsed(page)[1] if block.mark in ("skip", "slow")]
    assert all(len(block.why) > 10 for block in skipped)


def arxiv(text):
    return set(re.findall(r"\d{4}\.\d{4,5}", text or ""))


@pytest.mark.parametrize("method", ta.METHODS)
def test_a_method_has_a_page_with_formula_source_picture_and_cost(method):
    page = DOCS / "methods" / f"{method}.md"
    assert page.is_file(), f"docs/methods/{method}.md says what it is, where it comes from and when not to use it"
    text, kind = page.read_text("utf-8"), ta.METHODS[method]
    assert f"`ta.{kind.__name__}(" in text
    assert "```math" in text
    assert arxiv(kind.__doc__) <= arxiv(text)
    assert arxiv(text)
    for section in ("## Cost", "## When not to use it", f"::: {kind.__module__}.{kind.__qualname__}"):
        assert section in text
    picture = re.search(r"!\[[^]]+\]\(pictures/([^)]+)\)", text)
    assert picture
    assert (DOCS / "methods" / "pictures" / picture[1]).is_file()
    claims = "**Adds up**: yes" in text
    assert claims == kind().complete
    assert f"methods/{method}.md" in (ROOT / "mkdocs.yml").read_text()


def documented():
    """What the pages document from docstrings: objects by their full name."""
    found = {}
    for page in DOCS.rglob("*.md"):
        for path in re.findall(r"^::: (\S+)$", page.read_text("utf-8"), re.M):
            module, _, last = path.rpartition(".")
            try:
                found[path] = getattr(importlib.import_module(module), last, None)
            except ta.MissingExtra:  # of what is not installed it is seen that it is there
                source = (Path(ta.__file__).parents[1] / module.replace(".", "/")).with_suffix(".py").read_text("utf-8")
                found[path] = re.search(rf"^(?:class|def) {last}\b", source, re.M)
    return found


def test_every_public_name_is_in_the_reference():
    found = documented()
    assert not [path for path, value in found.items() if value is None], "gone, or moved"
    public = {public: getattr(ta, public) for public in ta._HOMES}
    for package in (ta.metrics, view):
        public |= {f"{package.__name__}.{one}": getattr(package, one) for one in package.__all__}
    # the table of methods and the constants of colours are told in words
    told = {id(value) for value in found.values()}
    assert {one for one, value in public.items() if id(value) not in told} == {
        "METHODS",
        *(f"tf_attrib.view.{one}" for one in ("DIVERGING", "GRAY", "GREEN", "RED")),
    }


def test_all_that_the_door_opens_to_is_in_the_reference():
    told = {id(value) for value in documented().values()}
    functions = [
        value for value in vars(ta.extend.points).values() if callable(value) and value.__module__ == ta.extend.points.__name__
    ]
    parts = {one.__name__: one for one in functions if not one.__name__.startswith("_") and one.__name__ != "checked"}
    parts |= {name: getattr(ta.extend, name) for name in ta.extend.__all__}
    tables = {"FINDINGS", "METHODS", "METRICS", "RULES", "points"}
    assert {name for name, value in parts.items() if id(value) not in told} == tables


def test_no_docstring_stands_on_two_pages():
    paths = [path for page in DOCS.rglob("*.md") for path in re.findall(r"^::: (\S+)$", page.read_text("utf-8"), re.M)]
    assert len(paths) == len(set(paths)), "a link to it could lead to either"


FILES = re.compile(r"`((?:tf_attrib|tests|benchmarks|docs|colab|\.ci)/[\w./-]*)`|python (?:-m )?((?:benchmarks|docs)/\w+\.py)")


@pytest.mark.parametrize("page", [*PAGES, *(ROOT / one for one in ("SECURITY.md", "CONTRIBUTING.md"))], ids=name)
def test_files_that_a_page_names_are_there(page):
    named = {one or other for one, other in FILES.findall(page.read_text("utf-8"))}
    roots = ROOT, Path(ta.__file__).parents[1]
    assert not {one for one in named if "ROOM" not in one and not any((root / one).exists() for root in roots)}


def test_the_picture_of_rooms_is_that_of_the_imports():
    from .test_imports import ROOMS

    drawn = re.findall(r"^ ?(\d+)  (\S+(?: · \S+)*)", (DOCS / "architecture.md").read_text("utf-8"), re.M)
    assert [(int(floor), tuple(names.split(" · "))) for floor, names in reversed(drawn)] == list(enumerate(ROOMS))
