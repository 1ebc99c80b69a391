"""The command `tf-attrib demo`."""

import argparse


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to those of `tf-attrib`."""
    demo = commands.add_parser(
        "demo",
        help="train small real models, attribute, and write a report with pictures",
        description="Trains three small models (under two minutes, no network), attributes their "
        "predictions, and writes a report with pictures.",
    )
    demo.add_argument("--out", metavar="DIR", help="where to write (default: report, or the next free report-N)")
    demo.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Writes the report."""
    from ..demo.run import run as write_report

    write_report(options.out)
