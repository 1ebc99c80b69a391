"""Model files: of Keras 3 and tf_keras, `.keras` and `.h5`, whole, broken, and with code inside."""

import importlib
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta

X = np.random.default_rng(2).normal(size=(3, 4)).astype("float32")


# Each library and each kind of file; what both make of all, `test_a_file_gives_the_numbers_of_its_model` says.
COVERED = pytest.mark.parametrize(
    ("library", "ending"),
    [("keras", ".keras"), ("tf_keras", ".h5")]
    + [pytest.param(*both, marks=pytest.mark.slow) for both in (("keras", ".h5"), ("tf_keras", ".keras"))],
)


def make(library, *more):
    layers = library.layers
    return library.Sequential(
        [layers.Input((4,)), layers.Dense(5, activation="tanh", name="hidden"), *more, layers.Dense(3, activation="softmax")]
    )


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("library", ["keras", "tf_keras"])
@pytest.mark.filterwarnings("ignore")
def test_a_file_gives_the_numbers_of_its_model(library, ending, tmp_path):
    library = pytest.importorskip(library)
    model = make(library)
    path = tmp_path / f"model{ending}"
    model.save(path)
    expected = ta.Attributor(model).attribute(X, method="gradient")
    attributor = ta.Attributor(str(path))
    assert type(attributor.model).__module__.split(".")[0] == library.__name__
    result = attributor.attribute(X, method="gradient")
    np.testing.assert_array_equal(result.attributions, expected.attributions)
    np.testing.assert_array_equal(result.scores, expected.scores)
    hidden = ta.Attributor(path, at="hidden", of="logits").attribute(X, method="gradient")
    assert hidden.attributions.shape == (3, 5)


@pytest.mark.filterwarnings("ignore")
def test_a_loss_from_logits_is_read_with_the_model(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.save(tmp_path / "model.keras")
    result = ta.Attributor(tmp_path / "model.keras").attribute(X, method="gradient")
    assert result.unit == "probability"
    np.testing.assert_allclose(result.scores, tf.nn.softmax(model(X)).numpy().max(1), rtol=1e-5)


def assert_refused(path, *words, **options):
    with pytest.raises(ta.AttributionError) as raised:
        ta.Attributor(path, **options)
    for word in (path.name, *words):
        assert word in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", [0.0, 0.5, 0.98])
def test_a_truncated_file(ending, part, tmp_path):
    whole, path = tmp_path / f"whole{ending}", tmp_path / f"model{ending}"
    make(keras).save(whole)
    content = whole.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    assert_refused(path, "model")


def test_files_that_are_no_models(tmp_path):
    text = tmp_path / "model.keras"
    text.write_text("not a model")
    assert_refused(text, "not a readable Keras model file")
    archive = tmp_path / "data.npz"
    np.savez(archive, x=X)
    assert_refused(archive, "not a readable Keras model file")
    assert_refused(tmp_path / "none.keras", "there is no model")
    folder = tmp_path / "folder"
    folder.mkdir()
    assert_refused(folder, "is a folder", "saved_model.pb")


def test_weights_alone(tmp_path):
    path = tmp_path / "model.weights.h5"
    make(keras).save_weights(path)
    assert_refused(path, "weights without a model", "model.save()")


@COVERED
@pytest.mark.filterwarnings("ignore")
def test_a_lambda_layer(library, ending, tmp_path):
    library = pytest.importorskip(library)
    model = make(library, library.layers.Lambda(lambda x: 2 * x, name="double", output_shape=(5,)))
    path = tmp_path / f"model{ending}"
    model.save(path)
    assert_refused(path, "'double'", "allow_unsafe=True", "--allow-unsafe")
    result = ta.Attributor(path, allow_unsafe=True).attribute(X, method="gradient")
    np.testing.assert_allclose(result.scores, np.asarray(model(X)).max(1), rtol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_a_lambda_layer_deep_inside(tmp_path):
    layers = keras.layers
    inner = keras.Sequential([keras.Input((5,)), layers.Lambda(lambda x: 2 * x, name="deep")])
    path = tmp_path / "model.keras"
    make(keras, inner).save(path)
    assert_refused(path, "'deep'")


@COVERED
@pytest.mark.filterwarnings("ignore")
def test_a_loss_that_is_not_known_here_does_not_matter(library, ending, tmp_path):
    pytest.importorskip(library)
    library = importlib.import_module(library)

    def own_loss(true, predicted):
        return predicted * 0.0

    model = make(library)
    model.compile(loss=own_loss)
    path = tmp_path / f"model{ending}"
    model.save(path)
    result = ta.Attributor(path).attribute(X, method="gradient")
    np.testing.assert_allclose(result.scores, np.asarray(model(X)).max(1), rtol=1e-5)


def test_a_layer_that_is_not_known_here_is_named(tmp_path):
    class OwnLayer(keras.layers.Layer):
        def call(self, x):
            return x

    path = tmp_path / "model.keras"
    make(keras, OwnLayer()).save(path)
    assert_refused(path, "OwnLayer", "not known", "allow_unsafe=True", "give Attributor the model")


def test_no_file_and_a_folder(tmp_path):
    assert_refused(tmp_path / "none.keras", "there is no model")
    (tmp_path / "folder.keras").mkdir()
    assert_refused(tmp_path / "folder.keras", "is a folder")


def two_headed(library):
    inputs = library.Input((4,))
    heads = [library.layers.Dense(2, activation="softmax", name="kind")(inputs), library.layers.Dense(3, name="size")(inputs)]
    return library.Model(inputs, heads)


@pytest.mark.parametrize("as_dict", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_the_losses_of_several_outputs_are_read_with_the_model(as_dict, tmp_path):
    model = two_headed(keras)
    losses = ["categorical_crossentropy", keras.losses.CategoricalCrossentropy(from_logits=True)]
    model.compile(loss=dict(zip(("kind", "size"), losses, strict=True)) if as_dict else losses)
    model.save(tmp_path / "model.keras")
    result = ta.Attributor(tmp_path / "model.keras", of=ta.probability("size")).attribute(X, method="gradient")
    assert result.unit == "probability"  # it is from the loss that the logits are known
    np.testing.assert_allclose(result.scores, tf.nn.softmax(model(X)[1]).numpy().max(1), rtol=1e-5)


def test_a_file_of_tf_keras_where_it_is_not_installed(tmp_path, monkeypatch):
    library = pytest.importorskip("tf_keras")
    make(library).save(tmp_path / "model.keras")
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    assert_refused(tmp_path / "model.keras", "tf_keras", "pip install")


def test_a_feature_space_in_front(tmp_path):
    """Its layers that join and hand on what it encodes are no public ones, and were not known."""
    kinds = keras.utils.FeatureSpace
    space = kinds({"age": kinds.float(), "job": kinds.string_categorical()}, output_mode="concat")
    data = {"age": np.float32([30, 40]), "job": np.array(["a", "b"])}
    space.adapt(tf.data.Dataset.from_tensor_slices(data).batch(2))
    model = keras.Model(space.get_inputs(), keras.layers.Dense(1)(space.get_encoded_features()))
    model.save(tmp_path / "model.keras")
    rows = {name: values[:, None] for name, values in data.items()}
    found = ta.Attributor(tmp_path / "model.keras").attribute(rows, verbose=False)
    expected = ta.Attributor(model).attribute(rows, verbose=False)
    for name, values in expected.by_column.items():
        np.testing.assert_allclose(found.by_column[name], values, rtol=1e-5)
    assert found.categories == expected.categories
