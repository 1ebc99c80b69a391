"""Shapley values and LIME: against all orders by hand, scikit-learn, and the spread over seeds."""

import functools
import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta

from ..conftest import assert_refused

RNG = np.random.default_rng(4)
A, B, C = (RNG.normal(size=shape).astype("float32") for shape in ((12, 6), (6,), (12,)))
X = RNG.normal(size=(2, 12)).astype("float32")
SAMPLED = {
    "shapley_sampling": ta.ShapleySampling,
    "orders alone": lambda **options: ta.ShapleySampling(antithetic=False, **options),
    "kernel_shap": ta.KernelSHAP,
    "unpaired": lambda *groups, **options: ta.KernelSHAP(*groups, paired=False, **options),
}


@pytest.fixture(scope="module")
def attributor():
    """A function in which features interact."""
    return ta.Attributor(lambda x: tf.linalg.matvec(tf.tanh(x @ A), B) + x[:, 0] * x[:, 1] * x[:, 2] + tf.linalg.matvec(x, C))


@pytest.fixture(scope="module")
def exact(attributor):
    return attributor.attribute(X, method=ta.ShapleySampling(exact_up_to=12))


def by_orders(value, players):
    """Shapley values by the definition: the mean over every order of what each player adds."""
    found, value = np.zeros(players), functools.cache(value)
    for order in itertools.permutations(range(players)):
        there: tuple = ()
        for player in order:
            with_it = tuple(sorted((*there, player)))
            found[player] += value(with_it) - value(there)
            there = with_it
    return found / math.factorial(players)


# exact


@pytest.mark.parametrize("method", [ta.ShapleySampling, ta.KernelSHAP])
def test_few_players_are_enumerated(attributor, method):
    groups = np.array([0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4])
    bases = np.stack([np.zeros(12), RNG.normal(size=12)]).astype("float32")
    result = attributor.attribute(X, None, ta.several(bases), method(groups))
    for x, row in zip(X, result.attributions, strict=True):

        def value(there, x=x):
            rows = np.where(np.isin(groups, there), x, bases)
            return float(np.mean(attributor.model(tf.constant(rows))))

        expected = by_orders(value, 5)
        np.testing.assert_allclose([row[groups == group].sum() for group in range(5)], expected, atol=2e-5)
        np.testing.assert_allclose(row, (expected / np.bincount(groups))[groups], atol=2e-5)
    assert np.all(result.forward_evaluations == 2 * (2**5 - 2) + 3)
    assert np.all(result.standard_error == 0)
    assert np.all(result.status == "converged")


def test_the_line_is_that_of_weighted_ridge(attributor):
    """All coalitions of four players, with the weights that they have in the mean over draws, through scikit-learn."""
    from sklearn.linear_model import Ridge

    groups, width, ridge, draws = np.repeat(np.arange(4), 3), 0.6, 0.3, 500
    method = ta.LIME(groups, n_samples=draws, kernel_width=width, ridge=ridge)
    found = attributor.attribute(X[:1], method=method)
    masks = np.array(list(itertools.product([0, 1], repeat=4)))
    sizes = masks.sum(1)
    distance = 1 - np.sqrt(sizes / 4)
    chance = np.array([draws / (4 * math.comb(4, size)) if size < 4 else 1 for size in sizes])
    scores = np.asarray(attributor.model(tf.constant(np.where(masks[:, groups] == 1, X[0], 0).astype("float32"))))
    line = Ridge(alpha=ridge).fit(masks, scores, sample_weight=chance * np.exp(-((distance / width) ** 2)))
    np.testing.assert_allclose(found.attributions[0], line.coef_[groups], rtol=1e-4)
    assert found.kind == "effect"
    # drawn, they come to the same within what is said of them
    groups = np.arange(12)
    all_of = attributor.attribute(X[:1], method=ta.LIME(groups, n_samples=4096))
    drawn = [attributor.attribute(X[:1], method=ta.LIME(groups, n_samples=2000), seed=seed) for seed in range(8)]
    off = np.stack([(one.attributions - all_of.attributions) / one.standard_error for one in drawn])
    assert 0.7 < np.sqrt((off**2).mean()) < 1.4


