"""A model as one process of a cluster keeps it: read once, and ready for batches in which any row may be bad."""

import threading
from collections.abc import Callable

import numpy as np

from ...attribution import Attribution
from ...attributor import Attributor
from ...common.errors import AttributionError
from ..shards.blocks import Kept
from ..shards.isolated import TRIED, Call, Isolated
from ..shards.rows import Rows
from ..shards.source_files import as_inputs
from .columns import Columns, Group

# So many models are kept by a process: that of the job, and the one that it is replaced by.
MOST = 2


class Loaded:
    """Attributes rows batch after batch, a bad one of which loses itself alone."""

    def __init__(self, call: Call, kept: Kept) -> None:
        self._call, self._kept = call, kept
        self._isolated = Isolated(call, settled=True)
        # one batch at a time: TensorFlow uses all processors for it, and the bound on memory is that of one
        self._lock = threading.Lock()

    def __call__(self, group: Group, labels: np.ndarray | None) -> Columns:
        """Fields of the result with an entry for each row of a group, and "reason": why a row failed, or "".

        Args:
            labels: (n,) of all rows of the batch, or None.

        Raises:
            AttributionError: the settings are wrong for every row; or a row fails, and `on_error` is "raise".
        """
        with self._lock:
            rows = self._rows(group, labels)
            result, _, failed = self._isolated(rows)
            if result is None:
                result = self._nothing(rows, failed)
        if result is None:
            columns = {"status": np.full(len(rows), "", "U15")}
        else:
            columns = dict(self._kept.block(self._kept.reduced(result), rows.ids, rows.ids, None).columns)
            del columns["id"], columns["row"]  # the columns of the batch say which rows they are
        reasons = np.full(len(rows), "", object)
        for place, status, reason in failed:
            columns["status"][place], reasons[place] = status, reason
        return columns | {"reason": reasons.astype(str)}

    def _rows(self, group: Group, labels: np.ndarray | None) -> Rows:
        """The rows of a group as the model takes them; lost where their columns cannot be brought to its inputs."""
        ids, labels, reason = group.places, None if labels is None else labels[group.places], group.lost
        if reason is None:
            try:
                return Rows(ids, as_inputs(self._call.attributor, group.columns), labels)
            except AttributionError as error:
                if self._call.on_error == "raise" or (len(ids) >= TRIED and not self._isolated.knows):
                    raise
                reason = str(error)
        return Rows(ids, np.zeros((0, 1)), labels, dict.fromkeys(range(len(ids)), reason))

    def _nothing(self, rows: Rows, failed: list[tuple[int, str, str]]) -> Attribution | None:
        """The result of rows all of which failed, before any was attributed: it is like that of zeros. Where zeros fail too, it
        is the settings that are wrong, and not the rows."""
        zeros = _zeros(self._call.attributor)
        if zeros is None:  # where it is not known what the model takes, a few bad rows may have met by chance
            if len(rows.readable) >= TRIED:
                raise AttributionError(f"none of the first {len(rows)} rows can be attributed: {failed[0][2]}")
            return None
        like = self._call(zeros, None if rows.labels is None else np.zeros(1, np.int64))
        self._isolated.learn(like)
        return self._isolated.nothing(rows, failed)


def _zeros(attributor: Attributor) -> dict | None:
    """One example of zeros, and of texts without letters; None where the model does not say what it takes."""
    specs = attributor.input_specs
    open_ended = specs is None or any(spec.shape.rank is None or None in spec.shape[1:] for spec in specs.values())
    if open_ended or attributor.preprocess is not None:
        return None
    assert specs is not None
    arrays = {key: np.zeros((1, *spec.shape[1:]), spec.dtype.as_numpy_dtype) for key, spec in specs.items()}
    return {key: np.full(array.shape, "") if array.dtype == object else array for key, array in arrays.items()}


class PerProcess:
    """The models of this process, each by what tells it from others; one that is asked for by several threads is read once."""

    def __init__(self) -> None:
        self._lock, self._found = threading.Lock(), {}

    def __call__(self, key: str, make: Callable[[], Loaded]) -> Loaded:
        """The one of `key`, made where it is not there."""
        with self._lock:
            found = self._found.pop(key, None) or make()
            self._found[key] = found  # the last is the newest
            while len(self._found) > MOST:
                del self._found[next(iter(self._found))]
            return found
