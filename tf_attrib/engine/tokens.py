"""The words behind the ids that were looked up for each example: of a vocabulary, or the strings that fell into a bucket."""

from collections.abc import Sequence

import numpy as np

from ..graph.saved.id_sources import Buckets, buckets, computed, words_at
from .session import Session

# Stands where no word is known; an array, since that is what NumPy compares with.
NO_WORD = np.array(None, dtype=object)


def tokens(session: Session, inputs: dict, known: Sequence[str] | None) -> np.ndarray | None:
    """A word for each id, (n, length), where the one lookup that was selected has such; None where nothing is known.

    Args:
        session: where the lookup was selected.
        inputs: by the model's keys.
        known: the only vocabulary of a Keras model; it names what no table holds, such as unknown words.
    """
    place = session.function.place
    indices = session.indices(inputs)
    if place.indices is None or indices is None:
        return _words_given(session, inputs)
    is_sparse = place.indices_axis is None
    found = words_at(session.function.traced, place.indices, indices)
    hashed = buckets(place.indices)
    words = np.full(indices.shape, None, dtype=object) if found is None else found
    if hashed is not None:
        _fill(words, _strings(session, inputs, hashed, indices, is_sparse))
    if known is not None and (found is not None or hashed is None) and not computed(place.indices):
        names = np.asarray(known, dtype=object)
        _fill(words, np.where((indices >= 0) & (indices < len(names)), names[indices.clip(0, len(names) - 1)], NO_WORD))
    elif found is None and hashed is None and not is_sparse:
        return None
    # of an id that no one names: of a sparse lookup its number, which tells rows apart; else it is padding
    numbers = (found is None and hashed is None) or is_sparse or known is not None
    rest = np.where(indices < 0, "", indices.astype(str)) if numbers else np.full(indices.shape, "")
    _fill(words, rest.astype(object))
    return words.astype(str)


def _words_given(session: Session, inputs: dict) -> np.ndarray | None:
    """The words themselves, where the one tensor selected is text as it was given, (n, length)."""
    traced, ports = session.function.traced, session.function.place.ports
    given = {tensor.ref(): inputs[key] for key, tensor in traced.inputs.items()}
    words = [given[port.tensor.ref()] for port in ports.values() if port.tensor.ref() in given]
    if len(ports) != 1 or len(words) != 1 or words[0].dtype.kind not in "OSU" or words[0].ndim != 2:
        return None
    decoded = [item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item) for item in words[0].ravel()]
    return np.array(decoded, dtype=str).reshape(words[0].shape)


def _fill(words: np.ndarray, others: np.ndarray | None) -> None:
    """Puts others in where no word is known."""
    if others is not None:
        empty = np.equal(words, NO_WORD)
        words[empty] = others[empty]


def _strings(session: Session, inputs: dict, hashed: Buckets, indices: np.ndarray, is_sparse: bool) -> np.ndarray | None:
    """The strings of each example that fell into the buckets at `indices`, None elsewhere."""
    fetched = session.each({"strings": hashed.strings, "ids": hashed.ids}, inputs)
    if fetched is None:
        return None
    found = np.full(indices.shape, None, dtype=object)
    for example, values in enumerate(fetched):
        texts = [text.decode("utf-8", "replace") for text in values["strings"].ravel()]
        ids, wanted = values["ids"].ravel(), indices[example].ravel()
        if len(texts) != len(ids):
            continue
        size = min(len(ids), len(wanted))
        if not is_sparse and np.array_equal(ids[:size], wanted[:size]):  # each in its own place, then padding
            words = [*texts[:size], *[""] * (len(wanted) - size)]
        else:
            fell = {
                number: dict.fromkeys(text for text, other in zip(texts, ids, strict=True) if other == number)
                for number in set(wanted.tolist()) & set(ids.tolist())
            }
            words = [", ".join(fell[number]) if number in fell else None for number in wanted.tolist()]
        found[example] = np.array(words, dtype=object).reshape(indices[example].shape)
    return found
