"""Which of the errors in `hypotheses` holds, and by what margin."""

import dataclasses

import numpy as np

from ...common.digits import hundredths
from ...methods import IntegratedGradients
from ..report import Finding
from .given import Fit, GivenNumbers, sums_of
from .hypotheses import ERRORS, complete

# The guide's rule: a sum may be off by so much of the difference of scores.
TOLERANCE = 0.05
# Accuracy of the reference attribution, where a model is at hand.
REFERENCE = IntegratedGradients(tolerance=0.01)
# Below this, two residuals of sums are both as good as none: float32, and the rules of quadrature, leave as much.
FLOOR = 1e-3
# An error must explain the numbers so many times better than the next one, or than no error at all; more where a number was
# fitted to make it hold, and then on at least so many examples more than fitted numbers.
MARGIN, FITTED_MARGIN, SPARE = 3.0, 5.0, 3
# The sums may be off by this share of the differences before too few steps no longer seems a likely reason.
LIKELY = 0.5
# A gap is nothing to speak of where it is so small a part of all that was attributed.
SLIGHT = 0.01


def verdict(given: GivenNumbers, tolerance: float) -> list[Finding]:
    """The verdict, and what could not be tested."""
    right = complete(given)
    if not given.informative().any() and not np.isfinite(right.residual):
        return [
            Finding(
                "nothing_to_explain",
                "integral",
                "note",
                {"difference": given.difference},
                "The scores at inputs and baselines are the same, so that sums tell nothing.",
                "take inputs whose score differs from that of the baseline",
            )
        ]
    tried = {name: error(given) for name, error in ERRORS.items()}
    fits = [fit for fit in tried.values() if isinstance(fit, Fit)]
    enough = [fit for fit in fits if not fit.fitted or fit.elementwise or _spare(given, fit) >= SPARE]
    few = [name for name, fit in tried.items() if isinstance(fit, Fit) and fit not in enough]
    evidence, untested = _evidence(given, right, fits), _untested(given, tried, few)
    eligible = [fit for fit in enough if fit.residual <= tolerance and _explains(fit, right)]
    if eligible:
        return [_chosen(eligible, evidence, "warning" if right.residual <= tolerance else "error"), *untested]
    if right.residual > tolerance:
        found = _unexplained(given, right, evidence)
        return [found, *_untested(given, {name: one for name, one in tried.items() if name != found.name}, few)]
    if right.elementwise:
        # parts are known to 1% only; their sums, to rounding: these may still show an error
        of_sums = verdict(dataclasses.replace(given, reference=None, exact=None), tolerance)[0]
        if of_sums.name in ERRORS:
            return [of_sums, *untested]
    return [_complete(right, evidence), *_single_gaps(given, tolerance), *untested]


def _explains(fit: Fit, right: Fit) -> bool:
    """Whether an error explains the numbers clearly better than that there is none."""
    # numbers of the very rule are known to rounding: they leave less over than what is called right, however little that is
    better = not fit.exact or fit.residual * MARGIN <= right.residual
    return better and _level(fit) * _margin(fit) <= _level(right)


def _level(fit: Fit) -> float:
    """The residual, or below what it means nothing: the accuracy of what was compared with."""
    return max(fit.residual, REFERENCE.tolerance if fit.elementwise and not fit.exact else FLOOR)


def _margin(fit: Fit) -> float:
    return FITTED_MARGIN if fit.fitted and not fit.elementwise else MARGIN


def _spare(given: GivenNumbers, fit: Fit) -> int:
    """How many examples say more than was fitted to them."""
    free = len(fit.fitted) if fit.name == "baseline_score_forgotten" else 1
    return int(given.informative().sum()) - free


def _chosen(eligible: list[Fit], evidence: dict, severity: str) -> Finding:
    """The one error that explains the numbers best, or those that nothing tells apart."""
    # what was fitted must do clearly better than what was not
    best = min(eligible, key=lambda fit: _level(fit) * (_margin(fit) if fit.fitted and not fit.exact else 1))
    rivals = [
        fit
        for fit in eligible
        if fit.name != best.name and _level(fit) < MARGIN * _level(best) and (not fit.fitted or best.fitted)
    ]
    if rivals:
        both = [best, *rivals]
        return Finding(
            "several_fit",
            "integral",
            severity,
            evidence,
            f"The numbers fit {len(both)} errors about equally well: "
            + "; ".join(f"{fit.name} ({fit.words})" for fit in both)
            + ".",
            "tell them apart with more: inputs= and baselines=, more examples, or attributor=",
        )
    short = "" if severity == "error" else "the sums are within the tolerance, but an error explains them much better: "
    whole = "Every attribution was compared, not the sums alone. " if best.elementwise else ""
    words = f"{short}{best.words}"
    # a score that was left out of the comparison says nothing against the attributions
    severity = "warning" if best.name == "baseline_score_forgotten" and best.fitted else severity
    return Finding(
        best.name,
        "integral",
        severity,
        {**best.fitted, **evidence},
        f"{words[0].upper()}{words[1:]}. {whole}What is left over is {hundredths(best.residual)}.",
        best.remedy,
    )


