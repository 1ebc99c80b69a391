"""What kind of data a result holds, by shape: images, videos, words, signals, tables, or steps along a path."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ..common.errors import AttributionError
from ..common.nested import flatten
from ..result.channels import axis_of_channels, channels_in_front, in_words, is_signal, without_channels
from ..result.columns import feature_name
from ..result.result import Result

KINDS = ("image", "frames", "words", "signal", "table", "steps")


@dataclasses.dataclass(frozen=True)
class Block:
    """One tensor of a result, with the input that it belongs to.

    Attributes:
        key: None for a single tensor, else its position or name.
        values: (batch, ...) attributions.
        inputs: (batch, ...) the input in the same place, channels last, or None where none fits.
        kind: one of KINDS, or "" where the shape suits none.
        errors: (batch, ...) the standard errors of the values, None where there are none.
        named: from (key, index) to the name of a column or category, "" where there is none.
        given: the shape of the input as it was given, where its channels come first; else ().
    """

    key: Any
    values: np.ndarray
    inputs: np.ndarray | None
    kind: str
    named: Callable[[Any, tuple[int, ...]], str] = lambda key, index: ""
    errors: np.ndarray | None = None
    given: tuple[int, ...] = ()

    def feature(self, index: tuple[int, ...]) -> str:
        """The name of a feature: of its column or category, else its place."""
        return self.named(self.key, index) or feature_name(self.key, index)

    @property
    def coarse(self) -> bool:
        """Whether this is the map of a layer that has fewer positions than the image beneath it."""
        return self.kind == "image" and self.inputs is not None and self.values.shape[1:3] != self.inputs.shape[1:3]

    @property
    def name(self) -> str:
        return "" if self.key is None else str(self.key)

    @property
    def turned(self) -> list[str]:
        """The sentence that says which axis was taken for channels, where that is not the last."""
        return [f"Channels of the input are taken to be axis 1 of {self.given}."] if self.given else []


def blocks(result: Result) -> list[Block]:
    """Each tensor of the result with its input and its kind, in order."""
    inputs = {} if result.inputs is None else {key: np.asarray(leaf) for key, leaf in flatten(result.inputs).items()}
    found, errors = [], {} if result.standard_error is None else flatten(result.standard_error)
    for key, leaf in flatten(result.attributions).items():
        values = np.asarray(leaf)
        own, given = _own_input(result, key, values, inputs), ()
        last = {
            name: np.moveaxis(leaf, 1, -1) for name, leaf in inputs.items() if own is None and channels_in_front(leaf.shape)
        }
        if last and (own := _own_input(result, key, values, last)) is not None:  # channels that come first were summed
            given = (len(own), own.shape[-1], *own.shape[1:-1])
        kind = _kind(result, key, values, own, inputs | last)
        found.append(Block(key, values, own, kind, result.name_of, errors.get(key), given))
    return found


def drawable(result: Result) -> tuple[Result, str, list[str]]:
    """The result as it can be drawn, the kind of picture, and what was done to it in words: with one number for each position
    where its channels are no colours, as those of a convolution's maps, or come first."""
    found = blocks(result)
    if len(found) != 1 or found[0].kind or found[0].values.ndim not in (4, 5):
        return result, "auto", []
    axis, values = axis_of_channels(result), found[0].values
    where = f"Channels are taken to be axis {axis % values.ndim} of {values.shape}."
    # without channels a small map would be taken for a signal
    kind = "map" if values.ndim == 4 else "frames"
    return without_channels(result), kind, [where, in_words(values.shape[axis], result.kind)]


def has_steps(result: Result, values: np.ndarray) -> bool:
    """Whether axis 1 of the attributions are steps along a path (interior gradients)."""
    return result.steps and result.alphas is not None and values.shape[:2] == np.shape(result.alphas)


def _own_input(result: Result, key, values: np.ndarray, inputs: dict) -> np.ndarray | None:
    shape = values.shape[:1] + values.shape[2:] if has_steps(result, values) else values.shape
    fitting = {name: leaf for name, leaf in inputs.items() if _fits(leaf, shape, result.kind == "map")}
    if key in fitting:
        return fitting[key]
    # embeddings are keyed by their layer, inputs by their own names: only an only candidate is certain
    return next(iter(fitting.values())) if len(fitting) == 1 else None


def _fits(leaf: np.ndarray, shape: tuple[int, ...], is_map: bool) -> bool:
    if leaf.shape == shape:
        return True
    if is_words(leaf):
        return leaf.ndim == 2 and leaf.shape == shape[:2]
    if leaf.ndim == 4 and leaf.shape[-1] in (1, 3) and len(shape) in (3, 4) and leaf.shape[0] == shape[0]:
        # channels were summed, or a layer's coarser map belongs to the whole image
        return leaf.shape[:3] == shape[:3] or (len(shape) == 3 and is_coarser(shape[1:3], leaf.shape[1:3]))
    if leaf.ndim == 5 and leaf.shape[-1] in (1, 3) and leaf.shape[:-1] == shape:
        return True  # channels of a video were summed
    # a map over images without an axis of channels; of other layers their second axis are units
    return is_map and leaf.ndim == len(shape) == 3 and leaf.shape[0] == shape[0] and is_coarser(shape[1:3], leaf.shape[1:3])


