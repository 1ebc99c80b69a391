"""Results of several batches as one: what any of them warns of is kept."""

import numpy as np

import tf_attrib as ta
from tf_attrib.result.joined import joined


def made(count, **fields):
    return ta.Attribution(np.ones((count, 2)), np.ones(count), **fields)


def test_what_a_later_batch_warns_of_is_kept():
    """That its scores depend on their batch was lost, and the joined result looked sound."""
    found = joined([made(2, notes=("a",)), made(1, batch_dependence="they do", notes=("b", "a"), left_out=("city",))])
    assert len(found) == 3
    assert found.batch_dependence == "they do"
    assert found.left_out == ("city",)
    assert found.notes == ("a", "b")
    assert repr(found).splitlines()[1].startswith("  LEFT OUT: 'city'")
    assert "UNSTABLE SCORES: they do" in repr(found)


def test_what_one_of_them_does_not_know_is_filled_in():
    found = joined([made(1, narrow_at=np.array([0.5])), made(1)])
    np.testing.assert_array_equal(found.narrow_at, [0.5, np.nan])
