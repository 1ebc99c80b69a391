"""The parts of a figure for one example of images: one function for each kind of picture of them."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from ..common.types import present
from ..result.regions import label_maps
from . import areas, captions, colour, draw
from .image import Picture, diverging, mask, overlay, sum_channels, to_display, window
from .parts import Part, ShowOptions

# In figures that are narrower, in inches, pictures stand one beneath the other.
NARROW = 6.0


def _image(part: Part) -> list[draw.Panel]:
    alone = _map_picture(part)
    if part.given is None:
        return _map(part)
    over = _overlay_picture(part)
    caption = (over.caption[0].replace("zero is the gray image", "zero is gray"), *over.caption[1:])
    columns = [_original(part), ("attribution over the image", over), ("attribution alone", alone)]
    return [_row(part, columns, caption, bar=True)]


def _overlay(part: Part) -> list[draw.Panel]:
    over = _overlay_picture(part)
    return [_row(part, [_original(part), ("attribution over the image", over)], over.caption)]


def _map(part: Part) -> list[draw.Panel]:
    alone = _map_picture(part)
    return [_row(part, [("attribution alone", alone)], alone.caption, bar=True)]


def _mask(part: Part) -> list[draw.Panel]:
    options = part.options
    keep = 0.9 if options.keep is None else options.keep
    picture = mask(
        present(part.given), part.values, sign=options.sign, keep=keep, clean=options.clean, value_range=part.value_range
    )
    return [_row(part, [_original(part), ("pixels that carry it", picture)], picture.caption)]


def _window(part: Part) -> list[draw.Panel]:
    picture = window(present(part.given), part.values, percentile=part.options.percentile, value_range=part.value_range)
    return [_row(part, [_original(part), ("soft window", picture)], picture.caption)]


def _smooth(part: Part) -> list[draw.Panel]:
    alone, options = _map_picture(part), part.options
    values, image = part.values, part.given
    known: Any = {"unit": part.unit, "kind": part.result.kind}
    if image is None:
        values, summed = sum_channels(values)
        found, words = areas.smoothed(colour.finite(values), options.sigma)
        broad = diverging(found, limit=colour.limit_of(found, 0.0), **known)
        broad = dataclasses.replace(broad, caption=(broad.caption[0], *summed, *words, *broad.caption[1:]))
    else:
        broad = areas.smooth(image, values, sigma=options.sigma, value_range=part.value_range, **known)
    columns = [("smoothed", broad), ("each pixel", alone)]
    columns = columns if image is None else [_original(part), ("smoothed, over the image", broad), columns[1]]
    caption = (*broad.caption, f"Each pixel: full colour at ±{captions.number(present(alone.limit))}.", *alone.hidden)
    return [_row(part, columns, caption, bar=True)]


def _regions(part: Part) -> list[draw.Panel]:
    maps = label_maps(part.result, part.options.regions, part.block.values.shape)
    known: Any = {"unit": part.unit, "kind": part.result.kind}
    alone = areas.by_region(None, part.values, maps[part.example], **known)
    if part.given is None:
        return [_row(part, [("by region", alone)], alone.caption, bar=True)]
    over = areas.by_region(part.given, part.values, maps[part.example], value_range=part.value_range, **known)
    columns = [_original(part), ("by region, over the image", over), ("by region", alone)]
    return [_row(part, columns, over.caption, bar=True)]


def _layer(part: Part) -> list[draw.Panel]:
    options, limit = part.options, _limit(part)
    sign = "positive" if options.sign == "both" else options.sign
    hot = areas.heat(
        present(part.given),
        part.values,
        sign=sign,
        clip=None if options.common_scale else options.clip,
        limit=limit,
        value_range=part.value_range,
        unit=part.unit,
    )
    alone = _map_picture(part)
    columns = [_original(part), (f"{sign} part, upsampled", hot), ("both signs, cell by cell", alone)]
    if options.sign != "both":
        columns[2] = ("cell by cell", alone)
    seen = set(hot.caption)
    caption = (*hot.caption, f"Cell by cell: {alone.caption[0]}", *(words for words in alone.caption[1:] if words not in seen))
    return [_row(part, columns, caption, bar=True)]


def _overlay_picture(part: Part) -> Picture:
    options = part.options
    return overlay(
        present(part.given),
        part.values,
        sign=options.sign,
        clip=None if options.common_scale else options.clip,
        keep=_keep(options),
        clean=options.clean,
        outlined=options.outlined,
        value_range=part.value_range,
        limit=_limit(part),
        unit=part.unit,
        kind=part.result.kind,
    )


def _map_picture(part: Part) -> Picture:
    options = part.options
    return diverging(
        part.values,
        sign=options.sign,
        clip=None if options.common_scale else options.clip,
        keep=_keep(options),
        clean=options.clean,
        outlined=options.outlined,
        limit=_limit(part),
        unit=part.unit,
        kind=part.result.kind,
    )


def _keep(options: ShowOptions) -> float:
    return 1.0 if options.keep is None else options.keep


def _limit(part: Part) -> float | None:
    if not part.options.common_scale:
        return None
    options = part.options
    maps = [sum_channels(part.block.values[index])[0] for index in part.drawn]
    return max(colour.limit_of(values, options.clip, options.sign) for values in maps)


def _original(part: Part) -> tuple[str, Picture]:
    return "image", Picture(to_display(present(part.given), part.value_range)[0], ())


def _row(part: Part, columns: list[tuple[str, Picture]], caption: Sequence[str], bar: bool = False) -> draw.Panel:
    size, width = columns[0][1].pixels.shape, part.options.width
    bars, narrow = bar + sum(bool(picture.heat) for _, picture in columns), width < NARROW
    each = min(3.2, width / (1.3 if narrow else 3.3 + 0.35 * bars) * size[0] / size[1])
    rows, across = (len(columns), 1) if narrow else (1, 3)

    def paint(figure):
        cells = figure.subplots(rows, across, squeeze=False).ravel()
        for axes in cells[len(columns) :]:
            axes.set_axis_off()
        for axes, (heading, picture) in zip(cells, columns, strict=False):
            draw.draw_picture(axes, picture, heading)
            if picture.heat:
                draw.colour_bar(figure, axes, present(picture.limit), picture.clipped, part.unit, heat=picture.heat)
        if bar:
            last = columns[-1][1]
            draw.colour_bar(figure, cells[len(columns) - 1], present(last.limit), last.clipped, part.unit)

    scale = ["All examples on one scale."] if part.options.common_scale else []
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
