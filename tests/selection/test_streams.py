"""A `tf.data.Dataset` in place of arrays: the same result, read once, whatever its batches."""

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta

from ..conftest import assert_refused

X = np.random.default_rng(0).normal(size=(11, 4)).astype("float32")
Y = np.arange(11) % 3
DATA = {
    "batches": tf.data.Dataset.from_tensor_slices(X).batch(4),
    "labels beside them": tf.data.Dataset.from_tensor_slices((X, Y)).batch(3),
    "weights too": tf.data.Dataset.from_tensor_slices((X, Y, np.ones(11))).batch(11),
    "single examples": tf.data.Dataset.from_tensor_slices((X, Y)),
    "by name": tf.data.Dataset.from_tensor_slices({"x": X}).batch(5),
}


@pytest.mark.parametrize("kind", DATA)
def test_attribute_takes_a_data_set_as_it_takes_arrays(kind, attributor):
    found = attributor.attribute(DATA[kind], verbose=False)
    expected = attributor.attribute({"x": X} if kind == "by name" else X, verbose=False)
    np.testing.assert_array_equal(np.asarray(tf.nest.flatten(found.attributions)), tf.nest.flatten(expected.attributions))
    np.testing.assert_array_equal(tf.nest.flatten(found.inputs), tf.nest.flatten(expected.inputs))
    assert found.target.tolist() == expected.target.tolist()


def test_several_inputs_go_by_their_places_and_names(pair):
    attributor, right = ta.Attributor(pair, of="kind"), X[:, :2] + 1
    for data, arrays in (
        (tf.data.Dataset.from_tensor_slices(((X, right), Y)).batch(4), [X, right]),
        (tf.data.Dataset.from_tensor_slices({"left": X, "right": right}), {"left": X, "right": right}),
    ):
        found, expected = attributor.attribute(data, verbose=False), attributor.attribute(arrays, verbose=False)
        for one, other in zip(tf.nest.flatten(found.attributions), tf.nest.flatten(expected.attributions), strict=True):
            np.testing.assert_array_equal(one, other)


def test_what_looks_at_inputs_again_sees_the_same_of_a_data_set_that_shuffles(attributor):
    reads = []

    def counted():
        reads.append(1)
        return np.random.default_rng(len(reads)).permuted(X, axis=0)

    shuffled = tf.data.Dataset.from_generator(lambda: iter([counted()]), output_signature=tf.TensorSpec((None, 4)))
    comparison = ta.metrics.compare(attributor, shuffled, ["gradient_times_input"], ["aopc"], random=False)
    assert len(reads) == 1
    alone = ta.metrics.compare(attributor, np.random.default_rng(1).permuted(X, axis=0), ["gradient_times_input"], ["aopc"])
    one, other = (table.table["gradient_times_input"]["aopc"].values for table in (comparison, alone))
    np.testing.assert_array_equal(one, other)
    report = ta.diagnose(attributor, shuffled)
    assert len(reads) == 2
    assert repr(report) == repr(ta.diagnose(attributor, np.random.default_rng(2).permuted(X, axis=0)))


def test_labels_may_be_a_data_set(attributor):
    result = attributor.attribute(X, verbose=False)
    expected = ta.summarise(result, labels=Y, by="label")
    for labels in (
        tf.data.Dataset.from_tensor_slices((X, Y)).batch(2),
        tf.data.Dataset.from_tensor_slices(Y),
        tf.data.Dataset.from_tensor_slices(Y).batch(4),
        tf.data.Dataset.from_tensor_slices((X, np.eye(3, dtype="float32")[Y])).batch(4),
    ):
        np.testing.assert_array_equal(ta.summarise(result, labels=labels, by="label").mean, expected.mean)


def test_what_makes_no_arrays_says_what_does(attributor):
    ragged = tf.data.Dataset.from_tensors(tf.ragged.constant([[1.0], [1.0, 2.0]]))
    assert_refused(lambda: attributor.attribute(ragged), "ragged", "to_tensor()")
    lengths = tf.data.Dataset.from_generator(lambda: iter([X, X[:, :3]]), output_signature=tf.TensorSpec((None, None)))
    assert_refused(lambda: attributor.attribute(lengths), "differ in shape", "pad")
    assert_refused(lambda: attributor.attribute(tf.data.Dataset.range(3)), "must be batched")
