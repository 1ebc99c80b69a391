"""Attribution to parts of a prompt by leaving parts out: ablation, Shapley values, a linear surrogate.

No gradient is needed, and one forward pass of a prompt that lacks some parts gives the scores of all tokens that follow it.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ..attribution import Attribution
from ..common.errors import AttributionError
from ..common.types import present
from ..engine.copies import drawn
from ..engine.integral.refined import CONVERGED, MAX_EVALUATIONS, NOT_FINITE
from ..methods import Ablation, Method
from ..methods.coalitions.estimators import Estimator
from ..methods.coalitions.game import Game
from ..methods.coalitions.methods import LIME, Coalitions, ShapleyMethod
from ..methods.coalitions.sampled import first_draws, further_draws
from .language_model import LanguageModel, Sequence
from .parts import Parts
from .scoring import token_values


def takes_parts(method: Method) -> bool:
    """Whether the method leaves parts out, so that it is computed here."""
    return isinstance(method, Ablation | Coalitions)


@dataclasses.dataclass(frozen=True, eq=False)
class Remaining:
    """Prompts of which parts are left out, and the scores of the continuation's tokens behind them.

    Attributes:
        absent: the token that stands in place of each of a part that is left out; None: they are taken out, and what follows
            moves up.
        total: whether the score is the sum over the continuation, instead of one for each of its tokens.
    """

    model: LanguageModel
    sequence: Sequence
    parts: Parts
    which: np.ndarray
    of: str
    absent: int | None
    total: bool

    def __post_init__(self) -> None:
        if not self.parts.names:
            raise AttributionError(
                "the prompt is one token, which stays where others are taken out: let another stand in its place, "
                "absent=<token id>, or take a method of gradients, such as method='integrated_gradients'"
            )
        if self.absent is None and not self.model.encodes and not (self._of_token() < 0).any():
            raise AttributionError(
                "every token of the prompt is in a part, and where all are taken out nothing is left to be continued: "
                "leave one out of segments=, such as a start token, or let another stand in their places, absent=<token id>"
            )

    def _of_token(self) -> np.ndarray:
        """The part of each token that comes before the continuation."""
        found = np.full(self.sequence.context, -1)
        found[: len(self.parts.of_token)] = self.parts.of_token
        return found

    def scores(self, coalitions: np.ndarray) -> np.ndarray:
        """(rows, t), the scores where the parts of each coalition (rows, parts) of bool are there."""
        distinct, back = np.unique(coalitions, axis=0, return_inverse=True)
        stays = np.concatenate([distinct, np.ones((len(distinct), 1), bool)], 1)[:, self._of_token()]
        split = len(self.sequence.source)
        source, read = self._without(self.sequence.source, stays[:, :split])
        own = np.concatenate(
            [stays[:, split:], np.ones((len(distinct), len(self.sequence.written) - self.sequence.start), bool)], 1
        )
        written, lengths = self._without(self.sequence.written, own)
        after = len(self.sequence.written) - self.sequence.start
        position = lengths[:, None] - after + self.which - 1
        token = np.repeat(self.sequence.written[None, self.sequence.start + self.which], len(distinct), 0)
        inputs = self.model.inputs(source, written[:, :-1], lengths - 1, read)
        found, _ = token_values(self.model, inputs, position, token, self.of)
        found = found.sum(1, keepdims=True) if self.total else found
        return found[back.reshape(-1)]

    def _without(self, ids: np.ndarray, stays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of `ids` (length,) of which those stay that do, and how many these are."""
        if self.absent is not None:
            return np.where(stays, ids, np.int32(self.absent)), np.full(len(stays), len(ids))
        order = np.argsort(~stays, axis=1, kind="stable")
        return ids[order], stays.sum(1)


def attribute_parts(
    remaining: Remaining, method: Any, seed: int | None, advance: Callable[[int], None] = lambda rows: None
) -> dict[str, Any]:
    """The fields of a result: what each part (t, parts) is worth to each token of the continuation.

    Args:
        advance: is told how many coalitions were evaluated.

    Raises:
        AttributionError: what the method's settings do not allow.
    """
    count = len(remaining.parts.names)
    if method.groups is not None:
        raise AttributionError(f"{type(method).__name__}(groups=...) is for tensors; parts of a prompt are segments=")
    everyone = np.ones((1, count), bool)

    def evaluate(coalitions: np.ndarray) -> np.ndarray:
        advance(len(coalitions))
        return remaining.scores(coalitions)

    scores, below = evaluate(np.concatenate([everyone, ~everyone]))
    found: dict[str, Any] = {"scores": scores, "baseline_scores": below}
    if isinstance(method, Ablation):
        without = evaluate(~np.eye(count, dtype=bool))
        values = (scores - without).T
        return found | {"attributions": values, "forward_evaluations": np.full(len(scores), count + 2)}
    with np.errstate(invalid="ignore"):  # scores that are not finite are told of when all is done
        return found | _played(evaluate, count, method, scores, below, drawn(seed))


