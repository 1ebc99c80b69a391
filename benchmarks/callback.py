"""What `AttributionCallback` adds to an evaluation, against the raw gradients that it needs.

    python benchmarks/callback.py [--rounds 7] [--quick]

`model.evaluate` is timed with the callback and without it; the difference is what it adds: attributions, pictures, event
files. The floor is one tf.function that takes as many gradients of ready-made rows as the callback's result says it took, in
blocks of the best size. All three are measured in turn, round by round, in this one run; ratios are medians over rounds.
MobileNetV2 takes 50 steps an image: to an accuracy, its random weights would need ten times as many.
"""

import argparse
import os
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import tf_attrib as ta
from tf_attrib.demo import data, models

BLOCKS = (8, 16, 32, 64, 128)


def digits():
    """The demo's CNN, trained, and held-out digits."""
    found = data.digits()
    model = models.train(models.digit_model(), found.train_inputs, found.train_labels, models.DIGIT_EPOCHS)
    return model, found.test_inputs


def mobilenet():
    """MobileNetV2 on 128×128 images, random weights with calibrated normalisation: time hardly depends on more."""
    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV2(input_shape=(128, 128, 3), weights=None)
    images = np.random.default_rng(0).uniform(size=(16, 128, 128, 3)).astype("float32")
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(images, training=True)
    return model, images


def floor(model, samples, targets, evaluations):
    """A function that takes that many gradients in blocks of a given size."""

    @tf.function(input_signature=[tf.TensorSpec([None, *samples.shape[1:]]), tf.TensorSpec([None], tf.int32)], autograph=False)
    def gradients(x, classes):
        with tf.GradientTape() as tape:
            tape.watch(x)
            scores = tf.gather(model(x, training=False), classes, batch_dims=1)
        return tape.gradient(scores, x)

    alphas = np.concatenate([np.linspace(0, 1, count) for count in evaluations]).astype("float32")
    example = np.repeat(np.arange(len(samples)), evaluations)
    rows = alphas.reshape(-1, *[1] * (samples.ndim - 1)) * samples[example]
    classes = targets[example].astype("int32")

    def evaluate(block):
        for start in range(0, len(rows), block):
            gradients(tf.constant(rows[start : start + block]), tf.constant(classes[start : start + block]))

    return evaluate


def seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def measure(name, make, method, count, rounds):
    """Prints what one evaluation costs."""
    model, inputs = make()
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = inputs[:16], np.zeros(16, int)
    with tempfile.TemporaryDirectory() as folder:
        callback = ta.AttributionCallback(inputs[:count], folder, method, on_error="raise")

        def evaluate(callbacks):
            model.evaluate(x, y, verbose=0, callbacks=callbacks)

        start = time.perf_counter()
        evaluate([callback])
        first = time.perf_counter() - start
        evaluate([])
        raw = floor(model, inputs[:count], callback.results.target, callback.results.evaluations)
        raw(BLOCKS[0])
        best = min(BLOCKS, key=lambda block: min(seconds(raw, block) for _ in range(2)))
        added, gradients, attribution = [], [], []
        for _ in range(rounds):
            gradients.append(seconds(raw, best))
            added.append(seconds(evaluate, [callback]) - seconds(evaluate, []))
            attribution.append(callback.scalars["attribution_vs_iterations/seconds"])
    ratio = statistics.median(a / b for a, b in zip(added, gradients, strict=True))
    milliseconds = [statistics.median(times) * 1e3 for times in (added, attribution, gradients)]
    print(
        f"{name:12s} {count:3d} samples, {int(callback.results.evaluations.sum()):5d} gradients: adds {ratio:5.2f} × the raw "
        f"gradients ({milliseconds[0]:8.1f} ms, {milliseconds[1]:8.1f} ms of it attribution; raw {milliseconds[2]:8.1f} ms "
        f"in blocks of {best}); the first time {first:.1f} s with all traces",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="leave MobileNetV2 out")
    options = parser.parse_args()
    measure("digits CNN", digits, ta.IntegratedGradients(), 16, options.rounds)
    if not options.quick:
        measure("MobileNetV2", mobilenet, ta.IntegratedGradients(n_steps=50), 8, options.rounds)


if __name__ == "__main__":
    main()
