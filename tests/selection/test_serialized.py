"""Models that read their features out of serialized `tf.train.Example`s, as those do that are served."""

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta

from ..conftest import assert_refused

RNG = np.random.default_rng(6)
TABLE, WEIGHTS = RNG.normal(size=(10, 2)).astype("float32"), RNG.normal(size=5).astype("float32")
SIZES, AGES, IDS = RNG.normal(size=(3, 2)).astype("float32"), np.array([3, 1, 4]), np.array([[1, 9], [9, 8], [2, 2]])


def serialized(size, age, ids):
    features = {
        "size": tf.train.Feature(float_list=tf.train.FloatList(value=size)),
        "age": tf.train.Feature(int64_list=tf.train.Int64List(value=[age])),
        "ids": tf.train.Feature(int64_list=tf.train.Int64List(value=ids)),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


EXAMPLES = np.array([serialized(*one) for one in zip(SIZES, AGES, IDS, strict=True)], dtype=object)


def attributor(looks_up=True, sparse=False):
    table, weights = tf.Variable(TABLE), tf.Variable(WEIGHTS)
    ids = tf.io.VarLenFeature(tf.int64) if sparse else tf.io.FixedLenFeature([2], tf.int64)

    def model(examples):
        number = {"size": tf.io.FixedLenFeature([2], tf.float32), "age": tf.io.FixedLenFeature([], tf.int64)}
        read = tf.io.parse_example(examples, number | {"ids": ids})
        parts = [read["size"], tf.cast(read["age"], tf.float32)[:, None]]
        if sparse:
            parts.append(tf.nn.safe_embedding_lookup_sparse(table, read["ids"], combiner="sum"))
        elif looks_up:  # one of a mask is no number that is attributed to
            there = tf.cast(read["ids"] > 0, tf.float32)[..., None]
            parts.append(tf.reduce_sum(tf.gather(table, read["ids"]) * there, 1))
        joined = tf.concat(parts, 1)
        return tf.linalg.matvec(joined, weights[: joined.shape[1]])

    return ta.Attributor(model)


def test_numbers_beside_ids_have_their_part():
    for sparse in (False, True):
        for method in ("integrated_gradients", "occlusion"):
            result = attributor(sparse=sparse).attribute(EXAMPLES, method=method, verbose=False)
            rows = next(value for key, value in result.attributions.items() if key not in ("size", "age"))
            np.testing.assert_allclose(result.attributions["size"], SIZES * WEIGHTS[:2], rtol=1e-4)
            np.testing.assert_allclose(result.attributions["age"].ravel(), AGES * WEIGHTS[2], rtol=1e-4)
            axes = (1, 2) if method != "occlusion" else 1  # a token's effect is that of all its dimensions
            found = rows.sum(axes) if method != "occlusion" else rows.mean(2).sum(1)
            np.testing.assert_allclose(found, (TABLE[IDS] @ WEIGHTS[3:]).sum(1), rtol=1e-4, atol=1e-5)
        assert set(result.by_column) >= {"size", "age"}
        assert "attributed as they are: 'size', 'age'" in result.notes[-1]


def test_numbers_alone_are_called_as_they_are_in_the_examples():
    for method in ("gradient_times_input", "occlusion"):
        result = attributor(looks_up=False).attribute(EXAMPLES, method=method, verbose=False)
        assert set(result.attributions) == {"age", "size"}
        assert "category" not in "".join(result.notes)
        np.testing.assert_allclose(result.by_column["size"], SIZES @ WEIGHTS[:2], rtol=1e-4)


def test_what_is_no_example_is_an_error_of_one_line():
    broken = np.array([b"\xff\xfe\x8b" + EXAMPLES[0]], dtype=object)
    assert_refused(lambda: attributor().attribute(broken, verbose=False), "the model failed on these inputs", "parse")
    short = np.array([serialized(SIZES[0], 1, [5])], dtype=object)
    assert_refused(lambda: attributor().attribute(short, verbose=False), "Key: ids")


def beside_numbers_of_any_length(examples, kind=tf.io.VarLenFeature):
    """Ids and a number that are attributed to, and a feature whose values are of no fixed length."""
    fixed = {"size": tf.io.FixedLenFeature([2], tf.float32), "age": tf.io.FixedLenFeature([], tf.int64)}
    read = tf.io.parse_example(examples, fixed | {"ids": tf.io.FixedLenFeature([2], tf.int64), "prices": kind(tf.float32)})
    prices = read["prices"]
    dense = tf.sparse.to_dense(prices) if isinstance(prices, tf.SparseTensor) else prices.to_tensor()
    tokens = tf.reduce_sum(tf.gather(tf.constant(TABLE), read["ids"]), 1)
    linear = tf.linalg.matvec(tf.concat([read["size"], tokens], 1), WEIGHTS[:4])
    return tf.tanh(tf.nn.relu(linear + 5) - 5 + tf.reduce_sum(tf.tanh(dense), 1))


def with_prices(example, prices):
    found = tf.train.Example.FromString(example)
    found.features.feature["prices"].float_list.value.extend(prices)
    return found.SerializeToString()


PRICED = np.array([with_prices(*one) for one in zip(EXAMPLES, ([0.5], [0.2, 0.1], [-0.3]), strict=True)], dtype=object)


def scores_of(size, tokens):
    at = np.concatenate([size, tokens], 1) @ WEIGHTS[:4] + np.tanh([[0.5, 0], [0.2, 0.1], [-0.3, 0]]).sum(1)
    return np.tanh(at), 1 - np.tanh(at) ** 2


@pytest.mark.parametrize("kind", [tf.io.VarLenFeature, tf.io.RaggedFeature])
def test_rules_pass_features_beside_those_of_no_fixed_length(kind):
    """The operation that reads them all stays in the graph, and what is selected of it is fed."""
    priced = ta.Attributor(lambda examples: beside_numbers_of_any_length(examples, kind))
    score, slope = scores_of(SIZES, TABLE[IDS].sum(1))
    zero, _ = scores_of(0 * SIZES, 0 * TABLE[IDS].sum(1))
    moved = np.concatenate([SIZES, TABLE[IDS].sum(1)], 1) @ WEIGHTS[:4]
    result = priced.attribute(PRICED, method="deeplift", verbose=False)
    expected = SIZES * WEIGHTS[:2] * ((score - zero) / moved)[:, None]
    np.testing.assert_allclose(result.attributions["size"], expected, rtol=1e-4)
    np.testing.assert_allclose(result.totals, score - zero, rtol=1e-4)
    result = priced.attribute(PRICED, method="guided_backprop", verbose=False)
    # guided backpropagation passes nothing back through the rectifier where what comes is negative: here nothing is
    np.testing.assert_allclose(result.attributions["size"], WEIGHTS[:2] * slope[:, None], rtol=1e-4)


@pytest.mark.parametrize("kind", [tf.io.VarLenFeature, tf.io.RaggedFeature])
def test_a_note_names_numbers_of_no_fixed_length(kind):
    for sparse in (False, True):  # ids of no fixed length are looked up
        result = attributor(sparse=sparse).attribute(EXAMPLES, method="gradient", verbose=False)
        assert "sparse or ragged" not in "".join(result.notes)
    priced = ta.Attributor(lambda examples: beside_numbers_of_any_length(examples, kind))
    result = priced.attribute(PRICED, method="gradient", verbose=False)
    assert "'prices' is read out of the examples as sparse or ragged numbers" in result.notes[-1]


def of_columns(examples):
    """As an estimator's feature columns read and encode them: categories, bins, and a number that is binned too."""
    read = tf.io.parse_example(
        examples,
        {
            "age": tf.io.FixedLenFeature([1], tf.float32),
            "city": tf.io.VarLenFeature(tf.string),
            "ids": tf.io.VarLenFeature(tf.int64),
        },
    )
    cities = tf.strings.to_hash_bucket_fast(tf.sparse.to_dense(read["city"], ""), 3)
    codes = tf.sparse.to_dense(read["ids"])[:, :1]
    crossed = tf.strings.to_hash_bucket_fast(tf.strings.join([tf.as_string(codes), tf.as_string(cities)]), 4)
    bins = tf.raw_ops.Bucketize(input=read["age"], boundaries=[1.0, 2.0])
    hot = [tf.one_hot(one, size)[:, 0] for one, size in ((cities, 3), (crossed, 4), (bins, 3))]
    tokens = tf.gather(tf.constant(TABLE), codes)  # (n, 1, 2)
    return tf.linalg.matvec(tf.concat([read["age"], *hot, tokens[:, 0]], 1), COLUMN_WEIGHTS)


COLUMN_WEIGHTS = RNG.normal(size=13).astype("float32")


def column_example(age, city, number):
    features = {
        "age": tf.train.Feature(float_list=tf.train.FloatList(value=[age])),
        "city": tf.train.Feature(bytes_list=tf.train.BytesList(value=[city])),
        "ids": tf.train.Feature(int64_list=tf.train.Int64List(value=[number])),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_columns_that_are_read_as_categories_have_their_own_names(method):
    """All of them were one column "examples", and a number that is binned too was followed through the jumps of its bins."""
    ages, cities, numbers = [0.5, 1.5], [b"x", b"y"], [1, 9]
    rows = np.array([column_example(*one) for one in zip(ages, cities, numbers, strict=True)], dtype=object)
    result = ta.Attributor(of_columns).attribute(rows, method=method, verbose=False)
    weights = np.split(COLUMN_WEIGHTS, [1, 4, 8, 11])
    city = tf.strings.to_hash_bucket_fast(cities, 3).numpy()
    crossed = tf.strings.to_hash_bucket_fast([f"{n}{c}" for n, c in zip(numbers, city, strict=True)], 4).numpy()
    expected = {
        "age": weights[0][0] * np.array(ages) + weights[3][[0, 1]],
        "city": weights[1][city],
        "city × ids": weights[2][crossed],
        "ids": TABLE[numbers] @ weights[4],
    }
    assert set(result.by_column) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(result.by_column[name], values, rtol=1e-4, atol=1e-5)
    assert result.categories["age:1"] == ("below 1", "1 to 2", "2 and above")


def test_a_mean_of_vectors_is_no_number_that_was_read():
    """Rows of a constant table that are averaged as they are looked up leave no lookup to be attributed at."""

    def model(examples):
        read = tf.io.parse_example(examples, {"ids": tf.io.VarLenFeature(tf.int64)})
        return tf.reduce_sum(tf.nn.safe_embedding_lookup_sparse(tf.constant(TABLE), read["ids"], combiner="mean"), 1)

    result = ta.Attributor(model).attribute(EXAMPLES, verbose=False)
    assert result.place == "encoded"
    assert "as they are" not in " ".join(result.notes)
    np.testing.assert_allclose(result.by_column["ids"], TABLE[IDS].mean(1).sum(1), rtol=1e-4)


def test_an_error_names_numbers_of_no_fixed_length():
    def model(examples):
        return tf.reduce_sum(tf.io.parse_example(examples, {"prices": tf.io.RaggedFeature(tf.float32)})["prices"], 1)

    assert_refused(lambda: ta.Attributor(model).attribute(PRICED, verbose=False), "'prices' is read", "at=ta.tensor(name)")


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_a_number_whose_bins_are_looked_up_is_attributed_at_both(method):
    """Wide and deep: it was left out without a word, as if it were ids alone; and its bins, as if no feature led there."""
    tables = [tf.constant(RNG.normal(size=(3, 1)).astype("float32")), tf.constant(TABLE[:4, :1])]

    def model(examples):
        read = tf.io.parse_example(
            examples, {"age": tf.io.FixedLenFeature([1], tf.float32), "city": tf.io.VarLenFeature(tf.string)}
        )
        bins = tf.raw_ops.Bucketize(input=read["age"], boundaries=[1.0, 2.0])
        cities = tf.strings.to_hash_bucket_fast(tf.sparse.to_dense(read["city"], ""), 2)
        crossed = 2 * tf.cast(cities, tf.int32) + tf.minimum(bins, 1)
        return 0.5 * read["age"][:, 0] + sum(
            tf.gather(table, ids)[:, 0, 0] for table, ids in zip(tables, (bins, crossed), strict=True)
        )

    ages, cities = np.float32([0.5, 1.5]), [b"x", b"y"]
    rows = np.array([column_example(*one, 1) for one in zip(ages, cities, strict=True)], dtype=object)
    result = ta.Attributor(model).attribute(rows, method=method, verbose=False)
    crossed = 2 * tf.strings.to_hash_bucket_fast(cities, 2).numpy() + [0, 1]
    assert set(result.by_column) == {"age", "city × age"}
    np.testing.assert_allclose(result.by_column["age"], 0.5 * ages + tables[0].numpy()[[0, 1], 0], rtol=1e-4)
    np.testing.assert_allclose(result.by_column["city × age"], tables[1].numpy()[crossed, 0], rtol=1e-4)
    assert result.left_out == ()


def test_ids_that_are_read_and_count_as_a_number_too_are_said_to():
    def model(examples):
        ids = tf.io.parse_example(examples, {"ids": tf.io.FixedLenFeature([2], tf.int64)})["ids"]
        return tf.reduce_sum(tf.gather(tf.constant(TABLE), ids), [1, 2]) + tf.reduce_sum(tf.cast(ids, tf.float32), 1)

    result = ta.Attributor(model).attribute(EXAMPLES, verbose=False)
    assert "'ids' also reaches the output as a number" in " ".join(result.notes)
    np.testing.assert_allclose(result.by_column["ids"], TABLE[IDS].sum((1, 2)), rtol=1e-4, atol=1e-5)
