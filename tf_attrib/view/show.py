"""Which picture suits a result: `show` and the notebook's representation."""

import dataclasses
import inspect
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ..common.checks import is_whole
from ..common.checks import number as checked
from ..common.errors import AttributionError
from ..common.types import Tokens
from ..result.adding_up import are_summed
from ..result.result import Result
from . import captions, colour, column_plots, draw, plots, position_map
from .kinds import Block, blocks, has_steps, refuse, suited
from .panels import PANELS
from .parts import Part, ShowOptions

# kinds that are drawn as another, and then given axes
BASE = {"spectrogram": "image"}
SPECTROGRAM_HEIGHT = 2.4  # inches
SHAPED = ("value_range", "width")
PICTURE = ("sign", "clip", "keep", "clean", "outlined", "common_scale")
# kind -> the options that it heeds; any other that is given raises, so that none is taken in silence
USES = {
    "image": (*PICTURE, *SHAPED),
    "overlay": (*PICTURE, *SHAPED),
    "map": (*PICTURE, "width"),
    "mask": ("sign", "keep", "clean", *SHAPED),
    "window": ("percentile", *SHAPED),
    "smooth": ("sigma", *SHAPED),
    "regions": ("regions", *SHAPED),
    "layer": (*PICTURE, *SHAPED),
    "words": ("tokens",),
    "bars": ("tokens",),
    "signal": ("style", "names", "times", "time_unit"),
    "spectrogram": (*PICTURE, "value_range", "times", "time_unit", "frequencies"),
    "table": ("k", "names"),
    "frames": ("sign", "clip", "common_scale", "columns", *SHAPED),
    "steps": ("baseline", "columns", *SHAPED),
    "saturation": ("width",),
    "positions": ("tokens", "names"),
    "waterfall": ("k", "names"),
    "scatter": ("k", "names", "feature", "colour_by"),
    "heatmap": ("k", "names"),
}


@dataclasses.dataclass(frozen=True)
class Scales:
    """What the axes of signals and spectrograms count in; see `show`, where the defaults are, too."""

    times: Sequence[float] | None
    time_unit: str
    frequencies: Sequence[float] | None


