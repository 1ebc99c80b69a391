"""Drawing without global state: figures, axes for pictures, captions, PNG."""

import base64
import dataclasses
import io
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, FigureBase
from matplotlib.patheffects import withStroke

from ..common.types import present
from . import colour
from .areas import HEAT
from .image import Picture

WIDTH = 9.0  # inches
LABEL = 25  # letters beside a colour bar, which may be little more than an inch high
# Lines that show a standard error.
ERROR: Any = {"ecolor": "#333333", "elinewidth": 0.9, "capsize": 2}
CAPTION_SIZE = 8.0  # points
TITLE_SIZE = 10.0
LEFT = 0.008  # what is free beside titles and captions, of the width
NARROWER, SMALLEST = 0.02, 0.8  # by which parts of its size, and down to which, a text is made smaller where it is too wide
BOLD = 1.15  # how much wider bold letters are
OUTLINE = "#1740d4"  # neither of the pair
BORDER = "#ffffffb0"  # between regions


class Drawing(Figure):
    """A matplotlib figure, made without pyplot, that a notebook shows by itself."""

    def _repr_png_(self) -> bytes:
        return png(self)

    def draw(self, renderer: Any) -> None:
        """Draws it, titles and captions within its width: at some resolutions letters are rounded to wider ones."""
        texts = [text for part in (*_subfigures(self), self) for text in part.texts]
        sizes = [float(text.get_fontsize()) for text in texts]
        for text, size in zip(texts, sizes, strict=True):
            most = size
            while text.get_window_extent(renderer).x1 > (1 - LEFT) * self.bbox.width and most > SMALLEST * size:
                most -= size * NARROWER
                text.set_fontsize(most)
        super().draw(renderer)
        for text, size in zip(texts, sizes, strict=True):
            text.set_fontsize(size)

    @property
    def caption(self) -> str:
        """All caption sentences, of every part, as one text."""
        parts = [part.get_supxlabel() for part in (*_subfigures(self), self)]
        return "\n".join(" ".join(part.split()) for part in parts if part)


@dataclasses.dataclass(frozen=True)
class Panel:
    """One part of a figure, over the full width: a title, a drawing, a caption.

    Attributes:
        title: one line, wrapped where it is too long.
        caption: sentences beneath.
        height: inches of the drawing, without title and caption.
        draw: draws on the subfigure that it is given.
    """

    title: str
    caption: tuple[str, ...]
    height: float
    draw: Callable


