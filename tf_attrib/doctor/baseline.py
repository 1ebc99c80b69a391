"""Checks of the baseline: is it neutral for the model, far enough from the input, and within what the model knows?"""

import numpy as np

from .case import Case
from .catalogue import finding
from .findings import Finding

# Entropy of the classes at the baseline, as a part of the most possible.
LOW_ENTROPY = 0.7
# A class whose probability at the baseline exceeds 1/classes by more than this is favoured.
FAVOURED = 0.15
# A default class is had with at least this probability; symmetric classes differ by at most this.
SURE, SYMMETRIC = 0.9, 0.15
# A score at the baseline within this of the score's own size is near zero.
NEAR_ZERO = 0.1
# Of so many classes each is near zero where all are equal.
MANY = 5
# Scores at both ends of the path that differ by less than this part of the larger: the path is flat. Inputs likewise.
FLAT, CLOSE = 0.02, 1e-3
# How far beyond the range of the inputs, as a part of it, a baseline may lie.
BEYOND = 0.25
# Pixels at the low end of their range are background where they are so many.
BACKGROUND = 0.2


def check_classes(case: Case) -> list[Finding]:
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
    said = f"The entropy of the {classes} classes at the baseline is {entropy:.3g} of at most {np.log(classes):.3g} nats " \
           f"({evidence['relative']:.0%})"
    if evidence["relative"] < LOW_ENTROPY:
        return [finding("baseline_entropy", "warning", evidence, f"{said}: the model sees some classes in it, and artifacts "
                        "of the baseline leak into the attributions.", "ta.diagnose(attributor, inputs, "
                        "baselines=ta.uniform(8, low, high))")]
    return [finding("baseline_entropy", "passed", evidence, f"{said}: it is neutral. This is necessary and not sufficient: an "
                    "adversarial input can have high entropy too.")]


def _entropy(distributions: np.ndarray) -> np.ndarray:
    """In nats, over the last axis."""
    p = np.clip(distributions, 0, 1)
    return -(p * np.log(np.where(p > 0, p, 1))).sum(-1)


def _default_class(case: Case, mean: np.ndarray) -> Finding:
    """Whether the baseline has the default class, or symmetric classes are balanced."""
    classes, wanted = mean.shape[-1], case.default_class
    if wanted == 0.5:
        off = float(np.abs(mean - 1 / classes).max())
        evidence = {"largest_probability": float(mean.max()), "balanced": 1 / classes}
        if off <= SYMMETRIC:
            return finding("baseline_default_class", "passed", evidence, "No class is the default: at the baseline all are "
                           f"within {off:.2g} of {1 / classes:.3g}.")
        return finding("baseline_default_class", "warning", evidence, "The classes were said to be symmetric, and at the "
                       f"baseline one has {mean.max():.1%} in place of {1 / classes:.3g}: the attributions are partly the "
                       "baseline's.",
                       "ta.diagnose(attributor, inputs, baselines=ta.uniform(8, low, high), default_class=0.5)")
    own = mean[:, min(int(wanted), classes - 1)]
    evidence = {"default_class": int(wanted), "probability": float(own.min())}
    if own.min() >= SURE:
        return finding("baseline_default_class", "passed", evidence, f"The baseline has the default class {int(wanted)} with "
                       f"{own.min():.1%}: what is attributed is the evidence against it, over the whole range of the score.")
    return finding("baseline_default_class", "warning", evidence, f"The default class {int(wanted)} has only {own.min():.1%} "
                   "at the baseline: the model sees a signal in it.", "ta.diagnose(attributor, inputs, "
                   f"baselines=ta.dataset(samples_without_a_signal), default_class={int(wanted)})",
                   np.flatnonzero(own < SURE) if len(np.unique(own)) > 1 else ())


