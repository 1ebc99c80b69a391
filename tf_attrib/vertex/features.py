"""What a configuration means in a model: at which tensors, against what, and which features go together."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.errors import AttributionError
from ..methods import Method
from ..methods.coalitions.methods import EXACT, ShapleySampling
from ..methods.groups import positions
from ..methods.paths import IntegratedGradients
from ..methods.xrai import XRAI
from ..selection import at_and_of
from ..selection.baselines import Baseline, blur, constant, several, zeros
from ..selection.inputs import as_array
from .metadata import BAGS, InputMetadata
from .parameters import ExplanationParameters
from .specification import ExplanationSpec


@dataclasses.dataclass(frozen=True, eq=False)
class Feature:
    """One input of the metadata, in the model.

    Attributes:
        metadata: what the file says of it.
        key: of the signature's input.
        spec: what that input takes.
        encoded: whether its place is the encoded tensor, and not the input.
        baseline: at its place.
    """

    metadata: InputMetadata
    key: str
    spec: tf.TensorSpec
    encoded: bool
    baseline: Any

    @property
    def at(self) -> Any:
        return at_and_of.tensor(str(self.metadata.encoded_tensor_name)) if self.encoded else at_and_of.inputs(self.key)

    @property
    def is_whole(self) -> bool:
        """Whether the tensor is one feature, and not each of its places."""
        return self.metadata.encoding in ("IDENTITY", "COMBINED_EMBEDDING") or self.metadata.group_name is not None


def features_of(spec: ExplanationSpec, specs: dict[str, tf.TensorSpec], tensors: dict[str, str]) -> tuple[Feature, ...]:
    """The features of a configuration in a model.

    Args:
        specs: what the signature takes, by key.
        tensors: the names of these inputs in the graph, by key.

    Raises:
        AttributionError: an input that the signature does not have, or baselines that do not fit it.
    """
    found: list[Feature] = []
    for one in spec.inputs:
        key = named(one.input_tensor_name, tensors, f"{one.where}: input_tensor_name", "inputs")
        owner = next((other for other in found if other.key == key), None)
        if owner is not None:
            raise AttributionError(f"{one.where} and {owner.metadata.where} are of one input, {key!r}: leave one of them out")
        encoded = _is_encoded(one, spec.parameters)
        found.append(Feature(one, key, specs[key], encoded, _baseline(one, key, specs[key], encoded, spec.parameters)))
    _check_method(found, spec.parameters)
    return tuple(found)


def named(name: str, tensors: dict[str, str], what: str, kind: str) -> str:
    """The key of a signature's tensor, from its key or its name in the graph."""
    by_name = {reference: key for key, reference in tensors.items()}
    by_name |= {reference.removesuffix(":0"): key for key, reference in tensors.items()}
    if name in tensors:
        return name
    if name in by_name:
        return by_name[name]
    listed = ", ".join(f"{key!r} ({reference})" for key, reference in tensors.items())
    raise AttributionError(f"{what} {name!r} is none of the signature's {kind}: {listed}")


def method_of(parameters: ExplanationParameters, groups: Any = None) -> Method:
    """The method that the parameters ask for.

    Args:
        groups: of sampled Shapley, which features go together.
    """
    count, tolerance = parameters.count, parameters.tolerance
    if parameters.is_shapley:
        return (
            ShapleySampling(groups, n_permutations=count) if tolerance is None else ShapleySampling(groups, tolerance=tolerance)
        )
    inner = IntegratedGradients(n_steps=count) if tolerance is None else IntegratedGradients(tolerance)
    return XRAI(inner) if parameters.is_xrai else inner


def check_indicators(features: Iterable[Feature], arrays: dict[str, np.ndarray]) -> None:
    """Raises AttributionError where an input that says which features are there has other values than 0 and 1."""
    for one in features:
        values = arrays.get(one.key) if one.metadata.encoding == "INDICATOR" else None
        if values is not None and not np.isin(values, (0, 1)).all():
            raise AttributionError(
                f"{one.key!r} is of encoding INDICATOR: each place must be 0 or 1; got {values.tolist()!r:.60}"
            )


def is_pictured(one: Feature, parameters: ExplanationParameters) -> bool:
    """Whether a feature is answered with a picture."""
    plain = one.metadata.encoding == "IDENTITY" and not one.metadata.group_name and not one.encoded
    return one.metadata.visualization is not None and one.metadata.modality == "image" and plain and not parameters.is_shapley


