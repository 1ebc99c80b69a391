"""Positions that are picked in front of what treats each by itself: against the whole tensor, of which they are picked."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.graph.traced.heads_and_lookups import ancestors
from tf_attrib.graph.traced.positionwise import at_position

from ..conftest import assert_refused
from ..helpers.small_gpt import WIDTH, WORDS, attributor_of, ids_of, small_gpt

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(4, 5, 6)).astype("float32")
POSITION = np.array([[0], [3], [4], [1]], "int32")


def table(*shape):
    return tf.reshape(tf.cos(tf.range(float(np.prod(shape)))), shape)


def mean_over_positions(x):
    return x - tf.reduce_mean(x, 1, keepdims=True)


def normalized(x):
    x -= tf.reduce_mean(x, -1, keepdims=True)
    return x / (tf.reduce_mean(tf.square(x), -1, keepdims=True) + 0.1) * table(1, 1, 6) + table(6)


def block(x):
    """A residual sum around dense layers, behind what looks at all positions."""
    x = mean_over_positions(x)
    return x + tf.math.erf(normalized(x) @ table(6, 7)) @ table(7, 6)


def behind(make):
    return lambda x: make(block(x))


# name: the tensor; how many blocks are computed at all positions; and how many at those that are picked
TENSORS = {
    "block": (block, 0, 1),
    "two blocks": (lambda x: block(block(x)), 1, 1),  # the second looks at all positions of the first
    "one row for all": (lambda x: block(x) + x[:1], 0, 1),
    "one position for all": (lambda x: block(x) * x[:, :1], 0, 1),
    "one of unknown size for all": (lambda x: block(x) + tf.boolean_mask(x, tf.range(5) < 1, axis=1), 0, 1),
    "heads": (lambda x: tf.einsum("abcd,cde->abe", tf.einsum("abc,cde->abde", block(x), table(6, 2, 3)), table(2, 3, 4)), 0, 1),
    "a product of positions": (behind(lambda y: tf.einsum("abc,adc->abd", y, y)), 1, 0),
    "the largest": (behind(lambda y: y - tf.reduce_max(y, 2, keepdims=True)), 0, 1),
    "the largest of a row": (behind(lambda y: y - tf.reduce_max(y, [1, 2], keepdims=True)), 1, 0),
}


# Of these several positions are picked in a usual run, too.
SEVERALLY = ("block", "a product of positions", "one position for all")


@functools.cache
def compared(several, names):
    """By name, in one trace: what is picked, what of the whole it is, the gradients of both, and what the former is made of."""
    position = np.stack([POSITION, POSITION[::-1]], 1) if several else POSITION
    made = {}

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None] * 2 + [6]), tf.TensorSpec(position.shape, tf.int32)])
    def both(values, position):
        found = {}
        for name in names:
            own = tf.identity(values)  # of which a gradient finds this one's operations, and no others
            whole = TENSORS[name][0](own)
            picked = at_position(whole, position, [own])
            made[name] = [one for operation in ancestors([picked]) for one in operation.outputs]
            expected = tf.gather_nd(whole, position, batch_dims=1)
            found[name] = picked, expected, *(tf.gradients(one, own)[0] for one in (picked, expected))
        return found

    return {name: (*found, made[name]) for name, found in both(VALUES, position).items()}


@pytest.mark.parametrize(
    ("name", "several"),
    [(name, False) for name in TENSORS]
    + [(name, True) for name in SEVERALLY]
    + [pytest.param(name, True, marks=pytest.mark.slow) for name in TENSORS if name not in SEVERALLY],
)
def test_what_is_picked_is_that_of_the_whole(name, several):
    _, wide, picked_once = TENSORS[name]
    together = tuple(TENSORS) if not several else SEVERALLY if name in SEVERALLY else (name,)
    picked, expected, gradient, expected_gradient, found = compared(several, together)[name]
    np.testing.assert_allclose(picked, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-4, atol=1e-4)
    inner = [one for one in found if one.op.type == "Erf"]
    at_all = [one for one in inner if one.shape.rank == 3 and one.shape[1] is None]
    assert len(at_all) == wide
    assert len(inner) - len(at_all) == picked_once


def test_a_position_that_is_not_there_is_an_error():
    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, None, 6]), tf.TensorSpec([None, 1], tf.int32)])
    def picked(values, position):
        return at_position(block(values) + values[:, :1], position)

    with pytest.raises(tf.errors.InvalidArgumentError, match="indices"):
        picked(VALUES[:, :1], POSITION)


SEVERAL = np.stack([POSITION, POSITION], 1)


def beside_the_first(values):
    return values + values[:, :1]


@pytest.mark.parametrize(
    ("make", "index", "rows"),
    [(tf.tanh, POSITION, 1), (tf.tanh, SEVERAL, 8), (beside_the_first, POSITION, 8), (beside_the_first, SEVERAL, 1)],
    ids=["one of one", "several of more", "one of more, beside the first", "several of one, beside the first"],
)
def test_another_number_of_rows_is_an_error(make, index, rows):
    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, None, 6]), tf.TensorSpec(index.shape, tf.int32)])
    def picked(values, position):
        return at_position(make(values), position)

    with pytest.raises(tf.errors.InvalidArgumentError, match="imension"):
        picked(np.resize(VALUES, (rows, 5, 6)), index)


def test_a_model_of_two_rows_for_each_example_is_refused_where_a_position_is_explained():
    attributor = ta.Attributor(lambda x: tf.concat([tf.tanh(x), x], 0))
    assert_refused(lambda: attributor.attribute(VALUES, (1, 2)), "the model failed")


def test_chunks_of_a_sequence_are_no_rows():
    """Of a model that takes a long sequence in parts, as if each were a row: here 8 of 5 positions are 4 of 10."""

    def scores(x):
        chunks = tf.tanh(tf.reshape(x, (-1, 5, 3)))
        return tf.reshape(tf.reshape(chunks, (-1, 3)) @ table(3, 2), (-1, 10, 2))

    attributor = ta.Attributor(scores)
    for position in (2, 7):
        with tf.GradientTape() as tape:
            x = tf.constant(VALUES)
            tape.watch(x)
            score = scores(x)[:, position, 1]
        found = attributor.attribute(VALUES, (position, 1), method="gradient").attributions
        np.testing.assert_allclose(found, tape.gradient(score, x), rtol=1e-5)


@tf.RegisterGradient("SevenTimes")
def _seven_times(operation, gradient):
    if operation.type == "MatMul":
        return 7 * gradient @ tf.transpose(operation.inputs[1]), None
    gradient = tf.reshape(7 * gradient, tf.shape(operation.inputs[0]))
    return (gradient, None) if operation.type == "Reshape" else gradient


@pytest.mark.parametrize("kind", ["Relu", "MatMul", "Reshape"])
def test_a_gradient_of_the_models_own_is_heeded(kind):
    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, 5, 6]), tf.TensorSpec([None, 1], tf.int32)])
    def both(values, position):
        with tf.compat.v1.get_default_graph().gradient_override_map({kind: "SevenTimes"}):
            whole = tf.nn.relu(tf.reshape(tf.reshape(values, (-1, 6)) @ table(6, 7), (-1, 5, 7)))
        picked, expected = at_position(whole, position, [values]), tf.gather_nd(whole, position, batch_dims=1)
        return [tf.gradients(one, values)[0] for one in (picked, expected)]

    found, expected = both(VALUES, POSITION)
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@tf.function(autograph=False, input_signature=[tf.TensorSpec([None, 2, 3, 4]), tf.TensorSpec([None, 2], tf.int32)])
def _by_hand(values, position):
    weights = tf.reshape(tf.cos(tf.range(20.0)), (4, 5))
    wide = tf.reshape(tf.matmul(tf.reshape(values, (-1, 4)), weights), (-1, 2, 3, 5))
    turned = tf.reshape(tf.matmul(tf.reshape(values, (-1, 4)), weights), (-1, 3, 2, 5))  # other positions
    return [at_position(one, position) for one in (wide, turned)] + [
        tf.gather_nd(one, position, batch_dims=1) for one in (wide, turned)
    ]


def test_positions_on_several_axes():
    values, position = RNG.normal(size=(4, 2, 3, 4)).astype("float32"), RNG.integers(0, 2, (4, 2)).astype("int32")
    wide, turned, whole, turned_whole = _by_hand(values, position)
    np.testing.assert_allclose(wide, whole, rtol=1e-6)
    np.testing.assert_allclose(turned, turned_whole, rtol=1e-6)


def test_the_last_block_of_a_language_model_is_computed_where_it_is_explained_alone():
    attributor = ta.Attributor(small_gpt(blocks=2), of=ta.token_score([[3]], [[2]], [[1.0]]))
    session, _, _ = attributor.prepare(ids_of(6)[None])
    score, _ = session.function.chosen()
    wide = [
        one.op.name
        for operation in ancestors([score], [port.tensor for port in session.function.place.ports.values()])
        for one in operation.outputs
        if one.dtype.is_floating and one.shape.rank == 3 and one.shape[-1] in (4 * WIDTH, WORDS) and one.shape[1] is None
    ]
    assert any("up_0" in name for name in wide)
    assert not any("up_1" in name or "logits" in name for name in wide)


@pytest.mark.parametrize(
    "at", ["final", *(pytest.param(one, marks=pytest.mark.slow) for one in ("down_0", "up_0")), "norm_mlp_0"]
)
def test_layers_of_the_last_block_are_attributed_to(at):
    """What is selected is not gone past."""
    model, ids = attributor_of().model, ids_of(6)[None]
    attributor = attributor_of().observing(at).explaining(ta.token_score([[3]], [[2]], [[1.0]], of="logits"))
    found = attributor.attribute(ids, method="gradient").attributions
    assert np.abs(found[0, 3]).min() > 0
    assert not found[0, [0, 1, 2, 4, 5]].any()
    if at == "final":
        kernel = model.get_layer("logits").kernel.numpy()
        np.testing.assert_allclose(found[0, 3], kernel[:, 2], rtol=1e-5)
