"""Graphs of TensorFlow 1 and frozen graphs are explained as the same computation in TensorFlow 2."""

import numpy as np
import pytest
import tensorflow as tf

import tf_attrib as ta

from ...conftest import assert_refused, make_recurrent_text
from ...helpers.shared import attributor_for
from .test_exported import IDS, RULE, assert_same

v1 = tf.compat.v1
RNG = np.random.default_rng(6)
KERNEL = RNG.normal(size=(4, 5)).astype("float32")
HEAD = RNG.normal(size=(5, 3)).astype("float32")
WORDS = RNG.normal(size=(9, 4)).astype("float32")
X = RNG.normal(size=(4, 4)).astype("float32")
TOKENS = RNG.integers(0, 9, (4, 7))


def expected(x):
    return tf.nn.softmax(tf.tanh(x @ KERNEL) @ HEAD)


def network(x):
    kernel, head = v1.get_variable("kernel", initializer=KERNEL), v1.get_variable("head", initializer=HEAD)
    return tf.nn.softmax(tf.matmul(tf.tanh(tf.matmul(x, kernel)), head))


def save(path, build, resource=True):
    """Saves what `build()` gives, inputs and outputs of a signature, as TensorFlow 1 does."""
    with tf.Graph().as_default(), v1.Session() as session:
        with v1.variable_scope("", use_resource=resource):
            inputs, outputs = (
                {name: v1.saved_model.build_tensor_info(tensor) for name, tensor in tensors.items()} for tensors in build()
            )
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        builder = v1.saved_model.Builder(str(path))
        signature = v1.saved_model.build_signature_def(inputs, outputs, "predict")
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature}, main_op=v1.tables_initializer()
        )
        builder.save()
    return path


TABLE = tf.Variable(WORDS)


def expected_of_both(inputs):
    return expected(inputs["x"] + tf.reduce_mean(tf.gather(TABLE, inputs["ids"]), 1))


@pytest.mark.parametrize("resource", [True, False])
def test_placeholders_and_variables_of_both_kinds(resource, tmp_path):
    """Floats and, through a table, ids; beside an output that is no score."""

    def build():
        x, ids = v1.placeholder(tf.float32, [None, 4], "x"), v1.placeholder(tf.int64, [None, 7], "ids")
        vectors = tf.nn.embedding_lookup(v1.get_variable("table", initializer=WORDS), ids)
        return {"x": x, "ids": ids}, {"p": network(x + tf.reduce_mean(vectors, 1)), "first": ids[:, 0]}

    result = assert_same(
        attributor_for(expected_of_both), ta.Attributor(save(tmp_path / "a", build, resource)), {"x": X, "ids": TOKENS}
    )
    assert {one.shape for one in result.attributions.values()} == {(4, 4), (4, 7, 4)}


def test_an_unknown_shape_is_that_of_the_call(tmp_path):
    def build():
        x = v1.placeholder(tf.float32, None, "x")
        return {"x": x}, {"p": network(x)}

    assert_same(attributor_for(expected), ta.Attributor(save(tmp_path / "a", build)), X)


