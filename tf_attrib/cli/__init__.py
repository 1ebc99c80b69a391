"""The command `tf-attrib`: a module for each of its commands, which adds its options and runs it."""

import argparse
import contextlib
import gc
import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

from .._version import __version__
from ..common.errors import AttributionError, MissingExtra, printable
from . import attribute, compare, demo, diagnose, explain, export, generate, inspect, permute, reading, run, serve

# In the order that `tf-attrib --help` lists them.
COMMANDS = (demo, attribute, generate, run, diagnose, compare, permute, inspect, export, explain, serve)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code: 0, or 2 for anything that was asked wrongly, with one line that says what."""
    options = _parser().parse_args(arguments)
    try:
        with _quiet(), _uncollected():
            import tensorflow  # its start-up messages would bury ours
        with contextlib.redirect_stdout(_Printable(sys.stdout)):
            reading.extend(getattr(options, "extensions", None) or ())
            options.run(options)
        for note in getattr(options, "notes", ()):
            print(f"note: {note}", file=sys.stderr)
    except (AttributionError, MissingExtra, OSError) as error:
        print(f"tf-attrib: {printable(' '.join(str(error).split()))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tf-attrib: interrupted", file=sys.stderr)
        return 130
    return 0


class _Printable(io.TextIOBase):
    """Standard output to which no name from a file gets as anything but text, and on whose account no work is lost: letters
    that its encoding lacks become escapes, and once nobody reads it any more, as behind `| head`, nothing is written to it."""

    def __init__(self, output: TextIO) -> None:
        self._output, self._encoding = output, getattr(output, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        shown = printable(text).encode(self._encoding, "backslashreplace").decode(self._encoding)
        self._unless_gone(lambda: self._output.write(shown))
        return len(text)

    def flush(self) -> None:
        self._unless_gone(self._output.flush)

    def _unless_gone(self, do: Callable[[], object]) -> None:
        try:
            do()
        except BrokenPipeError:
            # what is still in the buffer would be written, and fail, when Python ends
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._output.fileno())
            os.close(nowhere)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tf-attrib", description="Says which parts of an input a TensorFlow/Keras model's prediction came from."
    )
    parser.add_argument("--version", action="version", version=f"tf-attrib {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Nothing is looked through for garbage, then or later: of what TensorFlow's start makes all stays, and looking takes a
    tenth of its time. What runs in a process that has it already changes nothing there."""
    if "tensorflow" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


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
