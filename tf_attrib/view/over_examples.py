"""Pictures with a place for each example of a data set: heat maps of features over examples, attributions over values."""

from collections.abc import Sequence

import numpy as np

from . import colour, draw
from .curves import COLOURS
from .plots import shortened

# Panels of scatters stand side by side.
ACROSS = 3


def draw_heat_map(
    parts: Sequence[tuple[str, np.ndarray]], names: Sequence[str], limit: float, unit: str, caption: Sequence[str]
) -> draw.Drawing:
    """A row for each feature and a column for each example, a panel for each group, on one scale.

    Args:
        parts: title, and attributions (features, examples) of which there is at least one.
        names: (features,).
        limit: where colours end.
        unit: of the attributions.
        caption: sentences beneath.
    """

    def painter(values: np.ndarray):
        def paint(part):
            axes = part.subplots()
            axes.imshow(values, colour.DIVERGING, colour.norm(limit), aspect="auto", interpolation="nearest")
            axes.set_yticks(np.arange(len(names)), labels=[shortened(name, 32) for name in names], parse_math=False)
            axes.set_xticks([])
            axes.tick_params(labelsize=8, length=0)
            draw.colour_bar(part, axes, limit, bool(np.abs(values).max() > limit), unit)

        return paint

    panels = [draw.Panel(title, (), 0.4 + 0.24 * len(names), painter(values)) for title, values in parts]
    return draw.stack(panels, caption, width=8.5)


def draw_scatters(
    parts: Sequence[tuple[str, np.ndarray, np.ndarray]],
    groups: Sequence[str],
    group: np.ndarray,
    unit: str,
    caption: Sequence[str],
) -> draw.Drawing:
    """A panel for each feature: a dot for each example, its attribution over the value of the feature.

    Args:
        parts: name, values (n,) and attributions (n,).
        groups: their names.
        group: (n,), which of them an example is of.
        unit: of the attributions.
        caption: sentences beneath.
    """

    def painter(row: Sequence[tuple[str, np.ndarray, np.ndarray]]):
        def paint(part):
            shown = part.subplots(1, ACROSS, squeeze=False)[0]
            for axes, (name, values, attributions) in zip(shown, row, strict=False):
                axes.axhline(0, color="#999999", linewidth=0.6, zorder=0)
                for number, title in enumerate(groups):
                    own, shade = group == number, COLOURS[number % len(COLOURS)]
                    axes.scatter(values[own], attributions[own], s=6, color=shade, linewidths=0, rasterized=True, label=title)
                axes.set_xlabel(shortened(name, 32), fontsize=8, parse_math=False)
                draw.plain(axes)
            for axes in shown[len(row) :]:
                axes.set_axis_off()
            shown[0].set_ylabel(f"attribution ({unit})", fontsize=8, parse_math=False)
            if len(groups) > 1 and row is rows[0]:
                handles, labels = shown[0].get_legend_handles_labels()
                above = part.legend(handles, labels, loc="outside upper center", fontsize=8, frameon=False, ncols=4)
                for text in above.get_texts():
                    text.set_parse_math(False)

        return paint

    rows = [parts[start : start + ACROSS] for start in range(0, len(parts), ACROSS)]
    return draw.stack([draw.Panel("", (), 2.5, painter(row)) for row in rows], caption, width=8.5)
