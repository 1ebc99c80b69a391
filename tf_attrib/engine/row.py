"""Row functions: one row is (example, reference, alpha) -> (score, integrand). Methods differ in these and in points."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import tensorflow as tf

from ..common.errors import AttributionError
from ..common.failures import OWN
from ..graph.graphdef.bodies import SHAPES
from ..selection.score_function import ScoreFunction


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """A block of rows, as tensors with the row as axis 0.

    Attributes:
        x, reference: the selected tensors at the examples and at their references, by key.
        context: the model inputs that are needed beside them.
        target: int32 (rows, r).
        alpha: (rows,).
        score: (rows,), the score at the example itself.
        number: int32 (rows,), the number of the row within its example.
        extra: what else the method said of each example, by name (`engine.Tables`).
        present: what is there of each row's example: bool (rows, groups), which groups of features, where rows are coalitions;
            float32 (rows, ...), a coarse mask, where they are masked (`takes_present`).
    """

    x: dict[Any, tf.Tensor]
    reference: dict[Any, tf.Tensor]
    context: dict[Any, tf.Tensor]
    target: tf.Tensor
    alpha: tf.Tensor
    score: tf.Tensor
    number: tf.Tensor
    extra: dict[Any, tf.Tensor] = dataclasses.field(default_factory=dict)
    present: tf.Tensor | None = None

    def difference(self) -> dict[Any, tf.Tensor]:
        """x - x' by key."""
        return {key: x - self.reference[key] for key, x in self.x.items()}

    def point(self) -> dict[Any, tf.Tensor]:
        """x' + alpha (x - x') by key, written so that alpha = 0 and 1 give x' and x to the last bit."""
        alphas = {key: per_row(self.alpha, x) for key, x in self.x.items()}
        return {key: (1 - alphas[key]) * self.reference[key] + alphas[key] * x for key, x in self.x.items()}


class RowFunction(Protocol):
    """What a method evaluates on a block of rows: a frozen dataclass or a function; equal ones are compiled once. One whose
    `takes_present` is a TensorSpec is given what is there of each row's example, of that type and rank; `score_only` is the
    row function that gives the score alone where rows do not lie on the straight path. `hoisted` is the row function for behind
    an affine stretch of a straight path whose integrands, handed back through it and multiplied by x - x', are those of this
    one; None where there is none (`Hoisted`). One that `shares` asks nothing of the graph but scores and gradients at rows with
    their context, so that what follows from that alone may be taken ready."""

    def __call__(self, function: ScoreFunction, row: Row) -> tuple[tf.Tensor, tf.Tensor, dict[Any, tf.Tensor]]:
        """Score (rows,), derivative of what is integrated along the path (rows,), zeros where that means nothing, and what each
        row gives, (rows, ...) by key."""
        ...


@dataclasses.dataclass(frozen=True)
class GradientIntegrand:
    """The gradient of the score at a point of the path, times a velocity.

    Attributes:
        velocity: "difference" (x - x': path methods), "input" (x), or "one".
    """

    velocity: str = "difference"
    shares: ClassVar[bool] = True

    @property
    def hoisted(self) -> "GradientIntegrand | None":
        return GradientIntegrand("one") if self.velocity == "difference" else None

    def __call__(self, function: ScoreFunction, row: Row) -> tuple[tf.Tensor, tf.Tensor, dict]:
        """Score (rows,), derivative along the path (rows,), and integrand by key."""
        difference = row.difference()
        score, gradients = function.gradients(row.point(), row.context, row.target)
        products = {key: gradient * difference[key] for key, gradient in gradients.items()}
        slope = tf.add_n([per_row_sum(product) for product in products.values()])
        if self.velocity == "difference":
            return score, slope, products
        if self.velocity == "input":
            return score, slope, {key: gradient * row.x[key] for key, gradient in gradients.items()}
        return score, slope, gradients


@dataclasses.dataclass(frozen=True)
class ScoreOnly:
    """The score at a point of the path, and nothing else."""

    shares: ClassVar[bool] = True

    @property
    def hoisted(self) -> "ScoreOnly":
        return self

    def __call__(self, function: ScoreFunction, row: Row) -> tuple[tf.Tensor, tf.Tensor, dict]:
        """Score (rows,), zeros (rows,), and no integrands."""
        score = function.scores(row.point(), row.context, row.target)
        return score, tf.zeros_like(score), {}