def show(
    result: Result,
    example: int | Sequence[int] | None = None,
    kind: str = "auto",
    *,
    sign: str = "both",
    clip: float | None = None,
    keep: float | None = None,
    clean: int = 0,
    outlined: float | None = None,
    value_range: tuple[float, float] | None = None,
    percentile: float = 99.0,
    common_scale: bool = False,
    style: str = "bars",
    k: int = 10,
    names: Sequence[str] | None = None,
    tokens: Tokens | None = None,
    baseline: npt.ArrayLike | None = None,
    columns: int = 8,
    limit: int = 4,
    times: Sequence[float] | None = None,
    time_unit: str = "s",
    frequencies: Sequence[float] | None = None,
    feature: str | Sequence[str] | None = None,
    colour_by: str | None = None,
    sigma: float | None = None,
    regions: npt.ArrayLike | None = None,
    width: float = draw.WIDTH,
) -> draw.Drawing:
    """A figure that suits the kind of data, with captions that state scale, unit, gap, status, and what is hidden.

    Args:
        result: any result. Several tensors give one part each (those of tables are ranked together).
        example: an index, several, or None for the first `limit` of the batch (for "scatter" and "heatmap" all).
        kind: "auto" chooses by shape. "image" (image, overlay and symmetric map in a row), "overlay", "map", "mask",
            "window", "smooth" (a map whose sum is kept, beside that of pixels), "regions" (what each is worth: what "auto"
            draws of XRAI); "layer" (a layer's coarse map, upsampled over its image: what "auto" draws of one);
            "frames" (of a video or volume, side by side, each with its map);
            "words", "bars" (one for each word); "signal" (waveforms without an axis of channels too);
            "spectrogram" (an "image" with time to the right and frequency upwards); "table" (the strongest features);
            "waterfall" (from the score at the baseline to the score, column by column), and of all examples at once "scatter"
            (attributions of columns against their values) and "heatmap" (examples by columns);
            "steps" (strips along the path) and "saturation" for interior gradients; "positions" (a map) for
            `target=ta.each_position()`.
        sign: "both", "positive" or "negative": which attributions are drawn.
        clip: share (0 to 1) of the total attribution whose strongest pixels share the full colour; default: 0.2 in images of
            64 × 64 pixels and more, none in smaller ones; the frames of a video count together.
        keep: share (0 to 1) of the total attribution that is drawn; default: all (0.9 for "mask").
        clean: side in pixels of the square for closing and opening the set of pixels drawn, 0 for none.
        outlined: outlines around the regions that carry this share (0 to 1) of the attribution.
        value_range: values of black and white in the images; default: inferred from all inputs.
        percentile: of the pixels' values, for the soft window.
        common_scale: one scale for all examples, instead of each its own.
        style: of signals, "bars" beneath or coloured "line".
        k: how many features of a table (of "scatter" six at most).
        names: of features (tables), channels (signals), or classes (positions).
        tokens: a list of words for each example.
        baseline: the baseline image or number, for the strips.
        columns: of strips and videos, how many steps or frames are drawn at most.
        limit: how many examples are drawn at most where `example` is None.
        times: of signals and spectrograms, the time of each step, increasing; default: the numbers of the steps.
        time_unit: what `times` are counted in, for the label.
        feature: of "scatter", the name of a column, or several; default: those of largest mean magnitude.
        colour_by: of "scatter", the name of a column whose value colours the dots.
        sigma: of "smooth", the Gaussian's standard deviation in pixels; default: 3% of the image's shorter side, at least 1.
        regions: of "regions", whole numbers (height, width), or (batch, height, width) with one map for each example, such as
            `ta.superpixels(images)` or `ta.tiles(shape, size)`; default: what the method itself took away together.
        width: of figures of images and of "saturation", in inches; below 6 pictures stand one beneath the other, so that what
            is 3 inches wide can be read on 300 pixels.
        frequencies: of spectrograms, the frequency of each bin in hertz, increasing; default: the numbers of the bins.

    Returns:
        A matplotlib figure, made without pyplot; a notebook shows it by itself.

    Raises:
        AttributionError: for a shape that cannot be drawn (it names what to call), an unknown kind, an option that this
            kind does not heed, an example that does not exist, times or frequencies that are not one for each step or bin.
    """
    options = ShowOptions(
        sign=sign,
        clip=clip,
        keep=keep,
        clean=clean,
        outlined=outlined,
        value_range=value_range,
        percentile=percentile,
        common_scale=common_scale,
        style=style,
        k=k,
        names=names,
        tokens=tokens,
        baseline=baseline,
        columns=columns,
        limit=limit,
        feature=feature,
        colour_by=colour_by,
        sigma=sigma,
        regions=regions,
        width=checked("width (in inches)", width, above=1),
    )
    scales = Scales(times, time_unit, frequencies)
    colour.one_of("kind", kind, ("auto", *USES))
    if kind == "positions" or (kind == "auto" and result.position is not None):
        _check_heeded({"positions"}, options, scales)
        return position_map.show_positions(result, example, tokens, names, limit)
    if kind in column_plots.KINDS:
        _check_heeded({kind}, options, scales)
        return _of_columns(result, example, kind, options)
    if kind == "auto" and result.region_values is not None:
        kind = "regions"  # what the method ranks; its pixels are another method's
    chosen, left_out = _examples(result, example, limit)
    kinds = [(block, _kind(block, kind, options)) for block in blocks(result)]
    found = _merged([(suited(block, own), own) for block, own in kinds])
    _check_heeded({own for _, own in found}, options, scales)
    _check_scales(found, scales)
    panels = []
    for number in chosen:
        panels += _example_panels(result, found, number, options, chosen, scales)
    return draw.stack(panels, left_out, options.width)


