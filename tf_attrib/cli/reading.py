"""What several commands share: which model and inputs are read, what is explained, and how accurately."""

import argparse
import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..common.errors import AttributionError

if TYPE_CHECKING:
    from ..engine.method import Method
    from ..selection.baselines import Baseline
    from ..selection.each_position import EachPosition


INPUTS = (
    "images (png, jpg; one example each), .npy (an example or a batch), .npz (inputs by name), or .jsonl (a list of "
    "token ids a line)"
)
# What a Python file of the user's own adds.
ADDED = "methods, rules, metrics or checks of your own"


def add_reading(add: Callable[..., Any], inputs: str = INPUTS) -> None:
    """The options that say which model and inputs (files as in `inputs`) are read, what is explained, and how accurately."""
    add_model(add)
    add(
        "inputs",
        metavar="INPUT",
        nargs="+",
        help=inputs,
    )
    add(
        "--target",
        metavar="CLASS",
        help="class to explain, position,class, or each (position of a sequence) (default: the predicted class)",
    )
    add(
        "--class-names",
        metavar="FILE",
        help="names of the classes, one a line, the first is class 0; or imagenet: the list of Keras where it is on disk",
    )
    add_settings(add)


def add_model(add: Callable[..., Any]) -> None:
    """Adds the model."""
    add(
        "model",
        metavar="MODEL",
        help="a .keras or .h5 file, of Keras 3 or of tf_keras; the folder of a SavedModel; a frozen .pb",
    )


def add_settings(add: Callable[..., Any]) -> None:
    """The options that say how a model is read, what of it is explained, and how accurately."""
    add(
        "--at",
        metavar="TENSOR",
        help="inputs, embeddings, or the name of a layer or tensor (default: inputs; for ids, embeddings)",
    )
    add_output(add)
    add(
        "--tolerance",
        type=float,
        metavar="SHARE",
        help="relative L1 error that integrated gradients and conductance aim at (default: 0.05; 0.01 for numbers)",
    )
    add("--max-evaluations", type=int, metavar="N", help="gradients on one path at most (default: 1025)")
    add("--steps", type=int, metavar="N", help="steps or samples of the method; integrated gradients: a fixed rule instead")
    add("--baseline", metavar="FILE|NUMBER", help="an array file or image like the inputs, or a number (default: zeros)")
    add_files_and_blocks(add)


def add_output(add: Callable[..., Any]) -> None:
    """The options that say which output of a model is explained."""
    add("--signature", metavar="NAME", help="of a SavedModel (default: serving_default, else the only one)")
    add(
        "--of",
        metavar="OUTPUT",
        help="probability, logits, or the name of an output, layer or tensor (default: the probability head, if any)",
    )


def add_files_and_blocks(add: Callable[..., Any], random: str = "random baselines and methods", added: str = ADDED) -> None:
    """The options that say how files are read, what is drawn (`random`), in what blocks rows run, what files of Python add
    (`added`), and what code is trusted."""
    add(
        "--value-range",
        type=float,
        nargs=2,
        default=(0.0, 255.0),
        metavar=("LOW", "HIGH"),
        help="what black and white of an image are for the model (default: 0 255)",
    )
    add("--resize", action="store_true", help="bring images to the size that the model takes")
    add("--seed", type=int, default=0, help=f"of {random} (default: 0)")
    add("--batch-size", type=int, metavar="ROWS", help="gradient rows in a block (default: by the model's size)")
    add_import(add, added)
    add(
        "--allow-unsafe",
        action="store_true",
        help="load what is not known to be harmless, such as Lambda layers, which run the model author's Python code",
    )


def add_import(add: Callable[..., Any], of: str = ADDED) -> None:
    """Adds the option that runs a file of the user's own first."""
    add(
        "--import",
        dest="extensions",
        action="append",
        metavar="FILE",
        help=f"run a Python file first that adds {of}; may be given several times",
    )


def extend(files: Iterable[str]) -> None:
    """Runs the Python files that the user names, as `--import` says."""
    import runpy

    for file in files:
        if not Path(file).is_file():
            raise AttributionError(f"--import {file!r}: there is no such Python file")
        try:
            runpy.run_path(file)
        except AttributionError:
            raise
        except Exception as error:  # whatever the user's own code raises
            raise AttributionError(f"--import {file!r} raised {type(error).__name__}: {error}") from error


def add_tokens(add: Callable[..., Any]) -> None:
    """Adds the option of a vocabulary file."""
    add("--tokens", metavar="FILE", help="vocabulary: one word a line, the first is token 0")


