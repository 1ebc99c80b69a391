"""Convolutions in groups, which a CPU without oneDNN runs by XLA alone: the numbers are those of one convolution a group."""

import functools
import gc

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta
from tf_attrib.graph.traced import grouped

RNG = np.random.default_rng(8)
KERNEL, FACTOR, SHIFT = (RNG.normal(size=shape).astype("float32") for shape in ((3, 3, 2, 6), (6,), (6,)))
HEAD = RNG.normal(size=(6, 3)).astype("float32")
X = RNG.normal(size=(3, 8, 8, 4)).astype("float32")


@pytest.fixture(params=[False, True])
def without(request, monkeypatch):
    """Whether the device is taken for one that has no gradients of them."""
    if request.param:
        monkeypatch.setattr(grouped, "runs_groups", lambda: False)
    elif not grouped.runs_groups():
        pytest.skip("this device is such a one: all is as where it is taken for it")
    return request.param


def one_by_one(x):
    """The convolutions of both groups."""
    parts = zip(tf.split(x, 2, -1), tf.split(tf.constant(KERNEL), 2, -1), strict=True)
    return tf.concat([tf.nn.conv2d(part, weights, [1, 2, 2, 1], "SAME") for part, weights in parts], -1)


def together(x):
    return tf.nn.conv2d(x, KERNEL, [1, 2, 2, 1], "SAME")


BEHIND = {
    "a norm": lambda seen: seen * FACTOR + SHIFT,
    "a bias": lambda seen: tf.nn.bias_add(seen, SHIFT),
    "a norm in one": lambda seen: tf.compat.v1.nn.fused_batch_norm(
        seen, FACTOR, SHIFT, mean=SHIFT, variance=FACTOR**2, is_training=False
    )[0],
    "nothing": tf.identity,
}


def net(convolution):
    """Three scores behind each of these, all in one trace."""

    def scores(x):
        seen = [tf.reduce_max(tf.nn.relu(after(convolution(x))), [1, 2]) for after in BEHIND.values()]
        return tf.concat([one @ HEAD for one in seen], 1)

    return scores


@functools.cache
def explained(without):
    """Both ways to write them, for all methods; made while the device is taken for such a one."""
    assert grouped.runs_groups() is not without
    found = ta.Attributor(net(together)), ta.Attributor(net(one_by_one))
    gc.collect()
    return found


@pytest.mark.parametrize(
    "method",
    ["gradient", ta.IntegratedGradients(n_steps=9), "deeplift", pytest.param("guided_backprop", marks=pytest.mark.slow)],
    ids=str,
)
def test_numbers_are_those_of_one_convolution_a_group(method, without):
    x, target = np.tile(X, (len(BEHIND), 1, 1, 1)), 1 + 3 * np.repeat(np.arange(len(BEHIND)), len(X))
    found, expected = (one.attribute(x, target, method=method).attributions for one in explained(without))
    parts = zip(np.split(found, len(BEHIND)), np.split(expected, len(BEHIND)), strict=True)
    for behind, (one, other) in zip(BEHIND, parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max(), err_msg=behind)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model of convolutions in groups, and its export."""
    keras.utils.set_random_seed(4)
    given, path = keras.Input((8, 8, 4)), tmp_path_factory.mktemp("grouped")
    seen = layers.Conv2D(8, 3, groups=4, activation="relu")(layers.Conv2D(4, 3, groups=4, padding="same")(given))
    model = keras.Model(given, layers.Dense(3)(layers.Flatten()(layers.BatchNormalization()(seen))))
    model.export(path, verbose=False)
    return model, path


@pytest.mark.usefixtures("without")
def test_exported_models_are_explained_as_those_in_memory(saved):
    model, path = saved
    with tf.GradientTape() as tape:
        x = tf.constant(X)
        tape.watch(x)
        score = model(x)[:, 1]
    attributor, expected = ta.Attributor(path), tape.gradient(score, x).numpy()
    for count in (3, 1):
        found = attributor.attribute(X[:count], 1, method="gradient").attributions
        np.testing.assert_allclose(found, expected[:count], rtol=1e-3, atol=1e-6)
    lifted = [one.attribute(X, 1, method="deeplift") for one in (ta.Attributor(model), attributor)]
    np.testing.assert_allclose(lifted[0].attributions, lifted[1].attributions, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(lifted[0].totals, lifted[0].scores - lifted[0].baseline_scores, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("without")
def test_dilated_kernels():
    def net(widen):
        return lambda x: tf.reduce_max(tf.nn.relu(widen(x) * FACTOR + SHIFT), [1, 2]) @ HEAD

    kernel = RNG.normal(size=(3, 3, 4, 6)).astype("float32")
    apart = np.zeros((5, 5, 4, 6), "float32")
    apart[::2, ::2] = kernel
    nets = [lambda x: tf.nn.conv2d(x, kernel, 1, "SAME", dilations=2), lambda x: tf.nn.conv2d(x, apart, 1, "SAME")]
    for method in ["gradient", "deeplift"]:
        found, expected = (ta.Attributor(net(one)).attribute(X, 1, method=method).attributions for one in nets)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_where_they_run_nothing_is_put_in_their_place(monkeypatch):
    monkeypatch.setattr(grouped, "runs_groups", lambda: True)

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 4))], autograph=False)
    def net(x):
        found = [together(x), tf.nn.conv2d(x, KERNEL[:, :, :1].repeat(4, 2), 1, "SAME")]
        grouped.runnable(found[0].graph.get_operations(), found)
        return found

    assert [one.op.type for one in net.get_concrete_function().outputs] == ["Identity"] * 2
    kinds = {operation.type for operation in net.get_concrete_function().graph.get_operations()}
    assert "Conv2D" in kinds
    assert not any("Call" in kind for kind in kinds)
