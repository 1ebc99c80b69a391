"""Some examples inside a graph, with all that their rows are made of."""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ..engine.row import Row
from ..graph.traced.cut import Cut, Port
from ..selection.score_function import ScoreFunction
from .loops import gathered


@dataclasses.dataclass(frozen=True, eq=False)
class Chunk:
    """Examples that are explained together: c of them, with k references each.

    Attributes:
        function: what is explained.
        block: rows that are evaluated together, at most.
        x: (c, ...), the selected tensors by key.
        context: (c, ...), the model's inputs that rows need beside them.
        references: (m, ...) by key, `reference` int32 (c, k): which of them are an example's.
        target: int32 (c, r).
        score: (c,), at the examples; `below`: (c, k), at their references.
        extra: (1, ...), what else rows need, the same for all examples.
    """

    function: ScoreFunction
    block: int
    x: dict[Any, tf.Tensor]
    context: dict[Any, tf.Tensor]
    references: dict[Any, tf.Tensor]
    reference: tf.Tensor
    target: tf.Tensor
    score: tf.Tensor
    below: tf.Tensor
    extra: dict[Any, tf.Tensor] = dataclasses.field(default_factory=dict)

    @property
    def count(self) -> tf.Tensor:
        """c, int32."""
        return tf.shape(self.target)[0]

    @property
    def paths(self) -> tf.Tensor:
        """k, int32."""
        return tf.shape(self.reference)[1]

    def row(
        self,
        example: tf.Tensor,
        which: tf.Tensor,
        alpha: tf.Tensor,
        number: tf.Tensor,
        noise: dict[Any, tf.Tensor] | None = None,
        present: tf.Tensor | None = None,
    ) -> Row:
        """Rows of these examples.

        Args:
            example, which, alpha, number: (rows,), which example, which of its references, how far along the path, and which
                of its rows.
            noise: (rows, ...) by key, what is added to the selected tensors.
            present: what is there of each row's example, see `Row`.
        """
        x = {key: tf.gather(value, example) for key, value in self.x.items()}
        if noise is not None:
            x = {key: value + noise[key] for key, value in x.items()}
        chosen = tf.gather_nd(self.reference, tf.stack([example, which], 1))
        return Row(
            x,
            {key: tf.broadcast_to(tf.gather(table, chosen), tf.shape(x[key])) for key, table in self.references.items()},
            {key: tf.gather(value, example) for key, value in self.context.items()},
            tf.gather(self.target, example),
            alpha,
            tf.gather(self.score, example),
            number,
            {name: tf.repeat(value, tf.shape(example)[0], 0) for name, value in self.extra.items()},
            present,
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Scoring:
    """The selected tensors and scores of examples, inside a graph.

    Attributes:
        function: what is explained.
        block: rows that are evaluated together, at most.
    """

    function: ScoreFunction
    block: int

    def selecting(self) -> Callable[[dict[Any, tf.Tensor]], dict[Any, tf.Tensor]]:
        """From the model's inputs (c, ...) by key to the selected tensors (c, ...) by key, in the dtype of paths."""
        function, traced = self.function, self.function.traced
        sources = {tensor.ref(): key for key, tensor in traced.inputs.items()}
        inner = {key: port for key, port in function.place.ports.items() if port.tensor.ref() not in sources}
        cut = Cut(traced, {key: Port(tensor) for key, tensor in traced.inputs.items()}, inner) if inner else None
        dtypes = function.dtypes
        specs = [tf.TensorSpec([None, *shape], dtypes[key]) for key, shape in function.features().items() if key in inner]

        def select(inputs: dict[Any, tf.Tensor]) -> dict[Any, tf.Tensor]:
            ports = function.place.ports
            found = {key: inputs[sources[port.tensor.ref()]] for key, port in ports.items() if key not in inner}
            if cut is not None:
                fetching = cut

                def evaluate(index: tf.Tensor) -> list[tf.Tensor]:
                    fetched = fetching({key: tf.gather(value, index) for key, value in inputs.items()})
                    return [_as(fetched[key], dtypes[key]) for key in inner]

                count = tf.shape(next(iter(inputs.values())))[0]
                found |= dict(zip(inner, gathered(count, self.block, function.rows, evaluate, specs), strict=True))
            return {key: _as(found[key], dtypes[key]) for key in ports}

        return select

    def values(self, at: dict[Any, tf.Tensor], context: dict[Any, tf.Tensor]) -> tf.Tensor:
        """(rows, classes), the explained output, where one index at most selects a value of it."""

        def evaluate(index: tf.Tensor) -> list[tf.Tensor]:
            found = self.function.values(_rows(at, index), _rows(context, index))
            return [found if found.shape.rank == 2 else found[:, None]]

        spec = tf.TensorSpec([None, *(self.function.value_shape or (1,))], self.function.dtype)
        return gathered(_count(at), self.block, self.function.rows, evaluate, [spec])[0]

    def scores(self, at: dict[Any, tf.Tensor], context: dict[Any, tf.Tensor], target: tf.Tensor) -> tf.Tensor:
        """(rows,), the scores of rows (rows, ...) with targets (rows, r)."""
        return self.along(
            _count(at), lambda index: self.function.scores(_rows(at, index), _rows(context, index), tf.gather(target, index))
        )

    def along(self, count: tf.Tensor, scores: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
        """(count,), what `scores` gives of numbers of rows."""
        spec = tf.TensorSpec([None], self.function.dtype)
        return gathered(count, self.block, self.function.rows, lambda index: [scores(index)], [spec])[0]


def _rows(values: dict[Any, tf.Tensor], index: tf.Tensor) -> dict[Any, tf.Tensor]:
    return {key: tf.gather(value, index) for key, value in values.items()}


def _count(values: dict[Any, tf.Tensor]) -> tf.Tensor:
    return tf.shape(next(iter(values.values())))[0]


def _as(value: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    return value if value.dtype == dtype else tf.cast(value, dtype)
