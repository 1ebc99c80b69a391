"""Integrated gradients along the path on which a blurred input becomes sharp."""

import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.checks import number
from ..common.errors import AttributionError
from ..common.types import Features
from ..engine.curves import CurveIntegrand
from ..engine.row import RowFunction
from ..engine.session import Session
from ..selection.baselines import Baseline
from ..selection.channels_last import blurred_along, check_channels_last, width_as_channels
from ..selection.score_function import ScoreFunction
from .groups import positions
from .paths import PathMethod

BORDERS = ("reflect", "zeros")
# A kernel reaches so many standard deviations: exp(-6² / 2) is nothing in float32. A narrower one than this is one pixel.
REACH, SHARP = 6.0, 0.05


@dataclasses.dataclass(frozen=True)
class Blurred:
    """x(alpha): x blurred by a Gaussian of (1 + max_sigma) ** (1 - alpha) - 1 pixels, a path of `engine.curves`.

    How fast sigma falls does not change the integral, but how well nodes see it: what happens between 1 and 0 pixels is as
    much as what happens between 20 and 10.

    Attributes:
        max_sigma: at alpha = 0; None: the longest axis of positions.
        border: what lies beyond, see `BlurIG`.
    """

    max_sigma: float | None
    border: str

    def __call__(self, baseline: Any, x: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
        sizes = positions(tuple(x.shape[1:]))
        most = float(max(sizes)) if self.max_sigma is None else self.max_sigma
        sigma = tf.exp((1 - tf.reshape(alpha, [-1])) * math.log1p(most)) - 1
        for axis, size in enumerate(sizes, 1):
            x = _blurred(x, axis, size, sigma, most, self.border)
        return x


def _blurred(x: tf.Tensor, axis: int, size: int, sigma: tf.Tensor, most: float, border: str) -> tf.Tensor:
    """`x` blurred along one axis, each row by its own `sigma` (rows,), of which `most` is the largest."""
    reach = math.ceil(REACH * max(most, 1))
    apart = np.arange(reach + 1)
    weights = tf.exp(-tf.constant(apart**2 / 2, x.dtype) / tf.maximum(sigma, SHARP)[:, None] ** 2)
    weights /= 2 * tf.reduce_sum(weights, 1, keepdims=True) - weights[:, :1]
    order = [0, *(other for other in range(1, x.shape.rank) if other != axis), axis]
    shape = tf.shape(tf.transpose(x, order))
    last = tf.reshape(tf.transpose(x, order), [shape[0], -1, size])
    if border == "zeros":
        steps = np.abs(np.arange(size)[:, None] - np.arange(size))
        matrix = tf.gather(tf.pad(weights, [[0, 0], [0, max(size - reach - 1, 0)]]), steps, axis=1)
        last = last @ matrix
    else:
        # mirrored at both borders, each frequency of a cosine transform is blurred by itself
        frequency = np.arange(size)
        waves = np.cos(np.pi * (np.arange(size)[:, None] + 0.5) * frequency / size) * np.sqrt(2 / size)
        waves[:, 0] /= np.sqrt(2)
        both_sides = np.where(apart == 0, 1, 2)[:, None] * np.cos(np.pi * apart[:, None] * frequency / size)
        left = weights @ tf.constant(both_sides, x.dtype)
        last = ((last @ tf.constant(waves, x.dtype)) * left[:, None]) @ tf.constant(waves.T, x.dtype)
    return tf.transpose(tf.reshape(last, shape), np.argsort(order))


@dataclasses.dataclass(frozen=True, repr=False)
class BlurIG(PathMethod):
    """Integral of dF/dx · dx/dalpha along x(alpha), x blurred by a Gaussian that narrows from `max_sigma` to nothing (Xu et al.
    2020, arXiv:2004.03383): positions are blurred, channels are not. The baseline is x blurred by
    `max_sigma`.

    Attributes:
        max_sigma: in pixels. Default: the longest side, by which little more than the mean of each channel is left.
        border: what lies beyond the image: "reflect", the image mirrored, so that what is uniform stays as it is; or "zeros",
            into which the image's border fades.
    """

    max_sigma: float | None = dataclasses.field(default=None, kw_only=True)
    border: str = dataclasses.field(default="reflect", kw_only=True)
    takes_baselines = False
    baseline_of_input = True
    complete = True
    symmetric = False  # what features are beside decides how they come in

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_sigma is not None:
            object.__setattr__(self, "max_sigma", float(number("max_sigma (pixels)", self.max_sigma, above=0)))
        if self.border not in BORDERS:
            raise AttributionError(f"border must be one of {', '.join(map(repr, BORDERS))}, got {self.border!r}")

    @property
    def on_path(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (of a constant)
        return False  # the path comes in at no speed, whatever the gradient at the input

    @property
    def _accuracy(self) -> str:
        sigma = "" if self.max_sigma is None else f", max_sigma={self.max_sigma:g}"
        return super()._accuracy + sigma + ("" if self.border == "reflect" else f", border={self.border!r}")

    @property
    def _curve(self) -> Blurred:
        return Blurred(self.max_sigma, self.border)

    def session_for(self, session: Session) -> Session:
        place = session.function.place
        check_channels_last("Blur IG", session.function)
        ranks = {key: port.tensor.shape.rank for key, port in place.ports.items()}
        tables = [key for key, rank in ranks.items() if rank == 2]
        if tables and len(tables) < len(ranks):
            raise AttributionError(
                f"Blur IG blurs positions, and {', '.join(map(repr, tables))} of {place.words} have none: select the others, "
                "at=ta.inputs(name); these stay as they are then"
            )
        return session

    def row(self, features: Features, kind: str) -> RowFunction:
        return CurveIntegrand(self._curve)

    def notes(self, function: ScoreFunction) -> tuple[str, ...]:
        along = blurred_along(function) if not width_as_channels(function) else ""
        return (*width_as_channels(function), *([f"the input is blurred{along}"] if along else []))

    def default_baseline(self) -> Baseline:
        """x at alpha = 0."""
        words = "the longest side" if self.max_sigma is None else f"{self.max_sigma:g}"

        def make(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            if x.ndim < 2 or x.dtype.kind != "f":
                raise AttributionError(
                    f"Blur IG needs float examples with positions, (n, height, width, channels); got {x.dtype} {x.shape}"
                )
            return self._curve(None, tf.constant(x), tf.zeros([len(x)], x.dtype)).numpy()[:, None]

        return Baseline(f"the input blurred, sigma {words}", make, shared=False)
