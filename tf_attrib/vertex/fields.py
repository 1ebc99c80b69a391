"""JSON objects of a configuration: each field is taken once, by its name in either spelling, and none is left over unseen."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from ..common.checks import is_number, is_whole
from ..common.errors import AttributionError, nearest


def snake_case(name: str) -> str:
    """The name of a field as the SDK's file writes it: `inputTensorName` is `input_tensor_name`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: "_" + found[1].lower(), name)


class Fields:
    """The fields of one JSON object.

    Args:
        value: the object, with names in snake_case (files of the SDK) or camelCase (the REST API).
        where: what errors call it, such as "inputs['age']".
        notes: where sentences about fields go that change nothing here.

    Raises:
        AttributionError: it is no object, or names a field twice, in both spellings.
    """

    def __init__(self, value: Any, where: str, notes: list[str]) -> None:
        if not isinstance(value, dict):
            raise AttributionError(f"{where} must be a JSON object, {{...}}; got {shown(value)}")
        self.where, self.notes = where, notes
        self._left: dict[str, Any] = {}
        self._known: list[str] = []
        for name, content in value.items():
            if snake_case(name) in self._left:
                raise AttributionError(f"{where} has {snake_case(name)!r} twice, in two spellings: leave one of them")
            self._left[snake_case(name)] = content

    def __contains__(self, name: str) -> bool:
        return self._left.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        """The names of what was not taken yet."""
        return iter(tuple(self._left))

    def take(self, *names: str) -> Any:
        """What stands under the first of `names`, or under an older name for it; None where nothing does."""
        self._known.append(names[0])
        found = [name for name in names if self._left.get(name) is not None]
        if len(found) > 1:
            raise AttributionError(f"{self.where} has {found[0]!r} and {found[1]!r}, which are one field: leave one of them")
        values = [self._left.pop(name, None) for name in names]
        return next((value for value in values if value is not None), None)

    def text(self, *names: str) -> str | None:
        return self._checked(names, lambda value: isinstance(value, str), "a string")

    def number(self, *names: str) -> float | None:
        found = self._checked(names, is_number, "a number")
        return None if found is None else float(found)

    def whole(self, *names: str, least: int = 1, minus: str = "") -> int | None:
        """A whole number of at least `least`. -1 too where `minus` says what that means."""
        words = f"a whole number of at least {least}" + (f", or -1: {minus}" if minus else "")
        return self._checked(names, lambda value: is_whole(value, least) or (bool(minus) and value == -1), words)

    def listed(self, *names: str) -> list | None:
        return self._checked(names, lambda value: isinstance(value, list), "a list")

    def names(self, *names: str) -> tuple[str, ...] | None:
        """A list of strings, none of them twice."""
        found = self._checked(
            names, lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value), "a list of strings"
        )
        if found is not None and len(set(found)) < len(found):
            twice = next(one for one in found if found.count(one) > 1)
            raise AttributionError(f"{self.where}: {names[0]} names {twice!r} twice, and attributions are by that name")
        return None if found is None else tuple(found)

    def one_of(self, choices: tuple[str, ...], *names: str) -> str | None:
        """One of `choices`, in any case; "..._UNSPECIFIED" is the same as nothing."""
        found = self.text(*names)
        if found is None or found.upper().endswith("_UNSPECIFIED"):
            return None
        by_name = {choice.upper(): choice for choice in choices}
        if found.upper() not in by_name:
            raise AttributionError(f"{self.where}: {names[0]} must be one of {', '.join(choices)}; got {found!r}")
        return by_name[found.upper()]

    def objects(self, *names: str) -> "Fields | None":
        """A JSON object within this one."""
        found = self.take(*names)
        return None if found is None else Fields(found, f"{self.where}.{names[0]}", self.notes)

    def note(self, name: str, why: str) -> None:
        """Takes a field that changes nothing here, and says so where it is there."""
        if self.take(name) is not None:
            self.notes.append(f"{self.where}: {name} {why}")

    def refuse(self, name: str, why: str) -> None:
        """Raises AttributionError where a field is there that cannot be honoured."""
        if self.take(name) not in (None, "", [], {}):
            raise AttributionError(f"{self.where}: {name} {why}")

    def done(self) -> None:
        """Raises AttributionError where a field was not taken: it may be misspelt, and is not ignored."""
        if self._left:
            name = next(iter(self._left))
            raise AttributionError(
                f"{self.where} has a field {name!r} that is not known; it may be one of {nearest(name, self._known)}"
            )

    def _checked(self, names: tuple[str, ...], fits: Callable[[Any], bool], words: str) -> Any:
        found = self.take(*names)
        if found is not None and not fits(found):
            raise AttributionError(f"{self.where}: {names[0]} must be {words}; got {shown(found)}")
        return found


def shown(value: Any) -> str:
    """A value of a file, for an error."""
    text = repr(value)
    return text if len(text) < 80 else f"{text[:60]} ... ({type(value).__name__})"
