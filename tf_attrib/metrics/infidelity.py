"""Does an attribution predict what a perturbation of the input does to the score?"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..attribution import Attribution
from ..attributor import Attributor
from ..common.checks import is_whole, whole
from ..common.errors import AttributionError
from ..common.types import present
from ..engine.method import Method
from ..methods import as_method
from .examples import Examples, attributed, case_of, given_of, is_slope, joined, of_raw_columns, relevance
from .metric import Metric

# Noise is this part of the range of the examples, unless told otherwise.
NOISE = 0.1
MEASURABLE = (
    "it is of slopes, such as gradient, SmoothGrad of it and internal influence, and of contributions to the score, "
    "such as integrated gradients, DeepLIFT, gradient × input, occlusion and ablation: leave this method out, or the "
    "metric"
)
# Perturbations that are drawn for each example unless told otherwise.
SAMPLES = 200


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """I = noise, normal around zero: the score is compared with that at x - I.

    Attributes:
        stddev: of the noise, in the unit of the input; default: a tenth of the range of these examples.
    """

    stddev: float | None = None

    def __post_init__(self) -> None:
        _positive("stddev", self.stddev)

    def words(self, case: Examples) -> str:
        return f"Gaussian noise of standard deviation {self._stddev(case):.3g}"

    def _stddev(self, case: Examples) -> float:
        return float(NOISE * np.ptp(case.flat)) if self.stddev is None else self.stddev

    def draw(
        self, case: Examples, example: int, reference: np.ndarray, samples: int, rng: np.random.Generator
    ) -> Iterator[np.ndarray]:
        stddev = self._stddev(case)
        for size in _sizes(samples, case.block):
            yield rng.normal(0, stddev, (size, len(reference)))


@dataclasses.dataclass(frozen=True)
class NoisyBaseline:
    """I = x - (x' + noise): the score is compared with that near the baseline (Yeh et al. 2019).

    Attributes:
        stddev: of the noise, in the unit of the input; default: a tenth of the range of these examples.
    """

    stddev: float | None = None

    def __post_init__(self) -> None:
        _positive("stddev", self.stddev)

    def words(self, case: Examples) -> str:
        return f"the baseline with {Gaussian(self.stddev).words(case)}"

    def draw(
        self, case: Examples, example: int, reference: np.ndarray, samples: int, rng: np.random.Generator
    ) -> Iterator[np.ndarray]:
        for noise in Gaussian(self.stddev).draw(case, example, reference, samples, rng):
            yield case.flat[example] - reference - noise


@dataclasses.dataclass(frozen=True)
class Squares:
    """I = x - x' within a square at a random place, else 0: the score is compared with that where the square was removed.

    Attributes:
        side: in pixels (time steps, tokens, features), or (least, greatest), between which the side is drawn.
    """

    side: int | tuple[int, int] = (1, 4)

    def __post_init__(self) -> None:
        low, high = self._range()
        if not (is_whole(low, 1) and is_whole(high, low)):
            raise AttributionError(f"side must be a whole number of at least 1, or (least, greatest); got {self.side!r}")

    def _range(self) -> tuple[int, int]:
        low, high = self.side if isinstance(self.side, tuple | list) else (self.side, self.side)
        return low, high

    def words(self, case: Examples) -> str:
        low, high = self._range()
        return f"squares of side {low if low == high else f'{low} to {high}'} removed"

    def draw(
        self, case: Examples, example: int, reference: np.ndarray, samples: int, rng: np.random.Generator
    ) -> Iterator[np.ndarray]:
        low, high = self._range()
        # sides and places of all samples come first, so that the size of a block changes nothing
        sides, where = rng.integers(low, high + 1, samples), rng.random((samples, len(case.x), 3))
        difference, start = case.flat[example] - reference, 0
        for size in _sizes(samples, case.block):
            part = slice(start, start + size)
            masks = {
                key: _masks(value.shape[1:], sides[part], where[part, number])
                for number, (key, value) in enumerate(case.x.items())
            }
            yield joined(masks) * difference
            start += size


@dataclasses.dataclass(frozen=True, eq=False)
class GivenPerturbations:
    """Perturbations (samples, features) that the user gave, the same for every example."""

    values: np.ndarray

    def words(self, case: Examples) -> str:
        return "given ones"

    def draw(
        self, case: Examples, example: int, reference: np.ndarray, samples: int, rng: np.random.Generator
    ) -> Iterator[np.ndarray]:
        for start in range(0, samples, case.block):
            yield self.values[start : start + case.block]


def infidelity(
    attributor: Attributor,
    result: Any,
    *,
    method: str | Method = "integrated_gradients",
    target: Any = None,
    baselines: Any = None,
    perturbation: Any = None,
    samples: int | None = None,
    normalise: bool = False,
    seed: int = 0,
) -> Metric:
    """How far an attribution is off as a prediction of what perturbations do to the score: lower is better, 0 is perfect.

    E over I of (I · phi - (F(x) - F(x - I)))², Yeh et al. 2019 (arXiv:1901.09392), definition 2.1. There phi is in units of
    slope, score per unit of input. Attributions in the unit of the score, such as integrated gradients, DeepLIFT, gradient ×
    input, occlusion and ablation, are divided by x - x' (the mean of x - x' over several baselines); features that equal their
    baseline have no such slope, are not perturbed, and a note says how many. `kind` of the result decides; one of your own that
    states none is a slope, unless it has a gap.

    Args:
        attributor: the model, with `at` and `of`.
        result: an `Attribution`, or inputs (n, ...), which are attributed by `method` for `target` against `baselines`.
        baselines: those of the attribution, x'; a given result must have been made against them (and with `seed`).
        perturbation: `Gaussian(stddev)`, `NoisyBaseline(stddev)`, `Squares(side)`, or an array (samples, ...) of I, the same
            for every example; default: Gaussian.
        samples: how many perturbations of each example are drawn, 200 unless given; an array brings its own number.
        normalise: multiply each example's attribution by the one number that serves it best, so that its scale is not
            measured (captum's normalize=True).
        seed: of the perturbations, and of random baselines and methods.

    Returns:
        A `Metric`: `values` (n,), in the square of the unit of the score.

    Raises:
        AttributionError: a result whose scores at the baseline are other than those of `baselines`; a method that is no slope
            and no contribution of a feature: Grad-CAM, squares (VarGrad), ablation of groups, conductance at a layer.
    """
    if not isinstance(result, Attribution):
        method = as_method(method)
        check_method(method)
    found = attributed(attributor, result, method, target, baselines, seed)
    check_measurable(found)
    case = case_of(attributor, given_of(found), found.target, baselines, seed)
    return infidelities(case, [Slope.of(found, case)], perturbation, samples, normalise, seed)[0]


@dataclasses.dataclass(frozen=True, eq=False)
class Slope:
    """An attribution as score per unit of input, (n, features), and of which features it is not known."""

    method: str
    values: np.ndarray
    unknown: np.ndarray

    @classmethod
    def of(cls, result: Attribution, case: Examples) -> "Slope":
        """That of a result: its attributions, or where these are in the unit of the score, divided by x - x'."""
        check_measurable(result)
        if of_raw_columns(result, case):
            raise AttributionError(
                f"infidelity perturbs what columns are encoded to, and {result.method} is of the columns as they are: leave "
                'this method or the metric out, such as metrics=["aopc", "deletion", "insertion"]'
            )
        values = relevance(result, case)
        if is_slope(result):
            return cls(result.method, values, np.zeros(values.shape, bool))
        if result.taken_away in ("positions", "groups"):
            values = _shared_out(result, values, case)
        x = case.flat.astype(np.float64)
        # gradient × input knows no other baseline than zeros, whatever the others are compared with
        difference = x if result.baseline_is_zero else x - case.mean_reference(np.arange(len(case)))
        if not result.baseline_is_zero:
            _check_baseline(result, case)
        return cls(
            result.method, np.divide(values, difference, out=np.zeros_like(values), where=difference != 0), difference == 0
        )


# Kinds of numbers of which infidelity means nothing, and why.
UNFIT = {
    "map": "it is a map, which takes all channels together",
    "expectation": "its numbers are expected scores, which take all channels together",
    "square": "its attributions are squares, without a sign",
}


def check_method(method: Method) -> None:
    """Raises where attributions of a method are no slopes, and no contributions of features against a baseline."""
    _check_kind(repr(method), method.kind, method.uses_baseline)
    score = "the unit of the score"
    if method.kind in ("contribution", "effect") and method.unit(score) != score:
        raise AttributionError(
            f"infidelity means nothing of {method!r}: its attributions are in {method.unit(score)}, and not in {score}; "
            f"{MEASURABLE}"
        )


def _check_kind(method: str, kind: str, has_baseline: bool) -> None:
    if kind in UNFIT:
        raise AttributionError(f"infidelity means nothing of {method}: {UNFIT[kind]}; {MEASURABLE}")
    if kind in ("contribution", "effect") and not has_baseline:
        raise AttributionError(
            f"infidelity divides {kind}s by x - x', and of {method or 'this result'} no baseline x' is known (a method says "
            f'uses_baseline = True; where it gives score per unit of the input, kind = "slope"); {MEASURABLE}'
        )


def check_measurable(result: Attribution) -> None:
    """Raises where a result cannot be made score per unit of what it is of."""
    _check_kind(result.method, result.kind, result.difference is not None or result.baseline_is_zero)
    if result.path_at and not is_slope(result):
        raise AttributionError(
            f"infidelity means nothing of {result.method} at {result.at}: its path and its baseline are at "
            f"{result.path_at}, so there is no x - x' here to divide by; {MEASURABLE}"
        )


def _shared_out(result: Attribution, values: np.ndarray, case: Examples) -> np.ndarray:
    """Effects of groups, which every feature has in full, with an equal share for each feature."""
    if result.taken_away == "positions":  # with all their channels
        sizes = {key: np.full(x.shape, x.shape[-1] if x.ndim > 2 else 1) for key, x in case.x.items()}
        return values / joined(sizes)
    if np.any(result.groups < values.shape[1]):
        raise AttributionError(
            f"infidelity means nothing of {result.method}: {present(result.groups).min()} groups for {values.shape[1]} "
            "features, each of which has the effect of its whole group; leave groups out, "
            "method='ablation', or leave this method or the metric out"
        )
    return values


def _check_baseline(result: Attribution, case: Examples) -> None:
    """Raises where a result was made against another baseline than the references of `case`."""
    expected, found = result.scores - result.difference, case.baseline_scores.mean(1)
    if not np.allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(result.scores).max()):
        raise AttributionError(
            f"{result.method} was made against another baseline: the score there is {expected[0]:.4g} "
            f"(example 0), at these baselines {found[0]:.4g}; pass the baselines= and seed= that it was "
            "made with"
        )


