"""`ta.grid`: examples side by side, each with its image, its class and score, and a picture by each of several methods."""

import dataclasses
import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..common.checks import number as checked
from ..common.checks import whole_or_none
from ..common.errors import AttributionError
from ..common.types import present
from ..result.result import Result
from . import areas, captions, colour, draw
from .image import Picture, diverging, overlay, window
from .kinds import Block, blocks
from .pixels import infer_range, per_pixel, to_display

KINDS = ("auto", "overlay", "map", "window", "smooth", "layer")
# Inches of a picture, at least: of small images, and of large ones (`colour.MANY` pixels).
SMALL, LARGE = 0.82, 1.4
LARGER = 2.0  # and at most so many times that, of few examples
GAP = 0.12  # between examples, in units of a picture
LETTERS = 15.5  # so many letters of a heading in an inch
LINE, ABOVE = 0.135, 0.1  # inches of a line of headings, and of the space above them


@dataclasses.dataclass(frozen=True)
class Column:
    """The pictures of one method: what stands above them, its result, its images, and how it is drawn."""

    heading: str
    result: Result
    block: Block
    kind: str

    @property
    def unit(self) -> str:
        return captions.attribution_unit(self.result)

    def map(self, example: int) -> np.ndarray:
        """What is drawn, (h, w)."""
        return per_pixel(self.block.values[example], self.result.kind).values


