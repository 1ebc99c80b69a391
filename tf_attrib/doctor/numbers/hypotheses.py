"""What may be wrong with attributions that do not add up: each known error as an equation that would then hold.

An equation has two sides, for each example a number (the sum of its attributions) or, where a reference attribution is
known, all of its attributions; the residual of a `Fit` is by how much they differ. Each function gives a `Fit`, None where
the error is out of the question, or the reason why it cannot be tested.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from ...common.types import present
from .given import Fit, GivenNumbers, flat, relative, sums_of
from .wrong_rule import NODES, SUM_OF_WEIGHTS, wrong_rule

# How near to a whole number a factor, or its inverse, must be to be taken for one, relative to it.
WHOLE = 0.02
# Heatmaps that were scaled to a largest magnitude or a sum of one are that to this accuracy.
SCALED = 1e-3


def complete(given: GivenNumbers) -> Fit:
    """sum a = F(x) - F(x'); against a reference: a is it, where axes are missing its sum over these."""
    words = "the attributions sum to the difference of scores"
    reference = given.reduced(np.sum)
    if reference is None:
        return Fit("complete", relative(given.sums, given.difference), words, "")
    return Fit(
        "complete",
        relative(flat(given.attributions), flat(reference)),
        "the attributions are those of this model",
        "",
        elementwise=True,
    )


def baseline_score_forgotten(given: GivenNumbers) -> Fit | str | None:
    """sum a = F(x), though F(x') is not zero; or sum a = F(x) - c with one c, where F(x') was left out of the comparison."""
    known = given.baseline_scores
    if known is not None and np.any(known != 0):
        return Fit(
            "baseline_score_forgotten",
            relative(given.sums, given.scores),
            "the attributions sum to the score itself, not to the score less the score at the baseline (which is "
            f"{_mean(known)} on average)",
            "subtract the score at the baseline: sum = F(x) - F(x')",
        )
    groups = (
        np.zeros(len(given.scores), int)
        if given.targets is None
        else np.unique(given.targets.reshape(len(given.scores), -1), axis=0, return_inverse=True)[1].ravel()
    )
    missing = given.scores - given.sums
    offsets = np.array([np.median(missing[groups == group]) for group in range(groups.max() + 1)])
    if np.abs(offsets).max() < 1e-6 * np.abs(given.scores).max():
        return None  # the sums match the scores
    fitted = {
        f"baseline_score_{group}" if len(offsets) > 1 else "baseline_score": float(offset)
        for group, offset in enumerate(offsets)
    }
    return Fit(
        "baseline_score_forgotten",
        relative(given.sums, given.scores - offsets[groups]),
        f"the sums differ from the scores by the same amount everywhere, {_mean(offsets)}"
        f"{' (one for each class)' if len(offsets) > 1 else ''}: that will be the score at the baseline, which was "
        f"{'not given' if known is None else 'given as 0'}",
        "account for the score at the baseline: check_attributions(attributions, scores, baseline_scores)",
        fitted,
    )


def factor_missing(given: GivenNumbers) -> Fit | str | None:
    """sum a (x - x') = F(x) - F(x'): the factor was left out."""
    if given.velocity is None:
        return given.no_velocity
    return _against(
        given,
        "factor_missing",
        {key: leaf * given.velocity[key] for key, leaf in given.attributions.items()},
        "multiplied by (x - x') they add up: they are averaged gradients, and the factor is missing",
        "multiply by the difference: attributions * (inputs - baselines)",
    )


def factor_is_input(given: GivenNumbers) -> Fit | str | None:
    """sum a (x - x') / x = F(x) - F(x'): multiplied by x instead of x - x'."""
    if given.velocity is None:
        return given.no_velocity
    if all(np.array_equal(present(given.inputs)[key], given.velocity[key]) for key in given.velocity):
        return None  # the baseline is zero, and x and x - x' are the same
    if any(np.any((present(given.inputs)[key] == 0) & (given.velocity[key] != 0)) for key in given.velocity):
        return "features that are 0 have lost their gradient in the product with x"
    scaled = {}
    for key, leaf in given.attributions.items():
        x = present(given.inputs)[key]
        scaled[key] = leaf * np.divide(given.velocity[key], x, out=np.zeros_like(x), where=x != 0)
    return _against(
        given,
        "factor_is_input",
        scaled,
        "multiplied by (x - x') / x they add up: the averaged gradients were multiplied by x, and not by x - x'",
        "multiply the averaged gradients by (inputs - baselines)",
    )


def channels_averaged(given: GivenNumbers) -> Fit | str | None:
    """c sum a = F(x) - F(x'): the mean was taken over c channels (or embedding dimensions) where the sum was meant."""
    sizes = _lost_sizes(given)
    if not isinstance(sizes, tuple):
        return sizes
    size = int(np.prod(sizes))
    words = (
        f"multiplied by {size} they add up: the mean was taken over {size} values of each feature (channels, embedding "
        "dimensions) where the sum adds up"
    )
    return _against(
        given,
        "channels_averaged",
        {key: leaf * size for key, leaf in given.attributions.items()},
        words,
        "sum over the last axis instead of averaging: attributions.sum(-1)",
    )


def _lost_sizes(given: GivenNumbers) -> tuple | str | None:
    """The sizes of the axes that the attributions lack, or why they are not known."""
    whole = given.reference if given.reference is not None else given.inputs
    if whole is None:
        return "the inputs are not known, nor how many channels they have"
    lost = set()
    for key, leaf in given.attributions.items():
        if key not in whole or whole[key].shape[: leaf.ndim] != leaf.shape:
            return "the attributions do not have the leading axes of the inputs"
        lost.add(whole[key].shape[leaf.ndim :])
    if len(lost) > 1 or not np.prod(next(iter(lost))) > 1:
        return None  # the attributions have all axes of the inputs
    return next(iter(lost))


def sign_reversed(given: GivenNumbers) -> Fit:
    """sum a = F(x') - F(x)."""
    return _against(
        given,
        "sign_reversed",
        {key: -leaf for key, leaf in given.attributions.items()},
        "with the opposite sign they add up: (x' - x) stands where (x - x') should, or the ends of the path are swapped",
        "change the sign",
    )


def loss_explained(given: GivenNumbers) -> Fit | str | None:
    """sum a = log F(x') - log F(x): the gradient of the loss where that of the score was meant."""
    low = given.baseline_scores
    if low is None:
        return "the scores at the baselines are not known: that takes baseline_scores="
    if min(given.scores.min(), low.min()) <= 0 or max(given.scores.max(), low.max()) > 1:
        return None  # no probabilities
    return Fit(
        "loss_explained",
        relative(given.sums, np.log(low) - np.log(given.scores)),
        "they sum to the difference of the cross-entropy losses, -log F: the gradient is that of the loss, not of the score",
        "take the gradient of the score (the probability or the logit of the class), not of the loss",
    )


def constant_factor(given: GivenNumbers) -> Fit | str | None:
    """sum a = r (F(x) - F(x')) with one r for all examples, and what such an r is known for."""
    reference = given.reduced(np.sum)
    left, right = (given.sums, given.difference) if reference is None else (flat(given.attributions), flat(reference))
    used = np.abs(right) > 1e-3 * np.abs(right).max(initial=0)
    if not used.any() or np.abs(left[used]).max() == 0:
        return None
    # the median of ratios, each with the weight of its example
    ratio = _weighted_median(left[used] / right[used], np.abs(right[used]))
    if ratio <= 0 or abs(ratio - 1) < 1e-4:
        return None  # no factor, or another sign
    name, words, remedy, nodes = _known_factor(ratio)
    return Fit(name, relative(left, ratio * right), words, remedy, {"factor": ratio} | nodes, reference is not None)


def _known_factor(ratio: float) -> tuple[str, str, str, dict]:
    """Name, words and remedy of the error that multiplies attributions by `ratio`, and the number it tells."""
    short, many = 1 / abs(1 - ratio), max(ratio, 1 / ratio)
    whole = round(many) >= 2 and abs(many - round(many)) <= WHOLE * many
    if NODES[0] < short <= NODES[1] and not (whole and ratio < 0.6):
        nodes, over = short, "n - 1" if ratio < 1 else "n + 1"
        return (
            "weights_do_not_sum_to_one",
            f"each sum is {ratio:.4g} of what it should be: the weights of the sum along the "
            f"path add up to ({over}) / n with n about {nodes:.3g}, as where an end point is left out (or has no gradient: "
            "ReLU at zero), or a trapezoid over n points is divided by n",
            SUM_OF_WEIGHTS,
            {"nodes": float(nodes)},
        )
    if whole and ratio < 1:
        return (
            "channels_averaged",
            f"multiplied by {round(many)} they add up: the mean was taken over {round(many)} values "
            "(channels, embedding dimensions) where the sum adds up",
            "sum over channels instead of averaging",
            {"averaged_over": float(round(many))},
        )
    if whole:
        return (
            "steps_not_averaged",
            f"divided by {round(many)} they add up: the gradients along the path were summed over "
            f"{round(many)} steps, and not divided by their number",
            f"divide by the number of steps: attributions / {round(many)}",
            {"steps": float(round(many))},
        )
    return (
        "off_by_a_factor",
        f"each sum is {ratio:.4g} times what it should be, the same factor everywhere",
        "look for a constant: scaled inputs, a temperature, a weight of the loss",
        {},
    )


def scaled_for_display(given: GivenNumbers) -> Fit | str | None:
    """max |a| = 1, or sum |a| = 1, of every example: numbers for a picture."""
    sizes = np.abs(flat(given.attributions))
    for words, value in (("largest magnitude", sizes.max(1)), ("sum of magnitudes", sizes.sum(1))):
        if np.abs(value - 1).max() <= SCALED:
            return Fit(
                "scaled_for_display",
                float(np.abs(value - 1).mean()),
                f"the {words} is 1 in every example: these numbers were scaled for a picture, and their unit is lost",
                "keep the unscaled attributions, and scale in the picture alone",
            )
    return None


def magnitudes_only(given: GivenNumbers) -> Fit | str | None:
    """a = |reference|, or only its positive part, whatever reduction followed."""
    if flat(given.attributions).min() < 0:
        return None
    if given.reference is None:
        return "what magnitudes sum to is not known without the signed attributions: that takes attributor="
    found = flat(given.attributions)
    reductions = [("absolute_values", np.abs, reduce) for reduce in (np.sum, np.mean, np.max)]
    reductions += [("negatives_cut_off", lambda leaf: np.maximum(leaf, 0), np.sum)]
    fits = [
        (name, relative(found, flat(made)))
        for name, change, reduce in reductions
        for made in (_reduced_after(given, change, reduce), _changed_after(given, change, reduce))
        if made is not None
    ]
    if not fits:
        return "the attributions do not have the leading axes of the reference"
    name, residual = min(fits, key=lambda fit: fit[1])
    words = (
        "they are magnitudes: absolute values were taken, and the sign is lost"
        if name == "absolute_values"
        else "they are the positive part: negative attributions were cut off"
    )
    return Fit(name, residual, words, "keep the sign: take magnitudes in the picture alone", elementwise=True)


def _reduced_after(given: GivenNumbers, change: Callable, reduce: Callable) -> dict | None:
    """The reference changed first, then reduced."""
    changed = {key: change(leaf) for key, leaf in present(given.reference).items()}
    return dataclasses.replace(given, reference=changed).reduced(reduce)


def _changed_after(given: GivenNumbers, change: Callable, reduce: Callable) -> dict | None:
    reduced = given.reduced(reduce)
    return None if reduced is None else {key: change(leaf) for key, leaf in reduced.items()}


ERRORS: dict[str, Callable[[GivenNumbers], Fit | str | None]] = {
    "baseline_score_forgotten": baseline_score_forgotten,
    "factor_missing": factor_missing,
    "factor_is_input": factor_is_input,
    "channels_averaged": channels_averaged,
    "sign_reversed": sign_reversed,
    "loss_explained": loss_explained,
    "weights_do_not_sum_to_one": constant_factor,
    "scaled_for_display": scaled_for_display,
    "absolute_values": magnitudes_only,
    "end_point_left_out": wrong_rule,
}


def _against(given: GivenNumbers, name: str, changed: dict, words: str, remedy: str) -> Fit:
    """A fit of the attributions `changed` back to what they should be."""
    reference = given.reduced(np.sum)
    if reference is None:
        return Fit(name, relative(sums_of(changed), given.difference), words, remedy)
    return Fit(name, relative(flat(changed), flat(reference)), words, remedy, elementwise=True)


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values, axis=None)
    total = np.cumsum(weights.ravel()[order])
    return float(values.ravel()[order][np.searchsorted(total, total[-1] / 2)])


def _mean(values: np.ndarray) -> str:
    return f"{float(np.mean(values)):.4g}"
