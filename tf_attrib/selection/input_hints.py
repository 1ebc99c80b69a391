"""The call that works, for inputs that do not fit: axes that are missing or in another order, lists of examples, padding."""

from typing import Any

import numpy as np
import tensorflow as tf

from ..common.nested import is_array

# What a model of images may take along its last axis, by the mode of PIL that has as many channels.
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def written(key: Any, leaf: Any) -> str:
    """An input as a user would write it to work on it as an array."""
    name = "inputs" if key is None else f"inputs[{key!r}]"
    return name if isinstance(leaf, np.ndarray) or tf.is_tensor(leaf) else f"np.asarray({name})"


def shape_hint(came: tuple[int, ...], wanted: list[int | None], text: bool, call: str) -> str:
    """What makes an input of shape `came` one of shape `wanted` (with the batch), as the end of an error; "" where nothing.

    Args:
        text: whether it holds text.
        call: the input, as it is written.
    """
    if not came and len(wanted) == 2 and wanted[1] in (None, 1):
        return f"; one example is a batch of one: np.array([[{call.removeprefix('np.asarray(').removesuffix(')')}]])"
    if len(came) == len(wanted) - 1:
        if wanted[-1] == 1 and _fits(came[1:], wanted[1:-1]):
            axis = "last" if text else "channel"
            return f"; add the {axis} axis: {call}[{'..., ' if len(wanted) > 2 else ':, '}None]"
        if _fits(came, wanted[1:]):
            return f"; add the batch axis: {call}[None]"
    for start, moved in ((1, came), (0, (1, *came))):  # with its batch axis, or one example without
        if len(moved) != len(wanted) or len(wanted) < 4 or start > len(came) - 2:
            continue
        batch = "" if start else "[None]"
        first_to_last, last_to_first = (*moved[2:], moved[1]), (moved[-1], *moved[1:-1])
        if _fits(first_to_last, wanted[1:]):
            return f"; the model takes channels last: np.moveaxis({call}, {start}, -1){batch}"
        if _fits(last_to_first, wanted[1:]):
            return f"; the model takes channels first: np.moveaxis({call}, -1, {start}){batch}"
    return ""


def list_hint(arrays: dict[Any, np.ndarray], spec: tf.TensorSpec, images: bool) -> str:
    """What makes one batch of a list of arrays that are the examples of a model of one input; "" where they are none.

    Args:
        spec: of the input.
        images: whether they came as PIL images.
    """
    shapes = list(dict.fromkeys(array.shape for array in arrays.values()))
    if spec.shape.rank is None or any(abs(len(shape) - (spec.shape.rank - 1)) > images for shape in shapes):
        return ""
    wanted = list(spec.shape[1:])
    if len(shapes) > 1:
        if len(wanted) == 1 or not all(len(shape) == len(wanted) for shape in shapes):
            return ""
        sizes = ", ".join(map(str, shapes[:3]))
        return (
            f"which look like its examples, of different shapes ({sizes}): bring them to one, such as image.resize((w, h)), "
            "or give one at a time, np.asarray(inputs[0])[None]"
        )
    if _fits(shapes[0], wanted):
        return "which look like its examples: np.stack(inputs) makes one batch of them"
    if images and wanted and len(wanted) == 3 and wanted[-1] in MODES and _fits(shapes[0][:2], wanted[:2]):
        if wanted[-1] == 1 and len(shapes[0]) == 2:
            return "which look like its examples: np.stack(inputs)[..., None] makes one batch of them"
        return (
            f"images with other channels than the model's {wanted[-1]}: "
            f"np.stack([np.asarray(image.convert({MODES[wanted[-1]]!r})) for image in inputs])"
            + ("[..., None]" if wanted[-1] == 1 else "")
        )
    return ""


def are_pictures(inputs: Any) -> bool:
    """Whether `inputs` is a list of PIL images."""
    return not is_array(inputs) and isinstance(inputs, list | tuple) and all(hasattr(one, "convert") for one in inputs)


def _fits(came: tuple[int, ...], wanted: list[int | None]) -> bool:
    return len(came) == len(wanted) and all(size in (None, other) for size, other in zip(wanted, came, strict=True))
