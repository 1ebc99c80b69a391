"""Words and phrases that are counted, numbered in the order in which they come, in bounded memory."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

# Cells of all tables of counts together: rows (classes) times terms.
MAX_CELLS = 30_000_000
FIRST = 1024


@dataclasses.dataclass(frozen=True, eq=False)
class Occurrences:
    """Where the terms of one length stand in a batch, and what they are given.

    Attributes:
        term: (m,) of int, the terms.
        example: (m,) of int, where in the batch.
        start: (m,) of int, the place of their first word among all words of the batch.
        value: (m,), their attribution, summed over their words.
    """

    term: np.ndarray
    example: np.ndarray
    start: np.ndarray
    value: np.ndarray


class Terms:
    """Words, and phrases of words that stand side by side, by number.

    Attributes:
        texts: of each term.
        parts: of each term, the numbers of what it consists of: () for a word, else (all but its last word, its last word).
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self.texts: list[str] = []
        self.parts: list[tuple[int, ...]] = []
        self._numbers: dict[Any, int] = {}

    def __len__(self) -> int:
        return len(self.texts)

    def occurrences(
        self, words: Sequence[str], example: np.ndarray, place: np.ndarray, values: np.ndarray
    ) -> list[Occurrences]:
        """All terms of a batch: words, then phrases of two, and so on.

        Args:
            words: (m,), those of all examples, one example after the other.
            example, place: (m,) of int, which example, and which position in it: phrases do not reach over gaps.
            values: (m,), their attributions.
        """
        different, inverse = np.unique(np.asarray(words, dtype=str), return_inverse=True)
        numbers = np.array([self._number(str(word), str(word), ()) for word in different], np.int64)
        single = numbers[inverse] if len(different) else np.zeros(0, np.int64)
        start = np.arange(len(single))
        found = [Occurrences(single, example, start, np.asarray(values, np.float64))]
        for size in range(2, self.length + 1):
            before = found[-1]
            last = before.start + size - 1
            fits = last < len(single)
            fits[fits] = (example[last[fits]] == before.example[fits]) & (
                place[last[fits]] == place[before.start[fits]] + size - 1
            )
            last = last[fits]
            pairs, inverse = np.unique(before.term[fits] << 32 | single[last], return_inverse=True)
            numbers = np.array([self._phrase(int(pair >> 32), int(pair & 0xFFFFFFFF)) for pair in pairs], np.int64)
            term = numbers[inverse] if len(pairs) else np.zeros(0, np.int64)
            found.append(Occurrences(term, before.example[fits], before.start[fits], before.value[fits] + values[last]))
        return found

    def _phrase(self, head: int, last: int) -> int:
        return self._number((head, last), f"{self.texts[head]} {self.texts[last]}", (head, last))

    def _number(self, key: Any, text: str, parts: tuple[int, ...]) -> int:
        number = self._numbers.setdefault(key, len(self.texts))
        if number == len(self.texts):
            self.texts.append(text)
            self.parts.append(parts)
        return number

    def keep(self, which: np.ndarray) -> np.ndarray:
        """Forgets all but the terms (terms,) of bool; a phrase whose parts are forgotten goes with them.

        Returns:
            The numbers that the terms had which are kept, in their new order.
        """
        which = which.copy()
        for number, parts in enumerate(self.parts):  # parts come before what consists of them
            which[number] &= all(which[part] for part in parts)
        kept = np.flatnonzero(which)
        new = {int(old): number for number, old in enumerate(kept)}
        texts, parts = self.texts, self.parts
        self.texts = [texts[old] for old in kept]
        self.parts = [tuple(new[part] for part in parts[old]) for old in kept]
        self._numbers = {(own or text): number for number, (own, text) in enumerate(zip(self.parts, self.texts, strict=True))}
        return kept


class Counts:
    """Rows of numbers, one for each term, by a key such as a class; rows grow as terms come."""

    def __init__(self) -> None:
        self.rows: dict[Any, np.ndarray] = {}

    def add(self, key: Any, terms: np.ndarray, amounts: Any = 1.0) -> None:
        """Adds amounts, (m,) or one for all, to terms (m,) of a row."""
        row = self.rows.get(key, np.zeros(FIRST))
        need = int(terms.max(initial=-1)) + 1
        if need > len(row):
            row = np.concatenate([row, np.zeros(max(need - len(row), len(row)))])
        np.add.at(row, terms, amounts)
        self.rows[key] = row

    def row(self, key: Any, size: int) -> np.ndarray:
        """The first `size` numbers of a row; zeros where nothing was added."""
        row = self.rows.get(key, np.zeros(0))[:size]
        return np.concatenate([row, np.zeros(size - len(row))])

    def total(self, size: int) -> np.ndarray:
        """(size,), all rows added up."""
        return sum((self.row(key, size) for key in self.rows), np.zeros(size))

    def keep(self, kept: np.ndarray) -> None:
        """Rows of the terms that are kept, in their new order."""
        size = int(kept.max(initial=-1)) + 1
        self.rows = {key: self.row(key, size)[kept] for key in self.rows}
