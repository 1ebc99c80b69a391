"""The command `tf-attrib diagnose`."""

import argparse
import sys

from . import reading


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to those of `tf-attrib`."""
    diagnose = commands.add_parser(
        "diagnose",
        help="say whether attributions of these inputs are to be believed",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Examines model, output, baseline and integral on these inputs, and says what was measured, what it\n"
        "means and what to type next. Findings are no failures: the exit code is 0 when the examination ran.",
        epilog="examples:\n"
        "  tf-attrib diagnose model.keras batch.npy\n"
        "  tf-attrib diagnose toxic.keras ids.jsonl --tokens vocabulary.txt --default-class 0 --html report.html\n",
    )
    reading.add_reading(diagnose.add_argument)
    reading.add_tokens(diagnose.add_argument)
    diagnose.add_argument(
        "--default-class",
        type=float,
        metavar="CLASS",
        help="class that means nothing is there, which the baseline should have (0 for a detector); 0.5 for "
        "two classes that both need a signal",
    )
    diagnose.add_argument("--html", metavar="FILE", help="write the report as one HTML file")
    diagnose.add_argument("--force", action="store_true", help="overwrite the HTML file")
    diagnose.add_argument("--json", action="store_true", help="print it as JSON")
    diagnose.set_defaults(run=run, method="integrated_gradients")


def run(options: argparse.Namespace) -> None:
    """Prints what `diagnose` finds, and writes it as a page where that is asked for."""
    from ..doctor.diagnose import diagnose

    reading.check_writable("--html", options.html, options.force)
    target, method, words = reading.target(options.target), reading.method(options), reading.tokens(options)
    attributor, inputs, shape = reading.read(options)
    if words is not None:
        reading.check_tokens(inputs)
    report = diagnose(
        attributor,
        inputs,
        target,
        reading.baseline(options, shape),
        seed=options.seed,
        default_class=options.default_class,
        method=method,
        vocabulary=words,
    )
    print(report.to_json() if options.json else report)
    if options.html:
        report.save_html(options.html, overwrite=options.force)
        print(f"wrote {options.html}", file=sys.stderr)
