"""Scores of networks that answer for many places at once: a class over a region, and the class of one box.

Which places count is settled beforehand and stays as it is: what the network would say of other images, on the way from a
baseline or under masks, changes the values there and never which of them are summed.
"""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.errors import AttributionError
from ..graph.traced.positionwise import of_each_row
from .at_and_of import Of, score
from .inputs import as_array


def segmentation_score(target: Any, mask: Any, output: Any = None) -> Of:
    """Explain what a segmentation network says of a class within a region: the sum of its values over a mask that stays fixed
    (Vinogradova et al. 2020, arXiv:2002.11434, equation 2). As `of`: `ta.Attributor(model, of=ta.segmentation_score(...))`.

    Values are those that the network gives, logits or probabilities. `outputs.argmax(-1) == target` at the examples is the
    region that is predicted; that of the labels, one object of it or a single pixel will do as well.

    Args:
        target: the class, or one for each example, (n,). Of a network with one value at each position, such as a sigmoid's
            probability of the foreground, it is 0: that value, and not what is left to 1, as class 0 of `target=` is.
        mask: bool (n, *positions), or weights of at least 0: row i goes with example i.
        output: of several outputs, the key or position of the one in question, (batch, *positions, classes).

    Raises:
        AttributionError: what is no class or no mask, or a mask that is empty; when it is used, an output that does not fit.
    """
    weights = as_array(mask, "mask")
    if weights.dtype.kind not in "biuf" or weights.ndim < 2 or not np.all(np.isfinite(weights) & (weights >= 0)):
        raise AttributionError(
            f"mask must be bool, or weights of at least 0, (n, *positions), a row for each example; got {weights.dtype} "
            f"{weights.shape}"
        )
    empty = np.flatnonzero(~weights.reshape(len(weights), -1).any(1))
    if len(empty):
        raise AttributionError(
            f"the mask of example {empty[0]} is empty, so nothing is explained"
            + (f", and so are those of {len(empty) - 1} more" if len(empty) > 1 else "")
            + f": leave such examples out; {weights.shape} are masks for {len(weights)} examples, and one for all is repeated, "
            "mask=np.stack([mask] * len(images))"
        )
    classes = _whole_numbers("target (the class)", target, len(weights))
    region = _Region(f"segmentation_score of {_numbers('class', classes)}", output, int(classes.max()))
    return score(region, data={"mask": weights.astype(np.float32), "target": classes})


def box_score(box: Any, target: Any, output: Any = None) -> Of:
    """Explain the class score of one box of a detector, by its number among those that the network gives before non-maximum
    suppression, which would choose others on the way from a baseline. As `of`: `ta.Attributor(model, of=ta.box_score(...))`.

    Args:
        box: its number, one for each example, (n,): such as `scores[..., target].argmax(1)` at the examples.
        target: the class, or one for each example, (n,).
        output: of several outputs, the key or position of the class scores, (batch, boxes, classes).

    Raises:
        AttributionError: what is no number; when it is used, an output that does not fit.
    """
    boxes = as_array(box, "box")
    if boxes.ndim != 1 or not len(boxes):
        raise AttributionError(f"box must be a number for each example, (n,), such as [12] of one; got shape {boxes.shape}")
    boxes = _whole_numbers("box", boxes, len(boxes))
    classes = _whole_numbers("target (the class)", target, len(boxes))
    words = f"box_score of {_numbers('class', classes)} at {_numbers('box', boxes)}"
    return score(_Box(words, output, int(boxes.max()), int(classes.max())), data={"box": boxes, "target": classes})


@dataclasses.dataclass(frozen=True)
class _Region:
    """The sum over a mask of the values of a class. `most` is the highest class that is asked for, and `words`
    what a result calls it."""

    words: str
    output: Any
    most: int
    at_places = True

    def __call__(self, outputs: Any, data: dict[str, tf.Tensor]) -> tf.Tensor:
        """Scores (batch,)."""
        values, mask = _of(outputs, self.output), data["mask"]
        if values.shape.rank != mask.shape.rank + 1:
            raise AttributionError(
                f"a mask with {mask.shape.rank - 1} axes of positions needs an output (batch, *positions, classes) like it, "
                f"not {values.shape}"
            )
        for axis, (size, own) in enumerate(zip(mask.shape[1:], values.shape[1:-1], strict=True)):
            if own is not None and own != size:
                raise AttributionError(
                    f"the mask has {size} positions along axis {axis + 1}, the output has {own}: {values.shape}"
                )
        if values.shape[-1] == 1 and self.most:
            raise AttributionError(
                f"class {self.most} is out of range: the output {values.shape} has one value at each position, which is class "
                "0 here, such as a sigmoid's probability of the foreground"
            )
        _check_below("class", self.most, values.shape[-1])
        of_class = tf.gather(values, data["target"], axis=-1, batch_dims=1)
        # what is not in the mask does not count, even where it is infinite
        within = tf.math.multiply_no_nan(of_class, tf.cast(mask, values.dtype))
        return tf.reduce_sum(within, list(range(1, mask.shape.rank)))


@dataclasses.dataclass(frozen=True)
class _Box:
    """The score of a class at one of the boxes. `last` and `most` are the highest numbers that are asked for."""

    words: str
    output: Any
    last: int
    most: int
    at_places = True

    def __call__(self, outputs: Any, data: dict[str, tf.Tensor]) -> tf.Tensor:
        """Scores (batch,)."""
        values = _of(outputs, self.output)
        if values.shape.rank != 3:
            raise AttributionError(f"class scores of boxes are (batch, boxes, classes); the output is of shape {values.shape}")
        _check_below("box", self.last, values.shape[1])
        _check_below("class", self.most, values.shape[2])
        return of_each_row(values, tf.stack([data["box"], data["target"]], 1))


def _of(outputs: Any, which: Any) -> tf.Tensor:
    """The output in question.

    Raises:
        AttributionError: there are several, and none is named; or none is so named.
    """
    if tf.is_tensor(outputs) and which is None:
        return outputs
    several = isinstance(outputs, dict | list | tuple)
    names = list(outputs) if isinstance(outputs, dict) else list(range(len(outputs))) if several else []
    if which not in names:
        there = f"there are {', '.join(map(repr, names))}" if several else "the model has one output: leave output= out"
        raise AttributionError(f"output={which!r} must name the output that is scored; {there}")
    return outputs[which]


def _whole_numbers(name: str, value: Any, count: int) -> np.ndarray:
    """int32 (count,), of one number or one for each example."""
    array = as_array(value, name)
    if array.dtype.kind not in "iu" or array.shape not in ((), (count,)) or array.min() < 0:
        raise AttributionError(
            f"{name} must be a whole number of at least 0, or one for each of {count} examples; got {value!r}"
        )
    return np.broadcast_to(array, (count,)).astype(np.int32)


def _numbers(what: str, numbers: np.ndarray) -> str:
    """The one class or box, or how many there are: "class 2", "3 classes"."""
    unlike = np.unique(numbers)
    return f"{what} {unlike[0]}" if len(unlike) == 1 else f"{len(unlike)} {what}es"


def _check_below(what: str, number: int, size: int | None) -> None:
    if size is None:
        raise AttributionError(f"the output does not say how many of each {what} it has, so {number} may be none of them")
    if number >= size:
        raise AttributionError(f"{what} {number} is out of range: the output has {size}, from 0 to {size - 1}")