def infidelities(
    case: Examples, slopes: Sequence[Slope], perturbation: Any, samples: int | None, normalise: bool, seed: int
) -> list[Metric]:
    """As `infidelity`, of several attributions with the same perturbations: the scores are evaluated once."""
    perturbation, samples = _perturbation(case, perturbation, samples)
    unknown = np.any([slope.unknown for slope in slopes], axis=0)
    found = np.empty((len(slopes), len(case)))
    for example, rng in enumerate(case.generators(seed)):
        each = np.stack([slope.values[example] for slope in slopes], 1)
        dots, drops = _compared(case, example, each, ~unknown[example], perturbation, samples, rng)
        scale = np.ones(len(slopes))
        if normalise:
            square = (dots**2).sum(0)
            scale = np.divide((dots * drops[:, None]).sum(0), square, out=np.zeros(len(slopes)), where=square > 0)
        found[:, example] = ((scale * dots - drops[:, None]) ** 2).mean(0)
    share = unknown.mean()
    notes = (f"{share:.1%} of the features equal their baseline: they have no slope and were not perturbed",) if share else ()
    scaled = ", each attribution scaled to serve best" if normalise else ""
    settings = f"{samples} perturbations an example, {perturbation.words(case)}{scaled}"
    return [
        Metric("infidelity", values, slope.method, f"squared {case.unit}", "lower", settings, notes)
        for slope, values in zip(slopes, found, strict=True)
    ]


