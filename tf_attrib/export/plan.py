"""What is exported of a method: which rows it evaluates, and what of a call is settled when it is written."""

import dataclasses
from typing import Any

import numpy as np

from ..common.errors import AttributionError
from ..common.types import Features
from ..engine.integral.points import Points
from ..engine.integral.refined import Control
from ..engine.integral.rounds import ROUNDING
from ..engine.method import METHODS, Method
from ..engine.row import RowFunction
from ..engine.run import rounding_of
from ..engine.work import Work
from ..methods.coalitions.estimators import Permutations
from ..methods.coalitions.methods import MOST_ENUMERATED, ShapleySampling
from ..methods.groups import COUNT
from ..selection.score_function import ScoreFunction
from ..selection.settled import WORDS
from . import nested
from .shapley import Game


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """A method as a graph evaluates it, for any examples that a model takes.

    Attributes:
        method, function: what explains, and what is explained.
        keys: under which attributions to each selected tensor are handed out.
        tables: (k, ...) by key of the selected tensors, the references that are written into the graph; sizes that follow the
            input are 1.
        words: what they are.
        asks_baseline: whether one reference may come with a call.
        extra: (1, ...), what rows need of each example, by name.
        sums: shapes of what one row gives, by key.
        row, points: of methods whose rows are known beforehand.
        control: of those that refine.
        game: of Shapley values.
        rounding: of scores, relative.
        block: rows that are evaluated together; chunk: examples that are explained together.
        seed: of what is drawn.
    """

    method: Method
    function: ScoreFunction
    keys: list[Any]
    tables: dict[Any, np.ndarray]
    words: str
    asks_baseline: bool
    extra: dict[Any, np.ndarray]
    sums: Features
    row: RowFunction | None
    points: Points | None
    control: Control | None
    game: Game | None
    rounding: float
    block: int
    chunk: int
    seed: int

    @property
    def references(self) -> int:
        """k."""
        return len(next(iter(self.tables.values())))


def planned(method: Method, work: Work, block: int | None, seed: int) -> Plan:
    """The plan of `method`, given the work of a call with a few examples.

    Args:
        block: rows that are evaluated together; default: as many as the engine takes.

    Raises:
        AttributionError: the model, the method, its references or groups cannot be part of a graph.
    """
    session, function = work.session, work.session.function
    _check(method, function)
    block = function.rows or block or session.block
    features = {key: tuple(shape) for key, shape in function.features().items()}
    tables = _tables(method, work, features)
    count = len(next(iter(tables.values())))
    handed = dict(zip(work.tables.x, features.values(), strict=True))
    game = _game(method, work, features, count, seed) if isinstance(method, ShapleySampling) else None
    control = method.control
    row = points = None
    if game is None:
        _check_sizes(method, features)
        row = method.row(work.features, function.place.kind)
        points = None if control is not None else _summed(method.points(count, None, work.features, function.place.kind))
    if control is not None and control.max_evaluations < nested.FIRST:
        raise AttributionError(
            f"max_evaluations={control.max_evaluations}: inside a graph a path has {nested.FIRST} nodes at least; give as "
            "many, or a fixed rule, ta.IntegratedGradients(rule='gauss_legendre', n_steps=8)"
        )
    copies = 1 if method.cloud is None else method.cloud.n_samples
    each = nested.FIRST * count if points is None else len(points.alpha) * copies
    return Plan(
        method,
        function,
        list(handed),
        tables,
        work.tables.references.words if method.uses_baseline else "",
        bool(method.takes_baselines and method.uses_baseline and count == 1),
        _shared(method, work),
        method.sum_shapes(handed, work) if game is None else handed,
        row,
        points,
        control,
        game,
        _rounding(function),
        block,
        _together(block, max(each, 1), points is None),
        seed,
    )


def predicts(function: ScoreFunction) -> bool:
    """Whether a call needs no target: there is one score, or classes of which the highest is the predicted one."""
    rank = function.target_rank if function.output.with_target else 0
    return rank == 0 or (rank == 1 and (function.output.has_classes or function.value_shape == (1,)))


def _summed(points: Points) -> Points:
    """The rows that enter a sum: those that are looked at only say nothing that a signature gives."""
    rows = points.weight != 0
    return Points(points.alpha[rows], points.weight[rows], points.reference[rows], points.slot[rows], points.slots)


