"""Tables whose columns are encoded: methods are measured by column, whether they attribute to text or to its encoding."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib import metrics as M
from tf_attrib.metrics.examples import case_of
from tf_attrib.metrics.units import units_of

from ..conftest import assert_refused

layers = keras.layers
WEIGHTS = np.array([[1.0], [-2.0], [0.5], [0.1], [3.0], [-4.0]], "float32")  # two numbers, a city unknown, x, y, z
INPUTS = {"numbers": np.array([[1.0, 1.0], [2.0, -1.0]], "float32"), "city": np.array([["y"], ["z"]])}
# what each column adds to the score of each example: numbers and city
PARTS = np.array([[1.0, -2.0, 3.0], [2.0, 2.0, -4.0]])
CURVES = ["aopc", "deletion", "insertion"]


@pytest.fixture(scope="module")
def attributor():
    """A linear model of two numbers and a city, one-hot."""
    numbers, city = keras.Input((2,), name="numbers"), keras.Input((1,), dtype="string", name="city")
    encoded = layers.StringLookup(vocabulary=["x", "y", "z"], output_mode="one_hot")(city)
    out = layers.Dense(1)
    model = keras.Model([numbers, city], out(layers.Concatenate()([numbers, encoded])))
    out.set_weights([WEIGHTS, np.zeros(1, "float32")])
    return ta.Attributor(model)


def test_a_column_is_one_part_with_all_that_it_is_encoded_to(attributor):
    case = case_of(attributor, INPUTS, None, None, 0)
    divided = units_of(case)
    assert (divided.count, divided.words) == (3, "columns")
    np.testing.assert_allclose(divided.summed(case.flat)[:, :2], INPUTS["numbers"])
    np.testing.assert_allclose(divided.summed(case.flat)[:, 2], 1)
    assert units_of(case, "features").count == 6
    text = ta.Attributor(lambda x: tf.reduce_sum(x, [1, 2]))
    case = case_of(text, np.ones((2, 3, 4), "float32"), None, None, 0)
    assert_refused(lambda: units_of(case, "columns"), "no columns", "tokens")


def test_methods_of_text_and_of_its_encoding_are_measured_alike(attributor):
    methods = ["shapley_sampling", "occlusion", "integrated_gradients", "deeplift"]
    found = M.compare(attributor, INPUTS, methods, CURVES)
    for name in methods:
        for metric in CURVES:
            np.testing.assert_allclose(found.table[name][metric].values, found.table["deeplift"][metric].values, rtol=1e-5)
    # all taken away one after the other, the largest part first
    best = -np.sort(-PARTS, 1)
    dropped = np.cumsum(best, 1)
    curve = found.table["occlusion"]["aopc"].curves["most relevant first"]
    np.testing.assert_allclose(curve[:, 1:], dropped, rtol=1e-5)
    assert "3 of 3 columns" in str(found)


def test_a_column_that_is_embedded_is_one_part_and_words_are_parts():
    size, words = keras.Input((1,), name="size"), keras.Input((4,), dtype="int32", name="words")
    city = keras.Input((1,), dtype="string", name="city")
    place = layers.Flatten()(layers.Embedding(4, 3)(layers.StringLookup(vocabulary=["x", "y", "z"])(city)))
    mean = layers.GlobalAveragePooling1D()(layers.Embedding(9, 3)(words))
    kind = layers.CategoryEncoding(3, output_mode="one_hot")(keras.Input((1,), dtype="int32", name="kind"))
    joined = layers.Concatenate()([size, place, mean, kind])
    model = keras.Model([size, words, city, kind._keras_history.operation.input], layers.Dense(1)(joined))
    inputs = {
        "size": np.ones((2, 1), "float32"),
        "words": np.array([[1, 2, 3, 4], [5, 6, 7, 8]]),
        "city": np.array([["y"], ["z"]]),
        "kind": np.array([[0], [2]]),
    }
    divided = units_of(case_of(ta.Attributor(model), inputs, None, None, 0))
    assert divided.count == 1 + 4 + 1 + 1
    assert sorted(np.bincount(divided.labels)) == [1, 3, 3, 3, 3, 3, 3]


def test_infidelity_is_not_of_columns_as_they_are(attributor):
    refused = lambda: M.compare(attributor, INPUTS, ["shapley_sampling"], ["infidelity"])  # noqa: E731
    assert_refused(refused, "columns are encoded to", "ShapleySampling", "metrics=")
    assert np.isfinite(M.infidelity(attributor, INPUTS).values).all()
