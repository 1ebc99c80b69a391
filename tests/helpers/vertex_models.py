"""SavedModels such as users of Vertex Explainable AI have, with their metadata: of a table, of words, of images."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

COLUMNS = ("age", "height", "weight")
COLUMN_METADATA = {
    "inputs": {
        "table": {"input_tensor_name": "numbers", "encoding": "BAG_OF_FEATURES", "index_feature_mapping": list(COLUMNS)},
        "place": {"input_tensor_name": "place"},
        "words": {
            "input_tensor_name": "tokens",
            "encoding": "CONCAT_EMBEDDING",
            "encoded_tensor_name": "words_1/GatherV2:0",
            "modality": "text",
        },
    },
    "outputs": {"scores": {"output_tensor_name": "output_0", "index_display_name_mapping": ["no", "maybe", "yes"]}},
    "framework": "tensorflow2",
}
INSTANCES = [
    {"numbers": [1.0, 2.0, -1.0], "place": [0.5], "tokens": [1, 2, 3, 4]},
    {"numbers": [0.3, -1.5, 2.0], "place": [-0.5], "tokens": [5, 2, 0, 9]},
]


def arrays(instances):
    """The batch that instances are."""
    return {key: np.array([one[key] for one in instances], "int32" if key == "tokens" else "float32") for key in instances[0]}


def columns(folder, units=3, activation="softmax"):
    """Numbers, a number and token ids to classes; with one unit to a probability or, without activation, a number."""
    wide = lambda seed: keras.initializers.RandomNormal(stddev=0.9, seed=seed)  # noqa: E731
    numbers, place = keras.Input((3,), name="numbers"), keras.Input((1,), name="place")
    tokens = keras.Input((4,), dtype="int32", name="tokens")
    embedded = layers.Embedding(10, 2, name="words", embeddings_initializer=wide(1))(tokens)
    joined = layers.Concatenate()([numbers, place, layers.Flatten()(embedded)])
    hidden = layers.Dense(6, activation="tanh", kernel_initializer=wide(2))(joined)
    model = keras.Model(
        [numbers, place, tokens], layers.Dense(units, activation=activation, name="head", kernel_initializer=wide(3))(hidden)
    )
    model.export(folder, verbose=False)
    return str(folder), model


def regression(folder):
    """One number of a vector: output of shape (batch, 1), without a head."""
    x = keras.Input((4,), name="x")
    keras.Model(x, layers.Dense(1)(layers.Dense(5, activation="tanh")(x))).export(folder, verbose=False)
    return str(folder)


class Named(tf.Module):
    """Probabilities and the names of their classes, as two outputs; or scores of two axes."""

    def __init__(self, weights, grid=False):
        super().__init__()
        self.weights, self.grid = tf.Variable(weights), grid

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def serve(self, x):
        logits = tf.tanh(x) @ self.weights
        if self.grid:
            return {"grid": tf.reshape(logits, [-1, 2, 2])}
        names = tf.repeat(tf.constant([["a", "b", "c", "d"]]), tf.shape(x)[0], axis=0)
        return {"probabilities": tf.nn.softmax(logits), "classes": names}


def named(folder, grid=False):
    made = Named(np.random.default_rng(0).normal(size=(3, 4)).astype("float32"), grid)
    tf.saved_model.save(made, str(folder), signatures={"serving_default": made.serve})
    return str(folder)


class Picture(tf.Module):
    """Bytes of a PNG to classes, with the two signatures that set preprocessing apart."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="bytes_inputs")])
    def preprocess(self, bytes_inputs):
        decode = lambda one: tf.ensure_shape(tf.io.decode_png(one, 3), [12, 12, 3])  # noqa: E731
        images = tf.map_fn(decode, bytes_inputs, fn_output_signature=tf.uint8)
        return {"numpy_inputs": tf.cast(images, tf.float32) / 255}

    @tf.function(input_signature=[tf.TensorSpec([None, 12, 12, 3], tf.float32, name="numpy_inputs")])
    def classify(self, numpy_inputs):
        return {"scores": self.model(numpy_inputs)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="bytes_inputs")])
    def serve(self, bytes_inputs):
        return {"output_0": self.model(self.preprocess(bytes_inputs)["numpy_inputs"])}


def image_model():
    return keras.Sequential(
        [
            keras.Input((12, 12, 3), name="image"),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax", name="head"),
        ]
    )


def images(folder):
    """Images to classes, by its own input."""
    model = image_model()
    model.export(folder, verbose=False)
    return str(folder), model


def pictures(folder):
    """The same of bytes."""
    made = Picture(image_model())
    signatures = {"serving_default": made.serve, "xai_preprocess": made.preprocess, "xai_model": made.classify}
    tf.saved_model.save(made, str(folder), signatures=signatures)
    return str(folder), made.model
