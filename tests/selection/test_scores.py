"""Scores over a region and of a box: the places that count stay fixed, and each example has its own."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ..conftest import assert_refused

RNG = np.random.default_rng(8)
IMAGES = RNG.uniform(size=(4, 16, 16, 1)).astype("float32")


@functools.cache
def unet():
    """Two levels down, two up, with the skips; logits of three classes at each pixel."""
    keras.utils.set_random_seed(1)
    image = keras.Input((16, 16, 1))
    one = layers.Conv2D(6, 3, padding="same", activation="relu", name="down")(image)
    two = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.MaxPooling2D()(one))
    low = layers.Conv2D(8, 3, padding="same", activation="relu", name="bottleneck")(layers.MaxPooling2D()(two))
    up = layers.Concatenate()([layers.UpSampling2D(interpolation="bilinear")(low), two])
    up = layers.Conv2DTranspose(6, 3, 2, padding="same", activation="relu")(up)
    return keras.Model(image, layers.Conv2D(3, 1, name="logits")(layers.Concatenate()([up, one])))


@functools.cache
def detector():
    """Boxes at each cell of a coarse grid, and their class scores."""
    keras.utils.set_random_seed(2)
    image = keras.Input((16, 16, 1))
    cells = layers.Conv2D(8, 4, strides=4, activation="relu", name="cells")(image)
    boxes = layers.Reshape((16, 4))(layers.Conv2D(4, 1)(cells))
    classes = layers.Reshape((16, 3))(layers.Conv2D(3, 3, padding="same", activation="sigmoid")(cells))
    return keras.Model(image, {"boxes": boxes, "classes": classes})


PREDICTED = np.asarray(unet()(IMAGES)).argmax(-1)
TARGET = int(np.bincount(PREDICTED.ravel()).argmax())
MASK = PREDICTED == TARGET


@functools.cache
def of_the_region():
    return ta.Attributor(unet(), of=ta.segmentation_score(TARGET, MASK))


def of_region(target=TARGET, mask=MASK):
    return of_the_region().explaining(ta.segmentation_score(target, mask))


def test_the_score_is_the_sum_of_logits_over_the_mask():
    result = of_region().attribute(IMAGES)
    logits = np.asarray(unet()(IMAGES))[..., TARGET]
    np.testing.assert_allclose(result.scores, (logits * MASK).sum((1, 2)), rtol=1e-5)
    assert f"segmentation_score of class {TARGET}, at inputs" in str(result)
    np.testing.assert_allclose(
        result.attributions.sum((1, 2, 3)), result.difference, atol=0.01 * np.abs(result.difference).max()
    )
    # at the baseline the mask is that of the example, not what would be predicted there
    below = np.asarray(unet()(0 * IMAGES))[..., TARGET]
    np.testing.assert_allclose(result.baseline_scores, (below * MASK).sum((1, 2)), rtol=1e-4)
    assert len({one.tobytes() for one in MASK}) == 4


def test_gradients_are_those_of_a_tape_with_the_mask_held():
    targets, weights = np.array([0, 1, 2, 1]), RNG.uniform(size=(4, 16, 16)).astype("float32")
    found = of_region(targets, weights).attribute(IMAGES, method="gradient").attributions
    value = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(value)
        score = tf.reduce_sum(tf.gather(unet()(value), targets, axis=-1, batch_dims=1) * weights, (1, 2))
    np.testing.assert_allclose(found, tape.gradient(score, value).numpy(), atol=1e-5)


def test_the_mask_follows_its_example():
    """Through blocks, several baselines, noisy copies and masks, in any company."""
    attributor = ta.Attributor(unet(), of=ta.segmentation_score(TARGET, MASK), batch_size=3)
    several = ta.several([np.zeros((16, 16, 1)), np.ones((16, 16, 1))])
    for options in (
        {"method": ta.IntegratedGradients(n_steps=4), "baselines": several},
        {"method": ta.SmoothGrad(n_samples=3)},
        {"method": "deeplift"},
        {"method": ta.ScoreCam("bottleneck")},
        {"method": ta.RISE(20, 4)},
    ):
        found = attributor.attribute(IMAGES, seed=1, **options).attributions
        for i in (1, 3):
            one = attributor.explaining(ta.segmentation_score(TARGET, MASK[i : i + 1]))
            alone = one.attribute(IMAGES[i : i + 1], seed=1, **options).attributions
            np.testing.assert_allclose(found[i : i + 1], alone, atol=1e-5 * max(1, np.abs(found).max()))


def test_what_is_outside_of_the_mask_does_not_count_even_where_it_is_infinite():
    def model(x):
        far = tf.concat([x[:, :1], x[:, 1:] / 0.0], 1)
        return tf.stack([far, x], -1)

    mask = np.zeros((2, 4), bool)
    mask[:, 0] = True
    x = np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]], "float32")
    found = ta.Attributor(model, of=ta.segmentation_score(0, mask)).attribute(x, method="occlusion")
    np.testing.assert_array_equal(found.scores, [1, 5])
    np.testing.assert_array_equal(found.attributions, x * mask)


def test_one_pixel_is_the_target_of_a_position():
    mask = np.zeros((4, 16, 16), bool)
    mask[:, 5, 7] = True
    found = of_region(2, mask).attribute(IMAGES, method="gradient").attributions
    plain = of_region().explaining(ta.output()).attribute(IMAGES, target=(5, 7, 2), method="gradient").attributions
    np.testing.assert_allclose(found, plain, atol=1e-6)
    assert np.abs(plain).max() > 0.01
    assert np.all(found[:, 15, 0] == 0)  # too far away to be seen


def test_a_map_of_a_region_is_at_the_layer_that_is_named():
    """Seg-Grad-CAM: Grad-CAM of the sum over the region, at the bottleneck."""
    result = of_region().attribute(IMAGES, method=ta.GradCam("bottleneck"))
    inner = keras.Model(unet().input, unet().get_layer("bottleneck").output)(IMAGES)
    slopes = of_region().observing("bottleneck").attribute(IMAGES, method="gradient")
    expected = (slopes.attributions.mean((1, 2), keepdims=True) * np.asarray(inner)).sum(-1)
    np.testing.assert_allclose(result.attributions, expected, rtol=1e-4, atol=1e-5)


def test_a_box_keeps_its_number():
    scores = np.asarray(detector()(IMAGES)["classes"])
    boxes = scores[..., 1].argmax(1)
    attributor = ta.Attributor(detector(), of=ta.box_score(boxes, 1, "classes"))
    result = attributor.attribute(IMAGES)
    np.testing.assert_allclose(result.scores, scores[np.arange(4), boxes, 1], rtol=1e-5)
    below = np.asarray(detector()(0 * IMAGES)["classes"])
    np.testing.assert_allclose(result.baseline_scores, below[np.arange(4), boxes, 1], rtol=1e-5)
    np.testing.assert_allclose(result.attributions.sum((1, 2, 3)), result.difference, atol=0.01)
    own = attributor.explaining(ta.box_score([0, 5, 5, 9], [2, 0, 1, 1], "classes"))
    assert own.attribute(IMAGES, method="gradient").of == "box_score of 3 classes at 3 boxes"
    positions = attributor.explaining(ta.output("classes"))
    target = np.array([[0, 2], [5, 0], [5, 1], [9, 1]])
    np.testing.assert_allclose(
        own.attribute(IMAGES, method="gradient").attributions,
        positions.attribute(IMAGES, target=target, method="gradient").attributions,
        atol=1e-7,
    )


def test_the_same_score_of_other_rows_compiles_nothing_anew():
    attributor = of_region()
    attributor.attribute(IMAGES, method="gradient")
    other = attributor.explaining(ta.segmentation_score(TARGET, ~MASK))
    assert other._sessions is attributor._sessions
    found = other.attribute(IMAGES, method="gradient").scores
    np.testing.assert_allclose(found, (np.asarray(unet()(IMAGES))[..., TARGET] * ~MASK).sum((1, 2)), rtol=1e-4)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ta.segmentation_score(0, MASK[0, 0]), ["(n, *positions)"]),
        (lambda: ta.segmentation_score(0, MASK - 1.0), ["at least 0"]),
        (lambda: ta.segmentation_score(0, MASK & False), ["example 0 is empty", "3 more"]),
        (lambda: ta.segmentation_score(0, np.zeros((16, 16))), ["(16, 16) are masks for 16 examples", "np.stack"]),
        (lambda: ta.segmentation_score(-1, MASK), ["whole number of at least 0", "-1"]),
        (lambda: ta.segmentation_score([0, 1], MASK), ["each of 4 examples"]),
        (lambda: ta.segmentation_score(0.5, MASK), ["whole number", "0.5"]),
        (lambda: ta.box_score(3, 0), ["a number for each example", "[12]"]),
        (lambda: ta.box_score([3.5], 0), ["whole number"]),
        (lambda: of_region(3).attribute(IMAGES), ["class 3 is out of range", "0 to 2"]),
        (
            lambda: ta.Attributor(lambda x: tf.sigmoid(x), of=ta.segmentation_score(1, MASK)).attribute(IMAGES),
            ["class 1 is out of range", "one value at each position", "class 0"],
        ),
        (lambda: of_region(0, MASK[:, :8]).attribute(IMAGES), ["8 positions along axis 1", "16"]),
        (lambda: of_region(0, MASK[:, 0] | True).attribute(IMAGES), ["axes of positions"]),
        (lambda: of_region(0, MASK[:3]).attribute(IMAGES), ["3 rows", "4 examples"]),
        (
            lambda: ta.Attributor(unet(), of=ta.segmentation_score(0, MASK, "masks")).attribute(IMAGES),
            ["output='masks'", "leave output= out"],
        ),
        (
            lambda: ta.Attributor(detector(), of=ta.box_score([1], 0)).attribute(IMAGES[:1]),
            ["output=None", "'boxes', 'classes'"],
        ),
        (
            lambda: ta.Attributor(detector(), of=ta.box_score([16], 0, "classes")).attribute(IMAGES[:1]),
            ["box 16 is out of range"],
        ),
        (lambda: ta.Attributor(unet(), of=ta.box_score([1], 0)).attribute(IMAGES[:1]), ["(batch, boxes, classes)"]),
    ],
)
def test_what_does_not_fit_is_refused(make, words):
    assert_refused(make, *words)
