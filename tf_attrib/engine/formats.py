"""What a half-precision format leaves open: attributions of the same net, at points of the same paths, computed in float32.

A stated accuracy is about the function that the net computes. bfloat16 carries 8 bits and float16 11, and what rounding does to
a gradient depends on the net. So it is measured: the traced graph is computed a second time with float32 in place of the half
format, same operations and same weights, and both gradients are compared where the score moves.
"""

import dataclasses
import itertools
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.errors import AttributionError
from ..common.nested import flatten
from ..common.types import present
from ..graph.graphdef.flatten import Flattening, add_flat
from ..graph.traced.compiled import Compiled
from ..graph.traced.gradients import gradients
from ..graph.traced.grouped import runnable
from ..graph.traced.heads_and_lookups import ancestors
from ..graph.traced.tf_private import registered
from ..graph.traced.trace import TRACING
from ..graph.traced.widening import wide, widened, written_by_author
from ..result.result import AnyResult
from ..selection.score_function import ScoreFunction
from .integral.integrator import Fixed
from .integral.points import Points
from .method import Method
from .row import GradientIntegrand
from .work import Work

# Points of each path that are compared, and cells of the scan that places them where the score moves.
POINTS, CELLS = 8, 8
# Share of the points that is spread evenly, whatever the scan says.
EVEN = 0.15
_NUMBERS = itertools.count()


def with_format(method: Method, work: Work, result: AnyResult) -> AnyResult:
    """The result with what the format of a half-precision net leaves open, where the method is one that it is measured for."""
    formats = " and ".join(work.session.function.formats)
    if not formats:
        return result
    try:
        error = (
            format_error(method, work, list(flatten(result.attributions).values()), present(result.evaluations))
            if method.measured_format and method.cloud is None
            else None
        )
    except (AttributionError, ValueError, TypeError, tf.errors.OpError) as failure:
        note = f"what {formats} leaves open is not known, since the net could not be computed in float32: {failure}"
        return dataclasses.replace(result, format=formats, notes=(*result.notes, note))
    return dataclasses.replace(result, format=formats, format_error=error)


def format_error(method: Method, work: Work, attributions: list[np.ndarray], evaluations: np.ndarray) -> np.ndarray:
    """(n,), the L1 distance of the attributions from those in float32, relative to the L1 norm of these.

    Args:
        attributions: those that were found, of each selected tensor.
        evaluations: (n,), the gradients that each example took: what rounds at random averages out over them.

    Raises:
        AttributionError: the net has gradients of its author's, or cannot be computed in float32.
    """
    tables, count = work.tables, len(work.tables.score)
    row = method.row(work.features, work.session.function.place.kind)
    if hasattr(row, "in_float32"):
        return _beside(method, work, row, attributions)
    if not isinstance(row, GradientIntegrand):
        raise AttributionError(f"the rows of {type(method).__name__} are no gradients along a path")
    velocity = row.velocity
    alpha, weight = _placed(work) if velocity == "difference" else (np.ones((count, 1)), np.ones((count, 1)))
    start = {key: table[tables.references.index[key][:, 0]] for key, table in tables.references.tables.items()}
    moves = {"difference": {key: x - start[key] for key, x in tables.x.items()}, "input": tables.x, "one": {}}[velocity]
    apart, size = [], []
    for number in range(alpha.shape[1]):
        at = {
            key: _shaped(1 - alpha[:, number], x) * start[key] + _shaped(alpha[:, number], x) * x for key, x in tables.x.items()
        }
        half, full = (
            _flat(
                [
                    value * _shaped(weight[:, number], value) * moves.get(key, 1)
                    for (key, value) in zip(tables.x, found, strict=True)
                ]
            )
            for found in _both(work, [value.astype(x.dtype) for value, x in zip(at.values(), tables.x.values(), strict=True)])
        )
        apart.append(half - full)
        size.append(full)
    return _extrapolated(np.stack(apart), np.sum(size, 0), evaluations)


def _beside(method: Method, work: Work, row: Any, attributions: list[np.ndarray]) -> np.ndarray:
    """The same of rows that say how they are computed in float32, all of which are run again."""
    session, tables = work.session, work.tables
    sums = method.sum_shapes(work.features, work)
    points = method.points(tables.references.count, None, work.features, session.function.place.kind)
    rule = Fixed([points] * len(tables.score), sums, session.function.dtype.as_numpy_dtype)
    outcome = session.run(row.in_float32, tables, rule, sums=sums)
    full = _flat([np.asarray(outcome.totals[key]) for key in tables.x])
    apart, size = np.abs(_flat(attributions) - full).sum(1), np.abs(full).sum(1)
    return np.divide(apart, size, out=np.where(apart > 0, np.inf, 0.0), where=size > 0)


