"""What the first attribution costs: making an attributor and attributing once, beside the first call of a raw gradient.

    python benchmarks/first.py [--rounds 3] [--quick]

Each measurement is a process of its own, since TensorFlow keeps what it has compiled; raw gradient and library take turns, and
ratios are of medians. Times are the process's CPU time, which depends little on what else the machine does, and (the clock's).
The raw gradient is that of one `tf.function` with a tape: what everybody writes who needs it once. Imports are no part of it:
`benchmarks/overhead.py` prints what those take.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

LENGTH, VOCABULARY, WIDTH = 64, 1000, 128
# the ratio of CPU time that each must not exceed
GOAL = 2.0


def transformer(depth):
    """A classifier of token ids: post-norm encoder blocks over an embedding, random weights."""
    from keras import Input, Model, layers

    ids = Input((LENGTH,), dtype="int32")
    x = layers.Embedding(VOCABULARY, WIDTH, name="embedding")(ids)
    for _ in range(depth):
        x = layers.LayerNormalization()(x + layers.MultiHeadAttention(4, WIDTH // 4)(x, x))
        x = layers.LayerNormalization()(x + layers.Dense(WIDTH)(layers.Dense(2 * WIDTH, activation="gelu")(x)))
    return Model(ids, layers.Dense(5, activation="softmax")(x[:, 0]))


def application(name):
    """A network of keras.applications for 224×224 images, random weights."""
    import keras

    return getattr(keras.applications, name)(weights=None)


NETS = {
    "MobileNetV2": lambda: application("MobileNetV2"),
    "ResNet50": lambda: application("ResNet50"),
    "EfficientNetB0": lambda: application("EfficientNetB0"),
    "transformer 12": lambda: transformer(12),
    "transformer 24": lambda: transformer(24),
}
WAYS = ("raw", "gradient", "integrated_gradients", "export")


def example(model):
    """One input of the model."""
    import numpy as np

    rng, shape = np.random.default_rng(0), model.inputs[0].shape[1:]
    if len(shape) == 1:
        return rng.integers(1, VOCABULARY, (1, *shape)).astype("int32")
    return rng.uniform(-1, 1, (1, *shape)).astype("float32")


def raw(model, x):
    """The gradient of the first class at the image, or at the embeddings, by a tape."""
    import keras
    import tensorflow as tf

    if x.dtype == "int32":
        embedding = model.get_layer("embedding")
        model, x = keras.Model(embedding.output, model.output), embedding(x)

    @tf.function(autograph=False)
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = model(x, training=False)[:, 0]
        return tape.gradient(score, x)

    return gradient(tf.constant(x)).numpy()


def once(net, way, folder):
    """Prints the CPU time and the time on the clock of one first call."""
    import tf_attrib as ta

    model = NETS[net]()
    x = example(model)
    if way == "export":
        model.export(folder, verbose=False)
        model = folder
    attributor = ta.Attributor
    begin, clock = time.process_time(), time.perf_counter()
    if way == "raw":
        raw(model, x)
    else:
        method = "integrated_gradients" if way == "integrated_gradients" else "gradient"
        attributor(model).attribute(x, target=0, method=method, verbose=False)
    print("seconds", time.process_time() - begin, time.perf_counter() - clock)


def measured(net, way):
    """(CPU time, time on the clock) of a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            [sys.executable, __file__, "--once", net, way, folder], capture_output=True, text=True, check=False, env=os.environ
        )
    lines = [line.split()[1:] for line in run.stdout.splitlines() if line.startswith("seconds")]
    if not lines:
        sys.exit(f"{net}, {way}: {run.stderr[-2000:]}")
    return tuple(map(float, lines[0]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of the smaller nets")
    parser.add_argument("--once", nargs=3, metavar=("NET", "WAY", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        once(*options.once)
        return
    nets = ["MobileNetV2", "transformer 12"] if options.quick else list(NETS)
    print(f"{'first call, CPU seconds (clock)':32}" + "".join(f"{way:>24}" for way in WAYS) + "   ratio of gradient, export")
    worst = 0.0
    for net in nets:
        found = {way: [] for way in WAYS}
        for _ in range(1 if options.quick else options.rounds):
            for way in WAYS:
                found[way].append(measured(net, way))
        times = {way: tuple(map(statistics.median, zip(*those, strict=True))) for way, those in found.items()}
        shown = "".join(f"{f'{cpu:.1f} ({clock:.1f})':>24}" for cpu, clock in times.values())
        ratios = [times[way][0] / times["raw"][0] for way in ("gradient", "export")]
        worst = max(worst, ratios[0])
        print(f"{net:32}{shown}   {ratios[0]:.2f}, {ratios[1]:.2f}", flush=True)
    print(f"{'pass' if worst <= GOAL else 'MISSED'}: {worst:.2f} times the raw gradient at most (goal {GOAL})")


if __name__ == "__main__":
    main()
