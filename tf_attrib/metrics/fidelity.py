"""Do scores fall when what was called relevant is taken away? Perturbation, deletion and insertion curves."""

import dataclasses
import hashlib
from typing import Any

import numpy as np

from ..attribution import Attribution
from ..attributor import Attributor
from ..common.checks import is_whole
from ..common.errors import AttributionError
from ..common.nested import flatten
from ..engine.method import Method
from ..selection.baselines import Baseline
from ..selection.zeros_in_words import describe_zeros
from .examples import Examples, attributed, case_of, given_of, relevance
from .metric import Curves
from .units import Units, units_of

# Steps of a curve unless told otherwise, where there are that many parts.
STEPS = 100
MOST, LEAST, RANDOM = "most relevant first", "least relevant first", "random order"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Aopc(Curves):
    """The area over the perturbation curves of three orders; `values` are those of "most relevant first"."""

    @property
    def least(self) -> np.ndarray:
        """(n,), AOPC with the least relevant parts taken away first."""
        return self.areas[LEAST]

    @property
    def random(self) -> np.ndarray:
        """(n,), AOPC in random order."""
        return self.areas[RANDOM]

    @property
    def between(self) -> np.ndarray:
        """(n,), the area between the curves of least and most relevant first, per step; higher is better."""
        return self.values - self.least


def aopc(
    attributor: Attributor,
    result: Any,
    *,
    method: str | Method = "integrated_gradients",
    target: Any = None,
    baselines: Any = None,
    replacement: Any = None,
    units: str | None = None,
    patch: Any = None,
    steps: int | None = None,
    share: float = 1.0,
    seed: int = 0,
) -> Aopc:
    """The area over the perturbation curve: how far the score falls while parts are taken away, on average over steps.

    AOPC = 1 / (L + 1) · sum over k = 0 ... L of F(x) - F(x with the first k steps of parts replaced), in the order of their
    signed attributions: most relevant first, with least relevant first and a random order alongside. Higher is better for
    most relevant first and for the area between the two, lower for least relevant first. A part's attribution is the sum over
    its features. Samek et al. 2017
    (arXiv:1509.06321), equation 12. The order of parts that are equal is drawn.

    Args:
        attributor: the model, with `at` and `of`.
        result: an `Attribution`, or inputs (n, ...), which are attributed by `method` for `target` against `baselines`.
        replacement: what stands in for what is taken away: as `baselines` of `attribute` (a number, an array, `ta.blur(sigma)`,
            `ta.uniform(...)`, `ta.token(0)` for the embedding of padding), or "mean", the mean of these examples; of several,
            scores are averaged. Default: `baselines`, which are zeros unless given.
        units: "features", "pixels", "patches" (with `patch`, their side), "tokens", "columns" (with all that they are encoded
            to); default: by the kind of the examples.
        steps: L; default: one for each part, 100 at most.
        share: of the parts that are taken away in the end.
        seed: of the random order, and of random baselines and methods.

    Returns:
        An `Aopc`: `values`, `least`, `random`, `between`, each (n,), in the unit of the score; `curves` of F(x) - F(...).
    """
    found = attributed(attributor, result, method, target, baselines, seed)
    case = case_of(attributor, given_of(found), found.target, stand_in(baselines, replacement), seed)
    return aopc_of(case, Ranked.of(found, case, units_of(case, units, patch)), steps, share, seed)


def deletion(
    attributor: Attributor,
    result: Any,
    *,
    method: str | Method = "integrated_gradients",
    target: Any = None,
    baselines: Any = None,
    replacement: Any = None,
    units: str | None = None,
    patch: Any = None,
    steps: int | None = None,
    seed: int = 0,
) -> Curves:
    """The area under the score while parts are taken away, most relevant first, over the share that is gone: lower is better.

    AUC = (sum over k = 0 ... L of F_k - (F_0 + F_L) / 2) / L. Petsiuk et al. 2018 (arXiv:1806.07421). The arguments are those
    of `aopc`.

    Returns:
        `Curves`: `values` (n,), in the unit of the score; `curves` of the score itself.
    """
    found = attributed(attributor, result, method, target, baselines, seed)
    case = case_of(attributor, given_of(found), found.target, stand_in(baselines, replacement), seed)
    return deletion_of(case, Ranked.of(found, case, units_of(case, units, patch)), steps, seed)


