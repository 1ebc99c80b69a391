"""Regions of images, ranked by what an inner method attributes to their pixels."""

import dataclasses
from typing import Any

import numpy as np

from ..common.checks import whole
from ..common.errors import AttributionError
from ..common.nested import flatten
from ..common.types import Features, Leaves, present
from ..engine.copies import Cloud
from ..engine.method import Method, as_method
from ..engine.session import Session
from ..engine.work import Work
from ..selection.baselines import Baseline
from ..selection.channels_last import WITH_CHANNELS, check_channels_last
from ..selection.inputs import as_array
from ..selection.score_function import ScoreFunction
from . import ranking, segments
from .inner import OfInner

# pyright: reportIncompatibleVariableOverride=false
# What the paper's numbers are at, (height, width): others are scaled to it.
SIDE, DILATION, FEWEST = 224, 5, 50


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class XRAI(OfInner):
    """Regions of an image in the order of their attribution per pixel (Kapishnikov et al. 2019, arXiv:1906.02825).

    The image is segmented at six scales (Felzenszwalb & Huttenlocher 2004, Int. J. Comput. Vision 59), segments are
    dilated, and the one whose new pixels have the highest mean attribution is added, again and again. Attributions are those
    of the inner method; `regions`, `region_values`, `region_areas` and `region_totals` of the result are what comes of them.

    Attributes:
        inner: any method that gives contributions at the pixels. Without baselines it takes each image's lowest and highest
            value: black and white.
        segments: whole numbers (height, width), or (n, height, width), in place of those of the image: such as
            `ta.superpixels(images)`. They are not dilated unless `dilation` says so.
        dilation: by how many pixels segments are widened; default: 5 of an image of 224 pixels, others in proportion.
        min_pixels: segments that add fewer new pixels are passed over; what is left at last is a region of its own. Default: 50
            of an image of 224 x 224 pixels, others in proportion.
    """

    inner: str | Method = "integrated_gradients"
    segments: Any = None
    dilation: int | None = dataclasses.field(default=None, kw_only=True)
    min_pixels: int | None = dataclasses.field(default=None, kw_only=True)
    needs_images = True

    def __post_init__(self) -> None:
        if isinstance(self.inner, str):
            object.__setattr__(self, "inner", as_method(self.inner))
        inner = self.inner
        if not isinstance(inner, Method) or inner.kind != "contribution" or not inner.at_features or inner.gives_more:
            raise AttributionError(
                "inner must be a method that gives contributions at the pixels, such as 'integrated_gradients' or "
                f"ta.SmoothGrad('integrated_gradients'); got {inner!r}"
            )
        if self.segments is not None and as_array(self.segments, "segments").dtype.kind not in "iu":
            raise AttributionError(f"segments must be whole numbers, got {as_array(self.segments, 'segments').dtype}")
        for name, least in (("dilation", 0), ("min_pixels", 1)):
            if (value := getattr(self, name)) is not None:
                whole(f"{name} (pixels)", value, least)

    def __repr__(self) -> str:
        said = [f"{name}={value}" for name in ("dilation", "min_pixels") if (value := getattr(self, name)) is not None]
        if self.segments is not None:
            said.insert(0, f"segments of shape {np.shape(self.segments)}")
        return f"XRAI({', '.join([repr(self.inner), *said])})"

    @property
    def complete(self) -> bool:
        return self._inner.complete

    @property
    def exact(self) -> bool:
        return self._inner.exact

    @property
    def symmetric(self) -> bool:
        return self._inner.symmetric

    @property
    def dummies(self) -> bool:
        return self._inner.dummies

    @property
    def on_path(self) -> bool:
        return self._inner.on_path

    @property
    def forward_only(self) -> bool:
        return self._inner.forward_only

    @property
    def measured_format(self) -> bool:
        return self._inner.measured_format

    @property
    def baseline_of_input(self) -> bool:
        return self._inner.baseline_of_input

    @property
    def cloud(self) -> Cloud | None:
        return self._inner.cloud

    def when_incomplete(self, function: ScoreFunction) -> str | None:
        return self._inner.when_incomplete(function)

    def notes(self, function: ScoreFunction) -> tuple[str, ...]:
        return self._inner.notes(function)

    def default_baseline(self) -> Baseline:
        """Each image's lowest and highest value everywhere, where the inner method takes baselines."""
        if not self._inner.takes_baselines or self._inner.needs_data:
            return self._inner.default_baseline()

        def make(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            axes = tuple(range(1, x.ndim))
            ends = [reduce(x, axis=axes, keepdims=True) for reduce in (np.min, np.max)]
            return np.stack([np.broadcast_to(end, x.shape) for end in ends], 1)

        return Baseline("each image's lowest and highest value", make, shared=False)

    def session_for(self, session: Session) -> Session:
        found = self._inner.session_for(session)
        check_channels_last("XRAI", found.function)
        return found

    def sum_shapes(self, features: Features, work: Work) -> Features:
        self._label_maps(work.tables.x)  # what does not fit is said before the model is asked
        if self.segments is None:
            segments.felzenszwalb()
        return self._inner.sum_shapes(features, work)

    def _label_maps(self, x: Leaves) -> np.ndarray | None:
        """Given segments for each example, (n, height, width).

        Raises:
            AttributionError: these are no images, or the segments do not fit.
        """
        shapes = [np.shape(value) for value in x.values()]
        if len(shapes) != 1 or len(shapes[0]) != 4:
            raise AttributionError(
                f"XRAI is for images, one tensor (n, height, width, channels); attributed are {shapes}"
                + (f": {WITH_CHANNELS}" if [len(shape) for shape in shapes] == [3] else "")
            )
        if self.segments is None:
            return None
        given, (shape,) = np.asarray(self.segments), shapes
        if given.shape not in (shape[:3], shape[1:3]):
            raise AttributionError(f"segments must be of shape {shape[1:3]} or {shape[:3]}, got {given.shape}")
        return np.broadcast_to(given, shape[:3])

    def afterwards(self, attributions: Any, work: Work) -> dict[str, Any]:
        (x,), (values,) = work.tables.x.values(), flatten(attributions).values()
        given, ranked = self._label_maps(work.tables.x), []
        scale = np.sqrt(np.prod(x.shape[1:3])) / SIDE
        fewest = max(1, round(FEWEST * scale**2)) if self.min_pixels is None else self.min_pixels
        usual = round(DILATION * scale) if given is None else 0
        for i, (image, summed) in enumerate(zip(x, np.asarray(values, np.float64).sum(-1), strict=True)):
            maps = segments.at_scales(image) if given is None else [present(given)[i]]
            masks = ranking.masks_of(maps, usual if self.dilation is None else self.dilation)
            ranked.append(ranking.ranked(summed, masks, fewest))
        return ranking.stacked(ranked)
