"""Masks and lengths of sequences are told from quantities by what is done with them, and stay as they are."""

import keras
import numpy as np
import pytest

import tf_attrib as ta

L, ops = keras.layers, keras.ops
STEPS = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
LENGTHS = np.int32([2, 5, 3])
THERE = np.arange(5) < LENGTHS[:, None]


def within(lengths):
    """(batch, 5) of truths, whether a step is within its length."""
    return ops.less(np.arange(5, dtype="float32"), ops.expand_dims(ops.cast(lengths, "float32"), 1))


def attention(steps, masked):
    scores = ops.matmul(L.Dense(4)(steps), ops.transpose(steps, (0, 2, 1)))
    return ops.mean(ops.matmul(ops.softmax(masked(scores), -1), steps), 1)


# how steps of a sequence are pooled where a float mask (batch, 5) says which are there
POOLED = {
    "mean": lambda steps, mask: ops.sum(steps * mask[..., None], 1) / ops.sum(mask, 1, keepdims=True),
    "largest": lambda steps, mask: ops.max(steps + (1 - mask[..., None]) * -1e9, 1),
    "attention": lambda steps, mask: attention(steps, lambda scores: scores - (1 - mask[:, None]) * 1e4),
    "logarithm": lambda steps, mask: attention(steps, lambda scores: scores + ops.log(mask[:, None] + 1e-9)),
}


def net(pooled, kind, name):
    """A sequence, and an input that says which of its steps are there."""
    keras.utils.set_random_seed(1)
    steps, said = keras.Input((5, 4), name="steps"), keras.Input((5,) if kind != "lengths" else (), dtype="int32", name=name)
    if kind not in ("lengths", "int32"):
        said = keras.Input((5,), dtype=kind, name=name)
    mask = ops.cast(within(said) if kind == "lengths" else said, "float32")
    pooled = POOLED[pooled](L.Dense(4, activation="tanh")(steps), mask)
    return keras.Model({"steps": steps, name: said}, L.Dense(3, activation="softmax")(3 * pooled))


@pytest.mark.parametrize(
    ("pooled", "kind", "name"),
    [
        ("mean", "bool", "there"),
        ("mean", "int32", "padding_mask"),
        ("mean", "lengths", "n"),
        ("largest", "bool", "there"),
        ("largest", "int32", "there"),
        ("largest", "float32", "there"),
        ("largest", "lengths", "n"),
        ("attention", "float32", "there"),
        ("attention", "lengths", "n"),
        ("logarithm", "bool", "there"),
        ("logarithm", "lengths", "n"),
    ],
)
def test_what_says_which_steps_are_there_stays_as_it_is(pooled, kind, name):
    """On the way to zeros it would take steps out, or all of them in: nothing is meant by half a mask."""
    model = net(pooled, kind, name)
    x = {"steps": STEPS, name: LENGTHS if kind == "lengths" else THERE.astype(kind)}
    result = ta.Attributor(model).attribute(x, 1)
    assert (result.place, result.left_out, result.attributions.shape) == ("inputs", (name,), STEPS.shape)
    assert f"LEFT OUT: '{name}'" in str(result).splitlines()[1]
    np.testing.assert_allclose(result.baseline_scores, np.asarray(model(x | {"steps": 0 * STEPS}))[:, 1], atol=1e-6)
    np.testing.assert_allclose(result.attributions.sum((1, 2)), result.difference, atol=0.01)
    assert (result.status == "converged").all()
    if pooled in ("mean", "largest"):
        np.testing.assert_array_equal(result.attributions[~THERE], 0)


def test_a_number_in_thousands_that_makes_a_softmax_is_no_mask():
    x = keras.Input((3,), name="x")
    result = ta.Attributor(keras.Model(x, L.Activation("softmax")(2000 * x + 1))).attribute(np.float32([[1e-3, 2e-3, 0]]), 1)
    assert result.left_out == ()


def test_a_threshold_of_a_table_is_a_category():
    """Over the column alone a gradient finds nothing: it is attributed to at the truth that the comparison comes to."""
    keras.utils.set_random_seed(0)
    age, income = keras.Input((1,), name="age"), keras.Input((1,), name="income")
    model = keras.Model(
        {"age": age, "income": income}, L.Dense(1)(L.Concatenate()([ops.cast(ops.greater(age, 30.0), "float32"), income]))
    )
    x = {"age": np.float32([[40], [20]]), "income": np.float32([[2], [3]])}
    result = ta.Attributor(model).attribute(x)
    kernel = model.layers[-1].kernel.numpy()[:, 0]
    np.testing.assert_allclose(result.by_column["age"].ravel(), [kernel[0], 0], atol=1e-6)
    np.testing.assert_allclose(result.by_column["income"].ravel(), kernel[1] * np.array([2, 3]), atol=1e-6)


def test_weights_of_steps_are_quantities():
    steps, weights = keras.Input((5, 4), name="steps"), keras.Input((5,), name="weights")
    model = keras.Model({"steps": steps, "weights": weights}, L.Dense(2)(ops.sum(steps * weights[..., None], 1)))
    result = ta.Attributor(model).attribute({"steps": STEPS, "weights": np.ones((3, 5), "float32")}, 1)
    assert (set(result.attributions), result.left_out) == ({"steps", "weights"}, ())
