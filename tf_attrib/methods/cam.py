"""Class activation maps: how much each position of a layer speaks for a class, and that times guided backpropagation."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from ..common.errors import AttributionError
from ..common.types import Features, present
from ..engine.integral import points
from ..engine.method import Method
from ..engine.row import RowFunction
from ..engine.session import Session
from ..engine.work import Work
from ..graph.traced.channels import channels_first
from ..graph.traced.heads_and_lookups import ancestors
from ..graph.traced.layers import last_with_positions, with_positions
from ..selection.at_and_of import At, as_at
from ..selection.channels_last import WITH_CHANNELS
from ..selection.place import Place
from ..selection.score_function import ScoreFunction
from .cam_rows import EACH, PLUS_PLUS, POOLED, GuidedCamIntegrand, MapIntegrand
from .deeplift.multipliers import at_rectifiers_only

# Operations that may pass on some positions of a tensor alone.
PICKING = frozenset({"StridedSlice", "Slice", "Gather", "GatherV2", "GatherNd", "Split", "SplitV", "Unpack", "MulNoNan"})


@dataclasses.dataclass(frozen=True)
class OfLayer(Method):
    """What methods share that look at the output A of a layer.

    Attributes:
        layer: (batch, ..., channels), or (batch, channels, ...) where the model says so. Default: the last layer that has
            positions; pooling, padding and dropout are passed over.
    """

    layer: Any = None
    kind = "map"
    needs_layer = True
    takes_baselines = False
    uses_baseline = False
    in_score_units = False

    def __post_init__(self) -> None:
        if self.layer is not None:
            as_at(self.layer)

    def points(self, references: int, rng: np.random.Generator | None, features: Features, kind: str) -> points.Points:
        return points.at_input()


@dataclasses.dataclass(frozen=True)
class LayerMap(OfLayer):
    """What methods share that give a number for each position of a layer, (batch, *positions): before the ReLU that pictures
    put behind it, and at the layer's own positions.

    Attributes:
        weights: how a map comes from activations and gradients, as `MapIntegrand` takes it.
    """

    at_features = False
    weights: ClassVar[str] = POOLED

    def placed_at(self, at: At | None, function: ScoreFunction) -> At | None:
        if self.layer is None and at is not None and at.kind in ("layer", "tensor"):
            return at
        if self.layer is None and at is not None and at.kind == "places":
            if all(part.kind in ("layer", "tensor") for part in at.name):
                return at
            name = type(self).__name__
            raise AttributionError(f"{name} looks at layers: at= a layer, or a list of layers alone, or ta.{name}(layer=...)")
        return looked_at(self, function)

    def sum_shapes(self, features: Features, work: Work) -> Features:
        return map_shapes(self, work.session.function, work.session.function.place, features)

    def row(self, features: Features, kind: str) -> RowFunction:
        return MapIntegrand(self.weights)

    def fields(self, work: Work) -> dict[str, Any]:
        return {"notes": () if self.weights == EACH else unreached(work)}

    def unit(self, of_score: str) -> str:
        return f"{of_score}, as gradient × activation"


@dataclasses.dataclass(frozen=True)
class GradCam(LayerMap):
    """Sum over channels k of w_k · A_k, with w_k the mean of dF/dA_k over positions (Selvaraju et al. 2017, arXiv:1610.02391,
    equations 1 and 2), before the ReLU: signed, at the layer's own positions, (batch, *positions). Positions of padding count.

    Attributes:
        layer: whose output A is, (batch, ..., channels), or (batch, channels, ...) where the model says so. Default: the
            attributor's `at` where that is a layer, else the last layer that has positions; pooling, padding and dropout are
            passed over.
    """


@dataclasses.dataclass(frozen=True)
class GradCamPlusPlus(LayerMap):
    """Sum over channels k of w_k · A_k, with w_k the sum over positions p of alpha_kp · max(g_kp, 0), g = dF/dA, and
    alpha = g² / (2 g² + g³ · sum of A_k over positions), 0 where g is (Chattopadhay et al. 2018, arXiv:1710.11063, section 3).

    The paper takes derivatives of exp(F): alpha is the same, and w would have the factor exp(F), one for all positions of an
    example, which is left out. Before the ReLU, at the layer's own positions. It is made for activations that are not negative:
    of others the positive part is summed in alpha, which else grows beyond all bounds where g · sum of A_k comes near -2.

    Attributes:
        layer: as in `ta.GradCam`.
    """

    linear = False
    weights = PLUS_PLUS


@dataclasses.dataclass(frozen=True)
class LayerCam(LayerMap):
    """Sum over channels k of max(dF/dA_kp, 0) · A_kp at each position p: each activation is weighed by its own gradient
    (Jiang et al. 2021, 10.1109/TIP.2021.3089943, section III). Before the ReLU, at the layer's own positions; it says something
    at layers further in front, too.

    Attributes:
        layer: as in `ta.GradCam`.
    """

    linear = False
    weights = EACH


@dataclasses.dataclass(frozen=True)
class GuidedGradCam(OfLayer):
    """Guided backpropagation at the input, times the positive part of Grad-CAM at a layer, enlarged linearly to the input's
    positions (Selvaraju et al. 2017, arXiv:1610.02391, section 3.2). Signed, in the shape of the input.

    Attributes:
        layer: of Grad-CAM, as in `ta.GradCam`, behind the attributor's `at`. Default: the last layer that has positions.
    """

    linear = False
    rules: ClassVar[str] = "guided"

    def session_for(self, session: Session) -> Session:
        function = session.function
        found = session.through(looked_at(self, function))
        (seen,) = map_shapes(self, found.function, present(found.function.observed)).values()
        check_positions(self, found.function, len(seen))
        return found

    def row(self, features: Features, kind: str) -> RowFunction:
        return GuidedCamIntegrand()

    def unit(self, of_score: str) -> str:
        return f"{of_score}² per unit of input"

    def fields(self, work: Work) -> dict[str, Any]:
        return {"place": work.session.function.place.kind}

    def notes(self, function: ScoreFunction) -> tuple[str, ...]:
        return (f"Grad-CAM at {present(function.observed).words}", *at_rectifiers_only(function))


def looked_at(method: Any, function: ScoreFunction) -> At:
    """The layer that `method` names, else the last that has positions.

    Raises:
        AttributionError: none is named, and none is found.
    """
    if method.layer is not None:
        return present(as_at(method.layer))
    name = type(method).__name__
    if function.target_rank > 1 or function.output.at_places:
        raise AttributionError(
            f"{function.output.words} has positions of its own, and no layer behind which they are "
            f"mixed is known: name the layer, ta.{name}(layer=...)"
        )
    # a score is made of some of the outputs: what leads to the others alone has no say in it
    return At("layer", last_with_positions(function.traced, [function.explained], name))


def unreached(work: Work) -> tuple[str, ...]:
    """A sentence for each tensor of the layer of whose positions the score follows from less than half, as behind the last
    attention of a transformer that classifies by its first token: weights that are means over positions spread what these
    few say over all of them. It is looked at in one example, where anything behind the layer picks at all.
    """
    function, tables = work.session.function, work.tables
    if not _picks(function) or not np.isfinite(tables.score[:1]).all():
        return ()
    one = {key: value[:1] for key, value in tables.x.items()}
    found = work.session.gradients(one, {key: value[:1] for key, value in tables.context.items()}, tables.target[:1])
    notes = []
    for (key, gradient), port in zip(found.items(), function.place.ports.values(), strict=True):
        channels = 1 if channels_first(function.traced, port.tensor) else -1
        silent = ~np.any(gradient[:1] != 0, axis=channels)
        if silent.sum() > silent.size / 2:
            tensor = f" of {key!r}" if len(found) > 1 else ""
            notes.append(
                f"the score has no gradient at {silent.sum()} of {silent.size} positions{tensor} of {function.place.words} "
                "(example 0): what the map says there is made of gradients at the others; name a layer further in front"
            )
    return tuple(notes)


def _picks(function: ScoreFunction) -> bool:
    """Whether anything between the layer and the score may leave positions out."""
    if function.traced.called is not None or function.output.data:
        return True
    behind = ancestors([function.explained], [port.tensor for port in function.place.ports.values()])
    return any(one.type in PICKING and one.inputs[0].dtype.is_floating for one in behind)


def map_shapes(method: Any, function: ScoreFunction, place: Place, features: Features | None = None) -> Features:
    """The positions of each tensor of a layer, by key.

    Args:
        features: shapes of one example of its tensors; default: those that the graph knows.

    Raises:
        AttributionError: it has none, or no channels.
    """
    found = function.features(place) if features is None else features
    shapes, named = {}, type(method).__name__
    for (key, shape), port in zip(found.items(), place.ports.values(), strict=True):
        if len(shape) < 2:
            fitting = with_positions(function.traced, [function.explained])
            such = "".join(f", such as {name!r} {shape}" for name, shape in [*fitting.items()][-1:])
            raise AttributionError(
                f"{named} needs a layer with positions and channels, (batch, ..., channels); {place.words} is of shape "
                f"{tuple(shape)} for each example: name another{such}: ta.{named}(layer=...)"
            )
        shapes[key] = tuple(shape[1:] if channels_first(function.traced, port.tensor) else shape[:-1])
    return shapes


def check_positions(method: Any, function: ScoreFunction, rank: int) -> None:
    """Raises where what a map of `rank` axes is to be laid over has other positions."""
    shapes = function.features()
    for key, shape in shapes.items():
        if len(shape) != rank + 1:
            named = "" if key is None else f" {key!r}"
            one = "" if len(shapes) == 1 else " (one of several inputs is selected with ta.inputs(name))"
            raise AttributionError(
                f"{type(method).__name__} lays a map with {rank} ax{'i' if rank == 1 else 'e'}s of positions, of "
                f"{present(function.observed).words}, over what it looks at, (batch, ..., channels);{named} "
                f"{function.place.words} is of shape {tuple(shape)} for each example{one}"
                + (f": {WITH_CHANNELS}" if len(shape) == rank else "")
            )
