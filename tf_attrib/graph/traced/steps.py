"""`TimeDistributed` of Keras 3 in a graph: one call of the layer inside it for all steps, instead of one for each.

Keras 3.15 takes the number of examples for that of steps where a graph does not know how many steps there are, and leaves the
others out; where it does, a softmax is cut into one for each step, and is no head any more.
"""

from typing import Any

import tensorflow as tf


def all_steps(call: Any) -> Any:
    """What runs in place of `call`, a layer's own method: itself, but for that of a `TimeDistributed`."""
    layer: Any = getattr(call, "__self__", None)
    if getattr(call, "__name__", "") != "call" or not _is(layer, "TimeDistributed"):
        return call

    def together(inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        inner = layer.layer
        options: dict[str, Any] = {"training": training} if inner._call_has_training_arg else {}
        if _is(inner, "Dense"):  # it takes each position by itself
            return inner.call(inputs, **options)
        if inputs.shape[1] is not None:
            return call(inputs, training=training, mask=mask)
        if inner._call_has_mask_arg and mask is not None:
            options["mask"] = _folded(mask)
        return _unfolded(inner.call(_folded(inputs), **options), inputs)

    return together


def _is(layer: Any, name: str) -> bool:
    """Whether a layer is one of Keras 3 of this name, with the `call` that Keras gave it."""
    return any(
        base.__name__ == name and base.__module__.startswith("keras.") and type(layer).call is vars(base).get("call")
        for base in type(layer).__mro__
    )


def _folded(values: tf.Tensor) -> tf.Tensor:
    """(batch, steps, ...) as (batch * steps, ...)."""
    found = tf.reshape(values, tf.concat([[-1], tf.shape(values)[2:]], 0))
    found.set_shape([None, *values.shape[2:]])
    return found


def _unfolded(values: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
    """(batch * steps, ...) as (batch, steps, ...), of which `before` has as many."""
    found = tf.reshape(values, tf.concat([tf.shape(before)[:2], tf.shape(values)[1:]], 0))
    found.set_shape([*before.shape[:2], *values.shape[1:]])
    return found