def insertion(
    attributor: Attributor,
    result: Any,
    *,
    method: str | Method = "integrated_gradients",
    target: Any = None,
    baselines: Any = None,
    replacement: Any = None,
    units: str | None = None,
    patch: Any = None,
    steps: int | None = None,
    seed: int = 0,
) -> Curves:
    """The area under the score while parts are put in, most relevant first, where `replacement` stood: higher is better.

    AUC as for `deletion`. Petsiuk et al. 2018 (arXiv:1806.07421), who start from the blurred image:
    replacement=ta.blur(sigma). The arguments are those of `aopc`.

    Returns:
        `Curves`: `values` (n,), in the unit of the score; `curves` of the score itself.
    """
    found = attributed(attributor, result, method, target, baselines, seed)
    case = case_of(attributor, given_of(found), found.target, stand_in(baselines, replacement), seed)
    return insertion_of(case, Ranked.of(found, case, units_of(case, units, patch)), steps, seed)


@dataclasses.dataclass(frozen=True, eq=False)
class Ranked:
    """An attribution (n, parts), summed over each part, and what a reader should know of it."""

    values: np.ndarray
    units: Units
    method: str
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, result: Attribution, case: Examples, units: Units) -> "Ranked":
        """That of a result."""
        values, notes = relevance(result, case, shared=True), case.notes
        size = sum(int(np.prod(np.shape(leaf)[1:])) for leaf in flatten(result.attributions).values())
        if result.kind == "slope" and units.count < size:
            notes = (
                *notes,
                f"{result.method}: slopes were summed over each of the {units.words}, which is no contribution to the "
                "score; gradient_times_input is, and result.norm(-1) ranks by magnitude",
            )
        return cls(units.summed(values), units, result.method, notes)


def aopc_of(case: Examples, ranked: Ranked, steps: int | None, share: float, seed: int) -> Aopc:
    """As `aopc`, of an attribution that was summed over parts."""
    units, method = ranked.units, ranked.method
    counts = counts_of(units, steps, share)
    first = ordered(case, ranked.values, seed)
    positions = {MOST: first, LEAST: units.count - 1 - first, RANDOM: ordered(case, np.zeros_like(first), seed)}
    drops = {name: case.scores[:, None] - curve(case, units, position, counts) for name, position in positions.items()}
    areas = {name: drop.sum(1) / len(counts) for name, drop in drops.items()}  # k = 0 adds nothing
    most = areas.pop(MOST)
    areas["between least and most relevant first"] = most - areas[LEAST]
    return Aopc(
        f"AOPC, {MOST}",
        most,
        method,
        case.unit,
        "higher",
        _settings(case, units, counts),
        ranked.notes,
        counts / units.count,
        drops,
        (f"share of {units.words} taken away", f"fall of the score ({case.unit})"),
        areas,
    )


def deletion_of(case: Examples, ranked: Ranked, steps: int | None, seed: int) -> Curves:
    """As `deletion`, of an attribution that was summed over parts."""
    units, method = ranked.units, ranked.method
    counts = counts_of(units, steps, 1.0)
    found = curve(case, units, ordered(case, ranked.values, seed), counts)
    return Curves(
        "deletion, area under the curve",
        under(found),
        method,
        case.unit,
        "lower",
        _settings(case, units, counts),
        ranked.notes,
        counts / units.count,
        {MOST: found},
        (f"share of {units.words} taken away", f"score ({case.unit})"),
    )


def insertion_of(case: Examples, ranked: Ranked, steps: int | None, seed: int) -> Curves:
    """As `insertion`, of an attribution that was summed over parts."""
    units, method = ranked.units, ranked.method
    counts = counts_of(units, steps, 1.0)
    least = units.count - 1 - ordered(case, ranked.values, seed)
    # with k parts in, the others are away, and they are the least relevant: the curve of least relevant first, backwards
    found = curve(case, units, least, (units.count - counts)[::-1])[:, ::-1]
    return Curves(
        "insertion, area under the curve",
        under(found),
        method,
        case.unit,
        "higher",
        _settings(case, units, counts),
        ranked.notes,
        counts / units.count,
        {MOST: found},
        (f"share of {units.words} put in", f"score ({case.unit})"),
    )


