"""Maps of few columns, as those of a network's last convolution, are maps, and no signals of as many channels."""

import numpy as np
import pytest

import tf_attrib as ta
from tf_attrib.cli.attribute import _drawable
from tf_attrib.view import thumbnail
from tf_attrib.view.kinds import blocks

RNG = np.random.default_rng(0)


def made(shape, **fields):
    return ta.Attribution(RNG.normal(size=(1, *shape)), np.ones(1), place="layer", **fields)


def test_a_map_that_grad_cam_gave_without_its_image():
    result = made((7, 7), kind="map")
    assert blocks(result)[0].kind == "image"
    assert "time" not in str([axes.get_xlabel() for part in result.plot().subfigs for axes in part.axes])
    assert blocks(made((7, 7)))[0].kind == "signal"  # what a convolution along time has


@pytest.mark.parametrize("shape", [(7, 7, 16), (20, 4, 5)])
def test_channels_that_are_summed_leave_a_map(shape, monkeypatch):
    result, told = made(shape), []
    flat, options = _drawable(result)
    assert options == {"kind": "map"}
    assert "attribution alone" in [axes.get_title() for part in flat.plot(**options).subfigs for axes in part.axes]
    show = thumbnail.show
    monkeypatch.setattr(thumbnail, "show", lambda *args, **kind: told.append(kind["kind"]) or show(*args, **kind))
    thumbnail.board(result, 0)
    assert told == ["map"]


def test_a_word_has_no_more_room_than_a_line():
    assert thumbnail._fitting("word") == "word"
    long = thumbnail._fitting("x" * 5000)
    assert long.endswith("x…")
    assert thumbnail._font().getlength(long) <= thumbnail.WIDTH - 8
