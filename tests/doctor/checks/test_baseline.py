"""The doctor on baselines: each disease by hand, and two trained nets that must come out clean."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

import tf_attrib as ta

from ...helpers.sick import DIAGONAL, PLAIN, attributor_of, sigmoid_of, softmax_of, unwell


def logit(p):
    return float(np.log(p / (1 - p)))


def test_entropy_that_is_low_without_a_favourite():
    """Six of forty classes share the baseline."""
    bias = np.where(np.arange(40) < 7, 9.0, 0.0)
    weights = np.zeros((3, 40), "float32")
    weights[:, 20] = 20
    report = ta.diagnose(attributor_of(softmax_of(weights, bias)), PLAIN)
    found = report["baseline_entropy"]
    assert found.severity == "warning"
    p = np.exp(bias) / np.exp(bias).sum()
    assert found.evidence["entropy"] == pytest.approx(-(p * np.log(p)).sum(), rel=1e-4)
    assert found.evidence["most_possible"] == pytest.approx(np.log(40))
    assert unwell(report) == ["baseline_entropy"]


def test_a_baseline_that_scores_70_percent():
    """The guide's case: of a class-1 input at 0.99 the difference is 0.69 for one class, of which 0.2 are the baseline's."""
    model = sigmoid_of([logit(0.99) - logit(0.3)], bias=logit(0.3))
    report = ta.diagnose(attributor_of(model), np.ones((1, 1), "float32"), target=1)
    found = report["baseline_favours_a_class"]
    assert found.severity == "warning"
    assert found.evidence["class"] == 0
    assert found.evidence["probability"] == pytest.approx(0.7, abs=1e-4)
    assert found.evidence["share_of_the_baseline"] == pytest.approx(0.2 / 0.69, abs=1e-3)
    assert "default_class=0" in found.remedy
    assert unwell(report) == ["baseline_favours_a_class"]


def test_several_baselines_that_balance_each_other_are_no_favourite():
    model = softmax_of(DIAGONAL)
    three = ta.several(np.eye(3, dtype="float32"))
    report = ta.diagnose(attributor_of(model), PLAIN, baselines=three)
    assert "baseline_favours_a_class" not in report
    assert report["baseline_entropy"].evidence["relative"] < 0.6
    one = ta.diagnose(attributor_of(model), PLAIN, baselines=np.eye(3, dtype="float32")[0])
    assert one["baseline_favours_a_class"].evidence["class"] == 0


@pytest.mark.parametrize(
    ("bias", "default_class", "severity"),
    [
        (-6.0, 0, "passed"),
        (-6.0, 0.0, "passed"),
        (-6.0, 0.5, "warning"),
        (-6.0, 1, "warning"),
        (0.0, 0.5, "passed"),
        (0.0, 0, "warning"),
        (6.0, 1, "passed"),
    ],
)
def test_a_default_class(bias, default_class, severity):
    """A detector is at 0.0 without a signal; of two classes that both need one, the baseline is at 0.5."""
    report = ta.diagnose(
        attributor_of(sigmoid_of([14.0, 1.0], bias)), np.ones((1, 2), "float32"), target=1, default_class=default_class
    )
    assert report["baseline_default_class"].severity == severity
    assert "baseline_entropy" not in report
    assert "baseline_favours_a_class" not in report


def test_a_detector_without_a_word_of_its_default_class_is_asked_about():
    report = ta.diagnose(attributor_of(sigmoid_of([14.0, 1.0], -6.0)), np.ones((1, 2), "float32"), target=1)
    assert "default_class=0" in report["baseline_favours_a_class"].remedy


def test_one_of_several_sigmoid_units_is_judged_by_itself():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(3, activation="sigmoid")])
    model.set_weights([DIAGONAL.astype("float32"), np.array([0, -7, 7], "float32")])
    attributor = attributor_of(model)
    assert ta.diagnose(attributor, PLAIN, target=0)["baseline_entropy"].evidence["relative"] == pytest.approx(1)
    assert ta.diagnose(attributor, PLAIN, target=1, default_class=0)["baseline_default_class"].severity == "passed"
    assert ta.diagnose(attributor, PLAIN, target=2, default_class=0)["baseline_default_class"].severity == "warning"


def test_the_score_at_the_baseline():
    x = np.ones((2, 2), "float32")
    near = ta.diagnose(attributor_of(sigmoid_of([14.0, 1.0], -6.0)), x, target=1, default_class=0)["baseline_score"]
    assert near.severity == "passed"
    far = ta.diagnose(attributor_of(sigmoid_of([3.0, 1.0])), x, target=1)["baseline_score"]
    assert far.severity == "note"
    assert far.evidence["score_at_baseline"] == pytest.approx(0.5)
    many = ta.diagnose(attributor_of(softmax_of(np.eye(6) * 5)), np.eye(6, dtype="float32"))["baseline_score"]
    assert many.severity == "passed"  # one in six is as near zero as six equal classes come


def test_a_baseline_that_is_the_input():
    report = ta.diagnose(attributor_of(softmax_of(DIAGONAL)), PLAIN, baselines=PLAIN)
    assert report["baseline_too_close"].severity == "warning"
    assert report["baseline_too_close"].examples == (0, 1, 2)


def test_a_path_in_the_flat_region():
    """At 5 and at 6 the sigmoid has all but arrived."""
    report = ta.diagnose(
        attributor_of(sigmoid_of([1.0])),
        np.array([[6.0], [5.5]], "float32"),
        target=1,
        baselines=ta.constant(5),
        default_class=1,
    )
    found = report["baseline_too_close"]
    assert found.severity == "warning"
    assert found.evidence["least_change_of_score"] < 0.02
    assert found.evidence["least_distance"] > 0.01
    far = ta.diagnose(attributor_of(sigmoid_of([1.0])), np.array([[6.0]], "float32"), target=1)
    assert far["baseline_too_close"].severity == "passed"


def test_a_baseline_outside_the_data():
    attributor = attributor_of(softmax_of(DIAGONAL / 20))
    report = ta.diagnose(attributor, PLAIN + 50)
    assert report["baseline_outside_the_data"].severity == "warning"
    assert report["baseline_outside_the_data"].evidence["baseline"] == [0, 0]
    inside = ta.diagnose(attributor, PLAIN + 50, baselines=ta.constant(51))
    assert inside["baseline_outside_the_data"].severity == "passed"


def pixels(count=4):
    """Images in [-1, 1] on a background of -1."""
    rng = np.random.default_rng(0)
    return np.where(rng.uniform(size=(count, 8, 8, 1)) < 0.6, -1, rng.uniform(-1, 1, (count, 8, 8, 1))).astype("float32")


def image_model():
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, activation="relu", use_bias=False),
            layers.Flatten(),
            layers.Dense(6, activation="softmax", use_bias=False),
        ]
    )


def test_zero_is_gray_where_images_are_normalised():
    attributor = ta.Attributor(image_model())
    found = ta.diagnose(attributor, pixels())["zero_is_gray"]
    assert found.severity == "warning"
    assert found.evidence["share_of_pixels_at_the_low_end"] == pytest.approx(0.6, abs=0.1)
    assert "ta.constant(-1)" in found.remedy
    assert "zero_is_gray" not in ta.diagnose(attributor, pixels(), baselines=ta.constant(-1))
    assert "zero_is_gray" not in ta.diagnose(attributor, (pixels() + 1) / 2)


def test_features_that_equal_their_baseline():
    """Two of six features are absent; the score falls with the second and does not know the first."""
    model = softmax_of([[0, 0, 0], [0, 6, 0], [3, 0, 0]])
    x = np.array([[0, 0, 1], [0.5, 0.5, 1]], "float32")
    found = ta.diagnose(attributor_of(model), x, target=0)["features_at_baseline"]
    assert found.severity == "note"
    assert found.evidence["share_of_features"] == pytest.approx(2 / 6)
    assert 0.05 < found.evidence["share_of_gradient"] < 0.9
    assert "features_at_baseline" not in ta.diagnose(attributor_of(model), x[1:], target=0)


@pytest.mark.parametrize(
    ("x", "severity", "correlation", "signs"),
    [
        ([[9, 6, 1], [11, 4, 1]], "note", 0.0, 0.5),
        ([[9, 6, 1], [9, 6, 1], [12, 3, 1]], "warning", -0.5, 0.5),
        ([[30, 15, 3], [30, 15, 3], [30, 15, 3], [1, 0.5, 0.1]], "passed", 1.0, 0.25),
    ],
)
def test_baselines_that_tell_other_stories(x, severity, correlation, signs):
    """Of a sum, features have x against zero, and x less the mean against the mean of the inputs: medians by hand."""
    found = ta.diagnose(ta.Attributor(lambda x: x[:, 0] + x[:, 1] + x[:, 2]), np.array(x, "float32"))["baselines_compared"]
    assert found.severity == severity
    assert found.evidence["rank_correlation"]["the mean of these inputs"] == pytest.approx(correlation)
    assert found.evidence["share_that_changes_sign"]["the mean of these inputs"] == pytest.approx(signs)


VOCABULARY = ["[PAD]", "[UNK]", "the", "of", "and", "a", "in", *(f"word{i}" for i in range(23))]


@pytest.fixture(scope="module")
def reading():
    """A text model; `reader` sets its weights."""
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            layers.Embedding(30, 8, name="words"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(2, activation="softmax", use_bias=False),
        ]
    )
    return ta.Attributor(model)


def reader(reading, norms):
    """The text model with embeddings of the given norms; until it is given others."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(30, 8))
    table *= (np.asarray(norms) / np.linalg.norm(table, axis=1))[:, None]
    reading.model.set_weights([table.astype("float32"), rng.normal(size=(8, 2)).astype("float32") * 9])
    return reading


