"""Whatever inputs come as: each kind works, or gets an error with the call that works, and that call does."""

import inspect

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf
import tf_keras
from keras import layers
from PIL import Image

import tf_attrib as ta

from ..conftest import assert_refused, spread

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 255, (2, 8, 6, 3)).astype("uint8")
FLOATS = IMAGES.astype("float32")
ROWS = RNG.normal(size=(3, 3)).astype("float32")
IDS = [[1, 2, 3, 0, 0], [4, 5, 0, 0, 0]]
SHORT = [[1, 2, 3], [4, 5]]
PADDED = np.array([[1, 2, 3], [4, 5, 0]])
TEXTS = ["a b", "b"]


def head(*shape, before=(), **options):
    """A net of one input with two outputs."""
    dense = layers.Dense(2, kernel_initializer=spread())
    return keras.Sequential([keras.Input(shape, **options), *before, layers.Flatten(), dense])


def embedded(mask_zero=False):
    return layers.Embedding(9, 3, mask_zero=mask_zero, embeddings_initializer=spread())


def cast():
    return layers.Lambda(lambda x: tf.cast(x, "float32"))


def two_inputs():
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    return keras.Model([a, b], layers.Dense(2)(layers.Concatenate()([a, b])))


NETS = {
    "images": lambda: head(8, 6, 3),
    "images, channels first": lambda: head(3, 8, 6),
    "images of any size": lambda: head(None, None, 3, before=[layers.GlobalAveragePooling2D()]),
    "gray images": lambda: head(8, 6, 1),
    "whole pixels": lambda: head(8, 6, 3, before=[layers.Rescaling(1 / 255.0)], dtype="uint8"),
    "rows": lambda: head(3),
    "truth values": lambda: head(3, before=[cast()], dtype="bool"),
    "whole numbers": lambda: head(3, before=[cast()], dtype="int64"),
    "ids": lambda: head(5, before=[embedded()], dtype="int32"),
    "ids of any length": lambda: head(None, before=[embedded(mask_zero=True), layers.GlobalAveragePooling1D()], dtype="int32"),
    "texts": lambda: head(
        1, before=[layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=3), embedded()], dtype="string"
    ),
    "two": two_inputs,
}


@pytest.fixture(scope="module")
def attributors():
    made = {}

    def get(name):
        if name not in made:
            keras.utils.set_random_seed(3)
            made[name] = ta.Attributor(NETS[name]())
        return made[name]

    return get


def pictures(mode="RGB"):
    return [Image.fromarray(image).convert(mode) for image in IMAGES]


