"""`ta.summarise` over features: against plain NumPy on all data at once, closed forms, and one result in memory at a time."""

import dataclasses
import itertools
import tracemalloc
import weakref

import keras
import numpy as np
import pytest
from keras import layers

import tf_attrib as ta

from ..conftest import assert_refused

NAMES = ("age", "dose", "size", "coin")


def result_of(attributions, inputs=None, target=None, **options):
    """A result made by hand."""
    attributions = np.asarray(attributions)
    target = None if target is None else np.asarray(target)
    options = {
        "method": "IntegratedGradients()",
        "at": "embeddings 'words'",
        "of": "probability at 'head'",
        "unit": "probability",
        "scores": np.zeros(len(attributions)),
    } | options
    return ta.Attribution(attributions, inputs=inputs, target=target, **options)


def data(count=200, features=4, classes=3, seed=0):
    random = np.random.default_rng(seed)
    inputs = random.normal(2, 1, (count, features)).astype("float32")
    attributions = (inputs * random.normal(size=features) + random.normal(size=(count, features))).astype("float32")
    return attributions, inputs, random.integers(0, classes, count)


def cut(result, sizes):
    start = 0
    for size in itertools.chain(sizes, [len(result)]):
        yield result[start : start + size]
        start += size
        if start >= len(result):
            return


@pytest.mark.parametrize("sizes", [[200], [1, 7, 50, 3, 100], [10] * 20])
def test_means_are_those_over_all_data_at_once(sizes):
    attributions, inputs, target = data()
    found = ta.summarise(cut(result_of(attributions, inputs, target), sizes), names=NAMES)
    assert found.names == NAMES
    assert found.groups == (0, 1, 2)
    assert len(found) == 200
    for place, group in enumerate(found.groups):
        own, values = attributions[target == group].astype(float), inputs[target == group].astype(float)
        assert found.examples[place] == len(own)
        assert np.all(found.counts[place] == len(own))
        np.testing.assert_allclose(found.mean[place], own.mean(0), rtol=1e-12)
        np.testing.assert_allclose(found.mean_magnitude[place], np.abs(own).mean(0), rtol=1e-12)
        np.testing.assert_allclose(found.deviation[place], own.std(0), rtol=1e-10)
        expected = [np.corrcoef(own[:, i], values[:, i])[0, 1] for i in range(4)]
        np.testing.assert_allclose(found.correlation[place], expected, rtol=1e-9)
    np.testing.assert_allclose(found.importance, np.abs(attributions.astype(float)).mean(0), rtol=1e-12)  # shap's bar plot
    np.testing.assert_allclose(found.share_by_group.sum(0), found.importance)
    assert found.top(4) == list(np.argsort(-np.abs(attributions).mean(0)))


def test_spreads_do_not_cancel_beside_large_means():
    attributions = 1e6 + np.random.default_rng(0).normal(size=(500, 2))
    found = ta.summarise(cut(result_of(attributions), [7] * 80))
    np.testing.assert_allclose(found.deviation[0], attributions.std(0), rtol=1e-8)


def test_the_sample_is_of_real_examples_and_does_not_depend_on_batches():
    attributions, inputs, target = data()
    result = result_of(attributions, inputs, target)
    one, other = (ta.summarise(cut(result, sizes), sample=30) for sizes in ([200], [9] * 30))
    assert len(one.sample["index"]) == 30 == len(set(one.sample["index"]))
    for found in (one, other):
        index = found.sample["index"]
        np.testing.assert_array_equal(found.sample["attributions"], attributions[index])
        np.testing.assert_array_equal(found.sample["values"], inputs[index])
        np.testing.assert_array_equal(found.sample["group"], target[index])
    np.testing.assert_array_equal(one.sample["index"], other.sample["index"])
    assert set(ta.summarise(result, sample=30, seed=1).sample["index"]) != set(one.sample["index"])
    assert not len(ta.summarise(result, sample=0).sample["index"])


def test_each_example_is_as_likely_to_be_sampled():
    result = result_of(np.arange(20.0)[:, None])
    counts = np.zeros(20)
    for seed in range(400):
        counts[ta.summarise(cut(result, [3, 11]), sample=5, seed=seed).sample["index"]] += 1
    # of 400 draws each has 100 in the mean; 8.7 is the standard deviation of one
    assert np.all(np.abs(counts - 100) < 4 * 8.7)


