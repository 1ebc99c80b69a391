"""Keeps the notebooks of this folder in order: what is the same in all of them, what they show, and whether it still holds.

    python colab/refresh.py                           # writes badge, install cell and addresses into every notebook
    python colab/refresh.py --execute [NAME ...]      # runs them (or those named), and stores what they show
    python colab/refresh.py --check STORED EXECUTED   # do two copies of a notebook show the same?

The project's address comes from setup.cfg. A cell tagged "noisy" shows numbers of training, of a clock or of a version:
its words are compared, its numbers are not. Executing needs `pip install '.[demo,notebooks]'`.
"""

import argparse
import base64
import configparser
import io
import itertools
import json
import math
import os
import pathlib
import re
import sys

from PIL import Image, ImageChops

COLAB = pathlib.Path(__file__).parent
BRANCH = "main"
NOISY = "noisy"
# Processors round differently. Beside this, numbers with decimals may differ by one in the last place that is shown.
RELATIVE_TOLERANCE = 1e-3
LARGEST = 400_000  # bytes of a notebook
LEVELS = 16  # of 255, by which a colour may be off in a picture that is stored with a palette
QUALITY, SCALE = 45, 0.75  # of JPEG, and of the sides of a picture that is stored so
MUCH_LESS = 0.6  # the part of the bytes of a PNG from which on it is stored so
PICTURE = re.compile("image/(?:png|jpeg)")
SECONDS = 3600  # that a cell may take

# Modules that a notebook may import and TensorFlow does not bring, and the packages that have them.
PACKAGES = {
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "logomaker": "logomaker",
    "rdkit": "rdkit",
    "pandas": "pandas",
    "pyarrow": "pyarrow",
    "keras_hub": "keras-hub",
    "safetensors": "safetensors",
}
INSTALL = """\
# Installs what is missing: tf_attrib from the clone that this notebook lies in, else from the project's repository.
import importlib.util
import os
import pathlib
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # else TensorFlow greets with its log
clone = pathlib.Path.cwd().parent
source = clone.as_uri() if (clone / "tf_attrib" / "__init__.py").is_file() else "git+{url}"
needed = {{{needed}}}
missing = [package for module, package in needed.items() if importlib.util.find_spec(module) is None]
if missing:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *missing], check=True)
    importlib.invalidate_caches()"""
BADGE = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({address})"
# What a start of TensorFlow, and tqdm where there are no widgets, write to stderr; nothing else may stand there.
LOG = re.compile(
    r"WARNING: All log messages before absl::InitializeLog\(\)|[IWEF]\d{4} \d\d:\d\d|\d{4}-\d\d-\d\d \d\d:\d\d:\S+ [IWEF] |"
    r".*TqdmWarning: IProgress not found|\s*from \.autonotebook import tqdm|To enable the following instructions|\s*$"
)
NUMBER = re.compile(r"(?<![\w.])[-+−]?\d+(?:,\d{3})*(?:\.\d+)*(?:[eE][-+]?\d+)?(?!\w)")

RANGE = re.compile(r"#%?(?: to #%?)?")


def project_url() -> str:
    """The project's address, without a slash at its end."""
    config = configparser.ConfigParser()
    config.read(COLAB.parent / "setup.cfg", "utf-8")
    return config["metadata"]["url"].rstrip("/")


def read(path: pathlib.Path) -> dict:
    """A notebook as it is stored."""
    return json.loads(path.read_text("utf-8"))


def as_text(notebook: dict) -> str:
    """A notebook as Jupyter writes it."""
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def write(path: pathlib.Path, notebook: dict) -> None:
    """Stores a notebook where it differs from what is there."""
    if path.read_text("utf-8") != as_text(notebook):
        path.write_text(as_text(notebook), "utf-8")


# what is the same in all notebooks


