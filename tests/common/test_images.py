"""Images read from files: the same numbers as TensorFlow decodes."""

import numpy as np
import tensorflow as tf
from PIL import Image

from tf_attrib.common.images import read_image


def test_sixteen_bits_are_read_as_tensorflow_reads_them(tmp_path):
    path = tmp_path / "scan.png"
    Image.fromarray(np.array([[0, 255, 4000], [256, 40_000, 65_535]], np.uint16)).save(path)
    for channels in (1, 3):
        found = read_image(str(path), (2, 3, channels))
        np.testing.assert_array_equal(found, tf.io.decode_png(path.read_bytes(), channels))
        assert found.max() == 255 > found[0, 2, 0]