def test_one_result_is_held_at_a_time():
    alive, most = [], []

    def results():
        for number in range(12):
            result = result_of(np.full((4, 3), float(number)), np.ones((4, 3)))
            alive.append(weakref.ref(result))
            yield result
            del result
            most.append(sum(one() is not None for one in alive))

    found = ta.summarise(results(), sample=5)
    assert len(found) == 48
    assert most == [0] * 12  # when the next is asked for, none is left
    pairs = ((result, [0] * len(result)) for result in results())
    most.clear()
    ta.summarise(pairs, by="label")
    assert max(most) <= 1  # this generator itself still holds the last


def test_memory_does_not_grow_with_the_number_of_results():
    def peak(batches):
        random = np.random.default_rng(0)
        results = (result_of(random.normal(size=(50, 1000)), random.normal(size=(50, 1000))) for _ in range(batches))
        tracemalloc.start()
        ta.summarise(results, sample=20)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(2)
    assert peak(24) < 1.2 * peak(4)


def test_a_linear_model_has_coefficient_times_value():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    weights = np.array([2.0, -1.0, 0.5])
    model.set_weights([weights[:, None], np.array([0.3])])
    inputs = np.random.default_rng(0).normal(1, 1, (60, 3)).astype("float32")
    attributor = ta.Attributor(model)
    found = ta.summarise(attributor.attribute(inputs[i : i + 25], verbose=0) for i in range(0, 60, 25))
    np.testing.assert_allclose(found.mean[0], weights * inputs.mean(0), rtol=1e-4)
    np.testing.assert_allclose(found.mean_magnitude[0], np.abs(weights * inputs).mean(0), rtol=1e-4)
    np.testing.assert_allclose(found.correlation[0], np.sign(weights), rtol=1e-4)
    assert found.degenerate == ()


def test_importance_is_that_of_shap():
    """Golden numbers: shap 0.51.0, LinearExplainer((weights, 0), maskers.Independent(inputs))(inputs), then .abs.mean(0)."""
    inputs = np.array([[1.0, 2, 0.5], [0, -1, 3], [2, 0.5, 1], [-1, 4, 0], [3, 1, -2]], "float32")
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    model.set_weights([np.array([[0.7], [-1.2], [0.4]]), np.zeros(1)])
    result = ta.Attributor(model).attribute(inputs, baselines=inputs.mean(0), verbose=0)
    found = ta.summarise(result)
    values = [[0, -0.84, 0], [-0.7, 2.76, 1], [0.7, 0.96, 0.2], [-1.4, -3.24, -0.2], [1.4, 0.36, -1]]
    np.testing.assert_allclose(found.sample["attributions"][np.argsort(found.sample["index"])], values, atol=1e-6)
    np.testing.assert_allclose(found.importance, [0.84, 1.632, 0.48], rtol=1e-6)
    assert found.top(3) == [1, 0, 2]


def test_groups():
    attributions, inputs, target = data()
    labels, predicted = target[::-1].copy(), np.roll(target, 1)
    result = result_of(attributions, inputs, target, predicted=predicted)
    for by, groups in (("target", target), ("predicted", predicted), ("label", labels)):
        found = ta.summarise(result, by=by, labels=labels)
        np.testing.assert_allclose(found.mean[1], attributions[groups == 1].astype(float).mean(0))
    together = ta.summarise(result, by=None)
    assert together.groups == (None,)
    np.testing.assert_allclose(together.mean[0], attributions.astype(float).mean(0))
    one_hot = np.eye(3)[labels]
    pairs = [(result[:120], one_hot[:120]), (result[120:], one_hot[120:])]
    np.testing.assert_array_equal(
        ta.summarise(pairs, by="label").mean, ta.summarise(cut(result, [120]), by="label", labels=labels).mean
    )
    positions = ta.summarise(result_of(attributions, target=np.stack([target, target + 1], 1)))
    assert positions.groups == ((0, 1), (1, 2), (2, 3))
    assert ta.summarise(result_of(attributions, target=np.zeros((200, 0), int))).groups == (None,)


# what is left out, what is refused


