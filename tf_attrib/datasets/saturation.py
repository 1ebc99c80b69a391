"""`ta.saturation`: how often the output, and the units of a layer, are flat where the path ends at the input.

Where they are, the gradient at the input says next to nothing about a feature that matters: the reason why integrated gradients
look along the whole path (Sundararajan et al. 2016, arXiv:1611.02639, section 2, which plots scores and activations against
alpha and sees them flatten for most images).
"""

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from ..attributor import Attributor, as_attributor
from ..common.errors import AttributionError, printed
from ..common.types import present
from ..engine.compared import check_finite
from ..engine.integral.points import Points
from ..engine.work import Work
from ..graph.traced.cut import Port
from ..graph.traced.heads_and_lookups import connected
from ..result.words import SATURATED
from ..selection.at_and_of import as_at
from ..selection.place import Place
from ..selection.places import resolve_at
from .batches import batches

if TYPE_CHECKING:
    from ..view.draw import Drawing

# How much of the path, at its end, the slope is taken over.
NEAR = 0.05
# A change along the path that is a smaller part of the values at its ends is rounding, and no slope is relative to it.
ROUNDING = 1e-3
# Histograms run from 0 to 2 in steps of a twentieth; what is beyond is in one more bin.
EDGES = np.linspace(0, 2, 41)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Saturation:
    """How flat the end of the path is, over many inputs.

    The relative slope of a function f of alpha is the mean slope over the last part of the path over that of the whole path,
    ((f(1) - f(1 - near)) / near) / (f(1) - f(0)): 1 for a straight line, 0 where f has come to rest, negative where it turns
    back. An input, or a unit, is saturated where its magnitude is below `flat`. Where f(1) and f(0) are the same but for
    rounding there is none: it is "unchanged", and not counted. Of several baselines, numerator and denominator are means.

    Attributes:
        slopes: (n,), relative slope of the explained score, NaN where it is unchanged.
        scores, baseline_scores: (n,), in `unit`.
        near, flat: see above.
        of, at, unit, baseline: words.
        layer: in words; "" where no layer was asked for, and then all that follows is None.
        unit_shares: (n,), for each input the share of the layer's units that are saturated, of those that changed.
        unit_unchanged: (n,), the share of units that did not change.
        per_unit: (units,), for each unit the share of inputs at which it is saturated, of those at which it changed (NaN if
            none); None too where the number of units differs from input to input.
        unit_counts: (bins,), how many (input, unit) pairs have a relative slope of which magnitude: 0 to 2 in steps of 0.05,
            then all above.
        unit_share: the share of all (input, unit) pairs that are saturated, of those that changed; NaN where none did.
    """

    slopes: np.ndarray
    scores: np.ndarray
    baseline_scores: np.ndarray
    near: float
    flat: float
    of: str
    at: str
    unit: str
    baseline: str
    layer: str = ""
    unit_shares: np.ndarray | None = None
    unit_unchanged: np.ndarray | None = None
    per_unit: np.ndarray | None = None
    unit_counts: np.ndarray | None = None
    unit_share: float | None = None

    def __len__(self) -> int:
        return len(self.slopes)

    @property
    def unchanged(self) -> np.ndarray:
        """(n,) of bool, inputs whose score is that of the baseline."""
        return np.isnan(self.slopes)

    @property
    def saturated(self) -> np.ndarray:
        """(n,) of bool, inputs near which the score is flat."""
        return np.abs(np.nan_to_num(self.slopes, nan=np.inf)) < self.flat

    @property
    def share(self) -> float:
        """The share of inputs that are saturated, of those whose score changed; NaN where none did."""
        changed = int((~self.unchanged).sum())
        return float(self.saturated.sum() / changed) if changed else float("nan")

    @property
    def counts(self) -> np.ndarray:
        """(bins,), how many inputs have a relative slope of which magnitude; bins as for `unit_counts`."""
        return histogram(self.slopes)

    @printed
    def __repr__(self) -> str:
        changed = int((~self.unchanged).sum())
        lines = [f"Saturation of {len(self)} inputs: {self.of}, at {self.at}, against {self.baseline}"]
        if not changed:
            return lines[0] + "\n  no score differs from that of the baseline: nothing can be said"
        lines.append(
            f"  output: flat near {int(self.saturated.sum())} of {changed} inputs ({self.share:.1%}): over the last "
            f"{self.near:.0%} of the path the score moves at less than {self.flat:.0%} of its mean rate"
        )
        lines.append(
            f"  relative slope there: median {np.nanmedian(self.slopes):.3g} (1 is a straight line)"
            + (f"; {len(self) - changed} inputs score as the baseline does and are not counted" if changed < len(self) else "")
        )
        if self.layer:
            known = present(self.unit_shares)[~np.isnan(present(self.unit_shares))]
            spread = f" ({known.min():.1%} to {known.max():.1%} from input to input)" if len(known) else ""
            lines.append(
                f"  units of {self.layer}: {self.unit_share:.1%} of those that change along the path are flat near "
                f"the input{spread}; {present(self.unit_unchanged).mean():.1%} do not change"
            )
        if self.share > 0:
            lines.append('  where it is flat, gradients at the input say next to nothing: method="integrated_gradients"')
        return "\n".join(lines)

    def plot(self) -> "Drawing":
        """A histogram of relative slopes, of the output and of the layer's units, as a matplotlib figure."""
        from ..view.histograms import slopes

        parts = [(f"{self.of}: {self.share:.0%} of inputs are flat near the input", "inputs", self.counts)]
        if self.layer:
            parts.append(
                (
                    f"Units of {self.layer}: {self.unit_share:.0%} are flat near the input",
                    "units × inputs",
                    present(self.unit_counts),
                )
            )
        return slopes(parts, EDGES, self.near, self.flat)


