"""`ta.BatchAttributor`: columns to columns, for engines that hand out batches in processes of their own."""

import os
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...attributor import Attributor
from ...common.errors import AttributionError, nearest
from ...methods import Method, as_method
from ...selection.frames import is_frame
from .blocks import kept_as
from .isolated import Call, Isolated
from .rows import Rows
from .run import LABEL, as_attributor_at, check_target
from .source_files import as_inputs
from .sources import as_label_column

# The models that this process has read, the last few: an engine may send the same settings again with every batch.
_READ: dict[bytes, Attributor] = {}
MOST = 4


class BatchAttributor:
    """Attributes batches of columns: a function from a dict of arrays (or a DataFrame) to another.

        ray.data.read_parquet("in/").map_batches(ta.BatchAttributor("model.keras", ["a", "b"]), batch_size=256)
        spark_frame.mapInPandas(lambda frames: map(ta.BatchAttributor("model.keras", ["a", "b"]), frames), schema)

    It is pickled as path and settings; a process reads the model at its first batch. Engines cut batches as they like, so that
    numbers are those of `attribute` up to the rounding of other batch sizes.

    Args:
        attributor: the path of a model, or an `Attributor`; to be pickled, of a path.
        features: the columns that are inputs, in order; default: all but `labels`.
        labels: the column of classes that target="label" explains, or None.
        method, target, baselines, at, of, seed, keep, reduce, dtype, on_error: as for `ta.attribute_dataset`.

    Raises:
        AttributionError: arguments that mean nothing.
    """

    def __init__(
        self,
        attributor: Attributor | str | os.PathLike,
        features: Sequence[str] | None = None,
        labels: str | None = None,
        *,
        method: str | Method = "integrated_gradients",
        target: Any = None,
        baselines: Any = None,
        at: Any = None,
        of: Any = None,
        seed: int = 0,
        keep: Sequence[str] = ("attributions",),
        reduce: str | None = None,
        dtype: str = "float32",
        on_error: str = "mark",
    ) -> None:
        if on_error not in ("mark", "raise"):
            raise AttributionError(f"on_error must be 'mark' or 'raise', got {on_error!r}")
        if isinstance(features, str):
            raise AttributionError(f"features are names of columns in a list, got {features!r}")
        if target == LABEL and labels is None:
            raise AttributionError("target='label' needs labels=, the column that they are in")
        self._made_of = attributor if isinstance(attributor, Attributor) else os.fspath(attributor), at, of
        self._features, self._labels, self._target = features, labels, check_target(target)
        self._settings = {"method": as_method(method), "baselines": baselines, "seed": seed}
        self._kept = kept_as(keep, reduce, dtype)
        self._on_error = on_error
        self._isolated: Isolated | None = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_isolated": None}

    def __call__(self, batch: Any) -> Any:
        """Columns beside the inputs as they came, and columns of results: scores, status, attributions, ..., as in the shards
        of `ta.attribute_dataset`, and why a row failed ("reason"). Of a DataFrame a DataFrame, whose cells hold lists.

        Raises:
            AttributionError: a column that is missing; what fails for every row.
        """
        given = {str(name): _array(batch[name]) for name in (batch.columns if is_frame(batch) else batch)}
        names = [name for name in given if name != self._labels] if self._features is None else list(self._features)
        for name in (*names, *([self._labels] if self._labels else [])):
            if name not in given:
                raise AttributionError(f"the batch has no column {name!r}; there are: {nearest(name, given)}")
        attributor = self._attributor()
        inputs = as_inputs(attributor, {name: given[name] for name in names})
        count = len(next(iter(given.values())))
        labels = None if self._labels is None else as_label_column(given[self._labels])
        found = self._columns(attributor, Rows(np.arange(count), inputs, labels), given, set(names))
        return type(batch)({name: _cells(values) for name, values in found.items()}) if is_frame(batch) else found

    def _columns(self, attributor: Attributor, rows: Rows, given: Mapping[str, np.ndarray], inputs: set[str]) -> dict:
        if self._isolated is None:
            self._isolated = Isolated(Call(attributor, self._settings, self._target, self._on_error), settled=False)
        result, places, failed = self._isolated(rows)
        if result is None:
            self._isolated.learn(rows)
            result, places = self._isolated.nothing(rows, failed), np.arange(len(rows))
        if result is None:
            raise AttributionError(f"none of the rows can be attributed, and a row has no entry of its own: {failed[0][2]}")
        block = self._kept.block(self._kept.reduced(result), places, places, None)
        reasons = np.full(len(rows), "", object)
        for place, _, reason in failed:
            reasons[place] = reason
        columns = {name: values for name, values in block.columns.items() if name not in ("id", "row")}
        beside = {name: values[places] for name, values in given.items() if name not in inputs}
        return beside | columns | {"reason": reasons[places].astype(str)}

    def _attributor(self) -> Attributor:
        """The attributor, read once in a process."""
        made, at, of = self._made_of
        if isinstance(made, Attributor):
            return as_attributor_at(made, at, of)
        key = pickle.dumps(self._made_of)
        if key not in _READ:
            while len(_READ) >= MOST:
                del _READ[next(iter(_READ))]
            _READ[key] = as_attributor_at(made, at, of)
        return _READ[key]


def _array(values: Any) -> np.ndarray:
    """A column as an array; of lists of one length in its cells as one of them all."""
    array = np.asarray(values)
    if array.dtype == object and len(array) and isinstance(array[0], list | tuple | np.ndarray):
        lengths = {np.shape(one) for one in array}
        if len(lengths) > 1:
            raise AttributionError(f"a column holds lists of different lengths, {sorted(lengths)[:5]}: pad them to one")
        return np.stack([np.asarray(one) for one in array])
    return array


def _cells(values: np.ndarray) -> Any:
    return values if values.ndim == 1 else [one.tolist() for one in values]
