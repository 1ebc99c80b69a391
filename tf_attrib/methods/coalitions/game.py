"""The games that examples are: who plays, what is known beforehand, and the row that a coalition is."""

import dataclasses
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from ...engine.copies import digest
from ...engine.row import Row
from ...engine.work import Work
from ...selection.score_function import ScoreFunction


@dataclasses.dataclass(frozen=True, eq=False)
class Game:
    """One example: a player is a group of features that are present, or replaced by the reference, together.

    Attributes:
        players: int (m,), the groups that play: those whose features differ from a reference. The others change nothing.
        score: the score with all players present.
        below: float64 (k,), the score with none present, for each reference.
        rng: what is drawn, seeded by the seed and the example's own values.
    """

    players: np.ndarray
    score: float
    below: np.ndarray
    rng: np.random.Generator

    @property
    def count(self) -> int:
        """m, how many play."""
        return len(self.players)

    @property
    def moves(self) -> float:
        """What the score differs by from the mean score at the references: what all players share."""
        return float(self.score - self.below.mean())


@dataclasses.dataclass(frozen=True)
class CoalitionScore:
    """The score of each row's coalition: players that are present are those of the example, the others of the reference."""

    takes_present: ClassVar[tf.TensorSpec] = tf.TensorSpec([None, None], tf.bool)
    shares: ClassVar[bool] = True

    def __call__(self, function: ScoreFunction, row: Row) -> tuple[tf.Tensor, tf.Tensor, dict]:
        """Score (rows,), zeros (rows,), and no integrands."""
        at = {}
        for i, (key, x) in enumerate(row.x.items()):
            there = tf.gather(row.present, row.extra["group", i], batch_dims=1)
            at[key] = tf.where(there, x, row.reference[key])
        score = function.scores(at, row.context, row.target)
        return score, tf.zeros_like(score), {}


def groups_of(work: Work) -> list[np.ndarray]:
    """The group of each feature, (n, ..., 1) for each selected tensor, as `groups.grouped` has numbered them."""
    return [work.tables.extra["group", i] for i in range(len(work.tables.x))]


def games_of(work: Work, seed: int) -> list[Game]:
    """The game of each example."""
    tables, below = work.tables, work.compared.baseline_scores
    return [
        Game(_players(work, i), float(tables.score[i]), below[i], np.random.default_rng([seed, digest(tables.x, i)]))
        for i in range(len(tables.score))
    ]


def _players(work: Work, example: int) -> np.ndarray:
    """The groups of an example that differ from any of its references."""
    found: list[np.ndarray] = []
    for (key, x), groups in zip(work.tables.x.items(), groups_of(work), strict=True):
        references = work.tables.references
        others = references.tables[key][np.unique(references.index[key][example])]
        differs = np.asarray(others != x[example], bool).any(0)
        found.append(np.broadcast_to(groups[example], x.shape[1:])[differs])
    return np.unique(np.concatenate([np.ravel(one) for one in found]))


def handed_out(work: Work, values: list[np.ndarray], split: bool, dtype: Any) -> dict[Any, np.ndarray]:
    """What players got, (n, 1, ...) by key of the selected tensors: each feature of a group the whole of it, or where `split`
    an equal part, so that the parts sum to it.

    Args:
        values: (groups,) for each example.
    """
    found: dict[Any, np.ndarray] = {key: np.zeros((len(x), 1, *x.shape[1:]), dtype) for key, x in work.tables.x.items()}
    groups = groups_of(work)
    for i, value in enumerate(values):
        full = [np.broadcast_to(one[i], x.shape[1:]) for one, x in zip(groups, work.tables.x.values(), strict=True)]
        sizes = sum(np.bincount(one.ravel(), minlength=len(value)) for one in full) if split else np.ones(len(value))
        share = value / np.maximum(sizes, 1)
        for leaf, one in zip(found.values(), full, strict=True):
            leaf[i, 0] = share[one]
    return found
