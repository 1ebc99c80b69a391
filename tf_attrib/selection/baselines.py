"""Baselines: what the input is compared with, at the selected tensor or pushed forward from the model's input.

A baseline is a small frozen value. Most are the same for all examples (`shared`); random ones are drawn once from the
seed and shared too, so that an example's numbers do not depend on its company.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.ndimage

from ..common.checks import number, whole
from ..common.errors import AttributionError
from .fitting import fits, same_keys
from .frames import column_names, holds_frames, is_frame, is_row
from .inputs import as_array, as_arrays


@dataclasses.dataclass(frozen=True, eq=False)
class Baseline:
    """A recipe for references: `attribute(baselines=...)` takes one. Those of the library are made by `ta.zeros()`,
    `ta.blur(sigma)` and so on; one of your own is `ta.Baseline(words, make)`.

    Attributes:
        words: what it is, for people.
        make: from the examples of one tensor (n, ...) and a random generator to references, (k, ...) where `shared`,
            else (n, k, ...). For input-level recipes: from and to a dict of the model's inputs, (k, ...) where `shared`, else
            (n, ...).
        shared: whether the references are the same for all examples; None: where `make` gives one row.
        at_model_input: whether it lives at the model's input and is pushed forward to the selected tensor.
        is_zeros: whether it is `zeros()`, which is described by what zero means in the inputs at hand.
        channels_last: whether it takes the last axis for channels, so that images that have them first are refused.
        keeps_left_out: of input-level recipes, whether masks and others that are not attributed to stay the example's.
        of_images: how one is called that is for images alone, so that numbers beside them are refused; else "".
    """

    words: str
    make: Callable[[Any, np.random.Generator], Any]
    shared: bool | None = True
    at_model_input: bool = False
    is_zeros: bool = False
    channels_last: bool = False
    keeps_left_out: bool = False
    of_images: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.words, str) or not callable(self.make):
            raise AttributionError(
                "ta.Baseline(words, make) takes what it is in words, and a function of the examples (n, ...) and a random "
                f"generator; got {self.words!r} and {self.make!r}"
            )
        if self.shared not in (True, False, None) or (self.shared is None and not self.at_model_input):
            raise AttributionError(f"shared must be True or False (None at the model's input alone), got {self.shared!r}")


@dataclasses.dataclass(frozen=True, eq=False)
class OfFrame:
    """A recipe whose samples are a frame: what inputs its columns are is known when examples are attributed.

    Attributes:
        recipe: from the samples as arrays, or a dict of them, to the baseline.
        frame: the samples.
    """

    recipe: Callable[[Any], Baseline]
    frame: Any


def constant(value: float | np.ndarray) -> Baseline:
    """`value` everywhere in the selected tensor: a number, for text a string, or an array that broadcasts to one example."""
    if is_row(value) or is_frame(value):
        raise AttributionError(
            "ta.constant takes a number or an array, whose places are those of the input; a row of a table goes by the names "
            "of its columns as it is: baselines=row, or ta.at_input(row)"
        )
    array = as_array(value, "the value of ta.constant")
    text = array.dtype.kind in "OSU"
    if not text and array.dtype.kind not in "biuf":
        raise AttributionError(f"ta.constant(value) takes a number, a string for text, or an array of such, got {value!r}")

    def make(x, rng):
        if text != (x.dtype.kind in "OSU"):
            raise AttributionError(
                f"ta.constant({value!r}) is {'text' if text else 'a number'}, and the tensor is {_kind_of(x)}: give each of "
                "several tensors its own baseline, by key, baselines={name: ta.constant(value)}"
                + ("; a text that the model looks up, at its input: ta.at_input(text)" if text else "")
            )
        cast = array if text else array.astype(x.dtype)
        if x.dtype.kind in "biu" and not np.array_equal(cast, array):
            raise AttributionError(f"ta.constant({value!r}) is no value of a tensor that is {_kind_of(x)}")
        try:
            return np.broadcast_to(cast, x.shape[1:])[None]
        except ValueError:
            raise AttributionError(f"ta.constant of shape {array.shape} does not fit examples of shape {x.shape[1:]}") from None

    return Baseline(f"constant {value}", make)


def zeros() -> Baseline:
    """Zero everywhere in the selected tensor: the default. Of text as it is given the empty string, of booleans False."""

    def make(x, rng):
        return np.full((1, *x.shape[1:]), b"" if x.dtype.kind in "OSU" else 0, x.dtype)

    return Baseline("zeros", make, is_zeros=True)


def uniform(n: int, low: float, high: float) -> Baseline:
    """`n` noise arrays, uniform in [low, high), averaged over."""
    whole("n", n)
    if not number("low", low) < number("high", high):
        raise AttributionError(f"ta.uniform(n, low, high) needs low < high, got {low} and {high}")
    return Baseline(
        f"{n} × uniform noise in [{low}, {high})",
        lambda x, rng: rng.uniform(low, high, (n, *_float("ta.uniform", x).shape[1:])).astype(x.dtype),
    )


def gaussian(n: int, stddev: float, mean: float = 0.0) -> Baseline:
    """`n` noise arrays, normal around `mean`, averaged over."""
    whole("n", n)
    number("stddev", stddev, above=0)
    number("mean", mean)
    return Baseline(
        f"{n} × Gaussian noise of standard deviation {stddev} around {mean}",
        lambda x, rng: rng.normal(mean, stddev, (n, *_float("ta.gaussian", x).shape[1:])).astype(x.dtype),
    )


def blur(sigma: float) -> Baseline:
    """Each example blurred by a Gaussian of `sigma` pixels along all axes but the channels: of a video in time, too. Beside a
    table give it by key."""
    number("the sigma of ta.blur", sigma, above=0)

    def make(x, rng):
        if _float("ta.blur", x).ndim < 2:
            raise AttributionError(f"ta.blur needs examples with a spatial axis; these are single numbers, {x.shape}")
        if sigma > (longest := max(x.shape[1:-1] or x.shape[1:])):
            raise AttributionError(
                f"ta.blur({sigma:g}) of examples of shape {x.shape[1:]}: give a sigma of at most {longest} "
                "pixels, their longest side, beyond which nothing but the mean is left"
            )
        spatial = (0,) + (sigma,) * max(x.ndim - 2, 1) + ((0,) if x.ndim > 2 else ())
        return scipy.ndimage.gaussian_filter(x, spatial)[:, None]

    return Baseline(f"the input blurred, sigma {sigma}", make, shared=False, channels_last=True, of_images="blur")


def _float(name: str, x: np.ndarray) -> np.ndarray:
    """`x`, where it is float: what others are between their values, the model cannot be given."""
    if x.dtype.kind != "f":
        raise AttributionError(
            f"{name} makes fractions, and the tensor is {_kind_of(x)}: ta.zeros(), ta.constant(value), ta.typical(samples) or "
            "ta.dataset(samples) are baselines of any kind; give each of several tensors its own, by key"
        )
    return x


def _kind_of(x: np.ndarray) -> str:
    return "text" if x.dtype.kind in "OSU" else str(x.dtype)


def several(baselines: Any) -> Any:
    """Several baselines, averaged over; each one's score is kept.

    Args:
        baselines: an array (k, ...) of k baselines for all examples, or a list of baselines of any kind.
    """
    if isinstance(baselines, list | tuple) and len(baselines):
        return Several(tuple(baselines))
    if is_frame(baselines):
        return dataset(baselines)
    array = as_array(baselines, "ta.several(baselines)")
    if array.ndim == 0 or not len(array):
        raise AttributionError(f"ta.several takes an array (k, ...) or a list of baselines, got {baselines!r}")
    return Baseline(f"{len(array)} given baselines", lambda x, rng: fits(array, x.shape[1:], x.dtype, several=True))


@dataclasses.dataclass(frozen=True, eq=False)
class Several:
    """What `several` makes of a list."""

    parts: tuple


def token(id: int) -> Baseline:
    """Sequences in which every token is `id`, such as padding; float inputs, and masks that are not attributed to, stay the
    example's. Every other integer input, such as segments, becomes `id` too: `ta.at_input` says what each is."""
    whole("the id of ta.token", id, least=0)

    def make(inputs, rng):
        ids = [key for key, value in inputs.items() if value.dtype.kind in "iu"]
        # Keras takes ids as floats too
        ids = ids or [
            key for key, value in inputs.items() if value.dtype.kind == "f" and np.array_equal(value, np.round(value))
        ]
        if not ids:
            raise AttributionError(
                f"ta.token(id) needs integer inputs; these are {', '.join(str(value.dtype) for value in inputs.values())}"
                + ("; of text: ta.at_input(text)" if any(value.dtype.kind in "OSU" for value in inputs.values()) else "")
            )
        for key in ids:
            if inputs[key].dtype.kind in "iu" and id > np.iinfo(inputs[key].dtype).max:
                raise AttributionError(f"ta.token({id}) is beyond the range of the inputs, {inputs[key].dtype}")
        return replaced(inputs, ids, id)

    return Baseline(f"token {id} everywhere", make, shared=None, at_model_input=True, keeps_left_out=True)


