"""What the channels of a position, or the dimensions of a word, come to: their sum where numbers add up, else their mean."""

import numpy as np
import numpy.typing as npt

from ..common.nested import flatten
from .result import AnyResult, Result

# Of these kinds (`Result.kind`) numbers do not add up to anything: each is of a whole window or group, which every feature of
# it has in full, or of no unit of the score's.
NOT_SUMMED = ("effect", "expectation", "map", "square")


def is_signal(length: int, width: int) -> bool:
    """Whether features (length, width) are more likely a signal with that many channels than an image (height, width): where
    there are fewer than 8, or at least 4 times as many steps."""
    return width < 8 or length >= 4 * width


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


def in_words(count: int, kind: str = "", noun: str = "channels", of: str = "pixel") -> str:
    """The sentence that says so, of `count` channels."""
    if are_summed(kind):
        return f"The {count} {noun} are summed, with their signs."
    return f"A {of} has the mean of its {count} {noun}, which do not add up."


def channels_in_front(shape: tuple[int, ...]) -> bool:
    """Whether features (batch, ...) are those of an image, video or volume whose channels come first: 1 or 3 of them, and none
    last, where three frames of a few channels would have them."""
    return len(shape) in (4, 5) and shape[1] in (1, 3) and shape[-1] not in (1, 3, *((2, 4) if len(shape) == 5 else ()))


def axis_of_channels(result: Result) -> int:
    """Which axis of each tensor holds channels: the last, or of images whose channels come first axis 1. Where those of layers
    are is not told by a shape."""
    shapes = [np.shape(leaf) for leaf in flatten(result.attributions).values()]
    return 1 if result.place == "inputs" and all(map(channels_in_front, shapes)) else -1


def without_channels(result: AnyResult) -> AnyResult:
    """The result with one number for each position, over the axis of channels of each tensor."""
    axis = axis_of_channels(result)
    return result.sum(axis) if are_summed(result.kind) else result.mean(axis)
