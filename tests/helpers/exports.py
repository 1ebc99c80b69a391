"""Exports of every kind, written by tests: of Keras 3, tf_keras, tf.Module and TensorFlow 1, and protos made by hand."""

import keras
import tensorflow as tf
import tf_keras
from keras import layers
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

v1 = tf.compat.v1


def keras_text(folder):
    """TextVectorization, an embedding, its mean, softmax; with a Dense layer on three axes, whose Tensordot gathers shapes."""
    words = layers.TextVectorization(output_sequence_length=8, vocabulary=["the", "cat", "sat"], name="words")
    text = keras.Input((), dtype="string", name="text")
    dense = layers.Dense(5, name="each")(layers.Embedding(6, 4, name="table")(words(text)))
    probabilities = layers.Dense(3, activation="softmax", name="head")(layers.GlobalAveragePooling1D()(dense))
    model = keras.Model(text, probabilities)
    model.export(folder, verbose=False)
    return str(folder)


def tf_keras_columns(folder):
    """Two feature columns, one of hash buckets and one of a vocabulary, and a number; sigmoid."""
    column = tf.feature_column
    columns = [
        column.embedding_column(column.categorical_column_with_hash_bucket("color", 10), 4, combiner="sqrtn"),
        column.embedding_column(column.categorical_column_with_vocabulary_list("size", ["s", "m", "l"]), 3),
        column.numeric_column("age"),
    ]
    inputs = {
        "color": tf_keras.Input((1,), dtype="string", name="color"),
        "age": tf_keras.Input((1,), name="age"),
        "size": tf_keras.Input((1,), dtype="string", name="size"),
    }
    hidden = tf_keras.layers.DenseFeatures(columns)(inputs)
    tf_keras.Model(inputs, tf_keras.layers.Dense(1, activation="sigmoid", name="click")(hidden)).save(folder)
    return str(folder)


class Module(tf.Module):
    """A table from a file, one of constants, a one-hot product, loops and branches, log-softmax and raw logits."""

    def __init__(self, vocabulary):
        whole, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
        self.words = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(str(vocabulary), tf.string, whole, tf.int64, number), 0
        )
        self.kinds = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(["x", "y"], tf.constant([1, 2], tf.int64)), 0
        )
        self.table = tf.Variable(tf.random.normal((6, 4)), name="table")
        self.frozen = tf.Variable(tf.ones((4, 2)), name="frozen", trainable=False)

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.string, name="tokens")])
    def serve(self, tokens):
        hidden = tf.reduce_sum(tf.gather(self.table, self.words.lookup(tf.strings.lower(tokens))), 1)

        def body(i, value):
            return i + 1, value + tf.gather(self.table, tf.reshape(i, [1]))

        _, hidden = tf.while_loop(lambda i, _: i < 3, body, [tf.constant(0), hidden])
        hidden = tf.cond(tf.reduce_sum(hidden) > 0, lambda: hidden + 1.0, lambda: hidden)
        kinds = tf.matmul(tf.one_hot(tf.cast(self.kinds.lookup(tokens), tf.int32), 6), self.table)
        logits = tf.matmul(hidden + tf.reduce_sum(kinds, 1), self.frozen, name="logits")
        return {"log": tf.nn.log_softmax(logits), "raw": logits}


def module(folder, vocabulary):
    vocabulary.write_text("a\nb\nc\n")
    made = Module(vocabulary)
    tf.saved_model.save(made, str(folder), signatures={"serving_default": made.serve})
    return str(folder)


def v1_model(folder, written=None, resource=True):
    """TensorFlow 1: a table, the mean of its rows, softmax; where `written` is given, loading writes that file."""
    with tf.Graph().as_default() as graph, v1.Session() as session:
        ids = v1.placeholder(tf.int32, (None, 5), name="ids")
        table = v1.get_variable("words/table", (20, 4), use_resource=resource)
        hidden = tf.reduce_mean(tf.nn.embedding_lookup(table, ids, name="lookup"), 1)
        logits = tf.matmul(hidden, v1.get_variable("weight", (4, 3), use_resource=resource), name="logits")
        probabilities = tf.nn.softmax(logits, name="probabilities")
        session.run(v1.global_variables_initializer())
        start = None
        if written is not None:  # by a control edge only
            with tf.control_dependencies([tf.io.write_file(str(written), "was here")]):
                start = tf.no_op(name="start")
        builder = v1.saved_model.Builder(str(folder))
        signature = v1.saved_model.predict_signature_def({"ids": ids}, {"probabilities": probabilities})
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, main_op=start)
        builder.save()
        frozen = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["probabilities"])
    (folder / "frozen.pb").write_bytes(frozen.SerializeToString())
    return str(folder)


