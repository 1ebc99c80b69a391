"""Where the baseline lies: its distance, its range, and values that it shares with the input."""

from typing import Any

import numpy as np

from .. import remedies
from ..case import Examination
from ..catalogue import finding
from ..report import Finding

# Scores at both ends of the path that differ by less than this part of the larger: the path is flat. Inputs likewise.
FLAT, CLOSE = 0.02, 1e-3
# So many rows tell the range of each column; this share of the columns may lie outside it.
MANY_EXAMPLES, FEW_COLUMNS = 8, 0.1
# Attributions whose magnitudes add up to less than so many times that do not move the score either.
MOVED = 3.0
# How far beyond the range of the inputs, as a part of it, a baseline may lie.
BEYOND = 0.25
# From fewer values than this their range is hardly known, and the baseline may lie as far off again as the range is wide.
MANY_VALUES = 64
# Pixels at the low end of their range are background where they are so many.
BACKGROUND = 0.2


def check_distance(case: Examination) -> list[Finding]:
    """Paths that are too short, in values or in score."""
    relative, below = _distances(case), case.work.compared.baseline_scores
    scores = case.result.scores
    known = np.isfinite(scores) & np.isfinite(below).all(1) & np.isfinite(case.result.magnitudes)
    if not known.any():
        return []
    larger = np.maximum(np.maximum(np.abs(scores), np.abs(below).max(1)), 1e-12)
    change, moved = np.abs(scores - below.mean(1)) / larger, case.result.magnitudes / larger
    evidence = {"least_distance": float(relative.min()), "least_change_of_score": float(change[known].min())}
    remedy = remedies.examine(case, baselines=remedies.other_baseline(case))
    close = np.flatnonzero(relative < CLOSE)
    if len(close):
        return [
            finding(
                "baseline_too_close",
                "warning",
                evidence,
                f"The baseline is as good as the input itself in "
                f"{len(close)} of {case.count} examples (distance {relative.min():.2g} of their size): there is "
                "nothing to attribute.",
                remedy,
                close,
            )
        ]
    still = known & (change < FLAT)
    flat, cancels = np.flatnonzero(still & (moved < MOVED * FLAT)), np.flatnonzero(still & (moved >= MOVED * FLAT))
    if len(flat):
        i = int(flat[change[flat].argmin()])
        return [
            finding(
                "baseline_too_close",
                "warning" if 2 * len(flat) >= case.count else "note",
                evidence,
                f"In {len(flat)} of {case.count} examples the score hardly moves between baseline and input "
                f"({below[i].mean():.4g} to {scores[i]:.4g} in example {i}): the path stays in a flat region.",
                remedy,
                flat,
            )
        ]
    if len(cancels):
        i = int(cancels[change[cancels].argmin()])
        return [
            finding(
                "baseline_too_close",
                "note",
                evidence,
                f"In {len(cancels)} of {case.count} examples the score at the "
                f"input is nearly that at the baseline ({below[i].mean():.4g} and {scores[i]:.4g} in example {i}), "
                "while single features move it: what speaks for and against cancels.",
                f"{remedies.attribute(case)}.top(5)",
                cancels,
            )
        ]
    return [
        finding(
            "baseline_too_close",
            "passed",
            evidence,
            "Baseline and input are far enough from each other: the score "
            f"changes by {evidence['least_change_of_score']:.0%} of its size at least.",
        )
    ]


def _distances(case: Examination) -> np.ndarray:
    """(n,), the largest distance of an input to its references, relative to the size of both."""
    n, relative = case.count, np.zeros(case.count)
    for number in range(case.references):
        pairs = [(x.reshape(n, -1).astype(np.float64), case.reference(key, number).reshape(n, -1)) for key, x in case.x.items()]
        distance = sum(((x - reference) ** 2).sum(1) for x, reference in pairs)
        length = sum((x**2).sum(1) + (reference.astype(np.float64) ** 2).sum(1) for x, reference in pairs)
        relative = np.maximum(relative, np.sqrt(distance / np.maximum(length, 1e-300)))
    return relative


