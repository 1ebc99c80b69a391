"""`ta.BatchAttributor`: what engines of clusters call, from columns of a batch to columns of attributions."""

import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...attributor import Attributor
from ...common.checks import whole
from ...common.errors import AttributionError, missing_extra, nearest
from ...common.fingerprint import fingerprint, of_model
from ...methods import Method, as_method
from ...selection.each_position import EachPosition
from ..shards.blocks import Kept
from ..shards.isolated import LABEL, Call, as_target, checked_on_error
from ..shards.sources import as_ids, as_label_column
from .columns import Columns, as_columns, groups, of_elements, scattered
from .loaded import Loaded, PerProcess

IN_PROCESS = PerProcess()
# What Spark calls the types of NumPy.
SPARK = {"f4": "float", "f8": "double", "i1": "tinyint", "i2": "smallint", "i4": "int", "i8": "bigint", "b1": "boolean"}


class BatchAttributor:
    """Attributes batches of columns; a callable that is sent to other processes as the path of a model and settings.

        attribute = ta.BatchAttributor("model.keras", ids="id")
        attribute({"id": [7, 8], "x": array})  # {"id": ..., "attributions": ..., "scores": ..., "status": ..., ...}
        # Ray Data
        dataset.map_batches(ta.BatchAttributor, fn_constructor_args=("model.keras",), fn_constructor_kwargs={"ids": "id"})
        # Spark
        frame.mapInPandas(attribute.in_pandas, attribute.spark_schema(sample))

    The model is read by the first batch, once in a process, and not where the callable is made. A row that cannot be attributed
    loses itself alone: NaN for numbers, why in "status" and "reason". What comes out has the same columns for every batch.

    An engine cuts batches as it likes, and the size of a batch may change the last bits of what is computed in it. Where equal
    runs must be equal to the last bit, `ta.attribute_dataset` cuts them by the number of a row.
    """

    def __init__(
        self,
        path: str | os.PathLike | Attributor,
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
        ids: str | None = None,
        labels: str | None = None,
        features: Sequence[str] | None = None,
    ) -> None:
        """Settings are those of `ta.attribute_dataset`.

        Args:
            path: of a model, where every worker finds it; or an `Attributor` made from a path, whose settings are kept.
            method, target, baselines, at, of, seed, keep, reduce, dtype, on_error: as `ta.attribute_dataset` takes them.
            ids: the column that says what a row is; it comes out as "id".
            labels: that of labels, which comes out as "label".
            features: the columns that are inputs, in order; default: all but ids and labels.

        Raises:
            AttributionError: settings that cannot be; an `Attributor` of a model in memory.
        """
        whole("seed", seed, 0)
        self._call = {"method": as_method(method), "baselines": baselines, "seed": seed}
        self._target, self._on_error = as_target(target), checked_on_error(on_error)
        if isinstance(target, EachPosition):
            raise AttributionError(
                "a batch has one result a row, and each_position() has several: ta.attribute_dataset takes it"
            )
        if target == LABEL and labels is None:
            raise AttributionError("target='label' needs the column of labels: labels='y'")
        if isinstance(features, str):
            raise AttributionError(f"features are the names of columns in order, [{features!r}], got {features!r}")
        self._kept = Kept(tuple(keep) if not isinstance(keep, str) else keep, reduce, dtype)
        self._ids, self._labels, self._features = ids, labels, None if features is None else tuple(features)
        self._make = _recipe(path, at, of)
        self._loaded: Loaded | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_loaded": None}

    @property
    def path(self) -> Path:
        """Of the model."""
        return Path(self._make.args[0])

    def load(self) -> None:
        """Reads the model, where this process has not done so."""
        if self._loaded is None:
            settings = (self._make, self._call, self._target, self._on_error, self._kept)
            # what lies at the path may have been written anew
            self._loaded = IN_PROCESS(f"{fingerprint(settings)} {of_model(self.path)}", self._read)

    def _read(self) -> Loaded:
        return Loaded(Call(self._make(), self._call, self._target, self._on_error), self._kept)

    def __call__(self, batch: Any) -> Columns:
        """The attributions of a batch.

        Args:
            batch: columns by name, arrays (n, ...), or lists or objects (n,) that hold an array for each row; or a DataFrame.

        Returns:
            By name, (n, ...): "id" and "label" where they are named, what a shard of `ta.attribute_dataset` holds of each row,
            and "reason", "" where a row did not fail. Columns of arrays that differ in shape from row to row are objects (n,).

        Raises:
            AttributionError: columns that are not there; settings that are wrong for every row; with `on_error="raise"` a row
                that fails.
        """
        columns = as_columns(batch)
        count = len(next(iter(columns.values())))
        ids = np.arange(count) if self._ids is None else as_ids(self._column(columns, self._ids))
        labels = None if self._labels is None else as_label_column(self._column(columns, self._labels))
        names = self._features or [name for name in columns if name not in (self._ids, self._labels)]
        inputs = {name: self._column(columns, name) for name in names}
        if not inputs:
            raise AttributionError("the batch has no columns beside ids and labels: name the inputs, features=[...]")
        self.load()
        assert self._loaded is not None
        parts = [(group.places, self._loaded(group, ids, labels)) for group in groups(inputs)]
        found = scattered(parts, count)
        if self._ids is None:
            del found["id"]
        return {name: values for name, values in found.items() if name != "row"}

    def of_elements(self, elements: Sequence[Any]) -> list[dict[str, Any]]:
        """The attributions of single rows, each a dict of arrays by name, or the array that is the model's input; for each a
        dict of what `__call__` has columns of, numbers and texts as those of Python."""
        columns = self(of_elements(elements))
        return [
            {
                name: values[row].item() if isinstance(values[row], np.generic) else values[row]
                for name, values in columns.items()
            }
            for row in range(len(elements))
        ]

    def in_pandas(self, frames: Iterable[Any]) -> Iterator[Any]:
        """Of each DataFrame one of attributions, arrays as lists: what Spark's `mapInPandas` takes."""
        try:
            import pandas
        except ImportError:
            raise missing_extra("pandas", "pandas", "in_pandas") from None
        for frame in frames:
            if len(frame):
                yield pandas.DataFrame({name: _cells(values) for name, values in self(frame).items()})

    def spark_schema(self, sample: Any) -> str:
        """What Spark calls the columns that come out, as `mapInPandas` takes it: "id bigint, attributions array<float>, ...".

        Args:
            sample: a few rows such as come, a DataFrame or a dict; they are attributed here.

        Raises:
            AttributionError: a column that Spark has no type for, such as attributions as float16.
        """
        return ", ".join(f"`{name}` {_spark(name, values)}" for name, values in self(sample).items())

    def _column(self, columns: Columns, name: str) -> np.ndarray:
        if name not in columns:
            raise AttributionError(f"the batch has no column {name!r}; there are: {nearest(name, columns)}")
        return columns[name]


