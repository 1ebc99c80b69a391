"""XRAI: its ranking against a plain second implementation, what of it stands in the result, and what does not fit."""

import functools
import sys

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.methods import ranking, segments

from ..conftest import assert_refused

RNG = np.random.default_rng(3)
IMAGES = RNG.uniform(size=(2, 16, 12, 3)).astype("float32")
IMAGES[0, 4:10, 3:9] += 1
FIELDS = ("regions", "region_values", "region_areas", "region_totals")


@functools.cache
def attributor():
    return ta.Attributor(lambda x: tf.reduce_sum(tf.tanh(2 * x - 1) * x[:, ::-1], [1, 2, 3]))


def plainly(values, masks, fewest):
    """The greedy rule, with every mean taken anew: (mean, pixels as a set) of each region in order."""
    pixels = [set(zip(*np.nonzero(mask), strict=True)) for mask in masks]
    taken, found = set(), []
    while True:
        means = {
            i: np.mean([values[p] for p in one - taken]) for i, one in enumerate(pixels) if len(one - taken) >= max(fewest, 1)
        }
        if not means:
            break
        best = max(means, key=means.get)
        found.append((means[best], pixels[best] - taken))
        taken |= pixels[best]
    found.sort(key=lambda one: -one[0])
    rest = {(i, j) for i in range(values.shape[0]) for j in range(values.shape[1])} - taken
    return [*found, (np.mean([values[p] for p in rest]), rest)] if rest else found


