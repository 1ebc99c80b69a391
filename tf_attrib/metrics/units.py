"""What is taken away at once: single features, pixels with all their channels, square patches, tokens, columns of a table."""

import dataclasses
import math

import numpy as np

from ..common.checks import is_whole
from ..common.errors import AttributionError
from ..selection.channels_last import check_channels_last
from .examples import Examples

UNITS = ("features", "pixels", "patches", "tokens", "columns")


@dataclasses.dataclass(frozen=True, eq=False)
class Units:
    """A division of the features into parts that are taken away whole.

    Attributes:
        labels: int (features,), the part that each feature belongs to, over all selected tensors.
        count: how many parts there are.
        words: what they are, for people, such as "pixels".
    """

    labels: np.ndarray
    count: int
    words: str

    def summed(self, values: np.ndarray) -> np.ndarray:
        """(n, parts), the sums of (n, features) over each part."""
        if self.count == values.shape[1]:
            return values
        order = np.argsort(self.labels, kind="stable")
        starts = np.searchsorted(self.labels[order], np.arange(self.count))
        return np.add.reduceat(values[:, order], starts, axis=1)

    @property
    def sizes(self) -> np.ndarray:
        """int (parts,), how many features each part has."""
        return np.bincount(self.labels, minlength=self.count)

    def spread(self, parts: np.ndarray) -> np.ndarray:
        """(rows, features), for each feature what its part has in (rows, parts)."""
        return parts if self.count == len(self.labels) else parts[:, self.labels]


def units_of(case: Examples, units: str | None = None, patch: int | tuple[int, ...] | None = None) -> Units:
    """The parts of the examples of `case`.

    Args:
        units: "features", "pixels" (with all channels), "patches", "tokens" (with all embedding dimensions, or the channels of
            a time step), "columns" (a column with all that it is encoded to); default: columns where some are encoded, tokens
            for embeddings, pixels where the last axis holds channels, else features.
        patch: side of a patch in pixels, or one for each axis; the patches at the far edges may be smaller.

    Raises:
        AttributionError: units that these examples do not have.
    """
    if units is None:
        units = "patches" if patch is not None else None
    if units is not None and units not in UNITS:
        raise AttributionError(f"units must be one of {', '.join(map(repr, UNITS))}, got {units!r}")
    if (patch is None) == (units == "patches"):
        raise AttributionError(
            "units='patches' needs patch=, the side of a patch in pixels, such as patch=4; other units take none"
        )
    if units == "columns" or (units is None and case.kind == "encoded"):
        return _of_columns(case)
    if units != "features":
        check_channels_last(f"units={units or 'pixels'!r} (beside units='features')", case.session.function)
    parts, names, start = [], [], 0
    for key, value in case.x.items():
        labels, name = _of_one(value.shape[1:], units, patch, case.kind, key)
        parts.append(labels.ravel() + start)
        start += int(labels.max()) + 1
        names.append(name)
    return Units(np.concatenate(parts), start, " and ".join(dict.fromkeys(names)))


def _of_columns(case: Examples) -> Units:
    """A part for each column that is encoded, with all its tensors, for each token of text, and for each other feature."""
    parts, known, start = [], {}, 0
    for key, value in case.x.items():
        places, column = (math.prod(value.shape[1:-1]) if value.ndim > 2 else 1), case.encodes.get(key)
        if column is None and value.ndim > 2:
            raise AttributionError(
                f"examples of shape {value.shape[1:]} are no columns: units={'tokens' if value.ndim == 3 else 'pixels'!r}"
            )
        if column is None:
            labels = np.arange(math.prod(value.shape[1:])) + start
        else:
            first = known.setdefault(column, start) if places == 1 else start
            labels = np.repeat(np.arange(places) + first, math.prod(value.shape[1:]) // places)
        start = max(start, int(labels.max()) + 1)
        parts.append(labels)
    return Units(np.concatenate(parts), start, "columns")


def _of_one(shape: tuple, units: str | None, patch, kind: str, key) -> tuple[np.ndarray, str]:
    """Labels of the shape of one example, and what the parts are called."""
    named = "" if key is None else f" of {key!r}"
    places = shape[:-1] if len(shape) > 1 else shape
    default = "features" if len(shape) < 2 else "tokens" if len(shape) == 2 else "pixels"
    units = default if units is None else units
    if len(shape) < {"features": 1, "pixels": 3}.get(units, 2):
        raise AttributionError(f"examples{named} of shape {shape} have no {units}: units={default!r}")
    if units == "tokens" and len(shape) > 2:
        raise AttributionError(f"examples{named} of shape {shape} have no tokens: units='pixels' or 'patches'")
    if units == "features":
        return np.arange(math.prod(shape)).reshape(shape), "features"
    grid, words = np.arange(math.prod(places)).reshape(places), units
    if units == "tokens" and kind != "embeddings":
        words = "time steps"
    if units == "patches":
        grid, words = _patches(places, patch)
    return np.broadcast_to(grid[..., None], shape), words


def _patches(places: tuple, patch) -> tuple[np.ndarray, str]:
    sides = tuple(patch) if isinstance(patch, tuple | list) else (patch,) * len(places)
    if len(sides) != len(places) or not all(is_whole(side, 1, size) for side, size in zip(sides, places, strict=True)):
        raise AttributionError(f"patch must be a whole number, or {len(places)} of them, from 1 to {places}; got {patch!r}")
    index = [np.arange(size) // side for size, side in zip(places, sides, strict=True)]
    steps = [int(along[-1]) + 1 for along in index]
    grid = np.zeros(places, int)
    for axis, along in enumerate(index):
        grid = grid * steps[axis] + along.reshape([-1 if a == axis else 1 for a in range(len(places))])
    return grid, f"patches of {' × '.join(map(str, sides))}"
