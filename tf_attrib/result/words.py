"""Few lines about a result that a person can act on."""

from collections.abc import Callable

import numpy as np

from ..common.class_names import numbered
from ..common.digits import count, hundredths, short
from ..common.nested import flatten
from ..common.types import present
from .completeness import GAP, MOST_CANCELLED, NOT_ESTIMATED, NOT_REPEATABLE
from .result import Result

# Below this share of the score the gradient at the input says next to nothing.
SATURATED = 0.01
# status of an example -> what a reader should know and do; "{error}" becomes the estimated error where there is one
STATUS = {
    "max_evaluations": "not converged{error}; raise max_evaluations",
    "memory": "not converged{error}; the paths from all baselines did not fit in memory together; raise memory= of Attributor",
    "too_narrow": "not converged{error}; {where}",
    "incomplete": "incomplete: attributions miss the difference of scores by more than rounding explains, see gap; a choice "
    "inside the model turned, its gradients are not its own, or numbers are too large for their format",
    "cancelling": f"cancelling: positive and negative parts are more than {MOST_CANCELLED} times as large as the scores, and "
    "cancel: single ones mean little (normalisation at a zero baseline does this; try ta.token, baselines from "
    "data, at= behind it, or integrated gradients)",
    "too_few_steps": "too few steps: the sum misses the difference of scores by more than 5%; raise n_steps; integrated "
    "gradients without rule= and n_steps= find out how many",
    "too_few_samples": "too few samples: the sum misses the difference of scores by more than 5%; raise n_samples",
    NOT_ESTIMATED: "accuracy not estimated: the path follows the gradients, so that the gap is all that is known of it",
    NOT_REPEATABLE: "not repeatable: the model gives coalitions other scores when they are evaluated again, and how far other "
    "draws would be from these is not known",
    "not_finite": "not finite: a NaN or an infinity came up in this example, so its numbers mean nothing",
}
# What more gradients would not mend, whatever their number.
NOT_ITS_OWN = (
    "; where that does not help, the gradients are not those of the score, which rounds, jumps, or has some of its own "
    "(straight-through, stop_gradient): method='occlusion' needs none"
)
# What is said of a path that could not be followed, by where: so close to the baseline, or elsewhere.
BESIDE_BASELINE = 1e-3
WHERE = (
    "the score moves within {at:.0e} of the path from the baseline, closer than float32 can follow; likely a "
    "normalisation whose input is zero at the baseline, or a threshold that it lies on; take another baseline, such as "
    "ta.token(0) or the mean of the data, or at= a layer behind the normalisation",
    "the score jumps or peaks along the path{at} within less than a step can resolve",
)
# So many classes of the highest scores are told, of so many examples.
RANKED = 3
# No more examples than this are listed.
LISTED = 8


def summary(result: Result, counted: str = "") -> str:
    """What was attributed to what; score and gap; accuracy; baseline and saturation; notes. A line each.

    Args:
        counted: what the entries of the result are, such as "3 entries of a continuation"; else examples, or positions of them.
    """
    first = [_what(result, counted or _counted(result)), _left_out(result), _batch(result)]
    numbers = [_score(result), *_top(result), *_accuracy(result), _baseline(result)] if len(result) else []
    lines = [*first, *numbers]
    return "\n".join([line for line in lines if line] + [f"  note: {note}" for note in result.notes])


def entry_name(result: Result, entry: int) -> str:
    """ "example 3", or with the position whose output is explained, "example 3, position 5"."""
    if result.position is None:
        return f"example {entry}"
    return f"example {int(present(result.example)[entry])}, position {int(result.position[entry])}"


def _entry(result: Result) -> str:
    """What one entry of the result is."""
    return "example" if result.position is None else "entry"


def _counted(result: Result) -> str:
    """ "3 examples", or "16 positions of 2 examples": an entry for each of several outputs of an example is no example."""
    if result.position is None:
        return count(len(result), "example")
    return f"{count(len(result), 'position')} of {count(len(np.unique(present(result.example))), 'example')}"


def _what(result: Result, counted: str) -> str:
    shapes = ", ".join(
        f"{'' if key is None else repr(key) + ' '}{tuple(leaf.shape[1:])}" for key, leaf in flatten(result.attributions).items()
    )
    return f"Attribution of {counted}: {result.explained}, at {result.at} {shapes}, by {result.method}"


def _batch(result: Result) -> str:
    return f"  UNSTABLE SCORES: {result.batch_dependence}" if result.batch_dependence else ""


def _left_out(result: Result) -> str:
    """Inputs that the score may depend on and that no attribution is of: the first thing to know."""
    if not result.left_out:
        return ""
    which = ", ".join(map(repr, result.left_out))
    return f"  LEFT OUT: {which}: no attribution (a mask, or no gradient leads to it); the others hold with it as it is"


def class_words(result: Result, number: int) -> str:
    """ "class 967 (espresso)", or without the name where it is not known."""
    return numbered(number, result.class_names)


def _score(result: Result) -> str:
    target = ""
    if result.target is not None and result.target.ndim == 1:
        classes = np.unique(result.target)
        target = f" ({class_words(result, classes[0])})" if len(classes) == 1 else f" ({len(classes)} classes explained)"
    line = f"  score {_range(result.scores)}{target}"
    gaps = result.relative_gap
    if gaps is not None:
        line += f", less {_range(result.scores - result.difference)} at the baseline; "
        if not np.isfinite(present(result.gap)).any():
            line += "gap not known: neither are the attributions"
        elif np.isnan(gaps).all():
            line += f"gap {_range(present(result.gap))} (the scores do not differ)"
        else:
            worst = int(np.nanargmax(np.abs(gaps)))
            gap = ("+" if gaps[worst] >= 1e-4 else "") + hundredths(gaps[worst])
            line += f"gap {gap} of the difference" + (f" at most ({entry_name(result, worst)})" if len(result) > 1 else "")
    return line