def v1_file_table(folder, vocabulary):
    """TensorFlow 1: a hash table that is filled from an asset."""
    vocabulary.write_text("a\nb\n")
    with tf.Graph().as_default(), v1.Session() as session:
        words = v1.placeholder(tf.string, (None,), name="words")
        initializer = tf.lookup.TextFileInitializer(
            str(vocabulary), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        ids = tf.lookup.StaticHashTable(initializer, 0).lookup(words)
        scores = tf.gather(v1.get_variable("table", (3, 2)), ids, name="scores")
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"serving_default": v1.saved_model.predict_signature_def({"words": words}, {"scores": scores})},
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=v1.tables_initializer(),
        )
        builder.save()
    return str(folder)


def add_node(graph, name, operation, inputs=(), call=None, **types):
    """Adds a node by hand; `types` are attributes that are data types."""
    node = graph.node.add(name=name, op=operation)
    node.input.extend(inputs)
    for key, value in types.items():
        node.attr[key].type = value
    if call is not None:
        node.attr["f"].func.name = call
        node.attr["Tout"].list.type.append(1)
    return node


def add_function(graph, name, calls, returns):
    """Adds a function of one float argument `x` by hand.

    Args:
        calls: (node name, inputs, function) of its calls; for a function None, an identity.
        returns: the reference that it returns.
    """
    function = graph.library.function.add()
    function.signature.name = name
    function.signature.input_arg.add(name="x", type=1)
    function.signature.output_arg.add(name="y", type=1)
    for node_name, inputs, callee in calls:
        node = function.node_def.add(name=node_name, op="Identity" if callee is None else "PartitionedCall")
        node.input.extend(inputs)
        if callee is None:
            node.attr["T"].type = 1
        else:
            node.attr["f"].func.name = callee
            node.attr["Tout"].list.type.append(1)
    function.ret["y"] = returns


def new_graph():
    graph = graph_pb2.GraphDef()
    add_node(graph, "x", "Placeholder", dtype=1)
    return graph


def write(folder, graph, output="out:0", **collections):
    """A SavedModel of a graph made by hand, from x to `output`."""
    model = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    meta_graph = model.meta_graphs.add(graph_def=graph)
    meta_graph.meta_info_def.tags.append("serve")
    signature = meta_graph.signature_def["serving_default"]
    signature.inputs["x"].name, signature.inputs["x"].dtype = "x:0", 1
    signature.outputs["y"].name, signature.outputs["y"].dtype = output, 1
    for key, names in collections.items():
        meta_graph.collection_def[key].node_list.value.extend(names)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    return str(folder)


def change_asset(folder, filename=None, tensor=None):
    """Gives the only asset of a SavedModel another file name or tensor; TensorFlow 1 keeps it in a collection."""

    def edit(meta_graph):
        asset = meta_graph_pb2.AssetFileDef()
        if meta_graph.asset_file_def:
            asset = meta_graph.asset_file_def[0]
        else:
            meta_graph.collection_def["saved_model_assets"].any_list.value[0].Unpack(asset)
        if filename is not None:
            asset.filename = filename
        if tensor is not None:
            asset.tensor_info.name = tensor
        if not meta_graph.asset_file_def:
            meta_graph.collection_def["saved_model_assets"].any_list.value[0].Pack(asset)

    return change(folder, edit)


def change(folder, edit):
    """Rewrites a SavedModel with `edit(meta_graph)` applied."""
    path = f"{folder}/saved_model.pb"
    with open(path, "rb") as file:
        model = saved_model_pb2.SavedModel.FromString(file.read())
    edit(model.meta_graphs[0])
    with open(path, "wb") as file:
        file.write(model.SerializeToString())
    return folder
