"""Groups of features for methods that take them away together: tiles of a grid, and the superpixels of images."""

from typing import Any

import numpy as np

from ..common.checks import is_whole, number, whole
from ..common.errors import AttributionError, missing_extra
from ..selection.inputs import as_array


def tiles(shape: tuple[int, ...], size: int | tuple[int, ...]) -> np.ndarray:
    """Groups that are the tiles of a grid over one example, such as squares of an image or windows of a signal.

    Args:
        shape: of the positions of one example: (height, width) or (length,).
        size: of a tile along every axis, or one for each; the last tiles may be smaller.

    Returns:
        Whole numbers of that shape, for `groups=`.
    """
    axes = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    each = tuple(size) if isinstance(size, tuple | list) else (size,) * len(axes)
    if len(each) != len(axes) or not all(is_whole(one, 1) for one in (*axes, *each)):
        raise AttributionError(
            "ta.tiles(shape, size) takes the shape of one example's positions, such as (28, 28), and a size of at least 1 for "
            f"every axis or for each; got {shape!r} and {size!r}"
        )
    found = np.zeros(axes, int)
    for axis, (length, one) in enumerate(zip(axes, each, strict=True)):
        places = np.arange(length) // one
        found = found * (places[-1] + 1) + places.reshape([-1 if a == axis else 1 for a in range(len(axes))])
    return found


def superpixels(images: Any, n: int = 50, compactness: float = 10.0) -> np.ndarray:
    """Groups that are the superpixels of each image, regions of like colour (SLIC, Achanta et al. 2012,
    10.1109/TPAMI.2012.120).

    Args:
        images: (n, height, width, channels), of any range.
        n: about how many for each image.
        compactness: how much nearness counts against likeness of colour, of values that are scaled to 0 to 1.

    Returns:
        Whole numbers (n, height, width), for `groups=`.

    Raises:
        MissingExtra: scikit-image is not installed.
    """
    array = as_array(images, "images")
    if array.ndim != 4 or array.dtype.kind not in "iuf":
        raise AttributionError(
            f"ta.superpixels(images) takes images (n, height, width, channels), got {array.dtype} {array.shape}"
        )
    whole("n", n)
    number("compactness", compactness, above=0)
    try:
        from skimage.segmentation import slic
    except ImportError:
        raise missing_extra("scikit-image", "superpixels", "ta.superpixels") from None
    found = []
    for image in array.astype(float):
        low, high = image.min(), image.max()
        scaled = (image - low) / (high - low) if high > low else image * 0
        found.append(slic(scaled, n_segments=n, compactness=compactness, channel_axis=-1, start_label=0))
    return np.stack(found)
