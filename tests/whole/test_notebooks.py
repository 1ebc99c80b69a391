"""The notebooks as they are stored: what is the same in all of them, what they show, and the script that sees to it."""

import ast
import base64
import configparser
import copy
import importlib.util
import io
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

COLAB = pathlib.Path(__file__).parents[2] / "colab"
pytestmark = pytest.mark.skipif(not COLAB.is_dir(), reason="the notebooks are in a clone of the project")
NOTEBOOKS = sorted(COLAB.glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)

# What tf_attrib or Jupyter brings along.
BROUGHT = {"IPython", "keras", "matplotlib", "numpy", "scipy", "tensorflow", "tf_attrib"}
# What comes with a package of refresh.PACKAGES.
BESIDE = {"logomaker": {"pandas"}}
# What a notebook uses where it is there, and says so where it is not; and the rooms of the package that are names for users.
WHERE_IT_IS, PUBLIC = {"apache_beam"}, {"tf_attrib.beam"}


@pytest.fixture(scope="module")
def refresh():
    spec = importlib.util.spec_from_file_location("refresh", COLAB / "refresh.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def url():
    config = configparser.ConfigParser()
    config.read(COLAB.parent / "setup.cfg", "utf-8")
    return config["metadata"]["url"]


def read(path):
    return json.loads(path.read_text("utf-8"))


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


# what is stored


@each_notebook
def test_a_notebook_is_as_the_script_would_write_it(path, refresh):
    wanted = refresh.as_text(refresh.stamped(read(path), path.stem, refresh.project_url()))
    assert path.read_text("utf-8") == wanted, "run: python colab/refresh.py"


@each_notebook
def test_a_notebook_opens_in_colab_from_the_address_in_setup_cfg(path, url):
    first, install = read(path)["cells"][:2]
    title, _, badge = first["source"][:3]
    assert title.startswith("# ")
    repository = url.removeprefix("https://github.com/")
    assert badge.strip().endswith(f"(https://colab.research.google.com/github/{repository}/blob/main/colab/{path.name})")
    assert f'"git+{url}"' in "".join(install["source"])


@each_notebook
def test_a_notebook_imports_what_its_first_cell_installs_and_nothing_private(path, refresh):
    install, *rest = code_cells(read(path))
    allowed = set(sys.stdlib_module_names) | BROUGHT
    for module, package in refresh.PACKAGES.items():
        if f'"{module}": "{package}"' in "".join(install["source"]):
            allowed |= {module} | BESIDE.get(module, set())
    for cell in rest:
        source = "".join(line for line in cell["source"] if not line.startswith(("!", "%")))
        guarded = {one for one in WHERE_IT_IS if f'find_spec("{one}") is None' in source}
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                names = [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.partition(".")[0] in allowed | guarded, name
                assert name in PUBLIC or not name.startswith("tf_attrib."), name  # the package's own rooms are no public names


@each_notebook
def test_a_notebook_shows_what_it_does(path, refresh):
    """Executed from the first cell to the last, with pictures, without warnings or when it was; and small."""
    assert path.stat().st_size <= refresh.LARGEST
    notebook = read(path)
    cells = code_cells(notebook)
    outputs = [output for cell in cells for output in cell["outputs"]]
    for before, cell in enumerate(cells):
        assert cell["execution_count"] in ({None, 1} if before == 0 else {before + 1, before}), "executed in another order"
        assert "execution" not in cell["metadata"]
    assert not [output for output in outputs if output.get("name") == "stderr" or output["output_type"] == "error"]
    assert not [kind for output in outputs for kind in output.get("data", ()) if "widget" in kind]
    assert any({"image/png", "image/jpeg", "text/html"} & set(output.get("data", ())) for output in outputs)
    assert any(output.get("name") == "stdout" for output in outputs)


@pytest.mark.parametrize("tag", ["noisy"])
def test_tags_are_those_that_the_check_knows(tag, refresh):
    used = {tag for path in NOTEBOOKS for cell in code_cells(read(path)) for tag in cell["metadata"].get("tags", ())}
    assert used == {tag} == {refresh.NOISY}


# the install cell


def run_install_cell(source, monkeypatch, folder, present):
    """What the cell gives to pip, when it is run in `folder` and the modules of `present` can be imported."""
    called = []
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name in present else None)
    monkeypatch.setattr(subprocess, "run", lambda command, check: called.append((command, check)))
    exec(source, {})
    monkeypatch.undo()
    assert all(check and command[:4] == [sys.executable, "-m", "pip", "install"] for command, check in called)
    return [package for command, _ in called for package in command[4:] if not package.startswith("-")]


def test_the_install_cell_takes_the_clone_that_it_lies_in_else_the_repository(monkeypatch, tmp_path, url):
    source = "".join(read(COLAB / "quickstart.ipynb")["cells"][1]["source"])
    clone, elsewhere = tmp_path / "clone", tmp_path / "elsewhere"
    for folder in (clone / "tf_attrib", clone / "colab", elsewhere):
        folder.mkdir(parents=True)
    (clone / "tf_attrib" / "__init__.py").touch()
    own = f"tf_attrib @ {clone.as_uri()}"
    assert run_install_cell(source, monkeypatch, clone / "colab", set()) == [own, "scikit-learn"]
    assert run_install_cell(source, monkeypatch, elsewhere, set()) == [f"tf_attrib @ git+{url}", "scikit-learn"]
    assert run_install_cell(source, monkeypatch, elsewhere, {"tf_attrib"}) == ["scikit-learn"]
    assert run_install_cell(source, monkeypatch, elsewhere, {"tf_attrib", "sklearn"}) == []


# the script


def printed(text):
    return {"output_type": "stream", "name": "stdout", "text": text.splitlines(keepends=True)}


def drawn(text):
    return {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo=", "text/plain": [text]}, "metadata": {}}


def photographed(text):
    return {**drawn(text), "data": {"image/jpeg": "/9j/", "text/plain": [text]}}


def notebook_of(*outputs, tags=(), source="show()"):
    title = {"cell_type": "markdown", "id": "cell-0", "metadata": {}, "source": ["# Title\n", "\n", "Text."]}
    metadata = {"tags": list(tags)} if tags else {}
    cell = {"cell_type": "code", "execution_count": 1, "id": "cell-1", "metadata": metadata}
    return {"cells": [title, {**cell, "outputs": list(outputs), "source": [source]}], "metadata": {}}


STORED = "accuracy 98.1%, gap 0.0123 of 1,024 at conv2d_1\n"


@pytest.mark.parametrize(
    ("text", "tags", "same"),
    [
        (STORED, (), True),
        ("accuracy 98.2%, gap 0.0124 of 1,024 at conv2d_1\n", (), True),  # the last place may be rounded otherwise
        ("accuracy   98.1%, gap 0.0123 of 1024 at  conv2d_1\n", (), True),  # a column may be wider
        ("accuracy 97.1%, gap 0.0123 of 1,024 at conv2d_1\n", (), False),
        ("accuracy 98.1%, gap 0.0223 of 1,024 at conv2d_1\n", (), False),
        ("accuracy 98.1%, gap -0.0123 of 1,024 at conv2d_1\n", (), False),
        ("accuracy 98.1%, gap 0.0123 of 1,028 at conv2d_1\n", (), False),
        ("accuracy 98.1%, gap 0.0123 of 1,024 at conv2d_2\n", (), False),  # a name is no number
        ("accuracy 98.1.0%, gap 0.0123 of 1,024 at conv2d_1\n", (), False),  # a version is no number
        ("accuracy 12.5.1%, gap -3e-07 of 7 at conv2d_1\n", ("noisy",), True),
        ("accuracy 12.5%, gap -3e-07 of 7 at conv2d_1\n", ("noisy",), True),
        ("accuracy 98.1%, gap nan of 1,024 at conv2d_1\n", ("noisy",), False),
        ("accuracy 98.1%, loss 0.0123 of 1,024 at conv2d_1\n", ("noisy",), False),
        ("accuracy 98.1%, gap 0.01 to 0.02 of 1,024 at conv2d_1\n", ("noisy",), True),  # the ends of a range may meet
        ("accuracy 98.1%, gap 0.0123 to 0.0123 of 1,024 at conv2d_1\n", (), False),
        ("accuracy 98.1%,\n  gap 0.0123 of 1,024 at conv2d_1\n", (), True),  # a line may break elsewhere
        (STORED + "one line more\n", ("noisy",), False),
        ("", ("noisy",), False),
    ],
)
def test_the_check_compares_words_and_numbers_that_are_not_noisy(refresh, text, tags, same):
    found = refresh.differences(notebook_of(printed(STORED), tags=tags), notebook_of(*([printed(text)] if text else [])))
    assert (not found) == same
    if found:
        assert found[0].startswith("cell 1: stored")
        assert STORED in found[0]


@pytest.mark.parametrize(
    ("outputs", "same"),
    [
        ([printed(STORED[:9]), printed(STORED[9:]), drawn("<Figure>")], True),  # one print or two
        ([printed(STORED[:9]), {**printed("50%"), "name": "stderr"}, printed(STORED[9:]), drawn("<Figure>")], True),
        ([printed(STORED), drawn("<Figure>"), {**printed("UserWarning: oh\n"), "name": "stderr"}], True),
        ([printed(STORED), drawn("<Figure of another height>")], True),
        ([printed(STORED), photographed("<Figure>")], True),  # stored in fewer bytes
        ([printed(STORED)], False),
        ([drawn("<Figure>"), printed(STORED)], False),
        ([printed(STORED), {**drawn("<Figure>"), "data": {"text/plain": ["<Figure>"]}}], False),
        ([printed(STORED), {"output_type": "error", "ename": "AssertionError", "evalue": "", "traceback": []}], False),
    ],
)
def test_the_check_wants_the_same_outputs_in_the_same_order(refresh, outputs, same):
    assert (not refresh.differences(notebook_of(printed(STORED), drawn("<Figure>")), notebook_of(*outputs))) == same


def test_the_check_wants_the_same_code(refresh):
    assert refresh.differences(notebook_of(), notebook_of(source="hide()")) == ["cell 1: another source"]
    shorter = notebook_of()
    del shorter["cells"][1]
    assert refresh.differences(notebook_of(), shorter) == ["cell 1: another source"]


def test_the_command_says_what_differs_and_fails(refresh, tmp_path, capsys):
    for name, text in (("stored", STORED), ("same", STORED), ("other", STORED.replace("98.1", "89.1"))):
        (tmp_path / name).write_text(json.dumps(notebook_of(printed(text))), "utf-8")
    assert refresh.main(["--check", str(tmp_path / "stored"), str(tmp_path / "same")]) == 0
    assert capsys.readouterr().out == ""
    assert refresh.main(["--check", str(tmp_path / "stored"), str(tmp_path / "other")]) == 1
    assert "accuracy 89.1%" in capsys.readouterr().out


def test_stamping_mends_and_is_the_same_twice(refresh):
    plain = notebook_of(source="from sklearn.datasets import load_digits")
    plain["cells"].append({"cell_type": "markdown", "id": "c", "metadata": {}, "source": ["![A net](pictures/net.png)"]})
    before = copy.deepcopy(plain)
    stamped = refresh.stamped(plain, "name", "https://github.com/one/house")
    assert plain == before
    assert [cell["id"] for cell in stamped["cells"]] == ["cell-0", "install", "cell-1", "c"]
    assert stamped["cells"][3]["source"] == ["![A net](https://github.com/one/house/raw/main/colab/pictures/net.png)"]
    assert refresh.stamped(stamped, "name", "https://github.com/one/house") == stamped
    moved = refresh.stamped(stamped, "name", "https://github.com/another/house")
    assert moved == refresh.stamped(plain, "name", "https://github.com/another/house")
    assert "one/house" not in json.dumps(moved)


def test_log_lines_are_dropped_and_warnings_are_kept(refresh):
    log = (
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
        "I0000 00:00:1764423300.123456   12345 port.cc:153] oneDNN custom operations are on.\n"
        "2026-01-02 03:04:05.678901: W tensorflow/core/framework/local_rendezvous.cc:407] end of sequence\n"
    )
    assert refresh.joined([{**printed(log), "name": "stderr"}]) == []
    kept = refresh.joined([{**printed(log + "UserWarning: oh\n"), "name": "stderr"}])
    assert [output["text"] for output in kept] == [["UserWarning: oh\n"]]


def as_png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_photographs_are_stored_as_jpeg_and_drawings_are_not(refresh):
    drawing = np.full((90, 120, 3), 255, np.uint8)
    drawing[20:40, 10:100] = (31, 63, 143)
    kind, stored = refresh.smaller(as_png(drawing))
    assert kind == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(stored))).convert("RGB")), drawing)
    photograph = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    kind, stored = refresh.smaller(as_png(photograph))
    assert kind == "image/jpeg"
    assert Image.open(io.BytesIO(base64.b64decode(stored))).size == (90, 68)


def test_executing_stores_what_is_shown_and_not_when(refresh, tmp_path):
    pytest.importorskip("nbclient", reason="executing needs the extra notebooks")
    pytest.importorskip("ipykernel", reason="executing needs the extra notebooks")
    path = tmp_path / "small.ipynb"
    small = notebook_of(source="import os\nprint(6 * 7)\nprint(os.getcwd())\nos.environ['TF_CPP_MIN_LOG_LEVEL']")
    kept = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    path.write_text(json.dumps({**small, "metadata": kept, "nbformat": 4, "nbformat_minor": 5}), "utf-8")
    executed = refresh.execute(path)
    outputs = executed["cells"][1]["outputs"]
    assert outputs[0]["text"] == ["42\n", f"{tmp_path}\n"]
    assert outputs[1]["data"]["text/plain"] == ["'3'"]
    assert executed["metadata"] == kept
    assert executed["cells"][1]["metadata"] == {}
