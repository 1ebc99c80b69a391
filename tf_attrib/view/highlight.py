"""An image with the pixels or areas that matter in colour, as other services draw it: one sign or both, by percentiles.

Unlike the other pictures here these have no caption, and hide what is weak: they are for those whose readers know them.
"""

import io

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgb
from PIL import Image
from scipy import ndimage

from .areas import smoothed
from .colour import finite, one_of
from .pixels import infer_range, to_display

GREEN, RED, PINK = (0.0, 0.8, 0.2), (0.9, 0.1, 0.1), to_rgb("deeppink")
# Of positive and of negative attributions; a name is a palette from -1 to 1.
SCHEMES = {
    "pink_green": (GREEN, PINK),
    "red_green": (GREEN, RED),
    "red": (RED, RED),
    "green": (GREEN, GREEN),
    "viridis": "viridis",
    "pink_white_green": "PiYG",
}
BENEATH = ("none", "original", "grayscale", "mask_black")
QUALITY = 95


def highlight(
    image: npt.ArrayLike,
    values: npt.ArrayLike,
    *,
    areas: bool = False,
    sign: str = "positive",
    scheme: str = "pink_green",
    percentiles: tuple[float, float] = (62.0, 99.9),
    beneath: str = "none",
    value_range: tuple[float, float] | None = None,
) -> np.ndarray:
    """uint8 (height, width, 3).

    Args:
        image: (height, width) or (height, width, channels).
        values: (height, width), one attribution for each pixel.
        areas: whether areas are outlined (of the smoothed map), and not pixels coloured.
        sign: which attributions are drawn: "positive", "negative" or "both".
        scheme: one of SCHEMES.
        percentiles: of the magnitudes of that sign over all pixels: below the first nothing is drawn, from the second on
            colours are full.
        beneath: what is behind the colours: nothing ("none", black), the image ("original", "grayscale"), or the image itself
            as far as it is attributed to ("mask_black").
        value_range: what is black and white in the image; default: inferred.
    """
    for name, value, choices in (
        ("sign", sign, ("positive", "negative", "both")),
        ("scheme", scheme, SCHEMES),
        ("beneath", beneath, BENEATH),
    ):
        one_of(name, value, choices)
    shown, _ = to_display(np.asarray(image), infer_range(image) if value_range is None else value_range)
    numbers = finite(values)
    if areas:
        numbers, _ = smoothed(numbers)
    signed = {"positive": np.maximum(numbers, 0), "negative": np.minimum(numbers, 0), "both": numbers}[sign]
    strength = _strength(np.abs(signed), percentiles)
    if beneath == "mask_black":
        return _bytes(shown * strength[..., None])
    back = {"none": np.zeros_like(shown), "original": shown, "grayscale": np.repeat(shown.mean(-1, keepdims=True), 3, -1)}[
        beneath
    ]
    opacity = strength
    if areas:
        inside = strength > 0
        opacity = np.logical_and(inside, np.logical_not(ndimage.binary_erosion(inside))).astype(float)
    return _bytes(back + opacity[..., None] * (_colours(signed, strength, scheme) - back))


def jpeg(picture: np.ndarray) -> bytes:
    """A picture uint8 (height, width, 3) as the bytes of a JPEG."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="JPEG", quality=QUALITY)
    return file.getvalue()


def _strength(magnitudes: np.ndarray, percentiles: tuple[float, float]) -> np.ndarray:
    """0 up to the lower percentile, 1 from the upper one on, and in proportion between them."""
    low, high = np.percentile(magnitudes, percentiles)
    if not high > low:
        return (magnitudes > low).astype(float)
    return np.clip((magnitudes - low) / (high - low), 0, 1)


def _colours(signed: np.ndarray, strength: np.ndarray, scheme: str) -> np.ndarray:
    colours = SCHEMES[scheme]
    if isinstance(colours, str):
        return matplotlib.colormaps[colours]((1 + np.sign(signed) * strength) / 2)[..., :3]
    positive, negative = (np.asarray(colour) for colour in colours)
    return np.where((signed >= 0)[..., None], positive, negative)


def _bytes(picture: np.ndarray) -> np.ndarray:
    return np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)
