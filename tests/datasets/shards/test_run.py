"""`ta.attribute_dataset`: shards are a plain loop of `attribute` to the last bit, and a row that fails loses itself alone."""

import json

import keras
import numpy as np
import pandas
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.datasets.shards import isolated, storage
from tf_attrib.result.joined import joined

from ...conftest import assert_refused

X = np.random.default_rng(0).normal(size=(50, 4)).astype("float32")
Y = np.arange(50) % 3
SMALL = {"batch_size": 8, "shard_size": 20, "verbose": False}
FAST = SMALL | {"method": "gradient_times_input"}


def plain(attributor, x=X, size=8, shard=20, **options):
    """What a loop over batches that are cut as shards cut them gives."""
    starts = [start + i for start in range(0, len(x), shard) for i in range(0, min(shard, len(x) - start), size)]
    stops = [min(start + size, (start // shard + 1) * shard, len(x)) for start in starts]
    parts = [x[i:j] for i, j in zip(starts, stops, strict=True)]
    return joined([attributor.attribute(part, seed=0, verbose=False, **options) for part in parts])


def shards(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name.startswith("shard-")}


@pytest.mark.parametrize("method", ["integrated_gradients", ta.SmoothGrad("gradient", n_samples=3), "kernel_shap"])
def test_shards_are_a_plain_loop_to_the_last_bit(method, attributor, tmp_path):
    found = ta.attribute_dataset(attributor, (X, Y), tmp_path, method=method, **SMALL)
    assert found.counts == (20, 20, 10)
    loop = plain(attributor, method=method)
    result = joined(list(found))
    np.testing.assert_array_equal(result.attributions, loop.attributions)
    for name in ("scores", "baseline_scores", "gap", "error_estimate", "target", "predicted", "status"):
        values, expected = getattr(result, name), getattr(loop, name)
        if expected is not None:
            np.testing.assert_array_equal(values, expected)
    assert (result.method, result.at, result.of, result.kind) == (loop.method, loop.at, loop.of, loop.kind)
    np.testing.assert_array_equal(found.ids, np.arange(50))
    np.testing.assert_array_equal(np.concatenate([labels for _, _, labels in found.labelled(7)]), Y)
    np.testing.assert_array_equal(found[-1].attributions, loop[49].attributions)
    np.testing.assert_array_equal(found[23].scores, loop.scores[23:24])
    assert found.failures() == []


@pytest.mark.parametrize("how", ["parquet", "npz"])
def test_what_is_missing_is_done_and_is_the_same_bytes(how, attributor, tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "kind", lambda: how)
    ta.attribute_dataset(attributor, X, tmp_path, **SMALL)
    before, times = shards(tmp_path), {path: path.stat().st_mtime_ns for path in tmp_path.glob("shard-*")}
    gone = sorted(before)[1]
    (tmp_path / gone).unlink()
    (tmp_path / f".{gone}.abc.part").write_bytes(b"left by a process that was killed")
    again = ta.attribute_dataset(ta.Attributor(attributor.model), X, tmp_path, **SMALL)  # as another process would
    assert shards(tmp_path) == before
    assert not list(tmp_path.glob(".*.part"))
    assert {path for path, time in times.items() if path.stat().st_mtime_ns != time} == {tmp_path / gone}
    assert len(again) == 50
    assert len(ta.open(tmp_path)) == 50


def test_without_pyarrow_shards_are_arrays(attributor, tmp_path, monkeypatch):
    found = ta.attribute_dataset(attributor, X, tmp_path / "a", **FAST)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    arrays = ta.attribute_dataset(attributor, X, tmp_path / "b", **FAST)
    assert all(path.suffix == ".npz" for path in arrays.paths)
    with pytest.raises(ta.MissingExtra, match=r"tf_attrib\[datasets\]"):
        ta.attribute_dataset(attributor, tmp_path / "a" / "*.parquet", tmp_path / "c", **FAST)
    monkeypatch.undo()
    np.testing.assert_array_equal(joined(list(found)).attributions, joined(list(arrays)).attributions)


def test_processes_share_the_shards(attributor, tmp_path):
    whole = ta.attribute_dataset(attributor, X, tmp_path / "whole", **FAST)
    parts = [ta.attribute_dataset(attributor, X, tmp_path / "parts", shard=(k, 2), **FAST) for k in (1, 0)]
    assert parts[0].counts == (20,)
    assert parts[1].counts == whole.counts
    assert shards(tmp_path / "parts") == shards(tmp_path / "whole")


def ids_model():
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    hidden = keras.layers.Flatten()(keras.layers.Embedding(20, 4, name="words")(tokens))
    return keras.Model(tokens, keras.layers.Dense(2, activation="softmax")(hidden))


def test_a_bad_row_loses_itself_and_nothing_else(tmp_path):
    attributor = ta.Attributor(ids_model())
    ids = np.random.default_rng(1).integers(1, 20, (50, 6)).astype("float64")
    good = np.setdiff1d(np.arange(50), [3, 9, 10, 44])
    spoiled = ids.copy()
    spoiled[3, 1], spoiled[9, 0], spoiled[10, 0], spoiled[44, 5] = np.nan, 1.5, 1e6, 2.5
    found = ta.attribute_dataset(attributor, spoiled, tmp_path / "bad", **SMALL)
    clean = joined(list(ta.attribute_dataset(attributor, ids, tmp_path / "good", **SMALL)))
    result = joined(list(found))
    assert {i: status for i, status in enumerate(result.status) if i not in good} == {
        3: "not_finite",
        9: "bad_input",
        10: "failed",
        44: "bad_input",
    }
    np.testing.assert_allclose(result.attributions[good], clean.attributions[good], rtol=1e-5, atol=1e-7)
    assert result.target[good].tolist() == clean.target[good].tolist()
    assert np.isnan(result.attributions[[3, 9, 10, 44]]).all()
    assert np.isnan(result.scores[[3, 9, 10, 44]]).all()
    failures = {one["id"]: one for one in found.failures()}
    assert sorted(failures) == [3, 9, 10, 44]
    assert "NaN" in failures[3]["reason"]
    assert "fractions" in failures[9]["reason"]
    assert "1000000" in failures[10]["reason"].replace(",", "")
    assert "2 bad_input" in repr(found)
    assert len(pandas.DataFrame(found.failures())) == 4
    assert_refused(
        lambda: ta.attribute_dataset(attributor, spoiled, tmp_path / "raise", on_error="raise", **SMALL), "example(s) 3"
    )


def test_a_batch_is_halved_down_to_the_row(attributor, tmp_path, monkeypatch):
    sizes, attribute = [], ta.Attributor.attribute

    def counting(self, inputs, *args, **options):
        sizes.append(len(inputs))
        return attribute(self, inputs, *args, **options)

    monkeypatch.setattr(ta.Attributor, "attribute", counting)
    spoiled = X[:8].astype("float64")
    spoiled[5] = 1e300  # beyond float32
    found = ta.attribute_dataset(attributor, spoiled, tmp_path, **FAST)
    assert sizes == [8, 4, 4, 2, 1, 1, 2]
    assert [one["id"] for one in found.failures()] == [5]


def test_shards_of_which_no_row_is_good_are_there_too(attributor, tmp_path):
    spoiled = X.astype("float64")
    spoiled[20:45] = 1e300
    found = ta.attribute_dataset(attributor, (spoiled, Y), tmp_path / "some", **FAST)
    assert found.counts == (20, 20, 10)
    result = joined(list(found))
    assert (result.status == "bad_input").tolist() == [20 <= i < 45 for i in range(50)]
    assert result.attributions.shape == X.shape
    assert found[30].target.tolist() == [-1]
    assert found.summarise().examples.sum() == 25
    frame = found.to_pandas()
    assert frame["id"].tolist() == list(range(50))
    # rows that all fail before it is known what a result is like wait for the first that does not
    spoiled = X.astype("float64")
    spoiled[:10] = np.nan
    waited = joined(list(ta.attribute_dataset(attributor, spoiled, tmp_path / "waited", **FAST)))
    assert waited.status[:10].tolist() == ["not_finite"] * 10
    np.testing.assert_array_equal(waited.attributions[16:], plain(attributor, method="gradient_times_input").attributions[16:])


def test_settings_that_are_wrong_for_every_row_are_raised_and_nothing_is_marked(attributor, tmp_path):
    for wrong, words in (
        ({"target": 7}, "7"),
        ({"baselines": np.zeros((50, 4))}, "baseline"),
        ({"at": "no_such_layer"}, "no_such_layer"),
        ({"reduce": "sum(3)"}, "sum(3)"),
        ({"target": "label"}, "label"),
        ({"target": Y}, "labels="),
        ({"target": "cat"}, "'label'"),
        ({"shard": (2, 2)}, "(2, 2)"),
        ({"on_error": "skip"}, "'mark'"),
        ({"batch_size": 0}, "batch_size"),
        ({"method": "magic"}, "magic"),
        ({"features": ["a"]}, "files"),
        ({"resize": True}, "image files"),
        ({"value_range": (0, 1)}, "image files"),
        ({"value_range": (1, 0)}, "low < high"),
        ({"value_range": 255}, "(low, high)"),
    ):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        assert_refused(lambda wrong=wrong, folder=folder: ta.attribute_dataset(attributor, X, folder, **SMALL | wrong), words)
        assert not folder.exists() or not shards(folder)
    assert_refused(lambda: ta.attribute_dataset(attributor.model, X, tmp_path), "ta.Attributor(model)")
    assert_refused(lambda: ta.attribute_dataset(attributor, np.ones((50, 5)), tmp_path / "x", **SMALL), "none of the rows", "4")


def test_another_run_is_never_mixed_in(attributor, tmp_path):
    ta.attribute_dataset(attributor, X, tmp_path, **FAST)
    other = keras.models.clone_model(attributor.model)
    other.set_weights([weight + 1 for weight in attributor.model.get_weights()])
    for change, word in (
        ({"method": "gradient"}, "method"),
        ({"target": 1}, "target"),
        ({"seed": 1}, "seed"),
        ({"batch_size": 4}, "batch_size"),
        ({"shard_size": 25}, "shard_size"),
        ({"keep": ("attributions", "inputs")}, "keep"),
        ({"reduce": "abs()"}, "reduce"),
        ({"dtype": "float64"}, "dtype"),
        ({"of": "logits"}, "of"),
        ({"at": "hidden"}, "at"),
        ({"method": ta.IntegratedGradients(), "baselines": ta.constant(1)}, "baselines"),
    ):
        refused = lambda change=change: ta.attribute_dataset(attributor, X, tmp_path, **FAST | change)  # noqa: E731
        assert_refused(refused, "another run", f"{word}: ", "another folder")
    assert_refused(lambda: ta.attribute_dataset(ta.Attributor(other), X, tmp_path, **FAST), "model: ")
    assert_refused(lambda: ta.attribute_dataset(attributor, X + 1, tmp_path, **FAST), "data: ")
    ta.attribute_dataset(attributor, X, tmp_path, **FAST)  # it is as it was


def test_a_model_in_a_file_is_told_by_its_file(attributor, tmp_path):
    attributor.model.save(tmp_path / "model.keras")
    found = ta.attribute_dataset(tmp_path / "model.keras", X, tmp_path / "run", target=2, at="hidden", **FAST)
    loop = plain(ta.Attributor(attributor.model, at="hidden"), target=2, method="gradient_times_input")
    np.testing.assert_allclose(joined(list(found)).attributions, loop.attributions, rtol=1e-6)
    ta.attribute_dataset(ta.Attributor(tmp_path / "model.keras", at="hidden"), X, tmp_path / "run", target=2, **FAST)


def test_labels_are_targets_where_they_are_asked_for(attributor, tmp_path):
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(9)
    result = joined(list(ta.attribute_dataset(attributor, dataset, tmp_path, target="label", **FAST)))
    assert result.target.tolist() == Y.tolist()
    one = attributor.attribute(X[:8], target=Y[:8], method="gradient_times_input")
    np.testing.assert_array_equal(result.attributions[:8], one.attributions)


def test_positions_are_entries_and_failed_rows_have_none(tmp_path):
    ids = keras.Input((4,), dtype="int32")
    hidden = keras.layers.Embedding(9, 3)(ids)
    attributor = ta.Attributor(keras.Model(ids, keras.layers.Dense(9, activation="softmax")(hidden)))
    tokens = np.random.default_rng(0).integers(1, 9, (10, 4)).astype("float64")
    tokens[2, 0], tokens[7, 0] = 1e6, 0.5
    options = {"target": ta.each_position(), "method": "gradient_times_input", "shard_size": 6, "batch_size": 4}
    found = ta.attribute_dataset(attributor, tokens, tmp_path, verbose=False, **options)
    result = joined(list(found))
    assert len(found) == 8 * 4
    expected = np.repeat(np.setdiff1d(np.arange(10), [2, 7]), 4)
    np.testing.assert_array_equal(found.ids, expected)
    np.testing.assert_array_equal(result.position, np.tile(np.arange(4), 8))
    np.testing.assert_array_equal(result.example, [i if i < 6 else i - 6 for i in expected])
    assert [one["id"] for one in found.failures()] == [2, 7]
    alone = attributor.attribute(tokens[9:], target=ta.each_position(), method="gradient_times_input")
    np.testing.assert_allclose(result.attributions[-4:], alone.attributions, rtol=1e-5, atol=1e-8)


def test_a_file_that_cannot_be_read_is_noted_and_tried_again(attributor, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    frames = [pandas.DataFrame(X[i : i + 10], columns=list("abcd")) for i in (0, 10, 20)]
    for number, frame in enumerate(frames):
        frame.to_parquet(source / f"{number}.parquet")
    whole = (source / "1.parquet").read_bytes()
    spoiled = bytearray(whole)
    spoiled[4:200] = bytes(196)  # the pages: the footer says how many rows there were
    (source / "1.parquet").write_bytes(bytes(spoiled))
    found = ta.attribute_dataset(attributor, source / "*.parquet", tmp_path / "run", **FAST)
    assert found.counts == (10, 10)
    (failure,) = found.failures()
    assert failure["file"] == "1.parquet"
    assert failure["status"] == "unreadable"
    assert "1 unreadable" in repr(found)
    assert found[0].feature_names == {"": ("a", "b", "c", "d")}
    assert not list((tmp_path / "run").glob(".*.part"))
    raising = FAST | {"on_error": "raise"}
    assert_refused(lambda: ta.attribute_dataset(attributor, source / "*.parquet", tmp_path / "raise", **raising), "1.parquet")
    (source / "1.parquet").write_bytes(whole)  # its ends are others than they were
    assert_refused(lambda: ta.attribute_dataset(attributor, source / "*.parquet", tmp_path / "run", **FAST), "data: ")


def test_a_set_is_read_as_it_is_and_says_what_it_lacks(attributor, tmp_path):
    assert_refused(lambda: ta.open(tmp_path), "no folder of shards", "attribute_dataset")
    found = ta.attribute_dataset(attributor, (X, Y), tmp_path / "a", keep=("attributions", "inputs", "evaluations"), **SMALL)
    frame = found.to_pandas()
    assert len(frame) == 50
    assert frame["label"].tolist() == Y.tolist()
    assert "attributions" not in frame
    assert np.stack(found.to_pandas(["attributions"])["attributions"]).shape == (50, 4)
    assert_refused(lambda: found.to_pandas(["atributions"]), "'atributions'", "attributions")
    summary, whole = found.summarise(by="label"), ta.summarise(plain(attributor), labels=Y, by="label")
    np.testing.assert_allclose(summary.mean, whole.mean)
    assert summary.groups == (0, 1, 2)
    np.testing.assert_allclose(summary.correlation, whole.correlation)
    np.testing.assert_allclose(ta.summarise(found).mean, ta.summarise(plain(attributor)).mean)
    assert found.summarise(labels=1 - Y % 2, by="label").groups == (0, 1)
    for index in (50, -51, 1.0):
        with pytest.raises(IndexError):
            found[index]
    scores = ta.attribute_dataset(attributor, X, tmp_path / "b", keep=(), **FAST)
    assert len(scores.to_pandas()) == 50
    assert_refused(lambda: next(scores.batches()), "kept no attributions")
    told = json.loads((tmp_path / "a" / "manifest.json").read_text())
    told["format"] = 9
    (tmp_path / "a" / "manifest.json").write_text(json.dumps(told))
    assert_refused(lambda: ta.open(tmp_path / "a"), "format 9")


def test_rows_that_are_tried_first_are_spread(attributor):
    assert isolated.TRIED > 1
    call = isolated.Call(attributor, {"method": "gradient", "baselines": None, "seed": 0})
    spoiled = X[:8].astype("float64")
    spoiled[:7] = 1e300
    result, _, failed = isolated.Isolated(call, False)(isolated.Rows(np.arange(8), spoiled))
    assert len(failed) == 7
    assert np.isfinite(result.attributions[7]).all()


def test_progress_tells_how_many_rows_are_left(attributor, tmp_path, capsys):
    frame = pandas.DataFrame(X, columns=list("abcd"))
    for part in range(2):
        frame[part * 25 : part * 25 + 25].to_parquet(tmp_path / f"{part}.parquet")
    pattern, options = tmp_path / "*.parquet", FAST | {"verbose": True}
    ta.attribute_dataset(attributor, pattern, tmp_path / "run", **options)
    assert "/50 " in capsys.readouterr().err.replace("row", "")
    next((tmp_path / "run").glob("shard-00001-00001*")).unlink()
    ta.attribute_dataset(attributor, pattern, tmp_path / "run", **options)
    assert "/5 " in capsys.readouterr().err.replace("row", "")


def test_a_model_made_under_a_strategy_gives_the_same_bits(attributor):
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        mirrored = keras.models.clone_model(attributor.model)
        mirrored.set_weights(attributor.model.get_weights())
    found, expected = ta.Attributor(mirrored).attribute(X, verbose=False), attributor.attribute(X, verbose=False)
    np.testing.assert_array_equal(found.attributions, expected.attributions)
    np.testing.assert_array_equal(found.error_estimate, expected.error_estimate)


def test_a_model_that_fails_on_all_rows_marks_none_of_them(attributor, tmp_path, monkeypatch):
    """A device that is lost is no fault of the rows: they are to be done by the next call."""
    attribute, broken = ta.Attributor.work, [False]

    def failing(self, *args, **options):
        if broken[0]:
            raise RuntimeError("the device is lost")
        return attribute(self, *args, **options)

    def data():
        for start in range(0, 50, 8):
            broken[0] = start >= 32
            yield X[start : start + 8]

    monkeypatch.setattr(ta.Attributor, "work", failing)
    refused = lambda: ta.attribute_dataset(attributor, data(), tmp_path, **FAST)  # noqa: E731
    assert_refused(refused, "known to be good", "the device is lost")
    assert len(ta.open(tmp_path)) == 20
    assert_refused(refused, "known to be good", "the device is lost")  # also where nothing was attributed in this process
    monkeypatch.undo()
    found = ta.attribute_dataset(attributor, data(), tmp_path, **FAST)
    assert len(found) == 50
    assert not found.failures()


def test_shards_come_in_the_order_of_their_numbers(attributor, tmp_path):
    found = ta.attribute_dataset(attributor, X, tmp_path, **FAST)
    for path in found.paths[1:]:
        number = int(path.stem[-1])
        path.rename(tmp_path / f"shard-00000-{number + 99998:05d}{path.suffix}")  # 99999 and 100000
    np.testing.assert_array_equal(ta.open(tmp_path).ids, np.arange(50))


def test_a_call_that_failed_before_any_shard_may_be_put_right(attributor, tmp_path):
    assert_refused(lambda: ta.attribute_dataset(attributor, X, tmp_path, target=7, **FAST), "7")
    beside = lambda: ta.attribute_dataset(attributor, X, tmp_path, target=1, shard=(0, 2), **FAST)  # noqa: E731
    assert_refused(beside, "target: 7, now 1", "no shard is in it yet")  # others may be at work with the target that is there
    assert len(ta.attribute_dataset(attributor, X, tmp_path, target=1, **FAST)) == 50
    assert len(beside()) == 50
