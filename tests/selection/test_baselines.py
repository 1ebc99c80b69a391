"""Each kind of baseline gives the reference that it says, checked with the model called on that reference."""

import functools

import keras
import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ..conftest import assert_refused, make_cnn, spread
from ..helpers.shared import attributor_for

RNG = np.random.default_rng(6)
IMAGES = RNG.uniform(size=(3, 8, 8, 1)).astype("float32")
IDS = RNG.integers(1, 20, (3, 6))
QUICK = ta.IntegratedGradients(n_steps=1)
TARGET = 1


@pytest.fixture(scope="module")
def cnn():
    return make_cnn()


@pytest.fixture(scope="module")
def attributor(cnn):
    return ta.Attributor(cnn)


@pytest.fixture(scope="module")
def text():
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    vectors = layers.Embedding(20, 4, name="words", embeddings_initializer=spread())(tokens)
    hidden = layers.Dense(3, activation="tanh", name="hidden", kernel_initializer=spread())(layers.Flatten()(vectors))
    return keras.Model(tokens, layers.Dense(2, activation="softmax", kernel_initializer=spread())(hidden))


def scores_of(model, inputs):
    return model(np.asarray(inputs)).numpy()[:, TARGET]


def baseline_scores(attributor, baselines, inputs=IMAGES, seed=None):
    return attributor.attribute(inputs, TARGET, baselines, QUICK, seed=seed)


def assert_holds(result, expected):
    assert result.baseline_scores.shape == np.shape(expected)
    np.testing.assert_allclose(result.baseline_scores, expected, rtol=1e-5)
    mean = np.reshape(expected, (len(result), -1)).mean(1)
    np.testing.assert_allclose(result.gap, result.totals - (result.scores - mean), atol=1e-6)


# the same for all examples, or made of each

SHAPE = (8, 8, 1)
PATTERN = RNG.uniform(size=SHAPE)
SINGLE = {
    "default": (None, np.zeros(SHAPE)),
    "zeros": (ta.zeros(), np.zeros(SHAPE)),
    "constant": (ta.constant(0.3), np.full(SHAPE, 0.3)),
    "constant of an array": (ta.constant(PATTERN[0]), np.broadcast_to(PATTERN[0], SHAPE)),
    "black": (ta.black((-0.5, 2.0)), np.full(SHAPE, -0.5)),
    "white": (ta.white((-0.5, 2.0)), np.full(SHAPE, 2.0)),
    "an array for all": (PATTERN, PATTERN),
    "an array of one row": (PATTERN[None], PATTERN),
    "at_input for all": (ta.at_input(PATTERN), PATTERN),
}


@pytest.mark.parametrize("name", SINGLE)
def test_one_baseline_for_all(cnn, attributor, name):
    baselines, reference = SINGLE[name]
    assert_holds(baseline_scores(attributor, baselines), np.repeat(scores_of(cnn, reference[None]), 3))


EACH = IMAGES[::-1] * 0.5
BLURRED = np.stack([scipy.ndimage.gaussian_filter(image[..., 0], 1.5)[..., None] for image in IMAGES])
PER_EXAMPLE = {"an array": (EACH, EACH), "at_input": (ta.at_input(EACH), EACH), "blur": (ta.blur(1.5), BLURRED)}


@pytest.mark.parametrize("name", PER_EXAMPLE)
def test_a_baseline_for_each_example(cnn, attributor, name):
    baselines, references = PER_EXAMPLE[name]
    assert_holds(baseline_scores(attributor, baselines), scores_of(cnn, references))


def test_blur_leaves_channels_alone_and_follows_a_sequence():
    colours = RNG.uniform(size=(2, 6, 6, 3)).astype("float32")
    sequences = RNG.uniform(size=(2, 9, 3)).astype("float32")
    for x in (colours, sequences):
        flat = ta.Attributor(lambda x: layers.Flatten()(x))
        sigma = [0] + [2] * (x.ndim - 2) + [0]
        expected = scipy.ndimage.gaussian_filter(x, sigma).reshape(2, -1)
        for unit in (0, 4, 20):
            result = flat.attribute(x, unit, ta.blur(2), QUICK)
            np.testing.assert_allclose(result.baseline_scores, expected[:, unit], rtol=1e-5)


# several, averaged

