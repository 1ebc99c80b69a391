"""Parts of a prompt, such as a question and passages, and which token belongs to which."""

import dataclasses
import difflib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..common.checks import is_whole
from ..common.errors import AttributionError

# What is in none of the parts, and what the model wrote itself before the token that is explained.
REST, WRITTEN = "(rest)", "(written so far)"
HELP = (
    "segments is a separator, such as '\\n\\n'; a dict from names to texts of the prompt, in their order, or to the fields of "
    "a template, 'Context: {context} Question: {question}'; or to (start, stop) of tokens"
)

UNTOLD = (
    "which text each token stands for is not known, of token ids and of a tokenizer= that is a function: give (start, stop)"
)


@dataclasses.dataclass(frozen=True, eq=False)
class Parts:
    """Parts of a prompt.

    Attributes:
        names: of each part.
        of_token: int (length,), the part of each token of the prompt; -1 for those of none.
    """

    names: tuple[str, ...]
    of_token: np.ndarray


def filled(prompt: Any, segments: Any) -> tuple[Any, Any]:
    """The text of a template whose fields are the segments, and where each of them stands in it, (start, stop) of letters; else
    both as they are."""
    if not isinstance(prompt, str) or not isinstance(segments, Mapping):
        return prompt, segments
    fields = [(name, f"{{{name}}}") for name in segments]
    if not fields or not all(field in prompt and isinstance(segments[name], str) for name, field in fields):
        return prompt, segments
    text, spans = "", {}
    for piece in re.split("(" + "|".join(re.escape(field) for _, field in fields) + ")", prompt):
        name = piece[1:-1]
        if name in segments and piece == f"{{{name}}}":
            if name in spans:
                raise AttributionError(
                    f"the field {piece} is in the template twice, and a part stands in one place: use two names"
                )
            spans[name] = _Letters(len(text), len(text) + len(segments[name]))
            text += segments[name]
        else:
            text += piece
    return text, spans


@dataclasses.dataclass(frozen=True)
class _Letters:
    """A span of letters of a text."""

    start: int
    stop: int


def parts_of(segments: Any, text: str | None, pieces: list[str]) -> Parts:
    """The parts that `segments` means.

    Args:
        segments: see `HELP`; or as `filled` left them.
        text: the prompt, where it was given as text.
        pieces: of the prompt's tokens.

    Raises:
        AttributionError: parts that are not in the prompt, that overlap, or that hold no token.
    """
    if isinstance(segments, str):
        segments = _between(segments, text)
    if not isinstance(segments, Mapping) or not segments:
        raise AttributionError(f"{HELP}; got {type(segments).__name__}")
    found = np.full(len(pieces), -1)
    where = None if text is None else offsets(text, pieces)
    cursor = 0
    for number, (name, value) in enumerate(segments.items()):
        if isinstance(value, str):
            value = _found(name, value, text, cursor)
            cursor = value.stop
        mine = _tokens_in(name, value, where, len(pieces))
        if not mine.any():
            raise AttributionError(f"segment {name!r} holds no token of the prompt: leave it out")
        taken = found[mine & (found >= 0)]
        if len(taken):
            raise AttributionError(f"segments {list(segments)[taken[0]]!r} and {name!r} overlap: a token belongs to one part")
        found[mine] = number
    return Parts(tuple(map(str, segments)), found)


def each_token(pieces: list[str], kept: int) -> Parts:
    """Every token as a part of its own, but for the first `kept`, which are in none."""
    return Parts(tuple(pieces[kept:]), np.where(np.arange(len(pieces)) < kept, -1, np.arange(len(pieces)) - kept))


def _between(separator: str, text: str | None) -> dict[str, _Letters]:
    if text is None:
        raise AttributionError(f"a separator parts a prompt that is text, and {UNTOLD}, {{name: (start, stop), ...}}")
    if not separator or separator not in text:
        raise AttributionError(f"the separator {separator!r} is not in the prompt; {HELP}")
    found, start = {}, 0
    for part in text.split(separator):
        if part.strip():
            number = len(found) + 1
            found[f"{number}: {' '.join(part.split())[:24]}"] = _Letters(start, start + len(part))
        start += len(part) + len(separator)
    return found


