"""What an exported signature costs beside the gradients it needs: time at steady state, the first call, and memory.

    python benchmarks/export.py [--rounds 7] [--nets "digits CNN" ...]

The floor is one tf.function that takes as many gradients of ready-made rows, in blocks of the same size; the signature is
loaded from its file, as TensorFlow Serving does. Both are measured in turn in one process; ratios are medians over rounds. The
first call is that of a signature that was just loaded, against the first call of a plain gradient function that was just made,
with its trace. Memory: by how much the peak of a process grows while MobileNetV2 explains 8 and then 64 examples to 5%.

How accurate the rule is that refines inside a graph, and how many gradients it takes: accuracy.py --zoo --exported.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from overhead import NETS, STEPS, floor, peak, seconds

COUNTS = {"digits CNN": 32, "transformer": 8, "MobileNetV2": 2, "ResNet50": 1}
BLOCK = {"digits CNN": 200, "transformer": 100, "MobileNetV2": 25, "ResNet50": 25}


def loaded(model, method, block, folder, examples=None):
    """The signature `explain` of what is exported of `model`."""
    import tensorflow as tf

    import tf_attrib as ta

    path = ta.Attributor(model).export(Path(folder) / "model", method, examples=examples, batch_size=block)
    return tf.saved_model.load(str(path))


def call(model, examples):
    """Calls the signature for its predicted classes against zeros."""
    import tensorflow as tf

    function = model.signatures["explain"]
    names = list(function.structured_input_signature[1])
    given = {name: tf.constant(examples) for name in names}
    given["target"], given["baseline"] = tf.constant([-1]), tf.zeros_like(examples[:1])
    return function(**given)


def compare(name, rounds):
    """Prints both ratios of one net."""
    import numpy as np

    import tf_attrib as ta

    model, shape = NETS[name]()
    count, block = COUNTS[name], BLOCK[name]
    examples = np.random.default_rng(0).uniform(size=(count, *shape)).astype("float32")
    with tempfile.TemporaryDirectory() as folder:
        method = ta.IntegratedGradients(rule="midpoint", n_steps=STEPS)
        exported = loaded(model, method, block, folder)
        first = seconds(call, exported, examples)
        evaluate = floor(model, examples)
        plain = seconds(evaluate, block)
        own, raw = [], []
        for _ in range(rounds):
            raw.append(seconds(evaluate, block))
            own.append(seconds(call, exported, examples))
    ratio = statistics.median(a / b for a, b in zip(own, raw, strict=True))
    print(
        f"{name:12s} {count:3d} examples, {STEPS} steps in blocks of {block}: {ratio:5.2f} × the floor ({min(own):.3f} s; "
        f"floor {min(raw):.3f} s); first call {first / plain:.2f} × that of a gradient function ({first:.1f} s; {plain:.1f} s)",
        flush=True,
    )


def memory(count):
    """Prints by how many MB the peak grows while so many examples are explained."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV2(input_shape=(224, 224, 3), alpha=0.35, weights=None)
    examples = np.random.default_rng(0).uniform(-1, 1, size=(count, 224, 224, 3)).astype("float32")
    with tempfile.TemporaryDirectory() as folder:
        exported = loaded(model, "integrated_gradients", 16, folder)
        call(exported, examples[:1])
        before, start = peak(), time.perf_counter()
        found = call(exported, examples)
        spent = time.perf_counter() - start
    own = (examples.nbytes + found["attributions"].numpy().nbytes) / 2**20
    print(spent / count, (peak() - before) / 1024 - own, float(found["evaluations"].numpy().mean()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--nets", nargs="*", default=list(COUNTS), choices=list(COUNTS))
    parser.add_argument("--no-memory", action="store_true", help="leave the memory out")
    parser.add_argument("--one", type=int, metavar="EXAMPLES", help="measure the memory of so many in this process and stop")
    options = parser.parse_args()
    if options.one:
        memory(options.one)
        return
    for name in options.nets:
        compare(name, options.rounds)
    for count in () if options.no_memory else (8, 64):
        command = [sys.executable, __file__, "--one", str(count)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        spent, grown, gradients = map(float, done.stdout.split())
        print(
            f"MobileNetV2 {count:3d} examples: {spent:.2f} s and {gradients:.0f} gradients each; peak grows by "
            f"{grown:.0f} MB beside them"
        )


if __name__ == "__main__":
    main()
