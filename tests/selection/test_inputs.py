"""What inputs are, and what the model makes of them: integers that are quantities, complex numbers, states, frames."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ..conftest import assert_refused, spread

PIXELS = np.random.default_rng(0).integers(0, 255, (2, 4, 4, 3)).astype("uint8")
TABLE = np.random.default_rng(1).normal(size=(2, 3)).astype("float32")


def net(dtype):
    image, table = keras.Input((4, 4, 3), dtype=dtype, name="image"), keras.Input((3,), name="table")
    flat = layers.Flatten()(layers.Rescaling(1 / 255.0)(image))
    return keras.Model([image, table], layers.Dense(3, activation="softmax")(layers.Concatenate()([flat, table])))


@pytest.fixture(scope="module")
def nets():
    whole, real = net("uint8"), net("float32")
    real.set_weights(whole.get_weights())
    return ta.Attributor(whole), ta.Attributor(real)


@pytest.mark.parametrize("method", ["integrated_gradients", "gradient", "deeplift", "smoothgrad", "ablation"])
@pytest.mark.parametrize("given", [PIXELS, PIXELS.astype("float32")], ids=["integers", "floats"])
def test_integers_that_are_quantities_are_attributed_behind_their_cast(nets, method, given):
    found, expected = (
        one.attribute([x, TABLE], method=method, seed=0, verbose=False)
        for one, x in zip(nets, (given, PIXELS.astype("float32")), strict=True)
    )
    for mine, other in zip(found.attributions, expected.attributions, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-7)
    assert found.at == "inputs"


def test_one_integer_input_by_its_name(nets):
    whole, real = (ta.Attributor(one.model, at=ta.inputs("image")) for one in nets)
    found, expected = whole.attribute([PIXELS, TABLE], verbose=False), real.attribute([PIXELS, TABLE], verbose=False)
    np.testing.assert_allclose(found.attributions, expected.attributions, atol=1e-7)


BASELINES = {
    "black": ta.black((0, 255)),
    "white": ta.white((0, 255)),
    "blur": ta.blur(1.0),
    "data": ta.dataset(PIXELS),
    "an input": ta.at_input(PIXELS[0]),
    "a fraction": ta.constant(0.5),
}


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_of_integer_images(name):
    image = keras.Input((4, 4, 3), dtype="uint8")
    model = keras.Model(image, layers.Dense(2, activation="softmax")(layers.Flatten()(layers.Rescaling(1 / 255.0)(image))))
    result = ta.Attributor(model).attribute(PIXELS, baselines=BASELINES[name], verbose=False)
    np.testing.assert_allclose(result.totals, result.difference, atol=1e-5)


def test_integers_that_are_looked_up_or_counted_are_no_quantities(words):
    looked_up = ta.Attributor(words).attribute(np.ones((1, 6), int), method="gradient", verbose=False)
    assert looked_up.attributions.shape == (1, 6, 4)
    counted = ta.Attributor(lambda x: tf.one_hot(x, 3)[:, 0]).attribute(np.ones((2, 1), int), 1, verbose=False)
    assert (counted.place, counted.attributions.shape) == ("encoded", (2, 1, 3))
    np.testing.assert_array_equal(counted.totals, [1, 1])
    twice = ta.Attributor(lambda x: tf.cast(x, tf.float32)[:, 0] + 2 * tf.cast(x, tf.float32)[:, 1])
    result = twice.attribute(np.array([[1, 2], [3, 4]]), verbose=False)
    np.testing.assert_allclose(result.by_column["input"], [5, 11])


def test_a_float_input_that_becomes_complex_is_no_token_id():
    def power(v):
        return tf.reduce_sum(tf.abs(tf.signal.fft(tf.cast(v, tf.complex64))) ** 2, -1)

    result = ta.Attributor(power).attribute(TABLE, verbose=False)
    np.testing.assert_allclose(result.attributions, 3 * TABLE**2, rtol=1e-3)  # Parseval
    both = ta.Attributor(lambda v: power(v["a"]) + tf.reduce_sum(v["b"], -1)).attribute({"a": TABLE, "b": TABLE}, verbose=False)
    np.testing.assert_allclose(both.attributions["a"], result.attributions, rtol=1e-3)
    np.testing.assert_allclose(both.attributions["b"], TABLE, rtol=1e-5)


FRAMES = {
    "truth values": pd.DataFrame({"a": [1.0, 2.0], "b": [True, False], "c": [0, 1]}),
    "integers that may be missing": pd.DataFrame({"a": [1.0, 2], "b": pd.array([1, 0], dtype="Int64"), "c": [0.0, 1]}),
    "a masked array without a mask": np.ma.masked_array([[1.0, 1, 0], [2, 0, 1]]),
}


@pytest.mark.parametrize("name", FRAMES)
def test_numbers_of_several_kinds_are_numbers(name):
    found = ta.Attributor(
        lambda x: (
            tf.reduce_sum(x * [1.0, 2, 3], 1)
            if x.dtype == tf.float32
            else tf.reduce_sum(x * tf.constant([1.0, 2, 3], x.dtype), 1)
        )
    ).attribute(FRAMES[name], verbose=False)
    np.testing.assert_allclose(found.attributions, [[1, 2, 0], [2, 0, 3]], atol=1e-5)


# states


@pytest.fixture(scope="module")
def recurrent():
    sequence = keras.Input(batch_shape=(4, 3, 2))
    return keras.Model(sequence, layers.Dense(1)(layers.LSTM(8, stateful=True, name="memory")(sequence)))


def test_a_state_that_a_batch_left_is_refused_and_after_a_reset_it_is_right(recurrent):
    x = np.random.default_rng(0).normal(size=(4, 3, 2)).astype("float32")
    recurrent.predict(x, verbose=0)
    attributor, memory = ta.Attributor(recurrent), recurrent.get_layer("memory")
    left = [state.numpy() for state in memory.states]
    assert_refused(lambda: attributor.attribute(x), "state", "'memory/", "stateful=True", "reset_states()")
    for before, after in zip(left, memory.states, strict=True):
        assert np.array_equal(before, after.numpy())
    memory.reset_states()
    result = attributor.attribute(x, verbose=False)
    assert not any(state.numpy().any() for state in memory.states)
    np.testing.assert_allclose(result.scores, recurrent.predict(x, verbose=0)[:, 0], rtol=1e-5)
    assert np.abs(result.relative_gap).max() < 0.01
    assert result.converged.all()
    memory.reset_states()


def test_a_state_where_every_example_begins_is_told():
    """A batch of one has no other rows to tell from it that an earlier call left the state."""
    keras.utils.set_random_seed(0)
    sequence = keras.Input(batch_shape=(1, 3, 2))
    model = keras.Model(sequence, layers.Dense(1)(layers.SimpleRNN(4, stateful=True, name="memory")(sequence)))
    x = np.random.default_rng(0).normal(size=(2, 3, 2)).astype("float32")
    attributor, memory = ta.Attributor(model), model.get_layer("memory")
    anew = attributor.attribute(x, method="gradient")
    assert not anew.notes
    model.predict(x[:1], verbose=0)
    left = memory.states[0].numpy()
    gone_on = attributor.attribute(x, method="gradient")
    (note,) = gone_on.notes
    assert "memory/" in note
    assert "begins at the state that an earlier call" in note
    assert "reset_states()" in note
    np.testing.assert_array_equal(memory.states[0].numpy(), left)
    assert np.abs(gone_on.scores - anew.scores).min() > 1e-3
    memory.reset_states()
    np.testing.assert_array_equal(attributor.attribute(x, method="gradient").attributions, anew.attributions)


# heads


def test_class_0_of_one_sigmoid_unit_is_said_in_the_first_line(tmp_path):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1, activation="sigmoid", name="spam")])
    attributor = ta.Attributor(model)
    none, one, both = (attributor.attribute(TABLE, target, verbose=False) for target in (0, 1, [0, 1]))
    np.testing.assert_allclose(none.scores, 1 - one.scores, rtol=1e-6)
    assert "(class 0: 1 - p of the one unit)" in repr(none).splitlines()[0]
    assert "(class 0, 1 of 2: 1 - p" in repr(both).splitlines()[0]
    assert "1 - p" not in repr(one)
    assert none.of == one.of
    assert "1 - p" in repr(ta.load(none.save(tmp_path / "none.npz")))
    assert "minus the logit" in repr(ta.Attributor(model, of="logits").attribute(TABLE, 0, verbose=False)).splitlines()[0]


def test_the_head_of_a_layer_that_holds_an_export_is_found(tmp_path):
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(4, activation="tanh"), layers.Dense(3, activation="softmax")])
    inner.export(tmp_path / "inner", verbose=False)
    x = keras.Input((3,))
    outer = keras.Model(x, layers.TFSMLayer(str(tmp_path / "inner"), call_endpoint="serve")(x))
    found, expected = (ta.Attributor(one).attribute(TABLE, method="gradient", verbose=False) for one in (outer, inner))
    assert found.unit == "probability"
    assert np.array_equal(found.target, expected.target)
    np.testing.assert_allclose(found.attributions, expected.attributions, atol=1e-6)
    assert_refused(lambda: ta.Attributor(outer, of="logits"), "softmax", "inside a layer that holds an export", "of='logits'")


def test_bfloat16_is_a_number():
    """NumPy has no kind for it: it was refused as "must be bfloat16, got bfloat16", and fractions as beyond its range."""
    given = keras.Input((3,), dtype="bfloat16")
    model = keras.Model(given, layers.Dense(2, "softmax", dtype="bfloat16", kernel_initializer=spread())(given))
    found = ta.Attributor(model).attribute(tf.constant([[0.5, -2, 1]], tf.bfloat16), 0, method="gradient_times_input")
    rounded = ta.Attributor(model).attribute(np.array([[0.5001, -2, 1]]), 0, method="gradient_times_input")
    assert found.inputs.tolist() == [[0.5, -2, 1]]
    assert found.attributions.any()
    np.testing.assert_array_equal(found.attributions, rounded.attributions)
    assert_refused(lambda: ta.Attributor(model).attribute(np.array([[1e300, 0, 0]])), "beyond the range of bfloat16")


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA])
def test_text_that_is_missing_is_said_to_be(nothing):
    """It was "of mixed kinds (it holds str)", with the advice to pad sequences."""
    text = np.array([["good"], [nothing], ["bad"]], object)
    assert_refused(
        lambda: ta.Attributor(lambda x: x).attribute(text), "text is missing in input, example(s) 1", "an empty text"
    )


def test_a_number_for_all_examples_is_asked_to_be_left_out(tmp_path):
    class Scaled(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 2), name="x"), tf.TensorSpec((), name="scale")])
        def __call__(self, x, scale):
            return x * scale

    scaled = Scaled()
    tf.saved_model.save(scaled, str(tmp_path / "a"), scaled.__call__)
    given = {"x": np.ones((3, 2), "float32"), "scale": np.ones(3, "float32")}
    assert_refused(lambda: ta.Attributor(tmp_path / "a").attribute(given), "'scale'", "one float32 for all examples")


@pytest.mark.parametrize("on_error", ["raise", "mark"])
def test_a_result_is_none_of_the_arrays_that_were_given(on_error):
    """A loop that fills one buffer with batch after batch would have every result show the last one's inputs."""
    x, target = np.random.default_rng(0).normal(size=(3, 2)).astype("float32"), np.array([1, 0, 1])
    if on_error == "mark":
        x[1] = np.nan
    kept = x.copy()
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation="softmax")])
    result = ta.Attributor(model).attribute(x, target, method="gradient", on_error=on_error)
    x[:], target[:] = 0, 0
    np.testing.assert_array_equal(result.inputs, kept)
    assert result.target.tolist() == [1, 0, 1]
