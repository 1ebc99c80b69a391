"""Gradients that a tape does not find: whether that is a zero, or a gradient that was lost on its way."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from ...common.errors import AttributionError
from .record import recorded
from .running import Name, Runner

# How far floats are moved, relative and at zero, to see whether outputs move with them.
MOVE = 1e-3
# What share of an output's move its gradient may miss, by rounding and curvature.
SHARE = 0.05


@dataclasses.dataclass(frozen=True, eq=False)
class Losses:
    """Judges what a tape did not find in calls of `runner`."""

    runner: Runner

    def judge(
        self, sources: list[tf.Tensor], fed: dict[Name, tf.Tensor], wanted: list[Name], missing: list[int], none: bool
    ) -> None:
        """Raises AttributionError where the tensors `wanted` follow those whose gradient is `missing`: an operation on the way
        has no gradient, or the values went through Python. Where nothing follows them in this call, the gradient is zero.

        Args:
            sources, fed: the inputs, and outputs of layers that were replaced.
            missing: numbers of sources and fed.
            none: whether the tape found none at all; else some may be zeros.
        """
        record = recorded(self.runner, sources, fed)
        ends = [*record.inputs.values(), *record.fed]
        direct = {number for name in wanted for number in record.behind(record.tensor(name), by_python=False)}
        if none and any(id(ends[number]) in direct for number in missing):
            raise AttributionError(_lost("an operation on the way has none (ids, argmax, rounding)"))
        if any(self._moves(sources, fed, wanted, number) for number in missing):
            raise AttributionError(
                _lost(
                    "values go through Python on the way (.numpy(), tf.numpy_function, or tf.py_function without a gradient); "
                    "tf.custom_gradient gives such a function one"
                )
            )

    def _moves(self, sources: list[tf.Tensor], fed: dict[Name, tf.Tensor], wanted: list[Name], number: int) -> bool:
        """Whether the tensors `wanted` move in proportion when one of the sources and fed does, to either side, as they do not
        where their gradient is zero: at the bottom of a parabola a quarter of a move is a sixteenth. A side on which the model
        takes another branch does not count.
        """
        ends, first = [*sources, *fed.values()], recorded(self.runner, sources, fed)

        def distance(move: float) -> float | None:
            other = [moved(end, move) if i == number else end for i, end in enumerate(ends)]
            second = recorded(self.runner, other[: len(sources)], dict(zip(fed, other[len(sources) :], strict=True)))
            if [one.kind for one in first.made] != [one.kind for one in second.made]:
                return None
            pairs = [(first.tensor(name), second.tensor(name)) for name in wanted]
            return max(float(np.abs(np.subtract(*map(_wide, pair))).max(initial=0)) for pair in pairs)

        sides = [(distance(move), distance(move / 4)) for move in (MOVE, -MOVE)]
        known = [(far, near) for far, near in sides if far is not None and near is not None]
        return bool(known) and all(near > 0 and far < 8 * near for far, near in known)

    def accounted(self, sources: list[tf.Tensor], outputs: list[Name]) -> float | None:
        """The share of a small move of the outputs, to both sides, that the gradient accounts for; None where nothing moves."""
        floats = [source for source in sources if source.dtype.is_floating]

        def score(ends: list[tf.Tensor]) -> tf.Tensor:
            found = [tf.cast(one, tf.float64) for one in self.runner.run(ends, {}, outputs) if one.dtype.is_floating]
            # a plain sum of probabilities would not move at all
            return tf.add_n(
                [tf.reduce_sum(one * tf.reshape(tf.cos(tf.range(tf.size(one), dtype=one.dtype)), one.shape)) for one in found]
            )

        with tf.GradientTape() as tape:
            tape.watch(floats)
            total = score(sources)
        slopes: Any = tape.gradient(total, floats)
        ahead, behind = ([moved(source, move) for source in sources] for move in (MOVE, -MOVE))
        difference = float(score(ahead) - score(behind)) / 2
        steps = [moved(source, MOVE) - source for source in floats]
        told = sum(
            float(tf.reduce_sum(tf.cast(slope * step, tf.float64)))
            for slope, step in zip(slopes, steps, strict=True)
            if slope is not None
        )
        small = float(np.finfo(np.float32).eps) * max(abs(float(total)), 1.0) / SHARE
        return None if abs(difference) < small else told / difference


def moved(tensor: tf.Tensor, move: float) -> tf.Tensor:
    """Floats by a little more or less."""
    return tensor * (1 + move) + move if tensor.dtype.is_floating else tensor


def _wide(tensor: tf.Tensor) -> np.ndarray:
    return tensor.numpy().astype(np.float64)


def _lost(why: str) -> str:
    return f"the score has no gradient there: {why}; method='occlusion' or 'ablation' needs none"
