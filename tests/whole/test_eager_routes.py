"""The eager route gives what the graph gives, on every kind of model: the same methods on both, compared to rounding."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import tf_attrib as ta
from tf_attrib.common.nested import flatten

from ..conftest import make_cnn, make_plain_cnn, make_recurrent_text, make_text, spread
from ..helpers.layered import nets
from .test_models import IMAGES, TABLE, transformer, two_inputs

RNG = np.random.default_rng(23)
IDS = np.array([[3, 5, 7, 2, 9, 0, 0, 0, 0, 0], [4, 6, 1, 8, 2, 11, 29, 3, 5, 1], [9, 9, 8, 7, 6, 5, 4, 3, 0, 0]], "int32")


def dict_inputs():
    inputs = {"a": keras.Input((2,), name="a"), "b": keras.Input((3,), name="b")}
    hidden = layers.Dense(4, activation="tanh", name="hidden")(layers.Concatenate()(list(inputs.values())))
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(hidden)), {"b": TABLE, "a": TABLE[:, :2]}, {}


def subclassed():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = keras.Sequential(
                [layers.Dense(6, activation="tanh", name="hidden"), layers.Dropout(0.5)], name="inner"
            )
            self.head = layers.Dense(3, activation="softmax")

        def call(self, x, training=False):
            return self.head(self.inner(x, training=training))

    model = Net()
    model(TABLE)
    return model, TABLE, {"at": "inner/hidden"}


def nested():
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(make_cnn()(inputs))), IMAGES, {"at": "conv"}


def shared():
    left, right = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    layer = layers.Dense(4, activation="tanh", name="shared")
    model = keras.Model([left, right], layers.Dense(1)(layers.Concatenate()([layer(left), layer(right)])))
    return model, [TABLE, TABLE[::-1].copy()], {"at": "shared"}


def several_outputs():
    inputs = keras.Input((3,))
    kind, size = layers.Dense(2, activation="softmax", name="kind"), layers.Dense(1, name="size")
    return keras.Model(inputs, [kind(inputs), size(inputs)]), TABLE, {"of": "kind"}


def score_of_both():
    model, x, _ = several_outputs()
    return model, x, {"of": ta.score(lambda outputs: outputs[0][:, 0] * outputs[1][:, 0] ** 2)}


def own_rows():
    rows = RNG.normal(size=(3, 2)).astype("float32")
    return several_outputs()[0], TABLE, {"of": ta.score(lambda outputs, rows: tf.reduce_sum(outputs[0] * rows, 1), data=rows)}


def of_tf_keras():
    tf_keras = pytest.importorskip("tf_keras")
    parts = [tf_keras.layers.Input((10,), dtype="int32", name="tokens")]
    parts += [tf_keras.layers.Embedding(30, 6, mask_zero=True, name="words"), tf_keras.layers.LSTM(5, name="lstm")]
    return tf_keras.Sequential([*parts, tf_keras.layers.Dense(3, activation="softmax")]), IDS, {}


def float_ids():
    inputs = keras.Input((10,))
    hidden = layers.GlobalAveragePooling1D()(layers.Embedding(30, 4, name="words", embeddings_initializer=spread())(inputs))
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(hidden)), IDS.astype("float32"), {}


def tokens_and_table():
    tokens, table = keras.Input((10,), dtype="int32", name="tokens"), keras.Input((3,), name="table")
    words = layers.GlobalAveragePooling1D()(layers.Embedding(30, 4, name="words", embeddings_initializer=spread())(tokens))
    model = keras.Model([tokens, table], layers.Dense(2, activation="softmax")(layers.Concatenate()([words, table])))
    return model, [IDS, TABLE], {}


def positions():
    class Positions(layers.Layer):
        def build(self, shape):
            self.table = layers.Embedding(shape[1], 8, name="positions", embeddings_initializer=spread())

        def call(self, x):
            return x + self.table(ops.arange(ops.shape(x)[1]))

    tokens = keras.Input((10,), dtype="int32")
    x = Positions(name="add")(layers.Embedding(30, 8, name="words", embeddings_initializer=spread())(tokens))
    model = keras.Model(tokens, layers.Dense(3, activation="softmax")(layers.Flatten()(layers.Dense(4, activation="tanh")(x))))
    return model, IDS, {"at": ta.embeddings(positions=True)}


def words():
    vectorise = layers.TextVectorization(output_sequence_length=5, vocabulary=["good", "bad", "film", "a"])
    text = keras.Input((), dtype="string", name="text")
    x = layers.Flatten()(layers.Embedding(6, 4, name="words", embeddings_initializer=spread())(vectorise(text)))
    model = keras.Model(text, layers.Dense(1, activation="sigmoid")(x))
    return model, np.array(["A good film", "bad bad thing", "film"]), {}


def fixed_batch():
    inputs = keras.Input(batch_shape=(4, 3))
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(inputs)), RNG.normal(size=(6, 3)).astype("float32"), {}


def any_length():
    inputs = keras.Input((None, 3))
    hidden = layers.GlobalMaxPooling1D()(layers.Conv1D(4, 2, activation="tanh", name="conv")(inputs))
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(hidden)), RNG.normal(size=(3, 6, 3)).astype("float32"), {}


def half_precision():
    policy = keras.mixed_precision.DTypePolicy("mixed_float16")
    tokens = keras.Input((10,), dtype="int32")
    x = layers.Embedding(30, 6, dtype=policy, name="words", embeddings_initializer=spread())(tokens)
    x = layers.Dense(4, activation="tanh", dtype=policy)(layers.Flatten(dtype=policy)(x))
    return keras.Model(tokens, layers.Dense(2, activation="softmax", dtype="float32")(x)), IDS, {}


def half_inside():
    """Floats in and out, and gradients in between that float16 alone would lose."""
    policy = keras.mixed_precision.DTypePolicy("mixed_float16")
    x = keras.Input((3,))
    hidden = layers.Dense(4, activation="tanh", dtype=policy, name="hidden")(x)
    model = keras.Model(x, layers.Dense(2, activation="softmax", dtype="float32")(hidden))
    return model, TABLE, {"of": ta.score(lambda outputs: outputs[:, 0] * 1e-8)}


def with_preprocessing():
    pixels = RNG.integers(0, 256, (2, 8, 8, 1)).astype("uint8")
    return make_cnn(), pixels, {"preprocess": lambda x: x / 127.5 - 1}


def quantised():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(6, activation="tanh", name="hidden"), layers.Dense(1)])
    model.quantize("int8")
    return model, RNG.normal(size=(2, 4)).astype("float32"), {"at": "hidden"}


def logits_and_loss():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(5, activation="relu", name="hidden"), layers.Dense(3)])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model, TABLE, {}


def straight_through():
    @tf.custom_gradient
    def hard(x):
        return tf.round(x), lambda upstream: upstream * 3.0

    class Straight(layers.Layer):
        def call(self, x):
            return hard(x)

    return keras.Sequential([keras.Input((3,)), Straight(), layers.Dense(1, use_bias=False)]), TABLE, {}


WEIGHTS = tf.constant(RNG.normal(size=(6, 2)).astype("float32"))
ROWS = RNG.normal(size=(5, 2, 3)).astype("float32")

KINDS = {
    "cnn": lambda: (make_plain_cnn(), IMAGES, {"at": "conv"}),
    "cnn logits": lambda: (make_cnn(), IMAGES, {"of": "logits"}),
    "cnn head": lambda: (make_cnn(), IMAGES, {"at": "head"}),
    "cnn unit": lambda: (make_cnn(), IMAGES, {"of": ta.layer("conv", unit=(..., 2))}),
    "text": lambda: (make_text(), IDS, {}),
    "text layer": lambda: (make_recurrent_text(), IDS, {"at": "rnn"}),
    "two inputs": lambda: (two_inputs(), [IMAGES, TABLE], {}),
    "one of two": lambda: (two_inputs(), [IMAGES, TABLE], {"at": ta.inputs("table")}),
    "dict": dict_inputs,
    "subclassed": subclassed,
    "nested": nested,
    "shared": shared,
    "several outputs": several_outputs,
    "score of both": score_of_both,
    "own rows": own_rows,
    "tf_keras": of_tf_keras,
    "float ids": float_ids,
    "tokens and table": tokens_and_table,
    "transformer": lambda: (transformer(), IDS, {}),
    "positions": positions,
    "words": words,
    "fixed batch": fixed_batch,
    "any length": any_length,
    "half precision": half_precision,
    "half inside": half_inside,
    "preprocess": with_preprocessing,
    "quantised": quantised,
    "loss head": logits_and_loss,
    "straight through": straight_through,
    "mlp float64": lambda: (nets("mlp")[0], nets("mlp")[3], {"at": "seen"}),
    "cnn float64": lambda: (nets("cnn")[0], nets("cnn")[3], {"at": "seen"}),
    "lstm float64": lambda: (nets("lstm")[0], nets("lstm")[3], {"at": "seen"}),
    "callable": lambda: (lambda x: tf.nn.softmax(tf.reshape(x, (-1, 6)) @ WEIGHTS), ROWS, {}),
    "knows its batch": lambda: (lambda x: tf.nn.softmax(tf.reshape(x, (x.shape[0], 6)) @ WEIGHTS), ROWS, {}),
    "callable of a dict": lambda: (lambda x: tf.reduce_sum(x["a"] * x["b"], 1), {"a": TABLE, "b": TABLE**2}, {}),
    "callable in float64": lambda: (lambda x: tf.reduce_sum(tf.tanh(x), 1), RNG.normal(size=(3, 4)), {}),
    "function": lambda: (tf.function(lambda x: tf.reduce_sum(tf.sin(x) * x, [1, 2])), ROWS, {}),
}
METHODS = {
    "integrated": ta.IntegratedGradients(n_steps=5),
    "gradient": "gradient",
    "smooth": ta.SmoothGrad("gradient_times_input", n_samples=3),
    "ablation": "ablation",
    "conductance": ta.Conductance(n_steps=3),
    "influence": ta.InternalInfluence(n_steps=3),
}
LOOKING = ("conductance", "influence")
# The noise is drawn by the bits of the selected tensor, which the routes round differently where it is computed.
NOISY = ("smooth",)
QUICK = (
    "cnn",
    "cnn head",
    "half inside",
    "text layer",
    "one of two",
    "subclassed",
    "shared",
    "score of both",
    "own rows",
    "float ids",
    "words",
    "fixed batch",
    "mlp float64",
    "callable of a dict",
    "knows its batch",
)


# Kinds of which more methods are held in every run: images and a layer, one of several inputs, float64 and a layer.
THOROUGH = {
    "cnn": ("integrated", "gradient", "conductance"),
    "one of two": ("integrated", "smooth", "ablation"),
    "mlp float64": ("integrated", "gradient", "ablation", "influence"),
}
# The others by the method whose rows lie between an input and its baseline: their gradients are those of "gradient", too.
BASIC = ("integrated",)


def attributed(attributor, x, target, method):
    try:
        return attributor.attribute(x, target=target, method=method, seed=3), ""
    except ta.AttributionError as error:
        return None, str(error)


@pytest.mark.parametrize("kind", QUICK)
def test_both_routes_give_the_same(kind):
    both_routes(kind, THOROUGH.get(kind, BASIC))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_both_routes_give_the_same_by_every_method(kind):
    both_routes(kind, METHODS)


def both_routes(kind, methods):
    """Whatever these methods give of a kind of model, they give by both routes."""
    model, x, options = KINDS[kind]()
    graph, eager = ta.Attributor(model, eager=False, **options), ta.Attributor(model, eager=True, **options)
    rounding = 5e-3 if kind.startswith("half") else 2e-4
    done = []
    for name in methods:
        method = METHODS[name]
        if (name in LOOKING and "at" not in options) or (name in NOISY and computed(eager, x, options)):
            continue
        (one, refused), (two, too) = attributed(graph, x, None, method), attributed(eager, x, None, method)
        assert (one is None) == (two is None), (name, refused, too)
        if one is None:
            assert refused == too, name
            continue
        done.append(name)
        compare(one, two, rounding, name)
    assert {*BASIC, *{"gradient"}.intersection(methods)} <= {*done}


def test_paths_are_refined_alike():
    model, x, _ = KINDS["cnn"]()
    one, two = (ta.Attributor(model, eager=eager).attribute(x) for eager in (False, True))
    compare(one, two, 2e-4, "refined")
    assert one.converged.all()
    np.testing.assert_array_equal(one.evaluations, two.evaluations)


def computed(attributor, x, options):
    """Whether what is attributed to is computed from the inputs."""
    return options.get("at") or attributor.check(x, method="gradient").place != "inputs"


def compare(one, two, rounding, name):
    size = max(np.abs(leaf).max() for leaf in flatten(one.attributions).values())
    for (key, leaf), (other, value) in zip(flatten(one.attributions).items(), flatten(two.attributions).items(), strict=True):
        assert key == other
        np.testing.assert_allclose(value, leaf, rtol=rounding, atol=rounding * size, err_msg=name)
        assert value.dtype == leaf.dtype
    np.testing.assert_allclose(two.scores, one.scores, rtol=rounding, atol=rounding * np.abs(one.scores).max(), err_msg=name)
    for field in ("target", "predicted"):
        np.testing.assert_array_equal(getattr(one, field), getattr(two, field), err_msg=field)
    same = ("at", "of", "unit", "place", "class_zero", "left_out", "kind", "columns", "baseline", "format")
    assert {field: getattr(two, field) for field in same} == {field: getattr(one, field) for field in same}
    assert (one.tokens is None) == (two.tokens is None)
    assert one.tokens is None or one.tokens.tolist() == two.tokens.tolist()
    assert one.eager == ""
    assert two.eager == "eager=True"
    assert any("called eagerly" in note for note in two.notes)
    assert set(one.notes) <= set(two.notes)
