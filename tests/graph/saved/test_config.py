"""What a Keras file may name, against what the installed libraries offer, and how much it may ask for."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tf_attrib as ta
from tf_attrib.graph.saved import config, known, sizes

from ...helpers import hostile

# Of keras.layers, those that bring code or files along, those that compute nothing themselves, and functions of the same name.
UNSAFE = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "DenseFeatures"}
ABSTRACT = {"Layer", "Wrapper", "AbstractRNNCell"}


@pytest.mark.parametrize("library", [keras, tf_keras])
def test_every_layer_is_looked_at(library):
    """A new layer must be put among the known ones, or named here as one that is not."""
    offered = {name for name in dir(library.layers) if inspect.isclass(getattr(library.layers, name))}
    assert offered - known.LAYERS == (UNSAFE | ABSTRACT) & offered
    assert not UNSAFE & known.LAYERS
    assert {name for name in dir(library.initializers) if inspect.isclass(getattr(library.initializers, name))} - {
        "Initializer"
    } <= known.PARTS | known.FUNCTIONS
    assert {name for name in dir(library.activations) if not name.startswith("_")} - {
        "get",
        "serialize",
        "deserialize",
    } <= known.FUNCTIONS


def test_pure_functions_take_no_file():
    telling = {"filename", "filenames", "path", "vocab_file", "output_stream", "library_filename", "src", "dst"}
    found = 0
    for namespace in known.PURE_NAMESPACES | {"nn", ""}:
        module = getattr(tf, namespace) if namespace else tf
        for name in dir(module):
            function = getattr(module, name)
            if known.is_pure(f"{namespace}.{name}".lstrip(".")) and callable(function):
                found += 1
                assert not telling & set(inspect.signature(function).parameters), name
    assert found > 400
    for function in (
        "io.gfile.copy",
        "io.write_file",
        "load_op_library",
        "load_library",
        "print",
        "py_function",
        "function",
        "numpy_function",
        "nn.fixed_unigram_candidate_sampler",
        "raw_ops.WriteFile",
        "compat.v1.write_file",
        "math.__class__",
        "image..x",
        "keras.backend.clear_session",
        "keras.models.load_model",
        None,
    ):
        assert not known.is_pure(function), function
    assert known.is_pure("compat.v1.nn.relu")
    assert known.is_pure("__operators__.getitem")


def refused(entry, word):
    with pytest.raises(ta.AttributionError, match=word):
        config.check(entry)


def test_what_is_not_known_is_refused():
    refused({"class_name": "TFSMLayer", "config": {}, "module": "keras.layers"}, "TFSMLayer")
    refused({"class_name": "Dense", "config": {}, "module": "os"}, "'os'")
    refused({"class_name": "Dense", "config": {}, "registered_name": "mine>Dense"}, "Dense")
    refused({"class_name": "Own", "config": {}}, "Own")
    refused({"class_name": ["Dense"], "config": {}}, "no name")
    refused({"class_name": "function", "config": "system", "module": "os"}, "system")
    refused({"class_name": "function", "config": "load_model", "module": "keras.models"}, "load_model")
    refused({"activation": "load_model"}, "load_model")
    refused({"kernel_initializer": "mine"}, "mine")
    refused({"class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}}, "passwd")
    refused({"class_name": "__numpy__", "config": {"value": ["x"], "dtype": "U1000000000"}}, "type")
    refused({"class_name": "__numpy__", "config": {"value": ["x"], "dtype": "object"}}, "type")
    refused({"class_name": "__typespec__", "spec_name": "TensorSpec", "module": "os", "config": []}, "'os'")
    refused({"class_name": "ClassMethod", "config": {"cls_symbol": "io.TFRecordWriter", "method_name": "x"}}, "TFRecord")
    refused({"class_name": "InstanceMethod", "config": {"attr_name": "__init_subclass__"}}, "__init_subclass__")
    refused({"class_name": "TensorFlowOpLayer", "config": {"node_def": '{"op": "WriteFile"}'}}, "WriteFile")
    refused({"class_name": "LSTM", "config": {"unroll": True, "batch_input_shape": [None, 10**6, 1]}}, "1,000,00")
    refused({"class_name": "InputLayer", "config": {"batch_shape": [None, 10**5, 10**5]}}, "10,000,000,000")
    deep = value = {}
    for _ in range(5000):
        value["layer"] = value = {}
    refused(deep, "deeper")


@pytest.mark.parametrize("library", [keras, tf_keras])
@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore")
def test_ordinary_models_are_loaded(library, ending, tmp_path):
    """Initialisers, regularisers, constraints, policies, activations as layers, shared layers, losses; a quantised model."""
    layers = library.layers
    normal = layers.Normalization(mean=[1.0, 2.0], variance=[1.0, 4.0])
    inner = library.Sequential([library.Input((4,)), layers.Dense(4, activation="relu", kernel_regularizer="l2")])
    entry, other = library.Input((2,)), library.Input((1,), dtype="int64")
    ids = layers.CategoryEncoding(4, output_mode="one_hot")(layers.IntegerLookup(vocabulary=[3, 5, 7])(other))
    hidden = layers.Dense(
        4,
        activation=layers.LeakyReLU(),
        kernel_constraint=library.constraints.MaxNorm(2.0),
        kernel_initializer=library.initializers.Constant(0.5),
    )(normal(entry))
    hidden = layers.Concatenate()([inner(inner(hidden)), ids])
    model = library.Model([entry, other], layers.Dense(1)(hidden))
    model.compile(loss=library.losses.BinaryCrossentropy(from_logits=True), optimizer="adam")
    model.save(tmp_path / f"m{ending}")
    loaded = ta.load_model(tmp_path / f"m{ending}")
    given = [np.array([[1.0, 3.0]], "float32"), np.array([[5]])]
    np.testing.assert_allclose(loaded(given), model(given), rtol=1e-6)
    assert type(loaded.loss).__name__ == "BinaryCrossentropy"
    if library is keras and ending == ".keras":
        model = keras.Sequential([keras.Input((8,)), layers.Dense(4), layers.Dense(2)])
        model.quantize("int8")
        model.save(tmp_path / "q.keras")
        given = np.ones((1, 8), "float32")
        np.testing.assert_allclose(ta.load_model(tmp_path / "q.keras")(given), model(given), rtol=1e-2)


@pytest.mark.filterwarnings("ignore")
def test_functions_of_tensorflow_are_loaded(tmp_path):
    entry = tf_keras.Input((3, 4))
    value = tf.nn.softmax(entry * 2.0)[:, 1:]
    value = tf.concat([value, tf.math.log(value)], -1)
    model = tf_keras.Model(entry, tf.reduce_sum(value, 1))
    for ending in (".keras", ".h5"):
        model.save(tmp_path / f"m{ending}")
        given = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
        np.testing.assert_allclose(ta.load_model(tmp_path / f"m{ending}")(given), model(given), rtol=1e-6)


def test_variables_are_counted_before_they_are_made(tmp_path):
    with pytest.raises(ta.AttributionError, match="declares weights"), sizes.bounded(1000):
        keras.layers.Dense(10**9).build((None, 4))
    with sizes.bounded(1000):
        keras.layers.Dense(3).build((None, 4))
    generator = keras.random.SeedGenerator(1)
    with pytest.raises(ta.AttributionError, match="declares weights"), sizes.bounded(1000):
        keras.layers.Dense(10**9, kernel_initializer=keras.initializers.GlorotUniform(seed=generator)).build((None, 4))
    path = hostile.base(keras, tmp_path / "m.keras")
    with pytest.raises(ta.AttributionError, match=r"declares weights of more than .* MB, and holds 0\.0 MB"):
        ta.Attributor(hostile.edit_zip(path, hostile.with_option(1, units=10**9)))
