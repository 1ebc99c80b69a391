"""Importance by permutation: against what it must come to of functions that are known, and against scikit-learn."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ..conftest import assert_refused

RNG = np.random.default_rng(2)
X = RNG.normal(size=(600, 4)).astype("float32")
Y = (2 * X[:, 0] - X[:, 1]).astype("float32")


@pytest.fixture(scope="module")
def line():
    return ta.Attributor(lambda x: 2 * x[:, 0] - x[:, 1] + 0 * x[:, 3])


def test_the_squared_error_of_a_line(line):
    """Shuffling x_i of a right model costs (w_i (x_i - x_i'))², 2 w_i² var(x_i) in the mean."""
    found = ta.feature_permutation(line, (X, Y), repeats=10, seed=0)
    assert found.names == ("column 0", "column 1", "column 2", "column 3")
    assert found.loss_name == "squared_error"
    assert found.loss < 1e-10
    expected = 2 * np.array([4, 1, 0, 0]) * X.var(0)
    assert np.all(np.abs(found.importance - expected) <= 4 * found.standard_error)
    assert np.all(found.importance[2:] == 0)
    assert [name for name, _, _ in found.top(2)] == ["column 0", "column 1"]
    assert "column 0" in repr(found)


def test_columns_of_a_frame_have_their_names_in_print_and_picture(line):
    frame = pd.DataFrame(X, columns=["age", "rooms", "height", "width"])
    found = ta.feature_permutation(line, (frame, Y), repeats=3, seed=0)
    same = ta.feature_permutation(line, (X, Y), repeats=3, seed=0)
    assert found.names == tuple(frame.columns)
    np.testing.assert_array_equal(found.importance, same.importance)
    figure = found.plot(k=3)
    (axes,) = [axes for axes in figure.axes if axes.get_yticklabels()]
    assert [label.get_text() for label in axes.get_yticklabels()] == [name for name, _, _ in found.top(3)]
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], [value for _, value, _ in found.top(3)])
    lines = [
        text for text in figure.findobj(match=lambda artist: hasattr(artist, "get_text")) if "1 more feature" in text.get_text()
    ]
    assert lines
    ends = axes.collections[0].get_segments()
    np.testing.assert_allclose([np.ptp(end[:, 0]) for end in ends], [2 * error for _, _, error in found.top(3)], rtol=1e-6)


def test_standard_errors_are_the_spread_over_data_sets(line):
    rng, runs = np.random.default_rng(1), []
    for seed in range(40):
        x = rng.normal(size=(100, 4)).astype("float32")
        y = 2 * x[:, 0] - x[:, 1] + rng.normal(size=100)
        runs.append(ta.feature_permutation(line, (x, y), repeats=10, seed=seed))
    spread = np.std([run.importance for run in runs], 0, ddof=1)[:2]
    stated = np.mean([run.standard_error for run in runs], 0)[:2]
    assert (stated / spread).min() > 0.8
    assert (stated / spread).max() < 1.5


def test_scikit_learn_gives_the_same(line):
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.inspection import permutation_importance

    class Line(RegressorMixin, BaseEstimator):
        fitted_ = True

        def fit(self, x, y):
            return self

        def predict(self, x):
            return 2 * x[:, 0] - x[:, 1]

    noisy = Y + RNG.normal(size=600)
    theirs = permutation_importance(Line(), X, noisy, scoring="neg_mean_absolute_error", n_repeats=60, random_state=0)
    ours = ta.feature_permutation(line, (X, noisy), "absolute_error", repeats=60, seed=0)
    np.testing.assert_allclose(ours.importance, theirs.importances_mean, atol=0.05)
    metric = ta.feature_permutation(line, (X, noisy), lambda out, true: float(np.abs(out - true).mean()), repeats=60, seed=0)
    np.testing.assert_allclose(metric.importance, ours.importance, atol=1e-6)
    np.testing.assert_allclose(metric.standard_error, theirs.importances_std / np.sqrt(60), atol=2e-3)


def test_classes_text_and_groups():
    word, size = keras.Input((1,), dtype="string", name="word"), keras.Input((2,), name="size")
    lookup = layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")(word)
    head = layers.Dense(1, activation="sigmoid")
    model = keras.Model({"word": word, "size": size}, head(layers.Concatenate()([lookup, size])))
    head.set_weights([np.array([[0.0], [-9.0], [9.0], [0.0], [0.0]]), np.zeros(1)])
    words = RNG.choice(["a", "b"], 400)
    x, y = {"word": words[:, None], "size": X[:400, :2]}, (words == "b").astype(int)
    attributor = ta.Attributor(model)
    wrong = ta.feature_permutation(attributor, (x, y), "error", seed=0)
    assert wrong.names == ("word", "size[0]", "size[1]")
    assert wrong.loss == 0
    chance = 2 * (words == "b").mean() * (words == "a").mean()
    assert abs(wrong.importance[0] - chance) < 4 * wrong.standard_error[0]
    assert not wrong.importance[1:].any()
    costly = ta.feature_permutation(attributor, (x, y), seed=0)
    assert costly.loss_name == "cross_entropy"
    np.testing.assert_allclose(costly.importance[0], 9 * wrong.importance[0], rtol=0.01)
    groups = {"word": np.array([1]), "size": np.array([0, 1])}
    together = ta.feature_permutation(attributor, (x, y), "error", groups=groups, seed=0, names=["size", "word and size"])
    assert together.importance[0] == 0
    assert together.importance[1] > 0.3
    assert together.names == ("size", "word and size")


def test_a_group_is_shuffled_as_one():
    same = ta.Attributor(lambda x: tf.abs(x[:, 0] - x[:, 1]))
    x = np.repeat(X[:, :1], 2, 1)
    assert ta.feature_permutation(same, (x, np.zeros(600)), seed=0).importance.min() > 0.5
    assert ta.feature_permutation(same, (x, np.zeros(600)), groups=np.array([0, 0]), seed=0).importance.max() == 0


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (X, {}, ["data=(inputs, labels)", "ndarray"]),
        ((X, Y[:5]), {}, ["a label for each", "600"]),
        ((X, Y), {"loss": "eror"}, ["'eror'", "'error'"]),
        ((X, Y), {"loss": "cross_entropy"}, ["probabilities", "of='probability'"]),
        ((X, Y), {"loss": lambda out, true: out[:3]}, ["(3,)", "600"]),
        ((X, Y), {"repeats": 0}, ["repeats", "at least 1"]),
        ((X, Y), {"names": ["a"]}, ["1 names for 4"]),
        ((X, Y[:, None].repeat(2, 1)), {"loss": "squared_error"}, ["(600, 2)", "(600,)"]),
        ((X, Y), {"groups": np.arange(2400).reshape(600, 4) % 3}, ["same for all"]),
    ],
)
def test_what_does_not_fit_is_refused(line, data, options, words):
    assert_refused(lambda: ta.feature_permutation(line, data, **options), *words)
