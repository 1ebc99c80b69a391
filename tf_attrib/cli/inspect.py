"""The command `tf-attrib inspect`."""

import argparse

from ..common.errors import AttributionError
from . import reading


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to those of `tf-attrib`."""
    inspect = commands.add_parser(
        "inspect",
        help="say what is inside a model, without running it",
        description="Finds the signatures, probability heads, embeddings, preprocessing and tensors of a model, and what "
        "loading it would do. An export is read, never loaded.",
    )
    inspect.add_argument("path", metavar="PATH", help="a SavedModel's folder, a frozen graph .pb, or a .keras or .h5 file")
    inspect.add_argument("--signature", metavar="NAME", help="look at this one alone")
    inspect.add_argument(
        "--rules", action="store_true", help="list which rule of DeepLIFT each operation gets instead; this loads the model"
    )
    inspect.add_argument(
        "--allow-unsafe",
        action="store_true",
        help="with --rules, which loads the model: load Lambda layers, which run their author's Python code",
    )
    reading.add_import(inspect.add_argument, "DeepLIFT rules of your own, for --rules")
    inspect.add_argument("--json", action="store_true", help="print it as JSON")
    inspect.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Prints what a model file holds, or the DeepLIFT rule of each of its operations."""
    from ..graph.saved.inspect import inspect

    if options.rules:
        _print_rules(options)
        return
    for given, name in ((options.allow_unsafe, "--allow-unsafe"), (options.extensions, "--import")):
        if given:
            raise AttributionError(f"{name} is for --rules: without it nothing is loaded, and no rule is asked for")
    with reading.quiet_keras():
        found = inspect(options.path, options.signature)
    print(found.to_json() if options.json else found)


def _print_rules(options: argparse.Namespace) -> None:
    from ..attributor import Attributor
    from ..doctor.coverage import coverage

    if options.json:
        raise AttributionError("--rules prints a table: leave --json out")
    with reading.quiet_keras():
        print(coverage(Attributor(options.path, signature=options.signature, allow_unsafe=options.allow_unsafe)))
