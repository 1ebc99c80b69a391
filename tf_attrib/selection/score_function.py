"""The function that is explained: from the selected tensors to one scalar for each example."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.errors import AttributionError
from ..common.types import Leaves, present
from ..graph.traced.beside import Beside, ends_beside
from ..graph.traced.compiled import Compiled
from ..graph.traced.cut import Cut, Port, Trim
from ..graph.traced.gradients import gradients
from ..graph.traced.heads_and_lookups import ancestors, connected
from ..graph.traced.positionwise import at_position
from ..graph.traced.scaling import scaled
from ..graph.traced.stretch import Stretch, ends_of
from ..graph.traced.trace import TRACING, Called, Traced
from .inputs import encoded
from .outputs import Output
from .place import Place
from .row_sizes import RowSizes

# Under which name cuts are fed with a factor of the score.
SCALE = "scale"


@dataclasses.dataclass(eq=False)
class ScoreFunction:
    """The model from the selected tensors, and the inputs that still matter, to scores.

    Attributes:
        traced, place, output: the graph, and what was selected.
        observed: tensors between these that rows look at; None: the selected ones.
        context: keys of the model inputs that are needed beside the selected tensors (masks, other inputs).
        rows: the number of rows that a call must have, or None for any.
        together: the number of rows that are evaluated together where that is settled, or None: `rows`, or 1 where a model that
            is called looks at the values of its batch; what a call lacks of `rows` are copies then.
        explained: the output in the traced graph, (batch, ...).
        value_shape: of the explained output for one example, None where that follows the input.
        target_rank: how many indices select one value of an example.
        dtype: of paths and scores, float32 unless the model is float64.
    """

    traced: Traced
    place: Place
    output: Output
    observed: Place | None = None

    def __post_init__(self) -> None:
        if self.traced.called is not None:
            self.place, self.output, self.observed = _behind(self.traced.called, self.place, self.output, self.observed)
        if self.output.behind is not None:
            self.output = self.output.behind(self._looked_at())
        traced, place, output = self.traced, self.place, self.output
        selected = [port.tensor for port in place.ports.values()]
        fetched = list(output.fetches.values())
        fed = [*selected, *traced.inputs.values()]
        needed = {i.ref() for operation in ancestors(fetched, fed) for i in operation.inputs}
        needed |= {tensor.ref() for tensor in fetched}
        chosen = {tensor.ref() for tensor in selected}
        self.context = tuple(
            key for key, tensor in traced.inputs.items() if tensor.ref() in needed and tensor.ref() not in chosen
        )
        feeds = {("at", key): port for key, port in place.ports.items()}
        feeds |= {("input", key): Port(traced.inputs[key]) for key in self.context}
        self._feeds = feeds
        self.dtype = tf.float64 if any(tensor.dtype == tf.float64 for tensor in fetched) else tf.float32
        with TRACING, traced.function.graph.as_default():
            self.explained = self._finished(dict(output.fetches))
        if self.explained.shape.rank is None:
            raise AttributionError(
                f"how many axes {output.words} has is known only when it runs, and must be known before: give its shape, "
                "such as of=ta.score(lambda outputs: tf.ensure_shape(outputs, [None, 10])[:, 3])"
            )
        if not self.explained.shape.rank:
            raise AttributionError(
                f"{output.words} must have one entry for each example, shape (batch, ...); it is a single number, shape ()"
            )
        self.value_shape = tuple(self.explained.shape[1:])
        self.target_rank = len(self.value_shape)
        self.rows = self._fixed_rows()
        self.together = 1 if traced.called is not None and traced.called.alone else self.rows

    def _looked_at(self) -> list[tf.Tensor]:
        """The tensors at which gradients may be wanted."""
        places = [self.place, *([] if self.observed is None else [self.observed])]
        return [port.tensor for place in places for port in place.ports.values()]

    def _fixed_rows(self) -> int | None:
        batches = [tensor.shape[0] for tensor in self.traced.inputs.values() if tensor.shape.rank]
        sizes = {size for size in batches if size is not None and size != 1}
        ports = [*self.place.ports.values(), *(self.observed.ports.values() if self.observed else ())]
        if any(port.batch_axis is None for port in ports):
            if sizes:
                raise AttributionError(
                    f"{self.place.words} has no batch axis, and the model takes exactly {min(sizes)} "
                    "examples at a time: such a tensor needs a model of any batch size, or of 1"
                )
            return 1
        return min(sizes) if sizes else 1 if 1 in batches else None

    def features(self, place: Place | None = None) -> dict[Any, list]:
        """The static shape of one example of each selected tensor (or those of another place), by key."""
        return {
            key: [size for axis, size in enumerate(port.tensor.shape) if axis != port.batch_axis]
            for key, port in (self.place if place is None else place).ports.items()
        }

    @property
    def dtypes(self) -> dict[Any, tf.DType]:
        """Of rows of each selected tensor, by key: that of paths, and of what is not float its own."""
        kinds = {key: port.tensor.dtype for key, port in self.place.ports.items()}
        return {key: self.dtype if kind.is_floating else kind for key, kind in kinds.items()}

    def as_rows(self, values: Leaves) -> Leaves:
        """Values of the selected tensors by key, in the order of these and their dtypes as rows; text as bytes."""
        return {
            key: encoded(values[key]) if dtype == tf.string else values[key].astype(dtype.as_numpy_dtype, copy=False)
            for key, dtype in self.dtypes.items()
        }

    def cut(
        self,
        fetches: dict[Any, Port],
        feeds: dict[Any, Port] | None = None,
        folded: bool = False,
        trimmed: dict[Any, Any] | None = None,
    ) -> Cut:
        """From the selected tensors, fed as ("at", key), those beside them, ("input", key), and further `feeds`, to others of
        the graph; the other arguments are those of `Cut`."""
        return Cut(self.traced, self._feeds | (feeds or {}), fetches, folded, trimmed)

    @functools.cached_property
    def trim(self) -> Trim:
        """What cuts rows of the selected tensors, ("at", key), to the lengths that they have beside inputs, ("input", key)."""
        return Trim.of(self.traced, self._feeds)

    @functools.cached_property
    def _forward(self) -> Cut:
        return self.cut({key: Port(tensor) for key, tensor in self.output.fetches.items()}, folded=True, trimmed={})

    @functools.cached_property
    def stretch(self) -> Stretch | None:
        """The affine part in front, where it is worth it that rows of a straight path begin behind it (see `behind`)."""
        ports, fetches = self.place.ports, self.output.fetches.values()
        plain = all(port.batch_axis == 0 and port.tensor.dtype == self.dtype for port in ports.values())
        if not plain or self.observed is not None or self.rows or self.formats or self.traced.called is not None:
            return None
        ends = ends_of(self.traced, [port.tensor for port in ports.values()], fetches)
        return None if ends is None else Stretch(self.traced, ports, ends)

    @functools.cached_property
    def behind(self) -> "ScoreFunction | None":
        """The same from where the stretch ends; None where that is nowhere, or asks for more inputs."""
        if self.stretch is None:
            return None
        behind = dataclasses.replace(self, place=dataclasses.replace(self.place, ports=self.stretch.ends))
        return behind if set(behind.context) <= set(self.context) else None

    @functools.cached_property
    def beside(self) -> Beside | None:
        """What hangs on the inputs beside the selected tensors alone, where it is worth it that rows take it ready (`rest`)."""
        if not self.context or self.observed is not None or self.rows or self.traced.called is not None:
            return None
        inputs, selected = self.traced.inputs, [port.tensor for port in self.place.ports.values()]
        ends = ends_beside(self.traced, selected, list(self.output.fetches.values()), [inputs[key] for key in self.context])
        return Beside(self.traced, {key: Port(inputs[key]) for key in self.context}, ends) if ends else None

    @functools.cached_property
    def rest(self) -> "ScoreFunction":
        """The same, with what lies beside among its inputs."""
        inputs = self.traced.inputs | present(self.beside).inputs
        return dataclasses.replace(self, traced=dataclasses.replace(self.traced, inputs=inputs))

    @functools.cached_property
    def row_sizes(self) -> RowSizes:
        """How much memory a row takes."""
        whole, target = list(self.output.fetches.values()), self.chosen()[1]
        scored = whole if self.target_rank < 2 else [self.chosen()[0]]
        return RowSizes(self.traced, [port.tensor for port in self.place.ports.values()], scored, whole, target)

    @functools.cached_property
    def log_odds(self) -> "ScoreFunction | None":
        """The log-odds of the explained probability, where they are known at the selected tensors."""
        odds = self.output.log_odds
        ports = [*self.place.ports.values(), *(self.observed.ports.values() if self.observed else ())]
        if odds is None or not all(
            connected(port.tensor, odds.fetches.values())
            for port in ports
            if connected(port.tensor, self.output.fetches.values())
        ):
            return None
        return dataclasses.replace(self, output=odds)

    def values(self, at: dict, context: dict) -> tf.Tensor:
        """The values of the selected output, (rows,) or (rows, ..., classes), for rows of the selected tensors."""
        return self._finished(self._forward(fed(at, context)))

    def scores(self, at: dict, context: dict, target: tf.Tensor) -> tf.Tensor:
        """The score (rows,), for rows of the selected tensors and of targets."""
        if self.target_rank < 2:
            return self.select(self.values(at, context), target)
        return self._at_target(fed(at, context) | {"target": target})[None]

    @functools.cached_property
    def _at_target(self) -> Cut:
        """The cut from the selected tensors and a target to the score: no other position of the output is computed."""
        score, target = self.chosen()
        return self.cut({None: Port(score)}, {"target": Port(target)}, folded=True, trimmed={})

    def gradients(self, at: dict, context: dict, target: tf.Tensor) -> tuple[tf.Tensor, dict[Any, tf.Tensor]]:
        """Scores (rows,), and their gradients at the selected tensors by key, for rows of these and of targets."""

        def backward(scale: tf.Tensor | None) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
            found = self._backward(fed(at, context) | {"target": target} | ({} if scale is None else {SCALE: scale}))
            return [found.pop("score")], list(found.values())

        (score,), found = self.whole_range(backward, target)
        return score, {key: tf.cast(gradient, self.dtype) for key, gradient in zip(self.place.ports, found, strict=True)}

    def gradients_now(self, at: dict, context: dict, target: np.ndarray) -> dict[Any, np.ndarray]:
        """The same gradients of arrays as arrays, outside any trace."""
        if self.narrow:
            return dict(zip(at, self._scaled(*at.values(), *(context[key] for key in self.context), target), strict=True))
        found = self._backward.evaluate(fed(at, context) | {"target": target})
        return {key[1]: gradient.astype(self.dtype.as_numpy_dtype) for key, gradient in found.items() if key != "score"}

    @functools.cached_property
    def formats(self) -> tuple[str, ...]:
        """The half-precision formats that anything between the selected tensors and the score is in."""
        selected = [port.tensor for port in self.place.ports.values()]
        found = {
            tensor.dtype
            for operation in ancestors(self.output.fetches.values(), selected)
            for tensor in [*operation.outputs, *operation.inputs]
        }
        found |= set() if self.traced.called is None else self.traced.called.formats
        return tuple(dtype.name for dtype in (tf.float16, tf.bfloat16) if dtype in found)

    @property
    def narrow(self) -> bool:
        """Whether that is float16, whose range is too narrow for gradients."""
        return "float16" in self.formats

    def whole_range(self, backward: Callable, rows: tf.Tensor) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """What `backward` gives (see `scaling.scaled`), where that is needed with a factor of the score, else with None.

        Args:
            rows: anything with as many entries along its first axis.
        """
        return scaled(backward, tf.shape(rows)[0], self.dtype) if self.narrow else backward(None)

    def signature(self) -> list[tf.TensorSpec]:
        """What rows of the selected tensors, those beside them and targets look like."""
        inputs = self.traced.inputs
        dtypes = self.dtypes
        at = [tf.TensorSpec([None, *features], dtypes[key]) for key, features in self.features().items()]
        context = [tf.TensorSpec([None, *inputs[key].shape[1:]], inputs[key].dtype) for key in self.context]
        return [*at, *context, tf.TensorSpec([None, self.target_rank], tf.int32)]

    @functools.cached_property
    def _scaled(self) -> Compiled:
        """The compiled gradients where they are scaled."""
        keys = list(self.place.ports)

        def gradients(*tensors):
            at, context = dict(zip(keys, tensors, strict=False)), dict(zip(self.context, tensors[len(keys) : -1], strict=True))
            return list(self.gradients(at, context, tensors[-1])[1].values())

        return Compiled(gradients, self.signature())

    @functools.cached_property
    def _backward(self) -> Cut:
        """The cut from the selected tensors to scores and gradients.

        Gradients are taken in the traced graph itself, before the cut: a custom gradient of the model's may refer to
        tensors of that graph, and would be lost or fail in a copy.
        """
        keys, tensors = list(self.place.ports), [port.tensor for port in self.place.ports.values()]
        score, target = self.chosen()
        with TRACING, self.traced.function.graph.as_default():
            # each tensor is fed, so no gradient flows through one of them to another
            scale = self.scale()
            failure = f"{self.output.words} has no gradient at {self.place.words}"
            rows = [port.tensor for port in self.place.ports.values() if port.batch_axis == 0]
            found = gradients(score, tensors, failure, None if scale is None else [scale], rows)
            fetches: dict[Any, Port] = {"score": Port(score)}
            for key, gradient, port in zip(keys, found, self.place.ports.values(), strict=True):
                gradient = tf.zeros_like(port.tensor) if gradient is None else tf.convert_to_tensor(gradient)
                fetches["gradient", key] = Port(gradient, port.batch_axis)
        feeds = {"target": Port(target)} | ({} if scale is None else {SCALE: Port(scale)})
        return self.cut(fetches, feeds, folded=True, trimmed={("gradient", key): ("at", key) for key in keys})

    def scale(self) -> tf.Tensor | None:
        """A placeholder in the graph at hand for a factor of the score (rows,), where gradients need one."""
        return tf.compat.v1.placeholder(self.dtype, [None]) if self.narrow else None

    def chosen(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The score (rows,) in the traced graph, and the placeholder of its target."""
        return self._chosen

    @functools.cached_property
    def _chosen(self) -> tuple[tf.Tensor, tf.Tensor]:
        with TRACING, self.traced.function.graph.as_default():
            target = tf.compat.v1.placeholder(tf.int32, [None, self.target_rank])
            if self.target_rank < 2:
                return tf.identity(self.select(self.explained, target)), target
            values = at_position(self.explained, target[:, :-1], self._looked_at())
            return tf.identity(self.select(values, target[:, -1:])), target

    def _finished(self, fetched: dict) -> tf.Tensor:
        return tf.cast(self.output.finish(fetched), self.dtype)

    def select(self, values: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """One value for each row: `target` is (rows, r) indices into `values` of rank r + 1."""
        if values.shape.rank == 1:
            return values
        return self.output.choose(values, target)


def _behind(called: Called, place: Place, output: Output, observed: Place | None) -> tuple[Place, Output, Place | None]:
    """The same place, with the output, and what rows look at, as they follow from its tensors when the model is called."""
    selected = [port.tensor for port in place.ports.values()]
    if observed is not None:
        seen = called.behind(selected, [port.tensor for port in observed.ports.values()], False)
        ports = zip(observed.ports.items(), seen, strict=True)
        observed = dataclasses.replace(observed, ports={key: Port(tensor, port.batch_axis) for (key, port), tensor in ports})
        selected = [*selected, *(tensor for tensor in seen if not any(tensor is one for one in selected))]
    fetched = called.behind(selected, list(output.fetches.values()), output.has_classes)
    return place, dataclasses.replace(output, fetches=dict(zip(output.fetches, fetched, strict=True))), observed


def fed(at: dict, context: dict) -> dict:
    """Values for the feeds of a cut."""
    return {("at", key): value for key, value in at.items()} | {("input", key): value for key, value in context.items()}
