"""Memory follows the inputs of a call: blocks are sized by their shapes, and only the position that is explained is there."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tf_attrib.selection.score_function import ScoreFunction

RNG = np.random.default_rng(0)


@pytest.fixture
def small_room(monkeypatch):
    """Blocks of 4 MB, so that small nets show how these are sized."""
    for processor in ("ACTIVATION_BYTES", "WITHOUT_ONEDNN"):
        monkeypatch.setattr(f"tf_attrib.engine.blocks.{processor}", 4 * 2**20)


def any_image():
    image = keras.Input((None, None, 3))
    hidden = layers.Conv2D(8, 3, activation="relu", padding="same", name="conv")(image)
    return keras.Model(image, layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(hidden)))


def blocks(attributor):
    return {shapes[0]: session.block for (_, shapes), session in attributor._sessions.items()}


def test_blocks_follow_the_size_of_images_and_nothing_is_traced_again(small_room):
    model, method = any_image(), ta.IntegratedGradients(n_steps=3)
    attributor = ta.Attributor(model)
    small, large = (RNG.random((2, size, size, 3)).astype("float32") for size in (16, 64))
    attributor.attribute(small, target=0, method=method, verbose=False)
    (session,) = attributor._sessions.values()
    programs, forward = dict(session._programs), session._forward
    found = attributor.attribute(large, target=0, method=method, verbose=False).attributions
    sizes = blocks(attributor)
    assert sizes[16, 16, 3] > 10 * sizes[64, 64, 3] > 0
    other = attributor._sessions[list(attributor._sessions)[1]]
    assert other._programs is session._programs
    assert session._programs == programs
    assert other._forward is forward
    attributor.attribute(small, target=0, method=method, verbose=False)
    assert len(attributor._sessions) == 2
    alone = ta.Attributor(model, batch_size=1).attribute(large, target=0, method=method, verbose=False).attributions
    np.testing.assert_allclose(found, alone, atol=1e-7)
    given = ta.Attributor(model, batch_size=7)
    given.attribute(large, target=0, method=method, verbose=False)
    assert list(blocks(given).values()) == [7]


def test_blocks_of_everything_that_is_evaluated_follow_the_call(small_room, monkeypatch):
    """Gradients, what lies within, fetches, and sessions along another path."""
    attributor = ta.Attributor(any_image())
    seen, evaluate = [], ScoreFunction.gradients_now

    def counted(function, at, *rest):
        seen.append(len(next(iter(at.values()))))
        return evaluate(function, at, *rest)

    monkeypatch.setattr(ScoreFunction, "gradients_now", counted)
    for size in (8, 64):
        x = RNG.random((40, size, size, 3)).astype("float32")
        session, ready, _ = attributor.prepare({None: x})
        at, block = session.selected(ready), session.block
        assert session.along(None).block == block
        session.gradients(at, ready, np.zeros((40, 1), np.int32))
        parts = session.within("output", lambda session=session: {None: ta_port(session)}, at, ready)
        assert max(len(part[None]) for part in parts) == min(session.whole_block, 40) == min(block, 40) == seen[0]
        seen.clear()
    assert block < 40


def ta_port(session):
    from tf_attrib.graph.traced.cut import Port

    return Port(session.function.output.fetches[None])


@pytest.mark.parametrize("kind", ["loop", "dense"])
def test_blocks_follow_the_length_of_sequences_in_loops_and_out_of_them(kind, small_room):
    ids = keras.Input((None,), dtype="int32")
    hidden = layers.Embedding(20, 8)(ids)
    hidden = (
        layers.SimpleRNN(16)(hidden)
        if kind == "loop"
        else layers.GlobalAveragePooling1D()(layers.Dense(64, activation="tanh")(hidden))
    )
    attributor = ta.Attributor(keras.Model(ids, layers.Dense(2)(hidden)))
    for length in (8, 400):
        attributor.attribute(np.ones((1, length), "int32"), target=0, method="gradient", verbose=False)
    sizes = blocks(attributor)
    assert sizes[400,] * 2 < sizes[8,]


def test_blocks_of_a_saved_model_follow_the_call(small_room, tmp_path):
    any_image().export(tmp_path / "export", verbose=False)
    attributor = ta.Attributor(tmp_path / "export", of="logits")
    for size in (8, 64):
        attributor.attribute(RNG.random((1, size, size, 3)).astype("float32"), target=0, method="gradient", verbose=False)
    sizes = blocks(attributor)
    assert sizes[64, 64, 3] * 10 < sizes[8, 8, 3]


def words(head):
    ids = keras.Input((None,), dtype="int32")
    hidden = layers.Conv1D(6, 5, padding="causal", activation="tanh", name="states")(layers.Embedding(30, 4, name="words")(ids))
    return keras.Model(ids, head(hidden))


HEADS = {
    "dense": lambda h: layers.Dense(9, activation="softmax", name="head")(h),
    "logits": lambda h: layers.Dense(9, name="head")(h),
    "einsum": lambda h: layers.EinsumDense("abc,cd->abd", (None, 9), bias_axes="d", name="head")(h),
    "tied": lambda h: keras.ops.softmax(keras.ops.matmul(h, keras.ops.reshape(keras.ops.cos(keras.ops.arange(54.0)), (6, 9)))),
    "scaled": lambda h: layers.Activation("softmax")(keras.ops.tanh(layers.Dense(9)(h) / 3.0) * 2.0),
    "shared": lambda h: layers.Lambda(lambda x: x - tf.reduce_mean(x, 1, keepdims=True))(layers.Dense(9)(h)),
}


# Logits are what stands in front of the softmax of a dense head.
@pytest.mark.parametrize("name", [pytest.param(one, marks=pytest.mark.slow) if one == "logits" else one for one in HEADS])
def test_only_the_position_that_is_explained_is_computed(name):
    """Scores and gradients are those of the whole output; the head's other positions are not among what is computed."""
    model, x = words(HEADS[name]), RNG.integers(1, 30, (3, 5)).astype("int32")
    target = np.array([[0, 2], [3, 8], [4, 0]])
    attributor = ta.Attributor(model, at="words")
    result = attributor.attribute(x, target=target, method="gradient", verbose=False)
    np.testing.assert_allclose(result.scores, model(x).numpy()[np.arange(3), target[:, 0], target[:, 1]], rtol=1e-5)
    (session,) = attributor._sessions.values()
    embedded = session.selected(attributor.prepare({None: x})[1])
    values = tf.constant(next(iter(embedded.values())))
    layers_behind = model.layers[model.layers.index(model.get_layer("words")) + 1 :]
    with tf.GradientTape() as tape:
        tape.watch(values)
        found = values
        for layer in layers_behind if name in ("dense", "logits", "einsum") else ():
            found = layer(found)
        score = tf.gather_nd(found, target, batch_dims=1) if name in ("dense", "logits", "einsum") else None
    if score is not None:
        np.testing.assert_allclose(result.attributions, tape.gradient(score, values), atol=1e-6)
    score, _ = session.function.chosen()
    wide = [
        tensor
        for operation in ancestors_of(score, session)
        for tensor in operation.outputs
        if tensor.dtype.is_floating and tensor.shape.rank and tensor.shape[-1] == 9 and tensor.shape.rank == 3
    ]
    assert bool(wide) == (name == "shared")  # a mean over positions needs them all


