"""Images read from files, as arrays that a model takes."""

import warnings
from typing import Any, NoReturn

import numpy as np

from .errors import AttributionError

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
# What is read of one image.
MOST_PIXELS = 100_000_000
# White, of sixteen bits a channel.
MOST_OF_SIXTEEN_BITS = 2**16 - 1


def read_image(
    path: str, shape: tuple | None, value_range: tuple[float, float] = (0.0, 255.0), resize: bool = False
) -> np.ndarray:
    """One image as float32 (height, width, channels); (height, width), gray, for a model that takes no channels.

    Args:
        path: of the file.
        shape: of one example as the model takes it, None entries for any size; None where the model does not say.
        value_range: what black and white of an image become.
        resize: bring it to the size that the model takes.

    Raises:
        AttributionError: it cannot be read, is of another size, or too large.
    """
    from PIL import Image  # brought by matplotlib

    size = shape or ()
    flat = len(size) == 2
    height, width, channels = (*size, 1) if flat else size if len(size) == 3 else (None, None, None)
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")
            wanted = None if height is None or width is None else (width, height)
            _check_size(path, image.size, wanted, resize)
            image = _decoded(path, image, "L" if channels == 1 else "RGBA" if channels == 4 else "RGB")
            if wanted is not None and image.size != wanted:
                image = image.resize(wanted, Image.Resampling.BILINEAR)
            pixels = np.asarray(image, np.float32)
    except Image.DecompressionBombError as error:
        raise AttributionError(f"{path!r} has more pixels than are read, {MOST_PIXELS:,}: scale it down first") from error
    except AttributionError:
        raise
    except Exception as error:  # decoders raise what they like
        raise AttributionError(f"{path!r} is not a readable image: {error}") from error
    low, high = value_range
    pixels = low + pixels / 255 * (high - low)
    return pixels[..., None] if pixels.ndim == 2 and not flat else pixels


def _decoded(path: str, image: Any, mode: str) -> Any:
    """An image in eight bits a channel; of sixteen, which a conversion would clip at 255, the upper ones."""
    from PIL import Image

    if image.mode.startswith("I"):
        pixels = np.asarray(image).astype(np.int64)
        if pixels.min() < 0 or pixels.max() > MOST_OF_SIXTEEN_BITS:
            _refuse_numbers(path, f"whole numbers from {pixels.min()} to {pixels.max()}")
        image = Image.fromarray((pixels >> 8).astype(np.uint8))
    elif image.mode == "F":
        _refuse_numbers(path, "floating-point numbers")
    return image.convert(mode)


def _refuse_numbers(path: str, what: str) -> NoReturn:
    raise AttributionError(
        f"{path!r} holds {what}, and what black and white are among them is not known: read it yourself, scale it as the model "
        "takes it, and give an array (.npy)"
    )


def _check_size(path: str, size: tuple[int, int], wanted: tuple[int, int] | None, resize: bool) -> None:
    """Fails before anything is decoded."""
    if wanted is not None and size != wanted and not resize:
        raise AttributionError(
            f"{path!r} is {size[0]}×{size[1]} pixels and the model takes {wanted[0]}×{wanted[1]}: resize "
            "it, or let it be resized with --resize"
        )
    if size[0] * size[1] > MOST_PIXELS:
        raise AttributionError(f"{path!r} is {size[0]}×{size[1]} pixels, and at most {MOST_PIXELS:,} are read: make it smaller")
