"""What a result holds for a summary: rows of features, or words without padding; groups, targets and classes."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..attribution import Attribution
from ..common.errors import AttributionError, nearest
from ..common.tokens import is_padding
from ..common.types import present
from ..result.adding_up import over_channels
from .words import WordBatch


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureBatch:
    """The features of a batch of n examples.

    Attributes:
        attributions: (n, features) float64.
        values: the same of the inputs, or None where they are not known.
        shapes: by key, the shape of one example of each tensor.
        blocks: the tensors themselves, which know the names of their features.
    """

    attributions: np.ndarray
    values: np.ndarray | None
    shapes: dict[Any, tuple[int, ...]]
    blocks: tuple


KINDS = ("auto", "features", "words")


def chosen(result: Attribution, key: Any, kind: str, with_tokens: bool) -> tuple[list, bool]:
    """The tensors of a result that are summarised, and whether they hold words.

    Args:
        key: of one tensor; None for all, of which none holds words unless there is one only.
        kind: one of KINDS.
        with_tokens: whether the caller gave words.

    Raises:
        AttributionError: no such tensor, steps along a path, words beside other tensors.
    """
    from ..view.kinds import blocks  # the one place that knows words from numbers; it brings matplotlib

    found = blocks(result)
    if key is not None:
        keys = {str(block.key): block for block in found}
        if str(key) not in keys:
            raise AttributionError(f"no tensor of the result is called {key!r}; there are: {nearest(str(key), keys)}")
        found = [keys[str(key)]]
    if any(block.kind == "steps" for block in found):
        raise AttributionError(
            "interior gradients have steps along a path: summarise their sum, result.sum(1), or integrated gradients"
        )
    has_words = [_is_words(result, block, kind, with_tokens) for block in found]
    if any(has_words) and len(found) > 1:
        raise AttributionError(
            f"the result has {len(found)} tensors, and words among them: summarise one at a time, such as "
            f"key={str(found[has_words.index(True)].key)!r}; there are: "
            f"{nearest('', [str(block.key) for block in found])}"
        )
    return found, any(has_words)


def _is_words(result: Attribution, block: Any, kind: str, with_tokens: bool) -> bool:
    may_be = block.values.ndim in (2, 3)
    if kind == "words" and not may_be:
        raise AttributionError(
            f"kind='words' is for attributions (n, length) or (n, length, dimension), got {block.values.shape}"
        )
    if kind != "auto":
        return kind == "words"
    # whole numbers that have attributions themselves are no token ids, which have them at their embeddings
    is_number = block.values.ndim == 2 and result.place == "inputs" and block.inputs is not None
    return may_be and (with_tokens or (block.kind == "words" and not is_number))


def features(found: Sequence) -> FeatureBatch:
    """All tensors side by side, flattened."""
    count = len(found[0].values)
    attributions = np.concatenate([block.values.reshape(count, -1).astype(np.float64) for block in found], 1)
    known = all(
        block.inputs is not None and block.inputs.shape == block.values.shape and block.inputs.dtype.kind in "biuf"
        for block in found
    )
    values = np.concatenate([block.inputs.reshape(count, -1).astype(np.float64) for block in found], 1) if known else None
    return FeatureBatch(attributions, values, {block.key: block.values.shape[1:] for block in found}, tuple(found))


def feature_names(batch: FeatureBatch, names: Sequence[str] | None) -> tuple[str, ...]:
    """A name for each feature: those given, or key and index.

    Raises:
        AttributionError: another number of names.
    """
    if names is None:
        return tuple(block.feature(index) for block in batch.blocks for index in np.ndindex(block.values.shape[1:]))
    size = sum(int(np.prod(shape)) for shape in batch.shapes.values())
    if len(names) != size:
        raise AttributionError(
            f"{len(names)} names for {size} features: give one for each, or sum over axes first, such as result.sum(-1)"
        )
    return tuple(str(name) for name in names)


def in_order(found: list, shapes: dict[Any, tuple[int, ...]] | None) -> list:
    """The tensors in the order of the first result's, whose `shapes` by key are known: models may name them in another."""
    keys = list(shapes or ())
    return sorted(found, key=lambda block: keys.index(block.key)) if {block.key for block in found} == {*keys} else found


def check_names(known: dict[str, dict[str, tuple[str, ...]]], result: Attribution) -> None:
    """Raises where columns or categories of a result are not those of the first, which are noted in `known`."""
    for field in ("feature_names", "categories"):
        own, first = getattr(result, field), known.setdefault(field, getattr(result, field))
        for key in own.keys() & first.keys():
            if own[key] != first[key]:
                one, other = (", ".join(map(repr, names[:8])) for names in (first[key], own[key]))
                raise AttributionError(
                    "results to be summed up must have the same columns and categories in the same order, frame[columns]; got "
                    f"{one}, then {other}"
                )


