"""Plots: words in boxes, bars of features, signals, and axes in units of time and frequency."""

import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure, FigureBase, SubFigure
from matplotlib.font_manager import fontManager
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import MaxNLocator

from ..common.types import present
from . import colour, draw

LINE_CHARACTERS = 96
# of one channel of a signal: more would lie on top of each other
MAX_STEPS = 600
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


def draw_words(part: FigureBase, tokens: Sequence[str], values: npt.ArrayLike) -> None:
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
    text = _written(token) or "(empty)"
    return text if len(text) <= LINE_CHARACTERS - 6 else text[: LINE_CHARACTERS - 9] + "..."


def _written(text: str) -> str:
    """Text as a picture can hold it: what is no letter, such as the end of a line or a change of direction, as a dot."""
    return "".join(letter if letter.isprintable() else "·" for letter in text)


def draw_bars(axes: Axes, names: Sequence[str], values: npt.ArrayLike, unit: str, errors: npt.ArrayLike | None = None) -> None:
    """A horizontal bar for each feature, first on top: green to the right of zero, red to the left; a line of one standard
    error to either side where `errors` (features,) are given."""
    values = np.asarray(values, np.float64)
    places = np.arange(len(values))
    axes.barh(places, colour.finite(values), color=colour.sign_colours(values), height=0.72)
    if errors is not None:
        axes.errorbar(
            colour.finite(values), places, xerr=np.nan_to_num(np.asarray(errors, np.float64)), fmt="none", **draw.ERROR
        )
    axes.axvline(0, color="#555555", linewidth=0.8)
    axes.set_yticks(places, labels=[shortened(name) for name in names], parse_math=False)
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.set_xlabel(f"attribution ({unit})", fontsize=8, parse_math=False)
    draw.plain(axes)


def shortened(name: str, length: int = 48) -> str:
    """A name that has room beside an axis, in one line."""
    shown = _written(name)
    return shown if len(shown) <= length else shown[: length - 3] + "..."