def _of_columns(result: Result, example: int | Sequence[int] | None, kind: str, options: ShowOptions) -> draw.Drawing:
    """A picture of a table by its columns."""
    if kind == "waterfall":
        chosen, left_out = _examples(result, example, options.limit)
        return draw.stack([column_plots.waterfall(result, one, options.k, options.names) for one in chosen], left_out)
    chosen, _ = _examples(result, example, max(len(result), 1))
    if kind == "heatmap":
        return column_plots.heatmap(result, chosen, options.k, options.names)
    return column_plots.scatter(result, chosen, options.feature, options.colour_by, options.k, options.names)


# The defaults have one home, where a reader sees them.
DEFAULTS = {name: parameter.default for name, parameter in inspect.signature(show).parameters.items()}


def _example_panels(result: Result, found, example: int, options: ShowOptions, chosen, scales: Scales) -> list[draw.Panel]:
    """The panels of all tensors of one example; the numbers, which are of all of them, stand beneath the last."""
    panels = []
    for group, kind in found:
        name = captions.entry_name(result, example) + _group_name(group, len(found) > 1)
        new = _in_units(PANELS[BASE.get(kind) or kind](Part(result, group, example, name, options, chosen)), kind, scales)
        new = draw.with_caption(new, [words for block in group for words in block.turned])
        if len(found) > 1 and kind not in ("steps", "saturation"):
            new = draw.with_caption(new, _share_words(result, group, example))
        panels += new
    interior = any(has_steps(result, block.values) for group, _ in found for block in group)
    return draw.with_caption(panels, captions.numbers(result, example, interior))


def _in_units(panels: list[draw.Panel], kind: str, scales: Scales) -> list[draw.Panel]:
    """The panels of signals and spectrograms with axes of time and frequency; others as they are."""
    if kind == "signal" and scales.times is not None:
        return [_then(panel, lambda part: plots.label_signal_time(part, scales.times, scales.time_unit)) for panel in panels]
    if kind != "spectrogram":
        return panels

    def turn(part):
        plots.draw_spectrogram_axes(part, scales.times, scales.frequencies, scales.time_unit)

    return [
        dataclasses.replace(
            _then(panel, turn),
            height=SPECTROGRAM_HEIGHT,
            caption=tuple(sentence.replace("image", "spectrogram") for sentence in panel.caption),
        )
        for panel in panels
    ]


def _then(panel: draw.Panel, more: Callable) -> draw.Panel:
    """The panel, with something done to it after it is drawn."""

    def both(part):
        panel.draw(part)
        more(part)

    return dataclasses.replace(panel, draw=both)


def _check_scales(found: list[tuple[list[Block], str]], scales: Scales) -> None:
    if scales.times is None and scales.time_unit != DEFAULTS["time_unit"]:
        raise AttributionError(f"time_unit={scales.time_unit!r} is the unit of times=, which was not given: one for each step")
    for group, kind in found:
        # of a coarser map over its image, the axes are the image's
        shape = (group[0].values if group[0].inputs is None else group[0].inputs).shape
        axes = {"signal": (("times", 1, "steps"),), "spectrogram": (("times", 2, "steps"), ("frequencies", 1, "bins"))}
        for name, axis, noun in axes.get(kind, ()):
            values = getattr(scales, name)
            if values is None:
                continue
            if np.shape(values) != shape[axis : axis + 1]:
                raise AttributionError(f"{np.size(values)} {name} for {shape[axis]} {noun}: give one for each")
            if not (np.isfinite(values).all() and (np.diff(values) > 0).all()):
                raise AttributionError(f"{name} must increase from each of the {noun} to the next")


