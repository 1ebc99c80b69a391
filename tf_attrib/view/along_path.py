"""Along the path from baseline to input: the saturation plot, and strips of pictures."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.integrate import cumulative_trapezoid

from ..common.errors import AttributionError, nearest
from ..common.nested import flatten
from ..common.types import present
from ..result.result import Result
from . import captions, colour, draw
from .image import Picture, clip_words, diverging
from .kinds import Block, blocks, has_steps
from .pixels import flat, infer_range, to_display

SCORE, GRADIENT = "#1f3f8f", "#c2690a"  # two axes, two colours, neither of them green or red
SCALES = ("each", "common")
NARROWEST = 0.95  # inches of a picture in a strip, so that what is written above and beneath it does not run into the next


def gradient_magnitude(result: Result, example: int) -> tuple[np.ndarray, str] | None:
    """The size of the gradient at each alpha of one example, and its name; None where the result holds none.

    The mean magnitude over all features of the interior gradients where the result has them, else the magnitude of
    the derivative along the path.
    """
    leaves = [np.asarray(leaf) for leaf in flatten(result.attributions).values()]
    if all(has_steps(result, leaf) for leaf in leaves):
        flat = [np.abs(leaf[example]).reshape(leaf.shape[1], -1) for leaf in leaves]
        unit = captions.attribution_unit(result)
        return np.concatenate(flat, 1).mean(1), f"mean |gradient| of a feature\n({unit})"
    if result.path_gradients is not None:
        return np.abs(
            np.asarray(result.path_gradients[example])
        ), f"|derivative of the score along the path|\n({result.unit} per unit of alpha)"
    return None


def saturation(result: Result, example: int = 0) -> draw.Drawing:
    """Score (left axis) and size of the gradient (right axis) against alpha, from the baseline (0) to the input (1).

    Args:
        result: a result with `alphas` and `path_scores`: interior gradients.
        example: which example.

    Raises:
        AttributionError: where the result has no path.
    """
    panels = draw.with_caption([saturation_panel(result, example)], captions.numbers(result, example, interior=True))
    return draw.stack(panels, width=7.0)


def saturation_panel(result: Result, example: int, name: str | None = None) -> draw.Panel:
    """The saturation plot as a part of a figure. Arguments as for `saturation`; `name` begins the title."""
    if result.alphas is None or result.path_scores is None:
        raise AttributionError('a saturation plot needs the score along the path: attribute(..., method="interior_gradients")')
    alphas = np.asarray(result.alphas[example], np.float64)
    gradient = gradient_magnitude(result, example)
    caption = [
        *_peak_words(alphas, gradient),
        f"{captions.count(len(alphas), 'point')} on the path.",
        *colour.not_finite(result.path_scores[example], "score", "not drawn"),
        *([] if gradient is None else colour.not_finite(gradient[0], "gradient", "not drawn")),
    ]
    return draw.Panel(
        captions.title(result, example, name),
        tuple(caption),
        3.0,
        lambda part: _draw_saturation(part, result, example, alphas, gradient),
    )


def _peak_words(alphas: np.ndarray, gradient) -> list[str]:
    if gradient is None:
        return []
    sizes = colour.finite(gradient[0])
    peak = int(np.argmax(sizes))
    if not sizes[-1] > 0 or sizes[peak] / sizes[-1] < 1.05:
        return []
    return [
        f"The gradient is largest at alpha {captions.number(alphas[peak])}, {captions.times(sizes[peak] / sizes[-1])} that at "
        f"alpha {captions.number(alphas[-1])}."
    ]


def _draw_saturation(part, result: Result, example: int, alphas: np.ndarray, gradient) -> None:
    axes = part.subplots()
    axes.plot(alphas, present(result.path_scores)[example], color=SCORE, marker="o", markersize=3, linewidth=1.6)
    axes.set_xlabel("alpha: 0 is the baseline, 1 the input", fontsize=9)
    axes.set_ylabel(f"score ({result.unit}), line with dots", fontsize=9, color=SCORE, parse_math=False)
    axes.set_xlim(-0.02, 1.02)
    axes.tick_params(labelsize=8)
    if result.unit == "probability":
        axes.set_ylim(-0.03, 1.03)
    if gradient is None:
        return
    sizes, label = gradient
    right = axes.twinx()
    right.plot(alphas, sizes, color=GRADIENT, linestyle="--", linewidth=1.6)
    right.set_ylabel(f"{label}, dashed", fontsize=9, color=GRADIENT, parse_math=False)
    right.set_ylim(0, 1.06 * max(float(colour.finite(sizes).max()), np.finfo(float).tiny))
    right.tick_params(labelsize=8)


def pick_steps(n_steps: int, columns: int) -> np.ndarray:
    """At most `columns` of the steps, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, n_steps - 1, min(n_steps, columns)).round().astype(int))


