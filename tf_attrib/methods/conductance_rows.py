"""Rows whose paths run at one place and are looked at from another: conductance and internal influence.

y are the observed tensors (a layer's output), x those that the path moves. dF/dy is taken with every observed tensor held
fixed, so that what several of them say adds up.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.types import present
from ..engine.row import Row, per_row_sum
from ..graph.traced.cut import Port
from ..graph.traced.gradients import gradients
from ..graph.traced.heads_and_lookups import connected
from ..graph.traced.layers import unit_index
from ..graph.traced.trace import TRACING
from ..selection.place import Place
from ..selection.score_function import SCALE, ScoreFunction, fed

# Under which name rows find the unit that they are to pass, and what stands for all along an axis.
UNIT, EVERY = "unit", np.iinfo(np.int32).max


def separated(function: ScoreFunction) -> bool:
    """Whether all that leads from the selected tensors to the score passes the observed ones."""
    between = [port.tensor for port in present(function.observed).ports.values()]
    same = {tensor.ref() for tensor in between}
    return not any(
        port.tensor.ref() not in same and connected(port.tensor, function.output.fetches.values(), between)
        for port in function.place.ports.values()
    )


@dataclasses.dataclass(frozen=True)
class ConductanceIntegrand:
    """dF/dy · dy/dalpha at a point of the path: what passes through each unit (Dhamdhere et al. 2018, arXiv:1805.12233,
    equation 3)."""

    def __call__(self, function: ScoreFunction, row: Row) -> tuple[tf.Tensor, tf.Tensor, dict]:
        """Score and its derivative along the path (rows,), and the integrand by key of the observed tensors."""
        whole = separated(function)

        def fetches(graph: Ends) -> dict[Any, Port]:
            inner = graph.inner()
            outputs = graph.observed if whole else [*graph.observed, graph.score]
            moved = pushed_forward(outputs, graph.selected, graph.directions, graph.failure)
            products = [_product(slope, move, function.dtype) for slope, move in zip(inner, moved, strict=False)]
            return _ports(present(function.observed), products) | ({} if whole else {"slope": Port(moved[-1])})

        found = evaluated(function, row, fetches)
        score, slope = found.pop("score"), found.pop("slope", None)
        return score, tf.add_n([per_row_sum(value) for value in found.values()]) if slope is None else slope, found


@dataclasses.dataclass(frozen=True)
class InfluenceIntegrand:
    """dF/dy at a point of the path (Leino et al. 2018, arXiv:1802.03788, equation 1)."""

    def __call__(self, function: ScoreFunction, row: Row) -> tuple[tf.Tensor, tf.Tensor, dict]:
        """Score and its derivative along the path (rows,), and the integrand by key of the observed tensors."""
        whole = separated(function)

        def fetches(graph: Ends) -> dict[Any, Port]:
            inner = graph.inner()
            outer = gradients(graph.observed, graph.selected, graph.failure, inner) if whole else graph.outer()
            outer = _ports(function.place, [_or_zeros(*pair) for pair in zip(outer, graph.selected, strict=True)])
            return _ports(present(function.observed), inner) | {("outer", key): port for key, port in outer.items()}

        found = evaluated(function, row, fetches)
        difference = row.difference()
        slope = tf.add_n([per_row_sum(found.pop(("outer", key)) * value) for key, value in difference.items()])
        return found.pop("score"), slope, found


@dataclasses.dataclass(frozen=True)
class ThroughIntegrand:
    """(x - x') · dF/dy · dy/dx at a point of the path, of one unit y: what the input gives the score through it (the same
    paper, equation 2). Which unit that is the rows say, so that another one is not traced anew.
    """

    def __call__(self, function: ScoreFunction, row: Row) -> tuple[tf.Tensor, tf.Tensor, dict]:
        """Score and its derivative along the path (rows,), and the integrand by key of the selected tensors."""
        (port,) = present(function.observed).ports.values()

        def fetches(graph: Ends) -> dict[Any, Port]:
            (tensor,), (slope,) = graph.observed, graph.inner()
            mask = port.to_graph(_mask(port.from_graph(tensor), present(graph.unit)))
            through = gradients([tensor], graph.selected, graph.failure, [slope * tf.cast(mask, slope.dtype)])
            through, whole = (
                _ports(function.place, [_or_zeros(*pair) for pair in zip(found, graph.selected, strict=True)])
                for found in (through, graph.outer())
            )
            return through | {("all", key): port for key, port in whole.items()}

        found = evaluated(function, row, fetches)
        difference = row.difference()
        slope = tf.add_n([per_row_sum(found.pop(("all", key)) * value) for key, value in difference.items()])
        return found.pop("score"), slope, {key: found[key] * value for key, value in difference.items()}


def unit_rows(observed: Place, unit: tuple | None, count: int) -> np.ndarray:
    """int32 (count, axes), the unit that each example's rows are to pass, `EVERY` along axes for which an Ellipsis stands."""
    (port,) = observed.ports.values()
    shape = [size for axis, size in enumerate(port.tensor.shape) if axis != port.batch_axis]
    index = (None,) * len(shape) if unit is None else unit_index(tf.TensorShape(shape), unit)
    return np.tile(np.array([EVERY if one is None else one for one in index], np.int32), (count, 1))


