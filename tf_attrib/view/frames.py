"""The frames of a video, or the slices of a volume, side by side."""

import dataclasses

import numpy as np

from . import captions, colour, draw
from .along_path import NARROWEST, pick_steps, strip_panel
from .image import Picture, diverging
from .parts import Part
from .pixels import flat, per_pixel, to_display


def frame_panels(part: Part) -> list[draw.Panel]:
    """The inputs' frames, where there are such, and their maps, all on one scale: at most `columns` of them, evenly spaced.

    Frames are axis 1 of the attributions, (batch, frames, height, width), or with 1 or 3 channels behind.
    """
    values, options = part.values, part.options
    chosen = pick_steps(len(values), options.columns)
    across = max(1, min(len(chosen), int(options.width / NARROWEST)))
    shape = options.width / across * values.shape[1] / values.shape[2]
    labels = [f"frame {number}" for number in chosen]
    panels = []
    if part.given is not None:
        shown = [to_display(part.given[number], part.value_range) for number in chosen]
        about = list(dict.fromkeys(sentence for _, sentences in shown for sentence in sentences))
        panels.append(strip_panel("frames", [Picture(pixels, ()) for pixels, _ in shown], about, labels, across, shape))
    clip = None if options.common_scale else options.clip
    tall = diverging(_tall(values), sign=options.sign, clip=clip, limit=_limit(part), unit=part.unit, kind=part.result.kind)
    pixels = tall.pixels.reshape(*values.shape[:3], 3)
    about = [*tall.caption, *_which(part, chosen), *(["All examples are on one scale."] if options.common_scale else [])]
    panels.append(strip_panel("attribution alone", [Picture(pixels[one], ()) for one in chosen], about, labels, across, shape))
    first = f"{captions.title(part.result, part.example, part.name)}\n{panels[0].title}"
    return [dataclasses.replace(panels[0], title=first), *panels[1:]]


def _tall(frames: np.ndarray) -> np.ndarray:
    """Frames (frames, height, width, ...) as one tall picture, so that scale and clipping are those of all of them."""
    return frames.reshape(-1, *frames.shape[2:])


def _limit(part: Part) -> float | None:
    """The magnitude in full colour of all examples that are drawn, where they have one scale."""
    options, kind = part.options, part.result.kind
    if not options.common_scale:
        return None
    maps = [per_pixel(_tall(part.block.values[index]), kind).values for index in part.drawn]
    return max(colour.limit_of(values, options.clip, options.sign, kind) for values in maps)


def _which(part: Part, chosen: np.ndarray) -> list[str]:
    """Which axis frames are, that they are on one scale, and what those that are not drawn carry."""
    count, own = len(part.values), " of the layer, which may have fewer than the input," if part.result.place == "layer" else ""
    axis = f"Frames{own} are axis 1 of {part.block.values.shape}; all are on one scale."
    if len(chosen) == count:
        return [axis]
    sizes = np.array([np.abs(colour.finite(flat(frame, part.result.kind)[0])).sum() for frame in part.values])
    share = 1 - sizes[chosen].sum() / max(sizes.sum(), np.finfo(float).tiny)
    carried = f"the others carry {captions.percent(share)} of the attribution by magnitude."
    return [axis, f"{len(chosen)} of {count} frames are drawn; {carried}"]
