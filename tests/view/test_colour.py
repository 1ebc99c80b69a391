"""Colours, scales and regions: what is drawn is proportional, zero is gray, and captions count what is hidden."""

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgba

from tf_attrib.common.errors import AttributionError
from tf_attrib.view import captions, colour, shares

VALUES = np.array([[5.0, -3.0, 1.0], [0.5, -0.5, 0.0]])


def lightness(hexadecimal):
    return 116 * np.cbrt(colour.luminance(to_rgba(hexadecimal))) - 16


def test_positive_is_green_negative_is_red_and_zero_exactly_gray():
    rgba = colour.colours(colour.scale(VALUES))
    red, green = rgba[..., 0], rgba[..., 1]
    assert (green > red)[VALUES > 0].all()
    assert (red > green)[VALUES < 0].all()
    assert to_hex(rgba[1, 2]) == colour.GRAY
    np.testing.assert_allclose(rgba[1, 2], to_rgba(colour.GRAY), atol=1e-15)
    assert colour.sign_colours([2, -2, 0]) == [colour.GREEN, colour.RED, colour.GRAY]


def test_largest_magnitude_has_full_colour_and_the_scale_is_linear():
    scaled = colour.scale(VALUES)
    assert scaled.limit == 5
    np.testing.assert_allclose(scaled.values, VALUES / 5)
    assert np.allclose(colour.colours(scaled)[0, 0], to_rgba(colour.GREEN))
    np.testing.assert_allclose(colour.tint(scaled)[..., 3], np.abs(VALUES) / 5)
    assert scaled.hidden == ()


def test_green_and_red_differ_in_lightness():
    assert lightness(colour.GREEN) - lightness(colour.RED) > 25


def test_ten_times_the_attribution_is_the_same_picture_with_another_caption():
    one, ten = (colour.scale(factor * VALUES, clip=0.5) for factor in (1, 10))
    np.testing.assert_allclose(colour.colours(one), colour.colours(ten))
    assert ten.limit == pytest.approx(10 * one.limit)
    assert colour.full_colour(5, "probability", "", "zero is gray") != colour.full_colour(
        50, "probability", "contribution", "zero is gray"
    )
    assert "±50 probability" in colour.full_colour(50, "probability", "contribution", "zero is gray")


def test_plain_gradients_get_another_meaning_of_the_colours():
    assert "rises with the value" in colour.full_colour(1, "logit per unit of input", "slope", "zero is gray")
    assert "raises the score" in colour.full_colour(1, "logit", "contribution", "zero is gray")


@pytest.mark.parametrize(
    ("share", "expected"), [(0.49, 5.0), (0.5, 5.0), (0.51, 3.0), (0.8, 3.0), (0.9, 1.0), (0.95, 0.5), (1.0, 0.5)]
)
def test_threshold_is_a_percentile_of_the_total_attribution(share, expected):
    # magnitudes 5, 3, 1, 0.5, 0.5 of 10
    assert shares.threshold(VALUES, share) == expected


def test_threshold_is_not_fooled_by_rounding():
    # the first three carry 0.92 of the total, but in floating point 2.3 < 0.92 * 2.5
    assert shares.threshold([1.0, 0.9, 0.4, 0.1, 0.1], 0.92) == 0.4
    assert shares.threshold(np.zeros(3), 0.5) == 0
    assert shares.threshold(VALUES, 0) == np.inf


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9, 0.99])
def test_strongest_carry_the_share_and_are_the_fewest(share):
    values = np.random.default_rng(0).normal(size=(17, 9))
    mask = shares.strongest(values, share)
    assert shares.share_of(values, mask) >= share
    weakest = np.abs(np.where(mask, values, np.inf)).argmin()
    mask.flat[weakest] = False
    assert shares.share_of(values, mask) < share


def test_keep_draws_exactly_the_features_that_carry_the_share():
    scaled = colour.scale(VALUES, keep=0.8)
    np.testing.assert_array_equal(scaled.values != 0, np.abs(VALUES) >= 3)
    assert scaled.hidden == ("The 3 pixels of least magnitude, 20% of the attribution, not drawn.",)


