"""Numbers that are none: every kind of picture says how many there are, and how they look. None fails over them."""

import numpy as np
import pytest

import tf_attrib as ta
from tf_attrib.view import features_html
from tf_attrib.view.column_plots import NOT_ATTRIBUTED
from tf_attrib.view.pairs import pair
from tf_attrib.view.thumbnail import board

from ..conftest import assert_refused

RNG = np.random.default_rng(7)


def made(shape, inputs=None, where=(0, 1), value=np.nan, **fields):
    """One example, with one number that is not finite."""
    attributions = RNG.normal(size=(1, *shape))
    attributions[where] = value
    rest = {"kind": "contribution", "place": "inputs", "gap": np.zeros(1), "scores": np.ones(1), "baseline_scores": np.zeros(1)}
    return ta.Attribution(attributions, **rest | {"inputs": inputs} | fields)


def image(value=np.nan):
    return made((6, 6, 3), RNG.random((1, 6, 6, 3)), (0, 2, 3, 1), value)


def table():
    return made((15,), RNG.normal(size=(1, 15)))


def words():
    return made((4,), np.arange(1, 5)[None], tokens=np.array([list("abcd")]))


def along_a_path():
    alphas = np.linspace(0, 1, 5)[None]
    known = {"alphas": alphas, "path_scores": np.array([[0, 0.1, np.nan, 0.3, 1]]), "steps": True, "kind": "slope"}
    return made((5, 6, 6), RNG.random((1, 6, 6)), (0, 3, 2, 2), **known)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
@pytest.mark.parametrize(
    ("kind", "words"),
    [("image", "violet"), ("overlay", "violet"), ("map", "violet"), ("mask", "as 0"), ("window", "as 0"), ("smooth", "as 0")],
)
def test_pictures_of_images_say_it(kind, words, value):
    caption = image(value).plot(kind=kind).caption
    assert "1 pixel not finite" in caption
    assert words in caption


def test_grids_say_it_of_each_method():
    broken = image()
    caption = ta.grid({"whole": ta.Attribution(np.ones((1, 6, 6, 3)), np.ones(1), broken.inputs), "broken": broken}).caption
    assert "broken: 1 pixel not finite (violet)" in caption
    assert "whole: 1 pixel" not in caption
    assert "1 pixel not finite (taken as 0)" in broken.grid(kind="window").caption


def test_tables_say_it_of_features_that_have_no_room():
    assert "1 feature not finite (no bar)" in table().plot(k=3).caption
    assert "1 feature not finite" in features_html(table(), k=3)


def test_a_bar_of_a_waterfall_is_no_zero():
    figure = table().plot(kind="waterfall", k=20)
    assert "1 column not finite (taken as 0)" in figure.caption
    (axes,) = [axes for part in figure.subfigs for axes in part.axes]
    assert "+nan" in [text.get_text() for text in axes.texts]
    assert sum(bar.get_width() for bar in axes.patches) == pytest.approx(1)
    assert [text.get_text() for text in axes.get_yticklabels()][-1] == NOT_ATTRIBUTED


def test_dots_that_are_not_there_are_said():
    values = np.array([[1.0, 2, 3], [np.nan, 2, 3], [4.0, 5, np.inf]])
    result = ta.Attribution(np.array([[1.0, np.nan, 2], [1, 2, 3], [1, 2, 3]]), np.ones(3), values, place="inputs")
    caption = result.plot(kind="scatter", feature=["0", "1", "2"]).caption
    assert "Without a dot, as value or attribution is not finite: 1 example of 0, 1 example of 1, 1 example of 2." in caption
    assert "Without a dot" not in result[1].plot(kind="scatter", feature=["1", "2"]).caption


def test_positions_say_it_and_gaps_that_are_known():
    known = {"position": np.arange(3), "example": np.zeros(3, int), "target": np.zeros((3, 2), int), "kind": "contribution"}
    numbers = {"scores": np.ones(3), "gap": np.array([0.1, np.nan, -0.4]), "inputs": np.ones((3, 3), int)}
    result = ta.Attribution(np.array([[1.0, 0, 0], [np.nan, 1, 0], [1, 2, 3]]), **numbers, **known)
    caption = result.plot().caption
    assert "1 number not finite (violet)" in caption
    assert "Largest gap -0.4 at position 2" in caption
    assert_refused(lambda: result.plot(limit=0), "limit", "at least 1")


def test_paths_say_it():
    result = along_a_path()
    assert "1 score not finite (not drawn). 1 gradient not finite (not drawn)." in result.plot(kind="saturation").caption
    assert "1 pixel not finite (violet)" in result.plot().caption
    result.attributions[:] = np.nan
    assert "5 gradients not finite" in result.plot(kind="saturation").caption
    assert "of them are 0" not in result.plot().caption


def test_pairs_say_it():
    assert "2 numbers not finite (violet)" in str(pair(words(), words(), 0, ("one", "other"))[0])
    assert "2 numbers not finite (no bar)" in pair(table(), table(), 0, ("one", "other"))[0].caption


def test_boxes_of_thumbnails_say_it(monkeypatch):
    told = []
    framed = ta.view.thumbnail._framed
    monkeypatch.setattr(ta.view.thumbnail, "_framed", lambda *args: told.append(args[2]) or framed(*args))
    board(words(), 0)
    assert "1 word not finite (violet)" in told[0]
