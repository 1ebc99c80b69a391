"""Layers of a Keras model, watched while it runs: what goes through each call, in a graph or eagerly."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import tensorflow as tf

from ...common.nested import flatten
from . import keras_model

# The attribute of a function that stands in a layer's place.
WATCHES = "_tf_attrib_watches"


@contextlib.contextmanager
def around_calls(
    model: Any, around: Callable[[Any, str, Callable[[], Any], tuple], Any], inline: Callable[[Any], Any] = lambda call: call
) -> Iterator[None]:
    """While the context lasts, each call of a layer of `model`, itself included, goes through `around`; in this thread alone.

    Args:
        around: gets the layer, its path (names of the layers around it and its own, joined by "/"), what runs the call, and
            what is given to it; what it returns is the layer's output.
        inline: from a layer's own method to the function that is run in its place.
    """
    path: list[str] = []
    changed = []
    thread = threading.get_ident()

    def watched(layer, original):
        def call(*args, **kwargs):
            if threading.get_ident() != thread:  # somebody else's prediction meanwhile
                return original(*args, **kwargs)
            path.append(layer.name)
            try:
                inner = path[1:] if path[0] == model.name and len(path) > 1 else path
                return around(layer, "/".join(inner), lambda: original(*args, **kwargs), args)
            finally:
                path.pop()

        setattr(call, WATCHES, True)
        return call

    try:
        for layer in keras_model.layers(model):
            for method in ("call", "quantized_call"):  # Keras calls the second after model.quantize()
                original = inline(getattr(layer, method, None))
                # of its own is what tf_keras leaves on each layer that it has saved, or what watches it already
                own = vars(layer).get(method)
                if original is not None and not hasattr(own, WATCHES):
                    # Keras's own __setattr__ would take a function for a tracked attribute
                    object.__setattr__(layer, method, watched(layer, original))
                    changed.append((layer, method, own))
        yield
    finally:
        for layer, method, own in changed:
            object.__delattr__(layer, method)
            if own is not None:
                object.__setattr__(layer, method, own)


def identities(outputs: Any, name: str) -> tuple[Any, dict[Any, tf.Tensor]]:
    """`outputs` with each tensor passed through an identity of its own, and these by key."""
    if isinstance(outputs, tf.Tensor):
        return handed_on(outputs, tf.identity(outputs, name="output_of_" + _scope(name)))
    if isinstance(outputs, list | tuple | dict) and not hasattr(type(outputs), "_fields"):
        pairs = {key: identities(value, name) for key, value in flatten(outputs).items()}
        values = {key: pair[0] for key, pair in pairs.items()}
        noted = {key: pair[1][None] for key, pair in pairs.items() if None in pair[1]}
        return alike(outputs, values), noted
    return outputs, {}


def handed_on(output: tf.Tensor, named: tf.Tensor) -> tuple[tf.Tensor, dict[Any, tf.Tensor]]:
    """`named` in place of `output`, with the mask that Keras put on that."""
    mask = getattr(output, "_keras_mask", None)
    if mask is not None:  # a nested model's output brings its mask along; nobody would compute it again
        cast(Any, named)._keras_mask = mask
    return named, {None: named}


def alike(outputs: list | tuple | dict, values: dict[Any, Any]) -> Any:
    """`values`, by the keys of `flatten`, in a structure of the type of `outputs`."""
    # a subclass of dict may give its entries as attributes too
    made: Any = type(outputs)
    return made(values if isinstance(outputs, dict) else values.values())


def _scope(name: str) -> str:
    """`name` with only what TensorFlow allows in the name of an operation."""
    return "".join(letter if (letter.isalnum() and letter.isascii()) or letter in "_.-" else "_" for letter in name)