def alike(found, expected):
    for one, other in zip(tf.nest.flatten(found.attributions), tf.nest.flatten(expected.attributions), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
        assert np.abs(one).max() > 0


# what works: the model, what is given, and the same as arrays that the model takes
WORKS = {
    "a list of lists": ("rows", ROWS.tolist(), ROWS),
    "float64": ("rows", ROWS.astype("float64"), ROWS),
    "a tensor": ("rows", tf.constant(ROWS), ROWS),
    "a variable": ("rows", tf.Variable(ROWS), ROWS),
    "a list with the one input": ("rows", [ROWS], ROWS),
    "truth values for floats": ("rows", ROWS > 0, (ROWS > 0).astype("float32")),
    "truth values": ("truth values", ROWS > 0, ROWS > 0),
    "truth values as floats": ("truth values", (ROWS > 0).astype("float32"), ROWS > 0),
    "whole numbers": ("whole numbers", np.int32([[1, 2, 3]]), np.int64([[1, 2, 3]])),
    "whole numbers as floats": ("whole numbers", np.float32([[1, 2, 3]]), np.int64([[1, 2, 3]])),
    "whole pixels": ("whole pixels", IMAGES, IMAGES),
    "whole pixels as floats": ("whole pixels", FLOATS, IMAGES),
    "pixels for a model of floats": ("images", IMAGES, FLOATS),
    "padded sequences": (
        "ids of any length",
        keras.utils.pad_sequences(SHORT, padding="post"),
        PADDED,
    ),
    "padded sequences of floats": (
        "ids of any length",
        keras.utils.pad_sequences(SHORT, padding="post", dtype="float32"),
        PADDED,
    ),
    "texts as a tensor": ("texts", tf.constant(TEXTS)[:, None], np.array(TEXTS)[:, None]),
    "texts as nested lists": ("texts", [[text] for text in TEXTS], np.array(TEXTS)[:, None]),
    "two inputs in a tuple": ("two", (ROWS, ROWS[:, :2]), [ROWS, ROWS[:, :2]]),
    "two inputs by name": ("two", {"b": ROWS[:, :2], "a": ROWS}, [ROWS, ROWS[:, :2]]),
}


@pytest.mark.parametrize("name", WORKS)
def test_it_works_as_arrays_do(attributors, name):
    model, given, arrays = WORKS[name]
    found, expected = (attributors(model).attribute(x, target=1, verbose=False) for x in (given, arrays))
    alike(found, expected)


@pytest.mark.parametrize("name", ["whole pixels", "truth values", "whole numbers"])
def test_numbers_that_are_cast_inside_have_baselines_and_are_no_ids(attributors, name):
    model, given, _ = WORKS[name]
    found = attributors(model).attribute(given, target=1, baselines=ta.at_input(np.ones_like(given[0])), verbose=False)
    assert found.attributions.shape == given.shape
    assert found.place == "inputs"
    np.testing.assert_allclose(found.totals, found.difference, atol=1e-3)
    same = np.asarray(given) == 1
    np.testing.assert_allclose(found.attributions[same], 0, atol=1e-6)


# what does not: the model, what is given, the call that the error names, and the arrays that it is to make
REFUSED = {
    "a list of images": ("images", list(FLOATS), "np.stack(inputs)", FLOATS),
    "a list of rows": ("rows", list(ROWS), "np.stack(inputs)", ROWS),
    "one image": ("images", FLOATS[0], "inputs[None]", FLOATS[:1]),
    "one row": ("rows", ROWS[0], "inputs[None]", ROWS[:1]),
    "one row in a list": ("rows", ROWS[0].tolist(), "np.asarray(inputs)[None]", ROWS[:1]),
    "one sequence": ("ids", np.array(IDS[0]), "inputs[None]", np.array(IDS[:1])),
    "one text": ("texts", "a b", "np.array([[inputs]])", np.array([["a b"]])),
    "a list of texts": ("texts", TEXTS, "np.asarray(inputs)[:, None]", np.array(TEXTS)[:, None]),
    "texts in one axis": ("texts", np.array(TEXTS), "inputs[:, None]", np.array(TEXTS)[:, None]),
    "gray images without channels": ("gray images", FLOATS[..., 0], "inputs[..., None]", FLOATS[..., :1]),
    "channels first": ("images", np.moveaxis(FLOATS, -1, 1), "np.moveaxis(inputs, 1, -1)", FLOATS),
    "channels first, of any size": ("images of any size", np.moveaxis(FLOATS, -1, 1), "np.moveaxis(inputs, 1, -1)", FLOATS),
    "one with channels first": ("images", np.moveaxis(FLOATS[0], -1, 0), "np.moveaxis(inputs, 0, -1)[None]", FLOATS[:1]),
    "channels last": ("images, channels first", FLOATS, "np.moveaxis(inputs, -1, 1)", np.moveaxis(FLOATS, -1, 1)),
    "one with channels last": (
        "images, channels first",
        FLOATS[0],
        "np.moveaxis(inputs, -1, 0)[None]",
        np.moveaxis(FLOATS[:1], -1, 1),
    ),
    "channels first as a tensor": ("images", tf.constant(np.moveaxis(FLOATS, -1, 1)), "np.moveaxis(inputs, 1, -1)", FLOATS),
    "pictures": ("images", pictures(), "np.stack(inputs)", FLOATS),
    "one picture": ("images", pictures()[0], "np.asarray(inputs)[None]", FLOATS[:1]),
    "pictures with transparency": (
        "images",
        pictures("RGBA"),
        "np.stack([np.asarray(image.convert('RGB')) for image in inputs])",
        FLOATS,
    ),
    "gray pictures": ("gray images", pictures("L"), "np.stack(inputs)[..., None]", np.stack(pictures("L"))[..., None]),
    "colour pictures for a gray model": (
        "gray images",
        pictures(),
        "np.stack([np.asarray(image.convert('L')) for image in inputs])[..., None]",
        np.stack(pictures("L"))[..., None],
    ),
    "pictures of several sizes": (
        "images of any size",
        [pictures()[0], pictures()[1].resize((5, 4))],
        "np.asarray(inputs[0])[None]",
        FLOATS[:1],
    ),
    "ragged": ("ids of any length", tf.ragged.constant(SHORT), "x.to_tensor()", PADDED),
    "ragged for one length": ("ids", tf.ragged.constant(SHORT), "x.to_tensor(shape=[None, length])", np.array(IDS)),
    "lists of several lengths": (
        "ids of any length",
        SHORT,
        "keras.utils.pad_sequences(x, padding='post')",
        PADDED,
    ),
    "sparse": ("rows", tf.sparse.from_dense(ROWS), "tf.sparse.to_dense(x)", ROWS),
    "sparse, of scipy": ("rows", scipy.sparse.csr_matrix(ROWS), "x.toarray()", ROWS),
    "a generator": ("rows", (batch for batch in [ROWS]), "next(iter(inputs))", ROWS),
    "a function of batches": ("rows", lambda: iter([ROWS]), "next(inputs())", ROWS),
    "a pair": ("rows", (ROWS, np.array([0, 1, 1])), "attribute(x, target=y)", ROWS),
    "one input by a name": ("rows", {"row": ROWS}, "inputs['row']", ROWS),
    "one example of two inputs": ("two", [ROWS[0], ROWS[:1, :2]], "inputs[0][None]", None),
    "fractions for whole pixels": ("whole pixels", FLOATS / 255, "np.uint8(255 * inputs)", None),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_error_names_the_call_that_works(attributors, name):
    model, inputs, call, arrays = REFUSED[name]
    attributor = attributors(model)
    with pytest.raises(ta.AttributionError) as caught:
        attributor.attribute(inputs, target=1, verbose=False)
    said = str(caught.value)
    # what streams are called is theirs to know
    assert call.replace("iter(inputs)", "iter(batches)").replace("inputs()", "batches()") in said, said
    if arrays is None:
        return
    given = eval(
        "x" if call.startswith("attribute") else call,
        {
            "np": np,
            "tf": tf,
            "keras": keras,
            "inputs": inputs,
            "x": inputs[0] if name == "a pair" else inputs,
            "length": 5,
        },
    )
    alike(*(attributor.attribute(one, target=1, verbose=False) for one in (given, arrays)))


def test_no_call_is_named_where_none_works(attributors):
    for model, inputs in (
        ("images", np.ones((2, 6, 8, 3), "float32")),
        ("images", np.ones((3, 6, 8), "float32")),
        ("rows", np.float32(3)),
        ("rows", np.ones((2, 4), "float32")),
        ("rows", np.ones(4, "float32")),
    ):
        with pytest.raises(ta.AttributionError) as caught:
            attributors(model).attribute(inputs)
        assert ";" not in str(caught.value), str(caught.value)


def test_a_float_mask_that_is_a_divisor_is_named():
    def mean(inputs):
        total = tf.reduce_sum(inputs["rows"] * inputs["mask"][..., None], [1, 2])
        return total / tf.reduce_sum(inputs["mask"], 1)

    mask = np.array([[1, 1, 0], [1, 1, 1]], "float32")
    inputs = {"rows": RNG.normal(size=(2, 3, 2)).astype("float32"), "mask": mask}
    assert_refused(lambda: ta.Attributor(mean).attribute(inputs, verbose=False), "with 'mask' alone", "at=[ta.inputs(name)")
    result = ta.Attributor(mean, at=[ta.inputs("rows")]).attribute(inputs, verbose=False)
    expected = inputs["rows"] * (mask / mask.sum(1, keepdims=True))[..., None]
    np.testing.assert_allclose(result.attributions, expected, rtol=1e-4)


def test_a_model_of_ragged_rows_is_given_as_a_function_of_rows_that_are_filled_up():
    """Filled up with zeros it took them for words, and the mean of one word was that of three."""
    entry = tf_keras.Input((None,), ragged=True, dtype="int64", name="ids")
    rows = tf_keras.layers.Embedding(6, 2, embeddings_initializer="normal")(entry)
    mean = tf_keras.layers.Lambda(lambda vectors: tf.reduce_mean(vectors, 1))(rows)
    model = tf_keras.Model(entry, tf_keras.layers.Dense(1)(mean))
    assert_refused(lambda: ta.Attributor(model), "'ids' of the model is ragged", "from_tensor(x, padding=0)")
    told, x = ta.Attributor(lambda x: model(tf.RaggedTensor.from_tensor(x, padding=0))), np.array([[1, 2, 3], [4, 0, 0]])
    expected = [model(tf.ragged.constant([row], dtype=tf.int64)).numpy().item() for row in ([1, 2, 3], [4])]
    for method in ("integrated_gradients", "deeplift"):
        result = told.attribute(x, method=method, verbose=False)
        np.testing.assert_allclose(result.scores, expected, rtol=1e-5)
        np.testing.assert_allclose(result.totals, expected - result.baseline_scores, atol=1e-5)


@pytest.mark.skipif("ragged" not in inspect.signature(keras.Input).parameters, reason="this Keras has no ragged inputs")
def test_so_is_one_of_keras_3():
    entry = keras.Input((None,), ragged=True, dtype="int64", name="ids")
    assert_refused(lambda: ta.Attributor(keras.Model(entry, layers.Embedding(6, 2)(entry))), "'ids' of the model is ragged")
