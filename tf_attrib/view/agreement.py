"""Two runs beside each other: how alike the attributions of their examples are, and what each gives to a feature."""

from collections.abc import Sequence

import numpy as np

from . import draw

BINS = 40
ONE, OTHER = "#1f4e9c", "#f2a900"


def draw_agreement(
    rank: np.ndarray, cosine: np.ndarray, means: np.ndarray | None, unit: str, caption: Sequence[str]
) -> draw.Drawing:
    """How many examples are how alike, and where they are known the mean attributions of features, of one run over the other.

    Args:
        rank, cosine: (n,), from -1 to 1; what is NaN is not drawn.
        means: (2, features), or None.
        unit: of the attributions.
        caption: sentences beneath.
    """

    def paint(part):
        shown = part.subplots(1, 2 if means is None else 3, squeeze=False)[0]
        for axes, values, name in ((shown[0], cosine, "cosine"), (shown[1], rank, "rank correlation")):
            finite = values[np.isfinite(values)]
            low = min(0.0, float(finite.min())) if len(finite) else 0.0
            axes.hist(finite, bins=BINS, range=(low, 1), color=ONE, log=True)
            axes.set_xlabel(f"{name} of the two attributions", fontsize=8)
            axes.set_ylabel("examples", fontsize=8)
            draw.plain(axes)
        if means is not None:
            _scatter(shown[2], means, unit)

    return draw.stack([draw.Panel("", (), 2.9, paint)], caption)


def _scatter(axes, means: np.ndarray, unit: str) -> None:
    """A dot for each feature."""
    ends = np.array([means.min(), means.max()])
    axes.plot(ends, ends, color="#999999", linewidth=0.8, zorder=0)
    axes.scatter(*means, s=9, color=OTHER, edgecolors="#333333", linewidths=0.3, rasterized=True)
    axes.set_xlabel(f"mean attribution in run a ({unit})", fontsize=8, parse_math=False)
    axes.set_ylabel("in run b", fontsize=8)
    draw.plain(axes)
