"""A stream is known by how it begins: what comes otherwise later is refused. Ids and labels are those of their rows."""

import numpy as np
import pandas
import pytest

import tf_attrib as ta
from tf_attrib.datasets.shards import isolated
from tf_attrib.datasets.shards.sources import as_ids

from ...conftest import assert_refused

X = np.random.default_rng(0).normal(size=(30, 4)).astype("float32")
FAST = {"method": "gradient", "batch_size": 4, "shard_size": 10, "verbose": False}


def batches(stop, size=5):
    return (X[start : start + size] for start in range(0, stop, size))


@pytest.mark.parametrize(
    ("now", "words"), [(15, "00001.parquet' holds 10"), (20, "00002.parquet' holds 5"), (30, "00002.parquet' holds 5")]
)
def test_a_stream_that_ends_elsewhere_is_not_put_beside_what_is_there(now, words, attributor, tmp_path):
    ta.attribute_dataset(attributor, batches(25), tmp_path, **FAST)
    again = lambda: ta.attribute_dataset(attributor, batches(now), tmp_path, **FAST)  # noqa: E731
    assert_refused(again, words, "ended early")
    assert len(ta.attribute_dataset(attributor, batches(25), tmp_path, **FAST)) == 25


def test_frames_with_columns_in_another_order_are_refused(attributor, tmp_path):
    """They stand side by side in one input, under the names of the first."""
    frame = pandas.DataFrame(X, columns=list("abcd"))
    mixed = [frame[:10], frame[10:][list("dcba")]]
    assert_refused(lambda: ta.attribute_dataset(attributor, mixed, tmp_path, **FAST), "same columns", "frame[columns]")


def test_columns_that_change_their_order_where_a_run_goes_on_are_refused(attributor, tmp_path):
    """What was attributed before is not done again, and the first batch that is has the other order already."""
    frame = pandas.DataFrame(X, columns=list("abcd"))
    ta.attribute_dataset(attributor, iter([frame[:10], frame[10:]]), tmp_path, **FAST)
    (tmp_path / "shard-00000-00002.parquet").unlink()
    mixed = iter([frame[:10], frame[10:20], frame[20:][list("dcba")]])
    assert_refused(lambda: ta.attribute_dataset(attributor, mixed, tmp_path, **FAST), "same columns", "['a', 'b', 'c', 'd']")


def test_frames_and_arrays_in_turn_are_refused(attributor, tmp_path):
    frame = pandas.DataFrame(X, columns=list("dcba"))
    assert_refused(lambda: ta.attribute_dataset(attributor, iter([X[:10], frame[10:]]), tmp_path, **FAST), "others are arrays")


def test_batches_of_other_types_lose_their_rows_alone(attributor, tmp_path):
    """One array of numbers and text is text, of which good rows know nothing."""
    found = ta.attribute_dataset(attributor, iter([X[:6], X[6:9].astype(str), X[9:].astype("float64")]), tmp_path, **FAST)
    assert [one["row"] for one in found.failures()] == [6, 7, 8]
    expected = attributor.attribute(X, method="gradient", verbose=False).attributions
    attributions = np.concatenate([np.asarray(one.attributions) for one in found])
    np.testing.assert_allclose(np.delete(attributions, [6, 7, 8], 0), np.delete(expected, [6, 7, 8], 0), rtol=1e-4)


def test_a_stream_that_broke_off_is_done_to_its_end(attributor, tmp_path):
    def broken():
        yield from batches(15)
        raise RuntimeError("the connection is gone")

    with pytest.raises(RuntimeError, match="connection"):
        ta.attribute_dataset(attributor, broken(), tmp_path, **FAST)
    assert len(ta.open(tmp_path)) == 10
    found = ta.attribute_dataset(attributor, batches(25), tmp_path, **FAST)
    assert found.ids.tolist() == list(range(25))


def test_shares_of_a_stream_that_are_done_again_are_let_be(attributor, tmp_path):
    for part in (1, 0, 1):
        found = ta.attribute_dataset(attributor, batches(25), tmp_path, shard=(part, 2), **FAST)
    assert found.ids.tolist() == list(range(25))


@pytest.mark.parametrize("first", [True, False])
def test_labels_are_in_all_batches_or_in_none(first, attributor, tmp_path):
    pairs = [(X[:5], np.zeros(5, int)), X[5:10]]
    data = iter(pairs if first else pairs[::-1])
    assert_refused(lambda: ta.attribute_dataset(attributor, data, tmp_path, **FAST), "some batches", "labels")


def test_a_label_that_is_missing_loses_its_row_alone(attributor, tmp_path):
    labels = np.arange(30) % 3 + 0.0
    labels[[7, 9]] = np.nan, 0.5
    found = ta.attribute_dataset(attributor, (X, labels), tmp_path, target="label", **FAST)
    assert [(one["row"], one["status"]) for one in found.failures()] == [(7, "failed"), (9, "failed")]
    assert "label is missing" in found.failures()[0]["reason"]
    good = np.delete(np.arange(30), [7, 9])
    assert found.to_pandas()["target"][good].tolist() == (good % 3).tolist()


def test_ids_are_kept_as_they_are_or_refused():
    assert as_ids(np.array([3, 2**62], object)).tolist() == [3, 2**62]
    assert as_ids(np.array([7], np.uint64)).tolist() == [7]
    assert as_ids(np.array([b"a", "b"], object)).tolist() == ["a", "b"]
    assert_refused(lambda: as_ids(np.array([1, 2**63], np.uint64)), "below 2**63", "astype(str)")
    for absent in (None, np.nan):
        assert_refused(lambda absent=absent: as_ids(np.array(["a", absent], object)), "every row needs an id")
    assert_refused(lambda: as_ids(np.array([1, np.nan])), "missing are NaN")
    assert_refused(lambda: as_ids(np.array([b"\xff"], object)), "UTF-8")


def test_a_row_that_failed_once_and_does_no_more_is_no_failure(attributor, tmp_path, monkeypatch):
    def failing(call, inputs, labels):
        if (np.asarray(inputs)[:, 0] == X[13, 0]).any():
            raise RuntimeError("out of memory")
        return made(call, inputs, labels)

    made = isolated.Call.__call__
    monkeypatch.setattr(isolated.Call, "__call__", failing)
    found = ta.attribute_dataset(attributor, X, tmp_path, **FAST)
    assert [one["row"] for one in found.failures()] == [13]
    monkeypatch.undo()
    found.paths[1].unlink()
    found = ta.attribute_dataset(attributor, X, tmp_path, **FAST)
    assert found.failures() == []
    assert np.isfinite(found[13].attributions).all()