def dataset(samples: Any, n: int | None = None) -> Any:
    """`n` of `samples`, drawn without replacement (all of them by default), averaged over.

    Args:
        samples: data in the structure of the model's inputs, (m, ...) each, or a DataFrame.
        n: how many to draw.
    """
    if is_frame(samples):
        column_names(samples)
        if n is not None:
            whole(f"the n of ta.dataset, of {len(samples)} samples,", n, 1, len(samples))
    if holds_frames(samples):
        return OfFrame(functools.partial(dataset, n=n), samples)
    leaves = as_arrays(samples, "ta.dataset sample")
    lengths = {len(leaf) if leaf.ndim else 0 for leaf in leaves.values()}
    if len(lengths) > 1 or 0 in lengths:
        shown = ", ".join(str(leaf.shape) for leaf in leaves.values())
        raise AttributionError(
            f"ta.dataset(samples): there are no samples, or not as many of each input; give arrays (m, ...), got {shown}"
        )
    (total,) = lengths
    if n is not None:
        whole(f"the n of ta.dataset, of {total} samples,", n, 1, total)

    def make(inputs, rng):
        chosen = np.arange(total) if n is None else np.sort(rng.choice(total, n, replace=False))
        return {
            key: fits(value[chosen], inputs[key].shape[1:], inputs[key].dtype, several=True)
            for key, value in same_keys(leaves, inputs).items()
        }

    return Baseline(f"{n or total} samples of a data set", make, at_model_input=True)


