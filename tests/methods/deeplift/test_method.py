"""DeepLIFT, DeepSHAP and guided backpropagation as a user meets them: references, signs, status, coverage, no side effects."""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tf_attrib import cli
from tf_attrib.methods.deeplift.rules.table import RULES

from ...conftest import assert_refused, make_cnn, make_mlp

RNG = np.random.default_rng(8)
FEATURES = RNG.normal(size=(5, 5)).astype("float32")
SAMPLES = RNG.normal(size=(7, 5)).astype("float32")


@pytest.fixture(scope="module")
def mlp():
    keras.utils.set_random_seed(7)
    return make_mlp()


@pytest.fixture(scope="module")
def lifted(mlp):
    return ta.Attributor(mlp)


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(7)
    return ta.Attributor(make_cnn(), of="logits")


IMAGES = RNG.uniform(size=(5, 8, 8, 1)).astype("float32")


def test_one_reference_for_each_and_one_for_all(lifted):
    each = lifted.attribute(FEATURES, 1, SAMPLES[:5], "deeplift")
    alone = [lifted.attribute(FEATURES[i : i + 1], 1, SAMPLES[i], "deeplift").attributions for i in range(5)]
    np.testing.assert_allclose(each.attributions, np.concatenate(alone), atol=1e-6)
    assert not np.allclose(each.attributions, lifted.attribute(FEATURES, 1, SAMPLES[0], "deeplift").attributions)


def test_several_references_are_averaged(lifted):
    shap = lifted.attribute(FEATURES, 1, ta.dataset(SAMPLES), "deepshap")
    each = [lifted.attribute(FEATURES, 1, sample, "deeplift") for sample in SAMPLES]
    np.testing.assert_allclose(shap.attributions, np.mean([one.attributions for one in each], 0), atol=1e-6)
    np.testing.assert_allclose(shap.positive, np.mean([one.positive for one in each], 0), atol=1e-6)
    assert shap.baseline_scores.shape == (5, 7)
    assert np.abs(shap.gap).max() < 1e-5 * shap.magnitudes.max()
    assert np.abs(shap.negative).max() > 0.01


def test_references_are_drawn_by_the_seed_and_the_gap_is_against_those(lifted):
    draws = [lifted.attribute(FEATURES, 1, ta.dataset(SAMPLES), ta.DeepShap(n_references=3), seed=seed) for seed in (0, 0, 4)]
    assert np.array_equal(draws[0].attributions, draws[1].attributions)
    assert not np.allclose(draws[0].attributions, draws[2].attributions)
    assert draws[0].baseline_scores.shape == (5, 3)
    assert np.abs(draws[0].gap).max() < 1e-5 * draws[0].magnitudes.max()
    assert draws[0].evaluations.tolist() == [3] * 5
    every = lifted.attribute(FEATURES, 1, ta.dataset(SAMPLES), ta.DeepShap(n_references=7), seed=0)
    np.testing.assert_allclose(
        every.attributions, lifted.attribute(FEATURES, 1, ta.dataset(SAMPLES), "deepshap").attributions, atol=1e-6
    )


def test_what_is_refused(lifted):
    assert_refused(lambda: ta.DeepLift("linear"), "'rescale' or 'reveal_cancel'", "'linear'")
    assert_refused(lambda: ta.DeepLift(normalise_classes=1), "normalise_classes", "1")
    assert_refused(lambda: ta.DeepShap(n_references=0), "n_references", "at least 1")
    assert_refused(lambda: lifted.attribute(FEATURES, 1, method="deepshap"), "ta.dataset(samples)")
    assert_refused(lambda: lifted.attribute(FEATURES, 1, ta.dataset(SAMPLES), ta.DeepShap(n_references=8)), "8 of 7")
    assert_refused(lambda: lifted.attribute(FEATURES, 1, SAMPLES[0], "guided_backprop"), "takes no baselines")
    assert_refused(lambda: lifted.attribute(FEATURES, 1, method=ta.DeepLift(normalise_classes=True)), "no classes")


def test_positive_and_negative_parts(lifted, tmp_path):
    result = lifted.attribute(FEATURES, 1, SAMPLES[:5], "deeplift")
    above = SAMPLES[:5] < FEATURES
    assert np.array_equal(result.positive, np.where(above, result.attributions, 0))
    assert np.array_equal(result.negative, np.where(above, 0, result.attributions))
    loaded = ta.load(result.save(tmp_path / "result"))
    assert np.array_equal(loaded.positive, result.positive)
    assert np.array_equal(result[1:3].positive, result.positive[1:3])
    assert np.array_equal(result[2].negative, result.negative[2:3])
    assert result.abs().positive is None
    assert lifted.attribute(FEATURES, 1, method="gradient").negative is None


