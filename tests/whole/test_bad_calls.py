"""Calls that a user gets wrong: inputs, targets, names and options of an attributor. One clear error each."""

import keras
import numpy as np
import pandas as pd
import scipy.sparse
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ..helpers.bad_calls import IDS, IMAGES, PIXELS, X, cases, refuses


def spoiled(value):
    found = X.copy()
    found[1, 2] = value
    return found


def masked():
    return np.ma.masked_array(X, X > 1)


def dataset():
    return tf.data.Dataset.from_tensor_slices(X).batch(2)


def centred(outputs):
    return outputs[:, 0] - tf.reduce_mean(outputs[:, 0])


def weighed(outputs):
    return tf.reduce_sum(outputs * X[:, :3], 1)


class Distribution:
    """As a layer of TensorFlow Probability returns one."""

    def log_prob(self, value):
        return -tf.square(value)


def in_a_graph(call):
    with tf.Graph().as_default():
        return call()


INPUTS = [
    ("nothing", lambda kit: kit.table.attribute(None), ["no inputs were given", "arrays"]),
    ("an empty list", lambda kit: kit.table.attribute([]), ["no inputs were given"]),
    ("an empty dict", lambda kit: kit.table.attribute({}), ["no inputs were given"]),
    ("an empty batch", lambda kit: kit.table.attribute(X[:0]), ["the batch is empty", "at least one"]),
    ("a number", lambda kit: kit.table.attribute(1.0), ["float32 (batch, 4)", "()"]),
    ("a word", lambda kit: kit.table.attribute("photo.jpg"), ["float32 (batch, 4)", "<U9 ()"]),
    ("a path", lambda kit: kit.image.attribute(kit.folder), ["input", "Path"]),
    ("no batch axis", lambda kit: kit.table.attribute(X[0]), ["float32 (batch, 4)", "(4,)", "inputs[None]"]),
    ("too wide", lambda kit: kit.table.attribute(np.ones((2, 5))), ["float32 (batch, 4)", "(2, 5)"]),
    ("an axis too many", lambda kit: kit.table.attribute(X[..., None]), ["float32 (batch, 4)", "(3, 4, 1)"]),
    ("no channel axis", lambda kit: kit.image.attribute(IMAGES[..., 0]), ["(batch, 6, 6, 1)", "inputs[..., None]"]),
    ("channels first", lambda kit: kit.image.attribute(np.moveaxis(IMAGES, -1, 1)), ["(batch, 6, 6, 1)", "(2, 1, 6, 6)"]),
    ("a photo's size", lambda kit: kit.image.attribute(np.ones((1, 8, 8, 1))), ["(batch, 6, 6, 1)", "(1, 8, 8, 1)"]),
    ("no features", lambda kit: kit.single.attribute(X[:, :0]), ["(3, 0)", "no features"]),
    ("words for numbers", lambda kit: kit.table.attribute(np.full((2, 4), "a")), ["must be float32", "<U1"]),
    ("complex for real", lambda kit: kit.table.attribute(X.astype("complex64")), ["must be float32", "complex64"]),
    (
        "complex for a function",
        lambda kit: ta.Attributor(lambda z: tf.abs(z)[:, 0]).attribute(X.astype("complex64")),
        ["input is complex64", "real numbers", "tf.complex"],
    ),
    (
        "dates",
        lambda kit: kit.table.attribute(np.full((2, 4), "2020-01-01", "datetime64[D]")),
        ["must be float32", "datetime64"],
    ),
    ("NaN", lambda kit: kit.table.attribute(spoiled(np.nan)), ["NaN or infinity", "example(s) 1"]),
    ("infinity", lambda kit: kit.table.attribute(spoiled(np.inf)), ["NaN or infinity", "example(s) 1"]),
    ("beyond float32", lambda kit: kit.table.attribute(spoiled(0).astype("float64") + 1e300), ["beyond the range of float32"]),
    ("beyond uint8", lambda kit: kit.quantity.attribute(PIXELS.astype(int) + 999), ["beyond the range of uint8"]),
    ("pixels scaled already", lambda kit: kit.quantity.attribute(PIXELS / 255.0), ["must be uint8", "fractions"]),
    ("ragged lists", lambda kit: kit.table.attribute([[1.0, 2.0, 3.0, 4.0], [1.0]]), ["ragged", "equal rows", "pad"]),
    ("ragged arrays", lambda kit: kit.table.attribute(np.array([np.ones(4), np.ones(3)], object)), ["ragged", "pad"]),
    ("a ragged tensor", lambda kit: kit.table.attribute(tf.ragged.constant([[1.0, 2.0], [1.0]])), ["ragged", "to_tensor"]),
    ("a sparse tensor", lambda kit: kit.table.attribute(tf.sparse.from_dense(X)), ["sparse", "tf.sparse.to_dense(x)"]),
    ("a sparse matrix", lambda kit: kit.table.attribute(scipy.sparse.csr_matrix(X)), ["input", "sparse", "x.toarray()"]),
    ("a masked array", lambda kit: kit.table.attribute(masked()), ["masked", "x.filled(0)"]),
    ("a frame with gaps", lambda kit: kit.table.attribute(pd.DataFrame({name: [1.0, None] for name in "abcd"})), ["NaN"]),
    ("values that are missing", lambda kit: kit.table.attribute([[1.0, None, 2.0, 3.0]]), ["a value is missing"]),
    (
        "a frame with text",
        lambda kit: kit.table.attribute(pd.DataFrame({name: ["x", "y"] for name in "abcd"})),
        ["'a'", "text"],
    ),
    ("objects", lambda kit: kit.table.attribute([object(), object()]), ["input 0", "object"]),
    ("a dataset without end", lambda kit: kit.table.attribute(dataset().repeat()), ["never ends", "dataset.take("]),
    ("an empty dataset", lambda kit: kit.table.attribute(dataset().take(0)), ["data set of inputs is empty"]),
    ("a dataset in a list", lambda kit: kit.table.attribute([dataset()]), ["must be arrays", "Dataset", "next(iter("]),
    ("a generator", lambda kit: kit.table.attribute(x for x in X), ["must be arrays", "generator", "next(iter("]),
    ("an iterator", lambda kit: kit.table.attribute(iter([X])), ["must be arrays", "list_iterator", "next(iter("]),
    ("a function", lambda kit: kit.table.attribute(lambda: X), ["must be arrays", "function"]),
    ("an (x, y)", lambda kit: kit.table.attribute((X, np.zeros(3))), ["takes 1 input", "got 2"]),
    ("a list of examples", lambda kit: kit.table.attribute(list(X)), ["takes 1 input", "got 3", "np.stack(inputs)"]),
    ("two for one", lambda kit: kit.table.attribute([X, X]), ["takes 1 input", "got 2"]),
    ("a wrong key", lambda kit: kit.table.attribute({"y": X}), ["'x' float32 (batch, 4)", "'y'"]),
    ("one for two", lambda kit: kit.pair.attribute([X]), ["takes 2 input", "'left'", "'right'", "got 1"]),
    ("the wrong order", lambda kit: kit.pair.attribute([X[:, :2], X]), ["must be float32 (batch, 4)", "(3, 2)"]),
    ("a misspelt input", lambda kit: kit.pair.attribute({"left": X, "rihgt": X}), ["'right'", "'rihgt'"]),
    ("one input too many", lambda kit: kit.pair.attribute({"left": X, "right": X, "more": X}), ["takes 2 input", "'more'"]),
    ("batches that differ", lambda kit: kit.pair.attribute([X, X[:2, :2]]), ["different numbers of examples", "(2, 2)"]),
    ("fractions as ids", lambda kit: kit.words.attribute(np.full((2, 6), 1.5)), ["must be int32", "fractions"]),
    ("words as ids", lambda kit: kit.words.attribute(np.full((2, 6), "word")), ["must be int32", "<U4"]),
    ("ids too short", lambda kit: kit.words.attribute(IDS[:, :5]), ["int32 (batch, 6)", "(2, 5)"]),
    ("an id that is none", lambda kit: kit.words.attribute(IDS + 20), ["20"]),
    ("a negative id", lambda kit: kit.words.attribute(IDS - 99), ["20"]),
]

