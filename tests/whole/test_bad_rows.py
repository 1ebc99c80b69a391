"""Examples with NaN or infinity in their inputs or baselines are named, or marked while the others are done as if alone."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_attrib as ta

from ..conftest import assert_refused
from ..helpers.shared import attributor_for

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (5, 6, 6, 2)).astype("float32")
BAD = np.array([1, 3])
GOOD = np.array([0, 2, 4])


def net():
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(3, 3, activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )


@pytest.fixture(scope="module")
def model():
    return net()


def spoiled():
    x = X.copy()
    x[1, 2, 2, 0], x[3, 0, 0, 1] = np.nan, np.inf
    return x


METHODS = {
    "gradient": {},
    "gradient_times_input": {},
    "interior_gradients": {},
    "integrated_gradients": {},
    "smoothgrad": {},
    "blur_ig": {},
    "guided_ig": {},
    "xrai": {},
    "expected_gradients": {"baselines": ta.dataset(X)},
    "occlusion": {},
    "ablation": {},
    "deeplift": {},
    "deepshap": {"baselines": ta.dataset(X)},
    "guided_backprop": {},
    "deconvolution": {},
    "conductance": {},
    "internal_influence": {},
    "grad_cam": {},
    "grad_cam_plus_plus": {},
    "layer_cam": {},
    "score_cam": {},
    "guided_grad_cam": {},
    "rise": {},
}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_marks_them_and_does_the_others_to_the_last_bit(method, model):
    at = "conv" if method in ("conductance", "internal_influence") else None
    attributor, options = attributor_for(model, at=at), METHODS[method] | {"method": method, "seed": 0, "verbose": False}
    result = attributor.attribute(spoiled(), on_error="mark", **options)
    alone = attributor.attribute(X[GOOD], **options)
    assert len(result) == 5
    assert (result.status[BAD] == "not_finite").all()
    assert not (result.status[GOOD] == "not_finite").any()
    assert np.isnan(result.attributions[BAD]).all()
    np.testing.assert_array_equal(result.attributions[GOOD], alone.attributions)
    np.testing.assert_array_equal(result.inputs, spoiled())
    for name in ("scores", "gap", "error_estimate", "evaluations", "target", "regions", "region_values"):
        values, expected = getattr(result, name), getattr(alone, name)
        assert (values is None) == (expected is None)
        if values is not None:
            np.testing.assert_array_equal(values[GOOD], expected)
    assert np.isnan(result.scores[BAD]).all()
    assert (result.target[BAD] == -1).all()
    assert "NOT FINITE" in repr(result).upper().replace("_", " ")
    assert_refused(lambda: attributor.attribute(spoiled(), **options), "example(s) 1, 3", "on_error='mark'")


def test_targets_and_baselines_of_each_example_go_with_it(model):
    attributor, below, target = attributor_for(model), RNG.uniform(-1, 1, X.shape).astype("float32"), np.array([0, 1, 2, 1, 0])
    result = attributor.attribute(spoiled(), target=target, baselines=below, on_error="mark", verbose=False)
    alone = attributor.attribute(X[GOOD], target=target[GOOD], baselines=below[GOOD], verbose=False)
    np.testing.assert_array_equal(result.attributions[GOOD], alone.attributions)
    np.testing.assert_array_equal(result.target, target)


def test_baselines_that_are_not_finite_mark_their_example(model):
    attributor, below = attributor_for(model), np.zeros_like(X)
    below[2, 0, 0, 0] = np.nan
    result = attributor.attribute(spoiled(), target=0, baselines=[below, ta.constant(1)], on_error="mark", verbose=False)
    assert result.status.tolist() == ["converged", *["not_finite"] * 3, "converged"]
    alone = attributor.attribute(X[[0, 4]], target=0, baselines=[below[[0, 4]], ta.constant(1)], verbose=False)
    np.testing.assert_array_equal(result.attributions[[0, 4]], alone.attributions)
    assert result.baseline_scores.shape == (5, 2)
    assert_refused(lambda: attributor.attribute(X, target=0, baselines=below), "baseline", "example(s) 2", "on_error='mark'")
    assert_refused(lambda: attributor.attribute(X, target=0, baselines=ta.constant(np.nan), on_error="mark"), "baseline", "NaN")


def test_when_all_are_bad_all_are_marked(model):
    result = ta.Attributor(model).attribute(np.full_like(X, np.nan), on_error="mark", verbose=False)
    assert result.attributions.shape == X.shape
    assert np.isnan(result.attributions).all()
    assert result.status.tolist() == ["not_finite"] * 5
    repr(result)


def test_several_inputs_and_token_ids(pair, words):
    left, right = RNG.normal(size=(3, 4)).astype("float32"), RNG.normal(size=(3, 2)).astype("float32")
    spoiled_left, spoiled_right = left.copy(), right.copy()
    spoiled_left[0, 0], spoiled_right[2, 1] = np.nan, -np.inf
    attributor = ta.Attributor(pair, of="kind")
    result = attributor.attribute([spoiled_left, spoiled_right], on_error="mark", verbose=False)
    alone = attributor.attribute([left[1:2], right[1:2]], verbose=False)
    assert (result.status == "not_finite").tolist() == [True, False, True]
    for found, expected in zip(result.attributions, alone.attributions, strict=True):
        np.testing.assert_array_equal(found[1:2], expected)
        assert np.isnan(found[[0, 2]]).all()
    ids = RNG.integers(1, 20, (3, 6)).astype("float64")
    ids[1, 4] = np.nan
    result = ta.Attributor(words).attribute(ids, on_error="mark", verbose=False)
    assert (result.status == "not_finite").tolist() == [False, True, False]
    assert np.isnan(result.attributions[1]).all()


def test_at_embeddings_beside_a_table_and_at_each_position():
    ids, table = keras.Input((4,), dtype="int32", name="ids"), keras.Input((3,), name="table")
    hidden = layers.Concatenate()([layers.Embedding(9, 2)(ids), layers.RepeatVector(4)(table)])
    attributor = ta.Attributor(keras.Model([ids, table], layers.Dense(5, activation="softmax")(hidden)), at="embeddings")
    tokens, numbers = RNG.integers(1, 9, (3, 4)).astype("int32"), RNG.normal(size=(3, 3)).astype("float32")
    numbers[1] = np.nan
    inputs = {"ids": tokens, "table": numbers}
    classes = RNG.integers(0, 5, (3, 4))
    for target, rest in (
        (ta.each_position(), ta.each_position()),
        (ta.each_position(classes, [0, 3]), ta.each_position(classes[[0, 2]], [0, 3])),
    ):
        result = attributor.attribute(inputs, target=target, on_error="mark", verbose=False)
        alone = attributor.attribute({key: value[[0, 2]] for key, value in inputs.items()}, target=rest, verbose=False)
        bad = result.example == 1
        assert (result.status == "not_finite").tolist() == bad.tolist()
        assert len(result) * 2 == len(alone) * 3
        np.testing.assert_array_equal(result.position[bad], alone.position[alone.example == 1])
        np.testing.assert_array_equal(result.attributions[~bad], alone.attributions)


def test_marked_results_are_kept_and_drawn(model, tmp_path):
    result = ta.Attributor(model).attribute(spoiled(), on_error="mark", verbose=False)
    loaded = ta.load(result.save(tmp_path / "result.npz"))
    np.testing.assert_array_equal(loaded.status, result.status)
    assert np.isnan(result[1].sum(-1).attributions).all()
    result.sum(-1).plot()
