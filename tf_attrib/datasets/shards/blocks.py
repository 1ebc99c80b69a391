"""What a shard keeps of results: columns with an entry for each row, and words that hold for all."""

import ast
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...attribution import Attribution
from ...common.errors import AttributionError, nearest
from ...common.types import present
from ...result import files
from ...result.result import PER_EXAMPLE

DTYPES = ("float16", "float32", "float64")
REDUCTIONS = ("sum", "mean", "norm", "abs")
# What is kept of every row, where the method knows it.
ALWAYS = (
    "scores",
    "baseline_scores",
    "gap",
    "error_estimate",
    "status",
    "target",
    "predicted",
    "alphas",
    "example",
    "position",
)
OPTIONAL = (*files.STRUCTURED, *(name for name in PER_EXAMPLE if name not in ALWAYS))
OF_ATTRIBUTIONS = ("attributions", "positive", "standard_error")
# Rounding to float16 may be off by so much of an example's attributions (L1), where none of them is too small for it.
ROUNDED = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class Block:
    """Entries of a shard.

    Attributes:
        columns: by name, (n, ...): "id", "row" (its number in its file), "label" where there is one, and fields of results; of
            those that are structures a column for each tensor, "attributions/key".
        header: the words of the result, and the keys of its structures; None where all rows failed.
    """

    columns: dict[str, np.ndarray]
    header: dict[str, Any] | None

    def __len__(self) -> int:
        return len(self.columns["id"])

    @property
    def result(self) -> Attribution:
        """The result that was stored.

        Raises:
            AttributionError: it was stored without attributions.
        """
        header = present(self.header)
        if "attributions" not in header["keys"]:
            raise AttributionError("this run kept no attributions: attribute_dataset(..., keep=('attributions',)) does")
        arrays = {}
        fields = {*PER_EXAMPLE}
        for name, keys in header["keys"].items():
            for number, key in enumerate(keys):
                arrays[f"{name}/{number}"] = self.columns[column(name, key)]
        arrays |= {name: values for name, values in self.columns.items() if name in fields}
        return files.from_parts(header, arrays, Attribution)


def column(name: str, key: Any) -> str:
    """The name of the column of one tensor of a structure."""
    return name if key is None else f"{name}/{key}"


@dataclasses.dataclass(frozen=True)
class Kept:
    """What is kept of results, checked.

    Attributes:
        keep: fields of a result beside those that are always kept.
        reduce: how attributions are reduced first, such as "sum(-1)", or None.
        dtype: of attributions.
    """

    keep: tuple[str, ...] = ("attributions",)
    reduce: str | None = None
    dtype: str = "float32"

    def __post_init__(self) -> None:
        unknown = [name for name in self.keep if name not in OPTIONAL]
        if unknown:
            raise AttributionError(
                f"keep is a tuple of fields of a result, ('attributions', 'inputs'); got {self.keep!r}; there are: "
                f"{nearest(str(unknown[0]), OPTIONAL)}; {', '.join(ALWAYS)} are always kept"
            )
        if self.dtype not in DTYPES:
            raise AttributionError(f"dtype is one of {', '.join(map(repr, DTYPES))}, got {self.dtype!r}")
        if self.reduce is not None:
            _reduction(self.reduce)

    def reduced(self, result: Attribution) -> Attribution:
        """The result with its attributions reduced.

        Raises:
            AttributionError: its attributions have no such axes.
        """
        if self.reduce is None:
            return result
        name, arguments = _reduction(self.reduce)
        try:
            return getattr(result, name)(*arguments)
        except (ValueError, TypeError) as error:
            raise AttributionError(f"reduce={self.reduce!r} cannot be done: {error}") from None

    def block(self, result: Attribution, ids: np.ndarray, rows: np.ndarray, labels: np.ndarray | None) -> Block:
        """The columns of one result.

        Raises:
            AttributionError: numbers that are beyond the dtype.
        """
        if result.status is None:  # so that every shard has the column
            result = dataclasses.replace(result, status=np.full(len(result), "", "U15"))
        header, arrays = files.parts(result)
        header["keys"] = {name: keys for name, keys in header["keys"].items() if name in self.keep}
        columns = {"id": ids, "row": rows} | ({} if labels is None else {"label": labels})
        columns |= {name: arrays[name] for name in PER_EXAMPLE if name in arrays and name in (*ALWAYS, *self.keep)}
        for name, keys in header["keys"].items():
            for number, key in enumerate(keys):
                values = arrays[f"{name}/{number}"]
                columns[column(name, key)] = self._cast(values) if name in OF_ATTRIBUTIONS else values
        return Block(columns, header)

    def _cast(self, values: np.ndarray) -> np.ndarray:
        if values.dtype.kind != "f" or values.dtype.itemsize <= np.dtype(self.dtype).itemsize:
            return values
        with np.errstate(over="ignore", under="ignore"):
            cast = values.astype(self.dtype)
        flat, rounded = (each.reshape(len(each), -1).astype(np.float64) for each in (values, cast))
        with np.errstate(invalid="ignore"):
            off = np.abs(rounded - flat).sum(1) > ROUNDED * np.abs(flat).sum(1)
        if off.any():
            first = int(np.flatnonzero(off)[0])
            raise AttributionError(
                f"dtype={self.dtype!r} does not hold attributions such as those from {flat[first].min():.3g} to "
                f"{flat[first].max():.3g}, of which it would lose more than {ROUNDED:.1%}: dtype='float32', or reduce them "
                "first, reduce='sum(-1)'"
            )
        return cast


def kept_as(keep: Sequence[str], reduce: str | None, dtype: str) -> Kept:
    """`Kept` as a user asks for it.

    Raises:
        AttributionError: fields, a reduction or a dtype that there are not.
    """
    if isinstance(keep, str):
        raise AttributionError(f"keep is a tuple of fields of a result, such as ({keep!r},); got the text {keep!r}")
    return Kept(tuple(keep), reduce, dtype)


def _reduction(text: str) -> tuple[str, Sequence[Any]]:
    """The method of a result, and its arguments, that a text such as "sum(-1)" names."""
    name, arguments = "", []
    try:
        call = ast.parse(text, mode="eval").body
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.keywords:
            name, arguments = call.func.id, [ast.literal_eval(one) for one in call.args]
    except (SyntaxError, ValueError, TypeError):
        pass
    known = name in REDUCTIONS and len(arguments) == (name != "abs")
    if not known:
        raise AttributionError(f"reduce is one of 'sum(axis)', 'mean(axis)', 'norm(axis)', 'abs()', or None; got {text!r}")
    return name, arguments