class Vocabulary:
    """The words of each position: of the results, of a list by token id, or given example by example."""

    def __init__(self, tokens: Any, ignore: Sequence[str]) -> None:
        self._ignore = frozenset(str(word) for word in ignore)
        self._by_id: Mapping | Sequence[str] | np.ndarray | None = None
        self._rows: Iterator | None = None
        self._known: dict[int, str] = {}
        self.given = tokens is not None
        if isinstance(tokens, str | bytes):
            raise AttributionError(
                "tokens is a vocabulary (a list of words, or a dict by token id), or a list of words for "
                "each example: [text.split() for text in texts]"
            )
        if isinstance(tokens, Mapping) or (
            isinstance(tokens, Sequence | np.ndarray) and len(tokens) and isinstance(tokens[0], str | bytes)
        ):
            self._by_id = tokens
            if isinstance(tokens, Mapping) and not all(isinstance(key, int | np.integer) for key in tokens):
                raise AttributionError("a dict of tokens is by token id, a whole number; of several tensors, key= names one")
        elif tokens is not None:
            self._rows = iter(tokens)

    def words(self, result: Attribution, block: Any, first: int) -> WordBatch:
        """The words of a batch, without padding.

        Padding is a word such as "" or "[PAD]", and where inputs are token ids the 0 at the beginning and the end of an
        example, if no word is known for it, or its attribution is 0.

        Args:
            first: the index of the first example among all.
        """
        values = block.values.astype(np.float64)
        values = over_channels(values, result.kind) if values.ndim == 3 else values
        ids = block.inputs if block.inputs is not None and block.inputs.dtype.kind in "iu" else None
        words, places, kept_values, texts = [], [], [], []
        for example, own in enumerate(values):
            tokens, named = self._tokens(result, block, ids, example, first)
            if len(tokens) != len(own):
                raise AttributionError(
                    f"{len(tokens)} tokens for {len(own)} attributions in example {first + example}: give "
                    "one word for each position, padding included"
                )
            row = None if ids is None or ids[example].shape != own.shape else ids[example]
            kept = self._kept(tokens, row, own, named)
            texts.append([tokens[place] for place in kept])
            kept = np.array([place for place in kept if tokens[place] not in self._ignore], np.int64)
            words.append([tokens[place] for place in kept])
            places.append(kept)
            kept_values.append(own[kept])
        return WordBatch(words, places, kept_values, texts)

    def _tokens(
        self, result: Attribution, block: Any, ids: np.ndarray | None, example: int, first: int
    ) -> tuple[list[str], bool]:
        """The words of all positions of an example, and whether they are more than token ids."""
        from ..view.coloured_words import as_text

        if self._rows is not None:
            row = next(self._rows, None)
            if row is None:
                raise AttributionError(
                    f"tokens for {first + example} examples, and there are more: give a list of words for each"
                )
            if isinstance(row, str | bytes):
                raise AttributionError(
                    f"tokens is a list of words for each example; got the text {as_text(row)[:40]!r}: "
                    "[text.split() for text in texts]"
                )
            return [as_text(token) for token in row], True
        if self._by_id is not None:
            if ids is None:
                raise AttributionError(
                    "a vocabulary needs the token ids, and the result holds no integer inputs of its "
                    "length: give tokens=[[word, ...], ...], a list of words for each example"
                )
            return [self._word(token) for token in ids[example].tolist()], True
        if result.tokens is not None and np.shape(result.tokens)[1:2] == block.values.shape[1:2]:
            return [as_text(token) for token in result.tokens[example]], True
        if block.inputs is None or block.inputs.shape != block.values.shape[:2]:
            raise AttributionError(
                "the words behind the attributions are not known: give tokens=[[word, ...], ...], a list of "
                "words for each example"
            )
        return [as_text(token) for token in block.inputs[example]], ids is None

    def _word(self, token: int) -> str:
        if token in self._known:
            return self._known[token]
        from ..view.coloured_words import as_text

        if isinstance(self._by_id, Mapping):
            return self._known.setdefault(token, as_text(self._by_id.get(token, token)))
        if not 0 <= token < len(present(self._by_id)):
            raise AttributionError(
                f"token id {token} is not in the vocabulary of {len(present(self._by_id))} words; where tokens are "
                "texts, give a list of words for each: [text.split() for text in texts]"
            )
        return self._known.setdefault(token, as_text(present(self._by_id)[token]))

    def _kept(self, tokens: list[str], ids: np.ndarray | None, values: np.ndarray, named: bool) -> np.ndarray:
        """The positions that are no padding."""
        kept = np.array([not is_padding(token) for token in tokens], bool)
        if ids is not None:
            real = np.flatnonzero((ids != 0) | ((values != 0) & named))
            inside = np.zeros(len(kept), bool)
            if len(real):
                inside[real[0] : real[-1] + 1] = True
            kept &= inside
        return np.flatnonzero(kept)

    def finish(self) -> None:
        """Raises AttributionError where words were given for more examples than there are."""
        if self._rows is not None and next(self._rows, None) is not None:
            raise AttributionError(
                "tokens hold words for more examples than the results: give them in the same order, one list for each"
            )
