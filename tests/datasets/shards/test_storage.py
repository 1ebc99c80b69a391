"""Shards in Parquet and in .npz: what was stored is read again to the last bit, in the shapes that it had."""

import numpy as np
import pandas
import polars
import pytest

import tf_attrib as ta
from tf_attrib.common.atomic import write_whole
from tf_attrib.datasets.shards import storage
from tf_attrib.datasets.shards.blocks import Kept, kept_as

from ...conftest import assert_refused

RNG = np.random.default_rng(0)


def result_of(count, shape=(2, 3), dtype="float32", **fields):
    values = RNG.normal(size=(count, *shape)).astype(dtype)
    told = {"method": "M()", "at": "inputs", "of": "logit", "status": np.full(count, "converged"), "target": np.arange(count)}
    return ta.Attribution(values, RNG.normal(size=count).astype("float32"), inputs=values * 2, **told | fields)


def block_of(result, first=0, kept=None, labels=None):
    ids = np.array([f"é{number}" for number in range(first, first + len(result))])
    return (kept or Kept(("attributions", "inputs"))).block(result, ids, first + np.arange(len(result)), labels)


def stored(folder, blocks, how):
    path = write_whole(folder / f"shard-00000-00000.{how}", lambda file: storage.write(file, iter(blocks), how))
    return path, list(storage.read(path))


@pytest.mark.parametrize("how", ["parquet", "npz"])
def test_blocks_are_read_as_they_were_written(how, tmp_path):
    results = [result_of(5, notes=("one",)), result_of(3, notes=("two",), class_names={1: "cat"})]
    labels = [np.arange(5), np.arange(3)]
    path, found = stored(tmp_path, map(block_of, results, (0, 5), (None, None), labels), how)
    assert storage.count(path) == 8
    assert [len(block) for block in found] == [5, 3]
    for block, result, own in zip(found, results, labels, strict=True):
        again = block.result
        np.testing.assert_array_equal(again.attributions, result.attributions)
        assert again.attributions.dtype == np.float32
        again.attributions[0] = 0  # may be written to
        np.testing.assert_array_equal(again.inputs, result.inputs)
        np.testing.assert_array_equal(again.scores, result.scores)
        assert again.status.tolist() == result.status.tolist()
        np.testing.assert_array_equal(block.columns["label"], own)
        assert again.method == "M()"
        assert again.notes == ("one", "two")
        assert again.class_names == {1: "cat"}
    assert found[1].columns["id"].tolist() == ["é5", "é6", "é7"]
    assert found[1].columns["row"].tolist() == [5, 6, 7]
    (only,) = list(storage.read(path, ["id"]))[:1]
    assert list(only.columns) == ["id"]


@pytest.mark.parametrize("how", ["parquet", "npz"])
def test_several_tensors_texts_and_shapes_that_change_keep_their_shapes(how, tmp_path):
    def one(count, length, width=4):
        values = {"a": RNG.normal(size=(count, length, 2)), "b": RNG.normal(size=(count, width))}
        tokens = np.array([["yes", "no", "ü"][:length]] * count)
        return ta.Attribution(values, np.zeros(count), tokens=tokens, alphas=RNG.uniform(size=(count, 3)), inputs=values)

    kept, results = Kept(("attributions", "tokens"), dtype="float64"), [one(4, 3), one(2, 3), one(3, 1), one(2, 2, 5)]
    starts = np.cumsum([0, 4, 2, 3])
    _, found = stored(tmp_path, [block_of(result, first, kept) for result, first in zip(results, starts, strict=True)], how)
    assert [len(block) for block in found] == [4, 2, 3, 2]
    for block, result in zip(found, results, strict=True):
        for key in ("a", "b"):
            np.testing.assert_array_equal(block.result.attributions[key], result.attributions[key])
        np.testing.assert_array_equal(block.result.tokens, result.tokens)
        np.testing.assert_array_equal(block.result.alphas, result.alphas)
        assert block.result.inputs is None


def test_pandas_and_polars_read_them(tmp_path):
    result = result_of(5)
    path, _ = stored(tmp_path, [block_of(result)], "parquet")
    frames = [pandas.read_parquet(path)]
    if tuple(map(int, polars.__version__.split(".")[:2])) >= (1, 36):  # those before read no column of tensors
        frames.append(polars.read_parquet(path).to_pandas())
    for frame in frames:
        assert {"id", "row", "scores", "status", "target", "attributions", "inputs"} <= set(frame.columns)
        np.testing.assert_array_equal(np.stack(frame["attributions"]), result.attributions.reshape(5, 6))
        np.testing.assert_array_equal(frame["scores"], result.scores)
        assert frame["id"].tolist() == [f"é{number}" for number in range(5)]


def test_what_is_kept_is_reduced_and_rounded_as_asked():
    result = result_of(4, (5, 5, 3), "float64")
    kept = Kept(("attributions",), "sum(-1)", "float16").block(result_ := Kept(reduce="sum(-1)").reduced(result), *rows_of(4))
    assert kept.columns["attributions"].dtype == np.float16
    np.testing.assert_allclose(kept.columns["attributions"], result_.attributions, rtol=1e-3)
    assert kept.columns["attributions"].shape == (4, 5, 5)
    np.testing.assert_array_equal(Kept(reduce="abs()").reduced(result).attributions, np.abs(result.attributions))
    np.testing.assert_array_equal(Kept(reduce="norm((1, 2))").reduced(result).attributions, result.norm((1, 2)).attributions)
    assert Kept(dtype="float32").block(result, *rows_of(4)).columns["attributions"].dtype == np.float32
    assert Kept(dtype="float64").block(result_of(4), *rows_of(4)).columns["attributions"].dtype == np.float32


def rows_of(count):
    return np.arange(count), np.arange(count), None


def test_numbers_that_a_dtype_does_not_hold_are_refused():
    for scale in (1e6, 1e-7):  # infinity, and too few digits
        large = ta.Attribution(np.full((2, 3), scale), np.zeros(2))
        assert_refused(lambda large=large: Kept(dtype="float16").block(large, *rows_of(2)), "float16", "float32", "reduce=")
    nothing = ta.Attribution(np.full((2, 3), np.nan), np.zeros(2))  # of rows that failed
    Kept(dtype="float16").block(nothing, *rows_of(2))


def test_what_cannot_be_kept_says_what_can():
    assert_refused(lambda: Kept(("attribution",)), "'attribution'", "'attributions'", "always kept")
    assert_refused(lambda: kept_as("inputs", None, "float32"), "tuple", "('inputs',)")
    assert_refused(lambda: Kept(dtype="int8"), "'float16'", "'int8'")
    for wrong in ("sum", "sum(-1", "top(3)", "sum(axis=1)", "__import__('os')", "sum(x)", "sum()", 3):
        assert_refused(lambda wrong=wrong: Kept(reduce=wrong), "'sum(axis)'", repr(wrong))
    assert_refused(lambda: Kept(reduce="sum(7)").reduced(result_of(2)), "sum(7)", "axis 7")


@pytest.mark.parametrize("how", ["parquet", "npz"])
def test_a_damaged_shard_is_named(how, tmp_path):
    path, _ = stored(tmp_path, [block_of(result_of(50))], how)
    path.write_bytes(path.read_bytes()[:-200])
    assert_refused(lambda: list(storage.read(path)), path.name, "delete it")
    path.unlink()
    assert_refused(lambda: list(storage.read(path)), path.name)