def _mask(like: tf.Tensor, unit: tf.Tensor) -> tf.Tensor:
    """1 at the `unit` (rows, axes) of each row of `like` (rows, ...), else 0."""
    mask = tf.ones_like(like)
    for axis in range(like.shape.rank - 1):
        size = tf.shape(like)[axis + 1]
        wanted = unit[:, axis : axis + 1]
        wanted = tf.where(wanted < 0, wanted + size, wanted)
        here = (wanted == EVERY) | (wanted == tf.range(size)[None])
        mask *= tf.cast(tf.reshape(here, [-1] + [size if a == axis else 1 for a in range(like.shape.rank - 1)]), like.dtype)
    return mask


@dataclasses.dataclass(frozen=True, eq=False)
class Ends:
    """What a row function works with in the traced graph: the score, the selected and the observed tensors, directions in which
    the selected ones move, the unit that is passed, and what an error begins with."""

    score: tf.Tensor
    selected: list[tf.Tensor]
    observed: list[tf.Tensor]
    directions: list[tf.Tensor]
    unit: tf.Tensor | None
    failure: str
    scale: tf.Tensor | None

    def inner(self) -> list[tf.Tensor]:
        """dF/dy of each observed tensor, times the factor."""
        found = self._gradients(self.observed)
        return [_or_zeros(slope, tensor) for slope, tensor in zip(found, self.observed, strict=True)]

    def outer(self) -> list[tf.Tensor | None]:
        """dF/dx of each selected tensor, times the factor."""
        return self._gradients(self.selected)

    def _gradients(self, tensors: list[tf.Tensor]) -> list[tf.Tensor | None]:
        return gradients(self.score, tensors, self.failure, None if self.scale is None else [self.scale])


def evaluated(
    function: ScoreFunction, row: Row, fetches: Callable[["Ends"], dict[Any, Port]], plain: tuple[Any, ...] = ()
) -> dict[Any, tf.Tensor]:
    """What `fetches` finds in the traced graph, and the score, at the point of each row, in the dtype of paths.

    As with plain gradients, it is found in the traced graph itself and cut out afterwards.

    Args:
        plain: keys of what is no gradient, and not scaled as one.
    """
    ports, seen = function.place.ports, present(function.observed)
    score, target = function.chosen()
    with TRACING, function.traced.function.graph.as_default():
        unit = tf.compat.v1.placeholder(tf.int32, [None, row.extra[UNIT].shape[1]]) if UNIT in row.extra else None
        moves = {key: tf.compat.v1.placeholder(port.tensor.dtype, port.tensor.shape) for key, port in ports.items()}
        ends = Ends(
            score,
            [port.tensor for port in ports.values()],
            [port.tensor for port in seen.ports.values()],
            list(moves.values()),
            unit,
            f"{function.output.words} has no gradient at {seen.words} along {function.place.words}",
            function.scale(),
        )
        found = fetches(ends) | {"score": Port(score)}
    feeds = {("move", key): Port(value, ports[key].batch_axis) for key, value in moves.items()} | {"target": Port(target)}
    given = fed(row.point(), row.context) | {("move", key): value for key, value in row.difference().items()}
    if unit is not None:
        feeds, given = feeds | {UNIT: Port(unit)}, given | {UNIT: row.extra[UNIT]}
    feeds |= {} if ends.scale is None else {SCALE: Port(ends.scale)}
    cut, beside = function.cut(found, feeds), [key for key in found if key in ("score", "slope", *plain)]
    scaled = [key for key in found if key not in beside]

    def backward(scale: tf.Tensor | None) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        values = cut(given | {"target": row.target} | ({} if scale is None else {SCALE: scale}))
        return [values[key] for key in beside], [values[key] for key in scaled]

    values = function.whole_range(backward, row.target)
    return {
        key: tf.cast(value, function.dtype)
        for keys, part in zip((beside, scaled), values, strict=True)
        for key, value in zip(keys, part, strict=True)
    }


def _ports(place: Place, tensors: list[tf.Tensor]) -> dict[Any, Port]:
    """What is fetched of each tensor of a place, under its key."""
    return {key: Port(tensor, port.batch_axis) for (key, port), tensor in zip(place.ports.items(), tensors, strict=True)}


def pushed_forward(
    outputs: list[tf.Tensor], inputs: list[tf.Tensor], directions: list[tf.Tensor], failure: str
) -> list[tf.Tensor]:
    """The derivatives of `outputs` where `inputs` move in `directions`: a Jacobian-vector product, as the transpose of the
    transpose, so that gradients which a model defines itself are heeded; call it with their graph as the default."""
    probes = [tf.zeros_like(tensor) for tensor in outputs]
    pulled = gradients(outputs, inputs, failure, probes)
    pairs = [(tf.convert_to_tensor(one), move) for one, move in zip(pulled, directions, strict=True) if one is not None]
    found = gradients([one for one, _ in pairs], probes, failure, [move for _, move in pairs])
    return [_or_zeros(move, tensor) for move, tensor in zip(found, outputs, strict=True)]


def _or_zeros(slope: tf.Tensor | None, tensor: tf.Tensor) -> tf.Tensor:
    return tf.zeros_like(tensor) if slope is None else tf.convert_to_tensor(slope)


def _product(slope: tf.Tensor, move: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    return tf.cast(slope, dtype) * tf.cast(move, dtype)
