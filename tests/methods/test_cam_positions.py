"""Class activation maps of scores that follow from some positions of a layer alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tf_attrib.graph.traced import heads_and_lookups
from tf_attrib.graph.traced.layers import with_positions
from tf_attrib.graph.traced.trace import trace

from ..conftest import assert_refused

RNG = np.random.default_rng(6)
IMAGES = RNG.uniform(size=(2, 8, 8, 1)).astype("float32")
METHODS = [ta.GradCam, ta.GradCamPlusPlus]


def first_token(pick):
    """Sixteen tokens that look at each other, normalised, of which `pick` takes those that classify."""
    keras.utils.set_random_seed(3)
    image = keras.Input((8, 8, 1))
    tokens = layers.Reshape((16, 6))(layers.Conv2D(6, 2, strides=2)(image))
    inner = layers.LayerNormalization(name="before")(tokens)
    seen = layers.LayerNormalization(name="last")(tokens + layers.MultiHeadAttention(2, 3)(inner, inner))
    return keras.Model(image, layers.Dense(3)(pick(seen)))


def note_of(model, method, target: int | tuple = 1, **options):
    notes = ta.Attributor(model, **options).attribute(IMAGES, target, method=method).notes
    return [note for note in notes if "no gradient at" in note]


@pytest.mark.parametrize("method", METHODS)
def test_positions_that_the_score_does_not_follow_from_are_told(method):
    """Behind the last attention a transformer's first token is by itself: a mean gradient says nothing of the others."""
    model = first_token(lambda tokens: tokens[:, 0])
    (note,) = note_of(model, method())
    assert "no gradient at 15 of 16 positions of layer 'last'" in note
    assert note_of(model, method("before")) == []


def test_what_they_are_told_of_is_so():
    model = first_token(lambda tokens: tokens[:, 0])
    found = ta.Attributor(model).attribute(IMAGES, 1, method="grad_cam").attributions
    assert np.abs(found[:, 1:]).min() > 0
    slopes = ta.Attributor(model, at="last").attribute(IMAGES, 1, method="gradient").attributions
    assert np.all(slopes[:, 1:] == 0)
    assert np.any(slopes[:, 0])


def test_where_all_positions_count_nothing_is_told():
    assert note_of(first_token(layers.GlobalAveragePooling1D()), ta.GradCam()) == []
    assert note_of(first_token(lambda tokens: tokens[:, :12]), ta.GradCam("last"), (2, 1)) != []
    # each activation weighed by its own gradient: there is nothing where there is no gradient
    assert note_of(first_token(lambda tokens: tokens[:, 0]), ta.LayerCam()) == []


def test_of_noisy_copies_and_of_a_called_model_too():
    model = first_token(lambda tokens: tokens[:, 0])
    assert len(note_of(model, ta.SmoothGrad("grad_cam", n_samples=2))) == 1
    assert len(note_of(model, ta.GradCam("last"), eager=True)) == 1


def test_the_layer_is_one_that_leads_to_the_output_that_is_scored():
    """The last layer of a detector leads to its boxes, and none of its class scores follow from it."""
    keras.utils.set_random_seed(4)
    image = keras.Input((8, 8, 1))
    cells = layers.Conv2D(5, 3, activation="relu", name="cells")(image)
    classes = layers.Conv2D(3, 1, name="classes")(cells)
    boxes = layers.Conv2D(4, 1, name="boxes")(cells)
    model = keras.Model(image, {"classes": classes, "boxes": boxes})
    of = ta.score(lambda outputs: tf.reduce_mean(outputs["classes"][..., 1], (1, 2)))
    found = ta.Attributor(model, of=of).attribute(IMAGES, method="grad_cam")
    values = np.asarray(model(IMAGES)["classes"])[..., 1]
    np.testing.assert_allclose(found.attributions, values / 36, atol=1e-6)
    assert found.notes == ()


@pytest.mark.parametrize("method", ["grad_cam", "layer_cam", "guided_grad_cam"])
def test_of_a_region_and_of_a_box_the_layer_is_to_be_named(method):
    """The last layer is the answer itself: its map would show the score of a box at all the others too."""
    keras.utils.set_random_seed(5)
    image = keras.Input((8, 8, 1))
    cells = layers.Conv2D(5, 3, activation="relu", name="cells")(image)
    logits = layers.Conv2D(3, 1)(cells)
    region = ta.segmentation_score(1, np.ones((2, 6, 6), bool))
    for model, of in ((logits, region), (layers.Reshape((36, 3))(logits), ta.box_score([3, 7], 1))):
        attributor = ta.Attributor(keras.Model(image, model), of=of)
        assert_refused(lambda one=attributor: one.attribute(IMAGES, method=method), "positions of its own", "name the layer")
    assert ta.Attributor(keras.Model(image, logits), of=region).attribute(IMAGES, method=ta.GradCam("cells")).notes == ()


def test_the_layer_is_found_by_one_walk_through_the_graph(monkeypatch):
    """One for each layer took twenty times as long as all else of a call on MobileNetV2, at each call."""
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), *(layers.Conv2D(2, 3, padding="same") for _ in range(9)), layers.Flatten()]
    )
    traced = trace(model, {None: tf.TensorSpec((None, 8, 8, 1), tf.float32)})
    walks, walked = [], heads_and_lookups.ancestors
    monkeypatch.setattr(heads_and_lookups, "ancestors", lambda *tensors: walks.append(1) or walked(*tensors))
    assert len(with_positions(traced, list(traced.outputs.values()))) == 9
    assert len(walks) == 1