def _complete(right: Fit, evidence: dict) -> Finding:
    return Finding(
        "complete",
        "integral",
        "passed",
        evidence,
        f"{right.words[0].upper()}{right.words[1:]}, up to {hundredths(right.residual)}."
        + ("" if right.elementwise else " A sum that is right does not show that every part is."),
    )


def _single_gaps(given: GivenNumbers, tolerance: float) -> list[Finding]:
    """Examples that are off by more than the tolerance, though all of them together are not."""
    gap = given.sums - given.difference
    magnitudes = sums_of({key: np.abs(leaf) for key, leaf in given.attributions.items()})
    off = given.informative() & (np.abs(gap) > tolerance * np.abs(given.difference)) & (np.abs(gap) > SLIGHT * magnitudes)
    if not off.any():
        return []
    worst = np.abs(gap[off] / given.difference[off]).max()
    return [
        Finding(
            "too_few_steps",
            "integral",
            "warning",
            {"largest_relative_gap": worst},
            f"Single examples do not add up, by {worst:.1%} at most; the others do, so that no error of the formula "
            "but the number of steps is the likely reason.",
            "take more steps, or method=ta.IntegratedGradients(), which takes as many as an example needs",
            tuple(np.flatnonzero(off).tolist()),
        )
    ]


def _unexplained(given: GivenNumbers, right: Fit, evidence: dict) -> Finding:
    """The sums are wrong, and no equation holds."""
    sums, difference = given.sums, given.difference
    magnitudes = (
        given.reference is None
        and min(leaf.min() for leaf in given.attributions.values()) >= 0
        and np.all(sums >= np.abs(difference) * (1 - TOLERANCE))
    )
    if magnitudes:
        return Finding(
            "absolute_values",
            "integral",
            "error",
            evidence,
            "No attribution is negative, and no sum is smaller than the difference of scores, as where absolute "
            "values were taken or negatives cut off: what magnitudes sum to is no less. The signed sum cannot be "
            "had back from them.",
            "keep the sign: take magnitudes in the picture alone",
        )
    ratios = (sums / np.where(difference == 0, np.nan, difference))[given.informative()]
    spread = {"smallest_ratio": float(np.min(ratios)), "largest_ratio": float(np.max(ratios))} if len(ratios) else {}
    if right.residual <= LIKELY and not right.elementwise:
        return Finding(
            "too_few_steps",
            "integral",
            "error",
            spread | evidence,
            f"The sums are off by {right.residual:.1%}, and no error of the formula explains it: too few steps are "
            "the usual reason." + _one_example(given, ratios),
            "take more steps (20 to 1000 are usual) until the gap is below 5%, or method=ta.IntegratedGradients()",
        )
    what = "attributions are" if right.elementwise else "sums are"
    return Finding(
        "unexplained",
        "integral",
        "error",
        spread | evidence,
        f"The {what} off by {right.residual:.1%}, and none of the known errors explains that.",
        "compare class, output (probability or logit), preprocessing and baseline with those of the scores"
        + ("" if given.reference is not None else "; attributor= and inputs= compare every attribution"),
    )


def _one_example(given: GivenNumbers, ratios: np.ndarray) -> str:
    """What few examples cannot tell apart."""
    if len(ratios) > SPARE or not len(ratios) or not 0 < ratios[0] != 1:
        return ""
    return (
        f" Weights that sum to (n - 1) / n, with n about {1 / abs(1 - ratios[0]):.3g}, would look the same: {len(ratios)} "
        f"example{'s' if len(ratios) > 1 else ''} cannot tell, {SPARE + 1} or more can."
    )


def _untested(given: GivenNumbers, tried: dict, few: list[str]) -> list[Finding]:
    """Errors that could not be tested, each with the reason."""
    reasons = {name: why for name, why in tried.items() if isinstance(why, str)}
    reasons |= {
        name: f"a number has to be fitted, and {int(given.informative().sum())} examples are too few for that"
        for name in few
        if name in tried
    }
    if not reasons:
        return []
    return [
        Finding(
            "not_tested",
            "integral",
            "note",
            {"reasons": reasons},
            f"{len(reasons)} of {len(ERRORS)} errors could not be tested with what was given.",
        )
    ]


def _evidence(given: GivenNumbers, right: Fit, fits: list[Fit]) -> dict:
    ordered = sorted([right, *fits], key=lambda fit: fit.residual)
    residuals: dict[str, float] = {}
    for fit in ordered:
        residuals.setdefault(fit.name, fit.residual)
    return {"residuals": residuals, "examples": len(given.scores)}