def test_examples_that_are_not_finite_are_left_out_and_counted():
    attributions, inputs, target = data()
    attributions[[3, 150]] = np.nan
    found = ta.summarise(cut(result_of(attributions, inputs, target), [80]))
    kept = np.delete(attributions.astype(float), [3, 150], 0)
    np.testing.assert_allclose(found.importance, np.abs(kept).mean(0))
    assert "2 of 200 examples have attributions that are not finite" in repr(found)
    assert not np.isin([3, 150], found.sample["index"]).any()
    assert_refused(lambda: ta.summarise(result_of(np.full((4, 2), np.nan))), "none of 4 examples")


def test_what_did_not_converge_is_counted():
    status = np.array(["converged"] * 5 + ["max_evaluations"] * 3)
    found = ta.summarise(result_of(np.ones((8, 2)), status=status, error_estimate=np.zeros(8)))
    assert "3 of 8 attributions did not converge" in repr(found)
    assert "converge" not in repr(ta.summarise(result_of(np.ones((8, 2)), status=np.array([""] * 8))))


def test_several_tensors_are_side_by_side_or_one_is_chosen():
    left, right = np.ones((6, 2)), np.full((6, 3), 2.0)
    result = result_of(np.zeros(6))
    result = dataclasses.replace(result, attributions={"left": left, "right": right}, inputs={"left": left, "right": right})
    both = ta.summarise(result)
    assert both.names == ("left", "left[1]", "right", "right[1]", "right[2]")
    np.testing.assert_array_equal(both.mean[0], [1, 1, 2, 2, 2])
    assert both.shape is None
    one = ta.summarise(result, key="right")
    np.testing.assert_array_equal(one.mean[0], [2, 2, 2])
    assert_refused(lambda: ta.summarise(result, key="lift"), "'lift'", "'left'")


def test_features_of_another_order_are_not_added_up_with_others():
    """Tensors are known by their keys, whichever comes first; columns side by side must be the same."""
    ones = np.ones((4, 2))
    results = [
        dataclasses.replace(result_of(np.zeros(4)), attributions={key: ones * size for key, size in sizes})
        for sizes in ([("a", 1), ("b", 5)], [("b", 5), ("a", 1)])
    ]
    np.testing.assert_array_equal(ta.summarise(results).mean[0], [1, 1, 5, 5])
    columns = [result_of(ones, place="inputs", feature_names={"": names}) for names in (("x", "y"), ("y", "x"))]
    assert_refused(lambda: ta.summarise(columns), "same order", "'x', 'y', then 'y', 'x'")


def test_gradients_are_per_unit_of_the_input():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, name="out")])
    result = ta.Attributor(model).attribute(np.ones((4, 2), "float32"), method="gradient", verbose=0)
    assert ta.summarise(result).unit == "raw per unit of input"
    assert "the score rises with the value" in ta.summarise(result).plot(kind="mean").caption


def test_whole_numbers_with_attributions_of_their_own_are_features():
    bits = np.random.default_rng(0).integers(0, 2, (40, 5))
    model = keras.Sequential([keras.Input((5,)), layers.Dense(1)])
    found = ta.summarise(ta.Attributor(model).attribute(bits, verbose=0))
    assert found.kind == "features"
    assert {one.kind for one in found.degenerate} == {"switch"}
    assert ta.summarise(result_of(bits, bits)).kind == "words"
    assert ta.summarise(result_of(bits, bits), kind="features", names=NAMES[:1] * 5).kind == "features"
    assert ta.summarise(result_of(bits, bits, at="inputs"), kind="words").kind == "words"


