"""What calling a model leaves behind, and what it costs: states, layers, threads, tapes; the rest of the library with it."""

import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tf_attrib.graph.called.operation import Operation

from ...conftest import make_cnn

RNG = np.random.default_rng(8)
X = RNG.normal(size=(4, 3)).astype("float32")


class Reading(layers.Layer):
    """A layer that cannot be traced."""

    def call(self, x):
        assert np.isfinite(x.numpy()).all()
        return x * 1.0


class InTurn(keras.Model):
    """Layers one after the other, none of which Keras traces beforehand."""

    def __init__(self, parts):
        super().__init__()
        self.parts = parts

    def call(self, x):
        for part in self.parts:
            x = part(x)
        return x


def reading(*parts):
    keras.utils.set_random_seed(2)
    model = InTurn([*parts, Reading(name="reading"), layers.Dense(3, activation="softmax", name="out")])
    model(np.zeros((1, 3), "float32"))
    return model


def test_the_model_is_as_it_was_after_an_exception_too():
    class Failing(layers.Layer):
        def call(self, x):
            if float(tf.reduce_max(x)) > 90:
                raise ValueError("too hot")
            return x

    model = reading(layers.Dense(4, name="hidden"), Failing(name="failing"))
    attributor = ta.Attributor(model, at="hidden")
    attributor.attribute(X, method="gradient")
    with pytest.raises(ta.AttributionError, match="too hot") as caught:
        attributor.attribute(1000 * np.abs(X))
    assert not isinstance(caught.value, tf.errors.OpError)
    assert not any({"call", "quantized_call"} & set(vars(layer)) for layer in model._flatten_layers())
    found, anew = (one.attribute(X, method="gradient") for one in (attributor, ta.Attributor(model, at="hidden")))
    np.testing.assert_array_equal(found.attributions, anew.attributions)
    with pytest.raises(ta.AttributionError, match=r"called eagerly, it fails too.*too hot"):
        ta.Attributor(model).attribute(1000 * np.abs(X))


def test_dropout_is_off_and_a_layer_that_draws_is_found():
    quiet = reading(layers.Dropout(0.5))
    found = ta.Attributor(quiet).attribute(X, method="gradient")
    np.testing.assert_allclose(found.scores, quiet(X).numpy().max(1), rtol=1e-6)

    class Always(layers.Dropout):
        def call(self, x, training=False):
            return super().call(x, training=True)

    report = ta.diagnose(ta.Attributor(reading(Always(0.5))), X)
    assert report["stochastic_output"].severity == "error"


class Counting(layers.Layer):
    """Adds what it has seen so far, and keeps count."""

    def build(self, shape):
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, name="seen")
        self.calls = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False, name="calls")

    def call(self, x):
        found = x + self.seen
        self.seen.assign(self.seen + tf.reduce_sum(x))
        self.calls.assign(self.calls + 1)
        return found


def test_states_are_left_as_they_were_and_every_row_begins_there():
    model = reading(Counting(name="counting"))
    layer = model.parts[0]
    layer.seen.assign(0.25)
    layer.calls.assign(7)
    found = ta.Attributor(model).attribute(X, method="gradient")
    assert (float(layer.seen), int(layer.calls)) == (0.25, 7)
    kernel, bias = model.parts[-1].get_weights()
    expected = tf.nn.softmax((X + 0.25) @ kernel + bias).numpy()
    np.testing.assert_allclose(found.scores, expected[np.arange(4), found.target], rtol=1e-5)
    assert ta.Attributor(model).attribute(X, method="occlusion").attributions.shape == (4, 3)
    assert (float(layer.seen), int(layer.calls)) == (0.25, 7)


@pytest.mark.parametrize("compiled", [False, True])
def test_what_a_model_writes_and_then_reads_is_what_it_computes_with(compiled):
    count = tf.Variable(2)

    def model(x):
        count.assign_add(1)
        return x**2 * tf.cast(count, tf.float32)

    found = ta.Attributor(tf.function(model) if compiled else model).attribute(X, target=0, method="gradient")
    np.testing.assert_allclose(found.scores, 3 * X[:, 0] ** 2, rtol=1e-6)  # of the count before: 2
    np.testing.assert_allclose(found.attributions[:, 0], 6 * X[:, 0], rtol=1e-6)
    assert count.numpy() == 2
    assert "after it has written it" in found.eager


