"""Perturbation, insertion and deletion curves: by hand on linear models, against Quantus, and on every kind of unit."""

import dataclasses
import functools

import keras
import numpy as np
import pytest
import scipy.integrate
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.metrics.examples import case_of
from tf_attrib.metrics.units import units_of

from ..conftest import assert_refused, make_plain_cnn, make_text

M = ta.metrics
WEIGHTS = np.array([3.0, -2.0, 1.0, 0.5], "float32")
X = np.array([[1.0, 1.0, 1.0, 1.0], [2.0, 1.0, -1.0, 0.0]], "float32")


@pytest.fixture(scope="module")
def linear():
    return ta.Attributor(lambda x: tf.linalg.matvec(x, WEIGHTS))


@functools.cache
def small_net(size=6):
    """Four inputs of a fixed net, whose metrics were also computed by other libraries, and its attributor.

    Args:
        size: of its six inputs, so many are there.
    """
    rng = np.random.default_rng(11)
    w1, b1, w2 = rng.normal(size=(6, 5)).round(2), rng.normal(size=5).round(2), rng.normal(size=(5, 3)).round(2)
    x = rng.normal(size=(4, 6)).round(2)
    return x[:, :size], ta.Attributor(lambda x: tf.tanh(x @ w1[:size] + b1) @ w2)


def test_aopc_of_a_linear_model_by_hand(linear):
    """Contributions 3, 1, 0.5, -2, taken away in this order: falls 0, 3, 4, 4.5, 2.5, whose sum over 5 is 2.8."""
    result = M.aopc(linear, X[:1])
    np.testing.assert_allclose(result.curves["most relevant first"], [[0, 3, 4, 4.5, 2.5]], atol=1e-6)
    np.testing.assert_allclose(result.curves["least relevant first"], [[0, -2, -1.5, -0.5, 2.5]], atol=1e-6)
    np.testing.assert_allclose(result.values, 14 / 5, atol=1e-6)
    np.testing.assert_allclose(result.least, -1.5 / 5, atol=1e-6)
    np.testing.assert_allclose(result.between, 15.5 / 5, atol=1e-6)
    assert result.better == "higher"
    assert result.unit == "raw"
    np.testing.assert_allclose(result.along, [0, 0.25, 0.5, 0.75, 1])


def test_deletion_and_insertion_of_a_linear_model_by_hand(linear):
    """The score is 2.5: deletion goes 2.5, -0.5, -1.5, -2, 0 and insertion 0, 3, 4, 4.5, 2.5; trapezoid of four steps."""
    deleted, inserted = M.deletion(linear, X[:1]), M.insertion(linear, X[:1])
    np.testing.assert_allclose(deleted.curves["most relevant first"], [[2.5, -0.5, -1.5, -2, 0]], atol=1e-6)
    np.testing.assert_allclose(inserted.curves["most relevant first"], [[0, 3, 4, 4.5, 2.5]], atol=1e-6)
    np.testing.assert_allclose(deleted.values, (2.5 - 0.5 - 1.5 - 2 + 0 - 1.25) / 4, atol=1e-6)
    np.testing.assert_allclose(inserted.values, (14 - 1.25) / 4, atol=1e-6)
    assert (deleted.better, inserted.better) == ("lower", "higher")


def test_several_examples_each_have_their_own_order(linear):
    """The second example's contributions are 6, -2, -1, 0: the order is 0, 3, 2, 1."""
    result = M.aopc(linear, X)
    np.testing.assert_allclose(result.curves["most relevant first"][1], [0, 6, 6, 5, 3], atol=1e-6)
    np.testing.assert_allclose(result.values[0], 2.8, atol=1e-6)


def test_a_loop_in_numpy_gives_the_same_curves(cnn, images):
    """The second implementation: one image at a time through Keras."""
    attributor = ta.Attributor(cnn)
    result = attributor.attribute(images, method="gradient")
    noise = np.random.default_rng(0).normal(0, 1e-6, images.shape)  # dead pixels would be equal, and drawn
    result = dataclasses.replace(result, attributions=result.attributions + noise)
    measured = M.aopc(attributor, result, replacement=0.7, steps=16)
    for i, image in enumerate(images):
        order = np.argsort(-result.attributions[i].ravel(), kind="stable")
        changed = np.tile(image.ravel(), (17, 1))
        for step in range(17):
            changed[step, order[: 4 * step]] = 0.7
        probabilities = np.asarray(cnn(changed.reshape(17, 8, 8, 1), training=False))[:, result.target[i]]
        falls = probabilities[0] - probabilities
        np.testing.assert_allclose(measured.curves["most relevant first"][i], falls, atol=1e-5)
        np.testing.assert_allclose(measured.values[i], np.sum(falls) / 17, atol=1e-5)


