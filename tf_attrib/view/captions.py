"""Numbers in words: the sentences of captions, which say what a picture shows and what it hides."""

import numpy as np

from ..common.digits import count as count
from ..common.digits import short
from ..common.nested import flatten
from ..common.types import present
from ..result.adding_up import are_summed
from ..result.result import Result
from ..result.words import class_words, entry_name
from ..result.words import status_words as in_words


def number(value: float | np.floating) -> str:
    """A number to three significant digits, with a thousands separator where it is large: "0.0123", "4,120"."""
    value = float(value)
    if not np.isfinite(value) or value == 0:
        return f"{value:g}"
    if 1000 <= abs(value) < 1e7:
        return f"{round(value):,}"
    if round(abs(value), 3) == 1 and abs(value) != 1:
        return short(value, 6)
    return f"{value:.3g}"


def times(ratio: float) -> str:
    """A ratio of at least one as "1.3 times" or "4,000 times", to two significant digits."""
    ratio = float(f"{ratio:.2g}")
    return f"{ratio:.2g} times" if ratio < 100 else f"{ratio:,.0f} times"


def percent(share: float) -> str:
    """A share (0 to 1, or beyond) as a percentage to two significant digits; what is short of all is never "100%"."""
    if not np.isfinite(share):
        return f"{share:g}"
    value = 100 * float(share) + 0.0  # no "-0"
    if 99.5 <= value < 100 - 1e-9:
        return ">99%"
    if 0 < abs(value) < 0.01:
        return "<0.01%"
    return f"{value:,.0f}%" if abs(value) >= 10 or value == 0 else f"{value:.2g}%"


def mean_baseline(result: Result, example: int) -> float | None:
    """The score at the baseline, averaged where there are several baselines; None where the method has none."""
    return None if result.baseline_scores is None else float(np.mean(result.baseline_scores[example]))


def attribution_unit(result: Result) -> str:
    """The unit of the attributions; that of the score where a result made by hand does not say."""
    return result.attribution_unit or result.unit


def target_words(result: Result, example: int) -> str:
    """ "class 3", "target (4, 2)", or nothing where the output has one unit only."""
    if result.target is None:
        return ""
    target = np.asarray(result.target[example])
    if target.ndim == 0:
        return class_words(result, target.item())
    name = result.class_names.get(int(target[-1]))
    return f"target ({', '.join(str(int(index)) for index in target)})" + (f", {name}" if name is not None else "")


def gap_words(result: Result, example: int) -> str:
    """The gap in percent of the difference of scores, or as it is where that difference is nearly zero."""
    if result.gap is None:
        return ""
    gap = float(result.gap[example])
    if not np.isfinite(gap):
        return "gap not known"
    baseline = mean_baseline(result, example)
    if baseline is None:
        return f"gap {number(gap)}"
    score = float(result.scores[example])
    difference = score - baseline
    if np.isnan(present(result.relative_gap)[example]):
        return f"gap {number(gap)} (score and baseline score differ by only {number(difference)}: no percentage)"
    return f"gap {percent(gap / difference)} of the difference"


def status_words(result: Result, example: int) -> str:
    """What is wrong with this example and the remedy; nothing where it converged or the method states no status."""
    return in_words(result, example, percent)


def title(result: Result, example: int, name: str | None = None) -> str:
    """One line: which example, target, score with unit, gap, and its status where it did not converge."""
    parts = [target_words(result, example), f"score {number(result.scores[example])} ({result.unit})"]
    if result.gap is not None:
        gap = gap_words(result, example)
        parts.append(gap.split(" (")[0])
    if status_words(result, example):
        parts.append(status_words(result, example).split(":")[0].split(";")[0].upper())
    return f"{name or entry_name(result, example)}: " + ", ".join(part for part in parts if part)


def numbers(result: Result, example: int, interior: bool = False) -> list[str]:
    """The sentences on an example's numbers: score, baseline score, sum, gap; and its status.

    Args:
        result: any result.
        example: which example of the batch.
        interior: whether the attributions have steps along a path as axis 1: their plain sum has no meaning then.
    """
    parts = [f"score {number(result.scores[example])}"]
    baseline = mean_baseline(result, example)
    if baseline is not None:
        several = np.size(present(result.baseline_scores)[example])
        mean = f" (mean over {several} baselines)" if several > 1 else ""
        parts.append(f"baseline score {number(baseline)}{mean}")
    if not interior and are_summed(result.kind):  # of others the sum means nothing
        parts.append(f"sum of attributions {number(result.totals[example])}")
    if gap_words(result, example):
        parts.append(gap_words(result, example))
    if result.error_estimate is not None and present(result.converged)[example]:
        parts.append(f"estimated error {percent(result.error_estimate[example])} of the sum of magnitudes")
    if result.standard_error is not None:
        errors = np.concatenate([np.ravel(leaf[example]) for leaf in flatten(result.standard_error).values()])
        if np.isfinite(errors).any():
            parts.append(f"standard error {number(float(np.nanmax(errors)))} of a feature at most")
    sentences = [f"{', '.join(parts)}; unit: {result.unit}."]
    status = status_words(result, example)
    if status:
        sentences.insert(0, f"{status[0].upper()}{status[1:]}.")
    return [sentence[0].upper() + sentence[1:] for sentence in sentences]
