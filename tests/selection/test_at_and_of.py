"""What is explained and where: heads, logits, targets, strings and names, checked against the model itself."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ..conftest import assert_refused, spread
from ..helpers.shared import attributor_for

RNG = np.random.default_rng(9)
X = RNG.normal(size=(5, 4)).astype("float32")
SEQUENCES = RNG.normal(size=(3, 6, 4)).astype("float32")
KERNEL = RNG.normal(size=(4, 3)).astype("float32")
BIAS = RNG.normal(size=3).astype("float32")
Z = X @ KERNEL + BIAS
UNIT_Z = X @ KERNEL[:, :1] + BIAS[0]
FINE = ta.IntegratedGradients(n_steps=60)


def softmax(z):
    return tf.nn.softmax(z).numpy()


def sigmoid(z):
    return tf.sigmoid(z).numpy()


def linear(units, *after, activation=None, library=keras):
    """A linear model with the kernel and bias above, and layers after it."""
    dense = library.layers.Dense(units, activation=activation, name="dense")
    model = library.Sequential([library.layers.Input((4,)), dense, *after])
    dense.set_weights([KERNEL[:, :units], BIAS[:units]])
    return model


def explained(model, of=None, target=None, inputs=X, at=None):
    return attributor_for(model, at=at, of=of).attribute(inputs, target=target, method="gradient")


def taken(values, target):
    return np.take_along_axis(values, np.asarray(target)[:, None], 1)[:, 0]


# softmax and its kin

SOFTMAX = {
    "Dense": lambda: linear(3, activation="softmax"),
    "Softmax layer": lambda: linear(3, layers.Softmax()),
    "Activation layer": lambda: linear(3, layers.Activation("softmax")),
    "float32 at the end": lambda: linear(3, layers.Activation("softmax"), layers.Activation("linear", dtype="float32")),
    "reshaped as it was": lambda: linear(3, layers.Softmax(), layers.Reshape((3,))),
    "log_softmax": lambda: linear(3, activation="log_softmax"),
    "a function": lambda: lambda x: tf.nn.softmax(x @ KERNEL + BIAS),
    "a compiled function": lambda: tf.function(lambda x: tf.nn.softmax(x @ KERNEL + BIAS)),
    "a subclass with a compiled call": lambda: compiled_subclass(),
}


def compiled_subclass():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = linear(3, activation="softmax")

        @tf.function
        def call(self, x):
            return self.inner(x)

    net = Net()
    net(X)
    return net


@pytest.mark.parametrize("name", SOFTMAX)
def test_softmax_heads(name):
    model = SOFTMAX[name]()
    probabilities, classes = softmax(Z), Z.argmax(1)
    result = explained(model)
    assert (result.unit, result.target.tolist()) == ("probability", classes.tolist())
    np.testing.assert_allclose(result.scores, probabilities.max(1), rtol=1e-5)
    expected = [p[c] * (KERNEL[:, c] - KERNEL @ p) for p, c in zip(probabilities, classes, strict=True)]
    np.testing.assert_allclose(result.attributions, expected, atol=1e-5)
    logits = explained(model, "logits", 1)
    assert logits.unit == "logit"
    np.testing.assert_allclose(logits.scores, Z[:, 1], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(logits.attributions, np.tile(KERNEL[:, 1], (5, 1)), rtol=1e-4)


def test_log_softmax_as_it_is():
    result = explained(SOFTMAX["log_softmax"](), ta.output(), 2)
    assert result.unit == "raw"
    np.testing.assert_allclose(result.scores, np.log(softmax(Z)[:, 2]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: linear(1, activation="sigmoid"),
        lambda: linear(1, layers.Activation("sigmoid")),
        lambda: linear(1, layers.Activation("sigmoid"), layers.Reshape((1,))),
        lambda: lambda x: tf.sigmoid(x @ KERNEL[:, :1] + BIAS[:1]),
        lambda: lambda x: tf.squeeze(tf.sigmoid(x @ KERNEL[:, :1] + BIAS[:1]), -1),
        lambda: lambda x: tf.sigmoid(x @ KERNEL[:, :1] + BIAS[:1])[:, 0],
        lambda: lambda x: tf.sigmoid(x @ KERNEL[:, :1] + BIAS[:1])[..., 0],
        lambda: lambda x: tf.reshape(tf.sigmoid(x @ KERNEL[:, :1] + BIAS[:1]), [-1]),
    ],
)
def test_one_sigmoid_unit(make):
    model, p = make(), sigmoid(UNIT_Z)[:, 0]
    assert 0 < (p > 0.5).sum() < 5
    likelier = explained(model)
    assert likelier.target.tolist() == (p > 0.5).astype(int).tolist()
    np.testing.assert_allclose(likelier.scores, np.maximum(p, 1 - p), rtol=1e-5)
    one, zero = explained(model, target=1), explained(model, target=0)
    np.testing.assert_allclose(one.scores, p, rtol=1e-5)
    np.testing.assert_allclose(zero.scores, 1 - p, rtol=1e-4)
    np.testing.assert_allclose(one.attributions, -zero.attributions, atol=1e-6)
    z, minus_z = explained(model, "logits", 1), explained(model, "logits", 0)
    assert (one.unit, z.unit) == ("probability", "logit")
    np.testing.assert_allclose(z.scores, UNIT_Z[:, 0], rtol=1e-4)
    np.testing.assert_allclose(minus_z.scores, -UNIT_Z[:, 0], rtol=1e-4)
    assert explained(model, "logits").target.tolist() == likelier.target.tolist()


def test_a_sigmoid_without_a_class_axis():
    """(batch,) probabilities are those of class 1, as (batch, 1) are."""
    p = sigmoid(UNIT_Z)[:, 0]
    model = lambda x: tf.sigmoid(tf.linalg.matvec(x, KERNEL[:, 0]) + BIAS[0])  # noqa: E731
    np.testing.assert_allclose(explained(model).scores, np.maximum(p, 1 - p), rtol=1e-5)
    np.testing.assert_allclose(explained(model, target=0).scores, 1 - p, rtol=1e-4)


def test_rows_in_another_order_are_no_head():
    model = lambda x: tf.sigmoid(x @ KERNEL[:, :1] + BIAS[:1])[::-1, 0]  # noqa: E731
    assert_refused(lambda: ta.Attributor(model, batch_size=1, of="logits").attribute(X), "no softmax or sigmoid head")


def test_several_sigmoid_units():
    model, p = linear(3, activation="sigmoid"), sigmoid(Z)
    result = explained(model)
    assert result.target.tolist() == p.argmax(1).tolist()
    np.testing.assert_allclose(result.scores, p.max(1), rtol=1e-5)
    np.testing.assert_allclose(explained(model, target=2).scores, p[:, 2], rtol=1e-5)
    np.testing.assert_allclose(explained(model, "logits", 2).scores, Z[:, 2], rtol=1e-4)


# compiled with from_logits=True


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
@pytest.mark.parametrize(
    "loss", ["SparseCategoricalCrossentropy", "CategoricalCrossentropy", "BinaryCrossentropy", "BinaryFocalCrossentropy"]
)
def test_a_loss_from_logits(library, loss):
    library = pytest.importorskip(library)
    units = 1 if "Binary" in loss else 3
    model = linear(units, library=library)
    model.compile(loss=getattr(library.losses, loss)(from_logits=True))
    values = np.hstack([1 - sigmoid(UNIT_Z), sigmoid(UNIT_Z)]) if units == 1 else softmax(Z)
    result = explained(model)
    assert result.unit == "probability"
    assert "compiled loss" in result.of
    np.testing.assert_allclose(result.scores, values.max(1), rtol=1e-5)
    if library is not keras or loss not in ("SparseCategoricalCrossentropy", "BinaryCrossentropy"):
        return  # what is before a head that was recognised does not depend on what it was recognised by
    logits = explained(model, "logits", 1)
    assert logits.unit == "logit"
    np.testing.assert_allclose(logits.scores, UNIT_Z[:, 0] if units == 1 else Z[:, 1], rtol=1e-4)
    raw = explained(model, ta.output(), None if units == 1 else 1)
    assert raw.unit == "raw"
    np.testing.assert_allclose(raw.scores, logits.scores, rtol=1e-6)


def test_a_sigmoid_loss_over_several_units():
    model = linear(3)
    model.compile(loss=keras.losses.BinaryCrossentropy(from_logits=True))
    np.testing.assert_allclose(explained(model, target=1).scores, sigmoid(Z)[:, 1], rtol=1e-5)


def test_losses_of_several_outputs():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, [layers.Dense(3, name="kind")(inputs), layers.Dense(1, name="size")(inputs)])
    model.compile(loss={"kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "size": "mse"})
    kind, size = explained(model, "kind"), explained(model, "size")
    assert (kind.unit, size.unit) == ("probability", "raw")
    np.testing.assert_allclose(kind.scores, softmax(model(X)[0]).max(1), rtol=1e-5)
    np.testing.assert_allclose(explained(model, ta.logits("kind"), 2).scores, model(X)[0][:, 2], rtol=1e-4)


def test_a_loss_of_ones_own_does_not_say_which_head_it_applies():
    """A sigmoid's was taken for a softmax, which is 1 of one unit whatever the input."""

    class Focal(keras.losses.Loss):
        def __init__(self):
            super().__init__()
            self.from_logits = True

        def call(self, true, logits):
            return keras.losses.binary_focal_crossentropy(true, logits, from_logits=True)

    model = linear(1)
    model.compile(loss=Focal())
    np.testing.assert_allclose(explained(model).scores, UNIT_Z[:, 0], rtol=1e-4)

    class Weighted(keras.losses.BinaryCrossentropy):
        pass

    for loss in (Weighted(from_logits=True), wrapped(keras.losses.binary_crossentropy)):
        model.compile(loss=loss)
        np.testing.assert_allclose(explained(model, target=1).scores, sigmoid(UNIT_Z)[:, 0], rtol=1e-5)


