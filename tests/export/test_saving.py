"""What is written: signatures, files, and numbers in processes that have TensorFlow alone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tests.conftest import assert_refused, make_cnn
from tests.helpers.exported import relative

METHOD = ta.IntegratedGradients(n_steps=6)
# A process in which neither this package nor Keras can be imported; it becomes the command that ships with TensorFlow.
ALONE = """
import runpy, sys
sys.modules.update(dict.fromkeys(("tf_attrib", "keras", "tf_keras")))
import numpy as np, tensorflow as tf
explain = tf.saved_model.load(sys.argv[1]).signatures["explain"]
x = np.load(sys.argv[2])
found = explain(image=tf.constant(x), target=tf.constant([-1]), baseline=tf.zeros((1, *x.shape[1:])))
np.save(sys.argv[3], found["attributions"].numpy())
if sys.argv[4:]:
    sys.argv = sys.argv[4:]
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def cnn():
    keras.utils.set_random_seed(1)
    return make_cnn()


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype("float32")


@pytest.fixture(scope="module")
def attributor(cnn):
    return ta.Attributor(cnn)


@pytest.fixture(scope="module")
def small():
    """The least there is to write, where what is written proves nothing."""
    return ta.Attributor(keras.Sequential([keras.Input((3,)), layers.Dense(2, "softmax")]))


@pytest.fixture(scope="module")
def wanted(attributor, x):
    return attributor.attribute(x, method=METHOD)


@pytest.fixture(scope="module")
def written(attributor, tmp_path_factory):
    return attributor.export(tmp_path_factory.mktemp("served") / "deep" / "1", METHOD, batch_size=8)


def test_the_signatures_of_the_model_are_there_as_its_own_export_has_them(cnn, written, x, tmp_path):
    cnn.export(str(tmp_path / "own"), verbose=False)
    own, ours = (tf.saved_model.load(str(path)).signatures["serving_default"] for path in (tmp_path / "own", written))
    assert list(own.structured_outputs) == list(ours.structured_outputs)
    (name,) = ours.structured_input_signature[1]
    np.testing.assert_allclose(ours(**{name: x})["output_0"], cnn(x), atol=1e-6)


@pytest.fixture(scope="module")
def elsewhere(written, x, tmp_path_factory):
    """What a process without this package found, and what TensorFlow's own command did in it: their folder."""
    place = tmp_path_factory.mktemp("elsewhere")
    np.save(place / "x.npy", x)
    arguments = [str(written), str(place / "x.npy"), str(place / "found.npy")]
    command = str(Path(sys.executable).parent / "saved_model_cli")
    asked = ["run", "--dir", str(written), "--tag_set", "serve", "--signature_def", "explain"]
    inputs = ["--inputs", f"image={place / 'x.npy'}", "--outdir", str(place)]
    process = [sys.executable, "-c", ALONE, *arguments, command, *asked, *inputs]
    subprocess.run(process, check=True, capture_output=True, cwd=place)
    return place


def test_a_process_without_this_package(wanted, elsewhere):
    assert relative(np.load(elsewhere / "found.npy"), wanted.attributions) < 1e-5


def test_the_command_that_ships_with_tensorflow_needs_the_inputs_alone(wanted, elsewhere):
    assert relative(np.load(elsewhere / "attributions.npy"), wanted.attributions) < 1e-5
    np.testing.assert_array_equal(np.load(elsewhere / "target.npy"), wanted.target)


def test_inspect_says_what_it_holds_and_that_nothing_in_it_is_unsafe(written):
    found = ta.inspect(written)
    assert found.unsafe_ops == ()
    assert set(found.signatures) == {"serving_default", "explain"}
    assert found.explanation["method"] == repr(METHOD)
    assert found.explanation["evaluations"] == 6
    text = str(found)
    assert "explains  probability at 'head' by IntegratedGradients(rule='gauss_legendre', n_steps=6)" in text
    assert "against zeros, or a baseline that comes with the call" in text
    assert json.loads(found.to_json())["explanation"]["outputs"]["status"] == {"dtype": "string", "shape": [None]}


def test_a_description_that_cannot_be_read_is_said_to_be(written, tmp_path):
    copy = shutil.copytree(written, tmp_path / "copy")
    for broken in ("[1]", "{", '{"method": "\\u001b[2J"}'):
        (copy / "assets.extra" / "tf_attrib.json").write_text(broken)
        found = ta.inspect(copy)
        assert "\x1b" not in str(found)
        assert (found.explanation is None) == (broken != '{"method": "\\u001b[2J"}')
        assert any("cannot be read" in note for note in found.notes) == (found.explanation is None)


