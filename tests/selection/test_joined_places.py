"""Attributions at several places at once: inputs, embeddings, layers and tensors side by side, none behind another."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_attrib as ta

from ..conftest import assert_refused, spread
from ..helpers.shared import attributor_for

RNG = np.random.default_rng(4)
INPUTS = {
    "picture": RNG.uniform(size=(3, 6, 6, 1)).astype("float32"),
    "words": RNG.integers(1, 9, (3, 4)).astype("int32"),
    "row": RNG.normal(size=(3, 2)).astype("float32"),
}


@pytest.fixture(scope="module")
def model():
    """Three branches that meet before the head."""
    picture, row = keras.Input((6, 6, 1), name="picture"), keras.Input((2,), name="row")
    words = keras.Input((4,), dtype="int32", name="words")
    seen = layers.Conv2D(2, 3, activation="tanh", name="conv", kernel_initializer=spread())(picture)
    read = layers.Embedding(9, 3, name="embedding", embeddings_initializer=spread())(words)
    known = layers.Dense(3, "tanh", name="known", kernel_initializer=spread())(row)
    flat = layers.Concatenate(name="joint")([layers.Flatten()(seen), layers.Flatten()(read), known])
    head = layers.Dense(3, "softmax", name="head", kernel_initializer=spread())(layers.Dense(4, "tanh")(flat))
    return keras.Model({"picture": picture, "words": words, "row": row}, head)


PLACES = {
    "inputs and an embedding": ([ta.inputs("picture"), "embeddings", ta.inputs("row")], {"picture", "embedding", "row"}),
    "layers": (["conv", "known", "embedding"], {"conv", "known", "embedding"}),
    "a layer and inputs": (["conv", ta.inputs("row"), ta.embeddings("embedding")], {"conv", "row", "embedding"}),
    "names of inputs": (["picture", "row", "embedding"], {"picture", "row", "embedding"}),
}


# Of inputs and an embedding the next test says more.
@pytest.mark.parametrize("name", [pytest.param(one, marks=pytest.mark.slow) if "inputs and" in one else one for one in PLACES])
def test_places_that_carry_all_add_up(model, name):
    at, keys = PLACES[name]
    result = attributor_for(model).observing(at).attribute(INPUTS, verbose=False)
    assert set(result.attributions) == keys
    np.testing.assert_allclose(result.totals, result.difference, atol=2e-3)
    assert (result.status == "converged").all()
    assert not [note for note in result.notes if "also reach" in note]


@pytest.mark.parametrize(
    "method",
    ["integrated_gradients", "deeplift", "ablation"]
    + [pytest.param(name, marks=pytest.mark.slow) for name in ("gradient", "smoothgrad", "expected_gradients")],
)
def test_several_inputs_and_embeddings_are_what_the_default_gives(model, method):
    baselines = ta.dataset(INPUTS) if method == "expected_gradients" else None
    found, expected = (
        attributor_for(model).observing(at).attribute(INPUTS, 1, baselines, method, seed=0, verbose=False)
        for at in (["embedding", "picture", "row"], None)
    )
    for key, leaf in found.attributions.items():
        np.testing.assert_allclose(leaf, expected.attributions[key], atol=1e-6)
        assert np.abs(leaf).max() > 1e-4


def test_layers_are_what_each_alone_gives_where_the_score_adds_them():
    """Of a score that is a sum over branches, each branch's part does not depend on the others."""
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    one, other = (layers.Dense(4, "tanh", name=name, kernel_initializer=spread())(x) for name, x in (("one", a), ("other", b)))
    total = layers.Add()([layers.Dense(1)(layers.Activation("tanh")(x)) for x in (one, other)])
    model, x = keras.Model([a, b], total), [RNG.normal(size=(2, 3)).astype("float32") for _ in range(2)]
    both = ta.Attributor(model, at=[model.get_layer("one"), "other"]).attribute(x, verbose=False)
    for name in ("one", "other"):
        alone = ta.Attributor(model, at=name).attribute(x, verbose=False)
        np.testing.assert_allclose(both.attributions[name], alone.attributions, atol=2e-3)
    np.testing.assert_allclose(both.totals, both.difference, atol=2e-3)


