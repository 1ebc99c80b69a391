"""What is said and drawn along the path, beside the usual case."""

import dataclasses
import itertools

import numpy as np
import pytest

from tf_attrib.attribution import Attribution
from tf_attrib.common.errors import AttributionError
from tf_attrib.view import gradient_strip, saturation, show, strips
from tf_attrib.view.along_path import gradient_magnitude, steps_panel
from tf_attrib.view.kinds import blocks

ALPHAS = np.linspace(0, 1, 5)


def interior(sizes, shape=(2, 2, 1), **more):
    """Interior gradients whose every value at step i is sizes[i]."""
    values = np.asarray(sizes, float).reshape(1, -1, *(1,) * len(shape)) * np.ones((1, 1, *shape))
    given = {
        "inputs": np.ones((1, *shape)),
        "alphas": ALPHAS[None],
        "path_scores": np.linspace(0, 1, 5)[None],
        "path_gradients": np.asarray(sizes, float)[None] * 4,
        "target": np.array([0]),
        "kind": "slope",
        "steps": True,
        "unit": "raw",
        "method": "InteriorGradients(n_steps=5)",
    }
    return Attribution(values, np.ones(1), **{**given, **more})


def test_where_single_gradients_are_not_kept_the_derivative_along_the_path_is_drawn():
    result = interior([4, 3, 2, 1, -1])
    summed = dataclasses.replace(result, attributions=np.ones((1, 2, 2, 1)), steps=False, kind="contribution")
    sizes, label = gradient_magnitude(summed, 0)
    np.testing.assert_array_equal(sizes, [16, 12, 8, 4, 4])
    assert "derivative of the score along the path" in label
    bare = dataclasses.replace(summed, path_gradients=None)
    assert gradient_magnitude(bare, 0) is None
    figure = saturation(bare)
    assert len(figure.subfigs[0].axes) == 1
    assert "The gradient is largest" not in figure.caption


def test_a_peak_is_told_where_there_is_one():
    assert "largest at alpha 0, 4 times that at alpha 1" in " ".join(saturation(interior([4, 3, 2, 1, 1])).caption.split())
    assert "largest at" not in saturation(interior([1, 1, 1, 1, 1])).caption
    assert "largest at" not in saturation(interior([4, 3, 2, 1, 0])).caption


@pytest.mark.parametrize(
    ("sizes", "scale", "words"),
    [
        ([0, 0, 0], "each", "All of them are 0."),
        ([2, 1, 0], "each", "the last is 0 everywhere"),
        ([1, 1, 4], "each", "4 times stronger than the first"),
        ([4, 1, 1], "each", "4 times weaker than the first"),
        ([0, 1, 2], "each", "largest and smallest differ 2 times"),
        ([100, 100, 1], "common", "1 of 3 nowhere reach 5%"),
    ],
)
def test_what_a_strip_says_of_its_scale(sizes, scale, words):
    _, told = gradient_strip(np.asarray(sizes, float).reshape(-1, 1, 1, 1) * np.ones((1, 2, 2, 1)), scale)
    assert words in " ".join(told)


def test_without_a_baseline_the_sum_is_of_gradients():
    figure = strips(interior([4, 3, 2, 1, 1]))
    titles = [part.get_suptitle() for part in figure.subfigs]
    assert len(titles) == 3
    assert "times (input - baseline)" not in titles[-1]


def test_strips_have_the_width_that_is_asked_for():
    wide, narrow = (interior([1, 2, 3, 4, 5], shape=(4, 4, 1)).plot(kind="steps", columns=5, width=width) for width in (9, 5))
    assert narrow.get_size_inches()[0] == 5
    assert narrow.get_size_inches()[1] < wide.get_size_inches()[1]


@pytest.mark.parametrize("width", [3, 9])
def test_what_is_written_above_the_pictures_of_strips_does_not_run_together(width):
    along = {name: np.linspace(0, 1, 17)[None] for name in ("alphas", "path_scores", "path_gradients")}
    figure = interior(np.linspace(1, 2, 17), shape=(8, 8, 1), **along).plot(kind="steps", width=width)
    figure.canvas.draw()
    for part in figure.subfigs:
        shown = [axes for axes in part.axes if axes.images]
        assert len(shown) == 8
        assert min(axes.get_window_extent().width for axes in shown) > 0.6 * figure.dpi
        rows = {}
        for axes in shown:
            rows.setdefault(round(axes.get_window_extent().y0), []).append(axes.title.get_window_extent())
        assert len(rows) == (3 if width == 3 else 1)
        for titles in rows.values():
            assert all(left.x1 < right.x0 for left, right in itertools.pairwise(titles))


def test_strips_of_what_has_none():
    with pytest.raises(AttributionError, match="no tensor 'mask' in the result"):
        strips(interior([1, 1, 1, 1, 1]), key="mask")
    with pytest.raises(AttributionError, match="strips are of interior gradients of images"):
        strips(interior([1, 1, 1, 1, 1], shape=(3,)))


def test_embedding_dimensions_are_summed_in_the_map_of_steps():
    result = interior([4, 3, 2, 1, 1], shape=(3, 6))
    panel = steps_panel(result, blocks(result)[0], 0)
    assert "6 values of each feature" in panel.caption[0]


def test_strips_of_large_images_are_clipped_and_say_so():
    maps = np.random.default_rng(0).standard_t(2.5, size=(3, 64, 64, 1))
    for scale in ("each", "common"):
        pictures, told = gradient_strip(maps, scale)
        assert any("20% of its attribution at most, are clipped" in words for words in told)
        assert f"{np.abs(maps).max():.3g}" in told[-1]
        assert all(picture.limit < np.abs(maps[i]).max() for i, picture in enumerate(pictures)) or scale == "common"


def test_saturation_is_as_wide_as_it_is_told_and_what_it_says_fits():
    figure = show(interior([4, 3, 2, 1, 1]), kind="saturation", width=3)
    assert figure.get_size_inches()[0] == 3
    figure.canvas.draw()
    part = figure.subfigs[0]
    texts = [part._suptitle, part._supxlabel, *(axes.yaxis.label for axes in part.axes), part.axes[0].xaxis.label]
    for text in texts:
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert max(box.x1 - figure.bbox.x1, -box.y0, box.y1 - figure.bbox.y1) <= 0


def test_a_map_of_steps_that_clips_says_so_at_its_bar():
    alphas = np.linspace(0, 1, 64)[None]
    result = interior(np.ones(64), shape=(80,), alphas=alphas, path_scores=alphas)
    result.attributions[:] = np.random.default_rng(0).normal(size=result.attributions.shape)
    figure = result.plot()
    assert "clipped" in figure.caption
    (bar,) = [axes for part in figure.subfigs for axes in part.axes if not axes.images]
    assert bar._colorbar.extend == "both"
