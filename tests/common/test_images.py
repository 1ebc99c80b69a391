"""Images read from files: the same numbers as TensorFlow decodes."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_attrib.common.images import read_image

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
