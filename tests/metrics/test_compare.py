"""Methods compared: a random attribution scores as random, forward passes are shared, and the figure of a paper holds."""

import json
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.neural_network import MLPClassifier

import tf_attrib as ta
from tf_attrib.cli import main
from tf_attrib.demo import data
from tf_attrib.metrics.examples import Examples
from tf_attrib.metrics.table import METRICS

from ..conftest import assert_refused, make_plain_cnn

M = ta.metrics
ALL = ("aopc", "aopc_between", "deletion", "insertion", "infidelity", "max_sensitivity", "sparseness", "randomisation")


@pytest.fixture(scope="module")
def digits():
    """A net that scikit-learn trains in an instant, and digits that were held out."""
    found = data.digits()
    flat = found.train_inputs.reshape(len(found.train_inputs), -1)
    trained = MLPClassifier((64,), learning_rate_init=0.01, batch_size=64, max_iter=15, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it would go on
        trained.fit(flat, found.train_labels)
    hidden, head = keras.layers.Dense(64, "relu"), keras.layers.Dense(10, "softmax", name="digit")
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), hidden, head])
    model.set_weights([part for pair in zip(trained.coefs_, trained.intercepts_, strict=True) for part in pair])
    return model, found.test_inputs


@pytest.fixture(scope="module")
def compared(digits):
    model, images = digits
    return M.compare(ta.Attributor(model), images[:60], metrics=ALL[:5], steps=16)


def test_figure_5_of_gradients_of_counterfactuals(compared):
    """Integrated gradients above gradients above random (arXiv:1611.02639, figure 5), by more than the examples' scatter."""
    means = [compared[method]["aopc"].mean for method in ("integrated_gradients", "gradient", "random")]
    assert means[0] > means[1] > means[2]
    assert compared.difference("aopc", "integrated_gradients", "gradient")[1] > 0
    assert compared.difference("aopc", "gradient", "random")[1] > 0
    figure = compared.plot_curves("aopc")
    (axes,) = figure.subfigs[0].axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["integrated_gradients", "gradient_times_input", "gradient", "random"]
    np.testing.assert_allclose(
        axes.lines[0].get_ydata(), compared["integrated_gradients"]["aopc"].curves["most relevant first"].mean(0)
    )


def test_other_metrics_agree_on_the_order_of_methods(compared):
    for metric, sign in (("aopc_between", 1), ("insertion", 1), ("deletion", -1)):
        assert sign * compared.difference(metric, "integrated_gradients", "gradient")[0] > 0, metric
        mean, low, high = compared.difference(metric, "integrated_gradients")
        assert min(sign * low, sign * high) > 0, metric
        assert low < mean < high
    for method in ("integrated_gradients", "gradient"):
        assert compared.difference("infidelity", method)[0] < 0


def test_a_random_attribution_scores_as_random(compared):
    """The area between its two orders holds 0 in its interval, and its AOPC is that of the random order."""
    low, high = compared["random"]["aopc_between"].interval(0.99)
    assert low < 0 < high
    aopc = compared["random"]["aopc"]
    difference = aopc.values - aopc.random
    assert abs(difference.mean()) < 3 * difference.std() / np.sqrt(len(difference))
    assert abs(aopc.mean - aopc.random.mean()) < 0.2 * aopc.mean


def test_of_a_linear_model_random_scores_as_chance():
    """After k of d parts in random order the score has fallen by k / d of all on average: the mean over k = 0 ... d is half."""
    weights = np.arange(1.0, 7, dtype="float32")
    attributor = ta.Attributor(lambda x: tf.linalg.matvec(x, weights))
    x = np.ones((1500, 6), "float32") + 1e-6 * np.random.default_rng(0).normal(size=(1500, 6)).astype("float32")
    found = M.compare(attributor, x, ["gradient"], ["aopc", "aopc_between", "sparseness"], steps=6)
    low, high = found["random"]["aopc"].interval(0.999)
    assert low < weights.sum() / 2 < high
    low, high = found["random"]["aopc_between"].interval(0.999)
    assert low < 0 < high
    assert found["gradient"]["aopc"].mean > weights.sum() / 2 + 2
    # the Gini index of the magnitudes of normal numbers is sqrt(2) - 1 in the limit; of d of them (d - 1) / d of that, about
    assert abs(found["random"]["sparseness"].mean - (np.sqrt(2) - 1) * 5 / 6) < 0.02


