"""Groups of features for methods that take them away together: tiles of a grid, and the superpixels of images."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..common.checks import is_whole, number, whole
from ..common.errors import AttributionError, missing_extra
from ..selection.inputs import as_array

# At which scales an image is segmented, at how many pixels a side, and of how many pixels a segment is at least.
SCALES, SIDE, SMALLEST = (50, 100, 150, 250, 500, 1200), 224, 150


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
    if array.ndim != 4 or array.dtype.kind not in "iuf" or not array.size:
        raise AttributionError(
            f"ta.superpixels(images) takes images (n, height, width, channels), got {array.dtype} {array.shape}"
        )
    whole("n", n)
    number("compactness", compactness, above=0)
    try:
        from skimage.segmentation import slic
    except ImportError:
        raise missing_extra("scikit-image", "superpixels", "ta.superpixels") from None
    found = [
        slic(_scaled(image), n_segments=n, compactness=compactness, channel_axis=-1, start_label=0)
        for image in array.astype(float)
    ]
    return np.stack(found)


def felzenszwalb() -> Callable[..., Any]:
    """That of scikit-image.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        from skimage.segmentation import felzenszwalb
    except ImportError:
        raise missing_extra("scikit-image", "superpixels", "ta.XRAI without segments=") from None
    return felzenszwalb


def at_scales(image: np.ndarray) -> list[np.ndarray]:
    """Segments of an image (height, width, channels) at each of `SCALES` as label maps (height, width), where it is scaled to
    224 x 224 pixels of -1 to 1: what the scales were chosen for (Kapishnikov et al. 2019, arXiv:1906.02825)."""
    segmented = felzenszwalb()
    from skimage.transform import resize

    exact = {"preserve_range": True, "mode": "constant"}
    square = resize(2 * _scaled(image.astype(float)) - 1, (SIDE, SIDE), order=3, anti_aliasing=True, **exact)
    maps = [segmented(square, scale=scale, sigma=0.8, min_size=SMALLEST) for scale in SCALES]
    return [np.asarray(resize(labels, image.shape[:2], order=0, anti_aliasing=False, **exact)).astype(int) for labels in maps]


def _scaled(image: np.ndarray) -> np.ndarray:
    """Its values from 0 to 1; zeros where all are the same."""
    low, high = image.min(), image.max()
    return (image - low) / (high - low) if high > low else image * 0