def draw_signal(
    part: FigureBase,
    values: np.ndarray | None,
    attributions: npt.ArrayLike,
    unit: str,
    style: str = "bars",
    limit: float | None = None,
    names: Sequence[str] | None = None,
) -> None:
    """A one-dimensional input with its attribution, one row for each channel, on a figure or subfigure.

    Where there are more than `MAX_STEPS` time steps, attributions are summed over groups of steps, and an axis says so: bars
    show what raised and what lowered the score apart, a line has the colour of both together.

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
    names = [f"channel {channel}" for channel in range(attributions.shape[1])] if names is None else names
    size = -(-len(attributions) // MAX_STEPS)
    if style == "line" and values is not None:
        rows = _draw_lines(part, values, attributions, size, unit, limit, names)
    else:
        rows = _draw_bars_beneath(part, values, attributions, size, unit, limit, names)
    rows[-1].set_xlim(-0.01 * len(attributions), 1.01 * len(attributions) - 1)
    label_time(rows[-1], None)


def _draw_lines(part, values, attributions, size: int, unit: str, limit: float | None, names: Sequence[str]) -> list:
    sums = sum_groups(attributions, size)
    limit = limit or _largest(sums)
    rows = _rows(part, values, [1.0] * len(names), names)
    shades = np.repeat(sums, size, axis=0)[: len(values)]
    for channel, axes in enumerate(rows):
        _coloured_line(axes, values[:, channel], shades[:, channel], limit)
    draw.colour_bar(part, rows, limit, False, unit if size == 1 else f"{unit},\nsums over {size} steps")
    return rows


def _draw_bars_beneath(part, values, attributions, size: int, unit: str, limit: float | None, names: Sequence[str]) -> list:
    # sums of what raises and of what lowers, apart: together they would cancel, and an oscillation would seem not to matter
    halves = [attributions] if size == 1 else [np.maximum(attributions, 0), np.minimum(attributions, 0)]
    bars = [sum_groups(half, size) for half in halves]
    limit = limit or _largest(np.concatenate(bars))
    rows = _rows(part, values, ([1.0] if values is None else [1.5, 1.0]) * len(names), names)
    middle = np.minimum(np.arange(len(bars[0])) * size + (size - 1) / 2, len(attributions) - 1)
    for channel, axes in enumerate(rows if values is None else rows[1::2]):
        _signal_bars(axes, middle, [half[:, channel] for half in bars], limit)
    label = f"bars: attribution ({unit})"
    part.supylabel(label if size == 1 else f"{label},\nsums over {size} steps", fontsize=8, parse_math=False)
    return rows


def sum_groups(values: np.ndarray, size: int) -> np.ndarray:
    """(time, channels) summed over each `size` steps; the last group may have fewer."""
    return values if size == 1 else np.add.reduceat(values, np.arange(0, len(values), size), axis=0)


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values).max(initial=0)) or 1.0


def _rows(part, values, ratios: Sequence[float], names: Sequence[str]) -> list:
    """Axes one beneath the other with one time axis; each channel's first has its name, and the signal where it is known."""
    rows = list(part.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0])
    for axes in rows:
        draw.plain(axes)
    firsts = rows[:: len(rows) // len(names)]
    for channel, (axes, name) in enumerate(zip(firsts, names, strict=True)):
        axes.set_ylabel(shortened(name, 16), fontsize=8, parse_math=False)
        if values is not None:
            # above a coloured line, so that the course of the signal is seen where there is no attribution
            axes.plot(values[:, channel], color="#444444", linewidth=1.0 if len(rows) > len(names) else 0.7, zorder=4)
    return rows


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
    axes.add_collection(LineCollection(list(path), colors=shades, linewidths=4.0, zorder=3, capstyle="round"))
    axes.margins(y=0.12)


def _signal_bars(axes, places, halves: Sequence[np.ndarray], limit: float) -> None:
    axes.axhline(0, color="#555555", linewidth=0.6)
    # never thinner than a pixel: a peak of one step in thousands stays visible
    width = max(1.0, 380 / max(len(places), 1))
    for bars in halves:
        axes.vlines(places, 0, bars, colors=colour.sign_colours(bars), linewidth=min(width, 6))
    axes.set_ylim(-1.08 * limit, 1.08 * limit)
    axes.set_yticks([-limit, 0, limit], labels=[f"{-limit:.2g}", "0", f"{limit:.2g}"])


def label_axis(axis: Axis, values: npt.ArrayLike, label: str, steps: int | None = None) -> None:
    """Ticks at round values in place of the numbers of steps, on an x or y axis.

    Args:
        axis: `axes.xaxis` or `axes.yaxis`, on which step i lies at i.
        values: (n,), increasing, the value of each step, such as its time in seconds.
        label: beside the axis.
        steps: how many steps the axis has, where the values are of finer ones; default: n.
    """
    values = np.asarray(values, np.float64)
    ticks = MaxNLocator(nbins=6, steps=[1, 2, 5, 10]).tick_values(values[0], values[-1])
    ticks = ticks[(ticks >= values[0]) & (ticks <= values[-1])]
    places = np.interp(ticks, values, np.arange(len(values)))
    if steps is not None:
        places = (places + 0.5) * steps / len(values) - 0.5
    axis.set_ticks(places, labels=[f"{tick:.10g}" for tick in ticks])
    axis.set_label_text(label, fontsize=8, parse_math=False)


def draw_spectrogram_axes(
    part: Figure | SubFigure, times: Sequence[float] | None, frequencies: Sequence[float] | None, time_unit: str
) -> None:
    """Turns pictures (frequency, time) on a figure or subfigure upright, low frequencies beneath, and labels their axes.

    Args:
        part: figure or subfigure whose axes hold pictures.
        times: (n,), increasing, or None for numbers of steps.
        frequencies: (m,), increasing, in hertz, or None for numbers of bins.
        time_unit: of `times`.
    """
    for number, axes in enumerate(axes for axes in part.axes if axes.images):
        height, width = present(axes.images[0].get_array()).shape[:2]
        axes.set_axis_on()
        axes.set_title(axes.get_title().replace("image", "spectrogram"), fontsize=9, parse_math=False)
        axes.set(aspect="auto", xlim=(-0.5, width - 0.5), ylim=(-0.5, height - 0.5))
        axes.tick_params(labelsize=8)
        label_time(axes, times, time_unit, width)
        if frequencies is not None:
            label_axis(axes.yaxis, frequencies, "frequency (Hz)", height)
        else:
            axes.set_ylabel("frequency bin", fontsize=8)
        if number:
            axes.set_ylabel("")
            axes.tick_params(labelleft=False)


def label_signal_time(part: Figure | SubFigure, times: Sequence[float] | None, unit: str) -> None:
    """The time axis that `draw_signal` left with numbers of steps. Arguments as for `label_axis`."""
    # the bottom row is the only one with a label: a colour bar may come after it
    label_time(next(axes for axes in part.axes if axes.get_xlabel()), times, unit)


def label_time(axes: Axes, times: Sequence[float] | None, unit: str = "s", steps: int | None = None) -> None:
    """The x axis in time, or in numbers of steps where `times` is None. Arguments as for `label_axis`."""
    if times is not None:
        label_axis(axes.xaxis, times, f"time ({unit})", steps)
    else:
        axes.set_xlabel("time step", fontsize=8)
