"""The strongest regions of images whose regions are ranked."""

import numpy as np

from ..common.checks import number
from ..common.errors import AttributionError
from .result import Result


def top_regions(result: Result, area: float = 0.2) -> np.ndarray:
    """Which pixels are in the regions of the highest attribution per pixel, bool (batch, height, width).

    Args:
        result: with ranked regions, as of `ta.XRAI`.
        area: the part of the image that they may cover, above 0 to 1; the first region is always there.

    Raises:
        AttributionError: regions that are not ranked, or an area that is none.
    """
    if not 0 < number("area", area) <= 1:
        raise AttributionError(f"area must be above 0 and at most 1, such as 0.2 of the image; got {area!r}")
    if result.regions is None or result.region_areas is None:
        raise AttributionError(f"{result.method or 'this result'} ranks no regions: method=ta.XRAI() does")
    counts = np.maximum((result.region_areas <= area + 1e-9).sum(1), 1)
    return (result.regions > 0) & (result.regions <= counts[:, None, None])
