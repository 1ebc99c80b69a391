"""Names of categories and words of ids: those of a table, where its ids are encoded or looked up as they are."""

import keras
import numpy as np
import pytest

import tf_attrib as ta

L = keras.layers
X = {"city": np.array([["x"], ["y"], ["z"]]), "job": np.array([["p"], ["q"], ["q"]])}


def looked_up():
    city, job = (keras.Input((1,), dtype="string", name=name) for name in X)
    cities, jobs = L.StringLookup(vocabulary=["x", "y", "z"])(city), L.StringLookup(vocabulary=["p", "q"])(job)
    return {"city": city, "job": job}, cities, jobs


def encoded(inputs, *parts):
    hidden = L.Dense(2, "tanh")(L.Concatenate()(parts))
    return ta.Attributor(keras.Model(inputs, L.Dense(1)(hidden))).attribute(X, verbose=False)


def test_what_is_crossed_is_no_word_of_what_it_was_crossed_from():
    """As `keras.utils.FeatureSpace` builds it: categories are cast to float before they are encoded."""
    inputs, cities, jobs = looked_up()
    crossed = keras.ops.cast(L.HashedCrossing(6)((cities, jobs)), "float32")
    hashed = keras.ops.cast(L.Hashing(3)(inputs["job"]), "float32")
    parts = [L.CategoryEncoding(size, "multi_hot")(one) for size, one in ((6, crossed), (3, hashed), (4, cities))]
    categories = encoded(inputs, *parts).categories
    assert categories["city × job"] == tuple(f"bucket {place}" for place in range(6))
    assert categories["job"] == ("bucket 0", "bucket 1", "bucket 2")
    assert categories["city"] == ("[UNK]", "x", "y", "z")


def test_buckets_for_unknown_words_leave_the_known_their_names():
    inputs, _, jobs = looked_up()
    cities = L.StringLookup(vocabulary=["x", "y"], num_oov_indices=2, output_mode="one_hot")(inputs["city"])
    categories = encoded(inputs, cities, L.CategoryEncoding(3, "one_hot")(jobs)).categories
    assert categories["city"] == ("bucket 0", "bucket 1", "x", "y")


def embedded(inputs, ids):
    rows = L.Flatten()(L.Embedding(12, 2)(ids))
    return ta.Attributor(keras.Model(inputs, L.Dense(1)(rows))).attribute({key: X[key] for key in inputs}, verbose=False)


@pytest.mark.parametrize("how", ["crossed", "computed", "shifted"])
def test_ids_that_are_computed_from_those_of_a_table_are_not_its_words(how):
    inputs, cities, jobs = looked_up()
    if how == "shifted":  # to keep row 0 for padding
        inputs.pop("job")
        ids = cities + 1
    else:
        ids = L.HashedCrossing(12)((cities, jobs)) if how == "crossed" else cities * 2 + jobs
    assert embedded(inputs, ids).tokens is None


def test_ids_under_a_mask_are_words():
    inputs, cities, _ = looked_up()
    inputs.pop("job")
    result = embedded(inputs, cities * keras.ops.cast(keras.ops.not_equal(cities, 2), "int64"))
    assert result.tokens.ravel().tolist() == ["x", "[UNK]", "z"]