def test_deletion_agrees_with_quantus():
    """quantus 0.6.0, PixelFlipping(features_in_step=1, perturb_baseline=0.0, normalise=False, abs=False,
    return_auc_per_sample=False), on the same net in torch 2.13.0 with integrated gradients of captum 0.9.0 (200 Gauss-Legendre
    nodes): scores with 1 to 6 features gone."""
    expected = [
        [
            -0.9484430389502642,
            -0.9497671764577423,
            -0.8537563662863383,
            -0.8616485239658225,
            -1.878120479511397,
            0.38714886528035963,
        ],
        [
            -1.243450381378162,
            -1.4848659123592136,
            -1.4974455949426473,
            -1.2586689404888827,
            -1.3993100997393075,
            0.38714886528035963,
        ],
        [
            0.04840290652152277,
            -0.22889688656241045,
            -0.22305640492677029,
            -0.2579479809317612,
            -0.027326158318063384,
            0.38714886528035963,
        ],
        [
            0.6688270043270921,
            0.3140046711140294,
            0.08602863307114868,
            0.09393431341576265,
            0.3067508267227213,
            0.38714886528035963,
        ],
    ]
    x, attributor = small_net()
    found = M.deletion(attributor, x, target=2, method=ta.IntegratedGradients(n_steps=200))
    np.testing.assert_allclose(found.curves["most relevant first"][:, 1:], expected, atol=1e-6)


def test_what_stands_in_is_stated_and_used(linear):
    for replacement, value, words in (
        (2.0, 2.0, "replaced by 2"),
        ("mean", X.mean(0), "the mean of these examples"),
        (np.full(4, 5, "float32"), 5.0, "given by the user"),
        (ta.constant(-1), -1.0, "constant -1"),
    ):
        found = M.aopc(linear, X, replacement=replacement)
        np.testing.assert_allclose(found.curves["most relevant first"][:, -1], ((X - value) @ WEIGHTS), atol=1e-5)
        assert words in repr(found)
    assert "zeros" in repr(M.aopc(linear, X))
    np.testing.assert_allclose(
        M.aopc(linear, X, baselines=ta.constant(1.0)).curves["random order"][:, -1], (X - 1) @ WEIGHTS, atol=1e-5
    )


def test_scores_are_averaged_over_several_replacements():
    attributor = ta.Attributor(lambda x: tf.reduce_sum(x, 1) ** 2)
    references = np.array([[1.0, 1.0], [3.0, 0.0]], "float32")
    found = M.aopc(attributor, np.array([[2.0, 1.0]], "float32"), replacement=ta.several(references))
    np.testing.assert_allclose(found.curves["most relevant first"][0, -1], 9 - (4 + 9) / 2, rtol=1e-6)


def test_units_of_images():
    attributor = ta.Attributor(lambda x: tf.reduce_sum(x, [1, 2, 3]))
    image = np.random.default_rng(0).normal(size=(2, 6, 4, 3)).astype("float32")
    case = case_of(attributor, image, None, None, 0)
    assert units_of(case).count == 24
    assert units_of(case, "features").count == 72
    patches = units_of(case, patch=(3, 2))
    assert (patches.count, patches.words) == (4, "patches of 3 × 2")
    sums = image.reshape(2, 2, 3, 2, 2, 3).sum((2, 4, 5)).reshape(2, 4)
    np.testing.assert_allclose(patches.summed(case.flat), sums, rtol=1e-5)
    assert units_of(case, patch=4).count == 2  # rows 0 to 3, and the two that are left
    measured = M.aopc(attributor, image, patch=(3, 2))
    np.testing.assert_allclose(measured.curves["most relevant first"][0], np.cumsum([0, *np.sort(sums[0])[::-1]]), atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "units", "word"),
    [
        ((2, 5), "pixels", "features"),
        ((2, 5, 3), "pixels", "tokens"),
        ((2, 4, 4, 1), "tokens", "pixels"),
        ((2, 5), "tokens", "features"),
    ],
)
def test_units_that_are_not_there_are_refused(shape, units, word):
    attributor = ta.Attributor(lambda x: tf.reduce_sum(x, list(range(1, len(shape)))))
    assert_refused(lambda: M.aopc(attributor, np.ones(shape, "float32"), units=units), units, word)


