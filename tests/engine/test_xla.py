"""Rows compiled by XLA: the same numbers, for blocks of a few sizes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.graph.traced.compiled import Compiled

from ..conftest import assert_refused

layers = keras.layers
RNG = np.random.default_rng(2)


@pytest.fixture(scope="module")
def dense():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((6,)), layers.Dense(8, "gelu"), layers.Dense(3, "softmax")])


X = RNG.normal(size=(5, 6)).astype("float32")


@pytest.fixture(scope="module")
def both(dense):
    return ta.Attributor(dense), ta.Attributor(dense, jit_compile=True)


@pytest.mark.parametrize(
    "method",
    [
        "integrated_gradients",
        pytest.param(ta.IntegratedGradients(n_steps=20), marks=pytest.mark.slow),  # as in the tests below
        "occlusion",
        "deeplift",
        pytest.param(ta.ShapleySampling(), marks=pytest.mark.slow),  # scores alone, as occlusion
        pytest.param(ta.SmoothGrad(n_samples=4), marks=pytest.mark.slow),  # gradients at other points than those of the first
    ],
    ids=str,
)
def test_numbers_are_those_of_tensorflow(both, method):
    plain, compiled = (attributor.attribute(X, method=method, seed=1) for attributor in both)
    size = np.abs(plain.attributions).max()
    np.testing.assert_allclose(compiled.attributions, plain.attributions, rtol=1e-5, atol=2e-6 * size)
    np.testing.assert_array_equal(compiled.evaluations, plain.evaluations)
    (session,) = both[1]._sessions.values()
    assert all(one._compiled._function.function_def.attr["_XlaMustCompile"].b for one in session._programs.values())


def test_embeddings_attention_and_baselines():
    keras.utils.set_random_seed(0)
    ids = keras.Input((7,), dtype="int32")
    x = layers.Embedding(20, 8)(ids)
    x = x + layers.MultiHeadAttention(1, 4)(x, x)
    model = keras.Model(ids, layers.Dense(2, "softmax")(layers.GlobalAveragePooling1D()(x)))
    words = RNG.integers(0, 20, (3, 7))
    method = ta.IntegratedGradients(n_steps=10)
    plain, compiled = (
        ta.Attributor(model, jit_compile=jit).attribute(words, 1, ta.gaussian(2, 0.1), method, seed=0) for jit in (False, True)
    )
    np.testing.assert_allclose(compiled.attributions, plain.attributions, rtol=1e-4, atol=1e-6)


def test_blocks_and_tables_are_of_few_sizes(dense, monkeypatch):
    shapes, call = set(), Compiled.__call__

    def noted(this, *arrays):
        if this._by_xla:
            shapes.add(tuple(array.shape for array in arrays))
        return call(this, *arrays)

    monkeypatch.setattr(Compiled, "__call__", noted)
    attributor = ta.Attributor(dense, batch_size=32, jit_compile=True)
    for count in (1, 2, 3, 5):
        found = attributor.attribute(X[:count], 1, method=ta.IntegratedGradients(n_steps=24))
        np.testing.assert_allclose(found.totals, found.difference, atol=1e-3)
    assert {shape[-1][0] for shape in shapes} == {16, 32}  # of 24, 48, 72 and 120 rows
    assert len(shapes) == 2
    assert all(shape[0] & (shape[0] - 1) == 0 for one in shapes for shape in one)


def test_what_xla_cannot_compile_is_refused():
    recurrent = keras.Sequential([keras.Input((5, 2)), layers.SimpleRNN(3), layers.Dense(2)])
    x = RNG.normal(size=(2, 5, 2)).astype("float32")
    attributor = ta.Attributor(recurrent, jit_compile=True)
    assert_refused(lambda: attributor.attribute(x, 1), "XLA cannot compile", "leave jit_compile out")
    assert_refused(lambda: ta.Attributor(recurrent, eager=True, jit_compile=True), "eager")
    assert_refused(lambda: ta.Attributor(recurrent, jit_compile="yes"), "True or False", "yes")

    def python(x):
        return tf.constant(x.numpy().sum(1))

    called = ta.Attributor(python, jit_compile=True)
    assert_refused(lambda: called.attribute(X, method="occlusion"), "called eagerly", "leave it out")
