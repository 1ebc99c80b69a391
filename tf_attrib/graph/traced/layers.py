"""Layers of a traced graph: their outputs by name, single units of them, and the one that Grad-CAM looks at."""

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from ...common.errors import AttributionError, nearest
from .heads_and_lookups import leading
from .trace import Traced, named_outputs

# What Grad-CAM passes over on its way back from the output: it keeps positions, but adds nothing of its own.
PASSED_OVER = (
    "Pool",
    "Padding",
    "Cropping",
    "Dropout",
    "UpSampling",
    "InputLayer",
    "Resizing",
    "Reshape",
    "Permute",
    "Attention",
    "Embedding",
)


def layer_outputs(traced: Traced, layer: Any) -> dict[str, tf.Tensor]:
    """The outputs of a layer by their names: of each of its calls, where it is shared; none where there is no such layer.

    Args:
        layer: its name, its path, the name of one of its outputs, or the layer object.
    """
    found = {}
    for name, call, _, tensor in named_outputs(traced):
        whole = name.split("[")[0]
        if layer in (name, whole, whole.split(":")[0], call.path, call.name) or layer is call.layer:
            found[name] = tensor
    return found


def float_outputs(traced: Traced, layer: Any) -> dict[str, tf.Tensor]:
    """Those outputs of one layer that are float.

    Raises:
        AttributionError: no layer, or several, of that name, or none of its outputs is float.
    """
    found, shown = layer_outputs(traced, layer), getattr(layer, "name", layer)
    if not found:
        raise AttributionError(f"no layer is called {shown!r}; there are: {some_layers(traced, shown)}")
    paths = {name.split(":")[0].split("[")[0] for name in found}
    if len(paths) > 1:
        raise AttributionError(f"several layers are called {shown!r}; name one by its path: {nearest(shown, sorted(paths))}")
    floats = {name: tensor for name, tensor in found.items() if tensor.dtype.is_floating}
    if not floats:
        raise AttributionError(
            f"the output of layer {shown!r} is {next(iter(found.values())).dtype.name} and has no "
            f"gradient; float ones: {some_layers(traced, shown)}"
        )
    return floats


def some_layers(traced: Traced, name: str = "", fetches: Iterable[tf.Tensor] | None = None) -> str:
    """Names and shapes of layers, nearest to `name` first."""
    listed = {label: tensor for label, _, _, tensor in named_outputs(traced) if tensor.dtype.is_floating}
    listed = listed if fetches is None else leading(listed, fetches)
    if not listed:
        return "none (no layer output was recorded while the model was traced)"
    return nearest(str(name), {label: tuple(tensor.shape) for label, tensor in listed.items()})


def last_with_positions(traced: Traced, fetches: list[tf.Tensor], method: str = "GradCam") -> str:
    """The name of the last layer whose output has positions (batch, ..., channels) and leads to `fetches`.

    Args:
        method: which is to look at it, for people.

    Raises:
        AttributionError: there is none.
    """
    found = with_positions(traced, fetches)
    if not found:
        known = (
            f"ta.{method}(layer=...); layers: {some_layers(traced)}"
            if traced.calls
            else f"ta.{method}(ta.tensor(name)); tf-attrib inspect lists the tensors of an export"
        )
        raise AttributionError(
            f"{method} needs the output of a layer with positions and channels, (batch, ..., channels), and "
            f"none was found: name one, {known}"
        )
    return list(found)[-1]


def with_positions(traced: Traced, fetches: list[tf.Tensor]) -> dict[str, tuple]:
    """The layers whose output has positions and leads to `fetches`, in the order of the trace, with its shape."""
    fitting = {
        name: tensor
        for name, call, _, tensor in named_outputs(traced)
        if _has_positions(tensor) and not any(word in type(call.layer).__name__ for word in PASSED_OVER)
    }
    return {name: tuple(tensor.shape) for name, tensor in leading(fitting, fetches).items()}


def _has_positions(tensor: tf.Tensor) -> bool:
    shape = tensor.shape
    return tensor.dtype.is_floating and shape.rank is not None and shape.rank > 2 and any(size != 1 for size in shape[1:-1])


def check_unit(unit: Any) -> tuple:
    """`unit` as a tuple of whole numbers, with at most one Ellipsis."""
    parts = unit if isinstance(unit, tuple) else (unit,)
    whole = [part for part in parts if part is not Ellipsis]
    if parts.count(Ellipsis) > 1 or any(isinstance(part, bool) or not hasattr(part, "__index__") for part in whole):
        raise AttributionError(
            f"unit must be a whole number, or a tuple of them such as (row, column, channel) or (..., channel); got {unit!r}"
        )
    return tuple(part if part is Ellipsis else int(part) for part in parts)


def unit_index(shape: tf.TensorShape, unit: tuple) -> tuple:
    """`unit` with one entry for each axis of one example's `shape`: None for those that an Ellipsis stands for.

    Raises:
        AttributionError: it does not fit the shape.
    """
    exact = Ellipsis not in unit
    indices = len(unit) - (not exact)
    if len(unit) != shape.rank if exact else indices > shape.rank:
        raise AttributionError(
            f"unit={written(unit)} of an output of shape {tuple(shape)} for each example: give {shape.rank} "
            "indices, or fewer with an Ellipsis for axes that are summed, such as unit=(..., channel)"
        )
    place = 0 if exact else unit.index(Ellipsis)
    full = unit if exact else (*unit[:place], *[None] * (shape.rank - indices), *unit[place + 1 :])
    for index, size in zip(full, shape, strict=True):
        if index is not None and size is not None and not -size <= index < size:
            raise AttributionError(
                f"unit={written(unit)} is out of range: the output is of shape {tuple(shape)} for each example"
            )
    return full


def of_unit(values: tf.Tensor, unit: tuple) -> tf.Tensor:
    """(batch,), one unit of `values` (batch, ...), summed over axes for which an Ellipsis stands, in float32 at least."""
    values = tf.cast(values, tf.float32) if values.dtype in (tf.float16, tf.bfloat16) else values
    index = unit_index(values.shape[1:], unit)
    found = values[(slice(None), *(slice(None) if one is None else one for one in index))]
    return tf.reduce_sum(found, axis=list(range(1, found.shape.rank))) if found.shape.rank > 1 else found


def written(unit: tuple) -> str:
    """A unit as it would be typed."""
    parts = ["..." if part is Ellipsis else str(part) for part in unit]
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"