def test_arguments_that_do_not_fit_are_refused(linear):
    assert_refused(lambda: M.aopc(linear, X, steps=5), "from 1 to 4")
    assert_refused(lambda: M.aopc(linear, X, share=0), "share must be")
    assert_refused(lambda: M.aopc(linear, X, units="words"), "'pixels'", "'words'")
    assert_refused(lambda: M.aopc(linear, X, units="patches"), "needs patch=")
    assert_refused(lambda: M.aopc(linear, X, units="features", patch=2), "patches")
    assert_refused(lambda: M.aopc(linear, X, replacement="noise"), "'mean'", "ta.blur")
    result = linear.attribute(X)
    assert_refused(lambda: M.aopc(linear, result, target=1), "knows its target")
    assert_refused(lambda: M.aopc(linear, linear.attribute(X, method="interior_gradients")), "integrated_gradients")


def test_steps_and_share(linear):
    few = M.aopc(linear, X, steps=2)
    every = M.aopc(linear, X).curves["most relevant first"]
    np.testing.assert_allclose(few.curves["most relevant first"], every[:, ::2], atol=1e-6)
    half = M.aopc(linear, X, share=0.5)
    np.testing.assert_allclose(half.along, [0, 0.25, 0.5])
    np.testing.assert_allclose(half.values[0], (0 + 3 + 4) / 3, atol=1e-6)


def test_tokens_are_replaced_by_the_embedding_of_padding(ids):
    model = make_text(mask_zero=False)
    attributor = ta.Attributor(model)
    result = attributor.attribute(ids, baselines=ta.token(0))
    found = M.aopc(attributor, result, replacement=ta.token(0))
    assert found.along.shape == (11,)
    assert "tokens" in repr(found)
    assert "token 0 everywhere" in repr(found)
    order = np.argsort(-result.attributions.sum(-1), axis=1, kind="stable")
    without = ids.copy()
    np.put_along_axis(without, order[:, :3], 0, 1)
    both = [np.asarray(model(tokens, training=False))[:, 0] for tokens in (ids, without)]
    falls = np.where(result.target == 1, both[0] - both[1], both[1] - both[0])
    np.testing.assert_allclose(found.curves["most relevant first"][:, 3], falls, atol=1e-5)


def test_reduced_attributions_order_the_same_units():
    x = np.random.default_rng(2).normal(size=(3, 4, 4, 3)).astype("float32")
    attributor = ta.Attributor(lambda x: tf.reduce_sum(tf.sin(x), [1, 2, 3]))
    result = attributor.attribute(x)
    np.testing.assert_allclose(M.aopc(attributor, result.sum(-1)).values, M.aopc(attributor, result).values, atol=1e-6)
    assert_refused(lambda: M.aopc(attributor, result.sum((1, 2))), "lack only last ones")


def test_slopes_summed_over_channels_are_said():
    x = np.random.default_rng(2).normal(size=(2, 3, 3, 3)).astype("float32")
    attributor = ta.Attributor(lambda x: tf.reduce_sum(tf.sin(x), [1, 2, 3]))
    gradient = attributor.attribute(x, method="gradient")
    assert "slopes were summed over each of the pixels" in repr(M.deletion(attributor, gradient))
    for result in (gradient.norm(-1), attributor.attribute(x)):
        assert "slopes" not in repr(M.deletion(attributor, result))
    assert "slopes" not in repr(M.deletion(attributor, gradient, units="features"))


def test_two_inputs_are_taken_apart_feature_by_feature():
    attributor = ta.Attributor(lambda inputs: tf.reduce_sum(inputs["a"], 1) + 2 * tf.reduce_sum(inputs["b"], 1))
    inputs = {"a": np.array([[5.0, 1.0]], "float32"), "b": np.array([[1.0]], "float32")}
    found = M.aopc(attributor, inputs)
    np.testing.assert_allclose(found.curves["most relevant first"], [[0, 5, 7, 8]], atol=1e-6)


def test_a_model_of_a_fixed_batch_and_one_that_is_exported(tmp_path, cnn, images):
    cnn.export(tmp_path / "cnn", verbose=False)
    loaded = M.aopc(ta.Attributor(str(tmp_path / "cnn")), images)
    own = M.aopc(ta.Attributor(cnn), images)
    np.testing.assert_allclose(loaded.values, own.values, atol=1e-5)
    fixed = keras.Sequential([keras.Input(batch_shape=(3, 4)), keras.layers.Dense(1, use_bias=False)])
    fixed.layers[0].set_weights([WEIGHTS[:, None]])
    np.testing.assert_allclose(M.aopc(ta.Attributor(fixed), X).values, [2.8, 4.0], atol=1e-5)