def test_the_table_is_rows_for_pandas():
    attributions, inputs, target = data()
    found = ta.summarise(result_of(attributions, inputs, target), names=NAMES, classes=["no", "maybe", "yes"])
    rows = found.table(2)
    assert len(rows) == 6
    assert {row["name"] for row in rows} == {NAMES[place] for place in found.top(2)}
    row = next(row for row in rows if row["group"] == "maybe" and row["name"] == "age")
    assert row["mean"] == pytest.approx(attributions[target == 1, 0].astype(float).mean())
    assert row["count"] == (target == 1).sum()
    text = repr(found)
    assert all(word in text for word in ("mean, maybe", "age", "no (", "unit: probability"))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda r: ta.summarise([]), ("no examples", "generator")),
        (lambda r: ta.summarise(r[:0]), ("no examples",)),
        (lambda r: ta.summarise(3), ("iterable", "int")),
        (lambda r: ta.summarise(["result"]), ("Attribution", "str")),
        (lambda r: ta.summarise(r, by="class"), ("by is one of", "'target'")),
        (lambda r: ta.summarise(r, by="label"), ("needs labels",)),
        (lambda r: ta.summarise(r, by="predicted"), ("no classes",)),
        (lambda r: ta.summarise(r, labels=[0, 1]), ("2 labels", "8")),
        (lambda r: ta.summarise(r, labels=[0] * 9), ("9 labels for 8",)),
        (lambda r: ta.summarise([(r, [0] * 8)], labels=[0] * 8), ("twice",)),
        (lambda r: ta.summarise([(r, [0] * 8), r]), ("for all or none",)),
        (lambda r: ta.summarise(r, names=["a"]), ("1 names for 2 features",)),
        (lambda r: ta.summarise(dataclasses.replace(r, target=np.full(8, 2)), classes=["a", "b"]), ("2 names", "class 2")),
        (lambda r: ta.summarise([r, dataclasses.replace(r, unit="logit")]), ("unit", "'logit'")),
        (lambda r: ta.summarise([r, dataclasses.replace(r, method="Occlusion()")]), ("method",)),
        (lambda r: ta.summarise([r, result_of(np.ones((3, 5)))]), ("one shape", "(2,)", "(5,)")),
        (lambda r: ta.summarise(r, kind="tokens"), ("kind is one of", "'words'")),
        (lambda r: ta.summarise(result_of(np.ones((2, 3, 4, 5))), kind="words"), ("kind='words'", "(2, 3, 4, 5)")),
        (lambda r: ta.summarise(r, sample=-1), ("sample", "-1")),
        (lambda r: ta.summarise(r, min_support=0), ("min_support",)),
        (lambda r: ta.summarise(r, min_precision=1.5), ("min_precision",)),
        (lambda r: ta.summarise(r, trigger_share=0), ("trigger_share",)),
        (lambda r: ta.summarise(r, phrase_length=True), ("phrase_length",)),
        (lambda r: ta.summarise(r, variation=-1), ("variation",)),
        (lambda r: ta.summarise(r, max_terms=3), ("max_terms", "1000")),
        (lambda r: ta.summarise(r).top(0), ("k is",)),
        (lambda r: ta.summarise(r).place("no"), ("'no'",)),
        (lambda r: ta.summarise(r).plot(kind="swarm"), ("'swarm'", "'beeswarm'")),
        (lambda r: ta.summarise(r).plot(kind="map"), ("images", "(2,)")),
        (lambda r: ta.summarise(r, sample=0).plot(kind="beeswarm"), ("no examples were kept",)),
    ],
)
def test_refused(call, words):
    assert_refused(lambda: call(result_of(np.ones((8, 2)))), *words)


def test_interior_gradients_are_refused_and_their_sum_is_not():
    alphas = np.linspace(0, 1, 20).reshape(4, 5)
    steps = result_of(np.ones((4, 5, 3)), np.ones((4, 3)), alphas=alphas, steps=True, method="InteriorGradients()")
    assert_refused(lambda: ta.summarise(steps), "result.sum(1)")
    assert ta.summarise(steps.sum(1)).shape == (3,)


def test_more_sums_than_fit_are_refused(monkeypatch):
    monkeypatch.setattr("tf_attrib.datasets.running.MAX_SUMS", 2000)
    wide = result_of(np.ones((3, 700)), target=np.arange(3))
    assert_refused(lambda: ta.summarise([wide[:2], wide[2:]]), "700 features in 3 groups", "by=None")
    assert ta.summarise(wide[:2]).mean.shape == (2, 700)
    assert ta.summarise(wide, by=None).mean.shape == (1, 700)


def test_a_sample_of_wide_features_is_smaller(monkeypatch):
    monkeypatch.setattr("tf_attrib.datasets.running.SAMPLE_BYTES", 16 * 700 * 4)
    assert ta.summarise(result_of(np.ones((30, 700)))).sample["attributions"].shape == (4, 700)