def test_the_random_slope_is_as_long_as_that_of_the_first_method():
    """Of a linear model E ((r - w) · I)² is s² |r - w|², twice s² |w|² on average where r has the length of w."""
    weights = np.arange(1.0, 7, dtype="float32")
    attributor = ta.Attributor(lambda x: tf.linalg.matvec(x, weights))
    x = np.random.default_rng(0).normal(size=(300, 6)).astype("float32")
    found = M.compare(attributor, x, ["gradient"], ["infidelity"], perturbation=M.Gaussian(0.5), samples=50, normalise=False)
    low, high = found["random"]["infidelity"].interval(0.999)
    assert low < 2 * 0.5**2 * (weights**2).sum() < high
    assert low > 0.5**2 * (weights**2).sum()


def test_forward_passes_are_shared(monkeypatch):
    evaluated = []
    block = Examples._block

    def counted(self, example, rows):
        evaluated.append(len(rows))
        return block(self, example, rows)

    monkeypatch.setattr(Examples, "_block", counted)
    attributor = ta.Attributor(make_plain_cnn())
    x = np.random.default_rng(0).uniform(size=(4, 8, 8, 1)).astype("float32")

    def rows(*metrics, methods=("gradient",)):
        evaluated.clear()
        M.compare(attributor, x, methods, metrics, steps=8, samples=30)
        return sum(evaluated)

    curve = 4 * 8
    # of two methods: most and least relevant first each, and one random order for both
    assert rows("aopc") == 5 * curve
    assert rows("aopc", "aopc_between", "deletion", "insertion") == 5 * curve
    assert rows("deletion") == 2 * curve
    assert rows("infidelity") == rows("infidelity", methods=("gradient", "integrated_gradients")) == 4 * 30


def test_the_table_the_page_and_the_numbers(compared, tmp_path):
    text = repr(compared)
    assert text.startswith("60 examples: probability at 'digit'")
    for word in ("random", "AOPC, most first", "higher is better", "replaced by zeros", "95% bootstrap interval"):
        assert word in text
    mean, (low, high) = compared["gradient"]["aopc"].mean, compared["gradient"]["aopc"].interval()
    assert f"{mean:.3g} [{low:.3g}, {high:.3g}]" in text
    read = json.loads(compared.to_json())
    np.testing.assert_allclose(read["methods"]["gradient"]["aopc"]["values"], compared["gradient"]["aopc"].values)
    assert "NaN" not in compared.to_json()
    page = compared.save_html(tmp_path / "compared.html").read_text()
    assert page.count("<img") == 4  # the figure, and curves of three metrics
    assert "gradient_times_input" in page
    with pytest.raises(ta.AttributionError, match="exists"):
        compared.save_html(tmp_path / "compared.html")
    assert len(compared.plot().subfigs) == 5
    assert_refused(lambda: compared.plot_curves("infidelity"), "no curves", "aopc")
    assert_refused(lambda: compared.difference("aopc", "nothing"), "'nothing'", "gradient")


