"""Whether attributions add up to the difference of scores, and the status of an example where they do not. NumPy alone."""

import numpy as np

# Of an integral, or a mean over draws: a gap beyond this share of the difference calls for more steps (the guide's 5% rule),
# unless it is as small a part of all that was attributed as the second number says.
GAP, SLIGHT = 0.05, 0.01
# Of what is complete to rounding: the part of max(|difference of scores|, L1 norm) from which on a gap is none of rounding.
MOST_GAP = 1e-3
# What float32 may leave of a sum, as a part of the terms: up to 5e-6 was seen, of thousands of sound attributions.
ROUNDING = 1e-5
# How many times the scale of the scores an L1 norm may be. Sound nets were seen at 1 to 50, single outputs that happen to be
# near zero seldom beyond 300; stacks of normalisations against zeros begin there, and multiply it with every block.
MOST_CANCELLED = 300
INCOMPLETE, CANCELLING = "incomplete", "cancelling"
# Of sums along a path that gradients choose: what single attributions are off by is not known.
NOT_ESTIMATED = "not_estimated"
# Of coalitions of a model that draws at random, each of which was evaluated once.
NOT_REPEATABLE = "not_repeatable"


def judged(
    gap: np.ndarray, difference: np.ndarray, magnitude: np.ndarray, scale: np.ndarray, exact: bool, short: str
) -> np.ndarray:
    """(n,), the status of each example, "" where nothing is wrong.

    Args:
        gap: sums of attributions less the differences of scores.
        difference: of scores.
        magnitude: L1 norms of the attributions.
        scale: the largest magnitude of the output at the example and its baselines. Where the scores differ by their rounding
            alone, neither they nor a gap that is rounding, too, tell anything.
        exact: whether the method is complete to rounding; else up to the 5% rule.
        short: the status of what misses the difference.
    """
    gap, difference = np.abs(gap), np.abs(difference)
    if not exact:
        wrong = (gap > GAP * difference) & (gap > SLIGHT * magnitude) & (gap > ROUNDING * scale)
        return np.where(wrong, short, "")
    wrong = (gap > MOST_GAP * np.maximum(difference, magnitude)) & (gap > ROUNDING * scale)
    # rounding grows with the terms, and where terms exploded that is no excuse
    wrong |= (gap > GAP * difference) & (gap > ROUNDING * np.clip(magnitude, scale, MOST_CANCELLED * scale))
    return np.where(wrong, short, np.where(magnitude > MOST_CANCELLED * scale, CANCELLING, ""))
