"""Which features carry a stated share of the attribution, and the outlines of the regions that they form."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ..common.checks import is_whole
from ..common.errors import AttributionError


def threshold(values: npt.ArrayLike, share: float) -> float:
    """The largest t such that the features of magnitude >= t carry at least `share` of the total magnitude.

    A percentile of the total attribution, not of the values: with share 0.9, the features at or above t account for
    90% of the sum of magnitudes, however few they are. (So does the visualisation library of the authors of
    "Axiomatic Attribution for Deep Networks".)

    Args:
        values: array of any shape, finite.
        share: 0 to 1.

    Returns:
        t; infinity for share 0, and 0.0 where all values are zero.
    """
    magnitudes = np.sort(np.abs(np.asarray(values, np.float64)), axis=None)[::-1]
    carried = np.cumsum(magnitudes)
    if share <= 0:
        return np.inf
    if not carried.size or carried[-1] == 0:
        return 0.0
    # the slack is for rounding in the sum: 0.3 of (3, 7) must not ask for more than the 3 can give
    place = int(np.searchsorted(carried, share * carried[-1] * (1 - 1e-12)))
    return float(magnitudes[min(place, magnitudes.size - 1)])


def strongest(values: npt.ArrayLike, share: float) -> np.ndarray:
    """Boolean mask of the features that carry at least `share` of the total magnitude: the fewest, equal ones alike.

    Zeros are in it for share 1 only (all features are then).
    """
    values = np.asarray(values)
    if share >= 1:
        return np.ones(values.shape, bool)
    magnitudes = np.abs(values.astype(np.float64))
    return (magnitudes >= threshold(values, share)) & (magnitudes > 0)


def clean_up(mask: np.ndarray, size: int) -> np.ndarray:
    """A boolean mask (h, w) after closing (fills holes) and opening (removes specks) with a size × size square.

    Raises:
        AttributionError: for a mask that is not two-dimensional, or a square of one pixel, or wider than the mask.
    """
    if mask.ndim != 2 or not is_whole(size, 2, min(mask.shape)):
        raise AttributionError(
            "clean-up works on two-dimensional maps with a square of 2 or more pixels a side that fits in; got shape "
            f"{mask.shape} and {size!r}"
        )
    square = np.ones((size, size), bool)
    # padded, since SciPy's erosion would otherwise eat what touches the border
    closed = ndimage.binary_closing(np.pad(mask, size), square)[size:-size, size:-size]
    return ndimage.binary_opening(closed, square)


def regions(values: npt.ArrayLike, share: float, clean: int = 0) -> np.ndarray:
    """The smallest set of pixels, by threshold on the magnitude, that carries at least `share` of the attribution.

    With `clean`, the threshold is lowered until the cleaned set still carries the share. Where even all pixels do not
    (specks are removed), it is the largest that clean-up gives: `share_of` tells.

    Args:
        values: (h, w), signed; magnitudes count.
        share: 0 to 1, of the sum of magnitudes.
        clean: side of the clean-up square in pixels, 0 for none.

    Returns:
        Boolean mask (h, w).
    """
    magnitudes = np.abs(np.asarray(values, np.float64))
    if not clean or share <= 0:
        return strongest(magnitudes, share) & (magnitudes > 0)
    levels = np.unique(magnitudes[magnitudes > 0])
    if not levels.size:
        return np.zeros(magnitudes.shape, bool)
    # closing and opening are increasing operators, so the share grows as the level falls: bisection is exact
    low, high = 0, levels.size - 1
    while low < high:
        middle = (low + high + 1) // 2
        enough = share_of(magnitudes, clean_up(magnitudes >= levels[middle], clean)) >= share * (1 - 1e-12)
        low, high = (middle, high) if enough else (low, middle - 1)
    return clean_up(magnitudes >= levels[low], clean)


def share_of(values: npt.ArrayLike, mask: np.ndarray) -> float:
    """The part of the sum of magnitudes that lies within a mask; 0 where all values are zero."""
    magnitudes = np.abs(np.asarray(values, np.float64))
    return float(magnitudes[mask].sum() / max(magnitudes.sum(), np.finfo(float).tiny))


def outline(mask: np.ndarray) -> np.ndarray:
    """The border of a mask (h, w) as line segments (n, 2, 2) of (x, y) along the edges of its pixels.

    Coordinates are matplotlib's for pictures: pixel (row, column) covers column ± 0.5 and row ± 0.5.
    """
    padded = np.pad(mask, 1)
    rows, columns = np.nonzero(padded[1:, 1:-1] != padded[:-1, 1:-1])
    across = np.stack([np.stack([columns - 0.5, rows - 0.5], -1), np.stack([columns + 0.5, rows - 0.5], -1)], 1)
    rows, columns = np.nonzero(padded[1:-1, 1:] != padded[1:-1, :-1])
    down = np.stack([np.stack([columns - 0.5, rows - 0.5], -1), np.stack([columns - 0.5, rows + 0.5], -1)], 1)
    return np.concatenate([across, down])