def test_every_metric_and_ones_own_result():
    attributor = ta.Attributor(make_plain_cnn())
    x = np.random.default_rng(0).uniform(size=(3, 8, 8, 1)).astype("float32")
    own = attributor.attribute(x, method="occlusion")
    masks = np.zeros((3, 8, 8))
    masks[:, 2:6, 2:6] = 1
    found = M.compare(
        attributor,
        x,
        {"mine": own, "coarse": ta.IntegratedGradients(n_steps=4)},
        (*ALL, "pointing"),
        steps=4,
        samples=10,
        masks=masks,
    )
    assert found.methods == ("mine", "coarse", "random")
    assert set(found["coarse"]) == {*ALL, "pointing"}
    assert set(found["mine"]) == {*ALL, "pointing"} - {"max_sensitivity", "randomisation"}
    (row,) = (line for line in repr(found).splitlines() if line.strip().startswith("mine"))
    assert row.split().count("-") == 2
    np.testing.assert_allclose(
        found["coarse"]["aopc"].values,
        M.aopc(attributor, x, method=ta.IntegratedGradients(n_steps=4), steps=4).values,
        atol=1e-6,
    )
    without = M.compare(attributor, x, "gradient", "sparseness", random=False)
    assert without.methods == ("gradient",)
    other = attributor.attribute(x, target=(own.target + 1) % 4)
    assert_refused(lambda: M.compare(attributor, x, {"a": own, "b": other}), "'b'", "same examples")


def test_arguments_reach_the_metrics():
    attributor = ta.Attributor(make_plain_cnn())
    x = np.random.default_rng(0).uniform(size=(2, 8, 8, 1)).astype("float32")

    def value(metric, **options):
        return M.compare(attributor, x, {"one": "integrated_gradients"}, [metric], random=False, **options)["one"][metric]

    base = value("aopc", steps=4).values
    for options in (
        {"target": 1},
        {"baselines": ta.constant(0.5)},
        {"replacement": 1.0},
        {"patch": 2},
        {"units": "pixels", "steps": 8},
    ):
        assert not np.allclose(base, value("aopc", **({"steps": 4} | options)).values, atol=1e-7), options
    base = value("infidelity").values
    for options in ({"perturbation": M.Squares(2)}, {"samples": 3}, {"normalise": False}, {"seed": 9}):
        assert not np.allclose(base, value("infidelity", **options).values, rtol=1e-6), options
    assert not np.allclose(value("max_sensitivity").values, value("max_sensitivity", radius=0.5).values)


def test_what_compare_refuses():
    attributor = ta.Attributor(lambda x: tf.reduce_sum(x, 1))
    x = np.ones((2, 3), "float32")
    assert_refused(lambda: M.compare(attributor, x, metrics=["aopk"]), "'aopk'", "'aopc'")
    assert_refused(lambda: M.compare(attributor, x, metrics=["pointing"]), "masks=")
    assert_refused(lambda: M.compare(attributor, x, masks=np.ones((2, 3))), "'pointing'")
    assert_refused(lambda: M.compare(attributor, x, ["gradient", "gradient"]), "different names")
    assert_refused(lambda: M.compare(attributor, x, {"random": "gradient"}), "none 'random'")
    assert_refused(lambda: M.compare(attributor, x, []), "at least one")


@pytest.fixture
def each():
    """A model with a class at each of four positions, token ids, and the same result for each position one at a time."""
    ids = keras.Input((4,), dtype="int32")
    embedded = keras.layers.Embedding(9, 3)(ids)
    head = keras.layers.Dense(5, activation="softmax")(keras.layers.SimpleRNN(4, return_sequences=True)(embedded))
    return ta.Attributor(keras.Model(ids, head)), np.array([[1, 2, 3, 4], [5, 6, 7, 8]])