def stamped(notebook: dict, name: str, url: str) -> dict:
    """A copy of the notebook of that name with badge, install cell and the addresses of its pictures."""
    first, *rest = json.loads(json.dumps(notebook))["cells"]
    rest = [cell for cell in rest if cell["id"] != "install"]
    first["source"] = lines(with_badge("".join(first["source"]), name, url))
    for cell in rest:
        if cell["cell_type"] == "markdown":
            cell["source"] = lines(with_addresses("".join(cell["source"]), url))
    before = next((cell for cell in notebook["cells"] if cell["id"] == "install"), {})
    install = {
        "cell_type": "code",
        "execution_count": before.get("execution_count"),
        "id": "install",
        "metadata": {},
        "outputs": [],
        "source": lines(install_source(rest, url)),
    }
    return {**notebook, "cells": [first, install, *rest]}


def lines(text: str) -> list[str]:
    """Text as a notebook holds it."""
    return text.splitlines(keepends=True)


def with_badge(text: str, name: str, url: str) -> str:
    """The first cell with the badge beneath its title."""
    repository = url.removeprefix("https://github.com/")
    address = f"https://colab.research.google.com/github/{repository}/blob/{BRANCH}/colab/{name}.ipynb"
    title, *rest = (line for line in text.split("\n") if not line.startswith(BADGE.partition("]")[0]))
    return "\n".join([title, "", BADGE.format(address=address), "", "\n".join(rest).strip("\n")])


def with_addresses(text: str, url: str) -> str:
    """Pictures of this folder by their addresses: Colab opens a notebook without the files beside it."""
    return re.sub(r"\]\((?:\S+/)?pictures/(\S+)\)", rf"]({url}/raw/{BRANCH}/colab/pictures/\1)", text)


def install_source(cells: list[dict], url: str) -> str:
    """The cell that installs what the notebook imports."""
    code = "".join("".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "code")
    imported = {module for module in PACKAGES if re.search(rf"^\s*(?:import|from) {module}\b", code, re.MULTILINE)}
    needed = ['"tf_attrib": f"tf_attrib @ {source}"', *(f'"{module}": "{PACKAGES[module]}"' for module in sorted(imported))]
    return INSTALL.format(url=url, needed=", ".join(needed))


# what they show


