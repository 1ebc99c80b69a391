"""Names of classes, as users have them, and classes as people call them."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .digits import count
from .errors import AttributionError, plain
from .tokens import lines_of

# Where Keras keeps the names of the thousand ImageNet classes once `decode_predictions` has fetched them.
IMAGENET = Path("models") / "imagenet_class_index.json"
HOME = "~/.keras"
CHOICES = "a list with a name for each class, a dict {class: name}, a file with one name a line, or 'imagenet'"


@dataclasses.dataclass(frozen=True)
class ClassNames:
    """Names by the number of the class.

    Attributes:
        of: the names.
        all: whether there is one for each class, so that their number must be that of the classes; else for some alone.
    """

    of: Mapping[int, str]
    all: bool = True

    def check(self, classes: int) -> None:
        """Raises AttributionError where these are not the names of so many classes."""
        beyond = [key for key in self.of if key >= classes]
        if beyond and not self.all:
            raise AttributionError(f"class_names names class {beyond[0]}, and there are the classes 0 to {classes - 1}")
        if beyond or (self.all and len(self.of) != classes):
            names = count(len(self.of), "name")
            raise AttributionError(f"class_names holds {names}, and there are {classes} classes: give one for each")

    def among(self, *classes: np.ndarray | None) -> dict[int, str]:
        """The names of the classes in these arrays, (n,) or (n, r) with the class last."""
        there = [np.ravel(part if part.ndim == 1 else part[..., -1]) for part in classes if part is not None]
        return {number: self.of[number] for part in there for number in sorted(map(int, np.unique(part))) if number in self.of}

    def check_known(self, number: int) -> None:
        """Raises AttributionError where a list of names ends before this class."""
        if self.all and number not in self.of:
            raise AttributionError(
                f"class_names holds {count(len(self.of), 'name')}, and there are {number + 1} classes at least: give one for "
                "each class"
            )


def as_class_names(given: Any) -> ClassNames | None:
    """Names by class from what a user gives: see `CHOICES`.

    Raises:
        AttributionError: it is none of these, or a file that cannot be read.
    """
    if given is None or isinstance(given, ClassNames):
        return given
    if isinstance(given, str) and given == "imagenet":
        return ClassNames(dict(enumerate(_imagenet())))
    if isinstance(given, str | os.PathLike):
        return ClassNames(dict(enumerate(_lines(Path(given)))))
    if hasattr(given, "to_dict") and hasattr(given, "index"):  # a pandas Series: by its index
        given = given.to_dict()
        given = list(given.values()) if list(given) == list(range(len(given))) else given
    if isinstance(given, Mapping):
        keys, names = list(given), list(given.values())
        if not all(isinstance(key, int | np.integer) and not isinstance(key, bool) and key >= 0 for key in keys):
            raise AttributionError(f"class_names as a dict has numbers of classes as keys, got {keys[:3]!r}")
    elif isinstance(given, Sequence | np.ndarray) or hasattr(given, "to_list"):  # and a pandas Index, a polars Series
        keys, names = list(range(len(given))), list(given)
    else:
        raise AttributionError(f"class_names must be {CHOICES}; got {given!r}")
    if not names or not all(isinstance(name, str) for name in names):
        raise AttributionError(f"class_names must be {CHOICES}; got {given!r}")
    return ClassNames({int(key): str(name) for key, name in zip(keys, names, strict=True)}, all=not isinstance(given, Mapping))


def class_name(value: Any, names: ClassNames | None) -> str:
    """A class as people call it: its name, where there is one, else its number; any other label as it is."""
    value = np.squeeze(value)
    if value.ndim:
        return np.array2string(value, threshold=6)
    known = value.item()
    if not isinstance(known, int | float) or not np.isfinite(known):
        return known.decode("utf-8", "replace") if isinstance(known, bytes) else str(known)
    if names is not None and known == int(known) and int(known) in names.of:
        return names.of[int(known)]
    return f"{known:.4g}" if isinstance(known, float) else str(known)


def numbered(number: int, names: Mapping[int, str]) -> str:
    """ "class 967 (espresso)", or without the name where it is not known."""
    name = names.get(int(number))
    return f"class {int(number)}" + (f" ({name})" if name is not None else "")


def _lines(path: Path) -> list[str]:
    try:
        lines = lines_of(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise AttributionError(
            f"class_names {plain(str(path))!r} cannot be read: {plain(str(error))}; it must be {CHOICES}"
        ) from None
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise AttributionError(f"class_names: the file {plain(str(path))!r} is empty; it has one name a line")
    blank = [number for number, line in enumerate(lines, 1) if not line.strip()]
    if blank:
        raise AttributionError(
            f"class_names: line {blank[0]} of {plain(str(path))!r} is blank, and names behind it may be of other classes; it "
            "has one name a line, the first of class 0"
        )
    return lines


def _imagenet() -> list[str]:
    """The names that keras.applications has, where they were fetched before: nothing is loaded from the network here."""
    path = Path(os.environ.get("KERAS_HOME", HOME)).expanduser() / IMAGENET
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        return [str(index[str(number)][1]).replace("_", " ") for number in range(1000)]
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        raise AttributionError(
            f"class_names='imagenet' needs the list that Keras keeps in {plain(str(path))!r}: run "
            "keras.applications.imagenet_utils.decode_predictions(np.zeros((1, 1000))) once, with a network"
        ) from None
