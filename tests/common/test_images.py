"""Images read from files: the same numbers as TensorFlow decodes."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_attrib.common.images import dropped_words, read_image

from ..conftest import assert_refused


def test_sixteen_bits_are_read_as_tensorflow_reads_them(tmp_path):
    path = tmp_path / "scan.png"
    Image.fromarray(np.array([[0, 255, 4000], [256, 40_000, 65_535]], np.uint16)).save(path)
    for channels in (1, 3):
        found = read_image(str(path), (2, 3, channels))
        np.testing.assert_array_equal(found, tf.io.decode_png(path.read_bytes(), channels))
        assert found.max() == 255 > found[0, 2, 0]


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.array([[0, 100_000]], np.int32), "from 0 to 100000"),
        (np.array([[-1, 5]], np.int32), "from -1 to 5"),
        (np.array([[0.0, 1.0]], np.float32), "floating-point"),
    ],
)
def test_numbers_whose_black_and_white_are_not_known_are_refused(pixels, words, tmp_path):
    """Cut to eight bits 100,000 would be gray, and 1.0 black."""
    path = tmp_path / "measured.tiff"
    Image.fromarray(pixels).save(path)
    assert_refused(lambda: read_image(str(path), (1, 2, 1)), words, "measured.tiff", ".npy")


def test_images_are_gray_for_a_model_without_channels(tmp_path):
    path = tmp_path / "digit.png"
    Image.fromarray(np.array([[0, 51, 255]], np.uint8)).save(path)
    np.testing.assert_allclose(read_image(str(path), (1, 3), (0, 1)), [[0, 0.2, 1]], rtol=1e-6)


def test_what_is_dropped_of_an_image_is_said(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (4, 4, 3), np.uint8)
    colour = Image.fromarray(pixels)
    turned = colour.getexif()
    turned[0x0112] = 6
    colour.save(tmp_path / "turned.png", exif=turned)
    colour.save(tmp_path / "frames.gif", save_all=True, append_images=[Image.fromarray(pixels[::-1])])
    Image.fromarray(np.dstack([pixels, np.full((4, 4), 9, np.uint8)])).save(tmp_path / "clear.png")
    Image.fromarray(np.dstack([pixels, np.full((4, 4), 255, np.uint8)])).save(tmp_path / "opaque.png")
    Image.fromarray(rng.integers(0, 65_535, (4, 4)).astype(np.uint16)).save(tmp_path / "deep.png")
    colour.save(tmp_path / "plain.png")

    def dropped(name, channels=3):
        found = set()
        read_image(str(tmp_path / name), (4, 4, channels), dropped=found)
        return found

    names = ("turned.png", "frames.gif", "clear.png", "opaque.png", "deep.png", "plain.png")
    found = {name: dropped(name) for name in names}
    assert found == dict(zip(names, [{"turn"}, {"frames"}, {"transparency"}, set(), {"bits"}, set()], strict=True))
    assert dropped("clear.png", 4) == set()
    assert dropped("plain.png", 1) == {"colours"}
    squeezed = set()
    read_image(str(tmp_path / "plain.png"), (2, 3, 3), resize=True, dropped=squeezed)
    assert squeezed == {"proportions"}
    notes = dropped_words(found)
    assert notes[0] == "1 of 6 images ('turned.png'): the turn that EXIF data ask for is not made"
    assert len(notes) == 4


def test_images_are_read_as_tensorflow_reads_them_whatever_is_beside_the_pixels(tmp_path):
    """Models are trained on what its decoders give: neither turned nor blended."""
    path, pixels = tmp_path / "both.png", np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    image = Image.fromarray(pixels)
    turned = image.getexif()
    turned[0x0112] = 3
    image.save(path, exif=turned)
    np.testing.assert_array_equal(read_image(str(path), (2, 3, 3)), tf.io.decode_png(path.read_bytes(), 3))


def test_a_model_that_takes_channels_first_gets_them_first(tmp_path):
    """Its last two axes were taken for width and channels, and the error said to resize to 5×3 pixels."""
    path, pixels = tmp_path / "first.png", np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    Image.fromarray(pixels).save(path)
    np.testing.assert_array_equal(read_image(str(path), (3, 4, 5)), pixels.transpose(2, 0, 1))
    assert read_image(str(path), (1, 8, 10), resize=True).shape == (1, 8, 10)
    assert_refused(lambda: read_image(str(path), (3, 8, 10)), "5×4 pixels and the model takes 10×8")
    # any size: which axis channels are is not known, and the last is usual
    assert read_image(str(path), (3, None, None)).shape == (4, 5, 3)