def test_the_line_is_that_of_the_elastic_net(attributor):
    """Both penalties, as scikit-learn has them: 1/2 of the mean weighed square, and shares of one penalty."""
    from sklearn.linear_model import ElasticNet

    draws, alpha, share = 4096, 0.05, 0.7
    masks = np.array(list(itertools.product([0, 1], repeat=12)))
    sizes = masks.sum(1)
    chance = np.array([draws / (12 * math.comb(12, size)) if size < 12 else 1 for size in sizes])
    weight = chance * np.exp(-(((1 - np.sqrt(sizes / 12)) / 0.75) ** 2))
    penalties = {"lasso": 2 * weight.sum() * alpha * share, "ridge": weight.sum() * alpha * (1 - share)}
    scores = np.asarray(attributor.model(tf.constant(np.where(masks == 1, X[0], 0).astype("float32"))))
    line = ElasticNet(alpha, l1_ratio=share, tol=1e-10, max_iter=10**5).fit(masks, scores, sample_weight=weight)
    found = attributor.attribute(X[:1], method=ta.LIME(np.arange(12), n_samples=draws, **penalties))
    np.testing.assert_allclose(found.attributions[0], line.coef_, atol=1e-4)
    gone = found.attributions[0] == 0
    assert 0 < gone.sum() < 12
    np.testing.assert_array_equal(gone, line.coef_ == 0)
    ridge = attributor.attribute(X[:1], method=ta.LIME(np.arange(12), n_samples=draws, ridge=penalties["ridge"]))
    assert ridge.attributions.all()


def test_errors_of_the_lasso_are_the_spread_over_seeds(attributor):
    method = ta.LIME(np.arange(12), n_samples=300, lasso=5.0)
    runs = [attributor.attribute(X[:1], method=method, seed=seed) for seed in range(24)]
    spread = np.std([one.attributions[0] for one in runs], 0, ddof=1)
    said = np.mean([one.standard_error[0] for one in runs], 0)
    assert 0.6 < np.sqrt((said**2).mean() / (spread**2).mean()) < 1.6
    np.testing.assert_array_equal(runs[0].standard_error, attributor.attribute(X[:1], method=method, seed=0).standard_error)


# drawn


@pytest.mark.parametrize("name", SAMPLED)
def test_standard_errors_are_the_spread_over_seeds(attributor, exact, name):
    method = SAMPLED[name](exact_up_to=0, max_evaluations=1500, tolerance=1e-6)
    runs = [attributor.attribute(X, method=method, seed=seed) for seed in range(16)]
    values = np.stack([run.attributions for run in runs]).astype(float)
    stated = np.sqrt(np.mean([run.standard_error.astype(float) ** 2 for run in runs], 0))
    assert 0.75 < np.sqrt((values.var(0, ddof=1) / stated**2).mean()) < 1.3
    off = (values - exact.attributions) / stated
    assert 0.75 < np.sqrt((off**2).mean()) < 1.35
    assert np.abs(off.mean(0)).max() < 4 / math.sqrt(16)
    for run in runs:
        np.testing.assert_allclose(run.totals, run.difference, atol=1e-5)
        assert np.all(run.status == "max_evaluations")
        assert np.all(run.forward_evaluations <= 1502)


@pytest.mark.parametrize("name", ["shapley_sampling", "kernel_shap"])
def test_draws_stop_at_the_tolerance(attributor, exact, name):
    size = np.abs(exact.attributions).sum(1)
    for tolerance in (0.1, 0.03):
        method = SAMPLED[name](exact_up_to=0, tolerance=tolerance, max_evaluations=10**6)
        runs = [attributor.attribute(X, method=method, seed=seed) for seed in range(6)]
        wrong = np.stack([np.abs(run.attributions - exact.attributions).sum(1) / size for run in runs])
        assert all(np.all(run.converged) and np.all(run.error_estimate <= tolerance) for run in runs)
        assert (wrong > tolerance).mean() < 0.2
        assert wrong.max() < 1.5 * tolerance
        few = np.mean([run.forward_evaluations for run in runs])
        assert few < (1500 if tolerance == 0.1 else 12000)
    assert "standard error" in repr(runs[0])
    assert "converged" in repr(runs[0])


@pytest.mark.parametrize("name", ["kernel_shap", "unpaired"])
def test_a_regression_that_has_met_every_coalition_is_exact(attributor, name):
    groups = np.repeat(np.arange(6), 2)
    method = SAMPLED[name](groups, exact_up_to=0, tolerance=1e-6, max_evaluations=10**4)
    result = attributor.attribute(X, method=method, seed=0)
    exact = attributor.attribute(X, method=ta.ShapleySampling(groups))
    np.testing.assert_allclose(result.attributions, exact.attributions, atol=1e-5)
    assert np.all(result.standard_error == 0)
    assert np.all(result.converged)
    # coalitions of a size that is drawn before all of it is listed are met again
    assert np.all(result.forward_evaluations < 3 * 2**6)


