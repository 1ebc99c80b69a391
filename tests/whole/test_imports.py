"""Modules import in one direction, and importing the library brings in nothing that it can do without."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

import tf_attrib

PACKAGE = Path(tf_attrib.__file__).parent

# Lowest first; a module may import from its own room and from lower ones, in its functions too. Rooms of one line do not
# import each other. What stands at the top of the package is a room by its own name.
ROOMS = (
    ("_version",),
    ("common",),
    ("result", "graph.graphdef"),
    ("graph.traced", "view"),
    ("graph.saved",),
    ("graph.called",),
    ("selection",),
    ("engine.integral",),
    ("engine",),
    ("methods",),
    ("attribution", "export"),
    ("vertex",),
    ("attributor",),
    ("datasets", "training", "metrics", "doctor", "generation"),
    ("extend", "beam", "tfma", "serving"),
    ("demo",),
    ("cli",),
    ("__main__",),
)
FLOOR = {name: number for number, names in enumerate(ROOMS) for name in names}


def name_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def room(name):
    """The room of a module: the longest of ROOMS that its name begins with."""
    return max((one for one in FLOOR if f"{name}.".startswith(f"{one}.")), key=len, default=name)


def statements(tree, everywhere):
    """The import statements at module level (those under `if` and `try` too), or everywhere."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif everywhere or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from statements(node, everywhere)


@functools.cache
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
        base = package[: len(package) - node.level + 1] if node.level else []
        base = ".".join([*base, *([node.module] if node.module else [])])
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            found.add(inner if inner.removeprefix("tf_attrib.") in MODULES else base)
    return found


def own(name):
    """The library's modules that a module imports, in its functions too; not the package, which loads names late."""
    inside = {other.removeprefix("tf_attrib.") for other in imported(name, everywhere=True) if other.startswith("tf_attrib.")}
    return inside - {name}


def test_the_reader_sees_imports():
    assert {"common.nested", "result.result"} <= own("result.words")
    assert "numpy" in imported("engine.program")
    assert "graph.traced.trace" in own("graph.traced.cut")
    assert "view" in own("attribution")  # imported in a function
    assert room("engine.integral.rounds") == "engine.integral"
    assert room("engine.session") == "engine"


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ("", "graph")])
def test_a_module_imports_from_its_own_room_and_from_lower_ones(name):
    assert room(name) in FLOOR, f"{name} is in none of the rooms: {', '.join(FLOOR)}"
    wrong = {other for other in own(name) if room(other) != room(name) and not FLOOR.get(room(other), 99) < FLOOR[room(name)]}
    assert not wrong, f"{name} imports {sorted(wrong)}"


def test_the_package_itself_imports_its_version_alone():
    assert own("") == {"_version"}


@pytest.mark.parametrize("place", FLOOR)
def test_no_circle_in_a_room(place):
    inside = {name: {other for other in own(name) if room(other) == place} for name in MODULES if room(name) == place}
    assert inside
    while inside:
        free = [name for name, needs in inside.items() if not needs & set(inside)]
        assert free, f"these import each other: {sorted(inside)}"
        for name in free:
            del inside[name]


def test_view_imports_results_alone():
    wrong = {
        (name, other)
        for name in MODULES
        if room(name) == "view"
        for other in own(name)
        if room(other) not in ("view", "common", "result")
    }
    assert not wrong


def test_only_view_imports_matplotlib():
    users = {name for name in MODULES if any(other.split(".")[0] == "matplotlib" for other in imported(name, everywhere=True))}
    assert users
    assert {room(name) for name in users} == {"view"}


def test_only_the_demo_and_the_callback_import_keras_at_module_level():
    users = {
        name
        for name in MODULES
        if any(other.split(".")[0] in ("keras", "tf_keras") or other.startswith("tensorflow.keras") for other in imported(name))
    }
    assert users <= {name for name in MODULES if room(name) == "demo"} | {"training.callback"}


def test_only_one_module_uses_what_is_private_to_tensorflow():
    users = {
        name
        for name in MODULES
        if "tensorflow.python" in " ".join(imported(name, everywhere=True)) or "tf.python" in MODULES[name].read_text()
    }
    assert users <= {"graph.traced.tf_private"}


def test_the_numbers_of_the_integral_are_numpy_and_scipy_alone():
    allowed = set(sys.stdlib_module_names) | {"numpy", "scipy", "tf_attrib"}
    inside = [name for name in MODULES if room(name) == "engine.integral"]
    assert not {other for name in inside for other in imported(name, everywhere=True) if other.split(".")[0] not in allowed}
    assert {room(other) for name in inside for other in own(name)} <= {"engine.integral", "common"}


def test_no_module_takes_the_place_of_a_public_function():
    assert not {name for name in MODULES if "." not in name} & set(tf_attrib._HOMES)


# A process that cannot import TensorBoard: what the library brings in, and then the callback in an evaluation.
ALONE = """
import sys
sys.modules["tensorboard"] = None
import tensorflow
before = set(sys.modules)
import tf_attrib as ta
new = set(sys.modules) - before
print(*sorted({name.split(".")[0] for name in new} | {name for name in new if name.startswith("scipy.")}))
import keras, numpy as np
model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")])
model.compile("sgd", "sparse_categorical_crossentropy")
x, y = np.ones((4, 8, 8, 1), "float32"), np.array([0, 1, 2, 0])
model.evaluate(x, y, verbose=0, callbacks=[ta.AttributionCallback((x, y), sys.argv[1], on_error="raise")])
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The process, when it has ended, and the folder of its logs."""
    place = tmp_path_factory.mktemp("alone")
    environment = {"PYTHONPATH": str(PACKAGE.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", ALONE, str(place)]
    return subprocess.run(command, env=environment, capture_output=True, text=True), place


def test_importing_the_library_brings_no_keras_and_no_pictures(alone):
    new = set(alone[0].stdout.split())
    assert "tf_attrib" in new
    heavy = {"keras", "tf_keras", "matplotlib", "tqdm", "jinja2", "PIL", "sklearn", "pandas", "IPython"}
    assert not new & heavy
    assert not new & {"scipy.stats", "scipy.optimize", "scipy.signal", "scipy.integrate", "scipy.interpolate"}


def test_events_are_written_without_the_tensorboard_package(alone):
    done, place = alone
    assert not done.returncode, done.stderr
    (events,) = (place / "attribution").iterdir()
    assert b"attribution_vs_iterations/sample_3" in events.read_bytes()


def test_every_public_name_is_listed_and_another_is_no_attribute():
    assert dir(tf_attrib) == sorted(tf_attrib.__all__)
    assert all(getattr(tf_attrib, name) is not None for name in dir(tf_attrib))
    with pytest.raises(AttributeError, match="module 'tf_attrib' has no attribute 'Atributor'"):
        _ = tf_attrib.Atributor
