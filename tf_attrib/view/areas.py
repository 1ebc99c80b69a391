"""Attributions on images seen coarser than pixel by pixel: smoothed, by region, and the maps of layers, upsampled."""

import dataclasses

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgb
from scipy import ndimage
from scipy.interpolate import PchipInterpolator

from ..common.checks import number as checked
from ..common.errors import AttributionError
from ..result.adding_up import are_summed
from ..result.regions import of_map
from . import colour
from .captions import count, number, percent
from .image import Picture, diverging, overlay
from .pixels import enlarge, flat, per_pixel, to_display

# Of a smoothed map, where none is given: so many pixels, as a part of the shorter side, and one at least.
# Looked at on photographs of 224 pixels: with 2% the map is as blotchy as pixels are, with 4% cup and saucer flow together.
SIGMA = 0.03
# A map's values in order of lightness, for all eyes (tests hold it); what is near zero is left to the image beneath.
HEAT = matplotlib.colormaps["inferno"]
FAINT, STRONG = 0.3, 0.8  # how opaque zero and the largest value are over the image
PER_PIXEL = " per pixel"  # behind the unit of what regions are ranked by
# As many regions have their value written into them.
LABELLED = 5


def smoothed(values: np.ndarray, sigma: float | None = None, kind: str = "") -> tuple[np.ndarray, list[str]]:
    """A map (height, width) spread by a Gaussian, and the sentences on what that did.

    Sum and mean stay what they are: what would be spread beyond the border comes back from there (half-sample reflection), so
    that every pixel hands out all that it has.

    Args:
        values: finite.
        sigma: in pixels; default: 3% of the shorter side, at least 1.
        kind: as in `Result`: whether it is the sum that has a meaning.
    """
    sigma = max(1.0, SIGMA * min(values.shape)) if sigma is None else checked("sigma (in pixels)", sigma, above=0)
    found = np.asarray(ndimage.gaussian_filter(values, sigma, mode="reflect"))
    before, after = np.abs(values).sum(), np.abs(found).sum()
    cancelled = (
        f"; neighbours of both signs cancel, which hides {percent(1 - after / before)} of the attribution by magnitude"
        if after < 0.995 * before
        else ""
    )
    kept = f"sum is {number(found.sum())}" if are_summed(kind) else f"mean is {number(found.mean())}"
    return found, [
        f"Smoothed by a Gaussian, sigma {number(sigma)} pixels, nothing lost at the borders: the {kept} as before{cancelled}."
    ]


def smooth(
    image: npt.ArrayLike | None,
    attributions: npt.ArrayLike,
    *,
    sigma: float | None = None,
    value_range: tuple[float, float] | None = None,
    limit: float | None = None,
    unit: str = "raw",
    kind: str = "",
) -> Picture:
    """The attribution, one number for each pixel and smoothed, over the image in gray, or alone where `image` is None: green
    raised the score, red lowered it.

    Args:
        image, attributions, value_range, limit, unit, kind: as in `overlay`; attributions of as many pixels as the image has.
        sigma: as in `smoothed`.

    Raises:
        AttributionError: for shapes that do not fit.
    """
    values, summed = flat(attributions, kind)
    if image is not None and values.shape != (shape := np.shape(image)[:2]):
        raise AttributionError(
            f"attributions of {values.shape} are coarser than the image of {shape}: kind='layer' draws them smoothly"
        )
    found, words = smoothed(colour.finite(values), sigma, kind)
    largest = colour.limit_of(per_pixel(found, kind).values, 0.0) if limit is None else limit
    picture = _drawn(image, found, value_range, largest, unit, kind)
    bad = colour.not_finite(values, "pixel", "drawn as 0")
    return dataclasses.replace(picture, caption=(picture.caption[0], *summed, *words, *bad, *picture.caption[1:]))


def heat(
    image: npt.ArrayLike,
    attributions: npt.ArrayLike,
    *,
    sign: str = "positive",
    clip: float | None = None,
    limit: float | None = None,
    value_range: tuple[float, float] | None = None,
    unit: str = "raw",
    kind: str = "",
) -> Picture:
    """The map of a layer over the image, upsampled smoothly, from dark to bright in an order that all eyes see.

    One sign alone is drawn, as Grad-CAM's authors do with the positive one (arXiv:1610.02391, the ReLU of equation 2).

    Args:
        image, value_range, unit, kind: as in `overlay`.
        attributions: (rows, columns), or (rows, columns, channels), as in `overlay`.
        sign: "positive" or "negative".
        clip, limit: as in `colour.scale`.
    """
    colour.one_of("sign", sign, ("positive", "negative"))
    base, sentences = to_display(image, value_range)
    values, least, summed = per_pixel(attributions, kind)
    clip = 0.0 if clip is None else clip
    scaled = colour.scale(values, sign=sign, clip=clip, limit=limit, noun="cell")
    bad = np.isnan(scaled.values)
    rows, columns = values.shape
    blocks, _ = enlarge(np.abs(scaled.values), base.shape[:2])
    level = upsampled(np.where(bad, 0, np.abs(scaled.values)), base.shape[:2])
    gray = 0.15 + 0.7 * (base @ np.array([0.299, 0.587, 0.114]))[..., None]
    opacity = (FAINT + (STRONG - FAINT) * level)[..., None]
    pixels = gray * (1 - opacity) + HEAT(level)[..., :3] * opacity
    pixels[np.isnan(blocks)] = to_rgb(colour.NOT_FINITE)
    edge = least + (scaled.limit if sign == "positive" else -scaled.limit)
    scale = f"Dark is {number(least)}, bright yellow {number(edge)} {unit}" if scaled.limit else f"No cell is {sign}"
    caption = (
        f"{scale}: {rows} × {columns} cells laid evenly over the image, interpolated between "
        "their middles by monotone cubics (none is brighter than a cell).",
        *summed,
        *scaled.hidden,
        *sentences,
    )
    return Picture(pixels, caption, scaled.limit, scaled.clipped, scaled.hidden, heat=sign, least=least)


