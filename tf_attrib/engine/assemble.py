"""From what the engine summed to the result that a user gets."""

from typing import Any

import numpy as np
import tensorflow as tf

from ..common.nested import flatten, rebuild
from ..result.completeness import NOT_ESTIMATED, judged
from ..selection.score_function import ScoreFunction
from ..selection.zeros_in_words import describe_zeros
from .compared import Compared
from .integral.integrator import Outcome
from .integral.refined import CONVERGED, NOT_FINITE, Control
from .method import Method
from .program import Tables
from .work import Work

# The relative error that float32 gradients carry.
FLOOR = 1e-4


def assemble(
    method: Method, function: ScoreFunction, outcome: Outcome, work: Work, tokens: np.ndarray | None
) -> dict[str, Any]:
    """The fields of the result of `method`.

    Args:
        outcome: what came of its rows.
        work: what the rows were made of.
        tokens: words, where the model knows them.
    """
    tables, compared = work.tables, work.compared
    series = next(iter(outcome.totals.values())).shape[1] > 1
    totals = {key: total if series else total[:, 0] for key, total in outcome.totals.items()}
    positive = {key: totals.pop(("positive", key)) for key in list(totals) if ("positive", key) in totals}
    finite = outcome.finite & np.isfinite(compared.scores) & np.isfinite(compared.baseline_scores).all(1)
    status = outcome.status
    if not finite.all():
        for total in [*totals.values(), *positive.values()]:
            total[~finite] = np.nan
        status = np.where(finite, "" if status is None else status, NOT_FINITE)
    target, own = tables.target, method.fields(work)
    found = {
        "attributions": rebuild(totals),
        "positive": rebuild(positive) if method.tells_signs else None,
        "scores": tables.score,
        # the caller may fill these arrays with what comes next, as loops over a buffer do
        "inputs": rebuild({key: value.copy() for key, value in work.arrays.items()}),
        "evaluations": outcome.evaluations,
        "forward_evaluations": outcome.forward_evaluations + 1,
        "error_estimate": outcome.error_estimate,
        "status": status,
        "standard_error": _deviations(outcome, finite),
        "residual": outcome.residual,
        "residual_clipped": outcome.residual_clipped,
        "narrow_at": outcome.narrow_at,
        "target": None if target.shape[1] == 0 else target[:, 0] if target.shape[1] == 1 else target,
        "predicted": compared.predicted,
        "top_classes": compared.top_classes,
        "top_scores": compared.top_scores,
        **work.placed,
        "tokens": tokens,
        "method": repr(method),
        "at": method.words(function),
        "of": function.output.words,
        "class_zero": function.output.other,
        "unit": function.output.unit,
        "attribution_unit": method.unit(function.output.unit),
        "kind": method.kind,
        "steps": series,
        "place": (function.place if function.observed is None else function.observed).kind,
        "left_out": function.place.left_out,
        "eager": "" if function.traced.called is None else function.traced.called.why,
        "batch_dependence": work.session.company.words,
        **_columns(function),
        "feature_names": work.session.feature_names(work.names, work.match),
        **own,
        "notes": _called(function)
        + function.place.notes
        + work.notes
        + _notes(method.control, function, compared)
        + method.notes(function)
        + own.get("notes", ()),
    }
    if series:
        found |= {"alphas": outcome.alphas, "path_scores": outcome.path_scores, "path_gradients": outcome.path_slopes}
    if method.uses_baseline:
        found |= _against_baseline(found, method, function, outcome, tables, compared)
    return found | method.afterwards(found["attributions"], work)


def _deviations(outcome: Outcome, finite: np.ndarray) -> Any:
    """The standard errors of the attributions in their structure, where the method states them."""
    if outcome.standard_error is None:
        return None
    found = {key: leaf[:, 0] for key, leaf in outcome.standard_error.items()}
    for leaf in found.values():
        leaf[~finite] = np.nan
    return rebuild(found)


def _against_baseline(
    found: dict[str, Any], method: Method, function: ScoreFunction, outcome: Outcome, tables: Tables, compared: Compared
) -> dict[str, Any]:
    """What comes of the score at the baseline."""
    below, references = compared.baseline_scores, tables.references
    one = references.count == 1
    words = describe_zeros(tables.x, function.place.kind) if references.default else references.words
    # of an output with positions the score of the target alone is known here
    confident = function.output.has_classes and function.output.unit == "probability" and function.target_rank < 2
    difference = tables.score - below.mean(1)
    more = {
        "baseline_scores": below[:, 0] if one else below,
        "baseline": words,
        "baseline_is_zero": references.zero,
        "forward_evaluations": found["forward_evaluations"] + references.count,
        "baseline_confidence": (compared.highest[:, 0] if one else compared.highest) if confident else None,
    }
    if method.in_score_units:
        leaves = flatten(found["attributions"]).values()
        total = sum((leaf.reshape(len(leaf), -1).sum(1, dtype=np.float64) for leaf in leaves), np.zeros(len(difference)))
        more["gap"] = total - difference
        short = method.when_incomplete(function)
        if short is not None:
            leaves = flatten(found["attributions"]).values()
            size = sum((np.abs(leaf).reshape(len(leaf), -1).sum(1, dtype=np.float64) for leaf in leaves), np.zeros(len(total)))
            status = judged(more["gap"], difference, size, compared.largest, method.exact, short)
            known = found["status"]
            more["status"] = (
                status
                if known is None
                else np.where(np.isin(known, ("", CONVERGED, NOT_ESTIMATED)) & (status != ""), status, known)
            )
    if method.on_path:
        more["gradient_share"] = np.divide(
            outcome.end_slopes, difference, out=np.full(len(difference), np.nan), where=difference != 0
        )
    return more


def _columns(function: ScoreFunction) -> dict[str, dict]:
    """The columns behind the attributions, and the names of their categories, where attributions are at the place selected."""
    place = function.place
    if function.observed is not None:
        return {}
    columns, categories = (
        {"" if key is None else str(key): value for key, value in one.items()} for one in (place.columns, place.categories)
    )
    return {"columns": columns, "categories": categories}


def _called(function: ScoreFunction) -> tuple[str, ...]:
    """That the model was called, why, and what that costs."""
    called = function.traced.called
    if called is None:
        return ()
    rows = f"one example at a time, since {called.alone}" if called.alone else "a block of rows at a time"
    cost = (
        f"the model was called eagerly, not traced ({called.why}): its Python runs again for every block of rows, {rows}; "
        "DeepLIFT, guided backpropagation and tensors by name need a graph"
    )
    return cost, *called.notes


def _notes(control: Control | None, function: ScoreFunction, compared: Compared) -> tuple[str, ...]:
    """What a reader should know of how the stated accuracy came about."""
    if control is None:
        return ()
    notes = []
    if function.log_odds is None and (function.output.unit == "probability" or compared.distributions):
        notes.append(
            "no logits beneath this probability are used: paths are refined on the probability itself, "
            "which takes more gradients"
        )
    if control.tolerance < FLOOR and function.dtype != tf.float64:
        notes.append(f"float32 carries the error estimate to about {FLOOR:g}: for less, use a float64 model")
    return tuple(notes)
