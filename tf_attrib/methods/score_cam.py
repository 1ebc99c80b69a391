"""Score-CAM: activations weighed by the score of what they leave of the input."""

import dataclasses
from collections.abc import Generator
from typing import Any

import numpy as np
from scipy.special import softmax

from ..common.errors import AttributionError
from ..common.types import Features, Leaves, present
from ..engine.integral.integrator import Batch, Integrator, Outcome
from ..engine.row import RowFunction
from ..engine.session import Session
from ..engine.work import Work
from ..graph.traced.channels import channels_first
from ..selection.at_and_of import as_at
from ..selection.score_function import ScoreFunction
from .cam import LayerMap, check_positions, map_shapes
from .masked_rows import MaskedScore

# Entries of the maps that are evaluated together.
TOGETHER = 2**23


@dataclasses.dataclass(frozen=True)
class ScoreCam(LayerMap):
    """Sum over channels k of w_k · A_k, with w_k = F(x' + H_k · (x - x')) - F(x') and H_k the map A_k, enlarged linearly to the
    input's positions and scaled to lie between 0 and 1 (Wang et al. 2020, arXiv:1910.01279, section 3). Before the ReLU, at the
    layer's own positions. It needs no gradient. A channel that is constant masks nothing, and weighs 0.

    Attributes:
        layer: as in `ta.GradCam`.
        masked: what is masked, as `at`: `ta.inputs(name)` of several inputs, "embeddings". Default: the inputs, or for token
            ids their embeddings. Baselines are those of this place; zeros, where none are given, are the paper's black image.
        softmax: whether the w_k of an example are replaced by their softmax over channels, as the paper's algorithm 1 does with
            logits: they sum to 1 then, and none says anything against the class.
    """

    masked: Any = dataclasses.field(default=None, kw_only=True)
    softmax: bool = dataclasses.field(default=False, kw_only=True)
    takes_baselines = True
    uses_baseline = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.softmax, bool):
            raise AttributionError(f"softmax must be True or False, got {self.softmax!r}")
        try:
            as_at(self.masked)
        except AttributionError as error:
            raise AttributionError(f"masked= says what is masked, as at= does: {error}") from None

    @property
    def linear(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (of a field)
        return not self.softmax

    def session_for(self, session: Session) -> Session:
        try:
            found = session.along(as_at(self.masked))
        except AttributionError as error:
            raise AttributionError(f"ScoreCam masks what leads to the layer (masked=): {error}") from error
        place = found.function.place
        if len(place.ports) > 1:
            raise AttributionError(
                f"ScoreCam masks one input with positions, and {place.words} are several, "
                f"{', '.join(repr(key) for key in place.ports)}: name one, ta.ScoreCam(masked=ta.inputs(name)); the others "
                "stay as they are"
            )
        if len(present(found.function.observed).ports) > 1:
            raise AttributionError(f"ScoreCam looks at one layer, got {present(found.function.observed).words}: name one")
        return found

    def sum_shapes(self, features: Features, work: Work) -> Features:
        function, session = work.session.function, work.session
        maps = map_shapes(self, function, present(function.observed), session.observed(work.ready, work.match))
        (shape,) = maps.values()
        check_positions(self, function, len(shape))
        return maps

    def integrator(self, work: Work, seed: int | None) -> Integrator:
        return ChannelScores(work, self.softmax)

    def row(self, features: Features, kind: str) -> RowFunction:
        (shape,) = features.values()
        return MaskedScore(len(shape) - 1)

    def unit(self, of_score: str) -> str:
        return "activation" if self.softmax else f"{of_score} × activation"

    def words(self, function: ScoreFunction) -> str:
        return present(function.observed).words

    def fields(self, work: Work) -> dict[str, Any]:
        return {"path_at": work.session.function.place.words}

    def notes(self, function: ScoreFunction) -> tuple[str, ...]:
        return (f"what is masked, and the baseline, are {function.place.words}",)


class ChannelScores:
    """Evaluates the score under each channel of the observed layer, against each reference, and sums activations by them.

    Args:
        normalised: whether weights are replaced by their softmax over the channels of each example.
    """

    def __init__(self, work: Work, normalised: bool) -> None:
        self._work, self._normalised = work, normalised
        function = work.session.function
        seen = present(function.observed)
        ((key, port),) = seen.ports.items()
        maps = work.session.fetch("observed", seen.ports, work.ready)[key]
        maps = maps if channels_first(function.traced, port.tensor) else np.moveaxis(maps, -1, 1)
        self._maps = maps.astype(function.dtype.as_numpy_dtype)  # (n, channels, *positions)
        self._scores = np.zeros((len(maps), maps.shape[1], work.tables.references.count))
        self._rounds = self._all_rounds()

    def first(self) -> Batch:
        return next(self._rounds)

    def _all_rounds(self) -> Generator[Batch, None, None]:
        count, channels, references = self._scores.shape
        each = channels * references
        together = max(1, TOGETHER // (references * max(self._maps[0].size, 1)))
        for start in range(0, count, together):
            some = np.arange(start, min(start + together, count))
            example, number = np.repeat(some, each), np.tile(np.arange(each), len(some))
            masks = self._maps[example, number // references].astype(np.float32)
            one = np.ones(len(example))
            yield Batch(example, number % references, one, one, example, number, False, masks)

    def accept(self, rows: Batch, slots: np.ndarray, sums: list[np.ndarray], scores: np.ndarray, slopes: np.ndarray) -> None:
        self._scores.reshape(len(self._scores), -1)[rows.example, rows.number] = scores

    def refine(self) -> Batch | None:
        return next(self._rounds, None)

    def outcome(self) -> Outcome:
        scores, maps = self._scores, self._maps
        count = len(scores)
        weights = (scores - self._work.compared.baseline_scores[:, None]).mean(2)
        axes = tuple(range(2, maps.ndim))
        varies = maps.max(axes) > maps.min(axes)  # what is the same everywhere says nothing of where
        if self._normalised:
            with np.errstate(invalid="ignore"):  # where none varies
                weights = softmax(np.where(varies, weights, -np.inf), 1)
        weights = np.where(varies, weights, 0)
        found = np.einsum("nc,nc...->n...", weights, maps.astype(np.float64)).astype(maps.dtype)
        session = self._work.session
        (key,) = session.handed_out(self._work.match, present(session.function.observed))
        totals: Leaves = {key: found[:, None]}
        none = np.zeros(count, int)
        forward = np.full(count, scores[0].size)
        return Outcome(totals, none, forward, np.isfinite(found).all(tuple(range(1, found.ndim))), np.full(count, np.nan))
