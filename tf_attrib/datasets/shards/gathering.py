"""The results of one shard, batch after batch, as blocks that are written at once."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from ...attribution import Attribution
from ...common.errors import AttributionError
from ...common.nested import flatten
from ...common.types import present
from ...result.joined import joined
from .blocks import Block, Kept
from .isolated import Failure, Isolated
from .rows import Rows

# Bytes of attributions that are gathered before they are written: each time a row group of Parquet.
GATHERED = 2**25


@dataclasses.dataclass(frozen=True, eq=False)
class _Piece:
    """A result, and for each of its entries the id, the number and the label of its row."""

    result: Attribution
    ids: np.ndarray
    numbers: np.ndarray
    labels: np.ndarray | None

    @property
    def nbytes(self) -> int:
        return sum(np.asarray(leaf).nbytes for leaf in flatten(self.result.attributions).values())

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of one entry: those of one block share an array."""
        leaves = [*flatten(self.result.attributions).values(), *flatten(self.result.inputs).values()]
        return [np.shape(leaf)[1:] for leaf in leaves]


class Gathering:
    """What is written of one shard.

    Args:
        names: of the columns of frames, those of the first that the run met with; noted there.

    Attributes:
        failures: the rows that failed so far.
    """

    def __init__(self, attribute: Isolated, kept: Kept, names: dict[str, tuple[str, ...]]) -> None:
        self.failures: list[Failure] = []
        self._attribute, self._kept, self._names = attribute, kept, names

    def blocks(self, batches: Iterable[Rows], first: int, advance: Callable[[int], None]) -> Iterator[Block]:
        """The blocks of the shard, of rows that are numbered from `first` on."""
        gathered: list[_Piece] = []
        waiting: list[tuple[Rows, int, list]] = []  # rows that all failed, before it is known what a result is like
        number, size, written = first, 0, False
        for rows in batches:
            result, places, failed = self._attribute(rows)
            self._note(rows, number, failed)
            if result is None:
                waiting.append((rows, number, failed))
            else:
                earlier = [self._filled(*one, first) for one in waiting]
                waiting = []
                for piece in (*earlier, self._piece(result, rows, number, places, first)):
                    if piece is None:
                        continue
                    if gathered and (size > GATHERED or piece.shapes != gathered[0].shapes):
                        yield self._block(gathered)
                        gathered, size, written = [], 0, True
                    gathered.append(piece)
                    size += piece.nbytes
            number += len(rows)
            advance(len(rows))
        if gathered:
            yield self._block(gathered)
        elif not written:
            yield from (self._lost(*one) for one in waiting)

    def _note(self, rows: Rows, number: int, failed: list[tuple[int, str, str]]) -> None:
        self.failures += [Failure(rows.ids[place].item(), number + place, *why) for place, *why in sorted(failed)]

    def _filled(self, rows: Rows, number: int, failed: list, first: int) -> _Piece | None:
        """What waited, now that it is known what a result is like; None where what failed has no entry."""
        result = self._attribute.nothing(rows, failed)
        return None if result is None else self._piece(result, rows, number, np.arange(len(rows)), first)

    def _piece(self, result: Attribution, rows: Rows, number: int, places: np.ndarray, first: int) -> _Piece:
        for key, own in result.feature_names.items():
            if self._names.setdefault(key, own) != own:
                raise AttributionError(
                    "batches of a frame must have the same columns in the same order, frame[columns]; got "
                    f"{list(self._names[key])}, then {list(own)}"
                )
        if result.example is not None:  # the examples of a shard are numbered on
            result = dataclasses.replace(result, example=number - first + places)
        labels = None if rows.labels is None else rows.labels[places]
        return _Piece(self._kept.reduced(result), rows.ids[places], number + places, labels)

    def _block(self, pieces: list[_Piece]) -> Block:
        labels = None if pieces[0].labels is None else np.concatenate([present(piece.labels) for piece in pieces])
        ids, numbers = (np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("ids", "numbers"))
        return self._kept.block(joined([piece.result for piece in pieces]), ids, numbers, labels)

    def _lost(self, rows: Rows, number: int, failed: list[tuple[int, str, str]]) -> Block:
        """Rows of which nothing is known but that they failed."""
        columns = {"id": rows.ids, "row": number + np.arange(len(rows))}
        columns |= {} if rows.labels is None else {"label": rows.labels}
        status = {place: words for place, words, _ in failed}
        return Block(columns | {"status": np.array([status[place] for place in range(len(rows))])}, None)
