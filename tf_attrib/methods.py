"""The methods table: one small frozen dataclass a row, with its formula and source.

A method is points (where rows are taken, and with which weights) and a row function (what each row gives). It has no
loop of its own: see `engine`. In the formulas F is the explained score, x the selected tensor, x' its baseline.
"""

import dataclasses

import numpy as np

from . import baselines, points
from .deeplift import DeepLiftRow, GuidedRow, replaced_gradients
from .errors import AttributionError, nearest
from .method import Method
from .perturb import OcclusionRow, make_windows
from .quadrature import Rule, make_rule
from .refining import Control
from .rows import GradientRow

# What integrated gradients aim at unless told otherwise.
TOLERANCE, MOST_EVALUATIONS = 0.05, 1025


@dataclasses.dataclass(frozen=True)
class Gradient(Method):
    """dF/dx at the input (Simonyan et al. 2014, arXiv:1312.6034, section 3), signed, per unit of x."""

    takes_baselines = False
    uses_baseline = False
    in_score_units = False

    def points(self, references, rng, features, kind):
        return points.at_input()

    def row(self, features, kind):
        return GradientRow("one")


@dataclasses.dataclass(frozen=True)
class GradientTimesInput(Method):
    """x · dF/dx at the input (Shrikumar et al. 2016, arXiv:1605.01713, section 2): complete for linear F only."""

    takes_baselines = False

    def points(self, references, rng, features, kind):
        return points.at_input()

    def row(self, features, kind):
        return GradientRow("input")


@dataclasses.dataclass(frozen=True)
class InteriorGradients(Method):
    """dF/dx at x' + alpha (x - x') for alpha = 1/n, ..., 1 (Sundararajan et al. 2016, arXiv:1611.02639, section 2).

    Attributions have the steps as axis 1: (batch, n_steps, ...).
    """

    n_steps: int = 50
    in_score_units = False

    def points(self, references, rng, features, kind):
        if references > 1:
            raise AttributionError(f"interior gradients lie on one path; {references} baselines were given: give one")
        make_rule("right", self.n_steps)  # the same check of n_steps
        return points.series(self.n_steps)

    def row(self, features, kind):
        return GradientRow("one")


@dataclasses.dataclass(frozen=True, repr=False)
class IntegratedGradients(Method):
    """(x - x') · integral over alpha in [0, 1] of dF/dx at x' + alpha (x - x').

    Sundararajan et al. 2017, arXiv:1703.01365, equation 1. Several baselines: the mean over them.

    Each path is refined until its estimated L1 error, relative to the L1 norm of its attributions, is at most `tolerance`; the
    result states the estimate, and a status for each example. `rule` or `n_steps` select a rule with fixed nodes instead.

    Attributes:
        tolerance: between 0 and 1. 0.05 is enough for pictures; 0.01 is for numbers. float32 carries it to about 1e-4.
        max_evaluations: gradients on one path, at least 2. A path that needs more is marked as not converged.
        rule: gauss_legendre, trapezoid, midpoint, left, right, or a `quadrature.Rule`.
        n_steps: steps on the path, 50 unless given; the trapezoid has n_steps + 1 nodes.
    """

    tolerance: float = TOLERANCE
    max_evaluations: int = MOST_EVALUATIONS
    rule: str | Rule | None = dataclasses.field(default=None, kw_only=True)
    n_steps: int | None = dataclasses.field(default=None, kw_only=True)
    complete = True

    def __post_init__(self):
        number = isinstance(self.tolerance, float | int | np.floating) and not isinstance(self.tolerance, bool)
        if not number or not 0 < self.tolerance < 1:
            hint = f"; a fixed rule is rule={self.tolerance!r}" if isinstance(self.tolerance, str | Rule) else ""
            raise AttributionError(f"tolerance must be a number between 0 and 1, such as 0.01; got {self.tolerance!r}{hint}")
        whole = isinstance(self.max_evaluations, int | np.integer) and not isinstance(self.max_evaluations, bool)
        if not whole or self.max_evaluations < 2:
            raise AttributionError(f"max_evaluations must be a whole number of at least 2, got {self.max_evaluations!r}")
        if self._fixed is not None and (self.tolerance, self.max_evaluations) != (TOLERANCE, MOST_EVALUATIONS):
            raise AttributionError("rule= and n_steps= select a rule with fixed nodes, which has no tolerance and no "
                                   "max_evaluations: leave one or the other out")

    def __repr__(self) -> str:
        if self._fixed is not None:
            rule = self.rule if self.rule is not None else "gauss_legendre"
            return f"IntegratedGradients(rule={rule.name if isinstance(rule, Rule) else rule!r}, n_steps={self._fixed_steps})"
        most = "" if self.max_evaluations == MOST_EVALUATIONS else f", max_evaluations={self.max_evaluations}"
        return f"IntegratedGradients(tolerance={self.tolerance:g}{most})"

    @property
    def _fixed(self) -> Rule | None:
        """The fixed rule, where one is selected."""
        if self.rule is None and self.n_steps is None:
            return None
        return make_rule("gauss_legendre" if self.rule is None else self.rule, 50 if self.n_steps is None else self.n_steps)

    @property
    def _fixed_steps(self) -> int:
        return 50 if self.n_steps is None else self.n_steps

    @property
    def control(self) -> Control | None:
        return None if self._fixed is not None else Control(float(self.tolerance), int(self.max_evaluations))

    def points(self, references, rng, features, kind):
        return points.path(self._fixed, references)

    def row(self, features, kind):
        return GradientRow("difference")


