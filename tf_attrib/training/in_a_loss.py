"""Integrated gradients as one differentiable expression, for those who write training loops."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import tensorflow as tf

from ..common.errors import AttributionError
from ..common.nested import flatten, rebuild
from ..engine.integral.quadrature import DEFAULT_RULE, Rule, make_rule
from ..graph.traced import scaling
from ..graph.traced.heads_and_lookups import ancestors

# Nodes on a path unless told otherwise: each is a pass through the model in every step of training.
STEPS = 16


def integrated_gradients(
    f: Callable[[Any], tf.Tensor], x: Any, baseline: Any = None, n_steps: int | None = None, rule: str | Rule = DEFAULT_RULE
) -> Any:
    """(x - x') · sum over k of w_k dF/dx at x' + alpha_k (x - x'), differentiable: it can enter a loss.

    Sundararajan et al. 2017, arXiv:1703.01365, equation 1, with a fixed rule. It works eagerly and inside `tf.function`, and an
    outer `tf.GradientTape` differentiates it with respect to whatever `f` and `x` depend on, such as the model's variables:

        def f(images):  # the logit of each image's own label
            return tf.gather(logits_of(images, training=False), labels, batch_dims=1)
        with tf.GradientTape() as tape:
            marker = ta.integrated_gradients(f, images, n_steps=8)[:, 0, 0, 0]
            loss = task_loss + tf.reduce_mean(tf.abs(marker))

    Penalise attributions of logits. Those of a probability can be had small without a change of mind: where the baseline is as
    sure as the input there is nothing to attribute, and a step from 0 to 1 may hide between the nodes.

    For numbers with an error estimate take `ta.Attributor`. `f` is called once for each node, always with the batch that `x`
    has, so it may use labels and other tensors of that batch. Call the model in inference mode inside it: batch normalisation
    in training mode would mix the examples.

    Args:
        f: from a tensor like `x` (or a list or dict of such) to scores (batch,), in any unit.
        x: float tensor (batch, ...), or a list or dict of those.
        baseline: None (zeros), a number, or an array that broadcasts to `x`; for several tensors a list or dict, one for each.
        n_steps: nodes of a rule by name (the trapezoid has one more), 16 unless given; cost and memory grow with it.
        rule: a name in `ta.extend.RULES`, such as "gauss_legendre" or "midpoint", or a `ta.Rule`, which has its own nodes.

    Returns:
        Attributions in the structure, shape and dtype of `x`, in the unit of the score.

    Raises:
        AttributionError: `x` is not float, the baseline does not fit, `f` does not return (batch,) or does not depend on `x`.
    """
    if not callable(f):
        raise AttributionError(
            f"f must be a function from x to scores (batch,), got {f!r}; for a model's file or name take ta.Attributor(model)"
        )
    table = make_rule(rule, STEPS if n_steps is None and not isinstance(rule, Rule) else n_steps)
    inputs = {key: _as_float(value) for key, value in flatten(x).items()}
    if any(value.shape.rank == 0 for value in inputs.values()):
        raise AttributionError("x must have a batch axis, (batch, ...); got a single number: x[None] is a batch of one")
    references = _references(baseline, inputs)
    total = {key: tf.zeros_like(value, _wide(value.dtype)) for key, value in inputs.items()}
    for alpha, weight in zip(table.nodes, table.weights, strict=True):
        # written so that alpha = 0 and 1 give x' and x to the last bit
        point = {key: (1 - alpha) * references[key] + alpha * value for key, value in inputs.items()}
        gradients = _in_range(f, point)
        total = {key: total[key] + weight * tf.cast(gradients[key], total[key].dtype) for key in inputs}
    return rebuild(
        {
            key: tf.cast(tf.cast(value - references[key], total[key].dtype) * total[key], value.dtype)
            for key, value in inputs.items()
        }
    )


def _in_range(f: Callable, point: dict[Any, tf.Tensor]) -> dict[Any, tf.Tensor]:
    """The gradients of the scores at `point`, by key, with the score scaled where that keeps float16 in its range (`scaling`).

    Inside `tf.function` that is where `f` computes in float16. Eagerly nobody knows beforehand: gradients far from one are
    taken again at other scales, which changes no digit of those that were right.
    """
    like, inside = next(iter(point.values())), not tf.executing_eagerly()
    rows, wide = tf.shape(like)[0], _wide(like.dtype)
    first = scaling.first_factor(rows, wide)
    if inside:
        scores, found = _gradients(f, point)
        if not _narrow(scores, list(point.values())):
            return found
    else:
        _, found = _gradients(f, point, first)
        if scaling.fits(list(found.values())):
            return _divided(found, first)

    def backward(factor: tf.Tensor) -> list[tf.Tensor]:
        return list(_gradients(f, {key: tf.stop_gradient(value) for key, value in point.items()}, factor)[1].values())

    factor = tf.stop_gradient(scaling.factor(backward, rows, wide))
    return _divided(_gradients(f, point, factor)[1], factor)


def _wide(dtype: tf.DType) -> tf.DType:
    return tf.float32 if dtype in (tf.float16, tf.bfloat16) else dtype


def _divided(values: dict[Any, tf.Tensor], factor: tf.Tensor) -> dict[Any, tf.Tensor]:
    return {
        key: tf.cast(value, _wide(value.dtype))
        / tf.cast(tf.reshape(factor, [-1] + [1] * (value.shape.rank - 1)), _wide(value.dtype))
        for key, value in values.items()
    }


def _narrow(scores: tf.Tensor, tensors: list[tf.Tensor]) -> bool:
    """Whether anything between `tensors` and `scores` in the graph at hand is float16, in functions called there too."""
    operations = list(ancestors([scores], tensors))
    if any(tensor.dtype == tf.float16 for one in operations for tensor in [*one.outputs, *one.inputs]):
        return True
    if not any(value.HasField("func") for one in operations for value in one.node_def.attr.values()):
        return False
    library = scores.graph.as_graph_def().library
    return any(
        value.type == tf.float16.as_datatype_enum
        for function in library.function
        for node in function.node_def
        for value in node.attr.values()
    )


def _gradients(
    f: Callable, point: dict[Any, tf.Tensor], factor: tf.Tensor | None = None
) -> tuple[tf.Tensor, dict[Any, tf.Tensor]]:
    """The scores at `point`, and the gradients there of these times a factor (rows,), by key."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(list(point.values()))
        scores = f(rebuild(point))
        _check_scores(scores, next(iter(point.values())))
    weight = None if factor is None else cast(Any, tf.cast(factor, scores.dtype))  # its stubs ask for a list
    found = tape.gradient(scores, point, weight)
    if all(gradient is None for gradient in found.values()):
        raise AttributionError(
            "f does not depend on x through differentiable operations (token ids, argmax, rounding): give "
            "it the embedded tokens, or another tensor"
        )
    return scores, {
        key: tf.zeros_like(value) if found[key] is None else tf.convert_to_tensor(found[key]) for key, value in point.items()
    }


def _check_scores(scores: Any, like: tf.Tensor) -> None:
    shape = tuple(scores.shape) if tf.is_tensor(scores) and scores.shape.rank is not None else None
    if shape is None or len(shape) != 1 or not like.shape[:1].is_compatible_with(shape):
        came = f"shape {shape}" if shape is not None else type(scores).__name__
        raise AttributionError(
            f"f must return one score for each example, shape (batch,); for x of shape {tuple(like.shape)} "
            f"it returned {came}: select a class, such as tf.gather(probabilities, labels, batch_dims=1)"
        )


def _as_float(value: Any) -> tf.Tensor:
    tensor = tf.convert_to_tensor(value)
    if not tensor.dtype.is_floating:
        raise AttributionError(
            f"x must be float, got {tensor.dtype.name}: integers have no gradient; give the embedded "
            "tokens, or tf.cast(x, tf.float32)"
        )
    return tensor


def _references(baseline: Any, inputs: dict[Any, tf.Tensor]) -> dict[Any, tf.Tensor]:
    """The baseline of each tensor, in its shape."""
    given = flatten(baseline)
    if set(given) == {None} and (baseline is None or np.ndim(baseline) == 0):
        given = dict.fromkeys(inputs, 0.0 if baseline is None else baseline)
    if set(given) != set(inputs):
        raise AttributionError(f"a baseline for each tensor is needed, {list(inputs)}; got {list(given)}")
    references = {}
    for key, value in inputs.items():
        reference = tf.cast(tf.convert_to_tensor(given[key]), value.dtype)
        try:
            tf.broadcast_static_shape(reference.shape, value.shape).assert_is_compatible_with(value.shape)
        except ValueError:
            raise AttributionError(
                f"baseline of shape {tuple(reference.shape)} does not fit x of shape {tuple(value.shape)}: "
                "give one of the shape of one example, or one for each"
            ) from None
        references[key] = tf.broadcast_to(reference, tf.shape(value))
    return references
