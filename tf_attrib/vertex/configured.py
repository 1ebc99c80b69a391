"""A configuration brought together with the SavedModel that it is of, as the file of the model describes it."""

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ..common.checks import whole
from ..common.errors import AttributionError
from ..graph.saved import file
from ..graph.saved.exported import chosen_signature
from ..selection import at_and_of
from .explainer import PREPROCESS, Explainer
from .features import features_of, named, notes_of
from .specification import ExplanationSpec, load_metadata

# The signature by which a TensorFlow 2 model says what of it comes behind its preprocessing.
MODEL = "xai_model"


def configured(
    make: Callable[..., Any],
    path: str | os.PathLike,
    metadata: Any = None,
    parameters: Any = None,
    tolerance: float | None = None,
    signature: str | None = None,
    seed: int = 0,
    **options: Any,
) -> Explainer:
    """The explainer of a SavedModel; the arguments are those of `Attributor.from_explanation_metadata`.

    Args:
        make: from a path and options to an attributor.
    """
    whole("seed", seed, 0)
    spec = load_metadata(path if metadata is None else metadata, parameters, tolerance)
    export = file.read(path)
    if export.folder is None:
        raise AttributionError(f"explanation metadata are of a SavedModel, and {str(path)!r} is a frozen graph")
    graph = export.serving
    name = chosen_signature(graph, signature, path)
    served = graph.signature_def[name]
    opened = MODEL if signature is None and {PREPROCESS, MODEL} <= set(graph.signature_def) else name
    attributed = graph.signature_def[opened]
    tensors = {key: info.name for key, info in sorted(attributed.inputs.items())}
    specs = {
        key: tf.TensorSpec(tf.TensorShape(info.tensor_shape), info.dtype, key)
        for key, info in sorted(attributed.inputs.items())
    }
    if opened != name:
        spec = _renamed(spec, served, tensors)
    features = features_of(spec, specs, tensors)
    outputs = {key: info.name for key, info in sorted(served.outputs.items())}
    output = named(spec.output.output_tensor_name, outputs, f"outputs[{spec.output.name!r}]: output_tensor_name", "outputs")
    key = spec.output.display_name_mapping_key
    if key is not None and key not in outputs:
        raise AttributionError(
            f"display_name_mapping_key {key!r} is none of the signature's outputs: {', '.join(map(repr, outputs))}"
        )
    at = at_and_of.as_at([one.at for one in features])
    at = at_and_of.for_any_type(at) if spec.parameters.is_shapley else at
    made = make(path, at=at, of=at_and_of.output(_output_of(attributed, output)), signature=opened, **options)
    others = sorted(set(specs) - {one.key for one in features})
    left = tuple(f"the input {one!r} is no feature of the metadata: it stays as it is in the instance" for one in others)
    return Explainer(made, spec, features, spec.notes + left + notes_of(features, spec.parameters), output, name, seed)


def _renamed(spec: ExplanationSpec, served: Any, tensors: dict[str, str]) -> ExplanationSpec:
    """A configuration that names the input of the serving signature, in terms of the only one that the model behind its
    preprocessing takes."""
    if len(served.inputs) != 1 or len(tensors) != 1 or len(spec.inputs) != 1:
        return spec
    (one,), (key,), (given,) = spec.inputs, served.inputs, tensors
    if one.input_tensor_name not in (key, served.inputs[key].name, served.inputs[key].name.removesuffix(":0")):
        return spec
    note = f"{one.where}: attributed to is {given!r} of the signature {MODEL}, what {PREPROCESS} makes of {key!r}"
    return dataclasses.replace(spec, inputs=(dataclasses.replace(one, input_tensor_name=given),), notes=(*spec.notes, note))


def _output_of(attributed: Any, output: str) -> str:
    """The explained output in the signature that is attributed to: by the same key, else its only one."""
    if output in attributed.outputs:
        return output
    if len(attributed.outputs) == 1:
        return next(iter(attributed.outputs))
    raise AttributionError(f"the signature {MODEL} has no output {output!r}: it has {', '.join(map(repr, attributed.outputs))}")
