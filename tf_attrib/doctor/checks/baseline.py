"""Checks of the baseline: is it neutral for the model, far enough from the input, and within what the model knows?"""

import numpy as np

from ...common.errors import AttributionError
from ...common.types import present
from .. import remedies
from ..case import Examination
from ..catalogue import finding
from ..report import Finding

# Entropy of the classes at the baseline, as a part of the most possible.
LOW_ENTROPY = 0.7
# A class whose probability at the baseline exceeds 1/classes by more than this is favoured.
FAVOURED = 0.15
# A default class is had with at least this probability; symmetric classes differ by at most this.
SURE, SYMMETRIC = 0.9, 0.15
# Of so many classes each is near zero where all are equal, as long as the input scores twice that.
MANY, SOME = 5, 0.5
# A score at the baseline within this of the score's own size is near zero.
NEAR_ZERO = 0.1


def check_classes(case: Examination) -> list[Finding]:
    """The distribution over classes at the baseline, averaged over references: default class, favoured class, entropy."""
    each = case.probabilities
    if each is None or not np.isfinite(each).all():
        return []
    mean = each.mean(1)
    if case.default_class is not None:
        return [_default_class(case, mean)]
    classes = mean.shape[-1]
    entropy = float(np.mean(_entropy(each)))
    evidence = {"entropy": entropy, "most_possible": float(np.log(classes)), "relative": entropy / float(np.log(classes))}
    favoured = np.flatnonzero(mean.max(1) - 1 / classes > FAVOURED)
    if len(favoured):
        return [_favoured(case, mean, favoured, evidence)]
    whose = "of the explained unit (on or off)" if case.of_one_unit else f"of the {classes} classes"
    said = (
        f"The entropy {whose} at the baseline is {entropy:.3g} of at most {np.log(classes):.3g} nats "
        f"({evidence['relative']:.0%})"
    )
    if evidence["relative"] < LOW_ENTROPY:
        return [
            finding(
                "baseline_entropy",
                "warning",
                evidence,
                f"{said}: the model sees some classes in it, and artifacts of the baseline leak into the attributions.",
                remedies.examine(case, baselines=remedies.other_baseline(case)),
            )
        ]
    return [
        finding(
            "baseline_entropy",
            "passed",
            evidence,
            f"{said}: it is neutral. This is necessary and not sufficient: an adversarial input can have high entropy too.",
        )
    ]


def _entropy(distributions: np.ndarray) -> np.ndarray:
    """In nats, over the last axis."""
    p = np.clip(distributions, 0, 1)
    return -(p * np.log(np.where(p > 0, p, 1))).sum(-1)


def _default_class(case: Examination, mean: np.ndarray) -> Finding:
    """Whether the baseline has the default class, or symmetric classes are balanced."""
    classes, wanted = mean.shape[-1], case.default_class
    if wanted == 0.5:
        off = float(np.abs(mean - 1 / classes).max())
        evidence = {"largest_probability": float(mean.max()), "balanced": 1 / classes}
        if off <= SYMMETRIC:
            return finding(
                "baseline_default_class",
                "passed",
                evidence,
                f"No class is the default: at the baseline all are within {off:.2g} of {1 / classes:.3g}.",
            )
        return finding(
            "baseline_default_class",
            "warning",
            evidence,
            "The classes were said to be symmetric, and at the "
            f"baseline one has {mean.max():.1%} in place of {1 / classes:.3g}: the attributions are partly the "
            "baseline's.",
            remedies.examine(case, baselines=remedies.other_baseline(case)),
        )
    if wanted >= classes:
        raise AttributionError(
            f"default_class={wanted}: there are classes 0 to {classes - 1}"
            + (" (the explained unit, off and on)" if case.of_one_unit else "")
        )
    own, words = mean[:, int(present(wanted))], case.class_words(int(present(wanted)))
    evidence = {"default_class": int(present(wanted)), "probability": float(own.min())}
    if own.min() >= SURE:
        return finding(
            "baseline_default_class",
            "passed",
            evidence,
            f"The baseline has the default {words} with "
            f"{own.min():.1%}: what is attributed is the evidence against it, over the whole range of the score.",
        )
    return finding(
        "baseline_default_class",
        "warning",
        evidence,
        f"The default {words} has only {own.min():.1%} "
        "at the baseline: the model sees a signal in it. Better are real inputs without one: "
        "ta.dataset(samples).",
        remedies.examine(case, baselines=remedies.other_baseline(case)),
        np.flatnonzero(own < SURE) if len(np.unique(own)) > 1 else (),
    )


