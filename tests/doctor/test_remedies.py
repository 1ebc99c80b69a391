"""What the doctor proposes to type runs as it is printed, for models of every kind; and what it says is true there."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ..conftest import assert_refused
from ..helpers.sick import PLAIN, attributor_of, averaging_text, sigmoid_of, softmax_of, unwell

WIDE = keras.initializers.RandomNormal(stddev=3, seed=5)


def test_every_position_at_once_is_refused():
    attributor = attributor_for(positions)
    inputs = np.ones((2, 4, 3), "float32")
    assert_refused(lambda: ta.diagnose(attributor, inputs, target=ta.each_position()), "target=(position, class)")
    assert len(ta.diagnose(attributor, inputs, target=(0, 1)))


def run(report, attributor, inputs, **given):
    """Types every remedy, and returns them."""
    names = {"ta": ta, "np": np, "tf": tf, "keras": keras, "attributor": attributor, "inputs": inputs, **given}
    remedies = [one.remedy for one in report if one.remedy and not one.remedy.startswith("self.")]
    for remedy in remedies:
        exec(remedy, dict(names))
    return remedies


def head(units=3, activation="softmax"):
    return layers.Dense(units, activation=activation, bias_initializer=WIDE, kernel_initializer=WIDE)


def table():
    return keras.Sequential([keras.Input((3,)), head()])


def positions():
    return keras.Sequential([keras.Input((4, 3)), head()])


@functools.cache
def attributor_for(make, **options):
    """One for all cases of a model: what was traced for one serves the next."""
    return ta.Attributor(make(), **options)


def two_inputs():
    a, b = keras.Input((3,), name="a"), keras.Input((2, 4), name="b")
    joined = layers.Concatenate()([a, layers.Flatten()(b)])
    return keras.Model({"a": a, "b": b}, {"kind": head()(joined), "size": layers.Dense(2)(joined)})


def pictures():
    rng = np.random.default_rng(0)
    return np.where(rng.uniform(size=(3, 8, 8, 1)) < 0.6, -1, rng.uniform(-1, 1, (3, 8, 8, 1))).astype("float32")


PAIR = {"a": PLAIN, "b": np.random.default_rng(1).normal(size=(3, 2, 4)).astype("float32")}
CASES = {
    "one row as a list": (table, {}, PLAIN[:1].tolist(), {}),
    "four rows, a class": (table, {}, np.concatenate([PLAIN, PLAIN[:1]]), {"target": 1}),
    "a class for each, noise": (table, {}, PLAIN, {"target": [0, 2, 1], "baselines": ta.uniform(2, -1, 1)}),
    "nothing to attribute": (table, {}, np.zeros((2, 3), "float32"), {"default_class": 0}),
    "several inputs and outputs": (two_inputs, {"of": "kind"}, PAIR, {}),
    "one of several inputs": (two_inputs, {"of": "kind", "at": ta.inputs("b")}, PAIR, {"baselines": ta.dataset(PAIR)}),
    "pictures": (lambda: keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), head(6)]), {}, pictures(), {}),
    "positions": (
        positions,
        {},
        np.random.default_rng(2).normal(size=(2, 4, 3)).astype("float32"),
        {},
    ),
    "a position": (
        positions,
        {},
        np.random.default_rng(2).normal(size=(2, 4, 3)).astype("float32"),
        {"target": (2, 1)},
    ),
    "words": (
        averaging_text,
        {},
        np.random.default_rng(3).integers(1, 30, (4, 10)).astype("int32"),
        {"baselines": ta.token(0)},
    ),
    "a layer": (
        lambda: keras.Sequential([keras.Input((3,)), layers.Dense(6, activation="relu", name="hidden"), head()]),
        {"at": "hidden"},
        PLAIN,
        {},
    ),
    "no gradient": (lambda: lambda x: tf.cast(tf.argmax(x, 1), tf.float32), {}, PLAIN, {}),
    "too few steps": (lambda: sigmoid_of([20.0, 15.0, 1.0], -20.0), {}, PLAIN, {"method": ta.IntegratedGradients(n_steps=2)}),
    "examples that look at each other": (lambda: lambda x: tf.nn.softmax(3 * x - tf.reduce_mean(x, 0)), {}, PLAIN, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_remedies_run_as_printed(name):
    make, options, inputs, given = CASES[name]
    attributor = attributor_for(make, **options)
    report = ta.diagnose(attributor, inputs, **given)
    assert run(report, attributor, inputs, target=given.get("target"), baselines=given.get("baselines"))


def test_a_float32_copy():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = keras.Sequential(
            [keras.Input((3,)), layers.Dense(4, bias_initializer=keras.initializers.Constant(60000)), head()]
        )
    finally:
        keras.config.set_dtype_policy("float32")
    attributor = ta.Attributor(model)
    found = ta.diagnose(attributor, PLAIN)["float16_overflow"]
    names = {"keras": keras, "attributor": attributor}
    exec(found.remedy, names)
    assert "float16_overflow" not in ta.diagnose(ta.Attributor(names["copy"]), PLAIN)
    np.testing.assert_array_equal(names["copy"].get_weights()[0], model.get_weights()[0])


def reader_of_strings(shape=()):
    words = layers.TextVectorization(output_sequence_length=5, vocabulary=["good", "bad", "film", "the", "was", "of"])
    return keras.Sequential(
        [
            keras.Input(shape, dtype="string"),
            words,
            layers.Embedding(9, 4, embeddings_initializer=keras.initializers.OrthogonalInitializer(seed=1)),
            layers.GlobalAveragePooling1D(),
            head(2),
        ]
    )


@pytest.mark.parametrize("shape", [(), (1,)])
def test_strings(shape):
    """An orthogonal table (9, 4) has no single norm; padding is the empty string."""
    inputs = np.array(["the film was good", "bad of the"]).reshape((2, *shape))
    attributor = ta.Attributor(reader_of_strings(shape))
    report = ta.diagnose(attributor, inputs)
    assert "padding (token 0)" in report["baselines_compared"].meaning
    assert run(report, attributor, inputs)


@pytest.mark.parametrize("used_before", [False, True])
def test_ids_that_are_out_of_range(used_before):
    attributor, ids = ta.Attributor(averaging_text()), np.full((2, 10), 77, "int32")
    calls = [
        attributor.attribute,
        attributor.check,
        attributor.work,
        lambda ids: ta.diagnose(attributor, ids),
        lambda ids: ta.saturation(attributor, ids),
    ]
    if used_before:
        attributor.work(ids - 70)
    else:  # later the shape is known without looking at any ids
        calls = [attributor.output_shape, *calls]
    for call in calls:
        assert_refused(lambda call=call: call(ids), "the model failed on these inputs", "77")


def test_half_precision_sums_of_probabilities():
    """bfloat16 probabilities of three classes do not sum to one, and are three classes nevertheless."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = keras.Sequential([keras.Input((3,)), layers.Dense(3, activation="softmax")])
    finally:
        keras.config.set_dtype_policy("float32")
    report = ta.diagnose(ta.Attributor(model), PLAIN)
    assert report["baseline_entropy"].evidence["most_possible"] == pytest.approx(np.log(3))
    assert "baseline_favours_a_class" not in report


