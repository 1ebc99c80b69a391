"""Rows that integrate gradients along paths."""

import dataclasses

import numpy as np

from ..common.errors import AttributionError
from ..common.types import Features, present
from ..engine.curves import Curve, CurveIntegrand, lengths
from ..engine.integral import placing, points
from ..engine.integral.quadrature import DEFAULT_RULE, DEFAULT_STEPS, Rule, make_rule
from ..engine.integral.refined import Control
from ..engine.method import Method
from ..engine.row import GradientIntegrand, RowFunction
from ..engine.work import Work
from ..selection.score_function import ScoreFunction

# What integrated gradients aim at unless told otherwise.
TOLERANCE, MOST_EVALUATIONS = 0.05, 1025


@dataclasses.dataclass(frozen=True, repr=False)
class PathMethod(Method):
    """What methods share that integrate along paths from x' to x.

    Each path is refined until its estimated L1 error, relative to the L1 norm of its attributions, is at most `tolerance`; the
    result states the estimate, and a status for each example. `rule` or `n_steps` select a rule with fixed nodes instead.

    Attributes:
        tolerance: between 0 and 1. 0.05 is enough for pictures; 0.01 is for numbers. float32 carries it to about 1e-4.
        max_evaluations: gradients on one path, at least 2. A path that needs more is marked as not converged.
        rule: a name in `ta.extend.RULES`, such as "gauss_legendre" or "midpoint", or a `ta.Rule`, which has its own nodes.
        n_steps: steps on the path of a rule by name, 50 unless given; the trapezoid has n_steps + 1 nodes.
    """

    tolerance: float = TOLERANCE
    max_evaluations: int = MOST_EVALUATIONS
    rule: str | Rule | None = dataclasses.field(default=None, kw_only=True)
    n_steps: int | None = dataclasses.field(default=None, kw_only=True)
    on_path = True

    def __post_init__(self) -> None:
        number = isinstance(self.tolerance, float | int | np.floating) and not isinstance(self.tolerance, bool)
        if not number or not 0 < self.tolerance < 1:
            hint = f"; a fixed rule is rule={self.tolerance!r}" if isinstance(self.tolerance, str | Rule) else ""
            raise AttributionError(f"tolerance must be a number between 0 and 1, such as 0.01; got {self.tolerance!r}{hint}")
        whole = isinstance(self.max_evaluations, int | np.integer) and not isinstance(self.max_evaluations, bool)
        if not whole or self.max_evaluations < 2:
            raise AttributionError(f"max_evaluations must be a whole number of at least 2, got {self.max_evaluations!r}")
        if self._rule is not None and (self.tolerance, self.max_evaluations) != (TOLERANCE, MOST_EVALUATIONS):
            raise AttributionError(
                "rule= and n_steps= select a rule with fixed nodes, which has no tolerance and no "
                "max_evaluations: leave one or the other out"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._accuracy})"

    @property
    def _accuracy(self) -> str:
        """How the integral is taken, as it would be typed."""
        if self._fixed:
            if isinstance(self.rule, Rule):
                return f"rule={self.rule.name} of {len(self.rule)} nodes"
            steps = DEFAULT_STEPS if self.n_steps is None else self.n_steps
            return f"rule={DEFAULT_RULE if self.rule is None else self.rule!r}, n_steps={steps}"
        most = "" if self.max_evaluations == MOST_EVALUATIONS else f", max_evaluations={self.max_evaluations}"
        return f"tolerance={self.tolerance:g}{most}"

    @property
    def _fixed(self) -> bool:
        """Whether a fixed rule is selected."""
        return self.rule is not None or self.n_steps is not None

    @property
    def _rule(self) -> Rule | None:
        """The fixed rule, where one is selected."""
        return make_rule(self.rule, self.n_steps) if self._fixed else None

    @property
    def control(self) -> Control | None:  # pyright: ignore[reportIncompatibleVariableOverride] (of these fields)
        return None if self._fixed else Control(float(self.tolerance), int(self.max_evaluations))

    def points(self, references: int, rng: np.random.Generator | None, features: Features, kind: str) -> points.Points:
        return points.path(present(self._rule), references)

    def when_incomplete(self, function: ScoreFunction) -> str | None:
        short = super().when_incomplete(function)
        return short if short is None or not self._fixed else "too_few_steps"


@dataclasses.dataclass(frozen=True, repr=False)
class IntegratedGradients(PathMethod):
    """(x - x') · integral over alpha in [0, 1] of dF/dx at x' + alpha (x - x').

    Sundararajan et al. 2017, arXiv:1703.01365, equation 1. Several baselines: the mean over them. Along another path x(alpha)
    each feature i gets the integral of dF/dx_i at x(alpha) times dx_i/dalpha (section 4): the total stays the same, the parts
    do not; features that are treated alike get the same where the path moves them alike.

    Attributes:
        path: a function of (baseline, x, alpha) to the points of another path, by operations of TensorFlow: tensors (rows, ...)
            and alpha (rows, 1, ...), the baseline at alpha = 0 and x at 1; no row may depend on another. Of several tensors
            each goes it by itself. Its derivative is taken by TensorFlow. A function is compiled once: keep it.
    """

    path: Curve | None = dataclasses.field(default=None, kw_only=True)
    complete = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.path is not None and (not callable(self.path) or getattr(self.path, "__hash__", None) is None):
            raise AttributionError(
                "path must be a function of (baseline, x, alpha) to points between them, such as path=lambda baseline, x, "
                f"alpha: baseline + alpha**2 * (x - baseline), or a frozen dataclass with __call__; got {self.path!r}"
            )

    @property
    def _accuracy(self) -> str:
        shown = getattr(self.path, "__name__", type(self.path).__name__)
        return super()._accuracy + ("" if self.path is None else f", path={shown}")

    @property
    def on_path(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (of a constant)
        return self.path is None  # how fast another path comes in says nothing of the gradient at the input

    @property
    def measured_format(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (of a constant)
        return self.path is None

    def path_lengths(self, work: Work) -> np.ndarray | None:
        return None if self.path is None else lengths(self.path, work.tables, placing.CELLS)

    def row(self, features: Features, kind: str) -> RowFunction:
        return GradientIntegrand("difference") if self.path is None else CurveIntegrand(self.path)


@dataclasses.dataclass(frozen=True)
class ExpectedGradients(Method):
    """E over x' ~ data, alpha ~ U(0, 1) of (x - x') · dF/dx at x' + alpha (x - x') (Erion et al. 2021, arXiv:1906.10670,
    equation 3), estimated from `n_samples` draws: complete only in the limit, and `gap` says how far from it."""

    n_samples: int = 200
    needs_data = True
    random = True

    def points(self, references: int, rng: np.random.Generator | None, features: Features, kind: str) -> points.Points:
        if isinstance(self.n_samples, bool) or not isinstance(self.n_samples, int | np.integer) or self.n_samples < 1:
            raise AttributionError(f"n_samples must be a whole number of at least 1, got {self.n_samples!r}")
        return points.random_path(self.n_samples, references, present(rng))

    def row(self, features: Features, kind: str) -> RowFunction:
        return GradientIntegrand("difference")

    def when_incomplete(self, function: ScoreFunction) -> str | None:
        return "too_few_samples"