REFERENCES = RNG.uniform(size=(4, *SHAPE)).astype("float32")
SEVERAL = {
    "several of an array": (ta.several(REFERENCES), REFERENCES),
    "several of a list": (ta.several([REFERENCES[0], ta.constant(0.4)]), [REFERENCES[0], np.full(SHAPE, 0.4)]),
    "a list": ([ta.zeros(), ta.several(REFERENCES[:2])], [np.zeros(SHAPE), REFERENCES[0], REFERENCES[1]]),
    "all samples": (ta.dataset(REFERENCES), REFERENCES),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_baselines_are_averaged_and_each_score_kept(cnn, attributor, name):
    baselines, references = SEVERAL[name]
    result = baseline_scores(attributor, baselines)
    assert_holds(result, np.tile(scores_of(cnn, np.asarray(references, "float32")), (3, 1)))
    alone = [baseline_scores(attributor, np.asarray(reference)).attributions for reference in references]
    np.testing.assert_allclose(result.attributions, np.mean(alone, 0), atol=1e-6)


def test_a_list_of_shared_and_own_baselines(cnn, attributor):
    result = baseline_scores(attributor, [ta.constant(0.4), EACH])
    assert_holds(result, np.stack([np.repeat(scores_of(cnn, np.full((1, *SHAPE), 0.4)), 3), scores_of(cnn, EACH)], 1))


@pytest.mark.parametrize("make", [lambda n: ta.uniform(n, 0.2, 0.9), lambda n: ta.gaussian(n, 0.5, 0.1)])
def test_noise(attributor, make):
    first = baseline_scores(attributor, make(3), seed=1)
    assert first.baseline_scores.shape == (3, 3)
    assert len(np.unique(first.baseline_scores[0])) == 3  # three draws
    assert np.all(first.baseline_scores == first.baseline_scores[0])  # the same for all examples
    np.testing.assert_array_equal(baseline_scores(attributor, make(3), seed=1).attributions, first.attributions)
    assert not np.allclose(baseline_scores(attributor, make(3), seed=2).attributions, first.attributions)
    assert baseline_scores(attributor, make(1)).baseline_scores.shape == (3,)
    np.testing.assert_allclose(first.gap, first.totals - (first.scores - first.baseline_scores.mean(1)), atol=1e-6)


def test_the_noise_is_of_the_kind_that_was_asked_for():
    total = ta.Attributor(lambda x: tf.reduce_sum(x, 1))
    drawn = {}
    for name, baselines in (("uniform", ta.uniform(1, 0.2, 0.9)), ("gaussian", ta.gaussian(1, 0.5, 0.1))):
        # features of a sum are attributed x - x', here -x'
        drawn[name] = -total.attribute(np.zeros((1, 4000), "float32"), None, baselines, QUICK, seed=0).attributions[0]
    assert 0.2 <= drawn["uniform"].min() < 0.21
    assert 0.89 < drawn["uniform"].max() <= 0.9
    assert abs(drawn["gaussian"].mean() - 0.1) < 0.03
    assert abs(drawn["gaussian"].std() - 0.5) < 0.03


def test_some_samples_of_a_data_set(cnn, attributor):
    result = baseline_scores(attributor, ta.dataset(REFERENCES, 2), seed=3)
    assert result.baseline_scores.shape == (3, 2)
    known = scores_of(cnn, REFERENCES)
    nearest = np.abs(result.baseline_scores[0][:, None] - known).argmin(1)
    np.testing.assert_allclose(result.baseline_scores[0], known[nearest], rtol=1e-5)
    every = baseline_scores(attributor, ta.dataset(REFERENCES, 4), seed=3)  # drawn without replacement: all of them
    np.testing.assert_allclose(np.sort(every.baseline_scores[0]), np.sort(known), rtol=1e-5)
    draws = {tuple(baseline_scores(attributor, ta.dataset(REFERENCES, 2), seed=seed).baseline_scores[0]) for seed in range(4)}
    assert len(draws) > 1


# several tensors


@functools.cache
def product():
    return ta.Attributor(lambda x: x["a"][:, 0] * x["b"][:, 0])


SAMPLES = {"a": np.arange(1.0, 9.0)[:, None], "b": np.arange(1.0, 9.0)[:, None]}
ONES = {"a": np.ones((2, 1)), "b": np.ones((2, 1))}


def test_a_sample_of_several_inputs_stays_together():
    result = product().attribute(ONES, None, ta.dataset(SAMPLES, 4), QUICK, seed=0)
    roots = np.sqrt(result.baseline_scores[0])
    np.testing.assert_allclose(roots, np.round(roots), rtol=1e-6)  # a = b in every sample
    whole = product().attribute(ONES, None, ta.dataset(SAMPLES), QUICK)
    np.testing.assert_allclose(whole.baseline_scores, np.tile(np.arange(1.0, 9.0) ** 2, (2, 1)))


def test_a_baseline_for_each_tensor():
    two = ta.several([ta.constant(5.0), ta.constant(7.0)])
    by_key = product().attribute(ONES, None, {"a": ta.constant(3.0), "b": two}, QUICK)
    np.testing.assert_allclose(by_key.baseline_scores, [[15.0, 21.0]] * 2)
    left_out = product().attribute(ONES, None, {"b": ta.constant(5.0)}, QUICK)
    np.testing.assert_allclose(left_out.baseline_scores, [0.0, 0.0])
    assert "a: zeros" in left_out.baseline
    assert "b: constant 5.0" in left_out.baseline
    listed = ta.Attributor(lambda x: x[0][:, 0] * x[1][:, 0])
    listed = listed.attribute([ONES["a"], ONES["b"]], None, [ta.constant(3.0), np.array([[5.0], [7.0]])], QUICK)
    np.testing.assert_allclose(listed.baseline_scores, [15.0, 21.0])


# at embeddings and layers


def test_zeros_at_embeddings_are_zero_vectors(text):
    result = attributor_for(text, at="embeddings").attribute(IDS, TARGET, None, QUICK)
    nothing = text.layers[-1](text.get_layer("hidden")(np.zeros((3, 24), "float32"))).numpy()[:, TARGET]
    assert_holds(result, nothing)
    assert "zero vector" in result.baseline


TOKENS = {
    "token": (ta.token(2), np.full((3, 6), 2)),
    "at_input for all": (ta.at_input(IDS[0][::-1]), np.tile(IDS[0][::-1], (3, 1))),
    "at_input for each": (ta.at_input(IDS[::-1]), IDS[::-1]),
}


@pytest.mark.parametrize("at", ["embeddings", "hidden"])
@pytest.mark.parametrize("name", TOKENS)
def test_baselines_at_the_input_are_pushed_forward(text, name, at):
    baselines, references = TOKENS[name]
    assert_holds(attributor_for(text, at=at).attribute(IDS, TARGET, baselines, QUICK), scores_of(text, references))


@pytest.mark.parametrize("at", ["embeddings", "hidden"])
def test_samples_are_pushed_forward(text, at):
    samples = RNG.integers(0, 20, (4, 6))
    result = attributor_for(text, at=at).attribute(IDS, TARGET, ta.dataset(samples), QUICK)
    assert_holds(result, np.tile(scores_of(text, samples), (3, 1)))


def test_images_are_pushed_forward_to_a_layer(cnn):
    conv = ta.Attributor(cnn, at="conv")
    assert_holds(
        conv.attribute(IMAGES, TARGET, ta.white((0, 2)), QUICK), np.repeat(scores_of(cnn, np.full((1, *SHAPE), 2.0)), 3)
    )
    assert_holds(conv.attribute(IMAGES, TARGET, ta.at_input(EACH), QUICK), scores_of(cnn, EACH))
    features = RNG.uniform(size=(6, 6, 6)).astype("float32")
    direct = conv.attribute(IMAGES, TARGET, features, QUICK)
    rest = keras.Sequential([keras.Input((6, 6, 6)), *cnn.layers[1:]])
    assert_holds(direct, np.repeat(scores_of(rest, features[None]), 3))


def test_float_token_ids_take_a_token():
    tokens = keras.Input((6,), name="tokens")
    vectors = layers.Embedding(20, 4, name="words", embeddings_initializer=spread())(tokens)
    model = keras.Model(tokens, layers.Dense(2, activation="softmax")(layers.Flatten()(vectors)))
    result = ta.Attributor(model).attribute(IDS.astype("float32"), TARGET, ta.token(2), QUICK)
    assert_holds(result, scores_of(model, np.full((3, 6), 2.0)))


def test_a_token_leaves_float_inputs_as_they_are():
    tokens, table = keras.Input((6,), dtype="int32", name="tokens"), keras.Input((2,), name="table")
    vectors = layers.Embedding(20, 4, embeddings_initializer=spread())(tokens)
    hidden = layers.Concatenate()([layers.Flatten()(vectors), table])
    model = keras.Model([tokens, table], layers.Dense(2, activation="softmax")(hidden))
    numbers = RNG.normal(size=(3, 2)).astype("float32")
    result = ta.Attributor(model).attribute([IDS, numbers], TARGET, ta.token(2), QUICK)
    assert_holds(result, model([np.full((3, 6), 2), numbers]).numpy()[:, TARGET])


def test_a_token_leaves_masks_as_they_are():
    """It was refused, since the mask became the token too."""
    tokens, mask = keras.Input((6,), dtype="int32", name="tokens"), keras.Input((6,), dtype="int32", name="mask")
    vectors = layers.Embedding(20, 4, embeddings_initializer=spread())(tokens)
    there = layers.Lambda(lambda one: tf.cast(one, "float32")[..., None])(mask)
    means = layers.Lambda(lambda one: tf.reduce_sum(one[0] * one[1], 1) / tf.reduce_sum(one[1], 1))([vectors, there])
    model = keras.Model({"tokens": tokens, "mask": mask}, layers.Dense(2, activation="softmax")(means))
    given = {"tokens": IDS, "mask": (np.arange(6) < [[2], [4], [6]]).astype("int32")}
    result = ta.Attributor(model).attribute(given, TARGET, ta.token(2), QUICK)
    assert result.left_out == ("mask",)
    assert_holds(result, model({"tokens": np.full((3, 6), 2), "mask": given["mask"]}).numpy()[:, TARGET])


def test_along_which_axes_is_blurred_is_said_where_it_is_not_plain():
    model = keras.Sequential([keras.Input((8, 9)), layers.Flatten(), layers.Dense(2)])
    x = RNG.normal(size=(2, 8, 9)).astype("float32")
    found = ta.Attributor(model).attribute(x, 1, ta.blur(2), QUICK)
    assert "blurred, sigma 2, along the first axis of (8, 9) alone" in str(found)
    assert_holds(found, model(scipy.ndimage.gaussian_filter(x, (0, 2, 0))).numpy()[:, 1])
    video = RNG.normal(size=(2, 5, 6, 7, 1)).astype("float32")
    moving = ta.Attributor(keras.Sequential([keras.Input((5, 6, 7, 1)), layers.Flatten(), layers.Dense(2)]))
    found = moving.attribute(video, 1, ta.blur(2), QUICK)
    assert "along the first three axes of (5, 6, 7, 1): of a video in time, too" in str(found)
    assert_holds(found, moving.model(scipy.ndimage.gaussian_filter(video, (0, 2, 2, 2, 0))).numpy()[:, 1])
    assert "of a video in time, too" in str(moving.attribute(video, 1, method="blur_ig"))
    waves = keras.Sequential([keras.Input((64, 2)), layers.Flatten(), layers.Dense(2)])
    signals = RNG.normal(size=(2, 64, 2)).astype("float32")
    assert "alone" not in str(ta.Attributor(waves).attribute(signals, 1, ta.blur(2), QUICK))


@pytest.mark.parametrize("shape", [(4, 5, 6, 3), (5, 6), (5, 6, 1)])  # a video, images without and with channels
def test_white_of_whole_numbers(shape):
    """All but the last were taken for ids, and refused."""
    model = keras.Sequential([keras.Input(shape, dtype="uint8"), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(2)])
    pixels = RNG.integers(0, 256, (2, *shape)).astype("uint8")
    found = ta.Attributor(model).attribute(pixels, 1, ta.white((0, 255)), QUICK)
    assert_holds(found, model(np.full_like(pixels, 255)).numpy()[:, 1])


def test_white_is_no_baseline_of_a_table_beside_the_image():
    """The columns were 255, too, and blurred into each other."""
    image, table = keras.Input((4, 4, 1), name="image"), keras.Input((3,), name="table")
    hidden = layers.Concatenate(name="both")([layers.Flatten()(image), table])
    model = keras.Model({"image": image, "table": table}, layers.Dense(2)(hidden))
    given = {"image": RNG.uniform(size=(2, 4, 4, 1)).astype("float32"), "table": RNG.normal(size=(2, 3)).astype("float32")}
    white, attributor = ta.white((0, 1)), ta.Attributor(model)
    told = "'table' beside 'image'", "by key, baselines={'image': ta.white(...)}"
    for baselines in (white, ta.several([white, ta.black((0, 1))]), ta.blur(1)):
        assert_refused(lambda one=baselines: attributor.attribute(given, 1, one), told[0], "by key, baselines={'image': ta.")
    assert_refused(lambda: ta.Attributor(model, at="both").attribute(given, 1, white), *told)
    found = attributor.attribute(given, 1, {"image": white}, QUICK)
    assert_holds(found, model({"image": np.ones((2, 4, 4, 1)), "table": np.zeros((2, 3))}).numpy()[:, 1])
    alone = ta.Attributor(model, at=ta.inputs("image")).attribute(given, 1, white, QUICK)
    assert_holds(alone, model({"image": np.ones((2, 4, 4, 1)), "table": given["table"]}).numpy()[:, 1])


def test_sentences_as_baselines():
    vectorise = layers.TextVectorization(output_sequence_length=4, vocabulary=["good", "bad", "film", "a"])
    inputs = keras.Input((), dtype="string")
    vectors = layers.Embedding(6, 4, embeddings_initializer=spread())(vectorise(inputs))
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.Flatten()(vectors)))
    sentences, others = np.array(["a good film", "a bad film"]), np.array(["film", "a film"])
    result = ta.Attributor(model).attribute(sentences, TARGET, ta.at_input(others), QUICK)
    assert_holds(result, scores_of(model, others.astype(object)))


