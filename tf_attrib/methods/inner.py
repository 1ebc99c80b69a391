"""What methods share that go on from what an inner method gives."""

import dataclasses
from typing import Any

import numpy as np

from ..common.types import Features, Leaves
from ..engine.integral import points
from ..engine.integral.integrator import Integrator
from ..engine.integral.refined import Control
from ..engine.method import Method
from ..engine.row import RowFunction
from ..engine.session import Session
from ..engine.work import Work
from ..selection.at_and_of import At
from ..selection.baselines import Baseline
from ..selection.references import References
from ..selection.score_function import ScoreFunction

# What other methods state once for all as constants of the class, these take from their inner method, as properties.
# pyright: reportIncompatibleVariableOverride=false


@dataclasses.dataclass(frozen=True)
class OfInner(Method):
    """A method whose rows are those of an inner one.

    Attributes:
        inner: by name or as an instance; the methods of this class say which.
    """

    inner: str | Method = "gradient"

    @property
    def _inner(self) -> Method:
        """The inner method: its name has become one."""
        assert isinstance(self.inner, Method)
        return self.inner

    @property
    def takes_baselines(self) -> bool:
        return self._inner.takes_baselines

    @property
    def needs_data(self) -> bool:
        return self._inner.needs_data

    @property
    def at_features(self) -> bool:
        return self._inner.at_features

    @property
    def uses_baseline(self) -> bool:
        return self._inner.uses_baseline

    @property
    def random(self) -> bool:
        return self._inner.random

    @property
    def rules(self) -> str | None:
        return self._inner.rules

    @property
    def control(self) -> Control | None:
        return self._inner.control

    def points(self, references: int, rng: np.random.Generator | None, features: Features, kind: str) -> points.Points:
        return self._inner.points(references, rng, features, kind)

    def row(self, features: Features, kind: str) -> RowFunction:
        return self._inner.row(features, kind)

    def placed_at(self, at: At | None, function: ScoreFunction) -> At | None:
        return self._inner.placed_at(at, function)

    def session_for(self, session: Session) -> Session:
        return self._inner.session_for(session)

    def sum_shapes(self, features: Features, work: Work) -> Features:
        return self._inner.sum_shapes(features, work)

    def row_extras(self, x: Leaves, session: Session) -> Leaves:
        return self._inner.row_extras(x, session)

    def shares_residual(self, function: ScoreFunction) -> bool:
        return self._inner.shares_residual(function)

    def default_baseline(self) -> Baseline:
        return self._inner.default_baseline()

    def references_used(self, references: References, seed: int | None) -> References:
        return self._inner.references_used(references, seed)

    def fields(self, work: Work) -> dict[str, Any]:
        return self._inner.fields(work)

    def words(self, function: ScoreFunction) -> str:
        return self._inner.words(function)

    @property
    def has_integrator(self) -> bool:
        return self._inner.has_integrator

    def integrator(self, work: Work, seed: int | None) -> Integrator | None:
        return self._inner.integrator(work, seed)

    def path_lengths(self, work: Work) -> np.ndarray | None:
        return self._inner.path_lengths(work)
