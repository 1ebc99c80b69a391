"""Histograms of how flat the end of a path is."""

from collections.abc import Sequence

import numpy as np

from . import captions, draw

FLAT, OTHER = "#c2690a", "#8a94a3"  # neither of them green or red


def slopes(parts: Sequence[tuple[str, str, np.ndarray]], edges: np.ndarray, near: float, flat: float) -> draw.Drawing:
    """One histogram of relative slopes for each part: of the output, of the units of a layer.

    Args:
        parts: (title, what is counted, counts), with a count for each bin between `edges` and one for all beyond.
        edges: (bins + 1,), of the magnitude of the relative slope.
        near: the part of the path, at its end, that slopes were taken over.
        flat: below this magnitude a slope counts as flat.
    """
    panels = [draw.Panel(title, (), 1.9, _painter(counts, edges, flat, noun)) for title, noun, counts in parts]
    caption = [
        f"Relative slope: the mean slope over the last {captions.percent(near)} of the path from baseline to input, over the "
        "mean "
        f"slope of the whole path. 1 (dotted) is a straight line, 0 flat. Flat are those below {captions.number(flat)} "
        "(dashed); "
        "the bar that they are in is orange. What does not change along the path is left out."
    ]
    return draw.stack(panels, caption, width=7.0)


def _painter(counts: np.ndarray, edges: np.ndarray, flat: float, noun: str):
    def paint(part):
        axes = part.subplots()
        step = edges[1] - edges[0]
        starts = np.append(edges[:-1], edges[-1] + step)  # all beyond: set off by a gap of one bin
        colours = [FLAT if start < flat else OTHER for start in starts]
        axes.bar(starts, counts, width=0.92 * step, align="edge", color=colours)
        top = max(float(np.max(counts)), 1.0)
        axes.axvline(flat, color="#333333", linestyle="--", linewidth=0.9)
        axes.axvline(1, color="#333333", linestyle=":", linewidth=0.9)
        axes.set_ylim(0, 1.08 * top)
        axes.set_xlim(-step, edges[-1] + 3 * step)
        ticks = [0, 0.5, 1, 1.5, edges[-1] + 1.5 * step]
        axes.set_xticks(ticks, labels=["0", "0.5", "1", "1.5", f"over {edges[-1]:g}"])
        axes.set_xlabel("magnitude of the relative slope near the input", fontsize=8)
        axes.set_ylabel(f"number of {noun}", fontsize=8, parse_math=False)
        draw.plain(axes)

    return paint