def stack(panels: Sequence[Panel], caption: Sequence[str] = (), width: float = WIDTH) -> Drawing:
    """Panels one beneath the other, as high as each of them needs, and a caption for all of them."""
    heights = [
        panel.height + text_height([panel.title], width, TITLE_SIZE * BOLD) + text_height(panel.caption, width)
        for panel in panels
    ]
    figure = drawing(width, sum(heights) + (text_height(caption, width) if caption else 0))
    parts = figure.subfigures(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for part, panel in zip(parts, panels, strict=True):
        panel.draw(part)
        if panel.title:
            set_title(part, panel.title)
        if panel.caption:
            set_caption(part, panel.caption)
    if caption:
        set_caption(figure, caption)
    return figure


def with_caption(panels: Sequence[Panel], sentences: Sequence[str]) -> list[Panel]:
    """The same panels, with more sentences beneath the last of them."""
    last = panels[-1]
    return [*panels[:-1], dataclasses.replace(last, caption=(*last.caption, *sentences))]


def _subfigures(figure) -> list:
    return [inner for part in figure.subfigs for inner in (part, *_subfigures(part))]


def drawing(width: float = WIDTH, height: float = 3.0) -> Drawing:
    """A new figure, in inches, white, with room made for titles and captions."""
    figure = Drawing(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def set_title(part: FigureBase, text: str) -> None:
    """A title at the left of a figure or subfigure, wrapped, as plain text ("$" included)."""
    part.suptitle(
        wrap(text, _width(part), TITLE_SIZE * BOLD),
        x=LEFT,
        ha="left",
        fontsize=TITLE_SIZE,
        fontweight="bold",
        parse_math=False,
    )


def set_caption(part: FigureBase, sentences: Sequence[str]) -> None:
    """The caption, wrapped, beneath a figure or subfigure."""
    part.supxlabel(
        wrap(" ".join(sentences), _width(part)),
        x=LEFT,
        ha="left",
        fontsize=CAPTION_SIZE,
        color="#333333",
        parse_math=False,
    )


def _width(part) -> float:
    return part.bbox.width / part.dpi


def wrap(text: str, width: float, size: float = CAPTION_SIZE) -> str:
    """`text` with line breaks for a width in inches, at a font size in points; its own line breaks are kept."""
    # 0.53: the mean width of this font's characters in units of its size, with some room to spare
    characters = max(20, int(width * 72 / (size * 0.53)))
    return "\n".join(textwrap.fill(line, characters) for line in text.split("\n"))


def text_height(sentences: Sequence[str], width: float = WIDTH, size: float = CAPTION_SIZE) -> float:
    """Inches that sentences take as lines of this width, with the space around them."""
    text = " ".join(sentences)
    return 0.1 + (wrap(text, width, size).count("\n") + 1) * size * 1.25 / 72 if text else 0.0


def draw_picture(axes: Axes, picture: Picture, heading: str = "") -> None:
    """A picture's pixels, outlines, borders and words on axes without ticks."""
    axes.imshow(picture.pixels, interpolation="nearest", aspect="equal")
    axes.set_axis_off()
    axes.set_title(heading, fontsize=9, parse_math=False)
    if picture.lines is not None and len(picture.lines):
        width = 1.6 if max(picture.pixels.shape) <= 64 else 0.9
        # all of the white halo first, so that no piece of it covers a line
        for colour_name, extra in (("white", 1.4), (OUTLINE, 0.0)):
            lines = LineCollection(list(picture.lines), colors=colour_name, linewidths=width + extra, capstyle="projecting")
            axes.add_collection(lines, autolim=False)
    if picture.borders is not None:
        axes.add_collection(LineCollection(list(picture.borders), colors=BORDER, linewidths=0.5), autolim=False)
    for x, y, words in picture.texts:
        halo = [withStroke(linewidth=2, foreground="white")]
        axes.text(x, y, words, fontsize=8, ha="center", va="center", path_effects=halo, clip_on=True, parse_math=False)


def colour_bar(
    part: FigureBase,
    axes: Axes | Sequence[Axes],
    limit: float,
    clipped: bool,
    unit: str,
    shrink: float = 0.85,
    heat: str = "",
    least: float = 0.0,
) -> None:
    """The colour bar of a symmetric map, or of one sign (`heat`, as in `Picture`), or from what has no colour upwards where
    that is not 0 (`least`, likewise), with its unit, and arrows where values are clipped."""
    edge = limit if limit > 0 else 1.0
    one_side = heat or least
    ends = [0, edge] if one_side else [-edge, 0, edge]
    mappable = ScalarMappable(Normalize(0, edge), HEAT) if heat else ScalarMappable(colour.norm(limit), colour.DIVERGING)
    arrows = "neither" if not clipped else "max" if one_side else "both"
    bar = part.colorbar(mappable, ax=axes, extend=arrows, shrink=shrink, aspect=14)
    sign = -1 if heat == "negative" else 1
    bar.set_ticks(ends, labels=[f"{sign * end + least:.2g}" for end in ends])
    if least:
        bar.ax.set_ylim(0, edge)
    bar.ax.tick_params(labelsize=8)
    lines = [textwrap.fill(line, LABEL) for line in f"attribution ({unit})".split("\n")]
    bar.set_label("\n".join(lines), fontsize=8, parse_math=False)


def picture_bar(part: FigureBase, axes: Axes, picture: Picture, unit: str) -> None:
    """The colour bar of a picture of attributions."""
    colour_bar(part, axes, present(picture.limit), picture.clipped, unit, heat=picture.heat, least=picture.least)


def plain(axes: Axes) -> None:
    """Axes with two spines and small ticks."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def png(figure: Figure, dpi: float = 110) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    # without the creation date or version, one figure gives one file
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def data_uri(figure: Figure, dpi: float = 110) -> str:
    """The figure as "data:image/png;base64,...", for an <img> in a page that stands alone."""
    return "data:image/png;base64," + base64.b64encode(png(figure, dpi)).decode("ascii")
