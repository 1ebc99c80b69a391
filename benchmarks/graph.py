"""What an exported model costs to explain, against the Keras object that it was exported from.

    python benchmarks/graph.py [--rounds 7] [--quick]

A small text model, MobileNetV2 and a 12-layer transformer are exported with `model.export`, and attributed through the path
and through the model in memory: inspection, loading (against TensorFlow's own), flattening (against tracing), the first
gradient, and the steady state, where everything has been traced. Both sides are measured in turn, round by round, in this one
run; ratios are medians over rounds. Then, in processes of their own, how far memory rises beyond what loading the transformer
takes, and what 200 attributors leave behind.
"""

import argparse
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# What a user waits for once is measured no more often than this.
FIRST_ROUNDS = 3
STEPS = 32
VOCABULARY = 8000
# Attributors that are made and dropped: all, and those after which memory is to stay.
MADE, SETTLED = 200, 20
# What is to be reached.
STEADY, GROWTH, LEAK = 1.10, 1.3, 1.10


def small_text():
    """The demo's model of sentences, untrained: time does not depend on weights."""
    from tf_attrib.demo.models import sentence_model

    model = sentence_model(1000)
    return model, tokens(32, 14, 1000)


def mobilenet():
    """MobileNetV2 on 128×128 images, random weights."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV2(input_shape=(128, 128, 3), weights=None)
    return model, np.random.default_rng(0).uniform(size=(2, 128, 128, 3)).astype("float32")


def transformer(layers=12, width=384, heads=6, length=32, vocabulary=VOCABULARY):
    """A transformer of the size of MiniLM, 24 million random weights: token and position embeddings, 12 blocks, softmax."""
    import keras
    from keras import layers as parts
    from keras import ops

    class Embedded(parts.Layer):
        """Tokens and their positions, embedded and added."""

        def __init__(self):
            super().__init__()
            self.words, self.positions = parts.Embedding(vocabulary, width), parts.Embedding(length, width)

        def call(self, ids):
            return self.words(ids) + self.positions(ops.arange(length))

    keras.utils.set_random_seed(0)
    ids = keras.Input((length,), dtype="int32", name="tokens")
    x = Embedded()(ids)
    for _ in range(layers):
        x = parts.LayerNormalization()(x + parts.MultiHeadAttention(heads, width // heads)(x, x))
        x = parts.LayerNormalization()(x + parts.Dense(width)(parts.Dense(4 * width, activation="gelu")(x)))
    model = keras.Model(ids, parts.Dense(2, activation="softmax")(x[:, 0]), name="transformer")
    return model, tokens(1, length, vocabulary)


def tokens(count, length, vocabulary):
    import numpy as np

    return np.random.default_rng(0).integers(1, vocabulary, (count, length)).astype("int32")


MODELS = {"small text": small_text, "MobileNetV2": mobilenet, "transformer": transformer}


def seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def in_turn(what, one, other, rounds, limit=None):
    """Prints the times of two functions, called in turn, and their ratio."""
    first, second = [], []
    for turn in range(rounds):  # which of them goes first changes, since what goes second finds a warmer machine
        for times, function in ((first, one), (second, other))[:: -1 if turn % 2 else 1]:
            gc.collect()
            times.append(seconds(function))
    ratio = statistics.median(a / b for a, b in zip(first, second, strict=True))
    aim = "" if limit is None else f"; at most {limit:.2f} is wanted"
    print(
        f"  {what:15s} {ratio:6.2f} × ({statistics.median(first) * 1e3:9.1f} ms, "
        f"{statistics.median(second) * 1e3:9.1f} ms{aim})",
        flush=True,
    )


def compare(name, path, rounds):
    """Prints what an export costs, beside the Keras object, at every stage."""
    import numpy as np
    import tensorflow as tf

    import tf_attrib as ta
    from tf_attrib.graph.saved.exported import load_exported
    from tf_attrib.graph.traced import keras_model
    from tf_attrib.graph.traced.trace import trace

    model, examples = MODELS[name]()
    model.export(path, verbose=False)
    count = len(ta.inspect(path, signature="serving_default").tensors)
    print(
        f"{name}, {model.count_params() / 1e6:.1f} million weights, {count} float tensors: the export × the Keras object",
        flush=True,
    )
    first = min(rounds, FIRST_ROUNDS)
    in_turn("inspection", lambda: ta.inspect(path), lambda: ta.inspect(model), first)
    in_turn("loading", lambda: load_exported(path), lambda: tf.saved_model.load(path), first)
    exported = load_exported(path)
    specs = keras_model.input_specs(model)
    in_turn("flattening", lambda: exported.trace(exported.specs), lambda: trace(model, specs), first)

    def gradient(source):
        attributor = ta.Attributor(source)
        return lambda: attributor.attribute(examples, target=0, method="gradient", verbose=False)

    pairs = [(gradient(path), gradient(model)) for _ in range(first)]
    in_turn("first gradient", *(one_by_one(functions) for functions in zip(*pairs, strict=True)), first)
    attributors = [ta.Attributor(source) for source in (path, model)]
    method = ta.IntegratedGradients(rule="gauss_legendre", n_steps=STEPS)

    def attribute(attributor):
        return attributor.attribute(examples, target=0, method=method, verbose=False).attributions

    through_path, through_model = (attribute(attributor) for attributor in attributors)
    difference = np.abs(through_path - through_model).sum() / np.abs(through_model).sum()
    in_turn("steady state", *(lambda one=one: attribute(one) for one in attributors), rounds, STEADY)
    print(f"  the attributions differ by {difference:.1g}, relative L1", flush=True)


def one_by_one(functions):
    """A function that calls the next of `functions` each time."""
    waiting = iter(functions)
    return lambda: next(waiting)()


def memory(key):
    """One number of this process's memory in KB: VmRSS is what it takes now, VmHWM the most it took."""
    # Linux: getrusage would start from the peak of the process that started this one
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(key))


