"""Three lines about a result that a person can act on."""

import numpy as np

from .attribution import Attribution
from .structure import flatten

# Below this share of the score the gradient at the input says next to nothing.
SATURATED = 0.01
# A gap beyond this share of the difference calls for more steps (the guide's 5% rule), unless it is as small a part of all
# that was attributed as the second number says.
GAP, SLIGHT = 0.05, 0.01


def summary(result: Attribution) -> str:
    """What was attributed to what; score and gap; baseline and saturation. A line each, and one for each note."""
    lines = [_what(result), _score(result), _baseline(result)]
    return "\n".join([line for line in lines if line] + [f"  note: {note}" for note in result.notes])


def _what(result: Attribution) -> str:
    shapes = ", ".join(f"{'' if key is None else repr(key) + ' '}{tuple(leaf.shape[1:])}"
                       for key, leaf in flatten(result.attributions).items())
    examples = f"{len(result)} example{'s' if len(result) != 1 else ''}"
    return f"Attribution of {examples}: {result.of}, at {result.at} {shapes}, by {result.method}"


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
            line += f"gap {gaps[worst]:+.2%} of the difference" + (f" at most (example {worst})" if len(result) > 1 else "")
            wrong = (np.abs(gaps) > GAP) & (np.abs(result.gap) > SLIGHT * result.magnitudes)
            if wrong.any() and result.method.startswith("IntegratedGradients"):
                line += f"; beyond 5% in {int(wrong.sum())}: take more steps"
    return line


def _baseline(result: Attribution) -> str:
    if result.baseline_scores is None:
        return "  no baseline: the gradient is local, its sum has no meaning"
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
    low, high = format(np.nanmin(values), form), format(np.nanmax(values), form)
    return low if low == high else f"{low} to {high}"