def test_a_stateful_recurrent_net_that_an_earlier_batch_left_is_refused():
    inputs = keras.Input(batch_shape=(2, 5, 3))
    model = keras.Model(inputs, layers.Dense(2)(layers.SimpleRNN(4, stateful=True, name="rnn")(inputs)))
    x = RNG.normal(size=(2, 5, 3)).astype("float32")
    attributor = ta.Attributor(model, eager=True)
    graph = ta.Attributor(model, eager=False).attribute(x, target=0, method="gradient")
    np.testing.assert_allclose(attributor.attribute(x, target=0, method="gradient").attributions, graph.attributions, rtol=1e-4)
    model.predict(x, verbose=0)
    with pytest.raises(ta.AttributionError, match="earlier batch"):
        attributor.attribute(x, target=0)


def test_a_batch_of_one_size_whose_values_are_read_holds_copies_of_one_example():
    class Noting(layers.Layer):
        def call(self, x):
            seen.append(x.numpy())
            return 2 * x if x.numpy().sum() > 0 else x**2

        def compute_output_shape(self, shape):
            return shape

    seen = []
    inputs = keras.Input(batch_shape=(4, 3))
    model = keras.Model(inputs, layers.Dense(1, use_bias=False)(Noting()(inputs)))
    found = ta.Attributor(model).attribute(X[:3], method="gradient")
    kernel = model.layers[-1].get_weights()[0][:, 0]
    expected = np.where(X.sum(1, keepdims=True) > 0, 2, 2 * X)[:3] * kernel
    np.testing.assert_allclose(found.attributions, expected, rtol=1e-5)
    assert all(len(batch) == 4 for batch in seen)
    assert all((batch == batch[0]).all() for batch in seen)


