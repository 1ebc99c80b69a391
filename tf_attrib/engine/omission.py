"""Examples that hold NaN or infinity, left out before anything is computed and put back, marked, into the result. The others
are computed as if the call had been made without them."""

import dataclasses
from typing import Any

import numpy as np

from ..common.nested import map_leaves, rebuild
from ..result.result import PER_EXAMPLE, AnyResult
from ..selection.each_position import EachPosition
from .integral.refined import NOT_FINITE


@dataclasses.dataclass(frozen=True, eq=False)
class Omitted:
    """What of a call was left out.

    Attributes:
        good: bool (n,), which entries of the result were computed.
        arrays: the inputs of all n entries, by the user's keys.
        target: (n, r) where it is known without a prediction, else None.
        placed: the example and the position of each entry, where outputs at several positions are explained.
    """

    good: np.ndarray
    arrays: dict
    target: np.ndarray | None
    placed: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def at_positions(self, positions: np.ndarray) -> "Omitted":
        """The same with an entry for each example and each of `positions`, as `positions.expanded` orders them."""
        example = np.repeat(np.arange(len(self.good)), len(positions))
        return Omitted(
            self.good[example],
            {key: value[example] for key, value in self.arrays.items()},
            None,
            {"example": example, "position": np.tile(positions, len(self.good))},
        )


def finite_rows(arrays: dict[Any, np.ndarray]) -> np.ndarray | None:
    """(n,), which examples are finite in all float arrays; None where the arrays are no batch of n examples."""
    if len({value.shape[:1] for value in arrays.values()}) != 1 or not all(value.ndim for value in arrays.values()):
        return None
    good = np.ones(len(next(iter(arrays.values()))), bool)
    for value in arrays.values():
        if value.dtype.kind == "f":
            good &= np.isfinite(value).reshape(len(value), -1).all(1)
    return good


def finite(arrays: dict[Any, np.ndarray]) -> dict[Any, np.ndarray]:
    """The same arrays with 0 in place of what is not finite."""
    return {
        key: np.where(np.isfinite(value), value, np.zeros((), value.dtype)) if value.dtype.kind == "f" else value
        for key, value in arrays.items()
    }


def filled(some: dict[Any, np.ndarray], which: np.ndarray, count: int) -> dict[Any, np.ndarray]:
    """Of `count` examples, the rows of `some` for those at `which`, and the first of them for the others."""
    rows = np.zeros(count, int)
    rows[which] = np.arange(len(which))
    return {key: value[rows] for key, value in some.items()}


def only(target: Any, which: np.ndarray) -> Any:
    """`ta.each_position()` of some of the examples, where it says something of each."""
    if not isinstance(target, EachPosition) or np.ndim(target.classes) != 2:
        return target
    return dataclasses.replace(target, classes=np.asarray(target.classes)[which])


def put_back(result: AnyResult, omitted: Omitted) -> AnyResult:
    """The result of all entries: those left out have NaN for every number, 0 evaluations, a target of -1 where it would have
    been predicted, and the status "not_finite"."""
    good = omitted.good
    if not good.any():
        result = result[np.zeros(0, int)]  # what was computed stands for none of them

    def wide(value: np.ndarray, fill: Any) -> np.ndarray:
        found = np.full((len(good), *value.shape[1:]), fill, value.dtype)
        found[good] = value
        return found

    fills = {"f": np.nan, "i": 0, "u": 0, "b": False, "U": "", "O": ""}
    found = {
        name: wide(value, -1 if name in ("target", "predicted", "top_classes") else fills[value.dtype.kind])
        for name in PER_EXAMPLE
        if (value := getattr(result, name)) is not None
    }
    if result.target is not None and omitted.target is not None:
        found["target"] = omitted.target[:, 0] if omitted.target.shape[1] == 1 else omitted.target
    status = np.full(len(good), NOT_FINITE, "U15")
    status[good] = "" if result.status is None else result.status
    positive = None if result.positive is None else map_leaves(lambda leaf: wide(leaf, np.nan), result.positive)
    error = None if result.standard_error is None else map_leaves(lambda leaf: wide(leaf, np.nan), result.standard_error)
    attributions = map_leaves(lambda leaf: wide(leaf, np.nan), result.attributions)
    return dataclasses.replace(
        result,
        attributions=attributions,
        positive=positive,
        standard_error=error,
        inputs=rebuild({key: value.copy() for key, value in omitted.arrays.items()}),
        **found | {"status": status} | omitted.placed,
    )