def typical(samples: Any) -> Any:
    """The typical example of `samples`: of each float feature the median, of text, whole numbers and booleans the value that is
    most frequent (of several the least). Of an even number of samples whose values are all whole it is the lower of the two in
    the middle, a value that some sample has.

    Args:
        samples: data in the structure of the model's inputs, (m, ...) each. Of ids that are stored as floats the most frequent
            is taken where they are given as whole numbers, `samples.astype(int)`.
    """
    if holds_frames(samples):
        return OfFrame(typical, samples)
    leaves = as_arrays(samples, "ta.typical sample")
    if any(not leaf.ndim or not len(leaf) for leaf in leaves.values()):
        raise AttributionError("ta.typical(samples) takes arrays (m, ...) of at least one sample each")

    def make(inputs, rng):
        return {
            key: fits(_typical(value), inputs[key].shape[1:], inputs[key].dtype)
            for key, value in same_keys(leaves, inputs).items()
        }

    return Baseline("the typical sample: medians, and most frequent values", make, at_model_input=True)


def _typical(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "f":
        middle = np.sort(values, axis=0)[(len(values) - 1) // 2]
        whole = (values == np.floor(values)).all(0)  # the mean of two ids is an id that nobody has
        return np.where(whole, middle, np.median(values, axis=0)).astype(values.dtype)
    flat = values.reshape(len(values), -1)
    flat = flat.astype(str) if flat.dtype == object and not any(isinstance(item, bytes) for item in flat.ravel()) else flat
    most = []
    for column in flat.T:
        found, counts = np.unique(column, return_counts=True)
        most.append(found[counts.argmax()])
    return np.array(most, flat.dtype).reshape(values.shape[1:])


def replaced(inputs: dict, keys: list, value: float) -> dict:
    """The inputs with `value` everywhere in those of `keys`: one row for all where nothing of the examples is left."""
    rows = slice(1 if len(keys) == len(inputs) else None)
    return {key: np.full_like(x[rows], value) if key in keys else x[rows] for key, x in inputs.items()}


def at_input(x: Any) -> Any:
    """An array in the structure of the model's inputs, one for all (...) or one for each example (n, ...); of a DataFrame one
    row or one for each example, or a row such as `frame.mean()`."""
    if is_frame(x):
        return OfFrame(at_input, x)
    if is_row(x):
        return OfFrame(at_input, x.to_frame().T)
    if holds_frames(x):
        return OfFrame(at_input, x)
    leaves = as_arrays(x, "baseline of ta.at_input")

    def make(inputs, rng):
        made = {}
        for key, value in same_keys(leaves, inputs).items():
            value = fits(value, inputs[key].shape[1:], inputs[key].dtype, count=len(inputs[key]))
            made[key] = np.broadcast_to(value, inputs[key].shape)
        return made

    return Baseline("an input given by the user", make, shared=False, at_model_input=True)


def given(array: np.ndarray, x: np.ndarray) -> Baseline:
    """A baseline that came as an array: (...) is one for all, (n, ...) one for each example."""
    if array.ndim < x.ndim:
        return Baseline("an array given by the user", lambda x, rng: fits(array, x.shape[1:], x.dtype))
    each = fits(array, x.shape[1:], x.dtype, count=len(x))
    if len(each) == 1:
        return Baseline("an array given by the user", lambda x, rng: each)
    return Baseline("an array for each example, given by the user", lambda x, rng: each[:, None], shared=False)