def sentences():
    return np.random.default_rng(1).integers(7, 30, (5, 6)).astype("int32")


def test_unit_norm_embeddings(reading):
    report = ta.diagnose(reader(reading, np.ones(30)), sentences(), vocabulary=VOCABULARY)
    found = report["unit_norm_embeddings"]
    assert found.severity == "warning"
    assert found.evidence["mean_norm"] == pytest.approx(1)
    assert "ta.token(0)" in found.remedy
    assert "padding" in found.meaning
    words = ["x", "y", *VOCABULARY[2:]]
    stop = ta.diagnose(reader(reading, np.ones(30)), sentences(), vocabulary=words)["unit_norm_embeddings"]
    assert "ta.token(2)" in stop.remedy
    assert "'the'" in stop.meaning
    assert "unit_norm_embeddings" not in ta.diagnose(reader(reading, np.ones(30)), sentences(), baselines=ta.token(0))
    assert "unit_norm_embeddings" not in ta.diagnose(reader(reading, np.linspace(0.5, 2, 30)), sentences())


def test_norms_of_stop_words(reading):
    small = np.where((np.arange(30) >= 2) & (np.arange(30) < 7), 0.2, 1.0)
    found = ta.diagnose(reader(reading, small), sentences(), vocabulary=VOCABULARY)["stop_word_norms"]
    assert found.severity == "passed"
    assert found.evidence["ratio"] == pytest.approx(0.2, rel=1e-4)
    assert found.evidence["words_counted"] == [5, 23]
    large = ta.diagnose(reader(reading, 1.2 - small), sentences(), vocabulary=VOCABULARY)["stop_word_norms"]
    assert large.severity == "note"
    assert large.evidence["stop_words"] == pytest.approx(1.0)
    assert "stop_word_norms" not in ta.diagnose(reader(reading, small), sentences())


