"""Few lines about a result that a person can act on."""

from collections.abc import Callable

import numpy as np

from .attribution import Attribution
from .structure import flatten

# Below this share of the score the gradient at the input says next to nothing.
SATURATED = 0.01
# A gap beyond this share of the difference calls for more steps (the guide's 5% rule), unless it is as small a part of all
# that was attributed as the second number says.
GAP, SLIGHT = 0.05, 0.01
# status of an example -> what a reader should know and do; "{error}" becomes the estimated error where there is one
STATUS = {
    "max_evaluations": "not converged{error}; raise max_evaluations",
    "too_narrow": "not converged{error}; the score jumps or peaks along the path within less than a step can resolve",
    "incomplete": "incomplete: contributions miss the difference of scores by more than 0.1% of what was attributed, see gap; "
                  "a choice inside the model turned, or numbers are too large for float32",
    "not_finite": "not finite: a NaN or an infinity came up in this example, so its numbers mean nothing",
}
# No more examples than this are listed.
LISTED = 8


def summary(result: Attribution) -> str:
    """What was attributed to what; score and gap; accuracy; baseline and saturation; notes. A line each."""
    lines = [_what(result), _score(result), *_accuracy(result), _baseline(result)]
    return "\n".join([line for line in lines if line] + [f"  note: {note}" for note in result.notes])


def _what(result: Attribution) -> str:
    shapes = ", ".join(f"{'' if key is None else repr(key) + ' '}{tuple(leaf.shape[1:])}"
                       for key, leaf in flatten(result.attributions).items())
    examples = f"{len(result)} example{'s' if len(result) != 1 else ''}"
    return f"Attribution of {examples}: {result.explained}, at {result.at} {shapes}, by {result.method}"


def _score(result: Attribution) -> str:
    target = ""
    if result.target is not None and result.target.ndim == 1:
        classes = np.unique(result.target)
        target = f" (class {classes[0]})" if len(classes) == 1 else f" ({len(classes)} classes)"
    line = f"  score {_range(result.scores)}{target}"
    gaps = result.relative_gap
    if gaps is not None:
        line += f", less {_range(result.scores - result.difference)} at the baseline; "
        if np.isnan(gaps).all():
            line += f"gap {_range(result.gap)} (the scores do not differ)"
        else:
            worst = int(np.nanargmax(np.abs(gaps)))
            gap = f"{gaps[worst]:+.2%}" if abs(gaps[worst]) >= 1e-4 else "below 0.01%"
            line += f"gap {gap} of the difference" + (f" at most (example {worst})" if len(result) > 1 else "")
            wrong = (np.abs(gaps) > GAP) & (np.abs(result.gap) > SLIGHT * result.magnitudes)
            if wrong.any() and result.error_estimate is None and result.method.startswith("IntegratedGradients"):
                line += f"; beyond 5% in {int(wrong.sum())}: take more steps"
    return line


def status_words(result: Attribution, example: int, share: Callable[[float], str]) -> str:
    """What is wrong with this example and the remedy; nothing where it converged or the method states no status.

    Args:
        share: writes a share, such as 0.08, for people.
    """
    if result.status is None or str(result.status[example]) in ("converged", ""):
        return ""
    error = ""
    if result.error_estimate is not None and np.isfinite(result.error_estimate[example]):
        error = f": estimated error {share(float(result.error_estimate[example]))}"
    status = str(result.status[example])
    return STATUS.get(status, f"status {status!r}{{error}}").replace("{error}", error)


def _accuracy(result: Attribution) -> list[str]:
    """The estimated error and what it took, and a line for each status other than converged."""
    lines = []
    if result.error_estimate is not None and result.converged.any():
        worst = result.error_estimate[result.converged].max()
        all_of = "all" if result.converged.all() else f"{int(result.converged.sum())} of {len(result)}"
        lines.append(f"  estimated error {worst:.2%} at most ({all_of} converged)")
        if result.evaluations is not None and result.forward_evaluations is not None:
            lines[-1] += (f", {_range(result.evaluations, 'd')} gradient and {_range(result.forward_evaluations, 'd')} forward "
                          "evaluations an example")
    for status in dict.fromkeys(() if result.status is None else map(str, result.status)):
        which = np.flatnonzero(result.status == status)
        errors = np.zeros(len(which)) if result.error_estimate is None else np.nan_to_num(result.error_estimate[which])
        words = status_words(result, which[errors.argmax()], lambda error: f"{error:.2%}")
        if words:
            more = ", ..." if len(which) > LISTED else ""
            several = f"{len(which)} of {len(result)} ({status}; example{'s' if len(which) > 1 else ''} "
            shown = f"{several}{', '.join(map(str, which[:LISTED]))}{more})"
            head, _, tail = words.partition(":" if ":" in words else ";")
            lines.append(f"  {head.upper()}: {shown}: {tail.strip()}")
    return lines


def _baseline(result: Attribution) -> str:
    if result.baseline_scores is None:
        unit = f"; the unit of attributions is {result.attribution_unit}" if result.attribution_unit else ""
        return f"  no baseline{unit}"
    parts = [f"  baseline {result.baseline}"]
    if result.baseline_confidence is not None:
        parts.append(f"the model's highest class probability there is {_range(result.baseline_confidence)}")
    if result.gradient_share is not None and np.isfinite(result.gradient_share).any():
        flat = np.abs(result.gradient_share) < SATURATED
        if flat.any():
            which = "" if len(result) == 1 else f" in {int(flat.sum())} of {len(result)}"
            parts.append(f"the gradient at the input accounts for less than 1% of the score{which}: saturated")
        else:
            parts.append(f"the gradient at the input accounts for {_range(result.gradient_share, '.0%')} of the score")
    return "; ".join(parts)


def _range(values: np.ndarray, form: str = ".4g") -> str:
    known = values[~np.isnan(values)]
    if not known.size:
        return "NaN"
    low, high = format(known.min(), form), format(known.max(), form)
    return low if low == high else f"{low} to {high}"
