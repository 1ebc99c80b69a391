"""The picture that an image's `visualization` asks for, in place of numbers."""

import base64

import numpy as np

from .metadata import Domain, InputMetadata, Visualization


def pictured(image: np.ndarray, values: np.ndarray, metadata: InputMetadata, xrai: bool) -> dict[str, str]:
    """{"b64_jpeg": ...}, a JPEG.

    Args:
        image: (height, width) or (height, width, channels), the model's input.
        values: attributions in the shape of the image, or (height, width).
        metadata: with a visualization.
        xrai: whether they are of regions, which are coloured and not outlined.
    """
    from ..view.highlight import highlight, jpeg

    how = metadata.visualization or Visualization()
    shown, value_range = _as_taken(image, metadata.domain)
    drawn = highlight(
        shown,
        values.sum(-1) if values.ndim == 3 else values,
        areas=how.type == "OUTLINES" and not xrai,
        sign=how.polarity.lower(),
        scheme=(how.color_map or ("VIRIDIS" if xrai else "PINK_GREEN")).lower(),
        percentiles=(how.clip_percent_lowerbound, how.clip_percent_upperbound),
        beneath=how.overlay_type.lower(),
        value_range=value_range,
    )
    return {"b64_jpeg": base64.b64encode(jpeg(drawn)).decode("ascii")}


def _as_taken(image: np.ndarray, domain: Domain | None) -> tuple[np.ndarray, tuple[float, float] | None]:
    """The image before it was normalised, as far as that is known, and its black and white."""
    if domain is None:
        return image, None
    shown = image
    if domain.original_stddev is not None or domain.original_mean is not None:
        scale = 1.0 if domain.original_stddev is None else domain.original_stddev
        shown = image * scale + (domain.original_mean or 0.0)
    known = domain.min_value is not None and domain.max_value is not None
    return shown, (domain.min_value, domain.max_value) if known else None  # pyright: ignore[reportReturnType] (both are known)