def test_antithetic_orders_and_pairs_are_worth_it(attributor):
    def error(name):
        method = SAMPLED[name](exact_up_to=0, max_evaluations=4000, tolerance=1e-6)
        return attributor.attribute(X, method=method, seed=0).standard_error.mean()

    assert error("shapley_sampling") < 0.9 * error("orders alone")
    assert error("kernel_shap") < 0.9 * error("unpaired")


@pytest.mark.parametrize("antithetic", [True, False])
def test_so_many_orders_as_asked_for(attributor, exact, antithetic):
    """Their number is what is evaluated, whatever the tolerance; the error that is left is stated, and judged by it."""
    for count, orders in ((1, 2 if antithetic else 1), (7, 8 if antithetic else 7), (40, 40)):
        method = ta.ShapleySampling(antithetic=antithetic, n_permutations=count, tolerance=0.2)
        result = attributor.attribute(X, method=method, seed=2)
        assert np.all(result.forward_evaluations == 11 * orders + 2)
        np.testing.assert_allclose(result.gap, 0, atol=1e-5)
        np.testing.assert_array_equal(result.status == "converged", result.error_estimate <= 0.2)
    assert np.all(result.converged)
    assert np.all(np.abs(result.attributions - exact.attributions) < 5 * result.standard_error)
    alone = attributor.attribute(X, method=ta.ShapleySampling(antithetic=antithetic, n_permutations=1), seed=2)
    assert np.isinf(alone.standard_error).all()
    assert not alone.converged.any()
    assert "n_permutations=1" in repr(alone)
    # few players are enumerated all the same, and more orders than `max_evaluations` would allow are taken
    few = attributor.attribute(X, method=ta.ShapleySampling(np.repeat([0, 1, 2], 4), n_permutations=2))
    assert np.all(few.standard_error == 0)
    many = attributor.attribute(X, method=ta.ShapleySampling(antithetic=antithetic, n_permutations=1000), seed=0)
    assert np.all(many.forward_evaluations == 11_002)


def test_groups_of_places_of_several_inputs_are_players():
    """Against all orders by hand: a player is a column, a whole input, or places of several inputs, of numbers and of text."""
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "b"], [1.5, -2.0]), 0.25)

    def model(x):
        word = table.lookup(x["word"][:, 0])
        return tf.tanh(x["a"][:, 0] * word + x["b"][:, 1]) + x["a"][:, 1] * x["b"][:, 0] * x["a"][:, 2] + word * x["b"][:, 1]

    x = {
        "a": np.array([[0.5, -1.0, 2.0], [1.5, 0.3, -0.7]], "float32"),
        "b": np.array([[1.2, -0.4], [0.1, 0.9]], "float32"),
        "word": np.array([["a"], ["b"]]),
    }
    base = {"a": np.array([0.1, 0.2, 0.3], "float32"), "b": np.array([-1.0, 0.5], "float32"), "word": np.array([""])}
    groups = {"a": np.array([0, 1, 2]), "b": np.array([1, 3]), "word": np.array([3])}
    attributor = ta.Attributor(model)
    method = ta.ShapleySampling(groups)
    result = attributor.attribute(x, None, {key: ta.constant(value) for key, value in base.items()}, method)
    for i in range(2):

        def value(there, i=i):
            row = {key: np.where(np.isin(groups[key], there), x[key][i], base[key])[None] for key in x}
            return float(model({key: tf.constant(leaf) for key, leaf in row.items()})[0])

        expected = by_orders(value, 4)
        sums = np.zeros(4)
        for key, leaf in result.attributions.items():
            np.add.at(sums, groups[key], leaf[i])
        np.testing.assert_allclose(sums, expected, atol=1e-5)


@pytest.mark.slow
def test_shap_gives_the_same_values_by_its_own_orders(attributor, exact):
    shap = pytest.importorskip("shap")
    base = np.zeros((1, 12), "float32")
    explainer = shap.PermutationExplainer(
        lambda x: np.asarray(attributor.model(tf.constant(x.astype("float32")))), base, seed=0
    )
    theirs = explainer(X, max_evals=12 * 200 + 1, silent=True).values
    ours = attributor.attribute(X, method=ta.ShapleySampling(n_permutations=200), seed=0)
    size = np.abs(exact.attributions).sum(1)
    assert np.all(np.abs(theirs - exact.attributions).sum(1) < 0.1 * size)
    assert np.all(np.abs(ours.attributions - exact.attributions) < 5 * ours.standard_error)


