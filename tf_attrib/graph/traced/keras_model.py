"""What is read from a Keras model, of Keras 3 or of tf_keras: its inputs, outputs, layers, loss and vocabulary.

Keras is never imported here: a Keras model that exists has brought its library along, and plain callables need none.
"""

import sys
import types
from typing import Any

import tensorflow as tf

from ...common.errors import AttributionError
from ...common.nested import flatten

KERAS = ("keras.", "tf_keras.")
# Losses of Keras, and the functions that they are made of, by the activation that they apply to logits.
LOSSES = {
    "sigmoid": {"BinaryCrossentropy", "binary_crossentropy", "BinaryFocalCrossentropy", "binary_focal_crossentropy"},
    "softmax": {
        *("CategoricalCrossentropy", "categorical_crossentropy", "SparseCategoricalCrossentropy"),
        *("sparse_categorical_crossentropy", "CategoricalFocalCrossentropy", "categorical_focal_crossentropy"),
    },
}


def is_keras(model: Any) -> bool:
    """Whether `model` is a Keras model or layer, of Keras 3 or of tf_keras."""
    return any(
        base.__module__.split(".")[0] in ("keras", "tf_keras") and base.__name__ == "Layer" for base in type(model).__mro__
    )


def check(model: Any) -> None:
    """Raises AttributionError where a Keras model cannot be traced: not built, or on another backend."""
    keras = sys.modules.get("keras")
    on_keras_3 = any(base.__module__.startswith("keras.") for base in type(model).__mro__)
    if on_keras_3 and keras is not None and keras.config.backend() != "tensorflow":
        raise AttributionError(
            f"the model runs on Keras's {keras.config.backend()!r} backend; this library works on "
            "TensorFlow: set KERAS_BACKEND=tensorflow before Keras is imported, and load it again"
        )
    if not model.built:
        raise AttributionError(
            f"model {model.name!r} was never built, so it has no weights to explain: call it once on "
            "a batch, give it an Input, or load its weights"
        )


def layers(model: Any) -> list[Any]:
    """All layers of `model` at any depth, itself among them."""
    # `model.layers` stops at the first level and misses layers kept in attributes of a subclassed layer
    return list(model._flatten_layers())


def parts(model: Any) -> list[Any]:
    """What a trace of `model` depends on, to be compared one by one: itself, layers, activations, variables, and what the last
    `compile` noted, which is a new object each time."""
    found = layers(model)
    weights = model.weights if model.built else ()  # tf_keras raises where a model that was taken apart has none
    compiled = getattr(model, "_compile_config", None)
    return [model, *found, *(getattr(layer, "activation", None) for layer in found), *weights, compiled]


def seed_states(model: Any) -> list[Any]:
    """The variables that Keras 3 draws by: of the generators inside `model`, and of the one for all that have none."""
    variables = getattr(model, "variables", ()) if model.built else ()
    found = [one for one in variables if "seed_generator" in getattr(one, "path", "")]
    shared = sys.modules.get("keras.src.backend.common.global_state")
    generator = shared.get_global_attribute("global_seed_generator") if shared is not None else None
    return found if generator is None else [*found, generator.state]


def counted_seeds(model: Any) -> list[Any]:
    """The generators of tf_keras inside `model` that keep a seed in Python, `_seed`, and count it on with each draw."""
    found = (getattr(layer, "_random_generator", None) for layer in layers(model))
    return [one for one in found if isinstance(getattr(one, "_seed", None), int) and hasattr(one, "make_legacy_seed")]


def same(parts: list[Any], others: list[Any]) -> bool:
    """Whether these `parts` are the very same objects; a method is made anew whenever it is asked for."""
    return len(parts) == len(others) and all(
        one is other or (isinstance(one, types.MethodType) and isinstance(other, types.MethodType) and one == other)
        for one, other in zip(parts, others, strict=True)
    )


def input_structure(model: Any) -> Any | None:
    """The symbolic inputs of a functional or Sequential model in the structure it takes, or None (subclassed)."""
    functional = getattr(model, "_functional", None) or model
    for attribute in ("_inputs_struct", "_nested_inputs"):  # Keras 3, tf_keras
        structure = getattr(functional, attribute, None)
        if structure is not None:
            leaves = flatten(structure)
            return leaves[0] if list(leaves) == [0] else structure
    return None


