"""What metrics perturb inputs by: noise, removed squares, or perturbations that a user gives."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..common.checks import is_whole, number, whole
from ..common.errors import AttributionError
from ..selection.channels_last import check_channels_last
from .examples import Examples, joined

# Noise is this part of the range of the examples, unless told otherwise.
NOISE = 0.1
# Perturbations that are drawn for each example unless told otherwise.
SAMPLES = 200


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """I = noise, normal around zero: the score is compared with that at x - I.

    Attributes:
        stddev: of the noise, in the unit of the input; default: a tenth of the range of these examples, of several selected
            tensors each its own.
    """

    stddev: float | None = None

    def __post_init__(self) -> None:
        if self.stddev is not None:
            number("stddev", self.stddev, above=0)

    def words(self, case: Examples) -> str:
        found = self._stddevs(case)
        one = len(set(found.values())) == 1
        each = [f"{next(iter(found.values())):.3g}"] if one else [f"{key!r} {value:.3g}" for key, value in found.items()]
        return f"Gaussian noise of standard deviation {', '.join(each)}"

    def _stddevs(self, case: Examples) -> dict[Any, float]:
        """By key of the selected tensors."""
        found = {key: float(NOISE * np.ptp(value)) if self.stddev is None else self.stddev for key, value in case.x.items()}
        if not any(found.values()):  # no noise, and every attribution would predict that nothing happens
            raise AttributionError(
                "these examples have one value only, of whose range the default noise is a tenth: nothing would be perturbed; "
                "say how much, perturbation=ta.metrics.Gaussian(stddev) or NoisyBaseline(stddev)"
            )
        return found

    def draw(
        self, case: Examples, example: int, reference: np.ndarray, samples: int, rng: np.random.Generator
    ) -> Iterator[np.ndarray]:
        sizes = [value[0].size for value in case.x.values()]
        stddev = np.repeat(list(self._stddevs(case).values()), sizes)
        for size in _sizes(samples, case.block):
            yield rng.normal(0, stddev, (size, len(reference)))


@dataclasses.dataclass(frozen=True)
class NoisyBaseline:
    """I = x - (x' + noise): the score is compared with that near the baseline (Yeh et al. 2019).

    Attributes:
        stddev: of the noise, as of `Gaussian`.
    """

    stddev: float | None = None

    def __post_init__(self) -> None:
        if self.stddev is not None:
            number("stddev", self.stddev, above=0)

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


def perturbation_of(case: Examples, perturbation: Any, samples: int | None) -> tuple[Any, int]:
    """What draws, and how many of it."""
    if samples is not None:
        whole("samples", samples)
    if isinstance(perturbation, Squares):
        check_channels_last("Squares", case.session.function)
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
    if not np.isfinite(array).all():
        raise AttributionError("the perturbations hold NaN or infinity: leave these out")
    if samples is not None:
        raise AttributionError(f"an array of {len(array)} perturbations brings its own number: leave samples= out")
    return GivenPerturbations(array.reshape(len(array), -1)), len(array)


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