@pytest.mark.parametrize("name", [*SAMPLED, "lime"])
def test_what_equals_the_baseline_takes_no_part(attributor, name):
    x = X.copy()
    x[:, 4:] = 0
    method = {"lime": ta.LIME}.get(name, SAMPLED.get(name))()
    result = attributor.attribute(x, method=method, seed=0)
    assert np.all(result.attributions[:, 4:] == 0)
    assert np.all(result.attributions[:, :4] != 0)
    assert np.all(result.forward_evaluations <= 2**4 + 1)
    nothing = attributor.attribute(np.zeros((1, 12), "float32"), method=method)
    assert not nothing.attributions.any()


@pytest.mark.parametrize("name", ["shapley_sampling", "kernel_shap"])
def test_several_baselines_are_averaged(attributor, name):
    bases = RNG.normal(size=(3, 12)).astype("float32")
    each = [attributor.attribute(X, None, base, ta.ShapleySampling(exact_up_to=12)).attributions for base in bases]
    method = SAMPLED[name](exact_up_to=0, max_evaluations=40_000, tolerance=0.01)
    result = attributor.attribute(X, None, ta.several(bases), method, seed=1)
    assert np.all(np.abs(result.attributions - np.mean(each, 0)) < 5 * result.standard_error)
    np.testing.assert_allclose(result.gap, 0, atol=1e-5)


def test_a_feature_that_equals_one_baseline_and_not_another_plays(attributor):
    found = attributor.attribute(X[:1], None, [X[0], np.zeros(12, "float32")], ta.ShapleySampling(exact_up_to=12))
    alone = attributor.attribute(X[:1], method=ta.ShapleySampling(exact_up_to=12))
    np.testing.assert_allclose(found.attributions, alone.attributions / 2, atol=1e-5)


def test_text_numbers_and_groups_for_each_example():
    names = ["a", "bb", "cc"]
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(names, [1.0, -2.0, 5.0]), 0.5)
    attributor = ta.Attributor(lambda x: table.lookup(x["word"][:, 0]) * x["size"][:, 0] + x["size"][:, 1] ** 2)
    x = {"word": np.array([["bb"], ["cc"]]), "size": np.array([[2.0, 3.0], [1.0, -1.0]], "float32")}
    result = attributor.attribute(x, method="shapley_sampling")
    word, one = np.array([-2.0, 5.0]), x["size"][:, 0]
    np.testing.assert_allclose(result.attributions["word"][:, 0], (word - 0.5) * one / 2, rtol=1e-5)
    np.testing.assert_allclose(result.attributions["size"][:, 0], (word + 0.5) * one / 2, rtol=1e-5)
    np.testing.assert_allclose(result.attributions["size"][:, 1], x["size"][:, 1] ** 2, rtol=1e-5)
    images = RNG.uniform(0.1, 1, (2, 4, 4, 1)).astype("float32")
    own = np.stack([np.arange(16).reshape(4, 4) // 8, ta.tiles((4, 4), 2)])
    total = ta.Attributor(lambda x: tf.reduce_sum(x, (1, 2, 3)) ** 2)
    found = total.attribute(images, method=ta.KernelSHAP(own)).attributions[..., 0]
    for i in range(2):
        for group in range(own[i].max() + 1):  # of (a + b)², a gets a² + ab
            part = images[i, ..., 0][own[i] == group].sum()
            np.testing.assert_allclose(found[i][own[i] == group].sum(), part * images[i].sum(), rtol=1e-4)


def test_results_are_kept_cut_and_summed_with_their_errors(attributor, tmp_path):
    method = ta.ShapleySampling(exact_up_to=0, max_evaluations=500)
    result = attributor.attribute(X, method=method, seed=0)
    assert result.standard_error.shape == X.shape
    assert np.all(result.standard_error > 0)
    again = ta.load(result.save(tmp_path / "kept"))
    np.testing.assert_array_equal(again.standard_error, result.standard_error)
    assert repr(again) == repr(result)
    np.testing.assert_array_equal(result[1].standard_error, result.standard_error[1:])
    np.testing.assert_allclose(result.sum(1).standard_error, result.standard_error.sum(1))
    assert result.norm(1).standard_error is None
    bad = X.copy()
    bad[0, 0] = np.nan
    marked = attributor.attribute(bad, method=method, seed=0, on_error="mark")
    assert np.isnan(marked.standard_error[0]).all()
    np.testing.assert_allclose(marked.standard_error[1], result.standard_error[1], rtol=1e-5)  # in blocks of other sizes


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ta.ShapleySampling(tolerance=0), ["tolerance", "0.05"]),
        (lambda: ta.KernelSHAP(max_evaluations=1.5), ["max_evaluations", "1.5"]),
        (lambda: ta.ShapleySampling(exact_up_to=30), ["exact_up_to", "20", "30"]),
        (lambda: ta.ShapleySampling(max_evaluations=40), ["12 players", "at least 44", "groups="]),
        (lambda: ta.KernelSHAP(max_evaluations=40), ["12 players", "at least 48", "groups="]),
        (lambda: ta.ShapleySampling(exact_up_to=12, max_evaluations=4000), ["exact_up_to=12", "4,094", "12 players"]),
        (lambda: ta.ShapleySampling(n_permutations=0), ["n_permutations", "at least 1"]),
        (
            lambda: ta.ShapleySampling(n_permutations=5, max_evaluations=50),
            ["n_permutations=5", "max_evaluations=50", "one of them"],
        ),
        (lambda: ta.LIME(n_samples=10), ["12 players", "n_samples"]),
        (lambda: ta.LIME(kernel_width=0), ["kernel_width", "above 0"]),
        (lambda: ta.LIME(lasso=-1), ["lasso", "at least 0"]),
        (lambda: ta.KernelSHAP(np.zeros(5, int)), ["groups", "(12,)"]),
        (lambda: ta.KernelSHAP(ta.tiles((12,), 0)), ["ta.tiles", "at least 1"]),
        (lambda: ta.KernelSHAP(ta.superpixels(X)), ["ta.superpixels", "(2, 12)"]),
    ],
)
def test_what_does_not_fit_is_refused(attributor, make, words):
    assert_refused(lambda: attributor.attribute(X, method=make()), *words)


