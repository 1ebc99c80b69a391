"""The command `tf-attrib attribute`."""

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from ..common.atomic import write_whole
from ..common.digits import short
from ..common.errors import AttributionError
from ..common.types import present
from . import reading

# More pictures than this are not drawn unless asked for.
PICTURES = 16
# What is written, beside a picture of each example.
NUMBERS, WORDS = "attribution.npz", "words.html"


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to those of `tf-attrib`."""
    attribute = commands.add_parser(
        "attribute",
        help="attribute a saved model's predictions to its inputs",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Attributes a saved model's predictions to its inputs; writes attribution.npz and pictures.",
        epilog="examples:\n"
        "  tf-attrib attribute model.keras photo.jpg --resize --value-range 0 1\n"
        "  tf-attrib attribute model.keras batch.npy --target 3 --of logits\n"
        "  tf-attrib attribute text.keras ids.jsonl --tokens vocabulary.txt --out words\n",
    )
    option = attribute.add_argument
    reading.add_reading(option)
    reading.add_tokens(option)
    option(
        "--method",
        default="integrated_gradients",
        metavar="NAME",
        help="integrated_gradients (default), gradient, gradient_times_input, interior_gradients, expected_gradients, "
        "blur_ig, guided_ig, smoothgrad, smoothgrad_squared, vargrad, occlusion, ablation, shapley_sampling, kernel_shap, "
        "lime, deeplift, deepshap, guided_backprop, deconvolution, conductance, internal_influence, grad_cam, "
        "grad_cam_plus_plus, layer_cam, score_cam, guided_grad_cam, rise, xrai",
    )
    option("--out", default="attributions", metavar="DIR", help="folder to write to (default: attributions)")
    option("--pictures", type=int, default=PICTURES, metavar="N", help=f"draw at most N examples (default: {PICTURES})")
    option("--force", action="store_true", help="replace what an earlier run wrote there")
    attribute.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Attributes the predictions for a file of inputs, and writes numbers, pictures and words."""
    out = Path(options.out)
    _check_free(out, options.force)
    if options.pictures < 0:
        raise AttributionError(f"--pictures must be 0 or more, got {options.pictures}")
    target, method, vocabulary = reading.target(options.target), reading.method(options), reading.tokens(options)
    attributor, inputs, shape = reading.read(options)
    if vocabulary is not None:
        reading.check_tokens(inputs)
    result = attributor.attribute(inputs, target, reading.baseline(options, shape), method, seed=options.seed)
    result = dataclasses.replace(result, notes=(*options.notes, *result.notes))
    options.notes = []  # they are in the result now, and its file
    print(result)
    _print_examples(result)
    for path in _write(result, out, options, vocabulary):
        print(f"wrote {path}")


def _print_examples(result) -> None:
    from ..result.words import class_words
    from ..view.captions import entry_name, percent, status_words, target_words

    gaps, totals = result.relative_gap, result.totals
    for i in range(len(result)):
        target = target_words(result, i)
        if target and result.position is not None:  # of several positions each is named, and the class is explained there
            target = class_words(result, result.target[i].flat[-1]) if result.target.ndim > 1 else ""
        target = f" of {target}" if target else ""
        gap = (
            ""
            if gaps is None
            else f", sum {totals[i]:.4g}, gap " + (f"{result.gap[i]:.2g}" if np.isnan(gaps[i]) else percent(gaps[i]))
        )
        known = result.error_estimate is not None and np.isfinite(result.error_estimate[i])
        error = f", estimated error {percent(present(result.error_estimate)[i])}" if known else ""
        status = f"; {status_words(result, i).upper()}" if status_words(result, i) else error
        print(f"  {entry_name(result, i)}: {result.unit}{target} {short(result.scores[i])}{gap}{status}")


def _check_free(out: Path, force: bool) -> None:
    """Fails before any work where the outputs would be in the way of something."""
    for folder in [out, *out.absolute().parents]:
        if folder.exists() and not folder.is_dir():
            raise AttributionError(f"--out {str(out)!r}: {str(folder)!r} is a file; name a folder")
    there = _outputs(out)
    if there and not force:
        raise AttributionError(f"{str(there[0])!r} exists: name another --out, or overwrite with --force")


def _outputs(out: Path) -> list[Path]:
    """What an earlier run wrote into a folder."""
    pictures = [path for path in out.glob("example-*.png") if path.stem.removeprefix("example-").isdecimal()]
    return [path for path in (out / NUMBERS, out / WORDS, *sorted(pictures)) if path.exists()]


def _write(result, out: Path, options: argparse.Namespace, vocabulary: list[str] | None) -> list[Path]:
    """The result and its pictures; each file whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    written = [result.save(out / NUMBERS, overwrite=options.force)]
    for path in _outputs(out):  # pictures of an earlier run would stand beside numbers that they are not of
        if path not in written:
            path.unlink()
    tokens = _words(result, vocabulary)
    there = np.arange(len(result)) if result.position is None else np.unique(result.example)
    shown, kind = _drawable(result)
    for i in map(int, there[: options.pictures]):
        path = out / f"example-{i}.png"
        figure = shown.plot(example=i, **kind) if tokens is None else shown.plot(example=i, tokens=tokens, **kind)
        written.append(write_whole(path, lambda file, figure=figure: figure.savefig(file, format="png", dpi=110)))
    if tokens is not None or result.tokens is not None:
        page = f"<!doctype html><meta charset='utf-8'><title>tf-attrib</title><body>{result.to_html(tokens)}</body>"
        written.append(write_whole(out / WORDS, lambda file: file.write(page.encode())))
    return written


def _drawable(result):
    """The result, or where its shape cannot be drawn, as of a layer with many channels, that without the last axis; and how it
    is drawn, where that is known."""
    from ..common.nested import flatten
    from ..result.adding_up import are_summed
    from ..result.channels import axis_of_channels, without_channels
    from ..view.kinds import blocks

    if all(block.kind for block in blocks(result)) or any(leaf.ndim < 3 for leaf in flatten(result.attributions).values()):
        return result, {}
    axis = "axis 1, the channels" if axis_of_channels(result) == 1 else "the last axis"
    print(f"pictures: {'summed' if are_summed(result.kind) else 'the mean'} over {axis}")
    flat = without_channels(result)
    # without channels a map of few columns would be taken for a signal
    axes = {leaf.ndim for leaf in flatten(flat.attributions).values()}
    if axes == {3} and blocks(flat)[0].kind == "signal":
        return flat, {"kind": "map"}
    return flat, {"kind": "frames"} if axes == {4} and not blocks(flat)[0].kind else {}


def _words(result, words: list[str] | None) -> list[list[str]] | None:
    """The words behind the inputs' token ids, by a vocabulary."""
    if words is None:
        return None
    # a number alone may be a word of the vocabulary
    return [[words[i] if 0 <= i < len(words) else f"[{i}]" for i in row] for row in np.asarray(result.inputs)]
