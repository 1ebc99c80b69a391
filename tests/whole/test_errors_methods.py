"""Methods, windows, baselines and seeds that do not fit are refused, with what does."""

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta

from ..conftest import assert_refused
from .test_errors import IMAGES, X, with_value


def test_methods_and_rules_that_do_not_exist(attributor):
    assert_refused(
        lambda: attributor.attribute(X, method="integrated_gradient"), "'integrated_gradient'", "'integrated_gradients'"
    )
    assert_refused(lambda: attributor.attribute(X, method=None), "None", "'gradient'")
    assert_refused(lambda: attributor.attribute(X, method=ta.IntegratedGradients(rule="trapez")), "'trapez'", "'trapezoid'")
    for n in (0, -1, 2.5, True):
        assert_refused(lambda n=n: attributor.attribute(X, method=ta.IntegratedGradients(n_steps=n)), "n_steps", str(n))
    assert_refused(lambda: attributor.attribute(X, method=ta.InteriorGradients(0)), "n_steps", "at least 1")


def test_seeds_that_are_none(attributor):
    assert_refused(lambda: attributor.attribute(X, baselines=ta.uniform(2, 0, 1), seed=-1), "seed", "-1")


def test_expected_gradients_want_data(attributor):
    assert_refused(lambda: attributor.attribute(X, method="expected_gradients"), "references", "baselines=ta.dataset(samples)")
    assert_refused(lambda: attributor.attribute(X, None, ta.dataset(X), ta.ExpectedGradients(0)), "n_samples", "at least 1")


WINDOWS = {
    "too large": ((7, 2), ["(7, 2)", "larger", "(6, 6)"]),
    "of nothing": (0, ["window", "at least 1"]),
    "too many": ((1, 1, 1), ["window", "(1, 1, 1)"]),
    "fractional": (2.5, ["window", "2.5"]),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_windows(name):
    window, expected = WINDOWS[name]
    total = ta.Attributor(lambda x: tf.reduce_sum(x, [1, 2, 3]))
    assert_refused(lambda: total.attribute(IMAGES, method=ta.Occlusion(window)), *expected)


def test_strides():
    total = ta.Attributor(lambda x: tf.reduce_sum(x, [1, 2, 3]))
    assert_refused(lambda: total.attribute(IMAGES, method=ta.Occlusion(2, 0)), "stride", "at least 1")
    # features between the windows would have no attribution
    assert_refused(lambda: total.attribute(IMAGES, method=ta.Occlusion(1, 4)), "stride", "window")


def test_a_window_over_tensors_with_other_axes():
    product = ta.Attributor(lambda x: tf.reduce_sum(x["a"] * x["b"], 1))
    window = ta.Occlusion(window=(1, 1))
    assert_refused(lambda: product.attribute({"a": X, "b": X}, method=window), "2 axes", "'a'", "at=ta.inputs(name)")


# baselines

BASELINES = {
    "another size": (np.ones(5), ["(4,)", "(5,)"]),
    "another size for each": (np.ones((3, 5)), ["(4,)", "(3, 4)", "(3, 5)"]),
    "another number": (np.ones((2, 4)), ["(4,)", "(3, 4)", "(2, 4)"]),
    "text": (np.array(["a"] * 4), ["(4,)", "<U1"]),
    "a number": (0.5, ["(4,)", "ta.constant"]),
    "a name": ("zeros", ["ta.zeros()"]),
    "a function": (ta.zeros, ["ta.zeros()"]),
    "a constant of another size": (ta.constant(np.ones(7)), ["(4,)", "(7,)"]),
    "a dict of another name": ({"nobody": X}, ["a dict", "one selected tensor"]),
    "an empty list": ([], ["empty"]),
    "NaN": (np.full(4, np.nan), ["NaN or infinity"]),
    "infinity": (ta.constant(np.inf), ["NaN or infinity", "constant inf"]),
    "NaN at the input": (ta.at_input(np.full(4, np.nan)), ["NaN or infinity"]),
    "samples of another size": (ta.dataset(np.ones((6, 5))), ["(k, 4)", "(6, 5)"]),
    "samples of other inputs": (ta.dataset({"a": X, "b": X}), ["'a'", "'b'"]),
    "tokens of a float model": (ta.token(1), ["integer inputs", "float32"]),
}


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_that_do_not_fit(attributor, name):
    baselines, expected = BASELINES[name]
    assert_refused(lambda: attributor.attribute(X, baselines=baselines), *expected)


def test_baselines_of_a_wrong_kind():
    assert_refused(lambda: ta.dataset(X, n=4), "from 1 to 3", "4")
    assert_refused(lambda: ta.uniform(0, 0, 1), "n must be", "0")
    assert_refused(lambda: ta.gaussian(1.5, 1), "n must be", "1.5")
    assert_refused(lambda: ta.black((1, 0)), "low < high", "(1, 0)")


def test_no_samples_at_all(attributor):
    assert_refused(lambda: attributor.attribute(X, baselines=ta.dataset(X[:0])), "sample")
    assert_refused(lambda: attributor.attribute(X, baselines=ta.several(X[:0])), "baselines")


def test_a_black_sentence_is_assert_refused(words):
    """A level of brightness has no meaning for token ids; the input itself is no baseline."""
    assert_refused(lambda: ta.Attributor(words).attribute(np.ones((1, 6)), baselines=ta.black((0, 1))), "black", "int32")


def test_baselines_of_several_tensors():
    product = ta.Attributor(lambda x: tf.reduce_sum(x["a"] * x["b"], 1))
    inputs = {"a": X, "b": X}
    assert_refused(lambda: product.attribute(inputs, baselines=X[0]), "2 selected tensors", "'a'", "'b'")
    assert_refused(lambda: product.attribute(inputs, baselines={"c": X[0]}), "'c'", "'a'", "'b'")
    assert_refused(lambda: product.attribute(inputs, baselines=[X[0]]), "[0]", "'a'", "ta.several")
    two, three = ta.several(X[:2]), ta.several(X)
    assert_refused(lambda: product.attribute(inputs, baselines={"a": two, "b": three}), "2 and 3 baselines", "same number")


def test_baselines_that_a_method_has_no_use_for(attributor):
    for method in ("gradient", "gradient_times_input"):
        assert_refused(lambda method=method: attributor.attribute(X, None, X, method), "no baseline", "integrated_gradients")
    assert_refused(
        lambda: attributor.attribute(X, baselines=[X[0], X[1]], method="interior_gradients"), "one path", "2 baselines"
    )


def test_a_value_and_baselines_are_not_given_together(attributor):
    assert_refused(lambda: attributor.attribute(X, baselines=X[0], method=ta.Occlusion(value=9.0)), "value", "baselines")


# afterwards


def test_a_refused_call_spoils_nothing(table):
    attributor = ta.Attributor(table)
    before = attributor.attribute(X, target=1).attributions
    bad = ({"inputs": X[:, :2]}, {"inputs": with_value(np.nan)}, {"target": 9}, {"baselines": np.ones(5)}, {"method": "none"})
    for options in bad:
        assert_refused(lambda options=options: attributor.attribute(**{"inputs": X, **options}))
    np.testing.assert_array_equal(attributor.attribute(X, target=1).attributions, before)