def test_random_order_depends_on_the_seed_and_not_on_the_company(images):
    attributor = ta.Attributor(make_plain_cnn())
    first, again, other = (M.aopc(attributor, images, seed=seed).random for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
    alone = M.aopc(attributor, images[2:3], seed=1)
    np.testing.assert_allclose(alone.random, first[2:3], atol=1e-6)


def test_ties_are_drawn_and_not_taken_from_the_corner(linear):
    none = ta.Attribution(
        np.zeros((200, 4), "float32"),
        np.full(200, 2.5),
        np.tile(X[:1], (200, 1)) + 1e-7 * np.arange(200, dtype="float32")[:, None],
    )
    first = M.aopc(linear, none).curves["most relevant first"][:, 1].round(2)
    assert set(first) == {3.0, -2.0, 1.0, 0.5}


def test_nothing_is_traced_twice_and_blocks_are_bounded(images, monkeypatch):
    from tf_attrib.engine.program import Program

    attributor = ta.Attributor(make_plain_cnn(), batch_size=8)
    sizes, traced = [], []
    original, call = Program.__init__, Program.__call__
    monkeypatch.setattr(Program, "__init__", lambda self, *a: (traced.append(1), original(self, *a))[1])
    monkeypatch.setattr(Program, "__call__", lambda self, tables, rows: (sizes.append(len(rows)), call(self, tables, rows))[1])
    M.aopc(attributor, images)
    assert traced
    assert max(sizes) <= 8
    before = len(traced)
    M.aopc(attributor, images[:3])
    M.insertion(attributor, images)
    assert len(traced) == before


def test_curves_plot_with_their_band(linear):
    found = M.aopc(linear, X)
    figure = found.plot()
    (axes,) = figure.subfigs[0].axes
    assert [line.get_label() for line in axes.lines[:3]] == ["most relevant first", "least relevant first", "random order"]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), found.curves["most relevant first"].mean(0))
    assert len(axes.collections) == 3
    assert "replaced by zeros" in figure.caption
    assert "95%" in figure.caption


@pytest.mark.parametrize("metric", [ta.metrics.deletion, ta.metrics.aopc, ta.metrics.infidelity])
def test_scores_that_are_not_the_same_twice_are_noted(metric):
    noisy = ta.Attributor(lambda x: tf.reduce_sum(x * tf.random.uniform(tf.shape(x)), 1))
    x = np.float32([[1, 2, 3], [3, 2, 2]])
    assert any("same score twice" in note for note in metric(noisy, x, method="gradient").notes)
    steady = ta.Attributor(lambda x: tf.reduce_sum(tf.tanh(x), 1))
    assert not metric(steady, x, method="gradient").notes


def test_parts_of_several_sizes_are_ranked_by_their_mean_where_numbers_do_not_add_up():
    """The patch in the corner is one pixel, and all of the score: by sums of expected scores it came last."""
    attributor = ta.Attributor(lambda x: 0.5 + x[:, 4, 4, 0])
    result = attributor.attribute(np.ones((1, 5, 5, 1), "float32"), method=ta.RISE(400, grid=5), seed=0)
    found = M.deletion(attributor, result, patch=2)
    np.testing.assert_allclose(found.curves["most relevant first"], [[1.5] + 9 * [0.5]], atol=1e-6)


def test_tokens_of_several_widths_are_ranked_by_what_each_is_worth():
    """Each dimension of a word has the whole effect of it: words of eight dimensions came before those of two."""
    given = {"a": np.full((1, 3, 2), 0.5, "float32"), "b": np.full((1, 3, 8), 0.0625, "float32")}
    attributor = ta.Attributor(lambda x: tf.reduce_sum(x["a"], (1, 2)) + tf.reduce_sum(x["b"], (1, 2)))
    for result in (
        attributor.attribute(given, method=ta.Occlusion()),
        attributor.attribute(given, method="occlusion").mean(-1),
    ):
        found = M.deletion(attributor, result)
        np.testing.assert_allclose(found.curves["most relevant first"], [[4.5, 3.5, 2.5, 1.5, 1, 0.5, 0]], atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_area_is_that_of_the_curve_where_steps_are_uneven(steps):
    """Three parts in two steps, of which the first takes two: the steps counted alike."""
    attributor = ta.Attributor(lambda x: tf.tanh(tf.linalg.matvec(x, np.array([3.0, 1.0, 0.5], "float32"))))
    x = np.array([[0.2, 0.3, 0.4]], "float32")
    for metric in (M.deletion, M.insertion):
        found = metric(attributor, x, steps=steps)
        area = scipy.integrate.trapezoid(found.curves["most relevant first"], found.along)
        np.testing.assert_allclose(found.values, area, rtol=1e-6)