def _extrapolated(apart: np.ndarray, size: np.ndarray, evaluations: np.ndarray) -> np.ndarray:
    """What the distances (points, n, features) come to where they are summed over more points: what they have in common stays,
    what differs by chance from one to the next averages out."""
    total, points = apart.sum(0), len(apart)
    squared = total**2
    if points > 1:
        chance = apart.var(0, ddof=1) * points
        squared = np.maximum(squared - chance, 0) + chance * (points / np.maximum(evaluations, points))[:, None]
    norm = np.abs(size).sum(1)
    error = np.sqrt(squared).sum(1)
    return np.divide(error, norm, out=np.where(error > 0, np.inf, 0.0), where=norm > 0)


def _placed(work: Work) -> tuple[np.ndarray, np.ndarray]:
    """(n, POINTS) alphas, dense where the score moves along each example's first path, and the widths that they stand for."""
    session, tables, count = work.session, work.tables, len(work.tables.score)
    cells, rows = np.linspace(0, 1, CELLS + 1), np.zeros(CELLS + 1, int)
    points = Points(cells, np.ones(CELLS + 1), rows, rows)
    moved = np.sqrt(np.abs(np.diff(session.path_scores(tables, points), axis=1)))
    moved = np.where(np.isfinite(moved), moved, 0)
    share = (1 - EVEN) * moved / np.maximum(moved.sum(1, keepdims=True), np.finfo(float).tiny) + EVEN / CELLS
    passed = np.concatenate([np.zeros((count, 1)), np.cumsum(share, 1)], 1)
    edges = np.stack([np.interp(np.linspace(0, one[-1], 2 * POINTS + 1), one, cells) for one in passed])
    return edges[:, 1::2], np.diff(edges[:, ::2], axis=1)


def _both(work: Work, at: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Gradients (n, ...) of the score at rows of the selected tensors, as the net computes them and in float32."""
    session, tables = work.session, work.tables
    ports = list(session.function.place.ports)
    half = session.gradients(dict(zip(ports, at, strict=True)), tables.context, tables.target)
    run, context = session.compiled("float32", in_float32), [tables.context[key] for key in session.function.context]
    parts = []
    for rows in np.array_split(np.arange(len(tables.target)), -(-2 * len(tables.target) // session.block)):
        filled = np.append(rows, np.full(max((session.function.rows or 0) - len(rows), 0), rows[-1]))
        parts.append([value[: len(rows)] for value in run(*(value[filled] for value in [*at, *context, tables.target]))])
    return list(half.values()), [np.concatenate(part) for part in zip(*parts, strict=True)]


def in_float32(function: ScoreFunction) -> Compiled:
    """The gradients of the score at the selected tensors, computed in float32 (rows of `ScoreFunction.signature`).

    Raises:
        AttributionError: the net has gradients of its author's, or operations without any.
    """
    graph, ports = function.traced.function.graph, function.place.ports
    score, target = function.chosen()
    with TRACING, graph.as_default():
        definition = graph.as_graph_def()
        source = {inner.name: outer for outer, inner in graph.captures} | {target.name: "target"}
    source |= {function.traced.inputs[key].name: ("input", key) for key in function.context}
    source |= {port.tensor.name: ("at", key) for key, port in ports.items()}
    flat = Flattening(definition, source).flat([score.name], f"_float32_{next(_NUMBERS)}")
    authored = written_by_author(flat)
    if authored:
        raise AttributionError(f"the gradient of {authored[0]!r} is its author's")
    widest = widened(flat)

    def backward(*tensors):
        here, given = tf.compat.v1.get_default_graph(), dict(zip(ports, tensors, strict=False))
        x = {key: tf.identity(wide(port.to_graph(given[key]))) for key, port in ports.items()}
        values = {("at", key): value for key, value in x.items()} | {"target": tensors[-1]}
        values |= {
            ("input", key): tf.cast(value, function.traced.inputs[key].dtype)
            for key, value in zip(function.context, tensors[len(ports) : -1], strict=True)
        }
        needed = {*widest.sources, *widest.references}
        fed = {
            reference: tf.identity(wide(values[one] if isinstance(one, str | tuple) else here.capture(one)))
            for reference, one in source.items()
            if reference in needed
        }
        fed |= {port.tensor.name: x[key] for key, port in ports.items()}
        with TRACING:
            (found,) = add_flat(widest, fed)
            registered(widest.graph, here)
            slopes = gradients(found, list(x.values()), "no gradient in float32")
        slopes = [
            tf.zeros_like(value) if slope is None else tf.convert_to_tensor(slope)
            for value, slope in zip(x.values(), slopes, strict=True)
        ]
        runnable(list(ancestors(slopes)), slopes)
        return [tf.cast(port.from_graph(slope), function.dtype) for port, slope in zip(ports.values(), slopes, strict=True)]

    return Compiled(backward, function.signature())


def _flat(values: list[np.ndarray]) -> np.ndarray:
    """(n, features), float64."""
    return np.concatenate([value.reshape(len(value), -1).astype(np.float64) for value in values], 1)


def _shaped(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    return values.reshape(-1, *[1] * (like.ndim - 1))
