"""What DeepLIFT costs beside a plain gradient and beside integrated gradients of 50 steps, and how long it takes to build.

    python benchmarks/deeplift.py [--rounds 7] [--quick]

All are attributions by the library of the same batch, measured in turn, round by round, in this one run; ratios are medians
over rounds. Integrated gradients pack their rows into large blocks: where a batch is small, even one gradient of it is less
than ten times faster. Building is the first call of a new attributor less the second; it includes what TensorFlow compiles.
DeepSHAP's memory is the growth of the process's peak while 100 references are averaged, beside that of 10; each in its own
process.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

STEPS = 50


def digits_cnn():
    """The demo's CNN on 8×8 digits, untrained: time does not depend on weights."""
    from tf_attrib.demo.models import digit_model

    return digit_model(), (8, 8, 1), (32, 128)


def lstm():
    """A small recurrent net over 40 steps of 8 features."""
    import keras
    from keras import layers

    return keras.Sequential([keras.Input((40, 8)), layers.LSTM(16), layers.Dense(3, "softmax")]), (40, 8), (32, 128)


def application(name):
    """One of keras.applications on 128×128 images, random weights."""

    def make():
        import keras

        return getattr(keras.applications, name)(input_shape=(128, 128, 3), weights=None), (128, 128, 3), (8,)

    return make


NETS = {
    "digits CNN": digits_cnn,
    "LSTM": lstm,
    "MobileNetV2": application("MobileNetV2"),
    "EfficientNetB0": application("EfficientNetB0"),
}


def seconds(function):
    """How long one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compare(name, make, rounds):
    """Prints the ratios and the time to build of one net, for batches of each size."""
    import keras
    import numpy as np

    import tf_attrib as ta

    keras.utils.set_random_seed(0)
    model, shape, counts = make()
    for count in counts:
        x = np.random.default_rng(0).uniform(size=(count, *shape)).astype("float32")
        compare_batch(name, ta.Attributor(model), x, rounds)


def compare_batch(name, attributor, x, rounds):
    """Prints the ratios and the time to build for one batch."""
    import tf_attrib as ta

    calls = {
        method: lambda method=method: attributor.attribute(x, 0, method=method, verbose=False)
        for method in ("gradient", "deeplift", ta.DeepLift("reveal_cancel"), ta.IntegratedGradients(n_steps=STEPS))
    }
    gradient, rescale, cancel, integrated = calls.values()
    gradient()
    built = {word: seconds(call) - seconds(call) for word, call in (("Rescale", rescale), ("RevealCancel", cancel))}
    integrated()
    times = [[seconds(call) for call in (gradient, rescale, cancel, integrated)] for _ in range(rounds)]
    ratio = lambda over, under: statistics.median(row[over] / row[under] for row in times)  # noqa: E731
    print(
        f"{name}, {len(x)} examples: DeepLIFT {ratio(1, 0):.2f} times a gradient (RevealCancel {ratio(2, 0):.2f}); "
        f"{STEPS}-step integrated gradients take {ratio(3, 1):.1f} times as long as DeepLIFT, {ratio(3, 0):.1f} times as "
        "long as a gradient; "
        f"built in {built['Rescale']:.1f} s (RevealCancel {built['RevealCancel']:.1f} s)",
        flush=True,
    )


def peak(references):
    """Prints by how many MB the peak of the process grew during DeepSHAP over so many references, after one over two."""
    import resource

    import keras
    import numpy as np

    import tf_attrib as ta

    keras.utils.set_random_seed(0)
    model, shape, _ = application("MobileNetV2")()
    rng = np.random.default_rng(0)
    x, samples = rng.uniform(size=(4, *shape)).astype("float32"), rng.uniform(size=(references, *shape)).astype("float32")
    attributor = ta.Attributor(model, batch_size=16)
    attributor.attribute(x, 0, ta.dataset(samples[:4]), "deepshap", verbose=False)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    attributor.attribute(x, 0, ta.dataset(samples), "deepshap", verbose=False)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="the small nets alone")
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        peak(options.peak)
        return
    for name, make in list(NETS.items())[: 2 if options.quick else None]:
        compare(name, make, options.rounds)
    if not options.quick:
        grown = [
            int(
                subprocess.run(
                    [sys.executable, __file__, "--peak", str(count)], capture_output=True, text=True, check=True
                ).stdout.split()[-1]
            )
            for count in (10, 100)
        ]
        print(f"DeepSHAP of 4 MobileNetV2 images: the peak grew by {grown[0]} MB over 10 references, {grown[1]} MB over 100")


if __name__ == "__main__":
    main()
