"""What is cut out of a graph computes what the whole does, stops where it is fed, and is no larger than it must be."""

import gc

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tf_attrib.graph.traced import activations
from tf_attrib.graph.traced.cut import Cut, Port
from tf_attrib.graph.traced.trace import trace

from ...conftest import make_cnn, make_recurrent_text

IMAGES = np.random.default_rng(0).uniform(size=(3, 8, 8, 1)).astype("float32")


def traced_cnn():
    model = make_cnn()
    return model, trace(model, {None: tf.TensorSpec((None, 8, 8, 1), tf.float32)})


def test_values_are_those_of_the_model_and_its_variables_are_live():
    model, traced = traced_cnn()
    (output,), (entry,) = traced.outputs.values(), traced.inputs.values()
    cut = Cut(traced, {"x": Port(entry)}, {"y": Port(output)})
    for _ in range(2):
        np.testing.assert_allclose(cut.evaluate({"x": IMAGES})["y"], model(IMAGES), rtol=1e-6)
        model.get_layer("head").kernel.assign(model.get_layer("head").kernel * 2.0)


def test_a_cut_stops_at_what_is_fed_and_captures_what_it_reads():
    model, traced = traced_cnn()
    (output,) = traced.outputs.values()
    conv = next(call for call in traced.calls if call.name == "conv").outputs[None]
    cut = Cut(traced, {"x": Port(conv)}, {"y": Port(output)})
    graph = cut._function.graph
    assert "Conv2D" not in {operation.type for operation in graph.get_operations()}
    assert 0 < len(graph.captures) < len(traced.function.graph.captures)
    behind = keras.Sequential([keras.Input(conv.shape[1:]), *model.layers[1:]])
    activation = model.layers[0](IMAGES)
    np.testing.assert_allclose(cut.evaluate({"x": activation.numpy()})["y"], behind(activation), rtol=1e-6)


def test_what_is_fed_and_what_is_read_may_be_fetched():
    _, traced = traced_cnn()
    (entry,) = traced.inputs.values()
    cut = Cut(traced, {"x": Port(entry)}, {"same": Port(entry), "again": Port(entry)})
    found = cut.evaluate({"x": IMAGES})
    np.testing.assert_array_equal(found["same"], IMAGES)
    np.testing.assert_array_equal(found["again"], IMAGES)


def test_loops_lookups_and_masks(ids):
    model = make_recurrent_text()
    traced = trace(model, {None: tf.TensorSpec((None, 10), tf.int32)})
    (output,), (entry,) = traced.outputs.values(), traced.inputs.values()
    cut = Cut(traced, {"x": Port(entry)}, {"y": Port(output)})
    np.testing.assert_allclose(cut.evaluate({"x": ids})["y"], model(ids), rtol=1e-5)
    del cut
    gc.collect()  # the bodies of loops that it registered go with it, and not those of others
    again = Cut(traced, {"x": Port(entry)}, {"y": Port(output)})
    np.testing.assert_allclose(again.evaluate({"x": ids})["y"], model(ids), rtol=1e-5)


def attention_net(pool):
    entry = keras.Input((None, 6), name="x")
    hidden = layers.MultiHeadAttention(1, 3)(entry, entry)
    hidden = layers.Dense(5, activation="gelu")(layers.LayerNormalization()(entry + hidden))
    return keras.Model(entry, layers.Dense(3)(hidden[:, 0] if pool else hidden))


@pytest.mark.parametrize("pool", [True, False], ids=["one score", "each position"])
def test_inferred_sizes_are_those_of_a_run(pool, monkeypatch):
    x = np.random.default_rng(1).normal(size=(2, 7, 6)).astype("float32")

    def blocks():
        session, _, _ = ta.Attributor(attention_net(pool)).prepare(x)
        return session.function.row_sizes.of({None: x[:1]}), session.function

    ((sizes, function),) = [blocks()]
    selected = [port.tensor for port in function.place.ports.values()]
    assert activations.static_bytes(function.row_sizes._ends[1], selected) is None
    monkeypatch.setattr("tf_attrib.selection.row_sizes.inferred_bytes", lambda *args: None)
    assert sizes == blocks()[0]
    assert min(sizes) > 1000


@pytest.mark.parametrize("length", [9, None], ids=["known", "open"])
def test_sizes_of_loops_over_steps_are_those_of_a_run(length, monkeypatch):
    """How often they go round is written in the graph where the length of a sequence is known, and nothing is run."""
    entry = keras.Input((length, 3))
    model = keras.Model(entry, layers.Dense(2)(layers.Bidirectional(layers.GRU(4))(entry)))
    session, _, _ = ta.Attributor(model).prepare(np.ones((2, 9, 3), "float32"))
    sizes, one = session.function.row_sizes, {None: np.ones((1, 9, 3), "float32")}
    ran = sizes._counted(one)
    if length:
        monkeypatch.setattr(type(sizes), "_counted", None)
    assert sizes.of(one) == ran
    assert min(ran) > 9 * 2 * 4 * 4 * 3  # at least three gates of each step and direction


def until_small(x):
    """A loop that stops by the values that it comes to."""
    return tf.while_loop(lambda n, y: tf.reduce_max(y) > 1, lambda n, y: (n + 1, y / 2), (tf.constant(0), x))[1]


def test_loops_that_stop_by_values_are_run_to_know():
    x = np.full((1, 3), 100, "float32")
    session, _, _ = ta.Attributor(lambda x: tf.reduce_sum(until_small(x), 1)).prepare(x)
    sizes = session.function.row_sizes
    selected = [port.tensor for port in session.function.place.ports.values()]
    assert activations.static_bytes(sizes._ends[1], selected) is None
    assert sizes.of({None: x}) == sizes._counted({None: x})