def test_parts_are_summed_along(classifier):
    result = classifier.attribute(IMAGES, method="deeplift", baselines=ta.constant(0.5))
    summed = result.sum((1, 2))
    np.testing.assert_allclose(summed.positive, result.positive.sum((1, 2)), rtol=1e-6)
    np.testing.assert_allclose(summed.positive + summed.negative, summed.attributions, rtol=1e-6)
    assert np.abs(summed.positive).max() > 0


def test_normalised_classes_are_the_logit_less_the_mean_over_classes(classifier):
    plain = np.stack([classifier.attribute(IMAGES, target, method="deeplift").attributions for target in range(4)])
    result = classifier.attribute(IMAGES, 2, method=ta.DeepLift(normalise_classes=True))
    np.testing.assert_allclose(result.attributions, plain[2] - plain.mean(0), atol=1e-5)
    assert "less its mean over classes" in result.of
    assert np.abs(result.gap).max() < 1e-5 * result.magnitudes.max()
    again = classifier.attribute(IMAGES, 2, method="deeplift")
    assert np.array_equal(again.attributions, plain[2])


def test_an_incomplete_example_says_so():
    """A stabiliser that is infinite at the reference alone: the choice made for it is not accounted for."""
    attributor = ta.Attributor(lambda x: tf.where(tf.math.is_finite(tf.math.log(x[:, 0])), x[:, 1], 3 * x[:, 1]))
    x = np.array([[1, 2], [1, 2]], "float32")
    result = attributor.attribute(x, baselines=np.array([[0, 1], [1, 1]], "float32"), method="deeplift")
    assert result.status.tolist() == ["incomplete", ""]
    assert "INCOMPLETE: 1 of 2 (incomplete; example 0)" in repr(result)


def test_the_batch_may_be_any_axis_inside():
    """Time first, as recurrent nets have it, and a batch that is reshaped into another axis."""

    def model(x):
        time_first = tf.transpose(x, [1, 0, 2])
        state = tf.zeros_like(time_first[0])
        for step in range(3):
            state = tf.tanh(time_first[step] * 0.7 + state * tf.sigmoid(time_first[step]))
        return tf.reduce_sum(tf.nn.softmax(tf.transpose(state), axis=0)[1:] * [[1.0], [2.0]], 0)

    x = RNG.normal(size=(6, 3, 3)).astype("float32")
    attributor = ta.Attributor(model)
    result = attributor.attribute(x, method="deeplift")
    alone = np.concatenate([attributor.attribute(x[i : i + 1], method="deeplift").attributions for i in range(6)])
    np.testing.assert_allclose(result.attributions, alone, atol=1e-6)
    assert np.abs(result.gap).max() < 1e-5 * result.magnitudes.max()


def unknown(x):
    """Sorting has no rule."""
    return tf.reduce_sum(tf.math.top_k(x, 2).values * tf.constant([2.0, 1.0]), 1)


def test_an_operation_without_a_rule_is_named_with_its_layer():
    class Best(layers.Layer):
        def call(self, x):
            return unknown(x)[:, None]

    attributor = ta.Attributor(keras.Sequential([keras.Input((5,)), layers.Dense(4), Best(name="best")]))
    assert_refused(
        lambda: attributor.attribute(FEATURES, 0, method="deeplift"),
        "no rule for TopKV2",
        "in the layer 'best'",
        "ta.coverage(attributor)",
        "integrated_gradients",
    )
    found = ta.coverage(attributor)
    assert [(row.operation, row.layer, row.count) for row in found.uncovered] == [("TopKV2", "best", 1)]
    assert "1 WITHOUT A RULE" in repr(found)
    assert "NONE" in repr(found)


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (lambda x: tf.gather(x, tf.argmax(x, 1), axis=1, batch_dims=1), "its input 1 depends"),
        (lambda x: x[:, 0] * tf.cast(tf.reduce_all(x > 0, 1), tf.float32), "condition or an index"),
        (
            lambda x: tf.while_loop(lambda v: tf.reduce_sum(v) < 10, lambda v: v + tf.abs(x[:, 0]) + 1, [x[:, 1]])[0],
            "condition depends",
        ),
    ],
)
def test_choices_that_depend_on_the_input_are_refused_with_the_reason(function, word):
    attributor = ta.Attributor(function)
    assert_refused(lambda: attributor.attribute(FEATURES, method="deeplift"), "no rule for", word)


