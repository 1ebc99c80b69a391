"""The numbers of a result: attributions as they were computed, signed and unreduced, and what is known about each of them.

Reductions (`sum`, `mean`, `norm`, `abs`) are explicit calls that give a new result; nothing here scales, clips or takes
absolute values by itself.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar

import numpy as np

from ..common.nested import flatten, map_leaves, rebuild
from .adding_up import over_features
from .ranking import Feature, ranked
from .reductions import named, reduced, with_numbers

PER_EXAMPLE = (
    "scores",
    "baseline_scores",
    "gap",
    "error_estimate",
    "format_error",
    "status",
    "residual",
    "residual_clipped",
    "narrow_at",
    "evaluations",
    "forward_evaluations",
    "target",
    "predicted",
    "top_classes",
    "top_scores",
    "alphas",
    "path_scores",
    "path_gradients",
    "baseline_confidence",
    "gradient_share",
    "tokens",
    "example",
    "position",
    "groups",
    "regions",
    "region_values",
    "region_areas",
    "region_totals",
)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Result:
    """What a prediction's score is made of, for a batch of examples.

    Every array has the batch as axis 0. What a method has no meaning for is None.

    Attributes:
        attributions: float array (batch, *features of the selected tensor), or a list or dict of such, in
            `attribution_unit`. Interior gradients have the steps along the path as axis 1.
        scores: (batch,), the explained scalar at the input, in `unit`.
        positive: the part of `attributions` that is due to positive differences from the reference (DeepLIFT, arXiv:1704.02685,
            section 3.4), in the same structure; `negative` is the rest.
        baseline_scores: (batch,), or (batch, k) for k baselines: the same at the baseline.
        gap: (batch,), the sum of `attributions` less (score - mean baseline score), in `unit`.
        error_estimate: (batch,), estimated L1 error of `attributions` relative to their L1 norm. After a reduction it is a
            bound: the same absolute error over the norm of what is shown.
        standard_error: of `attributions`, in the same structure and unit, where they are estimated from draws: their standard
            deviation over draws. Those of features that share what their group got add up to that of the group. After `sum` it
            is the sum of those summed: that of the sum where they are of one group, and of several an upper bound.
        format_error: (batch,), of nets that compute in float16 or bfloat16 (`format`): how far `attributions` are from those of
            the same net in float32, as an L1 error relative to their L1 norm, measured at points of the path. `error_estimate`
            does not know of it: it is about the function that the net computes.
        status: (batch,) of str: "converged"; "max_evaluations"; "memory" (paths from several baselines, whose average was to
            be refined further, did not fit together); "too_narrow" (the score jumps or peaks along the path within less than a
            step can resolve); "incomplete" (the sum is off by more than the method can explain: rounding, or the stated
            accuracy); "cancelling" (of a method that is exact: parts of both signs are far larger than the scores);
            "too_few_steps", "too_few_samples" (of fixed rules and of draws: the sum is off by more than 5%); "not_estimated"
            (of a path that gradients choose, as of guided IG: `gap` is all that is known of its accuracy); "not_repeatable" (of
            coalitions, where the model draws at random); "not_finite"; "" where nothing is wrong, or the method states none.
        residual: (batch,), (score - baseline score) less the sum of the integral, before it was handed out, in `unit`.
        residual_clipped: (batch,) of bool, whether the residual was more than the integrand can explain (the model rounds,
            jumps, or has gradients that are not its own): it was not handed out, and `gap` shows it.
        narrow_at: (batch,), where on the path (0 baseline, 1 input) an example is "too_narrow"; NaN for the others.
        evaluations, forward_evaluations: (batch,) of int, gradient rows and forward-only rows that were evaluated.
        target: (batch,) class indices, or (batch, r) indices into an output of rank r + 1.
        predicted: (batch,) the class of the highest value at the input, where the explained output has one of each class.
        top_classes: (batch, k) of int, the five classes of the highest values there, or all of fewer, the highest first.
        top_scores: (batch, k), these values of the explained output, such as probabilities.
        alphas: (batch, n_steps), where on the path each interior gradient lies (0 baseline, 1 input).
        path_scores: (batch, n_steps), the score there.
        path_gradients: (batch, n_steps), the derivative of the score along the path there (in `unit` per unit of alpha).
        baseline_confidence: (batch,) or (batch, k), the highest class probability at the baseline.
        gradient_share: (batch,), the part of (score - baseline score) that the gradient at the input accounts for.
        tokens: (batch, length) of str, the words behind token ids where the model knows them.
        example, position: (batch,) of int, where the outputs at several positions are explained (`ta.each_position`): which
            example of the inputs, and which position of its output, an entry of this batch is of.
        method, at, of, unit, baseline: words: how, at which tensors, of which output, in which unit, against what.
        kind: what the numbers are: "contribution" (a part of the score, in its unit), "slope" (score per unit of what they
            are of), "effect" (what the score loses without a feature or its group, each in full), "map" (how much is where, no
            part of the score: Grad-CAM and its kind), "expectation" (the expected score while a feature is seen, of which
            differences alone tell: RISE), "square" (without sign, in squared units); "" where none is known. Over channels and
            regions contributions and slopes are summed, the others averaged.
        steps: whether axis 1 of `attributions` are the steps along the path at `alphas`.
        place: what was selected: "inputs", "embeddings", "encoded" or "layer"; "" where it is not known.
        path_at: where path and baselines are, where that is not where the attributions are (`at`); "" elsewhere.
        baseline_is_zero: whether the baseline is zeros, or the method knows no other.
        taken_away: of effects, what was taken away at once: wider "windows", "positions" (with their channels) or "groups".
        groups: (batch,) of int, how many groups each example has that were taken away one at a time.
        regions: (batch, *positions) of int, of which group or segment each position is, of methods that attribute to such.
        region_values: (batch, k), of regions that are ranked (XRAI) the mean attribution of their pixels, in `attribution_unit`
            per pixel: that of region r (1 is the first) at r - 1; NaN behind an example's last.
        region_areas, region_totals: (batch, k), the part of the image that the first r regions cover, and the sum of what is
            attributed to them: the curve of attribution over area.
        left_out: names of inputs that the score may depend on and that got no attribution.
        columns: by the key of a tensor ("" for an only one), the input that it is made from; " × " joins crossed ones.
        categories: by the key of a tensor that encodes a column, what the places of its last axis stand for.
        feature_names: by the key of an input ("" for an only one), the names of the columns that are its last axis, of inputs
            that came as a DataFrame.
        eager: why the model was called, eagerly, and not traced into a graph; "" where it was traced.
        batch_dependence: that scores depend on which examples share a batch, or in which order, or are not the same when they
            are computed again, or that texts are filled up to the longest of a batch, and what was done about it; "" where one
            example, alone, in company, and among others far from it, showed none of it.
        class_names: names of the classes that are explained or predicted, by number, where they are known.
        format: the half-precision format that the net computes in, "" where it is none.
        class_zero: of one sigmoid unit, what target 0 explains: "1 - p of the one unit"; "" elsewhere.
        attribution_unit: of the attributions: that of the score, per unit of the input for gradients; "" where it is not known.
        inputs: the model's inputs as they were given.
        notes: sentences that a reader should know, such as a choice made for them.
    """

    attributions: Any
    scores: np.ndarray
    inputs: Any = None
    baseline_scores: np.ndarray | None = None
    gap: np.ndarray | None = None
    error_estimate: np.ndarray | None = None
    standard_error: Any = None
    format_error: np.ndarray | None = None
    format: str = ""
    eager: str = ""
    batch_dependence: str = ""
    class_names: dict[int, str] = dataclasses.field(default_factory=dict)
    status: np.ndarray | None = None
    residual: np.ndarray | None = None
    residual_clipped: np.ndarray | None = None
    narrow_at: np.ndarray | None = None
    evaluations: np.ndarray | None = None
    forward_evaluations: np.ndarray | None = None
    target: np.ndarray | None = None
    predicted: np.ndarray | None = None
    top_classes: np.ndarray | None = None
    top_scores: np.ndarray | None = None
    alphas: np.ndarray | None = None
    path_scores: np.ndarray | None = None
    path_gradients: np.ndarray | None = None
    baseline_confidence: np.ndarray | None = None
    gradient_share: np.ndarray | None = None
    tokens: np.ndarray | None = None
    example: np.ndarray | None = None
    position: np.ndarray | None = None
    positive: Any = None
    method: str = ""
    at: str = ""
    of: str = ""
    unit: str = "raw"
    baseline: str = ""
    attribution_unit: str = ""
    class_zero: str = ""
    kind: str = ""
    steps: bool = False
    place: str = ""
    path_at: str = ""
    baseline_is_zero: bool = False
    taken_away: str = ""
    groups: np.ndarray | None = None
    regions: np.ndarray | None = None
    region_values: np.ndarray | None = None
    region_areas: np.ndarray | None = None
    region_totals: np.ndarray | None = None
    left_out: tuple[str, ...] = ()
    columns: dict[str, str] = dataclasses.field(default_factory=dict)
    categories: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    feature_names: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray) -> Self:
        """The result for some of the examples: an int keeps a batch of one, a slice or array of indices selects."""
        if isinstance(index, int | np.integer):
            if not -len(self) <= index < len(self):
                raise IndexError(f"example {index} of {len(self)}")
            index = np.array([index])
        changes = {name: value[index] for name in PER_EXAMPLE if (value := getattr(self, name)) is not None}
        pick = lambda leaf: np.asarray(leaf)[index]  # noqa: E731
        inputs = None if self.inputs is None else map_leaves(pick, self.inputs)
        like = {
            name: map_leaves(pick, value)
            for name in ("positive", "standard_error")
            if (value := getattr(self, name)) is not None
        }
        return dataclasses.replace(self, attributions=map_leaves(pick, self.attributions), inputs=inputs, **like, **changes)

    @property
    def explained(self) -> str:
        """`of`, and where one sigmoid unit is explained for class 0, what that is: people may mean the unit by it."""
        targets = None if self.target is None or not self.class_zero else self.target.reshape(len(self), -1)[:, -1]
        if targets is None or targets.all():
            return self.of
        which = "class 0" if not targets.any() else f"class 0, {int((targets == 0).sum())} of {len(self)}"
        return f"{self.of} ({which}: {self.class_zero})"

    @property
    def negative(self) -> Any:
        """The part of `attributions` that is due to negative differences from the reference; None where `positive` is."""
        if self.positive is None:
            return None
        positive = flatten(self.positive)
        return rebuild({key: leaf - positive[key] for key, leaf in flatten(self.attributions).items()})

    @property
    def difference(self) -> np.ndarray | None:
        """(batch,), score less the mean of the baseline scores: what a complete attribution sums to."""
        if self.baseline_scores is None:
            return None
        below = self.baseline_scores.reshape(len(self), -1).mean(1) if len(self) else np.zeros(0)
        return self.scores - below

    @property
    def relative_gap(self) -> np.ndarray | None:
        """(batch,), the gap as a part of the difference of scores; NaN where these are the same but for rounding."""
        difference = self.difference
        if self.gap is None or difference is None:
            return None
        # relative to the scores themselves: a percentage of a rounding error would only frighten
        differs = np.abs(difference) > 1e-3 * np.maximum(np.abs(self.scores), np.abs(self.scores - difference))
        return np.divide(self.gap, difference, out=np.full(len(self), np.nan), where=differs)

    @property
    def cancellation(self) -> np.ndarray | None:
        """(batch,), the L1 norm of all that is returned as a multiple of the difference of scores: 1 where nothing cancels. NaN
        where the scores are the same but for rounding; None where the sum has another unit."""
        gaps, difference = self.relative_gap, self.difference
        if gaps is None or difference is None:
            return None
        return np.where(np.isnan(gaps), np.nan, self.magnitudes / np.maximum(np.abs(difference), np.finfo(float).tiny))

    @property
    def converged(self) -> np.ndarray | None:
        """(batch,) of bool, whether the stated accuracy was reached; None where the method states none."""
        return None if self.error_estimate is None else self.status == "converged"

    @property
    def totals(self) -> np.ndarray:
        """(batch,), the sum of all that is returned for each example, over every tensor, in float64."""
        return self._over_features(lambda leaf: leaf.sum(1))

    @property
    def magnitudes(self) -> np.ndarray:
        """(batch,), the L1 norm of all that is returned for each example."""
        return self._over_features(lambda leaf: np.abs(leaf).sum(1))

    def _over_features(self, reduce: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        leaves = [
            leaf.reshape(len(self), int(np.prod(leaf.shape[1:]))).astype(np.float64)
            for leaf in flatten(self.attributions).values()
        ]
        return sum((reduce(leaf) for leaf in leaves), np.zeros(len(self)))

    @property
    def by_column(self) -> dict[str, np.ndarray]:
        """(batch,) by the name of an input of the model, or of each column of a DataFrame, in `attribution_unit`: the sum of
        all that its attributions are, over features, categories, and all tensors that it becomes; an effect that all channels
        or a whole group have in full counts once. Columns that were crossed stand together, as "one × other"."""
        found: dict[str, np.ndarray] = {}
        for key, leaf in flatten(self.attributions).items():
            names = [self._told(key, name) for name in self.names_of(key)]
            parts = (
                {self.columns.get(named(key), named(key)): np.asarray(leaf)}
                if np.shape(leaf)[1:] != (len(names),)
                else dict(zip(names, np.asarray(leaf).T, strict=True))
            )
            found |= {name: found.get(name, 0) + over_features(part, self.kind, self.regions) for name, part in parts.items()}
        return found

    def names_of(self, key: Any) -> tuple[str, ...]:
        """The names of the places of the last axis of the tensor `key`, where these are columns of a DataFrame; else none."""
        return self.feature_names.get(named(key), ()) if self.place in ("inputs", "encoded") else ()

    def _told(self, key: Any, name: str) -> str:
        """The name of a column of the tensor `key`, as "mother[age]" where another tensor has a column of that name too, or is
        called so."""
        own = named(key)
        others = {named(one) for one in flatten(self.attributions)} - {own, *self.columns}
        twice = name in others or any(name in names for other, names in self.feature_names.items() if other != own)
        twice = twice and name != own
        return f"{own}[{name}]" if twice else name

    def name_of(self, key: Any, index: tuple[int, ...]) -> str:
        """The name of a feature that has one, at a place of the tensor `key`: that of its column, or of its category, such as
        "city=a"; "" where it has none."""
        columns, names = self.names_of(key), self.categories.get(named(key), ())
        if columns and len(index) <= 1 and (not index or index[0] < len(columns)):
            return self._told(key, columns[index[0] if index else 0]) if index or len(columns) == 1 else ""
        if not names or not index or index[-1] >= len(names):
            return ""
        positions = f"[{', '.join(map(str, index[:-1]))}]" if index[:-1] else ""
        return f"{self.columns.get(named(key), named(key))}{positions}={names[index[-1]]}"

    # reductions

    def sum(self, axis: int | Sequence[int]) -> Self:
        """Attributions summed over feature axes, such as -1 for colours or embedding dimensions.

        Args:
            axis: an int or a tuple of ints, counted as in NumPy; the batch, axis 0, cannot be summed away.
        """
        return reduced(self, np.sum, axis, linear=True)

    def mean(self, axis: int | Sequence[int]) -> Self:
        """The mean over feature axes. It no longer sums to the difference of scores: `gap` says by how much."""
        return reduced(self, np.mean, axis, scaled=True, linear=True)

    def norm(self, axis: int | Sequence[int]) -> Self:
        """The Euclidean norm over feature axes: the sign is lost."""
        return reduced(self, lambda leaf, axis: np.sqrt((leaf.astype(np.float64) ** 2).sum(axis)).astype(leaf.dtype), axis)

    def abs(self) -> Self:
        """Magnitudes: the sign is lost."""
        return with_numbers(self, map_leaves(np.abs, self.attributions), error=self.standard_error)

    # ranking

    def top(self, k: int = 10, names: Sequence | None = None) -> list[list[Feature]]:
        """The k features of largest magnitude of each example, with their share of the sum of all magnitudes.

        Args:
            k: how many features, largest first.
            names: a name for each feature of a one-axis attribution; default: the index (the word, where the result
                has one word for each feature; the key of the tensor first, where there are several tensors).

        Returns:
            For each example a list of Feature(name, attribution, share).
        """
        return ranked(self, k, names)


# What functions that change a result hand back: a result of the same class.
AnyResult = TypeVar("AnyResult", bound=Result)
