"""The parts of a figure for one example of images: one function for each kind of picture of them."""

from collections.abc import Callable, Sequence
from typing import Any

from ..common.types import present
from ..result.regions import label_maps
from . import areas, captions, colour, draw
from .image import Picture, diverging, mask, overlay, window
from .parts import Part
from .pixels import per_pixel, to_display

# In figures that are narrower, in inches, pictures stand one beneath the other.
NARROW = 6.0
# Inches of a picture, at least: less is no room for the numbers of a colour bar.
LEAST = 0.8


def _image(part: Part) -> list[draw.Panel]:
    if part.given is None:
        return _map(part)
    over = _picture(part, over=True)
    caption = (over.caption[0].replace("is the gray image", "is gray"), *over.caption[1:])
    columns = [_original(part), ("attribution over the image", over), ("attribution alone", _picture(part))]
    return [_row(part, columns, caption, bar=True)]


def _overlay(part: Part) -> list[draw.Panel]:
    over = _picture(part, over=True)
    return [_row(part, [_original(part), ("attribution over the image", over)], over.caption)]


def _map(part: Part) -> list[draw.Panel]:
    alone = _picture(part)
    return [_row(part, [("attribution alone", alone)], alone.caption, bar=True)]


def _mask(part: Part) -> list[draw.Panel]:
    options = part.options
    keep = 0.9 if options.keep is None else options.keep
    known: Any = {"value_range": part.value_range, "kind": part.result.kind}
    picture = mask(present(part.given), part.values, sign=options.sign, keep=keep, clean=options.clean, **known)
    return [_row(part, [_original(part), ("pixels that carry it", picture)], picture.caption)]


def _window(part: Part) -> list[draw.Panel]:
    picture = window(present(part.given), part.values, percentile=part.options.percentile, value_range=part.value_range)
    return [_row(part, [_original(part), ("soft window", picture)], picture.caption)]


def _smooth(part: Part) -> list[draw.Panel]:
    alone, image = _picture(part), part.given
    broad = areas.smooth(image, part.values, sigma=part.options.sigma, **_known(part, over=image is not None))
    columns = [("smoothed", broad), ("each pixel", alone)]
    if image is not None:
        columns = [_original(part), ("smoothed, over the image", broad), columns[1]]
    edge = (
        f"±{captions.number(present(alone.limit))}" if not alone.least else captions.number(present(alone.limit) + alone.least)
    )
    return [_row(part, columns, (*broad.caption, f"Each pixel: full colour at {edge}.", *alone.hidden), bar=True)]


def _regions(part: Part) -> list[draw.Panel]:
    labels = label_maps(part.result, part.options.regions, part.block.values.shape)[part.example]
    ranked = part.options.regions is None and part.result.region_values is not None
    per = areas.PER_PIXEL if ranked else ""
    alone = areas.by_region(None, part.values, labels, ranked=ranked, **_known(part))
    if part.given is None:
        return [_row(part, [("by region", alone)], alone.caption, bar=True, per=per)]
    over = areas.by_region(part.given, part.values, labels, ranked=ranked, **_known(part, over=True))
    columns = [_original(part), ("by region, over the image", over), ("by region", alone)]
    return [_row(part, columns, over.caption, bar=True, per=per)]


def _layer(part: Part) -> list[draw.Panel]:
    options, alone = part.options, _picture(part)
    sign = "positive" if options.sign == "both" else options.sign
    scale: Any = {"sign": sign, "clip": None if options.common_scale else options.clip, "limit": _limit(part)}
    hot = areas.heat(present(part.given), part.values, **scale, **_known(part, over=True))
    beside = "both signs, cell by cell" if options.sign == "both" else "cell by cell"
    columns = [_original(part), (f"{sign} part, upsampled", hot), (beside, alone)]
    seen = set(hot.caption)
    caption = (*hot.caption, f"Cell by cell: {alone.caption[0]}", *(words for words in alone.caption[1:] if words not in seen))
    return [_row(part, columns, caption, bar=True)]


def _picture(part: Part, over: bool = False) -> Picture:
    """The signed map, alone or over the image."""
    options = part.options
    heeded: Any = {
        "sign": options.sign,
        "clip": None if options.common_scale else options.clip,
        "keep": 1.0 if options.keep is None else options.keep,
        "clean": options.clean,
        "outlined": options.outlined,
        "limit": _limit(part),
    } | _known(part, over)
    return overlay(present(part.given), part.values, **heeded) if over else diverging(part.values, **heeded)


def _known(part: Part, over: bool = False) -> dict[str, Any]:
    """What pictures of attributions say of them, and, of those over an image, of that."""
    known = {"unit": part.unit, "kind": part.result.kind}
    return known | {"value_range": part.value_range} if over else known


def _limit(part: Part) -> float | None:
    if not part.options.common_scale:
        return None
    options = part.options
    kind = part.result.kind
    maps = [per_pixel(part.block.values[index], kind).values for index in part.drawn]
    return max(colour.limit_of(values, options.clip, options.sign, kind) for values in maps)


def _original(part: Part) -> tuple[str, Picture]:
    return "image", Picture(to_display(present(part.given), part.value_range)[0], ())


def _row(
    part: Part, columns: list[tuple[str, Picture]], caption: Sequence[str], bar: bool = False, per: str = ""
) -> draw.Panel:
    """Pictures side by side; `per` is behind the unit of colour bars."""
    size, width = columns[0][1].pixels.shape, part.options.width
    bars, narrow = bar + sum(bool(picture.heat) for _, picture in columns), width < NARROW
    each = max(LEAST, min(3.2, width / (1.3 if narrow else 3.3 + 0.35 * bars) * size[0] / size[1]))
    rows, across = (len(columns), 1) if narrow else (1, 3)

    def paint(figure):
        cells = figure.subplots(rows, across, squeeze=False).ravel()
        for axes in cells[len(columns) :]:
            axes.set_axis_off()
        for axes, (heading, picture) in zip(cells, columns, strict=False):
            draw.draw_picture(axes, picture, heading)
            if picture.heat or (bar and picture is columns[-1][1]):
                draw.picture_bar(figure, axes, picture, part.unit + per)

    one = "with one span of colours" if part.result.kind == "expectation" else "on one scale"
    scale = [f"All examples {one}."] if part.options.common_scale else []
    return part.panel((*caption, *scale), rows * (each + 0.3), paint)


IMAGE_PANELS: dict[str, Callable[[Part], list[draw.Panel]]] = {
    "image": _image,
    "overlay": _overlay,
    "map": _map,
    "mask": _mask,
    "window": _window,
    "smooth": _smooth,
    "regions": _regions,
    "layer": _layer,
}
