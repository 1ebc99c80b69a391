"""Every public function and method says the types of what it takes and returns; pyright checks that they are so."""

import ast
import json
from pathlib import Path

import pytest

import tf_attrib

PACKAGE = Path(tf_attrib.__file__).parent
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


def is_public(name):
    return not name.startswith("_") or (name.startswith("__") and name.endswith("__"))


def public_functions(body, owner=None):
    """(dotted name, definition, whether it is bound to an instance or a class) of what can be reached by public names."""
    for node in body:
        name = f"{owner}.{node.name}" if owner and hasattr(node, "name") else getattr(node, "name", "")
        if isinstance(node, ast.ClassDef) and is_public(node.name):
            yield from public_functions(node.body, name)
        elif isinstance(node, FUNCTIONS) and is_public(node.name):
            static = any(isinstance(one, ast.Name) and one.id == "staticmethod" for one in node.decorator_list)
            yield name, node, owner is not None and not static
        elif isinstance(node, ast.If | ast.Try | ast.With):
            inner = [*node.body, *getattr(node, "orelse", []), *getattr(node, "finalbody", [])]
            for handler in getattr(node, "handlers", []):
                inner += handler.body
            yield from public_functions(inner, owner)


def missing(function, bound):
    """The parameters without annotation, and "return" where that has none."""
    given = function.args
    positional = [*given.posonlyargs, *given.args][bound:]
    parameters = [*positional, *given.kwonlyargs, *(one for one in (given.vararg, given.kwarg) if one is not None)]
    found = [one.arg for one in parameters if one.annotation is None]
    return found if function.returns is not None else [*found, "return"]


def unannotated(source):
    """ "line: name: what is missing" of each public function of a module."""
    return [
        f"{function.lineno}: {name}: {', '.join(those)}"
        for name, function, bound in public_functions(ast.parse(source).body)
        if (those := missing(function, bound))
    ]


def test_every_public_function_is_annotated():
    found = {str(path.relative_to(PACKAGE)): unannotated(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
    assert not {path: those for path, those in found.items() if those}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(x): ...", ["1: f: x, return"]),
        ("def f(x: int) -> int: ...", []),
        ("def f(*x, **y) -> None: ...", ["1: f: x, y"]),
        ("def _f(x): ...", []),
        ("class A:\n    def f(self, x) -> int: ...", ["2: A.f: x"]),
        ("class A:\n    def __init__(self, x: int): ...", ["2: A.__init__: return"]),
        ("class A:\n    @staticmethod\n    def f(x) -> int: ...", ["3: A.f: x"]),
        ("class A:\n    @classmethod\n    def f(cls, *, x) -> int: ...", ["3: A.f: x"]),
        ("class A:\n    @property\n    def f(self): ...", ["3: A.f: return"]),
        ("class _A:\n    def f(self, x): ...", []),
        ("if True:\n    def f() -> int: ...\nelse:\n    async def f(): ...", ["4: f: return"]),
    ],
)
def test_what_is_unannotated(source, expected):
    assert unannotated(source) == expected


def test_the_package_says_that_it_is_typed():
    # without the marker, type checkers take no annotation of an installed package (PEP 561)
    assert (PACKAGE / "py.typed").read_text() == ""


def test_ignored_errors_name_their_rule_and_reason():
    """`# pyright: ignore` alone would hide every error of its line."""
    bad = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            _, mark, rest = line.partition("# pyright: ignore")
            if mark:
                rules, _, reason = rest.partition("]")
                bad += [] if rules.startswith("[report") and len(reason.split()) >= 2 else [f"{path.name}:{number}"]
            bad += [f"{path.name}:{number}"] if "# type: ignore" in line else []
    assert not bad


def test_pyright_is_told_to_look_at_the_whole_package():
    settings = json.loads((Path(__file__).parents[2] / "pyrightconfig.json").read_text())
    assert settings["include"] == ["tf_attrib"]
    assert settings["typeCheckingMode"] in ("standard", "strict")
    assert not settings.get("exclude")
