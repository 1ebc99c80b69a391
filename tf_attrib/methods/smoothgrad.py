"""Rows that average another method over noisy copies of the input."""

import dataclasses
import math
from typing import Any, ClassVar

import numpy as np

from ..common.checks import whole
from ..common.errors import AttributionError
from ..common.types import Features
from ..engine.copies import Cloud
from ..engine.method import Method, as_method
from ..engine.work import Work
from ..selection.inputs import few
from ..selection.score_function import ScoreFunction
from .inner import OfInner

# What other methods state once for all as constants of the class, these take from their inner method, as properties.
# pyright: reportIncompatibleVariableOverride=false


@dataclasses.dataclass(frozen=True)
class SmoothGrad(OfInner):
    """The mean of an inner method over x + noise (Smilkov et al. 2017, arXiv:1706.03825, section 3).

    The target is that of x itself, and so are `scores`. Noise is normal, drawn for each example alone, and added where the
    method looks: at the selected tensor, which for Grad-CAM is the layer. An example of one value everywhere gets none, and so
    do tensors of one number for each example, as columns that are inputs of their own; those alone are refused.

    Attributes:
        inner: any method that takes gradients or multipliers, by name or as an instance; default: that of the paper.
        n_samples: noisy copies of each example.
        stddev: of the noise, relative to the range (highest less lowest value) of each example; 0.1 to 0.2 in the paper.
    """

    inner: str | Method = "gradient"
    n_samples: int = 50
    stddev: float = 0.15
    form: ClassVar[str] = "mean"
    symmetric = False  # noise is drawn for each feature

    def __post_init__(self) -> None:
        if isinstance(self.inner, str):
            object.__setattr__(self, "inner", as_method(self.inner))
        inner = self.inner
        masked = (
            isinstance(inner, Method) and inner.kind in ("map", "expectation") and inner.has_integrator
        )  # rows that draw masks for themselves
        if not isinstance(inner, Method) or inner.forward_only or masked or inner.cloud is not None:
            raise AttributionError(
                f"inner must be a method that takes gradients, such as 'gradient' or ta.IntegratedGradients(); got {inner!r}"
            )
        if inner.gives_more:
            raise AttributionError(
                f"{self.inner!r} goes on from the attributions of another method: smooth that one, "
                "ta.XRAI(ta.SmoothGrad('integrated_gradients'))"
            )
        if inner.baseline_of_input:
            raise AttributionError(
                f"{self.inner!r} makes its baseline of the input, and each noisy copy would have another: average "
                "'integrated_gradients', against ta.blur(sigma) for one"
            )
        n, stddev = self.n_samples, self.stddev
        whole("n_samples", n, 2 if self.form == "variance" else 1)
        number = isinstance(stddev, int | float | np.number) and not isinstance(stddev, bool)
        if not number or not 0 < stddev < np.inf:
            raise AttributionError(
                f"stddev must be a number above 0, relative to the range of each example, such as 0.15; got {stddev!r}"
            )

    @property
    def cloud(self) -> Cloud:
        return Cloud(int(self.n_samples), float(self.stddev), self.form)

    @property
    def linear(self) -> bool:
        return self.form == "mean" and self._inner.linear

    @property
    def kind(self) -> str:
        return self._inner.kind if self.form == "mean" else "square"

    @property
    def in_score_units(self) -> bool:
        return self._inner.in_score_units and self.form == "mean"

    @property
    def tells_signs(self) -> bool:
        return self._inner.tells_signs and self.form == "mean"

    def unit(self, of_score: str) -> str:
        return self._inner.unit(of_score) if self.form == "mean" else f"({self._inner.unit(of_score)})²"

    def sum_shapes(self, features: Features, work: Work) -> Features:
        shapes = [x.shape[1:] for x in work.tables.x.values()]
        if all(math.prod(shape) == 1 for shape in shapes):
            raise AttributionError(
                f"the noise of {type(self).__name__} is relative to the range of each example's values, and "
                + ("these inputs hold one number each" if len(shapes) > 1 else "this input holds one number")
                + ", which has no range: give columns side by side, as one input (batch, columns), or take "
                f"{self._inner!r} itself"
            )
        return super().sum_shapes(features, work)

    def fields(self, work: Work) -> dict[str, Any]:
        found, wide = super().fields(work), [x.reshape(len(x), -1) for x in work.tables.x.values()]
        alike = np.logical_and.reduce([(x == x[:, :1]).all(1) for x in wide])
        if not alike.any():
            return found
        which = few(np.flatnonzero(alike))
        said = f"no noise is added to example(s) {which}, of one value everywhere: it is relative to the range"
        return found | {"notes": (*found.get("notes", ()), said)}

    def notes(self, function: ScoreFunction) -> tuple[str, ...]:
        notes = self._inner.notes(function)
        still = [repr(key) for key, shape in function.features().items() if None not in shape and math.prod(shape) == 1]
        if still:
            notes += (f"no noise is added to {', '.join(still)}: one number for each example has no range",)
        if self.form == "mean" and self._inner.complete:
            notes += ("what adds up are the noisy copies: the gap is that of their mean score from the score of the example",)
        if self.control is not None and self.form != "mean":
            notes += ("each copy is taken to the stated accuracy; the error of what is returned is not estimated",)
        return notes


@dataclasses.dataclass(frozen=True)
class SmoothGradSquared(SmoothGrad):
    """The mean of the squares of an inner method over x + noise (Hooker et al. 2019, arXiv:1806.10758, section 4.1): without
    sign, in squared units."""

    form = "squared"


@dataclasses.dataclass(frozen=True)
class VarGrad(SmoothGrad):
    """The variance of an inner method over x + noise (Adebayo et al. 2018, arXiv:1810.03307, section 3): without sign, in
    squared units. Of one copy it would be 0 everywhere: `n_samples` is at least 2."""

    form = "variance"
