"""Inputs without a gradient as what they become: bins, vocabularies, hashes and crossings, and what is left out."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.view import features_html

from ..conftest import assert_refused
from ..helpers.bins import one_hot_bins
from ..helpers.shared import attributor_for

L = keras.layers
EDGES = [30.0, 40.0, 50.0]
X = {
    "age": np.float32([[25], [45], [60]]),
    "city": np.array([["a"], ["c"], ["elsewhere"]]),
    "income": np.float32([[3], [-1], [2]]),
}
BASE = {"age": np.float32([[55]] * 3), "city": np.array([["b"]] * 3), "income": np.float32([[0]] * 3)}


def columns():
    return (
        keras.Input((1,), name="age"),
        keras.Input((1,), dtype="string", name="city"),
        keras.Input((1,), name="income"),
    )


def encoded(age, city, income):
    bins = one_hot_bins(EDGES)(age)
    words = L.StringLookup(vocabulary=["a", "b", "c"], output_mode="one_hot")(city)
    return L.Concatenate()([bins, words, income])


@pytest.fixture(scope="module")
def linear():
    """A weight for each category: attributions are differences of weights."""
    inputs = columns()
    score = L.Dense(1, kernel_initializer=keras.initializers.RandomNormal(1.0, seed=3), name="score")(encoded(*inputs))
    return keras.Model({one.name: one for one in inputs}, score)


@pytest.fixture(scope="module")
def bent():
    inputs = columns()
    hidden = L.Dense(8, activation="tanh")(encoded(*inputs))
    return keras.Model({one.name: one for one in inputs}, L.Dense(1, activation="sigmoid", name="p")(hidden))


def score_of(model, x):
    return np.asarray(model({key: tf.constant(value) for key, value in x.items()}))[:, 0]


def test_categories_have_the_weights_that_they_are_multiplied_with(linear):
    weights = linear.get_layer("score").kernel.numpy()[:, 0]
    result = attributor_for(linear).attribute(X, baselines=ta.at_input(BASE))
    age, city, income = weights[:4], weights[4:8], weights[8]
    hot = {"age": [0, 2, 3], "city": [1, 3, 0]}  # 25, 45, 60; a, c, unknown
    np.testing.assert_allclose(result.by_column["age"], age[hot["age"]] - age[3], atol=1e-5)
    np.testing.assert_allclose(result.by_column["city"], city[hot["city"]] - city[2], atol=1e-5)
    np.testing.assert_allclose(result.by_column["income"], income * X["income"][:, 0], atol=1e-5)
    # each category by itself: what is there now, and what was there at the baseline
    np.testing.assert_allclose(result.attributions["city"][0], [0, city[1], -city[2], 0], atol=1e-5)
    assert result.place == "encoded"
    assert result.left_out == ()
    np.testing.assert_allclose(result.baseline_scores, score_of(linear, BASE), rtol=1e-5)


@pytest.mark.parametrize("method", ["integrated_gradients", "deeplift", ta.ExpectedGradients(n_samples=300)])
def test_all_columns_add_up(bent, method):
    result = attributor_for(bent).attribute(X, 1, ta.at_input(BASE), method, seed=0)
    np.testing.assert_allclose(result.baseline_scores, score_of(bent, BASE), rtol=1e-5)
    np.testing.assert_allclose(result.totals, score_of(bent, X) - score_of(bent, BASE), atol=0.02)
    np.testing.assert_allclose(sum(result.by_column.values()), result.totals, rtol=1e-6)


def test_names_of_categories(bent, tmp_path):
    result = attributor_for(bent).attribute(X, 1)
    assert result.categories == {
        "age": ("below 30", "30 to 40", "40 to 50", "50 and above"),
        "city": ("[UNK]", "a", "b", "c"),
    }
    assert {feature.name for feature in result.top(3)[0]} == {"age=below 30", "city=a", ("income", 0)}
    loaded = ta.load(result.save(tmp_path / "one.npz"))
    assert (loaded.categories, loaded.columns) == (result.categories, result.columns)
    assert "city=a" in features_html(result)
    assert "city=a" in ta.summarise(result).names


def test_files_and_exports_give_the_same(bent, tmp_path):
    expected = attributor_for(bent).attribute(X, 1, ta.at_input(BASE))
    bent.save(tmp_path / "bent.keras")
    bent.export(tmp_path / "bent", verbose=False)
    for path in (tmp_path / "bent.keras", tmp_path / "bent"):
        found = ta.Attributor(path).attribute(X, 1, ta.at_input(BASE))
        assert (found.columns, found.categories) == (expected.columns, expected.categories)
        for name, values in expected.by_column.items():
            np.testing.assert_allclose(found.by_column[name], values, atol=1e-5)


def test_the_kinds_of_encoders():
    city, code = keras.Input((1,), dtype="string", name="city"), keras.Input((1,), dtype="int64", name="code")
    tags = keras.Input((3,), dtype="string", name="tags")
    parts = [
        L.Hashing(5, output_mode="one_hot")(city),
        L.IntegerLookup(vocabulary=[5, 7], output_mode="one_hot")(code),
        L.StringLookup(vocabulary=["x", "y"], output_mode="multi_hot")(tags),
        L.StringLookup(vocabulary=["x", "y"], output_mode="count")(tags),
        L.HashedCrossing(num_bins=7, output_mode="one_hot")((city, code)),
    ]
    hidden = L.Dense(4, activation="tanh")(L.Concatenate()(parts))
    model = keras.Model({"city": city, "code": code, "tags": tags}, L.Dense(1)(hidden))
    x = {"city": np.array([["a"], ["c"]]), "code": np.array([[5], [6]]), "tags": np.array([["x", "y", "x"], ["x", "q", "q"]])}
    base = {"city": np.array([["b"]] * 2), "code": np.array([[7]] * 2), "tags": np.array([["q", "q", "q"]] * 2)}
    result = ta.Attributor(model).attribute(x, baselines=ta.at_input(base))
    np.testing.assert_allclose(result.totals, score_of(model, x) - score_of(model, base), rtol=0.05)
    assert set(result.by_column) == {"city", "code", "tags", "city × code"}
    assert result.categories["code"] == ("[UNK]", "5", "7")
    assert result.categories["city"][:2] == ("bucket 0", "bucket 1")
    assert result.left_out == ()


def test_a_column_that_is_embedded_encoded_and_compared():
    """Wide and deep: an embedding and a one-hot of the same ids, and a mask, which is none of both."""
    ids = keras.Input((1,), dtype="int32", name="ids")
    mask = keras.ops.cast(keras.ops.not_equal(ids, 0), "float32")
    deep = L.Flatten()(L.Embedding(6, 3, name="words", embeddings_initializer="normal")(ids))
    wide = L.CategoryEncoding(6, output_mode="one_hot")(ids)
    model = keras.Model(ids, L.Dense(1)(L.Concatenate()([deep * mask, wide])))
    result = ta.Attributor(model).attribute(
        np.array([[2], [3]], np.int32), baselines=ta.at_input(np.array([[1], [1]], np.int32))
    )
    assert set(result.attributions) == {"words", "ids"}
    assert set(result.by_column) == {"ids"}
    np.testing.assert_allclose(result.gap, 0, atol=1e-5)


def test_ids_that_are_numbers_too_are_said_to_be():
    """What an id gives as a number stays as it is; a method without gradients takes the id itself away. A mask is no number."""
    table = tf.constant([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])

    def scored(x, weight):
        known = tf.cast(x["k"] > 0, tf.float32)
        found = tf.reduce_sum(tf.gather(table, x["k"]) * known[:, None], 1)
        return found + weight * tf.cast(x["k"], tf.float32) if weight else found

    x = {"k": np.array([1, 2], "int32")}
    both, alone = (ta.Attributor(functools.partial(scored, weight=weight)) for weight in (10.0, 0.0))
    assert "'k' also reaches the output as a number" in repr(both.attribute(x))
    assert "as a number" not in repr(alone.attribute(x))
    np.testing.assert_allclose(both.attribute(x, method="occlusion").by_column["k"], [15, 29])


def test_a_number_that_is_also_binned():
    x = keras.Input((1,), name="x")
    bins = one_hot_bins([0.0, 1.0])(x)
    model = keras.Model(x, L.Dense(1)(L.Concatenate()([2 * x, bins])))
    values, base = np.float32([[2], [-1]]), np.float32([[0.5], [0.5]])
    result = ta.Attributor(model).attribute(values, baselines=ta.at_input(base))
    assert result.columns == {"x": "x", "x:1": "x"}
    np.testing.assert_allclose(result.by_column["x"], (model(values) - model(base))[:, 0], atol=1e-5)
    assert set(result.status) == {"converged"}


def test_a_mask_of_a_float_is_no_encoding():
    x = keras.Input((4, 2), name="x")
    model = keras.Model(x, L.Dense(1)(L.SimpleRNN(3)(L.Masking()(x))))
    result = ta.Attributor(model).attribute(np.ones((2, 4, 2), "float32"))
    assert result.place == "inputs"
    assert result.columns == {}


def test_a_single_column_has_no_key():
    city = keras.Input((1,), dtype="string", name="city")
    model = keras.Model(city, L.Dense(1)(2 * L.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")(city)))
    result = ta.Attributor(model).attribute(np.array([["a"], ["b"]]))
    assert result.attributions.shape == (2, 3)
    assert result.columns == {"": "city"}
    assert result.top(1)[0][0].name == "city=a"
    assert list(result.by_column) == ["city"]


def hidden_model():
    """`row` chooses a row of a computed tensor: nothing float leads back to it."""
    row, x = keras.Input((1,), dtype="int32", name="row"), keras.Input((3,), name="x")
    turned = keras.ops.take_along_axis(L.Dense(4, activation="tanh")(x), row, axis=1)
    return keras.Model({"row": row, "x": x}, turned)


def test_what_cannot_be_attributed_is_named_and_its_baseline_is_not_ignored():
    attributor = ta.Attributor(hidden_model())
    x = {"row": np.array([[1], [2]], np.int32), "x": np.ones((2, 3), "float32")}
    result = attributor.attribute(x)
    assert result.left_out == ("row",)
    assert "LEFT OUT: 'row'" in repr(result).splitlines()[1]
    kept = {"row": x["row"], "x": np.zeros((2, 3), "float32")}
    same = attributor.attribute(x, baselines=ta.at_input(kept))
    np.testing.assert_allclose(same.attributions, result.attributions, rtol=1e-6)
    other = kept | {"row": np.zeros((2, 1), np.int32)}
    assert_refused(lambda: attributor.attribute(x, baselines=ta.at_input(other)), "'row' is left out", "at=ta.layer")


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_category_encoding_is_no_quantity(dtype):
    """Keras casts ids to float in front of it, and back: no gradient passes there, and zero would be a wrong answer."""
    code = keras.Input((1,), dtype=dtype, name="code")
    model = keras.Model(code, L.Dense(1)(L.Dense(3, activation="tanh")(2 * L.CategoryEncoding(4, output_mode="one_hot")(code))))
    x, base = np.array([[1], [2]], dtype), np.array([[3], [3]], dtype)
    result = ta.Attributor(model).attribute(x, baselines=ta.at_input(base))
    np.testing.assert_allclose(result.by_column["code"], (model(x) - model(base))[:, 0], atol=1e-3)
    assert result.top(1)[0][0].name in ("code=1", "code=3")


def attending(table, mask_as):
    """A layer of attention over embedded ids, from which a mask takes positions out: softmax(scores + mask_as(mask))."""
    ids, mask = (keras.Input((5,), dtype="int32", name=name) for name in ("ids", "mask"))
    words = L.Embedding(9, 4, embeddings_initializer=keras.initializers.Constant(table), name="words")(ids)
    scores = keras.ops.matmul(L.Dense(4, name="query")(words), keras.ops.transpose(words, (0, 2, 1)))
    weights = keras.ops.softmax(scores + mask_as(keras.ops.cast(mask[:, None, :], "float32")))
    seen = keras.ops.matmul(weights, words)[:, 0]
    return keras.Model({"ids": ids, "mask": mask}, L.Dense(3, activation="softmax", name="kind")(seen))


@pytest.mark.parametrize(
    "mask_as",
    [
        lambda m: (1 - m) * -1e9,
        lambda m: keras.ops.negative(1e4 - 1e4 * m),
        lambda m: keras.ops.where(keras.ops.equal(m, 1), 0.0, -1e9),
    ],
)
def test_a_mask_of_attention_stays_as_it_is(mask_as):
    keras.utils.set_random_seed(0)
    model = attending(np.random.default_rng(0).normal(size=(9, 4)), mask_as)
    x = {"ids": np.int32([[1, 2, 3, 4, 5], [6, 7, 8, 0, 0]]), "mask": np.int32([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])}
    result = ta.Attributor(model).attribute(x)
    assert (result.place, result.left_out) == ("embeddings", ("mask",))
    model.get_layer("words").embeddings.assign(np.zeros((9, 4)))
    without = np.asarray(model(x))[range(2), result.target]
    np.testing.assert_allclose(result.baseline_scores, without, atol=1e-6)
    np.testing.assert_allclose(result.attributions[1, 3:], 0, atol=1e-7)


def mean_of_words(mask_type="int32", name="padding_mask"):
    """Words of a text, of which those that a mask says are there are averaged."""
    keras.utils.set_random_seed(0)
    ids, mask = keras.Input((4,), dtype="int32", name="ids"), keras.Input((4,), dtype=mask_type, name=name)
    words = L.Embedding(9, 4, embeddings_initializer="normal", name="words")(ids)
    there = keras.ops.cast(mask, "float32")[:, :, None]
    mean = keras.ops.sum(L.Dense(4, activation="tanh")(words) * there, 1) / keras.ops.sum(there, 1)
    return keras.Model({"ids": ids, name: mask}, L.Dense(3, activation="softmax")(4 * mean))


@pytest.mark.parametrize("mask_type", ["int32", "bool"])
def test_a_mask_that_vectors_are_multiplied_with_stays_as_it_is(mask_type):
    """At the baseline too, where a mask of zeros would have the mean divide by 0, or take half of what words do."""
    model = mean_of_words(mask_type)
    x = {"ids": np.int32([[1, 2, 3, 4], [6, 7, 0, 0]]), "padding_mask": np.array([[1, 1, 1, 1], [1, 1, 0, 0]], mask_type)}
    result = ta.Attributor(model).attribute(x, 1)
    assert (result.place, result.left_out) == ("embeddings", ("padding_mask",))
    whole, table = np.asarray(model(x))[:, 1], model.get_layer("words").embeddings.numpy()
    model.get_layer("words").embeddings.assign(0 * table)
    np.testing.assert_allclose(result.baseline_scores, np.asarray(model(x))[:, 1], atol=1e-6)
    np.testing.assert_allclose(result.attributions[1, 2:], 0, atol=1e-7)
    # 8 is a word of no vector, which is what is put in the place of one
    model.get_layer("words").embeddings.assign(np.where(np.arange(9)[:, None] == 8, 0, table))
    occluded = ta.Attributor(model).attribute(x, 1, method="occlusion")
    assert (occluded.place, occluded.left_out) == ("embeddings", ("padding_mask",))
    without = [np.asarray(model(x | {"ids": np.where(np.arange(4) == word, 8, x["ids"])}))[:, 1] for word in range(4)]
    np.testing.assert_allclose(occluded.attributions.mean(-1), whole[:, None] - np.stack(without, 1), atol=1e-6)


def test_counts_of_words_are_no_mask():
    model = mean_of_words(name="counts")
    x = {"ids": np.int32([[1, 2, 3, 4]]), "counts": np.int32([[1, 3, 1, 2]])}
    result = ta.Attributor(model).attribute(x, 1, baselines={"counts": ta.constant(1)})
    assert (set(result.attributions), result.left_out) == ({"words", "counts"}, ())


def test_methods_without_gradients_leave_a_mask_of_attention_as_it_is():
    model = attending(np.random.default_rng(0).normal(size=(9, 4)), lambda m: keras.ops.where(keras.ops.equal(m, 1), 0.0, -1e9))
    x = {"ids": np.int32([[6, 7, 8, 0, 0]]), "mask": np.int32([[1, 1, 1, 0, 0]])}
    result = ta.Attributor(model).attribute(x, 1, method="kernel_shap")
    assert (result.place, result.left_out) == ("embeddings", ("mask",))
    np.testing.assert_allclose(result.attributions[0, 3:], 0, atol=1e-6)
    given = ta.Attributor(model, at="inputs").attribute(x, 1, method="occlusion")
    assert set(given.attributions) == {"ids", "mask"}


def test_numbers_are_no_masks():
    """A number that is scaled and added to something else than scores of attention is attributed to."""
    k, x = keras.Input((1,), dtype="int32", name="k"), keras.Input((1,), name="x")
    both = L.Dense(2, activation="softmax")(x + 1e-3 * (1000.0 * keras.ops.cast(k, "float32")))
    result = ta.Attributor(keras.Model({"k": k, "x": x}, both)).attribute({"k": np.int32([[2]]), "x": np.float32([[1]])})
    assert result.left_out == ()


def test_what_a_model_keeps_of_its_input_leads_nowhere():
    kept, x = tf.Variable(tf.zeros(2)), np.ones((3, 2), "float32")

    def model(inputs):
        kept.assign(inputs[0])
        return tf.reduce_sum(inputs**2, 1)

    np.testing.assert_allclose(ta.Attributor(model).attribute(x, method="gradient", verbose=False).attributions, 2 * x)
    doubled = ta.Attributor(lambda inputs: (kept.assign(inputs[0]), model(inputs))[1])
    np.testing.assert_allclose(doubled.attribute(x, method="gradient", verbose=False).attributions, 2 * x)