def test_tiles_and_superpixels(monkeypatch):
    assert ta.tiles((3, 4), 2).tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3]]
    assert ta.tiles((5,), 2).tolist() == [0, 0, 1, 1, 2]
    monkeypatch.setitem(__import__("sys").modules, "skimage.segmentation", None)
    with pytest.raises(ta.MissingExtra, match=r"scikit-image.*tf_attrib\[superpixels\]"):
        ta.superpixels(np.zeros((1, 8, 8, 3)))


def test_superpixels_are_regions_of_like_colour():
    images = np.zeros((2, 16, 16, 3), "uint8")
    images[:, :, 8:] = 255
    found = ta.superpixels(images, n=4)
    assert found.shape == (2, 16, 16)
    assert not set(np.unique(found[0, :, :7])) & set(np.unique(found[0, :, 9:]))


def test_a_fit_to_few_pairs_is_not_taken_for_exact():
    """Where three players count together alone, a line may go through the few pairs that come first without any being off."""
    x = (1 + RNG.uniform(0, 1, (100, 14)) / 100).astype("float32")
    weights = np.linspace(0.01, 0.1, 14, dtype="float32")
    attributor = ta.Attributor(lambda x: tf.linalg.matvec(x, weights) + x[:, 0] * x[:, 1] * x[:, 2])
    result = attributor.attribute(x, method=ta.KernelSHAP(tolerance=0.25), seed=0)
    exact = x * weights + np.where(np.arange(14) < 3, x[:, :3].prod(1)[:, None] / 3, 0)
    off = np.abs(result.attributions - exact).sum(1) / np.abs(exact).sum(1)
    assert set(result.status) == {"converged"}
    assert (off / result.error_estimate).max() < 2.5


def test_a_remedy_is_named_that_helps_where_orders_were_counted():
    """Of one order no error is known: the numbers are, and another max_evaluations changes nothing."""
    line = ta.Attributor(lambda x: tf.reduce_prod(1 + x, 1))
    said = repr(line.attribute(np.ones((1, 12), "float32"), method=ta.ShapleySampling(n_permutations=1), seed=0))
    assert "standard errors not known: too few draws" in said
    assert "n_permutations where that was given" in said
