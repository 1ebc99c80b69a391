"""Attributions of outputs at several positions as a map: output positions from top to bottom, input positions to the right."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from ..common.checks import whole
from ..common.errors import AttributionError
from ..common.types import Tokens, present
from ..result.result import Result
from . import captions, colour, draw
from .coloured_words import tokens_for, words_of
from .kinds import Block, blocks, has_steps, refuse
from .plots import shortened

# Inches of a row, and of a map without its rows.
ROW, FRAME = 0.27, 1.1
# From this many positions on, their words would overlap.
MOST_WORDS = 40
# Letters of the label of an input position.
LABEL = 28


@dataclasses.dataclass(frozen=True, eq=False)
class Map:
    """The attributions of one example.

    Attributes:
        example: its number.
        entries: which entries of the result its rows are.
        values: float64 (output positions, input positions).
        columns, rows: a label for each input and output position.
        notes: sentences: what was summed, what was left out.
    """

    example: int
    entries: np.ndarray
    values: np.ndarray
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    notes: tuple[str, ...]


def show_positions(
    result: Result,
    example: int | Sequence[int] | None = None,
    tokens: Tokens | None = None,
    names: Sequence[str] | None = None,
    limit: int = 4,
) -> draw.Drawing:
    """A map for each example.

    Args:
        result: what `target=ta.each_position()` gave.
        example: an example of the inputs, several, or None for the first `limit`.
        tokens: a list of words for each example; default: those that the result knows, else the token ids.
        names: of classes, by number, for what is explained at each position.
        limit: how many examples are drawn at most where `example` is None.

    Raises:
        AttributionError: attributions that are not one number (or vector) for each input position, or examples, words or names
            that do not fit.
    """
    if result.position is None:
        raise AttributionError("kind='positions' draws what target=ta.each_position() gives: one attribution for each position")
    there = np.unique(present(result.example))
    if example is None:
        whole("limit (how many examples are drawn)", limit)
    asked = there[:limit] if example is None else np.atleast_1d(example)
    missing = [int(one) for one in asked if one not in there]
    if missing:
        raise AttributionError(f"example {missing[0]} is not in the result, which has {', '.join(map(str, there[:20]))}")
    maps = [map_of(result, int(one), tokens, names) for one in asked]
    left = len(there) - len(asked) if example is None else 0
    more = (
        [f"{captions.count(left, 'example')} more of {len(there)} not drawn: example=, or limit={len(there)}."] if left else []
    )
    return draw.stack([_panel(result, one) for one in maps], more)


def map_of(result: Result, example: int, tokens: Tokens | None = None, names: Sequence[str] | None = None) -> Map:
    """The map of one example; the arguments are those of `show_positions`."""
    entries = np.flatnonzero(result.example == example)
    found = blocks(result)
    block = next((one for one in found if one.kind == "words"), found[0])
    if has_steps(result, block.values):
        raise AttributionError(
            "attributions of each step along the path cannot be drawn as a map: sum over the steps first, "
            "result.sum(1), or draw one position, result[i:i + 1].plot(kind='steps')"
        )
    if block.values.ndim not in (2, 3):
        raise refuse(block.values.shape, "positions")
    shown = [words_of(result, block, int(entry), _tokens(result, block, int(entry), tokens)) for entry in entries]
    longest = max(shown, key=lambda one: len(one.tokens))
    values = np.stack([np.pad(one.values, (0, len(longest.values) - len(one.values))) for one in shown])
    notes = longest.notes
    if longest.padding:  # which is of attribution 0 in that row, and not in all
        notes = (*notes[:-1], f"{captions.count(longest.padding, 'padding token')} at the end, not shown.")
    rows = tuple(_row(result, int(entry), names) for entry in entries)
    return Map(example, entries, values, longest.tokens, rows, notes)


def _tokens(result: Result, block: Block, entry: int, tokens):
    """The words of an entry, given for each example or each entry."""
    if tokens is None or isinstance(tokens, dict | str | bytes):
        return tokens_for(result, block, entry, tokens)
    tokens, there = list(tokens), np.unique(present(result.example))
    if len(there) == 1 and tokens and isinstance(tokens[0], str | bytes):
        return tokens
    if len(tokens) == len(there) and len(tokens) != len(result):
        return tokens[int(np.searchsorted(there, present(result.example)[entry]))]
    return tokens_for(result, block, entry, tokens)


def _row(result: Result, entry: int, names: Sequence[str] | None) -> str:
    """The label of an output position: its number, what is explained there, and its score."""
    target = np.atleast_1d(present(result.target)[entry])
    what = ""
    if len(target) > 1:
        number = int(target[-1])
        if names is not None and not 0 <= number < len(names):
            raise AttributionError(f"names for {len(names)} classes, and class {number} is explained: give one for each class")
        known = result.class_names.get(number, f"class {number}")
        what = f" {known if names is None else names[number]}"
    return f"{int(present(result.position)[entry])}:{what} ({captions.number(result.scores[entry])})"


def _panel(result: Result, shown: Map) -> draw.Panel:
    limit = float(np.abs(shown.values[np.isfinite(shown.values)]).max(initial=0))
    unit = captions.attribution_unit(result)

    def paint(part):
        axes = part.subplots()
        axes.imshow(shown.values, cmap=colour.DIVERGING, norm=colour.norm(limit), aspect="auto", interpolation="nearest")
        columns, rows = _labelled(shown.columns), _labelled(shown.rows)
        axes.set_xticks(
            columns,
            labels=[shortened(shown.columns[i], LABEL) for i in columns],
            rotation=60,
            ha="right",
            rotation_mode="anchor",
            fontsize=8,
            parse_math=False,
        )
        axes.set_yticks(rows, labels=[shortened(shown.rows[i]) for i in rows], fontsize=8, parse_math=False)
        axes.set_xlabel("input position", fontsize=8)
        axes.set_ylabel(f"output position:\nwhat is explained\n({result.unit})", fontsize=8, parse_math=False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        draw.colour_bar(part, axes, limit, False, unit)

    scale = colour.full_colour(limit, unit, result.kind, "gray is zero; one scale for all positions of this example")
    caption = [scale, *shown.notes, *colour.not_finite(shown.values, "number"), *_worst(result, shown.entries)]
    height = FRAME + ROW * len(shown.rows) + 0.06 * max(len(shortened(column, LABEL)) for column in shown.columns)
    title = f"example {shown.example}: {captions.count(len(shown.rows), 'output position')}"
    return draw.Panel(title, tuple(caption), height, paint)


def _labelled(labels: tuple[str, ...]) -> np.ndarray:
    """Which of the positions bear their label: each, or of many every so many."""
    return np.arange(0, len(labels), -(-len(labels) // MOST_WORDS))


def _worst(result: Result, entries: np.ndarray) -> list[str]:
    """The sentences on how exact the rows of a map are: their largest gap and error, and what did not converge."""
    part, sentences = result[entries], []
    if part.gap is not None and np.isfinite(part.gap).any():
        largest = int(np.nanargmax(np.abs(part.gap)))
        sentences.append(
            f"Largest gap {captions.number(part.gap[largest])} at position {int(present(part.position)[largest])}; "
            f"unit: {part.unit}."
        )
    if part.error_estimate is not None and present(part.converged).any():
        sentences.append(
            f"Estimated error {captions.percent(part.error_estimate[part.converged].max())} at most of the sum of "
            "magnitudes of a row."
        )
    for entry in range(len(part)):
        if captions.status_words(part, entry):
            sentences.append(f"Position {int(present(part.position)[entry])}: {captions.status_words(part, entry)}.")
    return sentences
