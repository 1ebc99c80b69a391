"""Modules import in one direction, and importing the library brings in nothing that it can do without."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tf_attrib

PACKAGE = Path(tf_attrib.__file__).parent

# Lowest first; a module may import those of lower layers, and of its own layer those that come before it.
LAYERS = (
    ("_version", "errors", "failures", "checks", "structure", "progress", "whole", "opening"),
    ("quadrature", "pathnodes", "averaging", "placing", "adaptive", "measuring", "ends", "judging"),
    ("result", "completeness", "summary", "storage", "similarity", "attribution"),
    ("events", "log"),
    ("graph.private", "graph.compiled", "graph.keras_model", "graph.known", "graph.operations", "graph.config",
     "graph.container", "graph.sizes", "graph.load", "graph.trace", "graph.cut", "graph.tensors", "graph.states",
     "graph.positionwise", "graph.activations", "graph.scaling", "differentiable"),
    ("graph.nodes", "graph.findings", "graph.constants", "graph.saved_model", "graph.scopes", "graph.reading", "graph.patterns",
     "graph.preprocessing", "graph.risks", "graph.security", "graph.export_copy", "graph.keras_graph", "graph.origins",
     "listing", "inspection", "vocabularies"),
    ("graph.gradients", "graph.flatten", "graph.widening", "graph.saved_gradients", "graph.exported"),
    ("prepare", "groups", "positions", "layers", "select", "places", "samples"),
    ("outputs", "scoring"),
    ("baselines", "references", "points", "integrator", "refining", "omission"),
    ("graph.bodies", "rules", "rules.common", "rules.linear", "rules.elementwise", "rules.products", "rules.choosing",
     "rules.softmax", "rules.spectra", "rules.reveal_cancel", "rules.guided", "rules.table", "rules.exponents", "rules.chains",
     "marking", "rewrite"),
    ("rows",),
    ("deeplift",),
    ("perturb", "observing", "engine"),
    ("compared", "fetching", "session", "work"),
    ("noise", "method", "methods.gradients", "methods.paths", "methods.references", "methods.masks", "methods.layers",
     "methods.noise", "methods"),
    ("tokens", "running"),
    ("assemble", "formats"),
    ("planning", "attributor"),
    ("watching", "callback"),
    ("rule_coverage",),
    ("doctor.findings", "doctor.given", "doctor.hypotheses", "doctor.numbers", "doctor.streams", "doctor.saturation",
     "doctor.misclassified"),
    ("doctor.catalogue", "doctor.case", "doctor.calls", "doctor.graph", "doctor.words", "doctor.compare", "doctor.model",
     "doctor.output", "doctor.baseline", "doctor.integral", "doctor.diagnose"),
    ("metrics.intervals", "metrics.scores", "metrics.case", "metrics.units", "metrics.fidelity", "metrics.infidelity",
     "metrics.sensitivity", "metrics.sparseness", "metrics.pointing", "metrics.randomisation", "metrics.comparison",
     "metrics.compare"),
    ("overview.accumulate", "overview.features", "overview.terms", "overview.words", "overview.rules", "overview.reading",
     "overview.text", "overview.figures", "overview.result", "overview.running", "overview.summarise"),
    ("demo", "files"),
    ("cli.reading", "cli.attribute", "cli.compare", "cli.demo", "cli.diagnose", "cli.inspect", "cli", "__main__"),
)
ORDER = {name: number for number, name in enumerate(name for layer in LAYERS for name in layer)}
OF_VIEW = {"structure", "errors", "result", "summary", "whole", "view"}


def name_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def unit(name):
    """What a module counts as in the order: view and demo are one each."""
    first = name.split(".")[0]
    return first if first in ("view", "demo") else name


def statements(tree, everywhere):
    """The import statements at module level (those under `if` and `try` too), or everywhere."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif everywhere or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from statements(node, everywhere)


