"""What `attribute` costs beside the gradients it needs, and how much memory it takes.

    python benchmarks/overhead.py [--rounds 7] [--quick]

The floor is one tf.function that takes the gradient of ready-made rows, as many as 50 steps need, in its best block size.
To a stated accuracy the library is compared with what people write by hand: trapezoids of 25, 50, 100, ... steps, image by
image, until two attributions differ by less than the tolerance. What is not spent inside TensorFlow is scheduling.
Both sides are measured in turn, round by round, in this one run; ratios are medians over rounds.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

STEPS = 50
BLOCKS = {
    "digits CNN": (32, 50, 64, 100, 128, 200, 256),
    "transformer": (32, 64, 128, 256),
    "wide": (32, 50, 64, 128, 256, 512, 1600),
    "towers": (8, 16, 32, 50, 128, 256),
}
LARGE = (8, 16, 32, 50)


def digits_cnn():
    """The demo's CNN on 8×8 digits, untrained: time does not depend on weights."""
    from tf_attrib.demo.models import digit_model

    return digit_model(), (8, 8, 1)


def mobilenet():
    """MobileNetV2 on 128×128 images, random weights."""
    import keras

    keras.utils.set_random_seed(0)
    return keras.applications.MobileNetV2(input_shape=(128, 128, 3), weights=None), (128, 128, 3)


def resnet():
    """ResNet50 on 128×128 images, random weights."""
    import keras

    keras.utils.set_random_seed(0)
    return keras.applications.ResNet50(input_shape=(128, 128, 3), weights=None), (128, 128, 3)


def transformer():
    """Four post-norm blocks of width 64 over 32 positions."""
    from keras import Input, Model, layers

    x = given = Input((32, 64))
    for _ in range(4):
        x = layers.LayerNormalization()(x + layers.MultiHeadAttention(4, 16)(x, x))
        x = layers.LayerNormalization()(x + layers.Dense(64)(layers.Dense(256, activation="gelu")(x)))
    return Model(given, layers.Dense(5, activation="softmax")(x[:, 0])), (32, 64)


def wide():
    """Three dense layers from 4096 inputs, such as fingerprints: the first is affine, and has most of the weights."""
    from keras import Input, Sequential, layers

    hidden = [layers.Dense(256, activation="relu") for _ in range(2)]
    return Sequential([Input((4096,)), *hidden, layers.Dense(10, activation="softmax")]), (4096,)


def towers():
    """A table of 20 columns, which is attributed to, beside an image of 64×64 pixels."""
    from keras import Input, Model, layers

    x = image = Input((64, 64, 3), name="image")
    for filters in (16, 32, 32):
        x = layers.MaxPooling2D()(layers.Conv2D(filters, 3, activation="relu")(x))
    table = Input((20,), name="table")
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.Dense(32, activation="relu")(table)])
    x = layers.Dense(64, activation="relu")(x)
    return Model({"image": image, "table": table}, layers.Dense(5, activation="softmax")(x)), {
        "table": (20,),
        "image": (64, 64, 3),
    }


NETS = {
    "digits CNN": digits_cnn,
    "transformer": transformer,
    "wide": wide,
    "towers": towers,
    "MobileNetV2": mobilenet,
    "ResNet50": resnet,
}


def floor(model, examples):
    """A function that takes all gradients in blocks of a given size; of several inputs those at the first."""
    import numpy as np
    import tensorflow as tf

    first, *others = examples if isinstance(examples, dict) else [None]
    given = examples if isinstance(examples, dict) else {None: examples}
    alphas = (np.arange(STEPS) + 0.5) / STEPS
    rows = np.concatenate([alphas.reshape([-1] + [1] * x.ndim) * x for x in given[first]]).astype("float32")
    classes = np.argmax(model(examples, training=False).numpy(), 1)
    target = tf.constant(np.repeat(classes, STEPS), tf.int32)
    rows = tf.constant(rows)
    example = tf.constant(np.repeat(np.arange(len(classes)), STEPS), tf.int32)
    beside = {key: tf.constant(given[key]) for key in others}
    specs = [tf.TensorSpec([None, *rows.shape[1:]]), tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.int32)]

    @tf.function(input_signature=specs, autograph=False)
    def gradients(x, classes, example):
        with tf.GradientTape() as tape:
            tape.watch(x)
            taken = {first: x} | {key: tf.gather(value, example) for key, value in beside.items()} if beside else x
            scores = tf.gather(model(taken, training=False), classes, batch_dims=1)
        return tape.gradient(scores, x)

    def evaluate(block):
        for start in range(0, len(rows), block):
            part = slice(start, start + block)
            gradients(rows[part], target[part], example[part])

    return evaluate