def execute(path: pathlib.Path) -> dict:
    """The notebook with the outputs of a run, and nothing that tells when, or by which Python, it was run."""
    import nbclient
    import nbformat

    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "TQDM_DISABLE": "1"}
    inherited = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}  # pictures are drawn inline
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(path.parent)}}
    client = nbclient.NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", record_timing=False, resources=where)
    client.execute(env=inherited | quiet)
    executed = json.loads(nbformat.writes(client.nb))
    for cell in executed["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = joined(cell["outputs"])
            for output in cell["outputs"]:
                if "image/png" in output.get("data", ()):
                    kind, picture = smaller(output["data"].pop("image/png"))
                    output["data"][kind] = picture
    return {**executed, "metadata": read(path)["metadata"]}


def joined(outputs: list[dict]) -> list[dict]:
    """Outputs with what was printed in a row as one, and without log lines on stderr."""
    kept = []
    for output in outputs:
        if output.get("name") == "stderr":
            output = {**output, "text": [line for line in lines("".join(output["text"])) if not LOG.match(line)]}
            if not output["text"]:
                continue
        if kept and "name" in output and kept[-1].get("name") == output["name"]:
            kept[-1]["text"] = lines("".join([*kept[-1]["text"], *output["text"]]))
        else:
            kept.append({**output})
    return kept


def smaller(encoded: str) -> tuple[str, str]:
    """A picture, as base64 of a PNG, in a third of the bytes, and its kind: with a palette where that shows the same, else
    compressed; or as a smaller JPEG where that takes much less, as of photographs."""
    picture = Image.open(io.BytesIO(base64.b64decode(encoded)))
    if picture.mode == "P":
        return "image/png", encoded
    picture = picture.convert("RGB")  # figures are drawn on white
    palette = picture.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    off = max(high for _, high in ImageChops.difference(picture, palette.convert("RGB")).getextrema())
    whole = written(palette if off <= LEVELS else picture, "PNG", optimize=True)
    fewer = picture.resize([round(side * SCALE) for side in picture.size], Image.Resampling.LANCZOS)
    # hues that are averaged over neighbours would mix green and red
    photograph = written(fewer, "JPEG", optimize=True, quality=QUALITY, subsampling=0)
    return ("image/jpeg", photograph) if len(photograph) < MUCH_LESS * len(whole) else ("image/png", whole)


def written(picture: Image.Image, kind: str, **options) -> str:
    """A picture as base64 of a file."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return base64.b64encode(file.getvalue()).decode()


# whether it still holds


def differences(stored: dict, executed: dict) -> list[str]:
    """In which cells two copies of a notebook do not show the same, and what; none where they agree."""
    found = []
    for number, (cell, again) in enumerate(itertools.zip_longest(stored["cells"], executed["cells"])):
        if cell is None or again is None or cell["source"] != again["source"]:
            found.append(f"cell {number}: another source")
        elif cell["cell_type"] == "code":
            noisy = NOISY in cell["metadata"].get("tags", ())
            pairs = itertools.zip_longest(shown(cell), shown(again), fillvalue="nothing")
            found += [f"cell {number}: stored\n{one}\nexecuted\n{two}" for one, two in pairs if not alike(one, two, noisy)]
    return found


def shown(cell: dict) -> list[str]:
    """What the outputs of a cell say; of pictures, that they are there, since their height goes by the lines beneath them."""
    texts = []
    for output in joined([output for output in cell["outputs"] if output.get("name") != "stderr"]):  # bars of progress
        if output["output_type"] == "error":
            texts.append(f"{output['ename']}: {output['evalue']}")
        elif "text" in output:
            texts.append("".join(output["text"]))
        elif "data" in output:
            kinds = sorted({PICTURE.sub("picture", kind) for kind in output["data"]})
            said = "" if "picture" in kinds else "".join(output["data"].get("text/plain", ""))
            texts.append("\n".join([*kinds, said]))
    return texts


def alike(one: str, two: str, noisy: bool) -> bool:
    """Whether two texts have the same words, and the same numbers unless these are noisy. Spaces and breaks may differ."""
    words = [" ".join(NUMBER.sub("#", text).split()) for text in (one, two)]
    if noisy:  # the ends of a range may have met
        return RANGE.sub("#", words[0]) == RANGE.sub("#", words[1])
    return words[0] == words[1] and all(close(*pair) for pair in zip(NUMBER.findall(one), NUMBER.findall(two), strict=True))


def close(one: str, two: str) -> bool:
    """Whether two numbers, as they are printed, are equal up to what processors round; versions have to be the same."""
    if one == two or max(one.count("."), two.count(".")) > 1:
        return one == two
    values = [float(text.replace(",", "").replace("−", "-")) for text in (one, two)]
    decimals = [re.search(r"\.(\d+)(?!.*[eE])", text) for text in (one, two)]
    last_place = max((10.0 ** -len(found[1]) for found in decimals if found), default=0.0)
    return math.isclose(*values, rel_tol=RELATIVE_TOLERANCE, abs_tol=1.001 * last_place)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--execute", nargs="*", metavar="NAME", help="run notebooks, and store what they show")
    parser.add_argument("--check", nargs=2, type=pathlib.Path, metavar=("STORED", "EXECUTED"), help="compare two copies")
    options = parser.parse_args(arguments)
    if options.check:
        found = differences(*map(read, options.check))
        print(*found, sep="\n", end="\n" if found else "")
        return int(bool(found))
    for path in sorted(COLAB.glob("*.ipynb")):
        write(path, stamped(read(path), path.stem, project_url()))
    if options.execute is not None:
        for path in [COLAB / f"{name}.ipynb" for name in options.execute] or ordinary():
            print(path.name, flush=True)
            write(path, execute(path))
    return 0


def ordinary() -> list[pathlib.Path]:
    """The notebooks that need nothing but the package: not those whose metadata say what they need, as "real"."""
    return [path for path in sorted(COLAB.glob("*.ipynb")) if "real" not in read(path)["metadata"]]


if __name__ == "__main__":
    sys.exit(main())
