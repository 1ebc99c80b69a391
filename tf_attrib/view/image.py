"""Attributions on images, as arrays of colours with captions: overlay, mask, soft window, symmetric map."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgb

from ..common.errors import AttributionError
from . import colour
from .captions import count, number, percent
from .pixels import enlarge, per_pixel, to_display
from .shares import outline, regions, share_of

HIDDEN = "#9aa4b2"  # a bluish gray: what a mask hides is not to be taken for a part of the image


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture as numbers, not yet drawn.

    Attributes:
        pixels: float (h, w, 3) in [0, 1].
        caption: sentences: what the colours mean, in which unit, and what scaling or clipping hides.
        limit: the magnitude in full colour, in the attribution's unit; None where nothing is coloured by sign.
        least: what `limit` counts from and has no colour: 0, but of expected scores the least of them.
        clipped: whether magnitudes above `limit` exist.
        hidden: those sentences of the caption that say what clipping, thresholds, signs and clean-up hide.
        lines: (n, 2, 2) outlines as segments of (x, y), or None.
        borders: (n, 2, 2) thin lines between regions, likewise.
        texts: (x, y, words) that are written into the picture.
        heat: "positive" or "negative" where the colours are those of one sign, from dark to bright; "" elsewhere.
    """

    pixels: np.ndarray
    caption: tuple[str, ...]
    limit: float | None = None
    clipped: bool = False
    hidden: tuple[str, ...] = ()
    lines: np.ndarray | None = None
    borders: np.ndarray | None = None
    texts: tuple[tuple[float, float, str], ...] = ()
    heat: str = ""
    least: float = 0.0


def overlay(
    image: npt.ArrayLike,
    attributions: npt.ArrayLike,
    *,
    sign: str = "both",
    clip: float | None = None,
    keep: float = 1.0,
    clean: int = 0,
    outlined: float | None = None,
    value_range: tuple[float, float] | None = None,
    limit: float | None = None,
    unit: str = "raw",
    kind: str = "",
) -> Picture:
    """The attribution over the image in gray: green where it raised the score, red where it lowered it.

    The opacity is proportional to the magnitude, so a pixel without attribution is the gray image itself.

    Args:
        image: (h, w), (h, w, 1) or (h, w, 3), in any range.
        attributions: (h, w) or (h, w, channels), whose channels are summed where they add up (`per_pixel`); or a coarser
            grid, whose cells are enlarged.
        sign, keep, clean, limit: as in `colour.scale`.
        clip: likewise; default: 0.2 of the attribution in images of 64 × 64 pixels and more, none in smaller ones, and none of
            what groups, windows or masks are worth.
        outlined: draw outlines around the regions that carry this share (0 to 1) of the attribution.
        value_range: values of black and white in the image; default: inferred from it.
        unit, kind: of the attributions, for the caption; `kind` as in `Result`.

    Returns:
        Picture.

    Raises:
        AttributionError: for shapes that don't fit, shares outside 0 to 1, an unknown sign.
    """
    base, sentences = to_display(image, value_range)
    values, least, summed = per_pixel(attributions, kind)
    noun = _noun(values, base)
    clip = _clip(clip, limit, values, kind)
    scaled = colour.scale(values, sign=sign, clip=clip, keep=keep, clean=clean, limit=limit, noun=noun)
    enlarged, words = enlarge(scaled.values, base.shape[:2])
    tint = colour.tint(dataclasses.replace(scaled, values=enlarged))
    # half contrast, darker: full colours must stay visible on white as well as on black
    gray = 0.15 + 0.55 * (base @ np.array([0.299, 0.587, 0.114]))[..., None]
    pixels = gray * (1 - tint[..., 3:]) + tint[..., :3] * tint[..., 3:]
    lines, about = _outlines(values, sign, outlined, clean, base.shape[:2], noun)
    caption = (
        colour.full_colour(scaled.limit, unit, kind, "zero is the gray image", least),
        *summed,
        *words,
        *scaled.hidden,
        *about,
        *sentences,
    )
    return Picture(pixels, caption, scaled.limit, scaled.clipped, scaled.hidden, lines, least=least)


def diverging(
    attributions: npt.ArrayLike,
    *,
    sign: str = "both",
    clip: float | None = None,
    keep: float = 1.0,
    clean: int = 0,
    outlined: float | None = None,
    limit: float | None = None,
    unit: str = "raw",
    kind: str = "",
) -> Picture:
    """The symmetric map of the attribution alone: red below zero, gray at zero, green above. Arguments as for `overlay`."""
    values, least, summed = per_pixel(attributions, kind)
    clip = _clip(clip, limit, values, kind)
    scaled = colour.scale(values, sign=sign, clip=clip, keep=keep, clean=clean, limit=limit)
    lines, about = _outlines(values, sign, outlined, clean, values.shape)
    caption = (
        colour.full_colour(scaled.limit, unit, kind, "zero is gray", least),
        *summed,
        *scaled.hidden,
        *about,
    )
    pixels = colour.colours(scaled)[..., :3]
    return Picture(pixels, caption, scaled.limit, scaled.clipped, scaled.hidden, lines, least=least)


