"""From what the engine summed to the result that a user gets."""

from typing import Any

import numpy as np

from .attribution import Attribution
from .baselines import describe_zeros
from .engine import FixedRule, Tables
from .methods import Method
from .points import Points
from .scoring import ScoreFunction
from .session import Compared
from .structure import flatten, rebuild


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
    found = {
        "attributions": rebuild(totals), "scores": tables.score, "inputs": inputs,
        "evaluations": np.full(count, 0 if method.forward_only else rows),
        "forward_evaluations": np.full(count, 1 + (rows if method.forward_only else 0)),
        "target": None if target.shape[1] == 0 else target[:, 0] if target.shape[1] == 1 else target,
        "tokens": tokens, "method": repr(method), "at": function.place.words, "of": function.output.words,
        "unit": function.output.unit, "notes": function.place.notes}
    if series:
        found |= {"alphas": np.stack([points.alpha for points in chosen]), "path_scores": rule.scores,
                  "path_gradients": rule.slopes}
    if method.uses_baseline:
        found |= _against_baseline(found, method, function, rule, chosen, tables, compared)
    return Attribution(**found)


def _against_baseline(found: dict, method, function, rule, chosen, tables, compared) -> dict[str, Any]:
    """What comes of the score at the baseline."""
    below, references = compared.baseline_scores, tables.references
    one = references.count == 1
    words = describe_zeros(tables.x, function.place.kind) if references.words == "zeros" else references.words
    confident = function.output.has_classes and function.output.unit == "probability"
    difference = tables.score - below.mean(1)
    more = {"baseline_scores": below[:, 0] if one else below, "baseline": words,
            "forward_evaluations": found["forward_evaluations"] + references.count,
            "baseline_confidence": (compared.highest[:, 0] if one else compared.highest) if confident else None}
    if method.in_score_units:
        total = sum(leaf.reshape(len(leaf), -1).sum(1, dtype=np.float64) for leaf in flatten(found["attributions"]).values())
        more["gap"] = total - difference
    if method.on_path:
        more["gradient_share"] = _gradient_share(rule, chosen, difference)
    return more


def _gradient_share(rule: FixedRule, chosen: list[Points], difference: np.ndarray) -> np.ndarray:
    """(n,), the part of the difference of scores that the gradient at the input, times x - x', accounts for."""
    ends = np.stack([points.alpha for points in chosen]) == 1
    slopes = np.where(ends, rule.slopes, 0).sum(1) / ends.sum(1)
    return np.divide(slopes, difference, out=np.full(len(slopes), np.nan), where=difference != 0)
