"""Words: sums by class, the words that trigger a class, and in which examples."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from .terms import MAX_CELLS, Counts, Occurrences, Terms

# Examples that are kept of each trigger word, and words of their text.
EXAMPLES, TEXT = 3, 14


@dataclasses.dataclass(frozen=True)
class Example:
    """An example in which a word is a trigger.

    Attributes:
        index: which, in the order in which examples came.
        text: its words, where they are many those around the first occurrence.
        attribution: of the word, summed over its occurrences, in the unit of the score.
    """

    index: int
    text: str
    attribution: float


@dataclasses.dataclass(frozen=True)
class TriggerWord:
    """A word that often is a trigger of a class.

    In an example, a word is a trigger of the explained class if its attribution, summed over its occurrences there, is above
    zero and is the largest of all words, or at least `share` of the sum of all positive attributions of the example's words.

    Attributes:
        word: the word.
        target: the class explained; None where the score has no classes.
        count: in how many examples it is a trigger.
        present: of how many that hold the word, and in which this class is explained.
        attribution: its mean attribution where it is a trigger, in the unit of the score.
        examples: some of these, drawn at random with the summary's seed.
    """

    word: str
    target: Any
    count: int
    present: int
    attribution: float
    examples: tuple[Example, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class WordBatch:
    """The words of a batch of n examples, without padding.

    Attributes:
        words: for each example its words.
        places: for each example their positions: phrases do not reach over what was left out.
        values: for each example their attributions.
        texts: for each example its words and those that are ignored.
    """

    words: Sequence[Sequence[str]]
    places: Sequence[np.ndarray]
    values: Sequence[np.ndarray]
    texts: Sequence[Sequence[str]]


class WordTally:
    """What is counted of words and phrases.

    Attributes:
        terms: those that were seen.
        occurrences, total, squares, magnitude: by group, over occurrences: how many, and sums of attributions a, a², |a|.
        held: by the class that rules are measured on, how many examples hold a term.
        explained: by the class explained, the same.
        triggers, given: by the class explained, in how many examples a term is a trigger, and the sum of its attributions
            there.
        examples_of: by class that rules are measured on, how many examples there are.
        short: by how much counts may be too small, because terms were forgotten that did not fit.
    """

    def __init__(self, share: float, phrase_length: int, most: int) -> None:
        self.terms = Terms(phrase_length)
        self.occurrences, self.total, self.squares, self.magnitude = Counts(), Counts(), Counts(), Counts()
        self.held, self.explained, self.triggers, self.given = Counts(), Counts(), Counts(), Counts()
        self.examples_of: dict[Any, int] = {}
        self.short = 0
        self._share, self._most = share, most
        self._examples: dict[tuple[Any, int], list[tuple[float, Example]]] = {}

    def add(
        self,
        batch: WordBatch,
        index: np.ndarray,
        priority: np.ndarray,
        groups: Sequence,
        targets: Sequence,
        classes: Sequence | None,
    ) -> None:
        """One batch.

        Args:
            index: (n,) of int, which of all examples they are.
            priority: (n,) random numbers, which decide what examples are kept.
            groups, targets, classes: for each example what means are grouped by, the class explained, and the class that rules
                are measured on (None: not known).
        """
        lengths = [len(words) for words in batch.words]
        example = np.repeat(np.arange(len(lengths)), lengths)
        values = np.concatenate([np.zeros(0), *batch.values])
        places = np.concatenate([np.zeros(0, np.int64), *batch.places])
        levels = self.terms.occurrences([word for words in batch.words for word in words], example, places, values)
        positive = np.bincount(example, np.maximum(values, 0), len(lengths))
        self._count(levels[0], groups)
        for level, found in enumerate(levels):
            self._triggers(found, level == 0, positive, batch, index, priority, targets, classes)
        for one in classes if classes is not None else ():
            self.examples_of[one] = self.examples_of.get(one, 0) + 1
        self._forget()

    def _count(self, found: Occurrences, groups: Sequence) -> None:
        for group, which in _split(groups, found.example):
            term, value = found.term[which], found.value[which]
            for table, amounts in (
                (self.occurrences, 1.0),
                (self.total, value),
                (self.squares, value**2),
                (self.magnitude, np.abs(value)),
            ):
                table.add(group, term, amounts)

    def _triggers(
        self,
        found: Occurrences,
        is_word: bool,
        positive: np.ndarray,
        batch: WordBatch,
        index: np.ndarray,
        priority: np.ndarray,
        targets: Sequence,
        classes: Sequence | None,
    ) -> None:
        pairs, inverse = np.unique(found.example.astype(np.int64) << 32 | found.term, return_inverse=True)
        example, term = pairs >> 32, pairs & 0xFFFFFFFF
        value = np.bincount(inverse, found.value, len(pairs)) if len(pairs) else np.zeros(0)
        is_trigger = (value > 0) & (value >= self._share * positive[example])
        if is_word:
            largest = np.full(len(positive), -np.inf)
            np.maximum.at(largest, example, value)
            is_trigger |= (value > 0) & (value == largest[example])
        for target, which in _split(targets, example):
            self.explained.add(target, term[which])
            chosen = which & is_trigger
            self.triggers.add(target, term[chosen])
            self.given.add(target, term[chosen], value[chosen])
            if is_word:
                for place in np.flatnonzero(chosen):
                    self._keep_example(
                        target, int(term[place]), int(example[place]), float(value[place]), batch, index, priority
                    )
        for one, which in _split(classes, example) if classes is not None else ():
            self.held.add(one, term[which])

    def _keep_example(
        self, target: Any, term: int, example: int, value: float, batch: WordBatch, index: np.ndarray, priority: np.ndarray
    ) -> None:
        kept = self._examples.setdefault((target, term), [])
        if len(kept) == EXAMPLES and kept[-1][0] <= priority[example]:
            return
        text = _around(batch.texts[example], self.terms.texts[term])
        kept.append((float(priority[example]), Example(int(index[example]), text, value)))
        kept.sort(key=lambda one: one[0])
        del kept[EXAMPLES:]

    def _forget(self) -> None:
        """Drops the rarest terms where there are too many: half of them at least stay away."""
        tables = (
            self.occurrences,
            self.total,
            self.squares,
            self.magnitude,
            self.held,
            self.explained,
            self.triggers,
            self.given,
        )
        most = min(self._most, MAX_CELLS // max(sum(len(table.rows) for table in tables), 1))
        if len(self.terms) <= most:
            return
        seen = self.explained.total(len(self.terms))
        threshold = int(np.sort(seen)[-max(most // 2, 1)])
        kept = self.terms.keep(seen > threshold)
        self.short += threshold
        for table in tables:
            table.keep(kept)
        new = {int(old): number for number, old in enumerate(kept)}
        self._examples = {(target, new[term]): examples for (target, term), examples in self._examples.items() if term in new}

    def trigger_words(self, minimum: int) -> list[TriggerWord]:
        """The words that are a trigger in at least `minimum` examples, the most frequent first."""
        found = []
        for target in self.triggers.rows:
            counts, present = (table.row(target, len(self.terms)) for table in (self.triggers, self.explained))
            given = self.given.row(target, len(self.terms))
            for term in np.flatnonzero(counts >= minimum):
                if not self.terms.parts[term]:
                    examples = tuple(example for _, example in self._examples[target, int(term)])
                    found.append(
                        TriggerWord(
                            self.terms.texts[term],
                            target,
                            int(counts[term]),
                            int(present[term]),
                            float(given[term] / counts[term]),
                            examples,
                        )
                    )
        return sorted(found, key=lambda one: (-one.count, -one.attribution))


def _around(words: Sequence[str], word: str) -> str:
    """The words of an example, or those around one of them."""
    first = min(max(list(words).index(word) - TEXT // 2, 0), max(len(words) - TEXT, 0))
    last = first + TEXT
    return " ".join([*["..."][:first], *words[first:last], *["..."][: len(words[last:])]])


def _split(keys: Sequence, example: np.ndarray):
    """Each different key of the examples of a batch, with which of the entries (m,) belong to it."""
    different = list(dict.fromkeys(keys))
    number = {key: place for place, key in enumerate(different)}
    own = np.array([number[key] for key in keys], np.int64)[example] if len(keys) else np.zeros(0, np.int64)
    for place, key in enumerate(different):
        yield key, own == place