def test_clip_gives_full_colour_to_the_features_that_carry_the_share():
    scaled = colour.scale(VALUES, clip=0.8)
    assert scaled.limit == 3
    assert scaled.clipped
    np.testing.assert_array_equal(np.abs(scaled.values) == 1, np.abs(VALUES) >= 3)
    assert scaled.hidden == ("The strongest pixel, 50% of the attribution, is clipped at 3 (the largest is 5).",)


def test_a_given_limit_states_what_it_clips():
    scaled = colour.scale([4.0, 4.0, 1.0, 1.0], limit=2.0, noun="word")
    assert scaled.hidden == ("The 2 strongest words, 80% of the attribution, are clipped at 2 (the largest is 4).",)
    np.testing.assert_array_equal(scaled.values, [1, 1, 0.5, 0.5])


@pytest.mark.parametrize(
    ("sign", "left", "hidden"),
    [
        ("positive", VALUES > 0, "2 pixels of the other sign, 35% of the attribution"),
        ("negative", VALUES < 0, "3 pixels of the other sign, 65% of the attribution"),
    ],
)
def test_one_sign_alone_says_what_is_left_out(sign, left, hidden):
    scaled = colour.scale(VALUES, sign=sign)
    np.testing.assert_array_equal(scaled.values != 0, left)
    assert hidden in scaled.hidden[0]


def test_shares_are_of_the_sign_that_is_drawn():
    scaled = colour.scale(VALUES, sign="positive", keep=0.9)
    np.testing.assert_array_equal(scaled.values > 0, [[True, False, True], [False, False, False]])


def test_what_is_not_finite_is_marked_and_counted():
    scaled = colour.scale([1.0, np.nan, np.inf, -2.0])
    assert scaled.hidden == ("2 pixels not finite (violet).",)
    assert scaled.limit == 2
    np.testing.assert_allclose(colour.colours(scaled)[1], to_rgba(colour.NOT_FINITE))


def test_nothing_to_draw_is_gray_and_said():
    scaled = colour.scale(np.zeros((2, 2)))
    np.testing.assert_allclose(colour.colours(scaled), np.broadcast_to(to_rgba(colour.GRAY), (2, 2, 4)), atol=1e-15)
    assert colour.full_colour(scaled.limit, "logit", "contribution", "zero is gray") == "All attributions that are drawn are 0."


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sign": "postive"}, "'positive'"),
        ({"keep": 90}, "from 0 to 1"),
        ({"clip": -0.1}, "from 0 to 1"),
        ({"clip": 0.1, "limit": 1.0}, "not both"),
        ({"clean": 1}, "2 or more"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(AttributionError, match=message):
        colour.scale(VALUES, **options)


@pytest.mark.parametrize("value", np.linspace(-1, 1, 21))
def test_text_is_readable_on_every_colour(value):
    background = colour.hex_colours(colour.Scaled(np.array([value]), 1.0, False, ()))[0]
    light, dark = sorted(
        (colour.luminance(to_rgba(shade)) for shade in (background, colour.text_colour(background))), reverse=True
    )
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_clean_up_removes_specks_fills_holes_and_keeps_the_border():
    mask = np.zeros((12, 12), bool)
    mask[0:5, 0:5] = True
    mask[2, 2] = False
    mask[9, 9] = True
    expected = np.zeros((12, 12), bool)
    expected[0:5, 0:5] = True
    np.testing.assert_array_equal(shares.clean_up(mask, 3), expected)


def test_clean_up_alters_no_value_and_counts_what_it_hides():
    values = np.zeros((8, 8))
    values[1:4, 1:4] = 1.0
    values[6, 6] = 1.0
    values[0, 7] = 0.1
    scaled = colour.scale(values, keep=0.95, clean=3)
    np.testing.assert_array_equal(scaled.values[1:4, 1:4], 1.0)
    assert scaled.values[6, 6] == 0
    assert "hides 1 pixel, 9.9% of the attribution, and brings back 0 pixels" in scaled.hidden[1]


def test_cleaned_regions_still_carry_the_share_and_are_the_smallest():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(24, 24)) * np.exp(-(((np.indices((24, 24)) - 11.5) ** 2).sum(0)) / 60)
    found = shares.regions(values, 0.6, clean=3)
    assert shares.share_of(values, found) >= 0.6
    for level in np.unique(np.abs(values)):
        other = shares.clean_up(np.abs(values) >= level, 3)
        assert other.sum() >= found.sum() or shares.share_of(values, other) < 0.6


