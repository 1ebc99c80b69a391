"""`ta.check_attributions`: numbers from anywhere, another library too, and which common error explains them.

The errors are in `hypotheses`, each as an equation. Here it is decided which of them holds, and by what margin.
"""

import dataclasses
from typing import Any

import numpy as np

from ...attribution import Attribution
from ...attributor import Attributor, as_attributor
from ...common.checks import whole_or_none
from ...common.errors import AttributionError
from ...common.nested import flatten
from ...common.types import present
from ...methods import IntegratedGradients
from ...selection.inputs import as_arrays
from ...selection.references import resolve
from ..report import Finding, Report, hundredths
from .given import Fit, GivenNumbers, sums_of
from .hypotheses import ERRORS, complete

# The guide's rule: a sum may be off by so much of the difference of scores.
TOLERANCE = 0.05
# Below this, two residuals of sums are both as good as none: float32, and the rules of quadrature, leave as much.
FLOOR = 1e-3
# An error must explain the numbers so many times better than the next one, or than no error at all; more where a number was
# fitted to make it hold, and then on at least so many examples more than fitted numbers.
MARGIN, FITTED_MARGIN, SPARE = 3.0, 5.0, 3
# The sums may be off by this share of the differences before too few steps no longer seems a likely reason.
LIKELY = 0.5
# Accuracy of the reference attribution, where a model is at hand.
REFERENCE = IntegratedGradients(tolerance=0.01)
# A gap is nothing to speak of where it is so small a part of all that was attributed.
SLIGHT = 0.01


def check_attributions(
    attributions: Any,
    scores: Any = None,
    baseline_scores: Any = None,
    inputs: Any = None,
    baselines: Any = None,
    *,
    target: Any = None,
    attributor: Attributor | None = None,
    n_steps: int | None = None,
    tolerance: float = TOLERANCE,
) -> Report:
    """Says whether attributions add up, and if not, which common error explains the numbers.

    Integrated gradients sum to F(x) - F(x') (Sundararajan et al. 2017, arXiv:1703.01365, proposition 1). Each error makes
    another equation hold instead: `tf_attrib.doctor.numbers.hypotheses` lists them. What is compared are the sums of examples,
    unless `attributor` is given: then the attributions themselves, with a reference that is accurate to 1%.

    Args:
        attributions: (batch, ...), a list or dict of such, or a result. Channels or embedding dimensions may be missing.
        scores: (batch,), the explained score at the inputs; of a result, its own.
        baseline_scores: a number, (batch,), or (batch, k) for k baselines: the same at the baselines.
        inputs: (batch, ...) in the structure of the attributions; they tell whether the factor (x - x') is missing, and
            whether channels were averaged. With `attributor`, the model's inputs.
        baselines: as `Attributor.attribute` takes them; None is zeros.
        target: the explained classes: one number, or one for each example.
        attributor: of the model that was explained, at and of the same: scores are then computed, and every
            attribution is compared.
        n_steps: how many steps were taken along the path; with `attributor`, it tells which rule was used.
        tolerance: by how much of the difference of scores the sums may be off.

    Returns:
        A `Report`. One finding is the verdict: "complete" (as it should be), the name of an error, "several_fit" or
        "unexplained"; its evidence has the residual of each equation, relative to its right side. "not_tested" lists what
        would have needed more than was given, and why.

    Raises:
        AttributionError: scores that are not known, shapes that do not fit.
    """
    if not isinstance(tolerance, float | int) or not 0 < tolerance < 1:
        raise AttributionError(f"tolerance must be a number between 0 and 1, such as {TOLERANCE}; got {tolerance!r}")
    whole_or_none("n_steps", n_steps)
    if n_steps is not None and attributor is None:
        raise AttributionError("n_steps= tells which rule was used only together with attributor= and inputs=")
    leaves, scores, baseline_scores, target, inputs = _unpacked(
        attributions, scores, baseline_scores, target, inputs, attributor is not None
    )
    subject = f"attributions {_shapes(leaves)} of {len(next(iter(leaves.values())))} examples"
    bad = np.flatnonzero(~np.isfinite(sums_of(leaves)))
    if len(bad):
        return Report((_not_finite(bad),), subject)
    if attributor is None:
        given, findings = _from_numbers(leaves, scores, baseline_scores, inputs, baselines, target), []
    else:
        given, findings = _from_model(leaves, scores, baseline_scores, inputs, baselines, target, attributor, n_steps)
    return Report((*_verdict(given, tolerance), *findings), subject)