def test_two_units_that_happen_to_sum_to_one():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, activation="sigmoid")])
    model.set_weights([np.ones((3, 2), "float32"), np.array([3, -3], "float32")])
    found = ta.diagnose(ta.Attributor(model), PLAIN, target=1)["baseline_favours_a_class"]
    assert "off in the explained unit" in found.meaning
    assert found.evidence["share_of_the_baseline"] < 1
    assert_refused(lambda: ta.diagnose(ta.Attributor(model), PLAIN, target=1, default_class=2), "default_class=2", "0 to 1")


def test_weights_that_are_not_numbers():
    model = softmax_of(np.eye(3))
    kernel, bias = model.get_weights()
    kernel[0, 0] = np.nan
    model.set_weights([kernel, bias])
    report = ta.diagnose(ta.Attributor(model), PLAIN)
    assert "kernel" in report["not_finite"].evidence["weights"][0]
    assert unwell(report) == ["not_finite"]
    assert {"saturated_head", "baseline_score"}.isdisjoint(one.name for one in report)


def test_what_cancels_is_no_flat_region():
    """x0 - x1 at (1, 1) is that at zero, and yet both features move it."""
    x = np.array([[1, 1.0001], [3, 1]], "float32")
    found = ta.diagnose(ta.Attributor(lambda x: 1 + x[:, 0] - x[:, 1]), x)["baseline_too_close"]
    assert found.severity == "note"
    assert found.examples == (0,)
    assert "cancels" in found.meaning


def test_inputs_without_a_range_say_nothing_of_the_baseline():
    report = ta.diagnose(attributor_of(softmax_of(np.eye(3))), np.ones((4, 3), "float32"))
    assert "baseline_outside_the_data" not in report


def test_columns_have_ranges_of_their_own():
    x = np.random.default_rng(0).normal(size=(12, 3)).astype("float32") + np.array([0, 1000, 0], "float32")
    model = softmax_of(np.array([[1, 0], [0.001, 0], [0, 1]]))
    found = ta.diagnose(ta.Attributor(model), x)["baseline_outside_the_data"]
    assert found.severity == "warning"
    assert found.evidence["columns"].tolist() == [1]
    mean = ta.diagnose(ta.Attributor(model), x, baselines=x.mean(0))
    assert mean["baseline_outside_the_data"].severity == "passed"


def test_many_equal_classes_account_for_no_score():
    """One class in ten at both ends: the attributions do not account for a whole score."""
    report = ta.diagnose(attributor_of(softmax_of(np.eye(10) * 1e-3)), np.eye(10, dtype="float32"))
    assert report["baseline_score"].severity == "note"


def test_a_baseline_is_not_compared_with_itself():
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), head(6)])
    found = ta.diagnose(ta.Attributor(model), pictures(), baselines=ta.blur(1))["baselines_compared"]
    assert found.evidence["rank_correlation"]
    assert not any("blurred" in words for words in found.evidence["rank_correlation"])


def test_of_many_classes_one_may_stand_out_a_little():
    """28% for one class of ten, of which attributions to the others lose some hundredths; 70% is another matter."""
    x, bias = np.eye(10, dtype="float32")[:5], np.zeros(10)
    for favoured, severity in ((1.25, "note"), (3.1, "warning")):
        bias[7] = favoured
        found = ta.diagnose(attributor_of(softmax_of(np.eye(10) * 9, bias)), x)["baseline_favours_a_class"]
        assert found.severity == severity
        assert found.evidence["class"] == 7
