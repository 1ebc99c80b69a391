"""Words coloured by attribution, as HTML in which every token is escaped, and as a drawing."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from ..common.errors import AttributionError, legible
from ..common.tokens import is_padding
from ..common.types import Tokens, present
from ..result import channels
from ..result.adding_up import over_channels
from ..result.result import Result
from . import captions, colour
from .kinds import Block, blocks, has_steps, is_words, refuse

WORD = Markup(
    '<span style="background:{};color:{};padding:0.12em 0.3em;margin:0.08em;border-radius:0.2em;display:inline-block;'
    'white-space:pre-wrap;line-height:1.4" title="{}">{}</span>'
)
EXAMPLE = Markup(
    '<div class="tf-attrib" style="font-family:sans-serif;margin:0.6em 0;max-width:60em">'
    '<div style="font-weight:bold;margin-bottom:0.2em">{}</div><div style="overflow-wrap:anywhere">{}</div>'
    '<div style="font-size:0.82em;margin-top:0.25em">{}</div></div>'
)


@dataclasses.dataclass(frozen=True)
class Words:
    """The words of one example with one number each.

    Attributes:
        tokens: the words, padding at the end left out.
        values: (length,) float64, attributions in the result's unit.
        notes: sentences: what was summed, what was left out.
        padding: how many words were, which the last sentence says.
    """

    tokens: tuple[str, ...]
    values: np.ndarray
    notes: tuple[str, ...] = ()
    padding: int = 0


def words_of(result: Result, block: Block, example: int, tokens: Sequence | None = None) -> Words:
    """The words of one example and their attributions, summed over embedding dimensions.

    Args:
        result: the result that `block` is a part of.
        block: attributions (batch, length) or (batch, length, dimension).
        example: which example.
        tokens: its words, one for each position; default: `result.tokens`, else the token ids from the inputs.

    Raises:
        AttributionError: for another shape, or where the number of words is not the number of positions.
    """
    if block.values.ndim not in (2, 3) or has_steps(result, block.values):
        raise refuse(block.values.shape, "words")
    values, notes = block.values[example].astype(np.float64), []
    if values.ndim == 2:
        notes.append(channels.in_words(values.shape[1], result.kind, "embedding dimensions", "word"))
        values = over_channels(values, result.kind)
    ids = present(block.inputs)[example] if is_words(block.inputs) else None
    if tokens is None:
        tokens = _default_tokens(result, block, example, len(values))
    tokens = [as_text(token) for token in tokens]
    if len(tokens) != len(values):
        raise AttributionError(
            f"{len(tokens)} tokens for {len(values)} attributions in example {example}: give one word for "
            "each position, padding included"
        )
    padding = _padding(tokens, values, ids)
    if padding:
        notes.append(f"{captions.count(padding, 'padding token')} at the end, with attribution 0, not shown.")
    length = len(values) - padding
    return Words(tuple(tokens[:length]), values[:length], tuple(notes), padding)


def as_text(token: Any) -> str:
    """A token as text: bytes are decoded as UTF-8, what is no UTF-8 is replaced."""
    return token.decode("utf-8", "replace") if isinstance(token, bytes) else str(token)


def _default_tokens(result: Result, block: Block, example: int, length: int) -> Sequence:
    if result.tokens is not None and np.shape(result.tokens)[1:2] == (length,):
        return result.tokens[example]
    return present(block.inputs)[example] if is_words(block.inputs) else range(length)


def _padding(tokens: list[str], values: np.ndarray, ids: np.ndarray | None) -> int:
    """How many positions at the end are padding without attribution; the first position always stays."""
    number = 0
    for place in range(len(values) - 1, 0, -1):
        is_id = ids is not None and ids.dtype.kind in "iu"
        empty = present(ids)[place] == 0 if is_id else is_padding(tokens[place])
        if not empty or values[place] != 0:
            break
        number += 1
    return number


def word_spans(tokens: Sequence[str], values: npt.ArrayLike, limit: float | None = None) -> Markup:
    """Coloured words as HTML: green raised the score, red lowered it, gray did neither. Every token is escaped.

    Args:
        tokens: words, any text.
        values: (length,) attributions.
        limit: the magnitude in full colour; default: the largest of these values.

    Raises:
        AttributionError: where there are more or fewer words than values.
    """
    values = np.asarray(values, np.float64)
    if len(tokens) != len(values):
        raise AttributionError(f"{len(tokens)} tokens for {len(values)} attributions")
    backgrounds = colour.hex_colours(colour.scale(values, limit=limit, noun="word"))
    spans = [
        WORD.format(background, colour.text_colour(background), f"{place}: {value:+.3g}", legible(as_text(token)) or "(empty)")
        for place, (token, value, background) in enumerate(zip(tokens, values, backgrounds, strict=True))
    ]
    return Markup(" ").join(spans)


def words_caption(result: Result, shown: Words, scaled: colour.Scaled) -> list[str]:
    """The sentences beneath the words of one example: the scale, what was summed or left out."""
    zero = "gray is zero; one scale for all words of this example"
    scale = colour.full_colour(scaled.limit, captions.attribution_unit(result), result.kind, zero)
    return [scale, *shown.notes, *scaled.hidden]


def to_html(result: Result, tokens: Tokens | None = None) -> Markup:
    """The words of each example, coloured by attribution, with a caption: HTML without scripts, every token escaped.

    Args:
        result: attributions (batch, length), or (batch, length, dimension), which are summed over the dimension.
        tokens: a list of words for each example (for a batch of one, a list of words will do); default: the words that
            the result knows, else the token ids. Where several tensors hold words, a dict of such lists by key.

    Returns:
        HTML, as `markupsafe.Markup` (a str).

    Raises:
        AttributionError: where the attributions are not of words, or words and positions differ in number.
    """
    found = blocks(result)
    textual = [block for block in found if block.kind == "words"]
    if not textual and tokens is not None:
        textual = [block for block in found if block.values.ndim in (2, 3)]
    if not textual:
        raise refuse(found[0].values.shape, "words")
    return Markup("\n").join(
        _example_html(result, block, example, tokens_for(result, block, example, tokens), len(textual) > 1)
        for example in range(len(result))
        for block in textual
    )


def tokens_for(result: Result, block: Block, example: int, tokens: Tokens | None) -> Sequence | None:
    """The words of one example out of what a user gave for all of them; None for the default.

    Raises:
        AttributionError: where they are not one list of words for each example.
    """
    if tokens is None:
        return None
    if isinstance(tokens, dict):
        return tokens_for(result, block, example, tokens.get(block.key))
    if isinstance(tokens, str | bytes):
        raise AttributionError("tokens is a list of words for each example, not one text: [text.split() for text in texts]")
    tokens = list(tokens)
    if len(result) == 1 and tokens and isinstance(tokens[0], str | bytes):
        tokens = [tokens]
    if len(tokens) != len(result):
        raise AttributionError(
            f"tokens for {len(tokens)} examples; the result has {len(result)}: give a list of words for each"
        )
    if isinstance(tokens[example], str | bytes):
        raise AttributionError(
            f"tokens is a list of words for each example; got the text {as_text(tokens[example])[:40]!r} for "
            f"example {example}: [text.split() for text in texts]"
        )
    return tokens[example]


def _example_html(result: Result, block: Block, example: int, tokens, named: bool) -> Markup:
    shown = words_of(result, block, example, tokens)
    scaled = colour.scale(shown.values, noun="word")
    name = captions.entry_name(result, example) + (f", {block.name}" if named else "")
    return EXAMPLE.format(
        legible(captions.title(result, example, name)),
        word_spans(shown.tokens, shown.values),
        " ".join([*words_caption(result, shown, scaled), *captions.numbers(result, example)]),
    )
