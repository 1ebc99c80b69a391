"""Does an attribution predict what a perturbation of the input does to the score?"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..attribution import Attribution
from ..attributor import Attributor
from ..common.errors import AttributionError
from ..common.types import present
from ..engine.method import Method
from ..methods import as_method
from .examples import Examples, attributed, case_of, check_scores, given_of, is_slope, joined, of_raw_columns, relevance
from .metric import Metric
from .perturbations import perturbation_of

MEASURABLE = (
    "it is of slopes, such as gradient, SmoothGrad of it and internal influence, and of contributions to the score, "
    "such as integrated gradients, DeepLIFT, gradient × input, occlusion and ablation: leave this method out, or the "
    "metric"
)


def infidelity(
    attributor: Attributor,
    result: Any,
    *,
    method: str | Method = "integrated_gradients",
    target: Any = None,
    baselines: Any = None,
    perturbation: Any = None,
    samples: int | None = None,
    normalise: bool = False,
    seed: int = 0,
) -> Metric:
    """How far an attribution is off as a prediction of what perturbations do to the score: lower is better, 0 is perfect.

    E over I of (I · phi - (F(x) - F(x - I)))², Yeh et al. 2019 (arXiv:1901.09392), definition 2.1. There phi is in units of
    slope, score per unit of input. Attributions in the unit of the score, such as integrated gradients, DeepLIFT, gradient ×
    input, occlusion and ablation, are divided by x - x' (the mean of x - x' over several baselines); features that equal their
    baseline have no such slope, are not perturbed, and a note says how many. `kind` of the result decides; one of your own that
    states none is a slope, unless it has a gap.

    Args:
        attributor: the model, with `at` and `of`.
        result: an `Attribution`, or inputs (n, ...), which are attributed by `method` for `target` against `baselines`.
        baselines: those of the attribution, x'; a given result must have been made against them (and with `seed`).
        perturbation: `Gaussian(stddev)`, `NoisyBaseline(stddev)`, `Squares(side)`, or an array (samples, ...) of I, the same
            for every example; default: Gaussian.
        samples: how many perturbations of each example are drawn, 200 unless given; an array brings its own number.
        normalise: multiply each example's attribution by the one number that serves it best, so that its scale is not
            measured (captum's normalize=True).
        seed: of the perturbations, and of random baselines and methods.

    Returns:
        A `Metric`: `values` (n,), in the square of the unit of the score; NaN where nothing could be perturbed,
            as where all features equal their baseline.

    Raises:
        AttributionError: a result whose scores at the baseline are other than those of `baselines`; a method that is no slope
            and no contribution of a feature: Grad-CAM, squares (VarGrad), ablation of groups, conductance at a layer; without
            `normalise` occlusion by windows of several positions.
    """
    if not isinstance(result, Attribution):
        method = as_method(method)
        check_method(method)
    found = attributed(attributor, result, method, target, baselines, seed)
    check_measurable(found)
    case = case_of(attributor, given_of(found), found.target, baselines, seed)
    return infidelities(case, [Slope.of(found, case, normalise)], perturbation, samples, normalise, seed)[0]


@dataclasses.dataclass(frozen=True, eq=False)
class Slope:
    """An attribution as score per unit of input, (n, features), and of which features it is not known."""

    method: str
    values: np.ndarray
    unknown: np.ndarray

    @classmethod
    def of(cls, result: Attribution, case: Examples, normalise: bool) -> "Slope":
        """That of a result: its attributions, or where these are in the unit of the score, divided by x - x'."""
        check_measurable(result)
        check_scores(result, case)
        if of_raw_columns(result, case):
            raise AttributionError(
                f"infidelity perturbs what columns are encoded to, and {result.method} is of the columns as they are: leave "
                'this method or the metric out, such as metrics=["aopc", "deletion", "insertion"]'
            )
        values = relevance(result, case)
        if is_slope(result):
            return cls(result.method, values, np.zeros(values.shape, bool))
        if result.taken_away:
            values = _shared_out(result, values, case, normalise)
        x = case.flat.astype(np.float64)
        # gradient × input knows no other baseline than zeros, whatever the others are compared with
        difference = x if result.baseline_is_zero else x - case.mean_reference(np.arange(len(case)))
        if not result.baseline_is_zero:
            _check_baseline(result, case)
        return cls(
            result.method, np.divide(values, difference, out=np.zeros_like(values), where=difference != 0), difference == 0
        )


# Kinds of numbers of which infidelity means nothing, and why.
UNFIT = {
    "map": "it is a map, which takes all channels together",
    "expectation": "its numbers are expected scores, which take all channels together",
    "square": "its attributions are squares, without a sign",
}


def check_method(method: Method) -> None:
    """Raises where attributions of a method are no slopes, and no contributions of features against a baseline."""
    _check_kind(repr(method), method.kind, method.uses_baseline)
    score = "the unit of the score"
    if method.kind in ("contribution", "effect") and method.unit(score) != score:
        raise AttributionError(
            f"infidelity means nothing of {method!r}: its attributions are in {method.unit(score)}, and not in {score}; "
            f"{MEASURABLE}"
        )


def _check_kind(method: str, kind: str, has_baseline: bool) -> None:
    if kind in UNFIT:
        raise AttributionError(
            f"infidelity means nothing of {method}: {UNFIT[kind]}; {MEASURABLE}; ta.metrics.compare takes other metrics: "
            "metrics=('deletion', 'insertion')"
        )
    if kind in ("contribution", "effect") and not has_baseline:
        raise AttributionError(
            f"infidelity divides {kind}s by x - x', and of {method or 'this result'} no baseline x' is known (a method says "
            f'uses_baseline = True; where it gives score per unit of the input, kind = "slope"); {MEASURABLE}'
        )


def check_measurable(result: Attribution) -> None:
    """Raises where a result cannot be made score per unit of what it is of."""
    _check_kind(result.method, result.kind, result.difference is not None or result.baseline_is_zero)
    if result.path_at and not is_slope(result):
        raise AttributionError(
            f"infidelity means nothing of {result.method} at {result.at}: its path and its baseline are at "
            f"{result.path_at}, so there is no x - x' here to divide by; {MEASURABLE}"
        )


def _shared_out(result: Attribution, values: np.ndarray, case: Examples, normalise: bool) -> np.ndarray:
    """Effects of groups, which every feature has in full, with an equal share for each feature."""
    if result.taken_away == "windows":  # all of one size in one tensor, and so off by one factor
        if normalise and len(case.x) == 1:
            return values
        raise AttributionError(
            f"infidelity means nothing of {result.method} as it is: each feature has the effect of whole windows"
            + (
                ", which are of several sizes in several tensors"
                if len(case.x) > 1
                else ": normalise=True leaves its scale out"
            )
            + "; take window=1, 'ablation' or 'shapley_sampling', or leave this method or the metric out"
        )
    if result.taken_away == "positions":  # with all their channels
        sizes = {key: np.full(x.shape, x.shape[-1] if x.ndim > 2 else 1) for key, x in case.x.items()}
        return values / joined(sizes)
    if np.any(result.groups < values.shape[1]):
        raise AttributionError(
            f"infidelity means nothing of {result.method}: {present(result.groups).min()} groups for {values.shape[1]} "
            "features, each of which has the effect of its whole group; leave groups out, "
            "method='ablation', or leave this method or the metric out"
        )
    return values


def _check_baseline(result: Attribution, case: Examples) -> None:
    """Raises where a result was made against another baseline than the references of `case`."""
    expected, found = result.scores - result.difference, case.baseline_scores.mean(1)
    if not np.allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(result.scores).max()):
        raise AttributionError(
            f"{result.method} was made against another baseline: the score there is {expected[0]:.4g} "
            f"(example 0), at these baselines {found[0]:.4g}; pass the baselines= and seed= that it was "
            "made with"
        )


