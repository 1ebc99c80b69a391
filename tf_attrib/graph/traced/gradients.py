"""Gradients inside a traced graph, and the name of the operation that is in the way where there are none."""

import contextlib
import re
from collections.abc import Iterator

import tensorflow as tf

from ...common.errors import AttributionError
from .heads_and_lookups import ancestors
from .rows import Rows, derivative
from .tf_private import gradients_by

# Of TensorFlow 1's loops, whose gradient needs what a GraphDef does not hold.
LOOPS = frozenset({"Enter", "RefEnter", "Exit", "RefExit", "NextIteration", "RefNextIteration"})
ELSEWHERE = "choose another tensor with at=, such as 'embeddings' or ta.tensor(name), or method='occlusion', which needs none"


def gradients(
    score: tf.Tensor | list[tf.Tensor],
    tensors: list[tf.Tensor],
    failure: str,
    grad_ys: list[tf.Tensor] | None = None,
    rows: list[tf.Tensor] | None = None,
) -> list[tf.Tensor | None]:
    """The gradients of `score` at `tensors`, none of them through another; call it with their graph as the default.

    Args:
        failure: what an error begins with.
        grad_ys: what each of several scores counts; default: 1.
        rows: those of `tensors` whose first axes are the same; default: all.

    Raises:
        AttributionError: an operation between them has no gradient, or they are not connected but through such.
    """
    scores = score if isinstance(score, list) else [score]
    between = {operation.name: operation for operation in ancestors(scores, tensors)}
    loops = [operation for operation in between.values() if operation.type in LOOPS]
    try:
        with _tensors_as_objects() if loops else _no_more_than_needed(tensors, between, tensors if rows is None else rows):
            found = tf.gradients(scores, tensors, grad_ys=grad_ys, stop_gradients=tensors)
    except LookupError as error:
        named = re.search(r"operation ?'([^']*)' \(op type: (\w+)\)", str(error))
        what = f"{named[1]!r} ({named[2]})" if named else str(error)[:200]
        raise AttributionError(f"{failure}: the operation {what} has none; {ELSEWHERE}") from error
    except AttributeError as error:
        if not loops:
            raise
        raise AttributionError(
            f"{failure}: the loop around {loops[0].name!r} is TensorFlow 1's, and this file does not hold "
            f"what its gradient needs; {ELSEWHERE}; or freeze with lower_control_flow=False"
        ) from error
    if all(gradient is None for gradient in found):
        names = [f"{operation.name!r} ({operation.type})" for operation in _obstacles(scores, tensors)[:3]]
        raise AttributionError(
            f"{failure}: {', '.join(names) or 'something between them'} is not differentiable (token ids, "
            f"argmax, rounding); {ELSEWHERE}"
        )
    return found


def has_own_gradient(operation: tf.Operation) -> bool:
    """Whether the model says what the gradient of an operation is, as `tf.custom_gradient` does."""
    try:
        return bool(operation.get_attr("_gradient_op_type"))
    except ValueError:
        return False


@contextlib.contextmanager
def _no_more_than_needed(tensors: list[tf.Tensor], between: dict[str, tf.Operation], alike: list[tf.Tensor]) -> Iterator[None]:
    """While the context lasts, the operations `between` have no gradients made at inputs that do not follow from `tensors`,
    such as weights: a tape of TensorFlow's says so in the same way, `tf.gradients` does not. Of a transformer that is a seventh
    of all operations of its gradient. And where it is known along which axes a tensor is repeated (see `rows`), nothing is made
    to find it out.
    """
    # what follows from what, not the order of the graph, says what is skipped: an operation may take what was made after it
    reached, waiting, marked, rows = {tensor.ref() for tensor in tensors}, list(tensors), set(), Rows(alike)
    while waiting:
        for user in waiting.pop().consumers():
            if user.name in between and user.name not in marked:
                marked.add(user.name)
                waiting.extend(user.outputs)
                reached.update(output.ref() for output in user.outputs)
    told, skipped = [], []
    for operation in tensors[0].graph.get_operations():
        if operation.name in marked:
            skipped.append((operation, tuple(i for i, given in enumerate(operation.inputs) if given.ref() not in reached)))
            rows.look(operation)
            if rows.tells(operation) and not has_own_gradient(operation):
                told.append(operation)
    with gradients_by(derivative, told, skipped):
        yield


@contextlib.contextmanager
def _tensors_as_objects() -> Iterator[None]:
    """While the context lasts, `==` asks whether two tensors are one: the gradient of TensorFlow 1's loops relies on it."""
    elementwise = isinstance(tf.constant(0) == tf.constant(0), tf.Tensor)
    tf.compat.v1.disable_tensor_equality()
    try:
        yield
    finally:
        if elementwise:
            tf.compat.v1.enable_tensor_equality()


def _obstacles(scores: list[tf.Tensor], tensors: list[tf.Tensor]) -> list[tf.Operation]:
    """The operations between `tensors` and `scores` at which the gradient ends."""
    between = {operation.name for operation in ancestors(scores, tensors)}
    waiting, seen, found = list(tensors), set(), []
    while waiting:
        tensor = waiting.pop()
        for user in tensor.consumers():
            if user.name not in between or user.name in seen:
                continue
            seen.add(user.name)
            floats = [output for output in user.outputs if output.dtype.is_floating]
            if floats and _differentiable(floats, tensor):
                waiting.extend(floats)
            else:
                found.append(user)
    return found


def _differentiable(outputs: list[tf.Tensor], tensor: tf.Tensor) -> bool:
    try:
        return tf.gradients(outputs, tensor, stop_gradients=[tensor])[0] is not None
    except LookupError:
        return False
