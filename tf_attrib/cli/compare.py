"""The command `tf-attrib compare`."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from ..common.atomic import write_whole
from ..common.errors import AttributionError
from . import reading


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to those of `tf-attrib`."""
    compare = commands.add_parser(
        "compare",
        help="measure attribution methods on these inputs and compare them",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures attribution methods by several metrics on the same inputs, beside a random attribution: a\n"
        "table of means with bootstrap intervals.",
        epilog="examples:\n"
        "  tf-attrib compare model.keras batch.npy\n"
        "  tf-attrib compare model.keras batch.npy --methods integrated_gradients,occlusion --metrics aopc,infidelity\n"
        "  tf-attrib compare model.keras photos/*.jpg --resize --patch 16 --html compared.html\n",
    )
    reading.add_reading(compare.add_argument)
    option = compare.add_argument
    option(
        "--methods",
        metavar="NAMES",
        default="integrated_gradients,gradient_times_input,gradient",
        help="names with commas between them (default: integrated_gradients,gradient_times_input,gradient)",
    )
    option(
        "--metrics",
        metavar="NAMES",
        help="of aopc, aopc_between, deletion, insertion, infidelity, max_sensitivity, sparseness, randomisation, with "
        "commas between them (default: all but max_sensitivity and randomisation)",
    )
    option(
        "--units",
        metavar="NAME",
        help="what is taken away at once: features, pixels, tokens or columns (default: by the inputs)",
    )
    option("--patch", type=int, metavar="SIDE", help="take square patches of SIDE pixels away at once")
    option(
        "--curve-steps", type=int, metavar="N", help="steps of a perturbation curve (default: one for each unit, at most 100)"
    )
    option("--replacement", metavar="NUMBER|mean", help="what stands in for what is taken away (default: the baseline)")
    option("--html", metavar="FILE", help="write table and figures as one HTML file")
    option("--figure", metavar="FILE", help="write the figure as PNG")
    option("--force", action="store_true", help="overwrite files that exist")
    option("--json", action="store_true", help="print every number as JSON")
    compare.set_defaults(run=run, method="")


def run(options: argparse.Namespace) -> None:
    """Compares, prints, and writes what was asked for."""
    from ..metrics import compare

    for name in ("html", "figure"):
        reading.check_writable(f"--{name}", getattr(options, name), options.force)
    target, chosen, replacement = reading.target(options.target), methods(options), _replacement(options.replacement)
    attributor, inputs, shape = reading.read(options)
    baselines = reading.baseline(options, shape)
    given = {"units": options.units, "patch": options.patch, "steps": options.curve_steps}
    given |= {"metrics": options.metrics.split(",")} if options.metrics else {}
    found = compare(
        attributor, inputs, chosen, target=target, baselines=baselines, replacement=replacement, seed=options.seed, **given
    )
    print(found.to_json() if options.json else found)
    if options.html:
        found.save_html(options.html, overwrite=options.force)
    if options.figure:
        write_whole(Path(options.figure), lambda file: found.plot().savefig(file, format="png", dpi=110))


def methods(options: argparse.Namespace) -> dict[str, Any]:
    """The methods by name, each with those of the options that it has; every option must be of one of them."""
    from ..methods import as_method

    chosen = {name: as_method(name) for name in options.methods.split(",") if name}
    given = {"tolerance": options.tolerance, "max_evaluations": options.max_evaluations, "n_steps": options.steps}
    for option, value in given.items():
        if value is None:
            continue
        names = {"n_steps": ("n_steps", "n_samples")}.get(option, (option,))
        having = {name: next((field for field in names if hasattr(method, field)), None) for name, method in chosen.items()}
        if not any(having.values()):
            raise AttributionError(
                f"none of {', '.join(chosen)} has {option.replace('n_', '').replace('_', ' ')}: leave "
                f"--{'steps' if option == 'n_steps' else option.replace('_', '-')} out"
            )
        chosen |= {name: dataclasses.replace(chosen[name], **{field: value}) for name, field in having.items() if field}
    return chosen


def _replacement(text: str | None) -> float | str | None:
    if text is None or text == "mean":
        return text
    try:
        return float(text)
    except ValueError:
        raise AttributionError(f"--replacement must be a number or mean, got {text!r}") from None
