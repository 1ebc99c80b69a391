"""What `ta.attribute_dataset` costs beside a plain loop of `attribute` calls, and how its memory grows with the rows.

    python benchmarks/datasets.py [--rounds 7] [--quick]

The loop attributes the same batches and keeps nothing; the library writes shards to a temporary folder (TMPDIR). Both are
measured in turn, round by round, in this one run; ratios are medians over rounds. Memory is the peak of a process of its own,
whose rows come from a generator, less that of one with a twentieth of the rows.
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

BATCH, FEATURES = 256, 20
# Of the two processes whose memory is compared.
ROWS = (10_000, 200_000)


def table_model():
    """A small net for rows of twenty numbers, random weights: time does not depend on them."""
    import keras

    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense
    return keras.Sequential([keras.Input((FEATURES,)), dense(64, "relu"), dense(64, "relu"), dense(3, "softmax")])


def digit_model():
    """The demo's CNN on 8×8 digits, untrained."""
    from tf_attrib.demo.models import digit_model

    return digit_model()


def seconds(function):
    """Of the clock, and of all threads of this process: those do not depend on what else the machine does."""
    start, busy = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - start, time.process_time() - busy


def overhead(name, model, shape, count, method, rounds):
    """Prints how long the shards take, as a multiple of the plain loop."""
    import numpy as np

    import tf_attrib as ta

    rows = np.random.default_rng(0).uniform(size=(count, *shape)).astype("float32")
    attributor, clock, busy, plain = ta.Attributor(model), [], [], []

    def loop():
        for start in range(0, count, BATCH):
            attributor.attribute(rows[start : start + BATCH], method=method, seed=0, verbose=False, on_error="mark")

    def shards():
        with tempfile.TemporaryDirectory() as folder:
            ta.attribute_dataset(attributor, rows, folder, method=method, batch_size=BATCH, verbose=False)

    loop()
    shards()
    for _ in range(rounds):
        one, other = seconds(loop), seconds(shards)
        plain.append(one[0])
        clock.append(other[0] / one[0])
        busy.append(other[1] / one[1])
    print(
        f"{name:10s} {method:20s} {count:6,d} rows: {statistics.median(clock):5.3f} × the loop ({min(clock):.3f} to "
        f"{max(clock):.3f}), "
        f"{statistics.median(busy):5.3f} × its processor time; loop {count / statistics.median(plain):8,.0f} rows a second",
        flush=True,
    )


def peak(count):
    """Attributes so many rows that a generator makes, and prints the peak of this process's memory in megabytes."""
    import resource

    import numpy as np

    import tf_attrib as ta

    rng = np.random.default_rng(0)
    batches = (rng.normal(size=(BATCH, FEATURES)).astype("float32") for _ in range(count // BATCH))
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        found = ta.attribute_dataset(
            ta.Attributor(table_model()), batches, folder, method="gradient_times_input", verbose=False
        )
        taken, size = time.perf_counter() - start, sum(path.stat().st_size for path in Path(folder).iterdir())
        summary = found.summarise()
        assert summary.examples.sum() == count // BATCH * BATCH
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, taken, size / 2**20)


def memory(counts):
    """Prints the peaks of processes of so many rows each, and how far they are apart."""
    found = {}
    for count in counts:
        command = [sys.executable, __file__, "--peak", str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[count], taken, size = map(float, done.stdout.split())
        rate = f"{count / taken:8,.0f} rows a second, {size:6.1f} MB of shards"
        print(f"{count:8,d} rows of {FEATURES}: peak {found[count]:6.0f} MB, {rate}", flush=True)
    print(f"growth from {counts[0]:,} to {counts[-1]:,} rows: {found[counts[-1]] - found[counts[0]]:.0f} MB", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="fewer rows and rounds")
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        peak(options.peak)
        return
    rounds, few = (3, 4) if options.quick else (options.rounds, 1)
    overhead("table", table_model(), (FEATURES,), 20_480 // few, "integrated_gradients", rounds)
    overhead("table", table_model(), (FEATURES,), 40_960 // few, "gradient_times_input", rounds)
    overhead("digits CNN", digit_model(), (8, 8, 1), 2_048 // few, "integrated_gradients", rounds)
    memory([count // few for count in ROWS])


if __name__ == "__main__":
    main()
