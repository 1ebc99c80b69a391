"""Images read from files, as arrays that a model takes."""

import contextlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from .errors import AttributionError

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
# What is read of one image.
MOST_PIXELS = 100_000_000
# How many channels an image may have.
CHANNELS = (1, 3, 4)
# White, of sixteen bits a channel.
MOST_OF_SIXTEEN_BITS = 2**16 - 1
# Where EXIF data say how an image is to be turned, and that it is not.
ORIENTATION, UPRIGHT = 0x0112, 1
# What files hold that is not in the pixels a model gets. Turning and blending are left to the user, since the decoders by which
# models are trained, TensorFlow's, do neither.
DROPPED = {
    "turn": "the turn that EXIF data ask for is not made",
    "frames": "the first frame alone is read",
    "transparency": "transparency is left out, and the colours beneath it are taken",
    "colours": "colours are read as gray, since the model takes one channel",
    "proportions": "height and width are resized by different factors",
    "bits": "of sixteen bits a channel the upper eight are read",
}
# So many files are named.
NAMED = 3


def read_image(
    path: str,
    shape: tuple | None,
    value_range: tuple[float, float] = (0.0, 255.0),
    resize: bool = False,
    dropped: set[str] | None = None,
) -> np.ndarray:
    """One image as float32 (height, width, channels); (channels, height, width) for a model that takes channels first;
    (height, width), gray, for one that takes no channels.

    Args:
        path: of the file.
        shape: of one example as the model takes it, None entries for any size; None where the model does not say.
        value_range: what black and white of an image become.
        resize: bring it to the size that the model takes.
        dropped: where it is put what the file holds and the pixels do not: keys of `DROPPED`.

    Raises:
        AttributionError: it cannot be read, is of another size, or too large.
    """
    from PIL import Image  # brought by matplotlib

    size: tuple = shape or ()
    flat, first = len(size) == 2, _takes_channels_first(size)
    size = (*size[1:], size[0]) if first else size
    height, width, channels = (*size, 1) if flat else size if len(size) == 3 else (None, None, None)
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")
            wanted = None if height is None or width is None else (width, height)
            _check_size(path, image.size, wanted, resize)
            mode = "L" if channels == 1 else "RGBA" if channels == 4 else "RGB"
            if dropped is not None:
                dropped |= _dropped(image, mode)
            image = _decoded(path, image, mode)
            if wanted is not None and image.size != wanted:
                if dropped is not None and wanted[0] * image.size[1] != wanted[1] * image.size[0]:
                    dropped.add("proportions")
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
    pixels = pixels[..., None] if pixels.ndim == 2 and not flat else pixels
    return np.moveaxis(pixels, -1, 0) if first else pixels


def _takes_channels_first(shape: tuple) -> bool:
    """Whether a model of images has its channels in front: as many as an image may have there, and not at the end."""
    return len(shape) == 3 and shape[0] in CHANNELS and shape[-1] not in (*CHANNELS, None)


def dropped_words(found: Mapping[str, set[str]]) -> list[str]:
    """A sentence for each thing that was left out of some of the images, by their paths."""
    notes = []
    for key, words in DROPPED.items():
        which = [Path(path).name for path, dropped in found.items() if key in dropped]
        if which:
            more = ", ..." if len(which) > NAMED else ""
            of = f"{len(which)} of {len(found)} images" if len(found) > 1 else "the image"
            notes.append(f"{of} ({', '.join(map(repr, which[:NAMED]))}{more}): {words}")
    return notes


def _dropped(image: Any, mode: str) -> set[str]:
    """What an image holds that is lost when it is read in this mode: keys of `DROPPED`."""
    found = set()
    with contextlib.suppress(Exception):  # what is beside the pixels may be broken, and they are read all the same
        if image.getexif().get(ORIENTATION, UPRIGHT) != UPRIGHT:
            found.add("turn")
    with contextlib.suppress(Exception):
        if getattr(image, "n_frames", 1) > 1:
            found.add("frames")
    if image.mode.startswith("I") or image.mode == "F":
        return found | ({"bits"} if image.mode.startswith("I") else set())
    transparent = "a" in image.mode.lower() or "transparency" in image.info
    if mode != "RGBA" and transparent and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
        found.add("transparency")
    if mode == "L" and image.mode[0] not in "1L" and np.ptp(np.asarray(image.convert("RGB")), axis=-1).any():
        found.add("colours")
    return found


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