def infidelities(
    case: Examples, slopes: Sequence[Slope], perturbation: Any, samples: int | None, normalise: bool, seed: int
) -> list[Metric]:
    """As `infidelity`, of several attributions with the same perturbations: the scores are evaluated once."""
    perturbation, samples = perturbation_of(case, perturbation, samples)
    unknown = np.any([slope.unknown for slope in slopes], axis=0)
    found = np.empty((len(slopes), len(case)))
    for example, rng in enumerate(case.generators(seed)):
        each = np.stack([slope.values[example] for slope in slopes], 1)
        dots, drops, moved = _compared(case, example, each, ~unknown[example], perturbation, samples, rng)
        scale = np.ones(len(slopes))
        if normalise:
            square = (dots**2).sum(0)
            scale = np.divide((dots * drops[:, None]).sum(0), square, out=np.zeros(len(slopes)), where=square > 0)
        # where nothing was moved nothing was measured, and 0 would be perfect
        found[:, example] = ((scale * dots - drops[:, None]) ** 2).mean(0) if moved else np.nan
    share = unknown.mean()
    notes = (f"{share:.1%} of the features equal their baseline: they have no slope and were not perturbed",) if share else ()
    notes += case.notes
    scaled = ", each attribution scaled to serve best" if normalise else ""
    settings = f"{samples} perturbations an example, {perturbation.words(case)}{scaled}"
    return [
        Metric("infidelity", values, slope.method, f"squared {case.unit}", "lower", settings, notes)
        for slope, values in zip(slopes, found, strict=True)
    ]


def _compared(
    case: Examples, example: int, slopes: np.ndarray, known: np.ndarray, perturbation, samples: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, bool]:
    """I · phi (samples, methods), F(x) - F(x - I) (samples,), and whether any I was not 0, of one example."""
    x, dtype = case.flat[example], case.session.function.dtype.as_numpy_dtype
    reference, dots, drops, moved = case.mean_reference(np.array([example]))[0], [], [], False
    for drawn in perturbation.draw(case, example, reference, samples, rng):
        rows = (x - drawn * known).astype(dtype)
        moved |= bool((rows != x).any())
        dots.append((x.astype(np.float64) - rows) @ slopes)  # what was subtracted in the dtype of the model
        drops.append(case.scores[example] - case.score(np.full(len(rows), example), lambda part, rows=rows: rows[part]))
    return np.concatenate(dots), np.concatenate(drops), moved
