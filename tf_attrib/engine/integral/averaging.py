"""The mean of several paths, such as those from several baselines, judged as one. NumPy alone.

Errors of different paths are mostly independent and average out: the mean of k paths with errors of a is wrong by a / sqrt(k).
What they share is the neighbourhood of the example, where they all end.
"""

import numpy as np

# The part of the variance of errors that paths to one example share: on an MLP and a CNN of digits, against noise and other
# examples, 0.01 to 0.13 in the median and 0.23 at most.
SHARED = 0.15
# The accuracy that the mean needs is aimed at with this margin, and no path is done at more than so many tolerances of its own.
AIM, LOOSEST = 0.9, 1.5


def error_of_mean(absolute: np.ndarray) -> np.ndarray:
    """(groups,), the L1 error of each group's mean, from the errors of its members (groups, members)."""
    members = absolute.shape[1]
    return np.sqrt(SHARED * absolute.mean(1) ** 2 + (1 - SHARED) * (absolute**2).sum(1) / members**2)


def allowed(tolerance: float, norm: np.ndarray, members: int) -> np.ndarray:
    """What each member may be wrong by, so that their mean is within `tolerance` of its `norm` (groups,)."""
    return AIM * tolerance * norm / np.sqrt(SHARED + (1 - SHARED) / members)