# words


def first_value(x):
    return layers.Flatten()(x)[:, 0]


def in_words(inputs, baselines=None, function=first_value):
    return attributor_for(function).attribute(inputs.astype("float32"), None, baselines, QUICK).baseline


def test_zeros_are_described_by_what_they_are_for_the_inputs():
    pixels = np.linspace(0, 1, 128).reshape(2, 8, 8, 1)
    assert "black" in in_words(pixels)
    assert "[0, 1]" in in_words(pixels)
    assert "black" in in_words(255 * pixels)
    assert "gray" in in_words(2 * pixels - 1)
    assert "[-1, 1]" in in_words(2 * pixels - 1)
    table = np.array([[-0.5, 0.2], [0.4, 0.1]])
    assert "black" not in in_words(np.abs(table))
    assert "gray" not in in_words(table)


def test_other_baselines_are_described_too():
    pixels = np.linspace(0, 1, 128).reshape(2, 8, 8, 1)
    for baselines, words in (
        (ta.constant(0.5), "constant 0.5"),
        (ta.blur(2), "blurred, sigma 2"),
        (ta.black((0, 1)), "black"),
        (ta.uniform(3, 0, 1), "3 × uniform"),
        (ta.dataset(pixels), "2 samples"),
        (pixels[0], "given"),
        ([ta.zeros(), ta.blur(2)], "zeros and the input blurred"),
    ):
        assert words in in_words(pixels, baselines)