def test_a_description_tells_what_is_drawn_and_what_is_left_out(tmp_path):
    keras.utils.set_random_seed(2)
    ids, table = keras.Input((4,), dtype="int32", name="ids"), keras.Input((3,), name="table")
    counted = layers.Flatten()(layers.CategoryEncoding(6, "multi_hot")(ids))
    model = keras.Model([ids, table], layers.Dense(2, "softmax")(layers.Concatenate()([counted, table])))
    method = ta.ShapleySampling(exact_up_to=0, tolerance=0.1, max_evaluations=5000)
    path = ta.Attributor(model, at=ta.inputs("table")).export(tmp_path / "shapley", method)
    found = ta.inspect(path).explanation
    assert (found["tolerance"], found["max_evaluations"], found["exact"]) == (0.1, 5000, False)
    assert "what is drawn is the same for all examples" in found["notes"]
    assert "with at most 5000 coalitions of an example" in str(ta.inspect(path))


def test_what_holds_for_attribute_alone_is_said(small, tmp_path):
    path = ta.Attributor(small.model, jit_compile=True).export(tmp_path / "m", "gradient")
    assert any("XLA does not compile" in note for note in ta.inspect(path).explanation["notes"])


def test_it_is_a_model_to_be_explained_itself(wanted, written, x):
    found = ta.Attributor(written).attribute(x, method=METHOD)
    assert relative(found.attributions, wanted.attributions) < 1e-5


def test_a_saved_model_without_its_source(cnn, x, tmp_path):
    """Its signatures stay, gradients that its author wrote are heeded, and its tables come along."""

    @tf.custom_gradient
    def doubled(value):
        return value, lambda upstream: 2 * upstream

    class Module(tf.Module):
        def __init__(self):
            self.weight = tf.Variable([[1.0, 2.0], [3.0, -1.0], [0.5, 0.0]])
            keys = tf.lookup.KeyValueTensorInitializer(["a", "b"], [1.0, 3.0])
            self.table = tf.lookup.StaticHashTable(keys, 0.0)

        @tf.function(input_signature=[tf.TensorSpec([None, 3], name="x"), tf.TensorSpec([None], tf.string, name="key")])
        def call(self, x, key):
            return {"scores": doubled(x) @ self.weight * self.table.lookup(key)[:, None]}

        @tf.function(input_signature=[tf.TensorSpec([None, 3], name="x")])
        def other(self, x):
            return {"sum": tf.reduce_sum(x, 1)}

    module = Module()
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=True)
    tf.saved_model.save(module, str(tmp_path / "own"), {"serving_default": module.call, "other": module.other}, options)
    attributor = ta.Attributor(tmp_path / "own")
    given = {"x": x[:, 0, :3, 0], "key": np.array(["a", "b", "c"])}
    wanted = attributor.attribute(given, [0, 1, 0], method="gradient")
    path = attributor.export(tmp_path / "explained", "gradient")
    signatures = tf.saved_model.load(str(path)).signatures
    assert set(signatures) == {"serving_default", "other", "explain"}
    found = signatures["explain"](x=given["x"], key=tf.constant(["a", "b", "c"]), target=tf.constant([0, 1, 0]))
    np.testing.assert_allclose(found["attributions_x"], wanted.attributions["x"], atol=1e-6)
    np.testing.assert_allclose(found["attributions_x"], 2 * np.array([[1, 3, 0.5], [6, -3, 0], [0, 0, 0]]), atol=1e-6)
    assert_refused(lambda: ta.Attributor(path).export(tmp_path / "again", "gradient"), "signature 'explain' already")


def test_a_function_that_closes_over_a_variable_to_a_stated_accuracy(tmp_path):
    weight = tf.Variable([[1.0, -2.0], [3.0, 4.0]])
    attributor = ta.Attributor(lambda x: tf.tanh(x @ weight))
    assert_refused(lambda: attributor.export(tmp_path / "f", "gradient"), "give two examples", "examples=inputs[:2]")
    x = np.array([[0.1, 0.2], [0.3, -0.4]], "float32")
    path = attributor.export(tmp_path / "f", ta.IntegratedGradients(0.02), examples=x)
    assert "to 0.02, with at most 1025 gradients of each path" in str(ta.inspect(path))
    call = tf.saved_model.load(str(path)).signatures["explain"]
    found = call(input=tf.constant(x), target=tf.constant([1]), baseline=tf.zeros([1, 2]))
    exact = attributor.attribute(x, 1, method=ta.IntegratedGradients(n_steps=50)).attributions
    assert relative(found["attributions"].numpy(), exact) <= 1e-4  # of a score that is smooth two levels agree to more