def imported(name, everywhere=False):
    """Full names of what a module imports: `tf_attrib.x` for the library's own modules."""
    package = ["tf_attrib", *name.split(".")] if name else ["tf_attrib"]
    if MODULES[name].name != "__init__.py":
        package = package[:-1]
    found = set()
    for node in statements(ast.parse(MODULES[name].read_text()), everywhere):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
            continue
        base = package[:len(package) - node.level + 1] if node.level else []
        base = ".".join([*base, *([node.module] if node.module else [])])
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            found.add(inner if inner.removeprefix("tf_attrib.") in MODULES else base)
    return found


def own(name):
    """The library's modules that a module imports at module level."""
    return {other.removeprefix("tf_attrib.") for other in imported(name) if other.startswith("tf_attrib.")}


LIBRARY = [name for name in MODULES if unit(name) != "view" and MODULES[name].name != "__init__.py"]


def test_the_reader_sees_imports():
    assert {"structure", "result"} <= own("summary")
    assert "numpy" in imported("engine")
    assert "graph.trace" in own("graph.cut")
    assert "scoring" in own("engine")
    assert "view" in {unit(other.removeprefix("tf_attrib.")) for other in imported("attribution", everywhere=True)}


@pytest.mark.parametrize("name", LIBRARY)
def test_modules_import_lower_ones_alone(name):
    assert unit(name) in ORDER, f"{name} has no place in the order of the layers"
    allowed = {other for other in ORDER if ORDER[other] < ORDER[unit(name)]} | {"graph"}
    allowed |= {"view", "demo", ""} if unit(name) in ("demo", "cli", "__main__") else set()
    wrong = {other for other in map(unit, own(name)) if other not in allowed and not other == unit(name) == "demo"}
    assert not wrong, f"{name} imports {sorted(wrong)}"


def test_view_imports_results_alone():
    wrong = {(name, other) for name in MODULES if unit(name) == "view" for other in own(name) if unit(other) not in OF_VIEW}
    assert not wrong


def test_only_view_imports_matplotlib():
    users = {name for name in MODULES if any(other.split(".")[0] == "matplotlib" for other in imported(name, everywhere=True))}
    assert users
    assert {unit(name) for name in users} == {"view"}


def test_only_the_demo_and_the_callback_import_keras_at_module_level():
    users = {name for name in MODULES
             if any(other.split(".")[0] in ("keras", "tf_keras") or other.startswith("tensorflow.keras")
                    for other in imported(name))}
    assert {unit(name) for name in users} <= {"demo", "callback"}


def test_only_one_module_uses_what_is_private_to_tensorflow():
    users = {name for name in MODULES
             if "tensorflow.python" in " ".join(imported(name, everywhere=True)) or "tf.python" in MODULES[name].read_text()}
    assert users <= {"graph.private"}


def test_quadrature_is_numpy_and_scipy_alone():
    assert {other.split(".")[0] for other in imported("quadrature", everywhere=True)} <= {
        "numpy", "scipy", "dataclasses", "functools", "tf_attrib"}


def test_no_module_takes_the_place_of_a_public_function():
    assert not {name for name in MODULES if "." not in name} & set(tf_attrib._HOMES)


def test_importing_the_library_brings_no_keras_and_no_pictures():
    code = ("import sys, tensorflow; before = set(sys.modules); import tf_attrib; new = set(sys.modules) - before; "
            "print(*sorted({name.split('.')[0] for name in new} | {name for name in new if name.startswith('scipy.')}))")
    environment = {"PYTHONPATH": str(PACKAGE.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    new = set(done.stdout.split())
    assert "tf_attrib" in new
    heavy = {"keras", "tf_keras", "matplotlib", "tqdm", "jinja2", "PIL", "sklearn", "pandas", "IPython"}
    assert not new & heavy
    assert not new & {"scipy.stats", "scipy.optimize", "scipy.signal", "scipy.integrate", "scipy.interpolate"}
