"""From a method and what it works on to what came of all its rows."""

import dataclasses
from collections.abc import Callable

import numpy as np

from ..common.errors import AttributionError
from ..common.own_code import code_of
from ..common.types import Features
from ..selection.score_function import ScoreFunction
from .copies import digest, drawn, in_clouds, joined
from .integral.draws import Drawn
from .integral.integrator import Fixed, Outcome
from .integral.points import Points, checked
from .integral.refined import Refined
from .method import Method
from .work import Work

# One unit of the last place of half-precision formats, and by how many of them a score is rounded on its way through a net.
HALF, PLACES = {"float16": 2.0**-10, "bfloat16": 2.0**-7}, 4


def run(method: Method, work: Work, seed: int | None, memory: int, advance: Callable[[int], None]) -> Outcome:
    """What comes of all rows of `method`; where it looks at noisy copies of each example, averaged over these.

    Args:
        memory: bytes that gradients and copies kept on the host may take.
        advance: is told of rows that are done.
    """
    if method.cloud is None:
        return _all_finite(_outcome(method, work, seed, memory, advance))
    parts = []
    for which, copies in in_clouds(method.cloud, work.tables.x, seed, memory, work.bytes_beside):
        noisy = work.copied(which, copies, method.control is not None)
        parts.append(method.cloud.folded(_outcome(method, noisy, seed, memory, advance)))
    return _all_finite(joined(parts))


def _all_finite(outcome: Outcome) -> Outcome:
    """The same, where an example whose sums are not all finite is none that is: its scores and slopes may well be."""
    finite = outcome.finite.copy()
    for total in outcome.totals.values():
        finite &= np.isfinite(total).all(axis=tuple(range(1, total.ndim)))
    return dataclasses.replace(outcome, finite=finite)


def row_count(method: Method, work: Work) -> int | None:
    """How many rows `method` evaluates; None where it refines."""
    if method.control is not None or method.has_integrator:
        return None
    rng = np.random.default_rng(0) if method.random else None  # how many there are does not depend on what is drawn
    references = work.tables.references.count
    points = _points_of(method, references, rng, work)
    return len(points.alpha) * len(work.tables.score) * (method.cloud.n_samples if method.cloud else 1)


def _outcome(method: Method, work: Work, seed: int | None, memory: int, advance: Callable[[int], None]) -> Outcome:
    session, tables, control = work.session, work.tables, method.control
    function = session.function
    dtype, odds = function.dtype.as_numpy_dtype, control is not None and function.log_odds is not None
    sums: Features | None = method.sum_shapes(work.features, work)
    own, lengths = method.integrator(work, seed), method.path_lengths(work)
    if own is not None:
        integrator, sums = own, None  # it sums scores itself
    elif control is not None:
        integrator = Refined(
            control,
            tables.score,
            work.compared.baseline_scores,
            sums,
            dtype,
            odds,
            memory,
            method.shares_residual(function),
            1 if method.cloud is None else method.cloud.judged_together,
            rounding_of(function),
            lengths,
        )
    else:
        found = _points(method, work, seed)
        integrator = (Drawn if found[0].drawn else Fixed)(found, sums, dtype, method.forward_only)
    with code_of(f"row of {method!r}"):
        row = method.row(work.features, function.place.kind)
    if not callable(row) or row.__hash__ is None:
        raise AttributionError(
            f"the row of {method!r} must be a function or a frozen dataclass with __call__, so that it is compiled once; "
            f"got {row!r}"
        )
    outcome = session.run(row, tables, integrator, odds, advance, sums)
    if method.on_path and method.uses_baseline and not session.gives_slope(row, odds):
        raise AttributionError(
            f"{method!r} says on_path = True, which reads slopes of the score along the path, and the slope of its row is the "
            "same whatever the row: return per_row_sum of gradients times row.difference() in its place, or leave on_path False"
        )
    return outcome


def rounding_of(function: ScoreFunction) -> float | None:
    """The relative precision of the scores of a net that computes in half precision, None of another."""
    return max((PLACES * HALF[name] for name in function.formats), default=None)


def _points(method: Method, work: Work, seed: int | None) -> list[Points]:
    """The points of each example. Draws are seeded by (seed, the example's own values): its company does not matter."""
    x, references = work.tables.x, work.tables.references.count
    count = len(next(iter(x.values())))
    if not method.random:
        return [_points_of(method, references, None, work)] * count
    seed = drawn(seed)
    found = []
    for i in range(count):
        rng = np.random.default_rng([seed, digest(x, i)])
        found.append(_points_of(method, references, rng, work, found[0] if found else None))
    return found


def _points_of(
    method: Method, references: int, rng: np.random.Generator | None, work: Work, first: Points | None = None
) -> Points:
    """The points of one example, where they are what the engine can sum; `first`: those of the first."""
    hint = "" if rng is not None else " (a class that draws from rng says random = True)"
    with code_of(f"points of {method!r}", hint=hint):
        made = method.points(references, rng, work.features, work.session.function.place.kind)
    points = checked(repr(method), made, references, first)
    if references == 1 or rng is not None or not method.takes_baselines:
        return points
    used = len(np.unique(points.reference))
    if used < references:
        raise AttributionError(
            f"the points of {method!r} use {used} of {references} baselines: points.at_references(references) or "
            "path(rule, references) take all of them; or give one baseline"
        )
    return points