def drawn(shape, count):
    """So many examples of an input, or of several by name."""
    import numpy as np

    rng = np.random.default_rng(0)
    if isinstance(shape, dict):
        return {key: rng.uniform(size=(count, *one)).astype("float32") for key, one in shape.items()}
    return rng.uniform(size=(count, *shape)).astype("float32")


def seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def compare(name, count, rounds, by_xla):
    """Prints the ratio of `attribute` to the floor for `count` examples."""
    import tf_attrib as ta

    model, shape = NETS[name]()
    examples = drawn(shape, count)
    evaluate = floor(model, examples)
    at = ta.inputs(next(iter(shape))) if isinstance(shape, dict) else None
    attributor = ta.Attributor(model, at=at, jit_compile=by_xla)
    method = ta.IntegratedGradients(rule="gauss_legendre", n_steps=STEPS)
    candidates = [block for block in BLOCKS.get(name, LARGE) if block <= STEPS * count]
    evaluate(candidates[0])
    attributor.attribute(examples, method=method, verbose=False)
    best = min(candidates, key=lambda block: min(seconds(evaluate, block) for _ in range(2)))
    library, raw = [], []
    for _ in range(rounds):
        raw.append(seconds(evaluate, best))
        library.append(seconds(lambda: attributor.attribute(examples, method=method, verbose=False)))
    ratio = statistics.median(a / b for a, b in zip(library, raw, strict=True))
    print(
        f"{name:12s} {count:3d} example(s): {ratio:5.2f} × the floor "
        f"({statistics.median(library) * 1e3:8.1f} ms; floor {statistics.median(raw) * 1e3:8.1f} ms in blocks of {best})",
        flush=True,
    )


def by_block(name, rounds):
    """Prints what the floor takes of the processors, by the size of its blocks."""
    model, shape = NETS[name]()
    evaluate, found = floor(model, drawn(shape, 2)), {}
    for block in rounds * [block for block in BLOCKS.get(name, LARGE) if block <= 2 * STEPS]:
        start = time.process_time()
        evaluate(block)
        found.setdefault(block, []).append(time.process_time() - start)
    for block, times in found.items():  # the first is slow, as it is traced
        print(f"{name}, blocks of {block:3d}: {statistics.median(times) / (2 * STEPS) * 1e3:6.2f} ms a row", flush=True)


def trained_digits():
    """The demo's CNN, trained, and 32 held-out digits."""
    from tf_attrib.demo import data, models

    found = data.digits()
    model = models.train(models.digit_model(), found.train_inputs, found.train_labels, models.DIGIT_EPOCHS)
    return model, found.test_inputs[:32]


def doubling(model, examples, tolerance):
    """A function that attributes image by image, doubling the steps until two results agree; it returns the gradients taken."""
    import numpy as np
    import tensorflow as tf

    classes = np.argmax(model(examples, training=False).numpy(), 1)

    @tf.function(autograph=False, reduce_retracing=True)
    def gradients(x, target):
        with tf.GradientTape() as tape:
            tape.watch(x)
            scores = model(x, training=False)[:, target]
        return tape.gradient(scores, x)

    def evaluate():
        spent = 0
        for x, target in zip(examples, classes, strict=True):
            before, steps = None, 25
            while True:
                alphas = np.linspace(0, 1, steps + 1, dtype="float32")[:, None, None, None]
                found = gradients(tf.constant(alphas * x), tf.constant(target)).numpy()
                spent += steps + 1
                found = x * (found[:-1] + found[1:]).mean(0) / 2
                if before is not None and np.abs(found - before).sum() <= tolerance * np.abs(found).sum():
                    break
                before, steps = found, 2 * steps
        return spent

    return evaluate


def inside_tensorflow(function):
    """Seconds that `function` spends in compiled calls, and in all."""
    from tf_attrib.graph.traced.compiled import Compiled

    call, spent = Compiled.__call__, [0.0]

    def timed(self, *arrays):
        start = time.perf_counter()
        try:
            return call(self, *arrays)
        finally:
            spent[0] += time.perf_counter() - start

    Compiled.__call__ = timed
    try:
        return seconds(function), spent[0]
    finally:
        Compiled.__call__ = call