def _favoured(case: Case, mean: np.ndarray, which: np.ndarray, evidence: dict) -> Finding:
    """A baseline that the model takes for a class, and how much of the attributions is the baseline's own."""
    classes, explained = mean.shape[-1], case.explained_class
    favourite, highest = int(mean[which[0]].argmax()), float(mean[which[0]].max())
    neutral, at_baseline = 1 / classes, mean[np.arange(case.count), explained]
    at_input = case.result.scores if case.output.unit == "probability" else None
    evidence = {"class": favourite, "probability": highest, "neutral": neutral, **evidence}
    said = f"The model takes the baseline for class {favourite}, with {highest:.1%} in place of {neutral:.3g}"
    if at_input is not None:
        own = np.abs(at_baseline - neutral)
        share = own / np.maximum(np.maximum(np.abs(at_input - at_baseline), np.abs(at_input - neutral)), 1e-12)
        evidence["share_of_the_baseline"] = float(np.median(share))
        said += f": {np.median(share):.0%} of the difference of scores (median) is the baseline's own, not the input's"
    return finding("baseline_favours_a_class", "warning", evidence, f"{said}. If that class means that nothing is there, it "
                   "is the default class; else average over several baselines, or retrain with a further class that is fed "
                   "with baselines.",
                   f"ta.diagnose(attributor, inputs, default_class={favourite})  # or baselines=ta.uniform(8, low, high)",
                   which if len(which) < case.count else ())


def check_score(case: Case) -> list[Finding]:
    """Whether the score at the baseline is near zero."""
    scores, below = case.result.scores, case.work.compared.baseline_scores.mean(1)
    if not np.isfinite(scores).all() or not np.isfinite(below).all():
        return []
    share = np.abs(below) / np.maximum(np.abs(scores), 1e-12)
    if case.probabilities is not None and case.probabilities.shape[-1] >= MANY:  # equal classes are as near as it gets
        share[np.abs(below) <= 1.5 / case.probabilities.shape[-1]] = 0
    evidence = {"score": float(np.median(scores)), "score_at_baseline": float(np.median(below)),
                "largest": float(np.abs(below).max())}
    far = np.flatnonzero(share > NEAR_ZERO)
    if not len(far):
        return [finding("baseline_score", "passed", evidence, "The score at the baseline is near zero "
                        f"({np.abs(below).max():.3g} at most): the attributions account for the whole score.")]
    i = int(share.argmax())
    return [finding("baseline_score", "note", evidence, f"The score at the baseline is not near zero, such as {below[i]:.3g} "
                    f"where the input has {scores[i]:.3g} (example {i}): attributions explain the difference of "
                    f"{scores[i] - below[i]:.3g} alone.",
                    "result.difference  # what they add up to", far if len(far) < case.count else ())]


def check_distance(case: Case) -> list[Finding]:
    """Paths that are too short, in values or in score."""
    n, relative = case.count, np.zeros(case.count)
    for number in range(case.references):
        pairs = [(x.reshape(n, -1).astype(np.float64), case.reference(key, number).reshape(n, -1)) for key, x in case.x.items()]
        distance = sum(((x - reference) ** 2).sum(1) for x, reference in pairs)
        length = sum((x ** 2).sum(1) + (reference.astype(np.float64) ** 2).sum(1) for x, reference in pairs)
        relative = np.maximum(relative, np.sqrt(distance / np.maximum(length, 1e-300)))
    scores, below = case.result.scores, case.work.compared.baseline_scores
    larger = np.maximum(np.abs(scores), np.abs(below).max(1))
    change = np.abs(scores - below.mean(1)) / np.maximum(larger, 1e-12)
    evidence = {"least_distance": float(relative.min()), "least_change_of_score": float(change.min())}
    close, flat = np.flatnonzero(relative < CLOSE), np.flatnonzero((change < FLAT) & (relative >= CLOSE))
    remedy = "ta.diagnose(attributor, inputs, baselines=ta.uniform(8, low, high))"
    if len(close):
        return [finding("baseline_too_close", "warning", evidence, "The baseline is as good as the input itself in "
                        f"{len(close)} of {n} examples (distance {relative.min():.2g} of their size): there is nothing to "
                        "attribute.", remedy, close)]
    if len(flat):
        i = int(flat[change[flat].argmin()])
        return [finding("baseline_too_close", "warning", evidence, f"In {len(flat)} of {n} examples the score hardly changes "
                        f"from the baseline to the input ({below[i].mean():.4g} to {scores[i]:.4g} in example {i}): the path "
                        "stays in a flat region, or what speaks for and against cancels.", remedy, flat)]
    return [finding("baseline_too_close", "passed", evidence, "Baseline and input are far enough from each other: the score "
                    f"changes by {change.min():.0%} of its size at least.")]


