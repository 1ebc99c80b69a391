"""Flattening: every call is replaced by its body, under the names that an inspection gives, and nothing else changes."""

import gc

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.graph.graphdef.flatten import CUSTOM, Flattening, add_flat
from tf_attrib.graph.saved import custom_gradients

from ...conftest import assert_refused


def graph_of(function, *specs):
    """The GraphDef of a function with its library, and the references of inputs and outputs."""
    concrete = tf.function(function).get_concrete_function(*specs)
    return concrete.graph.as_graph_def(), [tensor.name for tensor in concrete.inputs], [one.name for one in concrete.outputs]


def evaluated(flat, fed):
    """The tensors asked for, at arrays by reference."""

    def run():
        return add_flat(flat, {reference: tf.constant(value) for reference, value in fed.items()})

    return [value.numpy() for value in tf.compat.v1.wrap_function(run, [])()]


@tf.function
def double(x):
    return 2.0 * x


@tf.function
def quadruple(x):
    return double(double(x)) + 0.0


X = tf.TensorSpec([None], tf.float32)
VALUES = np.array([1.0, -2.0], "float32")


def test_calls_in_calls_become_paths():
    graph, inputs, outputs = graph_of(lambda x: quadruple(x) + double(x), X)
    flat = Flattening(graph, inputs).flat(outputs)
    names = {node.name for node in flat.graph.node}
    assert {"PartitionedCall/PartitionedCall/mul", "PartitionedCall/PartitionedCall_1/mul", "PartitionedCall_1/mul"} <= names
    assert not any("Call" in node.op for node in flat.graph.node)
    assert not flat.graph.library.function
    assert flat.sources == tuple(inputs)
    np.testing.assert_allclose(evaluated(flat, {inputs[0]: VALUES})[0], 6 * VALUES)


def test_a_path_that_is_taken_already():
    graph, inputs, outputs = graph_of(lambda x: double(x), X)
    call = next(node for node in graph.node if "Call" in node.op)
    other = graph.node.add(name=call.name + "/mul", op="Neg", input=[call.name])
    other.attr["T"].type = tf.float32.as_datatype_enum
    flat = Flattening(graph, inputs).flat([*outputs, other.name])
    assert len({node.name for node in flat.graph.node}) == len(flat.graph.node)
    found = evaluated(flat, {inputs[0]: VALUES})
    np.testing.assert_allclose(found, [2 * VALUES, -2 * VALUES])


def test_bodies_of_loops_and_branches_are_flat_and_renamed():
    def function(x):
        for _ in tf.range(3):
            x = quadruple(x)
        return tf.cond(tf.reduce_sum(x) > 0, lambda: double(x), lambda: -quadruple(x))

    graph, inputs, outputs = graph_of(function, X)
    flat = Flattening(graph, inputs).flat(outputs, "_new")
    assert all(function.signature.name.endswith("_new") for function in flat.graph.library.function)
    assert not any("Call" in node.op for function in flat.graph.library.function for node in function.node_def)
    for values in (VALUES, -VALUES):
        np.testing.assert_allclose(
            evaluated(flat, {inputs[0]: values})[0], 2 * 64 * values if values.sum() > 0 else -4 * 64 * values
        )


def test_what_is_not_needed_is_left_out():
    counter = tf.Variable(0.0)

    def function(x):
        counter.assign_add(1.0)
        tf.print("seen")
        tf.debugging.assert_positive(tf.size(x))
        unused = tf.exp(x)
        with tf.device("/CPU:0"):
            return double(x), unused

    graph, inputs, outputs = graph_of(function, X)
    flat = Flattening(graph, inputs[:1]).flat(outputs[:1])
    assert {node.op for node in flat.graph.node} == {"Mul", "Const", "Identity"}
    assert not any(node.device or any(reference.startswith("^") for reference in node.input) for node in flat.graph.node)
    assert set(graph_of(function, X)[0].node[0].attr) == set(graph.node[0].attr)  # the graph itself is as it was


def test_loops_of_version_1_keep_their_control_edges():
    tf.compat.v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default() as inner:
            x = tf.compat.v1.placeholder(tf.float32, [None], "x")
            _, y = tf.while_loop(lambda k, x: k < 3, lambda k, x: (k + 1, 2.0 * x), (0, x))
    finally:
        tf.compat.v1.enable_control_flow_v2()
    flat = Flattening(inner.as_graph_def(), ["x:0"]).flat([y.name])
    assert any(reference.startswith("^") for node in flat.graph.node for reference in node.input)
    np.testing.assert_allclose(evaluated(flat, {"x:0": VALUES})[0], 8 * VALUES)


def test_an_output_that_is_an_input():
    graph, inputs, _ = graph_of(lambda x: tf.exp(x), X)
    flat = Flattening(graph, inputs).flat(inputs)
    assert not flat.graph.node
    np.testing.assert_array_equal(evaluated(flat, {inputs[0]: VALUES})[0], VALUES)


def test_broken_graphs_are_said_to_be():
    graph, inputs, outputs = graph_of(lambda x: double(x), X)
    next(node for node in graph.library.function[0].node_def if node.op == "Mul").input[0] = "nobody:z:0"
    assert_refused(lambda: Flattening(graph, inputs).flat(outputs), "broken", "PartitionedCall/nobody")
    graph, inputs, outputs = graph_of(lambda x: tf.exp(x), X)
    next(node for node in graph.node if node.op == "Exp").op = "Unheard"
    assert_refused(lambda: Flattening(graph, inputs).flat(outputs), "'Unheard'", "import the library")
    graph, inputs, outputs = graph_of(lambda x: double(x), X)
    graph.library.gradient.add(function_name=graph.library.function[0].signature.name, gradient_func="other")
    assert_refused(lambda: Flattening(graph, inputs).flat(outputs), "gradient that its author wrote", "ta.tensor")