TARGETS = [
    ("too high", lambda kit: kit.table.attribute(X, 3), ["target 3", "example 0", "from 0 to 2"]),
    ("negative", lambda kit: kit.table.attribute(X, -1), ["target -1", "from 0 to 2"]),
    ("one too high", lambda kit: kit.table.attribute(X, [0, 5, 1]), ["target 5 of example 1", "from 0 to 2"]),
    ("huge", lambda kit: kit.table.attribute(X, 10**30), ["from 0 to 2"]),
    ("too few", lambda kit: kit.table.attribute(X, [0, 1]), ["(2,)", "3 examples", "one for each example"]),
    ("a pair", lambda kit: kit.table.attribute(X, (0, 1)), ["(2,)", "3 examples"]),
    ("one-hot", lambda kit: kit.table.attribute(X, np.eye(3, dtype=int)), ["(3, 3)", "from 0 to 2"]),
    ("fractional", lambda kit: kit.table.attribute(X, 1.0), ["whole numbers", "float64"]),
    ("a truth value", lambda kit: kit.table.attribute(X, True), ["whole numbers", "bool"]),
    ("a word as target", lambda kit: kit.table.attribute(X, "cat"), ["whole numbers", "from 0 to 2"]),
    (
        "the word of the command line",
        lambda kit: kit.sequence.attribute(X[None], "each"),
        ["whole numbers", "ta.each_position()"],
    ),
    ("ragged targets", lambda kit: kit.table.attribute(X, [[0], [1, 2], [0]]), ["ragged", "from 0 to 2"]),
    ("a dict of targets", lambda kit: kit.table.attribute(X, {"head": 1}), ["whole numbers", "from 0 to 2"]),
    ("the class that is not there", lambda kit: kit.table.attribute(X, ta.each_position), ["whole numbers"]),
    ("none where one is needed", lambda kit: kit.raw.attribute(X), ["3 units", "no head of classes", "target=0"]),
    ("one that has no meaning", lambda kit: kit.single.attribute(X, 1), ["one number", "leave target out"]),
    ("no position", lambda kit: kit.sequence.attribute(X[None], 1), ["(position, class)", "(batch, 2)"]),
    ("none of a sequence", lambda kit: kit.sequence.attribute(X[None]), ["(3, 4)", "target=(0, 0)", "ta.each_position()"]),
    ("a position too high", lambda kit: kit.sequence.attribute(X[None], (3, 0)), ["target 3", "(3, 4)"]),
    (
        "positions of a class",
        lambda kit: kit.table.attribute(X, ta.each_position()),
        ["needs an output with positions", "(3,)"],
    ),
    (
        "positions beyond the end",
        lambda kit: kit.sequence.attribute(X[None], ta.each_position(positions=[7])),
        ["positions", "from 0 to 2", "[7]"],
    ),
    (
        "positions by name",
        lambda kit: kit.sequence.attribute(X[None], ta.each_position(positions="all")),
        ["positions", "from 0 to 2", "'all'"],
    ),
    (
        "classes of positions",
        lambda kit: kit.sequence.attribute(X[None], ta.each_position([0, 1])),
        ["classes", "(3,)", "(2,)"],
    ),
    ("classes too high", lambda kit: kit.sequence.attribute(X[None], ta.each_position([0, 1, 9])), ["from 0 to 3", "9"]),
]