def is_coarser(grid: tuple[int, ...], image: tuple[int, ...]) -> bool:
    """Whether a grid (height, width) has no more cells than an image has pixels along either axis, and its proportion but for
    the part of a cell by which layers round."""
    (rows, columns), (height, width) = grid, image
    return rows <= height and columns <= width and abs(rows * width - columns * height) <= max(height, width)


def is_words(leaf: np.ndarray | None) -> bool:
    """Whether an input holds token ids or strings: (batch, length), integer or text."""
    return leaf is not None and leaf.ndim == 2 and leaf.dtype.kind in "iuUSO"


def _kind(result: Result, key: Any, values: np.ndarray, own: np.ndarray | None, inputs: dict) -> str:
    if has_steps(result, values):
        return "steps"
    if result.place == "encoded" and values.ndim == 2:
        return "table"  # text beside it is a column
    if result.names_of(key) and values.ndim <= 2:
        return "table"  # whole numbers in it are no token ids
    if own is None and values.ndim in (2, 3) and any(_is_text(leaf, values.shape) for leaf in inputs.values()):
        return "words"
    if result.kind == "map" and values.ndim == 3:
        return "image"  # of a layer of few columns, too, that would be channels of a signal
    if any(_is_video(values.shape, leaf.shape, result.kind == "map") for leaf in inputs.values()):
        return "frames"
    return feature_kind(values.shape, own, None if result.tokens is None else np.shape(result.tokens))


def _is_video(shape: tuple[int, ...], given: tuple[int, ...], is_map: bool) -> bool:
    """Whether attributions (batch, frames, height, width) are of a video or volume, a layer's coarser map of it, or what is
    left of its channels: the last axis is no channels, of whatever size."""
    if len(shape) != 4 or len(given) != 5 or shape[0] != given[0]:
        return False
    return all(size <= whole for size, whole in zip(shape, given, strict=False)) if is_map else shape == given[:-1]


def _is_text(leaf: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether an input, though it is not certain to be the one, makes the second axis of the attributions words.

    So it is with one string for each example (words are split within the model), and with several inputs of token ids,
    masks and segments, of which any may be meant.
    """
    return (leaf.ndim <= 2 and leaf.dtype.kind in "SUO") or (is_words(leaf) and leaf.shape == shape[:2])


def feature_kind(shape: tuple[int, ...], own: np.ndarray | None, tokens: tuple[int, ...] | None = None) -> str:
    """The kind of features (batch, ...) of this shape: one of KINDS, or "" where none suits.

    Three axes are a batch of images, or of signals (time, channels), see `is_signal`; `show(kind=...)` decides otherwise.
    """
    if len(shape) in (2, 3) and (is_words(own) or (tokens is not None and tokens == shape[:2])):
        return "words"
    if len(shape) <= 2:
        return "table"
    if len(shape) == 3:
        if own is not None and (own.ndim == 4 or own.shape != shape):
            return "image"
        return "signal" if is_signal(*shape[1:]) else "image"
    return {4: "image", 5: "frames"}.get(len(shape), "") if shape[-1] in (1, 3) else ""


def suited(block: Block, kind: str) -> Block:
    """The block with the axes that a kind of picture wants: signals (batch, time, channels), spectrograms upright.

    A waveform (batch, time) becomes a signal of one channel. A spectrogram (batch, time, frequency) becomes an image
    (batch, frequency, time), whose first row is the lowest frequency.
    """
    inputs = block.inputs
    if kind == "signal":
        # the ids behind embeddings are no signal in their place
        inputs = None if inputs is None or inputs.shape != block.values.shape else inputs
        change = (lambda leaf: leaf[..., None]) if block.values.ndim == 2 else np.asarray
    elif kind == "spectrogram":
        inputs = None if inputs is None or inputs.ndim < 3 else inputs
        change = lambda leaf: np.swapaxes(leaf, 1, 2)  # noqa: E731
    else:
        return block
    return dataclasses.replace(block, values=change(block.values), inputs=None if inputs is None else change(inputs))


def refuse(shape: tuple[int, ...], kind: str = "auto") -> AttributionError:
    """The error for attributions that cannot be drawn as they are: the shape, what can be drawn, and what to call."""
    wanted = "" if kind == "auto" else f" as kind={kind!r}"
    such = "result.sum(1) for channels that come first" if channels_in_front(shape) else "result.sum(-1) for channels"
    return AttributionError(
        f"attributions of shape {tuple(shape)} cannot be drawn{wanted}. Drawn are, after the batch axis: images (h, w), "
        "(h, w, 1), (h, w, 3); videos and volumes (frames, h, w, 1), (frames, h, w, 3), or (frames, h, w) with "
        "kind='frames'; words (length,) or (length, dimension) for integer or text inputs; signals (time, channels), "
        "or (time,) with kind='signal'; spectrograms (time, frequency) with kind='spectrogram'; tables (features,). "
        f"Sum over the axes that are too many first: result.sum(axis), such as {such}"
    )
