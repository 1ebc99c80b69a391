"""Checks of the output: is it flat at the input, is it one score for each example, is the explained class the predicted one?"""

import numpy as np

from ...result.similarity import cosine_of, rank_correlation_of
from ...result.words import SATURATED
from ...selection.at_and_of import Of
from .. import remedies
from ..case import Examination
from ..catalogue import finding
from ..report import Finding
from .compare import rows

# Two attributions whose ranks agree less than this tell different stories.
ALIKE = 0.7


def check_saturation(case: Examination) -> list[Finding]:
    """What share of the difference of scores the gradient at the input accounts for."""
    shares = case.result.gradient_share
    if shares is None:
        return []
    shares = np.where(np.isfinite(case.result.magnitudes), shares, np.nan)  # what was marked has no gradient to speak of
    known = np.abs(shares[np.isfinite(shares)])
    if not known.size:
        return []
    flat = np.flatnonzero(np.abs(shares) < SATURATED)
    evidence = {
        "median_share": float(np.median(known)),
        "least_share": float(known.min()),
        "saturated": len(flat),
        "of": case.count,
    }
    if not len(flat):
        return [
            finding(
                "saturated_head",
                "passed",
                evidence,
                f"The gradient at the input accounts for {np.median(known):.0%} "
                "of the difference of scores (median): the output is not flat there.",
            )
        ]
    return [
        finding(
            "saturated_head",
            "note",
            evidence,
            f"The score is flat at the input of {len(flat)} of {case.count} "
            f"examples: the gradient there accounts for as little as {known.min():.2g} of the difference of scores. A "
            "plain gradient says next to nothing here; integrated gradients take in the path, where the score arises.",
            _along_the_path(case),
            flat,
        )
    ]


def _along_the_path(case: Examination) -> str:
    """A call that shows where the score arises; of several baselines there is no one path to show."""
    if case.work.tables.references.count > 1:
        return remedies.attribute(case)
    return f'{remedies.attribute(case, method=remedies.quoted("interior_gradients"))}.plot(kind="saturation")'


def check_unit(case: Examination) -> list[Finding]:
    """Whether the logit tells the same story as the probability."""
    name = getattr(case.attributor.of, "name", None)
    if name is not None and name not in case.session.function.traced.outputs:
        return []  # a tensor, with no head of its own
    if case.output.unit == "probability" and case.output.log_odds is not None:
        other, word, named = Of("logits", name), "logit", "logits"
    elif case.output.unit == "logit":
        other, word, named = Of("probability", name), "probability", "probability"
    else:
        return []
    mine, its = rows(case, case.coarsely(case.attributor.explaining(other)))
    if not len(mine):
        return []
    ranks, angles = rank_correlation_of(mine, its), cosine_of(mine, its)
    if not np.isfinite(ranks).any():
        return []
    rank, least, angle = float(np.nanmedian(ranks)), float(np.nanmin(ranks)), float(np.nanmedian(angles))
    evidence = {"rank_correlation": rank, "least_rank_correlation": least, "cosine": angle}
    said = (
        f"Explaining the {word} instead gives a rank correlation of {rank:.2f} (least {least:.2f}) with these "
        f"attributions, cosine {angle:.2f}, in {len(ranks)} example{'s' if len(ranks) > 1 else ''}"
    )
    if rank >= ALIKE and angle >= ALIKE:
        return [finding("probability_or_logit", "passed", evidence, f"{said}: the same story.")]
    return [
        finding(
            "probability_or_logit",
            "note",
            evidence,
            f"{said}: the logit counts all evidence alike, the probability "
            "what still changes it, and of softmax what tells this class from the others.",
            remedies.attribute(case, of=f"ta.{named}({name!r})" if name else remedies.quoted(named)),
        )
    ]


def check_shape(case: Examination) -> list[Finding]:
    """An output that is not one score, or one of each class, for each example."""
    shape = case.session.shape(case.work.ready)
    target = case.work.tables.target
    if len(shape) > 1:
        taken = [tuple(int(i) for i in row) for row in target]
        evidence = {"shape": list(shape), "target": list(taken[0])}
        if not case.target_given:
            return [
                finding(
                    "output_has_positions",
                    "warning",
                    evidence,
                    f"The output has {shape} values for each example, "
                    f"and no target was given: this is about the highest of them, {taken[0]} in example 0.",
                    remedies.attribute(case),
                )
            ]
        every = f"({', '.join(['position', *map(str, taken[0][1:])])}{',' if len(shape) == 1 else ''})"
        return [
            finding(
                "output_has_positions",
                "note",
                evidence,
                f"The output has {shape} values for each example; these "
                f"attributions are of one, {taken[0]}. Every position has attributions of its own.",
                f"[{remedies.attribute(case, target=every)} for position in range({shape[0]})]",
            )
        ]
    if not case.target_given and target.shape[1] and not case.output.has_classes and shape and shape[0] > 1:
        return [
            finding(
                "no_target",
                "warning",
                {"units": int(shape[0]), "taken": int(target[0, 0])},
                "The output has "
                f"{shape[0]} units and no softmax or sigmoid, so none of them is predicted, and no target was given: "
                f"this is about the highest, unit {int(target[0, 0])} in example 0.",
                remedies.attribute(case),
            )
        ]
    return []


def check_target(case: Examination) -> list[Finding]:
    """Examples whose explained class is not the predicted one."""
    predicted, target = case.result.predicted, case.result.target
    if predicted is None or target is None or target.ndim != 1 or not case.target_given:
        return []
    others = np.flatnonzero(predicted != target)
    if not len(others):
        return [finding("target_not_predicted", "passed", {"examples": 0}, "The explained class is the predicted one.")]
    i = others[0]
    said, explained = (case.class_words(int(classes[i])) for classes in (predicted, target))
    highest = float(case.values[i].max())
    evidence = {"examples": len(others), "of": case.count, "score": float(case.result.scores[i]), "score_of_predicted": highest}
    return [
        finding(
            "target_not_predicted",
            "note",
            evidence,
            f"In {len(others)} of {case.count} examples another class is predicted than the explained one: example "
            f"{i} is {said} with {highest:.3g}, explained is {explained} with {case.result.scores[i]:.3g}. "
            "Green is what spoke for a class that lost.",
            f"{remedies.attribute(case, target='None')}  # explains the predicted class",
            others,
        )
    ]
