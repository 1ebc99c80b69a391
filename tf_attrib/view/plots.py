"""Plots: words in boxes, bars of features, signals."""

import unicodedata
from collections.abc import Sequence

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.font_manager import fontManager
from matplotlib.patches import FancyBboxPatch

from . import colour, draw

LINE_CHARACTERS = 96
# for scripts that matplotlib's own font lacks, where one of them is installed
OTHER_FONTS = (
    "Noto Sans Mono CJK JP",
    "Noto Sans CJK JP",
    "WenQuanYi Zen Hei",
    "Noto Sans Arabic",
    "FreeMono",
    "Segoe UI",
    "Arial Unicode MS",
    "Hiragino Sans",
    "MS Gothic",
)


def draw_words(part, tokens: Sequence[str], values) -> None:
    """Words in boxes of their colours, in lines as wide as the figure, on a figure or subfigure."""
    lines = _lines(tokens)
    backgrounds = colour.hex_colours(colour.scale(values, noun="word"))
    installed = set(fontManager.get_font_names())
    families = ["monospace", *(font for font in OTHER_FONTS if font in installed)]
    axes = part.subplots()
    axes.set_axis_off()
    axes.set(xlim=(0, LINE_CHARACTERS), ylim=(len(lines), 0))
    for row, line in enumerate(lines):
        for column, width, place in line:
            box = FancyBboxPatch(
                (column + 0.3, row + 0.14),
                width - 0.6,
                0.72,
                boxstyle="round,pad=0,rounding_size=0.2",
                facecolor=backgrounds[place],
                edgecolor="none",
                mutation_aspect=0.5,
            )
            axes.add_patch(box)
            axes.text(
                column + width / 2,
                row + 0.52,
                _printable(tokens[place]),
                ha="center",
                va="center",
                fontsize=9.5,
                family=families,
                color=colour.text_colour(backgrounds[place]),
                parse_math=False,
            )


def lines_needed(tokens: Sequence[str]) -> int:
    """How many lines `draw_words` takes."""
    return len(_lines(tokens))


def _lines(tokens: Sequence[str]) -> list[list[tuple[float, float, int]]]:
    """(column, width in characters, place) of each word, line by line."""
    lines, column = [[]], 0.0
    for place, token in enumerate(tokens):
        text = _printable(token)
        width = 2.0 + sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
        if column and column + width > LINE_CHARACTERS:
            lines.append([])
            column = 0.0
        lines[-1].append((column, width, place))
        column += width
    return lines


def _printable(token: str) -> str:
    text = "".join(letter if letter.isprintable() else "·" for letter in token) or "(empty)"
    return text if len(text) <= LINE_CHARACTERS - 6 else text[: LINE_CHARACTERS - 9] + "..."


def draw_bars(axes, names: Sequence[str], values, unit: str) -> None:
    """A horizontal bar for each feature, first on top: green to the right of zero, red to the left."""
    values = np.asarray(values, np.float64)
    places = np.arange(len(values))
    axes.barh(places, colour.finite(values), color=colour.sign_colours(values), height=0.72)
    axes.axvline(0, color="#555555", linewidth=0.8)
    axes.set_yticks(places, labels=[_short(name) for name in names], parse_math=False)
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.set_xlabel(f"attribution ({unit})", fontsize=8, parse_math=False)
    draw.plain(axes)


def _short(name: str, length: int = 48) -> str:
    return name if len(name) <= length else name[: length - 3] + "..."


def draw_signal(
    part,
    values,
    attributions,
    unit: str,
    style: str = "bars",
    limit: float | None = None,
    names: Sequence[str] | None = None,
) -> None:
    """A one-dimensional input with its attribution, one row for each channel, on a figure or subfigure.

    Args:
        part: figure or subfigure.
        values: (time, channels) the signal, or None where only the attribution is known.
        attributions: (time, channels).
        unit: of the attributions.
        style: "bars" (the attribution as bars beneath the line) or "line" (the line coloured by it).
        limit: the bars' range, or the magnitude in full colour; default: the largest magnitude over all channels.
        names: a name for each channel.
    """
    colour.one_of("style", style, ("bars", "line"))
    attributions = colour.finite(attributions)
    channels = attributions.shape[1]
    limit = limit or float(np.abs(attributions).max(initial=0)) or 1.0
    both = style == "bars" and values is not None
    ratios = [1.5, 1.0] * channels if both else [1.0] * channels
    rows = part.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
    for channel in range(channels):
        name = names[channel] if names is not None else f"channel {channel}"
        top = rows[channel * (2 if both else 1)]
        draw.plain(top)
        if values is not None:
            # above the coloured line, so that the course of the signal is seen where there is no attribution
            top.plot(values[:, channel], color="#444444", linewidth=1.0 if both else 0.7, zorder=4)
            top.set_ylabel(_short(name, 16), fontsize=8, parse_math=False)
        if style == "line" and values is not None:
            _coloured_line(top, values[:, channel], attributions[:, channel], limit)
        else:
            _signal_bars(rows[2 * channel + 1] if both else top, attributions[:, channel], limit)
        if values is None:
            top.set_ylabel(_short(name, 16), fontsize=8, parse_math=False)
    rows[-1].set_xlim(-0.01 * len(attributions), 1.01 * len(attributions) - 1)
    rows[-1].set_xlabel("time step", fontsize=8)
    if style == "line" and values is not None:
        draw.colour_bar(part, list(rows), limit, False, unit)
    else:
        part.supylabel(f"bars: attribution ({unit})", fontsize=8, parse_math=False)


def _coloured_line(axes, signal, attributions, limit: float) -> None:
    """Each time step colours the line around it, half way to its neighbours."""
    time = np.arange(len(signal), dtype=float)
    edges = np.concatenate([time[:1], (time[1:] + time[:-1]) / 2, time[-1:]])
    between = np.interp(edges, time, signal)
    path = np.stack(
        [
            np.stack([edges[:-1], between[:-1]], -1),
            np.stack([time, signal], -1),
            np.stack([edges[1:], between[1:]], -1),
        ],
        1,
    )
    shades = colour.colours(colour.scale(attributions, limit=limit))
    axes.add_collection(LineCollection(path, colors=shades, linewidths=4.0, zorder=3, capstyle="round"))
    axes.margins(y=0.12)


def _signal_bars(axes, attributions, limit: float) -> None:
    draw.plain(axes)
    axes.axhline(0, color="#555555", linewidth=0.6)
    # never thinner than a pixel: a peak of one step in thousands stays visible
    width = max(1.0, 380 / max(len(attributions), 1))
    axes.vlines(
        np.arange(len(attributions)), 0, attributions, colors=colour.sign_colours(attributions), linewidth=min(width, 6)
    )
    axes.set_ylim(-1.08 * limit, 1.08 * limit)
    axes.set_yticks([-limit, 0, limit], labels=[f"{-limit:.2g}", "0", f"{limit:.2g}"])
