"""Text as token ids, and token ids as pieces of text."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..common.checks import is_whole
from ..common.errors import AttributionError, nearest

TAKEN = (
    "a tokenizer of keras_hub, a TextVectorization layer, a list of words in the order of their ids, or a function from text "
    "to ids"
)


@dataclasses.dataclass(frozen=True, eq=False)
class Vocabulary:
    """What is known of tokens.

    Attributes:
        pieces: from ids to the text of each; "17" where no words are known.
        encode: from text to ids, or None.
        stops: ids that end a text.
        between: what parts two texts that follow each other: a blank where tokens are words.
    """

    pieces: Callable[[Sequence[int]], list[str]]
    encode: Callable[[str], list[int]] | None = None
    stops: tuple[int, ...] = ()
    between: str = ""

    @property
    def told(self) -> bool:
        """Whether the text of each token is known."""
        return self.pieces is not _numbers

    def ids(self, given: Any, what: str) -> np.ndarray:
        """int32 (length,), of text or of ids.

        Args:
            what: it is, for errors.

        Raises:
            AttributionError: text without a tokenizer, or what is neither.
        """
        if isinstance(given, str):
            if self.encode is None:
                raise AttributionError(
                    f"{what} is text, and how it becomes token ids is not known: give ids, such as [5, 3, 17], or "
                    f"tokenizer=, {TAKEN}"
                )
            return _whole(np.asarray(self.encode(given)).reshape(-1), f"{what}, as tokenizer= encodes it,")
        array = np.asarray(given.numpy() if hasattr(given, "numpy") else given)
        array = array[0] if array.ndim == 2 and len(array) == 1 else array
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
            raise AttributionError(
                f"{what} is one text, or its token ids as whole numbers (length,); got {type(given).__name__} of {array.dtype} "
                f"{array.shape}: several are several calls"
            )
        return _whole(array, what)


def as_vocabulary(tokenizer: Any) -> Vocabulary:
    """What `tokenizer` tells of tokens: see `TAKEN`; None knows nothing.

    Raises:
        AttributionError: it is none of these.
    """
    if tokenizer is None:
        return Vocabulary(_numbers)
    if hasattr(tokenizer, "id_to_token") and callable(tokenizer):
        return Vocabulary(_Pieces(tokenizer), lambda text: np.asarray(tokenizer(text)).tolist(), _stops(tokenizer))
    if hasattr(tokenizer, "get_vocabulary"):
        words = _Words(tokenizer.get_vocabulary())
        return Vocabulary(words, functools.partial(_vectorized, tokenizer), between=" ")
    if isinstance(tokenizer, list | tuple | np.ndarray) and all(isinstance(word, str) for word in tokenizer):
        words = _Words(list(tokenizer))
        return Vocabulary(words, words.encode, between=" ")
    if callable(tokenizer):
        encode: Callable[[str], Any] = tokenizer
        return Vocabulary(_numbers, lambda text: np.ravel(encode(text)).tolist())
    raise AttributionError(f"tokenizer must be {TAKEN}; got {type(tokenizer).__name__}")


def _whole(array: np.ndarray, what: str) -> np.ndarray:
    """`array` as int32.

    Raises:
        AttributionError: it holds what is no whole number, or one beyond int32, which would turn into that of another token.
    """
    if array.size and (array.dtype.kind not in "iu" or array.max() > np.iinfo(np.int32).max or array.min() < 0):
        raise AttributionError(f"{what} must be token ids, whole numbers from 0 to 2147483647; got {array.reshape(-1)[:8]}")
    return array.astype(np.int32)


def _numbers(ids: Sequence[int]) -> list[str]:
    return [str(int(one)) for one in ids]


def _vectorized(layer: Any, text: str) -> list[int]:
    """The ids of a TextVectorization layer, without what fills them up."""
    config = layer.get_config()
    if (mode := config.get("output_mode", "int")) != "int":
        raise AttributionError(f"tokenizer= must give ids in their order, output_mode='int'; that of this layer is {mode!r}")
    found = np.trim_zeros(np.ravel(layer([text])), "b").tolist()
    most = config.get("output_sequence_length")
    if most is not None and len(found) >= most:
        raise AttributionError(
            f"tokenizer= makes {most} tokens at most, output_sequence_length={most}, and {text[:40]!r} fills them: what stands "
            "behind would be cut off; give a layer without it"
        )
    return found


def _stops(tokenizer: Any) -> tuple[int, ...]:
    found: list[Any] = [getattr(tokenizer, name, None) for name in ("end_token_id", "end_token2_id")]
    return tuple(int(one) for one in found if is_whole(one, 0))


class _Words:
    """The words of a list, each of which is one token."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words
        self._numbers = {word: number for number, word in reversed(list(enumerate(words)))}

    def __call__(self, ids: Sequence[int]) -> list[str]:
        return [self._words[one] if 0 <= one < len(self._words) else str(int(one)) for one in ids]

    def encode(self, text: str) -> list[int]:
        unknown = [word for word in text.split() if word not in self._numbers]
        if unknown:
            raise AttributionError(
                f"{unknown[0]!r} is no word of the {len(self._words)} of tokenizer=; nearest: "
                f"{nearest(unknown[0], self._numbers)}"
            )
        return [self._numbers[word] for word in text.split()]


class _Pieces:
    """The pieces of a tokenizer of keras_hub, with the blank in front of those that begin a word."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __call__(self, ids: Sequence[int]) -> list[str]:
        return [self._piece(int(one)) for one in ids]

    def _piece(self, number: int) -> str:
        name = str(self._tokenizer.id_to_token(number))
        if "▁" in name:  # SentencePiece, whose text of one piece has lost the blank
            return name.replace("▁", " ")
        if name.isascii():
            return name
        # bytes as byte-pair vocabularies write them: text is what they decode to, where it is whole
        text = np.ravel(self._tokenizer.detokenize([number]))[0]
        text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        return text or name