def top_words(result: Result, example: int, count: int) -> str:
    """ "967 (espresso): 0.984, 969 (eggnog): 0.00414": the classes of the highest values of an example; "" where not known."""
    if result.top_classes is None or result.top_scores is None or not np.isfinite(result.top_scores[example]).all():
        return ""
    best = zip(result.top_classes[example][:count], result.top_scores[example], strict=False)
    return ", ".join(f"{class_words(result, number).removeprefix('class ')}: {short(score)}" for number, score in best)


def _top(result: Result) -> list[str]:
    """The classes of the highest values of the first examples, where there are more than two."""
    if result.top_classes is None or result.top_classes.shape[1] < 3:
        return []
    told = [(i, top_words(result, i, RANKED)) for i in range(min(len(result), RANKED))]
    lines = [f"  top classes{f' of {entry_name(result, i)}' if len(result) > 1 else ''}: {words}" for i, words in told if words]
    return lines if len(result) <= RANKED or not lines else [*lines[:-1], f"{lines[-1]}; ..."]


def status_words(result: Result, example: int, share: Callable[[float], str]) -> str:
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
    words = STATUS.get(status, f"status {status!r}{{error}}")
    if status == "max_evaluations" and result.standard_error is not None and not np.any(result.evaluations):  # coalitions
        words += ", or n_permutations where that was given"
    if status == "max_evaluations" and unexplained(result, example):
        words += NOT_ITS_OWN
    return words.replace("{error}", error).replace("{where}", where(result, example))


def unexplained(result: Result, example: int) -> bool:
    """Whether the attributions of an example miss the difference of scores by more than what jumps of the gradient explain."""
    if result.residual_clipped is None or result.relative_gap is None:
        return False
    return bool(result.residual_clipped[example] and np.abs(np.nan_to_num(result.relative_gap[example])) > GAP)


def where(result: Result, example: int) -> str:
    """What is known of a path that could not be followed."""
    at = np.nan if result.narrow_at is None else float(result.narrow_at[example])
    if at <= BESIDE_BASELINE:
        return WHERE[0].format(at=max(at, np.finfo(np.float32).tiny))
    return WHERE[1].format(at="" if np.isnan(at) else f", at {at:.4g} of it,")


def _accuracy(result: Result) -> list[str]:
    """The estimated error and what it took, and a line for each status other than converged."""
    lines = []
    if result.error_estimate is not None and present(result.converged).any():
        worst = result.error_estimate[result.converged].max()
        all_of = "all" if present(result.converged).all() else f"{int(present(result.converged).sum())} of {len(result)}"
        lines.append(f"  estimated error {hundredths(worst)} at most ({all_of} converged)")
        if result.evaluations is not None and not result.evaluations.any() and result.forward_evaluations is not None:
            lines[-1] += f", {_range(result.forward_evaluations, 'd')} forward evaluations an {_entry(result)}"
        elif result.evaluations is not None and result.forward_evaluations is not None:
            lines[-1] += (
                f", {_range(result.evaluations, 'd')} gradient and {_range(result.forward_evaluations, 'd')} forward "
                f"evaluations an {_entry(result)}"
            )
    if result.standard_error is not None:
        lines.append(_standard_error(result))
    if result.format_error is not None and np.isfinite(result.format_error).any():
        worst = np.nanmax(result.format_error)
        beyond = "" if result.error_estimate is None else " beyond that"
        open_yet = f"{hundredths(worst)} at most open{beyond}"
        lines.append(f"  {result.format} leaves {open_yet}: so far is the same net in float32 from it")
    for status in dict.fromkeys(() if result.status is None else map(str, result.status)):
        which = np.flatnonzero(result.status == status)
        errors = np.zeros(len(which)) if result.error_estimate is None else np.nan_to_num(result.error_estimate[which])
        words = status_words(result, which[errors.argmax()], hundredths)
        if words:
            more = ", ..." if len(which) > LISTED else ""
            named = _entry(result) if len(which) == 1 else {"example": "examples", "entry": "entries"}[_entry(result)]
            several = f"{len(which)} of {len(result)} ({status}; {named} "
            shown = f"{several}{', '.join(map(str, which[:LISTED]))}{more})"
            head, _, tail = words.partition(":" if ":" in words else ";")
            lines.append(f"  {head.upper()}: {shown}: {tail.strip()}")
    return lines


def _standard_error(result: Result) -> str:
    """Where the largest standard error is, beside the attribution that it is of."""
    leaves = zip(flatten(result.standard_error).values(), flatten(result.attributions).values(), strict=True)
    pairs = [(error.ravel(), value.ravel()) for error, value in leaves]
    errors, values = (np.concatenate([pair[which] for pair in pairs]) for which in (0, 1))
    if not np.isfinite(errors).any():
        why = "too few draws" if np.isfinite(values).any() else "neither are the attributions"
        return f"  standard errors not known: {why}"
    if not np.nanmax(errors) > 0:
        return "  standard errors 0: nothing was left to chance"
    worst = int(np.nanargmax(np.where(np.isinf(errors), np.nan, errors)))
    missing = int((~np.isfinite(errors) & np.isfinite(values)).sum())
    unknown = f", and not known of {count(missing, 'number')}" if missing else ""
    return (
        f"  standard error {errors[worst]:.2g} at most, of {values[worst]:.4g}{unknown}; result.standard_error has that of each"
    )


def _baseline(result: Result) -> str:
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
    low, high = (short(value) if form == ".4g" else format(value, form) for value in (known.min(), known.max()))
    return low if low == high else f"{low} to {high}"
