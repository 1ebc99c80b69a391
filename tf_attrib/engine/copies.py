"""A cloud of noisy copies around each example, over which attributions of an inner method are averaged. NumPy alone."""

import dataclasses
import hashlib
import math
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..common.types import Leaves, present
from ..result.completeness import NOT_ESTIMATED
from .integral.integrator import Outcome
from .integral.refined import WORST

# What becomes of the attributions (examples, copies, ...) of the copies, by the name of the form.
FORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": lambda found: found.mean(1),
    "squared": lambda found: np.square(found).mean(1),
    "variance": lambda found: found.var(1),
}
# What is averaged over copies (copies, ...) of one example, whose spread is that of the result.
SPREAD_OF: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": lambda found: found,
    "squared": np.square,
    "variance": lambda found: np.square(found - found.mean(0)),
}


@dataclasses.dataclass(frozen=True)
class Cloud:
    """How noisy copies are made, and what becomes of their attributions.

    Attributes:
        n_samples: how many copies.
        stddev: standard deviation of the noise, relative to the range (highest less lowest) of each example's tensor.
        form: one of `FORMS`.
    """

    n_samples: int
    stddev: float
    form: str

    def copies(self, x: Leaves, example: int, seed: int) -> Leaves:
        """(n_samples, ...) by key. What is drawn depends on (seed, the example's own values), not on its company."""
        rng = np.random.default_rng([seed, digest(x, example)])
        return {key: _noisy(value[example], self.n_samples, self.stddev, rng) for key, value in x.items()}

    def folded(self, outcome: Outcome) -> Outcome:
        """The outcome of the examples, from that of all their copies, one example's after the other's."""

        def split(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else self._split(values)

        def of(name: str, reduce: Callable[[np.ndarray], np.ndarray]) -> np.ndarray | None:
            values = split(getattr(outcome, name))
            return None if values is None else reduce(values)

        def mean(values: np.ndarray) -> np.ndarray:
            return values.mean(1)

        totals = {key: FORMS[self.form](present(split(total))) for key, total in outcome.totals.items()}
        found: dict[str, Any] = {name: of(name, mean) for name in ("end_slopes", "path_scores", "path_slopes", "residual")}
        found |= {
            "alphas": of("alphas", lambda values: values[:, 0]),
            "finite": of("finite", lambda values: np.all(values, axis=1)),
            "residual_clipped": of("residual_clipped", lambda values: np.any(values, axis=1)),
            "status": of("status", _worst),
            "narrow_at": of("narrow_at", lambda values: np.fmin.reduce(values, 1)),
        }
        found |= {name: of(name, lambda values: values.sum(1)) for name in ("evaluations", "forward_evaluations")}
        # copies whose mean is wanted were judged by it: each states the error of the mean
        error = of("error_estimate", lambda values: values.max(1)) if self.form == "mean" else None
        return Outcome(totals, error_estimate=error, standard_error=self._standard_error(outcome), **found)

    def _standard_error(self, outcome: Outcome) -> Leaves | None:
        """That of each number, from how it differs between copies; None of a series of numbers along a path."""
        parts = {("positive", key) for key in outcome.totals}  # of which no error is stated
        totals = {key: total for key, total in outcome.totals.items() if key not in parts}
        if any(total.shape[1] > 1 for total in totals.values()):
            return None
        return {key: np.stack([self._error(one) for one in self._split(total)]) for key, total in totals.items()}

    def _error(self, found: np.ndarray) -> np.ndarray:
        """The standard error of what the form makes of one example's copies, `found` (n_samples, ...)."""
        if self.n_samples == 1:
            return np.full_like(found[0], np.inf)
        return SPREAD_OF[self.form](found).std(0, ddof=1) / math.sqrt(self.n_samples)

    def _split(self, values: np.ndarray) -> np.ndarray:
        """(examples, n_samples, ...) of what there is of all copies."""
        return values.reshape(-1, self.n_samples, *values.shape[1:])

    @property
    def judged_together(self) -> int:
        """How many copies, one after the other, a rule that refines judges by their mean."""
        return self.n_samples if self.form == "mean" else 1


def in_clouds(cloud: Cloud, examples: Leaves, seed: int | None, memory: int, beside: int = 0) -> Iterator[tuple]:
    """Of examples that are done together, which of them each copy is of, and the copies by key.

    Args:
        memory: bytes that copies may take; those of one example are always made together.
        beside: bytes of what else is repeated for each copy.
    """
    seed = drawn(seed)
    count, size = len(next(iter(examples.values()))), beside + sum(value[0].nbytes for value in examples.values())
    together = max(1, memory // max(size * cloud.n_samples, 1))
    for start in range(0, count, together):
        some = range(start, min(start + together, count))
        copies = [cloud.copies(examples, i, seed) for i in some]
        yield np.repeat(some, cloud.n_samples), {key: np.concatenate([one[key] for one in copies]) for key in examples}


def joined(parts: list[Outcome]) -> Outcome:
    """One outcome of all examples."""

    def whole(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        if isinstance(values[0], dict):
            return {key: np.concatenate([value[key] for value in values]) for key in values[0]}
        return None if values[0] is None else np.concatenate(values)

    return Outcome(**{field.name: whole(field.name) for field in dataclasses.fields(Outcome)})


def drawn(seed: int | None) -> int:
    """The seed that is given, or one that no other call has."""
    return secrets.randbits(128) if seed is None else seed


def digest(x: Leaves, example: int) -> int:
    """A number that an example's own values give, for seeds."""
    found = hashlib.blake2b(digest_size=8)
    for value in x.values():
        # of text the words, not where they lie in memory, each with its length
        one = value[example] if value.dtype != object else np.array(repr(np.asarray(value[example]).tolist()).encode())
        found.update(np.ascontiguousarray(one).tobytes())
    return int.from_bytes(found.digest(), "little")


def _noisy(value: np.ndarray, count: int, stddev: float, rng: np.random.Generator) -> np.ndarray:
    deviation = stddev * (value.max() - value.min())
    return value + deviation * rng.standard_normal((count, *value.shape), value.dtype)


def _worst(status: np.ndarray) -> np.ndarray:
    """The worst status of each example's copies."""
    worst = (NOT_ESTIMATED, *WORST)
    ranks = np.vectorize(worst.index)(status)
    return np.array(worst)[ranks.max(1)]
