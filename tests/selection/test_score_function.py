"""A score with rows of its own: row i goes with example i, wherever rows of any examples are put together."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ..conftest import assert_refused

RNG = np.random.default_rng(5)
X = RNG.normal(size=(5, 6)).astype("float32")
W = RNG.normal(size=(5, 4))
W32 = W.astype("float32")


def weighed(outputs, weights):
    return tf.reduce_sum(outputs * weights, 1)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="tanh", name="hidden"), layers.Dense(4, name="out")])


@pytest.fixture(scope="module")
def attributor(model):
    return ta.Attributor(model, of=ta.score(weighed, data=W), batch_size=3)


@pytest.fixture(scope="module")
def alone(model):
    """The attributions of one example, its row in a variable that the score reads, and the score without rows of its own."""
    row = tf.Variable(W32[0])
    one = ta.Attributor(model, of=ta.score(lambda outputs: tf.reduce_sum(outputs * row, 1)))

    def attribute(i, **options):
        row.assign(W32[i])
        return one.attribute(X[i : i + 1], seed=1, verbose=False, **options)

    return attribute


METHODS = [
    "gradient",
    "integrated_gradients",
    "deeplift",
    "guided_backprop",
    "occlusion",
    "ablation",
    ta.SmoothGrad(n_samples=4),
    ta.IntegratedGradients(n_steps=7),
    ta.SmoothGrad("integrated_gradients", n_samples=3),
]


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_each_example_as_alone(attributor, model, alone, method):
    result = attributor.attribute(X, method=method, seed=1, verbose=False)
    each = [alone(i, method=method) for i in (0, 3, 4)]
    np.testing.assert_allclose(result.scores, np.sum(model(X) * W, 1), rtol=1e-5)
    np.testing.assert_allclose(result.attributions[[0, 3, 4]], np.concatenate([one.attributions for one in each]), atol=2e-6)


BASELINES = {"data": ta.dataset(RNG.normal(size=(3, 6)).astype("float32")), "zeros": ta.zeros(), "each": -X}


@pytest.mark.parametrize("baselines", BASELINES.values(), ids=BASELINES)
def test_rows_follow_the_examples_to_their_baselines(attributor, alone, baselines):
    result = attributor.attribute(X, baselines=baselines, seed=1, verbose=False)
    for i in (1, 4):
        own = baselines[i] if isinstance(baselines, np.ndarray) else baselines
        np.testing.assert_allclose(result.baseline_scores[i], alone(i, baselines=own).baseline_scores[0], rtol=1e-4)
    assert np.abs(result.relative_gap).max() < 0.01


def test_a_list_or_dict_of_rows(model):
    found = ta.Attributor(
        model,
        of=ta.score(
            lambda outputs, rows: tf.gather(outputs, rows["class"], batch_dims=1) * rows["scale"],
            data={"class": np.array([3, 0, 1, 2, 2]), "scale": np.array([2.0, 1, 1, -1, 1])},
        ),
    )
    found = found.attribute(X, method="gradient", verbose=False)
    expected = ta.Attributor(model).attribute(X, [3, 0, 1, 2, 2], method="gradient", verbose=False).attributions
    np.testing.assert_allclose(found.attributions, expected * np.array([2.0, 1, 1, -1, 1])[:, None], atol=1e-6)


def test_other_rows_of_the_same_score_compile_nothing_anew(attributor):
    some = attributor.explaining(ta.score(weighed, data=W[[4, 1]]))
    sessions = dict(attributor._sessions)
    np.testing.assert_allclose(
        some.attribute(X[[4, 1]], verbose=False).attributions,
        attributor.attribute(X, verbose=False).attributions[[4, 1]],
        atol=1e-6,
    )
    assert some._sessions == sessions
    assert attributor.of.data is not some.of.data


def test_metrics_and_the_doctor_know_the_rows(attributor):
    curve = ta.metrics.aopc(attributor, X)
    again = ta.metrics.aopc(attributor.of_examples(np.array([2, 0])), X[[2, 0]])
    np.testing.assert_allclose(again.values, curve.values[[2, 0]], atol=1e-5)
    found = ta.metrics.compare(attributor, X, ["gradient", "occlusion"], ["infidelity"])
    assert "infidelity" in str(found)
    assert not [one for one in ta.diagnose(attributor, X).findings if one.severity == "error"]
    assert ta.coverage(attributor).uncovered == ()
    other = ta.Attributor(attributor.model, at="hidden", of=attributor.of).attribute(X, method="conductance", verbose=False)
    assert np.abs(other.gap).max() < 1e-4 * np.abs(other.scores).max()


CLOSURES = {
    "a row for each of the batch": lambda outputs: tf.reduce_sum(outputs * W32[:3], 1),
    "rows by their number": lambda outputs: tf.reduce_sum(outputs * tf.gather(W32, tf.range(tf.shape(outputs)[0])), 1),
    "less the mean of the batch": lambda outputs: outputs[:, 0] - tf.reduce_mean(outputs[:, 0]),
    "the order of the batch": lambda outputs: outputs[:, 0] * tf.cast(tf.range(tf.shape(outputs)[0]), tf.float32),
}


@pytest.mark.parametrize("name", CLOSURES)
@pytest.mark.parametrize("options", [{}, {"batch_size": 3}], ids=["", "blocks of as many"])
def test_a_score_that_looks_at_its_company_is_refused(model, name, options):
    one = ta.Attributor(model, of=ta.score(CLOSURES[name]), **options)
    assert_refused(lambda: one.attribute(X[:3]), "depends on how many", "data=rows")


def test_constants_of_one_row_are_no_rows(model):
    row = W[:1].astype("float32")
    found = ta.Attributor(model, of=ta.score(lambda outputs: tf.reduce_sum(outputs * row, 1))).attribute(X, verbose=False)
    np.testing.assert_allclose(found.scores, np.sum(model(X) * row, 1), rtol=1e-5)


def test_a_score_of_a_model_that_takes_four_at_a_time():
    fixed = keras.Input(batch_shape=(4, 6))
    model = keras.Model(fixed, layers.Dense(4)(fixed))
    rows = RNG.normal(size=(4, 4)).astype("float32")
    assert_refused(
        lambda: ta.Attributor(model, of=ta.score(lambda outputs: tf.reduce_sum(outputs * rows, 1))).attribute(X[:4]),
        "depends on how many",
        "data=rows",
    )
    found = ta.Attributor(model, of=ta.score(weighed, data=W)).attribute(X, verbose=False)
    full = np.concatenate([model(X[:4]), model(X[1:])[3:]])
    np.testing.assert_allclose(found.scores, np.sum(full * W, 1), rtol=1e-4)
    np.testing.assert_allclose(found.gap, 0, atol=1e-4)


def test_a_function_with_rows_in_it_is_refused_and_takes_them_as_an_input():
    rows = X[:2]
    one = ta.Attributor(lambda x: tf.reduce_sum(x * rows, 1), batch_size=2)
    assert_refused(lambda: one.attribute(X[:2]), "not on another number of them", "ta.inputs('x')")
    both = ta.Attributor(lambda inputs: tf.reduce_sum(inputs["x"] * inputs["rows"], 1), at=ta.inputs("x"), batch_size=2)
    np.testing.assert_allclose(both.attribute({"x": X[:2], "rows": rows}, verbose=False).attributions, X[:2] * rows, rtol=1e-5)
