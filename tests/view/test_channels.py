"""What the channels of a pixel and the dimensions of a word come to: what adds up is summed, what each has in full is not."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from matplotlib.colors import to_rgb

import tf_attrib as ta
from tf_attrib.cli.attribute import _drawable
from tf_attrib.result.adding_up import over_channels
from tf_attrib.result.channels import without_channels
from tf_attrib.view import colour, pairs, show
from tf_attrib.view.kinds import drawable

from ..conftest import assert_refused
from .test_image import result

TILES = ta.tiles((6, 6), 3)
IMAGES = np.stack([np.full((6, 6, 3), 1.0), np.full((6, 6, 3), 2.0)]).astype("float32")
# Of the sum over an image of ones a tile of 9 pixels of 3 channels is 27; what a pixel is drawn with, and what a tile is worth.
WORTH = {
    ta.Occlusion(window=3, stride=3): (27, 27),
    ta.Ablation(TILES): (27, 27),
    ta.LIME(TILES, ridge=1e-6): (27, 27),
    ta.KernelSHAP(TILES): (3, 27),
    ta.IntegratedGradients(): (3, 27),
}


def brightness():
    return ta.Attributor(lambda x: tf.reduce_sum(x, [1, 2, 3]))


@pytest.mark.parametrize("method", WORTH, ids=lambda method: type(method).__name__)
def test_a_pixel_has_what_its_window_or_group_is_worth_once(method):
    pixel, tile = WORTH[method]
    found = brightness().attribute(IMAGES, method=method, seed=0)
    for example, times in enumerate((1, 2)):
        figure = show(found, example=example)
        assert f"full colour at ±{times * pixel} raw" in figure.caption
        assert [text.get_text() for text in figure.subfigs[0].axes[-1].get_yticklabels()][-1] == f"{times * pixel}"
        assert found.by_region(TILES)[example].values == pytest.approx([times * tile] * 4, rel=1e-4)
    adds_up = type(method) in (ta.KernelSHAP, ta.IntegratedGradients)
    assert ("The 3 channels are summed" in figure.caption, "mean of its 3 channels" in figure.caption) == (adds_up, not adds_up)
    assert ("sum of attributions" in figure.caption) == (found.gap is not None) == adds_up
    smooth = show(found, kind="smooth", example=0).caption
    assert (f"the sum is {36 * 3}" if adds_up else "the mean is 27") + " as before" in smooth
    assert f"at ±{2 * pixel} (raw)" in ta.grid(found, example=1).caption


def test_what_groups_are_worth_is_not_clipped_in_large_images():
    values = np.kron(np.arange(1.0, 17).reshape(1, 4, 4), np.ones((20, 20)))
    assert "clipped" in show(result(values)).caption
    assert "clipped" not in show(result(values, kind="effect")).caption
    assert "clipped" in show(result(values, kind="effect"), clip=0.3).caption


# expected scores, as of RISE


def expected():
    """The score is what the left half of an image sums to, so it is higher while that is seen, and never far from its mean."""
    attributor = ta.Attributor(lambda x: 1 + tf.reduce_mean(x[:, :, :3], [1, 2, 3]))
    return attributor.attribute(IMAGES, method=ta.RISE(n_masks=4000, grid=2), seed=0)


def test_of_expected_scores_differences_are_drawn():
    found = expected()
    means = found.attributions[0, ..., 0]
    assert means.min() > 1  # all are far from 0
    figure = show(found, example=0)
    alone = figure.subfigs[0].axes[2].images[0].get_array()
    np.testing.assert_allclose(alone[np.unravel_index(means.argmin(), means.shape)], to_rgb(colour.GRAY), atol=1e-6)
    np.testing.assert_allclose(alone[np.unravel_index(means.argmax(), means.shape)], to_rgb(colour.GREEN), atol=1e-6)
    assert f"full colour at {means.max():.3g} raw, the least of all ({means.min():.3g}) is gray" in figure.caption
    assert "dark red" not in figure.caption
    bar = figure.subfigs[0].axes[-1]
    assert [text.get_text() for text in bar.get_yticklabels()] == [f"{means.min():.2g}", f"{means.max():.2g}"]
    assert bar.get_ylim() == pytest.approx((0, np.ptp(means)), rel=1e-5)


def test_the_mask_of_expected_scores_is_of_what_they_have_beyond_the_least():
    figure = show(expected(), kind="mask", keep=0.5, example=0)
    assert "beyond the least" in figure.caption
    drawn = figure.subfigs[0].axes[1].images[0].get_array()
    visible = np.ptp(drawn, axis=-1) < 1e-6  # the image is white, what hides it bluish
    assert visible[:, :3].any()
    assert not visible[:, 4:].any()
    assert visible.sum() < 12  # of what they are themselves 16 pixels would carry half


def test_regions_and_smoothed_maps_of_expected_scores_bear_the_scores_themselves():
    found = expected()
    means = found.attributions[0, ..., 0].astype("float64")
    regions = show(found, kind="regions", regions=TILES, example=0)
    of_tiles = [means[tile == TILES].mean() for tile in range(4)]
    assert found.by_region(TILES)[0].values == pytest.approx(of_tiles)
    assert f"the least of all ({min(of_tiles):.3g}) is the gray image" in regions.caption
    assert {f"{value:+.2g}" for value in of_tiles} == {text.get_text() for text in regions.subfigs[0].axes[1].texts}
    smooth = show(found, kind="smooth", example=0).caption
    assert f"the mean is {means.mean():.3g} as before" in smooth
    assert f"Each pixel: full colour at {means.max():.3g}." in smooth


def test_expected_scores_on_a_common_scale():
    """The second image is twice as bright, so its scores differ twice as much."""
    found = expected()
    limits = [np.ptp(found.attributions[example]) for example in range(2)]
    figure = show(found, common_scale=True)
    assert "All examples with one span of colours." in figure.caption
    faint = figure.subfigs[0].axes[2].images[0].get_array()
    assert limits[1] > 1.5 * limits[0]
    strongest = np.abs(faint - to_rgb(colour.GRAY)).max() / np.abs(np.subtract(to_rgb(colour.GREEN), to_rgb(colour.GRAY))).max()
    assert strongest == pytest.approx(limits[0] / limits[1], rel=0.02)


def test_two_maps_of_expected_scores_have_one_span_and_each_its_least():
    found = expected()
    other = dataclasses.replace(found, attributions=found.attributions + 1)
    (figure,) = pairs.pair(found, other, 0, ("wrong", "right"))
    values = found.attributions[0, ..., 0]
    assert (
        f"right: Light green: the expected score is higher while this is seen; full colour at {values.max() + 1:.3g}"
        in figure.caption
    )
    assert "on one scale" not in figure.caption
    ticks = [[text.get_text() for text in axes.get_yticklabels()] for axes in figure.subfigs[0].axes[-2:]]
    assert ticks == [[f"{value + more:.2g}" for value in (values.min(), values.max())] for more in (0, 1)]
    (plain,) = pairs.pair(*[dataclasses.replace(one, kind="contribution") for one in (found, other)], 0, ("wrong", "right"))
    assert "Both on one scale." in plain.caption


def test_a_grid_says_from_where_expected_scores_are_drawn():
    found = expected()
    low, high = (f"{np.ptp(found.attributions[example]):.3g}" for example in range(2))
    assert f"attribution from {low} to {high}, each picture on its own scale, beyond the least of it" in ta.grid(found).caption


# words, and layers of many channels


def test_a_word_has_what_it_is_worth_once_whatever_the_dimensions():
    model = keras.Sequential(
        [keras.Input((3,), dtype="int32"), layers.Embedding(4, 5), layers.Lambda(lambda y: tf.reduce_sum(y, (1, 2))[:, None])]
    )
    model.layers[0].set_weights([np.arange(4)[:, None] * np.ones((4, 5), "float32")])
    found = ta.Attributor(model).attribute(np.array([[1, 3, 2]]), 0, method="occlusion")
    html = found.to_html()
    assert "±15 raw" in html
    assert "A word has the mean of its 5 embedding dimensions" in html
    summary = ta.summarise(found)
    assert sorted(np.ravel(summary.mean)) == pytest.approx([5, 10, 15])
    added = ta.Attributor(model).attribute(np.array([[1, 3, 2]]), 0).to_html()
    assert "±15 raw" in added
    assert "The 5 embedding dimensions are summed" in added


def test_layers_of_many_channels_lose_them_by_what_they_are():
    values = np.full((1, 4, 4, 10), 2.0)
    for kind, expected in (("contribution", 20), ("slope", 20), ("", 20), ("effect", 2), ("map", 2), ("square", 2)):
        assert without_channels(result(values, kind=kind)).attributions.max() == expected
        assert over_channels(values, kind).max() == expected


@pytest.mark.parametrize("kind", ["contribution", "effect"])
def test_channels_of_an_image_that_come_first_are_those_that_are_summed(kind, capsys):
    """The last axis was: a picture of rows by colours."""
    values = np.zeros((2, 3, 6, 8))
    values[:, :, 2, 5] = 1
    found = ta.Attribution(values, np.ones(2), inputs=values, place="inputs", kind=kind)
    flat, _ = _drawable(found)
    np.testing.assert_array_equal(flat.attributions, values[:, 0] * (1 if kind == "effect" else 3))
    assert "over axis 1, the channels" in capsys.readouterr().out
    assert drawable(found)[0].attributions.shape == (2, 6, 8)
    assert_refused(found.plot, "result.sum(1) for channels that come first")
    layer = ta.Attribution(values, np.ones(2), place="layer", kind=kind)  # of a layer nobody knows
    assert drawable(layer)[0].attributions.shape == (2, 3, 6)


def first(kind="contribution", steps=0):
    """Attributions to images whose channels come first."""
    rng = np.random.default_rng(3)
    images = rng.uniform(size=(2, 3, 6, 8))
    shape, along = (2, steps, 3, 6, 8) if steps else images.shape, {}
    if steps:
        alphas = np.broadcast_to(np.arange(1, steps + 1) / steps, (2, steps))
        along = {"steps": True, "alphas": alphas, "path_scores": alphas}
    return ta.Attribution(rng.normal(size=shape), np.ones(2), inputs=images, place="inputs", kind=kind, **along)


def test_images_whose_channels_come_first_are_shown_beside_what_their_channels_sum_to():
    """The map alone was."""
    found = first()
    figure = found.sum(1).plot(example=0)
    assert "Channels of the input are taken to be axis 1 of (2, 3, 6, 8)." in figure.caption
    np.testing.assert_allclose(figure.subfigs[0].axes[0].images[0].get_array(), np.moveaxis(found.inputs[0], 0, -1))
    assert "axis 1 of (2, 3, 6, 8)" in ta.grid(found.sum(1)).caption
    coarse = ta.Attribution(np.ones((2, 3, 4)), np.ones(2), inputs=found.inputs, place="layer", kind="map")
    assert "axis 1 of (2, 3, 6, 8)" in coarse.plot(example=0).caption  # over its image
    assert "axis 1" not in result(np.ones((1, 6, 8))).plot().caption


def test_steps_of_images_whose_channels_come_first_are_images():
    """They were three features, each the sum over a whole colour."""
    found = first("slope", steps=4)
    figure = found.plot(kind="steps", example=0)
    assert "Channels are taken to be axis 2 of (2, 4, 3, 6, 8)." in figure.caption
    assert figure.subfigs[0].axes[0].images[0].get_array().shape == (6, 8, 3)
    largest = np.abs(found.attributions[0, 0].sum(0)).max()
    assert f"±{largest:.3g}" in [text.get_text() for text in figure.subfigs[0].axes[0].texts]


@pytest.mark.parametrize(("shape", "place", "axis"), [((3, 6, 8), "inputs", 1), ((6, 8, 16), "layer", 3)])
def test_the_page_of_errors_draws_channels_that_are_no_colours_as_one(shape, place, axis):
    """It told to sum an axis of a result that nobody has, and was not written."""
    rng = np.random.default_rng(5)
    one, other = (
        ta.Attribution(
            rng.normal(size=(2, *shape)), np.ones(2), place=place, kind="contribution", inputs=rng.uniform(size=(2, *shape))
        )
        for _ in range(2)
    )
    (figure,) = pairs.pair(one, other, 0, ("wrong", "right"))
    assert f"Channels are taken to be axis {axis} of (2, {', '.join(map(str, shape))})." in figure.caption
    assert f"The {shape[axis - 1]} channels are summed" in figure.caption
    largest = max(np.abs(each.attributions[0].sum(axis - 1)).max() for each in (one, other))
    assert f"full colour at ±{largest:.3g} raw" in figure.caption