def wrapped(function):
    from keras.src.losses.losses import LossFunctionWrapper

    return LossFunctionWrapper(function, from_logits=True)


@pytest.mark.parametrize("axis", [1, 2])
def test_a_loss_over_another_axis_is_no_head_of_the_last(axis):
    inputs = keras.Input((3, 4))
    model = keras.Model(inputs, layers.Dense(4, kernel_initializer=spread())(inputs))
    model.compile(loss=keras.losses.CategoricalCrossentropy(from_logits=True, axis=axis))
    x = RNG.normal(size=(2, 3, 4)).astype("float32")
    expected = softmax(model(x)) if axis == 2 else np.asarray(model(x))
    result = ta.Attributor(model).attribute(x, target=(1, 2), method="gradient")
    assert result.unit == ("probability" if axis == 2 else "raw")
    np.testing.assert_allclose(result.scores, expected[:, 1, 2], rtol=1e-5)


def test_a_loss_that_takes_probabilities_adds_no_head():
    model = linear(1)
    model.compile(loss="mse")
    result = explained(model)
    assert (result.unit, result.target) == ("raw", None)
    np.testing.assert_allclose(result.scores, UNIT_Z[:, 0], rtol=1e-4)


# outputs without a head


def test_regression_is_the_value():
    for model in (linear(1), lambda x: tf.linalg.matvec(x, KERNEL[:, 0]) + BIAS[0]):
        result = explained(model)
        assert (result.unit, result.target) == ("raw", None)
        np.testing.assert_allclose(result.scores, UNIT_Z[:, 0], rtol=1e-4)


