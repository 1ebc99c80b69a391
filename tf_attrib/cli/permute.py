"""The command `tf-attrib permute`."""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..common.atomic import write_whole
from ..common.errors import AttributionError
from . import reading

if TYPE_CHECKING:
    from ..datasets.feature_permutation import Importance


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to those of `tf-attrib`."""
    permute = commands.add_parser(
        "permute",
        help="measure how much a model needs each column or patch of a data set",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Shuffles a column, an input or a patch among the examples, and says how much the loss rises. It is about\n"
        "the model on these examples, not about a prediction.",
        epilog="examples:\n"
        "  tf-attrib permute model.keras table.npy --labels labels.npy --names columns.txt\n"
        "  tf-attrib permute model.keras images.npy --labels labels.txt --patch 4 --figure importance.png\n",
    )
    option = permute.add_argument
    reading.add_model(option)
    option("inputs", metavar="INPUT", nargs="+", help=reading.INPUTS)
    option(
        "--labels",
        metavar="FILE",
        required=True,
        help="of the examples, in their order: .npy (classes, one-hot, or what the output should be), or text, a number a line",
    )
    option(
        "--loss",
        choices=("cross_entropy", "error", "squared_error", "absolute_error"),
        help="what rises (default: cross_entropy of probabilities, error of other classes, else squared_error)",
    )
    option("--repeats", type=int, default=5, metavar="N", help="how many times each is shuffled (default: 5)")
    option("--patch", type=int, metavar="SIDE", help="shuffle square patches of SIDE pixels (default: whole images)")
    option("--names", metavar="FILE", help="names of the columns or patches, one a line")
    reading.add_output(option)
    reading.add_files_and_blocks(option, "what is shuffled", "what the model is made of")
    option("--figure", metavar="FILE", help="write the figure as PNG")
    option("--force", action="store_true", help="overwrite a file that exists")
    option("--json", action="store_true", help="print every number as JSON")
    permute.set_defaults(run=run, at=None, class_names=None)


def run(options: argparse.Namespace) -> None:
    """Measures, prints, and writes what was asked for."""
    from ..datasets.feature_permutation import feature_permutation
    from .input_files import read_labels, read_lines

    reading.check_writable("--figure", options.figure, options.force)
    labels = read_labels(options.labels)
    names = None if options.names is None else read_lines(options.names)
    attributor, inputs, _ = reading.read(options)
    groups, places = (None, None) if options.patch is None else _patches(inputs, options.patch)
    found = feature_permutation(
        attributor,
        (inputs, labels),
        options.loss,
        groups=groups,
        repeats=options.repeats,
        names=places if names is None else names,
        seed=options.seed,
    )
    print(_as_json(found) if options.json else found)
    if options.figure:
        write_whole(Path(options.figure), lambda file: found.plot().savefig(file, format="png", dpi=110))


def _patches(inputs: Any, side: int) -> tuple[Any, list[str]]:
    """Groups of square patches of images, and where each lies: "rows 0-3, columns 4-7"."""
    import numpy as np

    from ..methods.segments import tiles

    shape = getattr(inputs, "shape", ())
    if len(shape) != 4:
        came = f"{shape}" if shape else f"{len(inputs)} arrays by name"
        raise AttributionError(f"--patch needs images (batch, height, width, channels); these are {came}: leave --patch out")
    groups = tiles(shape[1:3], side)
    ends = [[f"{axis[0]}-{axis[-1]}" for axis in np.nonzero(groups == group)] for group in range(groups.max() + 1)]
    return groups, [f"rows {rows}, columns {columns}" for rows, columns in ends]


def _as_json(found: "Importance") -> str:
    """Every number; what is not finite is null."""
    import numpy as np

    numbers = lambda values: [float(value) if np.isfinite(value) else None for value in values]  # noqa: E731
    fields = dataclasses.asdict(found) | {name: numbers(getattr(found, name)) for name in ("importance", "standard_error")}
    return json.dumps(fields | {"loss": numbers([found.loss])[0]}, indent=2, allow_nan=False)
