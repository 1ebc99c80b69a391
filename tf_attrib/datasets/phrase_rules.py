"""Rules read off words that trigger a class, with their precision and how sure that is."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest

from ..common.errors import printed
from .words import WordTally

# A term is a rule's candidate where it is a trigger in at least this part of the examples that hold it and are explained.
TRIGGERED = 0.25
LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class PhraseRule:
    """If `phrase` occurs, then class `target`.

    Attributes:
        phrase: a word, or words that stand side by side.
        target: the class.
        support: how many examples hold the phrase.
        hits: how many of these are of the class.
        low, high: the ends of the 95% interval of the precision (Wilson 1927).
        class_share: the part of all examples that is of the class: the precision of a rule that always applies.
        triggered: the part of the examples explained for this class that hold the phrase in which it is a trigger.
        measured_on: what says of which class an example is.
        name: what the class is called, "" for its number.
    """

    phrase: str
    target: Any
    support: int
    hits: int
    low: float
    high: float
    class_share: float
    triggered: float
    measured_on: str
    name: str = ""

    @property
    def precision(self) -> float:
        """hits / support; NaN without support."""
        return self.hits / self.support if self.support else float("nan")

    @printed
    def __str__(self) -> str:
        name = self.name or f"class {self.target}"
        if not self.support:
            return f'if "{self.phrase}" occurs -> {name}: occurs nowhere'
        return (
            f'if "{self.phrase}" occurs -> {name}: precision {self.precision:.2f} [{self.low:.2f}, {self.high:.2f}], '
            f"{self.hits:,} of {self.support:,} (class share {self.class_share:.2f})"
        )


def wilson(hits: int, support: int) -> tuple[float, float]:
    """The ends of the 95% interval of a share (Wilson 1927); NaN where nothing was counted."""
    if not support:
        return float("nan"), float("nan")
    found = binomtest(hits, support).proportion_ci(LEVEL, method="wilson")
    return float(found.low), float(found.high)


def read_off(tally: WordTally, minimum: int, precision: float, measured_on: str) -> list[PhraseRule]:
    """The rules of a tally, those with the highest lower end of their interval first.

    A rule is a term that is a trigger of a class in at least a quarter of the examples explained for it that hold the term;
    `minimum` examples hold it; its precision is at least `precision`, and the lower end of the interval is above the class's
    share of all examples. A phrase must have a higher lower end than each of the terms that it consists of.

    Args:
        minimum, precision: see above.
        measured_on: in words, what the tally's classes are.
    """
    size, examples = len(tally.terms), sum(tally.examples_of.values())
    seen, found = tally.held.total(size).astype(int), []
    for target in tally.triggers.rows:
        hits = tally.held.row(target, size).astype(int)
        explained = np.maximum(tally.explained.row(target, size), 1)
        triggered = tally.triggers.row(target, size) / explained
        class_share = tally.examples_of.get(target, 0) / max(examples, 1)
        wanted = (seen >= max(minimum, 1)) & (triggered >= TRIGGERED) & (hits >= precision * seen)
        for term in np.flatnonzero(wanted):
            low, high = wilson(int(hits[term]), int(seen[term]))
            better = all(low > wilson(int(hits[part]), int(seen[part]))[0] for part in tally.terms.parts[term])
            if better and low > class_share:
                found.append(
                    PhraseRule(
                        tally.terms.texts[term],
                        target,
                        int(seen[term]),
                        int(hits[term]),
                        low,
                        high,
                        class_share,
                        float(triggered[term]),
                        measured_on,
                    )
                )
    return sorted(found, key=lambda rule: (-rule.low, rule.phrase))


def measure(
    rules: Sequence[PhraseRule], words: Sequence[Sequence[str]], classes: Sequence, measured_on: str
) -> list[PhraseRule]:
    """The same rules, with their numbers counted on other examples.

    Args:
        words: for each example its words.
        classes: for each example its class.
        measured_on: in words, what the classes are.
    """
    texts = [f" {' '.join(one)} " for one in words]
    classes, found = list(classes), []
    for rule in rules:
        holding = [one for text, one in zip(texts, classes, strict=True) if f" {rule.phrase} " in text]
        hits = sum(one == rule.target for one in holding)
        share = sum(one == rule.target for one in classes) / max(len(classes), 1)
        found.append(
            dataclasses.replace(
                rule,
                support=len(holding),
                hits=hits,
                low=wilson(hits, len(holding))[0],
                high=wilson(hits, len(holding))[1],
                class_share=share,
                measured_on=measured_on,
            )
        )
    return found
