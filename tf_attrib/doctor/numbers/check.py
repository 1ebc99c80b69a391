"""`ta.check_attributions`: numbers from anywhere, another library too, and which common error explains them.

The errors are in `hypotheses`, each as an equation; which of them holds, and by what margin, is decided in `judging`. Here
what was given is made comparable: arrays by key, scores for each example, and with a model the right numbers.
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
from ..report import Finding, Report
from .given import GivenNumbers, sums_of
from .judging import FLOOR, REFERENCE, TOLERANCE, verdict


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
    return Report((*verdict(given, tolerance), *findings), subject)


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
