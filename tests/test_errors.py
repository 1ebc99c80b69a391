"""Bad input gets an error that says what must hold, what came and what works; and a refused call spoils nothing."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import tf_attrib as ta

RNG = np.random.default_rng(3)
X = RNG.normal(size=(3, 4)).astype("float32")
IMAGES = np.ones((2, 6, 6, 1), "float32")


def refused(call, *words):
    """`call` raises AttributionError, and its text holds every one of `words`."""
    with pytest.raises(ta.AttributionError) as raised:
        call()
    for word in words:
        assert word in str(raised.value)
    assert "\x1b" not in str(raised.value)


@pytest.fixture(scope="module")
def table():
    return keras.Sequential([keras.Input((4,), name="x"), layers.Dense(5, activation="tanh", name="hidden"),
                             layers.Dense(3, activation="softmax", name="head")], name="table")


@pytest.fixture(scope="module")
def attributor(table):
    return ta.Attributor(table)


@pytest.fixture(scope="module")
def words():
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    hidden = layers.Flatten(name="flat")(layers.Embedding(20, 4, name="words")(tokens))
    return keras.Model(tokens, layers.Dense(2, activation="softmax", name="head")(hidden))


@pytest.fixture(scope="module")
def pair():
    left, right = keras.Input((4,), name="left"), keras.Input((2,), name="right")
    one = layers.Dense(2, activation="softmax", name="kind")(layers.Concatenate(name="both")([left, right]))
    return keras.Model([left, right], [one, layers.Dense(1, name="size")(layers.Dense(3, name="aside")(left))])


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
    refused(lambda: attributor.attribute(inputs), *expected)


def test_a_missing_channel_axis_is_named():
    model = keras.Sequential([keras.Input((6, 6, 1)), layers.Flatten(), layers.Dense(1)])
    refused(lambda: ta.Attributor(model).attribute(IMAGES[..., 0]), "(batch, 6, 6, 1)", "(2, 6, 6)", "inputs[..., None]")


def test_a_column_without_its_feature_axis_is_told_how_to_gain_one():
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    refused(lambda: ta.Attributor(model).attribute(np.ones(5)), "(batch, 1)", "(5,)", "inputs[:, None]")


def test_several_inputs_that_do_not_fit(pair):
    attributor = ta.Attributor(pair, of="kind")
    right = X[:, :2]
    refused(lambda: attributor.attribute([X, right[:2]]), "different numbers of examples", "(3, 4)", "(2, 2)")
    refused(lambda: attributor.attribute([X]), "takes 2 input", "'left'", "'right'", "got 1")
    refused(lambda: attributor.attribute([right, X]), "must be float32 (batch, 4)", "(3, 2)")
    refused(lambda: attributor.attribute({"left": X, "rihgt": right}), "'right' float32 (batch, 2)", "'rihgt'")
    refused(lambda: attributor.attribute({"left": X, "right": right, "more": X}), "takes 2 input", "'more'")
    refused(lambda: attributor.attribute([X, with_value(np.nan)[:, :2] * [1, np.nan]]), "input 1", "NaN", "0, 1, 2")


def test_token_ids_that_do_not_fit(words):
    attributor = ta.Attributor(words)
    refused(lambda: attributor.attribute(np.full((2, 6), 1.5)), "must be int32", "fractions")
    refused(lambda: attributor.attribute(np.full((2, 6), "word")), "must be int32", "<U4")


def test_token_ids_beyond_the_table(words):
    outside = np.ones((3, 6), int)
    outside[2, 1] = 25
    refused(lambda: ta.Attributor(words).attribute(outside), "25", "20")


def test_a_baseline_token_beyond_the_table(words):
    refused(lambda: ta.Attributor(words).attribute(np.ones((2, 6), int), baselines=ta.token(99)), "99", "20")


def test_inputs_of_a_function():
    refused(lambda: ta.Attributor(tf.square).attribute(1.0), "a single number", "the batch")
    refused(lambda: ta.Attributor(tf.strings.to_number).attribute(np.array(["1", "2"])), "'input' (string)", "not float")
    refused(lambda: ta.Attributor(lambda x: "text").attribute(X), "must return a tensor", "str")


def test_a_function_that_fails_on_its_inputs_is_shown_what_came():
    refused(lambda: ta.Attributor(lambda x: x @ tf.ones((3, 1))).attribute(X), "could not be traced", "float32 (batch, 4)")


def test_a_function_that_returns_no_batch():
    refused(lambda: ta.Attributor(lambda x: tf.reduce_sum(x)).attribute(X), "(batch", "()")
    refused(lambda: ta.Attributor(lambda x: tf.reduce_sum(x, 0)).attribute(X, target=0), "(batch", "(4,)")


# NaN and infinity on the way

def test_a_score_that_is_not_finite_names_the_example():
    attributor = ta.Attributor(lambda x: tf.math.log(x[:, 0]))
    refused(lambda: attributor.attribute(np.array([[1.0], [-1.0], [2.0]], "float32")), "score", "NaN", "example(s) 1;")
    refused(lambda: attributor.attribute(np.ones((2, 1), "float32")), "score at the baseline", "0, 1")


@pytest.mark.parametrize("method", ["gradient", "gradient_times_input", "interior_gradients", "integrated_gradients"])
def test_a_gradient_that_is_not_finite_names_the_example(method):
    root = ta.Attributor(lambda x: tf.sqrt(x[:, 0]) + x[:, 1])
    x = np.array([[1.0, 1.0], [0.0, 1.0], [4.0, 1.0]], "float32")
    refused(lambda: root.attribute(x, method=method), "gradient", "infinite", "example(s) 1;")


@pytest.mark.parametrize("method", ["gradient", "integrated_gradients"])
def test_a_gradient_that_is_not_a_number_beneath_a_finite_score(method):
    @tf.custom_gradient
    def spoiled(x):
        return x, lambda upstream: tf.where(x < 0, np.nan, upstream)
    x = np.array([[1.0], [2.0], [-1.0]], "float32")
    refused(lambda: ta.Attributor(lambda x: spoiled(x)[:, 0]).attribute(x, method=method), "gradient", "NaN", "example(s) 2;")


def test_an_infinite_gradient_at_the_baseline():
    root = ta.Attributor(lambda x: tf.sqrt(x[:, 0]))
    left = ta.IntegratedGradients("left", 4)
    refused(lambda: root.attribute(np.ones((1, 1), "float32"), method=left), "gradient", "infinite", "example(s) 0;")


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
    refused(lambda: attributor.attribute(X, target=target), *expected)


def test_a_target_that_is_needed():
    raw = ta.Attributor(lambda x: x @ tf.ones((4, 3)))
    refused(lambda: raw.attribute(X), "3 units", "no head of classes", "target=0")


def test_a_target_that_has_no_meaning(attributor):
    refused(lambda: ta.Attributor(lambda x: tf.reduce_sum(x, 1)).attribute(X, target=1), "one number", "leave target out")
    scored = ta.Attributor(attributor.model, of=ta.score(lambda outputs: outputs[:, 0]))
    refused(lambda: scored.attribute(X, target=2), "one number", "leave target out")


def test_targets_of_a_sequence():
    sequence = ta.Attributor(lambda x: tf.nn.softmax(x))
    x = RNG.normal(size=(2, 5, 3)).astype("float32")
    refused(lambda: sequence.attribute(x), "(5, 3)", "(position, class)", "target=(0, 0)")
    refused(lambda: sequence.attribute(x, target=1), "(position, class)", "(batch, 2)")
    refused(lambda: sequence.attribute(x, target=(5, 0)), "target 5", "(5, 3)")
    refused(lambda: sequence.attribute(x, target=[(0, 0), (4, 3)]), "target 3 of example 1", "(5, 3)")
    refused(lambda: sequence.attribute(x, target=np.zeros((3, 2), int)), "shape (3, 2)", "2 examples")
    assert sequence.attribute(x, target=(4, 2), method="gradient").target.tolist() == [[4, 2], [4, 2]]
    assert sequence.attribute(x, target=[(0, 1), (4, 2)], method="gradient").target.tolist() == [[0, 1], [4, 2]]


# names

def test_layers_and_embeddings_that_do_not_exist(table, words):
    refused(lambda: ta.Attributor(table, at="hiden").attribute(X), "'hiden'", "'hidden' (None, 5)", "'head' (None, 3)")
    refused(lambda: ta.Attributor(table, at=ta.layer(layers.Dense(2, name="other"))).attribute(X), "'other'", "'hidden'")
    refused(lambda: ta.Attributor(words, at=ta.embeddings("wrds")).attribute(np.ones((1, 6))), "'wrds'", "'words' (None, 6, 4)")


def test_outputs_and_inputs_that_do_not_exist(pair):
    right = X[:, :2]
    refused(lambda: ta.Attributor(pair, of="knd"), "'knd'", "'kind'", "(None, 2)")
    refused(lambda: ta.Attributor(pair, of=ta.logits("knd")), "'knd'", "'kind'", "(None, 2)")
    refused(lambda: ta.Attributor(pair, at=ta.inputs("lft"), of="kind").attribute([X, right]), "'lft'", "'left'", "4)")


def test_no_embedding_at_all(table):
    refused(lambda: ta.Attributor(table, at="embeddings").attribute(X), "no embedding lookup", "ta.layer(name)", "'hidden'")


def test_what_the_output_does_not_depend_on(table, pair):
    right = X[:, :2]
    aside = ta.Attributor(pair, at="aside", of="kind")
    refused(lambda: aside.attribute([X, right]), "does not depend on layer 'aside'", "'both'")
    named = ta.Attributor(pair, at=ta.inputs("right"), of="size")
    refused(lambda: named.attribute([X, right]), "does not depend on input 'right'", "ta.inputs")
    unused = ta.Attributor(pair, of="size").attribute([X, right])
    assert np.all(unused.attributions[1] == 0)
    assert any("'right'" in note for note in unused.notes)
    refused(lambda: ta.Attributor(table, at="head", of="logits").attribute(X), "does not depend on layer 'head'", "'hidden'")


def test_integers_have_no_gradient(words):
    inputs = ta.Attributor(words, at="inputs")
    refused(lambda: inputs.attribute(np.ones((1, 6))), "'tokens' is int32", "no gradient", "embeddings")

    class Rounded(layers.Layer):
        def call(self, x):
            return ops.cast(x, "int32")
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="before"), Rounded(name="rounded"),
                              layers.Embedding(9, 2), layers.Flatten(), layers.Dense(1)])
    refused(lambda: ta.Attributor(model, at="rounded").attribute(X), "'rounded' is int32", "no gradient")
    whole = ta.Attributor(lambda x: tf.one_hot(x, 3)[:, 0])
    refused(lambda: whole.attribute(np.ones((2, 1), int), target=0), "int64", "not float")


def test_float_token_ids_have_no_gradient():
    tokens = keras.Input((6,), name="tokens")
    model = keras.Model(tokens, layers.Dense(1)(layers.Flatten()(layers.Embedding(20, 4)(tokens))))
    refused(lambda: ta.Attributor(model, at="inputs").attribute(np.ones((1, 6))),
            "no gradient at inputs", "token ids", "embeddings")


def test_a_score_without_a_gradient():
    counted = ta.Attributor(lambda x: x, of=ta.score(lambda outputs: tf.argmax(outputs, 1)))
    refused(lambda: counted.attribute(X), "no gradient")


# the model

def test_models_that_cannot_be_explained(monkeypatch, table):
    refused(lambda: ta.Attributor(keras.Sequential([layers.Dense(2)], name="bare")), "'bare'", "never built", "call it once")
    refused(lambda: ta.Attributor(5), "Keras model", "int")
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    refused(lambda: ta.Attributor(table), "'jax'", "KERAS_BACKEND=tensorflow")


def test_several_outputs_need_of(pair):
    refused(lambda: ta.Attributor(pair), "2 outputs", "of='kind'", "'kind' (None, 2)", "'size' (None, 1)")


def test_several_outputs_need_a_name_for_logits(pair):
    refused(lambda: ta.Attributor(pair, of="logits"), "2 outputs", "ta.logits('kind')")


def test_a_head_that_is_not_there(pair):
    for of in (ta.logits("size"), ta.probability("size")):
        refused(lambda of=of: ta.Attributor(pair, of=of), "'size'", "no softmax or sigmoid", "ta.output('size')", "ta.score")
    refused(lambda: ta.Attributor(tf.square, of="logits").attribute(X), "no softmax or sigmoid")


SCORES = {"a score for each class": lambda outputs: outputs, "one score for all": lambda outputs: tf.reduce_sum(outputs),
          "a sum over examples": lambda outputs: tf.reduce_sum(outputs, 0)}


@pytest.mark.parametrize("name", SCORES)
def test_a_score_of_the_wrong_shape(table, name):
    refused(lambda: ta.Attributor(table, of=ta.score(SCORES[name])).attribute(X), "ta.score", "shape (batch")


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"batch_size": -3}, {"batch_size": 2.5}, {"batch_size": "8"}])
def test_block_sizes(table, options):
    refused(lambda: ta.Attributor(table, **options), "batch_size", "at least 1", repr(options["batch_size"]))


def test_specifications_of_the_wrong_kind(table):
    refused(lambda: ta.Attributor(table, at=3), "at must be", "'embeddings'", "3")
    refused(lambda: ta.Attributor(table, at=ta.probability()), "at must be", "ta.layer()")
    refused(lambda: ta.Attributor(table, of=lambda outputs: outputs), "of must be", "ta.score(function)")


# methods

def test_methods_and_rules_that_do_not_exist(attributor):
    refused(lambda: attributor.attribute(X, method="integrated_gradient"), "'integrated_gradient'", "'integrated_gradients'")
    refused(lambda: attributor.attribute(X, method=None), "None", "'gradient'")
    refused(lambda: attributor.attribute(X, method=ta.IntegratedGradients("trapez")), "'trapez'", "'trapezoid'")
    for n in (0, -1, 2.5, True):
        refused(lambda n=n: attributor.attribute(X, method=ta.IntegratedGradients(n_steps=n)), "n_steps", str(n))
    refused(lambda: attributor.attribute(X, method=ta.InteriorGradients(0)), "n_steps", "at least 1")


def test_seeds_that_are_none(attributor):
    refused(lambda: attributor.attribute(X, baselines=ta.uniform(2, 0, 1), seed=-1), "seed", "-1")


def test_expected_gradients_want_data(attributor):
    refused(lambda: attributor.attribute(X, method="expected_gradients"), "references", "baselines=ta.dataset(samples)")
    refused(lambda: attributor.attribute(X, None, ta.dataset(X), ta.ExpectedGradients(0)), "n_samples", "at least 1")


WINDOWS = {"too large": ((7, 2), ["(7, 2)", "larger", "(6, 6)"]), "of nothing": (0, ["window", "at least 1"]),
           "too many": ((1, 1, 1), ["window", "(1, 1, 1)"]), "fractional": (2.5, ["window", "2.5"])}


@pytest.mark.parametrize("name", WINDOWS)
def test_windows(name):
    window, expected = WINDOWS[name]
    total = ta.Attributor(lambda x: tf.reduce_sum(x, [1, 2, 3]))
    refused(lambda: total.attribute(IMAGES, method=ta.Occlusion(window)), *expected)


def test_strides():
    total = ta.Attributor(lambda x: tf.reduce_sum(x, [1, 2, 3]))
    refused(lambda: total.attribute(IMAGES, method=ta.Occlusion(2, 0)), "stride", "at least 1")
    # features between the windows would have no attribution
    refused(lambda: total.attribute(IMAGES, method=ta.Occlusion(1, 4)), "stride", "window")


def test_occlusion_of_several_tensors():
    product = ta.Attributor(lambda x: tf.reduce_sum(x["a"] * x["b"], 1))
    refused(lambda: product.attribute({"a": X, "b": X}, method="occlusion"), "one tensor", "'a'", "at=ta.inputs(name)")


# baselines

BASELINES = {
    "another size": (np.ones(5), ["(4,)", "(5,)"]),
    "another size for each": (np.ones((3, 5)), ["(4,)", "(3, 4)", "(3, 5)"]),
    "another number": (np.ones((2, 4)), ["(4,)", "(3, 4)", "(2, 4)"]),
    "text": (np.array(["a"] * 4), ["(4,)", "<U1"]),
    "a number": (0.5, ["(4,)", "ta.constant"]),
    "a name": ("zeros", ["ta.zeros()"]),
    "a function": (ta.zeros, ["ta.zeros()"]),
    "a constant of another size": (ta.constant(np.ones(7)), ["(4,)", "(7,)"]),
    "a dict": ({"x": X}, ["a dict", "one selected tensor"]),
    "an empty list": ([], ["empty"]),
    "NaN": (np.full(4, np.nan), ["NaN or infinity"]),
    "infinity": (ta.constant(np.inf), ["NaN or infinity", "constant inf"]),
    "NaN at the input": (ta.at_input(np.full(4, np.nan)), ["NaN or infinity"]),
    "samples of another size": (ta.dataset(np.ones((6, 5))), ["(k, 4)", "(6, 5)"]),
    "samples of other inputs": (ta.dataset({"a": X, "b": X}), ["'a'", "'b'"]),
    "tokens of a float model": (ta.token(1), ["integer inputs", "float32"]),
}


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_that_do_not_fit(attributor, name):
    baselines, expected = BASELINES[name]
    refused(lambda: attributor.attribute(X, baselines=baselines), *expected)


def test_baselines_of_a_wrong_kind():
    refused(lambda: ta.dataset(X, n=4), "from 1 to 3", "4")
    refused(lambda: ta.uniform(0, 0, 1), "n must be", "0")
    refused(lambda: ta.gaussian(1.5, 1), "n must be", "1.5")
    refused(lambda: ta.black((1, 0)), "low < high", "(1, 0)")


def test_no_samples_at_all(attributor):
    refused(lambda: attributor.attribute(X, baselines=ta.dataset(X[:0])), "sample")
    refused(lambda: attributor.attribute(X, baselines=ta.several(X[:0])), "baselines")


def test_a_black_sentence_is_refused(words):
    """A level of brightness has no meaning for token ids; the input itself is no baseline."""
    refused(lambda: ta.Attributor(words).attribute(np.ones((1, 6)), baselines=ta.black((0, 1))), "black", "int32")


def test_baselines_of_several_tensors():
    product = ta.Attributor(lambda x: tf.reduce_sum(x["a"] * x["b"], 1))
    inputs = {"a": X, "b": X}
    refused(lambda: product.attribute(inputs, baselines=X[0]), "2 selected tensors", "'a'", "'b'")
    refused(lambda: product.attribute(inputs, baselines={"c": X[0]}), "'c'", "'a'", "'b'")
    refused(lambda: product.attribute(inputs, baselines=[X[0]]), "[0]", "'a'", "ta.several")
    two, three = ta.several(X[:2]), ta.several(X)
    refused(lambda: product.attribute(inputs, baselines={"a": two, "b": three}), "2 and 3 baselines", "same number")


def test_baselines_that_a_method_has_no_use_for(attributor):
    for method in ("gradient", "gradient_times_input"):
        refused(lambda method=method: attributor.attribute(X, None, X, method), "no baseline", "integrated_gradients")
    refused(lambda: attributor.attribute(X, baselines=[X[0], X[1]], method="interior_gradients"), "one path", "2 baselines")


def test_a_value_and_baselines_are_not_given_together(attributor):
    refused(lambda: attributor.attribute(X, baselines=X[0], method=ta.Occlusion(value=9.0)), "value", "baselines")


# afterwards

def test_a_refused_call_spoils_nothing(table):
    attributor = ta.Attributor(table)
    before = attributor.attribute(X, target=1).attributions
    bad = ({"inputs": X[:, :2]}, {"inputs": with_value(np.nan)}, {"target": 9}, {"baselines": np.ones(5)}, {"method": "none"})
    for options in bad:
        refused(lambda options=options: attributor.attribute(**{"inputs": X, **options}))
    np.testing.assert_array_equal(attributor.attribute(X, target=1).attributions, before)
