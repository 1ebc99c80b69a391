"""From what the engine summed to the result that a user gets."""

import dataclasses
from typing import Any

import numpy as np

from .attribution import Attribution
from .baselines import describe_zeros
from .engine import FixedRule, Tables
from .methods import Method
from .points import Points
from .scoring import ScoreFunction
from .session import Compared
from .structure import rebuild


def assemble(method: Method, function: ScoreFunction, rule: FixedRule, chosen: list[Points], tables: Tables,
             compared: Compared, inputs: Any, tokens: np.ndarray | None) -> Attribution:
    """The result of `method`.

    Args:
        rule: the sums, and score and slope of each row.
        chosen: the points of each example.
        compared: targets, and scores at the examples and their references.
        inputs: as the user gave them.
        tokens: words, where the model knows them.
    """
    count, rows = rule.scores.shape
    series = chosen[0].slots > 1
    totals = {key: total if series else total[:, 0] for key, total in rule.totals().items()}
    target = tables.target
    result = Attribution(
        attributions=rebuild(totals), scores=tables.score, inputs=inputs,
        evaluations=np.full(count, 0 if method.forward_only else rows),
        forward_evaluations=np.full(count, 1 + (rows if method.forward_only else 0)),
        target=None if target.shape[1] == 0 else target[:, 0] if target.shape[1] == 1 else target,
        tokens=tokens, method=repr(method), at=function.place.words, of=function.output.words, unit=function.output.unit,
        notes=function.place.notes)
    if series:
        result = dataclasses.replace(result, alphas=np.stack([points.alpha for points in chosen]), path_scores=rule.scores,
                                     path_gradients=rule.slopes)
    return _with_baseline(result, method, function, rule, chosen, tables, compared) if method.uses_baseline else result


def _with_baseline(result, method, function, rule, chosen, tables, compared) -> Attribution:
    """The result with what comes of the score at the baseline."""
    pair = (compared.baseline_scores, compared.highest)
    scores, highest = (values[:, 0] if values.shape[1] == 1 else values for values in pair)
    words = tables.references.words
    result = dataclasses.replace(
        result, baseline_scores=scores, forward_evaluations=result.forward_evaluations + tables.references.count,
        baseline_confidence=highest if function.output.has_classes and result.unit == "probability" else None,
        baseline=describe_zeros(tables.x, function.place.kind) if words == "zeros" else words)
    if method.in_score_units:
        result = dataclasses.replace(result, gap=result.totals - result.difference)
    if method.on_path:
        result = dataclasses.replace(result, gradient_share=_gradient_share(rule, chosen, result.difference))
    return result


def _gradient_share(rule: FixedRule, chosen: list[Points], difference: np.ndarray) -> np.ndarray:
    """(n,), the part of the difference of scores that the gradient at the input, times x - x', accounts for."""
    ends = np.stack([points.alpha for points in chosen]) == 1
    slopes = np.where(ends, rule.slopes, 0).sum(1) / ends.sum(1)
    return np.divide(slopes, difference, out=np.full(len(slopes), np.nan), where=difference != 0)
