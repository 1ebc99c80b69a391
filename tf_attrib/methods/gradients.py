"""Rows whose points are gradients taken as they are: at the input, or along the path."""

import dataclasses
from typing import ClassVar

import numpy as np

from ..common.checks import whole
from ..common.errors import AttributionError
from ..common.types import Features
from ..engine.integral import points
from ..engine.integral.quadrature import make_rule
from ..engine.method import Method
from ..engine.row import GradientIntegrand, RowFunction
from ..selection.score_function import ScoreFunction
from .deeplift.multipliers import RectifierIntegrand, at_rectifiers_only

PER_INPUT = "{} per unit of input"


@dataclasses.dataclass(frozen=True)
class Gradient(Method):
    """dF/dx at the input (Simonyan et al. 2014, arXiv:1312.6034, section 3), signed, per unit of x."""

    takes_baselines = False
    uses_baseline = False
    kind = "slope"
    in_score_units = False
    on_path = True
    measured_format = True

    def points(self, references: int, rng: np.random.Generator | None, features: Features, kind: str) -> points.Points:
        return points.at_input()

    def unit(self, of_score: str) -> str:
        return PER_INPUT.format(of_score)

    def row(self, features: Features, kind: str) -> RowFunction:
        return GradientIntegrand("one")


@dataclasses.dataclass(frozen=True)
class GradientTimesInput(Method):
    """x · dF/dx at the input (Shrikumar et al. 2016, arXiv:1605.01713, section 2): complete for linear F only."""

    takes_baselines = False
    on_path = True
    measured_format = True

    def points(self, references: int, rng: np.random.Generator | None, features: Features, kind: str) -> points.Points:
        return points.at_input()

    def row(self, features: Features, kind: str) -> RowFunction:
        return GradientIntegrand("input")


@dataclasses.dataclass(frozen=True)
class InteriorGradients(Method):
    """dF/dx at x' + alpha (x - x') for alpha = 1/n, ..., 1 (Sundararajan et al. 2016, arXiv:1611.02639, section 2).

    Attributions have the steps as axis 1: (batch, n_steps, ...).
    """

    n_steps: int = 50
    kind = "slope"
    in_score_units = False
    on_path = True

    def points(self, references: int, rng: np.random.Generator | None, features: Features, kind: str) -> points.Points:
        if references > 1:
            raise AttributionError(f"interior gradients lie on one path; {references} baselines were given: give one")
        make_rule("right", whole("n_steps", self.n_steps))  # the same check of how many there may be
        return points.series(self.n_steps)

    def unit(self, of_score: str) -> str:
        return PER_INPUT.format(of_score)

    def row(self, features: Features, kind: str) -> RowFunction:
        return GradientIntegrand("one")


@dataclasses.dataclass(frozen=True)
class ThroughRectifiers(Method):
    """What methods share that change gradients at rectifiers, and nowhere else."""

    takes_baselines = False
    uses_baseline = False
    kind = "slope"
    in_score_units = False
    linear = False  # what counts is the sign of what comes from above
    measured_format = True
    rules: ClassVar[str] = ""

    def points(self, references: int, rng: np.random.Generator | None, features: Features, kind: str) -> points.Points:
        return points.at_input()

    def unit(self, of_score: str) -> str:
        return PER_INPUT.format(of_score)

    def row(self, features: Features, kind: str) -> RowFunction:
        return RectifierIntegrand(self.rules)

    def notes(self, function: ScoreFunction) -> tuple[str, ...]:
        return at_rectifiers_only(function)


@dataclasses.dataclass(frozen=True)
class GuidedBackprop(ThroughRectifiers):
    """dF/dx at the input, with negative gradients stopped at every rectifier: max(g, 0) · 1[x > 0] passes a ReLU (Springenberg
    et al. 2014, arXiv:1412.6806, section 3.4). Pictures are sharp and hardly depend on the class; it claims no completeness."""

    rules = "guided"


@dataclasses.dataclass(frozen=True)
class Deconvolution(ThroughRectifiers):
    """dF/dx at the input, with every rectifier's own derivative replaced by a rectifier of what comes from above: max(g, 0)
    passes a ReLU, whether or not it was active (Zeiler & Fergus 2014, arXiv:1311.2901, section 2.1). Maxima hand down where
    they were taken, as gradients do. Pictures hardly depend on the class; it claims no completeness."""

    rules = "deconvolution"