def ancestors_of(score, session):
    from tf_attrib.graph.traced.heads_and_lookups import ancestors

    return ancestors([score], [port.tensor for port in session.function.place.ports.values()])


def test_a_position_is_not_picked_in_front_of_what_is_selected():
    model, x = words(HEADS["dense"]), RNG.integers(1, 30, (2, 5)).astype("int32")
    result = ta.Attributor(model, at="states").attribute(x, target=(3, 2), method="gradient", verbose=False)
    assert result.attributions.shape == (2, 5, 6)
    assert np.abs(result.attributions[:, 3]).min() > 0
    assert not result.attributions[:, [0, 1, 2, 4]].any()
    result = ta.Attributor(model, at="head").attribute(x, target=(3, 2), method="gradient", verbose=False)
    assert result.attributions[:, 3, 2].tolist() == [1, 1]
    assert np.abs(result.attributions).sum() == 2


def test_each_position_fetches_no_more_than_the_predicted_classes(monkeypatch):
    model, x = words(HEADS["dense"]), RNG.integers(1, 30, (3, 5)).astype("int32")
    attributor = ta.Attributor(model)
    session, *_ = attributor.prepare({None: x})
    fetched, fetch = [], type(session).fetch

    def noted(self, *arguments):
        found = fetch(self, *arguments)
        fetched.extend(value.shape for value in found.values())
        return found

    monkeypatch.setattr(type(session), "fetch", noted)
    result = attributor.attribute(x, target=ta.each_position(), method="gradient", verbose=False)
    np.testing.assert_array_equal(result.target[:, 1].reshape(3, 5), model(x).numpy().argmax(2))
    assert (3, 5) in fetched
    assert (3, 5, 9) not in fetched