def check_range(case: Examination) -> list[Finding]:
    """Baselines outside the range of the inputs; zeros that are gray, or none of categories that each example has."""
    if case.place.kind not in ("inputs", "encoded"):
        return []
    numbers = [key for key, own in zip(case.x, case.place.ports, strict=True) if own in case.session.sources]
    found, seen = [_no_category(case, key) for key in case.x if key not in numbers and _has_no_category(case, key)], {}
    for key in numbers:
        x = case.x[key]
        low, high = float(x.min()), float(x.max())
        if not low < high:  # one value everywhere: no range is known
            continue
        used, of = case.work.tables.references.tables[key], f" of {key!r}" if len(case.x) > 1 else ""
        least, most = float(used.min()), float(used.max())
        seen[str("input" if key is None else key)] = [low, high]
        evidence = {"inputs": [low, high], "baseline": [least, most]}
        room = (BEYOND if x.size >= MANY_VALUES else 1) * (high - low)
        if least < low - room or most > high + room:
            found.append(
                finding(
                    "baseline_outside_the_data",
                    "warning",
                    evidence,
                    f"The baseline{of} lies in [{least:.3g}, "
                    f"{most:.3g}], the inputs in [{low:.3g}, {high:.3g}]: the path begins where the model was "
                    "not trained, if these inputs are like those of its training.",
                    remedies.attribute(case, baselines=remedies.other_baseline(case)),
                )
            )
        elif x.ndim == 2 and len(x) >= MANY_EXAMPLES:
            found += _columns_outside(case, key, x, used)
        elif _gray(x, used, low, high):
            share = float(np.mean(x <= low + 1e-3 * (high - low)))
            found.append(
                finding(
                    "zero_is_gray",
                    "warning",
                    {**evidence, "share_of_pixels_at_the_low_end": share},
                    "The "
                    f"images lie in [{low:.3g}, {high:.3g}], and {share:.0%} of their pixels are at the low end: "
                    "a baseline of zeros is gray, and the background gets attributions.",
                    remedies.attribute(case, baselines=f"ta.constant({low:.3g})"),
                )
            )
    if found or not seen:
        return found
    return [
        finding(
            "baseline_outside_the_data",
            "passed",
            {"inputs": seen},
            "The baseline lies within the range of the inputs, or near it.",
        )
    ]


def _has_no_category(case: Examination, key: Any) -> bool:
    """Whether each example has one of the categories, and a baseline none."""
    x, used = case.x[key], case.work.tables.references.tables[key]
    one_hot = bool(np.isin(x, (0, 1)).all() and (x.sum(-1) == 1).all())
    return one_hot and not used.reshape(len(used), -1).any(1).all()


def _no_category(case: Examination, key: Any) -> Finding:
    column = case.place.columns.get(key, "input" if key is None else key)
    return finding(
        "baseline_outside_the_data",
        "warning",
        {"column": str(column)},
        f"The baseline has none of the categories of {column!r}, and every example has one: the path begins where the "
        "model was not trained.",
        remedies.attribute(case, baselines=remedies.some_inputs(case)),
    )


def _columns_outside(case: Examination, key: Any, x: np.ndarray, used: np.ndarray) -> list[Finding]:
    """Columns of a table, each with a range of its own."""
    low, high = x.min(0).astype(np.float64), x.max(0).astype(np.float64)
    room = np.where(high > low, BEYOND * (high - low), np.inf)
    beyond = (used < low - room) | (used > high + room)
    outside = np.flatnonzero(beyond.any(0))
    if len(outside) <= FEW_COLUMNS * x.shape[1]:
        return []
    i = int(outside[0])
    names = case.result.names_of(key)
    column = repr(names[i]) if len(names) == x.shape[1] else repr(key) if x.shape[1] == 1 and key is not None else i
    among = f"In {len(outside)} of {x.shape[1]} columns the" if x.shape[1] > 1 else "The"
    return [
        finding(
            "baseline_outside_the_data",
            "warning",
            {"columns": outside, "of": x.shape[1]},
            f"{among} baseline lies outside the range of the inputs, such as "
            f"{used[beyond[:, i].argmax(), i]:.3g} where column "
            f"{column} has {low[i]:.3g} to {high[i]:.3g}: the path begins where the model was not trained.",
            remedies.attribute(case, baselines=remedies.some_inputs(case)),
        )
    ]


def _gray(x: np.ndarray, used: np.ndarray, low: float, high: float) -> bool:
    """Whether zeros are amid the range of images that have a background at its low end."""
    image = x.ndim == 4 and x.shape[-1] in (1, 3, 4)
    return bool(image and not used.any() and low < -0.25 * high and np.mean(x <= low + 1e-3 * (high - low)) > BACKGROUND)


def check_equal_features(case: Examination) -> list[Finding]:
    """Features that equal their baseline: how many, and whether the score would move with them."""
    if case.place.kind != "inputs":
        return []
    equal = {
        key: np.logical_and.reduce([case.reference(key, number) == x for number in range(case.references)])
        for key, x in case.x.items()
    }
    share = sum(int(one.sum()) for one in equal.values()) / sum(one.size for one in equal.values())
    if not share or share == 1:  # a baseline that is the input itself is another finding
        return []
    there = everywhere = 0.0
    for key, gradient in case.end_gradients[1].items():
        size = np.nan_to_num(np.abs(gradient.astype(np.float64)), posinf=0)
        there, everywhere = there + float(size[equal[key][: case.few]].sum()), everywhere + float(size.sum())
    of_gradient = there / everywhere if everywhere else 0.0
    return [
        finding(
            "features_at_baseline",
            "note",
            {"share_of_features": share, "share_of_gradient": of_gradient},
            f"{share:.0%} of the features equal their baseline and get zero by construction. The gradient at the "
            f"input has {of_gradient:.0%} of its magnitude there: whether their absence matters, these attributions "
            "cannot say.",
            remedies.attribute(case, baselines=remedies.other_baseline(case)),
        )
    ]