def test_coverage_lists_every_operation_before_anything_runs(classifier, lifted):
    found = ta.coverage(classifier)
    assert found.uncovered == ()
    assert found.rules["Relu"].startswith("Rescale")
    assert found.rules["Conv2D"].startswith("linear")
    assert sum(row.count for row in found.rows) >= 8
    assert "RevealCancel" in ta.coverage(classifier, ta.DeepLift("reveal_cancel")).rules["Conv2D"]
    assert "guided" in ta.coverage(classifier, "guided_backprop").rules["Relu"]
    assert_refused(lambda: ta.coverage(classifier, "gradient"), "has no rules")
    assert_refused(lambda: ta.coverage(ta.Attributor(unknown)), "inputs=examples")
    assert ta.coverage(ta.Attributor(unknown), inputs=FEATURES).uncovered[0].operation == "TopKV2"
    assert lifted.model.layers[0].name in {row.layer for row in ta.coverage(lifted).rows}


@pytest.mark.parametrize("layer", [layers.Conv1D(3, 3, padding="same"), layers.SimpleRNN(3, return_sequences=True)])
def test_coverage_of_a_net_that_cuts_more_off_than_a_sequence_of_open_length_is_tried_with(layer):
    inputs = keras.Input((None, 4))
    trimmed = layers.Cropping1D(40)(layer(inputs))
    attributor = ta.Attributor(keras.Model(inputs, layers.Softmax()(trimmed)), of="logits")
    assert not ta.coverage(attributor).uncovered
    long = np.linspace(-1, 1, 360, dtype="float32").reshape(1, 90, 4)
    result = attributor.attribute(long, target=(3, 1), method="deeplift", verbose=False)
    np.testing.assert_allclose(result.gap, 0, atol=1e-5)
    assert_refused(lambda: attributor.attribute(long[:, :50], target=(3, 1), method="deeplift", verbose=False), "(0, 3)")


def test_guided_backpropagation_against_numpy():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((5,)), layers.Dense(7, "relu"), layers.Dense(6, "relu"), layers.Dense(3)])
    attributor = ta.Attributor(model)
    result = attributor.attribute(FEATURES, 2, method="guided_backprop")
    (w1, b1), (w2, b2), (w3, _) = [layer.get_weights() for layer in model.layers]
    a1 = FEATURES @ w1 + b1
    a2 = np.maximum(a1, 0) @ w2 + b2
    upstream = np.broadcast_to(w3[:, 2], a2.shape)
    upstream = (np.maximum(upstream, 0) * (a2 > 0)) @ w2.T
    upstream = (np.maximum(upstream, 0) * (a1 > 0)) @ w1.T
    np.testing.assert_allclose(result.attributions, upstream, atol=1e-6)
    assert result.gap is None
    assert not np.allclose(result.attributions, attributor.attribute(FEATURES, 2, method="gradient").attributions)


@pytest.mark.parametrize("method", ["guided_backprop", "deconvolution"])
def test_where_no_rectifier_is_met_a_note_says_that_these_are_gradients(method):
    """`tf.maximum(x, 0)` is a rectifier to a reader, and none to the rules."""
    w = np.linspace(-1, 1, 20, dtype="float32").reshape(5, 4)
    plain = ta.Attributor(lambda x: tf.reduce_sum(tf.maximum(x @ w, 0.0), 1))
    result = plain.attribute(FEATURES, method=method)
    np.testing.assert_allclose(result.attributions, plain.attribute(FEATURES, method="gradient").attributions, rtol=1e-6)
    assert any("these are gradients" in note for note in result.notes)
    assert any("1 rectifier written as tf.maximum(x, 0)" in note for note in result.notes)
    some = ta.Attributor(lambda x: tf.reduce_sum(tf.maximum(0.0, 1 - tf.nn.relu(x @ w)), 1)).attribute(FEATURES, method=method)
    assert [note.partition(":")[0] for note in some.notes] == ["1 rectifier written as tf.maximum(x, 0)"]
    met = ta.Attributor(lambda x: tf.reduce_sum(tf.maximum(tf.nn.relu(x @ w), 1.0), 1)).attribute(FEATURES, method=method)
    assert not met.notes