PLACES = [
    ("a layer that is none", lambda kit: ta.Attributor(kit.models.table, at="hiden").attribute(X), ["'hiden'", "'hidden'"]),
    (
        "a layer of another model",
        lambda kit: kit.table.observing(ta.layer(layers.Dense(2, name="other"))).attribute(X),
        ["'other'", "'hidden'"],
    ),
    (
        "a layer behind the output",
        lambda kit: ta.Attributor(kit.models.table, "head", "logits").attribute(X),
        ["does not depend on layer 'head'", "'hidden'"],
    ),
    ("no embedding", lambda kit: kit.table.observing("embeddings").attribute(X), ["no embedding lookup", "ta.layer(name)"]),
    ("a misspelt embedding", lambda kit: kit.words.observing(ta.embeddings("wrds")).attribute(IDS), ["'wrds'", "'words'"]),
    (
        "ids as inputs",
        lambda kit: kit.words.observing("inputs").attribute(IDS),
        ["'tokens' is int32", "no gradient", "embeddings"],
    ),
    ("an input that is none", lambda kit: kit.pair.observing(ta.inputs("lft")).attribute([X, X[:, :2]]), ["'lft'", "'left'"]),
    (
        "an input without effect",
        lambda kit: kit.pair.explaining("size").observing(ta.inputs("right")).attribute([X, X[:, :2]]),
        ["does not depend on input 'right'", "ta.inputs(name)"],
    ),
    (
        "a tensor that is none",
        lambda kit: kit.table.observing(ta.tensor("nothing:0")).attribute(X),
        ["'nothing:0'", "there are"],
    ),
    ("a tensor of integers", lambda kit: kit.words.observing(ta.tensor("Placeholder:0")).attribute(IDS), ["tokens", "int32"]),
    ("at a number", lambda kit: ta.Attributor(kit.models.table, at=3), ["at must be", "'embeddings'", "3"]),
    ("at an output", lambda kit: ta.Attributor(kit.models.table, at=ta.probability()), ["at must be", "ta.layer()"]),
    ("at a list", lambda kit: ta.Attributor(kit.models.table, at=["hidden", 3]), ["at must be", "got 3"]),
    ("at a unit", lambda kit: ta.Attributor(kit.models.table, at=ta.layer("hidden", unit=1)), ["all units", "leave"]),
    ("a unit that is a word", lambda kit: ta.layer("hidden", unit="1"), ["unit must be a whole number", "'1'"]),
    ("a unit too high", lambda kit: kit.table.explaining(ta.layer("hidden", unit=9)).attribute(X), ["out of range", "(5,)"]),
    (
        "a unit of two axes",
        lambda kit: kit.table.explaining(ta.layer("hidden", unit=(1, 1))).attribute(X),
        ["unit=(1, 1)", "(5,)"],
    ),
    ("an output that is none", lambda kit: ta.Attributor(kit.models.pair, of="knd"), ["'knd'", "'kind'", "(None, 2)"]),
    ("several outputs", lambda kit: ta.Attributor(kit.models.pair), ["2 outputs", "of='kind'", "'size'"]),
    ("logits of several", lambda kit: ta.Attributor(kit.models.pair, of="logits"), ["2 outputs", "ta.logits('kind')"]),
    (
        "no head",
        lambda kit: ta.Attributor(kit.models.pair, of=ta.logits("size")),
        ["no softmax or sigmoid", "ta.output('size')"],
    ),
    (
        "of a function",
        lambda kit: ta.Attributor(kit.models.table, of=lambda outputs: outputs),
        ["of must be", "ta.score(function)"],
    ),
    ("of a number", lambda kit: ta.Attributor(kit.models.table, of=1), ["of must be", "1"]),
    ("of an input", lambda kit: ta.Attributor(kit.models.table, of=ta.inputs()), ["of must be"]),
    ("a score that is none", lambda kit: ta.score("accuracy"), ["ta.score(function)", "'accuracy'", "lambda outputs"]),
    (
        "a score in NumPy",
        lambda kit: kit.table.explaining(ta.score(lambda y: np.log(y)[:, 0])).attribute(X),
        ["ta.score(<lambda>) failed", "TensorFlow's operations"],
    ),
    (
        "a score of nothing",
        lambda kit: kit.table.explaining(ta.score(lambda y: print(end=""))).attribute(X),
        ["returned None", "(batch,)"],
    ),
    (
        "a score that raises",
        lambda kit: kit.table.explaining(ta.score(lambda y: y["head"])).attribute(X),
        ["ta.score", "failed"],
    ),
    (
        "a score of each class",
        lambda kit: kit.table.explaining(ta.score(lambda y: y)).attribute(X),
        ["shape (batch,)", "outputs[:, 0]"],
    ),
    ("a score of text", lambda kit: kit.table.explaining(ta.score(lambda y: tf.as_string(y[:, 0]))).attribute(X), ["string"]),
    ("a score over the batch", lambda kit: kit.table.explaining(ta.score(tf.reduce_sum)).attribute(X), ["shape (batch"]),
    (
        "a score by rank in the batch",
        lambda kit: kit.table.explaining(ta.score(centred)).attribute(X),
        ["depends on how many examples", "data=rows"],
    ),
    (
        "a score with rows in it",
        lambda kit: kit.table.explaining(ta.score(weighed)).attribute(X),
        ["depends on how many examples", "ta.score(lambda outputs, data: ..., data=rows)"],
    ),
    (
        "a score of integers",
        lambda kit: kit.table.explaining(ta.score(lambda y: tf.argmax(y, 1))).attribute(X),
        ["no gradient"],
    ),
    (
        "rows of another batch",
        lambda kit: kit.table.explaining(ta.score(lambda y, d: y[:, 0] * d, data=X[:2, 0])).attribute(X),
        ["2 rows", "3 examples", "row i goes with example i"],
    ),
    (
        "rows that do not fit together",
        lambda kit: ta.score(lambda y, d: y[:, 0], data=[X, X[:2]]),
        ["a row for each", "(2, 4)"],
    ),
    ("rows of a dataset", lambda kit: ta.score(lambda y, d: y[:, 0], data=dataset()), ["must be arrays", "Dataset"]),
    (
        "a score that takes no rows",
        lambda kit: kit.table.explaining(ta.score(lambda y: y[:, 0], data=X)).attribute(X),
        ["failed", "function(outputs, data)"],
    ),
]

