"""Rows of straight paths that begin behind a model's affine stretch: the same numbers, and the stretch once for each path."""

import functools
import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.engine.program import Program
from tf_attrib.graph.traced.stretch import Stretch

from ..conftest import assert_refused
from ..helpers.run_twice import as_written
from ..helpers.shared import anew, attributor_for
from ..whole import test_models as kinds_of_model

layers = keras.layers
RNG = np.random.default_rng(7)
FIXED, REFINED = ta.IntegratedGradients(n_steps=20), ta.IntegratedGradients(0.02)


# Of those models whose gradients begin with a linear layer; the others have nothing to be hoisted.
KINDS = (
    "a_shared_layer_has_an_output_for_each_call",
    "a_transformer_with_position_embeddings",
    "a_callable_and_one_that_must_know_its_batch",
    "a_fixed_batch_size",
)
# What sets these apart is how they are called and named: to the graph they are as those above.
CALLED_OTHERWISE = (
    "a_subclassed_model",
    "float_inputs_that_serve_as_ids",
    "text_in_words",
    "several_inputs_as_list_or_dict",
    "a_baseline_for_each_of_several_inputs",
    "a_model_of_dict_inputs",
    "layers_of_one_name_are_told_apart_by_their_path",
    "several_outputs_need_to_be_named",
    "tf_keras",  # a recurrent net, behind which the layer is another Dense
    "a_subclassed_tf_keras_model_without_a_training_argument",
    "token_and_table_inputs_together",
    "preprocess_keeps_raw_pixels",
)


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("name", [*KINDS, *(pytest.param(name, marks=pytest.mark.slow) for name in CALLED_OTHERWISE)])
def test_every_kind_of_model(name, compared, request):
    test = getattr(kinds_of_model, f"test_{name}")
    test(*(request.getfixturevalue(one) for one in inspect.signature(test).parameters))
    assert compared[1]


@functools.cache
def wide(units=(256, 32), inputs=4096):
    keras.utils.set_random_seed(1)
    hidden = [layers.Dense(number, activation="tanh") for number in units]
    return keras.Sequential([keras.Input((inputs,)), *hidden, layers.Dense(10, activation="softmax")])


def programs(attributor):
    """Whether what has run gradients, or scores alone, began behind the stretch."""
    return {type(row).__name__: hoisted for session in attributor._sessions.values() for row, *_, hoisted in session._programs}


@pytest.fixture
def stretched(monkeypatch):
    """How many rows of tensors went through stretches, and how many came back, when the graph ran."""
    found = {"ahead": 0, "back": 0}

    def count(name, key):
        usual = getattr(Stretch, name)

        def counting(self, *given):
            def add(rows):
                found[key] += int(rows)
                return np.int32(0)

            rows = tf.shape(next(iter(given[0].values())))[0]
            with tf.control_dependencies([tf.numpy_function(add, [rows], tf.int32)]):
                return usual(self, {one: tf.identity(value) for one, value in given[0].items()}, *given[1:])

        monkeypatch.setattr(Stretch, name, counting)

    count("__call__", "ahead")
    count("transposed", "back")
    return found


