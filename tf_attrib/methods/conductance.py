"""Rows whose path runs at one place and which look at another: conductance and internal influence."""

import dataclasses
from typing import Any

from ..common.errors import AttributionError
from ..common.types import Features, Leaves, present
from ..engine.row import RowFunction
from ..engine.session import Session
from ..engine.work import Work
from ..graph.traced.layers import written
from ..selection.at_and_of import At, as_at
from ..selection.score_function import ScoreFunction
from .conductance_rows import UNIT, ConductanceIntegrand, InfluenceIntegrand, ThroughIntegrand, separated, unit_rows
from .paths import PathMethod


@dataclasses.dataclass(frozen=True, repr=False)
class LayerPathMethod(PathMethod):
    """What methods share whose path runs at the input, and which look at a layer: the attributor's `at`.

    Attributes:
        path: where the path runs, as `at`: "inputs", "embeddings", a layer in front. Default: as `at` by default, the inputs,
            or for token ids their embeddings. Baselines are those of this place.
    """

    path: Any = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            as_at(self.path)
        except AttributionError as error:
            raise AttributionError(f"path= says where the path runs, as at= does: {error}") from None

    @property
    def _accuracy(self) -> str:
        return super()._accuracy + ("" if self.path is None else f", path={_shown(self.path)}")

    def session_for(self, session: Session) -> Session:
        return session.along(as_at(self.path))

    def sum_shapes(self, features: Features, work: Work) -> Features:
        return work.session.observed(work.ready, work.match)

    def words(self, function: ScoreFunction) -> str:
        return present(function.observed).words

    def fields(self, work: Work) -> dict[str, Any]:
        place, seen = work.session.function.place.words, self.words(work.session.function)
        return {"path_at": "" if place == seen else place}

    def notes(self, function: ScoreFunction) -> tuple[str, ...]:
        return (f"the path runs at {function.place.words}",)


@dataclasses.dataclass(frozen=True, repr=False)
class Conductance(LayerPathMethod):
    """Integral over alpha in [0, 1] of dF/dy · dy/dalpha for the units y of a layer, at x' + alpha (x - x') of the input.

    Dhamdhere et al. 2018, arXiv:1805.12233, equation 3. The units of a layer that everything passes sum to F(x) - F(x'), as
    do integrated gradients; what goes around the layer is the `gap`. dy/dalpha is a Jacobian-vector product.

    Attributes:
        through: a unit of a layer, `ta.layer(name, unit=...)`: the conductance of what the attributor's `at` selects through it
            (equation 2), (x - x') · integral of dF/dy · dy/dx. `path` means nothing then: it runs where attributions are.
    """

    through: At | None = dataclasses.field(default=None, kw_only=True)
    complete = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.through is None:
            return
        if not isinstance(self.through, At) or self.through.kind != "layer":
            raise AttributionError(f"through must be ta.layer(name, unit=...), got {self.through!r}")
        if self.path is not None:
            raise AttributionError(
                "through= asks for the conductance of what the attributor's at= selects: the path runs there; leave path out"
            )

    @property
    def _accuracy(self) -> str:
        return super()._accuracy + ("" if self.through is None else f", through={_shown(self.through)}")

    def session_for(self, session: Session) -> Session:
        return super().session_for(session) if self.through is None else session.through(self.through)

    def sum_shapes(self, features: Features, work: Work) -> Features:
        return super().sum_shapes(features, work) if self.through is None else features

    def row(self, features: Features, kind: str) -> RowFunction:
        return ConductanceIntegrand() if self.through is None else ThroughIntegrand()

    def row_extras(self, x: Leaves, session: Session) -> Leaves:
        if self.through is None:
            return {}
        return {UNIT: unit_rows(present(session.function.observed), self.through.unit, len(next(iter(x.values()))))}

    def shares_residual(self, function: ScoreFunction) -> bool:
        return self.through is None and separated(function)

    def fields(self, work: Work) -> dict[str, Any]:
        return super().fields(work) if self.through is None else {}

    def words(self, function: ScoreFunction) -> str:
        if self.through is None:
            return super().words(function)
        unit = "" if self.through.unit is None else f"unit {written(self.through.unit)} of "
        return f"{function.place.words} by way of {unit}{present(function.observed).words}"

    def notes(self, function: ScoreFunction) -> tuple[str, ...]:
        if self.through is not None:
            return ("the gap is what does not pass there",)
        around = "" if separated(function) else "; the gap is what leads to the output around the layer"
        return (f"the path runs at {function.place.words}{around}",)


@dataclasses.dataclass(frozen=True, repr=False)
class InternalInfluence(LayerPathMethod):
    """Integral over alpha in [0, 1] of dF/dy for the units y of a layer, at x' + alpha (x - x') of the input.

    Leino et al. 2018, arXiv:1802.03788, definition 1, for a uniform distribution on the path. It claims no completeness.
    """

    kind = "slope"
    in_score_units = False

    def unit(self, of_score: str) -> str:
        return f"{of_score} per unit of the layer"

    def row(self, features: Features, kind: str) -> RowFunction:
        return InfluenceIntegrand()


def _shown(place: Any) -> str:
    """A place as it would be typed."""
    if not isinstance(place, At):
        return repr(place)
    unit = "" if place.unit is None else f", unit={written(place.unit)}"
    return f"{place.kind}({place.name!r}{unit})"