def _unpacked(attributions, scores, baseline_scores, target, inputs, with_model: bool) -> tuple:
    """Arrays by key, with what a result brings along filled in."""
    if isinstance(attributions, Attribution):
        result = attributions
        if result.gap is None:
            raise AttributionError(
                f"{result.method} claims no sum, so there is nothing to check: take a result of "
                "integrated_gradients, or the numbers alone: check_attributions(result.attributions, "
                "scores)"
            )
        scores = result.scores if scores is None else scores
        baseline_scores = result.baseline_scores if baseline_scores is None else baseline_scores
        target = result.target if target is None else target
        inputs = result.inputs if inputs is None and with_model else inputs
        attributions = result.attributions
    leaves = as_arrays(attributions, "attribution")
    if any(leaf.dtype.kind not in "biuf" for leaf in leaves.values()):
        raise AttributionError(
            f"attributions must be arrays of numbers (batch, ...), or a result; got {_shapes(leaves)} of "
            f"{next(iter(leaves.values())).dtype}"
        )
    leaves = {key: leaf.astype(np.float64) for key, leaf in leaves.items()}
    counts = {leaf.shape[0] if leaf.ndim > 1 else None for leaf in leaves.values()}
    if len(counts) > 1 or counts & {None, 0}:
        raise AttributionError(f"attributions must be of shape (batch, ...), the same batch throughout; got {_shapes(leaves)}")
    return leaves, scores, baseline_scores, target, inputs


def _from_numbers(leaves, scores, baseline_scores, inputs, baselines, target) -> GivenNumbers:
    """What is known without a model."""
    count = len(next(iter(leaves.values())))
    if scores is None:
        raise AttributionError(
            "scores are needed: check_attributions(attributions, scores, baseline_scores), or "
            "attributor=ta.Attributor(model) with inputs=, which computes them"
        )
    scores = _per_example("scores", scores, count)
    baseline_scores = None if baseline_scores is None else _per_example("baseline_scores", baseline_scores, count)
    targets = None if target is None else np.broadcast_to(np.asarray(target), (count, *np.shape(target)[1:]))
    if inputs is None:
        return GivenNumbers(
            leaves, scores, baseline_scores, targets=targets, no_velocity="the inputs are not known: that takes inputs="
        )
    x = {key: np.asarray(leaf) for key, leaf in as_arrays(inputs).items()}
    if any(leaf.shape[:1] != (count,) for leaf in x.values()):
        raise AttributionError(f"{count} examples of attributions, inputs {_shapes(x)}: give the inputs of the same examples")
    x = {key: leaf.astype(np.float64) for key, leaf in x.items() if leaf.dtype.kind in "biuf"}
    if not x:
        return GivenNumbers(leaves, scores, baseline_scores, targets=targets, no_velocity="the inputs are no numbers")
    references = resolve(baselines, x, x, lambda made: made, seed=0)
    velocity = {key: leaf - references.tables[key][references.index[key]].mean(1) for key, leaf in x.items()}
    return _with_velocity(GivenNumbers(leaves, scores, baseline_scores, x, targets=targets), velocity, references.count)


def _from_model(
    leaves, scores, baseline_scores, inputs, baselines, target, attributor: Attributor, n_steps: int | None
) -> tuple[GivenNumbers, list[Finding]]:
    """What is known with a model: scores, and the right attributions. And findings where other scores were given."""
    if inputs is None:
        raise AttributionError("attributor= needs inputs=, the model's inputs that the attributions are of")
    as_attributor(attributor, "attributor=")
    reference = attributor.attribute(inputs, target, baselines, REFERENCE, seed=0, verbose=False)
    work = attributor.work(inputs, reference.target, baselines, REFERENCE, seed=0)
    count = len(next(iter(leaves.values())))
    if len(reference) != count:
        raise AttributionError(
            f"{count} examples of attributions, {len(reference)} of inputs: give the inputs of the same examples"
        )
    x, references = work.tables.x, work.tables.references
    velocity = {key: leaf - references.tables[key][references.index[key]].mean(1) for key, leaf in x.items()}
    names = dict(zip(x, leaves, strict=True)) if len(x) == len(leaves) else {key: key for key in x}

    def mine(values: dict) -> dict:
        return {names[key]: np.asarray(value, np.float64) for key, value in values.items()}

    def exact(rule: str, steps: int) -> dict:
        method = IntegratedGradients(rule=rule, n_steps=steps)
        return mine(flatten(attributor.attribute(inputs, reference.target, baselines, method, 0, False).attributions))

    given = GivenNumbers(
        leaves,
        reference.scores,
        reference.scores - reference.difference,
        mine(x),
        targets=reference.target,
        reference=mine(flatten(reference.attributions)),
        exact=exact,
        n_steps=n_steps,
    )
    pairs = (("scores", scores, given.scores), ("baseline_scores", baseline_scores, given.baseline_scores))
    findings = [
        finding
        for name, came, own in pairs
        if came is not None
        for finding in _other_scores(name, _per_example(name, came, count), present(own), reference)
    ]
    return _with_velocity(given, mine(velocity), references.count), findings