def test_every_position_is_measured_as_an_example(each):
    attributor, ids = each
    classes, names = np.array([[0, 1, 2, 3], [4, 3, 2, 1]]), ("integrated_gradients", "gradient")
    options = {"methods": names, "metrics": ["aopc", "infidelity", "sparseness"], "samples": 10, "random": False}
    found = M.compare(attributor, ids, target=ta.each_position(classes), **options)
    pairs = np.stack([np.tile(np.arange(4), 2), classes.ravel()], 1)
    expected = M.compare(attributor, np.repeat(ids, 4, 0), target=pairs, **options)
    for name in names:
        for metric in options["metrics"]:
            assert found[name][metric].values.shape == (8,)
            np.testing.assert_allclose(found[name][metric].values, expected[name][metric].values, rtol=1e-5, atol=1e-9)
    baselines = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")  # one for each example
    found = M.compare(attributor, ids, target=ta.each_position(classes), baselines=baselines, **options)
    expected = M.compare(attributor, np.repeat(ids, 4, 0), target=pairs, baselines=np.repeat(baselines, 4, 0), **options)
    np.testing.assert_allclose(found["gradient"]["aopc"].values, expected["gradient"]["aopc"].values, rtol=1e-5)
    assert len(M.deletion(attributor, ids, target=ta.each_position()).values) == 8


def test_sensitivity_of_every_position():
    attributor = ta.Attributor(lambda x: x**2)  # (n, length): F at position i is x_i², its gradient 2 x_i there
    x = np.array([[0.5, -2.0], [1.0, 4.0]], "float32")
    found = M.max_sensitivity(
        attributor, x, target=ta.each_position(), method="gradient", radius=0.1, relative=False, samples=100
    )
    assert found.values.shape == (4,)
    assert np.all((found.values > 0.18) & (found.values <= 0.2 + 1e-5))


def test_a_map_coarser_than_the_examples_is_named_before_anything_is_attributed(cnn, images, monkeypatch):
    attributor = ta.Attributor(cnn)
    own = attributor.attribute(images, method="grad_cam")
    monkeypatch.setattr(ta.Attributor, "attribute", None)
    for one in ("grad_cam", own):
        assert_refused(
            lambda one=one: M.compare(attributor, images, ["gradient", one], ["aopc"]),
            "GradCam(",
            "(6, 6)",
            "Leave this method out",
            "layer 'batch_norm",
        )
    for method, metric, word in (("grad_cam", "infidelity", "channels"), ("vargrad", "infidelity", "squares")):
        assert_refused(lambda m=method, k=metric: M.compare(attributor, images, ["gradient", m], [k]), "infidelity", word)
    monkeypatch.undo()
    found = M.compare(attributor, images, ["gradient", "grad_cam"], ["sparseness"])  # which asks for no shape
    assert np.isfinite(found["grad_cam"]["sparseness"].values).all()
    there = M.compare(ta.Attributor(cnn, at="conv"), images, ["gradient", "grad_cam"], ["aopc"], steps=4)
    assert np.isfinite(there["grad_cam"]["aopc"].values).all()


def test_baselines_of_a_path_elsewhere_are_refused(cnn, images):
    attributor = ta.Attributor(cnn, at="conv")
    found = M.compare(attributor, images, ["conductance", "gradient"], ["aopc"], steps=4)
    assert np.isfinite(found["conductance"]["aopc"].values).all()
    assert_refused(
        lambda: M.compare(attributor, images, ["conductance"], ["aopc"], baselines=ta.constant(0.5)),
        "Conductance",
        "at inputs",
        "leave baselines out",
    )