def per_row(values: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """`values` (rows,) shaped to multiply `like` (rows, ...)."""
    return tf.reshape(values, [-1] + [1] * (like.shape.rank - 1))


def per_row_sum(values: tf.Tensor) -> tf.Tensor:
    """(rows,), the sum over all axes but the first."""
    return tf.reduce_sum(values, axis=list(range(1, values.shape.rank)))


def unravelled(number: tf.Tensor, sizes: Sequence[Any]) -> list[tf.Tensor]:
    """The indices (rows,) along each axis of these sizes, whole numbers or scalar tensors, of entries that are counted row by
    row: `tf.unravel_index`, which XLA does not know."""
    found: list[tf.Tensor] = []
    for size in reversed(sizes):
        found.insert(0, number % size)
        number //= size
    return found


def checked(
    row: RowFunction, rows: Row, found: Any, sums: dict[Any, tuple], function: ScoreFunction
) -> tuple[tf.Tensor, tf.Tensor, dict[Any, tf.Tensor]]:
    """What a row function gave, its integrands in the order of the sums that they enter.

    Args:
        rows: what it was given.
        sums: shapes of one row's integrands, by the user's key of the tensor.
        function: what was explained: integrands are by its keys of the tensors, and of its dtype.

    Raises:
        AttributionError: it is not what a row function gives.
    """
    name = getattr(row, "__name__", type(row).__name__)
    if not isinstance(found, tuple | list) or len(found) != 3 or not isinstance(found[2], dict):
        raise AttributionError(
            f"the row function {name} must return score (rows,), slope (rows,), and a dict of integrands (rows, ...) by key; "
            f"it returned {_returned(found)}"
        )
    score, slope, integrands = found
    for what, value in (("score", score), ("slope", slope)):
        if not tf.is_tensor(value) or value.shape.rank not in (1, None):
            raise AttributionError(
                f"the {what} that the row function {name} returns must be a tensor (rows,), it is {_shown(value)}; "
                "ta.extend.per_row_sum sums all axes but the first"
            )
    keys = _in_order(integrands, sums, function)
    if keys is None:
        raise AttributionError(
            f"the row function {name} must return integrands by the keys {list(_tensors(function)[-1])}, it returned "
            f"{list(integrands)}: sum_shapes of its method says how many"
        )
    for key, shape in zip(keys, sums.values(), strict=True):
        value = integrands[key]
        fits = tf.is_tensor(value) and value.dtype == function.dtype
        if not fits or not value.shape.is_compatible_with([None, *shape]):
            raise AttributionError(
                f"the integrand {key!r} of the row function {name} must be {function.dtype.name} "
                f"(rows, {', '.join(map(str, shape))}), it is {_shown(value)}"
            )
    in_order = {key: integrands[key] for key in keys}
    if type(row).__module__.startswith(__name__.partition(".")[0]):  # the library's own, held by tests
        return score, slope, in_order
    return _of_each_row(name, rows.alpha, score, slope, in_order)


def _of_each_row(
    name: str, rows: tf.Tensor, score: tf.Tensor, slope: tf.Tensor, integrands: dict[Any, tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor, dict[Any, tf.Tensor]]:
    """The same, or an error of TensorFlow when it runs: one entry for all rows would pass for one of each."""
    given = {"score": score, "slope": slope} | {f"integrand {key!r}": value for key, value in integrands.items()}
    checks = [
        tf.debugging.assert_equal(
            tf.shape(value)[0],
            tf.shape(rows)[0],
            message=f"{OWN}the {what} of the row function {name} must be one entry for each row of the block",
        )
        for what, value in given.items()
    ]
    with tf.control_dependencies(checks):
        return tf.identity(score), tf.identity(slope), {key: tf.identity(value) for key, value in integrands.items()}


def varies(tensor: tf.Tensor) -> bool:
    """Whether a tensor of a graph follows from what the graph is given, and not from its shapes alone, as zeros do."""
    seen: set[str] = set()
    waiting = [tensor.op]
    while waiting:
        operation = waiting.pop()
        if operation.type == "Placeholder":
            return True
        if operation.name not in seen and operation.type not in SHAPES:
            seen.add(operation.name)
            waiting += [given.op for given in operation.inputs]
    return False


def _tensors(function: ScoreFunction) -> list[dict[Any, Any]]:
    """The tensors that integrands may be of, by the keys that they have in the graph: the observed ones, and the selected."""
    return [place.ports for place in (function.observed, function.place) if place is not None]


def _in_order(integrands: dict[Any, Any], sums: dict[Any, tuple], function: ScoreFunction) -> list[Any] | None:
    """The keys of integrands in the order of their sums; None where they are not those of the tensors.

    Sums have the tensors' order, and the names by which the user hands inputs over, which may be others than the graph's. What
    is second of a tensor, such as ("positive", key), comes behind.
    """
    for ports in _tensors(function):
        rank = {key: number for number, key in enumerate(ports)}
        places = {key: (key not in rank, rank.get(key, rank.get(_last(key)))) for key in integrands}
        if len(places) == len(sums) and all(place is not None for _, place in places.values()):
            return sorted(places, key=places.__getitem__)
    return None


def _last(key: Any) -> Any:
    return key[-1] if isinstance(key, tuple) and key else key


def _returned(found: Any) -> str:
    if isinstance(found, tuple | list):
        return f"{len(found)} values: {', '.join(map(_shown, found))}"
    return type(found).__name__


def _shown(value: Any) -> str:
    return f"a tensor {value.dtype.name} {value.shape}" if tf.is_tensor(value) else repr(value)
