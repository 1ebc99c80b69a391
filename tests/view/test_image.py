"""Attributions on images: overlay, mask, soft window, map, and how `show` arranges them."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from tf_attrib.attribution import Attribution
from tf_attrib.common.errors import AttributionError
from tf_attrib.view import colour, diverging, image, infer_range, mask, overlay, show, to_display, window

RNG = np.random.default_rng(0)


def result(attributions, inputs=None, **fields):
    attributions = np.asarray(attributions, float)
    size = len(attributions)
    totals = attributions.reshape(size, -1).sum(1)
    known = {
        "scores": 0.1 + totals,
        "baseline_scores": np.full(size, 0.1),
        "gap": np.zeros(size),
        "unit": "probability",
        "target": np.arange(size),
        "method": "integrated_gradients",
    }
    return Attribution(attributions, inputs=inputs, **(known | fields))


def digits(size=3):
    return result(RNG.normal(size=(size, 8, 8, 1)) * 0.01, RNG.integers(0, 17, (size, 8, 8, 1)).astype(np.float32))


def test_overlay_leaves_pixels_without_attribution_gray():
    picture = RNG.random((4, 4, 3))
    values = np.zeros((4, 4, 3))
    values[0, 0], values[1, 1] = 1, -0.5
    pixels = overlay(picture, values).pixels
    gray = pixels[values.sum(-1) == 0]
    assert np.ptp(gray, axis=-1).max() < 1e-12
    np.testing.assert_allclose(pixels[0, 0], to_rgb(colour.GREEN))
    assert pixels[1, 1, 0] > pixels[1, 1, 1]
    # half the magnitude, half the opacity
    base = overlay(picture, 0 * values).pixels
    np.testing.assert_allclose(pixels[1, 1], (base[1, 1] + np.array(to_rgb(colour.RED))) / 2)


def test_overlay_keeps_the_order_of_brightness_of_the_image():
    ramp = np.linspace(0, 1, 16).reshape(4, 4)
    assert (np.diff(overlay(ramp, np.zeros((4, 4))).pixels[..., 0].ravel()) > 0).all()


def test_channels_are_summed_not_averaged_and_it_is_said():
    values = np.ones((2, 2, 3)) * np.array([1.0, 2.0, -0.5])
    picture = diverging(values)
    assert picture.limit == pytest.approx(2.5)
    assert "The 3 channels are summed, with their signs." in picture.caption


def test_map_is_symmetric_about_gray():
    picture = diverging(np.array([[2.0, -2.0], [0.0, 1.0]]), unit="logit")
    np.testing.assert_allclose(picture.pixels[0, 0], to_rgb(colour.GREEN))
    np.testing.assert_allclose(picture.pixels[0, 1], to_rgb(colour.RED))
    np.testing.assert_allclose(picture.pixels[1, 0], to_rgb(colour.GRAY))
    assert "full colour at ±2 logit" in picture.caption[0]


def test_mask_shows_the_pixels_that_carry_the_share():
    values = np.array([[5.0, -3.0], [1.0, 1.0]])
    base = np.array([[0.1, 0.2], [0.3, 0.4]])
    picture = mask(base, values, keep=0.8)
    np.testing.assert_allclose(picture.pixels[0], np.repeat(base[0][:, None], 3, 1))
    np.testing.assert_allclose(picture.pixels[1], [to_rgb(image.HIDDEN)] * 2)
    assert picture.caption[0].startswith("Visible: 2 pixels (50% of all) that carry 80% of the attribution")


def test_window_is_the_sum_of_magnitudes_times_the_image():
    base = RNG.random((10, 10, 3))
    values = RNG.normal(size=(10, 10, 3))
    sums = np.abs(values).sum(-1)
    full = np.percentile(sums, 90)
    picture = window(base, values, percentile=90)
    np.testing.assert_allclose(picture.pixels, base * np.minimum(1, sums / full)[..., None])
    share = sums[sums > full].sum() / sums.sum()
    assert f"percentile 90 of the pixels; 10 pixels above, {100 * share:.0f}% of the attribution" in picture.caption[0]
    assert "sign not shown" in picture.caption[0]


def test_window_of_sparse_attributions_is_not_black():
    values = np.zeros((20, 20))
    values[3, 3] = 1e-3
    assert window(np.ones((20, 20)), values).pixels[3, 3, 0] == 1


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (np.array([0, 200], np.uint8), (0, 255)),
        (np.array([0, 1], np.uint8), (0, 1)),
        (np.array([0.0, 0.9]), (0, 1)),
        (np.array([-0.2, 0.9]), (-1, 1)),
        (np.array([0.0, 16.0]), (0, 16)),
        (np.array([3.0, 254.0]), (0, 255)),
        (np.array([-2.1, 2.6]), (-2.1, 2.6)),
        (np.array([-2.1, 0.5]), (-2.1, 0.5)),
    ],
)
def test_range_is_inferred(data, expected):
    assert infer_range(data) == expected


def test_display_says_when_it_rescales_or_clips():
    pixels, sentences = to_display(np.array([[0.0, 16.0], [8.0, 4.0]]))
    np.testing.assert_allclose(pixels[..., 0], [[0, 1], [0.5, 0.25]])
    assert sentences == ["The image is drawn from 0 (black) to 16 (white)."]
    pixels, sentences = to_display(np.array([[0.0, 2.0], [-1.0, 0.5]]), value_range=(0, 1))
    assert sentences == ["2 values of the image outside 0 to 1, clipped."]
    assert to_display(np.array([[0.0, 1.0]]))[1] == []


def test_a_range_that_is_none_is_refused():
    with pytest.raises(AttributionError, match="black < white"):
        to_display(np.zeros((2, 2)), value_range=(1, 1))


def test_outlined_region_carries_at_least_the_share_and_the_caption_says_how_much():
    values = np.array([[5.0, -3.0, 1.0], [0.5, -0.5, 0.0]])
    picture = diverging(values, outlined=0.7)
    assert len(picture.lines) == 6
    assert "Outlined: 2 pixels (33% of all) that carry 80% of the attribution by magnitude (70% asked for)." in picture.caption
    assert diverging(values).lines is None


def test_a_coarse_grid_is_enlarged_without_new_values():
    values = np.array([[1.0, -1.0], [0.0, 0.5]])
    picture = overlay(np.full((8, 8), 0.5), values)
    np.testing.assert_allclose(picture.pixels[:4, :4], np.broadcast_to(to_rgb(colour.GREEN), (4, 4, 3)))
    assert len(np.unique(picture.pixels.reshape(-1, 3), axis=0)) == 4
    assert any("2 × 2 cells" in sentence for sentence in picture.caption)


@pytest.mark.parametrize(("base", "values"), [((4, 4), (8, 8)), ((8, 8), (2, 8)), ((4, 4, 2), (4, 4)), ((4, 4), (2, 2, 2, 2))])
def test_shapes_that_do_not_fit_are_refused(base, values):
    with pytest.raises(AttributionError):
        overlay(np.zeros(base), np.ones(values))


# show


def test_show_captions_state_numbers_scale_and_what_is_not_drawn():
    many = digits(6)
    figure = show(many)
    assert isinstance(figure, Figure)
    assert len(figure.subfigs) == 4
    assert "2 examples more of 6 not drawn" in figure.caption
    limit = np.abs(many.attributions[0]).max()
    assert f"full colour at ±{limit:.3g} probability" in figure.caption
    assert f"sum of attributions {many.totals[0]:.3g}" in figure.caption
    assert "drawn from 0 (black) to 16 (white)" in figure.caption
    assert [axes.get_title() for axes in figure.subfigs[0].axes[:3]] == [
        "image",
        "attribution over the image",
        "attribution alone",
    ]
    assert figure.subfigs[1].get_suptitle().startswith("example 1: class 1, score")


def test_one_scale_for_all_examples():
    values = np.ones((2, 8, 8, 1))
    values[1] /= 10
    both = result(values, np.zeros((2, 8, 8, 1)))
    own, common = (show(both, kind="map", common_scale=flag) for flag in (False, True))
    assert "±0.1 probability" in own.caption
    bar = own.subfigs[1].axes[-1]
    assert [label.get_text() for label in bar.get_yticklabels()] == ["-0.1", "0", "0.1"]
    np.testing.assert_allclose(bar.get_yticks(), [-0.1, 0, 0.1])
    assert bar.get_ylabel() == "attribution (probability)"
    assert "±0.1 probability" not in common.caption
    assert "All examples on one scale." in common.caption
    faint = common.subfigs[1].axes[0].images[0].get_array()[0, 0]
    np.testing.assert_allclose(faint, colour.DIVERGING(0.55)[:3])


def test_the_display_range_comes_from_the_whole_batch():
    inputs = np.stack([np.full((8, 8), 0.5), np.full((8, 8), -0.5)])
    figure = show(result(np.ones((2, 8, 8)), inputs), 0)
    np.testing.assert_allclose(figure.subfigs[0].axes[0].images[0].get_array()[0, 0], 0.75)


def test_not_converged_is_said_in_title_and_caption_with_the_remedy():
    one = digits(1)
    flagged = result(one.attributions, one.inputs, status=np.array(["max_evaluations"]), error_estimate=np.array([0.08]))
    figure = show(flagged)
    assert "NOT CONVERGED" in figure.subfigs[0].get_suptitle()
    assert "Not converged: estimated error 8%; raise max_evaluations." in figure.caption
    assert "converged" not in show(result(one.attributions, one.inputs, status=np.array(["converged"]))).caption


@pytest.mark.parametrize(
    ("score", "baseline", "gap", "expected"),
    [
        (0.9, 0.1, 0.04, "gap 5% of the difference"),
        (0.1, 0.9, 0.04, "gap -5% of the difference"),
        (0.5, 0.5, 0.01, "gap 0.01 (score and baseline score differ by only 0: no percentage)"),
        (0.5, np.array([0.2, 0.4]), 0.02, "baseline score 0.3 (mean over 2 baselines)"),
        (0.5, np.array([0.2, 0.4]), 0.02, "gap 10% of the difference"),
    ],
)
def test_the_gap_is_in_percent_of_the_difference_where_there_is_one(score, baseline, gap, expected):
    one = result(
        np.ones((1, 8, 8)), scores=np.array([score]), baseline_scores=np.atleast_1d(baseline)[None], gap=np.array([gap])
    )
    assert expected in " ".join(show(one).caption.split())


@pytest.mark.parametrize("kind", ["overlay", "map", "mask", "window"])
def test_each_kind_of_picture_draws(kind):
    assert show(digits(), 1, kind=kind).subfigs[0].axes[0].images


def test_summed_channels_still_belong_to_their_image():
    photo = result(RNG.normal(size=(1, 16, 16, 3)), RNG.random((1, 16, 16, 3)))
    figure = show(photo.sum(-1))
    assert figure.subfigs[0].axes[0].images[0].get_array().shape == (16, 16, 3)
    one_channel = result(photo.attributions.sum(-1, keepdims=True), photo.inputs)
    assert show(one_channel).subfigs[0].axes[0].get_title() == "image"


def test_what_cannot_be_drawn_names_shape_and_remedy():
    with pytest.raises(AttributionError, match=r"\(2, 7, 7, 64\).*result\.sum\(axis\)"):
        show(result(np.ones((2, 7, 7, 64))))
    with pytest.raises(AttributionError, match=r"\(2, 5\).*kind='overlay'"):
        show(result(np.ones((2, 5))), kind="overlay")
    with pytest.raises(AttributionError, match="kind='map'"):
        show(result(np.ones((2, 8, 8))), kind="overlay")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"example": 7}, "example 7 does not exist"),
        ({"kind": "imge"}, "'image'"),
        ({"k": 3}, "k= means nothing for kind image"),
        ({"kind": "window", "sign": "positive"}, "sign= means nothing for kind window"),
        ({"limit": 0}, "at least 1"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(AttributionError, match=message):
        show(digits(), **options)


def heavy_tailed(side, seed=0):
    """As of photographs: few pixels are many times as large as the others."""
    return np.random.default_rng(seed).standard_t(2.5, size=(side, side))


def test_of_a_large_image_the_strongest_pixels_are_drawn_alike_and_it_is_said():
    values = heavy_tailed(64)
    over, alone = overlay(np.zeros((64, 64)), values), diverging(values)
    for picture in (over, alone):
        carried = np.abs(values)[np.abs(values) >= picture.limit].sum() / np.abs(values).sum()
        assert 0.2 <= carried < 0.201
        assert picture.clipped
        assert any("clipped" in words and f"{np.abs(values).max():.3g}" in words for words in picture.caption)
    assert alone.limit == diverging(values, clip=0.2).limit
    np.testing.assert_array_equal(alone.pixels, diverging(values, clip=0.2).pixels)


def test_a_small_image_and_what_is_asked_for_are_left_as_they_are():
    small, large = heavy_tailed(63), heavy_tailed(64)
    for picture in (diverging(small), diverging(large, clip=0)):
        assert not picture.clipped
    assert diverging(small).limit == np.abs(small).max()
    assert diverging(large, limit=7.0).limit == 7.0


def test_no_large_image_has_less_than_nothing_to_draw():
    assert diverging(np.zeros((64, 64))).limit == 0
    one = np.zeros((64, 64))
    one[3, 4] = -2.0
    assert diverging(one).limit == 2.0
    assert not diverging(one).clipped
    assert colour.limit_of(one, sign="positive") == 0.0


@pytest.mark.parametrize("kind", ["image", "overlay", "map", "mask", "window", "smooth"])
def test_a_narrow_figure_stands_upright_and_nothing_sticks_out(kind):
    photo = result(
        RNG.normal(size=(1, 64, 64, 3)), RNG.random((1, 64, 64, 3)), class_names={0: "a rather long name of a class"}
    )
    figure = show(photo, kind=kind, width=3)
    assert figure.get_size_inches()[0] == 3
    figure.canvas.draw()
    pictures = [axes for axes in figure.subfigs[0].axes if axes.images]
    assert len({round(axes.get_window_extent().x0) for axes in pictures}) == 1
    assert min(axes.get_window_extent().width for axes in pictures) > 0.6 * figure.bbox.width
    texts = [figure.subfigs[0]._suptitle, figure.subfigs[0]._supxlabel]
    assert max(text.get_window_extent().x1 for text in texts) <= figure.bbox.width
    boxes = [one.get_window_extent() for one in [*pictures, *texts]]
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


def test_a_width_that_means_nothing_is_refused():
    with pytest.raises(AttributionError, match="width= means nothing for kind table"):
        show(result(np.ones((2, 5))), width=3)
    with pytest.raises(AttributionError, match="above 1"):
        show(digits(), width=0)
