"""Checks of the integral: was the accuracy reached, do the attributions add up, would more steps do?"""

import numpy as np

from ...common.digits import hundredths
from ...common.nested import flatten
from ...common.types import present
from ...engine.integral.quadrature import DEFAULT_STEPS, Rule
from ...methods import IntegratedGradients
from ...result.completeness import GAP, MOST_CANCELLED, SLIGHT
from ...result.words import BESIDE_BASELINE, unexplained
from .. import remedies
from ..case import Examination
from ..catalogue import finding
from ..report import Finding
from .operations import has_float16

# Steps are doubled up to so many.
MOST_STEPS = 800


def check_accuracy(case: Examination) -> list[Finding]:
    """The estimated error and the status of a rule that refines."""
    result = case.result
    if result.error_estimate is None:
        return []
    short, crowded, narrow = (np.flatnonzero(result.status == status) for status in ("max_evaluations", "memory", "too_narrow"))
    errors = result.error_estimate[np.isfinite(result.error_estimate)]
    if not errors.size:
        return []
    evidence = {
        "largest_error": float(errors.max()),
        "tolerance": case.method.tolerance,
        "gradients": float(np.mean(present(result.evaluations))),
        "not_converged": len(short) + len(crowded) + len(narrow),
    }
    if len(short):
        most = 4 * (case.method.max_evaluations - 1) + 1
        vain = any(unexplained(result, int(i)) for i in short)
        return [
            finding(
                "accuracy",
                "warning",
                evidence,
                f"{len(short)} of {case.count} paths took "
                f"{case.method.max_evaluations} gradients without reaching an error of "
                f"{100 * case.method.tolerance:g}%; the estimate is {errors.max():.1%} at most."
                + (" More may not help: they do not explain how the score moves." if vain else ""),
                remedies.without_gradient(case)
                if vain
                else remedies.attribute(case, method=f"ta.IntegratedGradients({case.method.tolerance:g}, {most})"),
                short,
            )
        ]
    if len(crowded):
        room = remedies.another(case.attributor, f"memory={4 * case.attributor.memory}")
        return [
            finding(
                "accuracy",
                "warning",
                evidence,
                f"The paths from all baselines of {len(crowded)} of {case.count} "
                "examples did not fit in memory together, and their average missed the stated accuracy; the estimate "
                f"is {errors.max():.1%} at most.",
                f"attributor = {room}; {remedies.attribute(case)}",
                crowded,
            )
        ]
    if len(narrow):
        return [_too_narrow(case, narrow, evidence, errors.max())]
    return [
        finding(
            "accuracy",
            "passed",
            evidence,
            f"The integral is accurate to an estimated {errors.max():.1%}, with "
            f"{np.mean(present(result.evaluations)):.0f} gradients an example.",
        )
    ]


def _too_narrow(case: Examination, narrow: np.ndarray, evidence: dict, error: float) -> Finding:
    """Paths that could not be followed: beside the baseline another one helps, elsewhere the logit or no gradient at all."""
    where, logits = float(np.nanmin(present(case.result.narrow_at)[narrow], initial=1)), remedies.logits(case)
    evidence["narrow_at"] = where
    which = f"On {len(narrow)} of {case.count} paths the score"
    if where > BESIDE_BASELINE:
        remedy = f"{remedies.attribute(case, of=logits)}  # the logit jumps less" if logits else remedies.without_gradient(case)
        return finding(
            "accuracy",
            "warning",
            evidence,
            f"{which} jumps or peaks within less than a step can resolve, first at "
            f"{where:.3g} of the path; the estimated error is {error:.1%} at most.",
            remedy,
            narrow,
        )
    return finding(
        "accuracy",
        "warning",
        evidence,
        f"{which} moves within {max(where, 1e-38):.0e} of the path from the "
        "baseline, closer than float32 can follow: most likely a normalisation gets zeros there, or a threshold "
        "lies there. The estimated "
        f"error is {error:.1%} at most. A baseline of which the normalisation has something left, or at= a layer "
        "behind it, has no such end.",
        _elsewhere(case),
        narrow,
    )


def _elsewhere(case: Examination) -> str:
    """The call with a baseline of which a normalisation has something left."""
    mean = remedies.mean_input(case)
    baseline = (
        remedies.token(case, 0)[0] if case.place.kind == "embeddings" else mean[0] if mean else remedies.other_baseline(case)
    )
    return remedies.attribute(case, baselines=baseline)


def check_gap(case: Examination) -> list[Finding]:
    """Whether the attributions add up to the difference of scores."""
    result = case.result
    gaps = result.relative_gap
    if gaps is None or np.isnan(gaps).all():
        return []
    wrong = np.flatnonzero((np.abs(np.nan_to_num(gaps)) > GAP) & (np.abs(present(result.gap)) > SLIGHT * result.magnitudes))
    worst = int(np.nanargmax(np.abs(gaps)))
    evidence = {"largest_gap": float(gaps[worst]), "example": worst, "beyond_5_percent": len(wrong)}
    if case.method.control is None and len(wrong):
        return _steps(case, worst, evidence, wrong)
    if len(wrong):
        clipped = result.residual_clipped is not None and bool(result.residual_clipped[wrong].any())
        evidence["more_than_gradients_explain"] = clipped
        half = has_float16(case.session)
        lost = bool(
            (present(result.status)[wrong] == "too_narrow").all()
            and (present(result.narrow_at)[wrong] <= BESIDE_BASELINE).all()
        )
        why = (
            "Their paths could not be followed beside the baseline."
            if lost
            else "The gradients do not explain it: the model rounds, jumps, or has gradients that are not its own."
            if clipped
            else "It computes in half precision, which rounds what would add up."
            if half
            else "The paths were not followed to the stated accuracy."
        )
        remedy = remedies.float32_copy(case) if half else _elsewhere(case) if lost else remedies.without_gradient(case)
        return [
            finding(
                "gap",
                "warning" if half and not clipped else "error",
                evidence,
                f"In {len(wrong)} of {case.count} examples the attributions miss the difference of scores by more "
                f"than 5%, by {gaps[worst]:+.0%} in example {worst}. {why}",
                remedy,
                wrong,
            )
        ]
    return [
        finding(
            "gap",
            "passed",
            evidence,
            f"The attributions add up to the difference of scores; largest gap: {hundredths(abs(gaps[worst]))}.",
        )
    ]