def test_regions_without_clean_up_are_the_strongest_pixels():
    np.testing.assert_array_equal(shares.regions(VALUES, 0.8), np.abs(VALUES) >= 3)
    assert not shares.regions(np.zeros((3, 3)), 0.8).any()
    np.testing.assert_array_equal(shares.regions(VALUES, 1.0), VALUES != 0)


def test_outline_runs_around_the_pixels():
    mask = np.zeros((4, 5), bool)
    mask[1, 2:4] = True
    lines = shares.outline(mask)
    assert len(lines) == 6
    np.testing.assert_array_equal([lines[..., 0].min(), lines[..., 0].max()], [1.5, 3.5])
    np.testing.assert_array_equal([lines[..., 1].min(), lines[..., 1].max()], [0.5, 1.5])
    lengths = np.abs(lines[:, 1] - lines[:, 0]).sum(1)
    np.testing.assert_array_equal(lengths, 1)
    assert len(shares.outline(np.ones((2, 2), bool))) == 8


@pytest.mark.parametrize(
    ("value", "text"), [(0.0123456, "0.0123"), (4120, "4,120"), (0, "0"), (-2.5, "-2.5"), (0.99996, "0.99996"), (1, "1")]
)
def test_numbers_in_words(value, text):
    assert captions.number(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.12, "12%"), (0.0321, "3.2%"), (1, "100%"), (0.998, ">99%"), (0.00001, "<0.01%"), (-0.0, "0%"), (12.5, "1,250%")],
)
def test_percentages_in_words(share, text):
    assert captions.percent(share) == text


def test_times_in_words():
    assert [captions.times(ratio) for ratio in (1.3, 26, 110.2, 4012)] == ["1.3 times", "26 times", "110 times", "4,000 times"]


EYES = (None, "deuteranomaly", "protanomaly", "tritanomaly")


def seen(rgb, eyes):
    """Colours (..., 3) in CAM02-UCS, where a distance of 1 is barely seen, for all eyes or those that lack one cone."""
    spaces = pytest.importorskip("colorspacious")
    if eyes is not None:
        space = {"name": "sRGB1+CVD", "cvd_type": eyes, "severity": 100}
        rgb = np.clip(spaces.cspace_convert(np.asarray(rgb), space, "sRGB1"), 0, 1)
    return spaces.cspace_convert(np.asarray(rgb), "sRGB1", "CAM02-UCS")


@pytest.mark.parametrize("eyes", EYES)
def test_the_sign_is_seen_by_eyes_that_lack_a_cone(eyes):
    ramp = seen(colour.DIVERGING(np.linspace(0, 1, 257))[:, :3], eyes)
    differences = np.linalg.norm(ramp[129:] - ramp[127::-1], axis=1)
    assert differences[-1] > 25, "full colours"
    assert differences[31] > 9, "a quarter of full colour"
    assert (np.diff(ramp[:129, 0]) > 0).all(), "the lightness rises from red to gray"
    assert (np.diff(ramp[128:, 0]) < 0).all(), "and falls from gray to green, less far"
    assert ramp[-1, 0] - ramp[0, 0] > 25


@pytest.mark.parametrize("eyes", EYES)
def test_the_sign_is_seen_over_any_gray_by_eyes_that_lack_a_cone(eyes):
    grays = np.linspace(0.15, 0.7, 12)[:, None]  # those of the image beneath an overlay
    green, red = (seen(grays / 2 + np.array(to_rgba(one)[:3]) / 2, eyes) for one in (colour.GREEN, colour.RED))
    assert np.linalg.norm(green[:, None] - red[None], axis=-1).min() > 10
