"""What is published agrees with itself: requirements, the addresses of the project, the package's data, versions."""

import ast
import configparser
import fnmatch
import importlib.util
import re
import sys
from pathlib import Path

import pytest

import tf_attrib

ROOT = next(folder for folder in Path(__file__).parents if (folder / "setup.cfg").exists())
PACKAGE = Path(tf_attrib.__file__).parent
DISTRIBUTIONS = {
    "skimage": "scikit-image",
    "PIL": "pillow",
    "apache_beam": "apache-beam",
    "tensorflow_model_analysis": "tensorflow-model-analysis",
    "google": "protobuf",
    "sklearn": "scikit-learn",
}  # whose name is not that of the import
# Rooms that are there for one package alone, and say so where it is not installed.
OF_ONE_PACKAGE = {"apache_beam": ("beam", "tfma.py"), "tensorflow_model_analysis": ("tfma.py",)}
OF_ONE_PACKAGE |= {"starlette": ("serving",), "uvicorn": ("serving",)}
# What asks for lower releases than the others do, and so for an environment of its own.
APART = {"beam", "tfma"}
FOR_WORK_ON_IT = {"test", "lint", "types", "docs", "release"}  # extras that a user has no use for


@pytest.fixture(scope="module")
def settings():
    parser = configparser.RawConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


@pytest.fixture(scope="module")
def setup():
    spec = importlib.util.spec_from_file_location("tf_attrib_setup", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def names(requirements):
    return set(re.findall(r"^\s*([A-Za-z][\w-]*)(?![\w\[-])", requirements, re.MULTILINE))


def for_users(settings):
    return set(settings["options.extras_require"]) - FOR_WORK_ON_IT - {"all"}


def imported():
    """Of each foreign package that tf_attrib imports: (module, whether only when a function runs)."""
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        late = {node for body in ast.walk(tree) if isinstance(body, ast.FunctionDef) for node in ast.walk(body)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                roots = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                roots = {node.module.split(".")[0]}
            else:
                continue
            for root in roots - sys.stdlib_module_names - {"tf_attrib"}:
                own_room = path.relative_to(PACKAGE).parts[0] in OF_ONE_PACKAGE.get(root, ())
                yield DISTRIBUTIONS.get(root, root), path.relative_to(PACKAGE), node in late or own_room


def test_every_imported_package_is_declared_and_every_declared_one_imported(settings):
    required = names(settings["options"]["install_requires"])
    optional = set().union(*(names(settings["options.extras_require"][extra]) for extra in for_users(settings)))
    found = list(imported())
    undeclared = [row for row in found if row[0] not in (required | optional if row[2] else required)]
    assert not undeclared
    assert required <= {name for name, _, _ in found}


def test_the_extra_all_holds_every_extra_of_users(settings):
    held = re.search(r"\[(.*)\]", settings["options.extras_require"]["all"])[1]
    assert set(held.split(",")) == for_users(settings) - APART


def test_every_requirement_of_the_tests_has_a_lower_bound(settings):
    """.ci/oldest installs the lowest that is allowed: without a bound that is a release of many years ago."""
    lists = [settings["options"]["install_requires"], *(settings["options.extras_require"][e] for e in ("test", "demo"))]
    for line in "\n".join(lists).split("\n"):
        requirement = line.strip()
        assert not requirement or requirement.startswith(("#", "tf_attrib[")) or ">=" in requirement, requirement


def test_all_that_is_not_code_is_in_the_wheel(settings):
    data = {package.replace(".", "/"): globs.split() for package, globs in settings["options.package_data"].items()}
    for path in PACKAGE.rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            folder = path.parent.relative_to(PACKAGE.parent).as_posix()
            assert any(fnmatch.fnmatch(path.name, glob) for glob in data.get(folder, ())), path
    assert (PACKAGE / "py.typed").exists()


def test_links_of_the_readme_hold_on_a_package_index(setup):
    url, text = setup.home(), (ROOT / "README.md").read_text(encoding="utf-8")
    assert "](colab/pictures/" in text or "](docs/" in text  # pictures are shown from the repository
    published = setup.absolute(text, url)
    paths = re.findall(rf"\({url}/(?:raw|blob)/main/([^)#]+)(?:#[^)]*)?\)", published)
    assert paths
    assert [path for path in paths if not any((root / path).exists() for root in (ROOT, PACKAGE.parent))] == []
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", published, flags=re.DOTALL)
    assert re.findall(r"\]\((?!https?:|#)[^)]*\)|(?:src|href)=\"(?!https?:|#)[^\"]*\"", prose) == []


@pytest.mark.parametrize(
    ("text", "published"),
    [
        ("![a digit](colab/d.png)", "![a digit](URL/raw/main/colab/d.png)"),
        ("see [`docs`](docs/x.md#y)", "see [`docs`](URL/blob/main/docs/x.md#y)"),
        ("[![open](o.svg)](a.ipynb)", "[![open](URL/raw/main/o.svg)](URL/blob/main/a.ipynb)"),
        ("[paper](https://arxiv.org/abs/1703.01365) [below](#methods)",) * 2,
        ("`a[0](b)` and\n```\nf[1](c)\n```",) * 2,
    ],
)
def test_links_within_the_repository_become_addresses(setup, text, published):
    assert setup.absolute(text, "URL") == published


def test_the_project_lives_in_one_place(setup):
    """Every address of the project, wherever it stands, is that of setup.cfg."""
    url = setup.home()
    place = url.removeprefix("https://github.com/")
    pages = [ROOT / "CITATION.cff", *ROOT.glob("*.md"), *ROOT.glob("mkdocs.y*ml")]
    pages += [path for folder in ("docs", "colab", "tf_attrib") for path in (ROOT / folder).rglob("*.*")]
    for path in pages:
        if path.suffix in {".md", ".cff", ".ipynb", ".py", ".yml", ".yaml", ".html"}:
            found = re.findall(r"github(?:\.com|usercontent\.com)?/([\w.-]+/tf_attrib)\b", path.read_text(encoding="utf-8"))
            assert set(found) <= {place}, path
    assert f"repository-code: {url}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_versions_that_stand_twice_agree(settings):
    citation, hooks = ((ROOT / name).read_text(encoding="utf-8") for name in ("CITATION.cff", ".pre-commit-config.yaml"))
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE)[1] == tf_attrib.__version__
    assert re.search(r"^license: (.+)$", citation, re.MULTILINE)[1] == settings["metadata"]["license_expression"]
    assert settings["options.extras_require"]["lint"].split()[0] == "ruff==" + re.search(r"rev: v(.+)", hooks)[1]