def groups_of(features: Iterable[Feature], shapes: Iterable[tuple]) -> list[np.ndarray]:
    """By number the features of sampled Shapley that the places of each tensor are, as `ta.ShapleySampling(groups)` takes them.

    Args:
        shapes: of one example of each tensor, in the order of the features.
    """
    found, numbers, start = [], {}, 0
    for feature, shape in zip(features, shapes, strict=True):
        places = positions(tuple(shape))
        if feature.is_whole:
            name = ("group", feature.metadata.group_name) if feature.metadata.group_name is not None else ("input", feature.key)
            found.append(np.full(places, numbers.setdefault(name, start)))
        else:
            found.append(start + np.arange(int(np.prod(places))).reshape(places))
        start = max(start, int(found[-1].max(initial=start)) + 1)
    return found


def notes_of(features: Iterable[Feature], parameters: ExplanationParameters) -> tuple[str, ...]:
    """What was chosen where the configuration says nothing, or says what cannot be done to the letter."""
    found = [note for one in features for note in _notes(one, parameters)]
    if parameters.is_shapley and parameters.count is not None:
        found.append(
            f"path_count {parameters.count}: where an instance has no more than {EXACT} features that differ from the "
            "baseline, all their coalitions are evaluated instead, and nothing is left to chance"
        )
    return tuple(found)


def _notes(one: Feature, parameters: ExplanationParameters) -> Iterator[str]:
    metadata, where = one.metadata, one.metadata.where
    if metadata.modality == "image" and not is_pictured(one, parameters):
        if metadata.visualization is not None:
            yield f"{where}: visualization is not used: a picture is of an image with one attribution for each pixel"
        elif metadata.domain is not None:
            yield f"{where}: feature_value_domain is not used: it is for pictures, and there is no visualization"
    if not metadata.input_baselines and not (one.encoded and metadata.encoded_baselines):
        if parameters.is_xrai and one.baseline is None:
            yield f"{where} has no baseline: each image's lowest and highest value, averaged"
        elif one.baseline is None or one.baseline.is_zeros:
            yield f"{where} has no baseline: zeros at {'its encoded tensor' if one.encoded else 'the input'}"
    if one.encoded and metadata.encoded_baselines and metadata.input_baselines:
        yield f"{where}: input_baselines are not used: encoded_baselines are, where the attributions are"
    if not one.encoded and metadata.encoded_tensor_name:
        unused = "encoded_tensor_name and encoded_baselines are" if metadata.encoded_baselines else "encoded_tensor_name is"
        yield f"{where}: {unused} not used: sampled Shapley needs no gradient, and replaces the input itself"
    if metadata.encoding in ("BAG_OF_FEATURES_SPARSE", "INDICATOR") and _any_nonzero(metadata.input_baselines):
        yield (
            f"{where}: of encoding {metadata.encoding} 0 is a feature that is not there, and the baseline is not 0: features "
            "that an instance does not have are attributed to as well"
        )
    if parameters.is_shapley and metadata.encoding == "IDENTITY" and not metadata.group_name and _has_places(one.spec):
        yield (
            f"{where}: encoding IDENTITY is one feature, and sampled Shapley gives it one number; each place gets its own by "
            "encoding BAG_OF_FEATURES with index_feature_mapping"
        )


def _is_encoded(one: InputMetadata, parameters: ExplanationParameters) -> bool:
    """Whether attributions are at the encoded tensor: for gradients wherever there is one; sampled Shapley needs none, and
    goes there where that is all that has a baseline, or where the places of the encoded tensor are the features."""
    if one.encoded_tensor_name is None:
        return False
    return not parameters.is_shapley or (bool(one.encoded_baselines) and not one.input_baselines)


def _baseline(one: InputMetadata, key: str, spec: tf.TensorSpec, encoded: bool, parameters: ExplanationParameters) -> Any:
    """What a feature is compared with, at its place; None for the default of the method."""
    if parameters.blur_sigma is not None and one.modality == "image" and not encoded:
        if one.input_baselines:
            raise AttributionError(
                f"{one.where} has input_baselines, and blur_baseline_config says another: leave one of them out"
            )
        return blur(parameters.blur_sigma)
    if encoded and one.encoded_baselines:
        return _averaged([constant(_value(value, f"{one.where}: encoded_baselines", None)) for value in one.encoded_baselines])
    if not one.input_baselines:
        return None if parameters.is_xrai else zeros()
    values = [_value(value, f"{one.where}: input_baselines", spec) for value in one.input_baselines]
    return _averaged([_pushed(value, key) if encoded else constant(value) for value in values])


