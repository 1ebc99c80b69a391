"""One example as one picture of pixels, made in milliseconds: for logs that are written while a model trains.

Images get a strip: the image, the attribution over it, the attribution alone. Words get boxes. Everything else, and words in
scripts that need a font of their own, are drawn by `show`, which takes longer.
"""

import dataclasses
import functools
import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.font_manager import fontManager
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont

from ..common.tokens import is_padding
from ..result.result import Result
from . import captions, colour
from .coloured_words import words_of
from .draw import png as figure_png
from .image import Picture, diverging, overlay
from .kinds import Block, blocks, drawable
from .pixels import infer_range, to_display
from .plots import OTHER_FONTS
from .show import show

FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
SIZE, LINE = 12, 17  # of letters and lines, in pixels
# TensorBoard shows pictures in cards of 350 pixels, wider ones shrunk by leaving pixels out
WIDTH, SIDE, GAP = 334, 104, 8
MANY = 3  # so many words of padding at the end become one


def board(
    result: Result, example: int, heading: Sequence[str] = (), tokens: Sequence[str] | None = None
) -> tuple[bytes, tuple[int, int]]:
    """A PNG of one example with its heading above and its scale beneath, and the picture's width and height.

    The channels of a convolution's maps (batch, height, width, channels) are summed, with their signs, and so are those of
    images that have them first.

    Args:
        result: any result that can be drawn.
        example: which entry of the result: an example, or one at a position.
        heading: lines above the picture.
        tokens: the example's words; default: those that the result knows, else the token ids.

    Raises:
        AttributionError: attributions of a shape that cannot be drawn.
    """
    result, kind, _ = drawable(result)
    found = blocks(result)
    if len(found) == 1 and found[0].kind == "image" and np.shape(found[0].values)[0]:
        return _encoded(_strip(result, found[0], example, heading))
    if len(found) == 1 and found[0].kind == "words":
        shown = words_of(result, found[0], example, tokens)
        if all(letter in _letters() for token in shown.tokens for letter in token) or not _other_fonts():
            return _encoded(_boxes(result, shown.tokens, shown.values, heading))
    words = None if tokens is None else [[] if i != example else list(tokens) for i in range(len(result))]
    if (
        kind == "auto" and result.position is not None
    ):  # `show` would draw the map of all positions of the example of that number
        kinds = {block.kind for block in found}
        kind = kinds.pop() if len(kinds) == 1 else kind
        result = result if kind != "auto" else dataclasses.replace(result, position=None)
    with Image.open(io.BytesIO(figure_png(show(result, example=example, kind=kind, tokens=words)))) as figure:
        return _encoded(_framed(figure.convert("RGB"), heading, ""))


def _strip(result: Result, block: Block, example: int, heading: Sequence[str]) -> Image.Image:
    values, unit = block.values[example], captions.attribution_unit(result)
    alone = diverging(values, unit=unit, kind=result.kind)
    pictures = [alone]
    if block.inputs is not None:
        given = block.inputs[example]
        edges = infer_range(block.inputs)
        pictures = [
            Picture(to_display(given, edges)[0], ()),
            overlay(given, values, value_range=edges, unit=unit, kind=result.kind),
            alone,
        ]
    height, width = pictures[0].pixels.shape[:2]
    factor = max(1, SIDE // max(height, width))
    side = [_enlarged(picture.pixels, (width, height), factor) for picture in pictures]
    row = Image.new("RGB", (len(side) * (width * factor + GAP) - GAP, height * factor), "white")
    for number, picture in enumerate(side):
        row.paste(picture, (number * (width * factor + GAP), 0))
    return _framed(row, heading, " ".join((alone.caption[0], *alone.hidden, *block.turned)))


def _enlarged(pixels: np.ndarray, size: tuple[int, int], factor: int) -> Image.Image:
    """Pixels as blocks, those of a layer's coarser grid too: no new values."""
    picture = Image.fromarray((255 * pixels).round().astype(np.uint8))
    return picture.resize((size[0] * factor, size[1] * factor), Image.Resampling.NEAREST)


def _boxes(result: Result, tokens: Sequence[str], values: np.ndarray, heading: Sequence[str]) -> Image.Image:
    """The words in boxes of their colours, in lines."""
    tokens, values = _gathered(list(tokens), values)
    scaled = colour.scale(values, noun="word")
    font, lines = _font(), [[]]
    right = 0
    for token, background in zip(tokens, colour.hex_colours(scaled), strict=True):
        label = _fitting("".join(letter if letter in _letters() else "□" for letter in token) or "(empty)")
        width = int(font.getlength(label)) + 8
        if right + width > WIDTH and lines[-1]:
            lines.append([])
            right = 0
        lines[-1].append((right, width, label, background))
        right += width + 3
    canvas = Image.new("RGB", (WIDTH, len(lines) * (LINE + 3)), "white")
    drawing = ImageDraw.Draw(canvas)
    for row, line in enumerate(lines):
        for left, width, label, background in line:
            top = row * (LINE + 3)
            drawing.rounded_rectangle((left, top, left + width, top + LINE), 4, fill=background)
            drawing.text((left + 4, top + 2), label, fill=colour.text_colour(background), font=font)
    scale = colour.full_colour(scaled.limit, captions.attribution_unit(result), result.kind, "gray is zero")
    return _framed(canvas, heading, " ".join((scale, *scaled.hidden)))


def _fitting(label: str) -> str:
    """A label, of a long one as much as there is room for in a line."""
    room = WIDTH - 8
    if _font().getlength(label) <= room:
        return label
    kept = next(count for count in range(min(len(label), room), -1, -1) if _font().getlength(label[:count] + "…") <= room)
    return label[:kept] + "…"


def _framed(picture: Image.Image, heading: Sequence[str], caption: str) -> Image.Image:
    """The picture with lines of text above and beneath it."""
    wide = max(picture.width, WIDTH)
    above, below = ([part for line in lines if line for part in _wrapped(line, wide)] for lines in (heading, [caption]))
    canvas = Image.new("RGB", (wide + 2 * GAP, picture.height + LINE * (len(above) + len(below)) + 3 * GAP), "white")
    drawing, middle = ImageDraw.Draw(canvas), GAP + LINE * len(above)
    canvas.paste(picture, (GAP, middle))
    for lines, top, ink in ((above, GAP, "black"), (below, middle + picture.height + GAP, "#555555")):
        for number, line in enumerate(lines):
            drawing.text((GAP, top + LINE * number), line, fill=ink, font=_font())
    return canvas


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of whole words that are at most so many pixels wide."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _font().getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _gathered(tokens: list[str], values: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The words with the padding at the end in one box, which has its sum."""
    same = 1
    while same < len(tokens) and tokens[-1 - same] == tokens[-1]:
        same += 1
    if same < MANY or not is_padding(tokens[-1]):
        return tokens, values
    return [*tokens[:-same], f"{tokens[-1] or '(empty)'} × {same}"], np.append(values[:-same], values[-same:].sum())


def _encoded(picture: Image.Image) -> tuple[bytes, tuple[int, int]]:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue(), picture.size


@functools.cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONT), SIZE)  # a path is not taken by the lowest Pillow


@functools.cache
def _letters() -> frozenset[str]:
    """What the built-in font can write."""
    return frozenset(letter for letter in map(chr, FT2Font(str(FONT)).get_charmap()) if letter.isprintable())


@functools.cache
def _other_fonts() -> bool:
    """Whether a font for other scripts is installed."""
    return not set(OTHER_FONTS).isdisjoint(fontManager.get_font_names())
