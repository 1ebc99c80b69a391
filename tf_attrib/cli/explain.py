"""The command `tf-attrib explain`."""

import argparse
import json
from pathlib import Path
from typing import Any, BinaryIO

from ..common.atomic import write_whole
from ..common.errors import AttributionError, plain
from ..common.opening import open_regular
from . import reading

# So many instances that failed are listed.
LISTED = 5


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to those of `tf-attrib`."""
    command = commands.add_parser(
        "explain",
        help="answer requests as an endpoint of Vertex Explainable AI did",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Explains a SavedModel as its explanation_metadata.json says: requests in, responses out, one a line. An\n"
        "instance that fails has an error for an explanation, and the others are done.",
        epilog="examples:\n"
        "  tf-attrib explain model/ requests.jsonl --out responses.jsonl\n"
        "  tf-attrib explain model/ requests.jsonl --metadata spec.json --tolerance 0.01 --details --out responses.jsonl\n",
    )
    option = command.add_argument
    option("model", metavar="MODEL_DIR", help="the folder of a SavedModel")
    option("requests", metavar="REQUESTS", help='JSON lines: {"instances": [...]}, or one instance, a line')
    add_configuration(option)
    option("--out", required=True, metavar="FILE", help="JSON lines: the response to each line")
    option(
        "--details", action="store_true", help="say of each attribution its status, gap, standard errors and evaluations, too"
    )
    option("--force", action="store_true", help="overwrite the file if it exists")
    command.set_defaults(run=run)


def add_configuration(option: Any) -> None:
    """The options that say how a model is explained."""
    option("--metadata", metavar="FILE", help="ExplanationMetadata or an ExplanationSpec (default: explanation_metadata.json)")
    option("--parameters", metavar="FILE", help="ExplanationParameters (default: those of the ExplanationSpec)")
    option(
        "--tolerance",
        type=float,
        metavar="T",
        help="bring the estimated error below this, instead of configured counts",
    )
    option("--signature", metavar="NAME", help="signature of the SavedModel (default: serving_default, else the only one)")
    option("--seed", type=int, default=0, metavar="N", help="of random methods (default: 0)")
    option("--batch-size", type=int, metavar="ROWS", help="gradient rows in a block (default: by the model's size)")
    option("--allow-unsafe", action="store_true", help="load a model whose file holds what is not known to be harmless")


def run(options: argparse.Namespace) -> None:
    """Explains each line of a file, and writes what comes of it."""
    reading.check_writable("--out", options.out, options.force)
    out = Path(options.out)
    from ..attributor import Attributor
    from ..vertex.requests import answered, model_name

    explainer = Attributor.from_explanation_metadata(
        options.model,
        options.metadata,
        options.parameters,
        tolerance=options.tolerance,
        signature=options.signature,
        seed=options.seed,
        batch_size=options.batch_size,
        allow_unsafe=options.allow_unsafe,
    )
    for note in explainer.notes:
        print(f"note: {note}")
    counts, failures = {"lines": 0, "explained": 0}, []

    def write(file: BinaryIO) -> None:
        with open_regular(options.requests) as requests:
            for response in answered(requests, explainer, model_name(options.model), options.details):
                counts["lines"] += 1
                explanations = response.get("explanations", [])
                counts["explained"] += sum("error" not in one for one in explanations)
                failures.extend((counts["lines"], one["error"]) for one in [response, *explanations] if "error" in one)
                file.write(json.dumps(response, allow_nan=False).encode() + b"\n")
        if not counts["lines"]:
            raise AttributionError(f"{options.requests!r} holds no requests")
        if not counts["explained"]:
            raise AttributionError(f"nothing in {options.requests!r} could be explained, nothing was written: {failures[0][1]}")

    write_whole(out, write)
    print(f"{counts['lines']} responses, {counts['explained']} instances explained, {len(failures)} failed; wrote {out}")
    for line, error in failures[:LISTED]:
        print(f"  response {line}: {plain(error)}")
    if len(failures) > LISTED:
        print(f'  ... {len(failures) - LISTED} more, under "error"')
