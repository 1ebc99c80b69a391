"""What every row of the methods table has."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from ..common.errors import AttributionError, nearest
from ..common.types import Features, Leaves
from ..result.completeness import INCOMPLETE
from ..selection import baselines
from ..selection.at_and_of import At
from ..selection.references import References
from ..selection.score_function import ScoreFunction
from .copies import Cloud
from .integral import points
from .integral.refined import Control
from .row import RowFunction
from .session import Session
from .work import Work


@dataclasses.dataclass(frozen=True)
class Method:
    """What every row of the table has.

    Attributes:
        takes_baselines: whether a user may choose x'.
        uses_baseline: whether the score at x' says something about the attribution.
        complete: whether the attributions claim to sum to F(x) - F(x').
        kind: what the attributions are, as `Result.kind` has it: contribution, slope, effect, map or square.
        in_score_units: whether their sum is in the unit of the score, so that a gap has a meaning.
        on_path: whether rows lie on one path, so that its end says how much the gradient at the input accounts for.
        forward_only: whether rows need no gradient.
        random: whether points are drawn.
        exact: whether it is complete to rounding, so that a gap says that something is wrong.
        measured_format: whether rows are gradients at the input or summed along a path, so that what a half-precision format
            leaves open can be measured (`formats`).
        tells_signs: whether what is due to positive differences from the reference is told apart.
        rules: of which set its row function hands multipliers down (see `deeplift.ruled`); None: gradients.
        control: what a rule that refines each path aims at; None for rules that do not refine.
        cloud: the noisy copies of each example that its attributions are taken over; None: the example itself.
    """

    takes_baselines: ClassVar[bool] = True
    uses_baseline: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    kind: ClassVar[str] = "contribution"
    in_score_units: ClassVar[bool] = True
    on_path: ClassVar[bool] = True
    forward_only: ClassVar[bool] = False
    random: ClassVar[bool] = False
    exact: ClassVar[bool] = False
    measured_format: ClassVar[bool] = False
    tells_signs: ClassVar[bool] = False
    rules: ClassVar[str | None] = None
    control: ClassVar[Control | None] = None
    cloud: ClassVar[Cloud | None] = None

    def points(self, references: int, rng: np.random.Generator | None, features: Features, kind: str) -> points.Points:
        """The rows of one example that has `references` references; `rng` is given where the method is random."""
        raise NotImplementedError

    def row(self, features: Features, kind: str) -> RowFunction:
        """The row function, for selected tensors of shapes `features` by key and of a kind (see `places.Place`)."""
        raise NotImplementedError

    def placed_at(self, at: At | None, function: ScoreFunction) -> At | None:
        """Where attributions are wanted, given where the user wants them, and the function from there."""
        return at

    def session_for(self, session: Session) -> Session:
        """What rows run on, given the session of that place."""
        return session

    def sum_shapes(self, features: Features, work: Work) -> Features:
        """Shapes of one example of what rows give, by key, for selected tensors of shapes `features`."""
        return features

    def row_extras(self, x: Leaves, session: Session) -> Leaves:
        """What rows need of each example beside the selected tensors `x` (n, ...), by name."""
        return {}

    def shares_residual(self, function: ScoreFunction) -> bool:
        """Whether what rows give sums to the slope of the score, so that a residual of the quadrature may be shared out."""
        return self.complete

    def when_incomplete(self, function: ScoreFunction) -> str | None:
        """The status of an example whose attributions miss the difference of scores by more than the method can explain; None
        where it does not claim that they sum to it."""
        return INCOMPLETE if self.complete and self.shares_residual(function) else None

    def default_baseline(self) -> baselines.Baseline:
        """What stands in where no baselines are given."""
        return baselines.zeros()

    def references_used(self, references: References, seed: int | None) -> References:
        """Those of the references that are used."""
        return references

    def fields(self, work: Work) -> dict[str, Any]:
        """What this method alone knows of its result: fields of `Result`, by name."""
        return {}

    def unit(self, of_score: str) -> str:
        """The unit of the attributions, given that of the score."""
        return of_score

    def words(self, function: ScoreFunction) -> str:
        """Where attributions are, for people."""
        return function.place.words

    def notes(self, function: ScoreFunction) -> tuple[str, ...]:
        """What a reader should know of how the numbers came about."""
        return ()


# The table of methods by name, as `attribute(method=...)` takes them; `methods` fills it, and others may add theirs.
METHODS: dict[str, type[Method]] = {}


def as_method(method: str | Method) -> Method:
    """A method as a user may write it: its name, or a row of the table."""
    if isinstance(method, Method):
        return method
    if isinstance(method, str) and method in METHODS:
        return METHODS[method]()
    raise AttributionError(
        f"no method is called {method!r}; there are: {nearest(method, METHODS)}, or an instance such as "
        "ta.IntegratedGradients(tolerance=0.01)"
    )
