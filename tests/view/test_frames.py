"""Videos and volumes, and the maps of layers that look at such: frames are axis 1, and no image's height."""

import numpy as np
import pytest

import tf_attrib as ta
from tf_attrib.cli.attribute import _drawable
from tf_attrib.view import thumbnail
from tf_attrib.view.kinds import blocks, drawable

from ..conftest import assert_refused

RNG = np.random.default_rng(4)


def made(shape, given=(6, 8, 3, 1), **fields):
    fields = {"inputs": RNG.uniform(size=(2, *given)), "place": "inputs", "kind": "contribution", "unit": "raw", **fields}
    return ta.Attribution(RNG.normal(size=(2, *shape)), np.ones(2), **fields)


def titles(figure):
    return [axes.get_title() for part in figure.subfigs for axes in part.axes if axes.get_title()]


def told(figure):
    return " ".join(figure.caption.split())


@pytest.mark.parametrize("channels", [1, 3])
def test_frames_stand_beside_each_other_above_their_maps(channels):
    result = made((6, 8, 5, channels), (6, 8, 5, channels))
    figure = result.plot(example=0)
    assert titles(figure) == [f"frame {number}" for number in range(6)] * 2
    assert "Frames are axis 1 of (2, 6, 8, 5" in told(figure)
    largest = np.abs(result.attributions[0].sum(-1)).max()
    assert f"full colour at ±{largest:.3g} raw" in told(figure)


@pytest.mark.parametrize(
    ("shape", "fields"),
    [
        ((4, 4, 3), {"kind": "map", "place": "layer"}),  # Grad-CAM of a layer whose maps are three cells wide
        ((6, 8, 1), {"kind": "map", "place": "layer"}),
        ((6, 8, 3), {}),  # a narrow volume whose channels were summed
    ],
)
def test_a_last_axis_of_three_or_one_is_no_channels_where_the_input_is_a_volume(shape, fields):
    result = made(shape, **fields)
    assert [block.kind for block in blocks(result)] == ["frames"]
    figure = result.plot(example=1)
    assert titles(figure)[: shape[0]] == [f"frame {number}" for number in range(shape[0])]
    assert "channels" not in told(figure)
    assert ("of the layer, which may have fewer" in told(figure)) == (fields != {})
    for kind in ("image", "map", "spectrogram"):
        assert_refused(lambda kind=kind: result.plot(kind=kind), "kind='frames'")


def test_an_image_of_three_channels_is_none():
    assert blocks(made((8, 8, 3), (8, 8, 3)))[0].kind == "image"
    # a layer of 3 channels that a recurrent layer made of the frames
    assert blocks(made((9, 9, 3), (6, 12, 12, 3), place="layer"))[0].kind == "image"


def test_of_more_frames_what_is_not_drawn_is_told():
    values = np.zeros((2, 20, 4, 4, 1))
    values[:, 0], values[:, 1] = 1, 3  # the second is not among four of twenty
    result = ta.Attribution(values, np.ones(2), inputs=values, kind="contribution", place="inputs")
    figure = result.plot(example=0, columns=4)
    assert titles(figure) == ["frame 0", "frame 6", "frame 13", "frame 19"] * 2
    assert "4 of 20 frames are drawn; the others carry 75% of the attribution" in told(figure)
    assert "full colour at ±3 " in told(figure)  # that of all frames


def test_effects_are_averaged_over_channels():
    values = np.broadcast_to(RNG.normal(size=(1, 6, 8, 5, 1)), (1, 6, 8, 5, 3))
    figure = ta.Attribution(values, np.ones(1), kind="effect").plot()
    assert f"full colour at ±{np.abs(values).max():.3g}" in told(figure)


def test_what_is_written_and_logged_without_being_asked():
    result = made((6, 8, 5, 3), (6, 8, 5, 3))
    assert _drawable(result) == (result, {})
    assert thumbnail.board(result, 0)[1][0] > 100
    coarse = made((4, 4, 5), (6, 8, 8, 3), place="layer", kind="map")
    assert drawable(coarse) == (coarse, "auto", [])
    flat, options = _drawable(made((4, 6, 5, 16), place="layer"))
    assert flat.attributions.shape == (2, 4, 6, 5)
    assert options == {"kind": "frames"}
    assert titles(flat.plot(example=0, **options)) == [f"frame {number}" for number in range(4)]


def test_scale_and_sign_can_be_chosen():
    """clip=0, which the pages tell to draw to scale, was refused, and frames of any size were clipped together."""
    result = made((6, 30, 30, 3), (6, 30, 30, 3))
    largest = [np.abs(one.sum(-1)).max() for one in result.attributions]
    assert "clipped" in told(result.plot(example=0))
    assert f"full colour at ±{largest[0]:.3g} raw" in told(result.plot(example=0, clip=0))
    both = told(result.plot(clip=0, common_scale=True))
    assert both.count(f"full colour at ±{max(largest):.3g} raw") == both.count("All examples are on one scale.") == 2
    assert "Only positive attributions are drawn" in told(result.plot(example=0, sign="positive"))


def test_videos_whose_channels_come_first():
    """The error told to sum the last axis, which frames of colours by rows were drawn of; frames themselves were not shown."""
    result = made((3, 6, 8, 5), (3, 6, 8, 5))
    assert_refused(result.plot, "result.sum(1) for channels that come first")
    flat, options = _drawable(result)
    np.testing.assert_allclose(flat.attributions, result.attributions.sum(1))
    figure = flat.plot(example=0, **options)
    assert titles(figure) == [f"frame {number}" for number in range(6)] * 2
    assert "Channels of the input are taken to be axis 1 of (2, 3, 6, 8, 5)." in told(figure)
    frame = figure.subfigs[0].axes[2].images[0].get_array()
    np.testing.assert_allclose(frame, np.moveaxis(result.inputs[0, :, 2], 0, -1))


def test_three_frames_of_two_channels_have_them_last():
    drawn, kind, said = drawable(made((3, 6, 8, 2), (3, 6, 8, 2)))
    assert (drawn.attributions.shape, kind) == ((2, 3, 6, 8), "frames")
    assert said[0] == "Channels are taken to be axis 4 of (2, 3, 6, 8, 2)."


def test_videos_whose_channels_come_first_are_logged():
    """The callback warned that it could not draw them."""
    assert thumbnail.board(made((3, 6, 8, 5), (3, 6, 8, 5)), 0)[1][0] > 100
