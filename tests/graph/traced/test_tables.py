"""Embedding lookups in tables that are computed from weights, and in quantised ones: attributed at what they stand for."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta

L = keras.layers
IDS = np.int32([[1, 2, 3], [4, 5, 0]])
KERAS = tuple(int(part) for part in keras.__version__.split(".")[:2])


def net(layer):
    ids = keras.Input((3,), dtype="int32", name="ids")
    seen = L.GlobalAveragePooling1D()(L.Dense(4, activation="tanh")(layer(ids)))
    return keras.Model(ids, L.Dense(2, activation="softmax")(seen))


def adapted():
    """An adapter of low rank is added to the table before rows are looked up."""
    layer = L.Embedding(6, 4, name="words")
    model = net(layer)
    layer.enable_lora(2)
    layer.lora_embeddings_b.assign(np.ones((2, 4)))
    return model


class Normed(L.Layer):
    def build(self, shape):
        self.table = self.add_weight(shape=(6, 4), initializer="normal")

    def call(self, ids):
        return keras.ops.take(keras.ops.normalize(self.table), ids, axis=0)


def normed():
    return net(Normed(name="words"))


def quantised():
    """A table of int8, a scale for each row, and the adapter beside it."""
    model = adapted()
    model.get_layer("words").quantize("int8")
    return model


@pytest.mark.parametrize("made", [adapted, normed, quantised])
def test_rows_of_computed_and_quantised_tables_are_embeddings(made):
    keras.utils.set_random_seed(0)
    model = made()
    found, there = (ta.Attributor(model, at=at).attribute(IDS, method="gradient_times_input") for at in (None, "words"))
    assert found.place == "embeddings"
    assert "'words'" in repr(found)
    np.testing.assert_array_equal(found.attributions, there.attributions)
    assert found.attributions.shape == (2, 3, 4)
    (told,) = ta.inspect(model).embeddings
    assert (told.name, told.shape, told.table_shape, told.inputs) == ("words", (None, 3, 4), (6, 4), ("ids",))


@pytest.mark.skipif(KERAS < (3, 11), reason="Keras has int4 from 3.11 on")
def test_a_packed_table_and_kernel_of_an_export(tmp_path):
    model = net(L.Embedding(6, 4, name="words"))
    for name in ("words", "dense"):
        next(layer for layer in model.layers if layer.name.startswith(name)).quantize("int4")
    model.export(tmp_path / "a", verbose=False)
    (told,) = ta.inspect(tmp_path / "a", "serve").embeddings  # the kernel's scales are looked up too, and are none
    assert (told.shape, told.table_shape, told.inputs) == ((None, 3, 4), (6, 4), ("ids",))
    assert told.table.startswith("words/embeddings")
    assert "int8 variable" in told.reason


class Positions(L.Layer):
    """A vector for each place, as many as there are tokens."""

    def build(self, shape):
        self.table = self.add_weight(shape=(6, 4), initializer="normal")

    def call(self, vectors):
        return keras.ops.take(self.table, keras.ops.arange(keras.ops.shape(vectors)[1]), axis=0)


def test_what_is_added_to_rows_of_a_quantised_table_is_no_part_of_them():
    """Vectors of positions, or of segments that follow from the same ids, stay where those of words are 0."""
    keras.utils.set_random_seed(0)
    ids = keras.Input((None,), dtype="int32", name="ids")
    words = L.Embedding(6, 4, embeddings_initializer="normal", name="words")
    segments = L.Embedding(2, 4, embeddings_initializer="normal", name="segments")(keras.ops.cast(ids > 2, "int32"))
    vectors = words(ids)
    both = (vectors + Positions()(vectors)) + segments
    model = keras.Model(ids, L.Dense(2, name="score")(L.GlobalAveragePooling1D()(keras.ops.tanh(both))))
    words.quantize("int8")
    result = ta.Attributor(model, at=ta.embeddings("words")).attribute(IDS, 1, method="gradient_times_input")
    words.embeddings_scale.assign(np.inf * np.ones_like(words.embeddings_scale))  # int8 divided by it: 0
    np.testing.assert_allclose(result.baseline_scores, np.asarray(model(IDS))[:, 1], atol=1e-6)
    assert set(ta.Attributor(model).attribute(IDS, 1, method="gradient").attributions) == {"words", "segments"}


def test_ids_that_are_mapped_to_others_are_no_embedding():
    """Integers wider than a quantised table's are ids: only the table that they choose rows of is one."""
    mapped, table = tf.constant([3, 2, 1, 0]), tf.Variable(np.arange(8.0).reshape(4, 2).astype("float32"))

    def scored(ids):
        return tf.reduce_sum(tf.gather(table, tf.gather(mapped, ids)), [1, 2])

    result = ta.Attributor(scored).attribute(IDS[:, :1] % 4, method="gradient_times_input")
    np.testing.assert_array_equal(result.attributions, table.numpy()[3 - IDS[:, :1] % 4])
