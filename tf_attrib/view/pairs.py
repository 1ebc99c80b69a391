"""Two attributions of one input side by side, on one scale: of the wrong class and of the right one."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from ..common.types import Tokens, present
from ..result.result import Result
from . import captions, colour, coloured_words, draw, plots
from .image import Picture, diverging
from .kinds import Block, blocks, drawable
from .page import figure_html
from .pixels import infer_range, per_pixel, to_display
from .show import show

# Of a table, so many features are shown.
FEATURES = 10


def pair(
    first: Result,
    second: Result,
    example: int,
    headings: tuple[str, str],
    *,
    tokens: Tokens | None = None,
    names: Sequence[str] | None = None,
) -> list:
    """Blocks for a page: one example attributed in two ways, drawn side by side and on one scale.

    Images, words and tables are drawn so; anything else as `show` does, one beneath the other, each on its own scale.

    Args:
        first, second: results for the same inputs, of the same shapes.
        example: which example.
        headings: what the two are, in a few words.
        tokens: a list of words for each example, where the result knows none.
        names: a name for each feature of a table.
    """
    (first, kind, said), (second, *_) = drawable(first), drawable(second)
    both = list(zip(blocks(first), blocks(second), strict=True))
    kinds = {one.kind for one, _ in both}
    if kinds == {"table"}:
        return [_tables((first, second), both, example, headings, names)]
    found = []
    for left, right in both:
        if left.kind == "words":
            found.append(_words((first, second), (left, right), example, headings, tokens))
        elif kind == "map" or (left.kind == "image" and len(both) == 1):
            found.append(_images((first, second), (left, right), example, headings, said))
        else:
            return [*_beneath((first, second), example, headings, kind), *said]
    return found


def fragment(title: str, found: Sequence) -> Markup:
    """Blocks of `pair` as HTML without a page, for a notebook."""
    parts = [
        figure_html(block, title, dpi=96)
        if isinstance(block, draw.Drawing)
        else Markup("<p>{}</p>").format(block)
        if not isinstance(block, Markup)
        else block
        for block in found
    ]
    return Markup("<h4>{}</h4>\n{}").format(title, Markup("\n").join(parts))


def _numbers(results: tuple, example: int, headings: tuple[str, str]) -> list[str]:
    return [f"{heading}: {captions.numbers(result, example)[-1]}" for heading, result in zip(headings, results, strict=True)]


def _limit(leaves: Sequence[np.ndarray], clip: float | None = 0.0) -> float:
    return max(colour.limit_of(leaf, clip) for leaf in leaves)


def _images(
    results: tuple, pair: tuple[Block, Block], example: int, headings: tuple[str, str], summed: list[str]
) -> draw.Drawing:
    values = [block.values[example] for block in pair]
    unit, kind = captions.attribution_unit(results[0]), results[0].kind
    limit = max(colour.limit_of(per_pixel(leaf, kind).values, kind=kind) for leaf in values)
    maps = [diverging(leaf, limit=limit, unit=unit, kind=kind) for leaf in values]
    columns = list(zip(headings, maps, strict=True))
    given = pair[0].inputs
    if given is not None:
        columns.insert(0, ("image", Picture(to_display(given[example], infer_range(given))[0], ())))
    clipped = [f"{heading}: {words}" for heading, one in zip(headings, maps, strict=True) for words in one.hidden]
    from_least = any(one.least for one in maps)
    scale = [f"{headings[1]}: {maps[1].caption[0]}", "The same span of both."] if from_least else ["Both on one scale."]
    said = [words for words in maps[0].caption if words not in maps[0].hidden]
    caption = [*said, *summed, *clipped, *scale, *_numbers(results, example, headings)]
    size = columns[0][1].pixels.shape

    def paint(part):
        row = part.subplots(1, len(columns), squeeze=False)[0]
        for axes, (heading, picture) in zip(row, columns, strict=True):
            draw.draw_picture(axes, picture, draw.wrap(heading, draw.WIDTH / 3.4, 9))
        for axes, one in list(zip(row[-2:], maps, strict=True))[0 if from_least else 1 :]:
            draw.colour_bar(part, axes, limit, any(map.clipped for map in maps), unit, least=one.least)

    height = min(3.2, draw.WIDTH / 3.6 * size[0] / size[1]) + 0.45
    return draw.stack([draw.Panel("", tuple(caption), height, paint)])


def _words(results: tuple, pair: tuple[Block, Block], example: int, headings: tuple[str, str], tokens) -> Markup:
    shown = [
        coloured_words.words_of(result, block, example, coloured_words.tokens_for(result, block, example, tokens))
        for result, block in zip(results, pair, strict=True)
    ]
    limit = _limit([one.values for one in shown])
    lines = [
        Markup(
            '<div style="margin:0.4em 0"><div style="font-weight:bold;font-size:0.9em">{}</div>'
            '<div style="overflow-wrap:anywhere">{}</div></div>'
        ).format(heading, coloured_words.word_spans(one.tokens, one.values, limit))
        for heading, one in zip(headings, shown, strict=True)
    ]
    unit = captions.attribution_unit(results[0])
    caption = [
        colour.full_colour(limit, unit, results[0].kind, "gray is zero; both on one scale"),
        *shown[0].notes,
        *colour.not_finite(np.stack([one.values for one in shown]), "number"),
        *_numbers(results, example, headings),
    ]
    return Markup(
        '<div class="tf-attrib" style="font-family:sans-serif;max-width:60em">{}<div style="font-size:0.82em">{}</div></div>'
    ).format(Markup("").join(lines), " ".join(caption))


def _tables(results: tuple, both: list, example: int, headings: tuple[str, str], names) -> draw.Drawing:
    """The features that are strongest in either, in one order, as two rows of bars."""
    labels, left, right = [], [], []
    for one, other in both:
        same = one.inputs is not None and one.inputs.shape == one.values.shape
        for index in np.ndindex(one.values.shape[1:]):
            value = (
                f" = {captions.number(present(one.inputs)[example][index])}"
                if same and present(one.inputs).dtype.kind in "biuf"
                else ""
            )
            labels.append((one.feature(index), value))
            left.append(one.values[example][index])
            right.append(other.values[example][index])
    named = [label for label, _ in labels] if names is None or len(names) != len(labels) else [str(name) for name in names]
    values = np.stack([colour.finite(np.asarray(left, np.float64)), colour.finite(np.asarray(right, np.float64))])
    bad = colour.not_finite([*left, *right], "number", "no bar")
    strength = np.abs(values).max(0)
    order = np.argsort(-strength, kind="stable")[:FEATURES]
    rows = [named[place] + labels[place][1] for place in order]
    limit = _limit([values]) or 1.0
    unit = captions.attribution_unit(results[0])

    def paint(part):
        both_axes = part.subplots(1, 2)
        for axes, heading, side in zip(both_axes, headings, values, strict=True):
            plots.draw_bars(axes, rows, side[order], unit)
            axes.set_xlim(-1.08 * limit, 1.08 * limit)
            axes.locator_params(axis="x", nbins=5)  # labels of the two do not run into each other
            axes.set_title(draw.wrap(heading, draw.WIDTH / 2.8, 9), fontsize=9, parse_math=False)
        both_axes[1].set_yticklabels([])

    rest = np.abs(values).sum(1) - np.abs(values[:, order]).sum(1)
    share = rest / np.maximum(np.abs(values).sum(1), np.finfo(float).tiny)
    left_out = (
        []
        if len(order) == len(labels)
        else [
            f"The {len(order)} of {len(labels)} features that are strongest in either; the others carry "
            f"{captions.percent(share[0])} "
            f"and {captions.percent(share[1])} of the attribution by magnitude."
        ]
    )
    caption = [colour.meaning(results[0].kind) + "; both on one scale.", *left_out, *bad, *_numbers(results, example, headings)]
    return draw.stack([draw.Panel("", tuple(caption), 0.9 + 0.22 * len(order), paint)])


def _beneath(results: tuple, example: int, headings: tuple[str, str], kind: str) -> list:
    found = []
    for heading, result in zip(headings, results, strict=True):
        found += [heading, show(result, example, kind)]
    return found