def scaled_inputs(
    image: npt.ArrayLike, baseline: npt.ArrayLike, alphas: npt.ArrayLike, value_range: tuple[float, float] | None = None
) -> tuple[list[Picture], list[str]]:
    """The images on the path, baseline + alpha (input - baseline), all in one display range.

    Args:
        image: (h, w), (h, w, 1) or (h, w, 3).
        baseline: of the same shape, or a number.
        alphas: (n,), 0 is the baseline, 1 the input.
        value_range: values of black and white; default: inferred from image and baseline together.

    Returns:
        n pictures and the sentences about them.

    Raises:
        AttributionError: where the baseline's shape is not the image's.
    """
    image = np.asarray(image)
    full = _baseline_like(image, baseline)
    if value_range is None:
        value_range = infer_range(np.stack([image, full.astype(image.dtype)]))
    points = [full + float(alpha) * (image.astype(np.float64) - full) for alpha in np.asarray(alphas)]
    shown = [to_display(point, value_range) for point in points]
    sentences = list(dict.fromkeys(sentence for _, about in shown for sentence in about))
    return [Picture(pixels, ()) for pixels, _ in shown], sentences


def _baseline_like(image: np.ndarray, baseline) -> np.ndarray:
    baseline = np.asarray(baseline, np.float64)
    if baseline.ndim and baseline.shape != image.shape:
        raise AttributionError(
            f"the baseline of a strip is a number or of the image's shape {image.shape}; got {baseline.shape}"
        )
    return np.broadcast_to(baseline, image.shape)


def gradient_strip(
    gradients: npt.ArrayLike, scale: str = "each", unit: str = "raw", kind: str = ""
) -> tuple[list[Picture], list[str]]:
    """Interior gradients, or any maps in a row, as symmetric maps: each on its own scale, or all on one.

    Args:
        gradients: (n, h, w) or (n, h, w, channels), channels are summed.
        scale: "each" or "common".
        unit, kind: of the values, for the sentences; `kind` as in `Result`.

    Returns:
        n pictures, and the sentences that say how far the scales differ.
    """
    colour.one_of("scale", scale, SCALES)
    gradients = np.asarray(gradients)
    sums = [flat(step) for step in gradients]
    limits = np.array([colour.limit_of(values) for values, _ in sums])
    bad = colour.not_finite([values for values, _ in sums], "pixel")
    common = float(limits.max()) if scale == "common" else None
    pictures = [diverging(values, limit=common, unit=unit) for values, _ in sums]
    return pictures, [
        *sums[0][1],
        *(_scale_words(limits, scale, unit, kind) if limits.any() or not bad else []),
        *bad,
        *clip_words([values for values, _ in sums], pictures),
    ]


def _scale_words(limits: np.ndarray, scale: str, unit: str, kind: str) -> list[str]:
    largest, last = int(limits.argmax()), len(limits) - 1
    if limits[largest] == 0:
        return ["All of them are 0."]
    if scale == "common":
        faint = int((limits < limits[largest] / 20).sum())
        return [
            f"{colour.meaning(kind)}; all on one scale, full colour at ±{captions.number(limits[largest])} {unit}"
            + (f"; {faint} of {len(limits)} nowhere reach 5% of that and look gray." if faint else ".")
        ]
    sentence = f"{colour.meaning(kind)}; each on its own scale, full colour at the number beneath it ({unit})"
    if limits[last] == 0:
        return [f"{sentence}: the last is 0 everywhere."]
    weaker = limits[0] / limits[last] if limits[0] > 0 else np.inf
    if np.isfinite(weaker) and max(weaker, 1 / weaker) >= 1.05:
        sentence += (
            f": the last is {captions.times(max(weaker, 1 / weaker))} {'weaker' if weaker > 1 else 'stronger'} than the first"
        )
    smallest = limits[limits > 0].min()
    return [f"{sentence}; largest and smallest differ {captions.times(limits[largest] / smallest)}."]


def running_sum(gradients: npt.ArrayLike, alphas: npt.ArrayLike, velocity: npt.ArrayLike | None = None) -> np.ndarray:
    """The integral of the interior gradients from the first alpha up to each alpha (trapezoid), times the velocity.

    Args:
        gradients: (n, ...) at each alpha.
        alphas: (n,), increasing.
        velocity: input - baseline, of the shape of one gradient: the last of the sums is then the integrated gradients.

    Returns:
        (n, ...) float64, zero first.
    """
    sums = cumulative_trapezoid(np.asarray(gradients, np.float64), np.asarray(alphas, np.float64), axis=0, initial=0)
    return sums if velocity is None else sums * np.asarray(velocity, np.float64)


def strips(
    result: Result,
    example: int = 0,
    *,
    key: Any = None,
    baseline: npt.ArrayLike | None = None,
    columns: int = 8,
    value_range: tuple[float, float] | None = None,
) -> draw.Drawing:
    """Strips along the path: scaled inputs, interior gradients each on its own scale and on a common one, running sum.

    Args:
        result: interior gradients of images, attributions (batch, n_steps, h, w[, channels]).
        example: which example.
        key: which tensor, where there are several.
        baseline: the baseline image, or a number; without it the scaled inputs are left out, and the running sum is
            of gradients, not multiplied by (input - baseline).
        columns: how many steps to draw at most.
        value_range: values of black and white in the inputs.

    Raises:
        AttributionError: where the result holds no interior gradients of images.
    """
    found = {block.key: block for block in blocks(result)}
    if key not in found:
        raise AttributionError(f"no tensor {key!r} in the result; there are {nearest(key, found)}")
    panels = strip_panels(result, found[key], example, baseline=baseline, columns=columns, value_range=value_range)
    return draw.stack(draw.with_caption(panels, captions.numbers(result, example, interior=True)))