# healthy nets


@pytest.fixture(scope="module")
def digits():
    """Scikit-learn's digits, with black and noise images of an eleventh class, "nothing", in a net that scikit-learn
    trains in an instant: 64 held-out digits."""
    keras.utils.set_random_seed(0)
    bunch = load_digits()
    images = (bunch.images / 16)[..., None].astype("float32")
    rng = np.random.default_rng(0)
    nothing = np.concatenate([np.zeros((60, 8, 8, 1)), rng.uniform(0, 0.3, (60, 8, 8, 1))]).astype("float32")
    x, y = np.concatenate([images[64:], nothing]), np.concatenate([bunch.target[64:], np.full(120, 10)])
    trained = MLPClassifier((64,), learning_rate_init=0.01, batch_size=64, max_iter=15, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it would go on
        trained.fit(x.reshape(len(x), -1), y)
    hidden, head = layers.Dense(64, activation="relu"), layers.Dense(11, activation="softmax")
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), hidden, layers.Dropout(0.2), head])
    model.set_weights([part for pair in zip(trained.coefs_, trained.intercepts_, strict=True) for part in pair])
    assert np.mean(np.argmax(model(images[:64]), 1) == bunch.target[:64]) > 0.9
    return model, images[:16]


def test_a_trained_digits_net_is_healthy(digits):
    model, x = digits
    attributor = ta.Attributor(model)
    report = ta.diagnose(attributor, x, default_class=10)
    assert report.healthy, report
    assert report["baseline_default_class"].severity == "passed"
    assert report["dead_units"].severity == "passed"
    assert report["repeatable"].severity == "passed"
    single = ta.diagnose(attributor, x[:1], default_class=10)
    assert single.healthy, single


def test_the_same_net_left_in_training_mode_is_not(digits):
    model, x = digits
    report = ta.diagnose(ta.Attributor(lambda images: model(images, training=True)), x, target=0, default_class=10)
    assert {"stochastic_output", "depends_on_company"} & set(unwell(report))


def test_a_trained_text_net_is_healthy():
    """Sentences of neutral words with a good or a bad one; padding stands for no word, and is balanced."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    tokens = rng.integers(12, 30, (400, 6)).astype("int32")
    labels = rng.integers(0, 2, 400)
    tokens[np.arange(400), rng.integers(0, 6, 400)] = np.where(labels == 1, rng.integers(2, 7, 400), rng.integers(7, 12, 400))
    empty = np.zeros((20, 6), "int32")
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            layers.Embedding(30, 8, name="words"),
            layers.Conv1D(12, 2, activation="tanh"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    model.optimizer.build(model.trainable_variables)  # else the first step makes its variables, and is traced twice
    x = np.concatenate([tokens[8:], empty])
    model.fit(x, np.concatenate([labels[8:], np.arange(20) % 2]), batch_size=32, epochs=8, verbose=0)
    vocabulary = ["[PAD]", "[UNK]", *(f"word{i}" for i in range(28))]
    report = ta.diagnose(ta.Attributor(model), tokens[:8], baselines=ta.token(0), default_class=0.5, vocabulary=vocabulary)
    assert report.healthy, report
    assert report["integer_inputs"].severity == "note"
    assert report["gap"].severity == "passed"
