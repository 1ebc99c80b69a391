"""What is explained, as a user writes it: *at* which tensors attributions are wanted, and *of* which output.

The specifications are small frozen values, written as calls or as strings. What they mean in a graph is found in `places` (for
`at`) and in `outputs` (for `of`).
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ..common.errors import AttributionError
from ..graph.traced.layers import check_unit
from .inputs import as_arrays


@dataclasses.dataclass(frozen=True)
class At:
    """Where attributions are wanted: kind is inputs, embeddings, layer, tensor, or places; `name` a name, or a layer object, or
    the several places. A `unit` of a layer can be explained (as `of`), or be what conductance passes through. `raw`: for a
    method that needs no gradient, so that inputs of any type will do; kind may then be "default", what `at=None` means."""

    kind: str
    name: Any = None
    positions: bool = False
    unit: tuple | None = None
    raw: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class OwnRows:
    """Arrays whose row i goes with example i: (n, ...) by key, in the structure of `flatten`."""

    leaves: dict[Any, np.ndarray]

    def __len__(self) -> int:
        return len(next(iter(self.leaves.values())))


@dataclasses.dataclass(frozen=True)
class Of:
    """Which output is explained: kind is probability, logits, log_probability, output, named, layer, tensor, score or tokens (a
    score that `function` makes in the traced graph); a score may have rows of its own, one for each example (`data`)."""

    kind: str
    name: Any = None
    function: Callable | None = None
    unit: tuple | None = None
    data: OwnRows | None = None


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor of the graph by its name: for `at` as for `of`."""

    name: str


def inputs(name: str | None = None) -> At:
    """Attribute to the model's inputs: all of them, or the one called `name`."""
    return At("inputs", name)


def embeddings(name: str | None = None, positions: bool = False) -> At:
    """Attribute to embedded tokens, before they are combined.

    Args:
        name: one lookup, by the name of its layer; default: all that the model's inputs index.
        positions: also those indexed by position, which have no batch axis.
    """
    return At("embeddings", name, positions)


def layer(x: Any, unit: Any = None) -> At:
    """The output of a layer: its name, its path ("outer/inner") in a nested model, or the layer object. As `at`: attribute to
    it; as `of`: explain it, or one unit of it.

    A layer that is called several times (shared) has several outputs, `name:0`, `name:1`, ...; the plain name means all.

    Args:
        unit: as `of`, which unit is explained: a whole number for an output (batch, units), a tuple such as (row, column,
            channel), or (..., channel) for the sum over all positions. Default: the `target` of `attribute` says.
    """
    return At("layer", x, unit=None if unit is None else check_unit(unit))


def tensor(name: str) -> Tensor:
    """Any float tensor of the graph, as `at` or as `of`, by the name that `tf-attrib inspect` lists.

    Args:
        name: in full, such as "StatefulPartitionedCall/model/dense/BiasAdd:0", or the end of it where that is unambiguous.
    """
    return Tensor(name)


def probability(output: str | None = None) -> Of:
    """Explain the probability at the softmax or sigmoid head (of the output so named, where there are several)."""
    return Of("probability", output)


softmax = probability


def logits(output: str | None = None) -> Of:
    """Explain the logit, found beneath the softmax or sigmoid head."""
    return Of("logits", output)


def log_probability(output: str | None = None) -> Of:
    """Explain the logarithm of the probability at the softmax or sigmoid head."""
    return Of("log_probability", output)


def output(name: str | None = None) -> Of:
    """Explain an output as it is, without looking for a head."""
    return Of("output", name)


def score(function: Callable, data: Any = None) -> Of:
    """Explain any scalar of the outputs.

    Args:
        function: differentiable, of the model's outputs in the structure that the model returns, to shape (batch,); each
            entry of its own example alone. With `data`: function(outputs, data).
        data: (n, ...), or a list or dict of such, what the score needs of each example beside the outputs, such as what is to
            be reconstructed: row i goes with example i of the inputs, through blocks, baselines and noisy copies. An array
            that the function merely refers to does not follow the examples, and is refused where it has a row for each.

    Raises:
        AttributionError: the function is none, or rows that do not fit together.
    """
    if not callable(function):
        raise AttributionError(
            "ta.score(function) takes a function of the model's outputs, such as lambda outputs: "
            f"outputs[:, 0]; got {function!r}"
        )
    return Of("score", function=function, data=None if data is None else OwnRows(_rows(data)))


def _rows(data: Any) -> dict[Any, np.ndarray]:
    leaves = as_arrays(data, "row of data=")
    shown = ", ".join(f"{'' if key is None else repr(key) + ' '}{leaf.shape}" for key, leaf in leaves.items())
    if any(not leaf.ndim for leaf in leaves.values()) or len({len(leaf) for leaf in leaves.values()}) > 1:
        raise AttributionError(f"ta.score(function, data=...) needs arrays with a row for each example, (n, ...); got {shown}")
    return leaves


def as_at(value: Any) -> At | None:
    """An `at` as a user may write it: None, a specification, "inputs", "embeddings", a layer, or a name; or a list of those."""
    if isinstance(value, list | tuple):
        parts = tuple(as_at(part) for part in value)
        if not parts or None in parts or any(part.kind == "places" for part in parts if part is not None):
            raise AttributionError(f"a list of places at= holds names, layers, ta.inputs(name), ...; got {value!r}")
        return parts[0] if len(parts) == 1 else At("places", parts)
    if isinstance(value, At) and value.unit is not None:
        raise AttributionError(
            f"at={value.name!r} with unit={value.unit}: attributions are to all units of a layer; leave "
            "unit out, and pick it from the result; as `of`, ta.layer(name, unit=...) explains one unit"
        )
    if value is None or isinstance(value, At):
        return value
    if isinstance(value, Tensor):
        return At("tensor", value.name)
    if value in ("inputs", "embeddings") if isinstance(value, str) else False:
        return At(value)
    if isinstance(value, str) or hasattr(value, "call"):
        return At("layer", value)
    raise AttributionError(
        f"at must be 'inputs', 'embeddings', a layer's name, or ta.inputs(), ta.embeddings(), "
        f"ta.layer(), ta.tensor(), or a list of such; got {value!r}"
    )


def for_any_type(at: At | None) -> At:
    """The same place for a method that needs no gradient."""
    return dataclasses.replace(At("default") if at is None else at, raw=True)


def as_of(value: Any) -> Of | None:
    """An `of` as a user may write it: None, a specification, "probability", "logits", "log_probability", or the name of an
    output or tensor."""
    if value is None or isinstance(value, Of):
        return value
    if isinstance(value, At) and value.kind == "layer":
        return Of("layer", value.name, unit=value.unit)
    if isinstance(value, Tensor):
        return Of("tensor", value.name)
    if isinstance(value, str):
        return (
            Of("probability" if value == "softmax" else value)
            if value in ("probability", "softmax", "logits", "log_probability")
            else Of("named", value)
        )
    raise AttributionError(
        f"of must be 'probability', 'logits', 'log_probability', an output's name, or ta.probability(), ta.logits(), "
        f"ta.log_probability(), ta.output(), ta.layer(name, unit=...), ta.tensor(), ta.score(function); got {value!r}"
    )