def grid(
    results: Result | Sequence[Result] | Mapping[str, Result],
    example: int | Sequence[int] | None = None,
    *,
    kind: str = "auto",
    across: int | None = None,
    common_scale: bool = False,
    value_range: tuple[float, float] | None = None,
    width: float = draw.WIDTH,
) -> draw.Drawing:
    """Examples side by side in few pixels: of each the image, under its class and score, and what each method attributes.

    Args:
        results: of the same examples by one method or several: a result, a list, or a dict from headings to results.
        example: an index, several, or None for all.
        kind: "overlay", "map" (signed, alone), "window", "smooth", or "layer", as in `show`; "auto": what suits each result, of
            a layer's coarse map "layer", of images of 64 × 64 pixels and more "overlay", of smaller ones "map".
        across: how many examples stand side by side; default: as many as there is room for.
        common_scale: one scale for all pictures of a method, instead of each its own.
        value_range: values of black and white in the images; default: inferred from all inputs.
        width: of the figure in inches; 3 inches at 100 dots an inch are legible on 300 pixels.

    Returns:
        A matplotlib figure with its caption, made without pyplot.

    Raises:
        AttributionError: results that are no images, hold none, or are of different examples.
    """
    colour.one_of("kind", kind, KINDS)
    columns = _columns(results, kind)
    inputs = present(columns[0].block.inputs)
    count = len(columns[0].result)
    chosen = list(range(count)) if example is None else [int(one) for one in np.atleast_1d(example)]
    wrong = [one for one in chosen if not -count <= one < count]
    if wrong or not chosen:
        raise AttributionError(
            f"example {wrong[0]} does not exist: the results have {count}" if wrong else "the results have no examples to draw"
        )
    chosen = [one % count for one in chosen]
    edges = infer_range(inputs) if value_range is None else value_range
    each = 1 + len(columns)
    side = LARGE if np.prod(inputs.shape[1:3]) >= colour.MANY else SMALL
    checked("width (in inches)", width, above=0.5)
    most, least = max(1, int(width / (each * side + GAP))), math.ceil(width / (each * LARGER * side + GAP))
    fewest_rows = -(-len(chosen) // most)
    across = whole_or_none("across", across)
    columns_wide = across or max(min(least, most), -(-len(chosen) // fewest_rows))
    across = across or -(-len(chosen) // fewest_rows)
    made = [[_picture(column, one, edges, chosen, common_scale) for one in chosen] for column in columns]
    images = [Picture(to_display(inputs[one], edges)[0], ()) for one in chosen]
    side = (width - GAP * columns_wide) / (columns_wide * each)
    labels = [_wrapped(_label(columns[0].result, one), side) for one in chosen]
    headings = [_wrapped(column.heading, side) for column in columns]
    lines = 1 + max(text.count("\n") for text in [*labels, *headings])
    rows = -(-len(chosen) // across)
    height = rows * (side * inputs.shape[1] / inputs.shape[2] + lines * LINE + ABOVE)
    caption = _caption(columns, made, chosen, common_scale)

    def paint(part):
        ratios = ([1.0] * each + [GAP]) * columns_wide
        cells = part.add_gridspec(rows, len(ratios) - 1, width_ratios=ratios[:-1])
        for place, picture in enumerate(images):
            row, left = place // across, place % across * (each + 1)
            pictures = [picture, *(column[place] for column in made)]
            for step, one in enumerate(pictures):
                heading = labels[place] if not step else headings[step - 1] if not row else ""
                axes = part.add_subplot(cells[row, left + step])
                draw.draw_picture(axes, one)
                axes.set_title(heading, fontsize=7.5, parse_math=False, pad=2)

    figure = draw.stack([draw.Panel("", tuple(caption), height, paint)], width=width)
    engine: Any = figure.get_layout_engine()
    engine.set(h_pad=ABOVE)  # by default the tops of headings are cut off
    return figure


def _columns(results: Any, kind: str) -> list[Column]:
    """The pictures' columns, of results that are of the same images."""
    if isinstance(results, Result):
        results = [results]
    if isinstance(results, Mapping):
        results = list(results.items())
    elif isinstance(results, Sequence):
        names = [_name(one) if len(results) > 1 else "attribution" for one in results]
        results = list(zip(names, results, strict=True))
    if not isinstance(results, list) or not results or not all(isinstance(one, Result) for _, one in results):
        raise AttributionError("ta.grid takes a result, a list of results, or a dict of headings to results")
    columns = []
    for heading, result in results:
        found = blocks(result)
        if len(found) != 1 or found[0].kind != "image" or found[0].inputs is None:
            raise AttributionError(
                f"ta.grid draws attributions on images, (batch, height, width) or with 1 or 3 channels, and the images with "
                f"them; {heading or 'the result'} holds {', '.join(str(np.shape(block.values)) for block in found)} "
                f"{'without its images' if found[0].inputs is None else ''}".rstrip()
            )
        columns.append(Column(str(heading), result, found[0], _kind(found[0], kind)))
    first = columns[0]
    for column in columns[1:]:
        if not np.array_equal(present(first.block.inputs), present(column.block.inputs), equal_nan=True):
            raise AttributionError(
                f"{column.heading} and {first.heading} are not of the same images: attribute the same inputs"
            )
    return columns


def _name(result: Any) -> str:
    """The method of a result in words that may be wrapped: "Integrated Gradients"."""
    method = result.method.split("(")[0] if isinstance(result, Result) else ""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", method) or "attribution"


def _kind(block: Block, kind: str) -> str:
    if kind == "layer" or kind == "auto":
        large = np.prod(present(block.inputs).shape[1:3]) >= colour.MANY
        return "layer" if block.coarse or kind == "layer" else "overlay" if large else "map"
    return kind


def _label(result: Result, example: int) -> str:
    """ "espresso: 0.984", or "class 967: 0.984" where the class has no name."""
    words = captions.target_words(result, example)
    if result.target is not None and np.ndim(result.target[example]) == 0:
        words = result.class_names.get(int(result.target[example]), words)
    return f"{words}: {captions.number(result.scores[example])}".removeprefix(": ")


def _wrapped(text: str, side: float) -> str:
    """Lines that a picture of so many inches has room for, three at most."""
    lines = textwrap.wrap(text, max(8, int(side * LETTERS)))
    return "\n".join(lines if len(lines) <= 3 else [*lines[:2], f"{lines[2][:-1]}…"])


def _picture(column: Column, example: int, edges: tuple[float, float], chosen: Sequence[int], common: bool) -> Picture:
    values, image = column.block.values[example], present(column.block.inputs)[example]
    limit = max(_limit(column, one) for one in chosen) if common else None
    known: Any = {"limit": limit, "unit": column.unit, "kind": column.result.kind}
    if column.kind == "layer":
        return areas.heat(image, values, value_range=edges, **known)
    if column.kind == "map":
        return diverging(values, **known)
    if column.kind == "window":
        return window(image, values, value_range=edges)
    drawn = areas.smooth if column.kind == "smooth" else overlay
    return drawn(image, values, value_range=edges, **known)


def _limit(column: Column, example: int) -> float:
    """The magnitude of one picture in full colour."""
    values = colour.finite(column.map(example))
    if column.kind == "smooth":
        return colour.limit_of(areas.smoothed(values)[0], 0.0)
    if column.kind == "layer":
        return colour.limit_of(values, 0.0, "positive")
    return colour.limit_of(values, kind=column.result.kind)


def _caption(columns: list[Column], made: list[list[Picture]], chosen: Sequence[int], common: bool) -> list[str]:
    """What colours mean and where they are full; what is clipped, smoothed or did not converge."""
    sentences = ["Above each image: the class explained and its score."]
    kinds = {column.kind for column in columns}
    meant: dict[str, list[str]] = {}
    for column in columns:
        if column.kind not in ("layer", "window"):
            meant.setdefault(colour.meaning(column.result.kind), []).append(column.heading)
    sentences += [meaning + (f" ({', '.join(names)})." if len(meant) > 1 else ".") for meaning, names in meant.items()]
    if "layer" in kinds:
        darkest = "0, of expected scores the least" if "expectation" in {one.result.kind for one in columns} else "0"
        sentences.append(f"Of layers the positive part alone, upsampled: dark is {darkest}, yellow the largest.")
    if "window" in kinds:
        sentences.append(
            "Windows: the image dimmed by the magnitude of the attribution, fully lit from the 99th percentile on."
        )
    if "smooth" in kinds:
        sentences.append(f"Smoothed by a Gaussian, sigma {areas.SIGMA:.0%} of the shorter side, with the sums kept.")
    sentences += dict.fromkeys(words for column in columns for words in column.block.turned)
    sentences += _scale_words(columns, made)
    sentences += _clip_words(columns, made, chosen)
    return [*sentences, *_beside(columns, chosen)]


def _scale_words(columns: list[Column], made: list[list[Picture]]) -> list[str]:
    """Where colours are full, each unit named once."""
    spans: dict[str, list[str]] = {}
    for column, pictures in zip(columns, made, strict=True):
        limits = [picture.limit for picture in pictures if picture.limit is not None]
        if limits:
            low, high = captions.number(min(limits)), captions.number(max(limits))
            beyond = any(picture.least for picture in pictures)
            sign = "" if column.kind == "layer" or beyond else "±"  # of layers the positive part is drawn
            span = f"from {sign}{low} to {sign}{high}, each picture on its own scale" if low != high else f"at {sign}{high}"
            spans.setdefault(column.unit, []).append(f"{column.heading} {span}{', beyond the least of it' if beyond else ''}")
    return [f"Full colour: {'; '.join(found)} ({unit})." for unit, found in spans.items()]


def _clip_words(columns: list[Column], made: list[list[Picture]], chosen: Sequence[int]) -> list[str]:
    """In which pictures the strongest pixels are clipped, and how much of the attribution: once, where it is so in all."""
    rows = [
        (column.heading, sum(picture.clipped for picture in pictures), _clipped_share(column, pictures, chosen))
        for column, pictures in zip(columns, made, strict=True)
        if any(picture.clipped for picture in pictures)
    ]
    if len(rows) > 1 and all(count == len(chosen) for _, count, _ in rows) and len(rows) == len(columns):
        most = captions.percent(max(share for *_, share in rows))
        return [f"In all pictures the strongest pixels are clipped: {most} of the attribution at most."]
    return [
        f"In {count} of {len(chosen)} pictures of {heading} the strongest pixels are clipped: "
        f"{captions.percent(share)} of the attribution at most."
        for heading, count, share in rows
    ]


def _clipped_share(column: Column, pictures: list[Picture], chosen: Sequence[int]) -> float:
    shares = []
    for picture, example in zip(pictures, chosen, strict=True):
        values = np.abs(colour.finite(column.map(example)))
        shares.append(values[values > present(picture.limit)].sum() / max(values.sum(), np.finfo(float).tiny))
    return max(shares)


def _beside(columns: list[Column], chosen: Sequence[int]) -> list[str]:
    """What a reader would take for granted, where it is not so."""
    sentences, first = [], columns[0].result
    for column in columns:
        drawn = "taken as 0" if column.kind in ("window", "smooth") else "violet"
        unknown = colour.not_finite(np.stack([column.map(one) for one in chosen]), "pixel", drawn)
        sentences += [f"{column.heading}: {words}" for words in unknown]
        bad = [one for one in chosen if captions.status_words(column.result, one)]
        if bad:
            words = captions.status_words(column.result, bad[0])
            sentences.append(
                f"{column.heading}, {captions.count(len(bad), 'example')} ({', '.join(map(str, bad[:8]))}): {words}."
            )
        if not np.array_equal(np.asarray(column.result.target), np.asarray(first.target)):
            sentences.append(f"{column.heading} explains other classes than those named.")
    return sentences
