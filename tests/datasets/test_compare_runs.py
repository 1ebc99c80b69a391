"""`ta.compare_runs`: against plain NumPy and SciPy on all attributions at once, by ids, beside what failed."""

import functools

import keras
import numpy as np
import pandas
import pytest
from scipy.stats import spearmanr

import tf_attrib as ta
from tf_attrib.result.joined import joined

from ..conftest import assert_refused

X = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
NAMES = np.array([f"<b>row {number}" for number in range(60)])
FAST = {"method": "gradient_times_input", "batch_size": 8, "shard_size": 16, "verbose": False}


@pytest.fixture(scope="module")
def runs(table, tmp_path_factory):
    """A model and the same after some of its weights changed, over the same examples; of each one row is bad, and one is no
    part of the other."""
    folder, other = tmp_path_factory.mktemp("runs"), keras.models.clone_model(table)
    noise = np.random.default_rng(1)
    other.set_weights([weight + noise.normal(0, 0.5, weight.shape) for weight in table.get_weights()])
    spoiled, again = X.copy(), X.copy()
    spoiled[5], again[40] = np.nan, np.inf
    a = ta.attribute_dataset(ta.Attributor(table), spoiled[:-1], folder / "a", ids=NAMES[:-1], **FAST)
    options = FAST | {"batch_size": 7, "shard_size": 21}
    b = ta.attribute_dataset(ta.Attributor(other), again[1:], folder / "b", ids=NAMES[1:], **options)
    return a, b


def test_everything_is_as_numpy_and_scipy_have_it_at_once(runs):
    found = ta.compare_runs(*runs, names=list("abcd"))
    own = [i for i in range(1, 59) if i not in (5, 40)]
    a, b = (joined(list(run)) for run in runs)
    a, b = a[own], b[[i - 1 for i in own]]
    one, other = a.attributions.astype(float), b.attributions.astype(float)
    assert found.ids.tolist() == NAMES[own].tolist()
    assert (found.only_a, found.only_b, found.left_out) == (1, 1, 2)
    np.testing.assert_allclose(found.rank_correlation, [spearmanr(*rows).statistic for rows in zip(one, other, strict=True)])
    cosines = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    np.testing.assert_allclose(found.cosine, cosines)
    distance = np.abs(one - other).sum(1) / (np.abs(one).sum(1) + np.abs(other).sum(1))
    np.testing.assert_allclose(found.distance, distance)
    np.testing.assert_array_equal(found.scores, [a.scores, b.scores])
    np.testing.assert_array_equal(found.targets, [a.target, b.target])
    np.testing.assert_allclose(found.means, [one.mean(0), other.mean(0)])
    np.testing.assert_allclose(found.magnitudes, [np.abs(one).mean(0), np.abs(other).mean(0)])
    ratio = (one * other).sum(0) / np.sqrt((one**2).sum(0) * (other**2).sum(0))
    np.testing.assert_allclose(found.feature_cosine, ratio)
    np.testing.assert_allclose(
        found.feature_rank_correlation, [spearmanr(*pair).statistic for pair in zip(one.T, other.T, strict=True)]
    )
    assert found.sample == len(own)
    assert found.names == tuple("abcd")
    moved = found.moved(3)
    assert [row["id"] for row in moved] == found.ids[
        np.argsort(-found.distance, kind="stable")[:3]
    ].tolist()  # several may be as far
    assert moved[0]["target_b"] == b.target[np.argmax(found.distance)]
    classes = pandas.DataFrame(found.by_class())
    assert classes["examples"].sum() == len(own)
    assert found.changed.tolist() == (a.target != b.target).tolist()
    assert 0 < found.changed.mean() < 1
    first = found.by_class()[0]
    np.testing.assert_allclose(first["cosine"], np.median(cosines[a.target == a.target.min()]))
    features = found.by_feature(4)
    assert features[0]["feature"] == "abcd"[np.argmax(np.abs(found.magnitudes[1] - found.magnitudes[0]))]


def test_a_run_is_no_distance_from_itself(runs):
    found = ta.compare_runs(runs[0].folder, str(runs[0].folder))
    np.testing.assert_allclose(found.cosine, 1)
    np.testing.assert_allclose(found.rank_correlation, 1)
    assert not found.distance.any()
    assert not found.changed.any()


def test_a_small_sample_is_of_real_examples_and_drawn_by_the_seed(runs):
    one, same, other = (ta.compare_runs(*runs, sample=25, seed=seed) for seed in (0, 0, 1))
    assert one.sample == 25
    np.testing.assert_array_equal(one.feature_rank_correlation, same.feature_rank_correlation)
    assert not np.array_equal(one.feature_rank_correlation, other.feature_rank_correlation)
    np.testing.assert_array_equal(one.feature_cosine, other.feature_cosine)
    assert ta.compare_runs(*runs, sample=5).feature_rank_correlation is None


