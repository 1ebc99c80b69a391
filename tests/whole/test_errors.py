"""Bad input gets an error that says what must hold, what came and what works; and a refused call spoils nothing."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import tf_attrib as ta

from ..conftest import assert_refused

RNG = np.random.default_rng(3)
X = RNG.normal(size=(3, 4)).astype("float32")
IMAGES = np.ones((2, 6, 6, 1), "float32")


def with_value(value):
    changed = X.copy()
    changed[1, 2] = value
    return changed


# inputs

INPUTS = {
    "no batch axis": (X[0], ["float32 (batch, 4)", "float32 (4,)", "inputs[None]"]),
    "too wide": (np.ones((2, 5)), ["float32 (batch, 4)", "float64 (2, 5)"]),
    "an axis too many": (np.ones((2, 4, 1)), ["float32 (batch, 4)", "(2, 4, 1)"]),
    "a number": (1.0, ["float32 (batch, 4)", "float64 ()"]),
    "text": (np.array([["a"] * 4]), ["must be float32", "<U1"]),
    "complex": (X.astype("complex64"), ["must be float32", "complex64"]),
    "empty": (X[:0], ["the batch is empty", "at least one example"]),
    "NaN": (with_value(np.nan), ["NaN or infinity", "example(s) 1"]),
    "infinity": (with_value(np.inf), ["NaN or infinity", "example(s) 1"]),
    "ragged objects": (np.array([np.ones(4), np.ones(3)], object), ["ragged", "pad sequences"]),
    "ragged lists": ([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0]], ["ragged", "pad sequences"]),
    "a ragged tensor": (tf.ragged.constant([[1.0, 2.0], [1.0]]), ["ragged", "to_tensor"]),
    "a sparse tensor": (tf.sparse.from_dense(X), ["sparse", "to_dense"]),
    "nothing": (None, ["input"]),
    "an empty list": ([], ["no inputs"]),
    "a wrong key": ({"y": X}, ["'x' float32 (batch, 4)", "'y' float32 (3, 4)"]),
    "two for one": ([X, X], ["takes 1 input", "got 2"]),
    "a list of examples": (list(X), ["'x' float32 (batch, 4)", "got 3", "(4,)"]),
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_that_do_not_fit(attributor, name):
    inputs, expected = INPUTS[name]
    assert_refused(lambda: attributor.attribute(inputs), *expected)


def test_a_missing_channel_axis_is_named():
    model = keras.Sequential([keras.Input((6, 6, 1)), layers.Flatten(), layers.Dense(1)])
    assert_refused(lambda: ta.Attributor(model).attribute(IMAGES[..., 0]), "(batch, 6, 6, 1)", "(2, 6, 6)", "inputs[..., None]")


def test_a_column_without_its_feature_axis_is_told_how_to_gain_one():
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    assert_refused(lambda: ta.Attributor(model).attribute(np.ones(5)), "(batch, 1)", "(5,)", "inputs[:, None]")


def test_several_inputs_that_do_not_fit(pair):
    attributor = ta.Attributor(pair, of="kind")
    right = X[:, :2]
    assert_refused(lambda: attributor.attribute([X, right[:2]]), "different numbers of examples", "(3, 4)", "(2, 2)")
    assert_refused(lambda: attributor.attribute([X]), "takes 2 input", "'left'", "'right'", "got 1")
    assert_refused(lambda: attributor.attribute([right, X]), "must be float32 (batch, 4)", "(3, 2)")
    assert_refused(lambda: attributor.attribute({"left": X, "rihgt": right}), "'right' float32 (batch, 2)", "'rihgt'")
    assert_refused(lambda: attributor.attribute({"left": X, "right": right, "more": X}), "takes 2 input", "'more'")
    assert_refused(lambda: attributor.attribute([X, with_value(np.nan)[:, :2] * [1, np.nan]]), "input 1", "NaN", "0, 1, 2")


def test_token_ids_that_do_not_fit(words):
    attributor = ta.Attributor(words)
    assert_refused(lambda: attributor.attribute(np.full((2, 6), 1.5)), "must be int32", "fractions")
    assert_refused(lambda: attributor.attribute(np.full((2, 6), "word")), "must be int32", "<U4")


def test_token_ids_beyond_the_table(words):
    outside = np.ones((3, 6), int)
    outside[2, 1] = 25
    assert_refused(lambda: ta.Attributor(words).attribute(outside), "25", "20")


def test_a_baseline_token_beyond_the_table(words):
    assert_refused(lambda: ta.Attributor(words).attribute(np.ones((2, 6), int), baselines=ta.token(99)), "99", "20")


def test_inputs_of_a_function():
    assert_refused(lambda: ta.Attributor(tf.square).attribute(1.0), "a single number", "the batch")
    assert_refused(
        lambda: ta.Attributor(tf.strings.to_number, at="inputs").attribute(np.array(["1", "2"])), "'input' is string", "at="
    )
    assert_refused(lambda: ta.Attributor(lambda x: "text").attribute(X), "must return a tensor", "str")


def test_a_function_that_fails_on_its_inputs_is_shown_what_came():
    assert_refused(
        lambda: ta.Attributor(lambda x: x @ tf.ones((3, 1))).attribute(X), "could not be traced", "float32 (batch, 4)"
    )


def test_a_function_that_returns_no_batch():
    assert_refused(lambda: ta.Attributor(lambda x: tf.reduce_sum(x)).attribute(X), "(batch", "()")
    assert_refused(lambda: ta.Attributor(lambda x: tf.reduce_sum(x, 0)).attribute(X, target=0), "(batch", "(4,)")


# NaN and infinity on the way


def test_a_score_that_is_not_finite_names_the_example():
    attributor = ta.Attributor(lambda x: tf.math.log(x[:, 0]))
    assert_refused(lambda: attributor.attribute(np.array([[1.0], [-1.0], [2.0]], "float32")), "score", "NaN", "example(s) 1;")
    assert_refused(lambda: attributor.attribute(np.ones((2, 1), "float32")), "score at the baseline", "0, 1")


@pytest.mark.parametrize("method", ["gradient", "gradient_times_input", "interior_gradients", "integrated_gradients"])
def test_a_gradient_that_is_not_finite_names_the_example(method):
    root = ta.Attributor(lambda x: tf.sqrt(x[:, 0]) + x[:, 1])
    x = np.array([[1.0, 1.0], [0.0, 1.0], [4.0, 1.0]], "float32")
    assert_refused(lambda: root.attribute(x, method=method), "gradient", "infinite", "example(s) 1;")


@pytest.mark.parametrize("method", ["gradient", "integrated_gradients"])
def test_a_gradient_that_is_not_a_number_beneath_a_finite_score(method):
    @tf.custom_gradient
    def spoiled(x):
        return x, lambda upstream: tf.where(x < 0, np.nan, upstream)

    x = np.array([[1.0], [2.0], [-1.0]], "float32")
    assert_refused(
        lambda: ta.Attributor(lambda x: spoiled(x)[:, 0]).attribute(x, method=method), "gradient", "NaN", "example(s) 2;"
    )


def test_an_infinite_gradient_at_the_baseline():
    root = ta.Attributor(lambda x: tf.sqrt(x[:, 0]))
    left = ta.IntegratedGradients(rule="left", n_steps=4)
    assert_refused(lambda: root.attribute(np.ones((1, 1), "float32"), method=left), "gradient", "infinite", "example(s) 0;")


# targets

TARGETS = {
    "too high": (3, ["target 3", "example 0", "from 0 to 2"]),
    "negative": (-1, ["target -1", "from 0 to 2"]),
    "one too high": ([0, 5, 1], ["target 5 of example 1", "from 0 to 2"]),
    "huge": (10**30, ["from 0 to 2"]),
    "a wrong number": ([0, 1], ["shape (2,)", "3 examples", "one for each example"]),
    "a pair": ((0, 1), ["shape (2,)", "3 examples"]),
    "a table": (np.zeros((3, 2), int), ["shape (3, 2)"]),
    "fractional": (1.0, ["whole numbers", "float64"]),
    "a truth value": (True, ["whole numbers", "bool"]),
    "a word": ("cat", ["whole numbers"]),
    "ragged": ([[0], [1, 2], [0]], ["from 0 to 2"]),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets_that_do_not_fit(attributor, name):
    target, expected = TARGETS[name]
    assert_refused(lambda: attributor.attribute(X, target=target), *expected)


def test_a_target_that_is_needed():
    raw = ta.Attributor(lambda x: x @ tf.ones((4, 3)))
    assert_refused(lambda: raw.attribute(X), "3 units", "no head of classes", "target=0")


def test_a_target_that_has_no_meaning(attributor):
    assert_refused(
        lambda: ta.Attributor(lambda x: tf.reduce_sum(x, 1)).attribute(X, target=1), "one number", "leave target out"
    )
    scored = ta.Attributor(attributor.model, of=ta.score(lambda outputs: outputs[:, 0]))
    assert_refused(lambda: scored.attribute(X, target=2), "one number", "leave target out")


def test_targets_of_a_sequence():
    sequence = ta.Attributor(lambda x: tf.nn.softmax(x))
    x = RNG.normal(size=(2, 5, 3)).astype("float32")
    assert_refused(lambda: sequence.attribute(x), "(5, 3)", "(position, class)", "target=(0, 0)")
    assert_refused(lambda: sequence.attribute(x, target=1), "(position, class)", "(batch, 2)")
    assert_refused(lambda: sequence.attribute(x, target=(5, 0)), "target 5", "(5, 3)")
    assert_refused(lambda: sequence.attribute(x, target=[(0, 0), (4, 3)]), "target 3 of example 1", "(5, 3)")
    assert_refused(lambda: sequence.attribute(x, target=np.zeros((3, 2), int)), "shape (3, 2)", "2 examples")
    assert sequence.attribute(x, target=(4, 2), method="gradient").target.tolist() == [[4, 2], [4, 2]]
    assert sequence.attribute(x, target=[(0, 1), (4, 2)], method="gradient").target.tolist() == [[0, 1], [4, 2]]


# names


def test_layers_and_embeddings_that_do_not_exist(table, words):
    assert_refused(lambda: ta.Attributor(table, at="hiden").attribute(X), "'hiden'", "'hidden' (None, 5)", "'head' (None, 3)")
    assert_refused(lambda: ta.Attributor(table, at=ta.layer(layers.Dense(2, name="other"))).attribute(X), "'other'", "'hidden'")
    assert_refused(
        lambda: ta.Attributor(words, at=ta.embeddings("wrds")).attribute(np.ones((1, 6))), "'wrds'", "'words' (None, 6, 4)"
    )


def test_outputs_and_inputs_that_do_not_exist(pair):
    right = X[:, :2]
    assert_refused(lambda: ta.Attributor(pair, of="knd"), "'knd'", "'kind'", "(None, 2)")
    assert_refused(lambda: ta.Attributor(pair, of=ta.logits("knd")), "'knd'", "'kind'", "(None, 2)")
    assert_refused(lambda: ta.Attributor(pair, at=ta.inputs("lft"), of="kind").attribute([X, right]), "'lft'", "'left'", "4)")


def test_no_embedding_at_all(table):
    assert_refused(
        lambda: ta.Attributor(table, at="embeddings").attribute(X), "no embedding lookup", "ta.layer(name)", "'hidden'"
    )


def test_what_the_output_does_not_depend_on(table, pair):
    right = X[:, :2]
    aside = ta.Attributor(pair, at="aside", of="kind")
    assert_refused(lambda: aside.attribute([X, right]), "does not depend on layer 'aside'", "'both'")
    named = ta.Attributor(pair, at=ta.inputs("right"), of="size")
    assert_refused(lambda: named.attribute([X, right]), "does not depend on input 'right'", "ta.inputs")
    unused = ta.Attributor(pair, of="size").attribute([X, right])
    assert np.all(unused.attributions[1] == 0)
    assert any("'right'" in note for note in unused.notes)
    assert_refused(
        lambda: ta.Attributor(table, at="head", of="logits").attribute(X), "does not depend on layer 'head'", "'hidden'"
    )


def test_integers_have_no_gradient(words):
    inputs = ta.Attributor(words, at="inputs")
    assert_refused(lambda: inputs.attribute(np.ones((1, 6))), "'tokens' is int32", "no gradient", "embeddings")

    class Rounded(layers.Layer):
        def call(self, x):
            return ops.cast(x, "int32")

    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(4, name="before"),
            Rounded(name="rounded"),
            layers.Embedding(9, 2),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    assert_refused(lambda: ta.Attributor(model, at="rounded").attribute(X), "'rounded' is int32", "no gradient")
    whole = ta.Attributor(lambda x: tf.one_hot(x, 3)[:, 0], at="inputs")
    assert_refused(lambda: whole.attribute(np.ones((2, 1), int), target=0), "int64", "no gradient")


def test_float_token_ids_have_no_gradient():
    tokens = keras.Input((6,), name="tokens")
    model = keras.Model(tokens, layers.Dense(1)(layers.Flatten()(layers.Embedding(20, 4)(tokens))))
    assert_refused(
        lambda: ta.Attributor(model, at="inputs").attribute(np.ones((1, 6))), "no gradient at inputs", "token ids", "embeddings"
    )


def test_a_score_without_a_gradient():
    counted = ta.Attributor(lambda x: x, of=ta.score(lambda outputs: tf.argmax(outputs, 1)))
    assert_refused(lambda: counted.attribute(X), "no gradient")


# the model


def test_models_that_cannot_be_explained(monkeypatch, table):
    assert_refused(
        lambda: ta.Attributor(keras.Sequential([layers.Dense(2)], name="bare")), "'bare'", "never built", "call it once"
    )
    assert_refused(lambda: ta.Attributor(5), "Keras model", "int")
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    assert_refused(lambda: ta.Attributor(table), "'jax'", "KERAS_BACKEND=tensorflow")


def test_several_outputs_need_of(pair):
    assert_refused(lambda: ta.Attributor(pair), "2 outputs", "of='kind'", "'kind' (None, 2)", "'size' (None, 1)")


def test_several_outputs_need_a_name_for_logits(pair):
    assert_refused(lambda: ta.Attributor(pair, of="logits"), "2 outputs", "ta.logits('kind')")


def test_a_head_that_is_not_there(pair):
    for of in (ta.logits("size"), ta.probability("size")):
        assert_refused(
            lambda of=of: ta.Attributor(pair, of=of), "'size'", "no softmax or sigmoid", "ta.output('size')", "ta.score"
        )
    assert_refused(lambda: ta.Attributor(tf.square, of="logits").attribute(X), "no softmax or sigmoid")


SCORES = {
    "a score for each class": lambda outputs: outputs,
    "one score for all": lambda outputs: tf.reduce_sum(outputs),
    "a sum over examples": lambda outputs: tf.reduce_sum(outputs, 0),
}


@pytest.mark.parametrize("name", SCORES)
def test_a_score_of_the_wrong_shape(table, name):
    assert_refused(lambda: ta.Attributor(table, of=ta.score(SCORES[name])).attribute(X), "ta.score", "shape (batch")


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"batch_size": -3}, {"batch_size": 2.5}, {"batch_size": "8"}])
def test_block_sizes(table, options):
    assert_refused(lambda: ta.Attributor(table, **options), "batch_size", "at least 1", repr(options["batch_size"]))


def test_specifications_of_the_wrong_kind(table):
    assert_refused(lambda: ta.Attributor(table, at=3), "at must be", "'embeddings'", "3")
    assert_refused(lambda: ta.Attributor(table, at=ta.probability()), "at must be", "ta.layer()")
    assert_refused(lambda: ta.Attributor(table, of=lambda outputs: outputs), "of must be", "ta.score(function)")