def test_the_command_compares(tmp_path, capsys):
    model = make_plain_cnn()
    model.save(tmp_path / "cnn.keras")
    images = np.random.default_rng(0).uniform(size=(5, 8, 8, 1)).astype("float32")
    np.save(tmp_path / "images.npy", images)
    page, picture = tmp_path / "c.html", tmp_path / "c.png"
    arguments = [
        "compare",
        str(tmp_path / "cnn.keras"),
        str(tmp_path / "images.npy"),
        "--methods",
        "integrated_gradients,occlusion",
        "--metrics",
        "aopc,sparseness",
        "--patch",
        "4",
        "--tolerance",
        "0.2",
        "--replacement",
        "mean",
    ]
    assert main([*arguments, "--html", str(page), "--figure", str(picture)]) == 0
    printed = capsys.readouterr().out
    assert "patches of 4 × 4" in printed
    assert "the mean of these examples" in printed
    assert page.read_text().count("<img") == 2
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main([*arguments, "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    expected = M.aopc(ta.Attributor(model), images, method=ta.IntegratedGradients(0.2), patch=4, replacement="mean")
    np.testing.assert_allclose(read["methods"]["integrated_gradients"]["aopc"]["values"], expected.values, atol=1e-5)
    for wrong, word in (
        (["--html", str(page)], "exists"),
        (["--replacement", "x"], "number or mean"),
        (["--metrics", "aopk"], "aopk"),
        (["--methods", "gradient"], "leave --tolerance out"),
    ):
        assert main([*arguments, *wrong]) == 2
        assert word in capsys.readouterr().err


def share_of_the_first(attributor, result):
    """How much of the attribution the strongest feature has."""
    flat = np.abs(result.attributions).reshape(len(result), -1)
    return flat.max(1) / flat.sum(1)


def score_again(attributor, result):
    """The score at the inputs, which every method has."""
    found = attributor.attribute(result.inputs, target=result.target, method="gradient").scores
    return M.Metric("score, asked again", found, result.method, "raw", "higher", "by hand")


def test_functions_of_others_are_metrics_under_their_names():
    attributor = ta.Attributor(lambda x: tf.reduce_sum(x**3, 1))
    x = np.random.default_rng(3).normal(size=(4, 5)).astype("float32")
    found = M.compare(attributor, x, ["gradient_times_input"], ["sparseness", share_of_the_first, score_again])
    assert found.metrics == ("sparseness", "share_of_the_first", "score_again")
    cubes = np.abs(x.astype(float)) ** 3
    np.testing.assert_allclose(
        found["gradient_times_input"]["share_of_the_first"].values, cubes.max(1) / cubes.sum(1), rtol=1e-5
    )
    np.testing.assert_allclose(found["random"]["score_again"].values, (x**3).sum(1), rtol=1e-4)
    assert "share of the first: neither direction is better; How much of the attribution the strongest" in repr(found)
    assert "score again: raw; higher is better; by hand" in repr(found)
    assert "share_of_the_first" in json.loads(found.to_json())["metrics"]
    assert M.compare(attributor, x, ["gradient"], share_of_the_first).metrics == ("share_of_the_first",)


def test_others_add_metrics_to_the_table_by_name():
    attributor, x = ta.Attributor(lambda x: tf.reduce_sum(x**3, 1)), np.ones((2, 3), "float32")
    METRICS["first_share"] = share_of_the_first
    try:
        np.testing.assert_allclose(
            M.compare(attributor, x, ["gradient"], ["first_share"])["gradient"]["first_share"].values, 1 / 3
        )
        assert_refused(lambda: M.compare(attributor, x, ["gradient"], ["first"]), "'first_share'")
    finally:
        del METRICS["first_share"]


def test_what_is_no_metric_is_refused():
    attributor, x = ta.Attributor(lambda x: tf.reduce_sum(x**3, 1)), np.ones((2, 3), "float32")

    def compare(*metrics):
        return lambda: M.compare(attributor, x, ["gradient"], metrics)

    assert_refused(compare(lambda attributor, result: result.scores), "write it with def")
    assert_refused(compare(M.aopc), "the library has a metric 'aopc'")
    assert_refused(compare(share_of_the_first, share_of_the_first), "must be different")
    assert_refused(compare(3), "no metric is called 3")
    for wrong, words in (
        (lambda a, r: 0.5, "it gave ()"),
        (lambda a, r: r.attributions, "(2, 3)"),
        (lambda a, r: "high", "'high'"),
    ):
        wrong.__name__ = "mine"
        assert_refused(compare(wrong), "'mine'", "a number for each", words)
    assert_refused(lambda: METRICS.update(aopc=share_of_the_first), "has a metric 'aopc'")
    assert_refused(lambda: METRICS.update(mine=3), "'mine'", "(attributor, result)")