def test_nothing_is_traced_twice(lifted, monkeypatch):
    from tf_attrib.methods.deeplift import multipliers

    first = lifted.attribute(FEATURES, 1, method="deeplift")
    monkeypatch.setattr(multipliers, "ruled", lambda *_: pytest.fail("built again"))
    for count in (1, 4):
        again = lifted.attribute(FEATURES[:count], 1, method="deeplift")
        np.testing.assert_allclose(again.attributions, first.attributions[:count], atol=1e-6)
    lifted.attribute(FEATURES, 0, SAMPLES[0], "deeplift")


@tf.custom_gradient
def straight_through(x):
    return tf.round(x), lambda upstream: 5 * upstream


def test_gradients_of_the_user_are_left_alone():
    def model(x):
        return tf.reduce_sum(straight_through(3 * x) * [1.0, 2.0, 3.0, 4.0, 5.0], 1)

    attributor = ta.Attributor(model)
    before = attributor.attribute(FEATURES, method="gradient").attributions
    result = attributor.attribute(FEATURES, method="deeplift")
    np.testing.assert_allclose(result.totals, result.difference, rtol=1e-5)
    assert any("tf.custom_gradient" in note for note in result.notes)
    np.testing.assert_allclose(before, np.tile([15.0, 30, 45, 60, 75], (5, 1)), rtol=1e-6)
    assert np.array_equal(attributor.attribute(FEATURES, method="gradient").attributions, before)
    with tf.GradientTape() as tape:
        x = tf.constant(FEATURES)
        tape.watch(x)
        score = model(x)
    assert np.array_equal(tape.gradient(score, x), before)


@tf.custom_gradient
def by_whole_weights(x, weights):
    """As layers do that were quantised to four bits: the function that has a gradient of its own is given whole numbers."""
    return x * tf.cast(weights, tf.float32), lambda upstream: (upstream, None)


def test_gradients_of_the_user_beside_whole_numbers():
    def model(x):
        return tf.reduce_sum(by_whole_weights(x, tf.constant([1, 2, 3, 4, 5], tf.int8)), 1)

    result = ta.Attributor(model).attribute(FEATURES, method="deeplift")
    np.testing.assert_allclose(result.attributions, FEATURES * [1, 2, 3, 4, 5], rtol=1e-5)


def test_attributors_in_several_threads_do_not_meet(mlp):
    wanted = {
        method: ta.Attributor(mlp).attribute(FEATURES, 1, method=method).attributions for method in ("deeplift", "gradient")
    }
    found, failed = {}, []

    def work(number, method):
        try:
            found[number, method] = ta.Attributor(mlp).attribute(FEATURES, 1, method=method).attributions
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number, method)) for number in range(2) for method in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(found) == 4
    for (_, method), value in found.items():
        np.testing.assert_allclose(value, wanted[method], atol=1e-7)


def test_the_command_lists_the_rules(mlp, tmp_path, capsys):
    mlp.save(tmp_path / "model.keras")
    assert cli.main(["inspect", str(tmp_path / "model.keras"), "--rules"]) == 0
    shown = capsys.readouterr().out
    assert "each with a rule" in shown
    assert "Tanh" in shown


def test_the_command_lists_the_rules_of_a_model_with_a_lambda_layer_when_told_to(tmp_path, capsys):
    path = str(tmp_path / "lambda.keras")
    keras.Sequential([keras.Input((5,)), layers.Lambda(lambda x: 2 * x), layers.Dense(2, "tanh")]).save(path)
    assert cli.main(["inspect", path, "--rules"]) != 0
    assert "--allow-unsafe" in capsys.readouterr().err
    assert cli.main(["inspect", path, "--rules", "--allow-unsafe"]) == 0
    assert "lambda" in capsys.readouterr().out
    assert cli.main(["inspect", path, "--allow-unsafe"]) != 0  # nothing is loaded then
    assert "--allow-unsafe is for --rules" in capsys.readouterr().err


def test_the_command_lists_the_rules_of_ones_own(mlp, tmp_path, capsys):
    mlp.save(tmp_path / "model.keras")
    own = tmp_path / "own.py"
    own.write_text(
        "from tf_attrib import extend\n"
        "@extend.deeplift_rule('Tanh', words='a rule of my own', replace=True)\n"
        "def rule(operation, upstream):\n"
        "    return [upstream]\n"
    )
    try:
        assert cli.main(["inspect", str(tmp_path / "model.keras"), "--rules", "--import", str(own)]) == 0
        assert "a rule of my own" in capsys.readouterr().out
        assert cli.main(["inspect", str(tmp_path / "model.keras"), "--import", str(own)]) == 2
        assert "--import is for --rules" in capsys.readouterr().err
    finally:
        del RULES["Tanh"]
