"""Where the channels of a result are, and what is said of them: they are summed where numbers add up, else averaged."""

import numpy as np

from ..common.nested import flatten
from .adding_up import are_summed
from .result import AnyResult, Result


def is_signal(length: int, width: int) -> bool:
    """Whether features (length, width) are more likely a signal with that many channels than an image (height, width): where
    there are fewer than 8, or at least 4 times as many steps."""
    return width < 8 or length >= 4 * width


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