def _together(block: int, each: int, refines: bool) -> int:
    """How many examples of `each` rows are explained together: so many that blocks are nearly full, also where of those that
    are refined some are done."""
    return -(-4 * block // each) if refines or 4 * each > block else block // each


def _rounding(function: ScoreFunction) -> float:
    """The relative precision of scores."""
    half = rounding_of(function)
    return half if half is not None else ROUNDING * float(np.finfo(np.dtype(function.dtype.name)).eps)


def exportable() -> list[str]:
    """Names of the methods that a graph can evaluate."""
    return [name for name, made in METHODS.items() if _why_not(made()) is None]


def _why_not(method: Method) -> str | None:
    """Why a graph cannot evaluate `method`."""
    if isinstance(method, ShapleySampling):
        return None
    if method.gives_more:
        return "it goes on from attributions in Python"
    if method.has_integrator:
        return "what it evaluates next is decided in Python"
    if method.random:
        return "it draws anew for each example, in Python"
    if method.cloud is not None and method.control is not None:
        return (
            "of noisy copies a graph takes paths with fixed nodes alone: "
            "ta.SmoothGrad(ta.IntegratedGradients(rule='gauss_legendre', n_steps=16))"
        )
    if method.control is not None and not method.on_path:
        return "along another path a graph takes fixed nodes alone: give n_steps="
    return None


def _check(method: Method, function: ScoreFunction) -> None:
    """Raises where a graph cannot hold the method or the model."""
    called = function.traced.called
    if called is not None or function.traced.calls_python:
        why = "an operation of it calls Python" if called is None else called.why
        raise AttributionError(f"the model cannot be exported: {why}, and a SavedModel holds operations of TensorFlow alone")
    if any(key[0] == WORDS for key in function.output.data):
        raise AttributionError(
            "the model cannot be exported with texts of any number of words, which it masks by what is the longest of those "
            "that are evaluated together: give its TextVectorization an output_sequence_length"
        )
    if function.output.data:
        raise AttributionError(
            f"{function.output.words} has rows of its own for each example, which a signature has no input for: give them "
            "to the model as an input, and leave data= out"
        )
    why = _why_not(method)
    if why is not None:
        raise AttributionError(f"{method!r} cannot be exported: {why}; those that can: {', '.join(exportable())}")


def _check_sizes(method: Method, features: Features) -> None:
    """Raises where rows take parts of an input away whose size is not known."""
    for key, shape in features.items():
        if method.forward_only and None in shape:
            named = "the selected tensor" if key is None else repr(key)
            raise AttributionError(
                f"{method!r} takes parts of {named} away, whose shape {shape} for each example must be known when it is "
                "exported: build the model for one size, such as keras.Input((28, 28, 1)), or choose a method with gradients"
            )


def _tables(method: Method, work: Work, features: Features) -> dict[Any, np.ndarray]:
    """The references, by the graph's keys."""
    references = work.tables.references
    if method.uses_baseline and not references.shared:
        raise AttributionError(
            f"the baseline ({references.words}) follows each example, and what is exported holds one for all: give an array, "
            "ta.zeros() or ta.constant(value), and send another as the input 'baseline' of the signature"
        )
    found = {}
    for (key, shape), table, index in zip(features.items(), references.tables.values(), references.index.values(), strict=True):
        own = table[index[0]]
        for axis, size in enumerate(shape, 1):
            if size is None:
                first = np.take(own, [0], axis)
                if not np.array_equal(np.broadcast_to(first, own.shape), own):
                    raise AttributionError(
                        f"the baseline ({references.words}) has other values along axis {axis}, whose size the model "
                        "leaves open: give one that is the same everywhere along it, such as ta.zeros() or ta.token(id)"
                    )
                own = first
        found[key] = own
    return found


def _shared(method: Method, work: Work) -> dict[Any, np.ndarray]:
    """What rows need of each example, where all examples have the same."""
    found = {}
    for name, value in work.tables.extra.items():
        if not (value == value[:1]).all():
            raise AttributionError(
                f"{method!r} has other groups for each example, and what is exported holds one for all: give groups of "
                "the shape of one example"
            )
        found[name] = value[:1]
    return found


def _game(method: ShapleySampling, work: Work, features: Features, references: int, seed: int) -> Game:
    """Who plays, and how it is found what each gets.

    Raises:
        AttributionError: not enough coalitions may be evaluated.
    """
    _check_sizes(method, features)
    extra = _shared(method, work)
    groups = [np.broadcast_to(extra["group", i][0], shape).astype(np.int32) for i, shape in enumerate(features.values())]
    players, most = int(extra[COUNT][0]), int(method.max_evaluations)
    every = (2**players - 2) * references if players <= MOST_ENUMERATED else np.inf
    exact = players == 1 or (players <= method.exact_up_to and every <= most)
    ways = 2 if method.antithetic else 1
    cost = references * ways * max(players - 1, 1)
    if not exact and not method.draws and most < Permutations.first * cost:
        raise AttributionError(
            f"{players} players and {references} baseline(s) need {Permutations.first * cost:,} coalitions at least, "
            f"max_evaluations={most:,} allows fewer: raise it, or let features play together, groups=ta.tiles(shape, size)"
        )
    return Game(groups, players, float(method.tolerance), most, exact, method.draws, ways, seed)