def _perturbation(case: Examples, perturbation: Any, samples: int | None) -> tuple[Any, int]:
    """What draws, and how many of it."""
    if samples is not None:
        whole("samples", samples)
    if perturbation is None or isinstance(perturbation, Gaussian | NoisyBaseline | Squares):
        return perturbation or Gaussian(), SAMPLES if samples is None else int(samples)
    shapes = [value.shape[1:] for value in case.x.values()]
    array = np.asarray(perturbation)
    if array.dtype.kind not in "iuf" or len(shapes) > 1 or array.shape[1:] != shapes[0] or not len(array):
        raise AttributionError(
            "perturbation must be Gaussian(stddev), NoisyBaseline(stddev) or Squares(side) of ta.metrics, "
            f"or an array (samples, *{shapes[0]}) for one selected tensor; got "
            f"{perturbation if array.dtype == object else f'{array.dtype} {array.shape}'}"
        )
    if samples is not None:
        raise AttributionError(f"an array of {len(array)} perturbations brings its own number: leave samples= out")
    return GivenPerturbations(array.reshape(len(array), -1)), len(array)


def _compared(
    case: Examples, example: int, slopes: np.ndarray, known: np.ndarray, perturbation, samples: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """I · phi (samples, methods), and F(x) - F(x - I) (samples,), of one example."""
    x, dtype = case.flat[example], case.session.function.dtype.as_numpy_dtype
    reference, dots, drops = case.mean_reference(np.array([example]))[0], [], []
    for drawn in perturbation.draw(case, example, reference, samples, rng):
        rows = (x - drawn * known).astype(dtype)
        dots.append((x.astype(np.float64) - rows) @ slopes)  # what was subtracted in the dtype of the model
        drops.append(case.scores[example] - case.score(np.full(len(rows), example), lambda part, rows=rows: rows[part]))
    return np.concatenate(dots), np.concatenate(drops)


def _masks(shape: tuple, sides: np.ndarray, where: np.ndarray) -> np.ndarray:
    """(rows, *shape), 1 within a square of these sides, at places given by numbers in [0, 1)."""
    places = shape[:-1] if len(shape) > 1 else shape
    mask = np.ones((len(sides), *places, *[1] * (len(shape) - len(places))))
    for axis, size in enumerate(places):
        side = np.minimum(sides, size)
        start = np.floor(where[:, axis] * (size - side + 1)).astype(int)[:, None]
        inside = (np.arange(size) >= start) & (np.arange(size) < start + side[:, None])
        mask = mask * inside.reshape([-1, *(size if a == axis else 1 for a in range(len(shape)))])
    return np.broadcast_to(mask, (len(sides), *shape))


def _sizes(samples: int, block: int) -> list[int]:
    """Samples in blocks."""
    return [min(block, samples - start) for start in range(0, samples, block)]


def _positive(name: str, value: float | None) -> None:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if value is not None and not (number and value > 0):
        raise AttributionError(f"{name} must be a number above 0, got {value!r}")