def check_range(case: Case) -> list[Finding]:
    """Baselines outside the range of the inputs; zeros that are gray."""
    if case.place.kind != "inputs":
        return []
    found, seen = [], {}
    for key, x in case.x.items():
        low, high = float(x.min()), float(x.max())
        used = case.work.tables.references.tables[key]
        least, most = float(used.min()), float(used.max())
        room = BEYOND * (high - low)
        seen[str("input" if key is None else key)] = [low, high]
        evidence = {"inputs": [low, high], "baseline": [least, most]}
        if high > low and (least < low - room or most > high + room):
            found.append(finding("baseline_outside_the_data", "warning", evidence, f"The baseline lies in [{least:.3g}, "
                                 f"{most:.3g}], the inputs in [{low:.3g}, {high:.3g}]: the path begins where the model was "
                                 "not trained.",
                                 f"attributor.attribute(inputs, baselines=ta.constant({low:.3g}))  # or ta.dataset(samples)"))
        elif _gray(x, used, low, high):
            share = float(np.mean(x <= low + 1e-3 * (high - low)))
            found.append(finding("zero_is_gray", "warning", {**evidence, "share_of_pixels_at_the_low_end": share}, "The "
                                 f"images lie in [{low:.3g}, {high:.3g}], and {share:.0%} of their pixels are at the low end: "
                                 "a baseline of zeros is gray, and the background gets attributions.",
                                 f"attributor.attribute(inputs, baselines=ta.constant({low:.3g}))"))
    if found:
        return found
    return [finding("baseline_outside_the_data", "passed", {"inputs": seen}, "The baseline lies within the range of the "
                    "inputs.")]


def _gray(x: np.ndarray, used: np.ndarray, low: float, high: float) -> bool:
    """Whether zeros are amid the range of images that have a background at its low end."""
    image = x.ndim == 4 and x.shape[-1] in (1, 3, 4)
    return image and not used.any() and low < -0.25 * high and np.mean(x <= low + 1e-3 * (high - low)) > BACKGROUND


def check_equal_features(case: Case) -> list[Finding]:
    """Features that equal their baseline: how many, and whether the score would move with them."""
    if case.place.kind != "inputs":
        return []
    equal = {key: np.logical_and.reduce([case.reference(key, number) == x for number in range(case.references)])
             for key, x in case.x.items()}
    share = sum(int(one.sum()) for one in equal.values()) / sum(one.size for one in equal.values())
    if not share or share == 1:  # a baseline that is the input itself is another finding
        return []
    there = everywhere = 0.0
    for key, gradient in case.end_gradients[1].items():
        size = np.nan_to_num(np.abs(gradient.astype(np.float64)), posinf=0)
        there, everywhere = there + float(size[equal[key][:case.few]].sum()), everywhere + float(size.sum())
    of_gradient = there / everywhere if everywhere else 0.0
    return [finding("features_at_baseline", "note", {"share_of_features": share, "share_of_gradient": of_gradient},
                    f"{share:.0%} of the features equal their baseline and get zero by construction. The gradient at the "
                    f"input has {of_gradient:.0%} of its magnitude there: whether their absence matters, these attributions "
                    "cannot say.",
                    "attributor.attribute(inputs, baselines=ta.uniform(8, low, high))")]