def _recipe(path: Any, at: Any, of: Any) -> functools.partial:
    """What makes the attributor elsewhere."""
    if isinstance(path, Attributor):
        make, (place, own_at, own_of, *more) = path.__reduce__()
        return functools.partial(make, place, own_at if at is None else at, own_of if of is None else of, *more)
    if not isinstance(path, str | os.PathLike):
        raise AttributionError(
            "a model is sent to other processes as its path: model.save('model.keras'), BatchAttributor('model.keras'); got "
            f"{type(path).__name__}"
        )
    return functools.partial(Attributor, str(Path(path).absolute()), at, of)


def _cells(values: np.ndarray) -> Any:
    """A column for a DataFrame that Arrow takes: of arrays nested lists, one a row."""
    return values if values.ndim == 1 and values.dtype != object else [np.asarray(value).tolist() for value in values]


def _spark(name: str, values: np.ndarray) -> str:
    first = np.asarray(values[0]) if len(values) and values.dtype == object else None
    dtype, rank = (values.dtype, values.ndim - 1) if first is None else (first.dtype, first.ndim)
    kind = "string" if dtype.kind in "SUO" else SPARK.get(dtype.str[1:])
    if kind is None:
        raise AttributionError(f"Spark has no type for the column {name!r} of {dtype}: dtype='float32'")
    return "array<" * rank + kind + ">" * rank