def under(curves: np.ndarray) -> np.ndarray:
    """(n,), the area under curves (n, points) over [0, 1], by the trapezoid of equal steps."""
    return (curves.sum(1) - (curves[:, 0] + curves[:, -1]) / 2) / (curves.shape[1] - 1)


def counts_of(units: Units, steps: int | None, share: float) -> np.ndarray:
    """int (steps + 1,), how many parts are away at each point of a curve, from none to a share of them."""
    if isinstance(share, bool) or not isinstance(share, int | float | np.number) or not 0 < share <= 1:
        raise AttributionError(f"share must be a number above 0, at most 1; got {share!r}")
    most = max(1, int(np.rint(share * units.count)))
    steps = min(most, STEPS) if steps is None else steps
    if not is_whole(steps, 1, most):
        raise AttributionError(
            f"steps must be a whole number from 1 to {most}, the number of {units.words} that are taken away; got {steps!r}"
        )
    return np.rint(np.linspace(0, most, steps + 1)).astype(int)


def ordered(case: Examples, parts: np.ndarray, seed: int) -> np.ndarray:
    """int (n, parts), the place of each part in the order, 0 for the greatest of `parts`; ties are drawn."""
    drawn = np.stack([rng.permutation(parts.shape[1]) for rng in case.generators(seed)])
    order = np.lexsort((drawn, -parts), axis=1)
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.broadcast_to(np.arange(parts.shape[1]), order.shape), 1)
    return places


def curve(case: Examples, units: Units, places: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(n, points), scores with those parts replaced whose place is below each of `counts`, over all references."""
    digest = hashlib.blake2b(np.ascontiguousarray(places).tobytes() + units.labels.tobytes() + counts.tobytes()).digest()
    if digest not in case.known:
        case.known[digest] = _evaluated(case, units, places, counts)
    return case.known[digest]


def _evaluated(case: Examples, units: Units, places: np.ndarray, counts: np.ndarray) -> np.ndarray:
    x, points = case.flat, len(counts)
    example, count = np.repeat(np.arange(len(case)), points), np.tile(counts, len(case))
    away = np.flatnonzero(count)  # the examples themselves were scored already
    total = np.zeros(len(example))
    for number in range(case.references.count):

        def rows(part: np.ndarray, number: int = number) -> np.ndarray:
            part = away[part]
            replaced = units.spread(places[example[part]] < count[part][:, None])
            return np.where(replaced, case.reference(example[part], number), x[example[part]])

        total[away] += case.score(example[away], rows)
    total[away] /= case.references.count
    return np.where(count == 0, case.scores[example], total).reshape(len(case), points)


def stand_in(baselines: Any, replacement: Any) -> Any:
    """What stands in for what is taken away, as `baselines` of `attribute`."""
    if isinstance(replacement, str):
        if replacement != "mean":
            raise AttributionError(
                f"replacement must be 'mean', a number, an array, or a baseline such as ta.blur(2); got {replacement!r}"
            )
        return Baseline("the mean of these examples", lambda x, rng: x.mean(0, dtype=np.float64)[None])
    if isinstance(replacement, int | float | np.number) and not isinstance(replacement, bool):
        return Baseline(f"{replacement:g}", lambda x, rng: np.full((1, *x.shape[1:]), replacement, x.dtype))
    return baselines if replacement is None else replacement


def replaced_by(case: Examples) -> str:
    """What stands in, in words."""
    return describe_zeros(case.x, case.kind) if case.references.default else case.references.words


def _settings(case: Examples, units: Units, counts: np.ndarray) -> str:
    steps = len(counts) - 1
    return (
        f"{counts[-1]} of {units.count} {units.words} in {steps} step{'s' if steps > 1 else ''}, replaced by "
        f"{replaced_by(case)}"
    )