def accuracy(rounds, tolerance=0.01):
    """Prints how much faster the stated accuracy is reached than by doubling, for 32 digits."""
    import tf_attrib as ta

    model, examples = trained_digits()
    evaluate, attributor, method = doubling(model, examples, tolerance), ta.Attributor(model), ta.IntegratedGradients(tolerance)
    result, spent = attributor.attribute(examples, method=method, verbose=False), evaluate()
    library, hand = [], []
    for _ in range(rounds):
        hand.append(seconds(evaluate))
        library.append(seconds(lambda: attributor.attribute(examples, method=method, verbose=False)))
    ratio = statistics.median(b / a for a, b in zip(library, hand, strict=True))
    ours, theirs = (statistics.median(times) * 1e3 for times in (library, hand))
    print(
        f"32 digits to {tolerance:.0%}: {ratio:5.2f} times faster than doubling by hand ({ours:.0f} ms and "
        f"{result.evaluations.sum()} gradients; {theirs:.0f} ms and {spent})",
        flush=True,
    )
    scheduling("digits CNN", attributor, examples, method, rounds)


def scheduling(name, attributor, examples, method, rounds):
    """Prints the share of the time that is not spent inside TensorFlow."""

    def attribute():
        attributor.attribute(examples, method=method, verbose=False)

    attribute()
    pairs = [inside_tensorflow(attribute) for _ in range(rounds)]
    share = statistics.median(1 - inside / whole for whole, inside in pairs)
    print(f"{name}: scheduling takes {share:.1%} of the time to {method.tolerance:.0%}, {len(examples)} examples", flush=True)


def mobilenet_scheduling(rounds):
    """The share of scheduling for a larger net and input."""
    import numpy as np

    import tf_attrib as ta

    model, shape = mobilenet()
    examples = np.random.default_rng(0).uniform(size=(4, *shape)).astype("float32")
    scheduling("MobileNetV2", ta.Attributor(model), examples, ta.IntegratedGradients(0.01), rounds)


def peak_memory(count):
    """Growth of peak memory over a warm-up on one example, MobileNetV2, in a process of its own."""
    import numpy as np

    import tf_attrib as ta

    model, shape = mobilenet()
    examples = np.random.default_rng(0).uniform(size=(count, *shape)).astype("float32")
    attributor = ta.Attributor(model)
    model(examples[:1], training=False)
    before = peak()
    attributor.attribute(examples, method=ta.IntegratedGradients(n_steps=STEPS), verbose=False)
    print((peak() - before) // 1024)


def peak():
    """Peak memory of this process in KB. (Linux: getrusage would start from the peak of the process that started it.)"""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def import_seconds():
    """What importing the library adds to importing TensorFlow."""
    code = (
        "import time, tensorflow; start = time.perf_counter(); import tf_attrib; tf_attrib.Attributor; "
        "print(time.perf_counter() - start)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    print(f"import tf_attrib and Attributor, after TensorFlow: {float(done.stdout.split()[-1]):.2f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="rounds to take the median of")
    parser.add_argument("--quick", action="store_true", help="the digits CNN alone")
    parser.add_argument("--nets", metavar="NAMES", help=f"the overhead of these alone, of {', '.join(NETS)}")
    parser.add_argument("--by-block", metavar="NAME", help="print the floor's processor time by size of block and stop")
    parser.add_argument("--xla", action="store_true", help="with jit_compile=True")
    parser.add_argument("--memory", type=int, metavar="EXAMPLES", help="print the growth of peak memory in MB and stop")
    options = parser.parse_args()
    if options.memory:
        peak_memory(options.memory)
        return
    if options.by_block:
        by_block(options.by_block, options.rounds)
        return
    names = options.nets.split(",") if options.nets else ["digits CNN"] if options.quick else list(NETS)
    for name in names:
        for count in (1, 32):
            compare(name, count, options.rounds, options.xla)
    if options.nets:
        return
    import_seconds()
    accuracy(options.rounds)
    if not options.quick:
        mobilenet_scheduling(3)
    for count in () if options.quick else (8, 16):
        grown = subprocess.run([sys.executable, __file__, "--memory", str(count)], check=True, capture_output=True, text=True)
        print(f"MobileNetV2, {count} images × {STEPS} steps: peak memory grows by {grown.stdout.split()[-1]} MB", flush=True)


if __name__ == "__main__":
    main()
