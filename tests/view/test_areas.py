"""Images seen coarser than pixel by pixel: sums are kept, regions add up, a layer's map has no values of its own making."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import tf_attrib as ta
from tf_attrib.common.errors import AttributionError
from tf_attrib.view import areas, colour, show

from ..conftest import make_cnn
from .test_colour import EYES, seen
from .test_image import result

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def attributor():
    return ta.Attributor(make_cnn())


@pytest.fixture(scope="module")
def images():
    return RNG.uniform(size=(3, 8, 8, 1)).astype("float32")


@pytest.mark.parametrize("sigma", [None, 0.5, 3.0, 40.0])
@pytest.mark.parametrize("place", [(0, 0), (0, 9), (12, 5), (19, 14)])
def test_a_smoothed_map_keeps_its_sum_wherever_it_lies(place, sigma):
    values = np.zeros((20, 15))
    values[place] = -2.0
    found, sentences = areas.smoothed(values, sigma)
    assert found.sum() == pytest.approx(-2.0, rel=1e-12)
    if sigma != 40.0:  # that spreads it evenly
        assert np.unravel_index(found.argmin(), found.shape) == place
    assert np.abs(found).max() < 2.0
    assert "the sum is -2 as before" in sentences[0]
    assert "cancel" not in sentences[0]


def test_what_smoothing_cancels_is_said():
    values = np.zeros((20, 20))
    values[5, 5], values[5, 6] = 1.0, -1.0
    found, sentences = areas.smoothed(values, 2.0)
    hidden = 1 - np.abs(found).sum() / 2
    assert 0.5 < hidden < 1
    assert f"hides {100 * hidden:.0f}% of the attribution" in sentences[0]


def test_the_gaussian_is_the_stated_one():
    values = np.zeros((61, 61))
    values[30, 30] = 1.0
    found, _ = areas.smoothed(values, 3.0)
    distance = np.arange(-30, 31)
    assert (found.sum(0) * distance**2).sum() == pytest.approx(9.0, rel=0.01)
    assert areas.smoothed(np.ones((200, 300)))[1][0].startswith("Smoothed by a Gaussian, sigma 6 pixels")


def test_smooth_is_drawn_beside_each_pixel():
    one = result(RNG.normal(size=(1, 16, 16, 3)), RNG.random((1, 16, 16, 3)))
    figure = show(one, kind="smooth", sigma=2)
    assert [axes.get_title() for axes in figure.subfigs[0].axes[:3]] == ["image", "smoothed, over the image", "each pixel"]
    assert f"the sum is {one.totals[0]:.3g} as before" in figure.caption
    over, alone = (figure.subfigs[0].axes[i].images[0].get_array() for i in (1, 2))
    np.testing.assert_allclose(alone, show(one, kind="map").subfigs[0].axes[0].images[0].get_array())
    assert not np.allclose(over, show(one, kind="overlay").subfigs[0].axes[1].images[0].get_array(), atol=0.1)
    without = show(result(one.attributions), kind="smooth")
    assert [axes.get_title() for axes in without.subfigs[0].axes[:2]] == ["smoothed", "each pixel"]
    with pytest.raises(AttributionError, match="above 0"):
        show(one, kind="smooth", sigma=0)


# maps of layers over images without an axis of channels


def test_a_layers_map_is_laid_over_images_without_channels():
    images = RNG.random((2, 20, 30))
    maps = result(RNG.normal(size=(2, 10, 15)), images, kind="map", place="layer")
    figure = show(maps, example=1)
    assert [axes.get_title() for axes in figure.subfigs[0].axes[:2]] == ["image", "positive part, upsampled"]
    expected = areas.heat(images[1], maps.attributions[1], value_range=(0, 1)).pixels
    np.testing.assert_allclose(figure.subfigs[0].axes[1].images[0].get_array(), expected)
    units = result(RNG.normal(size=(2, 20, 29)), images, place="layer")  # of a recurrent layer, for one
    assert show(units, example=1).subfigs[0].axes[0].get_title() == "attribution alone"


@pytest.mark.parametrize("width", [3, 5, 6, 9])
def test_what_stands_beside_colour_bars_does_not_run_into_the_caption(width):
    unit = "probability, as gradient × activation"
    maps = result(RNG.normal(size=(1, 8, 8)), RNG.random((1, 64, 64, 3)), kind="map", place="layer", attribution_unit=unit)
    figure = show(maps, width=width)
    figure.canvas.draw()
    (part,) = figure.subfigs
    labels = [axes.yaxis.label.get_window_extent() for axes in part.axes if "gradient" in axes.get_ylabel()]
    assert len(labels) == 2
    below = part._supxlabel.get_window_extent()
    assert min(label.y0 for label in labels) >= below.y1
    assert max(label.x1 for label in labels) <= figure.bbox.x1


# regions


def test_regions_sum_to_what_pixels_do():
    values = RNG.normal(size=(2, 6, 8, 3))
    one = result(values, RNG.random((2, 6, 8, 3)))
    labels = ta.tiles((6, 8), 3)
    found = one.by_region(labels)
    assert [part.values.sum() for part in found] == pytest.approx(list(one.totals))
    assert found[1].values[0] == pytest.approx(values[1, :3, :3].sum())
    assert found[0].sizes.tolist() == [9, 9, 6, 9, 9, 6]
    each = np.stack([labels, labels[::-1] + 7])
    assert one.by_region(each)[1].labels.tolist() == list(range(7, 13))
    assert one.by_region(each)[1].values[0] == pytest.approx(values[1, 3:, :3].sum())


def test_regions_of_a_method_are_its_own_and_effects_are_not_added_up(attributor, images):
    tiles = ta.tiles((8, 8), 4)
    shapley = attributor.attribute(images, method=ta.KernelSHAP(tiles))
    np.testing.assert_array_equal(shapley.regions, np.broadcast_to(tiles, (3, 8, 8)))
    sums = np.stack([one.values for one in shapley.by_region()])
    np.testing.assert_allclose(sums.sum(1), shapley.difference, atol=1e-5)
    ablated = attributor.attribute(images, method=ta.Ablation(np.stack([tiles, tiles + 1, tiles])))
    assert ablated.by_region()[0].values == pytest.approx(ablated.attributions[0, ::4, ::4, 0].ravel())
    assert "the mean over its pixels" in show(ablated, kind="regions").caption
    assert attributor.attribute(images).regions is None


def test_regions_go_through_files_and_selections(attributor, images, tmp_path):
    each = np.stack([ta.tiles((8, 8), size) for size in (2, 4, 8)])
    made = attributor.attribute(images, method=ta.Ablation(each))
    loaded = ta.load(made.save(tmp_path / "made"))
    for one in (made[[2, 1]], loaded[[2, 1]]):
        assert [len(part.values) for part in one.by_region()] == [1, 4]
    images[0, 0, 0] = np.nan
    marked = attributor.attribute(images, method=ta.Ablation(each), on_error="mark")
    assert [len(part.values) for part in marked[[2, 1]].by_region()] == [1, 4]
    images[0, 0, 0] = 0.5


def test_a_region_has_one_colour_and_the_strongest_bear_their_value():
    values = np.zeros((8, 8))
    values[0, 0], values[7, 7], values[4, 0] = 2.0, -4.0, 1.0
    labels = ta.tiles((8, 8), 4)
    alone = areas.by_region(None, values, labels)
    np.testing.assert_allclose(alone.pixels[4:, 4:], np.broadcast_to(to_rgb(colour.RED), (4, 4, 3)))
    np.testing.assert_allclose(alone.pixels[:4, :4], np.broadcast_to(colour.DIVERGING(0.75)[:3], (4, 4, 3)))
    assert "all sum to -1, as pixels do" in alone.caption[1]
    over = areas.by_region(np.zeros((8, 8)), values, labels)
    assert [words for _, _, words in over.texts] == ["-4", "+2", "+1"]
    for x, y, words in over.texts:
        assert {0: "+2", 2: "+1", 3: "-4"}[labels[round(y), round(x)]] == words
    assert len(over.borders) == 16


def test_regions_are_drawn_of_photographs_and_refused_where_there_are_none():
    one = result(RNG.normal(size=(2, 32, 32, 3)), RNG.random((2, 32, 32, 3)))
    figure = show(one, kind="regions", regions=ta.superpixels(one.inputs, 8))
    assert [axes.get_title() for axes in figure.subfigs[1].axes[:3]] == ["image", "by region, over the image", "by region"]
    assert (
        show(result(one.attributions), kind="regions", regions=ta.tiles((32, 32), 8)).subfigs[0].axes[0].get_title()
        == "by region"
    )
    with pytest.raises(AttributionError, match=r"regions=ta.superpixels\(images\)"):
        show(one, kind="regions")
    with pytest.raises(AttributionError, match=r"\(32, 32\) for all examples or \(2, 32, 32\).*got int64 \(16, 16\)"):
        show(one, kind="regions", regions=ta.tiles((16, 16), 8))
    with pytest.raises(AttributionError, match="whole numbers"):
        one.by_region(np.ones((32, 32)))


# layers


def test_an_upsampled_map_stays_between_its_cells_and_meets_them_in_their_middles():
    cells = RNG.random((3, 5))
    large = areas.upsampled(cells, (21, 35))
    np.testing.assert_allclose(large[3::7, 3::7], cells, atol=1e-12)
    assert cells.min() - 1e-12 <= large.min()
    assert large.max() <= cells.max() + 1e-12
    between = large[3, 3:11]  # from the middle of one cell to that of the next
    assert (np.diff(between) * np.sign(cells[0, 1] - cells[0, 0]) >= -1e-12).all()
    np.testing.assert_allclose(areas.upsampled(np.ones((1, 1)), (4, 6)), np.ones((4, 6)))


@pytest.mark.parametrize("eyes", EYES)
def test_the_colours_of_heat_rise_in_lightness_for_all_eyes(eyes):
    assert (np.diff(seen(areas.HEAT(np.linspace(0, 1, 64))[:, :3], eyes)[:, 0]) > 0).all()


def test_heat_draws_one_sign_and_says_what_it_leaves_out():
    cells = np.array([[4.0, -3.0], [0.0, np.nan]])
    hot = areas.heat(np.full((8, 8), 0.5), cells)
    light = hot.pixels[:4].mean(-1)
    assert light[:, :2].min() > light[:, 6:].max()
    assert "bright yellow 4 raw: 2 × 2 cells" in hot.caption[0]
    assert "1 cell of the other sign, 43% of the attribution, left out" in " ".join(hot.caption)
    np.testing.assert_allclose(hot.pixels[6, 6], to_rgb(colour.NOT_FINITE))
    cold = areas.heat(np.full((8, 8), 0.5), cells, sign="negative")
    assert "bright yellow -3" in cold.caption[0]
    assert cold.pixels[1, 6].mean() > cold.pixels[1, 1].mean()
    assert areas.heat(np.zeros((8, 8)), -np.ones((2, 2))).caption[0].startswith("No cell is positive")


def test_a_layers_map_is_drawn_smoothly_over_its_image_by_itself(attributor, images):
    cam = attributor.attribute(images, method="grad_cam")
    assert cam.attributions.shape[1:] != (8, 8)
    figure = show(cam, 0)
    assert [axes.get_title() for axes in figure.subfigs[0].axes[:3]] == [
        "image",
        "positive part, upsampled",
        "both signs, cell by cell",
    ]
    assert figure.caption == show(cam, 0, kind="layer").caption
    assert show(cam, 0, sign="negative").subfigs[0].axes[1].get_title() == "negative part, upsampled"
    assert show(cam, 0, kind="image").subfigs[0].axes[1].get_title() == "attribution over the image"
    one = show(cam, common_scale=True).caption
    assert one.count(f"bright yellow {max(0, cam.attributions.max()):.3g}") in (0, 3)
    with pytest.raises(AttributionError, match="kind='map'"):
        show(result(np.ones((2, 8, 8))), kind="layer")


def test_a_layers_grid_may_round_the_proportion_of_the_image():
    coarse = result(np.ones((1, 13, 17)), RNG.random((1, 100, 133, 3)))
    assert show(coarse).subfigs[0].axes[0].get_title() == "image"