@pytest.mark.parametrize("method", [FIXED, REFINED], ids=str)
def test_a_wide_first_layer_is_applied_once_for_each_path_of_a_block(method, stretched, compared):
    attributor, x = anew(wide()), RNG.uniform(size=(12, 4096)).astype("float32")
    result = attributor.attribute(x, method=method)
    assert compared[1] == 1
    rows, blocks = result.evaluations.sum(), -(-result.evaluations.sum() // 256)
    if method is FIXED:  # both ends of a path, and what is handed back, once for each block that it is in
        assert stretched["ahead"] <= 2 * (12 + blocks)
        assert stretched["back"] <= 12 + blocks
        assert rows == 12 * 21
        assert programs(attributor) == {"GradientIntegrand": True}
    else:  # nodes are kept where attributions are
        assert stretched["ahead"] < rows / 2
        assert stretched["back"] == rows
        assert programs(attributor) == {"GradientIntegrand": True, "ScoreOnly": True}
    (one,) = attributor._sessions.values()
    behind = one.function.behind
    assert [port.tensor.shape.as_list() for port in behind.place.ports.values()] == [[None, 256]]
    graph = behind._backward._function.graph
    assert not any(
        4096 in output.shape for operation in graph.get_operations() for output in operation.outputs if output.shape.rank
    )


@pytest.mark.parametrize(
    ("method", "batch_size", "most"),
    [(ta.IntegratedGradients(n_steps=50), None, 1024), (ta.IntegratedGradients(n_steps=50), 300, 300), (REFINED, None, 256)],
)
def test_blocks_are_larger_where_rows_are_small(method, batch_size, most, monkeypatch):
    sizes, usual = [], Program.__call__

    def call(self, tables, rows):
        sizes.append(len(rows))
        return usual(self, tables, rows)

    monkeypatch.setattr(Program, "__call__", call)
    attributor = ta.Attributor(wide(), batch_size=batch_size)
    attributor.attribute(RNG.uniform(size=(40, 4096)).astype("float32"), method=method)
    assert programs(attributor)["GradientIntegrand"]
    assert most / 2 < max(sizes) <= most


def test_memory_that_is_stated_bounds_blocks_behind_a_stretch_too(monkeypatch):
    sizes, usual = [], Program.__call__

    def call(self, tables, rows):
        sizes.append((len(rows), self.ahead.function.behind.row_sizes.known))
        return usual(self, tables, rows)

    monkeypatch.setattr(Program, "__call__", call)
    model, x = wide((1024, 32)), RNG.uniform(size=(40, 4096)).astype("float32")
    session, ready, _ = ta.Attributor(model).prepare(x)
    memory = 257 * session.function.row_sizes.of({key: value[:1] for key, value in ready.items()})[0]
    ta.Attributor(model, memory=memory).attribute(x, 1, method=FIXED)
    assert all(rows * size <= memory for rows, size in sizes)
    assert max(rows for rows, _ in sizes) >= 256


def test_a_changed_weight_is_heeded():
    model, x = wide.__wrapped__(), RNG.uniform(size=(3, 4096)).astype("float32")
    attributor = ta.Attributor(model)
    before = attributor.attribute(x, 1, method=FIXED)
    for variable in model.layers[0].variables:
        variable.assign(variable + 0.01 * RNG.normal(size=variable.shape))
    after = attributor.attribute(x, 1, method=FIXED)
    assert programs(attributor) == {"GradientIntegrand": True}
    with as_written():
        expected = ta.Attributor(model).attribute(x, 1, method=FIXED)
    size = np.abs(expected.attributions).max()
    np.testing.assert_allclose(after.attributions, expected.attributions, rtol=0, atol=1e-5 * size)
    assert np.abs(before.attributions - after.attributions).max() > 1e-2 * size


@functools.cache
def of_two():
    """A net of two inputs, whose attributor all methods share."""
    first, second = keras.Input((12,), name="a"), keras.Input((5, 4), name="b")
    hidden = layers.Concatenate()([layers.Dense(6)(first), layers.Flatten()(layers.Dense(3)(second))])
    return keras.Model([first, second], layers.Dense(3, activation="softmax")(layers.Dense(8, activation="gelu")(hidden)))


@pytest.mark.parametrize(
    "method",
    [
        FIXED,
        REFINED,
        ta.ExpectedGradients(40),
        pytest.param(ta.IntegratedGradients(rule="trapezoid", n_steps=9), marks=pytest.mark.slow),
        ta.SmoothGrad(FIXED, n_samples=3),
        pytest.param(ta.SmoothGrad(REFINED, n_samples=3), marks=pytest.mark.slow),  # copies, and nodes that are kept, are above
    ],
    ids=str,
)
def test_several_baselines_of_several_inputs(method, everywhere, compared):
    """Tables of references are of different lengths: one for all, and some for each example."""
    x = {"a": RNG.normal(size=(5, 12)).astype("float32"), "b": RNG.normal(size=(5, 5, 4)).astype("float32")}
    other = RNG.normal(size=(3, 12)).astype("float32")
    baselines = {
        "a": ta.Baseline("three", lambda x, rng: other),
        "b": ta.Baseline("half of it", lambda x, rng: 0.5 * x[:, None], shared=False),
    }
    attributor = attributor_for(of_two(), batch_size=7)  # paths go on from one block to the next
    attributor.attribute(x, method=method, baselines=baselines, seed=0)
    assert compared[1] == 1
    assert programs(attributor)["GradientIntegrand"]


@pytest.mark.usefixtures("double", "everywhere")
@pytest.mark.parametrize("method", [FIXED, ta.IntegratedGradients(1e-4)], ids=str)
def test_float64(method, compared):
    model = wide((8, 8), 24)
    ta.Attributor(model).attribute(RNG.normal(size=(4, 24)), method=method)
    assert compared[1] == 1


def test_an_example_gets_the_same_in_any_company():
    x = RNG.uniform(size=(9, 4096)).astype("float32")
    whole = anew(wide()).attribute(x, 1, method=FIXED)
    alone = ta.Attributor(wide(), batch_size=5).attribute(x[4:5], 1, method=FIXED)
    size = np.abs(alone.attributions).max()
    np.testing.assert_allclose(whole.attributions[4], alone.attributions[0], rtol=0, atol=1e-6 * size)


@pytest.fixture(scope="module")
def narrow():
    keras.utils.set_random_seed(1)
    net = [layers.Dense(6), layers.Dense(6, "gelu", name="dense"), layers.Dense(3, "softmax")]
    return keras.Sequential([keras.Input((9,)), *net])


@pytest.mark.usefixtures("everywhere")
def test_what_does_not_gain_or_looks_at_each_gradient_is_run_as_it_is(narrow):
    methods = {
        "gradient": None,
        "gradient_times_input": None,
        "interior_gradients": None,
        "deeplift": None,
        "occlusion": None,
        ta.Conductance(n_steps=9): "dense",
        ta.IntegratedGradients(n_steps=9, path=lambda baseline, x, alpha: baseline + alpha**2 * (x - baseline)): None,
        ta.IntegratedGradients(n_steps=1): None,
    }
    whole, seen = ta.Attributor(narrow), set()
    for method, at in methods.items():
        attributor = whole.observing(at)
        attributor.attribute(RNG.normal(size=(4, 9)).astype("float32"), method=method)
        (one,) = attributor._sessions.values()
        ran = {(id(other), *key) for other in (one, *one._others.values()) for key in other._programs}
        assert ran - seen or method in ("gradient_times_input", "interior_gradients"), method  # which share theirs
        seen |= ran
        assert not any(hoisted for *_, hoisted in ran), method


def test_a_graph_that_cannot_be_entered_behind_it_is_run_as_it_is(everywhere):
    fixed = keras.Input(batch_shape=(4, 9))
    nets = {
        "half precision": keras.Sequential(
            [keras.Input((9,)), layers.Dense(6, "gelu", dtype="mixed_bfloat16"), layers.Dense(3)]
        ),
        "fixed batch": keras.Model(fixed, layers.Dense(3)(layers.Dense(6, "gelu")(fixed))),
    }
    found = {name: ta.Attributor(net) for name, net in nets.items()}
    found["xla"] = ta.Attributor(wide((6,), 9), jit_compile=True)
    found["eager"] = ta.Attributor(wide((6,), 9), eager=True)
    for name, attributor in found.items():
        attributor.attribute(RNG.normal(size=(4, 9)).astype("float32"), 1, method=FIXED)
        assert not any(programs(attributor).values()), name


def test_a_first_convolution_that_gives_more_than_it_takes_is_left_where_it_is():
    net = [layers.Conv2D(8, 3, activation="relu"), layers.GlobalAveragePooling2D(), layers.Dense(3)]
    attributor = ta.Attributor(keras.Sequential([keras.Input((16, 16, 3)), *net]))
    attributor.attribute(RNG.uniform(size=(2, 16, 16, 3)).astype("float32"), 1, method=FIXED)
    assert programs(attributor) == {"GradientIntegrand": False}


def test_an_infinite_gradient_at_a_row_of_no_weight_spoils_nothing(everywhere, compared):
    kernel = tf.Variable(RNG.uniform(0.5, 1, (6, 3)).astype("float32"))
    attributor = ta.Attributor(lambda x: tf.reduce_sum(tf.sqrt(tf.matmul(x, kernel)), 1))
    x = RNG.uniform(0.5, 1, (3, 6)).astype("float32")
    # the input's own row is only looked at, and its gradient is infinite
    result = attributor.attribute(np.zeros_like(x), baselines=x[0], method=FIXED)
    assert compared[1] == 1
    assert np.isfinite(result.attributions).all()
    refused = lambda: attributor.attribute(np.zeros_like(x), baselines=x[0], method=ta.IntegratedGradients(rule="trapezoid"))  # noqa: E731
    assert_refused(refused, "NaN or infinite")
