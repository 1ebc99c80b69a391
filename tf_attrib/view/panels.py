"""The parts of a figure for one example: one function for each kind of picture that `show` knows."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..common.errors import AttributionError
from ..common.types import present
from ..result.regions import label_maps
from ..result.result import Result
from . import along_path, areas, captions, colour, coloured_words, draw, plots
from .image import Picture, diverging, infer_range, mask, overlay, sum_channels, to_display, window
from .kinds import Block, is_words
from .tables import ranked

MAX_BARS = 60
MAX_CHANNELS = 6
# In figures that are narrower, in inches, pictures stand one beneath the other.
NARROW = 6.0


@dataclasses.dataclass(frozen=True)
class ShowOptions:
    """What `show` takes besides result, example and kind; see there, where the defaults are, too."""

    sign: str
    clip: float | None
    keep: float | None
    clean: int
    outlined: float | None
    value_range: tuple[float, float] | None
    percentile: float
    common_scale: bool
    style: str
    k: int
    names: Sequence[str] | None
    tokens: Any
    baseline: Any
    columns: int
    limit: int
    feature: str | Sequence[str] | None = None
    colour_by: str | None = None
    sigma: float | None = None
    regions: Any = None
    width: float = draw.WIDTH


@dataclasses.dataclass(frozen=True)
class Part:
    """One example of one tensor (of several, for tables) that is to be drawn.

    Attributes:
        result: what it is a part of.
        group: the tensors.
        example: which example.
        name: what the title begins with.
        options: as given to `show`.
        drawn: all examples of the figure, for a common scale.
    """

    result: Result
    group: Sequence[Block]
    example: int
    name: str
    options: ShowOptions
    drawn: Sequence[int]

    @property
    def block(self) -> Block:
        return self.group[0]

    @property
    def values(self) -> np.ndarray:
        return self.block.values[self.example]

    @property
    def given(self) -> np.ndarray | None:
        """The example's input, or None."""
        return None if self.block.inputs is None else self.block.inputs[self.example]

    @property
    def unit(self) -> str:
        return captions.attribution_unit(self.result)

    @property
    def value_range(self) -> tuple[float, float]:
        # from all examples: one dark image alone would be mistaken for another range
        return self.options.value_range if self.options.value_range is not None else infer_range(present(self.block.inputs))

    def panel(self, caption: Sequence[str], height: float, paint: Callable) -> draw.Panel:
        """A panel with this example's title."""
        return draw.Panel(captions.title(self.result, self.example, self.name), tuple(caption), height, paint)


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


def _words(part: Part) -> list[draw.Panel]:
    given = coloured_words.tokens_for(part.result, part.block, part.example, part.options.tokens)
    ids_only = is_words(part.block.inputs) and present(part.block.inputs).dtype.kind in "iu"
    if given is None and part.result.tokens is None and ids_only:
        return _bars(part)
    shown = coloured_words.words_of(part.result, part.block, part.example, given)
    caption = coloured_words.words_caption(part.result, shown, colour.scale(shown.values, noun="word"))
    height = 0.26 * plots.lines_needed(shown.tokens) + 0.1
    return [part.panel(caption, height, lambda figure: plots.draw_words(figure, shown.tokens, shown.values))]


def _bars(part: Part) -> list[draw.Panel]:
    given = coloured_words.tokens_for(part.result, part.block, part.example, part.options.tokens)
    shown = coloured_words.words_of(part.result, part.block, part.example, given)
    places, left_out = _strongest(np.abs(colour.finite(shown.values)), MAX_BARS, "words, in order")
    names = [f"{place}: {shown.tokens[place] or '(empty)'}" for place in places]
    bad = colour.not_finite(shown.values, "word", "no bar")
    return [_bar_chart(part, names, shown.values[places], [*left_out, *shown.notes, *bad])]


def _strongest(magnitudes: np.ndarray, limit: int, noun: str) -> tuple[np.ndarray, list[str]]:
    """Places of the largest, in order, and a sentence on the share of the others."""
    places = np.sort(np.argsort(-magnitudes, kind="stable")[:limit])
    if len(places) == len(magnitudes):
        return places, []
    rest = 1 - magnitudes[places].sum() / max(magnitudes.sum(), np.finfo(float).tiny)
    return places, [
        f"The {len(places)} strongest of {len(magnitudes)} {noun}; the others carry {captions.percent(rest)} of the "
        "attribution by magnitude."
    ]


def _table(part: Part) -> list[draw.Panel]:
    rows, caption = ranked(part.group, part.example, part.options.k, part.options.names)
    names = [name if value is None else f"{name} = {_short(value)}" for name, value, _, _, _ in rows]
    if any(row[1] is not None for row in rows):
        caption = [*caption, "After the name: the feature's value."]
    caption = [*caption, *colour.not_finite([row[2] for row in rows], "feature", "no bar")]
    errors = None if any(row[3] is None for row in rows) else [row[3] for row in rows]
    if errors is not None:
        caption = [*caption, "Lines: one standard error to either side."]
    return [_bar_chart(part, names, [row[2] for row in rows], caption, errors)]


def _short(value) -> str:
    return captions.number(value) if isinstance(value, float | np.floating) else coloured_words.as_text(value)[:16]


def _bar_chart(part: Part, names: Sequence[str], values, caption: Sequence[str], errors=None) -> draw.Panel:
    return part.panel(
        (colour.meaning(part.result.kind) + ".", *caption),
        0.6 + 0.2 * len(names),
        lambda figure: plots.draw_bars(figure.subplots(), names, values, part.unit, errors),
    )


def _signal(part: Part) -> list[draw.Panel]:
    values, style = colour.finite(part.values), part.options.style
    names = part.options.names
    names = [f"channel {channel}" for channel in range(values.shape[1])] if names is None else list(names)
    if len(names) != values.shape[1]:
        raise AttributionError(f"{len(names)} names for {values.shape[1]} channels: give one for each")
    kept, left_out = _strongest(np.abs(values).sum(0), MAX_CHANNELS, "channels")
    signal = None if part.given is None else part.given[:, kept]
    bad = colour.not_finite(part.values, "value", "drawn as 0")
    caption = [f"{colour.meaning(part.result.kind)}; one scale for all channels.", *left_out, *bad]
    height = 0.5 + len(kept) * (1.5 if style == "bars" and signal is not None else 0.9)
    chosen = [names[channel] for channel in kept]
    return [
        part.panel(
            caption,
            height,
            lambda figure: plots.draw_signal(figure, signal, values[:, kept], part.unit, style, names=chosen),
        )
    ]


def _steps(part: Part) -> list[draw.Panel]:
    block, options = part.block, part.options
    images = block.values.ndim == 4 or (block.values.ndim == 5 and block.values.shape[-1] in (1, 3))
    if images and not is_words(block.inputs):
        return along_path.strip_panels(
            part.result,
            block,
            part.example,
            baseline=options.baseline,
            columns=options.columns,
            value_range=options.value_range,
            name=part.name,
        )
    return [along_path.steps_panel(part.result, block, part.example, part.name)]


def _saturation(part: Part) -> list[draw.Panel]:
    return [along_path.saturation_panel(part.result, part.example, part.name)]


PANELS: dict[str, Callable[[Part], list[draw.Panel]]] = {
    "image": _image,
    "overlay": _overlay,
    "map": _map,
    "mask": _mask,
    "window": _window,
    "smooth": _smooth,
    "regions": _regions,
    "layer": _layer,
    "words": _words,
    "bars": _bars,
    "signal": _signal,
    "table": _table,
    "steps": _steps,
    "saturation": _saturation,
}