def saturation(
    attributor: Attributor,
    dataset: Any,
    layer: Any = None,
    *,
    target: Any = None,
    baselines: Any = None,
    near: float = NEAR,
    flat: float = SATURATED,
    seed: int | None = None,
) -> Saturation:
    """Over many inputs, the share near which the explained score, and the units of a layer, are flat. Forward passes alone.

    Args:
        attributor: says what is explained, and from where.
        dataset: an array (or a dict or list of arrays, as the model takes them), a `tf.data.Dataset`, or any iterable of
            batches; of a batch that is a tuple the first part is taken. No more than one batch is held.
        layer: a layer (object or name), or a tensor's name, behind the tensors that are attributed to: each of its units
            is measured too.
        target: as in `attribute`: None (the predicted class) or one for all.
        baselines: as in `attribute`; None is zeros.
        near: above 0, below 1: the last part of the path that the slope is taken over.
        flat: above 0, below 1: below this relative slope it is flat.
        seed: of random baselines.

    Returns:
        A `Saturation`, which states the criterion.

    Raises:
        AttributionError: as `attribute`; an empty dataset, or a layer that the attributed tensors do not lead to.
    """
    as_attributor(attributor, "saturation")
    for name, value in (("near", near), ("flat", flat)):
        if isinstance(value, bool) or not isinstance(value, float | int | np.floating) or not 0 < value < 1:
            raise AttributionError(f"{name} must be a number between 0 and 1, such as 0.05; got {value!r}")
    if target is not None and np.ndim(target) > 0 and not isinstance(target, tuple):
        raise AttributionError("target must be None (the predicted class) or one class for all inputs: batches come one by one")
    parts, units, work = [], _Units(near, flat), None
    for inputs in batches(attributor, dataset):
        work = attributor.work(inputs, target, baselines, seed=seed)
        check_finite("score", work.compared.scores[:, None])
        check_finite("score at the baseline", work.compared.baseline_scores)
        below = work.compared.baseline_scores.mean(1)
        parts.append((_slopes(work, near), work.compared.scores, below))
        if layer is not None:
            units.add(work, layer)
    if work is None:
        raise AttributionError("the dataset is empty: give at least one batch")
    function = work.session.function
    return Saturation(
        *(np.concatenate(column) for column in zip(*parts, strict=True)),
        near=float(near),
        flat=float(flat),
        of=function.output.words,
        at=function.place.words,
        unit=function.output.unit,
        baseline=work.tables.references.words,
        **(units.found() if layer is not None else {}),
    )


def _slopes(work: Work, near: float) -> np.ndarray:
    """(n,), relative slopes of the score."""
    tables, k = work.tables, work.tables.references.count
    points = Points(np.full(k, 1 - near), np.zeros(k), np.arange(k), np.zeros(k, int))
    before = work.session.path_scores(tables, points).mean(1)
    return relative_slopes(work.compared.baseline_scores.mean(1), before, work.compared.scores, near)


def relative_slopes(start: np.ndarray, before: np.ndarray, end: np.ndarray, near: float) -> np.ndarray:
    """((f(1) - f(1 - near)) / near) / (f(1) - f(0)), NaN where f(1) - f(0) is rounding; arrays of one shape."""
    change = end - start
    changed = np.abs(change) > ROUNDING * np.maximum(np.abs(start), np.abs(end))
    return np.divide((end - before) / near, change, out=np.full(change.shape, np.nan), where=changed)