def test_several_inputs_keep_the_structure_of_the_inputs():
    a, b, c = (keras.Input((2,), name=name) for name in "abc")
    attributor = ta.Attributor(keras.Model([a, b, c], layers.Dense(1)(layers.Concatenate()([a, b, c]))), at=["a", "c"])
    x = [np.full((1, 2), value, "float32") for value in (1, 2, 3)]
    found = attributor.attribute(x, baselines={0: ta.constant(1), 2: ta.zeros()}, verbose=False)
    assert set(found.attributions) == {0, 2}
    assert not found.attributions[0].any()  # at its baseline
    assert found.attributions[2].any()
    assert "'b' also reaches the output past these places" in repr(found)
    np.testing.assert_allclose(found.totals, found.difference, atol=1e-5)


def test_whole_numbers_beside_a_layer():
    pixels, row = keras.Input((2, 2, 1), dtype="uint8", name="pixels"), keras.Input((3,), name="row")
    flat = layers.Flatten()(layers.Rescaling(1 / 255.0)(pixels))
    model = keras.Model([pixels, row], layers.Dense(1)(layers.Concatenate()([flat, layers.Dense(2, name="dense")(row)])))
    x = [np.arange(4, dtype="uint8").reshape(1, 2, 2, 1), np.ones((1, 3), "float32")]
    for at in (["pixels", "dense"], ["pixels", "row"]):
        found = ta.Attributor(model, at=at).attribute(x, verbose=False)
        np.testing.assert_allclose(found.totals, found.difference, atol=1e-5)
        expected = ta.Attributor(model, at=ta.inputs("pixels")).attribute(x, verbose=False)
        np.testing.assert_allclose(next(iter(flat_leaves(found))), expected.attributions, atol=1e-6)


def flat_leaves(result):
    return result.attributions.values() if isinstance(result.attributions, dict) else result.attributions


def test_grad_cam_at_several_layers(model):
    x = keras.Input((8, 8, 1))
    first = layers.Conv2D(2, 3, name="left", activation="relu")(x), layers.Conv2D(2, 5, name="right", activation="relu")(x)
    flat = layers.Concatenate()([layers.GlobalAveragePooling2D()(part) for part in first])
    net, pixels = keras.Model(x, layers.Dense(2)(flat)), RNG.uniform(size=(2, 8, 8, 1)).astype("float32")
    found = ta.Attributor(net, at=["left", "right"]).attribute(pixels, target=1, method="grad_cam", verbose=False)
    for name in ("left", "right"):
        alone = ta.Attributor(net, at=name).attribute(pixels, target=1, method="grad_cam", verbose=False)
        np.testing.assert_allclose(found.attributions[name], alone.attributions, atol=1e-6)
    assert_refused(
        lambda: ta.Attributor(model, at=["conv", ta.inputs("row")]).attribute(INPUTS, method="grad_cam"), "looks at layers"
    )


REFUSED = {
    "a layer behind an input": (["picture", "conv"], "'conv' lies behind 'picture'", "counted twice"),
    "an input before a layer": (["head", "row"], "'head' lies behind 'row'"),
    "a layer behind a layer": (["conv", "joint"], "'joint' lies behind 'conv'"),
    "all inputs and a layer": (["inputs", "known"], "has no gradient"),
    "one place twice": (["conv", "conv"], "twice"),
    "a layer by its name and as embeddings": (["embedding", "embeddings"], "twice"),
    "a name that is none": (["conv", "covn"], "'conv'"),
    "nothing": ([], "holds names, layers"),
    "a list in a list": ([["conv"], ["known", "row"]], "holds names, layers"),
    "a number": (["conv", 3], "or a list of such; got 3"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_places_that_do_not_fit_together_are_refused(model, name):
    at, *words = REFUSED[name]
    assert_refused(lambda: ta.Attributor(model, at=at).attribute(INPUTS, verbose=False), *words)


def test_a_list_of_one_is_that_one(model):
    found, expected = (
        attributor_for(model, at=None).observing(at).attribute(INPUTS, target=0, method="gradient", verbose=False)
        for at in (["conv"], "conv")
    )
    np.testing.assert_array_equal(found.attributions, expected.attributions)


@pytest.mark.parametrize("at", [ta.inputs("row"), "row"])
def test_an_input_alone_says_which_others_stay_as_they_are(model, at):
    result = attributor_for(model).observing(at).attribute(INPUTS, method="gradient", verbose=False)
    assert result.notes[-1].startswith("'picture', 'words' also reach the output past this place: they stay as they are")
    both = attributor_for(model).observing([at, "picture"]).attribute(INPUTS, method="gradient", verbose=False)
    assert [note for note in both.notes if "also reach" in note] == [
        "'words' also reaches the output past these places: it stays as it is, and gets no attribution"
    ]
    assert "also reach" not in "".join(ta.Attributor(model).attribute(INPUTS, method="gradient", verbose=False).notes)
