"""Whether time and memory stay flat in the number of examples: integrated gradients of photograph-sized inputs, refined.

    python benchmarks/scale.py [--counts 1,8,64,512] [--side 224] [--memory MB]

A narrow MobileNetV2 (alpha 0.35, random weights) to the default accuracy. Each number of examples is a process of its own that
has attributed one example before: what is printed is the time an example takes, and by how much the peak of memory grows
beside the examples and their attributions themselves.
"""

import argparse
import os
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def measure(count, side, memory):
    """Prints seconds an example and MB of growth."""
    import keras
    import numpy as np
    from overhead import peak

    import tf_attrib as ta

    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV2(input_shape=(side, side, 3), alpha=0.35, weights=None)
    examples = np.random.default_rng(0).uniform(-1, 1, size=(count, side, side, 3)).astype("float32")
    attributor = ta.Attributor(model, memory=memory * 2**20)
    attributor.attribute(examples[:1], 0, verbose=False)
    before, start = peak(), time.perf_counter()
    result = attributor.attribute(examples, 0, verbose=False)
    spent = time.perf_counter() - start
    own = (examples.nbytes + result.attributions.nbytes) / 2**20
    print(spent / count, (peak() - before) / 1024 - own, float(result.evaluations.mean()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", default="1,8,64,512", help="numbers of examples, with commas between them")
    parser.add_argument("--side", type=int, default=224, help="pixels along each side")
    parser.add_argument(
        "--memory", type=int, default=2048, metavar="MB", help="what a call may take, half of it gradients on the host"
    )
    parser.add_argument("--one", type=int, metavar="EXAMPLES", help="measure so many in this process and stop")
    options = parser.parse_args()
    if options.one:
        measure(options.one, options.side, options.memory)
        return
    for count in map(int, options.counts.split(",")):
        command = [sys.executable, __file__, "--one", str(count), "--side", str(options.side), "--memory", str(options.memory)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        spent, grown, gradients = map(float, done.stdout.split())
        print(
            f"{count:4d} examples: {spent:.3f} s and {gradients:.0f} gradients each; peak grows by {grown:.0f} MB", flush=True
        )


if __name__ == "__main__":
    main()