def own_mean(x, rng):
    """Each image's own mean, everywhere."""
    return np.broadcast_to(x.mean((1, 2), keepdims=True), x.shape)[:, None]


def test_a_recipe_of_ones_own(attributor, cnn):
    result = attributor.attribute(IMAGES, TARGET, ta.Baseline("own mean", own_mean, shared=False), QUICK)
    assert result.baseline == "own mean"
    np.testing.assert_allclose(result.baseline_scores, scores_of(cnn, own_mean(IMAGES, None)[:, 0]), rtol=1e-5)
    two = ta.Baseline("two", lambda x, rng: np.stack([x.min(0), x.max(0)]))
    assert attributor.attribute(IMAGES, TARGET, two, QUICK).baseline_scores.shape == (3, 2)


def test_recipes_that_make_something_else_are_refused(attributor):
    def made(make, **options):
        return lambda: attributor.attribute(IMAGES, TARGET, ta.Baseline("mine", make, **options), QUICK)

    assert_refused(made(own_mean), "(mine)", "(k, 8, 8, 1)", "(3, 1, 8, 8, 1)")
    assert_refused(made(lambda x, rng: x, shared=False), "(3, k, 8, 8, 1)", "(3, 8, 8, 1)")
    assert_refused(made(lambda x, rng: x[:0]), "(k, 8, 8, 1)", "(0, 8, 8, 1)")
    assert_refused(made(lambda x, rng: np.full_like(x[:1], np.nan)), "NaN or infinity")
    assert_refused(made(lambda x, rng: next(iter(x.values())), at_model_input=True), "a dict with the model's inputs")
    assert_refused(made(lambda x, rng: {key: v[:2] for key, v in x.items()}, at_model_input=True, shared=None), "got [2]")
    assert_refused(lambda: ta.Baseline("mine", 3), "ta.Baseline(words, make)", "3")
    assert_refused(lambda: ta.Baseline("mine", own_mean, shared=None), "shared")