def test_functions_without_end_are_refused(monkeypatch):
    monkeypatch.setattr("tf_attrib.graph.graphdef.flatten.LIMIT", 200)
    graph, inputs, outputs = graph_of(lambda x: double(x), X)
    function = graph.library.function[0]
    call = function.node_def.add(name="again", op="PartitionedCall", input=["x"])
    call.attr["f"].func.name = function.signature.name
    call.attr["Tin"].list.type.append(1)
    call.attr["Tout"].list.type.append(1)
    function.ret[function.signature.output_arg[0].name] = "again:output:0"
    assert_refused(lambda: Flattening(graph, inputs).flat(outputs), "without end")


# gradients of their author's


class Silu(tf.Module):
    """A gradient of TensorFlow's own making, once in the open and once in a loop."""

    def __init__(self, steps):
        self.steps = steps

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    def __call__(self, x):
        if self.steps is None:
            return tf.nn.softmax(tf.nn.silu(x))
        for _ in tf.range(self.steps):
            x = tf.nn.silu(x)
        return tf.nn.softmax(x)


@pytest.mark.parametrize(("steps", "kept"), [(None, True), (None, False), (2, True)])
def test_a_lost_gradient_is_never_silent(steps, kept, tmp_path):
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=kept)
    tf.saved_model.save(Silu(steps), str(tmp_path), options=options)
    x = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
    attributor = ta.Attributor(tmp_path)
    if steps is None and kept:
        expected = ta.Attributor(lambda x: tf.nn.softmax(tf.nn.silu(x))).attribute(x, target=1, method="gradient")
        result = attributor.attribute(x, target=1, method="gradient")
        np.testing.assert_allclose(result.attributions, expected.attributions, rtol=1e-5)
    else:
        assert_refused(lambda: attributor.attribute(x, method="gradient"), "IdentityN", "custom_gradient", "ta.tensor(name)")
    if steps is None:  # behind the operation nothing is lost
        ta.Attributor(tmp_path, at=ta.tensor("IdentityN:0")).attribute(x, method="gradient")


def test_the_name_of_the_gradient_is_registered_once():
    assert custom_gradients.CUSTOM == CUSTOM
    with pytest.raises(KeyError, match=CUSTOM):
        tf.RegisterGradient(CUSTOM)(lambda operation, gradient: gradient)


# where a gradient cannot be had


class Hard(tf.Module):
    """Functions that nothing flows through."""

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    def rounded(self, x):
        return 2.0 * tf.round(x)

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32)])
    def hue(self, x):
        return tf.image.adjust_hue(x[:, None, None, :], 0.2)[:, 0, 0]

    @tf.function(input_signature=[tf.TensorSpec([None, 5], tf.int32)])
    def looped(self, ids):
        state = tf.zeros([tf.shape(ids)[0], 4])
        for k in tf.range(5):
            state = tf.tanh(state + tf.gather(self.table, ids[:, k]))
        return state

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    def classes(self, x):
        return tf.argmax(x, 1)


def test_errors_name_the_operation(tmp_path):
    module = Hard()
    module.table = tf.Variable(tf.ones([9, 4]))
    tf.saved_model.save(
        module,
        str(tmp_path),
        signatures={"rounded": module.rounded, "hue": module.hue, "looped": module.looped, "classes": module.classes},
    )
    x, ids = np.ones((2, 4), "float32"), np.ones((2, 5), "int32")

    def attribute(signature, inputs=x, **options):
        return lambda: ta.Attributor(tmp_path, signature=signature, **options).attribute(inputs, target=0, method="gradient")

    assert_refused(attribute("rounded"), "/Round' (Round)", "not differentiable")
    assert_refused(attribute("hue", x[:, :3]), "AdjustHue", "occlusion")
    assert_refused(attribute("looped", ids), "Gather", "inside a loop", "ta.tensor")
    assert_refused(attribute("looped", ids, at="embeddings"), "inside a loop")
    assert_refused(attribute("looped", ids, at=ta.tensor("serving_default_ids")), "no tensor is called")
    assert_refused(attribute("classes"), "no float output", "int64")
    assert_refused(attribute(None), "4 signatures", "'rounded'", "signature=")
    assert_refused(attribute("round"), "'rounded'")
    assert_refused(lambda: ta.Attributor(lambda x: x, signature="rounded"), "signature", "SavedModel")


# what is private to TensorFlow


def test_bodies_are_let_go_of_with_their_attributor(tmp_path):
    """Fails where TensorFlow moves what `graph.private` uses, or lets go of bodies by itself."""
    from tensorflow.python.eager import context

    tf.saved_model.save(Loop(), str(tmp_path))
    x = np.ones((1, 4), "float32")

    def registered():
        gc.collect()
        return {name for name in context.context().list_function_names() if "while" in name}

    def explain():
        ta.Attributor(tmp_path).attribute(x, target=0, method="gradient")
        ta.Attributor(lambda x: tf.while_loop(lambda k, x: k < 3, lambda k, x: (k + 1, tf.tanh(x)), (0, x))[1]).attribute(
            x, target=0, method="gradient"
        )

    explain()
    before = registered()
    explain()
    assert registered() <= before
    user = tf.function(lambda x: tf.while_loop(lambda k, x: k < 3, lambda k, x: (k + 1, 2.0 * x), (0, x))[1])
    assert registered() <= before
    ta.Attributor(user).attribute(x, target=0, method="gradient")
    gc.collect()
    np.testing.assert_allclose(user(x), 8 * x)  # whose bodies were used as well


class Loop(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    def __call__(self, x):
        for _ in tf.range(3):
            x = tf.tanh(x)
        return x