def upsampled(cells: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Cells (rows, columns), laid evenly over `shape` pixels, interpolated between their middles along one axis and then the
    other by monotone cubics (Fritsch & Carlson 1980, 10.1137/0717021): smooth, and never beyond the cells on both sides."""
    for axis, pixels in enumerate(shape):
        count = cells.shape[axis]
        at = np.clip((np.arange(pixels) + 0.5) * count / pixels - 0.5, -1, count)
        # beyond the middles of the outermost cells, these go on
        wider = np.pad(cells, [(1, 1) if a == axis else (0, 0) for a in range(2)], mode="edge")
        cells = PchipInterpolator(np.arange(-1, count + 1), wider, axis=axis)(at)
    return cells


def by_region(
    image: npt.ArrayLike | None,
    attributions: npt.ArrayLike,
    regions: np.ndarray,
    *,
    value_range: tuple[float, float] | None = None,
    limit: float | None = None,
    unit: str = "raw",
    kind: str = "",
    ranked: bool = False,
) -> Picture:
    """Each region in the colour of the sum of its attributions, over the image in gray, or alone where `image` is None.

    Outlined are the regions; the strongest have their value written into them.

    Args:
        image, attributions, value_range, limit, unit, kind: as in `overlay`.
        regions: whole numbers (height, width).
        ranked: whether regions are numbered by their rank in attribution per pixel, as those of XRAI: that is the colour then,
            full at the first, and the first bear their rank.

    Raises:
        AttributionError: for shapes that do not fit.
    """
    values = np.asarray(attributions, np.float64)
    found = of_map(colour.finite(values), regions, kind)
    total = found.values.sum()
    if ranked:
        found, unit = found._replace(values=found.values / found.sizes), unit + PER_PIXEL
    painted = found.values[np.searchsorted(found.labels, regions)]
    if limit is None:
        # what is left at last are often slivers that stand out against the class: they are not to set the scale
        sign = "positive" if ranked and (painted > 0).any() else "both"
        limit = colour.limit_of(per_pixel(painted, kind).values, 0.0, sign)
    picture = _drawn(image, painted, value_range, limit, unit, kind)
    bad = colour.not_finite(values, "value", "taken as 0")
    caption = (picture.caption[0], *_region_words(found, kind, total, ranked), *bad, *picture.caption[1:])
    texts = () if image is None else _texts(found, regions, ranked)
    return dataclasses.replace(picture, caption=caption, borders=borders(regions), texts=texts)


def _drawn(image: npt.ArrayLike | None, values: np.ndarray, value_range, limit: float, unit: str, kind: str) -> Picture:
    """The signed map over an image, or alone."""
    if image is None:
        return diverging(values, limit=limit, unit=unit, kind=kind)
    return overlay(image, values, value_range=value_range, limit=limit, unit=unit, kind=kind)


def _region_words(found, kind: str, total: float, ranked: bool) -> list[str]:
    """The sentences on what the colour of a region is, and how much the strongest carry."""
    each = "The only region" if len(found.labels) == 1 else f"Each of {count(len(found.labels), 'region')}"
    if ranked:
        by = "of its attribution per pixel, by which they are ranked (1 is the first)"
        return [f"{each} has the colour {by}; all pixels sum to {number(total)}."]
    strongest = np.sort(np.abs(found.values))[::-1][:LABELLED]
    share = percent(strongest.sum() / max(np.abs(found.values).sum(), np.finfo(float).tiny))
    named = f"; the {len(strongest)} strongest carry {share} of their magnitude" if len(strongest) > 1 else ""
    if not are_summed(kind):
        return [f"{each} has the colour of the mean over its pixels, which do not add up{named}."]
    return [f"{each} has the colour of its sum over pixels and channels; all sum to {number(total)}, as pixels do{named}."]


def _texts(found, regions: np.ndarray, ranked: bool) -> tuple[tuple[float, float, str], ...]:
    """(x, y, value) of the strongest regions, or the ranks of the first, at the pixel of each that lies deepest inside it."""
    texts = []
    order = np.arange(len(found.labels)) if ranked else np.argsort(-np.abs(found.values), kind="stable")
    for i in order[:LABELLED]:
        if found.values[i]:
            inside = np.pad(regions == found.labels[i], 1)
            depth = np.asarray(ndimage.distance_transform_edt(inside))
            row, column = np.unravel_index(depth.argmax(), inside.shape)
            words = str(found.labels[i]) if ranked else f"{found.values[i]:+.2g}"
            texts.append((float(column - 1), float(row - 1), words))
    return tuple(texts)


def borders(regions: np.ndarray) -> np.ndarray:
    """The lines between regions (height, width) as segments (n, 2, 2) of (x, y); coordinates as of `shares.outline`."""
    rows, columns = np.nonzero(regions[1:] != regions[:-1])
    across = np.stack([np.stack([columns - 0.5, rows + 0.5], -1), np.stack([columns + 0.5, rows + 0.5], -1)], 1)
    rows, columns = np.nonzero(regions[:, 1:] != regions[:, :-1])
    down = np.stack([np.stack([columns + 0.5, rows - 0.5], -1), np.stack([columns + 0.5, rows + 0.5], -1)], 1)
    return np.concatenate([across, down])