def test_sequences_of_any_length():
    class Ends(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = layers.Dense(4, activation="tanh", name="hidden")

        def call(self, x):
            assert np.isfinite(x.numpy()).all()
            return tf.nn.softmax(tf.reduce_sum(self.hidden(x), 1))

    model = Ends()
    model(np.zeros((1, 2, 3), "float32"))
    attributor = ta.Attributor(model, at="hidden")
    for length in (2, 5, 2):
        x = RNG.normal(size=(2, length, 3)).astype("float32")
        found = attributor.attribute(x, method=ta.IntegratedGradients(n_steps=12))
        assert found.attributions.shape == (2, length, 4)
        np.testing.assert_allclose(found.totals, found.scores - found.baseline_scores, atol=1e-3)


def test_what_needs_a_graph_says_so():
    model = make_cnn()
    x = RNG.uniform(size=(2, 8, 8, 1)).astype("float32")
    attributor = ta.Attributor(model, eager=True)
    for method in ("deeplift", "guided_backprop", ta.DeepLift("reveal_cancel")):
        with pytest.raises(ta.AttributionError, match=r"needs the model as a graph.*eager=True"):
            attributor.attribute(x, method=method)
    with pytest.raises(ta.AttributionError, match="needs the model as a graph"):
        ta.coverage(attributor, "deeplift")
    for options in ({"at": ta.tensor("conv/Relu:0")}, {"of": ta.tensor("conv/Relu:0")}):
        with pytest.raises(ta.AttributionError, match="needs the model as a graph"):
            ta.Attributor(model, eager=True, **options).attribute(x)
    with pytest.raises(ta.AttributionError, match=r"no layer is called 'cnov'.*'conv'"):
        ta.Attributor(model, eager=True, at="cnov").attribute(x)
    with pytest.raises(ta.AttributionError, match="eager must be"):
        ta.Attributor(model, eager="yes")


def test_an_export_is_a_graph(tmp_path):
    make_cnn().export(tmp_path / "export", verbose=False)
    with pytest.raises(ta.AttributionError, match="exported"):
        ta.Attributor(tmp_path / "export", eager=True)


def doubled(values):
    return [values[0] ** 3 * values[1], tf.reduce_sum(values[0], 1)]


def test_an_operation_and_its_second_derivatives():
    specs = [tf.TensorSpec([None, 3], tf.float32), tf.TensorSpec([None], tf.float32)]
    a, b, move = (tf.constant(RNG.normal(size=(2, 3)).astype("float32")) for _ in range(3))
    operation = Operation(doubled, specs, [0, 1], False, lambda *lost: None)

    @tf.function
    def of_graph(a, b, move):
        cube, total = operation([a, b])
        first = tf.gradients([cube, total], [a, b])
        second = tf.gradients(first[0], [a, b])
        probe = tf.zeros_like(cube)
        forward = tf.gradients(tf.gradients([cube], [a], grad_ys=[probe]), [probe], grad_ys=[move])
        return cube, total, first, second, forward[0]

    for _ in range(3):  # the first call, and those that know that a backward pass follows
        cube, total, first, second, forward = of_graph(a, b, move)
        np.testing.assert_allclose(cube, a**3 * b, rtol=1e-5)
        np.testing.assert_allclose(total, tf.reduce_sum(a, 1), rtol=1e-5)
        np.testing.assert_allclose(first[0], 3 * a**2 * b + 1, rtol=1e-4)
        np.testing.assert_allclose(first[1], a**3, rtol=1e-4)
        np.testing.assert_allclose(second[0], 6 * a * b, rtol=1e-4)
        np.testing.assert_allclose(second[1], 3 * a**2, rtol=1e-4)
        np.testing.assert_allclose(forward, 3 * a**2 * b * move, rtol=1e-4)


def test_a_backward_pass_takes_the_tape_of_its_forward_pass_and_keeps_none():
    calls = []

    def run(values):
        calls.append(1)
        return [tf.sin(values[0])]

    operation = Operation(run, [tf.TensorSpec([None], tf.float32)], [0], False, lambda *lost: None)

    @tf.function
    def both(x):
        (y,) = operation([x])
        return y, tf.gradients(y, x)[0]

    forward = tf.function(lambda x: operation([x])[0])
    x = tf.constant([0.1, 0.2])
    counts = []
    for step in (both, both, both, forward, forward, forward):
        before = len(calls)
        step(x)
        counts.append(len(calls) - before)
    assert counts == [2, 1, 1, 1, 1, 1]
    assert operation._kept is None


def test_threads_do_not_meet():
    tokens = keras.Input((4,), dtype="int32")
    mean = layers.GlobalAveragePooling1D()(layers.Embedding(30, 6, mask_zero=True)(tokens))
    hidden = layers.Dense(5, activation="tanh", name="hidden")(mean)
    model, ids = keras.Model(tokens, layers.Dense(1)(hidden)), RNG.integers(1, 30, (3, 4))
    expected = ta.Attributor(model, eager=True, at="hidden").attribute(ids, method="gradient").attributions
    found, errors = {}, []

    def attribute(number):
        try:
            found[number] = ta.Attributor(model, eager=True, at="hidden").attribute(ids, method="gradient").attributions
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=attribute, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not errors
    assert not any(thread.is_alive() for thread in threads)
    for value in found.values():
        np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_the_rest_of_the_library_works_with_it(tmp_path):
    model = reading(layers.Dense(4, activation="tanh", name="hidden"))
    x, y = RNG.normal(size=(8, 3)).astype("float32"), np.arange(8) % 3
    model.compile(loss="sparse_categorical_crossentropy", run_eagerly=True)
    attributor = ta.Attributor(model)
    report = ta.diagnose(attributor, x[:3])
    assert report["called_eagerly"].severity == "note"
    assert report["called_eagerly"].evidence["one_at_a_time"]
    assert not any(finding.name == "custom_gradients" for finding in report.findings)
    wrong = ta.misclassified(attributor, (x, y), method="gradient")
    assert len(wrong) == int((model(x).numpy().argmax(1) != y).sum())
    logging = ta.AttributionCallback((x[:2], y[:2]), log_dir=str(tmp_path / "logs"), method="gradient")
    model.evaluate(x, y, verbose=0, callbacks=[logging])
    assert list((tmp_path / "logs").rglob("events*"))
    result = attributor.attribute(x[:2], method="gradient")
    result.save(tmp_path / "result.npz")
    assert ta.load(tmp_path / "result.npz").eager == result.eager != ""


@pytest.mark.slow
def test_the_command_line_calls_a_model_that_cannot_be_traced(tmp_path):
    source = tmp_path / "own.py"
    source.write_text(
        "import keras, numpy\n"
        "@keras.saving.register_keras_serializable('own')\n"
        "class Reading(keras.layers.Layer):\n"
        "    def call(self, x):\n"
        "        return x * float(numpy.isfinite(x.numpy()).all())\n"
        "    def compute_output_shape(self, shape):\n"
        "        return shape\n"
    )
    make = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import own, keras, numpy\n"
        "model = keras.Sequential([keras.Input((3,)), own.Reading(), keras.layers.Dense(2, activation='softmax')])\n"
        f"model.save({str(tmp_path / 'model.keras')!r})\n"
        f"numpy.save({str(tmp_path / 'x.npy')!r}, numpy.ones((2, 3), 'float32'))\n"
    )
    subprocess.run([sys.executable, "-c", make], check=True, capture_output=True)
    command = [sys.executable, "-m", "tf_attrib", "attribute", "model.keras", "x.npy", "--import", "own.py", "--allow-unsafe"]
    done = subprocess.run([*command, "--method", "gradient"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "called eagerly" in done.stdout