@pytest.mark.parametrize("resource", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_queue_is_swapped_for_what_is_fed(resource, tmp_path):
    def build():
        queue = v1.FIFOQueue(10, [tf.float32], [[4]])
        queue.enqueue_many([tf.zeros([3, 4])])
        return {}, {"p": network(queue.dequeue_many(3))}

    attributor = ta.Attributor(save(tmp_path / "a", build, resource))
    assert list(attributor.model.specs) == ["fifo_queue_DequeueMany:0"]
    assert_same(attributor_for(expected), attributor, X)
    named = attributor.attribute({"fifo_queue_DequeueMany:0": X}, method=RULE)
    assert named.attributions["fifo_queue_DequeueMany:0"].shape == (4, 4)


@pytest.mark.parametrize("one_shot", [True, False])
def test_an_iterator_is_swapped_for_what_is_fed(one_shot, tmp_path):
    def build():
        data = v1.data.Dataset.from_tensor_slices((np.arange(4), X)).batch(2)
        iterator = v1.data.make_one_shot_iterator(data) if one_shot else v1.data.make_initializable_iterator(data)
        _, x = iterator.get_next()
        return ({"x": x} if one_shot else {}), {"p": network(x)}

    attributor = ta.Attributor(save(tmp_path / "a", build))
    assert list(attributor.model.specs) == (["x"] if one_shot else ["IteratorGetNext:1"])
    named = attributor if one_shot else attributor.observing(ta.tensor("IteratorGetNext:1"))
    assert_same(attributor_for(expected), named, X)


def unrolled(ids):
    vectors = tf.gather(TABLE, ids)
    state = tf.zeros_like(vectors[:, 0])
    for k in range(7):
        state = tf.tanh(state @ KERNEL[:, :4] + vectors[:, k])
    return tf.nn.softmax(state)


@pytest.mark.parametrize(("of_version_2", "resource"), [(True, False), (False, False), (False, True)])
def test_loops(of_version_2, resource, tmp_path):
    def build():
        ids = v1.placeholder(tf.int64, [None, 7], "ids")
        vectors = tf.nn.embedding_lookup(v1.get_variable("table", initializer=WORDS, use_resource=resource), ids)
        kernel = v1.get_variable("kernel", initializer=KERNEL[:, :4], use_resource=resource)
        _, state = tf.while_loop(
            lambda k, state: k < 7,
            lambda k, state: (k + 1, tf.tanh(tf.matmul(state, kernel) + vectors[:, k])),
            (0, tf.zeros_like(vectors[:, 0])),
        )
        return {"ids": ids}, {"p": tf.nn.softmax(state)}

    (v1.enable_control_flow_v2 if of_version_2 else v1.disable_control_flow_v2)()
    try:
        save(tmp_path / "a", build)
    finally:
        v1.enable_control_flow_v2()
    assert_same(attributor_for(unrolled), ta.Attributor(tmp_path / "a"), TOKENS)
    assert isinstance(tf.constant(1) == tf.constant(1), tf.Tensor)  # what the gradient of such a loop needs was put back


def test_tables_of_one_name_in_two_models(tmp_path):
    def build(keys):
        def inner():
            words = v1.placeholder(tf.string, [None, 3], "words")
            initializer = tf.lookup.KeyValueTensorInitializer(tf.constant(keys), tf.constant([1, 2, 3], tf.int64))
            ids = v1.lookup.StaticHashTable(initializer, 0, name="table").lookup(words)
            vectors = tf.nn.embedding_lookup(v1.get_variable("vectors", initializer=WORDS), ids)
            return {"words": words}, {"p": network(tf.reduce_mean(vectors, 1))}

        return inner

    words, table = np.array([["a", "b", "c"], ["a", "a", "z"]]), tf.Variable(WORDS)
    model = ta.Attributor(lambda ids: expected(tf.reduce_mean(tf.gather(table, ids), 1)))
    attributors = [ta.Attributor(save(tmp_path / "".join(keys), build(keys))) for keys in (["a", "b", "c"], ["c", "b", "a"])]
    for attributor, order in zip(attributors, ("zabc", "zcba"), strict=True):
        ids = np.vectorize(order.index)(words)
        np.testing.assert_allclose(
            attributor.attribute(words, target=0, method=RULE).attributions,
            model.attribute(ids, target=0, method=RULE).attributions,
            rtol=1e-5,
            atol=1e-7,
        )


def of_rows(inputs):
    """Rows of a table, with their weights, beside a number."""
    return expected(tf.einsum("bkd,bk->bd", inputs["rows"], inputs["weights"]) + 0.1)


@pytest.mark.parametrize("combiner", ["mean", "sum", "sqrtn"])
def test_feature_columns_go_one_example_at_a_time(combiner, tmp_path):
    def build():
        words, age = v1.placeholder(tf.string, [None, 3], "words"), v1.placeholder(tf.float32, [None, 1], "age")
        bucket = tf.feature_column.categorical_column_with_hash_bucket("words", 9)
        column = tf.feature_column.embedding_column(bucket, 4, combiner=combiner, initializer=v1.constant_initializer(WORDS))
        vectors = v1.feature_column.input_layer({"words": words}, [column])
        return {"words": words, "age": age}, {"p": network(vectors + 0.1 * age)}

    attributor = ta.Attributor(save(tmp_path / "a", build), at="embeddings")
    words = np.array([["a", "b", "a"], ["q", "q", "q"], ["b", "", ""]])
    inputs = {"words": words, "age": np.ones((3, 1), "float32")}
    result = attributor.attribute(inputs, target=1, method=RULE)
    buckets = tf.strings.to_hash_bucket_fast(words, 9).numpy()
    for example, row in enumerate(words):
        there = [bucket for word, bucket in zip(row, buckets[example], strict=True) if word]
        unique = list(dict.fromkeys(there))
        counts = np.array([there.count(bucket) for bucket in unique], "float32")
        divisor = {"sum": 1, "mean": counts.sum(), "sqrtn": np.sqrt(counts.sum())}[combiner]
        size = len(unique)
        alone = {"rows": np.zeros((1, 3, 4), "float32"), "weights": np.zeros((1, 3), "float32")}
        alone["rows"][0, :size], alone["weights"][0, :size] = WORDS[unique], counts / divisor
        wanted = attributor_for(of_rows, at=ta.inputs("rows")).attribute(alone, target=1, method=RULE).attributions[0, :size]
        np.testing.assert_allclose(result.attributions[example, :size], wanted, rtol=1e-5, atol=1e-6)
        assert np.all(result.attributions[example, size:] == 0)
        words_of = {
            one: [word for word, bucket in zip(row, buckets[example], strict=True) if word and bucket == one] for one in unique
        }
        fell = [", ".join(dict.fromkeys(words_of[one])) for one in unique]
        assert result.tokens[example].tolist() == fell + [""] * (result.tokens.shape[1] - size)
    np.testing.assert_allclose(result.totals, result.difference, atol=1e-5)


# frozen graphs


def freeze(path, function, spec, lower=False):
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    concrete = tf.function(function).get_concrete_function(spec)
    graph = convert_variables_to_constants_v2(concrete, lower_control_flow=lower).graph.as_graph_def()
    path.write_bytes(graph.SerializeToString())
    return path


def test_a_frozen_graph(tmp_path):
    model, spec = make_recurrent_text(), tf.TensorSpec([None, 10], tf.int32, "tokens")
    attributor = ta.Attributor(freeze(tmp_path / "frozen.pb", lambda tokens: model(tokens), spec))
    assert list(attributor.model.specs) == ["tokens"]
    known = ta.Attributor(model)
    assert_same(known, attributor, IDS)
    assert_same(known, attributor, {"tokens": IDS})
    assert_refused(lambda: ta.Attributor(tmp_path / "frozen.pb", signature="serving_default"), "frozen", "signature")
    lowered = ta.Attributor(freeze(tmp_path / "lowered.pb", lambda tokens: model(tokens), spec, lower=True))
    assert_refused(lambda: lowered.attribute(IDS), "loop around", "lower_control_flow=False", "TensorFlow 1")
