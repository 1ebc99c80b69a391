"""The parts of a figure for one example: one function for each kind of picture that `show` knows."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from ..common.errors import AttributionError
from ..common.types import present
from ..result.channels import channels_in_front
from . import along_path, captions, colour, coloured_words, draw, plots
from .frames import frame_panels
from .image_panels import IMAGE_PANELS
from .kinds import is_words
from .parts import Part
from .tables import ranked

MAX_BARS = 60
MAX_CHANNELS = 6


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
    everything = np.concatenate([np.ravel(block.values[part.example]) for block in part.group])
    caption = [*caption, *colour.not_finite(everything, "feature", "no bar")]
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
    shape, words = block.values.shape, []
    if channels_in_front((shape[0], *shape[2:])) and block.inputs is not None and channels_in_front(block.inputs.shape):
        words = [f"Channels are taken to be axis 2 of {shape}."]
        block = dataclasses.replace(block, values=np.moveaxis(block.values, 2, -1), inputs=np.moveaxis(block.inputs, 1, -1))
    images = block.values.ndim == 4 or (block.values.ndim == 5 and block.values.shape[-1] in (1, 3))
    if images and not is_words(block.inputs):
        panels = along_path.strip_panels(
            part.result,
            block,
            part.example,
            baseline=options.baseline,
            columns=options.columns,
            value_range=options.value_range,
            name=part.name,
            width=options.width,
        )
        return draw.with_caption(panels, words)
    return [along_path.steps_panel(part.result, block, part.example, part.name)]


def _saturation(part: Part) -> list[draw.Panel]:
    return [along_path.saturation_panel(part.result, part.example, part.name)]


PANELS: dict[str, Callable[[Part], list[draw.Panel]]] = IMAGE_PANELS | {
    "words": _words,
    "bars": _bars,
    "signal": _signal,
    "frames": frame_panels,
    "table": _table,
    "steps": _steps,
    "saturation": _saturation,
}
