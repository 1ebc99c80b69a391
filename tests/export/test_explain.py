"""The signature `explain` against `attribute`: every method that a graph can evaluate, inputs of several kinds, what a call
gives."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tests.conftest import assert_refused, spread
from tests.helpers.exported import explain, relative

BANDS = np.arange(64).reshape(8, 8) // 22  # three groups
# Some of each way to evaluate rows; those that are marked slow take the same way as one beside them.
METHODS = [
    "gradient",
    pytest.param("gradient_times_input", marks=pytest.mark.slow),
    pytest.param(ta.InteriorGradients(4), marks=pytest.mark.slow),
    ta.IntegratedGradients(n_steps=9),
    pytest.param(ta.IntegratedGradients(rule="trapezoid", n_steps=4), marks=pytest.mark.slow),
    "deeplift",
    pytest.param(ta.DeepLift("reveal_cancel"), marks=pytest.mark.slow),
    pytest.param("guided_backprop", marks=pytest.mark.slow),  # a factor of guided_grad_cam
    pytest.param("deconvolution", marks=pytest.mark.slow),
    pytest.param("grad_cam", marks=pytest.mark.slow),  # the other factor
    pytest.param("grad_cam_plus_plus", marks=pytest.mark.slow),
    pytest.param("layer_cam", marks=pytest.mark.slow),
    "guided_grad_cam",
    pytest.param(ta.InternalInfluence(rule="midpoint", n_steps=4), marks=pytest.mark.slow),  # a path of fixed nodes
    ta.Occlusion(window=3, stride=2),
    pytest.param(ta.Ablation(BANDS), marks=pytest.mark.slow),
    ta.ShapleySampling(groups=BANDS),
]


@pytest.fixture(scope="module")
def attributor():
    """Of a net with the parts that methods have rules for, and no others: each method is traced anew."""
    keras.utils.set_random_seed(1)
    net = [layers.Conv2D(6, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(4, "softmax")]
    return ta.Attributor(keras.Sequential([keras.Input((8, 8, 1)), *net]))


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(5, 8, 8, 1)).astype("float32")


@pytest.fixture(scope="module")
def explained(attributor, x):
    """The signatures of methods, each of which is traced once."""
    found = {}

    def explained(method, batch_size=7):
        key = str(method), batch_size
        if key not in found:
            found[key] = explain(attributor, x, method, batch_size=batch_size)
        return found[key]

    return explained


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_the_numbers_are_those_of_attribute(attributor, explained, x, method):
    found, wanted = explained(method)(x), attributor.attribute(x, method=method, seed=0)
    assert found["attributions"].shape == wanted.attributions.shape
    assert relative(found["attributions"], wanted.attributions) < 1e-5
    np.testing.assert_allclose(found["scores"], wanted.scores, rtol=1e-5)
    np.testing.assert_array_equal(found["target"], wanted.target)
    if wanted.gap is not None:
        np.testing.assert_allclose(found["baseline_scores"], wanted.baseline_scores, rtol=1e-5)
        np.testing.assert_allclose(found["gap"], wanted.gap, atol=2e-6)
    status = ["" if wanted.status is None else one for one in (wanted.status if wanted.status is not None else [""] * 5)]
    assert [one.decode() for one in found["status"]] == status


def test_integrated_gradients_are_within_their_tolerance(attributor, explained, x):
    call, exact = explained(ta.IntegratedGradients(0.01), None), ta.IntegratedGradients(n_steps=1000)
    found, wanted = call(x), attributor.attribute(x, method=exact)
    own = np.abs(found["attributions"] - wanted.attributions).sum((1, 2, 3)) / np.abs(wanted.attributions).sum((1, 2, 3))
    assert set(found["status"]) == {b"converged"}
    assert (own <= 0.01).all()
    assert (own <= found["error_estimate"] + 1e-5).all()
    assert found["evaluations"].min() >= 17
    again = call(x[2:3])  # what an example gets does not depend on its company
    np.testing.assert_allclose(again["attributions"][0], found["attributions"][2], atol=1e-6)
    assert again["evaluations"][0] == found["evaluations"][2]


def test_fewer_gradients_than_the_rule_begins_with_are_refused(attributor, x):
    assert_refused(
        lambda: explain(attributor, x, ta.IntegratedGradients(0.01, 16)), "max_evaluations=16", "17 nodes", "n_steps=8"
    )


@pytest.mark.slow  # that a rule ends where it may have no more is in the tests of refining
def test_too_few_gradients_are_said_to_be(attributor, x):
    found = explain(attributor, x, ta.IntegratedGradients(1e-4, 17))(x)
    assert set(found["status"]) == {b"max_evaluations"}
    assert set(found["evaluations"]) == {17}
    assert (found["error_estimate"] > 1e-4).all()


def test_deepshap_over_references_that_are_written_into_the_graph(attributor, x):
    references = ta.dataset(np.random.default_rng(1).normal(size=(6, 8, 8, 1)).astype("float32"))
    found = explain(attributor, x, "deepshap", baselines=references)(x)
    wanted = attributor.attribute(x, baselines=references, method="deepshap")
    assert relative(found["attributions"], wanted.attributions) < 1e-5
    np.testing.assert_allclose(found["baseline_scores"], wanted.baseline_scores.mean(1), rtol=1e-5)


@pytest.mark.parametrize(
    ("made", "fold"),
    [
        # of which the variance is made
        pytest.param(ta.SmoothGrad, "mean", marks=pytest.mark.slow),
        pytest.param(ta.SmoothGradSquared, "square", marks=pytest.mark.slow),
        (ta.VarGrad, "variance"),
    ],
)
def test_noise_against_a_loop_over_copies(attributor, x, made, fold):
    found = explain(attributor, x, made("gradient_times_input", n_samples=6, stddev=0.1), seed=3)(x)
    noise = tf.random.stateless_normal([6, 8, 8, 1], [3, 0]).numpy()
    spread_of = 0.1 * (x.max((1, 2, 3)) - x.min((1, 2, 3)))
    target = attributor.attribute(x, method="gradient").target
    copies = np.stack(
        [
            attributor.attribute(x + spread_of[:, None, None, None] * one, target, method="gradient_times_input").attributions
            for one in noise
        ]
    )
    wanted = {"mean": copies.mean(0), "square": (copies**2).mean(0), "variance": copies.var(0)}[fold]
    assert relative(found["attributions"], wanted) < 1e-5


def test_orders_that_are_drawn_come_to_the_exact_values(attributor, x):
    few, many = np.arange(64).reshape(8, 8) // 11, {"exact_up_to": 0, "tolerance": 0.05, "max_evaluations": 20_000}
    call = explain(attributor, x, ta.ShapleySampling(groups=few, **many))
    found, wanted = call(x), attributor.attribute(x, method=ta.ShapleySampling(groups=few))
    own = np.abs(found["attributions"] - wanted.attributions).sum((1, 2, 3)) / np.abs(wanted.attributions).sum((1, 2, 3))
    assert set(found["status"]) == {b"converged"}
    assert own.mean() <= 0.05  # an estimate from draws is one of their mean error
    assert (own <= 2 * found["error_estimate"]).all()
    np.testing.assert_allclose(found["gap"], 0, atol=1e-5)
    assert (found["evaluations"] % 10 == 0).all()  # an order of six players and its reverse evaluate ten coalitions


# Several orders, of which an estimate is known, are in the test above.
@pytest.mark.parametrize("orders", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_a_number_of_orders_is_the_one_that_was_asked_for(attributor, x, orders):
    method = ta.ShapleySampling(
        groups=np.arange(64).reshape(8, 8) // 11, exact_up_to=0, n_permutations=orders, antithetic=False
    )
    found = explain(attributor, x, method)(x)
    assert set(found["evaluations"]) == {5 * orders}
    assert np.isinf(found["error_estimate"]).all() == (orders == 1)
    assert (found["error_estimate"] > 0.05).all()
    assert set(found["status"]) == {b"max_evaluations"}


def test_a_target_and_a_baseline_come_with_the_call(attributor, explained, x):
    method = ta.IntegratedGradients(n_steps=9)
    call = explained(method)
    own = np.random.default_rng(2).normal(size=x.shape).astype("float32")
    found = call(x, target=[0, 1, 2, 3, -1], baseline=own)
    target = [0, 1, 2, 3, attributor.attribute(x, method="gradient").target[4]]
    assert relative(found["attributions"], attributor.attribute(x, target, own, method).attributions) < 1e-5
    one = call(x, target=[2], baseline=own[:1])
    assert relative(one["attributions"], attributor.attribute(x, 2, own[0], method).attributions) < 1e-5


@pytest.mark.parametrize(
    ("given", "words"),
    [({"target": [4]}, "from 0 to 3"), ({"target": [1, 2]}, "one for each example"), ({"target": [-2]}, "or -1")],
)
def test_what_does_not_fit_fails_when_it_runs(explained, x, given, words):
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        explained("gradient")(x, **given)


def test_an_example_that_is_not_finite_spoils_no_other(explained, x):
    bad = x.copy()
    bad[1, 0, 0, 0] = np.nan
    for call in (explained(ta.IntegratedGradients(0.01), None), explained("deeplift"), explained(METHODS[-1])):
        found, good = call(bad), call(x)
        assert [one.decode() == "not_finite" for one in found["status"]] == [False, True, False, False, False]
        assert np.isnan(found["attributions"][1]).all()
        np.testing.assert_allclose(found["attributions"][[0, 2, 3, 4]], good["attributions"][[0, 2, 3, 4]], atol=1e-6)


@pytest.mark.parametrize(
    ("method", "given"),
    [("grad_cam", "inputs"), (ta.Occlusion(window=3, stride=2), "baseline"), (ta.Ablation(BANDS), "baseline")],
    ids=str,
)
def test_what_a_rectifier_makes_a_number_of_is_not_finite_all_the_same(explained, x, method, given):
    """Behind a rectifier, at the layer that is attributed to or in the score, nothing shows it."""
    bad = np.where(np.arange(5).reshape(5, 1, 1, 1) == 1, np.float32(np.nan), x if given == "inputs" else np.zeros_like(x))
    call = explained(method)
    found = call(bad) if given == "inputs" else call(x, baseline=bad)
    assert [one.decode() for one in found["status"]] == ["", "not_finite", "", "", ""]
    assert np.isnan(found["attributions"][1]).all()
    np.testing.assert_allclose(found["attributions"][[0, 2, 3, 4]], call(x)["attributions"][[0, 2, 3, 4]], atol=1e-6)


def test_several_references_are_judged_by_their_mean_and_a_path_that_is_not_finite_spoils_no_other():
    """Where no rectifier makes numbers of NaN again, the panels of that path are NaN, too."""
    keras.utils.set_random_seed(6)
    attributor = ta.Attributor(keras.Sequential([keras.Input((3,)), layers.Dense(4, "tanh"), layers.Dense(1)]))
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    bad = x.copy()
    bad[1, 0] = np.nan
    references = ta.several([ta.zeros(), ta.constant(1.0), ta.constant(-0.5)])
    call = explain(attributor, x, "integrated_gradients", baselines=references)
    found, good = call(bad), call(x)
    wanted = attributor.attribute(x, baselines=references, method=ta.IntegratedGradients(n_steps=200))
    assert set(good["status"]) == {b"converged"}
    assert relative(good["attributions"], wanted.attributions) < 0.05
    assert [one.decode() for one in found["status"]] == ["converged", "not_finite", "converged", "converged"]
    np.testing.assert_allclose(found["attributions"][[0, 2, 3]], good["attributions"][[0, 2, 3]], atol=1e-6)


def test_words_of_any_number():
    """At the embeddings, behind a vocabulary that is part of the graph; the baseline of zeros is as long as each call."""
    keras.utils.set_random_seed(2)
    text = keras.Input((), dtype="string", name="text")
    ids = layers.TextVectorization(vocabulary=["good", "bad", "film", "a"], name="words")(text)
    state = layers.GlobalAveragePooling1D()(layers.Embedding(6, 3, embeddings_initializer=spread())(ids))
    attributor = ta.Attributor(keras.Model(text, layers.Dense(1, activation="sigmoid", kernel_initializer=spread())(state)))
    call = explain(attributor, np.array(["a good film", "bad"]), ta.IntegratedGradients(n_steps=20))
    for given in (["a bad film", "good"], ["a good good bad film a film"]):
        wanted = attributor.attribute(np.array(given), method=ta.IntegratedGradients(n_steps=20))
        assert relative(call(np.array(given))["attributions"], wanted.attributions) < 1e-5


def test_several_inputs_have_outputs_by_name_and_without_classes_a_target_is_needed():
    keras.utils.set_random_seed(3)
    left, right = keras.Input((4,), name="left"), keras.Input((2,), name="right")
    hidden = layers.Dense(4, activation="tanh")(layers.Concatenate()([left, right]))
    model = keras.Model([left, right], layers.Dense(3)(hidden))
    given = {"left": np.ones((3, 4), "float32"), "right": np.linspace(0, 1, 6, dtype="float32").reshape(3, 2)}
    attributor, method = ta.Attributor(model), ta.IntegratedGradients(n_steps=6)
    call = explain(attributor, given, method)
    found = call(given, target=[0, 2, 1], baseline_right=np.full((1, 2), 0.5, "float32"))
    wanted = attributor.attribute(given, [0, 2, 1], {"right": np.full(2, 0.5)}, method).attributions
    for name in given:
        np.testing.assert_allclose(found[f"attributions_{name}"], wanted[name], atol=1e-6)
        assert np.abs(wanted[name]).max() > 0.01
    with pytest.raises(tf.errors.InvalidArgumentError, match="from 0 to 2; got"):
        call(given, target=[-1])


def test_a_model_of_a_fixed_batch_and_an_output_with_positions():
    keras.utils.set_random_seed(4)
    given = keras.Input((6, 3), batch_size=4)
    attributor = ta.Attributor(
        keras.Model(given, layers.Dense(5, activation="softmax")(layers.Conv1D(4, 3, activation="tanh", padding="same")(given)))
    )
    x = np.random.default_rng(0).normal(size=(6, 6, 3)).astype("float32")
    target = np.array([[2, 1], [5, 0], [0, 4], [3, 3], [1, 2], [4, 1]], np.int32)
    found = explain(attributor, x, ta.IntegratedGradients(n_steps=7))(x, target=target)
    wanted = attributor.attribute(x, target, method=ta.IntegratedGradients(n_steps=7))
    assert relative(found["attributions"], wanted.attributions) < 1e-5
    np.testing.assert_array_equal(found["target"], target)