@pytest.mark.parametrize("fewest", [1, 4])
def test_the_ranking_is_that_of_a_plain_greedy_rule(fewest):
    values = RNG.normal(size=(9, 8))
    i, j = np.mgrid[:9, :8]
    masks = np.stack([(i // a + j // b) % c == d for a, b, c in ((2, 3, 4), (3, 2, 3)) for d in range(c)])
    found, wanted = ranking.ranked(values, masks[:-2], fewest), plainly(values, masks[:-2], fewest)
    assert len(wanted) > 3
    np.testing.assert_allclose(found.values, [mean for mean, _ in wanted])
    for number, (_, pixels) in enumerate(wanted, 1):
        assert set(zip(*np.nonzero(found.labels == number), strict=True)) == pixels
    sizes, sums = [np.cumsum([measure(p) for _, p in wanted]) for measure in (len, lambda p: sum(values[one] for one in p))]
    np.testing.assert_allclose(found.areas, sizes / 72)
    np.testing.assert_allclose(found.totals, sums)


def test_attributions_are_the_inner_method_s_and_regions_sum_them():
    found = attributor().attribute(IMAGES, method="xrai")
    ends = [np.stack([np.full_like(one, reduce(one)) for one in IMAGES]) for reduce in (np.min, np.max)]
    inner = attributor().attribute(IMAGES, baselines=ta.several(ends), method="integrated_gradients")
    np.testing.assert_allclose(found.attributions, inner.attributions, atol=1e-6)
    assert found.converged.all()
    assert found.baseline == "each image's lowest and highest value"
    for labels, values, areas, totals, pixels in zip(
        *(getattr(found, name) for name in FIELDS), found.attributions.sum(-1), strict=True
    ):
        count = labels.max()
        assert labels.min() == 1
        assert count > 3
        np.testing.assert_allclose(values[:count], [pixels[labels == r + 1].mean() for r in range(count)], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(areas[count - 1], 1)
        np.testing.assert_allclose(totals[count - 1], pixels.sum(), rtol=1e-4)
        np.testing.assert_allclose(areas[:count], [(labels <= r + 1).mean() for r in range(count)])
        assert np.isnan(values[count:]).all()


def test_regions_are_found_where_the_score_is(tmp_path):
    """Of a bright square that alone counts, its tiles come first; and all of it is saved and loaded."""
    inside = np.zeros((16, 12, 1), "float32")
    inside[4:8, 4:8] = 1
    score = ta.Attributor(lambda x: tf.reduce_sum(inside * x, [1, 2, 3]))
    found = score.attribute(IMAGES, baselines=ta.zeros(), method=ta.XRAI(segments=ta.tiles((16, 12), 4)))
    assert found.method == "XRAI(IntegratedGradients(tolerance=0.05), segments of shape (16, 12))"
    np.testing.assert_array_equal(found.regions == 1, np.broadcast_to(inside[None, ..., 0] > 0, (2, 16, 12)))
    np.testing.assert_allclose(found.region_totals[:, 0], found.scores, rtol=1e-4)
    np.testing.assert_array_equal(ta.top_regions(found, 1 / 12), found.regions == 1)
    np.testing.assert_allclose(ta.top_regions(found, 0.5).mean((1, 2)), 0.5)
    assert ta.top_regions(found, 0.001).any(axis=(1, 2)).all()
    again = ta.load(found.save(tmp_path / "ranked"))
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
        np.testing.assert_array_equal(getattr(again[1], name), getattr(found, name)[1:])
        assert name in found.to_dict()


def test_every_argument_changes_the_regions():
    tiles = np.stack([ta.tiles((16, 12), 4), ta.tiles((16, 12), 3)])
    usual = attributor().attribute(IMAGES, method=ta.XRAI("gradient_times_input", tiles))
    assert usual.regions.max() == 24
    for method in (
        ta.XRAI("deeplift", tiles),
        ta.XRAI("gradient_times_input", tiles[0]),
        ta.XRAI("gradient_times_input", tiles, dilation=1),
        ta.XRAI("gradient_times_input", tiles, min_pixels=12),
        ta.XRAI("gradient_times_input"),
    ):
        assert not np.array_equal(attributor().attribute(IMAGES, method=method).regions, usual.regions), method


@pytest.mark.parametrize(
    "inner",
    [
        ta.SmoothGrad("integrated_gradients", 3),
        ta.ShapleySampling(ta.tiles((16, 12), 4), max_evaluations=200),
        "expected_gradients",
    ],
    ids=repr,
)
def test_inner_methods_of_every_kind(inner):
    baselines = ta.dataset(IMAGES) if inner == "expected_gradients" else ta.zeros()
    method = ta.XRAI(inner, ta.tiles((16, 12), 4))
    found, alone = (attributor().attribute(IMAGES, baselines=baselines, method=one, seed=0) for one in (method, inner))
    np.testing.assert_array_equal(found.attributions, alone.attributions)
    np.testing.assert_array_equal(found.evaluations, alone.evaluations)
    assert found.regions.max() == 12


def test_what_is_not_finite_has_no_regions():
    images = IMAGES.copy()
    images[1, 0, 0, 0] = np.nan
    found = attributor().attribute(images, method=ta.XRAI(segments=ta.tiles((16, 12), 4)), on_error="mark")
    assert found.regions[0].max() == 12
    if len(found) == 2:
        assert found.status[1] == "not_finite"


def test_an_image_of_one_colour_is_one_region():
    (labels, *_) = segments.at_scales(np.full((20, 20, 3), 7.0))
    assert np.unique(labels).size == 1


def test_what_does_not_fit_is_refused(monkeypatch):
    table = ta.Attributor(lambda x: tf.reduce_sum(x, 1))
    assert_refused(lambda: table.attribute(np.ones((2, 5), "float32"), method="xrai"), "XRAI is for images", "(2, 5)")
    assert_refused(lambda: ta.XRAI("gradient"), "contributions at the pixels", "Gradient()")
    assert_refused(lambda: ta.XRAI("xrai"), "contributions at the pixels")
    assert_refused(lambda: ta.SmoothGrad("xrai"), "ta.XRAI(ta.SmoothGrad")
    assert_refused(lambda: ta.XRAI(segments=np.ones((2, 2))), "whole numbers", "float64")
    assert_refused(lambda: ta.XRAI(dilation=-1), "dilation", "-1")
    assert_refused(lambda: ta.XRAI(min_pixels=0), "min_pixels", "0")
    wrong = ta.XRAI(segments=np.ones((3, 3), int))
    assert_refused(lambda: attributor().attribute(IMAGES, method=wrong), "(16, 12)", "(3, 3)")
    plain = attributor().attribute(IMAGES, method="gradient")
    assert_refused(lambda: ta.top_regions(plain), "ranks no regions", "ta.XRAI()")
    assert_refused(lambda: ta.top_regions(plain, 2), "area", "2")
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(ta.MissingExtra, match=r"segments=.*scikit-image.*tf_attrib\[superpixels\]"):
        attributor().attribute(IMAGES, method="xrai")


def test_the_picture_is_of_what_regions_are_ranked_by_unless_another_is_asked_for():
    """The tiles at the right are half as large: of one attribution per pixel they have half the sum, and the same colour."""
    tiles = np.zeros((16, 12), int)
    tiles[:, 8:] = 1
    attributor = ta.Attributor(lambda x: tf.reduce_sum(x, (1, 2, 3)))
    images = np.full((1, 16, 12, 1), 0.5, "float32")
    images[0, 0, 0], images[0, 0, -1] = 0.25, 0.25  # of one colour there would be no other baseline than the image
    found = attributor.attribute(images, baselines=ta.zeros(), method=ta.XRAI(segments=tiles, min_pixels=1))
    figure = found.plot()
    values = found.region_values[0]
    assert values == pytest.approx([63.75 / 128, 31.75 / 64][:: 1 if 63.75 / 128 > 31.75 / 64 else -1], rel=1e-4)
    assert f"full colour at ±{values[0]:.3g} raw per pixel" in figure.caption
    assert "per pixel, by which they are ranked (1 is the first); all pixels sum to 95.5" in " ".join(figure.caption.split())
    assert [text.get_text() for text in figure.subfigs[0].axes[1].texts] == ["1", "2"]
    drawn = figure.subfigs[0].axes[2].images[0].get_array()
    assert np.ptp(drawn, axis=(0, 1)).max() < 0.01
    assert "per pixel" in figure.subfigs[0].axes[-1].get_ylabel().replace("\n", " ")
    of_mine = found.plot(kind="regions", regions=tiles)
    assert "regions has the colour of its sum" in " ".join(of_mine.caption.split())
    assert "regions" not in found.plot(kind="image").caption


def test_what_speaks_against_the_class_does_not_set_the_scale_of_ranked_regions():
    tiles = ta.tiles((16, 12), 4)
    weights = np.where(tiles == 5, -9.0, np.where(tiles == 7, 2.0, 0.5))[None, ..., None]
    attributor = ta.Attributor(lambda x: tf.reduce_sum(x * weights.astype("float32"), (1, 2, 3)))
    images = np.random.default_rng(0).uniform(0.4, 0.6, (1, 16, 12, 1)).astype("float32")
    found = attributor.attribute(images, baselines=ta.zeros(), method=ta.XRAI(segments=tiles))
    assert found.region_values[0][0] == pytest.approx(1.0, rel=0.1)
    caption = found.plot().caption
    assert f"full colour at ±{found.region_values[0][0]:.3g} raw per pixel" in caption
    assert "The 16 strongest pixels" in caption
    assert "are clipped" in caption


@pytest.mark.parametrize("dilation", [0, 1, 4])
def test_segments_are_widened_by_a_disk_wherever_they_lie(dilation):
    """Within the box around each alone, by its distance: as the whole picture is dilated by the disk itself."""
    rng = np.random.default_rng(dilation)
    maps = [np.kron(rng.integers(-2, 4, (4, 5)), np.ones((3, 4), int)), rng.integers(0, 3, (12, 20)), np.zeros((12, 20), int)]
    side = np.arange(-dilation, dilation + 1)
    disk = side[:, None] ** 2 + side**2 <= dilation**2
    expected = [scipy.ndimage.binary_dilation(labels == label, disk) for labels in maps for label in np.unique(labels)]
    np.testing.assert_array_equal(ranking.masks_of(maps, dilation), expected)
