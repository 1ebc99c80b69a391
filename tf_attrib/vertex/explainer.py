"""A SavedModel with the configuration that its explanations have: what an endpoint answered, and the attributions behind it."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from ..common.errors import AttributionError, NotFinite, NotFloat, one_line
from ..common.failures import plain_failures
from ..common.nested import flatten
from ..methods import Method
from ..selection.inputs import prepared, read
from . import instances as json_instances
from . import responses
from .explained import Explained, explained
from .features import Feature, check_indicators, groups_of, is_pictured, method_of
from .picture import pictured
from .smoothing import smoothed
from .specification import ExplanationSpec

# The signature by which a TensorFlow 2 model sets its preprocessing apart, which has no gradient.
PREPROCESS = "xai_preprocess"


@dataclasses.dataclass(frozen=True, eq=False)
class Explainer:
    """What `Attributor.from_explanation_metadata` gives.

    Attributes:
        attributor: of the features and the output of the configuration.
        spec: the configuration.
        features: its inputs, in the model.
        notes: what changes nothing here, and what was chosen where the configuration says nothing: read them once.
        output: the key of the explained output in the signature.
        signature: that instances are for.
        seed: of random methods, so that the same instance gets the same numbers.
    """

    attributor: Any
    spec: ExplanationSpec
    features: tuple[Feature, ...]
    notes: tuple[str, ...]
    output: str
    signature: str
    seed: int = 0

    @property
    def specs(self) -> dict[str, tf.TensorSpec]:
        """What an instance holds, by key."""
        _, given = self._called.structured_input_signature
        return {key: tf.TensorSpec(spec.shape, spec.dtype, key) for key, spec in sorted(given.items())}

    @property
    def method(self) -> Method:
        """The method, as the configuration asks for it; of sampled Shapley without the groups, which follow the examples."""
        return method_of(self.spec.parameters)

    def predict(self, instances: list) -> dict[str, Any]:
        """The response to a request for predictions: an entry for each instance.

        Raises:
            AttributionError: an instance that does not fit.
        """
        arrays = [self._read(instance, i) for i, instance in enumerate(_listed(instances))]
        found: list[Any] = [None] * len(arrays)
        for which in _alike(arrays):
            for i, prediction in zip(which, _halved(self._predictions, arrays, which, "raise"), strict=True):
                found[i] = prediction
        return {"predictions": found}

    def explain(self, instances: list, *, details: bool = False, on_error: str = "raise") -> dict[str, Any]:
        """The response to a request for explanations.

        Args:
            instances: JSON values, as `predict` takes them.
            details: whether each attribution also says what this library knows of it, under "details": its status, the gap,
                standard errors, how often the model was evaluated.
            on_error: "raise", or "mark": an instance that fails has the prediction None and {"error": why} for an explanation,
                and the others are done.

        Returns:
            {"predictions": [...], "explanations": [{"attributions": [...]}, ...]}, in the order of the instances.

        Raises:
            AttributionError: an instance does not fit, or cannot be explained; the message says which.
        """
        if on_error not in ("raise", "mark"):
            raise AttributionError(f"on_error must be 'raise' or 'mark', got {on_error!r}")
        found: list[tuple[Any, Any]] = [(None, None)] * len(_listed(instances))
        arrays: list[Any] = []
        for i, instance in enumerate(instances):
            try:
                arrays.append(self._read(instance, i))
            except AttributionError as error:
                arrays.append(_failed(found, i, error, on_error))
        answer_all = functools.partial(self._answers, details=details)
        for which in _alike(arrays):
            for i, answer in zip(which, _halved(answer_all, arrays, which, on_error), strict=True):
                found[i] = answer
        return {"predictions": [one for one, _ in found], "explanations": [one for _, one in found]}

    def attribute(self, inputs: Any, target: Any = None, **options: Any) -> Any:
        """The attributions themselves, an `Attribution` as `Attributor.attribute` gives it, by the configured method and
        baselines.

        Args:
            inputs: (batch, ...), or a dict of such by the inputs of the signature that is attributed to.
            target: the class, or one for each example; default: the one of the highest output. Of one sigmoid unit class 1 is
                the unit itself, which is the default, and class 0 the rest.
            options: `seed`, `verbose` and `on_error` of `Attributor.attribute`.
        """
        options = {"seed": self.seed} | options
        features, parameters = self.features, self.spec.parameters
        attributor, (session, ready, _) = self.attributor, self._prepared(inputs)
        target = 1 if target is None and session.function.output.other else target
        given = [one.baseline for one in features]
        baselines = given[0] if len(given) == 1 else dict(zip(session.function.features(), given, strict=True))
        groups = None
        if parameters.is_shapley:
            one = session.selected({key: value[:1] for key, value in ready.items()})
            groups = groups_of(features, [value.shape[1:] for value in one.values()])
        method = method_of(parameters, groups)
        if parameters.noise is None:
            return attributor.attribute(inputs, target, baselines, method, **options)
        sigmas = {one.key: parameters.noise.of(one.metadata.name) for one in features}
        found = smoothed(attributor, ready, target, baselines, method, sigmas, parameters.noise.samples, **options)
        if isinstance(inputs, dict):
            return found
        (alone,) = flatten(found.attributions).values()  # of the only input, which came without a name
        return dataclasses.replace(found, attributions=alone, inputs=inputs)

    def _prepared(self, inputs: Any) -> tuple:
        """What the attributor makes of inputs: a session, the inputs by its keys, and the keys."""
        try:
            return self.attributor.prepare(inputs)
        except NotFloat as error:
            raise AttributionError(f"{error}. In the metadata, that tensor is encoded_tensor_name") from error

    # one batch

    def _answers(self, inputs: dict[str, np.ndarray], details: bool) -> list[tuple[Any, Any]]:
        """Predictions and explanations of instances that are alike."""
        with plain_failures():
            outputs = self._outputs(inputs)
        predictions, values = self._written(outputs), outputs[self.output]
        given = self._preprocessed(inputs)
        found: list[list[dict[str, Any]]] = [[] for _ in predictions]
        for one in explained(values, self.spec.parameters):
            target = None if self._prepared(given)[0].function.output.other else one.target
            result = self.attribute(given, target, verbose=False)
            _check_scores(result, one.values(values))
            for i, attributions in enumerate(found):
                attributions.append(self._attribution(result, i, one, outputs, given, details))
        return list(zip(predictions, [{"attributions": one} for one in found], strict=True))

    def _attribution(
        self, result: Any, i: int, one: Explained, outputs: dict[str, np.ndarray], given: dict[str, np.ndarray], details: bool
    ) -> dict[str, Any]:
        """The `Attribution` of the API for one instance and output."""
        index, output, parameters = one.index(i), self.spec.output, self.spec.parameters
        numbers = self._numbers(result, i)
        pictures = {
            feature.metadata.name: pictured(
                given[feature.key][i], np.asarray(numbers[feature.metadata.name]), feature.metadata, parameters.is_xrai
            )
            for feature in self.features
            if is_pictured(feature, parameters)
        }
        found: dict[str, Any] = {
            "baselineOutputValue": float(np.mean(result.baseline_scores[i])),
            "instanceOutputValue": float(one.values(outputs[self.output])[i]),
            "featureAttributions": numbers | pictures,
            "outputIndex": list(index) or None,
            "outputDisplayName": self._display_name(index, i, outputs),
            "approximationError": responses.approximation_error(result, i),
            "outputName": output.name,
        }
        found = {name: value for name, value in found.items() if value is not None}
        if not details:
            return found
        known = responses.details(result, i, self.features, parameters.is_shapley)
        behind = {"featureAttributions": {name: numbers[name] for name in pictures}} if pictures else {}
        return found | {"details": known | behind}

    def _numbers(self, result: Any, i: int) -> dict[str, Any]:
        """What is attributed to each feature of one example."""
        if self.spec.parameters.is_xrai:
            return {self.features[0].metadata.name: responses.region_map(result, i).tolist()}
        leaves = [leaf[i] for leaf in flatten(result.attributions).values()]
        return responses.feature_values(self.features, leaves, self.spec.parameters.is_shapley)

    def _display_name(self, index: tuple[int, ...], i: int, outputs: dict[str, np.ndarray]) -> str | None:
        output = self.spec.output
        where = f"outputs[{output.name!r}]"
        if output.index_display_name_mapping is not None:
            return responses.display_name(output.index_display_name_mapping, index, f"{where}: index_display_name_mapping")
        if output.display_name_mapping_key is None:
            return None
        names = json_instances.as_json(outputs[output.display_name_mapping_key][i])
        return responses.display_name(names, index, f"{where}: the output {output.display_name_mapping_key!r}")

    # the model

    @property
    def _called(self) -> Any:
        """The signature that instances are for, as TensorFlow loaded it."""
        return self.attributor.model.alive.signatures[self.signature]

    def _read(self, instance: Any, i: int) -> dict[str, np.ndarray]:
        try:
            found = json_instances.arrays_of(instance, self.specs)
            check_indicators(self.features, found)
            return found
        except (AttributionError, RecursionError) as error:
            raise AttributionError(f"instance {i}: {error}") from error

    def _outputs(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return _call(self._called, inputs, self.specs)

    def _preprocessed(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the signature is given that is attributed to: of a model with preprocessing of its own, what that gives."""
        if set(self.specs) == set(self.attributor.model.specs):
            return inputs
        with plain_failures():
            return _call(self.attributor.model.alive.signatures[PREPROCESS], inputs, self.specs)

    def _predictions(self, inputs: dict[str, np.ndarray]) -> list[Any]:
        with plain_failures():
            return self._written(self._outputs(inputs))

    def _written(self, outputs: dict[str, np.ndarray]) -> list[Any]:
        """Predictions as JSON: of one output its value, of several an object with each."""
        if len(outputs) == 1:
            return [json_instances.as_json(value) for value in next(iter(outputs.values()))]
        count = len(next(iter(outputs.values())))
        return [{key: json_instances.as_json(value[i]) for key, value in outputs.items()} for i in range(count)]