def _played(
    evaluate: Callable[[np.ndarray], np.ndarray],
    count: int,
    method: Coalitions,
    scores: np.ndarray,
    below: np.ndarray,
    seed: int,
) -> dict[str, Any]:
    """Games of one token each, which all draw the same coalitions: one forward pass serves them all."""
    games = [
        Game(np.arange(count), float(one), np.array([low]), np.random.default_rng(seed))
        for one, low in zip(scores, below, strict=True)
    ]
    tolerance = method.tolerance if isinstance(method, ShapleyMethod) else None
    estimators = [present(method.estimator(game)) for game in games]
    rows, draws = _drawn(estimators, evaluate, first_draws(estimators[0], _most(method), _fixed(method)))
    error = _errors(estimators)
    while tolerance is not None and (error > tolerance).any() and not estimators[0].exact:
        room = (_most(method) - rows) // estimators[0].cost
        more = min(room, further_draws(draws, float(np.nanmax(error)), tolerance))
        if more <= 0:
            break
        evaluated, _ = _drawn(estimators, evaluate, more)
        rows, draws, error = rows + evaluated, draws + more, _errors(estimators)
    found = [one.estimate() for one in estimators]
    fields: dict[str, Any] = {
        "attributions": np.stack([one.found for one in found]),
        "standard_error": np.stack([one.deviation for one in found]),
        "forward_evaluations": np.full(len(scores), rows + 2),
    }
    if tolerance is None:
        return fields
    return fields | {"error_estimate": error, "status": np.where(error <= tolerance, CONVERGED, MAX_EVALUATIONS)}


def _most(method: Coalitions) -> int:
    """How many coalitions may be evaluated."""
    return int(method.max_evaluations) if isinstance(method, ShapleyMethod) else _fixed(method)


def _fixed(method: Coalitions) -> int:
    """How many draws are taken where there is no accuracy that more of them are taken for."""
    return int(method.n_samples) if isinstance(method, LIME) else 0


def _drawn(estimators: list[Estimator], evaluate: Callable[[np.ndarray], np.ndarray], count: int) -> tuple[int, int]:
    """Takes `count` draws, the same in each game; returns how many coalitions and draws there were."""
    coalitions = [one.draw(count)[1] for one in estimators]
    assert all(np.array_equal(one, coalitions[0]) for one in coalitions[1:])
    values = evaluate(coalitions[0]) if len(coalitions[0]) else np.zeros((0, len(estimators)))
    for column, one in enumerate(estimators):
        one.take(values[:, column])
    return len(values), count


def _errors(estimators: list[Estimator]) -> np.ndarray:
    return np.array([one.estimate().error for one in estimators])


def as_result(fields: dict[str, Any], method: Method, remaining: Remaining, unit: str, words: str, mark: bool) -> Attribution:
    """The result of `attribute_parts`.

    Args:
        mark: whether tokens whose scores are not finite are marked, and not an error.

    Raises:
        AttributionError: such scores.
    """
    values: np.ndarray = np.asarray(fields["attributions"], np.float64)
    known = np.isfinite(np.column_stack([values, fields["scores"], fields["baseline_scores"]]))
    bad = np.flatnonzero(np.logical_not(known).any(axis=1))
    if len(bad) and not mark:
        raise AttributionError(f"the scores of {len(bad)} tokens are NaN or infinite; on_error='mark' does the others")
    found: dict[str, Any] = dict(fields)
    if len(bad):
        values[bad] = np.nan
        status = np.array(fields.get("status", [""] * len(values)), object)
        status[bad] = NOT_FINITE
        found["status"] = status.astype(str)
    with np.errstate(invalid="ignore"):
        gap = values.sum(1) - (fields["scores"] - fields["baseline_scores"]) if method.in_score_units else None
    absent = "taken out" if remaining.absent is None else f"replaced by token {remaining.absent}"
    found |= {
        "attributions": values,
        "gap": gap,
        "evaluations": np.zeros(len(values), int),
        "method": repr(method),
        "at": "parts of the prompt",
        "of": words,
        "unit": unit,
        "attribution_unit": method.unit(unit),
        "kind": method.kind,
        "baseline": f"all parts {absent}",
        "place": "layer",
        "taken_away": "groups" if method.kind == "effect" else "",
    }
    return Attribution(**found)
