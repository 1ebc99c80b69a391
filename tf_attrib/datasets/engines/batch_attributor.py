"""`ta.BatchAttributor`: what engines of clusters call, from columns of a batch to columns of attributions."""

import copy
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...attributor import Attributor
from ...common.checks import whole
from ...common.errors import AttributionError, nearest
from ...common.fingerprint import fingerprint, of_model
from ...methods import Method, as_method
from ...selection.each_position import EachPosition
from ...selection.frames import is_frame
from ..shards.blocks import kept_as
from ..shards.isolated import LABEL, Call, as_target, checked_on_error
from ..shards.run import as_attributor_at
from ..shards.sources import as_label_column
from .columns import Columns, as_columns, groups, of_elements, scattered
from .loaded import Loaded, PerProcess

IN_PROCESS = PerProcess()
# What Spark calls the types of NumPy.
SPARK = {"f4": "float", "f8": "double", "i1": "tinyint", "i2": "smallint", "i4": "int", "i8": "bigint", "b1": "boolean"}


class BatchAttributor:
    """Attributes batches of columns: a function from a dict of arrays, or a DataFrame, to another.

        attribute = ta.BatchAttributor("model.keras", ["a", "b"])
        attribute({"id": [7, 8], "a": one, "b": other})  # {"id": ..., "attributions": ..., "scores": ..., "status": ..., ...}
        ray.data.read_parquet("in/").map_batches(attribute, batch_size=256)
        spark_frame.mapInPandas(lambda frames: map(attribute, frames), attribute.spark_schema(sample))

    It is sent to other processes as the path of the model and settings; a process reads the model at its first batch, and again
    where the file has changed. A row that cannot be attributed loses itself alone: NaN for numbers, why in "status" and
    "reason". What comes out has the same columns for every batch.

    An engine cuts batches as it likes, and the size of a batch may change the last bits of what is computed in it. Where equal
    runs must be equal to the last bit, `ta.attribute_dataset` cuts them by the number of a row.
    """

    def __init__(
        self,
        attributor: str | os.PathLike | Attributor,
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
        """Settings are checked here as far as that needs no model.

        Args:
            attributor: the path of a model, which every worker finds there; or an `Attributor`, to be sent one of a path.
            features: the columns that are inputs, in order; default: all but `labels`. Others come out beside the results.
            labels: the column of classes that target="label" explains, or None.
            method, target, baselines, at, of, seed, keep, reduce, dtype, on_error: as for `ta.attribute_dataset`.

        Raises:
            AttributionError: arguments that mean nothing.
        """
        whole("seed", seed, 0)
        self._call = {"method": as_method(method), "baselines": baselines, "seed": seed}
        self._target, self._on_error = as_target(target), checked_on_error(on_error)
        if isinstance(target, EachPosition):
            raise AttributionError(
                "each_position() has several results a row, and a batch has one: ta.attribute_dataset takes it"
            )
        if target == LABEL and labels is None:
            raise AttributionError("target='label' needs labels=, the column that they are in, such as labels='y'")
        if isinstance(features, str):
            raise AttributionError(f"features are names of columns in a list, [{features!r}], got {features!r}")
        self._kept = kept_as(keep, reduce, dtype)
        self._labels, self._features = labels, None if features is None else tuple(features)
        self._make = recipe(attributor, at, of)
        self._loaded: Loaded | None = None
        self._first: list[str] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_loaded": None}

    @property
    def features(self) -> tuple[str, ...] | None:
        """The columns that are inputs, where they are named."""
        return self._features

    @property
    def path(self) -> Path | None:
        """Of the model; None of one in memory."""
        found = self._make.args[0]
        return Path(found) if isinstance(found, str) else None

    def of_model(self, path: str | os.PathLike) -> "BatchAttributor":
        """The same of the model at another path."""
        if self.path is None:
            raise AttributionError("a model in memory has no path that could be another: ta.BatchAttributor('model.keras')")
        found, make = copy.copy(self), self._make
        found._loaded = None
        found._make = functools.partial(make.func, str(Path(path).absolute()), *make.args[1:], **make.keywords)
        return found

    def load(self) -> None:
        """Reads the model, where this process has not done so."""
        if self._loaded is None:
            settings = (self._make, self._call, self._target, self._on_error, self._kept)
            # what lies at the path may have been written anew
            key = None if self.path is None else f"{fingerprint(settings)} {of_model(self.path)}"
            self._loaded = self._read() if key is None else IN_PROCESS(key, self._read)

    def _read(self) -> Loaded:
        return Loaded(Call(self._make(), self._call, self._target, self._on_error), self._kept)

    def __call__(self, batch: Any) -> Any:
        """The attributions of a batch.

        Args:
            batch: columns by name, arrays (n, ...), or lists or objects (n,) that hold an array for each row; or a DataFrame.

        Returns:
            By name, (n, ...): the columns beside the inputs as they came; what a shard of `ta.attribute_dataset` holds of each
            row; "reason", "" where a row did not fail. Columns of arrays that differ in shape from row to row are objects (n,).
            Of a DataFrame a DataFrame, whose cells hold lists.

        Raises:
            AttributionError: columns that are not there, or are called what results are; settings that are wrong for every row;
                with `on_error="raise"` a row that fails.
        """
        found = self._columns(as_columns(batch))
        return type(batch)({name: _cells(values) for name, values in found.items()}) if is_frame(batch) else found

    def _columns(self, given: Columns) -> Columns:
        names = self._in_order([name for name in given if name != self._labels])
        absent = [name for name in (*names, *([self._labels] if self._labels else [])) if name not in given]
        if absent or not names:
            wanted = repr(absent[0]) if absent else "of inputs"
            raise AttributionError(f"the batch has no column {wanted}; there are: {nearest(wanted, given)}")
        labels = None if self._labels is None else as_label_column(given[self._labels])
        self.load()
        assert self._loaded is not None
        parts = [(one.places, self._loaded(one, labels)) for one in groups({name: given[name] for name in names})]
        found = scattered(parts, len(next(iter(given.values()))))
        beside = {name: values for name, values in given.items() if name not in names}
        twice = [name for name in beside if name in found]
        if twice:
            raise AttributionError(
                f"the batch has a column {twice[0]!r}, as results have: rename it, or leave it out; results: {', '.join(found)}"
            )
        return beside | found

    def _in_order(self, names: list[str]) -> list[str]:
        """The columns that are inputs; of batches that bring the same in another order in that of the first."""
        if self._features is not None:
            return list(self._features)
        if self._first is None or sorted(self._first) != sorted(names):
            self._first = names
        return self._first

    def of_elements(self, elements: Sequence[Any]) -> list[dict[str, Any]]:
        """The attributions of single rows, each a dict of arrays by name, or the array that is the model's input; for each a
        dict of what `__call__` has columns of, numbers and texts as those of Python."""
        columns = self._columns(of_elements(elements, self._features)).items()
        return [{name: _plain(values[row]) for name, values in columns} for row in range(len(elements))]

    def spark_schema(self, sample: Any) -> str:
        """What Spark calls the columns that come out, as `mapInPandas` takes it: "id bigint, attributions array<float>, ...".

        Args:
            sample: a few rows such as come, a DataFrame or a dict; they are attributed here.

        Raises:
            AttributionError: a column that Spark has no type for, such as attributions as float16.
        """
        columns = self._columns(as_columns(sample))
        return ", ".join(f"`{name}` {_spark(name, values)}" for name, values in columns.items())


def recipe(attributor: Any, at: Any, of: Any) -> functools.partial:
    """What makes the attributor in another process, from a path or an `Attributor` of one; of one in memory it is none that
    can be sent."""
    if isinstance(attributor, Attributor) and attributor.path is not None:
        make, (place, own_at, own_of, *more) = attributor.__reduce__()
        return functools.partial(make, place, own_at if at is None else at, own_of if of is None else of, *more)
    if isinstance(attributor, str | os.PathLike):
        return functools.partial(as_attributor_at, str(Path(attributor).absolute()), at, of)
    if isinstance(attributor, Attributor):
        return functools.partial(as_attributor_at, attributor, at, of)
    raise AttributionError(
        "a model is sent to other processes as its path: model.save('model.keras'), ta.BatchAttributor('model.keras'); got "
        f"{type(attributor).__name__}"
    )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


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
