"""Which pieces of tokenizers make a word, and which words a sentence."""

from collections.abc import Sequence

import numpy as np


def word_groups(pieces: Sequence[str]) -> np.ndarray:
    """int (length,): the number of the word that each piece is in.

    Vocabularies mark either the pieces that begin a word, by a blank in front, or those that continue one, by "##". Where none
    does, each piece is a word.
    """
    led = any(piece[:1].isspace() and piece.strip() for piece in pieces)
    marked = not led and any(piece.startswith("##") for piece in pieces)  # among led ones "##" is text: a heading of Markdown
    begins = np.ones(len(pieces), bool)
    for i in range(1, len(pieces)):
        one, before = pieces[i], pieces[i - 1]
        if marked:
            begins[i] = not one.startswith("##")
        elif led:
            begins[i] = one[:1].isspace() or not _continues(before, one)
    return np.cumsum(begins) - 1


def _continues(before: str, piece: str) -> bool:
    """Whether a piece without a blank in front goes on with the word before it: marks, and special tokens, stand alone."""
    special = any(one.startswith("<") and one.endswith(">") and len(one) > 2 for one in (before, piece))
    last, first = before[-1:], piece[:1]
    return not special and not last.isspace() and (last.isalnum() or last in "'’-") and (first.isalnum() or first in "'’-")


def sentence_groups(pieces: Sequence[str]) -> np.ndarray:
    """int (length,): the number of the sentence that each piece is in, which ends in ".", "!", "?" or a new line."""
    words = word_groups(pieces)
    ends = np.array([piece.rstrip(" \"'”)")[-1:] in (".", "!", "?") or "\n" in piece for piece in pieces])
    # a sentence ends with the word that it ends in
    last = np.append(words[1:] != words[:-1], True)
    return np.concatenate([[0], np.cumsum(ends & last)[:-1]]) if len(pieces) else words


def text_of(pieces: Sequence[str], among: Sequence[str] = ()) -> str:
    """Pieces as text: blanks where the vocabulary has them, or between words where it has none.

    Args:
        among: others that they are a part of, which tell more of the vocabulary.
    """
    if any(piece[:1].isspace() for piece in (*pieces, *among)):
        return "".join(pieces)
    words = word_groups(pieces)
    joined = [piece.removeprefix("##") if i and words[i] == words[i - 1] else piece for i, piece in enumerate(pieces)]
    return " ".join("".join(joined[i] for i in np.flatnonzero(words == word)) for word in np.unique(words))