def _found(name: str, value: str, text: str | None, cursor: int) -> _Letters:
    if text is None:
        raise AttributionError(f"segment {name!r} is text, and {UNTOLD}")
    start = text.find(value, cursor)
    if start < 0 or not value:
        where = (
            "" if value not in text else f" behind the segment in front of it; it stands at letter {text.find(value)}: order"
        )
        raise AttributionError(f"segment {name!r}, {value[:40]!r}, is not in the prompt{where or '; ' + HELP}")
    return _Letters(start, start + len(value))


def _tokens_in(name: str, value: Any, where: np.ndarray | None, count: int) -> np.ndarray:
    if isinstance(value, _Letters):
        if where is None:
            raise AttributionError(f"segment {name!r} is a field of a template, and {UNTOLD}")
        last = where[:, 1] - 1  # a blank in front of a word comes with the word, so that its last letter counts
        return (where[:, 1] > where[:, 0]) & (last >= value.start) & (last < value.stop)
    span = tuple(value) if isinstance(value, list | tuple) else ()
    if len(span) != 2 or not all(is_whole(one, 0, count) for one in span) or not span[0] < span[1]:
        raise AttributionError(f"segment {name!r} must be text or (start, stop) of the prompt's {count} tokens, got {value!r}")
    return (np.arange(count) >= span[0]) & (np.arange(count) < span[1])


def offsets(text: str, pieces: list[str]) -> np.ndarray:
    """(length, 2), where in the text each piece stands, start and stop; the same twice for those that are not in it, such as
    start tokens. Case and the marks of word pieces ("##") do not matter. Pieces of what has no letters of its own, such as an
    unknown word or the bytes of an emoji, stand where their neighbours leave letters."""
    low = text.lower()
    if len(low) != len(text):
        low = text  # letters whose lower case is several
    bare = [piece.strip().removeprefix("##").lower() for piece in pieces]
    found = _in_turn(low, pieces, bare)
    return found if not low[int(found[:, 1].max(initial=0)) :].strip() else _aligned(low, pieces, bare)


def _in_turn(low: str, pieces: list[str], bare: list[str]) -> np.ndarray:
    """Pieces of which each stands behind the one before it, with nothing but blanks between."""
    found, cursor = np.zeros((len(pieces), 2), int), 0
    for i, (piece, letters) in enumerate(zip(pieces, bare, strict=True)):
        at = low.find(letters, cursor) if letters else -1
        # what is not here is no piece of the text: another that is alike may stand far behind
        near = at >= 0 and not low[cursor:at].strip()
        found[i] = (at, at + len(letters)) if near else (cursor, cursor + (len(piece) if not letters and piece else 0))
        cursor = int(found[i, 1])
    return found


def _aligned(low: str, pieces: list[str], bare: list[str]) -> np.ndarray:
    """The same of a text some letters of which are in no piece: by the longest runs of letters that text and pieces share."""
    letters = [at for at, one in enumerate(low) if not one.isspace()]
    bare = [piece if piece in low else "" for piece in bare]  # "[UNK]" has no letters of the text
    owner = [i for i, piece in enumerate(bare) for _ in piece]
    match = difflib.SequenceMatcher(None, "".join(low[at] for at in letters), "".join(bare), autojunk=False)
    found = np.full((len(bare), 2), -1)
    for first, second, size in match.get_matching_blocks():
        for one in range(size):
            at, i = letters[first + one], owner[second + one]
            found[i] = at if found[i, 0] < 0 else found[i, 0], at + 1
    return _between_neighbours(low, pieces, found)


def _between_neighbours(low: str, pieces: list[str], found: np.ndarray) -> np.ndarray:
    """`found`, with pieces that are not there yet, -1, at the letters that those in front of and behind them leave."""
    after, behind, cursor = np.zeros(len(found), int), len(low), 0
    for i in reversed(range(len(found))):
        after[i] = behind = int(found[i, 0]) if found[i, 0] >= 0 else behind
    for i, piece in enumerate(pieces):
        if found[i, 0] < 0 and piece.isspace():
            found[i] = (cursor, cursor + len(piece))
        elif found[i, 0] < 0:
            left = low[cursor : after[i]]
            start = cursor + len(left) - len(left.lstrip())
            found[i] = (start, start + len(left.strip())) if left.strip() else (cursor, cursor)
            continue  # the next may be of the same letters
        cursor = int(found[i, 1])
    return found