def _call(function: Any, inputs: dict[str, np.ndarray], specs: dict[str, tf.TensorSpec]) -> dict[str, np.ndarray]:
    ready = prepared(read(inputs), specs, {key: key for key in specs})  # never cast to what they are not
    given = {key: tf.constant(value, specs[key].dtype) for key, value in ready.items()}
    found = {key: value.numpy() for key, value in sorted(function(**given).items())}
    count = len(next(iter(inputs.values())))
    for key, value in found.items():
        if value.ndim == 0 or len(value) != count:
            raise AttributionError(
                f"output {key!r} is of shape {value.shape} for {count} instances: it must have a row for each"
            )
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise AttributionError(
                f"output {key!r} is NaN or infinite: there is nothing to explain, and JSON has no such number"
            )
    return found


def _check_scores(result: Any, values: np.ndarray) -> None:
    """Raises AttributionError where what was attributed is not what the model has predicted."""
    if not np.allclose(result.scores, values, rtol=1e-3, atol=1e-5 + 1e-5 * float(np.abs(values).max(initial=0))):
        raise AttributionError(
            f"the explained output is {result.scores.tolist()!r:.80} in the graph and {values.tolist()!r:.80} as the model "
            "serves it: it is random, or preprocessing differs between its signatures"
        )