def input_specs(model: Any) -> dict[Any, tf.TensorSpec] | None:
    """A TensorSpec for each input by key (None, position or name), its `name` the input's, or None where unknown."""
    structure = input_structure(model)
    if structure is None:
        return None
    if not all(hasattr(tensor, "shape") and hasattr(tensor, "dtype") for tensor in flatten(structure).values()):
        raise AttributionError(
            "the model's inputs are nested lists or dicts; wrap it in a function of a flat list: "
            "Attributor(lambda inputs: model([[inputs[0], inputs[1]], inputs[2]]))"
        )
    for tensor in flatten(structure).values():
        if getattr(tensor, "ragged", False) or isinstance(getattr(tensor, "type_spec", None), tf.RaggedTensorSpec):
            raise AttributionError(
                f"input {tensor.name.split(':')[0]!r} of the model is ragged: rows that are filled up are longer ones to it, "
                "with other scores. Give it as a function of rows that are filled up, which says where they end: "
                "ta.Attributor(lambda x: model(tf.RaggedTensor.from_tensor(x, padding=0)))"
            )
    return {
        key: tf.TensorSpec(tuple(tensor.shape), tf.as_dtype(tensor.dtype), name=tensor.name.split(":")[0])
        for key, tensor in flatten(structure).items()
    }


def output_names(model: Any, outputs: dict[Any, tf.Tensor]) -> list[str]:
    """A name for each output: the keys of a dict, else Keras's own names, else numbers."""
    if all(isinstance(key, str) for key in outputs):
        return list(outputs)
    names = getattr(getattr(model, "_functional", None) or model, "output_names", None)
    if names is not None and len(names) == len(outputs) == len(set(names)):
        return list(names)
    return ["output"] if len(outputs) == 1 else [f"output_{key}" for key in outputs]


def loss_heads(model: Any, outputs: dict[str, tf.Tensor]) -> dict[str, str]:
    """The activation that a loss compiled with `from_logits=True` applies to an output: {name: softmax | sigmoid}."""
    loss, names = getattr(model, "loss", None), list(outputs)
    if loss is None:
        return {}
    by_name = flatten(loss) if not callable(loss) else {None: loss}
    heads = {}
    for key, one in by_name.items():
        name = names[key] if isinstance(key, int) and key < len(names) else key
        for target in [name] if name in names else names if key is None else []:
            head = _loss_head(one, outputs[target].shape.rank)
            heads.update({} if head is None else {target: head})
    return heads


def _loss_head(loss: Any, rank: int | None) -> str | None:
    """What a loss of Keras's own, or one made of it, applies to an output of so many axes. Another's `from_logits` does not say
    which activation that is; a softmax over another axis than the last is no head that has its classes there."""
    options = getattr(loss, "_fn_kwargs", None) or {}
    if not (getattr(loss, "from_logits", None) or options.get("from_logits")):
        return None
    made_of = [*type(loss).__mro__, getattr(loss, "fn", None)]
    known = {getattr(one, "__name__", "") for one in made_of if str(getattr(one, "__module__", "")).startswith(KERAS)}
    heads = {head for head, losses in LOSSES.items() if losses & known}
    elsewhere = options.get("axis", -1) not in (-1, None if rank is None else rank - 1)
    return None if len(heads) != 1 or (heads == {"softmax"} and elsewhere) else heads.pop()


def vocabulary(model: Any) -> list[str] | None:
    """The words of the StringLookup or TextVectorization inside `model`; None where there is none, or several differ."""
    found = [layer for layer in layers(model) if hasattr(layer, "get_vocabulary")] if is_keras(model) else []
    # a TextVectorization holds a StringLookup of the same words
    vocabularies = {tuple(str(word) for word in layer.get_vocabulary()) for layer in found}
    return list(vocabularies.pop()) if len(vocabularies) == 1 else None


def handle(variable: Any) -> Any:
    """The resource of a variable of Keras 3, tf_keras or TensorFlow."""
    return variable.handle if hasattr(variable, "handle") else variable.value.handle
