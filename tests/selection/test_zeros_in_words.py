"""What is said of a baseline of zeros, by the range of the inputs."""

import numpy as np
import pytest

import tf_attrib as ta


@pytest.mark.parametrize(
    ("low", "high", "of_images", "of_columns"),
    [
        (0, 1, "black", "the low end"),
        (0.5, 0.9, "black", "below the range"),
        (-1, 1, "gray", "the middle"),
        (-0.4, 0.3, "gray", "the middle"),
        (-3, 4, "gray, about the middle", "inside the range"),
        (-5, -2, "above the range", "above the range"),
    ],
)
def test_where_zeros_lie_in_the_range_of_the_inputs(low, high, of_images, of_columns):
    values = np.linspace(low, high, 8, dtype="float32")
    for shape, words in (((2, 2, 2, 1), of_images), ((2, 4), of_columns)):
        attributor = ta.Attributor(lambda x: x[:, 0] if x.shape.rank == 2 else x[:, 0, 0, 0])
        said = attributor.attribute(values.reshape(shape), method="gradient_times_input").baseline
        assert said.startswith(f"zeros: {words}, inputs lie in [")