@dataclasses.dataclass(frozen=True)
class ExpectedGradients(Method):
    """E over x' ~ data, alpha ~ U(0, 1) of (x - x') · dF/dx at x' + alpha (x - x') (Erion et al. 2021, arXiv:1906.10670,
    equation 3), estimated from `n_samples` draws: complete only in the limit, and `gap` says how far from it."""

    n_samples: int = 200
    on_path = False
    random = True

    def points(self, references, rng, features, kind):
        if isinstance(self.n_samples, bool) or not isinstance(self.n_samples, int | np.integer) or self.n_samples < 1:
            raise AttributionError(f"n_samples must be a whole number of at least 1, got {self.n_samples!r}")
        return points.random_path(self.n_samples, references, rng)

    def row(self, features, kind):
        return GradientRow("difference")

    def default_baseline(self):
        raise AttributionError("expected gradients need references drawn from data: baselines=ta.dataset(samples)")


@dataclasses.dataclass(frozen=True)
class Occlusion(Method):
    """F(x) - F(x with a window replaced), for a window that slides over the input (Zeiler & Fergus 2014, arXiv:1311.2901,
    section 4.2). A feature's attribution is the mean over the windows that cover it.

    Attributes:
        window: size along every spatial axis, or one for each; channels and embedding dimensions are covered whole.
            Default: one token for embeddings, else an eighth of each axis.
        stride: default half the window.
        value: what the window is replaced with; default: `baselines`, which are zeros unless given.
    """

    window: int | tuple[int, ...] | None = None
    stride: int | tuple[int, ...] | None = None
    value: float | None = None
    on_path = False
    forward_only = True

    @property
    def takes_baselines(self) -> bool:
        return self.value is None

    def points(self, references, rng, features, kind):
        return points.masks(self._windows(features, kind).count, references)

    def row(self, features, kind):
        return OcclusionRow(self._windows(features, kind))

    def _windows(self, features, kind):
        if len(features) > 1:
            raise AttributionError(f"occlusion works on one tensor, {list(features)} are selected: at=ta.inputs(name) or "
                                   "at=ta.layer(name)")
        (shape,) = features.values()
        window = self.window
        if window is None:
            spatial = shape[:-1] if len(shape) > 1 else shape
            window = tuple(1 if kind == "embeddings" or len(shape) == 1 else max(1, size // 8) for size in spatial)
        stride = self.stride
        if stride is None:
            stride = tuple(max(1, w // 2) for w in window) if isinstance(window, tuple) else max(1, window // 2)
        return make_windows(tuple(shape), window, stride)

    def default_baseline(self):
        return baselines.zeros() if self.value is None else baselines.constant(self.value)


@dataclasses.dataclass(frozen=True)
class DeepLift(Method):
    """m (x - x') with multipliers m that rules hand down from operation to operation in place of gradients, so that at each
    one contributions sum to its difference from the reference (Shrikumar et al. 2017, arXiv:1704.02685, section 3).

    One pass forward at x and x', one pass back. The rules are in `rules.table`; several baselines: the mean over them.

    Attributes:
        rule: "rescale" (section 3.5.2), or "reveal_cancel" (3.5.3) where an activation follows a linear operation.
        normalise_classes: attribute the output less its mean over classes, as section 3.6 advises for logits before a softmax.
    """

    rule: str = "rescale"
    normalise_classes: bool = False
    complete = True
    exact = True
    signed = True
    on_path = False

    def __post_init__(self):
        if self.rule not in ("rescale", "reveal_cancel"):
            raise AttributionError(f"rule must be 'rescale' or 'reveal_cancel', got {self.rule!r}")
        if not isinstance(self.normalise_classes, bool):
            raise AttributionError(f"normalise_classes must be True or False, got {self.normalise_classes!r}")

    @property
    def rules(self) -> str:
        return self.rule

    @property
    def centred(self) -> bool:
        return self.normalise_classes

    def points(self, references, rng, features, kind):
        return points.at_references(references)

    def row(self, features, kind):
        return DeepLiftRow(self.rule)

    def notes(self, function):
        return replaced_gradients(function)


@dataclasses.dataclass(frozen=True)
class DeepShap(DeepLift):
    """The mean of DeepLIFT over references drawn from data (Lundberg & Lee 2017, arXiv:1705.07874, section 4.2), which
    approximates Shapley values: baselines=ta.dataset(samples).

    Attributes:
        n_references: how many of the baselines to draw, without putting back, the same for all examples; default: all.
    """

    n_references: int | None = None

    def __post_init__(self):
        super().__post_init__()
        n = self.n_references
        if n is not None and (isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1):
            raise AttributionError(f"n_references must be None or a whole number of at least 1, got {n!r}")

    def default_baseline(self):
        raise AttributionError("DeepSHAP needs references drawn from data: baselines=ta.dataset(samples)")

    def drawn(self, references, seed):
        if self.n_references is None:
            return references
        if self.n_references > references.count:
            raise AttributionError(f"n_references={self.n_references} of {references.count} baselines: give as many or fewer")
        which = np.sort(np.random.default_rng(seed).choice(references.count, self.n_references, replace=False))
        return references.chosen(which)


@dataclasses.dataclass(frozen=True)
class GuidedBackprop(Method):
    """dF/dx at the input, with negative gradients stopped at every rectifier: max(g, 0) · 1[x > 0] passes a ReLU (Springenberg
    et al. 2014, arXiv:1412.6806, section 3.4). Pictures are sharp and hardly depend on the class; it claims no completeness."""

    takes_baselines = False
    uses_baseline = False
    in_score_units = False
    on_path = False
    rules = "guided"

    def points(self, references, rng, features, kind):
        return points.at_input()

    def row(self, features, kind):
        return GuidedRow()

    def notes(self, function):
        return replaced_gradients(function)


METHODS = {
    "gradient": Gradient,
    "gradient_times_input": GradientTimesInput,
    "interior_gradients": InteriorGradients,
    "integrated_gradients": IntegratedGradients,
    "expected_gradients": ExpectedGradients,
    "occlusion": Occlusion,
    "deeplift": DeepLift,
    "deepshap": DeepShap,
    "guided_backprop": GuidedBackprop,
}


def as_method(method: "str | Method") -> Method:
    """A method as a user may write it: its name, or a row of the table."""
    if isinstance(method, Method):
        return method
    if isinstance(method, str) and method in METHODS:
        return METHODS[method]()
    raise AttributionError(f"no method is called {method!r}; there are: {nearest(method, METHODS)}, or an instance such as "
                           "ta.IntegratedGradients(tolerance=0.01)")
