"""From a net as data to Keras: the model, its weights and data, and its twin in float64 that is fed embedded tokens."""

import contextlib
import dataclasses
import functools
import math
import warnings
import zlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.graph.traced.heads_and_lookups import layer_names

from .net import LISTS, WRAPPERS, Net, Step


class Given(keras.layers.Layer):
    """Stands for an Embedding in the twin: gives back the embedded tokens that it is fed, with the mask of the ids."""

    def __init__(self, mask_zero: bool, **options):
        super().__init__(**options)
        self.mask_zero, self.supports_masking = mask_zero, True

    def call(self, ids, embedded):
        return embedded

    def compute_mask(self, ids, embedded, previous_mask=None):
        return keras.ops.not_equal(ids, 0) if self.mask_zero else None

    def compute_output_spec(self, ids, embedded):
        return keras.KerasTensor(embedded.shape, embedded.dtype)


def generator(net: Net, *what: str) -> np.random.Generator:
    """Random numbers of their own for each thing, so that what is shrunk elsewhere does not change it."""
    return np.random.default_rng([net.seed, *(zlib.crc32(one.encode()) for one in what)])


@contextlib.contextmanager
def quiet():
    """Keras warns of masks that a layer ignores: that is what is asked for here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def precision(name: str):
    """Keras in this precision, then as before."""
    floatx, policy = keras.backend.floatx(), keras.config.dtype_policy()
    keras.backend.set_floatx(name)
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.backend.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def make_layer(layer: str, arguments: dict[str, Any]) -> keras.layers.Layer:
    inner = {key: make_layer(*value) if layer in WRAPPERS and key == "layer" else value for key, value in arguments.items()}
    return getattr(keras.layers, layer)(**inner)


def call(step: Step, values: dict[str, Any], made: dict[str, keras.layers.Layer]) -> Any:
    """What a step gives; a layer that is new is added to `made`."""
    given = [values[name] for name in step.of]
    if step.layer.startswith("ops."):
        return getattr(keras.ops, step.layer.removeprefix("ops."))(*given, **step.arguments)
    layer = made[step.again] if step.again else make_layer(step.layer, step.arguments | {"name": step.name})
    made[step.name] = layer
    return layer(given) if step.layer in LISTS else layer(*given)


def build(net: Net) -> keras.Model:
    """The model, with its weights."""
    with quiet():
        inputs = {
            one.name: keras.Input(one.shape, name=one.name, dtype="int32" if one.vocabulary else "float32")
            for one in net.inputs
        }
        values, made = dict(inputs), {}
        for step in net.steps:
            values[step.name] = call(step, values, made)
        outputs = []
        for head in net.heads:
            kind = head.kind if head.fused else "linear"
            last = keras.layers.Dense(head.units, kind, name=head.name if head.fused else f"{head.name}_logits")
            out = last(values[head.of])
            outputs.append(out if head.fused else keras.layers.Activation(head.kind, name=head.name)(out))
        model = keras.Model(list(inputs.values()), outputs if len(outputs) > 1 else outputs[0], name=f"net_{net.seed}")
    weigh(net, model)
    return model


def weigh(net: Net, model: keras.Model) -> None:
    """Weights by the seed, layer by layer: kernels, biases, and statistics of BatchNormalization that are not 0 and 1."""
    for layer in model.layers:
        rng = generator(net, "weights", layer.name)
        layer.set_weights([_weight(net, weight.name, tuple(weight.shape), rng) for weight in layer.weights])


def _weight(net: Net, name: str, shape: tuple, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.normal(size=shape)
    if name in ("gamma", "scale"):
        return 1 + 0.3 * drawn
    if name == "moving_variance":
        return np.exp(0.5 * drawn)
    if name == "embeddings":
        return net.embedding * drawn
    if len(shape) < 2:  # bias, beta, moving_mean, PReLU's slopes
        return net.bias * drawn
    return net.gain * drawn / math.sqrt(math.prod(shape[:-1]))


def data(net: Net) -> Any:
    """The examples: one array, or a dict by name. Tokens are padded with 0 at the end."""
    arrays = {}
    for one in net.inputs:
        rng = generator(net, "data", one.name)
        if not one.vocabulary:
            arrays[one.name] = rng.normal(size=(net.examples, *one.shape)).astype("float32")
            continue
        ids = rng.integers(1, one.vocabulary, (net.examples, *one.shape))
        for row, kept in enumerate(generator(net, "kept", one.name).integers(1, one.shape[0] + 1, net.examples)):
            ids[row, kept:] = 0
        arrays[one.name] = ids.astype("int32")
    return arrays if len(arrays) > 1 else next(iter(arrays.values()))


def of(net: Net) -> Any:
    """What is explained, as an argument of the Attributor of the object."""
    name = net.head.name if len(net.heads) > 1 else None
    return _of(net, name)


def of_export(net: Net) -> Any:
    """The same, of its export, which numbers the outputs."""
    return _of(net, f"output_{net.asked}" if len(net.heads) > 1 else None)


def _of(net: Net, name: str | None) -> Any:
    if net.head.kind == "linear":
        return ta.output(name)
    return ta.logits(name) if net.logits else ta.probability(name)


def target(net: Net, model: keras.Model) -> np.ndarray | None:
    """What is explained of the head: None where the library finds it (the predicted class), else a class and its position."""
    shape = model.outputs[net.asked].shape[1:]
    if len(shape) == 1 and (net.head.kind == "softmax" or net.head.units == 1):
        return None
    classes = max(net.head.units, 2) if net.head.kind == "sigmoid" else net.head.units
    highest = [*shape[:-1], classes] if classes > 1 else shape[:-1]
    drawn = generator(net, "target").integers(0, highest, (net.examples, len(highest)))
    return drawn if len(highest) > 1 else drawn[:, 0]


def points(net: Net, model: keras.Model) -> dict[str, np.ndarray]:
    """The examples where they are attributed, by input: floats as they are, tokens embedded."""
    given = data(net)
    given = given if isinstance(given, dict) else {net.inputs[0].name: given}
    return {
        name: np.take(table(net, model, name), value, 0) if value.dtype.kind == "i" else value for name, value in given.items()
    }


def table(net: Net, model: keras.Model, name: str) -> np.ndarray:
    """The rows that tokens of an input are looked up in."""
    step = next(step for step in net.steps if step.layer == "Embedding" and step.of == (name,))
    return model.get_layer(step.again or step.name).get_weights()[0]


def references(net: Net, model: keras.Model) -> list[dict[str, np.ndarray]]:
    """The baselines, each by input and for each example."""
    x = points(net, model)
    zeros = {name: np.zeros_like(value) for name, value in x.items()}
    noise = {
        name: (0.5 * generator(net, "noise", name).normal(size=(1, *value.shape[1:]))).astype("float32") + 0 * value
        for name, value in x.items()
    }
    other = {name: np.roll(value, 1, 0) for name, value in x.items()}
    return {"zeros": [zeros], "noise": [noise], "both": [zeros, noise], "input": [other]}[net.baseline]


def baselines(net: Net, model: keras.Model) -> Any:
    """The same as the argument of `attribute`."""
    return None if net.baseline == "zeros" else as_argument(net, references(net, model))


def as_argument(net: Net, references: list[dict[str, np.ndarray]]) -> Any:
    """Baselines by input, as `attribute` takes them."""
    each = {one.name: [reference[one.name] for reference in references] for one in net.inputs}
    each = {key: parts[0] if len(parts) == 1 else ta.several(parts) for key, parts in each.items()}
    return each if len(each) > 1 else next(iter(each.values()))


def ordered(net: Net, attributions: Any) -> dict[str, np.ndarray]:
    """Attributions by input: those of tokens are under the name of their Embedding, alone or (of an export) as a part of a
    path, with a number where it is called again; the lengths of tokens differ, so that it is known which is whose."""
    if not isinstance(attributions, dict):
        return {net.inputs[0].name: attributions}
    tables = {step.of[0]: step.again or step.name for step in net.steps if step.layer == "Embedding"}
    found = {}
    for one in net.inputs:
        (key,) = (
            key
            for key, value in attributions.items()
            if key == one.name or (tables.get(one.name) in layer_names(key.partition(":")[0]) and value.shape[1:2] == one.shape)
        )
        found[one.name] = attributions[key]
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class Twin:
    """The net in float64, from the tensors that are attributed to, to the logits of the head that is explained."""

    net: Net
    model: keras.Model
    context: dict[str, np.ndarray]

    def score(self, points: dict[str, tf.Tensor], rows: np.ndarray, target: np.ndarray | None) -> tf.Tensor:
        """The explained score, float64 (rows,).

        Args:
            points: float64 (rows, ...) by input.
            rows: which example each row is of: its tokens give the mask.
            target: (examples,) or (examples, r), as the result states it.
        """
        fed = []
        for one in self.net.inputs:
            fed += [tf.constant(self.context[one.name][rows])] if one.vocabulary else []
            fed.append(points[one.name])
        logits = self.model(fed, training=False)
        chosen = np.zeros((len(rows), 0), int) if target is None else target[rows].reshape(len(rows), -1)
        return self._chosen(logits, chosen)

    def _chosen(self, logits: tf.Tensor, target: np.ndarray) -> tf.Tensor:
        kind, units = self.net.head.kind, self.net.head.units
        if kind == "sigmoid" and units == 1:  # two classes
            sign = np.where(target[:, -1:] == 1, 1.0, -1.0).reshape([-1] + [1] * (logits.shape.rank - 1))
            logits, target = logits * sign, np.concatenate([target[:, :-1], 0 * target[:, -1:]], 1)
        if not self.net.logits and kind != "linear":
            logits = tf.nn.softmax(logits) if kind == "softmax" else tf.sigmoid(logits)
        if target.shape[1] < logits.shape.rank - 1:  # a number without classes
            logits = logits[..., 0]
        return tf.gather_nd(logits, target, batch_dims=1) if target.shape[1] else logits


def twin(net: Net, model: keras.Model) -> Twin:
    """The net again, in float64, with the weights of `model`."""
    widths = {step.of[0]: table(net, model, step.of[0]).shape[1] for step in net.steps if step.layer == "Embedding"}
    with precision("float64"), quiet():
        values, made, fed = {}, {}, []
        for one in net.inputs:
            if one.vocabulary:
                fed.append(keras.Input(one.shape, dtype="int32"))
            values[one.name] = (fed[-1],) if one.vocabulary else ()
            fed.append(keras.Input((*one.shape, widths[one.name]) if one.vocabulary else one.shape, dtype="float64"))
            values[one.name] = (*values[one.name], fed[-1]) if one.vocabulary else fed[-1]
        for step in net.steps:
            if step.layer == "Embedding":
                masked = next(s for s in net.steps if s.name == (step.again or step.name)).arguments.get("mask_zero", False)
                values[step.name] = Given(masked)(*values[step.of[0]])
            else:
                values[step.name] = call(step, values, made)
        last = keras.layers.Dense(net.head.units)
        twin = keras.Model(fed, last(values[net.head.of]))
    for name, layer in made.items():
        if not any(step.name == name and step.again for step in net.steps):
            layer.set_weights(model.get_layer(name).get_weights())
    last.set_weights(model.get_layer(net.head.name if net.head.fused else f"{net.head.name}_logits").get_weights())
    given = data(net)
    given = given if isinstance(given, dict) else {net.inputs[0].name: given}
    return Twin(net, twin, {name: value for name, value in given.items() if value.dtype.kind == "i"})


@functools.cache
def silence() -> None:
    """TensorFlow on one core, and quiet."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.get_logger().setLevel("ERROR")
