"""Rows that are coalitions: Shapley values by permutations and by regression, and LIME."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from ...common.checks import is_number, number, whole, whole_or_none
from ...common.errors import AttributionError
from ...common.nested import flatten, is_nested_list
from ...common.types import Features, Leaves
from ...engine.copies import drawn
from ...engine.integral.integrator import Integrator
from ...engine.method import Method
from ...engine.row import RowFunction
from ...engine.session import Session
from ...engine.work import Work
from ...selection.channels_last import check_channels_last, width_as_channels
from ...selection.inputs import as_arrays
from ...selection.score_function import ScoreFunction
from ..groups import COUNT, grouped, label_map
from .estimators import Enumerated, Estimator, Permutations, Regression
from .game import CoalitionScore, Game, games_of
from .sampled import Sampled
from .surrogate import Surrogate

# Beyond so many players all their coalitions are never evaluated.
MOST_ENUMERATED = 20
# With no more players than this, all are evaluated where nothing else is asked for.
EXACT = 10
# Coalitions of one example that are evaluated where nothing else is asked for.
MOST_EVALUATIONS = 10_000


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Coalitions(Method):
    """What methods share that evaluate coalitions: a player is a feature, with its channels or dimensions, or a group of
    features that come and go together. Absent players are replaced by the baseline. Those equal to it take no part."""

    groups: Any = None
    forward_only = True
    random = True

    def __post_init__(self) -> None:
        if self.groups is not None:
            as_arrays(self.groups, "group")

    def __repr__(self) -> str:
        fields = {field.name: (getattr(self, field.name), field.default) for field in dataclasses.fields(self)}
        said = [f"{name}={value!r}" for name, (value, usual) in fields.items() if name != "groups" and value != usual]
        if self.groups is not None:
            parts = [self.groups] if is_nested_list(self.groups) else flatten(self.groups).values()
            shapes = ", ".join(str(np.shape(part)) for part in parts)
            said.insert(0, f"groups of shape {shapes}")
        return f"{type(self).__name__}({', '.join(said)})"

    def session_for(self, session: Session) -> Session:
        if self.groups is None:
            check_channels_last(f"{type(self).__name__} without groups", session.function)
        return session

    def row_extras(self, x: Leaves, session: Session) -> Leaves:
        return grouped(self.groups, x)

    def row(self, features: Features, kind: str) -> RowFunction:
        return CoalitionScore()

    def estimator(self, game: Game) -> Estimator | None:
        """What estimates the values of a game; None where no one plays."""
        raise NotImplementedError

    def fields(self, work: Work) -> dict[str, Any]:
        return {"regions": label_map(self.groups, work.tables.extra)}

    def notes(self, function: ScoreFunction) -> tuple[str, ...]:
        return width_as_channels(function) if self.groups is None else ()


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ShapleyMethod(Coalitions):
    """What methods share that estimate Shapley values: what a player adds to those who are there already, in the mean over all
    orders in which players may come. Features of a group get equal parts of what it gets, so that all sum to F(x) - F(x').

    Attributes:
        groups: as `ta.Ablation` takes them; default: every feature is a player, with its channels or dimensions.
        tolerance: draws are added until the estimated L1 error, relative to the L1 norm of the attributions, is at most this.
        max_evaluations: coalitions of one example; one that needs more is marked as not converged.
        exact_up_to: with no more players than this, all coalitions are evaluated and nothing is left to chance; at most 20,
            and where all of them are no more than `max_evaluations` (more than 10 players: else an error).
    """

    tolerance: float = dataclasses.field(default=0.05, kw_only=True)
    max_evaluations: int = dataclasses.field(default=MOST_EVALUATIONS, kw_only=True)
    exact_up_to: int = dataclasses.field(default=EXACT, kw_only=True)
    complete = True
    exact = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_number(self.tolerance) or not 0 < self.tolerance < 1:
            raise AttributionError(f"tolerance must be a number between 0 and 1, such as 0.05; got {self.tolerance!r}")
        whole("max_evaluations", self.max_evaluations, 2)
        whole("exact_up_to (players)", self.exact_up_to, 0, MOST_ENUMERATED)

    def integrator(self, work: Work, seed: int | None) -> Integrator:
        games = games_of(work, drawn(seed))
        estimators = [self.estimator(game) for game in games]
        most = int(self.max_evaluations)
        return Sampled(work, games, estimators, float(self.tolerance), most, split=True, draws=self.draws)

    @property
    def draws(self) -> int:
        """How many draws are taken, whatever the error; 0: as many as the tolerance asks for."""
        return 0

    def estimator(self, game: Game) -> Estimator | None:
        """What estimates the values of a game: all coalitions where these are few; None where no one plays."""
        if not game.count:
            return None
        every = (2**game.count - 2) * len(game.below) if game.count <= MOST_ENUMERATED else np.inf
        if game.count == 1 or (game.count <= self.exact_up_to and every <= self.max_evaluations):
            return Enumerated(game)
        if game.count <= self.exact_up_to and self.exact_up_to > EXACT:  # asked for, and not the usual
            raise AttributionError(
                f"exact_up_to={self.exact_up_to} asks for all {int(every):,} coalitions of {game.count} players and "
                f"{len(game.below)} baseline(s), max_evaluations={self.max_evaluations:,} allows fewer: raise it, or leave "
                "exact_up_to out to draw some of them"
            )
        found = self.sampling(game)
        if not self.draws and found.least * found.cost > self.max_evaluations:
            raise AttributionError(
                f"{game.count} players and {len(game.below)} baseline(s) need at least {found.least * found.cost:,} "
                f"evaluations of {type(self).__name__}, max_evaluations={self.max_evaluations:,} allows fewer: raise it, "
                "or let features play together, groups=ta.tiles(shape, size) or groups=ta.superpixels(images)"
            )
        return found

    def sampling(self, game: Game) -> Estimator:
        """What estimates the values of a game with too many players for all coalitions."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ShapleySampling(ShapleyMethod):
    """Shapley values from orders of players that are drawn: the mean of what each player adds when it comes in (Castro et al.
    2009, 10.1016/j.cor.2008.04.004; Strumbelj & Kononenko 2010). All sum to F(x) - F(x'), however few the draws.

    Attributes:
        groups, tolerance, max_evaluations, exact_up_to: as in `ta.KernelSHAP`.
        antithetic: whether each order is taken in reverse, too, which cancels much of the noise (Mitchell et al. 2022,
            arXiv:2104.12199, section 4.1).
        n_permutations: so many orders are taken, whatever they cost, and `tolerance` says no more than whether the estimated
            error is small enough; with `antithetic` an odd number is rounded up. Of one order and its reverse no error can be
            estimated: it is infinite. Players up to `exact_up_to` are still enumerated.
    """

    antithetic: bool = dataclasses.field(default=True, kw_only=True)
    n_permutations: int | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if whole_or_none("n_permutations", self.n_permutations) is not None and self.max_evaluations != MOST_EVALUATIONS:
            raise AttributionError(
                f"n_permutations={self.n_permutations} says how many orders are taken, and "
                f"max_evaluations={self.max_evaluations:,} how many coalitions: give one of them"
            )

    @property
    def draws(self) -> int:
        return 0 if self.n_permutations is None else -(-int(self.n_permutations) // (2 if self.antithetic else 1))

    def sampling(self, game: Game) -> Estimator:
        return Permutations(game, bool(self.antithetic))


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class KernelSHAP(ShapleyMethod):
    """Shapley values as a regression of the score on who is present, weighed by the Shapley kernel and held to sum to
    F(x) - F(x') (Lundberg & Lee 2017, arXiv:1705.07874; drawn and paired as in Covert & Lee 2021, arXiv:2012.01536).

    Attributes:
        groups: as `ta.Ablation` takes them; default: every feature is a player, with its channels or dimensions.
        tolerance: draws are added until the estimated L1 error, relative to the L1 norm of the attributions, is at most this.
        max_evaluations: coalitions of one example; one that needs more is marked as not converged.
        exact_up_to: with no more players than this, all coalitions are evaluated and nothing is left to chance; at most 20,
            and where all of them are no more than `max_evaluations` (more than 10 players: else an error).
        paired: whether each coalition is evaluated with its complement, which cancels much of the noise.
    """

    paired: bool = dataclasses.field(default=True, kw_only=True)

    def sampling(self, game: Game) -> Estimator:
        return Regression(game, bool(self.paired))


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LIME(Coalitions):
    """The coefficients of a ridge regression, or of lasso, of the score on which features are present, fitted near the example
    (Ribeiro et al. 2016, arXiv:1602.04938). Every feature of a group gets the whole coefficient of its group.

    Coalitions weigh exp(-D² / kernel_width²), D being their cosine distance from that of all players.

    Attributes:
        groups: as `ta.Ablation` takes them, such as `ta.superpixels(images)`; default: every feature is one, with its channels
            or dimensions.
        n_samples: coalitions that are evaluated; of fewer players, all of them, once for each baseline.
        kernel_width: in units of the cosine distance, which goes from 0 to 1.
        ridge: the penalty on the squares of the coefficients; the intercept has none.
        lasso: the penalty on their magnitudes, which sets small ones to 0; 0: none.
    """

    n_samples: int = dataclasses.field(default=1000, kw_only=True)
    kernel_width: float = dataclasses.field(default=0.75, kw_only=True)
    ridge: float = dataclasses.field(default=0.01, kw_only=True)
    lasso: float = dataclasses.field(default=0.0, kw_only=True)
    kind: ClassVar[str] = "effect"
    in_score_units: ClassVar[bool] = False
    dummies: ClassVar[bool] = False  # a fitted line leaves traces of others where they are not present alike

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("n_samples", self.n_samples, 2)
        number("kernel_width", self.kernel_width, above=0)
        number("ridge", self.ridge, above=0)
        if number("lasso", self.lasso) < 0:
            raise AttributionError(f"lasso must be at least 0 (0: no penalty on magnitudes), got {self.lasso!r}")

    def integrator(self, work: Work, seed: int | None) -> Integrator:
        games, most = games_of(work, drawn(seed)), int(self.n_samples)
        return Sampled(work, games, [self.estimator(game) for game in games], None, most, split=False, draws=most)

    def estimator(self, game: Game) -> Estimator | None:
        """What fits the line to a game; None where no one plays."""
        most = int(self.n_samples)
        if 2 ** min(game.count, 62) - 1 > most and most <= game.count + 1:
            raise AttributionError(
                f"LIME fits a coefficient to each of {game.count} players: n_samples must be more than that, got {most}; "
                "or let features play together, groups=ta.superpixels(images)"
            )
        return Surrogate(game, most, self.kernel_width, self.ridge, self.lasso) if game.count else None

    def fields(self, work: Work) -> dict[str, Any]:
        taken = "positions" if self.groups is None else "groups"
        return super().fields(work) | {"taken_away": taken, "groups": work.tables.extra[COUNT]}