def mask(
    image: npt.ArrayLike,
    attributions: npt.ArrayLike,
    *,
    sign: str = "both",
    keep: float = 0.9,
    clean: int = 0,
    value_range: tuple[float, float] | None = None,
    kind: str = "",
) -> Picture:
    """The image itself where the pixels carry the share `keep` of the attribution, a flat gray elsewhere.

    Args:
        image, attributions, sign, clean, value_range, kind: as in `overlay`.
        keep: share of the attribution, 0 to 1, that stays visible; with `clean` at least that, where it can be.
    """
    colour.check_share("keep", keep)
    base, sentences = to_display(image, value_range)
    values, least, summed = per_pixel(attributions, kind)
    if kind == "expectation":
        summed = [*summed, f"The attribution is what an expected score has beyond the least, {number(least)}."]
    shown = colour.select_sign(colour.finite(values), sign)
    inside = regions(shown, keep, clean)
    visible, words = enlarge(inside.astype(float), base.shape[:2])
    pixels = np.where(visible[..., None] > 0.5, base, to_rgb(HIDDEN))
    which = "" if sign == "both" else f"{sign} "
    caption = (
        f"Visible: {count(int(inside.sum()), _noun(values, base))} ({percent(inside.mean())} of all) that carry "
        f"{percent(share_of(shown, inside))} of the {which}attribution by magnitude ({percent(keep)} asked for).",
        *summed,
        *colour.not_finite(values, _noun(values, base), "taken as 0"),
        *words,
        *sentences,
    )
    return Picture(pixels, caption)


def window(
    image: npt.ArrayLike,
    attributions: npt.ArrayLike,
    *,
    percentile: float = 99.0,
    value_range: tuple[float, float] | None = None,
) -> Picture:
    """The soft window of "Gradients of Counterfactuals": the image dimmed where the attribution is small.

    window = min(1, (|R| + |G| + |B|) / percentile of these sums), multiplied on the image. The sign is lost, on purpose.

    Args:
        image, attributions, value_range: as in `overlay`.
        percentile: 0 to 100, of the pixels' sums (not of the attribution): pixels from there on are fully lit.

    Raises:
        AttributionError: for shapes that don't fit, or a percentile outside 0 to 100.
    """
    if not 0 <= percentile <= 100:
        raise AttributionError(f"percentile is from 0 to 100; got {percentile!r}")
    base, sentences = to_display(image, value_range)
    values = np.abs(colour.finite(attributions))
    channels = values.shape[-1] if values.ndim == 3 else 1
    values = per_pixel(values).values
    bad = colour.not_finite(per_pixel(attributions).values, _noun(values, base), "what is not is taken as 0")
    full = float(np.percentile(values, percentile))
    if full == 0:  # sparse attributions: fewer pixels than the percentile leaves have any
        full = float(values.max(initial=0))
    light, words = enlarge(np.minimum(values / full, 1) if full else np.zeros_like(values), base.shape[:2])
    over = values > full
    total = max(values.sum(), np.finfo(float).tiny)
    magnitudes = f"sum of the magnitudes of {channels} channels" if channels > 1 else "magnitude"
    clipped = (
        (f"; {count(int(over.sum()), 'pixel')} above, {percent(values[over].sum() / total)} of the attribution, no brighter")
        if over.any()
        else ""
    )
    caption = (
        f"Image dimmed by the {magnitudes} of the attribution (sign not shown), fully lit at {number(full)}, "
        f"percentile {number(percentile)} of the pixels{clipped}.",
        *bad,
        *words,
        *sentences,
    )
    return Picture(base * light[..., None], caption)


def clip_words(maps: Sequence[np.ndarray], pictures: Sequence[Picture]) -> list[str]:
    """The sentence on what is clipped in some of several maps (height, width); none where nothing is."""
    if not any(picture.clipped for picture in pictures):
        return []
    share = percent(colour.usual_clip(maps[0].size))
    largest = number(max(np.abs(colour.finite(values)).max(initial=0) for values in maps))
    return [
        f"The strongest pixels of a map, {share} of its attribution at most, are clipped (the largest of all is {largest})."
    ]


def _clip(clip: float | None, limit: float | None, values: np.ndarray, kind: str) -> float:
    """The share that is clipped: as asked for, or the usual one where nothing else says what has full colour."""
    if clip is None:
        return colour.usual_clip(values.size, kind) if limit is None else 0.0
    return clip


def _noun(values: np.ndarray, image: np.ndarray) -> str:
    return "pixel" if values.shape == image.shape[:2] else "cell"


def _outlines(
    values: np.ndarray, sign: str, share: float | None, clean: int, shape, noun: str = "pixel"
) -> tuple[np.ndarray | None, list[str]]:
    if share is None:
        return None, []
    colour.check_share("outlined", share)
    shown = colour.select_sign(colour.finite(values), sign)
    inside = regions(shown, share, clean)
    large, _ = enlarge(inside.astype(float), shape)
    which = "" if sign == "both" else f"{sign} "
    return outline(large > 0.5), [
        f"Outlined: {count(int(inside.sum()), noun)} ({percent(inside.mean())} of all) that "
        f"carry {percent(share_of(shown, inside))} of the {which}attribution by magnitude ({percent(share)} asked for)."
    ]
