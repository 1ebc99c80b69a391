"""Tables by name that others may add to: methods, rules, metrics, findings."""

import types
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, TypeVar

from .errors import AttributionError

Entry = TypeVar("Entry")


class Registry(MutableMapping[str, Entry]):
    """What the library has by name, and what others add: `table["mine"] = entry`, or `add`.

    An entry of the library is not overwritten by accident, and is there again when what replaced it is deleted. What others
    added they may set again, as one does in a notebook.

    Args:
        noun: what one entry is, for errors.
        check: from a name and what was given under it to the entry; raises AttributionError for what is none.
    """

    def __init__(self, noun: str, check: Callable[[str, Any], Entry]) -> None:
        self._noun, self._check = noun, check
        self._library: dict[str, Entry] = {}
        self._added: dict[str, Entry] = {}
        # How often something was added or deleted: what is compiled by the entries is stale when this has changed.
        self.version = 0

    def fill(self, entries: Mapping[str, Entry]) -> None:
        """Entries of the library itself."""
        self._library |= entries

    @property
    def added(self) -> Mapping[str, Entry]:
        """What others added, by name."""
        return types.MappingProxyType(self._added)

    def add(self, name: str, entry: Any, *, replace: bool = False) -> None:
        """Puts an entry into the table.

        Args:
            replace: whether it may stand in for one of the library's own.

        Raises:
            AttributionError: a name that is none or is the library's, or an entry that does not fit.
        """
        if not isinstance(name, str) or not name.isidentifier():
            raise AttributionError(f"the name of a {self._noun} is one word of letters, digits and _, got {name!r}")
        if name in self._library and not replace:
            raise AttributionError(
                f"the library has a {self._noun} {name!r}: take another name, or replace it on purpose with replace=True"
            )
        self._added[name] = self._check(name, entry)
        self.version += 1

    def __setitem__(self, name: str, entry: Any) -> None:
        self.add(name, entry)

    def __getitem__(self, name: str) -> Entry:
        return self._added[name] if name in self._added else self._library[name]

    def __delitem__(self, name: str) -> None:
        if name in self._library and name not in self._added:
            raise AttributionError(f"the {self._noun} {name!r} is the library's own and stays")
        del self._added[name]
        self.version += 1

    def __iter__(self) -> Iterator[str]:
        return iter(self._library | self._added)

    def __len__(self) -> int:
        return len(self._library | self._added)

    def __ior__(self, entries: Mapping[str, Any]) -> "Registry[Entry]":
        self.update(entries)
        return self

    def __repr__(self) -> str:
        return f"<{self._noun}s: {', '.join(self)}>"
