"""Rows that take parts of the input away."""

import dataclasses
import math
from typing import Any

import numpy as np

from ..common.checks import number, whole
from ..common.errors import AttributionError
from ..common.nested import flatten, is_nested_list
from ..common.types import Features, Leaves
from ..engine.integral import points
from ..engine.method import Method
from ..engine.row import RowFunction
from ..engine.session import Session
from ..engine.work import Work
from ..selection import baselines
from ..selection.baselines import Baseline
from ..selection.channels_last import check_channels_last, width_as_channels
from ..selection.inputs import as_arrays
from ..selection.score_function import ScoreFunction
from .groups import COUNT, group_count, grouped, label_map, positions
from .windows import AblationIntegrand, OcclusionIntegrand, Windows, make_windows


@dataclasses.dataclass(frozen=True)
class Occlusion(Method):
    """F(x) - F(x with a window replaced), for a window that slides over the input (Zeiler & Fergus 2014, arXiv:1311.2901,
    section 4.2). A feature's attribution is the mean over the windows that cover it. Inputs of any type will do: text, whole
    numbers, booleans; of several tensors, one at a time is covered.

    Attributes:
        window: size along every spatial axis, or one for each; channels and embedding dimensions are covered whole.
            Default: one token for embeddings, else an eighth of each axis.
        stride: default half the window.
        value: what the window is replaced with; default: `baselines`, which are zeros unless given.
    """

    window: int | tuple[int, ...] | None = None
    stride: int | tuple[int, ...] | None = None
    value: float | None = None
    kind = "effect"
    in_score_units = False
    forward_only = True

    def __post_init__(self) -> None:
        for name in ("window", "stride"):
            given = getattr(self, name)
            for size in given if isinstance(given, tuple | list) else () if given is None else (given,):
                whole(f"{name} (one for all axes, or one for each)", size)
        if self.value is not None:
            number("value", self.value)

    @property
    def takes_baselines(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (of a field)
        return self.value is None

    def session_for(self, session: Session) -> Session:
        check_channels_last("Occlusion", session.function)
        return session

    def points(self, references: int, rng: np.random.Generator | None, features: Features, kind: str) -> points.Points:
        return points.masks(sum(windows.count for windows in self._windows(features, kind)), references)

    def row(self, features: Features, kind: str) -> RowFunction:
        return OcclusionIntegrand(self._windows(features, kind))

    def _windows(self, features: Features, kind: str) -> tuple[Windows, ...]:
        """Those of each tensor."""
        ranks = {key: len(positions(shape)) for key, shape in features.items()}
        given = next((size for size in (self.window, self.stride) if isinstance(size, tuple | list)), None)
        if len(features) > 1 and given is not None and any(rank != len(given) for rank in ranks.values()):
            raise AttributionError(
                f"{given} is a window over {len(given)} axes, and the selected tensors have {ranks}: one whole number is for "
                "all, or select one of them, at=ta.inputs(name) or at=ta.layer(name)"
            )
        return tuple(self._windows_of(tuple(shape), kind, len(features) > 1) for shape in features.values())

    def _windows_of(self, shape: tuple, kind: str, several: bool) -> Windows:
        spatial, window, stride = positions(shape), self.window, self.stride
        if window is None:
            window = tuple(1 if kind == "embeddings" or len(shape) == 1 else max(1, size // 8) for size in spatial)
        elif several and isinstance(
            window, int | np.integer
        ):  # of tensors of several sizes, one that is smaller is covered whole
            window = tuple(min(int(window), size) for size in spatial)
        if stride is None:
            stride = max(1, window // 2) if isinstance(window, int | np.integer) else tuple(max(1, w // 2) for w in window)
        elif several and isinstance(stride, int | np.integer) and not isinstance(window, int | np.integer):
            stride = tuple(min(int(stride), w) for w in window)
        return make_windows(shape, window, stride)

    def fields(self, work: Work) -> dict[str, Any]:
        windows = self._windows(work.features, work.session.function.place.kind)
        wide = any(math.prod(one.window[: len(positions(one.features))]) > 1 for one in windows)
        return {"taken_away": "windows" if wide else "positions"}

    def notes(self, function: ScoreFunction) -> tuple[str, ...]:
        return width_as_channels(function)

    def default_baseline(self) -> Baseline:
        return baselines.zeros() if self.value is None else baselines.constant(self.value)


@dataclasses.dataclass(frozen=True, eq=False)
class Ablation(Method):
    """F(x) - F(x with a group of features replaced by the baseline), one at a time (Zeiler & Fergus 2014, arXiv:1311.2901).

    Every feature of a group gets the whole of what its group loses: the effect of a group is the value at any of its features,
    not their sum. Inputs of any type will do: text, whole numbers, booleans.

    Attributes:
        groups: whole numbers of at least 0, features of one number are replaced together: an array of the shape of one example,
            (height, width) for images and (length,) for tokens, whose channels and dimensions are replaced together; or one for
            each example, (n, ...), such as superpixels; with several tensors a list or dict of those, in which one number means
            one group over all of them. Default: every feature is a group by itself, with its channels or dimensions.
    """

    groups: Any = None
    kind = "effect"
    in_score_units = False
    forward_only = True

    def __post_init__(self) -> None:
        if self.groups is not None:
            as_arrays(self.groups, "group")

    def __repr__(self) -> str:
        parts = [self.groups] if is_nested_list(self.groups) else flatten(self.groups).values()
        shapes = [np.shape(part) for part in parts] if self.groups is not None else []
        return f"Ablation(groups of shape {', '.join(str(shape) for shape in shapes)})" if shapes else "Ablation()"

    def session_for(self, session: Session) -> Session:
        if self.groups is None:
            check_channels_last("Ablation without groups", session.function)
        return session

    def row_extras(self, x: Leaves, session: Session) -> Leaves:
        return grouped(self.groups, x)

    def points(self, references: int, rng: np.random.Generator | None, features: Features, kind: str) -> points.Points:
        return points.masks(group_count(self.groups, features), references)

    def row(self, features: Features, kind: str) -> RowFunction:
        return AblationIntegrand()

    def fields(self, work: Work) -> dict[str, Any]:
        taken, made = "positions" if self.groups is None else "groups", work.tables.extra
        return {"taken_away": taken, "groups": made[COUNT], "regions": label_map(self.groups, made)}

    def notes(self, function: ScoreFunction) -> tuple[str, ...]:
        return width_as_channels(function) if self.groups is None else ()