def _averaged(baselines: list[Baseline]) -> Any:
    return several(baselines) if len(baselines) > 1 else baselines[0]


def _value(value: Any, what: str, spec: tf.TensorSpec | None) -> np.ndarray:
    """One baseline as an array: a number or string for all places, or one in the shape of the tensor."""
    array = as_array(value, what)
    if spec is not None:
        if array.ndim and spec.shape.rank is not None and not spec.shape[1:].is_compatible_with(array.shape):
            raise AttributionError(
                f"{what} holds one of shape {array.shape}, and the input is {tuple(spec.shape[1:])}: give one number for all "
                "places, or a list in the shape of the input"
            )
        if (array.dtype.kind in "OSU") != (spec.dtype == tf.string):
            raise AttributionError(f"{what} holds {value!r:.60}, and the input is {spec.dtype.name}")
    return array


def _pushed(value: np.ndarray, key: str) -> Baseline:
    """A baseline of one input, the others as they are, pushed forward to the tensor that is made of it."""

    def make(inputs: dict, rng: np.random.Generator) -> dict:
        x = inputs[key]
        cast = value if x.dtype.kind in "OSU" else value.astype(x.dtype)
        if x.dtype.kind in "biu" and not np.array_equal(cast, value):
            raise AttributionError(f"the baseline of {key!r} is {value.tolist()!r:.60}, no value of an input that is {x.dtype}")
        if cast.ndim and cast.shape != x.shape[1:]:
            raise AttributionError(f"the baseline of {key!r} is of shape {cast.shape}, the example of {x.shape[1:]}")
        return inputs | {key: np.broadcast_to(cast, x.shape)}

    return Baseline(f"{key!r} at {value.tolist()!r:.40}", make, shared=False, at_model_input=True)


def _has_places(spec: tf.TensorSpec) -> bool:
    """Whether an example may be more than one number or text."""
    return spec.shape.rank is None or any(size != 1 for size in spec.shape[1:])


def _any_nonzero(values: tuple) -> bool:
    return any(np.asarray(value).dtype.kind in "biuf" and np.any(np.asarray(value) != 0) for value in values)


def _check_method(features: list[Feature], parameters: ExplanationParameters) -> None:
    """Raises AttributionError where the method and the features do not go together."""
    images = [one for one in features if one.metadata.modality == "image"]
    if parameters.is_xrai and (
        len(features) != 1 or not images or images[0].metadata.encoding != "IDENTITY" or images[0].encoded
    ):
        raise AttributionError(
            "xrai_attribution is for one input, of modality image and encoding IDENTITY, without encoded_tensor_name"
        )
    if parameters.blur_sigma is not None and not images:
        raise AttributionError("blur_baseline_config is for images, and no input is of modality image")
    other = next((one for one in features if one.encoded or not one.spec.dtype.is_floating), None)
    if parameters.noise is not None and other is not None:
        came = "attributed to at its encoded tensor" if other.encoded else other.spec.dtype.name
        raise AttributionError(
            f"smooth_grad_config adds noise to float inputs, and {other.metadata.where} is {came}: leave smooth_grad_config out"
        )
    for one in features:
        _check_tensor(one)


def _check_tensor(one: Feature) -> None:
    """Raises AttributionError where an input is not what its modality and encoding say."""
    metadata, shape = one.metadata, one.spec.shape
    if metadata.modality == "numeric" and one.spec.dtype == tf.string:
        raise AttributionError(f"{metadata.where}: modality numeric, and the input is text, {_shown(one.spec)}")
    if one.encoded or shape.rank is None:
        return
    if metadata.modality == "image" and shape.rank not in (3, 4):
        raise AttributionError(f"{metadata.where}: modality image needs an input of images; it is {_shown(one.spec)}")
    count = len(metadata.index_feature_mapping)
    if metadata.encoding in BAGS and (shape.rank != 2 or shape[1] not in (None, count)):
        raise AttributionError(
            f"{metadata.where}: encoding {metadata.encoding} with {count} names in index_feature_mapping needs an input "
            f"(batch, {count}); it is {_shown(one.spec)}"
        )


def _shown(spec: tf.TensorSpec) -> str:
    return f"{spec.dtype.name} {'of any shape' if spec.shape.rank is None else tuple(spec.shape)}"
