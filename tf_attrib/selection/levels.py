"""Black and white images as baselines: the ends of the range of the model's input."""

import contextlib
from typing import Any

import numpy as np

from ..common.checks import number
from ..common.errors import AttributionError
from .baselines import Baseline, replaced
from .fitting import is_in


def black(value_range: tuple[float, float]) -> Baseline:
    """A black image: the low end of `value_range` (such as (0, 255)) at the model's input, of all its channels, opacity too.
    Beside a table give it by key."""
    return _level("black", _range(value_range), 0)


def white(value_range: tuple[float, float]) -> Baseline:
    """A white image: the high end of `value_range` at the model's input. Beside a table give it by key."""
    return _level("white", _range(value_range), 1)


def _range(value: Any) -> tuple[float, float]:
    """`value` as (low, high)."""
    with contextlib.suppress(TypeError, ValueError):
        low, high = value
        if number("low", low) < number("high", high):
            return low, high
    raise AttributionError(f"value_range must be (low, high) with low < high, such as (0, 255); got {value!r}")


def _level(word: str, value_range: tuple[float, float], end: int) -> Baseline:
    value = value_range[end]

    def make(inputs, rng):
        floats = [key for key, x in inputs.items() if x.dtype.kind == "f" or _is_of_pixels(x)]
        if not floats:
            kinds = ", ".join(str(x.dtype) for x in inputs.values())
            raise AttributionError(f"ta.{word} is for images, these inputs are {kinds}: baselines=ta.token(0) or ta.zeros()")
        for key in floats:
            if inputs[key].dtype.kind in "iu" and not is_in(value, inputs[key].dtype):
                raise AttributionError(f"ta.{word}({value_range}) of {inputs[key].dtype} images: {value} is no such number")
        return replaced(inputs, floats, value)

    return Baseline(f"{word} ({value} of {value_range})", make, shared=None, at_model_input=True, of_images=word)


def _is_of_pixels(x: np.ndarray) -> bool:
    return x.dtype.kind in "iu" and x.ndim > (2 if x.dtype == np.uint8 else 3)  # of fewer axes are ids


def check_of_images(baselines: list[Baseline], inputs: dict) -> None:
    """Raises where a baseline that is for images alone would be that of numbers beside images, too: columns of a table would be
    255 where the image is white, and blurred into each other. `inputs` are those that it is made for, (n, ...) by key."""
    beside = [key for key, value in inputs.items() if value.dtype.kind == "f" and value.ndim < 3]
    images = [key for key, value in inputs.items() if value.ndim > 2]
    for one in baselines:
        if one.of_images and beside and images:
            raise AttributionError(
                f"ta.{one.of_images} is for images, and {', '.join(map(repr, beside))} beside {images[0]!r} are none: give it "
                f"by key, baselines={{{images[0]!r}: ta.{one.of_images}(...)}}, which leaves the others at zeros, or say what "
                "each input is, ta.at_input({...})"
            )