def _favoured(case: Examination, mean: np.ndarray, which: np.ndarray, evidence: dict) -> Finding:
    """A baseline that the model takes for a class, and how much of the attributions is the baseline's own."""
    classes, explained = mean.shape[-1], case.explained_class
    favourite, highest = int(mean[which[0]].argmax()), float(mean[which[0]].max())
    neutral, at_baseline = 1 / classes, mean[np.arange(case.count), explained]
    at_input = case.result.scores if case.output.unit == "probability" else None
    evidence = {"class": favourite, "probability": highest, "neutral": neutral, **evidence}
    name = f"{'on' if favourite else 'off'} in the explained unit" if case.of_one_unit else case.class_words(favourite)
    said = f"The model takes the baseline for {name}, with {highest:.1%} in place of {neutral:.3g}"
    own_share = 1.0
    if at_input is not None:
        own = np.abs(at_baseline - neutral)
        share = own / np.maximum(np.maximum(np.abs(at_input - at_baseline), np.abs(at_input - neutral)), 1e-12)
        own_share = evidence["share_of_the_baseline"] = float(np.median(share))
        said += f": {np.median(share):.0%} of the difference of scores (median) is the baseline's own, not the input's"
    # of many classes one may stand out a little, and hardly anything be the baseline's
    slight = own_share < NEAR_ZERO and evidence["relative"] >= LOW_ENTROPY
    return finding(
        "baseline_favours_a_class",
        "note" if slight else "warning",
        evidence,
        f"{said}. If that class means that nothing is there, it "
        "is the default class; else average over several baselines, or retrain with a further class that is fed "
        "with baselines.",
        f"{remedies.examine(case, default_class=favourite)}  # or baselines={remedies.other_baseline(case)}",
        which if len(which) < case.count else (),
    )


def check_score(case: Examination) -> list[Finding]:
    """Whether the score at the baseline is near zero."""
    scores, below = case.result.scores, case.work.compared.baseline_scores.mean(1)
    if not all(np.isfinite(one).all() for one in (scores, below, case.result.magnitudes)):
        return []
    share = np.abs(below) / np.maximum(np.abs(scores), 1e-12)
    allowed = np.full(case.count, NEAR_ZERO)
    if case.probabilities is not None and case.probabilities.shape[-1] >= MANY:  # equal classes are as near as it gets
        allowed[np.abs(below) <= 1.5 / case.probabilities.shape[-1]] = SOME
    evidence = {
        "score": float(np.median(scores)),
        "score_at_baseline": float(np.median(below)),
        "largest": float(np.abs(below).max()),
        "largest_share": float(share.max()),
    }
    far = np.flatnonzero(share > allowed)
    if not len(far):
        said = (
            "near zero"
            if share.max() <= NEAR_ZERO
            else f"as near zero as {present(case.probabilities).shape[-1]} classes let it come"
        )
        return [
            finding(
                "baseline_score",
                "passed",
                evidence,
                f"The score at the baseline is {said}: it is {share.max():.0%} "
                f"of that at the input at most ({np.median(share):.0%} in the median), and the attributions account "
                "for the rest.",
            )
        ]
    i = int(far[share[far].argmax()])
    return [
        finding(
            "baseline_score",
            "note",
            evidence,
            f"The score at the baseline is not near zero, such as {below[i]:.3g} "
            f"where the input has {scores[i]:.3g} (example {i}): attributions explain the difference of "
            f"{scores[i] - below[i]:.3g} alone.",
            f"{remedies.attribute(case)}.difference  # what they add up to",
            far if len(far) < case.count else (),
        )
    ]
