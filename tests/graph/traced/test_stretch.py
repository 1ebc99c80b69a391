"""Where an affine stretch ends: behind what is affine, example by example, and in front of all else."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_attrib.graph.traced import affine, stretch
from tf_attrib.graph.traced.cut import Port
from tf_attrib.graph.traced.stretch import Stretch, ends_of
from tf_attrib.graph.traced.trace import trace

RNG = np.random.default_rng(3)
SHAPE = (4, 6)


def numbers(*shape):
    return RNG.uniform(0.5, 1.5, shape)


SQUARE, ROW, PLANE, KERNEL = numbers(6, 6), numbers(6), numbers(1, 4, 6), numbers(3, 6, 5)
WEIGHT = tf.Variable(numbers(6, 2), dtype=tf.float64)


def images(x):
    return tf.reshape(x, (-1, 2, 2, 6))


def merged(x):
    return tf.reshape(tf.reshape(x, (-1, 6)) @ WEIGHT, (-1, 4, 2))


def fused(x, **given):
    row = ROW.astype("float32")
    return tf.compat.v1.nn.fused_batch_norm(images(x), row, row, **given)[0]


AFFINE = {
    "identity": tf.identity,
    "negative": lambda x: -x,
    "reshape": lambda x: tf.reshape(x, (-1, 24)),
    "reshape by its shape": lambda x: tf.reshape(x, (tf.shape(x)[0], 24)),
    "rows of several entries": merged,
    "tensordot": lambda x: tf.tensordot(x, WEIGHT, 1),
    "matmul of each": lambda x: tf.matmul(x, WEIGHT),
    "matmul of rows": lambda x: tf.matmul(tf.reshape(x, (-1, 24)), numbers(3, 24), transpose_b=True),
    "transpose": lambda x: tf.transpose(x, (0, 2, 1)),
    "expand and squeeze": lambda x: tf.squeeze(tf.expand_dims(x, -1), [3]),
    "strided slice": lambda x: x[:, 1:3, ::2],
    "one of an axis": lambda x: x[:, 1],
    "slice": lambda x: tf.slice(x, (0, 1, 2), (-1, 2, 3)),
    "gather": lambda x: tf.gather(x, [3, 0, 0], axis=1),
    "concatenate": lambda x: tf.concat([x, 2 * x], 1),
    "stack": lambda x: tf.stack([x, -x], 2),
    "unstack": lambda x: tf.add_n(tf.unstack(x, axis=1)),
    "split": lambda x: tf.add_n(tf.split(x, 3, axis=2)),
    "split by sizes": lambda x: tf.split(x, [4, 2], axis=-1)[0],
    "pad": lambda x: tf.pad(x, [[0, 0], [1, 0], [0, 2]]),
    "pad with threes": lambda x: tf.pad(x, [[0, 0], [1, 0], [0, 2]], constant_values=3),
    "mirror": lambda x: tf.pad(x, [[0, 0], [1, 0], [0, 2]], "REFLECT"),
    "mean": lambda x: tf.reduce_mean(x, 1),
    "sum": lambda x: tf.reduce_sum(x, -1, keepdims=True),
    "plus": lambda x: x + PLANE,
    "plus itself": lambda x: x + x[:, :1],
    "minus": lambda x: x - ROW,
    "subtracted": lambda x: ROW - x,
    "times": lambda x: x * tf.maximum(tf.sqrt(ROW), 0.1),
    "divided": lambda x: x / PLANE,
    "bias": lambda x: tf.nn.bias_add(x, ROW),
    "convolution of a sequence": lambda x: tf.nn.conv1d(x, KERNEL, 1, "SAME"),
    "convolution": lambda x: tf.nn.conv2d(images(x), numbers(2, 2, 6, 3), 1, "VALID"),
    "depthwise": lambda x: tf.nn.depthwise_conv2d(images(x), numbers(2, 2, 6, 1), [1, 1, 1, 1], "VALID"),
    "pooling": lambda x: tf.nn.avg_pool2d(images(x), 2, 1, "VALID"),
    "volume": lambda x: tf.nn.conv3d(tf.reshape(x, (-1, 2, 2, 1, 6)), numbers(1, 2, 1, 6, 3), [1, 1, 1, 1, 1], "VALID"),
    "fused norm": lambda x: fused(x, mean=ROW.astype("float32"), variance=ROW.astype("float32"), is_training=False),
    "norm": lambda x: tf.nn.batch_normalization(x, ROW, ROW, ROW, ROW, 1e-3),
}


@tf.custom_gradient
def handed_down_thrice(x):
    return tf.identity(x), lambda upstream: 3 * upstream


@tf.RegisterGradient("HandedDownTwice")
def _handed_down_twice(operation, upstream):
    return 2 * upstream


def overridden(x):
    with tf.compat.v1.get_default_graph().gradient_override_map({"Neg": "HandedDownTwice"}):
        return -x


def checked(x):
    with tf.control_dependencies([tf.debugging.assert_all_finite(x, "finite")]):
        return tf.identity(x)


NOT = {
    "square": lambda x: x * x,
    "relu": tf.nn.relu,
    "by itself": lambda x: ROW / x,
    "stop gradient": lambda x: x + tf.stop_gradient(x),
    "custom gradient": handed_down_thrice,
    "overridden gradient": overridden,
    "rounding": tf.round,
    "narrow": lambda x: tf.cast(tf.cast(x, tf.float32), tf.float64),
    "attention": lambda x: tf.matmul(x, x, transpose_b=True),
    "control dependency": checked,
    "noise": lambda x: x + tf.random.uniform(SHAPE, dtype=tf.float64),
    "mean over examples": lambda x: x - tf.reduce_mean(x, 0),
    "sum of all": lambda x: x + tf.reduce_sum(x),
    "examples reversed": lambda x: x[::-1],
    "examples rolled": lambda x: tf.roll(x, 1, 0),
    "examples gathered": lambda x: tf.gather(x, tf.range(tf.shape(x)[0])[::-1]),
    "examples last": lambda x: tf.transpose(tf.nn.tanh(tf.transpose(x, (1, 2, 0))), (2, 0, 1)),
    "examples mixed": lambda x: tf.reshape(tf.transpose(tf.reshape(x, (4, -1, 6)), (1, 0, 2)), (-1, 4, 6)),
    "an axis more in front": lambda x: x + numbers(2, 1, 4, 6),
    "one row for each example": lambda x: x + numbers(3, 4, 6),
    "rows of any number": lambda x: x + tf.Variable(numbers(3, 4, 6), shape=[None, 4, 6]),
    "of half of each": lambda x: tf.reshape(tf.tanh(tf.reshape(x, (-1, 12))), (-1, 4, 6)),
    "loop": lambda x: tf.while_loop(lambda i, y: i < 2, lambda i, y: (i + 1, y * 2), (0, x))[1],
    "fused norm in training": fused,
}


@pytest.fixture(autouse=True)
def whatever_it_is_worth(monkeypatch):
    monkeypatch.setattr(stretch, "NUMBER", 0)
    monkeypatch.setattr(stretch, "LEAST", 0)


def traced_with(name, part):
    """A graph that begins with a product and goes on with a part; and the tensors where both end."""
    dtype = tf.float32 if "fused" in name else tf.float64

    def model(x):
        first = tf.identity(tf.matmul(x, SQUARE.astype(dtype.name)), "first")
        return tf.tanh(tf.identity(part(first), "second"))

    traced = trace(model, {None: tf.TensorSpec([None, *SHAPE], dtype)})
    return traced, [traced.function.graph.get_tensor_by_name(f"{name}:0") for name in ("first", "second")]


def found_in(traced):
    return ends_of(traced, list(traced.inputs.values()), traced.outputs.values())


@pytest.mark.parametrize("name", AFFINE)
def test_it_ends_behind_what_is_affine(name):
    traced, (_, second) = traced_with(name, AFFINE[name])
    (end,) = ends = found_in(traced)
    assert end is second
    kind, rounding = end.dtype.as_numpy_dtype, 1e-4 if "fused" in name else 1e-11
    found = Stretch(traced, {key: Port(tensor) for key, tensor in traced.inputs.items()}, ends)
    x, other, alpha = numbers(3, *SHAPE).astype(kind), numbers(3, *SHAPE).astype(kind), kind(0.3)
    at, start, between = (found({None: tf.constant(value)})[0] for value in (x, other, other + alpha * (x - other)))
    np.testing.assert_allclose(between, (1 - alpha) * start + alpha * at, rtol=rounding)
    for one, whole in zip(x, at, strict=True):  # each example by itself
        np.testing.assert_allclose(found({None: tf.constant(one[None])})[0][0], whole, rtol=rounding)
    arriving = tf.constant(numbers(*at.shape).astype(kind))
    back = found.transposed({0: arriving}, {None: tf.constant(x)})[None]
    sums = [tf.reduce_sum(tf.reshape(value, (3, -1)), 1) for value in (arriving * (at - start), back * (x - other))]
    np.testing.assert_allclose(*sums, rtol=rounding, atol=rounding)


@pytest.mark.parametrize("name", NOT)
def test_it_ends_in_front_of_what_is_not(name):
    traced, (first, second) = traced_with(name, NOT[name])
    ends = found_in(traced)
    assert not any(end is second for end in ends)
    assert any(end is first for end in ends) or (name == "fused norm in training" and ends[0].shape[1:] == [2, 2, 6])


def test_an_axis_of_unknown_size_in_front_is_not_taken_for_that_of_examples():
    def recurrent(x):
        steps = tf.transpose(tf.identity(x @ SQUARE, "first"), (1, 0, 2))
        return tf.scan(lambda state, step: tf.tanh(state + step), steps)[-1]

    traced = trace(recurrent, {None: tf.TensorSpec([None, None, 6], tf.float64)})
    assert [tensor.name for tensor in found_in(traced)] == ["first:0"]


def test_every_known_operation_is_tried():
    seen = set()
    for name, part in AFFINE.items():
        seen |= {operation.type for operation in traced_with(name, part)[0].function.graph.get_operations()}
    older = {"Add", "BatchMatMul", "FusedBatchNorm", "FusedBatchNormV2", "AvgPool3D"}  # as one that is tried
    assert set(affine.KNOWN) - older - seen == set()


def test_a_way_around_it_is_an_end_of_its_own():
    traced = trace(
        lambda x: tf.reduce_sum(tf.tanh(tf.identity(x @ SQUARE, "first")), 1) + tf.reduce_sum(tf.square(x), 1),
        {None: tf.TensorSpec([None, *SHAPE], tf.float64)},
    )
    assert {tensor.name for tensor in found_in(traced)} == {traced.inputs[None].name, "first:0"}


def test_what_it_is_worth(monkeypatch):
    monkeypatch.undo()
    keras.utils.set_random_seed(0)

    def of(*layers, shape):
        model = keras.Sequential([keras.Input(shape), *layers, keras.layers.ReLU()])
        found = found_in(trace(model, {None: tf.TensorSpec([None, *shape])}))
        return found and [tensor.shape[1:].as_list() for tensor in found]

    layers = keras.layers
    assert of(layers.Dense(256), shape=(4096,)) == [[256]]
    assert of(
        layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(64), layers.BatchNormalization(), shape=(32, 32, 3)
    ) == [[64]]
    assert of(layers.Conv1D(64, 5), shape=(None, 64)) == [[None, 64]]
    assert of(layers.Conv2D(32, 3), shape=(32, 32, 3)) is None  # gives more than it takes
    assert of(layers.Conv2D(64, 7, strides=2, padding="same"), shape=(64, 64, 3)) is None
    assert of(layers.Dense(8), shape=(16,)) is None  # saves nothing to speak of
    assert of(layers.Rescaling(1 / 255), shape=(512, 512, 3)) is None
