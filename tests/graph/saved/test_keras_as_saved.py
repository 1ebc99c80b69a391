"""Keras models read as a SavedModel is."""

import keras
import pytest

from tf_attrib.common.errors import AttributionError
from tf_attrib.graph.saved.keras_as_saved import keras_graph


def test_variables_and_tables_stand_in_the_graph_again():
    words = keras.Input((3,), dtype="string", name="words")
    ids = keras.layers.StringLookup(vocabulary=["good", "bad"])(words)
    embedded = keras.layers.Embedding(3, 2, trainable=False)(ids)
    out = keras.layers.Dense(2, activation="softmax", name="kind")(keras.layers.Flatten()(embedded))
    found = keras_graph(keras.Model(words, out))
    operations = [node.op for node in found.meta_graph.graph_def.node]
    assert "HashTableV2" in operations
    assert operations.count("VarHandleOp") == 3
    assert sorted(found.trainable.values()) == [False, True, True]
    assert list(found.inputs) == ["words"]


def test_a_model_that_does_not_say_what_its_inputs_are():
    class Own(keras.Model):
        def call(self, x):
            return x

    model = Own(name="own")
    model.built = True
    with pytest.raises(AttributionError, match="'own' is subclassed and does not say what its inputs are; export it"):
        keras_graph(model)
