"""Gradients that find out nothing at run time: the same as those of TensorFlow's tape, however many rows there are."""

import numpy as np
import pytest
import tensorflow as tf

from tf_attrib.graph.traced.gradients import gradients
from tf_attrib.graph.traced.tf_private import fed_with

RNG = np.random.default_rng(5)
SHAPE = (4, 6)


def numbers(*shape):
    return RNG.uniform(0.5, 1.5, shape)


MATRIX, ROW, PLANE, HEADS, FLAT = numbers(6, 6), numbers(6), numbers(1, 4, 6), numbers(2, 3, 6), numbers(24)


def dense(x):
    return tf.tensordot(x, MATRIX, [[2], [0]])


def normalised(x):
    mean = tf.reduce_mean(x, 2, keepdims=True)
    return (x - mean) * tf.math.rsqrt(tf.reduce_mean(tf.math.squared_difference(x, mean), -1, keepdims=True) + 1e-3) * ROW


def attention(x):
    queries, keys = tf.einsum("bld,hkd->bhlk", x, HEADS), tf.einsum("bld,hkd->bhlk", tf.sin(x), HEADS)
    weights = tf.nn.softmax(queries @ tf.linalg.matrix_transpose(keys))
    return tf.transpose(weights @ keys, [0, 2, 1, 3])[:, :, :, 0]


def adjoints(x):
    turned = tf.linalg.matrix_transpose(tf.cos(x))
    one, other = tf.matmul(x, tf.sin(x), adjoint_a=True), tf.matmul(x, tf.sin(x), adjoint_b=True)
    return one * one @ tf.matmul(x, turned, adjoint_a=True, adjoint_b=True) + tf.reduce_sum(
        other * other, [1, 2], keepdims=True
    )


@tf.custom_gradient
def doubled(x):
    return x * x, lambda upstream: 4 * x * upstream


# Of these all repeats are known beforehand.
KNOWN = {
    "sums and differences": lambda x: (x + tf.sin(x)) - (tf.cos(x) + x),
    "products": lambda x: x * tf.sin(x) / (1.5 + tf.cos(x)),
    "scalars": lambda x: 2 * x / 3 + 1 - x,
    "a row of weights": lambda x: (x * ROW + tf.constant(ROW)) / ROW,
    "a plane of weights": lambda x: PLANE / (PLANE + x * x),
    "what was reduced": normalised,
    "reduced without its axis": lambda x: tf.reduce_mean(x, [1, 2])[:, None] * tf.reduce_sum(x, 2),
    "squared differences": lambda x: tf.math.squared_difference(x, tf.sin(x)),
    "a dense layer of positions": lambda x: dense(x) + x,
    "products of matrices": lambda x: x @ tf.linalg.matrix_transpose(tf.sin(x)) @ x,
    "products with a matrix": lambda x: x @ tf.constant(MATRIX) + MATRIX[:4] @ tf.linalg.matrix_transpose(x) @ x,
    "a column times a row": lambda x: x[:, :, :1] @ tf.reduce_sum(x, 1, keepdims=True) + x,
    "adjoints": adjoints,
    "attention": attention,
    "flattened and back": lambda x: tf.reshape(tf.reshape(x, (-1, 24)) * FLAT, (-1, 4, 6)) * x,
    "positions as rows": lambda x: tf.reshape(tf.reshape(x, (-1, 6)) * tf.reshape(tf.sin(x), (-1, 6)), (-1, 4, 6)),
    "padded": lambda x: tf.pad(x, [[0, 0], [1, 1], [0, 0]]) * tf.pad(x, [[0, 0], [2, 0], [0, 0]]),
    "squeezed": lambda x: tf.squeeze(x[:, :, None], [2]) * tf.expand_dims(tf.reduce_sum(x, 1), 1),
    "joined": lambda x: tf.concat([x, tf.sin(x)], 1) * tf.concat([tf.cos(x), x], 1),
    "passed on together": lambda x: tf.multiply(*tf.identity_n([x, tf.sin(x)])),
    "a gradient of its own": lambda x: doubled(x) * x,
}
# Of these not: one side may be repeated along the rows, and mostly is.
OPEN = {
    "chosen": lambda x: tf.where(x > 1, x, tf.sin(x))[:, :2] * x[:, 1:3],
    "the first row": lambda x: x * tf.sin(x[:1]),
    "the mean of all rows": lambda x: x / tf.reduce_mean(x, 0, keepdims=True),
    "a mean whose axes are computed": lambda x: x * tf.reduce_mean(x, tf.range(tf.rank(x))[:1], keepdims=True),
    "at most two rows": lambda x: x[:2] * tf.reduce_sum(x[:1]),
    "rows turned into positions": lambda x: tf.reshape(x, (1, -1, 6)) * tf.reshape(x, (-1, 4, 6))[:1, :1],
    "one of the positions as rows": lambda x: tf.transpose(x, [1, 0, 2])[:1] * tf.transpose(tf.sin(x), [1, 0, 2]),
    "rows that are doubled": lambda x: tf.concat([x, x], 0) * tf.sin(tf.concat([x, x], 0)),
    "products of matrices with the first": lambda x: x @ tf.linalg.matrix_transpose(x[:1]),
    "an einsum of two rows": lambda x: tf.einsum("bld,ckd->blk", x, x) * tf.reduce_sum(x),
}


def summed(function, x):
    value = function(x)
    return tf.reduce_sum(tf.square(value) + value)


