"""What the model itself gives a baseline of its inputs. Paths begin at what these become, such as embeddings, while what else
follows from the inputs, such as a mask, stays that of the example: the score there need not be the model's own."""

import numpy as np

from ..common.digits import short
from ..common.types import Leaves, present
from ..selection.references import References
from ..selection.settled import WORDS
from .company import ALIKE, ALIKE_NARROW
from .compared import Compared
from .session import Session


def apart_at_baseline(
    session: Session, ready: Leaves, match: dict, references: References, compared: Compared
) -> tuple[str, ...]:
    """A note where the score at a baseline is not what the model gives the inputs that it was made of; () elsewhere.

    Args:
        ready: the examples' inputs, by the model's keys, and a score's own rows.
        match: the user's key for each of the model's.
    """
    if references.inputs is None or not _moves_others(session, ready, match, references):
        return ()
    own, below = _own_scores(session, ready, match, references, compared), compared.baseline_scores
    apart = np.abs(own - below) / np.maximum(compared.largest[:, None], np.finfo(float).tiny)
    apart[np.isfinite(below) & ~np.isfinite(own)] = np.inf  # a mean over no word at all
    apart = np.nan_to_num(apart, nan=0, posinf=np.inf)
    worst = np.unravel_index(apart.argmax(), apart.shape)
    if apart[worst] <= (ALIKE_NARROW if session.function.formats else ALIKE):
        return ()
    return (
        f"the baseline stands in at {session.function.place.words} alone: what else the model makes of its inputs, such as a "
        f"mask of padding, stays that of the example, so that the score there is {short(below[worst])} where the model gives "
        f"the whole baseline {short(own[worst]) if np.isfinite(own[worst]) else 'NaN or infinity'}",
    )


def _moves_others(session: Session, ready: Leaves, match: dict, references: References) -> bool:
    """Whether an input that rows need beside the selected tensors is another one at the baseline."""
    made, context = present(references.inputs), session.function.context
    words = any(isinstance(key, tuple) and key[0] == WORDS for key in context)
    index = next(iter(references.index.values()))
    beside = [key for key in match if words or key in context]
    return any(np.any(made[match[key]][index] != ready[key][:, None]) for key in beside)


def _own_scores(session: Session, ready: Leaves, match: dict, references: References, compared: Compared) -> np.ndarray:
    """(n, k), the scores that the model gives each example's baselines."""
    index, made = next(iter(references.index.values())), present(references.inputs)
    rows, example = index.reshape(-1), np.repeat(np.arange(len(index)), index.shape[1])
    own = {key: value[example] for key, value in ready.items() if key not in match and key[0] != WORDS}
    inputs = session.with_words({key: made[match[key]][rows] for key in match} | own)
    at = dict(zip(session.function.place.ports, (table[rows] for table in references.tables.values()), strict=True))
    return session.scores(at, inputs, compared.target[example]).reshape(index.shape)