def tokens(options: argparse.Namespace) -> list[str] | None:
    """The words of the vocabulary file, read before anything is computed."""
    from .input_files import read_lines

    return None if options.tokens is None else read_lines(options.tokens)


def check_tokens(inputs: Any) -> None:
    """Fails before any work where inputs have no token ids that a vocabulary could be of."""
    import numpy as np

    if not isinstance(inputs, np.ndarray) or inputs.dtype.kind not in "iu" or inputs.ndim != 2:
        came = f"{inputs.dtype} {inputs.shape}" if isinstance(inputs, np.ndarray) else f"{len(inputs)} arrays by name"
        raise AttributionError(f"--tokens needs inputs of token ids (batch, length); these are {came}: leave --tokens out")


def check_writable(option: str, path: str | None, force: bool) -> None:
    """Fails before any work where a file that is to be written is in the way of something, or has no folder."""
    if path is None:
        return
    if Path(path).is_dir():
        raise AttributionError(f"{option} {path!r} is a folder; name a file")
    if Path(path).exists() and not force:
        raise AttributionError(f"{option} {path!r} exists: name another file, or overwrite it with --force")
    if not Path(path).absolute().parent.is_dir():
        raise AttributionError(f"{option} {path!r}: there is no folder {str(Path(path).parent)!r} to write in")


def read(options: argparse.Namespace) -> tuple:
    """The attributor, the inputs, and the shape of one that its model takes; what is to be said of the inputs is in
    `options.notes` then."""
    from .input_files import read_inputs

    found, shape = attributor(options)
    return found, read_inputs(options.inputs, shape, tuple(options.value_range), options.resize, options.notes), shape


def attributor(options: argparse.Namespace) -> tuple:
    """The attributor, and the shape of one input that its model takes; `options.notes` is empty then."""
    from ..attributor import Attributor

    options.notes = []
    with quiet_keras():
        found = Attributor(
            options.model,
            options.at,
            options.of,
            options.batch_size,
            signature=options.signature,
            allow_unsafe=options.allow_unsafe,
            class_names=options.class_names,
        )
    if not options.value_range[0] < options.value_range[1]:
        raise AttributionError(f"--value-range must be LOW HIGH with LOW < HIGH, such as 0 1; got {options.value_range}")
    return found, found.input_shape


def method(options: argparse.Namespace) -> "str | Method":
    """The method by its name, with what it was given."""
    import dataclasses

    from ..methods import as_method

    method = as_method(options.method)
    given = {"tolerance": options.tolerance, "max_evaluations": options.max_evaluations, "n_steps": options.steps}
    if hasattr(method, "n_samples"):
        given["n_samples"] = given.pop("n_steps")
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if not hasattr(method, name):
            option = "--steps" if name == "n_steps" else f"--{name.replace('_', '-')}"
            raise AttributionError(f"{options.method} has no {name.replace('n_', '').replace('_', ' ')}: leave {option} out")
    return dataclasses.replace(method, **given)


def target(text: str | None) -> "int | tuple[int, ...] | EachPosition | None":
    """`target=` from the text of `--target`: a class, a position and a class, or each position; None where none was given."""
    if text is None:
        return None
    if text == "each":
        from ..selection.each_position import each_position

        return each_position()
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise AttributionError(
            f"--target must be a class such as 3, position,class such as 5,3, or each (position of a sequence); got {text!r}"
        ) from None
    return numbers[0] if len(numbers) == 1 else numbers


def baseline(options: argparse.Namespace, shape: tuple | None) -> "Baseline | None":
    """`baselines=` from the text of `--baseline`: a number, or a file of one sample or many; None where none was given."""
    from ..methods import as_method
    from ..selection.baselines import at_input, constant, dataset
    from .input_files import read_inputs

    # `compare` has several methods, and none of its own
    over_data = bool(options.method) and as_method(options.method).needs_data
    if options.baseline is None:
        if over_data:
            raise AttributionError(f"--method {options.method} needs data to compare with: --baseline FILE")
        return None
    with contextlib.suppress(ValueError):
        return constant(float(options.baseline))
    notes: list[str] = []
    samples = read_inputs([options.baseline], shape, tuple(options.value_range), options.resize, notes)
    options.notes += [f"--baseline: {note}" for note in notes]
    if over_data or isinstance(samples, dict):
        return dataset(samples)
    return at_input(samples[0]) if len(samples) == 1 else dataset(samples)


@contextlib.contextmanager
def quiet_keras() -> Iterator[None]:
    """Keras's advice about how a file was saved is not about what was asked here."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
