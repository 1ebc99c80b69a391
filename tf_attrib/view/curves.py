"""Curves with their bands, and means with their intervals."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from ..common.errors import legible
from . import draw

# apart for those who do not tell red from green, and neither of the pair of attributions
COLOURS = ("#0b6fa4", "#d9820f", "#6b6b6b", "#7b3f99", "#111111", "#b0457b", "#3aa6a0", "#8c6d31")
STYLES = ("-", "--", ":", "-.")


@dataclasses.dataclass(frozen=True, eq=False)
class Line:
    """A curve (points,) with the ends of its band, NaN where there is none."""

    name: str
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def draw_curves(parts: Sequence[tuple], axes: tuple[str, str], caption: Sequence[str]) -> draw.Drawing:
    """Curves with bands, a panel for each part.

    Args:
        parts: (title, horizontal places or names, lines) of each panel.
        axes: what the horizontal and the vertical axis are.
        caption: sentences beneath.
    """
    panels = [draw.Panel(title, (), 3.0 + 0.9 * _named(along), _painter(along, lines, axes)) for title, along, lines in parts]
    return draw.stack(panels, caption, width=7.0)


def _named(along) -> bool:
    return not isinstance(along, np.ndarray)


def _painter(along, lines: Sequence[Line], labels: tuple[str, str]):
    def paint(part):
        axes = part.subplots()
        places = np.arange(len(along)) if _named(along) else along
        for number, line in enumerate(lines):
            shade, style = COLOURS[number % len(COLOURS)], STYLES[(number // len(COLOURS)) % len(STYLES)]
            axes.plot(
                places,
                line.mean,
                style,
                color=shade,
                linewidth=1.6,
                marker="o" if _named(along) else None,
                markersize=4,
                label=line.name,
            )
            axes.fill_between(places, line.low, line.high, color=shade, alpha=0.18, linewidth=0)
        axes.axhline(0, color="#555555", linewidth=0.6)
        axes.set_xlabel(labels[0], fontsize=8, parse_math=False)
        axes.set_ylabel(labels[1], fontsize=8, parse_math=False)
        if _named(along):
            axes.set_xticks(places, labels=[str(name) for name in along], rotation=60, ha="right", parse_math=False)
        draw.plain(axes)
        for text in axes.legend(fontsize=8, frameon=False, loc="best").get_texts():
            text.set_parse_math(False)

    return paint


def draw_intervals(parts: Sequence[tuple], caption: Sequence[str]) -> draw.Drawing:
    """For each metric a dot with its interval for each method.

    Args:
        parts: (title, names, means, lows, highs, unit) of each metric.
        caption: sentences beneath.
    """
    panels = [
        draw.Panel(title, (), 0.55 + 0.24 * len(names), _dots(names, means, lows, highs, unit))
        for title, names, means, lows, highs, unit in parts
    ]
    return draw.stack(panels, caption, width=7.0)


def _dots(names: Sequence[str], means, lows, highs, unit: str):
    def paint(part):
        axes = part.subplots()
        places = np.arange(len(names))
        for place, mean, low, high in zip(places, means, lows, highs, strict=True):
            axes.plot([low, high], [place, place], color="#0b6fa4", linewidth=2.4, alpha=0.45, solid_capstyle="butt")
            axes.plot([mean], [place], "o", color="#0b6fa4", markersize=5)
        axes.set_yticks(places, labels=list(names), parse_math=False)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel(unit, fontsize=8, parse_math=False)
        axes.grid(axis="y", color="#e3e3e3", linewidth=0.6)
        axes.set_axisbelow(True)
        draw.plain(axes)

    return paint


def table_and_lines(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], lines: Sequence[str]) -> str:
    """A table as HTML without a page, with a line above and sentences beneath, all escaped."""
    style = Markup(' style="padding:0.2em 0.7em;text-align:{}"')
    sides = [style.format("left"), *[style.format("right")] * (len(header) - 1)]
    cells = [
        [Markup("<{0}{1}>{2}</{0}>").format(tag, side, cell) for side, cell in zip(sides, row, strict=True)]
        for tag, row in [("th", header), *(("td", row) for row in rows)]
    ]
    body = Markup("\n").join(Markup("<tr>{}</tr>").format(Markup("").join(row)) for row in cells)
    sentences = Markup("<br>").join(lines)
    return legible(
        Markup(
            '<div class="tf-attrib" style="font-family:sans-serif"><b>{}</b><table style="border-collapse:collapse">'
            '{}</table><div style="font-size:0.82em">{}</div></div>'
        ).format(title, body, sentences)
    )