def test_several_units_without_a_head_take_a_target():
    result = explained(linear(3), target=[0, 1, 2, 1, 0])
    assert result.unit == "raw"
    np.testing.assert_allclose(result.scores, taken(Z, [0, 1, 2, 1, 0]), rtol=1e-4)
    np.testing.assert_allclose(result.attributions, KERNEL.T[[0, 1, 2, 1, 0]], rtol=1e-5)


def test_a_score_of_the_users_own():
    model = linear(3, activation="softmax")
    result = explained(model, ta.score(lambda outputs: outputs[:, 0] - outputs[:, 2]))
    np.testing.assert_allclose(result.scores, softmax(Z)[:, 0] - softmax(Z)[:, 2], rtol=1e-4)
    two = explained(lambda x: {"a": x, "b": 2 * x}, ta.score(lambda outputs: outputs["a"][:, 0] + outputs["b"][:, 1]))
    np.testing.assert_allclose(two.attributions, np.tile([1.0, 2.0, 0.0, 0.0], (5, 1)))


# sequences


def labels(length=6):
    before = layers.Conv1D(5, 6, padding="causal", activation="tanh", kernel_initializer=spread())
    head = layers.Dense(3, activation="softmax", kernel_initializer=spread())
    return keras.Sequential([keras.Input((length, 4)), before, head])


def test_a_position_and_a_class():
    model = labels()
    values = model(SEQUENCES).numpy()
    one = explained(model, target=(4, 2), inputs=SEQUENCES)
    np.testing.assert_allclose(one.scores, values[:, 4, 2], rtol=1e-5)
    assert np.all(one.attributions[:, 5] == 0)  # what comes after a position has no part in it
    assert np.all(np.abs(one.attributions[:, 4]).sum(1) > 0)
    pairs = [(0, 1), (5, 0), (2, 2)]
    attributor = ta.Attributor(model)
    for target in (pairs, np.array(pairs), tf.constant(pairs)):
        each = attributor.attribute(SEQUENCES, target=target, method="gradient")
        np.testing.assert_allclose(each.scores, [values[i, t, c] for i, (t, c) in enumerate(pairs)], rtol=1e-5)
        assert each.target.tolist() == [list(pair) for pair in pairs]
    logits = explained(model, "logits", (4, 2), SEQUENCES).scores - explained(model, "logits", (4, 0), SEQUENCES).scores
    np.testing.assert_allclose(logits, np.log(values[:, 4, 2] / values[:, 4, 0]), rtol=1e-4)


