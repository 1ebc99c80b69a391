"""Does the strongest attribution lie on the object?"""

from typing import Any

import numpy as np

from ..attribution import Attribution
from ..common.checks import whole
from ..common.errors import AttributionError
from ..common.nested import flatten
from ..result.channels import channels_in_front
from .metric import Metric


def pointing(result: Attribution, masks: Any, *, tolerance: int = 0) -> Metric:
    """The pointing game: whether the place of the highest attribution lies within a mask. Higher is better.

    1 where it does, else 0; the mean over examples is the accuracy. Zhang et al. 2016 (arXiv:1608.00507), who
    count as hits points within 15 pixels of the object, and take the mean over classes of each class's accuracy. Of several
    highest places, the share that lies within.

    Args:
        result: an attribution of one tensor; axes that `masks` lack, such as colours, are summed over.
        masks: (n, ...), not zero where the object is: (n, height, width) of an image, (n, length) of tokens.
        tolerance: how many places off the mask still count, along each axis: a square around the point. TorchRay (its
            benchmark/pointing_game.py at commit 6a198ee) takes a disc, of places nearer than its `tolerance`, which is smaller.

    Returns:
        A `Metric`: `values` (n,), between 0 and 1; NaN where a mask is empty, or an attribution not finite. `settings` says
            what chance would give.

    Raises:
        AttributionError: several tensors, or masks of another shape.
    """
    if not isinstance(result, Attribution):
        raise AttributionError("pointing is of a result: pointing(attributor.attribute(inputs), masks)")
    leaves = flatten(result.attributions)
    if len(leaves) > 1:
        raise AttributionError(f"pointing is of one tensor, these are {list(leaves)}: at=ta.inputs(name)")
    whole("tolerance", tolerance, least=0)
    (leaf,) = leaves.values()
    leaf, masks = np.asarray(leaf, np.float64), np.asarray(masks)
    if masks.dtype.kind not in "biuf" or not np.isfinite(masks).all():
        raise AttributionError(f"masks are finite numbers or truth values, not zero where the object is; got {masks.dtype}")
    if masks.ndim < 2 or leaf.shape[: masks.ndim] != masks.shape:
        raise AttributionError(f"masks must be of shape {_wanted(result, leaf.shape)}; got {masks.shape}")
    values = leaf.sum(tuple(range(masks.ndim, leaf.ndim)))
    within = _widened(masks != 0, tolerance).reshape(len(masks), -1)
    values = values.reshape(len(values), -1)
    highest = (values == values.max(1, keepdims=True)) & np.isfinite(values).all(1, keepdims=True)
    found = np.divide(
        (highest & within).sum(1), highest.sum(1), out=np.full(len(values), np.nan), where=within.any(1) & highest.any(1)
    )
    settings = f"tolerance {tolerance}; a random place would hit {within[within.any(1)].mean():.3g}" if within.any() else ""
    return Metric("pointing game", found, result.method, "share of hits", "higher", settings)


def _wanted(result: Attribution, shape: tuple[int, ...]) -> str:
    """Which masks attributions of this shape take."""
    without = f"{shape[:-1] if len(shape) > 2 else shape}, as the attributions {shape} without channels"
    if channels_in_front(shape):
        return f"{without}; where channels come first, pointing(result.sum(1), masks) with masks {(len(result), *shape[2:])}"
    if result.kind == "map":
        return f"{shape}, the positions of {result.at or 'the layer'}: bring those of images to them"
    return without if len(shape) != 3 else f"{without}, or where they have none {shape}"


def _widened(masks: np.ndarray, tolerance: int) -> np.ndarray:
    """Masks with every place that is at most `tolerance` off along each axis."""
    from scipy.ndimage import maximum_filter

    return masks if tolerance == 0 else maximum_filter(masks, (1, *[2 * tolerance + 1] * (masks.ndim - 1)), mode="constant")
