"""Gradients that a tape does not find: whether that is a zero, or a gradient that was lost on its way."""

import dataclasses

import numpy as np
import tensorflow as tf

from ...common.errors import AttributionError
from .record import Record, recorded
from .running import Name, Runner

# How far floats are moved, to see whether Python carries what they say, relative and at zero; each sign is tried.
MOVES = (1e-3, -1e-3)


@dataclasses.dataclass(frozen=True, eq=False)
class Losses:
    """Judges what a tape did not find in calls of `runner`."""

    runner: Runner

    def judge(
        self, sources: list[tf.Tensor], fed: dict[Name, tf.Tensor], wanted: list[Name], missing: list[int], all_of_them: bool
    ) -> None:
        """Raises AttributionError where the tensors `wanted` follow those whose gradient is `missing`: an operation on the way
        has no gradient, or the values went through Python. Where nothing follows them in this call, the gradient is zero.

        Args:
            sources, fed: the inputs, and outputs of layers that were replaced.
            missing: numbers of sources and fed.
            all_of_them: whether no gradient was found at all.
        """
        record = recorded(self.runner, sources, fed)
        ends = [*record.inputs.values(), *record.fed]
        direct = {number for name in wanted for number in record.behind(record.tensor(name), by_python=False)}
        if all_of_them and any(id(ends[number]) in direct for number in missing):
            raise AttributionError(_lost("an operation on the way has none (ids, argmax, rounding)"))
        if leaking(self.runner, sources, fed, missing):
            raise AttributionError(
                _lost(
                    "values go through Python on the way (.numpy(), tf.numpy_function, or tf.py_function without a gradient); "
                    "tf.custom_gradient gives such a function one"
                )
            )


def leaking(
    runner: Runner, sources: list[tf.Tensor], fed: dict[Name, tf.Tensor] | None = None, which: list[int] | None = None
) -> bool:
    """Whether the values of floats go through Python and come back: what operations are given from outside moves with them.

    Args:
        which: numbers of the sources and fed that are moved; default: all floats.
    """
    fed = fed or {}
    ends = [*sources, *fed.values()]
    moved = [number for number, end in enumerate(ends) if end.dtype.is_floating and (which is None or number in which)]
    first = recorded(runner, sources, fed)
    if not moved or not first.reads:
        return False
    for move in MOVES:
        other = [end * (1 + move) + move if number in moved else end for number, end in enumerate(ends)]
        second = recorded(runner, other[: len(sources)], dict(zip(fed, other[len(sources) :], strict=True)))
        if _kinds(first) == _kinds(second):
            pairs = list(zip(first.foreign(), second.foreign(), strict=False))
            return any(one.shape != two.shape or not np.array_equal(one, two, equal_nan=True) for one, two in pairs)
    return which is not None  # it computes something else each time: a zero cannot be vouched for


def _kinds(record: Record) -> list[str]:
    return [one.kind for one in record.made]


def _lost(why: str) -> str:
    return f"the score has no gradient there: {why}; method='occlusion' or 'ablation' needs none"
