"""A SavedModel of TensorFlow 2 is explained as the model that it was saved from: attributions are equal."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import tf_attrib as ta
from tf_attrib.graph.saved.exported import load_exported
from tf_attrib.graph.traced.heads_and_lookups import find_tensor

from ...conftest import assert_refused, make_cnn, make_mlp, make_plain_cnn, spread

RNG = np.random.default_rng(4)
RULE = ta.IntegratedGradients(rule="gauss_legendre", n_steps=30)
IMAGES = RNG.uniform(size=(3, 8, 8, 1)).astype("float32")
TABLE = RNG.normal(size=(3, 4)).astype("float32")
IDS = RNG.integers(1, 30, (3, 10)).astype("int32")
IDS[1, 6:] = 0


def assert_same(model, exported, inputs, target=None, method=RULE):
    """Attributions and scores of an export are those of `model`, with a relative L1 error of at most 1e-5."""
    expected = model.attribute(inputs, target=target, method=method, verbose=False)
    result = exported.attribute(inputs, target=target, method=method, verbose=False)
    np.testing.assert_allclose(result.scores, expected.scores, rtol=1e-5)
    leaves = [leaf if isinstance(leaf, dict) else {None: leaf} for leaf in (expected.attributions, result.attributions)]
    # embeddings have the name of their layer in one, of their operation in the other
    ordered = [
        [leaf[key] for key in sorted(leaf, key=lambda key: str(key).split("/")[-2:][0].removesuffix("_1"))] for leaf in leaves
    ]
    assert [part.shape for part in ordered[0]] == [part.shape for part in ordered[1]]
    for one, other in zip(*ordered, strict=True):
        total = np.abs(one).sum()
        assert total > 1e-3
        assert np.abs(one - other).sum() <= 1e-5 * total
    return result


def exported(model, path, **options):
    model.export(path, verbose=False)
    return ta.Attributor(str(path), **options)


# Keras 3


def test_a_convolutional_network(tmp_path):
    model = make_cnn()
    known, saved = ta.Attributor(model), exported(model, tmp_path, signature="serving_default")
    assert_same(known.explaining("logits"), saved.explaining("logits"), IMAGES, 1, "gradient")
    # to the stated accuracy, which refines on the logits that were found
    assert assert_same(known, saved, IMAGES, method="integrated_gradients").unit == "probability"
    scaled = {"preprocess": lambda x: 2 * x - 1}
    other = ta.Attributor(tmp_path / "saved_model.pb", signature="serve", **scaled)
    assert_same(ta.Attributor(model, **scaled), other, IMAGES, 1, "gradient")


def test_any_tensor_is_at_or_of(tmp_path):
    model = make_plain_cnn()
    model.export(tmp_path, verbose=False)
    conv = f"StatefulPartitionedCall_1/StatefulPartitionedCall/{model.name}_1/conv_1/Relu:0"
    traced = load_exported(tmp_path).trace(load_exported(tmp_path).specs)
    listed = ta.inspect(tmp_path, "serving_default").tensors
    assert conv in [tensor.name for tensor in listed]
    assert all(find_tensor(traced, tensor.name).name == tensor.name for tensor in listed)
    assert {find_tensor(traced, name).name for name in ("conv_1/Relu", conv[:-2])} == {conv}  # the same, named otherwise
    known, saved = ta.Attributor(model), ta.Attributor(tmp_path)
    layer = assert_same(known.observing("conv"), saved.observing(ta.tensor("conv_1/Relu")), IMAGES, 2, "gradient")
    assert layer.at == f"tensor {conv!r}"
    pair = (known, saved.observing(ta.tensor("serving_default_image:0")).explaining(ta.tensor("head_1/Softmax")))
    assert_same(*pair, IMAGES, None, "gradient")
    named = ta.Attributor(tmp_path, at="conv_1/Relu:0", of="head_1/BiasAdd:0")
    logits = assert_same(known.observing("conv").explaining("logits"), named, IMAGES, 1, "gradient")
    assert (logits.at, logits.unit) == (f"tensor {conv!r}", "raw")
    assert_refused(lambda: ta.Attributor(tmp_path, of="conv_9/Relu:0"), "no tensor is called 'conv_9/Relu:0'")
    missing = saved.observing(ta.tensor("conv_9/Relu"))
    assert_refused(lambda: missing.attribute(IMAGES), "'conv_9/Relu'", repr(conv), "(None, 6, 6, 6)")
    assert_refused(lambda: saved.observing(ta.tensor("BiasAdd")).attribute(IMAGES), "several", "head_1/BiasAdd:0")
    assert_refused(lambda: ta.Attributor(tmp_path, of=ta.tensor("nothing")), "no tensor")
    backwards = saved.observing(ta.tensor("head_1/Softmax")).explaining(ta.tensor(conv))
    assert_refused(lambda: backwards.attribute(IMAGES, (0, 0, 0)), "does not depend")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["LSTM", "GRU", "Bidirectional"])
def test_each_recurrent_network(name, tmp_path):
    tokens = keras.Input((None,) if name == "GRU" else (10,), dtype="int32", name="tokens")
    vectors = layers.Embedding(30, 4, mask_zero=name != "GRU", name="words", embeddings_initializer=spread())(tokens)
    cell = layers.Bidirectional(layers.LSTM(2)) if name == "Bidirectional" else getattr(layers, name)(3)
    model = keras.Model(tokens, layers.Dense(3, activation="softmax")(cell(vectors)))
    method = RULE if name == "LSTM" else "gradient"
    result = assert_same(ta.Attributor(model), exported(model, tmp_path), IDS, 1, method)
    assert (np.abs(result.attributions[1, 6:]).max() == 0) == (name != "GRU")


def test_recurrent_networks(tmp_path):
    """An LSTM and, backwards, a GRU, with a mask, over sequences of any length: loops of other gates are loops as these."""
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    vectors = layers.Embedding(30, 4, mask_zero=True, name="words", embeddings_initializer=spread())(tokens)
    both = layers.Bidirectional(layers.LSTM(2), backward_layer=layers.GRU(2, go_backwards=True))(vectors)
    model = keras.Model(tokens, layers.Dense(3, activation="softmax")(both))
    result = assert_same(ta.Attributor(model), exported(model, tmp_path), IDS, 1, "gradient")
    assert np.abs(result.attributions[1, 6:]).max() == 0 < np.abs(result.attributions[1, :6]).min()


def test_variables_are_live(tmp_path):
    attributor = exported(make_mlp(), tmp_path)
    x = RNG.normal(size=(3, 5)).astype("float32")
    before = attributor.attribute(x, target=1, method="gradient").scores
    head = next(one for one in attributor.model.alive.variables if "raw" in one.name and "bias" in one.name)
    head.assign_add([2.0, 2.0, 2.0])
    assert np.all(attributor.attribute(x, target=1, method="gradient").scores > before)
    assert all(tensor.dtype == tf.resource for tensor in attributor.model.live.values())  # nothing was read into the graph


def test_a_transformer_with_position_embeddings(tmp_path):
    class Positions(layers.Layer):
        def build(self, shape):
            self.table = layers.Embedding(shape[1], 8, name="positions", embeddings_initializer=spread())
            self.table.build(())

        def call(self, x):
            return x + self.table(ops.arange(ops.shape(x)[1]))

    tokens = keras.Input((10,), dtype="int32", name="tokens")
    x = Positions(name="with_positions")(layers.Embedding(30, 8, name="words", embeddings_initializer=spread())(tokens))
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(1, 4)(x, x))
    model = keras.Model(tokens, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))
    known, saved = ta.Attributor(model), exported(model, tmp_path)
    assert_same(known, saved.observing(ta.embeddings("words_1")), IDS, 1, "gradient")
    (port,) = saved.prepare(IDS)[0].function.place.ports.values()  # without the positions
    assert port.tensor.shape.as_list() == [None, 10, 8]
    both = ta.embeddings(positions=True)
    result = assert_same(known.observing(both), saved.observing(both), IDS, 1, "gradient")
    assert len(result.attributions) == 2


def test_several_inputs_by_name(tmp_path):
    tokens, table = keras.Input((10,), dtype="int32", name="tokens"), keras.Input((4,), name="a_table")
    words = layers.GlobalAveragePooling1D()(layers.Embedding(30, 4, name="words", embeddings_initializer=spread())(tokens))
    model = keras.Model([tokens, table], layers.Dense(2, activation="softmax")(layers.Concatenate()([words, table])))
    attributor = exported(model, tmp_path)
    known, given = ta.Attributor(model), {"tokens": IDS, "a_table": TABLE}
    assert_same(known, attributor, given)
    alone = ta.inputs("a_table")
    assert_same(known.observing(alone), attributor.observing(alone), given, None, "gradient")
    assert_refused(lambda: attributor.attribute([IDS, TABLE]), "by name", "'a_table', 'tokens'")


def test_text(tmp_path):
    vectorise = layers.TextVectorization(output_sequence_length=5, vocabulary=["good", "bad", "film", "a"])
    text = keras.Input((), dtype="string", name="text")
    x = layers.Flatten()(layers.Embedding(6, 4, name="words", embeddings_initializer=spread())(vectorise(text)))
    model = keras.Model(text, layers.Dense(1, activation="sigmoid")(x))
    assert_same(ta.Attributor(model), exported(model, tmp_path), np.array(["A good film", "bad bad thing"]))


def test_a_feature_space(tmp_path):
    count = 24
    data = {
        "age": RNG.uniform(20, 70, count).astype("float32"),
        "income": RNG.normal(size=count).astype("float32"),
        "job": RNG.choice(["a", "b", "c"], count),
        "code": RNG.integers(0, 5, count),
    }
    kinds = keras.utils.FeatureSpace
    space = kinds(
        {
            "age": kinds.float_discretized(num_bins=4, output_mode="int"),
            "income": kinds.float_normalized(),
            "job": kinds.string_categorical(output_mode="int"),
            "code": kinds.integer_categorical(output_mode="one_hot"),
        },
        output_mode="dict",
    )
    space.adapt(tf.data.Dataset.from_tensor_slices(data).batch(8))
    inputs, encoded = space.get_inputs(), space.get_encoded_features()

    def embedded(name):
        return layers.Flatten()(layers.Embedding(6, 3, name=name + "_vectors", embeddings_initializer=spread())(encoded[name]))

    hidden = layers.Concatenate()([embedded("age"), embedded("job"), encoded["income"], encoded["code"]])
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.Dense(5, activation="tanh")(hidden)))
    rows = {name: values[:4, None] for name, values in data.items()}
    result = assert_same(ta.Attributor(model), exported(model, tmp_path), rows)
    assert len(result.attributions) == 4
    assert set(result.by_column) == {"age", "code", "income", "job"}
    assert result.left_out == ()


def test_one_hot_rows_times_a_table_are_a_lookup(tmp_path):
    tokens = keras.Input((6,), dtype="int32")
    vectors = layers.Dense(4, name="vectors", use_bias=False, kernel_initializer=spread())(ops.one_hot(tokens, 8))
    model = keras.Model(tokens, layers.Dense(2, activation="softmax")(layers.Flatten()(ops.tanh(vectors))))
    ids = RNG.integers(0, 8, (3, 6))
    result = assert_same(ta.Attributor(model, at="vectors"), exported(model, tmp_path), ids)
    assert result.attributions.shape == (3, 6, 4)


@pytest.mark.parametrize("size", [1, 8])
def test_a_fixed_batch_size(size, tmp_path):
    inputs = keras.Input(batch_shape=(size, 4))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Dense(5, activation="tanh")(inputs)))
    assert_same(ta.Attributor(model), exported(model, tmp_path), TABLE)


# tf_keras


def saved_by_tf_keras(model, path, **options):
    """With the function of its call as its signature, or with `options` as they are."""
    (given,) = model.inputs
    spec = tf.TensorSpec(given.shape, given.dtype, "inputs")
    # without the functions of single layers, which the signature does not call, and which take a minute
    whole = {"save_traces": False, "signatures": tf.function(lambda inputs: model(inputs)).get_concrete_function(spec)}
    model.save(path, save_format="tf", **(options or whole))
    return ta.Attributor(path)


def test_tf_keras(tmp_path):
    """As `save` leaves it, with the functions of its layers."""
    tf_keras = pytest.importorskip("tf_keras")
    of = tf_keras.layers
    hidden = [of.Conv2D(3, 3, activation="relu"), of.BatchNormalization(), of.Flatten()]
    model = tf_keras.Sequential([of.Input((8, 8, 1)), *hidden, of.Dense(3, activation="softmax")])
    assert_same(ta.Attributor(model), saved_by_tf_keras(model, tmp_path, save_traces=True), IMAGES, 1, "gradient")


def test_recurrent_and_attentive_tf_keras(tmp_path):
    """A loop with a mask beside a transformer with positions; and what an inspection finds in such a file."""
    tf_keras = pytest.importorskip("tf_keras")
    of, wide = tf_keras.layers, tf_keras.initializers.RandomNormal(stddev=0.8, seed=1)
    tokens = of.Input((10,), dtype="int32", name="tokens")
    state = of.GRU(3)(of.Embedding(30, 4, mask_zero=True, name="words", embeddings_initializer=wide)(tokens))
    x = of.Embedding(20, 8, name="kinds", embeddings_initializer=wide)(tokens % 20) + of.Embedding(10, 8)(tf.range(10))
    x = of.Flatten()(of.Dense(4, activation="gelu")(of.LayerNormalization()(x + of.MultiHeadAttention(2, 4)(x, x))))
    model = tf_keras.Model(tokens, of.Dense(3, activation="softmax", name="head")(of.Concatenate()([state, x])))
    assert_same(ta.Attributor(model), saved_by_tf_keras(model, tmp_path), IDS, 1, "gradient")
    found = ta.inspect(tmp_path)
    words = next(one for one in found.embeddings if one.table == "words/embeddings")
    assert (words.pattern, words.table_shape, words.inputs) == ("ResourceGather", (30, 4), ("inputs",))
    (head,) = found.heads
    assert (head.kind, head.output) == ("softmax", "output_0")
    assert len(found.variables) == len(model.variables) == 19
    assert not any("while/" in one.name for one in found.tensors)  # nothing inside the loop can be fed


@pytest.mark.slow
def test_stacked_tf_keras_cells(tmp_path):
    tf_keras = pytest.importorskip("tf_keras")
    of, wide = tf_keras.layers, tf_keras.initializers.RandomNormal(stddev=0.8, seed=1)
    tokens = of.Input((10,), dtype="int32", name="tokens")
    vectors = of.Embedding(30, 4, mask_zero=True, name="words", embeddings_initializer=wide)(tokens)
    state = of.Bidirectional(of.LSTM(3))(of.GRU(3, return_sequences=True)(vectors))
    model = tf_keras.Model(tokens, of.Dense(3, activation="softmax")(state))
    assert_same(ta.Attributor(model), saved_by_tf_keras(model, tmp_path), IDS, 1, "gradient")


# tf.Module


class Tables(tf.Module):
    """Words through a hash table, and ids beside the probabilities."""

    def __init__(self, keys):
        initializer = tf.lookup.KeyValueTensorInitializer(tf.constant(keys), tf.constant([1, 2, 3], tf.int64))
        self.table = tf.lookup.StaticHashTable(initializer, 0)
        self.vectors = tf.Variable(RNG.normal(size=(5, 4)).astype("float32"))
        self.kernel = tf.Variable(RNG.normal(size=(4, 2)).astype("float32"))

    def probabilities(self, words):
        vectors = tf.nn.embedding_lookup(self.vectors, self.table.lookup(words))
        return tf.nn.softmax(tf.reduce_mean(vectors, 1) @ self.kernel)

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.string)])
    def __call__(self, words):
        return {"ids": self.table.lookup(words), "probabilities": self.probabilities(words)}


def test_hash_tables_of_two_models(tmp_path):
    words = np.array([["good", "bad", "bad"], ["film", "what", "good"]])
    modules = [Tables(["good", "bad", "film"]), Tables(["film", "good", "bad"])]
    for number, module in enumerate(modules):
        tf.saved_model.save(module, str(tmp_path / str(number)))
    attributors = [ta.Attributor(tmp_path / str(number)) for number in range(2)]
    for module, attributor in zip(modules, attributors, strict=True):
        assert_same(ta.Attributor(module.probabilities), attributor, words, 1)


class Loops(tf.Module):
    """Loops and branches, with calls in them."""

    def __init__(self):
        self.kernel = tf.Variable(0.5 * RNG.normal(size=(4, 4)).astype("float32"))

    @tf.function
    def step(self, x):
        return tf.tanh(x @ self.kernel)

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    def __call__(self, x):
        state, count = x, 0
        while tf.reduce_sum(tf.abs(state)) > 1e-3 and count < 5:
            state, count = self.step(state) + 0.1 * x, count + 1
        if tf.reduce_mean(state) > 0.0:
            state = self.step(2.0 * state)
        else:
            state = 3.0 * self.step(state)
        return tf.nn.softmax(state)


def test_loops_and_branches_with_calls_in_them(tmp_path):
    module = Loops()
    tf.saved_model.save(module, str(tmp_path))
    known, attributor, seen = ta.Attributor(module.__call__), ta.Attributor(tmp_path), set()
    for row in RNG.normal(size=(4, 1, 4)).astype("float32"):
        assert_same(known, attributor, row, 1, "gradient")
        seen.add(bool(tf.reduce_mean(module(row)) > 0))


# gradients of their author's


@tf.custom_gradient
def straight_through(x):
    return tf.round(x), lambda upstream: 3.0 * upstream


def test_what_reads_a_variable_that_it_has_written_is_refused(tmp_path):
    class Model(tf.Module):
        def __init__(self):
            self.count, self.seed = tf.Variable(1.0), tf.Variable([3, 4])

        def counted(self):
            self.count.assign_add(1.0)

        @tf.function(input_signature=[tf.TensorSpec((None, 3))])
        def reads(self, x):
            tf.function(self.counted)()
            return x * self.count

        @tf.function(input_signature=[tf.TensorSpec((None, 3))])
        def writes(self, x):
            found = x * self.count  # as it was before
            self.counted()
            self.seed.assign_add([1, 0])
            return found + tf.random.stateless_uniform((3,), self.seed, 0.0, 1e-9)

    model = Model()
    tf.saved_model.save(model, str(tmp_path / "a"), {"reads": model.reads, "writes": model.writes})
    assert_refused(lambda: ta.Attributor(tmp_path / "a", signature="reads"), "'reads'", "writes a variable and then reads it")
    x = RNG.normal(size=(2, 3)).astype("float32")
    found = ta.Attributor(tmp_path / "a", signature="writes").attribute(x, target=0, method="gradient", verbose=False)
    np.testing.assert_allclose(found.scores, x[:, 0], rtol=1e-5)


def test_gradients_of_their_authors_are_kept(tmp_path):
    class Straight(layers.Layer):
        def call(self, x):
            return straight_through(x)

    inputs = keras.Input((4,))
    model = keras.Model(
        inputs,
        layers.Dense(2, activation="softmax")(
            Straight()(layers.Dense(5, activation="silu", kernel_initializer=spread())(inputs))
        ),
    )
    assert_same(ta.Attributor(model), exported(model, tmp_path), TABLE, 1, "gradient")
