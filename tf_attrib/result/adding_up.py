"""Which attributions add up, and what those of one position, or of one column, come to: their sum, or what each has in full."""

import numpy as np
import numpy.typing as npt

# Of these kinds (`Result.kind`) numbers do not add up to anything: each is of a whole window or group, which every feature of
# it has in full, or of no unit of the score's.
NOT_SUMMED = ("effect", "expectation", "map", "square")


def are_summed(kind: str) -> bool:
    """Whether attributions of this kind add up over channels and positions (see `Result.kind`)."""
    return kind not in NOT_SUMMED


def over_channels(values: npt.ArrayLike, kind: str = "") -> np.ndarray:
    """Attributions (..., channels) as one number for each position, (...), float64: with sign, by sum or by mean.

    What was taken away or masked with all its channels has the same number in each of them: their mean is that number, their
    sum as many times it as there are channels.

    Args:
        values: at least one axis.
        kind: as in `Result`.
    """
    values = np.asarray(values, np.float64)
    return values.sum(-1) if are_summed(kind) else values.mean(-1)


def over_features(values: npt.ArrayLike, kind: str = "", regions: np.ndarray | None = None) -> np.ndarray:
    """Attributions (batch, ...) as one number for each example, (batch,) float64: the sum over features, or over positions
    where each has one number in all its channels (or dimensions of an embedding, or places of an encoding), and over groups
    where each has one number at all its positions.

    Args:
        values: of one tensor.
        kind, regions: as in `Result`; regions of other positions are left aside.
    """
    values = np.asarray(values, np.float64)
    if values.ndim > 2 and not are_summed(kind):
        values = over_channels(values, kind)
    if kind == "effect" and regions is not None and regions.shape == values.shape:
        values = (
            np.stack([_shared(one, region) for one, region in zip(values, regions, strict=True)]) if len(values) else values
        )
    return values.reshape(len(values), -1).sum(1) if values.size else np.zeros(len(values))


def _shared(values: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Of one example what each group has in full, shared out among its positions."""
    _, numbers, sizes = np.unique(regions, return_inverse=True, return_counts=True)
    return values / sizes[numbers].reshape(values.shape)
