"""Examples side by side: each with its image, class and score, and what each method attributes, on stated scales."""

import re

import numpy as np
import pytest

import tf_attrib as ta
from tf_attrib.common.errors import AttributionError
from tf_attrib.view import colour

from .test_image import digits, heavy_tailed, result

RNG = np.random.default_rng(0)


def titles(figure):
    return [axes.get_title() for axes in figure.subfigs[0].axes]


def test_ten_digits_stand_in_ten_cells():
    ten = digits(10)
    figure = ta.grid(ten)
    axes = figure.subfigs[0].axes
    assert len(axes) == 20
    tops = np.array([one.get_position().y1 for one in axes])
    figure.canvas.draw()
    assert len({round(one.get_window_extent().y0) for one in axes}) == 2
    assert len(tops) == 20
    for example in range(10):
        image, drawn = axes[2 * example : 2 * example + 2]
        assert image.get_title().startswith(f"class {example}")
        assert f"{ten.scores[example]:.3g}" in image.get_title()
        values = ten.attributions[example, ..., 0]
        expected = colour.colours(colour.scale(values))[..., :3]
        np.testing.assert_allclose(drawn.images[0].get_array(), expected)
    limits = np.abs(ten.attributions).max((1, 2, 3))
    assert f"from ±{limits.min():.3g} to ±{limits.max():.3g}, each picture on its own scale (probability)" in " ".join(
        figure.caption.split()
    )


def test_a_result_draws_a_grid_of_itself():
    three = digits(3)
    assert titles(three.grid(across=3, example=[2, 0])) == titles(ta.grid(three, [2, 0], across=3))


def test_methods_stand_beside_each_other_under_their_names():
    first = digits(3)
    second = result(first.attributions * 2, first.inputs, method="VarGrad(x)")
    named = ta.grid({"ours": first, "theirs": second}, [2, -3], across=1)
    assert titles(named) == [f"class 2: {first.scores[2]:.3g}", "ours", "theirs", f"class 0: {first.scores[0]:.3g}", "", ""]
    assert titles(ta.grid([first, second], 0))[1:] == ["integrated_gradients", "Var Grad"]
    slopes = result(first.attributions, first.inputs, kind="slope")
    both = ta.grid({"parts": first, "slopes": slopes}).caption
    assert "raises the score, dark red lowers it (parts). Light green: the score rises" in " ".join(both.split())
    own, common = (ta.grid([first, second], common_scale=flag) for flag in (False, True))
    assert "each picture on its own scale" in own.caption
    assert f"at ±{2 * np.abs(first.attributions).max():.3g} (probability)." in " ".join(common.caption.split())


@pytest.mark.parametrize("width", [3.0, 5.4, 9.0])
def test_no_heading_is_cut_off(width):
    one = result(RNG.normal(size=(4, 64, 64, 1)), RNG.random((4, 64, 64, 1)))
    figure = ta.grid({"integrated gradients": one, "gradient × input": one}, width=width)
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    tops = [axes.title.get_window_extent(renderer).y1 for axes in figure.subfigs[0].axes if axes.get_title()]
    assert len(tops) >= 6
    assert max(tops) < figure.bbox.height - 1


def test_what_suits_the_data_is_drawn():
    values = np.stack([heavy_tailed(64, seed)[..., None] for seed in range(2)])
    large = result(values, RNG.random((2, 64, 64, 1)))
    figure = ta.grid(large)
    assert "In 2 of 2 pictures of attribution the strongest pixels are clipped: 20% of the attribution at most" in " ".join(
        figure.caption.split()
    )
    twice = " ".join(ta.grid({"one": large, "other": large}).caption.split())
    assert twice.count("In all pictures the strongest pixels are clipped: 20% of the attribution at most.") == 1
    assert "of one" not in twice
    coarse = result(np.abs(RNG.normal(size=(2, 4, 4))), large.inputs)
    layer = " ".join(ta.grid([large, coarse]).caption.split())
    assert "Of layers the positive part alone" in layer
    assert re.search(r"Full colour: .* from \d\S+ to \d\S+, each picture on its own scale", layer)
    for kind in ("map", "window", "smooth", "overlay"):
        pixels = ta.grid(large, kind=kind).subfigs[0].axes[1].images[0].get_array()
        shown = large.plot(kind=kind, example=0)
        expected = shown.subfigs[0].axes[0 if kind == "map" else 1].images[0].get_array()
        np.testing.assert_allclose(pixels, expected)


def test_names_stand_in_place_of_numbers_and_trouble_is_said():
    one = digits(2)
    flagged = result(
        one.attributions, one.inputs, class_names={1: "a cup"}, status=np.array(["", "too_few_steps"]), target=np.array([1, 0])
    )
    assert titles(ta.grid(flagged))[0].startswith("a cup")
    text = " ".join(ta.grid([one, flagged]).caption.split())
    assert "1 example (1): too few steps" in text
    assert "integrated_gradients explains other classes than those named." in text


def test_a_narrow_grid_is_as_wide_as_it_says_and_its_caption_is_whole():
    figure = ta.grid(digits(6), width=3)
    assert figure.get_size_inches()[0] == 3
    assert max(len(line) for line in figure.subfigs[0].get_supxlabel().split("\n")) < 52


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ta.grid(3), "takes a result"),
        (lambda: ta.grid([]), "takes a result"),
        (lambda: ta.grid([digits(), 3]), "takes a result"),
        (lambda: ta.grid(result(np.ones((2, 8, 8)))), "without its images"),
        (lambda: ta.grid(result(np.ones((2, 5)))), "draws attributions on images"),
        (lambda: ta.grid([digits(2), digits(2)]), "not of the same images"),
        (lambda: ta.grid(digits(2), 5), "example 5 does not exist"),
        (lambda: ta.grid(digits(2), []), "no examples"),
        (lambda: ta.grid(digits(2), kind="mask"), "kind is one of"),
        (lambda: ta.grid(digits(2), across=0), "across must be"),
        (lambda: ta.grid(digits(2), width=0.2), "width"),
    ],
)
def test_what_cannot_be_drawn_side_by_side_is_refused(call, message):
    with pytest.raises(AttributionError, match=message):
        call()


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (4, 1), (6, 2), (10, 2), (11, 3)])
def test_rows_are_balanced_and_few_examples_are_not_blown_up(count, rows):
    figure = ta.grid(digits(count))
    figure.canvas.draw()
    boxes = [axes.get_window_extent() for axes in figure.subfigs[0].axes]
    assert len({round(box.y0) for box in boxes}) == rows
    assert max(box.width for box in boxes) < 2.2 * 0.82 * figure.dpi