@pytest.fixture(scope="module")
def compared():
    """For each case the gradients of the sum of its function by ours and by TensorFlow's tape, (ours, tape) for each number of
    rows; and the types of the operations of ours. All in one trace each."""
    cases = KNOWN | OPEN

    @tf.function(input_signature=[tf.TensorSpec((None, *SHAPE), tf.float64)], autograph=False)
    def ours(x):
        found = []
        for number, function in enumerate(cases.values()):
            with tf.name_scope(f"of_{number}"):
                own = tf.identity(x)  # of which a gradient finds this one's operations, and no others
                found.append(gradients(summed(function, own), [own], "there is no gradient")[0])
        return found

    @tf.function(input_signature=[tf.TensorSpec((None, *SHAPE), tf.float64)], autograph=False)
    def tape(x):
        found = []
        for function in cases.values():
            with tf.GradientTape() as recorded:
                recorded.watch(x)
                score = summed(function, x)
            found.append(recorded.gradient(score, x))
        return found

    pairs = [list(zip(ours(x), tape(x), strict=True)) for x in (numbers(count, *SHAPE) for count in (1, 3, 5))]
    kinds = [set() for _ in cases]
    for operation in ours.get_concrete_function().graph.get_operations():
        if operation.name.startswith("of_"):
            kinds[int(operation.name[3:].partition("/")[0])].add(operation.type)
    return dict(zip(cases, zip(zip(*pairs, strict=True), kinds, strict=True), strict=True))


@pytest.mark.parametrize("case", [*KNOWN, *OPEN])
def test_gradients_are_those_of_a_tape(case, compared):
    pairs, kinds = compared[case]
    for count, (ours, tape) in zip((1, 3, 5), pairs, strict=True):
        np.testing.assert_allclose(ours, tape, rtol=1e-11, atol=1e-12, err_msg=f"{count} rows")
        assert tape.shape == (count, *SHAPE)
    assert len(kinds) > 3
    if case in KNOWN:
        assert "BroadcastGradientArgs" not in kinds


OPEN_LENGTH = (
    lambda x: x * tf.sin(x[:, :1]) + tf.reduce_sum(x, 1, keepdims=True),
    lambda x: tf.reduce_sum(x, 0) * tf.sin(tf.reduce_sum(x, 1)),
    lambda x: tf.reduce_sum(tf.transpose(x, [1, 0, 2]), 1) * tf.sin(tf.reduce_sum(x, 1)),
    lambda x: tf.einsum("bld->ld", x) * tf.sin(tf.reduce_sum(x, 1)),
    lambda x: tf.reshape(x, (-1, 6)) * tf.sin(tf.reduce_sum(x, 1)),
    lambda x: x[0] * tf.sin(x[:, 0]),
)


def test_an_axis_of_open_length_is_not_taken_for_the_rows():
    @tf.function(input_signature=[tf.TensorSpec((None, None, 6), tf.float64)], autograph=False)
    def both(x):
        ours, tapes = [], []
        for function in OPEN_LENGTH:
            with tf.GradientTape() as recorded:
                recorded.watch(x)
                score = summed(function, x)
            tapes.append(recorded.gradient(score, x))
            own = tf.identity(x)
            ours.append(gradients(summed(function, own), [own], "there is no gradient")[0])
        return ours, tapes

    for shape in [(1, 1, 6), (3, 1, 6), (1, 3, 6)]:
        for number, (ours, tape) in enumerate(zip(*both(numbers(*shape)), strict=True)):
            np.testing.assert_allclose(ours, tape, rtol=1e-11, err_msg=str(number))


def test_rows_of_two_tensors_that_differ_are_not_taken_for_the_same():
    @tf.function(input_signature=[tf.TensorSpec((None, 6), tf.float64)] * 2, autograph=False)
    def ours(x, y):
        return gradients(tf.reduce_sum(x * tf.sin(y)), [x, y], "there is no gradient", rows=[x])

    x, y = numbers(3, 6), numbers(1, 6)
    found = ours(x, y)
    np.testing.assert_allclose(found[0], np.broadcast_to(np.sin(y), x.shape), rtol=1e-12)
    np.testing.assert_allclose(found[1], np.cos(y) * x.sum(0, keepdims=True), rtol=1e-12)


def test_nothing_is_left_behind_and_weights_have_no_gradient_made():
    weight = tf.Variable(numbers(6, 6))

    @tf.function(input_signature=[tf.TensorSpec((None, *SHAPE), tf.float64)], autograph=False)
    def slopes(x):
        return gradients(tf.reduce_sum(tf.tanh(tf.reshape(x, (-1, 6)) @ weight + weight[0])), [x], "there is no gradient")[0]

    operations = slopes.get_concrete_function().graph.get_operations()
    assert sum(operation.type == "MatMul" for operation in operations) == 2  # forward, and back to x alone
    assert not any(hasattr(operation, "skip_input_indices") or operation._gradient_function for operation in operations)


def test_an_operation_that_takes_what_was_made_after_it_has_its_gradient():
    @tf.function(input_signature=[tf.TensorSpec((None, 6), tf.float64)], autograph=False)
    def slopes(x):
        product = tf.sin(x) * tf.ones_like(x)
        fed_with(product.op, 1, tf.cos(x))
        return gradients(tf.reduce_sum(product), [x], "there is no gradient")[0]

    x = numbers(3, 6)
    np.testing.assert_allclose(slopes(x), np.cos(2 * x), rtol=1e-12)