def _with_velocity(given: GivenNumbers, velocity: dict, references: int) -> GivenNumbers:
    """With x - x', where it says something about these attributions."""
    if references > 1:
        return dataclasses.replace(given, no_velocity="there are several baselines, so no one factor (x - x')")
    if {key: leaf.shape for key, leaf in given.attributions.items()} != {key: leaf.shape for key, leaf in velocity.items()}:
        return dataclasses.replace(given, no_velocity="attributions and inputs are not of the same shape")
    return dataclasses.replace(given, velocity=velocity)


def _other_scores(name: str, given: np.ndarray, own: np.ndarray, reference: Attribution) -> list[Finding]:
    off = float(np.abs(given - own).sum() / max(np.abs(reference.scores).sum(), np.finfo(float).tiny))
    if off <= FLOOR:
        return []
    where, why = (
        ("inputs", "another class, the logits, or another preprocessing")
        if name == "scores"
        else ("baselines", "other baselines, or what explains other scores")
    )
    return [
        Finding(
            f"{name}_differ",
            "output",
            "warning",
            {"relative_difference": off, "given": given, "model": own},
            f"The scores at the {where} that were given are not those of the model ({reference.of}): {why}. Those of "
            "the model were used.",
            'compare of=, target= and baselines= with what was explained, such as ta.Attributor(model, of="logits")',
        )
    ]


def _verdict(given: GivenNumbers, tolerance: float) -> list[Finding]:
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
    evidence, untested = _evidence(given, right, fits), _untested(given, tried, [fit for fit in fits if fit not in enough])
    eligible = [fit for fit in enough if fit.residual <= tolerance and _level(fit) * _margin(fit) <= _level(right)]
    if eligible:
        return [_chosen(eligible, evidence, "warning" if right.residual <= tolerance else "error"), *untested]
    if right.residual > tolerance:
        return [_unexplained(given, right, evidence), *untested]
    if right.elementwise:
        # parts are known to 1% only; their sums, to rounding: these may still show an error
        verdict = _verdict(dataclasses.replace(given, reference=None, exact=None), tolerance)[0]
        if verdict.name in ERRORS:
            return [verdict, *untested]
    return [_complete(right, evidence), *_single_gaps(given, tolerance), *untested]


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


def _untested(given: GivenNumbers, tried: dict, few: list[Fit]) -> list[Finding]:
    """Errors that could not be tested, each with the reason."""
    reasons = {name: why for name, why in tried.items() if isinstance(why, str)}
    reasons |= {
        fit.name: f"a number has to be fitted, and {int(given.informative().sum())} examples are too few for that"
        for fit in few
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


def _not_finite(bad: np.ndarray) -> Finding:
    return Finding(
        "not_finite",
        "integral",
        "error",
        {"examples_not_finite": len(bad)},
        "There are attributions that are NaN or infinite.",
        "look at these inputs, and for float16 at overflow",
        tuple(bad.tolist()),
    )


def _per_example(name: str, values: Any, count: int) -> np.ndarray:
    """(count,) float64; several for each example are averaged."""
    array = np.asarray(values, np.float64)
    if array.ndim == 2 and len(array) == count and array.shape[1]:
        array = array.mean(1)
    if array.shape not in ((), (count,)) or (name == "scores" and array.shape == () and count > 1):
        raise AttributionError(
            f"{name} must hold one number for each of the {count} examples; got shape {np.shape(values)}. "
            "Of an output with classes take the explained one: scores[range(n), target]"
        )
    if not np.isfinite(array).all():
        raise AttributionError(f"{name} holds NaN or infinity")
    return np.broadcast_to(array, (count,))


def _shapes(leaves: dict) -> str:
    return ", ".join(f"{'' if key is None else repr(key) + ' '}{leaf.shape}" for key, leaf in leaves.items())
