"""Pictures of many attributions at once: beeswarms, bars of mean magnitudes, signed means, mean maps."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize

from . import colour, draw
from .curves import COLOURS
from .image import clip_words, diverging
from .pixels import flat, per_pixel
from .plots import draw_bars, shortened

# low to high values of a feature: neither of the pair of attributions, apart for those who do not tell red from green
VALUES = LinearSegmentedColormap.from_list("tf_attrib_values", ["#1f4e9c", "#8b6bb8", "#f2a900"])
UNKNOWN = "#8a94a3"
# a row of dots is at most this high, of the space of 1 that it has, and dots lie this far apart unless they are too many
ROW, STEP, BINS = 0.84, 0.07, 120
LOW, HIGH = 5, 95


@dataclasses.dataclass(frozen=True, eq=False)
class Swarm:
    """A row of dots.

    Attributes:
        name: of the feature.
        attributions: (m,).
        values: (m,) of the feature, NaN where unknown; None to colour dots by the attribution's sign.
    """

    name: str
    attributions: np.ndarray
    values: np.ndarray | None


def draw_beeswarm(parts: Sequence[tuple[str, Sequence[Swarm]]], unit: str, caption: Sequence[str]) -> draw.Drawing:
    """Dots in rows, first row on top, a panel for each part, on one horizontal scale.

    Args:
        parts: title and rows.
        unit: of the attributions.
        caption: sentences beneath.
    """
    swarms = [swarm for _, rows in parts for swarm in rows]
    ends = np.array(
        [
            0.0,
            *(
                value
                for swarm in swarms
                if len(swarm.attributions)
                for value in (swarm.attributions.min(), swarm.attributions.max())
            ),
        ]
    )
    limits = (ends.min(), ends.max()) if np.ptp(ends) else (-1.0, 1.0)
    with_values = any(swarm.values is not None and np.isfinite(swarm.values).any() for swarm in swarms)
    panels = [
        draw.Panel(title, (), 0.65 + 0.31 * len(rows), _swarm_painter(rows, limits, unit, with_values)) for title, rows in parts
    ]
    return draw.stack(panels, caption, width=8.0)


def _swarm_painter(rows: Sequence[Swarm], limits: tuple[float, float], unit: str, with_values: bool):
    def paint(part):
        axes = part.subplots()
        margin = 0.03 * (limits[1] - limits[0])
        axes.axvline(0, color="#777777", linewidth=0.8, zorder=0)
        for place, row in enumerate(rows):
            axes.axhline(place, color="#dddddd", linewidth=0.5, zorder=-1)
            heights = place - swarm_offsets(row.attributions, limits)
            axes.scatter(row.attributions, heights, s=7, c=_dot_colours(row), linewidths=0, rasterized=True, zorder=3)
        axes.set_yticks(np.arange(len(rows)), labels=[shortened(row.name, 32) for row in rows], parse_math=False)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(limits[0] - margin, limits[1] + margin)
        axes.set_xlabel(f"attribution ({unit})", fontsize=8, parse_math=False)
        draw.plain(axes)
        if with_values:
            bar = part.colorbar(ScalarMappable(Normalize(0, 1), VALUES), ax=axes, aspect=30, shrink=0.8, pad=0.02)
            bar.set_ticks([0, 1], labels=["low", "high"])
            bar.ax.tick_params(labelsize=8, length=0)
            bar.outline.set_visible(False)
            bar.set_label("value of the feature", fontsize=8, labelpad=-6)

    return paint


def swarm_offsets(attributions: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """(m,), how far above its row each dot lies: dots that fall into one bin of the scale lie above and beneath each other.

    Args:
        attributions: (m,).
        limits: the ends of the scale.
    """
    width = max(limits[1] - limits[0], np.finfo(float).tiny)
    bins = np.floor(BINS * (np.asarray(attributions, np.float64) - limits[0]) / width).astype(int)
    order = np.argsort(bins, kind="stable")
    starts = np.searchsorted(bins[order], bins[order])
    layer = np.empty(len(bins), int)
    layer[order] = np.arange(len(bins)) - starts  # 0, 1, 2, ... within each bin
    levels = (layer + 1) // 2
    step = min(STEP, ROW / 2 / max(levels.max(initial=0), 1))
    return np.where(layer % 2, 1, -1) * levels * step


def _dot_colours(row: Swarm) -> list | np.ndarray:
    """By value, from the 5th to the 95th percentile of the row; gray where it is not known; by sign where there are none."""
    if row.values is None:
        return colour.sign_colours(row.attributions)
    known = np.isfinite(row.values)
    if not known.any():
        return [UNKNOWN] * len(row.values)
    low, high = np.percentile(row.values[known], [LOW, HIGH])
    if low == high:  # nearly all are alike: the few that are not decide
        low, high = row.values[known].min(), row.values[known].max()
    shades = VALUES(Normalize(low, high if high > low else low + 1, clip=True)(np.where(known, row.values, low)))
    shades[~known] = colour.to_rgba(UNKNOWN)
    return shades


def draw_stacked(
    names: Sequence[str], parts: Sequence[tuple[str, np.ndarray]], unit: str, caption: Sequence[str]
) -> draw.Drawing:
    """A horizontal bar of mean magnitudes for each feature, first on top, one piece for each group.

    Args:
        names: (k,), of the features.
        parts: group and its (k,) share of the mean magnitude.
        unit, caption: see above.
    """

    def paint(part):
        axes = part.subplots()
        start = np.zeros(len(names))
        for number, (group, values) in enumerate(parts):
            axes.barh(np.arange(len(names)), values, left=start, height=0.72, color=COLOURS[number % len(COLOURS)], label=group)
            start = start + values
        for place, total in enumerate(start):
            axes.annotate(f"{total:.2g}", (total, place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7)
        axes.set_yticks(np.arange(len(names)), labels=[shortened(name, 32) for name in names], parse_math=False)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlabel(f"mean magnitude of the attribution ({unit})", fontsize=8, parse_math=False)
        axes.margins(x=0.08)
        draw.plain(axes)
        if len(parts) > 1:
            for text in part.legend(fontsize=8, frameon=False, loc="outside upper center", ncols=4).get_texts():
                text.set_parse_math(False)

    return draw.stack([draw.Panel("", (), 0.8 + 0.2 * (len(parts) // 4) + 0.25 * len(names), paint)], caption, width=7.5)


def draw_means(parts: Sequence[tuple[str, Sequence[str], np.ndarray]], unit: str, caption: Sequence[str]) -> draw.Drawing:
    """Signed means as bars, green above zero and red below, a panel for each group on one scale.

    Args:
        parts: title, names (k,) and means (k,).
        unit, caption: see above.
    """
    low = min(float(values.min(initial=0)) for _, _, values in parts)
    high = max(float(values.max(initial=0)) for _, _, values in parts)
    margin = 0.06 * ((high - low) or 1.0)

    def painter(names, values):
        def paint(part):
            axes = part.subplots()
            draw_bars(axes, names, values, f"mean, {unit}")
            axes.set_xlim(low - margin, high + margin)

        return paint

    panels = [draw.Panel(title, (), 0.65 + 0.25 * len(names), painter(names, values)) for title, names, values in parts]
    return draw.stack(panels, caption, width=7.5)


def draw_importance(
    names: Sequence[str], values: Sequence[float], errors: Sequence[float], unit: str, caption: Sequence[str]
) -> draw.Drawing:
    """A bar for each feature, first on top, with a line of one standard error to either side.

    Args:
        unit: what stands at the axis.
        caption: sentences beneath.
    """

    def paint(part):
        axes = part.subplots()
        draw_bars(axes, names, values, unit, errors)
        axes.set_xlabel(unit, fontsize=8, parse_math=False)

    return draw.stack([draw.Panel("", (), 0.65 + 0.25 * len(names), paint)], caption, width=7.5)


def draw_maps(
    parts: Sequence[tuple[str, np.ndarray, np.ndarray]], unit: str, caption: Sequence[str], kind: str = ""
) -> draw.Drawing:
    """For each group the map of the mean attribution and that of the mean magnitude, each kind on one scale.

    Args:
        parts: title, mean and mean magnitude, (h, w) or (h, w, channels).
        kind: of the attributions, as in `Result`.
        unit, caption: see above.
    """
    parts = [(title, flat(mean, kind)[0], flat(size, kind)[0]) for title, mean, size in parts]
    limit = max(colour.limit_of(per_pixel(mean, kind).values, kind=kind) for _, mean, _ in parts)
    most = max(float(size.max(initial=0)) for _, _, size in parts) or 1.0
    maps = [diverging(mean, limit=limit or None, unit=unit, kind=kind) for _, mean, _ in parts]
    caption = [*caption, *clip_words([mean for _, mean, _ in parts], maps)]

    def painter(picture, size):
        def paint(part):
            left, right = part.subplots(1, 2)
            draw.draw_picture(left, picture, "mean")
            draw.picture_bar(part, left, picture, unit)
            right.imshow(size, cmap="Greys", vmin=0, vmax=most, interpolation="nearest")
            right.set_axis_off()
            right.set_title("mean magnitude", fontsize=9)
            bar = part.colorbar(ScalarMappable(Normalize(0, most), "Greys"), ax=right, shrink=0.85, aspect=14)
            bar.set_ticks([0, most], labels=["0", f"{most:.2g}"])
            bar.ax.tick_params(labelsize=8)

        return paint

    panels = [draw.Panel(title, (), 2.3, painter(picture, size)) for (title, _, size), picture in zip(parts, maps, strict=True)]
    return draw.stack(panels, caption, width=6.5)
