"""Ablation of feature groups: against a plain loop, and what its groups may be."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ..conftest import assert_refused, make_cnn
from ..helpers.shared import anew, attributor_for
from ..helpers.small_text import make_pooled_text

QUARTERS = np.kron(np.array([[0, 7], [7, 2]]), np.ones((4, 4), int))  # three groups, two of the quarters are one


@pytest.fixture(scope="module")
def cnn():
    keras.utils.set_random_seed(7)
    return make_cnn()


@pytest.fixture(scope="module")
def tokens():
    """The attributor of a net of tokens."""
    keras.utils.set_random_seed(7)
    return ta.Attributor(make_pooled_text())


def plain(model, x, groups, target, baseline=0.0):
    """F(x) - F(x without a group), for every feature of the group."""
    found, changed, where = np.zeros(x.shape), [], []
    whole = np.asarray(model(x))[:, target]
    for i in range(len(x)):
        own = groups[i] if groups.shape[0] == len(x) and groups.ndim == x.ndim else groups
        own = np.broadcast_to(own.reshape(*own.shape, *[1] * (x.ndim - 1 - own.ndim)), x.shape[1:])
        for group in np.unique(own):
            changed.append(np.where(own == group, baseline, x[i]).astype(x.dtype))
            where.append((i, own == group))
    for (i, taken), score in zip(where, np.asarray(model(np.stack(changed)))[:, target], strict=True):
        found[i][taken] = whole[i] - score
    return found


def test_groups_of_pixels(cnn, images):
    attributor = attributor_for(cnn)
    for groups in (QUARTERS, QUARTERS[..., None]):
        result = attributor.attribute(images, 1, method=ta.Ablation(groups))
        np.testing.assert_allclose(result.attributions, plain(cnn, images, QUARTERS, 1), atol=1e-6)
    assert result.gap is None  # a group's effect stands at each of its pixels: their sum is none
    assert result.forward_evaluations.tolist() == [3 + 2] * 5
    grey = attributor.attribute(images, 1, baselines=ta.constant(0.5), method=ta.Ablation(QUARTERS))
    np.testing.assert_allclose(grey.attributions, plain(cnn, images, QUARTERS, 1, 0.5), atol=1e-6)


def test_every_pixel_is_a_group_by_default(cnn, images):
    result = attributor_for(cnn).attribute(images[:2], 0, method="ablation")
    np.testing.assert_allclose(result.attributions, plain(cnn, images[:2], np.arange(64).reshape(8, 8), 0), atol=1e-6)


def test_superpixels_of_each_image_alone(cnn, images):
    groups = np.stack([np.random.default_rng(i).integers(0, 3 + i, (8, 8)) for i in range(5)])
    result = attributor_for(cnn).attribute(images, 2, method=ta.Ablation(groups))
    expected = np.concatenate([plain(cnn, images[i : i + 1], groups[i], 2) for i in range(5)])
    np.testing.assert_allclose(result.attributions, expected, atol=1e-6)


def test_channels_apart_where_groups_say_so():
    model = keras.Sequential([keras.Input((2, 2, 3)), layers.Flatten(), layers.Dense(3, activation="softmax")])
    x = np.random.default_rng(0).uniform(size=(2, 2, 2, 3)).astype("float32")
    by_channel = np.broadcast_to(np.arange(3), (2, 2, 3))
    result = ta.Attributor(model).attribute(x, 1, method=ta.Ablation(by_channel))
    np.testing.assert_allclose(result.attributions, plain(model, x, by_channel, 1), atol=1e-6)


def test_tokens_and_phrases(ids, tokens):
    words = tokens.attribute(ids, 0, method="ablation").attributions
    occluded = tokens.attribute(ids, 0, method=ta.Occlusion(window=1)).attributions
    np.testing.assert_allclose(words, occluded, atol=1e-7)
    phrases = tokens.attribute(ids, 0, method=ta.Ablation(np.arange(10) // 5)).attributions
    assert all(len(np.unique(np.round(row[:, 0], 9))) <= 2 for row in phrases)
    np.testing.assert_array_equal(phrases[:, 0], phrases[:, 4])


def test_a_group_over_several_tensors():
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    model = keras.Model({"a": a, "b": b}, layers.Dense(2, activation="softmax")(layers.Concatenate()([a, b])))
    x = {"a": np.array([[1.0, -2, 3]], "float32"), "b": np.array([[0.5, 4]], "float32")}
    attributor = ta.Attributor(model)
    result = attributor.attribute(x, 0, method=ta.Ablation({"a": np.array([0, 1, 1]), "b": np.array([1, 2])}))
    score = lambda a, b: float(model({"a": tf.constant([a]), "b": tf.constant([b])})[0, 0])  # noqa: E731
    whole = score([1.0, -2, 3], [0.5, 4.0])
    both = whole - score([1.0, 0, 0], [0.0, 4.0])
    np.testing.assert_allclose(result.attributions["a"][0], [whole - score([0.0, -2, 3], [0.5, 4.0]), both, both], atol=1e-6)
    np.testing.assert_allclose(result.attributions["b"][0], [both, whole - score([1.0, -2, 3], [0.5, 0.0])], atol=1e-6)
    alone = attributor.attribute(x, 0, method="ablation")
    assert alone.forward_evaluations[0] == 5 + 2


def test_nothing_is_traced_again_for_other_groups(cnn, images):
    attributor = anew(cnn)
    attributor.attribute(images, 1, method=ta.Ablation(QUARTERS))
    (session,) = attributor._sessions.values()
    programs = set(session._programs.values())
    attributor.attribute(images, 1, method=ta.Ablation(QUARTERS // 7))
    assert set(session._programs.values()) == programs


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        (np.zeros((4, 4), int), ["(4, 4)", "(8, 8)", "(5, 8, 8)"]),
        (np.zeros((8, 8)), ["float64", "whole numbers"]),
        (np.full((8, 8), -1), ["at least 0", "-1"]),
        ({"a": QUARTERS, "b": QUARTERS}, ["one array of groups", "a, b"]),
    ],
)
def test_groups_that_do_not_fit(cnn, images, groups, words):
    assert_refused(lambda: attributor_for(cnn).attribute(images, 1, method=ta.Ablation(groups)), *words)


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_the_order_of_groups_does_not_matter(order):
    attributor = ta.Attributor(lambda x: x["a"][:, 0] + 10 * x["a"][:, 4] + 100 * x["b"][:, 2])
    groups = {"a": np.arange(5), "b": np.array([5, 6, 7])}
    x = {"a": np.ones((1, 5), "float32"), "b": np.ones((1, 3), "float32")}
    result = attributor.attribute(x, method=ta.Ablation({key: groups[key] for key in order}))
    assert result.attributions["a"].tolist() == [[1, 0, 0, 0, 10]]
    assert result.attributions["b"].tolist() == [[0, 0, 100]]


def test_groups_as_a_plain_list_and_for_each_position(ids, tokens):
    plain_list = tokens.attribute(ids, 0, method=ta.Ablation([0] * 5 + [1] * 5)).attributions
    np.testing.assert_array_equal(plain_list, tokens.attribute(ids, 0, method=ta.Ablation(np.arange(10) // 5)).attributions)


def test_groups_that_may_be_read_in_two_ways():
    attributor = ta.Attributor(lambda x: tf.reduce_sum(x, (1, 2)))
    x = np.ones((5, 5, 5), "float32")
    assert_refused(lambda: attributor.attribute(x, method=ta.Ablation(np.zeros((5, 5), int))), "(5, 5, 5)", "broadcast_to")
    full = np.broadcast_to(np.arange(5)[:, None], (5, 5, 5))
    assert np.all(attributor.attribute(x, method=ta.Ablation(full)).attributions == 5)


# images without an axis of channels

CORNER = lambda x: tf.reduce_mean(x[:, 2:6, 14:18], (1, 2))  # noqa: E731
AVERAGE, WITH_CHANNELS = lambda x: tf.reduce_mean(x, (1, 2)), lambda x: x[..., 0]
SIGHTED = [ta.Occlusion(), ta.Ablation(), ta.LIME(n_samples=60), ta.ShapleySampling(), ta.RISE(60), ta.BlurIG(n_steps=6)]


@pytest.mark.parametrize("method", SIGHTED, ids=lambda method: type(method).__name__)
def test_that_a_width_is_taken_for_channels_is_said_and_what_helps(method):
    images = np.random.default_rng(0).uniform(0.5, 1, (1, 20, 20)).astype("float32")
    rows = attributor_for(CORNER).attribute(images, method=method, seed=0)
    (note,) = [note for note in rows.notes if "taken for channels" in note]
    assert "inputs (20, 20)" in note
    helped = attributor_for(CORNER, preprocess=WITH_CHANNELS)
    if not isinstance(method, ta.LIME | ta.ShapleySampling):  # of 400 pixels these take many
        found = helped.attribute(images[..., None], method=method, seed=0)
        assert not any("taken for channels" in note for note in found.notes)
        there = np.abs(found.attributions[0, ..., 0] - np.median(found.attributions))
        assert there[2:6, 14:18].mean() > 4 * there[2:6, :10].mean()
    signal = attributor_for(AVERAGE).attribute(images[:, :, :6], method=method, seed=0)
    assert not any("taken for channels" in note for note in signal.notes)


def test_windows_and_cells_of_images_without_channels_say_what_helps():
    images = np.ones((1, 20, 20), "float32")
    for method in (ta.Occlusion((4, 4)), ta.RISE(grid=(4, 4)), ta.XRAI()):
        assert_refused(
            lambda method=method: attributor_for(CORNER).attribute(images, method=method), "preprocess=lambda x: x[..., 0]"
        )
    assert not attributor_for(CORNER).attribute(images, method=ta.Ablation(np.arange(400).reshape(20, 20))).notes