def check_cancellation(case: Examination) -> list[Finding]:
    """Whether attributions are far larger than the scores that they add up to."""
    times = case.result.magnitudes / np.maximum(case.work.compared.largest, np.finfo(float).tiny)
    wrong = np.flatnonzero(times > MOST_CANCELLED)
    if not len(wrong):
        return []
    worst = int(np.nanargmax(times))
    return [
        finding(
            "cancellation",
            "warning",
            {"largest_multiple": float(times[worst]), "example": worst},
            f"In {len(wrong)} of {case.count} examples positive and negative attributions cancel: together they are "
            f"{times[worst]:,.0f} times as large as the scores in example {worst}. Single ones mean little.",
            f"{remedies.attribute(case, baselines=remedies.other_baseline(case))}  # or at= behind a normalisation",
            wrong,
        )
    ]


def check_steps(case: Examination) -> list[Finding]:
    """The error of a rule with fixed nodes, against the rule that refines."""
    if case.method.control is not None:
        return []
    reference = case.again(IntegratedGradients(), np.arange(case.few))
    error = max(_distance(case.result[i], reference[i]) for i in range(case.few))
    if error <= GAP:
        return [
            finding(
                "accuracy",
                "passed",
                {"largest_error": error},
                f"{case.method!r} is accurate to {error:.1%} (L1, against the rule that refines, first {case.few} examples).",
            )
        ]
    gaps = case.result.relative_gap
    if gaps is not None and np.nanmax(np.abs(gaps), initial=0) > GAP:
        return []  # told by the gap already
    return [
        finding(
            "accuracy",
            "warning",
            {"largest_error": error},
            "The attributions add up, and yet are off by "
            f"{error:.0%} (L1, against the rule that refines, first {case.few} examples): errors of single features "
            "cancel in the sum.",
            f"{remedies.attribute(case)}  # finds its steps itself",
        )
    ]


def _other_rule(case: Examination, rule: Rule, worst: int, evidence: dict, wrong: np.ndarray) -> Finding:
    """A rule with nodes of its own, which has no steps to take more of."""
    return finding(
        "too_few_steps",
        "warning",
        evidence | {"steps": len(rule)},
        f"With {case.method!r} the attributions miss the difference of scores by more than 5% in {len(wrong)} of "
        f"{case.count} examples, by {evidence['largest_gap']:+.0%} in example {worst}.",
        f"{remedies.attribute(case)}  # finds its steps itself",
        wrong,
    )


def _steps(case: Examination, worst: int, evidence: dict, wrong: np.ndarray) -> list[Finding]:
    """How many steps would do for the example with the largest gap."""
    if isinstance(rule := case.method.rule, Rule):
        return [_other_rule(case, rule, worst, evidence, wrong)]
    given = DEFAULT_STEPS if case.method.n_steps is None else case.method.n_steps
    steps, one = given, np.array([worst])
    gap, error = float(abs(evidence["largest_gap"])), float("inf")
    reference = case.again(IntegratedGradients(), one)
    while steps < MOST_STEPS and (gap > GAP or error > GAP):
        steps *= 2
        found = case.again(IntegratedGradients(rule=case.method.rule, n_steps=steps), one)
        gap, error = float(np.nan_to_num(np.abs(found.relative_gap[0]))), _distance(found, reference)
    enough = gap <= GAP and error <= GAP
    evidence |= {"steps": given, "steps_that_do" if enough else "steps_that_do_not": steps}
    said = f"{steps} steps do" if enough else f"{steps} steps do not do either"
    rule = "" if case.method.rule is None else f"rule={case.method.rule!r}, "
    remedy = (
        remedies.attribute(case, method=f"ta.IntegratedGradients({rule}n_steps={steps})")
        if enough
        else f"{remedies.attribute(case)}  # finds its steps itself"
    )
    return [
        finding(
            "too_few_steps",
            "warning",
            evidence,
            f"With {case.method!r} the attributions miss the difference of "
            f"scores by more than 5% in {len(wrong)} of {case.count} examples, by {evidence['largest_gap']:+.0%} in "
            f"example {worst}. There {said}; the default rule takes {int(present(reference.evaluations)[0])} "
            "gradients.",
            remedy,
            wrong,
        )
    ]


def _distance(found, reference) -> float:
    """The L1 distance of two attributions of one example, relative to the norm of the second."""
    pairs = zip(flatten(found.attributions).values(), flatten(reference.attributions).values(), strict=True)
    total = sum(float(np.abs(a.astype(np.float64) - b).sum()) for a, b in pairs)
    return total / max(float(reference.magnitudes[0]), 1e-300)