def _listed(instances: Any) -> list:
    if not isinstance(instances, list) or not instances:
        raise AttributionError('instances must be a list of at least one, {"instances": [...]}')
    return instances


def _alike(arrays: list) -> Iterator[list[int]]:
    """The numbers of instances that go into one batch: of the same shapes and types, since whole numbers lose their last digits
    in an array with fractions."""
    groups: dict[tuple, list[int]] = {}
    for i, one in enumerate(arrays):
        if one is not None:
            groups.setdefault(tuple((value.shape, value.dtype) for value in one.values()), []).append(i)
    yield from groups.values()


def _stacked(arrays: list, which: list[int]) -> dict[str, np.ndarray]:
    return {key: np.stack([arrays[i][key] for i in which]) for key in arrays[which[0]]}


def _halved(answer: Callable[[dict], list], arrays: list, which: list[int], on_error: str) -> list:
    """What `answer` gives for instances that are alike; where they fail together, halves of them, so that one that fails by
    itself is found."""
    try:
        return answer(_stacked(arrays, which))
    except AttributionError as error:
        if len(which) == 1:
            said = error.alone if isinstance(error, NotFinite) else one_line(error)  # nobody here calls `attribute`
            return [_mark(f"instance {which[0]}: {said}", error, on_error)]
    half = len(which) // 2
    return _halved(answer, arrays, which[:half], on_error) + _halved(answer, arrays, which[half:], on_error)


def _mark(text: str, error: AttributionError, on_error: str) -> tuple[Any, Any]:
    """What stands for an instance that failed; `text` says which it is."""
    if on_error == "raise":
        raise AttributionError(text) from error
    return None, {"error": text}


def _failed(found: list, i: int, error: AttributionError, on_error: str) -> None:
    found[i] = _mark(one_line(error), error, on_error)