def _group_name(group: list[Block], several: bool) -> str:
    names = [block.name for block in group if block.name]
    if not several or not names:
        return ""
    return ", " + (", ".join(names) if len(names) <= 3 else f"{len(names)} tables")


def _share_words(result: Result, group: list[Block], example: int) -> list[str]:
    total = sum(float(block.values[example].astype(np.float64).sum()) for block in group)
    magnitude = sum(float(np.abs(block.values[example]).sum()) for block in group)
    share = magnitude / max(float(result.magnitudes[example]), np.finfo(float).tiny)
    sums = f"sums to {captions.number(total)} and " if are_summed(result.kind) else ""
    return [f"This part {sums}has {captions.percent(share)} of the attribution by magnitude."]


def _examples(result: Result, example, limit: int) -> tuple[list[int], list[str]]:
    total = len(result)
    if not total:
        raise AttributionError("the result has no examples: there is nothing to draw")
    if example is None:
        if not isinstance(limit, int | np.integer) or limit < 1:
            raise AttributionError(f"limit is how many examples are drawn, at least 1; got {limit!r}")
        shown = list(range(min(limit, total)))
        more = f"{captions.count(total - len(shown), 'example')} more of {total} not drawn: example=, or limit={total}."
        return shown, ([more] if len(shown) < total else [])
    chosen = list(np.atleast_1d(example))
    if not chosen or not all(map(is_whole, chosen)):
        raise AttributionError(f"example is the number of one that is drawn, or a list of those; got {example!r}")
    for index in map(int, chosen):
        if not -total <= index < total:
            raise AttributionError(f"example {index} does not exist: the result has {total}, 0 to {total - 1}")
    return [int(index) % total for index in chosen], []


def _kind(block: Block, kind: str, options: ShowOptions) -> str:
    """The kind of picture for one tensor; an unsuitable one raises."""
    if kind == "auto":
        if not block.kind:
            raise refuse(block.values.shape)
        return "layer" if block.coarse else block.kind
    axes, colours = block.values.ndim, block.values.shape[-1] in (1, 3) and block.kind != "frames"
    steps = block.kind == "steps"
    suits = {
        "words": axes in (2, 3),
        "bars": axes in (2, 3),
        "signal": axes in (2, 3),
        "spectrogram": axes == 3 or (axes == 4 and colours and block.values.shape[-1] == 1),
        "frames": block.kind == "frames" or axes == 4,
        "table": True,
        "steps": steps,
        "saturation": True,
    }
    image = axes == 3 or (axes == 4 and colours)
    if not suits.get(kind, image) or (steps and kind not in ("steps", "saturation")):
        raise refuse(block.values.shape, kind)
    if kind in ("overlay", "mask", "window", "layer") and block.inputs is None:
        raise AttributionError(
            f"kind={kind!r} needs the images, and the result holds no inputs of a shape that fits "
            f"attributions of {block.values.shape}; kind='map' draws the attribution alone"
        )
    return kind


def _merged(found: list[tuple[Block, str]]) -> list[tuple[list[Block], str]]:
    """Groups of one tensor, but the tables in one: features are ranked over all of them. One saturation plot does."""
    groups: list[tuple[list[Block], str]] = []
    for block, kind in found:
        same = next((group for group, other in groups if kind == other and kind in ("table", "saturation")), None)
        if same is None:
            groups.append(([block], kind))
        else:
            same.append(block)
    return groups


def _check_heeded(kinds: set[str], *given: ShowOptions | Scales) -> None:
    heeded = {name for kind in kinds for name in USES[kind]} | {"limit"}
    for options in given:
        for field in dataclasses.fields(options):
            value, default = getattr(options, field.name), DEFAULTS[field.name]
            if field.name not in heeded and not (value is default or np.array_equal(value, default)):
                raise AttributionError(
                    f"{field.name}= means nothing for kind {', '.join(sorted(kinds))}, which takes {', '.join(sorted(heeded))}"
                )
