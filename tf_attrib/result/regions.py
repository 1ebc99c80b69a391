"""Attributions by region of an image (or of any positions): what superpixels, tiles or segments of it are worth."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..common.errors import AttributionError
from ..common.nested import flatten
from .adding_up import are_summed, over_channels
from .channels import channels_in_front
from .result import Result


class Regions(NamedTuple):
    """The regions of one example, in the order of their labels.

    Attributes:
        labels: (k,) of int, as they stand in the label map.
        values: (k,), the sum of the attributions of each (or their mean, where they do not add up).
        sizes: (k,) of int, how many positions each has.
    """

    labels: np.ndarray
    values: np.ndarray
    sizes: np.ndarray


def by_region(result: Result, regions: npt.ArrayLike | None = None) -> list[Regions]:
    """Each example's attributions by region.

    Args:
        result: with one tensor, (batch, *positions) or (batch, *positions, channels).
        regions: a label map as `label_maps` takes it; default: those that the method took away together.

    Raises:
        AttributionError: several tensors, no regions, or some of another shape.
    """
    leaves = flatten(result.attributions)
    if len(leaves) != 1:
        raise AttributionError(f"by_region works on one tensor of attributions, not on {len(leaves)}: {list(leaves)[:8]}")
    (values,) = leaves.values()
    maps = label_maps(result, regions, np.shape(values))
    return [of_map(one, labels, result.kind) for one, labels in zip(values, maps, strict=True)]


def of_map(values: np.ndarray, labels: np.ndarray, kind: str = "") -> Regions:
    """Attributions of one example by region: their sums, or where these mean nothing their means.

    Args:
        values: (*positions), or (*positions, channels), whose channels are of one region.
        labels: whole numbers (*positions).
        kind: as in `Result`.
    """
    values = np.asarray(values, np.float64)
    if values.ndim > labels.ndim:
        values = over_channels(values, kind)
    found, numbers, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    sums = np.bincount(numbers.ravel(), values.ravel(), len(found))
    return Regions(found, sums if are_summed(kind) else sums / sizes, sizes)


def label_maps(result: Result, regions: Any, shape: tuple[int, ...]) -> np.ndarray:
    """(batch, *positions) of int, the region of each position of attributions of `shape`.

    Args:
        result: has regions of its own where its method took groups away.
        regions: whole numbers (*positions) for all examples or (batch, *positions), such as `ta.tiles`, `ta.superpixels` or a
            segmentation; None: the result's own.

    Raises:
        AttributionError: there are none, or they do not fit.
    """
    regions = result.regions if regions is None else regions
    batch, features = shape[0], tuple(shape[1:])
    positions = features[:-1] if len(features) > 2 else features
    if regions is None:
        raise AttributionError(
            "this result knows no regions: give regions=, whole numbers in the shape of an image, such as "
            f"regions=ta.superpixels(images) or regions=ta.tiles({positions or (28, 28)}, 4)"
        )
    array = np.asarray(regions)
    # of words (length, dimensions) and images (height, width) alike: all axes, or all but the last
    fitting = [one for one in (positions, features, features[:-1]) if one]
    if array.dtype.kind in "iub" and array.shape in fitting:
        return np.broadcast_to(array, (batch, *array.shape))
    if array.dtype.kind in "iub" and array.shape in [(batch, *one) for one in fitting]:
        return array
    raise AttributionError(
        f"regions must be whole numbers, {positions} for all examples or {(batch, *positions)} with one map for each; got "
        f"{array.dtype} {array.shape}"
        + ("; where channels come first, of result.sum(1)" if channels_in_front(tuple(shape)) else "")
    )
