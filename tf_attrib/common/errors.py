"""The errors that this library raises on purpose, and the words they share."""

import difflib
import functools
import re
from collections.abc import Callable, Iterable, Mapping

# Controls, changes of direction, ends of lines that are none of a text file, and halves of letters.
UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class AttributionError(ValueError):
    """Something that was asked for cannot be had; the message says what must hold, what came, and what works."""

    def __str__(self) -> str:
        return printable(super().__str__())  # names in it may come from a file


class NotFloat(AttributionError):
    """What was selected is not float, so that it has no gradient."""


class NotFinite(AttributionError):
    """Inputs that hold NaN or infinity.

    Args:
        alone: what they are and what they hold, as of a single example.
        where: in which examples.
    """

    def __init__(self, alone: str, where: str) -> None:
        super().__init__(alone, where)
        self.alone, self.where = alone, where

    def __str__(self) -> str:
        return printable(f"{self.alone} {self.where}; attribute(..., on_error='mark') marks them and does the others")


class MissingExtra(ImportError):
    """An optional dependency is not installed; the message names the command that installs it."""


def missing_extra(package: str, extra: str, purpose: str) -> MissingExtra:
    """The error for `package`, which `purpose` needs and the extra `extra` brings."""
    return MissingExtra(f"{purpose} needs {package}, which is not installed: pip install 'tf_attrib[{extra}]'")


def nearest(name: str, choices: Iterable[str] | Mapping[str, tuple], limit: int = 8) -> str:
    """The choices that a misspelt `name` may have meant, nearest first, with their shapes if given, as text for an error."""
    shapes = choices if isinstance(choices, Mapping) else {}
    choices = [str(choice) for choice in choices]
    # cutoff 0 keeps every choice in the running: the order is what helps, not the filter
    near = [choice for choice in choices if "".join(word[:1] for word in choice.split("_")) == str(name)]  # by initials
    near += [one for one in difflib.get_close_matches(str(name), choices, n=limit, cutoff=0.0) if one not in near]
    near += [choice for choice in choices if choice not in near]
    text = ", ".join(
        f"{choice!r} {shapes[choice]}" if isinstance(shapes.get(choice), tuple) else repr(choice) for choice in near[:limit]
    )
    return text + (f", ... ({len(choices)} in all)" if len(choices) > limit else "") if choices else "none"


def plain(text: object, limit: int = 200) -> str:
    """`text` fit to be printed: what a terminal would act on becomes an escape, and the middle of a long text is left out."""
    shown = str(text)
    if len(shown) > limit:
        shown = f"{shown[: limit - limit // 4 - 5]} ... {shown[-(limit // 4) :]}"
    return printable(shown.replace("\n", "\\n"))


def one_line(error: BaseException, limit: int = 600) -> str:
    """The text of another library's error: without colours, without the arguments that Keras lists, and not endless."""
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split()).partition(" Arguments received by ")[0]
    return text if len(text) < limit else text[:limit] + " ..."


def printable(text: str) -> str:
    """A text of ours as it leaves for a terminal: of names in it that a terminal would act on, or show in another order than
    they are written, each such letter becomes an escape; lines stay."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(
        letter if letter == "\n" or letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def legible(text: str) -> str:
    """A text as it stands in a page or a picture: letters that show nothing, or in another order what stands behind them (in a
    list of numbers "862.0+" for "+0.268"), as escapes. Ends of lines, tabs, and what joins letters of a script stay."""
    return UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def printed(method: Callable[..., str]) -> Callable[..., str]:
    """Decorates a `__repr__` or `__str__` whose text holds names that may come from a file."""

    @functools.wraps(method)
    def shown(self) -> str:
        return printable(method(self))

    return shown
