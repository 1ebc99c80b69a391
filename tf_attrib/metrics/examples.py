"""Examples of a model that can be scored with parts of them changed, block by block, through its compiled forward pass."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..attribution import Attribution
from ..attributor import Attributor, as_attributor
from ..common.errors import AttributionError
from ..common.nested import flatten
from ..engine.copies import drawn
from ..engine.method import Method
from ..engine.session import Session
from ..methods import as_method
from ..result.adding_up import are_summed
from ..selection.each_position import EachPosition
from ..selection.frames import Given
from ..selection.references import References


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """Examples, what is explained of them, and what stands in for what is taken away.

    Attributes:
        session: the model.
        ready: the inputs by the model's keys.
        x: (n, ...), the selected tensors by key, in the dtype of paths.
        target: (n, r).
        scores: (n,), at the examples.
        references: what stands in.
        baseline_scores: (n, k), at the references.
        known: curves that were evaluated already, which metrics share.
    """

    session: Session
    ready: dict[Any, np.ndarray]
    x: dict[Any, np.ndarray]
    target: np.ndarray
    scores: np.ndarray
    references: References
    baseline_scores: np.ndarray
    known: dict = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def kind(self) -> str:
        """Of the selected tensors: inputs, embeddings, layer or tensor."""
        return self.session.function.place.kind

    @property
    def encodes(self) -> dict[Any, str]:
        """By key of the selected tensors, the column that each encodes, where they encode one."""
        return self.session.function.place.encodes

    @property
    def unit(self) -> str:
        """Of the score: probability, logit or raw."""
        return self.session.function.output.unit

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of scores that are not the same twice."""
        return (self.session.company.words,) if self.session.company.draws else ()

    @property
    def block(self) -> int:
        """How many rows are evaluated at once."""
        return self.session.block

    @functools.cached_property
    def flat(self) -> np.ndarray:
        """(n, features), the examples, over all selected tensors."""
        return joined(self.x)

    def reference(self, example: np.ndarray, number: int) -> np.ndarray:
        """(rows, features), of each of these examples the reference of that number."""
        tables, index = self.references.tables, self.references.index
        return joined({key: tables[key][index[key][example, number]] for key in self.x})

    def mean_reference(self, example: np.ndarray) -> np.ndarray:
        """(rows, features), the mean over the references of each of these examples."""
        others = (self.reference(example, number) for number in range(1, self.references.count))
        return sum(others, self.reference(example, 0)) / self.references.count

    def score(self, example: np.ndarray, rows: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Scores (rows,) of changed examples. At most a block of them is there at a time.

        Args:
            example: int (rows,), the example that each row was made of.
            rows: from the numbers of some rows to these, (some, features).
        """
        found = np.empty(len(example))
        for start in range(0, len(example), self.block):
            part = np.arange(start, min(start + self.block, len(example)))
            found[part] = self._block(example[part], rows(part))
        return found

    def _block(self, example: np.ndarray, rows: np.ndarray) -> np.ndarray:
        dtype = self.session.function.dtype.as_numpy_dtype
        at = {key: np.ascontiguousarray(part, dtype) for key, part in parted(rows, self.x).items()}
        inputs = {key: self.ready[key][example] for key in self.session.function.context}
        return self.session.scores(at, inputs, self.target[example])

    def generators(self, seed: int | None) -> Iterator[np.random.Generator]:
        """A random generator for each example, seeded by its own values too: its company does not matter."""
        seed = drawn(seed)
        for i in range(len(self)):
            digest = hashlib.blake2b(digest_size=8)
            for value in self.x.values():
                digest.update(np.ascontiguousarray(value[i]).tobytes())
            yield np.random.default_rng([seed, int.from_bytes(digest.digest(), "little")])


def case_of(attributor: Attributor, inputs: Any, target: Any, stands_in: Any, seed: int | None) -> Examples:
    """The examples `inputs`, explained for `target`; `stands_in`, as `baselines` of `attribute`, is for what is taken away."""
    work = as_attributor(attributor, "a metric").work(inputs, target, stands_in, "integrated_gradients", seed)
    if not np.isfinite(work.compared.scores).all():
        raise AttributionError("the score of some examples is NaN or infinite: leave these out of the comparison")
    return Examples(
        work.session,
        work.ready,
        work.tables.x,
        work.compared.target,
        work.compared.scores,
        work.tables.references,
        work.compared.baseline_scores,
    )


def given_of(result: Attribution) -> Given:
    """The inputs that a result is of, with the names of their columns."""
    leaves = flatten(result.inputs)
    names = {key: result.feature_names.get("" if key is None else str(key), ()) for key in leaves}
    return Given(leaves, {key: own for key, own in names.items() if np.shape(leaves[key])[1:] in ((), (len(own),)) and own})


def attributed(
    attributor: Attributor,
    result: Any,
    method: str | Method,
    target: Any = None,
    baselines: Any = None,
    seed: int | None = None,
) -> Attribution:
    """`result` itself where it is an attribution, else the attribution of these inputs by `method`."""
    as_attributor(attributor, "a metric")
    if not isinstance(result, Attribution):
        method = as_method(method)
        result, target, baselines = each_alone(attributor, result, target, baselines)
        return attributor.attribute(result, target, baselines if method.takes_baselines else None, method, seed, False)
    if result.inputs is None:
        raise AttributionError("this result does not hold the inputs that it is of: attribute again, or pass the inputs")
    if target is not None:
        raise AttributionError("the result knows its target: leave target= out, or pass the inputs")
    if result.steps:
        raise AttributionError(
            "interior gradients are one attribution for each step of a path: measure "
            "method='integrated_gradients', which sums them"
        )
    return result


def each_alone(attributor: Attributor, inputs: Any, target: Any, baselines: Any = None) -> tuple[Any, Any, Any]:
    """The same, with an example for each position where the target is `ta.each_position()`."""
    if not isinstance(target, EachPosition):
        return inputs, target, baselines
    given = attributor.read(inputs)
    session, ready, _ = attributor.prepare(given)
    example, _, target = session.positions(target, ready)
    selected = list(session.selected({key: value[:1] for key, value in ready.items()}).values())
    own = isinstance(baselines, np.ndarray) and len(selected) == 1 and baselines.ndim == selected[0].ndim
    if own and len(baselines) == len(next(iter(given.arrays.values()))):
        baselines = baselines[example]
    return given.of_examples(example), target, baselines


def is_slope(result: Attribution) -> bool:
    """Whether attributions are score per unit of what they are of; a result that states no kind is, unless it has a gap."""
    return result.kind == "slope" if result.kind else result.gap is None


def relevance(result: Attribution, case: Examples, shared: bool = False) -> np.ndarray:
    """(n, features), the attributions over all selected tensors.

    Where axes were reduced, such as colours or embedding dimensions, each part of a feature gets an equal share; so does each
    part of what a column is encoded to, where the result is of columns as they are.

    Args:
        shared: whether each channel gets an equal share, too, of what all channels of a position have in full (as effects), so
            that sums over tensors of several numbers of channels compare.
    """
    leaves, several = {}, len(case.x) > 1
    for key, leaf in fitting(result, case.x, case.encodes).items():
        x, leaf = case.x[key], np.asarray(leaf, np.float64)
        if shared and several and leaf.ndim == x.ndim > 2 and not are_summed(result.kind):
            leaf = leaf / leaf.shape[-1]
        missing = x.shape[leaf.ndim :]
        leaves[key] = np.broadcast_to(leaf.reshape(*leaf.shape, *[1] * len(missing)), x.shape) / int(np.prod(missing))
    found = joined(leaves)
    if not np.isfinite(found).all():
        raise AttributionError("some attributions are NaN or infinite: leave these examples out of the comparison")
    return found


def check_scores(result: Attribution, case: Examples) -> None:
    """Raises where a result has other scores than its examples have here: it is of other inputs, or in another unit."""
    near = np.isclose(result.scores, case.scores, rtol=1e-3, atol=1e-3 * np.abs(case.scores).max(initial=0))
    if near.all() or result.batch_dependence:
        return
    example = int(np.flatnonzero(~near)[0])
    raise AttributionError(
        f"{result.method} is of other examples, or of another output: the score of example {example} is "
        f"{result.scores[example]:.4g} there and {case.scores[example]:.4g} here, of the {case.session.function.output.words}"
        "; measure it by the attributor and on the inputs that it was made of"
    )


def of_raw_columns(result: Attribution, case: Examples) -> bool:
    """Whether a result is of columns as they are, such as text, that are encoded where the case is."""
    return result.place == "inputs" and case.kind == "encoded"


def fitting(result: Attribution, x: dict[Any, np.ndarray], encodes: Mapping[Any, str]) -> dict[Any, np.ndarray]:
    """The attributions by the keys of the selected tensors `x`, (n, ...).

    Args:
        encodes: by key, the column that a tensor encodes; attributions to the column itself fit it, (n,).

    Raises:
        AttributionError: they are of other tensors, or of another shape.
    """
    leaves = flatten(result.attributions)
    if set(leaves) != set(x):
        if len(leaves) != len(x):
            raise AttributionError(
                f"the attributions by {result.method} are of {list(leaves)}, and the attributor is at "
                f"{list(x)}: they must be of the same tensors"
            )
        leaves = dict(zip(x, leaves.values(), strict=True))
    for key, leaf in leaves.items():
        shape, wanted = np.shape(leaf), x[key].shape
        if key in encodes and np.size(leaf) == len(leaf):
            leaves[key] = np.reshape(leaf, len(leaf))
            continue
        if shape[1:] != wanted[1 : len(shape)] or len(shape) < 2 <= len(wanted):
            raise AttributionError(
                f"attributions by {result.method} have shape {shape[1:]} for each example, and the examples "
                f"{wanted[1:]}: they must have the same axes, or lack only last ones. Leave this method "
                f"out, or measure all methods where it attributes, {result.at or 'its layer'}: "
                "ta.Attributor(model, at=...)"
            )
    return {key: leaves[key] for key in x}


def joined(leaves: dict[Any, np.ndarray]) -> np.ndarray:
    """(n, features), over all tensors; of one tensor a view."""
    parts = [leaf.reshape(len(leaf), -1) for leaf in leaves.values()]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def parted(rows: np.ndarray, like: dict[Any, np.ndarray]) -> dict[Any, np.ndarray]:
    """The inverse of `joined`: (rows, ...) by key, in the shapes of `like`."""
    ends = np.cumsum([int(np.prod(leaf.shape[1:])) for leaf in like.values()])
    parts = np.split(rows, ends[:-1], axis=1)
    return {key: part.reshape(len(rows), *leaf.shape[1:]) for (key, leaf), part in zip(like.items(), parts, strict=True)}
