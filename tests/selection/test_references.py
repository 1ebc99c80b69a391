"""Baselines by key: one dict serves the Keras object and its export, whatever names each gives to its tensors."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_attrib as ta

from ..conftest import assert_refused

METHOD = ta.IntegratedGradients(n_steps=4)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Attributors of a net of two sequences of tokens and some numbers, as the object and as its export, and its inputs."""
    one, two = (keras.Input((length,), dtype="int32", name=name) for name, length in (("title", 4), ("body", 6)))
    numbers = keras.Input((3,), name="numbers")
    words = [layers.GlobalAveragePooling1D()(layers.Embedding(9, 4, name=f"words_of_{ids.name}")(ids)) for ids in (one, two)]
    model = keras.Model([one, two, numbers], layers.Dense(3, "softmax")(layers.Concatenate()([*words, numbers])))
    folder = str(tmp_path_factory.mktemp("both"))
    model.export(folder, verbose=False)
    rng = np.random.default_rng(0)
    inputs = {
        "title": rng.integers(1, 9, (2, 4)),
        "body": rng.integers(1, 9, (2, 6)),
        "numbers": rng.normal(size=(2, 3)).astype("float32"),
    }
    return ta.Attributor(model), ta.Attributor(folder), inputs


def by_place(result):
    """Attributions by the shape of an example, since names differ."""
    return {leaf.shape[1:]: leaf for leaf in result.attributions.values()}


@pytest.mark.parametrize("names", [("title", "numbers"), ("words_of_title", "numbers"), ("body", "title", "numbers")])
def test_one_dict_of_baselines_serves_the_object_and_its_export(both, names):
    model, export, inputs = both
    baselines = {name: ta.constant(0.1 * (1 + number)) for number, name in enumerate(names)}
    one, other = (attributor.attribute(inputs, 0, baselines, METHOD) for attributor in (model, export))
    zeros = model.attribute(inputs, 0, method=METHOD)
    assert np.abs(one.baseline_scores - zeros.baseline_scores).min() > 1e-6
    np.testing.assert_allclose(other.baseline_scores, one.baseline_scores, rtol=1e-5)
    for place, leaf in by_place(one).items():
        np.testing.assert_allclose(by_place(other)[place], leaf, atol=1e-6)


def test_the_keys_of_a_result_of_the_export_are_taken_by_the_object(both):
    model, export, inputs = both
    keys = export.attribute(inputs, 0, method="gradient").attributions
    (title,) = (key for key in keys if "words_of_title" in key)
    assert "/" in title
    scores = [
        attributor.attribute(inputs, 0, {name: ta.constant(0.3)}, METHOD).baseline_scores
        for attributor, name in ((model, title), (export, title), (model, "words_of_title"))
    ]
    np.testing.assert_allclose(scores[0], scores[2], rtol=1e-6)
    np.testing.assert_allclose(scores[1], scores[2], rtol=1e-5)


def test_names_of_nothing_and_two_names_of_one_tensor_are_refused(both):
    twice = {"title": ta.zeros(), "words_of_title": ta.constant(1)}
    for attributor in both[:2]:

        def attribute(baselines, attributor=attributor):
            return attributor.attribute(both[2], 0, baselines, METHOD)

        assert_refused(lambda attribute=attribute: attribute({"heading": ta.zeros()}), "heading")
        assert_refused(lambda attribute=attribute: attribute(twice), "two baselines", "'title'", "'words_of_title'")


def test_one_selected_tensor_is_known_by_the_name_of_its_input_too():
    ids = keras.Input((4,), dtype="int32", name="ids")
    model = keras.Model(ids, layers.Dense(2, "softmax")(layers.Flatten()(layers.Embedding(9, 3, name="words")(ids))))
    x, attributor = np.arange(8).reshape(2, 4), ta.Attributor(model)
    plain = attributor.attribute(x, 0, ta.constant(0.5), METHOD)
    for name in ("ids", "words"):
        named = attributor.attribute(x, 0, {name: ta.constant(0.5)}, METHOD)
        np.testing.assert_array_equal(named.attributions, plain.attributions)
    assert_refused(lambda: attributor.attribute(x, 0, {"nothing": ta.constant(0.5)}, METHOD), "one selected tensor")