def test_a_model_of_tf_keras_is_left_as_it_was(tmp_path):
    tf_keras = pytest.importorskip("tf_keras")
    model = tf_keras.Sequential([tf_keras.layers.Dense(4, "relu", name="hidden", input_shape=(3,)), tf_keras.layers.Dense(2)])
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    path = ta.Attributor(model).export(tmp_path / "k", "deeplift")
    found = tf.saved_model.load(str(path)).signatures
    (name,) = found["serving_default"].structured_input_signature[1]
    given = {name: tf.constant(x), "target": tf.constant([1]), "baseline": tf.zeros([1, 3])}
    wanted = ta.Attributor(model, at="hidden").attribute(x, 1, method="gradient")  # its layers are found as before
    assert wanted.attributions.shape == (4, 4)
    deeplift = ta.Attributor(model).attribute(x, 1, method="deeplift")
    np.testing.assert_allclose(found["explain"](**given)["attributions"], deeplift.attributions, atol=1e-6)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("kernel_shap", ("what it evaluates next is decided in Python", "integrated_gradients, ")),
        ("expected_gradients", ("draws anew for each example",)),
        ("xrai", ("goes on from attributions",)),
        (ta.SmoothGrad("integrated_gradients"), ("paths with fixed nodes alone",)),
        (ta.ShapleySampling(max_evaluations=100), ("64 players", "coalitions at least")),
    ],
)
def test_methods_that_no_graph_can_evaluate(attributor, tmp_path, method, words):
    baselines = ta.dataset(np.zeros((2, 8, 8, 1), "float32")) if method == "expected_gradients" else None
    assert_refused(lambda: attributor.export(tmp_path / "m", method, baselines), *words)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_part_of_a_file(cnn, attributor, written, x, tmp_path):
    assert_refused(lambda: attributor.export(written, "gradient"), "there is something at")
    assert_refused(lambda: attributor.export(tmp_path / "m", baselines=ta.blur(2.0)), "follows each example", "'baseline'")
    called = ta.Attributor(cnn, eager=True)
    assert_refused(lambda: called.export(tmp_path / "m", "gradient"), "cannot be exported", "operations of TensorFlow alone")
    words = keras.Input((None, 4), name="x")
    open_ended = ta.Attributor(keras.Model(words, layers.Dense(1)(layers.GlobalAveragePooling1D()(words))))
    assert_refused(lambda: open_ended.export(tmp_path / "m", "occlusion"), "must be known when it is exported")
    rising = np.arange(32, dtype="float32").reshape(8, 4)
    assert_refused(lambda: open_ended.export(tmp_path / "m", baselines=rising), "other values along axis 1", "ta.zeros()")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_where_tensorflow_cannot_write(small, tmp_path, monkeypatch):
    def fails(*arguments, **named):
        raise OSError("no space left on device")

    monkeypatch.setattr(tf.saved_model, "save", fails)
    assert_refused(lambda: small.export(tmp_path / "m", "gradient"), "no space left")
    assert list(tmp_path.iterdir()) == []


def test_a_path_below_a_file_and_one_that_starts_at_home(small, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "file").touch()
    assert_refused(lambda: small.export(tmp_path / "file" / "m", "gradient"), "cannot be made")
    assert small.export("~/m", "gradient") == tmp_path / "m"
    assert (tmp_path / "m" / "saved_model.pb").is_file()


@pytest.mark.real
def test_an_environment_of_tensorflow_alone(wanted, written, x, tmp_path):
    np.save(tmp_path / "x.npy", x)
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # which may lead to this package
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    installed = subprocess.run([python, "-m", "pip", "install", "-q", f"tensorflow=={tf.__version__}"], capture_output=True)
    if installed.returncode:
        pytest.skip(f"the package index cannot be reached: {installed.stderr[-200:]}")
    names = subprocess.run([python, "-m", "pip", "list"], check=True, capture_output=True, text=True, env=alone).stdout
    assert "tf_attrib" not in names
    arguments = [str(written), str(tmp_path / "x.npy"), str(tmp_path / "found.npy")]
    subprocess.run([python, "-c", ALONE, *arguments], check=True, capture_output=True, cwd=tmp_path, env=alone)
    assert relative(np.load(tmp_path / "found.npy"), wanted.attributions) < 1e-5
