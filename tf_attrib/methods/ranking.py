"""Segments of an image in the order of their attribution per pixel, as XRAI ranks them. NumPy and SciPy alone."""

import dataclasses
from typing import Any

import numpy as np
import scipy.ndimage


@dataclasses.dataclass(frozen=True, eq=False)
class Ranked:
    """The regions of one image.

    Attributes:
        labels: int (height, width), the rank of each pixel's region from 1; 0 everywhere where attributions are not finite.
        values: (k,), the mean attribution of the pixels of each region.
        areas, totals: (k,), the part of the image that the first regions cover, and the sum of their attributions.
    """

    labels: np.ndarray
    values: np.ndarray
    areas: np.ndarray
    totals: np.ndarray


def masks_of(maps: list[np.ndarray], dilation: int) -> np.ndarray:
    """bool (segments, height, width), one mask for each segment of each label map, widened by a disk of `dilation` pixels."""
    masks = []
    for labels in maps:
        numbers = np.unique(labels, return_inverse=True)[1].reshape(labels.shape) + 1
        for number, place in enumerate(scipy.ndimage.find_objects(numbers), 1):
            # no pixel beyond its box and the disk around that is reached
            around = tuple(slice(max(one.start - dilation, 0), one.stop + dilation) for one in place)
            mask, own = np.zeros(labels.shape, bool), numbers[around] == number
            mask[around] = np.asarray(scipy.ndimage.distance_transform_edt(~own)) <= dilation if dilation else own
            masks.append(mask)
    return np.stack(masks)


def ranked(values: np.ndarray, masks: np.ndarray, fewest: int) -> Ranked:
    """Regions by the greedy rule: the segment whose new pixels have the highest mean comes next.

    Args:
        values: float64 (height, width), the attribution of each pixel.
        masks: bool (segments, height, width), which may overlap.
        fewest: a segment that adds fewer new pixels is passed over for good. Pixels that are left belong to one last region.
    """
    flat, open_masks = values.ravel(), masks.reshape(len(masks), -1).copy()
    if not np.isfinite(flat).all():
        return Ranked(np.zeros(values.shape, int), *np.zeros((3, 0)))
    counts, sums = open_masks.sum(1), open_masks @ flat
    free, parts = np.ones(len(flat), bool), []
    while (able := counts >= fewest).any():
        means = np.where(able, sums / np.maximum(counts, 1), -np.inf)
        best = int(means.argmax())
        new = np.flatnonzero(open_masks[best])
        parts.append((flat[new].mean(), new))
        inside = open_masks[:, new]
        counts, sums = counts - inside.sum(1), sums - inside @ flat[new]
        open_masks[:, new] = False
        free[new] = False
    # a segment that came late, once others had taken its pixels, may have more for each than one before it
    parts.sort(key=lambda part: -part[0])
    if free.any():
        parts.append((flat[free].mean(), np.flatnonzero(free)))
    labels = np.zeros(len(flat), int)
    for number, (_, pixels) in enumerate(parts, 1):
        labels[pixels] = number
    sizes, totals = np.array([len(pixels) for _, pixels in parts]), np.array([flat[pixels].sum() for _, pixels in parts])
    return Ranked(
        labels.reshape(values.shape), np.array([mean for mean, _ in parts]), sizes.cumsum() / len(flat), totals.cumsum()
    )


def stacked(images: list[Ranked]) -> dict[str, Any]:
    """The fields of a result: regions that an image has not are NaN."""
    most = max((len(one.values) for one in images), default=0)

    def padded(name: str) -> np.ndarray:
        found = np.full((len(images), most), np.nan)
        for row, one in zip(found, images, strict=True):
            row[: len(one.values)] = getattr(one, name)
        return found

    return {"regions": np.stack([one.labels for one in images])} | {
        f"region_{name}": padded(name) for name in ("values", "areas", "totals")
    }
