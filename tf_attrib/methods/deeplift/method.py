"""Rows that pair the input with references: DeepLIFT."""

import dataclasses

import numpy as np

from ...common.errors import AttributionError
from ...common.types import Features
from ...engine.integral import points
from ...engine.method import Method
from ...engine.row import RowFunction
from ...engine.session import Session
from ...engine.work import Work
from ...selection.references import References
from ...selection.score_function import ScoreFunction
from .multipliers import DeepLiftIntegrand, added_rules, replaced_gradients
from .rules.table import RULES


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
    tells_signs = True
    measured_format = True

    def __post_init__(self) -> None:
        if self.rule not in ("rescale", "reveal_cancel"):
            raise AttributionError(f"rule must be 'rescale' or 'reveal_cancel', got {self.rule!r}")
        if not isinstance(self.normalise_classes, bool):
            raise AttributionError(f"normalise_classes must be True or False, got {self.normalise_classes!r}")

    @property
    def rules(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride] (of a field)
        return self.rule

    def session_for(self, session: Session) -> Session:
        return session.centred() if self.normalise_classes else session

    def sum_shapes(self, features: Features, work: Work) -> Features:
        return features | {("positive", key): shape for key, shape in features.items()}

    def points(self, references: int, rng: np.random.Generator | None, features: Features, kind: str) -> points.Points:
        return points.at_references(references)

    def row(self, features: Features, kind: str) -> RowFunction:
        return DeepLiftIntegrand(self.rule, RULES.version)

    def notes(self, function: ScoreFunction) -> tuple[str, ...]:
        return replaced_gradients(function) + added_rules(function)


@dataclasses.dataclass(frozen=True)
class DeepShap(DeepLift):
    """The mean of DeepLIFT over references drawn from data (Lundberg & Lee 2017, arXiv:1705.07874, section 4.2), which
    approximates Shapley values: baselines=ta.dataset(samples).

    Attributes:
        n_references: how many of the baselines to draw, without putting back, the same for all examples; default: all.
    """

    n_references: int | None = None
    needs_data = True

    def __post_init__(self) -> None:
        super().__post_init__()
        n = self.n_references
        if n is not None and (isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1):
            raise AttributionError(f"n_references must be None or a whole number of at least 1, got {n!r}")

    def references_used(self, references: References, seed: int | None) -> References:
        if self.n_references is None:
            return references
        if self.n_references > references.count:
            raise AttributionError(f"n_references={self.n_references} of {references.count} baselines: give as many or fewer")
        which = np.sort(np.random.default_rng(seed).choice(references.count, self.n_references, replace=False))
        return references.chosen(which)
