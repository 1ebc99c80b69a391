"""Images as other services draw them: which pixels are coloured, in which colour, over what."""

import io

import numpy as np
import pytest
from PIL import Image

from tf_attrib.view.highlight import SCHEMES, highlight, jpeg

from ..conftest import assert_refused

# from -50 to 49, one of each
VALUES = np.arange(-50, 50).reshape(10, 10).astype(float)
IMAGE = np.tile(np.linspace(0, 1, 10)[None, :, None], (10, 1, 3)) * [1.0, 0.5, 0.25]


def coloured(picture):
    """Where it is not black."""
    return picture.any(-1)


@pytest.mark.parametrize(("sign", "inside"), [("positive", VALUES > 0), ("negative", VALUES < 0), ("both", VALUES != 0)])
def test_one_sign_or_both_above_a_percentile(sign, inside):
    everything = highlight(IMAGE, VALUES, sign=sign, percentiles=(0, 100))
    strong = inside & (np.abs(VALUES) > 5)  # weak ones are black but for rounding
    assert np.all(coloured(everything)[strong])
    assert not coloured(everything)[~inside].any()
    magnitudes = np.abs(np.where(inside, VALUES, 0))
    some = highlight(IMAGE, VALUES, sign=sign, percentiles=(80, 100))
    low = np.percentile(magnitudes, 80)
    assert not coloured(some)[magnitudes <= low].any()
    assert coloured(some)[magnitudes > low + 2].all()
    # from the upper percentile on colours are full
    full = highlight(IMAGE, VALUES, sign=sign, percentiles=(0, 90))
    brightest = full[magnitudes >= np.percentile(magnitudes, 90)]
    assert len(np.unique(brightest, axis=0)) <= 2


@pytest.mark.parametrize("scheme", SCHEMES)
def test_colours_of_the_signs(scheme):
    picture = highlight(IMAGE, VALUES, sign="both", scheme=scheme, percentiles=(0, 100)).astype(int)
    most, least = picture[-1, -1], picture[0, 0]
    green, red, blue = (lambda c: c[1] > c[0] and c[1] > c[2]), (lambda c: c[0] > c[1] and c[0] > c[2]), (lambda c: c[2] > c[1])
    expected = {
        "pink_green": (green, red),
        "red_green": (green, red),
        "red": (red, red),
        "green": (green, green),
        "viridis": (lambda c: c[0] > 200 and c[1] > 200 > c[2], blue),
        "pink_white_green": (green, red),
    }[scheme]
    assert expected[0](most)
    assert expected[1](least)


def test_what_is_beneath():
    options = {"percentiles": (90, 100), "value_range": (0, 1)}
    weak = VALUES < 30
    original = highlight(IMAGE, VALUES, beneath="original", **options)
    np.testing.assert_allclose(original[weak], 255 * IMAGE[weak], atol=0.6)
    gray = highlight(IMAGE, VALUES, beneath="grayscale", **options)[weak]
    assert np.all(gray[:, 0] == gray[:, 1])
    np.testing.assert_allclose(gray[:, 0], 255 * IMAGE[weak].mean(-1), atol=0.6)
    masked = highlight(IMAGE, VALUES, beneath="mask_black", percentiles=(0, 100), value_range=(0, 1))
    np.testing.assert_allclose(masked, 255 * IMAGE * np.maximum(VALUES, 0)[..., None] / 49, atol=0.6)


def test_areas_are_outlined():
    values = np.zeros((30, 30))
    values[8:20, 10:25] = 1
    picture = highlight(np.zeros((30, 30, 3)), values, areas=True, percentiles=(62, 99.9), value_range=(0, 1))
    drawn = coloured(picture)
    assert drawn.any()
    assert not drawn[12:16, 15:20].any()  # inside
    assert not drawn[:4].any()
    assert not drawn[:, :5].any()
    rows, columns = np.nonzero(drawn)
    assert 5 <= rows.min() < 9
    assert 18 < rows.max() <= 22
    assert 7 <= columns.min() < 11


def test_nothing_and_nan_and_a_jpeg():
    assert not coloured(highlight(IMAGE, np.zeros((10, 10)))).any()
    assert not coloured(highlight(IMAGE, np.full((10, 10), np.nan))).any()
    picture = np.zeros((16, 16, 3), np.uint8)
    picture[4:12, 4:12] = [0, 200, 50]
    again = np.asarray(Image.open(io.BytesIO(jpeg(picture))))
    assert again.shape == (16, 16, 3)
    assert abs(int(again[8, 8, 1]) - 200) < 20
    assert_refused(lambda: highlight(IMAGE, VALUES, scheme="blue"), "scheme", "'blue'")
    assert_refused(lambda: highlight(IMAGE, VALUES, beneath="paper"), "beneath", "'paper'")
