"""Images and attributions as arrays, one colour or number for each pixel, which pictures are made of."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ..common.errors import AttributionError
from ..result import channels
from ..result.adding_up import over_channels
from . import colour
from .captions import count, number
from .kinds import is_coarser


class Map(NamedTuple):
    """Attributions as one number for each pixel, to be drawn.

    Attributes:
        values: float64 (h, w), 0 is drawn without colour.
        least: what was taken off: of expected scores, whose differences alone tell, the least of them; else 0.
        sentences: what became of the channels.
    """

    values: np.ndarray
    least: float
    sentences: list[str]


def as_image(image: npt.ArrayLike) -> np.ndarray:
    """The image as (h, w) or (h, w, 3).

    Raises:
        AttributionError: for any shape but (h, w), (h, w, 1) or (h, w, 3).
    """
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[-1] == 1:
        return image[..., 0]
    if image.ndim == 2 or (image.ndim == 3 and image.shape[-1] == 3):
        return image
    raise AttributionError(f"an image is (height, width), (height, width, 1) or (height, width, 3); got {image.shape}")


def flat(attributions: npt.ArrayLike, kind: str = "") -> tuple[np.ndarray, list[str]]:
    """Attributions (h, w) or (h, w, channels) as one number for each pixel, (h, w), and the sentence on what channels came to.

    What adds up is summed, never averaged: so the pixels still add up to the difference of scores. What channels have in full,
    as effects, is averaged, never summed.

    Args:
        kind: as in `Result`.

    Raises:
        AttributionError: for another number of axes.
    """
    values = np.asarray(attributions, np.float64)
    if values.ndim not in (2, 3):
        raise AttributionError(
            f"attributions of an image are (height, width) or (height, width, channels); got "
            f"{values.shape}. Sum over other axes first: result.sum(axis)"
        )
    if values.ndim == 2:
        return values, []
    sentences = [channels.in_words(values.shape[-1], kind)] if values.shape[-1] > 1 else []
    return over_channels(values, kind), sentences


def per_pixel(attributions: npt.ArrayLike, kind: str = "") -> Map:
    """Attributions as `flat` has them, as they are drawn: expected scores as what they have beyond the least of them."""
    values, sentences = flat(attributions, kind)
    known = values[np.isfinite(values)]
    least = float(known.min()) if kind == "expectation" and known.size else 0.0
    return Map(values - least, least, sentences)


def infer_range(images: npt.ArrayLike) -> tuple[float, float]:
    """The values of black and of white, from all images at hand: (0, 255), (0, 1), (-1, 1), or their own extremes.

    Args:
        images: array of any shape. One image alone may mislead (a dark one in [-1, 1]); give all there are.
    """
    images = np.asarray(images)
    low, high = (float(f(colour.finite(images))) if images.size else 0.0 for f in (np.min, np.max))
    if images.dtype == np.uint8 and high > 1:
        return 0.0, 255.0
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    if low >= -1 and high <= 1:
        return -1.0, 1.0
    if low >= 0:
        return 0.0, 255.0 if 128 <= high <= 255 else high
    return low, high


def to_display(image: npt.ArrayLike, value_range: tuple[float, float] | None = None) -> tuple[np.ndarray, list[str]]:
    """An image (h, w), (h, w, 1) or (h, w, 3) as float RGB (h, w, 3) in [0, 1], and what was done to it in words.

    Args:
        image: any numbers.
        value_range: values of black and white; default: inferred from this image alone (`infer_range`).

    Raises:
        AttributionError: for a shape that is no image, or a range that is not (low, high) with low < high.
    """
    image = as_image(image)
    low, high = infer_range(image) if value_range is None else (float(edge) for edge in value_range)
    if not low < high:
        if value_range is not None:
            raise AttributionError(f"value_range is (black, white) with black < white; got {value_range!r}")
        high = low + 1
    scaled = (colour.finite(image) - low) / (high - low)
    outside = (scaled < -1e-9) | (scaled > 1 + 1e-9) | ~np.isfinite(image.astype(np.float64))
    sentences = []
    if (low, high) not in ((0.0, 1.0), (0.0, 255.0)):
        sentences.append(f"The image is drawn from {number(low)} (black) to {number(high)} (white).")
    if outside.any():
        sentences.append(f"{count(int(outside.sum()), 'value')} of the image outside {number(low)} to {number(high)}, clipped.")
    scaled = np.clip(scaled, 0, 1)
    return (np.repeat(scaled[..., None], 3, -1) if scaled.ndim == 2 else scaled), sentences


def enlarge(values: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, list[str]]:
    """A grid of values as blocks of `shape` pixels, without interpolation (no new values), and a sentence where it did.

    Raises:
        AttributionError: where the grid is finer than the image, or of another proportion.
    """
    if values.shape == tuple(shape):
        return values, []
    if not is_coarser(values.shape, shape):
        raise AttributionError(
            f"attributions of {values.shape} do not fit an image of {tuple(shape)}: height and width "
            "must be equal, or a coarser grid of the same proportion"
        )
    factors = [pixels / grid for pixels, grid in zip(shape, values.shape, strict=True)]
    large = np.asarray(ndimage.zoom(values, factors, order=0, mode="nearest", grid_mode=True))
    return large, [f"Attributions are for {values.shape[0]} × {values.shape[1]} cells, drawn as blocks of pixels."]