def warm_up(folder):
    """Loads what TensorFlow and the library load but once, on the small text model in `folder`."""
    import tf_attrib as ta

    ta.Attributor(folder).attribute(tokens(2, 14, 1000), target=0, verbose=False)


def peak(what, small, path):
    """Prints by how many KB peak memory rises when the transformer is loaded, or attributed to."""
    import tensorflow as tf

    warm_up(small)
    ids = tokens(1, 32, VOCABULARY)
    before = memory("VmHWM")
    if what == "load":
        loaded = tf.saved_model.load(path)
        loaded.signatures["serving_default"](tokens=tf.constant(ids))
    else:
        import tf_attrib as ta

        ta.Attributor(path, batch_size=1).attribute(ids, target=0, method="gradient", verbose=False)
    print(memory("VmHWM") - before)


def made_and_dropped(path, count):
    """Prints the memory in KB after every tenth of `count` attributors, each used once and dropped."""
    import tf_attrib as ta

    ids = tokens(2, 14, 1000)
    for made in range(1, count + 1):
        ta.Attributor(path).attribute(ids, target=0, verbose=False)
        if made % 10 == 0:
            gc.collect()
            print(made, memory("VmRSS"), flush=True)


def alone(*arguments):
    """What this file prints in a process of its own, as lists of words."""
    done = subprocess.run([sys.executable, __file__, *map(str, arguments)], check=True, capture_output=True, text=True)
    return [line.split() for line in done.stdout.splitlines()]


def peak_memory(small, folder):
    """Prints how far attribution raises peak memory beyond what loading takes, in sizes of the model."""
    # as large as BERT, so that graphs and activations, which a small model has too, do not hide a copy of its variables
    model, _ = transformer(width=768, heads=12, vocabulary=VOCABULARY)
    size = sum(weight.numpy().nbytes for weight in model.weights) / 2**20
    model.export(folder, verbose=False)
    loaded, attributed = (int(alone("--peak", what, small, folder)[-1][0]) / 2**10 for what in ("load", "attribute"))
    print(
        f"12-layer transformer with {size:.0f} MB of weights: peak memory rises by {loaded:.0f} MB when it is loaded and "
        f"called, by {attributed:.0f} MB when it is attributed to: {(attributed - loaded) / size:.2f} × the model beyond "
        f"loading it; below {GROWTH} is wanted",
        flush=True,
    )


def left_behind(small, count):
    """Prints what memory is after `count` attributors, against that after the first few."""
    taken = {int(made): int(kilobytes) for made, kilobytes in alone("--made", count, small)}
    print(
        f"{count} attributors made, used and dropped: memory is {taken[count] / taken[SETTLED]:.3f} × that after {SETTLED} "
        f"({taken[SETTLED] / 2**10:.0f} MB; at most {max(taken[made] for made in taken if made >= SETTLED) / 2**10:.0f} MB "
        f"since, {taken[count] / 2**10:.0f} MB in the end); at most {LEAK:.2f} is wanted",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="rounds to take the median of")
    parser.add_argument("--quick", action="store_true", help="the small text model alone, and a fifth of the attributors")
    parser.add_argument("--only", choices=MODELS, help="compare this model alone, and leave memory out")
    parser.add_argument("--peak", nargs=3, metavar=("WHAT", "SMALL", "PATH"), help="print the rise of peak memory and stop")
    parser.add_argument("--made", nargs=2, metavar=("COUNT", "PATH"), help="print memory as attributors are made, and stop")
    options = parser.parse_args()
    if options.peak:
        peak(*options.peak)
        return
    if options.made:
        made_and_dropped(options.made[1], int(options.made[0]))
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: os.path.join(folder, name.replace(" ", "_")) for name in MODELS}
        names = [options.only] if options.only else ["small text"] if options.quick else list(MODELS)
        for name in names:
            compare(name, paths[name], options.rounds)
        if not options.quick and not options.only:
            peak_memory(paths["small text"], os.path.join(folder, "large"))
        if not options.only:
            left_behind(paths["small text"], MADE // 5 if options.quick else MADE)


if __name__ == "__main__":
    main()
