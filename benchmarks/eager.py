"""What it costs to call a model where it could have been traced: seconds of one attribution, eager over graph.

    python benchmarks/eager.py [--repeats 3]

The same nets and examples on both routes, integrated gradients with 30 midpoints, the best of some repeats after a first call.
"one at a time" is what a model gets that cannot be traced, since its Python may look at the values of a batch.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import tf_attrib as ta

METHOD = ta.IntegratedGradients(rule="midpoint", n_steps=30)


def nets(rng):
    """Name, model and inputs."""
    dense = keras.Sequential(
        [keras.Input((20,)), layers.Dense(64, "relu"), layers.Dense(64, "relu"), layers.Dense(3, "softmax")]
    )
    yield "dense", dense, rng.normal(size=(16, 20)).astype("float32")
    parts = [layers.Conv2D(32, 3, activation="relu"), layers.Conv2D(32, 3, activation="relu"), layers.GlobalAveragePooling2D()]
    image = keras.Sequential([keras.Input((32, 32, 3)), *parts, layers.Dense(10, "softmax")])
    yield "CNN, 32 x 32", image, rng.uniform(size=(8, 32, 32, 3)).astype("float32")
    parts = [layers.Embedding(1000, 32), layers.LSTM(32), layers.Dense(2, "softmax")]
    yield "LSTM, 40 tokens", keras.Sequential([keras.Input((40,), dtype="int32"), *parts]), rng.integers(0, 1000, (8, 40))
    mobile = keras.applications.MobileNetV2(input_shape=(96, 96, 3), weights=None, classes=10)
    yield "MobileNetV2, 96 x 96", mobile, rng.uniform(-1, 1, (4, 96, 96, 3)).astype("float32")


def unseen(model):
    """The same, which a trace fails on."""
    return lambda x: model(x) if tf.executing_eagerly() else x.numpy()


def best(attributor, x, repeats):
    """Seconds."""
    found = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        attributor.attribute(x, target=0, method=METHOD, verbose=False)
        found.append(time.perf_counter() - start)
    return min(found[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    keras.utils.set_random_seed(0)
    print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}; eager / graph")
    print(f"{'':22}{'graph':>9}{'in blocks':>12}{'one at a time':>16}")
    for name, model, x in nets(np.random.default_rng(0)):
        graph = best(ta.Attributor(model, eager=False), x, repeats)
        blocks = best(ta.Attributor(model, eager=True, batch_size=64), x, repeats)
        embedded = name.startswith("LSTM")  # a function's embeddings are not layers that are seen
        alone = float("nan") if embedded else best(ta.Attributor(unseen(model)), x, repeats)
        print(f"{name:22}{graph:8.2f}s{blocks / graph:11.1f}x{alone / graph:15.1f}x", flush=True)


if __name__ == "__main__":
    main()
