"""The words behind token ids, from models in memory and from exports, and the strings that fell into hash buckets."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_attrib as ta

from ...conftest import assert_refused, make_cnn, spread
from ...helpers.exports import tf_keras_columns, v1_file_table

WORDS = ["good", "bad", "film", "a"]
TEXTS = np.array(["A good film", "bad bad thing"])
ROWS = np.array([["good", "strange", "other"], ["bad", "good", "strange"]])
WHOLE, NUMBER = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER


def text_model(layer, library=keras, shape=(3,), head="softmax"):
    """Strings through a layer that gives ids, an embedding, softmax."""
    of = library.layers
    text = of.Input(shape, dtype="string", name="text")
    vectors = of.Embedding(20, 4, name="vectors", embeddings_initializer=library.initializers.RandomNormal(stddev=0.8, seed=3))
    return library.Model(text, of.Dense(2, activation=head)(of.GlobalAveragePooling1D()(vectors(layer(text)))))


def vectorisation(of=layers, **options):
    return of.TextVectorization(output_sequence_length=4, name="words", **options)


def adapted(of=layers):
    layer = vectorisation(of)
    layer.adapt(["good bad film a", "good bad film", "good bad", "good"])
    return layer


def explained(model, inputs):
    return ta.Attributor(model, at="embeddings").attribute(inputs, target=1, method="gradient", verbose=False)


def tokens_of(model, inputs):
    """The tokens of the lookup in a model."""
    return explained(model, inputs).tokens.tolist()


# Keras in memory


def test_keras_layers():
    assert ta.vocabulary(text_model(vectorisation(vocabulary=WORDS), shape=())) == ["", "[UNK]", *WORDS]
    assert ta.vocabulary(text_model(layers.StringLookup(vocabulary=WORDS))) == ["[UNK]", *WORDS]
    assert ta.vocabulary(text_model(layers.StringLookup(vocabulary=WORDS, num_oov_indices=2))) == ["[UNK]"] * 2 + WORDS


def test_a_keras_file(tmp_path):
    text_model(vectorisation(vocabulary=WORDS), shape=()).save(tmp_path / "model.keras")
    assert ta.vocabulary(tmp_path / "model.keras") == ["", "[UNK]", *WORDS]


def test_a_table_in_a_keras_layer():
    class Words(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            initializer = tf.lookup.KeyValueTensorInitializer(WORDS, tf.constant([2, 3, 5, 6], tf.int64))
            self.table = tf.lookup.StaticHashTable(initializer, -1)

        def call(self, x):
            return tf.maximum(self.table.lookup(x), 0)

    model = text_model(Words(name="mine"))
    assert ta.vocabulary(model) == ["", "", "good", "bad", "", "film", "a"] == ta.vocabulary(model, "mine")
    assert tokens_of(model, ROWS) == [["good", "", ""], ["bad", "good", ""]]


def two_lookups(names=("left", "right")):
    inputs = [keras.Input((2,), dtype="string", name=name) for name in names]
    parts = [
        layers.Flatten()(layers.Embedding(6, 2)(layers.StringLookup(vocabulary=words, name=f"words_{name}")(tensor)))
        for tensor, name, words in zip(inputs, names, (WORDS, WORDS[:2]), strict=True)
    ]
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.Concatenate()(parts)))


def test_several_are_listed_and_chosen_by_name(tmp_path):
    model = two_lookups()
    assert_refused(lambda: ta.vocabulary(model), "2 vocabularies", "'words_left' (5,)", "'words_right' (3,)")
    assert ta.vocabulary(model, "words_right") == ["[UNK]", *WORDS[:2]]
    assert_refused(lambda: ta.vocabulary(model, "words_middle"), "'words_middle'", "'words_left' (5,)")
    model.export(tmp_path, verbose=False)
    assert_refused(lambda: ta.vocabulary(tmp_path), "2 vocabularies", "words_left", "words_right")
    with pytest.raises(ta.AttributionError, match="words_left") as raised:
        ta.vocabulary(tmp_path, "words")
    name = next(part for part in str(raised.value).split("'") if part.startswith("words_left"))
    assert ta.vocabulary(tmp_path, name) == ["[UNK]", *WORDS]


def test_nothing_found(tmp_path):
    model = make_cnn()
    assert_refused(lambda: ta.vocabulary(model), "'cnn'", "no vocabulary")
    model.export(tmp_path, verbose=False)
    assert_refused(lambda: ta.vocabulary(tmp_path), "no vocabulary")
    assert_refused(lambda: ta.vocabulary(3), "a Keras model or a path", "int")
    assert_refused(lambda: ta.vocabulary(tmp_path / "nothing"), "no model")


# exports of Keras


# A vocabulary from a file is in the next test, too.
@pytest.mark.parametrize("kind", ["adapted", pytest.param("file", marks=pytest.mark.slow)])
def test_text_vectorisation_in_an_export(kind, tmp_path):
    (tmp_path / "words.txt").write_text("\n".join(WORDS))
    layer = adapted() if kind == "adapted" else vectorisation(vocabulary=str(tmp_path / "words.txt"))
    model = text_model(layer, shape=())
    model.export(tmp_path / "export", verbose=False)
    (tmp_path / "words.txt").unlink()
    assert ta.vocabulary(tmp_path / "export") == ["", "[UNK]", *WORDS] == ta.vocabulary(tmp_path / "export", "words_1")
    result = explained(tmp_path / "export", TEXTS)
    tokens, page = result.tokens.tolist(), result.to_html()
    assert tokens == [["a", "good", "film", ""], ["bad", "bad", "[UNK]", ""]]
    assert kind == "file" or tokens == tokens_of(model, TEXTS)
    assert ">good</span>" in page


def test_string_lookup_in_an_export(tmp_path):
    (tmp_path / "words.txt").write_text("\n".join(WORDS))
    for number, words in enumerate((WORDS, str(tmp_path / "words.txt"))):
        path = tmp_path / str(number)
        text_model(layers.StringLookup(vocabulary=words, mask_token="")).export(path, verbose=False)
        assert ta.vocabulary(path) == ["", "[UNK]", *WORDS]
    assert tokens_of(path, ROWS) == [["good", "[UNK]", "[UNK]"], ["bad", "good", "[UNK]"]]


@pytest.mark.parametrize("kind", ["vectorisation", pytest.param("lookup", marks=pytest.mark.slow)])  # which is in the first
def test_tf_keras(kind, tmp_path):
    tf_keras = pytest.importorskip("tf_keras")
    of = tf_keras.layers
    layer = adapted(of) if kind == "vectorisation" else of.StringLookup(vocabulary=WORDS)
    model = text_model(layer, tf_keras, (1,) if kind == "vectorisation" else (3,))
    inputs = TEXTS[:, None] if kind == "vectorisation" else ROWS
    model.save(tmp_path, save_format="tf")
    assert ta.vocabulary(tmp_path) == ta.vocabulary(model) == layer.get_vocabulary()
    assert tokens_of(tmp_path, inputs) == (
        [["a", "good", "film", ""], ["bad", "bad", "[UNK]", ""]]
        if len(inputs[0]) == 1
        else [["good", "[UNK]", "[UNK]"], ["bad", "good", "[UNK]"]]
    )


def test_ids_through_a_table(tmp_path):
    ids = keras.Input((3,), dtype="int64", name="ids")
    vectors = layers.Embedding(5, 4, embeddings_initializer=spread())(layers.IntegerLookup(vocabulary=[70, 80, 90])(ids))
    model = keras.Model(ids, layers.Dense(2, activation="softmax")(layers.Flatten()(vectors)))
    model.export(tmp_path, verbose=False)
    assert ta.vocabulary(tmp_path) == ["[UNK]", "70", "80", "90"]
    assert tokens_of(tmp_path, np.array([[80, 70, 5]])) == [["80", "70", "[UNK]"]]


# tables of tf.lookup


class Module(tf.Module):
    """Words through a table to probabilities."""

    def __init__(self, table, rows=10):
        self.table = table
        self.vectors = tf.Variable(np.random.default_rng(0).normal(size=(rows, 2)).astype("float32"))

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.string)])
    def __call__(self, words):
        return tf.nn.softmax(tf.reduce_mean(tf.nn.embedding_lookup(self.vectors, self.table.lookup(words)), 1))


def saved(table, path):
    tf.saved_model.save(Module(table), str(path))
    return path


def test_a_table_from_a_file(tmp_path):
    file = tmp_path / "words.txt"
    # TensorFlow ends a line at \n alone
    file.write_text("good\nfil\u2028m\nbad\nleft out\n", encoding="utf-8")
    initializer = tf.lookup.TextFileInitializer(
        str(file), tf.string, WHOLE, tf.int64, NUMBER, vocab_size=3, value_index_offset=2
    )
    table = tf.lookup.StaticHashTable(initializer, 1)
    path = saved(table, tmp_path / "export")
    assert ta.vocabulary(path) == ["", "[UNK]", "good", "fil\u2028m", "bad"]
    assert table.lookup(tf.constant(["good", "fil\u2028m", "bad"])).numpy().tolist() == [2, 3, 4]
    assert tokens_of(path, ROWS) == [["good", "[UNK]", "[UNK]"], ["bad", "good", "[UNK]"]]


def test_a_table_from_columns_of_a_file(tmp_path):
    (tmp_path / "words.txt").write_text("7,good\n3,bad\n")
    initializer = tf.lookup.TextFileInitializer(str(tmp_path / "words.txt"), tf.string, 1, tf.int64, 0, delimiter=",")
    assert ta.vocabulary(saved(tf.lookup.StaticHashTable(initializer, -1), tmp_path / "export")) == [
        "",
        "",
        "",
        "bad",
        "",
        "",
        "",
        "good",
    ]


@pytest.mark.parametrize("mutable", [False, True])
def test_a_table_of_constants_and_a_mutable_one(mutable, tmp_path):
    keys, values = tf.constant(["good", "bad"]), tf.constant([4, 2], tf.int64)
    if mutable:
        table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, 1)
        table.insert(keys, values)
    else:
        table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), 1)
    path = saved(table, tmp_path / "export")
    assert ta.vocabulary(path) == ["", "[UNK]", "bad", "", "good"]
    assert tokens_of(path, ROWS) == [["good", "[UNK]", "[UNK]"], ["bad", "good", "[UNK]"]]
    if mutable:
        (path / "variables" / "variables.data-00000-of-00001").write_bytes(b"")
        assert_refused(lambda: ta.vocabulary(path), "checkpoint")


def test_indices_far_apart_are_a_dict(tmp_path):
    values = tf.constant([-4, 10**12], tf.int64)
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["good", "bad"], values), -1)
    assert ta.vocabulary(saved(table, tmp_path / "export")) == {-4: "good", 10**12: "bad"}


def test_tensorflow_1(tmp_path):
    path = v1_file_table(tmp_path / "export", tmp_path / "words.txt")
    assert ta.vocabulary(path) == ["a", "b"]


def test_no_more_is_read_than_a_vocabulary_has(tmp_path, monkeypatch):
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(WORDS, tf.range(4, dtype=tf.int64)), -1)
    path = saved(table, tmp_path / "export")
    monkeypatch.setattr("tf_attrib.graph.saved.vocabulary.MAX_KEYS", 3)
    assert_refused(lambda: ta.vocabulary(path), "more than 3 words")


def test_only_files_of_the_export_are_read(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("good\nbad\n")
    initializer = tf.lookup.TextFileInitializer(str(file), tf.string, WHOLE, tf.int64, NUMBER)
    path = saved(tf.lookup.StaticHashTable(initializer, -1), tmp_path / "export")
    inside = path / "assets" / "words.txt"
    inside.unlink()
    inside.symlink_to(file)
    assert_refused(lambda: ta.vocabulary(path), "no vocabulary")


# hash buckets


def test_hash_buckets_of_a_layer(tmp_path):
    assert tokens_of(text_model(layers.Hashing(10, salt=[1, 2])), ROWS) == ROWS.tolist()
    text_model(layers.Hashing(10, mask_value="")).export(tmp_path, verbose=False)
    assert tokens_of(tmp_path, ROWS) == ROWS.tolist()
    assert_refused(lambda: ta.vocabulary(tmp_path), "no vocabulary", "hash buckets")


def test_known_words_and_buckets_for_others(tmp_path):
    text_model(layers.StringLookup(vocabulary=WORDS, num_oov_indices=3)).export(tmp_path, verbose=False)
    assert ta.vocabulary(tmp_path) == ["", "", "", *WORDS]
    assert tokens_of(tmp_path, ROWS) == ROWS.tolist()


def test_hash_buckets_of_sequences_of_any_length(tmp_path):
    class Sequences(Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, texts):
            ids = tf.ragged.map_flat_values(lambda words: 1 + tf.strings.to_hash_bucket_fast(words, 3), tf.strings.split(texts))
            return tf.nn.softmax(tf.reduce_sum(tf.nn.embedding_lookup(self.vectors, ids.to_tensor(shape=[None, 4])), 1))

    tf.saved_model.save(Sequences(None), str(tmp_path))
    assert tokens_of(tmp_path, np.array(["one", "b c d e f", "a b"])) == [
        ["one", "", "", ""],
        ["b", "c", "d", "e"],
        ["a", "b", "", ""],
    ]


def test_feature_columns(tmp_path):
    pytest.importorskip("tf_keras")
    path = tf_keras_columns(tmp_path)
    assert ta.vocabulary(path) == ["s", "m", "l"]
    inputs = {"color": np.array([["red"], ["blue"]]), "size": np.array([["m"], ["l"]]), "age": np.ones((2, 1), "float32")}
    at = ta.embeddings(next(one.name for one in ta.inspect(path).embeddings if "size" in one.name))
    result = ta.Attributor(path, at=at).attribute(inputs, method="gradient", verbose=False)
    assert result.tokens.tolist() == [["m"], ["l"]]


@pytest.mark.parametrize("given", [None, 3])
def test_neither_a_model_nor_a_path(given):
    assert_refused(lambda: ta.vocabulary(given), "takes a Keras model or a path", type(given).__name__)