def strip_panels(
    result: Result,
    block: Block,
    example: int,
    *,
    baseline: npt.ArrayLike | None = None,
    columns: int = 8,
    value_range: tuple[float, float] | None = None,
    name: str | None = None,
    width: float = draw.WIDTH,
) -> list[draw.Panel]:
    """The strips of one example as parts of a figure of so many inches. Arguments as for `strips`; `name` begins the title."""
    if not has_steps(result, block.values) or block.values.ndim not in (4, 5):
        raise AttributionError(
            "strips are of interior gradients of images, (batch, n_steps, h, w[, channels]); got "
            f"{block.values.shape} from {result.method or 'this method'}: attribute(..., "
            'method="interior_gradients")'
        )
    gradients, alphas = block.values[example], np.asarray(present(result.alphas)[example], np.float64)
    steps = pick_steps(len(alphas), columns)
    unit = captions.attribution_unit(result)
    image = None if block.inputs is None else block.inputs[example]
    velocity = None if baseline is None or image is None else image - _baseline_like(image, baseline)
    rows = []
    if velocity is not None:
        rows.append(("scaled inputs", *scaled_inputs(present(image), present(baseline), alphas[steps], value_range)))
    for scale in SCALES:
        heading = "interior gradients, each on its own scale" if scale == "each" else "the same on one scale"
        rows.append((heading, *gradient_strip(gradients[steps], scale, unit, result.kind)))
    parts = (unit, result.kind) if velocity is None else (result.unit, "contribution")
    sums, about = gradient_strip(running_sum(gradients, alphas, velocity)[steps], "common", *parts)
    product = "times (input - baseline), " if velocity is not None else ""
    rows.append((f"running sum of the interior gradients, {product}from alpha {captions.number(alphas[0])}", sums, about))
    drawn = [] if len(steps) == len(alphas) else [f"{len(steps)} of {len(alphas)} steps are drawn; the sum is over all."]
    across = max(1, min(columns, int(width / NARROWEST)))
    height = width / across * block.values.shape[2] / block.values.shape[3]
    labels = [f"alpha {captions.number(alpha)}" for alpha in alphas[steps]]
    panels = [strip_panel(heading, pictures, about, labels, across, height) for heading, pictures, about in rows]
    first = dataclasses.replace(panels[0], title=f"{captions.title(result, example, name)}\n{panels[0].title}")
    return draw.with_caption([first, *panels[1:]], drawn)


def strip_panel(
    heading: str, pictures: list[Picture], about: list[str], labels: list[str], across: int, height: float
) -> draw.Panel:
    """Pictures side by side, each beneath its label, in as many rows as they take, each of `height` inches."""
    limits = [picture.limit for picture in pictures]
    own, rows = len(set(limits)) > 1, -(-len(pictures) // across)

    def paint(part):
        cells = part.subplots(rows, across, squeeze=False).ravel()
        for axes in cells[len(pictures) :]:
            axes.set_axis_off()
        for axes, picture, label in zip(cells, pictures, labels, strict=False):
            draw.draw_picture(axes, picture, label)
            if own:
                axes.text(
                    0.5,
                    -0.04,
                    f"±{captions.number(present(picture.limit))}",
                    transform=axes.transAxes,
                    ha="center",
                    va="top",
                    fontsize=8,
                )

    return draw.Panel(heading, tuple(about), rows * (height + (0.35 if own else 0.2)), paint)


def steps_panel(result: Result, block: Block, example: int, name: str | None = None) -> draw.Panel:
    """Interior gradients of anything but images as one symmetric map: alpha downwards, features across.

    Axes after the first feature axis (such as embedding dimensions) are summed.
    """
    values = block.values[example].astype(np.float64)
    sentences = []
    if values.ndim > 2:
        sizes = " × ".join(str(size) for size in values.shape[2:])
        sentences = [f"{sizes} values of each feature (embedding dimensions, pixels of a frame) are summed, with their signs."]
        values = values.reshape(*values.shape[:2], -1).sum(-1)
    values = values.reshape(len(values), -1)
    unit, alphas = captions.attribution_unit(result), present(result.alphas)[example]
    picture = diverging(values, unit=unit, kind=result.kind)

    def paint(part):
        axes = part.subplots()
        axes.imshow(picture.pixels, interpolation="nearest", aspect="auto")
        ticks = pick_steps(len(values), 6)
        axes.set_yticks(ticks, labels=[captions.number(alphas[tick]) for tick in ticks])
        axes.set_ylabel("alpha", fontsize=8)
        axes.set_xlabel("feature", fontsize=8)
        axes.tick_params(labelsize=8)
        draw.picture_bar(part, axes, picture, unit)

    return draw.Panel(captions.title(result, example, name), (*sentences, *picture.caption), 2.6, paint)
