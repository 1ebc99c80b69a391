"""Numbers as people read them."""

import numpy as np
import pytest

from tf_attrib.common.digits import hundredths, short


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (0.99999, "0.99999"),
        (np.float32(0.9999999), "0.9999999"),
        (-0.99999, "-0.99999"),
        (1 - 1e-16, "0.9999999999999999"),
        (0.25, "0.25"),
        (0.99994, "0.9999"),
        (1.00001, "1"),
        (5.588e-06, "5.588e-06"),
        (np.nan, "nan"),
    ],
)
def test_what_is_short_of_one_does_not_read_as_one(value, text):
    assert short(value) == text


def test_a_share_that_is_not_zero_does_not_read_as_zero():
    assert [hundredths(share) for share in (3e-6, -3e-6, 1e-4, 0.5)] == ["below 0.01%", "below 0.01%", "0.01%", "50.00%"]
