"""Scores that depend on the batch, and models that draw at random, are found by any method; numbers are of one row each."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import tf_attrib as ta

from ..conftest import assert_refused, make_cnn
from ..helpers.shared import attributor_for

W = np.float32([0.3, -0.7, 1.1])
X = np.random.default_rng(1).normal(size=(4, 3)).astype("float32")


def with_batch_mean(x):
    return tf.reduce_sum(tf.tanh(x * W), 1) - 2 * tf.reduce_mean(x) ** 2


def alone_gradient():
    """d/dx of sum tanh(w x) - 2 mean(x)^2, of each example as a batch of one."""
    return W / np.cosh(X * W) ** 2 - 4 / 3 * X.mean(1, keepdims=True)


class Spread(layers.Layer):
    """The variance over the minibatch as a further feature, as discriminators have it."""

    def call(self, x):
        spread = ops.mean(ops.var(x, axis=0))
        return ops.concatenate([x, ops.ones_like(x[:, :1]) * spread], -1)


class Noise(layers.Layer):
    """Noise that is there in inference too."""

    def call(self, x):
        return x + tf.random.normal(tf.shape(x))


def behind(layer):
    entry = keras.Input((3,))
    return keras.Model(entry, layers.Dense(2, name="head")(layer(entry)))


@pytest.mark.parametrize("method", ["gradient", "integrated_gradients", "occlusion", "deeplift"])
def test_a_score_that_depends_on_the_batch_is_taken_alone(method):
    result = ta.Attributor(with_batch_mean).attribute(X, method=method)
    np.testing.assert_allclose(result.scores, [with_batch_mean(x[None])[0] for x in X], rtol=1e-5, atol=1e-6)
    assert "depends on the others in its batch" in result.batch_dependence
    assert "UNSTABLE SCORES" in repr(result).splitlines()[1]
    one = attributor_for(with_batch_mean, batch_size=1)
    alone = [one.attribute(X[i : i + 1], method=method).attributions for i in range(4)]
    np.testing.assert_allclose(result.attributions, np.concatenate(alone), rtol=1e-4, atol=1e-5)
    if method == "gradient":
        np.testing.assert_allclose(result.attributions, alone_gradient(), rtol=1e-4)


def test_it_is_found_when_company_comes_and_the_doctor_still_sees_it():
    attributor = ta.Attributor(with_batch_mean)
    assert not attributor.attribute(X[:1], method="gradient").batch_dependence
    assert attributor.attribute(X, method="gradient").batch_dependence
    assert "depends_on_company" in {one.name for one in ta.diagnose(attributor, X).findings}


@pytest.mark.parametrize("count", [1, 4])
def test_a_largest_value_of_the_batch_is_found_beside_rows_that_are_larger(count):
    """Copies of a row have its own, and so has a row beside smaller ones, as on the path from zeros to it."""
    by_largest = lambda x: tf.reduce_sum(tf.tanh(W * x / (1 + tf.reduce_max(tf.abs(x)))), 1)  # noqa: E731
    x = X[np.argsort(np.abs(X).max(1))][-count:]  # the last is looked at
    result = ta.Attributor(by_largest).attribute(x)
    assert "depends on the others in its batch" in result.batch_dependence
    alone = ta.Attributor(by_largest, batch_size=1).attribute(x)
    np.testing.assert_allclose(result.attributions, alone.attributions, rtol=1e-4, atol=1e-5)


SLIPPED = {
    "a small part of a large score": lambda x: 1e4 + tf.reduce_sum(tf.tanh(x * W), 1) - tf.reduce_mean(tf.tanh(x * W)),
    "the median": lambda x: tf.reduce_sum(tf.tanh(x * W), 1) * (1 + tf.sort(tf.reduce_max(x, 1))[tf.shape(x)[0] // 2]),
    "the first row": lambda x: tf.reduce_sum(tf.tanh(x * W), 1) * (1 + tf.reduce_sum(x[:1])),
    "the number of rows": lambda x: tf.reduce_sum(tf.tanh(x * W), 1) / tf.cast(tf.shape(x)[0], tf.float32),
}


@pytest.mark.parametrize("score", SLIPPED.values(), ids=SLIPPED)
def test_what_follows_from_others_where_no_largest_value_shows_it(score):
    for x in (X[np.argsort(-np.abs(X).max(1))], X[:1]):
        result = ta.Attributor(score).attribute(x, method="occlusion")
        assert result.batch_dependence
        alone = attributor_for(score, batch_size=1).attribute(x, method="occlusion")
        np.testing.assert_array_equal(result.attributions, alone.attributions)


@pytest.mark.parametrize("kind", ["float32", "int32"])
def test_an_input_beside_the_path_of_others(kind):
    """The last row has the largest: it is the same among rows of the data, among copies, and alone."""
    beside = np.arange(1, 5).astype(kind)[:, None]
    score = lambda given: tf.reduce_sum(tf.tanh(given["x"] * W), 1) * tf.cast(tf.reduce_max(given["n"]), tf.float32)  # noqa: E731
    result = ta.Attributor(score, at=ta.inputs("x")).attribute({"x": X, "n": beside}, method="gradient")
    assert "depends on the others in its batch" in result.batch_dependence
    np.testing.assert_allclose(result.attributions, beside * W / np.cosh(X * W) ** 2, rtol=1e-5)


def test_noisy_copies_of_one_example_do_not_see_each_other():
    score = lambda x: tf.reduce_sum(x, 1) * tf.reduce_max(tf.abs(x))  # noqa: E731
    method = ta.SmoothGrad("gradient", n_samples=8)
    result = ta.Attributor(score).attribute(X[:1], method=method, seed=0)
    assert "depends on the others in its batch" in result.batch_dependence
    alone = attributor_for(score, batch_size=1).attribute(X[:1], method=method, seed=0)
    np.testing.assert_allclose(result.attributions, alone.attributions, rtol=1e-5)


class Trained(layers.Layer):
    """A normalisation by the batch at hand, in inference too."""

    def __init__(self):
        super().__init__()
        self.norm = layers.BatchNormalization()

    def build(self, shape):
        self.norm.build(shape)

    def call(self, x):
        return self.norm(x, training=True) + x


def test_selected_tensors_that_follow_from_other_examples():
    """What comes behind `at` sees rows alone; what comes in front of it does not."""
    entry = keras.Input((3,))
    hidden = layers.Dense(3, "tanh", name="hidden")(Trained()(entry))
    model = keras.Model(entry, layers.Dense(1)(hidden))
    result = ta.Attributor(model, at=ta.layer("hidden")).attribute(X)
    assert "depends on the others in its batch" in result.batch_dependence
    np.testing.assert_allclose(result.scores, [float(model(X[i : i + 1])[0, 0]) for i in range(4)], rtol=1e-5)


def of_words(masked):
    words = layers.TextVectorization(vocabulary=["good", "bad", "film"])
    entry = keras.Input((), dtype="string")
    hidden = layers.Embedding(8, 2, mask_zero=masked)(words(entry))
    return keras.Model(entry, layers.Dense(1)(layers.GlobalAveragePooling1D()(hidden)))


def test_texts_that_are_filled_up_to_the_longest():
    texts = np.array(["good film", "bad bad bad film film"], object)
    model = of_words(masked=False)
    result = ta.Attributor(model).attribute(texts)
    np.testing.assert_allclose(result.scores, model(tf.constant(texts)).numpy()[:, 0], rtol=1e-5)
    assert "how long the others in its batch are" in result.batch_dependence
    # zeros in place of the embedding of what fills would be a number of no model
    assert_refused(
        lambda: ta.Attributor(model, batch_size=1).attribute(texts), "of different lengths", "output_sequence_length"
    )
    assert not ta.Attributor(model).attribute(texts[:1]).batch_dependence
    masked = ta.Attributor(of_words(masked=True)).attribute(texts)
    assert not masked.batch_dependence


def by_its_place(x):
    """A sign that is drawn by the row's place, always the same: what layers of augmentation become where they are exported."""
    signs = tf.sign(tf.random.stateless_uniform([tf.shape(x)[0], 1], seed=[3, 4], minval=-1))
    return tf.reduce_sum(tf.tanh(x * signs * W) + x * signs, 1)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_score_that_depends_on_its_place_is_taken_alone(count):
    result = ta.Attributor(by_its_place).attribute(X[:count], method=ta.IntegratedGradients(n_steps=50))
    np.testing.assert_allclose(result.scores, [by_its_place(x[None])[0] for x in X[:count]], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(result.totals, result.scores, rtol=1e-3)
    assert "or its place" in result.batch_dependence


def test_a_sign_that_only_far_places_have():
    """The places of the data and of a few copies draw the same one."""

    def signed(x):
        signs = tf.sign(tf.random.stateless_uniform([tf.shape(x)[0]], seed=[3, 4], minval=-0.1))
        return tf.reduce_sum(tf.tanh(x * W), 1) * tf.where(tf.range(tf.shape(x)[0]) < 5, 1.0, signs)

    assert "or its place" in ta.Attributor(signed).attribute(X[:2], method="gradient").batch_dependence


def test_a_layer_of_keras_that_looks_at_its_batch():
    result = ta.Attributor(behind(Spread()), at=ta.layer("head")).attribute(X, target=0, method="conductance")
    assert result.batch_dependence


def test_a_batch_size_that_would_mix_rows_is_refused():
    attributor = ta.Attributor(with_batch_mean, batch_size=3)
    for _ in range(2):  # the second call as the first
        assert_refused(lambda: attributor.attribute(X), "depends on the others", "batch_size=1")
    assert not ta.Attributor(with_batch_mean, batch_size=1).attribute(X).batch_dependence


def test_a_model_that_draws_at_random_says_so():
    result = ta.Attributor(behind(Noise())).attribute(X, target=0, method="gradient")
    assert "same score twice" in result.batch_dependence


def test_a_model_of_rows_alone_is_not_suspected(images):
    assert not ta.Attributor(make_cnn()).attribute(images, method="gradient").batch_dependence
    for scale in (1.0, 1e-6, 1e6):
        attributor = ta.Attributor(lambda x, scale=scale: scale * tf.reduce_sum(tf.tanh(x * W), 1))
        assert not attributor.attribute(X, method="gradient").batch_dependence


def noise_in_python(x):
    assert float(tf.reduce_sum(x)) < 1e9  # cannot be traced
    return tf.reduce_sum(tf.tanh((x + np.random.default_rng().normal(size=x.shape).astype("float32")) * W), 1)


@pytest.mark.parametrize(
    ("model", "count", "options"),
    [
        (lambda x: tf.reduce_sum(x * W * tf.random.uniform(tf.shape(x)), 1), 1, {}),
        (lambda x: tf.reduce_sum(x * W * tf.random.uniform(tf.shape(x)), 1), 2, {"batch_size": 1}),
        (noise_in_python, 2, {}),
    ],
    ids=["one example", "blocks of one row", "called eagerly"],
)
def test_draws_are_seen_where_no_rows_share_a_block(model, count, options):
    result = ta.Attributor(model, **options).attribute(X[:count], method="gradient")
    assert "same score twice" in result.batch_dependence


@pytest.mark.parametrize("method", ["shapley_sampling", "kernel_shap"])
def test_all_coalitions_of_a_model_that_draws_are_not_called_exact(method):
    """Two calls are as far from each other as the noise is large, and all coalitions were met in both."""
    result = ta.Attributor(behind(Noise())).attribute(X, target=0, method=method, seed=0)
    assert set(result.status) == {"not_repeatable"}
    assert result.error_estimate is None
    assert result.standard_error is None
    assert "NOT REPEATABLE" in repr(result)
    assert "left to chance" not in repr(result)


def test_scores_of_each_example_with_all_of_its_batch_are_refused():
    """As in-batch retrieval has them: users × items. It was an error of NumPy's."""
    user, item = keras.Input((2,), name="user"), keras.Input((2,), name="item")
    model = keras.Model({"user": user, "item": item}, keras.ops.matmul(user, keras.ops.transpose(item)))
    x = {"user": np.float32([[1, 2], [3, 4], [0, 1]]), "item": np.float32([[2, 1], [1, 1], [5, -1]])}
    for count in (1, 3):
        some = {key: value[:count] for key, value in x.items()}
        assert_refused(lambda some=some: ta.Attributor(model).attribute(some, 0), "scored with each other", "diag_part")
    own = ta.Attributor(lambda inputs: tf.linalg.diag_part(model(inputs))).attribute(x, verbose=False)
    np.testing.assert_allclose(own.attributions["user"], x["user"] * x["item"] / 2, rtol=1e-4)


class Pairs(layers.Layer):
    """Of two kinds of vectors each with each, as models of images and texts give them."""

    def call(self, x, y):
        return tf.matmul(x, y, transpose_b=True)

    def compute_output_shape(self, x_shape, y_shape):
        return (x_shape[0], y_shape[0])


@pytest.mark.parametrize("of", [None, ta.score(lambda outputs: tf.linalg.diag_part(outputs["pairs"]))])
@pytest.mark.parametrize("count", [1, 4])
def test_a_comparison_with_all_of_the_batch_is_refused_with_the_call_that_works(of, count):
    keras.utils.set_random_seed(4)
    one, other = keras.Input((3,)), keras.Input((3,))
    both = [layers.Dense(4, activation="tanh")(x) for x in (one, other)]
    model = keras.Model([one, other], {"pairs": Pairs()(*both)})
    x = [np.random.default_rng(i).normal(size=(count, 3)).astype("float32") for i in range(2)]
    own = lambda inputs: tf.linalg.diag_part(model(inputs)["pairs"])  # noqa: E731
    if of is None or count > 1:
        target = 0 if of is None else None
        assert_refused(lambda: ta.Attributor(model, of=of).attribute(x, target), "(batch, batch)", "tf.linalg.diag_part(model")
    found = ta.Attributor(own).attribute(x, method=ta.IntegratedGradients(0.01))
    np.testing.assert_allclose(found.scores, own(x), rtol=1e-5)
    np.testing.assert_allclose(found.totals, own(x), atol=0.02)