def histogram(slopes: np.ndarray) -> np.ndarray:
    """(len(EDGES),), how many magnitudes are in each bin, and how many beyond the last; NaN is left out."""
    known = np.abs(slopes[~np.isnan(slopes)])
    return np.histogram(known, [*EDGES, np.inf])[0]


class _Units:
    """Sums over batches of what is known of a layer's units."""

    def __init__(self, near: float, flat: float) -> None:
        self._near, self._flat = near, flat
        self._places: dict[Any, Place] = {}
        self._shares: list[np.ndarray] = []
        self._unchanged: list[np.ndarray] = []
        self._counts = np.zeros(len(EDGES), int)
        self._pairs = np.zeros(2, int)  # saturated, changed
        self._per_unit: np.ndarray | None = None  # (2, units): saturated, changed
        self._sizes: set[int] = set()

    def add(self, work: Work, layer: Any) -> None:
        """One batch, in parts: three points on the path of a few examples at a time are held."""
        if work.session not in self._places:
            self._places[work.session] = _place(work, layer)
        step = max(1, work.session.block // 3)
        for start in range(0, len(work.tables.score), step):
            self._add(relative_slopes(*_values(work, self._places[work.session], self._near, start, step), near=self._near))

    def _add(self, slopes: np.ndarray) -> None:
        changed, flat = ~np.isnan(slopes), np.abs(np.nan_to_num(slopes, nan=np.inf)) < self._flat
        number = changed.sum(1)
        self._shares.append(np.divide(flat.sum(1), number, out=np.full(len(slopes), np.nan), where=number > 0))
        self._unchanged.append(1 - number / slopes.shape[1])
        self._counts += histogram(slopes)
        self._pairs += (flat.sum(), number.sum())
        self._sizes.add(slopes.shape[1])
        if len(self._sizes) == 1:
            both = np.stack([flat.sum(0), changed.sum(0)])
            self._per_unit = both if self._per_unit is None else self._per_unit + both

    def found(self) -> dict[str, Any]:
        """The fields of `Saturation` that are about units."""
        per_unit = None
        if len(self._sizes) == 1:
            flat, changed = present(self._per_unit)
            per_unit = np.divide(flat, changed, out=np.full(len(flat), np.nan), where=changed > 0)
        return {
            "layer": next(iter(self._places.values())).words,
            "unit_shares": np.concatenate(self._shares),
            "unit_unchanged": np.concatenate(self._unchanged),
            "per_unit": per_unit,
            "unit_counts": self._counts,
            "unit_share": float(self._pairs[0] / self._pairs[1]) if self._pairs[1] else float("nan"),
        }


def _place(work: Work, layer: Any) -> Place:
    """The layer in the traced graph, checked."""
    session = work.session
    function = session.function
    examples = {key: tf.constant(value[:1]) for key, value in work.ready.items()}
    place = resolve_at(
        function.traced, as_at(layer), list(function.output.fetches.values()), {key: str(key) for key in work.ready}, examples
    )
    ends = [port.tensor for port in place.ports.values()]
    if not any(connected(port.tensor, ends) for port in function.place.ports.values()):
        raise AttributionError(f"{place.words} does not depend on {function.place.words}: name a layer behind it")
    if any(port.batch_axis is None for port in place.ports.values()):
        raise AttributionError(f"{place.words} has no batch axis, so its units cannot be told apart by example")
    return place


def _values(work: Work, place: Place, near: float, first: int, count: int) -> Iterator[np.ndarray]:
    """(m, units) float64 each: the layer's units at the baselines, shortly before the inputs, and at the inputs."""
    part = slice(first, first + count)
    references, x = work.tables.references, work.tables.x
    for alpha in (0.0, 1 - near, 1.0):
        found = []
        for number in range(references.count if alpha < 1 else 1):
            at = {}
            for own, (key, value) in zip(work.session.function.place.ports, x.items(), strict=True):
                start = references.tables[key][references.index[key][part, number]]
                at[own] = ((1 - alpha) * start + alpha * value[part]).astype(value.dtype)
            found.append(_units_at(work, place, at, part))
        yield np.mean(found, axis=0)


def _units_at(work: Work, place: Place, at: dict, part: slice) -> np.ndarray:
    """(m, units) float64, the layer at rows of the selected tensors."""
    inputs = {key: value[part] for key, value in work.ready.items()}
    rows = len(next(iter(at.values())))

    def ports() -> dict[Any, Port]:
        return place.ports

    blocks = work.session.within(f"units of {place.words}", ports, at, inputs)
    flat = [np.concatenate([value.reshape(len(value), -1) for value in block.values()], 1) for block in blocks]
    return np.concatenate(flat)[:rows].astype(np.float64)