def test_it_is_printed_drawn_and_written_as_text(runs, tmp_path):
    found = ta.compare_runs(*runs)
    text = repr(found)
    assert "over 56 examples" in text
    assert "examples that moved most" in text
    assert "left out: 1 in run a alone" in text
    assert "mean attribution in run a (probability)" in str([axes.get_xlabel() for axes in found.plot().findobj(_axes)])
    path = found.save_html(tmp_path / "drift.html")
    page = path.read_text()
    assert "&lt;b&gt;row" in page
    assert "<b>row" not in page
    assert "data:image/png" in page
    assert "<b>row" not in found.to_html()
    assert_refused(lambda: found.save_html(path), "exists", "overwrite=True")


def _axes(artist):
    return hasattr(artist, "get_xlabel")


def test_rows_of_other_data_are_matched_by_ids_of_their_own_alone(attributor, tmp_path):
    def run(name, x, **options):
        return ta.attribute_dataset(attributor, x, tmp_path / name, **FAST | options)

    twice = np.arange(60) // 2
    a, turned = run("a", X, ids=twice), run("turned", X[::-1].copy(), ids=twice)
    assert_refused(lambda: ta.compare_runs(a, turned), "several rows of run a", "the id 0", "ids=")
    assert ta.compare_runs(a, a).distance.max() == 0
    a, turned, shifted = run("numbered", X), run("other", X[::-1].copy()), run("one", X, ids=np.arange(1, 61))
    assert "matched by their number" in repr(ta.compare_runs(a, turned))
    again = run("again", X, method="gradient")
    for one, other in ((a, a), (again, again), (shifted, run("two", X[::-1].copy(), ids=np.arange(1, 61)))):
        assert "matched by their number" not in repr(ta.compare_runs(one, other))


def test_features_are_matched_by_their_names(tmp_path):
    """Inputs, and columns that stand side by side, in another order are the same features; other ones are refused."""
    x, frame = {"a": X[:8, :1], "b": X[:8, 1:2]}, pandas.DataFrame(X[:8, :2], columns=list("ab"))
    by_key = ta.Attributor(lambda x: (x["a"] + 5 * x["b"])[:, 0])
    first, second = (ta.Attributor(functools.partial(weighed, own)) for own in ([1.0, 5.0], [5.0, 1.0]))
    data = [(by_key, x), (by_key, dict(reversed(x.items()))), (first, frame), (second, frame[["b", "a"]])]
    runs = [ta.attribute_dataset(model, own, tmp_path / str(i), **FAST) for i, (model, own) in enumerate(data)]
    for pair in (runs[:2], runs[2:]):
        found = ta.compare_runs(*pair)
        assert found.distance.max() < 1e-6
        assert found.names == ("a", "b")
        np.testing.assert_allclose(found.magnitudes[1], np.abs(X[:8, :2] * [1, 5]).mean(0), rtol=1e-5)
    renamed = ta.attribute_dataset(first, frame.rename(columns={"a": "c"}), tmp_path / "renamed", **FAST)
    assert_refused(lambda: ta.compare_runs(runs[2], renamed), "other columns", "'a' is in a alone, 'c' in b")


def weighed(weights, x):
    return keras.ops.sum(x * np.float32(weights), 1)


def test_lengths_that_change_are_compared_by_example(tmp_path):
    def model(scale):
        return ta.Attributor(lambda x: keras.ops.sum(keras.ops.tanh(scale * x), 1))

    batches = [np.ones((30, length), "float32") * np.linspace(-1, 1, 30)[:, None] for length in (2, 3)]
    a, b = (ta.attribute_dataset(model(s), iter(batches), tmp_path / str(s), **FAST) for s in (1.0, 2.0))
    found = ta.compare_runs(a, b)
    assert len(found) == 60
    assert found.by_feature() == []
    assert "features" not in repr(found)
    found.plot()
    assert found.targets is None
    assert found.by_class()[0]["class"] == "all examples"


def test_runs_that_are_of_different_things_are_refused(runs, table, tmp_path):
    a = runs[0]
    other = ta.attribute_dataset(ta.Attributor(table), X, tmp_path / "numbered", **FAST)
    assert_refused(lambda: ta.compare_runs(a, other), "no ids in common", "'<b>row 0'", "[0, 1, 2]")
    turned = ta.attribute_dataset(ta.Attributor(table), X[::-1].copy(), tmp_path / "turned", ids=NAMES[::-1], **FAST)
    assert_refused(lambda: ta.compare_runs(a, turned), "another order")
    hidden = ta.attribute_dataset(ta.Attributor(table, at="hidden"), X, tmp_path / "hidden", ids=NAMES, **FAST)
    assert_refused(lambda: ta.compare_runs(a, hidden), "(4,)", "(5,)")
    logits = ta.attribute_dataset(ta.Attributor(table, of="logits"), X, tmp_path / "logits", ids=NAMES, **FAST)
    assert_refused(lambda: ta.compare_runs(a, logits), "probability", "logit")
    assert_refused(lambda: ta.compare_runs(a, tmp_path), "no folder of shards")
    assert_refused(lambda: ta.compare_runs(a, a, sample=0), "sample")