MODELS = [
    ("a model that is a number", lambda kit: ta.Attributor(5), ["Keras model", "int"]),
    ("none", lambda kit: ta.Attributor(None), ["Keras model", "NoneType"]),
    ("a file that is missing", lambda kit: ta.Attributor(kit.folder / "missing.keras"), ["missing.keras"]),
    ("a folder without a model", lambda kit: ta.Attributor(kit.folder), ["saved"]),
    ("weights alone", lambda kit: ta.Attributor("model.weights.h5"), ["model.weights.h5"]),
    ("a model's method", lambda kit: ta.Attributor(kit.models.table.predict), ["method 'predict'", "ta.Attributor(table)"]),
    ("never built", lambda kit: ta.Attributor(keras.Sequential([layers.Dense(2)], name="bare")), ["'bare'", "never built"]),
    ("a function in NumPy", lambda kit: ta.Attributor(lambda x: np.tanh(x)[:, 0]).attribute(X), ["no gradient", ".numpy()"]),
    ("a function of nothing", lambda kit: ta.Attributor(lambda x: None).attribute(X), ["must return a tensor", "NoneType"]),
    ("a distribution", lambda kit: ta.Attributor(lambda x: Distribution()).attribute(X), ["must return a tensor", ".mean()"]),
    ("a function of text", lambda kit: ta.Attributor(lambda x: "text").attribute(X), ["must return a tensor", "str"]),
    ("a function without a batch", lambda kit: ta.Attributor(tf.reduce_sum).attribute(X), ["(batch, ...)", "()"]),
    (
        "a function that sums over it",
        lambda kit: ta.Attributor(lambda x: tf.reduce_sum(x, 0)).attribute(X, 0),
        ["(batch", "(4,)"],
    ),
    (
        "a function with rows in it",
        lambda kit: ta.Attributor(lambda x: tf.reduce_sum(x * X, 1)).attribute(X),
        ["not on another number of them", "ta.score(function, data=rows)"],
    ),
    ("a function that is cut off", lambda kit: ta.Attributor(lambda x: tf.round(x)[:, 0]).attribute(X), ["no gradient"]),
    ("a batch size of none", lambda kit: ta.Attributor(kit.models.table, batch_size=0), ["batch_size", "at least 1", "0"]),
    ("half a row", lambda kit: ta.Attributor(kit.models.table, batch_size=2.5), ["batch_size", "2.5"]),
    ("a batch size in words", lambda kit: ta.Attributor(kit.models.table, batch_size="8"), ["batch_size", "'8'"]),
    ("no memory", lambda kit: ta.Attributor(kit.models.table, memory=0), ["memory", "0"]),
    ("memory in words", lambda kit: ta.Attributor(kit.models.table, memory="1 GB"), ["memory", "'1 GB'"]),
    ("a signature of a Keras model", lambda kit: ta.Attributor(kit.models.table, signature="serve"), ["'serve'", "SavedModel"]),
    (
        "preprocessing that is none",
        lambda kit: ta.Attributor(kit.models.table, preprocess="resnet").attribute(X),
        ["preprocess", "'resnet'"],
    ),
    (
        "preprocessing in NumPy",
        lambda kit: ta.Attributor(kit.models.table, preprocess=np.asarray).attribute(X),
        ["no gradient", "tf.custom_gradient"],
    ),
    (
        "preprocessing of nothing",
        lambda kit: ta.Attributor(kit.models.table, preprocess=lambda x: None).attribute(X),
        ["traced"],
    ),
    ("verbose in words", lambda kit: kit.table.attribute(X, verbose="yes"), ["verbose", "'yes'", "'auto'"]),
    ("an error to be hidden", lambda kit: kit.table.attribute(X, on_error="ignore"), ["on_error", "'ignore'", "'mark'"]),
    ("a negative seed", lambda kit: kit.table.attribute(X, seed=-1), ["seed", "-1"]),
    ("a seed in words", lambda kit: kit.table.attribute(X, seed="now"), ["seed", "'now'"]),
    ("in a graph", lambda kit: in_a_graph(lambda: kit.table.attribute(X)), ["eager mode", "tf.function"]),
]


@cases(INPUTS)
def test_inputs(kit, row):
    refuses(row[1], kit, *row[2:])


@cases(TARGETS)
def test_targets(kit, row):
    refuses(row[1], kit, *row[2:])


@cases(PLACES)
def test_where_and_what(kit, row):
    refuses(row[1], kit, *row[2:])


@cases(MODELS)
def test_models_and_options(kit, row):
    refuses(row[1], kit, *row[2:])
