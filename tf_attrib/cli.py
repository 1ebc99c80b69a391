"""The command `tf-attrib`."""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from . import cli_compare
from ._version import __version__
from .errors import AttributionError, MissingExtra
from .whole import write_whole

# More pictures than this are not drawn unless asked for.
PICTURES = 16


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code: 0, or 2 for anything that was asked wrongly, with one line that says what."""
    options = _parser().parse_args(arguments)
    try:
        with _quiet():
            import tensorflow  # noqa: F401  (its start-up messages would bury ours)
        options.run(options)
    except (AttributionError, MissingExtra, OSError) as error:
        print(f"tf-attrib: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tf-attrib: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tf-attrib", description="Says which parts of an input a TensorFlow/Keras model's prediction came from.")
    parser.add_argument("--version", action="version", version=f"tf-attrib {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_attribute(commands)
    _add_diagnose(commands)
    cli_compare.add(commands, _add_reading, _compare)
    _add_inspect(commands)
    return parser


def _add_demo(commands) -> None:
    demo = commands.add_parser("demo", help="train small real models, attribute, and write a report with pictures",
                               description="Trains three small models (under two minutes, no network), attributes their "
                                           "predictions, and writes a report with pictures.")
    demo.add_argument("--out", metavar="DIR", help="where to write (default: report, or the next free report-N)")
    demo.set_defaults(run=_demo)


def _add_attribute(commands) -> None:
    attribute = commands.add_parser(
        "attribute", help="attribute a saved model's predictions to its inputs",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Attributes a saved model's predictions to its inputs; writes attribution.npz and pictures.",
        epilog="examples:\n"
               "  tf-attrib attribute model.keras photo.jpg --resize --value-range 0 1\n"
               "  tf-attrib attribute model.keras batch.npy --target 3 --of logits\n"
               "  tf-attrib attribute text.keras ids.jsonl --tokens vocabulary.txt --out words\n")
    add = attribute.add_argument
    _add_reading(add)
    _add_tokens(add)
    add("--method", default="integrated_gradients", metavar="NAME",
        help="integrated_gradients (default), gradient, gradient_times_input, interior_gradients, expected_gradients, "
             "occlusion, deeplift, deepshap, guided_backprop")
    add("--out", default="attributions", metavar="DIR", help="folder to write to (default: attributions)")
    add("--pictures", type=int, default=PICTURES, metavar="N", help=f"draw at most N examples (default: {PICTURES})")
    add("--force", action="store_true", help="overwrite files that exist")
    attribute.set_defaults(run=_attribute)


def _add_reading(add) -> None:
    """The options that say which model and inputs are read, what is explained, and how accurately."""
    add("model", metavar="MODEL",
        help="a .keras or .h5 file, of Keras 3 or of tf_keras; the folder of a SavedModel; a frozen .pb")
    add("inputs", metavar="INPUT", nargs="+",
        help="images (png, jpg; one example each), .npy (an example or a batch), .npz (inputs by name), or .jsonl (a list of "
             "token ids a line)")
    add("--target", metavar="CLASS", help="class to explain, or position,class (default: the predicted class)")
    add("--at", metavar="TENSOR",
        help="inputs, embeddings, or the name of a layer or tensor (default: inputs; for ids, embeddings)")
    add("--signature", metavar="NAME", help="of a SavedModel (default: serving_default, else the only one)")
    add("--of", metavar="OUTPUT",
        help="probability, logits, or the name of an output or tensor (default: the probability head, if any)")
    add("--tolerance", type=float, metavar="SHARE",
        help="relative L1 error that integrated gradients aim at (default: 0.05; 0.01 for numbers)")
    add("--max-evaluations", type=int, metavar="N", help="gradients on one path at most (default: 1025)")
    add("--steps", type=int, metavar="N", help="steps or samples of the method; integrated gradients: a fixed rule instead")
    add("--baseline", metavar="FILE|NUMBER", help="an array file or image like the inputs, or a number (default: zeros)")
    add("--value-range", type=float, nargs=2, default=(0.0, 255.0), metavar=("LOW", "HIGH"),
        help="what black and white of an image are for the model (default: 0 255)")
    add("--resize", action="store_true", help="bring images to the size that the model takes")
    add("--seed", type=int, default=0, help="of random baselines and methods (default: 0)")
    add("--batch-size", type=int, metavar="ROWS", help="gradient rows in a block (default: by the model's size)")
    add("--allow-unsafe", action="store_true", help="load Lambda layers, which run the model author's Python code")


def _add_tokens(add) -> None:
    add("--tokens", metavar="FILE", help="vocabulary: one word a line, the first is token 0")


def _add_diagnose(commands) -> None:
    diagnose = commands.add_parser(
        "diagnose", help="say whether attributions of these inputs are to be believed",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Examines model, output, baseline and integral on these inputs, and says what was measured, what it\n"
                    "means and what to type next. Findings are no failures: the exit code is 0 when the examination ran.",
        epilog="examples:\n"
               "  tf-attrib diagnose model.keras batch.npy\n"
               "  tf-attrib diagnose toxic.keras ids.jsonl --tokens vocabulary.txt --default-class 0 --html report.html\n")
    _add_reading(diagnose.add_argument)
    _add_tokens(diagnose.add_argument)
    diagnose.add_argument("--default-class", type=float, metavar="CLASS",
                          help="class that means nothing is there, which the baseline should have (0 for a detector); 0.5 for "
                               "two classes that both need a signal")
    diagnose.add_argument("--html", metavar="FILE", help="write the report as one HTML file")
    diagnose.add_argument("--force", action="store_true", help="overwrite the HTML file")
    diagnose.add_argument("--json", action="store_true", help="print it as JSON")
    diagnose.set_defaults(run=_diagnose, method="integrated_gradients")


def _add_inspect(commands) -> None:
    inspect = commands.add_parser(
        "inspect", help="say what is inside a model, without running it",
        description="Finds the signatures, probability heads, embeddings, preprocessing and tensors of a model, and what "
                    "loading it would do. An export is read, never loaded.")
    inspect.add_argument("path", metavar="PATH", help="a SavedModel's folder, a frozen graph .pb, or a .keras or .h5 file")
    inspect.add_argument("--signature", metavar="NAME", help="look at this one alone")
    inspect.add_argument("--rules", action="store_true",
                         help="list which rule of DeepLIFT each operation gets instead; this loads the model")
    inspect.add_argument("--json", action="store_true", help="print it as JSON")
    inspect.set_defaults(run=_inspect)


def _demo(options: argparse.Namespace) -> None:
    from .demo.run import run

    run(options.out)


def _inspect(options: argparse.Namespace) -> None:
    from .inspection import inspect

    if options.rules:
        _print_rules(options)
        return
    with _quiet_keras():
        found = inspect(options.path, options.signature)
    print(found.to_json() if options.json else found)


def _print_rules(options: argparse.Namespace) -> None:
    from .attributor import Attributor
    from .coverage import coverage

    if options.json:
        raise AttributionError("--rules prints a table: leave --json out")
    with _quiet_keras():
        print(coverage(Attributor(options.path, signature=options.signature)))


def _attribute(options: argparse.Namespace) -> None:
    out = Path(options.out)
    _check_free(out, options.force)
    attributor, inputs, shape = _read(options)
    result = attributor.attribute(inputs, _target(options.target), _baseline(options, shape), _method(options),
                                  seed=options.seed)
    print(result)
    _print_examples(result)
    for path in _write(result, out, options):
        print(f"wrote {path}")


def _diagnose(options: argparse.Namespace) -> None:
    from .doctor.diagnose import diagnose

    if options.html and Path(options.html).exists() and not options.force:
        raise AttributionError(f"--html {options.html!r} exists: name another file, or overwrite it with --force")
    attributor, inputs, shape = _read(options)
    words = None if options.tokens is None else Path(options.tokens).read_text(encoding="utf-8").splitlines()
    report = diagnose(attributor, inputs, _target(options.target), _baseline(options, shape), seed=options.seed,
                      default_class=options.default_class, method=_method(options), vocabulary=words)
    print(report.to_json() if options.json else report)
    if options.html:
        report.save_html(options.html, overwrite=options.force)
        print(f"wrote {options.html}", file=sys.stderr)


def _compare(options: argparse.Namespace) -> None:
    cli_compare.check_free(options)
    attributor, inputs, shape = _read(options)
    cli_compare.run(options, attributor, inputs, _target(options.target), _baseline(options, shape))


def _read(options: argparse.Namespace) -> tuple:
    """The attributor, the inputs, and the shape of one that its model takes."""
    from .attributor import Attributor
    from .files import read_inputs

    with _quiet_keras():
        attributor = Attributor(options.model, options.at, options.of, options.batch_size, signature=options.signature,
                                allow_unsafe=options.allow_unsafe)
    shape = attributor.input_shape
    return attributor, read_inputs(options.inputs, shape, tuple(options.value_range), options.resize), shape


def _method(options: argparse.Namespace):
    """The method by its name, with what it was given."""
    import dataclasses

    from .methods import as_method

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


def _target(text: str | None):
    if text is None:
        return None
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise AttributionError(f"--target must be a class such as 3, or position,class such as 5,3; got {text!r}") from None
    return numbers[0] if len(numbers) == 1 else numbers


def _baseline(options: argparse.Namespace, shape: tuple | None):
    from .baselines import at_input, constant, dataset
    from .files import read_inputs

    if options.baseline is None:
        return None
    with contextlib.suppress(ValueError):
        return constant(float(options.baseline))
    samples = read_inputs([options.baseline], shape, tuple(options.value_range), options.resize)
    if options.method == "expected_gradients" or isinstance(samples, dict):
        return dataset(samples)
    return at_input(samples[0]) if len(samples) == 1 else dataset(samples)


def _print_examples(result) -> None:
    from .view.words import percent, status_words

    gaps = result.relative_gap
    for i in range(len(result)):
        target = "" if result.target is None else f" of class {np.array2string(np.asarray(result.target[i]))}"
        gap = "" if gaps is None else f", sum {result.totals[i]:.4g}, gap " + (
            f"{result.gap[i]:.2g}" if np.isnan(gaps[i]) else percent(gaps[i]))
        error = "" if result.error_estimate is None else f", estimated error {percent(result.error_estimate[i])}"
        status = f"; {status_words(result, i).upper()}" if status_words(result, i) else error
        print(f"  example {i}: {result.unit}{target} {result.scores[i]:.4g}{gap}{status}")


def _check_free(out: Path, force: bool) -> None:
    """Fails before any work where the outputs would be in the way of something."""
    if out.exists() and not out.is_dir():
        raise AttributionError(f"--out {str(out)!r} is a file; name a folder")
    if (out / "attribution.npz").exists() and not force:
        raise AttributionError(f"{str(out / 'attribution.npz')!r} exists: name another --out, or overwrite with --force")


def _write(result, out: Path, options: argparse.Namespace) -> list[Path]:
    """The result and its pictures; each file whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    written = [result.save(out / "attribution.npz", overwrite=options.force)]
    tokens = _words(result, options.tokens)
    for i in range(min(len(result), max(options.pictures, 0))):
        path = out / f"example-{i}.png"
        figure = result.plot(example=i) if tokens is None else result.plot(example=i, tokens=tokens)
        written.append(write_whole(path, lambda file, figure=figure: figure.savefig(file, format="png", dpi=110)))
    if tokens is not None or result.tokens is not None:
        page = f"<!doctype html><meta charset='utf-8'><title>tf-attrib</title><body>{result.to_html(tokens)}</body>"
        written.append(write_whole(out / "words.html", lambda file: file.write(page.encode())))
    return written


def _words(result, vocabulary: str | None) -> list[list[str]] | None:
    """The words behind the inputs' token ids, by a vocabulary file."""
    if vocabulary is None:
        return None
    words = Path(vocabulary).read_text(encoding="utf-8").splitlines()
    ids = np.asarray(result.inputs)
    if ids.dtype.kind not in "iu" or ids.ndim != 2:
        raise AttributionError(f"--tokens needs inputs of token ids (batch, length); these are {ids.dtype} {ids.shape}")
    return [[words[i] if 0 <= i < len(words) else str(i) for i in row] for row in ids]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing that C++ code writes to standard error is shown."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextlib.contextmanager
def _quiet_keras() -> Iterator[None]:
    """Keras's advice about how a file was saved is not about what was asked here."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