@pytest.mark.parametrize(("first", "then"), [(4, 6), (6, 4)])
def test_positions_follow_the_length_of_each_call(first, then):
    model = labels(None)
    attributor = ta.Attributor(model)
    attributor.attribute(SEQUENCES[:, :first], target=(0, 0), method="gradient")
    part = SEQUENCES[:, :then]
    result = attributor.attribute(part, target=(then - 1, 1), method="gradient")
    np.testing.assert_allclose(result.scores, model(part)[:, -1, 1], rtol=1e-5)
    with pytest.raises(ta.AttributionError, match=rf"\({then}, 3\)"):
        attributor.attribute(part, target=(then, 1), method="gradient")


def test_a_sigmoid_at_each_position():
    model = lambda x: tf.sigmoid(x[..., :1])  # noqa: E731
    for target, sign in (((3, 1), 1), ((3, 0), -1)):
        result = explained(model, target=target, inputs=SEQUENCES)
        np.testing.assert_allclose(result.scores, sigmoid(sign * SEQUENCES[:, 3, 0]), rtol=1e-4)


# strings, names and objects


def test_strings_stand_for_what_is_explained():
    model = linear(3, activation="softmax")
    same = [
        ("probability", ta.probability()),
        ("softmax", ta.probability("dense")),
        ("logits", ta.logits("dense")),
        ("dense", ta.output("dense")),
    ]
    for string, specification in same:
        first, second = explained(model, string, 1), explained(model, specification, 1)
        assert (first.unit, first.of) == (second.unit, second.of)
        np.testing.assert_array_equal(first.attributions, second.attributions)
    assert explained(model, "logits", 1).unit != explained(model, "softmax", 1).unit


def test_strings_stand_for_where():
    tokens, table = keras.Input((4,), dtype="int32", name="tokens"), keras.Input((2,), name="table")
    vectors = layers.Embedding(9, 3, name="words", embeddings_initializer=spread())(tokens)
    hidden = layers.Concatenate(name="both")([layers.Flatten()(vectors), table])
    model = keras.Model([tokens, table], layers.Dense(1, name="size")(hidden))
    inputs = [RNG.integers(0, 9, (2, 4)), X[:2, :2]]
    for at, shape in (
        ("embeddings", (2, 4, 3)),
        (ta.embeddings("words"), (2, 4, 3)),
        ("words", (2, 4, 3)),
        ("both", (2, 14)),
        (ta.layer("both"), (2, 14)),
        (model.get_layer("both"), (2, 14)),
        (ta.inputs("table"), (2, 2)),
    ):
        result = explained(model, inputs=inputs, at=at)
        assert result.attributions.shape == shape
        assert np.abs(result.attributions).min() > 0
    both = explained(model, inputs=inputs)
    assert {key: value.shape for key, value in both.attributions.items()} == {"words": (2, 4, 3), "table": (2, 2)}


def test_an_input_by_its_name():
    left, right = keras.Input((4,), name="left"), keras.Input((2,), name="right")
    model = keras.Model([left, right], layers.Dense(1)(layers.Concatenate()([left, right])))
    kernel = model.layers[-1].get_weights()[0][:, 0]
    for at in (ta.inputs("right"), "right"):
        np.testing.assert_allclose(explained(model, inputs=[X, X[:, :2]], at=at).attributions, np.tile(kernel[4:], (5, 1)))


def test_inputs_by_string():
    result = explained(linear(1), at="inputs")
    np.testing.assert_allclose(result.attributions, np.tile(KERNEL[:, 0], (5, 1)), rtol=1e-5)
    assert (result.at, result.notes) == ("inputs", ())


def test_a_layer_object_inside_a_nested_model():
    inner = linear(3)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(1, name="out")(inner(inputs)))
    kernel = model.get_layer("out").get_weights()[0][:, 0]
    for at in (inner.get_layer("dense"), ta.layer("dense"), inner, inner.name):
        np.testing.assert_allclose(explained(model, at=at).attributions, np.tile(kernel, (5, 1)), rtol=1e-5)
