"""What was traced, cut and compiled for one call serves the next: counted, not timed."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_attrib as ta
from tf_attrib.graph.called import route
from tf_attrib.graph.traced import cut
from tf_attrib.graph.traced.compiled import Compiled

from ..conftest import assert_refused

X = np.random.default_rng(0).uniform(size=(6, 8, 8, 1)).astype("float32")
LABELS = np.arange(6) % 4


@pytest.fixture
def counted(monkeypatch):
    """How many traces of models, cuts of their graphs and compiled functions there were."""
    found = dict.fromkeys(("traces", "cuts", "compiled"), 0)

    def count(owner, name, key):
        usual = getattr(owner, name)

        def counting(*args, **kwargs):
            found[key] += 1
            return usual(*args, **kwargs)

        monkeypatch.setattr(owner, name, counting)

    count(route, "trace", "traces")
    count(cut, "cut_out", "cuts")
    count(Compiled, "__init__", "compiled")
    return found


def made():
    net = [layers.Conv2D(4, 3, activation="relu", name="conv"), layers.GlobalAveragePooling2D(), layers.Dense(4, "softmax")]
    return ta.Attributor(keras.Sequential([keras.Input((8, 8, 1)), *net]))


@pytest.fixture
def attributor():
    """One of which nothing was asked yet."""
    return made()


@pytest.fixture(scope="module")
def shared():
    """One for those who count what a second call makes, whatever was there before the first."""
    return made()


def new(counted, call):
    """What `call` made."""
    before = dict(counted)
    call()
    return {key: number - before[key] for key, number in counted.items()}


def test_the_first_gradient_makes_no_more_than_it_needs(counted, attributor):
    made = new(counted, lambda: attributor.attribute(X, method="gradient"))
    assert made == {"traces": 0, "cuts": 2, "compiled": 2}  # the forward pass, and its gradient
    assert counted["traces"] == 1


@pytest.mark.parametrize(
    "method", ["gradient", "integrated_gradients", "occlusion", "deeplift", ta.RISE(n_masks=40), ta.GradCam("conv")], ids=str
)
def test_a_second_call_makes_nothing(counted, shared, method):
    shared.attribute(X, method=method)
    for call in (
        lambda: shared.attribute(X, method=method),
        lambda: shared.attribute(X[:2], target=1, method=method),
        lambda: shared.attribute(X * 0.5, target=LABELS, method=method, seed=1),
    ):
        assert not any(new(counted, call).values())


def test_another_baseline_makes_nothing(counted, shared):
    shared.attribute(X)
    assert not any(new(counted, lambda: shared.attribute(X, baselines=X[3])).values())


def test_methods_share_what_they_can(counted, attributor):
    attributor.attribute(X, method="gradient")
    assert new(counted, lambda: attributor.attribute(X, method="gradient_times_input")) == {
        "traces": 0,
        "cuts": 0,
        "compiled": 1,
    }
    attributor.attribute(X)
    for method in ("interior_gradients", "smoothgrad"):
        assert not any(new(counted, lambda method=method: attributor.attribute(X, method=method)).values())


def test_what_attributes_several_times_reuses(counted, attributor):
    attributor.attribute(X)
    assert not any(new(counted, lambda: ta.misclassified(attributor, (X, LABELS))).values())
    attributor.attribute(X, method="gradient")
    ta.metrics.compare(attributor, X, methods=["gradient", "integrated_gradients"])
    again = lambda: ta.metrics.compare(attributor, X, methods=["gradient", "integrated_gradients"])  # noqa: E731
    assert not any(new(counted, again).values())
    first = new(counted, lambda: ta.diagnose(attributor, X))
    assert first["traces"] == 0
    assert first["compiled"] <= 3
    assert not any(new(counted, lambda: ta.diagnose(attributor, X)).values())


def test_another_output_is_another_trace_and_no_more(counted, attributor):
    attributor.attribute(X)
    other = ta.Attributor(attributor.model, of="logits")
    made = new(counted, lambda: other.attribute(X))
    assert made["traces"] <= 1
    assert made["cuts"] <= 2


def test_of_ever_new_shapes_the_last_are_kept_and_nothing_is_traced_again(counted, monkeypatch):
    """As of a server whose texts have any length: its memory does not grow with their number."""
    from tf_attrib.engine import preparing

    ids = keras.Input((None,), dtype="int32")
    pooled = layers.GlobalAveragePooling1D()(layers.Embedding(9, 3)(ids))
    model = keras.Model(ids, layers.Dense(2, "softmax")(pooled))
    batches = [np.arange(length)[None] % 9 for length in range(1, 9)]
    usual = ta.Attributor(model)
    expected = [usual.attribute(batch).attributions for batch in batches]
    assert len(usual._sessions) == 8
    monkeypatch.setattr(preparing, "MOST_SESSIONS", 3)
    attributor = ta.Attributor(model)
    traces = counted["traces"]
    for _ in range(2):
        for batch, same in zip(batches, expected, strict=True):
            np.testing.assert_array_equal(attributor.attribute(batch).attributions, same)
            assert len(attributor._sessions) <= 3
    assert counted["traces"] == traces


def test_a_model_that_was_changed_is_traced_again(counted):
    """Other layers, activations and losses are the model's; new values of its weights are read without a trace."""
    model, x = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="out")]), np.ones((1, 3), "float32")
    attributor = ta.Attributor(model)

    def scores():
        return attributor.attribute(x, 0, method="gradient").scores

    def traced(change):
        before = counted["traces"]
        change()
        np.testing.assert_allclose(scores(), model(x)[:, 0], rtol=1e-5)
        return counted["traces"] - before

    assert traced(lambda: None) == 0
    assert traced(lambda: model.layers[0].kernel.assign(2 * model.layers[0].kernel)) == 0
    assert traced(lambda: setattr(model.layers[0], "trainable", False)) == 0
    assert traced(lambda: setattr(model.layers[0], "activation", keras.activations.exponential)) == 1
    assert len(attributor._sessions) == 1
    assert traced(lambda: model.add(layers.Dense(2))) == 1
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    np.testing.assert_allclose(scores(), keras.ops.softmax(model(x))[:, 0], rtol=1e-5)


def test_a_model_that_was_built_anew_of_other_inputs_takes_these():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    attributor = ta.Attributor(model)
    attributor.attribute(np.ones((2, 3), "float32"))
    model.pop(rebuild=False)
    model.pop(rebuild=False)
    model.add(keras.Input((5,)))
    model.add(layers.Dense(1))
    assert attributor.input_shape == (5,)
    result = attributor.attribute(np.ones((2, 5), "float32"))
    np.testing.assert_allclose(result.attributions, np.tile(model.layers[0].kernel[:, 0], (2, 1)), rtol=1e-5)
    assert_refused(lambda: attributor.attribute(np.ones((2, 3), "float32")), "must be float32 (batch, 5)")


def test_a_model_of_tf_keras_that_was_taken_apart_and_built_anew():
    tf_keras = pytest.importorskip("tf_keras")
    model = tf_keras.Sequential([tf_keras.Input((3,)), tf_keras.layers.Dense(1)])
    attributor = ta.Attributor(model)
    model.pop()
    model.add(tf_keras.layers.Dense(1))
    assert attributor.input_shape != (5,)  # no error, though it has no weights yet
    model.build((None, 5))
    result = attributor.attribute(np.ones((2, 5), "float32"))
    np.testing.assert_allclose(result.attributions, np.tile(model.layers[0].kernel.numpy()[:, 0], (2, 1)), rtol=1e-5)
